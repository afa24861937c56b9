/* SPDX-License-Identifier: MIT */
/*
 * The samples that are described in the index (moov) itself: six tables that are read side by side,
 * once, from the first sample to the last. Private to wire/mp4*.c.
 */
#ifndef WIRE_MP4_TABLES_H
#define WIRE_MP4_TABLES_H

#include "wire/mp4_header.h"

struct mp4_tables {
    struct mp4_table sizes, durations, offsets, runs, chunks, syncs;
};

/* Tells of the samples of a track that is wanted. `tables` is room to work in. */
int mp4_read_tables(struct mp4_reader *reader, struct mp4_moov *moov, struct mp4_trak *trak,
                    struct mp4_tables *tables);

#endif
