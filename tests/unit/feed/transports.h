/* SPDX-License-Identifier: MIT */
/*
 * What the tests of transports share: two ends that are joined, frames whose bytes say which they
 * are, and patience, for the kernel may take its time.
 */
#ifndef TESTS_UNIT_FEED_TRANSPORTS_H
#define TESTS_UNIT_FEED_TRANSPORTS_H

#include "../engines.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "feed/transport.h"

enum {
    PATIENCE_MS = 5000,
    PACKET_SIZE = 2048, /* unless a test says otherwise */
    /* Of the loopback interface, in every network namespace. */
    LOOPBACK = 1,
};

static inline struct feed_transport_options options_of(const char *address, enum feed_role role)
{
    return (struct feed_transport_options){
        .address = address,
        .role = role,
        .packet_size_max = PACKET_SIZE,
        .socket = {.interface_index = LOOPBACK},
    };
}

static inline struct feed_transport *open_with(struct leat_loop *loop,
                                               const struct feed_transport_options *options)
{
    struct feed_transport *transport;
    char reason[256] = "";
    const int error = feed_transport_open(loop, options, &transport, reason, sizeof reason);
    if (error)
        fail_msg("%s: %s (%s)", options->address, leat_error_text(error), reason);
    return transport;
}

static inline struct feed_transport *open_as(struct leat_loop *loop, const char *address,
                                             enum feed_role role)
{
    const struct feed_transport_options options = options_of(address, role);
    return open_with(loop, &options);
}

static inline char *text_of(const struct feed_transport *transport, char *text)
{
    struct leat_address address;
    assert_int_equal(feed_transport_address(transport, &address), 0);
    return leat_address_format(&address, text);
}

static inline struct feed_transport_stats stats_of(struct feed_transport *transport)
{
    struct feed_transport_stats stats;
    transport->ops->stats(transport, &stats);
    return stats;
}

static inline void rest(void)
{
    const struct timespec moment = {.tv_nsec = 100 * 1000};
    nanosleep(&moment, NULL);
}

static inline int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

/* The bytes of frame `number`: other ones for each, and at each place. */
static inline uint8_t byte_of(uint64_t number, size_t index)
{
    return (uint8_t)(random_mix(number) >> (index % 8 * 8)) ^ (uint8_t)(index / 8);
}

static inline void fill(uint8_t *data, uint64_t number, size_t size)
{
    for (size_t index = 0; index < size; index++)
        data[index] = byte_of(number, index);
}

static inline bool is_frame(const struct feed_frame *frame, uint64_t number, size_t size)
{
    if (frame->size != size)
        return false;
    for (size_t index = 0; index < size; index++)
        if (frame->data[index] != byte_of(number, index))
            return false;
    return true;
}

/* A burst that owns its memory. The sizes are set first. */
struct burst {
    unsigned count;
    uint32_t sizes[FEED_BURST_MAX];
    struct feed_frame frames[FEED_BURST_MAX];
    uint8_t *data;
};

static inline void burst_fill(struct burst *burst, uint64_t first_number)
{
    size_t size = 0;
    for (unsigned index = 0; index < burst->count; index++)
        size += burst->sizes[index] + 3; /* they do not lie side by side, nor aligned */
    burst->data = malloc(size);
    assert_non_null(burst->data);
    uint8_t *at = burst->data;
    for (unsigned index = 0; index < burst->count; index++) {
        fill(at, first_number + index, burst->sizes[index]);
        burst->frames[index] = (struct feed_frame){.data = at, .size = burst->sizes[index]};
        at += burst->sizes[index] + 3;
    }
}

/* All of it, however busy the transport is. */
static inline void send_all(struct feed_transport *transport, const struct feed_frame *frames,
                            unsigned count)
{
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    for (unsigned sent = 0; sent < count;) {
        const int taken = feed_send(transport, frames + sent, count - sent);
        if (taken == -EAGAIN)
            rest();
        else
            assert_in_range(taken, 1, count - sent);
        sent += taken > 0 ? (unsigned)taken : 0;
        assert_true(clock_ms() < until_ms);
    }
}

/* As soon as there are some. */
static inline unsigned receive_soon(struct feed_transport *transport, struct feed_frame *frames,
                                    unsigned count)
{
    const int64_t until_ms = clock_ms() + PATIENCE_MS;
    int received;
    while ((received = feed_receive(transport, frames, count)) == -EAGAIN) {
        rest();
        if (clock_ms() >= until_ms)
            fail_msg("nothing came");
    }
    assert_in_range(received, 1, count);
    return (unsigned)received;
}

static inline void assert_silence(struct feed_transport *transport)
{
    struct feed_frame frame;
    for (unsigned tries = 0; tries < 20; tries++) {
        assert_int_equal(feed_receive(transport, &frame, 1), -EAGAIN);
        rest();
    }
}

/* The burst arrives in order, up to `at_once` a call. */
static inline void expect_burst(struct feed_transport *transport, const struct burst *burst,
                                uint64_t first_number, unsigned at_once)
{
    struct feed_frame frames[FEED_BURST_MAX];
    for (unsigned seen = 0; seen < burst->count;) {
        const unsigned left = burst->count - seen;
        const unsigned received = receive_soon(transport, frames, left < at_once ? left : at_once);
        for (unsigned index = 0; index < received; index++, seen++)
            if (!is_frame(&frames[index], first_number + seen, burst->sizes[seen]))
                fail_msg("frame %u of %u (%u bytes) is another one (%u bytes)", seen, burst->count,
                         burst->sizes[seen], frames[index].size);
    }
}

static inline void carry(struct feed_transport *from, struct feed_transport *to,
                         struct burst *burst, uint64_t first_number, unsigned at_once)
{
    burst_fill(burst, first_number);
    send_all(from, burst->frames, burst->count);
    expect_burst(to, burst, first_number, at_once);
    free(burst->data);
}

/* One frame of `size` bytes, by its number. */
static inline void send_number(struct feed_transport *transport, uint64_t number, uint32_t size)
{
    struct burst burst = {.count = 1, .sizes = {size}};
    burst_fill(&burst, number);
    send_all(transport, burst.frames, 1);
    free(burst.data);
}

static inline void expect_number(struct feed_transport *transport, uint64_t number, uint32_t size)
{
    struct feed_frame frame;
    receive_soon(transport, &frame, 1);
    if (!is_frame(&frame, number, size))
        fail_msg("frame %d did not come, but another one (%u bytes)", (int)number, frame.size);
}

/* ---- Rings ----------------------------------------------------------------------------------- */

/* "shm:/dev/shm/..." of this process alone, and no file there yet. */
static inline char *ring_address(char *text, size_t size, const char *name)
{
    snprintf(text, size, "shm:/dev/shm/leat-test-%d-%s", (int)getpid(), name);
    unlink(text + 4);
    return text;
}

static inline const char *ring_path(const char *address)
{
    return address + 4;
}

#endif
