/* SPDX-License-Identifier: MIT */
/*
 * Ladders: which names are rungs, what a list may hold, which film is the best, and that films
 * which are not cut alike are named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "leat/error.h"
#include "media/ladder.h"
#include "movie.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void stems(void **state)
{
    static const struct {
        const char *name, *stem; /* NULL: it is no rung */
    } rows[] = {
        {"film-1080.mp4", "film"},
        {"film-720p.mp4", "film"},
        {"film-2160.m4v", "film"},
        {"a film-part-2-480.mp4", "a film-part-2"},
        {"film-1080-720.mp4", "film-1080"},
        {"x-240p.mp4", "x"},
        {"film-1.mp4", NULL},
        {"film-12.mp4", NULL},
        {"film-10800.mp4", NULL},
        {"film1080.mp4", NULL},
        {"film-1080", NULL},
        {"film-1080P.mp4", NULL},
        {"film-1080pp.mp4", NULL},
        {"film-p.mp4", NULL},
        {"-1080.mp4", NULL},
        {"1080.mp4", NULL},
        {"film-10a0.mp4", NULL},
        {"film-1080p.en.mp4", NULL},
        {".mp4", NULL},
        {"", NULL},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct leat_slice stem = SLICE("none");
        assert_int_equal(ladder_stem(slice_from_text(rows[row].name), &stem),
                         rows[row].stem != NULL);
        assert_true(slice_equal(stem, slice_from_text(rows[row].stem ? rows[row].stem : "none")));
    }
}

static void lists(void **state)
{
    static const struct {
        const char *json;
        int result;
        const char *outcome; /* the names, or the reason */
    } rows[] = {
        {"{\"rungs\": [\"a.mp4\", \"b.mp4\"]}", 0, "a.mp4|b.mp4|"},
        {"{\"title\": 5, \"rungs\": [\"a b\\u00e9.mp4\"]}", 0, "a b\xc3\xa9.mp4|"},
        {"{\"rungs\": [\"a.mp4\", \"a.mp4\"]}", 0, "a.mp4|"},
        {"{\"rungs\": []}", -LEAT_E_MALFORMED, "no rungs"},
        {"{\"rungs\": \"a.mp4\"}", -LEAT_E_MALFORMED, "is not like"},
        {"{}", -LEAT_E_MALFORMED, "is not like"},
        {"[\"a.mp4\"]", -LEAT_E_MALFORMED, "is not like"},
        {"{\"rungs\": [1]}", -LEAT_E_MALFORMED, "no name"},
        {"{\"rungs\": [\"../a.mp4\"]}", -LEAT_E_MALFORMED, "same folder"},
        {"{\"rungs\": [\"/a.mp4\"]}", -LEAT_E_MALFORMED, "same folder"},
        {"{\"rungs\": [\"b/a.mp4\"]}", -LEAT_E_MALFORMED, "same folder"},
        {"{\"rungs\": [\"..\"]}", -LEAT_E_MALFORMED, "same folder"},
        {"{\"rungs\": [\".a.mp4\"]}", -LEAT_E_MALFORMED, "same folder"},
        {"{\"rungs\": [\"\"]}", -LEAT_E_MALFORMED, "same folder"},
        {"{\"rungs\": [\"a.mp4\"]", -LEAT_E_MALFORMED, "no JSON: line 1"},
        {"{\"rungs\": [\"a.mp4\"], \"rungs\": [\"b.mp4\"]}", -LEAT_E_MALFORMED, "no JSON"},
        {"", -LEAT_E_MALFORMED, "no JSON"},
        {"{\"rungs\": [[[[[[[[[[\"a\"]]]]]]]]]]}", -LEAT_E_MALFORMED, "nests too deep"},
        {"{\"rungs\": [\"[[[[[[[[[[[[[[[\\\"[[[[[[[\"]}", 0, "[[[[[[[[[[[[[[[\"[[[[[[[|"},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct ladder_names names = {.count = 0};
        char reason[FILM_REASON_SIZE] = "", text[FILM_REASON_SIZE] = "";
        const int result = ladder_read(slice_from_text(rows[row].json), &names, reason);
        assert_int_equal(result, rows[row].result);
        for (unsigned index = 0; index < names.count; index++) {
            strcat(text, names.names[index]);
            strcat(text, "|");
        }
        if (result == 0)
            assert_string_equal(text, rows[row].outcome);
        else
            assert_non_null(strstr(reason, rows[row].outcome));
    }
}

static void too_long_lists(void **state)
{
    char json[LADDER_FILE_MAX + 1], reason[FILM_REASON_SIZE];
    struct ladder_names names;
    for (unsigned count = LADDER_RUNGS_MAX; count <= LADDER_RUNGS_MAX + 1; count++) {
        size_t size = (size_t)sprintf(json, "{\"rungs\": [\"x\"");
        for (unsigned index = 1; index < count; index++)
            size += (size_t)sprintf(json + size, ",\"%u\"", index);
        size += (size_t)sprintf(json + size, "]}");
        assert_int_equal(ladder_read(slice_of(json, size), &names, reason),
                         count > LADDER_RUNGS_MAX ? -LEAT_E_LIMIT : 0);
    }
    size_t size = (size_t)sprintf(json, "{\"rungs\": [\"");
    memset(json + size, 'x', LADDER_NAME_SIZE);
    size += LADDER_NAME_SIZE;
    size += (size_t)sprintf(json + size, "\"]}");
    assert_int_equal(ladder_read(slice_of(json, size), &names, reason), -LEAT_E_LIMIT);
    memset(json, ' ', sizeof json);
    assert_int_equal(ladder_read(slice_of(json, sizeof json), &names, reason), -LEAT_E_LIMIT);
    assert_non_null(strstr(reason, "too large"));
    /* arrays in arrays, beyond any stack */
    memset(json, '[', sizeof json);
    assert_int_equal(ladder_read(slice_of(json, sizeof json - 1), &names, reason),
                     -LEAT_E_MALFORMED);
}

/* ---- Films ----------------------------------------------------------------------------------- */

/* 20 s of `size` bytes a picture, 25 a second, cut each `gop` pictures, the times later by `late`
 * ticks of a thousandth of a picture. */
static struct film *make_film(unsigned size, unsigned gop, unsigned pictures, int late)
{
    static struct movie_track track;
    struct film *film;
    char reason[FILM_REASON_SIZE];
    memset(&track, 0, sizeof track);
    track.handler = "vide";
    track.entry = "avc1";
    track.timescale = 25000;
    track.chunk = 1;
    track.count = pictures;
    for (unsigned at = 0; at < pictures; at++)
        track.samples[at] = (struct movie_sample){
            .size = size,
            .duration = 1000 + (at == 0 ? (unsigned)late : 0),
            .is_sync = at % gop == 0,
        };
    struct movie movie = movie_make(&track, 1);
    const struct mp4_source source = movie_source(&movie);
    const int error = film_build(&source, &film, reason);
    if (error)
        fail_msg("%s", reason);
    free(movie.data);
    return film;
}

static void sorting(void **state)
{
    struct ladder_rung rungs[] = {
        {"low.mp4", make_film(100, 50, 500, 0)},
        {"high.mp4", make_film(900, 50, 500, 0)},
        {"middle b.mp4", make_film(500, 50, 500, 0)},
        {"middle a.mp4", make_film(500, 50, 500, 0)},
    };
    static const char *const order[] = {"high.mp4", "middle a.mp4", "middle b.mp4", "low.mp4"};
    char reason[FILM_REASON_SIZE];
    ladder_sort(rungs, COUNT_OF(rungs));
    for (size_t index = 0; index < COUNT_OF(rungs); index++)
        assert_string_equal(rungs[index].name, order[index]);
    /* a picture of 900 bytes is 180 kbit/s, and something around it */
    assert_in_range(ladder_bits_per_s(rungs[0].film, true), 180000, 192000);
    assert_in_range(ladder_bits_per_s(rungs[0].film, false), 180000, 192000);
    assert_int_equal(ladder_check(rungs, COUNT_OF(rungs), reason), 0);
    for (size_t index = 0; index < COUNT_OF(rungs); index++)
        film_unref(rungs[index].film);
}

static void alignment(void **state)
{
    char reason[FILM_REASON_SIZE];
    struct film *same = make_film(100, 50, 500, 0);
    const struct {
        struct film *other;
        bool fits;
    } rows[] = {
        {make_film(300, 50, 500, 0), true},
        {make_film(300, 50, 500, 400), true},  /* less than half a picture */
        {make_film(300, 50, 500, 600), false}, /* more */
        {make_film(300, 60, 500, 0), false},   /* other keyframes */
        {make_film(300, 25, 500, 0), true},    /* more of them */
        {make_film(300, 50, 450, 0), false},   /* a segment less */
        {make_film(300, 50, 470, 0), true},    /* a shorter end */
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        const struct ladder_rung two[] = {{"a.mp4", same}, {"b.mp4", rows[row].other}};
        const int result = ladder_check(two, 2, reason);
        assert_int_equal(result, rows[row].fits ? 0 : -EXDEV);
        if (result)
            assert_string_equal(reason, "its keyframes do not align: b.mp4");
        /* the most are right, wherever they stand */
        const struct ladder_rung three[] = {
            {"b.mp4", rows[row].other}, {"a.mp4", same}, {"c.mp4", same}};
        assert_int_equal(ladder_check(three, 3, reason), result);
        if (result)
            assert_string_equal(reason, "its keyframes do not align: b.mp4");
    }
    const struct ladder_rung all[] = {
        {"a.mp4", same}, {"b.mp4", rows[2].other}, {"c.mp4", rows[3].other}, {"d.mp4", same}};
    assert_int_equal(ladder_check(all, 4, reason), -EXDEV);
    assert_string_equal(reason, "its keyframes do not align: b.mp4 c.mp4");
    /* names longer than a reason */
    char name[LADDER_NAME_SIZE];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const struct ladder_rung lengthy[] = {
        {"a.mp4", same}, {"d.mp4", same}, {name, rows[2].other}, {name, rows[3].other}};
    assert_int_equal(ladder_check(lengthy, 4, reason), -EXDEV);
    assert_int_equal(strlen(reason), FILM_REASON_SIZE - 1);
    assert_int_equal(ladder_check(all, 1, reason), 0);
    for (size_t row = 0; row < COUNT_OF(rows); row++)
        film_unref(rows[row].other);
    film_unref(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stems),   cmocka_unit_test(lists),     cmocka_unit_test(too_long_lists),
        cmocka_unit_test(sorting), cmocka_unit_test(alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
