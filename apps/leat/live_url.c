/* SPDX-License-Identifier: MIT */
/*
 * See live_url.h.
 */
#include "live_url.h"

#include <string.h>

static const char *const stream_names[LIVE_STREAMS] = {"muxed", "video", "audio-1"};

const char *live_stream_name(enum live_stream stream)
{
    return stream_names[stream];
}

/* A number as it is written: without leading zeros, of at most 15 digits. Moves *at behind it. */
static bool take_number(const char **at, uint64_t *ret_number)
{
    const size_t size = strspn(*at, "0123456789");
    if (size == 0 || size > 15 || (size > 1 && (*at)[0] == '0'))
        return false;
    *ret_number = 0;
    for (size_t index = 0; index < size; index++)
        *ret_number = *ret_number * 10 + (uint64_t)((*at)[index] - '0');
    *at += size;
    return true;
}

static bool take_text(const char **at, const char *text)
{
    const size_t size = strlen(text);
    if (strncmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

/* "index.m3u8", "init-E.mp4", "N.m4s", "N.P.m4s". */
static bool parse_stream_file(const char *file, struct live_url *url)
{
    const char *at = file;
    uint64_t part;
    if (strcmp(file, "index.m3u8") == 0) {
        url->page = LIVE_PAGE_INDEX;
        return true;
    }
    if (take_text(&at, "init-")) {
        url->page = LIVE_PAGE_INIT;
        return take_number(&at, &url->number) && strcmp(at, ".mp4") == 0;
    }
    if (!take_number(&at, &url->number))
        return false;
    url->page = LIVE_PAGE_SEGMENT;
    if (strcmp(at, ".m4s") == 0)
        return true;
    url->page = LIVE_PAGE_PART;
    if (!take_text(&at, ".") || !take_number(&at, &part) || part >= LIVE_PARTS_MAX)
        return false;
    url->part = (unsigned)part;
    return strcmp(at, ".m4s") == 0;
}

static bool parse_file(const char *file, struct live_url *url)
{
    static const struct {
        const char *name;
        enum live_page page;
    } files[] = {{"master.m3u8", LIVE_PAGE_MASTER},
                 {"manifest.mpd", LIVE_PAGE_MANIFEST},
                 {"time", LIVE_PAGE_TIME}};
    for (size_t index = 0; index < sizeof files / sizeof *files; index++)
        if (strcmp(file, files[index].name) == 0) {
            url->page = files[index].page;
            return true;
        }
    for (unsigned stream = 0; stream < LIVE_STREAMS; stream++) {
        const size_t size = strlen(stream_names[stream]);
        if (strncmp(file, stream_names[stream], size) != 0 || file[size] != '/')
            continue;
        url->stream = (enum live_stream)stream;
        return parse_stream_file(file + size + 1, url);
    }
    return false;
}

bool live_url_parse(const char *path, struct live_url *ret_url)
{
    const char *at = path;
    *ret_url = (struct live_url){.page = LIVE_PAGE_CHANNELS, .file = ""};
    if (!take_text(&at, "live"))
        return false;
    if (at[0] == '\0' || strcmp(at, "/channels.json") == 0)
        return true;
    if (at[0] != '/')
        return false;
    const size_t size = strcspn(++at, "/");
    if (size == 0 || size >= LIVE_NAME_SIZE)
        return false;
    memcpy(ret_url->name, at, size);
    ret_url->page = LIVE_PAGE_NAME;
    if (at[size] == '\0')
        return true;
    ret_url->file = at + size + 1;
    if (!parse_file(ret_url->file, ret_url))
        ret_url->page = LIVE_PAGE_FILE;
    return true;
}
