/* SPDX-License-Identifier: MIT */
/*
 * peer-libuv ADDR:PORT DIR: a server on libuv as its guide writes one: uv_listen, uv_read_start,
 * uv_write with a request from the heap. It parses no more than it must: a head ends at the blank
 * line, its path is one of four, each a file read when it is first asked for, and of its fields
 * only "Connection: close" matters. libuv's own way to send a file, uv_fs_sendfile, runs in a
 * thread and does not wait for a socket with room, so that memory is the best way too.
 *
 * A client's next head is answered when all before it has been handed to the kernel: until then
 * nothing more is read, so the queue of writes holds at most one response. `is_stopped` says so.
 */
#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum { BACKLOG = 4096, HEAD_MAX = 4096 };

struct file {
    const char *path;
    const char *name;
    const char *type;
    char *bytes;
    size_t size;
};

struct client {
    uv_tcp_t tcp;
    bool is_stopped;
    bool is_last; /* "Connection: close": hang up when all is written */
    size_t size;  /* of what was read and not yet answered */
    char input[HEAD_MAX];
};

struct answer {
    uv_write_t request;
    char head[256];
};

static struct file files[] = {
    {.path = "/1k", .name = "1k.txt", .type = "text/plain"},
    {.path = "/64k.bin", .name = "64k.bin", .type = "application/octet-stream"},
    {.path = "/1m.bin", .name = "1m.bin", .type = "application/octet-stream"},
    {.path = "/16m.bin", .name = "16m.bin", .type = "application/octet-stream"},
};

static const struct file missing = {.type = "text/plain"};

static const char *folder;
static char date[64]; /* for the Date field, made anew every second */

__attribute__((noreturn)) static void give_up(const char *what, int error)
{
    fprintf(stderr, "peer-libuv: %s: %s\n", what, uv_strerror(error));
    exit(EXIT_FAILURE);
}

static void must(const char *what, int error)
{
    if (error < 0)
        give_up(what, error);
}

static void on_second(uv_timer_t *timer)
{
    (void)timer;
    const time_t now = time(NULL);
    struct tm parts;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void hang_up(struct client *client)
{
    if (!uv_is_closing((uv_handle_t *)&client->tcp))
        uv_close((uv_handle_t *)&client->tcp, on_closed);
}

static void on_readable(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer);
static void consume(struct client *client);

/* All answers have been handed to the kernel. */
static void go_on(struct client *client)
{
    uv_stream_t *stream = (uv_stream_t *)&client->tcp;
    if (client->is_last) {
        hang_up(client);
        return;
    }
    client->is_stopped = false;
    consume(client);
    if (!client->is_stopped && uv_read_start(stream, on_alloc, on_readable) < 0)
        hang_up(client);
}

static void on_written(uv_write_t *request, int status)
{
    uv_stream_t *stream = request->handle;
    struct client *client = stream->data;
    free(request->data);
    if (status < 0)
        hang_up(client);
    else if (client->is_stopped && !uv_is_closing((uv_handle_t *)stream) &&
             uv_stream_get_write_queue_size(stream) == 0)
        go_on(client);
}

/* Reads a file whole; false if there is none. */
static bool load(struct file *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, file->name);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        return false;
    fseek(stream, 0, SEEK_END);
    const long size = ftell(stream);
    rewind(stream);
    char *bytes = size > 0 ? malloc((size_t)size) : NULL;
    if (bytes == NULL || fread(bytes, 1, (size_t)size, stream) != (size_t)size)
        give_up(path, UV_EIO);
    fclose(stream);
    file->bytes = bytes;
    file->size = (size_t)size;
    return true;
}

static const struct file *choose(const char *head, size_t size)
{
    static const char method[] = "GET ";
    const size_t start = sizeof method - 1;
    if (size <= start || memcmp(head, method, start) != 0)
        return NULL;
    const char *path = head + start;
    const char *end = memchr(path, ' ', size - start);
    if (end == NULL)
        return NULL;
    const size_t path_size = (size_t)(end - path);
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        struct file *file = &files[index];
        if (strlen(file->path) == path_size && memcmp(file->path, path, path_size) == 0)
            return file->bytes != NULL || load(file) ? file : NULL;
    }
    return NULL;
}

static void reply(struct client *client, const char *head, size_t size)
{
    static const char last[] = "\r\nConnection: close";
    const struct file *file = choose(head, size);
    client->is_last = memmem(head, size, last, sizeof last - 1) != NULL;
    const char *status = file != NULL ? "200 OK" : "404 Not Found";
    if (file == NULL)
        file = &missing;
    struct answer *answer = malloc(sizeof *answer);
    if (answer == NULL) {
        hang_up(client);
        return;
    }
    const int head_size =
        snprintf(answer->head, sizeof answer->head,
                 "HTTP/1.1 %s\r\n"
                 "Date: %s\r\n"
                 "Content-Type: %s\r\n"
                 "Content-Length: %zu%s\r\n\r\n",
                 status, date, file->type, file->size, client->is_last ? last : "");
    assert(head_size > 0 && (size_t)head_size < sizeof answer->head);
    const uv_buf_t buffers[] = {uv_buf_init(answer->head, (unsigned)head_size),
                                uv_buf_init(file->bytes, (unsigned)file->size)};
    uv_stream_t *stream = (uv_stream_t *)&client->tcp;
    answer->request.data = answer;
    if (uv_write(&answer->request, stream, buffers, 2, on_written) < 0) {
        free(answer);
        hang_up(client);
    } else if (client->is_last || uv_stream_get_write_queue_size(stream) > 0) {
        client->is_stopped = true;
        uv_read_stop(stream);
    }
}

/* Answers the whole heads of the input, moves the rest to its front. */
static void consume(struct client *client)
{
    const uv_handle_t *handle = (const uv_handle_t *)&client->tcp;
    size_t position = 0;
    while (!client->is_stopped && !uv_is_closing(handle)) {
        const char *head = client->input + position;
        const char *end = memmem(head, client->size - position, "\r\n\r\n", 4);
        if (end == NULL)
            break;
        reply(client, head, (size_t)(end - head));
        position += (size_t)(end + 4 - head);
    }
    assert(position <= client->size);
    client->size -= position;
    memmove(client->input, client->input + position, client->size);
    if (client->size == sizeof client->input && !client->is_stopped)
        hang_up(client); /* a head that is too long */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)suggested;
    struct client *client = handle->data;
    const size_t room = sizeof client->input - client->size;
    *ret_buffer = uv_buf_init(client->input + client->size, (unsigned)room);
}

static void on_readable(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    (void)buffer;
    struct client *client = stream->data;
    if (count < 0) {
        hang_up(client);
        return;
    }
    client->size += (size_t)count;
    assert(client->size <= sizeof client->input);
    consume(client);
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status < 0)
        return;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        give_up("a client", UV_ENOMEM);
    must("uv_tcp_init", uv_tcp_init(listener->loop, &client->tcp));
    client->tcp.data = client;
    if (uv_accept(listener, (uv_stream_t *)&client->tcp) < 0 ||
        uv_tcp_nodelay(&client->tcp, 1) < 0 ||
        uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_readable) < 0)
        hang_up(client);
}

static struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in address;
    char host[64] = "";
    const char *colon = strrchr(text, ':');
    if (colon != NULL)
        snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    must(text, colon != NULL ? uv_ip4_addr(host, atoi(colon + 1), &address) : UV_EINVAL);
    return address;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: peer-libuv ADDR:PORT DIR\n");
        return 2;
    }
    const struct sockaddr_in address = parse_address(argv[1]);
    folder = argv[2];
    signal(SIGPIPE, SIG_IGN); /* libuv leaves it to its user */

    uv_loop_t *loop = uv_default_loop();
    uv_timer_t timer;
    uv_tcp_t listener;
    must("uv_timer_init", uv_timer_init(loop, &timer));
    on_second(&timer);
    must("uv_timer_start", uv_timer_start(&timer, on_second, 1000, 1000));
    must("uv_tcp_init", uv_tcp_init(loop, &listener));
    must("uv_tcp_bind", uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0));
    must("uv_listen", uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection));
    return uv_run(loop, UV_RUN_DEFAULT);
}
