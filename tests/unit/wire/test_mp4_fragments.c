/* SPDX-License-Identifier: MIT */
/*
 * Films whose samples are described in movie fragments: where a run's data begins, what a sample
 * takes from where when its run does not say, and times that go on or begin anew.
 */
#include "test_mp4_fragments.h"

/* As expect_samples, with the offsets counted from the last moof. */
static void expect(const char *text)
{
    struct reading *const reading = read_all(&file);
    char relative[sizeof(reading->text)] = "";
    size_t size = 0;
    for (char *word = strtok(reading->text, " "); word; word = strtok(NULL, " ")) {
        const char *const plus = strchr(word, '+');
        const unsigned long long offset = strtoull(strchr(word, ':') + 1, NULL, 10);
        size +=
            (size_t)snprintf(relative + size, sizeof(relative) - size, "%s%.2s%lld%s",
                             size > 0 ? " " : "", word, (long long)offset - (long long)moof, plus);
    }
    if (reading->result != 0 || strcmp(relative, text) != 0)
        fail_msg("%d %s: %s\nnot %s", reading->result, reading->problem.reason, relative, text);
    assert_true(reading->movie.is_fragmented);
}

/* ---- Where data begins ----------------------------------------------------------------------- */

static void bases(void **state)
{
    static const struct {
        uint32_t flags;
        const char *text;
    } rows[] = {
        /* the second begins where the first ended */
        {0, "0:100+4@0+0/10k 0:104+4@10+0/10k 1:108+4@0+0/10k"},
        {BASE_IS_MOOF, "0:100+4@0+0/10k 0:104+4@10+0/10k 1:0+4@0+0/10k"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(&plain, false);
        open_moof();
        open_traf(1, rows[i].flags, 0, NULL);
        TRUN(0, DATA_OFFSET, 2, 100);
        close_box(&file, traf);
        open_traf(2, rows[i].flags, 0, NULL);
        TRUN(0, 0, 1);
        close_box(&file, traf);
        close_moof(100);
        expect(rows[i].text);
    }
    begin(&plain, false);
    open_moof();
    open_traf(1, BASE, moof + 20, NULL);
    TRUN(0, DATA_OFFSET, 1, (uint32_t)-20);
    TRUN(0, 0, 1); /* behind the run before */
    TRUN(0, DATA_OFFSET, 1, 1);
    close_box(&file, traf);
    close_moof(100);
    expect("0:0+4@0+0/10k 0:4+4@10+0/10k 0:21+4@20+0/10k");
}

/* What nobody wants, or nobody knows, has its place all the same. */
static void others_have_their_places(void **state)
{
    static const uint32_t four_seven[] = {7};
    begin(&plain, false);
    open_moof();
    open_traf(9, SIZE, 0, four_seven);
    TRUN(0, DATA_OFFSET, 3, 100);
    close_box(&file, traf);
    open_traf(1, 0, 0, NULL);
    TRUN(0, DATA_OFFSET, 1, 2);
    close_box(&file, traf);
    open_traf(2, 0, 0, NULL);
    TRUN(0, 0, 1);
    close_box(&file, traf);
    close_moof(100);
    expect("0:123+4@0+0/10k 1:127+4@0+0/10k");
    static struct reading reading;
    reading = (struct reading){.file = &file, .unwanted = VIDE};
    read_again(&reading);
    assert_int_equal(reading.result, 0);
    assert_int_equal(reading.sample_count, 1);
    assert_memory_equal(reading.text, "1:", 2);
}

/* ---- What samples are ------------------------------------------------------------------------ */

static void defaults_are_taken(void **state)
{
    static const struct defaults all = {.entry = 2, .duration = 11, .size = 3, .flags = NON_SYNC};
    static const uint32_t fields[] = {1, 12, 5, 0};
    begin(&all, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL); /* from trex */
    TRUN(0, 0, 2);
    close_box(&file, traf);
    open_traf(1, BASE_IS_MOOF | ENTRY | DURATION | SIZE | FLAGS, 0, fields); /* from tfhd */
    TRUN(0, 0, 2);
    TRUN(0, FIRST_FLAGS, 2, NON_SYNC);
    close_box(&file, traf);
    close_moof(0);
    expect("0:0+3@0+0/11#1 0:3+3@11+0/11#1 0:0+5@22+0/12k 0:5+5@34+0/12k "
           "0:10+5@46+0/12 0:15+5@58+0/12k");
}

static void each_says(void **state)
{
    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL);
    TRUN(1, EACH_DURATION | EACH_SIZE | EACH_FLAGS | EACH_OFFSET, 2, 1, 2, NON_SYNC, (uint32_t)-9,
         3, 4, 0x1000000, 8);
    TRUN(0, EACH_DURATION, 1, 6);
    TRUN(0, EACH_OFFSET, 2, 7, (uint32_t)-7);
    TRUN(0, FIRST_FLAGS | EACH_SIZE, 2, NON_SYNC, 6, 0);
    TRUN(0, EACH_FLAGS, 2, 0x2000000, 0x1010000);
    close_box(&file, traf);
    close_moof(0);
    expect("0:0+2@0-9/1 0:2+4@1+8/3 0:6+4@4+0/6k 0:10+4@10+7/10k 0:14+4@20-7/10k "
           "0:18+6@30+0/10 0:24+0@40+0/10k 0:24+4@50+0/10k 0:28+4@60+0/10");
}

static void many_in_a_run(void **state)
{
    enum { COUNT = 10000 };
    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL);
    const size_t trun = open_full_box(&file, "trun", 0, EACH_DURATION | EACH_SIZE | EACH_FLAGS);
    put32(&file, COUNT);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        put32(&file, i);
        put32(&file, i % 3);
        put32(&file, i % 2 * NON_SYNC);
        bytes += i % 3;
    }
    close_box(&file, trun);
    TRUN(0, 0, 1);
    close_box(&file, traf);
    close_moof(0);
    const struct reading *const reading = read_all(&file);
    assert_int_equal(reading->result, 0);
    assert_int_equal(reading->sample_count, COUNT + 1);
    assert_true(reading->read_count < 60);
    /* Where the last one stands tells of all before it. */
    set32(&file, trun + 12, COUNT - 1);
    file.size = moof + bytes + 3;
    assert_int_equal(read_all(&file)->result, -LEAT_E_MALFORMED);
}

/* ---- Times ----------------------------------------------------------------------------------- */

static void one_of(uint32_t id, int tfdt_version, uint64_t dts)
{
    open_moof();
    open_traf(id, BASE_IS_MOOF, 0, NULL);
    if (tfdt_version >= 0)
        put_tfdt((unsigned)tfdt_version, dts);
    TRUN(0, 0, 2);
    close_box(&file, traf);
    close_moof(0);
}

static void times(void **state)
{
    char text[128];
    begin(&plain, true); /* a sample of 100 ticks in moov */
    one_of(1, -1, 0);
    snprintf(text, sizeof(text), "0:8+5@0+0/100k 0:%zu+4@100+0/10k 0:%zu+4@110+0/10k", moof,
             moof + 4);
    expect_samples(&file, text);

    begin(&plain, false);
    one_of(1, -1, 0);
    one_of(1, 0, 0xffffffff); /* a gap */
    one_of(2, 1, UINT64_C(1) << 40);
    one_of(1, -1, 0);         /* behind track 1's last */
    one_of(1, 1, 4294967325); /* at the time of the last one: it does not fall */
    const struct reading *const reading = read_all(&file);
    assert_int_equal(reading->result, 0);
    static const char *const found[] = {
        "@0+0/10k ",          "@10+0/10k ",           "@4294967295+0/10k ", "@1099511627776+0/10k ",
        "@4294967315+0/10k ", "@4294967325+0/10k 0:", "@4294967335+0/10k"};
    for (size_t i = 0; i < COUNT_OF(found); i++)
        assert_non_null(strstr(reading->text, found[i]));
    one_of(1, 1, 4294967334);
    expect_damage(&file, "a fragment of track 1 begins before the one it follows ends");
    begin(&plain, false);
    one_of(1, 1, UINT64_MAX);
    expect_damage(&file, "a fragment of track 1 begins before the one it follows ends");
}

/* Init and segments one behind the other, with what stands between them. */
static void segments(void **state)
{
    static const char *const types[] = {"styp", "sidx", "emsg", "uuid", "prft", "free", "mfra"};
    begin(&plain, false);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        const size_t box = open_box(&file, types[i]);
        put_zeros(&file, 20);
        close_box(&file, box);
        one_of(1, -1, 0);
    }
    const struct reading *const reading = read_all(&file);
    assert_int_equal(reading->result, 0);
    assert_int_equal(reading->sample_count, 2 * COUNT_OF(types));
    assert_int_equal(reading->movie.mdat_size, 8 * COUNT_OF(types));
    assert_true(reading->movie.is_fragmented);
    assert_true(reading->movie.moov_is_first);
    const size_t size = file.size;
    for (size_t cut = moof + 8; cut < size - 8; cut++) {
        file.size = cut;
        assert_int_equal(read_all(&file)->result, -LEAT_E_MALFORMED);
    }
}

/* ---- What is wrong --------------------------------------------------------------------------- */

static void runs_claim_too_much(void **state)
{
    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL);
    size_t trun = TRUN(0, EACH_SIZE, 2, 1, 2);
    close_box(&file, traf);
    close_moof(0);
    set32(&file, trun + 12, 3);
    expect_damage(&file, "a run of track 1 claims 3 samples, and has room for 2");
    set32(&file, trun + 12, UINT32_MAX);
    expect_damage(&file, "a run of track 1 claims 4294967295 samples, and has room for 2");
    /* Samples of no bytes, of which each says nothing: as many as the file has bytes. */
    static const struct defaults nothing = {.entry = 1};
    for (uint32_t more = 0; more < 2; more++) {
        begin(&nothing, false);
        open_moof();
        open_traf(1, BASE_IS_MOOF, 0, NULL);
        trun = TRUN(0, 0, 0);
        close_box(&file, traf);
        close_moof(0);
        set32(&file, trun + 12, (uint32_t)file.size + more);
        assert_int_equal(read_all(&file)->result, more ? -LEAT_E_MALFORMED : 0);
    }
    expect_damage(&file, "it claims more samples than the file has bytes");
}

static void what_else_is_wrong(void **state)
{
    static const uint32_t entry[] = {3};
    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF | ENTRY, 0, entry);
    TRUN(0, 0, 1);
    close_box(&file, traf);
    close_moof(0);
    expect_damage(&file, "a fragment speaks of sample entry 3 of 2");

    begin(&plain, false);
    open_moof();
    traf = open_box(&file, "traf");
    TRUN(0, 0, 1);
    close_box(&file, traf);
    close_moof(0);
    expect_damage(&file, "a track fragment has no header (tfhd)");

    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL);
    TRUN(0, DATA_OFFSET, 30, 1000);
    close_box(&file, traf);
    close_moof(0);
    expect_damage(&file, "the file ends before its media: 0 samples of track 1 are there");

    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL);
    TRUN(0, DATA_OFFSET, 1, 0x80000000); /* before the file's beginning */
    close_box(&file, traf);
    close_moof(0);
    expect_damage(&file, "the file ends before its media: 0 samples of track 1 are there");

    begin(&plain, false);
    open_moof();
    open_traf(1, BASE_IS_MOOF, 0, NULL);
    TRUN(0, EACH_DURATION, 1, 0x80000000);
    close_box(&file, traf);
    close_moof(0);
    expect_damage(&file, "a sample of track 1 has a negative duration");
}

/* Each byte of the fragment changed to each of a few values: read, or refused. */
static void every_byte_damaged(void **state)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0xff};
    static const uint32_t fields[] = {1, 12, 5, 0};
    begin(&plain, false);
    open_moof();
    open_traf(1, BASE | ENTRY | DURATION | SIZE | FLAGS, moof, fields);
    put_tfdt(1, 5);
    TRUN(1, DATA_OFFSET | FIRST_FLAGS | EACH_DURATION | EACH_SIZE | EACH_OFFSET, 2, 8, NON_SYNC, 1,
         2, 3, 4, 5, 6);
    close_box(&file, traf);
    close_moof(20);
    expect("0:8+2@5+3/1 0:10+5@6+6/4k");
    for (size_t at = moof; at < file.size - 20; at++) {
        const unsigned char was = file.data[at];
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            file.data[at] = values[i];
            const int result = read_all(&file)->result;
            assert_true(result == 0 || result == -LEAT_E_MALFORMED || result == -LEAT_E_LIMIT);
        }
        file.data[at] = was;
    }
}

static void errors_are_passed_on(void **state)
{
    static struct reading reading;
    begin(&plain, false);
    one_of(1, 1, 0);
    one_of(1, 1, 20);
    reading = (struct reading){.file = &file};
    read_again(&reading);
    assert_int_equal(reading.result, 0);
    for (unsigned i = 1, reads = reading.read_count; i <= reads; i++) {
        reading.fail_read = i;
        read_again(&reading);
        assert_int_equal(reading.result, -EIO);
    }
    reading.fail_read = 0;
    reading.fail_sample = 3;
    read_again(&reading);
    assert_int_equal(reading.result, -ECANCELED);
    assert_int_equal(reading.sample_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bases),
        cmocka_unit_test(others_have_their_places),
        cmocka_unit_test(defaults_are_taken),
        cmocka_unit_test(each_says),
        cmocka_unit_test(many_in_a_run),
        cmocka_unit_test(times),
        cmocka_unit_test(segments),
        cmocka_unit_test(runs_claim_too_much),
        cmocka_unit_test(what_else_is_wrong),
        cmocka_unit_test(every_byte_damaged),
        cmocka_unit_test(errors_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
