/* SPDX-License-Identifier: MIT */
/*
 * Bodies of requests on their way: piece by piece, asked for first (Expect), refused in the middle,
 * and answered while they are sent.
 */
#include "origin.h"

#include "leat/fetch.h"

#define OK(text) "HTTP/1.1 200 OK\r\nContent-Length: " text

static struct leat_client *client;

static int64_t soon(void)
{
    return leat_after_ms(5000);
}

static void run_with_client(enum leat_engine engine, int (*main_fiber)(void *arg))
{
    struct leat_client_counters counters;
    assert_int_equal(leat_client_create(NULL, &client), 0);
    run_main_fiber(engine, main_fiber);
    leat_client_counters(client, &counters);
    assert_int_equal(counters.leased_now, 0);
    leat_client_destroy(client);
}

#define CLIENT_TEST(name)                                                                          \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        run_with_client(engine, name##_fiber);                                                     \
    }                                                                                              \
    ENGINE_TEST(name)

static const char *url_of(const struct origin *origin)
{
    static char text[64];
    snprintf(text, sizeof text, "http://127.0.0.1:%u/", origin->port);
    return text;
}

static struct leat_fetch *open_stream(const struct origin *origin, int64_t size, bool expects)
{
    const struct leat_fetch_request request = {
        .url = url_of(origin), .streamed_size = size, .expects_continue = expects};
    struct leat_fetch *fetch;
    assert_int_equal(leat_fetch_open(client, &request, soon(), &fetch), 0);
    return fetch;
}

static void check_answer(struct leat_fetch *fetch, int status, const char *expected)
{
    struct leat_slice body;
    assert_int_equal(leat_fetch_answer(fetch, soon()), 0);
    assert_int_equal(leat_fetch_status(fetch), status);
    assert_int_equal(leat_fetch_read_all(fetch, 1 << 20, soon(), &body), 0);
    assert_string_equal(body.data, expected);
    leat_fetch_close(fetch);
}

/* ---- Piece by piece -------------------------------------------------------------------------- */

static int pieces_fiber(void *arg)
{
    static const struct origin_answer answers[] = {{.text = OK("2\r\n\r\nok")}};
    struct origin *origin = ORIGIN_START(answers);
    struct leat_fetch *fetch = open_stream(origin, -1, false);
    assert_int_equal(leat_fetch_status(fetch), 0);
    assert_int_equal(leat_fetch_write(fetch, "hello", 5, soon()), 0);
    assert_int_equal(leat_fetch_write(fetch, "", 0, soon()), 0); /* is no last chunk */
    assert_int_equal(leat_fetch_write(fetch, "0123456789abcdef", 16, soon()), 0);
    assert_int_equal(leat_fetch_finish(fetch, soon()), 0);
    assert_int_equal(leat_fetch_finish(fetch, soon()), 0);
    assert_int_equal(leat_fetch_write(fetch, "x", 1, soon()), -EINVAL);
    check_answer(fetch, 200, "ok");
    assert_non_null(strstr(origin->heard, "\r\nTransfer-Encoding: chunked\r\n\r\n"
                                          "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"));

    fetch = open_stream(origin, 5, false);
    assert_int_equal(leat_fetch_write(fetch, "hel", 3, soon()), 0);
    assert_int_equal(leat_fetch_write(fetch, "lo!", 3, soon()), -EINVAL);
    assert_int_equal(leat_fetch_finish(fetch, soon()), -EINVAL);
    assert_int_equal(leat_fetch_answer(fetch, leat_after_ms(10)), -ETIMEDOUT);
    assert_int_equal(leat_fetch_write(fetch, "lo", 2, soon()), 0);
    assert_int_equal(leat_fetch_finish(fetch, soon()), 0);
    check_answer(fetch, 200, "ok");
    assert_non_null(strstr(origin->heard, "\r\nContent-Length: 5\r\n\r\nhello"));
    assert_int_equal(origin->connections, 1);

    fetch = open_stream(origin, 5, false);
    leat_fetch_close(fetch); /* the server was promised more: this connection is of no use */
    fetch = open_stream(origin, -1, false);
    assert_int_equal(leat_fetch_finish(fetch, soon()), 0);
    check_answer(fetch, 200, "ok");
    assert_int_equal(origin->connections, 2);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(pieces)

/* A server that answers as it reads: one fiber writes, another reads. */
enum { ECHO_SIZE = 8 << 20, ECHO_PIECE = 50 * 1000 };

static void write_echo(void *arg)
{
    struct leat_fetch *fetch = arg;
    static char piece[ECHO_PIECE];
    memset(piece, 'e', sizeof piece);
    for (size_t done = 0; done < ECHO_SIZE;) {
        const size_t left = ECHO_SIZE - done, size = left < sizeof piece ? left : sizeof piece;
        assert_int_equal(leat_fetch_write(fetch, piece, size, soon()), 0);
        done += size;
    }
}

static void echo(void *arg)
{
    struct leat_listener *listener = arg;
    struct leat_stream *stream;
    static char data[ECHO_PIECE];
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    assert_int_equal(leat_accept(listener, soon(), &stream), 0);
    size_t left = SIZE_MAX;
    while (left > 0) {
        const ssize_t size = leat_stream_read(stream, data, sizeof data, soon());
        assert_true(size > 0);
        size_t begin = 0;
        if (left == SIZE_MAX) { /* the request's head comes in one piece */
            const char *end = memmem(data, (size_t)size, "\r\n\r\n", 4);
            assert_non_null(end);
            begin = (size_t)(end + 4 - data);
            left = ECHO_SIZE;
            assert_int_equal(leat_stream_write(stream, head, sizeof head - 1, soon()), 0);
        }
        assert_int_equal(leat_stream_write(stream, data + begin, (size_t)size - begin, soon()), 0);
        left -= (size_t)size - begin;
    }
    leat_stream_close(stream);
}

static int both_ways_fiber(void *arg)
{
    struct leat_address address;
    struct leat_listener *listener;
    struct leat_scope scope;
    assert_int_equal(leat_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(leat_listen(&address, NULL, &listener), 0);
    static struct origin place; /* too large for a stack */
    place.port = leat_address_port(leat_listener_address(listener));
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, echo, listener, NULL), 0);
    struct leat_fetch *fetch = open_stream(&place, ECHO_SIZE, false);
    assert_int_equal(leat_spawn(&scope, write_echo, fetch, NULL), 0);
    assert_int_equal(leat_fetch_answer(fetch, soon()), 0);
    static char data[ECHO_PIECE];
    size_t received = 0;
    ssize_t size;
    while ((size = leat_fetch_read(fetch, data, sizeof data, soon())) > 0) {
        for (ssize_t i = 0; i < size; i++)
            assert_int_equal(data[i], 'e');
        received += (size_t)size;
    }
    assert_int_equal(size, 0);
    assert_int_equal(received, ECHO_SIZE);
    assert_int_equal(leat_scope_join(&scope, soon()), 0);
    leat_scope_fini(&scope);
    leat_fetch_close(fetch);
    leat_listener_close(listener);
    return 0;
}
CLIENT_TEST(both_ways)

/* ---- Asked for first ------------------------------------------------------------------------- */

static int open_expecting(const struct origin *origin, const char *body, struct leat_fetch **ret)
{
    const struct leat_fetch_request request = {
        .url = url_of(origin), .body = body, .body_size = strlen(body), .expects_continue = true};
    return leat_fetch_open(client, &request, soon(), ret);
}

static int expect_fiber(void *arg)
{
    static const char wait[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static const struct origin_answer answers[] = {
        {.interim = wait, .text = OK("2\r\n\r\nok")},
        {.interim = "HTTP/1.1 103 E\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
         .text = OK("2\r\n\r\nok")},
        /* says nothing: the body comes all the same, in a second */
        {.text = OK("2\r\n\r\nok")},
        /* does not want it */
        {.text = "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno",
         .is_early = true,
         .end = ORIGIN_CLOSES},
        /* does not know the word */
        {.text = "HTTP/1.1 417 What\r\nContent-Length: 0\r\n\r\n",
         .is_early = true,
         .end = ORIGIN_CLOSES},
        {.text = OK("4\r\n\r\nthen")},
    };
    static const struct {
        int status;
        const char *answer;
        unsigned bodies; /* that have come */
    } rows[] = {{200, "ok", 1}, {200, "ok", 2}, {200, "ok", 3}, {413, "no", 3}, {200, "then", 4}};
    struct origin *origin = ORIGIN_START(answers);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct leat_fetch *fetch;
        const int64_t begin_ns = leat_now_ns();
        assert_int_equal(open_expecting(origin, "a body", &fetch), 0);
        check_answer(fetch, rows[i].status, rows[i].answer);
        assert_int_equal(leat_now_ns() - begin_ns >= LEAT_NS_PER_S, i == 2);
        unsigned bodies = 0;
        for (const char *at = origin->heard; (at = strstr(at, "a body")); at++)
            bodies++;
        assert_int_equal(bodies, rows[i].bodies);
    }
    const char *last = strrchr(origin->heard, 'P');
    assert_null(strstr(last, "Expect"));
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(expect)

static int streamed_expect_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.interim = "HTTP/1.1 100 C\r\n\r\n", .text = OK("2\r\n\r\nok")},
        {.text = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", .is_early = true},
    };
    struct origin *origin = ORIGIN_START(answers);
    struct leat_fetch *fetch = open_stream(origin, -1, true);
    assert_int_equal(leat_fetch_write(fetch, "hello", 5, soon()), 0);
    assert_int_equal(leat_fetch_finish(fetch, soon()), 0);
    check_answer(fetch, 200, "ok");
    for (int64_t size = -1; size <= 5; size += 6) {
        fetch = open_stream(origin, size, true);
        assert_int_equal(leat_fetch_status(fetch), 403);
        assert_int_equal(leat_fetch_write(fetch, "hello", 5, soon()), -EPIPE);
        check_answer(fetch, 403, "no");
        assert_int_equal(origin->connections, size < 0 ? 1 : 2);
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(streamed_expect)

/* ---- Refused in the middle ------------------------------------------------------------------- */

enum { LARGE_SIZE = 30 << 20 };

/* The server says why, and reads no further: that is what the caller hears, not that its bytes
 * could not be sent. */
static int early_answer_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.text = "HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno",
         .is_early = true,
         .end = ORIGIN_HANGS},
    };
    static const struct origin_answer after_100[] = {
        {.interim = "HTTP/1.1 100 C\r\n\r\n",
         .text = "HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno",
         .is_early = true,
         .is_trickled = true,
         .end = ORIGIN_HANGS},
        {.interim = "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno",
         .is_early = true,
         .end = ORIGIN_HANGS},
    };
    struct origin *origin = ORIGIN_START(answers);
    char *large = calloc(1, LARGE_SIZE);
    struct leat_fetch *fetch;
    assert_non_null(large);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            leat_fetch_post(client, url_of(origin), NULL, large, LARGE_SIZE, soon(), &fetch), 0);
        check_answer(fetch, 413, "no");
        assert_int_equal(origin->connections, 1 + i);
    }
    const struct leat_fetch_request expecting = {
        .url = url_of(origin), .body = large, .body_size = LARGE_SIZE, .expects_continue = true};
    for (unsigned i = 0; i < 2; i++) {
        origin->answers = &after_100[i];
        assert_int_equal(leat_fetch_open(client, &expecting, soon(), &fetch), 0);
        check_answer(fetch, 413, "no");
    }
    origin->answers = answers;
    fetch = open_stream(origin, LARGE_SIZE, false);
    assert_int_equal(leat_fetch_write(fetch, large, LARGE_SIZE, leat_after_ms(50)), -ETIMEDOUT);
    check_answer(fetch, 413, "no");
    free(large);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(early_answer)

/* The same, from one that closes. What it says may be lost to the reset that follows; an answer or
 * an error, in no time. */
static int early_close_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.text = "HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno",
         .is_early = true,
         .end = ORIGIN_CLOSES},
    };
    struct origin *origin = ORIGIN_START(answers);
    char *large = calloc(1, LARGE_SIZE);
    assert_non_null(large);
    for (unsigned i = 0; i < 10; i++) {
        struct leat_fetch *fetch;
        const int error =
            leat_fetch_post(client, url_of(origin), NULL, large, LARGE_SIZE, soon(), &fetch);
        assert_true(error == 0 || error == -ECONNRESET || error == -LEAT_E_TRUNCATED);
        if (!error) {
            assert_int_equal(leat_fetch_status(fetch), 413);
            leat_fetch_close(fetch);
        }
    }
    free(large);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(early_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),       cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_expect),       cmocka_unit_test(test_streamed_expect),
        cmocka_unit_test(test_early_answer), cmocka_unit_test(test_early_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
