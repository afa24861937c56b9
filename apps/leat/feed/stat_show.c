/* SPDX-License-Identifier: MIT */
/*
 * See stat.h. Rates are of the interval; what is rare (gaps, losses, drops) is since the beginning.
 */
#include "stat.h"

#include <errno.h>

#include "base/assert.h"
#include "base/slice.h"
#include "text.h"

enum { HEADING_EVERY = 20, CELL = 32, SCREEN_LINES = 14 };

static double rate(const struct stat_interval *interval, uint64_t now, uint64_t before)
{
    return interval->length_s > 0 ? (double)(now - before) / interval->length_s : 0;
}

static double in_us(uint64_t ns)
{
    return (double)ns / 1e3;
}

/* Of what came first in this interval, line `line` brought so many per cent. */
static double first_share(const struct stat_interval *interval, unsigned line)
{
    uint64_t firsts[LEAT_FEED_LINES_MAX], all = 0;
    for (unsigned i = 0; i < LEAT_FEED_LINES_MAX; i++) {
        firsts[i] = interval->now.lines[i].first - interval->before.lines[i].first;
        all += firsts[i];
    }
    return all > 0 ? 100.0 * (double)firsts[line] / (double)all : 0;
}

struct line_rates {
    double packets, bytes;
};

static struct line_rates rates_of(const struct stat_interval *interval, unsigned line)
{
    const struct leat_feed_line_stats *now = &interval->now.lines[line];
    const struct leat_feed_line_stats *before = &interval->before.lines[line];
    return (struct line_rates){rate(interval, now->packets, before->packets),
                               rate(interval, now->bytes, before->bytes)};
}

static uint64_t dropped(const struct stat_interval *interval)
{
    return interval->now.lines[0].dropped + interval->now.lines[1].dropped;
}

static uint64_t duplicates(const struct stat_interval *interval)
{
    return interval->now.lines[0].duplicates + interval->now.lines[1].duplicates;
}

/* "12,345,678" */
static const char *grouped(double number, char text[CELL])
{
    char digits[CELL];
    const int count = snprintf(digits, sizeof digits, "%.0f", number);
    size_t size = 0;
    for (int index = 0; index < count && size + 2 < CELL; index++) {
        if (index > 0 && (count - index) % 3 == 0)
            text[size++] = ',';
        text[size++] = digits[index];
    }
    text[size] = '\0';
    return text;
}

/* "3.21 us", "12.0 ms"; "-" when there are none. */
static const char *quantile(const struct histogram *histogram, double of, char text[CELL])
{
    const double us = in_us(histogram_quantile_ns(histogram, of));
    if (histogram->count == 0)
        snprintf(text, CELL, "-");
    else if (us < 1e3)
        snprintf(text, CELL, "%.*f us", us < 10 ? 2 : us < 100 ? 1 : 0, us);
    else if (us < 1e6)
        snprintf(text, CELL, "%.*f ms", us < 1e4 ? 2 : us < 1e5 ? 1 : 0, us / 1e3);
    else
        snprintf(text, CELL, "%.1f s", us / 1e6);
    return text;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void show_line(const struct stat_interval *interval, unsigned count, FILE *out)
{
    const struct line_rates a = rates_of(interval, 0), b = rates_of(interval, 1);
    char cells[7][CELL];
    if (count % HEADING_EVERY == 0)
        fprintf(out, "%12s %10s %8s %7s %7s %7s %7s %7s %7s %8s %8s %8s%s\n", "messages/s",
                "packets/s", "MB/s", "A first", "B first", "gaps", "lost", "dup", "drops", "p50",
                "p99", "max", interval->age ? "  ITCH p50  ITCH p99" : "");
    fprintf(out, "%12s %10s %8.2f %6.1f%% %6.1f%% %7lu %7lu %7lu %7lu %8s %8s %8s",
            grouped(rate(interval, interval->now.messages, interval->before.messages), cells[0]),
            grouped(a.packets + b.packets, cells[1]), (a.bytes + b.bytes) / 1e6,
            first_share(interval, 0), first_share(interval, 1), (unsigned long)interval->now.gaps,
            (unsigned long)interval->now.lost_messages, (unsigned long)duplicates(interval),
            (unsigned long)dropped(interval), quantile(interval->latency, 0.5, cells[2]),
            quantile(interval->latency, 0.99, cells[3]), quantile(interval->latency, 1, cells[4]));
    if (interval->age)
        fprintf(out, "  %8s  %8s", quantile(interval->age, 0.5, cells[5]),
                quantile(interval->age, 0.99, cells[6]));
    fputc('\n', out);
}

/* ---- The screen ------------------------------------------------------------------------------ */

static void show_row(const char *name, const char *a, const char *b, bool has_b, FILE *out)
{
    fprintf(out, "\033[K  %-16s %16s %16s\n", name, a, has_b ? b : "");
}

static void show_count(const struct stat_interval *interval, const char *name, uint64_t a,
                       uint64_t b, FILE *out)
{
    char cells[2][CELL];
    show_row(name, grouped((double)a, cells[0]), grouped((double)b, cells[1]), interval->has_b,
             out);
}

static void show_lines(const struct stat_interval *interval, FILE *out)
{
    const struct leat_feed_line_stats *lines = interval->now.lines;
    char cells[LEAT_FEED_LINES_MAX][3][CELL];
    for (unsigned line = 0; line < LEAT_FEED_LINES_MAX; line++) {
        const struct line_rates rates = rates_of(interval, line);
        grouped(rates.packets, cells[line][0]);
        snprintf(cells[line][1], CELL, "%.2f", rates.bytes / 1e6);
        snprintf(cells[line][2], CELL, "%.1f %%", first_share(interval, line));
    }
    show_row("", lines[0].is_silent ? "A (silent)" : "A", lines[1].is_silent ? "B (silent)" : "B",
             interval->has_b, out);
    show_row("packets/s", cells[0][0], cells[1][0], interval->has_b, out);
    show_row("MB/s", cells[0][1], cells[1][1], interval->has_b, out);
    show_row("came first", cells[0][2], cells[1][2], interval->has_b, out);
    show_count(interval, "duplicates", lines[0].duplicates, lines[1].duplicates, out);
    show_count(interval, "malformed", lines[0].malformed, lines[1].malformed, out);
    show_count(interval, "foreign", lines[0].foreign_session + lines[0].foreign_source,
               lines[1].foreign_session + lines[1].foreign_source, out);
    show_count(interval, "dropped here", lines[0].dropped, lines[1].dropped, out);
}

static void show_times(const char *name, const struct histogram *histogram, FILE *out)
{
    char cells[3][CELL];
    fprintf(out, "\033[K  %-16s p50 %s   p99 %s   max %s\n", name,
            quantile(histogram, 0.5, cells[0]), quantile(histogram, 0.99, cells[1]),
            quantile(histogram, 1, cells[2]));
}

static void show_screen(const struct stat_interval *interval, unsigned count, FILE *out)
{
    const struct leat_feed_subscriber_stats *now = &interval->now;
    char cells[2][CELL];
    if (count > 0)
        fprintf(out, "\033[%dA", SCREEN_LINES);
    fprintf(out, "\033[K  session %s, %.0f s; the next message is %s\n",
            now->session[0] ? now->session : "(none heard yet)", interval->running_s,
            grouped((double)now->next_sequence, cells[0]));
    fprintf(out, "\033[K  %s messages/s\n\033[K\n",
            grouped(rate(interval, now->messages, interval->before.messages), cells[0]));
    show_lines(interval, out);
    fprintf(out, "\033[K  gaps %lu of %s messages; asked for and got %lu, lost %s\n",
            (unsigned long)now->gaps, grouped((double)now->gap_messages, cells[0]),
            (unsigned long)now->recovered_messages, grouped((double)now->lost_messages, cells[1]));
    show_times("kernel to here", interval->latency, out);
    if (interval->age)
        show_times("ITCH's to here", interval->age, out);
    else
        fprintf(out, "\033[K\n");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_times(struct text *text, const char *name, const struct histogram *histogram)
{
    if (histogram && histogram->count > 0)
        text_add_format(text, ",\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name,
                        in_us(histogram_quantile_ns(histogram, 0.5)),
                        in_us(histogram_quantile_ns(histogram, 0.99)),
                        in_us(histogram->greatest_ns));
    else
        text_add_format(text, ",\"%s\":null", name);
}

static void add_line(struct text *text, const struct stat_interval *interval, unsigned line)
{
    const struct leat_feed_line_stats *now = &interval->now.lines[line];
    const struct line_rates rates = rates_of(interval, line);
    text_add_format(
        text,
        "%s{\"packets_per_s\":%.1f,\"bytes_per_s\":%.1f,\"first_percent\":%.2f,\"packets\":%lu,"
        "\"duplicates\":%lu,\"malformed\":%lu,\"foreign_session\":%lu,\"foreign_source\":%lu,"
        "\"dropped\":%lu,\"silent\":%s}",
        line ? "," : "", rates.packets, rates.bytes, first_share(interval, line),
        (unsigned long)now->packets, (unsigned long)now->duplicates, (unsigned long)now->malformed,
        (unsigned long)now->foreign_session, (unsigned long)now->foreign_source,
        (unsigned long)now->dropped, now->is_silent ? "true" : "false");
}

static int show_json(const struct stat_interval *interval, FILE *out)
{
    const struct leat_feed_subscriber_stats *now = &interval->now;
    const struct leat_feed_subscriber_stats *before = &interval->before;
    struct text text = {0};
    text_add_format(&text, "{\"time_s\":%.3f,\"length_s\":%.3f,\"session\":",
                    (double)interval->end_wall_ns / 1e9, interval->length_s);
    text_add_json(&text, slice_from_text(now->session));
    text_add_format(&text,
                    ",\"next_sequence\":%lu,\"messages\":%lu,\"messages_per_s\":%.1f,\"gaps\":%lu,"
                    "\"gap_messages\":%lu,\"requests\":%lu,\"recovered_messages\":%lu,"
                    "\"lost_messages\":%lu,\"session_changes\":%lu,\"ended\":%s,\"lines\":[",
                    (unsigned long)now->next_sequence, (unsigned long)now->messages,
                    rate(interval, now->messages, before->messages), (unsigned long)now->gaps,
                    (unsigned long)now->gap_messages, (unsigned long)now->requests,
                    (unsigned long)now->recovered_messages, (unsigned long)now->lost_messages,
                    (unsigned long)now->session_changes, now->is_ended ? "true" : "false");
    add_line(&text, interval, 0);
    if (interval->has_b)
        add_line(&text, interval, 1);
    text_add_literal(&text, "]");
    add_times(&text, "latency_us", interval->latency);
    add_times(&text, "itch_us", interval->age);
    text_add_literal(&text, "}\n");
    const int error = text.has_failed ? -ENOMEM : 0;
    if (!error)
        fwrite(text.data, 1, text.size, out);
    text_fini(&text);
    return error;
}

int stat_show(enum stat_form form, const struct stat_interval *interval, unsigned count, FILE *out)
{
    int error = 0;
    ASSERT(interval->latency && interval->length_s >= 0);
    switch (form) {
    case STAT_LINES: show_line(interval, count, out); break;
    case STAT_SCREEN: show_screen(interval, count, out); break;
    case STAT_JSON: error = show_json(interval, out); break;
    }
    if (!error && (fflush(out) != 0 || ferror(out)))
        error = -EPIPE;
    return error;
}
