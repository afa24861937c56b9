/* SPDX-License-Identifier: MIT */
/*
 * Servers that mean no good, or that break: answers cut at every byte, lies about their length,
 * garbage, heads without end, answers nobody asked for, silence. Whatever they do, a fetch ends in
 * time with what came or with the error that it is, and no connection that has said too much or too
 * little is used again.
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

/* The outcome of a GET: 0 and the body, or the first error. */
static int fetch_all(const struct origin *origin, int64_t deadline_ns, char *text, size_t text_size)
{
    struct leat_fetch *fetch;
    struct leat_slice body;
    text[0] = '\0';
    int error = leat_fetch_get(client, url_of(origin), deadline_ns, &fetch);
    if (error)
        return error;
    error = leat_fetch_read_all(fetch, text_size - 1, deadline_ns, &body);
    if (!error)
        memcpy(text, body.data, body.size + 1);
    leat_fetch_close(fetch);
    return error;
}

/* ---- Cut at every byte ----------------------------------------------------------------------- */

struct cut_row {
    const char *text, *body;
    size_t head_size; /* the body may end behind it wherever it likes; 0: it may not */
};

/* Cut there: the whole answer, or its beginning where its end cannot be told, or the error of an
 * answer that did not end. */
static void check_cut(struct origin *origin, const struct cut_row *row, size_t cut,
                      enum origin_end end)
{
    const struct origin_answer answer = {
        .text = cut > 0 ? row->text : NULL, .size = cut, .end = end};
    char body[256];
    origin->answers = &answer;
    const size_t size = strlen(row->text);
    const int error = fetch_all(origin, soon(), body, sizeof body);
    if (row->head_size > 0 && cut >= row->head_size && end == ORIGIN_CLOSES) {
        assert_int_equal(error, 0);
        assert_int_equal(strlen(body), cut - row->head_size);
        assert_memory_equal(body, row->body, cut - row->head_size);
    } else if (cut == size && error == 0) {
        assert_string_equal(body, row->body);
    } else if (cut == 0) {
        assert_int_equal(error, -ECONNRESET);
    } else {
        /* a reset may take with it what was sent before */
        assert_true(error == -LEAT_E_TRUNCATED || (end == ORIGIN_RESETS && error == -ECONNRESET));
        assert_true(cut < size || end == ORIGIN_RESETS);
    }
    origin->requests = 0;
}

static int cuts_fiber(void *arg)
{
    static const struct cut_row rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
         "hello", 0},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "",
         0},
        {"HTTP/1.1 200 OK\r\n\r\nhello", "hello", 19},
    };
    struct origin *origin = origin_start(NULL, 1);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        for (size_t cut = 0; cut <= strlen(rows[row].text); cut++) {
            check_cut(origin, &rows[row], cut, ORIGIN_CLOSES);
            check_cut(origin, &rows[row], cut, ORIGIN_RESETS);
        }
    }
    /* in single bytes it is the same answer */
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        const struct origin_answer answer = {
            .text = rows[row].text, .is_trickled = true, .end = ORIGIN_CLOSES};
        char body[64];
        origin->answers = &answer;
        assert_int_equal(fetch_all(origin, soon(), body, sizeof body), 0);
        assert_string_equal(body, rows[row].body);
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(cuts)

/* ---- What is no answer ----------------------------------------------------------------------- */

static int garbage_fiber(void *arg)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"\r\n", -LEAT_E_MALFORMED},
        {"\n", -LEAT_E_MALFORMED},
        {"garbage", -LEAT_E_MALFORMED},
        {"HTTP/1.1 20 OK\r\n\r\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 0200 OK\r\n\r\n", -LEAT_E_MALFORMED},
        {"HTTP/2.0 200 OK\r\n\r\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 200 OK\n\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 200 OK\r\n a: b\r\n\r\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 200 OK\r\na : b\r\n\r\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -LEAT_E_MALFORMED},
        {OK("5\r\nContent-Length: 6\r\n\r\nhello!"), -LEAT_E_MALFORMED},
        {OK("5\r\nTransfer-Encoding: chunked\r\n\r\nhello"), -LEAT_E_MALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", -LEAT_E_MALFORMED},
        {"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", 0},
        {"HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n", 0},
    };
    struct origin *origin = origin_start(NULL, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct origin_answer answer = {.text = rows[i].text};
        char body[64];
        origin_begin_again(origin);
        origin->answers = &answer;
        assert_int_equal(fetch_all(origin, soon(), body, sizeof body), rows[i].error);
        assert_int_equal(origin->requests, 1); /* what has said something is not asked again */
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(garbage)

static int without_end_fiber(void *arg)
{
    enum { COUNT = 4000 };
    static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    static const char ok[] = "HTTP/1.1 200 OK\r\n";
    static char text[COUNT * sizeof interim];
    struct origin *origin = origin_start(NULL, 1);
    struct origin_answer answer = {.text = text};
    char body[64];
    origin->answers = &answer;
    for (size_t i = 0; i < COUNT; i++)
        memcpy(text + i * (sizeof interim - 1), interim, sizeof interim);
    assert_int_equal(fetch_all(origin, soon(), body, sizeof body), -LEAT_E_MALFORMED);
    /* 32 are borne */
    memcpy(text + 32 * (sizeof interim - 1), OK("2\r\n\r\nok"), sizeof OK("2\r\n\r\nok"));
    assert_int_equal(fetch_all(origin, soon(), body, sizeof body), 0);
    assert_string_equal(body, "ok");
    memcpy(text + 32 * (sizeof interim - 1), interim, sizeof interim - 1);
    memcpy(text + 33 * (sizeof interim - 1), OK("2\r\n\r\nok"), sizeof OK("2\r\n\r\nok"));
    assert_int_equal(fetch_all(origin, soon(), body, sizeof body), -LEAT_E_MALFORMED);

    memcpy(text, ok, sizeof ok - 1);
    memset(text + sizeof ok - 1, 'a', 40 * 1000);
    text[sizeof ok + 40 * 1000] = '\0';
    assert_int_equal(fetch_all(origin, soon(), body, sizeof body), -LEAT_E_LIMIT); /* a name */
    memset(text, 'a', 40 * 1000);
    memcpy(text, "HTTP/1.1 200 ", 13);
    assert_int_equal(fetch_all(origin, soon(), body, sizeof body), -LEAT_E_LIMIT);
    size_t size = sizeof ok - 1;
    memcpy(text, ok, size);
    for (unsigned i = 0; i < 100; i++)
        size += (size_t)sprintf(text + size, "X: %u\r\n", i);
    sprintf(text + size, "\r\n");
    assert_int_equal(fetch_all(origin, soon(), body, sizeof body), -LEAT_E_LIMIT);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(without_end)

/* A second answer, or bytes behind the first, belong to nobody: not to the next request. */
static int too_much_fiber(void *arg)
{
    static const char *const texts[] = {
        OK("2\r\n\r\nok") OK("4\r\n\r\nevil"),
        OK("2\r\n\r\nok!"),
        OK("2\r\n\r\nok\r\n"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 2",
        "HTTP/1.1 304 N\r\n\r\nHTTP/1.1 200 E\r\nContent-Length: 4\r\n\r\nevil",
    };
    struct origin *origin = origin_start(NULL, 2);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (unsigned trickles = 0; trickles < 2; trickles++) {
            const struct origin_answer answers[] = {{.text = texts[i], .is_trickled = trickles > 0},
                                                    {.text = OK("4\r\n\r\ngood")}};
            char body[64];
            origin_begin_again(origin);
            origin->answers = answers;
            assert_int_equal(fetch_all(origin, soon(), body, sizeof body), 0);
            assert_string_equal(body, i == 4 ? "" : "ok");
            const unsigned connections = origin->connections;
            assert_int_equal(leat_sleep_ms(2), 0); /* or it is used before more has come */
            assert_int_equal(fetch_all(origin, soon(), body, sizeof body), 0);
            assert_string_equal(body, "good");
            assert_int_equal(origin->connections, connections + 1);
        }
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(too_much)

/* ---- Silence --------------------------------------------------------------------------------- */

static int silence_fiber(void *arg)
{
    static const char *const texts[] = {
        NULL,
        "HTTP/1.1 200",
        "HTTP/1.1 102 P\r\n\r\n",
        OK("5\r\n\r\nhel"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    };
    struct origin *origin = origin_start(NULL, 1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct origin_answer answer = {.text = texts[i], .end = ORIGIN_HANGS};
        char body[64];
        origin->answers = &answer;
        const int64_t begin_ns = leat_now_ns(), wait_ns = 40 * LEAT_NS_PER_MS;
        assert_int_equal(fetch_all(origin, begin_ns + wait_ns, body, sizeof body), -ETIMEDOUT);
        assert_true(leat_now_ns() - begin_ns >= wait_ns);
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(silence)

struct patient {
    const struct origin *origin;
    int result;
};

static void be_patient(void *arg)
{
    struct patient *patient = arg;
    char body[64];
    patient->result = fetch_all(patient->origin, LEAT_FOREVER, body, sizeof body);
}

/* Cancelled wherever it is, a fetch ends, and what it had goes back. */
static int cancelled_fiber(void *arg)
{
    static const char *const texts[] = {NULL, "HTTP/1.1 2", OK("5\r\n\r\nhel")};
    struct origin *origin = origin_start(NULL, 1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct origin_answer answer = {.text = texts[i], .end = ORIGIN_HANGS};
        struct patient patient = {.origin = origin};
        struct leat_scope scope;
        origin_begin_again(origin);
        origin->answers = &answer;
        leat_scope_init(&scope);
        assert_int_equal(leat_spawn(&scope, be_patient, &patient, NULL), 0);
        while (origin->requests == 0)
            assert_int_equal(leat_sleep_ms(1), 0);
        assert_int_equal(leat_sleep_ms(2), 0);
        leat_scope_fini(&scope);
        assert_int_equal(patient.result, -ECANCELED);
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(cancelled)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_without_end), cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_silence),     cmocka_unit_test(test_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
