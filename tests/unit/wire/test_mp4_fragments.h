/* SPDX-License-Identifier: MIT */
/*
 * For the tests of what reads movie fragments, in files and in streams: one file that is put
 * together box by box.
 */
#ifndef TEST_MP4_FRAGMENTS_H
#define TEST_MP4_FRAGMENTS_H

#include "test_mp4_file.h"

enum {
    NON_SYNC = 0x10000,
    /* tfhd */
    BASE = 0x1,
    ENTRY = 0x2,
    DURATION = 0x8,
    SIZE = 0x10,
    FLAGS = 0x20,
    BASE_IS_MOOF = 0x20000,
    /* trun */
    DATA_OFFSET = 0x1,
    FIRST_FLAGS = 0x4,
    EACH_DURATION = 0x100,
    EACH_SIZE = 0x200,
    EACH_FLAGS = 0x400,
    EACH_OFFSET = 0x800,
};

static struct file file;
static size_t moof, traf;

/* trex: a video of number 1 and sound of number 2, with two sample entries each. */
struct defaults {
    uint32_t entry, duration, size, flags;
};

static inline void put_track(uint32_t id, const char *handler, bool has_sample)
{
    const struct track_boxes boxes = open_track(&file, id, handler);
    put_stsd(&file, 2);
    if (has_sample) {
        put_table(&file, "stts", 2, (const uint32_t[]){1, 100}, 2);
        put_table(&file, "stsc", 3, (const uint32_t[]){1, 1, 1}, 3);
        put_table(&file, "stco", 1, (const uint32_t[]){8}, 1);
        const size_t box = open_full_box(&file, "stsz", 0, 0);
        put32(&file, 5);
        put32(&file, 1);
        close_box(&file, box);
    }
    close_track(&file, boxes);
}

static inline void begin(const struct defaults *defaults, bool has_sample)
{
    file = (struct file){.size = 0};
    put_ftyp(&file, "iso6");
    const size_t moov = open_box(&file, "moov");
    put_mvhd(&file);
    const size_t mvex = open_box(&file, "mvex"); /* before the tracks it speaks of: that is fine */
    for (uint32_t id = 1; id <= 3; id++) {
        const size_t trex = open_full_box(&file, "trex", 0, 0);
        put32(&file, id);
        put32(&file, defaults->entry);
        put32(&file, defaults->duration);
        put32(&file, defaults->size);
        put32(&file, defaults->flags);
        close_box(&file, trex);
    }
    close_box(&file, mvex);
    put_track(1, "vide", has_sample);
    put_track(2, "soun", false);
    close_box(&file, moov);
}

static const struct defaults plain = {.entry = 1, .duration = 10, .size = 4};

static inline void open_moof(void)
{
    moof = open_box(&file, "moof");
    const size_t mfhd = open_full_box(&file, "mfhd", 0, 0);
    put32(&file, 1);
    close_box(&file, mfhd);
}

/* A track fragment, with the fields that `flags` speak of, 32 bits each but for the base's 64. */
static inline void open_traf(uint32_t id, uint32_t flags, uint64_t base, const uint32_t *fields)
{
    traf = open_box(&file, "traf");
    const size_t tfhd = open_full_box(&file, "tfhd", 0, flags);
    put32(&file, id);
    if (flags & BASE)
        put64(&file, base);
    for (int i = 0; i < __builtin_popcount(flags & (ENTRY | DURATION | SIZE | FLAGS)); i++)
        put32(&file, fields[i]);
    close_box(&file, tfhd);
}

static inline void put_tfdt(unsigned version, uint64_t dts)
{
    const size_t tfdt = open_full_box(&file, "tfdt", version, 0);
    version == 1 ? put64(&file, dts) : put32(&file, (uint32_t)dts);
    close_box(&file, tfdt);
}

/* A run of `count` samples: what stands behind the count is given as words. */
static inline size_t put_trun(unsigned version, uint32_t flags, uint32_t count,
                              const uint32_t *words, size_t word_count)
{
    const size_t trun = open_full_box(&file, "trun", version, flags);
    put32(&file, count);
    for (size_t i = 0; i < word_count; i++)
        put32(&file, words[i]);
    close_box(&file, trun);
    return trun;
}

#define TRUN(version, flags, count, ...)                                                           \
    put_trun(version, flags, count, (const uint32_t[]){0, ##__VA_ARGS__} + 1,                      \
             sizeof((const uint32_t[]){0, ##__VA_ARGS__}) / 4 - 1)

static inline void close_moof(unsigned media_size)
{
    close_box(&file, moof);
    const size_t mdat = open_box(&file, "mdat");
    for (unsigned i = 0; i < media_size; i++)
        put8(&file, i * 37 & 255);
    close_box(&file, mdat);
}

#endif
