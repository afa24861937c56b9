/* SPDX-License-Identifier: MIT */
/*
 * See report.h: the text, in less than 80 columns but for what the user has named. What would mean
 * that the figures are not what they seem comes in plain words: requests that were never answered,
 * an end before its time, a client that had no time left.
 */
#include "report.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "figure.h"
#include "text.h"

enum {
    VALUE_COLUMN = 16,
    WIDTH = 79,
    SECOND_COLUMN = 27, /* of the latency's table: the distribution */
    STEPS_MAX = 10,     /* its lines: as many as the percentiles beside it have */
    BAR_MAX = 22,
    STATUSES_SHOWN = 24, /* of a server that answers with any number there is */
};

static void pad(struct text *page, size_t line_begin, size_t column)
{
    while (!page->has_failed && page->size - line_begin < column)
        text_add_literal(page, " ");
}

static void add_label(struct text *page, const char *label)
{
    const size_t begin = page->size;
    text_add_format(page, "  %s", label);
    pad(page, begin, VALUE_COLUMN);
}

static void add_head(struct text *page, const struct load_result *result)
{
    text_add_visible(page, slice_from_text(result->method));
    text_add_literal(page, " ");
    text_add_visible(page, slice_from_text(result->url));
    if (result->url_count > 1)
        text_add_format(page, " and %s more",
                        load_figure_count((uint64_t)result->url_count - 1).text);
    text_add_literal(page, "\n\n");
    add_label(page, "loop");
    if (result->rate > 0)
        text_add_format(page, "open: %s requests/s are due, whatever the server does\n",
                        load_figure_rate(result->rate).text);
    else
        text_add_literal(page, "closed: each connection waits for its answer\n");
    add_label(page, "connections");
    text_add_format(page, "%u, %s; %u thread%s, engine %s\n", result->connections,
                    result->keep_alive ? "kept alive" : "a new one for each request",
                    result->threads, result->threads == 1 ? "" : "s", result->engine);
    add_label(page, "measured");
    text_add_literal(page, load_figure_time(result->elapsed_s * 1e9).text);
    if (result->warm_up_s > 0)
        text_add_format(page, " after %s of warm-up",
                        load_figure_time(result->warm_up_s * 1e9).text);
    text_add_literal(page, result->is_interrupted ? "; INTERRUPTED before its end\n\n" : "\n\n");
}

/* "1,234   123/s", in columns. */
static void add_amount(struct text *page, const char *label, struct load_figure amount,
                       struct load_figure per_s)
{
    add_label(page, label);
    text_add_format(page, "%-14s %14s/s\n", amount.text, per_s.text);
}

static void add_statuses(struct text *page, const struct load_tally *tally)
{
    if (tally->answered == 0)
        return;
    add_label(page, "statuses");
    size_t line_begin = page->size - VALUE_COLUMN;
    unsigned shown = 0, left = 0;
    for (unsigned status = 0; status < LOAD_STATUSES; status++) {
        if (tally->statuses[status] == 0)
            continue;
        if (shown == STATUSES_SHOWN) {
            left++;
            continue;
        }
        char piece[64];
        const int size = snprintf(piece, sizeof piece, "%s%03u: %s", shown++ ? ", " : "", status,
                                  load_figure_count(tally->statuses[status]).text);
        if (page->size - line_begin + (size_t)size >= WIDTH) {
            text_add_literal(page, ",\n");
            line_begin = page->size;
            pad(page, line_begin, VALUE_COLUMN);
            memmove(piece, piece + 2, (size_t)size - 1);
        }
        text_add_literal(page, piece);
    }
    if (left > 0)
        text_add_format(page, "\n%*sand %u others", VALUE_COLUMN, "", left);
    text_add_literal(page, "\n");
    const uint64_t failures = load_tally_failures(tally);
    if (failures == 0)
        return;
    add_label(page, "failures");
    text_add_format(page, "%s (%s) had a status of 400 or above\n",
                    load_figure_count(failures).text,
                    load_figure_share((double)failures, (double)tally->answered).text);
}

static void add_errors(struct text *page, const struct load_result *result)
{
    const struct load_tally *tally = result->tally;
    const uint64_t errors = load_tally_errors(tally);
    add_label(page, errors > 0 ? "ERRORS" : "errors");
    if (errors == 0) {
        text_add_literal(page, "none\n");
        return;
    }
    static const char *const meanings[LOAD_ERRORS] = {
        [LOAD_REFUSED] = "no connection could be made",
        [LOAD_CUT] = "closed before the response was whole",
        [LOAD_MALFORMED] = "what came is no response",
        [LOAD_TIMEOUT] = "no response in time",
    };
    text_add_format(page, "%s (%s of all requests)\n", load_figure_count(errors).text,
                    load_figure_share((double)errors, (double)load_result_requests(result)).text);
    for (unsigned error = 0; error < LOAD_ERRORS; error++)
        if (tally->errors[error] > 0)
            text_add_format(page, "%*s%s %s: %s\n", VALUE_COLUMN, "",
                            load_figure_count(tally->errors[error]).text, load_error_name(error),
                            meanings[error]);
}

static void add_unfinished(struct text *page, const struct load_result *result)
{
    const struct load_tally *tally = result->tally;
    if (tally->unfinished == 0)
        return;
    const bool fell_behind = load_result_fell_behind(result);
    add_label(page, fell_behind ? "UNFINISHED" : "unfinished");
    text_add_format(page, "%s of %s requests%s were not answered when it ended\n",
                    load_figure_count(tally->unfinished).text,
                    load_figure_count(load_result_requests(result)).text,
                    result->rate > 0 ? " due" : "");
    if (fell_behind)
        text_add_format(page, "%*sthe server did not keep up with %s requests/s\n", VALUE_COLUMN,
                        "", load_figure_rate(result->rate).text);
}

static void add_client(struct text *page, const struct load_result *result)
{
    const double user_us = result->cpu_user_s * 1e6, system_us = result->cpu_system_s * 1e6;
    const double answered = (double)result->tally->answered;
    add_label(page, "client CPU");
    if (answered > 0)
        text_add_format(page, "%.2f us/request: %.2f user, %.2f system; ",
                        (user_us + system_us) / answered, user_us / answered, system_us / answered);
    text_add_format(page, "%.0f %% busy\n", 100 * load_result_client_load(result));
    if (load_result_client_was_busy(result))
        text_add_format(page, "%*sthe client itself may have been the limit: try more --threads\n",
                        VALUE_COLUMN, "");
}

static void add_counts(struct text *page, const struct load_result *result)
{
    const struct load_tally *tally = result->tally;
    add_amount(page, "requests", load_figure_count(tally->answered),
               load_figure_rate(load_result_per_second(result, tally->answered)));
    add_amount(page, "received", load_figure_size((double)tally->bytes_received),
               load_figure_size(load_result_per_second(result, tally->bytes_received)));
    add_amount(page, "sent", load_figure_size((double)tally->bytes_sent),
               load_figure_size(load_result_per_second(result, tally->bytes_sent)));
    add_statuses(page, tally);
    add_errors(page, result);
    add_unfinished(page, result);
    if (tally->closes > 0) {
        add_label(page, "closed");
        text_add_format(page, "%s times the server closed between two requests\n",
                        load_figure_count(tally->closes).text);
    }
    add_client(page, result);
}

/* How many took how long, in steps of 1, 2, 5, 10 or, where those are too many, of 1, 10, 100. */
struct distribution {
    unsigned count;
    double bounds_ns[STEPS_MAX + 1];
    uint64_t counts[STEPS_MAX];
};

static double next_bound(double bound_ns, bool by_decades)
{
    double decade = 1;
    while (decade * 10 <= bound_ns)
        decade *= 10;
    const double lead = bound_ns / decade;
    if (by_decades)
        return decade * 10;
    return lead < 2 ? decade * 2 : lead < 5 ? decade * 5 : decade * 10;
}

/* False: there are more steps than lines. */
static bool set_bounds(struct distribution *distribution, const struct histogram *latency,
                       bool by_decades)
{
    double bound = 1;
    while (next_bound(bound, by_decades) <= (double)latency->least_ns)
        bound = next_bound(bound, by_decades);
    distribution->bounds_ns[0] = bound;
    distribution->count = 0;
    while (bound <= (double)latency->greatest_ns) {
        if (distribution->count == STEPS_MAX)
            return false;
        bound = next_bound(bound, by_decades);
        distribution->bounds_ns[++distribution->count] = bound;
    }
    return true;
}

static struct distribution distribute(const struct histogram *latency)
{
    ASSERT(latency->count > 0);
    struct distribution distribution = {0};
    if (!set_bounds(&distribution, latency, false) && !set_bounds(&distribution, latency, true))
        distribution.bounds_ns[STEPS_MAX] = 1e20; /* from nanoseconds to minutes */
    const unsigned end = histogram_bucket(latency->greatest_ns) + 1;
    unsigned step = 0;
    for (unsigned bucket = histogram_bucket(latency->least_ns); bucket < end; bucket++) {
        const double low = (double)histogram_bucket_low_ns(bucket);
        const double middle = low / 2 + (double)histogram_bucket_high_ns(bucket) / 2;
        while (step + 1 < distribution.count && middle >= distribution.bounds_ns[step + 1])
            step++;
        distribution.counts[step] += latency->buckets[bucket];
    }
    return distribution;
}

static void add_step(struct text *page, const struct distribution *distribution, unsigned step,
                     uint64_t all)
{
    uint64_t most = 1;
    for (unsigned index = 0; index < distribution->count; index++)
        if (distribution->counts[index] > most)
            most = distribution->counts[index];
    const double share = (double)distribution->counts[step] / (double)most;
    const int bar = (int)(share * BAR_MAX + 0.5);
    text_add_format(page, "%7s - %-7s %8s  %.*s",
                    load_figure_short_time(distribution->bounds_ns[step]).text,
                    load_figure_short_time(distribution->bounds_ns[step + 1]).text,
                    load_figure_share((double)distribution->counts[step], (double)all).text, bar,
                    "######################");
}

/* Figures right-aligned, so that the units stand in a column. */
static void add_time(struct text *page, const char *name, double ns)
{
    const struct load_figure figure = load_figure_time(ns);
    const char *unit = strchr(figure.text, ' ');
    ASSERT(unit);
    text_add_format(page, "    %-7s%6.*s%-3s", name, (int)(unit - figure.text), figure.text, unit);
}

static void add_latency(struct text *page, const struct load_result *result)
{
    const struct histogram *latency = &result->tally->latency;
    if (latency->count == 0) {
        add_label(page, "latency");
        text_add_literal(page, "nothing was answered\n");
        return;
    }
    const struct {
        const char *name;
        double ns;
    } figures[] = {
        {"min", (double)latency->least_ns},
        {"mean", histogram_mean_ns(latency)},
        {"stddev", histogram_deviation_ns(latency)},
    };
    enum { FIGURES = sizeof figures / sizeof *figures, ROWS = FIGURES + LOAD_PERCENTILES + 1 };
    static_assert((int)ROWS == (int)STEPS_MAX, "the two tables stand side by side");
    const struct distribution distribution = distribute(latency);
    text_add_literal(page,
                     result->rate > 0 ? "\n  latency, from when it was due\n" : "\n  latency\n");
    for (unsigned row = 0; row < ROWS; row++) {
        const size_t begin = page->size;
        const unsigned percentile = row - FIGURES;
        if (row < FIGURES)
            add_time(page, figures[row].name, figures[row].ns);
        else if (percentile < LOAD_PERCENTILES)
            add_time(page, load_percentiles[percentile].name,
                     (double)histogram_quantile_ns(latency, load_percentiles[percentile].quantile));
        else
            add_time(page, "max", (double)latency->greatest_ns);
        if (row < distribution.count) {
            pad(page, begin, SECOND_COLUMN);
            add_step(page, &distribution, row, latency->count);
        }
        while (page->size > begin && page->data[page->size - 1] == ' ')
            page->size--;
        text_add_literal(page, "\n");
    }
}

static void add_expectation(struct text *page, const struct load_expectation *expectation,
                            const struct load_result *result)
{
    double value;
    const bool is_met = load_expect_met(expectation, result, &value);
    const size_t begin = page->size;
    text_add_literal(page, "    ");
    text_add_visible(page, slice_from_text(expectation->text));
    pad(page, begin, 30);
    if (result->tally->answered == 0 && expectation->metric != LOAD_EXPECT_ERRORS)
        text_add_format(page, " %18s", "nothing answered");
    else
        text_add_format(page, " is %15s", load_figure_expected(expectation, value).text);
    text_add_format(page, "   %s\n", is_met ? "met" : "NOT met");
}

int load_report_text(const struct load_result *result, const struct load_expectation *expectations,
                     size_t expectation_count, FILE *out)
{
    ASSERT(result && result->tally);
    ASSERT(expectations || expectation_count == 0);
    struct text page = {0};
    add_head(&page, result);
    add_counts(&page, result);
    add_latency(&page, result);
    if (expectation_count > 0)
        text_add_literal(&page, "\n  expected\n");
    for (size_t index = 0; index < expectation_count; index++)
        add_expectation(&page, &expectations[index], result);
    const int error = load_figure_write(&page, out);
    text_fini(&page);
    return error;
}
