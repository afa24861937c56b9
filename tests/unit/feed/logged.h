/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the log share: a folder of their own, a log that is opened and closed, messages
 * whose bytes follow from their sequence, and a reader that wants them all.
 */
#ifndef TESTS_UNIT_FEED_LOGGED_H
#define TESTS_UNIT_FEED_LOGGED_H

#include "../engines.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "feed/log_parts.h"

enum { PACKET_SIZE = 1400, SMALL_SEGMENT = FEED_LOG_SEGMENT_SIZE_MIN, REASON_SIZE = 256 };

struct logged {
    struct leat_loop *loop;
    struct feed_log *log;
    struct feed_log_tail *tail;
    struct feed_log_options options;
    bool is_patient;
    char path[64];
    char reason[REASON_SIZE];
};

/* ---- Messages -------------------------------------------------------------------------------- */

/* 9 to 72 bytes: the sequence, and a pattern of it. */
static inline size_t message_size(uint64_t sequence)
{
    return 9 + sequence * 7 % 64;
}

static inline void write_message(uint8_t *to, uint64_t sequence)
{
    const size_t size = message_size(sequence);
    memcpy(to, &sequence, sizeof sequence);
    for (size_t i = sizeof sequence; i < size; i++)
        to[i] = (uint8_t)(sequence * 31 + i);
}

static inline bool is_message(struct leat_slice message, uint64_t sequence)
{
    uint8_t expected[128];
    write_message(expected, sequence);
    return slice_equal(message, slice_of(expected, message_size(sequence)));
}

/* The record's messages, whole and in sequence. */
static inline void check_record(const struct feed_record *record, uint64_t sequence)
{
    struct mold_packet packet;
    const struct leat_slice bytes = slice_of(record->packet, record->size);
    assert_int_equal(mold_parse(bytes, &packet), MOLD_FINE);
    assert_int_equal(packet.sequence, sequence);
    assert_int_equal(record->sequence, sequence);
    assert_int_equal(packet.count, record->count);
    assert_int_equal(packet.padding, 0);
    const uint8_t *at = (const uint8_t *)packet.blocks.data;
    for (unsigned i = 0; i < packet.count; i++) {
        const size_t size = (size_t)at[0] << 8 | at[1];
        assert_true(is_message(slice_of(at + 2, size), sequence + i));
        at += 2 + size;
    }
}

/* ---- The log --------------------------------------------------------------------------------- */

static inline void init_logged(struct logged *logged, bool has_folder)
{
    *logged =
        (struct logged){.options = {.segment_size = SMALL_SEGMENT, .packet_size = PACKET_SIZE}};
    memcpy(logged->options.session, "SESSION   ", MOLD_SESSION_SIZE);
    logged->loop = make_loop(LEAT_ENGINE_EPOLL);
    if (has_folder) {
        snprintf(logged->path, sizeof logged->path, "/tmp/leat-log-XXXXXX");
        assert_non_null(mkdtemp(logged->path));
        logged->options.path = logged->path;
    }
}

static inline int try_open(struct logged *logged)
{
    const int error = feed_log_open(logged->loop, &logged->options, &logged->log, logged->reason,
                                    sizeof logged->reason);
    assert_true(error == 0 || logged->reason[0]);
    if (!error)
        logged->tail = feed_log_tail(logged->log);
    return error;
}

static inline void must_open(struct logged *logged)
{
    const int error = try_open(logged);
    if (error)
        print_error("%s\n", logged->reason);
    assert_int_equal(error, 0);
}

/* A turn that does something may still wait for more: not for long. */
static inline void turn(struct leat_loop *loop)
{
    assert_true(leat_loop_run_once(loop, loop->now_ns + LEAT_NS_PER_MS) >= 0);
}

static inline void close_log(struct logged *logged)
{
    feed_log_close(logged->log);
    logged->log = NULL;
    while (logged->loop->jobs > 0)
        turn(logged->loop);
}

static inline void empty_folder(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    assert_non_null(directory);
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(directory), entry->d_name, 0), 0);
    closedir(directory);
}

static inline void fini_logged(struct logged *logged)
{
    if (logged->log)
        close_log(logged);
    if (logged->options.path) {
        empty_folder(logged->path);
        assert_int_equal(rmdir(logged->path), 0);
    }
    leat_loop_destroy(logged->loop);
}

static inline void note_ready(void *user)
{
    *(bool *)user = true;
}

/* Begins a record, waiting for the next segment where it must; `is_patient`: whatever the error. */
static inline int begin_record(struct logged *logged)
{
    int error;
    while ((error = feed_log_begin(logged->log, 1)) == -EAGAIN || (error && logged->is_patient)) {
        bool is_ready = false;
        feed_log_on_ready(logged->log, note_ready, &is_ready);
        while (!is_ready)
            turn(logged->loop);
    }
    return error;
}

/* Until no segment is being made. */
static inline void settle(struct logged *logged)
{
    while (logged->log->next.is_queued)
        turn(logged->loop);
}

/* Messages up to, not including, `end`; the last record stays open. Full records but for that. */
static inline void append_until(struct logged *logged, uint64_t end)
{
    struct feed_log_tail *tail = logged->tail;
    while (tail->next_sequence < end) {
        const size_t size = message_size(tail->next_sequence);
        if (tail->at && size + 2 > (size_t)(tail->end - tail->at))
            feed_log_finish_record(logged->log);
        if (!tail->at)
            assert_int_equal(begin_record(logged), 0);
        write_message(tail->at + 2, tail->next_sequence);
        const uint64_t expected = tail->next_sequence;
        assert_int_equal(feed_log_commit(tail, size), expected);
    }
}

static inline void append_closed(struct logged *logged, uint64_t end)
{
    append_until(logged, end);
    feed_log_finish_record(logged->log);
}

/* Reads all from `sequence` on, and expects it to end before `end`. */
static inline void check_from(struct logged *logged, uint64_t sequence, uint64_t end)
{
    struct feed_log_cursor cursor;
    struct feed_record record;
    uint64_t first, last;
    feed_log_range(logged->log, &first, &last);
    assert_int_equal(last + 1, end);
    assert_int_equal(feed_log_hold(logged->log, sequence, &cursor), 0);
    int found = feed_log_find(&cursor, sequence, last + 1, &record);
    if (found == 1)
        sequence = record.sequence;
    for (;;) {
        if (found == 1) {
            check_record(&record, sequence);
            sequence += record.count;
        } else if (found != 2 || feed_log_step(logged->log, &cursor)) {
            break;
        }
        found = feed_log_next(&cursor, last + 1, &record);
    }
    assert_true(found == 0 || found == 2);
    assert_int_equal(sequence, end);
    feed_log_cursor_release(&cursor);
}

/* ---- Its files ------------------------------------------------------------------------------- */

static inline int open_segment(const struct logged *logged, uint64_t number)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%08lu.mold", logged->path, (unsigned long)number);
    return open(path, O_RDWR | O_CLOEXEC);
}

static inline bool has_segment(const struct logged *logged, uint64_t number)
{
    const int fd = open_segment(logged, number);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static inline void read_segment(const struct logged *logged, uint64_t number, size_t offset,
                                void *data, size_t size)
{
    const int fd = open_segment(logged, number);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, data, size, (off_t)offset), size);
    close(fd);
}

static inline void write_segment(const struct logged *logged, uint64_t number, size_t offset,
                                 const void *data, size_t size)
{
    const int fd = open_segment(logged, number);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, size, (off_t)offset), size);
    close(fd);
}

static inline void flip_byte(const struct logged *logged, uint64_t number, size_t offset)
{
    uint8_t byte;
    read_segment(logged, number, offset, &byte, 1);
    byte ^= 0x55;
    write_segment(logged, number, offset, &byte, 1);
}

static inline void set_word(const struct logged *logged, uint64_t number, size_t offset,
                            uint64_t value)
{
    value = htole64(value);
    write_segment(logged, number, offset, &value, sizeof value);
}

#define HEADER_WORD(logged, number, field, value)                                                  \
    set_word(logged, number, offsetof(struct feed_log_header, field), value)

/* As if the host had been down since: the last segment is of another boot. */
static inline void reboot(const struct logged *logged, uint64_t number)
{
    HEADER_WORD(logged, number, boot, 4711);
}

#endif
