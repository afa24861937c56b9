/* SPDX-License-Identifier: MIT */
/*
 * Choices: by hand where a person sees what is right, over real files as a person would decide.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "codec/choice.h"

enum { HTTP_CODECS = CODEC_SET_ALL & ~CODEC_BIT(LEAT_CODEC_LZ4), TEXT_MAX = 2 << 20 };
static const struct choice_link slow = {.rate_bytes_per_s = 1.25e6};
static const struct choice_link usual = {.rate_bytes_per_s = 12.5e6};
static const struct choice_link fast = {.rate_bytes_per_s = 125e6};
static char text[TEXT_MAX];

static struct choice choose(const void *bytes, size_t size, const struct choice_link *link,
                            double slowdown, unsigned codecs)
{
    struct sample_range ranges[SAMPLE_PIECES_MAX];
    struct leat_slice pieces[SAMPLE_PIECES_MAX];
    struct sample sample;
    struct model model;
    struct choice choice;
    const unsigned count = sample_ranges(size, ranges);
    for (unsigned index = 0; index < count; index++)
        pieces[index] = slice_of((const char *)bytes + ranges[index].offset, ranges[index].size);
    sample_take(size, pieces, count, &sample);
    model_init(&model);
    choice_make(&model, &sample, link, slowdown, codecs, &choice);
    return choice;
}

/* Lines as a log has them. */
static size_t write_log(size_t size)
{
    struct random random;
    size_t at = 0;
    random_init(&random, 7);
    while (at + 100 < size)
        at += (size_t)snprintf(
            text + at, size - at, "2026-11-23 11:%02u GET /films/%u.m4s 200 %u\n",
            (unsigned)(random_next(&random) % 60), (unsigned)(random_next(&random) % 1000),
            (unsigned)(random_next(&random) % 1000000));
    return at;
}

static void test_slower_links_are_worth_more_work(void **state)
{
    (void)state;
    const size_t size = write_log(1 << 20);
    const struct choice on_slow = choose(text, size, &slow, 1, HTTP_CODECS);
    const struct choice on_usual = choose(text, size, &usual, 1, HTTP_CODECS);
    const struct choice on_fast = choose(text, size, &fast, 1, HTTP_CODECS);
    assert_int_equal(on_slow.reason, CHOICE_CODED);
    assert_int_equal(on_fast.reason, CHOICE_CODED);
    assert_true(on_slow.cpu_ns > on_usual.cpu_ns && on_usual.cpu_ns >= on_fast.cpu_ns);
    assert_true(on_slow.ratio < on_fast.ratio);
    assert_true(on_fast.time_ns < on_fast.plain_ns);
    /* a link of 10 Gb/s is faster than any codec */
    const struct choice_link local = {.rate_bytes_per_s = 1.25e9};
    const struct choice on_local = choose(text, size, &local, 1, HTTP_CODECS);
    assert_int_equal(on_local.reason, CHOICE_NO_GAIN);
    assert_int_equal(on_local.index, 0);
    assert_int_equal(on_local.setting.codec, LEAT_CODEC_NONE);
    assert_int_equal(on_local.time_ns, on_local.plain_ns);
}

static void test_a_busy_core_does_less(void **state)
{
    (void)state;
    const size_t size = write_log(1 << 20);
    int64_t least_ns = INT64_MAX;
    for (double slowdown = 1; slowdown <= 32; slowdown *= 2) {
        const struct choice choice = choose(text, size, &usual, slowdown, HTTP_CODECS);
        assert_true(choice.cpu_ns <= least_ns);
        least_ns = choice.cpu_ns;
    }
    assert_int_equal(choose(text, size, &fast, 20, HTTP_CODECS).reason, CHOICE_NO_GAIN);
}

static void test_only_codecs_that_are_taken(void **state)
{
    (void)state;
    const size_t size = write_log(100000);
    for (unsigned codec = LEAT_CODEC_ZSTD; codec < LEAT_CODECS; codec++) {
        const struct choice choice =
            choose(text, size, &usual, 1, CODEC_BIT(LEAT_CODEC_NONE) | CODEC_BIT(codec));
        assert_int_equal(choice.reason, CHOICE_CODED);
        assert_int_equal(choice.setting.codec, codec);
    }
    assert_int_equal(choose(text, size, &slow, 1, CODEC_BIT(LEAT_CODEC_NONE)).index, 0);
}

static void test_noise_is_never_coded(void **state)
{
    (void)state;
    static uint64_t noise[128 * 1024];
    struct random random;
    random_init(&random, 3);
    for (size_t index = 0; index < sizeof noise / sizeof *noise; index++)
        noise[index] = random_next(&random);
    for (size_t size = 1024; size <= sizeof noise; size *= 2)
        for (size_t start = 0; start + size <= sizeof noise && start < 64 * size; start += size) {
            const char *const bytes = (const char *)noise + start;
            assert_int_equal(choose(bytes, size, &slow, 1, CODEC_SET_ALL).reason, CHOICE_NOISE);
            assert_int_equal(choose(bytes, size, &fast, 1, CODEC_SET_ALL).reason, CHOICE_NOISE);
        }
}

/* What slow start makes of a way: RFC 5681, section 3.1. */
static void test_sending_takes_round_trips(void **state)
{
    (void)state;
    const int64_t rtt_ns = 50 * 1000 * 1000;
    const struct choice_link link = {
        .rate_bytes_per_s = 1.25e6, .rtt_ns = rtt_ns, .window = 14480, .mss = 1448};
    assert_float_equal(choice_send_ns(&slow, 1.25e6), 1e9, 1);
    assert_float_equal(choice_send_ns(&link, 14480), 14480 / 1.25e6 * 1e9, 1);
    assert_float_equal(choice_send_ns(&link, 14480 + 1000), (double)rtt_ns + 1000 / 1.25e6 * 1e9,
                       1);
    /* 62,500 bytes are on their way at once: after three round trips the window has room for so
     * many, and is no more the limit */
    assert_float_equal(choice_send_ns(&link, 14480 * 20),
                       3 * (double)rtt_ns + 14480 * 13 / 1.25e6 * 1e9, 1);
    const struct choice_link unknown = {0};
    assert_true(choice_send_ns(&unknown, 1e6) > 0);
    double before_ns = 0;
    for (double size = 0; size < 1e6; size += 100) {
        const double ns = choice_send_ns(&link, size);
        assert_true(ns >= before_ns);
        before_ns = ns;
    }
}

static size_t read_file(const char *name)
{
    char path[512];
    const char *const data = getenv("LEAT_TEST_DATA");
    snprintf(path, sizeof path, "%s/corpus/%s", data ? data : "../shared", name);
    FILE *const file = fopen(path, "rb");
    if (!file)
        return 0;
    const size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    return size;
}

static void test_real_files_are_decided_as_a_person_would(void **state)
{
    static const struct {
        const char *name;
        enum choice_reason reason; /* on a link of 10 Mb/s, and of 100 Mb/s */
    } files[] = {
        {"snappy__html", CHOICE_CODED},
        {"snappy__urls.10K", CHOICE_CODED},
        {"snappy__geo.protodata", CHOICE_CODED},
        {"snappy__fireworks.jpeg", CHOICE_COMPRESSED},
        {"corpora__kennedy.xls", CHOICE_CODED},
        {"corpora__sum", CHOICE_CODED},
        {"corpora__xargs.1", CHOICE_CODED},
        {"corpora__alice29.txt", CHOICE_CODED},
        {"corpora__news", CHOICE_CODED},
        {"corpora__trans", CHOICE_CODED},
        {"corpora__aaa.txt", CHOICE_CODED},
        {"brotli__mapsdatazrh", CHOICE_CODED},
        {"brotli__random_org_10k.bin", CHOICE_NOISE},
        {"simdjson-data__twitter.json", CHOICE_CODED},
        {"simdjson-data__github_events.json", CHOICE_CODED},
        {"simdjson-data__apache_builds.json", CHOICE_CODED},
        {"simdjson-data__amazon_cellphones.ndjson", CHOICE_CODED},
        {"simdjson-data__google_maps_api_compact_response.json", CHOICE_CODED},
        {"vega-datasets__seattle-weather.csv", CHOICE_CODED},
        {"vega-datasets__sp500-2000.csv", CHOICE_CODED},
        {"vega-datasets__unemployment.tsv", CHOICE_CODED},
        {"mvt-fixtures__12-2860-1367.mvt", CHOICE_CODED},
        {"icons__bootstrap-icons.json", CHOICE_CODED},
        {"icons__bootstrap-icons.woff2", CHOICE_COMPRESSED},
        {"source-code-pro__SourceCodePro-Regular.ttf", CHOICE_CODED},
        {"sharp__alpha-premultiply-1024x768-paper.png", CHOICE_COMPRESSED},
        {"sharp__4.webp", CHOICE_COMPRESSED},
        {"RITCH__ex20101224.TEST_ITCH_50.gz", CHOICE_COMPRESSED},
    };
    unsigned decided = 0;
    (void)state;
    for (size_t index = 0; index < sizeof files / sizeof *files; index++) {
        const size_t size = read_file(files[index].name);
        if (size == 0)
            continue;
        decided++;
        const struct choice on_slow = choose(text, size, &slow, 1, HTTP_CODECS);
        const struct choice on_usual = choose(text, size, &usual, 1, HTTP_CODECS);
        if (on_slow.reason != files[index].reason || on_usual.reason != files[index].reason)
            print_message("# %s: %s\n", files[index].name, choice_reason_name(on_slow.reason));
        assert_int_equal(on_slow.reason, files[index].reason);
        assert_int_equal(on_usual.reason, files[index].reason);
    }
    if (decided == 0) {
        print_message("# no files in $LEAT_TEST_DATA/corpus\n");
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slower_links_are_worth_more_work),
        cmocka_unit_test(test_a_busy_core_does_less),
        cmocka_unit_test(test_only_codecs_that_are_taken),
        cmocka_unit_test(test_noise_is_never_coded),
        cmocka_unit_test(test_sending_takes_round_trips),
        cmocka_unit_test(test_real_files_are_decided_as_a_person_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
