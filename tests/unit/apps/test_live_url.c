/* SPDX-License-Identifier: MIT */
/*
 * The paths of live channels: which is which, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "live_url.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* "page name stream number part file", as far as they are there. */
static void describe(const char *path, char text[256])
{
    static const char *const pages[] = {"channels", "name", "master",  "manifest", "time",
                                        "index",    "init", "segment", "part",     "file"};
    struct live_url url;
    strcpy(text, "none");
    if (!live_url_parse(path, &url))
        return;
    int size = sprintf(text, "%s%s%s", pages[url.page], url.name[0] ? " " : "", url.name);
    if (url.page >= LIVE_PAGE_INDEX && url.page <= LIVE_PAGE_PART)
        size += sprintf(text + size, " %s", live_stream_name(url.stream));
    if (url.page >= LIVE_PAGE_INIT && url.page <= LIVE_PAGE_PART)
        size += sprintf(text + size, " %llu", (unsigned long long)url.number);
    if (url.page == LIVE_PAGE_PART)
        size += sprintf(text + size, " %u", url.part);
    if (url.page == LIVE_PAGE_FILE)
        sprintf(text + size, " '%s'", url.file);
}

static void urls(void **state)
{
    static const struct {
        const char *path, *meaning;
    } rows[] = {
        {"live", "channels"},
        {"live/channels.json", "channels"},
        {"live/cam", "name cam"},
        {"live/cam/master.m3u8", "master cam"},
        {"live/cam/manifest.mpd", "manifest cam"},
        {"live/cam/time", "time cam"},
        {"live/cam/muxed/index.m3u8", "index cam muxed"},
        {"live/cam/video/init-7.mp4", "init cam video 7"},
        {"live/cam/audio-1/0.m4s", "segment cam audio-1 0"},
        {"live/cam/muxed/123456789012345.m4s", "segment cam muxed 123456789012345"},
        {"live/cam/muxed/12.3.m4s", "part cam muxed 12 3"},
        {"live/cam/muxed/12.255.m4s", "part cam muxed 12 255"},
        {"live/a.b-c_d/time", "time a.b-c_d"},
        /* what publishers send */
        {"live/cam/", "file cam ''"},
        {"live/cam/x.m3u8", "file cam 'x.m3u8'"},
        {"live/cam/sub/chunk-stream0-00001.m4s", "file cam 'sub/chunk-stream0-00001.m4s'"},
        /* one that is not quite it is a file, and there is none to get */
        {"live/cam/muxed/1234567890123456.m4s", "file cam 'muxed/1234567890123456.m4s'"},
        {"live/cam/muxed/9223372036854775808.m4s", "file cam 'muxed/9223372036854775808.m4s'"},
        {"live/cam/muxed/01.m4s", "file cam 'muxed/01.m4s'"},
        {"live/cam/muxed/-1.m4s", "file cam 'muxed/-1.m4s'"},
        {"live/cam/muxed/+1.m4s", "file cam 'muxed/+1.m4s'"},
        {"live/cam/muxed/1.256.m4s", "file cam 'muxed/1.256.m4s'"},
        {"live/cam/muxed/1.01.m4s", "file cam 'muxed/1.01.m4s'"},
        {"live/cam/muxed/1.2.3.m4s", "file cam 'muxed/1.2.3.m4s'"},
        {"live/cam/muxed/1..m4s", "file cam 'muxed/1..m4s'"},
        {"live/cam/muxed/.m4s", "file cam 'muxed/.m4s'"},
        {"live/cam/muxed/1.m4sx", "file cam 'muxed/1.m4sx'"},
        {"live/cam/muxed/1.mp4", "file cam 'muxed/1.mp4'"},
        {"live/cam/muxed/init-.mp4", "file cam 'muxed/init-.mp4'"},
        {"live/cam/muxed/init-1.m4s", "file cam 'muxed/init-1.m4s'"},
        {"live/cam/muxed", "file cam 'muxed'"},
        {"live/cam/audio-2/1.m4s", "file cam 'audio-2/1.m4s'"},
        {"live/cam/time/", "file cam 'time/'"},
        /* nothing of ours */
        {"live/", "none"},
        {"live//time", "none"},
        {"lively/cam", "none"},
        {"liv", "none"},
        {"", "none"},
        {"Live/cam", "none"},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        char text[256];
        describe(rows[row].path, text);
        assert_string_equal(text, rows[row].meaning);
    }
}

static void names_have_a_limit(void **state)
{
    char path[128] = "live/";
    struct live_url url;
    memset(path + 5, 'n', LIVE_NAME_SIZE - 1);
    assert_true(live_url_parse(path, &url));
    assert_int_equal(strlen(url.name), LIVE_NAME_SIZE - 1);
    path[5 + LIVE_NAME_SIZE - 1] = 'n';
    assert_false(live_url_parse(path, &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(names_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
