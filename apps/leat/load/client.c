/* SPDX-License-Identifier: MIT */
/*
 * See client.h. A connection:
 *
 *                    dial              connected         ask             response whole
 *          DOWN -------------> DIALING ---------> FREE ------> ASKED ------------------> FREE
 *           ^                     |                 |            |   \
 *           |                     | refused         | closed     |    \ it was the last here
 *           |                     v                 v            v     v
 *           +---------------- LEAVING <----------------------------- ENDING
 *             nothing is busy                                         the server closes
 *
 * A request belongs to a connection from the moment it is begun, which may be before the connection
 * is there; it ends answered or as one error. What the kernel still holds of a connection ends
 * before its socket is closed: that is LEAVING.
 */
#include "client.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/assert.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "loop/loop.h"
#include "net/sender.h"
#include "net/stream.h"
#include "net/tuning.h"
#include "response.h"

enum {
    RECEIVE_BUFFERS = 64,
    RECEIVE_BUFFER_SIZE = 64 * 1024,
    SWEEP_NS = 50 * 1000 * 1000,     /* how often timeouts are looked for, and the refused redial */
    PUBLISH_NS = 1000 * 1000 * 1000, /* how often the tally is handed over */
};

static const int64_t CONNECT_LIMIT_NS = INT64_C(5000000000);   /* before it begins without some */
static const int64_t OPEN_LOOP_GRACE_NS = INT64_C(5000000000); /* for what is due at its end */

enum state { DOWN, DIALING, FREE, ASKED, ENDING, LEAVING };

struct connection {
    struct load_client *client;
    enum state state;
    bool has_request; /* begun and neither answered nor failed */
    struct leat_stream stream;
    struct op dial;
    struct receiver receiver;
    struct sender sender;
    uint64_t sent_before; /* by the sender, for requests that are settled */
    struct response response;
    const struct load_target *target; /* of the request */
    int64_t due_ns;                   /* when it was to be sent */
    int64_t since_ns;                 /* when this state began: for timeouts and pauses */
    struct list_node node;            /* among the free, or those that pause */
};

struct load_client {
    const struct load_plan *plan;
    struct leat_loop *loop;
    unsigned index;
    unsigned count; /* of connections */
    struct connection *connections;
    struct list_node free;    /* without a request, the longest free first */
    struct list_node pausing; /* were refused */
    unsigned up;              /* connections that are not DOWN */
    unsigned dialing;
    uint64_t next_target;
    enum { CONNECTING, RUNNING, ENDED } phase;
    uint64_t issued, settled; /* of the requests that count */
    uint64_t share;           /* how many of them are wanted; UINT64_MAX: no limit */
    int64_t schedule_ns;      /* open loop: when the schedule began, */
    uint64_t schedule_next;   /* and the request of it that is due next */
    int64_t begin_ns, end_ns; /* of the measurement */
    int64_t sweep_ns, publish_ns;
    int64_t connected_ns; /* when a sweep last saw a connection that was made */
    atomic_bool stop_wanted;
    struct load_tally tally; /* not yet handed over */
    pthread_mutex_t lock;    /* of `published` */
    struct load_tally published;
};

static void dial(struct connection *connection);
static void go_on(struct connection *connection);

/* ---- Requests -------------------------------------------------------------------------------- */

static bool is_open_loop(const struct load_client *client)
{
    return client->plan->rate > 0;
}

/* Does what happens now to this connection belong to the measurement? Where requests are counted
 * out those do that were begun in it; else what ends in it, so that neither edge loses any. */
static bool counts(const struct connection *connection)
{
    const struct load_client *client = connection->client;
    const bool goes_by_request = client->share < UINT64_MAX && connection->has_request;
    return (goes_by_request ? connection->due_ns : client->loop->now_ns) >= client->begin_ns;
}

static void enter(struct connection *connection, enum state state)
{
    connection->state = state;
    connection->since_ns = connection->client->loop->now_ns;
}

static void settle(struct connection *connection)
{
    struct load_client *client = connection->client;
    ASSERT(connection->has_request);
    if (counts(connection)) {
        client->settled++;
        client->tally.bytes_sent += connection->sender.sent - connection->sent_before;
    }
    connection->sent_before = connection->sender.sent;
    connection->has_request = false;
}

static void leave(struct connection *connection);

static void fail(struct connection *connection, enum load_error error)
{
    if (counts(connection))
        connection->client->tally.errors[error]++;
    if (connection->has_request)
        settle(connection);
    leave(connection);
}

static void on_sent(struct sender *sender, int result)
{
    struct connection *connection = CONTAINER_OF(sender, struct connection, sender);
    if (connection->state == LEAVING)
        leave(connection);
    else if (result != 0 && connection->state == ASKED)
        fail(connection, LOAD_CUT);
}

static void ask(struct connection *connection)
{
    ASSERT(connection->has_request);
    ASSERT(!sender_is_busy(&connection->sender));
    const struct load_target *target = connection->target;
    enter(connection, ASKED);
    response_begin(&connection->response, target->is_head);
    const int result = connection->stream.ops->send_start(
        &connection->stream, &connection->sender, target->vectors, target->vector_count, on_sent);
    if (result != 0 && result != -EINPROGRESS)
        fail(connection, LOAD_CUT);
}

static void begin(struct connection *connection, int64_t due_ns)
{
    struct load_client *client = connection->client;
    const struct load_plan *plan = client->plan;
    ASSERT(!connection->has_request);
    connection->has_request = true;
    connection->due_ns = due_ns;
    connection->target = &plan->targets[client->next_target];
    if (++client->next_target == plan->target_count)
        client->next_target = 0;
    client->issued += counts(connection);
    if (connection->state == FREE)
        ask(connection);
    else
        dial(connection);
}

/* ---- Responses ------------------------------------------------------------------------------- */

static void answered(struct connection *connection)
{
    struct load_client *client = connection->client;
    if (counts(connection)) {
        const int64_t waited_ns = client->loop->now_ns - connection->due_ns;
        client->tally.answered++;
        client->tally.statuses[connection->response.status]++;
        histogram_record(&client->tally.latency, waited_ns > 0 ? (uint64_t)waited_ns : 0);
    }
    settle(connection);
    if (sender_is_busy(&connection->sender)) { /* the request's body is not wanted any more */
        leave(connection);
    } else if (connection->response.is_last || !client->plan->keep_alive) {
        enter(connection, ENDING);
    } else {
        enter(connection, FREE);
        go_on(connection);
    }
}

static void take(struct connection *connection, struct leat_slice data)
{
    struct load_tally *tally = &connection->client->tally;
    const size_t size = data.size;
    const uint64_t body_before = connection->response.body_bytes;
    const enum response_event event = response_take(&connection->response, &data);
    if (counts(connection)) {
        tally->bytes_received += size;
        tally->body_bytes += connection->response.body_bytes - body_before;
    }
    if (event == RESPONSE_MALFORMED || (event == RESPONSE_WHOLE && data.size > 0))
        fail(connection, LOAD_MALFORMED);
    else if (event == RESPONSE_WHOLE)
        answered(connection);
}

/* The server has closed, or the connection broke. */
static void ended(struct connection *connection, int32_t result)
{
    struct load_tally *tally = &connection->client->tally;
    if (connection->state == ASKED) {
        if (result < 0 || !response_ends_here(&connection->response)) {
            fail(connection, LOAD_CUT);
            return;
        }
        answered(connection);
        if (connection->state == ENDING)
            leave(connection);
        return;
    }
    if (connection->state == FREE && result == 0 && counts(connection))
        tally->closes++;
    else if (result < 0 && result != -ECANCELED && connection->state != LEAVING &&
             counts(connection))
        tally->errors[LOAD_CUT]++;
    leave(connection);
}

static void on_data(struct receiver *receiver, int32_t result, struct leat_slice data, bool more)
{
    struct connection *connection = CONTAINER_OF(receiver, struct connection, receiver);
    if (result > 0 && connection->state == ASKED)
        take(connection, data);
    else if (result > 0 && connection->state != LEAVING) /* nobody had asked for it */
        fail(connection, LOAD_MALFORMED);
    if (!more && connection->state == LEAVING)
        leave(connection);
    else if (!more)
        ended(connection, result);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void on_dialed(struct op *op, const struct completion *completion)
{
    struct connection *connection = CONTAINER_OF(op, struct connection, dial);
    struct load_client *client = connection->client;
    client->dialing--;
    if (connection->state == LEAVING) {
        leave(connection);
        return;
    }
    if (completion->result < 0) {
        fail(connection, LOAD_REFUSED);
        return;
    }
    client->tally.connects += counts(connection);
    connection->stream.ops->receive_start(&connection->stream, &connection->receiver);
    enter(connection, FREE);
    if (connection->has_request)
        ask(connection);
    else
        go_on(connection);
}

/* Who was refused tries again with the next sweep. */
static void pause_dialing(struct connection *connection)
{
    enter(connection, DOWN);
    list_push_back(&connection->client->pausing, &connection->node);
}

static void dial(struct connection *connection)
{
    struct load_client *client = connection->client;
    const struct leat_address *address = &client->plan->address;
    static const struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    struct leat_loop *loop = client->loop;
    ASSERT(connection->state == DOWN);
    const int fd = loop->sys->socket(loop->sys, leat_address_family(address), SOCK_STREAM, 0);
    if (fd < 0) {
        client->tally.errors[LOAD_REFUSED] += counts(connection);
        if (connection->has_request)
            settle(connection);
        pause_dialing(connection);
        return;
    }
    (void)tuning_apply(loop->sys, fd, TUNING_CONNECTING, &tuning, NULL); /* defaults cannot fail */
    stream_init(&connection->stream, loop, fd);
    sender_init(&connection->sender, loop, fd);
    connection->sent_before = 0;
    receiver_init(&connection->receiver, on_data);
    op_init(&connection->dial, OP_CONNECT, fd, on_dialed);
    connection->dial.connect.address = &address->base;
    connection->dial.connect.size = address->size;
    client->up++;
    client->dialing++;
    enter(connection, DIALING);
    loop_submit(loop, &connection->dial);
}

/* Ends the connection as soon as nothing of it is busy; called again when something has ended. */
static void leave(struct connection *connection)
{
    struct load_client *client = connection->client;
    const bool was_refused = connection->state == DIALING;
    list_remove(&connection->node);
    if (connection->state != LEAVING)
        enter(connection, LEAVING);
    loop_cancel(client->loop, &connection->dial);
    if (receiver_is_busy(&connection->receiver))
        connection->stream.ops->receive_cancel(&connection->stream, &connection->receiver);
    if (sender_is_busy(&connection->sender))
        connection->stream.ops->send_cancel(&connection->stream, &connection->sender);
    if (op_is_busy(&connection->dial) || receiver_is_busy(&connection->receiver) ||
        sender_is_busy(&connection->sender))
        return;
    response_fini(&connection->response);
    stream_fini(&connection->stream);
    client->up--;
    if (was_refused) {
        pause_dialing(connection);
    } else {
        enter(connection, DOWN);
        go_on(connection);
    }
}

/* The connection has no request: what now? */
static void go_on(struct connection *connection)
{
    struct load_client *client = connection->client;
    ASSERT(!connection->has_request);
    ASSERT(connection->state == FREE || connection->state == DOWN);
    if (client->phase == ENDED)
        return;
    if (connection->state == DOWN && client->plan->keep_alive) {
        dial(connection);
        return;
    }
    if (client->phase == RUNNING && !is_open_loop(client) && client->issued < client->share)
        begin(connection, client->loop->now_ns);
    else
        list_push_back(&client->free, &connection->node);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static int64_t due_ns(const struct load_client *client, uint64_t request)
{
    const struct load_plan *plan = client->plan;
    const double position = (double)request * plan->threads + client->index;
    return client->schedule_ns + (int64_t)(position / plan->rate * 1e9);
}

static struct connection *take_free(struct load_client *client)
{
    return CONTAINER_OF(list_take_front(&client->free), struct connection, node);
}

static void begin_all(struct load_client *client)
{
    while (!list_is_empty(&client->free) && client->issued < client->share)
        begin(take_free(client), client->loop->now_ns);
}

/* Open loop: begins all that is due, as far as connections are free. */
static void begin_due(struct load_client *client)
{
    while (!list_is_empty(&client->free) && client->issued < client->share) {
        const int64_t due = due_ns(client, client->schedule_next);
        if (due > client->loop->now_ns)
            return;
        client->schedule_next++;
        begin(take_free(client), due);
    }
}

static void sweep(struct load_client *client)
{
    const int64_t before_ns = client->loop->now_ns - client->plan->timeout_ns;
    for (unsigned index = 0; index < client->count; index++) {
        struct connection *connection = &client->connections[index];
        if (connection->state == FREE || connection->state == ASKED)
            client->connected_ns = client->loop->now_ns;
        if (connection->since_ns > before_ns)
            continue;
        if (connection->state == ASKED || connection->state == DIALING)
            fail(connection, LOAD_TIMEOUT);
        else if (connection->state == ENDING)
            leave(connection); /* the server should have closed; we do */
    }
    struct list_node refused;
    list_init(&refused);
    list_take_all(&refused, &client->pausing);
    while (!list_is_empty(&refused))
        go_on(CONTAINER_OF(list_take_front(&refused), struct connection, node));
    client->sweep_ns = client->loop->now_ns + SWEEP_NS;
}

static void publish(struct load_client *client)
{
    pthread_mutex_lock(&client->lock);
    load_tally_add(&client->published, &client->tally);
    pthread_mutex_unlock(&client->lock);
    load_tally_clear(&client->tally);
}

static bool is_stopped(const struct load_client *client)
{
    return atomic_load_explicit(&client->stop_wanted, memory_order_relaxed);
}

/* Nobody is there any more: a load that goes by number would never end. */
static bool is_forsaken(const struct load_client *client)
{
    return client->plan->keep_alive &&
           client->loop->now_ns - client->connected_ns > client->plan->timeout_ns + SWEEP_NS;
}

/* One turn of the loop, and what is due then. */
static int turn(struct load_client *client, int64_t until_ns)
{
    if (client->sweep_ns < until_ns)
        until_ns = client->sweep_ns;
    if (client->publish_ns < until_ns)
        until_ns = client->publish_ns;
    if (is_open_loop(client) && client->phase == RUNNING && !list_is_empty(&client->free) &&
        client->issued < client->share) {
        const int64_t due = due_ns(client, client->schedule_next);
        until_ns = due < until_ns ? due : until_ns;
    }
    const int error = leat_loop_run_once(client->loop, until_ns);
    if (client->loop->now_ns >= client->sweep_ns)
        sweep(client);
    if (client->loop->now_ns >= client->publish_ns) {
        publish(client);
        client->publish_ns += PUBLISH_NS;
    }
    return error;
}

static int warm_up(struct load_client *client, int64_t warm_up_ns)
{
    int error = 0;
    while (!error && client->loop->now_ns < warm_up_ns && !is_stopped(client))
        error = turn(client, warm_up_ns);
    client->phase = RUNNING;
    client->schedule_ns = warm_up_ns;
    if (!is_open_loop(client))
        begin_all(client);
    while (!error && client->loop->now_ns < client->begin_ns && !is_stopped(client)) {
        if (is_open_loop(client))
            begin_due(client);
        error = turn(client, client->begin_ns);
    }
    client->schedule_ns = client->begin_ns;
    client->schedule_next = 0;
    return error;
}

/* An open loop's requests that are not settled: they have waited since they were due. */
static void count_unfinished(struct load_client *client)
{
    const int64_t now_ns = client->loop->now_ns;
    struct load_tally *tally = &client->tally;
    for (unsigned index = 0; index < client->count; index++) {
        struct connection *connection = &client->connections[index];
        if (!connection->has_request || !counts(connection))
            continue;
        tally->unfinished++;
        histogram_record(&tally->latency, (uint64_t)(now_ns - connection->due_ns));
    }
    for (uint64_t request = client->issued; request < client->share; request++) {
        const int64_t due = due_ns(client, request);
        if (due > now_ns)
            break;
        tally->unfinished++;
        histogram_record(&tally->latency, (uint64_t)(now_ns - due));
    }
}

int load_client_run(struct load_client *client, int64_t warm_up_ns, int64_t begin_ns)
{
    const struct load_plan *plan = client->plan;
    ASSERT(warm_up_ns <= begin_ns);
    client->begin_ns = begin_ns;
    client->publish_ns = begin_ns + PUBLISH_NS;
    client->end_ns =
        plan->duration_ns < LEAT_FOREVER - begin_ns ? begin_ns + plan->duration_ns : LEAT_FOREVER;
    client->connected_ns = warm_up_ns;
    int error = warm_up(client, warm_up_ns);
    if (is_open_loop(client))
        client->end_ns = due_ns(client, client->share) + OPEN_LOOP_GRACE_NS;
    while (!error && client->loop->now_ns < client->end_ns && !is_stopped(client) &&
           !is_forsaken(client) && client->settled < client->share) {
        if (is_open_loop(client))
            begin_due(client);
        error = turn(client, client->end_ns);
    }
    if (is_open_loop(client))
        count_unfinished(client);
    else if (client->share < UINT64_MAX && !is_stopped(client))
        client->tally.unfinished = client->share - client->settled;
    publish(client);
    client->phase = ENDED;
    return error;
}

int load_client_connect(struct load_client *client)
{
    const int64_t timeout_ns = client->plan->timeout_ns;
    const int64_t until_ns =
        leat_now_ns() + (timeout_ns < CONNECT_LIMIT_NS ? timeout_ns : CONNECT_LIMIT_NS);
    int error = 0;
    for (unsigned index = 0; index < client->count; index++)
        go_on(&client->connections[index]);
    while (!error && client->dialing > 0 && client->loop->now_ns < until_ns && !is_stopped(client))
        error = turn(client, until_ns);
    return error;
}

/* ---- Coming and going ------------------------------------------------------------------------ */

/* How many of `whole` are those of the client. */
static uint64_t share_of(uint64_t whole, const struct load_plan *plan, unsigned index)
{
    return whole / plan->threads + (index < whole % plan->threads);
}

static uint64_t wanted_requests(const struct load_plan *plan)
{
    if (plan->requests > 0)
        return plan->requests;
    if (plan->rate > 0)
        return (uint64_t)(plan->rate * (double)plan->duration_ns / 1e9);
    return UINT64_MAX;
}

static struct load_client *allocate(const struct load_plan *plan, unsigned index)
{
    struct load_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->count = (unsigned)share_of(plan->connections, plan, index);
    client->connections = calloc(client->count, sizeof *client->connections);
    if (!client->connections) {
        free(client);
        return NULL;
    }
    return client;
}

int load_client_create(const struct load_plan *plan, unsigned index,
                       struct load_client **ret_client)
{
    ASSERT(index < plan->threads && plan->connections >= plan->threads && plan->target_count > 0);
    const struct leat_loop_options options = {
        .engine = plan->engine,
        .receive_buffers = RECEIVE_BUFFERS,
        .receive_buffer_size = RECEIVE_BUFFER_SIZE,
    };
    struct load_client *client = allocate(plan, index);
    if (!client)
        return -ENOMEM;
    const int error = leat_loop_create(&options, &client->loop);
    if (error) {
        free(client->connections);
        free(client);
        return error;
    }
    prctl(PR_SET_TIMERSLACK, 1); /* the default lets an open loop's clock be 50 us late */
    pthread_mutex_init(&client->lock, NULL);
    client->plan = plan;
    client->index = index;
    client->next_target = index % plan->target_count;
    client->begin_ns = client->publish_ns = LEAT_FOREVER;
    const uint64_t wanted = wanted_requests(plan);
    client->share = wanted < UINT64_MAX ? share_of(wanted, plan, index) : UINT64_MAX;
    list_init(&client->free);
    list_init(&client->pausing);
    for (unsigned connection = 0; connection < client->count; connection++) {
        client->connections[connection].client = client;
        list_init(&client->connections[connection].node);
    }
    *ret_client = client;
    return 0;
}

void load_client_destroy(struct load_client *client)
{
    client->phase = ENDED;
    client->begin_ns = LEAT_FOREVER; /* nothing counts any more */
    for (unsigned index = 0; index < client->count; index++) {
        struct connection *connection = &client->connections[index];
        connection->has_request = false;
        if (connection->state != DOWN && connection->state != LEAVING)
            leave(connection);
    }
    while (client->up > 0 && leat_loop_run_once(client->loop, LEAT_FOREVER) == 0)
        ;
    leat_loop_destroy(client->loop);
    pthread_mutex_destroy(&client->lock);
    free(client->connections);
    free(client);
}

const char *load_client_engine(const struct load_client *client)
{
    return leat_loop_engine(client->loop);
}

void load_client_collect(struct load_client *client, struct load_tally *tally)
{
    pthread_mutex_lock(&client->lock);
    load_tally_add(tally, &client->published);
    load_tally_clear(&client->published);
    pthread_mutex_unlock(&client->lock);
}

void load_client_stop(struct load_client *client)
{
    atomic_store(&client->stop_wanted, true); /* seen within a sweep's time */
}
