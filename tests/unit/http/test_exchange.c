/* SPDX-License-Identifier: MIT */
/*
 * How responses are put together: what is in the head, what is refused, where the body goes. Bodies
 * that are files are test_files.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/conn.h"
#include "http/server.h"
#include "leat/error.h"

static const char date_line[] = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
static_assert(sizeof date_line - 1 == DATE_LINE_SIZE, "as the server makes it");

struct test {
    struct leat_http_server server;
    struct conn conn;
    struct exchange exchange;
    struct leat_http_response *response;
};

static int set_up(void **state)
{
    struct test *test = calloc(1, sizeof *test);
    assert_non_null(test);
    test->conn.server = &test->server;
    test->response = &test->exchange.response;
    exchange_init(&test->exchange, &test->conn);
    test->exchange.request.head.head.minor_version = 1;
    test->response->keep_alive = true;
    *state = test;
    return 0;
}

static int tear_down(void **state)
{
    struct test *test = *state;
    exchange_fini(&test->exchange);
    free(test);
    return 0;
}

static void expect_sent(struct test *test, const char *text)
{
    exchange_finish(&test->exchange, date_line);
    const struct leat_vector *vector = &test->exchange.vectors[0];
    assert_int_equal(test->exchange.vector_count, 1);
    assert_null(vector->file);
    if (vector->size != strlen(text) || memcmp(vector->data, text, vector->size) != 0)
        fail_msg("sent:\n%.*s\nexpected:\n%s", (int)vector->size, (const char *)vector->data, text);
}

static void a_small_body_rides_behind_the_head(void **state)
{
    struct test *test = *state;
    assert_int_equal(leat_http_add_field(test->response, "X-Mill", "two, wheels"), 0);
    assert_int_equal(leat_http_reply(test->response, 200, "text/plain", "water\n", 6), 0);
    expect_sent(test, "HTTP/1.1 200 OK\r\n"
                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "X-Mill: two, wheels\r\n"
                      "Content-Type: text/plain\r\n"
                      "Content-Length: 6\r\n"
                      "\r\n"
                      "water\n");
}

static void an_empty_body_has_a_length(void **state)
{
    struct test *test = *state;
    assert_int_equal(leat_http_reply(test->response, 200, NULL, NULL, 0), 0);
    expect_sent(test, "HTTP/1.1 200 OK\r\n"
                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "Content-Length: 0\r\n"
                      "\r\n");
}

static void head_has_the_fields_and_no_body(void **state)
{
    struct test *test = *state;
    test->response->is_head_only = true;
    assert_int_equal(leat_http_reply(test->response, 200, "text/plain", "water\n", 6), 0);
    expect_sent(test, "HTTP/1.1 200 OK\r\n"
                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "Content-Type: text/plain\r\n"
                      "Content-Length: 6\r\n"
                      "\r\n");
}

static void no_content_has_neither_length_nor_body(void **state)
{
    struct test *test = *state;
    for (unsigned index = 0; index < 2; index++) {
        exchange_reset(&test->exchange);
        test->response->keep_alive = true;
        assert_int_equal(leat_http_reply(test->response, index ? 304 : 204, NULL, "no", 2), 0);
        expect_sent(test, index ? "HTTP/1.1 304 Not Modified\r\n"
                                  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                  "\r\n"
                                : "HTTP/1.1 204 No Content\r\n"
                                  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                  "\r\n");
    }
}

/* RFC 9110, section 15.3.6. */
static void reset_content_has_no_body(void **state)
{
    struct test *test = *state;
    assert_int_equal(leat_http_reply(test->response, 205, "text/plain", "no", 2), 0);
    expect_sent(test, "HTTP/1.1 205 Reset Content\r\n"
                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "Content-Length: 0\r\n"
                      "\r\n");
}

static void connection_says_what_the_client_can_not_know(void **state)
{
    static const struct {
        int minor_version;
        bool keep_alive;
        const char *line;
    } cases[] = {
        {1, true, ""},
        {1, false, "Connection: close\r\n"},
        {0, true, "Connection: keep-alive\r\n"},
        {0, false, "Connection: close\r\n"},
    };
    struct test *test = *state;
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        char text[256];
        exchange_reset(&test->exchange);
        test->exchange.request.head.head.minor_version = (uint8_t)cases[index].minor_version;
        test->response->keep_alive = cases[index].keep_alive;
        assert_int_equal(leat_http_reply_static(test->response, 200, NULL, NULL, 0), 0);
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n%s\r\n", date_line,
                 cases[index].line);
        expect_sent(test, text);
    }
}

static void an_error_names_its_status(void **state)
{
    struct test *test = *state;
    assert_int_equal(leat_http_reply_error(test->response, 404), 0);
    expect_sent(test, "HTTP/1.1 404 Not Found\r\n"
                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "Content-Type: text/plain; charset=utf-8\r\n"
                      "Content-Length: 14\r\n"
                      "\r\n"
                      "404 Not Found\n");
}

/* Whatever the status, its line and Date find room in front of the fields. */
static void every_status_fits(void **state)
{
    static const int statuses[] = {200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 307,
                                   308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411,
                                   412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 426, 428, 429,
                                   431, 451, 500, 501, 502, 503, 504, 505, 507, 511};
    struct test *test = *state;
    for (size_t index = 0; index < sizeof statuses / sizeof *statuses; index++) {
        struct http1_response parsed;
        exchange_reset(&test->exchange);
        assert_int_equal(leat_http_reply_error(test->response, statuses[index]), 0);
        exchange_finish(&test->exchange, date_line);
        const struct leat_vector *vector = &test->exchange.vectors[0];
        const int size =
            http1_parse_response(slice_of(vector->data, vector->size), 0, NULL, &parsed);
        assert_true(size > 0);
        assert_int_equal(parsed.status, statuses[index]);
        assert_true(parsed.reason.size > 1 && parsed.reason.size < 40);
        const struct leat_slice date = http1_value(&parsed.head, HTTP1_FIELD_DATE);
        assert_true(slice_equal(date, SLICE("Sun, 06 Nov 1994 08:49:37 GMT")));
    }
}

/* What a program makes up is sent too: clients take it for its class's first (RFC 9110, 15). */
static void an_unknown_status_has_no_phrase(void **state)
{
    struct test *test = *state;
    assert_int_equal(leat_http_reply_error(test->response, 599), 0);
    expect_sent(test, "HTTP/1.1 599 \r\n"
                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "Content-Type: text/plain; charset=utf-8\r\n"
                      "Content-Length: 15\r\n"
                      "\r\n"
                      "Status unknown\n");
}

/* A media type on the handler's stack is gone when the response is sent. */
static void a_media_type_is_kept(void **state)
{
    struct test *test = *state;
    char type[] = "text/x-mill";
    assert_int_equal(leat_http_reply(test->response, 200, type, "water\n", 6), 0);
    memset(type, '?', sizeof type - 1);
    expect_sent(test, "HTTP/1.1 200 OK\r\n"
                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "Content-Type: text/x-mill\r\n"
                      "Content-Length: 6\r\n"
                      "\r\n"
                      "water\n");
    assert_int_equal(leat_http_reply(test->response, 200, "a/b\r\nX: y", "", 0), -EINVAL);
}

static void the_last_reply_counts(void **state)
{
    struct test *test = *state;
    assert_int_equal(leat_http_reply(test->response, 200, "text/plain", "first", 5), 0);
    assert_int_equal(leat_http_reply(test->response, 201, "text/html", "second", 6), 0);
    expect_sent(test, "HTTP/1.1 201 Created\r\n"
                      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                      "Content-Type: text/html\r\n"
                      "Content-Length: 6\r\n"
                      "\r\n"
                      "second");
}

static void what_is_no_field_is_refused(void **state)
{
    static const struct {
        const char *name, *value;
        int result;
    } cases[] = {
        {"X", "", 0},
        {"X", "a\tb \x80\xff~", 0},
        {"!#$%&'*+-.^_`|~9aZ", "every token character", 0},
        {"", "value", -EINVAL},
        {"A B", "value", -EINVAL},
        {"A:", "value", -EINVAL},
        {"A\r\nB", "value", -EINVAL},
        {"\xc3\xa4", "value", -EINVAL},
        {"A", "split\r\nSet-Cookie: x", -EINVAL},
        {"A", "bare\nline", -EINVAL},
        {"A", "bare\rreturn", -EINVAL},
        {"A", "\x7f", -EINVAL},
        {"A", "\x01", -EINVAL},
    };
    struct test *test = *state;
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        exchange_reset(&test->exchange);
        assert_int_equal(leat_http_add_field(test->response, cases[index].name, cases[index].value),
                         cases[index].result);
        /* What is refused leaves nothing behind. */
        assert_true((test->response->fields_end == OUT_FIELDS) == (cases[index].result != 0));
    }
}

static void a_full_head_says_so_and_can_still_be_sent(void **state)
{
    struct test *test = *state;
    char value[101];
    memset(value, 'v', 100);
    value[100] = '\0';
    int result = 0;
    unsigned count = 0;
    while (result == 0 && count < 1000) {
        result = leat_http_add_field(test->response, "X-Filler", value);
        count += result == 0;
    }
    assert_int_equal(result, -LEAT_E_LIMIT);
    assert_true(count >= 30);
    /* To the last byte that is granted. */
    for (size_t size = 100; size > 0; size--) {
        value[size] = '\0';
        if (leat_http_add_field(test->response, "Y", value) == 0)
            break;
    }
    test->exchange.request.head.head.minor_version = 0;
    char body[1024];
    memset(body, 'b', sizeof body);
    assert_int_equal(
        leat_http_reply(test->response, 200, "text/plain; charset=utf-8", body, sizeof body), 0);
    exchange_finish(&test->exchange, date_line);
    assert_true(test->response->fields_end - sizeof body <= OUT_FIELDS_END);
    struct http1_response parsed;
    const struct leat_vector *vector = &test->exchange.vectors[0];
    const int size = http1_parse_response(slice_of(vector->data, vector->size), 0, NULL, &parsed);
    assert_true(size > 0);
    assert_int_equal(parsed.head.content_length, sizeof body);
    assert_int_equal(vector->size - (size_t)size, sizeof body);
}

/* Behind the head up to the last byte of `out`; from the next one on beside it, and not copied. */
static void a_larger_body_is_a_vector_of_its_own(void **state)
{
    struct test *test = *state;
    static char body[EXCHANGE_OUT_SIZE];
    bool was_inline = true;
    unsigned changes = 0;
    for (size_t size = EXCHANGE_OUT_SIZE - 400; size <= EXCHANGE_OUT_SIZE; size++) {
        exchange_reset(&test->exchange);
        assert_int_equal(leat_http_reply_static(test->response, 200, "a/b", body, size), 0);
        exchange_finish(&test->exchange, date_line);
        const struct leat_vector *vectors = test->exchange.vectors;
        const bool is_inline = test->exchange.vector_count == 1;
        changes += is_inline != was_inline;
        was_inline = is_inline;
        const char *end = (const char *)vectors[0].data + vectors[0].size;
        assert_true(end <= test->exchange.out + EXCHANGE_OUT_SIZE);
        if (!is_inline) {
            assert_int_equal(test->exchange.vector_count, 2);
            assert_ptr_equal(vectors[1].data, body);
            assert_int_equal(vectors[1].size, size);
            assert_memory_equal(end - 4, "\r\n\r\n", 4);
        }
    }
    assert_int_equal(changes, 1);
    assert_false(was_inline);
}

static void a_copied_body_may_change_afterwards(void **state)
{
    struct test *test = *state;
    char *body = malloc(EXCHANGE_OUT_SIZE);
    assert_non_null(body);
    memset(body, 'a', EXCHANGE_OUT_SIZE);
    assert_int_equal(leat_http_reply(test->response, 200, "a/b", body, EXCHANGE_OUT_SIZE), 0);
    memset(body, 'b', EXCHANGE_OUT_SIZE);
    free(body);
    exchange_finish(&test->exchange, date_line);
    const char *sent = test->exchange.vectors[1].data;
    for (size_t index = 0; index < EXCHANGE_OUT_SIZE; index++)
        assert_int_equal(sent[index], 'a');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_small_body_rides_behind_the_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_body_has_a_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(head_has_the_fields_and_no_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_content_has_neither_length_nor_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reset_content_has_no_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connection_says_what_the_client_can_not_know, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_error_names_its_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_status_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_status_has_no_phrase, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_media_type_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_reply_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_field_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_head_says_so_and_can_still_be_sent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_larger_body_is_a_vector_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copied_body_may_change_afterwards, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
