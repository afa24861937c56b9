/* SPDX-License-Identifier: MIT */
/*
 * A feed: a publisher whose network loses, doubles and disorders packets, whose disk is slow and
 * fills up, and which goes down, or is killed, and comes back; subscribers that come early or late.
 * Each of them gets every message, in sequence, once, with the bytes it was published with; and a
 * number is never given out twice.
 */
#include <stdio.h>

#include "leat/feed.h"
#include "fiber/fiber.h"
#include "harness.h"
#include "leat/error.h"

enum {
    SUBSCRIBERS_MAX = 3,
    MESSAGES_MAX = 3000,
    MESSAGE_SIZE_MAX = 1400 - LEAT_FEED_OVERHEAD,
    BLOCKS_MAX = 60,
    SETTLE_MS = 60000,
};

struct feed {
    struct sim_run *run;
    struct leat_feed_publisher_options options;
    struct leat_feed_publisher *publisher;
    char request[LEAT_ADDRESS_TEXT_SIZE];
    unsigned process; /* the publisher's, of those that may be killed */
    bool is_opening;
    size_t message_size_max;
    uint64_t message_count, published; /* the last number that was given out */
    unsigned subscriber_count, done_count;
};

struct follower {
    struct feed *feed;
    struct leat_feed_subscriber_options options;
    uint64_t first, next; /* sequences: 0: not known yet */
    int64_t join_ms;
};

/* A message says which it is: its size and bytes follow from its number. */
static size_t message_of(const struct feed *feed, uint64_t sequence, uint8_t *ret_bytes)
{
    uint64_t word = random_mix(sequence);
    const size_t size = 1 + word % feed->message_size_max;
    for (size_t i = 0; i < size; i++) {
        ret_bytes[i] = (uint8_t)word;
        word = random_mix(word + i);
    }
    return size;
}

/* ---- Publishing ------------------------------------------------------------------------------ */

static void open_publisher(struct feed *feed)
{
    struct sim_run *run = feed->run;
    char reason[256];
    int error;
    feed->is_opening = true;
    sim_set_process(run->sim, ++feed->process);
    while ((error = leat_feed_publisher_open(&feed->options, &feed->publisher, reason,
                                             sizeof reason)) != 0) {
        /* For a while: a world that lives too long has failed. */
        CHECK(run, error == -EAGAIN || error == -ENOSPC || may_lack(run) ||
                       (error == -EIO && run->profile->read_error > 0));
        CHECK(run, leat_sleep_ms(10) == 0);
    }
    sim_set_process(run->sim, 0);
    feed->is_opening = false;
    struct leat_feed_publisher_stats stats;
    struct leat_address address;
    leat_feed_publisher_stats(feed->publisher, &stats);
    CHECK(run, stats.next_sequence == feed->published + 1);
    CHECK(run, leat_feed_publisher_request_address(feed->publisher, &address) == 0);
    leat_address_format(&address, feed->request);
    feed->options.request_listen = feed->request;
}

/* Errors say why there is none yet. */
static void wait_for_room(struct feed *feed)
{
    const int error = leat_feed_publisher_wait(feed->publisher, leat_after_ms(SETTLE_MS));
    CHECK(feed->run, error != -ETIMEDOUT);
}

static void publish_one(struct feed *feed)
{
    struct sim_run *run = feed->run;
    uint8_t bytes[MESSAGE_SIZE_MAX];
    const size_t size = message_of(feed, feed->published + 1, bytes);
    uint64_t sequence = 0;
    int error;
    while ((error = leat_feed_publish(feed->publisher, (struct leat_slice){(char *)bytes, size},
                                      &sequence)) != 0) {
        CHECK(run, error == -EAGAIN || error == -ENOSPC || may_lack(run));
        wait_for_room(feed);
    }
    CHECK(run, sequence == ++feed->published);
}

static void publish_blocks(struct feed *feed, uint64_t count)
{
    struct sim_run *run = feed->run;
    static uint8_t blocks[BLOCKS_MAX * (2 + MESSAGE_SIZE_MAX)];
    size_t size = 0, taken = 0;
    for (uint64_t i = 0; i < count; i++) {
        const size_t message = message_of(feed, feed->published + 1 + i, blocks + size + 2);
        blocks[size] = (uint8_t)(message >> 8);
        blocks[size + 1] = (uint8_t)message;
        size += 2 + message;
    }
    for (size_t done = 0; done < size; done += taken) {
        const struct leat_slice rest = {(char *)blocks + done, size - done};
        const int result = leat_feed_publish_blocks(feed->publisher, rest, &taken);
        if (result < 0) {
            CHECK(run, result == -EAGAIN || result == -ENOSPC || may_lack(run));
            wait_for_room(feed);
            taken = 0;
        } else {
            feed->published += (uint64_t)result;
        }
    }
}

static void publish_some(struct feed *feed)
{
    struct sim_run *run = feed->run;
    const uint64_t left = feed->message_count - feed->published;
    uint64_t count = draw(run, 1, BLOCKS_MAX);
    count = count < left ? count : left;
    if (draw_chance(run, 50)) {
        publish_blocks(feed, count);
    } else {
        for (uint64_t i = 0; i < count; i++)
            publish_one(feed);
    }
    if (draw_chance(run, 30))
        leat_feed_flush(feed->publisher);
    if (feed->options.is_durable && draw_chance(run, 20)) {
        const int error =
            leat_feed_publisher_sync(feed->publisher, feed->published, leat_after_ms(SETTLE_MS));
        CHECK(run, error == 0 || may_lack(run));
    }
    if (draw_chance(run, 40))
        CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 20)) == 0);
}

static void empty_disk(struct sim *sim, void *user)
{
    sim_disk_bound(sim, (size_t)1 << 40);
}

static void publish(void *arg)
{
    struct feed *feed = arg;
    struct sim_run *run = feed->run;
    while (feed->published < feed->message_count) {
        publish_some(feed);
        if (draw_chance(run, 2)) {
            sim_disk_bound(run->sim, draw(run, 0, 100000));
            sim_at(run->sim, sim_now_ns(run->sim) + (int64_t)draw(run, 0, 5000) * LEAT_NS_PER_MS,
                   empty_disk, NULL);
        }
        if (feed->options.log && draw_chance(run, 2)) {
            if (draw_chance(run, 50))
                sim_kill(run->sim, feed->process);
            leat_feed_publisher_close(feed->publisher);
            if (draw_chance(run, 50))
                CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 500)) == 0);
            open_publisher(feed);
        }
    }
    while (feed->done_count < feed->subscriber_count) {
        const int error = leat_feed_publisher_end(feed->publisher, leat_after_ms(500));
        CHECK(run, error == 0 || error == -ETIMEDOUT);
    }
    leat_feed_publisher_close(feed->publisher);
}

/* ---- Following ------------------------------------------------------------------------------- */

static int on_batch(const struct leat_feed_batch *batch, void *user)
{
    struct follower *follower = user;
    struct sim_run *run = follower->feed->run;
    struct leat_slice blocks = batch->blocks, message;
    uint64_t sequence = batch->sequence;
    if (follower->next == 0)
        follower->first = follower->next = sequence;
    CHECK(run, sequence == follower->next);
    while (leat_feed_next(&blocks, &message)) {
        uint8_t expected[MESSAGE_SIZE_MAX];
        const size_t size = message_of(follower->feed, sequence++, expected);
        CHECK(run, message.size == size && memcmp(message.data, expected, size) == 0);
    }
    CHECK(run, sequence == batch->sequence + batch->count && blocks.size == 0);
    CHECK(run, sequence <= follower->feed->published + 1);
    follower->next = sequence;
    return 0;
}

static void follow(void *arg)
{
    struct follower *follower = arg;
    struct feed *feed = follower->feed;
    struct sim_run *run = feed->run;
    struct leat_feed_subscriber *subscriber;
    struct leat_feed_subscriber_stats stats;
    char reason[256];
    CHECK(run, leat_sleep_ms(follower->join_ms) == 0);
    follower->options.request = feed->request;
    int error = -EAGAIN;
    while (error) {
        /* What is opened while the publisher opens would die with it. */
        if (!feed->is_opening)
            error =
                leat_feed_subscriber_open(&follower->options, &subscriber, reason, sizeof reason);
        CHECK(run, error == 0 || error == -EAGAIN || may_lack(run));
        CHECK(run, error == 0 || leat_sleep_ms(10) == 0);
    }
    CHECK(run, leat_feed_subscriber_run(subscriber, LEAT_FOREVER) == 0);
    CHECK(run, follower->next == 0 || follower->next == feed->message_count + 1);
    leat_feed_subscriber_stats(subscriber, &stats);
    CHECK(run, stats.is_ended && stats.lost_messages == 0);
    CHECK(run, stats.next_sequence == feed->message_count + 1);
    if (follower->options.from == 1)
        CHECK(run, follower->first == 1 && stats.messages == feed->message_count);
    leat_feed_subscriber_close(subscriber);
    feed->done_count++;
}

/* ---- The world ------------------------------------------------------------------------------- */

static void draw_publisher(struct feed *feed)
{
    struct sim_run *run = feed->run;
    feed->message_count = draw(run, 1, MESSAGES_MAX);
    feed->options = (struct leat_feed_publisher_options){
        .session = "SIM",
        .lines = {"239.1.1.1:5000", draw_chance(run, 50) ? "239.1.1.2:5001" : NULL},
        .request_listen = "127.0.0.1:6000",
        .log = draw_chance(run, 80) ? "log" : NULL,
        .segment_size = 1 << 18,
        .is_durable = draw_chance(run, 30),
        .packet_size = draw(run, LEAT_FEED_PACKET_SIZE_MIN, 1400),
        .flush_bytes = draw(run, 1, 10000),
        .flush_messages = draw_chance(run, 50) ? (unsigned)draw(run, 1, 100) : 0,
        .flush_us = (unsigned)draw(run, 1, 5000),
        .heartbeat_ms = (unsigned)draw(run, 100, 2000),
        .request_packets = (unsigned)draw(run, 1, 40),
    };
    /* Many segments, or one. Memory has two, and forgets what does not fit them. */
    feed->message_size_max =
        feed->options.log ? draw(run, 1, feed->options.packet_size - LEAT_FEED_OVERHEAD) : 40;
}

static void draw_follower(struct feed *feed, struct follower *follower)
{
    struct sim_run *run = feed->run;
    *follower =
        (struct follower){.feed = feed,
                          .join_ms = draw_chance(run, 60) ? 1 : (int64_t)draw(run, 1, 2000),
                          .options = {.lines = {feed->options.lines[0], feed->options.lines[1]},
                                      .session = draw_chance(run, 50) ? "SIM" : NULL,
                                      .from = draw_chance(run, 80) ? 1 : LEAT_FEED_FROM_NOW,
                                      .window_packets = (unsigned)draw(run, 4, 100),
                                      .window_us = (unsigned)draw(run, 1, 20000),
                                      .request_ms = (unsigned)draw(run, 1, 200),
                                      .request_tries = 1000,
                                      .on_batch = on_batch,
                                      .user = follower}};
}

struct feed_world {
    struct feed feed;
    struct follower followers[SUBSCRIBERS_MAX];
};

static void feed_main(void *arg)
{
    struct feed_world *world = arg;
    struct feed *feed = &world->feed;
    struct sim_run *run = feed->run;
    struct leat_scope scope;
    leat_scope_init(&scope);
    open_publisher(feed);
    for (unsigned i = 0; i < feed->subscriber_count; i++)
        CHECK(run, leat_spawn(&scope, follow, &world->followers[i], NULL) == 0);
    CHECK(run, leat_spawn(&scope, publish, feed, NULL) == 0);
    CHECK(run, leat_scope_join(&scope, LEAT_FOREVER) == 0);
    leat_scope_fini(&scope);
}

static void run_feed(struct sim_run *run)
{
    struct feed_world *world = calloc(1, sizeof *world);
    CHECK(run, world);
    world->feed.run = run;
    draw_publisher(&world->feed);
    world->feed.subscriber_count = (unsigned)draw(run, 1, SUBSCRIBERS_MAX);
    for (unsigned i = 0; i < world->feed.subscriber_count; i++)
        draw_follower(&world->feed, &world->followers[i]);
    run_fiber(run, feed_main, world);
    free(world);
}

const struct scenario scenario_feed = {
    "feed", "a publisher that comes and goes, and who follows it through a bad network", run_feed};
