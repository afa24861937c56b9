/* SPDX-License-Identifier: MIT */
/*
 * One trade, and the formats that carry it from program to program. The trade has the fields of
 * ITCH 5.0's trade message ('P', "Trade Message (Non-Cross)"), no more and no fewer in any format.
 * A format is one line in the table of formats.c: two functions and some words.
 *
 * What must hold, so that the figures mean something: an encoder writes into memory of its caller;
 * a decoder fills the whole struct and believes nothing: what is cut short or out of range is
 * refused. Neither keeps anything of a message for the next one but memory.
 */
#ifndef LEAT_BENCH_MESSAGES_H
#define LEAT_BENCH_MESSAGES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    SYMBOL_MAX = 8,
    MESSAGE_MAX = 256, /* the longest message of any format; JSON's are about 200 bytes */
    TRADES = 1024,     /* those that are timed */
    EDGES = 4,         /* least and greatest values, which are only checked */
};

struct trade {
    uint64_t timestamp_ns; /* since midnight, below 2^48 */
    uint64_t order;        /* the order's reference number, below 2^63: JSON libraries stop there */
    uint64_t match;        /* the number of the match, below 2^63 */
    uint32_t shares;
    uint32_t price;    /* in 1/10000 of the currency, as exchanges send it: exact everywhere */
    uint16_t locate;   /* the exchange's index of the symbol */
    uint16_t tracking; /* the exchange's own */
    char side;         /* 'B' or 'S' */
    char symbol[SYMBOL_MAX + 1]; /* no spaces; zeros behind it, up to the end */
};

struct format {
    const char *name, *title, *note;
    /* Returns the bytes written, or -ENOBUFS. NULL: `package` was not there at build time. */
    int (*encode)(const struct trade *trade, uint8_t *buffer, size_t size);
    /* `size` is exactly the message's. Returns 0 or -EBADMSG. */
    int (*decode)(const uint8_t *message, size_t size, struct trade *ret_trade);
    const char *(*version)(void); /* NULL: there is none */
    const char *package;          /* of Debian; NULL: nothing is needed */
    /* What is timed in place of the first two, of a library that works on many messages at once,
     * out of and into structs of its own: one pass over the trades that are timed. The bytes that
     * were written; whether all was decoded and, when it is checked, is right. Else NULL. */
    size_t (*encode_pass)(uint8_t *buffer, size_t size);
    bool (*decode_pass)(const uint8_t *messages, size_t size, bool is_checked);
};

extern const struct format formats[];
extern const size_t formats_count;

/* TRADES and then EDGES of them, the same in every run. */
extern struct trade trades[TRADES + EDGES];
void trades_fill(void);
bool trade_equal(const struct trade *a, const struct trade *b);

/* Below `limit`, which is more than 0. */
uint32_t random_below(uint64_t *state, uint32_t limit);

/* Messages of many types in the place of trades: how many there are; and as the passes above. */
size_t mixed_fill(void);
size_t mixed_encode_pass(uint8_t *buffer, size_t size);
bool mixed_decode_pass(const uint8_t *messages, size_t size, bool is_checked);

/* Depends on every field. */
static inline uint64_t trade_checksum(const struct trade *trade)
{
    uint64_t symbol;
    memcpy(&symbol, trade->symbol, sizeof symbol);
    return trade->timestamp_ns + trade->order + trade->match + symbol +
           (((uint64_t)trade->shares << 32) ^ trade->price) +
           (((uint64_t)trade->locate << 24) ^ ((uint64_t)trade->tracking << 8) ^
            (uint64_t)trade->side);
}

/* Refuses what does not fit. */
static inline int symbol_set(char symbol[SYMBOL_MAX + 1], const char *text, size_t length)
{
    if (length > SYMBOL_MAX)
        return -EBADMSG;
    memset(symbol, 0, SYMBOL_MAX + 1);
    memcpy(symbol, text, length);
    return 0;
}

/*
 * Memory for the libraries that let their users allocate: taken bit by bit while one message is
 * worked at, given back as a whole.
 */
struct pool {
    size_t used;
    _Alignas(16) uint8_t memory[16 * 1024];
};

static inline void *pool_take(struct pool *pool, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > sizeof pool->memory - pool->used)
        return NULL;
    void *memory = &pool->memory[pool->used];
    pool->used += size;
    return memory;
}

/* The formats, a file each. */
int copy_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int copy_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
int itch_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int itch_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
const char *itch_version(void);
int blocks_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int blocks_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
size_t blocks_encode_pass(uint8_t *buffer, size_t size);
bool blocks_decode_pass(const uint8_t *messages, size_t size, bool is_checked);
int protobuf_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int protobuf_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
int protobuf_pool_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int protobuf_pool_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
const char *protobuf_version(void);
int msgpack_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int msgpack_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
int msgpack_reuse_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int msgpack_reuse_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
int msgpack_map_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int msgpack_map_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
const char *msgpack_c_version(void);
int json_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int json_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
int json_reuse_encode(const struct trade *trade, uint8_t *buffer, size_t size);
int json_reuse_decode(const uint8_t *message, size_t size, struct trade *ret_trade);
const char *json_version(void);

#endif
