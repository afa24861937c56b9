/* SPDX-License-Identifier: MIT */
/*
 * What comes from strangers: cut anywhere, ended too soon, damaged, garbage, followed by more, far
 * larger than it looks, or made to take much memory.
 */
#include "texts.h"

#include <brotli/encode.h>

enum { SMALL = 300 };

static struct decoder *new_decoder(enum leat_codec codec)
{
    struct decoder *decoder;
    assert_int_equal(decoder_create(codec, &decoder), 0);
    return decoder;
}

/* A coded text at the first representative level; to be freed. */
static struct bytes coded_text(enum leat_codec codec, const void *data, size_t size)
{
    const struct codec_setting setting = {codec, codec == LEAT_CODEC_BROTLI ? 5 : 3};
    struct bytes coded = {0};
    const size_t bound = codec_bound(codec, size);
    const ssize_t coded_size = codec_encode(setting, data, size, bytes_room(&coded, bound), bound);
    assert_true(coded_size > 0);
    coded.size = (size_t)coded_size;
    return coded;
}

static struct bytes coded_words(enum leat_codec codec, uint8_t words[SMALL])
{
    fill_with_words(words, SMALL, 21);
    return coded_text(codec, words, SMALL);
}

#define EACH_CODEC(codec)                                                                          \
    (enum leat_codec codec = LEAT_CODEC_ZSTD; codec <= LEAT_CODEC_LZ4; codec++)

static void test_every_cut(void **state)
{
    for
        EACH_CODEC(codec)
        {
            uint8_t words[SMALL];
            struct bytes coded = coded_words(codec, words);
            for (size_t cut = 0; cut <= coded.size; cut++)
                for (size_t room = 1; room < 2000; room = room * 3 + 1) {
                    struct bytes plain = {0};
                    struct decoder *decoder = new_decoder(codec);
                    struct leat_slice input = slice_of(coded.data, cut);
                    assert_int_equal(decode_some(decoder, &input, room, &plain),
                                     cut == coded.size ? 2 : 0);
                    assert_int_equal(input.size, 0);
                    input = slice_of(coded.data + cut, coded.size - cut);
                    assert_int_equal(decode_some(decoder, &input, room, &plain), 2);
                    assert_int_equal(plain.size, SMALL);
                    assert_memory_equal(plain.data, words, SMALL);
                    decoder_destroy(decoder);
                    bytes_free(&plain);
                }
            bytes_free(&coded);
        }
}

static void test_ended_too_soon(void **state)
{
    for
        EACH_CODEC(codec)
        {
            uint8_t words[SMALL], plain[SMALL];
            struct bytes coded = coded_words(codec, words);
            for (size_t size = 0; size < coded.size; size++)
                assert_int_equal(codec_decode(codec, coded.data, size, plain, SMALL),
                                 -LEAT_E_TRUNCATED);
            bytes_free(&coded);
        }
}

/* Never more than there is room for, nor another text where there is a checksum. */
static void test_damaged(void **state)
{
    for
        EACH_CODEC(codec)
        {
            uint8_t words[SMALL];
            struct bytes coded = coded_words(codec, words);
            for (size_t at = 0; at < coded.size; at++)
                for (unsigned bit = 0; bit < 8; bit++) {
                    uint8_t *plain = malloc(2 * SMALL); /* so that ASan sees its end */
                    coded.data[at] ^= (uint8_t)(1u << bit);
                    const ssize_t size =
                        codec_decode(codec, coded.data, coded.size, plain, 2 * SMALL);
                    assert_true(size <= 2 * SMALL);
                    if (codec == LEAT_CODEC_GZIP && size >= 0) /* some bits are of no import */
                        assert_true(size == SMALL && memcmp(plain, words, SMALL) == 0);
                    coded.data[at] ^= (uint8_t)(1u << bit);
                    free(plain);
                }
            bytes_free(&coded);
        }
}

static void test_garbage(void **state)
{
    struct random random;
    random_init(&random, 5);
    for
        EACH_CODEC(codec)
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t garbage[64], room[100];
        size_t size, calls = 0;
        struct decoder *decoder = new_decoder(codec);
        fill_with_noise(garbage, sizeof(garbage), random_next(&random));
        struct leat_slice input = slice_of(garbage, random_below(&random, sizeof(garbage)));
        /* A bomb may go on for long: 1,000 calls are enough to see. */
        while (decoder_run(decoder, &input, room, sizeof(room), &size) == 1 && ++calls < 1000)
            assert_true(size == sizeof(room));
        decoder_destroy(decoder);
    }
}

static void test_bytes_behind_the_end(void **state)
{
    for
        EACH_CODEC(codec)
        {
            uint8_t words[SMALL], room[SMALL + 1];
            struct bytes coded = coded_words(codec, words);
            size_t size;
            bytes_add(&coded, "\0tail", 5);
            assert_int_equal(codec_decode(codec, coded.data, coded.size, room, sizeof(room)),
                             -LEAT_E_MALFORMED);
            struct decoder *decoder = new_decoder(codec);
            struct leat_slice input = slice_of(coded.data, coded.size);
            assert_int_equal(decoder_run(decoder, &input, room, sizeof(room), &size), 2);
            assert_int_equal(size, SMALL);
            assert_int_equal(input.size, 5);
            for (unsigned again = 0; again < 2; again++) {
                assert_int_equal(decoder_run(decoder, &input, room, sizeof(room), &size), 2);
                assert_int_equal(size, 0);
                assert_int_equal(input.size, 5);
            }
            decoder_destroy(decoder);
            bytes_free(&coded);
        }
}

/* One behind the other, at every cut: one text. */
static void check_two(enum leat_codec codec, const struct bytes *two, const void *plain,
                      size_t plain_size)
{
    for (size_t cut = 0; cut <= two->size; cut++) {
        struct bytes back = {0};
        struct decoder *decoder = new_decoder(codec);
        struct leat_slice input = slice_of(two->data, cut);
        assert_true(decode_some(decoder, &input, 50, &back) >= 0);
        assert_int_equal(input.size, 0);
        input = slice_of(two->data + cut, two->size - cut);
        assert_int_equal(decode_some(decoder, &input, 50, &back), 2);
        assert_int_equal(input.size, 0);
        assert_int_equal(back.size, plain_size);
        assert_memory_equal(back.data, plain, plain_size);
        decoder_destroy(decoder);
        bytes_free(&back);
    }
    assert_decodes(codec, two, plain, plain_size);
}

static void test_members_and_frames_one_behind_the_other(void **state)
{
    static const uint8_t skippable[] = {0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'};
    for
        EACH_CODEC(codec)
        {
            uint8_t words[2 * SMALL];
            fill_with_words(words, sizeof(words), 8);
            struct bytes two = coded_text(codec, words, SMALL);
            struct bytes second = coded_text(codec, words + SMALL, SMALL);
            struct bytes empty = coded_text(codec, "", 0);
            if (codec == LEAT_CODEC_BROTLI) {
                bytes_add(&two, second.data, second.size);
                assert_int_equal(codec_decode(codec, two.data, two.size, words, sizeof(words)),
                                 -LEAT_E_MALFORMED);
            } else {
                bytes_add(&two, empty.data, empty.size);
                if (codec != LEAT_CODEC_GZIP)
                    bytes_add(&two, skippable, sizeof(skippable));
                bytes_add(&two, second.data, second.size);
                check_two(codec, &two, words, sizeof(words));
            }
            bytes_free(&two);
            bytes_free(&second);
            bytes_free(&empty);
        }
}

/* 10 MiB of zeros in some KiB, and less: who gives little room gets little at a time. */
static void test_bombs(void **state)
{
    enum { SIZE = 10 << 20 };
    uint8_t *zeros = calloc(1, SIZE), *room = malloc(SIZE);
    assert_true(zeros && room);
    for
        EACH_CODEC(codec)
        {
            struct bytes coded = coded_text(codec, zeros, SIZE);
            assert_true(coded.size < 64 * 1024);
            assert_int_equal(codec_decode(codec, coded.data, coded.size, room, SIZE / 10),
                             -LEAT_E_LIMIT);
            assert_int_equal(codec_decode(codec, coded.data, coded.size, room, 0), -LEAT_E_LIMIT);
            assert_int_equal(codec_decode(codec, coded.data, coded.size, room, SIZE), SIZE);
            struct decoder *decoder = new_decoder(codec);
            struct leat_slice input = slice_of(coded.data, coded.size);
            size_t size, total = 0;
            int result;
            while ((result = decoder_run(decoder, &input, room, 4096, &size)) == 1) {
                assert_int_equal(size, 4096);
                total += size;
            }
            assert_int_equal(result, 2);
            assert_int_equal(total + size, SIZE);
            decoder_destroy(decoder);
            bytes_free(&coded);
        }
    free(zeros);
    free(room);
}

static void test_zstd_windows(void **state)
{
    /* No content size, a window of 2^(10 + exponent) bytes; one block, five times "a" (RFC 8878,
     * sections 3.1.1.1.2 and 3.1.1.2). */
    uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0, 0x2b, 0, 0, 'a'};
    uint8_t room[16];
    for (unsigned exponent = 0; exponent < 22; exponent++) {
        frame[5] = (uint8_t)(exponent << 3);
        struct decoder *decoder = new_decoder(LEAT_CODEC_ZSTD);
        struct leat_slice input = slice_of(frame, sizeof(frame));
        size_t size = 0;
        const int result = decoder_run(decoder, &input, room, sizeof(room), &size);
        if (10 + exponent <= 23) {
            assert_int_equal(result, 2);
            assert_int_equal(size, 5);
            assert_memory_equal(room, "aaaaa", 5);
        } else {
            assert_int_equal(result, -LEAT_E_LIMIT);
        }
        decoder_destroy(decoder);
    }
}

/* Windows of more than 16 MiB are no Brotli (RFC 7932, section 9.1), whatever libbrotli knows. */
static void test_brotli_has_no_large_windows(void **state)
{
    uint8_t coded[200], plain[100] = "a text";
    BrotliEncoderState *encoder = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    assert_true(BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LARGE_WINDOW, 1));
    assert_true(BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LGWIN, 28));
    size_t in_left = sizeof(plain), left = sizeof(coded);
    const uint8_t *in = plain;
    uint8_t *out = coded;
    assert_true(BrotliEncoderCompressStream(encoder, BROTLI_OPERATION_FINISH, &in_left, &in, &left,
                                            &out, NULL));
    BrotliEncoderDestroyInstance(encoder);
    assert_int_equal(
        codec_decode(LEAT_CODEC_BROTLI, coded, sizeof(coded) - left, plain, sizeof(plain)),
        -LEAT_E_MALFORMED);
}

static void test_a_codec_does_not_take_another_ones(void **state)
{
    for
        EACH_CODEC(codec)
        for
            EACH_CODEC(other)
            {
                uint8_t words[SMALL], plain[SMALL];
                struct bytes coded = coded_words(codec, words);
                if (other != codec)
                    assert_true(codec_decode(other, coded.data, coded.size, plain, SMALL) < 0);
                bytes_free(&coded);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_ended_too_soon),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_bytes_behind_the_end),
        cmocka_unit_test(test_members_and_frames_one_behind_the_other),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_zstd_windows),
        cmocka_unit_test(test_brotli_has_no_large_windows),
        cmocka_unit_test(test_a_codec_does_not_take_another_ones),
    };
    (void)read_texts, (void)free_texts, (void)settings;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
