/* SPDX-License-Identifier: MIT */
/*
 * The table of routes: which pattern answers which method and path. Tables of what the header
 * promises, and random tables and paths against a matcher that knows nothing of tries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "http/routes.h"
#include "leat/error.h"

struct test {
    struct routes routes;
    struct arena arena; /* the request's */
    struct http1_request head;
    struct routes_answer answer;
};

static int set_up(void **state)
{
    struct test *test = calloc(1, sizeof *test);
    assert_non_null(test);
    routes_init(&test->routes);
    arena_init(&test->arena, NULL);
    *state = test;
    return 0;
}

static int tear_down(void **state)
{
    struct test *test = *state;
    routes_fini(&test->routes);
    arena_fini(&test->arena);
    free(test);
    return 0;
}

static void no_handler(struct leat_http_request *request, struct leat_http_response *response,
                       void *user)
{
}

/* "GET /films", or "* /films" for any method; kept until the table is gone. */
static int add(struct test *test, const char *line)
{
    const char *blank = strchr(line, ' ');
    char method[32];
    snprintf(method, sizeof method, "%.*s", (int)(blank - line), line);
    const struct leat_http_route spec = {
        .method = strcmp(method, "*") == 0 ? NULL : method,
        .pattern = arena_copy(&test->routes.arena, slice_from_text(blank + 1)),
        .handler = no_handler,
    };
    return routes_add(&test->routes, &spec, NULL);
}

static void add_all(struct test *test, const char *const *lines)
{
    for (; *lines; lines++)
        if (add(test, *lines) != 0)
            fail_msg("%s could not be added", *lines);
}

static enum http1_method number_of(const char *method)
{
    static const char *const names[] = {"",       "GET",     "HEAD",    "POST",  "PUT",
                                        "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    for (unsigned number = 1; number < sizeof names / sizeof names[0]; number++)
        if (strcmp(names[number], method) == 0)
            return (enum http1_method)number;
    return HTTP1_METHOD_OTHER;
}

/* What a request is answered with; the same until the next. */
static const struct routes_answer *find(struct test *test, const char *method, const char *path)
{
    arena_reset(&test->arena);
    test->head.method = number_of(method);
    test->head.method_text = slice_from_text(method);
    /* Exactly as large as it is, so that ASan sees who reads on. */
    const size_t size = strlen(path);
    char *exact = malloc(size > 0 ? size : 1);
    assert_non_null(exact);
    memcpy(exact, path, size);
    test->head.path = slice_of(exact, size);
    routes_find(&test->routes, &test->head, &test->arena, &test->answer);
    free(exact);
    return &test->answer;
}

/* `expected`: "/films/{name} name=metropolis", or a status such as "404". */
static void expect(struct test *test, const char *method, const char *path, const char *expected)
{
    const struct routes_answer *answer = find(test, method, path);
    char text[512];
    int size = snprintf(text, sizeof text, "%d", answer->status);
    if (answer->status == 0) {
        const struct route *route = answer->match->route;
        size = snprintf(text, sizeof text, "%s", route->pattern);
        for (unsigned index = 0; index < route->parameter_count; index++)
            size += snprintf(text + size, sizeof text - (size_t)size, " %s=%s",
                             route->parameters[index].name, answer->match->values[index]);
    }
    if (strcmp(text, expected) != 0)
        fail_msg("%s %s: '%s', expected '%s'", method, path, text, expected);
}

/* ---- Patterns -------------------------------------------------------------------------------- */

static void test_what_is_spelt_out_goes_first(void **state)
{
    struct test *test = *state;
    static const char *const lines[] = {
        "GET /{path...}",
        "GET /films/{name}",
        "GET /films/new",
        "GET /films",
        "GET /films/",
        "GET /",
        "GET /films/{name}/{part}",
        "GET /films/new/poster",
        "GET /{kind}/{name}/poster",
        "GET /files/{path...}",
        "GET /files/{path}",
        "GET /\xc3\xbc"
        "ber",
        NULL,
    };
    add_all(test, lines);
    expect(test, "GET", "/", "/");
    expect(test, "GET", "/films", "/films");
    expect(test, "GET", "/films/", "/films/");
    expect(test, "GET", "/films/new", "/films/new");
    expect(test, "GET", "/films/news", "/films/{name} name=news");
    expect(test, "GET", "/films/ne", "/films/{name} name=ne");
    expect(test, "GET", "/films/NEW", "/films/{name} name=NEW");
    expect(test, "GET", "/films/new/poster", "/films/new/poster");
    /* "new" leads nowhere from here on: back to the parameter. */
    expect(test, "GET", "/films/new/part", "/films/{name}/{part} name=new part=part");
    /* What is spelt out in the first segment decides, whatever comes behind it. */
    expect(test, "GET", "/films/old/poster", "/films/{name}/{part} name=old part=poster");
    expect(test, "GET", "/series/old/poster", "/{kind}/{name}/poster kind=series name=old");
    /* Nowhere on both ways: the rest. */
    expect(test, "GET", "/films/old/poster/x", "/{path...} path=films/old/poster/x");
    expect(test, "GET", "/files/a", "/files/{path} path=a");
    expect(test, "GET", "/files/a/b", "/files/{path...} path=a/b");
    expect(test, "GET", "/files/", "/files/{path...} path=");
    expect(test, "GET", "/files", "/{path...} path=files");
    expect(test, "GET", "/%C3%BCber",
           "/\xc3\xbc"
           "ber");
}

/* Texts that begin alike or are of one size, of all sizes: no one is taken for another. */
static void test_many_that_are_alike(void **state)
{
    struct test *test = *state;
    char line[512], path[512];
    for (unsigned size = 1; size < 300; size += size < 20 ? 1 : 47)
        for (unsigned at = 0; at < size; at += size < 20 ? 1 : 47) {
            snprintf(line, sizeof line, "GET /%0*d", (int)size, 0);
            assert_int_equal(add(test, line), at == 0 ? 0 : -EEXIST);
            line[5 + at] = 'x';
            assert_int_equal(add(test, line), 0);
            expect(test, "GET", line + 4, line + 4);
            strcpy(path, line + 4);
            path[1 + at] = 'y';
            expect(test, "GET", path, "404");
        }
    for (unsigned size = 1; size < 20; size++)
        for (unsigned at = 0; at < size; at++) {
            snprintf(path, sizeof path, "/%0*d", (int)size, 0);
            path[1 + at] = 'x';
            expect(test, "GET", path, path);
        }
    snprintf(path, sizeof path, "/%0300d", 0); /* longer than any that begins like it */
    expect(test, "GET", path, "404");
}

static void test_segments_are_decoded_one_by_one(void **state)
{
    struct test *test = *state;
    static const char *const lines[] = {
        "GET /films/{name}", "GET /a%2Fb/c", "GET /files/{path...}", "GET /%7Bx%7D", NULL,
    };
    add_all(test, lines);
    expect(test, "GET", "/f%69lms/a", "/films/{name} name=a");
    expect(test, "GET", "/films/a%2Fb", "/films/{name} name=a/b");
    expect(test, "GET", "/films/a%2fb%20c", "/films/{name} name=a/b c");
    expect(test, "GET", "/films%2Fa", "404");
    expect(test, "GET", "/a%2Fb/c", "/a%2Fb/c");
    expect(test, "GET", "/a/b/c", "404");
    expect(test, "GET", "/files/a%2Fb/c%25", "/files/{path...} path=a/b/c%");
    expect(test, "GET", "/files/%2561", "/files/{path...} path=%61"); /* once */
    expect(test, "GET", "/%7bx%7d", "/%7Bx%7D");
    expect(test, "GET", "/{x}", "/%7Bx%7D");
    /* Dots and plus signs are themselves. */
    expect(test, "GET", "/films/..", "/films/{name} name=..");
    expect(test, "GET", "/films/a+b", "/films/{name} name=a+b");
    /* Parameters are not empty, and "//" has a segment that is. */
    expect(test, "GET", "/films/", "404");
    expect(test, "GET", "//films/a", "404");
    expect(test, "GET", "/films//a", "404");
    expect(test, "GET", "/films/a/", "404");
    expect(test, "GET", "/files//a/", "/files/{path...} path=/a/");
}

static void test_bad_paths(void **state)
{
    struct test *test = *state;
    static const char *const lines[] = {"GET /films/{name}", "GET /files/{path...}", NULL};
    static const char *const paths[] = {
        "/films/%00", "/films/a%00b", "/films/%",  "/films/%4",   "/films/%4/",
        "/films/%zz", "/%00/nobody",  "/nobody/%", "/files/a/%0", "/films/a/b/c/d/%00",
    };
    add_all(test, lines);
    for (unsigned index = 0; index < sizeof paths / sizeof paths[0]; index++)
        expect(test, "GET", paths[index], "400");
}

static void test_patterns_that_cannot_be(void **state)
{
    struct test *test = *state;
    static const char *const lines[] = {
        "GET ",
        "GET films",
        "GET /{}",
        "GET /{...}",
        "GET /{a",
        "GET /a}",
        "GET /{a}b",
        "GET /a{b}",
        "GET /{a}{b}",
        "GET /{a...}/b",
        "GET /{a...}/",
        "GET /{a}/{a}",
        "GET /{a}/{a...}",
        "GET /{a b}",
        "GET /{a.}",
        "GET /a//b",
        "GET //",
        "GET //a",
        "GET /a?b",
        "GET /a#b",
        "GET /%",
        "GET /%0",
        "GET /%zz",
        "GET /%00",
        "GET /a\n",
        "GET /\x7f",
        "GE(T /a",
        " /a",
    };
    for (unsigned index = 0; index < sizeof lines / sizeof lines[0]; index++)
        if (add(test, lines[index]) != -EINVAL)
            fail_msg("'%s' was taken", lines[index]);
    assert_int_equal(test->routes.methods, 0);
    expect(test, "GET", "/", "404");
}

static void test_limits(void **state)
{
    struct test *test = *state;
    char line[2 * ROUTES_PATTERN_MAX] = "GET ";
    for (unsigned count = 0; count < ROUTES_SEGMENTS_MAX; count++)
        strcat(line, "/a");
    assert_int_equal(add(test, line), 0);
    expect(test, "GET", line + 4, line + 4);
    strcat(line, "/a");
    assert_int_equal(add(test, line), -EINVAL);
    expect(test, "GET", line + 4, "404");

    strcpy(line, "GET /");
    memset(line + 5, 'x', ROUTES_PATTERN_MAX);
    line[5 + ROUTES_PATTERN_MAX] = '\0';
    assert_int_equal(add(test, line), -EINVAL);
    line[4 + ROUTES_PATTERN_MAX] = '\0';
    assert_int_equal(add(test, line), 0);

    int error = 0;
    unsigned count = 0;
    for (; !error && count < 100; count++) {
        snprintf(line, sizeof line, "METHOD-%u /methods", count);
        error = add(test, line);
    }
    assert_int_equal(error, -LEAT_E_LIMIT);
    assert_in_range(count, 20, ROUTES_METHODS_MAX);
    expect(test, "METHOD-3", "/methods", "/methods");
    expect(test, "METHOD-99", "/methods", "405");
}

static void test_there_already(void **state)
{
    struct test *test = *state;
    static const char *const lines[] = {
        "GET /films/{name}",
        "POST /films/{title}",
        "* /films/{any}",
        "GET /films/{rest...}",
        "GET /f",
        "LINK /f",
        NULL,
    };
    add_all(test, lines);
    assert_int_equal(add(test, "GET /films/{name}"), -EEXIST);
    assert_int_equal(add(test, "GET /films/{other}"), -EEXIST); /* the same paths */
    assert_int_equal(add(test, "* /films/{name}"), -EEXIST);
    assert_int_equal(add(test, "GET /films/{other...}"), -EEXIST);
    assert_int_equal(add(test, "GET /%66"), -EEXIST);
    assert_int_equal(add(test, "LINK /f"), -EEXIST);
    assert_int_equal(add(test, "link /f"), 0); /* methods have a case (RFC 9110, section 9.1) */
    assert_int_equal(add(test, "HEAD /f"), 0);
    /* Names are the route's, not the place's. */
    expect(test, "GET", "/films/x", "/films/{name} name=x");
    expect(test, "POST", "/films/x", "/films/{title} title=x");
    expect(test, "PUT", "/films/x", "/films/{any} any=x");
}

static void test_prefixes(void **state)
{
    struct test *test = *state;
    assert_int_equal(routes_check_prefix(&test->routes, "/api"), 0);
    assert_int_equal(routes_check_prefix(&test->routes, "/api/{version}"), 0);
    assert_int_equal(routes_check_prefix(&test->routes, "/api/{version...}"), -EINVAL);
    assert_int_equal(routes_check_prefix(&test->routes, "/{a}/{a}"), -EINVAL);
    assert_int_equal(routes_check_prefix(&test->routes, "api"), -EINVAL);
    assert_int_equal(routes_check_prefix(&test->routes, "/"), -EINVAL);
    assert_int_equal(routes_check_prefix(&test->routes, "/api/"), -EINVAL);
    assert_int_equal(routes_check_prefix(&test->routes, "//"), -EINVAL);
}

/* ---- Methods --------------------------------------------------------------------------------- */

static void expect_allowed(struct test *test, const char *method, const char *path, int status,
                           const char *expected)
{
    const struct routes_answer *answer = find(test, method, path);
    assert_int_equal(answer->status, status);
    assert_string_equal(routes_allow(&test->routes, answer->methods, &test->arena), expected);
}

static void test_methods(void **state)
{
    struct test *test = *state;
    static const char *const lines[] = {
        "GET /films", "POST /films", "DELETE /films/{name}", "HEAD /own",         "GET /own",
        "* /any",     "GET /any",    "POST /films/new",      "GET /films/{name}", "PURGE /cache",
        "OPTIONS /o", "GET /o",      "GET /h/{x}",           "HEAD /h/{rest...}", NULL,
    };
    add_all(test, lines);
    expect(test, "GET", "/films", "/films");
    expect(test, "HEAD", "/films", "/films");
    expect(test, "HEAD", "/own", "/own");
    assert_int_equal(test->answer.match->route->method, HTTP1_HEAD);
    expect(test, "HEAD", "/any", "/any");
    assert_int_equal(test->answer.match->route->method, HTTP1_GET);
    expect(test, "PATCH", "/any", "/any");
    expect(test, "BREW", "/any", "/any");
    expect(test, "OPTIONS", "/any", "/any");
    expect(test, "OPTIONS", "/o", "/o");
    expect(test, "PURGE", "/cache", "/cache");
    expect(test, "purge", "/cache", "405");
    /* The first place that has a route for the method, or GET's for HEAD, has it. */
    expect(test, "HEAD", "/h/1", "/h/{x} x=1");
    expect(test, "GET", "/films/new", "/films/{name} name=new");
    /* All places that the path leads to have a word in what is allowed. */
    expect_allowed(test, "PUT", "/films/new", 405, "GET, HEAD, POST, DELETE, OPTIONS");
    expect_allowed(test, "PUT", "/films", 405, "GET, HEAD, POST, OPTIONS");
    expect_allowed(test, "BREW", "/films", 405, "GET, HEAD, POST, OPTIONS");
    expect_allowed(test, "HEAD", "/cache", 405, "OPTIONS, PURGE");
    expect_allowed(test, "OPTIONS", "/films/x", 204, "GET, HEAD, DELETE, OPTIONS");
    expect(test, "OPTIONS", "/nobody", "404");
    expect(test, "PUT", "/nobody", "404");
}

static void test_options_of_the_server(void **state)
{
    struct test *test = *state;
    static const char *const lines[] = {"GET /films", "PATCH /{name}", "PURGE /{name}", NULL};
    expect_allowed(test, "OPTIONS", "", 204, "OPTIONS");
    add_all(test, lines);
    expect_allowed(test, "OPTIONS", "", 204, "GET, HEAD, OPTIONS, PATCH, PURGE");
}

/* ---- Cost ------------------------------------------------------------------------------------ */

/* Every word of a's and parameters, twelve segments long, and none that answers GET: whoever went
 * back and forth without bounds would look at 2^12 places for each; and paths of any length. */
static void test_the_worst(void **state)
{
    struct test *test = *state;
    enum { DEPTH = 12, LONG = 8000 };
    for (unsigned word = 0; word < 1u << DEPTH; word++) {
        char line[256] = "POST ";
        for (unsigned index = 0; index < DEPTH; index++) {
            char segment[8];
            snprintf(segment, sizeof segment, "/{p%u}", index);
            strcat(line, word >> index & 1 ? segment : "/a");
        }
        assert_int_equal(add(test, line), 0);
    }
    for (unsigned round = 0; round < 100; round++)
        expect(test, "GET", "/a/a/a/a/a/a/a/a/a/a/a/a", "405");
    char *path = malloc(LONG + 1);
    assert_non_null(path);
    for (unsigned index = 0; index < LONG; index++)
        path[index] = index % 2 ? 'a' : '/';
    path[LONG] = '\0';
    for (unsigned round = 0; round < 100; round++)
        expect(test, "POST", path, "404");
    memset(path, '/', LONG);
    expect(test, "POST", path, "404");
    memset(path + 1, 'a', LONG - 1);
    expect(test, "POST", path, "404");
    assert_int_equal(add(test, "GET /{path...}"), 0);
    assert_int_equal(find(test, "GET", path)->status, 0);
    assert_string_equal(test->answer.match->values[0], path + 1);
    free(path);
}

/* ---- Against another matcher ----------------------------------------------------------------- */

enum { NAIVE_ROUTES = 24, NAIVE_SEGMENTS = 5 };

struct naive_route {
    const char *method; /* NULL: any */
    char pattern[64];
};

/* Segment by segment: 't' for text, 'p', 'r', as many as it has; empty when it does not match. */
static void match_naively(const char *pattern, const char *path, char *ret_kinds)
{
    char *kind = ret_kinds;
    for (;;) {
        const size_t size = strcspn(++pattern, "/"), path_size = strcspn(++path, "/");
        if (size > 4 && memcmp(pattern + size - 4, "...}", 4) == 0) {
            *kind++ = 'r';
            break;
        }
        const bool is_parameter = pattern[0] == '{';
        if (is_parameter ? path_size == 0 : size != path_size || memcmp(pattern, path, size) != 0) {
            kind = ret_kinds;
            break;
        }
        *kind++ = is_parameter ? 'p' : 't';
        pattern += size;
        path += path_size;
        if (!*pattern != !*path)
            kind = ret_kinds;
        if (!*pattern || !*path)
            break;
    }
    *kind = '\0';
}

/* 't' before 'p' before 'r'. */
static bool goes_before(const char *kinds, const char *other)
{
    static const char order[] = "tpr";
    while (*kinds && *kinds == *other)
        kinds++, other++;
    return *kinds && (!*other || strchr(order, *kinds) < strchr(order, *other));
}

/* How well a route answers a method: 0, not at all. */
static int rank(const struct naive_route *route, const char *method)
{
    if (!route->method)
        return 1;
    if (strcmp(route->method, method) == 0)
        return 3;
    return strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0 ? 2 : 0;
}

/* The pattern that answers, or a status. */
static void find_naively(const struct naive_route *routes, unsigned count, const char *method,
                         const char *path, char *ret_text)
{
    const struct naive_route *best = NULL;
    char best_kinds[NAIVE_SEGMENTS + 1] = "", kinds[NAIVE_SEGMENTS + 1];
    bool is_there = false;
    for (unsigned index = 0; index < count; index++) {
        match_naively(routes[index].pattern, path, kinds);
        if (!kinds[0])
            continue;
        is_there = true;
        if (rank(&routes[index], method) == 0)
            continue;
        if (!best || goes_before(kinds, best_kinds) ||
            (strcmp(kinds, best_kinds) == 0 && rank(&routes[index], method) > rank(best, method))) {
            best = &routes[index];
            strcpy(best_kinds, kinds);
        }
    }
    if (best)
        strcpy(ret_text, best->pattern);
    else
        strcpy(ret_text, !is_there ? "404" : strcmp(method, "OPTIONS") == 0 ? "204" : "405");
}

static void random_pattern(struct random *random, char *ret_pattern)
{
    static const char *const texts[] = {"a", "b", "ab", "ba", "abc"};
    const unsigned count = 1 + (unsigned)random_below(random, NAIVE_SEGMENTS - 1);
    char *end = ret_pattern;
    for (unsigned index = 0; index < count; index++) {
        const bool is_last = index == count - 1;
        const uint64_t die = random_below(random, 10);
        if (die < 4)
            end += sprintf(end, "/{p%u}", index);
        else if (is_last && die == 4)
            end += sprintf(end, "/{r...}");
        else if (is_last && die == 5)
            end += sprintf(end, "/");
        else
            end += sprintf(end, "/%s", texts[random_below(random, 5)]);
    }
}

static void random_path(struct random *random, char *ret_path)
{
    static const char *const texts[] = {"a", "b", "ab", "ba", "abc", "", "x"};
    const unsigned count = 1 + (unsigned)random_below(random, NAIVE_SEGMENTS + 1);
    char *end = ret_path;
    for (unsigned index = 0; index < count; index++)
        end += sprintf(end, "/%s", texts[random_below(random, random_below(random, 4) ? 3 : 7)]);
}

/* The same path with some of its characters encoded. */
static void encode_some(struct random *random, const char *path, char *ret_path)
{
    for (; *path; path++)
        ret_path += *path != '/' && random_below(random, 4) == 0
                        ? sprintf(ret_path, "%%%02X", *path)
                        : sprintf(ret_path, "%c", *path);
    *ret_path = '\0';
}

static void compare_random_tables(uint64_t seed)
{
    static const char *const methods[] = {"GET", "GET", "HEAD", "POST", "OPTIONS", "BREW", NULL};
    struct random random;
    random_init(&random, seed);
    void *state;
    set_up(&state);
    struct test *test = state;
    struct naive_route routes[NAIVE_ROUTES];
    unsigned count = 0;
    while (count < 1 + seed % NAIVE_ROUTES) {
        struct naive_route *route = &routes[count];
        char line[96];
        route->method = methods[random_below(&random, 7)];
        random_pattern(&random, route->pattern);
        snprintf(line, sizeof line, "%s %s", route->method ? route->method : "*", route->pattern);
        const int error = add(test, line);
        if (error != -EEXIST)
            assert_int_equal(error, 0);
        if (error) /* the seed's last routes may all be there already */
            random_next(&random);
        else
            count++;
    }
    for (unsigned round = 0; round < 200; round++) {
        const char *method = methods[random_below(&random, 6)];
        char path[64], sent[192], expected[64], found[64];
        random_path(&random, path);
        encode_some(&random, path, sent);
        find_naively(routes, count, method, path, expected);
        const struct routes_answer *answer = find(test, method, sent);
        if (answer->status == 0)
            snprintf(found, sizeof found, "%s", answer->match->route->pattern);
        else
            snprintf(found, sizeof found, "%d", answer->status);
        if (strcmp(found, expected) != 0)
            fail_msg("seed %d: %s %s: %s, expected %s", (int)seed, method, sent, found, expected);
    }
    tear_down(&state);
}

static void test_against_a_naive_matcher(void **state)
{
    for (uint64_t seed = 0; seed < 500; seed++)
        compare_random_tables(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_spelt_out_goes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_that_are_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_segments_are_decoded_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_patterns_that_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_there_already, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prefixes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_methods, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_options_of_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_worst, set_up, tear_down),
        cmocka_unit_test(test_against_a_naive_matcher),
    };
    return cmocka_run_group_tests_name("http/routes", tests, NULL, NULL);
}
