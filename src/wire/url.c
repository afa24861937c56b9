/* SPDX-License-Identifier: MIT */
/*
 * A reference is cut from both ends inwards, as the grammar reads: the fragment behind the first
 * '#', the query behind the first '?', the scheme before the first ':', the authority behind "//".
 * What is left is the path. Each part is then looked at for what may not stand in it.
 */
#include "wire/url.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/chars.h"

/* ---- Parsing --------------------------------------------------------------------------------- */

/* pchar and '/' (RFC 3986, section 3.3), but for what is percent-encoded. */
static bool may_be_in_path(char c)
{
    return (chars_is(c, CHARS_REG_NAME) && c != '%') || c == ':' || c == '@' || c == '/';
}

static bool may_be_in_query(char c)
{
    return may_be_in_path(c) || c == '?' || c == '[' || c == ']';
}

static bool may_be_in_fragment(char c)
{
    return may_be_in_path(c) || c == '?';
}

/* Is it made of these characters, and of what is percent-encoded? */
static bool is_made_of(struct leat_slice text, bool (*may_be_in)(char c))
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '%') {
            if (text.size - i < 3 || chars_hex(text.data[i + 1]) < 0 ||
                chars_hex(text.data[i + 2]) < 0)
                return false;
            i += 2;
        } else if (!may_be_in(text.data[i])) {
            return false;
        }
    }
    return true;
}

/* ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (section 3.1) */
static bool is_scheme(struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.data[i], lower = chars_lower(c);
        const bool is_other = chars_is(c, CHARS_DIGIT) || c == '+' || c == '-' || c == '.';
        if ((lower < 'a' || lower > 'z') && (i == 0 || !is_other))
            return false;
    }
    return text.size > 0;
}

static bool is_address(int family, struct leat_slice host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address; /* of either */
    if (host.size == 0 || host.size >= sizeof text || memchr(host.data, '\0', host.size))
        return false;
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(family, text, &address) == 1;
}

/* Does the last label look like a number, in whatever base? Some would read the whole as an IPv4
 * address then. */
static bool ends_in_number(struct leat_slice host)
{
    if (slice_ends_with(host, SLICE(".")))
        host.size--;
    const char *dot = host.size > 0 ? memrchr(host.data, '.', host.size) : NULL;
    const struct leat_slice label = dot ? slice_after(host, (size_t)(dot + 1 - host.data)) : host;
    const bool is_hex =
        label.size >= 2 && label.data[0] == '0' && chars_lower(label.data[1]) == 'x';
    for (size_t i = is_hex ? 2 : 0; i < label.size; i++) {
        if (is_hex ? chars_hex(label.data[i]) < 0 : !chars_is(label.data[i], CHARS_DIGIT))
            return false;
    }
    return label.size > 0;
}

static bool is_host(struct leat_slice host)
{
    for (size_t i = 0; i < host.size; i++) {
        if (!chars_is(host.data[i], CHARS_UNRESERVED))
            return false;
    }
    return host.size <= URL_HOST_SIZE_MAX && (!ends_in_number(host) || is_address(AF_INET, host));
}

/* host [ ":" port ]: what stands before and behind the brackets or the colon. */
static bool parse_authority(struct url *url)
{
    const struct leat_slice text = url->authority;
    const bool is_bracketed = slice_starts_with(text, SLICE("["));
    const char *end = text.size > 0 ? memchr(text.data, is_bracketed ? ']' : ':', text.size) : NULL;
    const size_t size = end ? (size_t)(end - text.data) : text.size;
    struct leat_slice port;
    if (is_bracketed) {
        if (!end || !is_address(AF_INET6, slice_of(text.data + 1, size - 1)))
            return false;
        url->is_ipv6 = true;
        url->host = slice_of(text.data + 1, size - 1);
        port = slice_after(text, size + 1);
    } else {
        url->host = slice_of(text.data, size);
        port = slice_after(text, size);
        if (!is_host(url->host))
            return false;
    }
    if (port.size > 0 && port.data[0] != ':')
        return false;
    if (port.size <= 1) /* "http://host:/" says the same as without the colon */
        return true;
    uint64_t number;
    if (!chars_decimal(slice_after(port, 1), &number) || number == 0 || number > UINT16_MAX)
        return false;
    url->port = (uint16_t)number;
    return true;
}

/* Cuts what stands behind the first `mark` off the text; data is NULL when there is none. */
static struct leat_slice cut_behind(struct leat_slice *text, char mark)
{
    const char *at = text->size > 0 ? memchr(text->data, mark, text->size) : NULL;
    if (!at)
        return slice_of(NULL, 0);
    const size_t size = (size_t)(at - text->data);
    const struct leat_slice behind = slice_after(*text, size + 1);
    text->size = size;
    return behind;
}

int url_parse(struct leat_slice text, struct url *ret_url)
{
    struct url url = {.text = text};
    url.fragment = cut_behind(&text, '#');
    url.query = cut_behind(&text, '?');

    const char *slash = text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
    const size_t first_size = slash ? (size_t)(slash - text.data) : text.size;
    const char *colon = first_size > 0 ? memchr(text.data, ':', first_size) : NULL;
    if (colon) { /* a relative path may have none in its first segment (section 4.2) */
        url.scheme = slice_of(text.data, (size_t)(colon - text.data));
        if (!is_scheme(url.scheme))
            return -LEAT_E_MALFORMED;
        text = slice_after(text, url.scheme.size + 1);
    }
    if (slice_starts_with(text, SLICE("//"))) {
        text = slice_after(text, 2);
        slash = text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
        url.authority = slice_of(text.data, slash ? (size_t)(slash - text.data) : text.size);
        text = slice_after(text, url.authority.size);
        if (!parse_authority(&url))
            return -LEAT_E_MALFORMED;
    }
    url.path = text;
    if (!is_made_of(url.path, may_be_in_path) || !is_made_of(url.query, may_be_in_query) ||
        !is_made_of(url.fragment, may_be_in_fragment))
        return -LEAT_E_MALFORMED;
    ASSERT(!url.authority.data || url.path.size == 0 || url.path.data[0] == '/');
    *ret_url = url;
    return 0;
}

/* ---- Resolving ------------------------------------------------------------------------------- */

static char *put(char *at, struct leat_slice text)
{
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

static char *put_lower(char *at, struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        at[i] = chars_lower(text.data[i]);
    return at + text.size;
}

/* A part that may be missing altogether, and the mark before it. */
static char *put_part(char *at, char mark, struct leat_slice text)
{
    if (!text.data)
        return at;
    *at++ = mark;
    return put(at, text);
}

/* Takes "." and ".." out of an absolute path, in place, and returns its new end: segment by
 * segment, each with the '/' before it (section 5.2.4). */
static char *remove_dots(char *path, const char *end)
{
    char *to = path;
    for (const char *from = path; from < end;) {
        ASSERT(*from == '/' && to <= from);
        const char *next = memchr(from + 1, '/', (size_t)(end - from - 1));
        next = next ? next : end;
        const struct leat_slice segment = slice_of(from + 1, (size_t)(next - from - 1));
        const bool is_up = slice_equal(segment, SLICE(".."));
        if (is_up || slice_equal(segment, SLICE("."))) {
            while (is_up && to > path && *--to != '/')
                ;
            if (next == end) /* as a directory */
                *to++ = '/';
        } else {
            *to = '/';
            memmove(to + 1, segment.data, segment.size);
            to += 1 + segment.size;
        }
        from = next;
    }
    return to;
}

/* The path of the outcome: the reference's, beside the base's last segment where it is relative. */
static char *put_path(char *at, const struct url *base, const struct url *reference,
                      bool has_authority)
{
    char *const path = at;
    if (base && reference->path.size == 0)
        at = put(at, base->path);
    else if (base && reference->path.data[0] != '/') {
        const char *slash =
            base->path.size > 0 ? memrchr(base->path.data, '/', base->path.size) : NULL;
        at = put(at, slice_of(base->path.data, slash ? (size_t)(slash + 1 - base->path.data) : 0));
        if (at == path && has_authority)
            *at++ = '/';
        at = put(at, reference->path);
    } else {
        at = put(at, reference->path);
    }
    if (at == path && has_authority)
        *at++ = '/';
    return at > path && *path == '/' ? remove_dots(path, at) : at;
}

int url_resolve(const struct url *base, const struct url *reference, char *buffer,
                size_t buffer_size, struct url *ret_url)
{
    ASSERT(!base || base->scheme.size > 0);
    if (!base && reference->scheme.size == 0)
        return -LEAT_E_MALFORMED;
    if (buffer_size < url_resolve_size(base, reference))
        return -ENOBUFS;
    const struct url *const schemes = reference->scheme.size > 0 ? reference : base;
    const bool is_absolute = reference->scheme.size > 0 || reference->authority.data;
    const struct url *const place = is_absolute ? reference : base;
    const bool is_same_page = !is_absolute && reference->path.size == 0 && !reference->query.data;

    char *at = put_lower(buffer, schemes->scheme);
    *at++ = ':';
    if (place->authority.data) {
        at = put(at, SLICE("//"));
        at = put_lower(at, place->authority);
    }
    at = put_path(at, is_absolute ? NULL : base, reference, place->authority.data != NULL);
    at = put_part(at, '?', is_same_page ? base->query : reference->query);
    at = put_part(at, '#', reference->fragment);
    ASSERT((size_t)(at - buffer) <= buffer_size);

    struct url url;
    const int error = url_parse(slice_of(buffer, (size_t)(at - buffer)), &url);
    ASSERT(!error || !place->authority.data);
    /* Without an authority a path of "//…" would be read as one. */
    if (error || (url.authority.data != NULL) != (place->authority.data != NULL))
        return -LEAT_E_MALFORMED;
    *ret_url = url;
    return 0;
}
