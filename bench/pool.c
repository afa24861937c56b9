/* SPDX-License-Identifier: MIT */
/*
 * How many connections the pool opens for a million requests: each thread has a loop and fibers
 * that ask an origin for one path over connections of one pool. The load is skewed: one thread has
 * four fifths of the fibers at work, and now and then another one; with one thread it has as many
 * as all have together. A tenth of the requests is followed by a pause, so that the number in
 * flight is never still. One line of JSON: what was opened, and why there had to be as many.
 *
 * Usage: pool ADDR:PORT PATH THREADS FIBERS REQUESTS ENGINE(uring|epoll|auto) [SWAP_MS]
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/conn_pool.h"
#include "http/link.h"
#include "leat/address.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "net/stream.h"

enum { THREADS_MAX = 64, SHARE_PERCENT = 80, TIMEOUT_MS = 30000 };

static struct leat_address origin;
static char request[512];
static size_t request_size;
static unsigned threads, fibers;
static long wanted;
static int64_t swap_ns, begun_ns;
static enum leat_engine engine;
static struct conn_pool *pool;
static struct conn_pool_destination *destination;

static _Atomic long requests, in_flight, in_flight_peak, closed_by_origin, errors;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

static int dial(void *user, int64_t deadline_ns)
{
    return stream_connect(&origin, NULL, deadline_ns);
}

/* 0, or what went wrong. `ret_is_last`: the origin said that it will close. */
static int ask(struct pooled_conn *conn, bool *ret_is_last)
{
    const struct leat_vector vector = {.data = request, .size = request_size};
    const int64_t deadline_ns = leat_after_ms(TIMEOUT_MS);
    struct link link;
    char bytes[4096];
    ssize_t size = link_open(&link, conn);
    if (size) {
        conn_pool_give(conn, false);
        return (int)size;
    }
    size = link_ask(&link, &vector, 1, deadline_ns);
    if (size == 0) {
        *ret_is_last = !link.head.head.keep_alive;
        if (link.head.status != 200)
            size = -EPROTO;
        else
            while ((size = link_read(&link, bytes, sizeof bytes, deadline_ns)) > 0)
                ;
    }
    link_close(&link);
    return (int)size;
}

/* No more at a time than with one thread, also while the load moves from one to another. */
static bool take_off(void)
{
    long flying = atomic_load(&in_flight);
    do
        if (flying >= (long)fibers)
            return false;
    while (!atomic_compare_exchange_weak(&in_flight, &flying, flying + 1));
    long peak = atomic_load(&in_flight_peak);
    while (flying >= peak && !atomic_compare_exchange_weak(&in_flight_peak, &peak, flying + 1))
        ;
    return true;
}

/* As a client of ours would: once more, over a new connection, when one that had rested is gone. */
static void request_once(struct conn_pool_shelf *shelf)
{
    enum conn_pool_want want = CONN_POOL_ANY;
    for (;;) {
        struct pooled_conn *conn;
        bool is_last = false;
        int error = conn_pool_take(shelf, destination, want, leat_after_ms(TIMEOUT_MS), &conn);
        const bool has_rested = !error && conn->uses > 1;
        if (!error)
            error = ask(conn, &is_last);
        if (is_last || (error && has_rested))
            atomic_fetch_add(&closed_by_origin, 1);
        if (error && has_rested && want == CONN_POOL_ANY) {
            want = CONN_POOL_FRESH;
            continue;
        }
        if (error && atomic_fetch_add(&errors, 1) == 0)
            fprintf(stderr, "pool: %s\n", leat_error_text(error));
        break;
    }
}

struct worker {
    unsigned thread, fiber;
    struct conn_pool_shelf *shelf;
};

/* How many fibers of this thread are at work now. */
static unsigned share_of(unsigned thread)
{
    if (threads == 1)
        return fibers;
    const unsigned hot =
        swap_ns > 0 ? (unsigned)((leat_now_ns() - begun_ns) / swap_ns % threads) : 0;
    const unsigned most = fibers * SHARE_PERCENT / 100;
    return thread == hot ? most : (fibers - most) / (threads - 1);
}

static void work(void *arg)
{
    const struct worker *worker = arg;
    while (atomic_load(&requests) < wanted && atomic_load(&errors) == 0) {
        if (worker->fiber >= share_of(worker->thread) || !take_off()) {
            leat_sleep_ms(1);
            continue;
        }
        const long number = atomic_fetch_add(&requests, 1);
        if (number < wanted)
            request_once(worker->shelf);
        atomic_fetch_sub(&in_flight, 1);
        if (number % 10 == 0)
            leat_sleep_ms(1);
    }
}

static int work_all(void *arg)
{
    const unsigned thread = *(unsigned *)arg;
    struct worker *workers = calloc(fibers, sizeof *workers);
    struct conn_pool_shelf *shelf = conn_pool_shelf_here(pool);
    struct leat_scope scope;
    int error = workers && shelf ? 0 : -ENOMEM;
    leat_scope_init(&scope);
    for (unsigned fiber = 0; !error && fiber < fibers; fiber++) {
        workers[fiber] = (struct worker){thread, fiber, shelf};
        error = leat_spawn(&scope, work, &workers[fiber], NULL);
    }
    if (!error)
        error = leat_scope_join(&scope, LEAT_FOREVER);
    leat_scope_fini(&scope);
    free(workers);
    return error;
}

static void *run_thread(void *arg)
{
    const struct leat_loop_options options = {.engine = engine};
    const int error = leat_run(work_all, arg, &options);
    if (error) {
        fprintf(stderr, "pool: %s\n", leat_error_text(error));
        atomic_fetch_add(&errors, 1);
    }
    return NULL;
}

static void report(int64_t wall_ns, int64_t cpu_ns)
{
    struct conn_pool_counters counters;
    conn_pool_counters_read(pool, &counters);
    const long closed = atomic_load(&closed_by_origin) + (long)counters.stale;
    const long peak = atomic_load(&in_flight_peak);
    printf("{\"requests\":%ld,\"errors\":%ld,\"seconds\":%.3f,\"cpu_us\":%.3f,\"opened\":%lu,"
           "\"reused\":%lu,\"moved\":%lu,\"evicted\":%lu,\"stale\":%lu,\"closed\":%ld,"
           "\"in_flight_peak\":%ld,\"leased_peak\":%lu,\"ratio\":%.4f}\n",
           wanted, atomic_load(&errors), (double)wall_ns / 1e9,
           (double)cpu_ns / 1e3 / (double)wanted, counters.opened, counters.reused, counters.moved,
           counters.evicted, counters.stale, closed, peak, counters.leased_peak,
           (double)counters.opened / (double)(peak + closed));
}

static bool read_arguments(int argc, char **argv)
{
    const char *reason;
    if (argc < 7 || argc > 8 || leat_address_parse(argv[1], &origin, &reason) != 0)
        return false;
    request_size = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
                                    argv[2], argv[1]);
    threads = (unsigned)strtoul(argv[3], NULL, 10);
    fibers = (unsigned)strtoul(argv[4], NULL, 10);
    wanted = strtol(argv[5], NULL, 10);
    engine = strcmp(argv[6], "uring") == 0   ? LEAT_ENGINE_URING
             : strcmp(argv[6], "epoll") == 0 ? LEAT_ENGINE_EPOLL
                                             : LEAT_ENGINE_AUTO;
    swap_ns = argc > 7 ? strtol(argv[7], NULL, 10) * LEAT_NS_PER_MS : 0;
    return request_size < sizeof request && threads > 0 && threads <= THREADS_MAX && fibers > 0 &&
           wanted > 0 && swap_ns >= 0;
}

int main(int argc, char **argv)
{
    const struct conn_pool_destination_options options = {.name = "origin", .dial = dial};
    unsigned numbers[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    if (!read_arguments(argc, argv)) {
        fprintf(stderr, "usage: pool ADDR:PORT PATH THREADS FIBERS REQUESTS ENGINE [SWAP_MS]\n");
        return 2;
    }
    if (conn_pool_create(NULL, &pool) || conn_pool_add(pool, &options, &destination))
        return EXIT_FAILURE;
    const int64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    begun_ns = clock_ns(CLOCK_MONOTONIC);
    for (unsigned thread = 0; thread < threads; thread++) {
        numbers[thread] = thread;
        if (pthread_create(&ids[thread], NULL, run_thread, &numbers[thread]))
            return EXIT_FAILURE;
    }
    for (unsigned thread = 0; thread < threads; thread++)
        pthread_join(ids[thread], NULL);
    report(clock_ns(CLOCK_MONOTONIC) - begun_ns, clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns);
    conn_pool_destroy(pool);
    return atomic_load(&errors) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
