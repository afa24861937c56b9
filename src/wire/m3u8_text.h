/* SPDX-License-Identifier: MIT */
/*
 * What the writers of playlists, m3u8.c and m3u8_live.c, both need.
 */
#ifndef WIRE_M3U8_TEXT_H
#define WIRE_M3U8_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/decimal.h"

enum { M3U8_US_PER_S = 1000 * 1000, M3U8_SECONDS_SIZE_MAX = DECIMAL_SIZE_MAX + 7 };

/* Percent-encoded: what a URI may hold (RFC 3986, section 2), which neither ends a line nor a
 * quoted string. */
static inline bool m3u8_is_uri(const char *uri)
{
    for (const char *at = uri; *at; at++)
        if (*at <= ' ' || *at >= 0x7f || *at == '"')
            return false;
    return *uri && *uri != '#'; /* on a line of its own it would be a comment */
}

/* Seconds with six decimals, M3U8_SECONDS_SIZE_MAX bytes at most; returns where they end. */
static inline char *m3u8_put_seconds(char *at, uint64_t duration_us)
{
    enum { DECIMALS = 6 };
    at = decimal_put(at, duration_us / M3U8_US_PER_S);
    *at = '.';
    uint64_t rest = duration_us % M3U8_US_PER_S;
    for (unsigned place = DECIMALS; place > 0; place--, rest /= 10)
        at[place] = (char)('0' + rest % 10);
    return at + 1 + DECIMALS;
}

#endif
