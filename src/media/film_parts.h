/* SPDX-License-Identifier: MIT */
/*
 * What a film is made of. Only for this folder. Nothing of it changes once film_build has returned.
 */
#ifndef MEDIA_FILM_PARTS_H
#define MEDIA_FILM_PARTS_H

#include <stdatomic.h>

#include "media/film.h"
#include "media/track.h"

struct film {
    atomic_uint references;
    struct mp4_movie movie;
    struct track *tracks;
    unsigned track_count;
    int video, measure; /* tracks */
    uint32_t segment_count;
    int64_t *begins; /* of the segments and the end, in the measure's ticks */
    bool is_independent;
    double duration_s;
};

#endif
