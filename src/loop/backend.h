/* SPDX-License-Identifier: MIT */
/*
 * The only door to the kernel. Above src/loop nobody calls it; a test (tests/doors.txt) keeps that.
 *
 * Two halves. `backend_ops`: the loop's own thread, never blocking. `backend_sys`: plain calls that
 * return at once or may block on a disk; the latter are made from offload jobs only. The simulator
 * answers both from a world in memory, so that it sees everything.
 *
 * All calls return 0 or a count, or -errno. Descriptors of the simulator are not the kernel's: they
 * may be used with the same backend alone.
 */
#ifndef LOOP_BACKEND_H
#define LOOP_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "loop/op.h"

struct leat_loop;
struct offload_job;
struct backend;

struct backend_stat {
    uint64_t device, inode, size;
    int64_t mtime_ns;
    bool is_directory, is_regular;
};

/* One entry of a directory; `name` is borrowed for the call. Return false to stop. */
typedef bool (*backend_entry_fn)(const char *name, bool is_directory, void *user);

enum backend_open {
    BACKEND_OPEN_FILE = 0,
    BACKEND_OPEN_DIRECTORY = 1,
    /* resolve below `directory_fd` only: symlinks may lead around, not out (RESOLVE_BENEATH) */
    BACKEND_OPEN_BENEATH = 2,
};

enum { BACKEND_DATAGRAMS_MAX = 64 };

/* A datagram, or several of one size that the kernel takes apart (UDP_SEGMENT) or has put together
 * (UDP_GRO). */
struct backend_datagram {
    struct iovec *vectors; /* out: its bytes; in: room for them */
    unsigned vector_count;
    uint16_t segment_size; /* 0: it is one; else each has so many bytes, the last may have fewer */
    bool is_truncated;     /* in: it was longer than its room */
    size_t size;           /* in: bytes that came, and have their place in the room */
    int64_t stamp_ns;      /* in: when the kernel had it, on the wall clock; 0: it did not say */
    struct sockaddr_storage *peer; /* out: to whom, NULL: as connected; in: who it is from, NULL:
                                      nobody asks */
    socklen_t peer_size;
    uint32_t drops; /* in: how many found no room before it, of all times, where the socket has
                       SO_RXQ_OVFL set; else, and as long as there were none, 0 */
};

/* When a datagram left; `key` counts those that were sent with stamps, from 0. */
struct backend_stamp {
    uint32_t key;
    int64_t ns; /* on the wall clock */
};

/* Plain calls. "now" calls never block; "may block" calls belong into an offload job. */
struct backend_sys {
    /* the wall clock, ns since 1970: now */
    int64_t (*wall_ns)(const struct backend_sys *sys);
    /* the CPU time of the calling thread; simulated threads take none: the simulated time */
    int64_t (*thread_cpu_ns)(const struct backend_sys *sys);

    /* sockets: now */
    int (*socket)(const struct backend_sys *sys, int domain, int type, int protocol);
    int (*bind)(const struct backend_sys *sys, int fd, const struct sockaddr *address,
                socklen_t size);
    /* of a datagram socket, which takes no time; others: OP_CONNECT */
    int (*connect)(const struct backend_sys *sys, int fd, const struct sockaddr *address,
                   socklen_t size);
    int (*listen)(const struct backend_sys *sys, int fd, int backlog);
    int (*setsockopt)(const struct backend_sys *sys, int fd, int level, int name, const void *value,
                      socklen_t size);
    int (*getsockopt)(const struct backend_sys *sys, int fd, int level, int name, void *value,
                      socklen_t *size);
    int (*getsockname)(const struct backend_sys *sys, int fd, struct sockaddr *address,
                       socklen_t *size);
    int (*getpeername)(const struct backend_sys *sys, int fd, struct sockaddr *address,
                       socklen_t *size);
    int (*shutdown)(const struct backend_sys *sys, int fd, int how);
    /* as recv(2) with MSG_DONTWAIT, and MSG_PEEK when `peek` */
    ssize_t (*recv)(const struct backend_sys *sys, int fd, void *data, size_t size, bool peek);
    /* as sendmsg(2) with MSG_DONTWAIT | MSG_NOSIGNAL, and MSG_MORE when `more`; may be short */
    ssize_t (*send)(const struct backend_sys *sys, int fd, const struct iovec *vectors, int count,
                    bool more);
    /* 1..BACKEND_DATAGRAMS_MAX datagrams, as sendmmsg(2) and recvmmsg(2) with MSG_DONTWAIT: how
     * many, 1 or more, or -errno of the first. What a call costs besides what it moves grows with
     * `count`. A connected socket tells once, in either call, of an earlier datagram that was
     * refused: -ECONNREFUSED. */
    int (*send_datagrams)(const struct backend_sys *sys, int fd,
                          const struct backend_datagram *datagrams, unsigned count);
    int (*receive_datagrams)(const struct backend_sys *sys, int fd,
                             struct backend_datagram *datagrams, unsigned count);
    /* When datagrams left, of a socket with SO_TIMESTAMPING's TX_SOFTWARE, OPT_ID and OPT_TSONLY,
     * oldest first: how many, 1..BACKEND_DATAGRAMS_MAX; -EAGAIN: none. As long as there are any,
     * OP_POLL tells POLLERR. */
    int (*sent_stamps)(const struct backend_sys *sys, int fd, struct backend_stamp *ret_stamps,
                       unsigned count);
    /* a pipe, non-blocking at both ends, of `size` bytes or as near as the host allows;
     * returns its capacity */
    ssize_t (*pipe)(const struct backend_sys *sys, int ret_fds[2], size_t size);

    /* files: now */
    ssize_t (*read_now)(const struct backend_sys *sys, int fd, void *data, size_t size,
                        uint64_t offset); /* -EAGAIN: not in the page cache (RWF_NOWAIT) */
    /* bytes of [offset, offset + size) in the page cache, those still being read included;
     * -ENOSYS where the kernel has no cachestat(2) */
    ssize_t (*resident)(const struct backend_sys *sys, int fd, uint64_t offset, size_t size);

    /* files: may block, save unmap and close: what they let go of is read only or in memory */
    int (*open)(const struct backend_sys *sys, int directory_fd, const char *path,
                enum backend_open flags); /* read only, cloexec */
    int (*stat)(const struct backend_sys *sys, int fd, struct backend_stat *ret_stat);
    /* of a directory's entry; a symbolic link is not followed: it is neither of the two */
    int (*stat_at)(const struct backend_sys *sys, int directory_fd, const char *name,
                   struct backend_stat *ret_stat);
    ssize_t (*read)(const struct backend_sys *sys, int fd, void *data, size_t size,
                    uint64_t offset);
    int (*readahead)(const struct backend_sys *sys, int fd, uint64_t offset, size_t size);
    int (*list)(const struct backend_sys *sys, int fd, backend_entry_fn entry, void *user);
    int (*create)(const struct backend_sys *sys, const char *name); /* sealed-able memory file */
    int (*map)(const struct backend_sys *sys, int fd, size_t size, const void **ret_data);
    void (*unmap)(const struct backend_sys *sys, const void *data, size_t size);
    ssize_t (*write)(const struct backend_sys *sys, int fd, const void *data, size_t size,
                     uint64_t offset);
    /* A file to append to, made when it is not there; NULL: standard output, by a descriptor of our
     * own. Nobody has to be reading it: what has no room for now is -EAGAIN. */
    int (*open_append)(const struct backend_sys *sys, const char *path);
    /* At the end of it, wherever others have moved that meanwhile; may be short, as when the disk
     * is nearly full. Waits up to `wait_ms` for the reader of a pipe, then -EAGAIN. */
    ssize_t (*append)(const struct backend_sys *sys, int fd, const void *data, size_t size,
                      int wait_ms);
    int (*seal)(const struct backend_sys *sys, int fd); /* no shrinking, growing, writing more */
    /* Files of our own making, below a directory; `name` is one of its entries. What makes or opens
     * one may have a path instead, and -1 for the directory. */
    int (*make_directory)(const struct backend_sys *sys, int directory_fd, const char *name);
    /* To read and write, made when it is not there; emptied where `is_emptied`. */
    int (*open_write)(const struct backend_sys *sys, int directory_fd, const char *name,
                      bool is_emptied);
    /* The same, for its owner and the owner's group alone when it is made here. */
    int (*open_private)(const struct backend_sys *sys, int directory_fd, const char *name,
                        bool is_emptied);
    /* The same, for its owner alone; -EEXIST: there is such a name, be it a link. */
    int (*open_new)(const struct backend_sys *sys, int directory_fd, const char *name);
    /* From one file to another, within the kernel; may be short, 0 at the end of `in_fd`. */
    ssize_t (*copy)(const struct backend_sys *sys, int in_fd, uint64_t in_offset, int out_fd,
                    uint64_t out_offset, size_t size);
    int (*resize)(const struct backend_sys *sys, int fd, uint64_t size);
    /* The file has the rights and the time of change of another from now on; it is no program, and
     * acts for nobody (set-user-ID), whatever the other may do. */
    int (*resemble)(const struct backend_sys *sys, int fd, int other_fd);
    /* -EEXIST: there is such a name already and `may_replace` is false. */
    int (*rename)(const struct backend_sys *sys, int directory_fd, const char *from, const char *to,
                  bool may_replace);
    int (*remove)(const struct backend_sys *sys, int directory_fd, const char *name,
                  bool is_directory);
    /* Of a file or directory, for this descriptor alone, until it is closed. -EAGAIN: another, of
     * whatever process, has it. */
    int (*lock)(const struct backend_sys *sys, int fd);

    /* Files that are memory. Touching a page of a mapping that lies beyond the file's end, that the
     * disk has no room for, or that cannot be read from it kills the process (SIGBUS): so a file is
     * allocated before it is written through a mapping, nobody makes it shorter meanwhile, and who
     * maps what others made reads it first, or prefaults it. */

    /* Room on the disk for its first `size` bytes, and at least this size; new bytes are 0. When it
     * fails (-ENOSPC, -EFBIG) the file is as it was. */
    int (*allocate)(const struct backend_sys *sys, int fd, uint64_t size);
    /* The file from its start, shared with all who map or read it; `is_writable` needs a descriptor
     * of open_write. `fd` -1: memory of no file. Let go of by unmap. */
    int (*map_shared)(const struct backend_sys *sys, int fd, size_t size, bool is_writable,
                      void **ret_data);
    /* Whole pages of a mapping: present afterwards, without a change to their bytes, and
     * writable without a page fault when `is_writable`. -EFAULT: touching them would be SIGBUS
     * (before Linux 5.14 it is). */
    int (*prefault)(const struct backend_sys *sys, void *data, size_t size, bool is_writable);
    /* The bytes of a file, or the entries of a directory, are on the disk (fdatasync). */
    int (*sync)(const struct backend_sys *sys, int fd);
    void (*close)(const struct backend_sys *sys, int fd); /* a file; sockets: backend_ops.close */
};

struct backend_options {
    unsigned queue_entries;   /* submissions that may wait for one wait(); a power of two */
    unsigned receive_buffers; /* for OP_RECV_MANY, a loop; a power of two */
    unsigned receive_buffer_size;
};

/* What the probe at start found; for `leat doctor`, the metrics and the curious. */
struct backend_features {
    bool multishot_accept, multishot_recv, defer_taskrun, single_issuer, cachestat, open_beneath;
};

struct backend_ops {
    const char *name; /* "uring", "epoll", "sim" */
    bool is_simulated;
    /* A send at once (backend_sys.send) costs no more than an OP_SEND: no batch to ride in. */
    bool sends_now;
    /* Must be called in the thread that will run the loop. */
    int (*create)(struct leat_loop *loop, const struct backend_options *options,
                  struct backend **ret_backend);
    void (*destroy)(struct backend *backend); /* no op may be BUSY any more */
    /* Takes the op over until its last completion. Never fails and never completes at once: what
     * cannot be started completes with its error from the next wait(). */
    void (*submit)(struct backend *backend, struct op *op);
    void (*cancel)(struct backend *backend, struct op *op); /* a BUSY op; asynchronous */
    /* Submits what is queued, waits until a completion, a wake() or `deadline_ns`
     * (LEAT_FOREVER; in the past: only looks), calls loop_begin_work, delivers what has completed.
     * Never blocks while a completion is queued already. Returns 0; -errno when
     * waiting itself is broken, which is not survivable. */
    int (*wait)(struct backend *backend, int64_t deadline_ns);
    void (*wake)(struct backend *backend); /* from any thread, and from a signal handler */
    int (*fd)(struct backend *backend);    /* readable when wait() would deliver; -ENOTSUP */
    int64_t (*now_ns)(struct backend *backend);

    /* Now calls that concern descriptors with operations, so that the backend must know of them. */
    ssize_t (*sendfile)(struct backend *backend, int socket_fd, int file_fd, uint64_t offset,
                        size_t size); /* -EAGAIN: wait by OP_POLL; 0: the file ends before offset */
    /* Between a socket and a pipe; -EAGAIN when either side is not ready; 0: end of stream. */
    ssize_t (*splice)(struct backend *backend, int in_fd, int out_fd, size_t size, bool more);
    void (*close)(struct backend *backend, int fd); /* a socket or pipe; none of its ops is BUSY */
    /* The descriptor, none of whose ops is BUSY, is another loop's from now on: this one forgets
     * it, and knows nothing of it should it come back. */
    void (*release)(struct backend *backend, int fd);
    /* The simulator runs jobs by itself; NULL: threads do (loop/offload.c). */
    int (*offload)(struct backend *backend, struct offload_job *job);

    const struct backend_sys *(*sys)(struct backend *backend);
    void (*features)(struct backend *backend, struct backend_features *ret_features);
};

extern const struct backend_ops backend_uring_ops;
extern const struct backend_ops backend_epoll_ops;
extern const struct backend_ops backend_sim_ops;

/* The kernel's plain calls, shared by uring and epoll (loop/sys_linux*.c). */
extern const struct backend_sys backend_sys_linux;

#endif
