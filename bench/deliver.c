/* SPDX-License-Identifier: MIT */
/*
 * deliver [-d] ADDR:PORT PLAN: asks for one thing after the other, as PLAN has them, and tells of
 * each how long it took from the request's first byte to the answer's last. A line of PLAN is
 * "CONNECTION PATH": connections are numbered, made when they are first named, and kept. All asks
 * are the same but for the path; what a server makes of them is what is measured.
 *
 * It turns while it waits, so that waking up is in no figure; chunks are put together, and taken
 * apart with -d (by the libraries themselves, timed for themselves), when the clock has stopped.
 * Prints a line of JSON for each answer; what is no answer ends it.
 */
#include "common.h"

#include <brotli/decode.h>
#include <stdbool.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

enum {
    CONNECTIONS_MAX = 64,
    CHUNKS_MAX = 64 * 1024,
    BUFFER_SIZE = 16 << 20,
    RECEIVE_SIZE = 256 << 10,
    PATIENCE_S = 60,
};

enum phase { PHASE_HEAD, PHASE_LENGTH, PHASE_CHUNK_SIZE, PHASE_CHUNK, PHASE_TRAILER, PHASE_END };

struct chunk {
    size_t offset, size;
};

/* An answer in `buffer`, as far as it has come. */
struct answer {
    enum phase phase;
    size_t size, position; /* received, and of that looked at */
    size_t left;           /* of the body, or of the chunk with its line's end */
    unsigned chunk_count;
    int status;
    char coding[16];
};

struct figures {
    uint64_t first_ns, whole_ns, decode_ns;
    size_t body_size, plain_size;
};

static char buffer[BUFFER_SIZE], body[BUFFER_SIZE], plain[BUFFER_SIZE];
static struct chunk chunks[CHUNKS_MAX];

__attribute__((noreturn)) static void refuse(const char *path, const char *what)
{
    fprintf(stderr, "deliver: %s: %s\n", path, what);
    exit(EXIT_FAILURE);
}

/* The line that begins at `position`: its size with its end, 0 when that has not come. */
static size_t line_size(const struct answer *answer)
{
    const char *start = buffer + answer->position;
    const char *end = memchr(start, '\n', answer->size - answer->position);
    return end == NULL ? 0 : (size_t)(end - start) + 1;
}

static void take_field(struct answer *answer, const char *line, size_t size)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)(size - 2), line);
    if (strncasecmp(text, "Content-Length: ", 16) == 0)
        answer->left = strtoull(text + 16, NULL, 10);
    else if (strncasecmp(text, "Transfer-Encoding: chunked", 26) == 0)
        answer->left = SIZE_MAX;
    else if (strncasecmp(text, "Content-Encoding: ", 18) == 0)
        snprintf(answer->coding, sizeof answer->coding, "%.15s", text + 18);
}

static void add_chunk(struct answer *answer, size_t size, const char *path)
{
    if (answer->chunk_count == CHUNKS_MAX || size > BUFFER_SIZE)
        refuse(path, "more chunks than anybody would send");
    chunks[answer->chunk_count++] = (struct chunk){answer->position, size};
}

/* One line of a head, of a chunk's size, or of what follows the last chunk. */
static void take_line(struct answer *answer, size_t size, const char *path)
{
    const char *line = buffer + answer->position;
    const bool is_empty = size <= 2;
    answer->position += size;
    if (answer->phase == PHASE_CHUNK_SIZE) {
        const size_t chunk_size = strtoull(line, NULL, 16);
        if (chunk_size > 0)
            add_chunk(answer, chunk_size, path);
        answer->left = chunk_size + 2;
        answer->phase = chunk_size > 0 ? PHASE_CHUNK : PHASE_TRAILER;
    } else if (answer->phase == PHASE_TRAILER) {
        if (is_empty)
            answer->phase = PHASE_END;
    } else if (!is_empty) {
        if (answer->status == 0)
            answer->status = (int)strtol(line + 9, NULL, 10);
        take_field(answer, line, size);
    } else if (answer->left == SIZE_MAX) {
        answer->phase = PHASE_CHUNK_SIZE;
    } else {
        add_chunk(answer, answer->left, path);
        answer->phase = answer->left > 0 ? PHASE_LENGTH : PHASE_END;
    }
}

/* Looks at what has come since the last time. */
static void scan(struct answer *answer, const char *path)
{
    while (answer->phase != PHASE_END) {
        if (answer->phase == PHASE_LENGTH || answer->phase == PHASE_CHUNK) {
            const size_t there = answer->size - answer->position;
            const size_t taken = there < answer->left ? there : answer->left;
            answer->position += taken;
            answer->left -= taken;
            if (answer->left > 0)
                return;
            answer->phase = answer->phase == PHASE_CHUNK ? PHASE_CHUNK_SIZE : PHASE_END;
        } else {
            const size_t size = line_size(answer);
            if (size == 0)
                return;
            take_line(answer, size, path);
        }
    }
}

static void receive(int fd, struct answer *answer, uint64_t start_ns, struct figures *figures,
                    const char *path)
{
    while (answer->phase != PHASE_END) {
        if (BUFFER_SIZE - answer->size < RECEIVE_SIZE)
            refuse(path, "an answer larger than there is room for");
        const ssize_t size = recv(fd, buffer + answer->size, RECEIVE_SIZE, MSG_DONTWAIT);
        if (size > 0) {
            if (answer->size == 0)
                figures->first_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
            answer->size += (size_t)size;
            scan(answer, path);
        } else if (size == 0) {
            refuse(path, "the connection ended");
        } else if (errno != EAGAIN) {
            give_up("recv");
        } else if (clock_ns(CLOCK_MONOTONIC) - start_ns > PATIENCE_S * NS_PER_S) {
            refuse(path, "no answer");
        }
    }
    if (answer->position != answer->size)
        refuse(path, "more than was asked for");
}

static size_t gather_chunks(const struct answer *answer)
{
    size_t size = 0;
    for (unsigned index = 0; index < answer->chunk_count; index++) {
        memcpy(body + size, buffer + chunks[index].offset, chunks[index].size);
        size += chunks[index].size;
    }
    return size;
}

static size_t decode_gzip(size_t size)
{
    z_stream stream = {.next_in = (Bytef *)body,
                       .avail_in = (uInt)size,
                       .next_out = (Bytef *)plain,
                       .avail_out = BUFFER_SIZE};
    if (inflateInit2(&stream, 15 + 16) != Z_OK)
        return SIZE_MAX;
    const int ended = inflate(&stream, Z_FINISH);
    const size_t plain_size = stream.total_out;
    inflateEnd(&stream);
    return ended == Z_STREAM_END && stream.avail_in == 0 ? plain_size : SIZE_MAX;
}

static size_t decode_zstd(size_t size)
{
    static ZSTD_DCtx *context;
    if (context == NULL && (context = ZSTD_createDCtx()) == NULL)
        return SIZE_MAX;
    const size_t plain_size = ZSTD_decompressDCtx(context, plain, BUFFER_SIZE, body, size);
    return ZSTD_isError(plain_size) ? SIZE_MAX : plain_size;
}

static size_t decode_brotli(size_t size)
{
    size_t plain_size = BUFFER_SIZE;
    const BrotliDecoderResult result =
        BrotliDecoderDecompress(size, (const uint8_t *)body, &plain_size, (uint8_t *)plain);
    return result == BROTLI_DECODER_RESULT_SUCCESS ? plain_size : SIZE_MAX;
}

/* What is in `body`, to `plain`: its size; SIZE_MAX: it cannot be decoded. */
static size_t decode(const char *coding, size_t size)
{
    if (strcmp(coding, "gzip") == 0)
        return decode_gzip(size);
    if (strcmp(coding, "zstd") == 0)
        return decode_zstd(size);
    if (strcmp(coding, "br") == 0)
        return decode_brotli(size);
    if (coding[0] != '\0')
        return SIZE_MAX;
    memcpy(plain, body, size);
    return size;
}

static void tell(unsigned connection, const char *path, const struct answer *answer,
                 const struct figures *figures, bool is_decoded)
{
    printf(
        "{\"connection\": %u, \"path\": \"%s\", \"status\": %d, \"coding\": \"%s\", \"ns\": %ju, "
        "\"first_ns\": %ju, \"received\": %zu, \"body\": %zu",
        connection, path, answer->status, answer->coding, (uintmax_t)figures->whole_ns,
        (uintmax_t)figures->first_ns, answer->size, figures->body_size);
    if (is_decoded)
        printf(", \"plain\": %zu, \"crc\": %lu, \"decode_ns\": %ju", figures->plain_size,
               crc32(0, (const Bytef *)plain, (uInt)figures->plain_size),
               (uintmax_t)figures->decode_ns);
    puts("}");
}

static void ask(int fd, unsigned connection, const char *path, bool has_to_decode)
{
    char request[512];
    struct answer answer = {.phase = PHASE_HEAD};
    struct figures figures = {0};
    const int size = snprintf(request, sizeof request,
                              "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                              "Accept-Encoding: gzip, br, zstd\r\n\r\n",
                              path);
    if (size >= (int)sizeof request)
        refuse(path, "too long a path");
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        give_up("send");
    receive(fd, &answer, start_ns, &figures, path);
    figures.whole_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
    figures.body_size = gather_chunks(&answer);
    if (has_to_decode) {
        const uint64_t before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        figures.plain_size = decode(answer.coding, figures.body_size);
        figures.decode_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
        if (figures.plain_size == SIZE_MAX)
            refuse(path, "it cannot be decoded");
    }
    tell(connection, path, &answer, &figures, has_to_decode);
}

static void run_plan(const char *name, const struct sockaddr_in *address, bool has_to_decode)
{
    int fds[CONNECTIONS_MAX] = {0};
    unsigned connection;
    char path[400];
    FILE *plan = fopen(name, "r");
    if (plan == NULL)
        give_up(name);
    int count;
    while ((count = fscanf(plan, "%u %399s", &connection, path)) == 2) {
        if (connection >= CONNECTIONS_MAX)
            refuse(path, "too high a number of a connection");
        if (fds[connection] == 0)
            fds[connection] = dial(address);
        ask(fds[connection], connection, path, has_to_decode);
    }
    if (count != EOF)
        refuse(name, "want lines of CONNECTION PATH");
    fclose(plan);
}

int main(int argc, char **argv)
{
    const bool has_to_decode = argc > 1 && strcmp(argv[1], "-d") == 0;
    if (argc != (has_to_decode ? 4 : 3)) {
        fputs("usage: deliver [-d] ADDR:PORT PLAN\n", stderr);
        return 2;
    }
    /* Their pages are there before anything is timed. */
    memset(buffer, 1, sizeof buffer);
    memset(body, 1, sizeof body);
    memset(plain, 1, sizeof plain);
    const struct sockaddr_in address = parse_address(argv[argc - 2]);
    run_plan(argv[argc - 1], &address, has_to_decode);
    return EXIT_SUCCESS;
}
