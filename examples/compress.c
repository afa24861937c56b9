/* SPDX-License-Identifier: MIT */
/*
 * compress [ADDR:PORT]: responses that arrive sooner compressed are, others are not, and no handler
 * has to know. Where one knows better it says so: what is watched line by line is flushed, a route
 * has a policy of its own, and what holds a secret is left alone.
 *
 *     curl -s --compressed -o /dev/null -w '%{size_download}\n' localhost:8080/readings
 *     curl -sN --compressed localhost:8080/log                 a line every 100 ms
 *     curl -sI -H 'Accept-Encoding: zstd' localhost:8080/archive
 *     curl -sI --compressed 'localhost:8080/account?name=me'   as it is
 */
#include <jansson.h>
#include <stdio.h>

#include "leat/leat.h"

enum { READINGS = 5000, LINES = 50, LINE_EVERY_MS = 100, PATIENCE_MS = 10 * 1000 };

static json_t *make_readings(void)
{
    json_t *readings = json_array();
    for (int index = 0; index < READINGS; index++)
        json_array_append_new(readings, json_pack("{s:i, s:s, s:f}", "second", index, "place",
                                                  "mill race", "level_m", 0.01 * (index % 97)));
    return readings;
}

static void reply_readings(struct leat_http_request *request, struct leat_http_response *response,
                           void *user)
{
    leat_http_reply_json(response, 200, make_readings());
}

/* Without the flush the client would see the first line when there are enough for a block. */
static void reply_log(struct leat_http_request *request, struct leat_http_response *response,
                      void *user)
{
    int error = leat_http_begin(response, 200, "text/plain; charset=utf-8", -1);
    for (int index = 0; index < LINES && !error; index++) {
        char line[128];
        const int size = snprintf(line, sizeof line, "%d: the wheel has turned once more\n", index);
        error = leat_http_write(response, line, (size_t)size, leat_after_ms(PATIENCE_MS));
        if (!error)
            error = leat_http_flush(response, leat_after_ms(PATIENCE_MS));
        if (!error)
            error = leat_sleep_ms(LINE_EVERY_MS);
    }
}

/* The size of an answer that has both a secret and something of the client's own would tell the one
 * from the other, guess by guess, if it were compressed. */
static void reply_account(struct leat_http_request *request, struct leat_http_response *response,
                          void *user)
{
    static const struct leat_compress_policy off = {.mode = LEAT_COMPRESS_OFF};
    const struct leat_slice query = leat_http_query(request);
    leat_http_set_compress(response, &off);
    leat_http_reply_text(response, 200, "%-2000.*s\nkey=0f1e2d3c4b5a69788796a5b4c3d2e1f0\n",
                         (int)query.size, query.size > 0 ? query.data : "");
}

int main(int argc, char **argv)
{
    struct leat_http_router *router = leat_http_router_create();
    leat_http_get(router, "/readings", reply_readings, NULL);
    leat_http_get(router, "/log", reply_log, NULL);
    leat_http_get(router, "/account", reply_account, NULL);
    /* Always that, however fast the client is: here bytes cost more than time. */
    leat_http_route(router, &(struct leat_http_route){
                                .method = "GET",
                                .pattern = "/archive",
                                .handler = reply_readings,
                                .compress = {LEAT_COMPRESS_FIXED, LEAT_CODEC_ZSTD, .level = 12},
                            });
    const struct leat_http_run_options options = {
        .http.compress = {.mode = LEAT_COMPRESS_AUTO},
        .on_listening = leat_http_announce,
    };
    const int error = leat_http_run(router, argc > 1 ? argv[1] : NULL, &options);
    if (error)
        fprintf(stderr, "compress: %s\n", leat_error_text(error));
    leat_http_router_destroy(router);
    return error ? 1 : 0;
}
