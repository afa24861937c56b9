/* SPDX-License-Identifier: MIT */
/*
 * Bounds-checked reading and writing of binary formats. A cursor never leaves its bytes: what does
 * not fit sets `failed`, moves nothing and reads as zero, and so does everything after it. A parser
 * therefore reads a whole structure in straight lines and asks once, at the end, whether it was
 * there. The bytes are borrowed; their owner must outlive the cursor.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"

/* ---- Reading --------------------------------------------------------------------------------- */

struct cursor {
    const unsigned char *data;
    size_t size, offset; /* offset <= size, always */
    bool failed;         /* something did not fit; sticky */
};

static inline struct cursor cursor_over(struct leat_slice bytes)
{
    return (struct cursor){.data = (const unsigned char *)bytes.data, .size = bytes.size};
}

/* Bytes not read yet; 0 once failed. */
static inline size_t cursor_left(const struct cursor *cursor)
{
    DEBUG_ASSERT(cursor->offset <= cursor->size);
    return cursor->failed ? 0 : cursor->size - cursor->offset;
}

/* The next `size` bytes, and past them; NULL and failed when there are fewer. */
static inline const unsigned char *cursor_take(struct cursor *cursor, size_t size)
{
    if (cursor->failed || size > cursor->size - cursor->offset) {
        cursor->failed = true;
        return NULL;
    }
    const unsigned char *at = cursor->data + cursor->offset;
    cursor->offset += size;
    return at;
}

static inline void cursor_skip(struct cursor *cursor, size_t size)
{
    (void)cursor_take(cursor, size);
}

/* A view of the next `size` bytes; empty when there are fewer. */
static inline struct leat_slice cursor_bytes(struct cursor *cursor, size_t size)
{
    /* An empty cursor may have no data at all, and that is not a failure. */
    const unsigned char *at = size > 0 ? cursor_take(cursor, size) : NULL;
    return slice_of(at, at ? size : 0);
}

/* A cursor over the next `size` bytes alone, for a box inside a box. It has failed from the start
 * when they are not there. */
static inline struct cursor cursor_within(struct cursor *cursor, size_t size)
{
    struct cursor inner = cursor_over(cursor_bytes(cursor, size));
    inner.failed = cursor->failed;
    return inner;
}

static inline uint8_t cursor_u8(struct cursor *cursor)
{
    const unsigned char *at = cursor_take(cursor, 1);
    return at ? *at : 0;
}

/* cursor_u16be ... cursor_u64le: one function a width and an order. */
#define CURSOR_READER(width, order)                                                                \
    static inline uint##width##_t cursor_u##width##order(struct cursor *cursor)                    \
    {                                                                                              \
        uint##width##_t value = 0;                                                                 \
        const unsigned char *at = cursor_take(cursor, sizeof(value));                              \
        if (at)                                                                                    \
            memcpy(&value, at, sizeof(value));                                                     \
        return order##width##toh(value);                                                           \
    }
CURSOR_READER(16, be)
CURSOR_READER(32, be)
CURSOR_READER(64, be)
CURSOR_READER(16, le)
CURSOR_READER(32, le)
CURSOR_READER(64, le)
#undef CURSOR_READER

/* ---- Writing --------------------------------------------------------------------------------- */

struct writer {
    unsigned char *data;
    size_t capacity, size; /* size <= capacity, always */
    bool failed;           /* something did not fit; sticky, and nothing after it was written */
};

static inline struct writer writer_over(void *data, size_t capacity)
{
    return (struct writer){.data = data, .capacity = capacity};
}

/* What has been written so far. */
static inline struct leat_slice writer_slice(const struct writer *writer)
{
    DEBUG_ASSERT(writer->size <= writer->capacity);
    return slice_of(writer->data, writer->size);
}

/* Room for `size` bytes that the caller fills at once; NULL and failed when there is none. */
static inline unsigned char *writer_take(struct writer *writer, size_t size)
{
    if (writer->failed || size > writer->capacity - writer->size) {
        writer->failed = true;
        return NULL;
    }
    unsigned char *at = writer->data + writer->size;
    writer->size += size;
    return at;
}

static inline void writer_bytes(struct writer *writer, struct leat_slice bytes)
{
    unsigned char *at = bytes.size > 0 ? writer_take(writer, bytes.size) : NULL;
    if (at)
        memcpy(at, bytes.data, bytes.size);
}

static inline void writer_u8(struct writer *writer, uint8_t value)
{
    unsigned char *at = writer_take(writer, 1);
    if (at)
        *at = value;
}

#define WRITER(width, order)                                                                       \
    static inline void writer_u##width##order(struct writer *writer, uint##width##_t value)        \
    {                                                                                              \
        const uint##width##_t wire = hto##order##width(value);                                     \
        unsigned char *at = writer_take(writer, sizeof(wire));                                     \
        if (at)                                                                                    \
            memcpy(at, &wire, sizeof(wire));                                                       \
    }
WRITER(16, be)
WRITER(32, be)
WRITER(64, be)
WRITER(16, le)
WRITER(32, le)
WRITER(64, le)
#undef WRITER

#endif
