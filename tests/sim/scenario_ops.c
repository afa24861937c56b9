/* SPDX-License-Identifier: MIT */
/*
 * An echo server made of operations alone, without fibers or streams: the loop, its ops and the
 * world under them. Clients are peers that send known bytes, stall, vanish and compare what comes
 * back.
 *
 *     accept (many) --> connection: recv or recv-many --> held bytes --> send --> …
 *                                        |  end                            |
 *                                        '-------> all sent --> close <----'  given up, error
 *
 * Each connection is one piece of memory that is freed with its last completion.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "harness.h"

enum { CLIENTS_MAX = 10, HELD_MAX = 8192, LOOK_MS = 10, PAUSE_MS = 50 };

struct echo;

struct client {
    struct echo *echo;
    struct sim_peer *peer; /* NULL: it has gone */
    uint64_t content, total, sent, received;
    uint64_t vanish_at; /* after so many bytes; 0: never */
    bool shuts, is_broken, is_stalled;
};

struct connection {
    struct echo *echo;
    struct op receive, send;
    struct timer giving_up;
    int fd;
    bool is_many, has_ended, is_broken;
    char buffer[1500]; /* of a single receive */
    char *held;        /* grows: what comes after a cancel has to be kept too */
    size_t held_size, held_room;
};

struct echo {
    struct sim_run *run;
    struct sockaddr_in address;
    struct op accept;
    struct timer looking, pausing;
    bool is_over;
    unsigned client_count, clients_gone, connections, given_up;
    struct client clients[CLIENTS_MAX];
};

/* ---- Clients --------------------------------------------------------------------------------- */

static void client_ends(struct client *client)
{
    client->peer = NULL;
    client->echo->clients_gone++;
}

static void client_breaks(struct client *client)
{
    client->is_broken = true;
    sim_peer_close(client->peer);
    client_ends(client);
}

static void client_wakes(struct sim *sim, void *user);

/* Sends and receives what there is room and bytes for; false: it has gone. */
static bool client_works(struct client *client)
{
    struct sim_run *run = client->echo->run;
    char bytes[4096];
    ssize_t count = 0;
    while (client->sent < client->total) {
        const uint64_t left = client->total - client->sent;
        const size_t size = draw(run, 1, left < sizeof bytes ? left : sizeof bytes);
        sim_content(client->content, client->sent, bytes, size);
        count = sim_peer_send(client->peer, bytes, size);
        if (count < 0)
            break;
        client->sent += (uint64_t)count;
        if (client->sent == client->total && client->shuts)
            sim_peer_shutdown(client->peer);
    }
    if (count < 0 && count != -EAGAIN) {
        client_breaks(client);
        return false;
    }
    while ((count = sim_peer_recv(client->peer, bytes, sizeof bytes)) > 0) {
        CHECK(run, client->received + (uint64_t)count <= client->sent);
        CHECK(run, sim_content_equal(client->content, client->received, bytes, (size_t)count));
        client->received += (uint64_t)count;
    }
    if (client->received == client->total) {
        sim_peer_close(client->peer);
        client_ends(client);
        return false;
    }
    if (count != -EAGAIN) { /* an error, or the end before all came back */
        client_breaks(client);
        return false;
    }
    return true;
}

static void client_event(struct sim_peer *peer, void *user)
{
    struct client *client = user;
    struct sim_run *run = client->echo->run;
    if (client->is_stalled || !client_works(client))
        return;
    if (client->vanish_at > 0 && client->received >= client->vanish_at) {
        client->is_broken = true;
        if (draw_chance(run, 50))
            sim_peer_reset(client->peer);
        else
            sim_peer_close(client->peer);
        client_ends(client);
    } else if (draw_chance(run, 2)) {
        client->is_stalled = true;
        const int64_t pause_ns = (int64_t)draw(run, 1, 100) * LEAT_NS_PER_MS;
        sim_at(run->sim, sim_now_ns(run->sim) + pause_ns, client_wakes, client);
    }
}

static void client_wakes(struct sim *sim, void *user)
{
    struct client *client = user;
    client->is_stalled = false;
    client_event(client->peer, client);
}

static void client_starts(struct sim *sim, void *user)
{
    struct client *client = user;
    client->peer = sim_peer_connect(sim, (const struct sockaddr *)&client->echo->address,
                                    sizeof client->echo->address, client_event, client);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void connection_moves(struct connection *connection);

static void connection_frees(struct connection *connection)
{
    struct echo *echo = connection->echo;
    struct leat_loop *loop = echo->run->loop;
    loop_timer_stop(loop, &connection->giving_up);
    loop->ops->close(loop->backend, connection->fd);
    echo->connections--;
    free(connection->held);
    free(connection);
}

static void hold(struct connection *connection, const char *data, size_t size)
{
    if (connection->held_size + size > connection->held_room) {
        connection->held_room = 2 * (connection->held_size + size);
        connection->held = realloc(connection->held, connection->held_room);
        CHECK(connection->echo->run, connection->held != NULL);
    }
    memcpy(connection->held + connection->held_size, data, size);
    connection->held_size += size;
}

static void receive_done(struct op *op, const struct completion *completion)
{
    struct connection *connection = CONTAINER_OF(op, struct connection, receive);
    if (completion->result > 0) {
        if (connection->is_many)
            hold(connection, completion->data.data, completion->data.size);
        else
            hold(connection, connection->buffer, (size_t)completion->result);
        /* More than it will hold: no more is taken until some has been sent. What was on its way
         * when the cancel landed still comes, and still is somebody's bytes. */
        if (connection->held_size > HELD_MAX)
            loop_cancel(connection->echo->run->loop, op);
    } else if (completion->result == 0) {
        connection->has_ended = true;
    } else if (completion->result != -ECANCELED) {
        connection->is_broken = true;
    }
    connection_moves(connection);
}

static void send_done(struct op *op, const struct completion *completion)
{
    struct connection *connection = CONTAINER_OF(op, struct connection, send);
    struct echo *echo = connection->echo;
    if (completion->result < 0) {
        connection->is_broken = true;
    } else {
        CHECK(echo->run, (size_t)completion->result == op->send.size);
        free((void *)(uintptr_t)op->send.data);
        op->send.data = NULL;
    }
    if (connection->is_broken) {
        free((void *)(uintptr_t)op->send.data);
        op->send.data = NULL;
    }
    connection_moves(connection);
}

/* The held bytes go to the op, which frees them as soon as they are sent. */
static void connection_sends(struct connection *connection)
{
    connection->send.send.data = connection->held;
    connection->send.send.size = connection->held_size;
    connection->held = NULL;
    connection->held_size = connection->held_room = 0;
    loop_submit(connection->echo->run->loop, &connection->send);
}

/* Whatever has just completed: what is next? */
static void connection_moves(struct connection *connection)
{
    struct leat_loop *loop = connection->echo->run->loop;
    if (connection->is_broken) {
        loop_cancel(loop, &connection->receive);
        loop_cancel(loop, &connection->send);
        if (!op_is_busy(&connection->receive) && !op_is_busy(&connection->send))
            connection_frees(connection);
        return;
    }
    if (connection->held_size > 0 && !op_is_busy(&connection->send))
        connection_sends(connection);
    if (!connection->has_ended && connection->held_size <= HELD_MAX &&
        !op_is_busy(&connection->receive)) {
        connection->receive.kind = connection->is_many ? OP_RECV_MANY : OP_RECV;
        connection->receive.recv.data = connection->buffer;
        connection->receive.recv.size = sizeof connection->buffer;
        loop_submit(loop, &connection->receive);
    }
    if (connection->has_ended && !op_is_busy(&connection->send) &&
        !op_is_busy(&connection->receive))
        connection_frees(connection);
}

static void give_up(struct timer *timer)
{
    struct connection *connection = CONTAINER_OF(timer, struct connection, giving_up);
    connection->echo->given_up++;
    connection->is_broken = true;
    connection_moves(connection);
}

static void connection_starts(struct echo *echo, int fd)
{
    struct sim_run *run = echo->run;
    struct connection *connection = malloc(sizeof *connection);
    CHECK(run, connection != NULL);
    connection->echo = echo;
    connection->fd = fd;
    connection->is_many = draw_chance(run, 50);
    connection->has_ended = connection->is_broken = false;
    connection->held = NULL;
    connection->held_size = connection->held_room = 0;
    op_init(&connection->receive, OP_RECV, fd, receive_done);
    op_init(&connection->send, OP_SEND, fd, send_done);
    timer_init(&connection->giving_up, give_up);
    echo->connections++;
    if (draw_chance(run, 10))
        loop_timer_start(run->loop, &connection->giving_up,
                         leat_after_ms((int64_t)draw(run, 0, 200)));
    connection_moves(connection);
}

/* ---- The server ------------------------------------------------------------------------------ */

static void accept_done(struct op *op, const struct completion *completion)
{
    struct echo *echo = CONTAINER_OF(op, struct echo, accept);
    struct sim_run *run = echo->run;
    if (completion->result >= 0)
        connection_starts(echo, completion->result);
    else if (completion->result != -ECANCELED)
        CHECK(run, may_lack(run));
    if (completion->more)
        return;
    if (echo->is_over)
        run->loop->ops->close(run->loop->backend, op->fd);
    else if (completion->result >= 0 || completion->result == -ECONNABORTED)
        loop_submit(run->loop, op);
    else /* nothing left to accept with: later */
        loop_timer_start(run->loop, &echo->pausing, leat_after_ms(PAUSE_MS));
}

static void accept_again(struct timer *timer)
{
    struct echo *echo = CONTAINER_OF(timer, struct echo, pausing);
    loop_submit(echo->run->loop, &echo->accept);
}

/* Is it over? */
static void look(struct timer *timer)
{
    struct echo *echo = CONTAINER_OF(timer, struct echo, looking);
    struct leat_loop *loop = echo->run->loop;
    if (echo->clients_gone < echo->client_count) {
        loop_timer_start(loop, timer, leat_after_ms(LOOK_MS));
        return;
    }
    echo->is_over = true;
    if (echo->pausing.is_running) {
        loop_timer_stop(loop, &echo->pausing);
        loop->ops->close(loop->backend, echo->accept.fd);
    } else {
        loop_cancel(loop, &echo->accept);
    }
}

static void server_starts(struct echo *echo)
{
    struct sim_run *run = echo->run;
    const struct backend_sys *sys = run->sys;
    socklen_t size = sizeof echo->address;
    struct sockaddr *address = (struct sockaddr *)&echo->address;
    int fd;
    while ((fd = sys->socket(sys, AF_INET, SOCK_STREAM, 0)) == -EMFILE)
        ;
    echo->address = (struct sockaddr_in){.sin_family = AF_INET};
    echo->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(run, sys->bind(sys, fd, address, size) == 0);
    CHECK(run, sys->listen(sys, fd, (int)draw(run, 1, 64)) == 0);
    CHECK(run, sys->getsockname(sys, fd, address, &size) == 0);
    op_init(&echo->accept, OP_ACCEPT, fd, accept_done);
    timer_init(&echo->pausing, accept_again);
    timer_init(&echo->looking, look);
    loop_submit(run->loop, &echo->accept);
    loop_timer_start(run->loop, &echo->looking, leat_after_ms(LOOK_MS));
}

static void run_ops(struct sim_run *run)
{
    struct echo echo = {.run = run};
    server_starts(&echo);
    echo.client_count = (unsigned)draw(run, 1, CLIENTS_MAX);
    for (unsigned index = 0; index < echo.client_count; index++) {
        struct client *client = &echo.clients[index];
        client->echo = &echo;
        client->content = index;
        client->total = draw(run, 1, draw_chance(run, 20) ? 100000 : 3000);
        client->shuts = draw_chance(run, 50);
        client->vanish_at = draw_chance(run, 10) ? draw(run, 1, client->total) : 0;
        sim_at(run->sim, sim_now_ns(run->sim) + (int64_t)draw(run, 0, 50) * LEAT_NS_PER_MS,
               client_starts, client);
    }
    turn_until_idle(run);

    CHECK(run, echo.connections == 0);
    const bool is_kind = !may_break(run) && !may_lack(run) && echo.given_up == 0;
    for (unsigned index = 0; index < echo.client_count; index++) {
        const struct client *client = &echo.clients[index];
        CHECK(run, client->peer == NULL);
        if (is_kind && client->vanish_at == 0)
            CHECK(run, !client->is_broken && client->received == client->total);
    }
}

const struct scenario scenario_ops = {"ops", "an echo server made of operations alone", run_ops};
