/* SPDX-License-Identifier: MIT */
/*
 * Links: what their callers beside leat/fetch.h need of them, over real sockets: bodies that are
 * taken from the stream itself, buffers given back, upgrades, and which connections are used again.
 */
#include "origin.h"

#include "http/conn_pool.h"
#include "http/link.h"

#define OK(text) "HTTP/1.1 200 OK\r\nContent-Length: " text

/* One destination, over which each link is opened. */
static struct {
    struct origin *origin;
    struct conn_pool *pool;
    struct conn_pool_destination *destination;
} place;

static int64_t soon(void)
{
    return leat_after_ms(5000);
}

static int dial(void *user, int64_t deadline_ns)
{
    struct leat_address address;
    assert_int_equal(leat_address_parse("127.0.0.1:1", &address, NULL), 0);
    leat_address_set_port(&address, place.origin->port);
    return stream_connect(&address, NULL, deadline_ns);
}

static void open_link(struct link *link)
{
    struct pooled_conn *conn;
    assert_int_equal(conn_pool_take(conn_pool_shelf_here(place.pool), place.destination,
                                    CONN_POOL_ANY, soon(), &conn),
                     0);
    assert_int_equal(link_open(link, conn), 0);
}

static int ask(struct link *link)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    const struct leat_vector vector = {.data = request, .size = sizeof request - 1};
    return link_ask(link, &vector, 1, soon());
}

/* Closes it; is its connection kept? */
static bool is_kept(struct link *link)
{
    struct conn_pool_counters counters;
    link_close(link);
    conn_pool_destination_counters(place.destination, &counters);
    assert_int_equal(counters.leased_now, 0);
    return counters.resting_now > 0;
}

static void begin(const struct origin_answer *answers, size_t count)
{
    const struct conn_pool_destination_options options = {.name = "t", .dial = dial};
    place.origin = origin_start(answers, count);
    assert_int_equal(conn_pool_add(place.pool, &options, &place.destination), 0);
}

#define BEGIN(answers) begin(answers, sizeof(answers) / sizeof((answers)[0]))

static void end(void)
{
    conn_pool_retire(place.destination);
    origin_stop(place.origin);
}

static void run_with_pool(enum leat_engine engine, int (*main_fiber)(void *arg))
{
    assert_int_equal(conn_pool_create(NULL, &place.pool), 0);
    run_main_fiber(engine, main_fiber);
    conn_pool_destroy(place.pool);
}

#define POOL_TEST(name)                                                                            \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        run_with_pool(engine, name##_fiber);                                                       \
    }                                                                                              \
    ENGINE_TEST(name)

/* ---- Which connections are used again -------------------------------------------------------- */

static int kept_fiber(void *arg)
{
    static const struct {
        const char *text;
        bool asks_head, reads, is_kept;
    } rows[] = {
        {OK("2\r\n\r\nok"), false, true, true},
        {OK("2\r\n\r\nok"), false, false, false}, /* its body is nobody's */
        {OK("2\r\n\r\nok!"), false, true, false},
        {OK("2\r\n\r\no"), false, false, false},
        {OK("0\r\n\r\n"), false, false, true},
        {OK("2\r\n\r\n"), true, false, true},
        {OK("2\r\n\r\nok"), true, false, false}, /* a body where there is none */
        {"HTTP/1.1 304 N\r\nContent-Length: 2\r\n\r\n", false, false, true},
        {"HTTP/1.1 204 N\r\nContent-Length: 2\r\n\r\n", false, false, true},
        {OK("2\r\nConnection: close\r\n\r\nok"), false, true, false},
        {OK("2\r\nConnection: x, CLOSE\r\n\r\nok"), false, true, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, true, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", false, true,
         true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, true,
         true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n!", false, true,
         false},
    };
    struct origin_answer answer;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct link link;
        char data[64];
        answer = (struct origin_answer){.text = rows[i].text};
        begin(&answer, 1);
        open_link(&link);
        link.asks_head = rows[i].asks_head;
        assert_int_equal(ask(&link), 0);
        if (rows[i].reads) {
            assert_int_equal(link_read(&link, data, sizeof data, soon()), 2);
            assert_int_equal(link_read(&link, data, sizeof data, soon()), 0);
        }
        assert_int_equal(is_kept(&link), rows[i].is_kept);
        end();
    }
    return 0;
}
POOL_TEST(kept)

/* Bytes behind a body that come with its last ones, straight from the stream. */
static int too_much_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.interim = OK("4\r\n\r\n"), .text = "body!", .is_trickled = true}};
    struct link link;
    char data[8];
    BEGIN(answers);
    open_link(&link);
    assert_int_equal(ask(&link), 0);
    assert_int_equal(leat_sleep_ms(5), 0);
    for (size_t size = 0; size < 4;) {
        const ssize_t count = link_read(&link, data + size, sizeof data - size, soon());
        assert_true(count > 0);
        size += (size_t)count;
    }
    assert_memory_equal(data, "body", 4);
    assert_int_equal(link_read(&link, data, sizeof data, soon()), 0);
    assert_false(is_kept(&link));
    end();
    return 0;
}
POOL_TEST(too_much)

/* The answer is there and whole, and the request was not. */
static int unsent_fiber(void *arg)
{
    static const struct origin_answer answers[] = {{.text = OK("0\r\n\r\n"), .is_early = true}};
    static const char head[] = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
    const struct leat_vector vectors[] = {{.data = head, .size = sizeof head - 1},
                                          {.data = "hello", .size = 5}};
    struct link link;
    for (size_t count = 1; count <= 2; count++) {
        BEGIN(answers);
        open_link(&link);
        assert_int_equal(link_send(&link, vectors, count, count == 2, soon()), 0);
        assert_int_equal(link_await_head(&link, soon()), 0);
        assert_int_equal(is_kept(&link), count == 2);
        end();
    }
    return 0;
}
POOL_TEST(unsent)

/* ---- Heads ----------------------------------------------------------------------------------- */

/* One after the other; what has come too early waits in the buffer. */
static int interim_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.interim = "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 10",
         .text = "2 P\r\n\r\n" OK("2\r\n\r\nok")}};
    static const int statuses[] = {103, 102, 200};
    struct link link;
    char data[8];
    BEGIN(answers);
    open_link(&link);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(i == 0 ? ask(&link) : link_await_head(&link, soon()), 0);
        assert_int_equal(link.head.status, statuses[i]);
        assert_int_equal(link.has_head, i == 2);
        assert_int_equal(link.head.head.line_count, i != 1);
    }
    assert_int_equal(link_read(&link, data, sizeof data, soon()), 2);
    assert_true(is_kept(&link));
    end();
    return 0;
}
POOL_TEST(interim)

/* A head that does not come in time may be waited for again. */
static int patience_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.interim = "HTTP/1.1 200 OK\r\nContent-", .text = "Length: 2\r\n\r\nok"}};
    static const char head[] = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n";
    const struct leat_vector vectors[] = {{.data = head, .size = sizeof head - 1},
                                          {.data = "x", .size = 1}};
    struct link link;
    BEGIN(answers);
    open_link(&link);
    assert_int_equal(link_send(&link, &vectors[0], 1, false, soon()), 0);
    assert_int_equal(link_await_head(&link, leat_after_ms(10)), -ETIMEDOUT);
    assert_int_equal(link_await_head(&link, leat_after_ms(10)), -ETIMEDOUT);
    assert_int_equal(link_send(&link, &vectors[1], 1, true, soon()), 0);
    assert_int_equal(link_await_head(&link, soon()), 0);
    assert_int_equal(link.body.left, 2);
    link_close(&link);
    end();
    return 0;
}
POOL_TEST(patience)

/* 101 is for who has asked for it; what follows is another protocol's. */
static int upgrade_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.text = "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nother words"}};
    struct link link;
    for (unsigned asks = 0; asks < 2; asks++) {
        BEGIN(answers);
        open_link(&link);
        link.asks_upgrade = asks;
        assert_int_equal(ask(&link), asks ? 0 : -LEAT_E_MALFORMED);
        if (asks) {
            assert_int_equal(link.head.status, 101);
            assert_int_equal(link.end - link.begin, 11);
            assert_memory_equal(link.buffer + link.begin, "other words", 11);
            assert_int_equal(link_plain_left(&link), 0);
            link.begin = link.end; /* taken */
        }
        assert_false(is_kept(&link));
        end();
    }
    return 0;
}
POOL_TEST(upgrade)

/* ---- Bodies from the stream itself ----------------------------------------------------------- */

enum { LARGE_SIZE = 200 * 1000 };

/* As a proxy reads: what is buffered, then what is plain, then what has to be decoded. */
static size_t pass(struct link *link, char *data, size_t *ret_plain)
{
    size_t size = 0;
    ssize_t result = 1;
    *ret_plain = 0;
    while (result > 0) {
        const struct leat_slice buffered = link_take_buffered(link);
        memcpy(data + size, buffered.size > 0 ? buffered.data : "", buffered.size);
        size += buffered.size;
        if (buffered.size > 0)
            continue;
        const uint64_t plain = link_plain_left(link);
        if (plain == 0) {
            link_give_buffer(link);
            assert_null(link->buffer);
            result = link_fill(link, soon());
            continue;
        }
        result = leat_stream_read(&link->conn->stream, data + size,
                                  plain < 10000 ? (size_t)plain : 10000, soon());
        if (result == 0)
            assert_int_equal(link_end_of_stream(link), 0);
        if (result > 0)
            link_took_plain(link, (uint64_t)result);
        size += result > 0 ? (size_t)result : 0;
        *ret_plain += result > 0 ? (size_t)result : 0;
    }
    assert_int_equal(result, 0);
    return size;
}

static int plain_fiber(void *arg)
{
    static const char *const heads[] = {
        OK("200000\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };
    static const char *const ends[] = {"", "\r\n0\r\nX-T: 1\r\n\r\n", ""};
    static char text[LARGE_SIZE + 128], data[LARGE_SIZE];
    for (size_t i = 0; i < 3; i++) {
        struct link link;
        size_t plain, size = strlen(heads[i]);
        memcpy(text, heads[i], size);
        for (size_t at = 0; at < LARGE_SIZE; at++)
            text[size + at] = (char)(at * 31 >> 3);
        memcpy(text + size + LARGE_SIZE, ends[i], strlen(ends[i]));
        const struct origin_answer answers[] = {{.text = text,
                                                 .size = size + LARGE_SIZE + strlen(ends[i]),
                                                 .end = i == 2 ? ORIGIN_CLOSES : ORIGIN_KEEPS}};
        BEGIN(answers);
        open_link(&link);
        assert_int_equal(ask(&link), 0);
        assert_int_equal(pass(&link, data, &plain), LARGE_SIZE);
        assert_memory_equal(data, text + size, LARGE_SIZE);
        assert_int_equal(link.body.received, LARGE_SIZE);
        assert_true(plain >= LARGE_SIZE - LINK_BUFFER_SIZE); /* the rest had come with the head */
        if (i == 1)
            assert_true(slice_equal(body_trailer(&link.body, SLICE("x-t")), SLICE("1")));
        assert_int_equal(is_kept(&link), i < 2);
        end();
    }
    return 0;
}
POOL_TEST(plain)

/* A small body is taken whole, behind its head; others stay where they are. */
static int gather_fiber(void *arg)
{
    static const struct {
        struct origin_answer answer;
        int result;
        size_t size; /* of what is there afterwards */
    } rows[] = {
        {{.text = OK("5\r\nX-A: b\r\n\r\nhello"), .is_trickled = true}, 0, 5},
        {{.text = OK("0\r\n\r\n"), .is_trickled = true}, 0, 0},
        {{.text = OK("5\r\n\r\nhell"), .end = ORIGIN_CLOSES}, -LEAT_E_TRUNCATED, 4},
        {{.text = OK("5\r\n\r\nhell"), .end = ORIGIN_HANGS}, -ETIMEDOUT, 4},
        {{.text = OK("30000\r\n\r\n"), .end = ORIGIN_HANGS}, 0, 0},
        {{.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .end = ORIGIN_HANGS},
         0,
         0},
        {{.text = "HTTP/1.1 200 OK\r\n\r\n", .end = ORIGIN_HANGS}, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct link link;
        begin(&rows[i].answer, 1);
        open_link(&link);
        assert_int_equal(ask(&link), 0);
        assert_int_equal(link_gather(&link, leat_after_ms(rows[i].result ? 100 : 5000)),
                         rows[i].result);
        assert_int_equal(link.end - link.begin, rows[i].size);
        assert_true(slice_equal(link.head.reason, SLICE("OK")));
        if (i == 0) {
            assert_true(slice_equal(link_take_buffered(&link), SLICE("hello")));
            assert_true(is_kept(&link));
        } else {
            link_close(&link);
        }
        end();
    }
    return 0;
}
POOL_TEST(gather)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),     cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_unsent),   cmocka_unit_test(test_interim),
        cmocka_unit_test(test_patience), cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_gather),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
