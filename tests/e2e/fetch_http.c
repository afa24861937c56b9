/* SPDX-License-Identifier: MIT */
/*
 * fetch_http [ENGINE]: the client of the tests of leat/fetch.h. Each line of its standard input is
 * a request, "METHOD URL WORD…", or "counters"; it answers with a line:
 *
 *     STATUS SIZE URL [VALUE]         of the answer, whose body was read to its end
 *     error TEXT
 *     opened N reused N stale N retries N redirects N
 *
 * Words: body=SIZE a body in memory · stream=SIZE one sent piece by piece, -1: the same 300,000
 * bytes, chunked · both as the answer comes, meanwhile · expect · repeat · redirects=N ·
 * deadline=MS · field=NAME:VALUE · save=PATH the body goes there · show=NAME the value of this
 * field, or of the trailer's, is printed. Bodies are of the bytes that proxy_origins.pattern makes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/leat.h"

enum { LINE_SIZE = 4096, FIELDS_MAX = 8, PIECE_SIZE = 50 * 1000, CHUNKED_SIZE = 300 * 1000 };

struct wish {
    struct leat_fetch_request request;
    struct leat_fetch_field fields[FIELDS_MAX];
    int64_t deadline_ns;
    const char *save, *show;
    bool is_both_ways;
};

struct streaming {
    struct leat_fetch *fetch;
    const struct wish *wish;
    int error;
};

static struct leat_client *client;
static char line[LINE_SIZE];

static uint8_t *make_pattern(size_t size)
{
    uint32_t *words = malloc(size + sizeof *words);
    if (!words)
        abort();
    for (uint32_t i = 0; i < (size + 3) / 4; i++)
        words[i] = i * 2654435761u;
    return (uint8_t *)words;
}

static bool take_word(struct wish *wish, char *word)
{
    char *value = strchr(word, '=');
    if (value)
        *value++ = '\0';
    if (strcmp(word, "body") == 0) {
        wish->request.body_size = strtoul(value, NULL, 10);
        wish->request.body = make_pattern(wish->request.body_size);
    } else if (strcmp(word, "stream") == 0) {
        wish->request.streamed_size = atoll(value);
    } else if (strcmp(word, "both") == 0) {
        wish->is_both_ways = true;
    } else if (strcmp(word, "expect") == 0) {
        wish->request.expects_continue = true;
    } else if (strcmp(word, "repeat") == 0) {
        wish->request.may_repeat = true;
    } else if (strcmp(word, "redirects") == 0) {
        wish->request.redirects_max = (unsigned)atoi(value);
    } else if (strcmp(word, "deadline") == 0) {
        wish->deadline_ns = leat_after_ms(atoi(value));
    } else if (strcmp(word, "field") == 0 && wish->request.field_count < FIELDS_MAX) {
        struct leat_fetch_field *field = &wish->fields[wish->request.field_count++];
        field->name = strsep(&value, ":");
        field->value = value;
    } else if (strcmp(word, "save") == 0) {
        wish->save = value;
    } else if (strcmp(word, "show") == 0) {
        wish->show = value;
    } else {
        return false;
    }
    return true;
}

static void write_stream(void *arg)
{
    struct streaming *streaming = arg;
    const int64_t size = streaming->wish->request.streamed_size;
    const int64_t deadline_ns = streaming->wish->deadline_ns;
    const size_t total = size < 0 ? CHUNKED_SIZE : (size_t)size;
    uint8_t *pattern = make_pattern(total);
    int error = 0;
    for (size_t at = 0; at < total && !error; at += PIECE_SIZE) {
        const size_t piece = total - at < PIECE_SIZE ? total - at : PIECE_SIZE;
        error = leat_fetch_write(streaming->fetch, pattern + at, piece, deadline_ns);
    }
    streaming->error = error ? error : leat_fetch_finish(streaming->fetch, deadline_ns);
    free(pattern);
}

static int read_body(struct leat_fetch *fetch, const struct wish *wish, uint64_t *ret_size)
{
    char *piece = malloc(PIECE_SIZE);
    FILE *file = wish->save ? fopen(wish->save, "wb") : NULL;
    ssize_t size;
    if (!piece || (wish->save && !file))
        abort();
    while ((size = leat_fetch_read(fetch, piece, PIECE_SIZE, wish->deadline_ns)) > 0) {
        *ret_size += (uint64_t)size;
        if (file && fwrite(piece, 1, (size_t)size, file) != (size_t)size)
            abort();
    }
    if (file)
        fclose(file);
    free(piece);
    return (int)size;
}

/* The body goes out and comes back. */
static int exchange_bodies(struct leat_fetch *fetch, const struct wish *wish, uint64_t *ret_size)
{
    struct streaming streaming = {.fetch = fetch, .wish = wish};
    struct leat_scope scope;
    int error = 0;
    leat_scope_init(&scope);
    if (wish->request.streamed_size != 0) {
        if (wish->is_both_ways)
            error = leat_spawn(&scope, write_stream, &streaming, NULL);
        else
            write_stream(&streaming);
        if (!error)
            error = leat_fetch_answer(fetch, wish->deadline_ns);
    }
    if (!error)
        error = read_body(fetch, wish, ret_size);
    leat_scope_fini(&scope);
    return error;
}

static void fetch_one(const struct wish *wish)
{
    struct leat_fetch *fetch;
    uint64_t size = 0;
    int error = leat_fetch_open(client, &wish->request, wish->deadline_ns, &fetch);
    if (error) {
        printf("error %s\n", leat_error_text(error));
        return;
    }
    error = exchange_bodies(fetch, wish, &size);
    if (error) {
        printf("error %s\n", leat_error_text(error));
    } else {
        struct leat_slice shown = {0};
        if (wish->show)
            shown = leat_fetch_field(fetch, wish->show);
        if (wish->show && !shown.data)
            shown = leat_fetch_trailer(fetch, wish->show);
        printf("%d %llu %s %.*s\n", leat_fetch_status(fetch), (unsigned long long)size,
               leat_fetch_url(fetch), (int)shown.size, shown.data ? shown.data : "");
    }
    leat_fetch_close(fetch);
}

static void print_counters(void)
{
    struct leat_client_counters counters;
    leat_client_counters(client, &counters);
    printf("opened %llu reused %llu stale %llu retries %llu redirects %llu\n",
           (unsigned long long)counters.opened, (unsigned long long)counters.reused,
           (unsigned long long)counters.stale, (unsigned long long)counters.retries,
           (unsigned long long)counters.redirects);
}

/* false: it is not understood. */
static bool perform(char *text)
{
    struct wish wish = {.deadline_ns = leat_after_ms(10 * 1000)};
    wish.request.fields = wish.fields;
    text[strcspn(text, "\n")] = '\0';
    if (strcmp(text, "counters") == 0) {
        print_counters();
        return true;
    }
    wish.request.method = strsep(&text, " ");
    wish.request.url = strsep(&text, " ");
    char *word;
    while ((word = strsep(&text, " "))) {
        if (!take_word(&wish, word))
            return false;
    }
    fetch_one(&wish);
    free((void *)wish.request.body);
    return true;
}

static int read_line(void *arg)
{
    return fgets(line, sizeof line, stdin) != NULL;
}

static int run(void *arg)
{
    int was_read;
    int error;
    while ((error = leat_offload(read_line, NULL, LEAT_FOREVER, &was_read)) == 0 && was_read) {
        if (!perform(line))
            return -EINVAL;
        fflush(stdout);
    }
    return error;
}

int main(int argc, char **argv)
{
    static const char *const engines[] = {"auto", "uring", "epoll"};
    struct leat_loop_options options = {0};
    for (int i = 0; i < 3 && argc > 1; i++)
        if (strcmp(argv[1], engines[i]) == 0)
            options.engine = (enum leat_engine)i;
    int error = leat_client_create(NULL, &client);
    if (!error)
        error = leat_run(run, NULL, &options);
    leat_client_destroy(client);
    if (error)
        fprintf(stderr, "fetch_http: %s\n", leat_error_text(error));
    return error ? 1 : 0;
}
