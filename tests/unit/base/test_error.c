/* SPDX-License-Identifier: MIT */
/* Every result has a text, whatever its sign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>

#include "leat/error.h"

static void texts(void **state)
{
    assert_string_equal(leat_error_text(0), "success");
    assert_string_equal(leat_error_text(-ECONNRESET), "Connection reset by peer");
    assert_string_equal(leat_error_text(ECONNRESET), "Connection reset by peer");
    assert_string_equal(leat_error_text(-LEAT_E_CLOSED), "closed");
    assert_string_equal(leat_error_text(LEAT_E_LIMIT), "a limit was reached");
}

static void each_code_of_ours_has_a_text(void **state)
{
    for (int code = LEAT_E_BASE + 1; code < LEAT_E_END; code++) {
        assert_non_null(leat_error_text(-code));
        assert_string_not_equal(leat_error_text(-code), "unknown error");
        assert_string_equal(leat_error_text(code), leat_error_text(-code));
    }
}

static void strangers_have_one_too(void **state)
{
    const int strangers[] = {4095, LEAT_E_BASE, LEAT_E_END, -LEAT_E_END, INT_MAX, -INT_MAX};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        assert_string_equal(leat_error_text(strangers[i]), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(each_code_of_ours_has_a_text),
        cmocka_unit_test(strangers_have_one_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
