/* SPDX-License-Identifier: MIT */
/*
 * How fast a segment is sent. A player that is sent its film at once fills queues that others
 * share, and may have left before it sees what it was sent; one that is held down never learns that
 * it could have the better rung. So the first seconds of media go as fast as they will, to fill the
 * player; then a connection is given a multiple of what it plays, and enough for the top rung. What
 * the player says of itself (CMCD) counts for more than what we think.
 *
 * All of it is arithmetic: no clock, no system call.
 */
#ifndef LEAT_SITE_PACE_H
#define LEAT_SITE_PACE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/cmcd.h"

enum pace_kind { PACE_AUTO, PACE_OFF, PACE_RATE, PACE_FACTOR };

/* --pace. All zero: auto. */
struct pace_policy {
    enum pace_kind kind;
    uint64_t bytes_per_s; /* PACE_RATE: of everything that is sent */
    double factor;        /* PACE_FACTOR */
};

enum {
    PACE_FILL_S = 10,          /* media that goes unpaced at the beginning and after a seek */
    PACE_SEEK_S = 4,           /* media jumped over: more is a seek, and so is each step back */
    PACE_LOW_BUFFER_MS = 4000, /* a player that has less is not paced */
};

/* What a connection was sent; all zero to begin with. Players fetch audio and video apart, and one
 * further ahead than the other: each has a run of its own. */
struct pace_state {
    uint64_t title; /* of which film or ladder; 0: nothing yet */
    struct pace_run {
        double begin_s; /* from where it has been sent without a seek, */
        double end_s;   /* and how far */
    } runs[2];
};

/* What is to be sent. Rates of media, in bits a second. */
struct pace_segment {
    uint64_t title; /* a number that the rungs of a ladder share; not 0 */
    bool is_audio;  /* alone */
    double begin_s, duration_s;
    uint64_t bits_per_s;        /* of this segment */
    uint64_t film_bits_per_s;   /* of the film on average, with all that is sent beside this */
    uint64_t ladder_bits_per_s; /* of the ladder's top rung; of a film alone, its own peak */
    bool is_ladder_unknown;     /* nobody knows yet: better unpaced than held down */
};

/* Bytes a second; 0: as fast as it goes. Notes in the state that the segment was sent. */
uint64_t pace_segment(const struct pace_policy *policy, struct pace_state *state,
                      const struct pace_segment *segment, const struct cmcd *cmcd);
/* The same for what is no segment: files, playlists, init segments. */
uint64_t pace_other(const struct pace_policy *policy);

/* For option.take (options.h); `policy` is a struct pace_policy. auto|off|RATE|FACTORx */
int pace_take(const char *text, void *policy, char *ret_error, size_t ret_error_size);

#endif
