/* SPDX-License-Identifier: MIT */
/*
 * Coding piece by piece, in flushable blocks: what was put in before a flush can be decoded from
 * what came out up to it.
 *
 *     while ((more = encoder_run(encoder, &input, ENCODER_FLUSH, out, sizeof out, &size)) > 0)
 *         send(out, size);
 *
 * An encoder's tables are 100 KiB to some MiB (encoder_memory); those that have ended wait in their
 * loop's workshop for the next text.
 */
#ifndef CODEC_ENCODER_H
#define CODEC_ENCODER_H

#include "codec/codec.h"

struct encoder;

/* What a call is to reach. */
enum encoder_goal {
    ENCODER_GO_ON, /* the input is taken; what comes out is up to the codec */
    ENCODER_FLUSH, /* and all that was put in can be decoded */
    ENCODER_END,   /* and the text is whole: nothing may follow */
};

/* Of the calling thread's loop, which must have one. `size` is that of the whole text, or -1: it
 * makes small ones cheap, and must be true. -ENOMEM; -LEAT_E_LIMIT: the loop's encoders have all
 * the memory they may have (workshop.h): leave this one text as it is. */
int encoder_create(struct codec_setting setting, int64_t size, struct encoder **ret_encoder);
/* At any time. NULL is fine. */
void encoder_destroy(struct encoder *encoder);

/* Takes from the front of *input, puts up to `out_size` bytes out. 0: the goal is reached, and the
 * input empty; 1: `out` is full, call again with the same goal and what is left of the input;
 * -EINVAL: the text is longer than was told, or ends too soon; -ENOMEM: then it is of no more use.
 * Never more than `out_size` / 4 + 16 KiB of input and 1 ms or so of work at a time is the caller's
 * to see to: it gives little. */
int encoder_run(struct encoder *encoder, struct leat_slice *input, enum encoder_goal goal,
                void *out, size_t out_size, size_t *ret_size);

/* Bytes that an encoder of this setting takes, for a text of this size (-1: unknown); about. */
size_t encoder_memory(struct codec_setting setting, int64_t size);

#endif
