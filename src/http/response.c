/* SPDX-License-Identifier: MIT */
/*
 * Responses as handlers build them, replied at once; piece by piece: writing.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/conn.h"
#include "http/server.h"
#include "http/status.h"
#include "leat/error.h"
#include "wire/chars.h"

/* Bodies up to this size are copied into what the exchange has at hand. */
enum { SMALL_COPY_MAX = 512 };

/* What exchange_finish adds: Content-Type, Content-Length, Connection, and the empty line. */
enum { LAST_FIELDS_MAX = 256 };

static_assert(LAST_FIELDS_MAX >= sizeof "Content-Type: \r\nContent-Length: \r\n"
                                        "Connection: keep-alive\r\n\r\n" +
                                     MEDIA_TYPE_MAX + 20,
              "they fit");

/* ---- Fields ---------------------------------------------------------------------------------- */

static bool is_all(struct leat_slice text, enum chars_class class)
{
    const char *const end = text.data + text.size;
    return chars_skip(text.data, end, class) == end;
}

bool response_is_field(struct leat_slice name, struct leat_slice value)
{
    return name.size > 0 && is_all(name, CHARS_TOKEN) && is_all(value, CHARS_VALUE);
}

/* The caller has seen that it fits. */
static void put(struct leat_http_response *response, struct leat_slice text)
{
    char *out = exchange_of_response(response)->out;
    memcpy(out + response->fields_end, text.data, text.size);
    response->fields_end += (unsigned)text.size;
}

int response_put_field(struct leat_http_response *response, struct leat_slice name,
                       struct leat_slice value)
{
    /* Those of the reply and those that exchange_finish adds always find room. */
    const size_t reserve = RESPONSE_LINES_MAX + LAST_FIELDS_MAX;
    const size_t own = response->lines_end - response->lines_begin;
    if (name.size + value.size + 4 + reserve > OUT_FIELDS_END - response->fields_end + own)
        return -LEAT_E_LIMIT;
    put(response, name);
    put(response, SLICE(": "));
    put(response, value);
    put(response, SLICE("\r\n"));
    return 0;
}

void response_put_lines(struct leat_http_response *response, struct leat_slice lines)
{
    if (response->is_head_out) /* options.on_error has sent it */
        return;
    if (response->lines_end == 0)
        response->lines_begin = response->fields_end;
    ASSERT(response->lines_end == 0 || response->lines_end == response->fields_end);
    put(response, lines);
    response->lines_end = response->fields_end;
    ASSERT(response->lines_end - response->lines_begin <= RESPONSE_LINES_MAX);
    ASSERT(response->fields_end + LAST_FIELDS_MAX <= OUT_FIELDS_END);
}

void response_take_lines_back(struct leat_http_response *response)
{
    char *out = exchange_of_response(response)->out;
    const unsigned begin = response->lines_begin, end = response->lines_end;
    ASSERT(begin <= end && end <= response->fields_end && !response->is_head_out);
    memmove(out + begin, out + end, response->fields_end - end);
    response->fields_end -= end - begin;
    response->lines_begin = response->lines_end = 0;
}

int leat_http_add_field(struct leat_http_response *response, const char *name, const char *value)
{
    const struct leat_slice name_slice = slice_from_text(name);
    const struct leat_slice value_slice = slice_from_text(value);
    if (response->is_head_out)
        return -EALREADY;
    if (!response_is_field(name_slice, value_slice))
        return -EINVAL;
    return response_put_field(response, name_slice, value_slice);
}

int leat_http_status(const struct leat_http_response *response)
{
    return response->status;
}

/* ---- Replies --------------------------------------------------------------------------------- */

__attribute__((noinline)) static void let_go(struct leat_http_response *response)
{
    free(response->owned_body);
    if (response->file)
        leat_file_unref(response->file);
    for (size_t index = 1; index <= response->vector_count; index++)
        if (response->vectors[index].file)
            leat_file_unref(response->vectors[index].file);
    response->owned_body = NULL;
    response->file = NULL;
    response->vectors = NULL;
    response->vector_count = 0;
}

void response_release(struct leat_http_response *response)
{
    if (response->owned_body || response->file || response->vector_count > 0)
        let_go(response);
}

void response_set(struct leat_http_response *response, int status, struct leat_slice media_type,
                  const void *body, size_t size)
{
    ASSERT(status >= 200 && status <= 599);
    ASSERT(body != NULL || size == 0);
    ASSERT(response->kind == RESPONSE_WHOLE);
    response_release(response);
    if (response->lines_end > 0)
        response_take_lines_back(response);
    response->status = status;
    response->media_type = media_type;
    response->body = body;
    response->size = size;
}

/* Checks and keeps a media type of the handler's: 0 or an error. */
static int keep_media_type(struct leat_http_response *response, const char *media_type,
                           struct leat_slice *ret_kept)
{
    const struct leat_slice text = slice_from_text(media_type);
    *ret_kept = text;
    if (text.size == 0)
        return 0;
    if (text.size > MEDIA_TYPE_MAX || !is_all(text, CHARS_VALUE))
        return -EINVAL;
    ret_kept->data = arena_copy(&exchange_of_response(response)->request.arena, text);
    return ret_kept->data ? 0 : -ENOMEM;
}

int response_begin_reply(struct leat_http_response *response, const char *media_type,
                         struct leat_slice *ret_media_type)
{
    if (response->kind != RESPONSE_WHOLE)
        return -EALREADY;
    return keep_media_type(response, media_type, ret_media_type);
}

int leat_http_reply_static(struct leat_http_response *response, int status, const char *media_type,
                           const void *body, size_t size)
{
    const struct leat_slice kept = slice_from_text(media_type);
    if (response->kind != RESPONSE_WHOLE)
        return -EALREADY;
    ASSERT(kept.size <= MEDIA_TYPE_MAX);
    response_set(response, status, kept, body, size);
    return 0;
}

int leat_http_reply(struct leat_http_response *response, int status, const char *media_type,
                    const void *body, size_t size)
{
    struct leat_slice kept;
    const int error = response_begin_reply(response, media_type, &kept);
    if (error)
        return error;
    struct arena *arena = &exchange_of_response(response)->request.arena;
    void *owned = NULL, *copy = NULL;
    if (size > 0) {
        copy = size <= SMALL_COPY_MAX ? arena_alloc(arena, size) : (owned = malloc(size));
        if (!copy)
            return -ENOMEM;
        memcpy(copy, body, size);
    }
    response_set(response, status, kept, copy, size);
    response->owned_body = owned;
    return 0;
}

struct leat_vector *response_list(struct leat_http_response *response, size_t count)
{
    ASSERT(count < 2 * VECTORS_MAX);
    return arena_alloc(&exchange_of_response(response)->request.arena,
                       (count + 1) * sizeof(struct leat_vector));
}

void response_set_list(struct leat_http_response *response, int status,
                       struct leat_slice media_type, struct leat_vector *list, size_t count)
{
    uint64_t size = 0;
    for (size_t index = 1; index <= count; index++) {
        size += list[index].size;
        if (list[index].file) /* before the release: it may be the one that is held now */
            leat_file_ref(list[index].file);
    }
    response_set(response, status, media_type, NULL, 0);
    response->vectors = list;
    response->vector_count = count;
    response->size = size;
}

void response_set_vector(struct leat_http_response *response, int status,
                         struct leat_slice media_type, const struct leat_vector *vector)
{
    if (vector->file) /* before the release, as above */
        leat_file_ref(vector->file);
    response_set(response, status, media_type, vector->file ? NULL : vector->data,
                 vector->file ? 0 : vector->size);
    response->file = vector->file;
    response->offset = vector->offset;
    response->size = vector->size;
}

int leat_http_reply_vectors(struct leat_http_response *response, int status, const char *media_type,
                            const struct leat_vector *vectors, size_t count)
{
    struct leat_slice kept;
    const int error = response_begin_reply(response, media_type, &kept);
    if (error)
        return error;
    ASSERT(count < VECTORS_MAX);
    struct leat_vector *list = response_list(response, count);
    if (!list)
        return -ENOMEM;
    if (count > 0)
        memcpy(list + 1, vectors, count * sizeof *list);
    response_set_list(response, status, kept, list, count);
    return 0;
}

int response_set_error(struct leat_http_response *response, int status)
{
    char text[STATUS_LINE_MAX];
    const struct leat_slice line = status_text(status);
    memcpy(text, line.data, line.size);
    text[line.size] = '\n';
    return leat_http_reply(response, status, "text/plain; charset=utf-8", text, line.size + 1);
}

int leat_http_reply_error(struct leat_http_response *response, int status)
{
    struct exchange *exchange = exchange_of_response(response);
    const struct leat_http_options *options = &exchange->conn->server->options;
    if (!options->on_error || response->in_error_hook || !exchange->request.head.method_text.data)
        return response_set_error(response, status);
    if (response->kind != RESPONSE_WHOLE)
        return -EALREADY;
    response->in_error_hook = true;
    options->on_error(&exchange->request, response, status, options->on_error_user);
    response->in_error_hook = false;
    return 0;
}

int leat_http_reply_not_allowed(struct leat_http_request *request,
                                struct leat_http_response *response, const char *allow)
{
    const int status = request->head.method == HTTP1_METHOD_OTHER ? 501 : 405;
    /* Without room for what is allowed it must not be a 405. */
    const int error = status == 405 ? leat_http_add_field(response, "Allow", allow) : 0;
    return leat_http_reply_error(response, error ? 503 : status);
}
