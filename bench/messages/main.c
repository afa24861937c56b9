/* SPDX-License-Identifier: MIT */
/*
 * What it costs to write one trade down and to read it again, in the formats of formats.c: ns of
 * processor time and bytes a message. JSON on stdout:
 *
 *   {"what": …, "rows": [{"name", "title", "note", "version", "status": "ok" | "not run", "reason",
 *     "bytes": the mean, "rounds": [{"encode_ns", "decode_ns"}, …]}, …]}
 *
 * With --mixed, leat's ITCH alone, of mixed types: {"what": …, "bytes", "rounds"}.
 *
 * Before anything is timed each format carries every trade there and back, and refuses each that
 * lacks its last byte; what the timed runs wrote and read is compared, too. Messages lie end to end
 * in one buffer, as in a packet; the formats take turns, in alternating order. Calls go through
 * pointers: no compiler sees a caller and its format together, so none leaves out work.
 */
#include "messages.h"

#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROUNDS_MAX = 1000,
    MS_MAX = 10000,
    PASSES = 16, /* over all trades, between two looks at the clock, which cost 0.3 us each */
};

struct options {
    unsigned rounds, ms;
    const char *dump; /* the name of a format, or NULL */
    bool trades;      /* print the table */
    bool mixed;
};

/* All trades in one format, end to end, and where each begins; the last element is the end. */
struct batch {
    uint8_t bytes[(TRADES + EDGES) * MESSAGE_MAX];
    uint32_t begin[TRADES + EDGES + 1];
};

struct round {
    double encode_ns, decode_ns;
};

__attribute__((noreturn, format(printf, 2, 3))) static void fail(int status, const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    fputs("messages: ", stderr);
    vfprintf(stderr, text, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

/* Processor time of this thread: who else has the core meanwhile does not count. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---------------------------------------------------------------------------------- the checks */

/* Encodes the first `count` trades into the batch. */
static void encode_all(const struct format *format, size_t count, struct batch *batch)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        batch->begin[i] = (uint32_t)used;
        const int size = format->encode(&trades[i], batch->bytes + used, MESSAGE_MAX);
        if (size <= 0)
            fail(1, "%s: trade %zu does not fit into %d bytes", format->name, i, MESSAGE_MAX);
        used += (size_t)size;
    }
    batch->begin[count] = (uint32_t)used;
}

static uint64_t decode_all(const struct format *format, size_t count, const struct batch *batch)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct trade trade;
        if (format->decode(batch->bytes + batch->begin[i], batch->begin[i + 1] - batch->begin[i],
                           &trade) != 0)
            fail(1, "%s: trade %zu is refused", format->name, i);
        sum += trade_checksum(&trade);
    }
    return sum;
}

/* There and back, edges included; too little room, and a message cut short, are refused. */
static void check(const struct format *format, struct batch *batch)
{
    encode_all(format, TRADES + EDGES, batch);
    for (size_t i = 0; i < TRADES + EDGES; i++) {
        const uint8_t *message = batch->bytes + batch->begin[i];
        const size_t size = batch->begin[i + 1] - batch->begin[i];
        struct trade trade;
        uint8_t scrap[MESSAGE_MAX];
        memset(&trade, 0xff, sizeof trade);
        if (format->decode(message, size, &trade) != 0 || !trade_equal(&trade, &trades[i]))
            fail(1, "%s: trade %zu comes back as another", format->name, i);
        if (format->decode(message, size - 1, &trade) == 0)
            fail(1, "%s: trade %zu is taken without its last byte", format->name, i);
        if (format->encode(&trades[i], scrap, size - 1) >= 0)
            fail(1, "%s: trade %zu is written into too little room", format->name, i);
    }
}

/* ------------------------------------------------------------------------------ the measurement */

static void encode_pass(const struct format *format, struct batch *batch)
{
    if (format->encode_pass != NULL)
        batch->begin[TRADES] = (uint32_t)format->encode_pass(batch->bytes, sizeof batch->bytes);
    else
        encode_all(format, TRADES, batch);
}

static double time_encode(const struct format *format, const struct batch *expected, unsigned ms)
{
    static struct batch batch;
    const uint64_t begin = cpu_ns();
    uint64_t took, passes = 0;
    do {
        for (int i = 0; i < PASSES; i++)
            encode_pass(format, &batch);
        passes += PASSES;
        took = cpu_ns() - begin;
    } while (took < (uint64_t)ms * 1000000);
    if (batch.begin[TRADES] != expected->begin[TRADES] ||
        memcmp(batch.bytes, expected->bytes, expected->begin[TRADES]) != 0)
        fail(1, "%s: the timed messages are not those that were checked", format->name);
    return (double)took / (double)(passes * TRADES);
}

/* Each trade is looked at while the clock runs: `copy` shows what that costs. */
static double time_decode(const struct format *format, const struct batch *batch, unsigned ms)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < TRADES; i++)
        expected += trade_checksum(&trades[i]);
    const uint64_t begin = cpu_ns();
    uint64_t took, passes = 0, sum = 0;
    do {
        for (int i = 0; i < PASSES; i++)
            sum += decode_all(format, TRADES, batch);
        passes += PASSES;
        took = cpu_ns() - begin;
    } while (took < (uint64_t)ms * 1000000);
    if (sum != expected * passes)
        fail(1, "%s: the timed trades are not those that were encoded", format->name);
    return (double)took / (double)(passes * TRADES);
}

/* Of `count` messages in a pass, which are looked at when the clock has stopped. */
static double time_decode_pass(bool (*pass)(const uint8_t *, size_t, bool), const uint8_t *messages,
                               size_t size, size_t count, unsigned ms)
{
    const uint64_t begin = cpu_ns();
    uint64_t took, passes = 0;
    bool is_whole = true;
    do {
        for (int i = 0; i < PASSES; i++)
            is_whole &= pass(messages, size, false);
        passes += PASSES;
        took = cpu_ns() - begin;
    } while (took < (uint64_t)ms * 1000000);
    if (!is_whole || !pass(messages, size, true))
        fail(1, "the timed messages are not those that were encoded");
    return (double)took / (double)(passes * count);
}

/* The formats take turns: A B C, C B A, A B C, … `rounds` is an array of rounds for each format. */
static void measure(const struct options *options, const struct batch *batches,
                    struct round (*rounds)[ROUNDS_MAX])
{
    for (unsigned round = 0; round < options->rounds; round++) {
        for (size_t turn = 0; turn < formats_count; turn++) {
            const size_t i = round % 2 == 0 ? turn : formats_count - 1 - turn;
            const struct format *format = &formats[i];
            if (format->encode == NULL)
                continue;
            rounds[i][round].encode_ns = time_encode(format, &batches[i], options->ms);
            rounds[i][round].decode_ns =
                format->decode_pass != NULL
                    ? time_decode_pass(format->decode_pass, batches[i].bytes,
                                       batches[i].begin[TRADES], TRADES, options->ms)
                    : time_decode(format, &batches[i], options->ms);
        }
    }
}

/* ----------------------------------------------------------------------------------- the output */

static json_t *make_row(const struct format *format, const struct batch *batch,
                        const struct round *rounds, unsigned rounds_count)
{
    char reason[128] = "";
    const bool is_there = format->encode != NULL;
    if (!is_there)
        snprintf(reason, sizeof reason, "%s not installed when this was built", format->package);
    json_t *figures = json_array();
    for (unsigned i = 0; is_there && i < rounds_count; i++)
        json_array_append_new(figures, json_pack("{s:f,s:f}", "encode_ns", rounds[i].encode_ns,
                                                 "decode_ns", rounds[i].decode_ns));
    json_t *row =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "name", format->name, "title", format->title, "note",
                  format->note, "version", format->version != NULL ? format->version() : "",
                  "status", is_there ? "ok" : "not run", "reason", reason);
    json_object_set_new(row, "bytes",
                        is_there ? json_real((double)batch->begin[TRADES] / TRADES) : json_null());
    json_object_set_new(row, "rounds", figures);
    return row;
}

static void run(const struct options *options)
{
    struct batch *batches = calloc(formats_count, sizeof *batches);
    struct round(*rounds)[ROUNDS_MAX] = calloc(formats_count, sizeof *rounds);
    if (batches == NULL || rounds == NULL)
        fail(1, "no memory for %zu formats", formats_count);
    for (size_t i = 0; i < formats_count; i++)
        if (formats[i].encode != NULL)
            check(&formats[i], &batches[i]);
    measure(options, batches, rounds);

    json_t *rows = json_array();
    for (size_t i = 0; i < formats_count; i++)
        json_array_append_new(rows, make_row(&formats[i], &batches[i], rounds[i], options->rounds));
    json_t *report = json_pack(
        "{s:s,s:o}", "what",
        "one trade with the nine fields of ITCH 5.0's trade message, encoded into a buffer of the "
        "caller's and decoded into a struct; 1,024 different trades in turn; ns of processor time "
        "and bytes a message",
        "rows", rows);
    if (json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0)
        fail(1, "the report can not be written");
    putchar('\n');
    json_decref(report);
    free(rounds);
    free(batches);
}

static double time_mixed_encode(uint8_t *bytes, size_t size, size_t count, unsigned ms)
{
    const uint64_t begin = cpu_ns();
    uint64_t took, passes = 0;
    do {
        for (int i = 0; i < PASSES; i++)
            if (mixed_encode_pass(bytes, size) == 0)
                fail(1, "mixed messages are not encoded");
        passes += PASSES;
        took = cpu_ns() - begin;
    } while (took < (uint64_t)ms * 1000000);
    return (double)took / (double)(passes * count);
}

static void run_mixed(const struct options *options)
{
    const size_t count = mixed_fill(), room = count * MESSAGE_MAX;
    uint8_t *bytes = malloc(room);
    if (bytes == NULL)
        fail(1, "no memory for %zu messages", count);
    const size_t size = mixed_encode_pass(bytes, room);
    json_t *figures = json_array();
    for (unsigned i = 0; i < options->rounds; i++) {
        const double encode_ns = time_mixed_encode(bytes, room, count, options->ms);
        const double decode_ns =
            time_decode_pass(mixed_decode_pass, bytes, size, count, options->ms);
        json_array_append_new(
            figures, json_pack("{s:f,s:f}", "encode_ns", encode_ns, "decode_ns", decode_ns));
    }
    json_t *report = json_pack(
        "{s:s,s:f,s:o}", "what",
        "leat's ITCH, in batches of 64: 8,192 messages of twelve types, mixed as on a day; ns of "
        "processor time and bytes a message",
        "bytes", (double)size / (double)count, "rounds", figures);
    if (json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0)
        fail(1, "the report can not be written");
    putchar('\n');
    json_decref(report);
    free(bytes);
}

/* A message a line, in hexadecimal, for readers that share no code with us. */
static void dump(const char *name)
{
    static struct batch batch;
    for (size_t i = 0; i < formats_count; i++) {
        if (strcmp(formats[i].name, name) != 0)
            continue;
        if (formats[i].encode == NULL)
            fail(1, "%s: %s not installed when this was built", name, formats[i].package);
        encode_all(&formats[i], TRADES + EDGES, &batch);
        for (size_t trade = 0; trade < TRADES + EDGES; trade++) {
            for (uint32_t at = batch.begin[trade]; at < batch.begin[trade + 1]; at++)
                printf("%02x", batch.bytes[at]);
            putchar('\n');
        }
        return;
    }
    fail(2, "'%s' is no format; there are those that the output without --dump names", name);
}

static void print_trades(void)
{
    puts("symbol\tprice\tshares\tside\ttimestamp_ns\torder\tmatch\tlocate\ttracking");
    for (size_t i = 0; i < TRADES + EDGES; i++) {
        const struct trade *trade = &trades[i];
        printf("%s\t%u\t%u\t%c\t%llu\t%llu\t%llu\t%u\t%u\n", trade->symbol, trade->price,
               trade->shares, trade->side, (unsigned long long)trade->timestamp_ns,
               (unsigned long long)trade->order, (unsigned long long)trade->match, trade->locate,
               trade->tracking);
    }
}

/* ------------------------------------------------------------------------------------ the front */

static const char usage[] =
    "usage: messages [--rounds N] [--ms M] [--quick] [--mixed]\n"
    "       messages --trades | --dump FORMAT\n"
    "\n"
    "  --rounds N      how often each format has its turn (1 to 1000; default: 15)\n"
    "  --ms M          how long it is encoded, and decoded, each time (1 to 10000; default: 50)\n"
    "  --quick         two rounds of 1 ms: does it run at all?\n"
    "  --mixed         leat's ITCH alone, of mixed types in place of trades\n"
    "  --trades        print the trades, fields apart by tabs\n"
    "  --dump FORMAT   print the trades in that format, a message a line, in hexadecimal\n";

static unsigned parse_number(const char *flag, const char *text, unsigned limit)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number < 1 || number > limit)
        fail(2, "--%s '%s': a number from 1 to %u is needed", flag, text, limit);
    return (unsigned)number;
}

static struct options parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"rounds", required_argument, NULL, 'r'}, {"ms", required_argument, NULL, 'm'},
        {"quick", no_argument, NULL, 'q'},        {"mixed", no_argument, NULL, 'x'},
        {"trades", no_argument, NULL, 't'},       {"dump", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    struct options options = {.rounds = 15, .ms = 50};
    int flag;
    while ((flag = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (flag) {
        case 'r': options.rounds = parse_number("rounds", optarg, ROUNDS_MAX); break;
        case 'm': options.ms = parse_number("ms", optarg, MS_MAX); break;
        case 'q': options.rounds = 2, options.ms = 1; break;
        case 'x': options.mixed = true; break;
        case 't': options.trades = true; break;
        case 'd': options.dump = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: exit(2); /* getopt has said why */
        }
    }
    if (optind < argc)
        fail(2, "'%s' is not wanted; messages --help lists the flags", argv[optind]);
    return options;
}

int main(int argc, char **argv)
{
    const struct options options = parse_options(argc, argv);
    trades_fill();
    if (options.trades)
        print_trades();
    else if (options.dump != NULL)
        dump(options.dump);
    else if (options.mixed)
        run_mixed(&options);
    else
        run(&options);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
