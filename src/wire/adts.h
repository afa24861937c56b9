/* SPDX-License-Identifier: MIT */
/*
 * AAC in ADTS (ISO/IEC 14496-3, section 1.A.3): frames behind headers of seven or nine bytes that
 * say again and again what an MP4 says once. Sans I/O.
 */
#ifndef WIRE_ADTS_H
#define WIRE_ADTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    ADTS_HEADER_SIZE = 7,      /* two more where there is a checksum */
    ADTS_FRAME_MAX = 8191,     /* bytes, the header's included: 13 bits */
    ADTS_CONFIG_SIZE = 2,      /* of the AudioSpecificConfig */
    ADTS_FRAME_SAMPLES = 1024, /* of a raw data block */
};

struct adts {
    uint8_t object_type; /* 1 … 4: Main, LC, SSR, LTP */
    uint8_t rate_index;
    uint8_t channel_config; /* 0: described in the frame itself, by a program config element */
    uint8_t block_count;    /* raw data blocks in the frame, 1 … 4 */
    uint32_t sample_rate;   /* hertz; of the core, where SBR is used */
    size_t header_size, frame_size;
};

/* The header at the start of some bytes: 1; 0 when there are less than ADTS_HEADER_SIZE;
 * -LEAT_E_MALFORMED when it is none. The frame need not be there. */
int adts_read(struct leat_slice bytes, struct adts *ret_header);

/* Is what they say of the decoder the same? */
bool adts_is_alike(const struct adts *a, const struct adts *b);

/* What an MP4 says instead (section 1.6.2.1). */
void adts_config(const struct adts *header, unsigned char ret_config[ADTS_CONFIG_SIZE]);

#endif
