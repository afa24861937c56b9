/* SPDX-License-Identifier: MIT */
/*
 * leat load: loads an HTTP server and says how it answered. Flags (load/flags.c) make a plan
 * (plan.c); a crew (crew.c) of clients (client.c), a thread each, carries it out; what they counted
 * (tally.c) becomes text, JSON and a histogram (report.c), a page (page.c), and an exit status
 * (expect.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "load/crew.h"
#include "load/flags.h"
#include "load/page.h"
#include "load/report.h"
#include "loop/process.h"

enum { EXIT_INTERRUPTED = 130, SPARE_DESCRIPTORS = 32 };

/* ---- The live line --------------------------------------------------------------------------- */

struct progress {
    const struct load_plan *plan;
    uint64_t answered;
};

static void format_left(const struct progress *progress, double elapsed_s, char *text, size_t size)
{
    const struct load_plan *plan = progress->plan;
    double left_s = (double)plan->duration_ns / 1e9 - elapsed_s;
    if (plan->requests > 0) {
        const double rate = (double)progress->answered / (elapsed_s > 0 ? elapsed_s : 1);
        const double by_number =
            rate > 0 ? ((double)plan->requests - (double)progress->answered) / rate : 0;
        left_s = by_number < left_s ? by_number : left_s;
    }
    snprintf(text, size, "%.0f s left", left_s > 0 ? left_s : 0);
}

static void show(const struct load_sample *sample, double elapsed_s, void *user)
{
    struct progress *progress = user;
    if (!sample) {
        fprintf(stderr, "\r\033[Kwarming up, %.0f s", -elapsed_s);
        return;
    }
    char left[32];
    progress->answered += sample->answered;
    format_left(progress, elapsed_s, left, sizeof left);
    fprintf(stderr, "\r\033[K%.0f s, %s   %.0f requests/s   %.1f MB/s   p99 %.3f ms   %lu errors",
            elapsed_s, left, (double)sample->answered / sample->length_s,
            (double)sample->bytes_received / sample->length_s / 1e6, (double)sample->p99_ns / 1e6,
            (unsigned long)sample->errors);
}

/* ---- What is written ------------------------------------------------------------------------- */

typedef int (*write_fn)(const struct load_result *result,
                        const struct load_expectation *expectations, size_t expectation_count,
                        FILE *out);

static int write_histogram(const struct load_result *result,
                           const struct load_expectation *expectations, size_t expectation_count,
                           FILE *out)
{
    return load_report_histogram(result, out);
}

/* A file is complete or it is said that it is not; "-" is standard output. */
static int write_to(const char *path, write_fn write, const struct load_flags *flags,
                    const struct load_result *result)
{
    FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!out) {
        fprintf(stderr, "leat load: cannot write '%s': %s\n", path, strerror(errno));
        return -1;
    }
    int error = write(result, flags->expectations, flags->expectation_count, out);
    if (out != stdout && fclose(out) != 0 && !error)
        error = -errno;
    if (error)
        fprintf(stderr, "leat load: cannot write '%s': %s\n", path, strerror(-error));
    return error ? -1 : 0;
}

static int write_all(const struct load_flags *flags, const struct load_result *result)
{
    const struct {
        const char *path;
        write_fn write;
    } outputs[] = {{flags->json_path, load_report_json},
                   {flags->html_path, load_page_write},
                   {flags->histogram_path, write_histogram}};
    bool uses_stdout = false;
    int error = 0;
    for (size_t index = 0; index < sizeof outputs / sizeof *outputs; index++) {
        if (!outputs[index].path)
            continue;
        uses_stdout |= strcmp(outputs[index].path, "-") == 0;
        error |= write_to(outputs[index].path, outputs[index].write, flags, result);
    }
    if (!uses_stdout)
        error |= write_to("-", load_report_text, flags, result);
    return error;
}

/* Before a long load rather than after it: can its results be written? */
static int try_outputs(const struct load_flags *flags)
{
    const char *const paths[] = {flags->json_path, flags->html_path, flags->histogram_path};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        if (!paths[index] || strcmp(paths[index], "-") == 0)
            continue;
        const int fd = open(paths[index], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) {
            fprintf(stderr, "leat load: cannot write '%s': %s\n", paths[index], strerror(errno));
            return -1;
        }
        close(fd);
    }
    return 0;
}

static int exit_status(const struct load_flags *flags, const struct load_result *result)
{
    if (result->is_interrupted)
        return EXIT_INTERRUPTED;
    for (size_t index = 0; index < flags->expectation_count; index++) {
        double value;
        if (!load_expect_met(&flags->expectations[index], result, &value))
            return EXIT_FAILURE;
    }
    return result->tally->answered > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* A connection is a descriptor. */
static int raise_descriptor_limit(unsigned connections)
{
    const uint64_t limit = process_raise_descriptor_limit();
    if (connections + SPARE_DESCRIPTORS <= limit)
        return 0;
    fprintf(stderr,
            "leat load: %u connections, but this process may open %lu files: raise the hard limit "
            "(ulimit -Hn), or share the load among processes\n",
            connections, (unsigned long)limit);
    return -1;
}

static int run(struct load_flags *flags)
{
    struct load_plan *plan = &flags->plan;
    char error[512];
    if (raise_descriptor_limit(plan->connections) != 0)
        return EXIT_WRONG_USE;
    if (load_plan_choose_address(plan, error, sizeof error) != 0) {
        fprintf(stderr, "leat load: %s\n", error);
        return EXIT_FAILURE;
    }
    if (try_outputs(flags) != 0)
        return EXIT_WRONG_USE;
    struct progress progress = {.plan = plan};
    const struct load_crew crew = {.plan = plan,
                                   .cores = flags->has_cores ? &flags->cores : NULL,
                                   .on_second = flags->shows_progress ? show : NULL,
                                   .user = &progress};
    struct load_result result = {
        .url = plan->url,
        .url_count = plan->target_count,
        .method = plan->method,
        .connections = plan->connections,
        .threads = plan->threads,
        .rate = plan->rate,
        .keep_alive = plan->keep_alive,
        .warm_up_s = (double)plan->warm_up_ns / 1e9,
    };
    const int failed = load_crew_run(&crew, &result, error, sizeof error);
    if (flags->shows_progress)
        fprintf(stderr, "\r\033[K");
    int status = EXIT_FAILURE;
    if (failed)
        fprintf(stderr, "leat load: %s\n", error);
    else
        status = write_all(flags, &result) == 0 ? exit_status(flags, &result) : EXIT_FAILURE;
    free((void *)result.tally);
    free((void *)result.samples);
    return status;
}

int cmd_load(int argc, char **argv)
{
    struct load_flags flags = {0};
    const enum options_result parsed = load_flags_parse(&flags, argc, argv);
    int status = parsed == OPTIONS_HELPED ? EXIT_SUCCESS : EXIT_WRONG_USE;
    if (parsed == OPTIONS_GO)
        status = run(&flags);
    load_flags_fini(&flags);
    return status;
}
