/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend: a clock of its own, events in a heap, jobs, descriptors, and the turn,
 * which lets time pass until something completes, the loop is woken or its deadline has come.
 *
 * Time moves only here. A world in which nothing is left to happen, although the loop waits without
 * a deadline, has lost a wake-up: that is a failure, as is one that never comes to an end.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/assert.h"
#include "loop/offload.h"
#include "loop/sim_world.h"

enum { LATE_TURN_MAX_US = 20000, DATAGRAM_QUEUE_DEFAULT = 4 << 20 };

static _Thread_local const struct sim_options *wanted_options;

static struct sim *sim_from(struct backend *backend)
{
    return (struct sim *)(void *)backend;
}

struct sim *sim_of(struct leat_loop *loop)
{
    ASSERT(loop->ops->is_simulated);
    return sim_from(loop->backend);
}

/* ---- Failures and the trace ------------------------------------------------------------------ */

void sim_fail(struct sim *sim, const char *format, ...)
{
    char text[4096];
    int length =
        snprintf(text, sizeof text, "sim: seed %" PRIu64 ", %s, at %.6f s: ", sim->options.seed,
                 sim->profile.name, (double)(sim->now_ns - sim->born_ns) / 1e9);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    sim->report.failures++;
    if (sim->options.failed) {
        sim->options.failed(text, sim->options.user);
        return;
    }
    fprintf(stderr, "%s\n", text);
    if (sim->options.trace)
        fflush(sim->options.trace);
    abort();
}

/* Wide multiplications, sixteen bytes each; ASan's view is asked once, by who calls. */
__attribute__((no_sanitize_address)) uint64_t sim_hash(const void *data, size_t size)
{
    const char *bytes = data;
    uint64_t hash = random_mix(size), words[2];
    for (; size >= sizeof words; size -= sizeof words, bytes += sizeof words) {
        memcpy(words, bytes, sizeof words);
        const unsigned __int128 product =
            (unsigned __int128)(words[0] ^ hash ^ UINT64_C(0xa0761d6478bd642f)) *
            (words[1] ^ UINT64_C(0xe7037ed1a0b428db));
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    words[0] = words[1] = 0;
    memcpy(words, bytes, size);
    return random_mix(hash ^ words[0] ^ random_mix(words[1]));
}

void sim_trace(struct sim *sim, const char *what, int fd, int64_t result, const void *data,
               size_t size)
{
    const uint64_t data_hash = size > 0 ? sim_hash(data, size) : 0;
    uint64_t name = 0;
    memcpy(&name, what, strnlen(what, sizeof name));
    uint64_t trace = sim->report.trace;
    trace = random_mix(trace ^ (uint64_t)(sim->now_ns - sim->born_ns));
    trace = random_mix(trace ^ name ^ ((uint64_t)fd << 40));
    sim->report.trace = random_mix(trace ^ (uint64_t)result ^ data_hash);
    if (sim->options.trace)
        fprintf(sim->options.trace, "%12.6f ms  %-9s fd %-3d = %-8" PRId64 " %016" PRIx64 "\n",
                (double)(sim->now_ns - sim->born_ns) / 1e6, what, fd < 0 ? fd : fd - SIM_FD_BASE,
                result, sim->report.trace);
}

bool sim_chance(struct sim *sim, uint32_t millionths)
{
    return random_chance(&sim->random, millionths);
}

int64_t sim_draw_us(struct sim *sim, uint64_t low, uint64_t high)
{
    return (int64_t)random_between(&sim->random, low * 1000, high * 1000);
}

bool sim_may_block(struct sim *sim, const char *call)
{
    if (sim->is_in_job) {
        sim->job_cost_ns += sim_draw_us(sim, 5, 100 + sim->profile.disk_latency_us);
        return true;
    }
    if (!sim->has_waited || sim->is_blocking_allowed)
        return true;
    sim_fail(sim, "%s may block, and was called on the loop's thread outside of a job", call);
    return false;
}

/* ---- Events: a binary heap ------------------------------------------------------------------- */

static bool event_is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void *grow(void *items, size_t *room, size_t item_size)
{
    *room = *room ? *room * 2 : 64;
    items = realloc(items, *room * item_size);
    ASSERT(items != NULL); /* a test's memory */
    return items;
}

void sim_schedule(struct sim *sim, int64_t at_ns, sim_event_fn fire, void *target, uint64_t word)
{
    if (sim->event_count == sim->event_room)
        sim->events = grow(sim->events, &sim->event_room, sizeof *sim->events);
    const struct sim_event event = {at_ns, sim->event_sequence++, fire, target, word};
    size_t index = sim->event_count++;
    while (index > 0 && event_is_before(&event, &sim->events[(index - 1) / 2])) {
        sim->events[index] = sim->events[(index - 1) / 2];
        index = (index - 1) / 2;
    }
    sim->events[index] = event;
}

static struct sim_event event_take(struct sim *sim)
{
    ASSERT(sim->event_count > 0);
    const struct sim_event first = sim->events[0], last = sim->events[--sim->event_count];
    size_t index = 0, child;
    while ((child = 2 * index + 1) < sim->event_count) {
        if (child + 1 < sim->event_count &&
            event_is_before(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (!event_is_before(&sim->events[child], &last))
            break;
        sim->events[index] = sim->events[child];
        index = child;
    }
    sim->events[index] = last;
    return first;
}

static void run_events(struct sim *sim)
{
    while (sim->event_count > 0 && sim->events[0].at_ns <= sim->now_ns) {
        const struct sim_event event = event_take(sim);
        event.fire(sim, event.target, event.word);
    }
}

struct call {
    sim_call_fn fn;
    void *user;
};

static void run_call(struct sim *sim, void *target, uint64_t word)
{
    struct call call = *(struct call *)target;
    free(target);
    call.fn(sim, call.user);
}

void sim_at(struct sim *sim, int64_t at_ns, sim_call_fn fn, void *user)
{
    struct call *call = malloc(sizeof *call);
    ASSERT(call != NULL);
    *call = (struct call){fn, user};
    sim_schedule(sim, at_ns, run_call, call, 0);
}

void sim_make_ready(struct sim *sim, uint64_t token, struct offload_job *job)
{
    if (sim->ready_count == sim->ready_room)
        sim->ready = grow(sim->ready, &sim->ready_room, sizeof *sim->ready);
    sim->ready[sim->ready_count++] = (struct sim_ready){.token = token, .job = job};
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static void job_ends(struct sim *sim, void *target, uint64_t word)
{
    sim_make_ready(sim, 0, target);
}

static void job_runs(struct sim *sim, void *target, uint64_t word)
{
    struct offload_job *job = target;
    ASSERT(sim->jobs_waiting > 0 && !sim->is_in_job);
    sim->jobs_waiting--;
    job->state = OFFLOAD_RUNNING;
    sim->is_in_job = true;
    sim->job_cost_ns = sim_draw_us(sim, 5, 60);
    offload_run(job, &sim->sys);
    sim->is_in_job = false;
    sim_schedule(sim, sim->now_ns + sim->job_cost_ns, job_ends, job, 0);
}

static int sim_offload(struct backend *backend, struct offload_job *job)
{
    struct sim *sim = sim_from(backend);
    if (sim->jobs_waiting >= OFFLOAD_QUEUE_MAX || sim_chance(sim, sim->profile.offload_full))
        return -EAGAIN;
    sim->jobs_waiting++;
    const uint64_t latest_us = sim_chance(sim, sim->profile.delayed) ? 5000 : 100;
    sim_schedule(sim, sim->now_ns + sim_draw_us(sim, 10, latest_us), job_runs, job, 0);
    return 0;
}

/* ---- The turn -------------------------------------------------------------------------------- */

static int fail_to_wait(struct sim *sim, const char *what)
{
    char waiting[2048];
    sim_ops_list(sim, waiting, sizeof waiting);
    sim_fail(sim, "%s; what waits:%s", what, waiting);
    return -EDEADLK;
}

/* Lets time pass until something completes, the loop is woken or its deadline has come. */
static int pass_time(struct sim *sim, int64_t deadline_ns)
{
    for (;;) {
        run_events(sim);
        if (sim->ready_count > 0 || sim->now_ns >= deadline_ns || atomic_load(&sim->is_woken))
            return 0;
        int64_t next_ns = sim->event_count > 0 ? sim->events[0].at_ns : LEAT_FOREVER;
        if (deadline_ns < next_ns)
            next_ns = deadline_ns;
        if (next_ns == LEAT_FOREVER)
            return fail_to_wait(sim, "nothing can ever happen any more (a lost wake-up)");
        if (next_ns - sim->born_ns > sim->options.life_max_ns)
            return fail_to_wait(sim, "the world does not come to an end");
        sim->now_ns = next_ns;
    }
}

static void deliver_batch(struct sim *sim)
{
    /* What completes while these are delivered comes in the next turn. */
    struct sim_ready *batch = sim->ready;
    const size_t count = sim->ready_count, room = sim->ready_room;
    sim->ready = sim->batch;
    sim->ready_room = sim->batch_room;
    sim->ready_count = 0;
    sim->batch = batch;
    sim->batch_room = room;
    if (sim->profile.shuffled)
        for (size_t left = count; left > 1; left--) {
            const size_t other = random_below(&sim->random, left);
            const struct sim_ready swapped = batch[left - 1];
            batch[left - 1] = batch[other];
            batch[other] = swapped;
        }
    for (size_t index = 0; index < count; index++) {
        struct offload_job *job = batch[index].job;
        if (job) {
            job->state = OFFLOAD_DONE;
            sim_trace(sim, "job", -1, job->cancelled ? -ECANCELED : 0, NULL, 0);
            offload_finish(job);
        } else {
            sim_ops_deliver(sim, batch[index].token);
        }
    }
}

static int sim_wait(struct backend *backend, int64_t deadline_ns)
{
    struct sim *sim = sim_from(backend);
    ASSERT(!sim->is_in_job);
    sim_ops_check(sim);
    sim->has_waited = true;
    if (++sim->report.turns > sim->options.turns_max)
        return fail_to_wait(sim, "the loop spins");
    /* A turn takes time, so that a program which only yields does not stop the clock. */
    sim->now_ns += (int64_t)random_between(&sim->random, 100, 1500);
    int error = pass_time(sim, deadline_ns);
    if (error)
        return error;
    atomic_store(&sim->is_woken, false);
    if (sim_chance(sim, sim->profile.late_turn)) {
        const int64_t late_ns = sim_draw_us(sim, 100, LATE_TURN_MAX_US);
        sim->now_ns += late_ns;
        if (late_ns > sim->lateness_ns)
            sim->lateness_ns = late_ns;
        run_events(sim);
    }
    /* Timers leave no completion, but they decide when turns come. */
    sim->report.trace = random_mix(sim->report.trace ^ (uint64_t)(sim->now_ns - sim->born_ns));
    loop_begin_work(sim->loop);
    deliver_batch(sim);
    return 0;
}

static void sim_wake(struct backend *backend)
{
    atomic_store(&sim_from(backend)->is_woken, true);
}

static int sim_fd(struct backend *backend)
{
    return -ENOTSUP;
}

static int64_t backend_now_ns(struct backend *backend)
{
    return sim_from(backend)->now_ns;
}

int64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

int64_t sim_wall_ns(const struct sim *sim)
{
    return INT64_C(1000000000) * LEAT_NS_PER_S + sim->now_ns;
}

int64_t sim_lateness_ns(const struct sim *sim)
{
    return sim->lateness_ns;
}

uint64_t sim_read_errors(const struct sim *sim)
{
    return sim->report.read_errors;
}

unsigned sim_open_count(const struct sim *sim)
{
    return sim->fds_open;
}

void sim_allow_blocking(struct sim *sim, bool is_allowed)
{
    sim->is_blocking_allowed = is_allowed;
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

struct sim_object *sim_object_new(struct sim *sim, enum sim_kind kind)
{
    struct sim_object *object = calloc(1, sizeof *object);
    ASSERT(object != NULL);
    object->kind = kind;
    object->fd = -1;
    object->process = sim->process;
    object->sim = sim;
    list_init(&object->waiting);
    list_init(&object->accept_queue);
    list_init(&object->accept_node);
    list_push_back(&sim->objects, &object->node);
    return object;
}

/* In some worlds numbers are used again at once, as the kernel does, so that a stale one hits
 * somebody else; in the others never, so that a stale one is always noticed. */
int sim_fd_open(struct sim *sim, struct sim_object *object)
{
    unsigned slot = sim->fds_used;
    if (sim->are_fds_reused || slot == SIM_FDS_MAX)
        for (slot = 0; slot < sim->fds_used && sim->fds[slot]; slot++)
            ;
    if (slot == SIM_FDS_MAX)
        return -EMFILE;
    if (slot == sim->fds_used)
        sim->fds_used++;
    sim->fds[slot] = object;
    sim->fds_open++;
    object->open_count++;
    object->fd = SIM_FD_BASE + (int)slot;
    return object->fd;
}

int sim_share(struct sim *sim, int fd)
{
    struct sim_object *object = sim_object(sim, fd, "share");
    ASSERT(object && object->kind == SIM_LISTENER);
    return sim_fd_open(sim, object);
}

bool sim_is_buried(const struct sim *sim, int fd)
{
    const unsigned slot = (unsigned)(fd - SIM_FD_BASE);
    return fd >= SIM_FD_BASE && slot < sim->fds_used && sim->fds[slot] == sim->buried;
}

struct sim_object *sim_object(struct sim *sim, int fd, const char *call)
{
    const unsigned slot = (unsigned)(fd - SIM_FD_BASE);
    if (sim_is_buried(sim, fd))
        return NULL;
    if (fd >= SIM_FD_BASE && slot < sim->fds_used && sim->fds[slot])
        return sim->fds[slot];
    sim_fail(sim, "%s of descriptor %d, which is not open", call,
             fd >= SIM_FD_BASE ? fd - SIM_FD_BASE : fd);
    return NULL;
}

bool sim_fd_close(struct sim *sim, struct sim_object *object, int fd)
{
    sim_ops_check_rest(sim, fd, "closed");
    ASSERT(sim->fds_open > 0 && object->open_count > 0);
    sim->fds[fd - SIM_FD_BASE] = NULL;
    sim->fds_open--;
    sim_trace(sim, "close", fd, 0, NULL, 0);
    return --object->open_count == 0;
}

/* The number stays taken: what is left of its process must not hit somebody else's. */
bool sim_fd_bury(struct sim *sim, int fd)
{
    struct sim_object *object = sim->fds[fd - SIM_FD_BASE];
    ASSERT(object && object != sim->buried && object->open_count > 0);
    sim_ops_bury(sim, fd);
    sim->fds[fd - SIM_FD_BASE] = sim->buried;
    sim->fds_open--;
    return --object->open_count == 0;
}

static void sim_close(struct backend *backend, int fd)
{
    struct sim *sim = sim_from(backend);
    struct sim_object *object = sim_object(sim, fd, "close");
    if (!object)
        return;
    if (object->kind == SIM_FILE || object->kind == SIM_DIRECTORY) {
        sim_fail(sim, "descriptor %d is a file; backend_ops.close is for sockets and pipes",
                 fd - SIM_FD_BASE);
        return;
    }
    if (sim_fd_close(sim, object, fd))
        sim_net_close(sim, object);
}

/* A world has one loop: the descriptor stays in it, and whoever uses it next is another owner. */
static void sim_release(struct backend *backend, int fd)
{
    struct sim *sim = sim_from(backend);
    if (!sim_object(sim, fd, "release"))
        return;
    sim_ops_check_rest(sim, fd, "released");
    sim_trace(sim, "release", fd, 0, NULL, 0);
}

/* ---- Birth and end --------------------------------------------------------------------------- */

/* By a generator of their own: worlds without datagrams stay what they were without it. */
static void draw_datagrams(struct sim *sim)
{
    struct random random;
    random_init(&random, sim->options.seed ^ UINT64_C(0x6461746167726d73));
    sim->has_gso = !random_chance(&random, sim->profile.no_gso);
    sim->datagram_queue =
        random_between(&random, sim->profile.datagram_queue_min, sim->profile.datagram_queue_max);
    if (sim->profile.datagram_queue_max == 0)
        sim->datagram_queue = DATAGRAM_QUEUE_DEFAULT;
}

static int sim_create(struct leat_loop *loop, const struct backend_options *options,
                      struct backend **ret_backend)
{
    static const struct sim_options calm = {.seed = 1};
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim)
        return -ENOMEM;
    sim->loop = loop;
    sim->options = wanted_options ? *wanted_options : calm;
    sim->profile = sim->options.profile ? *sim->options.profile : *SIM_CALM;
    if (sim->options.life_max_ns == 0)
        sim->options.life_max_ns = 3600 * LEAT_NS_PER_S;
    if (sim->options.turns_max == 0)
        sim->options.turns_max = 2000000;
    random_init(&sim->random, sim->options.seed);
    sim->report.trace = random_mix(sim->options.seed);
    /* Some instant, so that nobody comes to rely on where the clock starts. */
    sim->born_ns = sim->now_ns = (int64_t)random_between(&sim->random, 1, UINT64_C(1) << 44);
    sim->are_fds_reused = random_below(&sim->random, 2) == 0;
    sim->has_cachestat = !sim_chance(sim, sim->profile.no_cachestat);
    sim->latency_us = (uint32_t)random_between(&sim->random, sim->profile.latency_min_us,
                                               sim->profile.latency_max_us);
    sim->queue_size =
        (uint32_t)random_between(&sim->random, sim->profile.queue_min, sim->profile.queue_max);
    draw_datagrams(sim);
    sim->next_port = 40000;
    list_init(&sim->objects);
    list_init(&sim->connections);
    list_init(&sim->bound);
    list_init(&sim->flights);
    const size_t size =
        options && options->receive_buffer_size ? options->receive_buffer_size : 4096;
    int error = sim_ops_init(sim, size);
    if (error) {
        free(sim);
        return error;
    }
    sim_disk_init(sim);
    sim->buried = sim_object_new(sim, SIM_CLOSED);
    sim_socket_sys(&sim->sys);
    sim_datagram_sys(&sim->sys);
    sim_disk_sys(&sim->sys);
    sim_files_sys(&sim->sys);
    sim_memory_sys(&sim->sys);
    *ret_backend = (struct backend *)(void *)sim;
    return 0;
}

int sim_loop_create(const struct sim_options *options, struct leat_loop **ret_loop)
{
    /* Half of the worlds take after uring, where sends ride in a batch, half after epoll. */
    static struct backend_ops backend_sim_now_ops;
    backend_sim_now_ops = backend_sim_ops;
    backend_sim_now_ops.sends_now = true;
    wanted_options = options;
    const bool sends_now = random_mix(options->seed) % 2;
    int error = loop_create_on(sends_now ? &backend_sim_now_ops : &backend_sim_ops, NULL, ret_loop);
    wanted_options = NULL;
    return error;
}

static void check_left_over(struct sim *sim)
{
    for (unsigned slot = 0; slot < sim->fds_used; slot++)
        if (sim->fds[slot] && sim->fds[slot] != sim->buried)
            sim_fail(sim, "descriptor %u was never closed", slot);
    if (sim->jobs_waiting > 0)
        sim_fail(sim, "%u jobs wait when their world ends", sim->jobs_waiting);
}

static void sim_destroy(struct backend *backend)
{
    struct sim *sim = sim_from(backend);
    check_left_over(sim);
    sim_ops_fini(sim);
    sim_disk_fini(sim);
    sim->report.lived_ns = sim->now_ns - sim->born_ns;
    if (sim->options.report)
        *sim->options.report = sim->report;
    while (sim->event_count > 0) {
        const struct sim_event event = event_take(sim);
        if (event.fire == run_call)
            free(event.target);
    }
    sim_net_fini(sim);
    free(sim->ready);
    free(sim->batch);
    free(sim->events);
    free(sim);
}

static void sim_submit(struct backend *backend, struct op *op)
{
    sim_ops_submit(sim_from(backend), op);
}

static void sim_cancel(struct backend *backend, struct op *op)
{
    sim_ops_cancel(sim_from(backend), op);
}

static ssize_t sim_sendfile(struct backend *backend, int socket_fd, int file_fd, uint64_t offset,
                            size_t size)
{
    return sim_net_sendfile(sim_from(backend), socket_fd, file_fd, offset, size);
}

static ssize_t sim_splice(struct backend *backend, int in_fd, int out_fd, size_t size, bool more)
{
    return sim_net_splice(sim_from(backend), in_fd, out_fd, size, more);
}

static const struct backend_sys *sim_sys(struct backend *backend)
{
    return &sim_from(backend)->sys;
}

static void sim_features(struct backend *backend, struct backend_features *ret_features)
{
    *ret_features = (struct backend_features){
        .multishot_accept = true,
        .multishot_recv = true,
        .cachestat = sim_from(backend)->has_cachestat,
        .open_beneath = true,
    };
}

const struct backend_ops backend_sim_ops = {
    .name = "sim",
    .is_simulated = true,
    .create = sim_create,
    .destroy = sim_destroy,
    .submit = sim_submit,
    .cancel = sim_cancel,
    .wait = sim_wait,
    .wake = sim_wake,
    .fd = sim_fd,
    .now_ns = backend_now_ns,
    .sendfile = sim_sendfile,
    .splice = sim_splice,
    .close = sim_close,
    .release = sim_release,
    .offload = sim_offload,
    .sys = sim_sys,
    .features = sim_features,
};
