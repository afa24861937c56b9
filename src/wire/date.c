/* SPDX-License-Identifier: MIT */
/*
 * The proleptic Gregorian calendar by counting in eras of 400 years that start on 1 March, so that
 * the leap day is the last of its year (H. Hinnant, "chrono-compatible low-level date algorithms").
 */
#include "wire/date.h"

#include <stdbool.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/chars.h"

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

enum { DAYS_IN_ERA = 146097, DAYS_TO_1970 = 719468 /* from 0000-03-01 */, SECONDS_IN_DAY = 86400 };

struct civil {
    int year, month, day; /* months and days from 1 */
};

static int64_t days_from_civil(struct civil date)
{
    const int year = date.month <= 2 ? date.year - 1 : date.year;
    const int era = (year >= 0 ? year : year - 399) / 400;
    const int year_of_era = year - era * 400;
    const int month = date.month > 2 ? date.month - 3 : date.month + 9; /* from March */
    const int day_of_year = (153 * month + 2) / 5 + date.day - 1;
    const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * DAYS_IN_ERA + day_of_era - DAYS_TO_1970;
}

static struct civil civil_from_days(int64_t days)
{
    days += DAYS_TO_1970;
    const int64_t era = (days >= 0 ? days : days - (DAYS_IN_ERA - 1)) / DAYS_IN_ERA;
    const int day_of_era = (int)(days - era * DAYS_IN_ERA);
    const int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int month = (5 * day_of_year + 2) / 153;
    const int year = (int)era * 400 + year_of_era;
    return (struct civil){.year = month < 10 ? year : year + 1,
                          .month = month < 10 ? month + 3 : month - 9,
                          .day = day_of_year - (153 * month + 2) / 5 + 1};
}

static void put_two(char *at, int value)
{
    DEBUG_ASSERT(value >= 0 && value <= 99);
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
}

/* A moment within DATE_MIN..DATE_MAX, or the nearer of the two. */
struct moment {
    struct civil date;
    int weekday; /* from Sunday */
    int second;  /* of the day */
};

static struct moment moment_of(int64_t unix_s)
{
    if (unix_s < DATE_MIN)
        unix_s = DATE_MIN;
    if (unix_s > DATE_MAX)
        unix_s = DATE_MAX;
    const int64_t from_start = unix_s - DATE_MIN; /* a Saturday, and not negative */
    const int64_t day = from_start / SECONDS_IN_DAY;
    const struct moment moment = {.date = civil_from_days(day + DATE_MIN / SECONDS_IN_DAY),
                                  .weekday = (int)((day + 6) % 7),
                                  .second = (int)(from_start % SECONDS_IN_DAY)};
    ASSERT(moment.date.year >= 0 && moment.date.year <= 9999);
    return moment;
}

static void put_year(char *at, int year)
{
    put_two(at, year / 100);
    put_two(at + 2, year % 100);
}

/* "00:00:00" is there. */
static void put_time(char *at, int second)
{
    put_two(at, second / 3600);
    put_two(at + 3, second / 60 % 60);
    put_two(at + 6, second % 60);
}

void date_format(int64_t unix_s, char ret_text[DATE_SIZE])
{
    const struct moment moment = moment_of(unix_s);
    memcpy(ret_text, "Xxx, 00 Xxx 0000 00:00:00 GMT", DATE_SIZE);
    memcpy(ret_text, day_names + moment.weekday * 3, 3);
    put_two(ret_text + 5, moment.date.day);
    memcpy(ret_text + 8, month_names + (moment.date.month - 1) * 3, 3);
    put_year(ret_text + 12, moment.date.year);
    put_time(ret_text + 17, moment.second);
}

void date_format_iso(int64_t unix_ms, char ret_text[DATE_ISO_SIZE])
{
    if (unix_ms < DATE_MIN * 1000)
        unix_ms = DATE_MIN * 1000;
    if (unix_ms > DATE_MAX * 1000)
        unix_ms = DATE_MAX * 1000;
    const int64_t from_start_ms = unix_ms - DATE_MIN * 1000; /* not negative: it rounds down */
    const struct moment moment = moment_of(from_start_ms / 1000 + DATE_MIN);
    const int millisecond = (int)(from_start_ms % 1000);
    memcpy(ret_text, "0000-00-00T00:00:00.000Z", DATE_ISO_SIZE);
    put_year(ret_text, moment.date.year);
    put_two(ret_text + 5, moment.date.month);
    put_two(ret_text + 8, moment.date.day);
    put_time(ret_text + 11, moment.second);
    ret_text[20] = (char)('0' + millisecond / 100);
    put_two(ret_text + 21, millisecond % 100);
}

/* What is left of a date while it is read; every step is false when the text says otherwise. */
struct reader {
    struct leat_slice left;
};

static bool read_text(struct reader *reader, struct leat_slice text)
{
    if (!slice_starts_with(reader->left, text))
        return false;
    reader->left = slice_after(reader->left, text.size);
    return true;
}

static bool read_digits(struct reader *reader, size_t count, int *ret_value)
{
    uint64_t value;
    if (reader->left.size < count || !chars_decimal(slice_of(reader->left.data, count), &value))
        return false;
    ASSERT(count <= 4);
    reader->left = slice_after(reader->left, count);
    *ret_value = (int)value;
    return true;
}

/* One of the names of three letters, by its index. */
static bool read_name(struct reader *reader, const char *names, int count, int *ret_index)
{
    for (int i = 0; i < count; i++) {
        if (read_text(reader, slice_of(names + i * 3, 3))) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

/* day-name-l of RFC 850: the short name and the rest of it. */
static bool read_long_day(struct reader *reader)
{
    static const struct leat_slice endings[] = {SLICE("day"),    SLICE("day"),   SLICE("sday"),
                                                SLICE("nesday"), SLICE("rsday"), SLICE("day"),
                                                SLICE("urday")};
    int day;
    return read_name(reader, day_names, 7, &day) && read_text(reader, endings[day]);
}

static bool read_month(struct reader *reader, struct civil *date)
{
    int index;
    if (!read_name(reader, month_names, 12, &index))
        return false;
    date->month = index + 1;
    return true;
}

/* hour ":" minute ":" second. A leap second, 60, is taken for the one before it: our seconds have
 * no other word for it. */
static bool read_time(struct reader *reader, int *ret_second)
{
    int hour, minute, second;
    if (!read_digits(reader, 2, &hour) || !read_text(reader, SLICE(":")) ||
        !read_digits(reader, 2, &minute) || !read_text(reader, SLICE(":")) ||
        !read_digits(reader, 2, &second) || hour > 23 || minute > 59 || second > 60)
        return false;
    *ret_second = (hour * 60 + minute) * 60 + (second < 60 ? second : 59);
    return true;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool read_fixdate(struct reader *reader, struct civil *date, int *second)
{
    int day_name;
    return read_name(reader, day_names, 7, &day_name) && read_text(reader, SLICE(", ")) &&
           read_digits(reader, 2, &date->day) && read_text(reader, SLICE(" ")) &&
           read_month(reader, date) && read_text(reader, SLICE(" ")) &&
           read_digits(reader, 4, &date->year) && read_text(reader, SLICE(" ")) &&
           read_time(reader, second) && read_text(reader, SLICE(" GMT"));
}

/* Sunday, 06-Nov-94 08:49:37 GMT; a year more than 50 years ahead lies in the last century. */
static bool read_rfc850(struct reader *reader, int64_t now_s, struct civil *date, int *second)
{
    int year;
    if (!read_long_day(reader) || !read_text(reader, SLICE(", ")) ||
        !read_digits(reader, 2, &date->day) || !read_text(reader, SLICE("-")) ||
        !read_month(reader, date) || !read_text(reader, SLICE("-")) ||
        !read_digits(reader, 2, &year) || !read_text(reader, SLICE(" ")) ||
        !read_time(reader, second) || !read_text(reader, SLICE(" GMT")))
        return false;
    const int this_year = civil_from_days(now_s / SECONDS_IN_DAY).year;
    date->year = this_year - this_year % 100 + year;
    if (date->year > this_year + 50)
        date->year -= 100;
    return true;
}

/* Sun Nov  6 08:49:37 1994 */
static bool read_asctime(struct reader *reader, struct civil *date, int *second)
{
    int day_name;
    return read_name(reader, day_names, 7, &day_name) && read_text(reader, SLICE(" ")) &&
           read_month(reader, date) && read_text(reader, SLICE(" ")) &&
           (read_text(reader, SLICE(" ")) ? read_digits(reader, 1, &date->day)
                                          : read_digits(reader, 2, &date->day)) &&
           read_text(reader, SLICE(" ")) && read_time(reader, second) &&
           read_text(reader, SLICE(" ")) && read_digits(reader, 4, &date->year);
}

static bool is_day_of_month(struct civil date)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    ASSERT(date.month >= 1 && date.month <= 12);
    const bool is_leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
    return date.day >= 1 && date.day <= days[date.month - 1] + (date.month == 2 && is_leap);
}

int date_parse(struct leat_slice text, int64_t now_s, int64_t *ret_unix_s)
{
    struct reader reader = {.left = text};
    struct civil date;
    int second;
    bool good;
    if (now_s < 0)
        now_s = 0;
    if (now_s > DATE_MAX)
        now_s = DATE_MAX;
    if (text.size > 3 && text.data[3] == ',')
        good = read_fixdate(&reader, &date, &second);
    else if (text.size > 3 && text.data[3] == ' ')
        good = read_asctime(&reader, &date, &second);
    else
        good = read_rfc850(&reader, now_s, &date, &second);
    if (!good || reader.left.size > 0 || !is_day_of_month(date))
        return -LEAT_E_MALFORMED;
    *ret_unix_s = days_from_civil(date) * SECONDS_IN_DAY + second;
    return 0;
}
