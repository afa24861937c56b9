/* SPDX-License-Identifier: MIT */
/*
 * Films whose samples are described in moov: what the boxes and the tables say, and each thing that
 * can be wrong with them, in files made here box by box. Media of 64 bytes stands at MEDIA.
 */
#include "test_mp4_file.h"

enum { MEDIA = 24, MEDIA_SIZE = 64 };

static struct file file;

static void begin(void)
{
    file = (struct file){.size = 0};
    put_ftyp(&file, "isom");
    const size_t mdat = open_box(&file, "mdat");
    assert_int_equal(file.size, MEDIA);
    for (unsigned i = 0; i < MEDIA_SIZE; i++)
        put8(&file, i);
    close_box(&file, mdat);
}

/* The tables of a track; those with a count of 0 are left out. */
struct tables {
    unsigned entries;
    const uint32_t *durations, *offsets, *sizes, *runs, *chunks, *syncs; /* words */
    size_t duration_words, offset_words, size_words, run_words, chunk_words, sync_words;
    uint32_t fixed_size, fixed_count;
    bool has_no_syncs; /* an empty stss */
    bool has_long_chunks;
};

static void put_tables(const struct tables *tables)
{
    put_stsd(&file, tables->entries);
    put_table(&file, "stts", 2, tables->durations, tables->duration_words);
    if (tables->offset_words > 0)
        put_table(&file, "ctts", 2, tables->offsets, tables->offset_words);
    if (tables->sync_words > 0 || tables->has_no_syncs)
        put_table(&file, "stss", 1, tables->syncs, tables->sync_words);
    const size_t sizes = open_full_box(&file, "stsz", 0, 0);
    put32(&file, tables->fixed_size);
    put32(&file, tables->fixed_size > 0 ? tables->fixed_count : (uint32_t)tables->size_words);
    for (size_t i = 0; i < tables->size_words; i++)
        put32(&file, tables->sizes[i]);
    close_box(&file, sizes);
    put_table(&file, "stsc", 3, tables->runs, tables->run_words);
    put_table(&file, tables->has_long_chunks ? "co64" : "stco", tables->has_long_chunks ? 2 : 1,
              tables->chunks, tables->chunk_words);
}

/* Five samples of 3, 1, 4, 1 and 5 bytes, 10 ticks each, in chunks of two; the third and the fifth
 * are shown early; the first and the fourth are sync samples. */
static const uint32_t durations[] = {5, 10};
static const uint32_t offsets[] = {2, 20, 1, 0, 1, 20, 1, 5};
static const uint32_t sizes[] = {3, 1, 4, 1, 5};
static const uint32_t runs[] = {1, 2, 1};
static const uint32_t chunks[] = {MEDIA, MEDIA + 10, MEDIA + 20};
static const uint32_t syncs[] = {1, 4};
#define FIVE "0:24+3@0+20/10k 0:27+1@10+20/10 0:34+4@20+0/10 0:38+1@30+20/10k 0:44+5@40+5/10"

static struct tables five(void)
{
    return (struct tables){
        .entries = 1,
        .durations = durations,
        .duration_words = COUNT_OF(durations),
        .offsets = offsets,
        .offset_words = COUNT_OF(offsets),
        .sizes = sizes,
        .size_words = COUNT_OF(sizes),
        .runs = runs,
        .run_words = COUNT_OF(runs),
        .chunks = chunks,
        .chunk_words = COUNT_OF(chunks),
        .syncs = syncs,
        .sync_words = COUNT_OF(syncs),
    };
}

static void put_track(uint32_t id, const char *handler, const struct tables *tables)
{
    const struct track_boxes boxes = open_track(&file, id, handler);
    put_tables(tables);
    close_track(&file, boxes);
}

static void put_moov(const struct tables *tables)
{
    const size_t moov = open_box(&file, "moov");
    put_mvhd(&file);
    put_track(7, "vide", tables);
    close_box(&file, moov);
}

/* A whole file. */
static void make(const struct tables *tables)
{
    begin();
    put_moov(tables);
}

static void make_five(void)
{
    const struct tables tables = five();
    make(&tables);
}

/* Makes the box `type` say that it has `count` entries. */
static void claim(const char *type, size_t at, uint32_t count)
{
    set32(&file, find(&file, type) + at, count);
}

/* ---- Samples --------------------------------------------------------------------------------- */

static void five_samples(void **state)
{
    make_five();
    expect_samples(&file, FIVE);
    const struct reading *const reading = read_all(&file);
    assert_int_equal(reading->movie.timescale, 600);
    assert_int_equal(reading->movie.track_count, 1);
    assert_false(reading->movie.is_fragmented);
    assert_false(reading->movie.is_quicktime);
    assert_false(reading->movie.moov_is_first);
    assert_int_equal(reading->movie.mdat_size, 8 + MEDIA_SIZE);
    assert_int_equal(reading->movie.moov_size, file.size - MEDIA - MEDIA_SIZE);
}

static void index_comes_first(void **state)
{
    file = (struct file){.size = 0};
    struct tables tables = five();
    put_ftyp(&file, "qt  ");
    put_moov(&tables);
    const size_t size = file.size + 8;
    const uint32_t places[] = {(uint32_t)size, (uint32_t)size + 10, (uint32_t)size + 20};
    tables.chunks = places;
    file.size = 0;
    put_ftyp(&file, "qt  ");
    put_moov(&tables);
    const size_t mdat = open_box(&file, "mdat");
    put_zeros(&file, MEDIA_SIZE);
    close_box(&file, mdat);
    const struct reading *const reading = read_all(&file);
    assert_int_equal(reading->result, 0);
    assert_int_equal(reading->sample_count, 5);
    assert_true(reading->movie.moov_is_first);
    assert_true(reading->movie.is_quicktime);
}

static void sync_samples(void **state)
{
    struct tables tables = five();
    tables.offset_words = 0;
    tables.sync_words = 0;
    make(&tables); /* no stss: all of them */
    expect_samples(&file, "0:24+3@0+0/10k 0:27+1@10+0/10k 0:34+4@20+0/10k 0:38+1@30+0/10k "
                          "0:44+5@40+0/10k");
    tables.has_no_syncs = true;
    make(&tables); /* an empty one: none */
    expect_samples(&file, "0:24+3@0+0/10 0:27+1@10+0/10 0:34+4@20+0/10 0:38+1@30+0/10 "
                          "0:44+5@40+0/10");
    static const uint32_t odd[] = {2, 2, 5, 5, 9}; /* twice, beyond the end */
    tables.syncs = odd;
    tables.sync_words = COUNT_OF(odd);
    make(&tables);
    expect_samples(&file, "0:24+3@0+0/10 0:27+1@10+0/10k 0:34+4@20+0/10 0:38+1@30+0/10 "
                          "0:44+5@40+0/10k");
    static const uint32_t falls[] = {4, 1};
    tables.syncs = falls;
    tables.sync_words = COUNT_OF(falls);
    make(&tables);
    expect_damage(&file, "the table 'stss' of track 7 speaks of sample 1 behind 4");
    tables.syncs = (const uint32_t[]){0};
    tables.sync_words = 1;
    make(&tables);
    expect_damage(&file, "the table 'stss' of track 7 speaks of sample 0 behind 0");
}

static void composition_offsets(void **state)
{
    static const uint32_t negative[] = {1, (uint32_t)-3, 0, 77, 3, 4, 1, 0x80000000};
    struct tables tables = five();
    tables.sync_words = 0;
    tables.offsets = negative;
    tables.offset_words = COUNT_OF(negative);
    make(&tables); /* version 0 */
    expect_samples(&file, "0:24+3@0-3/10k 0:27+1@10+4/10k 0:34+4@20+4/10k 0:38+1@30+4/10k "
                          "0:44+5@40-2147483648/10k");
    tables.offset_words = 6; /* for four of five samples */
    make(&tables);
    expect_damage(&file, "the table 'ctts' of track 7 ends at sample 4 of 5");
}

static void durations_end_early(void **state)
{
    static const uint32_t few[] = {0, 9, 1, 5, 2, 0};
    struct tables tables = five();
    tables.offset_words = tables.sync_words = 0;
    tables.durations = few;
    tables.duration_words = COUNT_OF(few);
    make(&tables); /* the last goes on */
    expect_samples(&file, "0:24+3@0+0/5k 0:27+1@5+0/0k 0:34+4@5+0/0k 0:38+1@5+0/0k 0:44+5@5+0/0k");
    tables.duration_words = 0;
    make(&tables);
    expect_damage(&file, "the table 'stts' of track 7 ends at sample 0 of 5");
    static const uint32_t negative[] = {2, 1, 3, 0x80000000};
    tables.durations = negative;
    tables.duration_words = COUNT_OF(negative);
    make(&tables);
    expect_damage(&file, "sample 2 of track 7 has a negative duration");
}

static void sizes_of_all_kinds(void **state)
{
    static const struct {
        unsigned bits;
        const char *bytes;
        size_t size;
    } rows[] = {
        {4, "\x31\x41\x50", 3},
        {8, "\3\1\4\1\5", 5},
        {16, "\0\3\0\1\0\4\0\1\0\5", 10},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make_five();
        /* In the place of the stsz, and of what it leaves. */
        const size_t stsz = find(&file, "stsz"), size = file.size;
        memset(file.data + stsz + 4, 0, 36);
        file.size = stsz;
        const size_t stz2 = open_full_box(&file, "stz2", 0, 0);
        put32(&file, rows[i].bits);
        put32(&file, 5);
        put(&file, rows[i].bytes, rows[i].size);
        close_box(&file, stz2);
        const size_t rest = stsz + 40 - file.size;
        put32(&file, (uint32_t)rest);
        put(&file, "free", 4);
        file.size = size;
        expect_samples(&file, FIVE);
        set32(&file, stz2 + 16, 40); /* more than the box has room for */
        assert_int_equal(read_all(&file)->result, -LEAT_E_MALFORMED);
    }
    set32(&file, find(&file, "stz2") + 12, 7);
    expect_damage(&file, "its table 'stz2' has sizes of 7 bits");

    struct tables tables = five();
    tables.size_words = tables.offset_words = tables.sync_words = 0;
    tables.fixed_size = 2;
    tables.fixed_count = 3;
    make(&tables);
    expect_samples(&file, "0:24+2@0+0/10k 0:26+2@10+0/10k 0:34+2@20+0/10k");
}

static void chunks_and_runs(void **state)
{
    static const uint32_t several[] = {1, 1, 1, 2, 0, 1, 3, 4, 2};
    struct tables tables = five();
    tables.entries = 2;
    tables.offset_words = tables.sync_words = 0;
    tables.runs = several;
    tables.run_words = COUNT_OF(several);
    make(&tables); /* a chunk with nothing in it is passed over */
    expect_samples(&file, "0:24+3@0+0/10k 0:44+1@10+0/10k#1 0:45+4@20+0/10k#1 "
                          "0:49+1@30+0/10k#1 0:50+5@40+0/10k#1");
    tables.entries = 1;
    make(&tables);
    expect_damage(&file, "the table 'stsc' of track 7 speaks of sample entry 2 of 1");

    static const struct {
        uint32_t runs[6];
        size_t words;
        const char *reason;
    } rows[] = {
        {{2, 2, 1}, 3, "the table 'stsc' of track 7 does not begin with the first chunk"},
        {{1, 2, 1}, 0, "the table 'stsc' of track 7 does not begin with the first chunk"},
        {{1, 1, 1}, 3, "the table 'stco' of track 7 ends at sample 3 of 5"},
        {{1, 2, 0}, 3, "the table 'stsc' of track 7 speaks of sample entry 0 of 1"},
        {{0, 2, 1}, 3, "the table 'stsc' of track 7 speaks of chunk 0, behind 0 and of 3"},
        {{1, 2, 1, 1, 2, 1}, 6, "the table 'stsc' of track 7 speaks of chunk 1, behind 1 and of 3"},
        {{1, 2, 1, 4, 2, 1}, 6, "the table 'stsc' of track 7 speaks of chunk 4, behind 1 and of 3"},
        {{1, 0, 1}, 3, "the table 'stco' of track 7 ends at sample 0 of 5"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        tables.runs = rows[i].runs;
        tables.run_words = rows[i].words;
        make(&tables);
        expect_damage(&file, rows[i].reason);
    }
}

/* Tables of many windows. */
enum { COUNT = 20000, IN_CHUNK = 3 };

static void make_many(void)
{
    static uint32_t many_sizes[COUNT], many_chunks[COUNT / IN_CHUNK + 1], many_syncs[COUNT / 4];
    static uint32_t many_durations[2 * COUNT], many_offsets[2 * COUNT];
    struct tables tables = five();
    file = (struct file){.size = 0};
    for (uint32_t i = 0; i < COUNT; i++) {
        many_sizes[i] = i % 5;
        many_durations[2 * i] = many_offsets[2 * i] = 1;
        many_durations[2 * i + 1] = i;
        many_offsets[2 * i + 1] = i % 7;
    }
    for (uint32_t i = 0; i < COUNT_OF(many_chunks); i++)
        many_chunks[i] = 10 * i;
    for (uint32_t i = 0; i < COUNT_OF(many_syncs); i++)
        many_syncs[i] = 4 * i + 1;
    tables.sizes = many_sizes, tables.size_words = COUNT;
    tables.durations = many_durations, tables.duration_words = COUNT_OF(many_durations);
    tables.offsets = many_offsets, tables.offset_words = COUNT_OF(many_offsets);
    tables.chunks = many_chunks, tables.chunk_words = COUNT_OF(many_chunks);
    tables.syncs = many_syncs, tables.sync_words = COUNT_OF(many_syncs);
    const uint32_t threes[] = {1, IN_CHUNK, 1};
    tables.runs = threes;
    make(&tables);
}

static int check_sample(unsigned track, const struct mp4_sample *sample, void *user)
{
    struct reading *const reading = user;
    const uint32_t index = reading->sample_count++;
    const uint32_t first = index - index % 3;
    uint64_t offset = 10 * (index / 3);
    for (uint32_t i = first; i < index; i++)
        offset += i % 5;
    const uint64_t dts = (uint64_t)index * (index - (index > 0)) / 2;
    assert_int_equal(track, 0);
    assert_int_equal(sample->offset, offset);
    assert_int_equal(sample->size, index % 5);
    assert_int_equal(sample->dts, dts);
    assert_int_equal(sample->duration, index);
    assert_int_equal(sample->cto, index % 7);
    assert_int_equal(sample->is_sync, index % 4 == 0);
    return 0;
}

static void many_samples(void **state)
{
    make_many();
    struct reading reading = {.file = &file};
    const struct mp4_source source = {read_file, &reading, file.size};
    const struct mp4_events events = {note_track, check_sample, &reading};
    assert_int_equal(mp4_read(&source, &events, &reading.movie, &reading.problem), 0);
    assert_int_equal(reading.sample_count, COUNT);
    assert_true(reading.read_count < 100);
}

/* ---- Large files ----------------------------------------------------------------------------- */

/* 5 GB of media in one box of a 64-bit size, the index behind it, and places of 64 bits. */
static void five_gigabytes(void **state)
{
    const uint64_t hole = 5000000000;
    const uint32_t places[] = {0, 32, 1, 705032704, 1, 705032704 + 5};
    struct tables tables = five();
    tables.chunks = places;
    tables.chunk_words = COUNT_OF(places);
    tables.has_long_chunks = true;
    file = (struct file){.hole = hole};
    put_ftyp(&file, "isom");
    put32(&file, 1);
    put(&file, "mdat", 4);
    put64(&file, 16 + hole);
    file.hole_offset = file.size;
    put_moov(&tables);
    expect_samples(&file, "0:32+3@0+20/10k 0:35+1@10+20/10 0:5000000000+4@20+0/10 "
                          "0:5000000004+1@30+20/10k 0:5000000005+5@40+5/10");
    assert_true(read_all(&file)->read_bytes < 100000);
    assert_int_equal(read_all(&file)->movie.mdat_size, hole + 16);
}

/* ---- What is wrong with tables --------------------------------------------------------------- */

static void tables_claim_too_much(void **state)
{
    static const struct {
        const char *type, *reason;
        size_t at;
    } rows[] = {
        {"stsz", "its table 'stsz' claims 4294967295 entries, and has room for 5", 16},
        {"stts", "its table 'stts' claims 4294967295 entries, and has room for 1", 12},
        {"ctts", "its table 'ctts' claims 4294967295 entries, and has room for 4", 12},
        {"stsc", "its table 'stsc' claims 4294967295 entries, and has room for 1", 12},
        {"stco", "its table 'stco' claims 4294967295 entries, and has room for 3", 12},
        {"stss", "its table 'stss' claims 4294967295 entries, and has room for 2", 12},
        {"stsd", "the sample entries (stsd) of track 7 are damaged", 12},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make_five();
        claim(rows[i].type, rows[i].at, UINT32_MAX);
        expect_damage(&file, rows[i].reason);
        assert_int_equal(read_all(&file)->sample_count, 0);
    }
    struct tables tables = five();
    tables.size_words = 0;
    tables.fixed_size = 1;
    tables.fixed_count = (uint32_t)file.size + 1000;
    make(&tables);
    expect_damage(&file, "it claims more samples than the file has bytes");
    tables.fixed_count = UINT32_MAX;
    make(&tables);
    expect_problem(&file, -LEAT_E_LIMIT, "track 7 has 4294967295 samples, 16777216 are read");
}

static void tables_are_missing(void **state)
{
    static const struct {
        const char *type, *reason;
    } rows[] = {
        {"stsd", "track 7 has no sample entries (stsd)"},
        {"stsz", "track 7 has no table of its samples' sizes (stsz)"},
        {"stts", "track 7 has no table of its durations (stts)"},
        {"stsc", "track 7 has no table of its chunks (stsc)"},
        {"stco", "track 7 has no table of its chunks' places (stco)"},
        {"tkhd", "a track has no number (tkhd)"},
        {"mdhd", "track 7 has no usable timescale (mdhd)"},
        {"hdlr", "track 7 does not say what it is (hdlr)"},
        {"mvhd", "its index has no usable timescale (mvhd)"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make_five();
        memcpy(file.data + find(&file, rows[i].type) + 4, "free", 4);
        expect_damage(&file, rows[i].reason);
        /* and too short */
        make_five();
        const size_t at = find(&file, rows[i].type);
        const uint32_t size = (uint32_t)file.data[at + 2] << 8 | file.data[at + 3];
        set32(&file, at, 8);
        set32(&file, at + 8, size - 8); /* one that is not known takes its place */
        assert_int_equal(read_all(&file)->result, -LEAT_E_MALFORMED);
    }
}

static void samples_lie_beyond_the_end(void **state)
{
    uint32_t places[] = {MEDIA, 100000, MEDIA + 20};
    struct tables tables = five();
    tables.chunks = places;
    make(&tables);
    expect_damage(&file, "the file ends before its media: 2 of 5 samples of track 7 are there");
    make(&tables); /* the last byte, and one more */
    places[1] = (uint32_t)file.size - 5;
    make(&tables);
    assert_int_equal(read_all(&file)->result, 0);
    places[1]++;
    make(&tables);
    expect_damage(&file, "the file ends before its media: 3 of 5 samples of track 7 are there");
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

static void what_is_no_film(void **state)
{
    static const struct {
        struct leat_slice text;
        const char *reason;
    } rows[] = {
        {{NULL, 0}, "the file is empty"},
        {{"1234567", 7}, "it is no MP4: it begins with no box that is known"},
        {{"This is a text that somebody named so.\n", 39},
         "it is no MP4: it begins with no box that is known"},
        {{"\0\0\0\7mdat", 8}, "it has no index (moov): it was not written to its end"},
        {{"\0\0\1\0mdat", 8},
         "the file ends before its index (moov): 248 bytes and more are missing"},
        {{"\0\0\1\0moov", 8}, "its index (moov) is cut off"},
        {{"\0\0\1\0moof", 8}, "the file ends within a fragment, in its box 'moof'"},
        {{"\0\0\0\10moof", 8}, "it has fragments and no index (moov): its init segment is missing"},
        {{"\0\0\0\1mdat", 8}, "it has no index (moov): it was not written to its end"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        file = (struct file){.size = 0};
        if (rows[i].text.size > 0)
            put(&file, rows[i].text.data, rows[i].text.size);
        expect_damage(&file, rows[i].reason);
    }
}

static void what_stands_around(void **state)
{
    make_five();
    put(&file, "junk", 4); /* less than a box's header */
    expect_samples(&file, FIVE);
    put(&file, "\1\2\3\4\5\6\7", 7); /* a box beyond the end */
    expect_samples(&file, FIVE);
    make_five();
    put(&file, "\0\0\0\3abcdefg", 11); /* a size that is none */
    expect_samples(&file, FIVE);
    make_five();
    put32(&file, 1);
    put(&file, "abcd", 4);
    put64(&file, UINT64_MAX);
    expect_samples(&file, FIVE);

    /* A second index is not looked at. */
    make_five();
    const size_t moov = open_box(&file, "moov");
    put_zeros(&file, 100);
    close_box(&file, moov);
    expect_samples(&file, FIVE);
    set32(&file, moov, 1000);
    expect_samples(&file, FIVE);
}

static void media_to_the_end(void **state)
{
    struct tables tables = five();
    uint32_t places[3];
    for (unsigned size = 0; size < 3; size += 2) {
        file = (struct file){.size = 0};
        put_ftyp(&file, "isom");
        put_moov(&tables); /* for its size */
        for (unsigned i = 0; i < 3; i++)
            places[i] = (uint32_t)file.size + 8 + i;
        tables.chunks = places;
        file.size = 16;
        put_moov(&tables);
        put32(&file, size == 0 ? 0 : 1000); /* to the end of the file, or beyond it */
        put(&file, "mdat", 4);
        put_zeros(&file, MEDIA_SIZE);
        assert_int_equal(read_all(&file)->result, 0);
        assert_int_equal(read_all(&file)->movie.mdat_size, 8 + MEDIA_SIZE);
    }
}

static void boxes_are_too_large(void **state)
{
    static const char *const rows[][3] = {
        {"trak", "its box 'trak' is larger than 'moov', which it is in"},
        {"mdia", "its box 'mdia' is larger than 'trak', which it is in"},
        {"stbl", "its box 'stbl' is larger than 'minf', which it is in"},
        {"stco", "its box 'stco' is larger than 'stbl', which it is in"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make_five();
        const size_t at = find(&file, rows[i][0]);
        set32(&file, at, (uint32_t)(file.size - at) + 1);
        expect_damage(&file, rows[i][1]);
        set32(&file, at, 5);
        assert_int_equal(read_all(&file)->result, -LEAT_E_MALFORMED);
    }
    make_five();
    const size_t moov = find(&file, "moov");
    memcpy(file.data + moov + 8 + 4, "cmov", 4);
    expect_damage(&file, "its index is compressed (cmov)");
}

/* Cut anywhere, it is refused, and nothing is read beyond. */
static void cut_at_every_place(void **state)
{
    make_five();
    const size_t size = file.size;
    for (size_t cut = 0; cut < size; cut++) {
        file.size = cut;
        const struct reading *const reading = read_all(&file);
        assert_int_equal(reading->result, -LEAT_E_MALFORMED);
        assert_true(reading->problem.reason[0] != '\0');
        assert_true(reading->problem.offset <= cut);
    }
}

/* Each byte changed to each of a few values: it is read or refused, and samples lie in the file. */
static void every_byte_damaged(void **state)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0xff};
    make_five();
    for (size_t at = 0; at < file.size; at++) {
        const unsigned char was = file.data[at];
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            file.data[at] = values[i];
            const int result = read_all(&file)->result;
            assert_true(result == 0 || result == -LEAT_E_MALFORMED || result == -LEAT_E_LIMIT);
        }
        file.data[at] = was;
    }
}

/* ---- Errors that are not the file's ---------------------------------------------------------- */

static void errors_are_passed_on(void **state)
{
    static struct reading reading;
    make_many(); /* so that every table has more than a window */
    reading = (struct reading){.file = &file};
    read_again(&reading);
    const unsigned reads = reading.read_count;
    assert_true(reads > 20);
    for (unsigned i = 1; i <= reads; i++) {
        reading.fail_read = i;
        snprintf(reading.problem.reason, sizeof(reading.problem.reason), "as it was");
        read_again(&reading);
        assert_int_equal(reading.result, -EIO);
        assert_string_equal(reading.problem.reason, "as it was");
    }
    reading.fail_read = 0;
    for (unsigned i = 1; i <= COUNT; i += 613) {
        reading.fail_sample = i;
        read_again(&reading);
        assert_int_equal(reading.result, -ECANCELED);
        assert_int_equal(reading.sample_count, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_samples),         cmocka_unit_test(index_comes_first),
        cmocka_unit_test(sync_samples),         cmocka_unit_test(composition_offsets),
        cmocka_unit_test(durations_end_early),  cmocka_unit_test(sizes_of_all_kinds),
        cmocka_unit_test(chunks_and_runs),      cmocka_unit_test(many_samples),
        cmocka_unit_test(five_gigabytes),       cmocka_unit_test(tables_claim_too_much),
        cmocka_unit_test(tables_are_missing),   cmocka_unit_test(samples_lie_beyond_the_end),
        cmocka_unit_test(what_is_no_film),      cmocka_unit_test(what_stands_around),
        cmocka_unit_test(media_to_the_end),     cmocka_unit_test(boxes_are_too_large),
        cmocka_unit_test(cut_at_every_place),   cmocka_unit_test(every_byte_damaged),
        cmocka_unit_test(errors_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
