/* SPDX-License-Identifier: MIT */
/*
 * Init segments, segments and parts of live channels: ranges of the segment's memory, or of its
 * file in the store, which the kernel sends; nothing is copied here however many watch.
 *
 * A part that is announced is waited for, without a stack. A segment that is being made is sent as
 * its parts come (chunked), as players of low-latency DASH ask for it; that takes a fiber each. As
 * long as nobody knows its size a Range of it is ignored (RFC 9110, section 14.2), and it has no
 * validator: the answer is all of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "leat/clock.h"
#include "site_live.h"
#include "viewers.h"

enum {
    INIT_SIZE = 16 * 1024, /* does for all that is no attack */
    SEND_TIMEOUT_MS = 30 * 1000,
    OPEN_TIMEOUT_MS = 10 * 1000, /* on a slow disk */
};

/* No name is ever used twice. */
static const char cache_control[] = "max-age=3600, immutable";

static const char *media_type_of(const struct live_request *wanted)
{
    return wanted->url.stream == LIVE_AUDIO ? "audio/mp4" : "video/mp4";
}

/* ---- Init segments --------------------------------------------------------------------------- */

void live_reply_init(struct live_request *wanted)
{
    char etag[LEAT_HTTP_ETAG_MAX + 1];
    void *data = leat_http_alloc(wanted->request, INIT_SIZE);
    const int size = data ? live_read_init(wanted->channel, wanted->url.stream, wanted->url.number,
                                           data, INIT_SIZE)
                          : -ENOMEM;
    if (size < 0) {
        (void)leat_http_reply_error(wanted->response, size == -ENOENT ? 404 : 503);
        return;
    }
    snprintf(etag, sizeof etag, "%u-init-%llu", wanted->url.stream,
             (unsigned long long)wanted->url.number);
    const struct leat_vector vector = {.data = data, .size = (uint64_t)size};
    (void)leat_http_add_field(wanted->response, "Cache-Control", cache_control);
    const struct leat_http_content content = {
        .media_type = media_type_of(wanted), .etag = etag, .vectors = &vector, .count = 1};
    if (leat_http_reply_content(wanted->request, wanted->response, &content) != 0)
        (void)leat_http_reply_error(wanted->response, 503);
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* For the dashboard. */
static void note_viewer(const struct live_request *wanted, uint64_t bytes)
{
    static const enum viewer_stream streams[LIVE_STREAMS] = {
        [LIVE_MUXED] = VIEWER_MUXED, [LIVE_VIDEO] = VIEWER_VIDEO, [LIVE_AUDIO] = VIEWER_AUDIO};
    struct site_connection *connection =
        leat_http_connection_memory(wanted->request, sizeof *connection);
    struct cmcd cmcd = {0};
    if (!connection || !slice_equal(leat_http_method(wanted->request), SLICE("GET")))
        return;
    viewers_read_cmcd(wanted->request, &cmcd);
    struct viewer_note note = {
        .request = wanted->request,
        .connection = &connection->viewer,
        .cmcd = &cmcd,
        .folder = "",
        .name = slice_from_text(live_channel_name(wanted->channel)),
        .stream = streams[wanted->url.stream],
        .is_live = true,
        .bytes = bytes,
        .now_ns = leat_now_ns(),
    };
    note.title = viewers_title(NULL, note.name);
    viewers_note(&note);
}

/* 404 for what is not there may be remembered by caches: not where it may come. */
static void reply_missing(struct live_request *wanted, int status)
{
    (void)leat_http_add_field(wanted->response, "Cache-Control", "no-store");
    (void)leat_http_reply_error(wanted->response, status);
}

static void reply_piece(struct live_request *wanted, struct live_piece *piece, const char *etag)
{
    struct leat_vector *vectors =
        leat_http_alloc(wanted->request, piece->range_count * sizeof *vectors);
    struct leat_file *file = NULL;
    const int error =
        live_piece_open(wanted->channel, piece, leat_after_ms(OPEN_TIMEOUT_MS), &file);
    if (!vectors || error) {
        if (!error)
            leat_file_unref(file);
        reply_missing(wanted, error == -ENOENT ? 404 : 503);
        return;
    }
    for (unsigned index = 0; index < piece->range_count; index++)
        vectors[index] = (struct leat_vector){
            .file = file, .offset = piece->ranges[index].offset, .size = piece->ranges[index].size};
    (void)leat_http_add_field(wanted->response, "Cache-Control", cache_control);
    const struct leat_http_content content = {.media_type = media_type_of(wanted),
                                              .etag = etag,
                                              .vectors = vectors,
                                              .count = piece->range_count};
    if (leat_http_reply_content(wanted->request, wanted->response, &content) != 0)
        (void)leat_http_reply_error(wanted->response, 503);
    leat_file_unref(file); /* the response holds it */
    const int status = leat_http_status(wanted->response);
    uint64_t bytes = 0;
    for (unsigned index = 0; index < piece->range_count; index++)
        bytes += piece->ranges[index].size;
    if (status == 200 || status == 206)
        note_viewer(wanted, bytes);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

void live_reply_part(struct live_request *wanted)
{
    const struct live_url *url = &wanted->url;
    char etag[LEAT_HTTP_ETAG_MAX + 1];
    struct live_piece piece;
    int error = live_read_part(wanted->channel, url->stream, url->number, url->part, &piece);
    if (error == -EAGAIN) {
        struct live_desk *desk = live_desk_of(wanted->channel);
        /* It may have come before the desk watched. */
        error = live_read_part(wanted->channel, url->stream, url->number, url->part, &piece);
        if (error == -EAGAIN && desk &&
            live_park(wanted, desk->parts, live_patience_ms(wanted->channel)))
            return;
    }
    if (error) {
        reply_missing(wanted, error == -EAGAIN ? 503 : 404);
        return;
    }
    snprintf(etag, sizeof etag, "%u-%llu-%u", url->stream, (unsigned long long)url->number,
             url->part);
    reply_piece(wanted, &piece, etag);
}

/* ---- Segments -------------------------------------------------------------------------------- */

/* 0; -ENOENT behind its last part. */
static int send_part(struct live_request *wanted, unsigned part, struct live_desk *desk)
{
    const struct live_url *url = &wanted->url;
    const int64_t deadline_ns = leat_after_ms(live_patience_ms(wanted->channel));
    struct live_piece piece;
    int error;
    while ((error = live_read_part(wanted->channel, url->stream, url->number, part, &piece)) ==
           -EAGAIN) {
        error = live_desk_wait(desk, deadline_ns);
        if (error)
            return error;
    }
    if (error)
        return error;
    struct leat_file *file;
    error = live_piece_open(wanted->channel, &piece, deadline_ns, &file);
    if (error)
        return error;
    const struct leat_vector vector = {
        .file = file, .offset = piece.ranges[0].offset, .size = piece.ranges[0].size};
    error = leat_http_send(wanted->response, &vector, 1, leat_after_ms(SEND_TIMEOUT_MS));
    leat_file_unref(file);
    if (!error)
        note_viewer(wanted, vector.size);
    return error;
}

/* As it is being made. */
static void stream_segment(struct live_request *wanted)
{
    struct live_desk *desk = live_desk_of(wanted->channel);
    if (!desk || leat_http_begin(wanted->response, 200, media_type_of(wanted), -1) != 0) {
        (void)leat_http_reply_error(wanted->response, 503);
        return;
    }
    if (slice_equal(leat_http_method(wanted->request), SLICE("HEAD")))
        return; /* there is nothing to wait for */
    int error = 0;
    live_desk_ref(desk);
    for (unsigned part = 0; !error; part++)
        error = send_part(wanted, part, desk);
    live_desk_unref(desk);
    if (error != -ENOENT)
        leat_http_abort(wanted->response);
}

/* The next one, of which there is nothing yet, is waited for without a stack. */
static bool waits_for_begin(struct live_request *wanted)
{
    struct live_edge edge;
    live_edge(wanted->channel, &edge);
    if (wanted->url.number <= edge.number)
        return false;
    struct live_desk *desk = live_desk_of(wanted->channel);
    return desk && live_park(wanted, desk->parts, live_patience_ms(wanted->channel));
}

void live_reply_segment(struct live_request *wanted)
{
    const struct live_url *url = &wanted->url;
    char etag[LEAT_HTTP_ETAG_MAX + 1];
    struct live_piece piece;
    const int error = live_read_segment(wanted->channel, url->stream, url->number, &piece);
    if (error == -EAGAIN && waits_for_begin(wanted))
        return;
    if (error == -EAGAIN && !leat_http_is_overdue(wanted->request)) {
        stream_segment(wanted);
        return;
    }
    if (error) {
        reply_missing(wanted, error == -EAGAIN ? 503 : 404);
        return;
    }
    snprintf(etag, sizeof etag, "%u-%llu", url->stream, (unsigned long long)url->number);
    reply_piece(wanted, &piece, etag);
}
