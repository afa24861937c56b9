/* SPDX-License-Identifier: MIT */
/*
 * Live channels over HTTP: everything below "/live/". docs/live.md tells publishers and viewers
 * what is where. One for all workers.
 *
 *     site_live.c     which request is for whom
 *     live_url.c      paths
 *     live_keys.c     who may publish
 *     live_put.c      publishing: an endless body of fragmented MP4,
 *     live_files.c    or files, one a segment
 *     live_lists.c    playlists, manifests, channels.json
 *     live_bytes.c    init segments, segments, parts
 *     live_desk.c     who waits
 */
#ifndef LEAT_SITE_LIVE_H
#define LEAT_SITE_LIVE_H

#include <pthread.h>

#include "live_desk.h"
#include "live_keys.h"
#include "live_url.h"
#include "loop/loop.h"
#include "site.h"

struct site_live {
    struct live_hub *hub;
    struct live_keys keys;
    pthread_mutex_t lock;    /* for: */
    struct list_node pushes; /* live_files.c's */
    struct leat_loop *loop;  /* that of the tick: */
    struct timer tick;       /* what time alone changes */
};

/* `keys_path` NULL: without keys, publishers of this host alone. `options` as live_hub_create's. 0,
 * or -1 with one line in ret_error. */
int site_live_create(const char *keys_path, const struct live_options *options,
                     struct site_live **ret_live, char *ret_error, size_t ret_error_size);
/* On the loop of one worker, as long as that runs: what time alone changes. */
void site_live_start_ticking(struct site_live *live, struct leat_loop *loop);
/* A worker ends; on its loop, which runs once more afterwards. */
void site_live_leave(struct site_live *live);
/* When all workers have ended. NULL is fine. */
void site_live_destroy(struct site_live *live);

/* Replies, or parks the request. False: the path is not below "live/". */
bool site_reply_live(const struct site *site, struct leat_http_request *request, const char *path,
                     struct leat_http_response *response);

/* May who speaks from `peer` publish under this name? 0; 401: with that key, or without one, not;
 * 403: not from there. `key` may be NULL. Takes as long whatever the key. */
int site_live_check(const struct site_live *live, const char *name, const char *key,
                    const struct leat_address *peer);

/* ---- For its own files ----------------------------------------------------------------------- */

struct live_request {
    const struct site *site;
    struct site_live *live;
    struct leat_http_request *request;
    struct leat_http_response *response;
    struct live_url url;
    struct live_channel *channel; /* held while the handler runs; NULL when publishing */
};

/* A line of text. */
void live_reply_line(struct live_request *wanted, int status, const char *line);
/* The handler returns and runs again when the channel has changed, for `patience_ms` from when the
 * request came; false: it has waited for long enough, or there is no memory. */
bool live_park(struct live_request *wanted, struct leat_http_lot *lot, int64_t patience_ms);
/* How long a request may wait for what is to come: three target durations. */
int64_t live_patience_ms(const struct live_channel *channel);

void live_reply_channels(struct live_request *wanted);
void live_reply_master(struct live_request *wanted);
void live_reply_manifest(struct live_request *wanted);
void live_reply_time(struct live_request *wanted);
void live_reply_index(struct live_request *wanted);
void live_reply_init(struct live_request *wanted);
void live_reply_segment(struct live_request *wanted);
void live_reply_part(struct live_request *wanted);
void live_take_push(struct live_request *wanted);

#endif
