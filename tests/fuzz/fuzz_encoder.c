/* SPDX-License-Identifier: MIT */
/*
 * Encoders under orders: the input names a setting, then pieces, each with its goal and the room
 * that there is. Whatever the order, what has been flushed can be decoded up to there, and all of
 * it in the end; some texts are broken off, and the next one in the same tables is none the worse.
 */
#include "codec/decoder.h"
#include "codec/encoder.h"
#include "fuzz.h"
#include "leat/loop.h"

enum { CODED_MAX = 1 << 20, PLAIN_MAX = 256 * 1024, RUNS_MAX = 1 << 20 };

struct run {
    struct encoder *encoder;
    struct decoder *decoder;
    enum leat_codec codec;
    char plain[PLAIN_MAX], coded[CODED_MAX], back[PLAIN_MAX];
    size_t plain_size, coded_size, decoded_size, back_size;
};

static void encode(struct run *run, struct leat_slice piece, enum encoder_goal goal, size_t room)
{
    unsigned runs = 0;
    int more;
    do {
        size_t used;
        char *out = malloc(room);
        ASSERT(out != NULL && ++runs < RUNS_MAX);
        more = encoder_run(run->encoder, &piece, goal, out, room, &used);
        ASSERT(more >= 0 && used <= room && (more == 0 || used == room));
        ASSERT(run->coded_size + used <= CODED_MAX);
        memcpy(run->coded + run->coded_size, out, used);
        run->coded_size += used;
        free(out);
    } while (more);
    ASSERT(piece.size == 0);
}

/* All that was put in comes out again. */
static void check(struct run *run, bool is_end)
{
    struct leat_slice coded =
        slice_of(run->coded + run->decoded_size, run->coded_size - run->decoded_size);
    int result;
    do {
        size_t used;
        const size_t left = PLAIN_MAX - run->back_size;
        ASSERT(left > 0);
        result = decoder_run(run->decoder, &coded, run->back + run->back_size, left, &used);
        ASSERT(result >= 0);
        run->back_size += used;
    } while (result == 1);
    run->decoded_size = run->coded_size;
    ASSERT(coded.size == 0);
    ASSERT(result == (is_end && run->codec != LEAT_CODEC_NONE ? 2 : 0));
    ASSERT(run->back_size == run->plain_size);
    ASSERT(memcmp(run->back, run->plain, run->plain_size) == 0);
}

/* A piece is three bytes (how long, how often, goal and room) and its bytes. */
static bool obey(struct run *run, struct leat_slice *orders)
{
    if (orders->size < 3)
        return false;
    const uint8_t *order = (const uint8_t *)orders->data;
    const size_t room = 1 + (order[2] >> 2) * (order[2] >> 2) * 8;
    const enum encoder_goal goal = order[2] % 4 == 3 ? ENCODER_FLUSH : ENCODER_GO_ON;
    const unsigned times = 1 + order[1];
    *orders = slice_after(*orders, 3);
    size_t size = order[0] < orders->size ? order[0] : orders->size;
    char *piece = run->plain + run->plain_size;
    for (unsigned i = 0; i < times && run->plain_size + size < PLAIN_MAX; i++) {
        memcpy(run->plain + run->plain_size, orders->data, size);
        run->plain_size += size;
    }
    *orders = slice_after(*orders, size);
    encode(run, slice_of(piece, (size_t)(run->plain + run->plain_size - piece)), goal, room);
    if (goal == ENCODER_FLUSH)
        check(run, false);
    return true;
}

static void code_once(struct run *run, struct codec_setting setting, struct leat_slice orders,
                      unsigned pieces_max)
{
    run->plain_size = run->coded_size = run->decoded_size = run->back_size = 0;
    run->codec = setting.codec;
    ASSERT(encoder_create(setting, -1, &run->encoder) == 0);
    ASSERT(decoder_create(setting.codec, &run->decoder) == 0);
    unsigned pieces = 0;
    while (pieces < pieces_max && obey(run, &orders))
        pieces++;
    if (pieces < pieces_max) {
        encode(run, slice_of(NULL, 0), ENCODER_END, 1 + pieces * 11);
        check(run, true);
    }
    encoder_destroy(run->encoder);
    decoder_destroy(run->decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_setting settings[] = {
        {LEAT_CODEC_NONE, 0},   {LEAT_CODEC_ZSTD, 1},   {LEAT_CODEC_ZSTD, 3},
        {LEAT_CODEC_ZSTD, 6},   {LEAT_CODEC_GZIP, 1},   {LEAT_CODEC_GZIP, 6},
        {LEAT_CODEC_BROTLI, 0}, {LEAT_CODEC_BROTLI, 1}, {LEAT_CODEC_BROTLI, 5},
        {LEAT_CODEC_LZ4, 0},    {LEAT_CODEC_LZ4, 3},
    };
    static struct leat_loop *loop;
    static struct run run;
    if (!loop) {
        const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
        ASSERT(leat_loop_create(&options, &loop) == 0);
    }
    if (size < 2)
        return 0;
    const struct codec_setting setting =
        settings[data[0] % (sizeof(settings) / sizeof(settings[0]))];
    const struct leat_slice orders = slice_of(data + 2, size - 2);
    code_once(&run, setting, orders, data[1] % 16); /* broken off, as a rule */
    code_once(&run, setting, orders, UINT32_MAX);
    return 0;
}
