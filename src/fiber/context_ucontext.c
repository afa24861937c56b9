/* SPDX-License-Identifier: MIT */
/*
 * The context switch through ucontext(3): for machines we have no assembler for, and the oracle
 * that tests/unit/fiber/test_context.c compares ours with. It saves the signal mask too, at the
 * price of a system call a switch. What does not run lies on its own stack, as with ours.
 */
#include "fiber/context.h"

#include <stdint.h>
#include <ucontext.h>

#include "base/assert.h"

/* At the top of a new context's stack. */
struct beginning {
    ucontext_t ucontext;
    void (*entry)(void *arg);
    void *arg;
};

/* makecontext(3) hands on int arguments alone. */
static void begin(unsigned high, unsigned low)
{
    const struct beginning *beginning =
        (const struct beginning *)(((uintptr_t)high << 16 << 16) | (uintptr_t)low);
    beginning->entry(beginning->arg);
    ASSERT(!"an entry never returns");
}

void context_make(struct context *context, void *low, size_t size, void (*entry)(void *arg),
                  void *arg)
{
    ASSERT(size >= 2 * sizeof(struct beginning) && entry);
    const uintptr_t top = ((uintptr_t)low + size - sizeof(struct beginning)) & ~(uintptr_t)63;
    struct beginning *beginning = (struct beginning *)top;
    beginning->entry = entry;
    beginning->arg = arg;
    const int failed = getcontext(&beginning->ucontext);
    ASSERT(failed == 0);
    beginning->ucontext.uc_stack.ss_sp = low;
    beginning->ucontext.uc_stack.ss_size = top - (uintptr_t)low;
    beginning->ucontext.uc_link = NULL;
    makecontext(&beginning->ucontext, (void (*)(void))begin, 2, (unsigned)(top >> 16 >> 16),
                (unsigned)top);
    context->stack_pointer = &beginning->ucontext;
}

void context_switch(struct context *from, const struct context *to)
{
    ucontext_t here;
    const ucontext_t *there = to->stack_pointer;
    from->stack_pointer = &here;
    const int failed = swapcontext(&here, there);
    ASSERT(failed == 0);
}
