/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the MP4 reader share: bytes of the file through one small window, the walk from
 * box to box (ISO/IEC 14496-12, section 4.2), tables that pass by in windows of their own, and the
 * telling of what is wrong. Private to wire/mp4*.c; a reader lives for one mp4_read.
 */
#ifndef WIRE_MP4_READER_H
#define WIRE_MP4_READER_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/cursor.h"
#include "wire/mp4.h"

enum {
    MP4_WINDOW_SIZE = 4096,
    MP4_TABLE_WINDOW_SIZE = 12 * 1024,
};

struct mp4_reader {
    const struct mp4_source *source;
    const struct mp4_events *events;
    struct mp4_problem problem; /* reason "": there is none */
    bool is_quicktime;
    /* It comes bit by bit, and never ends: the source has the box that is being read and nothing
     * else. Where media may lie is not known here. */
    bool is_stream;
    /* A sample has a byte in the file, or an entry in a table: so a file that claims more of them
     * than it has bytes is damaged, and no loop can be longer than the file. Of a stream: as many
     * as a fragment may have. */
    uint64_t samples_left;
    uint64_t window_offset; /* what `window` holds of the file */
    size_t window_size;
    unsigned char window[MP4_WINDOW_SIZE];
};

static inline uint32_t mp4_be32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

static inline uint64_t mp4_be64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

/* Nothing was read, and nothing is wrong. */
void mp4_reader_init(struct mp4_reader *reader, const struct mp4_source *source,
                     const struct mp4_events *events);

/* ---- What is wrong --------------------------------------------------------------------------- */

/* Sets the problem; returns -LEAT_E_MALFORMED, or -LEAT_E_LIMIT. */
__attribute__((cold, format(printf, 3, 4))) int mp4_damaged(struct mp4_reader *reader,
                                                            uint64_t offset, const char *format,
                                                            ...);
__attribute__((cold, format(printf, 3, 4))) int mp4_too_large(struct mp4_reader *reader,
                                                              uint64_t offset, const char *format,
                                                              ...);

/* Is it a damage, rather than an error of the source's or of the caller's? */
bool mp4_is_damage(int error);

/* Takes `count` samples off those that are left; an error when there are not so many. */
int mp4_claim_samples(struct mp4_reader *reader, uint64_t offset, uint32_t count);

/* Four characters for a message; what cannot be printed is '?'. */
struct mp4_name {
    char text[5];
};
struct mp4_name mp4_name_of(uint32_t type);

/* ---- Boxes ----------------------------------------------------------------------------------- */

struct mp4_box {
    uint32_t type; /* 0: there is none */
    uint64_t offset, payload, end;
};

/* May a film begin with it? */
bool mp4_is_known_box(uint32_t type);

/* Bytes of the file, valid until the next call; they must be within it, and fit the window. */
int mp4_bytes(struct mp4_reader *reader, uint64_t offset, size_t size,
              const unsigned char **ret_bytes);

/* The first bytes of a box's payload, at most `size`, valid until the next call. */
int mp4_payload(struct mp4_reader *reader, const struct mp4_box *box, size_t size,
                struct cursor *ret_cursor);

/* The box at `at`, in something that ends at `end`, but it may say that it ends later. 1; 0 where
 * no box can begin any more; -LEAT_E_MALFORMED, with no problem set, when its size is none. */
int mp4_box_at(struct mp4_reader *reader, uint64_t at, uint64_t end, struct mp4_box *ret_box);

typedef int (*mp4_visit_fn)(struct mp4_reader *reader, const struct mp4_box *box, void *user);

/* Calls `visit` for each of the boxes from `at` to the end of `parent`, until one returns not 0,
 * which is returned. A box that ends behind its parent is a damage. */
int mp4_walk(struct mp4_reader *reader, const struct mp4_box *parent, uint64_t at,
             mp4_visit_fn visit, void *user);

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Entries of one size, read once from the first to the last. */
struct mp4_table {
    struct mp4_reader *reader;
    uint64_t offset, left;         /* of the file: what is not yet in the window */
    const unsigned char *at, *end; /* what is left of the window */
    unsigned entry_size;
    int error; /* of the source's; sticky */
    unsigned char window[MP4_TABLE_WINDOW_SIZE];
};

/* `count` entries at `offset`; they must be within the file. */
void mp4_table_init(struct mp4_table *table, struct mp4_reader *reader, uint64_t offset,
                    uint64_t count, unsigned entry_size);
/* For a box of a FullBox's header, a count, and entries; their count. -LEAT_E_MALFORMED when it has
 * no room for them. */
int mp4_table_open(struct mp4_table *table, struct mp4_reader *reader, const struct mp4_box *box,
                   unsigned entry_size, uint32_t *ret_count);
bool mp4_table_refill(struct mp4_table *table);

/* The next entry, valid until the next call; NULL at the end, and on an error. */
static inline const unsigned char *mp4_table_next(struct mp4_table *table)
{
    if (__builtin_expect(table->at == table->end, 0) && !mp4_table_refill(table))
        return NULL;
    const unsigned char *const entry = table->at;
    table->at += table->entry_size;
    return entry;
}

#endif
