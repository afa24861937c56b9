/* SPDX-License-Identifier: MIT */
/*
 * See watchdog.h. One lock guards the list of loops and the settings; it is taken by loops only
 * when they are made and end. An incident is told once: a loop's `busy_since_ns` names it.
 */
#include "loop/watchdog.h"

#include <errno.h>
#include <pthread.h>

#include "base/assert.h"
#include "base/clock.h"
#include "loop/loop.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list_node loops;
    pthread_t thread;
    bool is_running;
    int64_t threshold_ns; /* 0: the thread shall end */
    leat_watchdog_fn report;
    void *user;
} watchdog = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .loops = {&watchdog.loops, &watchdog.loops},
};

void watchdog_attach(struct leat_loop *loop)
{
    pthread_mutex_lock(&watchdog.lock);
    list_push_back(&watchdog.loops, &loop->watch_node);
    pthread_mutex_unlock(&watchdog.lock);
}

void watchdog_detach(struct leat_loop *loop)
{
    pthread_mutex_lock(&watchdog.lock);
    list_remove(&loop->watch_node);
    pthread_mutex_unlock(&watchdog.lock);
}

static void look_at(struct leat_loop *loop, int64_t now_ns)
{
    const int64_t since_ns = atomic_load_explicit(&loop->busy_since_ns, memory_order_relaxed);
    if (since_ns == 0 || since_ns == loop->watch_told_ns ||
        now_ns - since_ns < watchdog.threshold_ns)
        return;
    loop->watch_told_ns = since_ns;
    const char *name = atomic_load_explicit(&loop->running_name, memory_order_relaxed);
    watchdog.report(name ? name : "loop", (now_ns - since_ns) / LEAT_NS_PER_MS, watchdog.user);
}

static void *watch(void *unused)
{
    pthread_mutex_lock(&watchdog.lock);
    while (watchdog.threshold_ns > 0) {
        const int64_t now_ns = clock_now_ns();
        LIST_FOR_EACH (node, &watchdog.loops)
            look_at(CONTAINER_OF(node, struct leat_loop, watch_node), now_ns);
        /* Looking twice a threshold finds every incident at most half a threshold late. */
        const int64_t next_ns = now_ns + watchdog.threshold_ns / 2;
        const struct timespec next = clock_timespec(next_ns);
        pthread_cond_timedwait(&watchdog.changed, &watchdog.lock, &next);
    }
    pthread_mutex_unlock(&watchdog.lock);
    return NULL;
}

static int start_thread(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return -pthread_create(&watchdog.thread, NULL, watch, NULL);
}

/* Ends the thread; called and left with the lock held. */
static void end_thread(void)
{
    watchdog.threshold_ns = 0;
    pthread_cond_signal(&watchdog.changed);
    pthread_mutex_unlock(&watchdog.lock);
    pthread_join(watchdog.thread, NULL);
    pthread_mutex_lock(&watchdog.lock);
    pthread_cond_destroy(&watchdog.changed);
    watchdog.is_running = false;
}

int leat_watchdog(int64_t threshold_ms, leat_watchdog_fn report, void *user)
{
    if (threshold_ms < 0 || (threshold_ms > 0 && !report))
        return -EINVAL;
    int error = 0;
    pthread_mutex_lock(&watchdog.lock);
    if (watchdog.is_running)
        end_thread();
    if (threshold_ms > 0) {
        watchdog.threshold_ns = threshold_ms * LEAT_NS_PER_MS;
        watchdog.report = report;
        watchdog.user = user;
        error = start_thread();
        watchdog.is_running = error == 0;
    }
    pthread_mutex_unlock(&watchdog.lock);
    return error;
}
