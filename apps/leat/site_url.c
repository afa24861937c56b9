/* SPDX-License-Identifier: MIT */
/*
 * See site_url.h.
 */
#include "site_url.h"

#include <string.h>

#include "base/slice.h"

bool query_find(struct leat_slice query, const char *name, struct leat_slice *ret_value)
{
    const struct leat_slice wanted = slice_from_text(name);
    while (query.size > 0) {
        const char *mark = memchr(query.data, '&', query.size);
        const size_t size = mark ? (size_t)(mark - query.data) : query.size;
        const struct leat_slice parameter = slice_of(query.data, size);
        if (slice_starts_with(parameter, wanted) &&
            (size == wanted.size || parameter.data[wanted.size] == '=')) {
            *ret_value = slice_after(parameter, wanted.size + (size > wanted.size));
            return true;
        }
        query = slice_after(query, size + (mark != NULL));
    }
    return false;
}

static bool has_extension(struct leat_slice name, const char *const *extensions)
{
    const char *dot = name.size ? memrchr(name.data, '.', name.size) : NULL;
    if (!dot || dot == name.data || dot[-1] == '/')
        return false;
    const struct leat_slice extension = slice_after(name, (size_t)(dot + 1 - name.data));
    for (; *extensions; extensions++)
        if (slice_equal_nocase(extension, slice_from_text(*extensions)))
            return true;
    return false;
}

bool film_is_named(struct leat_slice name)
{
    static const char *const extensions[] = {"mp4",  "m4v",  "mov", "m4a", "m4b",  "3gp",
                                             "cmfv", "cmfa", "f4v", "qt",  "mp4a", NULL};
    return has_extension(name, extensions);
}

bool film_is_played(struct leat_slice name)
{
    static const char *const extensions[] = {"webm", "mkv", "ogv",  "weba", "mp3", "ogg",
                                             "oga",  "wav", "opus", "flac", "aac", NULL};
    return has_extension(name, extensions);
}

/* Takes a decimal number without zeros in front; false: there is none. */
static bool take_number(const char **at, unsigned *ret_number)
{
    unsigned number = 0;
    const char *end = *at;
    for (; *end >= '0' && *end <= '9'; end++) {
        number = number * 10 + (unsigned)(*end - '0');
        if (number > FILM_URL_NUMBER_MAX)
            return false;
    }
    if (end == *at || (**at == '0' && end > *at + 1))
        return false;
    *at = end;
    *ret_number = number;
    return true;
}

/* "subtitles-LANG" and ".m3u8" or ".vtt" */
static bool parse_subtitles(const char *name, struct film_url *url)
{
    static const char prefix[] = "subtitles-";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *language = name + sizeof prefix - 1;
    const size_t size = strcspn(language, ".");
    if (size == 0 || size >= FILM_LANGUAGE_SIZE)
        return false;
    if (strcmp(language + size, ".m3u8") == 0)
        url->page = FILM_SUBTITLE_LIST;
    else if (strcmp(language + size, ".vtt") == 0)
        url->page = FILM_SUBTITLES;
    else
        return false;
    memcpy(url->language, language, size);
    url->language[size] = '\0';
    return true;
}

/* What is within a stream's folder. */
static bool parse_part(const char *name, struct film_url *url)
{
    if (strcmp(name, "index.m3u8") == 0)
        url->page = FILM_INDEX;
    else if (strcmp(name, "init.mp4") == 0)
        url->page = FILM_INIT;
    else if (take_number(&name, &url->number) && strcmp(name, ".m4s") == 0)
        url->page = FILM_SEGMENT;
    else
        return false;
    return true;
}

static bool parse_stream(const char *name, const char *end, struct film_url *url)
{
    const struct leat_slice stream = slice_of(name, (size_t)(end - name));
    if (slice_equal(stream, SLICE("muxed"))) {
        url->stream = FILM_STREAM_MUXED;
        return true;
    }
    if (slice_equal(stream, SLICE("video"))) {
        url->stream = FILM_STREAM_VIDEO;
        return true;
    }
    url->stream = FILM_STREAM_AUDIO;
    if (!slice_starts_with(stream, SLICE("audio-")))
        return false;
    name += 6;
    return take_number(&name, &url->audio) && name == end && url->audio > 0;
}

bool film_url_parse(const char *path, struct film_url *ret_url)
{
    struct film_url url = {0};
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    bool is_one = true;
    if (strcmp(name, "master.m3u8") == 0)
        url.page = FILM_MASTER;
    else if (strcmp(name, "manifest.mpd") == 0)
        url.page = FILM_MANIFEST;
    else if (strcmp(name, "info.json") == 0)
        url.page = FILM_INFO;
    else if (strcmp(name, "poster") == 0)
        url.page = FILM_POSTER;
    else if (!parse_subtitles(name, &url)) {
        const char *before =
            slash && slash > path ? memrchr(path, '/', (size_t)(slash - path)) : NULL;
        is_one = before && parse_part(name, &url) && parse_stream(before + 1, slash, &url);
        slash = before;
    }
    if (!is_one || !slash || slash == path)
        return false;
    url.film_size = (size_t)(slash - path);
    *ret_url = url;
    return true;
}
