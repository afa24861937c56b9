/* SPDX-License-Identifier: MIT */
/*
 * What the tests of codecs share: texts of all kinds (made ones, and the files of
 * $LEAT_TEST_DATA/corpus), settings worth trying, and the two ways there and back.
 */
#ifndef TESTS_UNIT_CODEC_TEXTS_H
#define TESTS_UNIT_CODEC_TEXTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "codec/codec.h"
#include "codec/decoder.h"
#include "codec/encoder.h"
#include "leat/error.h"
#include "leat/loop.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static const struct codec_setting settings[] = {
    {LEAT_CODEC_NONE, 0},   {LEAT_CODEC_ZSTD, 1},   {LEAT_CODEC_ZSTD, 3},    {LEAT_CODEC_ZSTD, 7},
    {LEAT_CODEC_ZSTD, 19},  {LEAT_CODEC_GZIP, 1},   {LEAT_CODEC_GZIP, 6},    {LEAT_CODEC_GZIP, 9},
    {LEAT_CODEC_GZIP, 12},  {LEAT_CODEC_BROTLI, 0}, {LEAT_CODEC_BROTLI, 1},  {LEAT_CODEC_BROTLI, 4},
    {LEAT_CODEC_BROTLI, 5}, {LEAT_CODEC_BROTLI, 9}, {LEAT_CODEC_BROTLI, 11}, {LEAT_CODEC_LZ4, 0},
    {LEAT_CODEC_LZ4, 9},
};
enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

/* Too slow at much text for a test? */
static inline bool is_slow(struct codec_setting setting)
{
    return setting.codec == LEAT_CODEC_BROTLI ? setting.level > 9 : setting.level > 10;
}

struct text {
    char name[64];
    uint8_t *data;
    size_t size;
};
enum { TEXTS_MAX = 64 };
static struct text texts[TEXTS_MAX];
static unsigned text_count;

static struct text *add_text(const char *name, size_t size)
{
    assert_true(text_count < TEXTS_MAX);
    struct text *text = &texts[text_count++];
    snprintf(text->name, sizeof(text->name), "%s", name);
    text->size = size;
    text->data = malloc(size + 1);
    assert_non_null(text->data);
    return text;
}

static void fill_with_words(uint8_t *data, size_t size, uint64_t seed)
{
    static const char *const words[] = {"{\"id\": ", "\"name\": \"", "leat",  "\", ", "null",
                                        "}\n",       "[1, 2, 3]",    "water", " ",    "mill"};
    struct random random;
    random_init(&random, seed);
    for (size_t at = 0; at < size;) {
        const char *word = words[random_below(&random, sizeof(words) / sizeof(words[0]))];
        for (; *word && at < size; word++)
            data[at++] = (uint8_t)*word;
    }
}

static void fill_with_noise(uint8_t *data, size_t size, uint64_t seed)
{
    struct random random;
    random_init(&random, seed);
    for (size_t at = 0; at < size; at++)
        data[at] = (uint8_t)random_next(&random);
}

static void add_made_texts(void)
{
    static const size_t sizes[] = {1, 2, 3, 15, 100, 1000, 16383, 16384, 65536, 65537, 300000};
    add_text("empty", 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct text *text = add_text("words", sizes[i]);
        fill_with_words(text->data, text->size, sizes[i]);
    }
    struct text *noise = add_text("noise", 200000);
    fill_with_noise(noise->data, noise->size, 1);
    struct text *zeros = add_text("zeros", 1 << 20);
    memset(zeros->data, 0, zeros->size);
}

static void add_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    struct text *text = add_text(strrchr(path, '/') + 1, (size_t)ftell(file));
    rewind(file);
    assert_int_equal(fread(text->data, 1, text->size, file), text->size);
    fclose(file);
}

static int read_texts(void **state)
{
    char pattern[512];
    const char *folder = getenv("LEAT_TEST_DATA");
    glob_t found;
    add_made_texts();
    snprintf(pattern, sizeof(pattern), "%s/corpus/*", folder ? folder : "");
    if (!folder || glob(pattern, 0, NULL, &found) != 0) {
        print_message("# no $LEAT_TEST_DATA/corpus: made texts alone\n");
        return 0;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_file(found.gl_pathv[i]);
    globfree(&found);
    return 0;
}

static int free_texts(void **state)
{
    while (text_count > 0)
        free(texts[--text_count].data);
    return 0;
}

/* A buffer that grows. */
struct bytes {
    uint8_t *data;
    size_t size, capacity;
};

static inline uint8_t *bytes_room(struct bytes *bytes, size_t size)
{
    while (bytes->capacity - bytes->size < size) {
        bytes->capacity = bytes->capacity * 2 + size;
        bytes->data = realloc(bytes->data, bytes->capacity);
        assert_non_null(bytes->data);
    }
    return bytes->data + bytes->size;
}

static inline void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    if (size > 0)
        memcpy(bytes_room(bytes, size), data, size);
    bytes->size += size;
}

static inline void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

/* One goal, with so much room at a time; what comes out is added. */
static inline void encode_some(struct encoder *encoder, const void *data, size_t size,
                               enum encoder_goal goal, size_t room_size, struct bytes *coded)
{
    struct leat_slice input = slice_of(data, size);
    int more;
    do {
        size_t used = SIZE_MAX;
        more = encoder_run(encoder, &input, goal, bytes_room(coded, room_size), room_size, &used);
        assert_true(more == 0 || more == 1);
        assert_true(used <= room_size);
        assert_true(more == 0 || used == room_size);
        coded->size += used;
    } while (more);
    assert_int_equal(input.size, 0);
}

/* All of the input; the last result. */
static inline int decode_some(struct decoder *decoder, struct leat_slice *input, size_t room_size,
                              struct bytes *plain)
{
    int result;
    do {
        size_t used = SIZE_MAX;
        result = decoder_run(decoder, input, bytes_room(plain, room_size), room_size, &used);
        if (result < 0)
            return result;
        assert_true(used <= room_size);
        assert_true(result != 1 || used == room_size);
        plain->size += used;
    } while (result == 1);
    assert_true(result == 2 || input->size == 0);
    return result;
}

static inline void assert_decodes(enum leat_codec codec, const struct bytes *coded,
                                  const void *data, size_t size)
{
    uint8_t *plain = malloc(size + 1);
    assert_non_null(plain);
    assert_int_equal(codec_decode(codec, coded->data, coded->size, plain, size), size);
    assert_memory_equal(plain, data, size);
    free(plain);
}

static inline struct leat_loop *new_loop(void)
{
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    struct leat_loop *loop;
    assert_int_equal(leat_loop_create(&options, &loop), 0);
    return loop;
}

#endif
