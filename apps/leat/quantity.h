/* SPDX-License-Identifier: MIT */
/*
 * Quantities as people write them behind flags: digits, with a point or without, and a unit. What
 * strtod(3) knows besides (0x1p3, 1e3, nan, inf, the locale's comma) is not what people mean.
 */
#ifndef LEAT_QUANTITY_H
#define LEAT_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>

/* The number that `text` begins with, and what stands behind it, perhaps nothing. */
bool quantity_number(const char *text, double *ret_number, const char **ret_unit);

/* Times `step`, its square or its cube for k, m, g in either case; as it is for none. */
bool quantity_scale(const char *unit, double step, double *number);

/* For options (OPTION_CALL). To an int64_t, in ns: "10s", "10", "300ms", "5us", "5m", "1h"; up to a
 * year. To a uint64_t, in bytes, whole: "1400", "64k", "8m", "1g". */
int quantity_take_time(const char *text, void *target, char *ret_error, size_t ret_error_size);
int quantity_take_size(const char *text, void *target, char *ret_error, size_t ret_error_size);

#endif
