/* SPDX-License-Identifier: MIT */
/*
 * Escaping: nothing that means something in HTML gets through, and it never overflows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "wire/html.h"

static void escapes_the_five(void **state)
{
    char room[128];
    const struct leat_slice expected =
        SLICE("&lt;a href=&quot;x&quot;&gt;Tom &amp; &#39;Jerry&#39;&lt;/a&gt;");
    assert_int_equal(html_escape(SLICE("<a href=\"x\">Tom & 'Jerry'</a>"), room, sizeof(room)),
                     expected.size);
    assert_memory_equal(room, expected.data, expected.size);
    /* Exactly enough, and one too few. */
    assert_int_equal(html_escape(SLICE("<\""), room, 10), 10);
    assert_int_equal(html_escape(SLICE("<\""), room, 9), -ENOBUFS);
    assert_int_equal(html_escape(slice_of(NULL, 0), room, 0), 0);
}

static void leaves_the_rest_alone(void **state)
{
    char text[256], room[256 * 6];
    size_t size = 0;
    for (int c = 0; c < 256; c++) {
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            continue;
        text[size++] = (char)c;
    }
    assert_int_equal(html_escape(slice_of(text, size), room, sizeof(room)), size);
    assert_memory_equal(room, text, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_the_five),
        cmocka_unit_test(leaves_the_rest_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
