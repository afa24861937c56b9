/* SPDX-License-Identifier: MIT */
/*
 * The store of live channels: what was whole is there again, byte for byte, whatever became of the
 * process; the journal is cut off at every byte, and damaged; numbers go on and none is used twice;
 * what is old goes; what cannot be written is told.
 */
#include "stored.h"

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

/* Whole lines that begin so. */
static unsigned count_lines(const char *text, const char *end, const char *word)
{
    unsigned count = 0;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), word, strlen(word))); at++)
        count += memchr(at + 1, '\n', (size_t)(end - at - 1)) != NULL;
    return count;
}

/* What a journal that was cut off says. */
struct said {
    unsigned segments, parts; /* whole ones, and parts of the one behind them */
};

static struct said read_journal(const char *journal, size_t size)
{
    const char *const end = journal + size, *last = journal;
    struct said said = {.segments = count_lines(journal, end, "\nsegment ")};
    for (unsigned index = 0; index < said.segments; index++)
        last = (const char *)memmem(last, (size_t)(end - last), "\nsegment ", 9) + 1;
    said.parts = count_lines(last, end, "\npart ");
    return said;
}

/* A publisher comes: whom nothing was lost to but what nobody can have seen finds no gap. */
static void go_on(struct live_channel *channel, uint64_t first, const struct said *said)
{
    struct camera camera = {0};
    struct live_piece piece;
    const unsigned next = said->segments + 1;
    wall_ns += 10 * LEAT_NS_PER_S;
    broadcast(&camera, 2);
    struct live_view *view = live_look(channel);
    assert_int_equal(view->segments[said->segments].is_gap, said->parts == 0);
    assert_false(view->segments[next].is_gap);
    assert_true(view->segments[next].is_discontinuity);
    for (unsigned index = 0; index + 1 < view->segment_count; index++) {
        assert_int_equal(view->segments[index].number, first + index);
        assert_true(view->segments[index].begin_us + view->segments[index].duration_us <=
                    view->segments[index + 1].begin_us);
    }
    const uint64_t lost = first + said->segments;
    const int error = said->parts == 0 ? -ENOENT : 0;
    assert_int_equal(live_read_segment(channel, LIVE_MUXED, lost, &piece), error);
    assert_int_equal(live_read_part(channel, LIVE_MUXED, lost, 0, &piece), error);
    assert_int_equal(live_read_part(channel, LIVE_MUXED, lost, said->parts, &piece), -ENOENT);
    free(view);
    leave(&camera, false);
}

/* The segment that was in work has ended with the parts that were written. */
static void check_open(const struct kept *kept, const struct said *said)
{
    struct live_channel *channel = must_find();
    struct live_view *view = live_look(channel);
    static char data[SEGMENT_MAX];
    assert_int_equal(view->segment_count, said->segments + (said->parts > 0));
    if (said->parts > 0 && said->segments < kept->count) {
        const size_t size = read_segment(channel, kept->first + said->segments, data);
        assert_int_equal(view->segments[said->segments].duration_us, said->parts * 200000);
        assert_true(size > 0 && size <= kept->sizes[said->segments]);
        assert_memory_equal(data, kept->bytes[said->segments], size);
    }
    free(view);
    live_channel_unref(channel);
}

/* As if the process had died between any two bytes of the journal: what it says is there, nothing
 * else is, and the channel goes on with numbers that were never used. */
static void cut_off_anywhere_it_goes_on(void)
{
    struct camera camera = {0};
    struct kept kept;
    struct said seen = {0};
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
    /* From the end, for what goes on overwrites what stood behind. */
    for (size_t cut = (size_t)(end - journal); cut > strlen("leat-live 1\n"); cut -= 3) {
        const struct said said = read_journal(journal, cut);
        write_journal(journal, cut);
        open_store();
        struct live_channel *channel = live_find(hub, "cam");
        assert_true((channel != NULL) == (said.segments > 0));
        if (channel) {
            check(&kept, said.segments < kept.count ? said.segments : kept.count);
            check_open(&kept, &said);
        }
        if (channel && (said.segments != seen.segments || (said.parts > 0) != (seen.parts > 0)))
            go_on(channel, kept.first, &said);
        seen = said;
        live_channel_unref(channel);
        close_store();
        if (!channel)
            break; /* nothing was stored: the folder has gone */
    }
    path_of("journal", path);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(seen.segments, 0);
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

static unsigned count_gaps(void)
{
    struct live_channel *channel = must_find();
    struct live_view *view = live_look(channel);
    unsigned count = 0;
    for (unsigned index = 0; index < view->segment_count; index++)
        count += view->segments[index].is_gap;
    free(view);
    live_channel_unref(channel);
    return count;
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
    assert_int_equal(count_gaps(), 0);
    clocked.copy = backend_sys_linux.copy;
    camera.frame = 0;
    broadcast(&camera, 6); /* there is room again */
    assert_int_equal(count_gaps(), 2);
    check(&kept, 3);
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
    drop(&kept);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
