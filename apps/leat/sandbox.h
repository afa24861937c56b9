/* SPDX-License-Identifier: MIT */
/*
 * The process gives up what it does not need, so that a bug in it reaches less: files by Landlock,
 * rare system calls by seccomp. Main thread, before there are others and before there are rings;
 * what is given up stays so, in the program that replaces this one as well.
 *
 * What is left: reading below the roots and /proc; making files beside the log, and below the
 * folders of live channels; removing unix sockets; connecting to the ports of upstreams; starting a
 * program from the folder of this one with the libraries it has now. Decision 0008 says why the
 * list of system calls is one of refusals.
 */
#ifndef LEAT_SANDBOX_H
#define LEAT_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sandbox_mode { SANDBOX_AUTO, SANDBOX_ON, SANDBOX_OFF };

enum { SANDBOX_PATHS_MAX = 64, SANDBOX_PORTS_MAX = 1032, SANDBOX_TEXT_SIZE = 64 };

struct sandbox_options {
    enum sandbox_mode mode;
    /* Symbolic links are followed out of the roots: with AUTO reading is then left alone. */
    bool reads_everywhere;
    const char *program; /* its path */
    /* Folders to read below. What is not there is left out, as in the lists below. */
    const char *readable[SANDBOX_PATHS_MAX];
    size_t readable_count;
    /* A file to read, in a folder that is opened for that: who replaces it makes a new one, and a
     * successor of this process reads that. NULL: none. */
    const char *settings;
    /* Files to write to, which may have to be made anew; their folders are opened for that. */
    const char *writable[SANDBOX_PATHS_MAX];
    size_t writable_count;
    /* Folders below which files and folders are made, written, moved and removed. */
    const char *kept[SANDBOX_PATHS_MAX];
    size_t kept_count;
    /* Unix sockets to remove in the end. */
    const char *removable[SANDBOX_PATHS_MAX];
    size_t removable_count;
    /* TCP ports that it connects to, of any host. */
    uint16_t ports[SANDBOX_PORTS_MAX];
    size_t port_count;
    bool resolves_names; /* reads what says how names are looked up */
};

/* Says what came of it in `ret_text`, such as "landlock, seccomp", or "off". 1: something is given
 * up, 0: nothing; -1: the mode is ON and something is missing, which ret_text names. */
int sandbox_enter(const struct sandbox_options *options, char ret_text[SANDBOX_TEXT_SIZE]);

#endif
