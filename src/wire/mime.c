/* SPDX-License-Identifier: MIT */
/*
 * Sorted tables and binary searches: seven steps for a hundred rows. Types are those of the IANA
 * registry where it has one, and what players expect where it has none. ".ts" is a transport stream
 * here: this is a server of films.
 */
#include "wire/mime.h"

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
    {"eot", SLICE("application/vnd.ms-fontobject")},
    {"epub", SLICE("application/epub+zip")},
    {"flac", SLICE("audio/flac")},
    {"flv", SLICE("video/x-flv")},
    {"geojson", SLICE("application/geo+json")},
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
    {"jsonl", SLICE("application/jsonl")},
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
    {"ndjson", SLICE("application/x-ndjson")},
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
    {"tsv", TEXT("tab-separated-values")},
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

/* What is no text/..., +json, +xml or +yaml, by size and then by name. Formats that hold other
 * files, or parts that are compressed already (tar, PDF, TIFF, WAV), are not here. */
static const struct leat_slice compressibles[] = {
    SLICE("font/otf"),
    SLICE("font/ttf"),
    SLICE("font/sfnt"),
    SLICE("image/bmp"),
    SLICE("model/obj"),
    SLICE("model/stl"),
    SLICE("image/x-icon"),
    SLICE("audio/mpegurl"),
    SLICE("image/x-ms-bmp"),
    SLICE("application/rtf"),
    SLICE("application/sql"),
    SLICE("application/xml"),
    SLICE("audio/x-mpegurl"),
    SLICE("font/collection"),
    SLICE("application/cbor"),
    SLICE("application/json"),
    SLICE("application/toml"),
    SLICE("application/trig"),
    SLICE("application/wasm"),
    SLICE("application/x-sh"),
    SLICE("application/yaml"),
    SLICE("application/jsonl"),
    SLICE("application/x-sql"),
    SLICE("application/ndjson"),
    SLICE("application/x-yaml"),
    SLICE("application/graphql"),
    SLICE("application/jwk-set"),
    SLICE("application/msgpack"),
    SLICE("application/n-quads"),
    SLICE("application/xml-dtd"),
    SLICE("application/json-seq"),
    SLICE("application/protobuf"),
    SLICE("application/x-ndjson"),
    SLICE("application/x-subrip"),
    SLICE("application/n-triples"),
    SLICE("application/x-mpegurl"),
    SLICE("application/x-msgpack"),
    SLICE("application/ecmascript"),
    SLICE("application/javascript"),
    SLICE("application/postscript"),
    SLICE("application/x-font-otf"),
    SLICE("application/x-font-ttf"),
    SLICE("application/x-protobuf"),
    SLICE("application/vnd.msgpack"),
    SLICE("image/x-portable-anymap"),
    SLICE("image/x-portable-bitmap"),
    SLICE("image/x-portable-pixmap"),
    SLICE("application/x-javascript"),
    SLICE("image/vnd.microsoft.icon"),
    SLICE("image/x-portable-graymap"),
    SLICE("application/openmetrics-text"),
    SLICE("application/vnd.apple.mpegurl"),
    SLICE("application/vnd.ms-fontobject"),
    SLICE("application/vnd.google.protobuf"),
};

enum { COMPRESSIBLE_COUNT = sizeof compressibles / sizeof *compressibles };

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

/* Without parameters. */
static struct leat_slice essence_of(struct leat_slice media_type)
{
    const char *mark = media_type.size > 0 ? memchr(media_type.data, ';', media_type.size) : NULL;
    if (mark)
        media_type.size = (size_t)(mark - media_type.data);
    return chars_trim(media_type);
}

static bool starts_with_lower(struct leat_slice whole, struct leat_slice start)
{
    return whole.size >= start.size && chars_equal_lower(slice_of(whole.data, start.size), start);
}

static bool ends_with_lower(struct leat_slice whole, struct leat_slice end)
{
    return whole.size >= end.size &&
           chars_equal_lower(slice_after(whole, whole.size - end.size), end);
}

static bool is_listed_compressible(struct leat_slice essence)
{
    size_t low = 0, high = COMPRESSIBLE_COUNT; /* of the first row that is not shorter */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compressibles[middle].size < essence.size)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < COMPRESSIBLE_COUNT && compressibles[low].size == essence.size; low++)
        if (chars_equal_lower(essence, compressibles[low]))
            return true;
    return false;
}

/* Formats that are made of another one. */
static bool has_text_inside(struct leat_slice essence)
{
    switch (chars_lower(essence.data[essence.size - 1])) {
    case 'n': return ends_with_lower(essence, SLICE("+json"));
    case 'l':
        return ends_with_lower(essence, SLICE("+xml")) || ends_with_lower(essence, SLICE("+yaml"));
    default: return false;
    }
}

/* Asked of every response: what is asked for most, films and texts, is told first. */
bool mime_is_compressible(struct leat_slice media_type)
{
    if (starts_with_lower(media_type, SLICE("video/")))
        return false;
    const struct leat_slice essence = essence_of(media_type);
    if (essence.size == 0)
        return false;
    if (starts_with_lower(essence, SLICE("text/")))
        return !chars_equal_lower(essence, SLICE("text/event-stream"));
    return has_text_inside(essence) || is_listed_compressible(essence);
}

static bool starts_with_nocase(struct leat_slice whole, struct leat_slice start)
{
    return whole.size >= start.size && slice_equal_nocase(slice_of(whole.data, start.size), start);
}

bool mime_list_has(struct leat_slice list, struct leat_slice media_type)
{
    const struct leat_slice essence = essence_of(media_type);
    struct leat_slice element;
    if (essence.size == 0)
        return false;
    while (chars_next_element(&list, &element)) {
        const bool is_kind = slice_ends_with(element, SLICE("/*"));
        if (slice_equal(element, SLICE("*")) || slice_equal(element, SLICE("*/*")))
            return true;
        if (is_kind ? starts_with_nocase(essence, slice_of(element.data, element.size - 1))
                    : slice_equal_nocase(essence, element))
            return true;
    }
    return false;
}

const char *mime_extension(size_t index)
{
    return index < MIME_COUNT ? mimes[index].extension : NULL;
}

const char *mime_compressible(size_t index)
{
    return index < COMPRESSIBLE_COUNT ? compressibles[index].data : NULL;
}
