/* SPDX-License-Identifier: MIT */
/*
 * Paths: traversal in every spelling, and the way back into a link.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "leat/error.h"
#include "wire/path.h"

#define BAD (-LEAT_E_MALFORMED)

static const struct row {
    struct leat_slice raw;
    int result;
    const char *text;
    bool has_slash_at_end;
} rows[] = {
    {SLICE("/"), 0, "", true},
    {SLICE("/a"), 0, "a", false},
    {SLICE("/a/"), 0, "a", true},
    {SLICE("/a/b.mp4"), 0, "a/b.mp4", false},
    {SLICE("//a///b//"), 0, "a/b", true},
    {SLICE("/./a/./b/."), 0, "a/b", true},
    {SLICE("/a/.b/..c/d../..."), 0, "a/.b/..c/d../...", false},
    {SLICE("/a/../b"), 0, "b", false},
    {SLICE("/a/b/../../c/"), 0, "c", true},
    {SLICE("/a/.."), 0, "", true},
    {SLICE("/a//../b"), 0, "b", false},
    {SLICE("/a/b/.."), 0, "a", true},
    {SLICE("/%41%c3%a9"), 0, "A\xc3\xa9", false},
    {SLICE("/a%20b+c"), 0, "a b+c", false},
    {SLICE("/a%2Fb%2f"), 0, "a/b", true},
    {SLICE("/%2e/a%2fb/%2E%2e/c"), 0, "a/c", false},
    {SLICE("/a\\..\\b"), 0, "a\\..\\b", false},
    {SLICE("/..\\..\\b"), 0, "..\\..\\b", false},
    {SLICE("/%5c..%5c"), 0, "\\..\\", false},
    {SLICE("/%252e%252e/x"), 0, "%2e%2e/x", false},
    {SLICE("/%25"), 0, "%", false},
    {SLICE("/a?b"), 0, "a?b", false}, /* the query was cut off before */
    {SLICE("/%0a%7f%ff"), 0, "\n\x7f\xff", false},
    {SLICE("/%c0%ae%c0%ae/x"), 0, "\xc0\xae\xc0\xae/x", false}, /* overlong dots are no dots */

    {SLICE("/.."), -EACCES, NULL, false},
    {SLICE("/../"), -EACCES, NULL, false},
    {SLICE("/../a"), -EACCES, NULL, false},
    {SLICE("/a/../../b"), -EACCES, NULL, false},
    {SLICE("/a/../.."), -EACCES, NULL, false},
    {SLICE("//../a"), -EACCES, NULL, false},
    {SLICE("/./../a"), -EACCES, NULL, false},
    {SLICE("/%2e%2e/a"), -EACCES, NULL, false},
    {SLICE("/%2E./a"), -EACCES, NULL, false},
    {SLICE("/.%2e%2fa"), -EACCES, NULL, false},
    {SLICE("/..%2f..%2fetc%2fpasswd"), -EACCES, NULL, false},
    {SLICE("/a%2f..%2f..%2fb"), -EACCES, NULL, false},
    {SLICE("/%2f%2e%2e%2f"), -EACCES, NULL, false},

    {SLICE(""), BAD, NULL, false},
    {SLICE("a"), BAD, NULL, false},
    {SLICE("../a"), BAD, NULL, false},
    {SLICE("/%"), BAD, NULL, false},
    {SLICE("/%4"), BAD, NULL, false},
    {SLICE("/a%4g"), BAD, NULL, false},
    {SLICE("/a%g4"), BAD, NULL, false},
    {SLICE("/%-1"), BAD, NULL, false},
    {SLICE("/%u002e"), BAD, NULL, false},
    {SLICE("/%%2e"), BAD, NULL, false},
    {SLICE("/a%00"), BAD, NULL, false},
    {SLICE("/a%00.mp4"), BAD, NULL, false},
    {SLICE("/a\0b"), BAD, NULL, false},
};

static void normalises(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        /* As much room as is promised to be enough. */
        char *buffer = malloc(row->raw.size > 0 ? row->raw.size : 1);
        assert_non_null(buffer);
        struct path path = {.text = SLICE("untouched")};
        const int result = path_normalise(row->raw, buffer, row->raw.size, &path);
        if (result != row->result)
            print_error("row %zu: %s\n", i, row->raw.data);
        assert_int_equal(result, row->result);
        if (result == 0) {
            assert_ptr_equal(path.text.data, buffer);
            assert_string_equal(path.text.data, row->text);
            assert_int_equal(path.text.size, strlen(row->text));
            assert_int_equal(path.has_slash_at_end, row->has_slash_at_end);
        } else {
            assert_string_equal(path.text.data, "untouched");
        }
        free(buffer);
    }
}

static void keeps_to_its_buffer(void **state)
{
    char buffer[8];
    struct path path;
    assert_int_equal(path_normalise(SLICE("/abcdefg"), buffer, 8, &path), 0);
    assert_string_equal(buffer, "abcdefg");
    assert_int_equal(path_normalise(SLICE("/abcdefgh"), buffer, 8, &path), -ENAMETOOLONG);
    assert_int_equal(path_normalise(SLICE("/abcdefg/"), buffer, 8, &path), 0);
    assert_int_equal(path_normalise(SLICE("/abcdefg/h"), buffer, 8, &path), -ENAMETOOLONG);
    assert_int_equal(path_normalise(SLICE("/"), buffer, 1, &path), 0);
    assert_int_equal(path_normalise(SLICE("/"), buffer, 0, &path), -ENAMETOOLONG);
    assert_int_equal(path_normalise(SLICE("/a"), buffer, 1, &path), -ENAMETOOLONG);
}

static void every_byte_goes_into_a_link_and_back(void **state)
{
    char name[258] = "/", link[3 * 256 + 1] = "/", back[3 * 256 + 1];
    for (int c = 1; c < 256; c++)
        name[c] = (char)(c == '/' || c == '.' ? 'x' : c);
    const struct leat_slice text = slice_of(name + 1, 255);
    const long size = path_encode(text, link + 1, sizeof(link) - 1);
    assert_true(size > 255);
    for (long i = 1; i <= size; i++)
        assert_true((link[i] >= '0' && link[i] <= 'z') || strchr("-._~%", link[i]));
    struct path path;
    assert_int_equal(path_normalise(slice_of(link, (size_t)size + 1), back, sizeof(back), &path),
                     0);
    assert_true(slice_equal(path.text, text));
}

static void encodes(void **state)
{
    char text[16];
    assert_int_equal(path_encode(SLICE("a/b c:?#%"), text, 16), -ENOBUFS);
    assert_int_equal(path_encode(SLICE("a/b c:?#"), text, 16), 16);
    assert_memory_equal(text, "a/b%20c%3A%3F%23", 16);
    assert_int_equal(path_encode(SLICE(" "), text, 2), -ENOBUFS);
    assert_int_equal(path_encode(slice_of(NULL, 0), text, 0), 0);
}

static void splits_the_query(void **state)
{
    struct leat_slice path, query;
    path_split_query(SLICE("/a?b?c"), &path, &query);
    assert_true(slice_equal(path, SLICE("/a")) && slice_equal(query, SLICE("b?c")));
    path_split_query(SLICE("/a?"), &path, &query);
    assert_true(slice_equal(path, SLICE("/a")) && query.size == 0 && query.data != NULL);
    path_split_query(SLICE("/a%3Fb"), &path, &query);
    assert_true(slice_equal(path, SLICE("/a%3Fb")) && query.data == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalises),
        cmocka_unit_test(keeps_to_its_buffer),
        cmocka_unit_test(every_byte_goes_into_a_link_and_back),
        cmocka_unit_test(encodes),
        cmocka_unit_test(splits_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
