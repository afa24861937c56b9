/* SPDX-License-Identifier: MIT */
/*
 * Relaying: byte for byte, both ways, each end handed on; a slow receiver slows its sender; pipes
 * are used again, and where there are none it copies.
 */
#include "pair.h"

#include "leat/relay.h"
#include "net/relay.h"

struct way {
    struct leat_stream *from, *to;
    int64_t deadline_ns, moved;
};

static int move(void *arg)
{
    struct way *way = arg;
    way->moved = leat_relay(way->from, way->to, way->deadline_ns);
    return way->moved < 0 ? (int)way->moved : 0;
}

struct writing {
    struct leat_stream *stream;
    const char *data;
    size_t size;
};

static int write_and_finish(void *arg)
{
    const struct writing *writing = arg;
    const int error = leat_stream_write(writing->stream, writing->data, writing->size, soon());
    return error ? error : leat_stream_finish(writing->stream);
}

static int read_then_answer(void *arg)
{
    struct leat_call *calls = arg;
    const int error = calls[0].fn(calls[0].arg);
    return error ? error : calls[1].fn(calls[1].arg);
}

/* A question goes through, is heard to its end, and only then answered: the half-closes are
 * relayed. */
static void relay_question_and_answer(struct pair *left, struct pair *right, size_t size)
{
    char *data = make_content(size + 1);
    struct way there = {left->there, right->there, soon(), 0},
               back = {right->there, left->there, soon(), 0};
    struct writing question = {left->here, data, size}, answer = {right->here, data + 1, size};
    struct reading at_server = {.stream = right->here}, at_client = {.stream = left->here};
    struct leat_call server[] = {{.fn = read_all, .arg = &at_server},
                                 {.fn = write_and_finish, .arg = &answer}};
    struct leat_call calls[] = {{.fn = move, .arg = &there},
                                {.fn = move, .arg = &back},
                                {.fn = write_and_finish, .arg = &question},
                                {.fn = read_all, .arg = &at_client},
                                {.fn = read_then_answer, .arg = server}};
    assert_int_equal(leat_gather(calls, 5, NULL), 0);
    assert_int_equal(there.moved, size);
    assert_int_equal(back.moved, size);
    assert_int_equal(at_server.size, size);
    assert_memory_equal(at_server.data, data, size);
    assert_int_equal(at_client.size, size);
    assert_memory_equal(at_client.data, data + 1, size);
    free(at_server.data);
    free(at_client.data);
    free(data);
}

static int both_ways_fiber(void *arg)
{
    const size_t sizes[] = {0, 1, 65536, 5000001};
    for (unsigned index = 0; index < 4; index++) {
        struct pair left, right;
        pair_open(&left, NULL);
        pair_open(&right, NULL);
        relay_question_and_answer(&left, &right, sizes[index]);
        pair_close(&left);
        pair_close(&right);
    }
    return 0;
}
FIBER_ENGINE_TEST(both_ways)

static int through_narrow_sockets_fiber(void *arg)
{
    struct pair left, right;
    pair_open_narrow(&left);
    pair_open(&right, NULL);
    relay_question_and_answer(&left, &right, 300000);
    pair_close(&left);
    pair_close(&right);
    return 0;
}
FIBER_ENGINE_TEST(through_narrow_sockets)

static void move_alone(void *arg)
{
    move(arg);
}

/* What a client can push while nobody reads at the other end: sockets and one pipe, no more. */
static int a_slow_receiver_slows_its_sender_fiber(void *arg)
{
    enum { SIZE = 256 * 1024, IN_FLIGHT_MAX = 8 * 1024 * 1024 };
    static char data[SIZE];
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    tuning.so_sndbuf_size = tuning.so_rcvbuf_size = 64 * 1024;
    struct pair left, right;
    pair_open(&left, &tuning);
    pair_open(&right, &tuning);
    struct way way = {left.there, right.there, LEAT_FOREVER, 0};
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, move_alone, &way, NULL), 0);
    size_t pushed = 0;
    while (pushed < IN_FLIGHT_MAX &&
           leat_stream_write(left.here, data, SIZE, leat_after_ms(200)) == 0)
        pushed += SIZE;
    assert_true(pushed < 3 * 1024 * 1024);
    leat_scope_fini(&scope);
    assert_int_equal(way.moved, -ECANCELED);
    pair_close(&left);
    pair_close(&right);
    return 0;
}
FIBER_ENGINE_TEST(a_slow_receiver_slows_its_sender)

static int errors_are_told_fiber(void *arg)
{
    struct pair left, right;
    pair_open(&left, NULL);
    pair_open(&right, NULL);
    assert_int_equal(leat_relay(left.there, right.there, leat_after_ms(20)), -ETIMEDOUT);
    assert_int_equal(leat_relay(left.there, right.there, 1), -ETIMEDOUT);
    /* The one it should go to is gone. */
    leat_stream_close(right.here);
    for (int64_t result = 0; result >= 0;) {
        assert_int_equal(leat_stream_write(left.here, "x", 1, soon()), 0);
        result = leat_relay(left.there, right.there, leat_after_ms(20));
        if (result == -ETIMEDOUT)
            result = 0;
        else
            assert_true(result == -EPIPE || result == -ECONNRESET);
    }
    right.here = NULL;
    /* The one it should come from is reset. */
    const struct linger at_once = {.l_onoff = 1};
    setsockopt(left.here->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    leat_stream_close(left.here);
    left.here = NULL;
    struct pair third;
    pair_open(&third, NULL);
    assert_int_equal(leat_relay(left.there, third.there, soon()), -ECONNRESET);
    pair_close(&left);
    pair_close(&right);
    pair_close(&third);
    return 0;
}
FIBER_ENGINE_TEST(errors_are_told)

static int pipes_are_used_again_fiber(void *arg)
{
    unsigned after_first = 0;
    for (unsigned round = 0; round < 5; round++) {
        struct pair left, right;
        pair_open(&left, NULL);
        pair_open(&right, NULL);
        relay_question_and_answer(&left, &right, 100000);
        pair_close(&left);
        pair_close(&right);
        if (round == 0)
            after_first = open_descriptors();
        assert_int_equal(open_descriptors(), after_first);
    }
    return 0;
}
FIBER_ENGINE_TEST(pipes_are_used_again)

/* Steps, as far as they come without waiting for anything but time. */
static enum relay_want step_on(struct relay *relay)
{
    enum relay_want want;
    while ((want = relay_step(relay)) == RELAY_WANTS_TURN)
        ;
    return want;
}

/* A body of a known size: what lies behind it stays where it is. */
static int a_relay_of_a_size_leaves_the_rest_fiber(void *arg)
{
    char bytes[16] = "";
    struct pair left, right;
    struct relay relay;
    pair_open(&left, NULL);
    pair_open(&right, NULL);
    assert_int_equal(leat_stream_write(left.here, "bodynext", 8, soon()), 0);
    relay_init(&relay, left.there, right.there, 4);
    while (step_on(&relay) == RELAY_WANTS_INPUT)
        assert_int_equal(relay_wait(&relay, RELAY_WANTS_INPUT, soon()), 0);
    assert_int_equal(relay_step(&relay), RELAY_DONE);
    assert_int_equal(relay.moved, 4);
    relay_fini(&relay);
    assert_int_equal(leat_stream_read(right.here, bytes, sizeof bytes, soon()), 4);
    assert_memory_equal(bytes, "body", 4);
    assert_int_equal(leat_stream_read(left.there, bytes, sizeof bytes, soon()), 4);
    assert_memory_equal(bytes, "next", 4);
    /* One that ends before its size says so, with what is missing. */
    relay_init(&relay, left.there, right.there, 9);
    assert_int_equal(leat_stream_write(left.here, "short", 5, soon()), 0);
    assert_int_equal(leat_stream_finish(left.here), 0);
    enum relay_want want;
    while ((want = step_on(&relay)) == RELAY_WANTS_INPUT)
        assert_int_equal(relay_wait(&relay, want, soon()), 0);
    assert_int_equal(want, RELAY_ENDED);
    assert_int_equal(relay.left, 4);
    relay_fini(&relay);
    pair_close(&left);
    pair_close(&right);
    return 0;
}
FIBER_ENGINE_TEST(a_relay_of_a_size_leaves_the_rest)

/* Who takes nothing more is given nothing more: what is held stays as small as it was, and the
 * sender's bytes stay in the sender's socket. */
static int a_blocked_relay_takes_nothing_fiber(void *arg)
{
    enum { SIZE = 1024 * 1024, HELD_MAX = 256 * 1024 };
    static char data[SIZE];
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    tuning.so_sndbuf_size = tuning.so_rcvbuf_size = 16 * 1024;
    struct pair left, right;
    struct relay relay;
    pair_open(&left, NULL);
    pair_open(&right, &tuning);
    relay_init(&relay, left.there, right.there, UINT64_MAX);
    for (unsigned count = 0; count < 3; count++) {
        (void)leat_stream_write(left.here, data, SIZE, leat_after_ms(50));
        enum relay_want want;
        while ((want = step_on(&relay)) == RELAY_WANTS_ROOM &&
               relay_wait(&relay, want, leat_after_ms(50)) == 0)
            ;
        assert_int_equal(want, RELAY_WANTS_ROOM);
        assert_true(relay.held <= HELD_MAX);
    }
    const uint64_t moved = relay.moved;
    const size_t held = relay.held;
    assert_int_equal(step_on(&relay), RELAY_WANTS_ROOM);
    assert_true(relay.moved == moved && relay.held == held);
    relay_fini(&relay);
    pair_close(&left);
    pair_close(&right);
    return 0;
}
FIBER_ENGINE_TEST(a_blocked_relay_takes_nothing)

enum { PIECE = 256 * 1024, PIECES = 8, CHUNK_OF_THE_SLOW = 64 * 1024 };

/* Relays piece after piece to who reads all or nothing of it; the size of the last chunk. */
static size_t chunk_for(struct pair *left, struct pair *right, bool reads)
{
    static char data[PIECE], sink[PIECE];
    struct relay relay;
    uint64_t received = 0;
    enum relay_want want = RELAY_WANTS_INPUT;
    relay_init(&relay, left->there, right->there, UINT64_MAX);
    for (unsigned count = 1; count <= PIECES && want == RELAY_WANTS_INPUT; count++) {
        assert_int_equal(leat_stream_write(left->here, data, PIECE, soon()), 0);
        while ((want = step_on(&relay)) == RELAY_WANTS_INPUT &&
               relay.moved < (uint64_t)count * PIECE)
            assert_int_equal(relay_wait(&relay, want, soon()), 0);
        while (reads && received < relay.moved) {
            const ssize_t size = leat_stream_read(right->here, sink, sizeof sink, soon());
            assert_true(size > 0);
            received += (uint64_t)size;
        }
    }
    assert_true(relay.moved > CHUNK_OF_THE_SLOW);
    const size_t chunk = relay.chunk;
    relay_fini(&relay);
    return chunk;
}

/* Large chunks are for who takes them: not for who has a large buffer in front of him. */
static int chunks_fit_the_receiver_fiber(void *arg)
{
    struct leat_tuning large = LEAT_TUNING_DEFAULT, slow = LEAT_TUNING_DEFAULT;
    large.so_rcvbuf_size = large.so_sndbuf_size = slow.so_sndbuf_size = 2 * PIECE * PIECES;
    slow.so_rcvbuf_size = 4096;
    for (unsigned reads = 0; reads < 2; reads++) {
        struct pair left, right;
        pair_open(&left, &large);
        pair_open(&right, reads ? &large : &slow);
        const size_t chunk = chunk_for(&left, &right, reads);
        assert_true(reads ? chunk > CHUNK_OF_THE_SLOW : chunk == CHUNK_OF_THE_SLOW);
        pair_close(&left);
        pair_close(&right);
    }
    return 0;
}
FIBER_ENGINE_TEST(chunks_fit_the_receiver)

static int without_pipes_fiber(void *arg)
{
    struct pair left, right;
    pair_open(&left, NULL);
    pair_open(&right, NULL);
    run_out_of_descriptors();
    CHILD_EXPECT(dup(0) == -1 && errno == EMFILE);
    relay_question_and_answer(&left, &right, 1000000);
    have_descriptors_again();
    pair_close(&left);
    pair_close(&right);
    return 0;
}

static void without_pipes_it_copies_body(enum leat_engine engine)
{
    in_a_child(engine, without_pipes_fiber);
}
ENGINE_TEST(without_pipes_it_copies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_through_narrow_sockets),
        cmocka_unit_test(test_a_slow_receiver_slows_its_sender),
        cmocka_unit_test(test_errors_are_told),
        cmocka_unit_test(test_a_relay_of_a_size_leaves_the_rest),
        cmocka_unit_test(test_a_blocked_relay_takes_nothing),
        cmocka_unit_test(test_chunks_fit_the_receiver),
        cmocka_unit_test(test_pipes_are_used_again),
        cmocka_unit_test(test_without_pipes_it_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
