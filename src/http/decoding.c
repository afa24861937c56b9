/* SPDX-License-Identifier: MIT */
/*
 * See decoding.h. Coded bytes are received into a buffer of the request's and decoded straight into
 * the reader's memory. The framing below goes on whatever becomes of the coding: where a body is no
 * coded text the connection need not end.
 */
#include "http/decoding.h"

#include <errno.h>

#include "base/assert.h"
#include "codec/decoder.h"
#include "http/conn.h"
#include "http/reading.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "wire/chars.h"

enum decoding_state {
    DECODING_BETWEEN,
    DECODING_WITHIN,
    DECODING_DONE,
    DECODING_FAILED,
};

struct decoding {
    struct decoder *decoder;
    enum decoding_state state;
    int error;               /* of DECODING_FAILED */
    bool has_more;           /* the decoder had too little room for it */
    struct leat_slice input; /* coded, in the buffer */
    char *buffer;
    uint64_t size, size_max; /* decoded so far, and at most */
    uint64_t taken;          /* coded bytes, those in `input` included */
    size_t turn;             /* bytes since other fibers had theirs */
};

/* ---- Which coding ---------------------------------------------------------------------------- */

/* What a request may be coded by; x-gzip is gzip (section 8.4.1.3). */
static enum leat_codec codec_of(struct leat_slice coding)
{
    static const enum leat_codec codecs[] = {LEAT_CODEC_ZSTD, LEAT_CODEC_GZIP, LEAT_CODEC_BROTLI};
    for (size_t index = 0; index < sizeof codecs / sizeof *codecs; index++)
        if (slice_equal_nocase(coding, codec_name(codecs[index])))
            return codecs[index];
    return slice_equal_nocase(coding, SLICE("x-gzip")) ? LEAT_CODEC_GZIP : LEAT_CODECS;
}

/* Of all lines of Content-Encoding: LEAT_CODEC_NONE, one codec, or LEAT_CODECS for what is not
 * undone: another coding, or more than one. */
static enum leat_codec body_codec(const struct http1_head *head)
{
    enum leat_codec found = LEAT_CODEC_NONE;
    for (unsigned line = 0; line < head->line_count; line++) {
        struct leat_slice rest = head->lines[line].value, coding;
        if (head->lines[line].field != HTTP1_FIELD_CONTENT_ENCODING)
            continue;
        while (chars_next_element(&rest, &coding)) {
            if (coding.size == 0 || slice_equal_nocase(coding, codec_name(LEAT_CODEC_NONE)))
                continue;
            if (found != LEAT_CODEC_NONE)
                return LEAT_CODECS;
            found = codec_of(coding);
        }
    }
    return found;
}

/* Section 12.5.3: who refuses a coding says which ones he takes. */
static int refuse(struct leat_http_request *request)
{
    struct exchange *exchange = exchange_of_request(request);
    (void)leat_http_add_field(&exchange->response, "Accept-Encoding", "zstd, gzip, br");
    return exchange->read_error = -EMEDIUMTYPE;
}

int leat_http_decode_body(struct leat_http_request *request, uint64_t size_max)
{
    struct body *body = &request->body;
    const enum leat_codec codec = body_codec(&request->head.head);
    if (request->decoding || body->received > 0)
        return -EALREADY;
    if (!body_is_open(body))
        return 0;
    if (codec == LEAT_CODECS)
        return refuse(request);
    if (codec == LEAT_CODEC_NONE) {
        if (size_max < body->size_max)
            leat_http_set_body_size_max(request, size_max);
        return 0;
    }
    struct decoding *decoding = arena_alloc(&request->arena, sizeof *decoding);
    char *buffer = arena_alloc(&request->arena, DECODING_BUFFER_SIZE);
    struct decoder *decoder;
    const int error = decoding && buffer ? decoder_create(codec, &decoder) : -ENOMEM;
    if (error)
        return exchange_of_request(request)->read_error = error;
    *decoding = (struct decoding){.decoder = decoder, .buffer = buffer, .size_max = size_max};
    request->decoding = decoding;
    return 0;
}

void decoding_fini(struct decoding *decoding)
{
    if (decoding)
        decoder_destroy(decoding->decoder);
}

/* ---- Decoding -------------------------------------------------------------------------------- */

static int fail(struct decoding *decoding, int error)
{
    ASSERT(error < 0);
    decoder_destroy(decoding->decoder);
    decoding->decoder = NULL;
    decoding->state = DECODING_FAILED;
    return decoding->error = error;
}

static bool is_a_bomb(const struct decoding *decoding)
{
    const uint64_t coded = decoding->taken - decoding->input.size;
    return decoding->size > DECODING_RATIO_FREE && decoding->size / DECODING_RATIO_MAX >= coded;
}

/* What the decoder makes of what is there: bytes, 0 for none, or an error. */
static ssize_t run(struct decoding *decoding, char *data, size_t size)
{
    ASSERT(decoding->size <= decoding->size_max && size > 0);
    const uint64_t room = decoding->size_max - decoding->size;
    char beyond; /* at the limit a byte more would be too many: is there one? */
    const size_t at_most = size < DECODING_STEP ? size : DECODING_STEP;
    const size_t out_size = room == 0 ? 1 : room < at_most ? (size_t)room : at_most;
    const size_t before = decoding->input.size;
    size_t made = 0;
    const int result = decoder_run(decoding->decoder, &decoding->input, room > 0 ? data : &beyond,
                                   out_size, &made);
    if (result < 0)
        return fail(decoding, result);
    if (result == 2 && decoding->input.size > 0) /* what follows is no part of the text */
        return fail(decoding, -LEAT_E_MALFORMED);
    ASSERT(made <= out_size && decoding->input.size <= before);
    ASSERT(made > 0 || decoding->input.size < before || result != 1);
    decoding->has_more = result == 1;
    decoding->state = result == 2 ? DECODING_BETWEEN : DECODING_WITHIN;
    decoding->turn += made + (before - decoding->input.size);
    if (made > room)
        return fail(decoding, -LEAT_E_LIMIT);
    decoding->size += made;
    return is_a_bomb(decoding) ? fail(decoding, -LEAT_E_LIMIT) : (ssize_t)made;
}

/* More coded bytes. 0, or an error; the body may have ended. */
static int fill(struct leat_http_request *request, struct decoding *decoding, int64_t deadline_ns)
{
    ASSERT(decoding->input.size == 0 && !decoding->has_more);
    const ssize_t size =
        reading_coded(request, decoding->buffer, DECODING_BUFFER_SIZE, deadline_ns);
    if (size < 0)
        return (int)size;
    if (size == 0 && decoding->state == DECODING_WITHIN)
        return fail(decoding, -LEAT_E_MALFORMED);
    if (size == 0)
        decoding->state = DECODING_DONE;
    decoding->input = slice_of(decoding->buffer, (size_t)size);
    decoding->taken += (uint64_t)size;
    return 0;
}

static ssize_t read_some(struct leat_http_request *request, char *data, size_t size,
                         int64_t deadline_ns)
{
    struct decoding *decoding = request->decoding;
    ssize_t result = 0;
    while (result == 0 && decoding->state != DECODING_DONE) {
        if (decoding->state == DECODING_FAILED)
            return decoding->error;
        if (decoding->turn >= DECODING_TURN) {
            loop_end_turn(exchange_of_request(request)->conn->stream.loop);
            result = leat_yield();
            decoding->turn = result == 0 ? 0 : decoding->turn;
        } else if (decoding->input.size > 0 || decoding->has_more) {
            result = run(decoding, data, size);
        } else {
            result = fill(request, decoding, deadline_ns);
        }
    }
    return result;
}

ssize_t decoding_read(struct leat_http_request *request, void *data, size_t size,
                      int64_t deadline_ns)
{
    const ssize_t result = read_some(request, data, size, deadline_ns);
    exchange_of_request(request)->read_error = result < 0 ? (int)result : 0;
    return result;
}
