/* SPDX-License-Identifier: MIT */
/*
 * The subscriber: in sequence, each once, byte for byte, whatever the lines do; asks when it should
 * and not before; goes on behind what is lost; believes one session, and one source.
 */
#include "subscriber_world.h"

#include "fiber/sanitize.h"
#include "leat/error.h"

enum { A = 0, B = 1 };

/* A world as most tests want it: from the first message on, all defaults. */
static void open_plain(struct world *world, bool can_ask)
{
    const struct leat_feed_subscriber_options options = world_options(world);
    world_open(world, &options, can_ask);
}

/* All of 1 .. last was delivered, and the session is over. */
static void check_complete(struct world *world, uint64_t last)
{
    assert_int_equal(world->next, last + 1);
    assert_int_equal(world->messages + world->lost_messages, last);
    assert_true(subscriber_is_complete(world->subscriber));
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void in_order_on_one_line(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    uint64_t next = 1;
    for (unsigned packet = 0; packet < 1000; packet++) {
        say(&world, A, next, 1 + packet % 30);
        next += 1 + packet % 30;
    }
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.batches, 1000);
    assert_false(subscriber_is_complete(world.subscriber));
    say_end(&world, A, next);
    assert_int_equal(world_run(&world), 0);
    check_complete(&world, next - 1);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_string_equal(stats.session, "SESSION");
    assert_int_equal(stats.next_sequence, next);
    assert_int_equal(stats.heard, next - 1);
    assert_int_equal(stats.messages, next - 1);
    assert_int_equal(stats.packets, 1000);
    assert_int_equal(stats.lines[A].packets, 1001);
    assert_int_equal(stats.lines[A].first, 1000);
    assert_int_equal(stats.lines[A].messages, next - 1);
    assert_int_equal(stats.lines[A].dropped, 7);
    assert_int_equal(stats.requests + stats.gaps + stats.early + world.requests, 0);
    assert_true(stats.is_ended);
    world_close(&world);
}

static void the_other_line_brings_it_again(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    for (unsigned packet = 0; packet < 500; packet++) {
        const unsigned first = packet % 2;
        say(&world, first, 1 + packet * 10, 10);
        assert_int_equal(world_run_us(&world, 10), 0);
        say(&world, 1 - first, 1 + packet * 10, 10);
        assert_int_equal(world_run_us(&world, 10), 0);
    }
    say_end(&world, B, 5001);
    assert_int_equal(world_run(&world), 0);
    check_complete(&world, 5000);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    for (unsigned line = 0; line < 2; line++) {
        assert_int_equal(stats.lines[line].first, 250);
        assert_int_equal(stats.lines[line].duplicates, 250);
        assert_int_equal(stats.lines[line].messages, 5000);
    }
    assert_int_equal(stats.early + stats.gaps, 0);
    world_close(&world);
}

/* Four packets on each line, in every order of the two, each with any of them lost: what neither
 * line brought is asked for, and no more. */
static void every_interleaving_with_every_loss(void **state)
{
    enum { PACKETS = 4, SIZE = 3 };
    struct world world = {0};
    for (unsigned order = 0; order < 1 << 2 * PACKETS; order++) {
        if (__builtin_popcount(order) != PACKETS)
            continue;
        for (unsigned lost = 0; lost < 1 << 2 * PACKETS; lost++) {
            unsigned said[2] = {0};
            open_plain(&world, true);
            world.server_first = 1;
            world.server_last = PACKETS * SIZE;
            world.packet_messages = SIZE;
            say(&world, B, 1, 0); /* or what the first one begins behind is asked for at once */
            for (unsigned step = 0; step < 2 * PACKETS; step++) {
                const unsigned line = order >> step & 1, packet = said[line]++;
                if (!(lost >> (line * PACKETS + packet) & 1))
                    say(&world, line, 1 + packet * SIZE, SIZE);
                assert_int_equal(world_run_us(&world, 10), 0);
            }
            say_end(&world, A, PACKETS * SIZE + 1);
            assert_int_equal(world_run(&world), 0);
            check_complete(&world, PACKETS * SIZE);
            const unsigned on_neither = (lost & lost >> PACKETS) & ((1 << PACKETS) - 1);
            assert_int_equal(world.requested, __builtin_popcount(on_neither) * SIZE);
            assert_int_equal(world_stats(&world).recovered_messages, world.requested);
            world_reset(&world);
        }
    }
    open_plain(&world, false);
    world_close(&world);
}

/* Answers are cut where the question was, so packets overlap: all ways for three of them. */
static void packets_overlap(void **state)
{
    enum { ALL = 6 };
    struct world world = {0};
    uint64_t spans[ALL * ALL][2];
    unsigned count = 0;
    for (uint64_t first = 2; first <= ALL; first++) {
        for (uint64_t end = first + 1; end <= ALL + 1; end++) {
            spans[count][0] = first;
            spans[count++][1] = end;
        }
    }
    for (unsigned pick = 0; pick < count * count * count; pick++) {
        const unsigned picks[] = {pick % count, pick / count % count, pick / count / count};
        open_plain(&world, false);
        say(&world, A, 1, 1);
        uint64_t covered = 0;
        for (unsigned index = 0; index < 3; index++) {
            const uint64_t *span = spans[picks[index]];
            say(&world, index % 2, span[0], (unsigned)(span[1] - span[0]));
            assert_int_equal(world_run_us(&world, 10), 0);
            for (uint64_t at = span[0]; at < span[1]; at++)
                covered |= UINT64_C(1) << at;
        }
        say_end(&world, A, ALL + 1);
        assert_int_equal(world_run(&world), 0);
        check_complete(&world, ALL);
        assert_int_equal(world.messages, 1 + (unsigned)__builtin_popcountll(covered));
        world_reset(&world);
    }
    open_plain(&world, false);
    world_close(&world);
}

/* ---- Gaps ------------------------------------------------------------------------------------ */

static void the_other_line_fills_a_gap_in_time(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    say(&world, A, 1, 5);
    say(&world, A, 11, 5);
    assert_int_equal(world_run_us(&world, 499), 0);
    assert_int_equal(world.next, 6);
    say(&world, B, 6, 5);
    assert_int_equal(world_run_us(&world, 1000000), 0);
    assert_int_equal(world.next, 16);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_int_equal(stats.early, 1);
    assert_int_equal(stats.gaps + stats.requests + world.requests, 0);
    assert_int_equal(stats.lines[B].first, 1);
    world_close(&world);
}

static void a_gap_is_asked_for_when_its_time_is_over(void **state)
{
    struct world world = {.server_first = 1, .server_last = 100};
    open_plain(&world, true);
    say(&world, A, 1, 5);
    assert_int_equal(world_run_us(&world, 1000), 0);
    const int64_t sign_ns = world.now_ns;
    say(&world, A, 11, 5); /* the first sign of it; later ones count no more */
    say_at(&world, A, sign_ns + 400 * LEAT_NS_PER_US, 16, 5);
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.next, 21);
    assert_int_equal(world.requests, 1);
    assert_int_equal(world.asked[0].sequence, 6);
    assert_int_equal(world.asked[0].count, 5);
    assert_int_equal(world.asked[0].at_ns, sign_ns + 500 * LEAT_NS_PER_US);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_int_equal(stats.gaps, 1);
    assert_int_equal(stats.gap_messages, 5);
    assert_int_equal(stats.requests, 1);
    assert_int_equal(stats.recovered_messages, 5);
    assert_int_equal(stats.answers.first, 1);
    assert_int_equal(world.recovered, 1);
    world_close(&world);
}

static void a_heartbeat_tells_of_a_lost_tail(void **state)
{
    struct world world = {.server_first = 1, .server_last = 8};
    open_plain(&world, true);
    say(&world, A, 1, 5);
    say(&world, A, 9, 0);
    say(&world, B, 9, 0);
    assert_int_equal(world_run_us(&world, 10), 0);
    assert_int_equal(world_stats(&world).heard, 8);
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.next, 9);
    assert_int_equal(world.requests, 1);
    assert_int_equal(world_stats(&world).lines[A].first, 1);
    world_close(&world);
}

/* Again and again, later and later; then it is lost, and what is behind it follows. */
static void what_never_comes_is_lost(void **state)
{
    static const int64_t delays_ms[] = {20, 40, 80, 160, 320, 640, 1000, 1000};
    struct world world = {0};
    open_plain(&world, true);
    say(&world, A, 1, 5);
    say(&world, A, 8, 3);
    int64_t at_ns = world.now_ns + 500 * LEAT_NS_PER_US;
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.requests, 8);
    for (unsigned try = 0; try < 8; try++) {
        assert_int_equal(world.asked[try].sequence, 6);
        assert_int_equal(world.asked[try].count, 2);
        assert_int_equal(world.asked[try].at_ns, at_ns);
        at_ns += delays_ms[try] * LEAT_NS_PER_MS;
    }
    assert_int_equal(world.losses, 1);
    assert_int_equal(world.lost[0].first, 6);
    assert_int_equal(world.lost[0].last, 7);
    assert_int_equal(world.next, 11);
    say(&world, B, 5, 3); /* too late */
    say(&world, B, 11, 1);
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.next, 12);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_int_equal(stats.lost_messages, 2);
    assert_int_equal(stats.lines[B].duplicates, 1);
    world_close(&world);
}

static void without_a_server_what_is_lost_is_lost(void **state)
{
    struct world world = {0};
    open_plain(&world, false);
    say(&world, A, 1, 5);
    say(&world, A, 8, 3);
    assert_int_equal(world_run_us(&world, 499), 0);
    assert_int_equal(world.losses, 0);
    assert_int_equal(world_run_us(&world, 1), 0);
    assert_int_equal(world.losses, 1);
    assert_int_equal(world.next, 11);
    assert_int_equal(world_stats(&world).gaps, 1);
    world_close(&world);
}

static void a_loss_ends_the_run_when_nobody_takes_it(void **state)
{
    struct world world = {0};
    struct leat_feed_subscriber_options options = world_options(&world);
    options.on_lost = NULL;
    world_open(&world, &options, false);
    say(&world, A, 1, 5);
    say(&world, A, 8, 3);
    assert_int_equal(world_run(&world), -ENODATA);
    assert_int_equal(world.next, 6);
    world.next = 8; /* it may be called again, and goes on behind it */
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.next, 11);
    assert_int_equal(world_stats(&world).lost_messages, 2);
    world_close(&world);
}

/* What a callback returns ends the round; the next one goes on where it was, with the rest of the
 * burst and of the window. */
static void a_callback_ends_the_run(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    world.on_batch_result = -EPIPE;
    say(&world, A, 21, 10);
    say(&world, A, 11, 10);
    say(&world, A, 1, 10);
    say(&world, A, 31, 10);
    for (uint64_t next = 11; next <= 41; next += 10) {
        assert_int_equal(world_run(&world), -EPIPE);
        assert_int_equal(world.next, next);
    }
    assert_int_equal(world_run(&world), 0);
    say(&world, A, 51, 10);
    world.on_batch_result = 1; /* no error */
    world.on_lost_result = -EIO;
    assert_int_equal(world_run(&world), -EIO);
    assert_int_equal(world.lost[0].first, 41);
    assert_int_equal(world.next, 51);
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.next, 61);
    world_close(&world);
}

/* ---- The window ------------------------------------------------------------------------------ */

static void a_full_window_forgets_nothing(void **state)
{
    struct world world = {.server_first = 1, .server_last = 10000};
    struct leat_feed_subscriber_options options = world_options(&world);
    options.window_packets = 16;
    world_open(&world, &options, true);
    say(&world, A, 1, 10);
    for (unsigned packet = 2; packet < 1000; packet++) /* the second was lost */
        say(&world, A, 1 + packet * 10, 10);
    say_end(&world, A, 10001);
    assert_int_equal(world_run_us(&world, 100), 0);
    struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_int_equal(stats.early, 12);
    assert_int_equal(stats.window_full, 998 - 12);
    assert_int_equal(stats.heard, 10000);
    assert_int_equal(world_run(&world), 0);
    check_complete(&world, 10000);
    stats = world_stats(&world);
    assert_int_equal(stats.recovered_messages, 10000 - 10 - 12 * 10);
    assert_int_equal(stats.gap_messages, stats.recovered_messages);
    assert_int_equal(stats.gaps, 2);
    world_close(&world);
}

/* Every other packet is missing, and the window is small: no more ranges than there is room for. */
static void a_sieve_of_gaps(void **state)
{
    struct world world = {.server_first = 1, .server_last = 100000, .packet_messages = 1};
    struct leat_feed_subscriber_options options = world_options(&world);
    options.window_packets = 64;
    world_open(&world, &options, true);
    world.server_loss = 200000;
    for (unsigned packet = 0; packet < 50000; packet++)
        say_at(&world, A, world.now_ns + packet * 1000, 1 + packet * 2, 1);
    assert_int_equal(world_run_us(&world, 50000), 0);
    say_end(&world, B, 100001);
    assert_int_equal(world_run(&world), 0);
    check_complete(&world, 100000);
    assert_int_equal(world.losses, 0);
    world_close(&world);
}

/* ---- Begin and end --------------------------------------------------------------------------- */

static void from_now_from_one_from_a_number(void **state)
{
    static const struct {
        uint64_t from, said, first_delivered;
    } cases[] = {
        {LEAT_FEED_FROM_NOW, 101, 101},
        {1, 101, 1},
        {50, 101, 50},
        {101, 101, 101},
        {105, 101, 105},
        {300, 101, 300},
        {1, 1, 1},
        {LEAT_FEED_FROM_NOW, 1, 1},
    };
    struct world world = {0};
    for (unsigned index = 0; index < sizeof cases / sizeof *cases; index++) {
        world.server_first = 1;
        world.server_last = 1000;
        struct leat_feed_subscriber_options options = world_options(&world);
        options.from = cases[index].from;
        world_open(&world, &options, true);
        const int64_t begin_ns = world.now_ns;
        for (uint64_t first = cases[index].said; first <= 1000; first += 10)
            say(&world, A, first, 10);
        say_end(&world, A, 1001);
        assert_int_equal(world_run(&world), 0);
        assert_int_equal(world.next, 1001);
        assert_int_equal(world.messages, 1001 - cases[index].first_delivered);
        assert_true(subscriber_is_complete(world.subscriber));
        if (cases[index].from > 0 && cases[index].from < cases[index].said) {
            assert_true(world.requests > 0); /* at once: no packet is under way that has it */
            assert_int_equal(world.asked[0].at_ns, begin_ns);
            assert_int_equal(world.asked[0].sequence, cases[index].from);
        } else {
            assert_int_equal(world.requests, 0);
        }
        world_reset(&world);
    }
    open_plain(&world, false);
    world_close(&world);
}

static void beyond_the_end_there_is_nothing_to_wait_for(void **state)
{
    struct world world = {0};
    struct leat_feed_subscriber_options options = world_options(&world);
    options.from = 500;
    world_open(&world, &options, true);
    say(&world, A, 1, 10);
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world_stats(&world).heard, 10);
    assert_false(subscriber_is_complete(world.subscriber));
    say_end(&world, A, 11);
    assert_int_equal(world_run(&world), 0);
    assert_true(subscriber_is_complete(world.subscriber));
    assert_int_equal(world.messages + world.requests, 0);
    world_close(&world);
}

static void a_heartbeat_may_be_the_first_that_is_heard(void **state)
{
    for (unsigned is_end = 0; is_end < 2; is_end++) {
        struct world world = {.server_first = 1, .server_last = 40};
        open_plain(&world, true);
        say(&world, A, 41, is_end ? MOLD_END_OF_SESSION : 0);
        assert_int_equal(world_run(&world), 0);
        assert_int_equal(world.next, 41);
        assert_int_equal(subscriber_is_complete(world.subscriber), is_end);
        world_close(&world);
    }
    struct world world = {0};
    struct leat_feed_subscriber_options options = world_options(&world);
    options.from = LEAT_FEED_FROM_NOW;
    world_open(&world, &options, true);
    say(&world, A, 41, 0);
    say(&world, A, 41, 4);
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.messages, 4);
    assert_int_equal(world_stats(&world).next_sequence, 45);
    world_close(&world);
}

/* Ten messages a packet, thirty-two packets a request at most, and the lines go on meanwhile. */
static void who_joins_late_gets_a_million(void **state)
{
    enum { ALL = 1000000, LIVE = 20000 };
    struct world world = {.server_first = 1, .server_last = ALL + LIVE};
    open_plain(&world, true);
    for (unsigned packet = 0; packet < LIVE / 10; packet++)
        say_at(&world, A, world.now_ns + packet * 10 * LEAT_NS_PER_US, ALL + 1 + packet * 10, 10);
    assert_int_equal(world_run_us(&world, LIVE), 0);
    say_end(&world, A, ALL + LIVE + 1);
    const int64_t begin_ns = world.now_ns;
    assert_int_equal(world_run(&world), 0);
    check_complete(&world, ALL + LIVE);
    assert_int_equal(world.losses, 0);
    assert_true(world.requests <= ALL / 320 + 100);
    assert_true(world.requested <= ALL + 100 * 320);
    assert_int_equal(world.messages, ALL + LIVE);
    (void)begin_ns;
    world_close(&world);
}

/* The same through a server that gives fewer packets a request than is hoped for, and of which one
 * answer in ten is lost. */
static void who_joins_late_at_a_poor_server(void **state)
{
    enum { ALL = 300000 };
    struct world world = {
        .server_first = 1, .server_last = ALL, .server_packets = 5, .server_loss = 100000};
    open_plain(&world, true);
    const int64_t begin_ns = world.now_ns;
    say_end(&world, A, ALL + 1);
    while (!subscriber_is_complete(world.subscriber))
        assert_int_equal(world_run_us(&world, 1000), 0);
    check_complete(&world, ALL);
    assert_int_equal(world.losses, 0);
    /* 8 requests of 5 packets in 0.1 ms, or 0.6 when one was lost: not a time-out of 20 ms each. */
    assert_true(world.now_ns - begin_ns < 3000 * LEAT_NS_PER_MS);
    world_close(&world);
}

static void up_to_the_last_number(void **state)
{
    struct world world = {.server_first = 1, .server_last = UINT64_MAX - 1};
    struct leat_feed_subscriber_options options = world_options(&world);
    options.from = UINT64_MAX - 30;
    world_open(&world, &options, true);
    say(&world, A, UINT64_MAX - 30, 10);
    say(&world, A, UINT64_MAX - 10, 10);
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.messages, 30);
    uint8_t data[WORLD_PACKET_MAX];
    size_t size = packet_write(data, "SESSION", 1, 11); /* 11 of them would wrap */
    const uint64_t sequence = htobe64(UINT64_MAX - 10);
    memcpy(data + MOLD_SESSION_SIZE, &sequence, sizeof sequence);
    say_bytes(&world, A, world.now_ns, 1, data, size);
    say_end(&world, A, UINT64_MAX);
    assert_int_equal(world_run(&world), 0);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_int_equal(stats.lines[A].malformed, 1);
    assert_int_equal(stats.heard, UINT64_MAX - 1);
    assert_true(subscriber_is_complete(world.subscriber));
    options.from = UINT64_MAX; /* there is no such message */
    world_reset(&world);
    struct leat_feed_subscriber *none = NULL;
    char reason[100];
    const struct subscriber_transports transports = {.lines = {&world.lines[A].base}};
    assert_int_equal(subscriber_open_on(world.loop, &options, &transports, &none, reason, 100),
                     -EINVAL);
    assert_null(none);
    open_plain(&world, false);
    world_close(&world);
}

/* ---- Who speaks ------------------------------------------------------------------------------ */

static void say_as(struct world *world, unsigned line, uint8_t host, const char *session,
                   uint64_t first, unsigned count)
{
    uint8_t data[WORLD_PACKET_MAX];
    const size_t size = packet_write(data, session, first, count);
    say_bytes(world, line, world->now_ns, host, data, size);
}

static void the_first_session_heard_is_kept(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    say_as(&world, A, 1, "SESSION", 1, 10);
    say_as(&world, A, 1, "NEXT", 1, 10);
    say_as(&world, B, 1, "NEXT", 11, 10);
    say_as(&world, B, 1, "SESSION", 11, 10);
    say_as(&world, B, 1, "THIRD", 21, 10);
    say_as(&world, A, 1, "THIRD", 21, MOLD_END_OF_SESSION);
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.messages, 20);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_string_equal(stats.session, "SESSION");
    assert_int_equal(stats.session_changes, 2);
    assert_int_equal(stats.lines[A].foreign_session, 2);
    assert_int_equal(stats.lines[B].foreign_session, 2);
    assert_int_equal(stats.lines[A].packets, 1);
    assert_false(stats.is_ended);
    world_close(&world);
}

static void the_session_that_was_asked_for(void **state)
{
    struct world world = {0};
    struct leat_feed_subscriber_options options = world_options(&world);
    options.session = "SESSION";
    world_open(&world, &options, true);
    say_as(&world, A, 1, "BEFORE", 1000, 10);
    say_as(&world, A, 1, "SESSION", 1, 10);
    assert_int_equal(world_run(&world), 0);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_int_equal(world.messages, 10);
    assert_int_equal(stats.lines[A].foreign_session, 1);
    assert_int_equal(stats.session_changes, 0); /* it was over when ours was heard */
    world_close(&world);
}

static void of_two_publishers_the_first_is_heard(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    for (unsigned packet = 0; packet < 100; packet++) {
        say_as(&world, A, 1, "SESSION", 1 + packet * 10, 10);
        say_as(&world, A, 2, "SESSION", 500000 + packet * 10, 10); /* and would mislead */
        assert_int_equal(world_run_us(&world, 1000000), 0);
    }
    assert_int_equal(world.messages, 1000);
    struct leat_feed_subscriber_stats stats = world_stats(&world);
    assert_int_equal(stats.heard, 1000);
    assert_int_equal(stats.lines[A].foreign_source, 100);
    assert_int_equal(stats.lines[A].packets, 100);
    /* Silent for 2.999 s, then for 3 s: another may take over. */
    assert_int_equal(world_run_us(&world, 1999000 - 1000), 0);
    say_as(&world, A, 2, "SESSION", 1001, 10);
    assert_int_equal(world_run_us(&world, 2000), 0);
    assert_int_equal(world.messages, 1000);
    say_as(&world, A, 2, "OTHER", 1001, 10);
    say_as(&world, A, 2, "SESSION", 1001, 10);
    say_as(&world, A, 1, "SESSION", 1011, 10); /* the old one, come back, is foreign now */
    assert_int_equal(world_run_us(&world, 100), 0);
    assert_int_equal(world.messages, 1010);
    stats = world_stats(&world);
    assert_int_equal(stats.lines[A].foreign_source, 102);
    assert_int_equal(stats.lines[A].foreign_session, 1);
    world_close(&world);
}

/* Each line has its own: A and B may well come from different addresses. */
static void each_line_has_its_source(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    say_as(&world, A, 1, "SESSION", 1, 10);
    say_as(&world, B, 2, "SESSION", 11, 10);
    say_as(&world, B, 0, "SESSION", 21, 10); /* nobody knows whose: it is taken */
    assert_int_equal(world_run(&world), 0);
    assert_int_equal(world.messages, 30);
    world_close(&world);
}

static void nonsense_is_counted(void **state)
{
    struct world world = {0};
    uint8_t data[WORLD_PACKET_MAX];
    open_plain(&world, true);
    memset(data, 0, sizeof data); /* a heartbeat of nobody's session */
    data[17] = 1;
    say_bytes(&world, A, world.now_ns, 9, data, MOLD_HEADER_SIZE);
    say(&world, A, 1, 10);
    const size_t size = packet_write(data, "SESSION", 11, 10);
    for (size_t cut = 0; cut < size; cut++)
        say_bytes(&world, A, world.now_ns, 1, data, cut);
    data[19] = 11; /* more messages than there are */
    say_bytes(&world, A, world.now_ns, 1, data, size);
    data[19] = 10;
    data[20] = 0xff; /* one that is longer than its packet */
    say_bytes(&world, A, world.now_ns, 1, data, size);
    packet_write(data, "SESSION", 0, 0); /* there is no message 0 */
    say_bytes(&world, A, world.now_ns, 1, data, MOLD_HEADER_SIZE);
    random_init(&world.random, 5);
    for (unsigned burst = 0; burst < 1000; burst++) {
        for (size_t at = 0; at < 100; at++)
            data[at] = (uint8_t)random_next(&world.random);
        say_bytes(&world, burst % 2, world.now_ns, 1, data, random_below(&world.random, 100));
    }
    say(&world, B, 11, 10);
    say_end(&world, B, 21);
    assert_int_equal(world_run(&world), 0);
    check_complete(&world, 20);
    const struct leat_feed_subscriber_stats stats = world_stats(&world);
    const struct leat_feed_line_stats *lines = stats.lines;
    assert_int_equal(lines[A].malformed + lines[B].malformed + lines[A].foreign_session +
                         lines[B].foreign_session,
                     1 + size + 3 + 1000);
    assert_int_equal(lines[A].packets + lines[B].packets, 3);
    world_close(&world);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static int tell_time(struct world *world, int64_t now_ns)
{
    /* Who asks for figures gets them as of now, whatever was said when. */
    world->now_ns = now_ns;
    return leat_loop_run_once(world->loop, now_ns);
}

static void a_line_falls_silent(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    const int64_t begin_ns = world.now_ns;
    say(&world, A, 1, 1);
    say_at(&world, B, begin_ns + 2000 * LEAT_NS_PER_MS, 2, 0); /* a heartbeat counts */
    assert_int_equal(world_run_us(&world, 2000000), 0);
    assert_int_equal(tell_time(&world, begin_ns + 2990 * LEAT_NS_PER_MS), 0);
    assert_false(world_stats(&world).lines[A].is_silent);
    assert_int_equal(tell_time(&world, begin_ns + 3010 * LEAT_NS_PER_MS), 0);
    assert_true(world_stats(&world).lines[A].is_silent);
    assert_false(world_stats(&world).lines[B].is_silent);
    assert_int_equal(tell_time(&world, begin_ns + 5010 * LEAT_NS_PER_MS), 0);
    assert_true(world_stats(&world).lines[B].is_silent);
    assert_false(world_stats(&world).answers.is_silent);
    world_close(&world);
}

static int stand_still(const struct leat_feed_batch *batch, void *user)
{
    struct world *world = user;
    world->loop->now_ns += 10 * LEAT_NS_PER_S;
    world->now_ns += 10 * LEAT_NS_PER_S;
    return world_on_batch(batch, user);
}

/* on_batch waited, for a slow reader of its own: nobody listened, so nobody was silent, and a gap
 * is no older for it. */
static void who_does_not_listen_does_not_judge(void **state)
{
    struct world world = {0};
    struct leat_feed_subscriber_options options = world_options(&world);
    options.on_batch = stand_still;
    world_open(&world, &options, true);
    say_as(&world, B, 1, "SESSION", 1, 0);
    say_as(&world, B, 1, "SESSION", 21, 1); /* the gap, and its time begins */
    assert_int_equal(subscriber_round(world.subscriber, world.now_ns), 2);
    const int64_t due_ns = subscriber_next_ns(world.subscriber);
    say_as(&world, A, 1, "SESSION", 1, 10);
    assert_int_equal(subscriber_round(world.subscriber, world.now_ns), 1);
    assert_int_equal(subscriber_next_ns(world.subscriber), due_ns + 10 * LEAT_NS_PER_S);
    say_as(&world, A, 2, "SESSION", 11, 10); /* the first source was not silent */
    assert_int_equal(subscriber_round(world.subscriber, world.now_ns), 1);
    assert_int_equal(world_stats(&world).lines[A].foreign_source, 1);
    assert_int_equal(world.messages, 10);
    world_close(&world);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

#if !defined(SANITIZE_ASAN) && !defined(SANITIZE_TSAN)
static uint64_t allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *data, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *data, size_t size)
{
    allocations++;
    return __libc_realloc(data, size);
}

/* In order, early, and asked for: what it needs it has from the beginning. */
static void nothing_is_allocated_for_a_message(void **state)
{
    struct world world = {0};
    open_plain(&world, true);
    uint64_t next = 1;
    for (unsigned packet = 0; packet < 5000; packet++) {
        say(&world, A, next + (packet % 8 == 0 ? 10 : packet % 8 == 1 ? -10 : 0), 10);
        next += 10;
    }
    say(&world, A, next + 100, 10);
    say(&world, B, 1, 10);
    say(&world, B, next, 10);
    const uint64_t before = allocations;
    assert_int_equal(world_run_us(&world, 1000), 0);
    assert_int_equal(allocations, before);
    assert_int_equal(world.next, next + 10);
    assert_int_equal(world.requests, 1);
    world_close(&world);
    assert_true(before > 0);
}
#else
static void nothing_is_allocated_for_a_message(void **state)
{
    skip(); /* the sanitizer has the allocator */
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_on_one_line),
        cmocka_unit_test(the_other_line_brings_it_again),
        cmocka_unit_test(every_interleaving_with_every_loss),
        cmocka_unit_test(packets_overlap),
        cmocka_unit_test(the_other_line_fills_a_gap_in_time),
        cmocka_unit_test(a_gap_is_asked_for_when_its_time_is_over),
        cmocka_unit_test(a_heartbeat_tells_of_a_lost_tail),
        cmocka_unit_test(what_never_comes_is_lost),
        cmocka_unit_test(without_a_server_what_is_lost_is_lost),
        cmocka_unit_test(a_loss_ends_the_run_when_nobody_takes_it),
        cmocka_unit_test(a_callback_ends_the_run),
        cmocka_unit_test(a_full_window_forgets_nothing),
        cmocka_unit_test(a_sieve_of_gaps),
        cmocka_unit_test(from_now_from_one_from_a_number),
        cmocka_unit_test(beyond_the_end_there_is_nothing_to_wait_for),
        cmocka_unit_test(a_heartbeat_may_be_the_first_that_is_heard),
        cmocka_unit_test(who_joins_late_gets_a_million),
        cmocka_unit_test(who_joins_late_at_a_poor_server),
        cmocka_unit_test(up_to_the_last_number),
        cmocka_unit_test(the_first_session_heard_is_kept),
        cmocka_unit_test(the_session_that_was_asked_for),
        cmocka_unit_test(of_two_publishers_the_first_is_heard),
        cmocka_unit_test(each_line_has_its_source),
        cmocka_unit_test(nonsense_is_counted),
        cmocka_unit_test(a_line_falls_silent),
        cmocka_unit_test(who_does_not_listen_does_not_judge),
        cmocka_unit_test(nothing_is_allocated_for_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
