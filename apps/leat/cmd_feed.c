/* SPDX-License-Identifier: MIT */
/*
 * leat feed: market data over UDP. Dispatches to its subcommands, which are in feed/.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "feed/subcommands.h"

struct subcommand {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"publish", "sends messages as a sequenced stream, and what was lost again", feed_publish},
    {"subscribe", "puts the messages of a stream in sequence, without a gap", feed_subscribe},
    {"replay", "sends a capture or a log again, at the times it came", feed_replay},
    {"record", "keeps a stream, in a capture or a log", feed_record},
    {"stat", "shows how a stream is doing, live", feed_stat},
};

enum { SUBCOMMAND_COUNT = sizeof subcommands / sizeof *subcommands };

static int help(void)
{
    printf("usage: leat feed COMMAND [OPTION...]\n"
           "Market data over UDP: MoldUDP64, with recovery.\n\ncommands:\n");
    for (int index = 0; index < SUBCOMMAND_COUNT; index++)
        printf("  %-10s  %s\n", subcommands[index].name, subcommands[index].summary);
    printf("\n  --help      this; `leat feed COMMAND --help` tells a command's options\n");
    return EXIT_SUCCESS;
}

/* One line; `name` is NULL when none was given. */
static int refuse(const char *name)
{
    if (name)
        fprintf(stderr, "leat feed: there is no command '%s'", name);
    else
        fprintf(stderr, "leat feed: which command?");
    for (int index = 0; index < SUBCOMMAND_COUNT; index++)
        fprintf(stderr, "%s%s", index ? ", " : "; there are ", subcommands[index].name);
    fprintf(stderr, " (leat feed --help)\n");
    return EXIT_WRONG_USE;
}

int cmd_feed(int argc, char **argv)
{
    if (argc < 2)
        return refuse(NULL);
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help();
    for (int index = 0; index < SUBCOMMAND_COUNT; index++)
        if (strcmp(name, subcommands[index].name) == 0)
            return subcommands[index].run(argc - 1, argv + 1);
    return refuse(name);
}
