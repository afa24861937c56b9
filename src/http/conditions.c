/* SPDX-License-Identifier: MIT */
/*
 * The order in which conditions count is that of RFC 9110, section 13.2.2. The entity tag is taken
 * from the field lines, and the clock looked at, only when a condition asks: most requests have
 * none.
 */
#include "http/conditions.h"

#include <string.h>

#include "base/assert.h"
#include "http/conn.h"
#include "wire/etag.h"

static const struct leat_slice etag_name = {"ETag: ", 6};

static char *append(char *at, struct leat_slice text)
{
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

size_t validators_put(struct leat_slice etag, const int64_t *mtime_s, int64_t now_s,
                      char *ret_lines)
{
    char *at = ret_lines;
    ASSERT(etag.size <= LEAT_HTTP_ETAG_MAX);
    if (etag.size > 0) {
        at = append(at, etag_name);
        at = append(at, SLICE("\""));
        at = append(at, etag);
        at = append(at, SLICE("\"\r\n"));
    }
    at = append(at, SLICE("Accept-Ranges: bytes\r\n"));
    if (mtime_s && *mtime_s <= now_s) {
        at = append(at, SLICE("Last-Modified: "));
        date_format(*mtime_s, at);
        at = append(at + DATE_SIZE, SLICE("\r\n"));
    }
    ASSERT(at - ret_lines <= CONDITIONS_LINES_MAX);
    return (size_t)(at - ret_lines);
}

/* With its quotes; empty: there is none, which is like no tag. */
static struct leat_slice etag_in(struct leat_slice lines)
{
    if (!slice_starts_with(lines, etag_name))
        return slice_of(NULL, 0);
    const struct leat_slice tag = slice_after(lines, etag_name.size);
    const char *end = memchr(tag.data + 1, '"', tag.size - 1);
    ASSERT(tag.data[0] == '"' && end != NULL);
    return slice_of(tag.data, (size_t)(end + 1 - tag.data));
}

static struct leat_slice etag_of(const struct validators *validators)
{
    return etag_in(validators->lines);
}

/* W/"tag-coding". */
enum { CODED_TAG_SIZE = LEAT_HTTP_ETAG_MAX + sizeof "W/\"-identity\"" - 1 };

static struct leat_slice put_coded_tag(struct leat_slice etag, enum leat_codec codec,
                                       char ret_tag[CODED_TAG_SIZE])
{
    char *at = append(ret_tag, SLICE("W/"));
    ASSERT(etag.size >= 2 && etag.size <= LEAT_HTTP_ETAG_MAX + 2);
    at = append(at, slice_of(etag.data, etag.size - 1));
    at = append(at, SLICE("-"));
    at = append(at, codec_name(codec));
    at = append(at, SLICE("\""));
    return slice_of(ret_tag, (size_t)(at - ret_tag));
}

size_t validators_put_coded(struct leat_slice lines, enum leat_codec codec, char *ret_lines)
{
    static const struct leat_slice ranges = {"Accept-Ranges: bytes\r\n", 22};
    const struct leat_slice etag = etag_in(lines);
    char *at = ret_lines;
    ASSERT(lines.size <= CONDITIONS_LINES_MAX && codec != LEAT_CODEC_NONE);
    if (etag.size > 0) {
        char tag[CODED_TAG_SIZE];
        at = append(at, etag_name);
        at = append(at, put_coded_tag(etag, codec, tag));
        at = append(at, SLICE("\r\n"));
        lines = slice_after(lines, etag_name.size + etag.size + 2);
    }
    if (slice_starts_with(lines, ranges))
        lines = slice_after(lines, ranges.size);
    at = append(at, lines);
    ASSERT(at - ret_lines <= CONDITIONS_CODED_MAX);
    return (size_t)(at - ret_lines);
}

static int64_t wall_s(const struct leat_http_request *request)
{
    const struct backend_sys *sys = exchange_of_request(request)->conn->stream.loop->sys;
    return sys->wall_ns(sys) / LEAT_NS_PER_S;
}

/* The value of a field that is no list: in several lines it says nothing (RFC 9110, 13.1.3). */
static struct leat_slice only_value(const struct http1_head *head, enum http1_field field)
{
    const unsigned first = head->first_line[field];
    for (unsigned line = first; first > 0 && line < head->line_count; line++)
        if (head->lines[line].field == field)
            return slice_of(NULL, 0);
    return http1_value(head, field);
}

/* Is there such a date, and a time to hold against it? */
static bool date_from(const struct leat_http_request *request, const struct validators *validators,
                      struct leat_slice text, int64_t *ret_s)
{
    return text.data && validators->has_mtime && date_parse(text, wall_s(request), ret_s) == 0;
}

/* Is the tag in one of the lines of this field (If-Match, If-None-Match)? */
static bool has_tag(const struct http1_head *head, enum http1_field field, struct leat_slice etag,
                    enum etag_comparison comparison)
{
    for (unsigned line = 0; line < head->line_count; line++)
        if (head->lines[line].field == field &&
            etag_list_has(head->lines[line].value, etag, comparison))
            return true;
    return false;
}

/* Does the client have it, in a form that it might be given now? */
static bool is_known(const struct http1_head *head, const struct validators *validators,
                     enum leat_codec *ret_codec)
{
    const struct leat_slice etag = etag_of(validators);
    char tag[CODED_TAG_SIZE];
    if (has_tag(head, HTTP1_FIELD_IF_NONE_MATCH, etag, ETAG_WEAK))
        return true;
    for (unsigned codec = LEAT_CODEC_NONE + 1; codec < LEAT_CODECS && etag.size > 0; codec++) {
        if ((validators->codecs & CODEC_BIT(codec)) == 0 ||
            !has_tag(head, HTTP1_FIELD_IF_NONE_MATCH,
                     put_coded_tag(etag, (enum leat_codec)codec, tag), ETAG_WEAK))
            continue;
        *ret_codec = (enum leat_codec)codec;
        return true;
    }
    return false;
}

/* Steps 1 to 4 of RFC 9110, section 13.2.2: 412, 304, or 0 when it is to be sent. */
static int status_of_conditions(const struct leat_http_request *request,
                                const struct validators *validators, enum leat_codec *ret_codec)
{
    const struct http1_head *head = &request->head.head;
    int64_t date_s;
    if (http1_value(head, HTTP1_FIELD_IF_MATCH).data) {
        if (!has_tag(head, HTTP1_FIELD_IF_MATCH, etag_of(validators), ETAG_STRONG))
            return 412;
    } else if (date_from(request, validators, only_value(head, HTTP1_FIELD_IF_UNMODIFIED_SINCE),
                         &date_s)) {
        if (validators->mtime_s > date_s)
            return 412;
    }
    if (http1_value(head, HTTP1_FIELD_IF_NONE_MATCH).data) {
        if (is_known(head, validators, ret_codec))
            return 304;
    } else if (date_from(request, validators, only_value(head, HTTP1_FIELD_IF_MODIFIED_SINCE),
                         &date_s)) {
        if (validators->mtime_s <= date_s)
            return 304;
    }
    return 0;
}

/* Section 13.1.5: a range is for the representation the client has the other parts of. A date of
 * this second tells none from the next (8.8.2.2). */
static bool may_range(const struct leat_http_request *request, const struct validators *validators)
{
    const struct http1_head *head = &request->head.head;
    if (!http1_value(head, HTTP1_FIELD_IF_RANGE).data)
        return true;
    const struct leat_slice condition = only_value(head, HTTP1_FIELD_IF_RANGE);
    if (!condition.data)
        return false;
    if (etag_is_valid(condition))
        return etag_equal(condition, etag_of(validators), ETAG_STRONG);
    int64_t date_s;
    return date_from(request, validators, condition, &date_s) && date_s < wall_s(request) &&
           date_s == validators->mtime_s;
}

int conditions_status(const struct leat_http_request *request, const struct validators *validators,
                      struct range_set *ret_set, enum leat_codec *ret_codec)
{
    ASSERT(leat_http_is_get(request));
    *ret_codec = LEAT_CODEC_NONE;
    const int status = status_of_conditions(request, validators, ret_codec);
    if (status != 0)
        return status;
    *ret_codec = validators->codec;
    if (validators->codec != LEAT_CODEC_NONE)
        return 200;
    const struct leat_slice range = only_value(&request->head.head, HTTP1_FIELD_RANGE);
    if (!range.data || request->head.method != HTTP1_GET || !may_range(request, validators))
        return 200;
    switch (range_parse(range, validators->size, ret_set)) {
    case RANGE_PARTS: return 206;
    case RANGE_UNSATISFIABLE: return 416;
    case RANGE_IGNORE: break;
    }
    return 200;
}
