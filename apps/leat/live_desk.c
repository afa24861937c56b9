/* SPDX-License-Identifier: MIT */
/*
 * See live_desk.h.
 */
#include "live_desk.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fiber/fiber.h"

/* On the stack of a fiber that waits. */
struct waiting {
    struct list_node node;
    struct fiber *fiber;
};

static _Thread_local struct list_node desks;

static struct list_node *all_desks(void)
{
    if (!desks.next)
        list_init(&desks);
    return &desks;
}

void live_desk_ref(struct live_desk *desk)
{
    ASSERT(desk->references > 0);
    desk->references++;
}

void live_desk_unref(struct live_desk *desk)
{
    ASSERT(desk->references > 0);
    if (--desk->references > 0)
        return;
    live_watch_destroy(desk->watch);
    leat_http_lot_destroy(desk->parts);
    leat_http_lot_destroy(desk->playlists);
    for (unsigned stream = 0; stream < LIVE_STREAMS; stream++)
        for (unsigned is_delta = 0; is_delta < 2; is_delta++)
            text_fini(&desk->texts[stream][is_delta].text);
    live_channel_unref(desk->channel);
    free(desk);
}

static void wake_fibers(struct live_desk *desk)
{
    for (struct list_node *node; (node = list_take_front(&desk->fibers));)
        fiber_wake(CONTAINER_OF(node, struct waiting, node)->fiber);
}

/* Is it the loop's, for those who come? Else it is kept by fibers alone, until they have done. */
static bool is_open(const struct live_desk *desk)
{
    return !list_is_empty(&desk->node);
}

/* From the list, once nothing will change any more; who waits is woken. */
static void retire(struct live_desk *desk)
{
    ASSERT(is_open(desk));
    list_remove(&desk->node);
    wake_fibers(desk);
    live_desk_unref(desk);
}

static void on_change(void *user)
{
    struct live_desk *desk = user;
    struct live_edge edge;
    live_edge(desk->channel, &edge);
    (void)leat_http_lot_wake(desk->parts);
    (void)leat_http_lot_wake(desk->playlists);
    wake_fibers(desk);
    if (edge.state == LIVE_ENDED && is_open(desk)) /* a channel may end more than once */
        retire(desk);
}

static struct live_desk *make(struct live_channel *channel)
{
    struct live_edge edge;
    struct live_desk *desk = calloc(1, sizeof *desk);
    if (!desk)
        return NULL;
    desk->references = 1;
    list_init(&desk->node);
    list_init(&desk->fibers);
    live_channel_ref(channel);
    desk->channel = channel;
    if (leat_http_lot_create(&desk->parts) != 0 || leat_http_lot_create(&desk->playlists) != 0 ||
        live_watch_create(channel, on_change, desk, &desk->watch) != 0) {
        live_desk_unref(desk);
        return NULL;
    }
    live_edge(channel, &edge);
    if (edge.state == LIVE_ENDED) { /* before it watched: it would never be told to go */
        live_desk_unref(desk);
        return NULL;
    }
    list_push_front(all_desks(), &desk->node);
    return desk;
}

struct live_desk *live_desk_of(struct live_channel *channel)
{
    LIST_FOR_EACH (node, all_desks()) {
        struct live_desk *desk = CONTAINER_OF(node, struct live_desk, node);
        if (desk->channel == channel)
            return desk;
    }
    return make(channel);
}

static void stop_waiting(void *user)
{
    struct waiting *waiting = user;
    list_remove(&waiting->node);
    fiber_wake(waiting->fiber);
}

int live_desk_wait(struct live_desk *desk, int64_t deadline_ns)
{
    struct waiting waiting = {.fiber = fiber_current()};
    list_push_back(&desk->fibers, &waiting.node);
    const int error = fiber_park(deadline_ns, stop_waiting, &waiting);
    if (error) /* perhaps it never parked */
        list_remove(&waiting.node);
    return error;
}

void live_desks_close(void)
{
    struct list_node *all = all_desks();
    while (!list_is_empty(all))
        retire(CONTAINER_OF(all->next, struct live_desk, node));
}
