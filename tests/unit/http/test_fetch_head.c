/* SPDX-License-Identifier: MIT */
/*
 * What a client says: heads to the letter, and what may not be asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/fetch_head.h"
#include "wire/http1.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define FIELDS(list) .fields = list, .field_count = COUNT_OF(list)

/* The head of a request for "http://h:81/p?q" unless it says otherwise. */
static void check_head(struct leat_fetch_request request, const char *expected)
{
    struct fetch_turn turn;
    struct url url;
    struct text text = {0};
    struct http1_request parsed;
    request.url = request.url ? request.url : "http://h:81/p?q";
    assert_int_equal(url_parse(slice_from_text(request.url), &url), 0);
    assert_int_equal(fetch_head_check(&request, &turn), 0);
    fetch_head_write(&request, &turn, &url, SLICE("t"), &text);
    assert_false(text.has_failed);
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
    assert_int_equal(http1_parse_request(slice_of(text.data, text.size), 0, NULL, &parsed),
                     text.size);
    text_fini(&text);
}

static void heads(void **state)
{
    static const char rest[] = "User-Agent: t\r\nAccept: */*\r\n";
    char text[512];
    static const struct {
        struct leat_fetch_request request;
        const char *line_and_host, *framing;
    } rows[] = {
        {{0}, "GET /p?q HTTP/1.1\r\nHost: h:81\r\n", ""},
        {{.url = "http://h/"}, "GET / HTTP/1.1\r\nHost: h\r\n", ""},
        {{.url = "http://h:80/?"}, "GET /? HTTP/1.1\r\nHost: h\r\n", ""},
        {{.url = "http://[::1]:8080/#f"}, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n", ""},
        {{.method = "X-Y"}, "X-Y /p?q HTTP/1.1\r\nHost: h:81\r\n", ""},
        {{.body = "abc", .body_size = 3},
         "POST /p?q HTTP/1.1\r\nHost: h:81\r\n",
         "Content-Length: 3\r\n"},
        {{.body = ""}, "POST /p?q HTTP/1.1\r\nHost: h:81\r\n", "Content-Length: 0\r\n"},
        {{.method = "PUT"}, "PUT /p?q HTTP/1.1\r\nHost: h:81\r\n", "Content-Length: 0\r\n"},
        {{.method = "GET", .body = "abc", .body_size = 3, .expects_continue = true},
         "GET /p?q HTTP/1.1\r\nHost: h:81\r\n",
         "Content-Length: 3\r\nExpect: 100-continue\r\n"},
        {{.expects_continue = true}, "GET /p?q HTTP/1.1\r\nHost: h:81\r\n", ""},
        {{.streamed_size = 7}, "POST /p?q HTTP/1.1\r\nHost: h:81\r\n", "Content-Length: 7\r\n"},
        {{.streamed_size = -1, .expects_continue = true},
         "POST /p?q HTTP/1.1\r\nHost: h:81\r\n",
         "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(text, sizeof text, "%s%s%s\r\n", rows[i].line_and_host, rest, rows[i].framing);
        check_head(rows[i].request, text);
    }
}

static void fields(void **state)
{
    static const struct leat_fetch_field own[] = {{"X-A", "1"}, {"X-A", ""}, {"x-b", "\xc3\xa4 ,"}};
    check_head((struct leat_fetch_request){FIELDS(own)},
               "GET /p?q HTTP/1.1\r\nHost: h:81\r\nUser-Agent: t\r\nAccept: */*\r\n"
               "X-A: 1\r\nX-A: \r\nx-b: \xc3\xa4 ,\r\n\r\n");
    static const struct leat_fetch_field ours[] = {
        {"ACCEPT", "text/html"}, {"Host", "other"}, {"user-agent", "me"}};
    check_head((struct leat_fetch_request){FIELDS(ours)},
               "GET /p?q HTTP/1.1\r\nHost: other\r\nACCEPT: text/html\r\nuser-agent: me\r\n\r\n");
}

static void what_cannot_be_asked(void **state)
{
    static const struct leat_fetch_field fields[] = {
        {"", "1"},
        {NULL, "1"},
        {"a b", "1"},
        {"a:", "1"},
        {"a\r\nb", "1"},
        {"X", "1\r\nY: 2"},
        {"X", "1\n"},
        {"X", "\x01"},
        {"X", "\x7f"},
        {"Connection", "close"},
        {"connection", "x"},
        {"Content-Length", "3"},
        {"CONTENT-LENGTH", "0"},
        {"Expect", "100-continue"},
        {"Keep-Alive", "1"},
        {"Proxy-Connection", "close"},
        {"TE", "trailers"},
        {"Trailer", "x"},
        {"Transfer-Encoding", "chunked"},
        {"Upgrade", "h2c"},
    };
    static const struct leat_fetch_field hosts[] = {{"Host", "a"}, {"host", "a"}};
    const struct leat_fetch_request requests[] = {
        {.url = NULL},
        {.url = "http://h/", .method = ""},
        {.url = "http://h/", .method = "GET "},
        {.url = "http://h/", .method = "G\r\nET"},
        {.url = "http://h/", .method = "CONNECT"},
        {.url = "http://h/", .method = "TRACE", .body = "a", .body_size = 1},
        {.url = "http://h/", .body_size = 1},
        {.url = "http://h/", .streamed_size = -2},
        {.url = "http://h/", .streamed_size = 1, .body = "a", .body_size = 1},
        {.url = "http://h/", .streamed_size = 1, .redirects_max = 1},
        {.url = "http://h/", FIELDS(hosts)},
    };
    struct fetch_turn turn;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        const struct leat_fetch_request request = {
            .url = "http://h/", .fields = &fields[i], .field_count = 1};
        assert_int_equal(fetch_head_check(&request, &turn), -EINVAL);
    }
    for (size_t i = 0; i < COUNT_OF(requests); i++)
        assert_int_equal(fetch_head_check(&requests[i], &turn), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads),
        cmocka_unit_test(fields),
        cmocka_unit_test(what_cannot_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
