/* SPDX-License-Identifier: MIT */
/*
 * See site_live.h.
 */
#include "site_live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "live_files.h"

enum { TICK_MS = 1000 };

int site_live_create(const char *keys_path, const struct live_options *options,
                     struct site_live **ret_live, char *ret_error, size_t ret_error_size)
{
    struct site_live *live = calloc(1, sizeof *live);
    int error = live ? 0 : -ENOMEM;
    if (live && keys_path && live_keys_read(&live->keys, keys_path, ret_error, ret_error_size)) {
        free(live);
        return -1;
    }
    if (live) {
        pthread_mutex_init(&live->lock, NULL);
        list_init(&live->pushes);
    }
    if (!error)
        error = live_hub_create(options, &live->hub);
    if (error) {
        snprintf(ret_error, ret_error_size, "%s", leat_error_text(error));
        site_live_destroy(live);
        return -1;
    }
    *ret_live = live;
    return 0;
}

void site_live_destroy(struct site_live *live)
{
    if (!live)
        return;
    live_hub_destroy(live->hub);
    pthread_mutex_destroy(&live->lock);
    live_keys_fini(&live->keys);
    free(live);
}

static void tick(struct timer *timer)
{
    struct site_live *live = CONTAINER_OF(timer, struct site_live, tick);
    live_files_tick(live);
    live_hub_tick(live->hub);
    loop_timer_start(live->loop, timer, leat_after_ms(TICK_MS));
}

void site_live_start_ticking(struct site_live *live, struct leat_loop *loop)
{
    ASSERT(!live->loop);
    live->loop = loop;
    timer_init(&live->tick, tick);
    live->tick.is_quiet = true;
    loop_timer_start(loop, &live->tick, leat_after_ms(TICK_MS));
}

void site_live_leave(struct site_live *live)
{
    live_desks_close();
    live_files_end(live);
}

/* ---- Who may publish ------------------------------------------------------------------------- */

static bool is_of_this_host(const struct leat_address *peer)
{
    switch (leat_address_family(peer)) {
    case AF_UNIX: return true;
    case AF_INET: return ntohl(peer->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&peer->v6.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr) &&
                peer->v6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
    default: return false;
    }
}

int site_live_check(const struct site_live *live, const char *name, const char *key,
                    const struct leat_address *peer)
{
    if (live->keys.is_asked_for)
        return live_keys_match(&live->keys, name, key) ? 0 : 401;
    return is_of_this_host(peer) ? 0 : 403;
}

/* ---- What its files share -------------------------------------------------------------------- */

void live_reply_line(struct live_request *wanted, int status, const char *line)
{
    (void)leat_http_add_field(wanted->response, "Cache-Control", "no-store");
    (void)leat_http_reply_text(wanted->response, status, "%s\n", line);
}

int64_t live_patience_ms(const struct live_channel *channel)
{
    return 3 * 1000 * (int64_t)live_target_s(channel);
}

bool live_park(struct live_request *wanted, struct leat_http_lot *lot, int64_t patience_ms)
{
    const int64_t deadline_ns =
        leat_http_received_ns(wanted->request) + patience_ms * LEAT_NS_PER_MS;
    return !leat_http_is_overdue(wanted->request) &&
           leat_http_park(wanted->request, wanted->response, lot, deadline_ns) == 0;
}

/* ---- Which request is for whom --------------------------------------------------------------- */

static void reply_page(struct live_request *wanted)
{
    switch (wanted->url.page) {
    case LIVE_PAGE_MASTER: live_reply_master(wanted); break;
    case LIVE_PAGE_MANIFEST: live_reply_manifest(wanted); break;
    case LIVE_PAGE_TIME: live_reply_time(wanted); break;
    case LIVE_PAGE_INDEX: live_reply_index(wanted); break;
    case LIVE_PAGE_INIT: live_reply_init(wanted); break;
    case LIVE_PAGE_SEGMENT: live_reply_segment(wanted); break;
    case LIVE_PAGE_PART: live_reply_part(wanted); break;
    default: (void)leat_http_reply_error(wanted->response, 404);
    }
}

static bool is_method(const struct leat_http_request *request, const char *name)
{
    const struct leat_slice method = leat_http_method(request);
    return method.size == strlen(name) && memcmp(method.data, name, method.size) == 0;
}

static void reply_push(struct live_request *wanted)
{
    if (wanted->url.page == LIVE_PAGE_CHANNELS)
        (void)leat_http_reply_not_allowed(wanted->request, wanted->response, "GET, HEAD, OPTIONS");
    else if (is_method(wanted->request, "PUT") || is_method(wanted->request, "POST"))
        live_take_push(wanted);
    else if (is_method(wanted->request, "DELETE")) /* of segments: the window's end is ours */
        (void)leat_http_reply_error(wanted->response, 204);
    else
        (void)leat_http_reply_not_allowed(wanted->request, wanted->response,
                                          "GET, HEAD, PUT, POST, DELETE, OPTIONS");
}

bool site_reply_live(const struct site *site, struct leat_http_request *request, const char *path,
                     struct leat_http_response *response)
{
    struct live_request wanted = {
        .site = site, .live = site->live, .request = request, .response = response};
    const bool is_below = strncmp(path, "live", 4) == 0 && (path[4] == '/' || path[4] == '\0');
    if (!is_below || !site->live)
        return false;
    if (!live_url_parse(path, &wanted.url)) {
        (void)leat_http_reply_error(response, 404);
        return true;
    }
    if (!leat_http_is_get(request)) {
        reply_push(&wanted);
        return true;
    }
    if (wanted.url.page == LIVE_PAGE_CHANNELS) {
        live_reply_channels(&wanted);
        return true;
    }
    wanted.channel = live_find(site->live->hub, wanted.url.name);
    if (wanted.channel)
        reply_page(&wanted);
    else
        (void)leat_http_reply_error(response, 404);
    live_channel_unref(wanted.channel);
    return true;
}
