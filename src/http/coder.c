/* SPDX-License-Identifier: MIT */
/*
 * A response's body through an encoder, block by block: what comes out is sent when there is enough
 * of it, or when it was flushed, and the fiber waits until the kernel has it. The last of it stays
 * here, to be sent with the response's end. Early blocks are flushed soon, so that the link has
 * something to do; later ones less often, for each flush costs some bytes.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/workshop.h"
#include "http/coding_parts.h"
#include "http/conn.h"
#include "http/writing.h"

/* What the loop's others wait for at most; then it is their turn. */
enum { TURN_NS = 500 * 1000 };

static struct workshop *workshop_for(const struct leat_http_response *response)
{
    struct workshop *workshop = workshop_of(exchange_of_response(response)->conn->stream.loop);
    ASSERT(workshop != NULL); /* the encoder came from it */
    return workshop;
}

int coder_start(struct leat_http_response *response, struct codec_setting setting, int64_t size)
{
    enum { ZLIB_LEVEL_MAX = 9 };
    ASSERT(!response->coder && !response->is_head_out && !response->is_head_only);
    struct coder *coder = calloc(1, sizeof *coder);
    if (!coder)
        return -ENOMEM;
    if (setting.codec == LEAT_CODEC_GZIP && setting.level > ZLIB_LEVEL_MAX)
        setting.level = ZLIB_LEVEL_MAX;
    const int error = encoder_create(setting, size, &coder->encoder);
    if (error) {
        free(coder);
        return error == -ENOMEM ? -ENOMEM : -EBUSY;
    }
    coder->codec = setting.codec;
    coder->flush_at = coder->flush_step = CODER_BLOCK_SIZE;
    coder->is_sized = response->kind == RESPONSE_SIZED;
    coder->left = response->left;
    response->left = 0;
    response->coder = coder;
    const bool is_old_client = exchange_of_response(response)->request.head.head.minor_version == 0;
    response->kind = is_old_client ? RESPONSE_TO_CLOSE : RESPONSE_CHUNKED;
    return 0;
}

void coder_learns(struct coder *coder, unsigned setting, const struct sample *sample)
{
    ASSERT(setting > 0);
    coder->setting = setting;
    coder->sample = *sample;
}

void coding_drop(struct leat_http_response *response)
{
    struct coder *coder = response->coder;
    if (!coder)
        return;
    encoder_destroy(coder->encoder);
    free(coder->block);
    free(coder);
    response->coder = NULL;
}

static int break_response(struct leat_http_response *response, int error)
{
    response->is_broken = true;
    return error;
}

static int send_out(struct leat_http_response *response, int64_t deadline_ns)
{
    struct coder *coder = response->coder;
    const struct leat_vector piece = {.data = coder->out, .size = coder->out_size};
    if (coder->out_size == 0)
        return 0;
    coder->coded_size += coder->out_size;
    coder->out_size = 0;
    return writing_send_pieces(response, &piece, 1, piece.size, deadline_ns);
}

/* Until the goal is reached. What has come out is sent when there is no room for more. */
static int run(struct leat_http_response *response, struct leat_slice input, enum encoder_goal goal,
               int64_t deadline_ns)
{
    struct coder *coder = response->coder;
    struct workshop *workshop = workshop_for(response);
    const struct backend_sys *sys = exchange_of_response(response)->conn->stream.loop->sys;
    for (bool is_full = coder->out_size == sizeof coder->out;; is_full = true) {
        struct headroom_watch watch;
        size_t size = 0;
        const int error = is_full ? send_out(response, deadline_ns) : 0;
        if (error)
            return error;
        headroom_begin(sys, &watch);
        const int more = encoder_run(coder->encoder, &input, goal, coder->out + coder->out_size,
                                     sizeof coder->out - coder->out_size, &size);
        const int64_t cpu_ns = headroom_end(&workshop->headroom, sys, &watch);
        coder->out_size += size;
        coder->cpu_ns += cpu_ns;
        coder->busy_ns += cpu_ns;
        if (more <= 0)
            return more < 0 ? break_response(response, more) : 0;
    }
}

/* A block of the text, which a flush may follow. */
static int put_block(struct leat_http_response *response, struct leat_slice block,
                     int64_t deadline_ns)
{
    struct coder *coder = response->coder;
    coder->plain_size += block.size;
    const bool is_flush = coder->plain_size >= coder->flush_at;
    int error = run(response, block, is_flush ? ENCODER_FLUSH : ENCODER_GO_ON, deadline_ns);
    if (!error && is_flush) {
        coder->flush_step *= 2;
        coder->flush_at = coder->plain_size + coder->flush_step;
        error = send_out(response, deadline_ns);
    }
    if (error || coder->busy_ns < TURN_NS)
        return error;
    coder->busy_ns = 0;
    loop_end_turn(exchange_of_response(response)->conn->stream.loop);
    error = leat_yield();
    return error ? break_response(response, error) : 0;
}

static int put_vector(struct leat_http_response *response, const struct leat_vector *vector,
                      int64_t deadline_ns)
{
    struct coder *coder = response->coder;
    const struct coding_text text = {.vectors = vector, .count = 1, .size = vector->size};
    if (vector->file && !coder->block && !(coder->block = malloc(CODER_BLOCK_SIZE)))
        return break_response(response, -ENOMEM);
    for (uint64_t offset = 0; offset < vector->size;) {
        const uint64_t left = vector->size - offset;
        const size_t size = left < CODER_BLOCK_SIZE ? (size_t)left : CODER_BLOCK_SIZE;
        const char *data;
        int error = coding_read(&text, offset, size, coder->block, &data);
        if (error)
            return break_response(response, error);
        error = put_block(response, slice_of(data, size), deadline_ns);
        if (error)
            return error;
        offset += size;
    }
    return 0;
}

int coding_write(struct leat_http_response *response, const struct leat_vector *vectors,
                 size_t count, int64_t deadline_ns)
{
    struct coder *coder = response->coder;
    uint64_t size = 0;
    for (size_t index = 0; index < count; index++)
        size += vectors[index].size;
    if (coder->is_sized && size > coder->left)
        return break_response(response, -EMSGSIZE);
    coder->left -= coder->is_sized ? size : 0;
    for (size_t index = 0; index < count; index++) {
        const int error = put_vector(response, &vectors[index], deadline_ns);
        if (error)
            return error;
    }
    return 0;
}

int coding_flush(struct leat_http_response *response, int64_t deadline_ns)
{
    const int error = run(response, slice_of(NULL, 0), ENCODER_FLUSH, deadline_ns);
    return error ? error : send_out(response, deadline_ns);
}

int coder_finish(struct leat_http_response *response)
{
    struct coder *coder = response->coder;
    struct exchange *exchange = exchange_of_response(response);
    if (coder->is_sized && coder->left > 0)
        return break_response(response, -EMSGSIZE);
    const int error = run(response, slice_of(NULL, 0), ENCODER_END, LEAT_FOREVER);
    if (error)
        return error;
    const uint64_t coded_size = coder->coded_size + coder->out_size;
    if (coder->setting > 0)
        model_learn(&workshop_for(response)->model, coder->setting, &coder->sample, coded_size,
                    coder->cpu_ns);
    coding_count(exchange, coder->codec, coder->plain_size, coded_size, coder->cpu_ns);
    encoder_destroy(coder->encoder); /* the client may take its time for the rest */
    coder->encoder = NULL;
    return 0;
}
