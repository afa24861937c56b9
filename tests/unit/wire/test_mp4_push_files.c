/* SPDX-License-Identifier: MIT */
/*
 * Fragmented MP4 as it is pushed, and as it is read from a file: the same bytes give the same
 * samples; those of ffmpeg in all its ways to make fragments, and the real files that have them.
 */
#include <sys/wait.h>

#include "test_media_files.h"
#include "test_mp4_push.h"

/* ---- The same as in a file ------------------------------------------------------------------- */

/* What mp4_read finds in the same bytes. */
struct found {
    const unsigned char *data;
    struct mp4_track tracks[MP4_TRACKS_MAX];
    unsigned track_count;
    struct {
        unsigned index;
        struct mp4_sample sample;
    } * samples;
    size_t count, capacity;
};

static bool found_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct found *const found = user;
    found->tracks[index] = *track;
    found->track_count = index + 1;
    return true;
}

static int found_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct found *const found = user;
    if (found->count == found->capacity) {
        found->capacity = found->capacity * 2 + 64;
        found->samples = realloc(found->samples, found->capacity * sizeof(*found->samples));
        assert_non_null(found->samples);
    }
    found->samples[found->count].index = index;
    found->samples[found->count++].sample = *sample;
    return 0;
}

/* By how many ticks the edit list moves a track, as this test counts it. */
static int64_t shift_of(const struct mp4_track *track, uint32_t movie_timescale)
{
    double empty = 0;
    for (unsigned i = 0; i < track->edit_count; i++) {
        if (track->edits[i].media_time >= 0)
            return (int64_t)empty - track->edits[i].media_time;
        empty += (double)track->edits[i].duration * track->timescale / movie_timescale;
    }
    return (int64_t)empty;
}

/* Track by track the same samples, their bytes included. */
static void compare_track(const struct found *found, const struct mp4_movie *movie,
                          const struct telling *telling, unsigned index)
{
    const int64_t shift = shift_of(&found->tracks[index], movie->timescale);
    size_t at = 0;
    assert_int_equal(telling->tracks[index].id, found->tracks[index].id);
    assert_int_equal(telling->tracks[index].timescale, found->tracks[index].timescale);
    assert_string_equal(telling->tracks[index].codec.text, found->tracks[index].codec.text);
    for (size_t i = 0; i < found->count; i++) {
        if (found->samples[i].index != index)
            continue;
        const struct mp4_sample *const sample = &found->samples[i].sample;
        while (at < telling->sample_count && telling->samples[at].index != index)
            at++;
        assert_true(at < telling->sample_count);
        const struct told_sample *const told = &telling->samples[at++];
        assert_int_equal(told->sample.dts, (int64_t)sample->dts + shift);
        assert_int_equal(told->sample.cto, sample->cto);
        assert_int_equal(told->sample.duration, sample->duration);
        assert_int_equal(told->sample.is_sync, sample->is_sync);
        assert_int_equal(told->hash, hash_of(found->data + sample->offset, sample->size));
    }
}

/* True: it was told whole, and is what the file has. */
static bool compare(struct media_file *media)
{
    struct found found = {.data = media->data};
    const struct mp4_source source = {.read = read_media, .user = media, .size = media->size};
    const struct mp4_events events = {
        .on_track = found_track, .on_sample = found_sample, .user = &found};
    struct mp4_movie movie;
    struct mp4_problem problem = {{0}, 0};
    const int result = mp4_read(&source, &events, &movie, &problem);
    const struct telling telling = media->size < 256 * 1024
                                       ? tell_in_pieces(media->data, media->size)
                                       : tell(media->data, media->size, RANDOM);
    const bool is_same = result == 0 && telling.result == 0 && telling.is_idle;
    if (is_same) {
        assert_true(movie.is_fragmented);
        assert_int_equal(telling.sample_count, found.count);
        for (unsigned i = 0; i < found.track_count; i++)
            compare_track(&found, &movie, &telling, i);
    } else {
        print_message("# %s: pushed %d %s, read %d %s\n", media->name, telling.result,
                      telling.reason, result, problem.reason);
    }
    free(found.samples);
    free(telling.samples);
    return is_same;
}

static void look_at(struct media_file *media, void *user)
{
    unsigned *const same = user;
    if (memmem(media->data, media->size, "moof", 4) && memmem(media->data, media->size, "moov", 4))
        *same += compare(media);
}

static void as_in_files(void **state)
{
    unsigned same = 0;
    for_each_media(look_at, &same);
    print_message("# %u files are the same\n", same);
    assert_true(same >= 15);
}

/* ---- ffmpeg ---------------------------------------------------------------------------------- */

/* What a command writes to its output; of size 0 when it fails. */
static struct media_file output_of(const char *command)
{
    struct media_file media = {.name = command};
    size_t room = 1 << 20;
    FILE *const pipe = popen(command, "r");
    assert_non_null(pipe);
    media.data = malloc(room);
    for (;;) {
        assert_non_null(media.data);
        const size_t count = fread(media.data + media.size, 1, room - media.size, pipe);
        media.size += count;
        if (count == 0)
            break;
        if (media.size == room)
            media.data = realloc(media.data, room *= 2);
    }
    const int status = pclose(pipe);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        media.size = 0;
    return media;
}

#define FFMPEG                                                                                     \
    "ffmpeg -v error -nostdin -f lavfi -i testsrc2=s=128x72:r=25 -f lavfi -i sine=r=48000 -t 3 "   \
    "-c:v libx264 -preset veryfast -bf 2 -g 25 -c:a aac "

/* Are the samples of each track in order, and of both within each fragment? With frag_every_frame
 * ffmpeg 5.1 gives two frames of sound the same time now and then. */
static void expect_interleaved(const struct telling *telling)
{
    double last[2] = {-1, -1};
    for (size_t i = 0; i < telling->sample_count; i++) {
        const struct told_sample *const told = &telling->samples[i];
        const double time = (double)told->sample.dts / telling->tracks[told->index].timescale;
        assert_true(told->index < 2 && time >= last[told->index]);
        last[told->index] = time;
        assert_true(last[0] < 0 || last[1] < 0 || (last[0] - last[1] < 2 && last[1] - last[0] < 2));
    }
    assert_true(last[0] > 2.5 && last[1] > 2.5);
}

/* When the first picture and the first sound are presented, in seconds. */
static void expect_together(const struct telling *telling)
{
    double first[2] = {1e9, 1e9};
    for (size_t i = 0; i < telling->sample_count; i++) {
        const struct told_sample *const told = &telling->samples[i];
        const double time =
            (double)(told->sample.dts + told->sample.cto) / telling->tracks[told->index].timescale;
        first[told->index] = time < first[told->index] ? time : first[told->index];
    }
    const double apart = first[0] - first[1];
    /* AAC's priming of 1024 samples comes before. */
    assert_true(apart > -0.03 && apart < 0.1);
}

/* What ffmpeg's muxer of that name puts into files: of one track, or of both, one behind the other.
 */
#define SEGMENTS(muxer, files)                                                                     \
    "folder=$(mktemp -d) && cd $folder && " FFMPEG muxer " && cat " files "; rm -r $folder"

static bool has_ffmpeg(void)
{
    if (system("ffmpeg -version >/dev/null 2>&1") == 0)
        return true;
    print_message("# there is no ffmpeg\n");
    return false;
}

/* The output of a command is told as it is read; both tracks, unless it is of one. */
static void expect_as_in_file(const char *command, unsigned track_count)
{
    struct media_file media = output_of(command);
    assert_true(media.size > 10000);
    if (!compare(&media))
        fail_msg("%s", command);
    const struct telling telling = tell(media.data, media.size, 4096);
    assert_int_equal(telling.track_count, track_count);
    if (track_count == 2) {
        expect_interleaved(&telling);
        expect_together(&telling);
    }
    free(telling.samples);
    free(media.data);
}

static void as_ffmpeg_pushes(void **state)
{
    static const char *const rows[] = {
        "-movflags frag_keyframe+empty_moov+default_base_moof",
        "-movflags frag_keyframe+empty_moov", /* with places in the stream */
        "-movflags frag_every_frame+empty_moov+default_base_moof",
        "-movflags frag_keyframe+empty_moov+separate_moof",
        "-movflags frag_keyframe+empty_moov+separate_moof+default_base_moof",
        "-movflags frag_keyframe+delay_moov+default_base_moof",
        "-movflags frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets",
        "-movflags cmaf+frag_keyframe+empty_moov",
        "-movflags cmaf+frag_keyframe+delay_moov+separate_moof",
        "-movflags dash+frag_keyframe+empty_moov",
        "-movflags dash+frag_keyframe+delay_moov",
        "-movflags frag_keyframe+empty_moov+omit_tfhd_offset",
        "-frag_duration 200000 -movflags empty_moov+default_base_moof",
        "-movflags frag_keyframe+empty_moov+default_base_moof -write_prft wallclock",
        "-movflags frag_keyframe+empty_moov+default_base_moof -brand isml",
    };
    if (!has_ffmpeg())
        skip();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char command[512];
        snprintf(command, sizeof(command), FFMPEG "%s -f mp4 pipe:1", rows[i]);
        expect_as_in_file(command, 2);
    }
    struct media_file media = output_of(FFMPEG "-movflags frag_keyframe -f mp4 pipe:1");
    const struct telling telling = tell(media.data, media.size, 4096);
    assert_int_equal(telling.result, -EOPNOTSUPP);
    assert_non_null(strstr(telling.reason, "empty_moov"));
    free(media.data);
}

static void as_ffmpeg_segments(void **state)
{
    if (!has_ffmpeg())
        skip();
    expect_as_in_file(SEGMENTS("-f hls -hls_segment_type fmp4 -hls_time 1 i.m3u8",
                               "init.mp4 i0.m4s i1.m4s i2.m4s"),
                      2);
    expect_as_in_file(SEGMENTS("-f dash -ldash 1 -streaming 1 -seg_duration 1 m.mpd",
                               "init-stream0.m4s chunk-stream0-*.m4s"),
                      1);
    expect_as_in_file(
        SEGMENTS("-f dash -seg_duration 1 m.mpd", "init-stream1.m4s chunk-stream1-*.m4s"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_files),
        cmocka_unit_test(as_ffmpeg_pushes),
        cmocka_unit_test(as_ffmpeg_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
