/* SPDX-License-Identifier: MIT */
/*
 *     --B CRLF Content-Type, Content-Range CRLF CRLF   memory
 *     bytes of the content                             ranges of files or memory, as they are
 *     CRLF --B CRLF ...                                memory, and so on
 *     CRLF --B-- CRLF
 *
 * The heads are made in the request's arena, all in one piece; the content's bytes are not
 * touched. A boundary may not occur in what it separates (RFC 2046, section 5.1.1), which nobody
 * has read: it is made of the time to the nanosecond, so that who wrote the content could not have
 * known it.
 */
#include "http/parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "http/conn.h"

enum {
    BOUNDARY_SIZE = 16,
    PART_HEAD_SIZE = sizeof "\r\n--\r\nContent-Type: \r\nContent-Range: \r\n\r\n" + BOUNDARY_SIZE +
                     RANGE_TEXT_SIZE, /* without the media type */
    END_SIZE = sizeof "\r\n--"
                      "--\r\n" +
               BOUNDARY_SIZE,
    TYPE_SIZE = sizeof "multipart/byteranges; boundary=" + BOUNDARY_SIZE,
};

static void make_boundary(const struct backend_sys *sys, char ret_text[BOUNDARY_SIZE + 1])
{
    snprintf(ret_text, BOUNDARY_SIZE + 1, "%016llx",
             (unsigned long long)random_mix((uint64_t)sys->wall_ns(sys)));
}

/* Returns its size. */
static size_t put_part_head(char *text, bool is_first, const char *boundary,
                            struct leat_slice media_type, const struct range *part, uint64_t size)
{
    int end =
        sprintf(text, "%s--%s\r\nContent-Type: %.*s\r\nContent-Range: ", is_first ? "" : "\r\n",
                boundary, (int)media_type.size, media_type.data);
    end += (int)range_format(part, size, text + end);
    end += sprintf(text + end, "\r\n\r\n");
    ASSERT((size_t)end < PART_HEAD_SIZE + media_type.size);
    return (size_t)end;
}

int parts_reply(struct leat_http_response *response, const struct content *content,
                const struct range_set *set)
{
    ASSERT(set->count >= 2 && set->count <= RANGE_PARTS_MAX);
    struct exchange *exchange = exchange_of_response(response);
    const struct leat_slice media_type = content->media_type;
    /* A part's head each, the end, and the pieces: parts do not overlap, so that each cuts no more
     * than one vector in two. */
    struct leat_vector *list = response_list(response, 2 * set->count + 1 + content->count);
    char *text = arena_alloc(&exchange->request.arena,
                             set->count * (PART_HEAD_SIZE + media_type.size) + END_SIZE);
    char *type = arena_alloc(&exchange->request.arena, TYPE_SIZE);
    if (!list || !text || !type)
        return -ENOMEM;
    char boundary[BOUNDARY_SIZE + 1];
    size_t count = 0;
    make_boundary(exchange->conn->stream.loop->sys, boundary);
    for (unsigned index = 0; index < set->count; index++) {
        const struct range *part = &set->parts[index];
        const size_t size =
            put_part_head(text, index == 0, boundary, media_type, part, content->validators.size);
        list[++count] = (struct leat_vector){.data = text, .size = size};
        count += contents_slice(content->vectors, content->count, part->first,
                                part->last - part->first + 1, list + count + 1);
        text += size;
    }
    const int end = sprintf(text, "\r\n--%s--\r\n", boundary);
    list[++count] = (struct leat_vector){.data = text, .size = (size_t)end};
    ASSERT(count <= 2 * set->count + 1 + content->count && end < END_SIZE);
    const int type_size = snprintf(type, TYPE_SIZE, "multipart/byteranges; boundary=%s", boundary);
    response_set_list(response, 206, slice_of(type, (size_t)type_size), list, count);
    return 0;
}
