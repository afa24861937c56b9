/* SPDX-License-Identifier: MIT */
/*
 * The samples that are described in movie fragments (moof; ISO/IEC 14496-12, section 8.8). Private
 * to wire/mp4*.c.
 */
#ifndef WIRE_MP4_FRAGMENTS_H
#define WIRE_MP4_FRAGMENTS_H

#include "wire/mp4_header.h"

/* Tells of the samples of one fragment. `table` is room to work in. */
int mp4_read_fragment(struct mp4_reader *reader, const struct mp4_box *moof, struct mp4_moov *moov,
                      struct mp4_table *table);

#endif
