/* SPDX-License-Identifier: MIT */
/*
 * Listeners: every connection reaches somebody, once; those who wait are told when it closes; out
 * of descriptors it pauses; several loops share an address.
 */
#include "pair.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "net/listener.h"

/* ---- Accepting ------------------------------------------------------------------------------- */

enum { CLIENTS = 300, ACCEPTORS = 8 };

static unsigned accepted;

/* Tells each client which number it has. */
static int accept_some(void *arg)
{
    struct leat_listener *listener = arg;
    struct leat_stream *stream;
    for (;;) {
        const int error = leat_accept(listener, soon(), &stream);
        if (error)
            return error == -LEAT_E_CLOSED ? 0 : error;
        const uint32_t number = accepted++;
        assert_int_equal(leat_stream_write(stream, &number, sizeof number, soon()), 0);
        leat_stream_close(stream);
    }
}

struct visit {
    struct leat_listener *listener;
    bool *seen;
};

static int visit_all(void *arg)
{
    static struct leat_stream *streams[CLIENTS];
    const struct visit *visit = arg;
    for (unsigned index = 0; index < CLIENTS; index++)
        assert_int_equal(
            leat_connect(leat_listener_address(visit->listener), NULL, soon(), &streams[index]), 0);
    for (unsigned index = 0; index < CLIENTS; index++) {
        uint32_t number = CLIENTS;
        const int error = leat_stream_read_exactly(streams[index], &number, sizeof number, soon());
        if (error)
            fail_msg("connection %u of %u: %s", index, CLIENTS, leat_error_text(error));
        assert_in_range(number, 0, CLIENTS - 1);
        assert_false(visit->seen[number]);
        visit->seen[number] = true;
        leat_stream_close(streams[index]);
    }
    leat_listener_close(visit->listener);
    return 0;
}

static void serve_clients(unsigned acceptors)
{
    bool seen[CLIENTS] = {false};
    struct visit visit = {listen_somewhere(NULL), seen};
    struct leat_call calls[ACCEPTORS + 1] = {{.fn = visit_all, .arg = &visit}};
    accepted = 0;
    for (unsigned index = 1; index <= acceptors; index++)
        calls[index] = (struct leat_call){.fn = accept_some, .arg = visit.listener};
    assert_int_equal(leat_gather(calls, acceptors + 1, NULL), 0);
    assert_int_equal(accepted, CLIENTS);
}

static int many_fibers_accept_fiber(void *arg)
{
    serve_clients(ACCEPTORS);
    return 0;
}
FIBER_ENGINE_TEST(many_fibers_accept)

static int one_fiber_accepts_fiber(void *arg)
{
    serve_clients(1);
    return 0;
}
FIBER_ENGINE_TEST(one_fiber_accepts)

/* More come at once than the listener holds for its fibers: the rest waits in the kernel. */
static int a_burst_before_the_first_accept_fiber(void *arg)
{
    static struct leat_stream *streams[CLIENTS];
    struct leat_listener *listener = listen_somewhere(NULL);
    struct leat_stream *stream;
    char byte;
    for (unsigned index = 0; index < CLIENTS; index++)
        assert_int_equal(
            leat_connect(leat_listener_address(listener), NULL, soon(), &streams[index]), 0);
    for (unsigned index = 0; index < CLIENTS; index++) {
        assert_int_equal(leat_accept(listener, soon(), &stream), 0);
        assert_int_equal(leat_stream_write(stream, "x", 1, soon()), 0);
        leat_stream_close(stream);
        if (index % 50 == 0)
            assert_int_equal(leat_sleep_ms(2), 0); /* a slow one: the queue fills */
    }
    for (unsigned index = 0; index < CLIENTS; index++) {
        assert_int_equal(leat_stream_read(streams[index], &byte, 1, soon()), 1);
        leat_stream_close(streams[index]);
    }
    leat_listener_close(listener);
    return 0;
}
FIBER_ENGINE_TEST(a_burst_before_the_first_accept)

static void close_soon(void *arg)
{
    leat_sleep_ms(10);
    leat_listener_close(arg);
}

static int wait_for_close(void *arg)
{
    struct leat_stream *stream;
    return leat_accept(arg, soon(), &stream);
}

static int closing_tells_who_waits_fiber(void *arg)
{
    struct leat_listener *listener = listen_somewhere(NULL);
    const struct leat_address address = *leat_listener_address(listener);
    struct leat_call calls[5];
    struct leat_scope scope;
    leat_scope_init(&scope);
    assert_int_equal(leat_spawn(&scope, close_soon, listener, NULL), 0);
    for (unsigned index = 0; index < 5; index++)
        calls[index] = (struct leat_call){.fn = wait_for_close, .arg = listener};
    const struct leat_gather_options wait = {.on_error = LEAT_GATHER_WAIT};
    leat_gather(calls, 5, &wait);
    for (unsigned index = 0; index < 5; index++)
        assert_int_equal(calls[index].result, -LEAT_E_CLOSED);
    leat_scope_fini(&scope);
    leat_listener_close(NULL);
    /* Once the loop has come round, nobody listens there any more. */
    assert_int_equal(leat_sleep_ms(5), 0);
    struct leat_stream *stream;
    assert_int_equal(leat_connect(&address, NULL, soon(), &stream), -ECONNREFUSED);
    return 0;
}
FIBER_ENGINE_TEST(closing_tells_who_waits)

/* A listener is closed as the last thing, its operation under way. */
static int closed_at_the_very_end_fiber(void *arg)
{
    struct leat_listener *listener = listen_somewhere(NULL);
    struct leat_stream *stream;
    assert_int_equal(leat_accept(listener, leat_after_ms(5), &stream), -ETIMEDOUT);
    leat_listener_close(listener);
    return 0;
}
FIBER_ENGINE_TEST(closed_at_the_very_end)

static int waiting_may_end_fiber(void *arg)
{
    struct leat_listener *listener = listen_somewhere(NULL);
    struct leat_stream *stream, *client;
    assert_int_equal(leat_accept(listener, 1, &stream), -ETIMEDOUT);
    assert_int_equal(leat_accept(listener, leat_after_ms(10), &stream), -ETIMEDOUT);
    struct leat_call call = {.fn = wait_for_close, .arg = listener};
    const struct leat_gather_options options = {.deadline_ns = leat_after_ms(10)};
    leat_gather(&call, 1, &options);
    assert_int_equal(call.result, -ECANCELED);
    /* Who comes meanwhile is kept for who asks next. */
    assert_int_equal(leat_connect(leat_listener_address(listener), NULL, soon(), &client), 0);
    assert_int_equal(leat_sleep_ms(5), 0);
    assert_int_equal(leat_accept(listener, leat_after_ms(1000), &stream), 0);
    leat_stream_close(stream);
    leat_stream_close(client);
    leat_listener_close(listener);
    return 0;
}
FIBER_ENGINE_TEST(waiting_may_end)

/* ---- Addresses ------------------------------------------------------------------------------- */

static int where_it_listens_fiber(void *arg)
{
    struct leat_listener *listener = listen_somewhere(NULL), *second = NULL;
    struct leat_address address = *leat_listener_address(listener);
    const unsigned before = open_descriptors();
    assert_int_not_equal(leat_address_port(&address), 0);
    assert_int_equal(leat_listen(&address, NULL, &second), -EADDRINUSE);
    assert_int_equal(leat_address_parse("192.0.2.1:0", &address, NULL), 0);
    assert_int_equal(leat_listen(&address, NULL, &second), -EADDRNOTAVAIL);
    assert_null(second);
    assert_int_equal(open_descriptors(), before);
    leat_listener_close(listener);
    return 0;
}
FIBER_ENGINE_TEST(where_it_listens)

static void greet(const struct leat_address *address, struct leat_listener *listener)
{
    struct pair pair;
    char byte;
    assert_int_equal(leat_connect(address, NULL, soon(), &pair.here), 0);
    assert_int_equal(leat_accept(listener, soon(), &pair.there), 0);
    assert_int_equal(leat_stream_write(pair.there, "x", 1, soon()), 0);
    assert_int_equal(leat_stream_read(pair.here, &byte, 1, soon()), 1);
    pair_close(&pair);
}

static int inherited_fiber(void *arg)
{
    struct leat_address address;
    struct leat_listener *listener;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(leat_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(bind(fd, &address.base, address.size), 0);
    assert_int_equal(listen(fd, 16), 0);
    const struct leat_listen_options options = {.inherited_fd = fd};
    assert_int_equal(leat_listen(&address, &options, &listener), 0);
    assert_int_not_equal(leat_address_port(leat_listener_address(listener)), 0);
    greet(leat_listener_address(listener), listener);
    leat_listener_close(listener);
    return 0;
}
FIBER_ENGINE_TEST(inherited)

static int unix_sockets_fiber(void *arg)
{
    struct leat_address address;
    struct leat_listener *listener, *second;
    struct folder folder;
    char text[LEAT_ADDRESS_TEXT_SIZE], back[LEAT_ADDRESS_TEXT_SIZE];
    folder_make(&folder);
    snprintf(text, sizeof text, "unix:%s", folder_path(&folder, "sock"));
    assert_int_equal(leat_address_parse(text, &address, NULL), 0);
    assert_int_equal(leat_listen(&address, NULL, &listener), 0);
    assert_string_equal(leat_address_format(leat_listener_address(listener), back), text);
    greet(&address, listener);
    assert_int_equal(leat_listen(&address, NULL, &second), -EADDRINUSE);
    leat_listener_close(listener);
    folder_remove(&folder);
    return 0;
}
FIBER_ENGINE_TEST(unix_sockets)

/* ---- Closed while some are on their way ------------------------------------------------------ */

struct guests {
    unsigned accepted;
    bool is_over;
};

static void let_in(void *user, int fd)
{
    struct guests *guests = user;
    assert_false(guests->is_over);
    guests->accepted++;
    close(fd);
}

static void be_over(void *user)
{
    struct guests *guests = user;
    guests->is_over = true;
}

/* Whoever is accepted is handed over; the others stay in the queue, which somebody else has too. */
static int closed_gently_fiber(void *arg)
{
    enum { WAITING = 20 };
    struct guests guests = {0};
    struct leat_listener *listener = listen_somewhere(NULL);
    const struct leat_address address = *leat_listener_address(listener);
    const int heir = dup(leat_listener_fd(listener));
    int clients[WAITING];
    for (unsigned index = 0; index < WAITING; index++) {
        clients[index] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(clients[index], &address.base, address.size), 0);
    }
    listener_start(listener, let_in, &guests);
    listener_close_gently(listener, be_over);
    for (unsigned count = 0; !guests.is_over && count < 1000; count++)
        leat_sleep_ms(1);
    assert_true(guests.is_over);

    unsigned left = 0;
    assert_int_equal(fcntl(heir, F_SETFL, O_NONBLOCK), 0);
    for (int fd; (fd = accept(heir, NULL, NULL)) >= 0; left++)
        close(fd);
    assert_int_equal(guests.accepted + left, WAITING);
    for (unsigned index = 0; index < WAITING; index++)
        close(clients[index]);
    close(heir);
    return 0;
}
FIBER_ENGINE_TEST(closed_gently)

/* io_uring waits for a shared socket in a line of which the kernel wakes the first alone: whoever
 * it has told of a connection takes it, or nobody would before the next one comes. */
static int closed_when_told_fiber(void *arg)
{
    struct guests guests = {0};
    struct leat_listener *listener = listen_somewhere(NULL);
    const struct leat_address address = *leat_listener_address(listener);
    const int heir = dup(leat_listener_fd(listener));
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    listener_start(listener, let_in, &guests);
    leat_sleep_ms(5); /* it waits in the kernel */
    assert_int_equal(connect(client, &address.base, address.size), 0);
    listener_close_gently(listener, be_over);
    for (unsigned count = 0; !guests.is_over && count < 1000; count++)
        leat_sleep_ms(1);
    assert_true(guests.is_over);
    if (strcmp(leat_loop_engine(leat_loop_current()), "uring") == 0)
        assert_int_equal(guests.accepted, 1);
    close(client);
    close(heir);
    return 0;
}
FIBER_ENGINE_TEST(closed_when_told)

/* ---- Out of descriptors ---------------------------------------------------------------------- */

static int out_of_descriptors_fiber(void *arg)
{
    enum { WAITING = 5 };
    struct leat_listener *listener = listen_somewhere(NULL);
    struct leat_stream *clients[WAITING], *stream;
    for (unsigned index = 0; index < WAITING; index++)
        CHILD_EXPECT(leat_connect(leat_listener_address(listener), NULL, soon(), &clients[index]) ==
                     0);
    run_out_of_descriptors();
    const uint64_t turns = loop_current->counters.turns;
    CHILD_EXPECT(leat_accept(listener, leat_after_ms(3 * LISTENER_PAUSE_MS), &stream) ==
                 -ETIMEDOUT);
    CHILD_EXPECT(loop_current->counters.turns - turns < 40); /* it slept */
    have_descriptors_again();
    const int64_t begin_ns = leat_now_ns();
    for (unsigned index = 0; index < WAITING; index++) {
        CHILD_EXPECT(leat_accept(listener, soon(), &stream) == 0);
        leat_stream_close(stream);
        leat_stream_close(clients[index]);
    }
    CHILD_EXPECT(leat_now_ns() - begin_ns < 3 * LISTENER_PAUSE_MS * LEAT_NS_PER_MS);
    /* And closed while it pauses. */
    const struct leat_address *address = leat_listener_address(listener);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    run_out_of_descriptors();
    CHILD_EXPECT(connect(client, &address->base, address->size) == 0);
    const int error = leat_accept(listener, leat_after_ms(10), &stream);
    CHILD_EXPECT(error == -ETIMEDOUT || error == 0);
    if (!error) /* io_uring goes by the limit of when the operation was armed */
        leat_stream_close(stream);
    leat_listener_close(listener);
    close(client);
    return 0;
}

static void out_of_descriptors_body(enum leat_engine engine)
{
    in_a_child(engine, out_of_descriptors_fiber);
}
ENGINE_TEST(out_of_descriptors)

/* ---- Several listeners ----------------------------------------------------------------------- */

struct worker {
    enum leat_engine engine;
    struct leat_address address; /* port 0: the first one takes it */
    unsigned index, count;
    bool steers;
    sem_t is_listening;
    struct leat_loop *loop;
    unsigned accepted;
};

static int work(void *arg)
{
    struct worker *worker = arg;
    const struct leat_listen_options options = {
        .reuse_port = true, .steer_by_cpu = worker->steers, .steer_count = worker->count};
    struct leat_listener *listener;
    const int error = leat_listen(&worker->address, &options, &listener);
    if (!error) {
        worker->address = *leat_listener_address(listener);
        worker->loop = leat_loop_current();
    }
    sem_post(&worker->is_listening);
    if (error)
        return error;
    struct leat_stream *stream;
    const char name = (char)worker->index;
    while (leat_accept(listener, LEAT_FOREVER, &stream) == 0) {
        worker->accepted++;
        leat_stream_write(stream, &name, 1, soon());
        leat_stream_close(stream);
    }
    leat_listener_close(listener);
    return 0;
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    const struct leat_loop_options options = {.engine = worker->engine};
    leat_run(work, worker, &options);
    return NULL;
}

static void start_workers(struct worker *workers, pthread_t *threads, unsigned count,
                          enum leat_engine engine, bool steers)
{
    for (unsigned index = 0; index < count; index++) {
        workers[index] =
            (struct worker){.engine = engine, .index = index, .count = count, .steers = steers};
        assert_int_equal(leat_address_parse("127.0.0.1:0", &workers[index].address, NULL), 0);
        if (index > 0)
            workers[index].address = workers[0].address;
        sem_init(&workers[index].is_listening, 0, 0);
        assert_int_equal(pthread_create(&threads[index], NULL, run_worker, &workers[index]), 0);
        sem_wait(&workers[index].is_listening);
        assert_non_null(workers[index].loop);
    }
}

static void stop_workers(struct worker *workers, const pthread_t *threads, unsigned count)
{
    for (unsigned index = 0; index < count; index++) {
        leat_loop_stop(workers[index].loop);
        pthread_join(threads[index], NULL);
        sem_destroy(&workers[index].is_listening);
    }
}

/* Connects with the kernel's own calls and returns who answered. */
static unsigned ask_who(const struct leat_address *address)
{
    char name = -1;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, &address->base, address->size), 0);
    assert_int_equal(read(fd, &name, 1), 1);
    close(fd);
    return (unsigned)name;
}

static void two_threads_share_an_address_body(enum leat_engine engine)
{
    struct worker workers[2];
    pthread_t threads[2];
    unsigned answers[2] = {0};
    start_workers(workers, threads, 2, engine, false);
    for (unsigned index = 0; index < 200; index++)
        answers[ask_who(&workers[0].address)]++;
    stop_workers(workers, threads, 2);
    for (unsigned index = 0; index < 2; index++) {
        assert_int_equal(workers[index].accepted, answers[index]);
        assert_true(answers[index] > 20);
    }
}
ENGINE_TEST(two_threads_share_an_address)

/* Who connects from a core (on loopback the SYN is handled where it was sent) reaches its
 * listener. */
static void steered_by_cpu_body(enum leat_engine engine)
{
    cpu_set_t allowed, one;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    if (sysconf(_SC_NPROCESSORS_CONF) < 2 || !CPU_ISSET(0, &allowed) || !CPU_ISSET(1, &allowed)) {
        print_message("# two cores are wanted to see that connections are steered\n");
        return;
    }
    struct worker workers[2];
    pthread_t threads[2];
    start_workers(workers, threads, 2, engine, true);
    for (unsigned round = 0; round < 20; round++) {
        CPU_ZERO(&one);
        CPU_SET(round % 2, &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        assert_int_equal(ask_who(&workers[0].address), round % 2);
    }
    assert_int_equal(sched_setaffinity(0, sizeof allowed, &allowed), 0);
    stop_workers(workers, threads, 2);
}
ENGINE_TEST(steered_by_cpu)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_fibers_accept),
        cmocka_unit_test(test_one_fiber_accepts),
        cmocka_unit_test(test_a_burst_before_the_first_accept),
        cmocka_unit_test(test_closing_tells_who_waits),
        cmocka_unit_test(test_closed_at_the_very_end),
        cmocka_unit_test(test_waiting_may_end),
        cmocka_unit_test(test_where_it_listens),
        cmocka_unit_test(test_inherited),
        cmocka_unit_test(test_unix_sockets),
        cmocka_unit_test(test_closed_gently),
        cmocka_unit_test(test_closed_when_told),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_two_threads_share_an_address),
        cmocka_unit_test(test_steered_by_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
