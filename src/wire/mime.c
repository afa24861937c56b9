/* SPDX-License-Identifier: MIT */
/*
 * A sorted table and a binary search: seven steps for a hundred rows. Types are those of the IANA
 * registry where it has one, and what players expect where it has none. ".ts" is a transport stream
 * here: this is a server of films.
 */
#include "wire/mime.h"

#include <stdbool.h>

#include "base/assert.h"
#include "wire/chars.h"

enum { EXTENSION_MAX = 11 };

struct mime {
    char extension[EXTENSION_MAX + 1];
    struct leat_slice type;
};

#define TEXT(subtype) SLICE("text/" subtype "; charset=utf-8")

static const struct mime mimes[] = {
    {"3gp", SLICE("video/3gpp")},
    {"7z", SLICE("application/x-7z-compressed")},
    {"aac", SLICE("audio/aac")},
    {"apng", SLICE("image/apng")},
    {"ass", TEXT("x-ssa")},
    {"avi", SLICE("video/x-msvideo")},
    {"avif", SLICE("image/avif")},
    {"bmp", SLICE("image/bmp")},
    {"br", SLICE("application/x-brotli")},
    {"bz2", SLICE("application/x-bzip2")},
    {"c", TEXT("x-c")},
    {"css", TEXT("css")},
    {"csv", TEXT("csv")},
    {"deb", SLICE("application/vnd.debian.binary-package")},
    {"epub", SLICE("application/epub+zip")},
    {"flac", SLICE("audio/flac")},
    {"flv", SLICE("video/x-flv")},
    {"gif", SLICE("image/gif")},
    {"gz", SLICE("application/gzip")},
    {"h", TEXT("x-c")},
    {"heic", SLICE("image/heic")},
    {"htm", TEXT("html")},
    {"html", TEXT("html")},
    {"ico", SLICE("image/vnd.microsoft.icon")},
    {"ics", TEXT("calendar")},
    {"iso", SLICE("application/vnd.efi.iso")},
    {"jpeg", SLICE("image/jpeg")},
    {"jpg", SLICE("image/jpeg")},
    {"js", TEXT("javascript")},
    {"json", SLICE("application/json")},
    {"jsonld", SLICE("application/ld+json")},
    {"jxl", SLICE("image/jxl")},
    {"log", TEXT("plain")},
    {"m2ts", SLICE("video/mp2t")},
    {"m3u8", SLICE("application/vnd.apple.mpegurl")},
    {"m4a", SLICE("audio/mp4")},
    {"m4s", SLICE("video/iso.segment")},
    {"m4v", SLICE("video/mp4")},
    {"map", SLICE("application/json")},
    {"md", TEXT("markdown")},
    {"mid", SLICE("audio/midi")},
    {"mjs", TEXT("javascript")},
    {"mka", SLICE("audio/x-matroska")},
    {"mkv", SLICE("video/x-matroska")},
    {"mov", SLICE("video/quicktime")},
    {"mp3", SLICE("audio/mpeg")},
    {"mp4", SLICE("video/mp4")},
    {"mpd", SLICE("application/dash+xml")},
    {"mpeg", SLICE("video/mpeg")},
    {"mpg", SLICE("video/mpeg")},
    {"oga", SLICE("audio/ogg")},
    {"ogg", SLICE("audio/ogg")},
    {"ogv", SLICE("video/ogg")},
    {"opus", SLICE("audio/ogg")},
    {"otf", SLICE("font/otf")},
    {"pdf", SLICE("application/pdf")},
    {"png", SLICE("image/png")},
    {"rss", SLICE("application/rss+xml")},
    {"rtf", SLICE("application/rtf")},
    {"srt", SLICE("application/x-subrip")},
    {"svg", SLICE("image/svg+xml")},
    {"tar", SLICE("application/x-tar")},
    {"tgz", SLICE("application/gzip")},
    {"tif", SLICE("image/tiff")},
    {"tiff", SLICE("image/tiff")},
    {"toml", SLICE("application/toml")},
    {"ts", SLICE("video/mp2t")},
    {"ttf", SLICE("font/ttf")},
    {"ttml", SLICE("application/ttml+xml")},
    {"txt", TEXT("plain")},
    {"vtt", TEXT("vtt")},
    {"wasm", SLICE("application/wasm")},
    {"wav", SLICE("audio/wav")},
    {"weba", SLICE("audio/webm")},
    {"webm", SLICE("video/webm")},
    {"webmanifest", SLICE("application/manifest+json")},
    {"webp", SLICE("image/webp")},
    {"woff", SLICE("font/woff")},
    {"woff2", SLICE("font/woff2")},
    {"xhtml", SLICE("application/xhtml+xml")},
    {"xml", SLICE("application/xml")},
    {"xz", SLICE("application/x-xz")},
    {"yaml", SLICE("application/yaml")},
    {"yml", SLICE("application/yaml")},
    {"zip", SLICE("application/zip")},
    {"zst", SLICE("application/zstd")},
};

enum { MIME_COUNT = sizeof(mimes) / sizeof(mimes[0]) };

/* The extension in lower case and zero-terminated; false when it is none, or longer than any. */
static bool extension_of(struct leat_slice name, char ret_text[EXTENSION_MAX + 1])
{
    size_t start = name.size;
    while (start > 0 && name.data[start - 1] != '.' && name.data[start - 1] != '/')
        start--;
    if (start == 0 || name.data[start - 1] != '.' || name.size - start > EXTENSION_MAX)
        return false;
    for (size_t i = start; i < name.size; i++) {
        if (name.data[i] == '\0')
            return false;
        ret_text[i - start] = chars_lower(name.data[i]);
    }
    ret_text[name.size - start] = '\0';
    return true;
}

struct leat_slice mime_from_name(struct leat_slice name)
{
    const struct leat_slice unknown = SLICE("application/octet-stream");
    char extension[EXTENSION_MAX + 1];
    if (!extension_of(name, extension))
        return unknown;
    size_t low = 0, high = MIME_COUNT;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(extension, mimes[middle].extension);
        if (order == 0)
            return mimes[middle].type;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    ASSERT(low == high);
    return unknown;
}

const char *mime_extension(size_t index)
{
    return index < MIME_COUNT ? mimes[index].extension : NULL;
}
