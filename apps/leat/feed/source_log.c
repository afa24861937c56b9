/* SPDX-License-Identifier: MIT */
/*
 * The packets of a log, read only: what was closed when it was opened. A half is a number of
 * records, of one segment, which it holds; a job looks them up and touches their pages, for they
 * may be on the disk alone. Heartbeats are not in a log, nor is the end of the session: of one that
 * has ended, that is told once, last.
 */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/slice.h"
#include "leat/feed.h"
#include "feed/log.h"
#include "leat/error.h"
#include "leat/fiber.h"

enum { HALF_RECORDS = 2048, HALVES = 2, PAGE = 4096 };

struct half {
    struct feed_log_cursor cursor; /* behind its records; holds their segment */
    bool is_held;
    unsigned count, index;
    struct feed_record records[HALF_RECORDS];
};

struct log_source {
    struct source base;
    struct feed_log *log;
    uint64_t next_sequence, end_sequence; /* of the records to look up; behind the last one */
    struct half halves[HALVES];
    unsigned current;
    struct leat_scope reading; /* a fiber fills the half that is not current */
    int result;                /* of that: 0 or -errno */
    uint8_t session[MOLD_SESSION_SIZE];
    int64_t last_ns; /* of the last packet, and of the end */
    uint8_t end[MOLD_HEADER_SIZE];
    bool has_ended;
    struct pcap_counts counts;
};

static struct log_source *log_of(const struct source *source)
{
    return CONTAINER_OF(source, struct log_source, base);
}

/* ---- Looking up ------------------------------------------------------------------------------ */

static void touch(const struct feed_record *record)
{
    for (size_t at = 0; at < record->size; at += PAGE)
        (void)*(const volatile uint8_t *)(record->packet + at);
}

/* In the pool. 0, or an error. */
static int look_up(void *arg)
{
    struct log_source *source = arg;
    struct half *half = &source->halves[1 - source->current];
    struct feed_record record;
    int result = feed_log_find(&half->cursor, source->next_sequence, source->end_sequence, &record);
    while (result == 1) {
        touch(&record);
        half->records[half->count++] = record;
        source->next_sequence = record.sequence + record.count;
        if (half->count == HALF_RECORDS)
            break;
        result = feed_log_next(&half->cursor, source->end_sequence, &record);
    }
    return result < 0 ? result : 0;
}

static void read_ahead(void *arg)
{
    struct log_source *source = arg;
    int result;
    const int error = source_offload(look_up, source, &result);
    source->result = error ? error : result;
}

/* The other half holds the segment of the next record, and its records are looked up; from where
 * this half has ended, when that is in the same one. */
static int start_reading(struct log_source *source)
{
    static const struct leat_fiber_options options = {.name = "read ahead"};
    const struct half *current = &source->halves[source->current];
    struct half *half = &source->halves[1 - source->current];
    ASSERT(!half->is_held);
    half->count = half->index = 0;
    source->result = 0;
    if (source->next_sequence >= source->end_sequence)
        return 0;
    const int error = feed_log_hold(source->log, source->next_sequence, &half->cursor);
    if (error)
        return error;
    half->is_held = true;
    if (current->is_held && current->cursor.segment == half->cursor.segment)
        half->cursor.offset = current->cursor.offset;
    return leat_spawn(&source->reading, read_ahead, source, &options);
}

static void let_go(struct half *half)
{
    if (half->is_held)
        feed_log_cursor_release(&half->cursor);
    half->is_held = false;
}

static int log_next(struct source *base, struct pcap_datagram *ret_packet)
{
    struct log_source *source = log_of(base);
    struct half *half = &source->halves[source->current];
    if (half->index == half->count)
        return 0;
    const struct feed_record *record = &half->records[half->index++];
    *ret_packet = (struct pcap_datagram){
        .time_ns = record->time_ns,
        .payload = slice_of(record->packet, record->size),
    };
    memcpy(source->session, record->packet, MOLD_SESSION_SIZE);
    source->last_ns = record->time_ns;
    source->counts.packets++;
    source->counts.datagrams++;
    return 1;
}

/* Behind the last record: the end of the session, if it has ended and there was one. */
static int turn_to_end(struct log_source *source)
{
    struct half *half = &source->halves[source->current];
    if (source->next_sequence < source->end_sequence)
        return -EBADMSG;
    if (source->has_ended || source->counts.packets == 0 || !feed_log_is_ended(source->log))
        return 0;
    source->has_ended = true;
    mold_write_header(source->end, source->session, source->end_sequence, MOLD_END_OF_SESSION);
    half->index = 0;
    half->count = 1;
    half->records[0] = (struct feed_record){
        .packet = source->end,
        .size = MOLD_HEADER_SIZE,
        .time_ns = source->last_ns,
    };
    return 1;
}

static int log_turn(struct source *base)
{
    struct log_source *source = log_of(base);
    int error = leat_scope_join(&source->reading, LEAT_FOREVER);
    if (error)
        return error;
    if (source->result < 0)
        return source->result;
    if (source->halves[1 - source->current].count == 0)
        return turn_to_end(source);
    let_go(&source->halves[source->current]);
    source->current = 1 - source->current;
    error = start_reading(source);
    return error ? error : 1;
}

static const char *log_reason(const struct source *base, int error, char *text, size_t size)
{
    const struct log_source *source = log_of(base);
    const unsigned long sequence = (unsigned long)source->next_sequence;
    snprintf(text, size, "at message %lu: %s", sequence, leat_error_text(error));
    return text;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int close_now(void *arg)
{
    feed_log_close(arg);
    return 0;
}

static void log_close(struct source *base)
{
    struct log_source *source = log_of(base);
    int result;
    leat_scope_fini(&source->reading);
    for (unsigned i = 0; i < HALVES; i++)
        let_go(&source->halves[i]);
    leat_shield_begin(LEAT_FOREVER);
    if (source->log && source_offload(close_now, source->log, &result) != 0)
        feed_log_close(source->log);
    leat_shield_end();
    free(source);
}

static const struct source_ops log_ops = {
    .next = log_next,
    .turn = log_turn,
    .close = log_close,
    .reason = log_reason,
};

struct opening {
    struct leat_loop *loop;
    struct feed_log_options options;
    struct feed_log *log;
    char *reason;
    size_t reason_size;
};

static int open_now(void *arg)
{
    struct opening *opening = arg;
    return feed_log_open(opening->loop, &opening->options, &opening->log, opening->reason,
                         opening->reason_size);
}

int source_log_open(const char *path, struct source **ret_source, char *ret_reason,
                    size_t reason_size)
{
    struct opening opening = {
        .loop = leat_loop_current(),
        .options = {.path = path, .packet_size = LEAT_FEED_PACKET_SIZE_MAX, .is_read_only = true},
        .reason = ret_reason,
        .reason_size = reason_size,
    };
    struct log_source *source = calloc(1, sizeof *source);
    if (!source) {
        snprintf(ret_reason, reason_size, "%s", leat_error_text(-ENOMEM));
        return -ENOMEM;
    }
    source->base = (struct source){.ops = &log_ops, .counts = &source->counts};
    leat_scope_init(&source->reading);
    int result;
    int error = source_offload(open_now, &opening, &result);
    if (!error)
        error = result;
    if (error)
        goto fail;
    source->log = opening.log;
    uint64_t last;
    feed_log_range(source->log, &source->next_sequence, &last);
    source->end_sequence = last + 1;
    error = start_reading(source);
    if (error) {
        snprintf(ret_reason, reason_size, "cannot read '%s': %s", path, leat_error_text(error));
        goto fail;
    }
    *ret_source = &source->base;
    return 0;
fail:
    log_close(&source->base);
    return error;
}
