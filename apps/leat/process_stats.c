/* SPDX-License-Identifier: MIT */
/*
 * See process_stats.h; the fields are in proc(5).
 */
#include "process_stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { STAT_SIZE = 2048 };

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void process_files_open(struct process_files *files)
{
    files->stat_fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    files->fds = opendir("/proc/self/fd");
    files->boot_s = seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME);
}

void process_files_close(struct process_files *files)
{
    if (files->stat_fd >= 0)
        close(files->stat_fd);
    if (files->fds)
        closedir(files->fds);
}

static void read_stat(const struct process_files *files, struct process_stats *stats)
{
    char text[STAT_SIZE];
    const ssize_t size = files->stat_fd < 0 ? -1 : pread(files->stat_fd, text, sizeof text - 1, 0);
    if (size <= 0)
        return;
    text[size] = '\0';
    unsigned long size_bytes;
    unsigned long long start;
    long pages;
    /* The program's name, in parentheses, may have any character: what counts is behind it. */
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest,
                        ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d"
                        " %*d %*d %*d %llu %lu %ld",
                        &start, &size_bytes, &pages) != 3)
        return;
    stats->start_s = files->boot_s + (double)start / (double)sysconf(_SC_CLK_TCK);
    stats->virtual = size_bytes;
    stats->resident = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void process_stats_read(const struct process_files *files, struct process_stats *ret_stats)
{
    struct rlimit limit;
    *ret_stats = (struct process_stats){.cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID)};
    read_stat(files, ret_stats);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        ret_stats->fds_max = limit.rlim_cur;
    if (!files->fds)
        return;
    rewinddir(files->fds);
    for (const struct dirent *entry; (entry = readdir(files->fds));)
        ret_stats->fds += entry->d_name[0] != '.';
}
