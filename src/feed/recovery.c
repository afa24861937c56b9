/* SPDX-License-Identifier: MIT */
/*
 * See recovery.h. The ranges are an array, for they come at its end and go at its begin: few are
 * moved. There is one more of them than packets in the window at most, and where pieces end.
 */
#include "feed/recovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/moldudp64.h"

int recovery_init(struct recovery *recovery, const struct recovery_options *options)
{
    ASSERT(options->ranges_max >= RECOVERY_RANGES_EXTRA && options->ranges_max < UINT32_MAX / 2);
    ASSERT(options->window_ns >= 0 && options->request_ns > 0);
    *recovery = (struct recovery){.options = *options, .next_ns = INT64_MAX, .piece = 1};
    /* Twice the room, so that they are moved back to its begin once in as many. */
    recovery->ranges = calloc(2 * (size_t)options->ranges_max, sizeof *recovery->ranges);
    return recovery->ranges ? 0 : -ENOMEM;
}

void recovery_fini(struct recovery *recovery)
{
    free(recovery->ranges);
    *recovery = (struct recovery){.next_ns = INT64_MAX};
}

/* ---- The array ------------------------------------------------------------------------------- */

static struct recovery_range *range_at(const struct recovery *recovery, unsigned index)
{
    DEBUG_ASSERT(index < recovery->count);
    return &recovery->ranges[recovery->begin + index];
}

static uint64_t span_size(struct recovery_span span)
{
    DEBUG_ASSERT(span.first < span.end);
    return span.end - span.first;
}

static void insert(struct recovery *recovery, unsigned index, const struct recovery_range *range)
{
    ASSERT(index <= recovery->count && recovery->count < recovery->options.ranges_max);
    const struct recovery_range copy = *range; /* it may be one of those that move */
    if (recovery->begin + recovery->count == 2 * recovery->options.ranges_max) {
        memmove(recovery->ranges, recovery->ranges + recovery->begin,
                recovery->count * sizeof copy);
        recovery->begin = 0;
    }
    struct recovery_range *place = recovery->ranges + recovery->begin + index;
    memmove(place + 1, place, (recovery->count - index) * sizeof copy);
    *place = copy;
    recovery->count++;
}

static void erase(struct recovery *recovery, unsigned index)
{
    ASSERT(index < recovery->count);
    struct recovery_range *place = range_at(recovery, index);
    recovery->count--;
    if (index == 0)
        recovery->begin++;
    else
        memmove(place, place + 1, (recovery->count - index) * sizeof *place);
    if (recovery->count == 0)
        recovery->begin = 0;
}

/* The first range that ends behind `sequence`. */
static unsigned find(const struct recovery *recovery, uint64_t sequence)
{
    unsigned low = 0, high = recovery->count;
    while (low < high) {
        const unsigned middle = low + (high - low) / 2;
        if (range_at(recovery, middle)->span.end > sequence)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void look_at(struct recovery *recovery, int64_t due_ns)
{
    if (due_ns < recovery->next_ns)
        recovery->next_ns = due_ns;
}

/* ---- Missing, and not any more --------------------------------------------------------------- */

void recovery_miss(struct recovery *recovery, struct recovery_span span, int64_t due_ns)
{
    ASSERT(span.first < span.end);
    if (recovery->count > 0) {
        struct recovery_range *last = range_at(recovery, recovery->count - 1);
        ASSERT(last->span.end <= span.first);
        /* A little earlier than it had to be: or each packet that is dropped would be a range. */
        if (last->span.end == span.first && last->tries == 0 && !last->is_counted &&
            due_ns - last->due_ns <= recovery->options.window_ns / 4) {
            last->span.end = span.end;
            return;
        }
    }
    const struct recovery_range range = {.span = span, .due_ns = due_ns};
    insert(recovery, recovery->count, &range);
    look_at(recovery, due_ns);
}

bool recovery_misses(const struct recovery *recovery, struct recovery_span span)
{
    const unsigned index = find(recovery, span.first);
    return index < recovery->count && range_at(recovery, index)->span.first < span.end;
}

/* Takes `span` out of the range; 1: nothing is left of it, and its place is the next one's. What is
 * left of it, when that is two, are two ranges. */
static bool cut_out(struct recovery *recovery, unsigned index, struct recovery_span span)
{
    struct recovery_range *range = range_at(recovery, index);
    if (span.first <= range->span.first && span.end >= range->span.end) {
        erase(recovery, index);
        return true;
    }
    if (span.first <= range->span.first) {
        range->span.first = span.end;
    } else if (span.end >= range->span.end) {
        range->span.end = span.first;
    } else {
        struct recovery_range rest = *range;
        rest.span.first = span.end;
        range->span.end = span.first;
        insert(recovery, index + 1, &rest);
    }
    return false;
}

static uint64_t overlap(struct recovery_span a, struct recovery_span b)
{
    const uint64_t first = a.first > b.first ? a.first : b.first;
    const uint64_t end = a.end < b.end ? a.end : b.end;
    return first < end ? end - first : 0;
}

uint64_t recovery_have(struct recovery *recovery, struct recovery_span span)
{
    ASSERT(span.first < span.end);
    uint64_t had = 0;
    unsigned index = find(recovery, span.first);
    while (index < recovery->count) {
        const struct recovery_range *range = range_at(recovery, index);
        if (range->span.first >= span.end)
            break;
        had += overlap(range->span, span);
        if (range->tries > 0 && recovery->is_waiting)
            recovery->next_ns = 0; /* there is room for another request */
        if (!cut_out(recovery, index, span))
            index++;
    }
    return had;
}

/* An answer has come for a part of this range, from `span` on: what is behind it will follow, what
 * was before it was overtaken. */
static void go_on(struct recovery *recovery, unsigned index, struct recovery_span span,
                  int64_t now_ns)
{
    struct recovery_range *range = range_at(recovery, index);
    range->tries = 1;
    range->due_ns = now_ns + recovery->options.request_ns;
    if (range->span.first < span.first) {
        range->due_ns = now_ns + recovery->options.window_ns;
    } else if (span_size(range->span) / 2 > recovery->piece && recovery_has_room(recovery)) {
        /* It was made that long when nothing was answered. */
        struct recovery_range rest = *range;
        range->span.end = range->span.first + recovery->piece;
        rest.span.first = range->span.end;
        rest.tries = 0;
        rest.serial = 0;
        rest.due_ns = now_ns;
        insert(recovery, index + 1, &rest);
        look_at(recovery, now_ns);
    }
    look_at(recovery, range_at(recovery, index)->due_ns);
}

/* Requests are answered one after the other: what was asked for before this one, and has not come,
 * will not. Once: from the second try on its time counts. */
static void overtake(struct recovery *recovery, uint64_t serial, int64_t now_ns)
{
    const int64_t due_ns = now_ns + recovery->options.window_ns;
    recovery->answered = serial;
    for (unsigned index = 0; index < recovery->count; index++) {
        struct recovery_range *range = range_at(recovery, index);
        if (range->tries != 1 || range->is_lost || range->serial >= serial ||
            range->due_ns <= due_ns)
            continue;
        range->due_ns = due_ns;
        look_at(recovery, due_ns);
    }
}

uint64_t recovery_answered(struct recovery *recovery, struct recovery_span span, int64_t now_ns)
{
    uint64_t serial = 0;
    for (unsigned index = find(recovery, span.first); index < recovery->count; index++) {
        const struct recovery_range *range = range_at(recovery, index);
        if (range->span.first >= span.end)
            break;
        if (range->serial > serial)
            serial = range->serial;
    }
    const uint64_t had = recovery_have(recovery, span);
    if (had == 0)
        return 0;
    recovery->given_up = 0;
    /* What is left of the ranges it touched ends where it begins, or begins where it ends. */
    for (unsigned index = find(recovery, span.first > 0 ? span.first - 1 : 0);
         index < recovery->count; index++) {
        const struct recovery_range *range = range_at(recovery, index);
        if (range->span.first > span.end)
            break;
        if (range->tries > 0 && !range->is_lost && range->serial <= serial)
            go_on(recovery, index, span, now_ns);
    }
    if (serial > recovery->answered)
        overtake(recovery, serial, now_ns);
    return had;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

struct flight {
    unsigned requests;
    uint64_t messages, messages_max;
};

/* A range counts as what one request can bring of it. */
static void take_off(struct flight *flight, const struct recovery *recovery,
                     const struct recovery_range *range)
{
    const uint64_t size = span_size(range->span);
    flight->requests++;
    flight->messages += size < recovery->piece ? size : recovery->piece;
}

static struct flight count_flight(const struct recovery *recovery, int64_t now_ns,
                                  struct recovery_room room)
{
    const uint64_t room_messages = (uint64_t)room.packets * room.messages_a_packet;
    struct flight flight = {.messages_max = (uint64_t)recovery->piece * RECOVERY_PIECES};
    if (flight.messages_max > room_messages)
        flight.messages_max = room_messages;
    for (unsigned index = 0; index < recovery->count; index++) {
        const struct recovery_range *range = range_at(recovery, index);
        if (range->tries > 0 && !range->is_lost && range->due_ns > now_ns)
            take_off(&flight, recovery, range);
    }
    return flight;
}

/* Nobody has it, or nobody is there. */
static void give_up(struct recovery *recovery, struct recovery_range *range)
{
    range->is_lost = true;
    recovery->given_up += span_size(range->span);
    if (recovery->given_up > UINT64_MAX / 4)
        recovery->given_up = UINT64_MAX / 4;
}

static bool is_fresh_and_due(const struct recovery_range *range, int64_t now_ns)
{
    return range->tries == 0 && !range->is_lost && range->due_ns <= now_ns;
}

/* Neighbours that are both lost, or both to be asked for, are one range. */
static void join(struct recovery *recovery, int64_t now_ns)
{
    unsigned kept = 0;
    for (unsigned index = 1; index < recovery->count; index++) {
        struct recovery_range *last = range_at(recovery, kept);
        const struct recovery_range *range = range_at(recovery, index);
        const bool are_alike = (last->is_lost && range->is_lost) ||
                               (is_fresh_and_due(last, now_ns) && is_fresh_and_due(range, now_ns));
        if (!are_alike || last->span.end != range->span.first) {
            kept++;
            if (kept < index)
                *range_at(recovery, kept) = *range;
            continue;
        }
        if (last->is_counted != range->is_counted) {
            recovery->missed += span_size(last->is_counted ? range->span : last->span);
            last->is_counted = true;
        }
        last->span.end = range->span.end;
    }
    recovery->count = recovery->count > 0 ? kept + 1 : 0;
}

static void count_gap(struct recovery *recovery, struct recovery_range *range)
{
    if (range->is_counted)
        return;
    range->is_counted = true;
    recovery->gaps++;
    recovery->missed += span_size(range->span);
}

/* A fresh range becomes one to ask for at once, and a fresh one behind it. */
static void cut_piece(struct recovery *recovery, unsigned index)
{
    const uint64_t size_max =
        recovery->given_up > recovery->piece ? recovery->given_up : recovery->piece;
    struct recovery_range *range = range_at(recovery, index);
    if (span_size(range->span) <= size_max || !recovery_has_room(recovery))
        return;
    struct recovery_range rest = *range;
    range->span.end = range->span.first + size_max;
    rest.span.first = range->span.end;
    insert(recovery, index + 1, &rest);
}

static int64_t back_off(const struct recovery *recovery, unsigned tries)
{
    int64_t delay_ns = recovery->options.request_ns;
    while (--tries > 0 && delay_ns < RECOVERY_BACK_OFF_NS)
        delay_ns *= 2;
    if (delay_ns < RECOVERY_BACK_OFF_NS || delay_ns == recovery->options.request_ns)
        return delay_ns;
    return RECOVERY_BACK_OFF_NS;
}

static void ask_for(struct recovery *recovery, struct recovery_range *range, int64_t now_ns,
                    struct recovery_requests *requests)
{
    const uint64_t size = span_size(range->span);
    requests->list[requests->count++] = (struct recovery_request){
        .sequence = range->span.first, .count = size < MOLD_COUNT_MAX ? size : MOLD_COUNT_MAX};
    range->tries++;
    range->serial = ++recovery->serial;
    range->due_ns = now_ns + back_off(recovery, range->tries);
    look_at(recovery, range->due_ns);
}

static bool is_full(const struct flight *flight)
{
    return flight->requests >= RECOVERY_REQUESTS_MAX || flight->messages >= flight->messages_max;
}

void recovery_ask(struct recovery *recovery, int64_t now_ns, struct recovery_room room,
                  struct recovery_requests *ret_requests)
{
    ASSERT(room.messages_a_packet > 0);
    const uint64_t piece = (uint64_t)room.messages_a_packet * RECOVERY_PIECE_PACKETS;
    bool is_first = true;
    recovery->piece = piece < MOLD_COUNT_MAX ? (uint32_t)piece : MOLD_COUNT_MAX;
    recovery->next_ns = INT64_MAX;
    recovery->is_waiting = false;
    ret_requests->count = 0;
    join(recovery, now_ns);
    struct flight flight = count_flight(recovery, now_ns, room);
    for (unsigned index = 0; index < recovery->count; index++) {
        struct recovery_range *range = range_at(recovery, index);
        if (range->is_lost)
            continue;
        if (range->due_ns > now_ns) {
            look_at(recovery, range->due_ns);
            is_first = false;
            continue;
        }
        count_gap(recovery, range);
        if (range->tries >= recovery->options.request_max) {
            give_up(recovery, range);
        } else if (is_full(&flight) && !(is_first && ret_requests->count == 0)) {
            recovery->is_waiting = true;
        } else {
            is_first = false;
            if (range->tries == 0)
                cut_piece(recovery, index);
            range = range_at(recovery, index); /* they may have moved */
            ask_for(recovery, range, now_ns, ret_requests);
            take_off(&flight, recovery, range);
        }
    }
    ASSERT(!recovery->is_waiting || recovery->next_ns < INT64_MAX);
}

bool recovery_take_lost(struct recovery *recovery, struct recovery_span *ret_span)
{
    if (recovery->count == 0 || !range_at(recovery, 0)->is_lost)
        return false;
    *ret_span = range_at(recovery, 0)->span;
    erase(recovery, 0);
    while (recovery->count > 0) {
        const struct recovery_range *next = range_at(recovery, 0);
        if (!next->is_lost || next->span.first != ret_span->end)
            break;
        ret_span->end = next->span.end;
        erase(recovery, 0);
    }
    return true;
}

void recovery_forget(struct recovery *recovery)
{
    ASSERT(recovery->ranges);
    recovery->begin = recovery->count = 0;
    recovery->next_ns = INT64_MAX;
    recovery->is_waiting = false;
    recovery->given_up = 0;
}

void recovery_postpone(struct recovery *recovery, int64_t pause_ns)
{
    ASSERT(pause_ns >= 0);
    for (unsigned index = 0; index < recovery->count; index++)
        range_at(recovery, index)->due_ns += pause_ns;
    if (recovery->next_ns < INT64_MAX)
        recovery->next_ns += pause_ns;
}
