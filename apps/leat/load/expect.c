/* SPDX-License-Identifier: MIT */
/*
 * See expect.h. Numbers are read digit by digit: strtod() would take the reader's locale, "inf" and
 * hexadecimal.
 */
#include "expect.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum { NUMBER_DIGITS_MAX = 15 }; /* what a double holds exactly */

/* What remains to be read, and where to say what is wrong with it. */
struct reader {
    const char *text, *at;
    char *error;
    size_t error_size;
};

struct unit {
    const char *name;
    double factor;
};

/* What a metric's value may have behind it. */
struct unit_set {
    struct unit units[6]; /* the longer names first, the end is a NULL name */
    bool is_needed;
    const char *wrong; /* the error when it has another, or none where one is needed */
};

static const struct unit_set time_units = {
    .units = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}},
    .is_needed = true,
    .wrong = "a latency needs a unit: ns, us, ms or s"};
static const struct unit_set size_units = {
    .units = {{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}},
    .wrong = "throughput is bytes a second, with k, m, g or nothing behind the number"};
static const struct unit_set share_units = {.units = {{"%", 1}},
                                            .wrong = "a count has % behind its number, or nothing"};
static const struct unit_set no_units = {.wrong =
                                             "requests a second have nothing behind the number"};

static const struct {
    const char *name;
    enum load_metric metric;
    const struct unit_set *units;
} metrics[] = {
    {"min", LOAD_MIN, &time_units},
    {"mean", LOAD_MEAN, &time_units},
    {"max", LOAD_MAX, &time_units},
    {"rps", LOAD_RPS, &no_units},
    {"throughput", LOAD_THROUGHPUT, &size_units},
    {"errors", LOAD_EXPECT_ERRORS, &share_units},
    {"failures", LOAD_EXPECT_FAILURES, &share_units},
    {"unfinished", LOAD_EXPECT_UNFINISHED, &share_units},
};

/* Always -1. */
static int fail(const struct reader *reader, const char *message)
{
    snprintf(reader->error, reader->error_size, "--expect '%.80s': %s", reader->text, message);
    return -1;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_spaces(struct reader *reader)
{
    reader->at += strspn(reader->at, " ");
}

static bool take(struct reader *reader, const char *word)
{
    const size_t size = strlen(word);
    if (strncmp(reader->at, word, size) != 0)
        return false;
    reader->at += size;
    return true;
}

/* Digits, with a point and more digits perhaps. */
static bool take_number(struct reader *reader, double *ret_number)
{
    const char *at = reader->at;
    uint64_t digits = 0;
    double divisor = 1;
    unsigned count = 0;
    bool has_point = false;
    for (; is_digit(*at) || (*at == '.' && !has_point && count > 0 && is_digit(at[1])); at++) {
        if (*at == '.') {
            has_point = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*at - '0');
        divisor *= has_point ? 10 : 1;
        if (++count > NUMBER_DIGITS_MAX)
            return false;
    }
    if (count == 0)
        return false;
    reader->at = at;
    *ret_number = (double)digits / divisor;
    return true;
}

/* "p99.9", or a name; sets what its values are measured in. */
static int take_metric(struct reader *reader, struct load_expectation *expectation,
                       const struct unit_set **ret_units)
{
    double percentage;
    if (reader->at[0] == 'p' && is_digit(reader->at[1])) {
        reader->at++;
        if (!take_number(reader, &percentage) || percentage > 100)
            return fail(reader, "a percentile is p0 to p100, such as p99.9");
        expectation->metric = LOAD_QUANTILE;
        expectation->quantile = percentage / 100;
        *ret_units = &time_units;
        return 0;
    }
    for (size_t index = 0; index < sizeof metrics / sizeof *metrics; index++) {
        if (!take(reader, metrics[index].name))
            continue;
        expectation->metric = metrics[index].metric;
        *ret_units = metrics[index].units;
        return 0;
    }
    return fail(reader, "begins with p50, p99.9 …, min, mean, max, rps, throughput, errors, "
                        "failures or unfinished");
}

static int take_operator(struct reader *reader, enum load_operator *ret_operator)
{
    static const struct {
        const char *sign;
        enum load_operator meaning;
    } operators[] = {
        {"<=", LOAD_AT_MOST}, {">=", LOAD_AT_LEAST}, {"<", LOAD_LESS},
        {">", LOAD_MORE},     {"=", LOAD_EQUAL},
    };
    for (size_t index = 0; index < sizeof operators / sizeof *operators; index++) {
        if (!take(reader, operators[index].sign))
            continue;
        *ret_operator = operators[index].meaning;
        return 0;
    }
    return fail(reader, "needs <, <=, >, >= or = behind what is measured");
}

static int take_value(struct reader *reader, const struct unit_set *units,
                      struct load_expectation *expectation)
{
    if (!take_number(reader, &expectation->value))
        return fail(reader,
                    "needs a number of at most 15 digits to compare with, such as 5 or 0.1");
    skip_spaces(reader);
    bool has_unit = false;
    for (const struct unit *unit = units->units; unit->name && !has_unit; unit++) {
        if (!take(reader, unit->name))
            continue;
        has_unit = true;
        expectation->value *= unit->factor;
        expectation->is_percentage = unit->name[0] == '%';
    }
    skip_spaces(reader);
    if (*reader->at || (units->is_needed && !has_unit))
        return fail(reader, units->wrong);
    if (expectation->is_percentage && expectation->value > 100)
        return fail(reader, "is a percentage of all requests: 100% at most");
    return 0;
}

int load_expect_parse(const char *text, struct load_expectation *ret_expectation, char *ret_error,
                      size_t ret_error_size)
{
    ASSERT(text && ret_expectation);
    ASSERT(ret_error && ret_error_size > 0);
    struct reader reader = {text, text, ret_error, ret_error_size};
    struct load_expectation expectation = {.text = text};
    const struct unit_set *units = NULL;
    skip_spaces(&reader);
    if (take_metric(&reader, &expectation, &units))
        return -1;
    skip_spaces(&reader);
    if (take_operator(&reader, &expectation.operator))
        return -1;
    skip_spaces(&reader);
    if (take_value(&reader, units, &expectation))
        return -1;
    *ret_expectation = expectation;
    return 0;
}

static double count_of(enum load_metric metric, const struct load_tally *tally)
{
    switch (metric) {
    case LOAD_EXPECT_ERRORS: return (double)load_tally_errors(tally);
    case LOAD_EXPECT_FAILURES: return (double)load_tally_failures(tally);
    default: return (double)tally->unfinished;
    }
}

static double value_of(const struct load_expectation *expectation, const struct load_result *result)
{
    const struct load_tally *tally = result->tally;
    switch (expectation->metric) {
    case LOAD_QUANTILE:
        return (double)histogram_quantile_ns(&tally->latency, expectation->quantile);
    case LOAD_MIN: return (double)tally->latency.least_ns;
    case LOAD_MEAN: return histogram_mean_ns(&tally->latency);
    case LOAD_MAX: return (double)tally->latency.greatest_ns;
    case LOAD_RPS: return load_result_per_second(result, tally->answered);
    case LOAD_THROUGHPUT: return load_result_per_second(result, tally->bytes_received);
    case LOAD_EXPECT_ERRORS:
    case LOAD_EXPECT_FAILURES:
    case LOAD_EXPECT_UNFINISHED: break;
    }
    const double count = count_of(expectation->metric, tally);
    const double requests = (double)load_result_requests(result);
    if (!expectation->is_percentage)
        return count;
    return requests > 0 ? 100 * count / requests : 0;
}

static bool compare(double value, enum load_operator operator, double wanted)
{
    switch (operator) {
    case LOAD_LESS: return value < wanted;
    case LOAD_AT_MOST: return value <= wanted;
    case LOAD_MORE: return value > wanted;
    case LOAD_AT_LEAST: return value >= wanted;
    case LOAD_EQUAL: return value == wanted;
    }
    return false;
}

bool load_expect_met(const struct load_expectation *expectation, const struct load_result *result,
                     double *ret_value)
{
    ASSERT(expectation && result && result->tally);
    ASSERT(ret_value);
    *ret_value = value_of(expectation, result);
    if (result->tally->answered == 0 && expectation->metric != LOAD_EXPECT_ERRORS)
        return false;
    return compare(*ret_value, expectation->operator, expectation->value);
}
