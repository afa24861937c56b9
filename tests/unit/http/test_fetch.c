/* SPDX-License-Identifier: MIT */
/*
 * Fetches, over real sockets, from a server that does what it is told to: what is asked, how what
 * is answered is read, which connection is used again, what is asked once more. What servers do
 * that mean no good is in test_fetch_hostile.c.
 */
#include "origin.h"

#include "leat/fetch.h"

#define OK(text) "HTTP/1.1 200 OK\r\nContent-Length: " text

static int64_t soon(void)
{
    return leat_after_ms(5000);
}

static struct leat_client *make_client(void)
{
    struct leat_client *client;
    const struct leat_client_options options = {.user_agent = "t"};
    assert_int_equal(leat_client_create(&options, &client), 0);
    return client;
}

/* Valid until the next two calls. */
static const char *url_of(const struct origin *origin, const char *path)
{
    static char texts[2][256];
    static unsigned turn;
    char *text = texts[turn++ % 2];
    snprintf(text, sizeof texts[0], "http://127.0.0.1:%u%s", origin->port, path);
    return text;
}

static void check_body(struct leat_fetch *fetch, const char *expected)
{
    struct leat_slice body;
    assert_int_equal(leat_fetch_read_all(fetch, 1 << 20, soon(), &body), 0);
    assert_int_equal(body.size, strlen(expected));
    assert_string_equal(body.data, expected);
}

static void check_get(struct leat_client *client, const char *url, int status, const char *body)
{
    struct leat_fetch *fetch;
    assert_int_equal(leat_fetch_get(client, url, soon(), &fetch), 0);
    assert_int_equal(leat_fetch_status(fetch), status);
    check_body(fetch, body);
    leat_fetch_close(fetch);
}

static struct leat_client_counters counters_of(const struct leat_client *client)
{
    struct leat_client_counters counters;
    leat_client_counters(client, &counters);
    return counters;
}

/* ---- Asking and reading ---------------------------------------------------------------------- */

/* Clients are destroyed when their loops are gone. */
static struct leat_client *client;

static void run_with_client(enum leat_engine engine, int (*main_fiber)(void *arg))
{
    client = make_client();
    run_main_fiber(engine, main_fiber);
    const struct leat_client_counters counters = counters_of(client);
    assert_int_equal(counters.leased_now, 0);
    assert_int_equal(counters.waiting_now, 0);
    leat_client_destroy(client);
}

#define CLIENT_TEST(name)                                                                          \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        run_with_client(engine, name##_fiber);                                                     \
    }                                                                                              \
    ENGINE_TEST(name)

static int get_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\nEmpty:\r\n\r\nhello"},
        {.text = "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: end\r\n\r\n"},
        {.text = "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"},
        {.text = "HTTP/1.0 200 OK\r\n\r\nto the end", .end = ORIGIN_CLOSES},
    };
    struct origin *origin = ORIGIN_START(answers);
    struct leat_fetch *fetch;
    char data[3];
    assert_int_equal(leat_fetch_get(client, url_of(origin, "/a?b=c#d"), soon(), &fetch), 0);
    assert_int_equal(leat_fetch_status(fetch), 200);
    assert_int_equal(leat_fetch_size(fetch), 5);
    assert_true(slice_equal(leat_fetch_field(fetch, "X-A"), SLICE("1")));
    assert_true(leat_fetch_field(fetch, "empty").data != NULL);
    assert_int_equal(leat_fetch_field(fetch, "empty").size, 0);
    assert_null(leat_fetch_field(fetch, "X").data);
    assert_string_equal(leat_fetch_url(fetch), url_of(origin, "/a?b=c#d"));
    assert_int_equal(leat_fetch_read(fetch, data, sizeof data, soon()), 3);
    assert_memory_equal(data, "hel", 3);
    check_body(fetch, "lo");
    assert_int_equal(leat_fetch_read(fetch, data, sizeof data, soon()), 0);
    leat_fetch_close(fetch);

    assert_int_equal(leat_fetch_get(client, url_of(origin, ""), soon(), &fetch), 0);
    assert_int_equal(leat_fetch_status(fetch), 404);
    assert_int_equal(leat_fetch_size(fetch), -1);
    assert_null(leat_fetch_trailer(fetch, "X-T").data); /* not yet */
    check_body(fetch, "abcde");
    assert_true(slice_equal(leat_fetch_trailer(fetch, "x-t"), SLICE("end")));
    leat_fetch_close(fetch);

    check_get(client, url_of(origin, "/"), 204, "");
    assert_int_equal(origin->connections, 1);
    check_get(client, url_of(origin, "/"), 200, "to the end");
    assert_int_equal(origin->connections, 1);
    check_get(client, url_of(origin, "/"), 200, "to the end");
    assert_int_equal(origin->connections, 2);
    char host[128];
    snprintf(host, sizeof host,
             "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: t\r\n"
             "Accept: */*\r\n\r\nGET / HTTP/1.1\r\n",
             origin->port);
    assert_memory_equal(origin->heard, host, strlen(host));
    const struct leat_client_counters counters = counters_of(client);
    assert_int_equal(counters.opened, 2);
    assert_int_equal(counters.reused, 3);
    assert_int_equal(counters.fetches, 5);
    assert_int_equal(counters.retries, 0);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(get)

/* An answer that has come whole does not cost the connection, read or not. */
static int reuse_fiber(void *arg)
{
    static const struct origin_answer answers[] = {
        {.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
        {.text = OK("3\r\n\r\nabc")},
        {.text = OK("3\r\nConnection: close\r\n\r\nabc")},
        {.text = OK("3\r\n\r\nabc")},
        {.text = OK("5\r\n\r\nabc")},
        {.text = "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
        {.text = OK("3\r\n\r\nabc")},
    };
    static const unsigned connections[] = {1, 1, 1, 2, 2, 3, 4, 4};
    static const bool is_read[] = {true, true, true, false, false, true, true, true};
    struct origin *origin = ORIGIN_START(answers);
    struct leat_fetch *fetch;
    char data[3];
    for (size_t i = 0; i < sizeof is_read / sizeof is_read[0]; i++) {
        assert_int_equal(leat_fetch_get(client, url_of(origin, "/"), soon(), &fetch), 0);
        if (is_read[i])
            assert_int_equal(leat_fetch_read(fetch, data, sizeof data, soon()), 3);
        leat_fetch_close(fetch);
        assert_int_equal(origin->connections, connections[i]);
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(reuse)

static int methods_fiber(void *arg)
{
    static const struct origin_answer answers[] = {{.text = OK("2\r\n\r\nok")},
                                                   {.text = OK("20000\r\n\r\n")}};
    struct origin *origin = ORIGIN_START(answers);
    struct leat_fetch *fetch;
    assert_int_equal(
        leat_fetch_post(client, url_of(origin, "/p"), "text/plain", "body", 4, soon(), &fetch), 0);
    check_body(fetch, "ok");
    leat_fetch_close(fetch);
    assert_non_null(strstr(origin->heard, "POST /p HTTP/1.1\r\n"));
    assert_non_null(strstr(origin->heard, "\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n"
                                          "\r\nbody"));

    const struct leat_fetch_request head = {.method = "HEAD", .url = url_of(origin, "/h")};
    assert_int_equal(leat_fetch_open(client, &head, soon(), &fetch), 0);
    assert_int_equal(leat_fetch_size(fetch), 0);
    assert_true(slice_equal(leat_fetch_field(fetch, "Content-Length"), SLICE("20000")));
    check_body(fetch, "");
    leat_fetch_close(fetch);
    assert_int_equal(counters_of(client).opened, 1);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(methods)

static int read_all_fiber(void *arg)
{
    enum { SIZE = 300 * 1000 };
    static char text[SIZE + 64];
    static struct origin_answer answers[1];
    const int head =
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
    memset(text + head, 'x', SIZE);
    answers[0] = (struct origin_answer){.text = text, .size = (size_t)head + SIZE};
    struct origin *origin = ORIGIN_START(answers);
    struct leat_fetch *fetch;
    struct leat_slice body;
    static const struct {
        size_t size_max;
        int result;
    } rows[] = {{SIZE_MAX, 0}, {SIZE, 0}, {SIZE - 1, -LEAT_E_LIMIT}, {0, -LEAT_E_LIMIT}};
    for (unsigned chunked = 0; chunked < 2; chunked++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            assert_int_equal(leat_fetch_get(client, url_of(origin, "/"), soon(), &fetch), 0);
            assert_int_equal(leat_fetch_read_all(fetch, rows[i].size_max, soon(), &body),
                             rows[i].result);
            if (rows[i].result == 0) {
                assert_int_equal(body.size, SIZE);
                assert_memory_equal(body.data, text + head, SIZE);
            }
            leat_fetch_close(fetch);
        }
        /* the same without a size: the limit is met by what comes */
        memcpy(text, "HTTP/1.1 200 OK\r\nIts-Length:   ", 31);
        answers[0].end = ORIGIN_CLOSES;
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(read_all)

static int refused_requests_fiber(void *arg)
{
    static const char *const urls[] = {
        "",
        "/a",
        "127.0.0.1",
        "http:",
        "http:/a",
        "http:///a",
        "http://u@127.0.0.1/",
        "http://h/ a",
        "http://h/\r\nX: y",
        "http://127.1/",
    };
    struct leat_fetch *fetch;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        assert_int_equal(leat_fetch_get(client, urls[i], soon(), &fetch), -EINVAL);
    assert_int_equal(leat_fetch_get(client, "https://h/", soon(), &fetch), -EPROTONOSUPPORT);
    assert_int_equal(leat_fetch_get(client, "ftp://h/", soon(), &fetch), -EPROTONOSUPPORT);
    static const char nobody[] = "http://127.0.0.1:1/";
    assert_int_equal(leat_fetch_get(client, nobody, soon(), &fetch), -ECONNREFUSED);
    assert_int_equal(leat_fetch_get(client, nobody, leat_now_ns(), &fetch), -ETIMEDOUT);
    return 0;
}
CLIENT_TEST(refused_requests)

static void clients(void **state)
{
    struct leat_client *made;
    const struct leat_client_options bad[] = {
        {.user_agent = "a\r\nb"}, {.idle_timeout_ms = -1}, {.age_max_ms = -1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(leat_client_create(&bad[i], &made), -EINVAL);
    assert_int_equal(leat_client_create(NULL, &made), 0);
    leat_client_destroy(made);
    leat_client_destroy(NULL);
}

/* ---- Redirects ------------------------------------------------------------------------------- */

/* What a request of this method is after a redirect of this status; its body too. */
static int redirects_fiber(void *arg)
{
    static const struct {
        int status;
        const char *method, *then;
        bool keeps_body;
    } rows[] = {
        {301, "GET", "GET", false},  {301, "POST", "GET", false},
        {301, "PUT", "PUT", true},   {302, "HEAD", "HEAD", false},
        {302, "POST", "GET", false}, {302, "PATCH", "PATCH", true},
        {303, "GET", "GET", false},  {303, "POST", "GET", false},
        {303, "PUT", "GET", false},  {303, "HEAD", "HEAD", false},
        {307, "GET", "GET", false},  {307, "POST", "POST", true},
        {308, "POST", "POST", true}, {308, "DELETE", "DELETE", false},
    };
    static char text[256];
    static const struct leat_fetch_field field = {"Content-Type", "text/plain"};
    const struct origin_answer answers[] = {{.text = text}, {.text = OK("0\r\n\r\n")}};
    struct origin *origin = ORIGIN_START(answers);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const bool has_body = strchr("P", rows[i].method[0]) != NULL;
        snprintf(text, sizeof text,
                 "HTTP/1.1 %d See\r\nLocation: ../b?c\r\nContent-Length: %d\r\n\r\n%s",
                 rows[i].status, strcmp(rows[i].method, "HEAD") ? 4 : 0,
                 strcmp(rows[i].method, "HEAD") ? "gone" : "");
        const struct leat_fetch_request request = {
            .method = rows[i].method,
            .url = url_of(origin, "/x/a#f"),
            .fields = &field,
            .field_count = has_body,
            .body = has_body ? "body" : NULL,
            .body_size = has_body ? 4 : 0,
            .redirects_max = 1,
        };
        struct leat_fetch *fetch;
        origin_begin_again(origin);
        assert_int_equal(leat_fetch_open(client, &request, soon(), &fetch), 0);
        assert_int_equal(leat_fetch_status(fetch), 200);
        assert_string_equal(leat_fetch_url(fetch), url_of(origin, "/b?c#f"));
        char line[64];
        snprintf(line, sizeof line, "%s /b?c HTTP/1.1\r\n", rows[i].then);
        const char *second = strstr(origin->heard, line);
        assert_non_null(second);
        assert_int_equal(strstr(second, "Content-Type") != NULL, rows[i].keeps_body);
        assert_int_equal(strstr(second, "\r\n\r\nbody") != NULL, rows[i].keeps_body);
        leat_fetch_close(fetch);
    }
    assert_int_equal(counters_of(client).opened, 1); /* what redirects say is read, too */
    assert_int_equal(counters_of(client).redirects, sizeof rows / sizeof rows[0]);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(redirects)

/* What was meant for the first host is not told to another, and not told again when that sends us
 * back. */
static int elsewhere_fiber(void *arg)
{
    static char there[128], back[128];
    static const char on[] = "HTTP/1.1 302 O\r\nContent-Length: 0\r\nLocation: d\r\n\r\n";
    static const struct leat_fetch_field fields[] = {
        {"Authorization", "Basic eDp5"}, {"cookie", "a=b"}, {"X-Own", "1"}, {"HOST", "given"},
        {"Proxy-Authorization", "z"},
    };
    const struct origin_answer first_answers[] = {
        {.text = there}, {.text = on}, {.text = OK("0\r\n\r\n")}};
    const struct origin_answer second_answers[] = {{.text = back}};
    struct origin *first = ORIGIN_START(first_answers), *second = ORIGIN_START(second_answers);
    snprintf(there, sizeof there, "HTTP/1.1 307 T\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n",
             url_of(second, "/b"));
    snprintf(back, sizeof back, "HTTP/1.1 302 B\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n",
             url_of(first, "/c"));
    const struct leat_fetch_request request = {
        .url = url_of(first, "/a"), .fields = fields, .field_count = 5, .redirects_max = 3};
    struct leat_fetch *fetch;
    assert_int_equal(leat_fetch_open(client, &request, soon(), &fetch), 0);
    leat_fetch_close(fetch);
    assert_non_null(strstr(first->heard, "GET /a HTTP/1.1\r\nHost: given\r\n"));
    const char *again = strstr(first->heard, "GET /c HTTP/1.1\r\nHost: 127.0.0.1:");
    assert_non_null(again);
    const char *const last = strstr(again, "GET /d HTTP/1.1\r\n");
    assert_non_null(last);
    const char *const heard[] = {again, second->heard, last};
    for (size_t i = 0; i < 3; i++) {
        assert_null(strcasestr(heard[i], "authorization"));
        assert_null(strcasestr(heard[i], "cookie"));
        assert_null(strstr(heard[i], "given"));
        assert_non_null(strstr(heard[i], "\r\nX-Own: 1\r\n"));
    }
    assert_non_null(strstr(first->heard, "Basic eDp5"));
    origin_stop(first);
    origin_stop(second);
    return 0;
}
CLIENT_TEST(elsewhere)

static int redirects_that_end_fiber(void *arg)
{
    static char text[256];
    static const struct {
        const char *location;
        unsigned redirects_max;
        int result;
    } rows[] = {
        {"Location: /a\r\n", 5, -LEAT_E_LIMIT},
        {"Location: /a\r\n", 0, 0},
        {"", 5, 0},
        {"Location: https://127.0.0.1/\r\n", 5, -EPROTONOSUPPORT},
        {"Location: mailto:a@b\r\n", 5, -EPROTONOSUPPORT},
        {"Location: http://a b/\r\n", 5, -LEAT_E_MALFORMED},
        {"Location: http://good.org\\@127.0.0.1/\r\n", 5, -LEAT_E_MALFORMED},
        {"Location: http:///\r\n", 5, -LEAT_E_MALFORMED},
        {"Location: //127.0.0.1:1/\r\n", 5, -ECONNREFUSED},
    };
    const struct origin_answer answers[] = {{.text = text}};
    struct origin *origin = ORIGIN_START(answers);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, "HTTP/1.1 302 F\r\nContent-Length: 2\r\n%s\r\nok",
                 rows[i].location);
        const struct leat_fetch_request request = {.url = url_of(origin, "/"),
                                                   .redirects_max = rows[i].redirects_max};
        struct leat_fetch *fetch;
        origin_begin_again(origin);
        assert_int_equal(leat_fetch_open(client, &request, soon(), &fetch), rows[i].result);
        assert_int_equal(origin->requests, rows[i].result == -LEAT_E_LIMIT ? 6 : 1);
        if (rows[i].result == 0) {
            assert_int_equal(leat_fetch_status(fetch), 302);
            check_body(fetch, "ok");
            leat_fetch_close(fetch);
        }
    }
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(redirects_that_end)

/* ---- Once more ------------------------------------------------------------------------------- */

/* A connection that had rested ends as a request comes: who may, asks again. */
static int stale_fiber(void *arg)
{
    static const struct {
        const char *method;
        bool may_repeat, is_repeated, is_streamed;
    } rows[] = {
        {"GET", false, true, false},   {"PUT", false, true, false}, {"DELETE", false, true, false},
        {"POST", false, false, false}, {"POST", true, true, false}, {"PATCH", false, false, false},
        {"get", false, false, false},
    };
    static const struct origin_answer answers[] = {
        {.text = OK("0\r\n\r\n")},
        {.end = ORIGIN_CLOSES},
        {.text = OK("0\r\n\r\n")},
    };
    static const struct origin_answer resets[] = {
        {.text = OK("0\r\n\r\n")},
        {.end = ORIGIN_RESETS},
        {.text = OK("0\r\n\r\n")},
    };
    struct origin *origin = ORIGIN_START(answers);
    for (size_t i = 0; i < 2 * (sizeof rows / sizeof rows[0]); i++) {
        const size_t row = i / 2;
        origin->answers = i % 2 ? resets : answers;
        origin_begin_again(origin);
        check_get(client, url_of(origin, "/"), 200, "");
        const struct leat_fetch_request request = {.method = rows[row].method,
                                                   .url = url_of(origin, "/x"),
                                                   .may_repeat = rows[row].may_repeat};
        struct leat_fetch *fetch;
        const int error = leat_fetch_open(client, &request, soon(), &fetch);
        assert_int_equal(error, rows[row].is_repeated ? 0 : -ECONNRESET);
        assert_int_equal(origin->requests, rows[row].is_repeated ? 3 : 2);
        if (!error)
            leat_fetch_close(fetch);
    }
    assert_int_equal(counters_of(client).retries, 8);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(stale)

/* A fresh connection that ends without a word is nobody's mistake, nor is one that has said
 * something; and the second time is the last. */
static int asked_once_fiber(void *arg)
{
    static const struct origin_answer fresh[] = {{.end = ORIGIN_CLOSES}};
    static const struct origin_answer begun[] = {
        {.text = OK("0\r\n\r\n")},
        {.text = "HTTP/1.1 2", .end = ORIGIN_CLOSES},
    };
    static const struct origin_answer twice[] = {
        {.text = OK("0\r\n\r\n")},
        {.end = ORIGIN_CLOSES},
    };
    struct leat_fetch *fetch;
    struct origin *origin = ORIGIN_START(fresh);
    assert_int_equal(leat_fetch_get(client, url_of(origin, "/"), soon(), &fetch), -ECONNRESET);
    assert_int_equal(origin->requests, 1);
    origin_stop(origin);
    origin = ORIGIN_START(begun);
    check_get(client, url_of(origin, "/"), 200, "");
    assert_int_equal(leat_fetch_get(client, url_of(origin, "/"), soon(), &fetch),
                     -LEAT_E_TRUNCATED);
    assert_int_equal(origin->requests, 2);
    origin_stop(origin);
    origin = ORIGIN_START(twice);
    check_get(client, url_of(origin, "/"), 200, "");
    assert_int_equal(leat_fetch_get(client, url_of(origin, "/"), soon(), &fetch), -ECONNRESET);
    assert_int_equal(origin->requests, 3);
    origin_stop(origin);
    return 0;
}
CLIENT_TEST(asked_once)

/* ---- Limits ---------------------------------------------------------------------------------- */

struct asker {
    const struct origin *origin;
    int result;
};

static void ask_once(void *arg)
{
    struct asker *asker = arg;
    struct leat_fetch *fetch;
    asker->result = leat_fetch_get(client, url_of(asker->origin, "/"), soon(), &fetch);
    if (asker->result == 0)
        leat_fetch_close(fetch);
}

/* One connection, and room for one who waits for it. */
static int line_fiber(void *arg)
{
    static const struct origin_answer answers[] = {{.text = OK("2\r\n\r\nok")}};
    struct origin *origin = ORIGIN_START(answers);
    struct asker second = {.origin = origin, .result = 1}, third = second;
    struct leat_fetch *first;
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_fetch_get(client, url_of(origin, "/"), soon(), &first), 0);
    assert_int_equal(leat_spawn(&scope, ask_once, &second, NULL), 0);
    assert_int_equal(leat_sleep_ms(5), 0);
    assert_int_equal(counters_of(client).waiting_now, 1);
    assert_int_equal(leat_spawn(&scope, ask_once, &third, NULL), 0);
    assert_int_equal(leat_sleep_ms(5), 0);
    assert_int_equal(third.result, -LEAT_E_LIMIT);
    assert_int_equal(second.result, 1);
    leat_fetch_close(first);
    assert_int_equal(leat_scope_join(&scope, soon()), 0);
    assert_int_equal(second.result, 0);
    leat_scope_fini(&scope);
    assert_int_equal(origin->connections, 1);
    assert_int_equal(counters_of(client).waited, 1);
    origin_stop(origin);
    return 0;
}

static void line_body(enum leat_engine engine)
{
    const struct leat_client_options options = {.connections_per_host_max = 1, .waiting_max = 1};
    assert_int_equal(leat_client_create(&options, &client), 0);
    run_main_fiber(engine, line_fiber);
    leat_client_destroy(client);
}
ENGINE_TEST(line)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_read_all),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(clients),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_redirects_that_end),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_asked_once),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
