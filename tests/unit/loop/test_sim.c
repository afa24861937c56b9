/* SPDX-License-Identifier: MIT */
/*
 * The simulator: that its worlds replay, that they behave as the kernel does where a program can
 * tell, and above all that each fault it is there to notice is noticed. (That it gives the same
 * results as the other backends is test_conformance.c's affair.)
 */
#include "simulated.h"

#include <arpa/inet.h>
#include <linux/tcp.h> /* the C library's lacks tcpi_delivery_rate */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>

#include "loop/offload.h"

struct probe {
    struct op op;
    unsigned completions;
    bool has_ended;
    int32_t result;
    char data[64];
    size_t size;
};

static void probe_done(struct op *op, const struct completion *completion)
{
    struct probe *probe = CONTAINER_OF(op, struct probe, op);
    probe->completions++;
    probe->result = completion->result;
    probe->has_ended = !completion->more;
    if (completion->data.size > 0 && completion->data.size <= sizeof probe->data) {
        memcpy(probe->data, completion->data.data, completion->data.size);
        probe->size = completion->data.size;
    }
}

static void probe_init(struct probe *probe, enum op_kind kind, int fd)
{
    *probe = (struct probe){0};
    op_init(&probe->op, kind, fd, probe_done);
}

static int32_t run(struct world *world, struct probe *probe)
{
    loop_submit(world->loop, &probe->op);
    while (op_is_busy(&probe->op))
        assert_int_equal(leat_loop_run_once(world->loop, LEAT_FOREVER), 0);
    return probe->result;
}

static int listen_on(struct world *world, struct sockaddr_in *ret_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd;
    while ((fd = world->sys->socket(world->sys, AF_INET, SOCK_STREAM, 0)) == -EMFILE)
        ;
    assert_int_equal(world->sys->bind(world->sys, fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(world->sys->listen(world->sys, fd, 64), 0);
    assert_int_equal(world->sys->getsockname(world->sys, fd, (struct sockaddr *)&address, &size),
                     0);
    assert_int_not_equal(address.sin_port, 0);
    *ret_address = address;
    return fd;
}

static void close_fd(struct world *world, int fd)
{
    world->loop->ops->close(world->loop->backend, fd);
}

static void peer_ignores(struct sim_peer *peer, void *user)
{
}

/* A connection: a descriptor here, a peer there, to whom bytes come at this rate; 0: any. */
static int connection_at_rate(struct world *world, uint64_t rate, struct sim_peer **ret_peer)
{
    struct sockaddr_in address;
    const int listener = listen_on(world, &address);
    struct probe accept;
    probe_init(&accept, OP_ACCEPT, listener);
    loop_submit(world->loop, &accept.op);
    *ret_peer = sim_peer_connect(world->sim, (struct sockaddr *)&address, sizeof address,
                                 peer_ignores, NULL);
    sim_peer_set_rate(*ret_peer, rate);
    while (accept.completions == 0)
        assert_int_equal(leat_loop_run_once(world->loop, LEAT_FOREVER), 0);
    const int fd = accept.result;
    assert_true(fd >= 0);
    loop_cancel(world->loop, &accept.op);
    while (op_is_busy(&accept.op))
        assert_int_equal(leat_loop_run_once(world->loop, LEAT_FOREVER), 0);
    close_fd(world, listener);
    return fd;
}

static int connection(struct world *world, struct sim_peer **ret_peer)
{
    return connection_at_rate(world, 0, ret_peer);
}

/* ---- Replay --------------------------------------------------------------------------------- */

static uint64_t trace_of(uint64_t seed, const struct sim_profile *profile)
{
    struct world world;
    world_init(&world, seed, profile);
    struct sim_peer *peer;
    const int fd = connection(&world, &peer);
    struct probe receive;
    probe_init(&receive, OP_RECV_MANY, fd);
    loop_submit(world.loop, &receive.op);
    sim_peer_send(peer, "some bytes, in whatever pieces", 30);
    turns(&world, 50);
    sim_peer_close(peer);
    while (op_is_busy(&receive.op))
        assert_int_equal(leat_loop_run_once(world.loop, LEAT_FOREVER), 0);
    close_fd(&world, fd);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
    return world.report.trace;
}

static void a_seed_replays(void **state)
{
    unsigned differ = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        const struct sim_profile *profile = &sim_profiles[1]; /* choppy: it never breaks */
        const uint64_t trace = trace_of(seed, profile);
        assert_int_equal(trace, trace_of(seed, profile));
        differ += trace != trace_of(seed + 1, profile);
    }
    assert_int_equal(differ, 50);
}

static void time_is_virtual(void **state)
{
    struct world world;
    world_init(&world, 3, SIM_CALM);
    const int64_t deadline_ns = sim_now_ns(world.sim) + 1800 * LEAT_NS_PER_S;
    assert_int_equal(leat_loop_run_once(world.loop, deadline_ns), 0);
    assert_int_equal(sim_now_ns(world.sim), deadline_ns);
    assert_int_equal(world.loop->now_ns, deadline_ns);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

/* ---- What it notices ------------------------------------------------------------------------ */

static void it_notices_an_op_that_changed(void **state)
{
    struct world world;
    world_init(&world, 4, SIM_CALM);
    struct sim_peer *peer;
    const int fd = connection(&world, &peer);
    char bytes[32];
    struct probe receive;
    probe_init(&receive, OP_RECV, fd);
    receive.op.recv.data = bytes;
    receive.op.recv.size = sizeof bytes;
    loop_submit(world.loop, &receive.op);

    struct op saved = receive.op;
    memset((void *)&receive.op, 0xa5, sizeof receive.op); /* as if freed */
    turns(&world, 1);
    receive.op = saved;
    expect_failure(&world, "a BUSY op was freed, moved or changed too early (recv");

    sim_peer_send(peer, "x", 1);
    while (op_is_busy(&receive.op))
        assert_int_equal(leat_loop_run_once(world.loop, LEAT_FOREVER), 0);
    assert_int_equal(receive.result, 1);
    assert_int_equal(bytes[0], 'x');
    close_fd(&world, fd);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void it_notices_memory_that_changed(void **state)
{
    struct world world;
    world_init(&world, 5, SIM_CALM);
    struct sim_peer *peer;
    const int fd = connection(&world, &peer);
    char bytes[32], text[] = "to be sent as it is";
    struct probe receive, send;
    probe_init(&receive, OP_RECV, fd);
    receive.op.recv.data = bytes;
    receive.op.recv.size = sizeof bytes;
    loop_submit(world.loop, &receive.op);
    const char saved = bytes[31];
    bytes[31] ^= 1;
    turns(&world, 1);
    bytes[31] = saved;
    expect_failure(&world, "points to memory that somebody else wrote to");

    probe_init(&send, OP_SEND, fd);
    send.op.send.data = text;
    send.op.send.size = sizeof text;
    loop_submit(world.loop, &send.op);
    text[5] = '!';
    while (op_is_busy(&send.op))
        assert_int_equal(leat_loop_run_once(world.loop, LEAT_FOREVER), 0);
    expect_failure(&world, "the bytes of a send");

    sim_peer_close(peer);
    while (op_is_busy(&receive.op))
        assert_int_equal(leat_loop_run_once(world.loop, LEAT_FOREVER), 0);
    close_fd(&world, fd);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void it_notices_misused_descriptors(void **state)
{
    struct world world;
    world_init(&world, 6, SIM_CALM);
    struct sim_peer *peer;
    const int fd = connection(&world, &peer);
    struct probe poll;
    probe_init(&poll, OP_POLL, fd);
    poll.op.poll.events = POLLIN;
    loop_submit(world.loop, &poll.op);
    close_fd(&world, fd);
    expect_failure(&world, "is closed while its poll is BUSY");
    close_fd(&world, fd);
    expect_failure(&world, "close of descriptor");
    assert_int_equal(world.sys->shutdown(world.sys, fd, SHUT_WR), -EBADF);
    expect_failure(&world, "which is not open");
    loop_cancel(world.loop, &poll.op);
    while (op_is_busy(&poll.op))
        assert_int_equal(leat_loop_run_once(world.loop, LEAT_FOREVER), 0);

    struct sockaddr_in address;
    listen_on(&world, &address);
    world_fini(&world);
    expect_failure(&world, "was never closed");
}

static void it_notices_a_lost_wake_up(void **state)
{
    struct world world;
    world_init(&world, 7, SIM_CALM);
    struct sim_peer *peer;
    const int fd = connection(&world, &peer);
    struct probe poll;
    probe_init(&poll, OP_POLL, fd);
    poll.op.poll.events = POLLIN;
    loop_submit(world.loop, &poll.op);
    assert_int_equal(leat_loop_run(world.loop), -EDEADLK);
    assert_non_null(strstr(world.failure, "poll on descriptor"));
    expect_failure(&world, "nothing can ever happen any more");
    loop_cancel(world.loop, &poll.op);
    assert_int_equal(leat_loop_run(world.loop), 0);
    assert_int_equal(poll.result, -ECANCELED);
    close_fd(&world, fd);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void ring(struct timer *timer)
{
}

static void a_loop_ends_with_its_last_timer(void **state)
{
    struct world world;
    world_init(&world, 7, SIM_CALM);
    struct timer timer;
    timer_init(&timer, ring);
    loop_timer_start(world.loop, &timer, sim_now_ns(world.sim) + LEAT_NS_PER_S);
    assert_int_equal(leat_loop_run(world.loop), 0); /* and does not wait for ever */
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

struct job {
    struct offload_job job;
    int fd;
    unsigned runs, ends;
};

static void job_run(struct offload_job *offload_job, const struct backend_sys *sys)
{
    struct job *job = CONTAINER_OF(offload_job, struct job, job);
    job->runs++;
    job->fd = sys->open(sys, -1, "folder/file", BACKEND_OPEN_FILE);
}

static void job_done(struct offload_job *offload_job)
{
    CONTAINER_OF(offload_job, struct job, job)->ends++;
}

static void it_notices_calls_that_block(void **state)
{
    struct world world;
    world_init(&world, 8, SIM_CALM);
    assert_int_equal(sim_file_add(world.sim, "folder/file", 1, 5000), 0);
    /* At start-up and in a job, fine; on the loop, not. */
    const int fd = world.sys->open(world.sys, -1, "folder", BACKEND_OPEN_DIRECTORY);
    assert_true(fd >= 0);
    turns(&world, 1);
    struct job job = {.job = {.run = job_run, .done = job_done}};
    assert_int_equal(offload_submit(world.loop, &job.job), 0);
    assert_int_equal(job.ends, 0);
    assert_int_equal(leat_loop_run(world.loop), 0);
    assert_int_equal(job.runs + job.ends, 2);
    assert_true(job.fd >= 0);
    assert_int_equal(world.failures, 0);
    struct backend_stat stat;
    assert_int_equal(world.sys->stat(world.sys, fd, &stat), 0);
    expect_failure(&world, "stat may block");

    assert_int_equal(offload_submit(world.loop, &job.job), 0);
    offload_cancel(&job.job);
    assert_int_equal(leat_loop_run(world.loop), 0);
    assert_true(job.job.cancelled);
    assert_int_equal(job.runs, 1);
    assert_int_equal(job.ends, 2);

    sim_allow_blocking(world.sim, true);
    world.sys->close(world.sys, job.fd);
    world.sys->close(world.sys, fd);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void it_notices_a_stall_on_the_disk(void **state)
{
    struct world world;
    world_init(&world, 9, SIM_CALM);
    assert_int_equal(sim_file_add(world.sim, "film", 7, 100000), 0);
    const int file = world.sys->open(world.sys, -1, "film", BACKEND_OPEN_FILE);
    struct sim_peer *peer;
    const int fd = connection(&world, &peer);
    struct backend *backend = world.loop->backend;
    char byte;
    assert_int_equal(world.sys->resident(world.sys, file, 50000, 100000), 50000);
    assert_int_equal(world.sys->read_now(world.sys, file, &byte, 1, 99999), 1);
    assert_true(sim_content_equal(7, 99999, &byte, 1));

    assert_int_equal(sim_file_cool(world.sim, "film"), 0);
    assert_int_equal(world.sys->resident(world.sys, file, 0, 100000), 0);
    assert_int_equal(world.sys->read_now(world.sys, file, &byte, 1, 0), -EAGAIN);
    assert_int_equal(world.loop->ops->sendfile(backend, fd, file, 99000, 500), 500);
    expect_failure(&world, "stalls the loop");

    struct probe fill;
    probe_init(&fill, OP_FILL, file);
    fill.op.fill.size = 100000;
    assert_int_equal(run(&world, &fill), 0);
    assert_int_equal(world.sys->resident(world.sys, file, 0, 100000), 100000);
    assert_int_equal(world.loop->ops->sendfile(backend, fd, file, 0, 60000), 60000);
    assert_int_equal(sim_file_resize(world.sim, "film", 70000), 0);
    turns(&world, 1);
    char sent[60500];
    assert_int_equal(sim_peer_recv(peer, sent, sizeof sent), 60500);
    assert_true(sim_content_equal(7, 99000, sent, 500));
    assert_true(sim_content_equal(7, 0, sent + 500, 60000));
    assert_int_equal(world.loop->ops->sendfile(backend, fd, file, 60000, 40000), 10000);
    assert_int_equal(world.loop->ops->sendfile(backend, fd, file, 70000, 30000), 0);
    assert_int_equal(world.failures, 0);

    close_fd(&world, fd);
    sim_allow_blocking(world.sim, true);
    world.sys->close(world.sys, file);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void it_notices_who_spins_on_a_shortage(void **state)
{
    struct sim_profile scarce = *SIM_CALM;
    scarce.accept_error = 500000;
    unsigned spins = 0;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct world world;
        world_init(&world, seed, &scarce);
        struct sockaddr_in address;
        const int listener = listen_on(&world, &address);
        for (unsigned index = 0; index < 5; index++)
            sim_peer_connect(world.sim, (struct sockaddr *)&address, sizeof address, peer_ignores,
                             NULL);
        struct probe accept;
        probe_init(&accept, OP_ACCEPT, listener);
        const int64_t end_ns = sim_now_ns(world.sim) + 50 * LEAT_NS_PER_MS;
        while (sim_now_ns(world.sim) < end_ns) {
            if (!op_is_busy(&accept.op)) /* at once again: wrong */
                loop_submit(world.loop, &accept.op);
            const unsigned completions = accept.completions;
            assert_int_equal(leat_loop_run_once(world.loop, end_ns), 0);
            if (accept.completions > completions && accept.result >= 0)
                close_fd(&world, accept.result);
        }
        loop_cancel(world.loop, &accept.op);
        while (op_is_busy(&accept.op)) {
            assert_int_equal(leat_loop_run_once(world.loop, LEAT_FOREVER), 0);
            if (accept.result >= 0)
                close_fd(&world, accept.result);
        }
        close_fd(&world, listener);
        world_fini(&world);
        spins += world.failures > 0 && strstr(world.failure, "spins");
    }
    assert_true(spins > 0);
}

/* ---- What it does as the kernel does --------------------------------------------------------- */

static void bytes_end_and_errors_come_in_order(void **state)
{
    struct world world;
    world_init(&world, 11, SIM_CALM);
    struct sim_peer *peer;
    int fd = connection(&world, &peer);
    char bytes[16];
    struct probe receive;
    probe_init(&receive, OP_RECV, fd);
    receive.op.recv.data = bytes;
    receive.op.recv.size = sizeof bytes;
    assert_int_equal(sim_peer_send(peer, "bye", 3), 3);
    sim_peer_close(peer);
    assert_int_equal(run(&world, &receive), 3);
    assert_int_equal(run(&world, &receive), 0);
    close_fd(&world, fd);

    /* Who is reset hears of it once; then it is the end. */
    fd = connection(&world, &peer);
    receive.op.fd = fd;
    sim_peer_reset(peer);
    assert_int_equal(run(&world, &receive), -ECONNRESET);
    assert_int_equal(run(&world, &receive), 0);
    const struct iovec vector = {.iov_base = bytes, .iov_len = 4};
    assert_int_equal(world.sys->send(world.sys, fd, &vector, 1, false), -EPIPE);
    close_fd(&world, fd);

    /* Who closes without having read resets; so does who is sent to when gone. */
    fd = connection(&world, &peer);
    assert_int_equal(sim_peer_send(peer, "unread", 6), 6);
    turns(&world, 1);
    close_fd(&world, fd);
    turns(&world, 1);
    assert_int_equal(sim_peer_recv(peer, bytes, sizeof bytes), -ECONNRESET);
    sim_peer_close(peer);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static struct tcp_info info_of(struct world *world, int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    assert_int_equal(world->sys->getsockopt(world->sys, fd, IPPROTO_TCP, TCP_INFO, &info, &size),
                     0);
    return info;
}

/* All who write at once get the rate of their link, and the kernel tells them of it. */
static void a_link_has_its_rate(void **state)
{
    static const uint64_t rates[] = {20000, 500000, 4000000};
    enum { SIZE = 300 * 1000 };
    for (unsigned index = 0; index < sizeof rates / sizeof *rates; index++) {
        const uint64_t rate = rates[index];
        struct world world;
        world_init(&world, 12 + index, SIM_CALM);
        struct sim_peer *peer;
        const int fd = connection_at_rate(&world, rate, &peer);
        const int64_t begun_ns = sim_now_ns(world.sim);
        static char bytes[SIZE];
        size_t sent = 0, came = 0;
        assert_int_equal(info_of(&world, fd).tcpi_delivery_rate, 0);
        while (came < SIZE) {
            const struct iovec vector = {.iov_base = bytes, .iov_len = SIZE - sent};
            ssize_t size = sent < SIZE ? world.sys->send(world.sys, fd, &vector, 1, false) : 0;
            sent += size > 0 ? (size_t)size : 0;
            size = sim_peer_recv(peer, bytes, sizeof bytes);
            came += size > 0 ? (size_t)size : 0;
            assert_int_equal(leat_loop_run_once(world.loop, sim_now_ns(world.sim) + LEAT_NS_PER_MS),
                             0);
        }
        const double took_s = (double)(sim_now_ns(world.sim) - begun_ns) / 1e9;
        const double expected_s = (double)SIZE / (double)rate;
        assert_true(took_s > 0.95 * expected_s && took_s < 1.2 * expected_s + 0.01);
        const struct tcp_info info = info_of(&world, fd);
        assert_true(info.tcpi_delivery_rate > 0.8 * (double)rate);
        assert_true(info.tcpi_delivery_rate < 1.2 * (double)rate);
        assert_true(info.tcpi_rtt > 0 && info.tcpi_snd_cwnd > 0 && info.tcpi_snd_mss > 0);
        sim_peer_close(peer);
        close_fd(&world, fd);
        world_fini(&world);
        assert_int_equal(world.failures, 0);
    }
}

static void corked_bytes_wait(void **state)
{
    struct world world;
    world_init(&world, 12, SIM_CALM);
    struct sim_peer *peer;
    const int fd = connection(&world, &peer);
    char bytes[16];
    const struct iovec vector = {.iov_base = (void *)(uintptr_t) "half", .iov_len = 4};
    assert_int_equal(world.sys->send(world.sys, fd, &vector, 1, true), 4);
    turns(&world, 100);
    assert_int_equal(sim_peer_recv(peer, bytes, sizeof bytes), -EAGAIN);
    turns(&world, 150);
    assert_int_equal(sim_peer_recv(peer, bytes, sizeof bytes), 4);
    assert_int_equal(world.sys->send(world.sys, fd, &vector, 1, true), 4);
    assert_int_equal(world.sys->send(world.sys, fd, &vector, 1, false), 4);
    turns(&world, 1);
    assert_int_equal(sim_peer_recv(peer, bytes, sizeof bytes), 8);
    close_fd(&world, fd);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void splice_goes_through_a_pipe(void **state)
{
    struct world world;
    world_init(&world, 13, SIM_CALM);
    struct sim_peer *from, *to;
    const int in = connection(&world, &from), out = connection(&world, &to);
    struct backend *backend = world.loop->backend;
    const struct backend_ops *ops = world.loop->ops;
    int pipe[2];
    assert_int_equal(world.sys->pipe(world.sys, pipe, 5000), 8192);
    assert_int_equal(ops->splice(backend, in, pipe[1], 8192, false), -EAGAIN);
    char bytes[10000];
    sim_content(1, 0, bytes, sizeof bytes);
    assert_int_equal(sim_peer_send(from, bytes, sizeof bytes), 10000);
    turns(&world, 1);
    assert_int_equal(ops->splice(backend, in, pipe[1], 10000, false), 8192);
    assert_int_equal(ops->splice(backend, in, pipe[1], 10000, false), -EAGAIN);
    assert_int_equal(ops->splice(backend, pipe[0], out, 10000, false), 8192);
    assert_int_equal(ops->splice(backend, in, pipe[1], 10000, false), 1808);
    assert_int_equal(ops->splice(backend, pipe[0], out, 10000, false), 1808);
    turns(&world, 1);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(sim_peer_recv(to, bytes, sizeof bytes), 10000);
    assert_true(sim_content_equal(1, 0, bytes, sizeof bytes));
    sim_peer_close(from);
    turns(&world, 1);
    assert_int_equal(ops->splice(backend, in, pipe[1], 10000, false), 0);
    close_fd(&world, pipe[0]);
    close_fd(&world, pipe[1]);
    close_fd(&world, in);
    close_fd(&world, out);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void nothing_leads_out_of_a_root(void **state)
{
    static const struct {
        const char *path;
        int result; /* 0: it opens */
    } cases[] = {
        {"file", 0},
        {"deep/er/../file", 0},
        {"./deep//file", 0},
        {"deep/../../secret", -EXDEV},
        {"..", -EXDEV},
        {"/secret", -EXDEV},
        {"inner-link", 0},
        {"outer-link", -EXDEV},
        {"absolute-link", -EXDEV},
        {"round", -ELOOP},
        {"missing", -ENOENT},
        {"file/under", -ENOTDIR},
        {"", -ENOENT},
    };
    struct world world;
    world_init(&world, 14, SIM_CALM);
    sim_file_add(world.sim, "secret", 1, 10);
    sim_file_add(world.sim, "root/file", 1, 10);
    sim_file_add(world.sim, "root/deep/file", 1, 10);
    sim_directory_add(world.sim, "root/deep/er");
    sim_symlink_add(world.sim, "root/inner-link", "deep/../file");
    sim_symlink_add(world.sim, "root/outer-link", "../secret");
    sim_symlink_add(world.sim, "root/absolute-link", "/root/file");
    sim_symlink_add(world.sim, "root/round", "round");
    const int root = world.sys->open(world.sys, -1, "root", BACKEND_OPEN_DIRECTORY);
    assert_true(root >= 0);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        const int fd = world.sys->open(world.sys, root, cases[index].path, BACKEND_OPEN_BENEATH);
        if (fd >= 0)
            world.sys->close(world.sys, fd);
        assert_int_equal(fd < 0 ? fd : 0, cases[index].result);
    }
    struct backend_stat stat;
    assert_int_equal(world.sys->stat_at(world.sys, root, "file", &stat), 0);
    assert_true(stat.is_regular && stat.size == 10);
    assert_int_equal(world.sys->stat_at(world.sys, root, "deep", &stat), 0);
    assert_true(stat.is_directory);
    assert_int_equal(world.sys->stat_at(world.sys, root, "outer-link", &stat), 0);
    assert_false(stat.is_directory || stat.is_regular);
    assert_int_equal(world.sys->stat_at(world.sys, root, "missing", &stat), -ENOENT);
    const int above = world.sys->open(world.sys, root, "../secret", BACKEND_OPEN_FILE);
    assert_true(above >= 0);
    world.sys->close(world.sys, above);
    world.sys->close(world.sys, root);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void files_are_appended_to(void **state)
{
    struct world world;
    world_init(&world, 1, SIM_CALM);
    const struct backend_sys *sys = world.sys;
    size_t size;
    assert_int_equal(sim_file_add(world.sim, "film", 1, 100), 0);
    assert_int_equal(sys->open_append(sys, "film"), -EACCES);
    assert_null(sim_file_bytes(world.sim, "film", &size));
    assert_null(sim_file_bytes(world.sim, "logs/access", &size));
    const int one = sys->open_append(sys, "logs/access");
    const int other = sys->open_append(sys, "logs/access");
    assert_int_equal(sys->append(sys, one, "abc", 3, 0), 3);
    assert_int_equal(sys->append(sys, other, "def", 3, 0), 3);
    assert_memory_equal(sim_file_bytes(world.sim, "logs/access", &size), "abcdef", 6);
    assert_int_equal(size, 6);
    sim_disk_bound(world.sim, 2);
    assert_int_equal(sys->append(sys, one, "ghi", 3, 0), 2);
    assert_int_equal(sys->append(sys, one, "i", 1, 0), -ENOSPC);
    sim_disk_bound(world.sim, 100);
    assert_int_equal(sys->append(sys, one, "i", 1, 0), 1);
    assert_memory_equal(sim_file_bytes(world.sim, "logs/access", &size), "abcdefghi", 9);
    sys->close(sys, one);
    sys->close(sys, other);
    assert_int_equal(world.failures, 0);
    world_fini(&world);
}

static void memory_files_are_sealed(void **state)
{
    struct world world;
    world_init(&world, 15, SIM_CALM);
    const struct backend_sys *sys = world.sys;
    const int fd = sys->create(sys, "copy");
    char bytes[10000];
    sim_content(3, 0, bytes, sizeof bytes);
    assert_int_equal(sys->write(sys, fd, bytes, sizeof bytes, 0), 10000);
    assert_int_equal(sys->seal(sys, fd), 0);
    assert_int_equal(sys->write(sys, fd, bytes, 1, 0), -EPERM);
    const void *data;
    assert_int_equal(sys->map(sys, fd, sizeof bytes, &data), 0);
    assert_memory_equal(data, bytes, sizeof bytes);
    sys->unmap(sys, data, sizeof bytes);
    sys->close(sys, fd);
    world_fini(&world);
    assert_int_equal(world.failures, 0);
}

static void cancels_race(void **state)
{
    struct sim_profile late = *SIM_CALM;
    late.delayed = 500000;
    unsigned too_late = 0, in_time = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world world;
        world_init(&world, seed, &late);
        struct sim_peer *peer;
        const int fd = connection(&world, &peer);
        struct probe receive;
        probe_init(&receive, OP_RECV_MANY, fd);
        loop_submit(world.loop, &receive.op);
        assert_int_equal(sim_peer_send(peer, "late", 4), 4);
        const int64_t until_ns = sim_now_ns(world.sim) + (int64_t)(5 + seed) * LEAT_NS_PER_US;
        while (sim_now_ns(world.sim) < until_ns)
            leat_loop_run_once(world.loop, until_ns);
        const unsigned before = receive.completions;
        loop_cancel(world.loop, &receive.op);
        while (op_is_busy(&receive.op))
            assert_int_equal(leat_loop_run_once(world.loop, LEAT_FOREVER), 0);
        if (before == 0 && receive.size == 4)
            too_late++;
        if (receive.size == 0)
            in_time++;
        assert_true(receive.result == -ECANCELED || receive.result == 4);
        sim_peer_close(peer);
        close_fd(&world, fd);
        world_fini(&world);
        assert_int_equal(world.failures, 0);
        assert_true((world.report.cancels_too_late > 0) == (before == 0 && receive.size == 4));
    }
    assert_true(too_late > 5);
    assert_true(in_time > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_replays),
        cmocka_unit_test(time_is_virtual),
        cmocka_unit_test(it_notices_an_op_that_changed),
        cmocka_unit_test(it_notices_memory_that_changed),
        cmocka_unit_test(it_notices_misused_descriptors),
        cmocka_unit_test(it_notices_a_lost_wake_up),
        cmocka_unit_test(a_loop_ends_with_its_last_timer),
        cmocka_unit_test(it_notices_calls_that_block),
        cmocka_unit_test(it_notices_a_stall_on_the_disk),
        cmocka_unit_test(it_notices_who_spins_on_a_shortage),
        cmocka_unit_test(bytes_end_and_errors_come_in_order),
        cmocka_unit_test(a_link_has_its_rate),
        cmocka_unit_test(corked_bytes_wait),
        cmocka_unit_test(splice_goes_through_a_pipe),
        cmocka_unit_test(nothing_leads_out_of_a_root),
        cmocka_unit_test(files_are_appended_to),
        cmocka_unit_test(memory_files_are_sealed),
        cmocka_unit_test(cancels_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
