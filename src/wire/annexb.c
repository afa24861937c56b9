/* SPDX-License-Identifier: MIT */
/*
 * See annexb.h. Start codes are looked for with memmem, which skips through slices faster than they
 * could be copied. Types of NAL units are those of H.264, table 7-1, and H.265, table 7-1.
 */
#include "wire/annexb.h"

#include <string.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "leat/error.h"
#include "wire/bits.h"

/* ---- Splitting ------------------------------------------------------------------------------- */

static const char start_code[3] = {0, 0, 1}; /* one of four bytes has a zero more in front */

static const char *find_start(struct leat_slice stream)
{
    return stream.size > 0 ? memmem(stream.data, stream.size, start_code, sizeof(start_code))
                           : NULL;
}

bool annexb_next(struct leat_slice *stream, struct leat_slice *ret_nal)
{
    for (;;) {
        const char *const start = find_start(*stream);
        if (!start) {
            *stream = slice_after(*stream, stream->size);
            return false;
        }
        const size_t before = (size_t)(start - stream->data) + sizeof(start_code);
        const struct leat_slice rest = slice_after(*stream, before);
        const char *const end = find_start(rest);
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        *stream = slice_after(rest, size);
        /* A unit's last byte is never 0 (section 7.4.1.1): these are the next start code's, or
         * trailing_zero_8bits. */
        while (size > 0 && rest.data[size - 1] == 0)
            size--;
        if (size > 0) {
            *ret_nal = slice_of(rest.data, size);
            return true;
        }
    }
}

void annexb_put(struct text *text, struct leat_slice nal)
{
    ASSERT(nal.size > 0 && nal.size <= UINT32_MAX);
    const uint32_t size = htobe32((uint32_t)nal.size);
    text_add(text, slice_of(&size, sizeof(size)));
    text_add(text, nal);
}

/* ---- What is in a unit ----------------------------------------------------------------------- */

/* A byte of a unit without those that only keep start codes from appearing in it (section 7.4.1,
 * emulation_prevention_three_byte). -1 at the end. */
struct payload {
    struct leat_slice rest;
    unsigned zeros;
};

static int next_byte(struct payload *payload)
{
    if (payload->rest.size > 1 && payload->zeros >= 2 && payload->rest.data[0] == 3) {
        payload->rest = slice_after(payload->rest, 1);
        payload->zeros = 0;
    }
    if (payload->rest.size == 0)
        return -1;
    const unsigned char byte = (unsigned char)payload->rest.data[0];
    payload->rest = slice_after(payload->rest, 1);
    payload->zeros = byte == 0 ? payload->zeros + 1 : 0;
    return byte;
}

/* A number of H.264, section 7.3.2.3.1: bytes of 255, and one that is less. -1 at the end. */
static int next_number(struct payload *payload)
{
    int number = 0, byte;
    do {
        byte = next_byte(payload);
        if (byte < 0 || number > INT16_MAX)
            return -1;
        number += byte;
    } while (byte == 255);
    return number;
}

/* Is there a recovery point (section D.1.8) among the messages of an SEI? How many frames it takes
 * until all is as it should be does not matter: a stream of intra refresh has no other places to
 * begin at. */
static bool is_recovery_point(struct leat_slice sei)
{
    enum { RECOVERY_POINT = 6 };
    struct payload payload = {.rest = slice_after(sei, 1)};
    while (payload.rest.size > 1) { /* the last byte is rbsp_trailing_bits */
        const int type = next_number(&payload), size = next_number(&payload);
        if (type < 0 || size < 0)
            return false;
        if (type == RECOVERY_POINT)
            return true;
        for (int i = 0; i < size; i++)
            if (next_byte(&payload) < 0)
                return false;
    }
    return false;
}

static enum annexb_kind avc_kind(struct leat_slice nal)
{
    enum {
        SLICE = 1,
        PARTITION_C = 4,
        IDR = 5,
        SEI = 6,
        SPS = 7,
        PPS = 8,
        DELIMITER = 9,
        SEQUENCE_END = 10,
        STREAM_END = 11,
        FILLER = 12,
    };
    const unsigned type = (unsigned char)nal.data[0] & 31;
    switch (type) {
    case IDR: return ANNEXB_SYNC;
    case SEI: return is_recovery_point(nal) ? ANNEXB_RECOVERY : ANNEXB_OTHER;
    case SPS: return ANNEXB_SPS;
    case PPS: return ANNEXB_PPS;
    case DELIMITER: return ANNEXB_DELIMITER;
    case SEQUENCE_END:
    case STREAM_END:
    case FILLER: return ANNEXB_IDLE;
    default: return type >= SLICE && type <= PARTITION_C ? ANNEXB_PICTURE : ANNEXB_OTHER;
    }
}

static enum annexb_kind hevc_kind(struct leat_slice nal)
{
    enum {
        IRAP_FIRST = 16,
        IRAP_LAST = 23,
        PICTURE_LAST = 31,
        VPS = 32,
        SPS = 33,
        PPS = 34,
        DELIMITER = 35,
        SEQUENCE_END = 36,
        STREAM_END = 37,
        FILLER = 38,
    };
    if (nal.size < 2)
        return ANNEXB_IDLE;
    const unsigned char first = (unsigned char)nal.data[0], second = (unsigned char)nal.data[1];
    const unsigned type = first >> 1 & 63, layer = (first & 1u) << 5 | second >> 3;
    if (layer > 0)
        return ANNEXB_IDLE;
    switch (type) {
    case VPS: return ANNEXB_VPS;
    case SPS: return ANNEXB_SPS;
    case PPS: return ANNEXB_PPS;
    case DELIMITER: return ANNEXB_DELIMITER;
    case SEQUENCE_END:
    case STREAM_END:
    case FILLER: return ANNEXB_IDLE;
    default: break;
    }
    if (type > PICTURE_LAST)
        return ANNEXB_OTHER;
    return type >= IRAP_FIRST && type <= IRAP_LAST ? ANNEXB_SYNC : ANNEXB_PICTURE;
}

enum annexb_kind annexb_kind_of(enum annexb_codec codec, struct leat_slice nal)
{
    ASSERT(nal.size > 0);
    ASSERT(codec == ANNEXB_AVC || codec == ANNEXB_HEVC);
    return codec == ANNEXB_AVC ? avc_kind(nal) : hevc_kind(nal);
}

int annexb_set_id(enum annexb_codec codec, enum annexb_kind kind, struct leat_slice nal)
{
    enum { AVC_PROFILE_SIZE = 3, ID_MAX = 255 };
    ASSERT(kind == ANNEXB_VPS || kind == ANNEXB_SPS || kind == ANNEXB_PPS);
    size_t before = codec == ANNEXB_AVC ? 1 : 2;
    if (kind == ANNEXB_VPS || (kind == ANNEXB_SPS && codec == ANNEXB_HEVC))
        return 0;
    if (kind == ANNEXB_SPS)
        before += AVC_PROFILE_SIZE;
    if (nal.size <= before)
        return -LEAT_E_MALFORMED;
    struct bits bits = {.bytes = slice_after(nal, before)};
    const uint32_t id = bits_take_ue(&bits);
    return bits_overran(&bits) || id > ID_MAX ? -LEAT_E_MALFORMED : (int)id;
}
