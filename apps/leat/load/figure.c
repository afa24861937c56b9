/* SPDX-License-Identifier: MIT */
/*
 * See figure.h.
 */
#include "figure.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "base/assert.h"
#include "leat/clock.h"

const struct load_percentile load_percentiles[LOAD_PERCENTILES] = {
    {"p50", 0.50}, {"p75", 0.75},    {"p90", 0.90},
    {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999},
};

struct unit {
    const char *name;
    double size;
};

static const struct unit time_units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", 1 << 10},
    {"MiB", 1 << 20},
    {"GiB", 1 << 30},
    {"TiB", (double)(INT64_C(1) << 40)},
    {"PiB", (double)(INT64_C(1) << 50)},
};

/* The largest unit of which there is one, when rounded to three digits: 999.7 us are 1.00 ms. */
static const struct unit *choose_unit(const struct unit *units, size_t count, double value)
{
    ASSERT(count > 0);
    size_t index = 0;
    while (index + 1 < count && value >= units[index + 1].size * 0.9995)
        index++;
    return &units[index];
}

/* How many digits behind the point make three in all. */
static int digits_behind_point(double value)
{
    if (value >= 99.95)
        return 0;
    return value >= 9.995 ? 1 : 2;
}

static struct load_figure in_unit(double value, const struct unit *unit)
{
    struct load_figure figure;
    const double shown = value / unit->size;
    /* There is nothing below a nanosecond or a byte. */
    const int digits = unit->size == 1 ? 0 : digits_behind_point(shown);
    snprintf(figure.text, sizeof figure.text, "%.*f %s", digits, shown, unit->name);
    return figure;
}

struct load_figure load_figure_time(double ns)
{
    return in_unit(ns, choose_unit(time_units, sizeof time_units / sizeof *time_units, ns));
}

struct load_figure load_figure_short_time(double ns)
{
    const struct unit *unit = choose_unit(time_units, sizeof time_units / sizeof *time_units, ns);
    struct load_figure figure;
    snprintf(figure.text, sizeof figure.text, "%.3g %s", ns / unit->size, unit->name);
    return figure;
}

struct load_figure load_figure_size(double bytes)
{
    return in_unit(bytes, choose_unit(size_units, sizeof size_units / sizeof *size_units, bytes));
}

struct load_figure load_figure_count(uint64_t count)
{
    struct load_figure figure;
    char digits[24];
    const int size = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *at = figure.text;
    for (int index = 0; index < size; index++) {
        if (index > 0 && (size - index) % 3 == 0)
            *at++ = ',';
        *at++ = digits[index];
    }
    *at = 0;
    ASSERT((size_t)(at - figure.text) < sizeof figure.text);
    return figure;
}

struct load_figure load_figure_rate(double per_s)
{
    struct load_figure figure;
    if (per_s >= 99.95)
        return load_figure_count((uint64_t)(per_s + 0.5));
    snprintf(figure.text, sizeof figure.text, "%.*f", digits_behind_point(per_s), per_s);
    return figure;
}

struct load_figure load_figure_share(double part, double whole)
{
    struct load_figure figure;
    const double share = whole > 0 ? 100 * part / whole : 0;
    if (share > 0 && share < 0.01)
        return (struct load_figure){"< 0.01 %"};
    /* One of a million is missing: that is not all of them. */
    if (share < 100 && share >= 99.995)
        return (struct load_figure){"> 99.99 %"};
    const int digits = share >= 99.5 || share < 1 ? 2 : share < 10 ? 1 : 0;
    snprintf(figure.text, sizeof figure.text, "%.*f %%", share == 0 || share == 100 ? 0 : digits,
             share);
    return figure;
}

struct load_figure load_figure_instant(int64_t wall_ns)
{
    struct load_figure figure = {""};
    const time_t seconds = (time_t)(wall_ns / LEAT_NS_PER_S);
    const unsigned ms = (unsigned)(wall_ns % LEAT_NS_PER_S / LEAT_NS_PER_MS);
    struct tm parts;
    if (!gmtime_r(&seconds, &parts))
        return figure;
    const size_t size = strftime(figure.text, sizeof figure.text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(figure.text + size, sizeof figure.text - size, ".%03uZ", ms);
    return figure;
}

/* With more digits than elsewhere: 5.004 ms are not below 5 ms, and 5.00 ms would not show it. */
struct load_figure load_figure_expected(const struct load_expectation *expectation, double value)
{
    const struct unit *unit;
    struct load_figure figure;
    switch (expectation->metric) {
    case LOAD_QUANTILE:
    case LOAD_MIN:
    case LOAD_MEAN:
    case LOAD_MAX:
        unit = choose_unit(time_units, sizeof time_units / sizeof *time_units, value);
        snprintf(figure.text, sizeof figure.text, "%.6g %s", value / unit->size, unit->name);
        return figure;
    case LOAD_RPS: snprintf(figure.text, sizeof figure.text, "%.1f/s", value); return figure;
    case LOAD_THROUGHPUT:
        unit = choose_unit(size_units, sizeof size_units / sizeof *size_units, value);
        snprintf(figure.text, sizeof figure.text, "%.6g %s/s", value / unit->size, unit->name);
        return figure;
    case LOAD_EXPECT_ERRORS:
    case LOAD_EXPECT_FAILURES:
    case LOAD_EXPECT_UNFINISHED: break;
    }
    if (!expectation->is_percentage)
        return load_figure_count((uint64_t)value);
    snprintf(figure.text, sizeof figure.text, "%.4g %%", value);
    return figure;
}

int load_figure_write(const struct text *text, FILE *out)
{
    ASSERT(text && out);
    if (text->has_failed)
        return -ENOMEM;
    errno = 0;
    if (fwrite(text->data, 1, text->size, out) == text->size && fflush(out) == 0 && !ferror(out))
        return 0;
    return errno ? -errno : -EIO;
}
