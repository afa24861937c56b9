/* SPDX-License-Identifier: MIT */
/*
 * Reading is splitting. Writing checks everything first, then puts pieces one behind the other.
 */
#include "wire/cookie.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "wire/chars.h"

/* ---- Reading --------------------------------------------------------------------------------- */

bool cookie_next(struct leat_slice *input, struct leat_slice *ret_name,
                 struct leat_slice *ret_value)
{
    while (input->size > 0) {
        const char *const end = memchr(input->data, ';', input->size);
        const size_t size = end ? (size_t)(end - input->data) : input->size;
        const struct leat_slice pair = slice_of(input->data, size);
        *input = slice_after(*input, size + (end ? 1 : 0));
        const char *const mark = size > 0 ? memchr(pair.data, '=', size) : NULL;
        if (!mark)
            continue;
        const size_t name_size = (size_t)(mark - pair.data);
        ASSERT(name_size < pair.size);
        *ret_name = chars_trim(slice_of(pair.data, name_size));
        *ret_value = chars_trim(slice_after(pair, name_size + 1));
        return true;
    }
    return false;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* cookie-octet: visible ASCII but DQUOTE, comma, semicolon and backslash. */
static bool is_octet(char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

/* path-value: any character but controls and ';'. */
static bool is_attribute_char(char c)
{
    return c >= ' ' && c < 0x7f && c != ';';
}

static bool is_domain_char(char c)
{
    return chars_is(c, CHARS_UNRESERVED) && c != '_' && c != '~';
}

static bool is_all(struct leat_slice text, bool (*is_allowed)(char c))
{
    ASSERT(text.data || text.size == 0);
    for (size_t index = 0; index < text.size; index++)
        if (!is_allowed(text.data[index]))
            return false;
    return true;
}

static bool is_value(struct leat_slice value)
{
    if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"')
        value = slice_of(value.data + 1, value.size - 2);
    return is_all(value, is_octet);
}

static bool is_valid(const struct cookie *cookie)
{
    const struct leat_slice name = cookie->name;
    const char *const name_end = name.data + name.size;
    if (name.size == 0 || chars_skip(name.data, name_end, CHARS_TOKEN) != name_end)
        return false;
    if (!is_value(cookie->value) || !is_all(cookie->path, is_attribute_char))
        return false;
    if (cookie->domain.data && cookie->domain.size == 0)
        return false;
    return is_all(cookie->domain, is_domain_char);
}

static bool has_prefix(struct leat_slice name, struct leat_slice prefix)
{
    return name.size >= prefix.size && slice_equal_nocase(slice_of(name.data, prefix.size), prefix);
}

static bool is_welcome(const struct cookie *cookie)
{
    if (cookie->secure)
        return !has_prefix(cookie->name, SLICE("__Host-")) ||
               (!cookie->domain.data && slice_equal(cookie->path, SLICE("/")));
    return cookie->same_site != COOKIE_SAME_SITE_NONE &&
           !has_prefix(cookie->name, SLICE("__Secure-")) &&
           !has_prefix(cookie->name, SLICE("__Host-"));
}

struct output {
    char *data;
    size_t size, capacity;
    bool is_full;
};

static void put(struct output *output, struct leat_slice text)
{
    output->is_full |= text.size > output->capacity - output->size;
    if (output->is_full || text.size == 0)
        return;
    memcpy(output->data + output->size, text.data, text.size);
    output->size += text.size;
}

static void put_age(struct output *output, int64_t max_age_s)
{
    char age[sizeof "; Max-Age=9223372036854775807"];
    /* "Max-Age=0" is not in the grammar; a day long past is, and means the same. */
    if (max_age_s < 0)
        put(output, SLICE("; Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
    if (max_age_s <= 0)
        return;
    const int size = snprintf(age, sizeof age, "; Max-Age=%" PRId64, max_age_s);
    ASSERT(size > 0 && (size_t)size < sizeof age);
    put(output, slice_of(age, (size_t)size));
}

long cookie_format(const struct cookie *cookie, char *buffer, size_t buffer_size)
{
    static const struct leat_slice same_sites[] = {
        [COOKIE_SAME_SITE_UNSET] = {NULL, 0},
        [COOKIE_SAME_SITE_LAX] = SLICE("; SameSite=Lax"),
        [COOKIE_SAME_SITE_STRICT] = SLICE("; SameSite=Strict"),
        [COOKIE_SAME_SITE_NONE] = SLICE("; SameSite=None"),
    };
    ASSERT((unsigned)cookie->same_site < sizeof same_sites / sizeof *same_sites);
    if (!is_valid(cookie) || !is_welcome(cookie))
        return -EINVAL;
    struct output output = {.data = buffer, .capacity = buffer_size};
    put(&output, cookie->name);
    put(&output, SLICE("="));
    put(&output, cookie->value);
    if (cookie->path.data) {
        put(&output, SLICE("; Path="));
        put(&output, cookie->path);
    }
    if (cookie->domain.data) {
        put(&output, SLICE("; Domain="));
        put(&output, cookie->domain);
    }
    put_age(&output, cookie->max_age_s);
    put(&output, same_sites[cookie->same_site]);
    if (cookie->secure)
        put(&output, SLICE("; Secure"));
    if (cookie->http_only)
        put(&output, SLICE("; HttpOnly"));
    ASSERT(output.size <= buffer_size);
    return output.is_full ? -ENOBUFS : (long)output.size;
}
