/* SPDX-License-Identifier: MIT */
/*
 * trades [--log DIR] [--count TRADES] [--linger SECONDS] LINE REQUESTS: publishes trades by
 * MoldUDP64 and ITCH 5.0, such as `trades 239.1.1.1:5000 127.0.0.1:5001`. A batch of them is
 * written each ten milliseconds, each trade straight into its place in the packet, and no byte of
 * it is moved again before the kernel sends it. Who missed some asks at REQUESTS for them.
 *
 * With a log kill -9 loses nothing: started again, it goes on where it was.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "leat/feed.h"
#include "leat/itch.h"
#include "leat/leat.h"

enum { BATCH = 100, BATCH_MS = 10 };

static struct {
    const char *line, *requests, *log;
    uint64_t count;
    int linger_s;
} want = {.count = 10000, .linger_s = 3};

/* The trade that the market made up: prices walk, sides take turns. */
static struct leat_itch_message trade_number(uint64_t number)
{
    static const char *const stocks[] = {"LEAT", "MILL", "WEIR", "SLUICE"};
    struct leat_itch_message message = {
        .type = LEAT_ITCH_TRADE,
        .locate = (uint16_t)(1 + number % 4),
        .timestamp_ns = (34200 + number / 10000) * 1000000000 + number % 10000 * 100000,
        .trade = {.order = number,
                  .side = number % 3 ? 'B' : 'S',
                  .shares = (uint32_t)(100 + number * 7 % 900),
                  .price = (uint32_t)(1000000 + number * 37 % 5000 * 100),
                  .match = number},
    };
    snprintf(message.trade.stock, sizeof message.trade.stock, "%s", stocks[number % 4]);
    return message;
}

/* In sequence: the number a subscriber knows it by is also its own. */
static int publish_trade(struct leat_feed_publisher *publisher, uint64_t number)
{
    const struct leat_itch_message trade = trade_number(number);
    const size_t size = leat_itch_size(trade.type);
    void *room;
    int result = leat_feed_reserve(publisher, size, &room);
    while (result == -EAGAIN) { /* the disk is slower than the market */
        result = leat_feed_publisher_wait(publisher, LEAT_FOREVER);
        if (!result)
            result = leat_feed_reserve(publisher, size, &room);
    }
    if (!result)
        result = leat_itch_encode(&trade, room, size);
    if (result < 0)
        return result;
    leat_feed_commit(publisher);
    return 0;
}

static int publish_all(struct leat_feed_publisher *publisher)
{
    struct leat_feed_publisher_stats stats;
    leat_feed_publisher_stats(publisher, &stats);
    uint64_t number = stats.next_sequence;
    printf("session TRADES, from trade %llu on\n", (unsigned long long)number);
    fflush(stdout);
    int64_t next_ns = leat_now_ns();
    int error = 0;
    while (!error && number <= want.count) {
        for (unsigned i = 0; !error && i < BATCH && number <= want.count; i++)
            error = publish_trade(publisher, number++);
        leat_feed_flush(publisher);
        next_ns += BATCH_MS * LEAT_NS_PER_MS;
        if (!error)
            error = leat_sleep_until(next_ns);
    }
    return error ? error : leat_feed_publisher_end(publisher, leat_after_ms(want.linger_s * 1000));
}

static int run(void *arg)
{
    const struct leat_feed_publisher_options options = {.session = "TRADES",
                                                        .lines = {want.line},
                                                        .request_listen = want.requests,
                                                        .log = want.log};
    struct leat_feed_publisher *publisher;
    char reason[256];
    (void)arg;
    int error = leat_feed_publisher_open(&options, &publisher, reason, sizeof reason);
    if (error) {
        fprintf(stderr, "trades: %s\n", reason);
        return error;
    }
    error = publish_all(publisher);
    if (error)
        fprintf(stderr, "trades: %s\n", leat_error_text(error));
    leat_feed_publisher_close(publisher);
    return error;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"log", required_argument, NULL, 'l'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"linger", required_argument, NULL, 'g'},
                                            {0}};
    bool is_right = true;
    for (int flag; (flag = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (flag == 'l')
            want.log = optarg;
        else if (flag == 'c')
            want.count = strtoull(optarg, NULL, 10);
        else if (flag == 'g')
            want.linger_s = atoi(optarg);
        else
            is_right = false;
    }
    if (!is_right || optind != argc - 2) {
        fputs("trades: [--log DIR] [--count TRADES] [--linger SECONDS] LINE REQUESTS\n", stderr);
        return 2;
    }
    want.line = argv[optind];
    want.requests = argv[optind + 1];
    return leat_run(run, NULL, NULL) ? 1 : 0;
}
