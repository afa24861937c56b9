/* SPDX-License-Identifier: MIT */
/*
 * What a connection keeps between requests: memory of the handlers', and the rate its socket is
 * paced to. On the kernel's own sockets, with each engine.
 */
#include "../engines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/conn.h"
#include "leat/leat.h"

enum { LARGE = 1 << 20, LISTENER_RATE = 8 << 20 };

static char large[LARGE];
static uint64_t rates[16]; /* the socket's when each request came, */
static unsigned requests;  /* and how many have come */

static uint64_t rate_of(const struct leat_http_request *request)
{
    const struct conn *conn = exchange_of_request(request)->conn;
    uint64_t rate = 0;
    socklen_t size = sizeof rate;
    assert_int_equal(getsockopt(conn->stream.fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &size), 0);
    return rate;
}

/* Behind the program's back: whether the next response calls the kernel can be seen by it. */
static void mark(const struct leat_http_request *request)
{
    const struct conn *conn = exchange_of_request(request)->conn;
    const uint64_t rate = 77777777;
    assert_int_equal(
        setsockopt(conn->stream.fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate), 0);
}

static unsigned long number_of(const struct leat_http_request *request)
{
    const struct leat_slice query = leat_http_query(request);
    char text[16] = {0};
    assert_true(query.size < sizeof text);
    if (query.size > 0)
        memcpy(text, query.data, query.size);
    return strtoul(text, NULL, 10);
}

static void paced(struct leat_http_request *request, struct leat_http_response *response)
{
    rates[requests++] = rate_of(request);
    assert_int_equal(leat_http_set_pace(response, number_of(request)), 0);
    leat_http_reply_static(response, 200, "text/plain", large, 10000);
}

static void marked(struct leat_http_request *request, struct leat_http_response *response)
{
    mark(request);
    paced(request, response);
}

static void plain(struct leat_http_request *request, struct leat_http_response *response)
{
    rates[requests++] = rate_of(request);
    leat_http_reply_static(response, 200, "text/plain", large, 10000);
}

static void whole(struct leat_http_request *request, struct leat_http_response *response)
{
    assert_int_equal(leat_http_set_pace(response, number_of(request)), 0);
    leat_http_reply_static(response, 200, "text/plain", large, LARGE);
}

static void pieces(struct leat_http_request *request, struct leat_http_response *response)
{
    const uint64_t before = rate_of(request);
    assert_int_equal(leat_http_begin(response, 200, "text/plain", 20), 0);
    assert_int_equal(leat_http_set_pace(response, 1 << 20), 0);
    assert_true(rate_of(request) == before);
    assert_int_equal(leat_http_write(response, large, 10, leat_after_ms(1000)), 0);
    assert_int_equal(rate_of(request), 1 << 20);
    assert_int_equal(leat_http_set_pace(response, 2 << 20), 0);
    assert_int_equal(rate_of(request), 2 << 20);
    assert_int_equal(leat_http_set_pace(response, 0), 0);
    assert_true(rate_of(request) == before);
    assert_int_equal(leat_http_write(response, large, 10, leat_after_ms(1000)), 0);
}

/* Counts, and says which memory it counts in. */
static void count(struct leat_http_request *request, struct leat_http_response *response)
{
    struct {
        unsigned count;
        char rest[5000];
    } *memory = leat_http_connection_memory(request, sizeof *memory);
    assert_non_null(memory);
    assert_ptr_equal(leat_http_connection_memory(request, sizeof *memory), memory);
    assert_int_equal(memory->rest[0], memory->count ? 'x' : 0);
    assert_int_equal(memory->rest[sizeof memory->rest - 1], memory->count ? 'x' : 0);
    memset(memory->rest, 'x', sizeof memory->rest);
    leat_http_reply_text(response, 200, "%04u", ++memory->count);
}

static void handle(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    static const struct {
        const char *path;
        void (*handle)(struct leat_http_request *request, struct leat_http_response *response);
    } handlers[] = {{"/paced", paced}, {"/marked", marked}, {"/plain", plain},
                    {"/whole", whole}, {"/pieces", pieces}, {"/count", count}};
    for (size_t index = 0; index < sizeof handlers / sizeof *handlers; index++)
        if (slice_equal(leat_http_path(request), slice_from_text(handlers[index].path)))
            handlers[index].handle(request, response);
}

/* ---- A server, and who asks it --------------------------------------------------------------- */

struct world {
    struct leat_http_server *server;
    struct leat_address address;
};

static void world_init(struct world *world, const char *address, const struct leat_tuning *tuning)
{
    struct leat_listener *listener;
    requests = 0;
    const struct leat_http_options options = {.handler = handle};
    assert_int_equal(leat_address_parse(address, &world->address, NULL), 0);
    assert_int_equal(
        leat_listen(&world->address, &(struct leat_listen_options){.tuning = tuning}, &listener),
        0);
    world->address = *leat_listener_address(listener);
    assert_int_equal(leat_http_server_create(&options, &world->server), 0);
    assert_int_equal(leat_http_server_add(world->server, listener), 0);
}

static void world_fini(struct world *world)
{
    leat_http_server_close(world->server, 0, leat_after_ms(1000));
    leat_sleep_ms(20);
}

static struct leat_stream *connect_to(const struct world *world)
{
    struct leat_stream *stream;
    assert_int_equal(leat_connect(&world->address, NULL, leat_after_ms(1000), &stream), 0);
    return stream;
}

/* Asks, and reads a whole answer; its last four bytes are a number where it is one. */
static unsigned ask(struct leat_stream *stream, const char *target)
{
    static char answer[LARGE + 4096];
    char text[128];
    size_t size = 0;
    const int text_size =
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: mill\r\n\r\n", target);
    assert_int_equal(leat_stream_write(stream, text, (size_t)text_size, leat_after_ms(1000)), 0);
    struct http1_response response;
    for (int head = 0; head == 0 || size < (size_t)head + response.head.content_length;) {
        const ssize_t got =
            leat_stream_read(stream, answer + size, sizeof answer - size, leat_after_ms(5000));
        assert_true(got > 0);
        size += (size_t)got;
        if (head == 0)
            head = http1_parse_response(slice_of(answer, size), 0, NULL, &response);
        assert_true(head >= 0);
    }
    assert_int_equal(response.status, 200);
    answer[size] = '\0';
    return (unsigned)strtoul(answer + size - 4, NULL, 10);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static int a_pace_is_one_responses_fiber(void *arg)
{
    struct world world;
    world_init(&world, "127.0.0.1:0", NULL);
    struct leat_stream *stream = connect_to(&world);
    ask(stream, "/plain");
    ask(stream, "/paced?2000000");
    ask(stream, "/paced?3000000");
    ask(stream, "/plain");
    ask(stream, "/paced?0");
    ask(stream, "/pieces");
    ask(stream, "/plain");
    const uint64_t unlimited = rates[0];
    const uint64_t expected[] = {unlimited, unlimited, 2000000, 3000000, unlimited, unlimited};
    assert_int_equal(requests, sizeof expected / sizeof *expected);
    assert_memory_equal(rates, expected, sizeof expected);
    leat_stream_close(stream);
    world_fini(&world);
    return 0;
}
FIBER_ENGINE_TEST(a_pace_is_one_responses)

/* The same rate again needs no call into the kernel, and whoever is not paced makes none. */
static int the_kernel_is_told_what_changes_fiber(void *arg)
{
    struct world world;
    world_init(&world, "127.0.0.1:0", NULL);
    struct leat_stream *stream = connect_to(&world);
    ask(stream, "/marked?0");
    ask(stream, "/plain");
    assert_int_equal(rates[1], 77777777);
    leat_stream_close(stream);
    stream = connect_to(&world);
    ask(stream, "/paced?2000000");
    ask(stream, "/marked?2000000");
    ask(stream, "/paced?1000000");
    assert_int_equal(rates[4], 77777777);
    ask(stream, "/plain");
    assert_int_equal(rates[5], 1000000);
    leat_stream_close(stream);
    world_fini(&world);
    return 0;
}
FIBER_ENGINE_TEST(the_kernel_is_told_what_changes)

static int the_listeners_rate_is_a_lid_fiber(void *arg)
{
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    struct world world;
    tuning.so_max_pacing_rate_bytes_per_s = LISTENER_RATE;
    world_init(&world, "127.0.0.1:0", &tuning);
    struct leat_stream *stream = connect_to(&world);
    ask(stream, "/paced?99999999");
    ask(stream, "/paced?2000000");
    ask(stream, "/plain");
    ask(stream, "/plain");
    const uint64_t expected[] = {LISTENER_RATE, LISTENER_RATE, 2000000, LISTENER_RATE};
    assert_memory_equal(rates, expected, sizeof expected);
    leat_stream_close(stream);
    world_fini(&world);
    return 0;
}
FIBER_ENGINE_TEST(the_listeners_rate_is_a_lid)

/* The kernel does it: 1 MiB at 4 MiB a second takes a quarter of one, less what the socket lets go
 * at the start. */
static int what_is_paced_takes_its_time_fiber(void *arg)
{
    struct world world;
    world_init(&world, "127.0.0.1:0", NULL);
    struct leat_stream *stream = connect_to(&world);
    const int64_t begin_ns = leat_now_ns();
    ask(stream, "/whole?4194304");
    assert_true(leat_now_ns() - begin_ns > 100 * LEAT_NS_PER_MS);
    leat_stream_close(stream);
    world_fini(&world);
    return 0;
}
FIBER_ENGINE_TEST(what_is_paced_takes_its_time)

static int unix_sockets_are_not_paced_fiber(void *arg)
{
    char address[64];
    struct world world;
    snprintf(address, sizeof address, "unix:@leat-test-keep-%d", (int)getpid());
    world_init(&world, address, NULL);
    struct leat_stream *stream = connect_to(&world);
    ask(stream, "/whole?1000");
    ask(stream, "/whole?0");
    leat_stream_close(stream);
    world_fini(&world);
    return 0;
}
FIBER_ENGINE_TEST(unix_sockets_are_not_paced)

static int memory_goes_with_the_connection_fiber(void *arg)
{
    struct world world;
    world_init(&world, "127.0.0.1:0", NULL);
    struct leat_stream *one = connect_to(&world), *other = connect_to(&world);
    for (unsigned count = 1; count < 4; count++) {
        assert_int_equal(ask(one, "/count"), count);
        ask(one, "/paced?1000000");
        ask(one, "/plain");
    }
    assert_int_equal(ask(other, "/count"), 1);
    leat_stream_close(one);
    assert_int_equal(ask(other, "/count"), 2);
    one = connect_to(&world);
    assert_int_equal(ask(one, "/count"), 1);
    leat_stream_close(one);
    leat_stream_close(other);
    world_fini(&world);
    return 0;
}
FIBER_ENGINE_TEST(memory_goes_with_the_connection)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pace_is_one_responses),
        cmocka_unit_test(test_the_kernel_is_told_what_changes),
        cmocka_unit_test(test_the_listeners_rate_is_a_lid),
        cmocka_unit_test(test_what_is_paced_takes_its_time),
        cmocka_unit_test(test_unix_sockets_are_not_paced),
        cmocka_unit_test(test_memory_goes_with_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
