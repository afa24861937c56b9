/* SPDX-License-Identifier: MIT */
/*
 * Policies of compression, as people write them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "leat/compress.h"

static void test_policies_are_read(void **state)
{
    static const struct {
        const char *text;
        struct leat_compress_policy policy;
    } cases[] = {
        {"auto", {.mode = LEAT_COMPRESS_AUTO}},
        {"off", {.mode = LEAT_COMPRESS_OFF}},
        {"zstd", {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_ZSTD}},
        {"gzip-6", {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 6}},
        {"zstd-19", {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_ZSTD, .level = 19}},
        {"br-0", {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_BROTLI, .level = 0}},
        {"lz4-0", {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_LZ4, .level = 0}},
    };
    (void)state;
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct leat_compress_policy policy;
        memset(&policy, 0xff, sizeof policy);
        assert_int_equal(leat_compress_policy_parse(cases[index].text, &policy, NULL, 0), 0);
        assert_int_equal(policy.mode, cases[index].policy.mode);
        assert_int_equal(policy.codec, cases[index].policy.codec);
        assert_int_equal(policy.level, cases[index].policy.level);
    }
}

static void test_what_is_no_policy_changes_nothing(void **state)
{
    static const char *const texts[] = {"",        "on",     "AUTO",   "gzip-", "gzip-0",
                                        "gzip-13", "br-12",  "zstd-0", "-6",    "gzip-6 ",
                                        "gzip--6", "br-011", "lz4-+1", "none",  "identity"};
    (void)state;
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        struct leat_compress_policy policy = {.mode = LEAT_COMPRESS_AUTO, .level = 7};
        char error[128] = "";
        assert_int_equal(leat_compress_policy_parse(texts[index], &policy, error, sizeof error),
                         -EINVAL);
        assert_int_equal(policy.mode, LEAT_COMPRESS_AUTO);
        assert_int_equal(policy.level, 7);
        assert_true(strlen(error) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies_are_read),
        cmocka_unit_test(test_what_is_no_policy_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
