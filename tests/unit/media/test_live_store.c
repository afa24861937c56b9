/* SPDX-License-Identifier: MIT */
/*
 * The store of live channels: what was whole is there again, byte for byte, whatever became of the
 * process; the journal is cut off at every byte, and damaged; numbers go on and none is used twice;
 * what is old goes; what cannot be written is told; a channel that has ended becomes a film.
 */
#include "../engines.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "leat/clock.h"
#include "media/live_log.h"
#include "media/live_store.h"
#include "movie.h"
#include "net/file.h"

enum { SCALE = 12800, FRAME = SCALE / 25, GOP = 50, PATH_SIZE = 512, SEGMENT_MAX = 1 << 20 };

static struct live_hub *hub;
static struct live_store *store;
static struct live_options live_options;
static char directory[64], films[64], news[512];
static bool makes_films;
static int64_t wall_ns; /* the tests', in which a publisher's frames take their time */
static struct backend_sys clocked;

/* ---- The process, as it were ----------------------------------------------------------------- */

static int64_t tell_wall(const struct backend_sys *sys)
{
    return wall_ns;
}

static void take_news(const char *line, void *user)
{
    snprintf(news, sizeof news, "%s", line);
}

static void open_store(void)
{
    const struct live_store_options options = {.directory = directory,
                                               .label = "--live-dir x",
                                               .films_directory = makes_films ? films : NULL,
                                               .on_news = take_news};
    assert_int_equal(live_hub_create(&live_options, &hub), 0);
    assert_int_equal(live_store_create(&options, &store), 0);
    assert_int_equal(live_store_attach(store, hub), 0);
}

/* All that waits has been written. */
static void let_write(void)
{
    while (loop_current->jobs > 0)
        assert_int_equal(leat_sleep_ms(1), 0);
}

static void close_store(void)
{
    let_write();
    live_hub_destroy(hub);
    live_store_destroy(store);
}

/* ---- A publisher ----------------------------------------------------------------------------- */

struct camera {
    struct live_publisher *publisher;
    int64_t frame;
    bool is_wide;
};

static int announce(struct camera *camera)
{
    static unsigned char entry[256];
    const struct movie_track described = {.handler = "vide", .entry = "avc1", .timescale = SCALE};
    struct writer writer = writer_over(entry, sizeof entry);
    struct mp4_track track = {.id = 7,
                              .handler = MP4_FOURCC('v', 'i', 'd', 'e'),
                              .timescale = SCALE,
                              .language = "und",
                              .width = camera->is_wide ? 1280 << 16 : 640 << 16,
                              .height = 360 << 16,
                              .entry_count = 1};
    movie_entry(&writer, &described);
    track.stsd = slice_of(writer.data, writer.size);
    mp4_codec_of(track.stsd, track.handler, &track.codec);
    return live_publisher_track(0, &track, camera->publisher);
}

static void open_camera(struct camera *camera)
{
    char reason[LIVE_REASON_SIZE];
    assert_int_equal(live_publish(hub, "cam", "test", &camera->publisher, reason), 0);
    assert_int_equal(announce(camera), 0);
}

static unsigned char byte_of(int64_t frame, size_t at)
{
    return (unsigned char)(frame * 7 + (int64_t)at);
}

static int run_camera(struct camera *camera, int frames)
{
    static char data[2048];
    for (int64_t end = camera->frame + frames; camera->frame < end; camera->frame++) {
        const size_t size = camera->frame % GOP == 0 ? 2000 : 300;
        for (size_t at = 0; at < size; at++)
            data[at] = (char)byte_of(camera->frame, at);
        const struct media_sample sample = {.dts = camera->frame * FRAME,
                                            .duration = FRAME,
                                            .is_sync = camera->frame % GOP == 0,
                                            .data = slice_of(data, size)};
        wall_ns += 40 * LEAT_NS_PER_MS;
        const int error = live_publisher_sample(0, &sample, camera->publisher);
        if (error)
            return error;
        if (camera->frame % GOP == 0)
            let_write();
    }
    return 0;
}

/* `seconds` of a broadcast, which the next frame of another segment has ended. */
static void broadcast(struct camera *camera, int seconds)
{
    open_camera(camera);
    assert_int_equal(run_camera(camera, seconds * 25 + 1), 0);
    camera->frame = (camera->frame / GOP + 1) * GOP;
    let_write();
}

static void leave(struct camera *camera, bool is_over)
{
    live_publisher_end(camera->publisher, is_over);
    let_write();
}

/* ---- What is there --------------------------------------------------------------------------- */

static size_t read_segment(struct live_channel *channel, uint64_t number, char *data)
{
    struct live_piece piece;
    struct leat_file *file;
    size_t size = 0;
    assert_int_equal(live_read_segment(channel, LIVE_VIDEO, number, &piece), 0);
    assert_int_equal(live_piece_open(channel, &piece, leat_after_ms(1000), &file), 0);
    for (unsigned index = 0; index < piece.range_count; index++) {
        const struct live_range *range = &piece.ranges[index];
        assert_true(size + range->size <= SEGMENT_MAX);
        assert_int_equal(pread(file->fd, data + size, range->size, (off_t)range->offset),
                         range->size);
        size += range->size;
    }
    leat_file_unref(file);
    return size;
}

static struct live_channel *must_find(void)
{
    struct live_channel *channel = live_find(hub, "cam");
    assert_non_null(channel);
    return channel;
}

struct kept {
    uint64_t first, count;
    int64_t begin_us[32];
    size_t sizes[32];
    char *bytes[32];
};

static void keep(struct kept *kept)
{
    struct live_channel *channel = must_find();
    struct live_view *view = live_look(channel);
    *kept = (struct kept){.first = view->segments[0].number};
    for (unsigned index = 0; index < view->segment_count && view->segments[index].is_whole;
         index++) {
        assert_true(index < 32);
        kept->bytes[index] = malloc(SEGMENT_MAX);
        kept->begin_us[index] = view->segments[index].begin_us;
        kept->sizes[index] = read_segment(channel, kept->first + index, kept->bytes[index]);
        kept->count++;
    }
    free(view);
    live_channel_unref(channel);
}

static void drop(struct kept *kept)
{
    for (unsigned index = 0; index < kept->count; index++)
        free(kept->bytes[index]);
}

/* The first `count` segments are those. */
static void check(const struct kept *kept, unsigned count)
{
    struct live_channel *channel = must_find();
    struct live_view *view = live_look(channel);
    static char data[SEGMENT_MAX];
    assert_true(view->segment_count >= count && count <= kept->count);
    for (unsigned index = 0; index < count; index++) {
        assert_int_equal(view->segments[index].number, kept->first + index);
        assert_int_equal(view->segments[index].begin_us, kept->begin_us[index]);
        assert_int_equal(read_segment(channel, kept->first + index, data), kept->sizes[index]);
        assert_memory_equal(data, kept->bytes[index], kept->sizes[index]);
    }
    free(view);
    live_channel_unref(channel);
}

static void path_of(const char *name, char ret_path[PATH_SIZE])
{
    snprintf(ret_path, PATH_SIZE, "%s/cam/%s", directory, name);
}

static bool has_file(uint64_t number)
{
    char path[PATH_SIZE], name[LIVE_PATH_SIZE];
    struct stat stat_of_it;
    live_segment_path(number, name);
    path_of(name, path);
    return stat(path, &stat_of_it) == 0;
}

static size_t read_file(const char *path, char *data, size_t capacity)
{
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    const ssize_t size = read(fd, data, capacity);
    assert_true(size >= 0 && (size_t)size < capacity);
    close(fd);
    return (size_t)size;
}

static void write_journal(const char *data, size_t size)
{
    char path[PATH_SIZE];
    path_of("journal", path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void remove_all(const char *path)
{
    char command[PATH_SIZE];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

#define STORE_TEST(name)                                                                           \
    static int name##_fiber(void *arg)                                                             \
    {                                                                                              \
        const struct backend_sys *before = loop_current->sys;                                      \
        snprintf(directory, sizeof directory, "/tmp/leat-store-XXXXXX");                           \
        snprintf(films, sizeof films, "/tmp/leat-films-XXXXXX");                                   \
        assert_non_null(mkdtemp(directory));                                                       \
        assert_non_null(mkdtemp(films));                                                           \
        clocked = *before;                                                                         \
        clocked.wall_ns = tell_wall;                                                               \
        wall_ns = before->wall_ns(before);                                                         \
        loop_current->sys = &clocked;                                                              \
        live_options = (struct live_options){.window_ms = 3600 * 1000, .memory_ms = 4 * 1000};     \
        makes_films = false;                                                                       \
        news[0] = '\0';                                                                            \
        name();                                                                                    \
        loop_current->sys = before;                                                                \
        remove_all(directory);                                                                     \
        remove_all(films);                                                                         \
        return 0;                                                                                  \
    }                                                                                              \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        run_main_fiber(LEAT_ENGINE_EPOLL, name##_fiber);                                           \
    }

/* ---- What is stored -------------------------------------------------------------------------- */

static void what_is_old_is_in_the_store_alone(void)
{
    struct camera camera = {0};
    struct live_info info;
    open_store();
    broadcast(&camera, 20);
    struct live_channel *channel = must_find();
    assert_int_equal(live_list(hub, &info, 1), 1);
    assert_int_equal(info.segments, 10);
    assert_true(info.memory > 0 && info.memory < info.stored / 2);
    struct live_view *view = live_look(channel);
    static char data[SEGMENT_MAX];
    struct live_piece piece;
    assert_int_equal(live_read_segment(channel, LIVE_MUXED, view->segments[0].number, &piece), 0);
    assert_null(piece.segment);
    assert_int_equal(live_read_part(channel, LIVE_VIDEO, view->segments[0].number, 3, &piece), 0);
    assert_null(piece.segment);
    for (unsigned index = 0; index < 10; index++)
        assert_true(read_segment(channel, view->segments[index].number, data) > 2000);
    free(view);
    live_channel_unref(channel);
    leave(&camera, false);
    close_store();
}

static void what_was_whole_is_there_again(void)
{
    struct camera camera = {0};
    struct kept kept;
    struct live_edge edge;
    open_store();
    broadcast(&camera, 10);
    struct live_channel *channel = must_find();
    const struct live_view *before = live_look(channel);
    live_channel_unref(channel);
    keep(&kept);
    assert_int_equal(kept.count, 5);
    leave(&camera, false);
    close_store();

    open_store();
    check(&kept, 5);
    channel = must_find();
    struct live_view *after = live_look(channel);
    assert_int_equal(after->state, LIVE_STALLED);
    assert_int_equal(after->available_ms, before->available_ms);
    assert_int_equal(after->target_s, before->target_s);
    assert_int_equal(after->part_target_us, before->part_target_us);
    assert_int_equal(after->segment_us, before->segment_us);
    assert_int_equal(after->epoch_count, 1);
    assert_string_equal(after->epochs[0].video.codec.text, before->epochs[0].video.codec.text);
    assert_true(after->epochs[0].video.bits_per_s >= before->epochs[0].video.bits_per_s);
    assert_int_equal(after->segment_count, 6); /* the last frame, too */
    live_edge(channel, &edge);

    /* All that was used is stored: numbers go on, in another epoch, by the wall clock. */
    wall_ns += 7 * LEAT_NS_PER_S;
    broadcast(&camera, 4);
    struct live_view *later = live_look(channel);
    assert_int_equal(later->segments[6].number, edge.number + 1);
    assert_true(later->segments[6].is_discontinuity);
    assert_false(later->segments[6].is_gap);
    assert_in_range(later->segments[6].begin_us, 17000000, 17400000);
    assert_int_equal(later->epochs[1].init, later->epochs[0].init);
    free((void *)before);
    free(after);
    free(later);
    live_channel_unref(channel);
    leave(&camera, false);
    close_store();
    drop(&kept);
}

static unsigned count_segments(const char *journal, size_t size)
{
    unsigned count = 0;
    for (const char *at = journal;
         (at = memmem(at, (size_t)(journal + size - at), "\nsegment ", 9)); at++)
        count += memchr(at + 1, '\n', (size_t)(journal + size - at - 1)) != NULL;
    return count;
}

static void go_on_behind_a_gap(struct live_channel *channel, uint64_t first, unsigned count)
{
    struct camera camera = {0};
    struct live_piece piece;
    wall_ns += 10 * LEAT_NS_PER_S;
    broadcast(&camera, 2);
    struct live_view *view = live_look(channel);
    assert_true(view->segments[count].is_gap && view->segments[count + 1].is_gap);
    assert_false(view->segments[count + 2].is_gap);
    assert_true(view->segments[count + 2].is_discontinuity);
    for (unsigned index = 0; index + 1 < view->segment_count; index++) {
        assert_int_equal(view->segments[index].number, first + index);
        assert_true(view->segments[index].begin_us + view->segments[index].duration_us <=
                    view->segments[index + 1].begin_us);
    }
    assert_int_equal(live_read_segment(channel, LIVE_MUXED, first + count, &piece), -ENOENT);
    assert_int_equal(live_read_part(channel, LIVE_MUXED, first + count, 0, &piece), -ENOENT);
    free(view);
    leave(&camera, false);
}

/* As if the process had died between any two bytes of the journal: what it says is there, nothing
 * else is, and the channel goes on with numbers that were never used. */
static void cut_off_anywhere_it_goes_on(void)
{
    struct camera camera = {0};
    struct kept kept;
    static char journal[64 * 1024];
    char path[PATH_SIZE];
    open_store();
    broadcast(&camera, 8);
    keep(&kept);
    leave(&camera, false);
    close_store();
    path_of("journal", path);
    (void)read_file(path, journal, sizeof journal);
    const char *end = strstr(journal, "left ");
    assert_non_null(end);
    unsigned seen = 0;
    /* From the end, for what goes on overwrites what stood behind. */
    for (size_t cut = (size_t)(end - journal); cut > strlen("leat-live 1\n"); cut -= 3) {
        const unsigned lines = count_segments(journal, cut);
        write_journal(journal, cut);
        open_store();
        struct live_channel *channel = live_find(hub, "cam");
        assert_true((channel != NULL) == (lines > 0));
        if (lines > 0 && lines != seen && lines <= kept.count) {
            seen = lines;
            check(&kept, lines);
            go_on_behind_a_gap(channel, kept.first, lines);
        }
        live_channel_unref(channel);
        close_store();
        if (lines == 0)
            break; /* nothing was stored: the folder has gone */
    }
    path_of("journal", path);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(seen, 1);
    drop(&kept);
}

static void a_damaged_journal_is_left_alone(void)
{
    struct camera camera = {0};
    static char journal[64 * 1024];
    char path[PATH_SIZE];
    open_store();
    broadcast(&camera, 6);
    leave(&camera, false);
    close_store();
    path_of("journal", path);
    const size_t size = read_file(path, journal, sizeof journal);
    char *line = strstr(journal, "\nsegment ") + 1;
    static const char *const wrong[] = {"segmeNt ", "segment-", "segment x", "epoch 99 99 "};
    for (unsigned index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        char before[16];
        memcpy(before, line, sizeof before);
        memcpy(line, wrong[index], strlen(wrong[index]));
        write_journal(journal, size);
        news[0] = '\0';
        open_store();
        assert_null(live_find(hub, "cam"));
        assert_non_null(strstr(news, "the channel cam is not taken up: its journal, line 4"));
        close_store();
        memcpy(line, before, sizeof before);
    }
    open_store(); /* and a publisher begins anew, beside it */
    broadcast(&camera, 4);
    leave(&camera, false);
    close_store();
    path_of("journal.damaged", path);
    assert_int_equal(access(path, R_OK), 0);
}

static void files_that_are_lost_are_gaps(void)
{
    struct camera camera = {0};
    struct kept kept;
    char path[PATH_SIZE], name[LIVE_PATH_SIZE];
    open_store();
    broadcast(&camera, 12);
    keep(&kept);
    leave(&camera, false);
    close_store();
    live_segment_path(kept.first + 3, name);
    path_of(name, path);
    assert_int_equal(truncate(path, 100), 0);
    live_segment_path(kept.first, name);
    path_of(name, path);
    assert_int_equal(unlink(path), 0);
    open_store();
    struct live_channel *channel = must_find();
    struct live_view *view = live_look(channel);
    assert_int_equal(view->segments[0].number, kept.first + 1);
    assert_true(view->segments[2].is_gap);
    assert_int_equal(view->segments[2].duration_us, 2000000);
    assert_int_equal(view->segments[3].number, kept.first + 4);
    free(view);
    live_channel_unref(channel);
    close_store();
    drop(&kept);
}

/* ---- What goes ------------------------------------------------------------------------------- */

static void what_is_twice_the_window_old_is_removed(void)
{
    struct camera camera = {0};
    live_options.window_ms = 10 * 1000;
    open_store();
    broadcast(&camera, 40);
    struct live_channel *channel = must_find();
    struct live_view *view = live_look(channel);
    const uint64_t first = view->segments[0].number;
    assert_in_range(view->segment_count, 5, 7);
    assert_true(has_file(first) && has_file(first - 4));
    assert_false(has_file(first - 8));
    free(view);
    live_channel_unref(channel);
    leave(&camera, false);
    close_store();
}

static void a_journal_is_made_shorter(void)
{
    struct camera camera = {0};
    struct kept kept;
    char path[PATH_SIZE];
    struct stat before, after;
    live_options.window_ms = 10 * 1000;
    open_store();
    broadcast(&camera, 60);
    leave(&camera, false);
    broadcast(&camera, 60);
    struct live_channel *channel = must_find();
    path_of("journal", path);
    assert_int_equal(stat(path, &before), 0);
    channel->log->dropped_lines = 1 << 20; /* time flies */
    assert_int_equal(run_camera(&camera, 51), 0);
    let_write();
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_size < before.st_size / 2);
    struct live_view *view = live_look(channel);
    const uint64_t sequence = view->discontinuity_sequence;
    assert_int_equal(sequence, 1);
    free(view);
    keep(&kept);
    live_channel_unref(channel);
    leave(&camera, false);
    close_store();
    open_store();
    channel = must_find();
    view = live_look(channel);
    assert_int_equal(view->discontinuity_sequence, sequence);
    assert_true(view->segment_count >= 5);
    free(view);
    live_channel_unref(channel);
    close_store();
    drop(&kept);
}

static void what_ended_is_removed_in_the_end(void)
{
    struct camera camera = {0};
    char path[PATH_SIZE];
    live_options.window_ms = 1;
    live_options.grace_ms = 1;
    open_store();
    broadcast(&camera, 6);
    leave(&camera, true);
    snprintf(path, sizeof path, "%s/cam", directory);
    for (unsigned tick = 0; tick < 20; tick++) {
        live_hub_tick(hub);
        let_write();
        assert_int_equal(leat_sleep_ms(2), 0);
    }
    assert_null(live_find(hub, "cam"));
    assert_int_equal(access(path, F_OK), -1);
    close_store();
}

/* ---- Trouble --------------------------------------------------------------------------------- */

static ssize_t refuse_copy(const struct backend_sys *sys, int in_fd, uint64_t in_offset, int out_fd,
                           uint64_t out_offset, size_t size)
{
    return -ENOSPC;
}

static void what_cannot_be_written_is_told(void)
{
    struct camera camera = {0};
    struct kept kept;
    open_store();
    broadcast(&camera, 6);
    keep(&kept);
    clocked.copy = refuse_copy;
    assert_int_equal(run_camera(&camera, 200), -ENOSPC);
    assert_string_equal(live_publisher_reason(camera.publisher),
                        "it cannot be kept, --live-dir x: No space left on device");
    assert_non_null(strstr(news, "--live-dir x: the channel cam: "));
    leave(&camera, false);
    check(&kept, 3); /* and viewers keep what they have */
    clocked.copy = backend_sys_linux.copy;
    camera.frame = 0;
    broadcast(&camera, 4); /* there is room again */
    leave(&camera, false);
    close_store();
    open_store();
    check(&kept, 3);
    struct live_channel *channel = must_find();
    struct live_view *view = live_look(channel);
    assert_true(view->segments[view->segment_count - 1].number > kept.first + 4);
    free(view);
    live_channel_unref(channel);
    close_store();
    drop(&kept);
}

/* Two processes, one after the other, and for a while at a time. */
static void another_process_takes_it_up_once_it_may(void)
{
    struct camera camera = {0};
    struct kept kept;
    char reason[LIVE_REASON_SIZE];
    struct live_publisher *publisher;
    open_store();
    broadcast(&camera, 6);
    keep(&kept);
    struct live_hub *old_hub = hub;
    struct live_store *old_store = store;
    open_store();
    assert_null(live_find(hub, "cam"));
    assert_int_equal(live_publish(hub, "cam", "test", &publisher, reason), -EBUSY);
    live_hub_tick(hub);
    let_write();
    assert_int_equal(live_publish(hub, "cam", "test", &publisher, reason), -EBUSY);

    live_hub_leave(old_hub);
    assert_int_equal(run_camera(&camera, 1), -ESHUTDOWN);
    assert_int_equal(live_publish(old_hub, "cam", "test", &publisher, reason), -ESHUTDOWN);
    leave(&camera, false);
    live_hub_tick(hub);
    let_write();
    check(&kept, 3);
    camera.frame = 0;
    broadcast(&camera, 4);
    struct live_channel *channel = must_find();
    struct live_view *view = live_look(channel);
    for (unsigned index = 0; index < view->segment_count; index++)
        assert_false(view->segments[index].is_gap);
    free(view);
    live_channel_unref(channel);
    leave(&camera, false);
    close_store();
    live_hub_destroy(old_hub);
    live_store_destroy(old_store);
}

/* ---- Films ----------------------------------------------------------------------------------- */

struct film {
    const char *data;
    unsigned samples;
    uint64_t end;
};

static int read_bytes(void *user, uint64_t offset, void *data, size_t size)
{
    const struct film *film = user;
    memcpy(data, film->data + offset, size);
    return 0;
}

static bool see_track(unsigned index, const struct mp4_track *track, void *user)
{
    return true;
}

static int see_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct film *film = user;
    const unsigned char *bytes = (const unsigned char *)film->data + sample->offset;
    if (film->samples == 0)
        assert_int_equal(sample->dts, 0);
    assert_true(sample->dts >= film->end);
    film->end = sample->dts + sample->duration;
    film->samples++;
    assert_int_equal(bytes[100], (unsigned char)(bytes[0] + 100));
    return 0;
}

/* The samples of the film of this name, and its length in ms. */
static unsigned watch(const char *name, int64_t *ret_ms)
{
    static char data[4 << 20];
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", films, name);
    struct film film = {.data = data};
    const struct mp4_source source = {read_bytes, &film, read_file(path, data, sizeof data)};
    const struct mp4_events events = {see_track, see_sample, &film};
    struct mp4_movie movie;
    struct mp4_problem problem;
    if (mp4_read(&source, &events, &movie, &problem) != 0)
        fail_msg("%s: %s", name, problem.reason);
    *ret_ms = (int64_t)film.end * 1000 / SCALE;
    return film.samples;
}

static unsigned list_films(char names[8][256])
{
    unsigned count = 0;
    DIR *folder = opendir(films);
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            assert_true(count < 8);
            snprintf(names[count++], 256, "%s", entry->d_name);
        }
    closedir(folder);
    return count;
}

/* All of it, whatever the window; where the publisher was away nothing is left. */
static void what_ended_becomes_a_film(void)
{
    struct camera camera = {0};
    char names[8][256];
    int64_t ms;
    makes_films = true;
    live_options.window_ms = 4 * 1000;
    wall_ns = INT64_C(1795396500) * LEAT_NS_PER_S; /* 2026-11-23 01:15 UTC */
    open_store();
    broadcast(&camera, 40);
    leave(&camera, false);
    wall_ns += 20 * LEAT_NS_PER_S;
    camera.frame = 0;
    broadcast(&camera, 10);
    leave(&camera, false);
    close_store();
    wall_ns += 5 * LEAT_NS_PER_S;
    open_store();
    camera.frame = 0;
    broadcast(&camera, 10);
    leave(&camera, true);
    live_hub_tick(hub);
    let_write();
    assert_int_equal(list_films(names), 1);
    assert_string_equal(names[0], "cam 2026-11-23 01-15.mp4");
    assert_int_equal(watch(names[0], &ms), 40 * 25 + 1 + 2 * (10 * 25 + 1));
    assert_in_range(ms, 60000, 60400);

    /* What comes under the name afterwards is another one. */
    live_hub_tick(hub);
    let_write();
    camera.frame = 0;
    broadcast(&camera, 4);
    leave(&camera, true);
    live_hub_tick(hub);
    let_write();
    assert_int_equal(list_films(names), 2);
    close_store();
}

static void another_resolution_is_another_film(void)
{
    struct camera camera = {0};
    char names[8][256];
    int64_t ms;
    makes_films = true;
    open_store();
    broadcast(&camera, 4);
    camera.is_wide = true;
    assert_int_equal(announce(&camera), 0);
    assert_int_equal(run_camera(&camera, 6 * 25 + 1), 0);
    leave(&camera, true);
    live_hub_tick(hub);
    let_write();
    assert_int_equal(list_films(names), 2);
    unsigned samples = 0;
    for (unsigned index = 0; index < 2; index++) {
        samples += watch(names[index], &ms);
        assert_true(ms == 4040 || ms == 6040);
    }
    assert_int_equal(samples, 10 * 25 + 2);
    close_store();
}

STORE_TEST(what_is_old_is_in_the_store_alone)
STORE_TEST(what_was_whole_is_there_again)
STORE_TEST(cut_off_anywhere_it_goes_on)
STORE_TEST(a_damaged_journal_is_left_alone)
STORE_TEST(files_that_are_lost_are_gaps)
STORE_TEST(what_is_twice_the_window_old_is_removed)
STORE_TEST(a_journal_is_made_shorter)
STORE_TEST(what_ended_is_removed_in_the_end)
STORE_TEST(what_cannot_be_written_is_told)
STORE_TEST(another_process_takes_it_up_once_it_may)
STORE_TEST(what_ended_becomes_a_film)
STORE_TEST(another_resolution_is_another_film)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_old_is_in_the_store_alone),
        cmocka_unit_test(test_what_was_whole_is_there_again),
        cmocka_unit_test(test_cut_off_anywhere_it_goes_on),
        cmocka_unit_test(test_a_damaged_journal_is_left_alone),
        cmocka_unit_test(test_files_that_are_lost_are_gaps),
        cmocka_unit_test(test_what_is_twice_the_window_old_is_removed),
        cmocka_unit_test(test_a_journal_is_made_shorter),
        cmocka_unit_test(test_what_ended_is_removed_in_the_end),
        cmocka_unit_test(test_what_cannot_be_written_is_told),
        cmocka_unit_test(test_another_process_takes_it_up_once_it_may),
        cmocka_unit_test(test_what_ended_becomes_a_film),
        cmocka_unit_test(test_another_resolution_is_another_film),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
