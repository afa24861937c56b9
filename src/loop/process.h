/* SPDX-License-Identifier: MIT */
/*
 * What a program that is a server asks of the system besides what its loops do: the signals that
 * end it, the cores it may use, the files of its unix sockets. Plain calls, made before the loops
 * run or when they end; none of them is the simulator's.
 */
#ifndef LOOP_PROCESS_H
#define LOOP_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Of those this thread may run on, which a container or taskset may have made fewer; at least 1. */
unsigned process_core_count(void);

/* As many open files as the hard limit grants: the soft one is low for programs that use select.
 * Returns how many, UINT64_MAX where nothing limits them. */
uint64_t process_raise_descriptor_limit(void);

/* SIGINT and SIGTERM, as a descriptor that is readable when one has come. */
struct process_signals {
    int fd;
    sigset_t before; /* the thread's mask */
};

/* Blocks them in this thread, and in those it makes from now on. 0 or -errno. */
int process_catch_signals(struct process_signals *signals);
/* Takes one. Was there one? */
bool process_take_signal(const struct process_signals *signals);
/* What comes from now on, or waits, acts as it would have without us. In the thread that called
 * process_catch_signals. */
void process_let_signals_act(const struct process_signals *signals);
/* The same, and closes the descriptor, which no operation may use any more. */
void process_release_signals(const struct process_signals *signals);

/* The calling thread is one that others wait for: it asks for short turns of its core, and is then
 * given one sooner when it wakes beside threads that compute (Linux 6.12; before that nothing
 * changes). Its share stays what it is. 0 or -errno. */
int process_ask_short_turns(void);

/* A duplicate of a descriptor, closed on exec. Or -errno. */
int process_duplicate(int fd);

/* Removes the file of a unix socket if nobody listens there any more: one that a killed server has
 * left behind would refuse connections for ever. */
void process_remove_stale_socket(const struct sockaddr *address, socklen_t size);
/* Removes the file of a unix socket that this process listened on. */
void process_remove_socket(const struct sockaddr *address);

/* A line on standard output, at once. */
void process_say(const char *line);

#endif
