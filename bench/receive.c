/* SPDX-License-Identifier: MIT */
/*
 * receive [-c STREAMS] [-d SECONDS] [-s SKIP] ADDR:PORT PATH: watches how evenly bytes arrive. Each
 * stream asks once for PATH and notes when its bytes came, by the kernel's own receive timestamps
 * (SO_TIMESTAMPNS), so that this program's wake-ups do not pass for the server's unevenness. A read
 * of several segments carries the time of its last one: gaps are never understated.
 *
 * Of each stream, from its first byte (plus SKIP seconds) on: the lowest and highest rate over any
 * 2 s (sliding by 100 ms), the standard deviation of 100 ms bins in percent of their mean, and the
 * longest gap. One line of JSON gives the worst and the median stream.
 */
#include "common.h"

#include <math.h>
#include <stdbool.h>
#include <sys/epoll.h>

enum {
    BUFFER_SIZE = 256 * 1024,
    EVENTS = 256,
    BIN_MS = 100,
    WINDOW_BINS = 2000 / BIN_MS,
    STREAMS_MAX = 4096,
};

struct stream {
    int fd;
    bool ended;
    uint64_t asked_ns, first_ns, last_ns; /* CLOCK_REALTIME, as the kernel's timestamps */
    uint64_t longest_gap_ns;
    uint64_t bytes;
    uint32_t *bins;
};

struct options {
    unsigned streams;
    double seconds, skip;
};

struct figures {
    double first_byte_ms, rate_low, rate_high, rate_mean, deviation_percent, gap_ms;
};

static char buffer[BUFFER_SIZE];

static void ask(struct stream *stream, const struct sockaddr_in *address, const char *path)
{
    const int one = 1;
    stream->fd = dial(address);
    setsockopt(stream->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    stream->asked_ns = clock_ns(CLOCK_REALTIME);
    if (dprintf(stream->fd, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                path) < 0)
        give_up("send");
}

/* Reads once; returns the size, and when its last segment arrived. */
static ssize_t read_stamped(int fd, uint64_t *ret_when_ns)
{
    char control[256];
    struct iovec vector = {.iov_base = buffer, .iov_len = sizeof buffer};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    const ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT);
    if (size <= 0)
        return size;
    *ret_when_ns = clock_ns(CLOCK_REALTIME);
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        struct timespec stamp;
        memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
        *ret_when_ns = (uint64_t)stamp.tv_sec * NS_PER_S + (uint64_t)stamp.tv_nsec;
    }
    return size;
}

static void receive(struct stream *stream, unsigned bin_count, uint64_t skip_ns)
{
    uint64_t when = 0;
    const ssize_t size = read_stamped(stream->fd, &when);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        stream->ended = true;
        close(stream->fd);
        return;
    }
    if (stream->first_ns == 0)
        stream->first_ns = stream->last_ns = when;
    if (stream->last_ns >= stream->first_ns + skip_ns && when > stream->last_ns &&
        when - stream->last_ns > stream->longest_gap_ns)
        stream->longest_gap_ns = when - stream->last_ns;
    const uint64_t bin = (when - stream->first_ns) / (BIN_MS * 1000000ull);
    if (bin < bin_count)
        stream->bins[bin] += (uint32_t)size;
    stream->bytes += (uint64_t)size;
    stream->last_ns = when;
}

/* A stream that is still going when the clock stops has been silent since its last byte. */
static struct figures judge(const struct stream *stream, const struct options *options,
                            unsigned bin_count, uint64_t now)
{
    struct figures figures = {.first_byte_ms = (double)(stream->first_ns - stream->asked_ns) / 1e6,
                              .gap_ms = (double)stream->longest_gap_ns / 1e6};
    if (stream->first_ns == 0)
        return (struct figures){.gap_ms = (double)(now - stream->asked_ns) / 1e6};
    const uint64_t end = stream->ended ? stream->last_ns : now;
    if ((double)(end - stream->last_ns) / 1e6 > figures.gap_ms)
        figures.gap_ms = (double)(end - stream->last_ns) / 1e6;
    unsigned bins = (unsigned)((end - stream->first_ns) / (BIN_MS * 1000000ull));
    const unsigned skipped = (unsigned)(options->skip * 1000 / BIN_MS);
    bins = bins < bin_count ? bins : bin_count;
    if (bins < skipped + WINDOW_BINS)
        return figures;
    double sum = 0;
    double squares = 0;
    double window = 0;
    figures.rate_low = 1e18;
    for (unsigned bin = skipped; bin < bins; bin++) {
        const double value = stream->bins[bin];
        sum += value;
        squares += value * value;
        window += value - (bin >= skipped + WINDOW_BINS ? stream->bins[bin - WINDOW_BINS] : 0);
        if (bin + 1 < skipped + WINDOW_BINS)
            continue;
        const double rate = window * 1000 / (BIN_MS * WINDOW_BINS);
        figures.rate_low = rate < figures.rate_low ? rate : figures.rate_low;
        figures.rate_high = rate > figures.rate_high ? rate : figures.rate_high;
    }
    const double count = bins - skipped;
    const double mean = sum / count;
    figures.rate_mean = mean * 1000 / BIN_MS;
    const double variance = squares / count - mean * mean;
    figures.deviation_percent = mean > 0 && variance > 0 ? 100 * sqrt(variance) / mean : 0;
    return figures;
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Prints "name": [least, median, greatest] of one member over all streams. */
static void print_spread(const char *name, const struct figures *figures, unsigned count,
                         size_t member)
{
    static double values[STREAMS_MAX];
    for (unsigned index = 0; index < count; index++)
        memcpy(&values[index], (const char *)&figures[index] + member, sizeof values[index]);
    qsort(values, count, sizeof values[0], compare);
    printf(", \"%s\": [%.4g, %.4g, %.4g]", name, values[0], values[count / 2], values[count - 1]);
}

static void report(const struct stream *streams, const struct options *options, unsigned bin_count,
                   uint64_t start_ns)
{
    static struct figures figures[STREAMS_MAX];
    const uint64_t now = clock_ns(CLOCK_REALTIME);
    uint64_t bytes = 0;
    unsigned ended = 0;
    for (unsigned index = 0; index < options->streams; index++) {
        figures[index] = judge(&streams[index], options, bin_count, now);
        bytes += streams[index].bytes;
        ended += streams[index].ended;
    }
    printf("{\"streams\": %u, \"ended\": %u, \"secs\": %.6f, \"bytes\": %lu", options->streams,
           ended, (double)(now - start_ns) / 1e9, bytes);
    const struct {
        const char *name;
        size_t member;
    } rows[] = {{"first_byte_ms", offsetof(struct figures, first_byte_ms)},
                {"rate_low", offsetof(struct figures, rate_low)},
                {"rate_high", offsetof(struct figures, rate_high)},
                {"rate_mean", offsetof(struct figures, rate_mean)},
                {"bin_stddev_percent", offsetof(struct figures, deviation_percent)},
                {"gap_ms", offsetof(struct figures, gap_ms)}};
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        print_spread(rows[row].name, figures, options->streams, rows[row].member);
    printf("}\n");
}

int main(int argc, char **argv)
{
    static struct stream streams[STREAMS_MAX];
    struct options options = {.streams = 1, .seconds = 10};
    for (int letter; (letter = getopt(argc, argv, "c:d:s:")) >= 0;) {
        if (letter == 'c')
            options.streams = (unsigned)strtoul(optarg, NULL, 10);
        else if (letter == 'd')
            options.seconds = strtod(optarg, NULL);
        else if (letter == 's')
            options.skip = strtod(optarg, NULL);
        else
            argc = 0;
    }
    if (argc - optind != 2 || options.streams == 0 || options.streams > STREAMS_MAX) {
        fprintf(stderr, "usage: receive [-c STREAMS] [-d SECONDS] [-s SKIP] ADDR:PORT PATH\n");
        return 2;
    }
    const struct sockaddr_in address = parse_address(argv[optind]);
    const unsigned bin_count = (unsigned)(options.seconds * 1000 / BIN_MS) + 1;
    const int poller = epoll_create1(EPOLL_CLOEXEC);
    const uint64_t start = clock_ns(CLOCK_REALTIME);
    const uint64_t end = start + (uint64_t)(options.seconds * 1e9);
    for (unsigned index = 0; index < options.streams; index++) {
        struct stream *stream = &streams[index];
        stream->bins = calloc(bin_count, sizeof *stream->bins);
        ask(stream, &address, argv[optind + 1]);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
        if (stream->bins == NULL || epoll_ctl(poller, EPOLL_CTL_ADD, stream->fd, &event) < 0)
            give_up("stream");
    }
    struct epoll_event events[EVENTS];
    for (uint64_t now = start; now < end; now = clock_ns(CLOCK_REALTIME)) {
        const int count = epoll_wait(poller, events, EVENTS, (int)((end - now) / 1000000) + 1);
        for (int index = 0; index < count; index++)
            receive(events[index].data.ptr, bin_count, (uint64_t)(options.skip * 1e9));
    }
    report(streams, &options, bin_count, start);
    return 0;
}
