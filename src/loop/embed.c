/* SPDX-License-Identifier: MIT */
/*
 * See embed.h. The timerfd is never read: it is set anew after each turn, which clears its
 * readability. The backends see to it themselves that their descriptor tells of all they hold.
 */
#include "loop/embed.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"

struct embedding {
    int epoll_fd, timer_fd;
};

int embed_create(struct leat_loop *loop, struct embedding **ret_embedding)
{
    const int loop_fd = loop->ops->fd(loop->backend);
    if (loop_fd < 0)
        return loop_fd;
    struct embedding *embedding = malloc(sizeof *embedding);
    if (!embedding)
        return -ENOMEM;
    embedding->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    embedding->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    int error = 0;
    if (embedding->epoll_fd < 0 || embedding->timer_fd < 0 ||
        epoll_ctl(embedding->epoll_fd, EPOLL_CTL_ADD, loop_fd, &event) ||
        epoll_ctl(embedding->epoll_fd, EPOLL_CTL_ADD, embedding->timer_fd, &event) ||
        (error = loop->ops->wait(loop->backend, 0)) || /* what was queued before; and its wake-up */
        (error = embed_settle(embedding, loop))) {
        error = error ? error : -errno;
        embed_destroy(embedding);
        return error;
    }
    *ret_embedding = embedding;
    return 0;
}

void embed_destroy(struct embedding *embedding)
{
    if (!embedding)
        return;
    if (embedding->timer_fd >= 0)
        close(embedding->timer_fd);
    if (embedding->epoll_fd >= 0)
        close(embedding->epoll_fd);
    free(embedding);
}

int embed_fd(const struct embedding *embedding)
{
    return embedding->epoll_fd;
}

int embed_settle(struct embedding *embedding, struct leat_loop *loop)
{
    int64_t next_ns = timer_wheel_next_ns(&loop->timers);
    if (!list_is_empty(&loop->ready) || atomic_load(&loop->inbox))
        next_ns = 1; /* long past: readable at once */
    struct itimerspec when = {0};
    if (next_ns != LEAT_FOREVER)
        when.it_value = clock_timespec(next_ns < 1 ? 1 : next_ns); /* zero would disarm it */
    return timerfd_settime(embedding->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) ? -errno : 0;
}
