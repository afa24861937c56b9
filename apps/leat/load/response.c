/* SPDX-License-Identifier: MIT */
/*
 * See response.h.
 */
#include "response.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/http1.h"

/* One more than http1_limits_default allows a head to have: never more is held. */
enum { HELD_SIZE = 16 * 1024 + 1 };

void response_begin(struct response *response, bool is_head)
{
    ASSERT(response->held_size == 0);
    response->is_head = is_head;
    response->part = RESPONSE_HEAD;
    response->body_bytes = 0;
}

void response_fini(struct response *response)
{
    free(response->held);
    *response = (struct response){0};
}

static enum response_event take_sized(struct response *response, struct leat_slice *data)
{
    const uint64_t size = data->size < response->body_left ? data->size : response->body_left;
    *data = slice_after(*data, size);
    response->body_bytes += size;
    response->body_left -= size;
    return response->body_left > 0 ? RESPONSE_MORE : RESPONSE_WHOLE;
}

static enum response_event take_chunked(struct response *response, struct leat_slice *data)
{
    struct leat_slice piece;
    for (;;) {
        const int event = http1_chunked_next(&response->chunked, data, &piece);
        if (event < 0)
            return RESPONSE_MALFORMED;
        if (event == HTTP1_CHUNKED_DATA)
            response->body_bytes += piece.size;
        else
            return event == HTTP1_CHUNKED_END ? RESPONSE_WHOLE : RESPONSE_MORE;
    }
}

static enum response_event take_body(struct response *response, struct leat_slice *data)
{
    switch (response->part) {
    case RESPONSE_SIZED: return take_sized(response, data);
    case RESPONSE_CHUNKED: return take_chunked(response, data);
    default:
        ASSERT(response->part == RESPONSE_TO_THE_END);
        response->body_bytes += data->size;
        *data = slice_after(*data, data->size);
        return RESPONSE_MORE;
    }
}

/* RFC 9112, section 6.3. */
static void begin_body(struct response *response, const struct http1_response *head)
{
    response->status = (uint16_t)head->status;
    response->is_last = !head->head.keep_alive || head->status == 101; /* not HTTP any more */
    response->part = RESPONSE_SIZED;
    response->body_left = 0;
    if (response->is_head || head->status < 200 || head->status == 204 || head->status == 304)
        return;
    if (head->head.is_chunked) {
        response->part = RESPONSE_CHUNKED;
        http1_chunked_init(&response->chunked);
    } else if (head->head.has_content_length) {
        response->body_left = head->head.content_length;
    } else {
        response->part = RESPONSE_TO_THE_END;
        response->is_last = true;
    }
}

/* Keeps the start of a head. False: no memory. */
static bool hold(struct response *response, struct leat_slice *data, size_t size)
{
    if (!response->held)
        response->held = malloc(HELD_SIZE);
    if (!response->held)
        return false;
    ASSERT(size <= HELD_SIZE - response->held_size);
    memcpy(response->held + response->held_size, data->data, size);
    response->held_size += (uint32_t)size;
    *data = slice_after(*data, size);
    return true;
}

/* The head's size once it is all there, 0 while it is not, or negative: malformed. What belongs to
 * it is taken off the data. */
static int take_head(struct response *response, struct leat_slice *data,
                     struct http1_response *ret_head)
{
    const size_t before = response->held_size;
    if (before == 0) {
        const int size = http1_parse_response(*data, 0, NULL, ret_head);
        if (size > 0)
            *data = slice_after(*data, (size_t)size);
        else if (size == 0 && !hold(response, data, data->size))
            return -1;
        return size;
    }
    struct leat_slice rest = *data;
    const size_t room = HELD_SIZE - before;
    if (!hold(response, &rest, rest.size < room ? rest.size : room))
        return -1;
    const int size =
        http1_parse_response(slice_of(response->held, response->held_size), before, NULL, ret_head);
    if (size < 0)
        return size;
    ASSERT(size == 0 || (size_t)size > before);
    *data = size == 0 ? rest : slice_after(*data, (size_t)size - before);
    if (size > 0)
        response->held_size = 0;
    return size;
}

enum response_event response_take(struct response *response, struct leat_slice *data)
{
    while (response->part == RESPONSE_HEAD) {
        struct http1_response head;
        const int size = take_head(response, data, &head);
        if (size < 0)
            return RESPONSE_MALFORMED;
        if (size == 0)
            return RESPONSE_MORE;
        if (head.status >= 200 || head.status == 101)
            begin_body(response, &head);
        else if (data->size == 0) /* an interim response: the final one is still to come */
            return RESPONSE_MORE;
    }
    return take_body(response, data);
}

bool response_ends_here(const struct response *response)
{
    return response->part == RESPONSE_TO_THE_END;
}
