/* SPDX-License-Identifier: MIT */
/* --expect: what is understood, what is refused and how that is said, and when it is met. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "load/expect.h"
#include "load_sample.h"

static void is_understood(void **state)
{
    static const struct load_expectation rows[] = {
        {"p50<5ms", LOAD_QUANTILE, 0.5, LOAD_LESS, 5e6, false},
        {" p99.9  <=  250 us ", LOAD_QUANTILE, 0.999, LOAD_AT_MOST, 250e3, false},
        {"p0>1ns", LOAD_QUANTILE, 0, LOAD_MORE, 1, false},
        {"p100<0.5s", LOAD_QUANTILE, 1, LOAD_LESS, 0.5e9, false},
        {"min>=10us", LOAD_MIN, 0, LOAD_AT_LEAST, 10e3, false},
        {"mean<1.25ms", LOAD_MEAN, 0, LOAD_LESS, 1.25e6, false},
        {"max<1s", LOAD_MAX, 0, LOAD_LESS, 1e9, false},
        {"rps>1000.5", LOAD_RPS, 0, LOAD_MORE, 1000.5, false},
        {"throughput >= 1.5m", LOAD_THROUGHPUT, 0, LOAD_AT_LEAST, 1.5 * 1048576, false},
        {"throughput>100", LOAD_THROUGHPUT, 0, LOAD_MORE, 100, false},
        {"throughput>2k", LOAD_THROUGHPUT, 0, LOAD_MORE, 2048, false},
        {"throughput<1g", LOAD_THROUGHPUT, 0, LOAD_LESS, 1073741824, false},
        {"errors=0", LOAD_EXPECT_ERRORS, 0, LOAD_EQUAL, 0, false},
        {"errors<0.1%", LOAD_EXPECT_ERRORS, 0, LOAD_LESS, 0.1, true},
        {"failures <= 3 %", LOAD_EXPECT_FAILURES, 0, LOAD_AT_MOST, 3, true},
        {"unfinished=0", LOAD_EXPECT_UNFINISHED, 0, LOAD_EQUAL, 0, false},
    };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        struct load_expectation told = {0};
        char error[128] = "";
        assert_int_equal(load_expect_parse(rows[index].text, &told, error, sizeof error), 0);
        assert_ptr_equal(told.text, rows[index].text);
        assert_int_equal(told.metric, rows[index].metric);
        assert_true(fabs(told.quantile - rows[index].quantile) < 1e-12);
        assert_int_equal(told.operator, rows[index].operator);
        assert_true(fabs(told.value - rows[index].value) < 1e-6);
        assert_int_equal(told.is_percentage, rows[index].is_percentage);
        assert_string_equal(error, "");
    }
}

static void is_refused_with_what_would_be_right(void **state)
{
    static const char unit[] = "a latency needs a unit: ns, us, ms or s";
    static const char metric[] = "begins with p50, p99.9 …, min, mean, max, rps, throughput, "
                                 "errors, failures or unfinished";
    static const char operator[] = "needs <, <=, >, >= or = behind what is measured";
    static const char number[] = "needs a number of at most 15 digits to compare with, such as 5 "
                                 "or 0.1";
    static const struct {
        const char *text, *wrong;
    } rows[] = {{"p99<5", unit}, {"p99<5m", unit}, {"p99<5ms.", unit}, {"max<5 msx", unit},
                {"max<1.5.5ms", unit}, {"mean<1e3us", unit}, {"p99<5%", unit}, {"p99<0x10ms", unit},
                {"", metric}, {"   ", metric}, {"p<5ms", metric}, {"latency<5ms", metric},
                {"<5ms", metric}, {"P99<5ms", metric},
                {"p100.1<5ms", "a percentile is p0 to p100, such as p99.9"},
                {"p99", operator},
                 {"p99.<5ms", operator},
                  {"p99!5ms", operator},
                   {
                       "minimum<5ms",
                       operator},
                       {"p99<", number},
                       {"p99==5ms", number},
                       {"p99<-5ms", number},
                       {"p99<.5ms", number},
                       {"p99<infs", number},
                       {"p99<nans", number},
                       {"rps>,5", number},
                       {"rps>1234567890123456", number},
                       {"rps>1k", "requests a second have nothing behind the number"},
                       {"rps>1,5", "requests a second have nothing behind the number"},
                       {"throughput>1M",
                        "throughput is bytes a second, with k, m, g or nothing behind the number"},
                       {"errors<5k", "a count has % behind its number, or nothing"},
                       {"errors<1%%", "a count has % behind its number, or nothing"},
                       {"errors<101%", "is a percentage of all requests: 100% at most"},
                  };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        struct load_expectation untouched = {.text = "as it was"};
        char error[256] = "", wanted[256];
        assert_int_equal(load_expect_parse(rows[index].text, &untouched, error, sizeof error), -1);
        snprintf(wanted, sizeof wanted, "--expect '%s': %s", rows[index].text, rows[index].wrong);
        assert_string_equal(error, wanted);
        assert_string_equal(untouched.text, "as it was");
    }
}

/* However long it was, the reason fits. */
static void a_long_one_is_cut(void **state)
{
    char text[2000], error[256];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    struct load_expectation untouched;
    assert_int_equal(load_expect_parse(text, &untouched, error, sizeof error), -1);
    assert_non_null(strstr(error, "failures or unfinished"));
}

struct verdict {
    bool is_met;
    double value;
};

static struct verdict judge(const struct load_example *example, const char *text)
{
    struct load_expectation expectation;
    struct verdict verdict;
    char error[256];
    assert_int_equal(load_expect_parse(text, &expectation, error, sizeof error), 0);
    verdict.is_met = load_expect_met(&expectation, &example->result, &verdict.value);
    return verdict;
}

static void is_met_or_not(void **state)
{
    static const struct {
        const char *text;
        bool is_met;
        double value;
    } rows[] = {
        {"min=100us", true, 100e3},        {"min<100us", false, 100e3},
        {"min<=100us", true, 100e3},       {"min>=100us", true, 100e3},
        {"min>100us", false, 100e3},       {"p50<101us", true, 100e3},
        {"p90<202us", true, 200e3},        {"p91>1.49ms", true, 1.5e6},
        {"p99.99<20ms", false, 20e6},      {"p100=20ms", true, 20e6},
        {"max<=20ms", true, 20e6},         {"rps=990", true, 990},
        {"rps>990", false, 990},           {"throughput>1m", true, 1188000},
        {"throughput>2m", false, 1188000}, {"errors=98", true, 98},
        {"errors<1%", true, 0.98},         {"errors<0.98%", false, 0.98},
        {"failures<900", false, 900},      {"failures<=9%", true, 9},
        {"unfinished=0", false, 2},        {"unfinished<=0.02%", true, 0.02},
    };
    struct load_example *example = load_example_create_full();
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        const struct verdict told = judge(example, rows[index].text);
        assert_int_equal(told.is_met, rows[index].is_met);
        assert_true(told.value >= rows[index].value * (1 - 1e-9));
        assert_true(told.value <= rows[index].value * 1.008); /* a bucket's width */
    }
    free(example);
}

/* A server that answers nothing is quick and has no failures, which is not what was meant. */
static void nothing_answered_meets_nothing_but_errors(void **state)
{
    struct load_example *example = load_example_create();
    example->tally.errors[LOAD_REFUSED] = 10;
    example->tally.unfinished = 30;
    histogram_record(&example->tally.latency, 1000); /* of an unfinished one */
    static const char *const unmet[] = {"p99<5ms",    "max<1s",     "rps>=0",       "errors=0",
                                        "failures=0", "errors<10%", "throughput>=0"};
    for (size_t index = 0; index < sizeof unmet / sizeof *unmet; index++)
        assert_false(judge(example, unmet[index]).is_met);
    assert_true(judge(example, "errors=10").is_met);
    assert_true(judge(example, "errors<=25%").is_met);
    free(example);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_understood),
        cmocka_unit_test(is_refused_with_what_would_be_right),
        cmocka_unit_test(a_long_one_is_cut),
        cmocka_unit_test(is_met_or_not),
        cmocka_unit_test(nothing_answered_meets_nothing_but_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
