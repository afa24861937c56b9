/* SPDX-License-Identifier: MIT */
/*
 * Requests as handlers see them, and responses as they are built.
 */
#include "http/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/status.h"
#include "leat/error.h"
#include "net/file.h"
#include "wire/chars.h"
#include "wire/path.h"

/* Files up to this size ride behind the head in one send, read from the page cache: a sendfile of
 * their own costs more than the copy. */
enum { INLINE_FILE_MAX = EXCHANGE_OUT_SIZE - OUT_FIELDS_END };

static_assert(INLINE_FILE_MAX >= 4096, "icons and playlists fit");

/* ---- Request ----------------------------------------------------------------------------------- */

struct leat_slice leat_http_method(const struct leat_http_request *request)
{
    return request->head.method_text;
}

bool leat_http_is_get(const struct leat_http_request *request)
{
    return request->head.method == HTTP1_GET || request->head.method == HTTP1_HEAD;
}

struct leat_slice leat_http_path(const struct leat_http_request *request)
{
    return request->head.path;
}

struct leat_slice leat_http_query(const struct leat_http_request *request)
{
    return request->head.query;
}

struct leat_slice leat_http_field(const struct leat_http_request *request, const char *name)
{
    const struct http1_head *head = &request->head.head;
    const struct leat_slice wanted = slice_from_text(name);
    const enum http1_field field = http1_field_from_name(wanted);
    if (field != HTTP1_FIELD_OTHER)
        return http1_value(head, field);
    for (unsigned line = 0; line < head->line_count; line++)
        if (slice_equal_nocase(head->lines[line].name, wanted))
            return head->lines[line].value;
    return slice_of(NULL, 0);
}

int leat_http_local_path(const struct leat_http_request *request, char *buffer, size_t buffer_size,
                         bool *ret_is_directory)
{
    struct path path;
    const int error = path_normalise(request->head.path, buffer, buffer_size, &path);
    if (error)
        return error == -LEAT_E_MALFORMED ? 400 : 404;
    *ret_is_directory = path.has_slash_at_end || path.text.size == 0;
    if (path.text.size == 0) {
        if (buffer_size < 2)
            return 404;
        memcpy(buffer, ".", 2);
    }
    return 0;
}

/* ---- Response ---------------------------------------------------------------------------------- */

void response_reset(struct leat_http_response *response)
{
    *response = (struct leat_http_response){.fields_end = OUT_FIELDS};
}

void response_release(struct leat_http_response *response)
{
    free(response->owned_body);
    leat_file_unref(response->file);
    response->owned_body = NULL;
    response->file = NULL;
    response->body = NULL;
    response->size = 0;
}

static bool is_all(struct leat_slice text, enum chars_class class)
{
    const char *const end = text.data + text.size;
    return chars_skip(text.data, end, class) == end;
}

/* The caller has seen that it fits. */
static void put(struct leat_http_response *response, struct leat_slice text)
{
    char *out = exchange_of_response(response)->out;
    memcpy(out + response->fields_end, text.data, text.size);
    response->fields_end += (unsigned)text.size;
}

static int put_field(struct leat_http_response *response, struct leat_slice name,
                     struct leat_slice value)
{
    /* The lines that exchange_finish adds always find room. */
    const size_t reserve = 400;
    if (name.size + value.size + 4 + reserve > OUT_FIELDS_END - response->fields_end)
        return -LEAT_E_LIMIT;
    put(response, name);
    put(response, SLICE(": "));
    put(response, value);
    put(response, SLICE("\r\n"));
    return 0;
}

int leat_http_add_field(struct leat_http_response *response, const char *name, const char *value)
{
    const struct leat_slice name_slice = slice_from_text(name), value_slice = slice_from_text(value);
    if (name_slice.size == 0 || !is_all(name_slice, CHARS_TOKEN) ||
        !is_all(value_slice, CHARS_VALUE))
        return -EINVAL;
    return put_field(response, name_slice, value_slice);
}

int leat_http_reply_static(struct leat_http_response *response, int status, const char *media_type,
                           const void *body, size_t size)
{
    ASSERT(status >= 200 && status <= 599);
    ASSERT(body != NULL || size == 0);
    response_release(response);
    response->status = status;
    response->media_type = media_type;
    response->body = body;
    response->size = size;
    return 0;
}

int leat_http_reply(struct leat_http_response *response, int status, const char *media_type,
                    const void *body, size_t size)
{
    void *copy = NULL;
    if (size > 0) {
        copy = malloc(size);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, body, size);
    }
    leat_http_reply_static(response, status, media_type, copy, size);
    response->owned_body = copy;
    return 0;
}

int leat_http_reply_error(struct leat_http_response *response, int status)
{
    char text[80];
    const int size = snprintf(text, sizeof text, "%d %s\n", status, status_reason(status));
    return leat_http_reply(response, status, "text/plain; charset=utf-8", text, (size_t)size);
}

/* ---- Finishing --------------------------------------------------------------------------------- */

static unsigned put_decimal(char *text, uint64_t number)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (unsigned index = 0; index < count; index++)
        text[index] = digits[count - 1 - index];
    return count;
}

/* Puts the status line and Date in front of the fields; returns where the head begins. */
static unsigned put_start(struct exchange *exchange, const char *date)
{
    const char *reason = status_reason(exchange->response.status);
    const size_t reason_size = strlen(reason);
    const unsigned size = (unsigned)(13 + reason_size + 2 + DATE_LINE_SIZE);
    ASSERT(size <= OUT_FIELDS);
    char *text = exchange->out + OUT_FIELDS - size;
    memcpy(text, "HTTP/1.1 ", 9);
    put_decimal(text + 9, (uint64_t)exchange->response.status);
    text[12] = ' ';
    memcpy(text + 13, reason, reason_size);
    memcpy(text + 13 + reason_size, "\r\n", 2);
    memcpy(text + 13 + reason_size + 2, date, DATE_LINE_SIZE);
    return OUT_FIELDS - size;
}

static bool has_no_content(int status)
{
    return status == 204 || status == 304;
}

static void put_last_fields(struct leat_http_response *response, bool is_old_client)
{
    if (response->media_type) {
        put(response, SLICE("Content-Type: "));
        put(response, slice_from_text(response->media_type));
        put(response, SLICE("\r\n"));
    }
    if (!has_no_content(response->status)) {
        char number[20];
        put(response, SLICE("Content-Length: "));
        put(response, slice_of(number, put_decimal(number, response->size)));
        put(response, SLICE("\r\n"));
    }
    if (!response->keep_alive)
        put(response, SLICE("Connection: close\r\n"));
    else if (is_old_client) /* HTTP/1.0 must be told (RFC 9112, section 9.3) */
        put(response, SLICE("Connection: keep-alive\r\n"));
    put(response, SLICE("\r\n"));
}

/* A small body goes behind the head. Does it? */
static bool put_small_body(struct leat_http_response *response)
{
    struct exchange *exchange = exchange_of_response(response);
    char *place = exchange->out + response->fields_end;
    const size_t room = EXCHANGE_OUT_SIZE - response->fields_end;
    if (response->size > room)
        return false;
    if (response->body) {
        memcpy(place, response->body, response->size);
    } else {
        if (response->size > INLINE_FILE_MAX)
            return false;
        const struct backend_sys *sys = response->file->loop->sys;
        const ssize_t size =
            sys->read_now(sys, response->file->fd, place, response->size, response->offset);
        /* Cold, or shorter than it was: the sender knows what to do about either. */
        if (size != (ssize_t)response->size)
            return false;
    }
    response->fields_end += (unsigned)response->size;
    return true;
}

void exchange_finish(struct exchange *exchange, const char *date)
{
    struct leat_http_response *response = &exchange->response;
    ASSERT(response->status > 0);
    const struct http1_head *head = &exchange->request.head.head;
    const unsigned start = put_start(exchange, date);
    put_last_fields(response, head->minor_version == 0);
    const bool has_body =
        response->size > 0 && !response->is_head_only && !has_no_content(response->status);
    const bool is_apart = has_body && !put_small_body(response);
    exchange->vectors[0] = (struct leat_vector){.data = exchange->out + start,
                                                .size = response->fields_end - start};
    exchange->vector_count = 1;
    if (is_apart)
        exchange->vectors[exchange->vector_count++] = (struct leat_vector){
            .file = response->file,
            .data = response->body,
            .offset = response->offset,
            .size = response->size,
        };
}
