/* SPDX-License-Identifier: MIT */
/*
 * See cmcd.h. Values are integers, tokens, or strings in quotes with backslashes (CTA-5004, section
 * 3.2, which borrows from RFC 8941); a comma in a string, or in a list in brackets as the second
 * version has them, is none of ours.
 */
#include "wire/cmcd.h"

#include <string.h>

#include "base/assert.h"
#include "wire/urlencoded.h"

/* ---- The list -------------------------------------------------------------------------------- */

static size_t skip_string(struct leat_slice text, size_t at)
{
    ASSERT(text.data[at] == '"');
    for (at++; at < text.size && text.data[at] != '"'; at++)
        if (text.data[at] == '\\' && at + 1 < text.size)
            at++;
    return at < text.size ? at + 1 : at;
}

/* Where the member that begins at the text's start ends: at a comma, or with the text. */
static size_t member_end(struct leat_slice text)
{
    unsigned depth = 0;
    for (size_t at = 0; at < text.size;) {
        const char c = text.data[at];
        if (c == '"') {
            at = skip_string(text, at);
            continue;
        }
        if (c == ',' && depth == 0)
            return at;
        depth += c == '(';
        depth -= c == ')' && depth > 0;
        at++;
    }
    return text.size;
}

static struct leat_slice trim(struct leat_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = slice_after(text, 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* A number of digits alone; false: it is none, and *ret_number stays. */
static bool number_of(struct leat_slice value, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (value.size == 0)
        return false;
    for (size_t at = 0; at < value.size; at++) {
        if (value.data[at] < '0' || value.data[at] > '9')
            return false;
        number = number * 10 + (uint64_t)(value.data[at] - '0');
        if (number > CMCD_NUMBER_MAX)
            number = CMCD_NUMBER_MAX;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* The key alone is true; "=true" and "=?1" are read as well, for they are sent. */
static bool is_true(bool has_value, struct leat_slice value)
{
    return !has_value || slice_equal(value, SLICE("true")) || slice_equal(value, SLICE("?1"));
}

/* A string in its quotes; what is none changes nothing. */
static void take_sid(struct leat_slice value, struct cmcd *cmcd)
{
    char sid[CMCD_SID_MAX];
    size_t size = 0;
    if (value.size < 2 || value.data[0] != '"')
        return;
    size_t at = 1;
    while (at < value.size && value.data[at] != '"') {
        at += value.data[at] == '\\';
        if (at == value.size || size == sizeof sid)
            return;
        sid[size++] = value.data[at++];
    }
    if (at != value.size - 1)
        return;
    memcpy(cmcd->sid, sid, size);
    cmcd->sid_size = (uint8_t)size;
}

static enum cmcd_object object_of(struct leat_slice value)
{
    static const struct {
        const char *token;
        enum cmcd_object object;
    } tokens[] = {
        {"v", CMCD_OBJECT_MEDIA},     {"a", CMCD_OBJECT_MEDIA},    {"av", CMCD_OBJECT_MEDIA},
        {"m", CMCD_OBJECT_OVERHEAD},  {"i", CMCD_OBJECT_OVERHEAD}, {"c", CMCD_OBJECT_OVERHEAD},
        {"tt", CMCD_OBJECT_OVERHEAD}, {"k", CMCD_OBJECT_OVERHEAD},
    };
    for (size_t index = 0; index < sizeof tokens / sizeof *tokens; index++)
        if (slice_equal(value, slice_from_text(tokens[index].token)))
            return tokens[index].object;
    return CMCD_OBJECT_UNKNOWN;
}

static void take_member(struct leat_slice member, struct cmcd *cmcd)
{
    const char *sign = member.size ? memchr(member.data, '=', member.size) : NULL;
    const size_t key_size = sign ? (size_t)(sign - member.data) : member.size;
    const struct leat_slice key = slice_of(member.data, key_size);
    const struct leat_slice value = sign ? slice_after(member, key_size + 1) : slice_of(NULL, 0);
    if (key_size == 0)
        return;
    cmcd->has_any = true;
    if (slice_equal(key, SLICE("br")))
        cmcd->has_br |= number_of(value, &cmcd->br_kbit_per_s);
    else if (slice_equal(key, SLICE("bl")))
        cmcd->has_bl |= number_of(value, &cmcd->bl_ms);
    else if (slice_equal(key, SLICE("rtp")))
        cmcd->has_rtp |= number_of(value, &cmcd->rtp_kbit_per_s);
    else if (slice_equal(key, SLICE("d")))
        cmcd->has_d |= number_of(value, &cmcd->d_ms);
    else if (slice_equal(key, SLICE("su")))
        cmcd->is_startup = is_true(sign != NULL, value);
    else if (slice_equal(key, SLICE("bs")))
        cmcd->is_starved = is_true(sign != NULL, value);
    else if (slice_equal(key, SLICE("ot")))
        cmcd->object = object_of(value);
    else if (slice_equal(key, SLICE("sid")))
        take_sid(value, cmcd);
}

void cmcd_parse(struct leat_slice text, struct cmcd *cmcd)
{
    while (text.size > 0) {
        const size_t end = member_end(text);
        ASSERT(end <= text.size);
        take_member(trim(slice_of(text.data, end)), cmcd);
        text = end < text.size ? slice_after(text, end + 1) : slice_of(NULL, 0);
    }
}

void cmcd_parse_query(struct leat_slice query, struct cmcd *cmcd)
{
    struct leat_slice name, value;
    while (urlencoded_next(&query, &name, &value)) {
        if (!urlencoded_equal(name, SLICE("CMCD")))
            continue;
        char decoded[CMCD_QUERY_MAX];
        if (value.size > 0 && value.size <= sizeof decoded)
            cmcd_parse(slice_of(decoded, urlencoded_decode(value, decoded)), cmcd);
        return;
    }
}
