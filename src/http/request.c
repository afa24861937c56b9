/* SPDX-License-Identifier: MIT */
/*
 * Requests as handlers see them, but for their bodies (reading.c).
 */
#include <errno.h>
#include <string.h>

#include "http/conn.h"
#include "http/keep.h"
#include "http/server.h"
#include "leat/error.h"
#include "net/address.h"
#include "wire/path.h"

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

struct leat_slice leat_http_host(const struct leat_http_request *request)
{
    return request->head.host;
}

int leat_http_peer(const struct leat_http_request *request, struct leat_address *ret_peer)
{
    return keep_peer(exchange_of_request(request)->conn, ret_peer);
}

void *leat_http_alloc(struct leat_http_request *request, size_t size)
{
    /* A body that was read as a whole is in the arena too, and has a limit of its own. */
    const size_t taken = arena_rounded(size);
    if (size > EXCHANGE_ARENA_MAX || taken > EXCHANGE_ARENA_MAX - request->allocated)
        return NULL;
    void *memory = arena_alloc(&request->arena, size);
    request->allocated += memory ? taken : 0;
    return memory;
}

char *leat_http_copy(struct leat_http_request *request, struct leat_slice text)
{
    char *copy = text.data ? leat_http_alloc(request, text.size + 1) : NULL;
    if (copy) {
        memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
    }
    return copy;
}

void leat_http_set_deadline(struct leat_http_request *request, int64_t deadline_ns)
{
    request->deadline_ns = deadline_ns;
    conn_deadline_changed(exchange_of_request(request)->conn);
}

void leat_http_end_soon(struct leat_http_request *request)
{
    conn_end_soon(exchange_of_request(request)->conn);
}

void leat_http_set_body_size_max(struct leat_http_request *request, uint64_t size)
{
    struct body *body = &request->body;
    body->size_max = size > body->received ? size : body->received;
}

int64_t leat_http_body_size(const struct leat_http_request *request)
{
    const struct http1_head *head = &request->head.head;
    return head->is_chunked || request->decoding ? -1 : (int64_t)head->content_length;
}

/* What frames, routes, authorises or describes the message is not a trailer's to say (RFC 9110,
 * section 6.5.1). */
static bool is_forbidden_in_trailer(enum http1_field field)
{
    switch (field) {
    case HTTP1_FIELD_AUTHORIZATION:
    case HTTP1_FIELD_CACHE_CONTROL:
    case HTTP1_FIELD_CONNECTION:
    case HTTP1_FIELD_CONTENT_ENCODING:
    case HTTP1_FIELD_CONTENT_LENGTH:
    case HTTP1_FIELD_CONTENT_RANGE:
    case HTTP1_FIELD_CONTENT_TYPE:
    case HTTP1_FIELD_COOKIE:
    case HTTP1_FIELD_EXPECT:
    case HTTP1_FIELD_HOST:
    case HTTP1_FIELD_IF_MATCH:
    case HTTP1_FIELD_IF_MODIFIED_SINCE:
    case HTTP1_FIELD_IF_NONE_MATCH:
    case HTTP1_FIELD_IF_RANGE:
    case HTTP1_FIELD_IF_UNMODIFIED_SINCE:
    case HTTP1_FIELD_RANGE:
    case HTTP1_FIELD_TRANSFER_ENCODING:
    case HTTP1_FIELD_UPGRADE: return true;
    default: return false;
    }
}

struct leat_slice leat_http_trailer(const struct leat_http_request *request, const char *name)
{
    const struct leat_slice wanted = slice_from_text(name);
    if (request->body.state != BODY_DONE || is_forbidden_in_trailer(http1_field_from_name(wanted)))
        return slice_of(NULL, 0);
    return body_trailer(&request->body, wanted);
}
