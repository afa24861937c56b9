/* SPDX-License-Identifier: MIT */
/*
 * What bench/compress.py measures of leat: a server that answers /POLICY/N with text N of its list,
 * coded as the policy says ("auto", "off", "gzip-6", as leat_compress_policy_parse has them). So
 * that nothing but the choice differs, all policies are served by one process, one thread, one
 * handler, from memory. Any type may be coded: what is left as it is, is for its bytes' sake.
 *
 *     coded --listen ADDR:PORT [--engine auto|uring|epoll] --texts FILE
 *
 * A line of FILE is "MEDIA-TYPE PATH".
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/leat.h"

enum { TEXTS_MAX = 256, POLICY_NAME_SIZE = 16 };

struct text {
    char media_type[64];
    char *data;
    size_t size;
};

static struct text texts[TEXTS_MAX];
static unsigned text_count;
static struct leat_loop *loop;

/* "/POLICY/N" taken apart: 0, or -1 when it is none. */
static int read_path(struct leat_slice path, struct leat_compress_policy *ret_policy,
                     const struct text **ret_text)
{
    char name[POLICY_NAME_SIZE], digits[8], error[128];
    const char *slash = path.size > 1 ? memchr(path.data + 1, '/', path.size - 1) : NULL;
    if (slash == NULL)
        return -1;
    const size_t name_size = (size_t)(slash - path.data) - 1;
    const size_t digits_size = path.size - name_size - 2;
    if (name_size >= sizeof name || digits_size >= sizeof digits)
        return -1;
    snprintf(name, sizeof name, "%.*s", (int)name_size, path.data + 1);
    snprintf(digits, sizeof digits, "%.*s", (int)digits_size, slash + 1);
    const unsigned long index = strtoul(digits, NULL, 10);
    if (index >= text_count || leat_compress_policy_parse(name, ret_policy, error, sizeof error))
        return -1;
    *ret_text = &texts[index];
    return 0;
}

static void answer(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    struct leat_compress_policy policy;
    const struct text *text;
    if (read_path(leat_http_path(request), &policy, &text) ||
        leat_http_set_compress(response, &policy)) {
        leat_http_reply_error(response, 404);
        return;
    }
    leat_http_reply_static(response, 200, text->media_type, text->data, text->size);
}

static void stop(int signal_number)
{
    leat_loop_stop(loop);
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "coded: %s: %s\n", what, why);
    return 1;
}

/* All of a file, in memory that is never freed; NULL: it cannot be read. */
static char *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    rewind(file);
    char *data = size < 0 ? NULL : malloc((size_t)size + 1);
    if (data != NULL && fread(data, 1, (size_t)size, file) != (size_t)size) {
        free(data);
        data = NULL;
    }
    fclose(file);
    *ret_size = (size_t)size;
    return data;
}

static int read_texts(const char *name)
{
    char path[1024];
    FILE *list = fopen(name, "r");
    if (list == NULL)
        return fail(name, "cannot be read");
    while (text_count < TEXTS_MAX &&
           fscanf(list, "%63s %1023[^\n]", texts[text_count].media_type, path) == 2) {
        texts[text_count].data = read_file(path, &texts[text_count].size);
        if (texts[text_count].data == NULL) {
            fclose(list);
            return fail(path, "cannot be read");
        }
        text_count++;
    }
    fclose(list);
    return text_count > 0 ? 0 : fail(name, "want lines of MEDIA-TYPE PATH");
}

static int serve(const struct leat_address *address)
{
    struct leat_listener *listener;
    struct leat_http_server *server;
    int error = leat_listen(address, NULL, &listener);
    if (error)
        return fail("listen", leat_error_text(error));
    error = leat_http_server_create(
        &(struct leat_http_options){.handler = answer, .compress_types = "*/*"}, &server);
    if (error)
        return fail("server", leat_error_text(error));
    leat_http_server_add(server, listener);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    leat_loop_run(loop);
    leat_http_server_close(server, 0, 0);
    leat_loop_run(loop);
    return 0;
}

int main(int argc, char **argv)
{
    const char *listen_text = "127.0.0.1:8080", *list = "";
    struct leat_loop_options options = {.engine = LEAT_ENGINE_AUTO};
    for (int index = 1; index + 1 < argc; index += 2) {
        if (strcmp(argv[index], "--listen") == 0)
            listen_text = argv[index + 1];
        else if (strcmp(argv[index], "--texts") == 0)
            list = argv[index + 1];
        else if (strcmp(argv[index], "--engine") == 0)
            options.engine = strcmp(argv[index + 1], "epoll") == 0   ? LEAT_ENGINE_EPOLL
                             : strcmp(argv[index + 1], "uring") == 0 ? LEAT_ENGINE_URING
                                                                     : LEAT_ENGINE_AUTO;
    }
    struct leat_address address;
    const char *reason;
    if (leat_address_parse(listen_text, &address, &reason)) {
        fprintf(stderr, "coded: %s: %s\n", listen_text, reason);
        return 2;
    }
    if (read_texts(list))
        return 2;
    const int error = leat_loop_create(&options, &loop);
    if (error)
        return fail("loop", leat_error_text(error));
    const int status = serve(&address);
    leat_loop_destroy(loop);
    return status;
}
