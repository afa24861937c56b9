/* SPDX-License-Identifier: MIT */
/*
 * Films: whatever way they lie in their file, the segments have each sample once, in order, with
 * its bytes, and at the time at which the film shows it. What was sent is read again with mp4_read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "leat/error.h"
#include "media/film.h"
#include "movie.h"

enum { RATE = 25, GOP = 50, VIDEO_SCALE = 12800, FRAME = VIDEO_SCALE / RATE, SOUND = 1024 };

/* ---- Memory of a request --------------------------------------------------------------------- */

static void *pieces[4096];
static unsigned piece_count;

static void *take_memory(void *user, size_t size)
{
    if (user && piece_count == *(unsigned *)user)
        return NULL;
    assert_true(piece_count < sizeof pieces / sizeof *pieces);
    return pieces[piece_count++] = malloc(size);
}

static void free_memory(void)
{
    while (piece_count > 0)
        free(pieces[--piece_count]);
}

/* ---- Films ----------------------------------------------------------------------------------- */

static struct movie_track tracks[2];

static struct movie_track *add_video(unsigned index, unsigned seconds, unsigned b_frames)
{
    static const int32_t reorder[] = {1, 3, 0, 0}; /* I/P B b b, in frames */
    struct movie_track *track = &tracks[index];
    memset(track, 0, sizeof *track);
    track->handler = "vide";
    track->entry = "avc1";
    track->timescale = VIDEO_SCALE;
    track->chunk = 1;
    track->count = seconds * RATE;
    for (unsigned at = 0; at < track->count; at++)
        track->samples[at] = (struct movie_sample){
            .size = at % GOP == 0 ? 9000 : 900 + at % 7 * 100,
            .duration = FRAME,
            .cto = b_frames
                       ? (at % GOP == 0 ? 1 : 1 + reorder[at % 2 + (at % 2 ? 0 : 1)] % 3) * FRAME
                       : 0,
            .is_sync = at % GOP == 0,
        };
    return track;
}

static struct movie_track *add_audio(unsigned index, unsigned seconds)
{
    struct movie_track *track = &tracks[index];
    memset(track, 0, sizeof *track);
    track->handler = "soun";
    track->entry = "mp4a";
    track->timescale = 48000;
    track->chunk = 1;
    track->count = seconds * 48000 / SOUND;
    for (unsigned at = 0; at < track->count; at++)
        track->samples[at] = (struct movie_sample){170 + at % 5, SOUND, 0, true, 0};
    return track;
}

static int build(struct movie *movie, struct film **ret_film, char *reason)
{
    const struct mp4_source source = movie_source(movie);
    return film_build(&source, ret_film, reason);
}

/* ---- What was sent --------------------------------------------------------------------------- */

struct sent {
    const struct movie *movie;
    const struct film *film;
    const struct film_stream *stream;
    struct mp4_track tracks[2];
    unsigned next[2];    /* sample of the movie */
    int64_t shift[2];    /* what was added to its times; INT64_MIN: not known yet */
    unsigned char *data; /* init and all segments */
    size_t size;
    unsigned ranges_max, exact_max;
    uint64_t slack, media;
    unsigned packed;
};

static bool on_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct sent *sent = user;
    sent->tracks[index] = *track;
    assert_in_range(track->edit_count, 0, 1);
    return true;
}

static int on_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct sent *sent = user;
    const unsigned track = sent->stream->tracks[index];
    const unsigned at = sent->next[index]++;
    const struct movie_track *origin = &sent->movie->tracks[track];
    assert_true(at < origin->count);
    const struct movie_sample *wanted = &origin->samples[at];
    uint64_t dts = 0;
    for (unsigned before = 0; before < at; before++)
        dts += origin->samples[before].duration;
    if (sent->shift[index] == INT64_MIN)
        sent->shift[index] = (int64_t)(sample->dts - dts);
    assert_int_equal(sample->dts, dts + (uint64_t)sent->shift[index]);
    assert_int_equal(sample->size, wanted->size);
    assert_int_equal(sample->cto, wanted->cto);
    assert_int_equal(sample->is_sync, wanted->is_sync);
    for (uint32_t byte = 0; byte < sample->size; byte++)
        assert_int_equal(sent->data[sample->offset + byte], movie_byte(track, at, byte));
    return 0;
}

static int read_sent(void *user, uint64_t offset, void *data, size_t size)
{
    const struct sent *sent = user;
    memcpy(data, sent->data + offset, size);
    return 0;
}

static void put(struct sent *sent, const void *data, size_t size)
{
    memcpy(sent->data + sent->size, data, size);
    sent->size += size;
}

static void send_segment(struct sent *sent, unsigned index)
{
    struct film_segment segment;
    assert_int_equal(film_segment(sent->film, sent->stream, index, take_memory, NULL, &segment), 0);
    put(sent, segment.head, segment.head_size);
    const struct film_range *ranges = segment.runs ? segment.runs : segment.ranges;
    const unsigned count = segment.runs ? segment.run_count : segment.range_count;
    uint64_t size = 0, end = 0;
    struct film_range extent;
    assert_int_equal(film_segment_extent(sent->film, sent->stream, index, &extent), 0);
    for (unsigned at = 0; at < count; at++) {
        assert_true(ranges[at].offset >= end && ranges[at].size > 0);
        assert_true(ranges[at].offset >= extent.offset);
        end = ranges[at].offset + ranges[at].size;
        assert_true(end <= sent->movie->size);
        put(sent, sent->movie->data + ranges[at].offset, ranges[at].size);
        size += ranges[at].size;
    }
    assert_int_equal(size, segment.body_size);
    assert_true(segment.media_size <= size);
    assert_true(!segment.runs || size == segment.media_size);
    sent->slack += size - segment.media_size;
    sent->media += segment.media_size;
    sent->packed += segment.runs != NULL;
    if (count > sent->ranges_max && !segment.runs)
        sent->ranges_max = count;
    if (segment.exact_count > sent->exact_max)
        sent->exact_max = segment.exact_count;
    free_memory();
}

/* Sends all of a stream and reads it again. */
static struct sent send_stream(const struct movie *movie, const struct film *film,
                               const struct film_stream *stream)
{
    struct sent sent = {.movie = movie,
                        .film = film,
                        .stream = stream,
                        .shift = {INT64_MIN, INT64_MIN},
                        .data = malloc(movie->size * 2 + FILM_INIT_SIZE_MAX)};
    const unsigned count = film_stream_segment_count(film, stream);
    for (unsigned index = 0; index < count; index++)
        assert_true(film_stream_begin(film, stream, index) <=
                    film_stream_begin(film, stream, index + 1));
    const int init = film_write_init(film, stream, sent.data, FILM_INIT_SIZE_MAX);
    assert_true(init > 0);
    assert_int_equal(film_write_init(film, stream, sent.data, (size_t)init - 1), -ENOBUFS);
    sent.size = (size_t)film_write_init(film, stream, sent.data, FILM_INIT_SIZE_MAX);
    for (unsigned index = 0; index < count; index++)
        send_segment(&sent, index);
    struct film_segment segment;
    assert_int_equal(film_segment(film, stream, count, take_memory, NULL, &segment), -ENOENT);
    const struct mp4_source source = {read_sent, &sent, sent.size};
    const struct mp4_events events = {on_track, on_sample, &sent};
    struct mp4_movie read;
    struct mp4_problem problem = {0};
    const int error = mp4_read(&source, &events, &read, &problem);
    if (error)
        print_message("# %s at %zu\n", problem.reason, (size_t)problem.offset);
    assert_int_equal(error, 0);
    assert_int_equal(read.track_count, stream->track_count);
    free(sent.data);
    return sent;
}

static const struct film_stream muxed = {{0, 1}, 2}, first = {{0}, 1}, second = {{1}, 1};

/* ---- Tests ----------------------------------------------------------------------------------- */

static void streams_are_whole(const char *name, unsigned track_count, bool has_b_frames)
{
    struct movie movie = movie_make(tracks, track_count);
    struct film *film;
    char reason[FILM_REASON_SIZE];
    const int error = build(&movie, &film, reason);
    if (error)
        print_message("# %s: %s\n", name, reason);
    assert_int_equal(error, 0);
    const struct film_stream *streams[] = {&first, &second, &muxed};
    for (unsigned index = 0; index < (track_count == 2 ? 3 : 1); index++) {
        const struct sent sent = send_stream(&movie, film, streams[index]);
        print_message("# %s, stream %u: %u ranges (%u exact), slack %.2f %%, %u packed\n", name,
                      index, sent.ranges_max, sent.exact_max,
                      100.0 * (double)sent.slack / (double)(sent.media + 1), sent.packed);
        for (unsigned at = 0; at < streams[index]->track_count; at++)
            assert_int_equal(sent.next[at], tracks[streams[index]->tracks[at]].count);
        if (index == 2 && !has_b_frames)
            assert_true(sent.ranges_max <= 3 && sent.slack * 100 <= sent.media);
        assert_true(sent.ranges_max <= FILM_RANGES_MAX && !(index == 2 && sent.packed));
    }
    film_unref(film);
    free(movie.data);
}

static void every_layout(void **state)
{
    static const unsigned chunks[] = {1, 6, 12, 25, 50, MOVIE_SAMPLES_MAX};
    for (unsigned row = 0; row < sizeof chunks / sizeof *chunks; row++)
        for (unsigned b_frames = 0; b_frames < 2; b_frames++) {
            char name[64];
            add_video(0, 10, b_frames)->chunk = chunks[row];
            add_audio(1, 10)->chunk = chunks[row] == 1 ? 1 : chunks[row] * 47 / 25;
            snprintf(name, sizeof name, "chunks of %u, %s B-frames", chunks[row],
                     b_frames ? "with" : "without");
            streams_are_whole(name, 2, b_frames);
        }
    add_video(0, 10, 1);
    streams_are_whole("video alone", 1, true);
    add_audio(0, 10);
    streams_are_whole("audio alone", 1, false);
    add_video(0, 4, 1);
    add_audio(1, 13);
    streams_are_whole("audio is longer", 2, true);
    add_video(0, 9, 0);
    add_audio(1, 3);
    streams_are_whole("audio is shorter", 2, false);
}

/* Of one track's stream: where its presentation begins, by its first sample and its init. */
static int64_t shown_first(const struct sent *sent, unsigned index, unsigned track)
{
    const struct mp4_track *mp4 = &sent->tracks[index];
    const int64_t media_time = mp4->edit_count ? mp4->edits[0].media_time : 0;
    assert_true(sent->shift[index] >= 0 && media_time >= 0);
    return sent->shift[index] + tracks[track].samples[0].cto - media_time;
}

static void edits_become_one_and_times_begin_at_0(void **state)
{
    struct film *film;
    char reason[FILM_REASON_SIZE];
    /* B-frames and their edit; the sound with its priming, 100 ms late. */
    struct movie_track *video = add_video(0, 6, 1), *audio = add_audio(1, 6);
    video->edit_count = 1;
    video->edits[0] = (struct mp4_edit){6000, FRAME, true};
    audio->edit_count = 2;
    audio->edits[0] = (struct mp4_edit){100, -1, true};
    audio->edits[1] = (struct mp4_edit){5900, SOUND, true};
    struct movie movie = movie_make(tracks, 2);
    assert_int_equal(build(&movie, &film, reason), 0);
    const struct sent sent = send_stream(&movie, film, &muxed);
    assert_int_equal(shown_first(&sent, 0, 0), 0);
    assert_int_equal(shown_first(&sent, 1, 1), 4800 - SOUND);
    assert_int_equal(film_segment_begin(film, 0, 0), 0);
    assert_int_equal(film_segment_begin(film, 0, 1), 2 * VIDEO_SCALE);
    film_unref(film);
    free(movie.data);
    /* Both late: the film begins with the first of them. */
    video->edit_count = 2;
    video->edits[0] = (struct mp4_edit){10000, -1, true};
    video->edits[1] = (struct mp4_edit){6000, FRAME, true};
    audio->edits[0].duration = 10040;
    movie = movie_make(tracks, 2);
    assert_int_equal(build(&movie, &film, reason), 0);
    const struct sent late = send_stream(&movie, film, &muxed);
    assert_int_equal(shown_first(&late, 0, 0), 0);
    assert_int_equal(shown_first(&late, 1, 1), 40 * 48 - SOUND);
    assert_true(film_duration_s(film) > 5.5 && film_duration_s(film) < 6.1);
    film_unref(film);
    free(movie.data);
}

/* Without an edit list times are the media's own: nothing moves one track against the other. */
static void without_an_edit_list_tracks_stay_in_step(void **state)
{
    struct film *film;
    char reason[FILM_REASON_SIZE];
    for (unsigned has_empty_edit = 0; has_empty_edit < 2; has_empty_edit++) {
        struct movie_track *video = add_video(0, 6, 1);
        add_audio(1, 6);
        for (unsigned at = 0; at < video->count; at++)
            video->samples[at].cto += 2 * FRAME;
        if (has_empty_edit) {
            video->edit_count = 1;
            video->edits[0] = (struct mp4_edit){500, -1, true};
        }
        struct movie movie = movie_make(tracks, 2);
        assert_int_equal(build(&movie, &film, reason), 0);
        const struct sent sent = send_stream(&movie, film, &muxed);
        assert_int_equal(shown_first(&sent, 0, 0), 3 * FRAME);
        assert_int_equal(shown_first(&sent, 1, 1), 0);
        assert_int_equal(film_segment_begin(film, 0, 0), 3 * FRAME);
        assert_int_equal(film_stream_begin(film, &first, 0), 0);
        assert_int_equal(film_stream_begin(film, &muxed, 0), 0);
        film_unref(film);
        free(movie.data);
    }
    struct movie_track *video = add_video(0, 6, 0); /* and below 0 is where they begin then */
    for (unsigned at = 0; at < video->count; at++)
        video->samples[at].cto = -FRAME;
    struct movie movie = movie_make(tracks, 1);
    assert_int_equal(build(&movie, &film, reason), 0);
    const struct sent sent = send_stream(&movie, film, &first);
    assert_int_equal(shown_first(&sent, 0, 0), 0);
    film_unref(film);
    free(movie.data);
}

/* Players overlook a segment that lasts a few milliseconds, and wait for it. */
static void no_last_segment_is_a_crumb(void **state)
{
    struct film *film;
    char reason[FILM_REASON_SIZE];
    add_video(0, 5, 0)->count = 4 * RATE + 2;
    add_audio(1, 5)->count = 2 * 48000 / SOUND + 1;
    struct movie movie = movie_make(tracks, 2);
    assert_int_equal(build(&movie, &film, reason), 0);
    assert_int_equal(film_stream_segment_count(film, &first), 2);
    assert_int_equal(film_stream_segment_count(film, &second), 1);
    (void)send_stream(&movie, film, &first);
    (void)send_stream(&movie, film, &second);
    (void)send_stream(&movie, film, &muxed);
    film_unref(film);
    free(movie.data);
}

/* The sound begins 3 s after the pictures. */
static void a_late_track_has_no_segments_before(void **state)
{
    struct film *film;
    char reason[FILM_REASON_SIZE];
    add_video(0, 8, 0);
    struct movie_track *audio = add_audio(1, 5);
    audio->edit_count = 2;
    audio->edits[0] = (struct mp4_edit){3000, -1, true};
    audio->edits[1] = (struct mp4_edit){5000, 0, true};
    struct movie movie = movie_make(tracks, 2);
    assert_int_equal(build(&movie, &film, reason), 0);
    assert_int_equal(film_segment_begin(film, 1, 0), 3 * 48000);
    assert_int_equal(film_segment_begin(film, 1, 1), 3 * 48000);
    assert_int_equal(film_stream_begin(film, &second, 1), 0);
    assert_true(film_stream_begin(film, &second, 2) >= 4 * 48000);
    const struct sent sent = send_stream(&movie, film, &muxed);
    assert_int_equal(shown_first(&sent, 1, 1), 3 * 48000);
    film_unref(film);
    free(movie.data);
}

static void what_the_edit_leaves_out_at_the_end_is_not_sent(void **state)
{
    struct film *film;
    char reason[FILM_REASON_SIZE];
    struct movie_track *audio = add_audio(0, 6);
    audio->edit_count = 1;
    audio->edits[0] = (struct mp4_edit){3000, 0, true};
    struct movie movie = movie_make(tracks, 1);
    assert_int_equal(build(&movie, &film, reason), 0);
    const struct sent sent = send_stream(&movie, film, &first);
    assert_int_equal(sent.next[0], (3 * 48000 + SOUND - 1) / SOUND);
    assert_int_equal(film_segment_begin(film, 0, film_segment_count(film)), 3 * 48000);
    film_unref(film);
    free(movie.data);
}

static void open_groups_are_told(void **state)
{
    struct film *film;
    char reason[FILM_REASON_SIZE];
    struct movie_track *video = add_video(0, 8, 0);
    for (unsigned at = 0; at < video->count; at++) /* two pictures lead each later sync sample */
        video->samples[at].cto = (at % GOP == 0 ? 3 : at % GOP < 3 ? 0 : 1) * FRAME;
    struct movie movie = movie_make(tracks, 1);
    assert_int_equal(build(&movie, &film, reason), 0);
    assert_false(film_is_independent(film));
    film_unref(film);
    free(movie.data);
    add_video(0, 8, 1);
    movie = movie_make(tracks, 1);
    assert_int_equal(build(&movie, &film, reason), 0);
    assert_true(film_is_independent(film));
    film_unref(film);
    free(movie.data);
    /* a film with B-frames that says that all its samples are sync samples */
    video = add_video(0, 8, 0);
    for (unsigned at = 0; at < video->count; at++) {
        video->samples[at].is_sync = true;
        video->samples[at].cto = (at % 2 ? 0 : 2) * FRAME;
    }
    movie = movie_make(tracks, 1);
    assert_int_equal(build(&movie, &film, reason), 0);
    assert_false(film_is_independent(film));
    film_unref(film);
    free(movie.data);
}

static void refuses(const char *reason_part)
{
    struct film *film = NULL;
    char reason[FILM_REASON_SIZE] = "";
    struct movie movie = movie_make(tracks, 1);
    assert_int_equal(build(&movie, &film, reason), -EOPNOTSUPP);
    if (!strstr(reason, reason_part))
        print_message("# not '%s': %s\n", reason_part, reason);
    assert_non_null(strstr(reason, reason_part));
    assert_null(strchr(reason, '\n'));
    free(movie.data);
}

static void what_cannot_be_streamed_is_refused(void **state)
{
    struct movie_track *video = add_video(0, 100, 0);
    for (unsigned at = 1; at < video->count; at++)
        video->samples[at].is_sync = false;
    refuses("keyframes are up to 100 s apart");
    video = add_video(0, 4, 0);
    for (unsigned at = 0; at < video->count; at++)
        video->samples[at].is_sync = false;
    refuses("no sync samples");
    add_video(0, 4, 0)->entry = "s263";
    refuses("s263");
    video = add_video(0, 4, 0);
    video->edit_count = 2;
    video->edits[0] = (struct mp4_edit){1000, 0, true};
    video->edits[1] = (struct mp4_edit){1000, 2 * VIDEO_SCALE, true};
    refuses("several pieces");
    video->edits[1] = (struct mp4_edit){1000, VIDEO_SCALE, false};
    refuses("speed");
    video->edit_count = 1;
    video->edits[0] = (struct mp4_edit){1000, 90 * VIDEO_SCALE, true};
    refuses("shows nothing");
    video = add_video(0, 4, 0);
    for (unsigned at = 0; at < video->count; at++)
        video->samples[at].duration = 0;
    refuses("lasts no time");
    add_video(0, 0, 0);
    refuses("no samples");
}

static void memory_may_run_out(void **state)
{
    struct film *film;
    char reason[FILM_REASON_SIZE];
    struct film_segment segment;
    add_video(0, 4, 1);
    add_audio(1, 4);
    struct movie movie = movie_make(tracks, 2);
    assert_int_equal(build(&movie, &film, reason), 0);
    unsigned limit = 0;
    int error;
    while ((error = film_segment(film, &muxed, 0, take_memory, &limit, &segment)) == -ENOMEM) {
        free_memory();
        limit++;
    }
    assert_int_equal(error, 0);
    assert_true(limit >= 3);
    free_memory();
    film_unref(film);
    free(movie.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout),
        cmocka_unit_test(edits_become_one_and_times_begin_at_0),
        cmocka_unit_test(without_an_edit_list_tracks_stay_in_step),
        cmocka_unit_test(no_last_segment_is_a_crumb),
        cmocka_unit_test(a_late_track_has_no_segments_before),
        cmocka_unit_test(what_the_edit_leaves_out_at_the_end_is_not_sent),
        cmocka_unit_test(open_groups_are_told),
        cmocka_unit_test(what_cannot_be_streamed_is_refused),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
