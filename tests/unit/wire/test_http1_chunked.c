/* SPDX-License-Identifier: MIT */
/*
 * Chunked bodies, good and bad, by the table; each also cut at every place, and byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "wire/http1_chunked.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A decoder, and what it has said so far. */
struct outcome {
    struct http1_chunked decoder;
    char data[64 * 1024];
    size_t size, consumed;
    int result; /* the last event, or the error */
};

static void outcome_init(struct outcome *outcome)
{
    http1_chunked_init(&outcome->decoder);
    outcome->size = outcome->consumed = 0;
    outcome->result = HTTP1_CHUNKED_MORE;
}

/* Feeds a piece, from memory of just its size. */
static void feed(struct outcome *outcome, struct leat_slice piece)
{
    if (outcome->result != HTTP1_CHUNKED_MORE || piece.size == 0)
        return;
    char *exact = malloc(piece.size);
    assert_non_null(exact);
    memcpy(exact, piece.data, piece.size);
    struct leat_slice left = slice_of(exact, piece.size), data;
    while ((outcome->result = http1_chunked_next(&outcome->decoder, &left, &data)) ==
           HTTP1_CHUNKED_DATA) {
        assert_true(data.size > 0 && data.data >= exact);
        assert_true(data.data + data.size == left.data);
        assert_true(outcome->size + data.size <= sizeof(outcome->data));
        memcpy(outcome->data + outcome->size, data.data, data.size);
        outcome->size += data.size;
    }
    assert_true(outcome->result != HTTP1_CHUNKED_MORE || left.size == 0);
    outcome->consumed += piece.size - left.size;
    free(exact);
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->result, b->result);
    assert_int_equal(a->consumed, b->consumed);
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
}

static void feed_every_way(struct leat_slice body, struct outcome *whole)
{
    static struct outcome parts;
    outcome_init(whole);
    feed(whole, body);
    for (size_t cut = 1; cut < body.size; cut++) {
        outcome_init(&parts);
        feed(&parts, slice_of(body.data, cut));
        feed(&parts, slice_after(body, cut));
        assert_same(&parts, whole);
    }
    outcome_init(&parts);
    for (size_t i = 0; i < body.size; i++)
        feed(&parts, slice_of(body.data + i, 1));
    assert_same(&parts, whole);
}

static struct outcome outcome;

static void good_bodies(void **state)
{
    static const struct {
        const char *body, *data;
    } rows[] = {
        {"0\r\n\r\n", ""},
        {"5\r\nhello\r\n0\r\n\r\n", "hello"},
        {"1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", "abc"},
        {"A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij"},
        {"0000000000000002\r\n\r\n\r\n0\r\n\r\n", "\r\n"},
        {"3;name=value\r\nabc\r\n0;last\r\n\r\n", "abc"},
        {"3 \t;a = \"b;c\"\r\nabc\r\n0\r\n\r\n", "abc"},
        {"3;\r\nabc\r\n0\r\n\r\n", "abc"},
        {"1\r\na\r\n0\r\nTrailer: x\r\nB:\r\n\r\n", "a"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char longer[256];
        snprintf(longer, sizeof(longer), "%s%s", rows[i].body, "GET / HTTP/1.1\r\n");
        feed_every_way(slice_from_text(longer), &outcome);
        assert_int_equal(outcome.result, HTTP1_CHUNKED_END);
        assert_int_equal(outcome.consumed, strlen(rows[i].body));
        assert_int_equal(outcome.size, strlen(rows[i].data));
        assert_memory_equal(outcome.data, rows[i].data, outcome.size);
        /* It stays over, and takes nothing more. */
        struct leat_slice rest = SLICE("x"), data;
        assert_int_equal(http1_chunked_next(&outcome.decoder, &rest, &data), HTTP1_CHUNKED_END);
        assert_int_equal(rest.size, 1);
        /* One byte less is not yet the end. */
        feed_every_way(slice_of(rows[i].body, strlen(rows[i].body) - 1), &outcome);
        assert_int_equal(outcome.result, HTTP1_CHUNKED_MORE);
    }
}

static void bad_bodies(void **state)
{
    static const struct {
        struct leat_slice body;
        size_t position;
    } rows[] = {
        {SLICE("\r\n"), 0},
        {SLICE("\n"), 0},
        {SLICE(" 5\r\nhello"), 0},
        {SLICE("-5\r\n"), 0},
        {SLICE("+5\r\n"), 0},
        {SLICE("0x5\r\n"), 1},
        {SLICE("g\r\n"), 0},
        {SLICE(";a\r\n"), 0},
        {SLICE("5\nhello\r\n"), 1},
        {SLICE("5\rhello"), 2},
        {SLICE("5 5\r\n"), 2},
        {SLICE("5 \r\nhello"), 2},
        {SLICE("5;a\nhello"), 3},
        {SLICE("5;a\rb\r\n"), 4},
        {SLICE("5;a\0\r\n"), 3},
        {SLICE("5;a\x7f\r\n"), 3},
        {SLICE("5\r\nhello0\r\n\r\n"), 8},
        {SLICE("5\r\nhello\n0\r\n\r\n"), 8},
        {SLICE("5\r\nhello\r0\r\n\r\n"), 9},
        {SLICE("5\r\nhell\r\n0\r\n\r\n"), 8},
        {SLICE("5\r\nhello\r\n\r\n"), 10},
        {SLICE("10000000000000000\r\n"), 16},
        {SLICE("8000000000000000\r\n"), 15},
        {SLICE("ffffffffffffffff\r\n"), 15},
        {SLICE("00000000000000005\r\n"), 16},
        {SLICE("0\r\n\n"), 3},
        {SLICE("0\r\n\rx"), 4},
        {SLICE("0\r\n: x\r\n\r\n"), 3},
        {SLICE("0\r\n a: x\r\n\r\n"), 3},
        {SLICE("0\r\na : x\r\n\r\n"), 4},
        {SLICE("0\r\na\r\n\r\n"), 4},
        {SLICE("0\r\na: x\n\r\n"), 7},
        {SLICE("0\r\na: x\ry\r\n"), 8},
        {SLICE("0\r\na: \0\r\n\r\n"), 6},
        {SLICE("0\r\na: x\r\n folded\r\n\r\n"), 9},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        feed_every_way(rows[i].body, &outcome);
        if (outcome.result != -400 || outcome.consumed != rows[i].position)
            print_error("row %zu: %s\n", i, rows[i].body.data);
        assert_int_equal(outcome.result, -400);
        assert_int_equal(outcome.consumed, rows[i].position);
        /* It stays broken. */
        struct leat_slice rest = SLICE("0\r\n\r\n"), data;
        assert_true(http1_chunked_next(&outcome.decoder, &rest, &data) < 0);
    }
}

static void the_largest_chunk_is_waited_for(void **state)
{
    outcome_init(&outcome);
    feed(&outcome, SLICE("7fffffffffffffff\r\nabc"));
    assert_int_equal(outcome.result, HTTP1_CHUNKED_MORE);
    assert_int_equal(outcome.size, 3);
    assert_true(outcome.decoder.left == INT64_MAX - 3);
}

static int feed_times(const char *piece, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        feed(&outcome, slice_from_text(piece));
        outcome.size = 0;
    }
    return outcome.result;
}

static void limits_extensions_and_trailers(void **state)
{
    /* Ten bytes a piece. */
    outcome_init(&outcome);
    feed(&outcome, SLICE("1;"));
    assert_int_equal(feed_times("0123456789", HTTP1_CHUNKED_OVERHEAD_MAX / 10), 0);
    assert_int_equal(feed_times("0123456789", 1), -400);

    outcome_init(&outcome);
    feed(&outcome, SLICE("0\r\nA:"));
    assert_int_equal(feed_times("0123456789", HTTP1_CHUNKED_TRAILER_MAX / 10), 0);
    assert_int_equal(feed_times("0123456789", 1), -431);

    /* Single bytes in large wrappings run out of credit; bare ones, and large chunks, never do. */
    outcome_init(&outcome);
    assert_int_equal(feed_times("1;0123456789012345678901234567890123456789\r\na\r\n", 10000),
                     -400);
    assert_true(outcome.consumed < 3 * HTTP1_CHUNKED_OVERHEAD_MAX);
    outcome_init(&outcome);
    assert_int_equal(feed_times("1\r\na\r\n", 100000), 0);
    outcome_init(&outcome);
    assert_int_equal(feed_times("20;signature=0123456789012345678901234567890123456789\r\n"
                                "01234567890123456789012345678901\r\n",
                                100000),
                     0);
}

static void heads_of_chunks_are_read_back(void **state)
{
    for (unsigned shift = 0; shift < 63; shift++) {
        for (uint64_t below = 0; below < 2; below++) {
            const uint64_t size = (UINT64_C(1) << shift) - below;
            if (size == 0)
                continue;
            char text[HTTP1_CHUNK_HEAD_SIZE];
            outcome_init(&outcome);
            feed(&outcome, slice_of(text, http1_chunk_head(size, text)));
            assert_int_equal(outcome.result, HTTP1_CHUNKED_MORE);
            assert_true(outcome.decoder.left == size);
        }
    }
    char text[HTTP1_CHUNK_HEAD_SIZE];
    assert_int_equal(http1_chunk_head(UINT64_MAX, text), HTTP1_CHUNK_HEAD_SIZE);
    assert_memory_equal(text, "ffffffffffffffff\r\n", HTTP1_CHUNK_HEAD_SIZE);
    assert_int_equal(http1_chunk_head(15, text), 3);
    assert_memory_equal(text, "f\r\n", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bodies),
        cmocka_unit_test(bad_bodies),
        cmocka_unit_test(the_largest_chunk_is_waited_for),
        cmocka_unit_test(limits_extensions_and_trailers),
        cmocka_unit_test(heads_of_chunks_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
