/* SPDX-License-Identifier: MIT */
/*
 * What tests of the store of live channels share: a process that begins and ends, a publisher that
 * films in no time, and what is there afterwards. A test runs in folders of its own.
 */
#ifndef TESTS_UNIT_MEDIA_STORED_H
#define TESTS_UNIT_MEDIA_STORED_H

#include "../engines.h"

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

static inline int64_t tell_wall(const struct backend_sys *sys)
{
    return wall_ns;
}

static inline void take_news(const char *line, void *user)
{
    snprintf(news, sizeof news, "%s", line);
}

static inline void open_store(void)
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
static inline void let_write(void)
{
    while (loop_current->jobs > 0)
        assert_int_equal(leat_sleep_ms(1), 0);
}

static inline void close_store(void)
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

static inline int announce(struct camera *camera)
{
    static unsigned char entry[256];
    static const struct movie_track described = {
        .handler = "vide", .entry = "avc1", .timescale = SCALE};
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

static inline void open_camera(struct camera *camera)
{
    char reason[LIVE_REASON_SIZE];
    assert_int_equal(live_publish(hub, "cam", "test", &camera->publisher, reason), 0);
    assert_int_equal(announce(camera), 0);
}

static inline unsigned char byte_of(int64_t frame, size_t at)
{
    return (unsigned char)(frame * 7 + (int64_t)at);
}

static inline int run_camera(struct camera *camera, int frames)
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
static inline void broadcast(struct camera *camera, int seconds)
{
    open_camera(camera);
    assert_int_equal(run_camera(camera, seconds * 25 + 1), 0);
    camera->frame = (camera->frame / GOP + 1) * GOP;
    let_write();
}

static inline void leave(struct camera *camera, bool is_over)
{
    live_publisher_end(camera->publisher, is_over);
    let_write();
}

/* ---- What is there --------------------------------------------------------------------------- */

static inline size_t read_segment(struct live_channel *channel, uint64_t number, char *data)
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

static inline struct live_channel *must_find(void)
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

static inline void keep(struct kept *kept)
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

static inline void drop(struct kept *kept)
{
    for (unsigned index = 0; index < kept->count; index++)
        free(kept->bytes[index]);
}

/* The first `count` segments are those. */
static inline void check(const struct kept *kept, unsigned count)
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

static inline void path_of(const char *name, char ret_path[PATH_SIZE])
{
    snprintf(ret_path, PATH_SIZE, "%s/cam/%s", directory, name);
}

static inline bool has_file(uint64_t number)
{
    char path[PATH_SIZE], name[LIVE_PATH_SIZE];
    struct stat stat_of_it;
    live_segment_path(number, name);
    path_of(name, path);
    return stat(path, &stat_of_it) == 0;
}

static inline size_t read_file(const char *path, char *data, size_t capacity)
{
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    const ssize_t size = read(fd, data, capacity);
    assert_true(size >= 0 && (size_t)size < capacity);
    close(fd);
    return (size_t)size;
}

static inline void write_journal(const char *data, size_t size)
{
    char path[PATH_SIZE];
    path_of("journal", path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static inline void remove_all(const char *path)
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

#endif
