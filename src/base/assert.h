/* SPDX-License-Identifier: MIT */
/*
 * Assertions for our own bugs, never for what a peer, the kernel or memory does. They stay in
 * release builds: a server that went on with a broken invariant would be worse than one that stops.
 * DEBUG_ASSERT is for checks too dear for a hot path; it goes with NDEBUG.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <assert.h> /* static_assert */

#define ASSERT(condition)                                                                          \
    (__builtin_expect(!!(condition), 1) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define DEBUG_ASSERT(condition) ((void)sizeof(condition))
#else
#define DEBUG_ASSERT(condition) ASSERT(condition)
#endif

/* One line on stderr, then abort(). */
__attribute__((noreturn, cold)) void assert_failed(const char *condition, const char *file,
                                                   int line);

#endif
