/* SPDX-License-Identifier: MIT */
/*
 * The simulated world, as tests set it up: one loop, a network, a disk, a clock and a pool of
 * threads, all in memory and all decided by a seed. The same seed gives the same trace.
 *
 *     test ── options ──> sim_loop_create ──> leat_loop ── ops, sys ──> sim (backend_sim_ops)
 *     test ── files, peers, sim_at ───────────────────────────────────> sim
 *     test <── sim_report ── leat_loop_destroy
 *
 * The world watches what uses it: an op freed or moved while BUSY, memory of one freed, a
 * descriptor leaked, closed twice or used after its close, a call that would stall the loop on a
 * disk, a world in which nothing can happen any more although somebody waits: each is a failure.
 *
 * Everything is called on the loop's thread. Callbacks of the world (sim_at, peers) run inside
 * wait(), as the other side of the wire: they may change the world and must not touch the loop.
 */
#ifndef LOOP_SIM_H
#define LOOP_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

struct leat_loop;
struct sim;
struct sim_peer;

/* What may happen, and how often: chances are in millionths, each time the occasion arises. */
struct sim_profile {
    const char *name;
    /* network */
    uint32_t short_recv;         /* fewer bytes than there are */
    uint32_t short_send;         /* fewer bytes than there is room for */
    uint32_t reset;              /* a connection is reset, at each arrival of bytes */
    uint32_t stall;              /* bytes are held up for up to stall_max_ms, at each arrival */
    uint32_t reset_drops;        /* a reset discards what the receiver has not read yet */
    uint32_t accept_error;       /* EMFILE, ENFILE, ENOBUFS, ENOMEM (for a while), ECONNABORTED */
    uint32_t no_receive_buffers; /* OP_RECV_MANY waits for buffers to come back */
    uint32_t spurious_poll;      /* OP_POLL reports what is not there */
    uint32_t small_pipe;         /* a pipe gets one page, whatever was asked for */
    uint32_t no_pipe;            /* no pipe at all: EMFILE */
    /* datagrams */
    uint32_t datagram_loss;      /* at each receiver: it never arrives there */
    uint32_t datagram_duplicate; /* it arrives twice */
    uint32_t datagram_reorder;   /* it is overtaken by what was sent after it */
    uint32_t datagram_refused;   /* EPERM, as of a packet filter */
    uint32_t no_gso;             /* EIO for trains of segments, decided once a world */
    uint32_t no_gro;             /* a segment is not put together with the one before it */
    /* operations */
    uint32_t submit_error; /* ENOMEM */
    uint32_t delayed;      /* a completion comes late; a cancel no longer stops it */
    uint32_t late_turn;    /* the loop is not scheduled for up to 20 ms */
    bool shuffled;         /* completions of one turn come in any order */
    /* disk */
    uint32_t cold;    /* a file's extent of 256 KiB is not in the page cache at first */
    uint32_t evicted; /* a page goes while nobody looks, at each read of one */
    uint32_t short_read;
    uint32_t read_error;   /* EIO */
    uint32_t no_cachestat; /* the kernel lacks it, decided once a world */
    uint32_t offload_full; /* the pool's queue is full */
    /* sizes and times; each world draws its own between the two */
    uint32_t latency_min_us, latency_max_us;
    uint32_t queue_min, queue_max;                   /* bytes a socket holds, each way, each side */
    uint32_t datagram_queue_min, datagram_queue_max; /* SO_RCVBUF, SO_SNDBUF: what the host grants
                                                         at most; both 0: 4 MiB */
    uint32_t stall_max_ms;
    uint32_t disk_latency_us, disk_bytes_per_ms;
};

/* Calm first: nothing goes wrong, what is ready is delivered whole. */
extern const struct sim_profile sim_profiles[];
extern const size_t sim_profile_count;
#define SIM_CALM (&sim_profiles[0])

/* How a world went; written when its loop is destroyed. */
struct sim_report {
    uint64_t trace; /* a hash of every turn and completion: when, what, descriptor, result, bytes */
    uint64_t turns, completions, failures;
    uint64_t connections, resets, stalls, accept_errors, cancels_too_late, loads, read_errors;
    uint64_t datagrams;         /* sent; segments count one each, and so do duplicates */
    uint64_t datagrams_lost;    /* on their way to one receiver */
    uint64_t datagrams_dropped; /* arrived where there was no room */
    int64_t lived_ns;           /* virtual */
};

struct sim_options {
    uint64_t seed;
    const struct sim_profile *profile; /* NULL: calm */
    FILE *trace;                       /* a line each completion; NULL: none */
    /* A failure, in one or more lines. NULL: they are printed on stderr and the process aborts. */
    void (*failed)(const char *text, void *user);
    void *user;
    struct sim_report *report; /* may be NULL */
    int64_t life_max_ns;       /* a world that lives longer has failed; 0: an hour */
    uint64_t turns_max;        /* 0: two million */
};

/* A loop in a world of its own. loop_create_on(&backend_sim_ops, …) gives a calm one of seed 1. */
int sim_loop_create(const struct sim_options *options, struct leat_loop **ret_loop);
struct sim *sim_of(struct leat_loop *loop);

int64_t sim_now_ns(const struct sim *sim);
/* The furthest a turn has come late so far: the slack to allow when deadlines are checked. */
int64_t sim_lateness_ns(const struct sim *sim);
uint64_t sim_read_errors(const struct sim *sim); /* of the disk, so far */
unsigned sim_open_count(const struct sim *sim);  /* descriptors of the program */

/* Another descriptor of a listening socket, as a process has it that took over from another. */
int sim_share(struct sim *sim, int fd);

/* Calls fn(sim, user) at an instant of the world, in wait(). */
typedef void (*sim_call_fn)(struct sim *sim, void *user);
void sim_at(struct sim *sim, int64_t at_ns, sim_call_fn fn, void *user);

/* Calls that may block fail on the loop's thread outside of jobs, once it has waited for the first
 * time. Programs that end may block again: the harness says so. */
void sim_allow_blocking(struct sim *sim, bool is_allowed);

/* ---- Files ----------------------------------------------------------------------------------- */

/* Paths are relative to the world's root, which is what an open without a directory gets; missing
 * folders are made. The content is sim_content of the file's `content` number. 0 or -errno. */
int sim_file_add(struct sim *sim, const char *path, uint64_t content, uint64_t size);
int sim_directory_add(struct sim *sim, const char *path);
int sim_symlink_add(struct sim *sim, const char *path, const char *target);
/* What the file has beyond `size` goes; or it grows. Readers may be in the middle of it. */
int sim_file_resize(struct sim *sim, const char *path, uint64_t size);
int sim_file_remove(struct sim *sim, const char *path); /* who has it open keeps it */
int sim_file_touch(struct sim *sim, const char *path, int64_t mtime_ns);
/* Out of the page cache, as if it had never been read. */
int sim_file_cool(struct sim *sim, const char *path);

/* What was written or appended to a file that was opened for it; valid until the next time. NULL:
 * there is no such file. */
const char *sim_file_bytes(struct sim *sim, const char *path, size_t *ret_size);
/* So many bytes more may be appended, written or allocated; then the disk is full. What is removed
 * makes room. */
void sim_disk_bound(struct sim *sim, size_t room);
/* What was not synced may be lost: the kernel has written some pages of it, and changes of some
 * folders. The page cache is empty, the boot id another one. Who had files of it open should have
 * been killed before. */
void sim_power_cut(struct sim *sim);

/* Byte `offset` and on of content number `content`; the same compared with what was received. */
void sim_content(uint64_t content, uint64_t offset, void *ret_data, size_t size);
bool sim_content_equal(uint64_t content, uint64_t offset, const void *data, size_t size);

/* ---- Processes that die ---------------------------------------------------------------------- */

/* What is opened from now on, by whichever fiber, belongs to this process; 0, as at first: to one
 * that is never killed. What is opened below a folder, mapped of a file or accepted on a socket
 * belongs to whom that does, whenever it is. */
void sim_set_process(struct sim *sim, unsigned process);
/* kill -9: its descriptors are closed, its locks are free, and nothing that it does reaches the
 * world any more. Its ops wait until they are cancelled, each call on one of its descriptors is
 * -EBADF, what it writes to a mapping is seen by nobody else. So a test lets it go as it would let
 * go of any other: it closes and frees what it has, and that has no effect. */
void sim_kill(struct sim *sim, unsigned process);

/* ---- Peers ----------------------------------------------------------------------------------- */

/* The other end of a connection, played by the test: not a descriptor, not on the loop. `event` is
 * called (inside wait()) when bytes, room, the end or an error may have come; never before the call
 * that caused it has returned. */
typedef void (*sim_peer_fn)(struct sim_peer *peer, void *user);

/* Connects to an address; a refusal is what send and recv return. Never NULL. */
struct sim_peer *sim_peer_connect(struct sim *sim, const struct sockaddr *address, socklen_t size,
                                  sim_peer_fn event, void *user);
/* Listens on an address and takes every connection: `event` is called with each new peer. */
int sim_peer_listen(struct sim *sim, const struct sockaddr *address, socklen_t size,
                    sim_peer_fn event, void *user);
void sim_peer_set_event(struct sim_peer *peer, sim_peer_fn event, void *user);
/* As send(2) and recv(2) on a non-blocking socket: -EAGAIN, -ECONNRESET, … */
ssize_t sim_peer_send(struct sim_peer *peer, const void *data, size_t size);
ssize_t sim_peer_recv(struct sim_peer *peer, void *data, size_t size);
/* Right after sim_peer_connect: what comes to it comes no faster; 0, as at first: as fast as the
 * world's latency has it. Writers see it in TCP_INFO. */
void sim_peer_set_rate(struct sim_peer *peer, uint64_t bytes_per_s);
void sim_peer_shutdown(struct sim_peer *peer); /* no more bytes will be sent */
/* Both end the peer: it must not be used again. Peers left over end with their world. */
void sim_peer_close(struct sim_peer *peer);
void sim_peer_reset(struct sim_peer *peer);

#endif
