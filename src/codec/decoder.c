/* SPDX-License-Identifier: MIT */
/*
 * Decoding, whichever the codec: one frame or member after the other, until what follows can be
 * none.
 */
#include "codec/decoder.h"

#include <errno.h>
#include <stdlib.h>

#include "codec/codec_ops.h"

struct decoder {
    const struct codec_ops *ops;
    void *state;
    bool has_ended; /* a frame has: the text may end here */
};

int decoder_create(enum leat_codec codec, struct decoder **ret_decoder)
{
    const struct codec_ops *ops = codec_ops_of(codec);
    struct decoder *decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return -ENOMEM;
    decoder->ops = ops;
    int error = ops->decoder_open(&decoder->state);
    if (error == 0)
        error = ops->decoder_begin(decoder->state);
    if (error == 0)
        *ret_decoder = decoder;
    else
        decoder_destroy(decoder);
    return error;
}

void decoder_destroy(struct decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->state)
        decoder->ops->decoder_close(decoder->state);
    free(decoder);
}

static bool is_next(const struct decoder *decoder, const struct leat_slice *input)
{
    return input->size > 0 && decoder->ops->is_next &&
           decoder->ops->is_next((uint8_t)input->data[0]);
}

int decoder_run(struct decoder *decoder, struct leat_slice *input, void *out, size_t out_size,
                size_t *ret_size)
{
    ASSERT(decoder && decoder->state);
    ASSERT(out && out_size > 0);
    if (!input->data) /* nothing, at no place: codecs reckon with where it lies */
        *input = SLICE("");
    struct codec_room room = {.data = out, .size = out_size};
    int result = decoder->has_ended ? 2 : 0;
    do {
        if (decoder->has_ended) {
            if (!is_next(decoder, input))
                break;
            const int error = decoder->ops->decoder_begin(decoder->state);
            if (error != 0)
                return error;
        }
        result = decoder->ops->decoder_run(decoder->state, input, &room);
        decoder->has_ended = result == 2;
    } while (decoder->has_ended && input->size > 0);
    if (result < 0)
        return result;
    *ret_size = room.used;
    return result;
}
