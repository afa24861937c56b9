/* SPDX-License-Identifier: MIT */
/*
 * See adts.h.
 */
#include "wire/adts.h"

#include "base/assert.h"
#include "leat/error.h"

int adts_read(struct leat_slice bytes, struct adts *ret_header)
{
    static const uint32_t rates[16] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                       22050, 16000, 12000, 11025, 8000,  7350};
    const unsigned char *const at = (const unsigned char *)bytes.data;
    if (bytes.size < ADTS_HEADER_SIZE)
        return 0;
    /* 12 bits of syncword, one of version, two of layer, one that says there is no checksum */
    if (at[0] != 0xff || (at[1] & 0xf6) != 0xf0)
        return -LEAT_E_MALFORMED;
    const struct adts header = {
        .object_type = (uint8_t)((at[2] >> 6) + 1),
        .rate_index = at[2] >> 2 & 15,
        .channel_config = (uint8_t)((at[2] & 1) << 2 | at[3] >> 6),
        .block_count = (uint8_t)((at[6] & 3) + 1),
        .sample_rate = rates[at[2] >> 2 & 15],
        .header_size = at[1] & 1 ? ADTS_HEADER_SIZE : ADTS_HEADER_SIZE + 2,
        .frame_size = (size_t)(at[3] & 3) << 11 | (size_t)at[4] << 3 | at[5] >> 5,
    };
    if (header.sample_rate == 0 || header.frame_size <= header.header_size)
        return -LEAT_E_MALFORMED;
    *ret_header = header;
    return 1;
}

bool adts_is_alike(const struct adts *a, const struct adts *b)
{
    return a->object_type == b->object_type && a->rate_index == b->rate_index &&
           a->channel_config == b->channel_config;
}

void adts_config(const struct adts *header, unsigned char ret_config[ADTS_CONFIG_SIZE])
{
    ASSERT(header->object_type >= 1 && header->object_type <= 4);
    ASSERT(header->rate_index < 13 && header->channel_config < 8);
    ret_config[0] = (unsigned char)(header->object_type << 3 | header->rate_index >> 1);
    ret_config[1] = (unsigned char)((header->rate_index & 1) << 7 | header->channel_config << 3);
}
