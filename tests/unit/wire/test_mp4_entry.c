/* SPDX-License-Identifier: MIT */
/*
 * Sample entries that are made around records and parameter sets: of x264, x265 and others. What is
 * written is read back as any file's entries are, and compared with those of real films.
 */
#include "test_media_files.h"
#include "wire/h26x.h"
#include "wire/mp4_entry.h"
#include "wire/mp4_reader.h"

static unsigned char room[MP4_STSD_MAX];

/* Bytes of hexadecimal digits, in memory of exactly their size. */
struct bytes {
    unsigned char *data;
    size_t size;
};

static struct bytes from_hex(const char *digits)
{
    struct bytes bytes = {.size = strlen(digits) / 2};
    bytes.data = malloc(bytes.size + !bytes.size);
    assert_non_null(bytes.data);
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned value;
        assert_int_equal(sscanf(digits + 2 * i, "%2x", &value), 1);
        bytes.data[i] = (unsigned char)value;
    }
    return bytes;
}

static struct leat_slice slice_from(struct bytes bytes)
{
    return slice_of(bytes.data, bytes.size);
}

/* ---- Parameter sets -------------------------------------------------------------------------- */

struct picture {
    const char *sps;
    unsigned width, height, format, luma, chroma;
};

static const struct picture h264_pictures[] = {
    /* 8 lines are cropped */
    {"6742c028da01e0089f97011000000300100000030140f1832a", 1920, 1080, 1, 8, 8},
    /* fields, each of 288 lines; and of 960, of which nothing is cropped */
    {"67640016acd940b424d80880000003008000000a0f8a14cb", 720, 576, 1, 8, 8},
    {"67640028acd94044078f2f8088000003000800000300a0f8b16cb0", 1080, 1920, 1, 8, 8},
    {"677a0016b6cd940a42fe227c0440000003004000000503c58b6580", 642, 362, 2, 10, 10},
    {"67f40016919b281485fc21118088000003000800000300a078b16cb0", 641, 361, 3, 8, 8},
    {"67640016f3650290bf8f9f016c80000003008000000a078b16cb", 642, 362, 0, 8, 8},
    /* with scaling lists */
    {"67640016acd940a02ff97011000003000100000300140f162d96", 640, 360, 1, 8, 8},
};

static const struct picture h265_pictures[] = {
    {"420101016000000300900000030000030078a003c08010e596566924caf0168080000003008000000504", 1920,
     1080, 1, 8, 8},
    {"4201010408000003009e0800000300003f9000a2402e38888cb2b349265780b4040000030004000003002820",
     641, 361, 3, 8, 8},
    {"4201010408000003009d0800000300003fb005120171c93b65959a4932bc05a02000000300200000030141", 642,
     362, 2, 10, 10},
    {"42010104080000030099c800000300003fc0144805c73ce5296566924caf016c080000030008000003005040",
     642, 362, 0, 12, 12},
    {"42010101600000030090000003000003005da00280802d1f596566924caf0168080000030008000003005040",
     1280, 718, 1, 8, 8},
};

static void expect_picture(int (*read)(struct leat_slice nal, struct h26x_sps *ret_sps),
                           const struct picture *picture)
{
    struct h26x_sps sps;
    const struct bytes nal = from_hex(picture->sps);
    assert_int_equal(read(slice_from(nal), &sps), 0);
    assert_int_equal(sps.width, picture->width);
    assert_int_equal(sps.height, picture->height);
    assert_int_equal(sps.chroma_format, picture->format);
    assert_int_equal(sps.luma_depth, picture->luma);
    assert_int_equal(sps.chroma_depth, picture->chroma);
    /* Cut anywhere it is none, or the part that is read was there. */
    for (size_t cut = 0; cut < nal.size; cut++) {
        unsigned char *const part = malloc(cut + !cut);
        assert_non_null(part);
        memcpy(part, nal.data, cut);
        if (read(slice_of(part, cut), &sps) == 0)
            assert_true(cut > 8 && sps.width == picture->width && sps.height == picture->height);
        free(part);
    }
    /* With any byte changed it is something or nothing, within bounds. */
    for (size_t i = 0; i < nal.size * 256; i++) {
        const unsigned char before = nal.data[i / 256];
        nal.data[i / 256] = (unsigned char)i;
        if (read(slice_from(nal), &sps) == 0)
            assert_true(sps.width > 0 && sps.width <= 65535 && sps.height > 0 &&
                        sps.height <= 65535 && sps.chroma_format <= 3 && sps.luma_depth <= 16);
        nal.data[i / 256] = before;
    }
    free(nal.data);
}

static void pictures(void **state)
{
    for (size_t i = 0; i < COUNT_OF(h264_pictures); i++)
        expect_picture(h264_sps_read, &h264_pictures[i]);
    for (size_t i = 0; i < COUNT_OF(h265_pictures); i++)
        expect_picture(h265_sps_read, &h265_pictures[i]);
}

/* ---- AVC ------------------------------------------------------------------------------------- */

static const char avc_pps[] = "68ebe3cb22c0";

/* A record of a row above, with 4 bytes of what high profiles add. */
static struct leat_slice avc_record(unsigned row, unsigned char *data, size_t size)
{
    const struct bytes sps = from_hex(h264_pictures[row].sps), pps = from_hex(avc_pps);
    struct writer writer = writer_over(data, size);
    assert_int_equal(mp4_avcc_write(&writer, slice_from(sps), slice_from(pps)), 0);
    free(sps.data);
    free(pps.data);
    return writer_slice(&writer);
}

static void avc_records(void **state)
{
    unsigned char data[256];
    /* Baseline: without; 4:2:2 of 10 bits: with format and depths. Checked against ffmpeg's. */
    const struct bytes baseline = from_hex("0142c028ffe1"
                                           "00196742c028da01e0089f97011000000300100000030140f1832a"
                                           "010006"
                                           "68ebe3cb22c0");
    const struct bytes high = from_hex("017a0016ffe1"
                                       "001b677a0016b6cd940a42fe227c0440000003004000000503c58b6580"
                                       "010006"
                                       "68ebe3cb22c0"
                                       "fefafa00");
    struct leat_slice record = avc_record(0, data, sizeof(data));
    assert_int_equal(record.size, baseline.size);
    assert_memory_equal(record.data, baseline.data, baseline.size);
    record = avc_record(3, data, sizeof(data));
    assert_int_equal(record.size, high.size);
    assert_memory_equal(record.data, high.data, high.size);
    free(baseline.data);
    free(high.data);
}

static void avc_entries(void **state)
{
    static const char *const codecs[] = {"avc1.42c028", "avc1.640016", "avc1.640028", "avc1.7a0016",
                                         "avc1.f40016", "avc1.640016", "avc1.640016"};
    for (unsigned i = 0; i < COUNT_OF(h264_pictures); i++) {
        unsigned char data[256];
        struct mp4_track track = {.id = 7, .timescale = 90000, .language = "deu"};
        struct writer writer = writer_over(room, sizeof(room));
        writer_u32be(&writer, 0x12345678); /* what was there before is left in peace */
        assert_int_equal(mp4_entry_avc(&writer, avc_record(i, data, sizeof(data)), &track), 0);
        assert_string_equal(track.codec.text, codecs[i]);
        assert_int_equal(track.codec.width, h264_pictures[i].width);
        assert_int_equal(track.codec.height, h264_pictures[i].height);
        assert_int_equal(track.width, h264_pictures[i].width << 16);
        assert_int_equal(track.height, h264_pictures[i].height << 16);
        assert_int_equal(track.handler, VIDE);
        assert_int_equal(track.entry_count, 1);
        assert_ptr_equal(track.stsd.data, room + 4);
        assert_int_equal(track.stsd.size, writer.size - 4);
        assert_int_equal(track.matrix[1], 1);
        assert_int_equal(track.matrix[32], 0x40);
        assert_int_equal(track.id, 7); /* and so the caller's */
        assert_int_equal(track.timescale, 90000);
        assert_string_equal(track.language, "deu");
    }
}

static void expect_refused(int (*write)(struct writer *writer, struct leat_slice record,
                                        struct mp4_track *track),
                           const char *digits, int result)
{
    const struct bytes record = from_hex(digits);
    struct mp4_track track = {.id = 7}, before = track;
    struct writer writer = writer_over(room, sizeof(room));
    if (write(&writer, slice_from(record), &track) != result)
        fail_msg("%s is not refused with %d", digits, result);
    assert_memory_equal(&track, &before, sizeof(track));
    assert_int_equal(writer.size, 0);
    assert_false(writer.failed);
    free(record.data);
}

#define AVC_SPS "00196742c028da01e0089f97011000000300100000030140f1832a"

static void what_is_no_avc(void **state)
{
    static const char *const rows[] = {
        "",
        "01",
        "0142c028ffe1",
        "0242c028ffe1" AVC_SPS "01000668ebe3cb22c0", /* a version to come */
        "0142c028fee1" AVC_SPS "01000668ebe3cb22c0", /* lengths of 3 bytes */
        "0142c028ffe0" AVC_SPS "01000668ebe3cb22c0", /* no sequence parameter set */
        "0142c028ffe2" AVC_SPS "01000668ebe3cb22c0", /* claims two */
        "0142c028ffe1" AVC_SPS "00",                 /* no picture parameter set */
        "0142c028ffe1" AVC_SPS "01000768ebe3cb22c0", /* it is cut */
        "0142c028ffe1" AVC_SPS "0100066742c0280000", /* it is another */
        "0142c028ffe1" AVC_SPS "010000",
        "0142c028ffe1000168"
        "01000668ebe3cb22c0",
        "0142c028ffe100046742c028"
        "01000668ebe3cb22c0", /* it ends before its sizes */
        "00000001" AVC_SPS,
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_refused(mp4_entry_avc, rows[i], -LEAT_E_MALFORMED);
    const struct bytes sps = from_hex(h264_pictures[0].sps), pps = from_hex(avc_pps);
    struct writer writer = writer_over(room, sizeof(room));
    assert_int_equal(mp4_avcc_write(&writer, slice_from(pps), slice_from(pps)), -LEAT_E_MALFORMED);
    assert_int_equal(mp4_avcc_write(&writer, slice_from(sps), slice_from(sps)), -LEAT_E_MALFORMED);
    assert_int_equal(mp4_avcc_write(&writer, slice_of(NULL, 0), slice_of(NULL, 0)),
                     -LEAT_E_MALFORMED);
    writer = writer_over(room, 10);
    assert_int_equal(mp4_avcc_write(&writer, slice_from(sps), slice_from(pps)), -ENOBUFS);
    free(sps.data);
    free(pps.data);
}

/* ---- HEVC ------------------------------------------------------------------------------------ */

static const char hevc_vps[] = "40010c01ffff016000000300900000030000030078959809";
static const char hevc_pps[] = "4401c172b46240";

static struct leat_slice hevc_record(unsigned row, unsigned char *data, size_t size)
{
    const struct bytes vps = from_hex(hevc_vps), pps = from_hex(hevc_pps);
    const struct bytes sps = from_hex(h265_pictures[row].sps);
    struct writer writer = writer_over(data, size);
    assert_int_equal(mp4_hvcc_write(&writer, slice_from(vps), slice_from(sps), slice_from(pps)), 0);
    assert_int_equal(mp4_hvcc_write(&writer, slice_from(sps), slice_from(sps), slice_from(pps)),
                     -LEAT_E_MALFORMED);
    assert_int_equal(mp4_hvcc_write(&writer, slice_from(vps), slice_from(vps), slice_from(pps)),
                     -LEAT_E_MALFORMED);
    assert_int_equal(mp4_hvcc_write(&writer, slice_from(vps), slice_from(sps), slice_from(vps)),
                     -LEAT_E_MALFORMED);
    free(vps.data);
    free(sps.data);
    free(pps.data);
    return writer_slice(&writer);
}

static void hevc_records(void **state)
{
    unsigned char data[256];
    const struct bytes main =
        from_hex("010160000000900000000000"
                 "78f000fcfdf8f800000f03"
                 "a00001001840010c01ffff016000000300900000030000030078959809"
                 "a10001002a"
                 "420101016000000300900000030000030078a003c08010e596566924caf0168080000003008000000"
                 "504"
                 "a2000100074401c172b46240");
    const struct leat_slice record = hevc_record(0, data, sizeof(data));
    assert_int_equal(record.size, main.size);
    assert_memory_equal(record.data, main.data, main.size);
    free(main.data);
}

/* Where the arrays of a record stand: of one parameter set each. */
static void find_arrays(const unsigned char *record, size_t *ret_places)
{
    enum { FIRST = 23, HEAD = 5 };
    size_t at = FIRST;
    for (unsigned i = 0; i < 3; i++) {
        ret_places[i] = at;
        at += HEAD + (size_t)(record[at + 3] << 8 | record[at + 4]);
    }
}

static void hevc_entries(void **state)
{
    static const char *const codecs[] = {"hvc1.1.6.L120.90", "hvc1.4.10.L63.9E.8",
                                         "hvc1.4.10.L63.9D.8", "hvc1.4.10.L63.99.C8",
                                         "hvc1.1.6.L93.90"};
    for (unsigned i = 0; i < COUNT_OF(h265_pictures); i++) {
        unsigned char data[256];
        size_t places[3];
        struct mp4_track track = {.id = 7};
        struct writer writer = writer_over(room, sizeof(room));
        const struct leat_slice record = hevc_record(i, data, sizeof(data));
        find_arrays(data, places);
        for (unsigned k = 0; k < 3; k++)
            data[places[k]] &= 0x7f; /* "there may be more of them in the samples" */
        assert_int_equal(mp4_entry_hevc(&writer, record, &track), 0);
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(
                (unsigned char)track.stsd.data[track.stsd.size - record.size + places[k]],
                0x80 | (H265_NAL_VPS + k));
        assert_string_equal(track.codec.text, codecs[i]);
        assert_int_equal(track.codec.width, h265_pictures[i].width);
        assert_int_equal(track.height, h265_pictures[i].height << 16);
        assert_int_equal(track.handler, VIDE);
        assert_int_equal(track.entry_count, 1);
    }
}

static void what_is_no_hevc(void **state)
{
    unsigned char data[256];
    size_t places[3];
    struct mp4_track track;
    struct writer writer = writer_over(room, sizeof(room));
    const struct leat_slice record = hevc_record(0, data, sizeof(data));
    find_arrays(data, places);
    for (size_t cut = 0; cut < record.size; cut++)
        assert_int_equal(mp4_entry_hevc(&writer, slice_of(data, cut), &track), -LEAT_E_MALFORMED);
    for (unsigned k = 0; k < 3; k++) { /* a message, where a parameter set was */
        const unsigned char before = data[places[k]];
        data[places[k]] = 39;
        assert_int_equal(mp4_entry_hevc(&writer, record, &track), -LEAT_E_MALFORMED);
        data[places[k]] = before;
    }
    data[21] ^= 1; /* lengths of 3 bytes */
    assert_int_equal(mp4_entry_hevc(&writer, record, &track), -LEAT_E_MALFORMED);
    data[21] ^= 1;
    data[0] = 2; /* a version to come */
    assert_int_equal(mp4_entry_hevc(&writer, record, &track), -LEAT_E_MALFORMED);
    assert_int_equal(writer.size, 0);
}

/* ---- AAC ------------------------------------------------------------------------------------- */

static void aac_entries(void **state)
{
    static const struct {
        const char *config, *text;
        unsigned channels, sample_rate;
    } rows[] = {
        {"1210", "mp4a.40.2", 2, 44100},       {"1188", "mp4a.40.2", 1, 48000},
        {"11b0", "mp4a.40.2", 6, 48000},       {"1010", "mp4a.40.2", 2, 96000},
        {"2b920800", "mp4a.40.5", 2, 44100},   {"eb8a0800", "mp4a.40.29", 2, 44100},
        {"139056e5a0", "mp4a.40.2", 2, 44100}, /* HE that old decoders do not see */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct bytes config = from_hex(rows[i].config);
        struct mp4_track track = {.width = 5};
        struct writer writer = writer_over(room, sizeof(room));
        assert_int_equal(mp4_entry_aac(&writer, slice_from(config), &track), 0);
        assert_string_equal(track.codec.text, rows[i].text);
        assert_int_equal(track.codec.channels, rows[i].channels);
        assert_int_equal(track.codec.sample_rate, rows[i].sample_rate);
        assert_int_equal(track.handler, SOUN);
        assert_int_equal(track.entry_count, 1);
        assert_int_equal(track.width, 0);
        assert_ptr_equal(track.stsd.data, room);
        assert_int_equal(mp4_be32(room), writer.size);
        assert_int_equal(room[25], rows[i].channels); /* of the entry itself: 16 bits each */
        assert_int_equal(mp4_be32(room + 32) >> 16,
                         rows[i].sample_rate < 65536 ? rows[i].sample_rate : 0);
        free(config.data);
    }
    expect_refused(mp4_entry_aac, "", -LEAT_E_MALFORMED);
    expect_refused(mp4_entry_aac, "12", -LEAT_E_MALFORMED);
    expect_refused(mp4_entry_aac, "1690", -LEAT_E_MALFORMED); /* a rate that there is not */
    expect_refused(mp4_entry_aac, "1180", -EOPNOTSUPP);       /* channels elsewhere */
    expect_refused(mp4_entry_aac, "0990", -EOPNOTSUPP);       /* AAC Main */
    expect_refused(mp4_entry_aac, "f9484000", -EOPNOTSUPP);   /* xHE-AAC */
}

/* ---- Limits, and real films ------------------------------------------------------------------ */

static void too_large(void **state)
{
    static char large[MP4_RECORD_MAX + 1];
    static int (*const writes[])(struct writer *, struct leat_slice, struct mp4_track *) = {
        mp4_entry_avc, mp4_entry_hevc, mp4_entry_aac};
    unsigned char data[256];
    struct mp4_track track = {0};
    struct writer writer = writer_over(room, sizeof(room));
    for (size_t i = 0; i < COUNT_OF(writes); i++)
        assert_int_equal(writes[i](&writer, slice_of(large, sizeof(large)), &track), -LEAT_E_LIMIT);
    large[0] = 0x12; /* the largest one: with a tail of zeros */
    large[1] = 0x10;
    assert_int_equal(mp4_entry_aac(&writer, slice_of(large, MP4_RECORD_MAX), &track), 0);
    assert_int_equal(track.codec.channels, 2);
    writer = writer_over(room, sizeof(room));
    memcpy(large, data, avc_record(0, data, sizeof(data)).size);
    memcpy(large, data, sizeof(data));
    assert_int_equal(mp4_entry_avc(&writer, slice_of(large, MP4_RECORD_MAX), &track), 0);
    assert_int_equal(track.codec.width, 1920);
    writer = writer_over(room, 100);
    assert_int_equal(mp4_entry_aac(&writer, slice_of("\x12\x10", 2), &track), 0);
    writer = writer_over(room, 70);
    assert_int_equal(mp4_entry_aac(&writer, slice_of("\x12\x10", 2), &track), -ENOBUFS);
    assert_true(writer.failed);
}

struct films {
    struct media_file *media;
    unsigned avc, hevc, aac;
};

/* The payload of a box of an entry; empty when there is none. */
static struct leat_slice box_in(struct leat_slice entry, const char *type)
{
    const char *const at = memmem(entry.data, entry.size, type, 4);
    if (!at)
        return slice_of(NULL, 0);
    const uint32_t size = mp4_be32((const unsigned char *)at - 4);
    assert_true(size >= 8 && size - 8 <= (size_t)(entry.data + entry.size - at - 4));
    return slice_of(at + 4, size - 8);
}

/* An AudioSpecificConfig: what stands behind the tag 5 in an esds. */
static struct leat_slice config_in(struct leat_slice esds)
{
    enum { FIELDS = 13 };
    const char *const decoder = memmem(esds.data, esds.size, "\x40\x15", 2);
    if (!decoder || decoder[FIELDS] != 5)
        return slice_of(NULL, 0);
    const char *at = decoder + FIELDS + 1;
    while (*at & 0x80)
        at++;
    return slice_of(at + 1, (size_t)*at);
}

static bool make_again(unsigned index, const struct mp4_track *track, void *user)
{
    struct films *const films = user;
    const uint32_t fourcc = track->codec.fourcc;
    const struct leat_slice entry =
        slice_of(track->stsd.data, mp4_be32((const unsigned char *)track->stsd.data));
    struct mp4_track again = {0};
    struct writer writer = writer_over(room, sizeof(room));
    if (track->codec.is_encrypted)
        return false;
    if (fourcc == MP4_FOURCC('a', 'v', 'c', '1')) {
        assert_int_equal(mp4_entry_avc(&writer, box_in(entry, "avcC"), &again), 0);
        films->avc++;
    } else if (fourcc == MP4_FOURCC('h', 'v', 'c', '1') ||
               fourcc == MP4_FOURCC('h', 'e', 'v', '1')) {
        enum { WITHOUT_ARRAYS = 23 };
        const struct leat_slice record = box_in(entry, "hvcC");
        const bool is_in_samples = record.size <= WITHOUT_ARRAYS;
        assert_int_equal(mp4_entry_hevc(&writer, record, &again),
                         is_in_samples ? -LEAT_E_MALFORMED : 0);
        if (is_in_samples)
            return false;
        films->hevc++;
    } else if (strncmp(track->codec.text, "mp4a.40.", 8) == 0) {
        const struct leat_slice config = config_in(box_in(entry, "esds"));
        if (config.size == 0 || mp4_entry_aac(&writer, config, &again) == -EOPNOTSUPP)
            return false;
        assert_int_equal(again.codec.sample_rate, track->codec.sample_rate);
        assert_int_equal(again.codec.channels, track->codec.channels);
        films->aac++;
    } else {
        return false;
    }
    if (track->codec.width != again.codec.width || track->codec.height != again.codec.height)
        print_message("# %s: its entry says %u x %u, its parameter sets %u x %u\n",
                      films->media->name, track->codec.width, track->codec.height,
                      again.codec.width, again.codec.height);
    assert_string_equal(again.codec.text + 4, track->codec.text + 4);
    return false;
}

static int no_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    return 0;
}

static void look_at(struct media_file *media, void *user)
{
    struct films *const films = user;
    const struct mp4_source source = {.read = read_media, .user = media, .size = media->size};
    const struct mp4_events events = {
        .on_track = make_again, .on_sample = no_sample, .user = films};
    struct mp4_movie movie;
    struct mp4_problem problem;
    films->media = media;
    (void)mp4_read(&source, &events, &movie, &problem);
}

static void as_in_films(void **state)
{
    struct films films = {0};
    for_each_media(look_at, &films);
    print_message("# %u entries of AVC, %u of HEVC, %u of AAC\n", films.avc, films.hevc, films.aac);
    assert_true(films.avc > 20 && films.hevc >= 3 && films.aac > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures),        cmocka_unit_test(avc_records),
        cmocka_unit_test(avc_entries),     cmocka_unit_test(what_is_no_avc),
        cmocka_unit_test(hevc_records),    cmocka_unit_test(hevc_entries),
        cmocka_unit_test(what_is_no_hevc), cmocka_unit_test(aac_entries),
        cmocka_unit_test(too_large),       cmocka_unit_test(as_in_films),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
