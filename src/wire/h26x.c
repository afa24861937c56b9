/* SPDX-License-Identifier: MIT */
/*
 * See h26x.h. The fields before those that are wanted are gone through one by one, for their sizes
 * depend on each other; every loop has the bound that the standard gives it.
 */
#include "wire/h26x.h"

#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/bits.h"

enum {
    SPS_READ_MAX = 1024, /* bytes: the beginning that is read is far smaller */
    SIZE_MAX_SHOWN = 65535,
    DEPTH_MAX = 16,
};

/* Without the 3 of every 0 0 3 (H.264 and H.265, section 7.3.1.1): their count. */
static size_t unescape(struct leat_slice nal, unsigned char *bytes, size_t room)
{
    size_t size = 0;
    unsigned zeros = 0;
    for (size_t i = 0; i < nal.size && size < room; i++) {
        const unsigned char byte = (unsigned char)nal.data[i];
        const bool is_escape = zeros >= 2 && byte == 3;
        zeros = byte == 0 ? zeros + 1 : 0;
        if (!is_escape)
            bytes[size++] = byte;
    }
    return size;
}

/* The picture's size without what is cropped off: from `crop`, in units, left, right, top, bottom.
 * False: nothing is left of it, or it is absurd. */
static bool set_size(struct h26x_sps *sps, uint64_t width, uint64_t height, const uint32_t *crop,
                     unsigned unit_x, unsigned unit_y)
{
    const uint64_t off_x = ((uint64_t)crop[0] + crop[1]) * unit_x;
    const uint64_t off_y = ((uint64_t)crop[2] + crop[3]) * unit_y;
    if (off_x >= width || off_y >= height || width - off_x > SIZE_MAX_SHOWN ||
        height - off_y > SIZE_MAX_SHOWN)
        return false;
    sps->width = (uint32_t)(width - off_x);
    sps->height = (uint32_t)(height - off_y);
    return true;
}

/* Four offsets, behind a flag that says whether they are there. */
static void take_crop(struct bits *bits, uint32_t *ret_crop)
{
    if (bits_take(bits, 1))
        for (unsigned i = 0; i < 4; i++)
            ret_crop[i] = bits_take_ue(bits);
}

/* False: a format or a depth that there is not. */
static bool set_format(struct h26x_sps *sps, uint32_t format, uint32_t luma, uint32_t chroma)
{
    if (format > 3 || luma > DEPTH_MAX - 8 || chroma > DEPTH_MAX - 8)
        return false;
    sps->chroma_format = (uint8_t)format;
    sps->luma_depth = (uint8_t)(8 + luma);
    sps->chroma_depth = (uint8_t)(8 + chroma);
    return true;
}

/* How many samples of brightness a sample of colour stands for: tables 6-1 of both standards. Where
 * there is none, and where the planes are coded each for itself, it is one, as in 4:4:4. */
static unsigned chroma_width(unsigned format)
{
    return format == 1 || format == 2 ? 2 : 1;
}

static unsigned chroma_height(unsigned format)
{
    return format == 1 ? 2 : 1;
}

/* ---- H.264 ----------------------------------------------------------------------------------- */

int h264_nal_type(struct leat_slice nal)
{
    return nal.size > 0 ? nal.data[0] & 31 : -1;
}

/* Section 7.3.2.1.1.1. */
static void skip_scaling_list(struct bits *bits, unsigned size)
{
    uint8_t last = 8, next = 8;
    for (unsigned i = 0; i < size; i++) {
        if (next != 0)
            next = (uint8_t)(last + (uint32_t)bits_take_se(bits));
        last = next == 0 ? last : next;
    }
}

/* The profiles that tell of chroma, depth and scaling lists. */
static bool is_high(unsigned profile)
{
    static const uint8_t profiles[] = {100, 110, 122, 244, 44,  83, 86,
                                       118, 128, 138, 139, 134, 135};
    return memchr(profiles, (int)profile, sizeof(profiles)) != NULL;
}

/* False when they cannot be. */
static bool take_high_fields(struct bits *bits, struct h26x_sps *sps)
{
    const uint32_t format = bits_take_ue(bits);
    bits_skip(bits, format == 3 ? 1 : 0); /* separate_colour_plane_flag */
    const uint32_t luma = bits_take_ue(bits), chroma = bits_take_ue(bits);
    bits_skip(bits, 1); /* qpprime_y_zero_transform_bypass_flag */
    if (bits_take(bits, 1)) {
        const unsigned count = format == 3 ? 12 : 8;
        for (unsigned i = 0; i < count; i++)
            if (bits_take(bits, 1))
                skip_scaling_list(bits, i < 6 ? 16 : 64);
    }
    return set_format(sps, format, luma, chroma);
}

/* False when it cannot be. */
static bool skip_order_count(struct bits *bits)
{
    enum { CYCLE_MAX = 255 };
    const uint32_t type = bits_take_ue(bits);
    if (type == 0) {
        (void)bits_take_ue(bits); /* log2_max_pic_order_cnt_lsb_minus4 */
    } else if (type == 1) {
        bits_skip(bits, 1);
        (void)bits_take_se(bits);
        (void)bits_take_se(bits);
        const uint32_t cycle = bits_take_ue(bits);
        if (cycle > CYCLE_MAX)
            return false;
        for (uint32_t i = 0; i < cycle; i++)
            (void)bits_take_se(bits);
    }
    return type <= 2;
}

int h264_sps_read(struct leat_slice nal, struct h26x_sps *ret_sps)
{
    unsigned char bytes[SPS_READ_MAX];
    struct h26x_sps sps = {.chroma_format = 1, .luma_depth = 8, .chroma_depth = 8};
    struct bits bits = {.bytes = slice_of(bytes, unescape(nal, bytes, sizeof(bytes)))};
    if (h264_nal_type(nal) != H264_NAL_SPS)
        return -LEAT_E_MALFORMED;
    bits_skip(&bits, 8);
    const unsigned profile = bits_take(&bits, 8);
    bits_skip(&bits, 16);      /* constraints, level */
    (void)bits_take_ue(&bits); /* its number */
    if (is_high(profile) && !take_high_fields(&bits, &sps))
        return -LEAT_E_MALFORMED;
    (void)bits_take_ue(&bits); /* log2_max_frame_num_minus4 */
    if (!skip_order_count(&bits))
        return -LEAT_E_MALFORMED;
    (void)bits_take_ue(&bits); /* max_num_ref_frames */
    bits_skip(&bits, 1);
    const uint64_t width = ((uint64_t)bits_take_ue(&bits) + 1) * 16;
    const uint64_t map_height = ((uint64_t)bits_take_ue(&bits) + 1) * 16;
    const bool is_progressive = bits_take(&bits, 1); /* frame_mbs_only_flag */
    bits_skip(&bits, is_progressive ? 1 : 2);
    uint32_t crop[4] = {0};
    take_crop(&bits, crop);
    const unsigned fields = is_progressive ? 1 : 2;
    if (bits_overran(&bits) ||
        !set_size(&sps, width, map_height * fields, crop, chroma_width(sps.chroma_format),
                  chroma_height(sps.chroma_format) * fields))
        return -LEAT_E_MALFORMED;
    ASSERT(sps.width > 0 && sps.height > 0);
    *ret_sps = sps;
    return 0;
}

/* ---- H.265 ----------------------------------------------------------------------------------- */

int h265_nal_type(struct leat_slice nal)
{
    return nal.size > 1 ? nal.data[0] >> 1 & 63 : -1;
}

/* Section 7.3.3: what stands behind the general profile, a few bytes a layer. */
static void skip_layer_profiles(struct bits *bits, unsigned layer_count)
{
    enum { LAYERS = 8, PROFILE_BITS = 88, LEVEL_BITS = 8 };
    size_t size = 0;
    for (unsigned i = 1; i < layer_count; i++) {
        size += bits_take(bits, 1) ? PROFILE_BITS : 0;
        size += bits_take(bits, 1) ? LEVEL_BITS : 0;
    }
    if (layer_count > 1)
        bits_skip(bits, (LAYERS + 1 - layer_count) * (size_t)2);
    bits_skip(bits, size);
}

int h265_sps_read(struct leat_slice nal, struct h26x_sps *ret_sps)
{
    unsigned char bytes[SPS_READ_MAX];
    struct h26x_sps sps = {0};
    struct bits bits = {.bytes = slice_of(bytes, unescape(nal, bytes, sizeof(bytes)))};
    if (h265_nal_type(nal) != H265_NAL_SPS)
        return -LEAT_E_MALFORMED;
    bits_skip(&bits, 16 + 4); /* header, number of the video parameter set */
    sps.layer_count = (uint8_t)(bits_take(&bits, 3) + 1);
    sps.is_layer_nested = bits_take(&bits, 1);
    for (unsigned i = 0; i < H265_PROFILE_SIZE; i++)
        sps.profile[i] = (unsigned char)bits_take(&bits, 8);
    skip_layer_profiles(&bits, sps.layer_count);
    (void)bits_take_ue(&bits); /* its number */
    const uint32_t format = bits_take_ue(&bits);
    bits_skip(&bits, format == 3 ? 1 : 0); /* separate_colour_plane_flag */
    const uint32_t width = bits_take_ue(&bits), height = bits_take_ue(&bits);
    uint32_t crop[4] = {0};
    take_crop(&bits, crop);
    const uint32_t luma = bits_take_ue(&bits), chroma = bits_take_ue(&bits);
    if (bits_overran(&bits) || sps.layer_count > 7 || !set_format(&sps, format, luma, chroma) ||
        !set_size(&sps, width, height, crop, chroma_width(format), chroma_height(format)))
        return -LEAT_E_MALFORMED;
    ASSERT(sps.width > 0 && sps.height > 0);
    *ret_sps = sps;
    return 0;
}
