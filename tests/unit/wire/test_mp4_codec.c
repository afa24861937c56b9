/* SPDX-License-Identifier: MIT */
/*
 * Sample entries: the names browsers know codecs by, and what a decoder's configuration says that
 * its entry does not; entries as they stand in files of many muxers, cut down to what is looked at.
 */
#include "test_mp4_file.h"

static struct file file;

/* Puts bytes that are given as hexadecimal digits; blanks are for people. */
static void put_hex(const char *digits)
{
    for (; *digits; digits++) {
        unsigned value;
        if (*digits == ' ')
            continue;
        assert_int_equal(sscanf(digits, "%2x", &value), 1);
        put8(&file, value);
        digits++;
    }
}

static void put_box(const char *type, const char *digits)
{
    const size_t box = open_box(&file, type);
    put_hex(digits);
    close_box(&file, box);
}

static size_t open_video(const char *fourcc)
{
    file = (struct file){.size = 0};
    const size_t entry = open_box(&file, fourcc);
    put_zeros(&file, 24);
    put16(&file, 1920);
    put16(&file, 1080);
    put_zeros(&file, 50);
    return entry;
}

/* A sound entry of stereo at 44,100 Hz; of version 1 and 2 with what QuickTime adds. */
static size_t open_sound(const char *fourcc, unsigned version)
{
    file = (struct file){.size = 0};
    const size_t entry = open_box(&file, fourcc);
    put_zeros(&file, 8);
    put16(&file, version);
    put_zeros(&file, 6);
    put16(&file, 2);
    put16(&file, 16);
    put32(&file, 0);
    put32(&file, 44100u << 16);
    if (version == 1)
        put_hex("00000400 00000000 00000002 00000002");
    if (version == 2) { /* 96 kHz as a double, six channels */
        put32(&file, 72);
        put_hex("40f7700000000000 00000006 7f000000 00000010 00000000 00000002 00000400");
    }
    return entry;
}

static struct mp4_codec close_entry(size_t entry, uint32_t handler)
{
    struct mp4_codec codec;
    close_box(&file, entry);
    /* Memory of exactly this size, so that a sanitizer sees the first byte read beyond it. */
    char *const copy = malloc(file.size);
    assert_non_null(copy);
    memcpy(copy, file.data, file.size);
    mp4_codec_of(slice_of(copy, file.size), handler, &codec);
    free(copy);
    return codec;
}

/* ---- Video ----------------------------------------------------------------------------------- */

static void video(void **state)
{
    static const struct {
        const char *fourcc, *box, *digits, *text;
    } rows[] = {
        {"avc1", "avcC", "01 64 00 1f ff", "avc1.64001f"},
        {"avc3", "avcC", "01 42 e0 0d ff", "avc3.42e00d"},
        {"avc1", "avcC", "01 64 00", ""},
        {"avc1", "free", "01 64 00 1f ff", ""},
        /* x265's main; constraints to the last that is not 0 */
        {"hvc1", "hvcC", "01 01 60000000 900000000000 5d f000", "hvc1.1.6.L93.90"},
        {"hev1", "hvcC", "01 22 20000000 b00000000001 99 f000", "hev1.2.4.H153.B0.0.0.0.0.1"},
        {"hev1", "hvcC", "01 c4 08000000 000000000000 5a f000", "hev1.C4.10.L90"},
        {"hvc1", "hvcC", "01 ff ffffffff ffffffffffff ff f000",
         "hvc1.C31.FFFFFFFF.H255.FF.FF.FF.FF.FF.FF"},
        {"hvc1", "hvcC", "01 01 60000000 9000000000", ""},
        {"av01", "av1C", "81 05 0c 00", "av01.0.05M.08"},
        {"av01", "av1C", "81 1f 4c 00", "av01.0.31M.10"},
        {"av01", "av1C", "81 4d e0 00", "av01.2.13H.12"},
        {"av01", "av1C", "01 05 0c 00", ""},
        {"vp09", "vpcC", "01000000 00 1e 82 02 02 02 0000", "vp09.00.30.08"},
        {"vp09", "vpcC", "01000000 02 33 a2 02 02 02 0000", "vp09.02.51.10"},
        {"vp08", "vpcC", "01000000 00 0a 82 02 02 02 0000", "vp08.00.10.08"},
        {"vp09", "vpcC", "01000000 00", ""},
        {"vvc1", "vvcC", "00000000", ""},
        {"s263", "d263", "00000000 00", ""},
        {"jpeg", "free", "", ""},
        {"apco", "free", "", ""},
        {"mp4v", "esds", "00000000 030000", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const size_t entry = open_video(rows[i].fourcc);
        put_box("pasp", "00000001 00000001");
        put_box(rows[i].box, rows[i].digits);
        const struct mp4_codec codec = close_entry(entry, VIDE);
        assert_string_equal(codec.text, rows[i].text);
        assert_memory_equal(file.data + 4, rows[i].fourcc, 4);
        assert_int_equal(codec.width, 1920);
        assert_int_equal(codec.height, 1080);
        assert_int_equal(codec.channels, 0);
        assert_false(codec.is_encrypted);
    }
}

/* ---- Sound ----------------------------------------------------------------------------------- */

/* An esds as most write it: `config` in a DecoderSpecificInfo. */
static void put_esds(unsigned object_type, const char *config)
{
    const size_t esds = open_full_box(&file, "esds", 0, 0);
    const unsigned size = (unsigned)strlen(config) / 2;
    put_hex("03 80808020 0001 00"); /* says that it is longer than it is: that is let pass */
    put8(&file, 4);
    put8(&file, 13 + (size > 0 ? 2 + size : 0));
    put8(&file, object_type);
    put_hex("15 000000 0001f400 0001f400");
    if (size > 0) {
        put8(&file, 5);
        put8(&file, size);
        put_hex(config);
    }
    put_hex("06 01 02");
    close_box(&file, esds);
}

static void mpeg4_audio(void **state)
{
    static const struct {
        unsigned object_type;
        const char *config, *text;
        unsigned channels, sample_rate;
    } rows[] = {
        {0x40, "1210", "mp4a.40.2", 2, 44100},
        {0x40, "1188", "mp4a.40.2", 1, 48000},
        {0x40, "11b0", "mp4a.40.2", 6, 48000},
        {0x40, "11b8", "mp4a.40.2", 8, 48000},
        {0x40, "11e0", "mp4a.40.2", 8, 48000},       /* 7.1 with a second pair in front */
        {0x40, "1180", "mp4a.40.2", 2, 48000},       /* it says them elsewhere: the entry counts */
        {0x40, "178061a808", "mp4a.40.2", 1, 50000}, /* a rate of its own */
        {0x40, "2b920800", "mp4a.40.5", 2, 44100},   /* SBR: twice the core's 22,050 */
        {0x40, "2b17805dc08800", "mp4a.40.5", 2, 48001},
        {0x40, "eb8a0800", "mp4a.40.29", 2, 44100},  /* PS: one channel becomes two */
        {0x40, "139056e5a0", "mp4a.40.2", 2, 44100}, /* SBR that old decoders do not see */
        {0x40, "139056e520", "mp4a.40.2", 2, 22050}, /* there, and not used */
        {0x40, "139056", "mp4a.40.2", 2, 22050},
        {0x40, "f9484000", "mp4a.40.42", 2,
         44100},                      /* xHE-AAC: an escape, and an index of its own */
        {0x40, "f8e6", "", 2, 44100}, /* it ends too early */
        {0x40, "", "", 2, 44100},
        {0x6b, "", "mp4a.6b", 2, 44100},
        {0x69, "", "mp4a.69", 2, 44100},
        {0x67, "1190", "mp4a.67", 2, 44100},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const size_t entry = open_sound("mp4a", 0);
        put_esds(rows[i].object_type, rows[i].config);
        const struct mp4_codec codec = close_entry(entry, SOUN);
        assert_string_equal(codec.text, rows[i].text);
        assert_int_equal(codec.channels, rows[i].channels);
        assert_int_equal(codec.sample_rate, rows[i].sample_rate);
        assert_int_equal(codec.width, 0);
    }
}

/* Optional fields before the configuration, and tags that are none of it. */
static void odd_descriptors(void **state)
{
    static const struct {
        const char *digits, *text;
    } rows[] = {
        /* another stream, a URL and a clock before it */
        {"00000000 03 1e 0001 e0 0007 02 6869 0008 04 11 40 15 000000 00000000 00000000 05 02 1190",
         "mp4a.40.2"},
        {"00000000 04 11 40 15 000000 00000000 00000000 05 02 1190", ""},
        {"00000000 03 19 0001 00 05 11 40 15 000000 00000000 00000000 05 02 1190", ""},
        {"00000000 03 19 0001 00 04 11 40 15 000000 00000000 00000000 06 02 1190", ""},
        {"00000000 03 19 0001 00 04 11 40", ""},
        {"00000000 03", ""},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const size_t entry = open_sound("mp4a", 0);
        put_box("esds", rows[i].digits);
        assert_string_equal(close_entry(entry, SOUN).text, rows[i].text);
    }
}

static void other_sound(void **state)
{
    static const struct {
        const char *fourcc, *box, *digits, *text;
        unsigned channels, sample_rate;
    } rows[] = {
        {"ac-3", "dac3", "103d40", "ac-3", 6, 48000},
        {"ac-3", "dac3", "500940", "ac-3", 1, 44100},
        {"ec-3", "dec3", "0c00200f00", "ec-3", 6, 48000},
        {"ec-3", "dec3", "0c00a00400", "ec-3", 2, 32000},
        {"ac-3", "free", "", "ac-3", 2, 44100},
        {"Opus", "dOps", "00 06 0138 0000ac44 0000 00", "opus", 6, 48000},
        {"Opus", "dOps", "00 06", "", 2, 44100},
        {"fLaC", "dfLa",
         "0000000080000022100010000000000000000bb802f00000000000000000000000000000000000000000",
         "flac", 2, 48000},
        {"fLaC", "dfLa", "00000000 80000022", "", 2, 44100},
        {"alac", "alac", "00000000 00001000 00 18 28 0a 0e 06 00ff 00000000 00000000 00017700",
         "alac", 6, 96000},
        {"alac", "free", "", "", 2, 44100},
        {"samr", "damr", "00000000 00 0000 00 01", "", 2, 44100},
        {"mhm1", "mhaC", "01 0c 01 0000", "", 2, 44100},
        {"iamf", "iacb", "01 00", "", 2, 44100},
        {".mp3", "free", "", "", 2, 44100},
        {"mp4a", "free", "", "", 2, 44100},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const size_t entry = open_sound(rows[i].fourcc, 0);
        put_box(rows[i].box, rows[i].digits);
        const struct mp4_codec codec = close_entry(entry, SOUN);
        assert_string_equal(codec.text, rows[i].text);
        assert_int_equal(codec.channels, rows[i].channels);
        assert_int_equal(codec.sample_rate, rows[i].sample_rate);
    }
}

/* QuickTime's entries are longer, and their configuration stands in a box more. */
static void quicktime_sound(void **state)
{
    for (unsigned version = 0; version <= 2; version++) {
        const size_t entry = open_sound("mp4a", version);
        const size_t wave = open_box(&file, "wave");
        put_box("frma", "6d703461");
        put_box("mp4a", "00000000");
        put_esds(0x40, "1190");
        put_zeros(&file, 8);
        close_box(&file, wave);
        const struct mp4_codec codec = close_entry(entry, SOUN);
        assert_string_equal(codec.text, "mp4a.40.2");
        assert_int_equal(codec.sample_rate, 48000);
        assert_int_equal(codec.channels, 2);
        assert_false(codec.is_encrypted); /* though there is a frma */
    }
    const struct mp4_codec codec = close_entry(open_sound("lpcm", 2), SOUN);
    assert_int_equal(codec.sample_rate, 96000);
    assert_int_equal(codec.channels, 6);

    /* ISO has a version 1 as well, and its boxes follow at once. */
    const size_t entry = open_sound("mp4a", 1);
    file.size = entry + 36;
    put_esds(0x40, "1190");
    assert_string_equal(close_entry(entry, SOUN).text, "mp4a.40.2");
}

/* ---- Encryption, and damage ------------------------------------------------------------------ */

static void encrypted(void **state)
{
    static const struct {
        const char *fourcc;
        bool has_scheme;
        uint32_t known_as;
    } rows[] = {
        {"encv", true, MP4_FOURCC('a', 'v', 'c', '1')},
        {"encv", false, MP4_FOURCC('e', 'n', 'c', 'v')},
        {"drmi", true, MP4_FOURCC('a', 'v', 'c', '1')},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const size_t entry = open_video(rows[i].fourcc);
        put_box("avcC", "01 64 00 1f ff");
        if (rows[i].has_scheme) {
            const size_t sinf = open_box(&file, "sinf");
            put_box("frma", "61766331");
            put_box("schm", "00000000 63656e63 00010000");
            close_box(&file, sinf);
        }
        const struct mp4_codec codec = close_entry(entry, VIDE);
        assert_true(codec.is_encrypted);
        assert_int_equal(codec.fourcc, rows[i].known_as);
        assert_string_equal(codec.text, rows[i].has_scheme ? "avc1.64001f" : "");
    }
    assert_true(close_entry(open_sound("enca", 0), SOUN).is_encrypted);
}

/* Cut anywhere: it has its name, or none, and nothing is read beyond. */
static void cut_at_every_place(void **state)
{
    size_t entry = open_sound("mp4a", 1);
    const size_t wave = open_box(&file, "wave");
    put_esds(0x40, "1190");
    close_box(&file, wave);
    const size_t size = file.size;
    for (size_t cut = 1; cut < size; cut++) {
        struct mp4_codec codec;
        char *const copy = malloc(cut);
        assert_non_null(copy);
        memcpy(copy, file.data, cut);
        mp4_codec_of(slice_of(copy, cut), SOUN, &codec);
        assert_string_equal(codec.text, "");
        assert_int_equal(codec.fourcc, cut < 8 ? 0 : MP4_FOURCC('m', 'p', '4', 'a'));
        free(copy);
    }
    struct mp4_codec codec;
    mp4_codec_of(slice_of(NULL, 0), VIDE, &codec);
    assert_string_equal(codec.text, "");
    entry = open_video("hvc1");
    put32(&file, 1000); /* a box that is larger than the entry */
    put(&file, "hvcC", 4);
    put_zeros(&file, 40);
    assert_string_equal(close_entry(entry, VIDE).text, "");
}

/* Subtitles and the like have a fourcc, and nothing else that is known of. */
static void neither_video_nor_sound(void **state)
{
    const size_t entry = open_video("stpp");
    const struct mp4_codec codec = close_entry(entry, MP4_FOURCC('s', 'u', 'b', 't'));
    assert_int_equal(codec.fourcc, MP4_FOURCC('s', 't', 'p', 'p'));
    assert_string_equal(codec.text, "");
    assert_int_equal(codec.width, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(video),
        cmocka_unit_test(mpeg4_audio),
        cmocka_unit_test(odd_descriptors),
        cmocka_unit_test(other_sound),
        cmocka_unit_test(quicktime_sound),
        cmocka_unit_test(encrypted),
        cmocka_unit_test(cut_at_every_place),
        cmocka_unit_test(neither_video_nor_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
