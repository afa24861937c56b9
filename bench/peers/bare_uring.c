/* SPDX-License-Identifier: MIT */
/*
 * bare_uring PORT DIR: the least an io_uring server can do. One ring, one thread (SINGLE_ISSUER,
 * DEFER_TASKRUN), multishot accept, multishot receive into provided buffers, sends of a round
 * submitted by the one call that also waits. Files go by sendfile(2) called directly, for splice in
 * the ring always costs a worker thread; the ring only polls for room. leat's io_uring engine is
 * measured against this program.
 *
 * A descriptor is closed when the kernel holds no armed operation of it (`armed` is 0), so that a
 * late completion never speaks of somebody else's connection. Failed sends are not looked at: the
 * receive learns of the reset. Clients of a benchmark do not pipeline; unlinked sends of one socket
 * could overtake each other.
 */
#include "bare.h"

#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/sendfile.h>

enum { RING_ENTRIES = 1024, COMPLETIONS = 8192, BUFFERS = 1024, BUFFER_SIZE = 2048, GROUP = 0 };
enum operation { ACCEPT, RECEIVE, SEND, POLL };

struct connection {
    struct bare_file *file; /* being sent, or NULL */
    off_t offset;
    unsigned armed;   /* receive and poll that have not had their last completion */
    bool nonblocking; /* O_NONBLOCK is set: it has asked for a file once */
    bool doomed;      /* shut down; closes when nothing is armed */
    size_t partial_size;
    char partial[BARE_HEAD_MAX]; /* what was read and not yet answered */
};

static struct bare_content content;
static struct connection connections[BARE_DESCRIPTORS_MAX];
static struct io_uring ring;
static struct io_uring_buf_ring *buffer_ring;
static char buffers[BUFFERS][BUFFER_SIZE];
static int listener;

static struct io_uring_sqe *new_entry(enum operation operation, int fd)
{
    struct io_uring_sqe *entry;
    while ((entry = io_uring_get_sqe(&ring)) == NULL)
        io_uring_submit(&ring);
    /* The prep functions of liburing 2.3 leave user_data alone. */
    entry->user_data = (uint64_t)operation << 32 | (uint32_t)fd;
    return entry;
}

static void arm_accept(void)
{
    io_uring_prep_multishot_accept(new_entry(ACCEPT, listener), listener, NULL, NULL, 0);
}

/* io_uring decides at submission whether a request may wait, by O_NONBLOCK; sendfile needs the flag
 * and the receive must not see it. */
static void arm_receive(int fd)
{
    struct connection *connection = &connections[fd];
    if (connection->nonblocking)
        fcntl(fd, F_SETFL, 0);
    struct io_uring_sqe *entry = new_entry(RECEIVE, fd);
    io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = GROUP;
    connection->armed++;
    if (connection->nonblocking) {
        io_uring_submit(&ring);
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
}

static void hang_up(int fd)
{
    struct connection *connection = &connections[fd];
    if (!connection->doomed)
        shutdown(fd, SHUT_RDWR);
    connection->doomed = true;
    connection->file = NULL;
    if (connection->armed == 0)
        close(fd);
}

/* Returns false when the connection broke. A full socket is polled; the poll comes back here. */
static bool send_file(int fd)
{
    struct connection *connection = &connections[fd];
    const struct bare_file *file = connection->file;
    while (connection->offset < file->size) {
        const size_t left = (size_t)(file->size - connection->offset);
        const ssize_t sent = sendfile(fd, file->fd, &connection->offset, left);
        if (sent < 0 && errno == EAGAIN) {
            io_uring_prep_poll_add(new_entry(POLL, fd), fd, POLLOUT);
            connection->armed++;
            return true;
        }
        if (sent <= 0)
            return false;
    }
    bare_cork(fd, file, 0);
    connection->file = NULL;
    return true;
}

static bool answer(int fd, const char *request, size_t size)
{
    struct connection *connection = &connections[fd];
    struct bare_file *file = bare_choose(&content, request, size);
    if (file == NULL) {
        struct io_uring_sqe *entry = new_entry(SEND, fd);
        io_uring_prep_send(entry, fd, content.memory, sizeof content.memory,
                           MSG_WAITALL | MSG_NOSIGNAL);
        entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
        return true;
    }
    if (!connection->nonblocking) {
        connection->nonblocking = true;
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    bare_cork(fd, file, 1);
    if (send(fd, file->head, file->head_size, MSG_MORE | MSG_NOSIGNAL) != (ssize_t)file->head_size)
        return false;
    connection->file = file;
    connection->offset = 0;
    return send_file(fd);
}

/* Answers whole heads until a file blocks, keeps the rest. False: the connection broke. */
static bool consume(int fd, const char *text, size_t size)
{
    static char joined[BARE_HEAD_MAX + BUFFER_SIZE];
    struct connection *connection = &connections[fd];
    if (connection->partial_size > 0) {
        memcpy(joined, connection->partial, connection->partial_size);
        if (size > 0)
            memcpy(joined + connection->partial_size, text, size);
        text = joined;
        size += connection->partial_size;
    }
    size_t position = 0;
    while (position < size && connection->file == NULL) {
        const char *request = text + position;
        const char *end = memmem(request, size - position, "\r\n\r\n", 4);
        if (end == NULL)
            break;
        if (!answer(fd, request, (size_t)(end - request)))
            return false;
        position = (size_t)(end + 4 - text);
    }
    if (size - position > sizeof connection->partial)
        return false;
    connection->partial_size = size - position;
    if (connection->partial_size > 0)
        memcpy(connection->partial, text + position, connection->partial_size);
    return true;
}

static void return_buffer(int id)
{
    io_uring_buf_ring_add(buffer_ring, buffers[id], BUFFER_SIZE, (unsigned short)id,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(buffer_ring, 1);
}

static void on_accept(int fd, uint32_t flags)
{
    if (fd >= BARE_DESCRIPTORS_MAX) {
        close(fd);
    } else if (fd >= 0) {
        memset(&connections[fd], 0, offsetof(struct connection, partial));
        arm_receive(fd);
    }
    if (!(flags & IORING_CQE_F_MORE))
        arm_accept();
}

static void on_receive(int fd, int result, uint32_t flags)
{
    struct connection *connection = &connections[fd];
    const bool ended = !(flags & IORING_CQE_F_MORE);
    bool alive = !connection->doomed;
    if (ended)
        connection->armed--;
    if (result > 0) {
        const int id = (int)(flags >> IORING_CQE_BUFFER_SHIFT);
        alive = alive && consume(fd, buffers[id], (size_t)result);
        return_buffer(id);
    } else if (result != -ENOBUFS) {
        alive = false;
    }
    if (!alive)
        hang_up(fd);
    else if (ended)
        arm_receive(fd);
}

static void on_room(int fd)
{
    struct connection *connection = &connections[fd];
    connection->armed--;
    bool alive = !connection->doomed && send_file(fd);
    if (alive && connection->file == NULL && connection->partial_size > 0)
        alive = consume(fd, NULL, 0);
    if (!alive)
        hang_up(fd);
}

static void set_up_ring(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                                              IORING_SETUP_SUBMIT_ALL,
                                     .cq_entries = COMPLETIONS};
    int result = io_uring_queue_init_params(RING_ENTRIES, &ring, &params);
    if (result == 0) {
        io_uring_register_ring_fd(&ring);
        if (posix_memalign((void **)&buffer_ring, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0)
            give_up("memory");
        struct io_uring_buf_reg registration = {
            .ring_addr = (uintptr_t)buffer_ring, .ring_entries = BUFFERS, .bgid = GROUP};
        result = io_uring_register_buf_ring(&ring, &registration, 0);
    }
    if (result < 0) {
        errno = -result;
        give_up("io_uring");
    }
    io_uring_buf_ring_init(buffer_ring);
    for (int id = 0; id < BUFFERS; id++)
        return_buffer(id);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bare_uring PORT DIR\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    bare_load(&content, argv[2]);
    const struct sockaddr_in address = parse_address(argv[1]);
    listener = listen_on(&address, 0);
    set_up_ring();
    arm_accept();
    for (;;) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe *completion;
        unsigned head;
        unsigned count = 0;
        io_uring_for_each_cqe(&ring, head, completion)
        {
            const int fd = (int)(uint32_t)completion->user_data;
            const enum operation operation = (enum operation)(completion->user_data >> 32);
            count++;
            if (operation == RECEIVE)
                on_receive(fd, completion->res, completion->flags);
            else if (operation == ACCEPT)
                on_accept(completion->res, completion->flags);
            else if (operation == POLL)
                on_room(fd);
        }
        io_uring_cq_advance(&ring, count);
    }
}
