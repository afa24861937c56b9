/* SPDX-License-Identifier: MIT */
/*
 * leat feed stat: a subscriber that keeps no message, and tells each second how the stream is
 * doing.
 */
#include "stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "commands.h"
#include "flags.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "leat/itch.h"
#include "run.h"
#include "subcommands.h"
#include "quantity.h"

enum { DECODE_NOTHING, DECODE_ITCH };

static const char NAME[] = "leat feed stat";

struct stat_command {
    struct feed_flags flags;
    struct leat_feed_subscriber_options options;
    int decode;
    bool is_json;
    int64_t every_ns;
    long count; /* of intervals; 0: no end */

    struct leat_feed_subscriber *subscriber;
    struct leat_scope *running; /* what a signal cancels; NULL: not begun, or over */
    struct stat_interval interval;
    struct histogram latency, age;
    int64_t midnight_ns; /* the local one, on the wall clock: ITCH counts from there */
    int result;
};

static int64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

static int64_t last_midnight_ns(void)
{
    const time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    local.tm_hour = local.tm_min = local.tm_sec = 0;
    local.tm_isdst = -1;
    return (int64_t)mktime(&local) * LEAT_NS_PER_S;
}

/* ---- What comes ------------------------------------------------------------------------------ */

static void record(struct histogram *histogram, int64_t from_ns, int64_t to_ns)
{
    if (to_ns >= from_ns) /* clocks may be set */
        histogram_record(histogram, (uint64_t)(to_ns - from_ns));
}

static void record_ages(struct stat_command *stat, const struct leat_feed_batch *batch,
                        int64_t arrival_ns)
{
    struct leat_slice blocks = batch->blocks, message;
    struct leat_itch_message decoded;
    while (leat_feed_next(&blocks, &message))
        if (leat_itch_decode(message, &decoded) == 0)
            record(&stat->age, stat->midnight_ns + (int64_t)decoded.timestamp_ns, arrival_ns);
}

static int on_batch(const struct leat_feed_batch *batch, void *user)
{
    struct stat_command *stat = user;
    const int64_t now_ns = wall_ns();
    if (batch->is_recovered)
        return 0;
    if (batch->received_ns > 0)
        record(&stat->latency, batch->received_ns, now_ns);
    if (stat->decode == DECODE_ITCH)
        record_ages(stat, batch, batch->received_ns > 0 ? batch->received_ns : now_ns);
    return 0;
}

static int on_lost(uint64_t first, uint64_t last, void *user)
{
    return 0; /* the statistics have it */
}

/* ---- The course of things -------------------------------------------------------------------- */

static void on_signal(unsigned count, void *user)
{
    struct stat_command *stat = user;
    if (stat->running)
        leat_scope_cancel(stat->running);
}

static enum stat_form form_of(const struct stat_command *stat)
{
    if (stat->is_json)
        return STAT_JSON;
    return isatty(STDOUT_FILENO) ? STAT_SCREEN : STAT_LINES;
}

static int show(struct stat_command *stat, int64_t length_ns, unsigned count)
{
    struct stat_interval *interval = &stat->interval;
    leat_feed_subscriber_stats(stat->subscriber, &interval->now);
    interval->end_wall_ns = wall_ns();
    interval->length_s = (double)length_ns / 1e9;
    interval->running_s += interval->length_s;
    const int error = stat_show(form_of(stat), interval, count, stdout);
    interval->before = interval->now;
    histogram_clear(&stat->latency);
    histogram_clear(&stat->age);
    stat->midnight_ns = last_midnight_ns();
    return error;
}

/* An interval is over when the subscriber's deadline passes. */
static void watch(void *arg)
{
    struct stat_command *stat = arg;
    int64_t begin_ns = leat_now_ns();
    int result = -ETIMEDOUT;
    for (unsigned count = 0;
         result == -ETIMEDOUT && (stat->count == 0 || count < (unsigned long)stat->count);
         count++) {
        result = leat_feed_subscriber_run(stat->subscriber, begin_ns + stat->every_ns);
        const int64_t now_ns = leat_now_ns();
        if (result == -ECANCELED)
            break;
        const int error = show(stat, now_ns - begin_ns, count);
        begin_ns = now_ns;
        result = error ? error : result;
    }
    stat->result = result == -ETIMEDOUT || result == -ECANCELED ? 0 : result;
}

static int watch_all(struct stat_command *stat)
{
    struct leat_scope helpers, running;
    struct feed_watch signals = {.on_signal = on_signal, .user = stat};
    leat_scope_init(&helpers);
    leat_scope_init(&running);
    stat->running = &running;
    stat->result = feed_watch(&signals, &helpers);
    if (!stat->result)
        stat->result =
            leat_spawn(&running, watch, stat, &(struct leat_fiber_options){.name = "stat"});
    (void)leat_scope_join(&running, LEAT_FOREVER);
    stat->running = NULL;
    leat_scope_fini(&running);
    leat_scope_fini(&helpers);
    if (stat->result == 0)
        return EXIT_SUCCESS;
    if (stat->result != -EPIPE)
        options_complain(NAME, leat_error_text(stat->result));
    return EXIT_FAILURE;
}

static int run(void *arg)
{
    struct stat_command *stat = arg;
    char reason[FEED_ERROR_SIZE];
    const int error =
        leat_feed_subscriber_open(&stat->options, &stat->subscriber, reason, sizeof reason);
    if (error) {
        options_complain(NAME, reason);
        return feed_status_of(error);
    }
    stat->midnight_ns = last_midnight_ns();
    feed_tell_listening(NAME, &stat->flags);
    const int status = watch_all(stat);
    leat_feed_subscriber_close(stat->subscriber);
    return status;
}

/* ---- The flags ------------------------------------------------------------------------------- */

static void settle(struct stat_command *stat)
{
    struct leat_feed_subscriber_options *options = &stat->options;
    const struct feed_flags *flags = &stat->flags;
    options->lines[0] = flags->group;
    options->lines[1] = flags->group_b;
    options->source = flags->source;
    options->session = flags->session;
    options->from = LEAT_FEED_FROM_NOW;
    options->mode = flags->is_spinning ? LEAT_FEED_SPIN : LEAT_FEED_ECONOMICAL;
    options->socket = flags->socket;
    options->socket.has_stamps = true;
    options->on_batch = on_batch;
    options->on_lost = on_lost;
    options->user = stat;
    stat->interval.has_b = flags->group_b != NULL;
    stat->interval.latency = &stat->latency;
    stat->interval.age = stat->decode == DECODE_ITCH ? &stat->age : NULL;
}

static enum options_result parse(struct stat_command *stat, int argc, char **argv)
{
    static const char *const forms[] = {"off", "itch", NULL};
    stat->every_ns = LEAT_NS_PER_S;
    /* clang-format off */
    const struct option own[] = {
        {.name = "request", .value = "ADDR:PORT", .kind = OPTION_TEXT,
         .target = &stat->options.request,
         .help = "ask there for what is missing (default: it is lost)"},
        {.name = "every", .value = "TIME", .kind = OPTION_CALL, .take = quantity_take_time,
         .target = &stat->every_ns, .help = "a line (default: 1s)"},
        {.name = "count", .value = "N", .kind = OPTION_COUNT, .target = &stat->count, .min = 1,
         .max = 1000000000, .help = "so many, then end (default: no end)"},
        {.name = "json", .value = "on|off", .kind = OPTION_SWITCH, .target = &stat->is_json,
         .help = "an object a line, for programs (default: off)"},
        {.name = "decode", .value = "off|itch", .kind = OPTION_CHOICE, .target = &stat->decode,
         .choices = forms, .help = "itch: how old messages are, by their own time (default: off)"},
        {0},
    };
    /* clang-format on */
    const struct feed_command command = {.name = NAME,
                                         .arguments = "--group ADDR:PORT",
                                         .summary = "Shows how a MoldUDP64 stream is doing, live.",
                                         .roles = FEED_FLAGS_RECEIVE | FEED_FLAGS_NAME,
                                         .own = own};
    const enum options_result result = feed_flags_parse(&command, &stat->flags, argc, argv);
    const char *wrong = NULL;
    if (result == OPTIONS_GO && !stat->flags.group)
        wrong = "which stream? such as --group 239.1.1.1:5000";
    else if (result == OPTIONS_GO && stat->every_ns <= 0)
        wrong = "--every must be above 0";
    if (wrong) {
        options_complain(NAME, wrong);
        return OPTIONS_WRONG;
    }
    settle(stat);
    return result;
}

int feed_stat(int argc, char **argv)
{
    struct stat_command *stat = calloc(1, sizeof *stat); /* histograms are large */
    if (!stat)
        return EXIT_FAILURE;
    const enum options_result parsed = parse(stat, argc, argv);
    const int status = feed_run(parsed, NAME, &stat->flags, run, stat);
    free(stat);
    return status;
}
