/* SPDX-License-Identifier: MIT */
/*
 * Chunk streams, byte by byte. Each input is read whole, and cut at every place, with the same
 * messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "leat/error.h"
#include "wire/rtmp_chunks.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { MESSAGE_MAX = 1000, BUFFERED_MAX = 16 * 1024 };

static struct told {
    unsigned count;
    struct {
        uint8_t type;
        uint32_t stream_id, time_ms;
        size_t size;
        char body[64];
    } messages[16];
    int result;
    const char *reason;
} told;

static void note(const struct rtmp_message *message)
{
    assert_true(told.count < COUNT_OF(told.messages));
    told.messages[told.count].type = message->type;
    told.messages[told.count].stream_id = message->stream_id;
    told.messages[told.count].time_ms = message->time_ms;
    told.messages[told.count].size = message->body.size;
    if (message->body.size > 0 && message->body.size < sizeof told.messages->body)
        memcpy(told.messages[told.count].body, message->body.data, message->body.size);
    told.count++;
}

/* The input in two pieces, each in memory of exactly its size. */
static void read_cut(struct leat_slice input, size_t cut)
{
    struct rtmp_chunks chunks;
    rtmp_chunks_init(&chunks, MESSAGE_MAX, BUFFERED_MAX);
    told = (struct told){0};
    for (unsigned piece = 0; piece < 2 && told.result == 0; piece++) {
        const size_t from = piece == 0 ? 0 : cut, to = piece == 0 ? cut : input.size;
        char *const exact = malloc(to - from + (to == from));
        memcpy(exact, input.data + from, to - from);
        struct leat_slice left = slice_of(exact, to - from);
        struct rtmp_message message;
        while ((told.result = rtmp_chunks_next(&chunks, &left, &message)) > 0)
            note(&message);
        assert_true(chunks.buffered <= BUFFERED_MAX);
        assert_true(told.result < 0 || left.size == 0);
        free(exact);
    }
    told.reason = chunks.reason;
    rtmp_chunks_fini(&chunks);
}

static void read_all(struct leat_slice input)
{
    read_cut(input, input.size);
    const struct told whole = told;
    for (size_t cut = 0; cut < input.size; cut++) {
        read_cut(input, cut);
        assert_memory_equal(&told, &whole, sizeof told);
    }
}

static void expect(unsigned number, uint8_t type, uint32_t stream_id, uint32_t time_ms,
                   const char *body)
{
    assert_true(number < told.count);
    assert_int_equal(told.messages[number].type, type);
    assert_int_equal(told.messages[number].stream_id, stream_id);
    assert_int_equal(told.messages[number].time_ms, time_ms);
    assert_int_equal(told.messages[number].size, strlen(body));
    assert_string_equal(told.messages[number].body, body);
}

static void headers_of_all_types(void **state)
{
    read_all(SLICE("\x05\0\0\x64\0\0\3\x14\1\0\0\0abc" /* 0: all of it */
                   "\x45\0\0\x0a\0\0\2\x08zz"          /* 1: the same stream, 10 ms later */
                   "\x85\0\0\x14yy"                    /* 2: the same size and type, 20 ms later */
                   "\xc5xx"                            /* 3: all the same */
                   "\x06\0\0\7\0\0\0\x09\2\0\0\0"      /* empty */
                   "\xc6"                              /* behind type 0: its time is the step */
                   "\x45\0\0\0\0\0\1\x14q"));
    assert_int_equal(told.result, 0);
    assert_int_equal(told.count, 7);
    expect(0, 20, 1, 100, "abc");
    expect(1, 8, 1, 110, "zz");
    expect(2, 8, 1, 130, "yy");
    expect(3, 8, 1, 150, "xx");
    expect(4, 9, 2, 7, "");
    expect(5, 9, 2, 14, "");
    expect(6, 20, 1, 150, "q");
}

static void ids_of_one_two_and_three_bytes(void **state)
{
    read_all(SLICE("\x3f\0\0\1\0\0\1\x08\1\0\0\0a"       /* 63 */
                   "\0\0\0\0\2\0\0\1\x08\1\0\0\0b"       /* 64 */
                   "\0\xff\0\0\3\0\0\1\x08\1\0\0\0c"     /* 319 */
                   "\1\0\1\0\0\4\0\0\1\x08\1\0\0\0d"     /* 320 */
                   "\1\xff\xff\0\0\5\0\0\1\x08\1\0\0\0e" /* 65599 */
                   "\xc0\xff"
                   "f" /* 319, once more */
                   "\xc1\xff\0"
                   "g" /* 319 again, in three bytes */
                   "\x81\xff\xff\0\0\1h"));
    assert_int_equal(told.result, 0);
    assert_int_equal(told.count, 8);
    expect(2, 8, 1, 3, "c");
    expect(4, 8, 1, 5, "e");
    expect(5, 8, 1, 6, "f");
    expect(6, 8, 1, 9, "g");
    expect(7, 8, 1, 6, "h");
}

static void chunks_are_interleaved(void **state)
{
    read_all(SLICE("\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\4" /* chunks of 4 bytes */
                   "\x05\0\0\1\0\0\x0a\x09\1\0\0\0aaaa"
                   "\x04\0\0\2\0\0\6\x08\1\0\0\0bbbb"
                   "\xc5"
                   "aaaa"
                   "\xc4"
                   "bb"
                   "\xc5"
                   "aa"));
    assert_int_equal(told.result, 0);
    assert_int_equal(told.count, 2);
    expect(0, 8, 1, 2, "bbbbbb");
    expect(1, 9, 1, 1, "aaaaaaaaaa");
}

/* A long timestamp stands in chunks of type 3 as well, or, with some, it does not. */
static void extended_timestamps(void **state)
{
    read_all(SLICE("\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\4"
                   "\x05\xff\xff\xff\0\0\6\x09\1\0\0\0\1\2\3\4aaaa"
                   "\xc5\1\2\3\4"
                   "aa"
                   "\x05\xff\xff\xff\0\0\6\x09\1\0\0\0\1\2\3\4aaaa"
                   "\xc5"
                   "bb"
                   "\x05\xff\xff\xff\0\0\x0c\x09\1\0\0\0\1\2\3\4aaaa"
                   "\xc5\1\2\3\xff"
                   "\xc5"
                   "bbbb"
                   "\x45\xff\xff\xff\0\0\1\x09\0\xff\xff\xff"
                   "c" /* a step of as much */
                   "\xc5\1\0\0\0"
                   "d" /* of another */
                   "\x85\0\0\1"
                   "e" /* and of little again */
                   "\xc5"
                   "f"));
    assert_int_equal(told.result, 0);
    assert_int_equal(told.count, 7);
    expect(0, 9, 1, 0x1020304, "aaaaaa");
    expect(1, 9, 1, 0x1020304, "aaaabb");
    expect(2, 9, 1, 0x1020304,
           "aaaa\1\2\3\xff"
           "bbbb");
    expect(3, 9, 1, 0x1020304 + 0xffffff, "c");
    expect(4, 9, 1, 0x2020304 + 0xffffff, "d");
    expect(5, 9, 1, 0x2020305 + 0xffffff, "e");
    expect(6, 9, 1, 0x2020306 + 0xffffff, "f");
}

/* Without it, and in chunks of one byte: what is handed back is payload, and the next header, and
 * what stands where a timestamp may be again. */
static void payload_that_looks_like_a_timestamp(void **state)
{
    read_all(SLICE("\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\1"
                   "\x05\xff\xff\xff\0\0\4\x09\1\0\0\0\xc5\xc5\xc5\xc5w"
                   "\xc5\xc5" /* the second byte */
                   "\xc5q"    /* the third */
                   "\xc5y"
                   "\x45\0\0\1\0\0\1\x09z"));
    assert_int_equal(told.result, 0);
    assert_int_equal(told.count, 2);
    expect(0, 9, 1, 0xc5c5c5c5, "w\xc5qy");
    expect(1, 9, 1, 0xc5c5c5c6, "z");
    read_all(SLICE("\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\1"
                   "\x05\xff\xff\xff\0\0\4\x09\1\0\0\0\1\xc5\7\x09w"
                   "\xc5\1" /* nearly the time: all of it but the last byte */
                   "\xc5\7"
                   "\xc5y"));
    assert_int_equal(told.result, 0);
    assert_int_equal(told.count, 1);
    expect(0, 9, 1, 0x01c50709, "w\1\7y");
}

static void timestamps_wrap(void **state)
{
    read_all(SLICE("\x05\xff\xff\xff\0\0\1\x09\1\0\0\0\xff\xff\xff\xf0"
                   "a"
                   "\x45\0\0\x20\0\0\1\x09"
                   "b"));
    expect(1, 9, 1, 0x10, "b");
}

static void messages_are_aborted(void **state)
{
    read_all(SLICE("\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\4"
                   "\x05\0\0\1\0\0\x0a\x09\1\0\0\0aaaa"
                   "\x02\0\0\0\0\0\4\2\0\0\0\0\0\0\0\5"   /* abort that */
                   "\x02\0\0\0\0\0\4\2\0\0\0\0\0\0\0\x09" /* there is none */
                   "\x02\0\0\0\0\0\4\2\0\0\0\0\0\0\0\0"
                   "\x05\0\0\2\0\0\1\x09\1\0\0\0b"));
    assert_int_equal(told.result, 0);
    assert_int_equal(told.count, 1);
    expect(0, 9, 1, 2, "b");
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        struct leat_slice input;
        int error;
        const char *reason;
    } rows[] = {
        {SLICE("\x85\0\0\1"), -LEAT_E_MALFORMED, "a chunk stream begins without a whole header"},
        {SLICE("\xc5"), -LEAT_E_MALFORMED, "a chunk stream begins without a whole header"},
        {SLICE("\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\1"
               "\x05\0\0\1\0\0\2\x09\1\0\0\0a"
               "\x45\0\0\1\0\0\2\x09"),
         -LEAT_E_MALFORMED, "a message begins within another one"},
        {SLICE("\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\0"), -LEAT_E_MALFORMED, "a chunk size is none"},
        {SLICE("\x02\0\0\0\0\0\4\1\0\0\0\0\x80\0\0\1"), -LEAT_E_MALFORMED, "a chunk size is none"},
        {SLICE("\x02\0\0\0\0\0\3\1\0\0\0\0\0\0\1"), -LEAT_E_MALFORMED, "a chunk size is none"},
        {SLICE("\x02\0\0\0\0\0\0\2\0\0\0\0"), -LEAT_E_MALFORMED, "a message to abort is none"},
        {SLICE("\x05\0\0\1\0\3\xe9\x09\1\0\0\0"), -LEAT_E_LIMIT,
         "a message is larger than is taken"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        read_all(rows[i].input);
        assert_int_equal(told.count, 0);
        assert_int_equal(told.result, rows[i].error);
        assert_string_equal(told.reason, rows[i].reason);
    }
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* On each of `count` chunk streams a message of `size` bytes, with 128 of them. */
static int begin_many(struct rtmp_chunks *chunks, unsigned count, uint32_t size)
{
    unsigned char bytes[14 + 128] = {0};
    struct rtmp_message message;
    int result = 0;
    for (unsigned index = 0; index < count && result == 0; index++) {
        struct writer writer = writer_over(bytes, sizeof bytes);
        writer_u8(&writer, 0);
        writer_u8(&writer, (uint8_t)index);
        writer_u32be(&writer, size >> 16);
        writer_u16be(&writer, (uint16_t)size);
        writer_u8(&writer, RTMP_VIDEO);
        writer_u32le(&writer, 1);
        struct leat_slice input = slice_of(bytes, 13 + (size < 128 ? size : 128));
        result = rtmp_chunks_next(chunks, &input, &message);
        result = result > 0 ? 0 : result;
    }
    return result;
}

static void there_are_64_chunk_streams(void **state)
{
    struct rtmp_chunks chunks;
    rtmp_chunks_init(&chunks, MESSAGE_MAX, BUFFERED_MAX);
    assert_int_equal(begin_many(&chunks, RTMP_CHUNK_STREAMS_MAX, 1), 0);
    assert_int_equal(begin_many(&chunks, RTMP_CHUNK_STREAMS_MAX, 1), 0);
    assert_int_equal(begin_many(&chunks, RTMP_CHUNK_STREAMS_MAX + 1, 1), -LEAT_E_LIMIT);
    assert_string_equal(chunks.reason, "there are more than 64 chunk streams");
    rtmp_chunks_fini(&chunks);
}

static void what_is_begun_has_a_limit(void **state)
{
    struct rtmp_chunks chunks;
    rtmp_chunks_init(&chunks, MESSAGE_MAX, BUFFERED_MAX);
    /* Ended messages leave buffers, which are let go for others. */
    assert_int_equal(begin_many(&chunks, 40, 100), 0);
    assert_int_equal(chunks.buffered, 40 * 100);
    assert_int_equal(begin_many(&chunks, 16, MESSAGE_MAX), 0);
    assert_true(chunks.buffered <= BUFFERED_MAX);
    rtmp_chunks_fini(&chunks);
    rtmp_chunks_init(&chunks, MESSAGE_MAX, BUFFERED_MAX);
    assert_int_equal(begin_many(&chunks, 17, MESSAGE_MAX), -LEAT_E_LIMIT);
    assert_string_equal(chunks.reason, "too many messages are begun and not ended");
    rtmp_chunks_fini(&chunks);
}

static void a_claim_costs_nothing(void **state)
{
    struct rtmp_chunks chunks;
    rtmp_chunks_init(&chunks, RTMP_CHUNK_SIZE_MAX, RTMP_CHUNK_SIZE_MAX);
    assert_int_equal(begin_many(&chunks, RTMP_CHUNK_STREAMS_MAX, RTMP_CHUNK_SIZE_MAX), 0);
    assert_true(chunks.buffered <= 4096 * RTMP_CHUNK_STREAMS_MAX);
    rtmp_chunks_fini(&chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_all_types),
        cmocka_unit_test(ids_of_one_two_and_three_bytes),
        cmocka_unit_test(chunks_are_interleaved),
        cmocka_unit_test(extended_timestamps),
        cmocka_unit_test(payload_that_looks_like_a_timestamp),
        cmocka_unit_test(timestamps_wrap),
        cmocka_unit_test(messages_are_aborted),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(there_are_64_chunk_streams),
        cmocka_unit_test(what_is_begun_has_a_limit),
        cmocka_unit_test(a_claim_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
