/* SPDX-License-Identifier: MIT */
/*
 * An echo server of fibers on streams: a listener, a fiber a connection, deadlines on every call.
 * Its clients are peers, and fibers that connect, write and read at once. What comes back is what
 * was sent, from its start, without a gap; and all of it where nothing broke and nobody gave up.
 */
#include "fiber/fiber.h"
#include "leat/error.h"
#include "leat/listener.h"
#include "talker.h"

enum { PEERS_MAX = 8, CROWD_MAX = 100, CALLERS_MAX = 4, ACCEPTORS_MAX = 3, PATIENCE_MS = 20000 };

struct echo {
    struct sim_run *run;
    struct leat_listener *listener;
    struct leat_address address;
    struct leat_scope servants;
    unsigned sessions, given_up;
    bool is_slow_to_accept, is_over;
    unsigned peer_count;
    struct talker peers[CROWD_MAX];
};

struct session {
    struct echo *echo;
    struct leat_stream *stream;
};

struct caller {
    struct echo *echo;
    struct leat_stream *stream;
    uint64_t content, total, sent, received;
    bool has_connected, is_broken, has_end;
};

static int64_t draw_deadline_ns(struct sim_run *run)
{
    const uint64_t most_ms = draw_chance(run, 25) ? 20 : PATIENCE_MS;
    return leat_now_ns() + (int64_t)draw(run, 0, most_ms * 1000) * LEAT_NS_PER_US;
}

/* What a call on a stream may fail with; when its time was up, that it was in time. */
static void check_failure(struct echo *echo, ssize_t result, int64_t deadline_ns)
{
    struct sim_run *run = echo->run;
    if (result == -ETIMEDOUT && leat_now_ns() >= deadline_ns)
        check_deadline(run, deadline_ns, leat_now_ns());
    else if (result == -ECANCELED)
        CHECK(run, leat_is_cancelled());
    else /* clients vanish in any world */
        CHECK(run, result == -ECONNRESET || result == -EPIPE || may_break(run) || may_lack(run));
}

/* ---- The server ------------------------------------------------------------------------------ */

/* In one piece, or cut into vectors, some of them empty. */
static int send_back(struct session *session, const char *bytes, size_t size, int64_t deadline_ns)
{
    struct sim_run *run = session->echo->run;
    if (draw_chance(run, 50))
        return leat_stream_write(session->stream, bytes, size, deadline_ns);
    struct leat_vector vectors[24];
    const size_t most = sizeof vectors / sizeof *vectors;
    size_t count = 0, done = 0;
    while (done < size) {
        size_t part = draw(run, 0, size - done);
        if (count == most - 1)
            part = size - done;
        vectors[count++] = (struct leat_vector){.data = bytes + done, .size = part};
        done += part;
    }
    return leat_stream_send(session->stream, vectors, count, deadline_ns);
}

static void serve(void *arg)
{
    struct session *session = arg;
    struct echo *echo = session->echo;
    struct sim_run *run = echo->run;
    char bytes[6000];
    for (;;) {
        int64_t deadline_ns = draw_deadline_ns(run);
        const ssize_t size =
            leat_stream_read(session->stream, bytes, draw(run, 1, sizeof bytes), deadline_ns);
        if (size < 0)
            check_failure(echo, size, deadline_ns);
        if (size == -ETIMEDOUT)
            continue; /* nothing was taken, nothing is lost */
        if (size <= 0)
            break;
        deadline_ns = draw_chance(run, 98) ? LEAT_FOREVER : draw_deadline_ns(run);
        const int error = send_back(session, bytes, (size_t)size, deadline_ns);
        if (error) {
            check_failure(echo, error, deadline_ns);
            echo->given_up += error == -ETIMEDOUT;
            break;
        }
    }
    if (draw_chance(run, 50))
        (void)leat_stream_finish(session->stream);
    leat_stream_close(session->stream);
    echo->sessions--;
    free(session);
}

static void accept_all(void *arg)
{
    struct echo *echo = arg;
    struct sim_run *run = echo->run;
    for (;;) {
        if (echo->is_slow_to_accept && leat_sleep_ms((int64_t)draw(run, 0, 100)) != 0)
            return;
        if (echo->is_over) /* closed, and gone: only who waits in leat_accept is told */
            return;
        struct leat_stream *stream;
        const int64_t deadline_ns = draw_chance(run, 50) ? LEAT_FOREVER : draw_deadline_ns(run);
        const int result = leat_accept(echo->listener, deadline_ns, &stream);
        if (result == -LEAT_E_CLOSED) {
            CHECK(run, echo->is_over);
            return;
        }
        if (result == -ECANCELED)
            return;
        if (result) {
            CHECK(run, result == -ETIMEDOUT);
            check_deadline(run, deadline_ns, leat_now_ns());
            continue;
        }
        struct session *session = malloc(sizeof *session);
        CHECK(run, session != NULL);
        *session = (struct session){.echo = echo, .stream = stream};
        echo->sessions++;
        CHECK(run, leat_spawn(&echo->servants, serve, session, NULL) == 0);
    }
}

/* ---- Callers: clients that are fibers -------------------------------------------------------- */

static void write_all(void *arg)
{
    struct caller *caller = arg;
    struct sim_run *run = caller->echo->run;
    char bytes[3000];
    while (caller->sent < caller->total) {
        const uint64_t left = caller->total - caller->sent;
        const size_t size = draw(run, 1, left < sizeof bytes ? left : sizeof bytes);
        sim_content(caller->content, caller->sent, bytes, size);
        const int error = leat_stream_write(caller->stream, bytes, size, LEAT_FOREVER);
        if (error) {
            check_failure(caller->echo, error, LEAT_FOREVER);
            break; /* who reads waits for the end of what could be said */
        }
        caller->sent += size;
        if (draw_chance(run, 5) && leat_sleep_ms((int64_t)draw(run, 0, 30)) != 0)
            return;
    }
    (void)leat_stream_finish(caller->stream);
}

static void check_received(struct caller *caller, const char *bytes, size_t size)
{
    struct sim_run *run = caller->echo->run;
    CHECK(run, caller->received + size <= caller->total);
    CHECK(run, sim_content_equal(caller->content, caller->received, bytes, size));
    caller->received += size;
}

static void read_all(struct caller *caller)
{
    struct sim_run *run = caller->echo->run;
    char bytes[5000];
    for (;;) {
        const uint64_t left = caller->total - caller->received;
        const int64_t deadline_ns = draw_deadline_ns(run);
        ssize_t result;
        if (left > 0 && left < 50) {
            result = leat_stream_read_exactly(caller->stream, bytes, left, LEAT_FOREVER);
            if (result == 0)
                check_received(caller, bytes, left);
            else if (result == -LEAT_E_TRUNCATED)
                return;
            if (result == 0)
                continue;
        } else {
            result =
                leat_stream_read(caller->stream, bytes, draw(run, 1, sizeof bytes), deadline_ns);
        }
        if (result > 0)
            check_received(caller, bytes, (size_t)result);
        else if (result < 0)
            check_failure(caller->echo, result, deadline_ns);
        if (result <= 0 && result != -ETIMEDOUT) {
            caller->has_end = result == 0;
            return;
        }
    }
}

static void call(void *arg)
{
    struct caller *caller = arg;
    struct sim_run *run = caller->echo->run;
    (void)leat_sleep_ms((int64_t)draw(run, 0, 50));
    const int64_t deadline_ns = draw_deadline_ns(run);
    int error;
    unsigned attempts = 0;
    do
        error = leat_connect(&caller->echo->address, NULL, deadline_ns, &caller->stream);
    while (error == -EMFILE && ++attempts < 20);
    if (error) {
        if (error != -ETIMEDOUT || leat_now_ns() < deadline_ns)
            CHECK(run, may_break(run) || may_lack(run));
        else
            check_deadline(run, deadline_ns, leat_now_ns());
        return;
    }
    struct leat_address peer;
    if (leat_stream_peer(caller->stream, &peer) == 0)
        CHECK(run, leat_address_equal(&peer, &caller->echo->address));
    caller->has_connected = true;
    struct leat_scope scope;
    leat_scope_init(&scope);
    CHECK(run, leat_spawn(&scope, write_all, caller, NULL) == 0);
    read_all(caller);
    leat_scope_fini(&scope);
    leat_stream_close(caller->stream);
}

/* ---- The play -------------------------------------------------------------------------------- */

static void check_outcome(struct echo *echo, const struct caller *callers, unsigned caller_count)
{
    struct sim_run *run = echo->run;
    CHECK(run, echo->sessions == 0);
    /* A world that breaks things, or a server that gave somebody up: prefixes are all there is. */
    if (may_break(run) || may_lack(run) || echo->given_up > 0)
        return;
    for (unsigned index = 0; index < echo->peer_count; index++) {
        const struct talker *peer = &echo->peers[index];
        const bool was_crowded_out = echo->peer_count > PEERS_MAX && peer->sent == 0;
        CHECK(run, peer->has_vanished || was_crowded_out || talker_is_complete(peer));
    }
    for (unsigned index = 0; index < caller_count; index++)
        CHECK(run, !callers[index].has_connected ||
                       (callers[index].has_end && callers[index].received == callers[index].total));
}

static bool have_peers_gone(const struct echo *echo)
{
    for (unsigned index = 0; index < echo->peer_count; index++)
        if (!echo->peers[index].is_gone)
            return false;
    return true;
}

static void start_peers(struct echo *echo)
{
    struct sim_run *run = echo->run;
    /* Now and then more come at once than the listener holds for who is slow to accept. */
    const bool is_crowd = draw_chance(run, 2);
    echo->peer_count = (unsigned)draw(run, is_crowd ? 40 : 0, is_crowd ? CROWD_MAX : PEERS_MAX);
    for (unsigned index = 0; index < echo->peer_count; index++) {
        struct talker *peer = &echo->peers[index];
        talker_draw(peer, run);
        if (is_crowd)
            peer->out_total = draw(run, 0, 30);
        peer->out_content = peer->in_content = index;
        peer->in_total = peer->out_total;
        talker_connect(peer, &echo->address);
    }
}

static void echo_main(void *arg)
{
    struct echo *echo = arg;
    struct sim_run *run = echo->run;
    struct caller callers[CALLERS_MAX] = {0};
    const unsigned caller_count = (unsigned)draw(run, 0, CALLERS_MAX);
    struct leat_scope calling;
    leat_scope_init(&calling);
    leat_scope_init(&echo->servants);
    for (unsigned count = (unsigned)draw(run, 1, ACCEPTORS_MAX); count > 0; count--)
        CHECK(run, leat_spawn(&echo->servants, accept_all, echo, NULL) == 0);
    start_peers(echo);
    for (unsigned index = 0; index < caller_count; index++) {
        callers[index] = (struct caller){.echo = echo, .content = 1000 + index};
        callers[index].total = draw(run, 0, draw_chance(run, 10) ? 100000 : 3000);
        CHECK(run, leat_spawn(&calling, call, &callers[index], NULL) == 0);
    }
    CHECK(run, leat_scope_join(&calling, LEAT_FOREVER) == 0);
    leat_scope_fini(&calling);
    while (!have_peers_gone(echo))
        CHECK(run, leat_sleep_ms(5) == 0);
    echo->is_over = true;
    if (draw_chance(run, 50))
        leat_scope_cancel(&echo->servants);
    if (draw_chance(run, 50))
        CHECK(run, leat_yield() == 0);
    leat_listener_close(echo->listener);
    CHECK(run, leat_scope_join(&echo->servants, LEAT_FOREVER) == 0);
    leat_scope_fini(&echo->servants);
    check_outcome(echo, callers, caller_count);
}

static void run_echo(struct sim_run *run)
{
    struct echo *echo = calloc(1, sizeof *echo);
    CHECK(run, echo != NULL);
    echo->run = run;
    echo->listener = listen_at(run, 0, (int)draw(run, PEERS_MAX + CALLERS_MAX, 128));
    echo->address = *leat_listener_address(echo->listener);
    echo->is_slow_to_accept = draw_chance(run, 10);
    run_fiber(run, echo_main, echo);
    CHECK(run, sim_open_count(run->sim) == 0);
    free(echo);
}

const struct scenario scenario_echo = {"echo", "an echo server of fibers on streams", run_echo};
