/* SPDX-License-Identifier: MIT */
/*
 * Bursts of frames through a UDP socket.
 *
 *     out   frames ─ runs of one size ─> datagrams of up to 64 frames ─ all in one call ─> kernel
 *     in    kernel ─ 1, 4, 16 … datagrams a call, as they come ─> rooms ─ taken apart ─> frames
 *
 * Nothing is copied here: out, a datagram is a list of the frames where they lie; in, a frame is a
 * part of the room that the kernel has filled, and the rooms are filled again only when all of them
 * has been handed out. The rooms are few and used from the first on, so that they stay in the
 * cache. An empty receive is one plain recvmsg(2): who spins makes millions of them.
 */
#include "feed/transport_udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "feed/transport_udp_socket.h"
#include "net/address.h"

enum {
    SEGMENTS_MAX = 64,          /* of one datagram: UDP_MAX_SEGMENTS since Linux 4.18 */
    SEGMENTED_SIZE_MAX = 65487, /* what a UDP datagram holds, behind the header of IPv6 */
    ROOM_SIZE_GRO = 65535,      /* whatever UDP brings */
    ROOMS_GRO = 16,
    ROOM_ALIGNMENT = 64,
    ROOM_SKEW = 5 * ROOM_ALIGNMENT, /* or all rooms begin in the same few sets of the cache */
    APPETITE_GROWTH = 4,
    REFILLS_MAX = 4,        /* by one receive, while what comes is not for us */
    STAMPS_OPEN_MAX = 1024, /* sent, their times not known yet; a power of two */
    STAMPS_DRAIN = 256,     /* this many are collected together */
    STAMP_DELAY_MAX_NS =
        1000 * 1000 * 1000, /* beyond, the clock was set or the stamp is not ours */
    PAGE = 4096,
};

struct udp_sent {
    int64_t call_ns; /* on the wall clock */
    unsigned frame_count;
};

struct udp_out {
    uint32_t segment_size_max; /* larger frames leave one by one; 0: all do */
    struct iovec vectors[FEED_BURST_MAX];
    struct backend_datagram datagrams[BACKEND_DATAGRAMS_MAX];
    /* with has_sent_stamps, by their keys */
    uint32_t stamp_key, stamp_key_drained;
    struct udp_sent stamps[STAMPS_OPEN_MAX];
};

struct udp_in {
    unsigned room_count;
    unsigned appetite;     /* datagrams asked for next: more, as long as that many come */
    unsigned count, index; /* datagrams in the rooms, and the first not handed out whole */
    size_t offset;         /* in that one */
    uint32_t drops;        /* SO_RXQ_OVFL's count, as last heard */
    uint32_t packet_size_max;
    uint8_t *rooms;
    struct iovec vectors[BACKEND_DATAGRAMS_MAX];
    struct backend_datagram datagrams[BACKEND_DATAGRAMS_MAX];
    struct leat_address peers[BACKEND_DATAGRAMS_MAX];
};

struct udp_transport {
    struct feed_transport base;
    struct leat_loop *loop;
    enum feed_role role;
    struct udp_socket socket;
    bool has_source;
    struct leat_address source; /* frames of others are foreign */
    struct leat_address asked;  /* FEED_ROLE_ASK: the publisher's */
    struct feed_transport_stats stats;
    struct udp_out out;
    struct udp_in in;
};

static struct udp_transport *udp_of(const struct feed_transport *transport)
{
    return CONTAINER_OF(transport, struct udp_transport, base);
}

/* ---- Out: when frames left ------------------------------------------------------------------- */

static void drain_stamps(struct udp_transport *udp)
{
    const struct backend_sys *sys = udp->loop->sys;
    struct udp_out *out = &udp->out;
    struct backend_stamp stamps[BACKEND_DATAGRAMS_MAX];
    int count;
    while ((count = sys->sent_stamps(sys, udp->socket.fd, stamps, BACKEND_DATAGRAMS_MAX)) > 0) {
        for (int index = 0; index < count; index++) {
            if (out->stamp_key - 1 - stamps[index].key >= STAMPS_OPEN_MAX)
                continue;
            const struct udp_sent *sent = &out->stamps[stamps[index].key % STAMPS_OPEN_MAX];
            const int64_t delay_ns = stamps[index].ns - sent->call_ns;
            if (delay_ns < 0 || delay_ns > STAMP_DELAY_MAX_NS)
                continue;
            udp->stats.stamps += sent->frame_count;
            udp->stats.stamp_sum_ns += delay_ns * sent->frame_count;
        }
    }
    out->stamp_key_drained = out->stamp_key;
}

static void note_sent(struct udp_transport *udp, const struct backend_datagram *datagrams,
                      unsigned count, int64_t call_ns)
{
    struct udp_out *out = &udp->out;
    for (unsigned index = 0; index < count; index++)
        out->stamps[out->stamp_key++ % STAMPS_OPEN_MAX] =
            (struct udp_sent){.call_ns = call_ns, .frame_count = datagrams[index].vector_count};
    if (out->stamp_key - out->stamp_key_drained >= STAMPS_DRAIN)
        drain_stamps(udp);
}

/* Whether a refused datagram had a key depends on where it was refused, and on the kernel: the
 * count begins anew. Also, stamps that nobody fetches would make poll(2) say POLLERR for ever. */
static void note_refused(struct udp_transport *udp)
{
    drain_stamps(udp);
    udp->socket.has_sent_stamps = udp_socket_stamp_sent(udp->loop->sys, udp->socket.fd) == 0;
    udp->out.stamp_key = udp->out.stamp_key_drained = 0;
}

/* ---- Out ------------------------------------------------------------------------------------- */

static bool is_same_peer(const struct feed_frame *a, const struct feed_frame *b)
{
    if (a->peer == b->peer)
        return true;
    return a->peer && b->peer && leat_address_equal(a->peer, b->peer);
}

/* How many frames from the first on can be one datagram: of one size, to one peer; the last may be
 * smaller. One of no bytes is always alone. */
static unsigned run_length(const struct udp_out *out, const struct feed_frame *frames,
                           unsigned count)
{
    const uint32_t size = frames[0].size;
    if (size == 0 || size > out->segment_size_max)
        return 1;
    const unsigned fitting = SEGMENTED_SIZE_MAX / size; /* may be one, or none */
    unsigned length = 1, end = count;
    if (end > SEGMENTS_MAX)
        end = SEGMENTS_MAX;
    if (end > fitting)
        end = fitting;
    while (length < end && frames[length].size == size && is_same_peer(&frames[length], frames))
        length++;
    const bool may_end_smaller = length < end && frames[length].size < size &&
                                 frames[length].size > 0 && is_same_peer(&frames[length], frames);
    return may_end_smaller ? length + 1 : length;
}

/* Makes datagrams of frames, as many as one call takes; their number. */
static unsigned gather(struct udp_transport *udp, const struct feed_frame *frames, unsigned count)
{
    struct udp_out *out = &udp->out;
    unsigned datagram_count = 0;
    for (unsigned first = 0; first < count && datagram_count < BACKEND_DATAGRAMS_MAX;) {
        const struct feed_frame *frame = &frames[first];
        const unsigned length = run_length(out, frame, count - first);
        for (unsigned index = 0; index < length; index++)
            out->vectors[first + index] = (struct iovec){
                .iov_base = (void *)frame[index].data, /* sendmsg(2) only reads it */
                .iov_len = frame[index].size,
            };
        out->datagrams[datagram_count++] = (struct backend_datagram){
            .vectors = &out->vectors[first],
            .vector_count = length,
            .segment_size = length > 1 ? (uint16_t)frame->size : 0,
            .peer = frame->peer ? (struct sockaddr_storage *)&frame->peer->storage : NULL,
            .peer_size = frame->peer ? frame->peer->size : 0,
        };
        first += length;
    }
    return datagram_count;
}

/* The kernel has refused this datagram: is there another way to send its frames?
 *
 * EIO: the device cannot complete checksums. EINVAL, EOPNOTSUPP: something on the way knows no
 * UDP_SEGMENT. EMSGSIZE, EINVAL before Linux 6.13: a segment is larger than the device's packets,
 * whereas a datagram alone is cut into fragments. ECONNREFUSED is the answer to an earlier
 * datagram: nobody was there, but somebody may be now. */
static bool find_other_way(struct udp_transport *udp, const struct backend_datagram *datagram,
                           int error, bool *was_told)
{
    const bool is_segmented = datagram->segment_size > 0;
    if (error == -ECONNREFUSED && !*was_told) {
        *was_told = true;
        udp->stats.lost++;
        return true;
    }
    if (is_segmented && error == -EMSGSIZE) {
        udp->out.segment_size_max = datagram->segment_size - 1U;
        return true;
    }
    if (is_segmented && (error == -EIO || error == -EINVAL || error == -EOPNOTSUPP)) {
        udp->out.segment_size_max = 0;
        return true;
    }
    return false;
}

/* Sends what one call takes. How many frames were dealt with: fewer than gathered when the socket
 * is busy, or when the rest has to be gathered anew, which *ret_is_busy tells apart. */
static unsigned send_some(struct udp_transport *udp, const struct feed_frame *frames,
                          unsigned count, bool *was_told, bool *ret_is_busy)
{
    const struct backend_sys *sys = udp->loop->sys;
    struct udp_out *out = &udp->out;
    const unsigned datagram_count = gather(udp, frames, count);
    const int64_t call_ns = udp->socket.has_sent_stamps ? sys->wall_ns(sys) : 0;
    unsigned taken = 0;
    for (unsigned done = 0; done < datagram_count;) {
        const struct backend_datagram *next = &out->datagrams[done];
        const int sent = sys->send_datagrams(sys, udp->socket.fd, next, datagram_count - done);
        ASSERT(sent != 0 && sent <= (int)(datagram_count - done));
        udp->stats.calls_out++;
        if (sent > 0) {
            unsigned frame_count = 0;
            for (int index = 0; index < sent; index++)
                frame_count += next[index].vector_count;
            if (udp->socket.has_sent_stamps)
                note_sent(udp, next, (unsigned)sent, call_ns);
            udp->stats.sent += frame_count;
            taken += frame_count;
            done += (unsigned)sent;
            continue;
        }
        if (udp->socket.has_sent_stamps)
            note_refused(udp);
        *ret_is_busy = sent == -EAGAIN;
        if (*ret_is_busy || find_other_way(udp, next, sent, was_told))
            return taken;
        udp->stats.lost += next->vector_count;
        taken += next->vector_count;
        done++;
    }
    return taken;
}

static int udp_send(struct feed_transport *transport, const struct feed_frame *frames,
                    unsigned count)
{
    struct udp_transport *udp = udp_of(transport);
    ASSERT(count > 0 && count <= FEED_BURST_MAX);
    ASSERT(udp->role != FEED_ROLE_RECEIVE);
    ASSERT(frames[0].peer || udp->role != FEED_ROLE_ANSWER);
    bool is_busy = false, was_told = false;
    unsigned taken = 0;
    /* Ends: each round deals with a frame, or takes a way less (twice at most: see above), or is
     * told once. */
    while (taken < count && !is_busy)
        taken += send_some(udp, frames + taken, count - taken, &was_told, &is_busy);
    return taken > 0 ? (int)taken : -EAGAIN;
}

/* ---- In -------------------------------------------------------------------------------------- */

/* More are asked for at once as long as as many come, up to what makes a burst of frames. */
static void set_appetite(struct udp_in *in, unsigned asked)
{
    ASSERT(in->count > 0 && in->count <= asked);
    if (in->count < asked) {
        in->appetite = in->count;
        return;
    }
    const struct backend_datagram *last = &in->datagrams[in->count - 1];
    const size_t frames =
        last->segment_size > 0 ? (last->size + last->segment_size - 1) / last->segment_size : 1;
    unsigned most = FEED_BURST_MAX / (unsigned)(frames > FEED_BURST_MAX ? FEED_BURST_MAX : frames);
    if (most > in->room_count)
        most = in->room_count;
    const unsigned wanted = asked * APPETITE_GROWTH;
    in->appetite = wanted < most ? wanted : most;
}

/* 0 when there is at least one datagram in the rooms. */
static int refill(struct udp_transport *udp)
{
    const struct backend_sys *sys = udp->loop->sys;
    struct udp_in *in = &udp->in;
    const unsigned asked = in->appetite;
    int count = sys->receive_datagrams(sys, udp->socket.fd, in->datagrams, asked);
    udp->stats.calls_in++;
    if (count < 0 && count != -EAGAIN) {
        /* An earlier datagram was refused (ECONNREFUSED), or the like: said once, and no reason to
         * stop. */
        count = sys->receive_datagrams(sys, udp->socket.fd, in->datagrams, asked);
        udp->stats.calls_in++;
    }
    in->index = 0;
    in->offset = 0;
    in->count = count > 0 ? (unsigned)count : 0;
    if (count < 0) {
        in->appetite = 1;
        return -EAGAIN;
    }
    set_appetite(in, asked);
    return 0;
}

/* Before the first frame of a datagram is handed out. False: none of them is. */
static bool admit(struct udp_transport *udp, const struct backend_datagram *datagram,
                  struct leat_address *peer)
{
    struct udp_in *in = &udp->in;
    if (datagram->drops != 0 && datagram->drops != in->drops) {
        udp->stats.dropped += (uint32_t)(datagram->drops - in->drops);
        in->drops = datagram->drops;
    }
    if (datagram->is_truncated) {
        udp->stats.dropped++;
        return false;
    }
    if (datagram->peer)
        peer->size = datagram->peer_size;
    if (udp->has_source && !address_same_host(peer, &udp->source)) {
        udp->stats.foreign +=
            datagram->segment_size > 0
                ? (datagram->size + datagram->segment_size - 1) / datagram->segment_size
                : 1;
        return false;
    }
    return true;
}

/* Frames of one burst and one sender have one pointer, so that their reader compares it alone. */
static const struct leat_address *name_peer(const struct udp_transport *udp,
                                            const struct leat_address *peer, unsigned filled,
                                            const struct feed_frame *frames)
{
    if (udp->role == FEED_ROLE_ASK)
        return &udp->asked;
    if (filled > 0 && leat_address_equal(frames[filled - 1].peer, peer))
        return frames[filled - 1].peer;
    return peer;
}

/* The frames in the rooms, from where the last call ended. */
static unsigned hand_out(struct udp_transport *udp, struct feed_frame *ret_frames, unsigned count)
{
    struct udp_in *in = &udp->in;
    unsigned filled = 0;
    while (in->index < in->count && filled < count) {
        const struct backend_datagram *datagram = &in->datagrams[in->index];
        struct leat_address *peer = &in->peers[in->index];
        if (in->offset == 0 && !admit(udp, datagram, peer)) {
            in->index++;
            continue;
        }
        const uint8_t *data = datagram->vectors->iov_base;
        const struct leat_address *from = name_peer(udp, peer, filled, ret_frames);
        do {
            size_t size = datagram->size - in->offset;
            if (datagram->segment_size > 0 && size > datagram->segment_size)
                size = datagram->segment_size;
            if (size > in->packet_size_max)
                udp->stats.dropped++;
            else
                ret_frames[filled++] = (struct feed_frame){
                    .data = data + in->offset,
                    .size = (uint32_t)size,
                    .stamp_ns = datagram->stamp_ns,
                    .peer = from,
                };
            in->offset += size;
        } while (in->offset < datagram->size && filled < count);
        if (in->offset == datagram->size) {
            in->index++;
            in->offset = 0;
        }
    }
    udp->stats.received += filled;
    return filled;
}

static int udp_receive(struct feed_transport *transport, struct feed_frame *ret_frames,
                       unsigned count)
{
    struct udp_transport *udp = udp_of(transport);
    ASSERT(count > 0 && count <= FEED_BURST_MAX);
    if (udp->role == FEED_ROLE_SEND)
        return -ENOTSUP;
    unsigned filled = hand_out(udp, ret_frames, count);
    for (unsigned refills = 0; filled == 0 && refills < REFILLS_MAX; refills++) {
        const int error = refill(udp);
        if (error)
            return error;
        filled = hand_out(udp, ret_frames, count);
    }
    return filled > 0 ? (int)filled : -EAGAIN;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int udp_fd(const struct feed_transport *transport)
{
    return udp_of(transport)->socket.fd;
}

static int udp_address(const struct feed_transport *transport, struct leat_address *ret_address)
{
    const struct udp_transport *udp = udp_of(transport);
    return address_of_socket(udp->loop->sys, udp->socket.fd, ret_address);
}

static void udp_stats(struct feed_transport *transport, struct feed_transport_stats *ret_stats)
{
    struct udp_transport *udp = udp_of(transport);
    if (udp->socket.has_sent_stamps)
        drain_stamps(udp);
    *ret_stats = udp->stats;
}

static void udp_destroy(struct feed_transport *transport)
{
    struct udp_transport *udp = udp_of(transport);
    udp->loop->ops->close(udp->loop->backend, udp->socket.fd);
    free(udp->in.rooms);
    free(udp);
}

static const struct feed_transport_ops udp_ops = {
    .name = "udp",
    .send = udp_send,
    .receive = udp_receive,
    .fd = udp_fd,
    .address = udp_address,
    .stats = udp_stats,
    .destroy = udp_destroy,
};

/* The rooms, each with its datagram, present in memory before the first frame comes. */
static int make_rooms(struct udp_transport *udp, size_t packet_size_max)
{
    struct udp_in *in = &udp->in;
    const size_t room_size = udp->socket.has_gro ? (size_t)ROOM_SIZE_GRO : packet_size_max;
    const size_t stride =
        (room_size + ROOM_ALIGNMENT - 1) / ROOM_ALIGNMENT * ROOM_ALIGNMENT + ROOM_SKEW;
    in->room_count = udp->socket.has_gro ? (unsigned)ROOMS_GRO : (unsigned)BACKEND_DATAGRAMS_MAX;
    const size_t size = (stride * in->room_count + PAGE - 1) / PAGE * PAGE;
    in->rooms = aligned_alloc(PAGE, size);
    if (!in->rooms)
        return -ENOMEM;
    memset(in->rooms, 0, size);
    in->packet_size_max = (uint32_t)packet_size_max;
    in->appetite = 1;
    for (unsigned index = 0; index < in->room_count; index++) {
        in->vectors[index] =
            (struct iovec){.iov_base = in->rooms + index * stride, .iov_len = room_size};
        in->datagrams[index] = (struct backend_datagram){
            .vectors = &in->vectors[index],
            .vector_count = 1,
            .peer = udp->role == FEED_ROLE_ASK ? NULL : &in->peers[index].storage,
        };
    }
    return 0;
}

int transport_udp_open(struct leat_loop *loop, const struct feed_transport_options *options,
                       const struct leat_address *address, struct feed_transport **ret_transport,
                       char *ret_reason, size_t reason_size)
{
    struct udp_transport *udp = calloc(1, sizeof *udp);
    if (!udp)
        return feed_refuse(-ENOMEM, ret_reason, reason_size, "%s: no memory", options->address);
    udp->base.ops = &udp_ops;
    udp->loop = loop;
    udp->role = options->role;
    udp->asked = *address;
    udp->out.segment_size_max = SEGMENTED_SIZE_MAX;
    int error = udp_socket_open(loop, options, address, &udp->socket, ret_reason, reason_size);
    if (error) {
        free(udp);
        return error;
    }
    if (options->source && options->role == FEED_ROLE_RECEIVE) {
        udp->has_source = true;
        error = udp_parse_host(options->source, leat_address_family(address), &udp->source);
        ASSERT(!error); /* udp_socket_open has read it */
    }
    if (options->role != FEED_ROLE_SEND && make_rooms(udp, options->packet_size_max)) {
        udp_destroy(&udp->base);
        return feed_refuse(-ENOMEM, ret_reason, reason_size, "%s: no memory", options->address);
    }
    *ret_transport = &udp->base;
    return 0;
}
