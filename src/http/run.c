/* SPDX-License-Identifier: MIT */
/*
 * A router's server in one call: a worker a thread, each with a loop, a listener and a server of
 * its own. The first is the calling thread, which also waits for the signals and tells the others.
 *
 *     start the first   it claims the address, so that nobody else listens there too
 *     start the others  one after the other, each waited for
 *     serve             until a signal, or until a loop has failed
 *     stop              each closes its server, whose loop runs out
 *     join              the others; then the first loop goes
 *
 * Workers share the router, which nobody writes to any more, and the address. A worker's loop is
 * posted to under the lock, and destroyed after the lock has been had once: not while somebody is
 * still posting.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "http/router.h"
#include "loop/loop.h"
#include "loop/process.h"

enum {
    GRACE_MS = 10 * 1000,
    /* At the end who asks for nothing gets as long as a request that is on its way may take. */
    IDLE_MS = 500,
    THREADS_MAX = 1024,
    /* The kernel takes a killed process's rings apart after the process is gone, and its listeners
     * with them: who is started anew at once finds the address in use for a moment longer. */
    CLAIM_ATTEMPTS = 20,
    CLAIM_PAUSE_MS = 50,
};

static const char default_address[] = "127.0.0.1:8080";

struct worker {
    struct run *run;
    pthread_t thread; /* not of the first */
    sem_t is_decided; /* start_error tells how the start went */
    struct leat_loop *loop;
    struct leat_http_server *server;
    struct task stop, failed;
    int start_error, serve_error;
};

struct run {
    struct leat_http_options http;
    struct leat_loop_options loop;
    struct leat_address address; /* with its port, when the first worker listens */
    int shared_fd;               /* its unix socket, of which the others have duplicates */
    int64_t grace_ms;
    struct process_signals signals;
    struct op signal_op;
    bool is_stopping; /* the calling thread's */
    pthread_mutex_t lock;
    unsigned count; /* of workers that were started */
    unsigned thread_count;
    struct worker workers[];
};

/* ---- A worker -------------------------------------------------------------------------------- */

static bool is_unix(const struct run *run)
{
    return leat_address_family(&run->address) == AF_UNIX;
}

/* Listens alone for a moment: with SO_REUSEPORT it would share a port with any other server of the
 * same user that does so too, and nobody would be told. */
static int claim_address(struct run *run)
{
    struct leat_listener *listener;
    const int error = leat_listen(&run->address, NULL, &listener);
    if (error)
        return error;
    run->address = *leat_listener_address(listener);
    leat_listener_close(listener);
    return 0;
}

static int listen_first(struct run *run, struct leat_listener **ret_listener)
{
    const struct leat_listen_options options = {
        .reuse_port = run->thread_count > 1 && !is_unix(run),
    };
    int error = 0;
    if (is_unix(run))
        process_remove_stale_socket(&run->address.base, run->address.size);
    else if (options.reuse_port)
        error = claim_address(run);
    if (!error)
        error = leat_listen(&run->address, &options, ret_listener);
    if (error)
        return error;
    run->address = *leat_listener_address(*ret_listener);
    run->shared_fd = leat_listener_fd(*ret_listener);
    return 0;
}

static int listen_again(struct run *run, struct leat_listener **ret_listener)
{
    struct leat_listen_options options = {.reuse_port = !is_unix(run)};
    if (is_unix(run)) {
        options.inherited_fd = process_duplicate(run->shared_fd);
        if (options.inherited_fd < 0)
            return options.inherited_fd;
    }
    return leat_listen(&run->address, &options, ret_listener);
}

static int open_listener(struct worker *worker, struct leat_listener **ret_listener)
{
    struct run *run = worker->run;
    if (worker != &run->workers[0])
        return listen_again(run, ret_listener);
    int error = listen_first(run, ret_listener);
    for (int count = 1; error == -EADDRINUSE && count < CLAIM_ATTEMPTS; count++) {
        error = leat_loop_run_once(worker->loop, leat_after_ms(CLAIM_PAUSE_MS));
        if (!error)
            error = listen_first(run, ret_listener);
    }
    return error;
}

/* Leaves nothing behind but, when it has failed, the loop. */
static int start_server(struct worker *worker)
{
    struct leat_listener *listener;
    int error = open_listener(worker, &listener);
    if (error)
        return error;
    error = leat_http_server_create(&worker->run->http, &worker->server);
    if (error) {
        leat_listener_close(listener);
        return error;
    }
    error = leat_http_server_add(worker->server, listener);
    ASSERT(!error); /* it is the first */
    return 0;
}

static int start(struct worker *worker)
{
    worker->start_error = leat_loop_create(&worker->run->loop, &worker->loop);
    if (!worker->start_error)
        worker->start_error = start_server(worker);
    return worker->start_error;
}

/* Runs its loop until nothing is left on it. A loop that cannot wait any more is left as it is, for
 * what runs on it cannot be ended. */
static int serve(struct worker *worker)
{
    worker->serve_error = leat_loop_run(worker->loop);
    return worker->serve_error;
}

static void close_server(struct worker *worker)
{
    const int64_t grace_ms = worker->run->grace_ms;
    const int64_t idle_ms = grace_ms < IDLE_MS ? grace_ms : IDLE_MS;
    if (worker->server)
        leat_http_server_close(worker->server, leat_after_ms(idle_ms), leat_after_ms(grace_ms));
    worker->server = NULL;
}

static void on_stop(struct task *task)
{
    close_server(CONTAINER_OF(task, struct worker, stop));
}

static void *run_thread(void *arg)
{
    struct worker *worker = arg;
    struct run *run = worker->run;
    const bool has_started = start(worker) == 0;
    sem_post(&worker->is_decided);
    if (!worker->loop)
        return NULL;
    const int error = serve(worker);
    if (error && has_started)
        loop_post(run->workers[0].loop, &worker->failed);
    if (error)
        return NULL;
    pthread_mutex_lock(&run->lock);
    pthread_mutex_unlock(&run->lock);
    leat_loop_destroy(worker->loop);
    return NULL;
}

/* ---- All of them, in the calling thread ------------------------------------------------------ */

static void stop_all(struct run *run)
{
    struct worker *first = &run->workers[0];
    if (run->is_stopping)
        return;
    run->is_stopping = true;
    process_let_signals_act(&run->signals); /* a second one does not wait */
    for (unsigned index = 1; index < run->count; index++) {
        pthread_mutex_lock(&run->lock);
        loop_post(run->workers[index].loop, &run->workers[index].stop);
        pthread_mutex_unlock(&run->lock);
    }
    close_server(first);
    if (op_is_busy(&run->signal_op))
        loop_cancel(first->loop, &run->signal_op);
}

static void on_failed(struct task *task)
{
    stop_all(CONTAINER_OF(task, struct worker, failed)->run);
}

static void on_signal(struct op *op, const struct completion *completion)
{
    struct run *run = CONTAINER_OF(op, struct run, signal_op);
    if (run->is_stopping)
        return;
    if (completion->result >= 0 && !process_take_signal(&run->signals))
        loop_submit(run->workers[0].loop, op);
    else
        stop_all(run);
}

static int start_others(struct run *run)
{
    for (run->count = 1; run->count < run->thread_count; run->count++) {
        struct worker *worker = &run->workers[run->count];
        sem_init(&worker->is_decided, 0, 0);
        const int error = pthread_create(&worker->thread, NULL, run_thread, worker);
        if (!error)
            while (sem_wait(&worker->is_decided) != 0)
                ;
        sem_destroy(&worker->is_decided);
        if (error)
            return -error;
        if (worker->start_error) {
            pthread_join(worker->thread, NULL);
            return worker->start_error;
        }
    }
    return 0;
}

/* Returns why it ended: 0, a signal. */
static int run_workers(struct run *run, const struct leat_http_run_options *options)
{
    struct worker *first = &run->workers[0];
    int error = start(first);
    if (!error)
        error = start_others(run);
    if (!error && options->on_listening)
        options->on_listening(&run->address, options->user);
    if (error)
        stop_all(run);
    else
        loop_submit(first->loop, &run->signal_op);
    const int serve_error = first->loop ? serve(first) : 0;
    stop_all(run); /* it was not told to when it has failed */
    for (unsigned index = 1; index < run->count; index++) {
        pthread_join(run->workers[index].thread, NULL);
        if (!error)
            error = run->workers[index].serve_error;
    }
    if (!serve_error)
        leat_loop_destroy(first->loop);
    if (!first->start_error)
        process_remove_socket(&run->address.base);
    return error ? error : serve_error;
}

static struct run *make_run(struct leat_http_router *router, const struct leat_address *address,
                            const struct leat_http_run_options *options)
{
    const unsigned wanted = options->threads ? options->threads : process_core_count();
    const unsigned count = wanted < THREADS_MAX ? wanted : THREADS_MAX;
    struct run *run = calloc(1, sizeof *run + count * sizeof run->workers[0]);
    if (!run)
        return NULL;
    run->http = options->http;
    run->http.handler = leat_http_router_handle;
    run->http.user = router;
    run->loop = options->loop;
    run->address = *address;
    run->grace_ms = options->grace_ms ? options->grace_ms : GRACE_MS;
    run->thread_count = count;
    pthread_mutex_init(&run->lock, NULL);
    for (unsigned index = 0; index < count; index++) {
        run->workers[index].run = run;
        run->workers[index].stop.run = on_stop;
        run->workers[index].failed.run = on_failed;
    }
    return run;
}

int leat_http_run(struct leat_http_router *router, const char *address,
                  const struct leat_http_run_options *options)
{
    static const struct leat_http_run_options defaults;
    struct leat_address parsed;
    if (!options)
        options = &defaults;
    int error = leat_http_router_error(router, NULL);
    if (!error)
        error = leat_address_parse(address ? address : default_address, &parsed, NULL);
    if (error)
        return error;
    struct run *run = make_run(router, &parsed, options);
    if (!run)
        return -ENOMEM;
    error = process_catch_signals(&run->signals);
    if (!error) {
        op_init(&run->signal_op, OP_POLL, run->signals.fd, on_signal);
        run->signal_op.poll.events = POLLIN;
        error = run_workers(run, options);
        process_release_signals(&run->signals);
    }
    pthread_mutex_destroy(&run->lock);
    free(run);
    return error;
}

void leat_http_announce(const struct leat_address *address, void *user)
{
    char text[LEAT_ADDRESS_TEXT_SIZE], line[sizeof text + 32];
    const bool is_local = leat_address_family(address) == AF_UNIX;
    snprintf(line, sizeof line, "listening on %s%s", is_local ? "" : "http://",
             leat_address_format(address, text));
    process_say(line);
}
