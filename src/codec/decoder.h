/* SPDX-License-Identifier: MIT */
/*
 * Decoding piece by piece, whatever the cuts. A decoder puts out no more than it is given room for,
 * so a bomb costs its reader nothing but what he asks for; how much in all is enough is his to say.
 * Windows larger than DECODER_WINDOW_MAX are refused (RFC 8878, section 3.1.1.1.2; RFC 9659).
 */
#ifndef CODEC_DECODER_H
#define CODEC_DECODER_H

#include "codec/codec.h"

enum { DECODER_WINDOW_MAX = 8 << 20 };

struct decoder;

/* -ENOMEM. */
int decoder_create(enum leat_codec codec, struct decoder **ret_decoder);
/* At any time. NULL is fine. */
void decoder_destroy(struct decoder *decoder);

/* Takes from the front of *input, puts up to `out_size` bytes (one at least) out. 0: it wants more
 * input; 1: `out` is full, and there may be more; 2: the text has ended: what is left of the input
 * is not its. -LEAT_E_MALFORMED, -LEAT_E_LIMIT: too large a window, -ENOMEM; then it is of no more
 * use. Members of gzip and frames of zstd and LZ4, one behind the other, are one text (RFC 1952,
 * section 2.2; RFC 8878, section 3): after 2 with no input left it goes on with the next, if one
 * comes. A text is whole when 2 was the last that was said and nothing of the input was left. */
int decoder_run(struct decoder *decoder, struct leat_slice *input, void *out, size_t out_size,
                size_t *ret_size);

#endif
