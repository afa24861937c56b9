/* SPDX-License-Identifier: MIT */
/*
 * Active checks against real listeners: who answers well is up, who does not is down, whatever the
 * way it fails; and connecting to what a URL names. On each engine.
 */
#include "../net/pair.h"

#include "http/upstreams.h"

/* ---- An origin ------------------------------------------------------------------------------- */

enum manner {
    ANSWERS,    /* 200 and a body */
    REDIRECTS,  /* 302, after a 103 */
    STAYS,      /* 200, and does not close */
    IS_BROKEN,  /* 500 */
    ALTERNATES, /* good, bad, good, bad … */
    HANGS,      /* reads, and says nothing */
    HANGS_UP,   /* closes without a word */
    TALKS_RUBBISH,
    TALKS_FOR_EVER, /* a head without an end */
    INTERIM_FOR_EVER,
};

struct origin {
    struct leat_listener *listener;
    struct leat_scope scope;
    char url[160];
    enum manner manner;
    unsigned hiccups; /* so many bad answers first, whatever the manner */
    unsigned asked;
    char request[512]; /* the latest */
};

static struct origin *serving; /* tests have one origin that matters at a time */

static void say(struct leat_stream *stream, const char *text)
{
    leat_stream_write(stream, text, strlen(text), soon());
}

static void say_for_ever(struct leat_stream *stream, const char *text)
{
    while (leat_stream_write(stream, text, strlen(text), soon()) == 0)
        if (leat_sleep_ms(1) != 0)
            return;
}

static enum manner next_manner(struct origin *origin)
{
    if (origin->hiccups > 0) {
        origin->hiccups--;
        return IS_BROKEN;
    }
    if (origin->manner == ALTERNATES)
        return origin->asked % 2 ? ANSWERS : IS_BROKEN;
    return origin->manner;
}

static void answer(void *arg)
{
    struct leat_stream *stream = arg;
    struct origin *origin = serving;
    char end;
    size_t size = 0;
    while (size < sizeof origin->request - 1) {
        const ssize_t count = leat_stream_read(stream, origin->request + size,
                                               sizeof origin->request - 1 - size, soon());
        if (count <= 0)
            break;
        size += (size_t)count;
        origin->request[size] = '\0';
        if (strstr(origin->request, "\r\n\r\n"))
            break;
    }
    origin->asked++;
    switch (next_manner(origin)) {
    case ANSWERS:
        say(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n");
        say(stream, "ok");
        break;
    case REDIRECTS:
        say(stream, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 302 Found\r\n");
        say(stream, "Location: /there\r\nContent-Length: 0\r\n\r\n");
        break;
    case STAYS:
        say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        leat_stream_read(stream, &end, 1, soon());
        break;
    case ALTERNATES:
    case IS_BROKEN: say(stream, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"); break;
    case HANGS: leat_stream_read(stream, &end, 1, soon()); break;
    case HANGS_UP: break;
    case TALKS_RUBBISH: say(stream, "SSH-2.0-OpenSSH_9.2\r\n"); break;
    case TALKS_FOR_EVER:
        say(stream, "HTTP/1.1 200 OK\r\n");
        say_for_ever(stream, "X-Nothing: 0123456789012345678901234567890123456789\r\n");
        break;
    case INTERIM_FOR_EVER: say_for_ever(stream, "HTTP/1.1 100 Continue\r\n\r\n"); break;
    }
    leat_stream_close(stream);
}

static void accept_all(void *arg)
{
    struct origin *origin = arg;
    struct leat_stream *stream;
    while (leat_accept(origin->listener, LEAT_FOREVER, &stream) == 0)
        if (leat_spawn(&origin->scope, answer, stream, NULL) != 0)
            leat_stream_close(stream);
}

static void origin_open(struct origin *origin, const char *where)
{
    struct leat_address address;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    assert_int_equal(leat_address_parse(where, &address, NULL), 0);
    assert_int_equal(leat_listen(&address, NULL, &origin->listener), 0);
    leat_address_format(leat_listener_address(origin->listener), text);
    snprintf(origin->url, sizeof origin->url, "http://%s", text);
    leat_scope_init(&origin->scope);
    serving = origin;
    assert_int_equal(leat_spawn(&origin->scope, accept_all, origin, NULL), 0);
}

static void origin_close(struct origin *origin)
{
    leat_scope_cancel(&origin->scope);
    leat_scope_fini(&origin->scope);
    leat_listener_close(origin->listener);
}

/* ---- A group of one -------------------------------------------------------------------------- */

struct watched {
    struct conn_pool *pool;
    struct upstreams *upstreams;
};

static const struct upstreams_options fast = {
    .health_path = "/healthz?deep=1",
    .health_interval_ms = 20,
    .health_timeout_ms = 200,
    .health_rise = 2,
    .health_fall = 3,
};

static void watched_open(struct watched *watched, const char *url)
{
    assert_int_equal(conn_pool_create(NULL, &watched->pool), 0);
    assert_int_equal(upstreams_create(watched->pool, &url, 1, &fast, &watched->upstreams, NULL), 0);
    upstreams_watch(watched->upstreams);
}

static enum upstream_state state_now(const struct watched *watched)
{
    struct upstreams_view view;
    upstreams_view(watched->upstreams, 0, &view);
    return view.state;
}

static void await_state(const struct watched *watched, enum upstream_state state)
{
    const int64_t limit_ns = leat_after_ms(5000);
    while (state_now(watched) != state) {
        assert_true(leat_now_ns() < limit_ns);
        leat_sleep_ms(5);
    }
}

/* In a fiber: what is on its way ends meanwhile. */
static void watched_close(struct watched *watched)
{
    upstreams_unwatch(watched->upstreams);
    leat_sleep_ms(20);
    upstreams_destroy(watched->upstreams);
    conn_pool_destroy(watched->pool);
}

static void expect_asked(const struct origin *origin, unsigned least)
{
    const int64_t limit_ns = leat_after_ms(5000);
    const unsigned before = origin->asked;
    while (origin->asked < before + least) {
        assert_true(leat_now_ns() < limit_ns);
        leat_sleep_ms(5);
    }
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static int manners_fiber(void *arg)
{
    static const enum manner good[] = {ANSWERS, REDIRECTS, STAYS};
    static const enum manner bad[] = {IS_BROKEN,     HANGS,          HANGS_UP,
                                      TALKS_RUBBISH, TALKS_FOR_EVER, INTERIM_FOR_EVER};
    struct origin origin = {0};
    struct watched watched;
    origin_open(&origin, "127.0.0.1:0");
    watched_open(&watched, origin.url);
    for (unsigned index = 0; index < sizeof bad / sizeof *bad; index++) {
        origin.manner = good[index % 3];
        await_state(&watched, UPSTREAM_UP);
        expect_asked(&origin, 5);
        assert_int_equal(state_now(&watched), UPSTREAM_UP);
        origin.manner = bad[index];
        await_state(&watched, UPSTREAM_DOWN);
    }
    watched_close(&watched);
    origin_close(&origin);
    return 0;
}
FIBER_ENGINE_TEST(manners)

/* Two bad answers are not enough, nor is one good one. */
static int hiccups_fiber(void *arg)
{
    struct origin origin = {.hiccups = 2};
    struct watched watched;
    origin_open(&origin, "127.0.0.1:0");
    watched_open(&watched, origin.url);
    for (unsigned round = 0; round < 3; round++) {
        expect_asked(&origin, 3);
        assert_int_equal(state_now(&watched), UPSTREAM_UP);
        origin.hiccups = 2;
    }
    origin.manner = IS_BROKEN;
    await_state(&watched, UPSTREAM_DOWN);
    origin.manner = ALTERNATES;
    expect_asked(&origin, 8);
    assert_int_equal(state_now(&watched), UPSTREAM_DOWN);
    watched_close(&watched);
    origin_close(&origin);
    return 0;
}
FIBER_ENGINE_TEST(hiccups)

static int request_fiber(void *arg)
{
    struct origin origin = {0};
    struct watched watched;
    char expected[1024], url[200];
    origin_open(&origin, "127.0.0.1:0");
    snprintf(url, sizeof url, "%s/base", origin.url);
    watched_open(&watched, url);
    expect_asked(&origin, 1);
    snprintf(expected, sizeof expected,
             "GET /healthz?deep=1 HTTP/1.1\r\nHost: %s\r\nUser-Agent: leat\r\nAccept: */*\r\n"
             "Connection: close\r\n\r\n",
             origin.url + strlen("http://"));
    assert_string_equal(origin.request, expected);
    watched_close(&watched);
    origin_close(&origin);
    return 0;
}
FIBER_ENGINE_TEST(request)

/* Nobody listens; then somebody does. */
static int absence_fiber(void *arg)
{
    struct origin origin = {0}, again = {0};
    struct watched watched;
    struct upstreams_attempt attempt = {0};
    int64_t retry_after_ms = 0;
    origin_open(&origin, "127.0.0.1:0");
    watched_open(&watched, origin.url);
    expect_asked(&origin, 1);
    origin_close(&origin);
    await_state(&watched, UPSTREAM_DOWN);
    assert_null(upstreams_choose(watched.upstreams, &attempt, leat_now_ns(), &retry_after_ms));
    assert_int_equal(retry_after_ms, fast.health_interval_ms);
    origin_open(&again, origin.url + strlen("http://"));
    await_state(&watched, UPSTREAM_UP);
    assert_true(again.asked >= 2);
    assert_non_null(upstreams_choose(watched.upstreams, &attempt, leat_now_ns(), &retry_after_ms));
    upstreams_end(watched.upstreams, &attempt);
    watched_close(&watched);
    origin_close(&again);
    return 0;
}
FIBER_ENGINE_TEST(absence)

static int unix_sockets_fiber(void *arg)
{
    struct origin origin = {0};
    struct watched watched;
    char where[64];
    snprintf(where, sizeof where, "unix:@leat-test-health-%d", (int)getpid());
    origin_open(&origin, where);
    watched_open(&watched, origin.url);
    expect_asked(&origin, 3);
    assert_non_null(strstr(origin.request, "\r\nHost: localhost\r\n"));
    assert_int_equal(state_now(&watched), UPSTREAM_UP);
    origin.manner = IS_BROKEN;
    await_state(&watched, UPSTREAM_DOWN);
    watched_close(&watched);
    origin_close(&origin);
    return 0;
}
FIBER_ENGINE_TEST(unix_sockets)

/* Where a number is expected a name does as well. */
static int names_fiber(void *arg)
{
    struct origin origin = {0};
    struct watched watched;
    char url[64];
    origin_open(&origin, "127.0.0.1:0");
    snprintf(url, sizeof url, "http://localhost:%u",
             leat_address_port(leat_listener_address(origin.listener)));
    watched_open(&watched, url);
    expect_asked(&origin, 3);
    assert_non_null(strstr(origin.request, "\r\nHost: localhost:"));
    assert_int_equal(state_now(&watched), UPSTREAM_UP);
    watched_close(&watched);
    origin_close(&origin);
    return 0;
}
FIBER_ENGINE_TEST(names)

/* ---- Connections of the pool ----------------------------------------------------------------- */

static int lease(struct watched *watched, int64_t deadline_ns, struct pooled_conn **ret_conn)
{
    struct upstreams_view view;
    struct conn_pool_shelf *shelf = conn_pool_shelf_here(watched->pool);
    assert_non_null(shelf);
    upstreams_view(watched->upstreams, 0, &view);
    return conn_pool_take(shelf, view.upstream->destination, CONN_POOL_ANY, deadline_ns, ret_conn);
}

/* What the kernel makes of 512 KiB, on a host that grants so much or not. */
static int granted_buffer_size(void)
{
    const int wanted = 512 * 1024, probe = socket(AF_INET, SOCK_STREAM, 0);
    int size = 0;
    socklen_t length = sizeof size;
    assert_int_equal(setsockopt(probe, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted), 0);
    assert_int_equal(getsockopt(probe, SOL_SOCKET, SO_RCVBUF, &size, &length), 0);
    close(probe);
    return size;
}

static int leases_fiber(void *arg)
{
    struct origin origin = {0};
    struct watched *watched = arg;
    struct pooled_conn *conn;
    struct leat_address peer;
    struct upstreams_view view;
    const char *url = origin.url;
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    const struct upstreams_options options = {.tuning = &tuning};
    tuning.so_rcvbuf_size = 512 * 1024;
    origin_open(&origin, "127.0.0.1:0");
    assert_int_equal(upstreams_create(watched->pool, &url, 1, &options, &watched->upstreams, NULL),
                     0);
    assert_int_equal(lease(watched, soon(), &conn), 0);
    assert_int_equal(leat_stream_peer(&conn->stream, &peer), 0);
    assert_true(leat_address_equal(&peer, leat_listener_address(origin.listener)));
    upstreams_view(watched->upstreams, 0, &view);
    assert_int_equal(view.connections.leased_now, 1);
    assert_int_equal(view.connections.opened, 1);
    int size = 0;
    socklen_t length = sizeof size;
    assert_int_equal(getsockopt(conn->stream.fd, SOL_SOCKET, SO_RCVBUF, &size, &length), 0);
    assert_int_equal(size, granted_buffer_size());
    conn_pool_give(conn, false);
    origin_close(&origin);
    /* A listener is closed when its accept has been cancelled. */
    int result;
    for (unsigned round = 0; (result = lease(watched, soon(), &conn)) == 0; round++) {
        conn_pool_give(conn, false);
        assert_true(round < 500);
        leat_sleep_ms(10);
    }
    assert_int_equal(result, -ECONNREFUSED);
    return 0;
}

/* A listener whose queue is full answers no SYN: connecting takes as long as it may. */
static int silence_fiber(void *arg)
{
    enum { QUEUED = 2 };
    struct watched *watched = arg;
    struct pooled_conn *conn;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int queued[QUEUED];
    char url[64];
    const char *const urls = url;
    const struct upstreams_options options = {.connect_timeout_ms = 100};
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    for (unsigned index = 0; index < QUEUED; index++) {
        queued[index] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(queued[index], (struct sockaddr *)&address, sizeof address);
    }
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(upstreams_create(watched->pool, &urls, 1, &options, &watched->upstreams, NULL),
                     0);
    const int64_t begin_ns = leat_now_ns(), deadline_ns = soon();
    assert_int_equal(lease(watched, deadline_ns, &conn), -ETIMEDOUT);
    assert_in_range(leat_now_ns() - begin_ns, 100 * LEAT_NS_PER_MS, 3000 * LEAT_NS_PER_MS);
    assert_int_equal(lease(watched, leat_after_ms(20), &conn), -ETIMEDOUT);
    for (unsigned index = 0; index < QUEUED; index++)
        close(queued[index]);
    close(listener);
    return 0;
}

static void run_with_pool(enum leat_engine engine, int (*main_fiber)(void *arg))
{
    struct watched watched = {0};
    const struct leat_loop_options options = {.engine = engine};
    assert_int_equal(conn_pool_create(NULL, &watched.pool), 0);
    assert_int_equal(leat_run(main_fiber, &watched, &options), 0);
    upstreams_destroy(watched.upstreams);
    conn_pool_destroy(watched.pool);
}

static void leases_body(enum leat_engine engine)
{
    run_with_pool(engine, leases_fiber);
}
ENGINE_TEST(leases)

static void silence_body(enum leat_engine engine)
{
    run_with_pool(engine, silence_fiber);
}
ENGINE_TEST(silence)

/* ---- Beginning and end ----------------------------------------------------------------------- */

/* A second watch does nothing; after the end of the first, which may have had a check under way,
 * another may begin. */
static int again_fiber(void *arg)
{
    struct origin origin = {.manner = HANGS};
    struct watched watched;
    origin_open(&origin, "127.0.0.1:0");
    watched_open(&watched, origin.url);
    upstreams_watch(watched.upstreams);
    expect_asked(&origin, 1);
    assert_int_equal(origin.asked, 1); /* one check, not two */
    upstreams_unwatch(watched.upstreams);
    upstreams_watch(watched.upstreams); /* too early: it has not ended */
    leat_sleep_ms(100);
    assert_int_equal(origin.asked, 1);
    assert_int_equal(state_now(&watched), UPSTREAM_UP); /* the cancelled one said nothing */
    origin.manner = ANSWERS;
    upstreams_watch(watched.upstreams);
    expect_asked(&origin, 2);
    watched_close(&watched);
    origin_close(&origin);
    return 0;
}
FIBER_ENGINE_TEST(again)

/* The loop ends although it is watched: with a check that is to come, or on its way. */
static struct watched left_behind;

static int leave_fiber(void *arg)
{
    char url[160], text[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_listener *listener = listen_somewhere(NULL); /* and nobody accepts */
    leat_address_format(leat_listener_address(listener), text);
    snprintf(url, sizeof url, "http://%s", text);
    watched_open(&left_behind, url);
    leat_sleep_ms(50);
    leat_listener_close(listener);
    return 0;
}

static void leaving_body(enum leat_engine engine)
{
    run_main_fiber(engine, leave_fiber);
    upstreams_destroy(left_behind.upstreams);
    conn_pool_destroy(left_behind.pool);
}
ENGINE_TEST(leaving)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manners),      cmocka_unit_test(test_hiccups),
        cmocka_unit_test(test_request),      cmocka_unit_test(test_absence),
        cmocka_unit_test(test_unix_sockets), cmocka_unit_test(test_names),
        cmocka_unit_test(test_leases),       cmocka_unit_test(test_silence),
        cmocka_unit_test(test_again),        cmocka_unit_test(test_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
