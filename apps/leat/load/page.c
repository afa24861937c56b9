/* SPDX-License-Identifier: MIT */
/*
 * See page.h. What is drawn is also in the table; lines that share a plot differ in brightness as
 * well as in colour (Okabe and Ito's), and never cross.
 */
#include "page.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "figure.h"
#include "leat/version.h"
#include "plot.h"
#include "text.h"

enum {
    STEPS_MAX = 400, /* of a plot by second: about as many as it has pixels */
    NINES_MAX = 7,
};

static const char page_start[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<link rel=\"icon\" href=\"data:,\">\n"
    "<style>\n"
    ":root{color-scheme:light dark;--back:#fff;--ink:#1a1c1e;--dim:#5c6268;--line:#e0e3e6;"
    "--blue:#0072b2;--orange:#d55e00;--grey:#8a9096;--bad:#b3261e;--good:#00704f}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--back:#14171a;--ink:#e6e8ea;"
    "--dim:#9aa1a8;--line:#2d3237;--blue:#56b4e9;--orange:#f0a33a;--grey:#7d848b;--bad:#ff8a80;"
    "--good:#4cc9a0}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1.5rem 1.25rem 3rem;max-width:66rem;background:var(--back);"
    "color:var(--ink);font:16px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}\n"
    "h1{margin:0;font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere}\n"
    "h2{margin:2.5rem 0 .5rem;font-size:1.1rem}\n"
    "p{margin:.5rem 0;max-width:46rem}\n"
    "footer,.about{color:var(--dim)}\n"
    ".warning{border-left:4px solid var(--bad);padding-left:.75rem}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:1.25rem;"
    "margin:1.75rem 0 0}\n"
    ".tiles dt{color:var(--dim)}\n"
    ".tiles dd{margin:0;font-size:1.6rem;line-height:1.2;font-weight:600;white-space:nowrap}\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));"
    "gap:2rem;margin-top:2.5rem}\n"
    ".tables{columns:2 20rem;column-gap:3rem}\n"
    "table{border-collapse:collapse;width:100%;break-inside:avoid}\n"
    "caption{padding:1rem 0 .25rem;text-align:left;font-weight:600}\n"
    "th,td{padding:.3rem 0;border-top:1px solid var(--line);text-align:right;"
    "vertical-align:top;overflow-wrap:anywhere}\n"
    "th{padding-right:1rem;text-align:left;font-weight:400;color:var(--dim)}\n"
    ".met{color:var(--good)}.unmet,.bad{color:var(--bad);font-weight:600}\n"
    "svg{display:block;width:100%;height:auto}\n"
    "svg text{font-size:12px;fill:var(--dim)}\n"
    "svg .name{font-size:14px;font-weight:600;fill:var(--ink)}\n"
    "svg path{fill:none;stroke-width:1.75}\n"
    "svg .grid{stroke:var(--line);stroke-width:1}\n"
    "svg .blue{stroke:var(--blue)}svg .orange{stroke:var(--orange)}svg .grey{stroke:var(--grey)}\n"
    "svg circle.mark{fill:var(--blue)}\n"
    "svg text.mark{fill:var(--ink);stroke:var(--back);stroke-width:4;paint-order:stroke}\n"
    "@media print{body{max-width:none;padding:0;font-size:10pt}svg{break-inside:avoid}}\n"
    "</style>\n";

static void add_title(struct text *page, const struct load_result *result)
{
    text_add_html(page, slice_from_text(result->method));
    text_add_literal(page, " ");
    text_add_html(page, slice_from_text(result->url));
    if (result->url_count > 1)
        text_add_format(page, " and %s more",
                        load_figure_count((uint64_t)result->url_count - 1).text);
}

static void add_warnings(struct text *page, const struct load_result *result)
{
    if (result->is_interrupted)
        text_add_literal(page, "<p class=\"warning\">Interrupted before its end: the figures are "
                               "those until then.</p>\n");
    if (load_result_fell_behind(result))
        text_add_format(page,
                        "<p class=\"warning\">The server did not keep up: %s of the %s requests "
                        "that were due had no answer when the load ended.</p>\n",
                        load_figure_count(result->tally->unfinished).text,
                        load_figure_count(load_result_requests(result)).text);
    if (load_result_client_was_busy(result))
        text_add_format(page,
                        "<p class=\"warning\">The client’s threads were %.0f %% busy: it may have "
                        "been the limit itself.</p>\n",
                        100 * load_result_client_load(result));
}

static void add_tile(struct text *page, const char *name, const char *value, bool is_bad)
{
    text_add_format(page, "<div><dt>%s</dt><dd%s>%s</dd></div>\n", name,
                    is_bad ? " class=\"bad\"" : "", value);
}

static void add_head(struct text *page, const struct load_result *result)
{
    const struct load_tally *tally = result->tally;
    const struct histogram *latency = &tally->latency;
    text_add_literal(page, page_start);
    text_add_literal(page, "<title>leat load: ");
    add_title(page, result);
    text_add_literal(page, "</title>\n</head>\n<body>\n<h1>");
    add_title(page, result);
    text_add_format(page, "</h1>\n<p class=\"about\">%s requests on %u connection%s in %s</p>\n",
                    load_figure_count(tally->answered).text, result->connections,
                    result->connections == 1 ? "" : "s",
                    load_figure_time(result->elapsed_s * 1e9).text);
    add_warnings(page, result);
    text_add_literal(page, "<dl class=\"tiles\">\n");
    add_tile(page, "requests/s",
             load_figure_rate(load_result_per_second(result, tally->answered)).text, false);
    static const struct load_percentile shown[] = {
        {"half within", 0.5}, {"99 % within", 0.99}, {"99.9 % within", 0.999}};
    for (size_t index = 0; latency->count > 0 && index < sizeof shown / sizeof *shown; index++) {
        const uint64_t ns = histogram_quantile_ns(latency, shown[index].quantile);
        add_tile(page, shown[index].name, load_figure_time((double)ns).text, false);
    }
    const uint64_t errors = load_tally_errors(tally);
    add_tile(page, "errors", load_figure_count(errors).text, errors > 0);
    text_add_literal(page, "</dl>\n");
}

static void add_expectations(struct text *page, const struct load_result *result,
                             const struct load_expectation *expectations, size_t count)
{
    if (count == 0)
        return;
    text_add_literal(page, "<h2>Expected</h2>\n<table>\n<tbody>\n");
    for (size_t index = 0; index < count; index++) {
        double value;
        const bool is_met = load_expect_met(&expectations[index], result, &value);
        text_add_literal(page, "<tr><th scope=\"row\">");
        text_add_html(page, slice_from_text(expectations[index].text));
        text_add_format(page, "</th><td>%s</td><td class=\"%s\">%s</td></tr>\n",
                        load_figure_expected(&expectations[index], value).text,
                        is_met ? "met" : "unmet", is_met ? "met" : "not met");
    }
    text_add_literal(page, "</tbody>\n</table>\n");
}

/* How many nines a share of requests is: 90 % is 1, 99 % is 2. */
static double nines(double share)
{
    return -log10(1 - share);
}

static void add_percentile_ticks(const struct load_plot *plot)
{
    static const char *const labels[NINES_MAX + 1] = {"0",     "90",     "99",      "99.9",
                                                      "99.99", "99.999", "99.9999", "99.99999 %"};
    load_plot_add_tick(plot, nines(0.5), "50 %");
    for (unsigned count = 1; count <= NINES_MAX && count <= plot->x_high; count++)
        load_plot_add_tick(plot, count, labels[count]);
}

/* A step for each bucket that has any: it begins where those before it end. Returns how many. */
static size_t trace_percentiles(const struct histogram *latency, struct load_step *steps)
{
    uint64_t before = 0;
    size_t count = 0;
    const unsigned end = histogram_bucket(latency->greatest_ns) + 1;
    for (unsigned bucket = histogram_bucket(latency->least_ns); bucket < end; bucket++) {
        if (latency->buckets[bucket] == 0)
            continue;
        const double high = (double)histogram_bucket_high_ns(bucket);
        const double x = nines((double)before / (double)latency->count);
        if (x > NINES_MAX)
            break;
        steps[count++] = (struct load_step){x, fmin(high, (double)latency->greatest_ns)};
        before += latency->buckets[bucket];
    }
    return count;
}

static void add_percentile_plot(struct text *page, const struct load_result *result)
{
    const struct histogram *latency = &result->tally->latency;
    struct load_step *steps = calloc(HISTOGRAM_BUCKETS, sizeof *steps);
    if (!steps) {
        page->has_failed = true;
        return;
    }
    struct load_plot plot = {.page = page, .id = "percentiles"};
    /* The last of n requests begins at log10(n) nines; a little further, and it is seen. */
    plot.x_high = fmin(fmax(log10((double)latency->count), 0.5), NINES_MAX) + 0.3;
    load_plot_fit_log(&plot, (double)latency->least_ns, (double)latency->greatest_ns);
    load_plot_begin(&plot, "Latency by percentile",
                    "How long the slowest of a share of all requests took; each step to the right "
                    "is a tenth of the requests of the one before it. Logarithmic.");
    load_plot_add_times(&plot);
    add_percentile_ticks(&plot);
    const size_t count = trace_percentiles(latency, steps);
    load_plot_add_steps(&plot, "blue", steps, count, plot.x_high);
    static const double marked[] = {0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999};
    for (size_t index = 0; index < sizeof marked / sizeof *marked; index++) {
        if (nines(marked[index]) > plot.x_high - 0.25)
            break;
        const double ns = (double)histogram_quantile_ns(latency, marked[index]);
        load_plot_add_mark(&plot, nines(marked[index]), ns, load_figure_short_time(ns).text);
    }
    load_plot_end(&plot);
    free(steps);
}

/* The samples as they are drawn: of a long load several together, as the worst of them. */
struct timeline {
    struct load_sample samples[STEPS_MAX];
    size_t count, together;
    double end_s;
};

static void merge_sample(struct load_sample *sample, const struct load_sample *other)
{
    sample->end_s = other->end_s;
    sample->length_s += other->length_s;
    sample->answered += other->answered;
    sample->bytes_received += other->bytes_received;
    sample->errors += other->errors;
    if (other->p50_ns > sample->p50_ns)
        sample->p50_ns = other->p50_ns;
    if (other->p99_ns > sample->p99_ns)
        sample->p99_ns = other->p99_ns;
    if (other->greatest_ns > sample->greatest_ns)
        sample->greatest_ns = other->greatest_ns;
}

static void make_timeline(const struct load_result *result, struct timeline *timeline)
{
    size_t count = result->sample_count;
    /* The last may be a stump, whose rate is chance. */
    if (count > 1 && result->samples[count - 1].length_s < 0.5)
        count--;
    timeline->together = (count + STEPS_MAX - 1) / STEPS_MAX;
    for (size_t index = 0; index < count; index++) {
        if (index % timeline->together == 0)
            timeline->samples[timeline->count++] = result->samples[index];
        else
            merge_sample(&timeline->samples[timeline->count - 1], &result->samples[index]);
    }
    ASSERT(timeline->count <= STEPS_MAX);
    if (timeline->count > 0)
        timeline->end_s = timeline->samples[timeline->count - 1].end_s;
}

typedef double (*sample_value_fn)(const struct load_sample *sample);

static double per_second(const struct load_sample *sample, uint64_t count)
{
    return sample->length_s > 0 ? (double)count / sample->length_s : 0;
}

static double sample_requests(const struct load_sample *sample)
{
    return per_second(sample, sample->answered);
}

static double sample_bytes(const struct load_sample *sample)
{
    return per_second(sample, sample->bytes_received);
}

static double sample_errors(const struct load_sample *sample)
{
    return per_second(sample, sample->errors);
}

static double time_or_none(const struct load_sample *sample, uint64_t ns)
{
    return sample->answered > 0 ? (double)ns : NAN;
}

static double sample_p50(const struct load_sample *sample)
{
    return time_or_none(sample, sample->p50_ns);
}

static double sample_p99(const struct load_sample *sample)
{
    return time_or_none(sample, sample->p99_ns);
}

static double sample_greatest(const struct load_sample *sample)
{
    return time_or_none(sample, sample->greatest_ns);
}

static void add_line(const struct load_plot *plot, const char *class,
                     const struct timeline *timeline, sample_value_fn value_of, double unit_size)
{
    struct load_step steps[STEPS_MAX];
    for (size_t index = 0; index < timeline->count; index++) {
        const struct load_sample *sample = &timeline->samples[index];
        const double begin_s = fmax(sample->end_s - sample->length_s, 0);
        steps[index] = (struct load_step){begin_s, value_of(sample) / unit_size};
    }
    load_plot_add_steps(plot, class, steps, timeline->count, timeline->end_s);
}

static double greatest(const struct timeline *timeline, sample_value_fn value_of)
{
    double most = 0;
    for (size_t index = 0; index < timeline->count; index++)
        most = fmax(most, value_of(&timeline->samples[index]));
    return most;
}

static void add_requests_plot(struct text *page, const struct timeline *timeline)
{
    struct load_plot plot = {.page = page, .id = "requests", .x_high = timeline->end_s};
    const double errors = greatest(timeline, sample_errors);
    const double most = fmax(greatest(timeline, sample_requests), errors);
    const double unit_size = most >= 20e6 ? 1e6 : most >= 20e3 ? 1e3 : 1;
    load_plot_fit_linear(&plot, most / unit_size);
    load_plot_begin(&plot, "Requests/s", "Answered requests a second, over time; and errors.");
    load_plot_add_amounts(&plot, unit_size == 1e6 ? " M" : unit_size == 1e3 ? " k" : "");
    load_plot_add_seconds(&plot);
    if (errors > 0) {
        add_line(&plot, "orange", timeline, sample_errors, unit_size);
        load_plot_add_key(&plot, 1, "blue", "answers");
        load_plot_add_key(&plot, 0, "orange", "errors");
    }
    add_line(&plot, "blue", timeline, sample_requests, unit_size);
    load_plot_end(&plot);
}

static void add_bytes_plot(struct text *page, const struct timeline *timeline)
{
    static const struct {
        const char *name;
        double size;
    } units[] = {{" GiB", 1 << 30}, {" MiB", 1 << 20}, {" KiB", 1 << 10}, {" B", 1}};
    struct load_plot plot = {.page = page, .id = "bytes", .x_high = timeline->end_s};
    const double most = greatest(timeline, sample_bytes);
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof *units && units[unit].size > most)
        unit++;
    load_plot_fit_linear(&plot, most / units[unit].size);
    load_plot_begin(&plot, "Received bytes/s", "Bytes received a second, heads included.");
    load_plot_add_amounts(&plot, units[unit].name);
    load_plot_add_seconds(&plot);
    add_line(&plot, "blue", timeline, sample_bytes, units[unit].size);
    load_plot_end(&plot);
}

static void add_latency_plot(struct text *page, const struct timeline *timeline)
{
    struct load_plot plot = {.page = page, .id = "latency", .x_high = timeline->end_s};
    const double most = greatest(timeline, sample_greatest);
    double least = most;
    for (size_t index = 0; index < timeline->count; index++)
        least = fmin(least, sample_p50(&timeline->samples[index])); /* of a number and NAN: it */
    if (most <= 0)
        return;
    load_plot_fit_log(&plot, least, most);
    load_plot_begin(&plot, "Latency by second",
                    "The median, the 99th percentile and the greatest, over time. Logarithmic.");
    load_plot_add_times(&plot);
    load_plot_add_seconds(&plot);
    add_line(&plot, "grey", timeline, sample_greatest, 1);
    add_line(&plot, "orange", timeline, sample_p99, 1);
    add_line(&plot, "blue", timeline, sample_p50, 1);
    load_plot_add_key(&plot, 2, "blue", "p50");
    load_plot_add_key(&plot, 1, "orange", "p99");
    load_plot_add_key(&plot, 0, "grey", "max");
    load_plot_end(&plot);
}

static void add_plots(struct text *page, const struct load_result *result)
{
    struct timeline *timeline = calloc(1, sizeof *timeline);
    if (!timeline) {
        page->has_failed = true;
        return;
    }
    make_timeline(result, timeline);
    text_add_literal(page, "<div class=\"plots\">\n");
    if (result->tally->latency.count > 0)
        add_percentile_plot(page, result);
    if (timeline->end_s > 0) {
        add_latency_plot(page, timeline);
        add_requests_plot(page, timeline);
        add_bytes_plot(page, timeline);
    }
    text_add_literal(page, "</div>\n");
    if (timeline->together > 1)
        text_add_format(page,
                        "<p class=\"about\">Over time each step is %zu seconds: their mean "
                        "rate, and the worst of their latencies.</p>\n",
                        timeline->together);
    free(timeline);
}

static void begin_table(struct text *page, const char *caption)
{
    text_add_format(page, "<table>\n<caption>%s</caption>\n<tbody>\n", caption);
}

static void add_row(struct text *page, const char *name, const char *value)
{
    text_add_format(page, "<tr><th scope=\"row\">%s</th><td>", name);
    text_add_html(page, slice_from_text(value));
    text_add_literal(page, "</td></tr>\n");
}

static void end_table(struct text *page)
{
    text_add_literal(page, "</tbody>\n</table>\n");
}

static void add_question_table(struct text *page, const struct load_result *result)
{
    begin_table(page, "Asked");
    add_row(page, "method", result->method);
    add_row(page, "URLs", load_figure_count(result->url_count).text);
    add_row(page, "loop", result->rate > 0 ? "open" : "closed");
    if (result->rate > 0)
        add_row(page, "requests/s due", load_figure_rate(result->rate).text);
    add_row(page, "connections", load_figure_count(result->connections).text);
    add_row(page, "kept alive", result->keep_alive ? "yes" : "no: one for each request");
    add_row(page, "threads", load_figure_count(result->threads).text);
    add_row(page, "engine", result->engine);
    add_row(page, "warm-up before",
            result->warm_up_s > 0 ? load_figure_time(result->warm_up_s * 1e9).text : "none");
    add_row(page, "started", load_figure_instant(result->begin_wall_ns).text);
    add_row(page, "measured", load_figure_time(result->elapsed_s * 1e9).text);
    end_table(page);
}

static void add_answer_table(struct text *page, const struct load_result *result)
{
    const struct load_tally *tally = result->tally;
    const double cpu_us = (result->cpu_user_s + result->cpu_system_s) * 1e6;
    char text[64];
    begin_table(page, "Answered");
    add_row(page, "requests", load_figure_count(tally->answered).text);
    add_row(page, "received", load_figure_size((double)tally->bytes_received).text);
    add_row(page, "of that bodies", load_figure_size((double)tally->body_bytes).text);
    add_row(page, "received/s",
            load_figure_size(load_result_per_second(result, tally->bytes_received)).text);
    add_row(page, "sent", load_figure_size((double)tally->bytes_sent).text);
    add_row(page, "connections made", load_figure_count(tally->connects).text);
    add_row(page, "closed by the server", load_figure_count(tally->closes).text);
    for (unsigned status = 0; status < LOAD_STATUSES; status++) {
        snprintf(text, sizeof text, "status %03u", status % LOAD_STATUSES);
        if (tally->statuses[status] > 0)
            add_row(page, text, load_figure_count(tally->statuses[status]).text);
    }
    for (unsigned error = 0; error < LOAD_ERRORS; error++) {
        snprintf(text, sizeof text, "errors: %s", load_error_name(error));
        add_row(page, text, load_figure_count(tally->errors[error]).text);
    }
    add_row(page, "unfinished at the end", load_figure_count(tally->unfinished).text);
    snprintf(text, sizeof text, "%.2f us/request",
             tally->answered > 0 ? cpu_us / (double)tally->answered : 0);
    add_row(page, "client CPU", text);
    snprintf(text, sizeof text, "%.0f %%", 100 * load_result_client_load(result));
    add_row(page, "client’s threads busy", text);
    end_table(page);
}

static void add_latency_table(struct text *page, const struct histogram *latency)
{
    if (latency->count == 0)
        return;
    begin_table(page, "Latency");
    add_row(page, "min", load_figure_time((double)latency->least_ns).text);
    add_row(page, "mean", load_figure_time(histogram_mean_ns(latency)).text);
    add_row(page, "standard deviation", load_figure_time(histogram_deviation_ns(latency)).text);
    for (unsigned index = 0; index < LOAD_PERCENTILES; index++) {
        const uint64_t ns = histogram_quantile_ns(latency, load_percentiles[index].quantile);
        add_row(page, load_percentiles[index].name, load_figure_time((double)ns).text);
    }
    add_row(page, "max", load_figure_time((double)latency->greatest_ns).text);
    end_table(page);
}

static void add_method(struct text *page, const struct load_result *result)
{
    text_add_literal(page, "<h2>How this was measured</h2>\n<p>");
    if (result->rate > 0)
        text_add_literal(
            page,
            "In an open loop: requests were due at a fixed rate, whatever the server did, and each "
            "one’s latency counts from the moment it was due, the wait for a free connection "
            "included; a stall shows in every request that it delayed. Requests without an answer "
            "at the end count among the latencies with the time they had waited, so the tail is "
            "at least as bad as shown.");
    else
        text_add_literal(
            page,
            "In a closed loop: each connection sent its next request when its last one was "
            "answered, so the server set the pace and the figures show what it can do at most. "
            "While it stalled nothing was asked, so a stall counts as one slow request a "
            "connection instead of all those that users would have made (coordinated omission): "
            "for latencies that users would see, load it with --rate.");
    text_add_format(page,
                    "</p>\n<p>Percentiles are at most 0.8 %% too high.</p>\n"
                    "<footer><p>leat %s, leat-load(1)</p></footer>\n</body>\n</html>\n",
                    LEAT_VERSION);
}

int load_page_write(const struct load_result *result, const struct load_expectation *expectations,
                    size_t expectation_count, FILE *out)
{
    ASSERT(result && result->tally);
    ASSERT(expectations || expectation_count == 0);
    struct text page = {0};
    add_head(&page, result);
    add_expectations(&page, result, expectations, expectation_count);
    add_plots(&page, result);
    text_add_literal(&page, "<h2>All figures</h2>\n<div class=\"tables\">\n");
    add_question_table(&page, result);
    add_latency_table(&page, &result->tally->latency);
    add_answer_table(&page, result);
    text_add_literal(&page, "</div>\n");
    add_method(&page, result);
    const int error = load_figure_write(&page, out);
    text_fini(&page);
    return error;
}
