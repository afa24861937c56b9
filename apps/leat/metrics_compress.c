/* SPDX-License-Identifier: MIT */
/*
 * The metrics of content codings: what was coded, by which, what it saved and what it took; and why
 * the rest was left as it is. See metrics.h.
 */
#include "metrics.h"

#include <string.h>

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

static const struct files_family {
    const char *name, *type, *help;
    size_t offset; /* of a uint64_t in struct leat_http_coded_files_counters */
} families[] = {
    {"leat_compress_files", "gauge", "Files of which it is known how they code.",
     offsetof(struct leat_http_coded_files_counters, files)},
    {"leat_compress_copies", "gauge", "Coded copies of files in memory.",
     offsetof(struct leat_http_coded_files_counters, copies)},
    {"leat_compress_copy_bytes", "gauge", "Memory of these.",
     offsetof(struct leat_http_coded_files_counters, bytes)},
    {"leat_compress_jobs", "gauge", "Files that are being coded, whole.",
     offsetof(struct leat_http_coded_files_counters, jobs)},
    {"leat_compress_copies_made_total", "counter", "Coded copies of files made.",
     offsetof(struct leat_http_coded_files_counters, made)},
    {"leat_compress_copies_beside_total", "counter", "Those written beside their file.",
     offsetof(struct leat_http_coded_files_counters, beside)},
    {"leat_compress_copies_useless_total", "counter", "Files that do not become smaller.",
     offsetof(struct leat_http_coded_files_counters, useless)},
    {"leat_compress_copies_failed_total", "counter",
     "Copies that could not be made or written: no memory, no room, no permission, a file that "
     "changed meanwhile.",
     offsetof(struct leat_http_coded_files_counters, failures)},
    {"leat_compress_copies_evicted_total", "counter", "Copies that had to make room.",
     offsetof(struct leat_http_coded_files_counters, evictions)},
};

static void add_files(struct text *text, const struct leat_http_coded_files_counters *counters)
{
    for (size_t index = 0; index < sizeof families / sizeof *families; index++) {
        const struct files_family *family = &families[index];
        uint64_t value;
        memcpy(&value, (const char *)counters + family->offset, sizeof value);
        metrics_begin_family(text, family->name, family->type, family->help);
        text_add_format(text, "%s %llu\n", family->name, (unsigned long long)value);
    }
    add_cpu(text, "leat_compress_copies_cpu_seconds_total", "CPU time of making copies of files.",
            counters->cpu_ns);
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
    if (metrics->coded_files)
        add_files(text, metrics->coded_files);
}
