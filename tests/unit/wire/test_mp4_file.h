/* SPDX-License-Identifier: MIT */
/*
 * For the tests of wire/mp4*: a file that is put together box by box, a source that counts its
 * reads and can fail, and what was told, as text.
 */
#ifndef TEST_MP4_FILE_H
#define TEST_MP4_FILE_H

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
#include "wire/mp4.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define VIDE MP4_FOURCC('v', 'i', 'd', 'e')
#define SOUN MP4_FOURCC('s', 'o', 'u', 'n')

enum { FILE_ROOM = 512 * 1024, SECOND = 1000 };

/* ---- Writing --------------------------------------------------------------------------------- */

struct file {
    unsigned char data[FILE_ROOM];
    size_t size;
    /* The file is larger than its data: `hole` bytes of nothing behind `hole_offset` of these. */
    size_t hole_offset;
    uint64_t hole;
};

static inline void put(struct file *file, const void *bytes, size_t size)
{
    assert_true(size <= sizeof(file->data) - file->size);
    memcpy(file->data + file->size, bytes, size);
    file->size += size;
}

static inline void put8(struct file *file, unsigned value)
{
    put(file, &(unsigned char){(unsigned char)value}, 1);
}

static inline void put16(struct file *file, unsigned value)
{
    put8(file, value >> 8 & 255);
    put8(file, value & 255);
}

static inline void put32(struct file *file, uint32_t value)
{
    put16(file, value >> 16);
    put16(file, value & 0xffff);
}

static inline void put64(struct file *file, uint64_t value)
{
    put32(file, (uint32_t)(value >> 32));
    put32(file, (uint32_t)value);
}

static inline void put_zeros(struct file *file, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put8(file, 0);
}

static inline void set32(struct file *file, size_t at, uint32_t value)
{
    const size_t size = file->size;
    file->size = at;
    put32(file, value);
    file->size = size;
}

/* Begins a box; where it stands. */
static inline size_t open_box(struct file *file, const char *type)
{
    const size_t at = file->size;
    put32(file, 0);
    put(file, type, 4);
    return at;
}

static inline size_t open_full_box(struct file *file, const char *type, unsigned version,
                                   uint32_t flags)
{
    const size_t at = open_box(file, type);
    put32(file, version << 24 | flags);
    return at;
}

static inline void close_box(struct file *file, size_t at)
{
    set32(file, at, (uint32_t)(file->size - at));
}

static inline size_t find(const struct file *file, const char *type)
{
    const unsigned char *const at = memmem(file->data, file->size, type, 4);
    assert_non_null(at);
    return (size_t)(at - file->data) - 4;
}

/* A FullBox with a count of entries of `width` words. */
static inline void put_table(struct file *file, const char *type, unsigned width,
                             const uint32_t *words, size_t word_count)
{
    const size_t box = open_full_box(file, type, 0, 0);
    put32(file, (uint32_t)(word_count / width));
    for (size_t i = 0; i < word_count; i++)
        put32(file, words[i]);
    close_box(file, box);
}

static inline void put_ftyp(struct file *file, const char *brand)
{
    const size_t box = open_box(file, "ftyp");
    put(file, brand, 4);
    put32(file, 0);
    close_box(file, box);
}

static inline void put_mvhd(struct file *file)
{
    const size_t box = open_full_box(file, "mvhd", 0, 0);
    put64(file, 0);
    put32(file, 600);
    put_zeros(file, 84);
    close_box(file, box);
}

static inline void put_tkhd(struct file *file, uint32_t id)
{
    const size_t box = open_full_box(file, "tkhd", 0, 1);
    put64(file, 0);
    put32(file, id);
    put_zeros(file, 24);
    for (uint32_t i = 1; i <= 9; i++)
        put32(file, i);
    put32(file, 640 << 16);
    put32(file, 360 << 16);
    close_box(file, box);
}

static inline void put_mdhd(struct file *file, uint32_t timescale, unsigned language)
{
    const size_t box = open_full_box(file, "mdhd", 0, 0);
    put64(file, 0);
    put32(file, timescale);
    put32(file, 0);
    put16(file, language);
    put16(file, 0);
    close_box(file, box);
}

static inline void put_hdlr(struct file *file, const char *handler)
{
    const size_t box = open_full_box(file, "hdlr", 0, 0);
    put32(file, 0);
    put(file, handler, 4);
    put_zeros(file, 13);
    close_box(file, box);
}

static inline void put_entry(struct file *file, const char *fourcc)
{
    const size_t box = open_box(file, fourcc);
    put_zeros(file, 24);
    put16(file, 320);
    put16(file, 240);
    put_zeros(file, 50);
    close_box(file, box);
}

static inline void put_stsd(struct file *file, unsigned count)
{
    const size_t box = open_full_box(file, "stsd", 0, 0);
    put32(file, count);
    for (unsigned i = 0; i < count; i++)
        put_entry(file, "abcd");
    close_box(file, box);
}

/* Boxes that are open, from the outermost. */
struct track_boxes {
    size_t trak, mdia, minf, stbl;
};

static inline struct track_boxes open_track(struct file *file, uint32_t id, const char *handler)
{
    struct track_boxes boxes;
    boxes.trak = open_box(file, "trak");
    put_tkhd(file, id);
    boxes.mdia = open_box(file, "mdia");
    put_mdhd(file, SECOND, 0x15c7);
    put_hdlr(file, handler);
    boxes.minf = open_box(file, "minf");
    boxes.stbl = open_box(file, "stbl");
    return boxes;
}

static inline void close_track(struct file *file, struct track_boxes boxes)
{
    close_box(file, boxes.stbl);
    close_box(file, boxes.minf);
    close_box(file, boxes.mdia);
    close_box(file, boxes.trak);
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct reading {
    const struct file *file;
    unsigned read_count, fail_read; /* the read that fails, from 1; 0: none */
    uint64_t read_bytes;
    uint32_t unwanted; /* the handler of tracks that are not wanted */
    unsigned sample_count, fail_sample;
    struct mp4_track tracks[4];
    struct mp4_movie movie;
    struct mp4_problem problem;
    char text[4096]; /* of each sample: track:offset+size@time+offset/duration, k, #entry */
    size_t text_size;
    int result;
};

static inline uint64_t size_of(const struct file *file)
{
    return file->size + file->hole;
}

static inline int read_file(void *user, uint64_t offset, void *data, size_t size)
{
    struct reading *const reading = user;
    const struct file *const file = reading->file;
    assert_true(offset <= size_of(file) && size <= size_of(file) - offset && size > 0);
    reading->read_count++;
    reading->read_bytes += size;
    if (reading->read_count == reading->fail_read)
        return -EIO;
    for (size_t i = 0; i < size; i++) {
        uint64_t at = offset + i;
        unsigned char byte = 0;
        if (at < file->hole_offset || file->hole == 0)
            byte = file->data[at];
        else if (at >= file->hole_offset + file->hole)
            byte = file->data[at - file->hole];
        ((unsigned char *)data)[i] = byte;
    }
    return 0;
}

static inline bool note_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct reading *const reading = user;
    if (index < COUNT_OF(reading->tracks))
        reading->tracks[index] = *track;
    return track->handler != reading->unwanted;
}

static inline int note_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct reading *const reading = user;
    assert_true(sample->offset + sample->size <= size_of(reading->file));
    if (++reading->sample_count == reading->fail_sample)
        return -ECANCELED;
    const size_t room = sizeof(reading->text) - reading->text_size;
    char entry[16] = "";
    if (sample->entry > 0)
        snprintf(entry, sizeof(entry), "#%u", sample->entry);
    const int size =
        snprintf(reading->text + reading->text_size, room, "%s%u:%llu+%u@%llu%+lld/%u%s%s",
                 reading->text_size > 0 ? " " : "", index, (unsigned long long)sample->offset,
                 sample->size, (unsigned long long)sample->dts, (long long)sample->cto,
                 sample->duration, sample->is_sync ? "k" : "", entry);
    if ((size_t)size < room)
        reading->text_size += (size_t)size;
    return 0;
}

static inline void read_again(struct reading *reading)
{
    const struct mp4_source source = {
        .read = read_file, .user = reading, .size = size_of(reading->file)};
    const struct mp4_events events = {
        .on_track = note_track, .on_sample = note_sample, .user = reading};
    reading->text[0] = '\0';
    reading->text_size = 0;
    reading->sample_count = reading->read_count = 0;
    reading->result = mp4_read(&source, &events, &reading->movie, &reading->problem);
}

static inline struct reading *read_all(const struct file *file)
{
    static struct reading reading;
    reading = (struct reading){.file = file};
    read_again(&reading);
    return &reading;
}

static inline void expect_samples(const struct file *file, const char *text)
{
    const struct reading *const reading = read_all(file);
    if (reading->result != 0 || strcmp(reading->text, text) != 0)
        fail_msg("%d %s: %s\nnot %s", reading->result, reading->problem.reason, reading->text,
                 text);
}

static inline void expect_problem(const struct file *file, int result, const char *reason)
{
    const struct reading *const reading = read_all(file);
    if (reading->result != result || strcmp(reading->problem.reason, reason) != 0)
        fail_msg("%d %s\nnot %d %s", reading->result, reading->problem.reason, result, reason);
}

static inline void expect_damage(const struct file *file, const char *reason)
{
    expect_problem(file, -LEAT_E_MALFORMED, reason);
}

#endif
