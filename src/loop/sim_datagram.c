/* SPDX-License-Identifier: MIT */
/*
 * Datagrams of the simulated network.
 *
 *     send ──> flight, flight … ──(each on its own: late, twice)──> arrival ──(lost?)──> mailbox
 *
 * A train (UDP_SEGMENT) flies as its segments; where they arrive one after the other at a socket
 * with UDP_GRO they are put together again. What one socket sends arrives in order, save what
 * chance makes late. Loss is each receiver's own, for the members of a group are different hosts; a
 * mailbox that is full drops, and counts. Who may have a socket's datagrams: sim_group.c.
 */
#include <poll.h>
#include <stdlib.h>

#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include "base/assert.h"
#include "loop/sim_datagram.h"

enum {
    DATAGRAM_SIZE_MAX = 65507,
    SEGMENTS_MAX = 64,
    OVERHEAD = 256, /* of a datagram, in the kernel's memory */
    STAMPS_MAX = 1024,
    LATE_FACTOR = 8, /* a late one flies so many times as long, at most */
};

/* On its way. */
struct flight {
    struct list_node node; /* in sim->flights */
    struct sim_object *sender;
    struct sockaddr_storage from, to;
    socklen_t address_size;
    uint64_t train; /* the same for all of one send */
    unsigned index; /* in it */
    uint16_t segment_size;
    bool is_copy; /* the second of the same */
    size_t size;
    char data[];
};

/* In a mailbox: one, or several that belong together. */
struct letter {
    struct list_node node;
    struct sockaddr_storage from;
    socklen_t from_size;
    uint64_t train;
    unsigned next_index, count;
    uint16_t segment_size;
    uint32_t drops;
    int64_t stamp_ns;
    size_t size, room;
    char *data;
};

static int take_error(struct sim_object *object)
{
    const int error = object->error;
    object->error = 0;
    return -error;
}

static size_t size_of(const struct iovec *vectors, unsigned count)
{
    size_t size = 0;
    for (unsigned index = 0; index < count; index++)
        size += vectors[index].iov_len;
    return size;
}

/* ---- Arrival --------------------------------------------------------------------------------- */

/* The next segment of the train that came last joins it. */
static bool joins_last(struct sim *sim, struct sim_object *object, const struct flight *flight)
{
    struct sim_mailbox *mailbox = object->mailbox;
    if (flight->segment_size == 0 || list_is_empty(&mailbox->letters) ||
        !sim_option_int(object, IPPROTO_UDP, UDP_GRO, 0))
        return false;
    struct letter *letter = CONTAINER_OF(mailbox->letters.previous, struct letter, node);
    const bool is_next = letter->train == flight->train && letter->next_index == flight->index &&
                         letter->size % flight->segment_size == 0 &&
                         letter->size + flight->size <= DATAGRAM_SIZE_MAX;
    if (!is_next || sim_chance(sim, sim->profile.no_gro))
        return false;
    letter->data = realloc(letter->data, letter->size + flight->size);
    ASSERT(letter->data != NULL);
    memcpy(letter->data + letter->size, flight->data, flight->size);
    letter->size += flight->size;
    letter->next_index++;
    letter->count++;
    mailbox->held += flight->size;
    return true;
}

static void deliver(struct sim *sim, struct sim_object *object, const struct flight *flight)
{
    struct sim_mailbox *mailbox = object->mailbox;
    if (sim_chance(sim, sim->profile.datagram_loss)) {
        sim->report.datagrams_lost++;
        return;
    }
    if (mailbox->held > mailbox->receive_room) {
        sim->report.datagrams_dropped++;
        mailbox->drops++;
        return;
    }
    sim_trace(sim, "arrive", object->fd, (int64_t)flight->size, flight->data, flight->size);
    if (!joins_last(sim, object, flight)) {
        struct letter *letter = malloc(sizeof *letter);
        ASSERT(letter != NULL);
        *letter = (struct letter){
            .from = flight->from,
            .from_size = flight->address_size,
            .train = flight->train,
            .next_index = flight->index + 1,
            .count = 1,
            .segment_size = flight->segment_size,
            .drops = mailbox->drops,
            .stamp_ns = sim_wall_ns(sim),
            .size = flight->size,
            .data = malloc(flight->size + 1),
        };
        ASSERT(letter->data != NULL);
        memcpy(letter->data, flight->data, flight->size);
        list_push_back(&mailbox->letters, &letter->node);
        mailbox->held += flight->size + OVERHEAD;
    }
    sim_kick(sim, object);
}

static void refusal_arrives(struct sim *sim, void *target, uint64_t word)
{
    struct sim_object *object = target;
    if (object->kind != SIM_DATAGRAM || !object->mailbox->is_connected)
        return;
    object->error = ECONNREFUSED;
    sim_kick(sim, object);
}

/* Who sent it unconnected is not told that nobody is there. */
static void find_nobody(struct sim *sim, const struct flight *flight)
{
    const struct sim_object *sender = flight->sender;
    if (sender->kind == SIM_DATAGRAM && sender->mailbox->is_connected &&
        sim_is_same_address(&sender->peer, &flight->to))
        sim_schedule(sim, sim->now_ns + sim_draw_latency_ns(sim), refusal_arrives, flight->sender,
                     0);
}

static void arrive(struct sim *sim, void *target, uint64_t word)
{
    struct flight *flight = target;
    struct sim_object *sender = flight->sender;
    list_remove(&flight->node);
    if (sender->kind == SIM_DATAGRAM && !flight->is_copy) {
        sender->mailbox->flying -= flight->size + OVERHEAD;
        sim_kick(sim, sender);
    }
    if (sim_is_group(&flight->to) && sim_group_loops(sender)) {
        LIST_FOR_EACH (node, &sim->bound) {
            struct sim_object *object = CONTAINER_OF(node, struct sim_object, accept_node);
            if (sim_group_hears(sim, object, &flight->to, &flight->from))
                deliver(sim, object, flight);
        }
    } else if (!sim_is_group(&flight->to)) {
        struct sim_object *object = sim_datagram_receiver(sim, &flight->to, &flight->from);
        if (object)
            deliver(sim, object, flight);
        else
            find_nobody(sim, flight);
    }
    free(flight);
}

/* ---- Sending --------------------------------------------------------------------------------- */

static struct flight *flight_new(struct sim *sim, const struct flight *like, size_t size)
{
    struct flight *flight = malloc(sizeof *flight + size);
    ASSERT(flight != NULL);
    *flight = *like;
    flight->size = size;
    list_push_back(&sim->flights, &flight->node);
    sim->report.datagrams++;
    return flight;
}

/* `at_ns`: of its train. */
static void launch(struct sim *sim, struct flight *flight, int64_t at_ns)
{
    struct sim_mailbox *mailbox = flight->sender->mailbox;
    if (sim_chance(sim, sim->profile.datagram_reorder)) {
        at_ns += sim_draw_us(sim, 1, (uint64_t)(sim->latency_us + 1) * LATE_FACTOR);
    } else {
        if (at_ns < mailbox->last_arrival_ns)
            at_ns = mailbox->last_arrival_ns;
        mailbox->last_arrival_ns = at_ns;
    }
    mailbox->flying += flight->size + OVERHEAD;
    sim_schedule(sim, at_ns, arrive, flight, 0);
    if (!sim_chance(sim, sim->profile.datagram_duplicate))
        return;
    struct flight *copy = flight_new(sim, flight, flight->size);
    copy->is_copy = true;
    memcpy(copy->data, flight->data, flight->size);
    at_ns += sim_draw_us(sim, 0, (uint64_t)(sim->latency_us + 1) * LATE_FACTOR);
    sim_schedule(sim, at_ns, arrive, copy, 0);
}

static void stamp(struct sim *sim, struct sim_object *object)
{
    struct sim_mailbox *mailbox = object->mailbox;
    const int flags = sim_option_int(object, SOL_SOCKET, SO_TIMESTAMPING, 0);
    if (!(flags & SOF_TIMESTAMPING_TX_SOFTWARE) || !(flags & SOF_TIMESTAMPING_SOFTWARE))
        return;
    const uint32_t key = flags & SOF_TIMESTAMPING_OPT_ID ? mailbox->next_key++ : 0;
    if (mailbox->stamp_count == STAMPS_MAX)
        return; /* the kernel, too, keeps only so many */
    if (!mailbox->stamps)
        mailbox->stamps = calloc(STAMPS_MAX, sizeof *mailbox->stamps);
    ASSERT(mailbox->stamps != NULL);
    mailbox->stamps[mailbox->stamp_count++] =
        (struct backend_stamp){.key = key, .ns = sim_wall_ns(sim)};
    sim_kick(sim, object);
}

/* 0 and whom it is for, or -errno as sendmsg(2). */
static int may_send(struct sim *sim, struct sim_object *object,
                    const struct backend_datagram *datagram, size_t size,
                    const struct sockaddr_storage **ret_to)
{
    const struct sim_mailbox *mailbox = object->mailbox;
    if (object->error)
        return take_error(object);
    const struct sockaddr_storage *to = datagram->peer;
    if (!to && !mailbox->is_connected)
        return -EDESTADDRREQ;
    if (!to)
        to = &object->peer;
    else if (!sim_is_known_address((const struct sockaddr *)to, datagram->peer_size) ||
             to->ss_family != object->local.ss_family)
        return -EAFNOSUPPORT;
    if (sim_port_of(to) == 0)
        return -EINVAL;
    if (size > DATAGRAM_SIZE_MAX)
        return -EMSGSIZE;
    if (size > (size_t)datagram->segment_size * SEGMENTS_MAX && datagram->segment_size > 0)
        return -EINVAL;
    if (datagram->segment_size > 0 && !sim->has_gso)
        return -EIO;
    if (mailbox->flying >= mailbox->send_room)
        return -EAGAIN;
    if (sim_chance(sim, sim->profile.datagram_refused))
        return -EPERM;
    *ret_to = to;
    return 0;
}

static int send_one(struct sim *sim, struct sim_object *object,
                    const struct backend_datagram *datagram)
{
    const size_t size = size_of(datagram->vectors, datagram->vector_count);
    const struct sockaddr_storage *to;
    const int error = may_send(sim, object, datagram, size, &to);
    if (error)
        return error;
    sim_datagram_autobind(sim, object);
    const size_t segment = datagram->segment_size > 0 ? datagram->segment_size : size;
    struct flight like = {
        .sender = object,
        .to = *to,
        .address_size = object->local_size,
        .train = ++sim->trains,
        .segment_size = size > segment ? datagram->segment_size : 0,
    };
    sim_datagram_source(object, &like.from);
    const int64_t at_ns = sim->now_ns + sim_draw_latency_ns(sim);
    const struct iovec *vector = datagram->vectors;
    size_t taken = 0; /* of the vector */
    for (size_t done = 0; done < size || like.index == 0; like.index++) {
        const size_t wanted = size - done < segment ? size - done : segment;
        struct flight *flight = flight_new(sim, &like, wanted);
        for (size_t copied = 0; copied < wanted;) {
            const size_t left = vector->iov_len - taken;
            const size_t part = left < wanted - copied ? left : wanted - copied;
            if (part > 0)
                memcpy(flight->data + copied, (const char *)vector->iov_base + taken, part);
            copied += part;
            taken += part;
            if (taken == vector->iov_len) {
                vector++;
                taken = 0;
            }
        }
        done += wanted;
        launch(sim, flight, at_ns);
    }
    stamp(sim, object);
    return 0;
}

static int sys_send_datagrams(const struct backend_sys *sys, int fd,
                              const struct backend_datagram *datagrams, unsigned count)
{
    struct sim *sim = sim_of_sys(sys);
    ASSERT(count > 0 && count <= BACKEND_DATAGRAMS_MAX);
    struct sim_object *object = sim_object(sim, fd, "send_datagrams");
    if (!object)
        return -EBADF;
    if (object->kind != SIM_DATAGRAM)
        return -ENOTSOCK;
    if (count > 1 && sim_chance(sim, sim->profile.short_send))
        count = (unsigned)random_between(&sim->random, 1, count);
    int error = 0;
    unsigned sent = 0;
    while (sent < count && (error = send_one(sim, object, &datagrams[sent])) == 0)
        sent++;
    const int result = sent > 0 ? (int)sent : error;
    sim_trace(sim, "throw", fd, result, NULL, 0);
    return result;
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static size_t letter_copy(const struct letter *letter, const struct iovec *vectors, unsigned count)
{
    size_t done = 0;
    for (unsigned index = 0; index < count && done < letter->size; index++) {
        const size_t left = letter->size - done, room = vectors[index].iov_len;
        const size_t part = left < room ? left : room;
        memcpy(vectors[index].iov_base, letter->data + done, part);
        done += part;
    }
    return done;
}

static bool has_stamps(const struct sim_object *object)
{
    const int flags = sim_option_int(object, SOL_SOCKET, SO_TIMESTAMPING, 0);
    const int wanted = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    return (flags & wanted) == wanted || sim_option_int(object, SOL_SOCKET, SO_TIMESTAMPNS, 0);
}

static void letter_free(struct sim_mailbox *mailbox, struct letter *letter)
{
    const size_t size = letter->size + OVERHEAD;
    ASSERT(mailbox->held >= size);
    mailbox->held -= size;
    list_remove(&letter->node);
    free(letter->data);
    free(letter);
}

static void letter_read(struct sim_object *object, struct letter *letter,
                        struct backend_datagram *datagram)
{
    datagram->size = letter_copy(letter, datagram->vectors, datagram->vector_count);
    datagram->is_truncated = datagram->size < letter->size;
    datagram->segment_size = letter->count > 1 ? letter->segment_size : 0;
    datagram->stamp_ns = has_stamps(object) ? letter->stamp_ns : 0;
    datagram->drops = sim_option_int(object, SOL_SOCKET, SO_RXQ_OVFL, 0) ? letter->drops : 0;
    if (datagram->peer) {
        memcpy(datagram->peer, &letter->from, letter->from_size);
        datagram->peer_size = letter->from_size;
    }
}

static struct letter *first_letter(const struct sim_object *object)
{
    struct list_node *letters = &object->mailbox->letters;
    return list_is_empty(letters) ? NULL : CONTAINER_OF(letters->next, struct letter, node);
}

static int sys_receive_datagrams(const struct backend_sys *sys, int fd,
                                 struct backend_datagram *datagrams, unsigned count)
{
    struct sim *sim = sim_of_sys(sys);
    ASSERT(count > 0 && count <= BACKEND_DATAGRAMS_MAX);
    struct sim_object *object = sim_object(sim, fd, "receive_datagrams");
    if (!object)
        return -EBADF;
    if (object->kind != SIM_DATAGRAM)
        return -ENOTSOCK;
    if (object->error)
        return take_error(object);
    if (count > 1 && sim_chance(sim, sim->profile.short_recv))
        count = (unsigned)random_between(&sim->random, 1, count);
    unsigned received = 0;
    struct letter *letter;
    while (received < count && (letter = first_letter(object))) {
        letter_read(object, letter, &datagrams[received++]);
        letter_free(object->mailbox, letter);
    }
    const int result = received > 0 ? (int)received : -EAGAIN;
    sim_trace(sim, "catch", fd, result, NULL, 0);
    return result;
}

static int sys_sent_stamps(const struct backend_sys *sys, int fd, struct backend_stamp *ret_stamps,
                           unsigned count)
{
    struct sim *sim = sim_of_sys(sys);
    ASSERT(count > 0 && count <= BACKEND_DATAGRAMS_MAX);
    struct sim_object *object = sim_object(sim, fd, "sent_stamps");
    if (!object)
        return -EBADF;
    if (object->kind != SIM_DATAGRAM)
        return -ENOTSOCK;
    struct sim_mailbox *mailbox = object->mailbox;
    if (mailbox->stamp_count == 0)
        return -EAGAIN;
    if (count > mailbox->stamp_count)
        count = mailbox->stamp_count;
    memcpy(ret_stamps, mailbox->stamps, count * sizeof *ret_stamps);
    mailbox->stamp_count -= count;
    memmove(mailbox->stamps, mailbox->stamps + count,
            mailbox->stamp_count * sizeof *mailbox->stamps);
    return (int)count;
}

/* ---- As an ordinary socket, for what is not in bursts ---------------------------------------- */

ssize_t sim_datagram_recv(struct sim_object *object, void *data, size_t size, bool peek)
{
    if (object->error)
        return take_error(object);
    struct letter *letter = first_letter(object);
    if (!letter)
        return -EAGAIN;
    const struct iovec room = {.iov_base = data, .iov_len = size};
    const size_t count = letter_copy(letter, &room, 1);
    if (!peek)
        letter_free(object->mailbox, letter);
    return (ssize_t)count;
}

ssize_t sim_datagram_send(struct sim *sim, struct sim_object *object, const struct iovec *vectors,
                          int count)
{
    const struct backend_datagram datagram = {.vectors = (struct iovec *)(uintptr_t)vectors,
                                              .vector_count = (unsigned)count};
    const int error = send_one(sim, object, &datagram);
    return error ? error : (ssize_t)size_of(vectors, (unsigned)count);
}

short sim_datagram_events(const struct sim_object *object)
{
    const struct sim_mailbox *mailbox = object->mailbox;
    short events = 0;
    if (!list_is_empty(&mailbox->letters) || object->error)
        events |= POLLIN;
    /* As Linux has it: told when half of the room is free, so that a burst finds some. */
    if (mailbox->flying < mailbox->send_room / 2 || mailbox->flying == 0)
        events |= POLLOUT;
    if (object->error || mailbox->stamp_count > 0)
        events |= POLLERR;
    return events;
}

/* ---- Birth and end --------------------------------------------------------------------------- */

void sim_datagram_open(struct sim *sim, struct sim_object *object)
{
    struct sim_mailbox *mailbox = calloc(1, sizeof *mailbox);
    ASSERT(mailbox != NULL && object->kind == SIM_DATAGRAM);
    list_init(&mailbox->letters);
    list_init(&mailbox->memberships);
    object->mailbox = mailbox;
    sim_datagram_set_rooms(sim, object);
}

void sim_datagram_close(struct sim_object *object)
{
    struct sim_mailbox *mailbox = object->mailbox;
    if (!mailbox)
        return;
    while (!list_is_empty(&mailbox->letters))
        letter_free(mailbox, first_letter(object));
    sim_group_leave_all(mailbox);
    free(mailbox->stamps);
    free(mailbox);
    object->mailbox = NULL;
}

void sim_datagram_fini(struct sim *sim)
{
    struct list_node *node;
    while ((node = list_take_front(&sim->flights)))
        free(CONTAINER_OF(node, struct flight, node));
}

void sim_datagram_sys(struct backend_sys *sys)
{
    sys->send_datagrams = sys_send_datagrams;
    sys->receive_datagrams = sys_receive_datagrams;
    sys->sent_stamps = sys_sent_stamps;
}
