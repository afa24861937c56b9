/* SPDX-License-Identifier: MIT */
/*
 * Media types: the table is in order, and names are read as users write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/mime.h"

static void is_in_order(void **state)
{
    size_t count = 1;
    for (; mime_extension(count); count++) {
        assert_true(strcmp(mime_extension(count - 1), mime_extension(count)) < 0);
        assert_true(strlen(mime_extension(count)) > 0);
    }
    assert_true(count > 60);
}

static void every_row_is_found(void **state)
{
    for (size_t i = 0; mime_extension(i); i++) {
        char name[32] = "a.";
        strcat(name, mime_extension(i));
        const struct leat_slice type = mime_from_name(slice_from_text(name));
        assert_false(slice_equal(type, SLICE("application/octet-stream")));
        assert_int_equal(strlen(type.data), type.size);
        assert_non_null(memchr(type.data, '/', type.size));
        for (char *c = name; *c; c++)
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
        assert_ptr_equal(mime_from_name(slice_from_text(name)).data, type.data);
    }
}

static void names_are_read(void **state)
{
    static const struct {
        const char *name, *type;
    } rows[] = {
        {"film.mp4", "video/mp4"},
        {"dir.mp4/film.WebM", "video/webm"},
        {"a.b.c.m3u8", "application/vnd.apple.mpegurl"},
        {"seg.ts", "video/mp2t"},
        {"x.m4s", "video/iso.segment"},
        {"sub.vtt", "text/vtt; charset=utf-8"},
        {"index.html", "text/html; charset=utf-8"},
        {"app.mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {"photo.jpeg", "image/jpeg"},
        {"f.woff2", "font/woff2"},
        {"archive.tar.gz", "application/gzip"},
        {"mp4", "application/octet-stream"},
        {"", "application/octet-stream"},
        {".", "application/octet-stream"},
        {"film.mp4.", "application/octet-stream"},
        {"film.mp4/", "application/octet-stream"},
        {"dir.mp4/film", "application/octet-stream"},
        {"film.mp", "application/octet-stream"},
        {"film.mp44", "application/octet-stream"},
        {"film.webmanifest2", "application/octet-stream"},
        {"film.verylongextensionindeed", "application/octet-stream"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(mime_from_name(slice_from_text(rows[i].name)).data, rows[i].type);
    assert_string_equal(mime_from_name(SLICE("a.mp4\0")).data, "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_in_order),
        cmocka_unit_test(every_row_is_found),
        cmocka_unit_test(names_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
