/* SPDX-License-Identifier: MIT */
/*
 * The simulator's inside, shared by its parts: backend_sim.c (clock, events, turns), sim_ops.c
 * (the register of BUSY ops), sim_net.c (what sockets and pipes do), sim_socket.c (their plain
 * calls; peers), sim_datagram.c and sim_group.c (datagrams), and files: sim_disk.c (page cache,
 * disk), sim_files.c (those that a program makes), sim_memory.c (their bytes, mappings).
 *
 * Nothing here may depend on an address: order comes from lists, indices and sequence numbers, so
 * that a seed replays exactly.
 */
#ifndef LOOP_SIM_WORLD_H
#define LOOP_SIM_WORLD_H

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/list.h"
#include "base/random.h"
#include "loop/backend.h"
#include "loop/loop.h"
#include "loop/sim.h"

enum {
    SIM_FD_BASE = 1 << 20, /* far above the kernel's: a mix-up is EBADF on either side */
    SIM_FDS_MAX = 1 << 13,
    SIM_OPTIONS_MAX = 24,
    SIM_PAGE = 4096,
    SIM_SEGMENT_SIZE = 1460,
};

/* ---- Events ---------------------------------------------------------------------------------- */

typedef void (*sim_event_fn)(struct sim *sim, void *target, uint64_t word);

struct sim_event {
    int64_t at_ns;
    uint64_t sequence; /* of two at one instant the older comes first */
    sim_event_fn fire;
    void *target;
    uint64_t word;
};

/* ---- BUSY operations ------------------------------------------------------------------------- */

enum sim_record_state {
    RECORD_FREE,
    RECORD_WAITING, /* in its object's list, until the object has changed */
    RECORD_COMING,  /* an event will look whether it can complete */
    RECORD_READY,   /* completes in this turn */
};

/* What the world holds of a BUSY op: enough to notice that the op is no longer what it was. */
struct sim_record {
    struct op *op;
    enum sim_record_state state;
    enum op_kind kind;
    int fd;
    op_done_fn done;
    void *data; /* connect: the address; recv, send, read: the bytes */
    size_t size;
    uint64_t offset;
    short events;
    bool more;
    uint64_t canary, data_hash;
    uint32_t slot, generation;
    int32_t result;    /* decided before (connect, errors of submission); 0: not yet */
    bool is_decided;   /* completes with `result` whatever its object says */
    bool is_committed; /* a cancel comes too late */
    bool is_cancelled; /* the cancel has landed */
    bool is_reported;  /* damaged; told once */
    struct sim_object *object;
    struct list_node node; /* in object->waiting */
};

/* ---- Objects --------------------------------------------------------------------------------- */

enum sim_kind {
    SIM_CLOSED,
    SIM_SOCKET, /* neither connected nor listening */
    SIM_LISTENER,
    SIM_STREAM,
    SIM_DATAGRAM,
    SIM_PIPE_IN,  /* the end that is read */
    SIM_PIPE_OUT, /* the end that is written */
    SIM_FILE,
    SIM_DIRECTORY,
};

/* Bytes on their way in one direction: written >= arrived >= read, all counted from the start. */
struct sim_flow {
    char *ring;
    size_t ring_size; /* a power of two */
    uint64_t written, arrived, read;
    size_t send_room, receive_room; /* bytes that may lie before and after arrival */
    bool is_ended, has_end_arrived; /* shut down by the writer; seen by the reader */
    bool is_moving;                 /* an arrival is scheduled */
    bool is_instant;                /* a pipe */
    bool is_corked;                 /* the last write said that more would follow */
    int64_t held_until_ns;
    uint64_t rate_bytes_per_s;          /* of the link; 0: latency alone sets it */
    uint64_t delivery_bytes_per_s;      /* as a kernel measures it; 0: not yet */
    bool is_delivery_limited;           /* that was of what little there was to send */
    uint64_t train;                     /* of the link: bytes that move now, at most */
    int64_t moving_since_ns;            /* when what is moving began to */
    uint64_t generation;                /* of the scheduled arrival; an older one is void */
    struct sim_object *writer, *reader; /* NULL once closed */
    struct sim_connection *connection;  /* NULL: a pipe */
};

struct sim_connection {
    struct sim_flow flows[2]; /* [side] is written by side 0 (who connected) or 1 (who accepted) */
    struct list_node node;
};

struct sim_option {
    int level, name;
    socklen_t size;
    char value[32];
};

struct sim_mailbox; /* sim_datagram.h */

struct sim_object {
    enum sim_kind kind;
    int fd;                /* the latest; -1: a peer, or not accepted yet */
    unsigned open_count;   /* descriptors of it */
    struct list_node node; /* in sim->objects */
    struct list_node waiting;
    struct sim_flow *in, *out;
    int error; /* SO_ERROR: told once */
    /* sockets */
    struct sockaddr_storage local, peer;
    socklen_t local_size, peer_size;
    struct sim_option options[SIM_OPTIONS_MAX];
    unsigned option_count;
    bool is_read_shut, is_reset;
    uint64_t rate_bytes_per_s;   /* of what comes, once it is connected; 0: any */
    struct sim_mailbox *mailbox; /* of a SIM_DATAGRAM */
    /* listeners */
    unsigned backlog, queued;
    struct list_node accept_queue; /* of objects, by accept_node */
    struct list_node accept_node;
    int scarce_error;
    int64_t scarce_until_ns;
    unsigned scarce_count;
    /* connecting */
    unsigned attempts;
    uint64_t connect_token; /* the record that waits for it; 0: a peer */
    /* peers */
    sim_peer_fn event;
    void *user;
    bool is_peer, is_event_coming;
    /* files */
    struct sim_node *file;
    bool is_writable;
    unsigned process; /* whose it is: sim_set_process */
    struct sim *sim;
};

struct sim_ready {
    uint64_t token;          /* a record, or */
    struct offload_job *job; /* a job that has run */
};

struct sim {
    struct backend_sys sys; /* first: sys callbacks find the world by it */
    struct leat_loop *loop;
    struct sim_profile profile;
    struct sim_options options;
    struct random random;
    struct sim_report report;
    int64_t now_ns, born_ns, lateness_ns;
    _Atomic bool is_woken;
    bool has_waited, is_blocking_allowed, is_in_job;
    int64_t job_cost_ns;

    struct sim_event *events; /* a binary heap */
    size_t event_count, event_room;
    uint64_t event_sequence;

    struct sim_record **records;
    uint32_t record_count;
    uint32_t *free_records;
    uint32_t free_count;
    uint64_t canary_sequence;

    struct sim_ready *ready, *batch;
    size_t ready_count, ready_room, batch_room;
    unsigned jobs_waiting;

    struct sim_object *fds[SIM_FDS_MAX];
    struct sim_object *buried;   /* stands for what was killed */
    unsigned process;            /* of what is opened now */
    unsigned fds_used, fds_open; /* slots ever used; open now */
    bool are_fds_reused;
    struct list_node objects, connections;
    struct list_node bound; /* sockets with an address, by accept_node */
    uint16_t next_port;
    char *receive_buffer;
    size_t receive_buffer_size;
    bool has_cachestat;
    uint32_t latency_us, queue_size;
    struct list_node flights; /* datagrams on their way */
    uint64_t trains;          /* sends so far */
    size_t datagram_queue;    /* the most that this host grants a socket */
    bool has_gso;

    struct sim_node *root;
    struct list_node nodes, mappings;
    uint64_t next_inode;
    int64_t disk_free_ns;
    bool is_disk_bounded;
    size_t disk_room; /* for what is appended and written */
    uint64_t boots;
};

/* ---- backend_sim.c --------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *sim, const char *format, ...);
void sim_trace(struct sim *sim, const char *what, int fd, int64_t result, const void *data,
               size_t size);
uint64_t sim_hash(const void *data, size_t size);
void sim_schedule(struct sim *sim, int64_t at_ns, sim_event_fn fire, void *target, uint64_t word);
/* False, and a failure, when the loop would be stalled by this call. */
bool sim_may_block(struct sim *sim, const char *call);
/* ns since 1970. The world began on 9 September 2001, at 01:46:40. */
int64_t sim_wall_ns(const struct sim *sim);
bool sim_chance(struct sim *sim, uint32_t millionths);
/* low .. high microseconds, in nanoseconds. */
int64_t sim_draw_us(struct sim *sim, uint64_t low, uint64_t high);
/* The record, or (when it is not NULL) the job, is delivered in this turn. */
void sim_make_ready(struct sim *sim, uint64_t token, struct offload_job *job);

/* Descriptors. sim_object: NULL, and a failure, when it is not open. */
struct sim_object *sim_object_new(struct sim *sim, enum sim_kind kind);
int sim_fd_open(struct sim *sim, struct sim_object *object); /* the descriptor, or -EMFILE */
struct sim_object *sim_object(struct sim *sim, int fd, const char *call);
/* Was it the object's last? */
bool sim_fd_close(struct sim *sim, struct sim_object *object, int fd);
/* Taken away from its process: it is -EBADF from now on. Was it the object's last? */
bool sim_fd_bury(struct sim *sim, int fd);
bool sim_is_buried(const struct sim *sim, int fd);

/* ---- sim_ops.c ------------------------------------------------------------------------------- */

int sim_ops_init(struct sim *sim, size_t receive_buffer_size);
void sim_ops_fini(struct sim *sim);
void sim_ops_submit(struct sim *sim, struct op *op);
void sim_ops_cancel(struct sim *sim, struct op *op);
void sim_ops_deliver(struct sim *sim, uint64_t token);
/* Every BUSY op is what it was. */
void sim_ops_check(struct sim *sim);
/* No op of the descriptor is BUSY, now that it is closed or released. */
void sim_ops_check_rest(struct sim *sim, int fd, const char *fate);
/* Those of the descriptor wait from now on until they are cancelled. */
void sim_ops_bury(struct sim *sim, int fd);
/* What waits, in words. */
void sim_ops_list(struct sim *sim, char *text, size_t size);
/* Something may have changed for the ops that wait on the object. */
void sim_kick(struct sim *sim, struct sim_object *object);
/* The waiting connect has its answer. */
void sim_decide(struct sim *sim, uint64_t token, int32_t result);
uint64_t sim_token(const struct sim_record *record);
const char *sim_kind_name(enum op_kind kind);

/* ---- sim_net.c ------------------------------------------------------------------------------- */

/* How long something is on its way. */
int64_t sim_draw_latency_ns(struct sim *sim);
void sim_net_fini(struct sim *sim);
void sim_net_close(struct sim *sim, struct sim_object *object);
/* An op's attempt: its result, or -EAGAIN: not yet. */
bool sim_net_is_ready(struct sim *sim, const struct sim_record *record);
int32_t sim_net_perform(struct sim *sim, struct sim_record *record, struct leat_slice *ret_data);
void sim_net_connect(struct sim *sim, struct sim_record *record);
ssize_t sim_net_sendfile(struct sim *sim, int socket_fd, int file_fd, uint64_t offset, size_t size);
ssize_t sim_net_splice(struct sim *sim, int in_fd, int out_fd, size_t size, bool more);

void sim_flow_init(struct sim_flow *flow, size_t send_room, size_t receive_room);
/* `token`: the record that waits, or 0 for a peer. */
void sim_net_begin_connect(struct sim *sim, struct sim_object *object,
                           const struct sockaddr *address, socklen_t size, uint64_t token);
ssize_t sim_net_recv(struct sim *sim, struct sim_object *object, void *data, size_t size,
                     bool peek);
ssize_t sim_net_send(struct sim *sim, struct sim_object *object, const struct iovec *vectors,
                     int count, bool more);
void sim_net_end(struct sim *sim, struct sim_object *object);
void sim_net_abort(struct sim *sim, struct sim_object *object);

/* ---- sim_socket.c ---------------------------------------------------------------------------- */

bool sim_is_known_address(const struct sockaddr *address, socklen_t size);
uint16_t sim_port_of(const struct sockaddr_storage *address); /* in network order */
bool sim_is_any(const struct sockaddr_storage *address);
bool sim_is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
bool sim_is_same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
/* Would what is sent to `to` reach a socket bound to `at`? [::] takes both families. */
bool sim_reaches(const struct sockaddr_storage *to, const struct sockaddr_storage *at);
/* An option's value as it was set, or `otherwise`. */
int sim_option_int(const struct sim_object *object, int level, int name, int otherwise);
void sim_set_free_port(struct sim *sim, struct sockaddr_storage *address);
int sim_net_bind(struct sim *sim, struct sim_object *object, const struct sockaddr *address,
                 socklen_t size);
/* One of the listeners that the address reaches; with SO_REUSEPORT chance decides. NULL: none. */
struct sim_object *sim_find_listener(struct sim *sim, const struct sockaddr_storage *to);
void sim_socket_sys(struct backend_sys *sys);
void sim_datagram_sys(struct backend_sys *sys); /* sim_datagram.c */
void sim_datagram_fini(struct sim *sim);

static inline struct sim *sim_of_sys(const struct backend_sys *sys)
{
    return (struct sim *)(uintptr_t)sys; /* the table lies at its start */
}

/* ---- sim_disk.c ------------------------------------------------------------------------------ */

void sim_disk_init(struct sim *sim);
void sim_disk_sys(struct backend_sys *sys);
void sim_files_sys(struct backend_sys *sys);  /* sim_files.c */
void sim_memory_sys(struct backend_sys *sys); /* sim_memory.c */
void sim_disk_close(struct sim_object *object);
void sim_disk_fini(struct sim *sim);
bool sim_disk_is_ready(struct sim *sim, const struct sim_record *record);
int32_t sim_disk_perform(struct sim *sim, struct sim_record *record);
/* Bytes of the file at `offset` to `data`, which the caller sends; 0: it ends before. Cold bytes
 * stall the loop: a failure, unless they had been there and were evicted. */
ssize_t sim_disk_copy(struct sim *sim, struct sim_object *object, uint64_t offset, void *data,
                      size_t size);
/* Bytes from `offset` on that the file has, at most `size`. */
size_t sim_disk_left(const struct sim_object *object, uint64_t offset, size_t size);

#endif
