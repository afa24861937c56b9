/* SPDX-License-Identifier: MIT */
/*
 * Init segments and media segments: a head that is made for the request, and ranges of the film's
 * own file, which the kernel sends. The path of each second of each viewer: no look into a folder,
 * no job of the pool, and no memory but the request's.
 *
 * What lies too scattered for ranges, as audio alone does, is put together in memory and counted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "leat/clock.h"
#include "site_film.h"
#include "viewers.h"

enum {
    PACKAGING_VERSION = 1, /* of the bytes that are made: part of each tag */
    INIT_SIZE = 4 * 1024,  /* does for most; FILM_INIT_SIZE_MAX for all */
};

static void *take_memory(void *user, size_t size)
{
    return leat_http_alloc(user, size);
}

/* The same for the same bytes: of the file, the packaging, the stream and which of its parts. */
static void make_etag(const struct film_request *wanted, const char *part, unsigned number,
                      char etag[LEAT_HTTP_ETAG_MAX + 1])
{
    const struct leat_file_info *info = leat_file_info(wanted->file);
    const int size =
        snprintf(etag, LEAT_HTTP_ETAG_MAX + 1, "%llx-%llx-%d%c%u%s%u",
                 (unsigned long long)info->mtime_ns, (unsigned long long)info->size,
                 PACKAGING_VERSION, "mva"[wanted->url.stream], wanted -> url.audio, part, number);
    ASSERT(size > 0 && size <= LEAT_HTTP_ETAG_MAX);
}

static const char *media_type_of(const struct film_request *wanted)
{
    return wanted->url.stream == FILM_STREAM_AUDIO ? "audio/mp4" : "video/mp4";
}

/* `part`: of the tag, as make_etag has it. */
static void reply_content(const struct film_request *wanted, const char *part, unsigned number,
                          const struct leat_vector *vectors, size_t count)
{
    char etag[LEAT_HTTP_ETAG_MAX + 1];
    make_etag(wanted, part, number, etag);
    const struct leat_http_content content = {.media_type = media_type_of(wanted),
                                              .etag = etag,
                                              .mtime_ns = leat_file_info(wanted->file)->mtime_ns,
                                              .vectors = vectors,
                                              .count = count};
    if (leat_http_reply_content(wanted->request, wanted->response, &content) != 0)
        (void)leat_http_reply_error(wanted->response, 503);
}

/* ---- Init segments --------------------------------------------------------------------------- */

void site_reply_init(struct film_request *wanted)
{
    struct film_stream stream;
    if (!film_stream_of(wanted->film, wanted->url.stream, wanted->url.audio, &stream)) {
        (void)leat_http_reply_error(wanted->response, 404);
        return;
    }
    size_t capacity = INIT_SIZE;
    void *data = leat_http_alloc(wanted->request, capacity);
    int size = data ? film_write_init(wanted->film, &stream, data, capacity) : -ENOMEM;
    if (size == -ENOBUFS) {
        capacity = FILM_INIT_SIZE_MAX;
        data = leat_http_alloc(wanted->request, capacity);
        size = data ? film_write_init(wanted->film, &stream, data, capacity) : -ENOMEM;
    }
    if (size < 0) {
        (void)leat_http_reply_error(wanted->response, 503);
        return;
    }
    const struct leat_vector vector = {.data = data, .size = (uint64_t)size};
    reply_content(wanted, "i", 0, &vector, 1);
}

/* ---- Pacing, and who watches ----------------------------------------------------------------- */

/* Bytes a second; 0: as fast as it goes. */
static uint64_t pace(const struct film_request *wanted, const struct film_stream *stream,
                     const struct film_segment *segment, uint64_t title, const struct cmcd *cmcd,
                     struct pace_state *state)
{
    const struct film_track *track = film_track(wanted->film, stream->tracks[0]);
    const struct stem_rate ladder = film_ladder_rate(wanted);
    const double size = (double)(segment->head_size + segment->body_size);
    const struct pace_segment sent = {
        .title = title,
        .is_audio = wanted->url.stream == FILM_STREAM_AUDIO,
        .begin_s = (double)film_segment_begin(wanted->film, stream->tracks[0], wanted->url.number) /
                   track->timescale,
        .duration_s = segment->duration_s,
        .bits_per_s = segment->duration_s > 0 ? (uint64_t)(size * 8 / segment->duration_s) : 0,
        .film_bits_per_s = ladder_bits_per_s(wanted->film, false),
        .ladder_bits_per_s =
            ladder.bits_per_s ? ladder.bits_per_s : ladder_bits_per_s(wanted->film, true),
        .is_ladder_unknown = !ladder.is_known,
    };
    const uint64_t rate = pace_segment(&wanted->site->films->pace, state, &sent, cmcd);
    if (rate > 0)
        (void)leat_http_set_pace(wanted->response, rate);
    return rate;
}

static const char *folder_of(const struct film_request *wanted)
{
    const struct site *site = wanted->site;
    for (unsigned index = 0; index < site->root_count; index++)
        if (site->roots[index].root == wanted->root)
            return site->roots[index].name;
    return "";
}

/* What of the film's path is not the ladder's: "720" of "film-720.mp4", where the ladder is
 * "film". */
static struct leat_slice rung_of(const char *path, size_t stem_size)
{
    const char *rest = path + stem_size, *dot = strrchr(rest, '.');
    const size_t size = dot ? (size_t)(dot - rest) : strlen(rest);
    return size > 1 ? slice_of(rest + 1, size - 1) : slice_of(NULL, 0);
}

/* The segment has been replied with: at which pace, and to whom. */
static void account(const struct film_request *wanted, const struct film_stream *stream,
                    const struct film_segment *segment)
{
    static const enum viewer_stream streams[] = {[FILM_STREAM_MUXED] = VIEWER_MUXED,
                                                 [FILM_STREAM_VIDEO] = VIEWER_VIDEO,
                                                 [FILM_STREAM_AUDIO] = VIEWER_AUDIO};
    struct site_connection *connection =
        leat_http_connection_memory(wanted->request, sizeof *connection);
    if (!connection) /* unpaced, as each response begins; and seen by nobody */
        return;
    char stem[SITE_PATH_SIZE];
    struct cmcd cmcd = {0};
    film_stem_path(wanted->path, true, stem);
    viewers_read_cmcd(wanted->request, &cmcd);
    struct viewer_note note = {
        .request = wanted->request,
        .connection = &connection->viewer,
        .cmcd = &cmcd,
        .name = slice_from_text(stem),
        .folder = folder_of(wanted),
        .stream = streams[wanted->url.stream],
        .bytes = slice_equal(leat_http_method(wanted->request), SLICE("GET"))
                     ? segment->head_size + segment->body_size
                     : 0,
        .now_ns = leat_now_ns(),
    };
    note.title = viewers_title(wanted->root, note.name);
    note.detail = rung_of(wanted->path, note.name.size);
    if (wanted->site->films->pace.kind != PACE_OFF)
        note.pace_bytes_per_s = pace(wanted, stream, segment, note.title, &cmcd, &connection->pace);
    viewers_note(&note);
}

/* ---- Media segments -------------------------------------------------------------------------- */

static void reply_ranges(const struct film_request *wanted, const struct film_segment *segment)
{
    struct leat_vector vectors[1 + FILM_RANGES_MAX] = {
        {.data = segment->head, .size = segment->head_size}};
    for (unsigned index = 0; index < segment->range_count; index++)
        vectors[1 + index] = (struct leat_vector){.file = wanted->file,
                                                  .offset = segment->ranges[index].offset,
                                                  .size = segment->ranges[index].size};
    reply_content(wanted, "s", wanted->url.number, vectors, 1 + segment->range_count);
}

/* Puts the runs together. */
static void reply_packed(const struct film_request *wanted, const struct film_segment *segment)
{
    static_assert(sizeof(struct film_range) == sizeof(struct leat_file_range) &&
                      offsetof(struct film_range, size) == offsetof(struct leat_file_range, size),
                  "the one is the other");
    char *body = leat_http_alloc(wanted->request, segment->body_size);
    if (!body) {
        (void)leat_http_reply_error(wanted->response, 503);
        return;
    }
    const int error =
        leat_file_read(wanted->file, (const struct leat_file_range *)(const void *)segment->runs,
                       segment->run_count, body, wanted->deadline_ns);
    if (error) {
        film_reply_failure(wanted, error, "");
        return;
    }
    wanted->site->films->copied_bytes += segment->body_size;
    const struct leat_vector vectors[] = {{.data = segment->head, .size = segment->head_size},
                                          {.data = body, .size = segment->body_size}};
    reply_content(wanted, "s", wanted->url.number, vectors, 2);
}

void site_reply_segment(struct film_request *wanted)
{
    struct film_stream stream;
    struct film_segment segment;
    struct film_range next;
    if (!film_stream_of(wanted->film, wanted->url.stream, wanted->url.audio, &stream)) {
        (void)leat_http_reply_error(wanted->response, 404);
        return;
    }
    const int error = film_segment(wanted->film, &stream, wanted->url.number, take_memory,
                                   wanted->request, &segment);
    if (error) {
        (void)leat_http_reply_error(wanted->response, error == -ENOENT ? 404 : 503);
        return;
    }
    if (segment.run_count == 0)
        reply_ranges(wanted, &segment);
    else
        reply_packed(wanted, &segment);
    const int status = leat_http_status(wanted->response);
    if (status != 200 && status != 206)
        return;
    wanted->site->films->segments++;
    account(wanted, &stream, &segment);
    if (film_segment_extent(wanted->film, &stream, wanted->url.number + 1, &next) == 0)
        leat_file_read_ahead(wanted->file, next.offset, next.size);
}
