/* SPDX-License-Identifier: MIT */
/*
 * See body.h.
 */
#include "http/body.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/chars.h"

static void begin(struct body *body, const struct http1_head *head, uint64_t size_max,
                  struct arena *arena)
{
    body->state = BODY_DONE;
    body->error = 0;
    body->received = 0;
    body->size_max = size_max;
    body->left = head->content_length;
    body->arena = arena;
    body->trailer = NULL;
    body->trailer_size = 0;
    body->awaits_continue = false;
    if (head->is_chunked) {
        body->state = BODY_CHUNKED;
        http1_chunked_init(&body->chunked);
        body->chunked.wants_trailer = true;
    } else if (body->left > 0) {
        body->state = BODY_SIZED;
    }
}

void body_init(struct body *body, const struct http1_request *head, uint64_t size_max,
               struct arena *arena)
{
    begin(body, &head->head, size_max, arena);
    body->awaits_continue = head->expect_continue && body->state != BODY_DONE;
}

void body_init_of_response(struct body *body, const struct http1_response *head, bool is_head,
                           struct arena *arena)
{
    ASSERT(head->status >= 200);
    begin(body, &head->head, UINT64_MAX, arena);
    if (is_head || head->status == 204 || head->status == 304)
        body->state = BODY_DONE;
    else if (!head->head.is_chunked && !head->head.has_content_length)
        body->state = BODY_TO_THE_END;
}

static int break_off(struct body *body, int error)
{
    body->state = BODY_BROKEN;
    body->error = error;
    return error;
}

static int next_of_any(struct leat_slice *input, struct leat_slice *ret_data)
{
    *ret_data = *input;
    *input = slice_after(*input, input->size);
    return ret_data->size > 0;
}

static int next_sized(struct body *body, struct leat_slice *input, struct leat_slice *ret_data)
{
    if (body->left > body->size_max - body->received)
        return break_off(body, -LEAT_E_LIMIT);
    const size_t size = input->size < body->left ? input->size : (size_t)body->left;
    if (size == 0)
        return 0;
    *ret_data = slice_of(input->data, size);
    *input = slice_after(*input, size);
    body->left -= size;
    if (body->left == 0)
        body->state = BODY_DONE;
    return 1;
}

/* Bounded by the decoder. */
static int keep_trailer(struct body *body, struct leat_slice lines)
{
    if (!body->trailer)
        body->trailer = arena_alloc(body->arena, HTTP1_CHUNKED_TRAILER_MAX);
    if (!body->trailer)
        return break_off(body, -ENOMEM);
    ASSERT(lines.size <= HTTP1_CHUNKED_TRAILER_MAX - body->trailer_size);
    memcpy(body->trailer + body->trailer_size, lines.data, lines.size);
    body->trailer_size += lines.size;
    return 0;
}

static int next_chunked(struct body *body, struct leat_slice *input, struct leat_slice *ret_data)
{
    struct leat_slice data;
    int event;
    while ((event = http1_chunked_next(&body->chunked, input, &data)) == HTTP1_CHUNKED_TRAILER)
        if (body->trailer || (data.data[0] != '\r' && data.data[0] != '\n'))
            if (keep_trailer(body, data) != 0)
                return body->error;
    switch (event) {
    case HTTP1_CHUNKED_MORE: return 0;
    case HTTP1_CHUNKED_END: body->state = BODY_DONE; return 0;
    case HTTP1_CHUNKED_DATA: break;
    default: return break_off(body, -LEAT_E_MALFORMED);
    }
    if (data.size > body->size_max - body->received)
        return break_off(body, -LEAT_E_LIMIT);
    *ret_data = data;
    return 1;
}

int body_next(struct body *body, struct leat_slice *input, struct leat_slice *ret_data)
{
    ASSERT(body->received <= body->size_max);
    int result = 0;
    switch (body->state) {
    case BODY_DONE: return 0;
    case BODY_BROKEN: return body->error;
    case BODY_SIZED: result = next_sized(body, input, ret_data); break;
    case BODY_CHUNKED: result = next_chunked(body, input, ret_data); break;
    case BODY_TO_THE_END: result = next_of_any(input, ret_data); break;
    }
    if (result > 0)
        body->received += ret_data->size;
    return result;
}

void body_skip(struct body *body, uint64_t size)
{
    ASSERT(body_is_open(body) && size <= body->size_max - body->received);
    body->received += size;
    if (body->state == BODY_CHUNKED)
        http1_chunked_skip(&body->chunked, size);
    if (body->state != BODY_SIZED)
        return;
    ASSERT(size <= body->left);
    body->left -= size;
    if (body->left == 0)
        body->state = BODY_DONE;
}

ssize_t body_decode(struct body *body, char *data, size_t size, struct leat_slice *ret_rest)
{
    struct leat_slice input = slice_of(data, size), piece;
    size_t taken = 0;
    int result;
    while ((result = body_next(body, &input, &piece)) > 0) {
        if (piece.data != data + taken)
            memmove(data + taken, piece.data, piece.size);
        taken += piece.size;
    }
    *ret_rest = input;
    return result < 0 && taken == 0 ? result : (ssize_t)taken;
}

struct leat_slice body_trailer(const struct body *body, struct leat_slice name)
{
    struct leat_slice rest = slice_of(body->trailer, body->trailer_size);
    while (rest.size > 0) {
        const char *end = memchr(rest.data, '\n', rest.size);
        ASSERT(end != NULL); /* the decoder has seen all of it */
        const char *colon = memchr(rest.data, ':', (size_t)(end - rest.data));
        if (colon && slice_equal_nocase(slice_of(rest.data, (size_t)(colon - rest.data)), name))
            return chars_trim(slice_of(colon + 1, (size_t)(end - 1 - (colon + 1))));
        rest = slice_after(rest, (size_t)(end + 1 - rest.data));
    }
    return slice_of(NULL, 0);
}
