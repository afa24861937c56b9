/* SPDX-License-Identifier: MIT */
/*
 * A response that its handler writes piece by piece, in its fiber: each piece is framed, sent, and
 * waited for, so that nothing piles up. A failed piece breaks the response; what follows fails too,
 * and the connection is broken off when the handler returns.
 */
#include "http/writing.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "http/coding_parts.h"
#include "http/conn.h"
#include "http/passing.h"
#include "http/server.h"
#include "leat/error.h"
#include "wire/http1_chunked.h"

/* Of the caller's, that one send takes, between head, chunk head and the chunk's end. */
enum { PIECES_MAX = 12, FRAMING = 3 };

int leat_http_begin(struct leat_http_response *response, int status, const char *media_type,
                    int64_t size)
{
    struct exchange *exchange = exchange_of_response(response);
    struct leat_slice kept;
    const int error = response_begin_reply(response, media_type, &kept);
    if (error)
        return error;
    response_set(response, status, kept, NULL, 0);
    const bool has_content = status != 204 && status != 205 && status != 304;
    if (size >= 0 || !has_content) {
        response->kind = RESPONSE_SIZED;
        response->size = has_content ? (uint64_t)size : 0;
        response->left = response->size;
    } else {
        const bool is_old_client = exchange->request.head.head.minor_version == 0;
        response->kind = is_old_client ? RESPONSE_TO_CLOSE : RESPONSE_CHUNKED;
    }
    return 0;
}

static int break_response(struct leat_http_response *response, int error)
{
    response->is_broken = true;
    return error;
}

int writing_send_pieces(struct leat_http_response *response, const struct leat_vector *pieces,
                        size_t count, uint64_t size, int64_t deadline_ns)
{
    struct conn *conn = exchange_of_response(response)->conn;
    struct leat_vector list[PIECES_MAX + FRAMING];
    char chunk_head[HTTP1_CHUNK_HEAD_SIZE];
    size_t end = 0;
    ASSERT(count <= PIECES_MAX);
    if (!response->is_head_out) {
        conn_finish_head(conn);
        list[end++] = conn->exchange->to_send[0];
    }
    const bool is_chunk = response->kind == RESPONSE_CHUNKED && size > 0;
    if (is_chunk)
        list[end++] =
            (struct leat_vector){.data = chunk_head, .size = http1_chunk_head(size, chunk_head)};
    for (size_t index = 0; index < count; index++)
        list[end++] = pieces[index];
    if (is_chunk)
        list[end++] = (struct leat_vector){.data = "\r\n", .size = 2};
    const int error = conn_send(conn, list, end, deadline_ns);
    return error ? break_response(response, error) : 0;
}

/* Its first bytes are there. */
static void consider_coding(struct leat_http_response *response, const struct leat_vector *vectors,
                            size_t count)
{
    const bool is_sized = response->kind == RESPONSE_SIZED;
    if ((exchange_of_response(response)->conn->server->options.compress.mode |
         response->compress.mode) != LEAT_COMPRESS_UNSET)
        coding_begin(response, vectors, count, is_sized ? (int64_t)response->size : -1);
}

int leat_http_send(struct leat_http_response *response, const struct leat_vector *vectors,
                   size_t count, int64_t deadline_ns)
{
    ASSERT(response->kind != RESPONSE_WHOLE); /* leat_http_begin comes first */
    uint64_t size = 0;
    for (size_t index = 0; index < count; index++)
        size += vectors[index].size;
    if (response->is_broken)
        return -EPIPE;
    if (!response->is_head_out && !response->coder && size > 0)
        consider_coding(response, vectors, count);
    if (response->coder)
        return coding_write(response, vectors, count, deadline_ns);
    if (response->kind == RESPONSE_SIZED && size > response->left)
        return break_response(response, -EMSGSIZE);
    response->left -= response->kind == RESPONSE_SIZED ? size : 0;
    if (response->is_head_out && (response->is_head_only || size == 0))
        return 0;
    if (response->is_head_only)
        return writing_send_pieces(response, NULL, 0, 0, deadline_ns);
    do {
        const size_t batch = count < PIECES_MAX ? count : PIECES_MAX;
        uint64_t batch_size = 0;
        for (size_t index = 0; index < batch; index++)
            batch_size += vectors[index].size;
        const int error = writing_send_pieces(response, vectors, batch, batch_size, deadline_ns);
        if (error)
            return error;
        vectors += batch;
        count -= batch;
    } while (count > 0);
    return 0;
}

int leat_http_write(struct leat_http_response *response, const void *data, size_t size,
                    int64_t deadline_ns)
{
    const struct leat_vector vector = {.data = data, .size = size};
    return leat_http_send(response, &vector, 1, deadline_ns);
}

int leat_http_flush(struct leat_http_response *response, int64_t deadline_ns)
{
    ASSERT(response->kind != RESPONSE_WHOLE); /* leat_http_begin comes first */
    if (response->is_broken)
        return -EPIPE;
    return response->coder ? coding_flush(response, deadline_ns) : 0;
}

int leat_http_add_trailer(struct leat_http_response *response, const char *name, const char *value)
{
    const struct leat_slice name_slice = slice_from_text(name);
    const struct leat_slice value_slice = slice_from_text(value);
    if (!response_is_field(name_slice, value_slice))
        return -EINVAL;
    const struct leat_slice before = response->trailers;
    const size_t size = before.size + name_slice.size + value_slice.size + 4;
    char *lines = leat_http_alloc(&exchange_of_response(response)->request, size);
    if (!lines)
        return -LEAT_E_LIMIT;
    char *at = lines;
    const struct leat_slice parts[] = {before, name_slice, SLICE(": "), value_slice, SLICE("\r\n")};
    for (size_t index = 0; index < sizeof parts / sizeof *parts; index++) {
        if (parts[index].size > 0)
            memcpy(at, parts[index].data, parts[index].size);
        at += parts[index].size;
    }
    ASSERT((size_t)(at - lines) == size);
    response->trailers = slice_of(lines, size);
    return 0;
}

void leat_http_abort(struct leat_http_response *response)
{
    if (response->kind == RESPONSE_WHOLE) /* there is to be none */
        response->kind = RESPONSE_CHUNKED;
    response->is_broken = true;
}

/* What a coder has kept for the end. Where it is all there is its size can be told. */
static struct leat_slice last_piece(struct leat_http_response *response)
{
    const struct coder *coder = response->coder;
    if (!coder)
        return slice_of(NULL, 0);
    if (!response->is_head_out && !response->trailers.size) {
        response->kind = RESPONSE_SIZED;
        response->size = coder->out_size;
        response->left = 0;
    }
    return slice_of(coder->out, coder->out_size);
}

static void add(struct leat_vector *list, size_t *end, const void *data, size_t size)
{
    if (size > 0)
        list[(*end)++] = (struct leat_vector){.data = data, .size = size};
}

bool writing_end(struct leat_http_response *response)
{
    enum { LIST_MAX = 7 };
    struct exchange *exchange = exchange_of_response(response);
    ASSERT(response->kind != RESPONSE_WHOLE);
    if (response->kind == RESPONSE_PASSED)
        return passing_end_of_handler(response);
    /* Whose time was over has stopped anywhere: where the size was not told that must be seen. */
    const bool is_cut = exchange->is_late && response->kind != RESPONSE_SIZED;
    if (response->is_broken || ((response->left > 0 || is_cut) && !response->is_head_only))
        return false;
    exchange->vector_count = 0;
    exchange->to_send = exchange->vectors;
    const bool is_empty = !response->is_head_out;
    const struct leat_slice piece = last_piece(response);
    if (is_empty) {
        if (response->kind == RESPONSE_CHUNKED && !response->is_head_only && piece.size == 0 &&
            !response->trailers.size)
            response->kind = RESPONSE_SIZED; /* of no bytes: told plainly */
        conn_finish_head(exchange->conn);
    }
    const bool is_chunked = response->kind == RESPONSE_CHUNKED;
    if (response->is_head_only || (!is_chunked && piece.size == 0))
        return true;
    /* Behind the head, if that is still to go. */
    struct leat_vector *list =
        arena_alloc(&exchange->request.arena, LIST_MAX * sizeof *list + HTTP1_CHUNK_HEAD_SIZE);
    if (!list)
        return false;
    char *chunk_head = (char *)(list + LIST_MAX);
    size_t end = 0;
    if (is_empty)
        list[end++] = exchange->vectors[0];
    if (is_chunked && piece.size > 0)
        add(list, &end, chunk_head, http1_chunk_head(piece.size, chunk_head));
    add(list, &end, piece.data, piece.size);
    if (is_chunked) {
        add(list, &end, "\r\n", piece.size > 0 ? 2 : 0);
        add(list, &end, "0\r\n", 3);
        add(list, &end, response->trailers.data, response->trailers.size);
        add(list, &end, "\r\n", 2);
    }
    ASSERT(end <= LIST_MAX);
    exchange->to_send = list;
    exchange->vector_count = end;
    return true;
}
