/* SPDX-License-Identifier: MIT */
/*
 * The trades that are encoded and decoded. A thousand different ones, so that neither the branch
 * predictor nor the cache knows the next one by heart: lengths of symbols, magnitudes of prices and
 * quantities vary as they do on a stock exchange's day, and with them the length of every variable
 * length integer. The generator is seeded: every run, and every machine, has the same ones.
 */
#include "messages.h"

#include <assert.h>

struct trade trades[TRADES + EDGES];

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

uint32_t random_below(uint64_t *state, uint32_t limit)
{
    assert(limit > 0);
    return (uint32_t)(((next_random(state) >> 32) * limit) >> 32);
}

/* Most symbols have three or four letters. */
static void fill_symbol(uint64_t *state, char symbol[SYMBOL_MAX + 1])
{
    static const uint8_t lengths[16] = {1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5, 6};
    const unsigned length = lengths[random_below(state, 16)];
    for (unsigned i = 0; i < length; i++)
        symbol[i] = (char)('A' + random_below(state, 26));
    if (length == 6)
        symbol[4] = '.'; /* as in a share of class A */
}

/* Any magnitude up to `bits` bits is as likely as any other. */
static uint32_t random_magnitude(uint64_t *state, uint32_t bits)
{
    const uint32_t magnitude = random_below(state, bits) + 1;
    return 1 + random_below(state, UINT32_C(1) << magnitude);
}

void trades_fill(void)
{
    const uint64_t open_ns = 34200000000000ull; /* 09:30 */
    uint64_t state = 20101224, timestamp_ns = open_ns, order = 1000, match = 100;

    memset(trades, 0, sizeof trades);
    for (size_t i = 0; i < TRADES; i++) {
        struct trade *trade = &trades[i];
        timestamp_ns += random_magnitude(&state, 30);
        order += random_magnitude(&state, 24);
        match += 1 + random_below(&state, 40);
        trade->timestamp_ns = timestamp_ns;
        trade->order = order - random_below(&state, 1000);
        trade->match = match;
        trade->shares = random_below(&state, 2) ? 100 * (1 + random_below(&state, 20))
                                                : random_magnitude(&state, 14);
        trade->price = 10000 + random_magnitude(&state, 23);
        trade->locate = (uint16_t)(1 + random_below(&state, 9000));
        trade->tracking = (uint16_t)(random_below(&state, 2) * random_below(&state, 8));
        trade->side = "BS"[random_below(&state, 2)];
        fill_symbol(&state, trade->symbol);
    }
    const struct trade edges[EDGES] = {
        {.side = 'B', .symbol = "A"},
        {.timestamp_ns = (UINT64_C(1) << 48) - 1,
         .order = INT64_MAX,
         .match = INT64_MAX,
         .shares = UINT32_MAX,
         .price = UINT32_MAX,
         .locate = UINT16_MAX,
         .tracking = UINT16_MAX,
         .side = 'S',
         .symbol = "ABCDEFGH"},
        {.timestamp_ns = 127,
         .order = 128,
         .match = 255,
         .shares = 256,
         .price = 65535,
         .locate = 127,
         .tracking = 128,
         .side = 'S',
         .symbol = "B.A"},
        {.timestamp_ns = 65536,
         .order = UINT32_MAX,
         .match = UINT64_C(1) << 32,
         .shares = 32768,
         .price = 2147483647,
         .locate = 255,
         .tracking = 256,
         .side = 'B',
         .symbol = "QQQQQQQ"},
    };
    memcpy(&trades[TRADES], edges, sizeof edges);
}

bool trade_equal(const struct trade *a, const struct trade *b)
{
    return a->timestamp_ns == b->timestamp_ns && a->order == b->order && a->match == b->match &&
           a->shares == b->shares && a->price == b->price && a->locate == b->locate &&
           a->tracking == b->tracking && a->side == b->side &&
           memcmp(a->symbol, b->symbol, sizeof a->symbol) == 0;
}
