/* SPDX-License-Identifier: MIT */
/*
 * Compression: by what, and when. Left to itself (LEAT_COMPRESS_AUTO) leat compresses what arrives
 * sooner compressed, and nothing else: it looks at a sample of the bytes, at how busy the core is,
 * and at how fast the receiver takes them. docs/compression.md tells how.
 */
#ifndef LEAT_COMPRESS_H
#define LEAT_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum leat_compress_mode {
    LEAT_COMPRESS_UNSET, /* as whoever stands above has it; at the top: off */
    LEAT_COMPRESS_OFF,
    LEAT_COMPRESS_AUTO,
    LEAT_COMPRESS_FIXED, /* always, by this codec at this level, whatever it takes */
};

enum leat_codec {
    LEAT_CODEC_NONE,
    LEAT_CODEC_ZSTD,
    LEAT_CODEC_GZIP,
    LEAT_CODEC_BROTLI,
    LEAT_CODEC_LZ4, /* between nodes; no content coding of HTTP */
    LEAT_CODECS,
};

struct leat_compress_policy {
    enum leat_compress_mode mode;
    /* FIXED: these. AUTO: `level` is 0, and `codec` the only one to choose from, or
     * LEAT_CODEC_NONE: any. */
    enum leat_codec codec;
    int level;
};

/* "auto", "off", a codec ("gzip", "zstd", "br", "lz4": at a level that leat chooses), or a codec
 * with its level ("gzip-6", "zstd-3", "br-5"). 0; -EINVAL: then one line that says what would be
 * right is in ret_error, cut to its size (128 is enough), and the policy is as it was. */
int leat_compress_policy_parse(const char *text, struct leat_compress_policy *ret_policy,
                               char *ret_error, size_t ret_error_size);

#ifdef __cplusplus
}
#endif
#endif
