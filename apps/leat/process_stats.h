/* SPDX-License-Identifier: MIT */
/*
 * What the kernel knows of this process, for its metrics. The files of /proc are opened once, while
 * the process may still open them, and read again for each look. One thread at a time.
 */
#ifndef LEAT_PROCESS_STATS_H
#define LEAT_PROCESS_STATS_H

#include <dirent.h>
#include <stdint.h>

struct process_stats {
    double cpu_s, start_s;      /* used so far; when it started, since 1970 */
    uint64_t resident, virtual; /* bytes */
    uint64_t fds, fds_max;
};

struct process_files {
    int stat_fd;
    DIR *fds;      /* NULL: not to be had */
    double boot_s; /* when the host started, since 1970 */
};

/* What cannot be opened is 0 for ever. */
void process_files_open(struct process_files *files);
void process_files_close(struct process_files *files);
void process_stats_read(const struct process_files *files, struct process_stats *ret_stats);

#endif
