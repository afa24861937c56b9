/* SPDX-License-Identifier: MIT */
/*
 * The subcommands: a file each, cmd_NAME.c. They get argv from their own name on and return the
 * process's exit status: 0, 1 when something failed while running, 2 when they were asked wrongly.
 */
#ifndef LEAT_COMMANDS_H
#define LEAT_COMMANDS_H

enum { EXIT_WRONG_USE = 2 };

int cmd_serve(int argc, char **argv);
int cmd_feed(int argc, char **argv);
int cmd_load(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_proxy(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
