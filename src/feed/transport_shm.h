/* SPDX-License-Identifier: MIT */
/*
 * A ring in shared memory: one publisher, any number of subscribers on the same host, lossy as UDP
 * is. Who is lapped counts what it missed and goes on; nobody holds up the publisher, and readers
 * write nothing.
 *
 * The file stays when the publisher ends, and the next one takes it up: its readers notice, and
 * hear the new one from its first frame on. Who can write the file can crash its readers (by making
 * it shorter): it belongs in a folder like /dev/shm, where nobody can replace another's.
 */
#ifndef FEED_TRANSPORT_SHM_H
#define FEED_TRANSPORT_SHM_H

#include "feed/transport.h"

/* `path` begins with '/'. FEED_ROLE_SEND makes the file, FEED_ROLE_RECEIVE waits for it. As
 * feed_transport_open. */
int transport_shm_open(struct leat_loop *loop, const struct feed_transport_options *options,
                       const char *path, struct feed_transport **ret_transport, char *ret_reason,
                       size_t reason_size);

#endif
