/* SPDX-License-Identifier: MIT */
/*
 * Connections of the server: heads however they are cut, pipelining, who closes when, what happens
 * to clients that are late, slow, too many, malformed or gone. In a simulated world (world.h).
 */
#include "http/conn.h"

#include "http/server.h"
#include "leat/fiber.h"
#include "world.h"

enum { HEAD_MS = 1000, IDLE_MS = 5000, SEND_MS = 2000, BIG_SIZE = 1024 * 1024 };

static char big[BIG_SIZE];

/* /big, /none (no reply), /slow (100 ms), /stuck (until cancelled); else the path is the body. */
static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    const struct leat_slice path = leat_http_path(request);
    if (slice_equal(path, SLICE("/none")))
        return;
    if (slice_equal(path, SLICE("/slow")))
        (void)leat_sleep_ms(100);
    if (slice_equal(path, SLICE("/stuck")))
        (void)leat_sleep_until(LEAT_FOREVER);
    if (slice_equal(path, SLICE("/big")))
        leat_http_reply_static(response, 200, "text/plain", big, sizeof big);
    else
        leat_http_reply(response, 200, "text/plain", path.data, path.size);
}

static const struct leat_http_options options = {
    .handler = handler,
    .head_timeout_ms = HEAD_MS,
    .idle_timeout_ms = IDLE_MS,
    .send_timeout_ms = SEND_MS,
    .connections_max = 100,
};

static void start(struct world *world)
{
    world_init(world, SIM_CALM, 1);
    world_serve(world, &options);
}

static struct leat_http_counters counters_of(const struct world *world)
{
    struct leat_http_counters counters;
    leat_http_server_counters(world->server, &counters);
    return counters;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: mill\r\n\r\n"

/* ---- Heads ----------------------------------------------------------------------------------- */

static void a_head_may_be_cut_anywhere(void **state)
{
    static const char text[] = "GET /cut HTTP/1.1\r\nHost: mill\r\nX-Y: z\r\n\r\n" GET("/next");
    struct world world;
    start(&world);
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        struct client client;
        client_open(&client, &world);
        client_send(&client, text, cut);
        turns(&world, 2);
        client_send(&client, text + cut, sizeof text - 1 - cut);
        turns(&world, 2);
        client_expect(&client, 200, "/cut");
        client_expect(&client, 200, "/next");
        client_close(&client);
    }
    world_fini(&world);
}

static void a_head_may_come_byte_by_byte(void **state)
{
    static const char text[] = GET("/drop-by-drop");
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    for (size_t index = 0; index < sizeof text - 1; index++) {
        client_send(&client, text + index, 1);
        turns(&world, 1);
    }
    turns(&world, 1);
    client_expect(&client, 200, "/drop-by-drop");
    client_close(&client);
    world_fini(&world);
}

static void bad_heads_are_answered_and_end_the_connection(void **state)
{
    static char long_line[9000], long_head[20000], many_lines[4000];
    memset(long_line, 'a', sizeof long_line);
    memcpy(long_line, "GET /", 5);
    snprintf(long_head, sizeof long_head, "GET / HTTP/1.1\r\nHost: mill\r\nCookie: ");
    memset(long_head + strlen(long_head), 'a', sizeof long_head - strlen(long_head));
    size_t size = (size_t)snprintf(many_lines, sizeof many_lines, "GET / HTTP/1.1\r\n");
    for (unsigned index = 0; index < HTTP1_LINES_MAX + 1; index++)
        size += (size_t)snprintf(many_lines + size, sizeof many_lines - size, "X-%u: y\r\n", index);
    const struct {
        const char *head;
        size_t size; /* 0: of the text */
        int status;
    } cases[] = {
        {"nonsense\r\n\r\n", 0, 400},
        {"\x16\x03\x01\x02", 4, 400},
        {"GET / HTTP/1.1\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 0, 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 0, 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 0, 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 0, 505},
        {long_line, sizeof long_line, 414},
        {long_head, sizeof long_head, 431},
        {many_lines, size, 431},
    };
    struct world world;
    start(&world);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct client client;
        client_open(&client, &world);
        client_send(&client, cases[index].head,
                    cases[index].size ? cases[index].size : strlen(cases[index].head));
        turns(&world, 10);
        client_expect(&client, cases[index].status, NULL);
        client_expect_end(&client);
        client_close(&client);
    }
    assert_int_equal(counters_of(&world).errors, sizeof cases / sizeof *cases);
    assert_int_equal(counters_of(&world).requests, 0);
    turns(&world, 10);
    assert_int_equal(counters_of(&world).connections_now, 0);
    world_fini(&world);
}

/* Behind CONNECT may come anything; an https target is not for us (RFC 9110, 9.3.6 and 7.4). */
static void what_no_handler_can_answer_ends_the_connection(void **state)
{
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" GET("/tunnelled"), 501},
        {"GET https://a/f HTTP/1.1\r\nHost: a\r\n\r\n" GET("/next"), 421},
    };
    struct world world;
    start(&world);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct client client;
        client_open(&client, &world);
        client_say(&client, cases[index].head);
        turns(&world, 10);
        client_expect(&client, cases[index].status, NULL);
        client_expect_end(&client);
        client_close(&client);
    }
    world_fini(&world);
}

/* What came before the malformed one was asked for in good order. */
static void a_good_request_before_a_bad_one_is_answered(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    client_say(&client, GET("/good") "bad\r\n\r\n" GET("/never"));
    turns(&world, 10);
    client_expect(&client, 200, "/good");
    client_expect(&client, 400, NULL);
    client_expect_end(&client);
    client_close(&client);
    world_fini(&world);
}

/* ---- One after the other --------------------------------------------------------------------- */

static void pipelined_requests_are_answered_in_order(void **state)
{
    enum { COUNT = 10000 }; /* far more than an exchange and the overflow hold */
    static char text[COUNT * 64];
    size_t size = (size_t)snprintf(text, sizeof text, GET("/slow"));
    for (unsigned index = 0; index < COUNT; index++)
        size += (size_t)snprintf(text + size, sizeof text - size, GET("/%u"), index);
    assert_true(size > 2 * (EXCHANGE_INPUT_SIZE + INTAKE_OVERFLOW_MAX));
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    client_send(&client, text, size);
    /* While the first is at work nothing is received without bounds. */
    turns(&world, 90);
    assert_true(client.outbox_size > 0);
    assert_int_equal(client.inbox_size, 0);
    turns(&world, 1000);
    client_expect(&client, 200, "/slow");
    for (unsigned index = 0; index < COUNT; index++) {
        char path[16];
        snprintf(path, sizeof path, "/%u", index);
        client_expect(&client, 200, path);
    }
    assert_int_equal(client.inbox_size, 0);
    assert_false(client.has_ended);
    client_close(&client);
    world_fini(&world);
}

static void connections_are_kept_as_the_standard_says(void **state)
{
    static const struct {
        const char *head;
        bool is_kept;
    } cases[] = {
        {"GET /k HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET /k HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET /k HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false},
        {"GET /k HTTP/1.1\r\nHost: a\r\nConnection: foo, close\r\n\r\n", false},
        {"GET /k HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n", false},
        {"GET /k HTTP/1.0\r\n\r\n", false},
        {"GET /k HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET /k HTTP/1.9\r\nHost: a\r\n\r\n", true},
        {"POST /k HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", true},
        /* A body that no handler wants is skipped, */
        {"POST /k HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", true},
        {"POST /k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
        /* unless that is much, or nobody knows whether it will come. */
        {"POST /k HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\nhello", false},
        {"POST /k HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", false},
    };
    struct world world;
    start(&world);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct client client;
        struct answer answer;
        client_open(&client, &world);
        client_say(&client, cases[index].head);
        turns(&world, 10);
        assert_true(client_peek(&client, false, &answer));
        assert_int_equal(answer.response.status, 200);
        assert_int_equal(answer.response.head.says_close, !cases[index].is_kept);
        client_drop(&client, &answer);
        assert_int_equal(client.has_ended, !cases[index].is_kept);
        if (cases[index].is_kept) {
            client_say(&client, GET("/again"));
            turns(&world, 10);
            client_expect(&client, 200, "/again");
        } else {
            client_expect_end(&client);
        }
        client_close(&client);
    }
    world_fini(&world);
}

static void head_is_answered_without_a_body(void **state)
{
    struct world world;
    struct client client;
    struct answer answer;
    start(&world);
    client_open(&client, &world);
    client_say(&client, "HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n" GET("/after"));
    turns(&world, 10);
    assert_true(client_peek(&client, true, &answer));
    assert_int_equal(answer.response.head.content_length, BIG_SIZE);
    client_drop(&client, &answer);
    client_expect(&client, 200, "/after");
    client_close(&client);
    world_fini(&world);
}

/* Who has nothing more to say still hears what was asked for: all of it. */
static void a_half_closed_client_gets_its_answers(void **state)
{
    static const char *const texts[] = {
        GET("/1"),
        GET("/slow") GET("/2") GET("/3"),
        GET("/big") GET("/2") "GET /half HT",
    };
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        struct world world;
        struct client client;
        start(&world);
        client_open(&client, &world);
        client_say(&client, texts[index]);
        client_shut(&client);
        turns(&world, 500);
        if (index == 0)
            client_expect(&client, 200, "/1");
        if (index == 1)
            client_expect(&client, 200, "/slow");
        if (index == 2)
            client_expect(&client, 200, NULL);
        if (index > 0)
            client_expect(&client, 200, "/2");
        if (index == 1)
            client_expect(&client, 200, "/3");
        client_expect_end(&client);
        turns(&world, 10);
        assert_int_equal(counters_of(&world).connections_now, 0);
        client_close(&client);
        world_fini(&world);
    }
}

static void no_reply_is_an_error_of_ours(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    client_say(&client, GET("/none") GET("/fine"));
    turns(&world, 10);
    client_expect(&client, 500, "500 Internal Server Error\n");
    client_expect(&client, 200, "/fine");
    client_close(&client);
    world_fini(&world);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void a_late_head_is_told_so(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    /* A byte now and then does not buy time: it counts from the first. */
    static const char text[] = "GET / HTTP/1.1\r\nHost: slow\r\n";
    for (unsigned index = 0; index < 9; index++) {
        client_send(&client, text + index, 1);
        turns(&world, HEAD_MS / 10);
    }
    assert_int_equal(client.inbox_size, 0);
    turns(&world, HEAD_MS / 10 + 10);
    client_expect(&client, 408, "408 Request Timeout\n");
    client_expect_end(&client);
    assert_int_equal(counters_of(&world).timeouts, 1);
    client_close(&client);
    world_fini(&world);
}

/* The time for a head starts anew with each: a busy connection is not late. */
static void every_head_has_its_own_time(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    for (unsigned index = 0; index < 5; index++) {
        client_say(&client, "GET /t HTTP/1.1\r\n");
        turns(&world, HEAD_MS * 8 / 10);
        client_say(&client, "Host: a\r\n\r\n");
        turns(&world, 10);
        client_expect(&client, 200, "/t");
    }
    client_close(&client);
    world_fini(&world);
}

static void an_idle_connection_ends_without_a_word(void **state)
{
    struct world world;
    struct client fresh, used;
    start(&world);
    client_open(&fresh, &world);
    client_open(&used, &world);
    turns(&world, IDLE_MS / 2);
    client_say(&used, GET("/used"));
    turns(&world, IDLE_MS / 2 + 10);
    client_expect_end(&fresh);
    client_expect(&used, 200, "/used");
    assert_false(used.has_ended);
    turns(&world, IDLE_MS / 2);
    client_expect_end(&used);
    client_close(&fresh);
    client_close(&used);
    world_fini(&world);
}

static void who_takes_nothing_is_cut(void **state)
{
    struct world world;
    struct client deaf, slow, other;
    start(&world);
    client_open(&deaf, &world);
    client_open(&slow, &world);
    deaf.is_deaf = slow.is_deaf = true;
    client_say(&deaf, GET("/big"));
    client_say(&slow, GET("/big"));
    for (unsigned index = 0; index < 30; index++) {
        char bytes[40000];
        turns(&world, SEND_MS / 5);
        if (!slow.has_ended) {
            const ssize_t size = sim_peer_recv(slow.peer, bytes, sizeof bytes);
            assert_true(size > 0 || size == -EAGAIN);
        }
        /* Others are served meanwhile. */
        client_open(&other, &world);
        client_say(&other, GET("/other"));
        turns(&world, 2);
        client_expect(&other, 200, "/other");
        client_close(&other);
    }
    assert_int_equal(counters_of(&world).timeouts, 1);
    deaf.is_deaf = slow.is_deaf = false;
    client_receive(&deaf);
    client_receive(&slow);
    turns(&world, 500);
    assert_true(deaf.has_ended);
    assert_true(deaf.inbox_size < BIG_SIZE);
    assert_false(slow.has_ended);
    client_close(&deaf);
    client_close(&slow);
    world_fini(&world);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void the_newcomer_beyond_the_limit_is_told_so(void **state)
{
    struct leat_http_options few = options;
    few.connections_max = 2;
    struct world world;
    world_init(&world, SIM_CALM, 1);
    world_serve(&world, &few);
    struct client clients[3], last;
    for (unsigned index = 0; index < 3; index++) {
        client_open(&clients[index], &world);
        turns(&world, 1);
    }
    for (unsigned index = 0; index < 3; index++)
        client_say(&clients[index], GET("/r"));
    turns(&world, 10);
    client_expect(&clients[0], 200, "/r");
    client_expect(&clients[1], 200, "/r");
    client_expect(&clients[2], 503, NULL);
    client_expect_end(&clients[2]);
    assert_int_equal(counters_of(&world).refused, 1);

    /* Who leaves makes room. */
    client_close(&clients[0]);
    client_close(&clients[2]);
    turns(&world, 10);
    client_open(&last, &world);
    client_say(&last, GET("/last"));
    turns(&world, 10);
    client_expect(&last, 200, "/last");
    client_close(&clients[1]);
    client_close(&last);
    world_fini(&world);
}

static void refusing_has_a_limit_too(void **state)
{
    enum { COUNT = SERVER_REFUSALS_MAX + 20 };
    struct leat_http_options few = options;
    few.connections_max = 1;
    struct world world;
    world_init(&world, SIM_CALM, 1);
    world_serve(&world, &few);
    static struct client clients[1 + COUNT];
    unsigned told = 0, cut = 0;
    for (unsigned index = 0; index < 1 + COUNT; index++) {
        client_open(&clients[index], &world);
        turns(&world, 1);
    }
    turns(&world, 10);
    assert_int_equal(counters_of(&world).connections_now, 1 + SERVER_REFUSALS_MAX);
    for (unsigned index = 1; index < 1 + COUNT; index++) {
        if (!clients[index].has_ended)
            client_say(&clients[index], GET("/r"));
        turns(&world, 1);
        struct answer answer;
        if (clients[index].inbox_size > 0 && client_peek(&clients[index], false, &answer))
            told += answer.response.status == 503;
        else
            cut += clients[index].has_ended;
    }
    assert_int_equal(told, SERVER_REFUSALS_MAX);
    assert_int_equal(cut, COUNT - SERVER_REFUSALS_MAX);
    for (unsigned index = 0; index < 1 + COUNT; index++)
        client_close(&clients[index]);
    world_fini(&world);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

/* A client that still sends when it is refused must get to read why (RFC 9112, section 9.6). */
static void an_answer_waits_for_a_client_that_still_sends(void **state)
{
    static char body[10 * 1024 * 1024];
    /* In the second case the overflow is full, and receiving has stopped, when the answer goes. */
    static const char *const paths[] = {"/p", "/slow"};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        struct world world;
        struct client client;
        char head[128];
        start(&world);
        client_open(&client, &world);
        client.is_deaf = true;
        snprintf(head, sizeof head,
                 "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", paths[index]);
        client_say(&client, head);
        turns(&world, 1);
        client_send(&client, body, sizeof body);
        turns(&world, 500);
        assert_int_equal(client.outbox_size, 0);
        client.is_deaf = false;
        client_receive(&client);
        client_expect(&client, 200, paths[index]);
        client_expect_end(&client);
        client_shut(&client);
        turns(&world, 10);
        assert_int_equal(counters_of(&world).connections_now, 0);
        client_close(&client);
        world_fini(&world);
    }
}

static void what_is_read_away_is_bounded(void **state)
{
    static char body[CONN_LINGER_BYTES + 8 * 1024 * 1024];
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    client_say(&client, "bad\r\n\r\n");
    turns(&world, 1);
    client_send(&client, body, sizeof body);
    turns(&world, CONN_LINGER_MS - 100);
    assert_true(client.outbox_size > 0);
    assert_int_equal(counters_of(&world).connections_now, 0);
    client_close(&client);
    world_fini(&world);
}

/* A browser's https:// on the plain port: people are told what they did. */
static void tls_on_the_plain_port_is_named(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    client_send(&client, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    turns(&world, 10);
    client_expect(&client, 400, "400 Bad Request: this port speaks plain HTTP, not TLS\n");
    client_expect_end(&client);
    client_close(&client);
    world_fini(&world);
}

static void lingering_is_bounded(void **state)
{
    struct world world;
    struct client silent, eager;
    start(&world);
    client_open(&silent, &world);
    client_open(&eager, &world);
    client_say(&silent, "bad\r\n\r\n");
    client_say(&eager, "bad\r\n\r\n");
    for (unsigned ms = 0; ms < CONN_LINGER_MAX_MS - 1000; ms += 1000) {
        turns(&world, 1000);
        client_say(&eager, "and more");
        if (ms + 1000 != CONN_LINGER_MS)
            assert_int_equal(counters_of(&world).connections_now,
                             ms + 1000 < CONN_LINGER_MS ? 2 : 1);
    }
    turns(&world, 1500);
    assert_int_equal(counters_of(&world).connections_now, 0);
    client_expect(&silent, 400, NULL);
    client_close(&silent);
    client_close(&eager);
    world_fini(&world);
}

/* Wherever a client vanishes, all of the connection goes. */
static void clients_may_vanish_at_any_time(void **state)
{
    static const char *const texts[] = {"",
                                        "GET / HT",
                                        GET("/a"),
                                        GET("/slow"),
                                        GET("/stuck"),
                                        GET("/big"),
                                        GET("/slow") GET("/big"),
                                        "bad\r\n\r\n"};
    static const unsigned delays_us[] = {1, 30, 60, 100, 200, 1000, 99950, 100010, 100100};
    struct world world;
    start(&world);
    for (size_t text = 0; text < sizeof texts / sizeof *texts; text++) {
        for (size_t delay = 0; delay < sizeof delays_us / sizeof *delays_us; delay++) {
            for (unsigned resets = 0; resets < 2; resets++) {
                struct client client;
                client_open(&client, &world);
                client.is_deaf = true;
                client_say(&client, texts[text]);
                const int64_t end_ns = sim_now_ns(world.sim) + delays_us[delay] * LEAT_NS_PER_US;
                while (sim_now_ns(world.sim) < end_ns)
                    assert_int_equal(leat_loop_run_once(world.loop, end_ns), 0);
                if (resets)
                    sim_peer_reset(client.peer);
                else
                    sim_peer_close(client.peer);
            }
        }
    }
    /* A handler is not told; those that wait for ever are ended by the server's own end. */
    turns(&world, CONN_LINGER_MS + SEND_MS);
    assert_true(counters_of(&world).connections_now <= 2 * sizeof delays_us / sizeof *delays_us);
    leat_http_server_close(world.server, 0, sim_now_ns(world.sim));
    world.server = NULL;
    world_fini(&world);
}

static void a_server_ends_gently(void **state)
{
    struct world world;
    struct client idle, working, sending, half;
    start(&world);
    client_open(&idle, &world);
    client_open(&working, &world);
    client_open(&sending, &world);
    client_open(&half, &world);
    sending.is_deaf = true;
    client_say(&sending, GET("/big"));
    client_say(&half, "GET /half HTTP/1.1\r\n");
    turns(&world, 10);
    client_say(&working, GET("/slow") GET("/asked-in-time"));
    turns(&world, 10);
    leat_http_server_close(world.server, 0, sim_now_ns(world.sim) + 60 * LEAT_NS_PER_S);
    world.server = NULL;
    turns(&world, 10);
    client_expect_end(&idle);

    /* Nobody new. */
    struct client late;
    client_open(&late, &world);
    client_say(&late, GET("/late"));
    turns(&world, 10);
    assert_int_equal(late.inbox_size, 0);
    assert_true(late.has_ended);

    client_say(&half, "Host: a\r\n\r\n");
    sending.is_deaf = false;
    client_receive(&sending);
    turns(&world, 200);
    struct answer answer;
    client_expect(&working, 200, "/slow");
    assert_true(client_peek(&working, false, &answer));
    assert_int_equal(answer.response.status, 200);
    assert_true(answer.response.head.says_close);
    client_drop(&working, &answer);
    client_expect_end(&working);
    client_expect(&half, 200, "/half");
    client_expect(&sending, 200, NULL);
    client_expect_end(&sending);
    client_close(&idle);
    client_close(&late);
    client_close(&half);
    client_close(&working);
    client_close(&sending);
    world_fini(&world);
}

static void grace_ends(void **state)
{
    struct world world;
    struct client stuck, deaf;
    start(&world);
    client_open(&stuck, &world);
    client_open(&deaf, &world);
    deaf.is_deaf = true;
    client_say(&stuck, GET("/stuck"));
    client_say(&deaf, GET("/big"));
    turns(&world, 10);
    leat_http_server_close(world.server, 0, sim_now_ns(world.sim) + 100 * LEAT_NS_PER_MS);
    world.server = NULL;
    turns(&world, 50);
    assert_false(stuck.has_ended);
    turns(&world, 100);
    assert_true(stuck.has_ended);
    assert_int_equal(leat_loop_run(world.loop), 0);
    client_close(&stuck);
    client_close(&deaf);
    world_fini(&world);
}

/* The same, whatever the network does to it: in crumbs, out of order, late. */
static void crumbs_do_not_matter(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world world;
        struct client client;
        world_init(&world, &sim_profiles[1], seed);
        world_serve(&world, &options);
        client_open(&client, &world);
        client_say(&client, GET("/a") GET("/big") GET("/slow") GET("/z"));
        turns(&world, 3000);
        client_expect(&client, 200, "/a");
        client_expect(&client, 200, NULL);
        client_expect(&client, 200, "/slow");
        client_expect(&client, 200, "/z");
        client_close(&client);
        world_fini(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_may_be_cut_anywhere),
        cmocka_unit_test(a_head_may_come_byte_by_byte),
        cmocka_unit_test(bad_heads_are_answered_and_end_the_connection),
        cmocka_unit_test(what_no_handler_can_answer_ends_the_connection),
        cmocka_unit_test(a_good_request_before_a_bad_one_is_answered),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(connections_are_kept_as_the_standard_says),
        cmocka_unit_test(head_is_answered_without_a_body),
        cmocka_unit_test(a_half_closed_client_gets_its_answers),
        cmocka_unit_test(no_reply_is_an_error_of_ours),
        cmocka_unit_test(a_late_head_is_told_so),
        cmocka_unit_test(every_head_has_its_own_time),
        cmocka_unit_test(an_idle_connection_ends_without_a_word),
        cmocka_unit_test(who_takes_nothing_is_cut),
        cmocka_unit_test(the_newcomer_beyond_the_limit_is_told_so),
        cmocka_unit_test(refusing_has_a_limit_too),
        cmocka_unit_test(an_answer_waits_for_a_client_that_still_sends),
        cmocka_unit_test(what_is_read_away_is_bounded),
        cmocka_unit_test(tls_on_the_plain_port_is_named),
        cmocka_unit_test(lingering_is_bounded),
        cmocka_unit_test(clients_may_vanish_at_any_time),
        cmocka_unit_test(a_server_ends_gently),
        cmocka_unit_test(grace_ends),
        cmocka_unit_test(crumbs_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
