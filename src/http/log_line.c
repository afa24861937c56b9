/* SPDX-License-Identifier: MIT */
/*
 * See log_line.h. Most of a line are bytes that stand for themselves: these are copied sixteen at a
 * time where the machine can.
 */
#include "http/log_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/assert.h"
#include "base/decimal.h"
#include "base/slice.h"
#include "leat/clock.h"
#include "net/address.h"
#include "wire/utf8.h"

enum {
    FIXED_SIZE_MAX = 512, /* of a line, without what comes from the request */
    ESCAPE_SIZE_MAX = 6,  /* of a byte: \u001f */
};

/* ---- Pieces ---------------------------------------------------------------------------------- */

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static inline char *put(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

static char *put_hex(char *at, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    *at++ = digits[byte >> 4];
    *at++ = digits[byte & 15];
    return at;
}

static inline bool is_plain(char c)
{
    return c > 0x1f && c < 0x7f && c != '"' && c != '\\';
}

/* Copies up to the first byte that is not plain, and moves *at past what was copied. */
static char *put_plain(char *to, const char **at, const char *end)
{
    const char *from = *at;
#ifdef __SSE2__
    for (; end - from >= 16; from += 16, to += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
        /* A signed comparison: bytes from 0x80 up are negative, and so below the blank. */
        const __m128i visible = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x1f));
        const __m128i barred =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)),
                         _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
        const unsigned good = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(barred, visible));
        if (good != 0xffff) {
            const int count = __builtin_ctz(~good);
            *at = from + count;
            return to + count;
        }
    }
#endif
    while (from < end && is_plain(*from))
        *to++ = *from++;
    *at = from;
    return to;
}

/* ---- Time and place -------------------------------------------------------------------------- */

void log_clock_init(struct log_clock *clock)
{
    for (int index = 0; index < LOG_SECONDS; index++)
        clock->local[index].unix_s = clock->utc[index].unix_s = INT64_MIN;
}

static void make_local(struct log_second *second)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t time = second->unix_s;
    struct tm tm = {0};
    localtime_r(&time, &tm);
    const unsigned distance_min = (unsigned)labs(tm.tm_gmtoff) / 60;
    ASSERT(tm.tm_mon >= 0 && tm.tm_mon < 12);
    snprintf(second->text, sizeof second->text, "%02u/%s/%04u:%02u:%02u:%02u %c%02u%02u",
             tm.tm_mday % 100u, months[tm.tm_mon], (tm.tm_year + 1900) % 10000u, tm.tm_hour % 100u,
             tm.tm_min % 100u, tm.tm_sec % 100u, tm.tm_gmtoff < 0 ? '-' : '+',
             distance_min / 60 % 100, distance_min % 60);
}

static void make_utc(struct log_second *second)
{
    const time_t time = second->unix_s;
    struct tm tm = {0};
    gmtime_r(&time, &tm);
    snprintf(second->text, sizeof second->text, "%04u-%02u-%02uT%02u:%02u:%02u",
             (tm.tm_year + 1900) % 10000u, (tm.tm_mon + 1) % 100u, tm.tm_mday % 100u,
             tm.tm_hour % 100u, tm.tm_min % 100u, tm.tm_sec % 100u);
}

static const char *text_of(struct log_second *seconds, int64_t unix_s,
                           void (*make)(struct log_second *second))
{
    struct log_second *second = &seconds[unix_s & (LOG_SECONDS - 1)];
    if (second->unix_s != unix_s) {
        second->unix_s = unix_s;
        make(second);
    }
    return second->text;
}

/* Without its port; unix sockets are "unix:", as with nginx, whatever their name. */
static char *put_host(char *at, const struct leat_address *peer)
{
    char text[LEAT_ADDRESS_TEXT_SIZE];
    switch (leat_address_family(peer)) {
    case AF_INET: return address_put_ipv4(at, &peer->v4.sin_addr);
    case AF_INET6: {
        const char *end = strchr(leat_address_format(peer, text), ']');
        ASSERT(text[0] == '[' && end);
        return put(at, text + 1, (size_t)(end - text - 1));
    }
    default: return PUT(at, "unix:");
    }
}

size_t log_line_size_max(const struct leat_http_record *record)
{
    return FIXED_SIZE_MAX +
           ESCAPE_SIZE_MAX * (record->method.size + record->target.size + record->host.size +
                              record->referer.size + record->user_agent.size);
}

/* ---- The combined format --------------------------------------------------------------------- */

/* As nginx escapes: one rule, and no quote within a field ends it. */
static char *put_escaped(char *at, struct leat_slice text)
{
    const char *from = text.data, *end = text.data + text.size;
    while (from < end) {
        at = put_plain(at, &from, end);
        for (; from < end && !is_plain(*from); from++)
            at = put_hex(PUT(at, "\\x"), (unsigned char)*from);
    }
    return at;
}

static char *put_quoted(char *at, struct leat_slice text)
{
    if (!text.data)
        return PUT(at, " \"-\"");
    return PUT(put_escaped(PUT(at, " \""), text), "\"");
}

static char *put_request_line(char *at, const struct leat_http_record *record)
{
    if (record->method.size == 0)
        return PUT(at, "] \"-\" ");
    at = put_escaped(PUT(at, "] \""), record->method);
    at = put_escaped(PUT(at, " "), record->target);
    at = PUT(at, " HTTP/1.");
    *at++ = record->minor_version ? '1' : '0';
    return PUT(at, "\" ");
}

char *log_line_combined(char *at, const struct leat_http_record *record, struct log_clock *clock)
{
    const char *time = text_of(clock->local, record->time_ns / LEAT_NS_PER_S, make_local);
    at = PUT(put_host(at, record->peer), " - - [");
    at = put_request_line(put(at, time, strlen(time)), record);
    at = record->status > 0 ? decimal_put(at, (unsigned)record->status) : PUT(at, "-");
    *at++ = ' ';
    at = record->body_sent > 0 ? decimal_put(at, record->body_sent) : PUT(at, "-");
    at = put_quoted(put_quoted(at, record->referer), record->user_agent);
    *at++ = '\n';
    return at;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* RFC 8259, section 7. A byte that is not part of UTF-8 becomes the text \xHH: it cannot be told
 * from one who sent just that, but nothing is lost and every reader takes it. */
static char *put_json_bytes(char *at, struct leat_slice text)
{
    const char *from = text.data, *end = text.data + text.size;
    while (from < end) {
        at = put_plain(at, &from, end);
        if (from == end)
            break;
        const unsigned char byte = (unsigned char)*from;
        const size_t size = byte < 0x80 ? 0 : utf8_size(slice_of(from, (size_t)(end - from)));
        if (size > 0)
            at = put(at, from, size);
        else if (byte == '"' || byte == '\\')
            at = put(PUT(at, "\\"), from, 1);
        else if (byte < 0x80)
            at = put_hex(PUT(at, "\\u00"), byte);
        else
            at = put_hex(PUT(at, "\\\\x"), byte);
        from += size > 0 ? size : 1;
    }
    return at;
}

static char *put_json_text(char *at, struct leat_slice text)
{
    if (!text.data)
        return PUT(at, "null");
    return PUT(put_json_bytes(PUT(at, "\""), text), "\"");
}

static char *put_json_time(char *at, int64_t time_ns, struct log_clock *clock)
{
    const char *time = text_of(clock->utc, time_ns / LEAT_NS_PER_S, make_utc);
    const unsigned ms = (unsigned)(time_ns / LEAT_NS_PER_MS % 1000);
    at = put(at, time, strlen(time));
    *at++ = '.';
    *at++ = (char)('0' + ms / 100);
    *at++ = (char)('0' + ms / 10 % 10);
    *at++ = (char)('0' + ms % 10);
    return PUT(at, "Z");
}

char *log_line_json(char *at, const struct leat_http_record *record, struct log_clock *clock)
{
    const bool is_known = record->method.size > 0;
    const struct leat_slice none = {0};
    at = PUT(put_json_time(PUT(at, "{\"time\":\""), record->time_ns, clock), "\",\"peer\":\"");
    at = PUT(put_host(at, record->peer), "\",\"port\":");
    at = PUT(decimal_put(at, leat_address_port(record->peer)), ",\"method\":");
    at = PUT(put_json_text(at, is_known ? record->method : none), ",\"target\":");
    at = PUT(put_json_text(at, is_known ? record->target : none), ",\"protocol\":");
    if (is_known)
        at = record->minor_version ? PUT(at, "\"HTTP/1.1\"") : PUT(at, "\"HTTP/1.0\"");
    else
        at = PUT(at, "null");
    at = PUT(put_json_text(PUT(at, ",\"host\":"), record->host), ",\"status\":");
    at = record->status > 0 ? decimal_put(at, (unsigned)record->status) : PUT(at, "null");
    at = decimal_put(PUT(at, ",\"sent\":"), record->sent);
    at = decimal_put(PUT(at, ",\"body_sent\":"), record->body_sent);
    at = decimal_put(PUT(at, ",\"body_received\":"), record->body_received);
    at = decimal_put(PUT(at, ",\"duration_us\":"), (uint64_t)record->duration_ns / 1000);
    at = put_json_text(PUT(at, ",\"referer\":"), record->referer);
    at = put_json_text(PUT(at, ",\"user_agent\":"), record->user_agent);
    return record->is_broken ? PUT(at, ",\"broken\":true}\n") : PUT(at, ",\"broken\":false}\n");
}
