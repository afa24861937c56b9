/* SPDX-License-Identifier: MIT */
/*
 * The proxy's life, and the way of a request through it: see proxy_parts.h.
 */
#include "leat/proxy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/counters.h"
#include "base/hash.h"
#include "http/exchange.h"
#include "http/proxy_parts.h"
#include "wire/chars.h"
#include "wire/http1.h"

/* ---- Which upstream -------------------------------------------------------------------------- */

/* The same for all cores and restarts: what is hashed is no secret, and nobody gains by choosing
 * his upstream. */
static uint64_t hash_of(struct leat_slice text)
{
    static const struct hash_seed seed = {{0x6c656174, 0x70726f78}};
    return hash_bytes(&seed, text);
}

static uint64_t key_of(const struct passage *passage)
{
    const struct leat_proxy_options *options = &passage->proxy->options;
    const struct leat_address *peer = &passage->peer;
    switch (options->balance) {
    case LEAT_PROXY_BY_PATH: return hash_of(passage->request->head.target);
    case LEAT_PROXY_BY_FIELD:
        return hash_of(leat_http_field(passage->request, options->balance_field));
    case LEAT_PROXY_BY_CLIENT:
        if (leat_address_family(peer) == AF_INET)
            return hash_of(slice_of(&peer->v4.sin_addr, sizeof peer->v4.sin_addr));
        if (leat_address_family(peer) == AF_INET6)
            return hash_of(slice_of(&peer->v6.sin6_addr, sizeof peer->v6.sin6_addr));
        return 0;
    default: return 0;
    }
}

/* RFC 9110, section 9.2.2. */
static bool is_idempotent(const struct http1_request *head)
{
    switch (head->method) {
    case HTTP1_GET:
    case HTTP1_HEAD:
    case HTTP1_PUT:
    case HTTP1_DELETE:
    case HTTP1_OPTIONS:
    case HTTP1_TRACE: return true;
    default: return false;
    }
}

static bool may_repeat(const struct passage *passage)
{
    return !passage->has_sent ||
           (is_idempotent(&passage->request->head) && !passage->has_read_body);
}

static void tell(struct passage *passage, enum upstream_outcome outcome)
{
    upstreams_tell(passage->proxy->upstreams, &passage->attempt, outcome, passage->loop->now_ns);
}

/* One upstream's turn. A connection that had rested may have been closed meanwhile, which says
 * nothing of the upstream: it is asked once more over a fresh one. */
static enum passage_end ask_one(struct passage *passage)
{
    passage->want = CONN_POOL_ANY;
    enum passage_end end = passage_attempt(passage);
    if (end == PASSAGE_STALE && may_repeat(passage)) {
        passage->want = CONN_POOL_FRESH;
        end = passage_attempt(passage);
    }
    if (end == PASSAGE_STALE)
        return PASSAGE_FAILED;
    if (end == PASSAGE_FAILED || end == PASSAGE_LATE)
        tell(passage, UPSTREAM_FAILED);
    if (end == PASSAGE_ANSWERED) {
        const int status = passage->link.head.status;
        tell(passage, status >= 502 && status <= 504 ? UPSTREAM_ERRED : UPSTREAM_ANSWERED);
    }
    return end;
}

/* One upstream after the other. ANSWERED: the attempt is still to be ended. */
static enum passage_end ask(struct passage *passage)
{
    struct leat_proxy *proxy = passage->proxy;
    const int64_t deadline_ns = leat_after_ms(proxy->options.queue_timeout_ms);
    upstreams_note_request(proxy->upstreams, passage->loop->now_ns);
    for (unsigned retries = 0;; retries++) {
        passage->attempt.is_repeatable = may_repeat(passage);
        if (!upstreams_await(proxy->upstreams, &passage->attempt, deadline_ns,
                             &passage->retry_after_ms))
            return PASSAGE_BUSY;
        const enum passage_end end = ask_one(passage);
        if (end == PASSAGE_ANSWERED)
            return end;
        upstreams_end(proxy->upstreams, &passage->attempt);
        if (end != PASSAGE_FAILED || retries >= proxy->options.retries_max || !may_repeat(passage))
            return end;
        if (!upstreams_may_retry(proxy->upstreams, passage->loop->now_ns)) {
            proxy_count(&proxy->retries_refused, 1);
            return end;
        }
        proxy_count(&proxy->retries, 1);
    }
}

/* ---- A request ------------------------------------------------------------------------------- */

static void reply_busy(struct passage *passage)
{
    char seconds[24];
    const int64_t after_ms = passage->retry_after_ms > 0 ? passage->retry_after_ms : 1000;
    snprintf(seconds, sizeof seconds, "%lld", (long long)((after_ms + 999) / 1000));
    (void)leat_http_add_field(passage->response, "Retry-After", seconds);
    (void)leat_http_reply_error(passage->response, 503);
    proxy_count(&passage->proxy->refused, 1);
}

/* Nobody has answered: what the client is told. */
static void reply_without_answer(struct passage *passage, enum passage_end end)
{
    struct leat_proxy *proxy = passage->proxy;
    switch (end) {
    case PASSAGE_BUSY: reply_busy(passage); break;
    case PASSAGE_LATE:
        proxy_count(&proxy->late, 1);
        (void)leat_http_reply_error(passage->response, 504);
        break;
    case PASSAGE_REFUSED: (void)leat_http_reply_error(passage->response, passage->refusal); break;
    case PASSAGE_CLIENT_FAILED: break; /* the server replies for a body that cannot be read */
    default:
        proxy_count(&proxy->failed, 1);
        (void)leat_http_reply_error(passage->response, 502);
        break;
    }
}

/* For the last of a chain (RFC 9110, section 7.6.2), which we are. */
static void reply_ourselves(struct passage *passage)
{
    if (passage->request->head.method != HTTP1_OPTIONS) {
        (void)leat_http_reply_not_allowed(passage->request, passage->response,
                                          "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        return;
    }
    (void)leat_http_add_field(passage->response, "Allow",
                              "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    (void)leat_http_reply(passage->response, 204, NULL, NULL, 0);
}

static void pass(struct passage *passage)
{
    const enum passage_end end = ask(passage);
    if (end != PASSAGE_ANSWERED) {
        reply_without_answer(passage, end);
        return;
    }
    proxy_count(&passage->proxy->answered, 1);
    if (passage->link.head.status != 101)
        passage_answer(passage);
    else if (proxy_head_is_switch(&passage->request->head, &passage->link.head))
        passage_tunnel(passage);
    else
        reply_without_answer(passage, PASSAGE_FAILED);
    passage_stop_upload(passage);
    link_close(&passage->link);
    upstreams_end(passage->proxy->upstreams, &passage->attempt);
}

void passage_give_out(struct passage *passage)
{
    if (passage->out)
        link_buffer_give(passage->loop, passage->out);
    passage->out = NULL;
}

/* What no upstream is asked about: 0, or the status that answers it. */
static int status_of_refusal(const struct leat_proxy *proxy,
                             const struct leat_http_request *request)
{
    const struct http1_request *head = &request->head;
    if (proxy->prefix.size > 0 && !proxy_head_below(head->path, proxy->prefix))
        return 404;
    return proxy_head_is_loop(head, proxy->via) ? 508 : 0;
}

void leat_proxy_handle(struct leat_http_request *request, struct leat_http_response *response,
                       void *user)
{
    struct leat_proxy *proxy = user;
    struct passage passage; /* most of it is the link's head, which is not to be cleared */
    memset(&passage, 0, offsetof(struct passage, link));
    passage.proxy = proxy;
    passage.request = request;
    passage.response = response;
    passage.head = &request->head.head;
    passage.loop = loop_current;
    passage.has_scope = passage.awaits_client = passage.has_client_failed = false;
    passage.said_continue = passage.cannot_send = false;
    passage.uploaded = 0;
    proxy_count(&proxy->requests, 1);
    if (!atomic_load_explicit(&proxy->is_watched, memory_order_relaxed))
        leat_proxy_watch(proxy);
    const int status = status_of_refusal(proxy, request);
    if (status) {
        (void)leat_http_reply_error(response, status);
        return;
    }
    if (proxy_head_ends_here(&request->head)) {
        reply_ourselves(&passage);
        return;
    }
    leat_http_set_body_size_max(request, proxy->options.body_size_max);
    if (leat_http_peer(request, &passage.peer) != 0)
        passage.peer =
            (struct leat_address){.base.sa_family = AF_UNIX, .size = sizeof(sa_family_t)};
    passage.is_upgrade = proxy_head_asks_upgrade(&request->head);
    passage.attempt.key = key_of(&passage);
    passage.out = link_buffer_take(passage.loop);
    if (!passage.out) {
        reply_busy(&passage);
        return;
    }
    pass(&passage);
    passage_give_out(&passage);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void put_defaults(struct leat_proxy_options *options)
{
#define DEFAULT(field, value) options->field = options->field ? options->field : (value)
    DEFAULT(connect_timeout_ms, 3000);
    DEFAULT(answer_timeout_ms, 60 * 1000);
    DEFAULT(read_timeout_ms, 60 * 1000);
    DEFAULT(tunnel_idle_timeout_ms, 3600 * 1000);
    DEFAULT(queue_timeout_ms, 5000);
    DEFAULT(retries_max, 2);
    DEFAULT(via, "leat");
    DEFAULT(body_size_max, UINT64_MAX);
#undef DEFAULT
    if (options->retries_max == UINT_MAX)
        options->retries_max = 0;
}

static int copy_text(const char **text)
{
    if (!*text)
        return 0;
    *text = strdup(*text);
    return *text ? 0 : -ENOMEM;
}

static void free_texts(struct leat_proxy_options *options)
{
    free((char *)options->prefix);
    free((char *)options->balance_field);
    free((char *)options->via);
}

static int take_options(struct leat_proxy *proxy, const struct leat_proxy_options *options)
{
    struct leat_proxy_options *own = &proxy->options;
    *own = *options;
    put_defaults(own);
    own->urls = NULL; /* the upstreams have them, and the rest below */
    own->tuning = NULL;
    own->health_path = NULL;
    const char **const texts[] = {&own->prefix, &own->balance_field, &own->via};
    int error = 0;
    for (unsigned index = 0; index < sizeof texts / sizeof *texts; index++) {
        if (error)
            *texts[index] = NULL;
        else
            error = copy_text(texts[index]);
    }
    proxy->prefix = slice_from_text(own->prefix);
    if (proxy->prefix.size > 0 && own->prefix[proxy->prefix.size - 1] == '/')
        proxy->prefix.size--;
    proxy->via = slice_from_text(own->via);
    return error;
}

/* NULL: nothing. */
static const char *what_is_wrong(const struct leat_proxy *proxy)
{
    const struct leat_proxy_options *options = &proxy->options;
    const char *const via_end = proxy->via.data + proxy->via.size;
    if (options->balance == LEAT_PROXY_BY_FIELD && !options->balance_field)
        return "no field is named to choose an upstream by";
    if (chars_skip(proxy->via.data, via_end, CHARS_TOKEN) != via_end || proxy->via.size == 0)
        return "the name for Via is no token";
    if (proxy->prefix.size > 0 && proxy->prefix.data[0] != '/')
        return "the prefix does not begin with '/'";
    return NULL;
}

static int make_upstreams(struct leat_proxy *proxy, const struct leat_proxy_options *options,
                          const char **ret_reason)
{
    const struct upstreams_options group = {
        .balance = options->balance == LEAT_PROXY_LEAST_LOADED ? UPSTREAMS_LEAST_LOADED
                                                               : UPSTREAMS_BY_HASH,
        .connections_max = options->connections_max,
        .waiting_max = options->queue_max,
        .connect_timeout_ms = proxy->options.connect_timeout_ms,
        .idle_timeout_ms = options->idle_timeout_ms,
        .failures_max = options->failures_max,
        .slow_start_ms = options->slow_start_ms,
        .retry_percent = options->retry_percent,
        .health_path = options->health_path,
        .health_interval_ms = options->health_interval_ms,
        .tuning = options->tuning,
    };
    return upstreams_create(proxy->pool, options->urls, options->url_count, &group,
                            &proxy->upstreams, ret_reason);
}

int leat_proxy_create(const struct leat_proxy_options *options, struct leat_proxy **ret_proxy,
                      const char **ret_reason)
{
    struct leat_proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy)
        return -ENOMEM;
    int error = take_options(proxy, options);
    const char *wrong = error ? NULL : what_is_wrong(proxy);
    if (wrong && ret_reason)
        *ret_reason = wrong;
    if (wrong)
        error = -EINVAL;
    if (!error)
        error = conn_pool_create(NULL, &proxy->pool);
    if (!error)
        error = make_upstreams(proxy, options, ret_reason);
    if (error) {
        leat_proxy_destroy(proxy);
        return error;
    }
    *ret_proxy = proxy;
    return 0;
}

void leat_proxy_destroy(struct leat_proxy *proxy)
{
    if (!proxy)
        return;
    upstreams_destroy(proxy->upstreams);
    conn_pool_destroy(proxy->pool);
    free_texts(&proxy->options);
    free(proxy);
}

void leat_proxy_watch(struct leat_proxy *proxy)
{
    if (!atomic_exchange(&proxy->is_watched, true))
        upstreams_watch(proxy->upstreams);
}

void leat_proxy_counters(const struct leat_proxy *proxy, struct leat_proxy_counters *ret_counters)
{
#define READ(field) .field = counter_read(&proxy->field)
    *ret_counters = (struct leat_proxy_counters){
        READ(requests), READ(answered),    READ(failed),          READ(refused),
        READ(late),     READ(retries),     READ(retries_refused), READ(broken),
        READ(tunnels),  READ(tunnels_now), READ(spliced_bytes),   READ(copied_bytes),
    };
#undef READ
}

const struct upstreams *proxy_upstreams(const struct leat_proxy *proxy)
{
    return proxy->upstreams;
}
