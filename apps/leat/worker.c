/* SPDX-License-Identifier: MIT */
/*
 * See worker.h.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "loop/process.h"
#include "viewers.h"

struct start {
    struct worker *worker;
    sem_t is_decided;
};

static int fail(struct worker *worker, int error, const char *what)
{
    worker->error = error;
    snprintf(worker->what, sizeof worker->what, "%s", what);
    return error;
}

/* Steering counts the sockets of the address, which need not be as many as there are workers. */
static int listen_on(struct worker *worker, const struct socket_group *group, unsigned position)
{
    const struct worker_settings *settings = worker->settings;
    const struct leat_listen_options options = {
        .tuning = &settings->tuning,
        .backlog = settings->backlog,
        .reuse_port = group->count > 1,
        .steer_by_cpu = settings->steer_by_cpu,
        .steer_count = group->count,
        .inherited_fd = fcntl(group->fds[position], F_DUPFD_CLOEXEC, SOCKETS_FIRST_FD),
    };
    struct leat_listener *listener;
    if (options.inherited_fd < 0)
        return -errno;
    int error = leat_listen(&group->address, &options, &listener);
    if (error)
        return error;
    error = leat_http_server_add(worker->server, listener);
    if (error)
        leat_listener_close(listener);
    return error;
}

/* Workers beyond the sockets of an address share one; where there are fewer workers than sockets,
 * as may be after the process was replaced, some serve several. */
static int listen_on_all(struct worker *worker)
{
    const struct worker_settings *settings = worker->settings;
    for (unsigned index = 0; index < settings->sockets->count; index++) {
        const struct socket_group *group = &settings->sockets->groups[index];
        ASSERT(group->count > 0);
        if (group->is_apart)
            continue;
        for (unsigned position = sockets_first(group, worker->index); position < group->count;
             position += settings->thread_count) {
            char text[LEAT_ADDRESS_TEXT_SIZE];
            const int error = listen_on(worker, group, position);
            if (error)
                return fail(worker, error, leat_address_format(&group->address, text));
        }
    }
    return 0;
}

static void keep_counters(struct leat_http_server *server, void *user)
{
    struct worker *worker = user;
    pthread_mutex_lock(&worker->lock);
    leat_http_server_counters(server, &worker->last_counters);
    leat_http_server_compress_counters(server, &worker->last_compress);
    worker->has_server = false;
    pthread_mutex_unlock(&worker->lock);
}

static int start_serving(struct worker *worker)
{
    struct leat_http_options options = worker->settings->http;
    options.on_closed = keep_counters;
    options.on_closed_user = worker;
    int error = leat_http_server_create(&options, &worker->server);
    if (error)
        return fail(worker, error, "the server");
    worker->has_server = true;
    return listen_on_all(worker);
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* The main thread is told. */
static void report_end(const struct worker *worker)
{
    const uint64_t one = 1;
    (void)!write(worker->settings->ended_fd, &one, sizeof one);
}

static void *run(void *arg)
{
    struct start *start = arg;
    struct worker *worker = start->worker;
    const struct worker_settings *settings = worker->settings;
    const struct leat_loop_options options = {.engine = settings->engine};
    char name[16]; /* as large as the kernel's */
    snprintf(name, sizeof name, "worker %u", worker->index);
    (void)pthread_setname_np(pthread_self(), name);
    (void)process_ask_short_turns(); /* where it cannot be had we do without; */
    (void)viewers_open();            /* likewise */
    int error = leat_loop_create(&options, &worker->loop);
    if (error) {
        fail(worker, error, "the engine");
        viewers_close();
        sem_post(&start->is_decided);
        return NULL;
    }
    worker->engine = leat_loop_engine(worker->loop);
    worker->has_loop = true;
    error = start_serving(worker);
    if (error && worker->has_server)
        leat_http_server_close(worker->server, 0, 0);
    sem_post(&start->is_decided); /* `start` is gone from here on */

    if (!error && settings->on_begin)
        settings->on_begin(worker, settings->user);
    error = leat_loop_run(worker->loop);
    if (settings->on_end)
        settings->on_end(worker, settings->user);
    pthread_mutex_lock(&worker->lock);
    worker->has_loop = false;
    pthread_mutex_unlock(&worker->lock);
    if (!error) /* what was posted meanwhile */
        error = leat_loop_run(worker->loop);
    if (error) { /* what still runs on this loop cannot be ended: it goes with the process */
        fail(worker, error, "the loop");
    } else {
        leat_loop_destroy(worker->loop);
    }
    viewers_close();
    report_end(worker);
    return NULL;
}

int worker_start(struct worker *worker, struct worker_settings *settings, unsigned index)
{
    *worker = (struct worker){.settings = settings, .index = index};
    pthread_mutex_init(&worker->lock, NULL);
    struct start start = {.worker = worker};
    sem_init(&start.is_decided, 0, 0);
    const int error = pthread_create(&worker->thread, NULL, run, &start);
    if (!error)
        while (sem_wait(&start.is_decided) != 0)
            ;
    sem_destroy(&start.is_decided);
    return -error;
}

static void stop_now(struct task *task)
{
    struct worker *worker = CONTAINER_OF(task, struct worker, stop_task);
    leat_http_server_close(worker->server, worker->idle_ns, worker->grace_ns);
}

void worker_stop(struct worker *worker, int64_t idle_ns, int64_t grace_ns)
{
    if (worker->error)
        return;
    worker->idle_ns = idle_ns;
    worker->grace_ns = grace_ns;
    worker->stop_task.run = stop_now;
    (void)worker_post(worker, &worker->stop_task);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

/* ---- For the admin's thread ------------------------------------------------------------------ */

/* Under the lock to the end, for the loop may run the task and go before loop_post has returned. */
bool worker_post(struct worker *worker, struct task *task)
{
    pthread_mutex_lock(&worker->lock);
    const bool has_loop = worker->has_loop;
    if (has_loop)
        loop_post(worker->loop, task);
    pthread_mutex_unlock(&worker->lock);
    return has_loop;
}

void worker_counters(struct worker *worker, struct leat_http_counters *ret_counters)
{
    pthread_mutex_lock(&worker->lock);
    if (worker->has_server)
        leat_http_server_counters(worker->server, ret_counters);
    else
        *ret_counters = worker->last_counters;
    pthread_mutex_unlock(&worker->lock);
}

void worker_compress_counters(struct worker *worker,
                              struct leat_http_compress_counters *ret_counters)
{
    pthread_mutex_lock(&worker->lock);
    if (worker->has_server)
        leat_http_server_compress_counters(worker->server, ret_counters);
    else
        *ret_counters = worker->last_compress;
    pthread_mutex_unlock(&worker->lock);
}

const char *worker_running(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    const char *name = worker->has_loop ? atomic_load(&worker->loop->running_name) : NULL;
    pthread_mutex_unlock(&worker->lock);
    return name;
}
