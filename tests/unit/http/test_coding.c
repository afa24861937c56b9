/* SPDX-License-Identifier: MIT */
/*
 * Content codings of responses: what is coded decodes to what was replied with, whatever the way it
 * was replied; what is not to be coded is not; and the head says which is the case. In a simulated
 * world (world.h).
 */
#include <stdlib.h>

#include "codec/codec.h"
#include "http/conn.h"
#include "http/server.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "wire/http1_chunked.h"
#include "world.h"

enum { TEXT_SIZE = 300 * 1000, SMALL_SIZE = 20 * 1000, PIECE_SIZE = 7000 };

static char text[TEXT_SIZE];
static char noise[TEXT_SIZE];
static struct leat_compress_policy policy; /* of the response; unset: the server's */
static int write_error;

static void make_texts(void)
{
    static const char *const words[] = {"mill ",  "water ", "wheel ", "stone ", "flour ",
                                        "river ", "and ",   "the ",   "of ",    "a sack\n"};
    uint32_t seed = 7;
    for (size_t at = 0; at < sizeof text;) {
        seed = seed * 1664525 + 1013904223;
        const char *word = words[(seed >> 16) % 10];
        for (; *word && at < sizeof text; word++)
            text[at++] = *word;
    }
    for (size_t at = 0; at < sizeof noise; at++) {
        seed = seed * 1664525 + 1013904223;
        noise[at] = (char)(seed >> 24);
    }
}

static bool is(struct leat_http_request *request, const char *path)
{
    return slice_equal(leat_http_path(request), slice_from_text(path));
}

static void write_pieces(struct leat_http_response *response, int64_t size)
{
    leat_http_begin(response, 200, "text/plain", size);
    for (size_t at = 0; at < sizeof text; at += PIECE_SIZE) {
        const size_t left = sizeof text - at;
        write_error = leat_http_write(response, text + at, left < PIECE_SIZE ? left : PIECE_SIZE,
                                      LEAT_FOREVER);
        if (write_error)
            return;
    }
}

/* What was written is there for the client although the response goes on. */
static void write_slowly(struct leat_http_response *response)
{
    leat_http_begin(response, 200, "text/plain", -1);
    assert_int_equal(leat_http_write(response, text, 2000, LEAT_FOREVER), 0);
    assert_int_equal(leat_http_flush(response, LEAT_FOREVER), 0);
    (void)leat_sleep_ms(1000);
    assert_int_equal(leat_http_write(response, text + 2000, 2000, LEAT_FOREVER), 0);
}

/* The first piece says nothing of the others. */
static void write_list(struct leat_http_response *response)
{
    leat_http_begin(response, 200, "application/json", -1);
    assert_int_equal(leat_http_write(response, text, 1, LEAT_FOREVER), 0);
    assert_int_equal(leat_http_write(response, text + 1, TEXT_SIZE - 1, LEAT_FOREVER), 0);
}

static void reply_tagged(struct leat_http_request *request, struct leat_http_response *response)
{
    const struct leat_vector vector = {.data = text, .size = SMALL_SIZE};
    const struct leat_http_content content = {.media_type = "text/plain",
                                              .etag = "v1",
                                              .mtime_ns = 784111777 * LEAT_NS_PER_S,
                                              .vectors = &vector,
                                              .count = 1};
    assert_int_equal(leat_http_reply_content(request, response, &content), 0);
    assert_int_equal(leat_http_add_field(response, "Cache-Control", "no-cache"), 0);
}

static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    /* as if the client were at the end of a slow link */
    if (!is(request, "/near"))
        assert_int_equal(leat_http_set_pace(response, 1000 * 1000), 0);
    if (policy.mode != LEAT_COMPRESS_UNSET)
        assert_int_equal(leat_http_set_compress(response, &policy), 0);
    if (is(request, "/small")) {
        leat_http_reply_static(response, 200, "text/plain", text, SMALL_SIZE);
    } else if (is(request, "/large") || is(request, "/near")) {
        leat_http_reply_static(response, 200, "text/plain", text, TEXT_SIZE);
    } else if (is(request, "/list")) {
        const struct leat_vector vectors[] = {{.data = text, .size = 1000},
                                              {.data = text + 1000, .size = TEXT_SIZE - 1000}};
        leat_http_reply_vectors(response, 200, "text/plain", vectors, 2);
    } else if (is(request, "/pieces")) {
        write_pieces(response, -1);
    } else if (is(request, "/sized")) {
        write_pieces(response, TEXT_SIZE);
    } else if (is(request, "/short")) {
        write_pieces(response, TEXT_SIZE + 1);
    } else if (is(request, "/long")) {
        write_pieces(response, TEXT_SIZE - 1);
    } else if (is(request, "/begun-small")) {
        write_list(response);
    } else if (is(request, "/slow")) {
        write_slowly(response);
    } else if (is(request, "/tagged")) {
        reply_tagged(request, response);
    } else if (is(request, "/own-tag")) {
        leat_http_add_field(response, "ETag", "\"mine\"");
        leat_http_add_field(response, "X-After", "it");
        leat_http_reply_static(response, 200, "text/plain", text, SMALL_SIZE);
    } else if (is(request, "/own-coding")) {
        leat_http_add_field(response, "content-encoding", "gzip");
        leat_http_reply_static(response, 200, "text/plain", text, SMALL_SIZE);
    } else if (is(request, "/as-it-is")) {
        leat_http_add_field(response, "Cache-Control", "public, no-transform");
        leat_http_reply_static(response, 200, "text/plain", text, SMALL_SIZE);
    } else if (is(request, "/film")) {
        leat_http_reply_static(response, 200, "video/mp4", text, SMALL_SIZE);
    } else if (is(request, "/noise")) {
        leat_http_reply_static(response, 200, "text/plain", noise, TEXT_SIZE);
    } else if (is(request, "/tiny")) {
        leat_http_reply_static(response, 200, "text/plain", text, 100);
    } else if (is(request, "/listed")) {
        leat_http_reply_static(response, 200, "application/x-mill; a=b", text, SMALL_SIZE);
    } else {
        leat_http_reply_error(response, 404);
    }
}

static void start(struct world *world, enum leat_compress_mode mode)
{
    world_init(world, SIM_CALM, 1);
    world_serve(world, &(struct leat_http_options){.handler = handler,
                                                   .compress.mode = mode,
                                                   .compress_types = "font/x, application/x-mill"});
    policy = (struct leat_compress_policy){0};
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* One answer, its framing and its coding taken off. */
struct whole {
    struct http1_response head; /* points into the client's inbox */
    struct client client;
    char *body;
    size_t size;       /* of the body, decoded; -1: it is not whole */
    size_t coded_size; /* as it came */
};

static size_t dechunk(struct leat_slice input, char *out, bool *ret_is_whole)
{
    struct http1_chunked chunked;
    struct leat_slice piece;
    size_t end = 0;
    int event;
    http1_chunked_init(&chunked);
    while ((event = http1_chunked_next(&chunked, &input, &piece)) == HTTP1_CHUNKED_DATA) {
        memcpy(out + end, piece.data, piece.size);
        end += piece.size;
    }
    *ret_is_whole = event == HTTP1_CHUNKED_END && input.size == 0;
    return end;
}

static struct leat_slice field(const struct whole *whole, const char *name)
{
    const struct http1_head *head = &whole->head.head;
    for (unsigned line = 0; line < head->line_count; line++)
        if (slice_equal_nocase(head->lines[line].name, slice_from_text(name)))
            return head->lines[line].value;
    return slice_of(NULL, 0);
}

static enum leat_codec codec_of(const struct whole *whole)
{
    const struct leat_slice coding = field(whole, "Content-Encoding");
    unsigned codec = LEAT_CODEC_NONE;
    while (coding.size > 0 && !slice_equal(coding, codec_name((enum leat_codec)codec)))
        assert_true(++codec < LEAT_CODECS);
    return (enum leat_codec)codec;
}

/* Asks, waits for so long, and decodes what has come. `lines` may be several, each with CRLF. */
static void ask_for(struct world *world, const char *head, const char *lines, int64_t wait_ms,
                    struct whole *ret_whole)
{
    char request[512];
    struct client *client = &ret_whole->client;
    snprintf(request, sizeof request, "%s\r\nHost: mill\r\n%s\r\n", head, lines);
    client_open(client, world);
    client_say(client, request);
    turns(world, wait_ms);
    const int size = http1_parse_response(slice_of(client->inbox, client->inbox_size), 0, NULL,
                                          &ret_whole->head);
    ret_whole->body = NULL;
    ret_whole->size = SIZE_MAX;
    if (size == 0) /* broken off before there was anything to send */
        return;
    assert_true(size > 0);
    const struct leat_slice rest =
        slice_of(client->inbox + size, client->inbox_size - (size_t)size);
    bool is_whole = true;
    char *coded = malloc(rest.size + 1);
    ret_whole->coded_size = rest.size;
    if (ret_whole->head.head.is_chunked && rest.size > 0)
        ret_whole->coded_size = dechunk(rest, coded, &is_whole);
    else
        memcpy(coded, rest.data, rest.size);
    if (strncmp(head, "HEAD", 4) == 0)
        assert_int_equal(rest.size, 0);
    ret_whole->body = malloc(2 * TEXT_SIZE);
    const ssize_t decoded = codec_decode(codec_of(ret_whole), coded, ret_whole->coded_size,
                                         ret_whole->body, 2 * TEXT_SIZE);
    ret_whole->size = is_whole && decoded >= 0 ? (size_t)decoded : SIZE_MAX;
    free(coded);
}

static void drop(struct whole *whole)
{
    client_close(&whole->client);
    free(whole->body);
}

static void expect_text(const struct whole *whole, size_t size)
{
    assert_int_equal(whole->head.status, 200);
    assert_int_equal(whole->size, size);
    assert_memory_equal(whole->body, text, size);
}

static void expect_field(const struct whole *whole, const char *name, const char *value)
{
    const struct leat_slice found = field(whole, name);
    if (!slice_equal(found, slice_from_text(value)) || (!found.data) != (!value))
        fail_msg("%s: '%.*s' instead of '%s'", name, (int)found.size, found.data,
                 value ? value : "(none)");
}

/* ---- Round trips ----------------------------------------------------------------------------- */

/* Every way to reply, by every codec, with clients of both versions. */
static void what_is_coded_decodes_to_what_was_replied(void **state)
{
    static const struct {
        const char *path;
        size_t size;
    } ways[] = {{"/small", SMALL_SIZE},  {"/large", TEXT_SIZE},   {"/list", TEXT_SIZE},
                {"/pieces", TEXT_SIZE},  {"/sized", TEXT_SIZE},   {"/tagged", SMALL_SIZE},
                {"/listed", SMALL_SIZE}, {"/own-tag", SMALL_SIZE}};
    struct world world;
    start(&world, LEAT_COMPRESS_OFF);
    for (unsigned codec = LEAT_CODEC_ZSTD; codec <= LEAT_CODEC_BROTLI; codec++) {
        policy = (struct leat_compress_policy){
            .mode = LEAT_COMPRESS_FIXED, .codec = (enum leat_codec)codec, .level = 3};
        for (size_t index = 0; index < 2 * (sizeof ways / sizeof *ways); index++) {
            char head[64];
            struct whole whole;
            snprintf(head, sizeof head, "GET %s HTTP/1.%d", ways[index / 2].path, (int)(index % 2));
            ask_for(&world, head, "Accept-Encoding: br, gzip, zstd\r\n", 3000, &whole);
            expect_text(&whole, ways[index / 2].size);
            assert_int_equal(codec_of(&whole), codec);
            assert_true(whole.coded_size < whole.size / 2);
            expect_field(&whole, "Vary", "Accept-Encoding");
            drop(&whole);
        }
    }
    world_fini(&world);
}

/* What comes out fills the coder's room to the last byte, more than once. */
static void noise_is_coded_when_it_must_be(void **state)
{
    struct world world;
    start(&world, LEAT_COMPRESS_OFF);
    for (unsigned codec = LEAT_CODEC_ZSTD; codec <= LEAT_CODEC_BROTLI; codec++) {
        struct whole whole;
        policy = (struct leat_compress_policy){
            .mode = LEAT_COMPRESS_FIXED, .codec = (enum leat_codec)codec, .level = 1};
        ask_for(&world, "GET /noise HTTP/1.1", "Accept-Encoding: br, gzip, zstd\r\n", 3000, &whole);
        assert_int_equal(whole.size, sizeof noise);
        assert_memory_equal(whole.body, noise, sizeof noise);
        drop(&whole);
    }
    world_fini(&world);
}

static void what_is_flushed_is_there(void **state)
{
    struct world world;
    struct whole whole;
    start(&world, LEAT_COMPRESS_OFF);
    policy = (struct leat_compress_policy){
        .mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_ZSTD, .level = 3};
    ask_for(&world, "GET /slow HTTP/1.1", "Accept-Encoding: zstd\r\n", 500, &whole);
    assert_true(whole.coded_size > 100); /* of 2,000 bytes; decoders are tested elsewhere */
    assert_int_equal(whole.size, SIZE_MAX);
    drop(&whole);
    ask_for(&world, "GET /slow HTTP/1.1", "Accept-Encoding: zstd\r\n", 3000, &whole);
    expect_text(&whole, 4000);
    drop(&whole);
    world_fini(&world);
}

/* ---- The decision ---------------------------------------------------------------------------- */

static void auto_codes_text_and_leaves_noise(void **state)
{
    struct world world;
    struct whole whole;
    struct leat_http_compress_counters counters;
    start(&world, LEAT_COMPRESS_AUTO);
    ask_for(&world, "GET /large HTTP/1.1", "Accept-Encoding: gzip, br;q=0.9\r\n", 3000, &whole);
    expect_text(&whole, TEXT_SIZE);
    assert_int_equal(codec_of(&whole), LEAT_CODEC_GZIP); /* it likes that best */
    drop(&whole);
    ask_for(&world, "GET /begun-small HTTP/1.1", "Accept-Encoding: br\r\n", 3000, &whole);
    expect_text(&whole, TEXT_SIZE);
    assert_int_equal(codec_of(&whole), LEAT_CODEC_BROTLI);
    drop(&whole);
    ask_for(&world, "GET /noise HTTP/1.1", "Accept-Encoding: gzip, br, zstd\r\n", 3000, &whole);
    assert_int_equal(codec_of(&whole), LEAT_CODEC_NONE);
    assert_memory_equal(whole.body, noise, sizeof noise);
    expect_field(&whole, "Vary", "Accept-Encoding");
    drop(&whole);
    leat_http_server_compress_counters(world.server, &counters);
    assert_int_equal(counters.responses[LEAT_CODEC_GZIP], 1);
    assert_int_equal(counters.plain_bytes[LEAT_CODEC_GZIP], TEXT_SIZE);
    assert_in_range(counters.coded_bytes[LEAT_CODEC_GZIP], 1, TEXT_SIZE / 2);
    assert_int_equal(counters.responses[LEAT_CODEC_NONE], 1);
    assert_int_equal(counters.left[LEAT_HTTP_LEFT_NOISE] + counters.left[LEAT_HTTP_LEFT_NO_GAIN],
                     1);
    world_fini(&world);
}

/* A proxy beside us may be asking for somebody far away. */
static void the_way_behind_a_proxy_is_long(void **state)
{
    static const char *const lines[] = {"Via: 1.1 mill\r\n", "X-Forwarded-For: 192.0.2.1\r\n",
                                        "Forwarded: for=192.0.2.1\r\n", ""};
    struct world world;
    start(&world, LEAT_COMPRESS_AUTO);
    for (size_t index = 0; index < sizeof lines / sizeof *lines; index++) {
        char fields[128];
        struct whole whole;
        snprintf(fields, sizeof fields, "Accept-Encoding: gzip\r\n%s", lines[index]);
        ask_for(&world, "GET /near HTTP/1.1", fields, 3000, &whole);
        assert_int_equal(codec_of(&whole), lines[index][0] ? LEAT_CODEC_GZIP : LEAT_CODEC_NONE);
        expect_text(&whole, TEXT_SIZE);
        drop(&whole);
    }
    world_fini(&world);
}

static void what_is_not_to_be_coded_is_not(void **state)
{
    static const struct {
        const char *head, *lines, *vary;
    } cases[] = {
        {"GET /large HTTP/1.1", "", "Accept-Encoding"},
        {"GET /large HTTP/1.1", "Accept-Encoding: \r\n", "Accept-Encoding"},
        {"GET /large HTTP/1.1", "Accept-Encoding: identity, lz4\r\n", "Accept-Encoding"},
        {"GET /large HTTP/1.1", "Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding"},
        {"GET /own-coding HTTP/1.1", "Accept-Encoding: gzip\r\n", NULL},
        {"GET /as-it-is HTTP/1.1", "Accept-Encoding: gzip\r\n", NULL},
        {"GET /film HTTP/1.1", "Accept-Encoding: gzip\r\n", NULL},
        {"GET /tiny HTTP/1.1", "Accept-Encoding: gzip\r\n", NULL},
        {"GET /tagged HTTP/1.1", "Range: bytes=5-\r\nAccept-Encoding: gzip\r\n", "Accept-Encoding"},
    };
    struct world world;
    struct whole whole;
    start(&world, LEAT_COMPRESS_AUTO);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        ask_for(&world, cases[index].head, cases[index].lines, 3000, &whole);
        if (strstr(cases[index].head, "own-coding"))
            expect_field(&whole, "Content-Encoding", "gzip"); /* its handler's word for it */
        else
            assert_int_equal(codec_of(&whole), LEAT_CODEC_NONE);
        expect_field(&whole, "Vary", cases[index].vary);
        drop(&whole);
    }
    world_fini(&world);
}

/* ---- Heads ----------------------------------------------------------------------------------- */

static void a_coded_form_has_a_tag_of_its_own(void **state)
{
    static const struct {
        const char *lines;
        int status;
        const char *etag;
    } cases[] = {
        {"Accept-Encoding: zstd\r\n", 200, "W/\"v1-zstd\""},
        {"", 200, "\"v1\""},
        {"Accept-Encoding: zstd\r\nIf-None-Match: \"v1\"\r\n", 304, "\"v1\""},
        {"Accept-Encoding: zstd\r\nIf-None-Match: W/\"v1-zstd\"\r\n", 304, "W/\"v1-zstd\""},
        {"Accept-Encoding: zstd\r\nIf-None-Match: \"a\", W/\"v1-zstd\"\r\n", 304, "W/\"v1-zstd\""},
        /* it does not take that form (now) */
        {"If-None-Match: W/\"v1-zstd\"\r\n", 200, "\"v1\""},
        {"Accept-Encoding: zstd\r\nIf-None-Match: W/\"v2-zstd\"\r\n", 200, "W/\"v1-zstd\""},
        {"Accept-Encoding: zstd\r\nIf-Match: \"v1\"\r\n", 200, "W/\"v1-zstd\""},
        {"Accept-Encoding: zstd\r\nIf-Match: W/\"v1-zstd\"\r\n", 412, NULL},
        {"Accept-Encoding: zstd\r\nRange: bytes=0-9\r\n", 206, "\"v1\""},
        {"Accept-Encoding: zstd\r\nRange: bytes=0-9\r\nIf-Range: \"v1\"\r\n", 206, "\"v1\""},
        {"Accept-Encoding: zstd\r\nRange: bytes=0-9\r\nIf-Range: W/\"v1-zstd\"\r\n", 200,
         "W/\"v1-zstd\""},
    };
    struct world world;
    struct whole whole;
    start(&world, LEAT_COMPRESS_OFF);
    policy = (struct leat_compress_policy){
        .mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_ZSTD, .level = 1};
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        ask_for(&world, "GET /tagged HTTP/1.1", cases[index].lines, 100, &whole);
        assert_int_equal(whole.head.status, cases[index].status);
        if (cases[index].etag)
            expect_field(&whole, "ETag", cases[index].etag);
        if (cases[index].status != 412)
            expect_field(&whole, "Vary", "Accept-Encoding");
        expect_field(&whole, "Cache-Control", "no-cache");
        if (whole.head.status == 304)
            expect_field(&whole, "Content-Encoding", NULL);
        const bool is_coded = codec_of(&whole) != LEAT_CODEC_NONE;
        if (whole.head.status == 200)
            expect_field(&whole, "Accept-Ranges", is_coded ? NULL : "bytes");
        drop(&whole);
    }
    ask_for(&world, "GET /own-tag HTTP/1.1", "Accept-Encoding: zstd\r\n", 100, &whole);
    expect_field(&whole, "ETag", "W/\"mine\"");
    expect_field(&whole, "X-After", "it");
    drop(&whole);
    world_fini(&world);
}

static void head_is_told_what_get_would_be(void **state)
{
    static const char *const paths[] = {"/small", "/large", "/pieces", "/sized", "/tagged"};
    struct world world;
    struct whole whole;
    start(&world, LEAT_COMPRESS_OFF);
    policy = (struct leat_compress_policy){
        .mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 6};
    for (size_t index = 0; index < sizeof paths / sizeof *paths; index++) {
        char head[64];
        snprintf(head, sizeof head, "HEAD %s HTTP/1.1", paths[index]);
        ask_for(&world, head, "Accept-Encoding: gzip\r\n", 100, &whole);
        assert_int_equal(whole.head.status, 200);
        expect_field(&whole, "Content-Encoding", "gzip");
        expect_field(&whole, "Vary", "Accept-Encoding");
        expect_field(&whole, "Content-Length", NULL);
        drop(&whole);
    }
    world_fini(&world);
}

static void a_promised_size_counts_plain_bytes(void **state)
{
    struct world world;
    struct whole whole;
    start(&world, LEAT_COMPRESS_OFF);
    policy = (struct leat_compress_policy){
        .mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 1};
    ask_for(&world, "GET /short HTTP/1.1", "Accept-Encoding: gzip\r\n", 3000, &whole);
    assert_int_equal(whole.size, SIZE_MAX);
    assert_true(whole.client.has_ended);
    drop(&whole);
    ask_for(&world, "GET /long HTTP/1.1", "Accept-Encoding: gzip\r\n", 3000, &whole);
    assert_int_equal(write_error, -EMSGSIZE);
    assert_int_equal(whole.size, SIZE_MAX);
    assert_true(whole.client.has_ended);
    drop(&whole);
    world_fini(&world);
}

/* ---- Policies -------------------------------------------------------------------------------- */

static void what_is_no_policy_of_a_server_is_refused(void **state)
{
    static const struct leat_compress_policy policies[] = {
        {.mode = LEAT_COMPRESS_FIXED},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_LZ4},
        {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_LZ4},
        {.mode = LEAT_COMPRESS_AUTO, .codec = LEAT_CODEC_GZIP, .level = 6},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODEC_GZIP, .level = 13},
        {.mode = LEAT_COMPRESS_FIXED, .codec = LEAT_CODECS, .level = 1},
        {.mode = (enum leat_compress_mode)99},
    };
    struct world world;
    world_init(&world, SIM_CALM, 1);
    for (size_t index = 0; index < sizeof policies / sizeof *policies; index++) {
        struct leat_http_server *server;
        assert_int_equal(
            leat_http_server_create(
                &(struct leat_http_options){.handler = handler, .compress = policies[index]},
                &server),
            -EINVAL);
    }
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_coded_decodes_to_what_was_replied),
        cmocka_unit_test(noise_is_coded_when_it_must_be),
        cmocka_unit_test(what_is_flushed_is_there),
        cmocka_unit_test(auto_codes_text_and_leaves_noise),
        cmocka_unit_test(the_way_behind_a_proxy_is_long),
        cmocka_unit_test(what_is_not_to_be_coded_is_not),
        cmocka_unit_test(a_coded_form_has_a_tag_of_its_own),
        cmocka_unit_test(head_is_told_what_get_would_be),
        cmocka_unit_test(a_promised_size_counts_plain_bytes),
        cmocka_unit_test(what_is_no_policy_of_a_server_is_refused),
    };
    make_texts();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
