/* SPDX-License-Identifier: MIT */
/*
 * Rings in shared memory: publishers and readers that come and go in any order, a reader that is
 * lapped, both ends at once in two threads and in two processes, and files that are no rings, or
 * rings that lie.
 */
#include "transports.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "feed/transport_shm_ring.h"

enum { SIZE = 200 };

static struct feed_transport *open_ring(struct leat_loop *loop, const char *address,
                                        enum feed_role role, size_t packet_size, int bytes)
{
    struct feed_transport_options options = options_of(address, role);
    options.packet_size_max = packet_size;
    options.socket.buffer_bytes = bytes;
    return open_with(loop, &options);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

/* Who waits for a publisher hears its first frame; who comes later what is new. */
static void in_any_order_body(enum leat_engine engine)
{
    char address[64];
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "order");
    struct feed_transport *early = open_as(loop, address, FEED_ROLE_RECEIVE);
    assert_silence(early);
    struct feed_transport *from = open_as(loop, address, FEED_ROLE_SEND);
    for (uint64_t number = 0; number < 10; number++)
        send_number(from, number, SIZE);
    struct feed_transport *late = open_as(loop, address, FEED_ROLE_RECEIVE);
    send_number(from, 10, SIZE);
    for (uint64_t number = 0; number <= 10; number++)
        expect_number(early, number, SIZE);
    expect_number(late, 10, SIZE);
    assert_int_equal(early->ops->fd(early), -ENOTSUP);
    struct leat_address none;
    assert_int_equal(feed_transport_address(early, &none), -ENOTSUP);
    feed_transport_destroy(early);
    feed_transport_destroy(late);
    feed_transport_destroy(from);
    struct stat stat_of_file;
    assert_int_equal(stat(ring_path(address), &stat_of_file), 0);
    assert_int_equal(stat_of_file.st_mode & 0777 & ~0640, 0);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(in_any_order)

/* The next publisher takes the file up, with slots of another size and number; nothing that it
 * sends is missed, nothing of its predecessor comes twice. */
static void publishers_follow_each_other_body(enum leat_engine engine)
{
    static const struct {
        size_t packet_size;
        int bytes;
    } shapes[] = {{500, 1 << 16}, {500, 1 << 16}, {1400, 1 << 20}, {300, 1 << 17}, {1400, 1 << 16}};
    char address[64];
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "follow");
    struct feed_transport *to = open_as(loop, address, FEED_ROLE_RECEIVE);
    uint64_t number = 0;
    for (unsigned index = 0; index < 2 * sizeof shapes / sizeof *shapes; index++) {
        const size_t packet_size = shapes[index / 2].packet_size;
        struct feed_transport *from =
            open_ring(loop, address, FEED_ROLE_SEND, packet_size, shapes[index / 2].bytes);
        for (uint64_t end = number + 20; number < end; number++)
            send_number(from, number, SIZE);
        for (uint64_t expected = number - 20; expected < number; expected++)
            expect_number(to, expected, SIZE);
        feed_transport_destroy(from);
    }
    assert_int_equal(stats_of(to).dropped, 0);
    assert_int_equal(stats_of(to).received, number);
    feed_transport_destroy(to);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(publishers_follow_each_other)

/* Somebody removes the file; the next publisher makes another one of this name. */
static void another_file_body(enum leat_engine engine)
{
    char address[64];
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "another");
    struct feed_transport *from = open_as(loop, address, FEED_ROLE_SEND);
    struct feed_transport *to = open_as(loop, address, FEED_ROLE_RECEIVE);
    send_number(from, 1, SIZE);
    expect_number(to, 1, SIZE);
    unlink(ring_path(address));
    send_number(from, 2, SIZE);
    expect_number(to, 2, SIZE);
    struct feed_transport *next = open_as(loop, address, FEED_ROLE_SEND);
    send_number(next, 3, SIZE);
    expect_number(to, 3, SIZE);
    feed_transport_destroy(from);
    feed_transport_destroy(next);
    feed_transport_destroy(to);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(another_file)

static void one_publisher_at_a_time_body(enum leat_engine engine)
{
    char address[64], reason[256] = "";
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "one");
    struct feed_transport *from = open_as(loop, address, FEED_ROLE_SEND), *second;
    const struct feed_transport_options options = options_of(address, FEED_ROLE_SEND);
    assert_int_equal(feed_transport_open(loop, &options, &second, reason, sizeof reason),
                     -EADDRINUSE);
    assert_non_null(strstr(reason, "another publisher"));
    struct feed_transport *to = open_as(loop, address, FEED_ROLE_RECEIVE);
    send_number(from, 1, SIZE);
    expect_number(to, 1, SIZE);
    feed_transport_destroy(from);
    second = open_as(loop, address, FEED_ROLE_SEND);
    feed_transport_destroy(second);
    feed_transport_destroy(to);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(one_publisher_at_a_time)

/* A frame that no slot holds is lost, and said. */
static void too_long_for_a_slot_body(enum leat_engine engine)
{
    char address[64];
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "long");
    struct feed_transport *from = open_ring(loop, address, FEED_ROLE_SEND, 100, 0);
    struct feed_transport *to = open_as(loop, address, FEED_ROLE_RECEIVE);
    struct burst burst = {.count = 4, .sizes = {100, 101, 65507, 99}};
    burst_fill(&burst, 0);
    assert_int_equal(feed_send(from, burst.frames, 4), 4);
    expect_number(to, 0, 100);
    expect_number(to, 3, 99);
    assert_int_equal(stats_of(from).lost, 2);
    assert_int_equal(stats_of(from).sent, 2);
    free(burst.data);
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(too_long_for_a_slot)

static void stamps_body(enum leat_engine engine)
{
    char address[64];
    struct timespec now;
    struct feed_frame frame;
    struct leat_loop *loop = make_loop(engine);
    struct feed_transport_options options =
        options_of(ring_address(address, sizeof address, "stamps"), FEED_ROLE_SEND);
    options.socket.has_stamps = true;
    struct feed_transport *from = open_with(loop, &options);
    struct feed_transport *to = open_as(loop, address, FEED_ROLE_RECEIVE);
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t before_ns = now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
    send_number(from, 1, SIZE);
    receive_soon(to, &frame, 1);
    assert_in_range(frame.stamp_ns, before_ns, before_ns + LEAT_NS_PER_S * 60);
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(stamps)

/* ---- Lapped ---------------------------------------------------------------------------------- */

/* What was written over is counted to the frame, and what comes is in order. */
static void lapped_body(enum leat_engine engine)
{
    enum { SLOTS = RING_SLOT_COUNT_MIN, FRAMES = 1000 };
    char address[64];
    struct feed_frame frames[FEED_BURST_MAX];
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "lapped");
    struct feed_transport *from = open_ring(loop, address, FEED_ROLE_SEND, SIZE, 1);
    for (unsigned behind = SLOTS - 1; behind < FRAMES; behind += 13) {
        struct feed_transport *to = open_as(loop, address, FEED_ROLE_RECEIVE);
        for (uint64_t number = 0; number < behind; number++)
            send_number(from, number, SIZE);
        const unsigned received = receive_soon(to, frames, FEED_BURST_MAX);
        const uint64_t dropped = stats_of(to).dropped;
        assert_int_equal(received + dropped, behind);
        assert_int_equal(received, behind <= SLOTS ? behind : SLOTS / 2);
        for (unsigned index = 0; index < received; index++)
            assert_true(is_frame(&frames[index], dropped + index, SIZE));
        assert_int_equal(feed_receive(to, frames, 1), -EAGAIN);
        feed_transport_destroy(to);
    }
    feed_transport_destroy(from);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(lapped)

/* ---- At the same time ------------------------------------------------------------------------ */

enum { RACE_FRAMES = 60000, RACE_BURST = 50 };

/* Frame `number` has a size of its own, so that a mixture of two is seen. */
static uint32_t race_size(uint64_t number)
{
    return 16 + (uint32_t)(number * 37 % 180);
}

static void publish_race(struct leat_loop *loop, const char *address)
{
    struct feed_transport *from = open_ring(loop, address, FEED_ROLE_SEND, SIZE, 1 << 16);
    for (uint64_t number = 0; number < RACE_FRAMES; number += RACE_BURST) {
        struct burst burst = {.count = RACE_BURST};
        for (unsigned index = 0; index < RACE_BURST; index++) {
            const uint64_t own = number + index;
            burst.sizes[index] = race_size(own);
        }
        burst_fill(&burst, number);
        for (unsigned index = 0; index < RACE_BURST; index++) {
            const uint64_t own = number + index;
            memcpy((void *)burst.frames[index].data, &own, sizeof own);
        }
        send_all(from, burst.frames, burst.count);
        free(burst.data);
    }
    feed_transport_destroy(from);
}

struct race {
    enum leat_engine engine;
    char address[64];
};

static void *publish_in_thread(void *arg)
{
    const struct race *race = arg;
    struct leat_loop *loop = make_loop(race->engine);
    publish_race(loop, race->address);
    leat_loop_destroy(loop);
    return NULL;
}

/* Every frame is whole, the numbers rise, and those that lack are counted. Returns the last. */
static uint64_t check_race(const struct feed_frame *frame, uint64_t next, uint64_t *missed)
{
    uint64_t number;
    assert_true(frame->size >= sizeof number);
    memcpy(&number, frame->data, sizeof number);
    assert_in_range(number, next, RACE_FRAMES - 1);
    assert_int_equal(frame->size, race_size(number));
    for (size_t index = sizeof number; index < frame->size; index++)
        if (frame->data[index] != byte_of(number, index))
            fail_msg("frame %d is torn", (int)number);
    *missed += number - next;
    return number;
}

static void hear_race(struct feed_transport *to)
{
    struct feed_frame frames[FEED_BURST_MAX];
    uint64_t next = 0, missed = 0;
    while (next < RACE_FRAMES) {
        const unsigned received = receive_soon(to, frames, FEED_BURST_MAX);
        for (unsigned index = 0; index < received; index++)
            next = check_race(&frames[index], next, &missed) + 1;
    }
    assert_int_equal(missed, stats_of(to).dropped);
}

static void two_threads_body(enum leat_engine engine)
{
    struct race race = {.engine = engine};
    pthread_t thread;
    struct leat_loop *loop = make_loop(engine);
    ring_address(race.address, sizeof race.address, "threads");
    struct feed_transport *to = open_as(loop, race.address, FEED_ROLE_RECEIVE);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(pthread_create(&thread, NULL, publish_in_thread, &race), 0);
        hear_race(to);
        assert_int_equal(pthread_join(thread, NULL), 0);
        feed_transport_destroy(to);
        /* The ring of the publisher that is gone: nothing of it is heard again. */
        to = open_as(loop, race.address, FEED_ROLE_RECEIVE);
        assert_silence(to);
    }
    feed_transport_destroy(to);
    unlink(ring_path(race.address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(two_threads)

/* Killed at any moment, in the middle of a frame or of making the ring; the next one goes on. */
static void killed_publishers_body(enum leat_engine engine)
{
    char address[64];
    struct feed_frame frames[FEED_BURST_MAX];
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "killed");
    struct feed_transport *to = open_as(loop, address, FEED_ROLE_RECEIVE);
    for (unsigned round = 0; round < 20; round++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            /* A test that fails does not come to the kill below. */
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            alarm(10);
            loop_current = NULL; /* the parent's */
            struct leat_loop *own = make_loop(LEAT_ENGINE_EPOLL);
            for (;;)
                publish_race(own, address);
        }
        const int64_t until_ms = clock_ms() + 5 + 3 * round;
        while (clock_ms() < until_ms) {
            const int received = feed_receive(to, frames, FEED_BURST_MAX);
            uint64_t missed = 0;
            for (int index = 0; index < received; index++)
                check_race(&frames[index], 0, &missed);
        }
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    while (feed_receive(to, frames, FEED_BURST_MAX) > 0)
        continue;
    struct feed_transport *from = open_as(loop, address, FEED_ROLE_SEND);
    send_number(from, 1, SIZE);
    expect_number(to, 1, SIZE);
    feed_transport_destroy(from);
    feed_transport_destroy(to);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(killed_publishers)

/* ---- Files that are no rings, rings that lie ------------------------------------------------- */

static void write_file(const char *path, const void *data, size_t size, size_t file_size)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(ftruncate(fd, (off_t)file_size), 0);
    close(fd);
}

static int try_open(struct leat_loop *loop, const char *address, enum feed_role role)
{
    const struct feed_transport_options options = options_of(address, role);
    struct feed_transport *transport;
    const int error = feed_transport_open(loop, &options, &transport, NULL, 0);
    if (!error)
        feed_transport_destroy(transport);
    return error;
}

static void no_ring_body(enum leat_engine engine)
{
    static const char poem[] = "Whan that Aprille with his shoures soote";
    char address[64], seen[sizeof poem] = "";
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "poem");
    write_file(ring_path(address), poem, sizeof poem, sizeof poem);
    assert_int_equal(try_open(loop, address, FEED_ROLE_RECEIVE), -EBADMSG);
    assert_int_equal(try_open(loop, address, FEED_ROLE_SEND), -EEXIST);
    write_file(ring_path(address), poem, sizeof poem, 1 << 20);
    assert_int_equal(try_open(loop, address, FEED_ROLE_RECEIVE), -EBADMSG);
    assert_int_equal(try_open(loop, address, FEED_ROLE_SEND), -EEXIST);
    const int fd = open(ring_path(address), O_RDONLY);
    assert_int_equal(read(fd, seen, sizeof seen), sizeof seen);
    assert_string_equal(seen, poem);
    close(fd);
    write_file(ring_path(address), "", 0, 0); /* made, and nothing done to it yet */
    assert_int_equal(try_open(loop, address, FEED_ROLE_RECEIVE), 0);
    assert_int_equal(try_open(loop, address, FEED_ROLE_SEND), 0);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(no_ring)

/* Each field of a header says what it must not. */
static void headers_that_lie_body(enum leat_engine engine)
{
    static const struct ring_header good = {
        .magic = RING_MAGIC,
        .version = RING_VERSION,
        .slot_size = 1000,
        .slot_count = 64,
        .generation = 7,
    };
    const size_t file_size = RING_HEADER_SIZE + 64 * ring_stride(1000);
    char address[64];
    struct leat_loop *loop = make_loop(engine);
    ring_address(address, sizeof address, "lies");
    struct ring_header bad[12];
    for (unsigned index = 0; index < 12; index++)
        memcpy(&bad[index], &good, sizeof good);
    bad[0].magic++;
    bad[1].version++;
    bad[2].slot_size = 0;
    bad[3].slot_size = LEAT_FEED_PACKET_SIZE_MAX + 1;
    bad[4].slot_size = UINT32_MAX;
    bad[5].slot_size = 1000 + RING_SLOT_ALIGNMENT;
    bad[6].slot_count = 0;
    bad[7].slot_count = 63;
    bad[8].slot_count = 128;
    bad[9].slot_count = 1U << 31;
    bad[10].slot_count = UINT32_MAX;
    bad[11].slot_count = 32;
    write_file(ring_path(address), &good, sizeof good, file_size);
    assert_int_equal(try_open(loop, address, FEED_ROLE_RECEIVE), 0);
    write_file(ring_path(address), &good, sizeof good, file_size - 1);
    assert_int_equal(try_open(loop, address, FEED_ROLE_RECEIVE), -EBADMSG);
    for (unsigned index = 0; index < 12; index++) {
        write_file(ring_path(address), &bad[index], sizeof good, file_size);
        if (try_open(loop, address, FEED_ROLE_RECEIVE) != -EBADMSG)
            fail_msg("header %u was believed", index);
    }
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(headers_that_lie)

/* Writes nonsense into one of the latest three slots, or over the head. Not over the header's shape
 * and generation: a changed one is looked at anew. */
static void tamper(struct random *random, uint8_t *file, uint64_t sent, size_t slot_count)
{
    static const uint64_t evil[] = {0,    1,   2,          3,         SIZE - 50,
                                    SIZE, 180, SIZE + 800, INT64_MAX, UINT64_MAX};
    const size_t slot = (sent - 1 - random_below(random, 3)) % slot_count;
    const size_t field = random_below(random, 3) * sizeof(uint64_t);
    const bool is_head = random_chance(random, 20000);
    const uint64_t value =
        random_below(random, 4) > 0 ? evil[random_below(random, 10)] : random_next(random);
    const size_t at = is_head ? offsetof(struct ring_header, head)
                              : RING_HEADER_SIZE + slot * ring_stride(SIZE) + field;
    memcpy(file + at, &value, sizeof value);
}

/* Somebody writes what he wants into a ring that is being read: what comes of it is nonsense, and
 * within its bounds: those of the slots for one reader, those of its own for the other. */
static void rings_that_lie_body(enum leat_engine engine)
{
    char address[64];
    struct random random;
    struct feed_frame frames[FEED_BURST_MAX];
    struct leat_loop *loop = make_loop(engine);
    random_init(&random, 3);
    ring_address(address, sizeof address, "fuzz");
    struct feed_transport *from = open_ring(loop, address, FEED_ROLE_SEND, SIZE, 1 << 15);
    struct feed_transport *narrow = open_ring(loop, address, FEED_ROLE_RECEIVE, SIZE - 50, 0);
    struct feed_transport *wide = open_ring(loop, address, FEED_ROLE_RECEIVE, 10 * SIZE, 0);
    const int fd = open(ring_path(address), O_RDWR);
    struct stat stat_of_file;
    assert_int_equal(fstat(fd, &stat_of_file), 0);
    const size_t size = (size_t)stat_of_file.st_size;
    const size_t slot_count = (size - RING_HEADER_SIZE) / ring_stride(SIZE);
    uint8_t *file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(file, MAP_FAILED);
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned index = 0; index < 3; index++)
            send_number(from, round, SIZE - 60);
        tamper(&random, file, 3 * (round + 1), slot_count);
        int received = feed_receive(narrow, frames, FEED_BURST_MAX);
        for (int index = 0; index < received; index++)
            assert_in_range(frames[index].size, 0, SIZE - 50);
        received = feed_receive(wide, frames, FEED_BURST_MAX);
        for (int index = 0; index < received; index++)
            assert_in_range(frames[index].size, 0, SIZE);
    }
    assert_in_range(stats_of(wide).received, 1000, 60000); /* a lie stops it for a round at most */
    munmap(file, size);
    close(fd);
    feed_transport_destroy(from);
    feed_transport_destroy(narrow);
    feed_transport_destroy(wide);
    unlink(ring_path(address));
    leat_loop_destroy(loop);
}
ENGINE_TEST(rings_that_lie)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_any_order),
        cmocka_unit_test(test_publishers_follow_each_other),
        cmocka_unit_test(test_another_file),
        cmocka_unit_test(test_one_publisher_at_a_time),
        cmocka_unit_test(test_too_long_for_a_slot),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_lapped),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_killed_publishers),
        cmocka_unit_test(test_no_ring),
        cmocka_unit_test(test_headers_that_lie),
        cmocka_unit_test(test_rings_that_lie),
    };
    return cmocka_run_group_tests_name("feed/transport_shm", tests, NULL, NULL);
}
