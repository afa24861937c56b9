/* SPDX-License-Identifier: MIT */
/*
 * A whole connection, from its first byte to its end, in a simulated world. The bytes a client
 * sends may come in any pieces: the answers are the same, byte by byte; the connection ends; and
 * nothing is left of it, which the world sees to.
 *
 * The first byte of the input says how many of the following say where to cut, each as the distance
 * from the cut before; the rest is what the client sends. Two things may depend on time and are
 * taken out before answers are compared: dates, and 100 Continue, which is not said to a client
 * whose body is there already. And a client that sends on behind its own "close", or ends within a
 * body, may be reset, and have lost the end of what it was told.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "fuzz.h"
#include "leat/clock.h"
#include "leat/http.h"
#include "leat/listener.h"
#include "leat/loop.h"
#include "loop/sim.h"

enum {
    CUTS_MAX = 24,
    BODY_SIZE_MAX = 16 * 1024,
    ANSWERS_SIZE_MAX = 4 * 1024 * 1024,
    LIFE_S = 600, /* longer than all timeouts */
};

/* The client's side: what it has still to send, and all that it was told. */
struct client {
    struct sim_peer *peer;
    struct leat_slice outbox;
    bool finishes, has_ended, was_reset;
    char *answers;
    size_t size, capacity;
};

static void receive(struct client *client)
{
    while (!client->has_ended) {
        if (client->capacity - client->size < 4096) {
            client->capacity = client->capacity * 2 + 8192;
            client->answers = realloc(client->answers, client->capacity);
            ASSERT(client->answers != NULL && client->size < ANSWERS_SIZE_MAX);
        }
        const ssize_t size = sim_peer_recv(client->peer, client->answers + client->size,
                                           client->capacity - client->size);
        if (size == -EAGAIN)
            return;
        client->has_ended = size <= 0;
        client->was_reset = size < 0;
        client->size += size > 0 ? (size_t)size : 0;
    }
}

static void on_event(struct sim_peer *peer, void *user)
{
    struct client *client = user;
    while (client->outbox.size > 0) {
        const ssize_t size = sim_peer_send(peer, client->outbox.data, client->outbox.size);
        if (size < 0)
            break;
        client->outbox = slice_after(client->outbox, (size_t)size);
    }
    if (client->finishes && client->outbox.size == 0) {
        client->finishes = false;
        sim_peer_shutdown(peer);
    }
    receive(client);
}

/* Answers with the request as it was understood; "/unread" without a look at the body. */
static void handle(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    const struct leat_slice path = leat_http_path(request), method = leat_http_method(request);
    struct leat_slice body = slice_of("", 0);
    const bool reads =
        !slice_equal(path, SLICE("/unread")) || leat_http_field(request, "Expect").data != NULL;
    if (reads && leat_http_read_all(request, BODY_SIZE_MAX, LEAT_FOREVER, &body) != 0)
        return;
    const struct leat_slice host = leat_http_host(request);
    const struct leat_slice trailer = leat_http_trailer(request, "T");
    const struct leat_slice parts[] = {method, path, leat_http_query(request), host, trailer, body};
    char *text = leat_http_alloc(request, method.size + path.size + parts[2].size + host.size +
                                              trailer.size + body.size + 6);
    if (!text)
        return;
    size_t size = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].size > 0)
            memcpy(text + size, parts[i].data, parts[i].size);
        size += parts[i].size;
        text[size++] = '\n';
    }
    leat_http_reply(response, 200, "text/plain", text, size);
}

static void run_until(struct leat_loop *loop, int64_t end_ns, const bool *has_ended)
{
    const struct sim *sim = sim_of(loop);
    while (sim_now_ns(sim) < end_ns && !(has_ended && *has_ended))
        ASSERT(leat_loop_run_once(loop, end_ns) == 0);
}

/* A server, and a client that sends `bytes` in pieces; `ret_client` is what it was told. */
static void live(struct leat_slice bytes, const uint8_t *cuts, size_t cut_count,
                 struct client *ret_client)
{
    const struct leat_http_options options = {.handler = handle};
    const struct sim_options world = {.seed = 1};
    struct leat_loop *loop;
    struct leat_address address;
    struct leat_listener *listener;
    struct leat_http_server *server;
    ASSERT(sim_loop_create(&world, &loop) == 0);
    ASSERT(leat_address_parse("127.0.0.1:0", &address, NULL) == 0);
    ASSERT(leat_listen(&address, NULL, &listener) == 0);
    ASSERT(leat_http_server_create(&options, &server) == 0);
    address = *leat_listener_address(listener);
    ASSERT(leat_http_server_add(server, listener) == 0);

    struct sim *sim = sim_of(loop);
    *ret_client = (struct client){0};
    ret_client->peer = sim_peer_connect(sim, &address.base, address.size, on_event, ret_client);
    for (size_t i = 0; i <= cut_count; i++) {
        size_t size = i < cut_count ? cuts[i] : bytes.size;
        if (size > bytes.size)
            size = bytes.size;
        run_until(loop, sim_now_ns(sim) + 2 * LEAT_NS_PER_MS, NULL);
        ret_client->outbox = slice_of(bytes.data, size);
        ret_client->finishes = i == cut_count;
        bytes = slice_after(bytes, size);
        on_event(ret_client->peer, ret_client);
        while (ret_client->outbox.size > 0 && !ret_client->has_ended)
            run_until(loop, sim_now_ns(sim) + LEAT_NS_PER_MS, &ret_client->has_ended);
        if (ret_client->has_ended)
            break;
    }
    run_until(loop, sim_now_ns(sim) + LIFE_S * LEAT_NS_PER_S, &ret_client->has_ended);
    ASSERT(ret_client->has_ended);
    sim_peer_close(ret_client->peer);
    leat_http_server_close(server, 0, sim_now_ns(sim) + LEAT_NS_PER_S);
    ASSERT(leat_loop_run(loop) == 0);
    sim_allow_blocking(sim, true);
    leat_loop_destroy(loop);
}

/* Takes out what may depend on time. */
static void settle(struct client *client)
{
    static const char date[] = "\r\nDate: ", interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char *from = client->answers, *const end = client->answers + client->size, *to = from;
    while (from < end) {
        const size_t left = (size_t)(end - from);
        if (left >= sizeof interim - 1 && memcmp(from, interim, sizeof interim - 1) == 0) {
            from += sizeof interim - 1;
        } else if (left >= sizeof date - 1 && memcmp(from, date, sizeof date - 1) == 0) {
            const char *line_end = memchr(from + 2, '\r', left - 2);
            from += line_end ? (size_t)(line_end - from) : left;
        } else {
            *to++ = *from++;
        }
    }
    client->size = (size_t)(to - client->answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t cut_count = size > 0 ? data[0] % (CUTS_MAX + 1) : 0;
    if (size < 2 + cut_count)
        return 0;
    const uint8_t *const cuts = data + 1;
    const struct leat_slice bytes = slice_of(cuts + cut_count, size - 1 - cut_count);
    struct client whole, parts;
    live(bytes, NULL, 0, &whole);
    live(bytes, cuts, cut_count, &parts);
    settle(&whole);
    settle(&parts);
    const size_t common = whole.size < parts.size ? whole.size : parts.size;
    ASSERT(common == whole.size || parts.was_reset);
    ASSERT(common == parts.size || whole.was_reset);
    ASSERT(common == 0 || memcmp(whole.answers, parts.answers, common) == 0);
    free(whole.answers);
    free(parts.answers);
    return 0;
}
