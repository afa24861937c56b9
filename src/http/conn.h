/* SPDX-License-Identifier: MIT */
/*
 * A connection of the server: a machine on the loop that reads heads, runs handlers in fibers, and
 * sends what they replied.
 *
 *                first byte            whole head              handler returned
 *   AWAITING ----------------> HEAD ---------------> HANDLING ------------------> REPLY
 *      ^  |                     | malformed, late                                  |
 *      |  |                     +--------------------------------------------------+
 *      |  |                                                                        v
 *      +--|--------------- keep-alive --------- SENT <---- all is sent ------- SENDING
 *         |                                      | close
 *         | end, idle too long                   v             end, or long enough
 *         +----------------------------------> CLOSING <---- LINGERING
 *
 * Any state goes to CLOSING when the stream breaks. CLOSING waits until the receiver, the sender
 * and the fiber have ended; then the memory goes back. LINGERING has shut the write side and reads
 * the rest away, so that the client gets to read an answer to what it has not finished sending
 * (RFC 9112, section 9.6).
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include <stdint.h>

#include "base/list.h"
#include "fiber/fiber.h"
#include "http/exchange.h"
#include "net/stream.h"

struct leat_http_server;

enum conn_state {
    CONN_AWAITING,
    CONN_HEAD,
    CONN_HANDLING,
    CONN_REPLY,
    CONN_SENDING,
    CONN_SENT,
    CONN_LINGERING,
    CONN_CLOSING,
};

enum {
    CONN_LINGER_MS = 2000,
    CONN_LINGER_BYTES = 1024 * 1024,
    /* Pipelined bytes that wait for their turn; above it nothing more is received. */
    CONN_OVERFLOW_MAX = 64 * 1024,
    /* Pipelined requests that are answered at once; then it is the others' turn. */
    CONN_REQUESTS_A_TURN = 8,
};

struct conn {
    struct leat_http_server *server;
    struct list_node node;
    struct leat_stream stream;
    struct receiver receiver;
    struct timer timer;
    int64_t deadline_ns; /* the timer may fire earlier, and is then set anew */
    enum conn_state state;
    struct task task;          /* goes on in the next turn */
    bool is_deferred;          /* the task is queued */
    bool is_running;           /* conn_run is at it */
    bool is_receiving;         /* so is on_data */
    bool is_refused;           /* beyond the server's limit */
    bool is_peer_done;         /* it will send nothing more */
    bool is_last;              /* the response in work ends the connection */
    struct exchange *exchange; /* NULL: AWAITING, LINGERING, CLOSING */
    struct fiber *fiber;       /* of the handler; NULL: none */
    char *overflow;            /* received, with no room in the exchange */
    size_t overflow_size, overflow_capacity;
    uint64_t lingered;
    uint64_t acknowledged; /* by the peer's kernel, when a send timeout was last looked at */
};

/* Takes the descriptor over. Without memory for it it is closed, and this returns false. */
bool conn_start(struct leat_http_server *server, int fd, bool is_refused);
/* Ends it as soon as it may: at once when it serves nothing, else (gently) with its response. */
void conn_end(struct conn *conn, bool is_gentle);

#endif
