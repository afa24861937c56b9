/* SPDX-License-Identifier: MIT */
/*
 * The transport that cannot be trusted can be trusted in this: as many frames as were asked for are
 * lost, doubled and late, none by more places than allowed, all whole, the same ones for the same
 * seed, however they are asked for.
 */
#include "transports.h"

enum { FRAMES = 20000, SIZE = 64, BURST = 100, SEEN_MAX = 3 * FRAMES };

struct run {
    struct feed_unfaithful_options options;
    unsigned at_once;        /* frames a call */
    unsigned count;          /* frames that came, */
    uint32_t seen[SEEN_MAX]; /* and which */
    struct feed_transport_stats out, in;
};

static void take_all(struct run *run, struct feed_transport *to)
{
    struct feed_frame frames[FEED_BURST_MAX];
    int received;
    while ((received = feed_receive(to, frames, run->at_once)) > 0) {
        for (int index = 0; index < received; index++) {
            uint32_t number;
            assert_int_equal(frames[index].size, SIZE);
            memcpy(&number, frames[index].data, sizeof number);
            for (size_t place = sizeof number; place < SIZE; place++)
                assert_int_equal(frames[index].data[place], byte_of(number, place));
            assert_true(run->count < SEEN_MAX);
            run->seen[run->count++] = number;
        }
    }
    assert_int_equal(received, -EAGAIN);
}

static void send_numbers(struct feed_transport *from, uint32_t first)
{
    struct burst burst = {.count = BURST};
    for (unsigned index = 0; index < BURST; index++)
        burst.sizes[index] = SIZE;
    burst_fill(&burst, first);
    for (uint32_t index = 0; index < BURST; index++) {
        const uint32_t number = first + index;
        memcpy((void *)burst.frames[index].data, &number, sizeof number);
    }
    send_all(from, burst.frames, burst.count);
    memset(burst.data, 0xee, 1); /* what is held was copied */
    free(burst.data);
}

static struct feed_transport *distrust(struct feed_transport *inner,
                                       const struct feed_unfaithful_options *options)
{
    struct feed_transport *transport;
    assert_int_equal(feed_unfaithful_create(inner, options, &transport), 0);
    return transport;
}

static void run_it(struct run *run)
{
    char address[64];
    struct leat_loop *loop = make_loop(LEAT_ENGINE_EPOLL);
    ring_address(address, sizeof address, "unfaithful");
    struct feed_transport *from = open_as(loop, address, FEED_ROLE_SEND);
    struct feed_transport *to = open_as(loop, address, FEED_ROLE_RECEIVE);
    if (run->options.acts_on_send)
        from = distrust(from, &run->options);
    else
        to = distrust(to, &run->options);
    if (run->at_once == 0)
        run->at_once = FEED_BURST_MAX;
    run->count = 0;
    for (uint32_t first = 0; first < FRAMES; first += BURST) {
        send_numbers(from, first);
        take_all(run, to);
    }
    run->out = stats_of(from);
    run->in = stats_of(to);
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}

static struct run *new_run(struct feed_unfaithful_options options)
{
    struct run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    run->options = options;
    return run;
}

/* How often each came, how many places each was late. */
struct tally {
    unsigned lost, doubled, late, latest;
};

static struct tally tally_of(const struct run *run)
{
    static unsigned times[FRAMES];
    struct tally tally = {0};
    uint32_t highest = 0;
    memset(times, 0, sizeof times);
    for (unsigned index = 0; index < run->count; index++) {
        const uint32_t number = run->seen[index];
        assert_in_range(number, 0, FRAMES - 1);
        times[number]++;
        if (number > highest)
            highest = number;
        if (highest > number) {
            tally.late++;
            if (highest - number > tally.latest)
                tally.latest = highest - number;
        }
    }
    for (unsigned number = 0; number < FRAMES; number++) {
        assert_in_range(times[number], 0, 2);
        tally.lost += times[number] == 0;
        tally.doubled += times[number] == 2;
    }
    return tally;
}

static void assert_about(unsigned count, double expected)
{
    assert_in_range(count, (unsigned)(expected * 0.85), (unsigned)(expected * 1.15));
}

/* ---- What was asked for ---------------------------------------------------------------------- */

static void check_rates(bool acts_on_send)
{
    struct run *run = new_run(
        (struct feed_unfaithful_options){.seed = 11, .loss = 100000, .acts_on_send = acts_on_send});
    run_it(run);
    struct tally tally = tally_of(run);
    assert_about(tally.lost, FRAMES * 0.1);
    assert_int_equal(tally.doubled + tally.late, 0);
    assert_int_equal(acts_on_send ? run->out.lost : run->in.dropped, tally.lost);
    assert_int_equal(run->in.received, run->count);

    run->options = (struct feed_unfaithful_options){
        .seed = 12, .duplicate = 50000, .acts_on_send = acts_on_send};
    run_it(run);
    tally = tally_of(run);
    assert_about(tally.doubled, FRAMES * 0.05);
    assert_int_equal(tally.lost + tally.late, 0);

    run->options = (struct feed_unfaithful_options){
        .seed = 13, .reorder = 200000, .reorder_frames = 8, .acts_on_send = acts_on_send};
    run_it(run);
    tally = tally_of(run);
    assert_about(tally.late, FRAMES * 0.2);
    assert_in_range(tally.latest, 2, 8);
    assert_in_range(tally.lost, 0, 8); /* the last are late still */
    assert_int_equal(tally.doubled, 0);

    run->options = (struct feed_unfaithful_options){.seed = 14,
                                                    .loss = 300000,
                                                    .duplicate = 200000,
                                                    .reorder = 300000,
                                                    .reorder_frames = 64,
                                                    .acts_on_send = acts_on_send};
    run_it(run);
    tally = tally_of(run);
    assert_about(tally.lost, FRAMES * 0.3);
    assert_about(tally.doubled, FRAMES * 0.7 * 0.2);
    assert_in_range(tally.latest, 32, 64);
    free(run);
}

static void test_rates_of_what_comes(void **state)
{
    check_rates(false);
}

static void test_rates_of_what_goes(void **state)
{
    check_rates(true);
}

static void test_nothing_asked_for(void **state)
{
    struct run *run = new_run((struct feed_unfaithful_options){.seed = 1});
    run_it(run);
    const struct tally tally = tally_of(run);
    assert_int_equal(run->count, FRAMES);
    assert_int_equal(tally.lost + tally.doubled + tally.late, 0);
    free(run);
}

static void test_all_is_lost(void **state)
{
    struct run *run = new_run((struct feed_unfaithful_options){.seed = 1, .loss = 1000000});
    run_it(run);
    assert_int_equal(run->count, 0);
    assert_int_equal(run->in.dropped, FRAMES);
    free(run);
}

static void test_all_is_late_and_doubled(void **state)
{
    struct run *run = new_run((struct feed_unfaithful_options){
        .seed = 1, .duplicate = 1000000, .reorder = 1000000, .reorder_frames = 64});
    run_it(run);
    const struct tally tally = tally_of(run);
    assert_in_range(tally.lost, 0, 64);
    assert_in_range(tally.doubled, FRAMES - 64, FRAMES);
    free(run);
}

/* ---- The same again -------------------------------------------------------------------------- */

static void test_a_seed_decides(void **state)
{
    const struct feed_unfaithful_options options = {
        .seed = 5, .loss = 100000, .duplicate = 100000, .reorder = 100000, .reorder_frames = 32};
    struct run *run = new_run(options), *again = new_run(options), *other = new_run(options);
    other->options.seed = 6;
    again->at_once = 1; /* a frame a call, the same frames */
    run_it(run);
    run_it(again);
    run_it(other);
    assert_int_equal(run->count, again->count);
    assert_memory_equal(run->seen, again->seen, run->count * sizeof *run->seen);
    assert_true(run->count != other->count ||
                memcmp(run->seen, other->seen, run->count * sizeof *run->seen) != 0);
    free(run);
    free(again);
    free(other);
}

/* One chance more does not change who is lost. */
static void test_chances_do_not_mix(void **state)
{
    static bool is_there[2][FRAMES];
    struct run *run = new_run((struct feed_unfaithful_options){.seed = 5, .loss = 100000});
    memset(is_there, 0, sizeof is_there);
    run_it(run);
    for (unsigned index = 0; index < run->count; index++)
        is_there[0][run->seen[index]] = true;
    run->options.duplicate = 300000;
    run_it(run);
    for (unsigned index = 0; index < run->count; index++)
        is_there[1][run->seen[index]] = true;
    assert_memory_equal(is_there[0], is_there[1], sizeof is_there[0]);
    free(run);
}

/* Late answers go to who asked, not to who asked last. */
static void test_peers_are_kept(void **state)
{
    enum { ASKERS = 4, EACH = 200 };
    char at[LEAT_ADDRESS_TEXT_SIZE];
    const struct feed_unfaithful_options options = {
        .seed = 9, .reorder = 500000, .reorder_frames = 20, .acts_on_send = true};
    struct leat_loop *loop = make_loop(LEAT_ENGINE_EPOLL);
    struct feed_transport *answerer = open_as(loop, "127.0.0.1:0", FEED_ROLE_ANSWER);
    struct feed_transport *askers[ASKERS];
    text_of(answerer, at);
    answerer = distrust(answerer, &options);
    for (unsigned index = 0; index < ASKERS; index++)
        askers[index] = open_as(loop, at, FEED_ROLE_ASK);
    for (unsigned round = 0; round < EACH; round++)
        for (unsigned index = 0; index < ASKERS; index++) {
            struct leat_address peer;
            feed_transport_address(askers[index], &peer);
            const uint8_t text[1] = {(uint8_t)index};
            const struct feed_frame frame = {.data = text, .size = 1, .peer = &peer};
            send_all(answerer, &frame, 1);
            memset(&peer, 0, sizeof peer);
        }
    for (unsigned index = 0; index < ASKERS; index++) {
        struct feed_frame frames[FEED_BURST_MAX];
        unsigned count = 0;
        while (count < EACH - 20) {
            const unsigned received = receive_soon(askers[index], frames, FEED_BURST_MAX);
            for (unsigned place = 0; place < received; place++)
                assert_int_equal(frames[place].data[0], index);
            count += received;
        }
        feed_transport_destroy(askers[index]);
    }
    feed_transport_destroy(answerer);
    leat_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_of_what_comes),     cmocka_unit_test(test_rates_of_what_goes),
        cmocka_unit_test(test_nothing_asked_for),       cmocka_unit_test(test_all_is_lost),
        cmocka_unit_test(test_all_is_late_and_doubled), cmocka_unit_test(test_a_seed_decides),
        cmocka_unit_test(test_chances_do_not_mix),      cmocka_unit_test(test_peers_are_kept),
    };
    return cmocka_run_group_tests_name("feed/transport_unfaithful", tests, NULL, NULL);
}
