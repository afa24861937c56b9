/* SPDX-License-Identifier: MIT */
/*
 * Where a film is cut into segments. Only for this folder. One track gives the measure: the video,
 * or without one a sound track. It is cut at the first sync sample in each 2 s; the others at the
 * first sample that is shown then or later.
 */
#ifndef MEDIA_CUTS_H
#define MEDIA_CUTS_H

#include "media/track.h"

struct cuts {
    const struct track *measure;
    uint32_t count, capacity; /* of segments */
    struct track_cut *list;   /* the measure's, and one more: where the last segment ends */
    uint64_t *bytes;          /* of each segment of the measure */
    struct samples_mark end;  /* behind its last sample */
    bool is_independent;      /* no picture needs one of another segment */
    char *reason;             /* FILM_REASON_SIZE bytes, for what cannot be cut */
};

/* Cuts the measure. `end` is where the longest of the tracks ends, in the measure's ticks. 0,
 * -ENOMEM, or -EOPNOTSUPP with a reason; cuts_fini after each. */
int cuts_make(struct cuts *cuts, const struct track *measure, int64_t end, char *reason);
void cuts_fini(struct cuts *cuts);

/* Cuts a track as the measure was, and takes down its bit rates. 0, -ENOMEM, -EOPNOTSUPP. */
int cuts_apply(const struct cuts *cuts, struct track *track);

#endif
