/* SPDX-License-Identifier: MIT */
/*
 * crowd -m MODE [-c N] [-i SECONDS] ADDR:PORT PATH: N clients that cost a server memory or patience
 * rather than work, from one process (so at most what its descriptor limit allows).
 *
 *     idle   each asks once, reads the whole answer, and then keeps its connection without a word
 *     wait   each asks once, for an answer that takes its time
 *     read   each asks for PATH and takes 1 KiB of it every SECONDS through a small window
 *     write  each sends a head, one byte every SECONDS, that never ends
 *
 * When all are in place (answered; asked; reading; writing) it prints a line of JSON. It ends by
 * SIGTERM, `wait` also when all have their answers, `idle` when some were lost (the server closed
 * them before their time), with a second line of what has become of them. A slow one that the
 * server closes comes back at once, as an attacker's would: that is counted and no fault.
 */
#include "common.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum {
    BUFFER_SIZE = 64 * 1024,
    EVENTS = 256,
    PIECE_SIZE = 1024,     /* that a slow reader takes at a time */
    WINDOW_SIZE = 4096,    /* its SO_RCVBUF */
    ARRIVALS_PER_MS = 10,  /* more would overflow the queue of a listener */
    UNANSWERED_MAX = 1000, /* arrivals wait while so many have no answer yet (idle) */
    SLOWEST_TICK_NS = 2 * 1000 * 1000,
};

enum mode { MODE_IDLE, MODE_WAIT, MODE_READ, MODE_WRITE, MODES };

struct member {
    int fd; /* -1: closed for good */
    bool has_asked, is_there;
    size_t position; /* bytes of the head sent (write), or of the answer received */
    size_t expected; /* 0: its head has not come */
};

struct crowd {
    enum mode mode;
    unsigned count;
    double interval_s;
    struct sockaddr_in address;
    char request[1024];
    size_t request_size;
    int poller;
    struct member *members;
    unsigned arrived, there, answered, lost;
    uint64_t returned, bytes, turns;
};

static const char *const mode_names[MODES] = {"idle", "wait", "read", "write"};
static char buffer[BUFFER_SIZE];
static volatile sig_atomic_t has_to_end;

static void end(int number)
{
    has_to_end = 1;
}

static bool is_slow(const struct crowd *crowd)
{
    return crowd->mode == MODE_READ || crowd->mode == MODE_WRITE;
}

static void set_there(struct crowd *crowd, struct member *member, bool is_there)
{
    crowd->there += is_there;
    crowd->there -= member->is_there;
    member->is_there = is_there;
}

/* Asks, unless it has or cannot yet. */
static void ask(struct crowd *crowd, struct member *member)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (member->has_asked)
        return;
    if (send(member->fd, crowd->request, crowd->request_size, flags) < 0)
        return; /* not connected yet; a failure shows when receiving */
    member->has_asked = true;
    if (crowd->mode == MODE_WAIT)
        set_there(crowd, member, true);
}

/* A byte of the head at a time; what follows its end is the value of a field that has none. */
static void write_byte(struct crowd *crowd, struct member *member)
{
    const char *head = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    const char byte = member->position < strlen(head) ? head[member->position] : 'a';
    if (send(member->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        return;
    member->position++;
    set_there(crowd, member, true);
}

static void arrive(struct crowd *crowd, struct member *member)
{
    const int window = WINDOW_SIZE;
    const int one = 1;
    *member = (struct member){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (member->fd < 0)
        give_up("socket");
    setsockopt(member->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (crowd->mode == MODE_READ)
        setsockopt(member->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    const struct sockaddr *address = (const struct sockaddr *)&crowd->address;
    if (connect(member->fd, address, sizeof crowd->address) < 0 && errno != EINPROGRESS)
        give_up("connect");
    if (crowd->mode == MODE_WRITE) {
        write_byte(crowd, member);
        return;
    }
    ask(crowd, member);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = member};
    if (!is_slow(crowd) && epoll_ctl(crowd->poller, EPOLL_CTL_ADD, member->fd, &event) < 0)
        give_up("epoll_ctl");
}

static bool is_answered(const struct member *member)
{
    return member->expected > 0 && member->position >= member->expected;
}

/* The server has closed it. */
static void leave(struct crowd *crowd, struct member *member)
{
    set_there(crowd, member, false);
    close(member->fd);
    member->fd = -1;
    if (is_slow(crowd)) {
        crowd->returned++;
        arrive(crowd, member);
        return;
    }
    crowd->lost += crowd->mode == MODE_IDLE || !is_answered(member);
}

/* One small act of a slow client, in its turn. */
static void act(struct crowd *crowd, struct member *member)
{
    if (crowd->mode == MODE_READ)
        ask(crowd, member);
    const ssize_t size = recv(member->fd, buffer, PIECE_SIZE, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) {
        if (crowd->mode == MODE_WRITE)
            write_byte(crowd, member);
        return;
    }
    if (size <= 0 || crowd->mode == MODE_WRITE) { /* a writer is answered when it is sent away */
        leave(crowd, member);
        return;
    }
    crowd->bytes += (uint64_t)size;
    set_there(crowd, member, true);
}

/* Those whose turn has come since the last call: each once in an interval, spread over it. */
static void act_in_turn(struct crowd *crowd, double elapsed_s)
{
    const uint64_t due = (uint64_t)(elapsed_s / crowd->interval_s * crowd->count);
    for (; crowd->turns < due; crowd->turns++) {
        const unsigned index = (unsigned)(crowd->turns % crowd->count);
        if (index < crowd->arrived)
            act(crowd, &crowd->members[index]);
    }
}

/* The size of the whole answer, from its head; 0: wants more of it. */
static size_t whole_size(size_t size)
{
    buffer[size] = '\0';
    const char *head_end = strstr(buffer, "\r\n\r\n");
    const char *length = strcasestr(buffer, "\r\ncontent-length:");
    if (head_end == NULL)
        return 0;
    if (length == NULL || length > head_end || memcmp(buffer, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "crowd: want 200 and a Content-Length, got %.*s\n",
                (int)strcspn(buffer, "\r"), buffer);
        exit(EXIT_FAILURE);
    }
    return (size_t)(head_end + 4 - buffer) + strtoul(length + 17, NULL, 10);
}

static void receive(struct crowd *crowd, struct member *member)
{
    const ssize_t size = recv(member->fd, buffer, sizeof buffer - 1, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        leave(crowd, member);
        return;
    }
    if (member->expected == 0)
        member->expected = whole_size((size_t)size);
    member->position += (size_t)size;
    crowd->bytes += (uint64_t)size;
    if (!is_answered(member))
        return;
    crowd->answered++;
    set_there(crowd, member, crowd->mode == MODE_IDLE);
}

static void handle(struct crowd *crowd, const struct epoll_event *event)
{
    struct member *member = event->data.ptr;
    if (member->fd < 0)
        return;
    if (event->events & EPOLLOUT)
        ask(crowd, member);
    if (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        receive(crowd, member);
}

static void arrive_in_time(struct crowd *crowd, double elapsed_s)
{
    const double due = elapsed_s * 1000 * ARRIVALS_PER_MS + 1;
    while (crowd->arrived < crowd->count && crowd->arrived < due) {
        if (crowd->mode == MODE_IDLE && crowd->arrived - crowd->answered >= UNANSWERED_MAX)
            return;
        arrive(crowd, &crowd->members[crowd->arrived++]);
    }
}

static void report(const struct crowd *crowd, uint64_t start_ns)
{
    printf("{\"there\": %u, \"answered\": %u, \"lost\": %u, \"returned\": %lu, \"bytes\": %lu, "
           "\"secs\": %.6f}\n",
           crowd->there, crowd->answered, crowd->lost, crowd->returned, crowd->bytes,
           (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9);
    fflush(stdout);
}

static void run(struct crowd *crowd)
{
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    bool was_complete = false;
    struct epoll_event events[EVENTS];
    while (!has_to_end) {
        const double elapsed_s = (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9;
        arrive_in_time(crowd, elapsed_s);
        if (is_slow(crowd))
            act_in_turn(crowd, elapsed_s);
        if (!was_complete && crowd->there == crowd->count) {
            was_complete = true;
            report(crowd, start_ns);
        }
        if (crowd->mode == MODE_WAIT && crowd->answered + crowd->lost == crowd->count)
            break;
        if (crowd->mode == MODE_IDLE && crowd->there + crowd->lost == crowd->count &&
            crowd->lost > 0)
            break;
        const bool is_settled = !is_slow(crowd) && crowd->arrived == crowd->count;
        const struct timespec tick = {.tv_sec = is_settled,
                                      .tv_nsec = is_settled ? 0 : SLOWEST_TICK_NS};
        const int count = epoll_pwait2(crowd->poller, events, EVENTS, &tick, NULL);
        for (int index = 0; index < count; index++)
            handle(crowd, &events[index]);
    }
    report(crowd, start_ns);
}

int main(int argc, char **argv)
{
    static struct crowd crowd = {.mode = MODES, .count = 100, .interval_s = 2};
    for (int letter; (letter = getopt(argc, argv, "m:c:i:")) >= 0;) {
        if (letter == 'm')
            for (unsigned mode = 0; mode < MODES; mode++)
                crowd.mode = strcmp(optarg, mode_names[mode]) == 0 ? mode : crowd.mode;
        if (letter == 'c')
            crowd.count = (unsigned)strtoul(optarg, NULL, 10);
        if (letter == 'i')
            crowd.interval_s = strtod(optarg, NULL);
        if (letter == '?')
            argc = 0;
    }
    if (argc - optind != 2 || crowd.mode == MODES || crowd.count == 0 || crowd.interval_s <= 0) {
        fprintf(stderr, "usage: crowd -m idle|wait|read|write [-c CLIENTS] [-i SECONDS] "
                        "ADDR:PORT PATH\n");
        return 2;
    }
    const struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    setpriority(PRIO_PROCESS, 0, 10); /* it must not stand in the way of a client that measures */
    crowd.address = parse_address(argv[optind]);
    crowd.request_size =
        (size_t)snprintf(crowd.request, sizeof crowd.request,
                         "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[optind + 1]);
    crowd.members = calloc(crowd.count, sizeof *crowd.members);
    crowd.poller = epoll_create1(EPOLL_CLOEXEC);
    if (crowd.members == NULL || crowd.poller < 0 || crowd.request_size >= sizeof crowd.request)
        give_up("crowd");
    run(&crowd);
    return 0;
}
