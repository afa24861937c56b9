/* SPDX-License-Identifier: MIT */
/*
 * See flags.h. Options are taken as they come; what depends on several of them (the targets, which
 * need method, headers and body) is made in the end.
 */
#include "flags.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "crew.h"
#include "leat/clock.h"
#include "wire/chars.h"
#include "quantity.h"

enum { ERROR_SIZE = 1024 };

static const int64_t DEFAULT_DURATION_NS = INT64_C(10000000000);
static const double RATE_MAX = 1e9;

static int take_rate(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    const char *rest;
    double *rate = target;
    if (quantity_number(text, rate, &rest) && (*rest == '\0' || strcmp(rest, "k") == 0)) {
        *rate *= *rest == 'k' ? 1000 : 1;
        if (*rate > 0 && *rate <= RATE_MAX)
            return 0;
    }
    snprintf(ret_error, ret_error_size,
             "--rate takes requests a second, such as 2000 or 2k, not '%s'", text);
    return -1;
}

static int take_method(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    const char *end = text + strlen(text);
    if (text == end || chars_skip(text, end, CHARS_TOKEN) != end) {
        snprintf(ret_error, ret_error_size, "--method takes a method such as GET or POST, not '%s'",
                 text);
        return -1;
    }
    *(const char **)target = text;
    return 0;
}

/* "Name: value" as it will be sent; nothing in it may end the line. */
static int take_header(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct load_plan *plan = target;
    const char *end = text + strlen(text);
    const char *colon = chars_skip(text, end, CHARS_TOKEN);
    if (colon == text || *colon != ':' || chars_skip(colon + 1, end, CHARS_VALUE) != end) {
        snprintf(ret_error, ret_error_size, "--header takes 'NAME: VALUE' in one line, not '%s'",
                 text);
        return -1;
    }
    if (plan->header_count == LOAD_HEADERS_MAX) {
        snprintf(ret_error, ret_error_size, "--header can be given %d times at most",
                 LOAD_HEADERS_MAX);
        return -1;
    }
    plan->headers[plan->header_count++] = text;
    return 0;
}

static int take_body(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    return load_plan_take_body(target, text, ret_error, ret_error_size);
}

static int take_expectation(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct load_flags *flags = target;
    if (flags->expectation_count == LOAD_EXPECTATIONS_MAX) {
        snprintf(ret_error, ret_error_size, "--expect can be given %d times at most",
                 LOAD_EXPECTATIONS_MAX);
        return -1;
    }
    return load_expect_parse(text, &flags->expectations[flags->expectation_count++], ret_error,
                             ret_error_size);
}

/* "0,2-5" */
static int take_cores(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct load_flags *flags = target;
    CPU_ZERO(&flags->cores);
    for (const char *at = text; *at;) {
        char *end;
        const long first = chars_is(*at, CHARS_DIGIT) ? strtol(at, &end, 10) : -1;
        long last = first;
        if (first >= 0 && *end == '-' && chars_is(end[1], CHARS_DIGIT))
            last = strtol(end + 1, &end, 10);
        if (first < 0 || last < first || last >= CPU_SETSIZE || (*end && *end != ',')) {
            snprintf(ret_error, ret_error_size, "--cores takes a list such as 0,2-5, not '%s'",
                     text);
            return -1;
        }
        for (long core = first; core <= last; core++)
            CPU_SET((size_t)core, &flags->cores);
        at = *end ? end + 1 : end;
    }
    flags->has_cores = CPU_COUNT(&flags->cores) > 0;
    return 0;
}

/* What is asked for in several options, and does not go together. */
static int check(struct load_flags *flags, long connections, long threads, char *error)
{
    struct load_plan *plan = &flags->plan;
    if (threads > connections) {
        snprintf(error, ERROR_SIZE, "%ld threads cannot share %ld connections: each needs one",
                 threads, connections);
        return -1;
    }
    if (plan->duration_ns == 0)
        plan->duration_ns = plan->requests > 0 ? LEAT_FOREVER : DEFAULT_DURATION_NS;
    if (plan->timeout_ns == 0) {
        snprintf(error, ERROR_SIZE, "--timeout must be above 0");
        return -1;
    }
    plan->connections = (unsigned)connections;
    plan->threads = (unsigned)threads;
    if (plan->rate > 0 && plan->requests == 0 && plan->rate * (double)plan->duration_ns / 1e9 < 1) {
        snprintf(error, ERROR_SIZE, "at this rate not one request is due in the whole duration");
        return -1;
    }
    return 0;
}

static int add_targets(struct load_plan *plan, const char *url, const char *list, char *error)
{
    if (!url && !list) {
        snprintf(error, ERROR_SIZE, "which URL? such as http://127.0.0.1:8080/");
        return -1;
    }
    if (url && load_plan_add_url(plan, url, error, ERROR_SIZE) != 0)
        return -1;
    return list ? load_plan_add_list(plan, list, error, ERROR_SIZE) : 0;
}

enum options_result load_flags_parse(struct load_flags *flags, int argc, char **argv)
{
    static const char *const engines[] = {"auto", "uring", "epoll", NULL};
    struct load_plan *plan = &flags->plan;
    const char *url = NULL, *list = NULL;
    long connections = 64, threads = 1, requests = 0;
    int engine = LEAT_ENGINE_AUTO;
    plan->method = "GET";
    plan->keep_alive = true;
    plan->timeout_ns = INT64_C(30000000000);
    flags->shows_progress = isatty(STDERR_FILENO);
    /* clang-format off */
    const struct option options[] = {
        {.name = "connections", .letter = 'c', .value = "N", .kind = OPTION_COUNT,
         .target = &connections, .min = 1, .max = 1000000,
         .help = "of all threads together (default: 64)"},
        {.name = "threads", .letter = 't', .value = "N", .kind = OPTION_COUNT, .target = &threads,
         .min = 1, .max = LOAD_THREADS_MAX, .help = "each with a loop of its own (default: 1)"},
        {.name = "duration", .letter = 'd', .value = "TIME", .kind = OPTION_CALL,
         .take = quantity_take_time, .target = &plan->duration_ns,
         .help = "10s, 300ms, 5m (default: 10s, or as long as --requests take)"},
        {.name = "requests", .letter = 'n', .value = "N", .kind = OPTION_COUNT,
         .target = &requests, .min = 1, .max = INT64_MAX, .help = "so many in all, then end"},
        {.name = "rate", .letter = 'r', .value = "N", .kind = OPTION_CALL, .take = take_rate,
         .target = &plan->rate,
         .help = "open loop: so many a second, timed from when each was due"},
        {.name = "warm-up", .value = "TIME", .kind = OPTION_CALL, .take = quantity_take_time,
         .target = &plan->warm_up_ns, .help = "load before the measurement begins (default: 0)"},
        {.name = "timeout", .value = "TIME", .kind = OPTION_CALL, .take = quantity_take_time,
         .target = &plan->timeout_ns, .help = "for a response to be there, whole (default: 30s)"},
        {.name = "keep-alive", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &plan->keep_alive, .help = "off: a connection for each request (default: on)"},
        {.name = "method", .letter = 'm', .value = "METHOD", .kind = OPTION_CALL,
         .take = take_method, .target = &plan->method, .help = "default: GET"},
        {.name = "header", .letter = 'H', .value = "'NAME: VALUE'", .kind = OPTION_CALL,
         .take = take_header, .target = plan, .help = "sent with each request; may repeat"},
        {.name = "body", .value = "TEXT|@FILE", .kind = OPTION_CALL, .take = take_body,
         .target = plan, .help = "sent with each request"},
        {.name = "urls", .value = "FILE", .kind = OPTION_TEXT, .target = &list,
         .help = "more of them, a line each: [METHOD ]URL, taken in turn"},
        {.name = "connect", .value = "ADDR:PORT", .kind = OPTION_TEXT,
         .target = &plan->connect, .help = "or unix:/path: go there, whatever the URL's host is"},
        {.name = "cores", .value = "LIST", .kind = OPTION_CALL, .take = take_cores,
         .target = flags, .help = "0,2-5: pin the threads to these, in turn"},
        {.name = "engine", .value = "auto|uring|epoll", .kind = OPTION_CHOICE, .target = &engine,
         .choices = engines, .help = "auto takes io_uring where it works (default: auto)"},
        {.name = "expect", .value = "'p99<5ms'", .kind = OPTION_CALL, .take = take_expectation,
         .target = flags, .help = "else the exit status is 1; may repeat"},
        {.name = "json", .value = "FILE|-", .kind = OPTION_TEXT,
         .target = &flags->json_path, .help = "the result for programs; -: instead of the text"},
        {.name = "html", .value = "FILE", .kind = OPTION_TEXT,
         .target = &flags->html_path, .help = "the result as a page with plots"},
        {.name = "histogram", .value = "FILE", .kind = OPTION_TEXT,
         .target = &flags->histogram_path, .help = "every latency, in buckets of 0.8 %"},
        {.name = "progress", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &flags->shows_progress,
         .help = "a live line on stderr (default: on a terminal)"},
        {0},
    };
    /* clang-format on */
    const struct option_set set = {
        .command = "leat load",
        .arguments = "URL",
        .summary = "Loads an HTTP/1.1 server and measures how it answers.",
        .options = options,
        .positional = &url,
        .positional_max = 1,
    };
    const enum options_result result = options_parse(&set, argc, argv);
    if (result != OPTIONS_GO)
        return result;
    char error[ERROR_SIZE];
    plan->requests = (uint64_t)requests;
    plan->engine = (enum leat_engine)engine;
    if (check(flags, connections, threads, error) != 0 ||
        add_targets(plan, url, list, error) != 0) {
        options_complain("leat load", error);
        return OPTIONS_WRONG;
    }
    return OPTIONS_GO;
}

void load_flags_fini(struct load_flags *flags)
{
    load_plan_fini(&flags->plan);
}
