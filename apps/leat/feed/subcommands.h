/* SPDX-License-Identifier: MIT */
/*
 * The subcommands of `leat feed`: a file each. They get argv from their own name on and return the
 * process's exit status (commands.h).
 */
#ifndef LEAT_FEED_SUBCOMMANDS_H
#define LEAT_FEED_SUBCOMMANDS_H

enum { EXIT_LOST = 3, EXIT_INTERRUPTED = 130 };

int feed_publish(int argc, char **argv);
int feed_subscribe(int argc, char **argv);
int feed_replay(int argc, char **argv);
int feed_record(int argc, char **argv);
int feed_stat(int argc, char **argv);

#endif
