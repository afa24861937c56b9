/* SPDX-License-Identifier: MIT */
/*
 * Subtitles that lie beside a film: STEM.LANG.vtt as it is, STEM.LANG.srt as WebVTT, made when it
 * is asked for, in a thread of the pool.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "site_film.h"
#include "wire/language.h"
#include "wire/m3u8.h"
#include "wire/subtitle.h"

static const char vtt_type[] = "text/vtt; charset=utf-8";

/* ---- Which there are ------------------------------------------------------------------------- */

/* Of STEM.LANG.vtt and STEM.LANG.srt; false: it is neither. */
static bool language_in(const char *name, size_t stem_size, char ret_language[FILM_LANGUAGE_SIZE])
{
    char tag[LANGUAGE_TAG_SIZE];
    const char *at = name + stem_size + 1, *end = strchr(at, '.');
    if (name[stem_size] != '.' || !end || (strcmp(end, ".vtt") != 0 && strcmp(end, ".srt") != 0))
        return false;
    const struct leat_slice code = slice_of(at, (size_t)(end - at));
    if (code.size == 0 || code.size >= FILM_LANGUAGE_SIZE ||
        !(slice_equal(code, SLICE("und")) || language_tag(code, tag)))
        return false;
    memcpy(ret_language, at, code.size);
    ret_language[code.size] = '\0';
    return true;
}

static void add_language(struct film_languages *languages, const char *language)
{
    for (unsigned index = 0; index < languages->count; index++)
        if (strcmp(languages->names[index], language) == 0)
            return;
    if (languages->count < FILM_SUBTITLES_MAX)
        memcpy(languages->names[languages->count++], language, strlen(language) + 1);
}

/* Those whose names begin with ret_languages->stem. */
static void find_by_stem(const struct film_request *wanted, struct film_languages *ret_languages)
{
    char language[FILM_LANGUAGE_SIZE];
    struct siblings *siblings;
    const char *slash = strrchr(ret_languages->stem, '/');
    const size_t stem_size = strlen(slash ? slash + 1 : ret_languages->stem);
    ret_languages->count = 0;
    if (stems_siblings(wanted->site->films->stems, wanted->root, ret_languages->stem,
                       wanted->deadline_ns, &siblings) != 0)
        return;
    for (const char *name = siblings_next(siblings, NULL); name;
         name = siblings_next(siblings, name))
        if (language_in(name, stem_size, language))
            add_language(ret_languages, language);
    siblings_unref(siblings);
}

void film_find_languages(const struct film_request *wanted, struct film_languages *ret_languages)
{
    char ladder_stem[SITE_PATH_SIZE];
    if (!wanted->file) { /* a ladder's path is its stem */
        memcpy(ret_languages->stem, wanted->path, sizeof ret_languages->stem);
        find_by_stem(wanted, ret_languages);
        return;
    }
    film_stem_path(wanted->path, false, ret_languages->stem);
    film_stem_path(wanted->path, true, ladder_stem);
    find_by_stem(wanted, ret_languages);
    if (ret_languages->count > 0 || strcmp(ladder_stem, ret_languages->stem) == 0)
        return;
    memcpy(ret_languages->stem, ladder_stem, sizeof ladder_stem);
    find_by_stem(wanted, ret_languages);
}

/* ---- The playlist ---------------------------------------------------------------------------- */

enum { PLAYLIST_TIMESCALE = 1000 };

/* One segment, as long as the film. */
static int64_t begin_of(void *user, unsigned index)
{
    return index == 0 ? 0 : *(const int64_t *)user;
}

static bool has_language(const struct film_languages *languages, const char *language)
{
    for (unsigned index = 0; index < languages->count; index++)
        if (strcmp(languages->names[index], language) == 0)
            return true;
    return false;
}

void site_reply_subtitle_list(struct film_request *wanted, double duration_s)
{
    struct film_languages languages;
    struct text text = {0};
    char uri[FILM_LANGUAGE_SIZE + 16];
    int64_t duration = (int64_t)(duration_s * PLAYLIST_TIMESCALE + 0.999);
    film_find_languages(wanted, &languages);
    if (!has_language(&languages, wanted->url.language)) {
        (void)leat_http_reply_error(wanted->response, 404);
        return;
    }
    snprintf(uri, sizeof uri, "subtitles-%s.vtt", wanted->url.language);
    m3u8_write_media(&text, &(struct m3u8_media){.segment_uri = uri,
                                                 .segment_count = 1,
                                                 .timescale = PLAYLIST_TIMESCALE,
                                                 .begin = begin_of,
                                                 .user = &duration});
    film_reply_text(wanted, "application/vnd.apple.mpegurl", &text);
}

/* ---- The text -------------------------------------------------------------------------------- */

/* A conversion, in a thread of the pool. */
struct conversion {
    struct leat_slice srt;
    struct text text;
};

static int convert(void *arg)
{
    struct conversion *conversion = arg;
    const long count = subtitle_from_srt(&conversion->text, conversion->srt);
    return conversion->text.has_failed ? -ENOMEM : count > 0 ? 0 : -LEAT_E_MALFORMED;
}

static void reply_srt(struct film_request *wanted, struct leat_file *file)
{
    const uint64_t size = leat_file_info(file)->size;
    struct conversion conversion = {.srt = {NULL, 0}};
    char *data = malloc(size + 1);
    int result = 0;
    int error = data ? leat_file_read(file, &(struct leat_file_range){.size = size}, 1, data,
                                      wanted->deadline_ns)
                     : -ENOMEM;
    conversion.srt = slice_of(data, size);
    if (!error)
        error = leat_offload(convert, &conversion, wanted->deadline_ns, &result);
    if (!error)
        error = result;
    free(data);
    if (!error) {
        film_reply_text(wanted, vtt_type, &conversion.text);
        return;
    }
    text_fini(&conversion.text);
    film_reply_failure(wanted, error,
                       error == -LEAT_E_MALFORMED ? "it holds no subtitles in SubRip's form" : "");
}

static void reply_vtt(struct film_request *wanted, struct leat_file *file)
{
    char start[16], etag[LEAT_HTTP_ETAG_MAX + 1];
    const struct leat_file_info *info = leat_file_info(file);
    const size_t size = info->size < sizeof start ? info->size : sizeof start;
    const int error = leat_file_read(file, &(struct leat_file_range){.size = size}, 1, start,
                                     wanted->deadline_ns);
    if (error || !subtitle_is_vtt(slice_of(start, size))) {
        film_reply_failure(wanted, error, error ? "" : "it is no WebVTT");
        return;
    }
    snprintf(etag, sizeof etag, "%llx-%llx", (unsigned long long)info->mtime_ns,
             (unsigned long long)info->size);
    const struct leat_vector vector = {.file = file, .size = info->size};
    const struct leat_http_content content = {.media_type = vtt_type,
                                              .etag = etag,
                                              .mtime_ns = info->mtime_ns,
                                              .vectors = &vector,
                                              .count = 1};
    (void)leat_http_add_field(wanted->response, "Cache-Control", "no-cache");
    if (leat_http_reply_content(wanted->request, wanted->response, &content) != 0)
        (void)leat_http_reply_error(wanted->response, 503);
}

void site_reply_subtitles(struct film_request *wanted)
{
    static const char *const extensions[] = {"vtt", "srt"};
    struct film_languages languages;
    char path[SITE_PATH_SIZE];
    struct leat_file *file = NULL;
    int error = -ENOENT;
    unsigned kind = 0;
    film_find_languages(wanted, &languages);
    if (has_language(&languages, wanted->url.language))
        for (kind = 0; kind < 2; kind++) {
            if (snprintf(path, sizeof path, "%s.%s.%s", languages.stem, wanted->url.language,
                         extensions[kind]) >= (int)sizeof path)
                break;
            error = leat_file_open(wanted->root, path, wanted->deadline_ns, &file);
            if (leat_http_status_of_file(error) != 404 || !error)
                break;
        }
    if (error)
        film_reply_failure(wanted, error, "");
    else if (leat_file_info(file)->is_directory)
        film_reply_failure(wanted, -ENOENT, "");
    else if (leat_file_info(file)->size > SUBTITLE_SIZE_MAX)
        film_reply_failure(wanted, -LEAT_E_LIMIT, "its subtitles are too large");
    else if (kind == 0)
        reply_vtt(wanted, file);
    else
        reply_srt(wanted, file);
    leat_file_unref(file);
}
