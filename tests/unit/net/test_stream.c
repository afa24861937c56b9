/* SPDX-License-Identifier: MIT */
/*
 * Streams as fibers use them: bytes, ends, deadlines, cancels and resets, on TCP and unix sockets.
 */
#include "pair.h"

#include "base/clock.h"

/* ---- Bytes ----------------------------------------------------------------------------------- */

struct writing {
    struct leat_stream *stream;
    const char *data;
    size_t size;
    int64_t deadline_ns;
};

static int write_and_finish(void *arg)
{
    const struct writing *writing = arg;
    const int error =
        leat_stream_write(writing->stream, writing->data, writing->size, writing->deadline_ns);
    return error ? error : leat_stream_finish(writing->stream);
}

/* Both ways at once, and each way ends by itself. */
static int bytes_both_ways_fiber(void *arg)
{
    enum { SIZE = 2000000 };
    char *data = make_content(SIZE);
    struct pair pair;
    pair_open(&pair, NULL);
    struct writing here = {pair.here, data, SIZE, soon()},
                   there = {pair.there, data + 1, SIZE - 1, soon()};
    struct reading at_here = {.stream = pair.here}, at_there = {.stream = pair.there};
    struct leat_call calls[] = {{.fn = write_and_finish, .arg = &here},
                                {.fn = write_and_finish, .arg = &there},
                                {.fn = read_all, .arg = &at_here},
                                {.fn = read_all, .arg = &at_there}};
    assert_int_equal(leat_gather(calls, 4, NULL), 0);
    assert_int_equal(at_there.size, SIZE);
    assert_memory_equal(at_there.data, data, SIZE);
    assert_int_equal(at_here.size, SIZE - 1);
    assert_memory_equal(at_here.data, data + 1, SIZE - 1);
    /* The end stays the end. */
    char byte;
    assert_int_equal(leat_stream_read(pair.here, &byte, 1, soon()), 0);
    pair_close(&pair);
    free(at_here.data);
    free(at_there.data);
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(bytes_both_ways)

static int read_exactly_fiber(void *arg)
{
    struct pair pair;
    char data[16] = {0};
    pair_open(&pair, NULL);
    assert_int_equal(leat_stream_write(pair.here, "abcdefgh", 8, soon()), 0);
    assert_int_equal(leat_stream_read_exactly(pair.there, data, 5, soon()), 0);
    assert_string_equal(data, "abcde");
    assert_int_equal(leat_stream_finish(pair.here), 0);
    assert_int_equal(leat_stream_read_exactly(pair.there, data, 4, soon()), -LEAT_E_TRUNCATED);
    /* The other way is open still. */
    assert_int_equal(leat_stream_write(pair.there, "late", 4, soon()), 0);
    assert_int_equal(leat_stream_read_exactly(pair.here, data, 4, soon()), 0);
    assert_memory_equal(data, "late", 4);
    assert_int_equal(leat_stream_write(pair.there, data, 0, soon()), 0); /* nothing is easy */
    pair_close(&pair);
    leat_stream_close(NULL);
    return 0;
}
FIBER_ENGINE_TEST(read_exactly)

/* ---- Deadlines and cancels ------------------------------------------------------------------- */

static int read_keeps_its_deadline_fiber(void *arg)
{
    struct pair pair;
    char byte;
    pair_open(&pair, NULL);
    const int64_t deadline_ns = leat_after_ms(30);
    assert_int_equal(leat_stream_read(pair.here, &byte, 1, deadline_ns), -ETIMEDOUT);
    assert_true(clock_now_ns() >= deadline_ns);
    /* It has taken nothing, and the stream is as good as before. */
    assert_int_equal(leat_stream_write(pair.there, "x", 1, soon()), 0);
    assert_int_equal(leat_stream_read(pair.here, &byte, 1, 1), -ETIMEDOUT); /* long past */
    assert_int_equal(leat_stream_read(pair.here, &byte, 1, soon()), 1);
    assert_int_equal(byte, 'x');
    pair_close(&pair);
    return 0;
}
FIBER_ENGINE_TEST(read_keeps_its_deadline)

static int write_keeps_its_deadline_fiber(void *arg)
{
    enum { SIZE = 16 * 1024 * 1024 };
    char *data = make_content(SIZE);
    struct pair pair;
    pair_open(&pair, NULL);
    const int64_t deadline_ns = leat_after_ms(50);
    assert_int_equal(leat_stream_write(pair.here, data, SIZE, deadline_ns), -ETIMEDOUT);
    assert_true(clock_now_ns() >= deadline_ns);
    assert_int_equal(leat_stream_write(pair.there, data, 1, 1), -ETIMEDOUT); /* long past */
    pair_close(&pair);
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(write_keeps_its_deadline)

struct stuck {
    struct leat_stream *stream;
    char *data;
    size_t size; /* 0: it reads */
    ssize_t result;
};

static void get_stuck(void *arg)
{
    struct stuck *stuck = arg;
    stuck->result = stuck->size > 0
                        ? leat_stream_write(stuck->stream, stuck->data, stuck->size, LEAT_FOREVER)
                        : leat_stream_read(stuck->stream, stuck->data, 1, LEAT_FOREVER);
    /* Whatever it tries next is cancelled as well. */
    char byte;
    assert_int_equal(leat_stream_read(stuck->stream, &byte, 1, LEAT_FOREVER), -ECANCELED);
}

static int cancelled_in_the_middle_fiber(void *arg)
{
    enum { SIZE = 16 * 1024 * 1024 };
    struct pair pair, other;
    char byte;
    pair_open(&pair, NULL);
    pair_open(&other, NULL);
    struct stuck reads = {.stream = pair.there, .data = &byte},
                 writes = {.stream = other.here, .data = make_content(SIZE), .size = SIZE};
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, get_stuck, &reads, NULL), 0);
    assert_int_equal(leat_spawn(&scope, get_stuck, &writes, NULL), 0);
    assert_int_equal(leat_scope_join(&scope, leat_after_ms(20)), -ETIMEDOUT);
    leat_scope_fini(&scope);
    assert_int_equal(reads.result, -ECANCELED);
    assert_int_equal(writes.result, -ECANCELED);
    /* What was being read from is as before, for others. */
    assert_int_equal(leat_stream_write(pair.here, "y", 1, soon()), 0);
    assert_int_equal(leat_stream_read(pair.there, &byte, 1, soon()), 1);
    assert_int_equal(byte, 'y');
    pair_close(&pair);
    pair_close(&other);
    free(writes.data);
    return 0;
}
FIBER_ENGINE_TEST(cancelled_in_the_middle)

/* ---- Peers ----------------------------------------------------------------------------------- */

static void reset(struct leat_stream *stream)
{
    const struct linger at_once = {.l_onoff = 1};
    assert_int_equal(setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    leat_stream_close(stream);
}

static int the_peer_resets_fiber(void *arg)
{
    struct pair pair;
    char byte;
    pair_open(&pair, NULL);
    reset(pair.there);
    assert_int_equal(leat_stream_read(pair.here, &byte, 1, soon()), -ECONNRESET);
    /* Neither a signal nor a success. */
    assert_int_equal(leat_stream_write(pair.here, "x", 1, soon()), -EPIPE);
    leat_stream_close(pair.here);
    return 0;
}
FIBER_ENGINE_TEST(the_peer_resets)

static void reset_soon(void *arg)
{
    leat_sleep_ms(20);
    reset(arg);
}

static int a_reset_ends_a_write_fiber(void *arg)
{
    enum { SIZE = 16 * 1024 * 1024 };
    char *data = make_content(SIZE);
    struct pair pair;
    pair_open(&pair, NULL);
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, reset_soon, pair.there, NULL), 0);
    const int error = leat_stream_write(pair.here, data, SIZE, soon());
    assert_true(error == -ECONNRESET || error == -EPIPE);
    leat_scope_fini(&scope);
    leat_stream_close(pair.here);
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(a_reset_ends_a_write)

static int connecting_may_fail_fiber(void *arg)
{
    struct leat_stream *stream = NULL;
    struct leat_listener *listener = listen_somewhere(NULL);
    const struct leat_address address = *leat_listener_address(listener);
    leat_listener_close(listener);
    const unsigned before = open_descriptors();
    assert_int_equal(leat_connect(&address, NULL, soon(), &stream), -ECONNREFUSED);
    assert_int_equal(leat_connect(&address, NULL, 1, &stream), -ETIMEDOUT);
    assert_null(stream);
    struct leat_address nowhere;
    assert_int_equal(leat_address_parse("unix:there/is/no/such.sock", &nowhere, NULL), 0);
    assert_int_equal(leat_connect(&nowhere, NULL, soon(), &stream), -ENOENT);
    assert_int_equal(open_descriptors(), before);
    return 0;
}
FIBER_ENGINE_TEST(connecting_may_fail)

/* A listener whose queue is full lets the SYN fall. */
static int connecting_keeps_its_deadline_fiber(void *arg)
{
    struct leat_address address;
    struct leat_stream *queued[8], *stream;
    socklen_t size = sizeof address.storage;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(leat_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(bind(fd, &address.base, address.size), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, &address.base, &size), 0);
    unsigned count = 0;
    int error = 0;
    while (count < 8 && !(error = leat_connect(&address, NULL, leat_after_ms(100), &stream)))
        queued[count++] = stream;
    assert_int_equal(error, -ETIMEDOUT);
    assert_in_range(count, 1, 7);
    while (count > 0)
        leat_stream_close(queued[--count]);
    close(fd);
    return 0;
}
FIBER_ENGINE_TEST(connecting_keeps_its_deadline)

static int unix_sockets_fiber(void *arg)
{
    struct leat_address address, peer;
    struct leat_listener *listener;
    struct pair pair;
    char text[64], data[5];
    snprintf(text, sizeof text, "unix:@leat-test-%d", (int)getpid());
    assert_int_equal(leat_address_parse(text, &address, NULL), 0);
    assert_int_equal(leat_listen(&address, NULL, &listener), 0);
    assert_int_equal(leat_connect(&address, NULL, soon(), &pair.here), 0);
    assert_int_equal(leat_accept(listener, soon(), &pair.there), 0);
    assert_int_equal(leat_stream_peer(pair.here, &peer), 0);
    assert_true(leat_address_equal(&peer, &address));
    struct leat_delivery delivery;
    assert_true(leat_stream_delivery(pair.here, &delivery) < 0);
    assert_int_equal(leat_stream_write(pair.here, "hello", 5, soon()), 0);
    assert_int_equal(leat_stream_finish(pair.here), 0);
    assert_int_equal(leat_stream_read_exactly(pair.there, data, 5, soon()), 0);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(leat_stream_read(pair.there, data, 5, soon()), 0);
    pair_close(&pair);
    leat_listener_close(listener);
    return 0;
}
FIBER_ENGINE_TEST(unix_sockets)

/* ---- Pacing ---------------------------------------------------------------------------------- */

static uint64_t pacing_of(const struct leat_stream *stream)
{
    uint64_t rate = 0;
    socklen_t size = sizeof rate;
    assert_int_equal(getsockopt(stream->fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &size), 0);
    return rate;
}

static int pacing_is_the_kernels_fiber(void *arg)
{
    struct pair pair;
    pair_open(&pair, NULL);
    const uint64_t unlimited = pacing_of(pair.here);
    const uint64_t rates[] = {125000, 1000000, UINT64_C(3000000000), UINT64_C(10000000000)};
    for (unsigned index = 0; index < 4; index++) {
        assert_int_equal(leat_stream_set_pacing(pair.here, rates[index]), 0);
        assert_true(pacing_of(pair.here) == rates[index]);
    }
    assert_int_equal(leat_stream_set_pacing(pair.here, 0), 0);
    assert_true(pacing_of(pair.here) == unlimited);
    pair_close(&pair);
    return 0;
}
FIBER_ENGINE_TEST(pacing_is_the_kernels)

static int delivery_is_measured_fiber(void *arg)
{
    enum { SIZE = 2000000 };
    char *data = make_content(SIZE);
    struct pair pair;
    struct leat_delivery delivery = {.rate_bytes_per_s = 1};
    pair_open(&pair, NULL);
    assert_int_equal(leat_stream_delivery(pair.here, &delivery), 0);
    assert_true(delivery.rate_bytes_per_s == 0); /* nothing has been sent */
    assert_in_range(delivery.mss, 500, 65536);
    assert_true(delivery.window >= delivery.mss && delivery.rtt_ns > 0);
    struct writing here = {pair.here, data, SIZE, soon()};
    struct reading at_there = {.stream = pair.there};
    struct leat_call calls[] = {{.fn = write_and_finish, .arg = &here},
                                {.fn = read_all, .arg = &at_there}};
    assert_int_equal(leat_gather(calls, 2, NULL), 0);
    assert_int_equal(leat_stream_delivery(pair.here, &delivery), 0);
    assert_true(delivery.rate_bytes_per_s > 100 * 1000);
    pair_close(&pair);
    free(at_there.data);
    free(data);
    return 0;
}
FIBER_ENGINE_TEST(delivery_is_measured)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_both_ways),
        cmocka_unit_test(test_read_exactly),
        cmocka_unit_test(test_read_keeps_its_deadline),
        cmocka_unit_test(test_write_keeps_its_deadline),
        cmocka_unit_test(test_cancelled_in_the_middle),
        cmocka_unit_test(test_the_peer_resets),
        cmocka_unit_test(test_a_reset_ends_a_write),
        cmocka_unit_test(test_connecting_may_fail),
        cmocka_unit_test(test_connecting_keeps_its_deadline),
        cmocka_unit_test(test_unix_sockets),
        cmocka_unit_test(test_pacing_is_the_kernels),
        cmocka_unit_test(test_delivery_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
