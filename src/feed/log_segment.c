/* SPDX-License-Identifier: MIT */
/*
 * See log_parts.h: a segment's file, its mapping, its header, its index, and what a record is.
 * Files are made under another name and get theirs when they are whole; a recycled one is emptied
 * of its claims (first_sequence, the first word) before anything else is written to it. So a kill
 * between two instructions leaves a segment as it was, or one that nobody takes for anything.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "feed/log_parts.h"

void feed_segment_name(uint64_t number, char ret_name[FEED_LOG_NAME_SIZE])
{
    const int size = snprintf(ret_name, FEED_LOG_NAME_SIZE, "%08" PRIu64 ".mold", number);
    ASSERT(size > 0 && size < FEED_LOG_NAME_SIZE);
}

/* ---- Records --------------------------------------------------------------------------------- */

uint32_t feed_record_sum(uint32_t epoch, const uint8_t *data, size_t bytes)
{
    const size_t begin = sizeof(uint64_t); /* behind the word: time, packet */
    const uint32_t sum =
        crc32c(epoch, data + begin, FEED_LOG_PREFIX_SIZE - begin + MOLD_HEADER_SIZE + bytes);
    return sum ? sum : 1;
}

enum feed_record_state feed_record_look(const struct feed_segment *segment, size_t offset,
                                        struct feed_record *ret_record)
{
    DEBUG_ASSERT(offset % 8 == 0 && offset >= FEED_LOG_HEADER_SIZE);
    if (offset + feed_record_size(0) > segment->size)
        return FEED_RECORD_NONE;
    const uint8_t *const data = segment->data + offset;
    const uint64_t word = feed_word_load(data);
    if (word == 0)
        return FEED_RECORD_NONE;
    const size_t bytes = word >> 32 & 0xFFFF;
    const uint16_t count = (uint16_t)(word >> 48);
    if (count == 0 || count > MOLD_COUNT_MAX || bytes < 2u * count ||
        feed_record_size(bytes) > segment->size - offset)
        return FEED_RECORD_BAD;
    uint64_t sequence;
    int64_t time_ns;
    memcpy(&time_ns, data + sizeof word, sizeof time_ns);
    memcpy(&sequence, data + FEED_LOG_PREFIX_SIZE + MOLD_SESSION_SIZE, sizeof sequence);
    *ret_record = (struct feed_record){.packet = data + FEED_LOG_PREFIX_SIZE,
                                       .size = (uint32_t)(MOLD_HEADER_SIZE + bytes),
                                       .count = count,
                                       .sequence = be64toh(sequence),
                                       .time_ns = (int64_t)le64toh((uint64_t)time_ns)};
    return (uint32_t)word ? FEED_RECORD_CLOSED : FEED_RECORD_OPEN;
}

bool feed_record_is_whole(const struct feed_segment *segment, const struct feed_record *record)
{
    const uint8_t *const data = record->packet - FEED_LOG_PREFIX_SIZE;
    const size_t bytes = record->size - MOLD_HEADER_SIZE;
    if ((uint32_t)feed_word_load(data) != feed_record_sum(segment->epoch, data, bytes))
        return false;
    uint16_t count;
    size_t size;
    memcpy(&count, record->packet + MOLD_HEADER_SIZE - sizeof count, sizeof count);
    const struct leat_slice blocks = slice_of(record->packet + MOLD_HEADER_SIZE, bytes);
    return be16toh(count) == record->count &&
           mold_blocks_check(blocks, record->count, &size) == record->count && size == bytes;
}

size_t feed_record_close(struct feed_segment *segment, size_t offset, size_t bytes, uint16_t count)
{
    uint8_t *const data = segment->data + offset;
    const size_t behind = offset + feed_record_size(bytes);
    const uint16_t wire_count = htobe16(count);
    ASSERT(count > 0 && behind <= segment->size);
    memcpy(data + FEED_LOG_PREFIX_SIZE + MOLD_HEADER_SIZE - sizeof wire_count, &wire_count,
           sizeof wire_count);
    if (behind + sizeof(uint64_t) <= segment->size)
        feed_word_store(segment->data + behind, 0);
    const uint64_t sum = feed_record_sum(segment->epoch, data, bytes);
    feed_word_store(data, sum | (uint64_t)bytes << 32 | (uint64_t)count << 48);
    return behind;
}

/* ---- The index ------------------------------------------------------------------------------- */

static size_t index_size(size_t segment_size)
{
    return segment_size / FEED_LOG_INDEX_STEP + 1;
}

void feed_segment_index(struct feed_segment *segment, uint64_t sequence, uint64_t offset)
{
    const uint32_t count = atomic_load_explicit(&segment->index_count, memory_order_relaxed);
    ASSERT(count < index_size(segment->size));
    segment->index[count] = (struct feed_index_entry){.sequence = sequence, .offset = offset};
    atomic_store_explicit(&segment->index_count, count + 1, memory_order_release);
}

/* ---- Its life -------------------------------------------------------------------------------- */

struct feed_segment *feed_segment_alloc(size_t size)
{
    struct feed_segment *segment =
        calloc(1, sizeof *segment + index_size(size) * sizeof segment->index[0]);
    if (segment)
        segment->size = size;
    return segment;
}

void feed_segment_free(const struct backend_sys *sys, struct feed_segment *segment)
{
    if (!segment)
        return;
    ASSERT(atomic_load_explicit(&segment->holders, memory_order_acquire) == 0);
    if (segment->data)
        sys->unmap(sys, segment->data, segment->size);
    free(segment);
}

static uint32_t header_sum(const struct feed_log_header *header)
{
    return crc32c(0, header, offsetof(struct feed_log_header, sum));
}

bool feed_log_header_is_whole(const struct feed_log_header *header)
{
    return memcmp(header->magic, FEED_LOG_MAGIC, sizeof header->magic) == 0 &&
           le32toh(header->version) == FEED_LOG_VERSION &&
           le32toh(header->sum) == header_sum(header);
}

/* A life begins. The epoch is one that nobody can know beforehand, so that no message can be made
 * to look like a record of a later life. */
static void write_header(struct feed_log *log, const struct backend_sys *sys,
                         struct feed_log_header *header, uint64_t number)
{
    const int64_t now_ns = sys->wall_ns(sys);
    feed_word_store(&header->first_sequence, 0);
    feed_word_store((uint8_t *)header + FEED_LOG_HEADER_SIZE, 0);
    atomic_signal_fence(memory_order_seq_cst);
    memcpy(header->magic, FEED_LOG_MAGIC, sizeof header->magic);
    header->version = htole32(FEED_LOG_VERSION);
    header->epoch = htole32((uint32_t)random_mix(number ^ random_mix((uint64_t)now_ns)));
    header->number = htole64(number);
    header->segment_size = htole64(log->segment_size);
    header->created_ns = (int64_t)htole64((uint64_t)now_ns);
    memcpy(header->session, log->session, sizeof header->session);
    memset(header->unused, 0, sizeof header->unused);
    header->end_sequence = header->synced_sequence = 0;
    header->boot = htole64(log->boot);
    header->flags = htole64(log->is_durable ? FEED_LOG_IS_DURABLE : 0);
    header->sum = htole32(header_sum(header));
}

static void read_header(struct feed_segment *segment)
{
    const struct feed_log_header *header = feed_segment_header(segment);
    segment->number = le64toh(header->number);
    segment->epoch = le32toh(header->epoch);
    segment->first_sequence = 0;
    atomic_store_explicit(&segment->end_sequence, 0, memory_order_relaxed);
    atomic_store_explicit(&segment->end_offset, 0, memory_order_relaxed);
    atomic_store_explicit(&segment->index_count, 0, memory_order_relaxed);
    segment->is_trusted = true;
}

int feed_segment_sync(struct feed_log *log, const struct backend_sys *sys,
                      const struct feed_segment *segment, bool *ret_is_lost)
{
    char name[FEED_LOG_NAME_SIZE];
    feed_segment_name(segment->name, name);
    const int fd = sys->open(sys, log->directory_fd, name, BACKEND_OPEN_BENEATH);
    if (fd < 0)
        return fd;
    const int error = sys->sync(sys, fd);
    if (error && ret_is_lost)
        *ret_is_lost = true;
    sys->close(sys, fd);
    return error;
}

static int make_in_memory(struct feed_log *log, const struct backend_sys *sys,
                          struct feed_segment *segment, uint64_t number)
{
    void *data;
    const int error = sys->map_shared(sys, -1, segment->size, true, &data);
    if (error)
        return error;
    segment->data = data;
    write_header(log, sys, feed_segment_header(segment), number);
    return 0;
}

/* The header is on the disk before the name is: a segment with a name always has one. Before its
 * pages are touched, too, for they would all be written. */
static int make_file(struct feed_log *log, const struct backend_sys *sys,
                     struct feed_segment *segment, uint64_t number)
{
    char name[FEED_LOG_NAME_SIZE];
    void *data = NULL;
    const int fd = sys->open_write(sys, log->directory_fd, FEED_LOG_NEW_NAME, true);
    if (fd < 0)
        return fd;
    int error = sys->allocate(sys, fd, segment->size);
    if (!error)
        error = sys->map_shared(sys, fd, segment->size, true, &data);
    if (!error) {
        segment->data = data;
        write_header(log, sys, feed_segment_header(segment), number);
        error = sys->sync(sys, fd);
    }
    sys->close(sys, fd);
    feed_segment_name(number, name);
    if (!error)
        error = sys->rename(sys, log->directory_fd, FEED_LOG_NEW_NAME, name, true);
    if (!error)
        error = sys->sync(sys, log->directory_fd);
    if (error)
        (void)sys->remove(sys, log->directory_fd, FEED_LOG_NEW_NAME, false);
    return error;
}

int feed_segment_make(struct feed_log *log, const struct backend_sys *sys, uint64_t number,
                      struct feed_segment **ret_segment)
{
    struct feed_segment *segment = feed_segment_alloc(log->segment_size);
    if (!segment)
        return -ENOMEM;
    int error = log->directory_fd < 0 ? make_in_memory(log, sys, segment, number)
                                      : make_file(log, sys, segment, number);
    if (!error)
        error = feed_log_touch(sys, segment->data, segment->size, true);
    if (error) {
        feed_segment_free(sys, segment);
        return error;
    }
    read_header(segment);
    segment->name = number;
    *ret_segment = segment;
    return 0;
}

/* Another life, under the same name for now. That the last one is over is on the disk before its
 * first record is gone, or a power cut could leave a segment that claims to have what it lacks. */
static int begin_life(struct feed_log *log, const struct backend_sys *sys,
                      struct feed_segment *segment, uint64_t number)
{
    struct feed_log_header *header = feed_segment_header(segment);
    const bool is_durable_file = log->directory_fd >= 0 && log->is_durable;
    int error = 0;
    feed_word_store(&header->first_sequence, 0);
    if (is_durable_file)
        error = feed_segment_sync(log, sys, segment, NULL);
    if (error)
        return error;
    write_header(log, sys, header, number);
    read_header(segment);
    return is_durable_file ? feed_segment_sync(log, sys, segment, NULL) : 0;
}

int feed_segment_recycle(struct feed_log *log, const struct backend_sys *sys,
                         struct feed_segment *segment, uint64_t number)
{
    ASSERT(atomic_load_explicit(&segment->holders, memory_order_acquire) == 0);
    char from[FEED_LOG_NAME_SIZE], to[FEED_LOG_NAME_SIZE];
    int error = begin_life(log, sys, segment, number);
    if (!error && log->directory_fd >= 0 && segment->name != number) {
        feed_segment_name(segment->name, from);
        feed_segment_name(number, to);
        error = sys->rename(sys, log->directory_fd, from, to, true);
        if (!error)
            segment->name = number;
    }
    if (!error && log->directory_fd >= 0 && log->is_durable)
        error = sys->sync(sys, log->directory_fd);
    return error ? error : feed_log_touch(sys, segment->data, segment->size, true);
}

int feed_segment_drop(struct feed_log *log, const struct backend_sys *sys,
                      struct feed_segment *segment)
{
    char name[FEED_LOG_NAME_SIZE];
    feed_segment_name(segment->name, name);
    int error = 0;
    if (log->directory_fd >= 0) {
        error = sys->remove(sys, log->directory_fd, name, false);
        error = !error || error == -ENOENT ? sys->sync(sys, log->directory_fd) : error;
    }
    if (error)
        return error;
    feed_segment_free(sys, segment);
    return 0;
}
