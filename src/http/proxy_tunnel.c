/* SPDX-License-Identifier: MIT */
/*
 * Behind 101 the bytes are another protocol's (RFC 9110, section 7.8): they go both ways, from
 * socket to socket, until both sides have ended, one of them fails, or nothing has moved for long.
 * Who ends its side is told so to the other, and may go on listening.
 */
#include <errno.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "http/conn.h"
#include "http/passing.h"
#include "http/proxy_parts.h"
#include "leat/error.h"
#include "net/relay.h"

struct tunnel {
    struct passage *passage;
    struct leat_stream *client, *upstream;
    int64_t moved_ns; /* when something last moved, either way */
    bool is_over;     /* one way has failed */
};

/* Something else may have moved since the wait began. */
static int64_t idle_deadline(const struct tunnel *tunnel)
{
    const int64_t timeout_ms = tunnel->passage->proxy->options.tunnel_idle_timeout_ms;
    return tunnel->moved_ns + timeout_ms * LEAT_NS_PER_MS;
}

static int await(struct tunnel *tunnel, struct relay *relay, enum relay_want want)
{
    int error;
    do
        error = relay_wait(relay, want, idle_deadline(tunnel));
    while (error == -ETIMEDOUT && idle_deadline(tunnel) > leat_now_ns());
    return error;
}

/* One way, to its end: 0 or an error. */
static int run_way(struct tunnel *tunnel, struct leat_stream *from, struct leat_stream *to)
{
    struct passage *passage = tunnel->passage;
    struct relay relay;
    int error = 0;
    relay_init(&relay, from, to, UINT64_MAX);
    while (!error && !tunnel->is_over) {
        const uint64_t before = relay.moved;
        const enum relay_want want = relay_step(&relay);
        if (relay.moved > before)
            tunnel->moved_ns = passage->loop->now_ns;
        if (to == tunnel->client)
            passing_count(passage->response, relay.moved - before);
        if (want == RELAY_ENDED)
            break;
        error = want == RELAY_FAILED ? relay.error : await(tunnel, &relay, want);
    }
    proxy_count(&passage->proxy->spliced_bytes, relay.moved);
    relay_fini(&relay);
    if (!error)
        error = to->ops->finish(to);
    return error == -ENOTCONN ? 0 : error;
}

/* The other way hears of it by the end of its streams. */
static void end_both(struct tunnel *tunnel)
{
    const struct backend_sys *sys = tunnel->client->loop->sys;
    tunnel->is_over = true;
    (void)sys->shutdown(sys, tunnel->client->fd, SHUT_RDWR);
    (void)sys->shutdown(sys, tunnel->upstream->fd, SHUT_RDWR);
}

static void run_up(void *arg)
{
    struct tunnel *tunnel = arg;
    if (run_way(tunnel, tunnel->client, tunnel->upstream) != 0)
        end_both(tunnel);
}

/* The head, and what both sides had said before they knew of the tunnel. */
static int begin(struct passage *passage)
{
    struct link *link = &passage->link;
    char *const room = passing_room(passage->response);
    const ssize_t size = passage_make_switch(passage, room, EXCHANGE_OUT_SIZE);
    if (size < 0)
        return (int)size;
    (void)passing_settle(passage->response, true);
    const struct leat_vector vectors[] = {
        {.data = room, .size = (size_t)size},
        {.data = link->buffer + link->begin, .size = link->end - link->begin},
    };
    int error = passing_begin(passage->response, 101, vectors, 2, LEAT_FOREVER);
    link->begin = link->end;
    link_give_buffer(link);
    if (!error)
        error = passing_leave_http(passage->response);
    while (!error) {
        const size_t early = passing_take_input(passage->response, passage->out, LINK_BUFFER_SIZE);
        if (early == 0)
            break;
        error = leat_stream_write(&link->conn->stream, passage->out, early, LEAT_FOREVER);
    }
    return error;
}

void passage_tunnel(struct passage *passage)
{
    static const struct leat_fiber_options options = {.name = "proxy tunnel"};
    struct tunnel tunnel = {
        .passage = passage,
        .client = passing_stream(passage->response),
        .upstream = &passage->link.conn->stream,
        .moved_ns = passage->loop->now_ns,
    };
    if (begin(passage) != 0)
        return;
    struct leat_scope scope;
    passage_give_out(passage);
    proxy_count(&passage->proxy->tunnels, 1);
    atomic_fetch_add_explicit(&passage->proxy->tunnels_now, 1, memory_order_relaxed);
    leat_scope_init(&scope);
    if (leat_spawn(&scope, run_up, &tunnel, &options) != 0 ||
        run_way(&tunnel, tunnel.upstream, tunnel.client) != 0)
        end_both(&tunnel);
    if (leat_scope_join(&scope, LEAT_FOREVER) != 0)
        end_both(&tunnel);
    leat_scope_fini(&scope);
    atomic_fetch_sub_explicit(&passage->proxy->tunnels_now, 1, memory_order_relaxed);
    if (!tunnel.is_over)
        passing_end(passage->response);
}
