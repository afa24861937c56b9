/* SPDX-License-Identifier: MIT */
/*
 * See talker.h.
 */
#include "talker.h"

#include <arpa/inet.h>

#include "leat/listener.h"

static void on_event(struct sim_peer *peer, void *user);

void talker_draw(struct talker *talker, struct sim_run *run)
{
    talker->run = run;
    talker->out_total = draw(run, 0, draw_chance(run, 10) ? 150000 : 4000);
    if (draw_chance(run, 12))
        talker->vanish_at = draw(run, 1, talker->out_total + 1);
    talker->dawdle_chance = draw_chance(run, 30) ? 20 : 1;
}

/* ---- Talking --------------------------------------------------------------------------------- */

static void gone(struct talker *talker)
{
    sim_peer_close(talker->peer);
    talker->peer = NULL;
    talker->is_gone = true;
}

/* 0: all there was room for; or an error. */
static ssize_t talk(struct talker *talker)
{
    struct sim_run *run = talker->run;
    char bytes[4096];
    while (talker->sent < talker->out_total) {
        const uint64_t left = talker->out_total - talker->sent;
        const size_t size = draw(run, 1, left < sizeof bytes ? left : sizeof bytes);
        sim_content(talker->out_content, talker->sent, bytes, size);
        const ssize_t count = sim_peer_send(talker->peer, bytes, size);
        if (count < 0)
            return count == -EAGAIN ? 0 : count;
        talker->sent += (uint64_t)count;
    }
    if (!talker->has_last_word || talker->was_told_end)
        sim_peer_shutdown(talker->peer);
    return 0;
}

enum { HAD_ALL = 1, HAD_ENOUGH = 2 };

/* HAD_ALL: nothing more for now; HAD_ENOUGH: there may be more; 0: the end; or an error. */
static ssize_t listen_to(struct talker *talker)
{
    struct sim_run *run = talker->run;
    char bytes[4096];
    ssize_t count;
    while ((count = sim_peer_recv(talker->peer, bytes, sizeof bytes)) > 0) {
        CHECK(run, talker->received + (uint64_t)count <= talker->in_total);
        CHECK(run, sim_content_equal(talker->in_content, talker->received, bytes, (size_t)count));
        talker->received += (uint64_t)count;
        if (draw_chance(run, talker->dawdle_chance))
            return HAD_ENOUGH;
    }
    talker->was_told_end |= count == 0;
    return count == -EAGAIN ? HAD_ALL : count;
}

static void go_on(struct sim *sim, void *user)
{
    struct talker *talker = user;
    talker->is_pausing = false;
    if (!talker->is_gone)
        on_event(talker->peer, talker);
}

static void dawdle(struct talker *talker)
{
    struct sim_run *run = talker->run;
    talker->is_pausing = true;
    sim_at(run->sim, sim_now_ns(run->sim) + (int64_t)draw(run, 1, 50000) * LEAT_NS_PER_US, go_on,
           talker);
}

static void on_event(struct sim_peer *peer, void *user)
{
    struct talker *talker = user;
    if (talker->is_pausing)
        return;
    ssize_t state = talk(talker);
    if (state == 0)
        state = listen_to(talker);
    if (state == 0 && talker->sent < talker->out_total)
        state = HAD_ALL; /* the other side has ended, and still takes what we have to say */
    if (state <= 0) {
        talker->has_end = state == 0;
        talker->is_broken = !talker->has_end;
        gone(talker);
    } else if (talker->vanish_at > 0 && talker->sent + talker->received >= talker->vanish_at) {
        talker->has_vanished = true;
        if (draw_chance(talker->run, 50)) {
            sim_peer_reset(talker->peer);
            talker->peer = NULL;
            talker->is_gone = true;
        } else {
            gone(talker);
        }
    } else if (state == HAD_ENOUGH) {
        dawdle(talker); /* no event calls it back to what it left */
    }
}

void talker_connect(struct talker *talker, const struct leat_address *address)
{
    talker->peer =
        sim_peer_connect(talker->run->sim, &address->base, address->size, on_event, talker);
}

static void on_connection(struct sim_peer *peer, void *user)
{
    struct talker *talker = user;
    CHECK(talker->run, !talker->peer && !talker->is_gone);
    talker->peer = peer;
    sim_peer_set_event(peer, on_event, talker);
}

void talker_listen(struct talker *talker, const struct leat_address *address)
{
    CHECK(talker->run, sim_peer_listen(talker->run->sim, &address->base, address->size,
                                       on_connection, talker) == 0);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

struct leat_address local_address(uint16_t port)
{
    struct leat_address address = {.size = sizeof address.v4};
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
    address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static struct leat_listener *listen_on(struct sim_run *run, const struct leat_address *address,
                                       int backlog)
{
    const struct leat_listen_options options = {.backlog = backlog};
    struct leat_listener *listener;
    int error;
    while ((error = leat_listen(address, &options, &listener)) == -EMFILE)
        CHECK(run, may_lack(run));
    CHECK(run, error == 0);
    return listener;
}

struct leat_listener *listen_at(struct sim_run *run, uint16_t port, int backlog)
{
    const struct leat_address address = local_address(port);
    return listen_on(run, &address, backlog);
}

struct leat_listener *listen_anywhere(struct sim_run *run, int backlog)
{
    struct leat_address address = local_address(0);
    address.v4.sin_addr.s_addr = htonl(INADDR_ANY);
    return listen_on(run, &address, backlog);
}
