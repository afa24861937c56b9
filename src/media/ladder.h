/* SPDX-License-Identifier: MIT */
/*
 * Ladders: several encodings of one film, between which a player switches at the segments' edges.
 * Which files are one, by their names or by a list; in which order; and whether they can be: all
 * rungs must be cut at the same times. Pure: names and films in, no file is opened.
 */
#ifndef MEDIA_LADDER_H
#define MEDIA_LADDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "media/film.h"

enum {
    LADDER_RUNGS_MAX = 16,
    LADDER_NAME_SIZE = 256,
    LADDER_FILE_MAX = 64 * 1024, /* bytes of a list */
};

/* The names of the rungs' files, all in one folder. */
struct ladder_names {
    unsigned count;
    char names[LADDER_RUNGS_MAX][LADDER_NAME_SIZE];
};

/* Is it the name of a rung: STEM-NNN.EXT, STEM-NNNp.EXT, with three or four digits? */
bool ladder_stem(struct leat_slice name, struct leat_slice *ret_stem);

/* Adds a name that is not there yet: 0; -LEAT_E_LIMIT when there are LADDER_RUNGS_MAX, or it is too
 * long; -EINVAL for one that is no name in the same folder, or begins with a dot. */
int ladder_add(struct ladder_names *names, struct leat_slice name);

/* Reads a list: {"rungs": ["a.mp4", "b.mp4"]}. 0; or an error, and one line that says what is wrong
 * (FILM_REASON_SIZE bytes). */
int ladder_read(struct leat_slice json, struct ladder_names *ret_names, char *ret_reason);

struct ladder_rung {
    const char *name;
    struct film *film;
};

/* What a track takes on the wire, with what stands around its samples: of the largest segment, or
 * on average. */
uint64_t ladder_track_bits_per_s(const struct film *film, unsigned track, bool is_peak);
/* Of what is sent of a film: its video and the first of its audio. 0: nothing is streamed. */
uint64_t ladder_bits_per_s(const struct film *film, bool is_peak);

/* The best first. */
void ladder_sort(struct ladder_rung *rungs, unsigned count);

/* Are all of them cut at the same times, within half a picture? 0; or -EXDEV, and one line that
 * names those that are not cut as most of them are (FILM_REASON_SIZE bytes). */
int ladder_check(const struct ladder_rung *rungs, unsigned count, char *ret_reason);

#endif
