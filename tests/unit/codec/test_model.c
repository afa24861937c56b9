/* SPDX-License-Identifier: MIT */
/*
 * Forecasts: sane for whatever sample there may be, and what is learned is learned within bounds.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/model.h"

static const struct sample text_sample = {
    .size = 800000, .core_set = 0.1f, .entropy = 4.8f, .lz4_ratio = 0.5f, .lz4_later = 0.5f};

static void test_settings_are_valid_and_differ(void **state)
{
    (void)state;
    assert_in_range(model_setting_count(), 2, MODEL_SETTINGS_MAX);
    assert_int_equal(model_setting(0).codec, LEAT_CODEC_NONE);
    unsigned seen = 0;
    for (unsigned index = 1; index < model_setting_count(); index++) {
        const struct codec_setting setting = model_setting(index);
        assert_true(codec_setting_is_valid(setting));
        assert_true(setting.codec != LEAT_CODEC_NONE);
        seen |= CODEC_BIT(setting.codec);
        for (unsigned other = 1; other < index; other++)
            assert_false(model_setting(other).codec == setting.codec &&
                         model_setting(other).level == setting.level);
    }
    assert_int_equal(seen, CODEC_SET_ALL & ~CODEC_BIT(LEAT_CODEC_NONE));
}

static void test_forecasts_are_sane(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 100, 1024, 32768, 32769, 1 << 20, UINT64_C(1) << 40};
    struct model model;
    struct model_forecast forecast;
    model_init(&model);
    for (unsigned setting = 1; setting < model_setting_count(); setting++)
        for (unsigned size = 0; size < sizeof sizes / sizeof *sizes; size++)
            for (float lz4_ratio = 0; lz4_ratio <= 1; lz4_ratio += 0.125f)
                for (float entropy = 0; entropy <= 8; entropy += 1) {
                    const struct sample sample = {.size = sizes[size],
                                                  .entropy = entropy,
                                                  .lz4_ratio = lz4_ratio,
                                                  .lz4_later = lz4_ratio / 2};
                    model_forecast(&model, setting, &sample, &forecast);
                    assert_true(forecast.ratio > 0 && forecast.ratio < 1.1);
                    assert_true(isfinite(forecast.cpu_ns) && forecast.cpu_ns > 0);
                    assert_true(forecast.first_ns > 0 && forecast.first_ns <= forecast.cpu_ns);
                }
    model_forecast(&model, 0, &text_sample, &forecast);
    assert_true(forecast.ratio == 1 && forecast.cpu_ns == 0);
}

/* More work, fewer bytes: of usual texts each codec's highest level is below its lowest. */
static void test_higher_levels_take_more_and_leave_less(void **state)
{
    (void)state;
    struct model model;
    struct model_forecast low, high;
    model_init(&model);
    for (unsigned index = 2; index < model_setting_count(); index++) {
        unsigned first = index;
        while (first > 1 && model_setting(first - 1).codec == model_setting(index).codec)
            first--;
        if (first == index)
            continue;
        model_forecast(&model, first, &text_sample, &low);
        model_forecast(&model, index, &text_sample, &high);
        assert_true(high.ratio < low.ratio * 1.02 && high.cpu_ns > low.cpu_ns * 0.9);
    }
}

static double factor_of(const struct model *model, unsigned setting, const struct sample *sample,
                        double *ret_ratio)
{
    struct model fresh;
    struct model_forecast told, now;
    model_init(&fresh);
    model_forecast(&fresh, setting, sample, &told);
    model_forecast(model, setting, sample, &now);
    *ret_ratio = log(now.ratio) / log(told.ratio);
    return now.cpu_ns / told.cpu_ns;
}

static void teach(struct model *model, unsigned setting, const struct sample *sample,
                  unsigned times, double ratio, double speed)
{
    struct model fresh;
    struct model_forecast told;
    model_init(&fresh);
    model_forecast(&fresh, setting, sample, &told);
    for (unsigned time = 0; time < times; time++)
        model_learn(model, setting, sample,
                    (uint64_t)(pow(told.ratio, ratio) * (double)sample->size),
                    (int64_t)(told.cpu_ns * speed));
}

/* Soon for texts that look the same, by all settings; slowly, and less, for others. */
static void test_what_became_of_a_text_is_known_of_those_like_it(void **state)
{
    (void)state;
    struct sample other = text_sample, larger = text_sample;
    struct model model;
    double ratio;
    model_init(&model);
    other.entropy = 6;
    larger.size += 10;
    teach(&model, 3, &text_sample, 8, 1.6, 0.5);
    assert_float_equal(factor_of(&model, 3, &text_sample, &ratio), 0.5, 0.05);
    assert_float_equal(ratio, 1.6, 0.05);
    assert_float_equal(factor_of(&model, 3, &larger, &ratio), 0.5, 0.05);
    assert_true(factor_of(&model, 4, &text_sample, &ratio) < 0.8);
    assert_float_equal(ratio, 1.6, 0.05);
    assert_true(factor_of(&model, 3, &other, &ratio) > 0.85);
    assert_true(ratio > 1 && ratio < 1.1);
    /* Another setting proves slower than told, at first to some doubt. */
    teach(&model, 4, &text_sample, 1, 1.6, 20);
    assert_true(factor_of(&model, 4, &text_sample, &ratio) < 4);
    teach(&model, 4, &text_sample, 40, 1.6, 3);
    assert_float_equal(factor_of(&model, 4, &text_sample, &ratio), 3, 0.2);
    /* and that is forgotten when it was not taken for long */
    teach(&model, 3, &text_sample, 500, 1.6, 0.5);
    assert_true(factor_of(&model, 4, &text_sample, &ratio) < 0.7);
}

/* What was so slow that it is left as it is gets another chance. */
static void test_a_kind_that_is_passed_over_is_forgotten(void **state)
{
    (void)state;
    struct model model;
    double ratio;
    model_init(&model);
    teach(&model, 3, &text_sample, 60, 1, 10);
    const double all = (double)model.all.speed;
    const double slow = factor_of(&model, 3, &text_sample, &ratio);
    assert_true(slow > 9);
    model_pass(&model, &text_sample);
    const double after = factor_of(&model, 3, &text_sample, &ratio);
    assert_true(after < slow && after > slow * 0.9);
    for (unsigned time = 0; time < 300; time++)
        model_pass(&model, &text_sample);
    assert_float_equal(factor_of(&model, 3, &text_sample, &ratio), all, 0.05);
}

static void test_a_slower_machine_is_learned_and_noise_is_not_gain(void **state)
{
    (void)state;
    const struct sample noise = {
        .size = 100000, .core_set = 0.85f, .entropy = 7.98f, .lz4_ratio = 1, .lz4_later = 1};
    struct sample other = text_sample;
    struct model model;
    struct model_forecast of_noise;
    double ratio;
    other.entropy = 6;
    model_init(&model);
    teach(&model, 1, &text_sample, 400, 1.2, 3);
    assert_float_equal(factor_of(&model, 1, &other, &ratio), 3, 0.1);
    assert_float_equal(ratio, 1.2, 0.02);
    model_forecast(&model, 1, &noise, &of_noise);
    assert_true(of_noise.ratio > 0.9);
    /* Nothing is learned that cannot be. */
    for (unsigned text = 0; text < 1000; text++)
        model_learn(&model, 2, &text_sample, 1, INT64_MAX / 2);
    assert_float_equal(factor_of(&model, 2, &text_sample, &ratio), 20, 1);
    assert_float_equal(ratio, 2.5, 0.1);
    assert_float_equal(factor_of(&model, 1, &other, &ratio), 10, 0.1);
    assert_float_equal(ratio, 1.25, 0.01);
    for (unsigned text = 0; text < 1000; text++)
        model_learn(&model, 2, &text_sample, 2000000, 0);
    assert_float_equal(factor_of(&model, 2, &text_sample, &ratio), 20, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_are_valid_and_differ),
        cmocka_unit_test(test_forecasts_are_sane),
        cmocka_unit_test(test_higher_levels_take_more_and_leave_less),
        cmocka_unit_test(test_what_became_of_a_text_is_known_of_those_like_it),
        cmocka_unit_test(test_a_kind_that_is_passed_over_is_forgotten),
        cmocka_unit_test(test_a_slower_machine_is_learned_and_noise_is_not_gain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
