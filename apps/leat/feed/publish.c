/* SPDX-License-Identifier: MIT */
/*
 * leat feed publish: reads messages and publishes them.
 *
 *     opened ──> reading ──────────────────────> ending: end of session, requests ──> closed
 *                  │  the input's end, a fault,     │   until --linger, or a signal
 *                  └─ or a signal                   └─
 *
 * What is read goes to the log at once, as far as it has room; nothing is kept beside it.
 */
#include "publish.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "commands.h"
#include "leat/error.h"
#include "run.h"
#include "subcommands.h"
#include "quantity.h"

enum {
    PACE_SLACK_MS = 100, /* what --rate makes up for after a wait */
    RETRY_MS = 1000,     /* of a full disk */
    REQUEST_PACKETS_MAX = 256,
};

static const char NAME[] = "leat feed publish";
static const double RATE_MAX = 1e9;

/* ---- Telling --------------------------------------------------------------------------------- */

static void tell(const char *format, va_list arguments)
{
    char line[FEED_ERROR_SIZE];
    vsnprintf(line, sizeof line, format, arguments);
    options_complain(NAME, line);
}

void publish_tell(const struct publish *publish, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(format, arguments);
    va_end(arguments);
}

void publish_fail(struct publish *publish, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(format, arguments);
    va_end(arguments);
    publish->status = EXIT_FAILURE;
}

void publish_give_up(struct publish *publish, int error)
{
    ASSERT(error < 0);
    if (error == -ECANCELED)
        return;
    const char *log = publish->options.log;
    if (log)
        publish_fail(publish, "cannot publish, with the log '%s': %s", log, leat_error_text(error));
    else
        publish_fail(publish, "cannot publish: %s", leat_error_text(error));
    if (publish->reading)
        leat_scope_cancel(publish->reading);
}

const char *publish_fault_text(const struct publish *publish, enum framing_fault fault,
                               unsigned length, char *text, size_t size)
{
    ASSERT(fault != FRAMING_FINE);
    if (fault == FRAMING_EMPTY)
        snprintf(text, size, "its length is 0 (before each message stands a big-endian u16)");
    else
        snprintf(text, size, "it has %u bytes, and a packet of %zu takes %zu (--packet-size)",
                 length, publish->message_size_max + LEAT_FEED_OVERHEAD, publish->message_size_max);
    return text;
}

/* ---- Publishing ------------------------------------------------------------------------------ */

/* As many messages as --rate has due by now, at least one, for which it waits. 0 or -ECANCELED. */
static int await_due(struct publish *publish, size_t *ret_count)
{
    *ret_count = SIZE_MAX;
    if (publish->rate <= 0)
        return 0;
    for (;;) {
        const int64_t now_ns = leat_now_ns();
        const double due = (double)(now_ns - publish->pace_begin_ns) * publish->rate / 1e9;
        const double behind = due - (double)publish->paced;
        if (behind > publish->rate * PACE_SLACK_MS / 1e3 && behind > 1) {
            publish->pace_begin_ns = now_ns; /* it could not keep up: the time is lost */
            publish->paced = 0;
            *ret_count = 1;
            return 0;
        }
        if (behind >= 1) {
            *ret_count = (size_t)behind;
            return 0;
        }
        const double next_ns = (double)(publish->paced + 1) * 1e9 / publish->rate;
        const int error = leat_sleep_until(publish->pace_begin_ns + (int64_t)next_ns + 1);
        if (error)
            return error;
    }
}

/* The publisher had no room: waits until it has, a full disk included. */
static int await_room(struct publish *publish, int error)
{
    if (error == -ENOSPC && !publish->is_full) {
        publish_tell(publish,
                     "the disk of '%s' is full: publishing waits, and tries again each second",
                     publish->options.log);
        publish->is_full = true;
    }
    if (error == -EAGAIN || error == -ENOSPC)
        error = leat_feed_publisher_wait(publish->publisher, leat_after_ms(RETRY_MS));
    if (error == -ENOSPC)
        return leat_sleep_ms(RETRY_MS);
    return error == -ETIMEDOUT ? 0 : error;
}

int publish_some(struct publish *publish, struct leat_slice blocks, struct publish_part *ret_part)
{
    ASSERT(blocks.size > FRAMING_LENGTH_SIZE);
    size_t count, size;
    int error = await_due(publish, &count);
    if (error)
        return error;
    if (count < SIZE_MAX)
        blocks.size = framing_scan(blocks, count, FRAMING_MESSAGE_MAX).size;
    int result = leat_feed_publish_blocks(publish->publisher, blocks, &size);
    while (result < 0 && (error = await_room(publish, result)) == 0)
        result = leat_feed_publish_blocks(publish->publisher, blocks, &size);
    if (result < 0) {
        publish_give_up(publish, error);
        return error;
    }
    ASSERT(result > 0);
    if (publish->is_full)
        publish_tell(publish, "the disk has room again: publishing goes on");
    publish->is_full = false;
    *ret_part = (struct publish_part){publish->next_sequence, (size_t)result, size};
    publish->next_sequence += (uint64_t)result;
    publish->paced += (uint64_t)result;
    return 0;
}

/* ---- The course of things -------------------------------------------------------------------- */

static void on_signal(unsigned count, void *user)
{
    struct publish *publish = user;
    if (publish->reading)
        leat_scope_cancel(publish->reading);
    else if (publish->ending)
        leat_scope_cancel(publish->ending);
}

/* --spin on: everything that is due is looked for here, time and again. */
static void spin(void *arg)
{
    struct publish *publish = arg;
    do
        leat_feed_publisher_turn(publish->publisher);
    while (leat_yield() == 0);
}

static void announce(const struct publish *publish)
{
    const struct leat_feed_publisher_options *options = &publish->options;
    char line[FEED_ERROR_SIZE], address_text[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_address address;
    snprintf(line, sizeof line, "publishing %s to %s%s%s from sequence %lu", options->session,
             options->lines[0], options->lines[1] ? ", " : "",
             options->lines[1] ? options->lines[1] : "", (unsigned long)publish->next_sequence);
    process_say(line);
    if (leat_feed_publisher_request_address(publish->publisher, &address) != 0)
        return;
    snprintf(line, sizeof line, "answering requests on %s",
             leat_address_format(&address, address_text));
    process_say(line);
}

static void summarize(const struct publish *publish)
{
    struct leat_feed_publisher_stats stats;
    leat_feed_publisher_stats(publish->publisher, &stats);
    char lost[64] = "", left[64] = "";
    if (stats.lost[0] + stats.lost[1] > 0)
        snprintf(lost, sizeof lost, " (the kernel refused to send %lu)",
                 (unsigned long)(stats.lost[0] + stats.lost[1]));
    if (stats.departures > 0)
        snprintf(left, sizeof left, ", which left the kernel after %.1f us",
                 (double)stats.departure_sum_ns / 1e3 / (double)stats.departures);
    publish_tell(
        publish,
        "%lu messages in %lu packets%s%s; the next is %lu; %lu requests, answered with %lu "
        "packets",
        (unsigned long)stats.messages, (unsigned long)stats.packets, left, lost,
        (unsigned long)stats.next_sequence, (unsigned long)stats.requests,
        (unsigned long)stats.answers);
}

static void read_input(void *arg)
{
    struct publish *publish = arg;
    if (publish->listener)
        producers_run(publish);
    else
        input_run(publish, publish->is_regular ? publish->next_sequence - 1 : 0);
}

static void end(void *arg)
{
    struct publish *publish = arg;
    const int error =
        leat_feed_publisher_end(publish->publisher, leat_now_ns() + publish->linger_ns);
    if (error && error != -ECANCELED)
        publish_fail(publish, "cannot end the session: %s", leat_error_text(error));
}

/* In a fiber of its own, which a signal may cancel by way of *known_as. */
static void run_phase(struct publish *publish, leat_fiber_fn phase, const char *name,
                      struct leat_scope **known_as)
{
    const struct leat_fiber_options options = {.name = name};
    struct leat_scope scope;
    leat_scope_init(&scope);
    *known_as = &scope;
    const int error = leat_spawn(&scope, phase, publish, &options);
    if (error)
        publish_fail(publish, "%s", leat_error_text(error));
    (void)leat_scope_join(&scope, LEAT_FOREVER);
    *known_as = NULL;
    leat_scope_fini(&scope);
}

static int open_publisher(struct publish *publish)
{
    char reason[FEED_ERROR_SIZE];
    struct leat_feed_publisher_stats stats;
    const int error =
        leat_feed_publisher_open(&publish->options, &publish->publisher, reason, sizeof reason);
    if (error) {
        publish_tell(publish, "%s", reason);
        publish->status = feed_status_of(error);
        return error;
    }
    leat_feed_publisher_stats(publish->publisher, &stats);
    publish->next_sequence = stats.next_sequence;
    return 0;
}

static void publish_all(struct publish *publish)
{
    struct leat_feed_publisher_stats stats;
    struct leat_scope helpers;
    struct feed_watch watch = {.on_signal = on_signal, .user = publish};
    leat_scope_init(&helpers);
    int error = feed_watch(&watch, &helpers);
    if (!error && publish->flags.is_spinning)
        error = leat_spawn(&helpers, spin, publish, &(struct leat_fiber_options){.name = "spin"});
    if (error)
        publish_fail(publish, "%s", leat_error_text(error));
    leat_feed_publisher_stats(publish->publisher, &stats);
    announce(publish);
    if (stats.is_ended)
        publish_tell(publish, "session %s has ended: its messages are there for those who ask",
                     publish->options.session);
    else if (!error)
        run_phase(publish, read_input, "input", &publish->reading);
    if (!error)
        run_phase(publish, end, "end", &publish->ending);
    leat_scope_fini(&helpers);
    summarize(publish);
}

static int run(void *arg)
{
    struct publish *publish = arg;
    const bool has_producers = strncmp(publish->in, "unix:", 5) == 0;
    const int error = has_producers ? producers_open(publish) : input_open(publish);
    if (error)
        return publish->status;
    if (open_publisher(publish) == 0) {
        publish->pace_begin_ns = leat_now_ns();
        publish_all(publish);
        leat_feed_publisher_close(publish->publisher);
    }
    if (has_producers)
        producers_close(publish);
    else
        input_close(publish);
    return publish->status;
}

/* ---- The flags ------------------------------------------------------------------------------- */

/* As they are taken. */
struct numbers {
    uint64_t segment_size, flush_bytes, request_rate, request_rate_all;
    long packet_size, keep, flush_messages, flush_us, heartbeat_ms, request_packets;
};

static int take_rate(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    double rate;
    const char *unit;
    if (!quantity_number(text, &rate, &unit) || !quantity_scale(unit, 1000, &rate) || !(rate > 0) ||
        rate > RATE_MAX) {
        snprintf(ret_error, ret_error_size,
                 "--rate takes messages a second, such as 2000, 50k or 1m, not '%s'", text);
        return -1;
    }
    *(double *)target = rate;
    return 0;
}

/* NULL, or what is missing. */
static const char *check(const struct publish *publish)
{
    if (!publish->flags.session)
        return "which session? such as --session 20261123A, 10 characters at most";
    if (!publish->flags.group)
        return "where to? such as --group 239.1.1.1:5000";
    if (!publish->in)
        return "which messages? --in FILE, --in - or --in unix:PATH";
    if (publish->options.is_durable && !publish->options.log)
        return "--durable on needs a --log to be durable in";
    return NULL;
}

static void settle(struct publish *publish, const struct numbers *numbers)
{
    struct leat_feed_publisher_options *options = &publish->options;
    const struct feed_flags *flags = &publish->flags;
    options->session = flags->session;
    options->lines[0] = flags->group;
    options->lines[1] = flags->group_b;
    options->segment_size = numbers->segment_size;
    options->segments_kept = (unsigned)numbers->keep;
    options->mode = flags->is_spinning ? LEAT_FEED_SPIN : LEAT_FEED_ECONOMICAL;
    options->packet_size = (size_t)numbers->packet_size;
    options->flush_bytes = numbers->flush_bytes;
    options->flush_messages = (unsigned)numbers->flush_messages;
    options->flush_us = (unsigned)numbers->flush_us;
    options->heartbeat_ms = (unsigned)numbers->heartbeat_ms;
    options->request_packets = (unsigned)numbers->request_packets;
    options->request_bytes_per_s = numbers->request_rate;
    options->requests_bytes_per_s = numbers->request_rate_all;
    options->socket = flags->socket;
    options->socket.has_stamps = publish->has_stamps;
    publish->message_size_max = options->packet_size - LEAT_FEED_OVERHEAD;
    publish->fd = -1;
}

static enum options_result parse(struct publish *publish, int argc, char **argv)
{
    struct numbers numbers = {.packet_size = LEAT_FEED_PACKET_SIZE};
    publish->linger_ns = 10 * LEAT_NS_PER_S;
    /* clang-format off */
    const struct option own[] = {
        {.name = "in", .value = "FILE|-|unix:PATH", .kind = OPTION_TEXT, .target = &publish->in,
         .help = "messages, a big-endian u16 length before each"},
        {.name = "log", .value = "FOLDER", .kind = OPTION_TEXT, .target = &publish->options.log,
         .help = "of the session (default: in memory, the latest alone)"},
        {.name = "durable", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &publish->options.is_durable,
         .help = "on the disk before it is on the wire (default: off)"},
        {.name = "segment-size", .value = "SIZE", .kind = OPTION_CALL, .take = quantity_take_size,
         .target = &numbers.segment_size, .help = "of the log's files (default: 64m)"},
        {.name = "keep", .value = "N", .kind = OPTION_COUNT, .target = &numbers.keep, .min = 2,
         .max = 1000000, .help = "so many of them, the latest (default: all)"},
        {.name = "request-listen", .value = "ADDR:PORT", .kind = OPTION_TEXT,
         .target = &publish->options.request_listen,
         .help = "answer requests there (default: nowhere)"},
        {.name = "request-packets", .value = "N", .kind = OPTION_COUNT,
         .target = &numbers.request_packets, .min = 1, .max = REQUEST_PACKETS_MAX,
         .help = "a request brings so many at most (default: 32)"},
        {.name = "request-rate", .value = "SIZE", .kind = OPTION_CALL, .take = quantity_take_size,
         .target = &numbers.request_rate,
         .help = "bytes a second for one who asks (default: 64m)"},
        {.name = "request-rate-all", .value = "SIZE",
         .kind = OPTION_CALL, .take = quantity_take_size,
         .target = &numbers.request_rate_all, .help = "and for all together (default: 256m)"},
        {.name = "packet-size", .value = "N", .kind = OPTION_COUNT, .target = &numbers.packet_size,
         .min = LEAT_FEED_PACKET_SIZE_MIN, .max = LEAT_FEED_PACKET_SIZE_MAX,
         .help = "bytes of a packet, headers below it excepted (default: 1400)"},
        {.name = "flush-bytes", .value = "SIZE", .kind = OPTION_CALL, .take = quantity_take_size,
         .target = &numbers.flush_bytes, .help = "send with so many at the latest (default: 64k)"},
        {.name = "flush-messages", .value = "N", .kind = OPTION_COUNT,
         .target = &numbers.flush_messages, .min = 1, .max = 65534,
         .help = "or with so many messages (default: any number)"},
        {.name = "flush-us", .value = "N", .kind = OPTION_COUNT, .target = &numbers.flush_us,
         .min = 1, .max = 10000000, .help = "or so long after the first (default: 100)"},
        {.name = "heartbeat-ms", .value = "N", .kind = OPTION_COUNT,
         .target = &numbers.heartbeat_ms, .min = 1, .max = 3600000,
         .help = "when there is nothing to send (default: 1000)"},
        {.name = "linger", .value = "TIME", .kind = OPTION_CALL, .take = quantity_take_time,
         .target = &publish->linger_ns,
         .help = "answer requests so long after the end (default: 10s)"},
        {.name = "rate", .value = "N", .kind = OPTION_CALL, .take = take_rate,
         .target = &publish->rate, .help = "messages a second (default: as they come)"},
        {.name = "stamps", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &publish->has_stamps,
         .help = "tell how long packets took to leave the kernel (default: off)"},
        {0},
    };
    /* clang-format on */
    const struct feed_command command = {
        .name = NAME,
        .arguments = "--session NAME --group ADDR:PORT --in FILE|-|unix:PATH",
        .summary = "Publishes messages as a sequenced MoldUDP64 stream.",
        .roles = FEED_FLAGS_SEND | FEED_FLAGS_NAME,
        .own = own};
    const enum options_result result = feed_flags_parse(&command, &publish->flags, argc, argv);
    const char *wrong = result == OPTIONS_GO ? check(publish) : NULL;
    if (wrong) {
        options_complain(NAME, wrong);
        return OPTIONS_WRONG;
    }
    settle(publish, &numbers);
    return result;
}

int feed_publish(int argc, char **argv)
{
    struct publish publish = {0};
    const enum options_result parsed = parse(&publish, argc, argv);
    return feed_run(parsed, NAME, &publish.flags, run, &publish);
}
