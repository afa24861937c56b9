/* SPDX-License-Identifier: MIT */
/*
 * Command lines: --name VALUE or --name=VALUE, -x VALUE or -xVALUE where an option has a letter,
 * described by a table, beside the table of tuning options, and positional arguments. What is wrong
 * is told in one line, with what would be right.
 */
#ifndef LEAT_OPTIONS_H
#define LEAT_OPTIONS_H

#include <stddef.h>

#include "tuning_flags.h"

enum option_kind {
    OPTION_COUNT,  /* long; min..max */
    OPTION_CHOICE, /* int; one of `choices`, by its index */
    OPTION_SWITCH, /* bool; on or off */
    OPTION_TEXT,   /* const char *; as it stands on the command line */
    OPTION_CALL,   /* what `take` makes of the text */
};

struct option {
    const char *name;  /* without dashes */
    const char *value; /* as --help shows it */
    const char *help;
    char letter; /* its short form; 0: none */
    enum option_kind kind;
    void *target;
    long min, max;
    const char *const *choices; /* NULL at the end */
    /* 0, or -1 with one line in ret_error. */
    int (*take)(const char *text, void *target, char *ret_error, size_t ret_error_size);
};

struct option_set {
    const char *command; /* "leat serve" */
    const char *arguments;
    const char *summary;
    const struct option *options; /* ends with a NULL name */
    const struct option *common;  /* further ones, that other commands have, too; NULL: none */
    const struct tuning_flags *tuning;
    const char **positional; /* takes at most positional_max */
    size_t positional_max;
};

enum options_result { OPTIONS_GO, OPTIONS_HELPED, OPTIONS_WRONG };

/* One line on stderr: "leat serve: --listen …". Control characters in it become '?'. */
void options_complain(const char *command, const char *error);

/* Parses argv[1..]. OPTIONS_HELPED: --help was printed. OPTIONS_WRONG: the line is on stderr. */
enum options_result options_parse(const struct option_set *set, int argc, char **argv);

#endif
