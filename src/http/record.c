/* SPDX-License-Identifier: MIT */
/*
 * See record.h.
 */
#include "http/record.h"

#include "base/assert.h"
#include "base/counters.h"
#include "http/conn.h"
#include "http/server.h"

#define X(bound) bound *INT64_C(1000),
static const int64_t bounds_ns[] = {LEAT_HTTP_DURATIONS_US(X)};
#undef X
static_assert(sizeof bounds_ns / sizeof *bounds_ns == LEAT_HTTP_DURATION_BUCKETS - 1,
              "the last bucket has no bound");

static unsigned bucket_of(int64_t duration_ns)
{
    unsigned bucket = 0;
    while (bucket < LEAT_HTTP_DURATION_BUCKETS - 1 && duration_ns > bounds_ns[bucket])
        bucket++;
    return bucket;
}

static void tell(struct conn *conn, int64_t duration_ns, uint64_t sent, bool is_broken)
{
    const struct leat_http_options *options = &conn->server->options;
    const struct backend_sys *sys = conn->stream.loop->sys;
    const struct exchange *exchange = conn->exchange;
    const struct http1_request *head = &exchange->request.head;
    struct leat_http_record record = {
        .peer = &exchange->peer,
        .method = head->method_text,
        .status = exchange->response.is_head_out ? exchange->response.status : 0,
        .body_received = exchange->request.body.received,
        .sent = sent,
        .body_sent = sent > exchange->head_size ? sent - exchange->head_size : 0,
        .time_ns = sys->wall_ns(sys) - duration_ns,
        .duration_ns = duration_ns,
        .is_broken = is_broken,
    };
    if (head->method_text.data) {
        record.target = head->target;
        record.host = head->host;
        record.minor_version = head->head.minor_version;
        record.referer = http1_value(&head->head, HTTP1_FIELD_REFERER);
        record.user_agent = http1_value(&head->head, HTTP1_FIELD_USER_AGENT);
    }
    options->on_done(&record, options->on_done_user);
}

/* The peer is asked for now: of one that has broken the connection off nothing is known later. */
void record_begin(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    ASSERT(!exchange->has_request);
    exchange->has_request = true;
    exchange->request.received_ns = conn->stream.loop->now_ns;
    if (conn->server->options.on_done && conn_peer(conn, &exchange->peer) != 0)
        exchange->peer =
            (struct leat_address){.base.sa_family = AF_UNIX, .size = sizeof(sa_family_t)};
}

void record_end(struct conn *conn, bool is_broken)
{
    struct leat_http_server *server = conn->server;
    struct exchange *exchange = conn->exchange;
    if (!exchange->has_request) /* and nothing was sent since */
        return;
    const uint64_t sent = exchange->sender.sent - exchange->sent_before;
    exchange->sent_before = exchange->sender.sent;
    counter_add(&server->bytes_sent, sent);
    exchange->has_request = false;
    const struct leat_http_response *response = &exchange->response;
    const int64_t duration_ns = conn->stream.loop->now_ns - exchange->request.received_ns;
    ASSERT(duration_ns >= 0);
    counter_add(&server->statuses[response->is_head_out ? response->status / 100 : 0], 1);
    counter_add(&server->durations[bucket_of(duration_ns)], 1);
    counter_add(&server->durations_ns, (uint64_t)duration_ns);
    if (server->options.on_done)
        tell(conn, duration_ns, sent, is_broken);
}
