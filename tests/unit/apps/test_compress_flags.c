/* SPDX-License-Identifier: MIT */
/* What --compress and its like take; a wrong one changes nothing, and it is said what is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "compress_flags.h"
#include "leat/compress.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void policies(void **state)
{
    static const struct {
        const char *text;
        struct leat_compress_policy policy;
    } good[] = {
        {"auto", {.mode = LEAT_COMPRESS_AUTO}},
        {"off", {.mode = LEAT_COMPRESS_OFF}},
        {"br", {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_BROTLI}},
        {"gzip-6", {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 6}},
    };
    char error[256] = "";
    for (size_t index = 0; index < COUNT_OF(good); index++) {
        struct leat_compress_policy policy = {0};
        assert_int_equal(compress_take_policy(good[index].text, &policy, error, sizeof error), 0);
        assert_memory_equal(&policy, &good[index].policy, sizeof policy);
    }
    assert_string_equal(error, "");
}

static void wrong_policies(void **state)
{
    static const struct {
        const char *text, *said;
    } wrong[] = {
        {"", "gzip"},        {"on", "auto, off"},  {"gzip-", "levels of gzip"},
        {"gzip-13", "1 to"}, {"deflate", "zstd"},  {"br-12", "0 to 11"},
        {"lz4", "of HTTP"},  {"lz4-3", "of HTTP"}, {"AUTO", "auto, off"},
    };
    for (size_t index = 0; index < COUNT_OF(wrong); index++) {
        struct leat_compress_policy policy = {.mode = LEAT_COMPRESS_OFF};
        char error[256] = "";
        assert_int_equal(compress_take_policy(wrong[index].text, &policy, error, sizeof error), -1);
        assert_int_equal(policy.mode, LEAT_COMPRESS_OFF);
        assert_true(strncmp(error, "--compress '", 12) == 0);
        assert_non_null(strstr(error, wrong[index].said));
    }
}

static void types(void **state)
{
    static const char *const good[] = {
        "*", "*/*", "model/*", "model/gltf+json", "a/b,c/d", "a/b , application/x-y.z"};
    static const char *const wrong[] = {"",     "text",  "/",     "a/", "/b",      "a/b,",
                                        ",a/b", "a/b/c", "a b/c", "**", "a/b;q=1", "a/b,,c/d"};
    for (size_t index = 0; index < COUNT_OF(good); index++) {
        const char *taken = NULL;
        char error[256] = "";
        assert_int_equal(compress_take_types(good[index], &taken, error, sizeof error), 0);
        assert_ptr_equal(taken, good[index]);
        assert_string_equal(error, "");
    }
    for (size_t index = 0; index < COUNT_OF(wrong); index++) {
        const char *taken = "before/it";
        char error[256] = "";
        assert_int_equal(compress_take_types(wrong[index], &taken, error, sizeof error), -1);
        assert_string_equal(taken, "before/it");
        assert_non_null(strstr(error, "--compress-types takes"));
    }
}

static void sizes(void **state)
{
    static const char *const wrong[] = {"", "0", "1023k", "off", "1025g", "-1m", "64mb"};
    uint64_t size = 7;
    char error[256] = "";
    assert_int_equal(compress_take_cache("1m", &size, error, sizeof error), 0);
    assert_int_equal(size, 1 << 20);
    assert_int_equal(compress_take_cache("1024g", &size, error, sizeof error), 0);
    assert_int_equal(size, UINT64_C(1) << 40);
    for (size_t index = 0; index < COUNT_OF(wrong); index++) {
        size = 7;
        assert_int_equal(compress_take_cache(wrong[index], &size, error, sizeof error), -1);
        assert_int_equal(size, 7);
        assert_non_null(strstr(error, "--compress-cache takes a size from 1m to 1024g"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies),
        cmocka_unit_test(wrong_policies),
        cmocka_unit_test(types),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
