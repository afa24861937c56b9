/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server: handlers that reply with memory and files, sleep, park, ask the pool, or forget
 * to reply; visitors of every kind; files that change; and a server that is closed in the middle of
 * it or after all have gone. What each visitor gets is held against a model (visitor.c); here: that
 * the server ends when it should, and leaves nothing behind.
 */
#include <stdio.h>

#include "fiber/fiber.h"
#include "leat/error.h"
#include "leat/http.h"
#include "net/file.h"
#include "talker.h"
#include "visitor.h"

enum { VISITORS_MAX = 7 };

struct play {
    struct site site;
    struct leat_root *root;
    struct leat_http_server *server;
    struct leat_http_lot *lot;
    unsigned visitor_count;
    struct visitor visitors[VISITORS_MAX];
    int64_t over_ns; /* by then the server must have gone */
};

/* ---- The handler ----------------------------------------------------------------------------- */

static int job(void *arg)
{
    return *(int *)arg + 1;
}

static void add_fields(struct play *play, struct leat_http_response *response, unsigned count)
{
    for (unsigned index = 0; index < count; index++) {
        char name[16];
        snprintf(name, sizeof name, "X-%u", index);
        CHECK(play->site.run, leat_http_add_field(response, name, "something or other") == 0);
    }
    CHECK(play->site.run, leat_http_add_field(response, "X-Bad", "a\nb") == -EINVAL);
}

/* Waits without a stack, perhaps several times. */
static bool parks(struct play *play, struct leat_http_request *request,
                  struct leat_http_response *response)
{
    struct sim_run *run = play->site.run;
    if (leat_http_is_overdue(request) || draw_chance(run, 30))
        return false;
    const int error =
        leat_http_park(request, response, play->lot, leat_after_ms((int64_t)draw(run, 0, 100)));
    CHECK(run, !error || leat_http_body_size(request) > 0 || play->site.is_closing);
    return !error;
}

/* What the query asks for besides: to wait, to ask the pool, more fields, a reply that is not the
 * last. False: cancelled meanwhile. */
static bool do_extras(struct play *play, struct leat_http_response *response, const char *query)
{
    struct sim_run *run = play->site.run;
    const char *found;
    unsigned number = 0;
    if ((found = strstr(query, "w=")) && sscanf(found, "w=%u", &number) == 1 &&
        leat_sleep_ms((int64_t)number) != 0) {
        CHECK(run, leat_is_cancelled());
        return false;
    }
    if (strstr(query, "o&")) {
        int answer = 0, question = 41;
        const int error = leat_offload(job, &question, LEAT_FOREVER, &answer);
        CHECK(run, error || answer == 42);
        CHECK(run, error != -EAGAIN || run->profile->offload_full > 0);
    }
    if (strstr(query, "t&"))
        (void)leat_http_reply_error(response, 500);
    if ((found = strstr(query, "p=")) && sscanf(found, "p=%u", &number) == 1)
        CHECK(run, leat_http_set_pace(response, number) == 0);
    if ((found = strstr(query, "x=")) && sscanf(found, "x=%u", &number) == 1)
        add_fields(play, response, number);
    return true;
}

static void reply_content(struct play *play, struct leat_http_response *response, unsigned content,
                          unsigned size)
{
    char *body = malloc(size + 1);
    CHECK(play->site.run, body != NULL);
    sim_content(content, 0, body, size);
    CHECK(play->site.run, leat_http_reply(response, 200, "text/plain", body, size) == 0);
    free(body);
}

static void reply_path(struct play *play, struct leat_http_request *request,
                       struct leat_http_response *response)
{
    char path[256];
    bool is_directory;
    int status = leat_http_local_path(request, path, sizeof path, &is_directory);
    if (!status && leat_http_reply_file(request, response, play->root, path) == -EISDIR)
        status = 403;
    if (status)
        (void)leat_http_reply_error(response, status);
}

/* The file once more, as a content made of pieces of it: nobody can tell. */
static void reply_pieces(struct play *play, struct leat_http_request *request,
                         struct leat_http_response *response, const char *path)
{
    enum { PIECES_MAX = 6 };
    struct leat_vector pieces[PIECES_MAX];
    struct leat_file *file;
    char etag[LEAT_HTTP_ETAG_MAX];
    const int error = leat_file_open(play->root, path + 1, LEAT_FOREVER, &file);
    if (error) {
        (void)leat_http_reply_error(response, leat_http_status_of_file(error));
        return;
    }
    const struct leat_file_info *info = leat_file_info(file);
    if (play->site.has_ranges && draw_chance(play->site.run, 50))
        leat_file_read_ahead(file, draw(play->site.run, 0, info->size), info->size);
    const size_t count = (size_t)draw(play->site.run, 1, PIECES_MAX);
    uint64_t offset = 0;
    for (size_t index = 0; index < count; index++) {
        const uint64_t left = info->size - offset;
        const uint64_t size = index == count - 1 ? left : draw(play->site.run, 0, left);
        pieces[index] = (struct leat_vector){.file = file, .offset = offset, .size = size};
        offset += size;
    }
    snprintf(etag, sizeof etag, "%llx-%llx", (unsigned long long)info->mtime_ns,
             (unsigned long long)info->size);
    const struct leat_http_content content = {.media_type = "application/octet-stream",
                                              .etag = etag,
                                              .mtime_ns = info->mtime_ns,
                                              .vectors = pieces,
                                              .count = count};
    CHECK(play->site.run, leat_http_reply_content(request, response, &content) == 0);
    leat_file_unref(file);
}

/* Which request of its connection this is; the memory must be what it was. */
static void count_request(struct play *play, struct leat_http_request *request)
{
    struct {
        uint64_t count, check;
    } *memory = leat_http_connection_memory(request, sizeof *memory);
    CHECK(play->site.run, memory && memory->check == memory->count * 7);
    memory->check = ++memory->count * 7;
}

static void handle(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    static char all[SITE_STATIC_SIZE];
    static bool is_filled;
    struct play *play = user;
    const struct leat_slice path = leat_http_path(request), query = leat_http_query(request);
    char text[256] = {0}, extras[256] = {0};
    CHECK(play->site.run, path.size < sizeof text && query.size < sizeof extras);
    memcpy(text, path.data, path.size);
    if (query.data)
        memcpy(extras, query.data, query.size);
    if (!is_filled)
        sim_content(SITE_STATIC_CONTENT, 0, all, sizeof all);
    is_filled = true;
    if (strstr(extras, "k&") && parks(play, request, response))
        return;
    if (strstr(extras, "p="))
        count_request(play, request);
    if (!do_extras(play, response, extras))
        return;
    /* However long that took, the request is what it was. */
    CHECK(play->site.run, memcmp(leat_http_path(request).data, text, path.size) == 0);
    unsigned content, size, status;
    if (sscanf(text, "/m/%u/%u", &content, &size) == 2)
        reply_content(play, response, content, size);
    else if (sscanf(text, "/s/%u", &size) == 1)
        leat_http_reply_static(response, 200, NULL, all, size);
    else if (sscanf(text, "/e/%u", &status) == 1)
        (void)leat_http_reply_error(response, (int)status);
    else if (strstr(extras, "c&") && strchr(text, 'f') && leat_http_is_get(request))
        reply_pieces(play, request, response, text);
    else if (strcmp(text, "/n") != 0)
        reply_path(play, request, response);
}

/* ---- The play -------------------------------------------------------------------------------- */

static void change(struct sim *sim, void *user)
{
    struct play *play = user;
    shelf_change(&play->site.shelf);
}

static bool have_all_gone(const struct play *play)
{
    for (unsigned index = 0; index < play->visitor_count; index++)
        if (!play->visitors[index].is_gone)
            return false;
    return true;
}

static void start_server(struct play *play)
{
    struct site *site = &play->site;
    struct sim_run *run = site->run;
    site->head_timeout_ms = (int64_t)draw(run, 4000, 8000);
    site->idle_timeout_ms = (int64_t)draw(run, 2000, 8000);
    site->send_timeout_ms = (int64_t)draw(run, 4000, 8000);
    site->connections_max = draw_chance(run, 15) ? (unsigned)draw(run, 1, 3) : 0;
    const struct leat_http_options options = {
        .handler = handle,
        .user = play,
        .head_timeout_ms = site->head_timeout_ms,
        .idle_timeout_ms = site->idle_timeout_ms,
        .send_timeout_ms = site->send_timeout_ms,
        .connections_max = site->connections_max,
    };
    struct leat_listener *listener = listen_at(run, 0, 64);
    site->address = *leat_listener_address(listener);
    CHECK(run, leat_http_server_create(&options, &play->server) == 0);
    CHECK(run, leat_http_server_add(play->server, listener) == 0);
}

static void check_counters(const struct play *play)
{
    struct leat_http_counters counters;
    leat_http_server_counters(play->server, &counters);
    struct sim_run *run = play->site.run;
    uint64_t answered = 0, begun = 0;
    for (unsigned index = 0; index < play->visitor_count; index++) {
        answered += play->visitors[index].answered;
        begun += play->visitors[index].begun_ns > 0;
    }
    CHECK(run, counters.connections <= begun && counters.connections_now <= counters.connections);
    CHECK(run, counters.requests + counters.errors >= answered);
    CHECK(run, counters.refused == 0 || play->site.connections_max > 0);
}

/* Where the kernel lacks cachestat a part counts as being in memory when its ends are, and of a
 * cold file those may have been read for other parts: then nobody asks for parts. */
static bool may_ask_for_parts(const struct play *play)
{
    const struct sim_run *run = play->site.run;
    struct leat_file *file;
    if (run->profile->cold == 0 || run->profile->no_cachestat == 0)
        return true;
    if (leat_file_open(play->root, play->site.shelf.files[0].path, LEAT_FOREVER, &file) != 0)
        return false;
    const bool may_ask = run->sys->resident(run->sys, file->fd, 0, 1) >= 0;
    leat_file_unref(file);
    return may_ask;
}

static void http_main(void *arg)
{
    struct play *play = arg;
    struct sim_run *run = play->site.run;
    play->site.has_ranges = may_ask_for_parts(play);
    const int64_t now_ns = leat_now_ns();
    for (unsigned index = 0; index < play->visitor_count; index++) {
        const uint64_t most_ms = draw_chance(run, 20) ? 3000 : 100;
        visitor_init(&play->visitors[index], &play->site);
        visitor_begin_at(&play->visitors[index],
                         now_ns + (int64_t)draw(run, 0, most_ms) * LEAT_NS_PER_MS);
    }
    if (draw_chance(run, 60))
        for (uint64_t count = draw(run, 0, 12); count > 0; count--)
            sim_at(run->sim, now_ns + (int64_t)draw(run, 0, 3000000) * LEAT_NS_PER_US, change,
                   play);
    const int64_t close_ns = draw_chance(run, 25)
                                 ? now_ns + (int64_t)draw(run, 0, 3000000) * LEAT_NS_PER_US
                                 : LEAT_FOREVER;
    while (!have_all_gone(play) && leat_now_ns() < close_ns) {
        CHECK(run, leat_sleep_ms(20) == 0);
        leat_http_lot_wake(play->lot);
    }
    check_counters(play);
    play->site.is_closing = true;
    const int64_t grace_ns = leat_after_ms((int64_t)draw(run, 0, 3000));
    play->over_ns = grace_ns + 500 * LEAT_NS_PER_MS;
    leat_http_server_close(play->server, 0, grace_ns);
}

static unsigned find_largest(const struct shelf *shelf)
{
    unsigned largest = 0;
    for (unsigned file = 1; file < SHELF_FILES; file++)
        if (shelf_now(shelf, file)->size > shelf_now(shelf, largest)->size)
            largest = file;
    return largest;
}

static void run_http(struct sim_run *run)
{
    struct play *play = calloc(1, sizeof *play);
    CHECK(run, play != NULL);
    play->site.run = run;
    /* Large ones where there is something to them: windows that are read ahead. */
    const bool has_large = draw_chance(run, run->profile->cold > 0 ? 30 : 2);
    shelf_init(&play->site.shelf, run, has_large ? 1500000 : 100000);
    play->site.has_favourite = draw_chance(run, has_large ? 70 : 20);
    play->site.favourite = find_largest(&play->site.shelf);
    int error;
    while ((error = leat_root_open(".", &play->root)) == -EMFILE)
        CHECK(run, may_lack(run));
    CHECK(run, error == 0);
    CHECK(run, leat_http_lot_create(&play->lot) == 0);
    start_server(play);
    play->visitor_count = (unsigned)draw(run, 1, VISITORS_MAX);
    run_fiber(run, http_main, play);
    CHECK(run, sim_now_ns(run->sim) <= play->over_ns + 3 * sim_lateness_ns(run->sim));
    leat_http_lot_destroy(play->lot);
    sim_allow_blocking(run->sim, true);
    leat_root_close(play->root);
    CHECK(run, sim_open_count(run->sim) == 0);
    for (unsigned index = 0; index < play->visitor_count; index++)
        visitor_fini(&play->visitors[index]);
    free(play);
}

const struct scenario scenario_http = {"http", "the HTTP server, visitors of every kind, files",
                                       run_http};
