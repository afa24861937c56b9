/* SPDX-License-Identifier: MIT */
/*
 * players [-c PLAYERS] [-d SECONDS] [-b BUFFER_S] [-s SEGMENT_S] [-r RAMP_S] [-e uring|epoll]
 *         ADDR:PORT PREFIX SEGMENTS
 *
 * Model players of one film, whose segments of SEGMENT_S each are PREFIX/0.m4s to
 * PREFIX/(SEGMENTS-1).m4s. A player is a connection and a fiber: it fetches the segments in order,
 * as fast as they come until its buffer holds BUFFER_S, then whenever one more has room, and plays
 * in real time from when it has the whole first one. It has run empty when all it had is played and
 * the next segment is not there, whole. They begin one after the other within RAMP_S, and each ends
 * SECONDS after its own begin, so that all should have received the same.
 *
 * A line of JSON when the last has begun, one when the first ends, and then what became of them
 * all, with what tells whether this program was itself too slow: its processor time, and how long
 * after its time a player asked. Media is read into one buffer that nobody looks at.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "leat/leat.h"

enum {
    SCRATCH_SIZE = 256 * 1024,
    HEAD_SIZE = 2048, /* of a request or a response */
    PLAYERS_MAX = 100 * 1000,
    REASON_SIZE = 256,
};

struct player {
    int64_t begin_ns, end_ns;
    int64_t empty_ns; /* when all that was received will have been played; 0: nothing has come */
    int64_t first_ns; /* from its begin to the end of the first segment */
    int64_t stalled_ns;
    unsigned stalls;
    bool was_full; /* its buffer, once */
    bool has_failed;
    uint64_t bytes; /* of bodies */
    struct leat_stream *stream;
};

static struct {
    struct leat_address address;
    const char *host, *prefix;
    unsigned count, segments;
    int64_t play_ns, buffer_ns, segment_ns, ramp_ns;
    struct leat_loop_options loop;
} plan = {.count = 2000,
          .play_ns = 60 * LEAT_NS_PER_S,
          .buffer_ns = 30 * LEAT_NS_PER_S,
          .segment_ns = 2 * LEAT_NS_PER_S,
          .ramp_ns = 10 * LEAT_NS_PER_S};

static struct player *players;
static unsigned begun, ended, failed;
static int64_t late_ns;               /* the most that a player asked after its time */
static int64_t lowest_ns = INT64_MAX; /* any buffer that had been full, before a segment came */
static char reason[REASON_SIZE];      /* of the first failure */
static char scratch[SCRATCH_SIZE];

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

static int fail(struct player *player, unsigned segment, const char *what)
{
    player->has_failed = true;
    if (failed++ == 0)
        snprintf(reason, sizeof reason, "player %td, segment %u: %s", player - players, segment,
                 what);
    return -1;
}

/* What a failed call means: at the player's end nothing, else a failure. */
static int give_up(struct player *player, unsigned segment, ssize_t result)
{
    if (result == -ETIMEDOUT && leat_now_ns() >= player->end_ns)
        return -1;
    return fail(player, segment,
                result == 0 ? "the server closed the connection" : leat_error_text((int)result));
}

/* Reads a response's head, and counts what came of the body with it. */
static int read_head(struct player *player, unsigned segment, uint64_t *ret_left)
{
    char head[HEAD_SIZE];
    size_t size = 0;
    const char *body = NULL;
    while (body == NULL) {
        if (size == sizeof head - 1)
            return fail(player, segment, "its head is too large");
        const ssize_t got =
            leat_stream_read(player->stream, head + size, sizeof head - 1 - size, player->end_ns);
        if (got <= 0)
            return give_up(player, segment, got);
        size += (size_t)got;
        head[size] = '\0';
        body = strstr(head, "\r\n\r\n");
    }
    const char *length = strcasestr(head, "\r\ncontent-length:");
    if (strncmp(head, "HTTP/1.1 200 ", 13) != 0 || length == NULL || length > body) {
        char what[64];
        snprintf(what, sizeof what, "answered %.*s", (int)strcspn(head, "\r\n"), head);
        return fail(player, segment, what);
    }
    body += 4;
    const uint64_t body_size = strtoull(length + 17, NULL, 10);
    const uint64_t came = size - (size_t)(body - head);
    if (came > body_size)
        return fail(player, segment, "more came than was asked for");
    player->bytes += came;
    *ret_left = body_size - came;
    return 0;
}

/* 0: the whole segment is there. */
static int fetch(struct player *player, unsigned segment)
{
    char request[HEAD_SIZE];
    const int size = snprintf(request, sizeof request, "GET %s/%u.m4s HTTP/1.1\r\nHost: %s\r\n\r\n",
                              plan.prefix, segment, plan.host);
    const int error = leat_stream_write(player->stream, request, (size_t)size, player->end_ns);
    if (error)
        return give_up(player, segment, error);
    uint64_t left = 0;
    if (read_head(player, segment, &left))
        return -1;
    while (left > 0) {
        const ssize_t got =
            leat_stream_read(player->stream, scratch,
                             left < sizeof scratch ? (size_t)left : sizeof scratch, player->end_ns);
        if (got <= 0)
            return give_up(player, segment, got);
        left -= (uint64_t)got;
        player->bytes += (uint64_t)got;
    }
    return 0;
}

/* At `now` all that had come before was played `now - empty_ns` ago, or it still plays. */
static void note_stall(struct player *player, int64_t now_ns)
{
    if (now_ns <= player->empty_ns)
        return;
    player->stalls++;
    player->stalled_ns += now_ns - player->empty_ns;
    player->empty_ns = now_ns;
}

static void add_segment(struct player *player)
{
    const int64_t now_ns = leat_now_ns();
    if (player->empty_ns == 0) {
        player->first_ns = now_ns - player->begin_ns;
        player->empty_ns = now_ns;
    }
    if (player->was_full && player->empty_ns - now_ns < lowest_ns)
        lowest_ns = player->empty_ns > now_ns ? player->empty_ns - now_ns : 0;
    note_stall(player, now_ns);
    player->empty_ns += plan.segment_ns;
}

/* Until the buffer has room for one more segment. False: the player's time is over. */
static bool await_room(struct player *player)
{
    const int64_t room_ns = player->empty_ns + plan.segment_ns - plan.buffer_ns;
    if (player->empty_ns == 0 || room_ns <= leat_now_ns())
        return leat_now_ns() < player->end_ns;
    player->was_full = true;
    if (leat_sleep_until(room_ns < player->end_ns ? room_ns : player->end_ns) != 0 ||
        room_ns >= player->end_ns)
        return false;
    const int64_t after_ns = clock_ns() - room_ns;
    if (after_ns > late_ns)
        late_ns = after_ns;
    return true;
}

static void watch(struct player *player)
{
    const int error = leat_connect(&plan.address, NULL, player->end_ns, &player->stream);
    if (error) {
        fail(player, 0, leat_error_text(error));
        return;
    }
    for (unsigned segment = 0; await_room(player); segment++) {
        if (segment == plan.segments) {
            fail(player, segment, "the film is too short");
            break;
        }
        if (fetch(player, segment))
            break;
        add_segment(player);
    }
    leat_stream_close(player->stream);
}

static void play(void *arg)
{
    struct player *player = arg;
    leat_sleep_until(player->begin_ns);
    if (++begun == plan.count)
        printf("{\"begun\":%u}\n", begun);
    watch(player);
    if (player->has_failed)
        return;
    if (player->empty_ns > 0)
        note_stall(player, player->end_ns);
    if (ended++ == 0)
        printf("{\"ended\":%u}\n", ended);
}

/* ---- What became of them --------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints least, median and greatest. */
static void print_spread(const char *name, double *values)
{
    qsort(values, plan.count, sizeof *values, compare);
    printf("\"%s\":[%.3f,%.3f,%.3f],", name, values[0], values[plan.count / 2],
           values[plan.count - 1]);
}

/* Jain, Chiu, Hawe 1984: 1 when all have the same, 1/n when one has all. */
static double fairness(void)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < plan.count; i++) {
        const double bytes = (double)players[i].bytes;
        sum += bytes;
        squares += bytes * bytes;
    }
    return squares > 0 ? sum * sum / (plan.count * squares) : 0;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* A reason is a text of ours, a system's error, or what the server said. */
static void print_reason(void)
{
    printf("\"reason\":\"");
    for (const char *at = reason; *at != '\0'; at++)
        putchar(*at < ' ' || *at > '~' || *at == '"' || *at == '\\' ? '?' : *at);
    printf("\"}\n");
}

static int report(double elapsed_s)
{
    double *values = calloc(plan.count, sizeof *values);
    if (values == NULL)
        return -ENOMEM;
    unsigned emptied = 0, unbegun = 0;
    uint64_t bytes = 0;
    double stalled_s = 0;
    for (unsigned i = 0; i < plan.count; i++) {
        emptied += players[i].stalls > 0;
        unbegun += players[i].empty_ns == 0;
        stalled_s += (double)players[i].stalled_ns / 1e9;
        bytes += players[i].bytes;
    }
    printf("{\"players\":%u,\"failed\":%u,\"unbegun\":%u,\"emptied\":%u,\"stalled_s\":%.3f,",
           plan.count, failed, unbegun, emptied, stalled_s);
    printf("\"bytes\":%" PRIu64 ",\"fairness\":%.5f,", bytes, fairness());
    for (unsigned i = 0; i < plan.count; i++)
        values[i] = (double)players[i].bytes / 1e6;
    print_spread("mb_each", values);
    for (unsigned i = 0; i < plan.count; i++)
        values[i] = (double)players[i].first_ns / 1e6;
    print_spread("first_ms", values);
    free(values);
    if (lowest_ns != INT64_MAX)
        printf("\"lowest_s\":%.3f,", (double)lowest_ns / 1e9);
    else
        printf("\"lowest_s\":null,");
    printf("\"late_ms\":%.3f,\"cpu_s\":%.3f,\"elapsed_s\":%.3f,", (double)late_ns / 1e6, cpu_s(),
           elapsed_s);
    print_reason();
    return 0;
}

static int play_all(void *unused)
{
    struct leat_scope scope;
    const int64_t begin_ns = leat_now_ns() + 100 * LEAT_NS_PER_MS; /* all are made by then */
    int error = 0;
    leat_scope_init(&scope);
    for (unsigned i = 0; i < plan.count && !error; i++) {
        players[i].begin_ns = begin_ns + plan.ramp_ns / plan.count * i;
        players[i].end_ns = players[i].begin_ns + plan.play_ns;
        error = leat_spawn(&scope, play, &players[i], NULL);
    }
    if (!error)
        error = leat_scope_join(&scope, LEAT_FOREVER);
    leat_scope_fini(&scope);
    return error ? error : report((double)(leat_now_ns() - begin_ns) / 1e9);
}

/* ---- The command line ------------------------------------------------------------------------ */

__attribute__((noreturn)) static void refuse(const char *what, const char *text)
{
    fprintf(stderr,
            "players: %s '%s'; usage: players [-c PLAYERS] [-d SECONDS] [-b BUFFER_S] "
            "[-s SEGMENT_S] [-r RAMP_S] [-e uring|epoll] ADDR:PORT PREFIX SEGMENTS\n",
            what, text);
    exit(2);
}

static int64_t parse_seconds(const char *text, double least)
{
    char *end;
    const double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= least && seconds <= 86400))
        refuse("no number of seconds:", text);
    return (int64_t)(seconds * 1e9);
}

static unsigned parse_count(const char *text)
{
    char *end;
    const unsigned long count = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || count < 1 || count > PLAYERS_MAX)
        refuse("no number:", text);
    return (unsigned)count;
}

static enum leat_engine parse_engine(const char *text)
{
    if (strcmp(text, "uring") == 0)
        return LEAT_ENGINE_URING;
    if (strcmp(text, "epoll") != 0)
        refuse("no engine:", text);
    return LEAT_ENGINE_EPOLL;
}

static void parse(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "c:d:b:s:r:e:")) >= 0) {
        switch (option) {
        case 'c': plan.count = parse_count(optarg); break;
        case 'd': plan.play_ns = parse_seconds(optarg, 0.1); break;
        case 'b': plan.buffer_ns = parse_seconds(optarg, 0.1); break;
        case 's': plan.segment_ns = parse_seconds(optarg, 0.1); break;
        case 'r': plan.ramp_ns = parse_seconds(optarg, 0); break;
        case 'e': plan.loop.engine = parse_engine(optarg); break;
        default: refuse("wrong flag", argv[optind - 1]);
        }
    }
    if (argc - optind != 3)
        refuse("three arguments are wanted after", argv[optind - 1]);
    const char *why;
    plan.host = argv[optind];
    plan.prefix = argv[optind + 1];
    plan.segments = parse_count(argv[optind + 2]);
    if (leat_address_parse(plan.host, &plan.address, &why))
        refuse(why, plan.host);
    if (plan.prefix[0] != '/' || strlen(plan.prefix) > HEAD_SIZE / 2)
        refuse("no path:", plan.prefix);
    if (plan.buffer_ns < plan.segment_ns)
        refuse("a buffer has room for a segment:", "-b");
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0); /* who reads it takes figures of the server at each line */
    players = calloc(plan.count, sizeof *players);
    const int error = players != NULL ? leat_run(play_all, NULL, &plan.loop) : -ENOMEM;
    if (error)
        fprintf(stderr, "players: %s\n", leat_error_text(error));
    free(players);
    return error ? 1 : 0;
}
