/* SPDX-License-Identifier: MIT */
/*
 * Replying with files, and with contents that are made: what exists, what the client has already,
 * which part it wants (RFC 9110, sections 13 and 14), as a table. On a simulated disk: cold files,
 * small and large ones, files that change while they are sent.
 */
#include "leat/fiber.h"
#include "leat/file.h"
#include "net/file.h"
#include "wire/date.h"
#include "wire/range.h"
#include "world.h"

enum { SIZE = 1000, LARGE_SIZE = 3 * 1024 * 1024 };

#define MTIME "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"
#define MTIME_NS (INT64_C(784111777) * LEAT_NS_PER_S + 5)
#define ETAG "\"ae1b981bc490a05-3e8\"" /* its nanoseconds and its size, in hex */

/* The same bytes from a file, and made of pieces of several kinds. */
static const char *const targets[] = {"/file", "/file?made", "/file?memory"};
enum { TARGETS = sizeof targets / sizeof *targets };

static void reply_made(struct leat_http_request *request, struct leat_http_response *response,
                       struct leat_root *root, bool is_memory)
{
    static char bytes[SIZE];
    struct leat_file *file;
    assert_int_equal(leat_file_open(root, "file", LEAT_FOREVER, &file), 0);
    sim_content(1, 0, bytes, SIZE);
    const struct leat_vector vectors[] = {
        {.data = bytes, .size = 1},
        {.file = file, .offset = 1, .size = 4},
        {.size = 0},
        {.data = bytes + 5, .size = 495},
        {.file = file, .offset = 500, .size = 0},
        {.file = file, .offset = 500, .size = 499},
        {.data = bytes + 999, .size = 1},
    };
    const struct leat_vector one = {.data = bytes, .size = SIZE};
    const struct leat_http_content content = {
        .media_type = "application/octet-stream",
        .etag = "ae1b981bc490a05-3e8",
        .mtime_ns = leat_file_info(file)->mtime_ns,
        .vectors = is_memory ? &one : vectors,
        .count = is_memory ? 1 : sizeof vectors / sizeof *vectors,
    };
    assert_int_equal(leat_http_reply_content(request, response, &content), 0);
    leat_file_unref(file);
}

static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    const struct world *world = user;
    char path[FILE_PATH_MAX];
    bool is_directory;
    const int status = leat_http_local_path(request, path, sizeof path, &is_directory);
    if (slice_equal(leat_http_query(request), SLICE("full"))) {
        char filler[101];
        memset(filler, 'f', sizeof filler - 1);
        for (size_t size = sizeof filler - 1; size > 0;) {
            filler[size] = '\0';
            size -= leat_http_add_field(response, "X", filler) != 0;
        }
    }
    const struct leat_slice query = leat_http_query(request);
    if (slice_equal(query, SLICE("made")) || slice_equal(query, SLICE("memory"))) {
        reply_made(request, response, world->root, query.size > 4);
        return;
    }
    if (slice_equal(query, SLICE("twice")) || slice_equal(query, SLICE("twice,error"))) {
        assert_int_equal(leat_http_add_field(response, "X-Before", "1"), 0);
        assert_int_equal(leat_http_reply_file(request, response, world->root, "large.mp4"), 0);
        assert_int_equal(leat_http_add_field(response, "X-Between", "2"), 0);
        if (query.size > 5) {
            (void)leat_http_reply_error(response, 403);
            return;
        }
    }
    if (status)
        (void)leat_http_reply_error(response, status);
    else if (leat_http_reply_file(request, response, world->root, path) == -EISDIR)
        (void)leat_http_reply(response, 200, "text/plain", "folder", 6);
}

static void start(struct world *world)
{
    world_init(world, SIM_CALM, 1);
    assert_int_equal(sim_file_add(world->sim, "root/file", 1, SIZE), 0);
    assert_int_equal(sim_file_touch(world->sim, "root/file", MTIME_NS), 0);
    assert_int_equal(sim_file_add(world->sim, "root/large.mp4", 2, LARGE_SIZE), 0);
    assert_int_equal(sim_file_add(world->sim, "root/empty", 3, 0), 0);
    assert_int_equal(sim_directory_add(world->sim, "root/folder"), 0);
    assert_int_equal(sim_file_add(world->sim, "secret", 4, SIZE), 0);
    assert_int_equal(sim_symlink_add(world->sim, "root/outside", "../secret"), 0);
    assert_int_equal(sim_symlink_add(world->sim, "root/inside", "file"), 0);
    assert_int_equal(leat_root_open("root", &world->root), 0);
    const struct leat_http_options options = {.handler = handler, .user = world};
    world_serve(world, &options);
}

/* A request on a connection of its own; the answer's slices are valid until client_close. */
static void ask(struct world *world, struct client *client, const char *method, const char *target,
                const char *fields, struct answer *ret_answer)
{
    static char text[2048];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: mill\r\n%s\r\n", method, target, fields);
    client_open(client, world);
    client_say(client, text);
    for (unsigned tries = 0; !client_peek(client, strcmp(method, "HEAD") == 0, ret_answer);
         tries++) {
        assert_true(tries < 100);
        turns(world, 10);
    }
}

static bool has_field(const struct answer *answer, const char *name, const char *value)
{
    const struct leat_slice wanted = slice_from_text(name);
    for (unsigned line = 0; line < answer->response.head.line_count; line++) {
        const struct http1_line *found = &answer->response.head.lines[line];
        if (slice_equal_nocase(found->name, wanted))
            return value && slice_equal(found->value, slice_from_text(value));
    }
    return !value;
}

/* ---- Conditions ------------------------------------------------------------------------------ */

static void conditions_are_met_or_not(void **state)
{
    static const struct {
        const char *fields;
        int status; /* of GET; HEAD has no ranges */
    } cases[] = {
        {"", 200},
        /* If-None-Match: weak comparison, a list, any */
        {"If-None-Match: " ETAG "\r\n", 304},
        {"If-None-Match: W/" ETAG "\r\n", 304},
        {"If-None-Match: *\r\n", 304},
        {"If-None-Match: \"a\", \"b\" , " ETAG "\r\n", 304},
        {"If-None-Match: \"a\"\r\nIf-None-Match: " ETAG "\r\n", 304},
        {"If-None-Match: \"a\"\r\n", 200},
        {"If-None-Match: ae1b981bc490a05-3e8\r\n", 200},
        {"If-None-Match:\r\n", 200},
        /* If-Modified-Since: to the second; what is no date does not count */
        {"If-Modified-Since: " MTIME "\r\n", 304},
        {"If-Modified-Since: " AFTER "\r\n", 304},
        {"If-Modified-Since: " BEFORE "\r\n", 200},
        {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304},
        {"If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", 304},
        {"If-Modified-Since: 784111777\r\n", 200},
        {"If-Modified-Since:\r\n", 200},
        {"If-Modified-Since: " MTIME "\r\nIf-Modified-Since: " MTIME "\r\n", 200},
        /* with both the tag decides (section 13.2.2) */
        {"If-None-Match: \"a\"\r\nIf-Modified-Since: " AFTER "\r\n", 200},
        {"If-None-Match: " ETAG "\r\nIf-Modified-Since: " BEFORE "\r\n", 304},
        /* If-Match: strong comparison; If-Unmodified-Since only without it */
        {"If-Match: " ETAG "\r\n", 200},
        {"If-Match: *\r\n", 200},
        {"If-Match: \"a\", " ETAG "\r\n", 200},
        {"If-Match: \"a\"\r\nIf-Match: " ETAG "\r\n", 200},
        {"If-Match: \"a\"\r\n", 412},
        {"If-Match: W/" ETAG "\r\n", 412},
        {"If-Unmodified-Since: " MTIME "\r\n", 200},
        {"If-Unmodified-Since: " AFTER "\r\n", 200},
        {"If-Unmodified-Since: " BEFORE "\r\n", 412},
        {"If-Unmodified-Since: before\r\n", 200},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-Unmodified-Since: " BEFORE "\r\n", 200},
        {"If-Match: " ETAG "\r\nIf-Unmodified-Since: " BEFORE "\r\n", 200},
        /* section 13.2.2: steps 1 and 2, then 3 and 4, whatever the others' fields say */
        {"If-Match: " ETAG "\r\nIf-Modified-Since: " MTIME "\r\n", 304},
        {"If-Match: " ETAG "\r\nIf-Modified-Since: " BEFORE "\r\n", 200},
        {"If-Match: \"a\"\r\nIf-Modified-Since: " MTIME "\r\n", 412},
        {"If-Match: \"a\"\r\nIf-Unmodified-Since: " AFTER "\r\n", 412},
        {"If-Unmodified-Since: " MTIME "\r\nIf-None-Match: " ETAG "\r\n", 304},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: " ETAG "\r\n", 412},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: \"a\"\r\n", 412},
        {"If-Unmodified-Since: " AFTER "\r\nIf-Modified-Since: " AFTER "\r\n", 304},
        {"If-Unmodified-Since: " AFTER "\r\nIf-Modified-Since: " BEFORE "\r\n", 200},
        {"If-Match:\r\nIf-Unmodified-Since: " AFTER "\r\n", 412},
        {"If-Match: \"a\"\r\nIf-None-Match: " ETAG "\r\n", 412},
        {"If-Match: " ETAG "\r\nIf-None-Match: " ETAG "\r\n", 304},
        /* conditions come before ranges */
        {"Range: bytes=0-9\r\nIf-None-Match: " ETAG "\r\n", 304},
        {"Range: bytes=0-9\r\nIf-None-Match: \"a\"\r\n", 206},
        {"Range: bytes=5000-\r\nIf-None-Match: " ETAG "\r\n", 304},
        {"Range: bytes=0-9\r\nIf-Match: \"a\"\r\n", 412},
        /* If-Range: strong comparison of a tag, or exactly this date */
        {"Range: bytes=0-9\r\nIf-Range: " ETAG "\r\n", 206},
        {"Range: bytes=0-9\r\nIf-Range: W/" ETAG "\r\n", 200},
        {"Range: bytes=0-9\r\nIf-Range: \"a\"\r\n", 200},
        {"Range: bytes=0-9\r\nIf-Range: *\r\n", 200},
        {"Range: bytes=0-9\r\nIf-Range: " MTIME "\r\n", 206},
        {"Range: bytes=0-9\r\nIf-Range: " AFTER "\r\n", 200},
        {"Range: bytes=0-9\r\nIf-Range: " BEFORE "\r\n", 200},
        {"Range: bytes=0-9\r\nIf-Range:\r\n", 200},
        {"Range: bytes=5000-\r\nIf-Range: \"a\"\r\n", 200},
        {"Range: bytes=0-9\r\nIf-Range: \"a\"\r\nIf-None-Match: " ETAG "\r\n", 304},
        {"Range: bytes=0-9\r\nIf-Range: \"a\"\r\nIf-Match: " ETAG "\r\n", 200},
        {"Range: bytes=0-9\r\nIf-Range: " ETAG "\r\nIf-Match: " ETAG "\r\n", 206},
        {"If-Range: \"a\"\r\n", 200},
        /* what is no list says nothing twice */
        {"Range: bytes=0-9\r\nRange: bytes=0-9\r\n", 200},
        {"Range: bytes=0-9\r\nIf-Range: " ETAG "\r\nIf-Range: " ETAG "\r\n", 200},
    };
    struct world world;
    start(&world);
    for (size_t index = 0; index < TARGETS * sizeof cases / sizeof *cases; index++) {
        for (unsigned is_head = 0; is_head < 2; is_head++) {
            const char *fields = cases[index / TARGETS].fields;
            const char *target = targets[index % TARGETS];
            struct client client;
            struct answer answer;
            int status = cases[index / TARGETS].status;
            if (is_head && status == 206)
                status = 200;
            ask(&world, &client, is_head ? "HEAD" : "GET", target, fields, &answer);
            if (answer.response.status != status)
                fail_msg("%s, %s: %d, not %d", target, fields, answer.response.status, status);
            assert_true(has_field(&answer, "ETag", ETAG));
            assert_true(has_field(&answer, "Last-Modified", MTIME));
            assert_true(status != 304 || has_field(&answer, "Content-Length", NULL));
            client_close(&client);
        }
    }
    world_fini(&world);
}

/* A date is no later than the response's own, and of this second it is no strong validator (RFC
 * 9110, sections 8.8.2.1 and 8.8.2.2). */
static void a_date_in_the_future_is_not_sent(void **state)
{
    struct world world;
    start(&world);
    const struct backend_sys *sys = world.loop->sys;
    const int64_t soon_ns = sys->wall_ns(sys) / LEAT_NS_PER_S * LEAT_NS_PER_S + LEAT_NS_PER_S;
    assert_int_equal(sim_file_touch(world.sim, "root/file", soon_ns), 0);
    for (unsigned second = 0; second < 3; second++) {
        struct client client;
        struct answer answer;
        ask(&world, &client, "GET", "/file", "", &answer);
        assert_int_equal(answer.response.status, 200);
        assert_true(has_field(&answer, "Last-Modified", NULL) == (second == 0));
        assert_false(has_field(&answer, "ETag", NULL));
        client_close(&client);
        if (second > 0) {
            char date[DATE_SIZE + 1] = {0}, fields[128];
            date_format(soon_ns / LEAT_NS_PER_S, date);
            snprintf(fields, sizeof fields, "Range: bytes=0-9\r\nIf-Range: %s\r\n", date);
            ask(&world, &client, "GET", "/file", fields, &answer);
            assert_int_equal(answer.response.status, second == 1 ? 200 : 206);
            client_close(&client);
        }
        while (sys->wall_ns(sys) < soon_ns + second * LEAT_NS_PER_S)
            turns(&world, 10);
    }
    world_fini(&world);
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

static void a_range_is_what_was_asked_for(void **state)
{
    static const struct {
        const char *wish;
        int status;
        unsigned first, size;
        const char *content_range;
    } cases[] = {
        {"bytes=0-0", 206, 0, 1, "bytes 0-0/1000"},
        {"bytes=999-", 206, 999, 1, "bytes 999-999/1000"},
        {"bytes=-1000", 206, 0, 1000, "bytes 0-999/1000"},
        {"bytes=-7", 206, 993, 7, "bytes 993-999/1000"},
        {"bytes=100-5000", 206, 100, 900, "bytes 100-999/1000"},
        {"bytes=1000-", 416, 0, 0, "bytes */1000"},
        {"bytes=-0", 416, 0, 0, "bytes */1000"},
        {"bytes=0-1,2-3", 206, 0, 4, "bytes 0-3/1000"}, /* one part needs no multipart */
        {"bytes=5-6,2000-", 206, 5, 2, "bytes 5-6/1000"},
        {"bytes=1000-,2000-", 416, 0, 0, "bytes */1000"},
        {"bytes=0-1,500-501,x", 200, 0, 1000, NULL},
        {"bytes=2-1", 200, 0, 1000, NULL},
        {"lines=0-1", 200, 0, 1000, NULL},
    };
    struct world world;
    start(&world);
    for (size_t index = 0; index < TARGETS * sizeof cases / sizeof *cases; index++) {
        const unsigned first = cases[index / TARGETS].first, size = cases[index / TARGETS].size;
        struct client client;
        struct answer answer;
        char fields[100];
        snprintf(fields, sizeof fields, "Range: %s\r\n", cases[index / TARGETS].wish);
        ask(&world, &client, "GET", targets[index % TARGETS], fields, &answer);
        assert_int_equal(answer.response.status, cases[index / TARGETS].status);
        assert_true(has_field(&answer, "Content-Range", cases[index / TARGETS].content_range));
        if (size > 0) {
            assert_int_equal(answer.body.size, size);
            assert_true(sim_content_equal(1, first, answer.body.data, size));
        }
        client_close(&client);
    }
    world_fini(&world);
}

/* ---- Several ranges -------------------------------------------------------------------------- */

static struct leat_slice field_of(const struct answer *answer, const char *name)
{
    for (unsigned line = 0; line < answer->response.head.line_count; line++)
        if (slice_equal_nocase(answer->response.head.lines[line].name, slice_from_text(name)))
            return answer->response.head.lines[line].value;
    return slice_of(NULL, 0);
}

/* Takes the text off the front. */
static void expect_text(struct leat_slice *body, const char *text)
{
    if (!slice_starts_with(*body, slice_from_text(text)))
        fail_msg("not '%s' but '%.*s'", text, (int)strlen(text), body->data);
    *body = slice_after(*body, strlen(text));
}

/* The answer is multipart/byteranges of these parts, and nothing else. */
static void check_parts(const struct answer *answer, const char *media_type, uint64_t content,
                        uint64_t size, const struct range *parts, unsigned count)
{
    static const char type[] = "multipart/byteranges; boundary=";
    struct leat_slice boundary = field_of(answer, "Content-Type"), body = answer->body;
    char text[300];
    assert_int_equal(answer->response.status, 206);
    expect_text(&boundary, type);
    assert_true(boundary.size > 8 && boundary.size <= 70); /* RFC 2046, section 5.1.1 */
    assert_true(has_field(answer, "Content-Range", NULL)); /* RFC 9110, section 15.3.7.2 */
    for (unsigned index = 0; index < count; index++) {
        const uint64_t first = parts[index].first, last = parts[index].last;
        snprintf(text, sizeof text,
                 "%s--%.*s\r\nContent-Type: %s\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
                 index ? "\r\n" : "", (int)boundary.size, boundary.data, media_type,
                 (unsigned long long)first, (unsigned long long)last, (unsigned long long)size);
        expect_text(&body, text);
        assert_true(body.size > last - first);
        assert_true(sim_content_equal(content, first, body.data, last - first + 1));
        body = slice_after(body, last - first + 1);
    }
    snprintf(text, sizeof text, "\r\n--%.*s--\r\n", (int)boundary.size, boundary.data);
    expect_text(&body, text);
    assert_int_equal(body.size, 0);
}

static void several_ranges_are_parts(void **state)
{
    static const struct {
        const char *fields;
        unsigned count;
        struct range parts[RANGE_PARTS_MAX];
    } cases[] = {
        {"Range: bytes=0-0,999-999\r\n", 2, {{0, 0}, {999, 999}}},
        {"Range: bytes=-10,0-9,200-299\r\n", 3, {{990, 999}, {0, 9}, {200, 299}}},
        {"Range: bytes=400-600,0-99\r\n", 2, {{400, 600}, {0, 99}}},
        {"Range: bytes=0-9,5000-,-1\r\n", 2, {{0, 9}, {999, 999}}},
        {"Range: bytes=0-9,-1\r\nIf-Range: " ETAG "\r\n", 2, {{0, 9}, {999, 999}}},
        {"Range: bytes=0-9,-1\r\nIf-Range: " MTIME "\r\n", 2, {{0, 9}, {999, 999}}},
        {"Range: bytes=0-9,-1\r\nIf-Range: " BEFORE "\r\n", 0, {{0}}},
        {"Range: bytes=0-9,-1\r\nIf-Range: \"a\"\r\n", 0, {{0}}},
    };
    struct world world;
    start(&world);
    for (size_t index = 0; index < TARGETS * sizeof cases / sizeof *cases; index++) {
        const char *target = targets[index % TARGETS], *fields = cases[index / TARGETS].fields;
        const unsigned count = cases[index / TARGETS].count;
        struct client client;
        struct answer answer;
        ask(&world, &client, "GET", target, fields, &answer);
        assert_true(has_field(&answer, "ETag", ETAG));
        if (count > 0)
            check_parts(&answer, "application/octet-stream", 1, SIZE, cases[index / TARGETS].parts,
                        count);
        else
            assert_int_equal(answer.response.status, 200);
        client_close(&client);
        ask(&world, &client, "HEAD", target, fields, &answer);
        assert_int_equal(answer.response.status, 200); /* HEAD has no ranges */
        assert_int_equal(answer.response.head.content_length, SIZE);
        client_close(&client);
    }
    world_fini(&world);
}

/* As many as there may be, each so large that it goes by sendfile; warm and cold. */
static void many_parts_of_a_large_file(void **state)
{
    char fields[1024];
    struct range parts[RANGE_PARTS_MAX];
    int end = snprintf(fields, sizeof fields, "Range: bytes=");
    for (unsigned index = 0; index < RANGE_PARTS_MAX; index++) {
        const uint64_t first = (uint64_t)(index * 7 % RANGE_PARTS_MAX) * 190000;
        parts[index] = (struct range){first, first + 9000 * index + 10};
        end +=
            snprintf(fields + end, sizeof fields - (size_t)end, "%s%llu-%llu", index ? "," : "",
                     (unsigned long long)parts[index].first, (unsigned long long)parts[index].last);
    }
    snprintf(fields + end, sizeof fields - (size_t)end, "\r\n");
    struct world world;
    start(&world);
    for (unsigned is_cold = 0; is_cold < 2; is_cold++) {
        struct client client;
        struct answer answer;
        if (is_cold)
            assert_int_equal(sim_file_cool(world.sim, "root/large.mp4"), 0);
        turns(&world, 2 * FILE_FRESH_MS);
        ask(&world, &client, "GET", "/large.mp4", fields, &answer);
        check_parts(&answer, "video/mp4", 2, LARGE_SIZE, parts, RANGE_PARTS_MAX);
        client_close(&client);
    }
    /* One more is one too many: then it is the whole (RFC 9110, section 14.2). */
    struct client client;
    struct answer answer;
    snprintf(fields + end, sizeof fields - (size_t)end, ",1-1\r\n");
    ask(&world, &client, "GET", "/large.mp4", fields, &answer);
    assert_int_equal(answer.response.status, 200);
    assert_int_equal(answer.body.size, LARGE_SIZE);
    client_close(&client);
    world_fini(&world);
}

/* What is promised and then missing is not made up, in the last part neither. */
static void parts_of_a_file_that_shrinks(void **state)
{
    struct world world;
    struct client client;
    start(&world);
    client_open(&client, &world);
    client.is_deaf = true;
    client_say(&client, "GET /large.mp4 HTTP/1.1\r\nHost: a\r\n"
                        "Range: bytes=0-1999999,2500000-2500009\r\n\r\n");
    turns(&world, 20);
    assert_int_equal(sim_file_resize(world.sim, "root/large.mp4", 2400000), 0);
    client.is_deaf = false;
    client_receive(&client);
    turns(&world, 500);
    struct http1_response response;
    const int size =
        http1_parse_response(slice_of(client.inbox, client.inbox_size), 0, NULL, &response);
    assert_true(size > 0 && response.status == 206);
    assert_true(client.inbox_size - (size_t)size < response.head.content_length);
    assert_true(client.inbox_size - (size_t)size > 2000000);
    assert_true(client.has_ended);
    client_close(&client);
    world_fini(&world);
}

/* ---- Large, cold, full ----------------------------------------------------------------------- */

/* Inline or by sendfile, warm or cold, whole or in part: the same bytes. */
static void large_files_arrive_whole(void **state)
{
    static const struct {
        const char *fields;
        uint64_t first, size;
    } cases[] = {
        {"", 0, LARGE_SIZE},
        {"Range: bytes=0-4095\r\n", 0, 4096},
        {"Range: bytes=0-4096\r\n", 0, 4097},
        {"Range: bytes=1048575-1048576\r\n", 1048575, 2},
        {"Range: bytes=1000000-2999999\r\n", 1000000, 2000000},
    };
    struct world world;
    start(&world);
    for (unsigned is_cold = 0; is_cold < 2; is_cold++) {
        for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
            struct client client;
            struct answer answer;
            if (is_cold)
                assert_int_equal(sim_file_cool(world.sim, "root/large.mp4"), 0);
            turns(&world, 2 * FILE_FRESH_MS);
            ask(&world, &client, "GET", "/large.mp4", cases[index].fields, &answer);
            assert_true(has_field(&answer, "Content-Type", "video/mp4"));
            assert_int_equal(answer.body.size, cases[index].size);
            assert_true(
                sim_content_equal(2, cases[index].first, answer.body.data, answer.body.size));
            client_close(&client);
        }
    }
    world_fini(&world);
}

/* Room is kept for what is said of a file: a 206 without Content-Range would be a lie. */
static void a_full_head_makes_no_wrong_answer(void **state)
{
    struct world world;
    struct client client;
    struct answer answer;
    start(&world);
    ask(&world, &client, "GET", "/file?full", "Range: bytes=5-9\r\n", &answer);
    assert_int_equal(answer.response.status, 206);
    assert_true(has_field(&answer, "Content-Range", "bytes 5-9/1000"));
    client_close(&client);
    ask(&world, &client, "GET", "/file?full", "Range: bytes=0-1,900-901\r\n", &answer);
    check_parts(&answer, "application/octet-stream", 1, SIZE,
                (const struct range[]){{0, 1}, {900, 901}}, 2);
    client_close(&client);
    world_fini(&world);
}

/* What one reply says of its file is not said of the next. */
static void the_last_file_counts(void **state)
{
    static const struct {
        const char *target, *fields;
        int status;
        const char *etag, *content_range;
    } cases[] = {
        {"/file?twice", "", 200, ETAG, NULL},
        {"/file?twice", "Range: bytes=5-9\r\n", 206, ETAG, "bytes 5-9/1000"},
        {"/file?twice", "Range: bytes=5000-\r\n", 416, ETAG, "bytes */1000"},
        {"/file?twice", "If-None-Match: " ETAG "\r\n", 304, ETAG, NULL},
        {"/file?twice", "If-Match: \"a\"\r\n", 412, ETAG, NULL},
        {"/missing?twice", "Range: bytes=5-9\r\n", 404, NULL, NULL},
        {"/file?twice,error", "Range: bytes=5-9\r\n", 403, NULL, NULL},
    };
    struct world world;
    start(&world);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct client client;
        struct answer answer;
        ask(&world, &client, "GET", cases[index].target, cases[index].fields, &answer);
        assert_int_equal(answer.response.status, cases[index].status);
        assert_true(has_field(&answer, "ETag", cases[index].etag));
        assert_true(has_field(&answer, "Last-Modified", cases[index].etag ? MTIME : NULL));
        assert_true(has_field(&answer, "Content-Range", cases[index].content_range));
        assert_true(has_field(&answer, "X-Before", "1"));
        assert_true(has_field(&answer, "X-Between", "2"));
        unsigned tags = 0;
        for (unsigned line = 0; line < answer.response.head.line_count; line++)
            tags += answer.response.head.lines[line].field == HTTP1_FIELD_ETAG;
        assert_int_equal(tags, cases[index].etag != NULL);
        client_close(&client);
    }
    world_fini(&world);
}

static void reply_with_page(struct leat_http_request *request, struct leat_http_response *response,
                            int status, void *user)
{
    const struct world *world = user;
    if (status != 412) /* which stays without a body then */
        assert_int_equal(leat_http_reply_file(request, response, world->root, "inside"), 0);
    assert_int_equal(leat_http_add_field(response, "X-Error", "seen"), 0);
}

/* An error's reply may be a file itself: then that is what is told of. */
static void an_error_page_is_a_file(void **state)
{
    static const struct {
        const char *target, *fields;
        unsigned tags;
    } cases[] = {
        {"/missing?twice", "", 1},
        {"/file", "Range: bytes=5000-\r\n", 1},
        {"/file?twice", "If-Match: \"a\"\r\n", 1},
    };
    struct world world;
    world_init(&world, SIM_CALM, 1);
    assert_int_equal(sim_file_add(world.sim, "root/file", 1, SIZE), 0);
    assert_int_equal(sim_file_add(world.sim, "root/large.mp4", 2, LARGE_SIZE), 0);
    assert_int_equal(sim_file_add(world.sim, "root/inside", 3, 10), 0);
    assert_int_equal(leat_root_open("root", &world.root), 0);
    world_serve(&world, &(struct leat_http_options){.handler = handler,
                                                    .user = &world,
                                                    .on_error = reply_with_page,
                                                    .on_error_user = &world});
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct client client;
        struct answer answer;
        ask(&world, &client, "GET", cases[index].target, cases[index].fields, &answer);
        unsigned tags = 0;
        for (unsigned line = 0; line < answer.response.head.line_count; line++)
            tags += answer.response.head.lines[line].field == HTTP1_FIELD_ETAG;
        assert_int_equal(tags, cases[index].tags);
        assert_true(has_field(&answer, "X-Error", "seen"));
        client_close(&client);
    }
    world_fini(&world);
}

/* ---- What there is --------------------------------------------------------------------------- */

static void what_can_not_be_served_has_its_status(void **state)
{
    static const struct {
        const char *method, *target;
        int status;
    } cases[] = {
        {"GET", "/file", 200},    {"GET", "/inside", 200},     {"GET", "/folder/../file", 200},
        {"GET", "/empty", 200},   {"GET", "/missing", 404},    {"GET", "/file/below", 404},
        {"GET", "/outside", 404}, {"GET", "/../secret", 404},  {"GET", "/%00", 400},
        {"GET", "/%", 400},       {"GET", "/folder", 200},     {"HEAD", "/missing", 404},
        {"POST", "/file", 405},   {"DELETE", "/missing", 405}, {"OPTIONS", "/file", 405},
    };
    struct world world;
    start(&world);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct client client;
        struct answer answer;
        ask(&world, &client, cases[index].method, cases[index].target, "", &answer);
        assert_int_equal(answer.response.status, cases[index].status);
        assert_true(has_field(&answer, "Allow", cases[index].status == 405 ? "GET, HEAD" : NULL));
        client_close(&client);
    }
    world_fini(&world);
}

static void paths_longer_than_any_file_are_not_there(void **state)
{
    struct world world;
    struct client client;
    struct answer answer;
    char target[FILE_PATH_MAX + 100] = "/";
    memset(target + 1, 'a', sizeof target - 2);
    target[sizeof target - 1] = '\0';
    start(&world);
    ask(&world, &client, "GET", target, "", &answer);
    assert_int_equal(answer.response.status, 404);
    client_close(&client);
    world_fini(&world);
}

/* What is promised and then missing ends the connection: bytes are never made up. */
static void a_file_that_shrinks_is_never_padded(void **state)
{
    static const uint64_t sizes[] = {0, 1, 4096, 100000, 1048576, 2000001};
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        struct world world;
        struct client client;
        start(&world);
        client_open(&client, &world);
        client.is_deaf = true;
        client_say(&client, "GET /large.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
        turns(&world, 20);
        assert_int_equal(sim_file_resize(world.sim, "root/large.mp4", sizes[index]), 0);
        client.is_deaf = false;
        client_receive(&client);
        turns(&world, 500);
        struct http1_response response;
        const int size =
            http1_parse_response(slice_of(client.inbox, client.inbox_size), 0, NULL, &response);
        assert_true(size > 0);
        assert_int_equal(response.head.content_length, LARGE_SIZE);
        const size_t body = client.inbox_size - (size_t)size;
        assert_true(body < LARGE_SIZE);
        assert_true(sim_content_equal(2, 0, client.inbox + size, body));
        assert_true(client.has_ended);
        client_close(&client);
        world_fini(&world);
    }
}

static void a_small_file_that_shrank_is_never_padded(void **state)
{
    struct world world;
    struct client client;
    struct answer answer;
    start(&world);
    ask(&world, &client, "GET", "/file", "", &answer); /* now it is in the cache */
    client_close(&client);
    assert_int_equal(sim_file_resize(world.sim, "root/file", 10), 0);
    client_open(&client, &world);
    client_say(&client, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    turns(&world, 500);
    assert_true(client.has_ended);
    struct http1_response response;
    const int size =
        http1_parse_response(slice_of(client.inbox, client.inbox_size), 0, NULL, &response);
    assert_true(size >= 0); /* nothing at all is right, too */
    assert_true(size == 0 || client.inbox_size - (size_t)size <= 10);
    client_close(&client);
    world_fini(&world);
}

/* The send timeout is for clients that do not read. */
static void who_waits_for_our_disk_is_not_late(void **state)
{
    struct sim_profile slow_disk = *SIM_CALM;
    slow_disk.disk_latency_us = 200 * 1000;
    struct world world;
    struct client client;
    struct answer answer;
    world_init(&world, &slow_disk, 1);
    assert_int_equal(sim_file_add(world.sim, "root/large.mp4", 2, LARGE_SIZE), 0);
    assert_int_equal(sim_file_cool(world.sim, "root/large.mp4"), 0);
    assert_int_equal(leat_root_open("root", &world.root), 0);
    const struct leat_http_options options = {
        .handler = handler, .user = &world, .send_timeout_ms = 50};
    world_serve(&world, &options);
    client_open(&client, &world);
    client_say(&client, "GET /large.mp4 HTTP/1.1\r\nHost: mill\r\n\r\n");
    turns(&world, 60 * 1000);
    assert_true(client_peek(&client, false, &answer));
    assert_int_equal(answer.response.status, 200);
    assert_int_equal(answer.body.size, LARGE_SIZE);
    client_close(&client);
    world_fini(&world);
}

static void a_changed_file_is_seen_after_a_second(void **state)
{
    struct world world;
    struct client client;
    struct answer answer;
    start(&world);
    ask(&world, &client, "GET", "/file", "", &answer);
    assert_true(has_field(&answer, "ETag", ETAG));
    client_close(&client);
    assert_int_equal(sim_file_touch(world.sim, "root/file", MTIME_NS + 1), 0);
    turns(&world, FILE_FRESH_MS + 1);
    ask(&world, &client, "GET", "/file", "If-None-Match: " ETAG "\r\n", &answer);
    assert_int_equal(answer.response.status, 200);
    assert_true(has_field(&answer, "ETag", "\"ae1b981bc490a06-3e8\""));
    client_close(&client);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_met_or_not),
        cmocka_unit_test(a_date_in_the_future_is_not_sent),
        cmocka_unit_test(a_range_is_what_was_asked_for),
        cmocka_unit_test(several_ranges_are_parts),
        cmocka_unit_test(many_parts_of_a_large_file),
        cmocka_unit_test(parts_of_a_file_that_shrinks),
        cmocka_unit_test(large_files_arrive_whole),
        cmocka_unit_test(a_full_head_makes_no_wrong_answer),
        cmocka_unit_test(the_last_file_counts),
        cmocka_unit_test(an_error_page_is_a_file),
        cmocka_unit_test(what_can_not_be_served_has_its_status),
        cmocka_unit_test(paths_longer_than_any_file_are_not_there),
        cmocka_unit_test(a_file_that_shrinks_is_never_padded),
        cmocka_unit_test(a_small_file_that_shrank_is_never_padded),
        cmocka_unit_test(who_waits_for_our_disk_is_not_late),
        cmocka_unit_test(a_changed_file_is_seen_after_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
