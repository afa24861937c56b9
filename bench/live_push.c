/* SPDX-License-Identifier: MIT */
/*
 * See live_push.h. Of MP4 it knows what it needs (ISO/IEC 14496-12): the video track's number and
 * time scale, and where in time each fragment's pictures begin.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "live_push.h"

enum { FRAGMENTS_MAX = 100 * 1000 };

/* What is left of a box, or of a film. */
struct boxes {
    const unsigned char *at, *end;
};

static uint32_t big32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

__attribute__((noreturn)) static void refuse(const char *what)
{
    fprintf(stderr, "live_viewers: the film: %s\n", what);
    exit(EXIT_FAILURE);
}

/* The next box: what is in it, and where it begins. False: there is none. */
static bool next_box(struct boxes *boxes, char ret_type[5], struct boxes *ret_box,
                     const unsigned char **ret_begin)
{
    if (boxes->at == boxes->end)
        return false;
    const size_t left = (size_t)(boxes->end - boxes->at);
    const uint32_t size = left >= 8 ? big32(boxes->at) : 0;
    if (size < 8 || size > left) /* ffmpeg's are never longer than 4 GiB here */
        refuse("a box is cut off");
    memcpy(ret_type, boxes->at + 4, 4);
    ret_type[4] = '\0';
    *ret_begin = boxes->at;
    *ret_box = (struct boxes){boxes->at + 8, boxes->at + size};
    boxes->at += size;
    return true;
}

/* The first one of a type, at least so long. */
static bool find_box(struct boxes boxes, const char *type, size_t least, struct boxes *ret_box)
{
    char found[5];
    const unsigned char *begin;
    while (next_box(&boxes, found, ret_box, &begin))
        if (strcmp(found, type) == 0 && (size_t)(ret_box->end - ret_box->at) >= least)
            return true;
    return false;
}

struct video {
    uint32_t track, timescale;
};

static struct video find_video(struct boxes moov)
{
    char type[5];
    struct boxes trak, media, handler, header;
    const unsigned char *begin;
    while (next_box(&moov, type, &trak, &begin)) {
        if (strcmp(type, "trak") != 0 || !find_box(trak, "mdia", 0, &media) ||
            !find_box(media, "hdlr", 12, &handler) || memcmp(handler.at + 8, "vide", 4) != 0)
            continue;
        struct video video = {0};
        if (find_box(trak, "tkhd", 24, &header))
            video.track = big32(header.at + (header.at[0] == 1 ? 20 : 12));
        if (find_box(media, "mdhd", 24, &header))
            video.timescale = big32(header.at + (header.at[0] == 1 ? 20 : 12));
        if (video.timescale > 0)
            return video;
    }
    refuse("it has no video");
}

/* When a fragment's pictures begin. */
static uint64_t begin_of(struct boxes moof, const struct video *video)
{
    char type[5];
    struct boxes traf, header, time;
    const unsigned char *begin;
    while (next_box(&moof, type, &traf, &begin)) {
        if (strcmp(type, "traf") != 0 || !find_box(traf, "tfhd", 8, &header) ||
            big32(header.at + 4) != video->track || !find_box(traf, "tfdt", 8, &time))
            continue;
        uint64_t ticks = big32(time.at + 4);
        if (time.at[0] == 1 && time.end - time.at >= 12)
            ticks = ticks << 32 | big32(time.at + 8);
        return ticks * 1000000 / video->timescale * 1000;
    }
    refuse("a fragment has no video");
}

/* The first `size` bytes are a fragment; returns behind them. */
static void add_fragment(struct push *push, const unsigned char *data, size_t size,
                         uint64_t begin_ns)
{
    char head[32];
    const size_t head_size = (size_t)snprintf(head, sizeof head, "%zx\r\n", size);
    char *chunk = malloc(head_size + size + 2);
    if (chunk == NULL || push->count == FRAGMENTS_MAX)
        refuse("it is too long");
    memcpy(chunk, head, head_size);
    memcpy(chunk + head_size, data, size);
    memcpy(chunk + head_size + size, "\r\n", 2);
    push->fragments[push->count++] = (struct push_fragment){
        .chunk = chunk, .chunk_size = head_size + size + 2, .size = size, .begin_ns = begin_ns};
}

static void cut(struct push *push, struct boxes film)
{
    char type[5];
    struct boxes box;
    const unsigned char *begin, *first = film.at;
    struct video video = {0};
    uint64_t begin_ns = 0;
    bool is_over = false;
    while (!is_over && next_box(&film, type, &box, &begin)) {
        is_over = strcmp(type, "mfra") == 0; /* an index behind the last */
        if (strcmp(type, "moov") == 0)
            video = find_video(box);
        if (strcmp(type, "moof") != 0 && !is_over)
            continue;
        if (video.timescale == 0)
            refuse("it has no moov in front");
        add_fragment(push, first, (size_t)(begin - first), begin_ns);
        first = begin;
        begin_ns = is_over ? 0 : begin_of(box, &video);
    }
    if (!is_over)
        add_fragment(push, first, (size_t)(film.end - first), begin_ns);
}

void push_read(struct push *push, const char *path)
{
    struct stat status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        give_up(path);
    unsigned char *film = malloc((size_t)status.st_size + 1);
    push->fragments = calloc(FRAGMENTS_MAX, sizeof *push->fragments);
    if (film == NULL || push->fragments == NULL)
        refuse("there is no memory for it");
    for (ssize_t size = 0, got; size < status.st_size; size += got) {
        got = read(fd, film + size, (size_t)(status.st_size - size));
        if (got <= 0)
            give_up(path);
    }
    close(fd);
    cut(push, (struct boxes){film, film + status.st_size});
    free(film);
    if (push->count < 4)
        refuse("it has too few fragments");
    for (unsigned index = 1; index + 1 < push->count; index++) {
        struct push_fragment *fragment = &push->fragments[index];
        if (push->fragments[index + 1].begin_ns <= fragment->begin_ns)
            refuse("its time does not go on");
        fragment->duration_ns = push->fragments[index + 1].begin_ns - fragment->begin_ns;
    }
    push->count--; /* how long the last one lasts is not said */
}

/* ---- Publishing ------------------------------------------------------------------------------ */

void push_begin(struct push *push, const struct sockaddr_in *address, const char *host,
                const char *name)
{
    char request[512];
    const int size = snprintf(request, sizeof request,
                              "PUT /live/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: video/mp4\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n",
                              name, host);
    push->fd = dial(address);
    if (send(push->fd, request, (size_t)size, MSG_NOSIGNAL) != size ||
        fcntl(push->fd, F_SETFL, O_NONBLOCK) != 0)
        give_up("publishing");
    push->begin_ns = clock_ns(CLOCK_REALTIME);
}

uint64_t push_due_ns(const struct push *push)
{
    if (push->next == push->count)
        return UINT64_MAX;
    const struct push_fragment *fragment = &push->fragments[push->next];
    return push->begin_ns + (fragment->begin_ns - push->fragments[1].begin_ns) * (push->next > 0) +
           fragment->duration_ns;
}

bool push_turn(struct push *push)
{
    for (uint64_t now; push_due_ns(push) <= (now = clock_ns(CLOCK_REALTIME));) {
        struct push_fragment *fragment = &push->fragments[push->next];
        if (push->done == 0 && push->next > 0 && now - push_due_ns(push) > push->late_ns)
            push->late_ns = now - push_due_ns(push);
        const ssize_t sent = send(push->fd, fragment->chunk + push->done,
                                  fragment->chunk_size - push->done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return true;
        if (sent < 0)
            push_was_answered(push);
        push->done += (size_t)sent;
        if (push->done < fragment->chunk_size)
            continue;
        fragment->sent_ns = now;
        push->bytes += push->next > 0 ? fragment->size : 0;
        push->done = 0;
        push->next++;
    }
    return false;
}

void push_was_answered(struct push *push)
{
    char answer[512];
    const ssize_t size = recv(push->fd, answer, sizeof answer - 1, 0);
    answer[size > 0 ? size : 0] = '\0';
    fprintf(stderr, "live_viewers: the publisher was answered: %.*s\n",
            size > 0 ? (int)strcspn(answer, "\r\n") : 40,
            size > 0    ? answer
            : size == 0 ? "the connection was closed"
                        : strerror(errno));
    exit(EXIT_FAILURE);
}
