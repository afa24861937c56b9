/* SPDX-License-Identifier: MIT */
/*
 * leat feed record: keeps a stream, as packets in a capture, as messages in a log, or both, which
 * then have sockets of their own each.
 *
 *     opened ──> recording ───────────────────────────> closed: all is in the files
 *                  │ a signal, --for, an error,            │
 *                  └─ or (--log) the session's end         └─
 */
#include "record.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "commands.h"
#include "leat/address.h"
#include "leat/error.h"
#include "run.h"
#include "subcommands.h"
#include "quantity.h"

static const char NAME[] = "leat feed record";

void record_tell(const char *format, ...)
{
    char line[FEED_ERROR_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    options_complain(NAME, line);
}

/* ---- Telling --------------------------------------------------------------------------------- */

static void announce(const struct record *record)
{
    char line[FEED_ERROR_SIZE];
    const char *pcap = record->pcap_path, *log = record->log_path;
    snprintf(line, sizeof line, "recording %s%s%s to %s%s%s", record->flags.group,
             record->flags.group_b ? ", " : "", record->flags.group_b ? record->flags.group_b : "",
             pcap ? pcap : "", pcap && log ? ", " : "", log ? log : "");
    if (pcap && strcmp(pcap, "-") == 0)
        record_tell("%s", line); /* packets go to standard output */
    else
        process_say(line);
}

static int tell_pcap(const struct record *record, int closing)
{
    const struct record_pcap *pcap = &record->pcap;
    int error = pcap->result;
    if (error == -ECANCELED || error == -ETIMEDOUT)
        error = 0;
    if (error == -EPIPE)
        return EXIT_FAILURE; /* its reader has seen enough: nothing to tell */
    if (error || closing)
        record_tell("cannot write '%s': %s", record->pcap_path,
                    leat_error_text(error ? error : closing));
    record_tell("%lu packets, %lu bytes to '%s'", (unsigned long)pcap->packets,
                (unsigned long)pcap->bytes, record->pcap_path);
    if (pcap->dropped > 0) /* the kernel counts what it put together (UDP_GRO) as one */
        record_tell("this host was too slow for at least %lu packets more",
                    (unsigned long)pcap->dropped);
    return error || closing ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Before it is closed: what it says is asked there. */
static int tell_log(const struct record *record)
{
    const struct record_log *log = &record->log;
    struct leat_feed_subscriber_stats stats;
    leat_feed_subscriber_stats(log->subscriber, &stats);
    int status = EXIT_FAILURE;
    switch (log->result) {
    case 0:
    case -ECANCELED:
    case -ETIMEDOUT: status = EXIT_SUCCESS; break;
    case -ENODATA:
        status = EXIT_LOST;
        record_tell("gap lost %lu..%lu: the log ends before it", (unsigned long)log->lost_first,
                    (unsigned long)log->lost_last);
        break;
    default:
        if (log->reason[0])
            record_tell("%s", log->reason);
        else
            record_tell("cannot write '%s': %s", record->log_path, leat_error_text(log->result));
    }
    if (log->first_sequence == 0) {
        record_tell("no messages to '%s'%s", record->log_path,
                    log->result == 0 ? "; the session has ended" : "");
        return status;
    }
    record_tell("session %s: messages %lu..%lu to '%s'%s", stats.session,
                (unsigned long)log->first_sequence,
                (unsigned long)(feed_log_tail(log->log)->next_sequence - 1), record->log_path,
                log->result == 0 ? "; the session has ended" : "");
    return status;
}

/* ---- The course of things -------------------------------------------------------------------- */

static void on_signal(unsigned count, void *user)
{
    struct record *record = user;
    record->signals = count;
    if (record->running)
        leat_scope_cancel(record->running);
}

static int open_all(struct record *record)
{
    int error = record->pcap_path ? record_pcap_open(record) : 0;
    if (!error && record->log_path)
        error = record_log_open(record);
    return error;
}

static int spawn_all(struct record *record)
{
    int error = 0;
    if (record->pcap_path)
        error = leat_spawn(record->running, record_pcap_run, record,
                           &(struct leat_fiber_options){.name = "packets"});
    if (!error && record->log_path)
        error = leat_spawn(record->running, record_log_run, record,
                           &(struct leat_fiber_options){.name = "messages"});
    return error;
}

static int record_all(struct record *record)
{
    struct leat_scope running, helpers;
    struct feed_watch watch = {.on_signal = on_signal, .user = record};
    leat_scope_init(&helpers);
    leat_scope_init(&running);
    record->running = &running;
    record->deadline_ns =
        record->duration_ns > 0 ? leat_now_ns() + record->duration_ns : LEAT_FOREVER;
    int error = feed_watch(&watch, &helpers);
    if (!error)
        error = spawn_all(record);
    if (error) {
        record_tell("%s", leat_error_text(error));
        leat_scope_cancel(&running);
    } else {
        announce(record);
    }
    (void)leat_scope_join(&running, LEAT_FOREVER);
    record->running = NULL;
    leat_scope_fini(&running);
    leat_scope_fini(&helpers);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(void *arg)
{
    struct record *record = arg;
    const int opening = open_all(record);
    const bool is_open = opening == 0;
    int status = is_open ? record_all(record) : feed_status_of(opening);
    if (is_open && record->log_path) {
        const int log_status = tell_log(record);
        status = status ? status : log_status;
    }
    if (record->log.subscriber) {
        const int error = record_log_close(record);
        if (error) {
            record_tell("cannot write '%s': %s", record->log_path, leat_error_text(error));
            status = EXIT_FAILURE;
        }
    }
    const int closing = record->pcap_path ? record_pcap_close(record) : 0;
    if (is_open && record->pcap_path) {
        const int pcap_status = tell_pcap(record, closing);
        status = status ? status : pcap_status;
    }
    return status;
}

/* ---- The flags ------------------------------------------------------------------------------- */

/* Two sockets get a group's packets each; those to a single address only one does. */
static bool is_shared(const char *address)
{
    struct leat_address parsed;
    if (leat_address_parse(address, &parsed, NULL) != 0)
        return true; /* a ring; or nonsense, which is told later on */
    if (leat_address_family(&parsed) == AF_INET6)
        return IN6_IS_ADDR_MULTICAST(&parsed.v6.sin6_addr);
    return leat_address_family(&parsed) != AF_INET ||
           IN_MULTICAST(ntohl(parsed.v4.sin_addr.s_addr));
}

/* NULL, or what is wrong. */
static const char *check(const struct record *record)
{
    const struct feed_flags *flags = &record->flags;
    if (!flags->group)
        return "which stream? such as --group 239.1.1.1:5000";
    if (!record->pcap_path && !record->log_path)
        return "where to? --pcap FILE keeps packets, --log FOLDER messages in sequence";
    if (record->pcap_path && record->log_path &&
        (!is_shared(flags->group) || (flags->group_b && !is_shared(flags->group_b))))
        return "packets to a single address come once: --pcap or --log, or a group";
    if (!record->log_path && (record->request || flags->session || record->from != UINT64_MAX))
        return "--request, --from and --session go with --log";
    return NULL;
}

static enum options_result parse(struct record *record, int argc, char **argv)
{
    /* clang-format off */
    const struct option own[] = {
        {.name = "pcap", .value = "FILE|-", .kind = OPTION_TEXT, .target = &record->pcap_path,
         .help = "packets as they come, with the kernel's times"},
        {.name = "log", .value = "FOLDER", .kind = OPTION_TEXT, .target = &record->log_path,
         .help = "messages in sequence, in a log as a publisher's"},
        {.name = "request", .value = "ADDR:PORT", .kind = OPTION_TEXT, .target = &record->request,
         .help = "ask there for what the log misses (default: it ends)"},
        {.name = "from", .value = "N|now", .kind = OPTION_CALL, .take = feed_take_sequence,
         .target = &record->from,
         .help = "a new log's first message (default: 1 with --request, else now)"},
        {.name = "segment-size", .value = "SIZE", .kind = OPTION_CALL, .take = quantity_take_size,
         .target = &record->segment_size, .help = "of a file of a new log (default: 64m)"},
        {.name = "for", .value = "TIME", .kind = OPTION_CALL, .take = quantity_take_time,
         .target = &record->duration_ns, .help = "then end (default: by a signal)"},
        {0},
    };
    /* clang-format on */
    const struct feed_command command = {
        .name = NAME,
        .arguments = "--group ADDR:PORT",
        .summary = "Keeps a stream: its packets in a capture, its messages in a log.",
        .roles = FEED_FLAGS_RECEIVE | FEED_FLAGS_NAME,
        .own = own};
    record->from = UINT64_MAX;
    const enum options_result result = feed_flags_parse(&command, &record->flags, argc, argv);
    if (result != OPTIONS_GO)
        return result;
    const char *error = check(record);
    if (error) {
        record_tell("%s", error);
        return OPTIONS_WRONG;
    }
    if (record->from == UINT64_MAX) /* was not given */
        record->from = record->request ? 1 : LEAT_FEED_FROM_NOW;
    record->flags.socket.has_stamps = true;
    return OPTIONS_GO;
}

int feed_record(int argc, char **argv)
{
    struct record *record = calloc(1, sizeof *record);
    if (!record) {
        record_tell("%s", leat_error_text(-ENOMEM));
        return EXIT_FAILURE;
    }
    const enum options_result parsed = parse(record, argc, argv);
    const int status = feed_run(parsed, NAME, &record->flags, run, record);
    free(record);
    return status;
}
