/* SPDX-License-Identifier: MIT */
/*
 * See quantity.h.
 */
#include "quantity.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/chars.h"

enum { NUMBER_MAX = 31 };

static const double TIME_MAX_S = 366.0 * 86400;
static const char UNITS[] = "kmg";

bool quantity_number(const char *text, double *ret_number, const char **ret_unit)
{
    const size_t size = strspn(text, "0123456789.");
    char copy[NUMBER_MAX + 1], *end;
    if (!chars_is(*text, CHARS_DIGIT) || size > NUMBER_MAX)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    *ret_number = strtod(copy, &end);
    *ret_unit = text + size;
    return *end == '\0'; /* not so: 1.2.3 */
}

bool quantity_scale(const char *unit, double step, double *number)
{
    if (!*unit)
        return true;
    const char *found = strchr(UNITS, *unit | 0x20);
    if (!found || unit[1])
        return false;
    for (const char *at = UNITS; at <= found; at++)
        *number *= step;
    return true;
}

int quantity_take_time(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"m", 60}, {"h", 3600}};
    double number;
    const char *unit;
    const bool is_number = quantity_number(text, &number, &unit);
    for (size_t index = 0; is_number && index < sizeof units / sizeof *units; index++) {
        const double seconds = number * units[index].seconds;
        if (strcmp(unit, units[index].unit) != 0 || seconds > TIME_MAX_S)
            continue;
        *(int64_t *)target = (int64_t)(seconds * 1e9 + 0.5);
        return 0;
    }
    snprintf(ret_error, ret_error_size, "'%s' is no time: write 10s, 300ms, 5m", text);
    return -1;
}

int quantity_take_size(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long number = chars_is(*text, CHARS_DIGIT) ? strtoull(text, &end, 10) : 0;
    const char *unit = end && *end ? strchr(UNITS, *end | 0x20) : NULL;
    const unsigned shift = unit ? 10 * (unsigned)(unit - UNITS + 1) : 0;
    if (!end || errno || (*end && (!unit || end[1])) || number > UINT64_MAX >> shift) {
        snprintf(ret_error, ret_error_size, "'%s' is no size: write 1400, 64k, 8m, 1g", text);
        return -1;
    }
    *(uint64_t *)target = (uint64_t)number << shift;
    return 0;
}
