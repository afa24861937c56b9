/* SPDX-License-Identifier: MIT */
/*
 * An origin behind the proxy: it reads requests as strictly as the server does, checks that each is
 * one of the market's orders and that its body is what the customer sent, and answers as the order
 * says, or breaks as it says.
 */
#include <stdio.h>

#include "draft.h"
#include "http/body.h"
#include "order.h"
#include "wire/http1.h"

struct origin {
    struct market *market;
    struct list_node place; /* among the market's */
    struct sim_peer *peer;  /* NULL: gone */
    unsigned calls_to_come; /* of sim_at */
    struct draft in, out;
    size_t read, sent;
    struct order *order; /* in work; NULL: between two */
    struct body body;
    struct arena arena;
    bool has_body, has_answer; /* all of the request; the answer is in `out` */
    bool is_over;              /* the connection ends with what is in `out` */
    bool is_silent, is_reset;
};

static void go_on(struct origin *origin);

static void leave(struct origin *origin, bool is_reset)
{
    if (origin->peer && is_reset)
        sim_peer_reset(origin->peer);
    else if (origin->peer)
        sim_peer_close(origin->peer);
    origin->peer = NULL;
}

static void destroy(struct origin *origin)
{
    list_remove(&origin->place);
    arena_fini(&origin->arena);
    draft_fini(&origin->in);
    draft_fini(&origin->out);
    free(origin);
}

static void free_if_gone(struct origin *origin)
{
    if (!origin->peer && origin->calls_to_come == 0)
        destroy(origin);
}

void origins_end(struct market *market)
{
    while (!list_is_empty(&market->origins))
        destroy(CONTAINER_OF(market->origins.next, struct origin, place));
}

static void on_time(struct sim *sim, void *user)
{
    struct origin *origin = user;
    (void)sim;
    origin->calls_to_come--;
    go_on(origin);
}

static void call_later(struct origin *origin, int64_t delay_ns)
{
    struct sim *sim = origin->market->run->sim;
    origin->calls_to_come++;
    sim_at(sim, sim_now_ns(sim) + delay_ns, on_time, origin);
}

/* ---- The answer ------------------------------------------------------------------------------ */

static void put_framed(struct origin *origin)
{
    const struct order *order = origin->order;
    struct sim_run *run = origin->market->run;
    if (order->answer != ORDER_CHUNKED) {
        draft_content(&origin->out, order_answer(order), 0, order->answer_size);
        return;
    }
    for (uint64_t done = 0; done < order->answer_size;) {
        const uint64_t left = order->answer_size - done;
        const uint64_t size = draw_chance(run, 20) ? left : draw(run, 1, left);
        draft_say(&origin->out, "%llx%s\r\n", (unsigned long long)size,
                  draw_chance(run, 20) ? ";a=b" : "");
        draft_content(&origin->out, order_answer(order), done, size);
        draft_say(&origin->out, "\r\n");
        done += size;
    }
    draft_say(&origin->out, "0\r\n%s\r\n", order->has_trailer ? "X-Sum: 1\r\n" : "");
}

static void put_answer(struct origin *origin)
{
    const struct order *order = origin->order;
    for (unsigned count = 0; count < order->interims; count++)
        draft_say(&origin->out, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    draft_say(&origin->out, "HTTP/1.1 200 OK\r\nX-Order: %u\r\nConnection: %sX-Hop\r\nX-Hop: 1\r\n",
              order->number, order->says_close ? "close, " : "");
    if (order->answer == ORDER_CHUNKED)
        draft_say(&origin->out, "Transfer-Encoding: chunked\r\n");
    else if (order->answer != ORDER_TO_CLOSE)
        draft_say(&origin->out, "Content-Length: %llu\r\n", (unsigned long long)order->answer_size);
    draft_say(&origin->out, "\r\n");
    if (!order_is_head(order))
        put_framed(origin);
}

/* The answer is put, and cut as the order's fate will have it. */
static void answer(struct origin *origin)
{
    struct order *order = origin->order;
    const size_t before = origin->out.size;
    origin->has_answer = true;
    put_answer(origin);
    origin->is_over = order->says_close || order->answer == ORDER_TO_CLOSE;
    if (order->fate == ORDER_GARBAGE) {
        origin->out.size = before;
        draft_say(&origin->out, "SMTP/1.1 250 you are welcome\r\n\r\n");
        origin->is_over = true;
    } else if (order->fate != ORDER_WHOLE && origin->out.size - before > order->breaks_at) {
        origin->out.size = before + order->breaks_at;
        origin->is_over = true;
        origin->is_reset = order->fate == ORDER_RESET;
        origin->is_silent = order->fate == ORDER_SILENT;
    } else {
        order->was_answered = true;
    }
}

/* ---- The request ----------------------------------------------------------------------------- */

static void check_head(struct origin *origin, const struct http1_request *request)
{
    struct sim_run *run = origin->market->run;
    const struct order *order = origin->order;
    const struct http1_head *head = &request->head;
    CHECK(run, slice_equal(request->method_text, slice_from_text(order->method)));
    CHECK(run, head->first_line[HTTP1_FIELD_VIA] > 0);
    CHECK(run, head->first_line[HTTP1_FIELD_X_FORWARDED_FOR] > 0);
    CHECK(run, head->first_line[HTTP1_FIELD_KEEP_ALIVE] == 0);
    for (unsigned line = 0; line < head->line_count; line++)
        CHECK(run, !slice_equal_nocase(head->lines[line].name, SLICE("x-hop")));
    CHECK(run, head->is_chunked == (order->body == ORDER_CHUNKED));
    if (order->body == ORDER_SIZED)
        CHECK(run, head->content_length == order->body_size);
    if (order->body == ORDER_EMPTY)
        CHECK(run, head->content_length == 0);
}

/* A head, if it is all there. */
static bool take_head(struct origin *origin)
{
    struct http1_request request;
    struct market *market = origin->market;
    struct sim_run *run = market->run;
    const struct leat_slice input =
        slice_of(origin->in.data + origin->read, origin->in.size - origin->read);
    const int size = input.size > 0 ? http1_parse_request(input, 0, NULL, &request) : 0;
    CHECK(run, size >= 0);
    if (size == 0)
        return false;
    origin->read += (size_t)size;
    origin->order = market_find(market, request.target.data, request.target.size);
    CHECK(run, origin->order != NULL);
    origin->order->asked++;
    check_head(origin, &request);
    body_init(&origin->body, &request, UINT64_MAX, &origin->arena);
    origin->has_body = origin->has_answer = false;
    if (request.expect_continue && !origin->order->answers_early)
        draft_say(&origin->out, "HTTP/1.1 100 Continue\r\n\r\n");
    if (origin->order->delay_ms > 0)
        call_later(origin, origin->order->delay_ms * LEAT_NS_PER_MS);
    return true;
}

static void take_body(struct origin *origin)
{
    struct sim_run *run = origin->market->run;
    struct leat_slice input =
        slice_of(origin->in.data + origin->read, origin->in.size - origin->read);
    struct leat_slice piece;
    uint64_t before = origin->body.received;
    int result;
    while ((result = body_next(&origin->body, &input, &piece)) > 0) {
        CHECK(run, sim_content_equal(order_body(origin->order), before, piece.data, piece.size));
        before = origin->body.received;
    }
    CHECK(run, result == 0);
    origin->read = origin->in.size - input.size;
    if (origin->body.state == BODY_DONE && !origin->has_body) {
        CHECK(run, origin->body.received ==
                       (origin->order->body == ORDER_EMPTY ? 0 : origin->order->body_size));
        origin->has_body = true;
    }
}

/* Is it time to answer? After the delay that its order asks for. */
static bool may_answer(const struct origin *origin)
{
    return origin->order && !origin->has_answer && origin->calls_to_come == 0 &&
           (origin->has_body || origin->order->answers_early);
}

static void read_requests(struct origin *origin)
{
    bool goes_on = true;
    while (goes_on && !origin->is_over) {
        goes_on = false;
        if (!origin->order && !take_head(origin))
            return;
        if (!origin->has_body)
            take_body(origin);
        if (may_answer(origin))
            answer(origin);
        if (origin->has_answer && !origin->has_body && !origin->order->reads_on)
            origin->is_over = true;
        if (origin->has_answer && origin->has_body) {
            origin->order = NULL;
            goes_on = true;
        }
    }
}

/* ---- The connection -------------------------------------------------------------------------- */

/* False: it is gone. */
static bool receive(struct origin *origin)
{
    char bytes[4096];
    for (;;) {
        const ssize_t size = sim_peer_recv(origin->peer, bytes, sizeof bytes);
        if (size == -EAGAIN)
            return true;
        if (size <= 0) {
            leave(origin, false);
            return false;
        }
        if (!origin->is_over)
            draft_append(&origin->in, bytes, (size_t)size);
    }
}

static bool deliver(struct origin *origin)
{
    struct sim_run *run = origin->market->run;
    while (origin->sent < origin->out.size) {
        const size_t left = origin->out.size - origin->sent;
        const size_t size = draw_chance(run, 50) ? left : (size_t)draw(run, 1, left);
        const ssize_t sent = sim_peer_send(origin->peer, origin->out.data + origin->sent, size);
        if (sent == -EAGAIN)
            return true;
        if (sent < 0) {
            leave(origin, false);
            return false;
        }
        origin->sent += (size_t)sent;
        if (origin->sent < origin->out.size && draw_chance(run, 20)) {
            call_later(origin, (int64_t)draw(run, 0, 20) * LEAT_NS_PER_MS);
            return true;
        }
    }
    if (origin->is_over && !origin->is_silent)
        leave(origin, origin->is_reset);
    return origin->peer != NULL;
}

static void go_on(struct origin *origin)
{
    if (origin->peer && receive(origin)) {
        read_requests(origin);
        (void)deliver(origin);
    }
    free_if_gone(origin);
}

static void on_event(struct sim_peer *peer, void *user)
{
    (void)peer;
    go_on(user);
}

static void on_connection(struct sim_peer *peer, void *user)
{
    struct market *market = user;
    struct origin *origin = calloc(1, sizeof *origin);
    CHECK(market->run, origin != NULL);
    origin->market = market;
    origin->peer = peer;
    origin->in.run = origin->out.run = market->run;
    arena_init(&origin->arena, NULL);
    list_push_back(&market->origins, &origin->place);
    sim_peer_set_event(peer, on_event, origin);
    go_on(origin);
}

void origin_open(struct market *market, unsigned index)
{
    struct leat_address address = {.v4 = {.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t)(ORIGIN_PORT + index)),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                                   .size = sizeof(struct sockaddr_in)};
    CHECK(market->run, sim_peer_listen(market->run->sim, &address.base, address.size, on_connection,
                                       market) == 0);
}

struct order *market_find(struct market *market, const char *target, size_t size)
{
    char text[32] = {0};
    unsigned number;
    if (size == 0 || size >= sizeof text)
        return NULL;
    memcpy(text, target, size);
    if (sscanf(text, "/%u", &number) != 1 || number >= market->order_count)
        return NULL;
    return &market->orders[number];
}
