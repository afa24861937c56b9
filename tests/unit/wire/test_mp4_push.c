/* SPDX-License-Identifier: MIT */
/*
 * Fragmented MP4 as it is pushed: fragments that are put together here, in the forms that there
 * are, with descriptions that change, and damaged. Whatever the pieces, the same is told.
 */
#include "test_mp4_fragments.h"
#include "test_mp4_push.h"

/* ---- Forms ----------------------------------------------------------------------------------- */

/* As text: index@dts+cto/duration, k, the first byte of it. */
static void expect_told(const char *text)
{
    const struct telling telling = tell_in_pieces(file.data, file.size);
    char line[4096] = "";
    size_t size = 0;
    for (size_t i = 0; i < telling.sample_count; i++) {
        const struct media_sample *const sample = &telling.samples[i].sample;
        size += (size_t)snprintf(line + size, sizeof(line) - size, "%s%u@%lld%+d/%u%s+%zu",
                                 i > 0 ? " " : "", telling.samples[i].index, (long long)sample->dts,
                                 sample->cto, sample->duration, sample->is_sync ? "k" : "",
                                 sample->data.size);
        assert_true(size < sizeof(line));
    }
    if (telling.result != 0 || !telling.is_idle || strcmp(line, text) != 0)
        fail_msg("%d %s: %s\nnot %s", telling.result, telling.reason, line, text);
    free(telling.samples);
}

static void expect_refused(int result, const char *reason)
{
    const struct telling telling = tell_in_pieces(file.data, file.size);
    if (telling.result != result || strcmp(telling.reason, reason) != 0)
        fail_msg("%d %s\nnot %d %s", telling.result, telling.reason, result, reason);
    free(telling.samples);
}

static void run(uint32_t id, uint64_t dts, unsigned count, int32_t place)
{
    open_traf(id, BASE_IS_MOOF, 0, NULL);
    put_tfdt(1, dts);
    TRUN(0, DATA_OFFSET, count, (uint32_t)place);
    close_box(&file, traf);
}

/* One video and one sound, a second each; the sound's samples come where their time is. */
static void are_told_by_their_times(void **state)
{
    begin(&plain, false);
    open_moof();
    run(1, 100, 3, 0);
    run(2, 95, 3, 0);
    const size_t size = file.size - moof + 8;
    set32(&file, find(&file, "trun") + 16, (uint32_t)size);
    close_box(&file, moof);
    file.size = moof;
    open_moof();
    run(1, 100, 3, (int32_t)size);
    run(2, 95, 3, (int32_t)size + 12);
    close_moof(24);
    expect_told("1@95+0/10k+4 0@100+0/10k+4 1@105+0/10k+4 0@110+0/10k+4 1@115+0/10k+4 "
                "0@120+0/10k+4");
    const struct telling telling = tell(file.data, file.size, WHOLE);
    assert_int_equal(telling.samples[0].hash, hash_of(file.data + file.size - 12, 4));
    assert_int_equal(telling.samples[1].hash, hash_of(file.data + file.size - 24, 4));
    assert_int_equal(telling.tracks[0].id, 1);
    assert_int_equal(telling.tracks[0].handler, VIDE);
    assert_int_equal(telling.tracks[1].id, 2);
    free(telling.samples);
}

/* By seconds, not by ticks. */
static void tracks_count_differently(void **state)
{
    enum { TIMESCALE_AT = 20 };
    begin(&plain, false);
    const unsigned char *const second =
        memmem(file.data + find(&file, "mdhd") + 8, file.size, "mdhd", 4);
    assert_non_null(second);
    set32(&file, (size_t)(second - file.data) - 4 + TIMESCALE_AT, 100 * SECOND);
    open_moof();
    run(1, 10, 2, 0);
    const size_t first_place = file.size - 4;
    run(2, 1500, 1, 0);
    const size_t second_place = file.size - 4;
    close_moof(12);
    set32(&file, first_place, (uint32_t)(file.size - 12 - moof));
    set32(&file, second_place, (uint32_t)(file.size - 4 - moof));
    expect_told("0@10+0/10k+4 1@1500+0/10k+4 0@20+0/10k+4");
}

/* A fragment of one run of video, whose data begins where the mdat does. */
static void put_fragment(uint64_t dts, unsigned count)
{
    open_moof();
    run(1, dts, count, 0);
    const size_t at = file.size - 4;
    close_moof(count * 4);
    set32(&file, at, (uint32_t)(file.size - count * 4 - moof));
}

static void many_fragments(void **state)
{
    begin(&plain, false);
    put_fragment(0, 2);
    const size_t styp = open_box(&file, "styp");
    put(&file, "msdh", 4);
    close_box(&file, styp);
    close_box(&file, open_full_box(&file, "sidx", 0, 0));
    put_fragment(20, 1);
    close_box(&file, open_box(&file, "\xa9nam"));
    const size_t other = open_box(&file, "junk"); /* what nobody knows */
    put_zeros(&file, 5000);
    close_box(&file, other);
    put_fragment(1000, 1); /* time jumps */
    put_fragment(10, 1);   /* and falls */
    close_box(&file, open_box(&file, "mfra"));
    expect_told("0@0+0/10k+4 0@10+0/10k+4 0@20+0/10k+4 0@1000+0/10k+4 0@10+0/10k+4");
}

/* Without tfdt it goes on where it was; with the place in the stream; in two runs; in two trafs. */
static void forms(void **state)
{
    begin(&plain, false);
    put_fragment(50, 2);
    open_moof();
    open_traf(1, BASE, moof, NULL);
    const size_t first = TRUN(0, DATA_OFFSET, 1, 0);
    TRUN(1, EACH_SIZE | EACH_OFFSET | EACH_DURATION | EACH_FLAGS, 2, 7, 3, NON_SYNC, 5, 8, 2, 0,
         (uint32_t)-5);
    close_box(&file, traf);
    open_traf(2, BASE_IS_MOOF, 0, NULL);
    put_tfdt(0, 70);
    const size_t second = TRUN(0, DATA_OFFSET, 1, 0);
    close_box(&file, traf);
    open_traf(9, BASE_IS_MOOF, 0, NULL); /* of a track that nobody knows */
    TRUN(0, 0, 1);
    close_box(&file, traf);
    close_moof(13);
    const uint32_t body = (uint32_t)(file.size - 13 - moof);
    set32(&file, first + 16, body);
    set32(&file, second + 16, body + 9);
    expect_told("0@50+0/10k+4 0@60+0/10k+4 0@70+0/10k+4 1@70+0/10k+4 0@80+5/7+3 0@87-5/8k+2");

    /* An mdat with a size of 64 bits, a box before it, and bytes in it that are of no sample. */
    begin(&plain, false);
    open_moof();
    run(1, 0, 1, 0);
    const size_t at = file.size - 4;
    close_box(&file, moof);
    close_box(&file, open_box(&file, "free"));
    put32(&file, 1);
    put(&file, "mdat", 4);
    put64(&file, 16 + 3 + 4 + 2);
    put_zeros(&file, 9);
    set32(&file, at, (uint32_t)(file.size - 6 - moof));
    expect_told("0@0+0/10k+4");

    /* Nothing in it; an mdat that is of no fragment; and one that has no body. */
    begin(&plain, false);
    open_moof();
    close_moof(100);
    open_moof();
    open_traf(1, BASE_IS_MOOF | SIZE, 0, (const uint32_t[]){0});
    TRUN(0, DATA_OFFSET, 1, (uint32_t)(file.size - moof + 28));
    close_box(&file, traf);
    close_moof(0);
    expect_told("0@0+0/10k+0");
}

/* ---- Descriptions ---------------------------------------------------------------------------- */

static uint32_t get32(const struct file *from, size_t at)
{
    uint32_t value;
    memcpy(&value, from->data + at, sizeof(value));
    return be32toh(value);
}

/* Puts an edit list into the track of `handler`; each edit is duration, media time. */
static void put_edits(const char *handler, unsigned version, const int64_t *words, size_t count)
{
    static struct file before;
    const unsigned char *const hdlr = memmem(file.data, file.size, handler, 4);
    assert_non_null(hdlr);
    before = file;
    size_t trak = (size_t)(hdlr - file.data);
    while (memcmp(before.data + trak + 4, "trak", 4) != 0)
        trak--;
    const size_t moov = find(&before, "moov");
    const uint32_t trak_size = get32(&before, trak);
    file.size = trak + trak_size;
    const size_t edts = open_box(&file, "edts");
    const size_t elst = open_full_box(&file, "elst", version, 0);
    put32(&file, (uint32_t)count / 2);
    for (size_t i = 0; i < count; i++) {
        version == 1 ? put64(&file, (uint64_t)words[i]) : put32(&file, (uint32_t)words[i]);
        if (i % 2 == 1)
            put32(&file, 0x10000);
    }
    close_box(&file, elst);
    close_box(&file, edts);
    const size_t added = file.size - trak - trak_size;
    put(&file, before.data + trak + trak_size, before.size - trak - trak_size);
    set32(&file, trak, (uint32_t)(trak_size + added));
    set32(&file, moov, get32(&before, moov) + (uint32_t)added);
}

#define EDITS(handler, version, ...)                                                               \
    put_edits(handler, version, (const int64_t[]){__VA_ARGS__},                                    \
              sizeof((const int64_t[]){__VA_ARGS__}) / 8)

/* The movie counts in 600ths, the tracks in 1000ths of a second. */
static void edit_lists(void **state)
{
    begin(&plain, false);
    EDITS("vide", 0, 0, 25);
    put_fragment(0, 1);
    expect_told("0@-25+0/10k+4");
    begin(&plain, false);
    EDITS("vide", 1, 60, -1, 30, -1, 1000, 7, 10, 9999); /* late by 150 ms */
    put_fragment(0, 1);
    expect_told("0@143+0/10k+4");
    begin(&plain, false);
    EDITS("vide", 0, 60, -1);
    put_fragment(5, 1);
    expect_told("0@105+0/10k+4");
    begin(&plain, false);
    EDITS("vide", 1, 0, INT64_MAX);
    expect_refused(-LEAT_E_MALFORMED, "the edit list of track 1 moves it by ages, at byte 16");
    begin(&plain, false);
    EDITS("vide", 1, -1, -1);
    expect_refused(-LEAT_E_MALFORMED, "the edit list of track 1 moves it by ages, at byte 16");
}

/* A moov of tracks with these numbers, the first of video. */
static void put_moov(uint32_t first, uint32_t last)
{
    const size_t moov = open_box(&file, "moov");
    put_mvhd(&file);
    const size_t mvex = open_box(&file, "mvex");
    for (uint32_t id = first; id <= last; id++) {
        const size_t trex = open_full_box(&file, "trex", 0, 0);
        const uint32_t words[] = {id, 1, 10, 4, 0};
        for (size_t i = 0; i < COUNT_OF(words); i++)
            put32(&file, words[i]);
        close_box(&file, trex);
    }
    close_box(&file, mvex);
    for (uint32_t id = first; id <= last; id++) {
        const struct track_boxes boxes = open_track(&file, id, id == first ? "vide" : "soun");
        put_stsd(&file, 1);
        close_track(&file, boxes);
    }
    close_box(&file, moov);
}

/* Runs of one sample of track `first` and the one behind it. */
static void put_fragment_of_two(uint32_t first)
{
    size_t places[2];
    open_moof();
    for (uint32_t i = 0; i < 2; i++) {
        run(first + i, 7, 1, 0);
        places[i] = file.size - 4;
    }
    close_moof(8);
    for (uint32_t i = 0; i < 2; i++)
        set32(&file, places[i], (uint32_t)(file.size - 8 - moof + 4 * i));
}

/* A track keeps its index whatever moov it stands in. */
static void described_again(void **state)
{
    file = (struct file){.size = 0};
    put_moov(1, 2);
    put_fragment_of_two(1);
    put_moov(2, 3);
    put_fragment_of_two(2);
    expect_told("0@7+0/10k+4 1@7+0/10k+4 1@7+0/10k+4 2@7+0/10k+4");
    const struct telling telling = tell(file.data, file.size, WHOLE);
    assert_int_equal(telling.track_count, 4);
    assert_int_equal(telling.tracks[1].id, 2);
    assert_int_equal(telling.tracks[1].handler, VIDE);
    assert_int_equal(telling.tracks[2].id, 3);
    free(telling.samples);

    /* Track after track, each with a number of its own: there is an end to it. */
    file.size = 0;
    for (uint32_t id = 1; id <= MP4_TRACKS_MAX; id++)
        put_moov(id, id);
    const size_t end = file.size;
    char reason[128];
    put_moov(1, 1);
    expect_told("");
    file.size = end;
    snprintf(reason, sizeof(reason),
             "it has had more than 32 tracks, one after the other, at byte %zu", end);
    put_moov(MP4_TRACKS_MAX + 1, MP4_TRACKS_MAX + 1);
    expect_refused(-LEAT_E_LIMIT, reason);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void no_mp4(void **state)
{
    file = (struct file){.size = 0};
    put(&file, "<!DOCTYPE html><title>hello</title>", 35);
    expect_refused(-LEAT_E_MALFORMED,
                   "it is no MP4: it begins with no box that is known, at byte 0");
    file.size = 0;
    put(&file, "G@\0\x10\0\0\xb0\x0d\0\1\xc1\0\0\0\1\xf0", 16); /* MPEG-TS */
    expect_refused(-LEAT_E_MALFORMED,
                   "it is no MP4: it begins with no box that is known, at byte 0");
    begin(&plain, false);
    const size_t end = file.size;
    char reason[128];
    put_zeros(&file, 8);
    snprintf(reason, sizeof(reason), "there is no box where one must begin, at byte %zu", end);
    expect_refused(-LEAT_E_MALFORMED, reason);
    file.size = end;
    put32(&file, 7);
    put(&file, "free", 4);
    expect_refused(-LEAT_E_MALFORMED, reason);
    file.size = end;
    put32(&file, 1);
    put(&file, "free", 4);
    put64(&file, 15);
    expect_refused(-LEAT_E_MALFORMED, reason);
    file.size = end;
    put32(&file, 1);
    put(&file, "free", 4);
    put64(&file, UINT64_MAX);
    expect_refused(-LEAT_E_MALFORMED, reason);
    file.size = end;
    put32(&file, 100);
    put(&file, "fr\1e", 4);
    expect_refused(-LEAT_E_MALFORMED, reason);
    file.size = end;
    put32(&file, 0);
    put(&file, "mdat", 4);
    snprintf(reason, sizeof(reason), "its box 'mdat' has no size, and so no end, at byte %zu", end);
    expect_refused(-EOPNOTSUPP, reason);
}

static void no_stream(void **state)
{
    begin(&plain, true); /* a sample in the moov */
    char reason[256];
    snprintf(reason, sizeof(reason),
             "samples of track 1 stand in its index (moov), not in fragments: ffmpeg's empty_moov "
             "does otherwise, at byte %zu",
             find(&file, "stsz"));
    expect_refused(-EOPNOTSUPP, reason);
    begin(&plain, false);
    memcpy(file.data + find(&file, "mvex") + 4, "free", 4);
    expect_refused(-EOPNOTSUPP,
                   "it is no fragmented MP4 (moov without mvex): ffmpeg makes one with "
                   "-movflags frag_keyframe+empty_moov, at byte 16");
    begin(&plain, false);
    const size_t trak = find(&file, "trak");
    memcpy(file.data + find(&file, "abcd") + 4, "encv", 4);
    snprintf(reason, sizeof(reason), "track 1 is encrypted, at byte %zu", trak);
    expect_refused(-EOPNOTSUPP, reason);
    begin(&plain, false);
    memcpy(file.data + find(&file, "stsd") + 4, "free", 4);
    snprintf(reason, sizeof(reason), "track 1 has no sample entries (stsd), at byte %zu", trak);
    expect_refused(-LEAT_E_MALFORMED, reason);
    file = (struct file){.size = 0};
    open_moof();
    close_moof(4);
    expect_refused(-LEAT_E_MALFORMED, "a fragment comes before the init segment (moov), at byte 0");
}

static void expect_refused_at_moof(int result, const char *reason)
{
    char line[256];
    snprintf(line, sizeof(line), "%s, at byte %zu", reason, moof);
    expect_refused(result, line);
}

static void damaged_fragments(void **state)
{
    begin(&plain, false);
    put_fragment(0, 3);
    static const uint32_t places[] = {0, 8, 1000, UINT32_MAX - 3, INT32_MAX, 1u << 31};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        set32(&file, find(&file, "trun") + 16, places[i]);
        expect_refused_at_moof(-LEAT_E_MALFORMED,
                               "sample 0 of a fragment does not lie in the mdat that follows it");
    }
    set32(&file, find(&file, "trun") + 16, (uint32_t)(file.size - 12 - moof + 1));
    expect_refused_at_moof(-LEAT_E_MALFORMED,
                           "sample 2 of a fragment does not lie in the mdat that follows it");
    begin(&plain, false);
    open_moof();
    run(1, 0, 1, 0);
    close_box(&file, moof);
    const size_t first = moof;
    open_moof();
    close_moof(0);
    moof = first;
    expect_refused_at_moof(-LEAT_E_MALFORMED, "behind a fragment comes 'moof', and not its mdat");

    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL);
    const size_t trun = TRUN(0, EACH_SIZE, UINT32_MAX, 1, 2, 3);
    close_box(&file, traf);
    close_moof(100);
    char reason[256];
    snprintf(reason, sizeof(reason),
             "a run of track 1 claims 4294967295 samples, and has room for 3, at byte %zu", trun);
    expect_refused(-LEAT_E_MALFORMED, reason);

    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL);
    put_tfdt(1, 1ull << 63);
    TRUN(0, 0, 1);
    close_box(&file, traf);
    close_moof(100);
    expect_refused_at_moof(-LEAT_E_MALFORMED,
                           "a fragment of track 1 begins before the one it follows ends");

    begin(&(struct defaults){.entry = 2, .duration = 10, .size = 4}, false);
    put_fragment(0, 1);
    expect_refused_at_moof(-EOPNOTSUPP, "track 1 goes over to its sample entry 2");
}

static void limits(void **state)
{
    begin(&plain, false);
    const size_t end = file.size;
    char reason[256];
    put32(&file, MP4_PUSH_INDEX_MAX + 1);
    put(&file, "moof", 4);
    snprintf(reason, sizeof(reason), "its 'moof' has 1048577 bytes, 1048576 are taken, at byte %zu",
             end);
    expect_refused(-LEAT_E_LIMIT, reason);
    file.size = end;
    put32(&file, 1);
    put(&file, "moov", 4);
    put64(&file, 1ull << 40);
    snprintf(reason, sizeof(reason),
             "its 'moov' has 1099511627776 bytes, 1048576 are taken, at byte %zu", end);
    expect_refused(-LEAT_E_LIMIT, reason);

    /* The largest mdat may come, and one byte more may not; unless it is of no fragment. */
    for (unsigned more = 0; more < 2; more++) {
        begin(&plain, false);
        put_fragment(0, 1);
        const size_t mdat = file.size - 12;
        file.size -= 4;
        set32(&file, mdat, MP4_PUSH_FRAGMENT_MAX + 8 + more);
        snprintf(reason, sizeof(reason),
                 "the mdat of a fragment has 67108865 bytes, 67108864 are taken, at byte %zu",
                 mdat);
        if (more > 0) {
            expect_refused(-LEAT_E_LIMIT, reason);
        } else {
            const struct telling telling = tell(file.data, file.size, 1);
            assert_int_equal(telling.result, 0);
            assert_false(telling.is_idle);
        }
    }
    begin(&plain, false);
    put32(&file, UINT32_MAX);
    put(&file, "mdat", 4);
    const struct telling skipped = tell(file.data, file.size, 1);
    assert_int_equal(skipped.result, 0);

    begin(&(struct defaults){.entry = 1, .size = MEDIA_SAMPLE_MAX + 1}, false);
    put_fragment(0, 1);
    expect_refused_at_moof(-LEAT_E_LIMIT,
                           "a sample of track 1 has 8388609 bytes, 8388608 are taken");

    /* As many samples as there may be, in two runs of a few bytes; and one more. Those of a track
     * that nobody knows count as well: it takes time to go through them. */
    for (unsigned more = 0; more < 2; more++) {
        begin(&(struct defaults){.entry = 1, .duration = 1}, false);
        open_moof();
        open_traf(1, BASE_IS_MOOF, 0, NULL);
        TRUN(0, DATA_OFFSET, MP4_PUSH_SAMPLES_MAX / 2 + more, 0);
        const size_t place = file.size - 4;
        close_box(&file, traf);
        open_traf(77, BASE_IS_MOOF, 0, NULL);
        const size_t last = TRUN(0, DATA_OFFSET, MP4_PUSH_SAMPLES_MAX / 2, 0);
        close_box(&file, traf);
        close_moof(0);
        set32(&file, place, (uint32_t)(file.size - moof));
        const struct telling telling = tell(file.data, file.size, WHOLE);
        assert_int_equal(telling.result, more ? -LEAT_E_LIMIT : 0);
        assert_int_equal(telling.sample_count, more ? 0 : MP4_PUSH_SAMPLES_MAX / 2);
        snprintf(reason, sizeof(reason), "a fragment has more samples than are taken, at byte %zu",
                 last);
        assert_string_equal(telling.reason, more ? reason : "");
        free(telling.samples);
    }
}

/* An mdat of 64 MiB that is claimed costs what has come of it. */
static void memory_follows_the_bytes(void **state)
{
    struct telling telling = {0};
    begin(&plain, false);
    put_fragment(0, 1);
    file.size -= 4;
    set32(&file, file.size - 8, MP4_PUSH_FRAGMENT_MAX + 8);
    begin_telling(&telling);
    feed(&telling, file.data, file.size, WHOLE);
    for (size_t sent = 0; sent < MP4_PUSH_FRAGMENT_MAX; sent += FILE_ROOM) {
        assert_int_equal(telling.result, 0);
        assert_int_equal(telling.sample_count, 0);
        telling.result = mp4_push_feed(telling.push, slice_of(file.data, FILE_ROOM));
    }
    end_telling(&telling);
    assert_int_equal(telling.result, 0);
    assert_true(telling.is_idle);
    assert_int_equal(telling.sample_count, 1);
    assert_int_equal(telling.samples[0].hash, hash_of(file.data, 4));
    free(telling.samples);
}

/* Where the body ends: only between two boxes, behind what belongs together, was it whole. */
static void cut_anywhere(void **state)
{
    begin(&plain, false);
    const size_t init = file.size;
    const size_t ftyp = find(&file, "moov");
    put_fragment(0, 2);
    const size_t one = file.size;
    put_fragment(20, 2);
    for (size_t size = 0; size <= file.size; size++) {
        const struct telling telling = tell(file.data, size, WHOLE);
        assert_int_equal(telling.result, 0);
        const bool is_whole =
            size == 0 || size == ftyp || size == init || size == one || size == file.size;
        assert_int_equal(telling.is_idle, is_whole);
        assert_int_equal(telling.sample_count, size < one ? 0 : size < file.size ? 2 : 4);
        free(telling.samples);
    }
}

static void every_byte_damaged(void **state)
{
    begin(&plain, false);
    put_fragment(0, 2);
    put_fragment(20, 1);
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t at = 0; at < file.size; at++) {
        const unsigned char before = file.data[at];
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            file.data[at] = values[i];
            const struct telling whole = tell(file.data, file.size, WHOLE);
            const struct telling bytes = tell(file.data, file.size, 3);
            expect_same(&whole, &bytes);
            assert_true(whole.result == 0 || whole.reason[0] != '\0');
            free(whole.samples);
            free(bytes.samples);
        }
        file.data[at] = before;
    }
}

static void events_may_fail(void **state)
{
    begin(&plain, false);
    put_fragment(0, 2);
    put_fragment(20, 1);
    for (size_t event = 1; event <= 5; event++) {
        struct telling telling = {.fail_at = event};
        begin_telling(&telling);
        feed(&telling, file.data, file.size, WHOLE);
        end_telling(&telling);
        assert_int_equal(telling.result, -ECANCELED);
        assert_int_equal(telling.event_count, event);
        assert_string_equal(telling.reason, "");
        free(telling.samples);
    }
    mp4_push_destroy(NULL);
}

/* Segments that are files of their own give places from their own beginning. */
static void files_one_behind_the_other(void **state)
{
    static struct file first;
    struct telling telling = {0};
    begin(&plain, false);
    first = file;
    begin_telling(&telling);
    feed(&telling, first.data, first.size, RANDOM);
    for (unsigned i = 0; i < 3; i++) {
        file.size = 0;
        open_moof();
        open_traf(1, BASE, moof, NULL);
        TRUN(0, DATA_OFFSET, 2, (uint32_t)(file.size - moof + 28));
        close_box(&file, traf);
        close_moof(8);
        mp4_push_next_file(telling.push);
        feed(&telling, file.data, file.size, RANDOM);
        assert_int_equal(telling.result, 0);
        assert_true(mp4_push_is_idle(telling.push));
    }
    end_telling(&telling);
    assert_int_equal(telling.sample_count, 6);
    assert_int_equal(telling.samples[5].sample.dts, 50);
    free(telling.samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_told_by_their_times),
        cmocka_unit_test(tracks_count_differently),
        cmocka_unit_test(many_fragments),
        cmocka_unit_test(forms),
        cmocka_unit_test(edit_lists),
        cmocka_unit_test(described_again),
        cmocka_unit_test(no_mp4),
        cmocka_unit_test(no_stream),
        cmocka_unit_test(damaged_fragments),
        cmocka_unit_test(limits),
        cmocka_unit_test(memory_follows_the_bytes),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(every_byte_damaged),
        cmocka_unit_test(events_may_fail),
        cmocka_unit_test(files_one_behind_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
