/* SPDX-License-Identifier: MIT */
/*
 * Packets, tables, PES packets (sections of ISO/IEC 13818-1: 2.4.3.2, 2.4.4, 2.4.3.6). What is in
 * them is mpegts_es.c's. Packets are read where they lie; only one that is cut by the end of the
 * input is put together first.
 */
#include "wire/mpegts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "leat/error.h"
#include "wire/mpegts_es.h"

enum {
    SYNC_BYTE = 0x47,
    PID_PAT = 0,
    PID_NULL = 0x1fff, /* stuffing; no stream has it, so it stands for "none", too */
    SECTION_HEAD_SIZE = 3,
    SECTION_MAX = 1024, /* of a PAT or PMT: section_length is at most 1021 */
    TIME_BITS = 33,
    PES_FIXED_SIZE = 9, /* up to PES_header_data_length */
    PES_HEAD_MAX = PES_FIXED_SIZE + UINT8_MAX,
};

/* Times are told from here to there; beyond, where only a stream made for it comes (one jump of 13
 * hours after the other), they begin anew. */
static const int64_t TIME_MAX = INT64_MAX / 1024;

/* Has a packet of a PID been lost? */
struct continuity {
    bool is_known, was_repeated;
    uint8_t last;
};

struct section {
    struct continuity continuity;
    bool is_open; /* a section's beginning was seen */
    size_t size;
    unsigned char data[SECTION_MAX];
};

struct stream {
    uint16_t pid; /* PID_NULL: not in the program */
    struct continuity continuity;
    enum {
        STREAM_BETWEEN, /* the PES packet is whole, or of no use: until the next begins */
        STREAM_IN_HEAD,
        STREAM_IN_BODY,
    } state;
    bool is_bounded; /* the PES packet says how long it is */
    size_t left;     /* then: of its body */
    size_t head_size;
    unsigned char head[PES_HEAD_MAX];
    struct mpegts_es es;
};

struct mpegts {
    struct mpegts_teller teller;
    int error; /* sticky */
    uint64_t offset;
    unsigned char partial[MPEGTS_PACKET_SIZE]; /* the beginning of a packet */
    size_t partial_size;
    struct section pat, pmt;
    uint16_t program, pmt_pid;
    bool has_time;
    int64_t last_time; /* the one others are unfolded by */
    struct stream streams[MPEGTS_STREAMS_MAX];
};

int mpegts_create(const struct media_events *events, struct mpegts **ret_ts)
{
    ASSERT(events->on_track && events->on_sample);
    struct mpegts *const ts = calloc(1, sizeof(*ts));
    if (!ts)
        return -ENOMEM;
    ts->teller.events = *events;
    ts->pmt_pid = PID_NULL;
    for (unsigned i = 0; i < MPEGTS_STREAMS_MAX; i++) {
        ts->streams[i].pid = PID_NULL;
        ts->streams[i].es.index = -1;
    }
    *ret_ts = ts;
    return 0;
}

void mpegts_destroy(struct mpegts *ts)
{
    if (!ts)
        return;
    for (unsigned i = 0; i < MPEGTS_STREAMS_MAX; i++)
        mpegts_es_fini(&ts->streams[i].es);
    text_fini(&ts->teller.sample);
    free(ts);
}

const char *mpegts_reason(const struct mpegts *ts)
{
    return ts->teller.reason;
}

/* ---- Packets --------------------------------------------------------------------------------- */

struct packet {
    uint16_t pid;
    bool begins_unit; /* payload_unit_start_indicator */
    bool is_scrambled;
    bool is_discontinuous;
    uint8_t counter;
    struct leat_slice payload; /* empty: it has none */
};

/* False when it is damaged, and nothing in it can be told. */
static bool read_packet(struct leat_slice bytes, struct packet *ret_packet)
{
    enum { HAS_ADAPTATION = 2, HAS_PAYLOAD = 1 };
    struct cursor cursor = cursor_over(bytes);
    cursor_skip(&cursor, 1);
    const uint16_t word = cursor_u16be(&cursor);
    const uint8_t flags = cursor_u8(&cursor), control = flags >> 4 & 3;
    const bool is_damaged = word & 0x8000; /* transport_error_indicator */
    struct packet packet = {
        .pid = word & 0x1fff,
        .begins_unit = word & 0x4000,
        .is_scrambled = flags >> 6 != 0,
        .counter = flags & 15,
    };
    if (control & HAS_ADAPTATION) {
        struct cursor adaptation = cursor_within(&cursor, cursor_u8(&cursor));
        packet.is_discontinuous = adaptation.size > 0 && (cursor_u8(&adaptation) & 0x80);
    }
    if (control & HAS_PAYLOAD)
        packet.payload = cursor_bytes(&cursor, cursor_left(&cursor));
    *ret_packet = packet;
    return !cursor.failed && !is_damaged && control != 0;
}

enum arrival {
    ARRIVAL_NEXT,
    ARRIVAL_REPEATED, /* section 2.4.3.3: a packet may be sent twice */
    ARRIVAL_AFTER_LOSS,
};

static enum arrival continuity_check(struct continuity *continuity, const struct packet *packet)
{
    const struct continuity before = *continuity;
    const uint8_t expected = (before.last + 1) & 15;
    ASSERT(packet->payload.size > 0 && packet->counter < 16);
    *continuity = (struct continuity){.is_known = true, .last = packet->counter};
    if (!before.is_known || packet->is_discontinuous || packet->counter == expected)
        return ARRIVAL_NEXT;
    if (packet->counter != before.last || before.was_repeated)
        return ARRIVAL_AFTER_LOSS;
    continuity->was_repeated = true;
    return ARRIVAL_REPEATED;
}

/* ---- PES packets ----------------------------------------------------------------------------- */

/* What comes next does not continue what came: because packets are missing, or as it should be. */
static int stream_break(struct stream *stream, struct mpegts *ts, bool is_loss)
{
    /* What does not say how long it is may have ended before the loss, or not. */
    const bool is_cut = stream->state == STREAM_IN_BODY && (stream->is_bounded || is_loss);
    stream->state = STREAM_BETWEEN;
    if (!is_cut)
        return mpegts_es_finish(&stream->es, &ts->teller);
    mpegts_es_drop(&stream->es);
    return 0;
}

/* A difference of times that are known but for whole turns of their 33 bits: the smallest. */
static int64_t nearest(int64_t delta)
{
    const int64_t turn = INT64_C(1) << TIME_BITS;
    delta %= turn;
    if (delta >= turn / 2)
        return delta - turn;
    return delta < -turn / 2 ? delta + turn : delta;
}

/* Where a time of 33 bits is on the line of all times: as near as can be to the last one. */
static int64_t unfold(struct mpegts *ts, uint64_t time)
{
    ASSERT(time >> TIME_BITS == 0);
    if (!ts->has_time || ts->last_time > TIME_MAX || ts->last_time < -TIME_MAX)
        ts->last_time = (int64_t)time;
    ts->has_time = true;
    ts->last_time += nearest((int64_t)time - ts->last_time);
    return ts->last_time;
}

/* PTS or DTS: 33 bits in five bytes, with a bit of 1 behind each part. */
static uint64_t read_time(struct cursor *cursor, bool *ret_is_damaged)
{
    const uint64_t high = cursor_u8(cursor), middle = cursor_u16be(cursor),
                   low = cursor_u16be(cursor);
    *ret_is_damaged |= !(high & middle & low & 1);
    return (high >> 1 & 7) << 30 | middle >> 1 << 15 | low >> 1;
}

/* The optional part of a PES packet's head (section 2.4.3.7), up to its times. 0, negative when it
 * is none, or an error. */
static int read_times(struct mpegts *ts, struct cursor *cursor, struct mpegts_time *ret_time)
{
    enum { HAS_PTS = 2, HAS_DTS = 1 };
    const uint8_t first = cursor_u8(cursor), second = cursor_u8(cursor), present = second >> 6;
    struct cursor rest = cursor_within(cursor, cursor_u8(cursor));
    bool is_damaged = first >> 6 != 2 || present == HAS_DTS;
    if (is_damaged || first & 0x30)
        return is_damaged ? -LEAT_E_MALFORMED : -EOPNOTSUPP;
    if (!(present & HAS_PTS)) {
        *ret_time = (struct mpegts_time){.is_known = false};
        return 0;
    }
    const uint64_t pts = read_time(&rest, &is_damaged);
    const uint64_t dts = present & HAS_DTS ? read_time(&rest, &is_damaged) : pts;
    if (rest.failed || is_damaged)
        return -LEAT_E_MALFORMED;
    const int64_t cto = nearest((int64_t)pts - (int64_t)dts);
    *ret_time = (struct mpegts_time){
        .is_known = true,
        .dts = unfold(ts, dts),
        .cto = cto >= INT32_MIN && cto <= INT32_MAX ? (int32_t)cto : 0,
    };
    return 0;
}

/* The head is whole: the body begins. */
static int stream_begin_body(struct stream *stream, struct mpegts *ts)
{
    enum { STREAM_ID_MIN = 0xbd, PADDING = 0xbe, PRIVATE_2 = 0xbf, ECM = 0xf0 };
    struct cursor cursor = cursor_over(slice_of(stream->head, stream->head_size));
    const uint32_t start = cursor_u32be(&cursor), id = start & 0xff;
    const size_t size = cursor_u16be(&cursor), head_size = stream->head_size - 6;
    struct mpegts_time time;
    ASSERT(stream->state == STREAM_IN_HEAD && stream->head_size >= PES_FIXED_SIZE);
    stream->state = STREAM_BETWEEN;
    if (start >> 8 == 1 && id == PADDING)
        return 0;
    const bool is_media = id >= STREAM_ID_MIN && id != PRIVATE_2 && (id < ECM || id == 0xfd);
    int error = -LEAT_E_MALFORMED;
    if (start >> 8 == 1 && is_media && (size == 0 || size >= head_size))
        error = read_times(ts, &cursor, &time);
    if (error == -EOPNOTSUPP)
        return mpegts_fail(&ts->teller, error, "its stream %u is scrambled", stream->pid);
    if (error)
        return stream_break(stream, ts, true);
    stream->is_bounded = size > 0;
    stream->left = size > 0 ? size - head_size : 0;
    if (!stream->is_bounded || stream->left > 0)
        stream->state = STREAM_IN_BODY;
    return mpegts_es_begin(&stream->es, &ts->teller, time);
}

/* Takes what belongs to the head off the start of a payload; is it whole then? */
static bool stream_take_head(struct stream *stream, struct leat_slice *payload)
{
    for (;;) {
        const size_t size = stream->head_size < PES_FIXED_SIZE
                                ? PES_FIXED_SIZE
                                : PES_FIXED_SIZE + stream->head[PES_FIXED_SIZE - 1];
        const size_t missing = size - stream->head_size;
        const size_t count = missing < payload->size ? missing : payload->size;
        ASSERT(stream->head_size <= size && size <= sizeof(stream->head));
        memcpy(stream->head + stream->head_size, payload->data, count);
        stream->head_size += count;
        *payload = slice_after(*payload, count);
        if (missing == 0 || count < missing)
            return missing == 0;
    }
}

static int stream_take(struct stream *stream, struct mpegts *ts, const struct packet *packet)
{
    struct leat_slice payload = packet->payload;
    const enum arrival arrival = continuity_check(&stream->continuity, packet);
    int error = 0;
    if (arrival == ARRIVAL_REPEATED)
        return 0;
    if (packet->is_scrambled)
        return mpegts_fail(&ts->teller, -EOPNOTSUPP, "its stream %u is scrambled", stream->pid);
    if (arrival == ARRIVAL_AFTER_LOSS)
        error = stream_break(stream, ts, true);
    if (!error && packet->begins_unit) {
        if (stream->state == STREAM_IN_HEAD ||
            (stream->state == STREAM_IN_BODY && stream->is_bounded))
            error = stream_break(stream, ts, false);
        stream->state = STREAM_IN_HEAD;
        stream->head_size = 0;
    }
    if (!error && stream->state == STREAM_IN_HEAD && stream_take_head(stream, &payload))
        error = stream_begin_body(stream, ts);
    if (error || stream->state != STREAM_IN_BODY)
        return error;
    if (stream->is_bounded) {
        payload.size = payload.size < stream->left ? payload.size : stream->left;
        stream->left -= payload.size;
        if (stream->left == 0)
            stream->state = STREAM_BETWEEN;
    }
    return mpegts_es_add(&stream->es, &ts->teller, payload);
}

/* ---- The program map ------------------------------------------------------------------------- */

struct map_entry {
    uint16_t pid;
    enum mpegts_codec codec;
    char language[4];
};

static bool codec_of(uint8_t stream_type, enum mpegts_codec *ret_codec)
{
    switch (stream_type) {
    case 0x0f: *ret_codec = MPEGTS_AAC; return true;
    case 0x1b: *ret_codec = MPEGTS_AVC; return true;
    case 0x24: *ret_codec = MPEGTS_HEVC; return true;
    default: return false;
    }
}

/* That of an ISO_639_language_descriptor (section 2.6.18), or "und". */
static void read_language(struct cursor descriptors, char ret_language[4])
{
    enum { LANGUAGE_DESCRIPTOR = 10 };
    memcpy(ret_language, "und", 4);
    while (cursor_left(&descriptors) >= 2) {
        const uint8_t tag = cursor_u8(&descriptors);
        struct cursor descriptor = cursor_within(&descriptors, cursor_u8(&descriptors));
        const unsigned char *const code = cursor_take(&descriptor, 3);
        if (tag != LANGUAGE_DESCRIPTOR || !code)
            continue;
        for (unsigned i = 0; i < 3; i++)
            if (code[i] < 'a' || code[i] > 'z')
                return;
        memcpy(ret_language, code, 3);
        return;
    }
}

/* The streams of a program map section (section 2.4.4.8) that we know what to do with. */
static unsigned read_map(struct cursor *section, struct map_entry entries[MPEGTS_STREAMS_MAX])
{
    unsigned count = 0;
    cursor_skip(section, 2); /* PCR_PID */
    cursor_skip(section, cursor_u16be(section) & 0xfff);
    while (cursor_left(section) > 0 && count < MPEGTS_STREAMS_MAX) {
        struct map_entry *const entry = &entries[count];
        const uint8_t type = cursor_u8(section);
        entry->pid = cursor_u16be(section) & 0x1fff;
        const struct cursor descriptors = cursor_within(section, cursor_u16be(section) & 0xfff);
        if (section->failed)
            break;
        read_language(descriptors, entry->language);
        bool is_new = entry->pid != PID_NULL && entry->pid != PID_PAT;
        for (unsigned i = 0; i < count; i++)
            is_new &= entries[i].pid != entry->pid;
        count += is_new && codec_of(type, &entry->codec);
    }
    return count;
}

static struct stream *find_stream(struct mpegts *ts, uint16_t pid)
{
    for (unsigned i = 0; i < MPEGTS_STREAMS_MAX; i++)
        if (ts->streams[i].pid == pid)
            return &ts->streams[i];
    return NULL;
}

static bool is_alike(const struct stream *stream, enum mpegts_codec codec)
{
    return (stream->es.codec == MPEGTS_AAC) == (codec == MPEGTS_AAC);
}

/* What a new stream becomes: best a track that is gone, of video or of audio like it, which so goes
 * on; else one that was never told of; else any that is gone, as a new track. */
static struct stream *choose_stream(struct mpegts *ts, enum mpegts_codec codec)
{
    struct stream *chosen = NULL;
    unsigned best = 0;
    for (unsigned i = 0; i < MPEGTS_STREAMS_MAX; i++) {
        struct stream *const stream = &ts->streams[i];
        const bool is_told = stream->es.index >= 0;
        const unsigned fit = is_told && is_alike(stream, codec) ? 3 : is_told ? 1 : 2;
        if (stream->pid == PID_NULL && fit > best) {
            chosen = stream;
            best = fit;
        }
    }
    return chosen;
}

/* What a program map says is in force; it may be the same as before. */
static int take_map(struct mpegts *ts, const struct map_entry *entries, unsigned count)
{
    for (unsigned i = 0; i < MPEGTS_STREAMS_MAX; i++) {
        struct stream *const stream = &ts->streams[i];
        bool is_kept = false;
        for (unsigned k = 0; k < count; k++)
            is_kept |= entries[k].pid == stream->pid && entries[k].codec == stream->es.codec;
        if (is_kept || stream->pid == PID_NULL)
            continue;
        const int error = stream_break(stream, ts, false);
        if (error)
            return error;
        stream->pid = PID_NULL;
        stream->continuity.is_known = false;
    }
    for (unsigned k = 0; k < count; k++) {
        struct stream *stream = find_stream(ts, entries[k].pid);
        if (!stream) {
            stream = choose_stream(ts, entries[k].codec);
            ASSERT(stream != NULL); /* there are as many as a map has */
            if (!is_alike(stream, entries[k].codec))
                stream->es.index = -1;
            mpegts_es_reset(&stream->es, entries[k].codec);
            stream->pid = entries[k].pid;
        }
        memcpy(stream->es.language, entries[k].language, sizeof(stream->es.language));
    }
    return 0;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* CRC-32/MPEG-2 (annex A): 0 over a section with its own checksum. Bit by bit, for tables are small
 * and rare. */
static uint32_t checksum(struct leat_slice bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= (uint32_t)(unsigned char)bytes.data[i] << 24;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7 : 0);
    }
    return crc;
}

/* The head that all tables have (section 2.4.4.1), and is it the one wanted, whole, in force, and
 * the first of its kind? A cursor behind the head, up to the checksum. */
static bool open_table(struct leat_slice section, uint8_t table_id, uint16_t *ret_id,
                       struct cursor *ret_cursor)
{
    enum { HEAD_SIZE = 8, CHECKSUM_SIZE = 4 };
    if (section.size < HEAD_SIZE + CHECKSUM_SIZE || checksum(section) != 0)
        return false;
    struct cursor cursor = cursor_over(slice_of(section.data, section.size - CHECKSUM_SIZE));
    const uint8_t id = cursor_u8(&cursor);
    const bool has_syntax = cursor_u16be(&cursor) & 0x8000;
    *ret_id = cursor_u16be(&cursor);
    const bool is_in_force = cursor_u8(&cursor) & 1;
    const uint8_t number = cursor_u8(&cursor);
    cursor_skip(&cursor, 1); /* the last one's number */
    *ret_cursor = cursor;
    return id == table_id && has_syntax && is_in_force && number == 0;
}

/* Section 2.4.4.3. The first program is ours. */
static int take_pat(struct mpegts *ts, struct leat_slice section)
{
    uint16_t id;
    struct cursor cursor;
    if (!open_table(section, 0, &id, &cursor))
        return 0;
    while (cursor_left(&cursor) >= 4) {
        const uint16_t program = cursor_u16be(&cursor), pid = cursor_u16be(&cursor) & 0x1fff;
        if (program == 0 || pid == PID_PAT || pid == PID_NULL)
            continue; /* 0: the network's own table */
        if (ts->pmt_pid != pid)
            ts->pmt = (struct section){.is_open = false};
        ts->program = program;
        ts->pmt_pid = pid;
        return 0;
    }
    return 0;
}

static int take_pmt(struct mpegts *ts, struct leat_slice section)
{
    enum { TABLE_PMT = 2 };
    struct map_entry entries[MPEGTS_STREAMS_MAX];
    uint16_t program;
    struct cursor cursor;
    if (!open_table(section, TABLE_PMT, &program, &cursor) || program != ts->program)
        return 0;
    /* The version is not looked at: a new maker may begin with that of the one before, and a map
     * that says the same changes nothing. */
    const unsigned count = read_map(&cursor, entries);
    return take_map(ts, entries, count);
}

typedef int (*take_section_fn)(struct mpegts *ts, struct leat_slice section);

/* More of the sections of a PID; those that are whole are taken. */
static int section_add(struct section *section, struct mpegts *ts, struct leat_slice bytes,
                       take_section_fn take)
{
    enum { STUFFING = 0xff };
    while (section->is_open && bytes.size > 0) {
        const unsigned char *const data = section->data;
        if (section->size == 0 && (unsigned char)bytes.data[0] == STUFFING) {
            section->is_open = false;
            break;
        }
        const bool has_head = section->size >= SECTION_HEAD_SIZE;
        const size_t size = SECTION_HEAD_SIZE + (has_head ? (data[1] & 15u) << 8 | data[2] : 0);
        if (size > SECTION_MAX) {
            section->is_open = false;
            break;
        }
        const size_t missing = size - section->size;
        const size_t count = missing < bytes.size ? missing : bytes.size;
        memcpy(section->data + section->size, bytes.data, count);
        section->size += count;
        bytes = slice_after(bytes, count);
        if (section->size < size || !has_head)
            continue;
        section->size = 0;
        const int error = take(ts, slice_of(section->data, size));
        if (error)
            return error;
    }
    return 0;
}

static int section_take(struct section *section, struct mpegts *ts, const struct packet *packet,
                        take_section_fn take)
{
    struct leat_slice payload = packet->payload;
    const enum arrival arrival = continuity_check(&section->continuity, packet);
    if (arrival == ARRIVAL_REPEATED)
        return 0;
    if (arrival == ARRIVAL_AFTER_LOSS)
        section->is_open = false;
    if (!packet->begins_unit)
        return section_add(section, ts, payload, take);
    /* pointer_field: so much still belongs to the section before (section 2.4.4.2) */
    const size_t before = (unsigned char)payload.data[0];
    payload = slice_after(payload, 1);
    if (before > payload.size) {
        section->is_open = false;
        return 0;
    }
    const int error = section_add(section, ts, slice_of(payload.data, before), take);
    if (error)
        return error;
    section->is_open = true;
    section->size = 0;
    return section_add(section, ts, slice_after(payload, before), take);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* What keeps count of a PID's packets; NULL: it is none of ours. */
static struct continuity *continuity_of(struct mpegts *ts, uint16_t pid)
{
    if (pid == PID_NULL)
        return NULL;
    if (pid == PID_PAT)
        return &ts->pat.continuity;
    if (pid == ts->pmt_pid)
        return &ts->pmt.continuity;
    struct stream *const stream = find_stream(ts, pid);
    return stream ? &stream->continuity : NULL;
}

static int take_packet(struct mpegts *ts, const char *bytes)
{
    struct packet packet;
    if ((unsigned char)bytes[0] != SYNC_BYTE)
        return mpegts_fail(&ts->teller, -LEAT_E_MALFORMED,
                           "byte %llu is 0x%02x where a packet must begin (0x47)",
                           (unsigned long long)ts->offset, (unsigned char)bytes[0]);
    ts->offset += MPEGTS_PACKET_SIZE;
    if (!read_packet(slice_of(bytes, MPEGTS_PACKET_SIZE), &packet))
        return 0; /* the next one's counter tells that it is missing */
    struct continuity *const continuity = continuity_of(ts, packet.pid);
    if (!continuity)
        return 0;
    if (packet.payload.size == 0) {
        if (packet.is_discontinuous)
            continuity->is_known = false;
        return 0;
    }
    if (packet.pid == PID_PAT)
        return section_take(&ts->pat, ts, &packet, take_pat);
    if (packet.pid == ts->pmt_pid)
        return section_take(&ts->pmt, ts, &packet, take_pmt);
    return stream_take(find_stream(ts, packet.pid), ts, &packet);
}

static int feed(struct mpegts *ts, struct leat_slice bytes)
{
    if (ts->partial_size > 0) {
        const size_t missing = MPEGTS_PACKET_SIZE - ts->partial_size;
        const size_t count = missing < bytes.size ? missing : bytes.size;
        memcpy(ts->partial + ts->partial_size, bytes.data, count);
        ts->partial_size += count;
        bytes = slice_after(bytes, count);
        if (ts->partial_size < MPEGTS_PACKET_SIZE)
            return 0;
        ts->partial_size = 0;
        const int error = take_packet(ts, (const char *)ts->partial);
        if (error)
            return error;
    }
    while (bytes.size >= MPEGTS_PACKET_SIZE) {
        const int error = take_packet(ts, bytes.data);
        if (error)
            return error;
        bytes = slice_after(bytes, MPEGTS_PACKET_SIZE);
    }
    memcpy(ts->partial, bytes.data, bytes.size);
    ts->partial_size = bytes.size;
    return 0;
}

int mpegts_feed(struct mpegts *ts, struct leat_slice bytes)
{
    ASSERT(ts->partial_size < MPEGTS_PACKET_SIZE);
    if (!ts->error && bytes.size > 0)
        ts->error = feed(ts, bytes);
    return ts->error;
}

int mpegts_flush(struct mpegts *ts)
{
    /* Where a packet is cut off, more may be missing than its own rest. */
    const bool is_cut = ts->partial_size > 0;
    ts->offset += ts->partial_size;
    ts->partial_size = 0;
    ts->pat.is_open = ts->pmt.is_open = false;
    ts->pat.continuity.is_known = ts->pmt.continuity.is_known = false;
    for (unsigned i = 0; i < MPEGTS_STREAMS_MAX && !ts->error; i++) {
        struct stream *const stream = &ts->streams[i];
        stream->continuity.is_known = false;
        if (stream->pid != PID_NULL)
            ts->error = stream_break(stream, ts, is_cut);
    }
    return ts->error;
}
