/* SPDX-License-Identifier: MIT */
/*
 * The subscriber's inner half: what leat_feed_subscriber_open does once the transports are there.
 * For tests, which bring transports and instants of their own. Public half: feed.h.
 */
#ifndef FEED_SUBSCRIBER_H
#define FEED_SUBSCRIBER_H

#include "leat/feed.h"
#include "feed/transport.h"

struct subscriber_transports {
    struct feed_transport *lines[LEAT_FEED_LINES_MAX];
    struct feed_transport *answers; /* NULL: nobody is asked */
};

/* On `loop`; the options' addresses are not looked at. 0, -EINVAL, -ENOMEM; the transports are the
 * subscriber's only when it is 0. */
int subscriber_open_on(struct leat_loop *loop, const struct leat_feed_subscriber_options *options,
                       const struct subscriber_transports *transports,
                       struct leat_feed_subscriber **ret_subscriber, char *ret_reason,
                       size_t reason_size);

/* One round at this instant: a burst of each line is taken, what is due is asked for. The frames
 * that were taken, -ENODATA, or what a callback returned. */
int subscriber_round(struct leat_feed_subscriber *subscriber, int64_t now_ns);

/* When subscriber_round is to be called though nothing has come; LEAT_FOREVER: never. */
int64_t subscriber_next_ns(const struct leat_feed_subscriber *subscriber);

/* The session has ended, and all of it was delivered. */
bool subscriber_is_complete(const struct leat_feed_subscriber *subscriber);

#endif
