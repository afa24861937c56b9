/* SPDX-License-Identifier: MIT */
/*
 * Texts coded piece by piece: every cut of a small one, random cuts, goals and rooms of large ones;
 * what was flushed can be decoded; who breaks off leaves nothing behind; an encoder takes about the
 * memory that it says, and little of a fiber's stack.
 */
#include "texts.h"

#include <errno.h>
#include <malloc.h>

#include "fiber/fiber.h"
#include "leat/fiber.h"

static struct encoder *new_encoder(struct codec_setting setting, int64_t size)
{
    struct encoder *encoder;
    assert_int_equal(encoder_create(setting, size, &encoder), 0);
    return encoder;
}

/* Up to the cut flushed, then the rest. */
static void check_cut(struct codec_setting setting, const uint8_t *data, size_t size, size_t cut,
                      size_t room_size)
{
    struct bytes coded = {0}, plain = {0};
    struct encoder *encoder = new_encoder(setting, cut % 2 ? (int64_t)size : -1);
    encode_some(encoder, data, cut, ENCODER_FLUSH, room_size, &coded);
    struct decoder *decoder;
    assert_int_equal(decoder_create(setting.codec, &decoder), 0);
    struct leat_slice input = slice_of(coded.data, coded.size);
    assert_int_equal(decode_some(decoder, &input, room_size, &plain), 0);
    assert_int_equal(plain.size, cut);
    const size_t before = coded.size;
    encode_some(encoder, data + cut, size - cut, ENCODER_END, room_size, &coded);
    input = slice_of(coded.data + before, coded.size - before);
    const int end = decode_some(decoder, &input, room_size, &plain);
    assert_int_equal(end, setting.codec == LEAT_CODEC_NONE ? 0 : 2);
    assert_int_equal(input.size, 0);
    assert_int_equal(plain.size, size);
    assert_memory_equal(plain.data, data, size);
    decoder_destroy(decoder);
    encoder_destroy(encoder);
    bytes_free(&coded);
    bytes_free(&plain);
}

static void test_every_cut_of_a_small_text(void **state)
{
    enum { SIZE = 150 };
    uint8_t words[SIZE];
    struct leat_loop *loop = new_loop();
    fill_with_words(words, SIZE, 3);
    for (unsigned j = 0; j < SETTINGS; j++)
        for (size_t cut = 0; cut <= SIZE; cut++) {
            check_cut(settings[j], words, SIZE, cut, 1);
            check_cut(settings[j], words, SIZE, cut, 40);
            check_cut(settings[j], words, SIZE, cut, 4096);
        }
    leat_loop_destroy(loop);
}

/* Pieces, goals and rooms of any size. */
static void encode_at_random(struct encoder *encoder, const struct text *text, uint64_t seed,
                             struct bytes *coded)
{
    struct random random;
    random_init(&random, seed);
    size_t at = 0;
    while (at < text->size) {
        const size_t rest = text->size - at;
        const size_t piece = random_below(&random, random_chance(&random, 200000) ? 100 : 60000);
        const size_t size = piece < rest ? piece : rest;
        const enum encoder_goal goal =
            random_chance(&random, 200000) ? ENCODER_FLUSH : ENCODER_GO_ON;
        encode_some(encoder, text->data + at, size, goal, 1 + random_below(&random, 20000), coded);
        at += size;
    }
    encode_some(encoder, NULL, 0, ENCODER_END, 1 + random_below(&random, 300), coded);
}

static void test_random_pieces_of_every_text(void **state)
{
    struct leat_loop *loop = new_loop();
    for (unsigned i = 0; i < text_count; i++)
        for (unsigned j = 0; j < SETTINGS; j++) {
            if (texts[i].size > 20000 && is_slow(settings[j]))
                continue;
            struct bytes coded = {0};
            struct encoder *encoder =
                new_encoder(settings[j], (i + j) % 2 ? (int64_t)texts[i].size : -1);
            encode_at_random(encoder, &texts[i], i * 100 + j, &coded);
            encoder_destroy(encoder);
            assert_decodes(settings[j].codec, &coded, texts[i].data, texts[i].size);
            bytes_free(&coded);
        }
    leat_loop_destroy(loop);
}

static void test_a_flush_twice_or_of_nothing(void **state)
{
    struct leat_loop *loop = new_loop();
    for (unsigned j = 0; j < SETTINGS; j++) {
        struct bytes coded = {0};
        struct encoder *encoder = new_encoder(settings[j], -1);
        encode_some(encoder, NULL, 0, ENCODER_FLUSH, 100, &coded);
        encode_some(encoder, "ab", 2, ENCODER_FLUSH, 100, &coded);
        const size_t size = coded.size;
        for (unsigned i = 0; i < 10; i++)
            encode_some(encoder, NULL, 0, ENCODER_FLUSH, 100, &coded);
        assert_true(coded.size <= size + 10 * 5);
        encode_some(encoder, "c", 1, ENCODER_GO_ON, 100, &coded);
        encode_some(encoder, NULL, 0, ENCODER_END, 100, &coded);
        const size_t whole = coded.size;
        encode_some(encoder, NULL, 0, ENCODER_END, 100, &coded); /* it has ended */
        assert_int_equal(coded.size, whole);
        encoder_destroy(encoder);
        assert_decodes(settings[j].codec, &coded, "abc", 3);
        bytes_free(&coded);
    }
    leat_loop_destroy(loop);
}

static void test_no_room_is_full(void **state)
{
    struct leat_loop *loop = new_loop();
    for (unsigned j = 0; j < SETTINGS; j++) {
        struct encoder *encoder = new_encoder(settings[j], -1);
        struct leat_slice input = SLICE("abc");
        uint8_t byte;
        size_t size = 7;
        assert_int_equal(encoder_run(encoder, &input, ENCODER_GO_ON, &byte, 0, &size), 1);
        assert_int_equal(size, 0);
        assert_int_equal(input.size, 3);
        encoder_destroy(encoder);
    }
    leat_loop_destroy(loop);
}

static void test_a_text_of_another_size_than_was_told(void **state)
{
    struct leat_loop *loop = new_loop();
    for (unsigned j = 0; j < SETTINGS; j++) {
        uint8_t room[4096];
        size_t size;
        struct encoder *encoder = new_encoder(settings[j], 5);
        struct leat_slice input = SLICE("123456");
        assert_int_equal(encoder_run(encoder, &input, ENCODER_GO_ON, room, sizeof(room), &size),
                         -EINVAL);
        encoder_destroy(encoder);
        encoder = new_encoder(settings[j], 5);
        input = SLICE("1234");
        assert_int_equal(encoder_run(encoder, &input, ENCODER_END, room, sizeof(room), &size),
                         -EINVAL);
        encoder_destroy(encoder);
    }
    leat_loop_destroy(loop);
}

/* Broken off anywhere, the encoder makes of the next text what a new one would. */
static void test_who_breaks_off_leaves_nothing(void **state)
{
    enum { SIZE = 40000 };
    struct text words = {.size = SIZE, .data = malloc(SIZE)};
    fill_with_words(words.data, SIZE, 9);
    for (unsigned j = 0; j < SETTINGS; j++) {
        struct leat_loop *loop = new_loop();
        struct bytes expected = {0};
        struct encoder *encoder = new_encoder(settings[j], SIZE);
        encode_some(encoder, words.data, SIZE, ENCODER_END, 1000, &expected);
        encoder_destroy(encoder);
        for (size_t stop = 0; stop < 40; stop++) {
            uint8_t room[1000];
            size_t size;
            struct leat_slice input = slice_of(words.data, stop * 999);
            encoder = new_encoder(settings[j], SIZE);
            (void)!encoder_run(encoder, &input, (enum encoder_goal)(stop % 2), room, stop * 20 + 1,
                               &size);
            encoder_destroy(encoder);
            struct bytes coded = {0};
            encoder = new_encoder(settings[j], SIZE);
            encode_some(encoder, words.data, SIZE, ENCODER_END, 1000, &coded);
            encoder_destroy(encoder);
            assert_int_equal(coded.size, expected.size);
            assert_memory_equal(coded.data, expected.data, coded.size);
            bytes_free(&coded);
            stop += stop > 8 ? 6 : 0;
        }
        bytes_free(&expected);
        leat_loop_destroy(loop);
    }
    free(words.data);
}

static size_t heap_size(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void check_memory(struct codec_setting setting, size_t size, bool is_told)
{
    struct leat_loop *loop = new_loop();
    static uint8_t words[1 << 20], room[1 << 20];
    fill_with_words(words, size, 5);
    encoder_destroy(new_encoder((struct codec_setting){LEAT_CODEC_NONE, 0}, -1));
    const size_t before = heap_size();
    struct encoder *encoder = new_encoder(setting, is_told ? (int64_t)size : -1);
    for (size_t at = 0; at < size; at += 32768) {
        const size_t rest = size - at, piece = rest < 32768 ? rest : 32768;
        struct leat_slice input = slice_of(words + at, piece);
        size_t used;
        assert_int_equal(encoder_run(encoder, &input, rest == piece ? ENCODER_END : ENCODER_FLUSH,
                                     room, sizeof(room), &used),
                         0);
    }
    const size_t taken = heap_size() - before;
    const size_t told = encoder_memory(setting, is_told ? (int64_t)size : -1);
    if (taken > told + told / 4 + 262144 || (is_told && told > taken * 3 + 65536))
        fail_msg("%s-%d of %zu bytes took %zu bytes, %zu were told", codec_name(setting.codec).data,
                 setting.level, size, taken, told);
    encoder_destroy(encoder);
    leat_loop_destroy(loop);
}

static void test_memory_is_about_what_is_told(void **state)
{
    static const size_t sizes[] = {300, 4000, 20000, 65000, 120000, 250000, 1000000};
    if (IS_SANITIZED)
        skip(); /* its allocator does not tell */
    for (unsigned j = 0; j < SETTINGS; j++)
        for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            if (sizes[i] > 70000 && is_slow(settings[j]))
                continue;
            check_memory(settings[j], sizes[i], true);
            check_memory(settings[j], sizes[i], false);
        }
}

/* ---- On a fiber ------------------------------------------------------------------------------ */

static bool see_stack(const struct fiber_info *info, void *user)
{
    size_t *used = user;
    if (strcmp(info->name, "codes") == 0)
        *used = info->stack_used;
    return true;
}

static void code_whole_and_in_pieces(void *arg)
{
    static uint8_t coded[256 * 1024], plain[64 * 1024];
    const struct codec_setting setting = *(const struct codec_setting *)arg;
    struct bytes pieces = {0};
    const struct text words = {.size = sizeof(plain), .data = malloc(sizeof(plain))};
    fill_with_words(words.data, words.size, 11);
    const ssize_t size = codec_encode(setting, words.data, words.size, coded, sizeof(coded));
    assert_true(size > 0);
    assert_int_equal(codec_decode(setting.codec, coded, (size_t)size, plain, sizeof(plain)),
                     sizeof(plain));
    struct encoder *encoder = new_encoder(setting, -1);
    encode_at_random(encoder, &words, 1, &pieces);
    encoder_destroy(encoder);
    struct decoder *decoder;
    struct bytes back = {0};
    struct leat_slice input = slice_of(pieces.data, pieces.size);
    assert_int_equal(decoder_create(setting.codec, &decoder), 0);
    assert_true(decode_some(decoder, &input, 1000, &back) >= 0);
    decoder_destroy(decoder);
    bytes_free(&back);
    bytes_free(&pieces);
    free(words.data);
    (void)leat_sleep_until(LEAT_FOREVER); /* until it has been looked at */
}

static int measure_stacks(void *arg)
{
    size_t *worst = arg;
    for (unsigned j = 0; j < SETTINGS; j++) {
        const struct leat_fiber_options options = {.name = "codes", .stack_size = 256 * 1024};
        struct codec_setting setting = settings[j];
        struct leat_scope scope;
        size_t used = 0;
        leat_scope_init(&scope);
        assert_int_equal(leat_spawn(&scope, code_whole_and_in_pieces, &setting, &options), 0);
        assert_int_equal(leat_yield(), 0);
        fiber_each(loop_current, see_stack, &used);
        leat_scope_fini(&scope);
        print_message("# %s-%d: %zu bytes of stack\n", codec_name(setting.codec).data,
                      setting.level, used);
        if (used > *worst)
            *worst = used;
    }
    return 0;
}

/* A handler has 64 KiB. */
static void test_a_fibers_stack_is_enough(void **state)
{
    if (IS_SANITIZED)
        skip(); /* whose frames are larger */
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    size_t worst = 0;
    assert_int_equal(leat_run(measure_stacks, &worst, &options), 0);
    assert_true(worst > 1000 && worst <= 32 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut_of_a_small_text),
        cmocka_unit_test(test_random_pieces_of_every_text),
        cmocka_unit_test(test_a_flush_twice_or_of_nothing),
        cmocka_unit_test(test_no_room_is_full),
        cmocka_unit_test(test_a_text_of_another_size_than_was_told),
        cmocka_unit_test(test_who_breaks_off_leaves_nothing),
        cmocka_unit_test(test_memory_is_about_what_is_told),
        cmocka_unit_test(test_a_fibers_stack_is_enough),
    };
    return cmocka_run_group_tests(tests, read_texts, free_texts);
}
