/* SPDX-License-Identifier: MIT */
/*
 * Nasdaq TotalView-ITCH 5.0 (specification of April 2023): all of its messages, encoded, decoded,
 * and written as JSON. No input or output, no memory of its own, no state: a message is bytes here
 * and a struct there. Messages travel one by one, or in blocks, as MoldUDP64 has them: a big-endian
 * u16 length before each.
 *
 *     struct leat_itch_message message = {
 *         .type = LEAT_ITCH_TRADE, .locate = 7, .timestamp_ns = now_ns,
 *         .trade = {.side = 'B', .shares = 100, .stock = "LEAT", .price = 123400, .match = 1}};
 *     leat_itch_encode(&message, data, size);
 *
 * What holds:
 * - A message that leat_itch_decode takes is encoded into the same bytes again, and one that
 *   leat_itch_encode takes is decoded into the same values.
 * - Refused is what would not come back so: an unknown type, a length that is not the type's, text
 *   with bytes that are not printable ASCII or that is not left-justified, a side other than B and
 *   S. Numbers are not judged, nor are codes: ITCH 5.0 has been given new ones without a new
 *   version (imbalance direction P in 2023, cross type A in 2022).
 * - Nothing is read or written beyond the sizes that are given.
 */
#ifndef LEAT_ITCH_H
#define LEAT_ITCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "leat/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The tables ------------------------------------------------------------------------------ */

/*
 * Everything is made of these: the structs below, both ways of the codec, JSON, the tables of
 * docs/itch.md, and the tests. A message is MESSAGE(NAME, name, type, size, section, title), a
 * field is FIELD(of, offset, KIND, name, what it is); `of` is handed through, and is mostly the
 * message's name. What the struct has of a kind:
 *
 *     U16 U32 U64     an unsigned integer
 *     U48             six bytes; a uint64_t below 2^48: nanoseconds since midnight
 *     PRICE4 PRICE8   uint32_t, uint64_t: 4 and 8 digits of it are behind the decimal point
 *     ALPHA2 4 8      char [3], [5], [9]: without the spaces that pad it, zeros instead; terminated
 *     CODE            char; ' ' says that there is none
 *     SIDE            char, 'B' or 'S'
 */

/* clang-format off */

/* Every message begins with these 11 bytes. */
#define LEAT_ITCH_HEADER_FIELDS(FIELD, of)                                                         \
    FIELD(of, 0, CODE, type, "Message Type")                                                       \
    FIELD(of, 1, U16, locate, "Stock Locate: the stock's index of this day; 0: of no stock")       \
    FIELD(of, 3, U16, tracking, "Tracking Number: the exchange's own")                             \
    FIELD(of, 5, U48, timestamp_ns, "Timestamp: nanoseconds since midnight")

#define LEAT_ITCH_MESSAGES(MESSAGE)                                                                \
    MESSAGE(SYSTEM_EVENT, system_event, 'S', 12, "1.1", "System Event")                            \
    MESSAGE(STOCK_DIRECTORY, stock_directory, 'R', 39, "1.2.1", "Stock Directory")                 \
    MESSAGE(TRADING_ACTION, trading_action, 'H', 25, "1.2.2", "Stock Trading Action")              \
    MESSAGE(REG_SHO, reg_sho, 'Y', 20, "1.2.3", "Reg SHO Short Sale Price Test Restricted")        \
    MESSAGE(PARTICIPANT, participant, 'L', 26, "1.2.4", "Market Participant Position")             \
    MESSAGE(MWCB_LEVELS, mwcb_levels, 'V', 35, "1.2.5.1", "Market-Wide Circuit Breaker Levels")    \
    MESSAGE(MWCB_STATUS, mwcb_status, 'W', 12, "1.2.5.2", "Market-Wide Circuit Breaker Status")    \
    MESSAGE(QUOTING_PERIOD, quoting_period, 'K', 28, "1.2.6", "IPO Quoting Period Update")         \
    MESSAGE(AUCTION_COLLAR, auction_collar, 'J', 35, "1.2.7", "Limit Up/Down Auction Collar")      \
    MESSAGE(OPERATIONAL_HALT, operational_halt, 'h', 21, "1.2.8", "Operational Halt")              \
    MESSAGE(ADD_ORDER, add_order, 'A', 36, "1.3.1", "Add Order, without attribution")              \
    MESSAGE(ADD_ORDER_MPID, add_order_mpid, 'F', 40, "1.3.2", "Add Order, with attribution")       \
    MESSAGE(EXECUTED, executed, 'E', 31, "1.4.1", "Order Executed")                                \
    MESSAGE(EXECUTED_PRICE, executed_price, 'C', 36, "1.4.2", "Order Executed With Price")         \
    MESSAGE(ORDER_CANCEL, order_cancel, 'X', 23, "1.4.3", "Order Cancel")                          \
    MESSAGE(ORDER_DELETE, order_delete, 'D', 19, "1.4.4", "Order Delete")                          \
    MESSAGE(ORDER_REPLACE, order_replace, 'U', 35, "1.4.5", "Order Replace")                       \
    MESSAGE(TRADE, trade, 'P', 44, "1.5.1", "Trade (non-cross)")                                   \
    MESSAGE(CROSS_TRADE, cross_trade, 'Q', 40, "1.5.2", "Cross Trade")                             \
    MESSAGE(BROKEN_TRADE, broken_trade, 'B', 19, "1.5.3", "Broken Trade")                          \
    MESSAGE(IMBALANCE, imbalance, 'I', 50, "1.6", "Net Order Imbalance Indicator")                 \
    MESSAGE(RETAIL_INTEREST, retail_interest, 'N', 20, "1.7",                                      \
            "Retail Price Improvement Indicator")                                                  \
    MESSAGE(DIRECT_LISTING, direct_listing, 'O', 48, "1.8",                                        \
            "Direct Listing with Capital Raise Price Discovery")

#define LEAT_ITCH_SYSTEM_EVENT_FIELDS(FIELD, of)                                                   \
    FIELD(of, 11, CODE, event, "Event Code: O messages begin, S system hours, Q market hours, "    \
          "M they end, E system hours end, C messages end")

#define LEAT_ITCH_STOCK_DIRECTORY_FIELDS(FIELD, of)                                                \
    FIELD(of, 11, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 19, CODE, market_category, "Market Category: Q G S a tier of Nasdaq; "               \
          "N NYSE, A NYSE American, P NYSE Arca, Z BATS, V IEX")                                   \
    FIELD(of, 20, CODE, financial_status, "Financial Status Indicator: N normal, D deficient, "    \
          "E delinquent, Q bankrupt, S suspended, G H J K several, C creations suspended")         \
    FIELD(of, 21, U32, round_lot_size, "Round Lot Size: in shares")                                \
    FIELD(of, 25, CODE, round_lots_only, "Round Lots Only: Y, N")                                  \
    FIELD(of, 26, CODE, issue_classification, "Issue Classification: appendix D")                  \
    FIELD(of, 27, ALPHA2, issue_sub_type, "Issue Sub-Type: appendix E")                            \
    FIELD(of, 29, CODE, authenticity, "Authenticity: P live, T test")                              \
    FIELD(of, 30, CODE, short_sale_threshold, "Short Sale Threshold Indicator: Y, N")              \
    FIELD(of, 31, CODE, ipo_flag, "IPO Flag: Y, N")                                                \
    FIELD(of, 32, CODE, luld_tier, "LULD Reference Price Tier: 1, 2")                              \
    FIELD(of, 33, CODE, etp_flag, "ETP Flag: Y, N")                                                \
    FIELD(of, 34, U32, etp_leverage_factor, "ETP Leverage Factor: whole, rounded down")            \
    FIELD(of, 38, CODE, inverse, "Inverse Indicator: Y, N")

#define LEAT_ITCH_TRADING_ACTION_FIELDS(FIELD, of)                                                 \
    FIELD(of, 11, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 19, CODE, trading_state, "Trading State: H halted, P paused, Q quotation only, "     \
          "T trading")                                                                             \
    FIELD(of, 20, CODE, reserved, "Reserved")                                                      \
    FIELD(of, 21, ALPHA4, reason, "Reason: appendix C")

#define LEAT_ITCH_REG_SHO_FIELDS(FIELD, of)                                                        \
    FIELD(of, 11, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 19, CODE, action, "Reg SHO Action: 0 no price test, 1 restricted, "                  \
          "2 remains restricted")

#define LEAT_ITCH_PARTICIPANT_FIELDS(FIELD, of)                                                    \
    FIELD(of, 11, ALPHA4, mpid, "MPID: of the market participant")                                 \
    FIELD(of, 15, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 23, CODE, primary_market_maker, "Primary Market Maker: Y, N")                        \
    FIELD(of, 24, CODE, market_maker_mode, "Market Maker Mode: N normal, P passive, S syndicate, " \
          "R pre-syndicate, L penalty")                                                            \
    FIELD(of, 25, CODE, state, "Market Participant State: A active, E excused, W withdrawn, "      \
          "S suspended, D deleted")

#define LEAT_ITCH_MWCB_LEVELS_FIELDS(FIELD, of)                                                    \
    FIELD(of, 11, PRICE8, level1, "Level 1: the index at which it is breached")                    \
    FIELD(of, 19, PRICE8, level2, "Level 2")                                                       \
    FIELD(of, 27, PRICE8, level3, "Level 3")

#define LEAT_ITCH_MWCB_STATUS_FIELDS(FIELD, of)                                                    \
    FIELD(of, 11, CODE, breached_level, "Breached Level: 1, 2, 3")

#define LEAT_ITCH_QUOTING_PERIOD_FIELDS(FIELD, of)                                                 \
    FIELD(of, 11, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 19, U32, release_time_s, "IPO Quotation Release Time: seconds since midnight; "      \
          "0: called off")                                                                         \
    FIELD(of, 23, CODE, release_qualifier, "IPO Quotation Release Qualifier: A anticipated, "      \
          "C called off")                                                                          \
    FIELD(of, 24, PRICE4, price, "IPO Price")

#define LEAT_ITCH_AUCTION_COLLAR_FIELDS(FIELD, of)                                                 \
    FIELD(of, 11, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 19, PRICE4, reference_price, "Auction Collar Reference Price")                       \
    FIELD(of, 23, PRICE4, upper_price, "Upper Auction Collar Price")                               \
    FIELD(of, 27, PRICE4, lower_price, "Lower Auction Collar Price")                               \
    FIELD(of, 31, U32, extension, "Auction Collar Extension: how many there were")

#define LEAT_ITCH_OPERATIONAL_HALT_FIELDS(FIELD, of)                                               \
    FIELD(of, 11, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 19, CODE, market, "Market Code: Q Nasdaq, B BX, X PSX")                              \
    FIELD(of, 20, CODE, action, "Operational Halt Action: H halted, T trading again")

#define LEAT_ITCH_ADD_ORDER_FIELDS(FIELD, of)                                                      \
    FIELD(of, 11, U64, order, "Order Reference Number")                                            \
    FIELD(of, 19, SIDE, side, "Buy/Sell Indicator")                                                \
    FIELD(of, 20, U32, shares, "Shares")                                                           \
    FIELD(of, 24, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 32, PRICE4, price, "Price")

#define LEAT_ITCH_ADD_ORDER_MPID_FIELDS(FIELD, of)                                                 \
    LEAT_ITCH_ADD_ORDER_FIELDS(FIELD, of)                                                          \
    FIELD(of, 36, ALPHA4, attribution, "Attribution: the MPID of the market participant")

#define LEAT_ITCH_EXECUTED_FIELDS(FIELD, of)                                                       \
    FIELD(of, 11, U64, order, "Order Reference Number")                                            \
    FIELD(of, 19, U32, shares, "Executed Shares")                                                  \
    FIELD(of, 23, U64, match, "Match Number")

#define LEAT_ITCH_EXECUTED_PRICE_FIELDS(FIELD, of)                                                 \
    LEAT_ITCH_EXECUTED_FIELDS(FIELD, of)                                                           \
    FIELD(of, 31, CODE, printable, "Printable: N it is part of a later bulk print, Y it is not")   \
    FIELD(of, 32, PRICE4, price, "Execution Price")

#define LEAT_ITCH_ORDER_CANCEL_FIELDS(FIELD, of)                                                   \
    FIELD(of, 11, U64, order, "Order Reference Number")                                            \
    FIELD(of, 19, U32, shares, "Canceled Shares: by so many it becomes smaller")

#define LEAT_ITCH_ORDER_DELETE_FIELDS(FIELD, of)                                                   \
    FIELD(of, 11, U64, order, "Order Reference Number")

#define LEAT_ITCH_ORDER_REPLACE_FIELDS(FIELD, of)                                                  \
    FIELD(of, 11, U64, order, "Original Order Reference Number")                                   \
    FIELD(of, 19, U64, new_order, "New Order Reference Number")                                    \
    FIELD(of, 27, U32, shares, "Shares")                                                           \
    FIELD(of, 31, PRICE4, price, "Price")

#define LEAT_ITCH_TRADE_FIELDS(FIELD, of)                                                          \
    LEAT_ITCH_ADD_ORDER_FIELDS(FIELD, of)                                                          \
    FIELD(of, 36, U64, match, "Match Number")

#define LEAT_ITCH_CROSS_TRADE_FIELDS(FIELD, of)                                                    \
    FIELD(of, 11, U64, shares, "Shares")                                                           \
    FIELD(of, 19, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 27, PRICE4, price, "Cross Price")                                                    \
    FIELD(of, 31, U64, match, "Match Number")                                                      \
    FIELD(of, 39, CODE, cross_type, "Cross Type: O opening, C closing, H of an IPO, a halt or "    \
          "a pause")

#define LEAT_ITCH_BROKEN_TRADE_FIELDS(FIELD, of)                                                   \
    FIELD(of, 11, U64, match, "Match Number: of what is taken back")

#define LEAT_ITCH_IMBALANCE_FIELDS(FIELD, of)                                                      \
    FIELD(of, 11, U64, paired_shares, "Paired Shares")                                             \
    FIELD(of, 19, U64, imbalance_shares, "Imbalance Shares")                                       \
    FIELD(of, 27, CODE, direction, "Imbalance Direction: B buy, S sell, N none, "                  \
          "O too few orders, P paused")                                                            \
    FIELD(of, 28, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 36, PRICE4, far_price, "Far Price: of cross orders alone")                           \
    FIELD(of, 40, PRICE4, near_price, "Near Price: of cross and continuous orders")                \
    FIELD(of, 44, PRICE4, reference_price, "Current Reference Price")                              \
    FIELD(of, 48, CODE, cross_type, "Cross Type: O opening, C closing, H of an IPO, a halt or a "  \
          "pause, A extended trading close")                                                       \
    FIELD(of, 49, CODE, price_variation, "Price Variation Indicator: L below 1 %, 1 to 9, "        \
          "A 10 %, B 20 %, C 30 % or more")

#define LEAT_ITCH_RETAIL_INTEREST_FIELDS(FIELD, of)                                                \
    FIELD(of, 11, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 19, CODE, interest, "Interest Flag: B buy, S sell, A both, N none")

#define LEAT_ITCH_DIRECT_LISTING_FIELDS(FIELD, of)                                                 \
    FIELD(of, 11, ALPHA8, stock, "Stock")                                                          \
    FIELD(of, 19, CODE, open_eligibility, "Open Eligibility Status: Y, N")                         \
    FIELD(of, 20, PRICE4, min_price, "Minimum Allowable Price")                                    \
    FIELD(of, 24, PRICE4, max_price, "Maximum Allowable Price")                                    \
    FIELD(of, 28, PRICE4, near_price, "Near Execution Price")                                      \
    FIELD(of, 32, U64, near_time, "Near Execution Time: when that was set")                        \
    FIELD(of, 40, PRICE4, lower_price, "Lower Price Range Collar")                                 \
    FIELD(of, 44, PRICE4, upper_price, "Upper Price Range Collar")

/* What a struct has of a field, by its kind. */
#define LEAT_ITCH_MEMBER(of, offset, kind, name, what) LEAT_ITCH_MEMBER_##kind(name)
#define LEAT_ITCH_MEMBER_U16(name) uint16_t name;
#define LEAT_ITCH_MEMBER_U32(name) uint32_t name;
#define LEAT_ITCH_MEMBER_U48(name) uint64_t name;
#define LEAT_ITCH_MEMBER_U64(name) uint64_t name;
#define LEAT_ITCH_MEMBER_PRICE4(name) uint32_t name;
#define LEAT_ITCH_MEMBER_PRICE8(name) uint64_t name;
#define LEAT_ITCH_MEMBER_ALPHA2(name) char name[2 + 1];
#define LEAT_ITCH_MEMBER_ALPHA4(name) char name[4 + 1];
#define LEAT_ITCH_MEMBER_ALPHA8(name) char name[8 + 1];
#define LEAT_ITCH_MEMBER_CODE(name) char name;
#define LEAT_ITCH_MEMBER_SIDE(name) char name;

/* ---- Messages -------------------------------------------------------------------------------- */

/* LEAT_ITCH_TRADE = 'P' … */
enum leat_itch_type {
#define LEAT_ITCH_TYPE(NAME, name, type, size, section, title) LEAT_ITCH_##NAME = type,
    LEAT_ITCH_MESSAGES(LEAT_ITCH_TYPE)
#undef LEAT_ITCH_TYPE
};

/* struct leat_itch_trade { uint64_t order; char side; uint32_t shares; char stock[9]; … }; */
#define LEAT_ITCH_STRUCT(NAME, name, type, size, section, title)                                   \
    struct leat_itch_##name {                                                                      \
        LEAT_ITCH_##NAME##_FIELDS(LEAT_ITCH_MEMBER, name)                                          \
    };
LEAT_ITCH_MESSAGES(LEAT_ITCH_STRUCT)
#undef LEAT_ITCH_STRUCT

/* 64 bytes: type, locate, tracking, timestamp_ns, and of the union its type's own: message.trade,
 * message.add_order … Many of them are worked at quickest where they begin at a multiple of 64. */
struct leat_itch_message {
    LEAT_ITCH_HEADER_FIELDS(LEAT_ITCH_MEMBER, message)
    union {
#define LEAT_ITCH_UNION(NAME, name, type, size, section, title) struct leat_itch_##name name;
        LEAT_ITCH_MESSAGES(LEAT_ITCH_UNION)
#undef LEAT_ITCH_UNION
    };
};

/* clang-format on */

enum {
    LEAT_ITCH_HEADER_SIZE = 11,
    LEAT_ITCH_SIZE_MIN = 12,
    LEAT_ITCH_SIZE_MAX = 50,
    LEAT_ITCH_BLOCK_MAX = 2 + LEAT_ITCH_SIZE_MAX, /* with its length before it */
    LEAT_ITCH_JSON_SIZE = 512,                    /* the longest text, and a zero behind it */
};

/* The bytes of every message of this type, 12 to 50; 0: there is no such type. */
size_t leat_itch_size(char type);

/* What this type is called in its struct and in JSON: "trade". NULL: there is no such type. */
const char *leat_itch_name(char type);

/* ---- One message ----------------------------------------------------------------------------- */

/* The bytes written. -EINVAL: the message cannot be said (see above; a timestamp of 2^48 or more);
 * -ENOBUFS: `size` is less than leat_itch_size(message->type). What is in `data` after an error is
 * not defined. */
int leat_itch_encode(const struct leat_itch_message *message, void *data, size_t size);

/* 0, or -LEAT_E_MALFORMED. `message` is the whole of one, without a length before it. Of the union,
 * the type's own struct is filled in; ret_message may not overlap the bytes. */
int leat_itch_decode(struct leat_slice message, struct leat_itch_message *ret_message);

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* Writes messages, a length before each, until `count` are written or one has no room or cannot be
 * said: how many, and their bytes in *ret_size. When that is the first one, -ENOBUFS or -EINVAL.
 * What is in `data` behind them is not defined. */
ssize_t leat_itch_encode_blocks(const struct leat_itch_message *messages, size_t count, void *data,
                                size_t size, size_t *ret_size);

/* Takes up to `count_max` messages off the front of *blocks: how many, which is less only at the
 * end, and before a message that is refused or reaches beyond the end. When that is the first one,
 * -LEAT_E_MALFORMED, and *blocks stays: leat_feed_next passes a single message over. What is in
 * ret_messages behind those that are counted is not defined. */
ssize_t leat_itch_decode_blocks(struct leat_slice *blocks, struct leat_itch_message *ret_messages,
                                size_t count_max);

/* ---- Text ------------------------------------------------------------------------------------ */

/* A JSON object (RFC 8259) on one line, without a line end, terminated:
 *
 *     {"type":"P","name":"trade","locate":7,…,"stock":"LEAT","price":12.3400,"match":1}
 *
 * Prices are numbers with all of their 4 or 8 decimals, times are integers as they came; 64-bit
 * numbers are exact in the text, but not in readers that have doubles alone. Its length, without
 * the zero. -EINVAL: as leat_itch_encode; -ENOBUFS: `size` is below LEAT_ITCH_JSON_SIZE, which is
 * always enough, and asked for. */
int leat_itch_to_json(const struct leat_itch_message *message, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
