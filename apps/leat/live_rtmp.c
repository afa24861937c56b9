/* SPDX-License-Identifier: MIT */
/*
 * See live_rtmp.h. A connection's fiber reads, feeds the session, and sends what that has to say;
 * the session calls back when somebody wants to publish, and with media.
 */
#include "live_rtmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/flv.h"
#include "wire/rtmp.h"

enum { PIECE_SIZE = 64 * 1024 };

struct connection {
    struct live_rtmp *owner;
    struct leat_stream *stream;
    struct leat_address peer;
    struct rtmp *rtmp;
    struct flv *flv; /* NULL: it does not publish; likewise: */
    struct live_publisher *publisher;
    int64_t deadline_ns; /* to publish, or to send the next message of media */
    char piece[PIECE_SIZE];
};

/* ---- What a session asks --------------------------------------------------------------------- */

static enum rtmp_answer may_connect(const char *app, char *ret_reason, void *user)
{
    (void)user;
    if (strcmp(app, "live") == 0)
        return RTMP_ACCEPT;
    snprintf(ret_reason, RTMP_REASON_SIZE, "the address is rtmp://HOST/live/NAME");
    return RTMP_DENIED;
}

/* The value of "key=" in a query, as it stands. False: there is none that can be a key. */
static bool find_key(struct leat_slice query, char *ret_key, size_t size)
{
    static const char name[] = "key=";
    while (query.size > 0) {
        const char *const end = memchr(query.data, '&', query.size);
        const size_t pair = end ? (size_t)(end - query.data) : query.size;
        const size_t value = pair - (sizeof name - 1);
        if (pair >= sizeof name - 1 && memcmp(query.data, name, sizeof name - 1) == 0) {
            if (value >= size || memchr(query.data, '\0', pair))
                return false;
            memcpy(ret_key, query.data + sizeof name - 1, value);
            ret_key[value] = '\0';
            return true;
        }
        query.data += pair + (end != NULL);
        query.size -= pair + (end != NULL);
    }
    return false;
}

static enum rtmp_answer check_key(const struct connection *connection, const char *name,
                                  struct leat_slice query, char *ret_reason)
{
    char key[LIVE_KEY_SIZE];
    const bool has_key = find_key(query, key, sizeof key);
    const int status =
        site_live_check(connection->owner->live, name, has_key ? key : NULL, &connection->peer);
    explicit_bzero(key, sizeof key);
    if (status == 0)
        return RTMP_ACCEPT;
    snprintf(ret_reason, RTMP_REASON_SIZE, "%s",
             status == 401 ? "that is no key of this channel: NAME?key=KEY"
                           : "who publishes from elsewhere needs a key (--live-keys)");
    return RTMP_DENIED;
}

static int begin_channel(struct connection *connection, const char *name, char *ret_reason)
{
    char peer[LEAT_ADDRESS_TEXT_SIZE];
    const int error = live_publish(connection->owner->live->hub, name,
                                   leat_address_format(&connection->peer, peer),
                                   &connection->publisher, ret_reason);
    if (error)
        return error;
    const struct media_events events = {.on_track = live_publisher_track,
                                        .on_sample = live_publisher_sample,
                                        .user = connection->publisher};
    if (flv_create(&events, &connection->flv) == 0)
        return 0;
    live_publisher_end(connection->publisher, false);
    connection->publisher = NULL;
    snprintf(ret_reason, RTMP_REASON_SIZE, "%s", leat_error_text(-ENOMEM));
    return -ENOMEM;
}

static enum rtmp_answer may_publish(const struct rtmp_publish *publish, char *ret_reason,
                                    void *user)
{
    struct connection *const connection = user;
    char name[LIVE_NAME_SIZE];
    static_assert((int)RTMP_REASON_SIZE == (int)LIVE_REASON_SIZE, "the channel's reason fits");
    ASSERT(!connection->publisher && !connection->flv);
    if (publish->name.size == 0 || publish->name.size >= sizeof name ||
        memchr(publish->name.data, '\0', publish->name.size)) {
        snprintf(ret_reason, RTMP_REASON_SIZE, "that cannot be a channel's name");
        return RTMP_BAD_NAME;
    }
    memcpy(name, publish->name.data, publish->name.size);
    name[publish->name.size] = '\0';
    const enum rtmp_answer answer = check_key(connection, name, publish->query, ret_reason);
    if (answer != RTMP_ACCEPT)
        return answer;
    const int error = begin_channel(connection, name, ret_reason);
    if (error)
        return error == -EBUSY || error == -EINVAL ? RTMP_BAD_NAME : RTMP_DENIED;
    connection->deadline_ns = leat_after_ms(LIVE_RTMP_SILENCE_MS);
    return RTMP_ACCEPT;
}

static int take_media(enum rtmp_type type, int64_t time_ms, struct leat_slice body, void *user)
{
    struct connection *const connection = user;
    ASSERT(connection->flv);
    connection->deadline_ns = leat_after_ms(LIVE_RTMP_SILENCE_MS);
    return type == RTMP_VIDEO ? flv_video(connection->flv, time_ms, body)
                              : flv_audio(connection->flv, time_ms, body);
}

static void end_channel(struct connection *connection, bool is_over)
{
    flv_destroy(connection->flv);
    if (connection->publisher)
        live_publisher_end(connection->publisher, is_over);
    connection->flv = NULL;
    connection->publisher = NULL;
}

static void take_unpublish(void *user)
{
    struct connection *const connection = user;
    end_channel(connection, true);
    connection->deadline_ns = leat_after_ms(LIVE_RTMP_STRANGER_MS);
}

/* ---- A connection ---------------------------------------------------------------------------- */

static int send_output(struct connection *connection, int64_t deadline_ns)
{
    const struct leat_slice output = rtmp_output(connection->rtmp);
    const int error = output.size > 0 ? leat_stream_write(connection->stream, output.data,
                                                          output.size, deadline_ns)
                                      : 0;
    rtmp_output_clear(connection->rtmp);
    return error;
}

/* Until the session is over (0), or the connection is of no more use: an error, or
 * -LEAT_E_TRUNCATED when the peer has gone. */
static int converse(struct connection *connection)
{
    int error = 0;
    while (!error && !rtmp_is_over(connection->rtmp)) {
        const ssize_t size = leat_stream_read(connection->stream, connection->piece, PIECE_SIZE,
                                              connection->deadline_ns);
        if (size <= 0)
            return size < 0 ? (int)size : -LEAT_E_TRUNCATED;
        error = rtmp_feed(connection->rtmp, (struct leat_slice){connection->piece, (size_t)size});
        if (!error)
            error = send_output(connection, leat_after_ms(LIVE_RTMP_WRITE_MS));
    }
    return error;
}

/* Whoever knows most of it. */
static const char *reason_of(const struct connection *connection, int error)
{
    if (error == -ECANCELED && leat_is_cancelled())
        return "the server is ending";
    if (error == -ETIMEDOUT)
        return connection->flv ? "nothing came for too long" : "it did not publish in time";
    if (connection->flv && flv_reason(connection->flv)[0])
        return flv_reason(connection->flv);
    if (connection->publisher && live_publisher_reason(connection->publisher)[0])
        return live_publisher_reason(connection->publisher);
    if (rtmp_reason(connection->rtmp)[0])
        return rtmp_reason(connection->rtmp);
    return leat_error_text(error);
}

/* The last word reaches the peer only if what he goes on to send is read meanwhile: a connection
 * that is closed with bytes unread is reset. */
static void say_goodbye(struct connection *connection, int error)
{
    const int64_t deadline_ns = leat_after_ms(LIVE_RTMP_GOODBYE_MS);
    ssize_t size = 1;
    if (error)
        rtmp_give_up(connection->rtmp, reason_of(connection, error));
    end_channel(connection, false); /* another may publish it, while this one is told */
    leat_shield_begin(deadline_ns);
    if (send_output(connection, deadline_ns) == 0 && leat_stream_finish(connection->stream) == 0)
        while (size > 0)
            size = leat_stream_read(connection->stream, connection->piece, PIECE_SIZE, deadline_ns);
    leat_shield_end();
}

static void close_connection(struct connection *connection)
{
    end_channel(connection, false);
    rtmp_destroy(connection->rtmp);
    leat_stream_close(connection->stream);
    connection->owner->count--;
    free(connection);
}

static void serve(void *arg)
{
    struct connection *const connection = arg;
    connection->deadline_ns = leat_after_ms(LIVE_RTMP_STRANGER_MS);
    const int error = converse(connection);
    if (error != -LEAT_E_TRUNCATED)
        say_goodbye(connection, error);
    close_connection(connection);
}

/* Takes the stream, whatever comes of it. */
static void begin_connection(struct live_rtmp *owner, struct leat_scope *scope,
                             struct leat_stream *stream)
{
    static const struct leat_fiber_options options = {.name = "rtmp"};
    struct rtmp_events events = {.on_connect = may_connect,
                                 .on_publish = may_publish,
                                 .on_media = take_media,
                                 .on_unpublish = take_unpublish};
    struct connection *connection = NULL;
    if (owner->count < LIVE_RTMP_CONNECTIONS_MAX)
        connection = calloc(1, sizeof *connection);
    if (!connection) {
        leat_stream_close(stream);
        return;
    }
    connection->owner = owner;
    connection->stream = stream;
    owner->count++;
    events.user = connection;
    if (leat_stream_peer(stream, &connection->peer) != 0 ||
        rtmp_create(&events, (uint64_t)leat_now_ns(), &connection->rtmp) != 0 ||
        leat_spawn(scope, serve, connection, &options) != 0)
        close_connection(connection);
}

/* ---- The listener ---------------------------------------------------------------------------- */

/* Until the listener is closed; then all connections are cancelled, and waited for. */
static void accept_all(void *arg)
{
    struct live_rtmp *const rtmp = arg;
    struct leat_scope scope;
    struct leat_stream *stream;
    leat_scope_init(&scope);
    while (leat_accept(rtmp->listener, LEAT_FOREVER, &stream) == 0)
        begin_connection(rtmp, &scope, stream);
    leat_scope_fini(&scope);
    ASSERT(rtmp->count == 0);
}

static int start_listening(struct live_rtmp *rtmp)
{
    static const struct leat_fiber_options fiber = {.name = "rtmp listener"};
    const struct leat_listen_options options = {
        .backlog = LIVE_RTMP_BACKLOG,
        .inherited_fd = fcntl(rtmp->socket->fds[0], F_DUPFD_CLOEXEC, SOCKETS_FIRST_FD),
    };
    if (options.inherited_fd < 0)
        return -errno;
    int error = leat_listen(NULL, &options, &rtmp->listener);
    if (error)
        return error;
    leat_scope_init(&rtmp->scope); /* empty when the loop has ended: there is nothing to free */
    error = leat_spawn(&rtmp->scope, accept_all, rtmp, &fiber);
    if (error) {
        leat_listener_close(rtmp->listener);
        rtmp->listener = NULL;
    }
    return error;
}

static void start(struct task *task)
{
    struct live_rtmp *const rtmp = CONTAINER_OF(task, struct live_rtmp, start_task);
    rtmp->error = start_listening(rtmp);
    sem_post(&rtmp->is_decided);
}

int live_rtmp_start(struct live_rtmp *rtmp)
{
    ASSERT(!rtmp->is_started && rtmp->live && rtmp->socket);
    sem_init(&rtmp->is_decided, 0, 0);
    rtmp->start_task.run = start;
    const bool is_posted = worker_post(rtmp->worker, &rtmp->start_task);
    while (is_posted && sem_wait(&rtmp->is_decided) != 0)
        ;
    sem_destroy(&rtmp->is_decided);
    const int error = is_posted ? rtmp->error : -ECANCELED;
    rtmp->is_started = !error;
    return error;
}

static void stop(struct task *task)
{
    struct live_rtmp *const rtmp = CONTAINER_OF(task, struct live_rtmp, stop_task);
    leat_listener_close(rtmp->listener);
    rtmp->listener = NULL;
}

void live_rtmp_stop(struct live_rtmp *rtmp)
{
    if (!rtmp->is_started)
        return;
    rtmp->is_started = false;
    rtmp->stop_task.run = stop;
    (void)worker_post(rtmp->worker, &rtmp->stop_task);
}
