/* SPDX-License-Identifier: MIT */
/*
 * A connection of the server: a machine on the loop that reads heads, runs handlers in fibers, and
 * sends what they replied.
 *
 *                first byte            whole head              handler returned
 *   AWAITING ----------------> HEAD ---------------> HANDLING ------------------> REPLY
 *    ^  |  ^                    | malformed, late                                  |
 *    |  |  |                    +--------------------------------------------------+
 *    |  |  |                                                                       v
 *    |  |  +---------------- keep-alive ------- SENT <---- all is sent ------ SENDING
 *    |  |                                       | | close
 *    |  | end, idle too long   unread body      | v                end, or long enough
 *    |  +-----------------+      +--------------+ LINGERING -------------> CLOSING
 *    +------- SKIPPING <--|------+                                           ^
 *                         +--------------------------------------------------+
 *
 *                leat_http_park
 *      HANDLING ----------------> PARKED     an idle connection that keeps a request's head;
 *         ^                         |        lot.c
 *         +-------------------------+
 *          woken, or its time is over
 *
 * Any state goes to CLOSING when the stream breaks. CLOSING waits until the receiver, the sender
 * and the fiber have ended; then the memory goes back. In HANDLING the handler may read the body
 * (reading.c) and write its response piece by piece (writing.c). SKIPPING reads away what of a body
 * the handler has left. LINGERING has shut the write side and reads the rest away, so that the
 * client gets to read an answer to what it has not finished sending (RFC 9112, section 9.6).
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include <stdint.h>

#include "base/list.h"
#include "fiber/fiber.h"
#include "http/exchange.h"
#include "http/intake.h"
#include "http/keep.h"
#include "http/way.h"
#include "net/stream.h"

struct leat_http_server;
struct crowd_entry;
struct lot_place;

enum conn_state {
    CONN_AWAITING,
    CONN_HEAD,
    CONN_HANDLING,
    CONN_PARKED,
    CONN_REPLY,
    CONN_SENDING,
    CONN_SENT,
    CONN_SKIPPING,
    CONN_LINGERING,
    CONN_CLOSING,
    CONN_STATES,
};

enum {
    /* As long as something comes, and in all. */
    CONN_LINGER_MS = 5 * 1000,
    CONN_LINGER_MAX_MS = 30 * 1000,
    CONN_LINGER_SOON_MS = 2000, /* where the handler has asked for that */
    CONN_LINGER_BYTES = 64 * 1024 * 1024,
    CONN_REFUSED_MS = 2000, /* who is refused is told when he asks, and must ask soon */
    /* Of a body that no handler wanted: beyond it the connection ends. */
    CONN_SKIP_MAX = 256 * 1024,
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
    enum conn_state state : 8;
    bool is_running;       /* conn_run is at it */
    bool is_receiving;     /* so is on_data */
    bool is_deferred : 1;  /* it goes on in the next turn */
    bool is_refused : 1;   /* beyond the server's limit */
    bool is_peer_done : 1; /* it will send nothing more */
    bool is_last : 1;      /* the response in work ends the connection, */
    bool ends_soon : 1;    /* and who does not listen is not waited for */
    union {
        uint32_t requests; /* so far */
        uint32_t lingered; /* LINGERING: bytes read away */
    };
    struct exchange *exchange; /* NULL: AWAITING, PARKED, LINGERING, CLOSING */
    struct keep *keep;         /* NULL: nothing */
    struct intake intake;
    struct crowd_entry *crowd; /* those of its address; NULL: not counted */
    struct way way;
    /* SENDING: acknowledged by the peer's kernel when that was last looked at; LINGERING: when it
     * ends at the latest; PARKED: what is left of the request. */
    union {
        uint64_t acknowledged;
        struct lot_place *place;
        int64_t linger_until_ns;
    };
};

/* Takes the descriptor over, and the place in the crowd, which may be NULL. Without memory for it
 * it is closed, and this returns false. */
bool conn_start(struct leat_http_server *server, int fd, struct crowd_entry *crowd,
                bool is_refused);
/* The server closes: the connection ends with its next response; or at once (not gently). */
void conn_end(struct conn *conn, bool is_gentle);

/* Who is at its other end: 0 or -errno. */
int conn_peer(const struct conn *conn, struct leat_address *ret_peer);
/* The handler's deadline is another. */
void conn_deadline_changed(struct conn *conn);
/* LINGERING takes two seconds at most. */
void conn_end_soon(struct conn *conn);
/* A parked request's handler runs again, now. On the loop's stack; the connection may be gone when
 * this returns. */
void conn_resume(struct conn *conn);

/* ---- For conn_calls.c ------------------------------------------------------------------------ */

static inline int64_t conn_in_ms(const struct conn *conn, int64_t delay_ms)
{
    return conn->stream.loop->now_ns + delay_ms * LEAT_NS_PER_MS;
}

void conn_set_deadline(struct conn *conn, int64_t deadline_ns);
/* The end of every send of a connection. */
void conn_on_sent(struct sender *sender, int result);

/* ---- For the handler's calls (reading.c, writing.c), in its fiber ---------------------------- */

/* Receives no more by itself: what was on its way is in the intake when this returns. 0, or the
 * reason why the fiber may not wait. */
int conn_stop_receiving(struct conn *conn, int64_t deadline_ns);
/* Sends, and waits until the kernel has taken all of it. 0 or an error; after one nothing more can
 * be sent. */
int conn_send(struct conn *conn, const struct leat_vector *vectors, size_t count,
              int64_t deadline_ns);
/* Waits until the socket has room, under the same timeouts. 0 or an error. */
int conn_await_room(struct conn *conn, int64_t deadline_ns);
/* Decides whether the response that is about to begin is the connection's last, as it is when its
 * own end is the connection's: response.keep_alive tells. Once a response. */
void conn_settle(struct conn *conn, bool ends_connection);
/* Makes the vectors that begin the response. */
void conn_finish_head(struct conn *conn);

#endif
