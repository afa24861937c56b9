/* SPDX-License-Identifier: MIT */
/*
 * See way.h. The kernel keeps a measurement that was limited by what there was to send only when it
 * is higher than the one before (tcp_rate_gen), so of many small answers the luckiest remains.
 * Therefore limited ones raise what is believed a little each time, and not far beyond what was
 * measured when the way was full; but one that is far higher shows that the first were too small to
 * measure with.
 */
#include "http/way.h"

#include "base/assert.h"
#include "http/conn.h"

enum {
    /* The rate of a way that has carried nothing yet is guessed from its round trip, as if so much
     * were on its way in one, and within these bounds. */
    GUESS_WINDOW = 64 * 1024,
    GUESS_RATE_MIN = 2 * 1000 * 1000 / 8,
    GUESS_RATE_MAX = 1250 * 1000 * 1000,
    /* Whoever is behind a proxy: the proxy's way, often a loopback, says nothing of theirs. */
    REMOTE_RATE = 100 * 1000 * 1000 / 8,
    LOCAL_RATE = 2 * 1000 * 1000 * 1000, /* from memory to memory */
};

static const float FAR = 2, BEYOND_FULL_MAX = 1.1F, LIMITED_SHARE = 1.0F / 8, FULL_SHARE = 0.25F;

void way_learn(struct way *way, const struct leat_delivery *delivery)
{
    const float seen = (float)delivery->rate_bytes_per_s;
    if (seen <= 0)
        return;
    if (!delivery->is_limited) {
        way->rate = way->rate_full > 0 ? way->rate + (seen - way->rate) * FULL_SHARE : seen;
        way->rate_full = seen;
        return;
    }
    if (seen > way->rate)
        way->rate = seen > way->rate * FAR ? seen : way->rate + (seen - way->rate) * LIMITED_SHARE;
    if (way->rate_full > 0 && way->rate > way->rate_full * BEYOND_FULL_MAX)
        way->rate = way->rate_full * BEYOND_FULL_MAX;
    ASSERT(way->rate > 0);
}

static double guess_rate(int64_t rtt_ns)
{
    const double guess = rtt_ns > 0 ? GUESS_WINDOW * 1e9 / (double)rtt_ns : GUESS_RATE_MIN;
    return guess < GUESS_RATE_MIN   ? GUESS_RATE_MIN
           : guess > GUESS_RATE_MAX ? GUESS_RATE_MAX
                                    : guess;
}

/* Is the one at the other end of the connection there for somebody else? (RFC 9110, section 7.6.3,
 * RFC 7239, and what is older than that) */
static bool is_proxied(const struct leat_http_request *request)
{
    const struct http1_head *head = &request->head.head;
    return head->first_line[HTTP1_FIELD_VIA] > 0 || head->first_line[HTTP1_FIELD_FORWARDED] > 0 ||
           head->first_line[HTTP1_FIELD_X_FORWARDED_FOR] > 0;
}

struct choice_link way_of(const struct leat_http_response *response)
{
    struct exchange *exchange = exchange_of_response(response);
    struct conn *conn = exchange->conn;
    struct leat_delivery delivery = {0};
    struct choice_link link = {.rate_bytes_per_s = LOCAL_RATE};
    if (leat_stream_delivery(&conn->stream, &delivery) == 0) { /* else: a unix socket */
        way_learn(&conn->way, &delivery);
        link = (struct choice_link){
            .rate_bytes_per_s =
                conn->way.rate > 0 ? (double)conn->way.rate : guess_rate(delivery.rtt_ns),
            .rtt_ns = delivery.rtt_ns,
            .window = delivery.window,
            .mss = delivery.mss,
        };
    }
    if (link.rate_bytes_per_s > REMOTE_RATE && is_proxied(&exchange->request))
        link.rate_bytes_per_s = REMOTE_RATE;
    const double pace = (double)response->pace_bytes_per_s;
    if (pace > 0 && pace < link.rate_bytes_per_s)
        link.rate_bytes_per_s = pace;
    return link;
}
