/* SPDX-License-Identifier: MIT */
/*
 * The few lines that every program under bench/ needs: a clock, an address, a way to give up. The
 * programs here are instruments and yardsticks, not leat: they use no line of libleat, so that a
 * fault or a gain of the library can not move the ruler it is measured with.
 */
#ifndef LEAT_BENCH_COMMON_H
#define LEAT_BENCH_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

__attribute__((noreturn)) static inline void give_up(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* Reads "ADDR:PORT" (IPv4, digits only) or a bare "PORT", which means the loopback address. */
static inline struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char host[INET_ADDRSTRLEN] = "127.0.0.1";
    const char *colon = strrchr(text, ':');
    if (colon != NULL)
        snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    char *end = NULL;
    const char *digits = colon != NULL ? colon + 1 : text;
    const unsigned long port = strtoul(digits, &end, 10);
    if (end == digits || *end != '\0' || port == 0 || port > 65535 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "%s: not an address; write ADDR:PORT, such as 127.0.0.1:8080\n", text);
        exit(2);
    }
    address.sin_port = htons((uint16_t)port);
    return address;
}

/* A blocking connect; the socket is returned blocking, with Nagle's algorithm off. -1: refused. */
static inline int try_dial(const struct sockaddr_in *address)
{
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        give_up("socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        const int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static inline int dial(const struct sockaddr_in *address)
{
    const int fd = try_dial(address);
    if (fd < 0)
        give_up("connect");
    return fd;
}

/* A listening socket; accepted sockets inherit TCP_NODELAY from it. */
static inline int listen_on(const struct sockaddr_in *address, int flags)
{
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        give_up("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 || listen(fd, 4096) < 0)
        give_up("listen");
    return fd;
}

#endif
