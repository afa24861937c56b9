/* SPDX-License-Identifier: MIT */
/*
 * What the sanitizers and Valgrind must be told of our stacks, in one place: elsewhere is no
 * #ifdef. Without them all of this is nothing. Each flow of control (a fiber, and the loop's own
 * thread) has a `sanitize_flow`, each mapped stack a `sanitize_stack`.
 */
#ifndef FIBER_SANITIZE_H
#define FIBER_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZE_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZE_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SANITIZE_TSAN 1
#endif

#if defined(SANITIZE_ASAN)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(SANITIZE_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define SANITIZE_VALGRIND 1
#endif

/* A function that reads memory which is poisoned, and may. */
#define SANITIZE_EXEMPT __attribute__((no_sanitize("address"), noinline))

struct sanitize_flow {
#if defined(SANITIZE_ASAN)
    void *fake_stack; /* its frames for use-after-return, while it does not run */
    void *low;
    size_t size;
#endif
#if defined(SANITIZE_TSAN)
    void *fiber;
#endif
};

struct sanitize_stack {
#if defined(SANITIZE_VALGRIND)
    unsigned id;
#endif
};

/* The flow that runs now, on the thread's own stack. */
static inline void sanitize_flow_of_thread(struct sanitize_flow *flow)
{
    *flow = (struct sanitize_flow){};
#if defined(SANITIZE_ASAN)
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &flow->low, &flow->size);
        pthread_attr_destroy(&attributes);
    }
#endif
#if defined(SANITIZE_TSAN)
    flow->fiber = __tsan_get_current_fiber();
#endif
}

/* A flow that will begin on the stack [low, low + size). */
static inline void sanitize_flow_init(struct sanitize_flow *flow, void *low, size_t size)
{
    *flow = (struct sanitize_flow){};
#if defined(SANITIZE_ASAN)
    flow->low = low;
    flow->size = size;
#endif
#if defined(SANITIZE_TSAN)
    flow->fiber = __tsan_create_fiber(0);
#endif
}

/* It has ended, and another runs. */
static inline void sanitize_flow_fini(struct sanitize_flow *flow)
{
#if defined(SANITIZE_TSAN)
    __tsan_destroy_fiber(flow->fiber);
#endif
}

/* Right before the switch. `ends`: `from` will never run again. */
static inline void sanitize_leave(struct sanitize_flow *from, const struct sanitize_flow *to,
                                  bool ends)
{
#if defined(SANITIZE_ASAN)
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->low, to->size);
#endif
#if defined(SANITIZE_TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* Right after it, in the flow that runs now: also the first thing a new one does. */
static inline void sanitize_arrive(struct sanitize_flow *flow)
{
#if defined(SANITIZE_ASAN)
    __sanitizer_finish_switch_fiber(flow->fake_stack, NULL, NULL);
#endif
}

static inline void sanitize_stack_mapped(struct sanitize_stack *stack, void *low, size_t size)
{
    *stack = (struct sanitize_stack){};
#if defined(SANITIZE_VALGRIND)
    stack->id = VALGRIND_STACK_REGISTER(low, (char *)low + size - 1);
#endif
}

static inline void sanitize_stack_unmapped(struct sanitize_stack *stack)
{
#if defined(SANITIZE_VALGRIND)
    VALGRIND_STACK_DEREGISTER(stack->id);
#endif
}

/* Nobody may touch it until sanitize_allow. */
static inline void sanitize_forbid(void *data, size_t size)
{
#if defined(SANITIZE_ASAN)
    ASAN_POISON_MEMORY_REGION(data, size);
#endif
}

static inline void sanitize_allow(void *data, size_t size)
{
#if defined(SANITIZE_ASAN)
    ASAN_UNPOISON_MEMORY_REGION(data, size);
#endif
}

#endif
