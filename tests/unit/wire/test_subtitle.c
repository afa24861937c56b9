/* SPDX-License-Identifier: MIT */
/*
 * SubRip as it is found in the wild, and the WebVTT it becomes, letter by letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "leat/error.h"
#include "wire/subtitle.h"

static void assert_becomes(struct leat_slice srt, long count, const char *wanted)
{
    struct text text = {0};
    assert_int_equal(subtitle_from_srt(&text, srt), count);
    assert_false(text.has_failed);
    text_add(&text, slice_of("", 1));
    assert_string_equal(text.data, wanted);
    text_fini(&text);
}

/* One cue with that payload. */
static void assert_payload(struct leat_slice payload, const char *wanted)
{
    struct text srt = {0}, vtt = {0};
    text_add_literal(&srt, "1\n00:00:01,000 --> 00:00:02,000\n");
    text_add(&srt, payload);
    text_add_format(&vtt, "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n%s\n", wanted);
    text_add(&vtt, slice_of("", 1));
    assert_becomes(slice_of(srt.data, srt.size), 1, vtt.data);
    text_fini(&srt);
    text_fini(&vtt);
}

static void converts_an_ordinary_file(void **state)
{
    assert_becomes(SLICE("1\n"
                         "00:00:01,000 --> 00:00:02,500\n"
                         "Where the water runs\n"
                         "- by <i>slope</i> alone\n"
                         "\n"
                         "2\n"
                         "01:02:03,004 --> 01:02:05,678\n"
                         "nothing pumps.\n"),
                   2,
                   "WEBVTT\n"
                   "\n"
                   "00:00:01.000 --> 00:00:02.500\n"
                   "Where the water runs\n"
                   "- by <i>slope</i> alone\n"
                   "\n"
                   "01:02:03.004 --> 01:02:05.678\n"
                   "nothing pumps.\n");
}

static void takes_what_editors_write(void **state)
{
    /* A byte order mark, CR LF, no last end of line, coordinates, spaces. */
    assert_becomes(SLICE("\xef\xbb\xbf"
                         "1\r\n"
                         "00:00:01,000 --> 00:00:02,000  X1:1 X2:2 Y1:3 Y2:4\r\n"
                         "one\r\n"
                         "\r\n"
                         "2\r\n"
                         " 0:0:3.5-->00:04 \r\n"
                         "two"),
                   2,
                   "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\none\n"
                   "\n00:00:03.500 --> 00:00:04.000\ntwo\n");
    /* CR alone, no counters, no empty lines between. */
    assert_becomes(SLICE("00:00:01,000 --> 00:00:02,000\rone\r"
                         "100:00:00,1 --> 100:00:00,1009\rtwo"),
                   1, "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\none\n");
    assert_becomes(SLICE("00:59:60,1 --> 100:00:00,2567\rtwo"), 1,
                   "WEBVTT\n\n01:00:00.100 --> 100:00:00.256\ntwo\n");
}

static void tells_counters_from_text(void **state)
{
    /* No empty line before the counter. */
    assert_becomes(SLICE("1\n00:00:01,000 --> 00:00:02,000\none\n"
                         "2\n00:00:03,000 --> 00:00:04,000\ntwo\n"),
                   2,
                   "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\none\n"
                   "\n00:00:03.000 --> 00:00:04.000\ntwo\n");
    /* A text that is a number, with and without counters; one with an empty line in it. */
    assert_becomes(SLICE("1\n00:00:01,000 --> 00:00:02,000\n42\n\n"
                         "2\n00:00:03,000 --> 00:00:04,000\n\n1984\n\n"
                         "00:00:05,000 --> 00:00:06,000\nhere\n\nand there\n\n4\n"),
                   3,
                   "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n42\n"
                   "\n00:00:03.000 --> 00:00:04.000\n1984\n"
                   "\n00:00:05.000 --> 00:00:06.000\nhere\nand there\n");
    assert_payload(SLICE("In the year\n1984"), "In the year\n1984");
    assert_payload(SLICE("a\n \t\nb"), "a\nb");
}

static void keeps_three_tags_and_nests_them(void **state)
{
    assert_payload(SLICE("<i>a</i> <B>b</B> <u >c</u>"), "<i>a</i> <b>b</b> <u>c</u>");
    assert_payload(SLICE("<i><b>a</i>b</b></u>"), "<i><b>a</b></i>b");
    assert_payload(SLICE("<i>a\nb"), "<i>a\nb</i>");
    assert_payload(SLICE("<i><i>a</i></i>"), "<i>a</i>");
    assert_payload(SLICE("{\\an8}<font color=\"#ff0000\" size=3>a</font>{\\i1}b{\\i0}"), "ab");
    assert_payload(SLICE("{\\an8}\na<s>b</s></FONT>"), "ab");
}

static void escapes_what_is_no_tag(void **state)
{
    assert_payload(SLICE("I <3 R&D, 1 --> 2 <x> <i"),
                   "I &lt;3 R&amp;D, 1 --&gt; 2 &lt;x&gt; &lt;i");
    assert_payload(SLICE("a &amp; b&nbsp;&lt; &eacute;"), "a &amp; b&nbsp;&lt; &amp;eacute;");
    assert_payload(SLICE("{y:i} {\\an8"), "{y:i} {\\an8");
    assert_payload(SLICE("a\0b"), "a\xef\xbf\xbd"
                                  "b");
    assert_payload(SLICE("<ib> <> </>"), "&lt;ib&gt; &lt;&gt; &lt;/&gt;");
}

static void makes_it_utf8(void **state)
{
    assert_payload(SLICE("d\xc3\xa9j\xc3\xa0 vu \xe2\x99\xaa"), "déjà vu ♪");
    assert_payload(SLICE("d\xe9j\xe0 vu \x93\x80\x94\x9d\xff"), "déjà vu “€”\xef\xbf\xbdÿ");
    /* Damaged UTF-8 is UTF-8 nevertheless. */
    assert_payload(SLICE("d\xc3\xa9j\xc3\xa0 v\xff"), "déjà v\xef\xbf\xbd");
}

static void drops_cues_that_are_none(void **state)
{
    assert_becomes(SLICE("1\n00:00:02,000 --> 00:00:02,000\nempty\n\n"
                         "2\n00:00:03,000 --> 00:00:01,000\nbackwards\n\n"
                         "3\n00:00:04,000 --> 00:00:05,000\n\n"
                         "4\n00:00:06,000 --> 00:00:07,000\n{\\an8}<i> </i>&nbsp;\n\n"
                         "5\n00:00:08,000 --> 00:00:09,000\nfive\n"),
                   1, "WEBVTT\n\n00:00:08.000 --> 00:00:09.000\nfive\n");
}

static void finds_nothing_in_what_is_no_srt(void **state)
{
    assert_becomes(slice_of(NULL, 0), 0, "WEBVTT\n");
    assert_becomes(SLICE("\xef\xbb\xbf"), 0, "WEBVTT\n");
    assert_becomes(SLICE("{1}{25}MicroDVD\n"), 0, "WEBVTT\n");
    assert_becomes(SLICE("00:00:01,000 -> 00:00:02,000\na\n"), 0, "WEBVTT\n");
    assert_becomes(SLICE("00:00:01,000 --> 00:00:02,000x\na\n"), 0, "WEBVTT\n");
    assert_becomes(SLICE("1:2:3:4 --> 00:00:02,000\na\n"), 0, "WEBVTT\n");
    assert_becomes(SLICE("1234567:00:00,000 --> 00:00:02,000\na\n"), 0, "WEBVTT\n");
    assert_becomes(SLICE("5 --> 6\na\n"), 0, "WEBVTT\n");
}

/* The largest file, of what takes longest: tags that do not end. */
static void is_bounded(void **state)
{
    const size_t size = SUBTITLE_SIZE_MAX + 1;
    char *file = malloc(size);
    assert_non_null(file);
    memset(file, '<', size);
    memcpy(file, "0:1-->0:2\n", 10);
    struct text text = {0};
    assert_int_equal(subtitle_from_srt(&text, slice_of(file, size)), -LEAT_E_LIMIT);
    assert_int_equal(text.size, 0);
    assert_int_equal(subtitle_from_srt(&text, slice_of(file, size - 1)), 1);
    assert_true(text.size > 4 * (size - 100));
    text_fini(&text);
    free(file);
}

static void knows_webvtt(void **state)
{
    assert_true(subtitle_is_vtt(SLICE("WEBVTT")));
    assert_true(subtitle_is_vtt(SLICE("\xef\xbb\xbfWEBVTT\n\n")));
    assert_true(subtitle_is_vtt(SLICE("WEBVTT - a title\r\n")));
    assert_true(subtitle_is_vtt(SLICE("WEBVTT\r")));
    assert_false(subtitle_is_vtt(SLICE("WEBVTTX\n")));
    assert_false(subtitle_is_vtt(SLICE("WEBVT")));
    assert_false(subtitle_is_vtt(SLICE(" WEBVTT\n")));
    assert_false(subtitle_is_vtt(SLICE("1\n00:00:01,000 --> 00:00:02,000\n")));
    assert_false(subtitle_is_vtt(slice_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_an_ordinary_file),
        cmocka_unit_test(takes_what_editors_write),
        cmocka_unit_test(tells_counters_from_text),
        cmocka_unit_test(keeps_three_tags_and_nests_them),
        cmocka_unit_test(escapes_what_is_no_tag),
        cmocka_unit_test(makes_it_utf8),
        cmocka_unit_test(drops_cues_that_are_none),
        cmocka_unit_test(finds_nothing_in_what_is_no_srt),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(knows_webvtt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
