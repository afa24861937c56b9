/* SPDX-License-Identifier: MIT */
/*
 * See rtmp_chunks.h. A header is gathered byte by byte, for only its first bytes tell how long it
 * is; a chunk's payload is copied in one piece.
 */
#include "wire/rtmp_chunks.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "leat/error.h"

enum { EXTENDED = 0xffffff, BUFFER_MIN = 4096 };

void rtmp_chunks_init(struct rtmp_chunks *chunks, size_t message_max, size_t buffered_max)
{
    ASSERT(message_max > 0 && message_max <= buffered_max);
    *chunks = (struct rtmp_chunks){
        .message_max = message_max, .buffered_max = buffered_max, .chunk_size = RTMP_CHUNK_SIZE};
}

static void drop_buffer(struct rtmp_chunks *chunks, struct rtmp_chunk_stream *stream)
{
    ASSERT(chunks->buffered >= stream->capacity);
    chunks->buffered -= stream->capacity;
    free(stream->data);
    stream->data = NULL;
    stream->capacity = 0;
}

void rtmp_chunks_fini(struct rtmp_chunks *chunks)
{
    for (unsigned index = 0; index < RTMP_CHUNK_STREAMS_MAX; index++)
        drop_buffer(chunks, &chunks->streams[index]);
    ASSERT(chunks->buffered == 0);
}

__attribute__((cold)) static int fail(struct rtmp_chunks *chunks, int error, const char *reason)
{
    chunks->reason = reason;
    return error;
}

/* ---- Headers --------------------------------------------------------------------------------- */

/* Section 5.3.1.1: the format, and the chunk stream's id in 1, 2 or 3 bytes. */
struct basic_header {
    unsigned format, size;
    uint32_t id; /* 0: not all of it is there */
};

static struct basic_header basic_header_of(const unsigned char *header, unsigned size)
{
    ASSERT(size > 0);
    struct basic_header basic = {.format = header[0] >> 6, .size = 1, .id = header[0] & 63};
    if (basic.id > 1)
        return basic;
    basic.size = basic.id + 2;
    if (size < basic.size)
        basic.id = 0;
    else if (basic.size == 2)
        basic.id = 64U + header[1];
    else
        basic.id = 64U + header[1] + 256U * header[2];
    return basic;
}

/* The chunk stream, or a new one; NULL: there are too many. */
static struct rtmp_chunk_stream *find_stream(struct rtmp_chunks *chunks, uint32_t id)
{
    for (unsigned index = 0; index < RTMP_CHUNK_STREAMS_MAX; index++) {
        struct rtmp_chunk_stream *const stream = &chunks->streams[index];
        if (stream->id == id || stream->id == 0)
            return stream;
    }
    return NULL;
}

static uint32_t u24_at(const unsigned char *at)
{
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

/* How much of a header there is of each format, behind the basic header (section 5.3.1.2). */
static const unsigned header_sizes[4] = {11, 7, 3, 0};

/* Some do not repeat the extended timestamp in chunks of type 3, as section 5.3.1.3 wants it, but
 * go on with the payload. What stands there is told by its value: as soon as a byte differs, what
 * came is handed back as payload. Only within a message, for a new one may have a new value. */
static bool is_payload(const struct rtmp_chunk_stream *stream, const unsigned char *bytes,
                       unsigned size)
{
    unsigned char wanted[4];
    struct writer writer = writer_over(wanted, sizeof wanted);
    writer_u32be(&writer, stream->extended);
    ASSERT(size <= sizeof wanted);
    return memcmp(bytes, wanted, size) != 0;
}

/* They are read again, before what is there again already: if there is anything, they are from
 * there as well. */
static void give_back(struct rtmp_chunks *chunks, const unsigned char *bytes, unsigned size)
{
    const unsigned left = chunks->again_size - chunks->again_at;
    ASSERT(size + left <= sizeof chunks->again);
    memmove(chunks->again + size, chunks->again + chunks->again_at, left);
    memcpy(chunks->again, bytes, size);
    chunks->again_at = 0;
    chunks->again_size = size + left;
}

/* A new message begins: what its header says, and what it leaves to the one before. */
static int begin_message(struct rtmp_chunks *chunks, struct rtmp_chunk_stream *stream,
                         const unsigned char *header, unsigned format)
{
    struct cursor cursor = cursor_over(slice_of(header, header_sizes[format]));
    if (format < 3) {
        const uint32_t field = u24_at(cursor_take(&cursor, 3));
        stream->delta_ms = field == EXTENDED ? stream->extended : field;
    }
    if (format < 2) {
        stream->message_size = u24_at(cursor_take(&cursor, 3));
        stream->type = cursor_u8(&cursor);
    }
    if (format == 0)
        stream->stream_id = cursor_u32le(&cursor);
    ASSERT(!cursor.failed && cursor_left(&cursor) == 0);
    /* A type 3 behind a type 0 has its timestamp for a delta (section 5.3.1.2.4). */
    stream->time_ms = format == 0 ? stream->delta_ms : stream->time_ms + stream->delta_ms;
    if (stream->message_size > chunks->message_max)
        return fail(chunks, -LEAT_E_LIMIT, "a message is larger than is taken");
    stream->is_in_message = true;
    stream->received = 0;
    return 0;
}

static int begin_chunk(struct rtmp_chunks *chunks, struct rtmp_chunk_stream *stream,
                       const unsigned char *header, const struct basic_header *basic)
{
    if (!stream->is_in_message) {
        stream->id = basic->id;
        const int error = begin_message(chunks, stream, header + basic->size, basic->format);
        if (error)
            return error;
    }
    const uint32_t left = stream->message_size - stream->received;
    stream->chunk_left = left < chunks->chunk_size ? left : chunks->chunk_size;
    chunks->current = stream;
    chunks->header_size = 0;
    return 0;
}

/* With one more byte of the header. 0, whether it is whole (chunks->current) or not. */
static int step_header(struct rtmp_chunks *chunks)
{
    const unsigned char *const header = chunks->header;
    const struct basic_header basic = basic_header_of(header, chunks->header_size);
    if (basic.id == 0)
        return 0;
    struct rtmp_chunk_stream *const stream = find_stream(chunks, basic.id);
    if (!stream)
        return fail(chunks, -LEAT_E_LIMIT, "there are more than 64 chunk streams");
    if (stream->id == 0 && basic.format > 1)
        return fail(chunks, -LEAT_E_MALFORMED, "a chunk stream begins without a whole header");
    if (stream->is_in_message && basic.format != 3)
        return fail(chunks, -LEAT_E_MALFORMED, "a message begins within another one");
    const unsigned fixed = basic.size + header_sizes[basic.format];
    if (chunks->header_size < fixed)
        return 0;
    if (basic.format < 3)
        stream->has_extended = u24_at(header + basic.size) == EXTENDED;
    if (!stream->has_extended)
        return begin_chunk(chunks, stream, header, &basic);
    const unsigned extended_size = chunks->header_size - fixed;
    if (stream->is_in_message && is_payload(stream, header + fixed, extended_size)) {
        give_back(chunks, header + fixed, extended_size);
        return begin_chunk(chunks, stream, header, &basic);
    }
    if (extended_size < 4)
        return 0;
    struct cursor cursor = cursor_over(slice_of(header + fixed, 4));
    stream->extended = cursor_u32be(&cursor);
    if (basic.format == 3 && !stream->is_in_message)
        stream->delta_ms = stream->extended;
    return begin_chunk(chunks, stream, header, &basic);
}

/* ---- Payload --------------------------------------------------------------------------------- */

/* Room for `size` bytes of the message: twice what there was, but no more than the message will
 * need. Buffers of chunk streams that have nothing in them are let go first. */
static int reserve(struct rtmp_chunks *chunks, struct rtmp_chunk_stream *stream, size_t size)
{
    ASSERT(size <= stream->message_size);
    if (size <= stream->capacity)
        return 0;
    size_t capacity = stream->capacity > BUFFER_MIN / 2 ? stream->capacity * 2 : BUFFER_MIN;
    if (capacity < size)
        capacity = size;
    if (capacity > stream->message_size)
        capacity = stream->message_size;
    const size_t more = capacity - stream->capacity;
    if (chunks->buffered + more > chunks->buffered_max)
        for (unsigned index = 0; index < RTMP_CHUNK_STREAMS_MAX; index++)
            if (!chunks->streams[index].is_in_message)
                drop_buffer(chunks, &chunks->streams[index]);
    if (chunks->buffered + more > chunks->buffered_max)
        return fail(chunks, -LEAT_E_LIMIT, "too many messages are begun and not ended");
    unsigned char *const data = realloc(stream->data, capacity);
    if (!data)
        return -ENOMEM;
    stream->data = data;
    stream->capacity = capacity;
    chunks->buffered += more;
    return 0;
}

/* Bytes that are there again go first. */
static struct leat_slice borrow_input(const struct rtmp_chunks *chunks,
                                      const struct leat_slice *input)
{
    if (chunks->again_at < chunks->again_size)
        return slice_of(chunks->again + chunks->again_at, chunks->again_size - chunks->again_at);
    return *input;
}

static void take_input(struct rtmp_chunks *chunks, struct leat_slice *input, size_t size)
{
    if (chunks->again_at < chunks->again_size)
        chunks->again_at += (unsigned)size;
    else
        *input = slice_after(*input, size);
}

static int take_payload(struct rtmp_chunks *chunks, struct leat_slice *input)
{
    struct rtmp_chunk_stream *const stream = chunks->current;
    const struct leat_slice bytes = borrow_input(chunks, input);
    const size_t size = bytes.size < stream->chunk_left ? bytes.size : stream->chunk_left;
    const int error = reserve(chunks, stream, stream->received + size);
    if (error)
        return error;
    if (size > 0)
        memcpy(stream->data + stream->received, bytes.data, size);
    stream->received += (uint32_t)size;
    stream->chunk_left -= (uint32_t)size;
    take_input(chunks, input, size);
    return 0;
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* Section 5.4.1. A chunk is no larger than the largest message. */
static int set_chunk_size(struct rtmp_chunks *chunks, struct cursor body)
{
    const uint32_t size = cursor_u32be(&body);
    if (body.failed || size == 0 || size > INT32_MAX)
        return fail(chunks, -LEAT_E_MALFORMED, "a chunk size is none");
    chunks->chunk_size = size < RTMP_CHUNK_SIZE_MAX ? size : RTMP_CHUNK_SIZE_MAX;
    return 0;
}

/* Section 5.4.2. */
static int abort_message(struct rtmp_chunks *chunks, struct cursor body)
{
    const uint32_t id = cursor_u32be(&body);
    if (body.failed)
        return fail(chunks, -LEAT_E_MALFORMED, "a message to abort is none");
    struct rtmp_chunk_stream *const stream = id > 0 ? find_stream(chunks, id) : NULL;
    if (stream)
        stream->is_in_message = false;
    return 0;
}

/* 1: it is the owner's; 0: it was for us. */
static int end_message(struct rtmp_chunks *chunks, struct rtmp_chunk_stream *stream,
                       struct rtmp_message *ret_message)
{
    const struct leat_slice body = slice_of(stream->data, stream->message_size);
    stream->is_in_message = false;
    if (stream->type == RTMP_SET_CHUNK_SIZE)
        return set_chunk_size(chunks, cursor_over(body));
    if (stream->type == RTMP_ABORT)
        return abort_message(chunks, cursor_over(body));
    *ret_message = (struct rtmp_message){.type = stream->type,
                                         .stream_id = stream->stream_id,
                                         .time_ms = stream->time_ms,
                                         .body = body};
    return 1;
}

int rtmp_chunks_next(struct rtmp_chunks *chunks, struct leat_slice *input,
                     struct rtmp_message *ret_message)
{
    int result = 0;
    while (result == 0) {
        struct rtmp_chunk_stream *const stream = chunks->current;
        if (stream && stream->chunk_left == 0) {
            chunks->current = NULL;
            if (stream->received == stream->message_size)
                result = end_message(chunks, stream, ret_message);
            continue;
        }
        const struct leat_slice bytes = borrow_input(chunks, input);
        if (bytes.size == 0)
            return 0;
        if (stream) {
            result = take_payload(chunks, input);
        } else {
            ASSERT(chunks->header_size < sizeof chunks->header);
            chunks->header[chunks->header_size++] = (unsigned char)bytes.data[0];
            take_input(chunks, input, 1);
            result = step_header(chunks);
        }
    }
    return result;
}
