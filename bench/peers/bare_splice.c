/* SPDX-License-Identifier: MIT */
/*
 * bare_splice LISTEN UPSTREAM: the least a zero-copy TCP relay can do. For each connection accepted
 * on LISTEN (one at a time) it connects to UPSTREAM and moves bytes both ways by splice(2) through
 * a pipe of 1 MiB, on non-blocking sockets, waiting in poll only when neither way can move. An end
 * of stream is passed on when what came before it has left. examples/relay is measured against it.
 */
#include "../common.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>

enum { PIPE_SIZE = 1 << 20 };

struct direction {
    int from, to;
    int pipe_in, pipe_out;
    size_t buffered; /* bytes in the pipe */
    bool full;       /* the pipe took nothing; by slots it fills long before its bytes do */
    bool ended;      /* `from` has ended */
    bool closed;     /* and `to` was told so */
};

enum progress { MOVED, STUCK, BROKEN };

static struct direction open_direction(int from, int to)
{
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
        give_up("pipe");
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* refused beyond the user's limit: 64 KiB works too */
    return (struct direction){.from = from, .to = to, .pipe_in = ends[1], .pipe_out = ends[0]};
}

static ssize_t splice_some(int from, int to, size_t size)
{
    return splice(from, NULL, to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

static enum progress move(struct direction *way)
{
    enum progress progress = STUCK;
    if (!way->ended && !way->full) {
        const ssize_t taken = splice_some(way->from, way->pipe_in, PIPE_SIZE);
        if (taken < 0 && errno != EAGAIN)
            return BROKEN;
        way->ended = taken == 0;
        /* EAGAIN: nothing to read, or no slot. With bytes in the pipe, let them out first. */
        way->full = taken < 0 && way->buffered > 0;
        if (taken > 0)
            way->buffered += (size_t)taken;
        if (taken >= 0)
            progress = MOVED;
    }
    if (way->buffered > 0) {
        const ssize_t given = splice_some(way->pipe_out, way->to, way->buffered);
        if (given < 0 && errno != EAGAIN)
            return BROKEN;
        if (given > 0) {
            way->buffered -= (size_t)given;
            way->full = false;
            progress = MOVED;
        }
    }
    if (way->ended && way->buffered == 0 && !way->closed) {
        shutdown(way->to, SHUT_WR);
        way->closed = true;
    }
    return progress;
}

static short wanted(const struct direction *reads, const struct direction *writes)
{
    const bool read = !reads->ended && !reads->full;
    return (short)((read ? POLLIN : 0) | (writes->buffered > 0 ? POLLOUT : 0));
}

static void relay(int client, int upstream)
{
    struct direction up = open_direction(client, upstream);
    struct direction down = open_direction(upstream, client);
    while (!up.closed || !down.closed) {
        const enum progress upward = move(&up);
        const enum progress downward = move(&down);
        if (upward == BROKEN || downward == BROKEN)
            break;
        if (upward == MOVED || downward == MOVED)
            continue;
        /* A descriptor of which nothing is wanted is left out: its POLLHUP would spin. */
        struct pollfd polled[] = {{.fd = client, .events = wanted(&up, &down)},
                                  {.fd = upstream, .events = wanted(&down, &up)}};
        for (int index = 0; index < 2; index++)
            if (polled[index].events == 0)
                polled[index].fd = -1;
        poll(polled, 2, -1);
    }
    const int descriptors[] = {up.pipe_in, up.pipe_out, down.pipe_in, down.pipe_out};
    for (int index = 0; index < 4; index++)
        close(descriptors[index]);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bare_splice LISTEN-ADDR:PORT UPSTREAM-ADDR:PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    const struct sockaddr_in address = parse_address(argv[1]);
    const struct sockaddr_in target = parse_address(argv[2]);
    const int listener = listen_on(&address, 0);
    for (;;) {
        const int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0)
            continue;
        const int upstream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int one = 1;
        setsockopt(upstream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (upstream >= 0 &&
            connect(upstream, (const struct sockaddr *)&target, sizeof target) == 0) {
            fcntl(upstream, F_SETFL, O_NONBLOCK);
            relay(client, upstream);
        }
        if (upstream >= 0)
            close(upstream);
        close(client);
    }
}
