/* SPDX-License-Identifier: MIT */
/*
 * See intake.h.
 */
#include "http/intake.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "http/exchange.h"

enum { OVERFLOW_FIRST_SIZE = 4096 };

void intake_fini(struct intake *intake)
{
    free(intake->data);
    *intake = (struct intake){0};
}

static size_t append_input(struct exchange *exchange, struct leat_slice data)
{
    const size_t room = EXCHANGE_INPUT_SIZE - exchange->input_end;
    const size_t size = data.size < room ? data.size : room;
    memcpy(exchange->input + exchange->input_end, data.data, size);
    exchange->input_end += size;
    return size;
}

/* What the kernel had under way when receiving was stopped still comes, so this is bounded by the
 * limit and its receive buffer. */
static bool append_overflow(struct intake *intake, struct leat_slice data)
{
    const size_t held = intake_overflow(intake);
    if (intake->begin > 0 && data.size > intake->capacity - intake->end) {
        memmove(intake->data, intake->data + intake->begin, held);
        intake->begin = 0;
        intake->end = (uint32_t)held;
    }
    if (data.size > intake->capacity - intake->end) {
        if (data.size > INT32_MAX - held)
            return false;
        size_t capacity = intake->capacity ? intake->capacity : OVERFLOW_FIRST_SIZE;
        while (capacity < held + data.size)
            capacity *= 2;
        char *grown = realloc(intake->data, capacity);
        if (!grown)
            return false;
        intake->data = grown;
        intake->capacity = (uint32_t)capacity;
    }
    memcpy(intake->data + intake->end, data.data, data.size);
    intake->end += (uint32_t)data.size;
    return true;
}

bool intake_append(struct intake *intake, struct exchange *exchange, struct leat_slice data,
                   bool may_fill_input)
{
    if (may_fill_input && intake_overflow(intake) == 0)
        data = slice_after(data, append_input(exchange, data));
    return data.size == 0 || append_overflow(intake, data);
}

static void consume_overflow(struct intake *intake, size_t size)
{
    ASSERT(size <= intake_overflow(intake));
    intake->begin += (uint32_t)size;
    if (intake->begin == intake->end)
        intake_fini(intake);
}

void intake_pull(struct intake *intake, struct exchange *exchange)
{
    const size_t held = intake_overflow(intake);
    if (held == 0)
        return;
    if (exchange->input_begin > 0) {
        exchange->input_end -= exchange->input_begin;
        memmove(exchange->input, exchange->input + exchange->input_begin, exchange->input_end);
        exchange->input_begin = 0;
    }
    consume_overflow(intake, append_input(exchange, slice_of(intake->data + intake->begin, held)));
}

struct leat_slice intake_next(const struct intake *intake, const struct exchange *exchange)
{
    ASSERT(exchange->rest >= exchange->input_begin && exchange->rest <= exchange->input_end);
    if (exchange->rest < exchange->input_end)
        return slice_of(exchange->input + exchange->rest, exchange->input_end - exchange->rest);
    return intake->data ? slice_of(intake->data + intake->begin, intake_overflow(intake))
                        : slice_of(NULL, 0);
}

void intake_consume(struct intake *intake, struct exchange *exchange, size_t size)
{
    if (exchange->rest < exchange->input_end) {
        ASSERT(size <= exchange->input_end - exchange->rest);
        exchange->rest += size;
    } else if (size > 0) {
        consume_overflow(intake, size);
    }
}
