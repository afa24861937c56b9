/* SPDX-License-Identifier: MIT */
/*
 * Fetches: a host of the client's, a connection of its pool, and a link that speaks over it.
 *
 *     go_to ---> ask (again over a fresh connection) ---> keep_answer ---> read ... close
 *       ^                                                     |
 *       +----------------- redirect --------------------------+
 *
 * What a link's head says is in its buffer, which the body takes; so it is copied. Nothing else is:
 * the body goes from the socket to the caller's memory.
 */
#include "leat/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/client.h"
#include "http/fetch_head.h"
#include "http/link.h"
#include "leat/clock.h"
#include "leat/error.h"

enum {
    CONTINUE_WAIT_MS = 1000, /* then the body is sent unasked */
    DRAIN_WAIT_MS = 1000,    /* for the body of a redirect, */
    DRAIN_SIZE = 16 * 1024,  /* of which so much is read to have the connection again */
    READ_SIZE = 16 * 1024,   /* at least, at a time */
    TRUSTED_SIZE = 1 << 20,  /* memory that is taken because a server says that it will need it */
};

struct leat_fetch {
    struct leat_client *client;
    struct client_host *host; /* of the URL */
    struct url url;
    char *url_text;
    struct fetch_turn turn;
    struct link link; /* open when it has a connection */
    struct text head; /* of the request */
    bool is_chunked;  /* a streamed body, */
    bool is_refused;  /* which is not wanted, */
    uint64_t left;    /* and of which so much is to be written, when it is not chunked */
    int status;       /* of the answer; 0: there is none yet */
    int64_t size;     /* of its body, or -1 */
    struct http1_line *lines;
    size_t line_count;
    struct text body;
};

/* ---- Where ----------------------------------------------------------------------------------- */

/* Moves on to what the text means beside the URL, if there is one yet. -LEAT_E_MALFORMED,
 * -EPROTONOSUPPORT, … */
static int go_to(struct leat_fetch *fetch, struct leat_slice text)
{
    const struct url *base = fetch->url_text ? &fetch->url : NULL;
    struct url reference, url;
    int error = url_parse(text, &reference);
    if (error)
        return error;
    if (base && !reference.fragment.data)
        reference.fragment = base->fragment; /* RFC 9110, section 10.2.2 */
    const size_t size = url_resolve_size(base, &reference);
    char *url_text = malloc(size + 1);
    if (!url_text)
        return -ENOMEM;
    struct client_host *host = NULL;
    error = url_resolve(base, &reference, url_text, size, &url);
    if (!error && !slice_equal(url.scheme, SLICE("http")))
        error = -EPROTONOSUPPORT;
    if (!error && url.host.size == 0)
        error = -LEAT_E_MALFORMED;
    if (!error)
        error = client_take_host(fetch->client, &url, &host);
    if (error) {
        free(url_text);
        return error;
    }
    url_text[url.text.size] = '\0';
    free(fetch->url_text);
    client_let_host_go(fetch->host);
    fetch->host = host;
    fetch->url = url;
    fetch->url_text = url_text;
    return 0;
}

static int open_link(struct leat_fetch *fetch, enum conn_pool_want want, int64_t deadline_ns)
{
    struct pooled_conn *conn;
    struct conn_pool_shelf *shelf = conn_pool_shelf_here(fetch->client->pool);
    if (!shelf)
        return -ENOMEM;
    ASSERT(!fetch->link.conn);
    int error = conn_pool_take(shelf, fetch->host->destination, want, deadline_ns, &conn);
    if (error)
        return error;
    error = link_open(&fetch->link, conn);
    if (error) {
        fetch->link.conn = NULL;
        conn_pool_give(conn, true); /* nothing was said over it */
        return error;
    }
    fetch->link.asks_head = slice_equal(fetch->turn.method, SLICE("HEAD"));
    return 0;
}

static void close_link(struct leat_fetch *fetch)
{
    if (fetch->link.conn)
        link_close(&fetch->link);
    ASSERT(!fetch->link.conn);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Before a byte of an answer has come: behind that it would be -LEAT_E_TRUNCATED. */
static bool is_gone(int error)
{
    return error == -ECONNRESET || error == -EPIPE;
}

static int64_t sooner(int64_t deadline_ns, int64_t delay_ms)
{
    const int64_t end_ns = leat_after_ms(delay_ms);
    return deadline_ns < end_ns ? deadline_ns : end_ns;
}

static int await_final_head(struct link *link, int64_t deadline_ns)
{
    int error = 0;
    while (!error && !link->has_head)
        error = link_await_head(link, deadline_ns);
    return error;
}

/* Waits until the server wants the body, has answered without it, or has said nothing for a while
 * (RFC 9110, section 10.1.1). */
static int await_continue(struct link *link, int64_t deadline_ns)
{
    const int64_t end_ns = sooner(deadline_ns, CONTINUE_WAIT_MS);
    int error;
    do
        error = link_await_head(link, end_ns);
    while (!error && !link->has_head && link->head.status != 100);
    return error == -ETIMEDOUT && end_ns < deadline_ns ? 0 : error;
}

/* What came together with the last head. */
static int take_heads_at_hand(struct link *link)
{
    int error = 0;
    while (!error && !link->has_head && link->begin < link->end)
        error = link_await_head(link, leat_now_ns());
    return error == -ETIMEDOUT ? 0 : error; /* a part of one */
}

/* Says the request over the open link, and waits for its answer unless the body is streamed. */
static int speak(struct leat_fetch *fetch, const struct leat_fetch_request *request,
                 int64_t deadline_ns)
{
    struct link *link = &fetch->link;
    const bool is_streamed = request->streamed_size != 0;
    const struct leat_vector vectors[] = {
        {.data = fetch->head.data, .size = fetch->head.size},
        {.data = request->body, .size = fetch->turn.has_body ? request->body_size : 0},
    };
    int error;
    if (!is_streamed && !fetch->turn.expects_continue) {
        error = link_ask(link, vectors, 2, deadline_ns);
    } else {
        error = link_send(link, vectors, 1, false, deadline_ns);
        if (!error && fetch->turn.expects_continue)
            error = await_continue(link, deadline_ns);
        if (is_streamed)
            return error;
        if (!error)
            error = take_heads_at_hand(link);
        if (!error && !link->has_head)
            error = link_ask(link, vectors + 1, 1, deadline_ns);
    }
    return error ? error : await_final_head(link, deadline_ns);
}

/* Copies what the head says. */
static int keep_answer(struct leat_fetch *fetch)
{
    const struct http1_response *response = &fetch->link.head;
    const struct http1_head *head = &response->head;
    size_t size = head->line_count * sizeof *fetch->lines;
    for (size_t i = 0; i < head->line_count; i++)
        size += head->lines[i].name.size + head->lines[i].value.size;
    struct http1_line *lines = malloc(size + 1);
    if (!lines)
        return -ENOMEM;
    char *at = (char *)(lines + head->line_count);
    for (size_t i = 0; i < head->line_count; i++) {
        lines[i] = head->lines[i];
        lines[i].name.data = memcpy(at, head->lines[i].name.data, lines[i].name.size);
        at += lines[i].name.size;
        lines[i].value.data = memcpy(at, head->lines[i].value.data, lines[i].value.size);
        at += lines[i].value.size;
    }
    ASSERT(at == (char *)lines + size && response->status >= 200);
    free(fetch->lines);
    fetch->lines = lines;
    fetch->line_count = head->line_count;
    fetch->status = response->status;
    const enum body_state state = fetch->link.body.state;
    fetch->size = state == BODY_DONE ? 0 : state == BODY_SIZED ? (int64_t)head->content_length : -1;
    return 0;
}

/* Once, over one connection. *ret_was_stale: that had rested, and ended before a byte came. */
static int ask_over(struct leat_fetch *fetch, const struct leat_fetch_request *request,
                    enum conn_pool_want want, int64_t deadline_ns, bool *ret_was_stale)
{
    *ret_was_stale = false;
    fetch->head.size = 0;
    fetch_head_write(request, &fetch->turn, &fetch->url, slice_from_text(fetch->client->user_agent),
                     &fetch->head);
    if (fetch->head.has_failed)
        return -ENOMEM;
    int error = open_link(fetch, want, deadline_ns);
    if (error)
        return error;
    error = speak(fetch, request, deadline_ns);
    if (!error && fetch->link.has_head)
        error = keep_answer(fetch);
    if (error) {
        *ret_was_stale = is_gone(error) && fetch->link.conn->uses > 1;
        close_link(fetch);
    }
    return error == -EPIPE ? -ECONNRESET : error;
}

/* The same, and once more where that does no harm. */
static int ask(struct leat_fetch *fetch, const struct leat_fetch_request *request,
               int64_t deadline_ns)
{
    const bool may_repeat = request->may_repeat || fetch_head_is_idempotent(fetch->turn.method);
    bool was_stale;
    int error = ask_over(fetch, request, CONN_POOL_ANY, deadline_ns, &was_stale);
    if (error && was_stale && may_repeat) {
        client_count(&fetch->client->retries);
        error = ask_over(fetch, request, CONN_POOL_FRESH, deadline_ns, &was_stale);
    }
    if (error || fetch->status != 417 || !fetch->turn.expects_continue ||
        request->streamed_size != 0)
        return error;
    /* It does not know of expectations, and has done nothing (RFC 9110, section 15.5.18). */
    close_link(fetch);
    fetch->turn.expects_continue = false;
    return ask_over(fetch, request, CONN_POOL_ANY, deadline_ns, &was_stale);
}

/* Reads what little there may be of a body that nobody wants, to have the connection again. */
static void drain(struct link *link, int64_t deadline_ns)
{
    char data[1024];
    const int64_t end_ns = sooner(deadline_ns, DRAIN_WAIT_MS);
    if (!link->head.head.keep_alive || link->body.state == BODY_TO_THE_END)
        return;
    for (size_t done = 0; done < DRAIN_SIZE;) {
        const ssize_t size = link_read(link, data, sizeof data, end_ns);
        if (size <= 0)
            return;
        done += (size_t)size;
    }
}

static int redirect(struct leat_fetch *fetch, struct leat_slice location, int64_t deadline_ns)
{
    const struct client_host *before = fetch->host;
    const int status = fetch->status;
    drain(&fetch->link, deadline_ns);
    close_link(fetch);
    const int error = go_to(fetch, location);
    if (error)
        return error;
    fetch_head_redirect(&fetch->turn, status, fetch->host != before);
    fetch->status = 0;
    client_count(&fetch->client->redirects);
    return 0;
}

static int ask_and_follow(struct leat_fetch *fetch, const struct leat_fetch_request *request,
                          int64_t deadline_ns)
{
    for (unsigned followed = 0;; followed++) {
        int error = ask(fetch, request, deadline_ns);
        if (error || request->redirects_max == 0 || !fetch_head_is_redirect(fetch->status))
            return error;
        const struct leat_slice location = leat_fetch_field(fetch, "Location");
        if (!location.data)
            return 0;
        if (followed == request->redirects_max)
            return -LEAT_E_LIMIT;
        error = redirect(fetch, location, deadline_ns);
        if (error)
            return error;
    }
}

int leat_fetch_open(struct leat_client *client, const struct leat_fetch_request *request,
                    int64_t deadline_ns, struct leat_fetch **ret_fetch)
{
    struct fetch_turn turn;
    int error = fetch_head_check(request, &turn);
    if (error)
        return error;
    struct leat_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return -ENOMEM;
    fetch->client = client;
    fetch->turn = turn;
    fetch->is_chunked = request->streamed_size < 0;
    fetch->left = request->streamed_size > 0 ? (uint64_t)request->streamed_size : 0;
    client_count(&client->fetches);
    error = go_to(fetch, slice_from_text(request->url));
    if (error == -LEAT_E_MALFORMED)
        error = -EINVAL; /* the caller's mistake */
    if (!error)
        error = ask_and_follow(fetch, request, deadline_ns);
    fetch->is_refused = fetch->status != 0; /* before it has begun */
    text_fini(&fetch->head);
    fetch->turn.method = slice_of(NULL, 0); /* the caller's */
    if (error) {
        leat_fetch_close(fetch);
        return error;
    }
    *ret_fetch = fetch;
    return 0;
}

int leat_fetch_get(struct leat_client *client, const char *url, int64_t deadline_ns,
                   struct leat_fetch **ret_fetch)
{
    const struct leat_fetch_request request = {.url = url};
    return leat_fetch_open(client, &request, deadline_ns, ret_fetch);
}

int leat_fetch_post(struct leat_client *client, const char *url, const char *media_type,
                    const void *body, size_t size, int64_t deadline_ns,
                    struct leat_fetch **ret_fetch)
{
    const struct leat_fetch_field field = {.name = "Content-Type", .value = media_type};
    const struct leat_fetch_request request = {
        .method = "POST",
        .url = url,
        .fields = &field,
        .field_count = media_type ? 1 : 0,
        .body = body,
        .body_size = size,
    };
    return leat_fetch_open(client, &request, deadline_ns, ret_fetch);
}

/* ---- A streamed body ------------------------------------------------------------------------- */

static int write_chunk(struct leat_fetch *fetch, const void *data, size_t size, int64_t deadline_ns)
{
    char head[HTTP1_CHUNK_HEAD_SIZE];
    const struct leat_vector vectors[] = {
        {.data = head, .size = http1_chunk_head(size, head)},
        {.data = data, .size = size},
        {.data = "\r\n", .size = 2},
    };
    return link_send(&fetch->link, vectors, 3, false, deadline_ns);
}

int leat_fetch_write(struct leat_fetch *fetch, const void *data, size_t size, int64_t deadline_ns)
{
    if (size == 0)
        return 0;
    if (fetch->link.is_sent || (!fetch->is_chunked && size > fetch->left))
        return -EINVAL;
    if (fetch->is_refused)
        return -EPIPE;
    if (fetch->is_chunked)
        return write_chunk(fetch, data, size, deadline_ns);
    const struct leat_vector vector = {.data = data, .size = size};
    const int error = link_send(&fetch->link, &vector, 1, size == fetch->left, deadline_ns);
    if (!error)
        fetch->left -= size;
    return error;
}

int leat_fetch_finish(struct leat_fetch *fetch, int64_t deadline_ns)
{
    static const char last_chunk[] = "0\r\n\r\n";
    if (fetch->link.is_sent)
        return 0;
    if (!fetch->is_chunked)
        return -EINVAL;
    if (fetch->is_refused)
        return -EPIPE;
    const struct leat_vector vector = {.data = last_chunk, .size = sizeof last_chunk - 1};
    return link_send(&fetch->link, &vector, 1, true, deadline_ns);
}

int leat_fetch_answer(struct leat_fetch *fetch, int64_t deadline_ns)
{
    if (fetch->status != 0)
        return 0;
    const int error = await_final_head(&fetch->link, deadline_ns);
    return error ? error : keep_answer(fetch);
}

/* ---- The answer ------------------------------------------------------------------------------ */

int leat_fetch_status(const struct leat_fetch *fetch)
{
    return fetch->status;
}

struct leat_slice leat_fetch_field(const struct leat_fetch *fetch, const char *name)
{
    const struct leat_slice wanted = slice_from_text(name);
    for (size_t i = 0; i < fetch->line_count; i++) {
        if (slice_equal_nocase(fetch->lines[i].name, wanted))
            return fetch->lines[i].value;
    }
    return slice_of(NULL, 0);
}

const char *leat_fetch_url(const struct leat_fetch *fetch)
{
    return fetch->url_text;
}

int64_t leat_fetch_size(const struct leat_fetch *fetch)
{
    return fetch->size;
}

ssize_t leat_fetch_read(struct leat_fetch *fetch, void *data, size_t size, int64_t deadline_ns)
{
    ASSERT(fetch->status != 0);
    return link_read(&fetch->link, data, size, deadline_ns);
}

int leat_fetch_read_all(struct leat_fetch *fetch, size_t size_max, int64_t deadline_ns,
                        struct leat_slice *ret_body)
{
    struct text *body = &fetch->body;
    if (body->size > size_max || (fetch->size > 0 && (uint64_t)fetch->size > size_max))
        return -LEAT_E_LIMIT;
    if (fetch->size > 0 && fetch->size <= TRUSTED_SIZE)
        text_reserve(body, (size_t)fetch->size + 1);
    for (;;) {
        const size_t room = size_max - body->size;
        char *place = text_reserve(body, READ_SIZE + 1);
        if (!place)
            return -ENOMEM;
        size_t size = body->capacity - body->size - 1;
        if (size > room)
            size = room + 1; /* a byte more tells that it is too large */
        const ssize_t count = leat_fetch_read(fetch, place, size, deadline_ns);
        if (count < 0)
            return (int)count;
        if ((size_t)count > room)
            return -LEAT_E_LIMIT;
        place[count] = '\0';
        if (count == 0)
            break;
        body->size += (size_t)count;
    }
    *ret_body = slice_of(body->data, body->size);
    return 0;
}

struct leat_slice leat_fetch_trailer(const struct leat_fetch *fetch, const char *name)
{
    if (fetch->link.body.state != BODY_DONE)
        return slice_of(NULL, 0);
    return body_trailer(&fetch->link.body, slice_from_text(name));
}

void leat_fetch_close(struct leat_fetch *fetch)
{
    if (!fetch)
        return;
    /* What has come of the body need not have been read for the connection to be of use again. */
    while (fetch->link.conn && fetch->status != 0 && link_take_buffered(&fetch->link).size > 0)
        ;
    close_link(fetch);
    client_let_host_go(fetch->host);
    text_fini(&fetch->head);
    text_fini(&fetch->body);
    free(fetch->lines);
    free(fetch->url_text);
    free(fetch);
}
