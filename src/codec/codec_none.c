/* SPDX-License-Identifier: MIT */
/*
 * No coding: bytes as they are. It has no end of its own; a text is over when its bytes are.
 */
#include "codec/codec_ops.h"

#include "leat/error.h"

static size_t none_bound(size_t size)
{
    return size;
}

static ssize_t none_copy(struct leat_slice from, void *out, size_t out_size)
{
    if (from.size > out_size)
        return -LEAT_E_LIMIT;
    if (from.size > 0)
        memcpy(out, from.data, from.size);
    return (ssize_t)from.size;
}

static ssize_t none_encode(int level, struct leat_slice text, void *out, size_t out_size)
{
    return none_copy(text, out, out_size);
}

static size_t none_memory(int level, int64_t size)
{
    return 0;
}

/* There is no state, but NULL would mean that there is none. */
static int none_open(void **ret_state)
{
    static char nothing;
    *ret_state = &nothing;
    return 0;
}

static int none_encoder_begin(void *state, int level, int64_t size)
{
    return 0;
}

static int none_decoder_begin(void *state)
{
    return 0;
}

static int none_decoder_run(void *state, struct leat_slice *input, struct codec_room *room)
{
    const size_t left = codec_room_left(room);
    const size_t size = input->size < left ? input->size : left;
    if (size > 0)
        memcpy(room->data + room->used, input->data, size);
    room->used += size;
    *input = slice_after(*input, size);
    return input->size > 0;
}

static int none_encoder_run(void *state, struct leat_slice *input, enum encoder_goal goal,
                            struct codec_room *room)
{
    return none_decoder_run(state, input, room);
}

static void none_close(void *state)
{
}

const struct codec_ops codec_ops_none = {
    .bound = none_bound,
    .encode = none_encode,
    .decode = none_copy,
    .encoder_memory = none_memory,
    .encoder_open = none_open,
    .encoder_begin = none_encoder_begin,
    .encoder_run = none_encoder_run,
    .encoder_close = none_close,
    .decoder_open = none_open,
    .decoder_begin = none_decoder_begin,
    .decoder_run = none_decoder_run,
    .decoder_close = none_close,
};
