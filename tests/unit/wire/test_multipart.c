/* SPDX-License-Identifier: MIT */
/*
 * multipart/form-data: bodies good and bad, each also cut at every place and byte by byte; what the
 * heads of parts say, as browsers and curl write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "leat/error.h"
#include "wire/multipart.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { HEAD_SIZE_MAX = 100 };

/* A reader, what it has not used up yet, and what it has said so far: "[head]data;" a part, and a
 * '.' at the end. */
struct outcome {
    struct multipart reader;
    char *rest;
    size_t rest_size;
    char text[1024];
    size_t text_size;
    int result;
};

static void outcome_init(struct outcome *outcome, const char *boundary)
{
    multipart_init(&outcome->reader, slice_from_text(boundary), HEAD_SIZE_MAX);
    outcome->rest = NULL;
    outcome->rest_size = outcome->text_size = 0;
    outcome->result = MULTIPART_MORE;
}

static void say(struct outcome *outcome, struct leat_slice text)
{
    assert_true(outcome->text_size + text.size < sizeof outcome->text);
    if (text.size > 0)
        memcpy(outcome->text + outcome->text_size, text.data, text.size);
    outcome->text_size += text.size;
}

static void note(struct outcome *outcome, struct leat_slice data)
{
    switch (outcome->result) {
    case MULTIPART_HEAD:
        say(outcome, SLICE("["));
        say(outcome, data);
        say(outcome, SLICE("]"));
        break;
    case MULTIPART_DATA:
        assert_true(data.size > 0);
        say(outcome, data);
        break;
    case MULTIPART_PART_END: say(outcome, SLICE(";")); break;
    case MULTIPART_END: say(outcome, SLICE(".")); break;
    default: break;
    }
}

/* Offers what was left and a piece behind it, in memory of just their size. */
static void feed(struct outcome *outcome, struct leat_slice piece)
{
    if (outcome->result < 0 || outcome->result == MULTIPART_END)
        return;
    const size_t size = outcome->rest_size + piece.size;
    char *exact = malloc(size > 0 ? size : 1);
    assert_non_null(exact);
    if (outcome->rest_size > 0)
        memcpy(exact, outcome->rest, outcome->rest_size);
    if (piece.size > 0)
        memcpy(exact + outcome->rest_size, piece.data, piece.size);
    free(outcome->rest);
    struct leat_slice left = slice_of(exact, size), data = slice_of(NULL, 0);
    do {
        outcome->result = multipart_next(&outcome->reader, &left, &data);
        assert_true(left.data + left.size == exact + size);
        note(outcome, data);
    } while (outcome->result > 0 && outcome->result != MULTIPART_END);
    assert_true(outcome->result != MULTIPART_END || left.size == 0);
    /* It asks for more only as long as a buffer of the promised size has room for it. */
    if (outcome->result == MULTIPART_MORE)
        assert_true(left.size < multipart_room(&outcome->reader));
    outcome->rest_size = left.size;
    outcome->rest = malloc(left.size > 0 ? left.size : 1);
    assert_non_null(outcome->rest);
    if (left.size > 0)
        memcpy(outcome->rest, left.data, left.size);
    free(exact);
}

static void outcome_fini(struct outcome *outcome)
{
    free(outcome->rest);
    outcome->rest = NULL;
}

static void assert_same(struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->result, b->result);
    assert_int_equal(a->text_size, b->text_size);
    assert_memory_equal(a->text, b->text, a->text_size);
    outcome_fini(a);
}

static void feed_every_way(const char *boundary, struct leat_slice body, struct outcome *whole)
{
    static struct outcome parts;
    outcome_init(whole, boundary);
    feed(whole, body);
    outcome_fini(whole);
    for (size_t cut = 1; cut < body.size; cut++) {
        outcome_init(&parts, boundary);
        feed(&parts, slice_of(body.data, cut));
        feed(&parts, slice_after(body, cut));
        assert_same(&parts, whole);
    }
    outcome_init(&parts, boundary);
    for (size_t index = 0; index < body.size; index++)
        feed(&parts, slice_of(body.data + index, 1));
    assert_same(&parts, whole);
}

static struct outcome outcome;

static void good_bodies(void **state)
{
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"--b\r\nA: 1\r\n\r\nhello\r\n--b--\r\n", "[A: 1\r\n]hello;."},
        {"--b\r\nA: 1\r\n\r\nhello\r\n--b--", "[A: 1\r\n]hello;."},
        {"--b\r\nA: 1\r\nB: 2\r\n\r\nx\r\n--b\r\nC: 3\r\n\r\ny\r\n--b--\r\n",
         "[A: 1\r\nB: 2\r\n]x;[C: 3\r\n]y;."},
        /* no parts, no data, no head */
        {"--b--\r\n", "."},
        {"--b\r\nA: 1\r\n\r\n\r\n--b--", "[A: 1\r\n];."},
        {"--b\r\n\r\nx\r\n--b--", "[]x;."},
        {"--b\r\n\r\n\r\n--b--", "[];."},
        /* the head's empty line begins the delimiter */
        {"--b\r\nA: 1\r\n\r\n--b--", "[A: 1\r\n];."},
        {"--b\r\n\r\n--b\r\n\r\n--b--", "[];[];."},
        /* preamble, epilogue */
        {"read me\r\n--b\r\nA: 1\r\n\r\nx\r\n--b--\r\nthe end\r\n--b\r\n", "[A: 1\r\n]x;."},
        {"\r\n--b\r\nA: 1\r\n\r\nx\r\n--b--", "[A: 1\r\n]x;."},
        {"x--b\r\n--b--", "."},
        {"--\r\n--b--", "."},
        /* blanks behind a delimiter */
        {"--b \t \r\nA: 1\r\n\r\nx\r\n--b \r\nB: 2\r\n\r\ny\r\n--b--", "[A: 1\r\n]x;[B: 2\r\n]y;."},
        /* data that is nearly a delimiter */
        {"--b\r\n\r\n\r\n\r\n--b--", "[]\r\n;."},
        {"--b\r\n\r\n\r\r\n--b--", "[]\r;."},
        {"--b\r\n\r\n\r\r\r\n\r\n-\r\n--\r\n--c\r\n--b--", "[]\r\r\r\n\r\n-\r\n--\r\n--c;."},
        {"--b\r\n\r\n--\r\n--b--", "[]--;."},
        {"--b\r\n\r\na--b\r\n--b--", "[]a--b;."},
        {"--b\r\n\r\na\n--b\r\n--b--", "[]a\n--b;."},
        {"--b\r\n\r\na\r--b\r\n--b--", "[]a\r--b;."},
        {"--b\r\n\r\n--a\r\n--b--", "[]--a;."},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        const struct leat_slice body = slice_from_text(rows[index].body);
        feed_every_way("b", body, &outcome);
        if (outcome.result != MULTIPART_END || outcome.text_size != strlen(rows[index].text))
            print_error("row %zu: %.*s\n", index, (int)outcome.text_size, outcome.text);
        assert_int_equal(outcome.result, MULTIPART_END);
        assert_int_equal(outcome.text_size, strlen(rows[index].text));
        assert_memory_equal(outcome.text, rows[index].text, outcome.text_size);
    }
}

/* However it is cut, a body that stops early is not over. */
static void a_body_that_breaks_off_is_not_whole(void **state)
{
    static const char body[] = "--boundary\r\nA: 1\r\n\r\nhello\r\n--boundary--";
    for (size_t size = 0; size < sizeof body - 1; size++) {
        feed_every_way("boundary", slice_of(body, size), &outcome);
        assert_int_equal(outcome.result, MULTIPART_MORE);
    }
}

static void bad_bodies(void **state)
{
    static char long_head[200], long_padding[200];
    const int head_size =
        snprintf(long_head, sizeof long_head, "--b\r\nA: %0*d\r\n\r\n--b--", HEAD_SIZE_MAX - 4, 0);
    assert_true(head_size > 0 && (size_t)head_size < sizeof long_head);
    snprintf(long_padding, sizeof long_padding, "--b%*s\r\n\r\n\r\n--b--",
             MULTIPART_PADDING_MAX + 1, "");
    const struct {
        const char *body;
        int error;
    } rows[] = {
        {"--b\n\r\n\r\n--b--", LEAT_E_MALFORMED},
        {"--b\rx\r\n\r\n--b--", LEAT_E_MALFORMED},
        {"--bc\r\n\r\n\r\n--b--", LEAT_E_MALFORMED},
        {"--b-\r\n\r\n\r\n--b--", LEAT_E_MALFORMED},
        {"--b --\r\n", LEAT_E_MALFORMED},
        {"--b\r\n\r\nx\r\n--bc\r\n--b--", LEAT_E_MALFORMED},
        {"--b\r\n\r\nx\r\n--b x\r\n--b--", LEAT_E_MALFORMED},
        {long_head, LEAT_E_LIMIT},
        {long_padding, LEAT_E_MALFORMED},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        feed_every_way("b", slice_from_text(rows[index].body), &outcome);
        if (outcome.result != -rows[index].error)
            print_error("row %zu\n", index);
        assert_int_equal(outcome.result, -rows[index].error);
        struct leat_slice rest = SLICE("--b--"), data;
        assert_true(multipart_next(&outcome.reader, &rest, &data) < 0);
    }
    /* One byte less, and it is within the limit. */
    snprintf(long_head, sizeof long_head, "--b\r\nA: %0*d\r\n\r\n--b--", HEAD_SIZE_MAX - 5, 0);
    feed_every_way("b", slice_from_text(long_head), &outcome);
    assert_int_equal(outcome.result, MULTIPART_END);
    snprintf(long_padding, sizeof long_padding, "--b%*s\r\n\r\n\r\n--b--", MULTIPART_PADDING_MAX,
             "");
    feed_every_way("b", slice_from_text(long_padding), &outcome);
    assert_int_equal(outcome.result, MULTIPART_END);
}

static void boundaries(void **state)
{
    static const struct {
        const char *content_type, *boundary;
    } rows[] = {
        {"multipart/form-data; boundary=----WebKitFormBoundaryAb1", "----WebKitFormBoundaryAb1"},
        {"multipart/form-data;boundary=b", "b"},
        {"Multipart/Form-Data ; Boundary=b", "b"},
        {"multipart/form-data; charset=utf-8; boundary=\"a b\"; x=y;", "a b"},
        {"multipart/form-data; boundary=----=_Part_1.2:3/4?", "----=_Part_1.2:3/4?"},
        {"multipart/form-data; boundary="
         "0123456789012345678901234567890123456789012345678901234567890123456789",
         "0123456789012345678901234567890123456789012345678901234567890123456789"},
        {"multipart/form-data; boundary="
         "01234567890123456789012345678901234567890123456789012345678901234567890",
         NULL},
        {"multipart/form-data", NULL},
        {"multipart/form-data;", NULL},
        {"multipart/form-data; boundary", NULL},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary=\"\"", NULL},
        {"multipart/form-data; boundary=\"a \"", NULL},
        {"multipart/form-data; boundary=\"a", NULL},
        {"multipart/form-data; boundary=a b", NULL},
        {"multipart/form-data; boundary=a\"", NULL},
        {"multipart/form-data; boundary=\"a\\\"\"", NULL},
        {"multipart/form-data; boundary=\xc3\xa4", NULL},
        {"multipart/form-data; boundary=a; boundary=b", NULL},
        {"multipart/form-data; boundary=a; =b", NULL},
        {"multipart/form-datum; boundary=a", NULL},
        {"multipart/mixed; boundary=a", NULL},
        {"", NULL},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        const struct leat_slice found =
            multipart_boundary(slice_from_text(rows[index].content_type));
        if (!slice_equal(found, slice_from_text(rows[index].boundary)))
            print_error("row %zu: %.*s\n", index, (int)found.size, found.data);
        assert_int_equal(found.data != NULL, rows[index].boundary != NULL);
        assert_true(slice_equal(found, slice_from_text(rows[index].boundary)));
    }
    assert_null(multipart_boundary(slice_of(NULL, 0)).data);
}

static void assert_text(const char *text, const char *wanted)
{
    assert_int_equal(text != NULL, wanted != NULL);
    if (wanted)
        assert_string_equal(text, wanted);
}

#define DISPOSITION "Content-Disposition: form-data; "

static void heads(void **state)
{
    static const struct {
        const char *head;
        struct multipart_part part;
    } rows[] = {
        {DISPOSITION "name=\"a\"\r\n", {"a", NULL, NULL}},
        {"content-disposition:Form-Data;NAME=a\r\n", {"a", NULL, NULL}},
        {DISPOSITION "name=\"\"\r\n", {"", NULL, NULL}},
        {DISPOSITION "name=\"a\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n",
         {"a", "", "application/octet-stream"}},
        {"X-Y: z\r\n" DISPOSITION "name=a; filename=\"b.txt\"\r\n"
         "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8BIT\r\n",
         {"a", "b.txt", "text/plain; charset=utf-8"}},
        /* browsers: UTF-8, and %22 for a quote */
        {DISPOSITION "name=\"a\"; filename=\"m\xc3\xbchle %22 %0D%0a %41 %.txt\"\r\n",
         {"a", "m\xc3\xbchle \" \r\n %41 %.txt", NULL}},
        /* curl and old browsers: backslashes; and those of a path */
        {DISPOSITION "name=\"a\"; filename=\"say \\\"hi\\\" \\\\ C:\\dir\\file\"\r\n",
         {"a", "say \"hi\" \\ C:\\dir\\file", NULL}},
        {DISPOSITION "name=\"a;b\"; filename=\"c;d=\"\r\n", {"a;b", "c;d=", NULL}},
        {DISPOSITION "filename=../../etc/passwd; name=a\r\n", {"a", "../../etc/passwd", NULL}},
        /* filename* goes first, in whatever order, when it can be read */
        {DISPOSITION "name=a; filename*=UTF-8''m%C3%BChle; filename=\"m\"\r\n",
         {"a", "m\xc3\xbchle", NULL}},
        {DISPOSITION "name=a; filename=\"m\"; filename*=utf-8'en'b%20c\r\n", {"a", "b c", NULL}},
        {DISPOSITION "name=a; filename=\"m\"; filename*=iso-8859-1''b\r\n", {"a", "m", NULL}},
        {DISPOSITION "name=a; filename=\"m\"; filename*=UTF-8''b%zz\r\n", {"a", "m", NULL}},
        {DISPOSITION "name=a; filename=\"m\"; filename*=UTF-8''b%00\r\n", {"a", "m", NULL}},
        {DISPOSITION "name=a; filename=\"m\"; filename*=UTF-8''b%4\r\n", {"a", "m", NULL}},
        {DISPOSITION "name=a; filename*=UTF-8'b\r\n", {"a", NULL, NULL}},
        /* malformed */
        {"", {NULL}},
        {"Content-Type: text/plain\r\n", {NULL}},
        {"Content-Disposition: attachment; name=a\r\n", {NULL}},
        {"Content-Disposition: form-data\r\n", {NULL}},
        {DISPOSITION "filename=a\r\n", {NULL}},
        {DISPOSITION "name=a; name=b\r\n", {NULL}},
        {DISPOSITION "name=a; filename=b; filename=c\r\n", {NULL}},
        {DISPOSITION "name=a; filename*=UTF-8''b; filename*=UTF-8''c\r\n", {NULL}},
        {DISPOSITION "name=a\r\n" DISPOSITION "name=a\r\n", {NULL}},
        {DISPOSITION "name=a\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n", {NULL}},
        {DISPOSITION "name=\"a\r\n", {NULL}},
        {DISPOSITION "name=\"a\\\"\r\n", {NULL}},
        {DISPOSITION "name=\"a\"b\r\n", {NULL}},
        {DISPOSITION "name=a b\r\n", {NULL}},
        {DISPOSITION "name=\r\n", {NULL}},
        {DISPOSITION "name\r\n", {NULL}},
        {DISPOSITION "name=a\r\nContent-Transfer-Encoding: base64\r\n", {NULL}},
        {"Content-Disposition : form-data; name=a\r\n", {NULL}},
        {DISPOSITION "name=a\r\n folded\r\n", {NULL}},
        {DISPOSITION "name=a\r\nno colon\r\n", {NULL}},
        {DISPOSITION "name=a\r\nA: \x01\r\n", {NULL}},
        {DISPOSITION "name=a\r\nA: b\nC: d\r\n", {NULL}},
        {DISPOSITION "name=a\r\n: b\r\n", {NULL}},
    };
    for (size_t index = 0; index < COUNT_OF(rows); index++) {
        const size_t size = strlen(rows[index].head);
        char *head = malloc(size > 0 ? size : 1), *buffer = malloc(size > 0 ? size : 1);
        assert_true(head && buffer);
        memcpy(head, rows[index].head, size);
        struct multipart_part part = {NULL, NULL, NULL};
        const int result = multipart_parse_head(slice_of(head, size), buffer, &part);
        if (result != (rows[index].part.name ? 0 : -LEAT_E_MALFORMED))
            fail_msg("row %zu: %d", index, result);
        assert_text(part.name, rows[index].part.name);
        assert_text(part.filename, rows[index].part.filename);
        assert_text(part.media_type, rows[index].part.media_type);
        free(head);
        free(buffer);
    }
    /* A zero byte is nothing that may stand in a head. */
    struct multipart_part part;
    char buffer[64];
    assert_int_equal(multipart_parse_head(SLICE(DISPOSITION "name=\"a\0b\"\r\n"), buffer, &part),
                     -LEAT_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bodies), cmocka_unit_test(a_body_that_breaks_off_is_not_whole),
        cmocka_unit_test(bad_bodies),  cmocka_unit_test(boundaries),
        cmocka_unit_test(heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
