/* SPDX-License-Identifier: MIT */
/*
 * leat doctor, run in this process with its output in a file: what it says depends on the host,
 * that it says something sound about each subject does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "net/tuning.h"

/* Runs it; what it wrote to `stream` (stdout or stderr) is in *ret_text, which the caller frees. */
static int run(FILE *stream, char *argument, char **ret_text)
{
    char name[] = "doctor";
    char *argv[] = {name, argument, NULL};
    fflush(stream);
    const int saved = dup(fileno(stream));
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(dup2(fileno(file), fileno(stream)) >= 0);
    const int status = cmd_doctor(argument ? 2 : 1, argv);
    fflush(stream);
    assert_true(dup2(saved, fileno(stream)) >= 0);
    close(saved);
    char *text = calloc(1, 65536);
    rewind(file);
    (void)!fread(text, 1, 65535, file);
    fclose(file);
    *ret_text = text;
    return status;
}

static const char *const subjects[] = {
    "version",       "cores",
    "io_uring",      "engine",
    "openat2",       "cachestat",
    "kTLS",          "TCP Fast Open",
    "backlog",       "congestion control",
    "send buffers",  "receive buffers",
    "descriptors",   "mappings",
    "locked memory", "pipes",
};
enum { SUBJECTS = sizeof subjects / sizeof *subjects };

/* A line a subject, "  state  subject  text", and advice below what is not ok. */
static void text_for_people(void **state)
{
    char *text;
    assert_int_equal(run(stdout, NULL, &text), 0);
    assert_null(strchr(text, '\033')); /* not a terminal: no colour */
    size_t lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] != ' ' || strncmp(line + 33, "-> ", 3) == 0)
            continue;
        assert_true(strncmp(line, "  ok ", 5) == 0 || strncmp(line, "  limited ", 10) == 0 ||
                    strncmp(line, "  missing ", 10) == 0);
        assert_true(strlen(line) > 33);
        bool is_known = false;
        for (size_t i = 0; i < SUBJECTS; i++)
            is_known |= strncmp(line + 11, subjects[i], strlen(subjects[i])) == 0;
        for (size_t i = 0; i < TUNING_OPTIONS; i++)
            is_known |=
                strncmp(line + 11, tuning_options[i].option, strlen(tuning_options[i].option)) == 0;
        if (!is_known)
            fail_msg("unknown subject: %s", line);
        lines++;
    }
    assert_int_equal(lines, SUBJECTS + TUNING_OPTIONS);
    free(text);
}

/* Walks over one value of JSON (RFC 8259); numbers and literals doctor has none of. */
static const char *skip_json(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    if (*at == '"') {
        for (at++; *at != '"'; at++) {
            assert_true((unsigned char)*at >= ' ' && (unsigned char)*at < 0x80);
            if (*at == '\\')
                assert_non_null(strchr("\"\\/bfnrtu", *++at));
        }
        return at + 1;
    }
    assert_true(*at == '{' || *at == '[');
    const char end = *at == '{' ? '}' : ']';
    do {
        if (end == '}') {
            at = skip_json(at + 1);
            assert_int_equal(*at, ':');
        }
        at = skip_json(at + 1);
        while (isspace((unsigned char)*at))
            at++;
    } while (*at == ',');
    assert_int_equal(*at, end);
    return at + 1;
}

static void json_for_machines(void **state)
{
    char *text, argument[] = "--json";
    assert_int_equal(run(stdout, argument, &text), 0);
    assert_string_equal(skip_json(text), "\n");
    for (size_t i = 0; i < SUBJECTS; i++) {
        char member[64];
        snprintf(member, sizeof member, "\"name\":\"%s\"", subjects[i]);
        assert_non_null(strstr(text, member));
    }
    for (size_t i = 0; i < TUNING_OPTIONS; i++) {
        char member[64];
        snprintf(member, sizeof member, "\"name\":\"%s\"", tuning_options[i].option);
        assert_non_null(strstr(text, member));
    }
    free(text);
}

static void help(void **state)
{
    char *text, argument[] = "--help";
    assert_int_equal(run(stdout, argument, &text), 0);
    assert_non_null(strstr(text, "usage: leat doctor"));
    assert_non_null(strstr(text, "\n  --json "));
    free(text);
}

static void a_wrong_argument(void **state)
{
    char *text, argument[] = "--jsno";
    assert_int_equal(run(stderr, argument, &text), 2);
    assert_string_equal(text,
                        "leat doctor: unknown argument '--jsno'; there are --json and --help\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_for_people),
        cmocka_unit_test(json_for_machines),
        cmocka_unit_test(help),
        cmocka_unit_test(a_wrong_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
