/* SPDX-License-Identifier: MIT */
/*
 * Two stacks, one thread: leaves the one and goes on where the other was left. Nothing but the
 * registers that the ABI says a call preserves is kept (MXCSR and the x87 control word among them);
 * no system call, no signal mask.
 *
 * context_x86_64.{S,c,h} is our own; context_ucontext.c does the same through ucontext(3), for
 * other machines and as an oracle in the tests. The build takes one of them. A context is used by
 * one thread.
 */
#ifndef FIBER_CONTEXT_H
#define FIBER_CONTEXT_H

#include <stddef.h>

/* A flow of control that is not running: all of it lies on its own stack. */
struct context {
    void *stack_pointer;
};

/* Prepares a context that begins with entry(arg) when it is first switched to; `entry` must never
 * return. The stack is [low, low + size); floating point control is that of the caller. */
void context_make(struct context *context, void *low, size_t size, void (*entry)(void *arg),
                  void *arg);

/* Leaves the running flow in `from` and goes on with `to`. Returns when somebody switches back. */
#if defined(__x86_64__)
#include "fiber/context_x86_64.h" /* inline */
#else
void context_switch(struct context *from, const struct context *to);
#endif

#endif
