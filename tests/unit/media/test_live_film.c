/* SPDX-License-Identifier: MIT */
/*
 * Films that live channels become: all samples are there, on a time line without holes.
 */
#include "stored.h"

#include <dirent.h>

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

STORE_TEST(what_ended_becomes_a_film)
STORE_TEST(another_resolution_is_another_film)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_ended_becomes_a_film),
        cmocka_unit_test(test_another_resolution_is_another_film),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
