/* SPDX-License-Identifier: MIT */
/*
 * Bodies of requests as handlers read them: sized, chunked, in crumbs, too large, too slow, cut
 * off; 100 Continue; trailers; what is left unread. In a simulated world (world.h).
 */
#include "http/conn.h"
#include "http/server.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "world.h"

enum { BODY_MS = 1000, BODY_MAX = 100 * 1000, RATE = 1000 };

static struct {
    int result; /* of the last read that failed */
    uint64_t received;
    struct leat_http_record record;
    unsigned records;
} seen;

static const char *text_of(struct leat_http_request *request, const char *name)
{
    const char *text = leat_http_copy(request, leat_http_trailer(request, name));
    return text ? text : "-";
}

/* /tired: its time is over when it reads. /again: reads once more after its own deadline, and says
 * nothing. /big: reads all, and takes memory besides. /all: the whole body comes back. /sum: read
 * in pieces of 7 bytes, the count comes back, with a trailer. /slow: the same in the handler's own
 * time. /late: read after a pause. Else: nothing is read. */
static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    const struct leat_slice path = leat_http_path(request);
    char byte;
    if (slice_equal(path, SLICE("/tired"))) {
        leat_http_set_deadline(request, leat_after_ms(50));
        (void)leat_sleep_ms(100);
        seen.result = (int)leat_http_read(request, &byte, 1, LEAT_FOREVER);
        return;
    }
    if (slice_equal(path, SLICE("/again"))) {
        seen.result = (int)leat_http_read(request, &byte, 1, leat_after_ms(50));
        assert_int_equal(leat_http_read(request, &byte, 1, LEAT_FOREVER), 1);
        return;
    }
    if (slice_equal(path, SLICE("/big"))) {
        struct leat_slice body;
        leat_http_set_body_size_max(request, UINT64_MAX);
        seen.result = leat_http_read_all(request, SIZE_MAX, LEAT_FOREVER, &body);
        assert_non_null(leat_http_alloc(request, 1000 * 1000));
        assert_null(leat_http_alloc(request, 100 * 1000));
    }
    if (slice_equal(path, SLICE("/late")))
        (void)leat_sleep_ms(300);
    if (slice_equal(path, SLICE("/all")) || slice_equal(path, SLICE("/late"))) {
        struct leat_slice body;
        const int error = leat_http_read_all(request, BODY_MAX, LEAT_FOREVER, &body);
        seen.result = error;
        if (!error)
            leat_http_reply(response, 200, "text/plain", body.data, body.size);
        return;
    }
    if (slice_equal(path, SLICE("/sum")) || slice_equal(path, SLICE("/slow"))) {
        char piece[7], text[64];
        ssize_t size;
        uint64_t sum = 0;
        if (path.data[2] == 'l')
            leat_http_set_body_size_max(request, UINT64_MAX);
        while ((size = leat_http_read(request, piece, sizeof piece, LEAT_FOREVER)) > 0) {
            sum += (size_t)size;
            seen.received = sum;
            if (path.data[2] == 'l')
                (void)leat_sleep_ms(1);
        }
        seen.result = (int)size;
        if (size < 0)
            return;
        snprintf(text, sizeof text, "%u %s", (unsigned)sum, text_of(request, "X-Sum"));
        leat_http_reply(response, 200, "text/plain", text, strlen(text));
        return;
    }
    leat_http_reply(response, 200, "text/plain", path.data, path.size);
}

static void on_done(const struct leat_http_record *record, void *user)
{
    seen.record = *record;
    seen.records++;
}

static void start_with(struct world *world, const struct sim_profile *profile, uint64_t seed)
{
    static const struct leat_http_options options = {
        .handler = handler,
        .body_timeout_ms = BODY_MS,
        .body_rate_min = RATE,
        .body_size_max = BODY_MAX,
        .on_done = on_done,
    };
    memset(&seen, 0, sizeof seen);
    world_init(world, profile, seed);
    world_serve(world, &options);
}

static void start(struct world *world, struct client *client)
{
    start_with(world, SIM_CALM, 1);
    client_open(client, world);
}

static void end(struct world *world, struct client *client)
{
    client_close(client);
    world_fini(world);
}

#define SIZED(path, size) "POST " path " HTTP/1.1\r\nHost: mill\r\nContent-Length: " size "\r\n\r\n"
#define CHUNKED(path) "POST " path " HTTP/1.1\r\nHost: mill\r\nTransfer-Encoding: chunked\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: mill\r\n\r\n"

static const char both[] = SIZED("/all", "5") "water" CHUNKED(
    "/all") "3\r\nwat\r\n2;x=y\r\ner\r\n"
            "0\r\n\r\n" CHUNKED("/sum") "b\r\n"
                                        "hello world\r\n0\r\nX-Sum: 11 \r\nY: z\r\n\r\n" GET(
                                            "/next");

static void expect_both(struct client *client)
{
    client_expect(client, 200, "water");
    client_expect(client, 200, "water");
    client_expect(client, 200, "11 11");
    client_expect(client, 200, "/next");
    assert_int_equal(client->inbox_size, 0);
    assert_false(client->has_ended);
}

static void a_body_may_be_cut_anywhere(void **state)
{
    struct world world;
    start_with(&world, SIM_CALM, 1);
    for (size_t cut = 1; cut < sizeof both - 1; cut++) {
        struct client client;
        client_open(&client, &world);
        client_send(&client, both, cut);
        turns(&world, 2);
        client_send(&client, both + cut, sizeof both - 1 - cut);
        turns(&world, 5);
        expect_both(&client);
        client_close(&client);
    }
    world_fini(&world);
}

static void a_body_may_come_byte_by_byte(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    for (size_t index = 0; index < sizeof both - 1; index++) {
        client_send(&client, both + index, 1);
        turns(&world, 1);
    }
    turns(&world, 5);
    expect_both(&client);
    end(&world, &client);
}

/* What comes while the handler does not read yet waits for it, and does not get lost. */
static void a_handler_may_read_late(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, SIZED("/late", "10") "hello");
    turns(&world, 100);
    client_say(&client, "world" GET("/next"));
    turns(&world, 500);
    client_expect(&client, 200, "helloworld");
    client_expect(&client, 200, "/next");
    end(&world, &client);
}

/* A handler that reads slowly slows the client down: what we hold is bounded. */
static void a_slow_reader_slows_the_client(void **state)
{
    static char request[300 * 1000 + 200];
    struct world world;
    struct client client;
    start(&world, &client);
    const int head = snprintf(request, sizeof request, SIZED("/slow", "300000"));
    client_send(&client, request, (size_t)head + 300000);
    turns(&world, 1000);
    assert_true(seen.received > 100 * 7 && seen.received < 1100 * 7);
    assert_true(client.outbox_size > 0); /* most of it is still the client's */
    turns(&world, 60 * 1000);
    client_expect(&client, 200, "300000 -");
    end(&world, &client);
}

static void a_client_that_waits_is_told_to_continue(void **state)
{
    static const char text[] = "POST /all HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                               "Content-Length: 5\r\n\r\n";
    static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, text);
    turns(&world, 10);
    assert_int_equal(client.inbox_size, sizeof answer - 1);
    assert_memory_equal(client.inbox, answer, sizeof answer - 1);
    client.inbox_size = 0;
    client_say(&client, "water" GET("/next"));
    turns(&world, 10);
    client_expect(&client, 200, "water");
    client_expect(&client, 200, "/next");
    /* Who does not wait is not told; who is not read gets the answer, and the end. */
    client_say(&client, "POST /all HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                        "Content-Length: 5\r\n\r\nwater");
    turns(&world, 10);
    client_expect(&client, 200, "water");
    client_say(&client, "POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                        "Content-Length: 5\r\n\r\n");
    turns(&world, 10);
    client_expect(&client, 200, "/no");
    client_expect_end(&client);
    end(&world, &client);
}

/* Who was not told keeps its body back: what it sends next would be taken for the body. */
static void who_was_not_told_to_continue_is_told_to_go(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, "POST /tired HTTP/1.1\r\nHost: mill\r\nContent-Length: 10\r\n"
                        "Expect: 100-continue\r\n\r\n");
    turns(&world, 100);
    assert_int_equal(seen.result, -ECANCELED);
    client_expect(&client, 503, NULL);
    client_say(&client, GET("/next"));
    turns(&world, 100);
    client_expect_end(&client);
    assert_int_equal(seen.records, 1);
    end(&world, &client);
}

/* The handler's own deadline is not the client's fault. */
static void a_read_may_be_tried_again(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, SIZED("/again", "1"));
    turns(&world, 100);
    assert_int_equal(seen.result, -ETIMEDOUT);
    client_say(&client, "x");
    turns(&world, 10);
    client_expect(&client, 500, NULL);
    end(&world, &client);
}

/* The body has a limit of its own, which is not that of leat_http_alloc. */
static void a_large_body_leaves_memory(void **state)
{
    static char body[2 * 1024 * 1024];
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, SIZED("/big", "2097152"));
    turns(&world, 1);
    client_send(&client, body, sizeof body);
    turns(&world, 1000);
    assert_int_equal(seen.result, 0);
    client_expect(&client, 200, "/big");
    end(&world, &client);
}

static void what_is_too_large_is_told_so(void **state)
{
    static char body[BODY_MAX + 1];
    static const char *const heads[] = {
        SIZED("/all", "100001"),
        SIZED("/sum", "100001"),
        CHUNKED("/all") "186a1\r\n",
        CHUNKED("/sum") "186a1\r\n",
    };
    for (size_t index = 0; index < sizeof heads / sizeof *heads; index++) {
        struct world world;
        struct client client;
        start(&world, &client);
        client_say(&client, heads[index]);
        turns(&world, 1);
        client_send(&client, body, sizeof body);
        turns(&world, 500);
        assert_int_equal(seen.result, -LEAT_E_LIMIT);
        client_expect(&client, 413, NULL);
        if (index > 0) /* the first is known to be little enough to skip */
            client_expect_end(&client);
        end(&world, &client);
    }
}

/* Before a byte of it has come, and instead of "100 Continue" (RFC 9110, section 10.1.1). */
static void what_says_that_it_is_too_large_is_told_at_once(void **state)
{
    static const char *const heads[] = {
        SIZED("/sum", "100001"),
        "POST /sum HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n",
    };
    for (size_t index = 0; index < sizeof heads / sizeof *heads; index++) {
        struct world world;
        struct client client;
        start(&world, &client);
        client_say(&client, heads[index]);
        turns(&world, 10);
        client_expect(&client, 413, NULL);
        client_expect_end(&client);
        end(&world, &client);
    }
}

static void malformed_chunks_are_told_so(void **state)
{
    static const char *const chunks[] = {"x\r\n",
                                         "-1\r\n",
                                         " 5\r\n",
                                         "5\nwater\r\n",
                                         "5\r\nwaterX\r\n",
                                         "11111111111111111\r\n",
                                         "0\r\nbad name: x\r\n\r\n"};
    for (size_t index = 0; index < sizeof chunks / sizeof *chunks; index++) {
        struct world world;
        struct client client;
        char text[256];
        start(&world, &client);
        snprintf(text, sizeof text, "%s%s%s", CHUNKED("/all"), chunks[index], GET("/smuggled"));
        client_say(&client, text);
        turns(&world, 10);
        assert_int_equal(seen.result, -LEAT_E_MALFORMED);
        client_expect(&client, 400, NULL);
        client_expect_end(&client);
        end(&world, &client);
    }
}

/* A byte now and then does not buy time: a rate is wanted. */
static void a_slow_sender_is_told_so(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, SIZED("/all", "50000"));
    turns(&world, 1);
    unsigned ms = 0;
    for (; client.inbox_size == 0 && ms < 5000; ms += 100) {
        client_say(&client, "drop");
        turns(&world, 100);
    }
    assert_in_range(ms, BODY_MS - 100, BODY_MS + 200);
    client_expect(&client, 408, NULL);
    client_expect_end(&client);
    assert_int_equal(seen.result, -ETIMEDOUT);
    end(&world, &client);

    /* Enough is enough, however long it takes. */
    static char piece[RATE / 5 + 10];
    memset(piece, 'd', sizeof piece);
    start(&world, &client);
    client_say(&client, SIZED("/sum", "21000"));
    turns(&world, 1);
    for (ms = 0; ms < 20 * 1000; ms += 200) {
        client_send(&client, piece, sizeof piece);
        turns(&world, 200);
    }
    client_expect(&client, 200, "21000 -");
    end(&world, &client);
}

static void a_body_that_is_cut_off_ends_the_connection(void **state)
{
    static const char *const texts[] = {SIZED("/all", "10") "half", CHUNKED("/sum") "5\r\nwat",
                                        CHUNKED("/all") "5\r\nwater\r\n0\r\n"};
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        struct world world;
        struct client client;
        start(&world, &client);
        client_say(&client, texts[index]);
        client_shut(&client);
        turns(&world, 100);
        assert_int_equal(seen.result, -ECONNRESET);
        assert_int_equal(client.inbox_size, 0);
        assert_true(client.has_ended);
        assert_int_equal(seen.records, 1);
        assert_true(seen.record.is_broken && seen.record.status == 0);
        end(&world, &client);
    }
}

/* What no handler has read is no request. */
static void an_unread_body_is_skipped(void **state)
{
    static char request[CONN_SKIP_MAX + 200];
    struct world world;
    struct client client;
    start(&world, &client);
    const int head = snprintf(request, sizeof request, SIZED("/no", "200000"));
    for (int index = 0; index < 200000; index++)
        request[head + index] = GET("/smuggled")[index % (int)strlen(GET("/smuggled"))];
    client_send(&client, request, (size_t)head + 200000);
    turns(&world, 200);
    client_expect(&client, 200, "/no");
    client_say(&client, CHUNKED("/no") "5\r\nwater\r\n0\r\n\r\n" GET("/next"));
    turns(&world, 20);
    client_expect(&client, 200, "/no");
    client_expect(&client, 200, "/next");
    assert_int_equal(client.inbox_size, 0);
    /* In time, or not at all. */
    client_say(&client, SIZED("/no", "10") "wat");
    turns(&world, BODY_MS + 100);
    client_expect(&client, 200, "/no");
    client_expect_end(&client);
    /* What still comes is read away, for a reset would take the answer along. */
    for (int index = 0; index < 5; index++) {
        client_say(&client, "e");
        turns(&world, 10);
        assert_int_equal(client.outbox_size, 0);
    }
    end(&world, &client);
}

/* More than is skipped, of a size nobody had told. */
static void skipping_is_bounded(void **state)
{
    static char body[2 * CONN_SKIP_MAX];
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, CHUNKED("/no") "80000\r\n");
    turns(&world, 1);
    client_send(&client, body, sizeof body);
    turns(&world, 500);
    client_expect(&client, 200, "/no");
    client_expect_end(&client);
    end(&world, &client);
}

static void what_happened_is_recorded(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    client_say(&client, "POST /late?x=y HTTP/1.1\r\nHost: mill:80\r\nUser-Agent: t/1\r\n"
                        "Content-Length: 5\r\n\r\nwater");
    turns(&world, 400);
    struct answer answer;
    assert_true(client_peek(&client, false, &answer));
    assert_int_equal(seen.records, 1);
    assert_int_equal(seen.record.status, 200);
    assert_int_equal(seen.record.body_received, 5);
    assert_int_equal(seen.record.sent, answer.size);
    assert_in_range(seen.record.duration_ns, 300 * LEAT_NS_PER_MS, 310 * LEAT_NS_PER_MS);
    assert_false(seen.record.is_broken);
    client_drop(&client, &answer);
    client_say(&client, "bad\r\n\r\n");
    turns(&world, 10);
    assert_int_equal(seen.records, 2);
    assert_int_equal(seen.record.status, 400);
    assert_int_equal(seen.record.method.size, 0);
    struct leat_http_counters counters;
    leat_http_server_counters(world.server, &counters);
    assert_int_equal(counters.statuses[2], 1);
    assert_int_equal(counters.statuses[4], 1);
    assert_int_equal(counters.errors, 1);
    assert_true(counters.bytes_received >= 90);
    uint64_t sum = 0;
    for (unsigned bucket = 0; bucket < LEAT_HTTP_DURATION_BUCKETS; bucket++)
        sum += counters.durations[bucket];
    assert_int_equal(sum, 2);
    end(&world, &client);
}

/* The same, whatever the network does to it. */
static void crumbs_do_not_matter(void **state)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world world;
        struct client client;
        start_with(&world, &sim_profiles[1], seed);
        client_open(&client, &world);
        client_say(&client, both);
        turns(&world, 900);
        expect_both(&client);
        end(&world, &client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_may_be_cut_anywhere),
        cmocka_unit_test(a_body_may_come_byte_by_byte),
        cmocka_unit_test(a_handler_may_read_late),
        cmocka_unit_test(a_slow_reader_slows_the_client),
        cmocka_unit_test(a_client_that_waits_is_told_to_continue),
        cmocka_unit_test(who_was_not_told_to_continue_is_told_to_go),
        cmocka_unit_test(a_read_may_be_tried_again),
        cmocka_unit_test(a_large_body_leaves_memory),
        cmocka_unit_test(what_is_too_large_is_told_so),
        cmocka_unit_test(what_says_that_it_is_too_large_is_told_at_once),
        cmocka_unit_test(malformed_chunks_are_told_so),
        cmocka_unit_test(a_slow_sender_is_told_so),
        cmocka_unit_test(a_body_that_is_cut_off_ends_the_connection),
        cmocka_unit_test(an_unread_body_is_skipped),
        cmocka_unit_test(skipping_is_bounded),
        cmocka_unit_test(what_happened_is_recorded),
        cmocka_unit_test(crumbs_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
