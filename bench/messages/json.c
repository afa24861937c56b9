/* SPDX-License-Identifier: MIT */
/*
 * A trade as a JSON object, by jansson, in two ways: as its manual shows it (json_pack and
 * json_unpack, an object for each message), and in the quickest way it offers (one object whose
 * values are set anew; values looked up one by one, which costs less than json_unpack's set of the
 * names it has seen; a pool in malloc's place wherever nothing outlives the message).
 */
#include "messages.h"

#include <jansson.h>

static struct pool pool;

static void *take(size_t size)
{
    return pool_take(&pool, size);
}

/* The pool is emptied as a whole. */
static void give(void *pointer)
{
}

/* jansson's allocator is one for the whole process: it is lent for a call, and taken back. */
struct allocator {
    json_malloc_t malloc_fn;
    json_free_t free_fn;
};

static struct allocator begin_pool(void)
{
    struct allocator before;
    json_get_alloc_funcs(&before.malloc_fn, &before.free_fn);
    json_set_alloc_funcs(take, give);
    pool.used = 0;
    return before;
}

static void end_pool(struct allocator before)
{
    json_set_alloc_funcs(before.malloc_fn, before.free_fn);
}

/* What a message says, as wide as jansson has it. */
struct wide {
    const char *symbol, *side;
    size_t symbol_length, side_length;
    json_int_t price, shares, timestamp_ns, order, match, locate, tracking;
};

static bool is_within(json_int_t value, json_int_t limit)
{
    return value >= 0 && value <= limit;
}

static int narrow(const struct wide *wide, struct trade *ret_trade)
{
    if (!is_within(wide->price, UINT32_MAX) || !is_within(wide->shares, UINT32_MAX) ||
        !is_within(wide->timestamp_ns, INT64_MAX) || !is_within(wide->order, INT64_MAX) ||
        !is_within(wide->match, INT64_MAX) || !is_within(wide->locate, UINT16_MAX) ||
        !is_within(wide->tracking, UINT16_MAX) || wide->side_length != 1 ||
        (*wide->side != 'B' && *wide->side != 'S') ||
        symbol_set(ret_trade->symbol, wide->symbol, wide->symbol_length) != 0)
        return -EBADMSG;
    ret_trade->price = (uint32_t)wide->price;
    ret_trade->shares = (uint32_t)wide->shares;
    ret_trade->side = *wide->side;
    ret_trade->timestamp_ns = (uint64_t)wide->timestamp_ns;
    ret_trade->order = (uint64_t)wide->order;
    ret_trade->match = (uint64_t)wide->match;
    ret_trade->locate = (uint16_t)wide->locate;
    ret_trade->tracking = (uint16_t)wide->tracking;
    return 0;
}

static json_t *make(const struct trade *trade)
{
    return json_pack("{s:s,s:I,s:I,s:s%,s:I,s:I,s:I,s:I,s:I}", "symbol", trade->symbol, "price",
                     (json_int_t)trade->price, "shares", (json_int_t)trade->shares, "side",
                     &trade->side, (size_t)1, "timestamp_ns", (json_int_t)trade->timestamp_ns,
                     "order", (json_int_t)trade->order, "match", (json_int_t)trade->match, "locate",
                     (json_int_t)trade->locate, "tracking", (json_int_t)trade->tracking);
}

int json_encode(const struct trade *trade, uint8_t *buffer, size_t size)
{
    json_t *object = make(trade);
    if (object == NULL)
        return -ENOMEM;
    const size_t length = json_dumpb(object, (char *)buffer, size, JSON_COMPACT);
    json_decref(object);
    return length > 0 && length <= size ? (int)length : -ENOBUFS;
}

int json_decode(const uint8_t *message, size_t size, struct trade *ret_trade)
{
    struct wide wide;
    json_t *object = json_loadb((const char *)message, size, 0, NULL);
    if (object == NULL)
        return -EBADMSG;
    int error = -EBADMSG;
    if (json_unpack(object, "{s:s%,s:I,s:I,s:s%,s:I,s:I,s:I,s:I,s:I}", "symbol", &wide.symbol,
                    &wide.symbol_length, "price", &wide.price, "shares", &wide.shares, "side",
                    &wide.side, &wide.side_length, "timestamp_ns", &wide.timestamp_ns, "order",
                    &wide.order, "match", &wide.match, "locate", &wide.locate, "tracking",
                    &wide.tracking) == 0)
        error = narrow(&wide, ret_trade);
    json_decref(object);
    return error;
}

/* The object that every message is made with, and its values, in the order they have in it. */
static struct {
    json_t *object;
    json_t *symbol, *price, *shares, *side, *timestamp_ns, *order, *match, *locate, *tracking;
} kept;

static int keep(const struct trade *trade)
{
    kept.object = make(trade);
    if (kept.object == NULL)
        return -ENOMEM;
    kept.symbol = json_object_get(kept.object, "symbol");
    kept.price = json_object_get(kept.object, "price");
    kept.shares = json_object_get(kept.object, "shares");
    kept.side = json_object_get(kept.object, "side");
    kept.timestamp_ns = json_object_get(kept.object, "timestamp_ns");
    kept.order = json_object_get(kept.object, "order");
    kept.match = json_object_get(kept.object, "match");
    kept.locate = json_object_get(kept.object, "locate");
    kept.tracking = json_object_get(kept.object, "tracking");
    return 0;
}

int json_reuse_encode(const struct trade *trade, uint8_t *buffer, size_t size)
{
    if (kept.object == NULL && keep(trade) != 0)
        return -ENOMEM;
    json_string_set_nocheck(kept.symbol, trade->symbol);
    json_integer_set(kept.price, (json_int_t)trade->price);
    json_integer_set(kept.shares, (json_int_t)trade->shares);
    json_string_setn_nocheck(kept.side, &trade->side, 1);
    json_integer_set(kept.timestamp_ns, (json_int_t)trade->timestamp_ns);
    json_integer_set(kept.order, (json_int_t)trade->order);
    json_integer_set(kept.match, (json_int_t)trade->match);
    json_integer_set(kept.locate, (json_int_t)trade->locate);
    json_integer_set(kept.tracking, (json_int_t)trade->tracking);
    const struct allocator before = begin_pool();
    const size_t length = json_dumpb(kept.object, (char *)buffer, size, JSON_COMPACT);
    end_pool(before);
    return length > 0 && length <= size ? (int)length : -ENOBUFS;
}

/* What is no integer is -1, which no field may be. */
static json_int_t get_integer(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static int look_up(const json_t *object, struct trade *ret_trade)
{
    const json_t *symbol = json_object_get(object, "symbol");
    const json_t *side = json_object_get(object, "side");
    if (!json_is_string(symbol) || !json_is_string(side))
        return -EBADMSG;
    const struct wide wide = {
        .symbol = json_string_value(symbol),
        .symbol_length = json_string_length(symbol),
        .side = json_string_value(side),
        .side_length = json_string_length(side),
        .price = get_integer(object, "price"),
        .shares = get_integer(object, "shares"),
        .timestamp_ns = get_integer(object, "timestamp_ns"),
        .order = get_integer(object, "order"),
        .match = get_integer(object, "match"),
        .locate = get_integer(object, "locate"),
        .tracking = get_integer(object, "tracking"),
    };
    return narrow(&wide, ret_trade);
}

int json_reuse_decode(const uint8_t *message, size_t size, struct trade *ret_trade)
{
    const struct allocator before = begin_pool();
    const json_t *object = json_loadb((const char *)message, size, 0, NULL);
    const int error = object != NULL ? look_up(object, ret_trade) : -EBADMSG;
    end_pool(before);
    return error;
}

const char *json_version(void)
{
    return JANSSON_VERSION;
}
