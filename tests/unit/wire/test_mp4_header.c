/* SPDX-License-Identifier: MIT */
/*
 * Films: what the headers of the movie and of its tracks say, which tracks are told of, and which
 * are left out. Each track has one sample.
 */
#include "test_mp4_file.h"

#define ONE "0:8+4@0+0/10k"

static struct file file;

static size_t open_moov(void)
{
    file = (struct file){.size = 0};
    put_ftyp(&file, "isom");
    const size_t moov = open_box(&file, "moov");
    put_mvhd(&file);
    return moov;
}

static void put_tables(void)
{
    put_stsd(&file, 1);
    put_table(&file, "stts", 2, (const uint32_t[]){1, 10}, 2);
    put_table(&file, "stsc", 3, (const uint32_t[]){1, 1, 1}, 3);
    put_table(&file, "stco", 1, (const uint32_t[]){8}, 1);
    const size_t stsz = open_full_box(&file, "stsz", 0, 0);
    put32(&file, 4);
    put32(&file, 1);
    put32(&file, 0); /* not used, as the size is fixed */
    close_box(&file, stsz);
}

static void put_track(uint32_t id, const char *handler)
{
    const struct track_boxes boxes = open_track(&file, id, handler);
    put_tables();
    close_track(&file, boxes);
}

/* A track with a data reference of `type`, these flags, and so many bytes behind them. */
static void make_reference(const char *type, uint32_t flags, unsigned size)
{
    const size_t moov = open_moov();
    struct track_boxes boxes = open_track(&file, 7, "vide");
    file.size = boxes.stbl;
    const size_t dinf = open_box(&file, "dinf");
    const size_t dref = open_full_box(&file, "dref", 0, 0);
    put32(&file, 1);
    const size_t reference = open_full_box(&file, type, 0, flags);
    put_zeros(&file, size);
    close_box(&file, reference);
    close_box(&file, dref);
    close_box(&file, dinf);
    boxes.stbl = open_box(&file, "stbl");
    put_tables();
    close_track(&file, boxes);
    close_box(&file, moov);
}

static void make_one(void)
{
    const size_t moov = open_moov();
    put_track(7, "vide");
    close_box(&file, moov);
}

static void headers(void **state)
{
    make_one();
    const struct reading *reading = read_all(&file);
    const struct mp4_track *const track = &reading->tracks[0];
    assert_int_equal(track->id, 7);
    assert_int_equal(track->handler, VIDE);
    assert_int_equal(track->timescale, SECOND);
    assert_string_equal(track->language, "eng");
    assert_true(track->is_enabled);
    assert_int_equal(track->width, 640 << 16);
    assert_int_equal(track->height, 360 << 16);
    assert_int_equal(track->matrix[3], 1);
    assert_int_equal(track->matrix[35], 9);
    assert_int_equal(track->edit_count, 0);
    assert_int_equal(track->entry_count, 1);
    assert_int_equal(track->stsd.size, 86);
    assert_int_equal(track->codec.fourcc, MP4_FOURCC('a', 'b', 'c', 'd'));
    assert_int_equal(track->codec.width, 320);
    assert_int_equal(track->codec.height, 240);
}

/* A moov with one track, whose headers are of version 1. */
static void long_headers(void **state)
{
    file = (struct file){.size = 0};
    put_ftyp(&file, "isom");
    const size_t moov = open_box(&file, "moov");
    size_t box = open_full_box(&file, "mvhd", 1, 0);
    put_zeros(&file, 16);
    put32(&file, 601);
    put_zeros(&file, 88);
    close_box(&file, box);
    const size_t trak = open_box(&file, "trak");
    box = open_full_box(&file, "tkhd", 1, 6);
    put_zeros(&file, 16);
    put32(&file, 9);
    put_zeros(&file, 28);
    put_zeros(&file, 36);
    put64(&file, 0x100000002);
    close_box(&file, box);
    const size_t mdia = open_box(&file, "mdia");
    box = open_full_box(&file, "mdhd", 1, 0);
    put_zeros(&file, 16);
    put32(&file, INT32_MAX);
    put64(&file, 0);
    put32(&file, 0x10b50000); /* "deu" */
    close_box(&file, box);
    put_hdlr(&file, "soun");
    const size_t minf = open_box(&file, "minf");
    const size_t stbl = open_box(&file, "stbl");
    put_stsd(&file, 1);
    const size_t stsz = open_full_box(&file, "stsz", 0, 0);
    put64(&file, 0);
    close_box(&file, stsz);
    close_track(&file, (struct track_boxes){trak, mdia, minf, stbl});
    close_box(&file, moov);
    const struct reading *const reading = read_all(&file);
    assert_int_equal(reading->result, 0);
    assert_int_equal(reading->movie.timescale, 601);
    assert_int_equal(reading->tracks[0].id, 9);
    assert_false(reading->tracks[0].is_enabled);
    assert_int_equal(reading->tracks[0].width, 1);
    assert_int_equal(reading->tracks[0].height, 2);
    assert_int_equal(reading->tracks[0].timescale, INT32_MAX);
    assert_string_equal(reading->tracks[0].language, "deu");
}

static void languages(void **state)
{
    static const struct {
        unsigned code;
        const char *brand, *text;
    } rows[] = {
        {0x15c7, "isom", "eng"}, {0x55c4, "isom", "und"}, {0, "isom", "und"},
        {0, "qt  ", "eng"},      {2, "qt  ", "deu"},      {500, "qt  ", "und"},
        {0x7fff, "qt  ", "und"}, {0x5400, "isom", "und"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make_one();
        memcpy(file.data + 8, rows[i].brand, 4);
        file.data[find(&file, "mdhd") + 28] = (unsigned char)(rows[i].code >> 8);
        file.data[find(&file, "mdhd") + 29] = (unsigned char)rows[i].code;
        assert_string_equal(read_all(&file)->tracks[0].language, rows[i].text);
    }
}

static void make_edits(unsigned version, uint32_t count, const uint64_t *values)
{
    const size_t moov = open_moov();
    const size_t trak = open_box(&file, "trak");
    put_tkhd(&file, 7);
    const size_t edts = open_box(&file, "edts");
    const size_t elst = open_full_box(&file, "elst", version, 0);
    put32(&file, count);
    for (uint32_t i = 0; i < count; i++) {
        for (unsigned k = 0; k < 2; k++)
            version == 1 ? put64(&file, values[3 * i + k])
                         : put32(&file, (uint32_t)values[3 * i + k]);
        put32(&file, (uint32_t)values[3 * i + 2]);
    }
    close_box(&file, elst);
    close_box(&file, edts);
    const size_t mdia = open_box(&file, "mdia");
    put_mdhd(&file, SECOND, 0);
    put_hdlr(&file, "vide");
    const size_t minf = open_box(&file, "minf");
    const size_t stbl = open_box(&file, "stbl");
    put_tables();
    close_track(&file, (struct track_boxes){trak, mdia, minf, stbl});
    close_box(&file, moov);
}

static void edits(void **state)
{
    static const uint64_t values[] = {100, UINT64_MAX, 0x10000, 0, 0x12345, 0x10000, 7, 8, 0x8000};
    for (unsigned version = 0; version <= 1; version++) {
        make_edits(version, 3, values);
        expect_samples(&file, ONE);
        const struct mp4_track *const track = &read_all(&file)->tracks[0];
        assert_int_equal(track->edit_count, 3);
        assert_int_equal(track->edits[0].duration, 100);
        assert_true(track->edits[0].media_time == -1 && track->edits[0].is_plain);
        assert_int_equal(track->edits[1].media_time, 0x12345);
        assert_false(track->edits[2].is_plain);
        set32(&file, find(&file, "elst") + 12, 4);
        expect_damage(&file, "its box 'elst' is too short");
    }
    make_edits(1, 1, (const uint64_t[]){UINT64_C(1) << 40, UINT64_C(1) << 41, 0x10000});
    assert_true(read_all(&file)->tracks[0].edits[0].duration == UINT64_C(1) << 40);
    assert_true(read_all(&file)->tracks[0].edits[0].media_time == INT64_C(1) << 41);
    make_edits(0, 1, (const uint64_t[]){0, (uint64_t)-2, 0x10000});
    expect_damage(&file, "an edit of track 7 begins before its media");
    static const uint64_t many[3 * (MP4_EDITS_MAX + 1)];
    make_edits(1, MP4_EDITS_MAX, many);
    assert_int_equal(read_all(&file)->result, 0);
    make_edits(1, MP4_EDITS_MAX + 1, many);
    expect_problem(&file, -LEAT_E_LIMIT, "track 7 has 17 edits, 16 are read");
}

/* ---- Tracks ---------------------------------------------------------------------------------- */

static void tracks_of_no_interest(void **state)
{
    const size_t moov = open_moov();
    put_track(1, "vide");
    put_track(2, "text");
    put_track(3, "soun");
    close_box(&file, moov);
    static struct reading reading;
    reading = (struct reading){.file = &file, .unwanted = VIDE};
    read_again(&reading);
    assert_int_equal(reading.result, 0);
    assert_int_equal(reading.sample_count, 2);
    assert_int_equal(reading.movie.track_count, 3);
    assert_int_equal(reading.tracks[1].id, 2);
    set32(&file, find(&file, "stsz") + 16,
          UINT32_MAX); /* the tables of what is not wanted are not even read */
    read_again(&reading);
    assert_int_equal(reading.result, 0);

    /* A damaged track that is neither video nor audio is left out. */
    const size_t again = open_moov();
    put_track(1, "text");
    put_track(2, "vide");
    close_box(&file, again);
    set32(&file, find(&file, "mdhd") + 20, 0);
    expect_samples(&file, ONE);
    assert_int_equal(read_all(&file)->tracks[0].id, 2);
    assert_int_equal(read_all(&file)->movie.track_count, 1);
}

static void tracks_with_one_number(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        const size_t moov = open_moov();
        put_track(5, "vide");
        put_track(5, i == 0 ? "soun" : "text");
        close_box(&file, moov);
        if (i == 0)
            expect_damage(&file, "two tracks have the number 5");
        else
            expect_samples(&file, ONE);
    }
}

static void too_many_tracks(void **state)
{
    for (unsigned count = MP4_TRACKS_MAX; count <= MP4_TRACKS_MAX + 1; count++) {
        const size_t moov = open_moov();
        for (unsigned i = 1; i <= count; i++)
            put_track(i, "vide");
        close_box(&file, moov);
        assert_int_equal(read_all(&file)->result, count == MP4_TRACKS_MAX ? 0 : -LEAT_E_LIMIT);
    }
    assert_string_equal(read_all(&file)->problem.reason, "it has more than 32 tracks");
}

/* A QuickTime film may be a list of places in other files. */
static void media_in_other_files(void **state)
{
    make_reference("url ", 1, 0);
    expect_samples(&file, ONE);
    make_reference("alis", 1, 20);
    expect_samples(&file, ONE);
    make_reference("url ", 0, 1); /* an empty place */
    expect_samples(&file, ONE);
    make_reference("url ", 0, 20);
    expect_damage(&file, "the media of track 7 is in another file (dref)");
    make_reference("alis", 0, 200);
    expect_damage(&file, "the media of track 7 is in another file (dref)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(long_headers),
        cmocka_unit_test(languages),
        cmocka_unit_test(edits),
        cmocka_unit_test(tracks_of_no_interest),
        cmocka_unit_test(tracks_with_one_number),
        cmocka_unit_test(too_many_tracks),
        cmocka_unit_test(media_in_other_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
