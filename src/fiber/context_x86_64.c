/* SPDX-License-Identifier: MIT */
/*
 * A new context for x86-64: the frame that context_x86_64.S expects to find, as if
 * context_begin had called it.
 */
#include "fiber/context.h"

#include <stdint.h>

#include "base/assert.h"

struct frame {
    uint32_t mxcsr;
    uint16_t x87_control;
    uint16_t unused;
    void *r15, *r14, *r13, *r12, *rbx, *rbp;
    const char *rip;
};

static_assert(sizeof(struct frame) == 64, "context_x86_64.S pops 64 bytes");
static_assert(offsetof(struct frame, r15) == 8 && offsetof(struct frame, rip) == 56, "as it pops");

extern const char context_begin[]; /* code: a nop, and then where it begins */

void context_make(struct context *context, void *low, size_t size, void (*entry)(void *arg),
                  void *arg)
{
    ASSERT(size >= 1024 && entry);
    /* "the value (%rsp + 16) is a multiple of 16" at a call (ABI, section 3.2.2): when the frame is
     * popped the stack pointer is its end, and there context_begin makes its call. */
    const uintptr_t top = ((uintptr_t)low + size) & ~(uintptr_t)15;
    struct frame *frame = (struct frame *)(top - sizeof *frame);
    *frame = (struct frame){
        .r12 = (void *)(uintptr_t)entry,
        .r13 = arg,
        .rip = context_begin + 1,
    };
    __asm__("stmxcsr %0\n\tfnstcw %1" : "=m"(frame->mxcsr), "=m"(frame->x87_control));
    ASSERT(((uintptr_t)(frame + 1) & 15) == 0);
    context->stack_pointer = frame;
}
