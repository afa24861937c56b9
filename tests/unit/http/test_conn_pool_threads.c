/* SPDX-License-Identifier: MIT */
/*
 * One pool, several threads, real sockets: what moves between loops is in one loop's hands at a
 * time, limits hold whoever looks, nobody stays in line, and the counters agree with what the
 * origin and the fibers have seen. Made to be run under ThreadSanitizer, too.
 */
#include "../engines.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/conn_pool.h"

enum {
    THREADS = 3,
    FIBERS = 10,    /* a thread */
    REQUESTS = 150, /* a fiber */
    CONNECTIONS_MAX = 12,
    ANSWERS_MAX = 60, /* of a connection; then its origin closes it */
    SIDES_MAX = 64,
    PATIENCE_MS = 60000,
};

/* ---- The origin: a thread that answers a byte with the next one ------------------------------ */

struct origin {
    struct leat_address address;
    int listener, bell[2]; /* closing the bell ends it */
    pthread_t thread;
    struct pollfd sides[SIDES_MAX + 2];
    unsigned answers[SIDES_MAX + 2];
    nfds_t count;
    unsigned accepted, closed, most;
};

static void answer(struct origin *origin, nfds_t index)
{
    uint8_t byte;
    const int fd = origin->sides[index].fd;
    if (read(fd, &byte, 1) == 1 && origin->answers[index]++ < ANSWERS_MAX) {
        byte++;
        (void)!write(fd, &byte, 1);
        return;
    }
    close(fd);
    origin->closed++;
    origin->count--;
    origin->sides[index] = origin->sides[origin->count];
    origin->answers[index] = origin->answers[origin->count];
}

static void *run_origin(void *arg)
{
    struct origin *origin = arg;
    for (;;) {
        poll(origin->sides, origin->count, -1);
        if (origin->sides[1].revents)
            break;
        for (nfds_t index = origin->count; index-- > 2;)
            if (origin->sides[index].revents)
                answer(origin, index);
        if (origin->sides[0].revents & POLLIN && origin->count < SIDES_MAX + 2) {
            const int fd = accept(origin->listener, NULL, NULL);
            origin->sides[origin->count] = (struct pollfd){.fd = fd, .events = POLLIN};
            origin->answers[origin->count++] = 0;
            origin->accepted++;
            if (origin->count - 2 > origin->most)
                origin->most = (unsigned)(origin->count - 2);
        }
    }
    for (nfds_t index = 2; index < origin->count; index++)
        close(origin->sides[index].fd);
    return NULL;
}

static void origin_open(struct origin *origin)
{
    *origin = (struct origin){0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    origin->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(origin->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(origin->listener, SIDES_MAX), 0);
    assert_int_equal(getsockname(origin->listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(
        leat_address_from_sockaddr((struct sockaddr *)&address, size, &origin->address), 0);
    assert_int_equal(pipe(origin->bell), 0);
    origin->sides[0] = (struct pollfd){.fd = origin->listener, .events = POLLIN};
    origin->sides[1] = (struct pollfd){.fd = origin->bell[0], .events = POLLIN};
    origin->count = 2;
    assert_int_equal(pthread_create(&origin->thread, NULL, run_origin, origin), 0);
}

static void origin_close(struct origin *origin)
{
    close(origin->bell[1]);
    pthread_join(origin->thread, NULL);
    close(origin->bell[0]);
    close(origin->listener);
}

/* ---- Threads that ask ------------------------------------------------------------------------ */

struct shared {
    struct origin origin;
    struct conn_pool *pool;
    struct conn_pool_destination *destination;
    enum leat_engine engine;
    _Atomic unsigned answered, gone, late, leased, leased_most, failures;
};

struct asker {
    struct shared *shared;
    unsigned number;
};

static int dial(void *user, int64_t deadline_ns)
{
    const struct shared *shared = user;
    return stream_connect(&shared->origin.address, NULL, deadline_ns);
}

/* 0: the origin was gone before it answered; -1: it answered something else. */
static int ask(struct pooled_conn *conn, uint8_t byte)
{
    uint8_t reply;
    const int64_t deadline_ns = leat_after_ms(PATIENCE_MS);
    if (leat_stream_write(&conn->stream, &byte, 1, deadline_ns) ||
        leat_stream_read(&conn->stream, &reply, 1, deadline_ns) <= 0)
        return 0;
    return reply == (uint8_t)(byte + 1) ? 1 : -1;
}

static void ask_many(void *arg)
{
    const struct asker *asker = arg;
    struct shared *shared = asker->shared;
    struct conn_pool_shelf *shelf = conn_pool_shelf_here(shared->pool);
    for (unsigned round = 0; round < REQUESTS; round++) {
        const bool is_hasty = (asker->number + round) % 16 == 0;
        struct pooled_conn *conn;
        const int error = conn_pool_take(shelf, shared->destination,
                                         round % 50 == 49 ? CONN_POOL_FRESH : CONN_POOL_ANY,
                                         leat_after_ms(is_hasty ? 1 : PATIENCE_MS), &conn);
        if (error) {
            shared->failures += !(error == -ETIMEDOUT && is_hasty);
            shared->late++;
            continue;
        }
        const unsigned leased = ++shared->leased;
        unsigned most = shared->leased_most;
        while (leased > most && !atomic_compare_exchange_weak(&shared->leased_most, &most, leased))
            ;
        const int result = ask(conn, (uint8_t)(asker->number + round));
        shared->failures += result < 0 || (result == 0 && conn->uses == 1);
        shared->answered += result > 0;
        shared->gone += result == 0;
        shared->leased--;
        conn_pool_give(conn, result > 0);
        /* The threads take turns at having much to do. */
        if (round / 30 % THREADS != asker->number % THREADS)
            leat_sleep_ms(1);
    }
}

static int ask_all(void *arg)
{
    struct asker *first = arg, askers[FIBERS];
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (unsigned index = 0; index < FIBERS; index++) {
        askers[index] = (struct asker){first->shared, first->number + index * THREADS};
        if (leat_spawn(&scope, ask_many, &askers[index], NULL))
            first->shared->failures++;
    }
    const int error = leat_scope_join(&scope, LEAT_FOREVER);
    leat_scope_fini(&scope);
    return error;
}

static void *run_asker(void *arg)
{
    struct asker *asker = arg;
    const struct leat_loop_options options = {.engine = asker->shared->engine};
    if (leat_run(ask_all, asker, &options))
        asker->shared->failures++;
    return NULL;
}

/* From another thread, as a page of metrics does. */
static void watch_limits(struct shared *shared)
{
    struct conn_pool_counters counters;
    unsigned looks = 0;
    while (shared->answered + shared->gone + shared->late < THREADS * FIBERS * REQUESTS) {
        conn_pool_destination_counters(shared->destination, &counters);
        assert_true(counters.leased_peak <= CONNECTIONS_MAX);
        assert_int_equal(shared->failures, 0);
        assert_true(++looks < 200 * 1000);
        usleep(500);
    }
}

static void threads_share_body(enum leat_engine engine)
{
    static struct shared shared;
    shared = (struct shared){.engine = engine};
    origin_open(&shared.origin);
    const struct conn_pool_destination_options options = {
        .name = "origin", .dial = dial, .user = &shared, .connections_max = CONNECTIONS_MAX};
    assert_int_equal(conn_pool_create(NULL, &shared.pool), 0);
    assert_int_equal(conn_pool_add(shared.pool, &options, &shared.destination), 0);
    pthread_t threads[THREADS];
    struct asker askers[THREADS];
    for (unsigned index = 0; index < THREADS; index++) {
        askers[index] = (struct asker){&shared, index};
        assert_int_equal(pthread_create(&threads[index], NULL, run_asker, &askers[index]), 0);
    }
    watch_limits(&shared);
    for (unsigned index = 0; index < THREADS; index++)
        pthread_join(threads[index], NULL);
    struct conn_pool_counters counters;
    conn_pool_counters_read(shared.pool, &counters);
    conn_pool_destroy(shared.pool);
    origin_close(&shared.origin);
    print_message("# opened %u, reused %u, moved %u, waited %u, stale %u, evicted %u, late %u\n",
                  (unsigned)counters.opened, (unsigned)counters.reused, (unsigned)counters.moved,
                  (unsigned)counters.waited, (unsigned)counters.stale, (unsigned)counters.evicted,
                  (unsigned)counters.late);
    assert_int_equal(shared.failures, 0);
    assert_int_equal(counters.leased_now + counters.resting_now + counters.waiting_now, 0);
    assert_true(shared.leased_most <= counters.leased_peak);
    assert_true(shared.origin.most <= SIDES_MAX);
    assert_int_equal(counters.opened + counters.reused, shared.answered + shared.gone);
    /* The kernel may have accepted one that the deadline of its dial has ended. */
    assert_in_range(shared.origin.accepted, counters.opened, counters.opened + counters.failed);
    assert_int_equal(counters.opened, counters.stale + counters.evicted + shared.gone);
    assert_true(counters.late <= shared.late);
    assert_true(counters.moved > 0 && counters.reused > counters.opened);
}
ENGINE_TEST(threads_share)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
