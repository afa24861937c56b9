/* SPDX-License-Identifier: MIT */
/*
 * send [-s BYTES] [-X METHOD] [-f] ADDR:PORT PATH: uploads a body as fast as the server takes it,
 * 256 KiB at a time from memory, so that it costs the client's core little. The body is the bytes
 * themselves or, with -f, a form of one file (multipart/form-data, RFC 7578). Prints one line of
 * JSON with the answer's status.
 */
#include "common.h"

#include <stdbool.h>

enum { PIECE_SIZE = 256 * 1024, HEAD_MAX = 1024 };

#define BOUNDARY "----leat-bench-7MA4YWxkTrZu0gW"
#define FORM_START                                                                                 \
    "--" BOUNDARY "\r\n"                                                                           \
    "Content-Disposition: form-data; name=\"file\"; filename=\"upload.bin\"\r\n"                   \
    "Content-Type: application/octet-stream\r\n\r\n"
#define FORM_END "\r\n--" BOUNDARY "--\r\n"

struct options {
    uint64_t size;
    const char *method;
    bool is_form;
};

/* Returns what was sent: less than `size` when the server would not have more. */
static uint64_t send_all(int fd, const char *data, size_t size)
{
    size_t sent = 0;
    while (sent < size) {
        const ssize_t count = send(fd, data + sent, size - sent, MSG_NOSIGNAL);
        if (count < 0)
            break;
        sent += (size_t)count;
    }
    return sent;
}

static uint64_t send_body(int fd, const struct options *options)
{
    static char piece[PIECE_SIZE];
    for (size_t index = 0; index < sizeof piece; index++)
        piece[index] = (char)(index * 2654435761u >> 13); /* no two neighbouring lines alike */
    if (options->is_form && send_all(fd, FORM_START, strlen(FORM_START)) != strlen(FORM_START))
        return 0;
    uint64_t sent = 0;
    while (sent < options->size) {
        const uint64_t left = options->size - sent;
        const size_t size = left < sizeof piece ? (size_t)left : sizeof piece;
        const uint64_t count = send_all(fd, piece, size);
        sent += count;
        if (count < size)
            return sent;
    }
    if (options->is_form)
        send_all(fd, FORM_END, strlen(FORM_END));
    return sent;
}

/* The status of the answer; 0: there was none. */
static int read_status(int fd)
{
    char text[HEAD_MAX];
    size_t size = 0;
    int status = 0;
    while (size < sizeof text - 1) {
        const ssize_t count = recv(fd, text + size, sizeof text - 1 - size, 0);
        if (count <= 0)
            break;
        size += (size_t)count;
        text[size] = '\0';
        if (strstr(text, "\r\n\r\n") != NULL)
            break;
    }
    text[size] = '\0';
    return sscanf(text, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

int main(int argc, char **argv)
{
    struct options options = {.size = 1000 * 1000 * 1000, .method = "PUT"};
    for (int letter; (letter = getopt(argc, argv, "s:X:f")) >= 0;) {
        if (letter == 's')
            options.size = strtoull(optarg, NULL, 10);
        else if (letter == 'X')
            options.method = optarg;
        else if (letter == 'f')
            options.is_form = true;
        else
            argc = 0;
    }
    if (argc - optind != 2) {
        fprintf(stderr, "usage: send [-s BYTES] [-X METHOD] [-f] ADDR:PORT PATH\n");
        return 2;
    }
    const struct sockaddr_in address = parse_address(argv[optind]);
    const uint64_t body_size =
        options.size + (options.is_form ? strlen(FORM_START) + strlen(FORM_END) : 0);
    const char *type =
        options.is_form ? "multipart/form-data; boundary=" BOUNDARY : "application/octet-stream";
    char head[HEAD_MAX];
    const int head_size = snprintf(head, sizeof head,
                                   "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                                   "Content-Length: %lu\r\nConnection: close\r\n\r\n",
                                   options.method, argv[optind + 1], type, body_size);
    if (head_size < 0 || (size_t)head_size >= sizeof head) {
        fprintf(stderr, "send: the path is too long\n");
        return 2;
    }
    const int fd = dial(&address);
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t sent = 0;
    if (send_all(fd, head, (size_t)head_size) == (uint64_t)head_size)
        sent = send_body(fd, &options);
    const int status = read_status(fd);
    printf("{\"status\": %d, \"bytes\": %lu, \"secs\": %.6f}\n", status, sent,
           (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9);
    return 0;
}
