/* SPDX-License-Identifier: MIT */
/*
 * Replies made of something: what is sent for text, JSON, redirects, problems and cookies, and what
 * is refused. In a simulated world (world.h).
 */
#include <jansson.h>

#include "leat/error.h"
#include "world.h"

enum { LONG_SIZE = 100 * 1000 };

static int result; /* of the call that a handler is about */

static void reply_long_json(struct leat_http_response *response)
{
    json_t *list = json_array();
    for (int number = 0; number < LONG_SIZE / 8; number++)
        json_array_append_new(list, json_integer(1000000 + number));
    result = leat_http_reply_json(response, 200, list);
}

static void reply_problem(struct leat_http_response *response, const char *detail)
{
    json_t *extensions = json_pack("{s:i, s:s}", "balance", 30, "title", "mine");
    const struct leat_http_problem problem = {
        .status = 403,
        .type = "https://mill.example/credit",
        .title = "Not enough water",
        .detail = detail,
        .instance = "/mill/7",
        .extensions = extensions,
    };
    result = leat_http_reply_problem(response, &problem);
    json_decref(extensions);
}

static void handler(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    const char *path = leat_http_copy(request, leat_http_path(request));
    assert_non_null(path);
    result = 1;
    if (!strcmp(path, "/text"))
        result = leat_http_reply_text(response, 201, "%s has %d wheels", "the mill", 2);
    if (!strcmp(path, "/long-text"))
        result = leat_http_reply_text(response, 200, "%0*d", LONG_SIZE, 7);
    if (!strcmp(path, "/json"))
        result = leat_http_reply_json(
            response, 202,
            json_pack("{s:[i,b,n], s:s}", "list", 1, 1, "name", "M\xc3\xbchle \"A\""));
    if (!strcmp(path, "/long-json"))
        reply_long_json(response);
    if (!strcmp(path, "/scalar"))
        result = leat_http_reply_json(response, 200, json_true());
    if (!strcmp(path, "/no-json"))
        result = leat_http_reply_json(response, 200, json_pack("{s:s}", "a", "\xff"));
    if (!strcmp(path, "/problem"))
        reply_problem(response, "30 is less than 50");
    if (!strcmp(path, "/bad-problem"))
        reply_problem(response, "\xff");
    if (!strcmp(path, "/short-problem"))
        result = leat_http_reply_problem(response, &(struct leat_http_problem){.status = 404});
    if (!strcmp(path, "/odd-problem"))
        result = leat_http_reply_problem(response, &(struct leat_http_problem){.status = 499});
    if (!strcmp(path, "/error"))
        result = leat_http_reply_error(response, 418 - 1);
    if (!strcmp(path, "/twice")) {
        assert_int_equal(leat_http_reply_text(response, 200, "%0*d", LONG_SIZE, 7), 0);
        result = leat_http_reply_text(response, 200, "last");
    }
    if (!strcmp(path, "/begun")) {
        assert_int_equal(leat_http_begin(response, 200, "text/plain", 2), 0);
        assert_int_equal(leat_http_reply_text(response, 200, "late"), -EALREADY);
        assert_int_equal(leat_http_reply_json(response, 200, json_object()), -EALREADY);
        assert_int_equal(leat_http_redirect(response, 303, "/"), -EALREADY);
        reply_problem(response, NULL);
        assert_int_equal(result, -EALREADY);
        assert_int_equal(leat_http_write(response, "ok", 2, LEAT_FOREVER), 0);
        const struct leat_http_cookie cookie = {.name = "a", .value = "b"};
        assert_int_equal(leat_http_set_cookie(response, &cookie), -EALREADY);
    }
}

static const struct leat_http_options plain = {.handler = handler};

static void start(struct world *world, struct client *client,
                  const struct leat_http_options *options)
{
    world_init(world, SIM_CALM, 1);
    world_serve(world, options);
    client_open(client, world);
}

static void end(struct world *world, struct client *client)
{
    client_close(client);
    world_fini(world);
}

/* Asks for a path; the answer is valid until client_drop. */
static struct answer ask(struct client *client, const char *path)
{
    char text[256];
    struct answer answer;
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: mill\r\n\r\n", path);
    client_say(client, text);
    for (unsigned tries = 0; !client_peek(client, false, &answer); tries++) {
        assert_true(tries < 100);
        turns(client->world, 10);
    }
    return answer;
}

static struct leat_slice field_of(const struct answer *answer, const char *name)
{
    const struct http1_head *head = &answer->response.head;
    for (unsigned line = 0; line < head->line_count; line++)
        if (slice_equal_nocase(head->lines[line].name, slice_from_text(name)))
            return head->lines[line].value;
    return slice_of(NULL, 0);
}

static void assert_slice(struct leat_slice slice, const char *wanted)
{
    if (!slice_equal(slice, slice_from_text(wanted)))
        fail_msg("'%.*s' is not '%s'", (int)slice.size, slice.data, wanted);
    assert_int_equal(slice.data != NULL, wanted != NULL);
}

static void what_is_replied_is_sent(void **state)
{
    static const char text[] = "text/plain; charset=utf-8", json[] = "application/json",
                      problem[] = "application/problem+json";
    static const struct {
        const char *path;
        int result, status;
        const char *media_type, *body;
    } rows[] = {
        {"/text", 0, 201, text, "the mill has 2 wheels"},
        {"/json", 0, 202, json, "{\"list\":[1,true,null],\"name\":\"M\xc3\xbchle \\\"A\\\"\"}"},
        {"/scalar", 0, 200, json, "true"},
        {"/no-json", 0, 500, text, "500 Internal Server Error\n"},
        {"/twice", 0, 200, text, "last"},
        {"/begun", -EALREADY, 200, "text/plain", "ok"},
        {"/problem", 0, 403, problem,
         "{\"type\":\"https://mill.example/credit\",\"title\":\"Not enough water\",\"status\":403,"
         "\"detail\":\"30 is less than 50\",\"instance\":\"/mill/7\",\"balance\":30}"},
        {"/short-problem", 0, 404, problem, "{\"title\":\"Not Found\",\"status\":404}"},
        {"/odd-problem", 0, 499, problem, "{\"title\":\"Unknown\",\"status\":499}"},
        {"/bad-problem", -EINVAL, 500, text, "500 Internal Server Error\n"},
    };
    struct world world;
    struct client client;
    start(&world, &client, &plain);
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        const struct answer answer = ask(&client, rows[index].path);
        assert_int_equal(result, rows[index].result);
        assert_int_equal(answer.response.status, rows[index].status);
        assert_slice(field_of(&answer, "Content-Type"), rows[index].media_type);
        assert_slice(answer.body, rows[index].body);
        client_drop(&client, &answer);
    }
    end(&world, &client);
}

static void large_ones_are_whole(void **state)
{
    struct world world;
    struct client client;
    start(&world, &client, &plain);
    struct answer answer = ask(&client, "/long-text");
    assert_int_equal(answer.body.size, LONG_SIZE);
    for (size_t index = 0; index < LONG_SIZE; index++)
        assert_int_equal(answer.body.data[index], index < LONG_SIZE - 1 ? '0' : '7');
    client_drop(&client, &answer);

    answer = ask(&client, "/long-json");
    json_error_t error;
    json_t *list = json_loadb(answer.body.data, answer.body.size, 0, &error);
    assert_int_equal(json_array_size(list), LONG_SIZE / 8);
    for (size_t index = 0; index < LONG_SIZE / 8; index++)
        assert_int_equal(json_integer_value(json_array_get(list, index)), 1000000 + index);
    json_decref(list);
    client_drop(&client, &answer);
    end(&world, &client);
}

static void errors_may_be_problems(void **state)
{
    static const struct leat_http_options options = {.handler = handler,
                                                     .on_error = leat_http_error_as_problem};
    struct world world;
    struct client client;
    start(&world, &client, &options);
    const struct answer answer = ask(&client, "/error");
    assert_int_equal(answer.response.status, 417);
    assert_slice(field_of(&answer, "Content-Type"), "application/problem+json");
    assert_slice(answer.body, "{\"title\":\"Expectation Failed\",\"status\":417}");
    client_drop(&client, &answer);
    end(&world, &client);
}

/* ---- Redirects ------------------------------------------------------------------------------- */

static const struct {
    int status;
    const char *location;
    int result;
} redirects[] = {
    {301, "/next", 0},
    {302, "https://mill.example/a?b#c", 0},
    {303, "../up", 0},
    {307, "/M%C3%BChle", 0},
    {308, "/", 0},
    {300, "/", -EINVAL},
    {304, "/", -EINVAL},
    {200, "/", -EINVAL},
    {303, "", -EINVAL},
    {303, NULL, -EINVAL},
    {303, "/\r\nSet-Cookie: a=b", -EINVAL},
};

static void redirecting(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    const char *path = leat_http_copy(request, leat_http_path(request));
    const unsigned row = (unsigned)strtoul(path + 1, NULL, 10);
    result = leat_http_redirect(response, redirects[row].status, redirects[row].location);
}

static void redirects_lead_on(void **state)
{
    static const struct leat_http_options options = {.handler = redirecting};
    struct world world;
    struct client client;
    start(&world, &client, &options);
    for (size_t index = 0; index < sizeof redirects / sizeof *redirects; index++) {
        char path[16];
        snprintf(path, sizeof path, "/%zu", index);
        const struct answer answer = ask(&client, path);
        const bool is_good = redirects[index].result == 0;
        assert_int_equal(result, redirects[index].result);
        assert_int_equal(answer.response.status, is_good ? redirects[index].status : 500);
        assert_slice(field_of(&answer, "Location"), is_good ? redirects[index].location : NULL);
        assert_null(field_of(&answer, "Set-Cookie").data);
        assert_true(!is_good || answer.body.size == 0);
        client_drop(&client, &answer);
    }
    end(&world, &client);
}

/* ---- Cookies --------------------------------------------------------------------------------- */

static void setting(struct leat_http_request *request, struct leat_http_response *response,
                    void *user)
{
    const struct leat_http_cookie first = {.name = "id",
                                           .value = "7",
                                           .path = "/",
                                           .domain = "mill.example",
                                           .max_age_s = 60,
                                           .same_site = LEAT_HTTP_SAME_SITE_STRICT,
                                           .secure = true,
                                           .http_only = true};
    assert_int_equal(leat_http_set_cookie(response, &first), 0);
    assert_int_equal(leat_http_set_cookie(response, &(struct leat_http_cookie){.name = "b"}), 0);
    const struct leat_http_cookie bad[] = {
        {.name = NULL, .value = "c"},
        {.name = "c", .value = "a;b"},
        {.name = "c", .value = "a", .path = "/\r\nX: y"},
        {.name = "c", .value = "a", .same_site = LEAT_HTTP_SAME_SITE_NONE},
    };
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++)
        assert_int_equal(leat_http_set_cookie(response, &bad[index]), -EINVAL);
    static char large[5000];
    memset(large, 'a', sizeof large - 1);
    const struct leat_http_cookie too_large = {.name = "c", .value = large};
    assert_int_equal(leat_http_set_cookie(response, &too_large), -LEAT_E_LIMIT);
    leat_http_reply_text(response, 200, "set");
}

static void cookies_are_set(void **state)
{
    static const char wanted[] =
        "Set-Cookie: id=7; Path=/; Domain=mill.example; Max-Age=60; SameSite=Strict; Secure; "
        "HttpOnly\r\nSet-Cookie: b=\r\n";
    static const struct leat_http_options options = {.handler = setting};
    struct world world;
    struct client client;
    start(&world, &client, &options);
    const struct answer answer = ask(&client, "/");
    assert_slice(answer.body, "set");
    assert_non_null(memmem(client.inbox, answer.size, wanted, sizeof wanted - 1));
    const char *second = memmem(client.inbox, answer.size, "b=\r\n", 4);
    assert_null(memmem(second, answer.size - (size_t)(second - client.inbox), "Set-Cookie", 10));
    client_drop(&client, &answer);
    end(&world, &client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_replied_is_sent), cmocka_unit_test(large_ones_are_whole),
        cmocka_unit_test(errors_may_be_problems),  cmocka_unit_test(redirects_lead_on),
        cmocka_unit_test(cookies_are_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
