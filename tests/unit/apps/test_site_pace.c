/* SPDX-License-Identifier: MIT */
/*
 * How fast segments are sent: what fills a player is unpaced, what follows never starves it nor
 * holds it down, and what it says of itself counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "site_pace.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { MBIT = 1000 * 1000 };

static const struct pace_policy policy_auto = {.kind = PACE_AUTO};
static const struct cmcd silent = {0};

/* Segment `index` of 2 s of a film of 2 Mbit/s. */
static struct pace_segment segment_at(unsigned index)
{
    return (struct pace_segment){.title = 7,
                                 .begin_s = index * 2.0,
                                 .duration_s = 2,
                                 .bits_per_s = 2 * MBIT,
                                 .film_bits_per_s = 2 * MBIT};
}

static uint64_t send(struct pace_state *state, unsigned index)
{
    const struct pace_segment segment = segment_at(index);
    return pace_segment(&policy_auto, state, &segment, &silent);
}

static void first_seconds(void **unused)
{
    struct pace_state state = {0};
    for (unsigned index = 0; index < 5; index++)
        assert_int_equal(send(&state, index), 0);
    for (unsigned index = 5; index < 50; index++)
        assert_int_equal(send(&state, index), 3 * MBIT / 8);
    /* asked for again, as after a change of rungs */
    assert_int_equal(send(&state, 49), 3 * MBIT / 8);
    /* a seek back, and forth, however short */
    assert_int_equal(send(&state, 47), 0);
    for (unsigned index = 48; index < 60; index++)
        (void)send(&state, index);
    assert_int_equal(send(&state, 63), 0);
    for (unsigned index = 100; index < 105; index++)
        assert_int_equal(send(&state, index), 0);
    assert_int_equal(send(&state, 105), 3 * MBIT / 8);
    assert_int_equal(send(&state, 10), 0);
    /* another film */
    for (unsigned index = 11; index < 30; index++)
        (void)send(&state, index);
    struct pace_segment other = segment_at(30);
    other.title = 8;
    assert_int_equal(pace_segment(&policy_auto, &state, &other, &silent), 0);
}

/* Of two connections each gets each second segment; of another each third. */
static void shared_films(void **unused)
{
    for (unsigned step = 2; step <= 3; step++) {
        struct pace_state state = {0};
        for (unsigned index = 0; index < 60; index += step)
            if (index * 2 + 2 <= PACE_FILL_S)
                assert_int_equal(send(&state, index), 0);
            else
                assert_int_equal(send(&state, index), 3 * MBIT / 8);
    }
}

/* A first segment that is longer than all that goes unpaced. */
static void long_segments(void **unused)
{
    struct pace_state state = {0};
    struct pace_segment segment = segment_at(0);
    segment.duration_s = 12;
    assert_int_equal(pace_segment(&policy_auto, &state, &segment, &silent), 3 * MBIT / 8);
    for (unsigned index = 1; index < 9; index++) {
        segment.begin_s = index * 12;
        assert_int_equal(pace_segment(&policy_auto, &state, &segment, &silent), 3 * MBIT / 8);
    }
}

/* Video and audio one after the other on one connection come faster than they play. */
static void tracks_apart(void **unused)
{
    struct pace_state state = {0};
    double spent_s = 0, played_s = 0;
    for (unsigned index = 0; index < 100; index++) {
        for (unsigned is_audio = 0; is_audio < 2; is_audio++) {
            struct pace_segment segment = segment_at(index + is_audio * 3); /* it is ahead */
            segment.is_audio = is_audio;
            segment.bits_per_s = is_audio ? 192 * 1000 : index % 4 ? 300 * 1000 : 3 * MBIT;
            segment.film_bits_per_s = (300 * 3 + 3000) * 1000 / 4 + 192 * 1000;
            const uint64_t bytes_per_s = pace_segment(&policy_auto, &state, &segment, &silent);
            if (bytes_per_s)
                spent_s += (double)segment.bits_per_s * 2 / 8 / (double)bytes_per_s;
        }
        if (index >= 5)
            played_s += 2;
    }
    assert_true(spent_s < played_s * 0.9);
}

static struct pace_state playing(void)
{
    return (struct pace_state){.title = 7, .runs = {{0, 40}, {0, 40}}};
}

static void rates(void **unused)
{
    static const struct {
        uint64_t segment, film, ladder, mbit_per_s;
    } rows[] = {
        {2 * MBIT, 2 * MBIT, 0, 3},
        {4 * MBIT, 2 * MBIT, 0, 6},         /* the segment is a large one */
        {1 * MBIT, 2 * MBIT, 0, 3},         /* a small one */
        {2 * MBIT, 2 * MBIT, 8 * MBIT, 16}, /* the top rung could be had */
        {8 * MBIT, 8 * MBIT, 8 * MBIT, 16},
        {20 * MBIT, 8 * MBIT, 8 * MBIT, 30},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct pace_state state = playing();
        struct pace_segment segment = segment_at(20);
        segment.bits_per_s = rows[row].segment;
        segment.film_bits_per_s = rows[row].film;
        segment.ladder_bits_per_s = rows[row].ladder;
        assert_int_equal(pace_segment(&policy_auto, &state, &segment, &silent),
                         rows[row].mbit_per_s * MBIT / 8);
        state = playing();
        segment.is_ladder_unknown = true;
        assert_int_equal(pace_segment(&policy_auto, &state, &segment, &silent), 0);
    }
    /* never nothing: that would be unpaced */
    struct pace_state state = playing();
    struct pace_segment segment = segment_at(20);
    segment.bits_per_s = segment.film_bits_per_s = 0;
    assert_int_equal(pace_segment(&policy_auto, &state, &segment, &silent), 1);
}

static void players_words(void **unused)
{
    static const struct {
        const char *text;
        uint64_t first, later; /* bytes a second */
    } rows[] = {
        {"", 0, 3 * MBIT / 8},
        {"su", 0, 0},
        {"bs,bl=9000", 0, 0},
        {"bl=0", 0, 0},
        {"bl=3999", 0, 0},
        {"bl=4000", 0, 3 * MBIT / 8},
        {"bl=9999", 0, 3 * MBIT / 8},
        {"bl=30000", 3 * MBIT / 8, 3 * MBIT / 8}, /* a new connection of a player that is full */
        {"rtp=10000", 0, 10 * MBIT / 8},
        {"rtp=2500", 0, 2500 * 1000 / 8},
        {"rtp=10000,bl=20000", 10 * MBIT / 8, 10 * MBIT / 8},
        {"rtp=10000,bl=1000", 0, 0},
        {"rtp=1", 0, 2 * MBIT / 8}, /* not slower than it plays */
        {"rtp=0,br=0", 0, 2 * MBIT / 8},
        {"br=4000", 0, 6 * MBIT / 8},
        {"br=1000", 0, 3 * MBIT / 8},
        {"br=4000,rtp=3000", 0, 3 * MBIT / 8},
        {"br=1000000000,bl=20000", 1500ull * 1000 * MBIT / 8, 1500ull * 1000 * MBIT / 8},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct cmcd cmcd = {0};
        cmcd_parse((struct leat_slice){rows[row].text, strlen(rows[row].text)}, &cmcd);
        struct pace_state state = {0};
        struct pace_segment segment = segment_at(0);
        assert_int_equal(pace_segment(&policy_auto, &state, &segment, &cmcd), rows[row].first);
        state = playing();
        segment = segment_at(20);
        assert_int_equal(pace_segment(&policy_auto, &state, &segment, &cmcd), rows[row].later);
    }
    /* what a player wants holds where nobody knows the ladder, too */
    struct cmcd cmcd = {.has_any = true, .has_rtp = true, .rtp_kbit_per_s = 5000};
    struct pace_state state = playing();
    struct pace_segment segment = segment_at(20);
    segment.is_ladder_unknown = true;
    assert_int_equal(pace_segment(&policy_auto, &state, &segment, &cmcd), 5 * MBIT / 8);
}

static void policies(void **unused)
{
    static const struct pace_policy off = {.kind = PACE_OFF},
                                    rate = {.kind = PACE_RATE, .bytes_per_s = 1000},
                                    factor = {.kind = PACE_FACTOR, .factor = 3};
    static const struct {
        const struct pace_policy *policy;
        uint64_t other, first, later;
    } rows[] = {
        {&policy_auto, 0, 0, 3 * MBIT / 8},
        {&off, 0, 0, 0},
        {&rate, 1000, 1000, 1000},
        {&factor, 0, 0, 6 * MBIT / 8},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct pace_state state = {0};
        struct pace_segment segment = segment_at(0);
        assert_int_equal(pace_other(rows[row].policy), rows[row].other);
        assert_int_equal(pace_segment(rows[row].policy, &state, &segment, &silent),
                         rows[row].first);
        state = playing();
        segment = segment_at(20);
        assert_int_equal(pace_segment(rows[row].policy, &state, &segment, &silent),
                         rows[row].later);
    }
}

static void flags(void **unused)
{
    static const struct {
        const char *text;
        enum pace_kind kind;
        uint64_t bytes_per_s;
        double factor;
    } good[] = {
        {"auto", PACE_AUTO, 0, 0},
        {"off", PACE_OFF, 0, 0},
        {"1", PACE_RATE, 1, 0},
        {"500000", PACE_RATE, 500000, 0},
        {"500k", PACE_RATE, 500 * 1024, 0},
        {"4m", PACE_RATE, 4 << 20, 0},
        {"1.5M", PACE_RATE, 3 << 19, 0},
        {"2g", PACE_RATE, 2ull << 30, 0},
        {"1x", PACE_FACTOR, 0, 1},
        {"2.5x", PACE_FACTOR, 0, 2.5},
        {"1000x", PACE_FACTOR, 0, 1000},
    };
    static const char *const bad[] = {
        "",     "x",    "0",   "0x",  "0.5x", "1001x", "-1",
        "-1x",  "1xx",  "1kb", "1 k", "1e3",  "nan",   "inf",
        "infx", "Auto", "k",   ".5x", "0x10", "1.2.3", "9999999999999999999"};
    char error[256];
    for (size_t row = 0; row < COUNT_OF(good); row++) {
        struct pace_policy policy;
        assert_int_equal(pace_take(good[row].text, &policy, error, sizeof error), 0);
        assert_int_equal(policy.kind, good[row].kind);
        assert_int_equal(policy.bytes_per_s, good[row].bytes_per_s);
        assert_true(policy.factor == good[row].factor);
    }
    for (size_t row = 0; row < COUNT_OF(bad); row++) {
        struct pace_policy policy = {.kind = PACE_OFF};
        error[0] = '\0';
        assert_int_not_equal(pace_take(bad[row], &policy, error, sizeof error), 0);
        assert_non_null(strstr(error, "it takes auto, off"));
        assert_int_equal(policy.kind, PACE_OFF);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_seconds), cmocka_unit_test(shared_films),
        cmocka_unit_test(long_segments), cmocka_unit_test(tracks_apart),
        cmocka_unit_test(rates),         cmocka_unit_test(players_words),
        cmocka_unit_test(policies),      cmocka_unit_test(flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
