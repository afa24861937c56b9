/* SPDX-License-Identifier: MIT */
/*
 * Who the process is: root for opening ports below 1024, somebody else from then on. Main thread,
 * before there are others: what the kernel changes is a thread's, and what a ring may do is decided
 * when it is made.
 */
#ifndef LEAT_PRIVILEGES_H
#define LEAT_PRIVILEGES_H

#include <stddef.h>

/* Becomes `user`, which is NAME or NAME:GROUP, names or numbers, with the groups of NAME or with
 * GROUP alone, for good; no program started from here on gains privileges by its file. Who is that
 * user already stays so. 0, or -1 with one line in ret_error. */
int privileges_drop(const char *user, char *ret_error, size_t ret_error_size);

#endif
