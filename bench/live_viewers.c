/* SPDX-License-Identifier: MIT */
/*
 * live_viewers [-c VIEWERS] [-d SECONDS] [-r RAMP_S] [-l LEAD_S] ADDR:PORT NAME FILM
 *
 * Publishes the film as the live channel NAME (live_push.c), and watches it: model players of
 * low-latency HLS (draft-pantos-hls-rfc8216bis). A viewer has two connections, as browsers do. On
 * one it asks for the playlist that lists the next part, again and again, and the server holds its
 * answer back until there is one. On the other it fetches part after part: the next as soon as it
 * is listed, or beforehand where it is announced (EXT-X-PRELOAD-HINT). It begins at the segment in
 * which PART-HOLD-BACK before the end lies, plays in real time from when it has what is there, and
 * stalls when all it had is played and the next part is not there, whole.
 *
 * The viewers begin LEAD_S after the publisher, one after the other within RAMP_S. What counts is
 * published during SECONDS, from 1 s after the last one's begin. How long a part takes is from just
 * before the call that handed its last byte to the kernel at the publisher's, until its last byte
 * was at the viewer's socket, by the kernel's timestamp: a thousand viewers have no thousand cores
 * here, so when this program comes to read it says little; that is told beside it. Which part is
 * which fragment is known by counting, and sizes are compared to be sure.
 *
 * A line of JSON when all have begun and it counts, one when it does no more, then the figures.
 * Plain epoll and no line of libleat: the ruler is none of what it measures.
 */
#include <stdarg.h>
#include <stdbool.h>

#include <getopt.h>
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "live_push.h"

enum {
    VIEWERS_MAX = 9000,
    SEGMENTS_MAX = 10 * 1000,
    HEAD_SIZE = 1024,          /* of an answer with media */
    PLAYLIST_SIZE = 48 * 1024, /* with its head */
    SCRATCH_SIZE = 256 * 1024,
    REASON_SIZE = 256,
    EVENTS = 32, /* at a time, that the publisher is not late */
    SIZE_SLACK =
        4 * 1024, /* between a fragment and its part: boxes, and sound that lies elsewhere */
};
static const uint64_t settle_ns = NS_PER_S, grace_ns = NS_PER_S;

/* ---- What is known --------------------------------------------------------------------------- */

/* A place in the channel. */
struct place {
    uint64_t segment;
    unsigned part;
};

/* What a viewer has seen in its last playlist. */
struct sight {
    struct place end; /* of the last segment: how many parts it has */
    bool is_whole;
    bool has_hint;
    struct place hint;
    double hold_back_s;
};

struct viewer;

struct connection {
    int fd;
    struct viewer *viewer; /* NULL: the publisher's */
    char *text;            /* of the answer: media's head alone */
    size_t capacity, size;
    bool is_asked, has_head;
    uint64_t left; /* of the body */
    size_t body;   /* where in text it begins */
    uint64_t body_size;
    uint64_t asked_ns;
};

struct viewer {
    struct connection lists, media;
    struct sight sight;
    bool has_sight, has_failed;
    struct place next;   /* to be fetched, or on its way */
    unsigned first_live; /* the first part that came after it did, by number */
    unsigned play_from;  /* by number; before it is what decoders need to begin */
    uint64_t empty_ns;   /* when all that was received will have been played; 0: nothing has come */
    uint64_t stalled_ns;
    unsigned stalls;
};

static struct {
    struct sockaddr_in address;
    const char *host, *name, *film;
    unsigned count;
    uint64_t ramp_ns, lead_ns, count_ns;
} plan = {
    .count = 1000, .ramp_ns = 10 * NS_PER_S, .lead_ns = 5 * NS_PER_S, .count_ns = 60 * NS_PER_S};

/* Of a time each, in us. */
struct samples {
    uint32_t *values;
    size_t count;
};

static struct push push;
static struct viewer *viewers;
static int poller;
static unsigned begun, failed;
static uint64_t from_ns, to_ns; /* what is published in between counts */
static char reason[REASON_SIZE];
static char scratch[SCRATCH_SIZE];

/* The channel's segments as the playlists show them, which must not change: how many parts each
 * has, and the number of its first part, counted since the beginning. */
static bool has_first;
static uint64_t first_segment;
static unsigned parts_of[SEGMENTS_MAX], first_part_of[SEGMENTS_MAX + 1];

static struct {
    struct samples held, listed, lists, seen; /* seen: read by this program */
    uint64_t bytes, mismatched;
    uint64_t lowest_ns; /* buffer when a part came */
} figures = {.lowest_ns = UINT64_MAX};

__attribute__((format(printf, 2, 3))) static void fail(struct viewer *viewer, const char *format,
                                                       ...)
{
    va_list arguments;
    if (viewer->has_failed)
        return;
    viewer->has_failed = true;
    if (failed++ == 0) {
        const int size = snprintf(reason, sizeof reason, "viewer %td: ", viewer - viewers);
        va_start(arguments, format);
        vsnprintf(reason + size, sizeof reason - (size_t)size, format, arguments);
        va_end(arguments);
    }
    close(viewer->lists.fd);
    close(viewer->media.fd);
}

static void add_sample(struct samples *samples, uint64_t ns)
{
    samples->values[samples->count++] = ns / 1000 < UINT32_MAX ? (uint32_t)(ns / 1000) : UINT32_MAX;
}

/* When a part was published, if that counts; else 0. */
static uint64_t published_ns(unsigned number)
{
    const uint64_t sent_ns = number + 1 < push.count ? push.fragments[number + 1].sent_ns : 0;
    return sent_ns >= from_ns && sent_ns < to_ns ? sent_ns : 0;
}

static unsigned number_of(struct place place)
{
    return first_part_of[place.segment - first_segment] + place.part;
}

static bool is_before(struct place one, struct place other)
{
    return one.segment < other.segment || (one.segment == other.segment && one.part < other.part);
}

/* ---- Playlists ------------------------------------------------------------------------------- */

static bool begins_with(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* The place that a URI="N.P.m4s" of this line names. */
static bool read_place(const char *line, struct place *ret_place)
{
    const char *uri = strstr(line, "URI=\"");
    char *end;
    if (uri == NULL)
        return false;
    ret_place->segment = strtoull(uri + 5, &end, 10);
    if (*end != '.')
        return false;
    ret_place->part = (unsigned)strtoul(end + 1, &end, 10);
    return begins_with(end, ".m4s\"");
}

/* A segment has ended, with so many parts; where they are not listed any more, 0. */
static bool note_segment(uint64_t segment, unsigned parts)
{
    const uint64_t index = segment - first_segment;
    if (segment < first_segment || index >= SEGMENTS_MAX)
        return false;
    if (parts_of[index] > 0 || parts == 0)
        return parts == 0 || parts_of[index] == parts;
    if (index > 0 && parts_of[index - 1] == 0)
        return false;
    parts_of[index] = parts;
    first_part_of[index + 1] = first_part_of[index] + parts;
    return true;
}

/* A line of a media playlist; `at` is where in the channel it stands. False: it is not as it should
 * be. */
static bool read_line(const char *line, struct place *at, struct sight *sight)
{
    struct place place;
    if (line[0] != '#' && line[0] != '\0') { /* a segment's URI, behind all its parts */
        if (!note_segment(at->segment, at->part))
            return false;
        sight->end = *at;
        sight->is_whole = true;
        *at = (struct place){at->segment + 1, 0};
    } else if (begins_with(line, "#EXT-X-PART:")) {
        if (!read_place(line, &place) || place.segment != at->segment || place.part != at->part)
            return false;
        at->part++;
        sight->end = *at;
        sight->is_whole = false;
    } else if (begins_with(line, "#EXT-X-MEDIA-SEQUENCE:")) {
        at->segment = strtoull(line + 22, NULL, 10);
        if (!has_first)
            first_segment = at->segment;
        has_first = true;
    } else if (begins_with(line, "#EXT-X-SKIP:SKIPPED-SEGMENTS=")) {
        at->segment += strtoull(line + 29, NULL, 10);
    } else if (begins_with(line, "#EXT-X-PRELOAD-HINT:TYPE=PART")) {
        sight->has_hint = read_place(line, &sight->hint);
        return sight->has_hint;
    } else if (begins_with(line, "#EXT-X-SERVER-CONTROL:")) {
        const char *hold_back = strstr(line, "PART-HOLD-BACK=");
        sight->hold_back_s = hold_back != NULL ? strtod(hold_back + 15, NULL) : 0;
    }
    return !begins_with(line, "#EXT-X-ENDLIST");
}

static bool read_playlist(char *text, struct sight *ret_sight)
{
    struct place at = {0};
    *ret_sight = (struct sight){0};
    for (char *line = text, *end; *line != '\0'; line = end) {
        end = strchrnul(line, '\n');
        if (*end != '\0')
            *end++ = '\0';
        if (!read_line(line, &at, ret_sight)) {
            return false;
        }
    }
    return has_first && ret_sight->end.part > 0 && ret_sight->hold_back_s > 0;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void ask(struct connection *connection, const char *uri)
{
    char request[512];
    const int size =
        snprintf(request, sizeof request, "GET /live/%s/muxed/%s HTTP/1.1\r\nHost: %s\r\n\r\n",
                 plan.name, uri, plan.host);
    connection->size = 0;
    connection->has_head = false;
    connection->is_asked = true;
    connection->asked_ns = clock_ns(CLOCK_REALTIME);
    if (send(connection->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        fail(connection->viewer, "asking for %s: %s", uri, strerror(errno));
}

/* The playlist that has one part more. */
static void ask_playlist(struct viewer *viewer)
{
    char uri[128] = "index.m3u8";
    const struct sight *sight = &viewer->sight;
    if (viewer->has_sight)
        snprintf(uri, sizeof uri, "index.m3u8?_HLS_msn=%" PRIu64 "&_HLS_part=%u&_HLS_skip=YES",
                 sight->end.segment + sight->is_whole, sight->is_whole ? 0 : sight->end.part);
    ask(&viewer->lists, uri);
}

/* What is announced is the next part, whether of the last segment or of one that follows: then the
 * last one will have ended with what it has. */
static bool follow_hint(struct viewer *viewer)
{
    const struct sight *sight = &viewer->sight;
    const struct place *hint = &sight->hint;
    const uint64_t index = sight->end.segment - first_segment;
    if (!sight->has_hint || is_before(*hint, viewer->next))
        return false;
    if (hint->segment == sight->end.segment + 1 && parts_of[index] == 0)
        first_part_of[index + 1] = first_part_of[index] + sight->end.part;
    viewer->next = *hint;
    return true;
}

/* The next part, where the playlist has it or announces it. */
static void ask_part(struct viewer *viewer)
{
    char uri[64];
    const struct sight *sight = &viewer->sight;
    struct place *next = &viewer->next;
    if (viewer->media.is_asked || viewer->has_failed)
        return;
    const bool has_ended = next->segment < sight->end.segment || sight->is_whole;
    if (has_ended && next->segment <= sight->end.segment &&
        next->part >= parts_of[next->segment - first_segment])
        *next = (struct place){next->segment + 1, 0};
    if (!is_before(*next, sight->end) && !follow_hint(viewer))
        return;
    snprintf(uri, sizeof uri, "%" PRIu64 ".%u.m4s", next->segment, next->part);
    ask(&viewer->media, uri);
}

/* ---- Playing --------------------------------------------------------------------------------- */

/* Which part lies PART-HOLD-BACK before the end, and in which segment one begins to see it. */
static void begin_to_play(struct viewer *viewer)
{
    const struct sight *sight = &viewer->sight;
    const uint64_t hold_back_ns = (uint64_t)(sight->hold_back_s * 1e9);
    const unsigned end = number_of(sight->end);
    unsigned from = end;
    for (uint64_t behind_ns = 0; from > 0 && behind_ns < hold_back_ns; from--)
        behind_ns += push.fragments[from].duration_ns; /* of number from - 1 */
    viewer->first_live = end;
    viewer->play_from = from;
    viewer->next = (struct place){sight->end.segment, 0};
    while (number_of(viewer->next) > from && viewer->next.segment > first_segment)
        viewer->next.segment--;
}

/* By now all that had come was played, or it still plays. */
static void note_stall(struct viewer *viewer, uint64_t now_ns)
{
    if (viewer->empty_ns >= now_ns)
        return;
    viewer->stalls++;
    viewer->stalled_ns += now_ns - viewer->empty_ns;
    viewer->empty_ns = now_ns;
}

/* A part has come. */
static void add_part(struct viewer *viewer, unsigned number, uint64_t now_ns)
{
    if (number < viewer->play_from)
        return;
    if (viewer->empty_ns == 0)
        viewer->empty_ns = now_ns;
    const uint64_t left_ns = viewer->empty_ns > now_ns ? viewer->empty_ns - now_ns : 0;
    if (number >= viewer->first_live && left_ns < figures.lowest_ns)
        figures.lowest_ns = left_ns;
    note_stall(viewer, now_ns);
    viewer->empty_ns += push.fragments[number + 1].duration_ns;
}

static void take_part(struct viewer *viewer, uint64_t arrived_ns)
{
    const unsigned number = number_of(viewer->next);
    const uint64_t now_ns = clock_ns(CLOCK_REALTIME);
    if (number + 1 >= push.count) {
        fail(viewer, "there are more parts than fragments");
        return;
    }
    const uint64_t size = viewer->media.body_size, sent = push.fragments[number + 1].size;
    figures.mismatched += size > sent + SIZE_SLACK || sent > size + SIZE_SLACK;
    const uint64_t sent_ns = published_ns(number);
    if (sent_ns > 0 && number >= viewer->first_live) {
        const bool was_held = viewer->media.asked_ns < sent_ns;
        add_sample(was_held ? &figures.held : &figures.listed, arrived_ns - sent_ns);
        add_sample(&figures.seen, now_ns - sent_ns);
        figures.bytes += size;
    }
    add_part(viewer, number, now_ns);
    viewer->next.part++;
    ask_part(viewer);
}

static void take_playlist(struct viewer *viewer, uint64_t arrived_ns)
{
    const struct connection *lists = &viewer->lists;
    struct sight sight;
    if (!read_playlist(lists->text + lists->body, &sight)) {
        fail(viewer, "its playlist is not understood");
        return;
    }
    const bool is_first = !viewer->has_sight;
    viewer->sight = sight;
    viewer->has_sight = true;
    if (is_first)
        begin_to_play(viewer);
    const uint64_t sent_ns = published_ns(number_of(sight.end) - 1);
    if (!is_first && sent_ns > 0 && lists->asked_ns < sent_ns)
        add_sample(&figures.lists, arrived_ns - sent_ns);
    ask_part(viewer);
    ask_playlist(viewer);
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* As recv, and when the last of what it returns came to the socket. */
static ssize_t receive(int fd, uint64_t *ret_arrived_ns)
{
    char control[256];
    struct iovec vector = {.iov_base = scratch, .iov_len = sizeof scratch};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    const ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT);
    *ret_arrived_ns = clock_ns(CLOCK_REALTIME);
    for (struct cmsghdr *part = size > 0 ? CMSG_FIRSTHDR(&message) : NULL; part != NULL;
         part = CMSG_NXTHDR(&message, part)) {
        struct timespec stamp;
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
        *ret_arrived_ns = (uint64_t)stamp.tv_sec * NS_PER_S + (uint64_t)stamp.tv_nsec;
    }
    return size;
}

/* False: the head is not whole yet, or not good. */
static bool read_head(struct connection *connection)
{
    char *const text = connection->text;
    text[connection->size] = '\0';
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL) {
        if (connection->size + 1 == connection->capacity)
            fail(connection->viewer, "its head is too large");
        return false;
    }
    const char *length = strcasestr(text, "\r\ncontent-length:");
    if (!begins_with(text, "HTTP/1.1 200 ") || length == NULL || length > end) {
        fail(connection->viewer, "answered %.*s", (int)strcspn(text, "\r\n"), text);
        return false;
    }
    connection->has_head = true;
    connection->body = (size_t)(end + 4 - text);
    connection->left = connection->body_size = strtoull(length + 17, NULL, 10);
    return true;
}

/* Keeps what there is room for: all of a playlist, of media the head. Returns how much of it is
 * body. */
static uint64_t keep(struct connection *connection, const char *data, size_t size)
{
    const size_t room = connection->capacity - 1 - connection->size;
    const size_t before = connection->size, kept = size < room ? size : room;
    memcpy(connection->text + before, data, kept);
    connection->size += kept;
    if (connection->has_head)
        return size;
    return read_head(connection) ? size - (connection->body - before) : 0;
}

static void take(struct connection *connection, const char *data, size_t size, uint64_t arrived_ns)
{
    struct viewer *viewer = connection->viewer;
    const bool is_list = connection == &viewer->lists;
    if (!connection->is_asked) {
        fail(viewer, "more came than was asked for");
        return;
    }
    const uint64_t came = keep(connection, data, size);
    if (viewer->has_failed || !connection->has_head)
        return;
    if (came > connection->left ||
        (is_list && connection->body + connection->body_size >= connection->capacity)) {
        fail(viewer, came > connection->left ? "more came than was asked for"
                                             : "its playlist is too large");
        return;
    }
    connection->left -= came;
    if (connection->left > 0)
        return;
    connection->is_asked = false;
    if (is_list) {
        connection->text[connection->size] = '\0';
        take_playlist(viewer, arrived_ns);
    } else {
        take_part(viewer, arrived_ns);
    }
}

static void on_readable(struct connection *connection)
{
    struct viewer *viewer = connection->viewer;
    uint64_t arrived_ns;
    if (viewer->has_failed)
        return;
    const ssize_t size = receive(connection->fd, &arrived_ns);
    if (size > 0)
        take(connection, scratch, (size_t)size, arrived_ns);
    else if (size == 0 || errno != EAGAIN)
        fail(viewer, "%s", size == 0 ? "the server closed the connection" : strerror(errno));
}

/* ---- All of them ----------------------------------------------------------------------------- */

static void watch(struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        give_up("epoll_ctl");
}

static void begin_connection(struct viewer *viewer, struct connection *connection, size_t capacity)
{
    const int one = 1;
    *connection = (struct connection){.fd = dial(&plan.address),
                                      .viewer = viewer,
                                      .text = malloc(capacity),
                                      .capacity = capacity};
    if (connection->text == NULL)
        give_up("memory");
    if (setsockopt(connection->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) != 0)
        give_up("SO_TIMESTAMPNS");
    watch(connection, EPOLLIN);
}

static void begin(struct viewer *viewer)
{
    begin_connection(viewer, &viewer->lists, PLAYLIST_SIZE);
    begin_connection(viewer, &viewer->media, HEAD_SIZE);
    ask_playlist(viewer);
}

static uint64_t begin_ns_of(unsigned viewer)
{
    return push.begin_ns + plan.lead_ns + plan.ramp_ns * viewer / plan.count;
}

/* Until all is over. */
static void play(void)
{
    struct connection publisher = {.fd = push.fd};
    struct epoll_event events[EVENTS];
    bool is_full = false, has_told[2] = {false, false};
    watch(&publisher, EPOLLIN | EPOLLOUT | EPOLLET);
    for (;;) {
        uint64_t now_ns = clock_ns(CLOCK_REALTIME);
        if (!is_full)
            is_full = push_turn(&push);
        while (begun < plan.count && begin_ns_of(begun) <= now_ns)
            begin(&viewers[begun++]);
        for (unsigned end = 0; end < 2; end++)
            if (!has_told[end] && now_ns >= (end ? to_ns : from_ns)) {
                has_told[end] = true;
                printf("{\"%s\":%u}\n", end ? "ended" : "begun", begun);
            }
        if (now_ns >= to_ns + grace_ns || failed == plan.count)
            return;
        uint64_t until_ns = push_due_ns(&push);
        const uint64_t others[] = {begun < plan.count ? begin_ns_of(begun) : UINT64_MAX,
                                   has_told[0] ? UINT64_MAX : from_ns,
                                   has_told[1] ? to_ns + grace_ns : to_ns};
        for (unsigned index = 0; index < 3; index++)
            until_ns = others[index] < until_ns ? others[index] : until_ns;
        now_ns = clock_ns(CLOCK_REALTIME);
        const int wait_ms = until_ns > now_ns ? (int)((until_ns - now_ns + 999999) / 1000000) : 0;
        const int count = epoll_wait(poller, events, EVENTS, wait_ms);
        for (int index = 0; index < count; index++) {
            struct connection *connection = events[index].data.ptr;
            if (connection->viewer != NULL)
                on_readable(connection);
            else if (events[index].events & ~(uint32_t)EPOLLOUT)
                push_was_answered(&push);
            else
                is_full = false;
        }
    }
}

/* ---- What became of them --------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Prints how many, and in ms the median, 99 % and the greatest. */
static void print_samples(const char *name, struct samples *samples)
{
    const size_t count = samples->count;
    printf("\"%s\":{\"count\":%zu", name, count);
    if (count > 0) {
        qsort(samples->values, count, sizeof *samples->values, compare);
        printf(",\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f", samples->values[count / 2] / 1e3,
               samples->values[count * 99 / 100] / 1e3, samples->values[count - 1] / 1e3);
    }
    printf("},");
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

static void report(void)
{
    unsigned published = 0, stalled = 0, unbegun = 0;
    uint64_t stalled_ns = 0;
    for (unsigned number = 0; number + 1 < push.count; number++)
        published += published_ns(number) > 0;
    for (unsigned index = 0; index < plan.count; index++) {
        if (viewers[index].empty_ns > 0)
            note_stall(&viewers[index], to_ns);
        stalled += viewers[index].stalls > 0;
        unbegun += viewers[index].empty_ns == 0;
        stalled_ns += viewers[index].stalled_ns;
    }
    const size_t got = figures.held.count + figures.listed.count;
    printf("{\"viewers\":%u,\"failed\":%u,\"unbegun\":%u,\"stalled\":%u,\"stalled_s\":%.3f,",
           plan.count, failed, unbegun, stalled, (double)stalled_ns / 1e9);
    printf("\"published\":%u,\"missed\":%zu,\"mismatched\":%" PRIu64 ",\"bytes\":%" PRIu64 ",",
           published, (size_t)published * plan.count - got, figures.mismatched, figures.bytes);
    print_samples("held_ms", &figures.held);
    print_samples("listed_ms", &figures.listed);
    /* Both, which now are sorted: held has room for all. */
    memcpy(figures.held.values + figures.held.count, figures.listed.values,
           figures.listed.count * sizeof *figures.listed.values);
    figures.held.count = got;
    print_samples("parts_ms", &figures.held);
    print_samples("playlists_ms", &figures.lists);
    print_samples("read_ms", &figures.seen);
    if (figures.lowest_ns != UINT64_MAX)
        printf("\"lowest_s\":%.3f,", (double)figures.lowest_ns / 1e9);
    else
        printf("\"lowest_s\":null,");
    printf("\"pushed\":%u,\"pushed_bytes\":%" PRIu64 ",\"late_ms\":%.3f,\"cpu_s\":%.3f,",
           push.next - 1, push.bytes, (double)push.late_ns / 1e6, cpu_s());
    print_reason();
}

/* ---- The command line ------------------------------------------------------------------------ */

__attribute__((noreturn)) static void refuse(const char *what, const char *text)
{
    fprintf(stderr,
            "live_viewers: %s '%s'; usage: live_viewers [-c VIEWERS] [-d SECONDS] [-r RAMP_S] "
            "[-l LEAD_S] ADDR:PORT NAME FILM\n",
            what, text);
    exit(2);
}

static uint64_t parse_seconds(const char *text, double least)
{
    char *end;
    const double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= least && seconds <= 86400))
        refuse("no number of seconds:", text);
    return (uint64_t)(seconds * 1e9);
}

static unsigned parse_count(const char *text)
{
    char *end;
    const unsigned long count = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || count < 1 || count > VIEWERS_MAX)
        refuse("no number of viewers:", text);
    return (unsigned)count;
}

static void parse(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "c:d:r:l:")) >= 0) {
        switch (option) {
        case 'c': plan.count = parse_count(optarg); break;
        case 'd': plan.count_ns = parse_seconds(optarg, 0.1); break;
        case 'r': plan.ramp_ns = parse_seconds(optarg, 0); break;
        case 'l': plan.lead_ns = parse_seconds(optarg, 0); break;
        default: refuse("wrong flag", argv[optind - 1]);
        }
    }
    if (argc - optind != 3)
        refuse("three arguments are wanted after", argv[optind - 1]);
    plan.host = argv[optind];
    plan.name = argv[optind + 1];
    plan.film = argv[optind + 2];
    plan.address = parse_address(plan.host);
    if (plan.name[0] == '\0' || strchr(plan.name, '/') != NULL || strlen(plan.name) > 63)
        refuse("no channel's name:", plan.name);
}

/* Room for a time of each part at each viewer. */
static void make_samples(struct samples *samples)
{
    samples->values = malloc((size_t)plan.count * push.count * sizeof *samples->values);
    if (samples->values == NULL)
        give_up("memory");
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0); /* who reads it takes figures of the server at each line */
    push_read(&push, plan.film);
    viewers = calloc(plan.count, sizeof *viewers);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (viewers == NULL || poller < 0)
        give_up("live_viewers");
    make_samples(&figures.held);
    make_samples(&figures.listed);
    make_samples(&figures.lists);
    make_samples(&figures.seen);
    push_begin(&push, &plan.address, plan.host, plan.name);
    from_ns = begin_ns_of(plan.count) + settle_ns;
    to_ns = from_ns + plan.count_ns;
    const struct push_fragment *last = &push.fragments[push.count - 1];
    if (push.begin_ns + last->begin_ns - push.fragments[1].begin_ns < to_ns)
        refuse("it is too short:", plan.film);
    play();
    report();
    return 0;
}
