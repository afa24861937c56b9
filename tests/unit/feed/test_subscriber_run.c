/* SPDX-License-Identifier: MIT */
/*
 * The subscriber on real sockets and loops: how it waits, what it leaves to others meanwhile, and
 * how it ends. What it makes of packets is test_subscriber.c's affair.
 */
#include "subscriber_world.h"
#include "transports.h"

#include "leat/fiber.h"

enum { ALL = 20000, EACH = 20 };

/* A publisher of sorts: two lines out that lose what `is_lost` says, and answers. */
struct stage {
    struct world world; /* compares what comes out */
    struct feed_transport *lines_in[2], *lines_out[2], *asker, *answerer;
    struct leat_feed_subscriber *subscriber;
    struct leat_scope scope;
    uint64_t answered, ticks;
};

static void open_stage(struct stage *stage, const struct leat_feed_subscriber_options *options)
{
    char text[LEAT_ADDRESS_TEXT_SIZE], reason[100];
    struct leat_loop *loop = loop_current;
    for (unsigned line = 0; line < 2; line++) {
        stage->lines_in[line] = open_as(loop, "127.0.0.1:0", FEED_ROLE_RECEIVE);
        stage->lines_out[line] =
            open_as(loop, text_of(stage->lines_in[line], text), FEED_ROLE_SEND);
    }
    stage->answerer = open_as(loop, "127.0.0.1:0", FEED_ROLE_ANSWER);
    stage->asker = open_as(loop, text_of(stage->answerer, text), FEED_ROLE_ASK);
    const struct subscriber_transports transports = {
        .lines = {stage->lines_in[0], stage->lines_in[1]}, .answers = stage->asker};
    assert_int_equal(
        subscriber_open_on(loop, options, &transports, &stage->subscriber, reason, sizeof reason),
        0);
    leat_scope_init(&stage->scope);
}

static void close_stage(struct stage *stage)
{
    leat_scope_fini(&stage->scope);
    leat_feed_subscriber_close(stage->subscriber);
    for (unsigned line = 0; line < 2; line++)
        feed_transport_destroy(stage->lines_out[line]);
    feed_transport_destroy(stage->answerer);
}

static void send_packet(struct feed_transport *transport, const struct leat_address *peer,
                        uint64_t first, unsigned count)
{
    uint8_t data[WORLD_PACKET_MAX];
    const struct feed_frame frame = {
        .data = data, .size = (uint32_t)packet_write(data, "SESSION", first, count), .peer = peer};
    send_all(transport, &frame, 1);
}

/* One packet in five is lost on each line, one in fifty on both. */
static bool is_lost(unsigned line, uint64_t packet)
{
    return packet > 0 && (packet % 50 == 7 || packet % 5 == line + 1);
}

static void speak(void *arg)
{
    struct stage *stage = arg;
    for (uint64_t packet = 0; packet < ALL / EACH; packet++) {
        for (unsigned line = 0; line < 2; line++) {
            if (!is_lost(line, packet))
                send_packet(stage->lines_out[line], NULL, 1 + packet * EACH, EACH);
        }
        if (packet % 50 == 49)
            assert_int_equal(leat_sleep_ms(1), 0);
    }
    while (leat_sleep_ms(5) == 0)
        send_packet(stage->lines_out[1], NULL, ALL + 1, MOLD_END_OF_SESSION);
}

static void answer(void *arg)
{
    struct stage *stage = arg;
    do {
        struct feed_frame frames[FEED_BURST_MAX];
        const int count = feed_receive(stage->answerer, frames, FEED_BURST_MAX);
        for (int index = 0; index < count; index++) {
            struct mold_packet request;
            uint16_t wanted;
            assert_int_equal(mold_parse_request(slice_of(frames[index].data, frames[index].size),
                                                &request, &wanted),
                             MOLD_FINE);
            assert_true(wanted >= EACH && wanted % EACH == 0);
            for (unsigned sent = 0; sent < wanted; sent += EACH)
                send_packet(stage->answerer, frames[index].peer, request.sequence + sent, EACH);
            stage->answered++;
        }
    } while (leat_sleep_ms(1) == 0);
}

static void tick(void *arg)
{
    struct stage *stage = arg;
    while (leat_sleep_ms(1) == 0)
        stage->ticks++;
}

static int complete_in_mode(enum leat_feed_mode mode)
{
    struct stage stage = {0};
    struct leat_feed_subscriber_options options = world_options(&stage.world);
    options.mode = mode;
    open_stage(&stage, &options);
    assert_int_equal(leat_spawn(&stage.scope, answer, &stage, NULL), 0);
    assert_int_equal(leat_spawn(&stage.scope, speak, &stage, NULL), 0);
    assert_int_equal(leat_spawn(&stage.scope, tick, &stage, NULL), 0);
    assert_int_equal(leat_feed_subscriber_run(stage.subscriber, leat_after_ms(20000)), 0);
    assert_int_equal(stage.world.messages, ALL);
    assert_int_equal(stage.world.losses, 0);
    assert_true(stage.ticks >= 5); /* others have their turn */
    struct leat_feed_subscriber_stats stats;
    leat_feed_subscriber_stats(stage.subscriber, &stats);
    assert_true(stats.recovered_messages >= ALL / 50 && stage.answered >= 1);
    assert_int_equal(stats.lines[0].malformed + stats.lines[1].malformed, 0);
    close_stage(&stage);
    return 0;
}

static int economical_fiber(void *arg)
{
    return complete_in_mode(LEAT_FEED_ECONOMICAL);
}
FIBER_ENGINE_TEST(economical)

static int spinning_fiber(void *arg)
{
    return complete_in_mode(LEAT_FEED_SPIN);
}
FIBER_ENGINE_TEST(spinning)

/* The owner spins by itself; its loop is its own affair. */
static int turn_by_turn_fiber(void *arg)
{
    struct stage stage = {0};
    struct leat_feed_subscriber_options options = world_options(&stage.world);
    options.mode = LEAT_FEED_SPIN;
    open_stage(&stage, &options);
    assert_int_equal(leat_feed_subscriber_turn(stage.subscriber), 0);
    send_packet(stage.lines_out[0], NULL, 1, EACH);
    int taken;
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    while ((taken = leat_feed_subscriber_turn(stage.subscriber)) == 0)
        assert_true(clock_ms() < until_ms);
    assert_int_equal(taken, EACH);
    send_packet(stage.lines_out[1], NULL, 1 + EACH, MOLD_END_OF_SESSION);
    while ((taken = leat_feed_subscriber_turn(stage.subscriber)) == 0)
        assert_true(clock_ms() < until_ms);
    assert_int_equal(taken, -LEAT_E_CLOSED);
    close_stage(&stage);
    return 0;
}
FIBER_ENGINE_TEST(turn_by_turn)

/* Nothing comes: it sleeps. It may be called again, and closed while it watches its sockets. */
static int silence_costs_nothing_fiber(void *arg)
{
    struct stage stage = {0};
    const struct leat_feed_subscriber_options options = world_options(&stage.world);
    open_stage(&stage, &options);
    assert_int_equal(leat_feed_subscriber_run(stage.subscriber, leat_after_ms(1)), -ETIMEDOUT);
    const uint64_t turns = loop_current->counters.turns;
    assert_int_equal(leat_feed_subscriber_run(stage.subscriber, leat_after_ms(200)), -ETIMEDOUT);
    assert_in_range(loop_current->counters.turns - turns, 1, 20);
    for (unsigned line = 0; line < 2; line++)
        send_packet(stage.lines_out[line], NULL, 1, EACH);
    assert_int_equal(leat_feed_subscriber_run(stage.subscriber, leat_after_ms(100)), -ETIMEDOUT);
    assert_int_equal(stage.world.messages, EACH);
    close_stage(&stage);
    return 0;
}
FIBER_ENGINE_TEST(silence_costs_nothing)

static void run_until_cancelled(void *arg)
{
    struct stage *stage = arg;
    assert_int_equal(leat_feed_subscriber_run(stage->subscriber, LEAT_FOREVER), -ECANCELED);
    stage->ticks = 1;
}

static int a_cancel_ends_it_fiber(void *arg)
{
    for (unsigned mode = LEAT_FEED_ECONOMICAL; mode <= LEAT_FEED_SPIN; mode++) {
        struct stage stage = {0};
        struct leat_feed_subscriber_options options = world_options(&stage.world);
        options.mode = (enum leat_feed_mode)mode;
        open_stage(&stage, &options);
        assert_int_equal(leat_spawn(&stage.scope, run_until_cancelled, &stage, NULL), 0);
        assert_int_equal(leat_sleep_ms(20), 0);
        leat_scope_cancel(&stage.scope);
        assert_int_equal(leat_scope_join(&stage.scope, leat_after_ms(PATIENCE_MS)), 0);
        assert_int_equal(stage.ticks, 1);
        close_stage(&stage);
    }
    return 0;
}
FIBER_ENGINE_TEST(a_cancel_ends_it)

/* The request server is gone, and the kernel says so (ECONNREFUSED): it is lost in the end. */
static int nobody_answers_fiber(void *arg)
{
    struct stage stage = {0};
    struct leat_feed_subscriber_options options = world_options(&stage.world);
    options.request_ms = 1;
    options.request_tries = 4;
    open_stage(&stage, &options);
    feed_transport_destroy(stage.answerer);
    stage.answerer = NULL;
    send_packet(stage.lines_out[0], NULL, 1, EACH);
    send_packet(stage.lines_out[0], NULL, 1 + 2 * EACH, EACH);
    const uint64_t turns = loop_current->counters.turns;
    assert_int_equal(leat_feed_subscriber_run(stage.subscriber, leat_after_ms(100)), -ETIMEDOUT);
    assert_int_equal(stage.world.losses, 1);
    assert_int_equal(stage.world.messages, 2 * EACH);
    assert_in_range(loop_current->counters.turns - turns, 1, 60);
    struct leat_feed_subscriber_stats stats;
    leat_feed_subscriber_stats(stage.subscriber, &stats);
    assert_int_equal(stats.requests, 4);
    close_stage(&stage);
    return 0;
}
FIBER_ENGINE_TEST(nobody_answers)

static int wait_in_callback(const struct leat_feed_batch *batch, void *user)
{
    assert_int_equal(leat_sleep_ms(50), 0);
    return world_on_batch(batch, user);
}

/* on_batch is called by the fiber that runs it, and may wait. */
static int a_callback_may_wait_fiber(void *arg)
{
    struct stage stage = {0};
    struct leat_feed_subscriber_options options = world_options(&stage.world);
    options.on_batch = wait_in_callback;
    open_stage(&stage, &options);
    for (unsigned packet = 0; packet < 3; packet++)
        send_packet(stage.lines_out[packet % 2], NULL, 1 + packet * EACH, EACH);
    send_packet(stage.lines_out[0], NULL, 1 + 3 * EACH, MOLD_END_OF_SESSION);
    assert_int_equal(leat_feed_subscriber_run(stage.subscriber, leat_after_ms(PATIENCE_MS)), 0);
    assert_int_equal(stage.world.messages, 3 * EACH);
    close_stage(&stage);
    return 0;
}
FIBER_ENGINE_TEST(a_callback_may_wait)

/* A ring in shared memory cannot be polled: it is asked each millisecond. */
static int lines_without_a_descriptor_fiber(void *arg)
{
    char name[100];
    struct world world = {0};
    snprintf(name, sizeof name, "shm:/dev/shm/leat-test-subscriber-%d", getpid());
    struct feed_transport *out = open_as(loop_current, name, FEED_ROLE_SEND);
    struct leat_feed_subscriber_options options = world_options(&world);
    struct leat_feed_subscriber *subscriber;
    char reason[200] = "";
    options.lines[0] = name;
    options.from = LEAT_FEED_FROM_NOW;
    if (leat_feed_subscriber_open(&options, &subscriber, reason, sizeof reason) != 0)
        fail_msg("%s", reason);
    send_packet(out, NULL, 1, EACH);
    send_packet(out, NULL, 1 + EACH, EACH);
    send_packet(out, NULL, 1 + 2 * EACH, MOLD_END_OF_SESSION);
    assert_int_equal(leat_feed_subscriber_run(subscriber, leat_after_ms(PATIENCE_MS)), 0);
    assert_int_equal(world.messages, 2 * EACH);
    leat_feed_subscriber_close(subscriber);
    feed_transport_destroy(out);
    return 0;
}
FIBER_ENGINE_TEST(lines_without_a_descriptor)

static int options_that_are_wrong_fiber(void *arg)
{
    struct world world = {0};
    struct leat_feed_subscriber *subscriber = NULL;
    char reason[200];
    for (unsigned wrong = 0; wrong < 8; wrong++) {
        struct leat_feed_subscriber_options options = world_options(&world);
        options.lines[0] = wrong == 0 ? NULL : wrong == 1 ? "nowhere" : "127.0.0.1:0";
        options.on_batch = wrong == 2 ? NULL : options.on_batch;
        options.session = wrong == 3 ? "ELEVENCHARS" : NULL;
        options.window_packets = wrong == 4 ? 3 : 0;
        options.packet_size_max = wrong == 5 ? 70000 : 0;
        options.request_ms = wrong == 6 ? 3600001 : 0;
        options.lines[1] = wrong == 7 ? "127.0.0.1:99999" : NULL;
        reason[0] = 0;
        assert_true(leat_feed_subscriber_open(&options, &subscriber, reason, sizeof reason) < 0);
        assert_null(subscriber);
        assert_true(strlen(reason) > 10);
    }
    return 0;
}
FIBER_ENGINE_TEST(options_that_are_wrong)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_economical),
        cmocka_unit_test(test_spinning),
        cmocka_unit_test(test_turn_by_turn),
        cmocka_unit_test(test_silence_costs_nothing),
        cmocka_unit_test(test_a_cancel_ends_it),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_a_callback_may_wait),
        cmocka_unit_test(test_lines_without_a_descriptor),
        cmocka_unit_test(test_options_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
