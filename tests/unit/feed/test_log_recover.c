/* SPDX-License-Identifier: MIT */
/*
 * What the log makes of what an earlier process left: every flipped byte, emptied page and
 * shortened file; other boots; records of a file's earlier life, planted where they would fit;
 * whatever a kill can leave behind while a segment is made, recycled or begun. Either all that was
 * promised is there, or it is refused with a line that says why; nothing else ever is.
 */
#include "logged.h"

enum { END = 700 }; /* of the messages that a damaged log had */

static uint8_t image[SMALL_SEGMENT];

/* A log of one segment, closed; its bytes in `image`, its records' end. */
static size_t make_image(struct logged *logged)
{
    must_open(logged);
    append_closed(logged, END);
    const size_t end = logged->log->offset;
    close_log(logged);
    read_segment(logged, 1, 0, image, sizeof image);
    return end;
}

static void restore(const struct logged *logged)
{
    write_segment(logged, 1, 0, image, sizeof image);
}

/* All is there, or nothing is opened. */
static bool is_whole_or_refused(struct logged *logged)
{
    const int error = try_open(logged);
    assert_true(error == 0 || error == -EBADMSG || error == -ESTALE);
    if (error)
        return false;
    check_from(logged, 1, END);
    close_log(logged);
    return true;
}

/* ---- Damage, the host was up all the time ---------------------------------------------------- */

static void a_flipped_byte_is_refused(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    const size_t end = make_image(&logged);
    unsigned whole = 0, tries = 0;
    for (size_t offset = FEED_LOG_HEADER_SIZE; offset < end; offset += 37, tries++) {
        flip_byte(&logged, 1, offset);
        whole += is_whole_or_refused(&logged);
        restore(&logged);
    }
    /* Bytes that only fill up to the next record may be what they like: a few of 1400. */
    assert_true(whole <= tries / 50);
    for (size_t offset = 0; offset < sizeof(struct feed_log_header); offset++) {
        flip_byte(&logged, 1, offset);
        is_whole_or_refused(&logged);
        restore(&logged);
    }
    assert_true(is_whole_or_refused(&logged));
    fini_logged(&logged);
}

static void an_emptied_page_is_refused(void **state)
{
    static const uint8_t zeros[4096];
    struct logged logged;
    init_logged(&logged, true);
    const size_t end = make_image(&logged);
    for (size_t offset = 0; offset < end; offset += sizeof zeros) {
        write_segment(&logged, 1, offset, zeros, sizeof zeros);
        assert_false(is_whole_or_refused(&logged));
        restore(&logged);
    }
    for (size_t offset = FEED_LOG_HEADER_SIZE; offset + 512 < end; offset += 512) {
        write_segment(&logged, 1, offset, zeros, 512);
        assert_false(is_whole_or_refused(&logged));
        restore(&logged);
    }
    fini_logged(&logged);
}

static void a_shortened_file_is_refused(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    make_image(&logged);
    static const size_t sizes[] = {0, 1, 60, 100, 4096, 4097, 8192, 100000, SMALL_SEGMENT - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int fd = open_segment(&logged, 1);
        assert_int_equal(ftruncate(fd, (off_t)sizes[i]), 0);
        close(fd);
        assert_int_equal(try_open(&logged), -EBADMSG);
        assert_non_null(strstr(logged.reason, "00000001.mold"));
        restore(&logged);
    }
    assert_true(is_whole_or_refused(&logged));
    fini_logged(&logged);
}

/* What is committed and not closed is believed to the last message; not beyond. */
static void the_open_record_is_believed(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    must_open(&logged);
    append_until(&logged, 200);
    const size_t open_at = logged.log->offset;
    const uint64_t closed = logged.log->closed_sequence;
    const size_t at = (size_t)(logged.tail->at - logged.log->segments[0]->data);
    assert_true(closed < 200 && logged.tail->at);
    memset(logged.tail->at, 0xEE, 8); /* written, never committed */
    close_log(&logged);
    read_segment(&logged, 1, 0, image, sizeof image);

    /* Its word claims a message or a byte more, or less; or the packet is not of this place. */
    uint64_t word;
    memcpy(&word, image + open_at, sizeof word);
    const uint64_t wrong[] = {word + (UINT64_C(1) << 48), word - (UINT64_C(1) << 48),
                              word + (UINT64_C(1) << 32), word - (UINT64_C(1) << 32),
                              word | UINT64_C(0xFFFF) << 48};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set_word(&logged, 1, open_at, wrong[i]);
        assert_int_equal(try_open(&logged), -EBADMSG);
        restore(&logged);
    }
    for (size_t offset = open_at + 16; offset < open_at + 34; offset++) {
        flip_byte(&logged, 1, offset);
        assert_int_equal(try_open(&logged), -EBADMSG);
        restore(&logged);
    }
    must_open(&logged);
    check_from(&logged, 1, 200);
    assert_in_range(logged.log->offset, at, at + 8);
    append_closed(&logged, 400);
    check_from(&logged, closed, 400);
    fini_logged(&logged);
}

/* ---- Other boots ----------------------------------------------------------------------------- */

static void after_a_boot_nobody_knows_what_was_sent(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    make_image(&logged);
    reboot(&logged, 1);
    assert_int_equal(try_open(&logged), -ESTALE);
    logged.options.is_durable = true; /* too late */
    assert_int_equal(try_open(&logged), -ESTALE);
    logged.options.is_read_only = true;
    must_open(&logged);
    check_from(&logged, 1, END);
    close_log(&logged);

    logged.options.is_read_only = logged.options.is_durable = false;
    restore(&logged);
    must_open(&logged);
    feed_log_end(logged.log);
    close_log(&logged);
    reboot(&logged, 1);
    must_open(&logged);
    assert_true(feed_log_is_ended(logged.log));
    check_from(&logged, 1, END);
    fini_logged(&logged);
}

/* Whatever the power cut took behind what was on the disk: the log ends at the first hole, for
 * good, and goes on there. */
static void a_power_cut_takes_what_was_not_synced(void **state)
{
    static const uint8_t zeros[512];
    struct logged logged;
    init_logged(&logged, true);
    logged.options.is_durable = true;
    const size_t end = make_image(&logged);
    const uint64_t synced = 300;
    unsigned cut = 0, refused = 0;
    for (size_t offset = FEED_LOG_HEADER_SIZE; offset + 512 < end; offset += 512) {
        HEADER_WORD(&logged, 1, synced_sequence, synced);
        write_segment(&logged, 1, offset, zeros, sizeof zeros);
        reboot(&logged, 1);
        const int error = try_open(&logged);
        if (error) {
            assert_int_equal(error, -EBADMSG);
            refused++;
        } else {
            const uint64_t next = logged.tail->next_sequence;
            assert_in_range(next, synced, END - 1);
            check_from(&logged, 1, next);
            append_closed(&logged, next + 1); /* shorter than what was there */
            close_log(&logged);
            must_open(&logged);
            check_from(&logged, 1, next + 1);
            close_log(&logged);
            cut++;
        }
        restore(&logged);
    }
    assert_true(cut > 20 && refused > 10);

    /* The open record of another boot is nothing. */
    must_open(&logged);
    append_until(&logged, END + 5);
    close_log(&logged);
    reboot(&logged, 1);
    must_open(&logged);
    assert_int_equal(logged.tail->next_sequence, END);
    check_from(&logged, 1, END);
    fini_logged(&logged);
}

/* A segment was begun, and the end of the one before it never came to the disk. */
static void a_power_cut_takes_segments(void **state)
{
    struct logged logged;
    uint64_t first_of[3];
    init_logged(&logged, true);
    logged.options.is_durable = true;
    must_open(&logged);
    append_closed(&logged, 15000);
    assert_true(logged.log->count >= 3);
    for (size_t i = 0; i < 3; i++)
        first_of[i] = logged.log->segments[i]->first_sequence;
    const uint64_t last = logged.log->segments[logged.log->count - 1]->number;
    const size_t half = SMALL_SEGMENT / 2;
    close_log(&logged);
    flip_byte(&logged, 2, half);
    reboot(&logged, last);
    HEADER_WORD(&logged, last, synced_sequence, first_of[1] + 10);
    must_open(&logged);
    assert_int_equal(logged.log->count, 2);
    assert_false(has_segment(&logged, 3));
    const uint64_t next = logged.tail->next_sequence;
    assert_in_range(next, first_of[1] + 10, first_of[2] - 1);
    append_closed(&logged, 15000);
    check_from(&logged, 1, 15000);
    close_log(&logged);

    /* On the same boot that is damage; and so it is before what was synced. */
    flip_byte(&logged, 1, half);
    reboot(&logged, last);
    HEADER_WORD(&logged, last, synced_sequence, 10);
    HEADER_WORD(&logged, 1, end_sequence, 0);
    HEADER_WORD(&logged, 2, synced_sequence, first_of[1]);
    assert_int_equal(try_open(&logged), -EBADMSG);
    fini_logged(&logged);
}

/* ---- What lay there before ------------------------------------------------------------------- */

static uint32_t tail_epoch(const struct logged *logged, uint64_t number)
{
    struct feed_log_header header;
    read_segment(logged, number, 0, &header, sizeof header);
    return le32toh(header.epoch);
}

/* What a file held in its earlier life, and what was made to look like a record of this one. */
static void stale_bytes_are_no_records(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    logged.options.segments_kept = 2;
    must_open(&logged);
    while (logged.log->segments[0]->number < 4)
        append_closed(&logged, logged.tail->next_sequence + 10);
    /* The tail is a recycled file, not full: its bytes behind the end are old records. */
    struct feed_segment *tail = logged.log->segments[logged.log->count - 1];
    const uint64_t number = tail->number, next = logged.tail->next_sequence;
    const size_t end = logged.log->offset;
    assert_true(end + 8192 < SMALL_SEGMENT);
    unsigned old_words = 0;
    for (size_t offset = end + 8; offset < SMALL_SEGMENT; offset += 8)
        old_words += feed_word_load(tail->data + offset) != 0;
    assert_true(old_words > 1000);
    close_log(&logged);
    must_open(&logged);
    assert_int_equal(logged.tail->next_sequence, next);
    check_from(&logged, logged.log->segments[0]->first_sequence, next);
    close_log(&logged);

    /* One that is right in all but its life: closed, of this session, with the next sequence. */
    uint8_t record[56] = {[37] = 9}; /* a message of 9 bytes, and an empty word */
    const uint64_t word = UINT64_C(11) << 32 | UINT64_C(1) << 48;
    const uint32_t epoch = tail_epoch(&logged, number);
    mold_write_header(record + 16, logged.options.session, next, 1);
    for (uint32_t other = 0; other < 4; other++) {
        const uint64_t closed = htole64(word | feed_record_sum(epoch ^ other, record, 11));
        memcpy(record, &closed, sizeof closed);
        write_segment(&logged, number, end, record, sizeof record);
        assert_int_equal(try_open(&logged), other ? -EBADMSG : 0);
        if (other)
            continue;
        assert_int_equal(logged.tail->next_sequence, next + 1);
        close_log(&logged);
    }
    fini_logged(&logged);
}

/* Message bytes that look like an open record, just where the next record will begin. */
static void a_message_cannot_pass_for_a_record(void **state)
{
    struct logged logged;
    uint8_t forged[64] = {0};
    init_logged(&logged, true);
    must_open(&logged);
    append_closed(&logged, 10);
    const size_t end = logged.log->offset;
    const uint64_t word = htole64(UINT64_C(11) << 32 | UINT64_C(1) << 48);
    memcpy(forged, &word, sizeof word);
    mold_write_header(forged + 16, logged.options.session, 11, 0);
    forged[37] = 9;
    /* The next record, of one message, ends where the forged one begins: it was there before. */
    const size_t size = message_size(10);
    memcpy(logged.log->segments[0]->data + end + feed_record_size(2 + size), forged, sizeof forged);
    append_until(&logged, 11);
    feed_log_finish_record(logged.log);
    assert_int_equal(logged.log->offset, end + feed_record_size(2 + size));
    close_log(&logged);
    must_open(&logged);
    check_from(&logged, 1, 11);
    fini_logged(&logged);
}

/* ---- Gaps, and half-made things -------------------------------------------------------------- */

static void make_segments(struct logged *logged, size_t count)
{
    must_open(logged);
    while (logged->log->count < count)
        append_closed(logged, logged->tail->next_sequence + 100);
}

static void rename_segment(const struct logged *logged, uint64_t from, uint64_t to)
{
    char old_path[128], new_path[128];
    snprintf(old_path, sizeof old_path, "%s/%08lu.mold", logged->path, (unsigned long)from);
    snprintf(new_path, sizeof new_path, "%s/%08lu.mold", logged->path, (unsigned long)to);
    assert_int_equal(rename(old_path, new_path), 0);
}

static void a_gap_is_refused(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    make_segments(&logged, 4);
    close_log(&logged);
    rename_segment(&logged, 2, 77);
    assert_int_equal(try_open(&logged), -EBADMSG);
    rename_segment(&logged, 77, 2);
    rename_segment(&logged, 4, 78);
    assert_int_equal(try_open(&logged), -EBADMSG);
    rename_segment(&logged, 78, 4);
    uint8_t header[FEED_LOG_HEADER_SIZE];
    read_segment(&logged, 2, 0, header, sizeof header);
    HEADER_WORD(&logged, 2, end_sequence, 17);
    assert_int_equal(try_open(&logged), -EBADMSG);
    assert_non_null(strstr(logged.reason, "missing between"));
    write_segment(&logged, 2, 0, header, sizeof header);
    HEADER_WORD(&logged, 2, first_sequence, 0);
    assert_int_equal(try_open(&logged), -EBADMSG);
    write_segment(&logged, 2, 0, header, sizeof header);
    must_open(&logged);
    check_from(&logged, 1, logged.tail->next_sequence);
    fini_logged(&logged);
}

/* Each of the instants at which a kill can come while a segment is made or recycled. */
static void what_was_being_made_is_cleared_away(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    make_segments(&logged, 4);
    const uint64_t next = logged.tail->next_sequence;
    const uint64_t first_of_2 = logged.log->segments[1]->first_sequence;
    close_log(&logged);

    char path[128];
    snprintf(path, sizeof path, "%s/%s", logged.path, FEED_LOG_NEW_NAME);
    close(open(path, O_CREAT | O_RDWR, 0644)); /* made, and not named */
    must_open(&logged);
    assert_int_equal(access(path, F_OK), -1);
    check_from(&logged, 1, next);
    close_log(&logged);

    /* The oldest, to be recycled: emptied of its claim; of its header's sum, too. */
    HEADER_WORD(&logged, 1, first_sequence, 0);
    set_word(&logged, 1, FEED_LOG_HEADER_SIZE, 0);
    flip_byte(&logged, 1, offsetof(struct feed_log_header, number));
    must_open(&logged);
    assert_int_equal(logged.log->segments[0]->number, 2);
    assert_false(has_segment(&logged, 1));
    check_from(&logged, first_of_2, next);
    struct feed_log_cursor cursor;
    assert_int_equal(feed_log_hold(logged.log, first_of_2 - 1, &cursor), -ENOENT);
    close_log(&logged);

    /* Prepared and named, not begun: with whatever its earlier life left behind the first word. */
    read_segment(&logged, 2, 0, image, sizeof image);
    struct feed_log_header *header = (struct feed_log_header *)(void *)image;
    header->first_sequence = header->end_sequence = 0;
    memset(image + FEED_LOG_HEADER_SIZE, 0, 8);
    const uint64_t last = logged.log ? 0 : 5;
    snprintf(path, sizeof path, "%s/%08lu.mold", logged.path, (unsigned long)last);
    const int fd = open(path, O_CREAT | O_RDWR, 0644);
    assert_int_equal(write(fd, image, sizeof image), sizeof image);
    close(fd);
    must_open(&logged);
    assert_false(has_segment(&logged, last));
    append_closed(&logged, next + 20000);
    check_from(&logged, first_of_2, next + 20000);
    fini_logged(&logged);
}

/* Between the two stores of a roll: the old one says where it ends, the new one is not begun. */
static void a_roll_that_was_cut_in_two(void **state)
{
    struct logged logged;
    init_logged(&logged, true);
    make_segments(&logged, 3);
    const uint64_t first = logged.log->segments[2]->first_sequence;
    close_log(&logged);
    HEADER_WORD(&logged, 3, first_sequence, 0);
    set_word(&logged, 3, FEED_LOG_HEADER_SIZE, 0); /* for this test it has messages: forgotten */
    must_open(&logged);
    assert_int_equal(logged.tail->next_sequence, first);
    assert_int_equal(logged.log->count, 3);
    append_closed(&logged, first + 500);
    check_from(&logged, 1, first + 500);
    fini_logged(&logged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_byte_is_refused),
        cmocka_unit_test(an_emptied_page_is_refused),
        cmocka_unit_test(a_shortened_file_is_refused),
        cmocka_unit_test(the_open_record_is_believed),
        cmocka_unit_test(after_a_boot_nobody_knows_what_was_sent),
        cmocka_unit_test(a_power_cut_takes_what_was_not_synced),
        cmocka_unit_test(a_power_cut_takes_segments),
        cmocka_unit_test(stale_bytes_are_no_records),
        cmocka_unit_test(a_message_cannot_pass_for_a_record),
        cmocka_unit_test(a_gap_is_refused),
        cmocka_unit_test(what_was_being_made_is_cleared_away),
        cmocka_unit_test(a_roll_that_was_cut_in_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
