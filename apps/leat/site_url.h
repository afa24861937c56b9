/* SPDX-License-Identifier: MIT */
/*
 * The paths below films that name parts of them as streams (site_film.h has the list), and the
 * parameters of queries. Whether there is such a film, and such a part of it, is not asked here.
 */
#ifndef LEAT_SITE_URL_H
#define LEAT_SITE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "leat/slice.h"

enum film_page {
    FILM_MASTER,
    FILM_MANIFEST,
    FILM_INDEX,
    FILM_INIT,
    FILM_SEGMENT,
    FILM_SUBTITLE_LIST,
    FILM_SUBTITLES,
    FILM_INFO,
    FILM_POSTER,
};

enum film_stream_kind { FILM_STREAM_MUXED, FILM_STREAM_VIDEO, FILM_STREAM_AUDIO };

enum {
    FILM_LANGUAGE_SIZE = 36, /* RFC 5646, section 4.4.1 */
    FILM_URL_NUMBER_MAX = 9999999,
};

/* What the end of a path asks for. */
struct film_url {
    enum film_page page;
    size_t film_size; /* bytes of the path that name the film, or the ladder */
    enum film_stream_kind stream;
    unsigned audio;  /* from 1 */
    unsigned number; /* of the segment */
    char language[FILM_LANGUAGE_SIZE];
};

/* Is it a path such as "folder/film.mp4/muxed/12.m4s"? */
bool film_url_parse(const char *path, struct film_url *ret_url);
/* Does the query have this parameter? Its value is "" when it has none, and as it was sent. */
bool query_find(struct leat_slice query, const char *name, struct leat_slice *ret_value);
/* By its extension: is it what can be streamed; or else what browsers may play as it is? */
bool film_is_named(struct leat_slice name);
bool film_is_played(struct leat_slice name);

#endif
