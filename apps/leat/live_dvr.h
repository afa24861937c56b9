/* SPDX-License-Identifier: MIT */
/*
 * --dvr, --live-dir and --keep: live channels that reach back for hours, survive the process, and
 * become films.
 */
#ifndef LEAT_LIVE_DVR_H
#define LEAT_LIVE_DVR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/live.h"

struct live_dvr {
    const char *directory; /* --live-dir; NULL: memory alone */
    int64_t window_ms;     /* --dvr; 0: not given */
    bool keep;
    char label[256];
    struct live_store *store;
};

/* For the option --dvr; `target` is the struct. */
int live_dvr_take_window(const char *text, void *target, char *ret_error, size_t ret_error_size);
/* Do the flags go together? `films`: where films go, or NULL. 0, or -1 with a line. */
int live_dvr_check(const struct live_dvr *dvr, bool has_live, const char *films, char *ret_error,
                   size_t ret_error_size);
/* Before the sandbox, as whoever will write there: it has to be there to be let in. */
void live_dvr_make_folder(const struct live_dvr *dvr);
/* Once nothing is in the way of writing: the hub gets its store and what is in it. Likewise. */
int live_dvr_open(struct live_dvr *dvr, struct live_hub *hub, const char *films, char *ret_error,
                  size_t ret_error_size);
/* After the hub. */
void live_dvr_close(struct live_dvr *dvr);

#endif
