/* SPDX-License-Identifier: MIT */
/*
 * What a sequence parameter set says of the pictures: ITU-T H.264 (AVC), section 7.3.2.1, and ITU-T
 * H.265 (HEVC), section 7.3.2.2. Only its beginning is read, up to what is asked for here. A NAL
 * unit is given without its start code, and with the bytes that keep start codes out of it.
 */
#ifndef WIRE_H26X_H
#define WIRE_H26X_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/slice.h"

enum {
    H264_NAL_SPS = 7,
    H264_NAL_PPS = 8,
    H265_NAL_VPS = 32,
    H265_NAL_SPS = 33,
    H265_NAL_PPS = 34,
    H265_PROFILE_SIZE = 12, /* general_profile_space … general_level_idc */
};

struct h26x_sps {
    uint32_t width, height;           /* of what is shown: cropped; 1 … 65535 */
    uint8_t chroma_format;            /* chroma_format_idc: 0 … 3 */
    uint8_t luma_depth, chroma_depth; /* bits a sample: 8 … 16 */
    /* HEVC's: as they stand in a record of a decoder's configuration. */
    unsigned char profile[H265_PROFILE_SIZE];
    uint8_t layer_count; /* temporal ones: 1 … 7 */
    bool is_layer_nested;
};

/* -1 when it is empty. */
int h264_nal_type(struct leat_slice nal);
int h265_nal_type(struct leat_slice nal);

/* 0, or -LEAT_E_MALFORMED. */
int h264_sps_read(struct leat_slice nal, struct h26x_sps *ret_sps);
int h265_sps_read(struct leat_slice nal, struct h26x_sps *ret_sps);

#endif
