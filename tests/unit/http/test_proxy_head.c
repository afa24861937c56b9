/* SPDX-License-Identifier: MIT */
/* Heads as a proxy passes them on: each case is a head, what is known beside it, and the text that
 * must come out, down to the byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/slice.h"
#include "http/proxy_head.h"
#include "leat/error.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AUTHORITY "up:9000"
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
/* What follows each request's own lines. */
#define FROM_HOST(peer, quoted, host)                                                              \
    "Forwarded: for=" quoted ";host=\"" host "\";proto=http\r\n"                                   \
    "X-Forwarded-For: " peer "\r\nX-Forwarded-Host: " host "\r\nX-Forwarded-Proto: http\r\n"
#define FROM FROM_HOST("192.0.2.60", "192.0.2.60", "mill")
#define VIA "Via: 1.1 leat\r\n\r\n"

static struct leat_address address(const char *text)
{
    struct leat_address parsed;
    assert_int_equal(leat_address_parse(text, &parsed, NULL), 0);
    return parsed;
}

static void parse_request(const char *text, struct http1_request *request)
{
    const int size = http1_parse_request(slice_from_text(text), 0, NULL, request);
    if (size != (int)strlen(text))
        fail_msg("%d at %zu of %s", size, request->head.error_position, text);
}

static void parse_response(const char *text, struct http1_response *response)
{
    const int size = http1_parse_response(slice_from_text(text), 0, NULL, response);
    if (size != (int)strlen(text))
        fail_msg("%d at %zu of %s", size, response->head.error_position, text);
}

struct request_case {
    const char *text;
    struct proxy_request_facts facts; /* what is not set is filled in */
    const char *peer;
    const char *base;
    const char *expected; /* NULL: `error` */
    int error;
};

static ssize_t write_request(const struct request_case *c, char *out, size_t size)
{
    struct http1_request request;
    const struct leat_address peer = address(c->peer ? c->peer : "192.0.2.60:1234");
    parse_request(c->text, &request);
    struct proxy_request_facts facts = c->facts;
    facts.authority = SLICE(AUTHORITY);
    facts.via = SLICE("leat");
    facts.peer = &peer;
    facts.base = slice_from_text(c->base ? c->base : "");
    return proxy_head_request(&request, &facts, out, size);
}

static void check_requests(const struct request_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char out[4096];
        const ssize_t size = write_request(&cases[i], out, sizeof out - 1);
        if (!cases[i].expected) {
            assert_int_equal(size, cases[i].error);
            continue;
        }
        assert_true(size > 0);
        out[size] = '\0';
        assert_string_equal(out, cases[i].expected);
        /* No room for its last byte: nothing is half written and called whole. */
        for (ssize_t less = 0; less < size; less++)
            assert_int_equal(write_request(&cases[i], out, (size_t)less), -LEAT_E_LIMIT);
    }
}

#define GET "GET / HTTP/1.1\r\nHost: mill\r\n"
#define GOT "GET / HTTP/1.1\r\nHost: up:9000\r\n"

static void requests_go_along(void **state)
{
    (void)state;
    static const struct request_case cases[] = {
        {.text = GET "\r\n", .expected = GOT FROM VIA},
        {.text = GET "Accept:\t*/*  \r\nX-Own:\r\nx-own: 2\r\nCookie: a=b\r\n\r\n",
         .expected = GOT "Accept: */*\r\nX-Own: \r\nx-own: 2\r\nCookie: a=b\r\n" FROM VIA},
        {.text = GET "\r\n",
         .facts = {.passes_host = true},
         .expected = "GET / HTTP/1.1\r\nHost: mill\r\n" FROM VIA},
        {.text = "BREW /pot HTTP/1.9\r\nHost: mill\r\n\r\n",
         .expected = "BREW /pot HTTP/1.1\r\nHost: up:9000\r\n" FROM "Via: 1.9 leat\r\n\r\n"},
        {.text = "GET / HTTP/1.0\r\n\r\n",
         .facts = {.passes_host = true},
         .expected = GOT "Forwarded: for=192.0.2.60;proto=http\r\nX-Forwarded-For: 192.0.2.60\r\n"
                         "X-Forwarded-Proto: http\r\nVia: 1.0 leat\r\n\r\n"},
        /* Whoever was asked before us, and how: the list goes on. */
        {.text = GET "Via: 1.0 fred, 1.1 p.example.net\r\nVia: 2 cdn\r\n\r\n",
         .expected = GOT "Via: 1.0 fred, 1.1 p.example.net\r\nVia: 2 cdn\r\n" FROM VIA},
    };
    check_requests(cases, COUNT(cases));
}

static void targets_are_those_of_the_origin(void **state)
{
    (void)state;
    static const struct request_case cases[] = {
        {.text = "GET /a%2Fb/../c?q=%20&? HTTP/1.1\r\nHost: mill\r\n\r\n",
         .expected = "GET /a%2Fb/../c?q=%20&? HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
        {.text = "GET /? HTTP/1.1\r\nHost: mill\r\n\r\n",
         .expected = "GET /? HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
        {.text = "GET http://mill?q HTTP/1.1\r\nHost: other\r\n\r\n",
         .facts = {.passes_host = true},
         .expected = "GET /?q HTTP/1.1\r\nHost: mill\r\n" FROM VIA},
        {.text = "OPTIONS * HTTP/1.1\r\nHost: mill\r\n\r\n",
         .base = "/base",
         .expected = "OPTIONS * HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
        {.text = "OPTIONS http://mill HTTP/1.1\r\nHost: mill\r\n\r\n",
         .expected = "OPTIONS * HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
        {.text = "OPTIONS http://mill/ HTTP/1.1\r\nHost: mill\r\n\r\n",
         .expected = "OPTIONS / HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
        {.text = "OPTIONS http://mill?q HTTP/1.1\r\nHost: mill\r\n\r\n",
         .expected = "OPTIONS /?q HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
        {.text = "GET http://mill HTTP/1.1\r\nHost: mill\r\n\r\n", .expected = GOT FROM VIA},
        {.text = "GET /api/x?y HTTP/1.1\r\nHost: mill\r\n\r\n",
         .facts = {.prefix_size = 4},
         .base = "/base",
         .expected = "GET /base/x?y HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
        {.text = "GET /api HTTP/1.1\r\nHost: mill\r\n\r\n",
         .facts = {.prefix_size = 4},
         .expected = GOT FROM VIA},
        {.text = "GET /api?y HTTP/1.1\r\nHost: mill\r\n\r\n",
         .facts = {.prefix_size = 4},
         .base = "/base",
         .expected = "GET /base?y HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
    };
    check_requests(cases, COUNT(cases));
}

static void paths_stay_below_their_base(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool climbs;
    } cases[] = {
        {"/..", true},           {"/../x", true},         {"/a/../../x", true},
        {"/a/..", false},        {"/a/../b", false},      {"/%2e%2E/x", true},
        {"/..%2fx", true},       {"/%2e./", true},        {"/a/b/../..", false},
        {"/a/%2f/../../", true}, {"//../x", true},        {"/./../x", true},
        {"/.../../x", false},    {"/...", false},         {"/..a", false},
        {"/a..", false},         {"/.a/../b", false},     {"/..;/x", true},
        {"/%252e%252e/", false}, {"/a/..%2F..", true},    {"/.", false},
        {"/a%2f..%2f..", true},  {"/a%2fb/../..", false}, {"/%2", false},
        {"/a;b/..;c", false},    {"/;/../x", true},       {"/.;/..", true},
        {"/..%3bx", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256], out[1024], start[128];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: mill\r\n\r\n", cases[i].path);
        struct request_case c = {.text = text, .base = "/base"};
        ssize_t size = write_request(&c, out, sizeof out);
        if (cases[i].climbs != (size == -EACCES))
            fail_msg("%s below a base: %zd", cases[i].path, size);
        /* With nothing to stay in, the path is the client's (RFC 9110, section 7.7). */
        c.base = NULL;
        size = write_request(&c, out, sizeof out);
        const int start_size = snprintf(start, sizeof start, "GET %s HTTP/1.1\r\n", cases[i].path);
        assert_true(size > start_size);
        assert_memory_equal(out, start, (size_t)start_size);
    }
}

static void the_connection_stays_behind(void **state)
{
    (void)state;
    static const struct request_case cases[] = {
        {.text = GET "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\n"
                     "Proxy-Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
                     "Proxy-Authorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n\r\n",
         .expected = GOT "Authorization: Basic YTpi\r\n" FROM VIA},
        {.text = GET "X-Hop: 1\r\nX-End: 2\r\nConnection: X-HOP, ,close\r\nx-hop: 3\r\n"
                     "Connection: Cookie,Close\r\nCookie: a\r\nClose: 1\r\nX-Ho: 4\r\n\r\n",
         .expected = GOT "X-End: 2\r\nX-Ho: 4\r\n" FROM VIA},
        /* Nobody takes away from us what we say ourselves. */
        {.text = GET "Connection: Host, Via, Forwarded, X-Forwarded-For, X-Forwarded-Host, "
                     "X-Forwarded-Proto, Content-Length\r\nVia: 1.1 x\r\n\r\n",
         .facts = {.trusts_forwarded = true},
         .expected = GOT FROM VIA},
        {.text = "POST / HTTP/1.1\r\nHost: mill\r\nConnection: Content-Length\r\n"
                 "Content-Length: 3\r\n\r\n",
         .facts = {.framing = PROXY_SIZED, .size = 3},
         .expected = "POST / HTTP/1.1\r\nHost: up:9000\r\nContent-Length: 3\r\n" FROM VIA},
        /* Trailers we do hand on. */
        {.text = GET "TE: deflate;q=0.5, Trailers\r\nConnection: te\r\n\r\n",
         .expected = GOT "TE: trailers\r\nConnection: TE\r\n" FROM VIA},
        {.text = GET "TE: trailers\r\n\r\n", .expected = GOT FROM VIA},
        {.text = GET "TE: gzip\r\nConnection: TE\r\n\r\n", .expected = GOT FROM VIA},
        {.text = "GET / HTTP/1.0\r\nHost: mill\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
         .expected = GOT FROM "Via: 1.0 leat\r\n\r\n"},
        {.text = GET "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
         .facts = {.is_upgrade = true},
         .expected = GOT "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
                         "Connection: Upgrade\r\n" FROM VIA},
        {.text = GET "Connection: Upgrade, TE\r\nUpgrade: a\r\nUpgrade: b\r\nTE: trailers\r\n\r\n",
         .facts = {.is_upgrade = true},
         .expected = GOT "Upgrade: a\r\nUpgrade: b\r\nTE: trailers\r\n"
                         "Connection: Upgrade, TE\r\n" FROM VIA},
    };
    check_requests(cases, COUNT(cases));
}

static void connection_has_a_limit(void **state)
{
    (void)state;
    char text[2048], out[4096];
    for (unsigned options = PROXY_HEAD_OPTIONS_MAX; options <= PROXY_HEAD_OPTIONS_MAX + 1;
         options++) {
        size_t size = (size_t)snprintf(text, sizeof text, GET "Connection: a");
        for (unsigned i = 1; i < options; i++)
            size += (size_t)snprintf(text + size, sizeof text - size, ",a%u", i);
        snprintf(text + size, sizeof text - size, "\r\nA63: x\r\n\r\n");
        const struct request_case c = {.text = text};
        const ssize_t written = write_request(&c, out, sizeof out);
        if (options > PROXY_HEAD_OPTIONS_MAX)
            assert_int_equal(written, -LEAT_E_LIMIT);
        else
            assert_int_equal(written, strlen(GOT FROM VIA));
    }
}

static void bodies_are_framed_once(void **state)
{
    (void)state;
    static const struct request_case cases[] = {
        {.text = "PUT / HTTP/1.1\r\nHost: mill\r\nTransfer-Encoding: Chunked\r\nTrailer: X\r\n\r\n",
         .facts = {.framing = PROXY_CHUNKED},
         .expected = "PUT / HTTP/1.1\r\nHost: up:9000\r\nTrailer: X\r\n"
                     "Transfer-Encoding: chunked\r\n" FROM VIA},
        {.text = "PUT / HTTP/1.1\r\nHost: mill\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n"
                 "Connection: X\r\n\r\n",
         .facts = {.framing = PROXY_CHUNKED},
         .expected = "PUT / HTTP/1.1\r\nHost: up:9000\r\nTransfer-Encoding: chunked\r\n" FROM VIA},
        {.text = "PUT / HTTP/1.1\r\nHost: mill\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
         .facts = {.framing = PROXY_SIZED, .size = UINT64_MAX},
         .expected = "PUT / HTTP/1.1\r\nHost: up:9000\r\n"
                     "Content-Length: 18446744073709551615\r\n" FROM VIA},
        {.text = "PUT / HTTP/1.1\r\nHost: mill\r\nContent-Length: 007\r\nContent-Length: 7\r\n\r\n",
         .facts = {.framing = PROXY_SIZED, .size = 7},
         .expected = "PUT / HTTP/1.1\r\nHost: up:9000\r\nContent-Length: 7\r\n" FROM VIA},
        {.text = "POST / HTTP/1.1\r\nHost: mill\r\n\r\n",
         .expected = "POST / HTTP/1.1\r\nHost: up:9000\r\nContent-Length: 0\r\n" FROM VIA},
        {.text = GET "Content-Length: 0\r\n\r\n", .expected = GOT "Content-Length: 0\r\n" FROM VIA},
        {.text = "DELETE / HTTP/1.1\r\nHost: mill\r\n\r\n",
         .expected = "DELETE / HTTP/1.1\r\nHost: up:9000\r\n" FROM VIA},
        {.text = "PUT / HTTP/1.1\r\nHost: mill\r\nContent-Length: 7\r\nExpect: 100-Continue\r\n"
                 "\r\n",
         .facts = {.framing = PROXY_SIZED, .size = 7, .expects_continue = true},
         .expected = "PUT / HTTP/1.1\r\nHost: up:9000\r\nContent-Length: 7\r\n"
                     "Expect: 100-continue\r\n" FROM VIA},
        {.text = GET "Expect: the unexpected\r\n\r\n", .expected = GOT FROM VIA},
    };
    check_requests(cases, COUNT(cases));
}

static void who_asked_is_told(void **state)
{
    (void)state;
#define CLAIMS                                                                                     \
    "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: bank\r\n"             \
    "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n"
    static const struct request_case cases[] = {
        {.text = GET CLAIMS "x_forwarded_for: 2.2.2.2\r\nX-Forwarded_Ssl: on\r\n"
                            "X-Forwarder: 1\r\nX-Forwarded-: 1\r\n\r\n",
         .expected = GOT "X-Forwarder: 1\r\nX-Forwarded-: 1\r\n" FROM VIA},
        {.text = GET CLAIMS "X-Forwarded-For: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-For:\r\n\r\n",
         .facts = {.trusts_forwarded = true},
         .expected = GOT "Forwarded: for=1.1.1.1\r\nX-Forwarded-Host: bank\r\n"
                         "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n"
                         "Forwarded: for=192.0.2.60;host=\"mill\";proto=http\r\n"
                         "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.60\r\n" VIA},
        {.text = GET "\r\n", .facts = {.trusts_forwarded = true}, .expected = GOT FROM VIA},
        {.text = GET "\r\n",
         .peer = "[2001:db8::1]:80",
         .expected = GOT FROM_HOST("2001:db8::1", "\"[2001:db8::1]\"", "mill") VIA},
        {.text = GET "\r\n",
         .peer = "[fe80::1%2]:80",
         .expected = GOT FROM_HOST("fe80::1", "\"[fe80::1]\"", "mill") VIA},
        {.text = GET "\r\n",
         .peer = "[::ffff:203.0.113.255]:80",
         .expected = GOT FROM_HOST("203.0.113.255", "203.0.113.255", "mill") VIA},
        {.text = GET "\r\n",
         .peer = "unix:/run/mill",
         .expected = GOT FROM_HOST("unknown", "unknown", "mill") VIA},
        {.text = "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
         .expected = GOT FROM_HOST("192.0.2.60", "192.0.2.60", "[::1]:80") VIA},
        {.text = "GET / HTTP/1.1\r\nHost:\r\n\r\n",
         .facts = {.passes_host = true},
         .expected = GOT "Forwarded: for=192.0.2.60;proto=http\r\nX-Forwarded-For: 192.0.2.60\r\n"
                         "X-Forwarded-Proto: http\r\n" VIA},
    };
    check_requests(cases, COUNT(cases));
}

static void forwards_are_counted(void **state)
{
    (void)state;
#define TRACE(line) "TRACE / HTTP/1.1\r\nHost: mill\r\n" line "\r\n"
#define TRACED(line) "TRACE / HTTP/1.1\r\nHost: up:9000\r\n" line FROM VIA
    static const struct request_case cases[] = {
        {.text = TRACE("Max-Forwards: 10\r\n"), .expected = TRACED("Max-Forwards: 9\r\n")},
        {.text = TRACE("Max-Forwards: 10\r\nMax-Forwards: 3\r\n"),
         .expected = TRACED("Max-Forwards: 9\r\n")},
        {.text = TRACE("Max-Forwards: 99999999999999999999\r\n"),
         .expected = TRACED("Max-Forwards: 18446744073709551614\r\n")},
        {.text = TRACE("Max-Forwards: -1\r\n"), .expected = TRACED("")},
        {.text = TRACE(""), .expected = TRACED("")},
        {.text = "OPTIONS * HTTP/1.1\r\nHost: mill\r\nMax-Forwards: 1\r\n\r\n",
         .expected = "OPTIONS * HTTP/1.1\r\nHost: up:9000\r\nMax-Forwards: 0\r\n" FROM VIA},
        {.text = GET "Max-Forwards: 0\r\n\r\n", .expected = GOT "Max-Forwards: 0\r\n" FROM VIA},
    };
    check_requests(cases, COUNT(cases));
    static const struct {
        const char *text;
        bool ends;
    } ends[] = {
        {TRACE("Max-Forwards: 0\r\n"), true},
        {TRACE("Max-Forwards: 000\r\n"), true},
        {TRACE("Max-Forwards: 1\r\n"), false},
        {TRACE("Max-Forwards: x\r\n"), false},
        {TRACE(""), false},
        {"OPTIONS * HTTP/1.1\r\nHost: mill\r\nMax-Forwards: 0\r\n\r\n", true},
        {GET "Max-Forwards: 0\r\n\r\n", false},
    };
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct http1_request request;
        parse_request(ends[i].text, &request);
        assert_int_equal(proxy_head_ends_here(&request), ends[i].ends);
    }
}

static void upgrades_are_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool asks;
    } cases[] = {
        {GET "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", true},
        {GET "Connection: keep-alive, Upgrade\r\nUpgrade: foo/2, websocket\r\n\r\n", true},
        {GET "Upgrade: websocket\r\n\r\n", false},
        {GET "Connection: upgrade\r\n\r\n", false},
        {GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", false},
        {GET "Connection: upgrade\r\nUpgrade: websocket\r\nX: y\r\nUpgrade: foo, H2C\r\n\r\n",
         false},
        {GET "Connection: upgrade\r\nUpgrade: h\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http1_request request;
        parse_request(cases[i].text, &request);
        assert_int_equal(proxy_head_asks_upgrade(&request), cases[i].asks);
    }
}

static void switches_are_to_what_was_asked_for(void **state)
{
    (void)state;
#define SWITCH(lines) "HTTP/1.1 101 Switching Protocols\r\n" lines "\r\n"
    static const struct {
        const char *text;
        bool is_switch;
    } cases[] = {
        {SWITCH("Upgrade: websocket\r\n"), true},
        {SWITCH("Upgrade: WebSocket, tls/1.3\r\n"), true},
        {SWITCH("Upgrade: TLS/1.3\r\nX: y\r\nUpgrade: websocket\r\n"), true},
        {SWITCH("Upgrade: websocket, other\r\n"), false},
        {SWITCH("Upgrade: tls\r\n"), false},
        {SWITCH("Upgrade:\r\n"), false},
        {SWITCH(""), false},
    };
    struct http1_request request;
    parse_request(GET "Connection: upgrade\r\nUpgrade: x, websocket\r\nUpgrade: TLS/1.3\r\n\r\n",
                  &request);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http1_response response;
        parse_response(cases[i].text, &response);
        assert_int_equal(proxy_head_is_switch(&request, &response), cases[i].is_switch);
    }
}

static void circles_are_seen(void **state)
{
    (void)state;
    static const char *const elements[] = {"1.1 leat", "HTTP/1.1  LEAT (first, second)"};
    static const char *const others[] = {"1.1 leat2", "1.1 lea", "leat", "", "1.1 mill leat"};
    struct http1_request request;
    for (unsigned count = PROXY_HEAD_PASSES_MAX - 1; count <= PROXY_HEAD_PASSES_MAX; count++) {
        char text[4096];
        size_t size = (size_t)snprintf(text, sizeof text, GET);
        for (size_t i = 0; i < COUNT(others); i++)
            size += (size_t)snprintf(text + size, sizeof text - size, "Via: %s\r\n", others[i]);
        size += (size_t)snprintf(text + size, sizeof text - size, "Via: 1.0 x");
        for (unsigned i = 0; i < count; i++)
            size += (size_t)snprintf(text + size, sizeof text - size, "%s%s",
                                     i % 3 ? ", " : "\r\nVia: ", elements[i % 2]);
        snprintf(text + size, sizeof text - size, "\r\n\r\n");
        parse_request(text, &request);
        assert_int_equal(proxy_head_is_loop(&request, SLICE("leat")),
                         count == PROXY_HEAD_PASSES_MAX);
    }
    parse_request(GET "\r\n", &request);
    assert_false(proxy_head_is_loop(&request, SLICE("leat")));
}

static void prefixes_end_at_segments(void **state)
{
    (void)state;
    assert_true(proxy_head_below(SLICE("/api"), SLICE("/api")));
    assert_true(proxy_head_below(SLICE("/api/x"), SLICE("/api")));
    assert_true(proxy_head_below(SLICE("/x"), SLICE("")));
    assert_false(proxy_head_below(SLICE("/apix"), SLICE("/api")));
    assert_false(proxy_head_below(SLICE("/ap"), SLICE("/api")));
    assert_false(proxy_head_below(SLICE("/%61pi/x"), SLICE("/api")));
}

struct response_case {
    const char *text;
    struct proxy_response_facts facts;
    const char *expected;
};

static ssize_t write_response(const struct response_case *c, char *out, size_t size)
{
    struct http1_response response;
    parse_response(c->text, &response);
    struct proxy_response_facts facts = c->facts;
    facts.via = SLICE("leat");
    facts.date_line = SLICE(DATE);
    return proxy_head_response(&response, &facts, out, size);
}

static void check_responses(const struct response_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char out[4096];
        const ssize_t size = write_response(&cases[i], out, sizeof out - 1);
        assert_true(size > 0);
        out[size] = '\0';
        assert_string_equal(out, cases[i].expected);
        for (ssize_t less = 0; less < size; less++)
            assert_int_equal(write_response(&cases[i], out, (size_t)less), -LEAT_E_LIMIT);
    }
}

#define OK "HTTP/1.1 200 OK\r\n"
#define KEPT .keep_alive = true, .client_version = 1

static void answers_go_along(void **state)
{
    (void)state;
    static const struct response_case cases[] = {
        {OK "\r\n", {KEPT}, OK DATE VIA},
        {OK "Date: Mon, 07 Nov 1994 08:49:37 GMT\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
            "X-Forwarded-For: y\r\n\r\n",
         {KEPT},
         OK "Date: Mon, 07 Nov 1994 08:49:37 GMT\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
            "X-Forwarded-For: y\r\n" VIA},
        {"HTTP/1.0 404\r\n\r\n", {KEPT}, "HTTP/1.1 404 \r\n" DATE "Via: 1.0 leat\r\n\r\n"},
        {"HTTP/1.1 299 So  so \r\nVia: 1.1 x\r\n\r\n",
         {KEPT},
         "HTTP/1.1 299 So  so \r\nVia: 1.1 x\r\n" DATE VIA},
        {OK "\r\n", {.client_version = 1}, OK "Connection: close\r\n" DATE VIA},
        {OK "\r\n", {.client_version = 0}, OK "Connection: close\r\n" DATE VIA},
        {OK "\r\n", {.keep_alive = true}, OK "Connection: keep-alive\r\n" DATE VIA},
    };
    check_responses(cases, COUNT(cases));
}

static void the_upstreams_connection_stays_behind(void **state)
{
    (void)state;
    static const struct response_case cases[] = {
        {OK "Connection: close, X-Hop, Date\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: x\r\n"
            "Proxy-Connection: keep-alive\r\nUpgrade: h2,h2c\r\nHTTP2-Settings: x\r\nX-End: 2\r\n"
            "Date: now\r\n\r\n",
         {KEPT},
         OK "X-End: 2\r\n" DATE VIA},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: x\r\n\r\n",
         {.client_version = 1, .is_upgrade = true},
         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n"
         "Connection: Upgrade\r\n" VIA},
        {"HTTP/1.1 426 No\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n"
         "\r\n",
         {KEPT, .framing = PROXY_SIZED},
         "HTTP/1.1 426 No\r\nUpgrade: websocket\r\nContent-Length: 0\r\nConnection: "
         "Upgrade\r\n" DATE VIA},
        {"HTTP/1.1 426 No\r\nUpgrade: websocket\r\n\r\n",
         {.client_version = 1},
         "HTTP/1.1 426 No\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n" DATE VIA},
        {"HTTP/1.1 426 No\r\nUpgrade: websocket\r\n\r\n",
         {.keep_alive = true},
         "HTTP/1.1 426 No\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" DATE VIA},
        {"HTTP/1.1 426 No\r\n\r\n", {KEPT}, "HTTP/1.1 426 No\r\n" DATE VIA},
    };
    check_responses(cases, COUNT(cases));
}

static void answers_are_framed_once(void **state)
{
    (void)state;
    static const struct response_case cases[] = {
        {OK "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
         {KEPT, .framing = PROXY_CHUNKED},
         OK "Trailer: X\r\nTransfer-Encoding: chunked\r\n" DATE VIA},
        {OK "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
         {.framing = PROXY_TO_CLOSE},
         OK "Connection: close\r\n" DATE VIA},
        {OK "Transfer-Encoding: chunked\r\nTrailer: X\r\nConnection: X\r\n\r\n",
         {KEPT, .framing = PROXY_CHUNKED},
         OK "Transfer-Encoding: chunked\r\n" DATE VIA},
        {OK "Content-Length: 010\r\nContent-Length: 10\r\n\r\n",
         {KEPT, .framing = PROXY_SIZED, .size = 10},
         OK "Content-Length: 10\r\n" DATE VIA},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"x\"\r\n\r\n",
         {KEPT, .framing = PROXY_SIZED, .size = 10},
         "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 10\r\n" DATE VIA},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 10\r\n\r\n",
         {KEPT, .framing = PROXY_SIZED, .size = 10},
         "HTTP/1.1 204 No Content\r\n" DATE VIA},
        {"HTTP/1.1 103 Early Hints\r\nContent-Length: 10\r\nLink: </x>\r\n\r\n",
         {.client_version = 1, .framing = PROXY_SIZED, .size = 10},
         "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n" VIA},
        {"HTTP/1.1 100 Continue\r\n\r\n", {KEPT}, "HTTP/1.1 100 Continue\r\n" VIA},
    };
    check_responses(cases, COUNT(cases));
}

static void trailers_are_sifted(void **state)
{
    (void)state;
    static const char lines[] =
        "X-Sum:1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: x\r\nhost: y\r\n"
        "Authorization: z\r\nSet-Cookie: a\r\nTrailer: X\r\nContent-Type: a/b\r\nX_Forwarded_For: "
        "1\r\nConnection: close\r\nVary: *\r\nETag: \t\"a b\" \r\nAge: 1\r\nConTent-LocAtion: /\r\n"
        "Server-Timing:\r\nAccept-Ranges: bytes\r\n\r\n";
    static const char expected[] =
        "X-Sum: 1\r\nETag: \"a b\"\r\nServer-Timing: \r\nAccept-Ranges: bytes\r\n";
    char out[256];
    /* With the empty line and without it. */
    for (size_t cut = 0; cut <= 2; cut += 2) {
        const ssize_t size =
            proxy_head_trailer(slice_of(lines, sizeof lines - 1 - cut), out, sizeof out);
        assert_int_equal(size, sizeof expected - 1);
        assert_memory_equal(out, expected, (size_t)size);
    }
    for (size_t size = 0; size < sizeof expected - 1; size++)
        assert_int_equal(proxy_head_trailer(SLICE(lines), out, size), -LEAT_E_LIMIT);
    assert_int_equal(proxy_head_trailer(slice_of(NULL, 0), NULL, 0), 0);
    assert_int_equal(proxy_head_trailer(SLICE("\r\n"), NULL, 0), 0);
}

static void trailers_that_connection_may_mean_are_let_go(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keeps;
    } cases[] = {
        {GET "\r\n", true},
        {GET "Connection: close\r\n\r\n", true},
        {GET "Connection: Keep-Alive, , TE, upgrade, HTTP2-Settings\r\n\r\n", true},
        {GET "Connection: te\r\nX: y\r\nConnection: X-Sum\r\n\r\n", false},
        {GET "Connection: etag\r\n\r\n", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http1_request request;
        parse_request(cases[i].text, &request);
        assert_int_equal(proxy_head_keeps_trailer(&request.head), cases[i].keeps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_go_along),
        cmocka_unit_test(targets_are_those_of_the_origin),
        cmocka_unit_test(paths_stay_below_their_base),
        cmocka_unit_test(the_connection_stays_behind),
        cmocka_unit_test(connection_has_a_limit),
        cmocka_unit_test(bodies_are_framed_once),
        cmocka_unit_test(who_asked_is_told),
        cmocka_unit_test(forwards_are_counted),
        cmocka_unit_test(upgrades_are_asked_for),
        cmocka_unit_test(switches_are_to_what_was_asked_for),
        cmocka_unit_test(circles_are_seen),
        cmocka_unit_test(prefixes_end_at_segments),
        cmocka_unit_test(answers_go_along),
        cmocka_unit_test(the_upstreams_connection_stays_behind),
        cmocka_unit_test(answers_are_framed_once),
        cmocka_unit_test(trailers_are_sifted),
        cmocka_unit_test(trailers_that_connection_may_mean_are_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
