/* SPDX-License-Identifier: MIT */
/*
 * For the tests of wire/mpegts: a transport stream that is put together packet by packet, and what
 * was told of it, as text.
 */
#ifndef TEST_MPEGTS_STREAM_H
#define TEST_MPEGTS_STREAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "leat/error.h"
#include "wire/mpegts.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum {
    STREAM_ROOM = 64 * 1024,
    PIDS = 8192,
    PMT = 0x1000,
    VIDEO = 0x100,
    AUDIO = 0x101,
    TYPE_AAC = 0x0f,
    TYPE_AVC = 0x1b,
    TYPE_HEVC = 0x24,
};

/* ---- Making ---------------------------------------------------------------------------------- */

struct made {
    unsigned char data[STREAM_ROOM];
    size_t size;
    uint8_t counters[PIDS];
};

static struct made made;

/* What the next packet is besides its payload. */
struct packet_options {
    bool begins, is_discontinuous, is_damaged, is_scrambled;
};

/* One packet; a payload that does not fill it has stuffing in front. */
static inline void put_packet(unsigned pid, struct packet_options options, const void *payload,
                              size_t size)
{
    unsigned char *const at = made.data + made.size;
    const size_t room = MPEGTS_PACKET_SIZE - 4;
    assert_true(size <= room && made.size + MPEGTS_PACKET_SIZE <= sizeof(made.data));
    size_t adaptation = room - size;
    if (options.is_discontinuous)
        assert_true(adaptation >= 2);
    memset(at, 0xff, MPEGTS_PACKET_SIZE);
    at[0] = 0x47;
    at[1] = (unsigned char)(options.is_damaged << 7 | options.begins << 6 | pid >> 8);
    at[2] = (unsigned char)(pid & 255);
    at[3] = (unsigned char)(options.is_scrambled << 7 | (adaptation > 0) << 5 | (size > 0) << 4 |
                            made.counters[pid]);
    if (adaptation > 0)
        at[4] = (unsigned char)(adaptation - 1);
    if (adaptation > 1)
        at[5] = options.is_discontinuous ? 0x80 : 0;
    if (size > 0)
        memcpy(at + MPEGTS_PACKET_SIZE - size, payload, size);
    if (size > 0)
        made.counters[pid] = (made.counters[pid] + 1) & 15;
    made.size += MPEGTS_PACKET_SIZE;
}

/* In packets of which each carries at most `piece` bytes. */
static inline void put_payload(unsigned pid, const void *bytes, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece)
        put_packet(pid, (struct packet_options){.begins = at == 0},
                   (const unsigned char *)bytes + at, size - at < piece ? size - at : piece);
}

static inline uint32_t crc_of(const unsigned char *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size * 8; i++) {
        const uint32_t bit = bytes[i / 8] >> (7 - i % 8) & 1u;
        crc = crc << 1 ^ ((crc >> 31 ^ bit) ? 0x04c11db7 : 0);
    }
    return crc;
}

struct table {
    unsigned pid, id, number, version;
    bool is_not_in_force, is_wrong; /* its checksum */
    size_t piece;                   /* bytes in a packet; 0: as many as go */
    const unsigned char *body;
    size_t size;
};

/* A section with its head and checksum. */
static inline void put_table(const struct table *table)
{
    unsigned char bytes[1100];
    const size_t length = 5 + table->size + 4;
    assert_true(length <= 1021);
    bytes[0] = 0; /* pointer_field */
    bytes[1] = (unsigned char)table->id;
    bytes[2] = (unsigned char)(0xb0 | length >> 8);
    bytes[3] = (unsigned char)(length & 255);
    bytes[4] = (unsigned char)(table->number >> 8);
    bytes[5] = (unsigned char)(table->number & 255);
    bytes[6] = (unsigned char)(0xc0 | table->version << 1 | !table->is_not_in_force);
    bytes[7] = bytes[8] = 0;
    memcpy(bytes + 9, table->body, table->size);
    const uint32_t crc = crc_of(bytes + 1, 8 + table->size) ^ table->is_wrong;
    for (unsigned i = 0; i < 4; i++)
        bytes[9 + table->size + i] = (unsigned char)(crc >> (24 - 8 * i));
    put_payload(table->pid, bytes, 13 + table->size, table->piece > 0 ? table->piece : 184);
}

static inline void put_pat(unsigned pmt)
{
    const unsigned char body[] = {0,
                                  0,
                                  0xe0,
                                  16, /* the network's table */
                                  0,
                                  1,
                                  (unsigned char)(0xe0 | pmt >> 8),
                                  (unsigned char)(pmt & 255)};
    put_table(&(struct table){.number = 1, .body = body, .size = sizeof(body)});
}

/* The program's streams: type and PID; ends with a type of 0. */
struct listed {
    unsigned type, pid;
    const char *language;
};

static inline size_t map_of(const struct listed *streams, unsigned char *body)
{
    size_t size = 0;
    const unsigned char head[] = {0xe1, 0x00, 0xf0, 3, 5, 1, 'x'}; /* a descriptor of the program */
    memcpy(body, head, sizeof(head));
    size += sizeof(head);
    for (; streams->type != 0; streams++) {
        const bool has_language = streams->language != NULL;
        const unsigned char entry[] = {
            (unsigned char)streams->type, (unsigned char)(0xe0 | streams->pid >> 8),
            (unsigned char)(streams->pid & 255), 0xf0, has_language ? 9 : 0};
        memcpy(body + size, entry, sizeof(entry));
        size += sizeof(entry);
        if (has_language) {
            const unsigned char descriptors[] = {0x52, 1, 7, 10, 4};
            memcpy(body + size, descriptors, 5);
            memcpy(body + size + 5, streams->language, 3);
            body[size + 8] = 0;
            size += 9;
        }
    }
    return size;
}

static inline void put_pmt(unsigned version, const struct listed *streams)
{
    unsigned char body[256];
    const size_t size = map_of(streams, body);
    put_table(&(struct table){
        .pid = PMT, .id = 2, .number = 1, .version = version, .body = body, .size = size});
}

/* ---- PES packets ----------------------------------------------------------------------------- */

#define NO_TIME UINT64_MAX

struct pes {
    unsigned pid;
    uint64_t pts, dts; /* NO_TIME: none; dts 0: as pts */
    bool is_bounded, is_scrambled;
    size_t piece;   /* bytes in a packet; 0: as many as go */
    unsigned extra; /* stuffing in the head */
    const void *body;
    size_t size;
};

static inline size_t put_time(unsigned char *at, unsigned kind, uint64_t time)
{
    at[0] = (unsigned char)(kind << 4 | (time >> 30 & 7) << 1 | 1);
    at[1] = (unsigned char)(time >> 22 & 255);
    at[2] = (unsigned char)((time >> 15 & 127) << 1 | 1);
    at[3] = (unsigned char)(time >> 7 & 255);
    at[4] = (unsigned char)((time & 127) << 1 | 1);
    return 5;
}

/* The bytes of a PES packet; their count. */
static inline size_t pes_of(const struct pes *pes, unsigned char *bytes)
{
    const bool has_pts = pes->pts != NO_TIME, has_dts = has_pts && pes->dts != 0;
    size_t head = 9;
    if (has_pts)
        head += put_time(bytes + head, has_dts ? 3 : 2, pes->pts);
    if (has_dts)
        head += put_time(bytes + head, 1, pes->dts);
    memset(bytes + head, 0xff, pes->extra);
    head += pes->extra;
    const size_t length = pes->is_bounded ? head - 6 + pes->size : 0;
    const unsigned char start[] = {0,
                                   0,
                                   1,
                                   pes->pid == AUDIO ? 0xc0 : 0xe0,
                                   (unsigned char)(length >> 8),
                                   (unsigned char)(length & 255),
                                   pes->is_scrambled ? 0x90 : 0x80,
                                   (unsigned char)(has_pts << 7 | has_dts << 6),
                                   (unsigned char)(head - 9)};
    memcpy(bytes, start, sizeof(start));
    memcpy(bytes + head, pes->body, pes->size);
    return head + pes->size;
}

static inline void put_pes(const struct pes *pes)
{
    unsigned char bytes[4096];
    assert_true(pes->size + pes->extra + 19 <= sizeof(bytes));
    const size_t size = pes_of(pes, bytes);
    put_payload(pes->pid, bytes, size, pes->piece > 0 ? pes->piece : 184);
}

/* ---- Access units ---------------------------------------------------------------------------- */

#define START "\0\0\0\1"
#define SPS                                                                                        \
    START "\x67\x42\xc0\x28\xda\x01\xe0\x08\x9f\x97\x01\x10\0\0\3\0\x10\0\0\3\1\x40\xf1\x83\x2a"
#define PPS START "\x68\xce\x0f\x19\x20"
#define OTHER_PPS START "\x68\xce\x0f\x19\x60"  /* of the same number */
#define SECOND_PPS START "\x68\x60\x0f\x19\x20" /* of another */
#define DELIMITER START "\x09\xf0"
#define IDR "\0\0\1\x65\x88\x84\x21"
#define PICTURE "\0\0\1\x41\x9a\x21\x31"
#define RECOVERY "\0\0\1\x06\x06\x01\xc4\x80"
#define FILLER "\0\0\1\x0c\xff\xff\x80"
#define SEQUENCE_END "\0\0\1\x0a"
#define KEY DELIMITER SPS PPS IDR

#define HEVC_VPS START "\x40\1\x0c\1\xff\xff\4\x08\0\0\3\0\x9e\x08\0\0\3\0\0\x1e\x95\x94\x09"
#define HEVC_SPS                                                                                   \
    START "\x42\1\1\4\x08\0\0\3\0\x9e\x08\0\0\3\0\0\x1e\x90\4\x10\x62\xcb\x2b\x2a\x52\x61\x78"     \
          "\x0b\x70\x20\x20\0\x40\0\0\3\0\x40\0\0\3\2\x82"
#define HEVC_PPS START "\x44\1\xc0\x73\x18\x30\x08\x90"
#define HEVC_DELIMITER START "\x46\1\x50"
#define HEVC_CRA "\0\0\1\x2a\1\xaf\x13"
#define HEVC_PICTURE "\0\0\1\2\1\xd0\x23"
#define HEVC_SEI "\0\0\1\x4e\1\5\1\x80"
#define HEVC_TRACK "T0:hvc1.4.10.L30.9E.8:90000:und"

static const struct listed both[] = {{TYPE_AVC, VIDEO}, {TYPE_AAC, AUDIO}, {0}};
static const struct listed video_alone[] = {{TYPE_AVC, VIDEO}, {0}};
static const struct listed audio_alone[] = {{TYPE_AAC, AUDIO}, {0}};

/* How a track is told of. */
#define AVC_TRACK "T0:avc1.42c028:90000:und"
#define AAC_TRACK "T0:mp4a.40.2:48000:und"

static inline void begin(const struct listed *streams)
{
    made.size = 0;
    memset(made.counters, 0, sizeof(made.counters));
    put_pat(PMT);
    put_pmt(0, streams);
}

static inline void put_video_at(uint64_t pts, uint64_t dts, struct leat_slice body)
{
    put_pes(
        &(struct pes){.pid = VIDEO, .pts = pts, .dts = dts, .body = body.data, .size = body.size});
}

#define put_video(time, literal) put_video_at(time, 0, SLICE(literal))

/* An ADTS frame of LC stereo, with `size` bytes behind the header. */
static inline size_t frame(unsigned char *at, unsigned rate_index, size_t size)
{
    const size_t whole = size + 7;
    const unsigned char header[] = {0xff,
                                    0xf1,
                                    (unsigned char)(0x40 | rate_index << 2),
                                    (unsigned char)(0x80 | whole >> 11),
                                    (unsigned char)(whole >> 3 & 255),
                                    (unsigned char)((whole & 7) << 5 | 0x1f),
                                    0xfc};
    memcpy(at, header, sizeof(header));
    memset(at + sizeof(header), 0x21, size);
    return whole;
}

/* A PES packet of frames of 10, 11, 12, … bytes at 48 kHz. */
static inline void put_audio(uint64_t pts, unsigned count)
{
    unsigned char body[512];
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += frame(body + size, 3, 10 + i);
    put_pes(
        &(struct pes){.pid = AUDIO, .pts = pts, .is_bounded = true, .body = body, .size = size});
}

static inline void lose_packets(unsigned pid, unsigned count)
{
    made.counters[pid] = (uint8_t)((made.counters[pid] + count) & 15);
}

/* ---- What is told ---------------------------------------------------------------------------- */

struct told {
    struct mpegts *ts;
    char text[8192]; /* T: a track. index@dts+cto, k for is_sync, and the bytes: "65 41" for NAL */
    size_t size;     /* units of these types, or how many there are */
    unsigned track_count, sample_count, fail_track, fail_sample;
    uint32_t handlers[MP4_TRACKS_MAX];
    struct mp4_track last; /* told of */
    int result;
};

__attribute__((format(printf, 2, 3))) static inline void say(struct told *told, const char *format,
                                                             ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size =
        vsnprintf(told->text + told->size, sizeof(told->text) - told->size, format, arguments);
    va_end(arguments);
    assert_true(size >= 0 && told->size + (size_t)size < sizeof(told->text));
    told->size += (size_t)size;
}

static inline int say_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct told *const told = user;
    assert_true(index < MP4_TRACKS_MAX && track->id == index + 1 && track->entry_count == 1);
    assert_true(track->stsd.size > 16 && track->stsd.size <= MP4_STSD_MAX);
    told->handlers[index] = track->handler;
    told->last = *track;
    say(told, "%sT%u:%s:%u:%s", told->size > 0 ? " " : "", index, track->codec.text,
        track->timescale, track->language);
    return ++told->track_count == told->fail_track ? -ECANCELED : 0;
}

static inline int say_sample(unsigned index, const struct media_sample *sample, void *user)
{
    struct told *const told = user;
    const unsigned char *at = (const unsigned char *)sample->data.data;
    const unsigned char *const end = at + sample->data.size;
    assert_true(index < MP4_TRACKS_MAX && told->handlers[index] != 0);
    say(told, " %u@%lld", index, (long long)sample->dts);
    if (sample->cto != 0)
        say(told, "%+d", sample->cto);
    if (told->handlers[index] == MP4_FOURCC('v', 'i', 'd', 'e')) {
        say(told, "%s", sample->is_sync ? "k" : "");
        for (bool is_first = true; at < end; is_first = false) {
            const size_t size =
                (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
            assert_true(end - at > 4 && size > 0 && size <= (size_t)(end - at) - 4);
            say(told, "%c%02x", is_first ? ':' : ',', at[4]);
            at += 4 + size;
        }
        assert_int_equal(sample->duration, 0);
    } else {
        assert_true(sample->is_sync && sample->duration == 1024);
        say(told, ":%zu", sample->data.size);
    }
    return ++told->sample_count == told->fail_sample ? -ECANCELED : 0;
}

/* A reader, whose events may fail. */
static inline struct told *open_told(unsigned fail_track, unsigned fail_sample)
{
    static struct told told;
    told = (struct told){.fail_track = fail_track, .fail_sample = fail_sample};
    const struct media_events events = {
        .on_track = say_track, .on_sample = say_sample, .user = &told};
    assert_int_equal(mpegts_create(&events, &told.ts), 0);
    return &told;
}

/* What was made, in pieces; from then on something else is made. */
static inline void feed_made(struct told *told, size_t piece)
{
    for (size_t at = 0; at < made.size && told->result == 0; at += piece) {
        const size_t size = made.size - at < piece ? made.size - at : piece;
        /* Memory of exactly this size, so that a sanitizer sees the first byte read beyond it. */
        char *const copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, made.data + at, size);
        told->result = mpegts_feed(told->ts, slice_of(copy, size));
        free(copy);
    }
}

static inline void close_told(struct told *told)
{
    mpegts_destroy(told->ts);
    told->ts = NULL;
}

/* What is made, whole and in pieces of several sizes, is told as `text`. */
static inline void expect_told(const char *text)
{
    static const size_t pieces[] = {STREAM_ROOM, 1, 3, 187, 188, 189, 1000};
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct told *const told = open_told(0, 0);
        feed_made(told, pieces[i]);
        if (told->result == 0)
            told->result = mpegts_flush(told->ts);
        if (told->result != 0 || strcmp(told->text, text) != 0)
            fail_msg("%d %s: %s\nnot %s", told->result, mpegts_reason(told->ts), told->text, text);
        assert_string_equal(mpegts_reason(told->ts), "");
        close_told(told);
    }
}

static inline void expect_failure(int result, const char *reason)
{
    struct told *const told = open_told(0, 0);
    feed_made(told, STREAM_ROOM);
    if (told->result == 0)
        told->result = mpegts_flush(told->ts);
    if (told->result != result || strcmp(mpegts_reason(told->ts), reason) != 0)
        fail_msg("%d %s\nnot %d %s", told->result, mpegts_reason(told->ts), result, reason);
    /* It stays broken. */
    assert_int_equal(mpegts_feed(told->ts, SLICE("G")), result);
    assert_int_equal(mpegts_flush(told->ts), result);
    close_told(told);
}

#endif
