/* SPDX-License-Identifier: MIT */
/*
 * See process.h.
 */
#include "loop/process.h"

#include <assert.h> /* static_assert */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

unsigned process_core_count(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1; /* more cores than the set has room for, which nobody has met */
    const int count = CPU_COUNT(&cores);
    return count > 0 ? (unsigned)count : 1;
}

uint64_t process_raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return UINT64_MAX;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    static_assert(RLIM_INFINITY == UINT64_MAX, "as process.h says");
    return limit.rlim_max;
}

/* ---- Signals --------------------------------------------------------------------------------- */

int process_catch_signals(struct process_signals *signals)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    const int error = pthread_sigmask(SIG_BLOCK, &wanted, &signals->before);
    if (error)
        return -error;
    signals->fd = signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd >= 0)
        return 0;
    const int reason = errno;
    process_let_signals_act(signals);
    return -reason;
}

bool process_take_signal(const struct process_signals *signals)
{
    struct signalfd_siginfo info;
    return read(signals->fd, &info, sizeof info) == (ssize_t)sizeof info;
}

void process_let_signals_act(const struct process_signals *signals)
{
    pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

void process_release_signals(const struct process_signals *signals)
{
    process_let_signals_act(signals);
    close(signals->fd);
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* sched_setattr(2), which the C library does not know. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

int process_ask_short_turns(void)
{
    enum { TURN_NS = 100 * 1000 }; /* the shortest there is */
    enum { RESET_ON_FORK = 1 };    /* threads of the pool come from this one: not for them */
    struct scheduling scheduling = {.size = sizeof scheduling};
    if (syscall(SYS_sched_getattr, 0, &scheduling, sizeof scheduling, 0) != 0)
        return -errno;
    scheduling.flags |= RESET_ON_FORK;
    scheduling.runtime_ns = TURN_NS;
    return syscall(SYS_sched_setattr, 0, &scheduling, 0) == 0 ? 0 : -errno;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

int process_duplicate(int fd)
{
    const int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return duplicate >= 0 ? duplicate : -errno;
}

/* NULL: no unix socket, or one without a file. */
static const char *path_of(const struct sockaddr *address)
{
    const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
    return address->sa_family == AF_UNIX && path[0] ? path : NULL;
}

void process_remove_stale_socket(const struct sockaddr *address, socklen_t size)
{
    struct stat status;
    const char *path = path_of(address);
    if (!path || stat(path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, address, size) != 0 && errno == ECONNREFUSED)
        (void)unlink(path);
    close(fd);
}

void process_remove_socket(const struct sockaddr *address)
{
    const char *path = path_of(address);
    if (path)
        (void)unlink(path);
}

/* ---- Output ---------------------------------------------------------------------------------- */

void process_say(const char *line)
{
    puts(line);
    fflush(stdout);
}
