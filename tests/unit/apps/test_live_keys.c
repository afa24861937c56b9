/* SPDX-License-Identifier: MIT */
/*
 * Stream keys: what a file of them says, what it must not say, and whom they let in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live_keys.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static char said[256];

static int read_text(struct live_keys *keys, const char *text, size_t size)
{
    char path[] = "/tmp/leat-keys-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    close(fd);
    said[0] = '\0';
    const int error = live_keys_read(keys, path, said, sizeof said);
    unlink(path);
    return error;
}

static void who_may(void **state)
{
    static const char text[] = "# a comment\n\n   \ncam1  one two three \t\ncam2\tb\r\ncam2 c\n"
                               "* master\nlast no-line-end";
    static const struct {
        const char *name, *key;
        bool may;
    } rows[] = {
        {"cam1", "one two three", true},
        {"cam1", "one two three ", false},
        {"cam1", "one two", false},
        {"cam1", "", false},
        {"cam1", NULL, false},
        {"cam1", "b", false},
        {"cam2", "b", true},
        {"cam2", "c", true},
        {"cam3", "c", false},
        {"cam1", "master", true},
        {"other", "master", true},
        {"*", "one two three", false},
        {"last", "no-line-end", true},
        {"#", "a comment", false},
    };
    struct live_keys keys;
    assert_int_equal(read_text(&keys, text, sizeof text - 1), 0);
    assert_int_equal(keys.count, 5);
    for (size_t row = 0; row < COUNT_OF(rows); row++)
        assert_int_equal(live_keys_match(&keys, rows[row].name, rows[row].key), rows[row].may);
    char long_key[2 * LIVE_KEY_SIZE] = {0};
    memset(long_key, 'k', sizeof long_key - 1);
    assert_false(live_keys_match(&keys, "cam1", long_key));
    live_keys_fini(&keys);
    assert_true(live_keys_match(&keys, "cam1", NULL)); /* none are asked for */
}

static void a_file_without_keys_lets_nobody_in(void **state)
{
    struct live_keys keys;
    assert_int_equal(read_text(&keys, "", 0), 0);
    assert_false(live_keys_match(&keys, "cam", NULL));
    assert_false(live_keys_match(&keys, "cam", ""));
    live_keys_fini(&keys);
}

static void what_is_wrong_is_told(void **state)
{
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"cam\n", "line 1 has a name and no key"},
        {"a b\ncam  \t \n", "line 2 has a name and no key"},
        {" cam key\n", "line 1 begins with a blank, and not with a name"},
    };
    struct live_keys keys;
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        assert_int_equal(read_text(&keys, rows[row].text, strlen(rows[row].text)), -1);
        assert_non_null(strstr(said, rows[row].complaint));
        assert_null(keys.keys);
    }
    assert_int_equal(live_keys_read(&keys, "/no/such/file", said, sizeof said), -1);
    assert_int_equal(live_keys_read(&keys, "/", said, sizeof said), -1);
    assert_non_null(strstr(said, "cannot be read"));
    assert_int_equal(read_text(&keys, "a b\nca\0m key\n", 13), -1);
}

static void limits(void **state)
{
    struct live_keys keys;
    char *text = calloc(1, 64 * 1024);
    size_t size = 0;
    assert_non_null(text);
    for (unsigned line = 0; line < LIVE_KEYS_MAX; line++)
        size += (size_t)sprintf(text + size, "n%u k%u\n", line, line);
    assert_int_equal(read_text(&keys, text, size), 0);
    assert_int_equal(keys.count, LIVE_KEYS_MAX);
    assert_true(live_keys_match(&keys, "n1023", "k1023"));
    live_keys_fini(&keys);
    size += (size_t)sprintf(text + size, "one more\n");
    assert_int_equal(read_text(&keys, text, size), -1);
    assert_non_null(strstr(said, "line 1025 is one too many"));
    const struct {
        size_t name_size, key_size;
        const char *complaint;
    } rows[] = {
        {LIVE_NAME_SIZE - 1, LIVE_KEY_SIZE - 1, NULL},
        {LIVE_NAME_SIZE, 3, "has a name that is too long"},
        {3, LIVE_KEY_SIZE, "has a key that is too long"},
        {3, 4000, "is too long"},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        memset(text, 'x', rows[row].name_size + 1 + rows[row].key_size);
        text[rows[row].name_size] = ' ';
        const int error = read_text(&keys, text, rows[row].name_size + 1 + rows[row].key_size);
        assert_int_equal(error, rows[row].complaint ? -1 : 0);
        if (error)
            assert_non_null(strstr(said, rows[row].complaint));
        else
            live_keys_fini(&keys);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may),
        cmocka_unit_test(a_file_without_keys_lets_nobody_in),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
