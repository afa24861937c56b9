/* SPDX-License-Identifier: MIT */
/*
 * Two tables say what becomes of the fields we know; what we do not know goes along (RFC 9110,
 * section 5.1). A head is written in one pass over its lines, by their numbers and not their names;
 * what Connection names is looked up before, which most heads do not need. Lines that are lists
 * (Via, Forwarded) go along as they are, and our element is a line behind them: that is the same
 * list (section 5.3). X-Forwarded-For alone is joined into one, for many read but one line of it.
 */
#include "http/proxy_head.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/assert.h"
#include "base/decimal.h"
#include "leat/error.h"
#include "net/address.h"
#include "wire/chars.h"

static_assert(HTTP1_LINES_MAX <= 64, "a set of lines is a word");

/* ---- Lists ----------------------------------------------------------------------------------- */

/* The elements of a list, through all lines of its field (RFC 9110, section 5.3). */
struct walk {
    const struct http1_head *head;
    enum http1_field field;
    unsigned line;          /* the next that may be the field's */
    struct leat_slice rest; /* of the line before */
};

static inline struct walk walk_through(const struct http1_head *head, enum http1_field field)
{
    const unsigned first = head->first_line[field];
    return (struct walk){head, field, first > 0 ? first - 1 : head->line_count, {NULL, 0}};
}

static bool next_element(struct walk *walk, struct leat_slice *ret_element)
{
    while (!chars_next_element(&walk->rest, ret_element)) {
        const struct http1_head *head = walk->head;
        while (walk->line < head->line_count && head->lines[walk->line].field != walk->field)
            walk->line++;
        if (walk->line >= head->line_count)
            return false;
        walk->rest = head->lines[walk->line++].value;
    }
    return true;
}

/* ---- What becomes of a field ----------------------------------------------------------------- */

enum rule {
    PASSES,        /* goes along */
    STAYS,         /* is of this connection, or is made anew */
    IF_TRUSTED,    /* goes along if the client is trusted, */
    IF_UPGRADE,    /* to a tunnel, */
    IF_TRAILER,    /* if a trailer would, */
    IF_NOT_COUNTED /* with methods whose forwarding nobody counts */
};

static const uint8_t request_rules[HTTP1_FIELD_COUNT] = {
    [HTTP1_FIELD_CONNECTION] = STAYS,
    [HTTP1_FIELD_CONTENT_LENGTH] = STAYS,
    [HTTP1_FIELD_EXPECT] = STAYS,
    [HTTP1_FIELD_FORWARDED] = IF_TRUSTED,
    [HTTP1_FIELD_HOST] = STAYS,
    [HTTP1_FIELD_HTTP2_SETTINGS] = STAYS,
    [HTTP1_FIELD_KEEP_ALIVE] = STAYS,
    [HTTP1_FIELD_MAX_FORWARDS] = IF_NOT_COUNTED,
    [HTTP1_FIELD_PROXY_AUTHORIZATION] = STAYS,
    [HTTP1_FIELD_PROXY_CONNECTION] = STAYS,
    [HTTP1_FIELD_TE] = STAYS,
    [HTTP1_FIELD_TRAILER] = IF_TRAILER,
    [HTTP1_FIELD_TRANSFER_ENCODING] = STAYS,
    [HTTP1_FIELD_UPGRADE] = IF_UPGRADE,
    [HTTP1_FIELD_X_FORWARDED_FOR] = STAYS,
    [HTTP1_FIELD_X_FORWARDED_HOST] = IF_TRUSTED,
    [HTTP1_FIELD_X_FORWARDED_PROTO] = IF_TRUSTED,
};

static const uint8_t response_rules[HTTP1_FIELD_COUNT] = {
    [HTTP1_FIELD_CONNECTION] = STAYS,       [HTTP1_FIELD_CONTENT_LENGTH] = STAYS,
    [HTTP1_FIELD_HTTP2_SETTINGS] = STAYS,   [HTTP1_FIELD_KEEP_ALIVE] = STAYS,
    [HTTP1_FIELD_PROXY_CONNECTION] = STAYS, [HTTP1_FIELD_TE] = STAYS,
    [HTTP1_FIELD_TRAILER] = IF_TRAILER,     [HTTP1_FIELD_TRANSFER_ENCODING] = STAYS,
    [HTTP1_FIELD_UPGRADE] = IF_UPGRADE,
};

/* A head on its way: which of its lines go along. */
struct passage {
    const struct http1_head *head;
    const uint8_t *rules;
    unsigned passing;  /* bits of the rules that let a line pass */
    bool is_untrusted; /* X-Forwarded-* that we have no number for stay, too */
    uint64_t named;    /* lines that Connection names */
};

static inline unsigned bit_if(bool condition, enum rule rule)
{
    return condition ? 1U << rule : 0;
}

/* The lines that this option of Connection names; of Upgrade, which always is, its rule decides. */
static uint64_t lines_named(const struct http1_head *head, struct leat_slice option)
{
    const enum http1_field field = http1_field_from_name(option);
    uint64_t lines = 0;
    if (field == HTTP1_FIELD_UPGRADE ||
        (field != HTTP1_FIELD_OTHER && head->first_line[field] == 0))
        return 0;
    for (unsigned i = 0; i < head->line_count; i++) {
        const struct http1_line *line = &head->lines[i];
        if (line->field == field &&
            (field != HTTP1_FIELD_OTHER || slice_equal_nocase(line->name, option)))
            lines |= UINT64_C(1) << i;
    }
    return lines;
}

/* Fields that are of this connection alone because Connection says so (RFC 9110, section 7.6.1).
 * 0 or -LEAT_E_LIMIT: a head can hold thousands of options, each to be compared with each line. */
static int look_up_named(struct passage *passage)
{
    struct walk options = walk_through(passage->head, HTTP1_FIELD_CONNECTION);
    struct leat_slice option;
    for (unsigned count = 0; next_element(&options, &option); count++) {
        if (count == PROXY_HEAD_OPTIONS_MAX)
            return -LEAT_E_LIMIT;
        passage->named |= lines_named(passage->head, option);
    }
    return 0;
}

static inline bool is_named(const struct passage *passage, unsigned line)
{
    return passage->named >> line & 1;
}

/* Is there such a line that is not of this connection alone? */
static inline bool has_field(const struct passage *passage, enum http1_field field)
{
    const unsigned line = passage->head->first_line[field];
    return line > 0 && !is_named(passage, line - 1);
}

/* X-Forwarded-*, and what CGI and its heirs take for the same: they know no difference between '-'
 * and '_'. */
static bool is_forwarded_name(struct leat_slice name)
{
    static const char start[] = "x-forwarded-";
    if (name.size < sizeof start || (name.data[0] | 0x20) != 'x')
        return false;
    for (size_t i = 0; i < sizeof start - 1; i++) {
        const char c = name.data[i];
        if ((c == '_' ? '-' : chars_lower(c)) != start[i])
            return false;
    }
    return true;
}

/* ---- Writing --------------------------------------------------------------------------------- */

struct writer {
    char *at, *end;
    bool is_full; /* something did not fit: the whole is no use */
};

static inline void put(struct writer *writer, struct leat_slice text)
{
    if (__builtin_expect((size_t)(writer->end - writer->at) < text.size, 0)) {
        writer->is_full = true;
        return;
    }
    if (text.size > 0)
        memcpy(writer->at, text.data, text.size);
    writer->at += text.size;
}

static void put_number(struct writer *writer, uint64_t number)
{
    char digits[DECIMAL_SIZE_MAX];
    put(writer, slice_of(digits, (size_t)(decimal_put(digits, number) - digits)));
}

static inline void put_line(struct writer *writer, const struct http1_line *line)
{
    const struct leat_slice name = line->name, value = line->value;
    const size_t size = name.size + value.size + 4;
    if (__builtin_expect((size_t)(writer->end - writer->at) < size, 0)) {
        writer->is_full = true;
        return;
    }
    char *at = writer->at;
    memcpy(at, name.data, name.size);
    at += name.size;
    *at++ = ':';
    *at++ = ' ';
    if (value.size > 0)
        memcpy(at, value.data, value.size);
    at += value.size;
    *at++ = '\r';
    *at++ = '\n';
    writer->at = at;
}

static void put_lines(struct writer *writer, const struct passage *passage)
{
    for (unsigned i = 0; i < passage->head->line_count; i++) {
        const struct http1_line *line = &passage->head->lines[i];
        if (!(passage->passing >> passage->rules[line->field] & 1) || is_named(passage, i))
            continue;
        if (line->field == HTTP1_FIELD_OTHER && passage->is_untrusted &&
            is_forwarded_name(line->name))
            continue;
        put_line(writer, line);
    }
}

static void put_framing(struct writer *writer, enum proxy_framing framing, uint64_t size)
{
    if (framing == PROXY_CHUNKED) {
        put(writer, SLICE("Transfer-Encoding: chunked\r\n"));
    } else if (framing == PROXY_SIZED) {
        put(writer, SLICE("Content-Length: "));
        put_number(writer, size);
        put(writer, SLICE("\r\n"));
    }
}

/* Via (RFC 9110, section 7.6.3): the version is that in which the message came to us. */
static void put_via(struct writer *writer, const struct http1_head *head, struct leat_slice via)
{
    const char version = (char)('0' + head->minor_version);
    ASSERT(head->minor_version <= 9 && via.size > 0);
    put(writer, SLICE("Via: 1."));
    put(writer, slice_of(&version, 1));
    put(writer, SLICE(" "));
    put(writer, via);
    put(writer, SLICE("\r\n"));
}

static ssize_t finish(struct writer *writer, const char *start)
{
    put(writer, SLICE("\r\n"));
    return writer->is_full ? -LEAT_E_LIMIT : writer->at - start;
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* The next character of a path with percent-encoding undone, as origins see it sooner or later. */
static char next_decoded(const char **at, const char *end)
{
    const char *from = *at;
    if (*from == '%' && end - from >= 3 && chars_hex(from[1]) >= 0 && chars_hex(from[2]) >= 0) {
        *at = from + 3;
        return (char)(chars_hex(from[1]) << 4 | chars_hex(from[2]));
    }
    *at = from + 1;
    return *from;
}

/* Does ".." lead above where the path begins, at any place of it? As origins may read it who are
 * generous: an empty segment counts for none, and parameters are no part of one ("..;x"). */
static bool climbs(struct leat_slice path)
{
    const char *at = path.data, *end = path.data + path.size;
    size_t depth = 0, size = 0, dots = 0; /* of the segment, without parameters */
    bool in_parameters = false;
    while (at < end) {
        const char c = next_decoded(&at, end);
        in_parameters = c != '/' && (in_parameters || c == ';');
        if (c != '/' && !in_parameters) {
            dots += c == '.';
            size++;
        }
        if (c != '/' && at < end)
            continue;
        if (size == 2 && dots == 2) {
            if (depth == 0)
                return true;
            depth--;
        } else if (size > 0 && !(size == 1 && dots == 1)) {
            depth++;
        }
        size = dots = 0;
    }
    return false;
}

/* OPTIONS of a whole server, said in absolute form (RFC 9112, section 3.2.4). */
static bool is_asterisk(const struct http1_request *head)
{
    if (head->form == HTTP1_ASTERISK_FORM)
        return true;
    const size_t scheme_size = head->is_https ? sizeof "https://" - 1 : sizeof "http://" - 1;
    return head->form == HTTP1_ABSOLUTE_FORM && head->method == HTTP1_OPTIONS &&
           head->target.size == scheme_size + head->host.size;
}

/* 0 or -EACCES. Path and query are what they were (RFC 9110, section 7.7), but for our mapping. */
static int put_target(struct writer *writer, const struct http1_request *head,
                      const struct proxy_request_facts *facts)
{
    if (is_asterisk(head)) {
        put(writer, SLICE("*"));
        return 0;
    }
    ASSERT(head->path.size > 0 && facts->prefix_size <= head->path.size);
    const struct leat_slice rest = slice_after(head->path, facts->prefix_size);
    ASSERT(rest.size == 0 || rest.data[0] == '/');
    if ((facts->prefix_size > 0 || facts->base.size > 0) && climbs(rest))
        return -EACCES;
    put(writer, facts->base);
    put(writer, rest);
    if (facts->base.size + rest.size == 0)
        put(writer, SLICE("/"));
    if (head->query.data) {
        put(writer, SLICE("?"));
        put(writer, head->query);
    }
    return 0;
}

/* Max-Forwards where it counts: one less (RFC 9110, section 7.6.2). What is no number says
 * nothing. */
static void put_max_forwards(struct writer *writer, const struct http1_request *head)
{
    uint64_t left;
    if (!chars_decimal(http1_value(&head->head, HTTP1_FIELD_MAX_FORWARDS), &left))
        return;
    put(writer, SLICE("Max-Forwards: "));
    put_number(writer, left > 0 ? left - 1 : 0);
    put(writer, SLICE("\r\n"));
}

static bool counts_forwards(const struct http1_request *head)
{
    return head->method == HTTP1_TRACE || head->method == HTTP1_OPTIONS;
}

/* The framing, and what else we say to the upstream of this connection. */
static void put_request_connection(struct writer *writer, const struct passage *passage,
                                   const struct http1_request *head,
                                   const struct proxy_request_facts *facts)
{
    const bool is_told = head->head.has_content_length || head->method == HTTP1_POST ||
                         head->method == HTTP1_PUT || head->method == HTTP1_PATCH;
    if (facts->framing == PROXY_NO_BODY && is_told)
        put_framing(writer, PROXY_SIZED, 0);
    else
        put_framing(writer, facts->framing, facts->size);
    if (facts->expects_continue)
        put(writer, SLICE("Expect: 100-continue\r\n"));
    /* TE is the next connection's, too; but we hand trailers on, and so may say what the client
     * says (RFC 9110, section 10.1.4), if it is the client who says it. */
    const unsigned te = head->head.first_line[HTTP1_FIELD_TE];
    const bool takes_trailers = te > 0 && is_named(passage, te - 1) &&
                                head->head.minor_version > 0 &&
                                http1_list_has(head->head.lines[te - 1].value, SLICE("trailers"));
    if (takes_trailers)
        put(writer, SLICE("TE: trailers\r\n"));
    if (facts->is_upgrade && takes_trailers)
        put(writer, SLICE("Connection: Upgrade, TE\r\n"));
    else if (facts->is_upgrade)
        put(writer, SLICE("Connection: Upgrade\r\n"));
    else if (takes_trailers)
        put(writer, SLICE("Connection: TE\r\n"));
}

/* The client's host without its port, as X-Forwarded-For has it. */
static struct leat_slice format_host(const struct leat_address *peer, char text[INET6_ADDRSTRLEN])
{
    if (leat_address_family(peer) == AF_INET)
        return slice_of(text, (size_t)(address_put_ipv4(text, &peer->v4.sin_addr) - text));
    if (leat_address_family(peer) == AF_UNIX)
        return SLICE("unknown"); /* RFC 7239, section 6.2 */
    if (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr)) {
        struct in_addr v4;
        memcpy(&v4, &peer->v6.sin6_addr.s6_addr[12], sizeof v4);
        return slice_of(text, (size_t)(address_put_ipv4(text, &v4) - text));
    }
    const char *written = inet_ntop(AF_INET6, &peer->v6.sin6_addr, text, INET6_ADDRSTRLEN);
    ASSERT(written == text);
    return slice_from_text(text);
}

/* Forwarded (RFC 7239) and its elders. A Host has neither quotes nor backslashes. */
static void put_forwarded(struct writer *writer, const struct passage *passage,
                          const struct http1_request *head, const struct proxy_request_facts *facts)
{
    char text[INET6_ADDRSTRLEN];
    const struct leat_slice peer = format_host(facts->peer, text);
    const bool is_v6 = memchr(peer.data, ':', peer.size) != NULL;
    put(writer, is_v6 ? SLICE("Forwarded: for=\"[") : SLICE("Forwarded: for="));
    put(writer, peer);
    put(writer, is_v6 ? SLICE("]\"") : SLICE(""));
    if (head->host.size > 0) {
        put(writer, SLICE(";host=\""));
        put(writer, head->host);
        put(writer, SLICE("\""));
    }
    put(writer, SLICE(";proto=http\r\nX-Forwarded-For: "));
    for (unsigned i = 0; facts->trusts_forwarded && i < head->head.line_count; i++) {
        const struct http1_line *line = &head->head.lines[i];
        if (line->field != HTTP1_FIELD_X_FORWARDED_FOR || is_named(passage, i))
            continue;
        put(writer, line->value);
        put(writer, line->value.size > 0 ? SLICE(", ") : SLICE(""));
    }
    put(writer, peer);
    put(writer, SLICE("\r\n"));
    /* Of these two the first proxy's word counts. */
    const bool is_first = !facts->trusts_forwarded;
    if (head->host.size > 0 && (is_first || !has_field(passage, HTTP1_FIELD_X_FORWARDED_HOST))) {
        put(writer, SLICE("X-Forwarded-Host: "));
        put(writer, head->host);
        put(writer, SLICE("\r\n"));
    }
    if (is_first || !has_field(passage, HTTP1_FIELD_X_FORWARDED_PROTO))
        put(writer, SLICE("X-Forwarded-Proto: http\r\n"));
}

ssize_t proxy_head_request(const struct http1_request *head,
                           const struct proxy_request_facts *facts, char *out, size_t size)
{
    ASSERT(head->form != HTTP1_AUTHORITY_FORM && facts->framing != PROXY_TO_CLOSE);
    ASSERT(facts->authority.size > 0);
    struct writer writer = {.at = out, .end = out + size};
    struct passage passage = {
        .head = &head->head, .rules = request_rules, .is_untrusted = !facts->trusts_forwarded};
    int result = look_up_named(&passage);
    if (result < 0)
        return result;
    const bool keeps_trailer =
        facts->framing == PROXY_CHUNKED && proxy_head_keeps_trailer(&head->head);
    passage.passing = bit_if(true, PASSES) | bit_if(facts->trusts_forwarded, IF_TRUSTED) |
                      bit_if(facts->is_upgrade, IF_UPGRADE) | bit_if(keeps_trailer, IF_TRAILER) |
                      bit_if(!counts_forwards(head), IF_NOT_COUNTED);
    put(&writer, head->method_text);
    put(&writer, SLICE(" "));
    result = put_target(&writer, head, facts);
    if (result < 0)
        return result;
    put(&writer, SLICE(" HTTP/1.1\r\nHost: "));
    put(&writer, facts->passes_host && head->host.size > 0 ? head->host : facts->authority);
    put(&writer, SLICE("\r\n"));
    put_lines(&writer, &passage);
    if (counts_forwards(head))
        put_max_forwards(&writer, head);
    put_request_connection(&writer, &passage, head, facts);
    put_forwarded(&writer, &passage, head, facts);
    put_via(&writer, &head->head, facts->via);
    return finish(&writer, out);
}

bool proxy_head_asks_upgrade(const struct http1_request *head)
{
    struct walk protocols = walk_through(&head->head, HTTP1_FIELD_UPGRADE);
    struct leat_slice protocol;
    if (head->head.minor_version == 0 || !head->head.wants_upgrade)
        return false;
    unsigned count = 0;
    for (; next_element(&protocols, &protocol); count++) {
        if (protocol.size >= 2 && slice_equal_nocase(slice_of(protocol.data, 2), SLICE("h2")))
            return false;
    }
    return count > 0;
}

static bool has_protocol(const struct http1_head *head, struct leat_slice protocol)
{
    struct walk protocols = walk_through(head, HTTP1_FIELD_UPGRADE);
    struct leat_slice asked;
    while (next_element(&protocols, &asked)) {
        if (slice_equal_nocase(asked, protocol))
            return true;
    }
    return false;
}

bool proxy_head_is_switch(const struct http1_request *asked, const struct http1_response *answer)
{
    struct walk protocols = walk_through(&answer->head, HTTP1_FIELD_UPGRADE);
    struct leat_slice protocol;
    ASSERT(answer->status == 101);
    unsigned count = 0;
    for (; next_element(&protocols, &protocol); count++) {
        if (!has_protocol(&asked->head, protocol))
            return false;
    }
    return count > 0;
}

bool proxy_head_ends_here(const struct http1_request *head)
{
    uint64_t left;
    return counts_forwards(head) &&
           chars_decimal(http1_value(&head->head, HTTP1_FIELD_MAX_FORWARDS), &left) && left == 0;
}

/* An element of Via: "1.1 leat" or "HTTP/1.1 leat (a comment)". */
static bool is_via_of(struct leat_slice element, struct leat_slice via)
{
    const char *blank = element.size > 0 ? memchr(element.data, ' ', element.size) : NULL;
    if (!blank)
        return false;
    const struct leat_slice by =
        chars_trim(slice_of(blank, (size_t)(element.data + element.size - blank)));
    return by.size >= via.size && slice_equal_nocase(slice_of(by.data, via.size), via) &&
           (by.size == via.size || chars_is_space(by.data[via.size]));
}

bool proxy_head_is_loop(const struct http1_request *head, struct leat_slice via)
{
    struct walk members = walk_through(&head->head, HTTP1_FIELD_VIA);
    struct leat_slice member;
    unsigned passes = 0;
    while (next_element(&members, &member))
        passes += is_via_of(member, via);
    return passes >= PROXY_HEAD_PASSES_MAX;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* What we say of the client's connection. 426 is about Upgrade, and has it (section 15.5.22). */
static void put_response_connection(struct writer *writer, bool has_upgrade,
                                    const struct proxy_response_facts *facts)
{
    const bool says_close = !facts->keep_alive && !facts->is_upgrade;
    const bool says_keep_alive =
        facts->keep_alive && !facts->is_upgrade && facts->client_version == 0;
    if (says_close)
        put(writer,
            has_upgrade ? SLICE("Connection: close, Upgrade\r\n") : SLICE("Connection: close\r\n"));
    else if (says_keep_alive)
        put(writer, has_upgrade ? SLICE("Connection: keep-alive, Upgrade\r\n")
                                : SLICE("Connection: keep-alive\r\n"));
    else if (has_upgrade)
        put(writer, SLICE("Connection: Upgrade\r\n"));
}

static void put_status_line(struct writer *writer, const struct http1_response *head)
{
    ASSERT(head->status >= 100 && head->status <= 999);
    put(writer, SLICE("HTTP/1.1 "));
    put_number(writer, (uint64_t)head->status);
    put(writer, SLICE(" "));
    put(writer, head->reason);
    put(writer, SLICE("\r\n"));
}

ssize_t proxy_head_response(const struct http1_response *head,
                            const struct proxy_response_facts *facts, char *out, size_t size)
{
    const bool is_interim = head->status < 200;
    /* RFC 9110, section 8.6, and RFC 9112, section 6.1. */
    const bool has_framing = !is_interim && head->status != 204;
    ASSERT(!has_framing || facts->framing != PROXY_TO_CLOSE || !facts->keep_alive);
    ASSERT(!has_framing || facts->framing != PROXY_CHUNKED || facts->client_version > 0);
    struct writer writer = {.at = out, .end = out + size};
    struct passage passage = {.head = &head->head, .rules = response_rules};
    const int result = look_up_named(&passage);
    if (result < 0)
        return result;
    const bool has_upgrade = (facts->is_upgrade || head->status == 426) &&
                             head->head.first_line[HTTP1_FIELD_UPGRADE] > 0;
    const bool keeps_trailer =
        has_framing && facts->framing == PROXY_CHUNKED && proxy_head_keeps_trailer(&head->head);
    passage.passing =
        bit_if(true, PASSES) | bit_if(has_upgrade, IF_UPGRADE) | bit_if(keeps_trailer, IF_TRAILER);
    put_status_line(&writer, head);
    put_lines(&writer, &passage);
    if (has_framing)
        put_framing(&writer, facts->framing, facts->size);
    if (!is_interim || facts->is_upgrade)
        put_response_connection(&writer, has_upgrade, facts);
    if (!is_interim && !has_field(&passage, HTTP1_FIELD_DATE))
        put(&writer, facts->date_line);
    put_via(&writer, &head->head, facts->via);
    return finish(&writer, out);
}

/* ---- Trailers -------------------------------------------------------------------------------- */

/* Of the fields we know, those go along whose definition permits them in a trailer; of the others,
 * all but what RFC 9110, section 6.5.1, forbids: framing, routing, modifiers of requests,
 * credentials, what controls the answer or says how its content is to be read. */
static bool may_trail(struct leat_slice name)
{
    static const struct leat_slice others[] = {
        SLICE("age"),
        SLICE("content-language"),
        SLICE("content-location"),
        SLICE("expires"),
        SLICE("pragma"),
        SLICE("proxy-authenticate"),
        SLICE("retry-after"),
        SLICE("set-cookie"),
        SLICE("vary"),
        SLICE("www-authenticate"),
    };
    const enum http1_field field = http1_field_from_name(name);
    if (field != HTTP1_FIELD_OTHER)
        return field == HTTP1_FIELD_ETAG || field == HTTP1_FIELD_ACCEPT_RANGES;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (slice_equal_nocase(name, others[i]))
            return false;
    }
    return !is_forwarded_name(name);
}

bool proxy_head_keeps_trailer(const struct http1_head *head)
{
    struct walk options = walk_through(head, HTTP1_FIELD_CONNECTION);
    struct leat_slice option;
    while (next_element(&options, &option)) {
        if (option.size > 0 && may_trail(option) && !slice_equal_nocase(option, SLICE("close")))
            return false;
    }
    return true;
}

ssize_t proxy_head_trailer(struct leat_slice lines, char *out, size_t size)
{
    struct writer writer = {.at = out, .end = out + size};
    while (lines.size > 0 && lines.data[0] != '\r') {
        const char *end = memchr(lines.data, '\r', lines.size);
        const char *colon = memchr(lines.data, ':', lines.size);
        ASSERT(end && colon && colon < end); /* wire/http1_chunked has seen to it */
        const struct http1_line line = {
            .name = slice_of(lines.data, (size_t)(colon - lines.data)),
            .value = chars_trim(slice_of(colon + 1, (size_t)(end - colon - 1))),
        };
        if (may_trail(line.name))
            put_line(&writer, &line);
        const size_t line_size = (size_t)(end - lines.data) + 2;
        ASSERT(line_size <= lines.size);
        lines = slice_after(lines, line_size);
    }
    return writer.is_full ? -LEAT_E_LIMIT : writer.at - out;
}
