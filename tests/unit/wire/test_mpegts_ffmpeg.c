/* SPDX-License-Identifier: MIT */
/*
 * Transport streams as real muxers make them (ffmpeg; GStreamer where it is installed), read by us
 * and, for comparison, by ffmpeg, which copies them into an MP4 that mp4_read reads: sample by
 * sample the same bytes, times and places to begin at. Then the same streams in pieces of any size,
 * and with packets lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leat/error.h"
#include "test_media_files.h"
#include "wire/mpegts.h"

enum { SAMPLES_MAX = 4096, COMMAND_SIZE = 2048, SLACK = 1 /* tick */ };

static char folder[] = "/tmp/leat-test-mpegts-XXXXXX";
static bool has_ffmpeg;

/* ---- What was told --------------------------------------------------------------------------- */

struct sample {
    unsigned index;
    int64_t dts, cto;
    uint32_t duration;
    bool is_sync;
    size_t offset, size; /* in bytes */
};

struct recording {
    struct mp4_track tracks[MP4_TRACKS_MAX];
    unsigned track_count, description_count, sample_count;
    struct sample samples[SAMPLES_MAX];
    unsigned char *bytes;
    size_t size, capacity;
    const struct media_file *file; /* the reference's */
};

static struct recording *new_recording(void)
{
    struct recording *const recording = calloc(1, sizeof(*recording));
    assert_non_null(recording);
    recording->capacity = 4 * 1024 * 1024;
    recording->bytes = malloc(recording->capacity);
    assert_non_null(recording->bytes);
    return recording;
}

static void free_recording(struct recording *recording)
{
    free(recording->bytes);
    free(recording);
}

static struct sample *add_sample(struct recording *recording, unsigned index)
{
    assert_true(recording->sample_count < SAMPLES_MAX && index < recording->track_count);
    struct sample *const sample = &recording->samples[recording->sample_count++];
    *sample = (struct sample){.index = index, .offset = recording->size};
    return sample;
}

static void add_bytes(struct recording *recording, struct sample *sample, const void *bytes,
                      size_t size)
{
    assert_true(size <= recording->capacity - recording->size);
    memcpy(recording->bytes + recording->size, bytes, size);
    recording->size += size;
    sample->size += size;
}

static void note(struct recording *recording, unsigned index, const struct mp4_track *track)
{
    assert_true(index <= recording->track_count && index < MP4_TRACKS_MAX);
    recording->tracks[index] = *track;
    recording->tracks[index].stsd = slice_of(NULL, 0);
    recording->track_count += index == recording->track_count;
    recording->description_count++;
}

static int on_track(unsigned index, const struct mp4_track *track, void *user)
{
    assert_int_equal(track->id, index + 1);
    assert_true(track->entry_count == 1 && track->stsd.size > 16);
    note(user, index, track);
    return 0;
}

static int on_sample(unsigned index, const struct media_sample *told, void *user)
{
    struct recording *const recording = user;
    struct sample *const sample = add_sample(recording, index);
    sample->dts = told->dts;
    sample->cto = told->cto;
    sample->duration = told->duration;
    sample->is_sync = told->is_sync;
    add_bytes(recording, sample, told->data.data, told->data.size);
    return 0;
}

static void feed_pieces(struct mpegts *ts, struct leat_slice bytes, size_t piece)
{
    while (bytes.size > 0) {
        const size_t size = piece < bytes.size ? piece : bytes.size;
        /* Memory of exactly this size, so that a sanitizer sees the first byte read beyond it. */
        char *const copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, bytes.data, size);
        const int error = mpegts_feed(ts, slice_of(copy, size));
        free(copy);
        if (error)
            fail_msg("%d: %s", error, mpegts_reason(ts));
        bytes = slice_after(bytes, size);
    }
    assert_int_equal(mpegts_flush(ts), 0);
    assert_string_equal(mpegts_reason(ts), "");
}

static struct mpegts *new_ts(struct recording *recording)
{
    const struct media_events events = {
        .on_track = on_track, .on_sample = on_sample, .user = recording};
    struct mpegts *ts;
    assert_int_equal(mpegts_create(&events, &ts), 0);
    return ts;
}

static struct recording *record(struct leat_slice bytes, size_t piece)
{
    struct recording *const recording = new_recording();
    struct mpegts *const ts = new_ts(recording);
    feed_pieces(ts, bytes, piece);
    mpegts_destroy(ts);
    return recording;
}

/* ---- What ffmpeg says ------------------------------------------------------------------------ */

static bool note_their_track(unsigned index, const struct mp4_track *track, void *user)
{
    note(user, index, track);
    return true;
}

/* What an MP4 made by ffmpeg still has in its samples, and ours have not. */
static bool is_left_out(bool is_hevc, const unsigned char *nal)
{
    const unsigned type = is_hevc ? nal[0] >> 1 & 63u : nal[0] & 31u;
    return is_hevc ? type >= 32 && type <= 38 : type >= 7 && type <= 12;
}

static int note_their_sample(unsigned index, const struct mp4_sample *told, void *user)
{
    struct recording *const recording = user;
    const struct mp4_track *const track = &recording->tracks[index];
    struct sample *const sample = add_sample(recording, index);
    sample->dts = (int64_t)told->dts;
    sample->cto = told->cto;
    sample->duration = told->duration;
    sample->is_sync = told->is_sync;
    const unsigned char *at = recording->file->data + told->offset, *const end = at + told->size;
    if (track->handler != VIDE) {
        add_bytes(recording, sample, at, told->size);
        return 0;
    }
    const bool is_hevc = strncmp(track->codec.text, "h", 1) == 0;
    while (at < end) {
        uint32_t size;
        memcpy(&size, at, sizeof(size));
        size = __builtin_bswap32(size);
        assert_true(end - at > 4 && size > 0 && size <= (size_t)(end - at) - 4);
        /* ffmpeg's parser of HEVC takes the first zero of the next start code for the unit's. */
        uint32_t plain_size = size;
        while (is_hevc && at[4 + plain_size - 1] == 0)
            plain_size--;
        const uint32_t wire_size = __builtin_bswap32(plain_size);
        if (!is_left_out(is_hevc, at + 4)) {
            add_bytes(recording, sample, &wire_size, sizeof(wire_size));
            add_bytes(recording, sample, at + 4, plain_size);
        }
        at += size + 4;
    }
    return 0;
}

static struct recording *read_reference(const char *path)
{
    struct recording *const recording = new_recording();
    struct media_file file = load_media(path);
    recording->file = &file;
    const struct mp4_source source = {.read = read_media, .user = &file, .size = file.size};
    const struct mp4_events events = {
        .on_track = note_their_track, .on_sample = note_their_sample, .user = recording};
    struct mp4_movie movie;
    struct mp4_problem problem;
    assert_int_equal(mp4_read(&source, &events, &movie, &problem), 0);
    recording->file = NULL;
    free(file.data);
    return recording;
}

__attribute__((format(printf, 1, 2))) static int run(const char *format, ...)
{
    char command[COMMAND_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    assert_true(size > 0 && (size_t)size < sizeof(command));
    return system(command);
}

/* The first time of a stream ("v:0") in 90,000ths of a second. */
static int64_t first_dts(const char *path, const char *stream)
{
    char command[COMMAND_SIZE], line[64] = "";
    snprintf(command, sizeof(command),
             "ffprobe -v error -select_streams %s -show_entries packet=dts -of csv=p=0 '%s'",
             stream, path);
    FILE *const pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    pclose(pipe);
    return strtoll(line, NULL, 10);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* The next sample of a track, from `*at` on; NULL at the end. */
static const struct sample *next_of(const struct recording *recording, unsigned index, unsigned *at)
{
    while (*at < recording->sample_count) {
        const struct sample *const sample = &recording->samples[(*at)++];
        if (sample->index == index)
            return sample;
    }
    return NULL;
}

static bool have_same_bytes(const struct recording *a, const struct sample *x,
                            const struct recording *b, const struct sample *y)
{
    return x->size == y->size && memcmp(a->bytes + x->offset, b->bytes + y->offset, x->size) == 0;
}

static void expect_same_track(const struct mp4_track *ours, const struct mp4_track *theirs)
{
    assert_int_equal(ours->handler, theirs->handler);
    assert_int_equal(ours->timescale, theirs->timescale);
    assert_string_equal(ours->language, theirs->language);
    /* Less "hvc1", for which ffmpeg says "hev1" unless told otherwise. */
    assert_string_equal(ours->codec.text + 4, theirs->codec.text + 4);
    assert_int_equal(ours->codec.width, theirs->codec.width);
    assert_int_equal(ours->codec.height, theirs->codec.height);
    assert_int_equal(ours->codec.channels, theirs->codec.channels);
    assert_int_equal(ours->codec.sample_rate, theirs->codec.sample_rate);
    assert_int_equal(ours->height, theirs->height);
}

static void expect_same_samples(const struct recording *ours, unsigned our_index,
                                const struct recording *theirs, unsigned their_index)
{
    const bool is_audio = ours->tracks[our_index].handler == SOUN;
    const struct sample *x, *y, *x0 = NULL, *y0 = NULL, *before = NULL;
    unsigned our_at = 0, their_at = 0, count = 0;
    for (;; count++) {
        x = next_of(ours, our_index, &our_at);
        y = next_of(theirs, their_index, &their_at);
        if (!x || !y)
            break;
        x0 = x0 ? x0 : x;
        y0 = y0 ? y0 : y;
        if (!have_same_bytes(ours, x, theirs, y))
            fail_msg("track %u, sample %u: %zu bytes, %zu", our_index, count, x->size, y->size);
        const int64_t apart = (x->dts - x0->dts) - (y->dts - y0->dts);
        if (apart < -(is_audio ? SLACK : 0) || apart > (is_audio ? SLACK : 0))
            fail_msg("track %u, sample %u: time is off by %lld", our_index, count,
                     (long long)apart);
        assert_int_equal(x->cto, y->cto);
        assert_int_equal(x->is_sync, y->is_sync);
        assert_int_equal(x->duration, is_audio ? 1024 : 0);
        /* Whatever the packets' times were rounded to: frames of audio follow each other. */
        assert_true(!is_audio || !before || x->dts == before->dts + 1024);
        before = x;
    }
    assert_true(!x && !y && count > 0);
}

/* Once round the clock of 33 bits is no difference. */
static void expect_same_beginning(const struct recording *ours, const char *path)
{
    for (unsigned i = 0; i < ours->track_count; i++) {
        const bool is_audio = ours->tracks[i].handler == SOUN;
        unsigned at = 0;
        const struct sample *const first = next_of(ours, i, &at);
        assert_non_null(first);
        const int64_t theirs = first_dts(path, is_audio ? "a:0" : "v:0") & ((INT64_C(1) << 33) - 1);
        const int64_t dts = is_audio ? (first->dts * 90000 + ours->tracks[i].timescale / 2) /
                                           ours->tracks[i].timescale
                                     : first->dts;
        assert_in_range((dts & ((INT64_C(1) << 33) - 1)) - theirs + SLACK, 0, 2 * SLACK);
    }
}

static void expect_same(const struct recording *ours, const struct recording *theirs)
{
    assert_int_equal(ours->track_count, theirs->track_count);
    assert_int_equal(ours->description_count, ours->track_count);
    for (unsigned i = 0; i < ours->track_count; i++) {
        unsigned k = 0;
        while (k < theirs->track_count && theirs->tracks[k].handler != ours->tracks[i].handler)
            k++;
        assert_true(k < theirs->track_count);
        expect_same_track(&ours->tracks[i], &theirs->tracks[k]);
        expect_same_samples(ours, i, theirs, k);
    }
}

static void expect_equal(const struct recording *a, const struct recording *b)
{
    assert_int_equal(a->sample_count, b->sample_count);
    assert_int_equal(a->description_count, b->description_count);
    for (unsigned i = 0; i < a->sample_count; i++)
        assert_memory_equal(&a->samples[i], &b->samples[i], sizeof(a->samples[i]));
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->bytes, b->bytes, a->size);
}

/* ---- Streams --------------------------------------------------------------------------------- */

#define PICTURES "-f lavfi -i testsrc2=s=192x128:r=25:d=3 "
#define SOUND(rate) "-f lavfi -i sine=f=440:r=" rate ":d=3 -c:a aac "
#define X264 "-c:v libx264 -preset veryfast -x264-params log-level=none:"
#define X265 "-c:v libx265 -preset ultrafast -x265-params log-level=none:"

static const struct {
    const char *name, *arguments;
} makers[] = {
    {"b_frames", PICTURES SOUND("48000") X264 "keyint=25:bframes=3:b-pyramid=normal "
                                              "-metadata:s:a:0 language=deu"},
    {"baseline", PICTURES SOUND("44100") X264 "keyint=30:bframes=0:cabac=0:slices=4"},
    {"open_gop", PICTURES X264 "keyint=20:bframes=2:open-gop=1"},
    {"intra_refresh", PICTURES X264 "keyint=25:intra-refresh=1:bframes=0"},
    {"interlaced", PICTURES X264 "tff=1:keyint=25 -flags +ildct+ilme"},
    {"delimiters", PICTURES SOUND("44100") X264 "aud=1:keyint=25:nal-hrd=cbr:vbv-maxrate=600:"
                                                "vbv-bufsize=600:bitrate=600:filler=1"},
    {"hevc", PICTURES SOUND("48000") X265 "keyint=25:bframes=3:aud=1"},
    {"hevc_open_gop", PICTURES X265 "keyint=20:bframes=2:open-gop=1:repeat-headers=1"},
    {"audio", SOUND("44100")},
    {"audio_frame_by_frame", SOUND("32000") "-ac 2 -pes_payload_size 0"},
    {"mono_22050", SOUND("22050") "-ac 1"},
    {"bounded", PICTURES SOUND("48000") X264 "keyint=25:bframes=2 -omit_video_pes_length 0"},
    {"round_the_clock", PICTURES SOUND("44100") X264 "keyint=25:bframes=3 -output_ts_offset 95441"},
    {"padded", PICTURES SOUND("44100") X264 "keyint=25 -muxrate 1500k"},
};

static char *path_of(const char *name, const char *ending)
{
    static char path[2][PATH_MAX];
    static unsigned turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s%s", folder, name, ending);
    return path[turn];
}

static struct media_file make(const char *name, const char *arguments)
{
    const char *const path = path_of(name, ".ts");
    assert_int_equal(
        run("ffmpeg -nostdin -v error -y %s -shortest -f mpegts '%s'", arguments, path), 0);
    return load_media(path);
}

static void make_reference(const char *input, const char *output)
{
    /* What ffmpeg warns of here are times before 0, which have no place in an MP4. */
    assert_int_equal(run("ffmpeg -nostdin -v fatal -y -i '%s' -map 0:v? -map 0:a? -c copy "
                         "-f mp4 '%s'",
                         input, output),
                     0);
}

static void need_ffmpeg(void)
{
    if (!has_ffmpeg) {
        print_message("# skip: needs ffmpeg\n");
        skip();
    }
}

static void as_ffmpeg_reads_them(void **state)
{
    need_ffmpeg();
    for (size_t i = 0; i < COUNT_OF(makers); i++) {
        const char *const name = makers[i].name;
        struct media_file file = make(name, makers[i].arguments);
        print_message("# %s\n", name);
        make_reference(path_of(name, ".ts"), path_of(name, ".mp4"));
        struct recording *const ours = record(slice_of(file.data, file.size), file.size);
        struct recording *const theirs = read_reference(path_of(name, ".mp4"));
        expect_same(ours, theirs);
        expect_same_beginning(ours, path_of(name, ".ts"));
        free_recording(ours);
        free_recording(theirs);
        free(file.data);
    }
}

/* Films of many makers, remuxed. */
static void real_films(void **state)
{
    static const char *const names[] = {
        "learning-area__rabbit320.mp4", "livesim2__bbb_hevc_8s.mp4",
        "androidx__h265_bframes.mp4",   "androidx__bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4",
        "Bento4__video-h264-001.mp4",   "Bento4__audio-aac-001.mp4"};
    const char *const data = getenv("LEAT_TEST_DATA");
    need_ffmpeg();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[PATH_MAX], arguments[PATH_MAX + 128];
        snprintf(path, sizeof(path), "%s/media/%s", data ? data : "", names[i]);
        if (access(path, R_OK) != 0) {
            print_message("# skip: needs $LEAT_TEST_DATA/media/%s\n", names[i]);
            skip();
        }
        print_message("# %s\n", names[i]);
        snprintf(arguments, sizeof(arguments), "-i '%s' -map 0:v:0? -map 0:a:0? -c copy", path);
        struct media_file file = make("film", arguments);
        make_reference(path_of("film", ".ts"), path_of("film", ".mp4"));
        struct recording *const ours = record(slice_of(file.data, file.size), 4096);
        struct recording *const theirs = read_reference(path_of("film", ".mp4"));
        expect_same(ours, theirs);
        free_recording(ours);
        free_recording(theirs);
        free(file.data);
    }
}

/* As they are pushed: one after the other, each with its tables, into one reader. */
static void segments_of_hls(void **state)
{
    need_ffmpeg();
    assert_int_equal(run("cd '%s' && ffmpeg -nostdin -v error -y " PICTURES SOUND("44100") X264
                         "keyint=25:scenecut=0:bframes=2 -f hls -hls_time 1 "
                         "-hls_list_size 0 list.m3u8",
                         folder),
                     0);
    struct recording *const ours = new_recording();
    struct mpegts *const ts = new_ts(ours);
    unsigned count = 0;
    for (;; count++) {
        char name[32];
        snprintf(name, sizeof(name), "list%u", count);
        if (access(path_of(name, ".ts"), R_OK) != 0)
            break;
        struct media_file file = load_media(path_of(name, ".ts"));
        feed_pieces(ts, slice_of(file.data, file.size), 1000);
        free(file.data);
    }
    mpegts_destroy(ts);
    assert_int_equal(count, 3);
    make_reference(path_of("list", ".m3u8"), path_of("list", ".mp4"));
    struct recording *const theirs = read_reference(path_of("list", ".mp4"));
    expect_same(ours, theirs);
    free_recording(ours);
    free_recording(theirs);
}

/* GStreamer's muxer, with one access unit a PES packet, and its own ways with tables and times. */
static void as_gstreamer_makes_them(void **state)
{
    need_ffmpeg();
    if (run("gst-inspect-1.0 mpegtsmux >/dev/null 2>&1 && gst-inspect-1.0 h264parse >/dev/null "
            "2>&1 "
            "&& gst-inspect-1.0 aacparse >/dev/null 2>&1 && gst-inspect-1.0 qtdemux >/dev/null "
            "2>&1") != 0) {
        print_message("# skip: needs GStreamer's mpegtsmux, parsers and qtdemux\n");
        skip();
    }
    assert_int_equal(run("cd '%s' && ffmpeg -nostdin -v error -y " PICTURES SOUND("44100") X264
                         "keyint=25:bframes=2 -shortest from.mp4",
                         folder),
                     0);
    assert_int_equal(run("cd '%s' && timeout 30 gst-launch-1.0 -q filesrc location=from.mp4 ! "
                         "qtdemux name=d mpegtsmux name=m ! filesink location=gst.ts "
                         "d.video_0 ! queue ! h264parse ! m. d.audio_0 ! queue ! aacparse ! m.",
                         folder),
                     0);
    struct media_file file = load_media(path_of("gst", ".ts"));
    make_reference(path_of("gst", ".ts"), path_of("gst", ".mp4"));
    struct recording *const ours = record(slice_of(file.data, file.size), 777);
    struct recording *const theirs = read_reference(path_of("gst", ".mp4"));
    expect_same(ours, theirs);
    free_recording(ours);
    free_recording(theirs);
    free(file.data);
}

static void pieces_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 7, 187, 188, 189, 1000, 65536};
    need_ffmpeg();
    struct media_file file = make("pieces", makers[0].arguments);
    struct recording *const whole = record(slice_of(file.data, file.size), file.size);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct recording *const cut = record(slice_of(file.data, file.size), sizes[i]);
        expect_equal(cut, whole);
        free_recording(cut);
    }
    free_recording(whole);
    free(file.data);
}

/* ---- Lost packets ---------------------------------------------------------------------------- */

/* All samples of `some` are in `all`, in their order; how many of a track are missing, and the
 * longest run of these. */
static unsigned expect_part(const struct recording *all, const struct recording *some,
                            unsigned index, unsigned *ret_run)
{
    unsigned all_at = 0, some_at = 0, missing = 0, run_size = 0;
    const struct sample *y = next_of(some, index, &some_at);
    *ret_run = 0;
    for (const struct sample *x; (x = next_of(all, index, &all_at)) != NULL;) {
        const int64_t apart = y ? x->dts - y->dts : 0;
        if (y && apart >= -SLACK && apart <= SLACK && have_same_bytes(all, x, some, y)) {
            assert_true(x->cto == y->cto && x->is_sync == y->is_sync);
            y = next_of(some, index, &some_at);
            run_size = 0;
        } else {
            missing++;
            run_size++;
            *ret_run = run_size > *ret_run ? run_size : *ret_run;
        }
    }
    if (y) /* nothing was told that is not in the whole */
        fail_msg("track %u: a sample of %zu bytes at %lld", index, y->size, (long long)y->dts);
    return missing;
}

/* Whatever packet is lost: what it was in is missing, and nothing else. But for the first picture,
 * whose parameter sets all others need, and the last, behind which no packet tells of the loss. */
static void lost_packets(void **state)
{
    enum { AUDIO_PACKET_MAX = 32 /* frames in a PES packet */, MARGIN = 50 };
    need_ffmpeg();
    struct media_file file = make("lost", makers[0].arguments);
    struct recording *const all = record(slice_of(file.data, file.size), file.size);
    unsigned char *const bytes = malloc(file.size);
    assert_non_null(bytes);
    unsigned hit_count = 0;
    for (size_t lost = MARGIN; lost < file.size / MPEGTS_PACKET_SIZE - MARGIN; lost += 7) {
        const size_t at = lost * MPEGTS_PACKET_SIZE;
        const unsigned pid = (file.data[at + 1] & 31u) << 8 | file.data[at + 2];
        memcpy(bytes, file.data, at);
        memcpy(bytes + at, file.data + at + MPEGTS_PACKET_SIZE,
               file.size - at - MPEGTS_PACKET_SIZE);
        struct recording *const some =
            record(slice_of(bytes, file.size - MPEGTS_PACKET_SIZE), 10000);
        assert_int_equal(some->track_count, all->track_count);
        for (unsigned i = 0; i < all->track_count; i++) {
            unsigned run_size;
            const bool is_video = all->tracks[i].handler == VIDE;
            const unsigned missing = expect_part(all, some, i, &run_size);
            assert_true(pid == (is_video ? 256 : 257) || missing == 0);
            /* One; two when the lost packet is the first of a picture: the one before it does not
             * say where it ends. */
            assert_true(missing <= (is_video ? 2 : AUDIO_PACKET_MAX) && missing == run_size);
            hit_count += missing > 0;
        }
        free_recording(some);
    }
    assert_true(hit_count > 20);
    free(bytes);
    free_recording(all);
    free(file.data);
}

static int prepare(void **state)
{
    has_ffmpeg = system("ffmpeg -version >/dev/null 2>&1 && ffprobe -version >/dev/null 2>&1") == 0;
    return mkdtemp(folder) ? 0 : -1;
}

static int clean_up(void **state)
{
    return run("rm -r '%s'", folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_ffmpeg_reads_them),    cmocka_unit_test(real_films),
        cmocka_unit_test(segments_of_hls),         cmocka_unit_test(pieces_of_any_size),
        cmocka_unit_test(as_gstreamer_makes_them), cmocka_unit_test(lost_packets),
    };
    return cmocka_run_group_tests_name("wire/mpegts_ffmpeg", tests, prepare, clean_up);
}
