/* SPDX-License-Identifier: MIT */
/*
 * See contents.h. A range of vectors is made by trimming the first and the last of them; nothing is
 * copied but the list.
 */
#include "http/contents.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "http/coding.h"
#include "http/exchange.h"
#include "http/parts.h"
#include "wire/etag.h"

/* For NULL: there is no such range. */
static void put_content_range(struct leat_http_response *response, const struct range *range,
                              uint64_t size)
{
    static const char name[] = "Content-Range: ";
    char line[sizeof name - 1 + RANGE_TEXT_SIZE + 2];
    size_t end = sizeof name - 1;
    static_assert(sizeof line + CONDITIONS_CODED_MAX + CODING_LINES_MAX <= RESPONSE_LINES_MAX,
                  "what is said of a content fits");
    memcpy(line, name, end);
    end += range_format(range, size, line + end);
    memcpy(line + end, "\r\n", 2);
    response_put_lines(response, slice_of(line, end + 2));
}

size_t contents_slice(const struct leat_vector *vectors, size_t count, uint64_t first,
                      uint64_t size, struct leat_vector *ret_list)
{
    size_t end = 0;
    for (size_t index = 0; index < count && size > 0; index++) {
        const struct leat_vector *vector = &vectors[index];
        if (vector->size <= first) {
            first -= vector->size;
            continue;
        }
        const uint64_t left = vector->size - first;
        struct leat_vector *piece = &ret_list[end++];
        *piece = *vector;
        piece->size = left < size ? left : size;
        if (vector->file)
            piece->offset += first;
        else
            piece->data = (const char *)vector->data + first;
        size -= piece->size;
        first = 0;
    }
    ASSERT(size == 0 && end <= count);
    return end;
}

/* Replies with a part of it, or with NULL the whole. */
static int send_content(struct leat_http_response *response, int status,
                        const struct content *content, const struct range *part)
{
    const uint64_t first = part ? part->first : 0;
    const uint64_t size = part ? part->last - part->first + 1 : content->validators.size;
    if (content->count == 1) {
        struct leat_vector piece = {0};
        (void)contents_slice(content->vectors, 1, first, size, &piece);
        response_set_vector(response, status, content->media_type, &piece);
        return 0;
    }
    struct leat_vector *list = response_list(response, content->count);
    if (!list)
        return -ENOMEM;
    const size_t count = contents_slice(content->vectors, content->count, first, size, list + 1);
    response_set_list(response, status, content->media_type, list, count);
    return 0;
}

/* A 304 has no content that could be in a coding. */
static void put_varying_lines(struct leat_http_response *response,
                              const struct validators *validators, enum leat_codec codec)
{
    char lines[CONDITIONS_CODED_MAX + CODING_LINES_MAX];
    const struct leat_slice plain = validators->lines;
    size_t size = plain.size;
    if (codec == LEAT_CODEC_NONE)
        memcpy(lines, plain.data, plain.size);
    else
        size = validators_put_coded(plain, codec, lines);
    const bool is_coded = response->status == 200;
    const char *end = coding_put_lines(lines + size, is_coded ? codec : LEAT_CODEC_NONE);
    response_put_lines(response, slice_of(lines, (size_t)(end - lines)));
}

int contents_reply(const struct leat_http_request *request, struct leat_http_response *response,
                   const struct content *content)
{
    struct range_set set;
    struct validators validators = content->validators;
    enum leat_codec codec;
    const bool varies = validators.codec != LEAT_CODEC_NONE ||
                        coding_varies(response, content->media_type, validators.size);
    if (varies && validators.codecs == 0)
        validators.codecs = coding_codecs(response);
    int status = conditions_status(request, &validators, &set, &codec);
    const struct range *part = status == 206 && set.count == 1 ? &set.parts[0] : NULL;
    /* Without memory for the heads of parts the client gets the whole: Range is a wish. */
    if (status == 206 && !part && parts_reply(response, content, &set) != 0)
        status = 200;
    if (status == 200 || part) {
        const int error = send_content(response, status, content, part);
        if (error)
            return error;
    } else if (status != 206) {
        response_set(response, status, slice_of(NULL, 0), NULL, 0);
        if (status >= 400)
            (void)leat_http_reply_error(response, status);
    }
    if (response->lines_end > 0) /* options.on_error has replied with a content of its own */
        return 0;
    if (codec == LEAT_CODEC_NONE && !varies)
        response_put_lines(response, validators.lines);
    else
        put_varying_lines(response, &validators, codec);
    if (part || status == 416)
        put_content_range(response, part, validators.size);
    return 0;
}

/* ---- For handlers ---------------------------------------------------------------------------- */

/* Its tag between quotes: an entity-tag as RFC 9110, section 8.8.3 has it, and strong? */
static bool is_tag(struct leat_slice etag)
{
    char quoted[LEAT_HTTP_ETAG_MAX + 2];
    if (etag.size == 0 || etag.size > LEAT_HTTP_ETAG_MAX)
        return false;
    quoted[0] = quoted[etag.size + 1] = '"';
    memcpy(quoted + 1, etag.data, etag.size);
    return etag_is_valid(slice_of(quoted, etag.size + 2));
}

int leat_http_reply_content(struct leat_http_request *request, struct leat_http_response *response,
                            const struct leat_http_content *content)
{
    const struct leat_slice etag = slice_from_text(content->etag);
    const struct backend_sys *sys = loop_current->sys;
    const int64_t mtime_s = content->mtime_ns / LEAT_NS_PER_S;
    char lines[CONDITIONS_LINES_MAX];
    struct content whole = {.vectors = content->vectors, .count = content->count};
    ASSERT(exchange_of_request(request) == exchange_of_response(response));
    ASSERT(content->media_type != NULL && content->count < VECTORS_MAX);
    if (etag.data && !is_tag(etag))
        return -EINVAL;
    const int error = response_begin_reply(response, content->media_type, &whole.media_type);
    if (error)
        return error;
    if (!leat_http_is_get(request))
        return leat_http_reply_not_allowed(request, response, "GET, HEAD");
    const bool has_mtime = content->mtime_ns != 0;
    const size_t lines_size =
        validators_put(etag, has_mtime ? &mtime_s : NULL, sys->wall_ns(sys) / LEAT_NS_PER_S, lines);
    whole.validators = (struct validators){
        .lines = slice_of(lines, lines_size), .has_mtime = has_mtime, .mtime_s = mtime_s};
    for (size_t index = 0; index < content->count; index++)
        whole.validators.size += content->vectors[index].size;
    return contents_reply(request, response, &whole);
}
