/* SPDX-License-Identifier: MIT */
/*
 * Cookies: what clients send, and what servers may set (RFC 6265, section 4.1), as tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "wire/cookie.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void pairs(void **state)
{
    static const struct {
        const char *input, *pairs;
    } rows[] = {
        {"", ""},
        {"a=b", "a=b|"},
        {"a=b; c=d", "a=b|c=d|"},
        {"a=b;c=d", "a=b|c=d|"},
        {"a=b; c=d;", "a=b|c=d|"},
        {"; ;a=b", "a=b|"},
        {"a", ""},
        {"a; b=c", "b=c|"},
        {"a=", "a=|"},
        {"=b", "=b|"},
        {"a=b=c==", "a=b=c==|"},
        {"a=\"b c\"", "a=\"b c\"|"},
        {" a = b ", "a=b|"},
        {"a=1; a=2", "a=1|a=2|"},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        char text[128] = "";
        size_t size = 0;
        struct leat_slice input = slice_from_text(rows[index].input), name, value;
        while (cookie_next(&input, &name, &value))
            size += (size_t)snprintf(text + size, sizeof text - size, "%.*s=%.*s|", (int)name.size,
                                     name.data, (int)value.size, value.data);
        assert_string_equal(text, rows[index].pairs);
    }
}

#define ID .name = SLICE("id"), .value = SLICE("7")

static void set_cookies(void **state)
{
    static const struct {
        struct cookie cookie;
        const char *text; /* NULL: refused */
    } rows[] = {
        {{ID}, "id=7"},
        {{.name = SLICE("id")}, "id="},
        {{.name = SLICE("id"), .value = SLICE("\"7\"")}, "id=\"7\""},
        {{ID, .path = SLICE("/"), .domain = SLICE("mill.example")},
         "id=7; Path=/; Domain=mill.example"},
        {{ID, .max_age_s = 3600, .http_only = true}, "id=7; Max-Age=3600; HttpOnly"},
        {{ID, .max_age_s = INT64_MAX}, "id=7; Max-Age=9223372036854775807"},
        {{ID, .max_age_s = -1}, "id=7; Expires=Thu, 01 Jan 1970 00:00:00 GMT"},
        {{ID, .same_site = COOKIE_SAME_SITE_LAX}, "id=7; SameSite=Lax"},
        {{ID, .same_site = COOKIE_SAME_SITE_STRICT, .secure = true},
         "id=7; SameSite=Strict; Secure"},
        {{ID, .same_site = COOKIE_SAME_SITE_NONE, .secure = true}, "id=7; SameSite=None; Secure"},
        /* what browsers refuse */
        {{ID, .same_site = COOKIE_SAME_SITE_NONE}, NULL},
        {{.name = SLICE("__Secure-a"), .value = SLICE("7")}, NULL},
        {{.name = SLICE("__Secure-a"), .value = SLICE("7"), .secure = true},
         "__Secure-a=7; Secure"},
        {{.name = SLICE("__Host-a"), .value = SLICE("7"), .secure = true}, NULL},
        {{.name = SLICE("__Host-a"), .secure = true, .path = SLICE("/")},
         "__Host-a=; Path=/; Secure"},
        {{.name = SLICE("__host-a"),
          .secure = true,
          .path = SLICE("/"),
          .domain = SLICE("mill.example")},
         NULL},
        /* what the grammar refuses */
        {{.name = SLICE(""), .value = SLICE("7")}, NULL},
        {{.name = SLICE("i d"), .value = SLICE("7")}, NULL},
        {{.name = SLICE("i=d"), .value = SLICE("7")}, NULL},
        {{.name = SLICE("id"), .value = SLICE("a b")}, NULL},
        {{.name = SLICE("id"), .value = SLICE("a;b")}, NULL},
        {{.name = SLICE("id"), .value = SLICE("a,b")}, NULL},
        {{.name = SLICE("id"), .value = SLICE("a\\b")}, NULL},
        {{.name = SLICE("id"), .value = SLICE("\"")}, NULL},
        {{.name = SLICE("id"), .value = SLICE("a\r\nSet-Cookie: b")}, NULL},
        {{.name = SLICE("id"), .value = SLICE("\xc3\xa4")}, NULL},
        {{ID, .path = SLICE("/; Domain=evil")}, NULL},
        {{ID, .path = SLICE("/\n")}, NULL},
        {{ID, .domain = SLICE("")}, NULL},
        {{ID, .domain = SLICE("a b")}, NULL},
        {{ID, .domain = SLICE("a;b")}, NULL},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        char text[256];
        const long size = cookie_format(&rows[index].cookie, text, sizeof text);
        if (!rows[index].text) {
            if (size != -EINVAL)
                fail_msg("row %zu was not refused", index);
            continue;
        }
        assert_int_equal(size, strlen(rows[index].text));
        assert_memory_equal(text, rows[index].text, (size_t)size);
        /* Into a byte less it does not fit, into just its size it does. */
        assert_int_equal(cookie_format(&rows[index].cookie, text, (size_t)size), size);
        assert_int_equal(cookie_format(&rows[index].cookie, text, (size_t)size - 1), -ENOBUFS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(set_cookies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
