/* SPDX-License-Identifier: MIT */
/*
 * ship ADDR:PORT [POLICY] sends its standard input to another node, and says what it took;
 * ship --listen ADDR:PORT FILE is that node, and has what came last, whole, in FILE.
 *
 * The link is compressed as far as that makes the bytes arrive sooner: the kernel's measure of the
 * way tells how fast it is. POLICY: auto, off, zstd, lz4-0, gzip-6 …
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "leat/leat.h"

enum { BLOCK = 256 * 1024, PATIENCE_MS = 30 * 1000 };

static struct leat_address address;
static struct leat_compress_policy policy = {.mode = LEAT_COMPRESS_AUTO};
static const char *file_path;
static struct leat_loop *loop;

static void stop(int signal_number)
{
    leat_loop_stop(loop);
}

/* ---- Sending --------------------------------------------------------------------------------- */

struct block {
    char data[BLOCK];
    size_t size;
};

/* Blocks as pipes and disks do, so on another thread. Full, unless the input ends with it. */
static int read_block(void *arg)
{
    struct block *block = arg;
    ssize_t size = 1;
    for (block->size = 0; size > 0 && block->size < BLOCK; block->size += (size_t)size)
        if ((size = read(STDIN_FILENO, block->data + block->size, BLOCK - block->size)) < 0)
            return -LEAT_E_TRUNCATED;
    return 0;
}

/* What was measured while there was too little to send says at least so much. */
static void measure(const struct leat_stream *stream, struct leat_compressor *compressor,
                    uint64_t *known)
{
    struct leat_delivery delivery;
    if (leat_stream_delivery(stream, &delivery) != 0)
        return;
    if (!delivery.is_limited || delivery.rate_bytes_per_s > *known)
        leat_compressor_set_rate(compressor, *known = delivery.rate_bytes_per_s);
}

static int send_blocks(struct leat_stream *stream, struct leat_compressor *compressor)
{
    static struct block block;
    static char frame[LEAT_FRAME_HEAD_SIZE + BLOCK];
    uint64_t known = 0;
    int error, result;
    do {
        error = leat_offload(read_block, &block, LEAT_FOREVER, &result);
        if (error || result)
            return error ? error : result;
        const ssize_t size = leat_compress(compressor, block.data, block.size, frame, sizeof frame);
        if (size < 0)
            return (int)size;
        error = leat_stream_write(stream, frame, (size_t)size, leat_after_ms(PATIENCE_MS));
        measure(stream, compressor, &known);
    } while (!error && block.size > 0); /* an empty block is the end */
    return error;
}

static int send_all(void *arg)
{
    static const char *const names[] = {"none", "zstd", "gzip", "br", "lz4"};
    struct leat_stream *stream;
    struct leat_compressor *compressor;
    struct leat_compressor_counters counters;
    int error = leat_connect(&address, NULL, leat_after_ms(PATIENCE_MS), &stream);
    if (error)
        return error;
    error = leat_compressor_create(&policy, &compressor);
    if (!error) {
        error = send_blocks(stream, compressor);
        leat_compressor_counters(compressor, &counters);
        leat_compressor_destroy(compressor);
    }
    leat_stream_close(stream);
    for (int codec = 0; !error && codec < LEAT_CODECS; codec++)
        if (counters.frames[codec] > 0)
            printf("%s: %llu bytes in %llu\n", names[codec],
                   (unsigned long long)counters.plain_bytes[codec],
                   (unsigned long long)counters.frame_bytes[codec]);
    return error;
}

/* ---- Receiving ------------------------------------------------------------------------------- */

/* A block: its size, 0 at the end, or an error. */
static ssize_t receive_block(struct leat_stream *stream, char *frame, char *block)
{
    const int64_t deadline_ns = leat_after_ms(PATIENCE_MS);
    struct leat_frame found;
    int error = leat_stream_read_exactly(stream, frame, LEAT_FRAME_HEAD_SIZE, deadline_ns);
    if (!error)
        error = leat_frame_parse(frame, &found);
    if (!error && found.plain_size > BLOCK) /* before memory or time is spent on it */
        error = -LEAT_E_LIMIT;
    if (!error)
        error = leat_stream_read_exactly(stream, frame + LEAT_FRAME_HEAD_SIZE,
                                         found.size - LEAT_FRAME_HEAD_SIZE, deadline_ns);
    return error ? error : leat_decompress(frame, found.size, block, BLOCK);
}

static int receive_all(struct leat_stream *stream, int file)
{
    static char frame[LEAT_FRAME_HEAD_SIZE + BLOCK], block[BLOCK];
    ssize_t size;
    while ((size = receive_block(stream, frame, block)) > 0)
        if (write(file, block, (size_t)size) != size) /* to the page cache: it does not wait long */
            return -LEAT_E_TRUNCATED;
    return (int)size;
}

/* One shipment after the other; a file that has not come whole is not shown. */
static void unload(struct leat_stream *stream)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.part", file_path);
    const int file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    const int error = file < 0 ? -LEAT_E_CLOSED : receive_all(stream, file);
    if (file >= 0)
        close(file);
    if (error || rename(path, file_path) != 0)
        fprintf(stderr, "ship: %s\n", leat_error_text(error));
}

static int serve(void *arg)
{
    struct leat_listener *listener;
    const int error = leat_listen(&address, NULL, &listener);
    if (error)
        return error;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    printf("listening on %s\n", leat_address_format(leat_listener_address(listener), text));
    fflush(stdout);
    loop = leat_loop_current();
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    struct leat_stream *stream;
    while (leat_accept(listener, LEAT_FOREVER, &stream) == 0) {
        unload(stream);
        leat_stream_close(stream);
    }
    leat_listener_close(listener);
    return 0;
}

int main(int argc, char **argv)
{
    char wrong[128] = "ship ADDR:PORT [POLICY], or ship --listen ADDR:PORT FILE";
    const char *reason = wrong;
    const bool listens = argc == 4 && strcmp(argv[1], "--listen") == 0;
    if (listens ? leat_address_parse(argv[2], &address, &reason) != 0
                : argc < 2 || argc > 3 || leat_address_parse(argv[1], &address, &reason) != 0 ||
                      (argc == 3 &&
                       leat_compress_policy_parse(argv[2], &policy, wrong, sizeof wrong) != 0)) {
        fprintf(stderr, "ship: %s\n", reason);
        return 2;
    }
    file_path = listens ? argv[3] : NULL;
    const int error = leat_run(listens ? serve : send_all, NULL, NULL);
    if (error)
        fprintf(stderr, "ship: %s\n", leat_error_text(error));
    return error ? 1 : 0;
}
