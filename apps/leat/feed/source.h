/* SPDX-License-Identifier: MIT */
/*
 * Packets that were kept, in order, with the times they came at: of a capture (source_capture.c) or
 * of a log (source_log.c). They are read ahead in threads of the pool, half by half, so that who
 * replays them is not held up by a disk that keeps up.
 *
 *     source_next: packets of this half ... 0 ──> let go of all of them ──> source_turn
 *                                                         the next half <─────┘ 1   0: the end
 */
#ifndef LEAT_FEED_SOURCE_H
#define LEAT_FEED_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/pcap.h"

struct source {
    const struct source_ops *ops;
    bool has_destinations; /* packets say where they were sent */
    /* What there was besides datagrams; of a log nothing. */
    const struct pcap_counts *counts;
};

struct source_ops {
    /* The next packet, borrowed until source_turn: 1; 0: this half has no more; or an error. */
    int (*next)(struct source *source, struct pcap_datagram *ret_packet);
    /* In a fiber: waits for the next half. 1; 0: there is none; -ECANCELED, or an error. */
    int (*turn)(struct source *source);
    void (*close)(struct source *source);
    /* After an error: what is wrong, in `text`, which it returns. */
    const char *(*reason)(const struct source *source, int error, char *text, size_t size);
};

/* In a fiber: `path` is a file or a folder. 0, or -errno and a line in ret_reason. */
int source_open(const char *path, struct source **ret_source, char *ret_reason, size_t reason_size);

/* Opens what source_open has found out to be one; a capture's owns `fd` from then on. */
int source_capture_open(int fd, struct source **ret_source);
int source_log_open(const char *path, struct source **ret_source, char *ret_reason,
                    size_t reason_size);

static inline int source_next(struct source *source, struct pcap_datagram *ret_packet)
{
    return source->ops->next(source, ret_packet);
}

static inline int source_turn(struct source *source)
{
    return source->ops->turn(source);
}

static inline void source_close(struct source *source)
{
    if (source)
        source->ops->close(source);
}

/* leat_offload, however busy the pool is. 0, -ECANCELED. */
int source_offload(int (*fn)(void *arg), void *arg, int *ret_result);

#endif
