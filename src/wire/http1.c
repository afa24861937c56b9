/* SPDX-License-Identifier: MIT */
/*
 * The parser reads left to right, once, and stops at the first byte that cannot be right; every
 * decision depends on the bytes up to it alone. That is why the outcome cannot depend on how the
 * bytes were cut, and why the limits are a window over the bytes and not a count kept on the side.
 *
 * A step takes where it is and returns where it got to, or NULL after fail() or when bytes are
 * missing (error_status 0). On the hot path: "GET ", the target sixteen bytes at a time,
 * " HTTP/1.1\r\n" as one comparison, then per field line the name by table, ':' and the value.
 */
#include "wire/http1.h"

#include "base/assert.h"
#include "wire/chars.h"
#include "wire/path.h"

static_assert(HTTP1_LINES_MAX < UINT8_MAX, "first_line holds 1 + index in a byte");

const struct http1_limits http1_limits_default = {
    .line_size = 8 * 1024,
    .head_size = 16 * 1024,
    .line_count = HTTP1_LINES_MAX,
};

/* ---- Names ----------------------------------------------------------------------------------- */

struct field_name {
    uint8_t size;
    char text[23];
};

static const struct field_name field_names[HTTP1_FIELD_COUNT] = {
#define X(constant, name, first, last) [HTTP1_FIELD_##constant] = {sizeof(name) - 1, name},
    HTTP1_FIELDS(X)
#undef X
};

/* Size, first and last letter tell the names apart; | 0x20 puts letters into lower case. */
#define NAME_HASH(size, first, last)                                                               \
    (((size) + 5 * (unsigned char)((first) | 0x20) + 13 * (unsigned char)((last) | 0x20)) & 255)

static const uint8_t field_by_hash[256] = {
#define X(constant, name, first, last)                                                             \
    [NAME_HASH(sizeof(name) - 1, first, last)] = HTTP1_FIELD_##constant,
    HTTP1_FIELDS(X)
#undef X
};

enum http1_field http1_field_from_name(struct leat_slice name)
{
    if (name.size == 0)
        return HTTP1_FIELD_OTHER;
    const unsigned hash = NAME_HASH(name.size, name.data[0], name.data[name.size - 1]);
    const enum http1_field field = (enum http1_field)field_by_hash[hash];
    const struct field_name *known = &field_names[field];
    if (known->size != name.size)
        return HTTP1_FIELD_OTHER;
    /* Of tokens, | 0x20 turns nothing but a capital into a letter, nothing but '-' into '-'. */
    for (size_t i = 0; i < name.size; i++) {
        if ((name.data[i] | 0x20) != known->text[i])
            return HTTP1_FIELD_OTHER;
    }
    return field;
}

const char *http1_field_name(enum http1_field field)
{
    ASSERT(field < HTTP1_FIELD_COUNT);
    return field_names[field].text;
}

static enum http1_method method_from_text(struct leat_slice text)
{
    static const struct {
        struct leat_slice text;
        enum http1_method method;
    } methods[] = {
        {SLICE("GET"), HTTP1_GET},         {SLICE("HEAD"), HTTP1_HEAD},
        {SLICE("POST"), HTTP1_POST},       {SLICE("PUT"), HTTP1_PUT},
        {SLICE("DELETE"), HTTP1_DELETE},   {SLICE("CONNECT"), HTTP1_CONNECT},
        {SLICE("OPTIONS"), HTTP1_OPTIONS}, {SLICE("TRACE"), HTTP1_TRACE},
        {SLICE("PATCH"), HTTP1_PATCH},
    };
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (slice_equal(text, methods[i].text))
            return methods[i].method;
    }
    return HTTP1_METHOD_OTHER;
}

bool http1_list_has(struct leat_slice list, struct leat_slice token)
{
    struct leat_slice element;
    while (chars_next_element(&list, &element)) {
        if (slice_equal_nocase(element, token))
            return true;
    }
    return false;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* What a step works in: bytes up to `end`, and where a failure is noted. */
struct parse {
    const char *start, *end;
    struct http1_head *head;
};

__attribute__((cold, noinline)) static const char *fail(const struct parse *parse, int status,
                                                        const char *at)
{
    ASSERT(at >= parse->start && at <= parse->end);
    parse->head->error_status = status;
    parse->head->error_position = (size_t)(at - parse->start);
    return NULL;
}

/* CR LF at `at`, which is below the end; or what is wrong with it. */
static inline const char *parse_line_end(const struct parse *parse, const char *at)
{
    DEBUG_ASSERT(at < parse->end);
    if (*at != '\r')
        return fail(parse, 400, at);
    if (parse->end - at < 2)
        return NULL;
    if (at[1] != '\n')
        return fail(parse, 400, at + 1);
    return at + 2;
}

/* HTTP-version: "HTTP/" DIGIT "." DIGIT (RFC 9112, section 2.3), and then `tail`. */
static const char *parse_version(const struct parse *parse, const char *at, const char *tail)
{
    static const char pattern[] = "HTTP/0.0"; /* a 0 stands for any digit */
    const size_t size = sizeof(pattern) - 1 + strlen(tail);
    ASSERT(size <= 10);
    for (size_t i = 0; i < size; i++) {
        if (at + i == parse->end)
            return NULL;
        const char want = i < sizeof(pattern) - 1 ? pattern[i] : tail[i - (sizeof(pattern) - 1)];
        const bool good = want == '0' ? chars_is(at[i], CHARS_DIGIT) : at[i] == want;
        if (!good)
            return fail(parse, 400, at + i);
    }
    if (at[5] != '1')
        return fail(parse, 505, at + 5);
    parse->head->minor_version = (uint8_t)(at[7] - '0');
    return at + size;
}

/* Why these transfer codings are not ours. Without chunked at the end, or with it twice, nobody can
 * tell where the body ends: 400 (RFC 9112, section 6.3). Empty elements, which other lists may
 * have, are refused in one that decides about that. What precedes chunked we do not know: 501. */
__attribute__((cold)) static int status_of_codings(struct leat_slice codings)
{
    struct leat_slice coding;
    bool was_chunked = false;
    while (chars_next_element(&codings, &coding)) {
        if (coding.size == 0 || was_chunked)
            return 400;
        was_chunked = slice_equal_nocase(coding, SLICE("chunked"));
    }
    return was_chunked ? 501 : 400;
}

/* Transfer-Encoding (RFC 9112, section 6.1) and Content-Length (RFC 9110, section 8.6). Returns
 * the status that refuses the line, or 0. */
static int note_framing(struct http1_head *head, const struct http1_line *line)
{
    if (line->field == HTTP1_FIELD_TRANSFER_ENCODING) {
        if (!slice_equal_nocase(line->value, SLICE("chunked")))
            return status_of_codings(line->value);
        if (head->is_chunked) /* a second line says "chunked, chunked" */
            return 400;
        head->is_chunked = true;
        return 0;
    }
    uint64_t length;
    if (!chars_decimal(line->value, &length) || length > INT64_MAX)
        return 400;
    if (head->has_content_length && head->content_length != length)
        return 400;
    head->has_content_length = true;
    head->content_length = length;
    return 0;
}

/* What one line of Connection says (RFC 9110, section 7.6.1). Most say one word. */
static void note_connection(struct http1_head *head, struct leat_slice list)
{
    struct leat_slice option;
    while (chars_next_element(&list, &option)) {
        if (option.size == 10 && slice_equal_nocase(option, SLICE("keep-alive")))
            head->says_keep_alive = true;
        else if (option.size == 5 && slice_equal_nocase(option, SLICE("close")))
            head->says_close = true;
        else if (option.size == 7 && slice_equal_nocase(option, SLICE("upgrade")))
            head->wants_upgrade = true;
    }
}

/* Files a line that is complete under its field. Returns 0, or the status that refuses it. */
static inline int note_line(struct http1_head *head, const struct http1_line *line)
{
    if (line->field == HTTP1_FIELD_OTHER)
        return 0;
    if (head->first_line[line->field] == 0)
        head->first_line[line->field] = (uint8_t)head->line_count;
    switch (line->field) {
    case HTTP1_FIELD_HOST: head->host_count++; return 0;
    case HTTP1_FIELD_CONNECTION: note_connection(head, line->value); return 0;
    case HTTP1_FIELD_CONTENT_LENGTH:
    case HTTP1_FIELD_TRANSFER_ENCODING: return note_framing(head, line);
    default: return 0;
    }
}

/* field-line CRLF (RFC 9112, section 5). */
static inline const char *parse_line(const struct parse *parse, const char *at)
{
    struct http1_head *head = parse->head;
    struct http1_line *line = &head->lines[head->line_count];
    const char *name = at;
    at = chars_skip(at, parse->end, CHARS_TOKEN);
    if (at == parse->end)
        return NULL;
    if (*at != ':' || at == name)
        return fail(parse, 400, at);
    line->name = slice_of(name, (size_t)(at - name));
    at++;
    while (at < parse->end && chars_is_space(*at))
        at++;
    const char *value = at;
    at = chars_skip_value(at, parse->end);
    if (at == parse->end)
        return NULL;
    const char *value_end = at;
    at = parse_line_end(parse, at);
    if (!at)
        return NULL;
    while (value_end > value && chars_is_space(value_end[-1]))
        value_end--;
    line->value = slice_of(value, (size_t)(value_end - value));
    line->field = http1_field_from_name(line->name);
    head->line_count++;
    const int status = note_line(head, line);
    return status ? fail(parse, status, value) : at;
}

/* Field lines, the empty line behind them, and what they must not say together. */
static const char *parse_lines(const struct parse *parse, const char *at,
                               const struct http1_limits *limits)
{
    struct http1_head *head = parse->head;
    while (true) {
        if (at == parse->end)
            return NULL;
        if (*at == '\r')
            break;
        if (head->line_count == limits->line_count)
            return fail(parse, 431, at);
        at = parse_line(parse, at);
        if (!at)
            return NULL;
    }
    const char *end = parse_line_end(parse, at);
    if (!end)
        return NULL;
    /* RFC 9112, section 6.1: both at once is an attempt to smuggle; HTTP/1.0 knows no codings. */
    if (head->is_chunked && (head->has_content_length || head->minor_version == 0))
        return fail(parse, 400, at);
    head->keep_alive = !head->says_close && (head->minor_version >= 1 || head->says_keep_alive);
    return end;
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* The first character that is not reg-name's (RFC 3986, section 3.2.2), a '%' without its two
 * digits included. */
static const char *skip_reg_name(const char *at, const char *end)
{
    while (true) {
        const char *percent = at;
        at = chars_skip(at, end, CHARS_REG_NAME);
        percent = memchr(percent, '%', (size_t)(at - percent));
        if (!percent)
            return at;
        if (end - percent < 3 || chars_hex(percent[1]) < 0 || chars_hex(percent[2]) < 0)
            return percent;
        at = percent + 3;
    }
}

/* IPv4address at the end of an IPv6address: four numbers up to 255, without leading zeros. */
static bool is_ipv4(struct leat_slice text)
{
    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t digits = 0;
        while (digits < text.size && digits < 4 && chars_is(text.data[digits], CHARS_DIGIT))
            value = value * 10 + (unsigned)(text.data[digits++] - '0');
        if (digits == 0 || value > 255 || (digits > 1 && text.data[0] == '0'))
            return false;
        text = slice_after(text, digits);
        if (part == 3 || text.size == 0 || text.data[0] != '.')
            return part == 3 && text.size == 0;
        text = slice_after(text, 1);
    }
    return false;
}

/* IPv6address: groups of up to four digits, eight of them, or fewer and once "::". */
static bool is_ipv6(struct leat_slice text)
{
    unsigned groups = 0;
    bool has_gap = text.size >= 2 && text.data[0] == ':' && text.data[1] == ':';
    if (has_gap)
        text = slice_after(text, 2);
    while (text.size > 0) {
        size_t digits = 0;
        while (digits < text.size && chars_hex(text.data[digits]) >= 0)
            digits++;
        if (digits < text.size && text.data[digits] == '.') {
            groups += 2;
            return is_ipv4(text) && (has_gap ? groups < 8 : groups == 8);
        }
        if (digits == 0 || digits > 4)
            return false;
        groups++;
        text = slice_after(text, digits);
        if (text.size == 0)
            break;
        const bool is_gap = text.size >= 2 && text.data[0] == ':' && text.data[1] == ':';
        if (text.data[0] != ':' || text.size == 1 || (is_gap && has_gap))
            return false;
        has_gap = has_gap || is_gap;
        text = slice_after(text, is_gap ? 2 : 1);
    }
    return has_gap ? groups < 8 : groups == 8;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ), of addresses that are yet to come. */
static bool is_ip_future(struct leat_slice text)
{
    size_t at = 1;
    while (at < text.size && chars_hex(text.data[at]) >= 0)
        at++;
    if (at < 2 || at + 1 >= text.size || text.data[at] != '.' || chars_lower(text.data[0]) != 'v')
        return false;
    for (at++; at < text.size; at++) {
        const char c = text.data[at];
        if (c == '%' || (c != ':' && !chars_is(c, CHARS_REG_NAME)))
            return false;
    }
    return true;
}

/* uri-host [":" port], RFC 3986 section 3.2.2; an empty one is a matter for the caller. */
static bool is_host(struct leat_slice host, struct leat_slice *ret_port)
{
    const char *at = host.data, *end = host.data + host.size;
    if (at < end && *at == '[') {
        const char *bracket = memchr(at, ']', host.size);
        if (!bracket)
            return false;
        const struct leat_slice literal = slice_of(at + 1, (size_t)(bracket - at - 1));
        if (!is_ipv6(literal) && !is_ip_future(literal))
            return false;
        at = bracket + 1;
    } else {
        at = skip_reg_name(at, end);
    }
    const bool has_colon = at < end && *at == ':';
    const char *port = has_colon ? at + 1 : at;
    at = has_colon ? chars_skip(port, end, CHARS_DIGIT) : at;
    *ret_port = slice_of(port, (size_t)(at - port));
    return at == end;
}

/* http://host[:port][/path][?query]. The host takes the place of the Host field's (section 3.2.2).
 * NULL, or the byte that cannot be. */
static const char *split_absolute(struct http1_request *request)
{
    const struct leat_slice target = request->target;
    size_t scheme = 0;
    if (target.size > 7 && slice_equal_nocase(slice_of(target.data, 7), SLICE("http://")))
        scheme = 7;
    else if (target.size > 8 && slice_equal_nocase(slice_of(target.data, 8), SLICE("https://")))
        scheme = 8;
    if (scheme == 0)
        return target.data;
    const struct leat_slice rest = slice_after(target, scheme);
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?')
        size++;
    request->host = slice_of(rest.data, size);
    struct leat_slice port;
    if (size == 0 || rest.data[0] == ':' || !is_host(request->host, &port))
        return rest.data;
    request->form = HTTP1_ABSOLUTE_FORM;
    request->is_https = scheme == 8;
    path_split_query(slice_after(rest, size), &request->path, &request->query);
    if (request->path.size == 0)
        request->path = SLICE("/");
    return NULL;
}

/* host:port, of a CONNECT that names a port that can be (RFC 9110, section 9.3.6). */
static bool is_authority(struct leat_slice target)
{
    struct leat_slice port;
    uint64_t number;
    return target.data[0] != ':' && is_host(target, &port) && chars_decimal(port, &number) &&
           number >= 1 && number <= 65535;
}

/* Which of the four forms it is. NULL, or the byte that cannot be. */
static const char *split_target(struct http1_request *request)
{
    const struct leat_slice target = request->target;
    ASSERT(target.size > 0);
    if (request->method == HTTP1_CONNECT) {
        request->form = HTTP1_AUTHORITY_FORM;
        request->host = target;
        return is_authority(target) ? NULL : target.data;
    }
    if (target.data[0] == '/') {
        request->form = HTTP1_ORIGIN_FORM;
        path_split_query(target, &request->path, &request->query);
        return NULL;
    }
    if (target.size == 1 && target.data[0] == '*' && request->method == HTTP1_OPTIONS) {
        request->form = HTTP1_ASTERISK_FORM;
        return NULL;
    }
    return split_absolute(request);
}

/* method SP request-target SP HTTP-version CRLF (RFC 9112, section 3). */
static const char *parse_request_line(const struct parse *parse, const char *at,
                                      struct http1_request *request)
{
    const char *method = at;
    if (parse->end - at >= 4 && memcmp(at, "GET ", 4) == 0) {
        request->method = HTTP1_GET;
        at += 3;
    } else {
        at = chars_skip(at, parse->end, CHARS_TOKEN);
        if (at == parse->end)
            return NULL;
        if (*at != ' ' || at == method)
            return fail(parse, 400, at);
        request->method = method_from_text(slice_of(method, (size_t)(at - method)));
    }
    request->method_text = slice_of(method, (size_t)(at - method));
    const char *target = ++at;
    at = chars_skip_target(at, parse->end);
    if (at == parse->end)
        return NULL;
    if (*at != ' ' || at == target)
        return fail(parse, 400, at);
    request->target = slice_of(target, (size_t)(at - target));
    at++;
    if (parse->end - at >= 10 && memcmp(at, "HTTP/1.1\r\n", 10) == 0) {
        parse->head->minor_version = 1;
        at += 10;
    } else {
        at = parse_version(parse, at, "\r\n");
        if (!at)
            return NULL;
    }
    const char *wrong = split_target(request);
    return wrong ? fail(parse, 400, wrong) : at;
}

/* Host: exactly one in HTTP/1.1, never two, and a host it must be (RFC 9112, section 3.2). */
static const char *settle_request(const struct parse *parse, const char *at,
                                  struct http1_request *request)
{
    const struct http1_head *head = parse->head;
    if (head->host_count > 1 || (head->host_count == 0 && head->minor_version >= 1))
        return fail(parse, 400, at);
    struct leat_slice port;
    const struct leat_slice host = http1_value(head, HTTP1_FIELD_HOST);
    if (host.size > 0 && !is_host(host, &port))
        return fail(parse, 400, host.data);
    if (!request->host.data)
        request->host = host;
    if (head->first_line[HTTP1_FIELD_EXPECT] > 0 && head->minor_version >= 1)
        request->expect_continue =
            slice_equal_nocase(http1_value(head, HTTP1_FIELD_EXPECT), SLICE("100-continue"));
    return at;
}

/* ---- The calls ------------------------------------------------------------------------------- */

static struct parse begin(struct leat_slice input, size_t scanned,
                          const struct http1_limits *limits, struct http1_head *head)
{
    ASSERT(scanned <= input.size);
    ASSERT(limits->line_size >= 2 && limits->line_size <= limits->head_size);
    ASSERT(limits->head_size <= 1 << 30 && limits->line_count <= HTTP1_LINES_MAX);
    memset(head, 0, offsetof(struct http1_head, lines));
    const size_t window = input.size < limits->head_size ? input.size : limits->head_size;
    return (struct parse){.start = input.data, .end = input.data + window, .head = head};
}

/* A head that trickles in: as long as no line has ended since the last call, only the line in the
 * making can be wrong, and it alone is looked at again. True when that settles the answer, which is
 * in error_status then (0: more). */
static bool is_settled_by_last_line(const struct parse *parse, size_t scanned)
{
    if (scanned <= 2)
        return false;
    /* The first two bytes may be an empty line, whose end is not the first line's. */
    const char *line_end =
        memrchr(parse->start + 2, '\n', (size_t)(parse->end - (parse->start + 2)));
    /* A line's first byte decides whether there are too many: that takes a count. */
    if (!line_end || line_end + 1 >= parse->start + scanned)
        return false;
    const char *at = line_end + 1;
    at = *at == '\r' ? parse_line_end(parse, at) : parse_line(parse, at);
    ASSERT(at == NULL);
    return true;
}

/* The first line has a window of its own within the head's. */
static struct parse first_line_window(const struct parse *parse, size_t line_size)
{
    struct parse line = *parse;
    if ((size_t)(line.end - line.start) > line_size)
        line.end = line.start + line_size;
    return line;
}

/* The answer when a step stopped in a window that may grow to `size_max`: an error, "more", or, as
 * nothing more may come, `too_large`. */
static int stop(const struct parse *parse, size_t size_max, int too_large)
{
    const size_t size = (size_t)(parse->end - parse->start);
    ASSERT(size <= size_max);
    if (parse->head->error_status == 0) {
        if (size < size_max)
            return 0;
        fail(parse, too_large, parse->end);
    }
    return -parse->head->error_status;
}

int http1_parse_request(struct leat_slice input, size_t scanned, const struct http1_limits *limits,
                        struct http1_request *request)
{
    limits = limits ? limits : &http1_limits_default;
    if (input.size == 0)
        return 0;
    const struct parse parse = begin(input, scanned, limits, &request->head);
    if (input.size < limits->head_size && is_settled_by_last_line(&parse, scanned))
        return -request->head.error_status;
    request->expect_continue = request->is_https = false;
    request->path = request->query = request->host = slice_of(NULL, 0);

    const struct parse line = first_line_window(&parse, limits->line_size);
    const char *at = line.start;
    if (*at == '\r') /* one empty line before the request is forgiven (RFC 9112, section 2.2) */
        at = parse_line_end(&line, at);
    at = at ? parse_request_line(&line, at, request) : NULL;
    if (!at)
        return stop(&line, limits->line_size, 414);
    at = parse_lines(&parse, at, limits);
    at = at ? settle_request(&parse, at, request) : NULL;
    if (!at)
        return stop(&parse, limits->head_size, 431);
    return (int)(at - parse.start);
}

/* HTTP-version SP status-code [SP reason-phrase] CRLF (RFC 9112, section 4; some servers leave the
 * second blank away with the phrase). */
static const char *parse_status_line(const struct parse *parse, const char *at,
                                     struct http1_response *response)
{
    at = parse_version(parse, at, " ");
    if (!at)
        return NULL;
    int status = 0;
    for (int i = 0; i < 3; i++, at++) {
        if (at == parse->end)
            return NULL;
        if (!chars_is(*at, CHARS_DIGIT) || (i == 0 && *at == '0'))
            return fail(parse, 400, at);
        status = status * 10 + (*at - '0');
    }
    if (at == parse->end)
        return NULL;
    if (*at != ' ' && *at != '\r')
        return fail(parse, 400, at);
    const char *reason = *at == ' ' ? at + 1 : at;
    at = chars_skip_value(reason, parse->end);
    if (at == parse->end)
        return NULL;
    ASSERT(status >= 100 && status <= 999);
    response->status = status;
    response->reason = slice_of(reason, (size_t)(at - reason));
    return parse_line_end(parse, at);
}

int http1_parse_response(struct leat_slice input, size_t scanned, const struct http1_limits *limits,
                         struct http1_response *response)
{
    limits = limits ? limits : &http1_limits_default;
    if (input.size == 0)
        return 0;
    const struct parse parse = begin(input, scanned, limits, &response->head);
    if (input.size < limits->head_size && is_settled_by_last_line(&parse, scanned))
        return -response->head.error_status;
    const struct parse line = first_line_window(&parse, limits->line_size);
    const char *at = parse_status_line(&line, line.start, response);
    if (!at)
        return stop(&line, limits->line_size, 431);
    at = parse_lines(&parse, at, limits);
    if (!at)
        return stop(&parse, limits->head_size, 431);
    return (int)(at - parse.start);
}
