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
#include "net/residency.h"
#include "wire/chars.h"
#include "wire/path.h"

/* Files up to this size ride behind the head in one send, read from the page cache: a sendfile of
 * their own costs more than the copy. */
enum { INLINE_FILE_MAX = EXCHANGE_OUT_SIZE - OUT_FIELDS_END };

enum { MEDIA_TYPE_MAX = 128 };

static_assert(INLINE_FILE_MAX >= 4096, "icons and playlists fit");

/* ---- Request --------------------------------------------------------------------------------- */

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

/* ---- Response -------------------------------------------------------------------------------- */

void response_reset(struct leat_http_response *response)
{
    *response = (struct leat_http_response){.fields_end = OUT_FIELDS};
}

void response_release(struct leat_http_response *response)
{
    if (response->owned_body)
        free(response->owned_body);
    if (response->file)
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
    const size_t reserve = 512;
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
    const struct leat_slice name_slice = slice_from_text(name);
    const struct leat_slice value_slice = slice_from_text(value);
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
    response->media_type = slice_from_text(media_type);
    ASSERT(response->media_type.size <= MEDIA_TYPE_MAX);
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
    char text[STATUS_LINE_MAX];
    const struct leat_slice line = status_text(status);
    memcpy(text, line.data, line.size);
    text[line.size] = '\n';
    return leat_http_reply(response, status, "text/plain; charset=utf-8", text, line.size + 1);
}

/* ---- Finishing ------------------------------------------------------------------------------- */

static unsigned put_decimal(char *text, uint64_t number)
{
    unsigned count = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        count++;
    for (unsigned index = count; index > 0; number /= 10)
        text[--index] = (char)('0' + number % 10);
    return count;
}

/* Puts the status line and Date in front of the fields; returns where the head begins. */
static unsigned put_start(struct exchange *exchange, const char *date)
{
    const struct leat_slice line = status_line(exchange->response.status);
    const unsigned start = OUT_FIELDS - DATE_LINE_SIZE - (unsigned)line.size;
    static_assert(STATUS_LINE_MAX + DATE_LINE_SIZE <= OUT_FIELDS, "the start fits");
    ASSERT(line.data != NULL && line.size <= STATUS_LINE_MAX); /* a status that we know */
    memcpy(exchange->out + OUT_FIELDS - DATE_LINE_SIZE, date, DATE_LINE_SIZE);
    memcpy(exchange->out + start, line.data, line.size);
    return start;
}

static bool has_no_content(int status)
{
    return status == 204 || status == 304;
}

static char *append(char *at, struct leat_slice text)
{
    memcpy(at, text.data, text.size);
    return at + text.size;
}

/* For these lines put_field has kept room. */
static void put_last_fields(struct leat_http_response *response, bool is_old_client)
{
    char *const out = exchange_of_response(response)->out;
    char *at = out + response->fields_end;
    if (response->media_type.data) {
        at = append(at, SLICE("Content-Type: "));
        at = append(at, response->media_type);
        at = append(at, SLICE("\r\n"));
    }
    if (!has_no_content(response->status)) {
        at = append(at, SLICE("Content-Length: "));
        at += put_decimal(at, response->size);
        at = append(at, SLICE("\r\n"));
    }
    if (!response->keep_alive)
        at = append(at, SLICE("Connection: close\r\n"));
    else if (is_old_client) /* HTTP/1.0 must be told (RFC 9112, section 9.3) */
        at = append(at, SLICE("Connection: keep-alive\r\n"));
    at = append(at, SLICE("\r\n"));
    response->fields_end = (unsigned)(at - out);
    ASSERT(response->fields_end <= OUT_FIELDS_END);
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
        if (size != (ssize_t)response->size) {
            residency_doubt(response->file, response->offset);
            return false;
        }
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
    exchange->vectors[0] =
        (struct leat_vector){.data = exchange->out + start, .size = response->fields_end - start};
    exchange->vector_count = 1;
    if (is_apart)
        exchange->vectors[exchange->vector_count++] = (struct leat_vector){
            .file = response->file,
            .data = response->body,
            .offset = response->offset,
            .size = response->size,
        };
}
