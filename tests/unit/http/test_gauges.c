/* SPDX-License-Identifier: MIT */
/*
 * What a server tells of itself: its connections by state while they come and go, and its last
 * word.
 */
#include "http/gauges.h"

#include "leat/fiber.h"
#include "world.h"

static void slow(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    leat_sleep_ms(100);
    assert_int_equal(leat_http_reply_static(response, 200, "text/plain", "ok", 2), 0);
}

struct last_word {
    unsigned count;
    struct leat_http_counters counters;
};

static void hear(struct leat_http_server *server, void *user)
{
    struct last_word *word = user;
    word->count++;
    leat_http_server_counters(server, &word->counters);
}

static void connections_are_counted_by_state(void **state)
{
    struct world world;
    struct client idle, asking, waiting;
    struct gauges gauges;
    struct last_word word = {0};
    world_init(&world, SIM_CALM, 1);
    world_serve(&world, &(struct leat_http_options){
                            .handler = slow, .on_closed = hear, .on_closed_user = &word});
    gauges_read(world.server, &gauges);
    assert_int_equal(gauges.conns, 0);
    client_open(&idle, &world);
    client_open(&asking, &world);
    client_open(&waiting, &world);
    turns(&world, 10);
    client_say(&asking, "GET / HT");
    client_say(&waiting, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    turns(&world, 20);
    gauges_read(world.server, &gauges);
    assert_int_equal(gauges.conns, 3);
    assert_int_equal(gauges.exchanges, 2);
    assert_int_equal(gauges.connections[CONN_AWAITING], 1);
    assert_int_equal(gauges.connections[CONN_HEAD], 1);
    assert_int_equal(gauges.connections[CONN_HANDLING], 1);
    assert_string_equal(gauges_state_name(CONN_HANDLING), "handling");
    turns(&world, 200);
    client_expect(&waiting, 200, "ok");
    gauges_read(world.server, &gauges);
    assert_int_equal(gauges.connections[CONN_HANDLING], 0);
    assert_int_equal(gauges.connections[CONN_AWAITING], 2);
    assert_int_equal(gauges.exchanges, 1);
    assert_int_equal(word.count, 0);
    client_close(&idle);
    client_close(&asking);
    client_close(&waiting);
    world_fini(&world);
    assert_int_equal(word.count, 1);
    assert_int_equal(word.counters.statuses[2], 1);
    assert_int_equal(word.counters.connections_now, 0);
}

static void in_halves(struct leat_http_request *request, struct leat_http_response *response,
                      void *user)
{
    assert_int_equal(leat_http_begin(response, 200, "text/plain", 10), 0);
    assert_int_equal(leat_http_write(response, "12345", 5, LEAT_FOREVER), 0);
    leat_sleep_ms(50);
    assert_int_equal(leat_http_write(response, "67890", 5, LEAT_FOREVER), 0);
}

/* What is sent is in the gauge until the response is over, and then in the counter. */
static void bytes_in_work(void **state)
{
    struct world world;
    struct client client;
    struct gauges gauges;
    struct leat_http_counters counters;
    world_init(&world, SIM_CALM, 1);
    world_serve(&world, &(struct leat_http_options){.handler = in_halves});
    client_open(&client, &world);
    for (unsigned round = 1; round <= 2; round++) {
        client_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        turns(&world, 20);
        gauges_read(world.server, &gauges);
        leat_http_server_counters(world.server, &counters);
        const uint64_t before = counters.bytes_sent;
        assert_in_range(gauges.sent, 5 + 20, 500);
        turns(&world, 200);
        client_expect(&client, 200, "1234567890");
        const uint64_t half = gauges.sent;
        gauges_read(world.server, &gauges);
        leat_http_server_counters(world.server, &counters);
        assert_int_equal(gauges.sent, 0);
        assert_int_equal(counters.bytes_sent, before + half + 5);
    }
    client_close(&client);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_counted_by_state),
        cmocka_unit_test(bytes_in_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
