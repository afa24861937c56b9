/* SPDX-License-Identifier: MIT */
/* Socket options as flags: found by name, within a subcommand's roles, and listed for --help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "tuning_flags.h"

static void a_flag_is_tried(void **state)
{
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    const struct tuning_flags flags = {.tuning = &tuning, .roles = TUNING_FLAGS_SERVER};
    char error[256] = "";
    assert_int_equal(tuning_flag_try(&flags, "tcp-notsent-lowat", "32k", error, sizeof error), 1);
    assert_int_equal(tuning.tcp_notsent_lowat_size, 32768);
    assert_int_equal(tuning_flag_try(&flags, "listen", "127.0.0.1:0", error, sizeof error), 0);
    assert_string_equal(error, "");
    assert_int_equal(tuning_flag_try(&flags, "tcp-keepcnt", "many", error, sizeof error), -EINVAL);
    assert_string_equal(error, "--tcp-keepcnt takes a number from 1 to 127, not 'many'");
    assert_int_equal(tuning.tcp_keepcnt, LEAT_TUNING_UNSET);
}

/* A server does not connect: what is for connecting sockets alone is none of its flags. */
static void roles_decide(void **state)
{
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    const struct tuning_flags flags = {.tuning = &tuning, .roles = TUNING_FLAGS_SERVER};
    char error[256] = "";
    assert_false(tuning_flag_exists(TUNING_FLAGS_SERVER, "tcp-fastopen-connect"));
    assert_int_equal(tuning_flag_try(&flags, "tcp-fastopen-connect", "on", error, sizeof error), 0);
    assert_true(tuning_flag_exists(TUNING_FLAGS_SERVER, "tcp-fastopen"));
    assert_true(tuning_flag_exists(TUNING_FLAGS_SERVER, "tcp-quickack"));
    assert_true(tuning_flag_exists(TUNING_CONNECTING, "tcp-fastopen-connect"));
    assert_false(tuning_flag_exists(TUNING_CONNECTING, "tcp-defer-accept"));
    assert_false(tuning_flag_exists(TUNING_FLAGS_SERVER, "listen"));
}

/* A line of --help for each flag that exists, and none for others. */
static void help_lists_what_exists(void **state)
{
    static const unsigned roles[] = {TUNING_FLAGS_SERVER, TUNING_CONNECTING};
    for (size_t r = 0; r < 2; r++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        assert_non_null(out);
        tuning_flags_print_help(roles[r], out);
        assert_int_equal(fclose(out), 0);
        for (size_t i = 0; i < TUNING_OPTIONS; i++) {
            char start[64];
            snprintf(start, sizeof start, "  --%s ", tuning_options[i].flag);
            assert_true((strstr(text, start) != NULL) ==
                        tuning_flag_exists(roles[r], tuning_options[i].flag));
        }
        if (roles[r] & TUNING_LISTENER)
            assert_memory_equal(
                text,
                "  --tcp-nodelay on|off           send small segments at once (default: on)\n", 75);
        free(text);
    }
}

static int checked(const struct leat_tuning *tuning, char **ret_text)
{
    struct leat_tuning copy = *tuning;
    const struct tuning_flags flags = {.tuning = &copy, .roles = TUNING_FLAGS_SERVER};
    size_t size = 0;
    FILE *out = open_memstream(ret_text, &size);
    assert_non_null(out);
    const int error = tuning_flags_check(&flags, "leat serve", out);
    assert_int_equal(fclose(out), 0);
    return error;
}

static void the_host_is_asked(void **state)
{
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    char *text = NULL;
    assert_int_equal(checked(&tuning, &text), 0);
    assert_string_equal(text, "");
    free(text);

    tuning.tcp_keepidle_s = 60;
    assert_int_equal(checked(&tuning, &text), 0);
    assert_string_equal(text, "leat serve: --tcp-keepidle is ignored here: it takes --so-keepalive"
                              " on as well\n");
    free(text);

    tuning.so_keepalive = 1;
    strcpy(tuning.tcp_congestion, "no-such-thing");
    assert_true(checked(&tuning, &text) < 0);
    assert_non_null(strstr(text, "leat serve: --tcp-congestion is refused here ("));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flag_is_tried),
        cmocka_unit_test(roles_decide),
        cmocka_unit_test(help_lists_what_exists),
        cmocka_unit_test(the_host_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
