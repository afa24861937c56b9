/* SPDX-License-Identifier: MIT */
/*
 * What fibers cost. One line of JSON a figure: the median of `rounds` measurements, and their
 * quartiles.
 *
 *   switch_ns                  half a ping-pong of two bare contexts that do nothing else: leave
 *                              one stack, arrive on the other
 *   yield_ns                   one leat_yield among two fibers: the same through the scheduler, its
 *                              share of the loop's turns included
 *   spawn_join_ns              one leat_spawn of a fiber that returns at once and leat_scope_join
 *   spawn_batch_ns             one fiber of 1,000 spawned together and joined once
 *   channel_ns                 one item through a channel of capacity 0, from fiber to fiber
 *   gather_1000_sleeps_cpu_ms  leat_gather of 1,000 sleeps of 1 ms: processor time of the whole
 *                              process, all threads, the kernel's work included
 *
 * All but the first are measured inside a fiber of an ordinary loop, warm (one round before).
 * Usage: fibers [ROUNDS [EPOLL|URING]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fiber/context.h"
#include "leat/error.h"
#include "leat/fiber.h"

enum { ROUNDS_MAX = 1001, REPEATS = 100000, SLEEPS = 1000, BATCH = 1000 };

static unsigned rounds = 31;

static double clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Measures `rounds` times, after one that only warms up; each reports time over `unit`. */
static void measure(const char *name, clockid_t clock, double unit, void (*fn)(void))
{
    static double times[ROUNDS_MAX];
    fn();
    for (unsigned round = 0; round < rounds; round++) {
        const double begin = clock_ns(clock);
        fn();
        times[round] = (clock_ns(clock) - begin) / unit;
    }
    qsort(times, rounds, sizeof times[0], compare);
    printf("{\"name\":\"%s\",\"median\":%.3f,\"q1\":%.3f,\"q3\":%.3f,\"rounds\":%u}\n", name,
           times[rounds / 2], times[rounds / 4], times[rounds * 3 / 4], rounds);
    fflush(stdout);
}

static struct context here, there;
static char stack[64 * 1024];

static void answer(void *unused)
{
    for (;;)
        context_switch(&there, &here);
}

static void ping_pong(void)
{
    for (int i = 0; i < REPEATS; i++)
        context_switch(&here, &there);
}

static void give_way(void *unused)
{
    for (int i = 0; i < REPEATS; i++)
        (void)leat_yield();
}

static void yield_two(void)
{
    struct leat_scope scope;
    leat_scope_init(&scope);
    (void)leat_spawn(&scope, give_way, NULL, NULL);
    (void)leat_spawn(&scope, give_way, NULL, NULL);
    (void)leat_scope_join(&scope, LEAT_FOREVER);
    leat_scope_fini(&scope);
}

static void nothing(void *unused)
{
}

static void spawn_join(void)
{
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (int i = 0; i < REPEATS; i++) {
        (void)leat_spawn(&scope, nothing, NULL, NULL);
        (void)leat_scope_join(&scope, LEAT_FOREVER);
    }
    leat_scope_fini(&scope);
}

static void spawn_batch(void)
{
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (int i = 0; i < REPEATS; i += BATCH) {
        for (int j = 0; j < BATCH; j++)
            (void)leat_spawn(&scope, nothing, NULL, NULL);
        (void)leat_scope_join(&scope, LEAT_FOREVER);
    }
    leat_scope_fini(&scope);
}

static struct leat_channel *channel;

static void feed(void *unused)
{
    for (int i = 0; i < REPEATS; i++)
        (void)leat_channel_send(channel, &i, LEAT_FOREVER);
}

static void pass_items(void)
{
    struct leat_scope scope;
    int item;
    leat_scope_init(&scope);
    (void)leat_spawn(&scope, feed, NULL, NULL);
    for (int i = 0; i < REPEATS; i++)
        (void)leat_channel_recv(channel, &item, LEAT_FOREVER);
    leat_scope_fini(&scope);
}

static int sleep_a_little(void *unused)
{
    return leat_sleep_ms(1);
}

static void gather_sleeps(void)
{
    static struct leat_call calls[SLEEPS];
    for (int i = 0; i < SLEEPS; i++)
        calls[i] = (struct leat_call){.fn = sleep_a_little};
    if (leat_gather(calls, SLEEPS, NULL) != 0)
        abort();
}

static int measure_fibers(void *unused)
{
    const int error = leat_channel_create(sizeof(int), 0, &channel);
    if (error)
        return error;
    measure("yield_ns", CLOCK_MONOTONIC, 2.0 * REPEATS, yield_two);
    measure("spawn_join_ns", CLOCK_MONOTONIC, REPEATS, spawn_join);
    measure("spawn_batch_ns", CLOCK_MONOTONIC, REPEATS, spawn_batch);
    measure("channel_ns", CLOCK_MONOTONIC, REPEATS, pass_items);
    measure("gather_1000_sleeps_cpu_ms", CLOCK_PROCESS_CPUTIME_ID, 1e6, gather_sleeps);
    leat_channel_destroy(channel);
    return 0;
}

int main(int argc, char **argv)
{
    struct leat_loop_options options = {.engine = LEAT_ENGINE_AUTO};
    if (argc > 1)
        rounds = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        options.engine = strcmp(argv[2], "EPOLL") == 0 ? LEAT_ENGINE_EPOLL : LEAT_ENGINE_URING;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: fibers [ROUNDS [EPOLL|URING]], ROUNDS from 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    context_make(&there, stack, sizeof stack, answer, NULL);
    measure("switch_ns", CLOCK_MONOTONIC, 2.0 * REPEATS, ping_pong);
    const int error = leat_run(measure_fibers, NULL, &options);
    if (error)
        fprintf(stderr, "fibers: %s\n", leat_error_text(error));
    return error ? 1 : 0;
}
