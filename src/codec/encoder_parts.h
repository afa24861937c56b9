/* SPDX-License-Identifier: MIT */
/*
 * What an encoder is made of, and how it comes from and goes to its loop's workshop: for encoder.c
 * and workshop.c alone.
 */
#ifndef CODEC_ENCODER_PARTS_H
#define CODEC_ENCODER_PARTS_H

#include "codec/codec_ops.h"

struct workshop;

struct encoder {
    struct workshop *workshop;
    struct encoder *next; /* of those that wait */
    const struct codec_ops *ops;
    enum leat_codec codec;
    size_t memory; /* that it counts for */
    void *state;
    int64_t rest; /* of the text's size; -1: unknown */
    bool is_sound, has_ended;
};

/* Frees it; the workshop knows nothing of it any more. */
void encoder_close(struct encoder *encoder);

/* One that waits and has this much memory, or not much more: out of the list. NULL: none has. */
struct encoder *workshop_take(struct workshop *workshop, enum leat_codec codec, size_t memory);
/* Closes as many that wait as it takes. False: it is not enough. */
bool workshop_make_room(struct workshop *workshop, size_t memory);
/* It waits from now on, or goes. */
void workshop_give(struct workshop *workshop, struct encoder *encoder);

#endif
