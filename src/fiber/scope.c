/* SPDX-License-Identifier: MIT */
/*
 * Scopes: fibers that end before the block that began them does; and the calling fiber's own
 * affairs: yielding, sleeping, the shield. A scope belongs to the thread of its loop.
 */
#include <errno.h>

#include "base/assert.h"
#include "fiber/scheduler.h"

static_assert(sizeof(struct scope) <= sizeof(struct leat_scope), "leat_scope.reserved holds it");
static_assert(_Alignof(struct scope) <= _Alignof(struct leat_scope), "and is aligned for it");

static struct scope *scope_in(struct leat_scope *public)
{
    return (struct scope *)(void *)public;
}

void leat_scope_init(struct leat_scope *public)
{
    struct scope *scope = scope_in(public);
    ASSERT(loop_current);
    *scope = (struct scope){.loop = loop_current, .owner = fiber_running()};
    list_init(&scope->fibers);
    if (scope->owner)
        scope->owner->scopes_open++;
}

void leat_scope_fini(struct leat_scope *public)
{
    struct scope *scope = scope_in(public);
    ASSERT(scope->loop == loop_current);
    if (scope->count > 0) {
        leat_scope_cancel(public);
        ASSERT(fiber_running() && !scope->joiner);
        scope->joiner = fiber_running();
        while (scope->count > 0)
            fiber_park_sealed();
        scope->joiner = NULL;
    }
    if (scope->owner) {
        ASSERT(scope->owner->scopes_open > 0);
        scope->owner->scopes_open--;
    }
    scope->loop = NULL; /* what comes after fini meets an assertion */
}

int leat_spawn(struct leat_scope *public, leat_fiber_fn fn, void *arg,
               const struct leat_fiber_options *options)
{
    struct scope *scope = scope_in(public);
    ASSERT(scope->loop == loop_current && fn);
    if (scope->is_cancelled)
        return -ECANCELED;
    struct scheduler *scheduler = scheduler_of(scope->loop);
    if (!scheduler)
        return -ENOMEM;
    struct fiber *fiber;
    const int error = fiber_create(scheduler, options, fn, arg, &fiber);
    if (error)
        return error;
    fiber->scope = scope;
    list_push_back(&scope->fibers, &fiber->sibling);
    scope->count++;
    fiber_wake(fiber);
    return 0;
}

void scope_remove(struct scope *scope, struct fiber *fiber)
{
    ASSERT(scope->count > 0 && fiber->scope == scope);
    list_remove(&fiber->sibling);
    if (--scope->count == 0 && scope->joiner)
        fiber_wake(scope->joiner);
}

int leat_scope_join(struct leat_scope *public, int64_t deadline_ns)
{
    struct scope *scope = scope_in(public);
    struct fiber *fiber = fiber_running();
    ASSERT(fiber && scope->loop == loop_current);
    ASSERT(!scope->joiner);
    ASSERT(fiber->scope != scope); /* it would wait for itself */
    int reason = fiber_reason(fiber, LEAT_FOREVER);
    if (reason)
        return reason;
    scope->joiner = fiber;
    while (scope->count > 0 && !reason)
        reason = fiber_park(deadline_ns, fiber_interrupt_wake, fiber);
    scope->joiner = NULL;
    return scope->count == 0 ? 0 : reason;
}

void leat_scope_cancel(struct leat_scope *public)
{
    struct scope *scope = scope_in(public);
    ASSERT(scope->loop == loop_current);
    scope->is_cancelled = true;
    /* An interrupt may wake fibers, not run them: the list stays as it is meanwhile. */
    LIST_FOR_EACH (node, &scope->fibers)
        fiber_cancel(CONTAINER_OF(node, struct fiber, sibling));
}

size_t leat_scope_count(const struct leat_scope *public)
{
    const struct scope *scope = (const struct scope *)(const void *)public;
    return scope->count;
}

/* ---- The calling fiber ----------------------------------------------------------------------- */

int leat_yield(void)
{
    const struct fiber *fiber = fiber_running();
    ASSERT(fiber);
    const int reason = fiber_reason(fiber, LEAT_FOREVER);
    if (reason)
        return reason;
    fiber_yield();
    return fiber_reason(fiber, LEAT_FOREVER);
}

int leat_sleep_until(int64_t deadline_ns)
{
    struct fiber *fiber = fiber_running();
    const int reason = fiber_park(deadline_ns, fiber_interrupt_wake, fiber);
    ASSERT(reason < 0); /* nobody else knows that it sleeps */
    return reason == -ETIMEDOUT ? 0 : reason;
}

int leat_sleep_ms(int64_t delay_ms)
{
    return leat_sleep_until(leat_after_ms(delay_ms));
}

bool leat_is_cancelled(void)
{
    const struct fiber *fiber = fiber_running();
    return fiber && fiber->is_cancelled;
}

void leat_shield_begin(int64_t grace_ns)
{
    struct fiber *fiber = fiber_running();
    ASSERT(fiber);
    if (fiber->is_shielded)
        return;
    fiber->is_shielded = true;
    fiber->grace_ns = grace_ns;
}

void leat_shield_end(void)
{
    struct fiber *fiber = fiber_running();
    ASSERT(fiber);
    fiber->is_shielded = false;
}
