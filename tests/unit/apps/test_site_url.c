/* SPDX-License-Identifier: MIT */
/*
 * The URLs of streams: which paths are one, and of what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "site_url.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* "film page stream number" */
static void describe(const char *path, char text[256])
{
    static const char *const pages[] = {"master", "manifest", "index", "init",  "segment",
                                        "list",   "vtt",      "info",  "poster"};
    static const char *const streams[] = {"muxed", "video", "audio"};
    struct film_url url;
    strcpy(text, "none");
    if (!film_url_parse(path, &url))
        return;
    int size = sprintf(text, "%.*s %s", (int)url.film_size, path, pages[url.page]);
    if (url.page == FILM_INDEX || url.page == FILM_INIT || url.page == FILM_SEGMENT)
        size += sprintf(text + size, " %s%.0u", streams[url.stream], url.audio);
    if (url.page == FILM_SEGMENT)
        size += sprintf(text + size, " %u", url.number);
    sprintf(text + size, "%s%s", url.language[0] ? " " : "", url.language);
}

static void urls(void **state)
{
    static const struct {
        const char *path, *meaning;
    } rows[] = {
        {"film.mp4/master.m3u8", "film.mp4 master"},
        {"a/b/film.mp4/manifest.mpd", "a/b/film.mp4 manifest"},
        {"film/master.m3u8", "film master"},
        {"film.mp4/muxed/index.m3u8", "film.mp4 index muxed"},
        {"film.mp4/video/init.mp4", "film.mp4 init video"},
        {"film.mp4/audio-2/0.m4s", "film.mp4 segment audio2 0"},
        {"a/film.mp4/audio-10/123.m4s", "a/film.mp4 segment audio10 123"},
        {"film.mp4/muxed/9999999.m4s", "film.mp4 segment muxed 9999999"},
        {"film.mp4/subtitles-en.m3u8", "film.mp4 list en"},
        {"film.mp4/subtitles-pt-BR.vtt", "film.mp4 vtt pt-BR"},
        {"film.mp4/info.json", "film.mp4 info"},
        {"a/film/poster", "a/film poster"},
        {"film.mp4/muxed/master.m3u8", "film.mp4/muxed master"},
        {"subtitles-en.vtt/master.m3u8", "subtitles-en.vtt master"},
        /* nothing of ours */
        {"master.m3u8", "none"},
        {"poster", "none"},
        {"/info.json", "none"},
        {"film.mp4/poster.jpg", "none"},
        {"film.mp4/info", "none"},
        {"/master.m3u8", "none"},
        {".", "none"},
        {"", "none"},
        {"film.mp4", "none"},
        {"film.mp4/", "none"},
        {"film.mp4/master.m3u", "none"},
        {"film.mp4/Master.m3u8", "none"},
        {"film.mp4/index.m3u8", "none"},
        {"film.mp4/0.m4s", "none"},
        {"muxed/0.m4s", "none"},
        {"/muxed/0.m4s", "none"},
        {"film.mp4/muxed/00.m4s", "none"},
        {"film.mp4/muxed/01.m4s", "none"},
        {"film.mp4/muxed/-1.m4s", "none"},
        {"film.mp4/muxed/+1.m4s", "none"},
        {"film.mp4/muxed/.m4s", "none"},
        {"film.mp4/muxed/1.m4", "none"},
        {"film.mp4/muxed/1.m4sx", "none"},
        {"film.mp4/muxed/1x.m4s", "none"},
        {"film.mp4/muxed/10000000.m4s", "none"},
        {"film.mp4/muxed/99999999999999999999.m4s", "none"},
        {"film.mp4/mux/0.m4s", "none"},
        {"film.mp4/muxed2/0.m4s", "none"},
        {"film.mp4/audio/0.m4s", "none"},
        {"film.mp4/audio-/0.m4s", "none"},
        {"film.mp4/audio-0/0.m4s", "none"},
        {"film.mp4/audio-01/0.m4s", "none"},
        {"film.mp4/audio-1x/0.m4s", "none"},
        {"film.mp4/audio-99999999999/0.m4s", "none"},
        {"film.mp4/subtitles-.vtt", "none"},
        {"film.mp4/subtitles-en", "none"},
        {"film.mp4/subtitles-en.srt", "none"},
        {"film.mp4/subtitles-en.x.vtt", "none"},
        {"film.mp4/subtitles-123456789012345678901234567890123456.vtt", "none"},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        char text[256];
        describe(rows[row].path, text);
        assert_string_equal(text, rows[row].meaning);
    }
}

static void names(void **state)
{
    static const char *const films[] = {"a.mp4", "a.MP4", "a.b.m4v", "d/a.mov", "a.cmfv", "-.3gp"};
    static const char *const others[] = {"",     ".mp4",    "d/.mp4", "a",      "mp4",
                                         "amp4", "a.mp4.x", "a.mp3",  "a.webm", "a.mp4 "};
    for (size_t index = 0; index < COUNT_OF(films); index++)
        assert_true(film_is_named(slice_from_text(films[index])));
    for (size_t index = 0; index < COUNT_OF(others); index++)
        assert_false(film_is_named(slice_from_text(others[index])));
}

static void parameters(void **state)
{
    static const struct {
        const char *query, *name, *value; /* NULL: it is not there */
    } rows[] = {
        {"list=json", "list", "json"}, {"a=1&list=json&list=plain", "list", "json"},
        {"list", "list", ""},          {"list&a", "list", ""},
        {"list=", "list", ""},         {"list==&", "list", "="},
        {"&&list=a", "list", "a"},     {"a&list", "list", ""},
        {"lister=json", "list", NULL}, {"a=list", "list", NULL},
        {"List=json", "list", NULL},   {"lis", "list", NULL},
        {"&", "list", NULL},           {"", "list", NULL},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct leat_slice value;
        const bool is_there = query_find(slice_from_text(rows[row].query), rows[row].name, &value);
        assert_int_equal(is_there, rows[row].value != NULL);
        if (is_there)
            assert_true(slice_equal(value, slice_from_text(rows[row].value)));
    }
    struct leat_slice value;
    assert_false(query_find(slice_of(NULL, 0), "list", &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(urls), cmocka_unit_test(names),
                                       cmocka_unit_test(parameters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
