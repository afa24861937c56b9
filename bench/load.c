/* SPDX-License-Identifier: MIT */
/*
 * load [-c N] [-d S] [-n N] [-r RATE] ADDR:PORT PATH: a keep-alive HTTP/1.1 load client for one
 * core. It really reads every body (256 KiB at a time) and learns the size of the response from the
 * first one, so that a request costs it little more than a send and a receive.
 *
 * Closed loop by default: each connection asks again when it was answered. With -r the loop is
 * open: request i is due at start + i / RATE whatever the server does, and its latency counts from
 * then, also while no connection was free to ask. So a stall is seen by all requests it delayed,
 * not by the one that hit it (coordinated omission). Prints one line of JSON, latencies in us.
 */
#include "common.h"

#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum {
    BUFFER_SIZE = 256 * 1024,
    EVENTS = 256,
    SUB_BITS = 7, /* 128 buckets an octave: a latency is exact to 0.8 % */
    SUB_COUNT = 1 << SUB_BITS,
    BUCKETS = (64 - SUB_BITS + 1) * SUB_COUNT,
    GRACE_S = 5, /* how long an open loop waits for what is still due at its end */
};

struct options {
    unsigned connections;
    double seconds;
    double rate;       /* requests a second; 0: closed loop */
    uint64_t requests; /* stop after so many; 0: by time */
};

struct connection {
    int fd;
    uint64_t due_ns;
    size_t received;
};

struct load {
    struct options options;
    struct sockaddr_in address;
    int poller;
    struct connection *connections;
    unsigned *idle; /* a stack of connections without a request */
    unsigned idle_count;
    char request[1024];
    size_t request_size;
    size_t response_size;
    char *buffer;
    uint64_t start_ns;
    uint64_t issued, done, bytes, errors;
    uint64_t max_ns;
    uint64_t histogram[BUCKETS]; /* log-linear */
};

static unsigned bucket_of(uint64_t value)
{
    if (value < SUB_COUNT)
        return (unsigned)value;
    const unsigned octave = 63 - (unsigned)__builtin_clzll(value);
    const unsigned sub = (value >> (octave - SUB_BITS)) & (SUB_COUNT - 1);
    return (octave - SUB_BITS + 1) * SUB_COUNT + sub;
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_top(unsigned bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    const unsigned shift = bucket / SUB_COUNT - 1;
    return ((uint64_t)(bucket % SUB_COUNT + SUB_COUNT + 1) << shift) - 1;
}

static void record(struct load *load, uint64_t latency_ns)
{
    load->histogram[bucket_of(latency_ns)]++;
    if (latency_ns > load->max_ns)
        load->max_ns = latency_ns;
}

static double quantile_us(const struct load *load, uint64_t count, double quantile)
{
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += load->histogram[bucket];
        if (seen > 0 && (double)seen >= quantile * (double)count) {
            const uint64_t top = bucket_top(bucket);
            return (double)(top < load->max_ns ? top : load->max_ns) / 1e3;
        }
    }
    return 0;
}

/* Asks once on a connection of its own and reads the whole answer. */
static void learn(struct load *load)
{
    const int fd = dial(&load->address);
    size_t received = 0;
    if (send(fd, load->request, load->request_size, MSG_NOSIGNAL) < 0)
        give_up("send");
    while (load->response_size == 0 || received < load->response_size) {
        /* Once the head was read the body is only counted, over whatever lies in the buffer. */
        const size_t offset = load->response_size == 0 ? received : 0;
        const ssize_t size = recv(fd, load->buffer + offset, BUFFER_SIZE - 1 - offset, 0);
        if (size <= 0) {
            fprintf(stderr, "load: the first response broke off after %zu bytes\n", received);
            exit(EXIT_FAILURE);
        }
        received += (size_t)size;
        if (load->response_size > 0)
            continue;
        load->buffer[received] = '\0';
        const char *end = strstr(load->buffer, "\r\n\r\n");
        const char *length = strcasestr(load->buffer, "\r\ncontent-length:");
        if (end != NULL && (length == NULL || length > end || !strstr(load->buffer, " 200 "))) {
            fprintf(stderr, "load: want 200 and a Content-Length, got %.*s\n",
                    (int)strcspn(load->buffer, "\r"), load->buffer);
            exit(EXIT_FAILURE);
        }
        if (end != NULL)
            load->response_size = (size_t)(end + 4 - load->buffer) + strtoul(length + 17, NULL, 10);
    }
    close(fd);
}

static void watch(struct load *load, unsigned index)
{
    load->connections[index].fd = dial(&load->address);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(load->poller, EPOLL_CTL_ADD, load->connections[index].fd, &event) < 0)
        give_up("epoll_ctl");
}

static void ask(struct load *load, unsigned index)
{
    load->connections[index].received = 0;
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    /* A failure shows again as a failed receive, which reconnects and asks anew. */
    if (send(load->connections[index].fd, load->request, load->request_size, flags) < 0)
        shutdown(load->connections[index].fd, SHUT_RDWR);
}

static bool all_issued(const struct load *load)
{
    return load->options.requests > 0 && load->issued >= load->options.requests;
}

static void answered(struct load *load, unsigned index)
{
    struct connection *connection = &load->connections[index];
    const uint64_t now = clock_ns(CLOCK_MONOTONIC);
    record(load, now - connection->due_ns);
    load->done++;
    if (load->options.rate > 0 || all_issued(load)) {
        load->idle[load->idle_count++] = index;
        return;
    }
    connection->due_ns = now;
    load->issued++;
    ask(load, index);
}

static void receive(struct load *load, unsigned index)
{
    struct connection *connection = &load->connections[index];
    const ssize_t size = recv(connection->fd, load->buffer, BUFFER_SIZE, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN)
        return;
    const bool torn =
        size >= 12 && connection->received == 0 && memcmp(load->buffer, "HTTP/1.1 200", 12) != 0;
    if (size > 0 && !torn) {
        connection->received += (size_t)size;
        load->bytes += (uint64_t)size;
        if (connection->received < load->response_size)
            return;
        if (connection->received == load->response_size) {
            answered(load, index);
            return;
        }
    }
    /* Cut, or not what the first response was like: asked again, while its clock runs on. */
    load->errors++;
    close(connection->fd);
    watch(load, index);
    ask(load, index);
}

static uint64_t due_ns(const struct load *load, uint64_t request)
{
    return load->start_ns + (uint64_t)((double)request / load->options.rate * 1e9);
}

/* Open loop: asks for all that is due, as far as connections are free. */
static void ask_due(struct load *load, uint64_t now)
{
    while (load->idle_count > 0 && !all_issued(load) && due_ns(load, load->issued) <= now) {
        const unsigned index = load->idle[--load->idle_count];
        load->connections[index].due_ns = due_ns(load, load->issued++);
        ask(load, index);
    }
}

static struct timespec time_to_wait(const struct load *load, uint64_t now, uint64_t end_ns)
{
    uint64_t until = end_ns;
    if (load->options.rate > 0 && load->idle_count > 0 && !all_issued(load))
        until = due_ns(load, load->issued);
    const uint64_t wait_ns = until > now ? until - now : 0;
    return (struct timespec){.tv_sec = (time_t)(wait_ns / NS_PER_S),
                             .tv_nsec = (long)(wait_ns % NS_PER_S)};
}

/* Returns when it ended. What an open loop still owes then counts as late as it is by now. */
static uint64_t run(struct load *load)
{
    const struct options *options = &load->options;
    const bool open_loop = options->rate > 0;
    load->start_ns = clock_ns(CLOCK_MONOTONIC);
    const double limit_s = options->seconds + (open_loop ? GRACE_S : 0);
    const uint64_t end_ns = load->start_ns + (uint64_t)(limit_s * 1e9);
    for (unsigned index = 0; index < options->connections; index++) {
        if (open_loop || all_issued(load)) {
            load->idle[load->idle_count++] = index;
            continue;
        }
        load->connections[index].due_ns = clock_ns(CLOCK_MONOTONIC);
        load->issued++;
        ask(load, index);
    }
    struct epoll_event events[EVENTS];
    uint64_t now = load->start_ns;
    while (now < end_ns && (options->requests == 0 || load->done < options->requests)) {
        if (open_loop)
            ask_due(load, now);
        const struct timespec wait = time_to_wait(load, now, end_ns);
        const int count = epoll_pwait2(load->poller, events, EVENTS, &wait, NULL);
        for (int index = 0; index < count; index++)
            receive(load, events[index].data.u32);
        now = clock_ns(CLOCK_MONOTONIC);
    }
    return now;
}

static void report(struct load *load, uint64_t now)
{
    uint64_t unfinished = 0;
    if (load->options.rate > 0) {
        /* Of those on the way only the oldest are told apart; the rest were due after them. */
        for (uint64_t request = load->done; request < load->options.requests; request++) {
            record(load, now - due_ns(load, request));
            unfinished++;
        }
    }
    const uint64_t count = load->done + unfinished;
    const double secs = (double)(now - load->start_ns) / 1e9;
    printf("{\"req\": %lu, \"secs\": %.6f, \"rps\": %.1f, \"bytes\": %lu, \"errors\": %lu, "
           "\"unfinished\": %lu, \"response_size\": %zu, ",
           load->done, secs, (double)load->done / secs, load->bytes, load->errors, unfinished,
           load->response_size);
    printf("\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}\n",
           quantile_us(load, count, 0.5), quantile_us(load, count, 0.9),
           quantile_us(load, count, 0.99), quantile_us(load, count, 0.999),
           (double)load->max_ns / 1e3);
}

int main(int argc, char **argv)
{
    static struct load load = {.options = {.connections = 64, .seconds = 2}};
    struct options *options = &load.options;
    for (int letter; (letter = getopt(argc, argv, "c:d:n:r:")) >= 0;) {
        if (letter == 'c')
            options->connections = (unsigned)strtoul(optarg, NULL, 10);
        else if (letter == 'd')
            options->seconds = strtod(optarg, NULL);
        else if (letter == 'n')
            options->requests = strtoull(optarg, NULL, 10);
        else if (letter == 'r')
            options->rate = strtod(optarg, NULL);
        else
            argc = 0;
    }
    if (argc - optind != 2 || options->connections == 0 || options->seconds <= 0) {
        fprintf(stderr, "usage: load [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS] [-r RATE] "
                        "ADDR:PORT PATH\n");
        return 2;
    }
    if (options->rate > 0)
        options->requests = (uint64_t)(options->rate * options->seconds);
    prctl(PR_SET_TIMERSLACK, 1); /* the default lets an open loop's clock be 50 us late */
    load.address = parse_address(argv[optind]);
    load.request_size =
        (size_t)snprintf(load.request, sizeof load.request,
                         "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[optind + 1]);
    load.buffer = malloc(BUFFER_SIZE);
    load.connections = calloc(options->connections, sizeof *load.connections);
    load.idle = calloc(options->connections, sizeof *load.idle);
    load.poller = epoll_create1(EPOLL_CLOEXEC);
    if (load.buffer == NULL || load.connections == NULL || load.idle == NULL || load.poller < 0)
        give_up("load");
    if (load.request_size >= sizeof load.request) {
        fprintf(stderr, "load: the path is too long\n");
        return 2;
    }
    memset(load.buffer, 1, BUFFER_SIZE); /* page faults belong before the clock starts */
    learn(&load);
    for (unsigned index = 0; index < options->connections; index++)
        watch(&load, index);
    report(&load, run(&load));
    return 0;
}
