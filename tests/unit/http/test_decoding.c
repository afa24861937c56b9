/* SPDX-License-Identifier: MIT */
/*
 * Bodies of requests with a content coding, as handlers read them that have asked for it: each
 * coding, cut anywhere; what is not undone; texts that are none, broken off, or followed by
 * something; bombs and limits. In a simulated world (world.h).
 */
#include "codec/codec.h"
#include "http/decoding.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "world.h"

enum {
    SIZE_MAX_PLAIN = 10 * 1000,
    BODY_MAX = 400 * 1000,
    BOMB_MAX = 64 << 20,
    ZEROS = 8 << 20,
};

static struct {
    int began, result; /* of leat_http_decode_body and of the last read */
    uint64_t size;
    bool is_done;
    unsigned ticks;
    uint64_t most; /* bytes read while there was no tick */
} seen;

/* /all: the whole body comes back. /crumbs: read in pieces of 7 bytes, which come back. /bomb: read
 * with plenty of room, the size comes back. /two: two bytes, no more. /none: not asked for. /late:
 * asked for after it was read. /tick: counts its turns until somebody has read all. */
static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    const struct leat_slice path = leat_http_path(request);
    static char block[1 << 20];
    if (slice_equal(path, SLICE("/tick"))) {
        for (seen.is_done = false; !seen.is_done && seen.ticks < 1000000; seen.ticks++)
            if (leat_yield() != 0)
                return;
        leat_http_reply(response, 200, "text/plain", "ticked", 6);
        return;
    }
    const bool is_bomb = slice_equal(path, SLICE("/bomb"));
    seen.size = 0;
    if (slice_equal(path, SLICE("/late")))
        assert_int_equal(leat_http_read(request, block, 1, LEAT_FOREVER), 1);
    seen.began = slice_equal(path, SLICE("/none"))
                     ? 0
                     : leat_http_decode_body(request, is_bomb ? BOMB_MAX : SIZE_MAX_PLAIN);
    if (seen.began != 0)
        return;
    if (slice_equal(path, SLICE("/all")) || slice_equal(path, SLICE("/none"))) {
        struct leat_slice body;
        seen.result = leat_http_read_all(request, BODY_MAX, LEAT_FOREVER, &body);
        if (seen.result == 0)
            leat_http_reply(response, 200, "text/plain", body.data, body.size);
        return;
    }
    const size_t room = is_bomb ? sizeof block : slice_equal(path, SLICE("/two")) ? 2 : 7;
    ssize_t size;
    unsigned tick = seen.ticks;
    uint64_t at_tick = 0;
    while ((size = leat_http_read(request, is_bomb ? block : block + seen.size, room,
                                  LEAT_FOREVER)) > 0) {
        assert_in_range(size, 1, room);
        at_tick = seen.ticks == tick ? at_tick : seen.size;
        tick = seen.ticks;
        seen.size += (size_t)size;
        seen.most = seen.size - at_tick > seen.most ? seen.size - at_tick : seen.most;
        if (room == 2)
            break;
    }
    seen.result = size < 0 ? (int)size : 0;
    seen.is_done = true;
    if (size < 0) {
        char byte;
        assert_int_equal(leat_http_read(request, &byte, 1, LEAT_FOREVER), size);
        return;
    }
    if (is_bomb)
        leat_http_reply_text(response, 200, "%llu", (unsigned long long)seen.size);
    else
        leat_http_reply(response, 200, "text/plain", block, (size_t)seen.size);
}

static void start(struct world *world, struct client *client)
{
    static const struct leat_http_options options = {.handler = handler, .body_size_max = BODY_MAX};
    memset(&seen, 0, sizeof seen);
    world_init(world, SIM_CALM, 1);
    world_serve(world, &options);
    client_open(client, world);
}

static void end(struct world *world, struct client *client)
{
    client_close(client);
    turns(world, 1);
    world_fini(world);
}

/* ---- What is sent ---------------------------------------------------------------------------- */

static const struct {
    enum leat_codec codec;
    int level;
    const char *name;
} codings[] = {
    {LEAT_CODEC_GZIP, 6, "gzip"}, {LEAT_CODEC_GZIP, 1, "x-gzip"},
    {LEAT_CODEC_ZSTD, 3, "zstd"}, {LEAT_CODEC_BROTLI, 4, "br"},
    {LEAT_CODEC_GZIP, 9, "GZip"}, {LEAT_CODEC_NONE, 0, "identity"},
    {LEAT_CODEC_NONE, 0, ""},     {LEAT_CODEC_ZSTD, 1, "identity, ,zstd,"},
};
enum { CODINGS = sizeof codings / sizeof *codings };

static const char text[] = "the leat leads water to the mill by slope alone; the leat leads water";
enum { TEXT = sizeof text - 1 };

struct buffer {
    char data[384 * 1024];
    size_t size;
};

static void add(struct buffer *buffer, const void *data, size_t size)
{
    assert_true(size <= sizeof buffer->data - buffer->size);
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static void add_coded(struct buffer *buffer, enum leat_codec codec, const void *data, size_t size)
{
    const struct codec_setting setting = {codec, codec == LEAT_CODEC_NONE ? 0 : 3};
    const ssize_t coded = codec_encode(setting, data, size, buffer->data + buffer->size,
                                       sizeof buffer->data - buffer->size);
    assert_true(coded >= 0);
    buffer->size += (size_t)coded;
}

/* A head with these field lines, and the body. */
static void add_request(struct buffer *buffer, const char *path, const char *lines,
                        const struct buffer *body)
{
    char head[512];
    const int size = snprintf(head, sizeof head,
                              "POST %s HTTP/1.1\r\nHost: mill\r\n%sContent-Length: %zu\r\n\r\n",
                              path, lines, body->size);
    add(buffer, head, (size_t)size);
    add(buffer, body->data, body->size);
}

static void add_chunked(struct buffer *buffer, const char *path, const char *lines,
                        const struct buffer *body)
{
    char head[512];
    const int size = snprintf(
        head, sizeof head, "POST %s HTTP/1.1\r\nHost: mill\r\n%sTransfer-Encoding: chunked\r\n\r\n",
        path, lines);
    add(buffer, head, (size_t)size);
    for (size_t at = 0; at < body->size; at++) {
        add(buffer, "1\r\n", 3);
        add(buffer, body->data + at, 1);
        add(buffer, "\r\n", 2);
    }
    add(buffer, "0\r\n\r\n", 5);
}

static const char *line_of(const char *coding)
{
    static char line[128];
    snprintf(line, sizeof line, "Content-Encoding: %s\r\n", coding);
    return coding[0] ? line : "";
}

/* One request with such a body, and one behind it, which must be answered too. */
static void ask(struct world *world, struct client *client, const char *lines,
                const struct buffer *body, int status, const char *wanted)
{
    static struct buffer request;
    static const struct buffer nothing;
    request.size = 0;
    add_request(&request, "/all", lines, body);
    add_request(&request, "/none", "", &nothing);
    client_send(client, request.data, request.size);
    turns(world, 5);
    client_expect(client, status, wanted);
    client_expect(client, 200, "");
}

/* ---- Codings --------------------------------------------------------------------------------- */

static void each_coding_is_taken_off_wherever_it_is_cut(void **state)
{
    struct world world;
    struct client first;
    start(&world, &first);
    for (unsigned index = 0; index < CODINGS; index++) {
        struct buffer body = {.size = 0}, request = {.size = 0};
        const char *line = line_of(codings[index].name);
        add_coded(&body, codings[index].codec, text, TEXT);
        add_request(&request, "/all", line, &body);
        add_chunked(&request, "/crumbs", line, &body);
        add_request(&request, "/crumbs", line, &body);
        for (size_t cut = 1; cut < request.size; cut++) {
            struct client client;
            client_open(&client, &world);
            client_send(&client, request.data, cut);
            turns(&world, 2);
            client_send(&client, request.data + cut, request.size - cut);
            turns(&world, 5);
            for (unsigned answer = 0; answer < 3; answer++)
                client_expect(&client, 200, text);
            assert_int_equal(client.inbox_size, 0);
            client_close(&client);
        }
    }
    end(&world, &first);
}

static void who_has_not_asked_reads_it_as_it_was_sent(void **state)
{
    struct world world;
    struct client client;
    struct buffer body = {.size = 0}, request = {.size = 0};
    struct answer answer;
    start(&world, &client);
    add_coded(&body, LEAT_CODEC_GZIP, text, TEXT);
    add_request(&request, "/none", line_of("gzip"), &body);
    client_send(&client, request.data, request.size);
    turns(&world, 5);
    assert_true(client_peek(&client, false, &answer));
    assert_int_equal(answer.body.size, body.size);
    assert_memory_equal(answer.body.data, body.data, body.size);
    client_drop(&client, &answer);
    /* Too late: some of it was read. */
    request.size = 0;
    add_request(&request, "/late", line_of("gzip"), &body);
    client_send(&client, request.data, request.size);
    turns(&world, 5);
    assert_int_equal(seen.began, -EALREADY);
    client_expect(&client, 500, NULL);
    end(&world, &client);
}

static void members_one_behind_the_other_are_one_text(void **state)
{
    static const enum leat_codec several[] = {LEAT_CODEC_GZIP, LEAT_CODEC_ZSTD};
    struct world world;
    struct client client;
    start(&world, &client);
    for (unsigned index = 0; index < 2; index++) {
        struct buffer body = {.size = 0};
        add_coded(&body, several[index], "the leat ", 9);
        add_coded(&body, several[index], "", 0);
        add_coded(&body, several[index], "leads water", 11);
        ask(&world, &client, line_of(index ? "zstd" : "gzip"), &body, 200, "the leat leads water");
    }
    end(&world, &client);
}

static void an_empty_body_is_empty_whatever_its_coding(void **state)
{
    struct world world;
    struct client client;
    struct buffer request = {.size = 0};
    const struct buffer nothing = {.size = 0};
    start(&world, &client);
    ask(&world, &client, line_of("br"), &nothing, 200, "");
    ask(&world, &client, line_of("nonsense"), &nothing, 200, "");
    add_chunked(&request, "/all", line_of("zstd"), &nothing);
    client_send(&client, request.data, request.size);
    turns(&world, 5);
    client_expect(&client, 200, "");
    end(&world, &client);
}

static void other_codings_are_415_with_those_that_are_taken(void **state)
{
    static const char *const lines[] = {
        "Content-Encoding: deflate\r\n",
        "Content-Encoding: gzip, br\r\n",
        "Content-Encoding: gzip, gzip\r\n",
        "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: lz4\r\n",
        "Content-Encoding: gzip;q=1\r\n",
        "Content-Encoding: *\r\n",
        "Content-Encoding: gzi\r\n",
    };
    struct world world;
    struct client client;
    struct buffer body = {.size = 0};
    start(&world, &client);
    add_coded(&body, LEAT_CODEC_GZIP, text, TEXT);
    for (size_t index = 0; index < sizeof lines / sizeof *lines; index++) {
        struct buffer request = {.size = 0};
        add_request(&request, "/all", lines[index], &body);
        client_send(&client, request.data, request.size);
        turns(&world, 5);
        assert_int_equal(seen.began, -EMEDIUMTYPE);
        assert_non_null(
            memmem(client.inbox, client.inbox_size, "\r\nAccept-Encoding: zstd, gzip, br\r\n", 33));
        client_expect(&client, 415, NULL);
    }
    end(&world, &client);
}

static void it_is_told_to_continue_only_when_it_will_be_read(void **state)
{
    static const char expect[] = "Content-Encoding: %s\r\nExpect: 100-continue\r\n";
    struct world world;
    struct client client;
    struct buffer body = {.size = 0}, head = {.size = 0};
    char lines[128];
    start(&world, &client);
    add_coded(&body, LEAT_CODEC_ZSTD, text, TEXT);
    snprintf(lines, sizeof lines, expect, "zstd");
    add_request(&head, "/all", lines, &body);
    client_send(&client, head.data, head.size - body.size);
    turns(&world, 5);
    assert_int_equal(client.inbox_size, 25);
    assert_memory_equal(client.inbox, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    client.inbox_size = 0;
    client_send(&client, body.data, body.size);
    turns(&world, 5);
    client_expect(&client, 200, text);
    head.size = 0;
    snprintf(lines, sizeof lines, expect, "compress");
    add_request(&head, "/all", lines, &body);
    client_send(&client, head.data, head.size - body.size);
    turns(&world, 5);
    client_expect(&client, 415, NULL);
    end(&world, &client);
}

/* ---- Lies ------------------------------------------------------------------------------------ */

static void what_ends_too_early_is_400(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    for (unsigned index = 0; index < 4; index++) {
        struct buffer body = {.size = 0};
        add_coded(&body, codings[index].codec, text, TEXT);
        for (body.size--; body.size > 0; body.size--)
            ask(&world, &client, line_of(codings[index].name), &body, 400, NULL);
    }
    end(&world, &client);
}

static void what_is_no_such_text_is_400(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    for (unsigned index = 0; index < 4; index++) {
        static const char *const tails[] = {"x", "\r\n", "\x1f", "\x1f\x8b\x08", "(\xb5/"};
        struct buffer body = {.size = 0};
        const char *line = line_of(codings[index].name);
        add(&body, text, TEXT);
        ask(&world, &client, line, &body, 400, NULL);
        for (unsigned tail = 0; tail < 5; tail++) {
            body.size = 0;
            add_coded(&body, codings[index].codec, text, TEXT);
            add(&body, tails[tail], strlen(tails[tail]));
            ask(&world, &client, line, &body, 400, NULL);
        }
    }
    /* gzip's sum and size. */
    for (unsigned from_end = 1; from_end <= 8; from_end++) {
        struct buffer body = {.size = 0};
        add_coded(&body, LEAT_CODEC_GZIP, text, TEXT);
        body.data[body.size - from_end] ^= 1;
        ask(&world, &client, line_of("gzip"), &body, 400, NULL);
    }
    end(&world, &client);
}

static void a_client_may_vanish_half_way(void **state)
{
    struct world world;
    struct client first;
    start(&world, &first);
    for (unsigned index = 0; index < 4; index++) {
        struct buffer body = {.size = 0}, request = {.size = 0};
        add_coded(&body, codings[index].codec, text, TEXT);
        add_request(&request, "/crumbs", line_of(codings[index].name), &body);
        for (size_t left = 1; left < body.size; left += 5) {
            struct client client;
            client_open(&client, &world);
            client_send(&client, request.data, request.size - left);
            turns(&world, 2);
            client_close(&client);
            turns(&world, 2);
            assert_int_equal(seen.result, -ECONNRESET);
        }
        /* Or the handler leaves what it has no use for. */
        request.size = 0;
        add_request(&request, "/two", line_of(codings[index].name), &body);
        add_request(&request, "/all", line_of(codings[index].name), &body);
        client_send(&first, request.data, request.size);
        turns(&world, 5);
        client_expect(&first, 200, "th");
        client_expect(&first, 200, text);
    }
    end(&world, &first);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void the_limit_is_that_of_the_decoded_bytes(void **state)
{
    static char plain[SIZE_MAX_PLAIN + 2];
    struct world world;
    struct client first;
    start(&world, &first);
    for (size_t at = 0; at < sizeof plain; at++)
        plain[at] = (char)('a' + at * at % 26);
    for (unsigned index = 0; index < CODINGS; index++) {
        for (size_t size = SIZE_MAX_PLAIN; size < sizeof plain; size++) {
            struct buffer body = {.size = 0}, request = {.size = 0};
            struct client client;
            add_coded(&body, codings[index].codec, plain, size);
            add_request(&request, "/crumbs", line_of(codings[index].name), &body);
            client_open(&client, &world);
            client_send(&client, request.data, request.size);
            turns(&world, 3000);
            const bool fits = size == SIZE_MAX_PLAIN;
            client_expect(&client, fits ? 200 : 413, NULL);
            client_close(&client);
            assert_true(seen.size <= SIZE_MAX_PLAIN);
            assert_int_equal(seen.result, fits ? 0 : -LEAT_E_LIMIT);
        }
    }
    end(&world, &first);
}

static void coded_bytes_have_the_servers_limit(void **state)
{
    struct world world;
    struct client client;
    static char head[256];
    start(&world, &client);
    snprintf(head, sizeof head, "POST /bomb HTTP/1.1\r\nHost: mill\r\n%sContent-Length: %u\r\n\r\n",
             line_of("gzip"), BODY_MAX + 1);
    client_say(&client, head);
    turns(&world, 5);
    client_expect(&client, 413, NULL);
    end(&world, &client);
}

static void a_bomb_is_put_out_at_a_mebibyte(void **state)
{
    struct world world;
    struct client client;
    char *zeros = calloc(1, ZEROS);
    assert_non_null(zeros);
    start(&world, &client);
    for (unsigned index = 0; index < 4; index++) {
        struct buffer body = {.size = 0}, request = {.size = 0};
        add_coded(&body, codings[index].codec, zeros, ZEROS);
        assert_true(body.size * DECODING_RATIO_MAX < ZEROS);
        add_request(&request, "/bomb", line_of(codings[index].name), &body);
        client_send(&client, request.data, request.size);
        turns(&world, 10);
        client_expect(&client, 413, NULL);
        assert_int_equal(seen.result, -LEAT_E_LIMIT);
        assert_in_range(seen.size, DECODING_RATIO_FREE - DECODING_STEP,
                        DECODING_RATIO_FREE + body.size * DECODING_RATIO_MAX);
        /* What is less is none. */
        body.size = request.size = 0;
        add_coded(&body, codings[index].codec, zeros, DECODING_RATIO_FREE);
        add_request(&request, "/bomb", line_of(codings[index].name), &body);
        client_send(&client, request.data, request.size);
        turns(&world, 10);
        client_expect(&client, 200, "1048576");
    }
    free(zeros);
    end(&world, &client);
}

static void who_has_much_to_decode_lets_others_have_their_turn(void **state)
{
    enum { SIZE = 8 << 20 };
    struct world world;
    struct client client, other;
    struct buffer body = {.size = 0}, request = {.size = 0};
    const struct buffer nothing = {.size = 0};
    char *plain = malloc(SIZE);
    assert_non_null(plain);
    for (size_t at = 0; at < SIZE; at++) /* every 64th is another: less than a bomb */
        plain[at] = (char)(at % 64 == 0 ? at / 64 * 2654435761u >> 24 : 'a');
    start(&world, &client);
    add_coded(&body, LEAT_CODEC_ZSTD, plain, SIZE);
    assert_true(body.size * DECODING_RATIO_MAX > SIZE);
    add_request(&request, "/tick", "", &nothing);
    client_open(&other, &world);
    client_send(&other, request.data, request.size);
    turns(&world, 1);
    const unsigned before = seen.ticks;
    request.size = 0;
    add_request(&request, "/bomb", line_of("zstd"), &body);
    client_send(&client, request.data, request.size);
    turns(&world, 50);
    client_expect(&client, 200, "8388608");
    client_expect(&other, 200, "ticked");
    assert_true(seen.ticks > before);
    assert_in_range(seen.most, 1, DECODING_TURN + DECODING_STEP);
    free(plain);
    client_close(&other);
    end(&world, &client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_coding_is_taken_off_wherever_it_is_cut),
        cmocka_unit_test(who_has_not_asked_reads_it_as_it_was_sent),
        cmocka_unit_test(members_one_behind_the_other_are_one_text),
        cmocka_unit_test(an_empty_body_is_empty_whatever_its_coding),
        cmocka_unit_test(other_codings_are_415_with_those_that_are_taken),
        cmocka_unit_test(it_is_told_to_continue_only_when_it_will_be_read),
        cmocka_unit_test(what_ends_too_early_is_400),
        cmocka_unit_test(what_is_no_such_text_is_400),
        cmocka_unit_test(a_client_may_vanish_half_way),
        cmocka_unit_test(the_limit_is_that_of_the_decoded_bytes),
        cmocka_unit_test(coded_bytes_have_the_servers_limit),
        cmocka_unit_test(a_bomb_is_put_out_at_a_mebibyte),
        cmocka_unit_test(who_has_much_to_decode_lets_others_have_their_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
