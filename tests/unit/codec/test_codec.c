/* SPDX-License-Identifier: MIT */
/*
 * Whole texts: there and back by every codec and level, in just enough room and in too little, and
 * by many threads at once, each of which keeps its own tables.
 */
#include "texts.h"

#include <pthread.h>

static void test_names_and_levels(void **state)
{
    static const char *const names[] = {"identity", "zstd", "gzip", "br", "lz4"};
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
        const struct leat_slice name = codec_name((enum leat_codec)codec);
        assert_string_equal(name.data, names[codec]);
        assert_int_equal(name.size, strlen(names[codec]));
        for (int level = -1; level < 30; level++)
            assert_int_equal(
                codec_setting_is_valid((struct codec_setting){(enum leat_codec)codec, level}),
                level >= codec_level_min((enum leat_codec)codec) &&
                    level <= codec_level_max((enum leat_codec)codec));
    }
    assert_false(codec_setting_is_valid((struct codec_setting){LEAT_CODECS, 0}));
}

static void check_whole(struct codec_setting setting, const struct text *text)
{
    const size_t bound = codec_bound(setting.codec, text->size);
    uint8_t *coded = malloc(bound + 1), *plain = malloc(text->size + 1);
    assert_true(coded && plain);
    const ssize_t size = codec_encode(setting, text->data, text->size, coded, bound);
    assert_true(size >= 0);
    assert_int_equal(codec_decode(setting.codec, coded, (size_t)size, plain, text->size),
                     text->size);
    assert_memory_equal(plain, text->data, text->size);
    if (text->size > 0 && text->size <= 20000) {
        assert_int_equal(codec_decode(setting.codec, coded, (size_t)size, plain, text->size - 1),
                         -LEAT_E_LIMIT);
        /* With less room zstd finds another way, at times. */
        const ssize_t less = codec_encode(setting, text->data, text->size, coded, (size_t)size - 1);
        assert_true(less == -LEAT_E_LIMIT || (less >= 0 && less < size));
        assert_int_equal(codec_encode(setting, text->data, text->size, coded, (size_t)size / 2),
                         -LEAT_E_LIMIT);
    }
    free(coded);
    free(plain);
}

static void test_every_text_by_representative_settings(void **state)
{
    for (unsigned i = 0; i < text_count; i++)
        for (unsigned j = 0; j < SETTINGS; j++)
            if (texts[i].size <= 20000 || !is_slow(settings[j]))
                check_whole(settings[j], &texts[i]);
}

static void test_every_level(void **state)
{
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++)
        for (int level = codec_level_min((enum leat_codec)codec);
             level <= codec_level_max((enum leat_codec)codec); level++)
            for (unsigned i = 0; i < text_count; i++)
                if (texts[i].size <= 2000 || strcmp(texts[i].name, "noise") == 0)
                    check_whole((struct codec_setting){(enum leat_codec)codec, level}, &texts[i]);
}

/* A text keeps nothing of the one before it. */
static void test_the_same_text_has_the_same_bytes(void **state)
{
    struct text words = {.size = 50000, .data = malloc(50000)};
    fill_with_words(words.data, words.size, 7);
    for (unsigned j = 0; j < SETTINGS; j++) {
        const size_t bound = codec_bound(settings[j].codec, words.size);
        uint8_t *first = malloc(bound), *again = malloc(bound);
        const ssize_t size = codec_encode(settings[j], words.data, words.size, first, bound);
        for (unsigned i = 0; i < text_count && i < 12; i++)
            check_whole(settings[j], &texts[i]);
        assert_int_equal(codec_encode(settings[j], words.data, words.size, again, bound), size);
        assert_memory_equal(first, again, (size_t)size);
        free(first);
        free(again);
    }
    free(words.data);
}

static void *code_much(void *user)
{
    uint64_t seed = (uintptr_t)user;
    static uint8_t rooms[4][80000], plains[4][40000], words[4][40000];
    uint8_t *room = rooms[seed], *plain = plains[seed], *word = words[seed];
    for (unsigned round = 0; round < 40; round++) {
        const struct codec_setting setting = settings[(round + seed) % SETTINGS];
        const size_t size = 1000 * (round % 10 + 1);
        fill_with_words(word, size, round);
        const ssize_t coded = codec_encode(setting, word, size, room, sizeof(rooms[0]));
        if (coded < 0 ||
            codec_decode(setting.codec, room, (size_t)coded, plain, size) != (ssize_t)size ||
            memcmp(plain, word, size) != 0)
            return "it came back as another";
    }
    return NULL;
}

/* What a thread kept goes with it: the leak checker of ASan would see it. */
static void test_threads_have_tables_of_their_own(void **state)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, code_much, (void *)i), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_levels),
        cmocka_unit_test(test_every_text_by_representative_settings),
        cmocka_unit_test(test_every_level),
        cmocka_unit_test(test_the_same_text_has_the_same_bytes),
        cmocka_unit_test(test_threads_have_tables_of_their_own),
    };
    return cmocka_run_group_tests(tests, read_texts, free_texts);
}
