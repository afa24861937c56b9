/* SPDX-License-Identifier: MIT */
/*
 * middleware [ADDR:PORT]: what stands around handlers. Every request gets a number and is timed; a
 * group has a key to show; errors are problem details (RFC 9457); a route has a deadline.
 *
 *     curl -i localhost:8080/api/films
 *     curl -i localhost:8080/api/films/late                              a deadline passes: 503
 *     curl -i -X DELETE localhost:8080/api/admin/films/2                 no key: 401
 *     curl -i -X DELETE -H 'Authorization: Bearer sesame' localhost:8080/api/admin/films/2
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "leat/leat.h"

/* ---- Middleware ------------------------------------------------------------------------------ */

/* Before the handler: whoever replies, the reply has it. The threads count together. */
static void number(struct leat_http_request *request, struct leat_http_response *response,
                   struct leat_http_next *next, void *user)
{
    static uint64_t count;
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED));
    leat_http_add_field(response, "Request-Id", text);
    leat_http_next(next);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Before and after: the handler has replied, but the reply is not out. */
static void measure(struct leat_http_request *request, struct leat_http_response *response,
                    struct leat_http_next *next, void *user)
{
    char text[64];
    const double start_ms = now_ms();
    leat_http_next(next);
    snprintf(text, sizeof text, "handler;dur=%.3f", now_ms() - start_ms);
    leat_http_add_field(response, "Server-Timing", text);
}

/* In place of the handler, when the key is another. */
static void guard(struct leat_http_request *request, struct leat_http_response *response,
                  struct leat_http_next *next, void *user)
{
    const char *key = user;
    const struct leat_slice shown = leat_http_field(request, "Authorization");
    if (shown.size == strlen(key) && memcmp(shown.data, key, shown.size) == 0) {
        leat_http_next(next);
        return;
    }
    leat_http_add_field(response, "WWW-Authenticate", "Bearer");
    leat_http_reply_error(response, 401);
}

/* ---- Handlers -------------------------------------------------------------------------------- */

static void list(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    leat_http_reply_json(response, 200, json_pack("[ss]", "Metropolis", "Nosferatu"));
}

/* The route's deadline cancels it: the sleep ends early, and there is nothing to reply with. */
static void late(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    if (leat_sleep_ms(60 * 1000) == 0)
        leat_http_reply_text(response, 200, "at last\n");
}

static void delete (struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    leat_http_reply_text(response, 200, "%s is gone\n", leat_http_param(request, "id"));
}

int main(int argc, char **argv)
{
    struct leat_http_router *router = leat_http_router_create();
    leat_http_use(router, number, NULL);

    struct leat_http_router *api = leat_http_group(router, "/api");
    leat_http_use(api, measure, NULL);
    leat_http_get(api, "/films", list, NULL);
    leat_http_route(
        api, &(struct leat_http_route){
                 .method = "GET", .pattern = "/films/late", .handler = late, .deadline_ms = 300});

    struct leat_http_router *admin = leat_http_group(api, "/admin"); /* timed, too */
    leat_http_use(admin, guard, "Bearer sesame");
    leat_http_delete(admin, "/films/{id}", delete, NULL);

    const struct leat_http_run_options options = {
        .http.on_error = leat_http_error_as_problem,
        .on_listening = leat_http_announce,
    };
    const int error = leat_http_run(router, argc > 1 ? argv[1] : NULL, &options);
    if (error)
        fprintf(stderr, "middleware: %s\n", leat_error_text(error));
    leat_http_router_destroy(router);
    return error ? 1 : 0;
}
