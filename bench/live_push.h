/* SPDX-License-Identifier: MIT */
/*
 * A camera that is none: a recorded film of fragmented MP4, pushed as ffmpeg pushes a camera's, one
 * endless PUT, each fragment at the moment at which its last picture would have been taken. It
 * remembers when it handed each to the kernel. All times are of CLOCK_REALTIME, as the kernel's
 * timestamps of what arrives are.
 */
#ifndef LEAT_BENCH_LIVE_PUSH_H
#define LEAT_BENCH_LIVE_PUSH_H

#include <stdbool.h>

#include "common.h"

struct push_fragment {
    char *chunk; /* as it goes over the wire, with the size in front */
    size_t chunk_size;
    size_t size;       /* of the fragment */
    uint64_t begin_ns; /* in the film, of its pictures */
    uint64_t duration_ns;
    /* Just before the call that gave its last byte to the kernel; 0: not yet. */
    uint64_t sent_ns;
};

struct push {
    int fd;
    struct push_fragment *fragments; /* the first, of no duration, is what is before them all */
    unsigned count;
    unsigned next;
    size_t done; /* of the next one's chunk */
    uint64_t begin_ns;
    uint64_t late_ns; /* the most that one was sent after its time */
    uint64_t bytes;   /* of fragments that were sent */
};

/* Reads the film; gives up where it is none. */
void push_read(struct push *push, const char *path);
/* Begins to publish; the connection does not block from then on. */
void push_begin(struct push *push, const struct sockaddr_in *address, const char *host,
                const char *name);
/* When the next fragment is to go; UINT64_MAX: there is none left. */
uint64_t push_due_ns(const struct push *push);
/* Sends what is due. True: the socket has no room. */
bool push_turn(struct push *push);
/* The server is not to say anything before the end: what it says is why it gives up. */
__attribute__((noreturn)) void push_was_answered(struct push *push);

#endif
