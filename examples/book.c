/* SPDX-License-Identifier: MIT */
/*
 * book [--depth LEVELS] [--every MESSAGES] FILE|-
 * book [--depth LEVELS] [--every MESSAGES] --line ADDR [--line ADDR] [--request ADDR]
 *
 * Keeps the order books of all stocks from ITCH 5.0, and prints the best prices of each: from a
 * recording, a big-endian u16 length before each message, or straight from a feed.
 *
 *     orders: one open hash table, reference -> stock, side, price, shares
 *     books:  by stock locate; a side is an array of price levels, the best one last
 *
 * An order's later messages name it by its reference alone, so that every message costs one look
 * into the table, and one at the end of an array: nearly all that happens happens near the best
 * price. No pointer is followed, nothing is allocated for a message once the tables have grown.
 *
 * What makes no sense is counted, never believed: `unknown` orders, a `duplicate` reference, more
 * taken than there was (`beyond`: the order is gone), `empty` ones of no shares, `malformed`
 * messages, orders `refused` for want of room.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/feed.h"
#include "leat/itch.h"
#include "leat/leat.h"

enum {
    STOCKS = 1 << 16,
    LEVELS_MAX = 1 << 16, /* of a side */
    ORDERS_FIRST = 1 << 12,
    ORDERS_MAX = 1 << 25, /* the table; half of it may be used */
    DECODED = 64,
    READ_SIZE = 1 << 20,
};

enum { BUY, SELL };

struct order {
    uint64_t reference;
    uint32_t shares; /* 0: nobody has this place */
    uint32_t key;
    uint16_t locate;
    uint8_t side;
};

/* A key is a price by which a greater one is a better one: of what is sold, all bits turned. */
struct level {
    uint32_t key, orders;
    uint64_t shares;
};

struct side {
    struct level *levels; /* keys rise: the best is the last */
    unsigned count, capacity;
};

struct stock {
    char name[9]; /* empty: nothing was heard of it */
    struct side sides[2];
};

static struct stock stocks[STOCKS];

static struct {
    struct order *places;
    size_t mask, count;
    unsigned shift; /* of a hash, to the table's size */
} orders;

static struct {
    uint64_t messages, unknown, duplicate, beyond, empty, malformed, refused;
} counted;

static struct {
    unsigned depth;
    uint64_t every;
    const char *file, *lines[LEAT_FEED_LINES_MAX], *request;
} want = {.depth = 1};

static uint32_t price_of(uint32_t key, int side)
{
    return side == BUY ? key : ~key;
}

/* ---- Orders ---------------------------------------------------------------------------------- */

/* Fibonacci hashing: references mostly count up, and so spread evenly. */
static size_t home(uint64_t reference)
{
    return (size_t)(reference * 0x9e3779b97f4a7c15ull >> orders.shift);
}

/* The order's place, or the free one where it would be. */
static struct order *find(uint64_t reference)
{
    size_t at = home(reference);
    while (orders.places[at].shares != 0 && orders.places[at].reference != reference)
        at = (at + 1) & orders.mask;
    return &orders.places[at];
}

static int grow_orders(void)
{
    const size_t size = orders.places ? 2 * (orders.mask + 1) : ORDERS_FIRST;
    struct order *old = orders.places;
    const size_t old_size = old ? orders.mask + 1 : 0;
    struct order *places = size <= ORDERS_MAX ? calloc(size, sizeof *places) : NULL;
    if (!places)
        return -ENOMEM;
    orders.places = places;
    orders.mask = size - 1;
    orders.shift = 64 - (unsigned)__builtin_ctzll(size);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].shares != 0)
            *find(old[i].reference) = old[i];
    free(old);
    return 0;
}

/* Those behind it that would rather be nearer to their home move up: the table knows no tombs. */
static void forget(struct order *order)
{
    size_t hole = (size_t)(order - orders.places);
    for (size_t at = hole;;) {
        at = (at + 1) & orders.mask;
        if (orders.places[at].shares == 0)
            break;
        const size_t from_home = (at - home(orders.places[at].reference)) & orders.mask;
        if (from_home < ((at - hole) & orders.mask))
            continue;
        orders.places[hole] = orders.places[at];
        hole = at;
    }
    orders.places[hole].shares = 0;
    orders.count--;
}

/* ---- Levels ---------------------------------------------------------------------------------- */

/* Where the key is, or would be: in strides that double, from the best one on, then by halves. */
static unsigned level_at(const struct side *side, uint32_t key)
{
    unsigned high = side->count, stride = 1;
    while (stride <= high && side->levels[high - stride].key >= key) {
        high -= stride;
        stride *= 2;
    }
    unsigned low = stride <= high ? high - stride + 1 : 0;
    while (low < high) {
        const unsigned middle = (low + high) / 2;
        if (side->levels[middle].key >= key)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The level of this key, made when it is not there. NULL: no room. */
static struct level *take_level(struct side *side, uint32_t key)
{
    const unsigned at = level_at(side, key);
    if (at < side->count && side->levels[at].key == key)
        return &side->levels[at];
    if (side->count == side->capacity) {
        const unsigned capacity = side->capacity ? 2 * side->capacity : 16;
        struct level *levels =
            capacity <= LEVELS_MAX ? realloc(side->levels, capacity * sizeof *levels) : NULL;
        if (!levels)
            return NULL;
        side->levels = levels;
        side->capacity = capacity;
    }
    struct level *level = &side->levels[at];
    memmove(level + 1, level, (side->count - at) * sizeof *level);
    *level = (struct level){.key = key};
    side->count++;
    return level;
}

/* The order is smaller by so many shares; with the last of them it is gone. */
static void shrink(struct order *order, uint32_t shares)
{
    struct side *side = &stocks[order->locate].sides[order->side];
    const unsigned at = level_at(side, order->key);
    struct level *level = &side->levels[at];
    assert(at < side->count && level->key == order->key && level->shares >= shares);
    level->shares -= shares;
    order->shares -= shares;
    if (order->shares > 0)
        return;
    forget(order);
    if (--level->orders > 0)
        return;
    assert(level->shares == 0);
    side->count--;
    memmove(level, level + 1, (side->count - at) * sizeof *level);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void add(uint64_t reference, uint16_t locate, int side, uint32_t shares, uint32_t price)
{
    if (shares == 0) {
        counted.empty++;
        return;
    }
    if (2 * orders.count >= orders.mask && grow_orders() != 0) {
        counted.refused++;
        return;
    }
    struct order *order = find(reference);
    if (order->shares != 0) {
        counted.duplicate++;
        return;
    }
    const uint32_t key = side == BUY ? price : ~price;
    struct level *level = take_level(&stocks[locate].sides[side], key);
    if (!level) {
        counted.refused++;
        return;
    }
    level->orders++;
    level->shares += shares;
    *order = (struct order){reference, shares, key, locate, (uint8_t)side};
    orders.count++;
}

/* NULL, and counted: nobody knows it. */
static struct order *known(uint64_t reference)
{
    struct order *order = find(reference);
    if (order->shares != 0)
        return order;
    counted.unknown++;
    return NULL;
}

static void reduce(uint64_t reference, uint32_t shares)
{
    struct order *order = known(reference);
    if (!order)
        return;
    if (shares == 0)
        counted.empty++;
    if (shares > order->shares) {
        counted.beyond++;
        shares = order->shares;
    }
    shrink(order, shares);
}

/* The new order is of the old one's stock and side, and has its own reference. */
static void replace(const struct leat_itch_order_replace *message)
{
    struct order *order = known(message->order);
    if (!order)
        return;
    const uint16_t locate = order->locate;
    const int side = order->side;
    shrink(order, order->shares);
    add(message->new_order, locate, side, message->shares, message->price);
}

static void name(uint16_t locate, const char stock[9])
{
    memcpy(stocks[locate].name, stock, sizeof stocks[locate].name);
}

static void add_order(const struct leat_itch_message *message)
{
    const struct leat_itch_add_order *order = &message->add_order;
    if (!stocks[message->locate].name[0])
        name(message->locate, order->stock);
    add(order->order, message->locate, order->side == 'B' ? BUY : SELL, order->shares,
        order->price);
}

static void apply(const struct leat_itch_message *message)
{
    switch (message->type) {
    case LEAT_ITCH_STOCK_DIRECTORY: name(message->locate, message->stock_directory.stock); break;
    case LEAT_ITCH_ADD_ORDER_MPID: /* begins like the other */
    case LEAT_ITCH_ADD_ORDER: add_order(message); break;
    case LEAT_ITCH_EXECUTED_PRICE: /* begins like the other */
    case LEAT_ITCH_EXECUTED: reduce(message->executed.order, message->executed.shares); break;
    case LEAT_ITCH_ORDER_CANCEL:
        reduce(message->order_cancel.order, message->order_cancel.shares);
        break;
    case LEAT_ITCH_ORDER_DELETE: {
        struct order *order = known(message->order_delete.order);
        if (order)
            shrink(order, order->shares);
        break;
    }
    case LEAT_ITCH_ORDER_REPLACE: replace(&message->order_replace); break;
    default: break; /* of no order in a book */
    }
}

/* ---- What is shown --------------------------------------------------------------------------- */

static void print_cell(const struct side *side, unsigned row, int which)
{
    if (row >= side->count) {
        printf("%30s", "-");
        return;
    }
    const struct level *level = &side->levels[side->count - 1 - row];
    const uint32_t price = price_of(level->key, which);
    printf("%6" PRIu32 " %10" PRIu64 " %7" PRIu32 ".%04" PRIu32, level->orders, level->shares,
           price / 10000, price % 10000);
}

/* Orders, shares and price of each level: what is bought on the left, what is sold on the right. */
static void print_books(void)
{
    printf("after %" PRIu64 " messages\n", counted.messages);
    for (unsigned locate = 0; locate < STOCKS; locate++) {
        const struct stock *stock = &stocks[locate];
        const struct side *buy = &stock->sides[BUY], *sell = &stock->sides[SELL];
        const unsigned rows = buy->count > sell->count ? buy->count : sell->count;
        for (unsigned row = 0; stock->name[0] && (row == 0 || row < rows) && row < want.depth;
             row++) {
            printf("%-8s ", stock->name);
            print_cell(buy, row, BUY);
            printf(" | ");
            print_cell(sell, row, SELL);
            printf("\n");
        }
    }
    fflush(stdout);
}

static void print_end(void)
{
    if (!want.every || counted.messages % want.every)
        print_books();
    printf("unknown %" PRIu64 ", duplicate %" PRIu64 ", beyond %" PRIu64 ", empty %" PRIu64
           ", malformed %" PRIu64 ", refused %" PRIu64 "\n",
           counted.unknown, counted.duplicate, counted.beyond, counted.empty, counted.malformed,
           counted.refused);
}

static void count_message(void)
{
    counted.messages++;
    if (want.every && counted.messages % want.every == 0)
        print_books();
}

/* Whole messages, with their lengths. */
static void apply_blocks(struct leat_slice blocks)
{
    static struct leat_itch_message messages[DECODED];
    struct leat_slice refused;
    while (blocks.size > 0) {
        const ssize_t count = leat_itch_decode_blocks(&blocks, messages, DECODED);
        for (ssize_t i = 0; i < count; i++) {
            apply(&messages[i]);
            count_message();
        }
        if (count < 0 && leat_feed_next(&blocks, &refused)) {
            counted.malformed++;
            count_message();
        }
    }
}

/* ---- Where they come from -------------------------------------------------------------------- */

static int read_file(FILE *file)
{
    static char data[READ_SIZE];
    size_t have = 0, size, used;
    while ((size = fread(data + have, 1, sizeof data - have, file)) > 0) {
        have += size;
        leat_feed_blocks_check((struct leat_slice){data, have}, &used);
        apply_blocks((struct leat_slice){data, used});
        have -= used;
        memmove(data, data + used, have);
    }
    if (ferror(file))
        return -EIO;
    return have > 0 ? -LEAT_E_MALFORMED : 0; /* it ends in the middle of a message */
}

static int on_batch(const struct leat_feed_batch *batch, void *user)
{
    (void)user;
    apply_blocks(batch->blocks);
    return 0;
}

/* From the first message of the session to the last: a book with a hole would be a wrong one, so
 * what is lost for good is the end (-ENODATA). */
static int follow(void *arg)
{
    const struct leat_feed_subscriber_options options = {.lines = {want.lines[0], want.lines[1]},
                                                         .request = want.request,
                                                         .from = 1,
                                                         .on_batch = on_batch};
    struct leat_feed_subscriber *subscriber;
    char reason[256] = "";
    (void)arg;
    int error = leat_feed_subscriber_open(&options, &subscriber, reason, sizeof reason);
    if (error) {
        fprintf(stderr, "book: %s\n", reason);
        return error;
    }
    error = leat_feed_subscriber_run(subscriber, LEAT_FOREVER);
    leat_feed_subscriber_close(subscriber);
    return error;
}

static int read_named(const char *path)
{
    const bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rb");
    if (!file)
        return -errno;
    const int error = read_file(file);
    if (!is_input)
        fclose(file);
    return error;
}

static bool parse(int argc, char **argv)
{
    static const struct option options[] = {{"depth", required_argument, NULL, 'd'},
                                            {"every", required_argument, NULL, 'e'},
                                            {"line", required_argument, NULL, 'l'},
                                            {"request", required_argument, NULL, 'r'},
                                            {0}};
    unsigned lines = 0;
    for (int flag; (flag = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (flag == 'd' && strtoul(optarg, NULL, 10) > 0)
            want.depth = (unsigned)strtoul(optarg, NULL, 10);
        else if (flag == 'e' && strtoull(optarg, NULL, 10) > 0)
            want.every = strtoull(optarg, NULL, 10);
        else if (flag == 'l' && lines < LEAT_FEED_LINES_MAX)
            want.lines[lines++] = optarg;
        else if (flag == 'r')
            want.request = optarg;
        else
            return false;
    }
    want.file = lines == 0 && optind == argc - 1 ? argv[optind] : NULL;
    return want.file || (lines > 0 && optind == argc);
}

int main(int argc, char **argv)
{
    if (!parse(argc, argv)) {
        fputs("book: [--depth LEVELS] [--every MESSAGES] "
              "FILE|- | --line ADDR [--line ADDR] [--request ADDR]\n",
              stderr);
        return 2;
    }
    int error = grow_orders();
    if (!error)
        error = want.file ? read_named(want.file) : leat_run(follow, NULL, NULL);
    if (error)
        fprintf(stderr, "book: %s\n", leat_error_text(error));
    print_end();
    return error ? 1 : 0;
}
