/* SPDX-License-Identifier: MIT */
/*
 * Time. Instants and deadlines are int64_t nanoseconds of the monotonic clock; a deadline is
 * absolute, so that it can be handed down through calls without being added up wrongly.
 * Timers fire at or after their deadline, never before; their grain is 65.536 us.
 */
#ifndef LEAT_CLOCK_H
#define LEAT_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_FOREVER INT64_MAX
#define LEAT_NS_PER_US INT64_C(1000)
#define LEAT_NS_PER_MS INT64_C(1000000)
#define LEAT_NS_PER_S INT64_C(1000000000)

/* The current instant. Inside a loop it is the loop's clock, read once an iteration (virtual in the
 * simulator); elsewhere CLOCK_MONOTONIC. */
int64_t leat_now_ns(void);

/* The instant `delay_ms` milliseconds from now; LEAT_FOREVER for a negative delay. */
int64_t leat_after_ms(int64_t delay_ms);

#ifdef __cplusplus
}
#endif
#endif
