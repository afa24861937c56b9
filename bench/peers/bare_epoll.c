/* SPDX-License-Identifier: MIT */
/*
 * bare_epoll PORT DIR: the least an epoll server can do. One thread, edge-triggered, every
 * connection registered once for both directions and never again; a read that returns less than it
 * was offered has drained the socket, so no second read is spent on EAGAIN. leat's epoll engine is
 * measured against this program: what leat takes more is the price of being a server.
 *
 * A connection owes at most one file (`file` is not NULL while it does); further requests wait in
 * the socket, or in `partial` when they were read already.
 */
#include "bare.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>

struct connection {
    struct bare_file *file; /* being sent, or NULL */
    off_t offset;
    size_t partial_size;
    char partial[BARE_HEAD_MAX]; /* the start of a head whose end has not come */
};

enum progress { DONE, BLOCKED, BROKEN };

static struct bare_content content;
static struct connection connections[BARE_DESCRIPTORS_MAX];

static void hang_up(int fd)
{
    connections[fd].file = NULL;
    connections[fd].partial_size = 0;
    close(fd);
}

static enum progress send_file(int fd)
{
    struct connection *connection = &connections[fd];
    const struct bare_file *file = connection->file;
    while (connection->offset < file->size) {
        const size_t left = (size_t)(file->size - connection->offset);
        const ssize_t sent = sendfile(fd, file->fd, &connection->offset, left);
        if (sent <= 0)
            return sent < 0 && errno == EAGAIN ? BLOCKED : BROKEN;
    }
    bare_cork(fd, file, 0);
    connection->file = NULL;
    return DONE;
}

static enum progress answer(int fd, const char *request, size_t size)
{
    struct bare_file *file = bare_choose(&content, request, size);
    if (file == NULL) {
        const ssize_t sent = send(fd, content.memory, sizeof content.memory, MSG_NOSIGNAL);
        return sent == sizeof content.memory ? DONE : BROKEN;
    }
    bare_cork(fd, file, 1);
    const ssize_t sent = send(fd, file->head, file->head_size, MSG_MORE | MSG_NOSIGNAL);
    if (sent != (ssize_t)file->head_size)
        return BROKEN;
    connections[fd].file = file;
    connections[fd].offset = 0;
    return send_file(fd);
}

/* Answers the whole heads in `text`, keeps the rest for later. */
static enum progress consume(int fd, const char *text, size_t size)
{
    size_t position = 0;
    enum progress progress = DONE;
    while (position < size && progress == DONE) {
        const char *request = text + position;
        const char *end = memmem(request, size - position, "\r\n\r\n", 4);
        if (end == NULL)
            break;
        progress = answer(fd, request, (size_t)(end - request));
        position = (size_t)(end + 4 - text);
    }
    struct connection *connection = &connections[fd];
    if (size - position > sizeof connection->partial)
        return BROKEN;
    connection->partial_size = size - position;
    if (connection->partial_size > 0)
        memcpy(connection->partial, text + position, connection->partial_size);
    return progress;
}

/* Reads until the socket is drained or a file blocks; handle() comes back when there is room. */
static void read_requests(int fd)
{
    static char text[64 * 1024];
    struct connection *connection = &connections[fd];
    for (;;) {
        const size_t kept = connection->partial_size;
        if (kept > 0)
            memcpy(text, connection->partial, kept);
        const ssize_t received = recv(fd, text + kept, sizeof text - kept, 0);
        if (received < 0 && errno == EAGAIN)
            return;
        if (received <= 0) {
            hang_up(fd);
            return;
        }
        const enum progress progress = consume(fd, text, kept + (size_t)received);
        if (progress == BROKEN)
            hang_up(fd);
        if (progress != DONE || (size_t)received < sizeof text - kept)
            return;
    }
}

static void accept_all(int poller, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.fd = fd};
        if (fd >= BARE_DESCRIPTORS_MAX || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
            close(fd);
    }
}

static void handle(int fd, uint32_t events)
{
    struct connection *connection = &connections[fd];
    if (events & (EPOLLERR | EPOLLHUP)) {
        hang_up(fd);
        return;
    }
    if (connection->file == NULL) {
        if (events & (EPOLLIN | EPOLLRDHUP))
            read_requests(fd);
        return;
    }
    if (!(events & EPOLLOUT))
        return;
    enum progress progress = send_file(fd);
    if (progress == DONE && connection->partial_size > 0) {
        char kept[BARE_HEAD_MAX];
        const size_t size = connection->partial_size;
        memcpy(kept, connection->partial, size);
        progress = consume(fd, kept, size);
    }
    if (progress == BROKEN)
        hang_up(fd);
    else if (progress == DONE)
        read_requests(fd); /* its edge may have come while the file was on its way */
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bare_epoll PORT DIR\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    bare_load(&content, argv[2]);
    const struct sockaddr_in address = parse_address(argv[1]);
    const int listener = listen_on(&address, SOCK_NONBLOCK);
    const int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0)
        give_up("epoll");
    struct epoll_event events[256];
    for (;;) {
        const int count = epoll_wait(poller, events, 256, -1);
        for (int index = 0; index < count; index++) {
            if (events[index].data.fd == listener)
                accept_all(poller, listener);
            else
                handle(events[index].data.fd, events[index].events);
        }
    }
}
