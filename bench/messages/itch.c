/* SPDX-License-Identifier: MIT */
/*
 * The limits: a trade as the exchange itself sends it, laid out by hand (Nasdaq TotalView-ITCH 5.0,
 * 1.5.1 "Trade Message (Non-Cross)"), and no format at all, the struct copied.
 *
 *     0 'P'   1 locate   3 tracking   5 timestamp (6 bytes)   11 order   19 side   20 shares
 *     24 stock, padded with spaces (8 bytes)   32 price   36 match number           all big-endian
 */
#include "messages.h"

#include <assert.h>
#include <endian.h>

enum { ITCH_SIZE = 44 };

static const uint64_t ONES = 0x0101010101010101ull, HIGHS = 0x8080808080808080ull;

static void store16(uint8_t *to, uint16_t value)
{
    value = htobe16(value);
    memcpy(to, &value, sizeof value);
}

static void store32(uint8_t *to, uint32_t value)
{
    value = htobe32(value);
    memcpy(to, &value, sizeof value);
}

static void store64(uint8_t *to, uint64_t value)
{
    value = htobe64(value);
    memcpy(to, &value, sizeof value);
}

static uint16_t load16(const uint8_t *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return be16toh(value);
}

static uint32_t load32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return be32toh(value);
}

static uint64_t load64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return be64toh(value);
}

/* 0x80 in each byte of `word` that is zero. Exact for ASCII, that is for bytes below 0x80. */
static uint64_t zero_bytes(uint64_t word)
{
    return ~(word + (HIGHS - ONES)) & HIGHS;
}

int itch_encode(const struct trade *trade, uint8_t *buffer, size_t size)
{
    assert(trade->side == 'B' || trade->side == 'S');
    assert(trade->timestamp_ns >> 48 == 0);
    if (size < ITCH_SIZE)
        return -ENOBUFS;
    uint64_t symbol;
    memcpy(&symbol, trade->symbol, sizeof symbol);
    symbol |= zero_bytes(symbol) >> 2; /* zeros become spaces: 0x80 >> 2 is ' ' */
    buffer[0] = 'P';
    store16(buffer + 1, trade->locate);
    store64(buffer + 3, (uint64_t)trade->tracking << 48 | trade->timestamp_ns);
    store64(buffer + 11, trade->order);
    buffer[19] = (uint8_t)trade->side;
    store32(buffer + 20, trade->shares);
    memcpy(buffer + 24, &symbol, sizeof symbol);
    store32(buffer + 32, trade->price);
    store64(buffer + 36, trade->match);
    return ITCH_SIZE;
}

int itch_decode(const uint8_t *message, size_t size, struct trade *ret_trade)
{
    if (size != ITCH_SIZE || message[0] != 'P' || (message[19] != 'B' && message[19] != 'S'))
        return -EBADMSG;
    uint64_t symbol;
    memcpy(&symbol, message + 24, sizeof symbol);
    if ((symbol & HIGHS) != 0)
        return -EBADMSG;
    const uint64_t mixed = load64(message + 3);
    ret_trade->locate = load16(message + 1);
    ret_trade->tracking = (uint16_t)(mixed >> 48);
    ret_trade->timestamp_ns = mixed & 0xffffffffffffull;
    ret_trade->order = load64(message + 11);
    ret_trade->side = (char)message[19];
    ret_trade->shares = load32(message + 20);
    symbol ^= zero_bytes(symbol ^ (ONES * ' ')) >> 2; /* spaces become zeros */
    memcpy(ret_trade->symbol, &symbol, sizeof symbol);
    ret_trade->symbol[SYMBOL_MAX] = '\0';
    ret_trade->price = load32(message + 32);
    ret_trade->match = load64(message + 36);
    return 0;
}

const char *itch_version(void)
{
    return "5.0";
}

int copy_encode(const struct trade *trade, uint8_t *buffer, size_t size)
{
    if (size < sizeof *trade)
        return -ENOBUFS;
    memcpy(buffer, trade, sizeof *trade);
    return sizeof *trade;
}

int copy_decode(const uint8_t *message, size_t size, struct trade *ret_trade)
{
    if (size != sizeof *ret_trade)
        return -EBADMSG;
    memcpy(ret_trade, message, sizeof *ret_trade);
    return 0;
}
