/* SPDX-License-Identifier: MIT */
/*
 * leat feed replay: sends what was kept, byte for byte, at its distances in time divided by the
 * speed. A packet is late rather than early: what is due goes out as one burst, then the next one's
 * time is awaited, its last part without sleeping, for a sleep ends when the kernel likes.
 *
 *     source (a capture, a log) ──> due? ──> line A's burst ──> transport
 *                                    └─────> line B's burst ──> transport
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "commands.h"
#include "feed/transport.h"
#include "fiber/fiber.h"
#include "leat/address.h"
#include "leat/error.h"
#include "run.h"
#include "source.h"
#include "subcommands.h"
#include "quantity.h"

enum {
    LINE_SIZE = 512,
    DESTINATIONS_MAX = 3, /* that are told by name */
    AWAKE_NS = 150000,    /* before a packet is due: a timer's grain, and a sleeper's awakening */
};

static const char NAME[] = "leat feed replay";
static const double SPEED_MIN = 1e-3, SPEED_MAX = 1e6;

/* Which of a capture's packets a line sends. */
struct pick {
    bool is_given, has_address;
    bool is_ipv6;
    struct pcap_endpoint destination;
};

struct line {
    const char *address;
    struct pick pick;
    struct feed_transport *transport;
    struct feed_frame frames[FEED_BURST_MAX];
    unsigned count;
};

struct destination {
    bool is_ipv6;
    struct pcap_endpoint endpoint;
};

struct replay {
    struct feed_flags flags;
    const char *path;
    double speed; /* 0: as fast as may be */
    struct line lines[LEAT_FEED_LINES_MAX];
    unsigned line_count;

    struct source *source;
    struct leat_scope *running; /* what a signal cancels; NULL: not begun, or over */
    int result;                 /* of the run */

    int64_t begin_ns; /* of sending: when the first packet was due */
    int64_t first_ns; /* when that had come */
    uint64_t packets, bytes, unpicked;
    int64_t late_ns; /* the worst */
    struct destination destinations[DESTINATIONS_MAX];
    unsigned destination_count;
    bool has_more_destinations;
};

static void tell(const char *line)
{
    options_complain(NAME, line);
}

/* The loop's own clock stands still while a burst is made. */
static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

/* ---- Destinations ---------------------------------------------------------------------------- */

static bool is_alike(const struct destination *destination, const struct pcap_datagram *packet)
{
    return destination->is_ipv6 == packet->is_ipv6 &&
           memcmp(&destination->endpoint, &packet->destination, sizeof packet->destination) == 0;
}

static void note_destination(struct replay *replay, const struct pcap_datagram *packet)
{
    for (unsigned i = 0; i < replay->destination_count; i++)
        if (is_alike(&replay->destinations[i], packet))
            return;
    if (replay->destination_count == DESTINATIONS_MAX) {
        replay->has_more_destinations = true;
        return;
    }
    replay->destinations[replay->destination_count++] =
        (struct destination){packet->is_ipv6, packet->destination};
}

static bool is_picked(const struct pick *pick, const struct pcap_datagram *packet)
{
    const size_t address_size = pick->is_ipv6 ? PCAP_ADDRESS_SIZE : 4;
    if (!pick->is_given)
        return true;
    if (pick->destination.port != packet->destination.port)
        return false;
    return !pick->has_address ||
           (pick->is_ipv6 == packet->is_ipv6 &&
            memcmp(pick->destination.address, packet->destination.address, address_size) == 0);
}

static int take_pick(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct pick *pick = target;
    struct leat_address address;
    char *end;
    errno = 0;
    const unsigned long port = strtoul(text, &end, 10);
    *pick = (struct pick){.is_given = true};
    if (*text >= '0' && *text <= '9' && *end == '\0' && port <= UINT16_MAX) {
        pick->destination.port = (uint16_t)port;
        return 0;
    }
    if (leat_address_parse(text, &address, NULL) != 0 || leat_address_family(&address) == AF_UNIX) {
        snprintf(ret_error, ret_error_size, "'%s' is no destination: write 5000 or 239.1.1.1:5000",
                 text);
        return -1;
    }
    pick->has_address = true;
    pick->is_ipv6 = leat_address_family(&address) == AF_INET6;
    pick->destination.port = leat_address_port(&address);
    if (pick->is_ipv6)
        memcpy(pick->destination.address, &address.v6.sin6_addr, PCAP_ADDRESS_SIZE);
    else
        memcpy(pick->destination.address, &address.v4.sin_addr, 4);
    return 0;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static int await_room(const struct line *line)
{
    const int fd = line->transport->ops->fd(line->transport);
    if (fd < 0)
        return leat_yield();
    struct op op;
    op_init(&op, OP_POLL, fd, fiber_op_done);
    op.poll.events = POLLOUT;
    const int result = fiber_await(&op, LEAT_FOREVER);
    return result < 0 ? result : 0;
}

static int flush(struct line *line)
{
    for (unsigned done = 0; done < line->count;) {
        const int sent = feed_send(line->transport, line->frames + done, line->count - done);
        ASSERT(sent > 0 || sent == -EAGAIN);
        const int error = sent == -EAGAIN ? await_room(line) : 0;
        if (error)
            return error;
        done += sent > 0 ? (unsigned)sent : 0;
    }
    line->count = 0;
    return 0;
}

static int flush_all(struct replay *replay)
{
    int error = 0;
    for (unsigned i = 0; i < replay->line_count && !error; i++)
        error = flush(&replay->lines[i]);
    return error;
}

/* Before a packet of that time: 0 or -ECANCELED. */
static int await_due(struct replay *replay, int64_t time_ns)
{
    if (replay->speed <= 0 || time_ns == 0)
        return 0;
    if (replay->first_ns == 0) {
        replay->first_ns = time_ns;
        replay->begin_ns = clock_ns();
    }
    const double distance_ns = (double)(time_ns - replay->first_ns) / replay->speed;
    const int64_t due_ns = replay->begin_ns + (int64_t)distance_ns;
    int64_t now_ns = clock_ns();
    if (now_ns < due_ns) {
        int error = flush_all(replay);
        while (!error && (now_ns = clock_ns()) < due_ns) {
            if (!replay->flags.is_spinning && due_ns - now_ns > AWAKE_NS)
                error = leat_sleep_until(due_ns - AWAKE_NS);
            else
                error = leat_yield();
        }
        if (error)
            return error;
    }
    if (now_ns - due_ns > replay->late_ns)
        replay->late_ns = now_ns - due_ns;
    return 0;
}

static int send_packet(struct replay *replay, const struct pcap_datagram *packet)
{
    bool is_wanted = false;
    for (unsigned i = 0; i < replay->line_count; i++)
        is_wanted |= is_picked(&replay->lines[i].pick, packet);
    if (replay->source->has_destinations)
        note_destination(replay, packet);
    if (!is_wanted) {
        replay->unpicked++;
        return 0;
    }
    int error = await_due(replay, packet->time_ns);
    for (unsigned i = 0; i < replay->line_count && !error; i++) {
        struct line *line = &replay->lines[i];
        if (!is_picked(&line->pick, packet))
            continue;
        ASSERT(line->count < FEED_BURST_MAX);
        line->frames[line->count++] = (struct feed_frame){
            .data = (const uint8_t *)packet->payload.data,
            .size = (uint32_t)packet->payload.size,
        };
        if (line->count == FEED_BURST_MAX)
            error = flush(line);
    }
    if (error)
        return error;
    replay->packets++;
    replay->bytes += packet->payload.size;
    return 0;
}

/* To the end of the source. 0, -ECANCELED, or an error of the source. */
static int send_all(struct replay *replay)
{
    struct pcap_datagram packet;
    for (;;) {
        int result = source_next(replay->source, &packet);
        if (result == 1) {
            result = send_packet(replay, &packet);
            if (result < 0)
                return result;
            continue;
        }
        const int error = flush_all(replay); /* also what came before the damage */
        if (error || result < 0)
            return error ? error : result;
        result = source_turn(replay->source);
        if (result <= 0)
            return result;
    }
}

/* ---- Telling --------------------------------------------------------------------------------- */

static size_t add(char *text, size_t size, size_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static size_t add(char *text, size_t size, size_t at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int count = vsnprintf(text + at, size - at, format, arguments);
    va_end(arguments);
    ASSERT(count >= 0 && at < size);
    return (size_t)count < size - at ? at + (size_t)count : size - 1;
}

static const char *text_of(const struct destination *destination, char *text)
{
    struct leat_address address = {.size = sizeof address.v4};
    address.v4.sin_family = AF_INET;
    memcpy(&address.v4.sin_addr, destination->endpoint.address, 4);
    if (destination->is_ipv6) {
        address = (struct leat_address){.size = sizeof address.v6};
        address.v6.sin6_family = AF_INET6;
        memcpy(&address.v6.sin6_addr, destination->endpoint.address, PCAP_ADDRESS_SIZE);
    }
    leat_address_set_port(&address, destination->endpoint.port);
    return leat_address_format(&address, text);
}

/* What was there and was not sent, and why. */
static size_t add_omitted(const struct replay *replay, char *text, size_t size, size_t at)
{
    const struct pcap_counts *counts = replay->source->counts;
    const struct {
        uint64_t count;
        const char *what;
    } kinds[] = {
        {replay->unpicked, "to other destinations"},    {counts->fragments, "fragments of IP"},
        {counts->cut, "not kept whole by the capture"}, {counts->malformed, "malformed"},
        {counts->others, "of other protocols"},
    };
    const char *before = "; not sent were ";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].count == 0)
            continue;
        at = add(text, size, at, "%s%lu %s", before, (unsigned long)kinds[i].count, kinds[i].what);
        before = ", ";
    }
    return at;
}

static void tell_destinations(const struct replay *replay)
{
    char text[LINE_SIZE], address[LEAT_ADDRESS_TEXT_SIZE];
    size_t at = add(text, sizeof text, 0, "it has packets to");
    for (unsigned i = 0; i < replay->destination_count; i++)
        at = add(text, sizeof text, at, "%s %s", i ? "," : "",
                 text_of(&replay->destinations[i], address));
    add(text, sizeof text, at, "%s; --port chooses",
        replay->has_more_destinations ? " and others" : "");
    tell(text);
}

static void summarize(const struct replay *replay)
{
    char text[LINE_SIZE];
    const double seconds = (double)(clock_ns() - replay->begin_ns) / 1e9;
    uint64_t lost = 0;
    for (unsigned i = 0; i < replay->line_count; i++) {
        struct feed_transport_stats stats;
        struct feed_transport *transport = replay->lines[i].transport;
        transport->ops->stats(transport, &stats);
        lost += stats.lost;
    }
    size_t at = add(text, sizeof text, 0, "sent %lu packets, %lu bytes, in %.3f s",
                    (unsigned long)replay->packets, (unsigned long)replay->bytes, seconds);
    if (replay->speed > 0)
        at = add(text, sizeof text, at, ", late by %.3f ms at most", (double)replay->late_ns / 1e6);
    if (lost > 0)
        at = add(text, sizeof text, at, "; the kernel refused %lu", (unsigned long)lost);
    add_omitted(replay, text, sizeof text, at);
    tell(text);
    bool is_picking = false;
    for (unsigned i = 0; i < replay->line_count; i++)
        is_picking |= replay->lines[i].pick.is_given;
    if (replay->destination_count > 1 && !is_picking)
        tell_destinations(replay);
}

/* ---- The course of things -------------------------------------------------------------------- */

static void on_signal(unsigned count, void *user)
{
    struct replay *replay = user;
    if (replay->running)
        leat_scope_cancel(replay->running);
}

static void run_to_end(void *arg)
{
    struct replay *replay = arg;
    replay->begin_ns = clock_ns();
    replay->result = send_all(replay);
}

static int status_of(const struct replay *replay)
{
    char line[LINE_SIZE], reason[LINE_SIZE / 2];
    if (replay->result == -ECANCELED)
        return EXIT_INTERRUPTED;
    if (replay->result < 0) {
        snprintf(
            line, sizeof line, "'%s': %s", replay->path,
            replay->source->ops->reason(replay->source, replay->result, reason, sizeof reason));
        tell(line);
        return replay->result == -EOPNOTSUPP ? EXIT_WRONG_USE : EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int replay_all(struct replay *replay)
{
    struct leat_scope running, helpers;
    struct feed_watch watch = {.on_signal = on_signal, .user = replay};
    leat_scope_init(&helpers);
    leat_scope_init(&running);
    replay->running = &running;
    replay->result = feed_watch(&watch, &helpers);
    if (!replay->result)
        replay->result = leat_spawn(&running, run_to_end, replay,
                                    &(struct leat_fiber_options){.name = "replay"});
    (void)leat_scope_join(&running, LEAT_FOREVER);
    replay->running = NULL;
    leat_scope_fini(&running);
    leat_scope_fini(&helpers);
    if (replay->result != -EOPNOTSUPP) /* else it is no capture: that alone is to be said */
        summarize(replay);
    return status_of(replay);
}

static int open_lines(struct replay *replay)
{
    for (unsigned i = 0; i < replay->line_count; i++) {
        char reason[LINE_SIZE];
        const struct feed_transport_options options = {
            .address = replay->lines[i].address,
            .role = FEED_ROLE_SEND,
            .packet_size_max = LEAT_FEED_PACKET_SIZE_MAX,
            .socket = replay->flags.socket,
        };
        const int error = feed_transport_open(leat_loop_current(), &options,
                                              &replay->lines[i].transport, reason, sizeof reason);
        if (error) {
            tell(reason);
            return error;
        }
    }
    return 0;
}

static int run(void *arg)
{
    struct replay *replay = arg;
    char reason[LINE_SIZE];
    int status;
    int error = source_open(replay->path, &replay->source, reason, sizeof reason);
    if (error)
        tell(reason);
    else
        error = open_lines(replay);
    status = error ? feed_status_of(error) : replay_all(replay);
    source_close(replay->source);
    for (unsigned i = 0; i < replay->line_count; i++)
        feed_transport_destroy(replay->lines[i].transport);
    return status;
}

/* ---- The flags ------------------------------------------------------------------------------- */

static int take_speed(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    double speed;
    const char *unit;
    const bool is_number = quantity_number(text, &speed, &unit) && !*unit;
    if (strcmp(text, "max") == 0) {
        *(double *)target = 0;
        return 0;
    }
    if (is_number && speed >= SPEED_MIN && speed <= SPEED_MAX) {
        *(double *)target = speed;
        return 0;
    }
    snprintf(ret_error, ret_error_size,
             "'%s' is no speed: write 1 as it came, 10 for ten times as fast, or max", text);
    return -1;
}

static enum options_result parse(struct replay *replay, int argc, char **argv)
{
    /* clang-format off */
    const struct option own[] = {
        {.name = "speed", .value = "N|max", .kind = OPTION_CALL, .take = take_speed,
         .target = &replay->speed, .help = "times as fast as it came (default: 1)"},
        {.name = "port", .value = "[ADDR:]PORT", .kind = OPTION_CALL, .take = take_pick,
         .target = &replay->lines[0].pick,
         .help = "only what a capture has to this destination (default: all)"},
        {.name = "port-b", .value = "[ADDR:]PORT", .kind = OPTION_CALL, .take = take_pick,
         .target = &replay->lines[1].pick,
         .help = "what goes to line B (default: as to line A)"},
        {0},
    };
    /* clang-format on */
    const struct feed_command command = {
        .name = NAME,
        .arguments = "FILE|FOLDER --group ADDR:PORT",
        .summary = "Sends the packets of a capture, or of a log, at the times they came.",
        .roles = FEED_FLAGS_SEND,
        .own = own,
        .positional = &replay->path,
        .positional_max = 1};
    replay->speed = 1;
    const enum options_result result = feed_flags_parse(&command, &replay->flags, argc, argv);
    if (result != OPTIONS_GO)
        return result;
    const char *error = NULL;
    if (!replay->path)
        error = "what? such as: leat feed replay day.pcap --group 239.1.1.1:5000";
    else if (!replay->flags.group)
        error = "where to? such as --group 239.1.1.1:5000";
    else if (replay->lines[1].pick.is_given && !replay->flags.group_b)
        error = "--port-b goes with --group-b";
    if (error) {
        tell(error);
        return OPTIONS_WRONG;
    }
    replay->lines[0].address = replay->flags.group;
    replay->lines[1].address = replay->flags.group_b;
    replay->line_count = replay->flags.group_b ? 2 : 1;
    if (!replay->lines[1].pick.is_given)
        replay->lines[1].pick = replay->lines[0].pick;
    return OPTIONS_GO;
}

int feed_replay(int argc, char **argv)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay) {
        tell(leat_error_text(-ENOMEM));
        return EXIT_FAILURE;
    }
    const enum options_result parsed = parse(replay, argc, argv);
    const int status = feed_run(parsed, NAME, &replay->flags, run, replay);
    free(replay);
    return status;
}
