/* SPDX-License-Identifier: MIT */
/*
 * Queries, cookies, forms and JSON as handlers see them; uploads in small and large pieces; what a
 * handler that returns in silence is taken to have meant. In a simulated world (world.h).
 */
#include "leat/form.h"

#include <jansson.h>

#include "leat/error.h"
#include "leat/fiber.h"
#include "world.h"

enum { SIZE_MAX_OF_FORMS = 64 * 1024, TEXT_SIZE = 256 * 1024 };

/* What the handler saw, in words; and the call that failed. */
static struct {
    char text[TEXT_SIZE];
    size_t size;
    int result;
} seen;

static void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size =
        vsnprintf(seen.text + seen.size, sizeof seen.text - seen.size, format, arguments);
    va_end(arguments);
    assert_true(size >= 0 && (size_t)size < sizeof seen.text - seen.size);
    seen.size += (size_t)size;
}

static void note_field(const struct leat_http_form_field *field)
{
    assert_int_equal(field->value[field->value_size], '\0');
    note("%s=", field->name);
    for (size_t index = 0; index < field->value_size; index++)
        note("%c", field->value[index] ? field->value[index] : '0');
    if (field->filename)
        note("<%s>", field->filename);
    if (field->media_type)
        note("(%s)", field->media_type);
    note(";");
}

static const char *or_none(const char *text)
{
    return text ? text : "none";
}

static void handle_query(struct leat_http_request *request)
{
    struct leat_slice rest = leat_http_query(request);
    struct leat_http_form_field pair;
    int result;
    while ((result = leat_http_query_next(request, &rest, &pair)) > 0)
        note_field(&pair);
    assert_int_equal(result, 0);
    note(" a:%s b c:%s z:%s", or_none(leat_http_query_value(request, "a")),
         or_none(leat_http_query_value(request, "b c")),
         or_none(leat_http_query_value(request, "z")));
}

static int handle_form(struct leat_http_request *request)
{
    struct leat_http_form form;
    const int result = leat_http_read_form(request, SIZE_MAX_OF_FORMS, LEAT_FOREVER, &form);
    if (result)
        return result;
    for (size_t index = 0; index < form.count; index++)
        note_field(&form.fields[index]);
    note(" a:%s", or_none(leat_http_form_value(&form, "a")));
    return 0;
}

static int handle_json(struct leat_http_request *request)
{
    json_t *json;
    const int result = leat_http_read_json(request, SIZE_MAX_OF_FORMS, LEAT_FOREVER, &json);
    if (result)
        return result;
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    note("%s", text);
    free(text);
    json_decref(json);
    return 0;
}

/* In pieces of 3 bytes, or as they come; a part called "skip" is not read. */
static int handle_parts(struct leat_http_request *request, bool borrows)
{
    static const struct leat_http_multipart_options options = {
        .parts_max = 4, .head_size_max = 200, .buffer_size = 1};
    struct leat_http_multipart *multipart;
    struct leat_http_part part;
    ssize_t result = leat_http_multipart_begin(request, &options, &multipart);
    if (result)
        return (int)result;
    while ((result = leat_http_multipart_next(multipart, LEAT_FOREVER, &part)) > 0) {
        note("%s<%s>(%s)=", part.name, or_none(part.filename), part.media_type);
        const void *data;
        char piece[3];
        if (strcmp(part.name, "skip") == 0)
            continue;
        while ((result = borrows ? leat_http_multipart_borrow(multipart, LEAT_FOREVER, &data)
                                 : leat_http_multipart_read(multipart, piece, sizeof piece,
                                                            LEAT_FOREVER)) > 0)
            note("%.*s", (int)result, borrows ? (const char *)data : piece);
        if (result < 0)
            return (int)result;
        /* The end is said again. */
        assert_int_equal(leat_http_multipart_borrow(multipart, LEAT_FOREVER, &data), 0);
        note(";");
    }
    /* So is what was wrong, or that it is over. */
    if (result != -ECONNRESET)
        assert_int_equal(leat_http_multipart_next(multipart, LEAT_FOREVER, &part), result);
    return (int)result;
}

static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    const struct leat_slice path = leat_http_path(request);
    seen.size = 0;
    seen.result = 0;
    if (slice_equal(path, SLICE("/query")))
        handle_query(request);
    if (slice_equal(path, SLICE("/cookie")))
        note("a:%s b:%s z:%s", or_none(leat_http_cookie(request, "a")),
             or_none(leat_http_cookie(request, "b")), or_none(leat_http_cookie(request, "z")));
    if (slice_equal(path, SLICE("/form")))
        seen.result = handle_form(request);
    if (slice_equal(path, SLICE("/json")))
        seen.result = handle_json(request);
    if (slice_equal(path, SLICE("/read")) || slice_equal(path, SLICE("/borrow")))
        seen.result = handle_parts(request, path.data[1] == 'b');
    if (seen.result == 0)
        leat_http_reply(response, 200, "text/plain", seen.text, seen.size);
}

static void start(struct world *world, struct client *client)
{
    static const struct leat_http_options options = {.handler = handler};
    world_init(world, SIM_CALM, 1);
    world_serve(world, &options);
    client_open(client, world);
}

static void end(struct world *world, struct client *client)
{
    client_close(client);
    world_fini(world);
}

/* Sends a request; the answer must have this status and, unless NULL, this body. */
static void exchange(struct client *client, const char *target, const char *fields,
                     struct leat_slice body, int status, const char *wanted)
{
    static char text[2 * TEXT_SIZE];
    int size = snprintf(text, sizeof text,
                        "POST %s HTTP/1.1\r\nHost: mill\r\nContent-Length: %zu\r\n%s\r\n", target,
                        body.size, fields);
    assert_true(size > 0 && (size_t)size + body.size < sizeof text);
    if (body.size > 0)
        memcpy(text + size, body.data, body.size);
    client_send(client, text, (size_t)size + body.size);
    struct answer answer;
    for (unsigned tries = 0; !client_peek(client, false, &answer); tries++) {
        assert_true(tries < 1000);
        turns(client->world, 1);
    }
    client_expect(client, status, wanted);
}

/* ---- Queries, cookies ------------------------------------------------------------------------ */

static void queries_are_decoded(void **state)
{
    static const struct {
        const char *target, *seen;
    } rows[] = {
        {"/query", " a:none b c:none z:none"},
        {"/query?", " a:none b c:none z:none"},
        {"/query?a=1&b+c=%2F%26&a=2", "a=1;b c=/&;a=2; a:1 b c:/& z:none"},
        {"/query?a&b%20c=", "a=;b c=; a: b c: z:none"},
        {"/query?a=%00&z=1", "a=0;z=1; a:none b c:none z:1"},
        {"/query?a%00=1&z=%C3%A4", "z=\xc3\xa4; a:none b c:none z:\xc3\xa4"},
    };
    struct world world;
    struct client client;
    start(&world, &client);
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++)
        exchange(&client, rows[index].target, "", slice_of(NULL, 0), 200, rows[index].seen);
    end(&world, &client);
}

static void cookies_are_found(void **state)
{
    static const struct {
        const char *fields, *seen;
    } rows[] = {
        {"", "a:none b:none z:none"},
        {"Cookie: a=1; b=\"2\"\r\n", "a:1 b:\"2\" z:none"},
        {"Cookie: A=0; a=1; a=2\r\n", "a:1 b:none z:none"},
        {"Cookie: a=1\r\nCookie: b=; z=%20\r\n", "a:1 b: z:%20"},
    };
    struct world world;
    struct client client;
    start(&world, &client);
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++)
        exchange(&client, "/cookie", rows[index].fields, slice_of(NULL, 0), 200, rows[index].seen);
    end(&world, &client);
}

/* ---- Forms and JSON in memory ---------------------------------------------------------------- */

#define URLENCODED "Content-Type: application/x-www-form-urlencoded\r\n"
#define MULTIPART "Content-Type: multipart/form-data; boundary=b\r\n"
#define PART(name) "--b\r\nContent-Disposition: form-data; name=" name "\r\n"

static void forms_of_both_encodings_are_read(void **state)
{
    static const struct {
        const char *fields;
        struct leat_slice body;
        const char *seen;
    } rows[] = {
        {URLENCODED, SLICE(""), " a:none"},
        {URLENCODED, SLICE("a=b"), "a=b; a:b"},
        {URLENCODED, SLICE("a"), "a=; a:"},
        {URLENCODED, SLICE("a&c=d"), "a=;c=d; a:"},
        {URLENCODED, SLICE("c=d&&a=%31%2b+x&e="), "c=d;a=1+ x;e=; a:1+ x"},
        {URLENCODED, SLICE("=&%61=%00&=x&a%00=b"), "=;a=0;=x; a:none"},
        {"content-type: Application/X-WWW-Form-Urlencoded; charset=UTF-8\r\n", SLICE("a=b"),
         "a=b; a:b"},
        {MULTIPART, SLICE("--b--"), " a:none"},
        {MULTIPART, SLICE(PART("a") "\r\nb\r\n--b--\r\n"), "a=b; a:b"},
        {MULTIPART, SLICE(PART("a") "\r\n\r\n--b--"), "a=; a:"},
        {MULTIPART, SLICE(PART("a") "\r\n--b--"), "a=; a:"},
        {MULTIPART,
         SLICE(PART("a; filename=x") "Content-Type: image/png\r\n\r\n\0\r\n\r\n" PART(
             "\"a\"") "\r\nb\r\n--b--"),
         "a=0\r\n<x>(image/png);a=b; a:b"},
    };
    struct world world;
    struct client client;
    start(&world, &client);
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++)
        exchange(&client, "/form", rows[index].fields, rows[index].body, 200, rows[index].seen);
    end(&world, &client);
}

static void json_is_read(void **state)
{
    static char nested[2 * 65 + 1], hidden[256];
    memset(nested, '[', 65);
    memset(nested + 65, ']', 65);
    /* Brackets in texts do not nest. */
    snprintf(hidden, sizeof hidden, "[\"\\\"%.*s\"]", 65, nested);
    const struct {
        const char *body;
        int status;
        const char *seen;
    } rows[] = {
        {"{\"a\":[1,true,null,\"\xc3\xa4\"]}", 200, "{\"a\":[1,true,null,\"\xc3\xa4\"]}"},
        {" 7 ", 200, "7"},
        {"", 400, NULL},
        {"{", 400, NULL},
        {"{} {}", 400, NULL},
        {"{\"a\":1,\"a\":2}", 400, NULL},
        {"\"\xff\"", 400, NULL},
        {nested, 413, NULL},
        {hidden, 200, hidden},
    };
    struct world world;
    struct client client;
    start(&world, &client);
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++)
        exchange(&client, "/json", "", slice_from_text(rows[index].body), rows[index].status,
                 rows[index].seen);
    nested[64] = '1'; /* 64 deep around a number */
    exchange(&client, "/json", "", slice_of(nested, 2 * 64 + 1), 200, NULL);
    end(&world, &client);
}

static char large[2 * SIZE_MAX_OF_FORMS];

/* A handler that returns in silence has said enough. */
static void what_is_wrong_is_told(void **state)
{
    static char many[4 * (LEAT_HTTP_FORM_FIELDS_MAX + 1)];
    for (size_t index = 0; index < sizeof many; index += 4)
        memcpy(many + index, "a=b&", 4);
    memset(large, 'x', sizeof large);
    static const struct {
        const char *target, *fields;
        struct leat_slice body;
        int result, status;
    } rows[] = {
        {"/form", "", SLICE("a=b"), -EMEDIUMTYPE, 415},
        {"/form", "Content-Type: text/plain\r\n", SLICE("a=b"), -EMEDIUMTYPE, 415},
        {"/form", "Content-Type: multipart/form-data\r\n", SLICE("--b--"), -EMEDIUMTYPE, 415},
        {"/form", URLENCODED, {large, sizeof large}, -LEAT_E_LIMIT, 413},
        {"/form", URLENCODED, {many, sizeof many}, -LEAT_E_LIMIT, 413},
        {"/form", MULTIPART, SLICE(""), -LEAT_E_MALFORMED, 400},
        {"/form", MULTIPART, SLICE(PART("a") "\r\nb\r\n--b"), -LEAT_E_MALFORMED, 400},
        {"/form", MULTIPART, SLICE("--b\r\nA: b\r\n\r\nc\r\n--b--"), -LEAT_E_MALFORMED, 400},
        {"/form", MULTIPART, SLICE(PART("a") "\r\nb\r\n--bc"), -LEAT_E_MALFORMED, 400},
        {"/json", "", {large, sizeof large}, -LEAT_E_LIMIT, 413},
        {"/read", URLENCODED, SLICE("a=b"), -EMEDIUMTYPE, 415},
        {"/read", MULTIPART, SLICE(PART("a") "\r\nb\r\n--b"), -LEAT_E_MALFORMED, 400},
        {"/read", MULTIPART, SLICE(PART("skip") "\r\nb\r\n--b"), -LEAT_E_MALFORMED, 400},
        {"/read", MULTIPART, SLICE("--b\r\n\r\nc\r\n--b--"), -LEAT_E_MALFORMED, 400},
        {"/borrow", MULTIPART, SLICE(PART("a") "\r\nb\r\n--bc"), -LEAT_E_MALFORMED, 400},
        {"/read", MULTIPART,
         SLICE(PART("a") "\r\n\r\n" PART("a") "\r\n\r\n" PART("a") "\r\n\r\n" PART(
             "a") "\r\n\r\n" PART("a") "\r\n\r\n--b--"),
         -LEAT_E_LIMIT, 413},
    };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        struct world world;
        struct client client;
        start(&world, &client);
        exchange(&client, rows[index].target, rows[index].fields, rows[index].body,
                 rows[index].status, NULL);
        if (seen.result != rows[index].result)
            fail_msg("row %zu: %d", index, seen.result);
        end(&world, &client);
    }
}

/* As many as may be are fine. */
static void the_most_fields_are_read(void **state)
{
    static char many[4 * LEAT_HTTP_FORM_FIELDS_MAX];
    for (size_t index = 0; index < sizeof many; index += 4)
        memcpy(many + index, "a=b&", 4);
    struct world world;
    struct client client;
    start(&world, &client);
    exchange(&client, "/form", URLENCODED, slice_of(many, sizeof many), 200, NULL);
    assert_int_equal(seen.size, sizeof many + strlen(" a:b"));
    end(&world, &client);
}

/* ---- Uploads --------------------------------------------------------------------------------- */

static const char parts[] =
    "preamble\r\n" PART("note") "\r\nhello\r\nworld\r\n" PART("skip") "\r\nnot this\r\n" PART(
        "\"file\"; filename=\"m\xc3\xbchle%22.txt\"") "Content-Type: text/html\r\n\r\n"
                                                      "--a\r\n--\r\n\r\n" PART(
                                                          "empty") "\r\n\r\n--b--\r\nepilogue";
static const char parts_seen[] = "note<none>(text/plain)=hello\r\nworld;skip<none>(text/plain)="
                                 "file<m\xc3\xbchle\".txt>(text/html)=--a\r\n--\r\n;"
                                 "empty<none>(text/plain)=;";

static void parts_come_one_by_one(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client);
    for (unsigned round = 0; round < 3; round++) {
        exchange(&client, "/read", MULTIPART, slice_of(parts, sizeof parts - 1), 200, parts_seen);
        exchange(&client, "/borrow", MULTIPART, slice_of(parts, sizeof parts - 1), 200, parts_seen);
    }
    end(&world, &client);
}

/* Much larger than the buffer, however the network cuts it. */
static void large_parts_are_whole(void **state)
{
    static char body[TEXT_SIZE / 2];
    static const char head[] = PART("a") "\r\n", tail[] = "\r\n--b--";
    for (size_t index = 0; index < sizeof body; index++)
        body[index] = "\r\n--a"[index * 7 % 5];
    memcpy(body, head, sizeof head - 1);
    memcpy(body + sizeof body - (sizeof tail - 1), tail, sizeof tail - 1);
    const size_t size = sizeof body - (sizeof head - 1) - (sizeof tail - 1);
    static const char before[] = "a<none>(text/plain)=";
    for (uint64_t seed = 1; seed <= 20; seed++) {
        static const struct leat_http_options options = {.handler = handler};
        struct sim_profile crumbs = *SIM_CALM;
        struct world world;
        struct client client;
        crumbs.short_recv = 500 * 1000;
        crumbs.queue_min = 1000;
        crumbs.queue_max = 100 * 1000;
        world_init(&world, &crumbs, seed);
        world_serve(&world, &options);
        client_open(&client, &world);
        exchange(&client, seed % 2 ? "/read" : "/borrow", MULTIPART, slice_of(body, sizeof body),
                 200, NULL);
        assert_int_equal(seen.size, size + sizeof before);
        assert_memory_equal(seen.text + sizeof before - 1, body + sizeof head - 1, size);
        end(&world, &client);
    }
}

/* Cut at every place, with a pause there. */
static void a_body_may_be_cut_anywhere(void **state)
{
    static char text[sizeof parts + 256];
    const int head_size = snprintf(
        text, sizeof text, "POST /read HTTP/1.1\r\nHost: mill\r\nContent-Length: %zu\r\n%s\r\n",
        sizeof parts - 1, MULTIPART);
    memcpy(text + head_size, parts, sizeof parts - 1);
    const size_t size = (size_t)head_size + sizeof parts - 1;
    struct world world;
    struct client client;
    start(&world, &client);
    for (size_t cut = (size_t)head_size; cut < size; cut++) {
        client_send(&client, text, cut);
        turns(&world, 2);
        client_send(&client, text + cut, size - cut);
        turns(&world, 2);
        client_expect(&client, 200, parts_seen);
    }
    end(&world, &client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_decoded),
        cmocka_unit_test(cookies_are_found),
        cmocka_unit_test(forms_of_both_encodings_are_read),
        cmocka_unit_test(json_is_read),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(the_most_fields_are_read),
        cmocka_unit_test(parts_come_one_by_one),
        cmocka_unit_test(large_parts_are_whole),
        cmocka_unit_test(a_body_may_be_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
