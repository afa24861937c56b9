/* SPDX-License-Identifier: MIT */
/*
 * The codecs, and what they do with bytes that are all there: LZ4 (its frame format), Zstandard
 * (RFC 8878), gzip (RFC 1952), Brotli (RFC 7932). The work is that of liblz4, libzstd, libdeflate,
 * zlib and libbrotli. What comes piece by piece: encoder.h, decoder.h.
 *
 * Everything here computes, and calls nothing that waits: who has a loop to keep lively gives it
 * little at a time, or does it in an offload job.
 */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"
#include "leat/compress.h"

/* A set of codecs: their bits. */
#define CODEC_BIT(codec) (1u << (codec))
enum { CODEC_SET_ALL = (1u << LEAT_CODECS) - 1 };

/* One way of coding: a codec at a level of its own scale. LEAT_CODEC_NONE has level 0 alone. */
struct codec_setting {
    enum leat_codec codec;
    int level;
};

/* Its name as HTTP has it (section 8.4.1 of RFC 9110, RFC 8878, RFC 7932): "identity", "lz4",
 * "zstd", "gzip", "br". Static, zero-terminated. */
struct leat_slice codec_name(enum leat_codec codec);
/* The lowest and the highest level. LZ4 0..12 (0: its fast mode), zstd 1..19, gzip 1..12 (beyond 9
 * whole bodies alone: a stream takes 9), br 0..11. */
int codec_level_min(enum leat_codec codec);
int codec_level_max(enum leat_codec codec);
bool codec_setting_is_valid(struct codec_setting setting);

/* How much the coded bytes of so many may be, at most. */
size_t codec_bound(enum leat_codec codec, size_t size);

/* All of `data` as one coded text: its size, or -ENOMEM; -LEAT_E_LIMIT: `out_size` is too small for
 * it. Context and tables are kept by the thread for the next call, and go with it. */
ssize_t codec_encode(struct codec_setting setting, const void *data, size_t size, void *out,
                     size_t out_size);
/* Back: the size; -LEAT_E_MALFORMED, -LEAT_E_TRUNCATED: it ends before its end, -LEAT_E_LIMIT: it
 * is more than `out_size`, -ENOMEM. Several members or frames are one text; what else follows is
 * malformed. Windows may be of any size here: `out` is the window. */
ssize_t codec_decode(enum leat_codec codec, const void *data, size_t size, void *out,
                     size_t out_size);

#endif
