/* SPDX-License-Identifier: MIT */
/*
 * chunked [--listen ADDR:PORT] [--rate BYTES_PER_S] [--mode pace|sleep] [--loop] FILE: sends a
 * film to whoever connects, at a given rate. `pace` lets the kernel spread the bytes and waits in
 * one call from the first to the last; `sleep` sends a tenth of a second's worth at a time and
 * sleeps in between, which is a burst every 100 ms. Neither copies a byte of it.
 */
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/leat.h"

enum { CHUNKS_PER_S = 10, STALL_MS = 30 * 1000, UNSENT_SIZE = 16 * 1024 };

static struct {
    struct leat_address address;
    uint64_t rate_bytes_per_s;
    bool sleeps, repeats;
    const char *folder, *name;
    struct leat_root *root;
} film = {.rate_bytes_per_s = 1000 * 1000};

static struct leat_loop *loop;

static void stop(int signal_number)
{
    leat_loop_stop(loop);
}

static int send_range(struct leat_stream *stream, struct leat_file *file, uint64_t offset,
                      uint64_t size)
{
    const struct leat_vector range = {.file = file, .offset = offset, .size = size};
    const int64_t time_ms = (int64_t)(size * 1000 / film.rate_bytes_per_s);
    return leat_stream_send(stream, &range, 1, leat_after_ms(time_ms + STALL_MS));
}

static int send_chunks(struct leat_stream *stream, struct leat_file *file, uint64_t size)
{
    const uint64_t chunk = film.rate_bytes_per_s / CHUNKS_PER_S;
    int64_t next_ns = leat_now_ns(); /* counted from the start: being late does not add up */
    int error = 0;
    for (uint64_t offset = 0; offset < size && !error; offset += chunk) {
        error = send_range(stream, file, offset, size - offset < chunk ? size - offset : chunk);
        next_ns += LEAT_NS_PER_S / CHUNKS_PER_S;
        if (!error)
            error = leat_sleep_until(next_ns);
    }
    return error;
}

static void play(void *arg)
{
    struct leat_stream *stream = arg;
    struct leat_file *file;
    int error = film.sleeps ? 0 : leat_stream_set_pacing(stream, film.rate_bytes_per_s);
    if (!error)
        error = leat_file_open(film.root, film.name, leat_after_ms(STALL_MS), &file);
    if (!error) {
        const uint64_t size = leat_file_info(file)->size;
        do
            error =
                film.sleeps ? send_chunks(stream, file, size) : send_range(stream, file, 0, size);
        while (!error && film.repeats && size > 0);
        leat_file_unref(file);
    }
    leat_stream_close(stream);
}

static int serve(void *arg)
{
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    tuning.tcp_notsent_lowat_size = UNSENT_SIZE; /* what waits in the kernel stays small */
    const struct leat_listen_options options = {.tuning = &tuning};
    struct leat_listener *listener;
    int error = leat_root_open(film.folder, &film.root);
    if (!error)
        error = leat_listen(&film.address, &options, &listener);
    if (error)
        return error;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    printf("listening on %s\n", leat_address_format(leat_listener_address(listener), text));
    fflush(stdout);
    loop = leat_loop_current();
    signal(SIGINT, stop);
    signal(SIGTERM, stop);

    struct leat_scope players;
    leat_scope_init(&players);
    struct leat_stream *stream;
    while (leat_accept(listener, LEAT_FOREVER, &stream) == 0)
        if (leat_spawn(&players, play, stream, NULL))
            leat_stream_close(stream);
    leat_listener_close(listener);
    leat_scope_fini(&players);
    leat_root_close(film.root);
    return 0;
}

static const char *parse(int argc, char **argv)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"rate", required_argument, NULL, 'r'},
                                            {"mode", required_argument, NULL, 'm'},
                                            {"loop", no_argument, NULL, 'o'},
                                            {0}};
    const char *reason = NULL;
    leat_address_parse("127.0.0.1:7000", &film.address, NULL);
    for (int flag; !reason && (flag = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (flag == 'l')
            leat_address_parse(optarg, &film.address, &reason);
        else if (flag == 'r' && strtoull(optarg, NULL, 10) >= CHUNKS_PER_S)
            film.rate_bytes_per_s = strtoull(optarg, NULL, 10);
        else if (flag == 'm' && (!strcmp(optarg, "pace") || !strcmp(optarg, "sleep")))
            film.sleeps = !strcmp(optarg, "sleep");
        else if (flag == 'o')
            film.repeats = true;
        else
            reason = "[--listen ADDR:PORT] [--rate BYTES_PER_S] [--mode pace|sleep] [--loop] FILE";
    }
    if (!reason && optind != argc - 1)
        reason = "name one file";
    if (!reason) {
        film.folder = dirname(strdup(argv[optind]));
        film.name = basename(strdup(argv[optind]));
    }
    return reason;
}

int main(int argc, char **argv)
{
    const char *reason = parse(argc, argv);
    if (reason) {
        fprintf(stderr, "chunked: %s\n", reason);
        return 2;
    }
    const int error = leat_run(serve, NULL, NULL);
    if (error)
        fprintf(stderr, "chunked: %s\n", leat_error_text(error));
    return error ? 1 : 0;
}
