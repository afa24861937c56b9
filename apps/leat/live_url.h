/* SPDX-License-Identifier: MIT */
/*
 * The paths of live channels, below "live/" (docs/live.md has the list). Whether there is such a
 * channel, and such a part of it, is not asked here.
 */
#ifndef LEAT_LIVE_URL_H
#define LEAT_LIVE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "media/live.h"

enum live_page {
    LIVE_PAGE_CHANNELS, /* live/channels.json */
    LIVE_PAGE_NAME,     /* live/NAME: publishers send there */
    LIVE_PAGE_MASTER,
    LIVE_PAGE_MANIFEST,
    LIVE_PAGE_TIME,
    LIVE_PAGE_INDEX,
    LIVE_PAGE_INIT,
    LIVE_PAGE_SEGMENT,
    LIVE_PAGE_PART,
    LIVE_PAGE_FILE, /* any other below the name: publishers may send files there */
};

struct live_url {
    enum live_page page;
    char name[LIVE_NAME_SIZE];
    const char *file; /* behind the name, in the path; "": nothing */
    enum live_stream stream;
    uint64_t number; /* of the segment, or of the init */
    unsigned part;
};

/* Is it a path such as "live/NAME/muxed/12.3.m4s"? False also when the name cannot be one. */
bool live_url_parse(const char *path, struct live_url *ret_url);
/* What stands for a stream in paths. */
const char *live_stream_name(enum live_stream stream);

#endif
