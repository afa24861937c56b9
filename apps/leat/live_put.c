/* SPDX-License-Identifier: MIT */
/*
 * Publishing over HTTP: PUT or POST of fragmented MP4 to /live/NAME, in one body that lasts as long
 * as the broadcast. Who ends it properly ends the channel; who breaks off may come back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "leat/clock.h"
#include "leat/error.h"
#include "live_credentials.h"
#include "live_files.h"
#include "site_live.h"
#include "wire/mp4_push.h"

enum { PIECE_SIZE = 64 * 1024, SILENCE_MS = 20 * 1000 };

static int status_of(int error)
{
    switch (-error) {
    case EBUSY:
    case ECANCELED: return 409;
    case EINVAL:
    case LEAT_E_MALFORMED: return 400;
    case ETIMEDOUT: return 408;
    case EOPNOTSUPP: return 415;
    case LEAT_E_LIMIT: return 413;
    case ENOSPC: return 507;
    default: return 503;
    }
}

void live_refuse_push(struct live_request *wanted, int error, const char *reason)
{
    live_reply_line(wanted, status_of(error), reason[0] ? reason : leat_error_text(error));
}

/* Replies where it is not so. */
static bool is_allowed(struct live_request *wanted, struct leat_address *ret_peer)
{
    char key[LIVE_KEY_SIZE];
    const bool has_key =
        credentials_key(leat_http_field(wanted->request, "authorization"), key, sizeof key);
    int status = 403;
    if (leat_http_peer(wanted->request, ret_peer) == 0)
        status = site_live_check(wanted->live, wanted->url.name, has_key ? key : NULL, ret_peer);
    explicit_bzero(key, sizeof key);
    if (status == 0)
        return true;
    if (status == 401)
        (void)leat_http_add_field(wanted->response, "WWW-Authenticate",
                                  "Basic realm=\"publish\", charset=\"UTF-8\"");
    live_reply_line(wanted, status,
                    status == 401 ? "that is no key of this channel"
                                  : "who publishes from elsewhere needs a key (--live-keys)");
    return false;
}

/* Both stop at the first error: 0 at the end of the body. */
static int feed_all(struct live_request *wanted, struct mp4_push *push)
{
    void *piece = leat_http_alloc(wanted->request, PIECE_SIZE);
    ssize_t size;
    if (!piece)
        return -ENOMEM;
    while ((size = leat_http_read(wanted->request, piece, PIECE_SIZE, leat_after_ms(SILENCE_MS))) >
           0) {
        const int error = mp4_push_feed(push, (struct leat_slice){piece, (size_t)size});
        if (error)
            return error;
    }
    return (int)size;
}

static void publish(struct live_request *wanted, struct live_publisher *publisher)
{
    const struct media_events events = {
        .on_track = live_publisher_track, .on_sample = live_publisher_sample, .user = publisher};
    struct mp4_push *push = NULL;
    int error = mp4_push_create(&events, &push);
    if (!error)
        error = feed_all(wanted, push);
    const bool is_whole = !error && mp4_push_is_idle(push);
    const char *reason = live_publisher_reason(publisher);
    if (!reason[0] && push)
        reason = mp4_push_reason(push);
    if (error == -ESHUTDOWN) /* at once: so it finds who comes after us as soon */
        leat_http_abort(wanted->response);
    else if (error)
        live_refuse_push(wanted, error, reason);
    else if (!is_whole)
        live_reply_line(wanted, 400, "it ends in the middle of a fragment");
    else if (!live_publisher_has_tracks(publisher))
        live_reply_line(wanted, 400, "there is neither video nor audio in it");
    else
        (void)leat_http_reply_error(wanted->response, 204);
    mp4_push_destroy(push);
    live_publisher_end(publisher, is_whole);
}

void live_take_push(struct live_request *wanted)
{
    struct leat_address peer;
    char text[LEAT_ADDRESS_TEXT_SIZE], reason[LIVE_REASON_SIZE];
    struct live_publisher *publisher;
    if (!is_allowed(wanted, &peer))
        return;
    leat_http_set_body_size_max(wanted->request, UINT64_MAX);
    leat_http_set_deadline(wanted->request, LEAT_FOREVER);
    leat_http_end_soon(wanted->request); /* many listen when they have sent all, which is never */
    if (wanted->url.page != LIVE_PAGE_NAME) {
        live_take_file(wanted, leat_address_format(&peer, text));
        return;
    }
    const int error = live_publish(wanted->live->hub, wanted->url.name,
                                   leat_address_format(&peer, text), &publisher, reason);
    if (error)
        live_refuse_push(wanted, error, reason);
    else
        publish(wanted, publisher);
}
