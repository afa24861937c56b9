/* SPDX-License-Identifier: MIT */
/*
 * Live channels and publishers whose samples are none that a camera makes: times at the ends of
 * arithmetic, durations of ages, thousands of samples in no time. The channel takes what it can,
 * refuses the rest, in time that grows with what has come, and never ends the process.
 */
#include "../engines.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "leat/clock.h"
#include "media/live.h"
#include "movie.h"

static struct live_hub *hub;
static struct live_publisher *publisher;
static unsigned char entries[2][256];

static void announce(unsigned index, const char *handler, uint32_t timescale)
{
    const bool is_video = strcmp(handler, "vide") == 0;
    static struct movie_track described; /* too large for a fiber, with ASan */
    described = (struct movie_track){
        .handler = handler, .entry = is_video ? "avc1" : "mp4a", .timescale = timescale};
    struct writer writer = writer_over(entries[index], sizeof entries[0]);
    struct mp4_track track = {.id = 7,
                              .handler = MP4_FOURCC(handler[0], handler[1], handler[2], handler[3]),
                              .timescale = timescale,
                              .language = "und",
                              .entry_count = 1};
    movie_entry(&writer, &described);
    assert_false(writer.failed);
    track.stsd = slice_of(writer.data, writer.size);
    mp4_codec_of(track.stsd, track.handler, &track.codec);
    assert_int_equal(live_publisher_track(index, &track, publisher), 0);
}

static void begin(uint32_t timescale, bool has_audio)
{
    char reason[LIVE_REASON_SIZE];
    assert_int_equal(live_publish(hub, "cam", "test", &publisher, reason), 0);
    announce(0, "vide", timescale);
    if (has_audio)
        announce(1, "soun", 48000);
}

static int push(struct media_sample sample)
{
    return live_publisher_sample(0, &sample, publisher);
}

static struct live_view *look(void)
{
    struct live_channel *channel = live_find(hub, "cam");
    assert_non_null(channel);
    struct live_view *view = live_look(channel);
    live_channel_unref(channel);
    return view;
}

#define LIVE_TEST(name)                                                                            \
    static int name##_fiber(void *arg)                                                             \
    {                                                                                              \
        assert_int_equal(live_hub_create(NULL, &hub), 0);                                          \
        name();                                                                                    \
        live_hub_destroy(hub);                                                                     \
        return 0;                                                                                  \
    }                                                                                              \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        run_main_fiber(LEAT_ENGINE_EPOLL, name##_fiber);                                           \
    }

static void a_first_sample_of_68_years(void)
{
    begin(1, true);
    assert_int_equal(push((struct media_sample){.duration = INT32_MAX, .is_sync = true}), 0);
    live_publisher_end(publisher, true);
    struct live_view *view = look();
    assert_true(view->available_ms > 0 && view->segment_count == 1);
    assert_true(view->segments[0].duration_us < 1000 * 1000);
    free(view);
}

static void ages_that_add_up(void)
{
    for (unsigned publishers = 0; publishers < 4; publishers++) {
        begin(1, false);
        for (unsigned number = 0; number < 3; number++)
            assert_int_equal(push((struct media_sample){.dts = number,
                                                        .duration = number < 2 ? 1 : INT32_MAX,
                                                        .is_sync = true}),
                             0);
        live_publisher_end(publisher, false);
    }
    begin(INT32_MAX, true);
    for (unsigned number = 0; number < 100; number++)
        assert_int_equal(push((struct media_sample){.dts = number * INT64_C(85899345),
                                                    .duration = 85899345,
                                                    .is_sync = true}),
                         0);
    live_publisher_end(publisher, false);
    struct live_view *view = look();
    const struct live_view_segment *last = &view->segments[view->segment_count - 1];
    assert_true(last->begin_us < 60 * 1000 * 1000);
    free(view);
}

/* 120 years is what a clock may say, and from there it may fall. */
static void clocks_at_their_ends(void)
{
    static const int64_t most = INT64_C(3800000000) * INT32_MAX;
    static const int64_t begins[] = {0, most - 10 * INT64_C(85899345), -most, most, INT64_MAX};
    begin(INT32_MAX, true);
    for (unsigned row = 0; row < 5; row++)
        for (unsigned number = 0; number < 10; number++) {
            const int64_t dts = begins[row] + (row < 3 ? number * INT64_C(85899345) : 0);
            const int error = push((struct media_sample){
                .dts = dts, .cto = INT32_MIN, .duration = 85899345, .is_sync = true});
            assert_int_equal(error, row < 4 ? 0 : number == 0 ? -LEAT_E_MALFORMED : -ECANCELED);
        }
    live_publisher_end(publisher, false);
}

static void pictures_that_are_shown_ages_before(void)
{
    begin(1000, false);
    for (unsigned number = 0; number < 100; number++)
        assert_int_equal(push((struct media_sample){.dts = number * 40 - (number == 60 ? 200 : 0),
                                                    .cto = INT32_MIN,
                                                    .duration = 40,
                                                    .is_sync = number % 50 == 0}),
                         0);
    live_publisher_end(publisher, true);
}

/* What was quadratic, and worse, took minutes for this. */
static void thousands_of_samples_in_no_time(void)
{
    static const char data[100];
    const int64_t begin_ns = leat_now_ns();
    begin(1000000, true);
    int64_t dts = 0;
    for (; dts < 4000000; dts += 40000)
        assert_int_equal(
            push((struct media_sample){
                .dts = dts, .duration = 40000, .is_sync = true, .data = {data, sizeof data}}),
            0);
    for (unsigned number = 0; number < 60 * 1000; number++)
        assert_int_equal(
            push((struct media_sample){.dts = dts++,
                                       .duration = 1,
                                       .is_sync = number == 0,
                                       .data = number % 2 ? (struct leat_slice){data, sizeof data}
                                                          : (struct leat_slice){0}}),
            0);
    live_publisher_end(publisher, true);
    assert_true(leat_now_ns() - begin_ns < 5 * LEAT_NS_PER_S); /* seen: 0.1 s */
    struct live_view *view = look();
    uint64_t duration_us = 0;
    for (unsigned index = 0; index < view->segment_count; index++)
        duration_us += view->segments[index].duration_us;
    assert_int_equal(duration_us, 4060000);
    free(view);
}

static void samples_that_never_make_a_part(void)
{
    int error = 0;
    unsigned count = 0;
    begin(1000, true);
    while (!error && count < 10 * LIVE_PENDING_SAMPLES_MAX) {
        const struct media_sample sound = {.dts = (int64_t)count++ * 1024, .duration = 1024};
        error = live_publisher_sample(1, &sound, publisher);
    }
    assert_int_equal(error, -LEAT_E_LIMIT);
    assert_int_equal(count, LIVE_PENDING_SAMPLES_MAX + 1);
    assert_non_null(strstr(live_publisher_reason(publisher), "no picture"));
    live_publisher_end(publisher, false);
}

/* An edit list makes first times negative: they are rounded to no later than they are. */
static void the_first_picture_before_zero(void)
{
    begin(30000, true);
    for (int number = 0; number < 200; number++)
        assert_int_equal(push((struct media_sample){.dts = (number - 1) * 1001,
                                                    .cto = 1001,
                                                    .duration = 1001,
                                                    .is_sync = number % 60 == 0}),
                         0);
    live_publisher_end(publisher, true);
    struct live_channel *channel = live_find(hub, "cam");
    struct live_view *view = live_look(channel);
    uint64_t duration_us = 0;
    assert_true(view->segments[0].number > 0);
    for (unsigned index = 0; index < view->segment_count; index++)
        duration_us += view->segments[index].duration_us;
    assert_in_range(duration_us, 200 * UINT64_C(1001) * 100 / 3 - 1000,
                    200 * UINT64_C(1001) * 100 / 3 + 1000);
    free(view);
    live_channel_unref(channel);
}

/* Each time a segment, and a descriptor: the oldest go. */
static void who_comes_back_all_the_time(void)
{
    for (unsigned times = 0; times < 1000; times++) {
        begin(1000, true);
        assert_int_equal(push((struct media_sample){.duration = 5, .is_sync = true}), 0);
        live_publisher_end(publisher, false);
    }
    unsigned open = 0;
    for (int fd = 0; fd < 2000; fd++)
        open += fcntl(fd, F_GETFD) >= 0;
    assert_in_range(open, LIVE_SEGMENTS_MAX, LIVE_SEGMENTS_MAX + 50);
    struct live_view *view = look();
    assert_in_range(view->segment_count, LIVE_SEGMENTS_MAX - 1, LIVE_SEGMENTS_MAX + 1);
    free(view);
}

LIVE_TEST(a_first_sample_of_68_years)
LIVE_TEST(ages_that_add_up)
LIVE_TEST(clocks_at_their_ends)
LIVE_TEST(pictures_that_are_shown_ages_before)
LIVE_TEST(thousands_of_samples_in_no_time)
LIVE_TEST(samples_that_never_make_a_part)
LIVE_TEST(the_first_picture_before_zero)
LIVE_TEST(who_comes_back_all_the_time)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_first_sample_of_68_years),
        cmocka_unit_test(test_ages_that_add_up),
        cmocka_unit_test(test_clocks_at_their_ends),
        cmocka_unit_test(test_pictures_that_are_shown_ages_before),
        cmocka_unit_test(test_thousands_of_samples_in_no_time),
        cmocka_unit_test(test_samples_that_never_make_a_part),
        cmocka_unit_test(test_the_first_picture_before_zero),
        cmocka_unit_test(test_who_comes_back_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
