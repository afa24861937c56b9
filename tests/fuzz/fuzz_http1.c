/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 heads. Whatever the bytes: cutting them changes nothing; what is accepted is framed in
 * one way only, lies within the input, and parses to the same again when written down; smaller
 * limits refuse, and change nothing else.
 */
#include <stdint.h>
#include <stdlib.h>

#include "fuzz.h"
#include "wire/http1.h"

enum kind { REQUEST, RESPONSE };

/* One outcome, of either kind. */
struct outcome {
    int result;
    const char *start; /* what the slices point into */
    struct http1_request request;
    struct http1_response response;
    const struct http1_head *head;
};

static void parse(enum kind kind, struct leat_slice input, size_t scanned,
                  const struct http1_limits *limits, struct outcome *outcome)
{
    outcome->start = input.data;
    if (kind == REQUEST) {
        outcome->head = &outcome->request.head;
        outcome->result = http1_parse_request(input, scanned, limits, &outcome->request);
    } else {
        outcome->head = &outcome->response.head;
        outcome->result = http1_parse_response(input, scanned, limits, &outcome->response);
    }
}

/* The same bytes; and the same place, unless it is the "/" that stands for no path. */
static void check_same_slice(struct leat_slice a, struct leat_slice b)
{
    ASSERT(slice_equal(a, b));
    ASSERT((a.data == NULL) == (b.data == NULL));
}

static void check_same_head(const struct http1_head *a, const struct http1_head *b)
{
    ASSERT(a->minor_version == b->minor_version && a->keep_alive == b->keep_alive);
    ASSERT(a->wants_upgrade == b->wants_upgrade && a->is_chunked == b->is_chunked);
    ASSERT(a->has_content_length == b->has_content_length);
    ASSERT(a->content_length == b->content_length && a->line_count == b->line_count);
    ASSERT(memcmp(a->first_line, b->first_line, sizeof(a->first_line)) == 0);
    for (size_t i = 0; i < a->line_count; i++) {
        check_same_slice(a->lines[i].name, b->lines[i].name);
        check_same_slice(a->lines[i].value, b->lines[i].value);
        ASSERT(a->lines[i].field == b->lines[i].field);
    }
}

/* Both were accepted, and mean the same. */
static void check_same_message(enum kind kind, const struct outcome *a, const struct outcome *b)
{
    check_same_head(a->head, b->head);
    if (kind == RESPONSE) {
        ASSERT(a->response.status == b->response.status);
        check_same_slice(a->response.reason, b->response.reason);
        return;
    }
    ASSERT(a->request.method == b->request.method && a->request.form == b->request.form);
    ASSERT(a->request.expect_continue == b->request.expect_continue);
    check_same_slice(a->request.method_text, b->request.method_text);
    check_same_slice(a->request.target, b->request.target);
    check_same_slice(a->request.path, b->request.path);
    check_same_slice(a->request.query, b->request.query);
    check_same_slice(a->request.host, b->request.host);
}

static void check_same(enum kind kind, const struct outcome *a, const struct outcome *b)
{
    ASSERT(a->result == b->result);
    if (a->result > 0)
        check_same_message(kind, a, b);
    else if (a->result < 0)
        ASSERT(a->head->error_position == b->head->error_position);
}

static void check_no_controls(struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        ASSERT(text.data[i] != '\r' && text.data[i] != '\n' && text.data[i] != '\0');
}

static char *append(char *at, struct leat_slice text)
{
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

/* An accepted head, written down from what was understood, is accepted and understood again. */
static void check_written(enum kind kind, const struct outcome *accepted)
{
    static char text[32 * 1024];
    static struct outcome again;
    char *at = text;
    if (kind == REQUEST) {
        at = append(at, accepted->request.method_text);
        at = append(append(at, SLICE(" ")), accepted->request.target);
        at = append(at, SLICE(" HTTP/1."));
        *at++ = (char)('0' + accepted->head->minor_version);
    } else {
        at = append(at, SLICE("HTTP/1."));
        *at++ = (char)('0' + accepted->head->minor_version);
        *at++ = ' ';
        *at++ = (char)('0' + accepted->response.status / 100);
        *at++ = (char)('0' + accepted->response.status / 10 % 10);
        *at++ = (char)('0' + accepted->response.status % 10);
        at = append(append(at, SLICE(" ")), accepted->response.reason);
    }
    at = append(at, SLICE("\r\n"));
    for (size_t i = 0; i < accepted->head->line_count; i++) {
        at = append(at, accepted->head->lines[i].name);
        at = append(append(at, SLICE(":")), accepted->head->lines[i].value);
        at = append(at, SLICE("\r\n"));
    }
    at = append(at, SLICE("\r\n"));
    ASSERT((size_t)(at - text) <= sizeof(text));
    /* A status line may gain the blank that it lacked. */
    ASSERT(at - text <= accepted->result + (kind == RESPONSE));
    const struct http1_limits roomy = {
        .line_size = 16 * 1024, .head_size = sizeof(text), .line_count = HTTP1_LINES_MAX};
    parse(kind, slice_of(text, (size_t)(at - text)), 0, &roomy, &again);
    ASSERT(again.result == at - text);
    check_same_message(kind, accepted, &again);
}

static void check_accepted(enum kind kind, struct leat_slice input, const struct outcome *outcome)
{
    const struct http1_head *head = outcome->head;
    ASSERT((size_t)outcome->result <= input.size && outcome->result >= 4);
    ASSERT(memcmp(input.data + outcome->result - 4, "\r\n\r\n", 4) == 0);
    ASSERT(!(head->is_chunked && head->has_content_length) && head->content_length <= INT64_MAX);
    for (size_t i = 0; i < head->line_count; i++) {
        const struct http1_line *line = &head->lines[i];
        ASSERT(line->name.size > 0 && line->name.data > input.data);
        ASSERT(line->value.data + line->value.size <= input.data + outcome->result - 4);
        check_no_controls(line->name);
        check_no_controls(line->value);
    }
    if (kind == REQUEST) {
        ASSERT(head->host_count == 1 || (head->host_count == 0 && head->minor_version == 0));
        const bool has_path = outcome->request.form <= HTTP1_ABSOLUTE_FORM;
        ASSERT(has_path == (outcome->request.path.size > 0));
        ASSERT(!has_path || outcome->request.path.data[0] == '/');
    }
    check_written(kind, outcome);
}

static void check_cut(enum kind kind, struct leat_slice input, size_t cut,
                      const struct outcome *whole)
{
    static struct outcome part;
    char *copy = fuzz_copy(input.data, cut);
    parse(kind, slice_of(copy, cut), 0, NULL, &part);
    ASSERT(!(whole->result > 0 && cut < (size_t)whole->result) || part.result == 0);
    if (part.result == 0)
        parse(kind, input, cut, NULL, &part);
    check_same(kind, whole, &part);
    free(copy);
}

static void check_kind(enum kind kind, struct leat_slice input)
{
    static struct outcome whole, limited;
    parse(kind, input, 0, NULL, &whole);
    ASSERT(whole.result != 0 || input.size < http1_limits_default.head_size);
    for (size_t cut = 0; cut <= input.size; cut += fuzz_stride(input.size))
        check_cut(kind, input, cut, &whole);
    if (whole.result > 0)
        check_accepted(kind, input, &whole);

    const struct http1_limits small = {.line_size = 48, .head_size = 96, .line_count = 3};
    parse(kind, input, 0, &small, &limited);
    ASSERT(limited.result <= (int)small.head_size);
    if (limited.result != -414 && limited.result != -431)
        check_same(kind, &whole, &limited);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    check_kind(REQUEST, slice_of(data, size));
    check_kind(RESPONSE, slice_of(data, size));
    return 0;
}
