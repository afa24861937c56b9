/* SPDX-License-Identifier: MIT */
/*
 * See worker.h.
 */
#include "worker.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "site.h"

enum {
    STOP_GRACE_MS = 10 * 1000,
    /* The kernel takes a killed process's rings apart after the process is gone, and its listeners
     * with them: who is started anew at once finds the address in use for a moment longer. */
    CLAIM_ATTEMPTS = 20,
    CLAIM_PAUSE_US = 50 * 1000,
};

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

/* A socket left behind by a server that was killed refuses connections, and may go. */
static void remove_stale_socket(const struct leat_address *address)
{
    struct stat status;
    const char *path = address->local.sun_path;
    if (leat_address_family(address) != AF_UNIX || path[0] == '\0' || stat(path, &status) != 0 ||
        !S_ISSOCK(status.st_mode))
        return;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, &address->base, address->size) != 0 && errno == ECONNREFUSED)
        unlink(path);
    close(fd);
}

/* The first worker of several listens alone for a moment: with REUSEPORT it would share a port with
 * any other server of the same user that does so too, and nobody would be told. */
static int claim_address(struct leat_address *address, const struct leat_listen_options *options)
{
    struct leat_listen_options alone = *options;
    alone.reuse_port = false;
    struct leat_listener *listener;
    const int error = leat_listen(address, &alone, &listener);
    if (error)
        return error;
    *address = *leat_listener_address(listener);
    leat_listener_close(listener);
    return 0;
}

static int listen_once(struct worker *worker, unsigned index, struct leat_listener **ret_listener)
{
    struct worker_settings *settings = worker->settings;
    struct leat_address *address = &settings->addresses[index];
    int *inherited_fd = &settings->inherited_fds[index];
    const bool is_unix = *inherited_fd == 0 && leat_address_family(address) == AF_UNIX;
    struct leat_listen_options options = {
        .tuning = &settings->tuning,
        .backlog = settings->backlog,
        .reuse_port = settings->thread_count > 1,
        .steer_by_cpu = settings->steer_by_cpu,
        .steer_count = settings->thread_count,
    };
    int error = 0;
    if (*inherited_fd > 0) {
        options.inherited_fd = dup(*inherited_fd);
        if (options.inherited_fd < 0)
            return -errno;
    } else if (worker->index == 0 && is_unix) {
        remove_stale_socket(address);
    } else if (worker->index == 0 && options.reuse_port) {
        error = claim_address(address, &options);
    }
    if (!error)
        error = leat_listen(address, &options, ret_listener);
    if (!error && worker->index == 0) {
        *address = *leat_listener_address(*ret_listener);
        if (is_unix)
            *inherited_fd = leat_listener_fd(*ret_listener);
    }
    return error;
}

static int listen_on(struct worker *worker, unsigned index, struct leat_listener **ret_listener)
{
    int error = listen_once(worker, index, ret_listener);
    for (int count = 1; error == -EADDRINUSE && count < CLAIM_ATTEMPTS; count++) {
        usleep(CLAIM_PAUSE_US);
        error = listen_once(worker, index, ret_listener);
    }
    return error;
}

static int start_serving(struct worker *worker)
{
    struct worker_settings *settings = worker->settings;
    struct leat_http_options options = settings->http;
    options.handler = site_handle;
    options.user = (void *)settings->site;
    int error = leat_http_server_create(&options, &worker->server);
    if (error)
        return fail(worker, error, "the server");
    for (unsigned index = 0; !error && index < settings->address_count; index++) {
        struct leat_listener *listener;
        char text[LEAT_ADDRESS_TEXT_SIZE];
        error = listen_on(worker, index, &listener);
        if (!error)
            error = leat_http_server_add(worker->server, listener);
        if (error)
            fail(worker, error, leat_address_format(&settings->addresses[index], text));
    }
    return error;
}

static void *run(void *arg)
{
    struct start *start = arg;
    struct worker *worker = start->worker;
    const struct leat_loop_options options = {.engine = worker->settings->engine};
    int error = leat_loop_create(&options, &worker->loop);
    if (error) {
        fail(worker, error, "the engine");
        sem_post(&start->is_decided);
        return NULL;
    }
    worker->engine = leat_loop_engine(worker->loop);
    error = start_serving(worker);
    if (error && worker->server)
        leat_http_server_close(worker->server, 0, 0);
    sem_post(&start->is_decided); /* `start` is gone from here on */

    error = leat_loop_run(worker->loop);
    if (error) {
        fail(worker, error, "the loop");
        kill(getpid(), SIGTERM); /* the main thread ends the others */
        return NULL; /* what still runs on this loop cannot be ended: it goes with the process */
    }
    leat_loop_destroy(worker->loop);
    return NULL;
}

int worker_start(struct worker *worker, struct worker_settings *settings, unsigned index)
{
    *worker = (struct worker){.settings = settings, .index = index};
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
    leat_http_server_close(worker->server, 0, leat_after_ms(STOP_GRACE_MS));
}

void worker_stop(struct worker *worker)
{
    if (worker->error)
        return;
    worker->stop_task.run = stop_now;
    loop_post(worker->loop, &worker->stop_task);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}
