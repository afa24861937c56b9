/* SPDX-License-Identifier: MIT */
/*
 * ITCH by leat itself, as docs/itch.md shows it: structs of the library's, many at a time, and
 * blocks of 64 messages, a length before each. In two sets: the trades
 * that all formats have, and a mix of types as on a stock exchange's day, in an order that no
 * branch predictor learns.
 */
#include "messages.h"

#include <assert.h>

#include "leat/itch.h"

enum { BATCH = 64, MIXED = 1 << 13 };
static_assert(TRADES % BATCH == 0 && MIXED % BATCH == 0, "batches are full");

/* A message a cache line. */
static _Alignas(64) struct leat_itch_message trade_messages[TRADES], mixed_messages[MIXED];

static struct leat_itch_message to_message(const struct trade *trade)
{
    struct leat_itch_message message = {
        .type = LEAT_ITCH_TRADE,
        .locate = trade->locate,
        .tracking = trade->tracking,
        .timestamp_ns = trade->timestamp_ns,
        .trade = {.order = trade->order,
                  .side = trade->side,
                  .shares = trade->shares,
                  .price = trade->price,
                  .match = trade->match},
    };
    memcpy(message.trade.stock, trade->symbol, sizeof message.trade.stock);
    return message;
}

/* ------------------------------------------------------------------------------ one at a time */

int blocks_encode(const struct trade *trade, uint8_t *buffer, size_t size)
{
    const struct leat_itch_message message = to_message(trade);
    size_t used;
    const ssize_t count = leat_itch_encode_blocks(&message, 1, buffer, size, &used);
    return count == 1 ? (int)used : (int)count;
}

int blocks_decode(const uint8_t *message, size_t size, struct trade *ret_trade)
{
    struct leat_slice blocks = {(const char *)message, size};
    struct leat_itch_message decoded;
    if (leat_itch_decode_blocks(&blocks, &decoded, 1) != 1 || blocks.size != 0 ||
        decoded.type != LEAT_ITCH_TRADE)
        return -EBADMSG;
    *ret_trade = (struct trade){
        .timestamp_ns = decoded.timestamp_ns,
        .order = decoded.trade.order,
        .match = decoded.trade.match,
        .shares = decoded.trade.shares,
        .price = decoded.trade.price,
        .locate = decoded.locate,
        .tracking = decoded.tracking,
        .side = decoded.trade.side,
    };
    memcpy(ret_trade->symbol, decoded.trade.stock, sizeof ret_trade->symbol);
    return 0;
}

/* ------------------------------------------------------------------------------- in batches */

static size_t encode_batches(const struct leat_itch_message *messages, size_t count,
                             uint8_t *buffer, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i += BATCH) {
        size_t used;
        if (leat_itch_encode_blocks(messages + i, BATCH, buffer + at, size - at, &used) != BATCH)
            return 0;
        at += used;
    }
    return at;
}

/* Are the messages those that were encoded? Both went through the encoder, so bytes can say. */
static bool is_same(const struct leat_itch_message *a, const struct leat_itch_message *b)
{
    uint8_t wire[2][LEAT_ITCH_SIZE_MAX];
    const int size = leat_itch_encode(a, wire[0], sizeof wire[0]);
    return size > 0 && leat_itch_encode(b, wire[1], sizeof wire[1]) == size &&
           memcmp(wire[0], wire[1], (size_t)size) == 0;
}

/* `expected` is NULL while the clock runs: a batch is then decoded, and not looked at. */
static size_t decode_batches(const uint8_t *bytes, size_t size, size_t count,
                             const struct leat_itch_message *expected)
{
    struct leat_slice blocks = {(const char *)bytes, size};
    _Alignas(64) struct leat_itch_message batch[BATCH];
    for (size_t i = 0; i < count; i += BATCH) {
        if (leat_itch_decode_blocks(&blocks, batch, BATCH) != BATCH)
            return 0;
        for (size_t j = 0; expected != NULL && j < BATCH; j++)
            if (!is_same(&batch[j], &expected[i + j]))
                return 0;
    }
    return blocks.size == 0 ? count : 0;
}

size_t blocks_encode_pass(uint8_t *buffer, size_t size)
{
    if (trade_messages[0].type == 0)
        for (size_t i = 0; i < TRADES; i++)
            trade_messages[i] = to_message(&trades[i]);
    return encode_batches(trade_messages, TRADES, buffer, size);
}

bool blocks_decode_pass(const uint8_t *messages, size_t size, bool is_checked)
{
    return decode_batches(messages, size, TRADES, is_checked ? trade_messages : NULL) == TRADES;
}

/* --------------------------------------------------------------------------------- the mix */

/* Of a thousand messages. */
static const struct {
    char type;
    uint16_t share;
} shares_of_types[] = {{'A', 440}, {'D', 430}, {'U', 50}, {'E', 40}, {'X', 15}, {'P', 10},
                       {'F', 5},   {'I', 5},   {'C', 2},  {'Q', 1},  {'L', 1},  {'H', 1}};

static char random_type(uint64_t *state)
{
    uint32_t any = random_below(state, 1000);
    size_t i = 0;
    for (; any >= shares_of_types[i].share; i++)
        any -= shares_of_types[i].share;
    return shares_of_types[i].type;
}

static struct leat_itch_message random_message(uint64_t *state)
{
    const struct trade *const trade = &trades[random_below(state, TRADES)];
    struct leat_itch_message message = to_message(trade);
    const char *const stock = trade->symbol;
    enum { STOCK = sizeof message.trade.stock };
    message.type = random_type(state);
    switch (message.type) {
    case 'F': memcpy(message.add_order_mpid.attribution, "LEAT", 5); break;
    case 'E': message.executed.match = trade->match; break;
    case 'C': message.executed_price.printable = 'Y'; break;
    case 'L':
        message.participant = (struct leat_itch_participant){
            .mpid = "LEAT", .primary_market_maker = 'Y', .market_maker_mode = 'N', .state = 'A'};
        memcpy(message.participant.stock, stock, STOCK);
        break;
    case 'H':
        message.trading_action =
            (struct leat_itch_trading_action){.trading_state = 'T', .reserved = ' '};
        memcpy(message.trading_action.stock, stock, STOCK);
        break;
    case 'Q':
        message.cross_trade = (struct leat_itch_cross_trade){.cross_type = 'O'};
        memcpy(message.cross_trade.stock, stock, STOCK);
        break;
    case 'I':
        message.imbalance = (struct leat_itch_imbalance){
            .direction = 'B', .cross_type = 'C', .price_variation = 'L'};
        memcpy(message.imbalance.stock, stock, STOCK);
        break;
    default: break; /* A and P are whole; of the others any numbers will do */
    }
    return message;
}

size_t mixed_fill(void)
{
    uint64_t state = 20230822;
    for (size_t i = 0; i < MIXED; i++)
        mixed_messages[i] = random_message(&state);
    return MIXED;
}

size_t mixed_encode_pass(uint8_t *buffer, size_t size)
{
    return encode_batches(mixed_messages, MIXED, buffer, size);
}

bool mixed_decode_pass(const uint8_t *messages, size_t size, bool is_checked)
{
    return decode_batches(messages, size, MIXED, is_checked ? mixed_messages : NULL) == MIXED;
}
