/* SPDX-License-Identifier: MIT */
/*
 * Decoders at what strangers send: the first byte names the codec, the rest is coded. However it is
 * cut and however little room there is, the same comes out and the same is said of it in the end;
 * never more than there is room for; and the whole at once agrees.
 */
#include "codec/decoder.h"
#include "fuzz.h"

enum {
    CUTS = 8,              /* a decoder is dear to make */
    PLAIN_MAX = 64 * 1024, /* of a bomb: that is enough to see */
};

struct outcome {
    int result; /* the last */
    bool is_cut_off;
    size_t size, rest;
    char plain[PLAIN_MAX];
};

/* One piece of input; false: there is nothing more to be had. */
static bool feed(struct decoder *decoder, struct leat_slice piece, size_t room_size,
                 struct outcome *outcome)
{
    do {
        const size_t left = PLAIN_MAX - outcome->size;
        if (left == 0) {
            outcome->is_cut_off = true;
            return false;
        }
        char *room = malloc(room_size);
        const size_t size = room_size < left ? room_size : left;
        size_t used = 0;
        ASSERT(room != NULL);
        outcome->result = decoder_run(decoder, &piece, room, size, &used);
        ASSERT(used <= size && (outcome->result != 1 || used == size));
        ASSERT(outcome->result >= 0 || used == 0);
        memcpy(outcome->plain + outcome->size, room, used);
        outcome->size += used;
        free(room);
    } while (outcome->result == 1);
    outcome->rest = piece.size;
    ASSERT(outcome->result != 0 || piece.size == 0);
    return outcome->result >= 0;
}

static void decode(enum leat_codec codec, struct leat_slice coded, size_t cut, size_t room_size,
                   struct outcome *outcome)
{
    outcome->result = 0;
    outcome->is_cut_off = false;
    outcome->size = outcome->rest = 0;
    struct decoder *decoder;
    char *first = fuzz_copy(coded.data, cut),
         *second = fuzz_copy(coded.data + cut, coded.size - cut);
    ASSERT(decoder_create(codec, &decoder) == 0);
    if (feed(decoder, slice_of(first, cut), room_size, outcome)) {
        /* What is left of the first piece after an end is followed by the second: no more of it. */
        if (outcome->rest > 0)
            outcome->rest += coded.size - cut;
        else
            feed(decoder, slice_of(second, coded.size - cut), room_size, outcome);
    }
    decoder_destroy(decoder);
    free(first);
    free(second);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    const size_t size = a->size < b->size ? a->size : b->size;
    ASSERT(a->is_cut_off == b->is_cut_off || a->result < 0 || b->result < 0);
    ASSERT(memcmp(a->plain, b->plain, size) == 0);
    ASSERT((a->result < 0) == (b->result < 0));
    if (a->result < 0 || a->is_cut_off)
        return;
    ASSERT(a->result == b->result && a->size == b->size && a->rest == b->rest);
}

static void check_whole(enum leat_codec codec, struct leat_slice coded,
                        const struct outcome *expected)
{
    char *plain = malloc(PLAIN_MAX);
    ASSERT(plain != NULL);
    const ssize_t size = codec_decode(codec, coded.data, coded.size, plain, PLAIN_MAX);
    if (expected->result == 2 && expected->rest == 0 && !expected->is_cut_off) {
        ASSERT(size == (ssize_t)expected->size);
        ASSERT(memcmp(plain, expected->plain, expected->size) == 0);
    } else if (expected->result >= 0 || codec != LEAT_CODEC_ZSTD) {
        /* (Of frames that fit libzstd asks less: they need no window, nor blocks within it.) */
        ASSERT(size < 0 || expected->is_cut_off);
    }
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const enum leat_codec codec = LEAT_CODEC_ZSTD + data[0] % (LEAT_CODECS - LEAT_CODEC_ZSTD);
    const struct leat_slice coded = slice_of(data + 1, size - 1);
    static struct outcome expected, other;
    decode(codec, coded, coded.size, PLAIN_MAX, &expected);
    for (size_t cut = data[0] / 8; cut <= coded.size; cut += coded.size / CUTS + 1) {
        decode(codec, coded, cut, 1 + cut * 37 % 5000, &other);
        check_same(&expected, &other);
    }
    check_whole(codec, coded, &expected);
    return 0;
}
