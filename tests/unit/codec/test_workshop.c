/* SPDX-License-Identifier: MIT */
/*
 * A loop's workshop: encoders that have ended wait for the next text, in bounds; with too many at
 * work the newcomer is told so; with the loop all of it goes.
 */
#include "texts.h"

#include "codec/encoder_parts.h"
#include "codec/workshop.h"

static const struct codec_setting zstd = {LEAT_CODEC_ZSTD, 3}, gzip = {LEAT_CODEC_GZIP, 6},
                                  br = {LEAT_CODEC_BROTLI, 5};

static struct encoder *new_encoder(struct codec_setting setting, int64_t size)
{
    struct encoder *encoder;
    assert_int_equal(encoder_create(setting, size, &encoder), 0);
    return encoder;
}

static void test_a_loop_has_one(void **state)
{
    struct leat_loop *loop = new_loop();
    struct workshop *workshop = workshop_of(loop);
    assert_non_null(workshop);
    assert_ptr_equal(workshop_of(loop), workshop);
    assert_int_equal(workshop->memory, 0);
    leat_loop_destroy(loop);
}

static void test_who_has_ended_waits_for_the_next_text(void **state)
{
    struct leat_loop *loop = new_loop();
    struct workshop *workshop = workshop_of(loop);
    struct encoder *encoder = new_encoder(zstd, -1);
    assert_int_equal(workshop->active, 1);
    assert_int_equal(workshop->memory, encoder_memory(zstd, -1));
    encoder_destroy(encoder);
    assert_int_equal(workshop->active, 0);
    assert_int_equal(workshop->idle_count, 1);
    assert_int_equal(workshop->memory, encoder_memory(zstd, -1));

    struct encoder *other = new_encoder(gzip, -1);
    assert_ptr_not_equal(other, encoder);
    assert_int_equal(workshop->idle_count, 1);
    assert_ptr_equal(new_encoder(zstd, 1 << 20), encoder);
    assert_int_equal(workshop->idle_count, 0);
    encoder_destroy(encoder);

    /* A small text's tables are not worth these. */
    struct encoder *small = new_encoder(zstd, 2000);
    assert_ptr_not_equal(small, encoder);
    encoder_destroy(small);
    encoder_destroy(other);
    assert_int_equal(workshop->idle_count, 3);
    leat_loop_destroy(loop);
}

static void test_not_too_many_wait(void **state)
{
    enum { MANY = WORKSHOP_IDLE_MAX + 5 };
    struct leat_loop *loop = new_loop();
    struct workshop *workshop = workshop_of(loop);
    struct encoder *encoders[MANY];
    for (unsigned i = 0; i < MANY; i++)
        encoders[i] = new_encoder(gzip, -1);
    assert_int_equal(workshop->memory, MANY * encoder_memory(gzip, -1));
    for (unsigned i = 0; i < MANY; i++)
        encoder_destroy(encoders[i]);
    assert_int_equal(workshop->idle_count, WORKSHOP_IDLE_MAX);
    assert_int_equal(workshop->memory, WORKSHOP_IDLE_MAX * encoder_memory(gzip, -1));
    assert_ptr_equal(workshop->idle, encoders[MANY - 1]); /* the warmest */
    leat_loop_destroy(loop);
}

static void test_the_newcomer_is_told_of_the_limit(void **state)
{
    struct leat_loop *loop = new_loop();
    struct workshop *workshop = workshop_of(loop);
    struct encoder *encoders[1000], *waiting[WORKSHOP_IDLE_MAX], *none = NULL;
    unsigned count = 0;
    for (unsigned i = 0; i < WORKSHOP_IDLE_MAX; i++)
        waiting[i] = new_encoder(zstd, -1);
    for (unsigned i = 0; i < WORKSHOP_IDLE_MAX; i++)
        encoder_destroy(waiting[i]);
    for (; count < 1000; count++) {
        const int error = encoder_create(br, -1, &encoders[count]);
        if (error) {
            assert_int_equal(error, -LEAT_E_LIMIT);
            break;
        }
    }
    assert_true(count >= 16 && count < 1000);
    assert_int_equal(workshop->active, count);
    assert_int_equal(workshop->idle_count, 0); /* those that waited made room */
    assert_true(workshop->memory <= WORKSHOP_MEMORY_MAX);
    assert_int_equal(workshop->memory, count * encoder_memory(br, -1));
    assert_int_equal(encoder_create(br, -1, &none), -LEAT_E_LIMIT);
    assert_null(none);

    encoder_destroy(encoders[--count]);
    encoders[count] = new_encoder(br, -1); /* with one gone there is room again */
    count++;
    while (count > 0)
        encoder_destroy(encoders[--count]);
    assert_int_equal(workshop->active, 0);
    leat_loop_destroy(loop);
}

/* One that failed is not given to the next. */
static void test_the_broken_do_not_wait(void **state)
{
    struct leat_loop *loop = new_loop();
    struct workshop *workshop = workshop_of(loop);
    struct encoder *encoder = new_encoder(gzip, -1);
    encoder->is_sound = false;
    encoder_destroy(encoder);
    assert_int_equal(workshop->idle_count, 0);
    assert_int_equal(workshop->memory, 0);
    leat_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loop_has_one),
        cmocka_unit_test(test_who_has_ended_waits_for_the_next_text),
        cmocka_unit_test(test_not_too_many_wait),
        cmocka_unit_test(test_the_newcomer_is_told_of_the_limit),
        cmocka_unit_test(test_the_broken_do_not_wait),
    };
    (void)read_texts, (void)free_texts, (void)settings;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
