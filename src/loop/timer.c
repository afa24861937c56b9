/* SPDX-License-Identifier: MIT */
/*
 * The timing wheel. A timer lies on the level of the highest group of 6 bits in which its tick
 * differs from the current one, in the slot that this group names. So every occupied slot of a
 * level lies ahead of the current one, all of a lower level is due before anything of a higher,
 * and the next slot is the lowest bit of the lowest bitmap that is not empty.
 */
#include "loop/timer.h"

#include "base/assert.h"
#include "leat/clock.h"

enum { LEVEL_NONE = 0xff }; /* in the list of those due */

static_assert(TIMER_TICK_BITS + TIMER_LEVELS * TIMER_SLOT_BITS > 63, "every deadline has a slot");

/* The first tick that no int64_t reaches. A deadline in the last 65 us of time is rounded up to
 * it. */
static const uint64_t tick_never = UINT64_C(1) << (63 - TIMER_TICK_BITS);

static uint64_t tick_of_deadline(int64_t deadline_ns)
{
    if (deadline_ns <= 0)
        return 0;
    /* Rounded up: never early. */
    return ((uint64_t)deadline_ns + (1u << TIMER_TICK_BITS) - 1) >> TIMER_TICK_BITS;
}

void timer_wheel_init(struct timer_wheel *wheel, int64_t now_ns)
{
    ASSERT(now_ns >= 0);
    *wheel = (struct timer_wheel){.now_tick = (uint64_t)now_ns >> TIMER_TICK_BITS};
    for (int level = 0; level < TIMER_LEVELS; level++)
        for (int slot = 0; slot < TIMER_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    list_init(&wheel->due);
}

void timer_wheel_fini(struct timer_wheel *wheel)
{
    for (int level = 0; level < TIMER_LEVELS; level++)
        for (int slot = 0; slot < TIMER_SLOTS; slot++)
            while (list_take_front(&wheel->slots[level][slot]))
                ;
    while (list_take_front(&wheel->due))
        ;
    wheel->count = 0;
}

void timer_init(struct timer *timer, timer_fire_fn fire)
{
    *timer = (struct timer){.fire = fire};
    list_init(&timer->node);
}

static void place(struct timer_wheel *wheel, struct timer *timer)
{
    const uint64_t tick = tick_of_deadline(timer->deadline_ns);
    if (tick <= wheel->now_tick) {
        timer->level = LEVEL_NONE;
        list_push_back(&wheel->due, &timer->node);
        return;
    }
    const int highest_bit = 63 - __builtin_clzll(tick ^ wheel->now_tick);
    const int level = highest_bit / TIMER_SLOT_BITS;
    DEBUG_ASSERT(level < TIMER_LEVELS);
    const unsigned slot = (tick >> (level * TIMER_SLOT_BITS)) & (TIMER_SLOTS - 1);
    timer->level = (uint8_t)level;
    timer->slot = (uint8_t)slot;
    wheel->bitmaps[level] |= UINT64_C(1) << slot;
    list_push_back(&wheel->slots[level][slot], &timer->node);
}

static void unplace(struct timer_wheel *wheel, struct timer *timer)
{
    list_remove(&timer->node);
    if (timer->level != LEVEL_NONE && list_is_empty(&wheel->slots[timer->level][timer->slot]))
        wheel->bitmaps[timer->level] &= ~(UINT64_C(1) << timer->slot);
}

void timer_start(struct timer_wheel *wheel, struct timer *timer, int64_t deadline_ns)
{
    ASSERT(timer->fire != NULL);
    if (deadline_ns == LEAT_FOREVER) {
        timer_stop(wheel, timer);
        return;
    }
    if (timer->is_running)
        unplace(wheel, timer);
    else
        wheel->count += !timer->is_quiet;
    timer->is_running = true;
    timer->deadline_ns = deadline_ns;
    place(wheel, timer);
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
    if (!timer->is_running)
        return;
    ASSERT(wheel->count > 0 || timer->is_quiet);
    unplace(wheel, timer);
    timer->is_running = false;
    wheel->count -= !timer->is_quiet;
}

/* The next occupied slot and the tick at which it begins; false when all are empty. */
static bool next_slot(const struct timer_wheel *wheel, int *ret_level, unsigned *ret_slot,
                      uint64_t *ret_tick)
{
    for (int level = 0; level < TIMER_LEVELS; level++) {
        if (wheel->bitmaps[level] == 0)
            continue;
        const unsigned slot = (unsigned)__builtin_ctzll(wheel->bitmaps[level]);
        const int shift = level * TIMER_SLOT_BITS;
        const uint64_t above = ~((UINT64_C(1) << (shift + TIMER_SLOT_BITS)) - 1);
        *ret_level = level;
        *ret_slot = slot;
        *ret_tick = (wheel->now_tick & above) | ((uint64_t)slot << shift);
        return true;
    }
    return false;
}

void timer_wheel_advance(struct timer_wheel *wheel, int64_t now_ns)
{
    const uint64_t target = now_ns <= 0 ? 0 : (uint64_t)now_ns >> TIMER_TICK_BITS;
    int level;
    unsigned slot;
    uint64_t tick;
    while (next_slot(wheel, &level, &slot, &tick) && tick <= target) {
        DEBUG_ASSERT(tick > wheel->now_tick);
        wheel->now_tick = tick;
        wheel->bitmaps[level] &= ~(UINT64_C(1) << slot);
        struct list_node moved;
        list_init(&moved);
        list_take_all(&moved, &wheel->slots[level][slot]);
        struct list_node *node;
        while ((node = list_take_front(&moved)))
            place(wheel, CONTAINER_OF(node, struct timer, node));
    }
    if (target > wheel->now_tick)
        wheel->now_tick = target;

    struct list_node firing, *node;
    list_init(&firing);
    list_take_all(&firing, &wheel->due);
    while ((node = list_take_front(&firing))) {
        struct timer *timer = CONTAINER_OF(node, struct timer, node);
        timer->is_running = false;
        wheel->count -= !timer->is_quiet;
        timer->fire(timer);
    }
}

int64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
    int level;
    unsigned slot;
    uint64_t tick;
    if (!list_is_empty(&wheel->due))
        return (int64_t)(wheel->now_tick << TIMER_TICK_BITS);
    if (!next_slot(wheel, &level, &slot, &tick) || tick >= tick_never)
        return LEAT_FOREVER;
    return (int64_t)(tick << TIMER_TICK_BITS);
}
