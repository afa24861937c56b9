/* SPDX-License-Identifier: MIT */
/*
 * feed_recovery [-a CORE] [-b CORE] [-n MESSAGES] [-r MESSAGES_PER_S] [-p PORT] [-w WINDOW_US]
 *               [-l DIR] [-s]
 *
 * A feed on two lines, PORT and PORT + 1, of which the laboratory's packet filter drops a part
 * each; what neither brought is asked for at PORT + 2. Publisher and subscriber have a core each,
 * and wait in the kernel; with -s the subscriber spins. A packet leaves every 100 us. Each message
 * tells when it was published: how late does one come that was asked for, and how late do the
 * others come, among them those that had to wait behind it? Each byte is compared. Meanwhile
 * somebody else asks for a message 100 times a second, by a plain socket: that is the round trip of
 * a request.
 *
 * A line of JSON.
 */
#include <getopt.h>
#include <sys/time.h>

#include "feed_leat.h"
#include "wire/moldudp64.h"

#define SESSION "RECOVERY"

enum {
    MESSAGES_MAX = 4000000,
    TURN_US = 100,
    LINGER_MS = 1000,
    ASK_US = 10000,
    ASKED_MAX = 100 * SIDES_LIMIT_S,
};

struct times {
    size_t count;
    uint32_t *ns;
};

struct drill {
    int cores[2]; /* who publishes, who subscribes */
    uint64_t messages, rate_per_s;
    unsigned port, window_us;
    const char *log;
    bool spins;
    struct sides *sides;
    struct findings *findings;
};

/* In shared memory. */
struct findings {
    struct times recovered, others, round_trips;
    uint64_t next, wrong;
    struct leat_feed_subscriber_stats stats;
};

static void note(struct times *times, size_t count_max, uint64_t ns)
{
    if (times->count < count_max)
        times->ns[times->count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* A message of which both sides know all but when it was published; that stands in it twice. */
static void write_stamped(void *to, uint64_t sequence, uint64_t now_ns)
{
    uint64_t words[MESSAGE_SIZE / 8];
    write_message(words, sequence);
    words[1] = now_ns;
    words[2] ^= now_ns;
    memcpy(to, words, sizeof words);
}

static bool read_stamped(struct leat_slice message, uint64_t sequence, uint64_t *ret_ns)
{
    char right[MESSAGE_SIZE];
    if (message.size != sizeof right)
        return false;
    memcpy(ret_ns, message.data + sizeof *ret_ns, sizeof *ret_ns);
    write_stamped(right, sequence, *ret_ns);
    return memcmp(message.data, right, sizeof right) == 0;
}

static void format_address(char text[32], const struct drill *drill, unsigned offset)
{
    snprintf(text, 32, "127.0.0.1:%u", drill->port + offset);
}

/* ---- Who publishes --------------------------------------------------------------------------- */

static void publish_due(struct leat_feed_publisher *publisher, uint64_t *next, uint64_t last)
{
    char message[MESSAGE_SIZE];
    const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    for (; *next <= last; ++*next) {
        write_stamped(message, *next, now_ns);
        const struct leat_slice slice = {message, sizeof message};
        const int error = leat_feed_publish(publisher, slice, NULL);
        must(error, "publish", "");
    }
    leat_feed_flush(publisher);
}

static int publish(void *arg)
{
    const struct drill *drill = arg;
    char lines[2][32], request[32], reason[256] = "";
    struct leat_feed_publisher *publisher;
    format_address(lines[0], drill, 0);
    format_address(lines[1], drill, 1);
    format_address(request, drill, 2);
    const struct leat_feed_publisher_options options = {.session = SESSION,
                                                        .lines = {lines[0], lines[1]},
                                                        .request_listen = request,
                                                        .log = drill->log};
    int error = leat_feed_publisher_open(&options, &publisher, reason, sizeof reason);
    must(error, "publisher", reason);
    while (atomic_load(&drill->sides->ready) < 1)
        leat_sleep_ms(1);
    const int64_t began_ns = leat_now_ns();
    int64_t turn_ns = began_ns;
    for (uint64_t next = 1; next <= drill->messages;) {
        const double passed_s = (double)(turn_ns - began_ns) / 1e9;
        const uint64_t last = (uint64_t)(passed_s * (double)drill->rate_per_s);
        publish_due(publisher, &next, last < drill->messages ? last : drill->messages);
        turn_ns += TURN_US * LEAT_NS_PER_US;
        leat_sleep_until(turn_ns);
    }
    error = leat_feed_publisher_end(publisher, leat_after_ms(LINGER_MS));
    leat_feed_publisher_close(publisher);
    return error;
}

/* ---- Who subscribes -------------------------------------------------------------------------- */

static int on_batch(const struct leat_feed_batch *batch, void *user)
{
    const struct drill *drill = user;
    struct findings *findings = drill->findings;
    struct times *times = batch->is_recovered ? &findings->recovered : &findings->others;
    struct leat_slice blocks = batch->blocks, message;
    const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    findings->wrong += batch->sequence != findings->next;
    for (uint64_t stamp_ns; leat_feed_next(&blocks, &message); findings->next++)
        if (read_stamped(message, findings->next, &stamp_ns))
            note(times, drill->messages, now_ns - stamp_ns);
        else
            findings->wrong++;
    atomic_store(&drill->sides->received, findings->next - 1);
    return 0;
}

static int on_lost(uint64_t first, uint64_t last, void *user)
{
    struct drill *drill = user;
    drill->findings->next = last + 1; /* counted in the stats */
    return 0;
}

static int subscribe(void *arg)
{
    struct drill *drill = arg;
    char lines[2][32], request[32], reason[256] = "";
    struct leat_feed_subscriber *subscriber;
    format_address(lines[0], drill, 0);
    format_address(lines[1], drill, 1);
    format_address(request, drill, 2);
    const struct leat_feed_subscriber_options options = {
        .lines = {lines[0], lines[1]},
        .request = request,
        .from = 1,
        .mode = drill->spins ? LEAT_FEED_SPIN : LEAT_FEED_ECONOMICAL,
        .window_us = drill->window_us,
        .on_batch = on_batch,
        .on_lost = on_lost,
        .user = drill};
    int error = leat_feed_subscriber_open(&options, &subscriber, reason, sizeof reason);
    must(error, "subscriber", reason);
    atomic_fetch_add(&drill->sides->ready, 1);
    error = leat_feed_subscriber_run(subscriber, leat_after_ms(SIDES_LIMIT_S * 1000));
    leat_feed_subscriber_stats(subscriber, &drill->findings->stats);
    leat_feed_subscriber_close(subscriber);
    atomic_store(&drill->sides->stop, true);
    return error;
}

/* ---- Who asks -------------------------------------------------------------------------------- */

/* Asks for the message that the subscriber had last, which is in the log for sure. */
static void ask(const struct drill *drill)
{
    char text[32];
    uint8_t packet[2048], session[MOLD_SESSION_SIZE];
    const struct timeval patience = {.tv_usec = 200000};
    format_address(text, drill, 2);
    const struct sockaddr_in address = parse_address(text);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        give_up("who asks");
    memcpy(session, SESSION "  ", sizeof session);
    while (!atomic_load(&drill->sides->stop)) {
        usleep(ASK_US);
        const uint64_t sequence = atomic_load(&drill->sides->received);
        if (sequence == 0)
            continue;
        mold_write_header(packet, session, sequence, 1);
        const uint64_t began_ns = clock_ns(CLOCK_MONOTONIC);
        if (send(fd, packet, MOLD_HEADER_SIZE, 0) == MOLD_HEADER_SIZE &&
            recv(fd, packet, sizeof packet, 0) > MOLD_HEADER_SIZE)
            note(&drill->findings->round_trips, ASKED_MAX, clock_ns(CLOCK_MONOTONIC) - began_ns);
    }
    close(fd);
}

/* ---- What came of it ------------------------------------------------------------------------- */

static void report(const struct drill *drill)
{
    struct findings *findings = drill->findings;
    const struct leat_feed_subscriber_stats *stats = &findings->stats;
    printf("{\"messages\": %llu, \"wrong\": %llu, \"lost\": %llu, \"gaps\": %llu, "
           "\"requests\": %llu, \"packets\": [%llu, %llu], \"window_us\": %u",
           (unsigned long long)(findings->next - 1), (unsigned long long)findings->wrong,
           (unsigned long long)stats->lost_messages, (unsigned long long)stats->gaps,
           (unsigned long long)stats->requests, (unsigned long long)stats->lines[0].packets,
           (unsigned long long)stats->lines[1].packets, drill->window_us);
    const struct {
        const char *name;
        struct times *times;
    } all[] = {{"recovered", &findings->recovered},
               {"others", &findings->others},
               {"round_trip", &findings->round_trips}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        printf(", \"%s\": {", all[i].name);
        print_times(all[i].times->ns, all[i].times->count);
        printf("}");
    }
    printf("}\n");
}

static void run(struct drill *drill)
{
    struct findings *findings = drill->findings;
    pid_t subscriber, asker;
    findings->next = 1;
    findings->recovered.ns = share(drill->messages * sizeof *findings->recovered.ns);
    findings->others.ns = share(drill->messages * sizeof *findings->others.ns);
    findings->round_trips.ns = share(ASKED_MAX * sizeof *findings->round_trips.ns);
    if (part(&subscriber)) {
        pin(drill->cores[1]);
        const int error = leat_run(subscribe, drill, NULL);
        must(error, "subscriber", "");
        exit(EXIT_SUCCESS);
    }
    if (part(&asker)) {
        pin(drill->cores[0]); /* where somebody may wait */
        ask(drill);
        exit(EXIT_SUCCESS);
    }
    pin(drill->cores[0]);
    const int error = leat_run(publish, drill, NULL);
    must(error, "publisher", "");
    join(subscriber);
    join(asker);
}

int main(int argc, char **argv)
{
    struct drill drill = {.cores = {-1, -1},
                          .messages = 100000,
                          .rate_per_s = 20000,
                          .port = 15200,
                          .window_us = 500};
    bool is_right = true;
    for (int option; (option = getopt(argc, argv, "a:b:n:r:p:w:l:s")) >= 0;) {
        const unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'a': drill.cores[0] = (int)number; break;
        case 'b': drill.cores[1] = (int)number; break;
        case 'n': drill.messages = number; break;
        case 'r': drill.rate_per_s = number; break;
        case 'p': drill.port = (unsigned)number; break;
        case 'w': drill.window_us = (unsigned)number; break;
        case 'l': drill.log = optarg; break;
        case 's': drill.spins = true; break;
        default: is_right = false;
        }
    }
    if (!is_right || optind != argc || drill.messages < 1 || drill.messages > MESSAGES_MAX ||
        drill.rate_per_s < 1 || drill.port < 1 || drill.port > 65000 || drill.window_us < 1) {
        fputs("feed_recovery [-a CORE] [-b CORE] [-n MESSAGES] [-r MESSAGES_PER_S] [-p PORT] "
              "[-w WINDOW_US] [-l DIR] [-s]\n",
              stderr);
        return 2;
    }
    drill.sides = share(sizeof *drill.sides);
    drill.findings = share(sizeof *drill.findings);
    run(&drill);
    report(&drill);
    return 0;
}
