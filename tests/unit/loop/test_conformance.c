/* SPDX-License-Identifier: MIT */
/*
 * One table of scenarios, run on every backend: what an operation comes to is the same whoever
 * performs it, so each scenario has one expected result and knows no backend's name. The io_uring
 * backend runs it several times, each time with something newer kernels have taken away.
 *
 * A scenario uses loop_*, backend_ops, backend_sys and IPv4 on loopback. What the simulator cannot
 * have (threads, descriptor limits, a descriptor to poll) or would call a bug (a descriptor that is
 * none) is marked REAL.
 */
#include "conformance.h"
#include "conformance_cancel.h"
#include "conformance_datagrams.h"
#include "conformance_files.h"
#include "conformance_network.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/sim.h"
#include "loop/uring.h"

/* ---- Owners ---------------------------------------------------------------------------------- */

static void submit_again(struct probe *probe, const struct completion *completion)
{
    if (!completion->more && probe->completions < 500)
        probe_submit(probe);
}

static void submits_again_when_told(struct world *world)
{
    int fds[2];
    char byte;
    uint8_t *data = pattern_new(0, 500);
    pair(world, fds);
    struct probe recv;
    recv_init(&recv, world, fds[1], &byte, 1);
    recv.then = submit_again;
    probe_submit(&recv);
    assert_int_equal(transmit(world, fds[0], data, 500), 500);
    await_completions(&recv, 500);
    settle(world);
    assert_int_equal(recv.completions, 500);
    assert_int_equal((uint8_t)byte, pattern(0, 499));
    free(data);
    close_pair(world, fds);
}

static void free_itself(struct probe *probe, const struct completion *completion)
{
    unsigned *count = probe->user;
    if (completion->more)
        return;
    ++*count;
    memset(probe, 0xa5, sizeof *probe);
    free(probe);
}

static void frees_itself_when_told(struct world *world)
{
    static const enum op_kind kinds[] = {OP_RECV, OP_RECV_MANY, OP_POLL, OP_RECV, OP_RECV_MANY};
    enum { COUNT = sizeof kinds / sizeof kinds[0] };
    unsigned ended = 0;
    char byte;
    for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
        int fds[COUNT][2];
        struct probe *probes[COUNT];
        for (int index = 0; index < COUNT; index++) {
            pair(world, fds[index]);
            probes[index] = malloc(sizeof *probes[index]);
            probe_init(probes[index], world, kinds[index], fds[index][1]);
            if (kinds[index] == OP_RECV) {
                probes[index]->op.recv.data = &byte;
                probes[index]->op.recv.size = 1;
            } else if (kinds[index] == OP_POLL) {
                probes[index]->op.poll.events = POLLIN;
            }
            probes[index]->then = free_itself;
            probes[index]->user = &ended;
            probe_submit(probes[index]);
        }
        for (int index = 0; index < COUNT; index++) {
            if (is_cancelled)
                loop_cancel(world->loop, &probes[index]->op);
            else
                close_fd(world, fds[index][0]);
        }
        settle(world);
        for (int index = 0; index < COUNT; index++) {
            if (is_cancelled)
                close_fd(world, fds[index][0]);
            close_fd(world, fds[index][1]);
        }
    }
    assert_int_equal(ended, 2 * COUNT);
}

/* Run with a queue of 64: none is lost for want of room, neither going in nor coming out. */
static void thousand_in_flight(struct world *world)
{
    enum { COUNT = 1000 };
    enum { READY, CANCELLED, BOTH };
    int fds[2];
    char byte = 'x';
    const struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct probe *polls = calloc(COUNT, sizeof *polls);
    pair(world, fds);
    for (int way = READY; way <= BOTH; way++) {
        for (int index = 0; index < COUNT; index++) {
            probe_init(&polls[index], world, OP_POLL, fds[1]);
            polls[index].op.poll.events = POLLIN;
            probe_submit(&polls[index]);
        }
        if (way != CANCELLED) {
            settle(world);
            assert_int_equal(polls[0].completions + polls[COUNT - 1].completions, 0);
            assert_int_equal(world->sys->send(world->sys, fds[0], &vector, 1, false), 1);
        }
        if (way != READY)
            for (int index = 0; index < COUNT; index++)
                loop_cancel(world->loop, &polls[index].op);
        while (op_busy_count > 0)
            turn_until_woken(world);
        for (int index = 0; index < COUNT; index++) {
            assert_int_equal(polls[index].completions, 1);
            if (way != READY && polls[index].result == -ECANCELED)
                continue;
            assert_int_not_equal(way, CANCELLED);
            assert_int_equal(polls[index].result, POLLIN);
        }
        if (way != CANCELLED)
            assert_int_equal(receive(world, fds[1], &byte, 1), 1);
    }
    free(polls);
    close_pair(world, fds);
}

static void closes_while_others_are_busy(struct world *world)
{
    int fds[3][2];
    char data[3][8];
    struct probe recvs[3];
    for (int index = 0; index < 3; index++) {
        pair(world, fds[index]);
        recv_init(&recvs[index], world, fds[index][1], data[index], 8);
        probe_submit(&recvs[index]);
    }
    settle(world);
    stop(&recvs[1]);
    close_pair(world, fds[1]);
    pair(world, fds[1]); /* likely with the same numbers */
    recv_init(&recvs[1], world, fds[1][1], data[1], 8);
    probe_submit(&recvs[1]);
    for (int index = 0; index < 3; index++)
        assert_int_equal(transmit(world, fds[index][0], "still", 5), 5);
    settle(world);
    for (int index = 0; index < 3; index++) {
        assert_int_equal(recvs[index].completions, 1);
        assert_int_equal(recvs[index].result, 5);
        close_pair(world, fds[index]);
    }
}

/* ---- Owners on other loops ------------------------------------------------------------------- */

/* Like something never seen before, though it had waited here. */
static void released_descriptor_comes_back(struct world *world)
{
    int fds[2];
    char data[8];
    pair(world, fds);
    for (int round = 0; round < 4; round++) {
        struct probe recv;
        recv_init(&recv, world, fds[1], data, sizeof data);
        probe_submit(&recv);
        settle(world);
        stop(&recv);
        if (round % 2)
            assert_int_equal(transmit(world, fds[0], "earlier", 7), 7);
        world->ops->release(world->backend, fds[1]);
        world->ops->release(world->backend, fds[1]); /* of no consequence */
        if (round % 2 == 0)
            assert_int_equal(transmit(world, fds[0], "between", 7), 7);
        settle(world);
        assert_int_equal(receive(world, fds[1], data, sizeof data), 7);
        world->ops->release(world->backend, fds[1]);
        assert_int_equal(wait_ready(world, fds[1], POLLOUT), POLLOUT);
    }
    close_pair(world, fds);
}

struct elsewhere {
    const struct backend_ops *ops;
    int fd;
    int32_t result;
    char data[8];
};

static void *receive_elsewhere(void *user)
{
    struct elsewhere *elsewhere = user;
    struct world world = {.ops = elsewhere->ops};
    static const struct backend_options options = {64, 4, 4096};
    if (loop_create_on(world.ops, &options, &world.loop))
        return NULL;
    world.sys = world.loop->sys;
    world.backend = world.loop->backend;
    struct probe recv;
    recv_init(&recv, &world, elsewhere->fd, elsewhere->data, sizeof elsewhere->data);
    probe_submit(&recv);
    while (recv.ends == 0)
        if (leat_loop_run_once(world.loop, LEAT_FOREVER))
            break;
    elsewhere->result = recv.result;
    close_fd(&world, elsewhere->fd);
    leat_loop_destroy(world.loop);
    return NULL;
}

/* The loop that has let go of it sleeps through what comes, and takes its successor for another.
 * The one that has it now waits for bytes, though the first has made it non-blocking. */
static void released_descriptor_goes_elsewhere(struct world *world)
{
    int fds[2], ends[2];
    char byte;
    pair(world, fds);
    assert_true(world->sys->pipe(world->sys, ends, 4096) > 0);
    for (int round = 0; round < 3; round++) {
        struct probe recv;
        recv_init(&recv, world, fds[1], &byte, 1);
        probe_submit(&recv);
        settle(world);
        assert_int_equal(write(fds[0], "x", 1), 1);
        await(&recv);
        assert_int_equal(world->ops->splice(world->backend, fds[1], ends[1], 1, false), -EAGAIN);
        for (int side = 0; side < 2; side++)
            world->ops->release(world->backend, fds[side]);
        settle(world);

        struct elsewhere elsewhere = {.ops = world->ops, .fd = fds[1]};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, receive_elsewhere, &elsewhere), 0);
        usleep(10000);
        assert_int_equal(write(fds[0], "there", 5), 5);
        const int64_t deadline_ns = clock_now_ns() + 20 * LEAT_NS_PER_MS;
        assert_int_equal(world->ops->wait(world->backend, deadline_ns), 0);
        assert_true(clock_now_ns() >= deadline_ns);
        pthread_join(thread, NULL);
        assert_int_equal(elsewhere.result, 5);
        assert_memory_equal(elsewhere.data, "there", 5);
        close_fd(world, fds[0]);
        pair(world, fds); /* with the same numbers, one of which was closed by another loop */
    }
    close_pair(world, fds);
    close_pair(world, ends);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void waits_until_the_deadline(struct world *world)
{
    int fds[2];
    char byte;
    int64_t best_late_ns = LEAT_FOREVER;
    pair(world, fds);
    for (int round = 0; round < 10; round++) {
        /* With and without something to submit in the same call. */
        struct probe recv;
        recv_init(&recv, world, fds[1], &byte, 1);
        if (round % 2)
            probe_submit(&recv);
        const int64_t begun_ns = world->ops->now_ns(world->backend);
        const int64_t deadline_ns = begun_ns + (round + 1) * 3 * LEAT_NS_PER_MS + 12345;
        int waits = 0;
        do {
            assert_int_equal(world->ops->wait(world->backend, deadline_ns), 0);
            waits++;
        } while (world->ops->now_ns(world->backend) < deadline_ns);
        /* Nothing to start: one wait, never early. Starting may cost a few, and never spins. */
        assert_in_range(waits, 1, round % 2 ? 4 : 1);
        const int64_t late_ns = world->ops->now_ns(world->backend) - deadline_ns;
        assert_true(late_ns < 500 * LEAT_NS_PER_MS); /* the scheduler's affair, within reason */
        if (late_ns < best_late_ns)
            best_late_ns = late_ns;
        stop(&recv);
    }
    assert_true(best_late_ns < 3 * LEAT_NS_PER_MS); /* twice as long would be ours */
    /* In the past: looks, and does not wait. */
    const int64_t begun_ns = world->ops->now_ns(world->backend);
    for (int round = 0; round < 100; round++)
        assert_int_equal(world->ops->wait(world->backend, round % 2 ? 0 : begun_ns - 1), 0);
    assert_true(world->ops->now_ns(world->backend) < begun_ns + 1000 * LEAT_NS_PER_MS);
    close_pair(world, fds);
}

static void *wake_later(void *user)
{
    struct world *world = user;
    usleep(20000);
    world->ops->wake(world->backend);
    return NULL;
}

static void wakes_from_another_thread(struct world *world)
{
    for (int round = 0; round < 10; round++) {
        pthread_t thread;
        const int64_t begun_ns = clock_now_ns();
        assert_int_equal(pthread_create(&thread, NULL, wake_later, world), 0);
        assert_int_equal(world->ops->wait(world->backend, LEAT_FOREVER), 0);
        assert_true(clock_now_ns() >= begun_ns + 20 * LEAT_NS_PER_MS);
        pthread_join(thread, NULL);
    }
    /* One that came while nobody waited is not lost, and is told once. */
    world->ops->wake(world->backend);
    world->ops->wake(world->backend);
    assert_int_equal(world->ops->wait(world->backend, LEAT_FOREVER), 0);
    assert_int_equal(world->ops->wait(world->backend, 0), 0);
    const int64_t deadline_ns = clock_now_ns() + 5 * LEAT_NS_PER_MS;
    assert_int_equal(world->ops->wait(world->backend, deadline_ns), 0);
    assert_true(clock_now_ns() >= deadline_ns);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd state = {.fd = fd, .events = POLLIN};
    return poll(&state, 1, timeout_ms) == 1;
}

static void submit_reply(struct probe *probe, const struct completion *completion)
{
    probe_submit(probe->user);
}

static void descriptor_tells_of_completions(struct world *world)
{
    int fds[2];
    char byte;
    struct probe reply;
    const int fd = world->ops->fd(world->backend);
    assert_true(fd >= 0);
    pair(world, fds);
    struct probe recv;
    recv_init(&recv, world, fds[1], &byte, 1);
    send_init(&reply, world, fds[1], "reply", 5);
    recv.then = submit_reply;
    recv.user = &reply;
    probe_submit(&recv);
    settle(world);
    assert_false(is_readable(fd, 0));
    assert_int_equal(write(fds[0], "x", 1), 1);
    assert_true(is_readable(fd, 1000));
    assert_int_equal(world->ops->wait(world->backend, 0), 0);
    assert_int_equal(recv.result, 1);
    /* What a completion has asked for is on its way, though nobody will wait again. */
    assert_true(is_readable(fds[0], 1000));
    settle(world);
    assert_false(is_readable(fd, 0));
    close_pair(world, fds);
}

/* In a process of its own, whose descriptors run out while a connection waits: 0 or a line. */
static int run_out_of_descriptors(const struct backend_ops *ops)
{
    static const struct backend_options options = {64, 4, 4096};
    struct world world = {.ops = ops};
    if (loop_create_on(ops, &options, &world.loop))
        return __LINE__;
    world.sys = world.loop->sys;
    world.backend = world.loop->backend;
    struct sockaddr_in address;
    const int fd = listener(&world, 16, &address);
    struct probe connect, accept;
    connect_init(&connect, &world, &address);
    if (run(&connect) != 0)
        return __LINE__;
    const int next = dup(fd);
    close(next);
    struct rlimit limit, none;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    probe_init(&accept, &world, OP_ACCEPT, fd);
    for (int round = 0; round < 3; round++)
        if (run(&accept) != -EMFILE || accept.ends != (unsigned)round + 1 || accept.fd_count != 0)
            return __LINE__;
    setrlimit(RLIMIT_NOFILE, &limit);
    probe_submit(&accept);
    await_completions(&accept, 4);
    if (accept.fd_count != 1 || accept.ends != 3)
        return __LINE__;
    return 0;
}

static void accept_without_descriptors(struct world *world)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        loop_current = NULL; /* the parent's, whose ring is not ours */
        op_busy_count = 0;
        const int line = run_out_of_descriptors(world->ops);
        if (line)
            fprintf(stderr, "# failed at line %d\n", line);
        _exit(line != 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- The table ------------------------------------------------------------------------------- */

enum { REAL = 1 };

struct scenario {
    const char *name;
    void (*play)(struct world *world);
    unsigned flags;
    struct backend_options options;
};

/* { queue_entries, receive_buffers, receive_buffer_size } */
// clang-format off
#define USUAL {256, 64, 4096}
#define FEW_BUFFERS {256, 4, 64}
#define SHORT_QUEUE {64, 64, 4096}
// clang-format on

static const struct scenario scenarios[] = {
    {"accepts many", accepts_many, 0, USUAL},
    {"connect is refused", connect_is_refused, 0, USUAL},
    {"bad descriptors end in an error", bad_descriptors_end_in_an_error, REAL, USUAL},
    {"receives data, then the end", receives_data_then_the_end, 0, USUAL},
    {"receive is reset", receive_is_reset, 0, USUAL},
    {"receives many chunks", receives_many_chunks, 0, USUAL},
    {"receives many without buffers", receives_many_without_buffers, 0, FEW_BUFFERS},
    {"buffers are shared fairly", buffers_are_shared_fairly, 0, FEW_BUFFERS},
    {"sends more than fits", sends_more_than_fits, 0, USUAL},
    {"send to nobody", send_to_nobody, 0, USUAL},
    {"peer goes while sending", peer_goes_while_sending, 0, USUAL},
    {"polls", polls, 0, USUAL},
    {"cancels what waits", cancels_what_waits, 0, USUAL},
    {"cancels connect", cancels_connect, 0, USUAL},
    {"cancels file operations", cancels_file_operations, 0, USUAL},
    {"cancel after the end does nothing", cancel_after_the_end_does_nothing, 0, USUAL},
    {"cancel within a batch", cancel_within_a_batch, 0, USUAL},
    {"many cancels itself", many_cancels_itself, 0, USUAL},
    {"many cancels itself without buffers", many_cancels_itself, 0, FEW_BUFFERS},
    {"cancel loses no bytes", cancel_loses_no_bytes, 0, USUAL},
    {"cancel loses no bytes without buffers", cancel_loses_no_bytes, 0, FEW_BUFFERS},
    {"submits again when told", submits_again_when_told, 0, USUAL},
    {"frees itself when told", frees_itself_when_told, 0, USUAL},
    {"a thousand in flight", thousand_in_flight, 0, SHORT_QUEUE},
    {"closes while others are busy", closes_while_others_are_busy, 0, USUAL},
    {"released descriptor comes back", released_descriptor_comes_back, 0, USUAL},
    {"released descriptor goes elsewhere", released_descriptor_goes_elsewhere, REAL, USUAL},
    {"reads files", reads_files, 0, USUAL},
    {"fills", fills, 0, USUAL},
    {"sends files", sends_files, 0, USUAL},
    {"operations wait after sendfile", operations_wait_after_sendfile, 0, USUAL},
    {"splices", splices, 0, USUAL},
    {"bursts arrive", bursts_arrive, 0, USUAL},
    {"datagrams are cut to their room", datagrams_are_cut_to_their_room, 0, USUAL},
    {"trains come apart and together", trains_come_apart_and_together, 0, USUAL},
    {"datagrams know their peers", datagrams_know_their_peers, 0, USUAL},
    {"datagrams to nobody are refused once", datagrams_to_nobody_are_refused_once, 0, USUAL},
    {"groups hear what they joined", groups_hear_what_they_joined, 0, USUAL},
    {"stamps are of the wall clock", stamps_are_of_the_wall_clock, 0, USUAL},
    {"a full queue drops and counts", a_full_queue_drops_and_counts, 0, USUAL},
    {"mapped files are shared", mapped_files_are_shared, 0, USUAL},
    {"waits until the deadline", waits_until_the_deadline, 0, USUAL},
    {"wakes from another thread", wakes_from_another_thread, REAL, USUAL},
    {"descriptor tells of completions", descriptor_tells_of_completions, REAL, USUAL},
    {"accept without descriptors", accept_without_descriptors, REAL, USUAL},
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

struct variation {
    const char *name;
    const struct backend_ops *ops;
    unsigned refuse; /* uring_refuse */
};

static const struct variation variations[] = {
    {"sim", &backend_sim_ops, 0},
    {"epoll", &backend_epoll_ops, 0},
    {"uring", &backend_uring_ops, 0},
    {"uring 6.0", &backend_uring_ops, URING_REFUSE_DEFER_TASKRUN},
    {"uring 5.19", &backend_uring_ops, URING_REFUSE_SINGLE_ISSUER | URING_REFUSE_MULTISHOT},
    {"uring that cannot flush", &backend_uring_ops, URING_REFUSE_FLUSH},
};
enum { VARIATIONS = sizeof variations / sizeof variations[0] };

struct play {
    const struct variation *variation;
    const struct scenario *scenario;
    char name[80];
};

static void play(void **state)
{
    const struct play *play = *state;
    struct world world = {.ops = play->variation->ops};
    loop_current = NULL; /* whatever a scenario that failed has left behind */
    op_busy_count = 0;
    uring_refuse = play->variation->refuse;
    assert_int_equal(loop_create_on(world.ops, &play->scenario->options, &world.loop), 0);
    world.sys = world.loop->sys;
    world.backend = world.loop->backend;
    if (world.ops->is_simulated)
        sim_allow_blocking(sim_of(world.loop),
                           true); /* the scenarios make their files as they go */
    play->scenario->play(&world);
    assert_int_equal(op_busy_count, 0);
    leat_loop_destroy(world.loop);
}

/* Containers may refuse io_uring. */
static bool is_refused(const struct variation *variation)
{
    struct leat_loop *loop;
    const int error = loop_create_on(variation->ops, &scenarios[0].options, &loop);
    if (error == 0)
        leat_loop_destroy(loop);
    return error == -ENOSYS || error == -EPERM;
}

/* What is left out is said in a comment: cmocka's way to skip is a failure to readers of TAP. */
int main(void)
{
    static struct play plays[VARIATIONS * SCENARIOS];
    static struct CMUnitTest tests[VARIATIONS * SCENARIOS];
    size_t count = 0;
    for (int variation = 0; variation < VARIATIONS; variation++) {
        if (is_refused(&variations[variation])) {
            printf("# %s: skipped, for this host refuses it\n", variations[variation].name);
            continue;
        }
        for (int scenario = 0; scenario < SCENARIOS; scenario++) {
            if (variations[variation].ops->is_simulated && scenarios[scenario].flags & REAL) {
                printf("# sim: %s: skipped, a world has no such thing\n", scenarios[scenario].name);
                continue;
            }
            plays[count] = (struct play){&variations[variation], &scenarios[scenario], ""};
            snprintf(plays[count].name, sizeof plays[count].name, "%s: %s",
                     variations[variation].name, scenarios[scenario].name);
            tests[count] = (struct CMUnitTest){
                .name = plays[count].name, .test_func = play, .initial_state = &plays[count]};
            count++;
        }
    }
    return _cmocka_run_group_tests("conformance", tests, count, NULL, NULL);
}
