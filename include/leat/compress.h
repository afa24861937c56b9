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
#include <sys/types.h>

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

/* ---- Between nodes --------------------------------------------------------------------------- */

/* Blocks of bytes on a link between two programs: each becomes a frame, coded when it gets to the
 * other side sooner so, and as it is otherwise. A frame knows its size, and what was damaged on its
 * way is an error and no other bytes (CRC-32C: no protection against who means harm; for that there
 * is TLS). docs/compression.md has the format.
 *
 *     char frame[LEAT_FRAME_HEAD_SIZE + sizeof block];
 *     ssize_t size = leat_compress(compressor, block, sizeof block, frame, sizeof frame);
 *     if (size > 0)
 *         leat_stream_write(stream, frame, (size_t)size, deadline_ns);
 *
 * The other side reads LEAT_FRAME_HEAD_SIZE bytes, asks leat_frame_parse how many follow and what
 * they become, and has them decompressed when it has decided that it wants so many. */

enum {
    LEAT_FRAME_HEAD_SIZE = 20,
    LEAT_FRAME_SIZE_MAX = 16 << 20, /* bytes of a block. 64 KiB to 1 MiB are a good size */
};

struct leat_frame {
    enum leat_codec codec;
    size_t size;       /* of the whole frame */
    size_t plain_size; /* of what is in it */
};
/* `head` has LEAT_FRAME_HEAD_SIZE bytes. 0; -LEAT_E_MALFORMED: it begins no frame. */
int leat_frame_parse(const void *head, struct leat_frame *ret_frame);
/* What is in a frame: its size. -LEAT_E_TRUNCATED: it is not all there; -LEAT_E_LIMIT: it is more
 * than `out_size` (looked at first: a bomb does no work); -LEAT_E_MALFORMED: damaged, or followed
 * by something; -ENOMEM. In any thread. */
ssize_t leat_decompress(const void *frame, size_t frame_size, void *out, size_t out_size);

/* One side of a link: what it has learned of its bytes, its core and its rate. It belongs to the
 * loop of the thread that made it. -EINVAL: no such policy; -ENOMEM. */
struct leat_compressor;
int leat_compressor_create(const struct leat_compress_policy *policy,
                           struct leat_compressor **ret_compressor);
/* NULL is fine. */
void leat_compressor_destroy(struct leat_compressor *compressor);
/* What the link takes; 0, as it is at first: unknown, then a gigabit a second is assumed. */
void leat_compressor_set_rate(struct leat_compressor *compressor, uint64_t rate_bytes_per_s);

/* Makes a frame of a block: its size, never more than that of the block and the head. It computes
 * for as long as it takes, 1 ms or so for 64 KiB. -LEAT_E_LIMIT: `out_size` is less than block and
 * head, or the block more than LEAT_FRAME_SIZE_MAX; -ENOMEM. `out` must not overlap the block. */
ssize_t leat_compress(struct leat_compressor *compressor, const void *data, size_t size, void *out,
                      size_t out_size);

/* What became of its blocks, by codec. */
struct leat_compressor_counters {
    uint64_t frames[LEAT_CODECS], plain_bytes[LEAT_CODECS], frame_bytes[LEAT_CODECS];
    uint64_t cpu_ns; /* that coding took */
};
void leat_compressor_counters(const struct leat_compressor *compressor,
                              struct leat_compressor_counters *ret_counters);

#ifdef __cplusplus
}
#endif
#endif
