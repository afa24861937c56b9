/* SPDX-License-Identifier: MIT */
/*
 * The head of a frame between nodes (leat/compress.h), little-endian:
 *
 *      0  2  1e a7
 *      2  1  version: 1
 *      3  1  codec: the numbers of enum leat_codec
 *      4  4  bytes of the block,
 *      8  4  and of what it is coded as, which follow the head: fewer, or, codec 0, as many
 *     12  4  CRC-32C of the block
 *     16  4  CRC-32C of all of the frame but these four bytes
 *
 * The second sum is looked at before a decoder sees a byte, the first when it is done: what comes
 * out is what was put in, whoever is to blame.
 */
#ifndef CODEC_FRAME_H
#define CODEC_FRAME_H

#include "codec/codec.h"

enum { FRAME_VERSION = 1 };

/* Writes the head of what lies behind it. */
void frame_put_head(enum leat_codec codec, struct leat_slice plain, size_t coded_size, char *frame);

#endif
