/* SPDX-License-Identifier: MIT */
/*
 * Active checks: each upstream is asked for a path every now and then, and a few answers in a row
 * decide whether it is up. A timer an upstream, quiet, so that no loop runs for it alone; when it
 * fires a fiber asks over a connection of its own, and the timer starts again when that has ended.
 *
 *     timer --> fiber: connect, ask, judge the head, read the rest --> settle --> timer
 */
#include "http/upstreams.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/upstreams_parts.h"
#include "leat/error.h"
#include "net/stream.h"
#include "wire/http1.h"

enum {
    ANSWER_HEAD_MAX = 8 * 1024,
    /* What is read of a body, for a server that is hung up on complains in its log. */
    ANSWER_BODY_MAX = 64 * 1024,
};

/* ---- Asking ---------------------------------------------------------------------------------- */

/* The size of the head, which lies in the buffer with what came behind it; or an error. */
static int await_head(struct leat_stream *stream, char *buffer, struct http1_response *response,
                      size_t *ret_size, int64_t deadline_ns)
{
    size_t size = 0, scanned = 0;
    for (;;) {
        const int head = http1_parse_response(slice_of(buffer, size), scanned, NULL, response);
        if (head < 0)
            return -LEAT_E_MALFORMED;
        if (head > 0 && (response->status >= 200 || response->status == 101)) {
            *ret_size = size;
            return head;
        }
        scanned = head > 0 ? 0 : size;
        if (head > 0) { /* 1xx: the answer is still to come (RFC 9110, section 15.2) */
            size -= (size_t)head;
            memmove(buffer, buffer + head, size);
            continue;
        }
        if (size == ANSWER_HEAD_MAX)
            return -LEAT_E_LIMIT;
        const ssize_t count =
            leat_stream_read(stream, buffer + size, ANSWER_HEAD_MAX - size, deadline_ns);
        if (count <= 0)
            return count < 0 ? (int)count : -LEAT_E_TRUNCATED;
        size += (size_t)count;
    }
}

/* However that ends: the head has been judged. */
static void read_rest(struct leat_stream *stream, char *buffer,
                      const struct http1_response *response, size_t begun, int64_t deadline_ns)
{
    const struct http1_head *head = &response->head;
    uint64_t left = ANSWER_BODY_MAX;
    if (response->status == 101 || response->status == 204 || response->status == 304)
        return;
    if (head->has_content_length && !head->is_chunked && head->content_length < left)
        left = head->content_length;
    left = left > begun ? left - begun : 0;
    while (left > 0) {
        const size_t room = left < ANSWER_HEAD_MAX ? (size_t)left : ANSWER_HEAD_MAX;
        const ssize_t count = leat_stream_read(stream, buffer, room, deadline_ns);
        if (count <= 0)
            return;
        left -= (uint64_t)count;
    }
}

/* The status of the answer, or an error. */
static int ask(struct leat_stream *stream, const struct member *member, int64_t deadline_ns)
{
    char buffer[ANSWER_HEAD_MAX];
    struct http1_response response;
    static_assert(UPSTREAMS_HEALTH_PATH_MAX + 1024 < ANSWER_HEAD_MAX, "a request fits");
    int size = snprintf(buffer, sizeof buffer,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: leat\r\nAccept: */*\r\n"
                        "Connection: close\r\n\r\n",
                        member->group->health_path, member->shown.authority);
    ASSERT(size > 0 && (size_t)size < sizeof buffer);
    int error = leat_stream_write(stream, buffer, (size_t)size, deadline_ns);
    if (error)
        return error;
    size_t received = 0;
    size = await_head(stream, buffer, &response, &received, deadline_ns);
    if (size < 0)
        return size;
    const int status = response.status;
    read_rest(stream, buffer, &response, received - (size_t)size, deadline_ns);
    return status;
}

/* ---- Judging --------------------------------------------------------------------------------- */

static void note_good(struct member *member)
{
    struct check *check = &member->check;
    uint64_t word = atomic_load_explicit(member_state(member), memory_order_relaxed);
    check->bad = 0;
    check->good++;
    if (state_of(word) != UPSTREAM_DOWN || check->good < member->group->options.health_rise)
        return;
    atomic_store_explicit(&member->failures_in_a_row, 0, memory_order_relaxed);
    atomic_store_explicit(&member->reopened, 0, memory_order_relaxed);
    /* Nobody else changes DOWN. */
    atomic_store_explicit(member_state(member),
                          state_come_back(member->group, loop_current->now_ns),
                          memory_order_release);
}

static void note_bad(struct member *member)
{
    struct check *check = &member->check;
    check->good = 0;
    check->bad++;
    if (check->bad >= member->group->options.health_fall)
        atomic_store_explicit(member_state(member), state_word(UPSTREAM_DOWN, 0),
                              memory_order_release);
}

static void run_check(void *arg)
{
    struct member *member = arg;
    const int64_t deadline_ns = leat_after_ms(member->group->options.health_timeout_ms);
    int result = member_dial(member, deadline_ns);
    if (result >= 0) {
        struct leat_stream stream;
        stream_init(&stream, loop_current, result);
        result = ask(&stream, member, deadline_ns);
        stream_fini(&stream);
    }
    if (result == -ECANCELED)
        return;
    if (result >= 200 && result < 400)
        note_good(member);
    else
        note_bad(member);
}

/* ---- Again and again ------------------------------------------------------------------------- */

/* A little earlier or later each time: many proxies shall not ask in step. */
static int64_t next_delay_ms(struct member *member)
{
    struct upstreams *upstreams = member->group;
    const int64_t interval_ms = upstreams->options.health_interval_ms;
    const uint64_t number = atomic_fetch_add_explicit(&upstreams->draws, 1, memory_order_relaxed);
    const uint64_t draw = random_mix(upstreams->seed + number);
    return interval_ms - interval_ms / 8 + (int64_t)(draw % (uint64_t)(interval_ms / 4 + 1));
}

static void wait_for_next(struct member *member)
{
    loop_timer_start(loop_current, &member->check.timer, leat_after_ms(next_delay_ms(member)));
}

static void on_check_end(void *user)
{
    struct member *member = user;
    struct upstreams *upstreams = member->group;
    ASSERT(member->check.fiber != NULL && upstreams->checks > 0);
    member->check.fiber = NULL;
    upstreams->checks--;
    if (!upstreams->is_watch_over)
        wait_for_next(member);
    else if (upstreams->checks == 0)
        atomic_store(&upstreams->watcher, NULL);
}

static void on_check_due(struct timer *timer)
{
    static const struct leat_fiber_options options = {.name = "health check"};
    struct check *check = CONTAINER_OF(timer, struct check, timer);
    struct member *member = CONTAINER_OF(check, struct member, check);
    ASSERT(!check->fiber && !member->group->is_watch_over);
    member->group->checks++; /* it may end before fiber_start returns */
    if (fiber_start(loop_current, &options, run_check, member, on_check_end, member,
                    &check->fiber) != 0) {
        member->group->checks--;
        wait_for_next(member);
    }
}

void upstreams_watch(struct upstreams *upstreams)
{
    struct leat_loop *nobody = NULL;
    ASSERT(loop_current != NULL);
    if (!upstreams->health_path ||
        !atomic_compare_exchange_strong(&upstreams->watcher, &nobody, loop_current))
        return;
    ASSERT(upstreams->checks == 0);
    upstreams->is_watch_over = false;
    for (unsigned index = 0; index < upstreams->count; index++) {
        struct check *check = &upstreams->members[index].check;
        check->good = check->bad = 0;
        timer_init(&check->timer, on_check_due);
        check->timer.is_quiet = true;
        loop_timer_start(loop_current, &check->timer, 0);
    }
}

void upstreams_unwatch(struct upstreams *upstreams)
{
    if (!loop_current || atomic_load(&upstreams->watcher) != loop_current)
        return;
    upstreams->is_watch_over = true;
    for (unsigned index = 0; index < upstreams->count; index++) {
        struct check *check = &upstreams->members[index].check;
        loop_timer_stop(loop_current, &check->timer);
        if (check->fiber)
            fiber_cancel(check->fiber);
    }
    if (upstreams->checks == 0)
        atomic_store(&upstreams->watcher, NULL);
}
