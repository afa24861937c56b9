/* SPDX-License-Identifier: MIT */
/*
 * Channels: a ring of items, and two lines of fibers waiting before it, of which at most one is not
 * empty. Who waits is served by who comes: an item goes from the sender's memory to the receiver's
 * or into the ring, and the one who waited is woken with nothing left to do. The waiters live on
 * their fibers' stacks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/scheduler.h"
#include "leat/error.h"

struct leat_channel {
    size_t item_size, capacity;
    size_t first, count; /* in the ring */
    struct list_node senders, receivers;
    bool is_closed;
    char ring[];
};

struct waiter {
    struct list_node node;
    struct fiber *fiber;
    const void *item; /* a sender's */
    void *ret_item;   /* a receiver's */
    int result;       /* when served; nobody reads it when interrupted */
};

int leat_channel_create(size_t item_size, size_t capacity, struct leat_channel **ret_channel)
{
    size_t size;
    if (__builtin_mul_overflow(item_size, capacity, &size) ||
        __builtin_add_overflow(size, sizeof(struct leat_channel), &size))
        return -ENOMEM;
    struct leat_channel *channel = calloc(1, size);
    if (!channel)
        return -ENOMEM;
    channel->item_size = item_size;
    channel->capacity = capacity;
    list_init(&channel->senders);
    list_init(&channel->receivers);
    *ret_channel = channel;
    return 0;
}

void leat_channel_destroy(struct leat_channel *channel)
{
    if (!channel)
        return;
    ASSERT(list_is_empty(&channel->senders));
    ASSERT(list_is_empty(&channel->receivers));
    free(channel);
}

static char *slot(struct leat_channel *channel, size_t index)
{
    return channel->ring + (channel->first + index) % channel->capacity * channel->item_size;
}

/* Nothing to copy for items of no size, whose address may be NULL. */
static void copy_item(const struct leat_channel *channel, void *to, const void *from)
{
    if (channel->item_size > 0)
        memcpy(to, from, channel->item_size);
}

static struct waiter *take_waiter(struct list_node *line)
{
    struct list_node *node = list_take_front(line);
    return node ? CONTAINER_OF(node, struct waiter, node) : NULL;
}

static void serve(struct waiter *waiter, int result)
{
    waiter->result = result;
    fiber_wake(waiter->fiber);
}

static void leave_line(void *user)
{
    struct waiter *waiter = user;
    list_remove(&waiter->node);
    fiber_wake(waiter->fiber);
}

static int wait_in(struct list_node *line, struct waiter *waiter, int64_t deadline_ns)
{
    int reason = fiber_reason(waiter->fiber, deadline_ns);
    if (reason)
        return reason;
    list_push_back(line, &waiter->node);
    reason = fiber_park(deadline_ns, leave_line, waiter);
    ASSERT(list_is_empty(&waiter->node));
    return reason ? reason : waiter->result;
}

int leat_channel_send(struct leat_channel *channel, const void *item, int64_t deadline_ns)
{
    struct fiber *fiber = fiber_running();
    ASSERT(fiber);
    const int reason = fiber_reason(fiber, LEAT_FOREVER);
    if (reason)
        return reason;
    if (channel->is_closed)
        return -LEAT_E_CLOSED;
    struct waiter *receiver = take_waiter(&channel->receivers);
    if (receiver) {
        ASSERT(channel->count == 0);
        copy_item(channel, receiver->ret_item, item);
        serve(receiver, 0);
        return 0;
    }
    if (channel->count < channel->capacity) {
        ASSERT(list_is_empty(&channel->senders));
        copy_item(channel, slot(channel, channel->count), item);
        channel->count++;
        return 0;
    }
    struct waiter waiter = {.fiber = fiber, .item = item};
    return wait_in(&channel->senders, &waiter, deadline_ns);
}

int leat_channel_recv(struct leat_channel *channel, void *ret_item, int64_t deadline_ns)
{
    struct fiber *fiber = fiber_running();
    ASSERT(fiber);
    const int reason = fiber_reason(fiber, LEAT_FOREVER);
    if (reason)
        return reason;
    struct waiter *sender = take_waiter(&channel->senders);
    if (channel->count > 0) {
        copy_item(channel, ret_item, slot(channel, 0));
        channel->first = (channel->first + 1) % channel->capacity;
        channel->count--;
        if (sender) {
            copy_item(channel, slot(channel, channel->count), sender->item);
            channel->count++;
            serve(sender, 0);
        }
        return 0;
    }
    if (sender) {
        ASSERT(channel->capacity == 0);
        copy_item(channel, ret_item, sender->item);
        serve(sender, 0);
        return 0;
    }
    if (channel->is_closed)
        return -LEAT_E_CLOSED;
    struct waiter waiter = {.fiber = fiber, .ret_item = ret_item};
    return wait_in(&channel->receivers, &waiter, deadline_ns);
}

void leat_channel_close(struct leat_channel *channel)
{
    channel->is_closed = true;
    struct waiter *waiter;
    while ((waiter = take_waiter(&channel->senders)) || (waiter = take_waiter(&channel->receivers)))
        serve(waiter, -LEAT_E_CLOSED);
}
