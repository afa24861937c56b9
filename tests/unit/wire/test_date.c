/* SPDX-License-Identifier: MIT */
/*
 * Dates: the three forms of RFC 9110, and that of ISO 8601, against gmtime for a long walk through
 * the calendar.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "wire/date.h"

enum { NOW = 1795348800 }; /* 2026-11-22 */

static void formats(void **state)
{
    static const struct {
        int64_t unix_s;
        const char *text;
    } rows[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},  {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},         {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"}, {DATE_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
        {DATE_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},   {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[DATE_SIZE];
        date_format(rows[i].unix_s, text);
        assert_memory_equal(text, rows[i].text, DATE_SIZE);
    }
}

static void formats_milliseconds(void **state)
{
    static const struct {
        int64_t unix_ms;
        const char *text;
    } rows[] = {
        {784111777025, "1994-11-06T08:49:37.025Z"},
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000, "1969-12-31T23:59:59.000Z"},
        {951868799999, "2000-02-29T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
        {DATE_MAX * 1000, "9999-12-31T23:59:59.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.000Z"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[DATE_ISO_SIZE];
        date_format_iso(rows[i].unix_ms, text);
        assert_memory_equal(text, rows[i].text, DATE_ISO_SIZE);
    }
}

static void agrees_with_gmtime_and_reads_itself(void **state)
{
    /* A prime step of about 11 days and a bit meets every day of the month and hour of the day. */
    for (int64_t unix_s = DATE_MIN; unix_s <= DATE_MAX; unix_s += 950009) {
        const time_t time = unix_s;
        struct tm tm;
        char expected[64], text[DATE_SIZE];
        assert_non_null(gmtime_r(&time, &tm));
        strftime(expected, sizeof(expected), "%a, %d %b ", &tm);
        snprintf(expected + 12, sizeof(expected) - 12, "%04d %02d:%02d:%02d GMT", tm.tm_year + 1900,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        date_format(unix_s, text);
        assert_memory_equal(text, expected, DATE_SIZE);
        int64_t back = 1;
        assert_int_equal(date_parse(slice_of(text, DATE_SIZE), NOW, &back), 0);
        assert_true(back == unix_s);
        char iso[DATE_ISO_SIZE];
        date_format_iso(unix_s * 1000 + 7, iso);
        snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%.8s.007Z", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, text + 17);
        assert_memory_equal(iso, expected, DATE_ISO_SIZE);
    }
}

static void parses_the_obsolete_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_s;
    } rows[] = {
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thursday, 01-Jan-70 00:00:00 GMT", 3155760000},  /* within 50 years: 2070, */
        {"Saturday, 01-Jan-77 00:00:00 GMT", 220924800},   /* beyond: 1977, */
        {"Wednesday, 01-Jan-76 00:00:00 GMT", 3345062400}, /* just within: 2076 */
        {"Tuesday, 31-Dec-24 23:59:60 GMT", 1735689599},   /* a leap second that never was */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t unix_s = 1;
        assert_int_equal(date_parse(slice_from_text(rows[i].text), NOW, &unix_s), 0);
        assert_true(unix_s == rows[i].unix_s);
    }
    int64_t unix_s = 1;
    /* In 1990, '70 was past. */
    assert_int_equal(date_parse(SLICE("Thursday, 01-Jan-70 00:00:00 GMT"), 631152000, &unix_s), 0);
    assert_true(unix_s == 0);
}

static void refuses(void **state)
{
    static const char *const rows[] = {
        "",
        "0",
        "Sun",
        "Sun,",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 1995 08:49:37 GMT",
        "Mon, 29 Feb 2100 08:49:37 GMT",
        "Sun, 06 Nvo 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:3x GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sundey, 06-Nov-94 08:49:37 GMT",
        "Monsday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  0 08:49:37 1994",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t unix_s = 42;
        assert_true(date_parse(slice_from_text(rows[i]), NOW, &unix_s) < 0);
        assert_true(unix_s == 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),
        cmocka_unit_test(formats_milliseconds),
        cmocka_unit_test(agrees_with_gmtime_and_reads_itself),
        cmocka_unit_test(parses_the_obsolete_forms),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
