/* SPDX-License-Identifier: MIT */
/*
 * See fetch_head.h.
 */
#include "http/fetch_head.h"

#include <errno.h>

#include "base/assert.h"
#include "http/client.h"
#include "wire/chars.h"
#include "wire/http1.h"

/* ---- What is asked --------------------------------------------------------------------------- */

static bool is_token(struct leat_slice text)
{
    const char *const end = text.data + text.size;
    return text.size > 0 && chars_skip(text.data, end, CHARS_TOKEN) == end;
}

bool fetch_head_is_value(struct leat_slice value)
{
    const char *const end = value.data + value.size;
    return chars_skip(value.data, end, CHARS_VALUE) == end;
}

static bool is_one_of(struct leat_slice name, const struct leat_slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_nocase(name, names[i]))
            return true;
    }
    return false;
}

#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof((names)[0]))

/* Framing and connection are ours to say, in one way only. */
static bool is_ours(struct leat_slice name)
{
    static const struct leat_slice names[] = {
        SLICE("connection"), SLICE("content-length"),    SLICE("expect"),
        SLICE("keep-alive"), SLICE("proxy-connection"),  SLICE("te"),
        SLICE("trailer"),    SLICE("transfer-encoding"), SLICE("upgrade"),
    };
    return IS_ONE_OF(name, names);
}

/* What tells the first host who asks, or what it is called there. */
static bool is_for_first_host(struct leat_slice name)
{
    static const struct leat_slice names[] = {
        SLICE("authorization"),
        SLICE("cookie"),
        SLICE("host"),
        SLICE("proxy-authorization"),
    };
    return IS_ONE_OF(name, names);
}

/* What describes a body, and goes with it (RFC 9110, section 15.4). */
static bool is_of_body(struct leat_slice name)
{
    static const struct leat_slice names[] = {
        SLICE("content-encoding"), SLICE("content-language"), SLICE("content-location"),
        SLICE("content-type"),     SLICE("digest"),           SLICE("last-modified"),
    };
    return IS_ONE_OF(name, names);
}

static bool are_fields(const struct leat_fetch_request *request)
{
    unsigned hosts = 0;
    for (size_t i = 0; i < request->field_count; i++) {
        const struct leat_slice name = slice_from_text(request->fields[i].name);
        if (!is_token(name) || is_ours(name) ||
            !fetch_head_is_value(slice_from_text(request->fields[i].value)))
            return false;
        hosts += slice_equal_nocase(name, SLICE("host"));
    }
    return hosts <= 1;
}

int fetch_head_check(const struct leat_fetch_request *request, struct fetch_turn *ret_turn)
{
    const bool is_streamed = request->streamed_size != 0;
    const bool has_body = is_streamed || request->body || request->body_size > 0;
    const struct leat_slice method = request->method ? slice_from_text(request->method)
                                                     : (has_body ? SLICE("POST") : SLICE("GET"));
    if (!request->url || !is_token(method) || !are_fields(request))
        return -EINVAL;
    if (request->streamed_size < -1 || (request->body_size > 0 && !request->body) ||
        (is_streamed && (request->body || request->redirects_max > 0)))
        return -EINVAL;
    /* A tunnel is nothing that is fetched, and who asks for a trace must not send a body (RFC 9110,
     * section 9.3.8). */
    if (slice_equal(method, SLICE("CONNECT")) || (has_body && slice_equal(method, SLICE("TRACE"))))
        return -EINVAL;
    *ret_turn = (struct fetch_turn){
        .method = method,
        .has_body = has_body,
        .expects_continue = request->expects_continue && (is_streamed || request->body_size > 0),
    };
    return 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void add_field(struct text *out, const char *name, struct leat_slice value)
{
    text_add_literal(out, name);
    text_add(out, SLICE(": "));
    text_add(out, value);
    text_add(out, SLICE("\r\n"));
}

/* Does this field of the caller's go with this turn? */
static bool is_sent(const struct fetch_turn *turn, struct leat_slice name)
{
    return !(turn->is_elsewhere && is_for_first_host(name)) &&
           !(turn->has_lost_body && is_of_body(name));
}

static const char *find_sent(const struct leat_fetch_request *request,
                             const struct fetch_turn *turn, struct leat_slice wanted)
{
    for (size_t i = 0; i < request->field_count; i++) {
        const struct leat_slice name = slice_from_text(request->fields[i].name);
        if (slice_equal_nocase(name, wanted) && is_sent(turn, name))
            return request->fields[i].value;
    }
    return NULL;
}

/* The first line, and Host, which should come first (RFC 9110, section 7.2). */
static void write_target(const struct leat_fetch_request *request, const struct fetch_turn *turn,
                         const struct url *url, struct text *out)
{
    text_add(out, turn->method);
    text_add(out, SLICE(" "));
    text_add(out, url->path);
    if (url->query.data) {
        text_add(out, SLICE("?"));
        text_add(out, url->query);
    }
    text_add(out, SLICE(" HTTP/1.1\r\nHost: "));
    const char *host = find_sent(request, turn, SLICE("host"));
    if (host) {
        text_add_literal(out, host);
    } else {
        text_add_format(out, url->is_ipv6 ? "[%.*s]" : "%.*s", (int)url->host.size, url->host.data);
        if (url->port != 0 && url->port != CLIENT_PORT)
            text_add_format(out, ":%u", url->port);
    }
    text_add(out, SLICE("\r\n"));
}

/* How long the body is (RFC 9110, section 8.6; RFC 9112, section 6.1). */
static void write_framing(const struct leat_fetch_request *request, const struct fetch_turn *turn,
                          struct text *out)
{
    static const struct leat_slice with_bodies[] = {SLICE("post"), SLICE("put"), SLICE("patch")};
    if (turn->has_body && request->streamed_size < 0) {
        text_add(out, SLICE("Transfer-Encoding: chunked\r\n"));
    } else if (turn->has_body || IS_ONE_OF(turn->method, with_bodies)) {
        const uint64_t size =
            request->streamed_size > 0 ? (uint64_t)request->streamed_size : request->body_size;
        text_add(out, SLICE("Content-Length: "));
        text_add_number(out, turn->has_body ? size : 0);
        text_add(out, SLICE("\r\n"));
    }
    if (turn->has_body && turn->expects_continue)
        text_add(out, SLICE("Expect: 100-continue\r\n"));
}

void fetch_head_write(const struct leat_fetch_request *request, const struct fetch_turn *turn,
                      const struct url *url, struct leat_slice user_agent, struct text *out)
{
    ASSERT(url->host.size > 0 && url->path.size > 0);
    write_target(request, turn, url, out);
    if (user_agent.size > 0 && !find_sent(request, turn, SLICE("user-agent")))
        add_field(out, "User-Agent", user_agent);
    if (!find_sent(request, turn, SLICE("accept")))
        add_field(out, "Accept", SLICE("*/*"));
    for (size_t i = 0; i < request->field_count; i++) {
        const struct leat_slice name = slice_from_text(request->fields[i].name);
        if (is_sent(turn, name) && !slice_equal_nocase(name, SLICE("host")))
            add_field(out, request->fields[i].name, slice_from_text(request->fields[i].value));
    }
    write_framing(request, turn, out);
    text_add(out, SLICE("\r\n"));
}

/* ---- What follows ---------------------------------------------------------------------------- */

bool fetch_head_is_idempotent(struct leat_slice method)
{
    static const struct leat_slice names[] = {
        SLICE("GET"),   SLICE("HEAD"), SLICE("OPTIONS"),
        SLICE("TRACE"), SLICE("PUT"),  SLICE("DELETE"),
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_equal(method, names[i])) /* methods are in capitals, or others */
            return true;
    }
    return false;
}

bool fetch_head_is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

void fetch_head_redirect(struct fetch_turn *turn, int status, bool is_other_host)
{
    ASSERT(fetch_head_is_redirect(status));
    const bool is_post = slice_equal(turn->method, SLICE("POST"));
    const bool asks_for_get = status == 303 && !slice_equal(turn->method, SLICE("HEAD"));
    if (asks_for_get || (is_post && (status == 301 || status == 302))) {
        turn->method = SLICE("GET");
        turn->has_lost_body |= turn->has_body;
        turn->has_body = turn->expects_continue = false;
    }
    turn->is_elsewhere |= is_other_host;
}
