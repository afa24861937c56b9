/* SPDX-License-Identifier: MIT */
/*
 * See keep.h. The kernel is called when the rate changes, not for each response.
 */
#include "http/keep.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "http/conn.h"

/* What the socket has inherited; a kernel that does not say has no limit. */
static uint64_t inherited_pace(const struct leat_stream *stream)
{
    const struct backend_sys *sys = stream->loop->sys;
    uint64_t rate = 0;
    socklen_t size = sizeof rate;
    const int error =
        sys->getsockopt(sys, stream->fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &size);
    return error || size != sizeof rate || rate == 0 ? UINT64_MAX : rate;
}

/* Makes it when it is not there; NULL: no memory. */
static struct keep *keep_of(struct conn *conn)
{
    if (conn->keep)
        return conn->keep;
    conn->keep = calloc(1, sizeof *conn->keep);
    if (conn->keep)
        conn->keep->pace = conn->keep->pace_max = inherited_pace(&conn->stream);
    return conn->keep;
}

void keep_destroy(struct keep *keep)
{
    if (!keep)
        return;
    free(keep->memory);
    free(keep);
}

void keep_set_pace(struct conn *conn, uint64_t rate_bytes_per_s)
{
    struct keep *keep = conn->keep;
    ASSERT(keep != NULL && keep->pace_max > 0);
    uint64_t pace = keep->pace_max;
    if (rate_bytes_per_s > 0 && rate_bytes_per_s < pace)
        pace = rate_bytes_per_s;
    if (pace != keep->pace && leat_stream_set_pacing(&conn->stream, pace) == 0)
        keep->pace = pace;
}

int keep_peer(struct conn *conn, struct leat_address *ret_peer)
{
    struct keep *keep = keep_of(conn);
    if (!keep)
        return conn_peer(conn, ret_peer);
    const int error = keep->peer.size == 0 ? conn_peer(conn, &keep->peer) : 0;
    if (!error)
        *ret_peer = keep->peer;
    return error;
}

int leat_http_set_pace(struct leat_http_response *response, uint64_t rate_bytes_per_s)
{
    struct conn *conn = exchange_of_response(response)->conn;
    if (rate_bytes_per_s > 0 && !keep_of(conn))
        return -ENOMEM;
    response->pace_bytes_per_s = rate_bytes_per_s;
    if (response->is_head_out && conn->keep)
        keep_set_pace(conn, rate_bytes_per_s);
    return 0;
}

void *leat_http_connection_memory(struct leat_http_request *request, size_t size)
{
    struct keep *keep = keep_of(exchange_of_request(request)->conn);
    ASSERT(size > 0);
    if (!keep)
        return NULL;
    if (!keep->memory) {
        keep->memory = calloc(1, size);
        keep->memory_size = size;
    }
    ASSERT(keep->memory_size == size);
    return keep->memory;
}
