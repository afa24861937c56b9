/* SPDX-License-Identifier: MIT */
/*
 * The library's table of socket options as flags of a subcommand. A subcommand that only listens
 * does not offer what only connecting sockets have: it names its roles (enum tuning_role).
 */
#ifndef LEAT_TUNING_FLAGS_H
#define LEAT_TUNING_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "net/tuning.h"

/* What a server's flags are good for. */
enum { TUNING_FLAGS_SERVER = TUNING_LISTENER | TUNING_ACCEPTED };

/* Is --name one of them? All of them take a value. */
bool tuning_flag_exists(unsigned roles, const char *name);

struct tuning_flags {
    struct leat_tuning *tuning;
    unsigned roles;
};

/* 1: it was one of them and is set; 0: it is none; -EINVAL: one line that says what is wrong
 * with the value is in ret_error (256 bytes are enough). `name` has no dashes before it. */
int tuning_flag_try(const struct tuning_flags *flags, const char *name, const char *value,
                    char *ret_error, size_t ret_error_size);

/* Their lines of --help, in the table's order. */
void tuning_flags_print_help(unsigned roles, FILE *out);

/* Tries the tuning on sockets of its own, at the start of a server, and writes a line to `out`
 * for each option that this host refuses, ignores or limits: "leat serve: --tcp-fastopen is
 * ignored here: ...". 0, or -errno of the first refusal of what was asked for. */
int tuning_flags_check(const struct tuning_flags *flags, const char *command, FILE *out);

#endif
