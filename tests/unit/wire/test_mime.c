/* SPDX-License-Identifier: MIT */
/*
 * Media types: the tables are in order, names are read as users write them, and what compression
 * does good is told from what it does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

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

static void compressible_types_are_in_order(void **state)
{
    for (size_t row = 1; mime_compressible(row); row++) {
        const char *before = mime_compressible(row - 1), *name = mime_compressible(row);
        assert_true(strlen(before) < strlen(name) ||
                    (strlen(before) == strlen(name) && strcmp(before, name) < 0));
    }
    for (size_t row = 0; mime_compressible(row); row++) {
        char type[64];
        const struct leat_slice name = slice_from_text(mime_compressible(row));
        assert_true(mime_is_compressible(name));
        /* Longer by a letter it is another type. */
        assert_in_range(snprintf(type, sizeof type, "%sx", name.data), 1, sizeof type - 1);
        assert_false(mime_is_compressible(slice_from_text(type)));
        type[name.size] = '\0';
        for (char *c = type; *c; c++)
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
        assert_true(mime_is_compressible(slice_from_text(type)));
    }
}

static void types_are_compressible_or_not(void **state)
{
    static const char *const good[] = {
        "text/html",
        "text/html; charset=utf-8",
        "text/plain;charset=utf-8",
        "TEXT/CSS ; x=y",
        "text/vtt",
        "text/x-anything",
        "application/json",
        "application/json;charset=utf-8",
        "application/problem+json",
        "application/ld+JSON; profile=\"a;b\"",
        "application/dash+xml",
        "image/svg+xml",
        "application/vnd.oai.openapi+yaml",
        "application/vnd.apple.mpegurl",
        "Application/Vnd.Apple.MpegURL",
        "application/wasm",
        "font/ttf",
        "application/xml",
    };
    static const char *const bad[] = {
        "",
        ";",
        "; charset=utf-8",
        "text",
        "texts/html",
        "json",
        "application/jso",
        "application/octet-stream",
        "application/zip",
        "application/gzip",
        "application/epub+zip",
        "application/pdf",
        "application/x+jsonx",
        "image/png",
        "image/jpeg",
        "image/webp",
        "font/woff",
        "font/woff2",
        "video/mp4",
        "video/mp2t",
        "audio/mp4",
        "multipart/byteranges; boundary=text/html",
        "image/png; x=image/svg+xml",
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
    };
    for (size_t row = 0; row < sizeof good / sizeof *good; row++)
        assert_true(mime_is_compressible(slice_from_text(good[row])));
    for (size_t row = 0; row < sizeof bad / sizeof *bad; row++)
        assert_false(mime_is_compressible(slice_from_text(bad[row])));
    assert_false(mime_is_compressible(SLICE("font/otf\0")));
    assert_false(mime_is_compressible(SLICE("font/otf\0 and more than any row is long")));
}

/* Of all that names tell: what is compressed is known by its type, and left. */
static void names_of_what_is_compressed_already(void **state)
{
    static const char *const left[] = {
        "3gp",  "7z",   "aac",  "apng",  "avi", "avif", "br",  "bz2",  "deb",  "epub", "flac",
        "flv",  "gif",  "gz",   "heic",  "iso", "jpeg", "jpg", "jxl",  "m2ts", "m4a",  "m4s",
        "m4v",  "mid",  "mka",  "mkv",   "mov", "mp3",  "mp4", "mpeg", "mpg",  "oga",  "ogg",
        "ogv",  "opus", "pdf",  "png",   "tar", "tgz",  "tif", "tiff", "ts",   "wav",  "weba",
        "webm", "webp", "woff", "woff2", "xz",  "zip",  "zst"};
    for (size_t row = 0; mime_extension(row); row++) {
        char name[32];
        bool is_left = false;
        assert_in_range(snprintf(name, sizeof name, "a.%s", mime_extension(row)), 3, 31);
        for (size_t index = 0; index < sizeof left / sizeof *left; index++)
            is_left |= strcmp(left[index], mime_extension(row)) == 0;
        assert_int_equal(mime_is_compressible(mime_from_name(slice_from_text(name))), !is_left);
    }
}

static void lists_have_types(void **state)
{
    const struct leat_slice list = SLICE("application/pdf, image/*,,\tmodel/STL ,text");
    assert_true(mime_list_has(list, SLICE("application/pdf")));
    assert_true(mime_list_has(list, SLICE("Application/PDF; version=2")));
    assert_true(mime_list_has(list, SLICE("image/png")));
    assert_true(mime_list_has(list, SLICE("IMAGE/x ; a=b")));
    assert_true(mime_list_has(list, SLICE("model/stl")));
    assert_false(mime_list_has(list, SLICE("images/png")));
    assert_false(mime_list_has(list, SLICE("application/pd")));
    assert_false(mime_list_has(list, SLICE("application/pdfs")));
    assert_false(mime_list_has(list, SLICE("text/plain")));
    assert_false(mime_list_has(list, SLICE("")));
    assert_false(mime_list_has(list, SLICE(";a=b")));
    assert_true(mime_list_has(SLICE("*/*"), SLICE("a/b")));
    assert_true(mime_list_has(SLICE("c/d, *"), SLICE("a/b")));
    assert_false(mime_list_has(SLICE("**, /*, *a"), SLICE("a/b")));
    assert_false(mime_list_has(SLICE("*"), SLICE("")));
    assert_false(mime_list_has(SLICE(""), SLICE("a/b")));
    assert_false(mime_list_has(slice_of(NULL, 0), SLICE("a/b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_in_order),
        cmocka_unit_test(every_row_is_found),
        cmocka_unit_test(names_are_read),
        cmocka_unit_test(compressible_types_are_in_order),
        cmocka_unit_test(types_are_compressible_or_not),
        cmocka_unit_test(names_of_what_is_compressed_already),
        cmocka_unit_test(lists_have_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
