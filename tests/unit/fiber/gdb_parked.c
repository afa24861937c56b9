/* SPDX-License-Identifier: MIT */
/*
 * What test_gdb.py looks at: three fibers that wait for different things, each at the end of a
 * chain of calls, and then a breakpoint.
 */
#include <stdlib.h>

#include "leat/fiber.h"

/* Set by nobody: the compiler may not turn the last call of a function into a jump. */
static volatile int calls;

__attribute__((noinline)) static int wait_deep(int depth)
{
    const int result = depth > 0 ? wait_deep(depth - 1) : leat_sleep_until(LEAT_FOREVER);
    calls++;
    return result;
}

static void alice(void *unused)
{
    (void)wait_deep(3);
    calls++;
}

static void bob(void *arg)
{
    int item;
    (void)leat_channel_recv(arg, &item, LEAT_FOREVER);
    calls++;
}

void gdb_stops_here(void);

__attribute__((noinline)) void gdb_stops_here(void)
{
    calls++;
}

static int run_all(void *unused)
{
    struct leat_channel *channel;
    struct leat_scope scope;
    if (leat_channel_create(sizeof(int), 0, &channel) != 0)
        return 1;
    leat_scope_init(&scope);
    if (leat_spawn(&scope, alice, NULL, &(struct leat_fiber_options){.name = "alice"}) != 0 ||
        leat_spawn(&scope, bob, channel, &(struct leat_fiber_options){.name = "bob"}) != 0)
        abort();
    (void)leat_yield();
    if (leat_spawn(&scope, bob, channel, &(struct leat_fiber_options){.name = "not begun"}) != 0)
        abort();
    gdb_stops_here();
    leat_scope_fini(&scope);
    leat_channel_destroy(channel);
    return calls == 8 ? 0 : 1;
}

int main(void)
{
    return leat_run(run_all, NULL, &(struct leat_loop_options){.engine = LEAT_ENGINE_EPOLL});
}
