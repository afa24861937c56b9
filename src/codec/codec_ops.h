/* SPDX-License-Identifier: MIT */
/*
 * What a codec's library is asked for: one table of functions a codec, behind codec.h, encoder.h
 * and decoder.h. An encoder's or decoder's state is opened once and begun anew with each text. No
 * call waits or yields, so that one state a thread does for whole texts.
 */
#ifndef CODEC_CODEC_OPS_H
#define CODEC_CODEC_OPS_H

#include "base/assert.h"
#include "codec/codec.h"
#include "codec/encoder.h"

/* Where output goes: `used` of `size` bytes have it. */
struct codec_room {
    uint8_t *data;
    size_t size, used;
};

static inline size_t codec_room_left(const struct codec_room *room)
{
    ASSERT(room->used <= room->size);
    return room->size - room->used;
}

/* Output of a library that wants more room than the caller had, until he comes with more. */
struct codec_stash {
    uint8_t *data;
    size_t size, given;
};

/* Moves what fits. Is the stash empty then? */
static inline bool codec_stash_give(struct codec_stash *stash, struct codec_room *room)
{
    ASSERT(stash->given <= stash->size);
    const size_t rest = stash->size - stash->given, left = codec_room_left(room);
    const size_t size = rest < left ? rest : left;
    if (size > 0)
        memcpy(room->data + room->used, stash->data + stash->given, size);
    room->used += size;
    stash->given += size;
    return stash->given == stash->size;
}

struct codec_ops {
    /* Whole texts: as codec_bound, codec_encode and codec_decode are. */
    size_t (*bound)(size_t size);
    ssize_t (*encode)(int level, struct leat_slice text, void *out, size_t out_size);
    /* The quick way for what is one frame or member that fits. -LEAT_E_MALFORMED: perhaps it is
     * not, and the decoder will tell. NULL: there is none. */
    ssize_t (*decode)(struct leat_slice coded, void *out, size_t out_size);

    size_t (*encoder_memory)(int level, int64_t size);
    int (*encoder_open)(void **ret_state);
    /* Of a state that has ended, broke off or is new. */
    int (*encoder_begin)(void *state, int level, int64_t size);
    int (*encoder_run)(void *state, struct leat_slice *input, enum encoder_goal goal,
                       struct codec_room *room);
    void (*encoder_close)(void *state);

    int (*decoder_open)(void **ret_state);
    int (*decoder_begin)(void *state);
    /* As decoder_run, of one frame or member. */
    int (*decoder_run)(void *state, struct leat_slice *input, struct codec_room *room);
    void (*decoder_close)(void *state);
    /* May another frame of the same text begin with this byte? NULL: it has but one. */
    bool (*is_next)(uint8_t byte);
};

/* By codec. */
const struct codec_ops *codec_ops_of(enum leat_codec codec);
extern const struct codec_ops codec_ops_none, codec_ops_zstd, codec_ops_gzip, codec_ops_brotli,
    codec_ops_lz4;

/* What the thread keeps for its next whole text, closed when it ends: at most CODEC_KEPT_MAX bytes
 * each, for offload threads come and stay. */
enum { CODEC_KEPT_MAX = 4 << 20 };
enum codec_kept {
    CODEC_KEPT_ZSTD_ENCODER,
    CODEC_KEPT_ZSTD_DECODER,
    CODEC_KEPT_GZIP_ENCODER,
    CODEC_KEPT_GZIP_DECODER,
    CODEC_KEPT_BROTLI_ENCODER,
    CODEC_KEPT_LZ4_ENCODER,
    CODEC_KEPT_LZ4_DECODER,
    CODEC_KEPT_SLOTS,
};
/* Takes it out: NULL when there is none. */
void *codec_kept_take(unsigned slot);
/* Puts it in, or closes it when that cannot be. */
void codec_kept_give(unsigned slot, void *item, void (*close)(void *item));

#endif
