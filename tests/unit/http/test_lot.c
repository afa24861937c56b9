/* SPDX-License-Identifier: MIT */
/*
 * Requests that are parked: that they cost an idle connection, that wakes, deadlines, clients who
 * go and servers that close each bring them to exactly one end, and that their handler sees the
 * request as it was.
 */
#include "../engines.h"
#include "fiber/fiber.h"
#include "http/gauges.h"
#include "http/lot.h"
#include "http/server.h"
#include "leat/stream.h"
#include "world.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* A thing that is there or is not, and those who wait for it. */
struct stage {
    struct world world;
    struct leat_http_lot *lot, *other;
    bool is_there;
    int64_t patience_ms; /* of the handler, from when the request was received */
    unsigned runs;
    char order[256]; /* of replies: the first letter behind the slash */
    size_t order_size;
    unsigned records, broken;
    int last_status;
    int64_t last_duration_ns;
};

/* Named by its path: what it does besides waiting. */
static void handle(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    struct stage *stage = user;
    const int64_t deadline_ns =
        leat_http_received_ns(request) + stage->patience_ms * LEAT_NS_PER_MS;
    const struct leat_slice path = leat_http_path(request);
    unsigned *count = leat_http_connection_memory(request, sizeof *count);
    stage->runs++;
    assert_int_equal(leat_http_was_parked(request), (*count)++ > 0);
    if (!stage->is_there && !leat_http_is_overdue(request)) {
        assert_int_equal(leat_http_add_field(response, "X-Forgotten", "yes"), 0);
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), 0);
        return;
    }
    *count = 0; /* for the connection's next */
    if (stage->order_size < sizeof stage->order)
        stage->order[stage->order_size++] = path.data[1];
    if (leat_http_is_overdue(request))
        (void)leat_http_reply_text(response, 503, "late");
    else
        (void)leat_http_reply_text(response, 200, "%.*s", (int)path.size, path.data);
}

static void note_record(const struct leat_http_record *record, void *user)
{
    struct stage *stage = user;
    assert_true(leat_address_family(record->peer) != AF_UNSPEC);
    assert_true(record->target.size > 0);
    stage->records++;
    stage->broken += record->is_broken;
    stage->last_status = record->status;
    stage->last_duration_ns = record->duration_ns;
}

static void stage_serve(struct stage *stage, leat_http_handler_fn handler)
{
    *stage = (struct stage){.patience_ms = 10000};
    world_init(&stage->world, SIM_CALM, 1);
    assert_int_equal(leat_http_lot_create(&stage->lot), 0);
    assert_int_equal(leat_http_lot_create(&stage->other), 0);
    world_serve(&stage->world, &(struct leat_http_options){.handler = handler,
                                                           .user = stage,
                                                           .idle_timeout_ms = 2000,
                                                           .on_done = note_record,
                                                           .on_done_user = stage});
}

static void stage_fini(struct stage *stage)
{
    assert_int_equal(leat_http_lot_count(stage->lot), 0);
    leat_http_lot_destroy(stage->lot);
    leat_http_lot_destroy(stage->other);
    leat_http_lot_destroy(NULL);
    world_fini(&stage->world);
}

static void come(struct stage *stage)
{
    stage->is_there = true;
    leat_http_lot_wake(stage->lot);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void a_parked_request_is_an_idle_connection(void **state)
{
    struct stage stage;
    struct client client;
    struct gauges gauges;
    struct fiber_counters fibers;
    struct leat_http_counters counters;
    stage_serve(&stage, handle);
    client_open(&client, &stage.world);
    client_say(&client, GET("/a"));
    turns(&stage.world, 5000); /* far longer than an idle one may be */
    gauges_read(stage.world.server, &gauges);
    assert_int_equal(gauges.connections[CONN_PARKED], 1);
    assert_int_equal(gauges.exchanges, 0);
    assert_string_equal(gauges_state_name(CONN_PARKED), "parked");
    fiber_counters_read(stage.world.loop, &fibers);
    assert_int_equal(fibers.fibers, 0);
    assert_int_equal(leat_http_lot_count(stage.lot), 1);
    assert_int_equal(stage.records, 0);
    assert_int_equal(client.inbox_size, 0);
    assert_false(client.has_ended);
    come(&stage);
    turns(&stage.world, 10);
    assert_null(strstr(client.inbox, "X-Forgotten"));
    client_expect(&client, 200, "/a");
    assert_int_equal(stage.runs, 2);
    /* It was one request, from its first byte to its last. */
    assert_int_equal(stage.records, 1);
    assert_true(stage.last_duration_ns >= 4900 * LEAT_NS_PER_MS);
    leat_http_server_counters(stage.world.server, &counters);
    assert_int_equal(counters.requests, 1);
    assert_int_equal(counters.statuses[2], 1);
    assert_int_equal(counters.timeouts, 0);
    /* The connection goes on as any. */
    client_say(&client, GET("/b"));
    turns(&stage.world, 10);
    client_expect(&client, 200, "/b");
    turns(&stage.world, 2100);
    client_expect_end(&client);
    client_close(&client);
    stage_fini(&stage);
}

static void at_its_deadline_the_handler_runs_again(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, handle);
    client_open(&client, &stage.world);
    client_say(&client, GET("/a"));
    turns(&stage.world, 9900);
    assert_int_equal(stage.runs, 1);
    /* Somebody wakes it for something else: it parks again, and is late at the same time. */
    assert_int_equal(leat_http_lot_wake(stage.lot), 1);
    turns(&stage.world, 20);
    assert_int_equal(stage.runs, 2);
    assert_int_equal(leat_http_lot_count(stage.lot), 1);
    turns(&stage.world, 200);
    client_expect(&client, 503, "late");
    assert_int_equal(stage.runs, 3);
    assert_int_equal(leat_http_lot_count(stage.lot), 0);
    assert_int_equal(stage.records, 1);
    client_close(&client);
    stage_fini(&stage);
}

enum { CROWD = 200 };

static void many_are_served_in_order_and_in_turns(void **state)
{
    struct stage stage;
    struct client *clients = calloc(CROWD, sizeof *clients);
    struct gauges gauges;
    stage_serve(&stage, handle);
    for (unsigned index = 0; index < CROWD; index++) {
        client_open(&clients[index], &stage.world);
        client_say(&clients[index], index % 2 ? GET("/b") : GET("/a"));
        turns(&stage.world, 10);
    }
    assert_int_equal(leat_http_lot_count(stage.lot), CROWD);
    stage.runs = 0;
    stage.is_there = true;
    assert_int_equal(leat_http_lot_wake(stage.lot), CROWD);
    assert_int_equal(leat_http_lot_wake(stage.lot), 0); /* they have left */
    unsigned turn_count = 0;
    while (stage.runs < CROWD) {
        const unsigned before = stage.runs;
        assert_int_equal(leat_loop_run_once(stage.world.loop, LEAT_FOREVER), 0);
        assert_true(stage.runs - before <= LOT_RESUMED_A_TURN);
        gauges_read(stage.world.server, &gauges);
        assert_int_equal(gauges.connections[CONN_PARKED], CROWD - stage.runs);
        turn_count++;
    }
    assert_true(turn_count >= CROWD / LOT_RESUMED_A_TURN);
    assert_int_equal(stage.order_size, CROWD);
    for (unsigned index = 0; index < CROWD; index++)
        assert_int_equal(stage.order[index], index % 2 ? 'b' : 'a');
    turns(&stage.world, 20);
    for (unsigned index = 0; index < CROWD; index++) {
        client_expect(&clients[index], 200, index % 2 ? "/b" : "/a");
        client_close(&clients[index]);
    }
    free(clients);
    stage_fini(&stage);
}

/* ---- The client ------------------------------------------------------------------------------ */

static void who_goes_leaves_the_lot_at_once(void **state)
{
    struct stage stage;
    struct client gone, half, staying;
    struct gauges gauges;
    struct leat_http_counters counters;
    stage_serve(&stage, handle);
    client_open(&gone, &stage.world);
    client_open(&half, &stage.world);
    client_open(&staying, &stage.world);
    client_say(&gone, GET("/a"));
    client_say(&half, GET("/b"));
    client_say(&staying, GET("/c"));
    turns(&stage.world, 100);
    assert_int_equal(leat_http_lot_count(stage.lot), 3);
    client_close(&gone);
    turns(&stage.world, 20);
    assert_int_equal(leat_http_lot_count(stage.lot), 2);
    /* It is in the log, as broken off. */
    assert_int_equal(stage.records, 1);
    assert_int_equal(stage.broken, 1);
    assert_int_equal(stage.last_status, 0);
    client_shut(&half);
    turns(&stage.world, 20);
    assert_int_equal(leat_http_lot_count(stage.lot), 1);
    gauges_read(stage.world.server, &gauges);
    assert_int_equal(gauges.conns, 1);
    assert_int_equal(gauges.exchanges, 0);
    client_close(&half);
    come(&stage);
    turns(&stage.world, 20);
    client_expect(&staying, 200, "/c");
    leat_http_server_counters(stage.world.server, &counters);
    assert_int_equal(counters.requests, 3);
    assert_int_equal(counters.statuses[0], 2);
    client_close(&staying);
    stage_fini(&stage);
}

static void who_goes_when_already_woken_is_not_run(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, handle);
    client_open(&client, &stage.world);
    client_say(&client, GET("/a"));
    turns(&stage.world, 100);
    come(&stage);
    client_close(&client); /* whichever the loop sees first */
    turns(&stage.world, 100);
    assert_true(stage.runs <= 2);
    assert_int_equal(stage.records, 1);
    stage_fini(&stage);
}

static void pipelined_requests_wait_behind_it(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, handle);
    client_open(&client, &stage.world);
    client_say(&client, GET("/a") GET("/b") "GET /c HT");
    turns(&stage.world, 100);
    assert_int_equal(stage.runs, 1);
    client_say(&client, "TP/1.1\r\nHost: a\r\n\r\n" GET("/d"));
    turns(&stage.world, 100);
    assert_int_equal(stage.runs, 1);
    leat_http_lot_wake(stage.lot); /* once for nothing */
    turns(&stage.world, 100);
    assert_int_equal(stage.runs, 2);
    come(&stage);
    turns(&stage.world, 100);
    client_expect(&client, 200, "/a");
    client_expect(&client, 200, "/b");
    client_expect(&client, 200, "/c");
    client_expect(&client, 200, "/d");
    assert_int_equal(stage.records, 4);
    client_close(&client);
    stage_fini(&stage);
}

static void what_it_sends_meanwhile_is_bounded(void **state)
{
    enum { FLOOD = 4000 };
    static const char follower[] = GET("/f");
    struct stage stage;
    struct client client;
    stage_serve(&stage, handle);
    char *flood = malloc(FLOOD * (sizeof follower - 1));
    for (unsigned index = 0; index < FLOOD; index++)
        memcpy(flood + index * (sizeof follower - 1), follower, sizeof follower - 1);
    client_open(&client, &stage.world);
    client_send(&client, flood, FLOOD * (sizeof follower - 1));
    turns(&stage.world, 1000);
    struct leat_http_counters counters;
    leat_http_server_counters(stage.world.server, &counters);
    assert_true(counters.bytes_received < INTAKE_OVERFLOW_MAX + 40 * 1024);
    come(&stage);
    turns(&stage.world, 1000);
    for (unsigned index = 0; index < FLOOD; index++)
        client_expect(&client, 200, "/f");
    client_close(&client);
    free(flood);
    stage_fini(&stage);
}

static void all_kinds_of_requests_may_wait(void **state)
{
    struct stage stage;
    struct client old, head, closing;
    struct answer answer;
    stage_serve(&stage, handle);
    client_open(&old, &stage.world);
    client_open(&head, &stage.world);
    client_open(&closing, &stage.world);
    client_say(&old, "GET /o HTTP/1.0\r\n\r\n");
    client_say(&head, "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n");
    client_say(&closing, "GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    turns(&stage.world, 100);
    assert_int_equal(leat_http_lot_count(stage.lot), 3);
    come(&stage);
    turns(&stage.world, 20);
    client_expect(&old, 200, "/o");
    client_expect_end(&old);
    assert_true(client_peek(&head, true, &answer));
    assert_int_equal(answer.response.head.content_length, 2);
    client_drop(&head, &answer);
    assert_int_equal(head.inbox_size, 0);
    client_expect(&closing, 200, "/c");
    client_expect_end(&closing);
    client_close(&old);
    client_close(&head);
    client_close(&closing);
    stage_fini(&stage);
}

/* ---- The server ------------------------------------------------------------------------------ */

static void a_server_that_closes_wakes_all(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, handle);
    client_open(&client, &stage.world);
    client_say(&client, GET("/a"));
    turns(&stage.world, 100);
    const int64_t now_ns = sim_now_ns(stage.world.sim);
    leat_http_server_close(stage.world.server, now_ns + LEAT_NS_PER_S, now_ns + LEAT_NS_PER_S);
    stage.world.server = NULL;
    turns(&stage.world, 100);
    client_expect(&client, 503, "late");
    client_expect_end(&client);
    client_close(&client);
    stage_fini(&stage);
}

static void a_grace_that_is_over_ends_it(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, handle);
    client_open(&client, &stage.world);
    client_say(&client, GET("/a"));
    turns(&stage.world, 100);
    leat_http_server_close(stage.world.server, 0, 0);
    stage.world.server = NULL;
    turns(&stage.world, 100);
    assert_int_equal(stage.records, 1);
    assert_true(client.has_ended);
    client_close(&client);
    stage_fini(&stage);
}

/* ---- What handlers may do -------------------------------------------------------------------- */

static void try_things(struct leat_http_request *request, struct leat_http_response *response,
                       void *user)
{
    struct stage *stage = user;
    const int64_t deadline_ns = leat_after_ms(1000);
    const char what = leat_http_path(request).data[1];
    stage->runs++;
    if (leat_http_was_parked(request)) {
        (void)leat_http_reply_text(response, 200, leat_http_is_overdue(request) ? "late" : "woken");
        return;
    }
    switch (what) {
    case 'r': /* replies first */
        (void)leat_http_reply_text(response, 200, "replied");
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), -EBUSY);
        break;
    case 'b': /* begins first */
        assert_int_equal(leat_http_begin(response, 200, "text/plain", 2), 0);
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), -EBUSY);
        assert_int_equal(leat_http_write(response, "ok", 2, LEAT_FOREVER), 0);
        break;
    case 'p': { /* has a body, read or not */
        struct leat_slice body;
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), -EBUSY);
        assert_int_equal(leat_http_read_all(request, 100, LEAT_FOREVER, &body), 0);
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), -EBUSY);
        (void)leat_http_reply_text(response, 200, "body");
        break;
    }
    case 'c': /* changes its mind */
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), 0);
        (void)leat_http_reply_text(response, 200, "at once");
        break;
    case 'm': /* moves */
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), 0);
        assert_int_equal(leat_http_park(request, response, stage->other, deadline_ns), 0);
        assert_int_equal(leat_http_lot_count(stage->lot), 0);
        break;
    case 's': /* stays on its stack after it has parked */
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), 0);
        (void)leat_sleep_ms(200);
        break;
    case 'd': /* has a deadline, which stays as it is */
        leat_http_set_deadline(request, leat_after_ms(50));
        assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), 0);
        (void)leat_sleep_ms(200);
        break;
    default: assert_int_equal(leat_http_park(request, response, stage->lot, deadline_ns), 0);
    }
}

static void parking_has_its_conditions(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, try_things);
    client_open(&client, &stage.world);
    client_say(&client, GET("/r") GET("/b") "POST /p HTTP/1.1\r\nHost: a\r\n"
                                            "Content-Length: 2\r\n\r\nhi" GET("/c"));
    turns(&stage.world, 20);
    client_expect(&client, 200, "replied");
    client_expect(&client, 200, "ok");
    client_expect(&client, 200, "body");
    client_expect(&client, 200, "at once");
    assert_int_equal(leat_http_lot_count(stage.lot), 0);
    client_close(&client);
    stage_fini(&stage);
}

static void the_last_lot_counts_and_its_end_wakes(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, try_things);
    client_open(&client, &stage.world);
    client_say(&client, GET("/m"));
    turns(&stage.world, 20);
    assert_int_equal(leat_http_lot_wake(stage.lot), 0);
    turns(&stage.world, 20);
    assert_int_equal(stage.runs, 1);
    leat_http_lot_destroy(stage.other);
    stage.other = NULL;
    turns(&stage.world, 20);
    client_expect(&client, 200, "woken");
    client_close(&client);
    stage_fini(&stage);
}

static void a_wake_before_the_handler_returned_is_not_lost(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, try_things);
    client_open(&client, &stage.world);
    client_say(&client, GET("/s"));
    turns(&stage.world, 100);
    assert_int_equal(leat_http_lot_wake(stage.lot), 1);
    turns(&stage.world, 50);
    assert_int_equal(stage.runs, 1); /* not twice at a time */
    turns(&stage.world, 100);
    client_expect(&client, 200, "woken");
    assert_int_equal(stage.runs, 2);
    client_close(&client);
    stage_fini(&stage);
}

static void a_late_handler_has_not_parked(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, try_things);
    client_open(&client, &stage.world);
    client_say(&client, GET("/d"));
    turns(&stage.world, 100);
    client_expect(&client, 503, NULL);
    assert_int_equal(leat_http_lot_count(stage.lot), 0);
    client_close(&client);
    stage_fini(&stage);
}

static void nobody_parks_where_it_closes(void **state)
{
    struct stage stage;
    struct client slow, later;
    stage_serve(&stage, try_things);
    client_open(&slow, &stage.world);
    client_open(&later, &stage.world);
    client_say(&slow, GET("/s"));
    client_say(&later, "GET /x HTT");
    turns(&stage.world, 100);
    const int64_t now_ns = sim_now_ns(stage.world.sim);
    leat_http_server_close(stage.world.server, now_ns + LEAT_NS_PER_S, now_ns + LEAT_NS_PER_S);
    stage.world.server = NULL;
    turns(&stage.world, 20);
    assert_int_equal(stage.runs, 1);
    turns(&stage.world, 200);
    client_expect(&slow, 200, "late"); /* it had parked before */
    client_expect_end(&slow);
    client_close(&slow);
    client_close(&later);
    stage_fini(&stage);
}

static void never_again(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    struct stage *stage = user;
    stage->runs++;
    (void)leat_sleep_ms(100);
    assert_int_equal(leat_http_park(request, response, stage->lot, leat_after_ms(10)), -ESHUTDOWN);
    (void)leat_http_reply_text(response, 503, "closing");
}

static void a_server_that_closes_has_no_places(void **state)
{
    struct stage stage;
    struct client client;
    stage_serve(&stage, never_again);
    client_open(&client, &stage.world);
    client_say(&client, GET("/a"));
    turns(&stage.world, 50);
    const int64_t now_ns = sim_now_ns(stage.world.sim);
    leat_http_server_close(stage.world.server, now_ns + LEAT_NS_PER_S, now_ns + LEAT_NS_PER_S);
    stage.world.server = NULL;
    turns(&stage.world, 100);
    client_expect(&client, 503, "closing");
    client_expect_end(&client);
    client_close(&client);
    stage_fini(&stage);
}

/* ---- On real sockets ------------------------------------------------------------------------- */

enum { VIEWERS = 150, LEAVERS = 30 };

static int64_t soon(void)
{
    return leat_after_ms(10 * 1000);
}

static struct leat_stream *ask(const struct leat_address *address, const char *text)
{
    struct leat_stream *stream;
    assert_int_equal(leat_connect(address, NULL, soon(), &stream), 0);
    assert_int_equal(leat_stream_write(stream, text, strlen(text), soon()), 0);
    return stream;
}

/* The server's answer begins and ends so; the client goes. */
static void expect(struct leat_stream *stream, const char *begin, const char *end)
{
    char text[1024];
    size_t size = 0;
    const char *found = NULL;
    while (!found) {
        const ssize_t count = leat_stream_read(stream, text + size, sizeof text - 1 - size, soon());
        assert_true(count > 0);
        size += (size_t)count;
        text[size] = '\0';
        found = strstr(text, end);
    }
    assert_memory_equal(text, begin, strlen(begin));
    assert_int_equal(strlen(found), strlen(end));
    leat_stream_close(stream);
}

static void await_count(const struct leat_http_lot *lot, unsigned count)
{
    const int64_t deadline_ns = soon();
    while (leat_http_lot_count(lot) != count) {
        assert_true(leat_now_ns() < deadline_ns);
        assert_int_equal(leat_sleep_ms(1), 0);
    }
}

static int on_real_sockets_fiber(void *arg)
{
    struct stage stage = {.patience_ms = 60 * 1000};
    struct leat_stream *viewers[VIEWERS];
    struct leat_address address;
    struct leat_listener *listener;
    struct leat_http_server *server;
    const struct leat_http_options options = {
        .handler = handle, .user = &stage, .on_done = note_record, .on_done_user = &stage};
    assert_int_equal(leat_http_lot_create(&stage.lot), 0);
    assert_int_equal(leat_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(leat_listen(&address, NULL, &listener), 0);
    address = *leat_listener_address(listener);
    assert_int_equal(leat_http_server_create(&options, &server), 0);
    assert_int_equal(leat_http_server_add(server, listener), 0);
    for (unsigned index = 0; index < VIEWERS; index++)
        viewers[index] = ask(&address, index == VIEWERS - 1 ? GET("/a") GET("/b") : GET("/a"));
    await_count(stage.lot, VIEWERS);
    for (unsigned index = 0; index < LEAVERS; index++)
        leat_stream_close(viewers[index]);
    await_count(stage.lot, VIEWERS - LEAVERS);
    /* What comes meanwhile waits. */
    assert_int_equal(leat_stream_write(viewers[VIEWERS - 1], GET("/c"), strlen(GET("/c")), soon()),
                     0);
    assert_int_equal(leat_sleep_ms(5), 0);
    stage.is_there = true;
    assert_int_equal(leat_http_lot_wake(stage.lot), VIEWERS - LEAVERS);
    for (unsigned index = LEAVERS; index < VIEWERS - 1; index++)
        expect(viewers[index], "HTTP/1.1 200", "\r\n\r\n/a");
    expect(viewers[VIEWERS - 1], "HTTP/1.1 200", "\r\n\r\n/c");
    stage.is_there = false;
    viewers[0] = ask(&address, GET("/a"));
    await_count(stage.lot, 1);
    leat_http_server_close(server, soon(), soon());
    expect(viewers[0], "HTTP/1.1 503", "\r\n\r\nlate");
    assert_int_equal(leat_http_lot_count(stage.lot), 0);
    assert_int_equal(stage.records, VIEWERS + 2 + 1);
    assert_int_equal(stage.broken, LEAVERS);
    leat_http_lot_destroy(stage.lot);
    return 0;
}
FIBER_ENGINE_TEST(on_real_sockets)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parked_request_is_an_idle_connection),
        cmocka_unit_test(at_its_deadline_the_handler_runs_again),
        cmocka_unit_test(many_are_served_in_order_and_in_turns),
        cmocka_unit_test(who_goes_leaves_the_lot_at_once),
        cmocka_unit_test(who_goes_when_already_woken_is_not_run),
        cmocka_unit_test(pipelined_requests_wait_behind_it),
        cmocka_unit_test(what_it_sends_meanwhile_is_bounded),
        cmocka_unit_test(all_kinds_of_requests_may_wait),
        cmocka_unit_test(a_server_that_closes_wakes_all),
        cmocka_unit_test(a_grace_that_is_over_ends_it),
        cmocka_unit_test(parking_has_its_conditions),
        cmocka_unit_test(the_last_lot_counts_and_its_end_wakes),
        cmocka_unit_test(a_wake_before_the_handler_returned_is_not_lost),
        cmocka_unit_test(a_late_handler_has_not_parked),
        cmocka_unit_test(nobody_parks_where_it_closes),
        cmocka_unit_test(a_server_that_closes_has_no_places),
        cmocka_unit_test(test_on_real_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
