/* SPDX-License-Identifier: MIT */
/*
 * What the yardsticks of feeds share: two processes, a core each, which meet in a page of shared
 * memory; and messages of which both know every byte, so that what arrives can be compared without
 * being carried a second time. Bare halves use this and the kernel, no line of libleat.
 */
#ifndef LEAT_BENCH_FEED_SIDES_H
#define LEAT_BENCH_FEED_SIDES_H

#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common.h"

enum { MESSAGE_SIZE = 32, SIDES_LIMIT_S = 60, BUFFER_BYTES = 8 << 20 };

/* The page. What one side writes often has a cache line of its own. */
struct sides {
    _Atomic unsigned ready; /* sides that may be spoken to */
    _Atomic bool stop;
    alignas(64) _Atomic uint64_t sent;
    alignas(64) _Atomic uint64_t received; /* how far the other side is: all the flow control */
    alignas(64) _Atomic uint64_t ended_ns;
    _Atomic uint64_t lost, wrong, recovered;
    double cpu_s;
};

static inline void pin(int core)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET((size_t)core, &cores);
    if (core >= 0 && sched_setaffinity(0, sizeof cores, &cores) != 0)
        give_up("sched_setaffinity");
}

static inline void *share(size_t size)
{
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        give_up("mmap");
    return data;
}

/* The second side: true in it. It goes with the first, and neither outlives the limit. */
static inline bool part(pid_t *ret_child)
{
    const pid_t parent = getpid(), child = fork();
    if (child < 0)
        give_up("fork");
    alarm(SIDES_LIMIT_S);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            exit(EXIT_FAILURE);
    }
    *ret_child = child;
    return child == 0;
}

/* The other side must have come to a good end. */
static inline void join(pid_t child)
{
    int status;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fputs("the other side has failed\n", stderr);
        exit(EXIT_FAILURE);
    }
}

/* A bound UDP socket of the loopback address, and which one that is. Its buffer is beyond the
 * host's limit where root may do that. */
static inline int open_datagram_socket(struct sockaddr_in *ret_address)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = BUFFER_BYTES;
    socklen_t length = sizeof *ret_address;
    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)ret_address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)ret_address, &length) != 0)
        give_up("a datagram socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return fd;
}

static inline double process_cpu_s(void)
{
    return (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9;
}

/* Message number `sequence`: the number, and three words that follow from it. Each word goes and
 * comes by itself: put together on the stack they would cost more than all that is measured. */
static inline void write_message(void *to, uint64_t sequence)
{
    char *const bytes = to;
    const uint64_t second = sequence * 0x9e3779b97f4a7c15ull, third = ~sequence;
    const uint64_t fourth = sequence << 32 | sequence >> 32;
    memcpy(bytes, &sequence, sizeof sequence);
    memcpy(bytes + 8, &second, sizeof second);
    memcpy(bytes + 16, &third, sizeof third);
    memcpy(bytes + 24, &fourth, sizeof fourth);
}

static inline bool is_message(const void *from, size_t size, uint64_t sequence)
{
    uint64_t words[MESSAGE_SIZE / 8];
    if (size != sizeof words)
        return false;
    memcpy(words, from, sizeof words);
    return words[0] == sequence && words[1] == sequence * 0x9e3779b97f4a7c15ull &&
           words[2] == ~sequence && words[3] == (sequence << 32 | sequence >> 32);
}

static inline int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts `values`, in ns, and prints them as the fields of a JSON object: microseconds. */
static inline void print_times(uint32_t *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_u32);
    printf("\"count\": %zu", count);
    if (count > 0)
        printf(", \"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f",
               values[count / 2] / 1e3, values[count * 99 / 100] / 1e3,
               values[count * 999 / 1000] / 1e3, values[count - 1] / 1e3);
}

#endif
