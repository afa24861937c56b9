/* SPDX-License-Identifier: MIT */
/*
 * fetch [--threads N] [--parallel N] [--redirects N] [--timeout MS] URL... | -
 *
 * Gathers URLs (from standard input with "-", one a line) and says of each what it came to: status,
 * bytes, and where they came from in the end. So many are fetched at a time, over connections that
 * are used again, by whichever thread needs one next. Exit status 0 if every answer was a 2xx.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/leat.h"

enum { URLS_MAX = 10000, THREADS_MAX = 64, PIECE_SIZE = 64 * 1024 };

static struct {
    unsigned threads, parallel, redirects;
    int64_t timeout_ms;
} want = {.threads = 1, .parallel = 16, .redirects = 10, .timeout_ms = 30000};

struct job {
    char *url, *final_url;
    uint64_t size;
};

static struct {
    struct leat_client *client;
    size_t count;
    struct job jobs[URLS_MAX];
    struct leat_call calls[URLS_MAX]; /* of fetch_one; a thread has a part of them */
} all;

/* What comes is counted, never kept. */
static int count_body(struct leat_fetch *fetch, int64_t deadline_ns, uint64_t *ret_size)
{
    char *piece = malloc(PIECE_SIZE);
    if (!piece)
        return -ENOMEM;
    ssize_t size;
    *ret_size = 0;
    while ((size = leat_fetch_read(fetch, piece, PIECE_SIZE, deadline_ns)) > 0)
        *ret_size += (uint64_t)size;
    free(piece);
    return (int)size;
}

/* The status, or an error. */
static int fetch_one(void *arg)
{
    struct job *job = arg;
    struct leat_fetch *fetch;
    const int64_t deadline_ns = leat_after_ms(want.timeout_ms);
    const struct leat_fetch_request request = {.url = job->url, .redirects_max = want.redirects};
    int error = leat_fetch_open(all.client, &request, deadline_ns, &fetch);
    if (error)
        return error;
    error = count_body(fetch, deadline_ns, &job->size);
    const int status = leat_fetch_status(fetch);
    job->final_url = strdup(leat_fetch_url(fetch));
    leat_fetch_close(fetch);
    return error ? error : status;
}

struct part {
    pthread_t thread;
    size_t begin, end; /* of all.calls */
    int error;
};

static int gather(void *arg)
{
    const struct part *part = arg;
    const struct leat_gather_options options = {.on_error = LEAT_GATHER_WAIT,
                                                .parallel_max = want.parallel};
    /* What went wrong is told call by call. */
    (void)leat_gather(all.calls + part->begin, part->end - part->begin, &options);
    return 0;
}

static void *run_part(void *arg)
{
    struct part *part = arg;
    part->error = leat_run(gather, part, NULL);
    return NULL;
}

/* 0, or why a loop could not run. */
static int gather_all(void)
{
    struct part parts[THREADS_MAX];
    int error = 0;
    for (size_t i = 0; i < want.threads; i++) {
        parts[i] = (struct part){.begin = all.count * i / want.threads,
                                 .end = all.count * (i + 1) / want.threads};
        if (i > 0 && pthread_create(&parts[i].thread, NULL, run_part, &parts[i]) != 0)
            abort();
    }
    run_part(&parts[0]);
    for (size_t i = 0; i < want.threads; i++) {
        if (i > 0)
            pthread_join(parts[i].thread, NULL);
        error = error ? error : parts[i].error;
    }
    return error;
}

static int report(void)
{
    struct leat_client_counters counters;
    int failed = 0;
    for (size_t i = 0; i < all.count; i++) {
        const struct job *job = &all.jobs[i];
        const int result = all.calls[i].result;
        if (result < 0)
            printf("  - %10s  %s: %s\n", "", job->url, leat_error_text(result));
        else
            printf("%3d %10llu  %s\n", result, (unsigned long long)job->size, job->final_url);
        failed |= result < 200 || result > 299;
    }
    leat_client_counters(all.client, &counters);
    printf("%llu requests over %llu connections\n",
           (unsigned long long)(counters.opened + counters.reused),
           (unsigned long long)counters.opened);
    return failed;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void add(const char *url)
{
    if (all.count == URLS_MAX) {
        fprintf(stderr, "fetch: %d URLs at most\n", URLS_MAX);
        exit(2);
    }
    struct job *job = &all.jobs[all.count];
    job->url = strdup(url);
    all.calls[all.count++] = (struct leat_call){.fn = fetch_one, .arg = job};
}

static void add_lines(FILE *file)
{
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            add(line);
    }
    free(line);
}

static unsigned number_of(const char *text, unsigned min, unsigned max)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || number < min || number > max) {
        fprintf(stderr, "fetch: '%s' is no number from %u to %u\n", text, min, max);
        exit(2);
    }
    return (unsigned)number;
}

static void parse_words(int argc, char **argv)
{
    static const struct option flags[] = {
        {"threads", required_argument, NULL, 't'},
        {"parallel", required_argument, NULL, 'p'},
        {"redirects", required_argument, NULL, 'r'},
        {"timeout", required_argument, NULL, 'm'},
        {0},
    };
    int flag;
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        switch (flag) {
        case 't': want.threads = number_of(optarg, 1, THREADS_MAX); break;
        case 'p': want.parallel = number_of(optarg, 1, 10000); break;
        case 'r': want.redirects = number_of(optarg, 0, 100); break;
        case 'm': want.timeout_ms = number_of(optarg, 1, 3600 * 1000); break;
        default: exit(2);
        }
    }
    for (int i = optind; i < argc; i++) {
        if (strcmp(argv[i], "-") == 0)
            add_lines(stdin);
        else
            add(argv[i]);
    }
    if (all.count == 0) {
        fprintf(stderr, "usage: fetch [--threads N] [--parallel N] [--redirects N] "
                        "[--timeout MS] URL... | -\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    parse_words(argc, argv);
    const struct leat_client_options options = {.connections_per_host_max = want.parallel};
    int error = leat_client_create(&options, &all.client);
    if (!error)
        error = gather_all();
    if (error) {
        fprintf(stderr, "fetch: %s\n", leat_error_text(error));
        return 1;
    }
    const int status = report();
    leat_client_destroy(all.client);
    for (size_t i = 0; i < all.count; i++) {
        free(all.jobs[i].url);
        free(all.jobs[i].final_url);
    }
    return status;
}
