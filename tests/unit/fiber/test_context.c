/* SPDX-License-Identifier: MIT */
/*
 * Our context switch against ucontext(3): the same programs run on both, and leave the same trace.
 */
#include "fiber/context.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "run.h"

/* The oracle, under names of its own. */
void oracle_make(struct context *context, void *low, size_t size, void (*entry)(void *arg),
                 void *arg);
void oracle_switch(struct context *from, const struct context *to);
#define context_make oracle_make
#define context_switch oracle_switch
#include "fiber/context_ucontext.c"
#undef context_make
#undef context_switch

static void own_switch(struct context *from, const struct context *to)
{
    context_switch(from, to);
}

struct kind {
    void (*make)(struct context *, void *, size_t, void (*)(void *), void *);
    void (*change)(struct context *, const struct context *);
};

static const struct kind kinds[] = {{context_make, own_switch}, {oracle_make, oracle_switch}};

enum { FLOWS = 3, STACK_SIZE = 64 * 1024, STEPS = 20 };

/* Under ASan the switches here go unannounced; it only minds when it unwinds. */
static char stacks[FLOWS][STACK_SIZE] __attribute__((aligned(16)));

static struct {
    const struct kind *kind;
    struct context main, flows[FLOWS];
    char trace[4096];
    size_t trace_size;
} world;

__attribute__((format(printf, 1, 2))) static void trace(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t room = sizeof world.trace - world.trace_size;
    const int size = vsnprintf(world.trace + world.trace_size, room, format, arguments);
    va_end(arguments);
    assert_true(size > 0 && (size_t)size < room);
    world.trace_size += (size_t)size;
}

/* ---- Programs -------------------------------------------------------------------------------- */

/* Locals of every register class live across the switches; each flow computes its own sequence. */
static void compute(void *arg)
{
    const size_t self = (size_t)(uintptr_t)arg;
    uint64_t a = self + 1, b = 3, c = 5, d = 7, e = 11, f = 13, g = 17, h = 19;
    double x = 1.0 + (double)self, y = 0.5;
    for (int step = 0; step < STEPS; step++) {
        a = a * 31 + b, b ^= c << 1, c += d, d = d * 7 + e, e ^= f, f += g, g = g * 3 + h, h ^= a;
        x = x * 1.5 + y, y = y / 3 + x;
        trace("%zu:%d:%llx:%a\n", self, step, (unsigned long long)(a ^ b ^ c ^ d ^ e ^ f ^ g ^ h),
              x + y);
        world.kind->change(&world.flows[self], &world.main);
    }
    for (;;)
        world.kind->change(&world.flows[self], &world.main);
}

static void program_registers(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < FLOWS; i++)
        world.kind->make(&world.flows[i], stacks[i], STACK_SIZE, compute, (void *)(uintptr_t)i);
    for (unsigned step = 0; step < FLOWS * STEPS; step++) {
        sum = sum * 33 + step;
        world.kind->change(&world.main, &world.flows[step * 7 % FLOWS]);
    }
    trace("sum %llx\n", (unsigned long long)sum);
}

/* Each flow sets a rounding mode of its own (MXCSR and x87) and finds it again. */
static void round_our_way(void *arg)
{
    static const int modes[FLOWS] = {FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    const size_t self = (size_t)(uintptr_t)arg;
    trace("inherits %d\n", fegetround());
    fesetround(modes[self]);
    for (;;) {
        volatile double one = 1, three = 3;
        volatile long double long_one = 1, long_three = 3;
        trace("%zu: %d %a %La %g\n", self, fegetround(), one / three, long_one / long_three,
              rint(one / three - 1));
        world.kind->change(&world.flows[self], &world.main);
    }
}

static void program_rounding(void)
{
    fesetround(FE_UPWARD);
    for (size_t i = 0; i < FLOWS; i++)
        world.kind->make(&world.flows[i], stacks[i], STACK_SIZE, round_our_way,
                         (void *)(uintptr_t)i);
    fesetround(FE_TONEAREST);
    for (unsigned step = 0; step < FLOWS * 4; step++) {
        world.kind->change(&world.main, &world.flows[step * 5 % FLOWS]);
        trace("main: %d\n", fegetround());
    }
}

/* Flows hand over to each other and not to the main one. */
static void pass_on(void *arg)
{
    const size_t self = (size_t)(uintptr_t)arg;
    for (int step = 0;; step++) {
        trace("%zu/%d ", self, step);
        const struct context *next = &world.flows[(self + 1) % FLOWS];
        world.kind->change(&world.flows[self], step == STEPS && self == 1 ? &world.main : next);
    }
}

static void program_ring(void)
{
    for (size_t i = 0; i < FLOWS; i++)
        world.kind->make(&world.flows[i], stacks[i], STACK_SIZE - 16 * i, pass_on,
                         (void *)(uintptr_t)i);
    world.kind->change(&world.main, &world.flows[0]);
    trace("back\n");
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void compare(void (*program)(void))
{
    static char expected[sizeof world.trace];
    memset(&world, 0, sizeof world);
    world.kind = &kinds[1];
    program();
    memcpy(expected, world.trace, sizeof expected);
    assert_true(world.trace_size > 0);

    sanitize_allow(stacks, sizeof stacks); /* the frames that were left there for good */
    memset(&world, 0, sizeof world);
    world.kind = &kinds[0];
    program();
    sanitize_allow(stacks, sizeof stacks);
    assert_string_equal(world.trace, expected);
}

static void test_registers(void **state)
{
    compare(program_registers);
}

static void test_rounding(void **state)
{
    compare(program_rounding);
    assert_int_equal(fegetround(), FE_TONEAREST);
}

static void test_ring(void **state)
{
    compare(program_ring);
}

/* The first frame of a flow is aligned as after a call: SSE stores and va_arg rely on it. */
static void look_at_alignment(void *arg)
{
    uintptr_t *ret_frame = arg;
    *ret_frame = (uintptr_t)__builtin_frame_address(0);
    for (;;)
        own_switch(&world.flows[0], &world.main);
}

static void test_alignment(void **state)
{
    for (size_t odd = 0; odd < 64; odd += 8) {
        uintptr_t frame = 1;
        context_make(&world.flows[0], stacks[0], STACK_SIZE - odd, look_at_alignment, &frame);
        own_switch(&world.main, &world.flows[0]);
        assert_int_equal(frame % 16, 0);
        assert_true(frame > (uintptr_t)stacks[0] && frame < (uintptr_t)stacks[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
