/* SPDX-License-Identifier: MIT */
/*
 * leat feed record --pcap: packets as they come, whatever is in them, with the kernel's times. The
 * lines are told apart by where their packets were sent. What has come of both is written in the
 * order of its times; behind it is a sink (sink.h), so that a slow disk does not keep us from the
 * sockets.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/slice.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "record.h"

enum {
    RING_LOOK_NS = 100000, /* a ring has nothing to wait for */
    BUSY_ROUNDS = 64,      /* frames, before others get their turn */
    SINK_LOOK_MS = 250,    /* while nothing comes: has it died? */
    CLOSE_MS = 60000,      /* for what a slow disk has not taken yet */
};

/* ---- Opening --------------------------------------------------------------------------------- */

static void set_endpoint(const struct leat_address *address, struct pcap_endpoint *ret_endpoint,
                         bool *ret_is_ipv6)
{
    *ret_endpoint = (struct pcap_endpoint){.port = leat_address_port(address)};
    *ret_is_ipv6 = leat_address_family(address) == AF_INET6;
    if (*ret_is_ipv6)
        memcpy(ret_endpoint->address, &address->v6.sin6_addr, PCAP_ADDRESS_SIZE);
    else
        memcpy(ret_endpoint->address, &address->v4.sin_addr, 4);
}

/* A ring has no address: 127.0.0.1, and the line's number as the port. */
static void set_ring_endpoint(unsigned number, struct pcap_endpoint *ret_endpoint)
{
    *ret_endpoint = (struct pcap_endpoint){.address = {127, 0, 0, 1}, .port = (uint16_t)number};
}

static int open_line(struct record *record, unsigned index, const char *address)
{
    struct record_line *line = &record->pcap.lines[index];
    struct leat_address own;
    char reason[FEED_ERROR_SIZE];
    const struct feed_transport_options options = {
        .address = address,
        .role = FEED_ROLE_RECEIVE,
        .source = record->flags.source,
        .packet_size_max = LEAT_FEED_PACKET_SIZE_MAX,
        .socket = record->flags.socket,
    };
    const int error =
        feed_transport_open(leat_loop_current(), &options, &line->transport, reason, sizeof reason);
    if (error) {
        record_tell("%s", reason);
        return error;
    }
    if (feed_transport_address(line->transport, &own) == 0)
        set_endpoint(&own, &line->address, &line->is_ipv6);
    else
        set_ring_endpoint(index + 1, &line->address);
    return 0;
}

/* One descriptor to wait for instead of two. */
static int open_epoll(struct record_pcap *pcap)
{
    pcap->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (pcap->epoll_fd < 0)
        return -errno;
    for (unsigned i = 0; i < LEAT_FEED_LINES_MAX && pcap->lines[i].transport; i++) {
        const struct feed_transport *transport = pcap->lines[i].transport;
        const int fd = transport->ops->fd(transport);
        struct epoll_event event = {.events = EPOLLIN};
        if (fd >= 0 && epoll_ctl(pcap->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
            continue;
        close(pcap->epoll_fd);
        pcap->epoll_fd = -1;
        return 0;
    }
    return 0;
}

int record_pcap_open(struct record *record)
{
    struct record_pcap *pcap = &record->pcap;
    uint8_t header[PCAP_FILE_HEADER_SIZE];
    pcap->epoll_fd = -1;
    int error = open_line(record, 0, record->flags.group);
    if (!error && record->flags.group_b)
        error = open_line(record, 1, record->flags.group_b);
    if (error)
        return error;
    error = open_epoll(pcap);
    if (!error)
        error = feed_sink_open(&pcap->sink, record->pcap_path);
    pcap->is_open = !error;
    pcap_write_file_header(header);
    if (!error)
        error = feed_sink_add(&pcap->sink, slice_of(header, sizeof header));
    if (error)
        record_tell("cannot write '%s': %s", record->pcap_path, leat_error_text(error));
    return error;
}

/* ---- Recording ------------------------------------------------------------------------------- */

static int64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

/* The line whose next frame came first, among those that have one; NULL: none has. Times that
 * nobody knows are now. */
static struct record_line *earliest(struct record_pcap *pcap)
{
    struct record_line *found = NULL;
    for (unsigned i = 0; i < LEAT_FEED_LINES_MAX && pcap->lines[i].transport; i++) {
        struct record_line *line = &pcap->lines[i];
        if (line->index == line->count) {
            const int count = feed_receive(line->transport, line->frames, FEED_BURST_MAX);
            line->index = 0;
            line->count = count > 0 ? (unsigned)count : 0;
            for (unsigned k = 0; k < line->count; k++)
                if (line->frames[k].stamp_ns == 0)
                    line->frames[k].stamp_ns = wall_ns();
        }
        if (line->index < line->count &&
            (!found || line->frames[line->index].stamp_ns < found->frames[found->index].stamp_ns))
            found = line;
    }
    return found;
}

static int write_frame(struct record_pcap *pcap, struct record_line *line)
{
    const struct feed_frame *frame = &line->frames[line->index];
    struct pcap_datagram datagram = {
        .time_ns = frame->stamp_ns,
        .is_ipv6 = line->is_ipv6,
        .source = {.address = {127, 0, 0, 1}},
        .destination = line->address,
        .payload = slice_of(frame->data, frame->size),
    };
    bool is_ipv6;
    if (frame->peer)
        set_endpoint(frame->peer, &datagram.source, &is_ipv6);
    const int size = pcap_write_record_header(&datagram, pcap->record);
    ASSERT(size > 0 || size == -ERANGE); /* a clock before 1970 or after 2106 */
    if (size < 0)
        return size;
    /* In one piece: who is cancelled while waiting for room leaves no half of it. */
    memcpy(pcap->record + size, frame->data, frame->size);
    const int error =
        feed_sink_add(&pcap->sink, slice_of(pcap->record, (size_t)size + frame->size));
    if (error)
        return error; /* of a cancel: the frame is still the next one */
    line->index++;
    pcap->packets++;
    pcap->bytes += frame->size;
    return 0;
}

/* 0 when there may be something; -ETIMEDOUT, -ECANCELED, or what the sink has died of. */
static int await_frames(const struct record *record)
{
    const struct record_pcap *pcap = &record->pcap;
    const int64_t look_ns = leat_after_ms(SINK_LOOK_MS);
    if (pcap->sink.error)
        return pcap->sink.error;
    if (record->flags.is_spinning)
        return leat_yield();
    if (pcap->epoll_fd < 0)
        return leat_sleep_until(leat_now_ns() + RING_LOOK_NS);
    struct op op;
    op_init(&op, OP_POLL, pcap->epoll_fd, fiber_op_done);
    op.poll.events = POLLIN;
    const int result =
        fiber_await(&op, look_ns < record->deadline_ns ? look_ns : record->deadline_ns);
    return result < 0 && result != -ETIMEDOUT ? result : 0;
}

static int record_frames(struct record *record)
{
    struct record_pcap *pcap = &record->pcap;
    int error = 0;
    for (unsigned rounds = 1; !error; rounds++) {
        struct record_line *line = earliest(pcap);
        error = line ? write_frame(pcap, line) : await_frames(record);
        if (!error && (!line || rounds % BUSY_ROUNDS == 0)) {
            if (leat_now_ns() >= record->deadline_ns)
                error = -ETIMEDOUT;
            else
                error = leat_yield(); /* a flood must not keep the others from their turn */
        }
    }
    return error;
}

/* What had come when it was to end, and nobody had read yet. */
static int record_rest(struct record_pcap *pcap)
{
    const int64_t end_ns = wall_ns();
    struct record_line *line;
    int error = 0;
    leat_shield_begin(leat_after_ms(CLOSE_MS));
    while (!error && (line = earliest(pcap)) && line->frames[line->index].stamp_ns <= end_ns)
        error = write_frame(pcap, line);
    leat_shield_end();
    return error;
}

void record_pcap_run(void *arg)
{
    struct record *record = arg;
    int error = record_frames(record);
    if (error == -ECANCELED || error == -ETIMEDOUT) {
        const int last = record_rest(&record->pcap);
        error = last ? last : error;
    }
    record->pcap.result = error;
}

int record_pcap_close(struct record *record)
{
    struct record_pcap *pcap = &record->pcap;
    for (unsigned i = 0; i < LEAT_FEED_LINES_MAX && pcap->lines[i].transport; i++) {
        struct feed_transport_stats stats;
        struct feed_transport *transport = pcap->lines[i].transport;
        transport->ops->stats(transport, &stats);
        pcap->dropped += stats.dropped;
        feed_transport_destroy(transport);
    }
    if (pcap->epoll_fd >= 0)
        close(pcap->epoll_fd);
    return pcap->is_open ? feed_sink_close(&pcap->sink, leat_after_ms(CLOSE_MS)) : 0;
}
