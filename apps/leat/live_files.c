/* SPDX-License-Identifier: MIT */
/*
 * See live_files.h. A push is all that comes under a name: its files belong to streams, by what
 * their names have in common ("chunk-stream0-00042.m4s" is of "stream0"), and each stream has a
 * parser. Files of a stream are taken one after the other, in the order in which they began to
 * come; those of different streams at the same time. Its lock is held while a piece is parsed.
 */
#include "live_files.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/line.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "wire/mp4_push.h"
#include "wire/mp4_reader.h"
#include "wire/mpegts.h"

enum {
    PIECE_SIZE = 64 * 1024,
    SILENCE_MS = 20 * 1000,
    STREAMS_MAX = 8, /* of a push */
    STREAM_NAME_SIZE = 32,
    LIST_MAX = 4 * 1024 * 1024, /* bytes of a playlist that are read */
    HOST_SIZE = 64,
    LATE_MS = 1000,
    BOX_HEADER_SIZE = 8,
};

struct push;

struct push_stream {
    struct push *push;
    char name[STREAM_NAME_SIZE];
    struct line line; /* who wait for the file before theirs */
    bool is_busy;
    bool has_begun;       /* what all files behind it need has come: an init segment */
    struct mp4_push *mp4; /* one of the two, once something has come */
    struct mpegts *ts;
};

struct push {
    struct list_node node; /* of the site's, under its lock */
    unsigned users;        /* requests, likewise */
    char name[LIVE_NAME_SIZE];
    char host[HOST_SIZE]; /* whence it comes */
    pthread_mutex_t lock; /* for all below */
    struct live_publisher *publisher;
    int64_t heard_ns;
    /* Its playlist has said that it ends. Files that were sent before may come later, by other
     * connections: so it ends a little after that. */
    bool is_over;
    int64_t over_ns;
    int error;                     /* it came to nothing; */
    char reason[LIVE_REASON_SIZE]; /* and why */
    struct push_stream streams[STREAMS_MAX];
    unsigned stream_count;
};

/* ---- Names ----------------------------------------------------------------------------------- */

enum file_kind { FILE_MP4, FILE_TS, FILE_LIST, FILE_OTHER };

static enum file_kind kind_of(const char *file)
{
    static const struct {
        const char *extension;
        enum file_kind kind;
    } kinds[] = {{".m4s", FILE_MP4},  {".mp4", FILE_MP4},   {".cmfv", FILE_MP4},
                 {".cmfa", FILE_MP4}, {".m4v", FILE_MP4},   {".m4a", FILE_MP4},
                 {".ts", FILE_TS},    {".m3u8", FILE_LIST}, {".mpd", FILE_LIST}};
    const char *dot = strrchr(file, '.');
    for (size_t index = 0; dot && index < sizeof kinds / sizeof *kinds; index++)
        if (strcmp(dot, kinds[index].extension) == 0)
            return kinds[index].kind;
    return FILE_OTHER;
}

/* "stream0" of "chunk-stream0-00042.m4s" and "init-stream0.m4s", as ffmpeg's DASH muxer names them;
 * "" of all else: one stream. */
static void stream_name_of(const char *file, char ret_name[STREAM_NAME_SIZE])
{
    const char *at = strstr(file, "stream");
    size_t size = 0;
    if (at) {
        size = strlen("stream");
        while (isalnum((unsigned char)at[size]))
            size++;
    }
    snprintf(ret_name, STREAM_NAME_SIZE, "%.*s", (int)size, at ? at : "");
}

/* ---- Pushes ---------------------------------------------------------------------------------- */

static void end_push(struct push *push)
{
    if (push->publisher)
        live_publisher_end(push->publisher, push->is_over);
    push->publisher = NULL;
}

/* Nobody uses it any more, and it is in no list. */
static void free_push(struct push *push)
{
    end_push(push);
    for (unsigned index = 0; index < push->stream_count; index++) {
        ASSERT(line_is_empty(&push->streams[index].line));
        mp4_push_destroy(push->streams[index].mp4);
        mpegts_destroy(push->streams[index].ts);
    }
    pthread_mutex_destroy(&push->lock);
    free(push);
}

static int make_push(struct site_live *live, const char *name, const char *peer,
                     struct push **ret_push, char *ret_reason)
{
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        return -ENOMEM;
    const int error = live_publish(live->hub, name, peer, &push->publisher, ret_reason);
    if (error) {
        free(push);
        return error;
    }
    pthread_mutex_init(&push->lock, NULL);
    snprintf(push->name, sizeof push->name, "%s", name);
    list_push_back(&live->pushes, &push->node);
    *ret_push = push;
    return 0;
}

/* Without its port: each file may come by a connection of its own. */
static void host_of(const char *peer, char ret_host[HOST_SIZE])
{
    const char *colon = strrchr(peer, ':');
    snprintf(ret_host, HOST_SIZE, "%.*s", (int)(colon ? (size_t)(colon - peer) : strlen(peer)),
             peer);
}

/* The push of the request's name, used by one more. 0; or why there can be none. */
static int enter(struct live_request *wanted, const char *peer, struct push **ret_push,
                 char *ret_reason)
{
    struct site_live *live = wanted->live;
    char host[HOST_SIZE];
    struct push *found = NULL;
    int error = 0;
    host_of(peer, host);
    pthread_mutex_lock(&live->lock);
    LIST_FOR_EACH (node, &live->pushes) {
        struct push *push = CONTAINER_OF(node, struct push, node);
        if (strcmp(push->name, wanted->url.name) == 0)
            found = push;
    }
    if (!found) {
        error = make_push(live, wanted->url.name, peer, &found, ret_reason);
        if (!error)
            snprintf(found->host, sizeof found->host, "%s", host);
    } else if (strcmp(found->host, host) != 0) {
        snprintf(ret_reason, LIVE_REASON_SIZE, "%s is being published by %s", found->name,
                 found->host);
        error = -EBUSY;
    }
    if (!error)
        found->users++;
    pthread_mutex_unlock(&live->lock);
    *ret_push = found;
    return error;
}

/* Who leaves one that came to nothing as the last takes it along. */
static void leave(struct site_live *live, struct push *push)
{
    pthread_mutex_lock(&live->lock);
    pthread_mutex_lock(&push->lock);
    const bool is_done = push->error;
    push->heard_ns = leat_now_ns();
    pthread_mutex_unlock(&push->lock);
    if (is_done)
        list_remove(&push->node);
    const bool goes = --push->users == 0 && is_done;
    pthread_mutex_unlock(&live->lock);
    if (goes)
        free_push(push);
}

/* Ends those that nobody uses and that were last heard before `before_ns`; or `over_ns`, where they
 * have said that they end. */
static void end_silent(struct site_live *live, int64_t before_ns, int64_t over_ns)
{
    struct list_node silent;
    list_init(&silent);
    pthread_mutex_lock(&live->lock);
    for (struct list_node *node = live->pushes.next, *next; node != &live->pushes; node = next) {
        struct push *push = CONTAINER_OF(node, struct push, node);
        next = node->next;
        if (push->users > 0 || push->heard_ns > (push->is_over ? over_ns : before_ns))
            continue;
        list_remove(node);
        list_push_back(&silent, node);
    }
    pthread_mutex_unlock(&live->lock);
    for (struct list_node *node; (node = list_take_front(&silent));)
        free_push(CONTAINER_OF(node, struct push, node));
}

void live_files_tick(struct site_live *live)
{
    const int64_t now_ns = leat_now_ns();
    end_silent(live, now_ns - SILENCE_MS * LEAT_NS_PER_MS, now_ns - LATE_MS * LEAT_NS_PER_MS);
}

void live_files_end(struct site_live *live)
{
    end_silent(live, INT64_MAX, INT64_MAX);
}

/* ---- Streams --------------------------------------------------------------------------------- */

/* Tracks of different streams have different numbers. */
static unsigned number_track(const struct push_stream *stream, unsigned index)
{
    return (unsigned)(stream - stream->push->streams) * MP4_TRACKS_MAX + index;
}

static int on_track(unsigned index, const struct mp4_track *track, void *user)
{
    const struct push_stream *stream = user;
    return live_publisher_track(number_track(stream, index), track, stream->push->publisher);
}

static int on_sample(unsigned index, const struct media_sample *sample, void *user)
{
    const struct push_stream *stream = user;
    return live_publisher_sample(number_track(stream, index), sample, stream->push->publisher);
}

/* With the lock held, as all below. */
static struct push_stream *stream_of(struct push *push, const char *name)
{
    for (unsigned index = 0; index < push->stream_count; index++)
        if (strcmp(push->streams[index].name, name) == 0)
            return &push->streams[index];
    if (push->stream_count == STREAMS_MAX)
        return NULL;
    struct push_stream *stream = &push->streams[push->stream_count++];
    stream->push = push;
    snprintf(stream->name, sizeof stream->name, "%s", name);
    line_init(&stream->line);
    return stream;
}

static int fail(struct push *push, int error, const char *reason)
{
    if (!push->error) {
        push->error = error;
        snprintf(push->reason, sizeof push->reason, "%s", reason);
    }
    return push->error;
}

/* Its turn has come: 0. Connections overtake each other: a segment waits for the init segment that
 * was sent before it. */
static int take_turn(struct push_stream *stream, bool is_begin)
{
    struct push *push = stream->push;
    const int64_t deadline_ns = leat_after_ms(SILENCE_MS);
    while (!push->error && (stream->is_busy || !(is_begin || stream->has_begun))) {
        bool was_called;
        const int error = line_wait(&stream->line, &push->lock, deadline_ns, &was_called);
        if (error == -ETIMEDOUT && !is_begin && !stream->has_begun)
            return fail(push, -LEAT_E_MALFORMED, "no init segment (moov) has come before it");
        if (error && !push->error)
            return error;
    }
    if (push->error)
        return push->error;
    stream->is_busy = true;
    return 0;
}

static void give_turn(struct push_stream *stream, bool is_begun)
{
    stream->is_busy = false;
    stream->has_begun |= is_begun;
    line_call_all(&stream->line, 0); /* who of them may go on finds out by himself */
}

static int prepare(struct push_stream *stream, enum file_kind kind)
{
    const struct media_events events = {on_track, on_sample, stream};
    if (kind == FILE_MP4 && stream->mp4) {
        mp4_push_next_file(stream->mp4);
        return 0;
    }
    if (kind == FILE_MP4)
        return mp4_push_create(&events, &stream->mp4);
    return stream->ts ? 0 : mpegts_create(&events, &stream->ts);
}

/* What a parser has returned, with its reason where it is an error. */
static int told(struct push_stream *stream, enum file_kind kind, int error)
{
    struct push *push = stream->push;
    if (!error)
        return 0;
    const char *reason = live_publisher_reason(push->publisher);
    return fail(push, error,
                reason[0]          ? reason
                : kind == FILE_MP4 ? mp4_push_reason(stream->mp4)
                                   : mpegts_reason(stream->ts));
}

static int feed(struct push_stream *stream, enum file_kind kind, struct leat_slice piece)
{
    struct push *push = stream->push;
    if (push->error)
        return push->error;
    push->heard_ns = leat_now_ns();
    return told(stream, kind,
                kind == FILE_MP4 ? mp4_push_feed(stream->mp4, piece)
                                 : mpegts_feed(stream->ts, piece));
}

/* `size`: what has come of the file already, in `piece`. */
static int read_media(struct live_request *wanted, struct push_stream *stream, enum file_kind kind,
                      char *piece, ssize_t size)
{
    pthread_mutex_t *lock = &stream->push->lock;
    int error = 0;
    while (!error && size > 0) {
        pthread_mutex_lock(lock);
        error = feed(stream, kind, (struct leat_slice){piece, (size_t)size});
        pthread_mutex_unlock(lock);
        if (!error)
            size = leat_http_read(wanted->request, piece, PIECE_SIZE, leat_after_ms(SILENCE_MS));
    }
    if (!error && size < 0)
        error = (int)size;
    pthread_mutex_lock(lock);
    if (!error && kind == FILE_TS && !stream->push->error)
        error = told(stream, kind, mpegts_flush(stream->ts));
    pthread_mutex_unlock(lock);
    return error;
}

/* Does a file that begins so need none before it? Neither does what is no MP4: it is refused. */
static bool is_begin(enum file_kind kind, const char *piece, size_t size)
{
    return kind == FILE_TS || size < BOX_HEADER_SIZE || memcmp(piece + 4, "ftyp", 4) == 0 ||
           memcmp(piece + 4, "moov", 4) == 0 ||
           !mp4_is_known_box(mp4_be32((const unsigned char *)piece + 4));
}

/* What has come of the body, at least the head of a box where there is one: publishers may send
 * byte by byte. */
static ssize_t read_begin(struct live_request *wanted, char *piece)
{
    ssize_t size = 0, more = 1;
    while (size < BOX_HEADER_SIZE && more > 0) {
        more = leat_http_read(wanted->request, piece + size, PIECE_SIZE - (size_t)size,
                              leat_after_ms(SILENCE_MS));
        size += more > 0 ? more : 0;
    }
    return more < 0 ? more : size;
}

/* In its turn. */
static int take_piece(struct live_request *wanted, struct push_stream *stream, enum file_kind kind,
                      char *piece, ssize_t size)
{
    struct push *push = stream->push;
    const bool begins = is_begin(kind, piece, (size_t)size);
    pthread_mutex_lock(&push->lock);
    int error = take_turn(stream, begins);
    if (error) {
        pthread_mutex_unlock(&push->lock);
        return error;
    }
    if (push->is_over && leat_now_ns() - push->over_ns > LATE_MS * LEAT_NS_PER_MS / 2)
        push->is_over = false; /* it goes on after all */
    error = prepare(stream, kind);
    pthread_mutex_unlock(&push->lock);
    if (!error)
        error = read_media(wanted, stream, kind, piece, size);
    pthread_mutex_lock(&push->lock);
    give_turn(stream, begins && !error);
    pthread_mutex_unlock(&push->lock);
    return error;
}

static int take_media(struct live_request *wanted, struct push *push, enum file_kind kind)
{
    char name[STREAM_NAME_SIZE];
    char *piece = leat_http_alloc(wanted->request, PIECE_SIZE);
    if (!piece)
        return -ENOMEM;
    const ssize_t size = read_begin(wanted, piece);
    if (size <= 0)
        return (int)size;
    stream_name_of(wanted->url.file, name);
    pthread_mutex_lock(&push->lock);
    struct push_stream *stream = stream_of(push, name);
    const int error = stream ? 0 : fail(push, -LEAT_E_LIMIT, "it has too many streams");
    pthread_mutex_unlock(&push->lock);
    return error ? error : take_piece(wanted, stream, kind, piece, size);
}

/* ---- Playlists ------------------------------------------------------------------------------- */

static bool says_end(const struct leat_slice *list)
{
    static const char *const ends[] = {"#EXT-X-ENDLIST", "type=\"static\""};
    for (size_t index = 0; index < sizeof ends / sizeof *ends; index++)
        if (memmem(list->data, list->size, ends[index], strlen(ends[index])))
            return true;
    return false;
}

static int take_list(struct live_request *wanted, struct push *push)
{
    struct leat_slice list;
    char *piece = leat_http_alloc(wanted->request, PIECE_SIZE + 1);
    if (!piece)
        return -ENOMEM;
    /* An end stands in its last lines, or (DASH) in its first: both are in what is kept. */
    size_t kept = 0;
    ssize_t size;
    uint64_t total = 0;
    bool is_end = false;
    while ((size = leat_http_read(wanted->request, piece + kept, PIECE_SIZE - kept,
                                  leat_after_ms(SILENCE_MS))) > 0) {
        enum { OVERLAP = 32 };
        list = (struct leat_slice){piece, kept + (size_t)size};
        is_end = is_end || says_end(&list);
        total += (uint64_t)size;
        if (total > LIST_MAX)
            return -LEAT_E_LIMIT;
        kept = list.size < OVERLAP ? list.size : OVERLAP;
        memmove(piece, piece + list.size - kept, kept);
    }
    pthread_mutex_lock(&push->lock);
    if (size == 0 && is_end) {
        push->is_over = true;
        push->over_ns = leat_now_ns();
    }
    pthread_mutex_unlock(&push->lock);
    return (int)size;
}

static int drop_body(struct live_request *wanted)
{
    void *piece = leat_http_alloc(wanted->request, PIECE_SIZE);
    ssize_t size;
    if (!piece)
        return -ENOMEM;
    do {
        size = leat_http_read(wanted->request, piece, PIECE_SIZE, leat_after_ms(SILENCE_MS));
    } while (size > 0);
    return (int)size;
}

void live_take_file(struct live_request *wanted, const char *peer)
{
    const enum file_kind kind = kind_of(wanted->url.file);
    char reason[LIVE_REASON_SIZE] = "";
    struct push *push;
    int error = enter(wanted, peer, &push, reason);
    if (error) {
        live_refuse_push(wanted, error, reason);
        return;
    }
    if (kind == FILE_LIST)
        error = take_list(wanted, push);
    else if (kind == FILE_OTHER) /* subtitles and the like are left out */
        error = drop_body(wanted);
    else
        error = take_media(wanted, push, kind);
    pthread_mutex_lock(&push->lock);
    snprintf(reason, sizeof reason, "%s", push->reason);
    pthread_mutex_unlock(&push->lock);
    if (error)
        live_refuse_push(wanted, error, reason);
    else
        (void)leat_http_reply_error(wanted->response, 204);
    leave(wanted->live, push);
}
