/* SPDX-License-Identifier: MIT */
/* The table of socket options as flags of a subcommand; see tuning_flags.h. */
#include "tuning_flags.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

static const struct tuning_option *find(unsigned roles, const char *name)
{
    ASSERT(roles != 0);
    const struct tuning_option *option = tuning_find(name);
    return option && option->roles & roles ? option : NULL;
}

bool tuning_flag_exists(unsigned roles, const char *name)
{
    return find(roles, name) != NULL;
}

int tuning_flag_try(const struct tuning_flags *flags, const char *name, const char *value,
                    char *ret_error, size_t ret_error_size)
{
    if (!find(flags->roles, name))
        return 0;
    const int error = leat_tuning_parse(flags->tuning, name, value, ret_error, ret_error_size);
    ASSERT(error == 0 || error == -EINVAL);
    return error < 0 ? error : 1;
}

void tuning_flags_print_help(unsigned roles, FILE *out)
{
    static const struct leat_tuning defaults = LEAT_TUNING_DEFAULT;
    for (size_t i = 0; i < TUNING_OPTIONS; i++) {
        const struct tuning_option *option = &tuning_options[i];
        if (!(option->roles & roles))
            continue;
        char flag[64], value[32];
        snprintf(flag, sizeof flag, "--%s %s", option->flag, tuning_value_word(option));
        fprintf(out, "  %-30s %s (default: %s)\n", flag, option->help,
                tuning_format_value(option, &defaults, value, sizeof value));
    }
}

static int check_role(enum tuning_role role, const struct tuning_flags *flags, const char *command,
                      FILE *out)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0; /* whoever needs a socket in earnest will say so */
    struct tuning_report report;
    const int error = tuning_apply(&backend_sys_linux, fd, role, flags->tuning, &report);
    close(fd);
    for (size_t i = 0; i < report.count; i++) {
        char text[256];
        fprintf(out, "%s: %s\n", command,
                tuning_finding_format(&report.findings[i], text, sizeof text));
    }
    return error;
}

int tuning_flags_check(const struct tuning_flags *flags, const char *command, FILE *out)
{
    static const enum tuning_role roles[] = {TUNING_LISTENER, TUNING_ACCEPTED, TUNING_CONNECTING};
    int first_error = 0;
    ASSERT(flags->roles != 0);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (!(flags->roles & roles[i]))
            continue;
        const int error = check_role(roles[i], flags, command, out);
        if (first_error == 0)
            first_error = error;
    }
    return first_error;
}
