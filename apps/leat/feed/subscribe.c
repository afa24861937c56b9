/* SPDX-License-Identifier: MIT */
/*
 * leat feed subscribe: the messages of a stream, in sequence, to a file or a pipe.
 *
 * The output has two buffers (sink.h). When its reader is slower than the stream, on_batch waits in
 * the end; packets wait in the kernel's buffer then, the kernel drops what has no room there, and
 * what it has dropped is a gap like any other, asked for once the reader goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "commands.h"
#include "flags.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "leat/itch.h"
#include "run.h"
#include "sink.h"
#include "subcommands.h"
#include "quantity.h"

enum {
    DECODE_NOTHING,
    DECODE_ITCH,
    GOODBYE_MS = 2000, /* what is left to the output's reader after a signal */
    LINE_SIZE = 512,
};

static const char NAME[] = "leat feed subscribe";

struct subscribe {
    struct feed_flags flags;
    struct leat_feed_subscriber_options options;
    const char *out;
    int decode;
    int64_t timeout_ns, stats_every_ns;
    bool stops_at_gap;

    struct leat_feed_subscriber *subscriber;
    struct feed_sink sink;
    struct leat_scope *running; /* what the first signal cancels; NULL: not begun, or over */
    bool is_closing;            /* the second one, or the first after the end: the sink */
    int result;                 /* of the run */
    uint64_t lost;              /* messages */
};

static void tell(const char *line)
{
    options_complain(NAME, line);
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* What is no message of ITCH is told by its beginning. */
static size_t write_unknown(struct leat_slice message, char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * LEAT_ITCH_SIZE_MAX + 1];
    const size_t count = message.size < LEAT_ITCH_SIZE_MAX ? message.size : LEAT_ITCH_SIZE_MAX;
    for (size_t index = 0; index < count; index++) {
        const unsigned char byte = (unsigned char)message.data[index];
        hex[2 * index] = digits[byte >> 4];
        hex[2 * index + 1] = digits[byte & 15];
    }
    hex[2 * count] = '\0';
    return (size_t)snprintf(text, size, "{\"type\":null,\"size\":%zu,\"hex\":\"%s\"}", message.size,
                            hex);
}

static int add_decoded(struct subscribe *subscribe, const struct leat_feed_batch *batch)
{
    struct leat_slice blocks = batch->blocks, message;
    struct leat_itch_message decoded;
    char json[LEAT_ITCH_JSON_SIZE + 1];
    while (leat_feed_next(&blocks, &message)) {
        int size = leat_itch_decode(message, &decoded);
        if (!size)
            size = leat_itch_to_json(&decoded, json, LEAT_ITCH_JSON_SIZE);
        size_t end = size > 0 ? (size_t)size : write_unknown(message, json, LEAT_ITCH_JSON_SIZE);
        json[end++] = '\n';
        const int error = feed_sink_add(&subscribe->sink, slice_of(json, end));
        if (error)
            return error;
    }
    return 0;
}

static int on_batch(const struct leat_feed_batch *batch, void *user)
{
    struct subscribe *subscribe = user;
    ASSERT(batch->count > 0);
    if (subscribe->decode == DECODE_ITCH)
        return add_decoded(subscribe, batch);
    return feed_sink_add(&subscribe->sink, batch->blocks);
}

static int on_lost(uint64_t first, uint64_t last, void *user)
{
    struct subscribe *subscribe = user;
    char line[LINE_SIZE];
    ASSERT(first <= last);
    subscribe->lost += last - first + 1;
    snprintf(line, sizeof line, "gap lost %lu..%lu", (unsigned long)first, (unsigned long)last);
    tell(line);
    return subscribe->stops_at_gap ? -ENODATA : 0;
}

/* ---- Statistics ------------------------------------------------------------------------------ */

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void tell_stats(const struct subscribe *subscribe)
{
    struct leat_feed_subscriber_stats stats;
    char line[LINE_SIZE], lines[128] = "";
    leat_feed_subscriber_stats(subscribe->subscriber, &stats);
    const uint64_t firsts = stats.lines[0].first + stats.lines[1].first;
    if (subscribe->options.lines[1])
        snprintf(lines, sizeof lines, " (first from A %.1f %%, B %.1f %%)",
                 percent(stats.lines[0].first, firsts), percent(stats.lines[1].first, firsts));
    snprintf(line, sizeof line,
             "session %s: %lu messages in %lu packets%s; the next is %lu; %lu gaps of %lu "
             "messages, %lu asked for and got, %lu lost; %lu packets dropped by this host",
             stats.session[0] ? stats.session : "(none heard)", (unsigned long)stats.messages,
             (unsigned long)stats.packets, lines, (unsigned long)stats.next_sequence,
             (unsigned long)stats.gaps, (unsigned long)stats.gap_messages,
             (unsigned long)stats.recovered_messages, (unsigned long)stats.lost_messages,
             (unsigned long)(stats.lines[0].dropped + stats.lines[1].dropped));
    tell(line);
}

static void tell_often(void *arg)
{
    const struct subscribe *subscribe = arg;
    int64_t next_ns = leat_now_ns() + subscribe->stats_every_ns;
    while (leat_sleep_until(next_ns) == 0) {
        tell_stats(subscribe);
        next_ns += subscribe->stats_every_ns;
    }
}

/* ---- The course of things -------------------------------------------------------------------- */

static void on_signal(unsigned count, void *user)
{
    struct subscribe *subscribe = user;
    if (subscribe->running)
        leat_scope_cancel(subscribe->running);
    else if (subscribe->is_closing)
        feed_sink_abandon(&subscribe->sink);
}

static void subscribe_to_end(void *arg)
{
    struct subscribe *subscribe = arg;
    const int64_t deadline_ns =
        subscribe->timeout_ns > 0 ? leat_now_ns() + subscribe->timeout_ns : LEAT_FOREVER;
    subscribe->result = leat_feed_subscriber_run(subscribe->subscriber, deadline_ns);
}

static int spawn(struct subscribe *subscribe, struct leat_scope *scope, leat_fiber_fn fn,
                 const char *name)
{
    return leat_spawn(scope, fn, subscribe, &(struct leat_fiber_options){.name = name});
}

static void run_to_end(struct subscribe *subscribe)
{
    struct leat_scope running;
    leat_scope_init(&running);
    subscribe->running = &running;
    subscribe->result = spawn(subscribe, &running, subscribe_to_end, "subscriber");
    (void)leat_scope_join(&running, LEAT_FOREVER);
    subscribe->running = NULL;
    leat_scope_fini(&running);
}

/* The exit status, of how the run has ended and what became of the output. */
static int status_of(const struct subscribe *subscribe, int output, bool is_interrupted)
{
    char line[LINE_SIZE];
    const int result = subscribe->result;
    if (is_interrupted && (output == -ETIMEDOUT || output == -ECANCELED))
        return EXIT_INTERRUPTED; /* its reader would not take the rest */
    if (output == -EPIPE)
        return EXIT_FAILURE; /* its reader has seen enough: nothing to tell */
    if (output) {
        snprintf(line, sizeof line, "cannot write '%s': %s", subscribe->out,
                 leat_error_text(output));
        tell(line);
        return EXIT_FAILURE;
    }
    switch (result) {
    case 0: return subscribe->lost > 0 ? EXIT_LOST : EXIT_SUCCESS;
    case -ENODATA: return EXIT_LOST;
    case -ECANCELED: return EXIT_INTERRUPTED;
    case -ETIMEDOUT: tell("the session did not end within --timeout"); return EXIT_FAILURE;
    default: tell(leat_error_text(result)); return EXIT_FAILURE;
    }
}

static int subscribe_all(struct subscribe *subscribe)
{
    struct leat_scope helpers;
    struct feed_watch watch = {.on_signal = on_signal, .user = subscribe};
    leat_scope_init(&helpers);
    int error = feed_watch(&watch, &helpers);
    if (!error && subscribe->stats_every_ns > 0)
        error = spawn(subscribe, &helpers, tell_often, "stats");
    if (error)
        subscribe->result = error;
    else
        run_to_end(subscribe);
    subscribe->is_closing = true;
    const int output = feed_sink_close(&subscribe->sink,
                                       watch.count > 0 ? leat_after_ms(GOODBYE_MS) : LEAT_FOREVER);
    leat_scope_fini(&helpers);
    tell_stats(subscribe);
    return status_of(subscribe, output, watch.count > 0);
}

static int run(void *arg)
{
    struct subscribe *subscribe = arg;
    char line[LINE_SIZE], reason[LINE_SIZE];
    int error = feed_sink_open(&subscribe->sink, subscribe->out);
    if (error) {
        snprintf(line, sizeof line, "cannot write '%s': %s", subscribe->out,
                 leat_error_text(error));
        tell(line);
        return EXIT_WRONG_USE;
    }
    error = leat_feed_subscriber_open(&subscribe->options, &subscribe->subscriber, reason,
                                      sizeof reason);
    if (error) {
        (void)feed_sink_close(&subscribe->sink, LEAT_FOREVER);
        tell(reason);
        return feed_status_of(error);
    }
    feed_tell_listening(NAME, &subscribe->flags);
    const int status = subscribe_all(subscribe);
    leat_feed_subscriber_close(subscribe->subscriber);
    return status;
}

/* ---- The flags ------------------------------------------------------------------------------- */

struct numbers {
    long window_us, window_packets, packet_size, request_ms, request_tries, silence_ms;
    uint64_t from;
};

static void settle(struct subscribe *subscribe, const struct numbers *numbers)
{
    struct leat_feed_subscriber_options *options = &subscribe->options;
    const struct feed_flags *flags = &subscribe->flags;
    options->lines[0] = flags->group;
    options->lines[1] = flags->group_b;
    options->source = flags->source;
    options->session = flags->session;
    options->from = numbers->from;
    if (numbers->from == UINT64_MAX) /* was not given */
        options->from = options->request ? 1 : LEAT_FEED_FROM_NOW;
    options->mode = flags->is_spinning ? LEAT_FEED_SPIN : LEAT_FEED_ECONOMICAL;
    options->window_packets = (unsigned)numbers->window_packets;
    options->packet_size_max = (size_t)numbers->packet_size;
    options->window_us = (unsigned)numbers->window_us;
    options->request_ms = (unsigned)numbers->request_ms;
    options->request_tries = (unsigned)numbers->request_tries;
    options->silence_ms = (unsigned)numbers->silence_ms;
    options->socket = flags->socket;
    options->on_batch = on_batch;
    options->on_lost = on_lost;
    options->user = subscribe;
}

static enum options_result parse(struct subscribe *subscribe, int argc, char **argv)
{
    static const char *const forms[] = {"off", "itch", NULL};
    struct numbers numbers = {.from = UINT64_MAX};
    /* clang-format off */
    const struct option own[] = {
        {.name = "request", .value = "ADDR:PORT", .kind = OPTION_TEXT,
         .target = &subscribe->options.request,
         .help = "ask there for what is missing (default: it is lost)"},
        {.name = "from", .value = "N|now", .kind = OPTION_CALL, .take = feed_take_sequence,
         .target = &numbers.from,
         .help = "the first message wanted (default: 1 with --request, else now)"},
        {.name = "out", .value = "FILE|-", .kind = OPTION_TEXT, .target = &subscribe->out,
         .help = "a big-endian u16 length before each message (default: -)"},
        {.name = "decode", .value = "off|itch", .kind = OPTION_CHOICE,
         .target = &subscribe->decode, .choices = forms,
         .help = "itch: a line of JSON a message instead (default: off)"},
        {.name = "stop-at-gap", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &subscribe->stops_at_gap,
         .help = "end where messages are lost, rather than go on behind (default: off)"},
        {.name = "timeout", .value = "TIME", .kind = OPTION_CALL, .take = quantity_take_time,
         .target = &subscribe->timeout_ns, .help = "for all of it (default: no end)"},
        {.name = "stats-every", .value = "TIME", .kind = OPTION_CALL, .take = quantity_take_time,
         .target = &subscribe->stats_every_ns, .help = "tell how it goes (default: at the end)"},
        {.name = "window-us", .value = "N", .kind = OPTION_COUNT, .target = &numbers.window_us,
         .min = 1, .max = 10000000,
         .help = "wait so long for a late packet before asking (default: 500)"},
        {.name = "window-packets", .value = "N", .kind = OPTION_COUNT,
         .target = &numbers.window_packets, .min = 1, .max = 1 << 20,
         .help = "that came too early and wait (default: 4096)"},
        {.name = "packet-size", .value = "N", .kind = OPTION_COUNT, .target = &numbers.packet_size,
         .min = LEAT_FEED_PACKET_SIZE_MIN, .max = LEAT_FEED_PACKET_SIZE_MAX,
         .help = "the largest there is (default: 2048)"},
        {.name = "request-ms", .value = "N", .kind = OPTION_COUNT, .target = &numbers.request_ms,
         .min = 1, .max = 60000, .help = "ask again after so long, then twice (default: 20)"},
        {.name = "request-tries", .value = "N", .kind = OPTION_COUNT,
         .target = &numbers.request_tries, .min = 1, .max = 1000,
         .help = "then it is lost (default: 8)"},
        {.name = "silence-ms", .value = "N", .kind = OPTION_COUNT, .target = &numbers.silence_ms,
         .min = 1, .max = 3600000,
         .help = "a line that says nothing for so long is gone (default: 3000)"},
        {0},
    };
    /* clang-format on */
    const struct feed_command command = {
        .name = NAME,
        .arguments = "--group ADDR:PORT",
        .summary = "Receives a MoldUDP64 stream and writes its messages in sequence.",
        .roles = FEED_FLAGS_RECEIVE | FEED_FLAGS_NAME,
        .own = own};
    subscribe->out = "-";
    const enum options_result result = feed_flags_parse(&command, &subscribe->flags, argc, argv);
    if (result == OPTIONS_GO && !subscribe->flags.group) {
        tell("which stream? such as --group 239.1.1.1:5000");
        return OPTIONS_WRONG;
    }
    settle(subscribe, &numbers);
    return result;
}

int feed_subscribe(int argc, char **argv)
{
    struct subscribe subscribe = {0};
    const enum options_result parsed = parse(&subscribe, argc, argv);
    return feed_run(parsed, NAME, &subscribe.flags, run, &subscribe);
}
