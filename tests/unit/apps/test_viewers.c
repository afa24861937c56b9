/* SPDX-License-Identifier: MIT */
/*
 * Who watches what: sessions and connections, silence, limits, rates; and what several workers know
 * of one viewer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "leat/clock.h"
#include "viewers.h"

enum { TITLE = 77, SEGMENT = 1000 * 1000 };

static struct viewer_note note_at(double second, uint64_t *connection, const struct cmcd *cmcd)
{
    return (struct viewer_note){.connection = connection,
                                .cmcd = cmcd,
                                .title = TITLE,
                                .folder = "",
                                .name = SLICE("mill"),
                                .stream = VIEWER_MUXED,
                                .bytes = SEGMENT,
                                .now_ns = (int64_t)(second * 1e9)};
}

static void watch(double second, uint64_t *connection, const char *cmcd_text)
{
    struct cmcd cmcd = {0};
    cmcd_parse(slice_from_text(cmcd_text), &cmcd);
    const struct viewer_note note = note_at(second, connection, &cmcd);
    viewers_note(&note);
}

static struct viewers_list read_at(double second)
{
    struct viewers_list own, merged;
    assert_int_equal(viewers_list_init(&own, 100), 0);
    viewers_read((int64_t)(second * 1e9), &own);
    assert_int_equal(viewers_merge(&own, 1, &merged), 0);
    viewers_list_fini(&own);
    return merged;
}

static uint64_t count_at(double second)
{
    struct viewers_counters counters;
    viewers_read_counters((int64_t)(second * 1e9), &counters);
    assert_int_equal(counters.lives, 0);
    return counters.films;
}

static int open_registry(void **state)
{
    return viewers_open();
}

static int close_registry(void **state)
{
    viewers_close();
    viewers_close();
    return 0;
}

static void nobody(void **state)
{
    uint64_t connection = 0;
    struct viewers_list list = read_at(1);
    assert_int_equal(list.count + list.title_count, 0);
    viewers_list_fini(&list);
    viewers_close();
    watch(1, &connection, "");
    assert_int_equal(count_at(1), 0);
    list = read_at(1);
    assert_int_equal(list.count + list.title_count, 0);
    viewers_list_fini(&list);
}

/* A session is one viewer whatever its connections; else each connection is, of each film. */
static void who_is_who(void **state)
{
    uint64_t connections[4] = {0};
    watch(1, &connections[0], "sid=\"a\"");
    watch(1, &connections[1], "sid=\"a\"");
    watch(1, &connections[1], "sid=\"b\"");
    assert_int_equal(count_at(1), 2);
    assert_int_equal(connections[1], 0);
    for (unsigned round = 0; round < 3; round++) {
        watch(2, &connections[2], "bl=100");
        watch(2, &connections[3], "");
    }
    assert_int_equal(count_at(2), 4);
    assert_true(connections[2] != 0 && connections[3] != 0 && connections[2] != connections[3]);
    struct cmcd silent = {0};
    struct viewer_note other = note_at(2, &connections[2], &silent);
    other.title++;
    viewers_note(&other);
    assert_int_equal(count_at(2), 5);
    struct viewers_list list = read_at(2);
    assert_int_equal(list.count, 5);
    assert_int_equal(list.title_count, 2);
    assert_int_equal(list.titles[0].viewers, 4);
    assert_int_equal(list.titles[1].viewers, 1);
    assert_int_equal(list.titles[0].bytes, 9 * SEGMENT);
    viewers_list_fini(&list);
}

static void silence(void **state)
{
    uint64_t connections[2] = {0};
    watch(0, &connections[0], "");
    watch(0, &connections[1], "");
    watch(20, &connections[0], "");
    assert_int_equal(count_at(29.9), 2);
    assert_int_equal(count_at(30), 1);
    assert_int_equal(count_at(49.9), 1);
    watch(60, &connections[1], ""); /* noting forgets as well, and who comes back is new */
    struct viewers_list list = read_at(60);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.viewers[0].bytes, SEGMENT);
    assert_int_equal(list.titles[0].bytes, SEGMENT);
    viewers_list_fini(&list);
    struct viewers_counters counters;
    viewers_read_counters((int64_t)60e9, &counters);
    assert_int_equal(counters.segments, 4);
    assert_int_equal(counters.film_bytes, 4 * SEGMENT);
    assert_int_equal(counters.displaced, 0);
}

/* Who was silent longest makes room. */
static void a_crowd(void **state)
{
    static uint64_t connections[VIEWERS_MAX + 10];
    for (unsigned index = 0; index < VIEWERS_MAX; index++)
        watch(1 + index * 1e-4, &connections[index], "");
    watch(4, &connections[0], "");
    assert_int_equal(count_at(4), VIEWERS_MAX);
    for (unsigned index = 0; index < 10; index++)
        watch(5, &connections[VIEWERS_MAX + index], "");
    struct viewers_counters counters;
    viewers_read_counters((int64_t)5e9, &counters);
    assert_int_equal(counters.films, VIEWERS_MAX);
    assert_int_equal(counters.displaced, 10);
    watch(6, &connections[0], ""); /* is still there */
    viewers_read_counters((int64_t)6e9, &counters);
    assert_int_equal(counters.displaced, 10);
    watch(6, &connections[1], ""); /* is not */
    viewers_read_counters((int64_t)6e9, &counters);
    assert_int_equal(counters.displaced, 11);
}

static void what_players_say(void **state)
{
    uint64_t connection = 0;
    struct cmcd cmcd = {0};
    cmcd_parse(slice_from_text("sid=\"a\",bl=12000,br=2500,bs"), &cmcd);
    struct viewer_note note = note_at(1, &connection, &cmcd);
    note.detail = SLICE("1080");
    note.stream = VIEWER_VIDEO;
    note.pace_bytes_per_s = 300 * 1000;
    viewers_note(&note);
    cmcd = (struct cmcd){0};
    cmcd_parse(slice_from_text("sid=\"a\",bl=2000,br=128"), &cmcd);
    note.stream = VIEWER_AUDIO; /* changes nothing of what is known of the picture */
    note.detail = SLICE("");
    viewers_note(&note);
    struct viewers_list list = read_at(1);
    assert_int_equal(list.count, 1);
    const struct viewer_info *info = &list.viewers[0];
    assert_true(info->has_buffer && info->has_media_rate);
    assert_int_equal(info->buffer_ms, 12000);
    assert_int_equal(info->media_kbit_per_s, 2500);
    assert_int_equal(info->stalls, 1);
    assert_int_equal(info->streams, VIEWER_VIDEO | VIEWER_AUDIO);
    assert_int_equal(info->pace_bytes_per_s, 300 * 1000);
    assert_string_equal(info->session, "a");
    assert_string_equal(info->rung, "1080");
    assert_string_equal(list.titles[0].name, "mill");
    assert_int_equal(list.titles[0].stalls, 1);
    viewers_list_fini(&list);
}

/* Whatever is said and however long it is, copies end where they must. */
static void long_texts(void **state)
{
    uint64_t connection = 0;
    struct cmcd cmcd = {.has_any = true, .sid_size = CMCD_SID_MAX};
    char name[1000], folder[300];
    memset(cmcd.sid, 's', sizeof cmcd.sid);
    memset(name, 'n', sizeof name);
    memset(folder, 'f', sizeof folder - 1);
    folder[sizeof folder - 1] = '\0';
    struct viewer_note note = note_at(1, &connection, &cmcd);
    note.name = note.detail = slice_of(name, sizeof name);
    viewers_note(&note);
    note.folder = folder;
    note.title++;
    viewers_note(&note);
    note.folder = "root";
    note.title++;
    note.name = SLICE("a\x00<b>");
    viewers_note(&note);
    struct viewers_list list = read_at(1);
    assert_int_equal(list.title_count, 3);
    for (unsigned index = 0; index < 3; index++) {
        const struct viewer_title *title = &list.titles[index];
        if (title->title == TITLE + 2)
            assert_memory_equal(title->name, "root/a\0<b>", 11);
        else
            assert_int_equal(strlen(title->name), VIEWERS_NAME_SIZE - 1);
        if (title->title == TITLE + 1)
            assert_memory_equal(title->name + VIEWERS_NAME_SIZE / 2 - 1, "f/n", 3);
        assert_int_equal(strlen(list.viewers[index].session), VIEWERS_SESSION_SIZE - 1);
    }
    viewers_list_fini(&list);
}

static double rate_at(double second)
{
    struct viewers_list list = read_at(second);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.viewers[0].bits_per_s, list.titles[0].bits_per_s);
    const double rate = (double)list.viewers[0].bits_per_s;
    viewers_list_fini(&list);
    return rate;
}

/* Segments of 2 s, 4 Mbit/s: the rate is near that at any time, and 0 when there were none. */
static void rates(void **state)
{
    uint64_t connection = 0;
    for (unsigned index = 0; index < 50; index++) {
        watch(10 + index * 2, &connection, "");
        if (index == 0)
            assert_true(rate_at(10) == 4e6);
        if (index >= 8)
            for (double later = 0; later < 2; later += 0.25)
                assert_in_range((uint64_t)rate_at(10 + index * 2 + later), 3200000, 4800000);
    }
    assert_in_range((uint64_t)rate_at(108 + 7), 1500000, 3000000);
    assert_in_range((uint64_t)rate_at(108 + 29), 0, 400000);
}

/* ---- Workers --------------------------------------------------------------------------------- */

struct other_worker {
    struct viewers_list list;
    uint64_t connection;
};

static void *work(void *arg)
{
    struct other_worker *other = arg;
    assert_int_equal(viewers_open(), 0);
    watch(3, &other->connection, "sid=\"a\",bl=9000,bs");
    watch(3, &other->connection, "");
    assert_int_equal(viewers_list_init(&other->list, 2), 0);
    viewers_read((int64_t)4e9, &other->list);
    viewers_close();
    return NULL;
}

/* Two threads that serve one session know one viewer. */
static void workers_agree(void **state)
{
    struct other_worker other = {0};
    uint64_t connection = 0;
    pthread_t thread;
    watch(1, &connection, "sid=\"a\",bl=1000,bs");
    watch(2, &connection, "sid=\"a\",bl=2000");
    watch(2, &connection, "");
    assert_int_equal(pthread_create(&thread, NULL, work, &other), 0);
    pthread_join(thread, NULL);
    struct viewers_list lists[3] = {{0}, {0}, other.list}, merged;
    assert_int_equal(viewers_list_init(&lists[0], 2), 0);
    viewers_read((int64_t)4e9, &lists[0]);
    assert_int_equal(lists[0].count, 2);
    assert_int_equal(viewers_merge(lists, 3, &merged), 0);
    viewers_list_fini(&lists[0]);
    viewers_list_fini(&lists[2]);
    assert_int_equal(merged.count, 3);
    assert_int_equal(merged.title_count, 1);
    assert_int_equal(merged.titles[0].viewers, 3);
    assert_int_equal(merged.titles[0].bytes, 5 * SEGMENT);
    assert_int_equal(merged.titles[0].stalls, 2);
    const struct viewer_info *joined = &merged.viewers[0]; /* the busiest */
    assert_string_equal(joined->session, "a");
    assert_int_equal(joined->bytes, 3 * SEGMENT);
    assert_int_equal(joined->stalls, 2);
    assert_int_equal(joined->buffer_ms, 9000); /* as of the last */
    assert_int_equal(joined->since_ns, 1000000000);
    viewers_list_fini(&merged);
}

/* ---- What it costs --------------------------------------------------------------------------- */

/* Printed for people; the bound is what a machine that is busy with other things still keeps. */
static void costs(void **state)
{
    enum { CROWD = 2000, ROUNDS = 100, NOTE_MAX_NS = 20 * 1000 };
    static uint64_t connections[CROWD];
    static struct cmcd sessions[CROWD];
    for (unsigned index = 0; index < CROWD; index++)
        sessions[index].sid_size = (uint8_t)snprintf(sessions[index].sid, CMCD_SID_MAX,
                                                     "6e2fb550-c457-11e9-bb97-%012x", index);
    for (unsigned has_session = 0; has_session < 2; has_session++) {
        struct cmcd silent = {0};
        const int64_t begin_ns = leat_now_ns();
        for (unsigned round = 0; round < ROUNDS; round++)
            for (unsigned index = 0; index < CROWD; index++) {
                const struct viewer_note note =
                    note_at(round, &connections[index], has_session ? &sessions[index] : &silent);
                viewers_note(&note);
            }
        const double each_ns = (double)(leat_now_ns() - begin_ns) / CROWD / ROUNDS;
        print_message("%s of %d viewers: %.0f ns a note\n",
                      has_session ? "sessions" : "connections", CROWD, each_ns);
        assert_true(each_ns < NOTE_MAX_NS);
    }
    struct viewers_list own, merged;
    assert_int_equal(viewers_list_init(&own, 2 * CROWD), 0);
    const int64_t begin_ns = leat_now_ns();
    viewers_read((int64_t)(ROUNDS * 1e9), &own);
    const int64_t read_ns = leat_now_ns();
    assert_int_equal(viewers_merge(&own, 1, &merged), 0);
    print_message("%u viewers: %.0f us to read, %.0f us to add up\n", merged.count,
                  (double)(read_ns - begin_ns) / 1e3, (double)(leat_now_ns() - read_ns) / 1e3);
    assert_int_equal(merged.count, 2 * CROWD);
    viewers_list_fini(&own);
    viewers_list_fini(&merged);
}

/* Where there is no room for all, those seen last are read. */
static void short_lists(void **state)
{
    static uint64_t connections[1000];
    for (unsigned index = 0; index < 1000; index++)
        watch(1 + index * 1e-3, &connections[index], "");
    struct viewers_list list;
    assert_int_equal(viewers_list_init(&list, 10), 0);
    viewers_read((int64_t)3e9, &list);
    assert_int_equal(list.count, list.capacity);
    assert_int_equal(list.title_count, 1);
    assert_int_equal(list.viewers[0].seen_ns, 1999000000);
    viewers_read((int64_t)3e9, &list);
    assert_int_equal(list.title_count, 1);
    viewers_list_fini(&list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_registry, close_registry)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody),           TEST(who_is_who),  TEST(silence), TEST(a_crowd),
        TEST(what_players_say), TEST(long_texts),  TEST(rates),   TEST(costs),
        TEST(workers_agree),    TEST(short_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
