/* SPDX-License-Identifier: MIT */
/*
 * echo_http [ENGINE]: the server of the tests of requests with bodies. It answers on a port of its
 * own, which it prints, and ends when its standard input does. Whatever the path:
 *
 *     /…          method, path and body of the request as they were understood, in one piece
 *     /stream     the same body piece by piece, chunked, and a trailer that says its size
 *     /decoded    the body alone, without its content coding: 32 MiB of it at most
 *     /decoded/N  its size, N bytes at most
 *     /json       what is in it as JSON, decoded
 *     /unread     an answer that does not wait for the body
 *     /trailer    the values of X-T, Host and Content-Length in the request's trailer
 *     /status/NNN this status with a body, which some statuses must not have
 *     /fields     what leat_http_add_field makes of things that are no fields
 *
 * tests/differential/node_echo.js gives the same answer as the first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leat/leat.h"

enum { WAIT_MS = 10 * 1000, GRACE_MS = 1000, BODY_SIZE_MAX = 1 << 20, PIECE_SIZE = 4096 };
enum { DECODED_SIZE_MAX = 32 << 20 };

static bool path_is(const struct leat_http_request *request, const char *text)
{
    const struct leat_slice path = leat_http_path(request);
    return path.size == strlen(text) && memcmp(path.data, text, path.size) == 0;
}

static void echo(struct leat_http_request *request, struct leat_http_response *response)
{
    struct leat_slice body;
    if (leat_http_read_all(request, BODY_SIZE_MAX, leat_after_ms(WAIT_MS), &body) != 0)
        return; /* the status that tells why is the reply */
    const struct leat_slice method = leat_http_method(request), path = leat_http_path(request);
    const size_t room = method.size + path.size + body.size + 64;
    char *text = leat_http_alloc(request, room);
    if (!text)
        return;
    const int size = snprintf(text, room, "%.*s %.*s\n%zu\n", (int)method.size, method.data,
                              (int)path.size, path.data ? path.data : "", body.size);
    memcpy(text + size, body.data, body.size);
    leat_http_reply(response, 200, "text/plain", text, (size_t)size + body.size);
}

static void stream(struct leat_http_request *request, struct leat_http_response *response)
{
    char piece[PIECE_SIZE], text[32];
    uint64_t total = 0;
    ssize_t size;
    leat_http_set_body_size_max(request, UINT64_MAX);
    leat_http_begin(response, 200, "application/octet-stream", -1);
    while ((size = leat_http_read(request, piece, sizeof piece, leat_after_ms(WAIT_MS))) > 0) {
        total += (uint64_t)size;
        if (leat_http_write(response, piece, (size_t)size, leat_after_ms(WAIT_MS)) != 0)
            return;
    }
    if (size < 0) {
        leat_http_abort(response);
        return;
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)total);
    leat_http_add_trailer(response, "X-Size", text);
}

static void echo_decoded(struct leat_http_request *request, struct leat_http_response *response)
{
    struct leat_slice body;
    leat_http_set_body_size_max(request, DECODED_SIZE_MAX);
    if (leat_http_decode_body(request, DECODED_SIZE_MAX) == 0 &&
        leat_http_read_all(request, DECODED_SIZE_MAX, leat_after_ms(WAIT_MS), &body) == 0)
        leat_http_reply(response, 200, "application/octet-stream", body.data, body.size);
}

static void count_decoded(struct leat_http_request *request, struct leat_http_response *response,
                          uint64_t size_max)
{
    char piece[PIECE_SIZE];
    uint64_t total = 0;
    ssize_t size;
    leat_http_set_body_size_max(request, UINT64_MAX);
    if (leat_http_decode_body(request, size_max) != 0)
        return;
    while ((size = leat_http_read(request, piece, sizeof piece, leat_after_ms(WAIT_MS))) > 0)
        total += (uint64_t)size;
    if (size == 0)
        leat_http_reply_text(response, 200, "%llu", (unsigned long long)total);
}

static void echo_json(struct leat_http_request *request, struct leat_http_response *response)
{
    struct json_t *json;
    if (leat_http_decode_body(request, BODY_SIZE_MAX) == 0 &&
        leat_http_read_json(request, BODY_SIZE_MAX, leat_after_ms(WAIT_MS), &json) == 0)
        leat_http_reply_json(response, 200, json);
}

static void show_trailer(struct leat_http_request *request, struct leat_http_response *response)
{
    static const char *const names[] = {"X-T", "Host", "Content-Length"};
    struct leat_slice body;
    char text[1024];
    size_t size = 0;
    if (leat_http_read_all(request, BODY_SIZE_MAX, leat_after_ms(WAIT_MS), &body) != 0)
        return;
    for (size_t i = 0; i < 3; i++) {
        const struct leat_slice value = leat_http_trailer(request, names[i]);
        size += (size_t)snprintf(text + size, sizeof text - size, "%s=%.*s\n", names[i],
                                 (int)value.size, value.data ? value.data : "");
    }
    leat_http_reply(response, 200, "text/plain", text, size);
}

static void try_fields(struct leat_http_response *response)
{
    static const struct {
        const char *name, *value;
    } fields[] = {{"X-Good", "a b"},
                  {"X-Split", "a\r\nX-Evil: b"},
                  {"X-Lf", "a\nb"},
                  {"X-Cr", "a\rb"},
                  {"X Bad", "a"},
                  {"X-Bad:", "a"},
                  {"", "a"},
                  {"X-Control", "a\x01"},
                  {"X-Delete", "a\x7f"},
                  {"X\r\nX-Evil", "b"},
                  {"X-Latin", "\xe4"}};
    char text[256];
    size_t size = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const int error = leat_http_add_field(response, fields[i].name, fields[i].value);
        text[size++] = error == 0 ? 'y' : 'n';
    }
    leat_http_reply(response, 200, "text/plain", text, size);
}

static void handle(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    const struct leat_slice path = leat_http_path(request);
    if (path_is(request, "/stream"))
        stream(request, response);
    else if (path_is(request, "/decoded"))
        echo_decoded(request, response);
    else if (path.size > 9 && memcmp(path.data, "/decoded/", 9) == 0)
        count_decoded(request, response, strtoull(path.data + 9, NULL, 10));
    else if (path_is(request, "/json"))
        echo_json(request, response);
    else if (path_is(request, "/unread"))
        leat_http_reply(response, 200, "text/plain", "unread\n", 7);
    else if (path_is(request, "/trailer"))
        show_trailer(request, response);
    else if (path_is(request, "/fields"))
        try_fields(response);
    else if (path.size == 11 && memcmp(path.data, "/status/", 8) == 0)
        leat_http_reply(response, atoi(path.data + 8), "text/plain", "a body\n", 7);
    else
        echo(request, response);
}

/* Blocks until whoever started this has gone. */
static int await_end(void *arg)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}

static int serve(void *arg)
{
    const struct leat_http_options options = {.handler = handle};
    struct leat_address address;
    struct leat_listener *listener;
    struct leat_http_server *server;
    int error = leat_address_parse("127.0.0.1:0", &address, NULL);
    if (!error)
        error = leat_listen(&address, NULL, &listener);
    if (!error)
        error = leat_http_server_create(&options, &server);
    if (!error)
        error = leat_http_server_add(server, listener);
    if (error)
        return error;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    leat_address_format(leat_listener_address(listener), text);
    printf("%s\n", strrchr(text, ':') + 1);
    fflush(stdout);
    int result;
    error = leat_offload(await_end, NULL, LEAT_FOREVER, &result);
    leat_http_server_close(server, 0, leat_after_ms(GRACE_MS));
    return error;
}

int main(int argc, char **argv)
{
    static const char *const engines[] = {"auto", "uring", "epoll"};
    struct leat_loop_options options = {0};
    for (int i = 0; i < 3 && argc > 1; i++)
        if (strcmp(argv[1], engines[i]) == 0)
            options.engine = (enum leat_engine)i;
    const int error = leat_run(serve, NULL, &options);
    if (error)
        fprintf(stderr, "echo_http: %s\n", leat_error_text(error));
    return error ? 1 : 0;
}
