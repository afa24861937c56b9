/* SPDX-License-Identifier: MIT */
/*
 * A byte at a time but for the data, which is handed on in one piece. One function moves the state;
 * it sees one byte and says whether that may stand here.
 */
#include "wire/http1_chunked.h"

#include "base/assert.h"
#include "wire/chars.h"

void http1_chunked_init(struct http1_chunked *decoder)
{
    *decoder = (struct http1_chunked){.state = CHUNKED_SIZE};
}

/* A digit of the size, or the first byte behind it. */
static int step_size(struct http1_chunked *decoder, char c)
{
    const int digit = chars_hex(c);
    if (digit >= 0) {
        if (decoder->digits == 16 || decoder->left > INT64_MAX >> 4)
            return -400;
        decoder->left = decoder->left << 4 | (unsigned)digit;
        decoder->digits++;
        decoder->state = CHUNKED_DIGITS;
        return 0;
    }
    if (decoder->digits == 0)
        return -400;
    if (c == '\r')
        decoder->state = CHUNKED_SIZE_LF;
    else if (c == ';')
        decoder->state = CHUNKED_EXTENSION;
    else if (chars_is_space(c))
        decoder->state = CHUNKED_SPACE;
    else
        return -400;
    return 0;
}

/* The size is known: data follows, or (size 0) the trailer. */
static void begin_chunk(struct http1_chunked *decoder)
{
    ASSERT(decoder->digits > 0 && decoder->left <= INT64_MAX);
    const bool pays_all = decoder->left >= HTTP1_CHUNKED_OVERHEAD_MAX;
    const uint64_t paid = pays_all ? decoder->overhead : 16 + 2 * decoder->left;
    decoder->overhead -= paid < decoder->overhead ? paid : decoder->overhead;
    decoder->state = decoder->left > 0 ? CHUNKED_DATA : CHUNKED_LINE;
    decoder->digits = 0;
}

/* chunk-size [chunk-ext] CRLF, and the CRLF behind the data. 0, or what is wrong with the byte. */
static int step_chunk(struct http1_chunked *decoder, char c)
{
    if (++decoder->overhead > HTTP1_CHUNKED_OVERHEAD_MAX)
        return -400;
    switch (decoder->state) {
    case CHUNKED_SIZE:
    case CHUNKED_DIGITS: return step_size(decoder, c);
    case CHUNKED_SPACE:
        if (c == ';')
            decoder->state = CHUNKED_EXTENSION;
        return c == ';' || chars_is_space(c) ? 0 : -400;
    case CHUNKED_EXTENSION:
        if (c == '\r')
            decoder->state = CHUNKED_SIZE_LF;
        return c == '\r' || chars_is(c, CHARS_VALUE) ? 0 : -400;
    case CHUNKED_SIZE_LF:
        if (c == '\n')
            begin_chunk(decoder);
        return c == '\n' ? 0 : -400;
    case CHUNKED_DATA_CR: decoder->state = CHUNKED_DATA_LF; return c == '\r' ? 0 : -400;
    default:
        ASSERT(decoder->state == CHUNKED_DATA_LF);
        decoder->state = CHUNKED_SIZE;
        return c == '\n' ? 0 : -400;
    }
}

/* *( field-line CRLF ) CRLF. 0, or what is wrong with the byte. */
static int step_trailer(struct http1_chunked *decoder, char c)
{
    if (++decoder->trailer > HTTP1_CHUNKED_TRAILER_MAX)
        return -431;
    switch (decoder->state) {
    case CHUNKED_LINE:
        decoder->state = c == '\r' ? CHUNKED_END_LF : CHUNKED_NAME;
        return c == '\r' || chars_is(c, CHARS_TOKEN) ? 0 : -400;
    case CHUNKED_NAME:
        if (c == ':')
            decoder->state = CHUNKED_VALUE;
        return c == ':' || chars_is(c, CHARS_TOKEN) ? 0 : -400;
    case CHUNKED_VALUE:
        if (c == '\r')
            decoder->state = CHUNKED_VALUE_LF;
        return c == '\r' || chars_is(c, CHARS_VALUE) ? 0 : -400;
    case CHUNKED_VALUE_LF: decoder->state = CHUNKED_LINE; return c == '\n' ? 0 : -400;
    default:
        ASSERT(decoder->state == CHUNKED_END_LF);
        decoder->state = CHUNKED_DONE;
        return c == '\n' ? 0 : -400;
    }
}

void http1_chunked_skip(struct http1_chunked *decoder, uint64_t size)
{
    ASSERT(size <= http1_chunked_plain(decoder));
    decoder->left -= size;
    if (decoder->left == 0 && decoder->state == CHUNKED_DATA)
        decoder->state = CHUNKED_DATA_CR;
}

static struct leat_slice take_data(struct http1_chunked *decoder, struct leat_slice *input)
{
    ASSERT(decoder->left > 0 && input->size > 0);
    const size_t size = input->size < decoder->left ? input->size : (size_t)decoder->left;
    const struct leat_slice data = slice_of(input->data, size);
    *input = slice_after(*input, size);
    http1_chunked_skip(decoder, size);
    return data;
}

/* What of the input is the trailer's. 0, or what is wrong with the byte the input is left at. */
static int take_trailer(struct http1_chunked *decoder, struct leat_slice *input,
                        struct leat_slice *ret_lines)
{
    const char *const start = input->data;
    int result = 0;
    while (result == 0 && input->size > 0 && decoder->state != CHUNKED_DONE) {
        result = step_trailer(decoder, input->data[0]);
        if (result == 0)
            *input = slice_after(*input, 1);
    }
    *ret_lines = slice_of(start, (size_t)(input->data - start));
    return result;
}

int http1_chunked_next(struct http1_chunked *decoder, struct leat_slice *input,
                       struct leat_slice *ret_data)
{
    if (decoder->state == CHUNKED_BROKEN)
        return -400;
    while (decoder->state != CHUNKED_DONE) {
        if (input->size == 0)
            return HTTP1_CHUNKED_MORE;
        if (decoder->state == CHUNKED_DATA) {
            *ret_data = take_data(decoder, input);
            return HTTP1_CHUNKED_DATA;
        }
        int result;
        if (decoder->state >= CHUNKED_LINE) {
            struct leat_slice lines;
            result = take_trailer(decoder, input, &lines);
            if (result == 0 && decoder->wants_trailer) {
                *ret_data = lines;
                return HTTP1_CHUNKED_TRAILER;
            }
        } else {
            result = step_chunk(decoder, input->data[0]);
            if (result == 0)
                *input = slice_after(*input, 1);
        }
        if (result < 0) {
            decoder->state = CHUNKED_BROKEN;
            return result;
        }
    }
    return HTTP1_CHUNKED_END;
}

size_t http1_chunk_head(uint64_t size, char ret_text[HTTP1_CHUNK_HEAD_SIZE])
{
    ASSERT(size > 0);
    const unsigned digits = (unsigned)(67 - __builtin_clzll(size)) / 4;
    for (unsigned i = 0; i < digits; i++)
        ret_text[i] = "0123456789abcdef"[size >> 4 * (digits - 1 - i) & 15];
    memcpy(ret_text + digits, "\r\n", 2);
    return digits + 2;
}
