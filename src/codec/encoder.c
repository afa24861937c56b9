/* SPDX-License-Identifier: MIT */
/*
 * Encoders, whichever the codec, and their life between the workshop and a text.
 */
#include "codec/encoder.h"

#include <errno.h>
#include <stdlib.h>

#include "codec/codec_ops.h"
#include "codec/encoder_parts.h"
#include "codec/workshop.h"
#include "leat/error.h"

size_t encoder_memory(struct codec_setting setting, int64_t size)
{
    ASSERT(codec_setting_is_valid(setting));
    ASSERT(size >= -1);
    return sizeof(struct encoder) +
           codec_ops_of(setting.codec)->encoder_memory(setting.level, size);
}

void encoder_close(struct encoder *encoder)
{
    if (encoder->state)
        encoder->ops->encoder_close(encoder->state);
    free(encoder);
}

static struct encoder *encoder_open(struct codec_setting setting)
{
    struct encoder *encoder = calloc(1, sizeof(*encoder));
    if (!encoder)
        return NULL;
    encoder->codec = setting.codec;
    encoder->ops = codec_ops_of(setting.codec);
    if (encoder->ops->encoder_open(&encoder->state) != 0) {
        free(encoder);
        return NULL;
    }
    return encoder;
}

int encoder_create(struct codec_setting setting, int64_t size, struct encoder **ret_encoder)
{
    ASSERT(loop_current);
    struct workshop *workshop = workshop_of(loop_current);
    if (!workshop)
        return -ENOMEM;
    const size_t memory = encoder_memory(setting, size);
    struct encoder *encoder = workshop_take(workshop, setting.codec, memory);
    if (!encoder) {
        if (!workshop_make_room(workshop, memory))
            return -LEAT_E_LIMIT;
        encoder = encoder_open(setting);
        if (!encoder)
            return -ENOMEM;
        encoder->memory = memory;
        workshop->memory += memory;
    }
    encoder->workshop = workshop;
    workshop->active++;
    encoder->rest = size;
    encoder->has_ended = false;
    const int error = encoder->ops->encoder_begin(encoder->state, setting.level, size);
    encoder->is_sound = error == 0;
    if (error == 0)
        *ret_encoder = encoder;
    else
        encoder_destroy(encoder);
    return error;
}

void encoder_destroy(struct encoder *encoder)
{
    if (!encoder)
        return;
    ASSERT(encoder->workshop->active > 0);
    encoder->workshop->active--;
    workshop_give(encoder->workshop, encoder);
}

int encoder_run(struct encoder *encoder, struct leat_slice *input, enum encoder_goal goal,
                void *out, size_t out_size, size_t *ret_size)
{
    ASSERT(encoder && out);
    ASSERT(encoder->is_sound);
    ASSERT(!encoder->has_ended || (goal == ENCODER_END && input->size == 0));
    /* The libraries believe what they were told of the size. */
    if (encoder->rest >= 0 && (input->size > (uint64_t)encoder->rest ||
                               (goal == ENCODER_END && input->size < (uint64_t)encoder->rest)))
        return -EINVAL;
    if (!input->data) /* nothing, at no place: codecs reckon with where it lies */
        *input = SLICE("");
    const size_t before = input->size;
    struct codec_room room = {.data = out, .size = out_size};
    int result = 0;
    if (!encoder->has_ended)
        result = out_size > 0 ? encoder->ops->encoder_run(encoder->state, input, goal, &room) : 1;
    if (encoder->rest >= 0)
        encoder->rest -= (int64_t)(before - input->size);
    encoder->is_sound = result >= 0;
    if (result < 0)
        return result;
    ASSERT(result == 1 || input->size == 0);
    encoder->has_ended = goal == ENCODER_END && result == 0;
    *ret_size = room.used;
    return result;
}
