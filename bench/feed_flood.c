/* SPDX-License-Identifier: MIT */
/*
 * feed_flood [-a CORE] [-b CORE] [-n MESSAGES] [-r MESSAGES_PER_S] [-p PORT] [-l DIR] [-k SEGMENTS]
 *            [-g SEGMENT_SIZE] [-m] bare|leat|replay
 *
 * As many messages of 32 bytes a second as go from one core to another, none lost, in packets of
 * 1,200 bytes at most: 34 of them fill 1,176. `bare` sends packets of that size by UDP_SEGMENT and
 * receives them by UDP_GRO, looks at none, and counts 34 messages each. `leat` publishes and
 * subscribes, and compares each byte; each message is written into its place in the packet, with -m
 * in batches that are handed over. The log is in DIR, without -l in memory; -k: of so many
 * segments, used again and again. `replay` reads DIR to its end, and compares.
 *
 * UDP has no flow control. So that neither side is measured losing, the receiver tells in shared
 * memory how far it is, and the sender waits where it would be too far ahead: both halves alike.
 *
 * With a rate the publisher wakes each millisecond, publishes what is due, and sleeps: what counts
 * then is the time of its processor.
 */
#include <getopt.h>
#include <netinet/udp.h>
#include <sys/resource.h>

#include "feed/log.h"
#include "feed_leat.h"

enum {
    PACKET_SIZE = 1200,
    PACKET_MESSAGES = (PACKET_SIZE - MOLD_HEADER_SIZE) / (2 + MESSAGE_SIZE),
    PACKET_USED = MOLD_HEADER_SIZE + PACKET_MESSAGES * (2 + MESSAGE_SIZE),
    BURST_PACKETS = 65507 / PACKET_USED,
    AHEAD_MESSAGES = 2048 * PACKET_MESSAGES, /* of the receiver: 2.4 MB */
    TURN_MESSAGES = BURST_PACKETS * PACKET_MESSAGES,
    BATCH_MESSAGES = 5 * PACKET_MESSAGES,
};

struct flood {
    int cores[2]; /* who sends, who receives */
    uint64_t messages, rate_per_s;
    unsigned port, segments_kept;
    size_t segment_size;
    const char *log;
    bool is_in_batches;
    struct sides *sides;
    uint64_t began_ns;
    struct leat_feed_publisher_stats stats;
};

static uint64_t unread(struct sides *sides, uint64_t sent)
{
    return sent - atomic_load_explicit(&sides->received, memory_order_acquire);
}

/* How many messages may have been sent by now. */
static uint64_t due(const struct flood *flood)
{
    if (flood->rate_per_s == 0)
        return flood->messages;
    const uint64_t ns = clock_ns(CLOCK_MONOTONIC) - flood->began_ns;
    const uint64_t count = (uint64_t)((double)ns * 1e-9 * (double)flood->rate_per_s);
    return count < flood->messages ? count : flood->messages;
}

/* ---- Bare ------------------------------------------------------------------------------------ */

static void receive_bare(const struct flood *flood, int fd)
{
    static char data[1 << 16];
    struct sides *sides = flood->sides;
    uint64_t count = 0;
    while (count < flood->messages) {
        const ssize_t size = recv(fd, data, sizeof data, MSG_DONTWAIT);
        if (size < 0 && errno != EAGAIN && errno != EINTR)
            give_up("recv");
        if (size <= 0)
            continue;
        count += (uint64_t)(size / PACKET_USED) * PACKET_MESSAGES;
        atomic_store_explicit(&sides->received, count, memory_order_release);
    }
    atomic_store(&sides->ended_ns, clock_ns(CLOCK_MONOTONIC));
}

static void send_bare(struct flood *flood, int fd)
{
    static char data[BURST_PACKETS * PACKET_USED];
    const struct timespec nap = {.tv_nsec = 1000000};
    for (uint64_t sent = 0; sent < flood->messages;) {
        while (unread(flood->sides, sent) > AHEAD_MESSAGES)
            ;
        while (sent + TURN_MESSAGES > due(flood) && flood->rate_per_s > 0)
            nanosleep(&nap, NULL);
        if (send(fd, data, sizeof data, 0) == (ssize_t)sizeof data)
            sent += TURN_MESSAGES;
        else if (errno != ENOBUFS && errno != EINTR)
            give_up("send");
    }
}

static void flood_bare(struct flood *flood)
{
    const int one = 1, size = PACKET_USED;
    struct sockaddr_in addresses[2];
    int fds[2];
    pid_t child;
    flood->messages -= flood->messages % TURN_MESSAGES; /* whole bursts alone */
    for (int side = 0; side < 2; side++)
        fds[side] = open_datagram_socket(&addresses[side]);
    for (int side = 0; side < 2; side++)
        if (connect(fds[side], (struct sockaddr *)&addresses[1 - side], sizeof *addresses) != 0)
            give_up("connect");
    if (setsockopt(fds[0], SOL_UDP, UDP_SEGMENT, &size, sizeof size) != 0 ||
        setsockopt(fds[1], SOL_UDP, UDP_GRO, &one, sizeof one) != 0)
        give_up("UDP_SEGMENT, UDP_GRO");
    if (part(&child)) {
        pin(flood->cores[1]);
        receive_bare(flood, fds[1]);
        exit(EXIT_SUCCESS);
    }
    pin(flood->cores[0]);
    const double cpu_s = process_cpu_s();
    flood->began_ns = clock_ns(CLOCK_MONOTONIC);
    send_bare(flood, fds[0]);
    flood->sides->cpu_s = process_cpu_s() - cpu_s;
    join(child);
}

/* ---- leat ------------------------------------------------------------------------------------ */

/* Messages are numbered as their sequences are, from 1. */
static int on_batch(const struct leat_feed_batch *batch, void *user)
{
    struct sides *sides = user;
    struct leat_slice blocks = batch->blocks, message;
    uint64_t sequence = batch->sequence, wrong = 0;
    for (; leat_feed_next(&blocks, &message); sequence++)
        wrong += !is_message(message.data, message.size, sequence);
    if (wrong > 0)
        atomic_fetch_add(&sides->wrong, wrong);
    if (batch->is_recovered)
        atomic_fetch_add(&sides->recovered, batch->count);
    atomic_store_explicit(&sides->received, sequence - 1, memory_order_release);
    return 0;
}

static int subscribe(void *arg)
{
    const struct flood *flood = arg;
    char line[32], request[32], reason[256] = "";
    struct leat_feed_subscriber *subscriber;
    struct leat_feed_subscriber_stats stats;
    snprintf(line, sizeof line, "127.0.0.1:%u", flood->port);
    snprintf(request, sizeof request, "127.0.0.1:%u", flood->port + 1);
    const struct leat_feed_subscriber_options options = {.lines = {line},
                                                         .request = request,
                                                         .from = 1,
                                                         .mode = LEAT_FEED_SPIN,
                                                         .on_batch = on_batch,
                                                         .user = flood->sides};
    int result = leat_feed_subscriber_open(&options, &subscriber, reason, sizeof reason);
    must(result, "subscriber", reason);
    atomic_store(&flood->sides->ready, 1);
    while (atomic_load_explicit(&flood->sides->received, memory_order_relaxed) < flood->messages &&
           (result = leat_feed_subscriber_turn(subscriber)) >= 0)
        leat_yield();
    atomic_store(&flood->sides->ended_ns, clock_ns(CLOCK_MONOTONIC));
    leat_feed_subscriber_stats(subscriber, &stats);
    atomic_store(&flood->sides->lost, stats.lines[0].dropped);
    leat_feed_subscriber_close(subscriber);
    return result < 0 ? result : 0;
}

/* Messages `from`..`to`, as far as there is room, each written into its place: the next one. */
static uint64_t publish_singly(struct leat_feed_publisher *publisher, uint64_t from, uint64_t to)
{
    void *room;
    for (; from <= to; from++) {
        const int error = leat_feed_reserve(publisher, MESSAGE_SIZE, &room);
        if (error == -EAGAIN)
            break;
        must(error, "reserve", "");
        write_message(room, from);
        leat_feed_commit(publisher);
    }
    return from;
}

/* The same in batches that are written elsewhere, some packets' worth a call, and copied. */
static uint64_t publish_batches(struct leat_feed_publisher *publisher, uint64_t from, uint64_t to)
{
    static char blocks[BATCH_MESSAGES][2 + MESSAGE_SIZE];
    while (from <= to) {
        const uint64_t left = to - from + 1;
        const size_t count = left < BATCH_MESSAGES ? (size_t)left : BATCH_MESSAGES;
        size_t size;
        for (size_t i = 0; i < count; i++) {
            blocks[i][1] = MESSAGE_SIZE;
            write_message(blocks[i] + 2, from + i);
        }
        const struct leat_slice slice = {blocks[0], count * sizeof blocks[0]};
        const int taken = leat_feed_publish_blocks(publisher, slice, &size);
        if (taken == -EAGAIN)
            break;
        must(taken, "publish_blocks", "");
        from += (uint64_t)taken;
    }
    return from;
}

static uint64_t publish(const struct flood *flood, struct leat_feed_publisher *publisher,
                        uint64_t from, uint64_t to)
{
    return (flood->is_in_batches ? publish_batches : publish_singly)(publisher, from, to);
}

/* As fast as the other side takes it. */
static void publish_all(struct flood *flood, struct leat_feed_publisher *publisher)
{
    for (uint64_t next = 1; next <= flood->messages;) {
        if (unread(flood->sides, next) <= AHEAD_MESSAGES) {
            const uint64_t begin = next, last = next + TURN_MESSAGES - 1;
            next = publish(flood, publisher, next, last < flood->messages ? last : flood->messages);
            if (next == begin)
                must(leat_feed_publisher_wait(publisher, leat_after_ms(1000)), "no room", "");
        }
        leat_feed_publisher_turn(publisher);
        leat_yield();
    }
    leat_feed_flush(publisher);
}

/* What is due, each millisecond; when the other side was not there for a while, later. */
static void publish_at_rate(struct flood *flood, struct leat_feed_publisher *publisher)
{
    for (uint64_t next = 1; next <= flood->messages; leat_sleep_ms(1)) {
        const uint64_t taken = atomic_load_explicit(&flood->sides->received, memory_order_acquire);
        const uint64_t limit = taken + AHEAD_MESSAGES, wanted = due(flood);
        const uint64_t last = wanted < limit ? wanted : limit;
        while (next <= last) {
            const uint64_t begin = next;
            next = publish(flood, publisher, next, last);
            if (next == begin)
                must(leat_feed_publisher_wait(publisher, leat_after_ms(1000)), "no room", "");
        }
    }
    leat_feed_flush(publisher);
}

static int publish_feed(void *arg)
{
    struct flood *flood = arg;
    char line[32], request[32], reason[256] = "";
    struct leat_feed_publisher *publisher;
    snprintf(line, sizeof line, "127.0.0.1:%u", flood->port);
    snprintf(request, sizeof request, "127.0.0.1:%u", flood->port + 1);
    const bool is_paced = flood->rate_per_s > 0;
    const struct leat_feed_publisher_options options = {.session = "FLOOD",
                                                        .lines = {line},
                                                        .request_listen = request,
                                                        .log = flood->log,
                                                        .segments_kept = flood->segments_kept,
                                                        .segment_size = flood->segment_size,
                                                        .packet_size = PACKET_SIZE,
                                                        .mode = is_paced ? LEAT_FEED_ECONOMICAL
                                                                         : LEAT_FEED_SPIN};
    const int error = leat_feed_publisher_open(&options, &publisher, reason, sizeof reason);
    must(error, "publisher", reason);
    while (!atomic_load(&flood->sides->ready))
        usleep(100);
    const double cpu_s = process_cpu_s();
    flood->began_ns = clock_ns(CLOCK_MONOTONIC);
    (is_paced ? publish_at_rate : publish_all)(flood, publisher);
    flood->sides->cpu_s = process_cpu_s() - cpu_s;
    /* Until the last has come: what was lost is asked for. */
    while (!atomic_load(&flood->sides->ended_ns))
        if (is_paced)
            leat_sleep_ms(1);
        else {
            leat_feed_publisher_turn(publisher);
            leat_yield();
        }
    leat_feed_publisher_stats(publisher, &flood->stats);
    leat_feed_publisher_close(publisher);
    return 0;
}

static void flood_leat(struct flood *flood)
{
    pid_t child;
    const bool is_second = part(&child);
    pin(flood->cores[is_second]); /* its threads for disks, too */
    const int error = leat_run(is_second ? subscribe : publish_feed, flood, NULL);
    must(error, is_second ? "subscriber" : "publisher", "");
    if (is_second)
        exit(EXIT_SUCCESS);
    join(child);
}

/* ---- The log, read again --------------------------------------------------------------------- */

static uint64_t compare_record(const struct feed_record *record)
{
    struct leat_slice message,
        blocks = {(const char *)record->packet + MOLD_HEADER_SIZE, record->size - MOLD_HEADER_SIZE};
    uint64_t sequence = record->sequence, wrong = 0;
    for (; leat_feed_next(&blocks, &message); sequence++)
        wrong += !is_message(message.data, message.size, sequence);
    return wrong + (sequence != record->sequence + record->count);
}

static int replay(void *arg)
{
    struct flood *flood = arg;
    char reason[256] = "";
    struct feed_log *log;
    struct feed_log_cursor cursor;
    struct feed_record record;
    uint64_t first, last, next = 1, wrong = 0;
    const struct feed_log_options options = {.path = flood->log, .is_read_only = true};
    int result = feed_log_open(leat_loop_current(), &options, &log, reason, sizeof reason);
    must(result, "log", reason);
    feed_log_range(log, &first, &last);
    result = feed_log_hold(log, first, &cursor);
    while (result >= 0 && next <= last) {
        result = feed_log_next(&cursor, last + 1, &record);
        if (result == 1) {
            wrong += record.sequence != next || compare_record(&record) != 0;
            next = record.sequence + record.count;
        } else if (result == 0 || (result = feed_log_step(log, &cursor)) != 0) {
            break;
        }
    }
    feed_log_cursor_release(&cursor);
    feed_log_close(log);
    atomic_store(&flood->sides->received, next - 1);
    atomic_store(&flood->sides->wrong, wrong);
    return result < 0 ? result : 0;
}

/* ---- What came of it ------------------------------------------------------------------------- */

static void report(struct flood *flood)
{
    struct sides *sides = flood->sides;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const double seconds =
        (double)(atomic_load(&sides->ended_ns) - flood->began_ns) / (double)NS_PER_S;
    const double received = (double)atomic_load(&sides->received);
    printf("{\"messages\": %.0f, \"seconds\": %.6f, \"messages_per_s\": %.0f, \"cpu_s\": %.6f, "
           "\"wrong\": %llu, \"dropped\": %llu, \"recovered\": %llu, \"log_waits\": %llu, "
           "\"packets\": %llu, \"faults\": %ld}\n",
           received, seconds, received / seconds, sides->cpu_s,
           (unsigned long long)atomic_load(&sides->wrong),
           (unsigned long long)atomic_load(&sides->lost),
           (unsigned long long)atomic_load(&sides->recovered),
           (unsigned long long)flood->stats.log_waits, (unsigned long long)flood->stats.sent[0],
           usage.ru_minflt);
}

static void replay_log(struct flood *flood)
{
    flood->began_ns = clock_ns(CLOCK_MONOTONIC);
    const int error = leat_run(replay, flood, NULL);
    must(error, "replay", "");
    atomic_store(&flood->sides->ended_ns, clock_ns(CLOCK_MONOTONIC));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct flood *flood);
    } modes[] = {{"bare", flood_bare}, {"leat", flood_leat}, {"replay", replay_log}};
    struct flood flood = {.cores = {-1, -1}, .messages = 10000000, .port = 15100};
    void (*run)(struct flood * flood) = NULL;
    bool is_right = true;
    for (int option; (option = getopt(argc, argv, "a:b:n:r:p:l:k:g:m")) >= 0;) {
        const unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'a': flood.cores[0] = (int)number; break;
        case 'b': flood.cores[1] = (int)number; break;
        case 'n': flood.messages = number; break;
        case 'r': flood.rate_per_s = number; break;
        case 'p': flood.port = (unsigned)number; break;
        case 'l': flood.log = optarg; break;
        case 'k': flood.segments_kept = (unsigned)number; break;
        case 'g': flood.segment_size = number; break;
        case 'm': flood.is_in_batches = true; break;
        default: is_right = false;
        }
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (optind == argc - 1 && strcmp(argv[optind], modes[i].name) == 0)
            run = modes[i].run;
    if (!is_right || !run || flood.messages < TURN_MESSAGES || flood.port < 1 ||
        flood.port > 65000 || (run == replay_log && !flood.log)) {
        fputs("feed_flood [-a CORE] [-b CORE] [-n MESSAGES] [-r MESSAGES_PER_S] [-p PORT] "
              "[-l DIR] [-k SEGMENTS] [-g SEGMENT_SIZE] [-m] bare|leat|replay\n",
              stderr);
        return 2;
    }
    flood.sides = share(sizeof *flood.sides);
    run(&flood);
    report(&flood);
    return 0;
}
