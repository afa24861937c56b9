/* SPDX-License-Identifier: MIT */
/*
 * Contents: any range of any list of vectors is cut out of it exactly, and what a handler says of
 * one is checked. That conditions and ranges count as for files is a table in test_files.c.
 */
#include "http/contents.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "world.h"

/* ---- Slices ---------------------------------------------------------------------------------- */

enum { PIECES = 5, BYTES = 12 };

/* Vectors of `sizes`, of memory and (as numbers alone) of a file, in turn. */
static size_t make_vectors(const unsigned *sizes, const char *bytes, struct leat_file *file,
                           struct leat_vector *ret_vectors)
{
    uint64_t position = 0;
    for (unsigned index = 0; index < PIECES; index++) {
        ret_vectors[index] = (struct leat_vector){.size = sizes[index]};
        if (index % 2)
            ret_vectors[index].file = file;
        if (index % 2)
            ret_vectors[index].offset = 1000 + position;
        else
            ret_vectors[index].data = bytes + position;
        position += sizes[index];
    }
    return position;
}

static void check_slice(const struct leat_vector *list, size_t count, const char *bytes,
                        uint64_t first, uint64_t size)
{
    for (size_t index = 0; index < count; index++) {
        assert_true(list[index].size > 0 && list[index].size <= size);
        if (list[index].file)
            assert_int_equal(list[index].offset, 1000 + first);
        else
            assert_ptr_equal(list[index].data, bytes + first);
        first += list[index].size;
        size -= list[index].size;
    }
    assert_int_equal(size, 0);
}

static void every_range_is_cut_out_exactly(void **state)
{
    static const unsigned sizes[][PIECES] = {
        {3, 3, 3, 2, 1}, {0, 5, 0, 0, 7}, {12, 0, 0, 0, 0}, {0, 0, 0, 12, 0}, {1, 1, 8, 1, 1}};
    static const char bytes[BYTES];
    struct leat_file *file = (struct leat_file *)(uintptr_t)bytes; /* not looked into */
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        struct leat_vector vectors[PIECES], list[PIECES];
        assert_int_equal(make_vectors(sizes[index], bytes, file, vectors), BYTES);
        for (uint64_t first = 0; first <= BYTES; first++)
            for (uint64_t size = 0; first + size <= BYTES; size++) {
                const size_t count = contents_slice(vectors, PIECES, first, size, list);
                check_slice(list, count, bytes, first, size);
            }
    }
}

/* ---- Replies --------------------------------------------------------------------------------- */

static struct leat_http_content content; /* what the handler replies with, */
static int result;                       /* and what it was told */

static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    assert_int_equal(leat_http_reply_static(response, 299, NULL, NULL, 0), 0);
    result = leat_http_reply_content(request, response, &content);
    const bool begins = slice_equal(leat_http_path(request), SLICE("/begun"));
    if (begins) {
        assert_int_equal(leat_http_begin(response, 200, NULL, 0), 0);
        result = leat_http_reply_content(request, response, &content);
    }
}

static void ask(struct world *world, struct client *client, const char *head,
                struct answer *ret_answer)
{
    static char text[1024];
    snprintf(text, sizeof text, "%s\r\nHost: mill\r\n\r\n", head);
    client_open(client, world);
    client_say(client, text);
    turns(world, 20);
    assert_true(client_peek(client, strncmp(head, "HEAD", 4) == 0, ret_answer));
}

static struct leat_slice field_of(const struct answer *answer, enum http1_field field)
{
    return http1_value(&answer->response.head, field);
}

static void start(struct world *world)
{
    world_init(world, SIM_CALM, 1);
    world_serve(world, &(struct leat_http_options){.handler = handler});
    content = (struct leat_http_content){.media_type = "text/plain"};
}

static void what_is_not_said_is_not_there(void **state)
{
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1", 200},
        {"GET / HTTP/1.1\r\nIf-None-Match: \"\"", 200},
        {"GET / HTTP/1.1\r\nIf-Match: \"\"", 412},
        {"GET / HTTP/1.1\r\nIf-Match: *", 200},
        {"GET / HTTP/1.1\r\nIf-None-Match: *", 304},
        {"GET / HTTP/1.1\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 200},
        {"GET / HTTP/1.1\r\nIf-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT", 200},
        {"GET / HTTP/1.1\r\nRange: bytes=1-2", 206},
        {"GET / HTTP/1.1\r\nRange: bytes=1-2\r\nIf-Range: \"\"", 200},
        {"GET / HTTP/1.1\r\nRange: bytes=1-2\r\nIf-Range: Thu, 01 Jan 1970 00:00:00 GMT", 200},
    };
    static const struct leat_vector vectors[] = {{.data = "ab", .size = 2},
                                                 {.data = "cd", .size = 2}};
    struct world world;
    start(&world);
    content.vectors = vectors;
    content.count = 2;
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct client client;
        struct answer answer;
        ask(&world, &client, cases[index].head, &answer);
        if (answer.response.status != cases[index].status)
            fail_msg("%s: %d", cases[index].head, answer.response.status);
        assert_int_equal(result, 0);
        assert_null(field_of(&answer, HTTP1_FIELD_ETAG).data);
        assert_null(field_of(&answer, HTTP1_FIELD_LAST_MODIFIED).data);
        if (answer.response.status == 206)
            assert_memory_equal(answer.body.data, "bc", 2);
        client_close(&client);
    }
    world_fini(&world);
}

/* Of a content of no bytes nothing can be a range. */
static void nothing_is_a_content(void **state)
{
    struct world world;
    struct client client;
    struct answer answer;
    start(&world);
    content.etag = "empty";
    ask(&world, &client, "GET / HTTP/1.1", &answer);
    assert_int_equal(answer.response.status, 200);
    assert_int_equal(answer.body.size, 0);
    assert_true(slice_equal(field_of(&answer, HTTP1_FIELD_ETAG), SLICE("\"empty\"")));
    client_close(&client);
    ask(&world, &client, "GET / HTTP/1.1\r\nRange: bytes=0-", &answer);
    assert_int_equal(answer.response.status, 416);
    assert_true(slice_equal(field_of(&answer, HTTP1_FIELD_CONTENT_RANGE), SLICE("bytes */0")));
    client_close(&client);
    world_fini(&world);
}

/* Nothing has changed then: the reply before is the one that counts. */
static void what_is_no_tag_is_refused(void **state)
{
    static const char *const tags[] = {
        "",
        "a\"b",
        "\"ab\"",
        "a b",
        "a\nb",
        "a\x7f",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 65 */};
    struct world world;
    struct client client;
    struct answer answer;
    start(&world);
    for (size_t index = 0; index < sizeof tags / sizeof *tags; index++) {
        content.etag = tags[index];
        ask(&world, &client, "GET / HTTP/1.1", &answer);
        assert_int_equal(result, -EINVAL);
        assert_int_equal(answer.response.status, 299);
        client_close(&client);
    }
    content.etag = tags[6] + 1;
    ask(&world, &client, "HEAD / HTTP/1.1", &answer);
    assert_int_equal(result, 0);
    assert_int_equal(field_of(&answer, HTTP1_FIELD_ETAG).size, LEAT_HTTP_ETAG_MAX + 2);
    client_close(&client);
    content.media_type = "text/\nplain";
    ask(&world, &client, "GET / HTTP/1.1", &answer);
    assert_int_equal(result, -EINVAL);
    client_close(&client);
    world_fini(&world);
}

static void other_methods_are_not_for_it(void **state)
{
    struct world world;
    struct client client;
    struct answer answer;
    start(&world);
    ask(&world, &client, "POST / HTTP/1.1\r\nContent-Length: 0", &answer);
    assert_int_equal(result, 0);
    assert_int_equal(answer.response.status, 405);
    client_close(&client);
    ask(&world, &client, "GET /begun HTTP/1.1", &answer);
    assert_int_equal(result, -EALREADY);
    assert_int_equal(answer.response.status, 200);
    client_close(&client);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range_is_cut_out_exactly),
        cmocka_unit_test(what_is_not_said_is_not_there),
        cmocka_unit_test(nothing_is_a_content),
        cmocka_unit_test(what_is_no_tag_is_refused),
        cmocka_unit_test(other_methods_are_not_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
