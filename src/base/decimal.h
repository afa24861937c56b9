/* SPDX-License-Identifier: MIT */
/*
 * Numbers as decimal text, for the lines that every request writes, without snprintf. Nothing is
 * called that the child of a fork may not call.
 */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdint.h>
#include <string.h>

enum { DECIMAL_SIZE_MAX = 20 }; /* digits of the largest number there is */

/* Writes the digits of `number`, without a zero byte, and returns where they end. */
static inline char *decimal_put(char *at, uint64_t number)
{
    char digits[DECIMAL_SIZE_MAX];
    unsigned begin = sizeof digits;
    do
        digits[--begin] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    memcpy(at, digits + begin, sizeof digits - begin);
    return at + sizeof digits - begin;
}

#endif
