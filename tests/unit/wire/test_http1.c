/* SPDX-License-Identifier: MIT */
/*
 * Heads, good and bad, by the table. Each is also fed cut in two at every place, and byte by byte,
 * from buffers of exactly their size: the outcome must be the same, and never come too early.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/http1.h"

#define END "\r\n\r\n"
#define HOST "\r\nHost: x"
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Outcomes as text ------------------------------------------------------------------------ */

struct text {
    char data[32 * 1024];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size =
        vsnprintf(text->data + text->size, sizeof(text->data) - text->size, format, arguments);
    va_end(arguments);
    assert_true(size >= 0 && text->size + (size_t)size < sizeof(text->data));
    text->size += (size_t)size;
}

static void put_slice(struct text *text, const char *label, struct leat_slice slice)
{
    if (slice.data)
        put(text, " %s=%.*s", label, (int)slice.size, slice.data);
}

/* All that framing depends on, and every field: two outcomes are the same if this is. */
static void describe_head(struct text *text, const struct http1_head *head)
{
    put(text, " 1.%u %s", head->minor_version, head->keep_alive ? "keep" : "close");
    if (head->has_content_length)
        put(text, " length=%llu", (unsigned long long)head->content_length);
    if (head->is_chunked)
        put(text, " chunked");
    if (head->wants_upgrade)
        put(text, " upgrade");
}

static void describe_lines(struct text *text, const struct http1_head *head)
{
    for (size_t i = 0; i < head->line_count; i++) {
        const struct http1_line *line = &head->lines[i];
        put(text, "|%.*s:%.*s:%s", (int)line->name.size, line->name.data, (int)line->value.size,
            line->value.data, http1_field_name(line->field));
    }
}

static void describe_request(struct text *text, int result, const struct http1_request *request)
{
    static const char *const forms[] = {"origin", "absolute", "authority", "asterisk"};
    text->size = 0;
    if (result <= 0) {
        put(text, result == 0 ? "more" : "%d at %zu", result, request->head.error_position);
        return;
    }
    put(text, "%d %.*s/%d %s", result, (int)request->method_text.size, request->method_text.data,
        request->method, forms[request->form]);
    if (request->is_https)
        put(text, " https");
    put_slice(text, "path", request->path);
    put_slice(text, "query", request->query);
    put_slice(text, "host", request->host);
    describe_head(text, &request->head);
    if (request->expect_continue)
        put(text, " expect");
    describe_lines(text, &request->head);
}

static void describe_response(struct text *text, int result, const struct http1_response *response)
{
    text->size = 0;
    if (result <= 0) {
        put(text, result == 0 ? "more" : "%d at %zu", result, response->head.error_position);
        return;
    }
    put(text, "%d %d", result, response->status);
    put_slice(text, "reason", response->reason);
    describe_head(text, &response->head);
    describe_lines(text, &response->head);
}

/* ---- Feeding --------------------------------------------------------------------------------- */

enum kind { REQUEST, RESPONSE };

/* The outcome for the first `size` bytes of `head`, which lie in memory of just that size. */
static int parse_prefix(enum kind kind, struct leat_slice head, size_t size, size_t scanned,
                        const struct http1_limits *limits, struct text *text)
{
    static struct http1_request request;
    static struct http1_response response;
    char *exact = malloc(size > 0 ? size : 1);
    assert_non_null(exact);
    memcpy(exact, head.data, size);
    const struct leat_slice input = slice_of(exact, size);
    int result;
    if (kind == REQUEST) {
        memset(&request, 0xa5, sizeof(request));
        result = http1_parse_request(input, scanned, limits, &request);
        describe_request(text, result, &request);
    } else {
        memset(&response, 0xa5, sizeof(response));
        result = http1_parse_response(input, scanned, limits, &response);
        describe_response(text, result, &response);
    }
    free(exact);
    return result;
}

/* Feeds the head whole, cut at every place, and byte by byte; leaves the outcome in `whole`. */
static int feed(enum kind kind, struct leat_slice head, const struct http1_limits *limits,
                struct text *whole)
{
    static struct text piece;
    const int result = parse_prefix(kind, head, head.size, 0, limits, whole);
    size_t scanned = 0;
    bool decided = false;
    for (size_t cut = 0; cut <= head.size; cut++) {
        int part = parse_prefix(kind, head, cut, 0, limits, &piece);
        /* A head is complete with its last byte, and no sooner. */
        assert_false(result > 0 && part != (cut < (size_t)result ? 0 : result));
        if (part == 0)
            part = parse_prefix(kind, head, head.size, cut, limits, &piece);
        assert_int_equal(part, result);
        assert_string_equal(piece.data, whole->data);
        if (decided)
            continue;
        part = parse_prefix(kind, head, cut, scanned, limits, &piece);
        decided = part != 0;
        scanned = cut;
        if (decided)
            assert_string_equal(piece.data, whole->data);
    }
    assert_int_equal(decided, result != 0);
    return result;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void good_requests(void **state)
{
    static const struct {
        const char *head, *outcome; /* without its size */
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: localhost:8080" END,
         "GET/1 origin path=/ host=localhost:8080 1.1 keep|Host:localhost:8080:host"},
        {"GET /film.mp4?t=1&x HTTP/1.1\r\nHost: h\r\nUser-Agent: curl/7.88.1\r\nAccept: */*" END,
         "GET/1 origin path=/film.mp4 query=t=1&x host=h 1.1 keep"
         "|Host:h:host|User-Agent:curl/7.88.1:user-agent|Accept:*/*:accept"},
        {"\r\nHEAD /? HTTP/1.1" HOST END,
         "HEAD/2 origin path=/ query= host=x 1.1 keep|Host:x:host"},
        {"GET / HTTP/1.0" END, "GET/1 origin path=/ 1.0 close"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive" END,
         "GET/1 origin path=/ 1.0 keep|Connection:Keep-Alive:connection"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close" END,
         "GET/1 origin path=/ 1.0 close|Connection:keep-alive, close:connection"},
        {"GET / HTTP/1.1" HOST "\r\nConnection: a ,CLOSE" END,
         "GET/1 origin path=/ host=x 1.1 close|Host:x:host|Connection:a ,CLOSE:connection"},
        {"GET / HTTP/1.1" HOST "\r\nConnection: Upgrade\r\nConnection: close\r\nUpgrade: ws" END,
         "GET/1 origin path=/ host=x 1.1 close upgrade|Host:x:host|Connection:Upgrade:connection"
         "|Connection:close:connection|Upgrade:ws:upgrade"},
        {"GET / HTTP/1.1" HOST "\r\nConnection: closed, keep-alive-not, \"close\"" END,
         "GET/1 origin path=/ host=x 1.1 keep|Host:x:host"
         "|Connection:closed, keep-alive-not, \"close\":connection"},
        /* a minor version we do not know is treated as 1 */
        {"GET / HTTP/1.9" HOST END, "GET/1 origin path=/ host=x 1.9 keep|Host:x:host"},
        /* every method, and one that is not ours; they are case-sensitive */
        {"POST / HTTP/1.1" HOST "\r\nContent-Length: 0" END,
         "POST/3 origin path=/ host=x 1.1 keep length=0|Host:x:host"
         "|Content-Length:0:content-length"},
        {"PUT / HTTP/1.1" HOST END, "PUT/4 origin path=/ host=x 1.1 keep|Host:x:host"},
        {"DELETE / HTTP/1.1" HOST END, "DELETE/5 origin path=/ host=x 1.1 keep|Host:x:host"},
        {"TRACE / HTTP/1.1" HOST END, "TRACE/8 origin path=/ host=x 1.1 keep|Host:x:host"},
        {"PATCH / HTTP/1.1" HOST END, "PATCH/9 origin path=/ host=x 1.1 keep|Host:x:host"},
        {"get / HTTP/1.1" HOST END, "get/0 origin path=/ host=x 1.1 keep|Host:x:host"},
        {"GETS / HTTP/1.1" HOST END, "GETS/0 origin path=/ host=x 1.1 keep|Host:x:host"},
        {"G / HTTP/1.1" HOST END, "G/0 origin path=/ host=x 1.1 keep|Host:x:host"},
        {"M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.1" HOST END,
         "M-SEARCH!#$%&'*+.^_`|~/0 origin path=/ host=x 1.1 keep|Host:x:host"},
        /* the other forms of a target */
        {"OPTIONS * HTTP/1.1" HOST END, "OPTIONS/7 asterisk host=x 1.1 keep|Host:x:host"},
        {"CONNECT h.net:443 HTTP/1.1" HOST END,
         "CONNECT/6 authority host=h.net:443 1.1 keep|Host:x:host"},
        {"CONNECT [::1]:443 HTTP/1.1" HOST END,
         "CONNECT/6 authority host=[::1]:443 1.1 keep|Host:x:host"},
        {"GET http://h.net:80/a/b?c HTTP/1.1" HOST END,
         "GET/1 absolute path=/a/b query=c host=h.net:80 1.1 keep|Host:x:host"},
        {"GET HTTPS://[2001:db8::1] HTTP/1.1" HOST END,
         "GET/1 absolute https path=/ host=[2001:db8::1] 1.1 keep|Host:x:host"},
        {"GET http://h?q HTTP/1.1" HOST END,
         "GET/1 absolute path=/ query=q host=h 1.1 keep|Host:x:host"},
        {"GET /http://h/ HTTP/1.1" HOST END,
         "GET/1 origin path=/http://h/ host=x 1.1 keep|Host:x:host"},
        {"GET //h/..\\<>\"{}|^` HTTP/1.1" HOST END,
         "GET/1 origin path=//h/..\\<>\"{}|^` host=x 1.1 keep|Host:x:host"},
        /* hosts */
        {"GET / HTTP/1.1\r\nHost:" END, "GET/1 origin path=/ host= 1.1 keep|Host::host"},
        {"GET / HTTP/1.1\r\nHost: [::1]:8080" END,
         "GET/1 origin path=/ host=[::1]:8080 1.1 keep|Host:[::1]:8080:host"},
        {"GET / HTTP/1.1\r\nHost: a%20b_c:" END,
         "GET/1 origin path=/ host=a%20b_c: 1.1 keep|Host:a%20b_c::host"},
        {"GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8]" END,
         "GET/1 origin path=/ host=[1:2:3:4:5:6:7:8] 1.1 keep|Host:[1:2:3:4:5:6:7:8]:host"},
        {"GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7::]" END,
         "GET/1 origin path=/ host=[1:2:3:4:5:6:7::] 1.1 keep|Host:[1:2:3:4:5:6:7::]:host"},
        {"GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:1.2.3.4]" END,
         "GET/1 origin path=/ host=[1:2:3:4:5:6:1.2.3.4] 1.1 keep"
         "|Host:[1:2:3:4:5:6:1.2.3.4]:host"},
        {"GET / HTTP/1.1\r\nHost: [::FFFF:0.20.255.100]:" END,
         "GET/1 origin path=/ host=[::FFFF:0.20.255.100]: 1.1 keep"
         "|Host:[::FFFF:0.20.255.100]::host"},
        {"GET / HTTP/1.1\r\nHost: [::]" END,
         "GET/1 origin path=/ host=[::] 1.1 keep|Host:[::]:host"},
        {"GET / HTTP/1.1\r\nHost: [V1f.a:~!]" END,
         "GET/1 origin path=/ host=[V1f.a:~!] 1.1 keep|Host:[V1f.a:~!]:host"},
        /* white space, and bytes from 0x80 up, in values */
        {"GET / HTTP/1.1\r\nHost: \t x \t \r\nA:\r\nB: \t\r\nC: a\tb  c\r\nD: \xc3\xa9" END,
         "GET/1 origin path=/ host=x 1.1 keep|Host:x:host|A::|B::|C:a\tb  c:|D:\xc3\xa9:"},
        {"GET / HTTP/1.1" HOST "\r\nLong: 0123456789abcdef0123456789abcdef-  \t" END,
         "GET/1 origin path=/ host=x 1.1 keep|Host:x:host|Long:0123456789abcdef0123456789abcdef-:"},
        {"GET / HTTP/1.1" HOST "\r\n!#$%&'*+-.^_`|~aZ9: v" END,
         "GET/1 origin path=/ host=x 1.1 keep|Host:x:host|!#$%&'*+-.^_`|~aZ9:v:"},
        /* bodies */
        {"POST / HTTP/1.1" HOST "\r\ncontent-LENGTH: 9223372036854775807" END,
         "POST/3 origin path=/ host=x 1.1 keep length=9223372036854775807|Host:x:host"
         "|content-LENGTH:9223372036854775807:content-length"},
        {"POST / HTTP/1.1" HOST "\r\nContent-Length: 5\r\nContent-Length: 005" END,
         "POST/3 origin path=/ host=x 1.1 keep length=5|Host:x:host|Content-Length:5:content-length"
         "|Content-Length:005:content-length"},
        {"POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: Chunked" END,
         "POST/3 origin path=/ host=x 1.1 keep chunked|Host:x:host"
         "|Transfer-Encoding:Chunked:transfer-encoding"},
        {"POST / HTTP/1.1" HOST "\r\nExpect: 100-Continue" END,
         "POST/3 origin path=/ host=x 1.1 keep expect|Host:x:host|Expect:100-Continue:expect"},
        {"POST / HTTP/1.0\r\nExpect: 100-continue" END,
         "POST/3 origin path=/ 1.0 close|Expect:100-continue:expect"},
        {"POST / HTTP/1.1" HOST "\r\nExpect: x" END,
         "POST/3 origin path=/ host=x 1.1 keep|Host:x:host|Expect:x:expect"},
    };
    static struct text text;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct leat_slice head = slice_from_text(rows[i].head);
        char expected[512];
        snprintf(expected, sizeof(expected), "%zu %s", head.size, rows[i].outcome);
        feed(REQUEST, head, NULL, &text);
        assert_string_equal(text.data, expected);
        /* What follows the head is none of its business. */
        char longer[1024];
        snprintf(longer, sizeof(longer), "%s%s", rows[i].head, "\x01\nGET ");
        feed(REQUEST, slice_from_text(longer), NULL, &text);
        assert_string_equal(text.data, expected);
    }
}

static void bad_requests(void **state)
{
    static const struct {
        struct leat_slice head;
        int status;
        size_t position;
    } rows[] = {
        /* the request line */
        {SLICE("\nGET / HTTP/1.1" HOST END), 400, 0},
        {SLICE("\r\n\r\nGET / HTTP/1.1" HOST END), 400, 2},
        {SLICE("\rGET / HTTP/1.1" HOST END), 400, 1},
        {SLICE(" GET / HTTP/1.1" HOST END), 400, 0},
        {SLICE("G\0T / HTTP/1.1" HOST END), 400, 1},
        {SLICE("G@T / HTTP/1.1" HOST END), 400, 1},
        {SLICE("\x16\x03\x01\x02\x00\x01\x00"), 400, 0}, /* TLS, at the wrong door */
        {SLICE("GET\r\n\r\n"), 400, 3},
        {SLICE("GET \r\n\r\n"), 400, 4},
        {SLICE("GET\t/ HTTP/1.1" HOST END), 400, 3},
        {SLICE("GET  / HTTP/1.1" HOST END), 400, 4},
        {SLICE("GET /\r\n"), 400, 5}, /* HTTP/0.9 */
        {SLICE("GET /\tHTTP/1.1" HOST END), 400, 5},
        {SLICE("GET /  HTTP/1.1" HOST END), 400, 6},
        {SLICE("GET /a b HTTP/1.1" HOST END), 400, 7},
        {SLICE("GET /\x01 HTTP/1.1" HOST END), 400, 5},
        {SLICE("GET /\0 HTTP/1.1" HOST END), 400, 5},
        {SLICE("GET /\x7f HTTP/1.1" HOST END), 400, 5},
        {SLICE("GET /\xc3\xa9 HTTP/1.1" HOST END), 400, 5},
        {SLICE("GET /0123456789abcdef0123456789\x80 HTTP/1.1" HOST END), 400, 31},
        {SLICE("GET /a#b HTTP/1.1" HOST END), 400, 6},
        {SLICE("GET / HTTP/1.1 \r\nHost: x" END), 400, 14},
        {SLICE("GET / HTTP/1.1\nHost: x" END), 400, 14},
        {SLICE("GET / HTTP/1.1\rHost: x" END), 400, 15},
        {SLICE("GET / HTTP/1.1\r\r\nHost: x" END), 400, 15},
        {SLICE("GET / http/1.1" HOST END), 400, 6},
        {SLICE("GET / HTTP/1" HOST END), 400, 12},
        {SLICE("GET / HTTP/1.10" HOST END), 400, 14},
        {SLICE("GET / HTTP/11.1" HOST END), 400, 12},
        {SLICE("GET / HTTP/1,1" HOST END), 400, 12},
        {SLICE("GET / HTTP/-1.1" HOST END), 400, 11},
        {SLICE("GET / HTTPS/1.1" HOST END), 400, 10},
        {SLICE("GET / ICY/1.1" HOST END), 400, 6},
        {SLICE("GET / HTTP/2.0" HOST END), 505, 11},
        {SLICE("GET / HTTP/0.9" HOST END), 505, 11},
        {SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, 11},
        /* targets */
        {SLICE("GET * HTTP/1.1" HOST END), 400, 4},
        {SLICE("GET a HTTP/1.1" HOST END), 400, 4},
        {SLICE("GET ../a HTTP/1.1" HOST END), 400, 4},
        {SLICE("GET ?a HTTP/1.1" HOST END), 400, 4},
        {SLICE("OPTIONS ** HTTP/1.1" HOST END), 400, 8},
        {SLICE("GET h:80 HTTP/1.1" HOST END), 400, 4},
        {SLICE("GET ftp://h/ HTTP/1.1" HOST END), 400, 4},
        {SLICE("GET http:/h/ HTTP/1.1" HOST END), 400, 4},
        {SLICE("GET http:// HTTP/1.1" HOST END), 400, 4},
        {SLICE("GET http:///a HTTP/1.1" HOST END), 400, 11},
        {SLICE("GET http://:80/ HTTP/1.1" HOST END), 400, 11},
        {SLICE("GET http://u@h/ HTTP/1.1" HOST END), 400, 11},
        {SLICE("GET http://h:8a/ HTTP/1.1" HOST END), 400, 11},
        {SLICE("CONNECT / HTTP/1.1" HOST END), 400, 8},
        {SLICE("CONNECT h HTTP/1.1" HOST END), 400, 8},
        {SLICE("CONNECT h: HTTP/1.1" HOST END), 400, 8},
        {SLICE("CONNECT :443 HTTP/1.1" HOST END), 400, 8},
        {SLICE("CONNECT [::1:443 HTTP/1.1" HOST END), 400, 8},
        {SLICE("CONNECT h:0 HTTP/1.1" HOST END), 400, 8},
        {SLICE("CONNECT h:65536 HTTP/1.1" HOST END), 400, 8},
        {SLICE("CONNECT h:18446744073709551617 HTTP/1.1" HOST END), 400, 8},
        {SLICE("CONNECT http://h:1/ HTTP/1.1" HOST END), 400, 8},
        /* field lines: no space before the colon, no folding, no bare CR or LF, no controls */
        {SLICE("GET / HTTP/1.1\r\nHost : x" END), 400, 20},
        {SLICE("GET / HTTP/1.1\r\nHost\t: x" END), 400, 20},
        {SLICE("GET / HTTP/1.1\r\n Host: x" END), 400, 16},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\n y" END), 400, 25},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\n\ty" END), 400, 25},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\n: y" END), 400, 25},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA" END), 400, 26},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA B: y" END), 400, 26},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA\xc3: y" END), 400, 26},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA(: y" END), 400, 26},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA\0: y" END), 400, 26},
        {SLICE("GET / HTTP/1.1\r\nHost: x\nA: y" END), 400, 23},
        {SLICE("GET / HTTP/1.1\r\nHost: x\rA: y" END), 400, 24},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\r\n\r\n"), 400, 24},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA: y\0z" END), 400, 29},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA: y\x7fz" END), 400, 29},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA: y\x1bz" END), 400, 29},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nA: 0123456789abcdef0123456789\x0b" END), 400, 54},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\n\n"), 400, 25},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\n\rG"), 400, 26},
        /* Host */
        {SLICE("GET / HTTP/1.1" END), 400, 18},
        {SLICE("GET / HTTP/1.1\r\nHosts: x" END), 400, 28},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nHost: x" END), 400, 36},
        {SLICE("GET / HTTP/1.0\r\nHost: x\r\nhost: y" END), 400, 36},
        {SLICE("GET http://h/ HTTP/1.1" END), 400, 26},
        {SLICE("GET / HTTP/1.1\r\nHost: a b" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: a, b" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: a/b" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: u@a" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: a:80:80" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: a:8o" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: []" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1]x" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: \xc3\xa9" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: a%" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: a%2" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: a%20%g0" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [a]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [:]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [:::]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1::2]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1:]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [:1::]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::12345]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::g]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8:9]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8::]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1.2.3]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1.2.3.256]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1.2.3.04]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1.2.3.4:5]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1.2.3.4.5]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [1.2.3.4]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [fe80::1%eth0]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [v.a]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [v1.]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [v1a]" END), 400, 22},
        {SLICE("GET / HTTP/1.1\r\nHost: [v1.%20]" END), 400, 22},
        {SLICE("GET / HTTP/1.0\r\nHost: a b" END), 400, 22},
        /* Content-Length */
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: " END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: -1" END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: +1" END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: 1 1" END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: 1,1" END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: 0x1" END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: 9223372036854775808" END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: 18446744073709551616" END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: 99999999999999999999999" END), 400, 42},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: 5\r\nContent-Length: 6" END), 400, 61},
        /* Transfer-Encoding */
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding:" END), 400, 44},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: gzip" END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: gzip, chunked" END), 501, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: chunked, gzip" END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: identity" END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: chunked;a" END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: \"chunked\"" END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: xchunked" END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST
               "\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked" END),
         400, 73},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: chunked, chunked" END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: ,chunked" END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: chunked," END), 400, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: gzip\t,\tCHUNKED" END), 501, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: a, b, chunked" END), 501, 45},
        {SLICE("POST / HTTP/1.1" HOST "\r\nTransfer-Encoding: chunked\r\nContent-Length: 1" END),
         400, 73},
        {SLICE("POST / HTTP/1.1" HOST "\r\nContent-Length: 1\r\nTransfer-Encoding: chunked" END),
         400, 73},
        {SLICE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked" END), 400, 45},
    };
    static struct text text;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "%d at %zu", -rows[i].status, rows[i].position);
        feed(REQUEST, rows[i].head, NULL, &text);
        if (strcmp(text.data, expected) != 0)
            print_error("row %zu: %s\n", i, rows[i].head.data);
        assert_string_equal(text.data, expected);
    }
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static struct text head_text; /* a head in the making */

static void put_many(struct text *text, char c, size_t count)
{
    assert_true(text->size + count < sizeof(text->data));
    memset(text->data + text->size, c, count);
    text->size += count;
}

static struct leat_slice text_slice(const struct text *text)
{
    return slice_of(text->data, text->size);
}

/* A request whose line has `line_size` bytes, with its CRLF and what stands before. */
static struct leat_slice head_with_line(const char *before, size_t line_size)
{
    head_text.size = 0;
    put(&head_text, "%sGET /", before);
    put_many(&head_text, 'a', line_size - head_text.size - 11);
    put(&head_text, " HTTP/1.1\r\n");
    assert_int_equal(head_text.size, line_size);
    put(&head_text, "Host: x" END);
    return text_slice(&head_text);
}

static void limits_the_request_line(void **state)
{
    static struct text text;
    const struct http1_limits small = {.line_size = 64, .head_size = 128, .line_count = 4};
    const struct http1_limits same = {.line_size = 64, .head_size = 64, .line_count = 4};
    static const char *const before[] = {"", "\r\n"};
    for (size_t i = 0; i < COUNT_OF(before); i++) {
        assert_true(feed(REQUEST, head_with_line(before[i], 64), &small, &text) > 0);
        assert_int_equal(feed(REQUEST, head_with_line(before[i], 65), &small, &text), -414);
        assert_string_equal(text.data, "-414 at 64");
        assert_int_equal(feed(REQUEST, head_with_line(before[i], 65), &same, &text), -414);
        assert_int_equal(feed(REQUEST, head_with_line(before[i], 64), &same, &text), -431);
    }
    /* The same once with the limits as they come. */
    struct leat_slice head = head_with_line("", 8 * 1024);
    assert_int_equal(parse_prefix(REQUEST, head, head.size, 0, NULL, &text), head.size);
    head = head_with_line("", 8 * 1024 + 1);
    assert_int_equal(parse_prefix(REQUEST, head, 8 * 1024 - 1, 0, NULL, &text), 0);
    assert_int_equal(parse_prefix(REQUEST, head, 8 * 1024, 0, NULL, &text), -414);
    assert_int_equal(parse_prefix(REQUEST, head, head.size, 0, NULL, &text), -414);
    /* What is wrong before the limit is reached is wrong all the same. */
    head_text.data[100] = '\x01';
    assert_int_equal(parse_prefix(REQUEST, head, head.size, 0, NULL, &text), -400);
}

/* A request of `size` bytes, most of them in one value. */
static struct leat_slice head_of_size(size_t size)
{
    head_text.size = 0;
    put(&head_text, "GET / HTTP/1.1" HOST "\r\nA: ");
    put_many(&head_text, 'a', size - head_text.size - 4);
    put(&head_text, END);
    return text_slice(&head_text);
}

static void limits_the_head(void **state)
{
    static struct text text;
    const struct http1_limits small = {.line_size = 64, .head_size = 128, .line_count = 4};
    assert_int_equal(feed(REQUEST, head_of_size(128), &small, &text), 128);
    assert_int_equal(feed(REQUEST, head_of_size(129), &small, &text), -431);
    assert_string_equal(text.data, "-431 at 128");
    assert_int_equal(feed(REQUEST, head_of_size(200), &small, &text), -431);
    struct leat_slice head = head_of_size(16 * 1024);
    assert_int_equal(parse_prefix(REQUEST, head, head.size, 0, NULL, &text), head.size);
    head = head_of_size(16 * 1024 + 1);
    assert_int_equal(parse_prefix(REQUEST, head, 16 * 1024 - 1, 0, NULL, &text), 0);
    assert_int_equal(parse_prefix(REQUEST, head, 16 * 1024, 0, NULL, &text), -431);
    assert_int_equal(parse_prefix(REQUEST, head, 16 * 1024, 12 * 1024, NULL, &text), -431);
}

static struct leat_slice head_with_lines(size_t count)
{
    head_text.size = 0;
    put(&head_text, "GET / HTTP/1.1" HOST);
    for (size_t i = 1; i < count; i++)
        put(&head_text, "\r\nA%zu: b", i);
    put(&head_text, END);
    return text_slice(&head_text);
}

static void limits_the_lines(void **state)
{
    static struct text text;
    const struct http1_limits two = {.line_size = 64, .head_size = 1024, .line_count = 2};
    assert_true(feed(REQUEST, head_with_lines(2), &two, &text) > 0);
    assert_int_equal(feed(REQUEST, head_with_lines(3), &two, &text), -431);
    assert_string_equal(text.data, "-431 at 32");
    assert_true(feed(REQUEST, head_with_lines(HTTP1_LINES_MAX), NULL, &text) > 0);
    assert_int_equal(feed(REQUEST, head_with_lines(HTTP1_LINES_MAX + 1), NULL, &text), -431);
}

/* ---- Responses, names, lists ----------------------------------------------------------------- */

static void responses(void **state)
{
    static const struct {
        const char *head, *outcome;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5" END,
         "38 200 reason=OK 1.1 keep length=5|Content-Length:5:content-length"},
        {"HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked" END,
         "60 206 reason=Partial Content 1.1 keep chunked|Transfer-Encoding:chunked"
         ":transfer-encoding"},
        {"HTTP/1.1 404 " END, "17 404 reason= 1.1 keep"},
        {"HTTP/1.0 999" END, "16 999 reason= 1.0 close"},
        {"HTTP/1.1 200 \xc3\xa9 x" END, "21 200 reason=\xc3\xa9 x 1.1 keep"},
        {"HTTP/1.1 200 OK\r\nConnection: close" END,
         "38 200 reason=OK 1.1 close|Connection:close:connection"},
        {"\r\nHTTP/1.1 200 OK" END, "-400 at 0"},
        {"HTTP/2.0 200 OK" END, "-505 at 5"},
        {"HTTP/1.1  200 OK" END, "-400 at 9"},
        {"HTTP/1.1 20 OK" END, "-400 at 11"},
        {"HTTP/1.1 2000 OK" END, "-400 at 12"},
        {"HTTP/1.1 099 OK" END, "-400 at 9"},
        {"HTTP/1.1 200 O\x01K" END, "-400 at 14"},
        {"HTTP/1.1 200 OK\nA: b" END, "-400 at 15"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked" END, "-400 at 64"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5, 5" END, "-400 at 33"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "-400 at 0"},
    };
    static struct text text;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        feed(RESPONSE, slice_from_text(rows[i].head), NULL, &text);
        assert_string_equal(text.data, rows[i].outcome);
    }
    const struct http1_limits small = {.line_size = 20, .head_size = 64, .line_count = 4};
    assert_int_equal(feed(RESPONSE, SLICE("HTTP/1.1 200 abcde" END), &small, &text), 22);
    assert_int_equal(feed(RESPONSE, SLICE("HTTP/1.1 200 abcdef" END), &small, &text), -431);
}

static void names_are_told_apart(void **state)
{
    /* Two names with one hash would make one of them unknown. */
    for (enum http1_field field = HTTP1_FIELD_OTHER + 1; field < HTTP1_FIELD_COUNT; field++) {
        char name[32];
        snprintf(name, sizeof(name), "%s", http1_field_name(field));
        const size_t size = strlen(name);
        assert_int_equal(http1_field_from_name(slice_of(name, size)), field);
        for (size_t i = 0; i < size; i++) {
            name[i] = (char)toupper(name[i]);
            assert_int_equal(http1_field_from_name(slice_of(name, size)), field);
            const char kept = name[i];
            name[i] = kept == 'q' ? 'z' : 'q';
            assert_int_equal(http1_field_from_name(slice_of(name, size)), HTTP1_FIELD_OTHER);
            name[i] = kept;
        }
        assert_int_equal(http1_field_from_name(slice_of(name, size - 1)), HTTP1_FIELD_OTHER);
    }
    assert_int_equal(http1_field_from_name(SLICE("x")), HTTP1_FIELD_OTHER);
    assert_int_equal(http1_field_from_name(slice_of(NULL, 0)), HTTP1_FIELD_OTHER);
}

static void values_are_found_by_field(void **state)
{
    static struct http1_request request;
    const struct leat_slice head = SLICE("GET / HTTP/1.1" HOST "\r\nRange: bytes=0-1\r\n"
                                         "IF-NONE-MATCH: \"a\"\r\nRange: bytes=2-3" END);
    assert_int_equal(http1_parse_request(head, 0, NULL, &request), head.size);
    const struct http1_head *parsed = &request.head;
    assert_true(slice_equal(http1_value(parsed, HTTP1_FIELD_RANGE), SLICE("bytes=0-1")));
    assert_true(slice_equal(http1_value(parsed, HTTP1_FIELD_IF_NONE_MATCH), SLICE("\"a\"")));
    assert_true(slice_equal(http1_value(parsed, HTTP1_FIELD_HOST), SLICE("x")));
    assert_null(http1_value(parsed, HTTP1_FIELD_IF_RANGE).data);
    assert_null(http1_value(parsed, HTTP1_FIELD_OTHER).data);
}

static void lists_are_searched(void **state)
{
    assert_true(http1_list_has(SLICE("gzip, deflate"), SLICE("deflate")));
    assert_true(http1_list_has(SLICE(",, GZIP\t,"), SLICE("gzip")));
    assert_false(http1_list_has(SLICE("gzip;q=0, x-gzip"), SLICE("gzip")));
    assert_false(http1_list_has(slice_of(NULL, 0), SLICE("gzip")));
}

/* ---- Real heads ------------------------------------------------------------------------------ */

/* The next string of a JSON text, unescaped; false at its end. The files hold nothing that would
 * need more: objects of strings, and numbers that are passed over. */
static bool next_string(const char **at, char *ret_text, size_t text_size)
{
    const char *from = strchr(*at, '"');
    if (!from)
        return false;
    size_t size = 0;
    for (from++; *from && *from != '"'; from++) {
        if (*from == '\\')
            from++;
        assert_true(size + 1 < text_size);
        ret_text[size++] = *from;
    }
    ret_text[size] = '\0';
    *at = from + 1;
    return true;
}

static void copy(char *to, size_t to_size, const char *text)
{
    assert_true(strlen(text) < to_size);
    strcpy(to, text);
}

struct story_head {
    char method[32], path[8 * 1024], authority[256];
    struct text lines; /* "name: value\r\n", the pseudo-header fields excepted */
    size_t count;
};

/* Parses what a story's header list is in HTTP/1.1, and finds it all again. */
static size_t check_story_head(const struct story_head *story)
{
    static struct text whole, parsed;
    if (story->method[0] == '\0')
        return 0;
    head_text.size = 0;
    put(&head_text, "%s %s HTTP/1.1\r\nHost: %s\r\n%.*s\r\n", story->method, story->path,
        story->authority, (int)story->lines.size, story->lines.data);
    const struct leat_slice head = text_slice(&head_text);
    assert_int_equal(feed(REQUEST, head, NULL, &whole), head.size);
    static struct http1_request request;
    assert_int_equal(http1_parse_request(head, 0, NULL, &request), head.size);
    assert_int_equal(request.head.line_count, story->count + 1);
    parsed.size = 0;
    for (size_t i = 1; i < request.head.line_count; i++) {
        const struct http1_line *line = &request.head.lines[i];
        put(&parsed, "%.*s: %.*s\r\n", (int)line->name.size, line->name.data, (int)line->value.size,
            line->value.data);
    }
    assert_true(slice_equal(text_slice(&parsed), text_slice(&story->lines)));
    assert_true(slice_equal(request.target, slice_from_text(story->path)));
    assert_true(slice_equal(request.host, slice_from_text(story->authority)));
    return 1;
}

static size_t check_story(const char *at)
{
    static struct story_head story;
    static char name[256], value[8 * 1024];
    size_t heads = 0;
    memset(&story, 0, sizeof(story));
    while (next_string(&at, name, sizeof(name))) {
        if (strcmp(name, "cases") == 0)
            continue;
        if (strcmp(name, "headers") == 0) {
            heads += check_story_head(&story);
            memset(&story, 0, sizeof(story));
            continue;
        }
        assert_true(next_string(&at, value, sizeof(value)));
        if (strcmp(name, ":method") == 0)
            copy(story.method, sizeof(story.method), value);
        else if (strcmp(name, ":path") == 0)
            copy(story.path, sizeof(story.path), value);
        else if (strcmp(name, ":authority") == 0)
            copy(story.authority, sizeof(story.authority), value);
        else if (name[0] != ':' && ++story.count)
            put(&story.lines, "%s: %s\r\n", name, value);
    }
    return heads + check_story_head(&story);
}

static void real_heads(void **state)
{
    const char *data = getenv("LEAT_TEST_DATA");
    char pattern[4096];
    snprintf(pattern, sizeof(pattern), "%s/http/hpack-test-case__*.json", data ? data : ".");
    glob_t files;
    if (!data || glob(pattern, 0, NULL, &files) != 0) {
        print_message("# no hpack-test-case files in $LEAT_TEST_DATA/http\n");
        skip();
    }
    size_t heads = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        FILE *file = fopen(files.gl_pathv[i], "r");
        assert_non_null(file);
        static char json[512 * 1024];
        const size_t size = fread(json, 1, sizeof(json) - 1, file);
        fclose(file);
        assert_true(size > 0 && size < sizeof(json) - 1);
        json[size] = '\0';
        heads += check_story(json);
    }
    globfree(&files);
    assert_true(heads > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests),           cmocka_unit_test(bad_requests),
        cmocka_unit_test(limits_the_request_line), cmocka_unit_test(limits_the_head),
        cmocka_unit_test(limits_the_lines),        cmocka_unit_test(responses),
        cmocka_unit_test(names_are_told_apart),    cmocka_unit_test(values_are_found_by_field),
        cmocka_unit_test(lists_are_searched),      cmocka_unit_test(real_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
