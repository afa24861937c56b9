/* SPDX-License-Identifier: MIT */
/*
 * The monotonic clock itself, by the vDSO. Only loops' backends and threads without a loop read it;
 * everybody else asks leat_now_ns, which is virtual in the simulator.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "leat/clock.h"

static inline int64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

/* A positive span or instant as the kernel wants it. */
static inline struct timespec clock_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / LEAT_NS_PER_S, .tv_nsec = ns % LEAT_NS_PER_S};
}

#endif
