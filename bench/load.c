/* SPDX-License-Identifier: MIT */
/*
 * load [-c N] [-d S] [-n N] [-r RATE] [-x] ADDR:PORT PATH: an HTTP/1.1 load client for one core. It
 * really reads every body (256 KiB at a time) and learns the size of the response from the first
 * one, so that a request costs it little more than a send and a receive.
 *
 * Connections are kept alive; with -x each request has one of its own ("Connection: close"). Where
 * a response says that it is the last, the client waits for the end and connects anew, as RFC 9112,
 * section 9.6 would have it. Whatever else goes wrong is an error, and told apart: a connection
 * refused, one cut (closed or reset before the whole response was there, or reset afterwards), or a
 * response that is not a 200. Nothing is tried again silently.
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
    DIALS_MAX = 500,
    DIAL_PAUSE_NS = 10 * 1000 * 1000,
};

struct options {
    unsigned connections;
    double seconds;
    double rate;       /* requests a second; 0: closed loop */
    uint64_t requests; /* stop after so many; 0: by time */
    bool one_each;     /* a connection for each request */
};

enum state {
    IDLE,   /* in an open loop: free to ask */
    ASKED,  /* waits for a response */
    ENDING, /* had its last response whole; the server closes now */
};

struct connection {
    int fd;
    enum state state;
    bool is_last; /* the response at hand is, on this connection */
    size_t received, expected;
    uint64_t due_ns;
};

struct load {
    struct options options;
    struct sockaddr_in address;
    int poller;
    struct connection *connections;
    unsigned *idle; /* a ring of connections without a request: all take their turns */
    unsigned idle_first, idle_count;
    char request[1024];
    size_t request_size;
    size_t response_size;
    char *buffer;
    uint64_t start_ns;
    uint64_t issued, done, bytes;
    uint64_t closes;              /* by the server, foretold or of an idle connection: no errors */
    uint64_t refused, cut, wrong; /* errors */
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

/* The size of the response in the buffer by its head, which is all there or not: then 0. */
static size_t whole_size(const char *buffer)
{
    const char *end = strstr(buffer, "\r\n\r\n");
    const char *length = strcasestr(buffer, "\r\ncontent-length:");
    if (end == NULL || length == NULL || length > end)
        return 0;
    return (size_t)(end + 4 - buffer) + strtoul(length + 17, NULL, 10);
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
        if (strstr(load->buffer, "\r\n\r\n") == NULL)
            continue;
        load->response_size = whole_size(load->buffer);
        if (load->response_size == 0 || memcmp(load->buffer, "HTTP/1.1 200", 12) != 0) {
            fprintf(stderr, "load: want 200 and a Content-Length, got %.*s\n",
                    (int)strcspn(load->buffer, "\r"), load->buffer);
            exit(EXIT_FAILURE);
        }
    }
    close(fd);
}

/* Connects, and counts each time that fails. */
static void watch(struct load *load, unsigned index)
{
    int fd = -1;
    for (unsigned dials = 0; fd < 0; dials++) {
        fd = try_dial(&load->address);
        if (fd >= 0)
            break;
        load->refused++;
        if (dials == DIALS_MAX)
            give_up("connect");
        nanosleep(&(struct timespec){.tv_nsec = DIAL_PAUSE_NS}, NULL);
    }
    load->connections[index].fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(load->poller, EPOLL_CTL_ADD, fd, &event) < 0)
        give_up("epoll_ctl");
}

static void ask(struct load *load, unsigned index)
{
    load->connections[index].received = 0;
    load->connections[index].state = ASKED;
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    /* A failure shows again as a failed receive, which reconnects and asks anew. */
    if (send(load->connections[index].fd, load->request, load->request_size, flags) < 0)
        shutdown(load->connections[index].fd, SHUT_RDWR);
}

static bool all_issued(const struct load *load)
{
    return load->options.requests > 0 && load->issued >= load->options.requests;
}

static void rest(struct load *load, unsigned index)
{
    load->connections[index].state = IDLE;
    load->idle[(load->idle_first + load->idle_count++) % load->options.connections] = index;
}

/* The connection is free. */
static void go_on(struct load *load, unsigned index)
{
    if (load->options.rate > 0 || all_issued(load)) {
        rest(load, index);
        return;
    }
    load->issued++;
    ask(load, index);
}

/* A response came whole. */
static void answered(struct load *load, unsigned index)
{
    struct connection *connection = &load->connections[index];
    const uint64_t now = clock_ns(CLOCK_MONOTONIC);
    record(load, now - connection->due_ns);
    connection->due_ns = now;
    load->done++;
    if (connection->is_last)
        connection->state = ENDING;
    else
        go_on(load, index);
}

/* What a response's first bytes say of it. Nearly all are as long as the first one and come in one
 * piece: then they say the same. A head in two pieces is taken for one like the first's. */
static bool read_head(struct load *load, struct connection *connection, size_t size)
{
    connection->expected = load->response_size;
    connection->is_last = load->options.one_each;
    if (size >= 12 && memcmp(load->buffer, "HTTP/1.1 200", 12) != 0)
        return false;
    if (size == load->response_size)
        return true;
    load->buffer[size] = '\0';
    const size_t whole = whole_size(load->buffer);
    if (whole == 0)
        return true;
    connection->expected = whole;
    const char *last = strcasestr(load->buffer, "\r\nconnection: close\r\n");
    connection->is_last |= last != NULL && last < strstr(load->buffer, "\r\n\r\n");
    return true;
}

static void reconnect(struct load *load, unsigned index)
{
    close(load->connections[index].fd);
    watch(load, index);
}

/* The server has closed a connection that owes nothing, or says more than it was asked for. */
static void ended(struct load *load, unsigned index, ssize_t size)
{
    const enum state state = load->connections[index].state;
    load->closes += size == 0;
    load->cut += size < 0;
    load->wrong += size > 0;
    reconnect(load, index);
    if (state == ENDING)
        go_on(load, index);
}

static void receive(struct load *load, unsigned index)
{
    struct connection *connection = &load->connections[index];
    const ssize_t size = recv(connection->fd, load->buffer, BUFFER_SIZE - 1, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN)
        return;
    if (connection->state != ASKED) {
        ended(load, index, size);
        return;
    }
    bool is_wrong = false;
    if (size > 0) {
        is_wrong = connection->received == 0 && !read_head(load, connection, (size_t)size);
        connection->received += (size_t)size;
        load->bytes += (uint64_t)size;
        is_wrong |= connection->received > connection->expected;
        if (!is_wrong) {
            if (connection->received == connection->expected)
                answered(load, index);
            return;
        }
    }
    load->wrong += is_wrong;
    load->cut += !is_wrong;
    reconnect(load, index); /* and asks again, while the request's clock runs on */
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
        const unsigned index = load->idle[load->idle_first];
        load->idle_first = (load->idle_first + 1) % load->options.connections;
        load->idle_count--;
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
            rest(load, index);
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
    printf("{\"req\": %lu, \"secs\": %.6f, \"rps\": %.1f, \"bytes\": %lu, \"unfinished\": %lu, "
           "\"response_size\": %zu, \"closes\": %lu, ",
           load->done, secs, (double)load->done / secs, load->bytes, unfinished,
           load->response_size, load->closes);
    printf("\"errors\": %lu, \"refused\": %lu, \"cut\": %lu, \"wrong\": %lu, ",
           load->refused + load->cut + load->wrong, load->refused, load->cut, load->wrong);
    printf("\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}\n",
           quantile_us(load, count, 0.5), quantile_us(load, count, 0.9),
           quantile_us(load, count, 0.99), quantile_us(load, count, 0.999),
           (double)load->max_ns / 1e3);
}

int main(int argc, char **argv)
{
    static struct load load = {.options = {.connections = 64, .seconds = 2}};
    struct options *options = &load.options;
    for (int letter; (letter = getopt(argc, argv, "c:d:n:r:x")) >= 0;) {
        if (letter == 'c')
            options->connections = (unsigned)strtoul(optarg, NULL, 10);
        else if (letter == 'd')
            options->seconds = strtod(optarg, NULL);
        else if (letter == 'n')
            options->requests = strtoull(optarg, NULL, 10);
        else if (letter == 'r')
            options->rate = strtod(optarg, NULL);
        else if (letter == 'x')
            options->one_each = true;
        else
            argc = 0;
    }
    if (argc - optind != 2 || options->connections == 0 || options->seconds <= 0) {
        fprintf(stderr, "usage: load [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS] [-r RATE] "
                        "[-x] ADDR:PORT PATH\n");
        return 2;
    }
    if (options->rate > 0)
        options->requests = (uint64_t)(options->rate * options->seconds);
    prctl(PR_SET_TIMERSLACK, 1); /* the default lets an open loop's clock be 50 us late */
    load.address = parse_address(argv[optind]);
    load.request_size = (size_t)snprintf(
        load.request, sizeof load.request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
        argv[optind + 1], options->one_each ? "Connection: close\r\n" : "");
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
