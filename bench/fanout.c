/* SPDX-License-Identifier: MIT */
/*
 * fanout [-c CONNECTIONS] [-n ROUNDS] [-s SIZE] [-p READER_CORE]
 *
 * What the kernel takes to give the same SIZE bytes of memory to so many connections, one after the
 * other, by the two system calls that a head and a range of a memfd need, and nothing else: no
 * request is read, nothing is parsed, nobody else is served. Five rounds a second, as a live
 * channel has parts of 200 ms. A process on READER_CORE reads it all as it comes.
 *
 * A line of JSON: us a connection, the least, median and greatest of the rounds.
 */
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>

#include "common.h"

enum { CONNECTIONS_MAX = 9000, ROUNDS_MAX = 1000, HEAD_SIZE = 190, EVENTS = 32 };

static char scratch[256 * 1024];

/* Until the other side ends. */
__attribute__((noreturn)) static void read_all(const struct sockaddr_in *address, unsigned count,
                                               int core)
{
    struct epoll_event events[EVENTS];
    const int poller = epoll_create1(EPOLL_CLOEXEC);
    cpu_set_t cores;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    CPU_ZERO(&cores);
    CPU_SET((size_t)core, &cores);
    if (poller < 0 || (core >= 0 && sched_setaffinity(0, sizeof cores, &cores) != 0))
        give_up("reader");
    for (unsigned index = 0; index < count; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = dial(address)};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event) != 0)
            give_up("epoll_ctl");
    }
    for (;;) {
        const int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int index = 0; index < ready; index++)
            if (recv(events[index].data.fd, scratch, sizeof scratch, 0) <= 0)
                exit(EXIT_SUCCESS);
    }
}

static void send_one(int fd, int file, size_t size)
{
    static const char head[HEAD_SIZE];
    off_t offset = 0;
    if (send(fd, head, sizeof head, MSG_MORE | MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof head ||
        sendfile(fd, file, &offset, size) != (ssize_t)size)
        give_up("a reader is too slow");
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static int fds[CONNECTIONS_MAX];
    static double us[ROUNDS_MAX];
    unsigned count = 1000, rounds = 20;
    size_t size = 50000;
    int core = -1, option;
    while ((option = getopt(argc, argv, "c:n:s:p:")) >= 0) {
        const unsigned long number = optarg != NULL ? strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'c': count = (unsigned)number; break;
        case 'n': rounds = (unsigned)number; break;
        case 's': size = number; break;
        case 'p': core = (int)number; break;
        default: return 2;
        }
    }
    if (count < 1 || count > CONNECTIONS_MAX || rounds < 1 || rounds > ROUNDS_MAX || size < 1 ||
        size > sizeof scratch || argc != optind) {
        fprintf(stderr, "usage: fanout [-c CONNECTIONS] [-n ROUNDS] [-s SIZE] [-p READER_CORE]\n");
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_size = sizeof address;
    const int listener = listen_on(&address, 0), file = memfd_create("fanout", MFD_CLOEXEC);
    if (getsockname(listener, (struct sockaddr *)&address, &address_size) != 0 || file < 0 ||
        write(file, scratch, size) != (ssize_t)size)
        give_up("fanout");
    const pid_t reader = fork();
    if (reader == 0)
        read_all(&address, count, core);
    for (unsigned index = 0; index < count; index++) {
        fds[index] = accept(listener, NULL, NULL);
        if (fds[index] < 0 || fcntl(fds[index], F_SETFL, O_NONBLOCK) != 0)
            give_up("accept");
    }
    for (unsigned round = 0; round < rounds; round++) {
        usleep(200 * 1000);
        const uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
        for (unsigned index = 0; index < count; index++)
            send_one(fds[index], file, size);
        us[round] = (double)(clock_ns(CLOCK_MONOTONIC) - begin_ns) / 1e3 / count;
    }
    kill(reader, SIGKILL);
    qsort(us, rounds, sizeof us[0], compare);
    printf("{\"us_each\": [%.3f, %.3f, %.3f]}\n", us[0], us[rounds / 2], us[rounds - 1]);
    return 0;
}
