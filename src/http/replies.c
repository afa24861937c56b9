/* SPDX-License-Identifier: MIT */
/*
 * Replies made of something: text by printf, JSON, redirects, problem details; and cookies. What is
 * encoded grows in memory that the response then owns, so that a large one is not copied again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/assert.h"
#include "http/exchange.h"
#include "http/status.h"
#include "leat/error.h"
#include "wire/cookie.h"

enum { SMALL_TEXT = 512 };

/* ---- Text ------------------------------------------------------------------------------------ */

static const char text_type[] = "text/plain; charset=utf-8";

/* Of what did not fit into a small text. */
static int reply_long_text(struct leat_http_response *response, int status, size_t size,
                           const char *format, va_list arguments)
{
    struct leat_slice kept;
    const int error = response_begin_reply(response, text_type, &kept);
    if (error)
        return error;
    char *text = malloc(size + 1);
    if (!text)
        return -ENOMEM;
    const int written = vsnprintf(text, size + 1, format, arguments);
    ASSERT(written >= 0 && (size_t)written == size);
    response_set(response, status, kept, text, size);
    response->owned_body = text;
    return 0;
}

int leat_http_reply_text(struct leat_http_response *response, int status, const char *format, ...)
{
    char text[SMALL_TEXT];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    int error = -EINVAL;
    if (size >= 0 && (size_t)size < sizeof text)
        error = leat_http_reply(response, status, text_type, text, (size_t)size);
    else if (size >= 0)
        error = reply_long_text(response, status, (size_t)size, format, again);
    va_end(again);
    va_end(arguments);
    return error;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* JSON in the making. */
struct encoding {
    char *data; /* `first`, or from the allocator */
    size_t size, capacity;
    bool has_no_memory;
    char first[SMALL_TEXT];
};

/* 0, or -1 to end it. */
static int append(const char *data, size_t size, void *user)
{
    struct encoding *encoding = user;
    if (size > encoding->capacity - encoding->size) {
        const bool is_first = encoding->data == encoding->first;
        const size_t capacity = 2 * (encoding->capacity + size);
        char *grown = realloc(is_first ? NULL : encoding->data, capacity);
        encoding->has_no_memory = !grown;
        if (!grown)
            return -1;
        if (is_first)
            memcpy(grown, encoding->first, encoding->size);
        encoding->data = grown;
        encoding->capacity = capacity;
    }
    memcpy(encoding->data + encoding->size, data, size);
    encoding->size += size;
    return 0;
}

static int reply_encoded(struct leat_http_response *response, int status, const char *media_type,
                         const json_t *json)
{
    struct leat_slice kept;
    struct encoding encoding = {.data = encoding.first, .capacity = sizeof encoding.first};
    int error = response_begin_reply(response, media_type, &kept);
    if (!error && json_dump_callback(json, append, &encoding, JSON_COMPACT | JSON_ENCODE_ANY))
        error = encoding.has_no_memory ? -ENOMEM : -EINVAL; /* it contains itself */
    if (!error && encoding.data == encoding.first)
        return leat_http_reply(response, status, media_type, encoding.data, encoding.size);
    if (error) {
        if (encoding.data != encoding.first)
            free(encoding.data);
        return error;
    }
    response_set(response, status, kept, encoding.data, encoding.size);
    response->owned_body = encoding.data;
    return 0;
}

int leat_http_reply_json(struct leat_http_response *response, int status, struct json_t *json)
{
    if (!json)
        return leat_http_reply_error(response, 500);
    const int error = reply_encoded(response, status, "application/json", json);
    json_decref(json);
    return error;
}

/* ---- Problem details ------------------------------------------------------------------------- */

/* NULL: no member. 0, or -1: not UTF-8, or no memory. */
static int set_text(json_t *object, const char *name, const char *text)
{
    return text ? json_object_set_new(object, name, json_string(text)) : 0;
}

int leat_http_reply_problem(struct leat_http_response *response,
                            const struct leat_http_problem *problem)
{
    ASSERT(!problem->extensions || json_is_object(problem->extensions));
    /* "404 Not Found": the title stands behind the number. */
    const bool is_known = status_line(problem->status).data != NULL;
    const struct leat_slice phrase =
        is_known ? slice_after(status_text(problem->status), 4) : SLICE("Unknown");
    json_t *object = json_object();
    int error = object ? 0 : -ENOMEM;
    if (!error && (set_text(object, "type", problem->type) ||
                   (problem->title ? set_text(object, "title", problem->title)
                                   : json_object_set_new(object, "title",
                                                         json_stringn(phrase.data, phrase.size))) ||
                   json_object_set_new(object, "status", json_integer(problem->status)) ||
                   set_text(object, "detail", problem->detail) ||
                   set_text(object, "instance", problem->instance)))
        error = -EINVAL;
    /* Only read; and what RFC 9457 names is not an extension's to say. */
    json_t *const extensions = (json_t *)(uintptr_t)problem->extensions;
    if (!error && extensions && json_object_update_missing(object, extensions))
        error = -ENOMEM;
    if (!error)
        error = reply_encoded(response, problem->status, "application/problem+json", object);
    json_decref(object);
    return error;
}

void leat_http_error_as_problem(struct leat_http_request *request,
                                struct leat_http_response *response, int status, void *user)
{
    const struct leat_http_problem problem = {.status = status};
    ASSERT(exchange_of_request(request) == exchange_of_response(response));
    if (leat_http_reply_problem(response, &problem))
        (void)leat_http_reply_error(response, status); /* plainly */
}

/* ---- Redirects, cookies ---------------------------------------------------------------------- */

int leat_http_redirect(struct leat_http_response *response, int status, const char *location)
{
    const struct leat_slice name = SLICE("Location"), value = slice_from_text(location);
    struct leat_slice none;
    int error = response_begin_reply(response, NULL, &none);
    if (error)
        return error;
    const bool is_redirect = (status >= 301 && status <= 303) || status == 307 || status == 308;
    if (!is_redirect || value.size == 0 || !response_is_field(name, value))
        return -EINVAL;
    error = response_put_field(response, name, value);
    if (!error)
        response_set(response, status, none, NULL, 0);
    return error;
}

int leat_http_set_cookie(struct leat_http_response *response, const struct leat_http_cookie *cookie)
{
    static const enum cookie_same_site same_sites[] = {
        [LEAT_HTTP_SAME_SITE_UNSET] = COOKIE_SAME_SITE_UNSET,
        [LEAT_HTTP_SAME_SITE_LAX] = COOKIE_SAME_SITE_LAX,
        [LEAT_HTTP_SAME_SITE_STRICT] = COOKIE_SAME_SITE_STRICT,
        [LEAT_HTTP_SAME_SITE_NONE] = COOKIE_SAME_SITE_NONE,
    };
    ASSERT((unsigned)cookie->same_site < sizeof same_sites / sizeof *same_sites);
    const struct cookie line = {
        .name = slice_from_text(cookie->name),
        .value = slice_from_text(cookie->value),
        .path = slice_from_text(cookie->path),
        .domain = slice_from_text(cookie->domain),
        .max_age_s = cookie->max_age_s,
        .same_site = same_sites[cookie->same_site],
        .secure = cookie->secure,
        .http_only = cookie->http_only,
    };
    if (response->is_head_out)
        return -EALREADY;
    char text[OUT_FIELDS_END];
    const long size = cookie_format(&line, text, sizeof text);
    if (size < 0)
        return size == -ENOBUFS ? -LEAT_E_LIMIT : (int)size;
    return response_put_field(response, SLICE("Set-Cookie"), slice_of(text, (size_t)size));
}
