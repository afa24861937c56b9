/* SPDX-License-Identifier: MIT */
/*
 * Live channels: what a publisher sends comes out as parts and segments that the film reader
 * understands, sample by sample; cut where they should be; and whatever happens to the publisher,
 * its clock or its codecs, numbers and times go on.
 */
#include "../engines.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "media/live.h"
#include "movie.h"

enum {
    VIDEO_SCALE = 12800,
    AUDIO_SCALE = 48000,
    FRAME = VIDEO_SCALE / 25,
    SAMPLES_MAX = 4096,
};

/* ---- Time ------------------------------------------------------------------------------------ */

/* The wall clock of the tests: a publisher in real time moves it, and one who sends what he has
 * does not. */
static struct backend_sys clocked;
static int64_t wall_ns;

static int64_t tell_wall(const struct backend_sys *sys)
{
    return wall_ns;
}

static const struct backend_sys *take_clock(void)
{
    const struct backend_sys *before = loop_current->sys;
    clocked = *before;
    clocked.wall_ns = tell_wall;
    wall_ns = before->wall_ns(before);
    loop_current->sys = &clocked;
    return before;
}

/* ---- A publisher ----------------------------------------------------------------------------- */

static struct live_hub *hub;

struct camera {
    struct live_publisher *publisher;
    bool has_durations; /* as MP4 has them; RTMP does not */
    bool sends_at_once;
    int gop;          /* frames */
    int64_t frame;    /* the next, */
    int64_t sound;    /* and of audio */
    int64_t offset_s; /* its clock begins here */
};

static unsigned char entries[2][256];

static struct mp4_track track_of(const char *handler, uint32_t timescale)
{
    const bool is_video = strcmp(handler, "vide") == 0;
    static struct movie_track described; /* too large for a fiber, with ASan */
    described = (struct movie_track){
        .handler = handler, .entry = is_video ? "avc1" : "mp4a", .timescale = timescale};
    struct writer writer = writer_over(entries[is_video], sizeof entries[0]);
    struct mp4_track track = {.id = 7,
                              .handler = MP4_FOURCC(handler[0], handler[1], handler[2], handler[3]),
                              .timescale = timescale,
                              .language = "und",
                              .entry_count = 1};
    movie_entry(&writer, &described);
    assert_false(writer.failed);
    track.stsd = slice_of(writer.data, writer.size);
    mp4_codec_of(track.stsd, track.handler, &track.codec);
    return track;
}

static void announce(struct camera *camera, bool has_audio)
{
    const struct mp4_track video = track_of("vide", VIDEO_SCALE);
    const struct mp4_track audio = track_of("soun", AUDIO_SCALE);
    assert_int_equal(live_publisher_track(0, &video, camera->publisher), 0);
    if (has_audio)
        assert_int_equal(live_publisher_track(1, &audio, camera->publisher), 0);
}

static void open_camera(struct camera *camera, const char *name, bool has_audio)
{
    char reason[LIVE_REASON_SIZE];
    camera->gop = camera->gop ? camera->gop : 50;
    assert_int_equal(live_publish(hub, name, "test", &camera->publisher, reason), 0);
    announce(camera, has_audio);
}

static unsigned char byte_of(unsigned index, int64_t number, size_t at)
{
    return (unsigned char)(index * 101 + (unsigned)number * 7 + at);
}

static int send_sample(struct camera *camera, unsigned index, int64_t number)
{
    static char data[8192];
    const bool is_video = index == 0;
    const bool is_sync = !is_video || number % camera->gop == 0;
    const size_t size = is_video ? (is_sync ? 8000 : 900) + (size_t)(number % 13) : 300;
    for (size_t at = 0; at < size; at++)
        data[at] = (char)byte_of(index, number, at);
    const int64_t tick = is_video ? FRAME : 1024, scale = is_video ? VIDEO_SCALE : AUDIO_SCALE;
    const struct media_sample sample = {.dts = number * tick + camera->offset_s * scale,
                                        .cto = is_video ? 2 * FRAME : 0,
                                        .duration = camera->has_durations ? (uint32_t)tick : 0,
                                        .is_sync = is_sync,
                                        .data = slice_of(data, size)};
    return live_publisher_sample(index, &sample, camera->publisher);
}

/* Until `frames` in all have been sent; audio is interleaved as its times say. */
static int run_camera(struct camera *camera, int64_t frames, bool has_audio)
{
    for (int error = 0; camera->frame < frames; camera->frame++) {
        const int64_t until = (camera->frame + 1) * AUDIO_SCALE / 25;
        wall_ns += camera->sends_at_once ? 0 : 40 * LEAT_NS_PER_MS;
        error = send_sample(camera, 0, camera->frame);
        for (; !error && has_audio && camera->sound * 1024 < until; camera->sound++)
            error = send_sample(camera, 1, camera->sound);
        if (error)
            return error;
    }
    return 0;
}

/* ---- A reader -------------------------------------------------------------------------------- */

struct seen {
    unsigned track_count;
    struct mp4_sample samples[2][SAMPLES_MAX];
    unsigned counts[2];
    bool is_video[2];
};

struct bytes {
    unsigned char *data;
    size_t size;
};

static int read_bytes(void *user, uint64_t offset, void *data, size_t size)
{
    const struct bytes *bytes = user;
    assert_true(offset + size <= bytes->size);
    memcpy(data, bytes->data + offset, size);
    return 0;
}

static bool see_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct seen *seen = user;
    seen->track_count++;
    seen->is_video[index] = track->handler == MP4_FOURCC('v', 'i', 'd', 'e');
    return true;
}

static int see_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct seen *seen = user;
    assert_true(seen->counts[index] < SAMPLES_MAX);
    seen->samples[index][seen->counts[index]++] = *sample;
    return 0;
}

static void add_piece(struct bytes *bytes, struct live_piece *piece)
{
    for (unsigned index = 0; index < piece->range_count; index++) {
        const struct live_range *range = &piece->ranges[index];
        bytes->data = realloc(bytes->data, bytes->size + range->size);
        assert_non_null(bytes->data);
        assert_int_equal(
            pread(piece->fd, bytes->data + bytes->size, range->size, (off_t)range->offset),
            range->size);
        bytes->size += range->size;
    }
    live_segment_unref(piece->segment);
}

static struct bytes begin_with_init(struct live_channel *channel, enum live_stream stream,
                                    uint64_t init)
{
    struct bytes bytes = {.data = malloc(4096)};
    const int size = live_read_init(channel, stream, init, bytes.data, 4096);
    assert_true(size > 0);
    bytes.size = (size_t)size;
    return bytes;
}

static void look_into(const struct bytes *bytes, struct seen *seen)
{
    const struct mp4_source source = {read_bytes, (void *)bytes, bytes->size};
    const struct mp4_events events = {see_track, see_sample, seen};
    struct mp4_movie movie;
    struct mp4_problem problem;
    *seen = (struct seen){0};
    if (mp4_read(&source, &events, &movie, &problem) != 0)
        fail_msg("%s", problem.reason);
}

/* All whole segments of the view, as one film. */
static struct bytes all_of(struct live_channel *channel, const struct live_view *view,
                           enum live_stream stream)
{
    struct bytes bytes = begin_with_init(channel, stream, view->epochs[0].init);
    for (unsigned index = 0; index < view->segment_count; index++) {
        struct live_piece piece;
        if (!view->segments[index].is_whole)
            continue;
        assert_int_equal(live_read_segment(channel, stream, view->segments[index].number, &piece),
                         0);
        add_piece(&bytes, &piece);
    }
    return bytes;
}

static struct live_channel *must_find(const char *name)
{
    struct live_channel *channel = live_find(hub, name);
    assert_non_null(channel);
    return channel;
}

static void close_camera(struct camera *camera, bool is_over)
{
    live_publisher_end(camera->publisher, is_over);
    camera->publisher = NULL;
}

#define LIVE_TEST(name)                                                                            \
    static int name##_fiber(void *arg)                                                             \
    {                                                                                              \
        const struct backend_sys *before = take_clock();                                           \
        assert_int_equal(live_hub_create(NULL, &hub), 0);                                          \
        name();                                                                                    \
        live_hub_destroy(hub);                                                                     \
        loop_current->sys = before;                                                                \
        return 0;                                                                                  \
    }                                                                                              \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        run_main_fiber(LEAT_ENGINE_EPOLL, name##_fiber);                                           \
    }

/* ---- What comes out -------------------------------------------------------------------------- */

static void check_samples(const struct seen *seen, const struct bytes *bytes, unsigned index,
                          unsigned kind, unsigned count)
{
    assert_true(seen->counts[index] >= count);
    for (unsigned number = 0; number < seen->counts[index]; number++) {
        const struct mp4_sample *sample = &seen->samples[index][number];
        assert_int_equal(sample->dts, number * (kind == 0 ? FRAME : 1024));
        assert_int_equal(sample->cto, kind == 0 ? 2 * FRAME : 0);
        assert_int_equal(sample->is_sync, kind == 1 || number % 50 == 0);
        for (size_t at = 0; at < sample->size; at++)
            if (bytes->data[sample->offset + at] != byte_of(kind, number, at))
                fail_msg("sample %u of track %u has another byte at %zu", number, index, at);
    }
}

static void check_all(bool has_durations)
{
    struct camera camera = {.has_durations = has_durations, .offset_s = 1000};
    static struct seen seen;
    open_camera(&camera, "cam", true);
    assert_null(live_find(hub, "cam")); /* nothing to see yet */
    assert_int_equal(run_camera(&camera, 501, true), 0);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    assert_non_null(view);
    assert_int_equal(view->target_s, 2);
    assert_int_equal(view->segment_us, 2000000);
    assert_int_equal(view->part_target_us, 200000);
    assert_int_equal(view->epoch_count, 1);
    assert_int_equal(view->segment_count, 10);
    for (unsigned index = 0; index < 10; index++) {
        assert_true(view->segments[index].is_whole);
        assert_int_equal(view->segments[index].number, view->segments[0].number + index);
        assert_int_equal(view->segments[index].duration_us, 2000000);
        assert_int_equal(view->segments[index].begin_us, index * 2000000);
    }
    struct bytes bytes = all_of(channel, view, LIVE_MUXED);
    look_into(&bytes, &seen);
    assert_int_equal(seen.track_count, 2);
    check_samples(&seen, &bytes, 0, 0, 500);
    check_samples(&seen, &bytes, 1, 1, 930);
    free(bytes.data);
    for (unsigned kind = 0; kind < 2; kind++) {
        bytes = all_of(channel, view, kind == 0 ? LIVE_VIDEO : LIVE_AUDIO);
        look_into(&bytes, &seen);
        assert_int_equal(seen.track_count, 1);
        assert_int_equal(seen.is_video[0], kind == 0);
        check_samples(&seen, &bytes, 0, kind, kind == 0 ? 500 : 930);
        free(bytes.data);
    }
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

static void what_comes_is_cut_and_kept(void)
{
    check_all(true);
}

static void without_durations_it_is_the_same(void)
{
    check_all(false);
}

static void parts_make_up_their_segment(void)
{
    struct camera camera = {.has_durations = true};
    open_camera(&camera, "cam", true);
    assert_int_equal(run_camera(&camera, 115, true), 0);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    uint64_t number = view->segments[0].number;
    assert_int_equal(view->segment_count, 3);
    assert_false(view->segments[2].is_whole);
    assert_int_equal(view->segments[2].part_count, 3);
    for (enum live_stream stream = 0; stream < LIVE_STREAMS; stream++) {
        struct bytes parts = {0}, whole = {0};
        struct live_piece piece;
        for (unsigned part = 0; live_read_part(channel, stream, number, part, &piece) == 0;
             part++) {
            assert_int_equal(piece.is_whole, part == 9);
            add_piece(&parts, &piece);
        }
        assert_int_equal(live_read_segment(channel, stream, number, &piece), 0);
        add_piece(&whole, &piece);
        assert_int_equal(parts.size, whole.size);
        assert_memory_equal(parts.data, whole.data, whole.size);
        free(parts.data);
        free(whole.data);
    }
    for (unsigned part = 0; part < 10; part++) {
        const struct live_view_part *seen = &view->parts[view->segments[0].first_part + part];
        assert_int_equal(seen->duration_us, 200000);
        assert_int_equal(seen->is_independent, part == 0);
    }
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, false);
}

static void what_is_not_there_yet_is_told_from_what_never_is(void)
{
    struct camera camera = {.has_durations = true};
    struct live_piece piece;
    open_camera(&camera, "cam", false);
    assert_int_equal(run_camera(&camera, 115, false), 0);
    struct live_channel *channel = must_find("cam");
    struct live_edge edge;
    live_edge(channel, &edge);
    assert_int_equal(edge.part_count, 3);
    assert_int_equal(edge.state, LIVE_ON);
    const uint64_t last = edge.number;
    assert_int_equal(live_read_part(channel, LIVE_MUXED, last, 3, &piece), -EAGAIN);
    assert_int_equal(live_read_part(channel, LIVE_MUXED, last, 4, &piece), -ENOENT);
    assert_int_equal(live_read_part(channel, LIVE_MUXED, last + 1, 0, &piece), -EAGAIN);
    assert_int_equal(live_read_part(channel, LIVE_MUXED, last + 1, 1, &piece), -ENOENT);
    assert_int_equal(live_read_part(channel, LIVE_MUXED, last + 2, 0, &piece), -ENOENT);
    assert_int_equal(live_read_part(channel, LIVE_AUDIO, last, 0, &piece), -ENOENT);
    assert_int_equal(live_read_part(channel, LIVE_MUXED, last - 1, 10, &piece), -ENOENT);
    assert_int_equal(live_read_segment(channel, LIVE_MUXED, last, &piece), -EAGAIN);
    assert_int_equal(live_read_segment(channel, LIVE_MUXED, last - 3, &piece), -ENOENT);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

/* ---- Where it is cut ------------------------------------------------------------------------- */

static void keyframes_that_do_not_come_end_no_segment_late(void)
{
    struct camera camera = {.has_durations = true, .gop = 50};
    open_camera(&camera, "cam", false);
    assert_int_equal(run_camera(&camera, 101, false), 0);
    camera.gop = 100000;
    assert_int_equal(run_camera(&camera, 601, false), 0);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    for (unsigned index = 0; index < view->segment_count; index++) {
        const struct live_view_segment *segment = &view->segments[index];
        assert_true(segment->duration_us <= view->target_s * 1000000 + 499999);
        const int64_t point_us = index * (int64_t)view->segment_us;
        assert_in_range(segment->begin_us + 1000000, point_us + 1000000 - 500000,
                        point_us + 1000000 + 540000);
    }
    assert_true(view->segment_count >= 11);
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

static void whole_segments_at_once_have_no_parts(void)
{
    struct camera camera = {.has_durations = true, .sends_at_once = true};
    struct camera even = {.has_durations = true};
    open_camera(&camera, "cam", false);
    assert_int_equal(run_camera(&camera, 101, false), 0);
    open_camera(&even, "even", false);
    assert_int_equal(run_camera(&even, 101, false), 0);
    struct live_channel *channel = must_find("cam"), *other = must_find("even");
    struct live_view *view = live_look(channel);
    assert_int_equal(view->part_target_us, 0);
    assert_int_equal(view->segments[0].duration_us, 2000000);
    free(view);
    view = live_look(other);
    assert_int_equal(view->part_target_us, 200000);
    free(view);
    live_channel_unref(channel);
    live_channel_unref(other);
    close_camera(&camera, true);
    close_camera(&even, true);
}

/* With frames that say how long they last a part is out before the next one begins. */
static void what_can_be_expected_is_told(void)
{
    struct camera camera = {.has_durations = true};
    open_camera(&camera, "cam", false);
    assert_int_equal(run_camera(&camera, 101, false), 0);
    struct live_channel *channel = must_find("cam");
    for (unsigned part = 1; part <= 10; part++) {
        assert_int_equal(run_camera(&camera, 100 + part * 5, false), 0);
        struct live_view *view = live_look(channel);
        assert_int_equal(view->segments[view->segment_count - 1].part_count, part);
        assert_int_equal(view->next_begins_segment, part == 10);
        free(view);
    }
    live_channel_unref(channel);
    close_camera(&camera, true);
}

static void odd_gops_keep_to_the_grid(void)
{
    static const int gops[] = {1, 12, 25, 30, 37, 48, 60, 125};
    for (unsigned which = 0; which < sizeof gops / sizeof *gops; which++) {
        struct camera camera = {.has_durations = which % 2, .gop = gops[which]};
        char name[16];
        snprintf(name, sizeof name, "gop%d", gops[which]);
        open_camera(&camera, name, true);
        assert_int_equal(run_camera(&camera, 1000, true), 0);
        struct live_channel *channel = must_find(name);
        struct live_view *view = live_look(channel);
        unsigned periods = 0;
        for (unsigned index = 0; index + 1 < view->segment_count; index++) {
            const struct live_view_segment *segment = &view->segments[index];
            const int64_t point_us =
                segment->period_begin_us +
                (int64_t)(segment->number - segment->period_first) * (int64_t)view->segment_us;
            const int64_t off_us = segment->begin_us - point_us;
            periods += index > 0 && segment->period_first != segment[-1].period_first;
            if (off_us > view->segment_us / 2 || -off_us > view->segment_us / 2)
                fail_msg("gop %d: segment %u begins %lld us off", gops[which], index,
                         (long long)off_us);
            assert_true(segment->duration_us <= view->target_s * 1000000 + 499999);
        }
        assert_int_equal(periods, 0);
        free(view);
        live_channel_unref(channel);
        close_camera(&camera, true);
    }
}

/* A first frame that lasts longer makes the first segment longer; and a keyframe distance that is
 * no multiple of anything drifts. Every segment begins with a keyframe all the same. */
static void what_drifts_begins_another_period(void)
{
    struct camera camera = {.has_durations = true, .gop = 53};
    open_camera(&camera, "cam", false);
    camera.gop = 50;
    assert_int_equal(run_camera(&camera, 51, false), 0);
    camera.gop = 53;
    camera.frame = 53;
    assert_int_equal(run_camera(&camera, 53 * 14 + 1, false), 0);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    unsigned periods = 0;
    for (unsigned index = 3; index + 1 < view->segment_count; index++) {
        const struct live_view_segment *segment = &view->segments[index];
        periods += segment->period_first != segment[-1].period_first;
        const int64_t point_us =
            segment->period_begin_us + (int64_t)(segment->number - segment->period_first) * 2000000;
        assert_in_range(segment->begin_us + 1000000, point_us, point_us + 2000000);
        assert_int_equal(segment->duration_us, 53 * 40000); /* from keyframe to keyframe */
        assert_false(segment->is_discontinuity);
    }
    assert_in_range(periods, 1, 4);
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

static void audio_alone_is_a_channel(void)
{
    struct camera camera = {.has_durations = false};
    char reason[LIVE_REASON_SIZE];
    assert_int_equal(live_publish(hub, "radio", "test", &camera.publisher, reason), 0);
    const struct mp4_track audio = track_of("soun", AUDIO_SCALE);
    assert_int_equal(live_publisher_track(1, &audio, camera.publisher), 0);
    for (; camera.sound < 600; camera.sound++) {
        wall_ns += LEAT_NS_PER_S * 1024 / AUDIO_SCALE;
        assert_int_equal(send_sample(&camera, 1, camera.sound), 0);
    }
    struct live_channel *channel = must_find("radio");
    struct live_view *view = live_look(channel);
    assert_true(view->segment_count >= 6);
    assert_int_equal(view->target_s, 2);
    assert_true(view->parts[0].is_independent);
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

/* ---- What happens to publishers -------------------------------------------------------------- */

static void a_jump_begins_another_epoch(void)
{
    static const int64_t offsets_s[] = {5000, 3, 1000000};
    struct camera camera = {.has_durations = true};
    open_camera(&camera, "cam", true);
    assert_int_equal(run_camera(&camera, 120, true), 0);
    for (unsigned jump = 0; jump < 3; jump++) {
        camera.offset_s = offsets_s[jump];
        assert_int_equal(run_camera(&camera, 120 + 130 * (jump + 1), true), 0);
    }
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    assert_int_equal(view->epoch_count, 4);
    unsigned discontinuities = 0;
    for (unsigned index = 0; index + 1 < view->segment_count; index++) {
        const struct live_view_segment *segment = &view->segments[index];
        discontinuities += segment->is_discontinuity;
        assert_true(segment->begin_us + segment->duration_us <= segment[1].begin_us);
        assert_int_equal(segment->number + 1, segment[1].number);
    }
    assert_int_equal(discontinuities, 3);
    for (unsigned index = 1; index < 4; index++)
        assert_int_equal(view->epochs[index].init, view->epochs[0].init);
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

static void who_jumps_all_the_time_is_sent_away(void)
{
    struct camera camera = {.has_durations = true, .gop = 1};
    int error = 0;
    open_camera(&camera, "cam", false);
    for (unsigned jump = 0; jump < 100 && !error; jump++) {
        camera.offset_s = jump * 100;
        error = run_camera(&camera, camera.frame + 40, false);
    }
    assert_int_equal(error, -LEAT_E_MALFORMED);
    assert_non_null(strstr(live_publisher_reason(camera.publisher), "jumped"));
    close_camera(&camera, false);
}

static void small_falls_are_put_right(void)
{
    struct camera camera = {.has_durations = true};
    open_camera(&camera, "cam", false);
    assert_int_equal(run_camera(&camera, 60, false), 0);
    camera.frame -= 3; /* sent again */
    assert_int_equal(run_camera(&camera, 201, false), 0);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    assert_int_equal(view->epoch_count, 1);
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

static void another_resolution_is_another_init(void)
{
    struct camera camera = {.has_durations = true};
    struct mp4_track video = track_of("vide", VIDEO_SCALE);
    open_camera(&camera, "cam", true);
    assert_int_equal(run_camera(&camera, 150, true), 0);
    video.width = 1920 << 16;
    assert_int_equal(live_publisher_track(0, &video, camera.publisher), 0);
    assert_int_equal(run_camera(&camera, 301, true), 0);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    assert_int_equal(view->epoch_count, 2);
    assert_int_not_equal(view->epochs[0].init, view->epochs[1].init);
    struct bytes init = begin_with_init(channel, LIVE_MUXED, view->epochs[1].init);
    free(init.data);
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

static void who_comes_back_goes_on(void)
{
    struct camera camera = {.has_durations = true};
    open_camera(&camera, "cam", true);
    assert_int_equal(run_camera(&camera, 130, true), 0);
    close_camera(&camera, false);
    struct live_channel *channel = must_find("cam");
    struct live_edge before, after;
    live_edge(channel, &before);
    assert_int_equal(before.state, LIVE_STALLED);
    assert_true(before.is_whole);
    struct camera again = {.has_durations = true};
    open_camera(&again, "cam", true);
    assert_int_equal(run_camera(&again, 130, true), 0);
    live_edge(channel, &after);
    assert_int_equal(after.state, LIVE_ON);
    assert_true(after.number >= before.number + 2);
    struct live_view *view = live_look(channel);
    assert_int_equal(view->epoch_count, 2);
    assert_int_equal(view->epochs[0].init, view->epochs[1].init);
    free(view);
    close_camera(&again, true);
    live_edge(channel, &after);
    assert_int_equal(after.state, LIVE_ENDED);
    live_channel_unref(channel);
}

/* Audio that ends later than the video, whose last part is out: to the end, but not beyond. */
static void the_rest_of_the_sound_is_kept(void)
{
    static struct seen seen;
    struct camera camera = {.has_durations = true};
    open_camera(&camera, "cam", true);
    assert_int_equal(run_camera(&camera, 110, true), 0);
    for (unsigned rest = 0; rest < 8; rest++)
        assert_int_equal(send_sample(&camera, 1, camera.sound++), 0);
    close_camera(&camera, true);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    struct bytes bytes = all_of(channel, view, LIVE_MUXED);
    look_into(&bytes, &seen);
    assert_int_equal(seen.counts[0], 110);
    assert_int_equal(seen.counts[1], camera.sound);
    free(bytes.data);
    free(view);
    live_channel_unref(channel);
}

static void sound_that_came_late_makes_no_empty_part(void)
{
    static struct seen seen;
    struct camera camera = {.has_durations = true};
    open_camera(&camera, "cam", true);
    assert_int_equal(run_camera(&camera, 110, true), 0);
    /* All but the last frame of sound is enough for a part to be out. */
    while ((camera.sound + 1) * 1024 <= 115 * (AUDIO_SCALE / 25))
        assert_int_equal(send_sample(&camera, 1, camera.sound++), 0);
    assert_int_equal(run_camera(&camera, 115, false), 0);
    assert_int_equal(send_sample(&camera, 1, camera.sound++), 0);
    close_camera(&camera, true);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    const struct live_view_segment *last = &view->segments[view->segment_count - 1];
    for (unsigned part = 0; part < last->part_count; part++)
        assert_in_range(view->parts[last->first_part + part].duration_us, 500, 201000);
    struct bytes bytes = all_of(channel, view, LIVE_MUXED);
    look_into(&bytes, &seen);
    assert_int_equal(seen.counts[0], 115);
    assert_int_equal(seen.counts[1], camera.sound);
    free(bytes.data);
    free(view);
    live_channel_unref(channel);
}

static void one_publishes_a_name(void)
{
    struct camera camera = {.has_durations = true};
    struct live_publisher *other;
    char reason[LIVE_REASON_SIZE];
    open_camera(&camera, "cam", false);
    assert_int_equal(live_publish(hub, "cam", "other", &other, reason), -EBUSY);
    assert_string_equal(reason, "cam is being published by test");
    assert_int_equal(live_publish(hub, "../cam", "other", &other, reason), -EINVAL);
    assert_int_equal(live_publish(hub, "", "other", &other, reason), -EINVAL);
    assert_int_equal(live_publish(hub, ".cam", "other", &other, reason), -EINVAL);
    close_camera(&camera, false);
    assert_int_equal(live_publish(hub, "cam", "other", &other, reason), 0);
    live_publisher_end(other, true);
}

static void what_is_old_goes(void)
{
    struct camera camera = {.has_durations = true};
    struct live_piece piece;
    open_camera(&camera, "cam", false);
    assert_int_equal(run_camera(&camera, 25 * 200, false), 0);
    struct live_channel *channel = must_find("cam");
    struct live_view *view = live_look(channel);
    assert_in_range(view->segment_count, 15, 17);
    const uint64_t first = view->segments[0].number;
    /* It can be had for as long again. */
    assert_int_equal(live_read_segment(channel, LIVE_MUXED, first - 14, &piece), 0);
    live_segment_unref(piece.segment);
    assert_int_equal(live_read_segment(channel, LIVE_MUXED, first - 17, &piece), -ENOENT);
    struct live_info info;
    assert_int_equal(live_list(hub, &info, 1), 1);
    assert_true(info.memory < 33 * (8000 + 49 * 1000 + 10 * 500));
    assert_string_equal(info.name, "cam");
    free(view);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

/* ---- Who watches ----------------------------------------------------------------------------- */

static void count_call(void *user)
{
    ++*(unsigned *)user;
}

static void changes_are_told_once_a_turn(void)
{
    struct camera camera = {.has_durations = true};
    struct live_watch *watch;
    unsigned calls = 0;
    open_camera(&camera, "cam", false);
    assert_int_equal(run_camera(&camera, 101, false), 0);
    struct live_channel *channel = must_find("cam");
    assert_int_equal(live_watch_create(channel, count_call, &calls, &watch), 0);
    assert_int_equal(run_camera(&camera, 131, false), 0);
    assert_int_equal(calls, 0);
    assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(calls, 1);
    assert_int_equal(run_camera(&camera, 161, false), 0);
    live_watch_destroy(watch); /* with a message on its way */
    assert_int_equal(leat_sleep_ms(1), 0);
    assert_int_equal(calls, 1);
    live_channel_unref(channel);
    close_camera(&camera, true);
}

LIVE_TEST(what_comes_is_cut_and_kept)
LIVE_TEST(without_durations_it_is_the_same)
LIVE_TEST(parts_make_up_their_segment)
LIVE_TEST(what_is_not_there_yet_is_told_from_what_never_is)
LIVE_TEST(keyframes_that_do_not_come_end_no_segment_late)
LIVE_TEST(whole_segments_at_once_have_no_parts)
LIVE_TEST(what_can_be_expected_is_told)
LIVE_TEST(odd_gops_keep_to_the_grid)
LIVE_TEST(what_drifts_begins_another_period)
LIVE_TEST(audio_alone_is_a_channel)
LIVE_TEST(a_jump_begins_another_epoch)
LIVE_TEST(who_jumps_all_the_time_is_sent_away)
LIVE_TEST(small_falls_are_put_right)
LIVE_TEST(another_resolution_is_another_init)
LIVE_TEST(who_comes_back_goes_on)
LIVE_TEST(the_rest_of_the_sound_is_kept)
LIVE_TEST(sound_that_came_late_makes_no_empty_part)
LIVE_TEST(one_publishes_a_name)
LIVE_TEST(what_is_old_goes)
LIVE_TEST(changes_are_told_once_a_turn)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_comes_is_cut_and_kept),
        cmocka_unit_test(test_without_durations_it_is_the_same),
        cmocka_unit_test(test_parts_make_up_their_segment),
        cmocka_unit_test(test_what_is_not_there_yet_is_told_from_what_never_is),
        cmocka_unit_test(test_keyframes_that_do_not_come_end_no_segment_late),
        cmocka_unit_test(test_whole_segments_at_once_have_no_parts),
        cmocka_unit_test(test_what_can_be_expected_is_told),
        cmocka_unit_test(test_odd_gops_keep_to_the_grid),
        cmocka_unit_test(test_what_drifts_begins_another_period),
        cmocka_unit_test(test_audio_alone_is_a_channel),
        cmocka_unit_test(test_a_jump_begins_another_epoch),
        cmocka_unit_test(test_who_jumps_all_the_time_is_sent_away),
        cmocka_unit_test(test_small_falls_are_put_right),
        cmocka_unit_test(test_another_resolution_is_another_init),
        cmocka_unit_test(test_who_comes_back_goes_on),
        cmocka_unit_test(test_the_rest_of_the_sound_is_kept),
        cmocka_unit_test(test_sound_that_came_late_makes_no_empty_part),
        cmocka_unit_test(test_one_publishes_a_name),
        cmocka_unit_test(test_what_is_old_goes),
        cmocka_unit_test(test_changes_are_told_once_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
