/* SPDX-License-Identifier: MIT */
/*
 * Queries, cookies, forms. Forms that fit in memory are decoded where they were received: what is
 * decoded never grows, and each text has a byte behind it ('=', '&', a delimiter) that it can be
 * terminated with. Streamed ones pass through one buffer, which is filled when all of it is used
 * up.
 */
#include "leat/form.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/assert.h"
#include "http/exchange.h"
#include "leat/error.h"
#include "wire/chars.h"
#include "wire/cookie.h"
#include "wire/http1.h"
#include "wire/multipart.h"
#include "wire/urlencoded.h"

enum {
    PARTS_MAX = 100,
    PART_HEAD_SIZE_MAX = 4 * 1024,
    BUFFER_SIZE = 16 * 1024,
    FIELDS_STEP = 16,    /* a form's list grows so at first, then doubles */
    JSON_DEPTH_MAX = 64, /* jansson recurses: 80 bytes of stack a level to read, 300 to write */
};

/* What a handler that returns without a reply is then taken to have meant. */
static int fail(struct leat_http_request *request, int error)
{
    ASSERT(error < 0);
    exchange_of_request(request)->read_error = error;
    return error;
}

static bool has_zero(const char *data, size_t size)
{
    return size > 0 && memchr(data, '\0', size) != NULL;
}

static struct leat_slice content_type(const struct leat_http_request *request)
{
    return http1_value(&request->head.head, HTTP1_FIELD_CONTENT_TYPE);
}

/* ---- Queries --------------------------------------------------------------------------------- */

/* Decoded, with a zero behind it; NULL: no memory. */
static const char *decode(struct leat_http_request *request, struct leat_slice text,
                          size_t *ret_size)
{
    char *copy = leat_http_alloc(request, text.size + 1);
    if (!copy)
        return NULL;
    *ret_size = urlencoded_decode(text, copy);
    ASSERT(*ret_size <= text.size);
    copy[*ret_size] = '\0';
    return copy;
}

const char *leat_http_query_value(struct leat_http_request *request, const char *name)
{
    const struct leat_slice wanted = slice_from_text(name);
    struct leat_slice rest = leat_http_query(request), raw_name, raw_value;
    while (urlencoded_next(&rest, &raw_name, &raw_value)) {
        if (!urlencoded_equal(raw_name, wanted))
            continue;
        size_t size;
        const char *value = decode(request, raw_value, &size);
        return value && !has_zero(value, size) ? value : NULL;
    }
    return NULL;
}

int leat_http_query_next(struct leat_http_request *request, struct leat_slice *rest,
                         struct leat_http_form_field *ret_pair)
{
    struct leat_slice raw_name, raw_value;
    while (urlencoded_next(rest, &raw_name, &raw_value)) {
        struct leat_http_form_field pair = {.name = NULL};
        size_t name_size;
        pair.name = decode(request, raw_name, &name_size);
        if (pair.name)
            pair.value = decode(request, raw_value, &pair.value_size);
        if (!pair.value)
            return -ENOMEM;
        if (has_zero(pair.name, name_size))
            continue;
        *ret_pair = pair;
        return 1;
    }
    return 0;
}

/* ---- Cookies --------------------------------------------------------------------------------- */

const char *leat_http_cookie(struct leat_http_request *request, const char *name)
{
    const struct leat_slice wanted = slice_from_text(name);
    const struct http1_head *head = &request->head.head;
    for (unsigned line = 0; line < head->line_count; line++) {
        struct leat_slice rest = head->lines[line].value, found, value;
        if (head->lines[line].field != HTTP1_FIELD_COOKIE)
            continue;
        while (cookie_next(&rest, &found, &value))
            if (slice_equal(found, wanted))
                return leat_http_copy(request, value);
    }
    return NULL;
}

/* ---- Forms in memory ------------------------------------------------------------------------- */

struct form_builder {
    struct arena *arena;
    struct leat_http_form_field *fields;
    size_t count, capacity;
};

/* A field more, at the list's end; or an error. */
static int add_field(struct form_builder *builder, const struct leat_http_form_field *field)
{
    ASSERT(field->name && field->value);
    if (builder->count == LEAT_HTTP_FORM_FIELDS_MAX)
        return -LEAT_E_LIMIT;
    if (builder->count == builder->capacity) {
        const size_t capacity = builder->capacity ? 2 * builder->capacity : FIELDS_STEP;
        struct leat_http_form_field *fields =
            arena_alloc(builder->arena, capacity * sizeof *fields);
        if (!fields)
            return -ENOMEM;
        if (builder->count > 0)
            memcpy(fields, builder->fields, builder->count * sizeof *fields);
        builder->fields = fields;
        builder->capacity = capacity;
    }
    builder->fields[builder->count++] = *field;
    return 0;
}

/* Decodes in place, and terminates: behind the text, or where it got shorter. */
static const char *decode_in_place(char *data, size_t size, size_t *ret_size)
{
    *ret_size = urlencoded_decode(slice_of(data, size), data);
    data[*ret_size] = '\0';
    return data;
}

/* `body` has a zero behind it. */
static int build_urlencoded(struct form_builder *builder, char *body, size_t size)
{
    struct leat_slice rest = slice_of(body, size), name, value;
    int error = 0;
    while (!error && urlencoded_next(&rest, &name, &value)) {
        struct leat_http_form_field field = {.value = ""};
        char *const name_data = body + (name.data - body), *const value_data =
                                                               body + (value.data - body);
        size_t name_size;
        /* The value first: without a '=' it begins where the name ends, and is empty. */
        if (value.size > 0)
            field.value = decode_in_place(value_data, value.size, &field.value_size);
        /* What ends this pair is overwritten; the next one does not begin with it. */
        if (rest.size > 0)
            rest = slice_after(rest, 1);
        field.name = decode_in_place(name_data, name.size, &name_size);
        if (!has_zero(field.name, name_size))
            error = add_field(builder, &field);
    }
    return error;
}

/* A part's head has come: its names, copied. */
static int begin_field(struct form_builder *builder, struct leat_slice head,
                       struct leat_http_form_field *field)
{
    char *texts = arena_alloc(builder->arena, head.size);
    struct multipart_part part;
    if (!texts)
        return -ENOMEM;
    const int error = multipart_parse_head(head, texts, &part);
    if (!error)
        *field = (struct leat_http_form_field){.name = part.name,
                                               .value = "",
                                               .filename = part.filename,
                                               .media_type = part.media_type};
    return error;
}

static int build_multipart(struct form_builder *builder, char *body, size_t size,
                           struct leat_slice boundary)
{
    struct multipart reader;
    struct leat_slice rest = slice_of(body, size), data = slice_of(NULL, 0);
    struct leat_http_form_field field = {.name = NULL};
    multipart_init(&reader, boundary, PART_HEAD_SIZE_MAX);
    for (;;) {
        int event = multipart_next(&reader, &rest, &data), error = 0;
        if (event == MULTIPART_HEAD) {
            error = begin_field(builder, data, &field);
        } else if (event == MULTIPART_DATA) {
            /* All of it in one piece: the body is here as a whole. */
            ASSERT(field.value_size == 0);
            field.value = data.data;
            field.value_size = data.size;
        } else if (event == MULTIPART_PART_END) {
            /* The delimiter behind the data has been used: it makes room for the zero. */
            if (field.value_size > 0)
                body[field.value + field.value_size - body] = '\0';
            error = add_field(builder, &field);
        } else {
            return event == MULTIPART_END ? 0 : event == MULTIPART_MORE ? -LEAT_E_MALFORMED : event;
        }
        if (error)
            return error;
    }
}

static bool is_urlencoded(struct leat_slice type)
{
    const char *const end = type.size > 0 ? memchr(type.data, ';', type.size) : NULL;
    if (end)
        type.size = (size_t)(end - type.data);
    return slice_equal_nocase(chars_trim(type), SLICE("application/x-www-form-urlencoded"));
}

int leat_http_read_form(struct leat_http_request *request, size_t size_max, int64_t deadline_ns,
                        struct leat_http_form *ret_form)
{
    const struct leat_slice boundary = multipart_boundary(content_type(request));
    if (!boundary.data && !is_urlencoded(content_type(request)))
        return fail(request, -EMEDIUMTYPE);
    struct leat_slice body;
    int error = leat_http_read_all(request, size_max, deadline_ns, &body);
    if (error)
        return error;
    struct form_builder builder = {.arena = &request->arena};
    char *const data = (char *)(uintptr_t)body.data; /* the request's memory, and so ours */
    error = boundary.data ? build_multipart(&builder, data, body.size, boundary)
                          : build_urlencoded(&builder, data, body.size);
    if (error)
        return fail(request, error);
    *ret_form = (struct leat_http_form){.fields = builder.fields, .count = builder.count};
    return 0;
}

const char *leat_http_form_value(const struct leat_http_form *form, const char *name)
{
    for (size_t index = 0; index < form->count; index++) {
        const struct leat_http_form_field *field = &form->fields[index];
        if (!field->filename && strcmp(field->name, name) == 0)
            return has_zero(field->value, field->value_size) ? NULL : field->value;
    }
    return NULL;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Does it nest deeper than the stack of a fiber should be asked for? */
static bool is_too_deep(struct leat_slice text)
{
    unsigned depth = 0;
    bool is_in_string = false;
    for (size_t index = 0; index < text.size && depth <= JSON_DEPTH_MAX; index++) {
        const char c = text.data[index];
        if (c == '"')
            is_in_string = !is_in_string;
        else if (is_in_string)
            index += c == '\\';
        else if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return depth > JSON_DEPTH_MAX;
}

int leat_http_read_json(struct leat_http_request *request, size_t size_max, int64_t deadline_ns,
                        struct json_t **ret_json)
{
    struct leat_slice body;
    const int error = leat_http_read_all(request, size_max, deadline_ns, &body);
    if (error)
        return error;
    if (is_too_deep(body))
        return fail(request, -LEAT_E_LIMIT);
    json_error_t position;
    json_t *json =
        json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &position);
    if (!json)
        return fail(request, json_error_code(&position) == json_error_out_of_memory
                                 ? -ENOMEM
                                 : -LEAT_E_MALFORMED);
    *ret_json = json;
    return 0;
}

/* ---- Uploads --------------------------------------------------------------------------------- */

struct leat_http_multipart {
    struct leat_http_request *request;
    struct multipart reader;
    size_t parts_left;
    bool is_in_part;
    int error;   /* it cannot go on; 0: it can */
    char *texts; /* of the present part, head_size_max bytes */
    char *buffer;
    size_t capacity;
    struct leat_slice rest;  /* in the buffer, not yet looked at */
    struct leat_slice piece; /* of data, before that, not yet asked for */
};

int leat_http_multipart_begin(struct leat_http_request *request,
                              const struct leat_http_multipart_options *options,
                              struct leat_http_multipart **ret_multipart)
{
    static const struct leat_http_multipart_options defaults = {0};
    if (!options)
        options = &defaults;
    const struct leat_slice boundary = multipart_boundary(content_type(request));
    if (!boundary.data)
        return fail(request, -EMEDIUMTYPE);
    const size_t head_size_max =
        options->head_size_max ? options->head_size_max : PART_HEAD_SIZE_MAX;
    struct leat_http_multipart *multipart = arena_alloc(&request->arena, sizeof *multipart);
    if (!multipart)
        return fail(request, -ENOMEM);
    *multipart = (struct leat_http_multipart){
        .request = request,
        .parts_left = options->parts_max ? options->parts_max : PARTS_MAX,
        .capacity = options->buffer_size ? options->buffer_size : BUFFER_SIZE,
    };
    multipart_init(&multipart->reader, boundary, head_size_max);
    if (multipart->capacity < multipart_room(&multipart->reader))
        multipart->capacity = multipart_room(&multipart->reader);
    multipart->texts = arena_alloc(&request->arena, head_size_max);
    multipart->buffer = arena_alloc(&request->arena, multipart->capacity);
    if (!multipart->texts || !multipart->buffer)
        return fail(request, -ENOMEM);
    multipart->rest = slice_of(multipart->buffer, 0);
    *ret_multipart = multipart;
    return 0;
}

/* For good. */
static int give_up(struct leat_http_multipart *multipart, int error)
{
    multipart->error = error;
    return fail(multipart->request, error);
}

/* Receives more behind what has not been used up. 0 or an error. */
static int fill(struct leat_http_multipart *multipart, int64_t deadline_ns)
{
    const size_t kept = multipart->rest.size;
    ASSERT(kept < multipart->capacity && multipart->piece.size == 0);
    if (kept > 0)
        memmove(multipart->buffer, multipart->rest.data, kept);
    multipart->rest = slice_of(multipart->buffer, kept);
    const ssize_t size = leat_http_read(multipart->request, multipart->buffer + kept,
                                        multipart->capacity - kept, deadline_ns);
    if (size == 0)
        return give_up(multipart, -LEAT_E_MALFORMED);
    if (size < 0)
        return (int)size;
    multipart->rest.size += (size_t)size;
    return 0;
}

/* The next event, which may have to be waited for; *ret_data goes with HEAD and DATA. */
static int pull(struct leat_http_multipart *multipart, int64_t deadline_ns,
                struct leat_slice *ret_data)
{
    while (!multipart->error) {
        const int event = multipart_next(&multipart->reader, &multipart->rest, ret_data);
        if (event < 0)
            return give_up(multipart, event);
        if (event != MULTIPART_MORE)
            return event;
        const int error = fill(multipart, deadline_ns);
        if (error)
            return error;
    }
    return multipart->error;
}

/* The next piece of the present part: 1, 0 at its end, or an error. */
static int next_piece(struct leat_http_multipart *multipart, int64_t deadline_ns)
{
    if (multipart->piece.size > 0)
        return 1;
    if (!multipart->is_in_part)
        return multipart->error;
    const int event = pull(multipart, deadline_ns, &multipart->piece);
    if (event < 0)
        return event;
    ASSERT(event == MULTIPART_DATA || event == MULTIPART_PART_END);
    multipart->is_in_part = event == MULTIPART_DATA;
    return event == MULTIPART_DATA;
}

int leat_http_multipart_next(struct leat_http_multipart *multipart, int64_t deadline_ns,
                             struct leat_http_part *ret_part)
{
    struct leat_slice head;
    int event;
    do
        multipart->piece.size = 0;
    while ((event = next_piece(multipart, deadline_ns)) > 0);
    if (event == 0)
        event = pull(multipart, deadline_ns, &head);
    if (event < 0 || event == MULTIPART_END)
        return event < 0 ? event : 0;
    ASSERT(event == MULTIPART_HEAD);
    if (multipart->parts_left-- == 0)
        return give_up(multipart, -LEAT_E_LIMIT);
    struct multipart_part part;
    const int error = multipart_parse_head(head, multipart->texts, &part);
    if (error)
        return give_up(multipart, error);
    multipart->is_in_part = true;
    *ret_part =
        (struct leat_http_part){.name = part.name,
                                .filename = part.filename,
                                .media_type = part.media_type ? part.media_type : "text/plain"};
    return 1;
}

ssize_t leat_http_multipart_borrow(struct leat_http_multipart *multipart, int64_t deadline_ns,
                                   const void **ret_data)
{
    const int result = next_piece(multipart, deadline_ns);
    if (result <= 0)
        return result;
    const size_t size = multipart->piece.size;
    *ret_data = multipart->piece.data;
    multipart->piece.size = 0;
    return (ssize_t)size;
}

ssize_t leat_http_multipart_read(struct leat_http_multipart *multipart, void *data, size_t size,
                                 int64_t deadline_ns)
{
    ASSERT(size > 0);
    const int result = next_piece(multipart, deadline_ns);
    if (result <= 0)
        return result;
    if (size > multipart->piece.size)
        size = multipart->piece.size;
    memcpy(data, multipart->piece.data, size);
    multipart->piece = slice_after(multipart->piece, size);
    return (ssize_t)size;
}
