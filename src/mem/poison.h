/* SPDX-License-Identifier: MIT */
/*
 * AddressSanitizer does not see inside a pool: to it, memory that was given back is still in use.
 * The arena and the pools of this folder tell it what is free, so that pooling hides no bug, and
 * leave a gap between neighbours that belongs to nobody. Without the sanitizer all of this is
 * nothing: the calls vanish and the gap is 0.
 */
#ifndef MEM_POISON_H
#define MEM_POISON_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ENABLED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ENABLED 1
#endif
#endif
#ifndef POISON_ENABLED
#define POISON_ENABLED 0
#endif

#if POISON_ENABLED
#include <sanitizer/asan_interface.h>
#endif

enum { POISON_GAP_SIZE = POISON_ENABLED ? 16 : 0 };

/* Whoever touches [memory, memory + size) from now on is reported. */
static inline void poison(void *memory, size_t size)
{
#if POISON_ENABLED
    /* gcc believes that what takes a pointer to const reads through it, and warns of memory
     * fresh from malloc: do not let it see where the pointer comes from. */
    __asm__("" : "+r"(memory));
    __asan_poison_memory_region(memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

static inline void unpoison(void *memory, size_t size)
{
#if POISON_ENABLED
    __asan_unpoison_memory_region(memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

/* Is any byte of it poisoned? False without the sanitizer: for assertions and tests. */
static inline bool poison_touches(const void *memory, size_t size)
{
#if POISON_ENABLED
    return __asan_region_is_poisoned((void *)memory, size) != NULL;
#else
    (void)memory;
    (void)size;
    return false;
#endif
}

#endif
