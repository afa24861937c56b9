/* SPDX-License-Identifier: MIT */
/*
 * Responses written piece by piece: framing, order, what happens to those that are not whole, slow
 * clients, deadlines. In a simulated world (world.h).
 */
#include "http/conn.h"
#include "http/server.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "wire/http1_chunked.h"
#include "world.h"

enum { SEND_MS = 2000, PIECES = 200, PIECE_SIZE = 10000 };

static struct {
    int error;
    unsigned pieces;
    bool was_cancelled;
} seen;

static char piece[PIECE_SIZE];

static bool is(struct leat_http_request *request, const char *path)
{
    return slice_equal(leat_http_path(request), slice_from_text(path));
}

static void write_text(struct leat_http_response *response, const char *text)
{
    seen.error = leat_http_write(response, text, strlen(text), LEAT_FOREVER);
}

static void write_much(struct leat_http_response *response, int64_t deadline_ns)
{
    leat_http_begin(response, 200, NULL, -1);
    for (seen.pieces = 0; seen.pieces < PIECES; seen.pieces++) {
        seen.error = leat_http_write(response, piece, sizeof piece, deadline_ns);
        if (seen.error)
            break;
    }
}

static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    if (is(request, "/chunks")) {
        assert_int_equal(leat_http_begin(response, 200, "text/plain", -1), 0);
        assert_int_equal(leat_http_add_field(response, "X-In", "time"), 0);
        write_text(response, "one ");
        assert_int_equal(leat_http_add_field(response, "X-Too", "late"), -EALREADY);
        assert_int_equal(leat_http_reply(response, 200, NULL, NULL, 0), -EALREADY);
        (void)leat_sleep_ms(10);
        const struct leat_vector vectors[] = {
            {.data = "two ", .size = 4}, {.size = 0}, {.data = "three", .size = 5}};
        seen.error = leat_http_send(response, vectors, 3, LEAT_FOREVER);
        assert_int_equal(leat_http_add_trailer(response, "X-Sum", "13"), 0);
    } else if (is(request, "/sized")) {
        leat_http_begin(response, 200, "text/plain", 10);
        write_text(response, "hello");
        write_text(response, "world");
    } else if (is(request, "/short")) {
        leat_http_begin(response, 200, "text/plain", 10);
        write_text(response, "hello");
    } else if (is(request, "/long")) {
        leat_http_begin(response, 200, "text/plain", 3);
        write_text(response, "hello");
    } else if (is(request, "/abort")) {
        leat_http_begin(response, 200, "text/plain", -1);
        write_text(response, "hello");
        leat_http_abort(response);
    } else if (is(request, "/empty")) {
        leat_http_begin(response, 200, "text/plain", -1);
    } else if (is(request, "/much")) {
        write_much(response, LEAT_FOREVER);
    } else if (is(request, "/deadline")) {
        write_much(response, leat_after_ms(500));
    } else if (is(request, "/late")) {
        leat_http_set_deadline(request, leat_after_ms(200));
        (void)leat_sleep_until(LEAT_FOREVER);
        seen.was_cancelled = leat_is_cancelled();
    } else if (is(request, "/late-writer")) {
        leat_http_set_deadline(request, leat_after_ms(200));
        leat_http_begin(response, 200, "text/plain", -1);
        write_text(response, "hello");
        (void)leat_sleep_until(LEAT_FOREVER);
        write_text(response, "world");
    } else if (is(request, "/late-returner")) {
        leat_http_set_deadline(request, leat_after_ms(200));
        leat_http_begin(response, 200, "text/plain", -1);
        write_text(response, "hello");
        (void)leat_sleep_until(LEAT_FOREVER);
    } else {
        leat_http_reply(response, 200, "text/plain", "next", 4);
    }
}

static void start(struct world *world, struct client *client)
{
    static const struct leat_http_options options = {.handler = handler,
                                                     .send_timeout_ms = SEND_MS};
    memset(&seen, 0, sizeof seen);
    world_init(world, SIM_CALM, 1);
    world_serve(world, &options);
    client_open(client, world);
}

static void end(struct world *world, struct client *client)
{
    client_close(client);
    world_fini(world);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: mill\r\n\r\n"

static const char *find(const struct client *client, const char *text)
{
    return client->inbox ? memmem(client->inbox, client->inbox_size, text, strlen(text)) : NULL;
}

static void expect_text(struct client *client, const char *text)
{
    const size_t size = strlen(text);
    if (client->inbox_size < size || memcmp(client->inbox, text, size) != 0)
        fail_msg("got '%.*s'\nwanted '%s'", (int)client->inbox_size, client->inbox, text);
    client->inbox_size -= size;
    memmove(client->inbox, client->inbox + size, client->inbox_size);
}

/* Up to and with the empty line. */
static void drop_head(struct client *client)
{
    const char *head_end = find(client, "\r\n\r\n");
    assert_non_null(head_end);
    const size_t size = (size_t)(head_end + 4 - client->inbox);
    client->inbox_size -= size;
    memmove(client->inbox, client->inbox + size, client->inbox_size);
}

static void pieces_are_chunks(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, GET("/chunks") GET("/next"));
    turns(&world, 5);
    assert_non_null(find(&client, "one ")); /* at once, not at the end */
    assert_null(find(&client, "two"));
    turns(&world, 100);
    assert_non_null(find(&client, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_non_null(find(&client, "\r\nX-In: time\r\n"));
    assert_null(find(&client, "Content-Length: 13"));
    drop_head(&client);
    expect_text(&client, "4\r\none \r\n9\r\ntwo three\r\n0\r\nX-Sum: 13\r\n\r\n");
    client_expect(&client, 200, "next");
    assert_int_equal(seen.error, 0);
    end(&world, &client);
}

static void a_size_that_is_told_is_kept(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, GET("/sized") GET("/next"));
    turns(&world, 10);
    client_expect(&client, 200, "helloworld");
    client_expect(&client, 200, "next");
    end(&world, &client);
}

/* The end of the stream must not look like the end of the body. */
static void what_is_not_whole_is_broken_off(void **state)
{
    static const char *const texts[] = {GET("/short"),
                                        GET("/long"),
                                        GET("/abort"),
                                        "GET /abort HTTP/1.0\r\n\r\n",
                                        GET("/late-writer"),
                                        GET("/late-returner"),
                                        "GET /late-returner HTTP/1.0\r\n\r\n"};
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        struct world world;
        struct client client;
        start(&world, &client);
        client_say(&client, texts[index]);
        turns(&world, 300);
        assert_true(client.has_ended);
        assert_int_equal(client.error, -ECONNRESET);
        assert_null(find(&client, "0\r\n\r\n"));
        end(&world, &client);
    }
}

static void old_clients_read_to_the_end(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, "GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    turns(&world, 100);
    assert_non_null(find(&client, "\r\nConnection: close\r\n"));
    assert_null(find(&client, "Transfer-Encoding"));
    assert_null(find(&client, "Content-Length"));
    drop_head(&client);
    expect_text(&client, "one two three");
    client_expect_end(&client);
    end(&world, &client);
}

static void head_is_only_the_head(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, "HEAD /chunks HTTP/1.1\r\nHost: a\r\n\r\n"
                        "HEAD /sized HTTP/1.1\r\nHost: a\r\n\r\n" GET("/next"));
    turns(&world, 100);
    assert_non_null(find(&client, "\r\nTransfer-Encoding: chunked\r\n"));
    drop_head(&client);
    assert_non_null(find(&client, "\r\nContent-Length: 10\r\n"));
    drop_head(&client);
    client_expect(&client, 200, "next");
    end(&world, &client);
}

static void nothing_written_is_an_empty_body(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, GET("/empty") GET("/next"));
    turns(&world, 10);
    assert_non_null(find(&client, "\r\nContent-Length: 0\r\n"));
    client_expect(&client, 200, "");
    client_expect(&client, 200, "next");
    end(&world, &client);
}

static void a_slow_client_slows_the_handler(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client.is_deaf = true;
    client_say(&client, GET("/much"));
    turns(&world, SEND_MS / 2);
    assert_in_range(seen.pieces, 1, PIECES - 1);
    client.is_deaf = false;
    client_receive(&client);
    turns(&world, SEND_MS);
    assert_int_equal(seen.pieces, PIECES);
    drop_head(&client);
    struct http1_chunked decoder;
    struct leat_slice input = slice_of(client.inbox, client.inbox_size), data;
    uint64_t size = 0;
    http1_chunked_init(&decoder);
    int event;
    while ((event = http1_chunked_next(&decoder, &input, &data)) == HTTP1_CHUNKED_DATA)
        size += data.size;
    assert_int_equal(event, HTTP1_CHUNKED_END);
    assert_int_equal(size, PIECES * PIECE_SIZE);
    end(&world, &client);
}

static void a_client_that_takes_nothing_is_cut(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client.is_deaf = true;
    client_say(&client, GET("/much"));
    turns(&world, 2 * SEND_MS + 100);
    assert_true(seen.error < 0);
    struct leat_http_counters counters;
    leat_http_server_counters(world.server, &counters);
    assert_int_equal(counters.connections_now, 0);
    assert_int_equal(counters.timeouts, 1);
    assert_int_equal(counters.statuses[2], 1);
    end(&world, &client);
}

/* For old clients the end of the stream is that of the body: when they are cut it is a reset. */
static void who_is_cut_knows_that_it_is_not_whole(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client.is_deaf = true;
    client_say(&client, "GET /much HTTP/1.0\r\n\r\n");
    turns(&world, 2 * SEND_MS + 100);
    client.is_deaf = false;
    client_receive(&client);
    assert_true(client.has_ended);
    assert_int_equal(client.error, -ECONNRESET);
    end(&world, &client);
}

static void a_write_has_its_deadline(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client.is_deaf = true;
    client_say(&client, GET("/deadline"));
    turns(&world, 600);
    assert_int_equal(seen.error, -ETIMEDOUT);
    client_receive(&client);
    turns(&world, 10);
    struct leat_http_counters counters;
    leat_http_server_counters(world.server, &counters);
    assert_int_equal(counters.connections_now, 0);
    end(&world, &client);
}

static void a_handler_has_its_deadline(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, GET("/late") GET("/next"));
    turns(&world, 190);
    assert_int_equal(client.inbox_size, 0);
    turns(&world, 20);
    assert_true(seen.was_cancelled);
    client_expect(&client, 503, NULL);
    client_expect(&client, 200, "next");
    end(&world, &client);
}

static void a_client_that_vanishes_cancels_its_handler(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, GET("/late"));
    turns(&world, 50);
    sim_peer_reset(client.peer);
    turns(&world, 10);
    assert_true(seen.was_cancelled);
    free(client.inbox);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_chunks),
        cmocka_unit_test(a_size_that_is_told_is_kept),
        cmocka_unit_test(what_is_not_whole_is_broken_off),
        cmocka_unit_test(old_clients_read_to_the_end),
        cmocka_unit_test(head_is_only_the_head),
        cmocka_unit_test(nothing_written_is_an_empty_body),
        cmocka_unit_test(a_slow_client_slows_the_handler),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut),
        cmocka_unit_test(who_is_cut_knows_that_it_is_not_whole),
        cmocka_unit_test(a_write_has_its_deadline),
        cmocka_unit_test(a_handler_has_its_deadline),
        cmocka_unit_test(a_client_that_vanishes_cancels_its_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
