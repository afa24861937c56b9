/* SPDX-License-Identifier: MIT */
/*
 * Fibers: a main fiber plays a few random acts side by side, each an actor in one scope, which may
 * be cancelled in the middle of all. What must hold is checked where it must: nobody outlives his
 * scope, deadlines are kept, what goes into a channel comes out once and in order, a batch answers
 * in order, a job that was begun is waited for.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "fiber/fiber.h"
#include "harness.h"
#include "leat/error.h"

enum { ACTS_MAX = 5, CHILDREN_MAX = 8, ITEMS_MAX = 30, CALLS_MAX = 12, DEPTH_MAX = 3 };

static struct sim_run *run; /* one world at a time */

/* A deadline some way off; rarely none, which only who is sure to be woken may ask for. */
static int64_t draw_deadline_ns(uint64_t most_ms)
{
    return leat_now_ns() + (int64_t)draw(run, 0, most_ms * 1000) * LEAT_NS_PER_US;
}

static int64_t draw_any_deadline_ns(void)
{
    return draw_chance(run, 50) ? LEAT_FOREVER : draw_deadline_ns(20);
}

/* What a call with a deadline may have returned, and when. */
static void check_interrupted(int result, int64_t deadline_ns)
{
    CHECK(run, result == -ECANCELED || result == -ETIMEDOUT);
    if (result == -ETIMEDOUT)
        check_deadline(run, deadline_ns, leat_now_ns());
    else
        CHECK(run, leat_is_cancelled());
}

/* ---- Trees of sleepers ----------------------------------------------------------------------- */

struct family {
    unsigned depth, alive;
};

static void sleeper(void *arg)
{
    struct family *parent = arg;
    parent->alive++;
    struct family own = {.depth = parent->depth + 1};
    struct leat_scope scope;
    leat_scope_init(&scope);
    const unsigned children = own.depth < DEPTH_MAX ? (unsigned)draw(run, 0, 3) : 0;
    for (unsigned index = 0; index < children; index++) {
        const int error = leat_spawn(&scope, sleeper, &own, NULL);
        CHECK(run, error == 0);
    }
    const int64_t wake_ns = draw_deadline_ns(20);
    const int64_t asleep_ns = leat_now_ns();
    const int result = leat_sleep_until(wake_ns);
    if (result)
        CHECK(run, result == -ECANCELED && leat_is_cancelled());
    else
        check_deadline(run, wake_ns > asleep_ns ? wake_ns : asleep_ns, leat_now_ns());
    if (draw_chance(run, 50)) {
        const int64_t deadline_ns = draw_any_deadline_ns();
        const int joined = leat_scope_join(&scope, deadline_ns);
        if (joined)
            check_interrupted(joined, deadline_ns);
        else
            CHECK(run, own.alive == 0 && leat_scope_count(&scope) == 0);
    }
    leat_scope_fini(&scope);
    CHECK(run, own.alive == 0);
    parent->alive--;
}

static void act_tree(void *arg)
{
    struct family top = {0};
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (unsigned count = (unsigned)draw(run, 1, 4); count > 0; count--)
        CHECK(run, leat_spawn(&scope, sleeper, &top, NULL) == 0);
    if (leat_yield() == 0 && draw_chance(run, 30)) {
        leat_scope_cancel(&scope);
        CHECK(run, leat_spawn(&scope, sleeper, &top, NULL) == -ECANCELED);
    }
    leat_scope_join(&scope, LEAT_FOREVER);
    leat_scope_fini(&scope);
    CHECK(run, top.alive == 0);
}

/* ---- Channels -------------------------------------------------------------------------------- */

struct item {
    unsigned producer, number;
};

struct market {
    struct leat_channel *channel;
    unsigned capacity, producers, sent, received, in_flight;
    unsigned next_producer;
    unsigned last_seen[CHILDREN_MAX]; /* by producer: the number after the last received */
    unsigned consumers, items;
};

static void producer(void *arg)
{
    struct market *market = arg;
    struct item item = {.producer = market->next_producer++};
    for (unsigned count = 0; count < market->items; count++) {
        const int64_t deadline_ns = draw_any_deadline_ns();
        item.number++;
        const int result = leat_channel_send(market->channel, &item, deadline_ns);
        if (result == 0)
            market->sent++;
        else if (result == -LEAT_E_CLOSED)
            break;
        else
            check_interrupted(result, deadline_ns);
        CHECK(run, market->sent <= market->received + market->capacity + market->consumers);
        if (draw_chance(run, 30) && leat_sleep_until(draw_deadline_ns(2)))
            break;
        if (result == -ECANCELED)
            break;
    }
    if (--market->producers == 0)
        leat_channel_close(market->channel);
}

static void consumer(void *arg)
{
    struct market *market = arg;
    for (;;) {
        struct item item;
        const int64_t deadline_ns = draw_any_deadline_ns();
        const int result = leat_channel_recv(market->channel, &item, deadline_ns);
        if (result == -LEAT_E_CLOSED || result == -ECANCELED)
            break;
        if (result) {
            check_interrupted(result, deadline_ns);
            continue;
        }
        market->received++;
        CHECK(run, item.producer < CHILDREN_MAX);
        /* With one to look on, each producer's items come in order, each once. */
        if (market->consumers == 1) {
            CHECK(run, item.number > market->last_seen[item.producer]);
            market->last_seen[item.producer] = item.number;
        }
        if (draw_chance(run, 30) && leat_sleep_until(draw_deadline_ns(2)))
            break;
    }
}

static void act_market(void *arg)
{
    struct market market = {
        .capacity = (unsigned)draw(run, 0, 4),
        .producers = (unsigned)draw(run, 1, CHILDREN_MAX / 2),
        .consumers = (unsigned)draw(run, 1, 3),
        .items = (unsigned)draw(run, 1, ITEMS_MAX),
    };
    struct leat_scope scope;
    CHECK(run, leat_channel_create(sizeof(struct item), market.capacity, &market.channel) == 0);
    leat_scope_init(&scope);
    const unsigned producers = market.producers;
    for (unsigned index = 0; index < producers; index++)
        CHECK(run, leat_spawn(&scope, producer, &market, NULL) == 0);
    for (unsigned index = 0; index < market.consumers; index++)
        CHECK(run, leat_spawn(&scope, consumer, &market, NULL) == 0);
    const bool is_whole = leat_scope_join(&scope, LEAT_FOREVER) == 0;
    leat_scope_fini(&scope);
    if (is_whole)
        CHECK(run, market.sent == market.received);
    else
        CHECK(run, market.received <= market.sent &&
                       market.sent <= market.received + market.capacity + CHILDREN_MAX);
    leat_channel_destroy(market.channel);
}

/* ---- Batches --------------------------------------------------------------------------------- */

struct batch {
    unsigned running, running_max;
};

struct chore {
    struct batch *batch;
    int answer;
    unsigned runs;
};

static int do_chore(void *arg)
{
    struct chore *chore = arg;
    struct batch *batch = chore->batch;
    CHECK(run, !leat_is_cancelled()); /* then it would not have been begun */
    chore->runs++;
    if (++batch->running > batch->running_max)
        batch->running_max = batch->running;
    const int result = leat_sleep_until(draw_deadline_ns(5));
    batch->running--;
    return result ? result : chore->answer;
}

static void act_gather(void *arg)
{
    struct batch batch = {0};
    struct chore chores[CALLS_MAX];
    struct leat_call calls[CALLS_MAX];
    const size_t count = draw(run, 1, CALLS_MAX);
    bool is_flawed = false;
    for (size_t index = 0; index < count; index++) {
        const bool fails = draw_chance(run, 5);
        chores[index] = (struct chore){.batch = &batch, .answer = fails ? -EIO : (int)index};
        calls[index] = (struct leat_call){.fn = do_chore, .arg = &chores[index]};
        is_flawed |= fails;
    }
    const struct leat_gather_options options = {
        .on_error = draw_chance(run, 50) ? LEAT_GATHER_WAIT : LEAT_GATHER_CANCEL,
        .parallel_max = draw(run, 0, 3),
        .deadline_ns = draw_chance(run, 30) ? draw_deadline_ns(10) : 0,
    };
    const int result = leat_gather(calls, count, &options);
    CHECK(run, batch.running == 0);
    CHECK(run, options.parallel_max == 0 || batch.running_max <= options.parallel_max);
    const bool is_undisturbed = options.deadline_ns == 0 && !leat_is_cancelled();
    if (is_undisturbed)
        CHECK(run, result == (is_flawed ? -EIO : 0));
    for (size_t index = 0; index < count; index++) {
        CHECK(run, chores[index].runs <= 1);
        if (calls[index].result >= 0 || (is_undisturbed && !is_flawed))
            CHECK(run, chores[index].runs == 1 && calls[index].result == (int)index);
        if (is_undisturbed && options.on_error == LEAT_GATHER_WAIT)
            CHECK(run, chores[index].runs == 1 && calls[index].result == chores[index].answer);
    }
}

/* ---- Jobs and the shield --------------------------------------------------------------------- */

static int job(void *arg)
{
    return ++*(int *)arg;
}

static void act_offload(void *arg)
{
    for (unsigned count = (unsigned)draw(run, 1, 6); count > 0; count--) {
        int runs = 0, answer = -1;
        const int64_t deadline_ns =
            draw_chance(run, 50) ? LEAT_FOREVER : leat_now_ns() + (int64_t)draw(run, 0, 200000);
        const int result = leat_offload(job, &runs, deadline_ns, &answer);
        CHECK(run, runs == (result == 0 ? 1 : 0));
        CHECK(run, answer == (result == 0 ? 1 : -1));
        if (result == -EAGAIN)
            CHECK(run, run->profile->offload_full > 0);
        else if (result)
            check_interrupted(result, deadline_ns);
    }
}

static void act_goodbye(void *arg)
{
    const int64_t until_ns = draw_deadline_ns(30);
    const int result = leat_sleep_until(until_ns);
    if (result == 0)
        return;
    CHECK(run, result == -ECANCELED);
    CHECK(run, leat_sleep_ms(1) == -ECANCELED);
    const int64_t grace_ns = draw_deadline_ns(10), wake_ns = draw_deadline_ns(60);
    leat_shield_begin(grace_ns);
    const int goodbye = leat_sleep_until(wake_ns);
    leat_shield_end();
    if (goodbye == 0) {
        CHECK(run, wake_ns <= leat_now_ns());
        CHECK(run, leat_now_ns() <= grace_ns + deadline_slack_ns(run));
    } else {
        CHECK(run, goodbye == -ECANCELED);
        check_deadline(run, grace_ns, leat_now_ns());
    }
    CHECK(run, leat_yield() == -ECANCELED);
}

/* ---- Operations ------------------------------------------------------------------------------ */

/* The other side answers each byte, or not. */
static void peer_answers(struct sim_peer *peer, void *user)
{
    char bytes[64];
    ssize_t count;
    while ((count = sim_peer_recv(peer, bytes, sizeof bytes)) > 0)
        if (draw_chance(run, 90))
            (void)!sim_peer_send(peer, bytes, (size_t)count);
}

/* An op on the stack that is given up when its time has come; then its memory is somebody else's.
 * */
static int32_t exchange(int fd, int64_t deadline_ns)
{
    char question[16], answer[64];
    memset(question, 'q', sizeof question);
    struct op op;
    op_init(&op, OP_SEND, fd, fiber_op_done);
    op.send.data = question;
    op.send.size = sizeof question;
    int32_t result = fiber_await(&op, deadline_ns);
    if (result < 0)
        return result;
    CHECK(run, result == sizeof question);
    op_init(&op, OP_RECV, fd, fiber_op_done);
    op.recv.data = answer;
    op.recv.size = sizeof answer;
    result = fiber_await(&op, deadline_ns);
    for (int32_t index = 0; index < result; index++)
        CHECK(run, answer[index] == 'q');
    return result;
}

static void act_exchange(void *arg)
{
    const struct sockaddr_in *address = arg;
    const int fd = run->sys->socket(run->sys, AF_INET, SOCK_STREAM, 0);
    if (fd < 0) {
        CHECK(run, may_lack(run));
        return;
    }
    struct op op;
    op_init(&op, OP_CONNECT, fd, fiber_op_done);
    op.connect.address = (const struct sockaddr *)address;
    op.connect.size = sizeof *address;
    int64_t deadline_ns = draw_deadline_ns(draw_chance(run, 50) ? 1 : 10000);
    int32_t result = fiber_await(&op, deadline_ns);
    for (unsigned count = 0; result >= 0 && count < 5; count++) {
        deadline_ns = draw_deadline_ns(20);
        result = exchange(fd, deadline_ns);
        if (result == 0) { /* the peer never ends a connection by itself */
            CHECK(run, may_break(run));
            break;
        }
    }
    if (result == -ETIMEDOUT && leat_now_ns() >= deadline_ns)
        check_deadline(run, deadline_ns, leat_now_ns());
    else if (result < 0 && result != -ECANCELED)
        CHECK(run, may_break(run) || may_lack(run));
    run->loop->ops->close(run->loop->backend, fd);
}

/* ---- The play -------------------------------------------------------------------------------- */

static void main_fiber(void *arg)
{
    static const leat_fiber_fn acts[] = {act_tree,    act_market,  act_gather,
                                         act_offload, act_goodbye, act_exchange};
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (unsigned count = (unsigned)draw(run, 1, ACTS_MAX); count > 0; count--) {
        const leat_fiber_fn act = acts[draw(run, 0, sizeof acts / sizeof *acts - 1)];
        CHECK(run, leat_spawn(&scope, act, arg, NULL) == 0);
    }
    if (draw_chance(run, 50)) {
        CHECK(run, leat_sleep_until(draw_deadline_ns(20)) == 0);
        leat_scope_cancel(&scope);
    }
    CHECK(run, leat_scope_join(&scope, LEAT_FOREVER) == 0);
    CHECK(run, leat_scope_count(&scope) == 0);
    leat_scope_fini(&scope);
}

static void run_fibers(struct sim_run *this_run)
{
    run = this_run;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(run, sim_peer_listen(run->sim, (struct sockaddr *)&address, sizeof address, peer_answers,
                               NULL) == 0);
    run_fiber(run, main_fiber, &address);
}

const struct scenario scenario_fibers = {"fibers", "scopes, channels, batches, jobs, deadlines",
                                         run_fibers};
