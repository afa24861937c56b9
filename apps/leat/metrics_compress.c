/* SPDX-License-Identifier: MIT */
/*
 * The metrics of content codings: what was coded, by which, what it saved and what it took; and why
 * the rest was left as it is. See metrics.h.
 */
#include "metrics.h"

#include "base/assert.h"
#include "codec/codec.h"

void metrics_add_compress(struct leat_http_compress_counters *sum,
                          const struct leat_http_compress_counters *counters)
{
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
        sum->responses[codec] += counters->responses[codec];
        sum->plain_bytes[codec] += counters->plain_bytes[codec];
        sum->coded_bytes[codec] += counters->coded_bytes[codec];
    }
    for (unsigned reason = 0; reason < LEAT_HTTP_LEFT_REASONS; reason++)
        sum->left[reason] += counters->left[reason];
    sum->cpu_ns += counters->cpu_ns;
}

/* Of each coding that HTTP has, identity included where it says something. */
static void add_codings(struct text *text, const char *name, const char *help,
                        const uint64_t values[LEAT_CODECS])
{
    metrics_begin_family(text, name, "counter", help);
    for (unsigned codec = LEAT_CODEC_NONE; codec < LEAT_CODECS; codec++)
        if (codec != LEAT_CODEC_LZ4)
            text_add_format(text, "%s{coding=\"%s\"} %llu\n", name,
                            codec_name((enum leat_codec)codec).data,
                            (unsigned long long)values[codec]);
}

static void add_responses(struct text *text, const struct leat_http_compress_counters *counters)
{
#define X(name, text) text,
    static const char *const reasons[] = {LEAT_HTTP_LEFT_REASONS_OF(X)};
#undef X
    static const char left[] = "leat_compress_left_total";
    add_codings(
        text, "leat_compress_responses_total",
        "Responses that might have been coded, by their coding; identity: left as they are.",
        counters->responses);
    add_codings(text, "leat_compress_plain_bytes_total", "Bytes of these before they were coded.",
                counters->plain_bytes);
    add_codings(text, "leat_compress_coded_bytes_total", "Bytes of these as they were sent.",
                counters->coded_bytes);
    metrics_begin_family(text, left, "counter", "Responses left as they are, by why.");
    for (unsigned reason = 0; reason < LEAT_HTTP_LEFT_REASONS; reason++)
        text_add_format(text, "%s{reason=\"%s\"} %llu\n", left, reasons[reason],
                        (unsigned long long)counters->left[reason]);
}

static void add_cpu(struct text *text, const char *name, const char *help, uint64_t cpu_ns)
{
    metrics_begin_family(text, name, "counter", help);
    text_add_format(text, "%s %.6f\n", name, (double)cpu_ns / 1e9);
}

static void add_encoders(struct text *text, const struct metrics *metrics)
{
    static const char encoders[] = "leat_compress_encoders",
                      memory[] = "leat_compress_encoder_memory_bytes";
    metrics_begin_family(text, encoders, "gauge", "Responses that are being coded.");
    for (unsigned index = 0; index < metrics->count; index++)
        if (metrics->views[index].is_known)
            text_add_format(text, "%s{worker=\"%u\"} %llu\n", encoders, index,
                            (unsigned long long)metrics->views[index].encoders);
    metrics_begin_family(text, memory, "gauge",
                         "Memory of encoders, those that wait for work included.");
    for (unsigned index = 0; index < metrics->count; index++)
        if (metrics->views[index].is_known)
            text_add_format(text, "%s{worker=\"%u\"} %llu\n", memory, index,
                            (unsigned long long)metrics->views[index].encoder_memory);
}

void metrics_write_compress(struct text *text, const struct metrics *metrics)
{
    ASSERT(metrics->compress);
    add_responses(text, metrics->compress);
    add_cpu(text, "leat_compress_cpu_seconds_total", "CPU time of coding responses.",
            metrics->compress->cpu_ns);
    add_encoders(text, metrics);
}
