/* SPDX-License-Identifier: MIT */
/*
 * A trade by protobuf-c, whose code protoc-c makes from trade.proto, in two ways: as its manual
 * shows it (the size is asked for, then the message packed; malloc for what is unpacked), and in
 * the quickest way it offers (packed into room that is enough for any trade; a pool in malloc's
 * place, so that nothing has to be walked and freed).
 */
#include "messages.h"

#include <assert.h>

#include "trade.pb-c.h"

/* Tags of one byte; varints of at most 10 bytes (64 bits), 5 (32 bits) and 3 (16 bits). */
#define TRADE_PACKED_MAX (2 + SYMBOL_MAX + 3 * 11 + 2 * 6 + 2 * 4 + 2)
static_assert(TRADE_PACKED_MAX <= MESSAGE_MAX, "any trade fits into a message");

static struct pool pool;

static void *take(void *memory, size_t size)
{
    return pool_take(memory, size);
}

/* The pool is emptied as a whole. */
static void give(void *memory, void *pointer)
{
}

static ProtobufCAllocator pool_allocator = {take, give, &pool};

static void fill(const struct trade *trade, Trade *message)
{
    assert(trade->side == 'B' || trade->side == 'S');
    trade__init(message);
    message->symbol = (char *)trade->symbol; /* packing only reads it */
    message->price = trade->price;
    message->shares = trade->shares;
    message->side = trade->side == 'B' ? SIDE__SIDE_BUY : SIDE__SIDE_SELL;
    message->timestamp_ns = trade->timestamp_ns;
    message->order = trade->order;
    message->match = trade->match;
    message->locate = trade->locate;
    message->tracking = trade->tracking;
}

static int read_out(const Trade *message, struct trade *ret_trade)
{
    if ((message->side != SIDE__SIDE_BUY && message->side != SIDE__SIDE_SELL) ||
        message->locate > UINT16_MAX || message->tracking > UINT16_MAX ||
        symbol_set(ret_trade->symbol, message->symbol, strlen(message->symbol)) != 0)
        return -EBADMSG;
    ret_trade->price = message->price;
    ret_trade->shares = message->shares;
    ret_trade->side = message->side == SIDE__SIDE_BUY ? 'B' : 'S';
    ret_trade->timestamp_ns = message->timestamp_ns;
    ret_trade->order = message->order;
    ret_trade->match = message->match;
    ret_trade->locate = (uint16_t)message->locate;
    ret_trade->tracking = (uint16_t)message->tracking;
    return 0;
}

int protobuf_encode(const struct trade *trade, uint8_t *buffer, size_t size)
{
    Trade message;
    fill(trade, &message);
    if (trade__get_packed_size(&message) > size)
        return -ENOBUFS;
    return (int)trade__pack(&message, buffer);
}

int protobuf_decode(const uint8_t *message, size_t size, struct trade *ret_trade)
{
    Trade *unpacked = trade__unpack(NULL, size, message);
    if (unpacked == NULL)
        return -EBADMSG;
    const int error = read_out(unpacked, ret_trade);
    trade__free_unpacked(unpacked, NULL);
    return error;
}

int protobuf_pool_encode(const struct trade *trade, uint8_t *buffer, size_t size)
{
    Trade message;
    if (size < TRADE_PACKED_MAX)
        return -ENOBUFS;
    fill(trade, &message);
    return (int)trade__pack(&message, buffer);
}

int protobuf_pool_decode(const uint8_t *message, size_t size, struct trade *ret_trade)
{
    pool.used = 0;
    const Trade *unpacked = trade__unpack(&pool_allocator, size, message);
    return unpacked != NULL ? read_out(unpacked, ret_trade) : -EBADMSG;
}

const char *protobuf_version(void)
{
    return protobuf_c_version();
}
