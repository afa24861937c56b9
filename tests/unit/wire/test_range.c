/* SPDX-License-Identifier: MIT */
/*
 * Ranges: every shape a Range field can have, against files of several sizes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "wire/range.h"

#define TOP UINT64_MAX

static void parses(void **state)
{
    static const struct {
        const char *value;
        uint64_t size;
        enum range_answer answer;
        uint64_t first, last;
    } rows[] = {
        {"bytes=0-499", 10000, RANGE_PARTS, 0, 499},
        {"bytes=500-999", 10000, RANGE_PARTS, 500, 999},
        {"bytes=-500", 10000, RANGE_PARTS, 9500, 9999},
        {"bytes=9500-", 10000, RANGE_PARTS, 9500, 9999},
        {"bytes=0-0", 10000, RANGE_PARTS, 0, 0},
        {"bytes=-1", 10000, RANGE_PARTS, 9999, 9999},
        {"BYTES=0-1", 10000, RANGE_PARTS, 0, 1},
        {"bytes=0-", 1, RANGE_PARTS, 0, 0},
        {"bytes=00-007", 10000, RANGE_PARTS, 0, 7},
        {"bytes= 0-1 ", 10000, RANGE_PARTS, 0, 1},
        {"bytes=0-1,", 10000, RANGE_PARTS, 0, 1},
        {"bytes=, ,0-1", 10000, RANGE_PARTS, 0, 1},
        /* beyond the end, and beyond any number */
        {"bytes=0-10000", 10000, RANGE_PARTS, 0, 9999},
        {"bytes=9999-99999999999999999999999", 10000, RANGE_PARTS, 9999, 9999},
        {"bytes=-20000", 10000, RANGE_PARTS, 0, 9999},
        {"bytes=-99999999999999999999999", 10000, RANGE_PARTS, 0, 9999},
        {"bytes=18446744073709551614-18446744073709551615", TOP, RANGE_PARTS, TOP - 1, TOP - 1},
        {"bytes=-18446744073709551615", TOP, RANGE_PARTS, 0, TOP - 1},
        {"bytes=10000-", 10000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=10000-10001", 10000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551615-", TOP, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551616-18446744073709551617", 10000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-000", 10000, RANGE_UNSATISFIABLE, 0, 0},
        /* nothing of nothing */
        {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-0", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-5", 0, RANGE_IGNORE, 0, 0},
        /* one malformed spoils all */
        {"bytes=0-1,junk", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0-1,5-4", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0-1;3-4", 10000, RANGE_IGNORE, 0, 0},
        /* malformed, or of another kind */
        {"", 10000, RANGE_IGNORE, 0, 0},
        {"bytes", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=,", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=-", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=5-4", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=--5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0--5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=+0-5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0 - 5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=0x0-0x5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes=a-b", 10000, RANGE_IGNORE, 0, 0},
        {"bytes:0-5", 10000, RANGE_IGNORE, 0, 0},
        {"bytes =0-5", 10000, RANGE_IGNORE, 0, 0},
        {"seconds=0-5", 10000, RANGE_IGNORE, 0, 0},
        {"0-5", 10000, RANGE_IGNORE, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct range_set set = {.count = 1, .parts = {{.first = 77, .last = 78}}};
        const enum range_answer answer =
            range_parse(slice_from_text(rows[i].value), rows[i].size, &set);
        if (answer != rows[i].answer)
            print_error("row %zu: %s\n", i, rows[i].value);
        assert_int_equal(answer, rows[i].answer);
        assert_int_equal(set.count, 1);
        assert_true(set.parts[0].first == (answer == RANGE_PARTS ? rows[i].first : 77));
        assert_true(set.parts[0].last == (answer == RANGE_PARTS ? rows[i].last : 78));
    }
    struct range_set set;
    assert_int_equal(range_parse(slice_of(NULL, 0), 1, &set), RANGE_IGNORE);
}

/* "first-last,..." of a set, as it was made. */
static const char *text_of(const struct range_set *set)
{
    static char text[RANGE_PARTS_MAX * 42];
    size_t size = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < set->count; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%llu-%llu", i ? "," : "",
                                 (unsigned long long)set->parts[i].first,
                                 (unsigned long long)set->parts[i].last);
    return text;
}

static void several(void **state)
{
    static const struct {
        const char *value;
        uint64_t size;
        const char *parts; /* NULL: ignored; "": not satisfiable */
    } rows[] = {
        {"bytes=0-1,500-501", 1000, "0-1,500-501"},
        {"bytes=500-501,0-1", 1000, "500-501,0-1"}, /* in the order they were asked for */
        {"bytes=0-0,-1", 1000, "0-0,999-999"},
        {"bytes=0-1, ,500-501 ,", 1000, "0-1,500-501"},
        /* 79 bytes between them, and 80 */
        {"bytes=0-9,89-99", 1000, "0-99"},
        {"bytes=0-9,90-99", 1000, "0-9,90-99"},
        {"bytes=89-99,0-9", 1000, "0-99"},
        {"bytes=90-99,0-9", 1000, "90-99,0-9"},
        /* overlapping, touching, the same, within */
        {"bytes=0-9,5-20", 1000, "0-20"},
        {"bytes=0-9,10-20", 1000, "0-20"},
        {"bytes=5-9,5-9,5-9", 1000, "5-9"},
        {"bytes=0-,400-500", 1000, "0-999"},
        {"bytes=400-500,0-", 1000, "0-999"},
        /* one that joins others stands where the first of them was */
        {"bytes=0-9,500-509,200-209,100-450", 1000, "0-9,100-509"},
        {"bytes=500-509,0-9,100-450", 1000, "100-509,0-9"},
        {"bytes=0-9,200-209,400-409,600-609,5-405", 1000, "0-409,600-609"},
        {"bytes=900-,0-9,300-309,0-999", 1000, "0-999"},
        /* what can not be is left out */
        {"bytes=0-1,1000-", 1000, "0-1"},
        {"bytes=2000-3000,500-501,-0", 1000, "500-501"},
        {"bytes=1000-,2000-,-0", 1000, ""},
        {"bytes=0-1,5-5", 0, ""},
        {"bytes=0-1,-5", 0, NULL},
        /* at the end of all numbers */
        {"bytes=18446744073709551614-,0-0,-18446744073709551615", TOP, "0-18446744073709551614"},
        {"bytes=18446744073709551614-,0-0", TOP, "18446744073709551614-18446744073709551614,0-0"},
        /* sixteen, whatever comes of them; and one more */
        {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15", 1000,
         "0-15"},
        {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16",
         1000, NULL},
        {"bytes=0-0,100-,200-,300-,400-,500-,600-,700-,800-,900-,1-,2-,3-,4-,5-,6-,9000-", 1000,
         NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct range_set set = {0};
        const enum range_answer answer =
            range_parse(slice_from_text(rows[i].value), rows[i].size, &set);
        const char *parts = rows[i].parts;
        if (!parts || !parts[0])
            assert_int_equal(answer, parts ? RANGE_UNSATISFIABLE : RANGE_IGNORE);
        else if (answer != RANGE_PARTS || strcmp(text_of(&set), parts) != 0)
            fail_msg("%s: %s, not %s", rows[i].value, text_of(&set), parts);
    }
}

/* As many parts as there may be, from both ends towards the middle. */
static void as_many_as_there_may_be(void **state)
{
    char value[1024];
    int size = snprintf(value, sizeof(value), "bytes=");
    for (unsigned i = 0; i < RANGE_PARTS_MAX; i++)
        size += snprintf(value + size, sizeof(value) - (size_t)size, "%u-%u,",
                         (i % 2 ? 31 - i : i) * 1000, (i % 2 ? 31 - i : i) * 1000 + 9);
    struct range_set set = {0};
    assert_int_equal(range_parse(slice_of(value, (size_t)size), 1000000, &set), RANGE_PARTS);
    assert_int_equal(set.count, RANGE_PARTS_MAX);
    for (unsigned i = 0; i < RANGE_PARTS_MAX; i++)
        assert_int_equal(set.parts[i].first, (i % 2 ? 31 - i : i) * 1000);
}

static void formats(void **state)
{
    char text[RANGE_TEXT_SIZE + 1] = {0};
    size_t size = range_format(&(struct range){0, 499}, 1234, text);
    assert_int_equal(size, 16);
    assert_memory_equal(text, "bytes 0-499/1234", 16);
    size = range_format(NULL, 0, text);
    assert_int_equal(size, 9);
    assert_memory_equal(text, "bytes */0", 9);
    size = range_format(&(struct range){TOP - 2, TOP - 1}, TOP, text);
    assert_int_equal(size, RANGE_TEXT_SIZE);
    assert_string_equal(text,
                        "bytes 18446744073709551613-18446744073709551614/18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(several),
        cmocka_unit_test(as_many_as_there_may_be),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
