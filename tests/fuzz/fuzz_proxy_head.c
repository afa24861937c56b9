/* SPDX-License-Identifier: MIT */
/*
 * Heads through the proxy. The first byte chooses what is known beside the head, the rest is one.
 * Whatever was accepted and is written parses again, whole, as the same message with one framing;
 * every line but those of the connection is there, in order, and none of the connection's: said
 * here by names, line by line, without the tables of the code that is tested.
 */
#include <errno.h>

#include "fuzz.h"
#include "http/proxy_head.h"
#include "leat/error.h"
#include "wire/chars.h"
#include "wire/http1_chunked.h"

enum { OUT_SIZE = 64 * 1024, LINES_ADDED_MAX = 12 };

#define UPSTREAM SLICE("up:9000")
#define NAME SLICE("leat")
#define DATE SLICE("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")

static const struct http1_limits roomy = {
    .line_size = OUT_SIZE / 2, .head_size = OUT_SIZE, .line_count = HTTP1_LINES_MAX};

static bool is_one_of(struct leat_slice name, const char *const *names)
{
    for (; *names; names++) {
        if (slice_equal_nocase(name, slice_from_text(*names)))
            return true;
    }
    return false;
}

/* Does Connection name it? Upgrade is another matter. */
static bool is_named(const struct http1_head *head, struct leat_slice name)
{
    for (size_t i = 0; i < head->line_count; i++) {
        struct leat_slice list = head->lines[i].value, option;
        while (slice_equal_nocase(head->lines[i].name, SLICE("connection")) &&
               chars_next_element(&list, &option)) {
            if (slice_equal_nocase(option, name) && !slice_equal_nocase(name, SLICE("upgrade")))
                return true;
        }
    }
    return false;
}

static bool starts_as_forwarded(struct leat_slice name)
{
    if (name.size < 13)
        return false;
    char start[12];
    for (size_t i = 0; i < sizeof start; i++)
        start[i] = name.data[i] == '_' ? '-' : name.data[i];
    return slice_equal_nocase(slice_of(start, sizeof start), SLICE("x-forwarded-"));
}

/* A head that came, and what was written of it. */
struct comparison {
    const struct http1_head *sent, *written;
    bool is_request, is_trusted, is_upgrade, is_chunked, is_counted;
};

static bool goes_along(const struct comparison *c, struct leat_slice name)
{
    static const char *const never[] = {
        "connection",        "keep-alive",     "proxy-connection", "te",
        "transfer-encoding", "content-length", "http2-settings",   NULL};
    static const char *const never_asked[] = {"host", "expect", "proxy-authorization",
                                              "x-forwarded-for", NULL};
    if (is_one_of(name, never) || is_named(c->sent, name))
        return false;
    if (slice_equal_nocase(name, SLICE("upgrade")))
        return c->is_upgrade;
    if (slice_equal_nocase(name, SLICE("trailer")))
        return c->is_chunked && proxy_head_keeps_trailer(c->sent);
    if (!c->is_request)
        return true;
    if (is_one_of(name, never_asked) ||
        (c->is_counted && slice_equal_nocase(name, SLICE("max-forwards"))))
        return false;
    return c->is_trusted ||
           (!starts_as_forwarded(name) && !slice_equal_nocase(name, SLICE("forwarded")));
}

/* The lines that went along, and behind them ours: their names, each once. */
static void check_lines(const struct comparison *c)
{
    static const char *const ours[] = {"content-length",
                                       "transfer-encoding",
                                       "connection",
                                       "te",
                                       "expect",
                                       "max-forwards",
                                       "forwarded",
                                       "x-forwarded-for",
                                       "x-forwarded-host",
                                       "x-forwarded-proto",
                                       "date",
                                       "via",
                                       NULL};
    size_t at = c->is_request; /* behind Host */
    for (size_t i = 0; i < c->sent->line_count; i++) {
        const struct http1_line *sent = &c->sent->lines[i];
        if (!goes_along(c, sent->name))
            continue;
        ASSERT(at < c->written->line_count);
        ASSERT(slice_equal(c->written->lines[at].name, sent->name));
        ASSERT(slice_equal(c->written->lines[at].value, sent->value));
        at++;
    }
    for (size_t i = at; i < c->written->line_count; i++) {
        const struct leat_slice name = c->written->lines[i].name;
        ASSERT(is_one_of(name, ours));
        for (size_t other = i + 1; other < c->written->line_count; other++)
            ASSERT(!slice_equal_nocase(name, c->written->lines[other].name));
    }
    ASSERT(c->written->line_count > 0);
    const struct http1_line *last = &c->written->lines[c->written->line_count - 1];
    ASSERT(slice_equal(last->name, SLICE("Via")) && slice_ends_with(last->value, SLICE(" leat")));
}

static void check_framing(const struct http1_head *written, enum proxy_framing framing,
                          uint64_t size)
{
    ASSERT(written->is_chunked == (framing == PROXY_CHUNKED));
    ASSERT(framing != PROXY_SIZED ||
           (written->has_content_length && written->content_length == size));
    ASSERT(framing == PROXY_SIZED || written->content_length == 0);
    ASSERT(written->first_line[HTTP1_FIELD_KEEP_ALIVE] == 0);
    ASSERT(written->first_line[HTTP1_FIELD_PROXY_CONNECTION] == 0);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static struct leat_address address(const char *text)
{
    struct leat_address parsed;
    const int result = leat_address_parse(text, &parsed, NULL);
    ASSERT(result == 0);
    return parsed;
}

static enum proxy_framing framing_of(const struct http1_head *head, unsigned flags)
{
    if (head->is_chunked)
        return flags & 1 ? PROXY_CHUNKED : PROXY_SIZED;
    return head->content_length > 0 ? PROXY_SIZED : PROXY_NO_BODY;
}

static void check_request(const struct http1_request *sent, const struct proxy_request_facts *facts,
                          struct leat_slice text)
{
    static struct http1_request written;
    if (sent->head.line_count > HTTP1_LINES_MAX - LINES_ADDED_MAX)
        return;
    const int size = http1_parse_request(text, 0, &roomy, &written);
    ASSERT(size == (int)text.size);
    ASSERT(slice_equal(written.method_text, sent->method_text));
    ASSERT(written.head.minor_version == 1 && written.head.keep_alive);
    ASSERT(written.head.host_count == 1 && written.head.first_line[HTTP1_FIELD_HOST] == 1);
    ASSERT(slice_equal(written.host,
                       facts->passes_host && sent->host.size > 0 ? sent->host : UPSTREAM));
    ASSERT(written.form == HTTP1_ORIGIN_FORM || written.form == HTTP1_ASTERISK_FORM);
    ASSERT(sent->form != HTTP1_ASTERISK_FORM || written.form == HTTP1_ASTERISK_FORM);
    if (written.form == HTTP1_ORIGIN_FORM) {
        ASSERT(slice_equal(written.query, sent->query) && !written.query.data == !sent->query.data);
        ASSERT(slice_starts_with(written.path, facts->base));
        ASSERT(slice_ends_with(written.path, slice_after(sent->path, facts->prefix_size)));
    }
    ASSERT(written.expect_continue == facts->expects_continue);
    ASSERT(written.head.wants_upgrade == facts->is_upgrade);
    ASSERT(proxy_head_asks_upgrade(&written) == facts->is_upgrade);
    check_framing(&written.head, facts->framing, facts->size);
    check_lines(&(struct comparison){
        .sent = &sent->head,
        .written = &written.head,
        .is_request = true,
        .is_trusted = facts->trusts_forwarded,
        .is_upgrade = facts->is_upgrade,
        .is_chunked = facts->framing == PROXY_CHUNKED,
        .is_counted = sent->method == HTTP1_TRACE || sent->method == HTTP1_OPTIONS,
    });
}

static void pass_request(unsigned flags, struct leat_slice input)
{
    static const char *const peers[] = {"192.0.2.1:1", "[2001:db8::1]:1", "unix:@a",
                                        "[::ffff:192.0.2.1]:1"};
    static struct http1_request sent;
    static char out[OUT_SIZE];
    if (http1_parse_request(input, 0, NULL, &sent) <= 0 || sent.form == HTTP1_AUTHORITY_FORM)
        return;
    const struct leat_address peer = address(peers[flags >> 1 & 3]);
    struct proxy_request_facts facts = {
        .authority = UPSTREAM,
        .base = flags & 16 ? SLICE("/base") : SLICE(""),
        .passes_host = flags & 32,
        .trusts_forwarded = flags & 64,
        .is_upgrade = flags & 128 && proxy_head_asks_upgrade(&sent),
        .expects_continue = sent.expect_continue,
        .peer = &peer,
        .via = NAME,
        .framing = framing_of(&sent.head, flags),
        .size = sent.head.content_length,
    };
    /* The first segment is the prefix. */
    if (flags & 8 && sent.path.size > 0) {
        const char *slash = memchr(sent.path.data + 1, '/', sent.path.size - 1);
        facts.prefix_size = slash ? (size_t)(slash - sent.path.data) : sent.path.size;
    }
    const ssize_t size = proxy_head_request(&sent, &facts, out, sizeof out);
    if (size < 0) {
        ASSERT(size == -LEAT_E_LIMIT ||
               (size == -EACCES && facts.prefix_size + facts.base.size > 0));
        return;
    }
    check_request(&sent, &facts, slice_of(out, (size_t)size));
    char *exact = fuzz_copy(out, (size_t)size);
    ASSERT(proxy_head_request(&sent, &facts, exact, (size_t)size) == size);
    ASSERT(proxy_head_request(&sent, &facts, exact, (size_t)size - 1) == -LEAT_E_LIMIT);
    free(exact);
}

/* ---- Answers and trailers -------------------------------------------------------------------- */

static void pass_response(unsigned flags, struct leat_slice input)
{
    static struct http1_response sent, written;
    static char out[OUT_SIZE];
    if (http1_parse_response(input, 0, NULL, &sent) <= 0)
        return;
    struct proxy_response_facts facts = {
        .keep_alive = flags & 2,
        .client_version = flags >> 2 & 1,
        .is_upgrade = sent.status == 101,
        .via = NAME,
        .framing = framing_of(&sent.head, flags),
        .size = sent.head.content_length,
        .date_line = DATE,
    };
    if (facts.framing == PROXY_CHUNKED && facts.client_version == 0) {
        facts.framing = PROXY_TO_CLOSE;
        facts.keep_alive = false;
    }
    const ssize_t size = proxy_head_response(&sent, &facts, out, sizeof out);
    ASSERT(size > 0 || size == -LEAT_E_LIMIT);
    if (size < 0 || sent.head.line_count > HTTP1_LINES_MAX - LINES_ADDED_MAX)
        return;
    ASSERT(http1_parse_response(slice_of(out, (size_t)size), 0, &roomy, &written) == (int)size);
    ASSERT(written.status == sent.status && slice_equal(written.reason, sent.reason));
    const bool has_framing = sent.status >= 200 && sent.status != 204;
    check_framing(&written.head, has_framing ? facts.framing : PROXY_NO_BODY, facts.size);
    ASSERT(has_framing || !written.head.has_content_length);
    ASSERT(written.head.says_close == (sent.status >= 200 && !facts.keep_alive));
    ASSERT(sent.status < 200 || written.head.first_line[HTTP1_FIELD_DATE] > 0);
    check_lines(&(struct comparison){
        .sent = &sent.head,
        .written = &written.head,
        .is_upgrade = facts.is_upgrade || sent.status == 426,
        .is_chunked = has_framing && facts.framing == PROXY_CHUNKED,
    });
}

/* The trailer of an empty body; 0: there is none, or it is none. */
static size_t read_trailer(struct leat_slice input, char *lines)
{
    struct http1_chunked decoder;
    struct leat_slice start = SLICE("0\r\n"), piece;
    size_t size = 0;
    http1_chunked_init(&decoder);
    decoder.wants_trailer = true;
    int event = http1_chunked_next(&decoder, &start, &piece);
    ASSERT(event == HTTP1_CHUNKED_MORE);
    while ((event = http1_chunked_next(&decoder, &input, &piece)) == HTTP1_CHUNKED_TRAILER) {
        memcpy(lines + size, piece.data, piece.size);
        size += piece.size;
    }
    return event == HTTP1_CHUNKED_END ? size : 0;
}

static void pass_trailer(struct leat_slice input)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n";
    static char lines[HTTP1_CHUNKED_TRAILER_MAX], out[OUT_SIZE], again[OUT_SIZE];
    static struct http1_response parsed;
    const size_t lines_size = read_trailer(input, lines);
    memcpy(out, head, sizeof head - 1);
    char *sifted = out + sizeof head - 1;
    const ssize_t size = proxy_head_trailer(slice_of(lines, lines_size), sifted, OUT_SIZE / 2);
    ASSERT(size >= 0);
    ASSERT(proxy_head_trailer(slice_of(sifted, (size_t)size), again, sizeof again) == size);
    ASSERT(memcmp(sifted, again, (size_t)size) == 0);
    memcpy(sifted + size, "\r\n", 2);
    const struct leat_slice all = slice_of(out, sizeof head - 1 + (size_t)size + 2);
    const int result = http1_parse_response(all, 0, &roomy, &parsed);
    ASSERT(result == (int)all.size || result == -431);
    if (result < 0)
        return;
    for (size_t i = 0; i < parsed.head.line_count; i++)
        ASSERT(parsed.head.lines[i].field == HTTP1_FIELD_OTHER ||
               parsed.head.lines[i].field == HTTP1_FIELD_ETAG ||
               parsed.head.lines[i].field == HTTP1_FIELD_ACCEPT_RANGES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct leat_slice input = slice_of(data + 1, size - 1);
    pass_request(data[0], input);
    pass_response(data[0], input);
    pass_trailer(input);
    return 0;
}
