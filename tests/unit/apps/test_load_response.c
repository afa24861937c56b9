/* SPDX-License-Identifier: MIT */
/*
 * Responses as leat load takes them in: whatever the bytes are cut into, the same comes of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "load/response.h"

struct expected {
    const char *bytes; /* the response, and nothing behind it */
    bool answers_head;
    enum response_event event;
    uint16_t status;
    uint64_t body_bytes;
    bool is_last;
};

static const struct expected expected[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, RESPONSE_WHOLE, 200, 5, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, RESPONSE_WHOLE, 200, 0, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", false, RESPONSE_WHOLE, 204, 0, false},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, RESPONSE_WHOLE, 304, 0,
     false},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", false, RESPONSE_WHOLE,
     200, 1, true},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, RESPONSE_WHOLE, 200, 1, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: "
     "u\r\n\r\n",
     false, RESPONSE_WHOLE, 200, 5, false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
     "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
     false, RESPONSE_WHOLE, 404, 2, false},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", false,
     RESPONSE_WHOLE, 101, 0, true},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", false, RESPONSE_MORE, 200, 13, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false, RESPONSE_MORE, 200, 4, false},
    {"ICY 200 OK\r\n\r\n", false, RESPONSE_MALFORMED, 0, 0, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, RESPONSE_MALFORMED, 200,
     0, false},
};

/* Feeds the bytes in pieces of the given sizes; a piece is in memory of its own size, so that what
 * reads beyond it is seen. */
static enum response_event feed(struct response *response, const char *bytes, size_t size,
                                size_t first, size_t step)
{
    enum response_event event = RESPONSE_MORE;
    for (size_t begin = 0; begin < size && event == RESPONSE_MORE;) {
        const size_t wanted = begin == 0 ? first : step;
        const size_t piece = wanted < size - begin ? wanted : size - begin;
        char *copy = malloc(piece);
        memcpy(copy, bytes + begin, piece);
        struct leat_slice data = slice_of(copy, piece);
        event = response_take(response, &data);
        if (event != RESPONSE_MALFORMED)
            assert_int_equal(data.size, 0);
        free(copy);
        begin += piece;
        if (event == RESPONSE_WHOLE)
            assert_int_equal(begin, size);
    }
    return event;
}

static void check(const struct expected *wanted, size_t first, size_t step)
{
    struct response response = {0};
    response_begin(&response, wanted->answers_head);
    assert_int_equal(feed(&response, wanted->bytes, strlen(wanted->bytes), first, step),
                     wanted->event);
    if (wanted->event != RESPONSE_MALFORMED) {
        assert_int_equal(response.status, wanted->status);
        assert_int_equal(response.body_bytes, wanted->body_bytes);
        assert_int_equal(response.is_last, wanted->is_last);
        assert_int_equal(response_ends_here(&response),
                         wanted->event == RESPONSE_MORE && wanted->body_bytes == 13);
    }
    response_fini(&response);
}

static void however_it_is_cut(void **state)
{
    for (size_t index = 0; index < sizeof expected / sizeof *expected; index++) {
        const size_t size = strlen(expected[index].bytes);
        for (size_t first = 1; first <= size; first++) {
            check(&expected[index], first, size);
            check(&expected[index], first, 1);
        }
    }
}

static void what_follows_is_left(void **state)
{
    struct response response = {0};
    response_begin(&response, false);
    struct leat_slice data =
        slice_from_text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 408");
    assert_int_equal(response_take(&response, &data), RESPONSE_WHOLE);
    assert_true(slice_equal(data, SLICE("HTTP/1.1 408")));
    response_fini(&response);
}

static void one_after_the_other(void **state)
{
    struct response response = {0};
    for (int round = 0; round < 3; round++)
        for (size_t index = 0; index < sizeof expected / sizeof *expected; index++) {
            const char *bytes = expected[index].bytes;
            if (expected[index].event != RESPONSE_WHOLE)
                continue;
            response_begin(&response, expected[index].answers_head);
            assert_int_equal(feed(&response, bytes, strlen(bytes), 20, 7), RESPONSE_WHOLE);
            assert_int_equal(response.body_bytes, expected[index].body_bytes);
        }
    response_fini(&response);
}

static void a_head_without_end_is_refused(void **state)
{
    for (size_t step = 1; step < 40000; step = step * 3 + 1) {
        enum { SIZE = 40000 };
        char *bytes = malloc(SIZE);
        memset(bytes, 'a', SIZE);
        memcpy(bytes, "HTTP/1.1 200 OK\r\nX: ", 20);
        struct response response = {0};
        response_begin(&response, false);
        assert_int_equal(feed(&response, bytes, SIZE, step, step), RESPONSE_MALFORMED);
        response_fini(&response);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_it_is_cut),
        cmocka_unit_test(what_follows_is_left),
        cmocka_unit_test(one_after_the_other),
        cmocka_unit_test(a_head_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
