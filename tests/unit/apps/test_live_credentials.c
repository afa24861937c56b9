/* SPDX-License-Identifier: MIT */
/*
 * The key in Authorization: which it is, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "live_credentials.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { KEY_SIZE = 32 };

/* The text stands in memory of its own size, so that a sanitizer sees who reads beyond it. */
static const char *key_of(const char *text, size_t size, char key[KEY_SIZE])
{
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    const bool is_there = credentials_key(slice_of(copy, size), key, KEY_SIZE);
    free(copy);
    return is_there ? key : NULL;
}

static void keys(void **state)
{
    static const struct {
        const char *text, *key; /* NULL: there is none */
    } rows[] = {
        {"Bearer secret", "secret"},
        {"bearer secret", "secret"},
        {"BEARER   secret", "secret"},
        {"Bearer one two", "one two"},
        {"Basic OnNlY3JldA==", "secret"},     /* ":secret" */
        {"Basic YW55OnNlY3JldA==", "secret"}, /* "any:secret" */
        {"basic YW55OnNlY3JldA", "secret"},   /* without its padding */
        {"Basic YTpiOmM=", "b:c"},            /* "a:b:c": the first colon */
        {"Bearer 1234567890123456789012345678901", "1234567890123456789012345678901"},
        {"Bearer 12345678901234567890123456789012", NULL}, /* too long */
        {"Bearer ", NULL},
        {"Bearer", NULL},
        {"Bearersecret", NULL},
        {"Bear", NULL},
        {"", NULL},
        {"Basic", NULL},
        {"Basic ", NULL},
        {"Basic ====", NULL},
        {"Basic YW55", NULL},     /* "any": no colon */
        {"Basic YW55Og==", NULL}, /* "any:": no key */
        {"Basic !!!!", NULL},
        {"Basic YW5 5OnM=", NULL},
        {"Basic YTpiAGM=", NULL}, /* "a:b", a zero, "c" */
        {"Digest YW55OnNlY3JldA==", NULL},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        char key[KEY_SIZE];
        const char *found = key_of(rows[row].text, strlen(rows[row].text), key);
        if (rows[row].key) {
            assert_non_null(found);
            assert_string_equal(found, rows[row].key);
        } else {
            assert_null(found);
        }
    }
    char key[KEY_SIZE];
    assert_false(credentials_key((struct leat_slice){0}, key, sizeof key));
    assert_null(key_of("Bearer a\0b", 10, key));
}

/* As much as anybody may send: neither is it believed, nor is there room for it. */
static void much_of_it(void **state)
{
    char text[8192], key[KEY_SIZE];
    memset(text, 'Y', sizeof text);
    memcpy(text, "Basic ", 6);
    for (size_t size = 0; size <= sizeof text; size += 7)
        assert_null(key_of(text, size, key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(much_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
