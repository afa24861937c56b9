/* SPDX-License-Identifier: MIT */
/*
 * Residency, on the file system the build is on: what was dropped from the page cache is cold,
 * what a fill has brought is there, and a verdict on a whole window is believed for a second.
 */
#include "pair.h"

#include "fiber/fiber.h"
#include "net/file.h"
#include "net/residency.h"

enum { FILM_SIZE = 3 * FILE_WINDOW_SIZE + 5000 };

static struct folder folder;

static void make_warm(void)
{
    static char data[FILM_SIZE];
    FILE *file = fopen(folder_path(&folder, "film"), "r");
    assert_non_null(file);
    assert_int_equal(fread(data, 1, sizeof data, file), FILM_SIZE);
    fclose(file);
}

static struct leat_file *open_film(struct leat_root **ret_root)
{
    struct leat_file *film;
    assert_int_equal(leat_root_open(folder.path, ret_root), 0);
    assert_int_equal(leat_file_open(*ret_root, "film", soon(), &film), 0);
    return film;
}

static int warm_is_ready_fiber(void *arg)
{
    struct leat_root *root;
    struct leat_file *film = open_film(&root);
    make_warm();
    /* At most to the end of a window, and what is asked for. */
    assert_int_equal(residency_ready(film, 0, 1), 1);
    assert_int_equal(residency_ready(film, 0, FILM_SIZE), FILE_WINDOW_SIZE);
    assert_int_equal(residency_ready(film, FILE_WINDOW_SIZE - 10, 100), 10);
    assert_int_equal(residency_ready(film, 3 * FILE_WINDOW_SIZE, 1 << 30), 5000);
    /* Beyond the end sending finds the end. */
    assert_int_equal(residency_ready(film, FILM_SIZE, 100), 100);
    leat_file_unref(film);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(warm_is_ready)

/* A verdict on all of a window around a place. */
static int a_window_is_ready_fiber(void *arg)
{
    struct leat_root *root;
    struct leat_file *film = open_film(&root);
    make_warm();
    const uint64_t end = 3 * FILE_WINDOW_SIZE;
    /* Where the kernel cannot count pages this is never so. */
    const bool can_tell = film->loop->sys->resident(film->loop->sys, film->fd, 0, 1) >= 0;
    assert_int_equal(residency_window_ready(film, FILE_WINDOW_SIZE - 1), can_tell);
    assert_int_equal(residency_window_ready(film, FILM_SIZE - 1), can_tell);
    struct file_fill fill;
    residency_fill_begins(film, &fill, end - 1, 1); /* of what is there: it has brought it */
    assert_int_equal(residency_window_ready(film, end - FILE_WINDOW_SIZE), can_tell);
    residency_fill_ends(film, &fill);
    if (folder_make_cold(&folder, "film", FILM_SIZE)) {
        assert_int_equal(residency_window_ready(film, 0), can_tell); /* still believed */
        assert_false(residency_window_ready(film, FILE_WINDOW_SIZE));
        residency_fill_begins(film, &fill, end - 1, 1);
        assert_false(residency_window_ready(film, end - FILE_WINDOW_SIZE));
        assert_int_equal(residency_ready(film, end - 1, 1), 0);
        residency_fill_ends(film, &fill);
        residency_doubt(film, 5);
        assert_false(residency_window_ready(film, 0));
    }
    leat_file_unref(film);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(a_window_is_ready)

/* No page is missing, or still on its way from the disk. */
static void assert_whole(const struct leat_file *file, uint64_t offset, uint64_t size)
{
    const struct backend_sys *sys = file->loop->sys;
    char byte;
    for (uint64_t page = offset; page < offset + size; page += 4096)
        assert_int_equal(sys->read_now(sys, file->fd, &byte, 1, page), 1);
}

static int cold_is_filled_fiber(void *arg)
{
    struct leat_root *root;
    struct leat_file *film = open_film(&root);
    if (folder_make_cold(&folder, "film", FILM_SIZE)) {
        assert_int_equal(residency_ready(film, 0, FILM_SIZE), 0);
        assert_int_equal(residency_ready(film, FILE_WINDOW_SIZE, 5000), 0);
        for (uint64_t offset = 0; offset < FILM_SIZE; offset += RESIDENCY_FILL_SIZE) {
            const uint64_t left = FILM_SIZE - offset;
            struct op op;
            op_init(&op, OP_FILL, film->fd, fiber_op_done);
            op.fill.offset = offset;
            op.fill.size = left < RESIDENCY_FILL_SIZE ? left : RESIDENCY_FILL_SIZE;
            assert_int_equal(fiber_await(&op, soon()), 0);
            assert_true(residency_arrived(film, offset, op.fill.size));
            assert_whole(film, offset, op.fill.size);
        }
        assert_int_equal(residency_ready(film, 0, FILM_SIZE), FILE_WINDOW_SIZE);
    }
    leat_file_unref(film);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(cold_is_filled)

/* Only the beginning of a window is there: so much may go. */
static int half_a_window_fiber(void *arg)
{
    struct leat_root *root;
    struct leat_file *film = open_film(&root);
    if (folder_make_cold(&folder, "film", FILM_SIZE)) {
        struct op op;
        op_init(&op, OP_FILL, film->fd, fiber_op_done);
        op.fill.size = RESIDENCY_FILL_SIZE;
        assert_int_equal(fiber_await(&op, soon()), 0);
        const uint64_t ready = residency_ready(film, 0, FILM_SIZE);
        assert_in_range(ready, RESIDENCY_FILL_SIZE, FILE_WINDOW_SIZE);
        assert_int_equal(residency_ready(film, 2 * FILE_WINDOW_SIZE, FILM_SIZE), 0);
    }
    leat_file_unref(film);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(half_a_window)

static int a_verdict_is_believed_for_a_second_fiber(void *arg)
{
    struct leat_root *root;
    struct leat_file *film = open_film(&root);
    make_warm();
    /* A part is a verdict on its window where the kernel can count pages. */
    const bool can_tell = film->loop->sys->resident(film->loop->sys, film->fd, 0, 1) >= 0;
    assert_int_equal(residency_ready(film, 0, FILE_WINDOW_SIZE), FILE_WINDOW_SIZE);
    assert_int_equal(residency_ready(film, FILE_WINDOW_SIZE + 7, 100), 100);
    if (folder_make_cold(&folder, "film", FILM_SIZE)) {
        assert_int_equal(residency_ready(film, 0, FILE_WINDOW_SIZE), FILE_WINDOW_SIZE);
        assert_int_equal(residency_ready(film, 77, 100), 100);
        assert_int_equal(residency_ready(film, FILE_WINDOW_SIZE, 100), can_tell ? 100 : 0);
        assert_int_equal(residency_ready(film, 2 * FILE_WINDOW_SIZE, 100), 0);
        assert_int_equal(leat_sleep_ms(FILE_FRESH_MS + 20), 0);
        assert_int_equal(residency_ready(film, 0, FILE_WINDOW_SIZE), 0);
        assert_int_equal(residency_ready(film, FILE_WINDOW_SIZE, 100), 0);
    }
    leat_file_unref(film);
    leat_root_close(root);
    return 0;
}
FIBER_ENGINE_TEST(a_verdict_is_believed_for_a_second)

static int make_film(void **state)
{
    folder_make(&folder);
    folder_write(&folder, "film", 0, FILM_SIZE);
    return 0;
}

static int remove_film(void **state)
{
    folder_remove(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warm_is_ready),
        cmocka_unit_test(test_a_window_is_ready),
        cmocka_unit_test(test_cold_is_filled),
        cmocka_unit_test(test_half_a_window),
        cmocka_unit_test(test_a_verdict_is_believed_for_a_second),
    };
    return cmocka_run_group_tests(tests, make_film, remove_film);
}
