/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events: one response, a hub with subscribers who come back, are slow, deaf or gone.
 * In a simulated world (world.h); the clients read as EventSource does.
 */
#include "leat/events.h"

#include "base/random.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "wire/http1_chunked.h"
#include "world.h"

enum { KEPT = 8, HEARTBEAT_MS = 1000, SEND_MS = 5000, TEXT_SIZE = 1 << 20 };

static struct {
    struct leat_events *events;
    struct leat_events_serve_options options;
    int result; /* of the last service that ended */
    unsigned ended;
} hub;

static void handle_one(struct leat_http_request *request, struct leat_http_response *response)
{
    static char large[2000];
    memset(large, 'x', sizeof large);
    const struct leat_event first = {.id = "1", .type = "tick", .data = SLICE("a\nb")},
                            broken = {.id = "2\n3", .data = SLICE("c")},
                            second = {.retry_ms = 5, .data = slice_of(large, sizeof large)};
    assert_int_equal(leat_event_begin(response, LEAT_FOREVER), 0);
    assert_int_equal(leat_event_send(response, &first, LEAT_FOREVER), 0);
    assert_int_equal(leat_event_send(response, &broken, LEAT_FOREVER), -EINVAL);
    assert_int_equal(leat_event_heartbeat(response, LEAT_FOREVER), 0);
    assert_int_equal(leat_event_send(response, &second, LEAT_FOREVER), 0);
    const struct leat_event third = {.data = slice_from_text(leat_event_last_id(request))};
    assert_int_equal(leat_event_send(response, &third, LEAT_FOREVER), 0);
}

static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    if (slice_equal(leat_http_path(request), SLICE("/one"))) {
        handle_one(request, response);
        return;
    }
    hub.result = leat_events_serve(hub.events, request, response, &hub.options);
    hub.ended++;
}

static void start_with(struct world *world, const struct sim_profile *profile, uint64_t seed,
                       const struct leat_events_options *options)
{
    static const struct leat_http_options http = {.handler = handler};
    world_init(world, profile, seed);
    memset(&hub, 0, sizeof hub);
    hub.options.heartbeat_ms = HEARTBEAT_MS;
    hub.options.send_timeout_ms = SEND_MS;
    assert_int_equal(leat_events_create(options, &hub.events), 0);
    world_serve(world, &http);
}

static void start(struct world *world)
{
    static const struct leat_events_options options = {.kept_max = KEPT};
    start_with(world, SIM_CALM, 1, &options);
}

static void end(struct world *world)
{
    leat_events_destroy(hub.events);
    world_fini(world);
}

static uint64_t subscribers(void)
{
    struct leat_events_counters counters;
    leat_events_counters(hub.events, &counters);
    return counters.subscribers_now;
}

static void publish(struct world *world, const char *id, const char *data)
{
    const struct leat_event event = {.id = id, .data = slice_from_text(data)};
    assert_int_equal(leat_events_publish(hub.events, &event), 0);
    turns(world, 10);
}

/* ---- Clients --------------------------------------------------------------------------------- */

static void subscribe(struct client *client, struct world *world, const char *fields)
{
    static char text[512];
    snprintf(text, sizeof text, "GET /hub HTTP/1.1\r\nHost: mill\r\n%s\r\n", fields);
    client_open(client, world);
    client_say(client, text);
    turns(world, 10);
}

/* The text of the stream so far; *ret_is_over: its last chunk has come. */
static const char *stream_of(const struct client *client, bool *ret_is_over)
{
    static char text[TEXT_SIZE];
    struct http1_response response;
    struct http1_chunked chunked;
    size_t size = 0;
    int event = HTTP1_CHUNKED_MORE;
    const struct leat_slice inbox = slice_of(client->inbox, client->inbox_size);
    const int head_size = http1_parse_response(inbox, 0, NULL, &response);
    assert_true(head_size > 0);
    assert_int_equal(response.status, 200);
    assert_true(response.head.is_chunked);
    struct leat_slice input = slice_after(inbox, (size_t)head_size), data;
    http1_chunked_init(&chunked);
    while ((event = http1_chunked_next(&chunked, &input, &data)) == HTTP1_CHUNKED_DATA) {
        assert_true(size + data.size < sizeof text);
        memcpy(text + size, data.data, data.size);
        size += data.size;
    }
    assert_true(event >= 0);
    text[size] = '\0';
    *ret_is_over = event == HTTP1_CHUNKED_END;
    return text;
}

static void expect_stream(const struct client *client, const char *wanted, bool is_over)
{
    bool is_really_over;
    assert_string_equal(stream_of(client, &is_really_over), wanted);
    assert_int_equal(is_really_over, is_over);
}

/* ---- One response ---------------------------------------------------------------------------- */

static void a_response_is_a_stream_of_events(void **state)
{
    struct world world;
    struct client client;
    bool is_over;
    start(&world);
    client_open(&client, &world);
    client_say(&client, "GET /one HTTP/1.1\r\nHost: mill\r\nLast-Event-ID: a 7\r\n\r\n");
    turns(&world, 10);
    const char *text = stream_of(&client, &is_over);
    assert_true(is_over);
    static const char before[] = ":\n\nid: 1\nevent: tick\ndata: a\ndata: b\n\n:\n\n"
                                 "retry: 5\ndata: xxx",
                      after[] = "xxx\n\ndata: a 7\n\n";
    assert_memory_equal(text, before, sizeof before - 1);
    assert_string_equal(text + strlen(text) - (sizeof after - 1), after);
    assert_int_equal(strlen(text), sizeof before - 1 + 2000 - 6 + sizeof after - 1);
    static const char *const fields[] = {"Content-Type: text/event-stream\r\n",
                                         "Cache-Control: no-cache\r\n"};
    for (size_t index = 0; index < 2; index++)
        assert_non_null(
            memmem(client.inbox, client.inbox_size, fields[index], strlen(fields[index])));
    client_close(&client);
    end(&world);
}

/* ---- A hub ----------------------------------------------------------------------------------- */

static void all_subscribers_get_all_events(void **state)
{
    struct world world;
    struct client first, second;
    start(&world);
    subscribe(&first, &world, "");
    expect_stream(&first, ":\n\n", false); /* its head is not held back */
    publish(&world, "a", "1");
    subscribe(&second, &world, "");
    publish(&world, "b", "2");
    publish(&world, "c", "3");
    assert_int_equal(subscribers(), 2);
    expect_stream(&first, ":\n\nid: a\ndata: 1\n\nid: b\ndata: 2\n\nid: c\ndata: 3\n\n", false);
    expect_stream(&second, ":\n\nid: b\ndata: 2\n\nid: c\ndata: 3\n\n", false);
    client_close(&first);
    client_close(&second);
    end(&world);
}

static void what_cannot_be_published_is_refused(void **state)
{
    static char large[2000], long_id[66];
    memset(large, 'x', sizeof large);
    memset(long_id, 'x', sizeof long_id - 1);
    static const struct leat_events_options options = {.kept_size_max = 1000};
    const struct leat_event broken = {.type = "a\nb", .data = SLICE("")},
                            too_large = {.data = slice_of(large, sizeof large)},
                            unknown = {.id = long_id, .data = SLICE("")},
                            good = {.data = SLICE("")};
    struct world world;
    start_with(&world, SIM_CALM, 1, &options);
    assert_int_equal(leat_events_publish(hub.events, &broken), -EINVAL);
    assert_int_equal(leat_events_publish(hub.events, &too_large), -LEAT_E_LIMIT);
    assert_int_equal(leat_events_publish(hub.events, &unknown), -LEAT_E_LIMIT);
    assert_int_equal(leat_events_publish(hub.events, &good), 0);
    leat_events_close(hub.events);
    assert_int_equal(leat_events_publish(hub.events, &good), -LEAT_E_CLOSED);
    end(&world);
}

static void bytes_kept_are_limited_too(void **state)
{
    static const struct leat_events_options options = {.kept_size_max = 100};
    struct world world;
    struct client client;
    char data[31] = "";
    start_with(&world, SIM_CALM, 1, &options);
    hub.options.replay = 10;
    memset(data, 'x', sizeof data - 1);
    for (unsigned number = 0; number < 5; number++)
        publish(&world, number < 4 ? "a" : "b", data); /* 44 bytes each */
    subscribe(&client, &world, "");
    char wanted[256];
    snprintf(wanted, sizeof wanted, ":\n\nid: a\ndata: %s\n\nid: b\ndata: %s\n\n", data, data);
    expect_stream(&client, wanted, false);
    client_close(&client);
    end(&world);
}

static void silence_is_broken_by_heartbeats(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    subscribe(&client, &world, "");
    turns(&world, HEARTBEAT_MS * 6 / 10);
    publish(&world, "a", "1");
    turns(&world, HEARTBEAT_MS * 6 / 10);
    expect_stream(&client, ":\n\nid: a\ndata: 1\n\n", false); /* it counts from the event */
    turns(&world, HEARTBEAT_MS);
    expect_stream(&client, ":\n\nid: a\ndata: 1\n\n:\n\n", false);
    turns(&world, HEARTBEAT_MS);
    expect_stream(&client, ":\n\nid: a\ndata: 1\n\n:\n\n:\n\n", false);
    client_close(&client);
    end(&world);
}

/* Ten were published, of which eight are kept: 3 to 10. */
static void who_comes_back_goes_on_where_it_was(void **state)
{
    static const struct {
        const char *fields;
        unsigned behind_max, replay;
        enum leat_events_policy policy;
        const char *stream;
    } rows[] = {
        {"", 0, 0, LEAT_EVENTS_SKIP, ":\n\n"},
        {"Last-Event-ID:\r\n", 0, 0, LEAT_EVENTS_SKIP, ":\n\n"},
        {"Last-Event-ID: 10\r\n", 0, 0, LEAT_EVENTS_SKIP, ":\n\n"},
        {"Last-Event-ID: 8\r\n", 0, 0, LEAT_EVENTS_SKIP,
         ":\n\nid: 9\ndata: x\n\nid: 10\ndata: x\n\n"},
        {"Last-Event-ID: 8\r\n", 1, 0, LEAT_EVENTS_SKIP,
         ":\n\nevent: gap\ndata: 1\n\nid: 10\ndata: x\n\n"},
        {"Last-Event-ID: 8\r\n", 1, 0, LEAT_EVENTS_CUT,
         ":\n\nevent: gap\ndata: 1\n\nid: 10\ndata: x\n\n"},
        {"Last-Event-ID: 3\r\n", 0, 0, LEAT_EVENTS_CUT,
         ":\n\nid: 4\ndata: x\n\nid: 5\ndata: x\n\nid: 6\ndata: x\n\nid: 7\ndata: x\n\n"
         "id: 8\ndata: x\n\nid: 9\ndata: x\n\nid: 10\ndata: x\n\n"},
        {"Last-Event-ID: 2\r\n", 2, 0, LEAT_EVENTS_SKIP,
         ":\n\nevent: gap\ndata: \n\nid: 9\ndata: x\n\nid: 10\ndata: x\n\n"},
        {"Last-Event-ID: 1\r\n", 1, 5, LEAT_EVENTS_SKIP,
         ":\n\nevent: gap\ndata: \n\nid: 10\ndata: x\n\n"},
        {"", 0, 2, LEAT_EVENTS_SKIP, ":\n\nid: 9\ndata: x\n\nid: 10\ndata: x\n\n"},
        {"", 1, 2, LEAT_EVENTS_SKIP, ":\n\nid: 10\ndata: x\n\n"},
    };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        struct world world;
        struct client client;
        start(&world);
        for (unsigned number = 1; number <= 10; number++) {
            char id[8];
            snprintf(id, sizeof id, "%u", number);
            publish(&world, id, "x");
        }
        hub.options.behind_max = rows[index].behind_max;
        hub.options.replay = rows[index].replay;
        hub.options.policy = rows[index].policy;
        subscribe(&client, &world, rows[index].fields);
        expect_stream(&client, rows[index].stream, false);
        client_close(&client);
        end(&world);
    }
}

/* Events without ids get one each, which is found again; retry alone gets none. */
static void ids_are_made(void **state)
{
    struct world world;
    struct client client, again;
    bool is_over;
    start(&world);
    hub.options.retry_ms = 70;
    subscribe(&client, &world, "");
    publish(&world, NULL, "1");
    assert_int_equal(leat_events_publish(hub.events, &(struct leat_event){.retry_ms = 8}), 0);
    publish(&world, NULL, "2");
    char first[32], second[32], fields[64], wanted[256];
    const char *text = stream_of(&client, &is_over);
    assert_int_equal(sscanf(text,
                            ":\n\nretry: 70\n\nid: %31s\ndata: 1\n\nretry: 8\n\nid: %31s\ndata: 2",
                            first, second),
                     2);
    assert_string_not_equal(first, second);
    snprintf(fields, sizeof fields, "Last-Event-ID: %s\r\n", first);
    snprintf(wanted, sizeof wanted, ":\n\nretry: 70\n\nretry: 8\n\nid: %s\ndata: 2\n\n", second);
    subscribe(&again, &world, fields);
    expect_stream(&again, wanted, false);
    client_close(&client);
    client_close(&again);
    end(&world);
}

/* ---- Slow and gone clients ------------------------------------------------------------------- */

/* Reads a stream of numbered events with gaps: every number is there, or counted as missed. */
static unsigned numbers_in(const char *text, unsigned *ret_missed)
{
    unsigned next = 0, number;
    *ret_missed = 0;
    while ((text = strchr(text, '\n')) != NULL) {
        text++;
        if (sscanf(text, "event: gap\ndata: %u\n", &number) == 1) {
            next += number;
            *ret_missed += number;
        } else if (sscanf(text, "id: %u\n", &number) == 1) {
            assert_int_equal(number, next);
            next++;
        }
    }
    return next;
}

static void publish_numbers(struct world *world, unsigned begin, unsigned end)
{
    static char data[4000];
    memset(data, 'x', sizeof data - 1);
    for (unsigned number = begin; number < end; number++) {
        char id[16];
        snprintf(id, sizeof id, "%u", number);
        const struct leat_event event = {.id = id, .data = slice_from_text(data)};
        assert_int_equal(leat_events_publish(hub.events, &event), 0);
        if (number % 4 == 0)
            turns(world, 1);
    }
    turns(world, 10);
}

static void who_is_slow_misses_the_oldest(void **state)
{
    enum { COUNT = 200 };
    struct world world;
    struct client slow, quick;
    unsigned missed;
    bool is_over;
    start(&world);
    subscribe(&slow, &world, "");
    subscribe(&quick, &world, "");
    slow.is_deaf = true;
    publish_numbers(&world, 0, COUNT);
    slow.is_deaf = false;
    client_receive(&slow);
    turns(&world, 200);
    assert_int_equal(numbers_in(stream_of(&slow, &is_over), &missed), COUNT);
    assert_true(missed > 0 && missed < COUNT);
    assert_false(is_over);
    struct leat_events_counters counters;
    leat_events_counters(hub.events, &counters);
    assert_int_equal(counters.skipped, missed);
    assert_int_equal(numbers_in(stream_of(&quick, &is_over), &missed), COUNT);
    assert_int_equal(missed, 0);
    client_close(&slow);
    client_close(&quick);
    end(&world);
}

static void who_is_slow_may_be_cut(void **state)
{
    enum { COUNT = 200 };
    struct world world;
    struct client slow;
    unsigned missed;
    bool is_over;
    start(&world);
    hub.options.policy = LEAT_EVENTS_CUT;
    subscribe(&slow, &world, "");
    slow.is_deaf = true;
    publish_numbers(&world, 0, COUNT);
    slow.is_deaf = false;
    client_receive(&slow);
    turns(&world, 200);
    assert_true(numbers_in(stream_of(&slow, &is_over), &missed) < COUNT);
    assert_int_equal(missed, 0);
    assert_true(is_over); /* in good order, so that the browser comes back */
    assert_int_equal(hub.result, -LEAT_E_LIMIT);
    client_close(&slow);
    end(&world);
}

static void who_takes_nothing_is_given_up(void **state)
{
    struct world world;
    struct client deaf;
    start(&world);
    subscribe(&deaf, &world, "");
    deaf.is_deaf = true;
    publish_numbers(&world, 0, 200);
    assert_int_equal(subscribers(), 1);
    turns(&world, SEND_MS + 100);
    assert_int_equal(subscribers(), 0);
    assert_int_equal(hub.result, -ETIMEDOUT);
    client_close(&deaf);
    end(&world);
}

static void who_is_gone_is_noticed(void **state)
{
    struct world world;
    struct client reset, closed;
    start(&world);
    subscribe(&reset, &world, "");
    subscribe(&closed, &world, "");
    assert_int_equal(subscribers(), 2);
    sim_peer_reset(reset.peer);
    free(reset.inbox);
    turns(&world, 10);
    assert_int_equal(subscribers(), 1);
    client_close(&closed);
    turns(&world, 2 * HEARTBEAT_MS + 10);
    assert_int_equal(subscribers(), 0);
    assert_int_equal(hub.ended, 2);
    end(&world);
}

/* Publishing, deaf spells and crumbs at random: nobody misses anything without being told. */
static void nothing_is_lost_in_silence(void **state)
{
    enum { CLIENTS = 5, COUNT = 201 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        static const struct leat_events_options options = {.kept_max = 16, .kept_size_max = 40000};
        struct sim_profile crumbs = *SIM_CALM;
        struct world world;
        struct client clients[CLIENTS];
        struct random random;
        crumbs.short_send = crumbs.short_recv = 300 * 1000;
        crumbs.queue_min = 2000;
        crumbs.queue_max = 60 * 1000;
        random_init(&random, seed);
        start_with(&world, &crumbs, seed, &options);
        for (unsigned index = 0; index < CLIENTS; index++)
            subscribe(&clients[index], &world, "");
        for (unsigned number = 0; number < COUNT; number += 3) {
            struct client *client = &clients[random_below(&random, CLIENTS)];
            client->is_deaf = !client->is_deaf;
            client_receive(client);
            publish_numbers(&world, number, number + 3);
        }
        for (unsigned index = 0; index < CLIENTS; index++) {
            unsigned missed;
            bool is_over;
            clients[index].is_deaf = false;
            client_receive(&clients[index]);
            turns(&world, 500);
            assert_int_equal(numbers_in(stream_of(&clients[index], &is_over), &missed), COUNT);
            client_close(&clients[index]);
        }
        end(&world);
    }
}

/* Connections stall and break, time jumps: the hub ends with nobody in it, and the world has
 * nothing to complain of. */
static void a_hub_outlives_every_trouble(void **state)
{
    enum { CLIENTS = 8, SEEDS = 10 };
    for (size_t profile = 0; profile < sim_profile_count; profile++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            static const struct leat_events_options options = {.kept_max = KEPT};
            struct world world;
            struct client clients[CLIENTS];
            if (sim_profiles[profile].accept_error)
                continue; /* there might be no listener */
            start_with(&world, &sim_profiles[profile], seed, &options);
            hub.options.policy = seed % 2 ? LEAT_EVENTS_SKIP : LEAT_EVENTS_CUT;
            for (unsigned index = 0; index < CLIENTS; index++) {
                subscribe(&clients[index], &world, "");
                clients[index].is_deaf = index % 3 == 0;
            }
            publish_numbers(&world, 0, 40);
            client_close(&clients[0]);
            turns(&world, HEARTBEAT_MS);
            leat_events_close(hub.events);
            turns(&world, 2 * SEND_MS);
            for (unsigned index = 1; index < CLIENTS; index++)
                client_close(&clients[index]);
            turns(&world, 2 * SEND_MS);
            assert_int_equal(subscribers(), 0);
            end(&world);
        }
    }
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void a_hub_that_closes_ends_its_streams(void **state)
{
    struct world world;
    struct client client, late;
    start(&world);
    subscribe(&client, &world, "");
    const struct leat_event event = {.id = "a", .data = SLICE("last")};
    assert_int_equal(leat_events_publish(hub.events, &event), 0);
    leat_events_close(hub.events);
    turns(&world, 10);
    expect_stream(&client, ":\n\nid: a\ndata: last\n\n", true);
    assert_int_equal(hub.result, 0);
    subscribe(&late, &world, "");
    client_expect(&late, 503, NULL);
    client_close(&client);
    client_close(&late);
    end(&world);
}

/* Its memory goes with the last who uses it. */
static void a_hub_may_be_destroyed_in_use(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    subscribe(&client, &world, "");
    leat_events_destroy(hub.events);
    turns(&world, 10);
    expect_stream(&client, ":\n\n", true);
    assert_int_equal(hub.ended, 1);
    client_close(&client);
    world_fini(&world);
}

static void a_server_that_closes_ends_streams_too(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    subscribe(&client, &world, "");
    leat_http_server_close(world.server, 0, sim_now_ns(world.sim) + 10 * LEAT_NS_PER_S);
    world.server = NULL;
    turns(&world, 10);
    expect_stream(&client, ":\n\n", true);
    client_close(&client);
    end(&world);
}

static void the_subscriber_beyond_the_limit_is_told(void **state)
{
    static const struct leat_events_options options = {.subscribers_max = 1};
    struct world world;
    struct client first, second;
    start_with(&world, SIM_CALM, 1, &options);
    subscribe(&first, &world, "");
    subscribe(&second, &world, "");
    client_expect(&second, 503, NULL);
    assert_int_equal(hub.result, -LEAT_E_LIMIT);
    expect_stream(&first, ":\n\n", false);
    client_close(&first);
    client_close(&second);
    end(&world);
}

static void head_is_answered_at_once(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    client_say(&client, "HEAD /hub HTTP/1.1\r\nHost: mill\r\n\r\n"
                        "GET /one HTTP/1.1\r\nHost: mill\r\n\r\n");
    turns(&world, 10);
    assert_int_equal(hub.ended, 1);
    assert_int_equal(hub.result, 0);
    assert_non_null(memmem(client.inbox, client.inbox_size, "event: tick", 11));
    client_close(&client);
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_is_a_stream_of_events),
        cmocka_unit_test(all_subscribers_get_all_events),
        cmocka_unit_test(what_cannot_be_published_is_refused),
        cmocka_unit_test(bytes_kept_are_limited_too),
        cmocka_unit_test(silence_is_broken_by_heartbeats),
        cmocka_unit_test(who_comes_back_goes_on_where_it_was),
        cmocka_unit_test(ids_are_made),
        cmocka_unit_test(who_is_slow_misses_the_oldest),
        cmocka_unit_test(who_is_slow_may_be_cut),
        cmocka_unit_test(who_takes_nothing_is_given_up),
        cmocka_unit_test(who_is_gone_is_noticed),
        cmocka_unit_test(nothing_is_lost_in_silence),
        cmocka_unit_test(a_hub_outlives_every_trouble),
        cmocka_unit_test(a_hub_that_closes_ends_its_streams),
        cmocka_unit_test(a_hub_may_be_destroyed_in_use),
        cmocka_unit_test(a_server_that_closes_ends_streams_too),
        cmocka_unit_test(the_subscriber_beyond_the_limit_is_told),
        cmocka_unit_test(head_is_answered_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
