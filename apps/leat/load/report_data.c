/* SPDX-License-Identifier: MIT */
/*
 * See report.h: what programs read. What is no figure, the latency of no request, is null rather
 * than 0; what was given as bytes that are no UTF-8 has U+FFFD in their place.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/assert.h"
#include "base/slice.h"
#include "figure.h"
#include "leat/version.h"
#include "text.h"

/* One that has lacked memory stays without the rest: it is looked at in the end. */
struct object {
    json_t *json;
    bool has_failed;
};

static struct object make_object(void)
{
    json_t *json = json_object();
    return (struct object){json, json == NULL};
}

/* Takes the value over. */
static void put(struct object *object, const char *key, json_t *value)
{
    if (json_object_set_new_nocheck(object->json, key, value))
        object->has_failed = true;
}

static void put_object(struct object *object, const char *key, struct object *value)
{
    object->has_failed |= value->has_failed;
    put(object, key, value->json);
}

static void put_text(struct object *object, const char *key, const char *bytes)
{
    struct text text = {0};
    text_add_utf8(&text, slice_from_text(bytes));
    object->has_failed |= text.has_failed;
    put(object, key, json_stringn(text.size > 0 ? text.data : "", text.size));
    text_fini(&text);
}

static void put_count(struct object *object, const char *key, uint64_t count)
{
    put(object, key, json_integer((json_int_t)count));
}

/* To a thousandth, and so without digits that mean nothing. */
static void put_number(struct object *object, const char *key, double number)
{
    put(object, key, isfinite(number) ? json_real(round(number * 1e3) / 1e3) : json_null());
}

static void put_us(struct object *object, const char *key, double ns, bool is_known)
{
    if (is_known)
        put_number(object, key, ns / 1e3);
    else
        put(object, key, json_null());
}

static void put_question(struct object *object, const struct load_result *result)
{
    put(object, "format", json_string("leat load 1"));
    put(object, "leat", json_string(leat_version()));
    put_text(object, "url", result->url);
    put_count(object, "urls", result->url_count);
    put_text(object, "method", result->method);
    put_text(object, "engine", result->engine);
    put_count(object, "connections", result->connections);
    put_count(object, "threads", result->threads);
    put(object, "loop", json_string(result->rate > 0 ? "open" : "closed"));
    if (result->rate > 0)
        put_number(object, "rate", result->rate);
    else
        put(object, "rate", json_null());
    put(object, "keep_alive", json_boolean(result->keep_alive));
    put_number(object, "warm_up_s", result->warm_up_s);
    put_text(object, "started", load_figure_instant(result->begin_wall_ns).text);
    put_number(object, "elapsed_s", result->elapsed_s);
    put(object, "interrupted", json_boolean(result->is_interrupted));
}

static void put_ends(struct object *object, const struct load_tally *tally)
{
    struct object statuses = make_object(), errors = make_object();
    for (unsigned status = 0; status < LOAD_STATUSES; status++) {
        char key[8];
        snprintf(key, sizeof key, "%03u", status % LOAD_STATUSES);
        if (tally->statuses[status] > 0)
            put_count(&statuses, key, tally->statuses[status]);
    }
    put_object(object, "statuses", &statuses);
    put_count(object, "unfinished", tally->unfinished);
    put_count(&errors, "total", load_tally_errors(tally));
    for (unsigned error = 0; error < LOAD_ERRORS; error++)
        put_count(&errors, load_error_name(error), tally->errors[error]);
    put_object(object, "errors", &errors);
    put_count(object, "failures", load_tally_failures(tally));
}

static void put_counts(struct object *object, const struct load_result *result)
{
    const struct load_tally *tally = result->tally;
    put_count(object, "requests", tally->answered);
    put_number(object, "requests_per_s", load_result_per_second(result, tally->answered));
    put_count(object, "bytes_received", tally->bytes_received);
    put_count(object, "body_bytes", tally->body_bytes);
    put_number(object, "bytes_per_s", load_result_per_second(result, tally->bytes_received));
    put_count(object, "bytes_sent", tally->bytes_sent);
    put_count(object, "connects", tally->connects);
    put_count(object, "closes", tally->closes);
    put_ends(object, tally);
}

static void put_latency(struct object *object, const struct histogram *latency)
{
    struct object figures = make_object();
    const bool is_known = latency->count > 0;
    put_us(&figures, "min", (double)latency->least_ns, is_known);
    put_us(&figures, "mean", histogram_mean_ns(latency), is_known);
    put_us(&figures, "stddev", histogram_deviation_ns(latency), is_known);
    for (unsigned index = 0; index < LOAD_PERCENTILES; index++)
        put_us(&figures, load_percentiles[index].name,
               (double)histogram_quantile_ns(latency, load_percentiles[index].quantile), is_known);
    put_us(&figures, "max", (double)latency->greatest_ns, is_known);
    put_object(object, "latency_us", &figures);
}

static void put_cpu(struct object *object, const struct load_result *result)
{
    struct object cpu = make_object();
    const double all_s = result->cpu_user_s + result->cpu_system_s;
    const uint64_t answered = result->tally->answered;
    put_number(&cpu, "user_s", result->cpu_user_s);
    put_number(&cpu, "system_s", result->cpu_system_s);
    put_us(&cpu, "us_per_request", answered ? all_s * 1e9 / (double)answered : 0, answered > 0);
    put_object(object, "cpu", &cpu);
}

static void put_seconds(struct object *object, const struct load_result *result)
{
    json_t *seconds = json_array();
    for (size_t index = 0; index < result->sample_count; index++) {
        const struct load_sample *sample = &result->samples[index];
        const bool is_known = sample->answered > 0;
        struct object second = make_object();
        put_number(&second, "end_s", sample->end_s);
        put_number(&second, "length_s", sample->length_s);
        put_count(&second, "requests", sample->answered);
        put_count(&second, "bytes", sample->bytes_received);
        put_count(&second, "errors", sample->errors);
        put_us(&second, "p50_us", (double)sample->p50_ns, is_known);
        put_us(&second, "p99_us", (double)sample->p99_ns, is_known);
        put_us(&second, "max_us", (double)sample->greatest_ns, is_known);
        object->has_failed |= second.has_failed || json_array_append_new(seconds, second.json);
    }
    put(object, "seconds", seconds);
}

/* Values in the units of the rest: latencies in microseconds. */
static void put_expectations(struct object *object, const struct load_result *result,
                             const struct load_expectation *expectations, size_t expectation_count)
{
    json_t *list = json_array();
    for (size_t index = 0; index < expectation_count; index++) {
        const struct load_expectation *expectation = &expectations[index];
        double value;
        const bool is_met = load_expect_met(expectation, result, &value);
        struct object entry = make_object();
        put_text(&entry, "text", expectation->text);
        if (load_metric_is_time(expectation->metric))
            put_us(&entry, "value", value, result->tally->latency.count > 0);
        else
            put(&entry, "value", json_real(value));
        put(&entry, "met", json_boolean(is_met));
        object->has_failed |= entry.has_failed || json_array_append_new(list, entry.json);
    }
    put(object, "expect", list);
}

int load_report_json(const struct load_result *result, const struct load_expectation *expectations,
                     size_t expectation_count, FILE *out)
{
    ASSERT(result && result->tally);
    ASSERT(expectations || expectation_count == 0);
    struct object object = make_object();
    put_question(&object, result);
    put_counts(&object, result);
    put_latency(&object, &result->tally->latency);
    put_cpu(&object, result);
    put_seconds(&object, result);
    put_expectations(&object, result, expectations, expectation_count);
    char *dump = NULL;
    if (!object.has_failed)
        dump = json_dumps(object.json, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(object.json);
    if (!dump)
        return -ENOMEM;
    struct text text = {0};
    text_add_literal(&text, dump);
    text_add_literal(&text, "\n");
    free(dump);
    const int error = load_figure_write(&text, out);
    text_fini(&text);
    return error;
}

/* Everything that histogram_add() adds up is here in full: digits enough to restore each double. */
int load_report_histogram(const struct load_result *result, FILE *out)
{
    ASSERT(result && result->tally);
    const struct histogram *latency = &result->tally->latency;
    struct text text = {0};
    text_add_literal(&text, "# leat histogram 1\n# url ");
    text_add_visible(&text, slice_from_text(result->url));
    text_add_format(&text, "\n# started %s\n# unit ns\n",
                    load_figure_instant(result->begin_wall_ns).text);
    text_add_format(&text, "# count %" PRIu64 "\n# min %" PRIu64 "\n# max %" PRIu64 "\n",
                    latency->count, latency->least_ns, latency->greatest_ns);
    text_add_format(&text, "# sum %.17g\n# sum_of_squares %.17g\n", latency->sum_ns,
                    latency->sum_of_squares_ns2);
    text_add_format(&text, "# mean %.3f\n# stddev %.3f\n", histogram_mean_ns(latency),
                    histogram_deviation_ns(latency));
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        if (latency->buckets[bucket] == 0)
            continue;
        text_add_format(&text, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                        histogram_bucket_low_ns(bucket), histogram_bucket_high_ns(bucket),
                        latency->buckets[bucket]);
        seen += latency->buckets[bucket];
    }
    ASSERT(seen == latency->count);
    const int error = load_figure_write(&text, out);
    text_fini(&text);
    return error;
}
