/* SPDX-License-Identifier: MIT */
/*
 * Packed samples: what goes in comes out, from whichever sample the reading starts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/random.h"
#include "leat/error.h"
#include "media/samples.h"

enum { COUNT = 3 * SAMPLES_BLOCK + 17 };

struct shape {
    bool is_video, all_sync;
    unsigned ctos; /* how many different ones */
    uint64_t gap_one_in, sizes;
    uint32_t durations; /* how many different ones */
};

static void make(struct random *random, const struct shape *shape, struct mp4_sample *samples)
{
    uint64_t offset = random_below(random, UINT32_MAX), dts = random_below(random, 1 << 20);
    for (unsigned index = 0; index < COUNT; index++) {
        if (random_below(random, shape->gap_one_in) == 0)
            offset = random_below(random, UINT64_MAX >> 20);
        samples[index] = (struct mp4_sample){
            .offset = offset,
            .dts = dts,
            .cto = ((int64_t)random_below(random, shape->ctos) - shape->ctos / 2) * 100003,
            .size = (uint32_t)random_below(random, shape->sizes),
            .duration = (uint32_t)random_below(random, shape->durations) * 512 + 512,
            .is_sync = shape->all_sync || random_below(random, 10) == 0,
        };
        offset += samples[index].size;
        dts += samples[index].duration;
    }
}

static void assert_same(const struct mp4_sample *a, const struct mp4_sample *b)
{
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->dts, b->dts);
    assert_int_equal(a->cto, b->cto);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->duration, b->duration);
    assert_int_equal(a->is_sync, b->is_sync);
}

static void come_out_as_they_went_in(void **state)
{
    static const struct shape shapes[] = {
        {true, false, 5, 10, 100000, 1},    {true, false, 40, 2, 1 << 24, 3},
        {true, true, 1, 1, UINT32_MAX, 1},  {false, true, 1, 50, 700, 1},
        {false, false, 3, 1000, 3000, 100}, {true, false, 15, 1000, 1, 1},
    };
    struct mp4_sample in[COUNT], out;
    for (unsigned row = 0; row < sizeof shapes / sizeof *shapes; row++) {
        struct random random = {{row + 1}};
        struct samples samples;
        make(&random, &shapes[row], in);
        samples_init(&samples, shapes[row].is_video);
        for (unsigned index = 0; index < COUNT; index++)
            assert_int_equal(samples_add(&samples, &in[index]), 0);
        assert_int_equal(samples_finish(&samples), 0);
        assert_int_equal(samples.count, COUNT);
        for (unsigned first = 0; first <= COUNT; first++) {
            struct samples_cursor cursor;
            samples_seek(&cursor, &samples, first);
            assert_int_equal(cursor.next.index, first);
            for (unsigned index = first; index < COUNT && index < first + 150; index++) {
                const uint32_t position = cursor.next.position;
                assert_true(samples_next(&cursor, &out));
                assert_same(&out, &in[index]);
                const struct samples_mark mark = samples_mark_before(&cursor, position, &out);
                struct samples_cursor again;
                samples_start(&again, &samples, &mark);
                assert_true(samples_next(&again, &out));
                assert_same(&out, &in[index]);
                assert_memory_equal(&again, &cursor, sizeof cursor);
            }
        }
        struct samples_cursor cursor;
        samples_seek(&cursor, &samples, COUNT);
        assert_false(samples_next(&cursor, &out));
        samples_fini(&samples);
    }
}

static void a_hole_in_time_lengthens_the_one_before(void **state)
{
    struct samples samples;
    struct samples_cursor cursor;
    struct mp4_sample out;
    samples_init(&samples, false);
    assert_int_equal(samples_add(&samples, &(struct mp4_sample){.dts = 10, .duration = 5}), 0);
    assert_int_equal(samples_add(&samples, &(struct mp4_sample){.dts = 30, .duration = 5}), 0);
    assert_int_equal(samples_finish(&samples), 0);
    samples_seek(&cursor, &samples, 0);
    assert_true(samples_next(&cursor, &out) && out.dts == 10 && out.duration == 20);
    assert_true(samples_next(&cursor, &out) && out.dts == 30 && out.duration == 5);
    samples_fini(&samples);
}

static void time_does_not_go_back(void **state)
{
    struct samples samples;
    samples_init(&samples, false);
    assert_int_equal(samples_add(&samples, &(struct mp4_sample){.dts = 10, .duration = 5}), 0);
    assert_int_equal(samples_add(&samples, &(struct mp4_sample){.dts = 9}), -LEAT_E_MALFORMED);
    samples_fini(&samples);
    samples_init(&samples, false);
    assert_int_equal(samples_add(&samples, &(struct mp4_sample){.dts = 10, .duration = 5}), 0);
    assert_int_equal(samples_add(&samples, &(struct mp4_sample){.dts = (uint64_t)1 << 33}),
                     -LEAT_E_MALFORMED);
    samples_fini(&samples);
}

/* An hour of 30 pictures a second, with B-frames, each packet beside its sound's. */
static void an_hour_is_small(void **state)
{
    struct samples video, audio;
    struct random random = {{1}};
    uint64_t offset = 0;
    samples_init(&video, true);
    samples_init(&audio, false);
    for (unsigned index = 0; index < 3600 * 30; index++) {
        const struct mp4_sample picture = {.offset = offset,
                                           .dts = index * UINT64_C(512),
                                           .cto = (int64_t)(index % 4) * 512,
                                           .duration = 512,
                                           .size = 2000 + (uint32_t)random_below(&random, 20000),
                                           .is_sync = index % 60 == 0};
        offset += picture.size;
        assert_int_equal(samples_add(&video, &picture), 0);
        for (unsigned sound = 0; sound < 1 + (index % 2); sound++) {
            const struct mp4_sample frame = {.offset = offset,
                                             .dts = audio.count * UINT64_C(1024),
                                             .duration = 1024,
                                             .size = 300 + (uint32_t)random_below(&random, 200),
                                             .is_sync = true};
            offset += frame.size;
            assert_int_equal(samples_add(&audio, &frame), 0);
        }
    }
    assert_int_equal(samples_finish(&video), 0);
    assert_int_equal(samples_finish(&audio), 0);
    print_message("# %zu bytes of video, %zu of audio\n", samples_memory(&video),
                  samples_memory(&audio));
    assert_true(samples_memory(&video) + samples_memory(&audio) < 1500 * 1000);
    assert_null(audio.syncs);
    samples_fini(&video);
    samples_fini(&audio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_out_as_they_went_in),
        cmocka_unit_test(a_hole_in_time_lengthens_the_one_before),
        cmocka_unit_test(time_does_not_go_back),
        cmocka_unit_test(an_hour_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
