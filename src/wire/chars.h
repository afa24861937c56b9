/* SPDX-License-Identifier: MIT */
/*
 * Classes of characters, and scanning over runs of them: the inner loops of every text format here.
 * The long runs (targets, field values) go sixteen bytes at a time where the machine can (SSE2 is
 * part of x86-64); the rest, and other machines, by table. Nothing is read at or beyond `end`.
 */
#ifndef WIRE_CHARS_H
#define WIRE_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/slice.h"

enum chars_class {
    CHARS_TOKEN = 1,       /* tchar: RFC 9110, section 5.6.2 */
    CHARS_TARGET = 2,      /* visible ASCII but '#': a request-target carries no fragment */
    CHARS_VALUE = 4,       /* HTAB, SP, VCHAR, obs-text: RFC 9110, section 5.5 */
    CHARS_REG_NAME = 8,    /* reg-name, '%' included: RFC 3986, section 3.2.2 */
    CHARS_UNRESERVED = 16, /* RFC 3986, section 2.3 */
    CHARS_DIGIT = 32,
};

extern const uint8_t chars_table[256];

static inline bool chars_is(char c, enum chars_class class)
{
    return (chars_table[(unsigned char)c] & class) != 0;
}

/* The value of a hexadecimal digit, or -1. */
static inline int chars_hex(char c)
{
    if (chars_is(c, CHARS_DIGIT))
        return c - '0';
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static inline char chars_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool chars_is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The first character of [at, end) that is not of the class, or end. */
static inline const char *chars_skip(const char *at, const char *end, enum chars_class class)
{
    while (at < end && chars_is(*at, class))
        at++;
    return at;
}

static inline const char *chars_skip_target(const char *at, const char *end)
{
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* A signed comparison: bytes from 0x80 up are negative, and so below the blank. */
        const __m128i visible = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x20));
        const __m128i barred = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)),
                                            _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')));
        const unsigned good = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(barred, visible));
        if (good != 0xffff)
            return at + __builtin_ctz(~good);
    }
#endif
    return chars_skip(at, end, CHARS_TARGET);
}

static inline const char *chars_skip_value(const char *at, const char *end)
{
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        const __m128i top = _mm_set1_epi8(0x1f);
        const __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, top), top);
        const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
        const __m128i bad = _mm_or_si128(_mm_andnot_si128(tab, control),
                                         _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
        const unsigned mask = (unsigned)_mm_movemask_epi8(bad);
        if (mask != 0)
            return at + __builtin_ctz(mask);
    }
#endif
    return chars_skip(at, end, CHARS_VALUE);
}

/* Without blanks and tabs at either end (OWS: RFC 9110, section 5.6.3). */
static inline struct leat_slice chars_trim(struct leat_slice text)
{
    while (text.size > 0 && chars_is_space(text.data[text.size - 1]))
        text.size--;
    while (text.size > 0 && chars_is_space(text.data[0]))
        text = slice_after(text, 1);
    return text;
}

/* Is `text` in lower case `lower`? Compared from the end on, where short names of a kind differ,
 * and at less than the price of a call. */
static inline bool chars_equal_lower(struct leat_slice text, struct leat_slice lower)
{
    if (text.size != lower.size)
        return false;
    for (size_t at = text.size; at > 0; at--)
        if (chars_lower(text.data[at - 1]) != lower.data[at - 1])
            return false;
    return true;
}

/* Takes the next element off a comma-separated list, trimmed; false at the list's end. Elements may
 * be empty (RFC 9110, section 5.6.1.2), and commas in quotes are not looked for. */
bool chars_next_element(struct leat_slice *list, struct leat_slice *ret_element);

/* Digits only, at least one; what does not fit becomes UINT64_MAX. False if it is not that. */
bool chars_decimal(struct leat_slice digits, uint64_t *ret_value);

#endif
