/* SPDX-License-Identifier: MIT */
/*
 * See site_film.h. A film's path is looked up before what lies below it: a film that is there needs
 * no second look, and where a folder has that name its files are served as files.
 */
#include "site_film.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "text.h"

/* ---- What all share -------------------------------------------------------------------------- */

int site_films_create(const struct pace_policy *pace, unsigned builds_max,
                      struct site_films **ret_films)
{
    const struct film_cache_options options = {.builds_max = builds_max};
    struct site_films *films = calloc(1, sizeof *films);
    if (!films || stems_create(&films->stems) || film_cache_create(&options, &films->cache)) {
        site_films_destroy(films);
        return -ENOMEM;
    }
    films->pace = *pace;
    *ret_films = films;
    return 0;
}

void site_films_destroy(struct site_films *films)
{
    if (!films)
        return;
    film_cache_destroy(films->cache);
    stems_destroy(films->stems);
    free(films);
}

void site_films_read_counters(struct site_films *films, struct site_films_counters *ret_counters)
{
    film_cache_read_counters(films->cache, &ret_counters->cache);
    ret_counters->segments = films->segments;
    ret_counters->copied_bytes = films->copied_bytes;
}

void site_pace_other(const struct site *site, struct leat_http_response *response)
{
    const uint64_t rate = pace_other(&site->films->pace);
    if (rate > 0) /* each response begins unpaced; and to stay so is no failure */
        (void)leat_http_set_pace(response, rate);
}

/* ---- Replies --------------------------------------------------------------------------------- */

void film_reply_failure(const struct film_request *wanted, int error, const char *reason)
{
    struct leat_http_response *response = wanted->response;
    struct text line = {0};
    if (!reason[0]) {
        const bool has_changed = error == -ESTALE || error == -LEAT_E_TRUNCATED;
        const int status = has_changed ? 503 : leat_http_status_of_file(error);
        if (status == 503)
            (void)leat_http_add_field(response, "Retry-After", "1");
        (void)leat_http_reply_error(response, status);
        return;
    }
    text_add_visible(&line, slice_from_text(reason));
    text_add_literal(&line, "\n");
    if (line.has_failed)
        (void)leat_http_reply_error(response, 503);
    else
        (void)leat_http_reply(response, 422, "text/plain; charset=utf-8", line.data, line.size);
    text_fini(&line);
}

void film_reply_text(struct film_request *wanted, const char *media_type, struct text *text)
{
    site_reply_text(wanted->request, wanted->response, media_type, text);
}

void site_reply_text(struct leat_http_request *request, struct leat_http_response *response,
                     const char *media_type, struct text *text)
{
    static const struct hash_seed seed = {{0x6c656174, 0x66696c6d}};
    char etag[LEAT_HTTP_ETAG_MAX + 1];
    char *copy = text->has_failed ? NULL : leat_http_alloc(request, text->size);
    if (text->has_failed) {
        (void)leat_http_reply_error(response, 503);
    } else if (!copy) { /* larger than what goes with a request: without validators */
        (void)leat_http_add_field(response, "Cache-Control", "no-cache");
        (void)leat_http_reply(response, 200, media_type, text->data, text->size);
    } else {
        memcpy(copy, text->data, text->size);
        snprintf(etag, sizeof etag, "%016llx-%zx",
                 (unsigned long long)hash_bytes(&seed, slice_of(text->data, text->size)),
                 text->size);
        const struct leat_vector vector = {.data = copy, .size = text->size};
        (void)leat_http_add_field(response, "Cache-Control", "no-cache");
        (void)leat_http_reply_content(
            request, response,
            &(struct leat_http_content){
                .media_type = media_type, .etag = etag, .vectors = &vector, .count = 1});
    }
    text_fini(text);
}

/* ---- Streams --------------------------------------------------------------------------------- */

unsigned film_audio_count(const struct film *film)
{
    unsigned count = 0;
    for (unsigned index = 0; index < film_track_count(film); index++) {
        const struct film_track *track = film_track(film, index);
        count += track->kind == FILM_AUDIO && track->is_streamed;
    }
    return count;
}

int film_audio(const struct film *film, unsigned number)
{
    for (unsigned index = 0; index < film_track_count(film); index++) {
        const struct film_track *track = film_track(film, index);
        if (track->kind == FILM_AUDIO && track->is_streamed && --number == 0)
            return (int)index;
    }
    return -1;
}

bool film_stream_of(const struct film *film, enum film_stream_kind kind, unsigned audio,
                    struct film_stream *ret_stream)
{
    struct film_stream stream = {.track_count = 0};
    const int video = film_video(film);
    if (kind == FILM_STREAM_MUXED && film_audio_count(film) != 1)
        return false;
    if (kind != FILM_STREAM_AUDIO) {
        if (video < 0)
            return false;
        stream.tracks[stream.track_count++] = (unsigned)video;
    }
    if (kind != FILM_STREAM_VIDEO) {
        const int track = film_audio(film, kind == FILM_STREAM_MUXED ? 1 : audio);
        if (track < 0)
            return false;
        stream.tracks[stream.track_count++] = (unsigned)track;
    }
    *ret_stream = stream;
    return true;
}

/* ---- Dispatch -------------------------------------------------------------------------------- */

void film_stem_path(const char *path, bool of_ladder, char ret_path[SITE_PATH_SIZE])
{
    struct leat_slice stem;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!of_ladder || !ladder_stem(slice_from_text(name), &stem)) {
        const char *dot = strrchr(name, '.');
        stem = dot ? slice_of(name, (size_t)(dot - name)) : slice_from_text(name);
    }
    const size_t size = (size_t)(name - path) + stem.size;
    ASSERT(size < SITE_PATH_SIZE);
    memcpy(ret_path, path, size);
    ret_path[size] = '\0';
}

/* With the size of the file, where there is one. */
static void reply_info(struct film_request *wanted, struct film_facts *facts)
{
    facts->has_size = wanted->file != NULL;
    facts->size = wanted->file ? leat_file_info(wanted->file)->size : 0;
    site_reply_info(wanted, facts);
}

static void reply_film_page(struct film_request *wanted)
{
    struct film_ladder alone = {.count = 1, .rungs = {{.name = "", .film = wanted->film}}};
    switch (wanted->url.page) {
    case FILM_MASTER: site_reply_master(wanted, &alone); return;
    case FILM_MANIFEST: site_reply_manifest(wanted, &alone); return;
    case FILM_INDEX: site_reply_index(wanted); return;
    case FILM_INIT: site_reply_init(wanted); return;
    case FILM_SEGMENT: site_reply_segment(wanted); return;
    case FILM_SUBTITLE_LIST:
        site_reply_subtitle_list(wanted, film_duration_s(wanted->film));
        return;
    case FILM_SUBTITLES: site_reply_subtitles(wanted); return;
    case FILM_INFO: reply_info(wanted, &(struct film_facts){.film = wanted->film}); return;
    case FILM_POSTER: (void)site_reply_poster(wanted); return;
    }
}

/* Of what is there and has the name of a film. */
static void reply_of_file(struct film_request *wanted)
{
    char reason[FILM_REASON_SIZE];
    const bool is_info = wanted->url.page == FILM_INFO;
    if (wanted->url.page == FILM_POSTER) { /* of what cannot be streamed, too */
        reply_film_page(wanted);
        return;
    }
    if (!film_is_named(slice_from_text(wanted->path))) {
        reply_info(wanted, &(struct film_facts){.why = "it is no MP4"});
        return;
    }
    const int error = film_cache_get(wanted->site->films->cache, wanted->file, wanted->deadline_ns,
                                     &wanted->film, reason);
    if (!error)
        reply_film_page(wanted);
    else if (is_info && reason[0])
        reply_info(wanted, &(struct film_facts){.why = reason});
    else
        film_reply_failure(wanted, error, reason);
    film_unref(wanted->film);
}

/* Of a film's own file, if it is one. */
static bool reply_film(struct film_request *wanted)
{
    const struct leat_slice path = slice_from_text(wanted->path);
    const bool is_of_any = wanted->url.page == FILM_INFO || wanted->url.page == FILM_POSTER;
    if (!film_is_named(path) && !(is_of_any && film_is_played(path)))
        return false;
    const int open_error =
        leat_file_open(wanted->root, wanted->path, wanted->deadline_ns, &wanted->file);
    if (open_error) {
        const bool is_there = leat_http_status_of_file(open_error) != 404;
        if (is_there)
            film_reply_failure(wanted, open_error, "");
        return is_there;
    }
    const bool is_film = !leat_file_info(wanted->file)->is_directory;
    if (is_film)
        reply_of_file(wanted);
    leat_file_unref(wanted->file);
    wanted->file = NULL;
    return is_film;
}

static void reply_ladder_info(struct film_request *wanted, const struct film_ladder *ladder)
{
    char path[SITE_PATH_SIZE];
    struct leat_file *file;
    struct film_facts facts = {.film = ladder->rungs[0].film};
    if (film_path_beside(wanted->path, ladder->rungs[0].name, path) &&
        leat_file_open(wanted->root, path, wanted->deadline_ns, &file) == 0) {
        facts.has_size = true;
        facts.size = leat_file_info(file)->size;
        leat_file_unref(file);
    }
    site_reply_info(wanted, &facts);
}

static void reply_ladder_page(struct film_request *wanted, const struct film_ladder *ladder)
{
    switch (wanted->url.page) {
    case FILM_MASTER: site_reply_master(wanted, ladder); return;
    case FILM_MANIFEST: site_reply_manifest(wanted, ladder); return;
    case FILM_SUBTITLE_LIST:
        site_reply_subtitle_list(wanted, film_duration_s(ladder->rungs[0].film));
        return;
    case FILM_INFO: reply_ladder_info(wanted, ladder); return;
    default: site_reply_subtitles(wanted); return;
    }
}

/* Of a ladder, if there is one and no file by the name of what is asked for. */
static bool reply_ladder(struct film_request *wanted, const char *local)
{
    char reason[FILM_REASON_SIZE];
    struct leat_file *file;
    struct film_ladder *ladder;
    const enum film_page page = wanted->url.page;
    if (page == FILM_INDEX || page == FILM_INIT || page == FILM_SEGMENT)
        return false;
    if (leat_file_open(wanted->root, local, wanted->deadline_ns, &file) == 0) {
        leat_file_unref(file);
        return false;
    }
    if (page == FILM_POSTER)
        return site_reply_poster(wanted);
    ladder = leat_http_alloc(wanted->request, sizeof *ladder);
    if (!ladder)
        return false;
    const int error = film_ladder_open(wanted, wanted->path, ladder, reason);
    if (!error)
        reply_ladder_page(wanted, ladder);
    else if (error != -ENOENT && page == FILM_INFO && reason[0])
        reply_info(wanted, &(struct film_facts){.why = reason});
    else if (error != -ENOENT)
        film_reply_failure(wanted, error, reason);
    film_ladder_close(ladder);
    return error != -ENOENT;
}

bool site_reply_stream(const struct site *site, struct leat_http_request *request,
                       const struct site_place *place, struct leat_http_response *response)
{
    struct film_url url;
    if (!place->root->root || !film_url_parse(place->local, &url))
        return false;
    struct film_request wanted = {.site = site,
                                  .request = request,
                                  .response = response,
                                  .root = place->root->root,
                                  .url = url,
                                  .deadline_ns = leat_after_ms(FILM_TIMEOUT_MS)};
    ASSERT(url.film_size < sizeof wanted.path);
    memcpy(wanted.path, place->local, url.film_size);
    wanted.path[url.film_size] = '\0';
    if (!reply_film(&wanted) && !reply_ladder(&wanted, place->local))
        return false;
    if (url.page != FILM_SEGMENT)
        site_pace_other(site, response);
    return true;
}
