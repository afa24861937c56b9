/* SPDX-License-Identifier: MIT */
/*
 * Where a film's cover lies, in files that are put together box by box, whole and damaged.
 */
#include "test_mp4_file.h"
#include "wire/mp4_cover.h"

static const unsigned char jpeg[] = {0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F'};
static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0};

static int find_cover(const struct file *file, struct mp4_cover *cover)
{
    struct reading reading = {.file = file};
    const struct mp4_source source = {read_file, &reading, size_of(file)};
    return mp4_cover_find(&source, cover);
}

static void put_data(struct file *file, uint32_t type, const void *bytes, size_t size)
{
    const size_t box = open_box(file, "data");
    put32(file, type);
    put32(file, 0);
    put(file, bytes, size);
    close_box(file, box);
}

static size_t open_meta(struct file *file, bool is_quicktime)
{
    const size_t meta = is_quicktime ? open_box(file, "meta") : open_full_box(file, "meta", 0, 0);
    put_hdlr(file, "mdir");
    return meta;
}

/* A whole file, with this in covr; `udta` NULL: meta stands right in moov. */
static struct file *file_with(const char *udta, bool is_quicktime, const void *bytes, size_t size)
{
    static struct file file;
    memset(&file, 0, sizeof file);
    put_ftyp(&file, "isom");
    const size_t moov = open_box(&file, "moov");
    put_mvhd(&file);
    const size_t user = udta ? open_box(&file, udta) : 0;
    const size_t meta = open_meta(&file, is_quicktime);
    const size_t ilst = open_box(&file, "ilst");
    const size_t title = open_box(&file, "\251nam");
    put_data(&file, 1, "Watercourse", 11);
    close_box(&file, title);
    const size_t covr = open_box(&file, "covr");
    put_data(&file, 13, bytes, size);
    close_box(&file, covr);
    close_box(&file, ilst);
    close_box(&file, meta);
    if (udta)
        close_box(&file, user);
    close_box(&file, moov);
    return &file;
}

static void expect_cover(const struct file *file, const void *bytes, size_t size, const char *type)
{
    struct mp4_cover cover;
    assert_int_equal(find_cover(file, &cover), 0);
    assert_string_equal(cover.media_type, type);
    assert_int_equal(cover.size, size);
    assert_memory_equal(file->data + cover.offset, bytes, size);
}

static void test_where_covers_stand(void **state)
{
    expect_cover(file_with("udta", false, jpeg, sizeof jpeg), jpeg, sizeof jpeg, "image/jpeg");
    expect_cover(file_with("udta", true, png, sizeof png), png, sizeof png, "image/png");
    expect_cover(file_with(NULL, false, png, sizeof png), png, sizeof png, "image/png");
}

static void test_a_cover_behind_the_media(void **state)
{
    struct file whole = *file_with("udta", false, jpeg, sizeof jpeg);
    static struct file file;
    struct mp4_cover cover;
    memset(&file, 0, sizeof file);
    put_ftyp(&file, "isom");
    const uint64_t mdat_size = UINT64_C(8) << 30;
    put32(&file, 1);
    put(&file, "mdat", 4);
    put64(&file, mdat_size + 16);
    file.hole_offset = file.size;
    file.hole = mdat_size;
    const size_t ftyp_size = 16;
    put(&file, whole.data + ftyp_size, whole.size - ftyp_size);
    assert_int_equal(find_cover(&file, &cover), 0);
    assert_memory_equal(file.data + (cover.offset - mdat_size), jpeg, sizeof jpeg);
}

static void test_the_first_that_is_a_picture(void **state)
{
    static const unsigned char bitmap[12] = {'B', 'M'};
    struct file *file = file_with("udta", false, bitmap, sizeof bitmap);
    struct mp4_cover cover;
    assert_int_equal(find_cover(file, &cover), -ENOENT);
    /* Another data box in covr, behind it: all around grows by it. */
    const size_t before = file->size;
    put_data(file, 14, png, sizeof png);
    const uint32_t grown = (uint32_t)(file->size - before);
    static const char *const around[] = {"moov", "udta", "meta", "ilst", "covr"};
    for (size_t index = 0; index < COUNT_OF(around); index++) {
        const size_t at = find(file, around[index]);
        set32(file, at, (uint32_t)(before - at) + grown);
    }
    expect_cover(file, png, sizeof png, "image/png");
}

static void test_files_without_one(void **state)
{
    static struct file file;
    struct mp4_cover cover;
    assert_int_equal(find_cover(&file, &cover), -ENOENT); /* empty */
    put_ftyp(&file, "isom");
    assert_int_equal(find_cover(&file, &cover), -ENOENT);
    const size_t moov = open_box(&file, "moov");
    put_mvhd(&file);
    close_box(&file, moov);
    assert_int_equal(find_cover(&file, &cover), -ENOENT);
    put(&file, "text that is no box at all", 26);
    assert_int_equal(find_cover(&file, &cover), -ENOENT);
    /* Too short for a picture, and too large for one. */
    assert_int_equal(find_cover(file_with("udta", false, jpeg, 7), &cover), -ENOENT);
    struct file *large = file_with("udta", false, jpeg, sizeof jpeg);
    large->hole_offset = large->size;
    large->hole = MP4_COVER_SIZE_MAX;
    static const char *const around[] = {"moov", "udta", "meta", "ilst", "covr"};
    for (size_t index = 0; index < COUNT_OF(around); index++) {
        const size_t at = find(large, around[index]);
        set32(large, at, (uint32_t)(size_of(large) - at));
    }
    const size_t covr = find(large, "covr");
    set32(large, covr + 8, (uint32_t)(size_of(large) - covr - 8));
    assert_int_equal(find_cover(large, &cover), -ENOENT);
    large->hole = MP4_COVER_SIZE_MAX - sizeof jpeg;
    for (size_t index = 0; index < COUNT_OF(around); index++) {
        const size_t at = find(large, around[index]);
        set32(large, at, (uint32_t)(size_of(large) - at));
    }
    set32(large, covr + 8, (uint32_t)(size_of(large) - covr - 8));
    assert_int_equal(find_cover(large, &cover), 0);
    assert_int_equal(cover.size, MP4_COVER_SIZE_MAX);
}

/* A file of boxes of nothing is given up, long before its end. */
static void test_boxes_without_end(void **state)
{
    static struct file file;
    struct mp4_cover cover;
    while (file.size < sizeof file.data - 8) {
        put32(&file, 8);
        put(&file, "free", 4);
    }
    struct reading reading = {.file = &file};
    const struct mp4_source source = {read_file, &reading, file.size};
    assert_int_equal(mp4_cover_find(&source, &cover), -ENOENT);
    assert_true(reading.read_bytes <= MP4_COVER_BOXES_MAX * 8 + 8192);
}

/* Whatever byte is another, and wherever it is cut: no cover, or one that is within the file. */
static void test_damage(void **state)
{
    struct file *file = file_with("udta", false, jpeg, sizeof jpeg);
    struct mp4_cover cover;
    for (size_t at = 0; at < file->size; at++) {
        const unsigned char was = file->data[at];
        for (unsigned bit = 0; bit < 8; bit++) {
            file->data[at] = (unsigned char)(was ^ 1u << bit);
            const int error = find_cover(file, &cover);
            assert_true(error == 0 || error == -ENOENT);
            if (!error)
                assert_true(cover.offset + cover.size <= file->size);
        }
        file->data[at] = was;
    }
    for (const size_t whole = file->size; file->size > 0;) {
        file->size--;
        assert_int_equal(find_cover(file, &cover), -ENOENT);
        assert_true(file->size < whole);
    }
}

static void test_errors_of_the_source(void **state)
{
    const struct file *file = file_with("udta", false, jpeg, sizeof jpeg);
    struct mp4_cover cover;
    struct reading reading = {.file = file, .fail_read = 1};
    const struct mp4_source source = {read_file, &reading, file->size};
    assert_int_equal(mp4_cover_find(&source, &cover), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_covers_stand),
        cmocka_unit_test(test_a_cover_behind_the_media),
        cmocka_unit_test(test_the_first_that_is_a_picture),
        cmocka_unit_test(test_files_without_one),
        cmocka_unit_test(test_boxes_without_end),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_errors_of_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
