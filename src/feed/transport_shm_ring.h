/* SPDX-License-Identifier: MIT */
/*
 * The ring's file: a page of header, then slots. One writes, readers only read; each slot has a
 * sequence lock, and a copy counts only if the lock did not move meanwhile.
 *
 *     sequence of the slot of frame n (from 0):   2n+1 being written   2n+2 whole
 *
 *     | header | slot 0 | slot 1 | ... | slot count-1 |        frame n lies in slot n % count
 *
 * All words are atomic: stored with release and loaded with acquire, those of the frames too. So no
 * fence is needed (ThreadSanitizer knows none), and on x86 they are plain moves. Who has loaded
 * one word of a newer frame finds the lock moved; who has loaded one of a newer generation finds
 * the generation changed.
 *
 * The host's byte order: both ends are on one host.
 */
#ifndef FEED_TRANSPORT_SHM_RING_H
#define FEED_TRANSPORT_SHM_RING_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RING_MAGIC UINT64_C(0x474e49525441454c) /* "LEATRING" */

enum {
    RING_VERSION = 1,
    RING_HEADER_SIZE = 4096,
    RING_SLOT_ALIGNMENT = 64,
    RING_SLOT_COUNT_MIN = 64,
    RING_SLOT_COUNT_MAX = 1 << 20,
};

struct ring_header {
    _Atomic uint64_t magic;
    _Atomic uint32_t version;
    _Atomic uint32_t slot_size;  /* bytes of a frame that fit; 1..LEAT_FEED_PACKET_SIZE_MAX */
    _Atomic uint32_t slot_count; /* a power of two */
    /* Of its publisher: larger each time one begins; 0: it is being made, nothing here holds. */
    _Atomic uint64_t generation;
    /* On a line of its own: frames written in this generation, as of its last burst. */
    _Atomic uint64_t head __attribute__((aligned(RING_SLOT_ALIGNMENT)));
};

struct ring_slot {
    _Atomic uint64_t sequence;
    _Atomic int64_t stamp_ns; /* when it was written, on the wall clock; 0: nobody asked */
    _Atomic uint64_t size;
    _Atomic uint64_t words[];
};

static_assert(sizeof(struct ring_header) <= RING_HEADER_SIZE, "the header is within its page");
static_assert(sizeof(_Atomic uint64_t) == 8, "words are words in both processes");

/* What a header says, once it has been believed. */
struct ring_shape {
    uint32_t slot_size, slot_count;
};

static inline size_t ring_stride(uint32_t slot_size)
{
    const size_t size = sizeof(struct ring_slot) + slot_size;
    return (size + RING_SLOT_ALIGNMENT - 1) / RING_SLOT_ALIGNMENT * RING_SLOT_ALIGNMENT;
}

static inline uint64_t ring_file_size(struct ring_shape shape)
{
    return RING_HEADER_SIZE + (uint64_t)ring_stride(shape.slot_size) * shape.slot_count;
}

static inline struct ring_slot *ring_slot_of(const struct ring_header *header,
                                             struct ring_shape shape, uint64_t frame)
{
    const size_t index = frame & (shape.slot_count - 1);
    return (struct ring_slot *)((uintptr_t)header + RING_HEADER_SIZE +
                                index * ring_stride(shape.slot_size));
}

static inline void ring_store_bytes(struct ring_slot *slot, const uint8_t *data, uint32_t size)
{
    uint64_t word;
    const uint32_t whole = size / sizeof word;
    for (uint32_t index = 0; index < whole; index++) {
        memcpy(&word, data + index * sizeof word, sizeof word);
        atomic_store_explicit(&slot->words[index], word, memory_order_release);
    }
    if (size % sizeof word == 0)
        return;
    word = 0;
    memcpy(&word, data + whole * sizeof word, size % sizeof word);
    atomic_store_explicit(&slot->words[whole], word, memory_order_release);
}

/* `to` has room for whole words, and their alignment. */
static inline void ring_load_bytes(const struct ring_slot *slot, uint64_t *to, uint32_t size)
{
    const uint32_t count = (size + (uint32_t)sizeof *to - 1) / (uint32_t)sizeof *to;
    for (uint32_t index = 0; index < count; index++)
        to[index] = atomic_load_explicit(&slot->words[index], memory_order_acquire);
}

#endif
