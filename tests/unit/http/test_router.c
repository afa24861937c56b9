/* SPDX-License-Identifier: MIT */
/*
 * Routers as a server has them: groups, the order of middleware, what is answered without a route,
 * limits of a route, files below a prefix. Which pattern matches which path is test_routes.c's.
 */
#include "http/exchange.h"
#include "http/router.h"
#include "leat/error.h"
#include "leat/fiber.h"
#include "leat/router.h"
#include "world.h"

struct test {
    struct world world;
    struct leat_http_router *router;
    char trace[256]; /* what was called, in its order */
};

static void note(struct test *test, const char *text)
{
    assert_true(strlen(test->trace) + strlen(text) < sizeof test->trace);
    strcat(test->trace, text);
}

static struct test *current; /* for handlers whose user is something else */

static int set_up(void **state)
{
    struct test *test = current = calloc(1, sizeof *test);
    assert_non_null(test);
    world_init(&test->world, SIM_CALM, 1);
    test->router = leat_http_router_create();
    assert_non_null(test->router);
    *state = test;
    return 0;
}

static void serve(struct test *test)
{
    const struct leat_http_options options = {
        .handler = leat_http_router_handle,
        .user = test->router,
        .body_size_max = 10,
    };
    world_serve(&test->world, &options);
}

static int tear_down(void **state)
{
    struct test *test = *state;
    world_fini(&test->world);
    leat_http_router_destroy(test->router);
    free(test);
    return 0;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static bool has_field(const struct answer *answer, const char *name, const char *value)
{
    for (unsigned line = 0; line < answer->response.head.line_count; line++) {
        const struct http1_line *found = &answer->response.head.lines[line];
        if (slice_equal_nocase(found->name, slice_from_text(name)))
            return value && slice_equal(found->value, slice_from_text(value));
    }
    return !value;
}

/* A request, and what its answer must have; `field` and `body` may be NULL. */
static void expect_field(struct test *test, const char *request, int status, const char *field,
                         const char *value, const char *body)
{
    char text[1024], method[16];
    struct client client;
    struct answer answer;
    test->trace[0] = '\0';
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: mill\r\n\r\n", request);
    sscanf(request, "%15s", method);
    client_open(&client, &test->world);
    client_say(&client, text);
    for (unsigned tries = 0; !client_peek(&client, strcmp(method, "HEAD") == 0, &answer); tries++) {
        if (tries == 200)
            fail_msg("%s: no answer", request);
        turns(&test->world, 10);
    }
    if (answer.response.status != status)
        fail_msg("%s: %d, expected %d", request, answer.response.status, status);
    if (field && !has_field(&answer, field, value))
        fail_msg("%s: not '%s: %s'", request, field, value ? value : "(none)");
    if (body && !slice_equal(answer.body, slice_from_text(body)))
        fail_msg("%s: '%.*s', expected '%s'", request, (int)answer.body.size, answer.body.data,
                 body);
    client_close(&client);
    turns(&test->world, 10);
}

static void expect(struct test *test, const char *request, int status, const char *body)
{
    expect_field(test, request, status, NULL, NULL, body);
}

/* ---- Handlers and middleware ----------------------------------------------------------------- */

/* Replies with the pattern and the parameter "name". */
static void tell(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    const char *name = leat_http_param(request, "name");
    note(current, "handler ");
    leat_http_reply_text(response, 200, "%s %s", leat_http_pattern(request), name ? name : "-");
}

static void around(struct leat_http_request *request, struct leat_http_response *response,
                   struct leat_http_next *next, void *user)
{
    const char *name = user;
    char text[32];
    note(current, name);
    note(current, "( ");
    leat_http_next(next);
    snprintf(text, sizeof text, "%s)%d ", name, leat_http_status(response));
    note(current, text);
}

static void refuse(struct leat_http_request *request, struct leat_http_response *response,
                   struct leat_http_next *next, void *user)
{
    note(current, "refused ");
    leat_http_reply_error(response, 401);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_routes_answer(void **state)
{
    struct test *test = *state;
    struct leat_http_router *router = test->router;
    assert_int_equal(leat_http_get(router, "/films/{name}", tell, NULL), 0);
    assert_int_equal(leat_http_post(router, "/films", tell, NULL), 0);
    assert_int_equal(leat_http_put(router, "/films", tell, NULL), 0);
    assert_int_equal(leat_http_patch(router, "/films", tell, NULL), 0);
    assert_int_equal(leat_http_delete(router, "/films", tell, NULL), 0);
    assert_int_equal(leat_http_router_error(router, NULL), 0);
    serve(test);
    expect(test, "GET /films/a%2Fb%20c?x=%00", 200, "/films/{name} a/b c");
    expect(test, "POST /films", 200, "/films -");
    expect(test, "PUT /films", 200, "/films -");
    expect(test, "PATCH /films", 200, "/films -");
    expect(test, "DELETE /films", 200, "/films -");
    expect_field(test, "HEAD /films/abc", 200, "Content-Length", "17", NULL);
    expect_field(test, "GET /films", 405, "Allow", "POST, PUT, DELETE, OPTIONS, PATCH", NULL);
    expect_field(test, "OPTIONS /films/x", 204, "Allow", "GET, HEAD, OPTIONS", NULL);
    expect_field(test, "OPTIONS *", 204, "Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH",
                 NULL);
    expect(test, "GET /", 404, NULL);
    expect(test, "GET /films/%00", 400, NULL);
    expect(test, "GET /films/%zz", 400, NULL);
    assert_string_equal(test->trace, "");
}

static void test_groups_nest(void **state)
{
    struct test *test = *state;
    struct leat_http_router *api = leat_http_group(test->router, "/api/{version}/");
    struct leat_http_router *films = leat_http_group(api, "/films");
    struct leat_http_router *same = leat_http_group(films, "");
    struct leat_http_router *root = leat_http_group(test->router, "/");
    leat_http_get(films, "/{name}", tell, NULL);
    leat_http_get(films, "", tell, NULL);
    leat_http_get(films, "/", tell, NULL);
    leat_http_get(same, "/same", tell, NULL);
    leat_http_get(root, "/root", tell, NULL);
    leat_http_get(root, "/", tell, NULL);
    assert_int_equal(leat_http_router_error(test->router, NULL), 0);
    serve(test);
    expect(test, "GET /api/1/films/m", 200, "/api/{version}/films/{name} m");
    expect(test, "GET /api/1/films", 200, "/api/{version}/films -");
    expect(test, "GET /api/1/films/", 200, "/api/{version}/films/ -");
    expect(test, "GET /api/1/films/same", 200, "/api/{version}/films/same -");
    expect(test, "GET /root", 200, "/root -");
    expect(test, "GET /", 200, "/ -");
    expect(test, "GET /api/1/", 404, NULL);
}

static void test_middleware_stands_around(void **state)
{
    struct test *test = *state;
    struct leat_http_router *router = test->router;
    /* In any order of building: a group's middleware serves all of its routes. */
    struct leat_http_router *outer = leat_http_group(router, "/outer");
    leat_http_get(outer, "/early", tell, NULL);
    leat_http_use(outer, around, "o1");
    struct leat_http_router *inner = leat_http_group(outer, "/inner");
    leat_http_use(inner, around, "i1");
    leat_http_use(router, around, "r1");
    leat_http_get(inner, "/late", tell, NULL);
    leat_http_use(outer, around, "o2");
    leat_http_use(inner, around, "i2");
    leat_http_use(router, around, "r2");
    for (unsigned index = 0; index < 3; index++)
        leat_http_use(leat_http_group(router, "/other"), around, "x");
    leat_http_get(router, "/", tell, NULL);
    serve(test);
    expect(test, "GET /", 200, NULL);
    assert_string_equal(test->trace, "r1( r2( handler r2)200 r1)200 ");
    expect(test, "GET /outer/early", 200, NULL);
    assert_string_equal(test->trace, "r1( r2( o1( o2( handler o2)200 o1)200 r2)200 r1)200 ");
    expect(test, "GET /outer/inner/late", 200, NULL);
    assert_string_equal(test->trace, "r1( r2( o1( o2( i1( i2( handler "
                                     "i2)200 i1)200 o2)200 o1)200 r2)200 r1)200 ");
    /* The router's own sees what has no route, too. */
    expect(test, "GET /outer/inner/nobody", 404, NULL);
    assert_string_equal(test->trace, "r1( r2( r2)404 r1)404 ");
    expect(test, "POST /outer/inner/late", 405, NULL);
    assert_string_equal(test->trace, "r1( r2( r2)405 r1)405 ");
    expect(test, "OPTIONS /outer/inner/late", 204, NULL);
    assert_string_equal(test->trace, "r1( r2( r2)204 r1)204 ");
    expect(test, "GET /outer/%00", 400, NULL);
    assert_string_equal(test->trace, "r1( r2( r2)400 r1)400 ");
}

static void test_middleware_may_refuse(void **state)
{
    struct test *test = *state;
    struct leat_http_router *admin = leat_http_group(test->router, "/admin");
    leat_http_use(test->router, around, "r");
    leat_http_use(admin, refuse, NULL);
    leat_http_use(admin, around, "a");
    leat_http_get(admin, "/{name}", tell, NULL);
    leat_http_get(test->router, "/{name}", tell, NULL);
    serve(test);
    expect(test, "GET /admin/x", 401, NULL);
    assert_string_equal(test->trace, "r( refused r)401 ");
    expect(test, "HEAD /admin/x", 401, NULL);
    assert_string_equal(test->trace, "r( refused r)401 ");
    expect(test, "GET /x", 200, "/{name} x");
}

/* The handler waits for longer than its route has, and finds itself cancelled. */
static void wait(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    const int error = leat_sleep_ms(1000);
    note(current, error == -ECANCELED ? "cancelled " : "waited ");
    if (!error)
        leat_http_reply_text(response, 200, "waited");
}

static void read_all(struct leat_http_request *request, struct leat_http_response *response,
                     void *user)
{
    struct leat_slice body;
    if (leat_http_read_all(request, 1000, leat_after_ms(1000), &body) == 0)
        leat_http_reply_text(response, 200, "%zu", body.size);
}

static void add_route(struct test *test, struct leat_http_route route)
{
    assert_int_equal(leat_http_route(test->router, &route), 0);
}

static void test_limits_of_a_route(void **state)
{
    struct test *test = *state;
    struct client client;
    add_route(test, (struct leat_http_route){.pattern = "/wait", .handler = wait});
    add_route(test,
              (struct leat_http_route){.pattern = "/short", .handler = wait, .deadline_ms = 100});
    add_route(test, (struct leat_http_route){
                        .pattern = "/long", .handler = wait, .deadline_ms = INT64_MAX});
    add_route(test, (struct leat_http_route){.pattern = "/small", .handler = read_all});
    add_route(test, (struct leat_http_route){
                        .pattern = "/large", .handler = read_all, .body_size_max = 20});
    leat_http_use(test->router, around, "r");
    serve(test);
    expect(test, "GET /wait", 200, "waited");
    expect(test, "GET /long", 200, "waited");
    const int64_t begin_ns = sim_now_ns(test->world.sim);
    expect(test, "GET /short", 503, NULL);
    assert_in_range(sim_now_ns(test->world.sim) - begin_ns, 100 * LEAT_NS_PER_MS,
                    200 * LEAT_NS_PER_MS);
    assert_string_equal(test->trace, "r( cancelled r)0 ");
    static const struct {
        const char *text;
        int status;
    } uploads[] = {
        {"POST /small HTTP/1.1\r\nHost: mill\r\nContent-Length: 10\r\n\r\n0123456789", 200},
        {"POST /small HTTP/1.1\r\nHost: mill\r\nContent-Length: 11\r\n\r\n0123456789x", 413},
        {"POST /large HTTP/1.1\r\nHost: mill\r\nContent-Length: 20\r\n\r\n01234567890123456789",
         200},
        {"POST /large HTTP/1.1\r\nHost: mill\r\nContent-Length: 21\r\n\r\n012345678901234567890",
         413},
    };
    for (unsigned index = 0; index < sizeof uploads / sizeof uploads[0]; index++) {
        test->trace[0] = '\0';
        client_open(&client, &test->world);
        client_say(&client, uploads[index].text);
        turns(&test->world, 100);
        client_expect(&client, uploads[index].status, NULL);
        client_close(&client);
        turns(&test->world, 100);
    }
}

static void test_errors_are_kept(void **state)
{
    struct test *test = *state;
    struct leat_http_router *group = leat_http_group(test->router, "/api");
    const char *pattern;
    assert_int_equal(leat_http_router_error(test->router, &pattern), 0);
    assert_string_equal(pattern, "");
    assert_int_equal(leat_http_get(group, "/x", tell, NULL), 0);
    assert_int_equal(leat_http_get(group, "/x", tell, NULL), -EEXIST);
    assert_int_equal(leat_http_get(test->router, "no-slash", tell, NULL), -EINVAL);
    assert_int_equal(leat_http_get(group, "no-slash", tell, NULL), -EINVAL);
    assert_int_equal(leat_http_get(test->router, "", tell, NULL), -EINVAL);
    assert_int_equal(leat_http_router_error(test->router, &pattern), -EEXIST);
    assert_string_equal(pattern, "/api/x");
    assert_int_equal(leat_http_router_error(group, NULL), -EEXIST);
    /* What could not be built as it was meant serves nothing. */
    serve(test);
    expect(test, "GET /api/x", 500, NULL);
    assert_string_equal(test->trace, "");
}

static void test_bad_prefixes_are_errors(void **state)
{
    static const char *const prefixes[] = {"api", "/{p...}", "/a//", "//", "/{a}/{a}", "/a?"};
    for (unsigned index = 0; index < sizeof prefixes / sizeof prefixes[0]; index++) {
        struct leat_http_router *router = leat_http_router_create();
        const char *pattern;
        assert_non_null(leat_http_group(router, prefixes[index]));
        assert_int_equal(leat_http_router_error(router, &pattern), -EINVAL);
        assert_string_equal(pattern, prefixes[index]);
        leat_http_router_destroy(router);
    }
    /* A router that there was no memory for. */
    assert_null(leat_http_group(NULL, "/api"));
    assert_int_equal(leat_http_get(NULL, "/", tell, NULL), -ENOMEM);
    assert_int_equal(leat_http_use(NULL, around, "x"), -ENOMEM);
    assert_int_equal(leat_http_files(NULL, "/", NULL), -ENOMEM);
    assert_int_equal(leat_http_router_error(NULL, NULL), -ENOMEM);
    leat_http_router_destroy(NULL);
}

static void test_no_parameters_without_a_match(void **state)
{
    struct leat_http_request request = {.match = NULL};
    assert_null(leat_http_param(&request, "name"));
    assert_null(leat_http_pattern(&request));
}

static void test_files(void **state)
{
    struct test *test = *state;
    struct sim *sim = test->world.sim;
    assert_int_equal(sim_file_add(sim, "root/file.txt", 1, 10), 0);
    assert_int_equal(sim_file_add(sim, "root/.secret", 1, 10), 0);
    assert_int_equal(sim_file_add(sim, "root/a b/index.html", 1, 20), 0);
    assert_int_equal(sim_file_add(sim, "root/.git/config", 1, 10), 0);
    assert_int_equal(sim_directory_add(sim, "root/empty"), 0);
    assert_int_equal(sim_directory_add(sim, "root/odd/index.html"), 0);
    assert_int_equal(sim_file_add(sim, "outside", 1, 10), 0);
    assert_int_equal(leat_root_open("root", &test->world.root), 0);
    struct leat_root *root = test->world.root;
    assert_int_equal(leat_http_files(test->router, "/static/", root), 0);
    assert_int_equal(leat_http_files(test->router, "/{user}/files", root), 0);
    assert_int_equal(leat_http_files(leat_http_group(test->router, "/deep"), "/", root), 0);
    assert_int_equal(leat_http_router_error(test->router, NULL), 0);
    serve(test);
    expect_field(test, "GET /static/file.txt", 200, "Content-Length", "10", NULL);
    expect_field(test, "HEAD /static/file.txt", 200, "Content-Length", "10", NULL);
    expect_field(test, "GET /joe/files/file.txt", 200, "Content-Length", "10", NULL);
    expect_field(test, "GET /deep/file.txt", 200, "Content-Length", "10", NULL);
    expect(test, "GET /static/x/../file.txt", 200, NULL);
    expect(test, "GET /static//file.txt", 200, NULL);
    expect_field(test, "GET /static/a%20b/", 200, "Content-Length", "20", NULL);
    expect_field(test, "GET /static/a%20b/.", 200, "Content-Length", "20", NULL);
    expect_field(test, "GET /static/a%20b?x=1&y", 301, "Location", "/static/a%20b/?x=1&y", NULL);
    expect_field(test, "GET /joe/files/a%20b", 301, "Location", "/joe/files/a%20b/", NULL);
    /* Neither leads to another host. */
    expect_field(test, "GET /deep//empty", 301, "Location", "/deep/empty/", NULL);
    expect(test, "GET /\\host/files/empty", 404, NULL);
    static const char *const absent[] = {
        "/static/",
        "/static",
        "/static/empty/",
        "/static/odd/",
        "/static/nobody",
        "/static/.secret",
        "/static/.git/config",
        "/static/%2egit/config",
        "/static/../outside",
        "/static/%2e%2e/outside",
        "/static/..%2Foutside",
        "/static/file.txt/",
    };
    for (unsigned index = 0; index < sizeof absent / sizeof absent[0]; index++) {
        char request[64];
        snprintf(request, sizeof request, "GET %s", absent[index]);
        expect(test, request, 404, NULL);
    }
    expect_field(test, "POST /static/file.txt", 405, "Allow", "GET, HEAD, OPTIONS", NULL);
    expect(test, "GET /static/%00", 400, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_routes_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_groups_nest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_middleware_stands_around, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_middleware_may_refuse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits_of_a_route, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_are_kept, set_up, tear_down),
        cmocka_unit_test(test_bad_prefixes_are_errors),
        cmocka_unit_test(test_no_parameters_without_a_match),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("http/router", tests, NULL, NULL);
}
