/* SPDX-License-Identifier: MIT */
/*
 * leat: dispatches to the subcommands.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "leat/version.h"

struct command {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"serve", "[DIR]", "films and files over HTTP", cmd_serve},
    {"probe", "FILE", "what a film is made of, and how it will stream", cmd_probe},
    {"proxy", "URL...", "a reverse proxy, pooled and zero-copy", cmd_proxy},
    {"load", "URL", "loads a server and measures how it answers", cmd_load},
    {"feed", "COMMAND", "market data over UDP: publish, subscribe, replay, record", cmd_feed},
    {"doctor", "", "what this host grants, and how to get the rest", cmd_doctor},
};

enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fprintf(out, "usage: leat COMMAND [OPTION...]\n\ncommands:\n");
    for (int index = 0; index < COMMAND_COUNT; index++)
        fprintf(out, "  %-7s %-7s  %s\n", commands[index].name, commands[index].arguments,
                commands[index].summary);
    fprintf(out, "\n  --help     this; `leat COMMAND --help` tells a command's options\n"
                 "  --version  the version\n");
}

/* One line; `name` is NULL when none was given. */
static int refuse(const char *name)
{
    if (name)
        fprintf(stderr, "leat: there is no command '%s'", name);
    else
        fprintf(stderr, "leat: which command?");
    for (int index = 0; index < COMMAND_COUNT; index++)
        fprintf(stderr, "%s%s", index ? ", " : "; there are ", commands[index].name);
    fprintf(stderr, " (leat --help)\n");
    return EXIT_WRONG_USE;
}

static int finish_output(int status)
{
    /* A full disk or a closed pipe behind stdout must not look like success. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "leat: cannot write to standard output\n");
        return 1;
    }
    return status;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2)
        return refuse(NULL);
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return finish_output(0);
    }
    if (strcmp(name, "--version") == 0) {
        printf("leat %s\n", LEAT_VERSION);
        return finish_output(0);
    }
    for (int index = 0; index < COMMAND_COUNT; index++)
        if (strcmp(name, commands[index].name) == 0)
            return finish_output(commands[index].run(argc - 1, argv + 1));
    return refuse(name);
}
