/* SPDX-License-Identifier: MIT */
/*
 * Entity tags: the comparisons of RFC 9110, section 8.8.3.2, and lists of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/etag.h"

static void compares_as_the_standard_says(void **state)
{
    static const struct {
        const char *a, *b;
        bool strong, weak;
    } rows[] = {
        {"W/\"1\"", "W/\"1\"", false, true},
        {"W/\"1\"", "W/\"2\"", false, false},
        {"W/\"1\"", "\"1\"", false, true},
        {"\"1\"", "\"1\"", true, true},
        {"\"1\"", "\"2\"", false, false},
        {"\"\"", "\"\"", true, true},
        {"\"W\"", "W/\"W\"", false, true},
        {"\"1\"", "1", false, false},
        {"1", "1", false, false},
        {"", "", false, false},
        {"w/\"1\"", "\"1\"", false, false},
        {"\"1\" ", "\"1\" ", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct leat_slice a = slice_from_text(rows[i].a), b = slice_from_text(rows[i].b);
        assert_int_equal(etag_equal(a, b, ETAG_STRONG), rows[i].strong);
        assert_int_equal(etag_equal(b, a, ETAG_STRONG), rows[i].strong);
        assert_int_equal(etag_equal(a, b, ETAG_WEAK), rows[i].weak);
        assert_int_equal(etag_equal(b, a, ETAG_WEAK), rows[i].weak);
    }
}

static void knows_a_tag(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"\"a\"", true},      {"W/\"a\"", true},
        {"\"\"", true},       {"\"a,b\"", true},
        {"\"\\\"", true},     {"\"\xc3\xa9\"", true},
        {"\"", false},        {"W/", false},
        {"W/\"", false},      {"\"a b\"", false},
        {"\"a\tb\"", false},  {"\"a\x01\"", false},
        {"\"a\x7f\"", false}, {"\"a\"b\"", false},
        {"\"a\"b", false},    {"Sun, 06 Nov 1994 08:49:37 GMT", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(etag_is_valid(slice_from_text(rows[i].text)), rows[i].valid);
}

static void searches_lists(void **state)
{
    static const struct {
        const char *list;
        bool weak, strong; /* holds "x" */
    } rows[] = {
        {"*", true, true},
        {" * ", true, true},
        {"\"x\"", true, true},
        {"W/\"x\"", true, false},
        {"\"a\", \"b\",\"x\"", true, true},
        {"\"a\" ,\t\"x\"", true, true},
        {", ,\"x\",", true, true},
        {"\"a,\", W/\"x\", \"x\"", true, true},
        {"", false, false},
        {",", false, false},
        {"\"a\"", false, false},
        {"x", false, false},
        {"*, \"x\"", false, false},
        {"\"x", false, false},
        {"\"a, \"x\"", false, false},  /* the first tag has a blank in it */
        {"\"a,\"x\"", false, false},   /* "a," and then rubbish */
        {"\"a\" \"x\"", false, false}, /* no comma between */
        {"junk, \"x\"", false, false},
        {"\"x\", junk", true, true}, /* found before the rubbish */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct leat_slice list = slice_from_text(rows[i].list);
        assert_int_equal(etag_list_has(list, SLICE("\"x\""), ETAG_WEAK), rows[i].weak);
        assert_int_equal(etag_list_has(list, SLICE("\"x\""), ETAG_STRONG), rows[i].strong);
        if (list.size > 0 && list.data[0] != '*' && list.data[1] != '*')
            assert_false(etag_list_has(list, SLICE("W/\"x\""), ETAG_STRONG));
    }
    assert_false(etag_list_has(slice_of(NULL, 0), SLICE("\"x\""), ETAG_WEAK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_as_the_standard_says),
        cmocka_unit_test(knows_a_tag),
        cmocka_unit_test(searches_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
