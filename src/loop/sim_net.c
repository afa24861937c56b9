/* SPDX-License-Identifier: MIT */
/*
 * The simulated network: connections of two flows of bytes, listeners, pipes, and peers.
 *
 *     writer --write--> [ written .. arrived | arrived .. read ] --read--> reader
 *                        on its way (events)    may be received
 *
 * Modelled after TCP as Linux does it, as far as a program can tell: bytes before the end, an error
 * once and then the end, a reset when bytes reach who is gone or who left without reading, bytes
 * held back for 200 ms when the sender said that more would follow. Objects live as long as the
 * world, for events point to them; what is closed only stops to answer.
 */
#include <poll.h>
#include <stdlib.h>

#include "base/assert.h"
#include "loop/sim_datagram.h"

enum {
    CORK_MS = 200,
    TRAIN_MS = 10, /* what a slow link carries at a time */
    CONNECT_ATTEMPTS = 5,
    CONNECT_RETRY_MS = 200,
    SCARCE_ACCEPTS_MAX = 64, /* accepts refused in one shortage: whoever asks more often spins */
};

int64_t sim_draw_latency_ns(struct sim *sim)
{
    return sim_draw_us(sim, sim->latency_us, sim->latency_us + sim->latency_us / 2 + 1);
}

/* ---- Flows ----------------------------------------------------------------------------------- */

static size_t flow_available(const struct sim_flow *flow)
{
    return (size_t)(flow->arrived - flow->read);
}

static size_t flow_room(const struct sim_flow *flow)
{
    const uint64_t held =
        flow->is_instant ? flow->written - flow->read : flow->written - flow->arrived;
    ASSERT(held <= flow->send_room);
    return flow->send_room - (size_t)held;
}

void sim_flow_init(struct sim_flow *flow, size_t send_room, size_t receive_room)
{
    flow->send_room = send_room;
    flow->receive_room = receive_room;
    flow->ring_size = 1;
    while (flow->ring_size < send_room + receive_room)
        flow->ring_size *= 2;
}

/* Where the next bytes are written, and how many fit there in one piece, at most `size`. */
static char *flow_tail(struct sim_flow *flow, size_t *size)
{
    if (!flow->ring)
        flow->ring = malloc(flow->ring_size);
    ASSERT(flow->ring != NULL);
    const size_t place = (size_t)flow->written & (flow->ring_size - 1);
    const size_t contiguous = flow->ring_size - place;
    if (*size > contiguous)
        *size = contiguous;
    return flow->ring + place;
}

static const char *flow_head(const struct sim_flow *flow, size_t *size)
{
    const size_t place = (size_t)flow->read & (flow->ring_size - 1);
    const size_t contiguous = flow->ring_size - place;
    if (*size > contiguous)
        *size = contiguous;
    return flow->ring + place;
}

static void flow_arrive(struct sim *sim, void *target, uint64_t generation);

/* How many of so many bytes arrive together: a slow link does not carry all at once. */
static uint64_t flow_train(const struct sim_flow *flow, uint64_t bytes)
{
    const uint64_t rate = flow->rate_bytes_per_s;
    const uint64_t most = rate / (1000 / TRAIN_MS) + SIM_SEGMENT_SIZE;
    return rate > 0 && bytes > most ? most : bytes;
}

/* Schedules what comes next: an arrival, or that of the end. */
static void flow_move(struct sim *sim, struct sim_flow *flow)
{
    const uint64_t bytes = flow->written - flow->arrived;
    const bool has_window = !flow->reader || flow_available(flow) < flow->receive_room;
    const bool is_end = flow->is_ended && !flow->has_end_arrived && bytes == 0;
    if (flow->is_moving || ((bytes == 0 || !has_window) && !is_end))
        return;
    int64_t at_ns = sim->now_ns + sim_draw_latency_ns(sim);
    if (flow->is_corked && bytes < SIM_SEGMENT_SIZE && !flow->is_ended)
        at_ns += CORK_MS * LEAT_NS_PER_MS;
    flow->train = flow_train(flow, bytes);
    if (flow->rate_bytes_per_s > 0) {
        const int64_t carried_ns =
            sim->now_ns + (int64_t)(flow->train * LEAT_NS_PER_S / flow->rate_bytes_per_s);
        if (at_ns < carried_ns)
            at_ns = carried_ns;
    }
    if (at_ns < flow->held_until_ns)
        at_ns = flow->held_until_ns;
    flow->is_moving = true;
    flow->moving_since_ns = sim->now_ns;
    sim_schedule(sim, at_ns, flow_arrive, flow, flow->generation);
}

/* Bytes were written: those that a cork held back go now. */
static void flow_written(struct sim *sim, struct sim_flow *flow, bool more)
{
    if (flow->is_instant) {
        flow->arrived = flow->written;
        sim_kick(sim, flow->reader);
        return;
    }
    if (flow->is_corked && flow->is_moving) {
        flow->generation++;
        flow->is_moving = false;
    }
    flow->is_corked = more;
    flow_move(sim, flow);
}

static size_t flow_write(struct sim_flow *flow, const char *data, size_t size)
{
    const size_t room = flow_room(flow);
    const size_t count = size < room ? size : room;
    for (size_t done = 0; done < count;) {
        size_t part = count - done;
        char *tail = flow_tail(flow, &part);
        if (flow->reader)
            memcpy(tail, data + done, part);
        flow->written += part;
        done += part;
    }
    return count;
}

static void flow_consumed(struct sim *sim, struct sim_flow *flow, size_t count)
{
    ASSERT(count <= flow_available(flow));
    flow->read += count;
    if (flow->is_instant)
        sim_kick(sim, flow->writer);
    else
        flow_move(sim, flow);
}

static size_t flow_peek(const struct sim_flow *flow, char *data, size_t size)
{
    const size_t available = flow_available(flow), count = size < available ? size : available;
    struct sim_flow at = *flow;
    for (size_t done = 0; done < count;) {
        size_t part = count - done;
        const char *head = flow_head(&at, &part);
        memcpy(data + done, head, part);
        at.read += part;
        done += part;
    }
    return count;
}

/* ---- Resets and closes ----------------------------------------------------------------------- */

/* The object learns that its connection is no more. What has arrived may still be read, or not. */
static void reset_side(struct sim *sim, struct sim_object *object, bool drops)
{
    if (!object || object->kind != SIM_STREAM || object->is_reset)
        return;
    object->is_reset = true;
    object->error = ECONNRESET;
    struct sim_flow *flows[2] = {object->in, object->out};
    for (unsigned index = 0; index < 2; index++) {
        struct sim_flow *flow = flows[index];
        flow->generation++; /* what was on its way is lost */
        flow->is_moving = false;
        flow->written = flow->arrived;
    }
    object->in->is_ended = object->in->has_end_arrived = true;
    if (drops)
        object->in->read = object->in->arrived;
    sim_kick(sim, object);
}

static void reset_arrives(struct sim *sim, void *target, uint64_t drops)
{
    reset_side(sim, target, drops != 0);
}

static void send_reset(struct sim *sim, struct sim_object *to)
{
    if (to)
        sim_schedule(sim, sim->now_ns + sim_draw_latency_ns(sim), reset_arrives, to,
                     sim_chance(sim, sim->profile.reset_drops));
}

/* The kernel's estimate of the rate (tcp(7), tcpi_delivery_rate): what little there was to send
 * shows a rate that the link has at least. */
static void flow_measure(const struct sim *sim, struct sim_flow *flow, uint64_t count)
{
    const int64_t took_ns = sim->now_ns - flow->moving_since_ns;
    const bool was_all = flow->arrived == flow->written;
    if (count == 0 || took_ns <= 0)
        return;
    const uint64_t rate = count * LEAT_NS_PER_S / (uint64_t)took_ns;
    if (!was_all || rate > flow->delivery_bytes_per_s) {
        flow->delivery_bytes_per_s = rate;
        flow->is_delivery_limited = was_all;
    }
}

static void flow_arrive(struct sim *sim, void *target, uint64_t generation)
{
    struct sim_flow *flow = target;
    if (generation != flow->generation)
        return;
    flow->is_moving = false;
    if (sim_chance(sim, sim->profile.reset)) {
        sim->report.resets++;
        const bool drops = sim_chance(sim, sim->profile.reset_drops);
        struct sim_object *writer = flow->writer, *reader = flow->reader;
        reset_side(sim, writer, drops);
        reset_side(sim, reader, drops);
        return;
    }
    if (sim_chance(sim, sim->profile.stall)) {
        sim->report.stalls++;
        flow->held_until_ns =
            sim->now_ns + sim_draw_us(sim, 1000, (uint64_t)sim->profile.stall_max_ms * 1000);
        flow_move(sim, flow);
        return;
    }
    uint64_t count = flow->written - flow->arrived;
    if (flow->rate_bytes_per_s > 0 && count > flow->train)
        count = flow->train;
    if (!flow->reader) { /* bytes for nobody */
        flow->arrived = flow->read = flow->written;
        if (count > 0)
            send_reset(sim, flow->writer);
    } else {
        const size_t window = flow->receive_room - flow_available(flow);
        if (count > window)
            count = window;
        if (count > 1 && sim_chance(sim, sim->profile.short_recv))
            count = random_between(&sim->random, 1, count);
        flow->arrived += count;
        flow_measure(sim, flow, count);
    }
    if (flow->is_ended && flow->arrived == flow->written)
        flow->has_end_arrived = true;
    sim_kick(sim, flow->reader);
    sim_kick(sim, flow->writer);
    flow_move(sim, flow);
}

static void release_ring(struct sim_flow *flow)
{
    free(flow->ring);
    flow->ring = NULL;
}

static void close_stream(struct sim *sim, struct sim_object *object)
{
    struct sim_flow *in = object->in, *out = object->out;
    bool is_abrupt = flow_available(in) > 0;
    for (unsigned index = 0; index < object->option_count; index++) {
        const struct sim_option *option = &object->options[index];
        struct linger linger;
        if (option->level == SOL_SOCKET && option->name == SO_LINGER) {
            memcpy(&linger, option->value, sizeof linger);
            is_abrupt |= linger.l_onoff && linger.l_linger == 0;
        }
    }
    in->reader = NULL;
    in->read = in->arrived;
    out->writer = NULL;
    if (!in->writer)
        release_ring(in);
    if (!out->reader)
        release_ring(out);
    if (object->is_reset)
        return;
    if (is_abrupt) {
        out->generation++;
        out->is_moving = false;
        out->written = out->arrived;
        out->is_ended = out->has_end_arrived; /* an end that follows lost bytes is lost too */
        send_reset(sim, out->reader);
    } else {
        out->is_ended = true;
        flow_written(sim, out, false);
        flow_move(sim, in);
    }
}

static void close_pipe_end(struct sim *sim, struct sim_object *object)
{
    struct sim_flow *flow = object->in ? object->in : object->out;
    if (object->in) {
        flow->reader = NULL;
    } else {
        flow->writer = NULL;
        flow->is_ended = flow->has_end_arrived = true;
    }
    sim_kick(sim, flow->reader);
    sim_kick(sim, flow->writer);
    if (!flow->reader && !flow->writer)
        release_ring(flow);
}

void sim_net_close(struct sim *sim, struct sim_object *object)
{
    ASSERT(object->kind != SIM_CLOSED);
    const enum sim_kind kind = object->kind;
    list_remove(&object->accept_node); /* bound no more */
    if (kind == SIM_STREAM) {
        close_stream(sim, object);
    } else if (kind == SIM_LISTENER) {
        struct list_node *node;
        while ((node = list_take_front(&object->accept_queue))) {
            struct sim_object *queued = CONTAINER_OF(node, struct sim_object, accept_node);
            send_reset(sim, queued->out->reader);
            close_stream(sim, queued);
            queued->kind = SIM_CLOSED;
        }
    } else if (kind == SIM_PIPE_IN || kind == SIM_PIPE_OUT) {
        close_pipe_end(sim, object);
    } else if (kind == SIM_DATAGRAM) {
        sim_datagram_close(object);
    }
    object->kind = SIM_CLOSED;
}

void sim_net_fini(struct sim *sim)
{
    struct list_node *node;
    while ((node = list_take_front(&sim->connections))) {
        struct sim_connection *connection = CONTAINER_OF(node, struct sim_connection, node);
        release_ring(&connection->flows[0]);
        release_ring(&connection->flows[1]);
        free(connection);
    }
    sim_datagram_fini(sim);
    while ((node = list_take_front(&sim->objects))) {
        struct sim_object *object = CONTAINER_OF(node, struct sim_object, node);
        sim_datagram_close(object);
        free(object);
    }
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void connect_answers(struct sim *sim, void *target, uint64_t result)
{
    struct sim_object *object = target;
    if (object->kind == SIM_CLOSED)
        return;
    if (!object->connect_token) {
        object->error = -(int32_t)result;
        sim_kick(sim, object);
    } else {
        sim_decide(sim, object->connect_token, (int32_t)result);
    }
}

static void answer_connect(struct sim *sim, struct sim_object *object, int32_t result)
{
    sim_schedule(sim, sim->now_ns + sim_draw_latency_ns(sim), connect_answers, object,
                 (uint64_t)(int64_t)result);
}

/* The listener's end of a new connection; `object` is the other. */
static struct sim_object *make_connection(struct sim *sim, struct sim_object *object,
                                          struct sim_object *listener)
{
    struct sim_connection *connection = calloc(1, sizeof *connection);
    ASSERT(connection != NULL);
    list_push_back(&sim->connections, &connection->node);
    struct sim_object *accepted = sim_object_new(sim, SIM_STREAM);
    for (unsigned side = 0; side < 2; side++) {
        struct sim_flow *flow = &connection->flows[side];
        flow->connection = connection;
        sim_flow_init(flow, sim->queue_size, sim->queue_size);
    }
    connection->flows[1].rate_bytes_per_s = object->rate_bytes_per_s;
    connection->flows[0].writer = connection->flows[1].reader = object;
    connection->flows[1].writer = connection->flows[0].reader = accepted;
    object->kind = SIM_STREAM;
    object->out = accepted->in = &connection->flows[0];
    object->in = accepted->out = &connection->flows[1];
    accepted->local = object->peer;
    accepted->local_size = object->peer_size;
    accepted->peer = object->local;
    accepted->peer_size = object->local_size;
    memcpy(accepted->options, listener->options, sizeof accepted->options);
    accepted->option_count = listener->option_count;
    accepted->process = listener->process;
    sim->report.connections++;
    return accepted;
}

static void connect_arrives(struct sim *sim, void *target, uint64_t word)
{
    struct sim_object *object = target;
    if (object->kind != SIM_SOCKET)
        return;
    struct sim_object *listener = sim_find_listener(sim, &object->peer);
    if (!listener) {
        answer_connect(sim, object, -ECONNREFUSED);
        return;
    }
    if (listener->queued > listener->backlog || sim_chance(sim, sim->profile.stall)) {
        /* The kernel drops what asks for a place that is not there; who asked asks again. */
        const int64_t pause_ns = (CONNECT_RETRY_MS * LEAT_NS_PER_MS) << object->attempts;
        if (++object->attempts > CONNECT_ATTEMPTS)
            answer_connect(sim, object, -ETIMEDOUT);
        else
            sim_schedule(sim, sim->now_ns + pause_ns, connect_arrives, object, 0);
        return;
    }
    struct sim_object *accepted = make_connection(sim, object, listener);
    answer_connect(sim, object, 0);
    if (listener->is_peer) {
        accepted->is_peer = true;
        accepted->event = listener->event;
        accepted->user = listener->user;
        sim_kick(sim, accepted);
        return;
    }
    list_push_back(&listener->accept_queue, &accepted->accept_node);
    listener->queued++;
    sim_kick(sim, listener);
}

void sim_net_begin_connect(struct sim *sim, struct sim_object *object,
                           const struct sockaddr *address, socklen_t size, uint64_t token)
{
    memcpy(&object->peer, address, size);
    object->peer_size = size;
    if (object->local_size == 0) {
        /* From the host that is asked for: all are this one. */
        object->local = object->peer;
        object->local_size = size;
        sim_set_free_port(sim, &object->local);
    }
    object->attempts = 0;
    object->connect_token = token;
    sim_schedule(sim, sim->now_ns + sim_draw_latency_ns(sim), connect_arrives, object, 0);
}

void sim_net_connect(struct sim *sim, struct sim_record *record)
{
    struct sim_object *object = record->object;
    const struct sockaddr *address = record->data;
    if (object->kind == SIM_STREAM)
        sim_decide(sim, sim_token(record), -EISCONN);
    else if (object->kind == SIM_DATAGRAM)
        sim_decide(sim, sim_token(record),
                   sim_datagram_connect(sim, object, address, (socklen_t)record->size));
    else if (object->kind != SIM_SOCKET)
        sim_decide(sim, sim_token(record), -ENOTSOCK);
    else if (!sim_is_known_address(address, (socklen_t)record->size))
        sim_decide(sim, sim_token(record), -EAFNOSUPPORT);
    else
        sim_net_begin_connect(sim, object, address, (socklen_t)record->size, sim_token(record));
}

/* ---- What a socket or pipe can do now -------------------------------------------------------- */

static int take_error(struct sim_object *object)
{
    const int error = object->error;
    object->error = 0;
    return -error;
}

/* 0: bytes may be written; -EAGAIN: no room; or an error. */
static int may_send(struct sim_object *object)
{
    if (object->kind != SIM_STREAM && object->kind != SIM_PIPE_OUT)
        return object->kind == SIM_SOCKET ? -ENOTCONN : -EINVAL;
    if (object->error)
        return take_error(object);
    if (object->is_reset || object->out->is_ended ||
        (object->kind == SIM_PIPE_OUT && !object->out->reader))
        return -EPIPE;
    return flow_room(object->out) > 0 ? 0 : -EAGAIN;
}

/* 1: bytes may be read; 0: the end; -EAGAIN: not yet; or an error. */
static int may_recv(struct sim_object *object)
{
    if (object->kind != SIM_STREAM && object->kind != SIM_PIPE_IN)
        return object->kind == SIM_SOCKET ? -ENOTCONN : -EINVAL;
    if (flow_available(object->in) > 0)
        return 1;
    if (object->error)
        return take_error(object);
    return object->in->has_end_arrived || object->is_read_shut ? 0 : -EAGAIN;
}

static size_t draw_part(struct sim *sim, size_t size, uint32_t chance)
{
    return size > 1 && sim_chance(sim, chance) ? random_between(&sim->random, 1, size) : size;
}

ssize_t sim_net_recv(struct sim *sim, struct sim_object *object, void *data, size_t size, bool peek)
{
    if (object->kind == SIM_DATAGRAM)
        return sim_datagram_recv(object, data, size, peek);
    const int state = size > 0 ? may_recv(object) : 0;
    if (state <= 0)
        return state;
    const size_t count = flow_peek(object->in, data, draw_part(sim, size, sim->profile.short_recv));
    if (!peek)
        flow_consumed(sim, object->in, count);
    return (ssize_t)count;
}

/* Once the bytes are there, the end: nothing follows them. */
void sim_net_end(struct sim *sim, struct sim_object *object)
{
    if (object->kind != SIM_STREAM || object->is_reset || object->out->is_ended)
        return;
    object->out->is_ended = true;
    flow_written(sim, object->out, false);
}

ssize_t sim_net_send(struct sim *sim, struct sim_object *object, const struct iovec *vectors,
                     int count, bool more)
{
    if (object->kind == SIM_DATAGRAM)
        return sim_datagram_send(sim, object, vectors, count);
    const int error = may_send(object);
    if (error)
        return error;
    size_t size = 0, done = 0;
    for (int index = 0; index < count; index++)
        size += vectors[index].iov_len;
    size = draw_part(sim, size, sim->profile.short_send);
    for (int index = 0; index < count && done < size; index++) {
        const size_t left = size - done, length = vectors[index].iov_len;
        const size_t wanted = length < left ? length : left;
        const size_t part = flow_write(object->out, vectors[index].iov_base, wanted);
        done += part;
        if (part < wanted)
            break;
    }
    flow_written(sim, object->out, more);
    return (ssize_t)done;
}

/* Gone without a word of goodbye: the other side is reset. */
void sim_net_abort(struct sim *sim, struct sim_object *object)
{
    if (object->kind == SIM_STREAM)
        send_reset(sim, object->out->reader);
    reset_side(sim, object, false);
    sim_net_close(sim, object);
}

static short poll_events(const struct sim_object *object)
{
    if (object->kind == SIM_LISTENER)
        return object->queued > 0 ? POLLIN : 0;
    if (object->kind == SIM_DATAGRAM)
        return sim_datagram_events(object);
    if (object->kind == SIM_SOCKET)
        return object->error     ? POLLOUT | POLLERR | POLLHUP
               : object->is_peer ? 0
                                 : POLLOUT | POLLHUP;
    if (object->kind == SIM_FILE || object->kind == SIM_DIRECTORY)
        return POLLIN | POLLOUT;
    short events = 0;
    const struct sim_flow *in = object->in, *out = object->out;
    if (in && (flow_available(in) > 0 ||
               (object->kind == SIM_STREAM && (in->has_end_arrived || object->is_read_shut))))
        events |= POLLIN;
    if (in && in->has_end_arrived)
        events |= object->kind == SIM_STREAM ? POLLRDHUP : POLLHUP;
    if (out && (flow_room(out) > 0 || out->is_ended || !out->reader || object->is_reset))
        events |= POLLOUT;
    if (object->kind == SIM_PIPE_OUT && !out->reader)
        events |= POLLERR;
    if (object->error)
        events |= POLLERR;
    if (object->is_reset || (in && out && in->has_end_arrived && out->is_ended))
        events |= POLLIN | POLLHUP;
    return events;
}

static bool is_scarce(const struct sim *sim, const struct sim_object *listener)
{
    return sim->now_ns < listener->scarce_until_ns;
}

bool sim_net_is_ready(struct sim *sim, const struct sim_record *record)
{
    struct sim_object *object = record->object;
    if (object->kind == SIM_DATAGRAM && record->kind != OP_POLL && record->kind != OP_ACCEPT)
        return sim_datagram_events(object) & (record->kind == OP_SEND ? POLLOUT : POLLIN) ||
               object->error;
    switch (record->kind) {
    case OP_ACCEPT:
        return object->kind != SIM_LISTENER || object->queued > 0 || is_scarce(sim, object);
    case OP_RECV:
    case OP_RECV_MANY:
        return object->kind != SIM_STREAM || flow_available(object->in) > 0 || object->error ||
               object->in->has_end_arrived || object->is_read_shut;
    case OP_SEND:
        return object->kind != SIM_STREAM || object->error || object->is_reset ||
               object->out->is_ended || flow_room(object->out) > 0 || record->size == 0;
    case OP_POLL: return (poll_events(object) & (record->events | POLLERR | POLLHUP)) != 0;
    default: return true;
    }
}

/* What an accept meets when it would have succeeded; 0: nothing. */
static int draw_accept_error(struct sim *sim, struct sim_object *listener)
{
    static const int errors[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ECONNABORTED};
    if (!sim_chance(sim, sim->profile.accept_error))
        return 0;
    sim->report.accept_errors++;
    const int error = errors[random_below(&sim->random, sizeof errors / sizeof *errors)];
    if (error == -ECONNABORTED) {
        struct list_node *node = list_take_front(&listener->accept_queue);
        struct sim_object *aborted = CONTAINER_OF(node, struct sim_object, accept_node);
        listener->queued--;
        send_reset(sim, aborted->out->reader);
        close_stream(sim, aborted);
        aborted->kind = SIM_CLOSED;
    } else {
        listener->scarce_error = error;
        listener->scarce_until_ns = sim->now_ns + sim_draw_us(sim, 500, 30000);
        listener->scarce_count = 0;
    }
    return error;
}

static int32_t perform_accept(struct sim *sim, struct sim_object *listener)
{
    if (listener->kind != SIM_LISTENER)
        return -EINVAL;
    if (is_scarce(sim, listener)) {
        if (++listener->scarce_count == SCARCE_ACCEPTS_MAX)
            sim_fail(sim, "accepting on descriptor %d spins while there is nothing to accept with",
                     listener->fd - SIM_FD_BASE);
        return listener->scarce_error;
    }
    if (listener->queued == 0)
        return -EAGAIN;
    const int error = draw_accept_error(sim, listener);
    if (error)
        return error;
    struct list_node *node = list_take_front(&listener->accept_queue);
    listener->queued--;
    struct sim_object *accepted = CONTAINER_OF(node, struct sim_object, accept_node);
    return sim_fd_open(sim, accepted);
}

/* The op ends when all is written; until then each step is noted in it. */
static int32_t perform_send(struct sim *sim, struct sim_record *record)
{
    struct sim_object *object = record->object;
    if (object->kind == SIM_DATAGRAM) {
        const struct iovec vector = {.iov_base = record->data, .iov_len = record->size};
        return (int32_t)sim_datagram_send(sim, object, &vector, 1);
    }
    while (record->offset < record->size) {
        const int error = may_send(object);
        if (error)
            return error;
        const size_t left = record->size - (size_t)record->offset;
        const size_t part = draw_part(sim, left, sim->profile.short_send);
        const size_t count =
            flow_write(object->out, (const char *)record->data + record->offset, part);
        record->offset += count;
        record->op->send.sent = (size_t)record->offset;
        flow_written(sim, object->out, record->more && record->offset == record->size);
        if (count < left)
            return -EAGAIN;
    }
    return (int32_t)record->size;
}

int32_t sim_net_perform(struct sim *sim, struct sim_record *record, struct leat_slice *ret_data)
{
    struct sim_object *object = record->object;
    switch (record->kind) {
    case OP_ACCEPT: return perform_accept(sim, object);
    case OP_RECV: return (int32_t)sim_net_recv(sim, object, record->data, record->size, false);
    case OP_RECV_MANY: {
        const ssize_t count =
            sim_net_recv(sim, object, sim->receive_buffer, sim->receive_buffer_size, false);
        if (count > 0)
            *ret_data = (struct leat_slice){.data = sim->receive_buffer, .size = (size_t)count};
        return (int32_t)count;
    }
    case OP_SEND: return perform_send(sim, record);
    case OP_POLL: {
        const short events = poll_events(object) & (record->events | POLLERR | POLLHUP);
        return events ? events : -EAGAIN;
    }
    default: return -EINVAL;
    }
}

ssize_t sim_net_sendfile(struct sim *sim, int socket_fd, int file_fd, uint64_t offset, size_t size)
{
    struct sim_object *object = sim_object(sim, socket_fd, "sendfile");
    struct sim_object *file = sim_object(sim, file_fd, "sendfile");
    if (!object || !file)
        return -EBADF;
    if (file->kind != SIM_FILE)
        return -EINVAL;
    ssize_t result = may_send(object);
    size_t left = sim_disk_left(file, offset, size);
    if (result == 0 && left > 0) {
        const size_t room = flow_room(object->out);
        left = draw_part(sim, left < room ? left : room, sim->profile.short_send);
        while (left > 0) {
            size_t part = left;
            char *tail = flow_tail(object->out, &part);
            const ssize_t count = sim_disk_copy(sim, file, offset + (size_t)result, tail, part);
            if (count <= 0) {
                result = result > 0 ? result : count;
                break;
            }
            object->out->written += (size_t)count;
            result += count;
            left -= (size_t)count;
        }
        if (result > 0)
            flow_written(sim, object->out, false);
    }
    sim_trace(sim, "sendfile", socket_fd, result, NULL, 0);
    return result;
}

ssize_t sim_net_splice(struct sim *sim, int in_fd, int out_fd, size_t size, bool more)
{
    struct sim_object *in = sim_object(sim, in_fd, "splice");
    struct sim_object *out = sim_object(sim, out_fd, "splice");
    if (!in || !out)
        return -EBADF;
    if ((in->kind != SIM_PIPE_IN) == (out->kind != SIM_PIPE_OUT))
        return -EINVAL;
    ssize_t result = may_recv(in);
    if (result > 0) {
        const int error = may_send(out);
        if (error) {
            result = error;
        } else {
            const size_t available = flow_available(in->in), room = flow_room(out->out);
            size_t count = available < room ? available : room;
            count = draw_part(sim, count < size ? count : size, sim->profile.short_send);
            for (size_t done = 0; done < count;) {
                size_t part = count - done;
                const char *head = flow_head(in->in, &part);
                flow_write(out->out, head, part);
                flow_consumed(sim, in->in, part);
                done += part;
            }
            flow_written(sim, out->out, more);
            result = (ssize_t)count;
        }
    }
    sim_trace(sim, "splice", in_fd, result, NULL, 0);
    return result;
}
