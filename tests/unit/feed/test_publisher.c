/* SPDX-License-Identifier: MIT */
/*
 * The publisher on the loopback, read packet by packet: what leaves when, how far heartbeats say it
 * is, what is answered and what refused, and how a session is taken up again and ended.
 */
#include "../engines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leat/feed.h"
#include "feed/transport.h"
#include "wire/moldudp64.h"

enum { PACKETS_MAX = 512 };

/* A publisher, and what a plain socket hears of it. */
struct bench {
    struct leat_feed_publisher *publisher;
    struct feed_transport *line, *asker;
    char line_text[LEAT_ADDRESS_TEXT_SIZE], folder[64];
};

struct heard {
    uint64_t sequence;
    uint16_t count;
    bool is_end;
    size_t size;
    char first[16]; /* of its first message */
};

static struct feed_transport *open_transport(const char *address, enum feed_role role)
{
    const struct feed_transport_options options = {
        .address = address, .role = role, .packet_size_max = LEAT_FEED_PACKET_SIZE};
    struct feed_transport *transport;
    char reason[256];
    assert_int_equal(feed_transport_open(loop_current, &options, &transport, reason, sizeof reason),
                     0);
    return transport;
}

static void open_bench(struct bench *bench, struct leat_feed_publisher_options options)
{
    struct leat_address address;
    char reason[256];
    bench->line = open_transport("127.0.0.1:0", FEED_ROLE_RECEIVE);
    assert_int_equal(feed_transport_address(bench->line, &address), 0);
    leat_address_format(&address, bench->line_text);
    options.session = "TEST";
    options.lines[0] = bench->line_text;
    options.request_listen = "127.0.0.1:0";
    assert_int_equal(leat_feed_publisher_open(&options, &bench->publisher, reason, sizeof reason),
                     0);
    assert_int_equal(leat_feed_publisher_request_address(bench->publisher, &address), 0);
    char text[LEAT_ADDRESS_TEXT_SIZE];
    bench->asker = open_transport(leat_address_format(&address, text), FEED_ROLE_ASK);
}

static void close_bench(struct bench *bench)
{
    leat_feed_publisher_close(bench->publisher);
    feed_transport_destroy(bench->line);
    feed_transport_destroy(bench->asker);
}

static void make_folder(struct bench *bench)
{
    snprintf(bench->folder, sizeof bench->folder, "/tmp/leat-feed-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
}

static void remove_folder(struct bench *bench)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", bench->folder);
    assert_int_equal(system(command), 0);
}

/* What the transport hears within `ms`; heartbeats are left out unless they are wanted. */
static unsigned hear(struct feed_transport *transport, struct heard *ret_heard, int64_t ms,
                     bool with_beats)
{
    const int64_t deadline_ns = leat_after_ms(ms);
    struct feed_frame frames[64];
    unsigned heard = 0;
    do {
        const int count = feed_receive(transport, frames, 64);
        for (int i = 0; i < count; i++) {
            struct mold_packet packet;
            const struct leat_slice bytes = {(const char *)frames[i].data, frames[i].size};
            assert_int_equal(mold_parse(bytes, &packet), MOLD_FINE);
            assert_memory_equal(packet.session, "TEST      ", MOLD_SESSION_SIZE);
            if (packet.count == 0 && !with_beats)
                continue;
            assert_true(heard < PACKETS_MAX);
            ret_heard[heard] =
                (struct heard){packet.sequence, packet.count, packet.is_end, frames[i].size, ""};
            struct leat_slice message;
            if (leat_feed_next(&packet.blocks, &message))
                snprintf(ret_heard[heard].first, sizeof ret_heard->first, "%.*s", (int)message.size,
                         message.data);
            heard++;
        }
        assert_int_equal(leat_sleep_ms(1), 0);
    } while (leat_now_ns() < deadline_ns);
    return heard;
}

/* So many at least, however long a busy host takes with them, and what else comes within `ms`. */
static unsigned hear_least(struct feed_transport *transport, struct heard *ret_heard, int64_t ms,
                           unsigned count)
{
    const int64_t deadline_ns = leat_after_ms(5000);
    unsigned heard = 0;
    do
        heard += hear(transport, ret_heard + heard, ms, false);
    while (heard < count && leat_now_ns() < deadline_ns);
    assert_true(heard >= count);
    return heard;
}

static void hear_just(struct feed_transport *transport, struct heard *ret_heard, int64_t ms,
                      unsigned count)
{
    assert_int_equal(hear_least(transport, ret_heard, ms, count), count);
}

/* The message of a number is its number. */
static uint64_t publish_numbers(struct bench *bench, unsigned count)
{
    uint64_t sequence = 0;
    struct leat_feed_publisher_stats stats;
    leat_feed_publisher_stats(bench->publisher, &stats);
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", (unsigned)stats.next_sequence + i);
        assert_int_equal(
            leat_feed_publish(bench->publisher, (struct leat_slice){text, strlen(text)}, &sequence),
            0);
    }
    return sequence;
}

static void ask(struct bench *bench, const char *session, uint64_t sequence, uint16_t count)
{
    uint8_t request[MOLD_HEADER_SIZE], name[MOLD_SESSION_SIZE];
    assert_int_equal(mold_session_from_text(session, name), 0);
    mold_write_header(request, name, sequence, count);
    const struct feed_frame frame = {.data = request, .size = sizeof request};
    assert_int_equal(feed_send(bench->asker, &frame, 1), 1);
}

/* Runs the body as a fiber, on each engine. */
static void (*current_body)(void);

static int main_fiber(void *arg)
{
    current_body();
    return 0;
}

static void run_on(enum leat_engine engine)
{
    const struct leat_loop_options options = {.engine = engine};
    assert_int_equal(leat_run(main_fiber, NULL, &options), 0);
}

static void run_everywhere(void (*body)(void))
{
    current_body = body;
    on_each_engine(run_on);
}

/* ---- What leaves when ------------------------------------------------------------------------ */

static void bursts_body(void)
{
    struct bench bench;
    struct heard heard[PACKETS_MAX];
    open_bench(&bench, (struct leat_feed_publisher_options){.flush_messages = 1});
    assert_int_equal(publish_numbers(&bench, 3), 3);
    hear_just(bench.line, heard, 20, 3); /* each at once, alone */
    assert_int_equal(heard[2].sequence, 3);
    assert_string_equal(heard[2].first, "3");
    close_bench(&bench);

    open_bench(&bench, (struct leat_feed_publisher_options){.flush_us = 30000});
    publish_numbers(&bench, 100);
    assert_int_equal(hear(bench.line, heard, 5, false), 0); /* they wait for company, */
    hear_just(bench.line, heard, 100, 1);                   /* but not for ever */
    assert_int_equal(heard[0].count, 100);
    publish_numbers(&bench, 5);
    leat_feed_flush(bench.publisher);
    hear_just(bench.line, heard, 10, 1);
    assert_int_equal(heard[0].sequence, 101);
    close_bench(&bench);

    open_bench(&bench, (struct leat_feed_publisher_options){
                           .packet_size = 64, .flush_bytes = 640, .flush_us = 1000000});
    publish_numbers(&bench, 9 * 14 + 1); /* packets of 14 or 15 messages of 1 to 3 digits */
    const unsigned count = hear_least(bench.line, heard, 20, 10);
    assert_in_range(count, 10, 40);
    for (unsigned i = 0; i < count; i++)
        assert_in_range(heard[i].size, 50, 64);
    close_bench(&bench);
}

static void what_leaves_when(void **state)
{
    run_everywhere(bursts_body);
}

static void beats_body(void)
{
    struct bench bench;
    struct heard heard[PACKETS_MAX];
    open_bench(&bench, (struct leat_feed_publisher_options){.flush_messages = 1});
    publish_numbers(&bench, 2);
    const unsigned count = hear(bench.line, heard, 150, true);
    /* one at the begin, two messages, then soon and ever less often: after 1, 10, 100 ms */
    assert_in_range(count, 5, 7);
    assert_int_equal(heard[0].sequence, 1);
    assert_int_equal(heard[0].count, 0);
    for (unsigned i = 3; i < count; i++) {
        assert_int_equal(heard[i].sequence, 3);
        assert_int_equal(heard[i].count, 0);
        assert_false(heard[i].is_end);
    }
    assert_int_equal(leat_feed_publisher_end(bench.publisher, leat_after_ms(80)), 0);
    const unsigned ends = hear(bench.line, heard, 5, true);
    assert_in_range(ends, 2, 4);
    for (unsigned i = 0; i < ends; i++)
        assert_true(heard[i].is_end && heard[i].sequence == 3);
    uint64_t sequence;
    assert_int_equal(leat_feed_publish(bench.publisher, (struct leat_slice){"x", 1}, &sequence),
                     -EPIPE);
    close_bench(&bench);
}

static void heartbeats_and_the_end(void **state)
{
    run_everywhere(beats_body);
}

static void limits_body(void)
{
    struct bench bench;
    static char big[LEAT_FEED_PACKET_SIZE];
    struct heard heard[PACKETS_MAX];
    open_bench(&bench, (struct leat_feed_publisher_options){.flush_messages = 1});
    const size_t most = LEAT_FEED_PACKET_SIZE - LEAT_FEED_OVERHEAD;
    struct leat_slice message = {big, most + 1};
    assert_int_equal(leat_feed_publish(bench.publisher, message, NULL), -EMSGSIZE);
    message.size = 0;
    assert_int_equal(leat_feed_publish(bench.publisher, message, NULL), -EINVAL);
    message.size = most;
    assert_int_equal(leat_feed_publish(bench.publisher, message, NULL), 0);
    hear_just(bench.line, heard, 10, 1);
    assert_int_equal(heard[0].size, LEAT_FEED_PACKET_SIZE);
    close_bench(&bench);

    struct leat_feed_publisher *publisher;
    char reason[128];
    const struct leat_feed_publisher_options wrong[] = {
        {.session = "", .lines = {"127.0.0.1:1"}},
        {.session = "ELEVENCHARS", .lines = {"127.0.0.1:1"}},
        {.session = "OK"},
        {.session = "OK", .lines = {"127.0.0.1:1"}, .packet_size = 63},
        {.session = "OK", .lines = {"127.0.0.1:1"}, .packet_size = 65508},
        {.session = "OK", .lines = {"nowhere"}},
        {.session = "OK", .lines = {"127.0.0.1:1"}, .request_packets = 257},
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(leat_feed_publisher_open(&wrong[i], &publisher, reason, sizeof reason),
                         -EINVAL);
        assert_true(strlen(reason) > 0);
    }
}

static void limits(void **state)
{
    run_everywhere(limits_body);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void requests_body(void)
{
    struct bench bench;
    struct heard heard[PACKETS_MAX];
    struct leat_feed_publisher_stats stats;
    open_bench(&bench, (struct leat_feed_publisher_options){
                           .flush_messages = 10, .request_packets = 4, .packet_size = 256});
    publish_numbers(&bench, 100);
    hear(bench.line, heard, 5, false);

    ask(&bench, "TEST", 15, 3); /* of the middle of a packet */
    hear_just(bench.asker, heard, 30, 1);
    assert_int_equal(heard[0].sequence, 15);
    assert_int_equal(heard[0].count, 3);
    assert_string_equal(heard[0].first, "15");

    ask(&bench, "TEST", 8, 5); /* over a packet's end */
    hear_just(bench.asker, heard, 30, 2);
    assert_int_equal(heard[0].count, 3);
    assert_int_equal(heard[1].sequence, 11);
    assert_int_equal(heard[1].count, 2);

    ask(&bench, "TEST", 1, 65535); /* a request brings 4 packets and no more */
    hear_just(bench.asker, heard, 30, 4);
    ask(&bench, "TEST", 100, 65535);
    hear_just(bench.asker, heard, 30, 1);
    assert_int_equal(heard[0].count, 1);

    ask(&bench, "TEST", 101, 1); /* not published yet */
    ask(&bench, "OTHER", 1, 1);
    ask(&bench, "TEST", 1, 0);
    ask(&bench, "TEST", 0, 1);
    const struct feed_frame torn = {.data = (const uint8_t *)"TEST", .size = 4};
    assert_int_equal(feed_send(bench.asker, &torn, 1), 1);
    assert_int_equal(hear(bench.asker, heard, 30, true), 0);
    leat_feed_publisher_stats(bench.publisher, &stats);
    assert_int_equal(stats.refused_future, 1);
    assert_int_equal(stats.refused_session, 1);
    assert_int_equal(stats.refused_malformed, 3);
    assert_int_equal(stats.requests, 9);
    assert_int_equal(stats.answers, 8);
    close_bench(&bench);
}

static void requests_are_answered(void **state)
{
    run_everywhere(requests_body);
}

static void flood_body(void)
{
    struct bench bench;
    struct heard heard[PACKETS_MAX];
    struct leat_feed_publisher_stats stats;
    open_bench(&bench, (struct leat_feed_publisher_options){.flush_messages = 10,
                                                            .request_bytes_per_s = 2000});
    publish_numbers(&bench, 100);
    hear(bench.line, heard, 5, false);
    for (unsigned i = 0; i < 200; i++)
        ask(&bench, "TEST", 1, 10);
    (void)hear(bench.asker, heard, 50, false);
    leat_feed_publisher_stats(bench.publisher, &stats);
    assert_int_equal(stats.requests, 200);
    assert_true(stats.refused_rate > 0);
    assert_int_equal(stats.answers + stats.refused_rate, 200);
    close_bench(&bench);
}

/* Its request comes behind more of another host's than can wait. */
static void flood_beside_body(void)
{
    struct bench bench;
    struct heard heard[PACKETS_MAX];
    struct leat_address address, other;
    uint8_t request[MOLD_HEADER_SIZE], name[MOLD_SESSION_SIZE], answer[LEAT_FEED_PACKET_SIZE];
    open_bench(&bench, (struct leat_feed_publisher_options){.flush_messages = 10});
    publish_numbers(&bench, 100);
    (void)hear(bench.line, heard, 5, false);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(leat_address_parse("127.0.0.2:0", &other, NULL), 0);
    assert_int_equal(bind(fd, &other.base, other.size), 0);
    assert_int_equal(leat_feed_publisher_request_address(bench.publisher, &address), 0);
    for (unsigned i = 0; i < 600; i++)
        ask(&bench, "TEST", 1, 1);
    assert_int_equal(mold_session_from_text("TEST", name), 0);
    mold_write_header(request, name, 7, 1);
    assert_int_equal(sendto(fd, request, sizeof request, 0, &address.base, address.size),
                     sizeof request);
    const int64_t deadline_ns = leat_after_ms(2000);
    ssize_t size;
    while ((size = recv(fd, answer, sizeof answer, 0)) < 0 && leat_now_ns() < deadline_ns)
        assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(size, MOLD_HEADER_SIZE + 2 + 1);
    close(fd);
    close_bench(&bench);
}

static void a_flood_beside_others(void **state)
{
    run_everywhere(flood_beside_body);
}

static void a_flood_is_bounded(void **state)
{
    run_everywhere(flood_body);
}

/* ---- A session's life ------------------------------------------------------------------------ */

static void resume_body(void)
{
    struct bench bench;
    struct heard heard[PACKETS_MAX];
    struct leat_feed_publisher *second;
    char reason[256];
    make_folder(&bench);
    struct leat_feed_publisher_options options = {
        .log = bench.folder, .segment_size = 1 << 18, .flush_us = 1000};
    open_bench(&bench, options);
    assert_int_equal(publish_numbers(&bench, 50), 50);

    struct leat_feed_publisher_options other = options;
    other.session = "TEST";
    other.lines[0] = bench.line_text;
    assert_int_equal(leat_feed_publisher_open(&other, &second, reason, sizeof reason), -EAGAIN);
    close_bench(&bench);

    other.session = "NEXT";
    assert_int_equal(leat_feed_publisher_open(&other, &second, reason, sizeof reason), -EBADMSG);

    open_bench(&bench, options);
    hear(bench.line, heard, 5, true);
    assert_int_equal(heard[0].sequence, 51); /* it says at once how far it was */
    assert_int_equal(publish_numbers(&bench, 5), 55);
    ask(&bench, "TEST", 49, 4);
    leat_feed_flush(bench.publisher);
    hear(bench.line, heard, 5, false);
    assert_int_equal(hear(bench.asker, heard, 30, false) > 0, 1);
    assert_string_equal(heard[0].first, "49");
    assert_int_equal(leat_feed_publisher_end(bench.publisher, leat_after_ms(1)), 0);
    close_bench(&bench);

    struct leat_feed_publisher_stats stats;
    open_bench(&bench, options); /* ended is ended, but it still answers */
    leat_feed_publisher_stats(bench.publisher, &stats);
    assert_true(stats.is_ended);
    assert_int_equal(stats.next_sequence, 56);
    assert_int_equal(leat_feed_publish(bench.publisher, (struct leat_slice){"x", 1}, NULL), -EPIPE);
    ask(&bench, "TEST", 55, 1);
    hear_just(bench.asker, heard, 30, 1);
    close_bench(&bench);
    remove_folder(&bench);
}

static void a_session_is_taken_up_again(void **state)
{
    run_everywhere(resume_body);
}

static void durable_body(void)
{
    struct bench bench;
    struct heard heard[PACKETS_MAX];
    make_folder(&bench);
    open_bench(&bench, (struct leat_feed_publisher_options){.log = bench.folder,
                                                            .segment_size = 1 << 18,
                                                            .is_durable = true,
                                                            .flush_messages = 1});
    const uint64_t last = publish_numbers(&bench, 20);
    assert_int_equal(leat_feed_publisher_sync(bench.publisher, last, leat_after_ms(10000)), 0);
    hear_just(bench.line, heard, 10, 20);
    assert_int_equal(leat_feed_publisher_sync(bench.publisher, last + 1, leat_after_ms(5)),
                     -ETIMEDOUT);
    close_bench(&bench);
    remove_folder(&bench);
}

static void durable_comes_before_the_wire(void **state)
{
    run_everywhere(durable_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_leaves_when),
        cmocka_unit_test(heartbeats_and_the_end),
        cmocka_unit_test(limits),
        cmocka_unit_test(requests_are_answered),
        cmocka_unit_test(a_flood_is_bounded),
        cmocka_unit_test(a_flood_beside_others),
        cmocka_unit_test(a_session_is_taken_up_again),
        cmocka_unit_test(durable_comes_before_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
