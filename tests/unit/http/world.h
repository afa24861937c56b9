/* SPDX-License-Identifier: MIT */
/*
 * What the tests of connections and files share: a server in a simulated world, clients on the
 * other side of the wire, and virtual time, so that a timeout of a minute costs nothing. The world
 * fails the test when something leaks, stalls or is used after it was given back.
 */
#ifndef TESTS_UNIT_HTTP_WORLD_H
#define TESTS_UNIT_HTTP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/clock.h"
#include "leat/http.h"
#include "leat/listener.h"
#include "loop/loop.h"
#include "loop/sim.h"
#include "wire/http1.h"

struct world {
    struct sim_options options;
    struct leat_loop *loop;
    struct sim *sim;
    struct leat_root *root;
    struct leat_http_server *server;
    struct leat_address address;
    unsigned failures;
    char failure[512]; /* the first */
};

/* A peer, what it has still to send, and what it has received and not yet looked at. */
struct client {
    struct world *world;
    struct sim_peer *peer;
    const char *outbox;
    size_t outbox_size;
    bool finishes; /* shuts its side when all is sent */
    bool is_deaf;  /* does not read */
    char *inbox;
    size_t inbox_size, inbox_capacity;
    bool has_ended; /* the server has: in good order when error is 0 */
    int error;
};

static inline void note_failure(const char *text, void *user)
{
    struct world *world = user;
    if (world->failures++ == 0)
        snprintf(world->failure, sizeof world->failure, "%s", text);
}

/* A world without a server: files may be added. */
static inline void world_init(struct world *world, const struct sim_profile *profile, uint64_t seed)
{
    *world = (struct world){.options = {.seed = seed, .profile = profile}};
    loop_current = NULL; /* a test that failed has left its own behind, */
    op_busy_count = 0;   /* and what it waited for */
    world->options.failed = note_failure;
    world->options.user = world;
    assert_int_equal(sim_loop_create(&world->options, &world->loop), 0);
    world->sim = sim_of(world->loop);
}

static inline void world_serve(struct world *world, const struct leat_http_options *options)
{
    struct leat_listener *listener;
    const char *reason;
    assert_int_equal(leat_address_parse("127.0.0.1:0", &world->address, &reason), 0);
    assert_int_equal(leat_listen(&world->address, NULL, &listener), 0);
    world->address = *leat_listener_address(listener);
    assert_int_equal(leat_http_server_create(options, &world->server), 0);
    assert_int_equal(leat_http_server_add(world->server, listener), 0);
}

static inline void turns(struct world *world, int64_t duration_ms)
{
    const int64_t end_ns = sim_now_ns(world->sim) + duration_ms * LEAT_NS_PER_MS;
    while (sim_now_ns(world->sim) < end_ns)
        assert_int_equal(leat_loop_run_once(world->loop, end_ns), 0);
}

/* The server must end by itself, and nothing may be left of it. */
static inline void world_fini(struct world *world)
{
    if (world->server)
        leat_http_server_close(world->server, 0, sim_now_ns(world->sim) + LEAT_NS_PER_S);
    assert_int_equal(leat_loop_run(world->loop), 0);
    sim_allow_blocking(world->sim, true);
    leat_root_close(world->root);
    leat_loop_destroy(world->loop);
    if (world->failures > 0)
        fail_msg("%u failures, the first: %s", world->failures, world->failure);
}

/* ---- Clients --------------------------------------------------------------------------------- */

static inline void client_receive(struct client *client)
{
    while (!client->is_deaf && !client->has_ended) {
        if (client->inbox_capacity - client->inbox_size < 4096) {
            client->inbox_capacity = client->inbox_capacity * 2 + 8192;
            client->inbox = realloc(client->inbox, client->inbox_capacity);
            assert_non_null(client->inbox);
        }
        const ssize_t size = sim_peer_recv(client->peer, client->inbox + client->inbox_size,
                                           client->inbox_capacity - client->inbox_size);
        if (size == -EAGAIN)
            return;
        client->has_ended = size <= 0;
        if (size < 0)
            client->error = (int)size;
        else
            client->inbox_size += (size_t)size;
    }
}

static inline void client_event(struct sim_peer *peer, void *user)
{
    struct client *client = user;
    while (client->outbox_size > 0) {
        const ssize_t size = sim_peer_send(client->peer, client->outbox, client->outbox_size);
        if (size < 0)
            break;
        client->outbox += size;
        client->outbox_size -= (size_t)size;
    }
    if (client->finishes && client->outbox_size == 0) {
        client->finishes = false;
        sim_peer_shutdown(client->peer);
    }
    client_receive(client);
}

static inline void client_open(struct client *client, struct world *world)
{
    *client = (struct client){.world = world};
    client->peer = sim_peer_connect(world->sim, &world->address.base, world->address.size,
                                    client_event, client);
}

/* The bytes must stay as they are until they are sent. */
static inline void client_send(struct client *client, const void *data, size_t size)
{
    assert_int_equal(client->outbox_size, 0);
    client->outbox = data;
    client->outbox_size = size;
    client_event(client->peer, client);
}

static inline void client_say(struct client *client, const char *text)
{
    client_send(client, text, strlen(text));
}

static inline void client_shut(struct client *client)
{
    client->finishes = true;
    client_event(client->peer, client);
}

static inline void client_close(struct client *client)
{
    sim_peer_close(client->peer);
    free(client->inbox);
    client->inbox = NULL;
}

/* An answer at the front of the inbox; its slices point into it until client_drop. */
struct answer {
    struct http1_response response;
    size_t size;
    struct leat_slice body;
};

/* Is there a whole one? `is_head`: it answers HEAD. */
static inline bool client_peek(const struct client *client, bool is_head, struct answer *ret_answer)
{
    const int size = http1_parse_response(slice_of(client->inbox, client->inbox_size), 0, NULL,
                                          &ret_answer->response);
    if (size < 0)
        fail_msg("no HTTP: %.*s", (int)client->inbox_size, client->inbox);
    const bool has_body =
        !is_head && ret_answer->response.status != 304 && ret_answer->response.status != 204;
    const size_t body = size > 0 && has_body ? ret_answer->response.head.content_length : 0;
    if (size == 0 || client->inbox_size - (size_t)size < body)
        return false;
    ret_answer->size = (size_t)size + body;
    ret_answer->body = slice_of(client->inbox + size, body);
    return true;
}

static inline void client_drop(struct client *client, const struct answer *answer)
{
    client->inbox_size -= answer->size;
    memmove(client->inbox, client->inbox + answer->size, client->inbox_size);
}

/* The next answer has this status and, unless NULL, this body. */
static inline void client_expect(struct client *client, int status, const char *body)
{
    struct answer answer;
    if (!client_peek(client, false, &answer))
        fail_msg("no whole answer, %d was expected: '%.*s'", status, (int)client->inbox_size,
                 client->inbox ? client->inbox : "");
    assert_int_equal(answer.response.status, status);
    if (body) {
        assert_int_equal(answer.body.size, strlen(body));
        assert_memory_equal(answer.body.data, body, answer.body.size);
    }
    client_drop(client, &answer);
}

/* Nothing more has come, and the server has ended the connection in good order. */
static inline void client_expect_end(const struct client *client)
{
    assert_int_equal(client->inbox_size, 0);
    assert_true(client->has_ended);
    assert_int_equal(client->error, 0);
}

#endif
