/* SPDX-License-Identifier: MIT */
/*
 * Writing boxes (ISO/IEC 14496-12, section 4.2), front to back: a box's size is put in when it
 * ends. Private to wire/mp4*.c.
 */
#ifndef WIRE_MP4_BOXES_H
#define WIRE_MP4_BOXES_H

#include "base/assert.h"
#include "base/cursor.h"

/* Returns where it begins. */
static inline size_t mp4_begin_box(struct writer *writer, const char *type)
{
    const size_t begin = writer->size;
    writer_u32be(writer, 0);
    writer_bytes(writer, slice_of(type, 4));
    return begin;
}

static inline size_t mp4_begin_full_box(struct writer *writer, const char *type, uint8_t version,
                                        uint32_t flags)
{
    const size_t begin = mp4_begin_box(writer, type);
    writer_u32be(writer, (uint32_t)version << 24 | flags);
    return begin;
}

static inline void mp4_end_box(struct writer *writer, size_t begin)
{
    if (writer->failed)
        return;
    const uint32_t size = htobe32((uint32_t)(writer->size - begin));
    ASSERT(writer->size - begin >= 8 && writer->size <= UINT32_MAX);
    memcpy(writer->data + begin, &size, sizeof size);
}

static inline void mp4_write_zeros(struct writer *writer, size_t count)
{
    unsigned char *at = writer_take(writer, count);
    if (at)
        memset(at, 0, count);
}

#endif
