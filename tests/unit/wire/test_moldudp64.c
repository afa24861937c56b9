/* SPDX-License-Identifier: MIT */
/*
 * MoldUDP64: what packets and requests are read as, which are refused and why, and sessions' names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "wire/moldudp64.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define SESSION "000010059B"

static size_t packet_of(uint8_t *packet, uint64_t sequence, uint16_t count, struct leat_slice rest)
{
    mold_write_header(packet, (const uint8_t *)SESSION, sequence, count);
    if (rest.size > 0)
        memcpy(packet + MOLD_HEADER_SIZE, rest.data, rest.size);
    return MOLD_HEADER_SIZE + rest.size;
}

/* Parses a copy of just that size, so that a sanitizer sees what is read beyond it. */
static enum mold_fault parse_exactly(const uint8_t *packet, size_t size,
                                     struct mold_packet *ret_packet)
{
    uint8_t *const copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, packet, size);
    const enum mold_fault fault = mold_parse(slice_of(copy, size), ret_packet);
    if (fault == MOLD_FINE) { /* and what it points to is there in the caller's packet, too */
        ret_packet->session = packet + (ret_packet->session - copy);
        ret_packet->blocks.data =
            (const char *)packet + (ret_packet->blocks.data - (const char *)copy);
    }
    free(copy);
    return fault;
}

static void header_as_on_the_wire(void **state)
{
    uint8_t header[MOLD_HEADER_SIZE];
    mold_write_header(header, (const uint8_t *)SESSION, 0x0102030405060708, 0x090a);
    assert_memory_equal(header, SESSION "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a",
                        MOLD_HEADER_SIZE);
}

#define TWO SLICE("\0\3abc\0\1d")

static void packets(void **state)
{
    static const struct {
        uint64_t sequence;
        uint16_t wire_count;
        struct leat_slice rest;
        enum mold_fault fault;
        uint16_t count;
        bool is_end;
        size_t padding;
    } rows[] = {
        {1, 2, TWO, MOLD_FINE, 2, false, 0},
        {1, 1, TWO, MOLD_FINE, 1, false, 3},
        {7, 0, {.size = 0}, MOLD_FINE, 0, false, 0},
        {7, 0, SLICE("padding"), MOLD_FINE, 0, false, 7},
        {7, MOLD_END_OF_SESSION, {.size = 0}, MOLD_FINE, 0, true, 0},
        {7, MOLD_END_OF_SESSION, SLICE("\0\0\0"), MOLD_FINE, 0, true, 3},
        {3, 1, SLICE("\0\0"), MOLD_FINE, 1, false, 0}, /* a message of no bytes */
        {3, 3, SLICE("\0\0\0\0\0\0"), MOLD_FINE, 3, false, 0},
        /* what a count or a length says is not there */
        {1, 3, TWO, MOLD_CUT, 0, false, 0},
        {1, MOLD_COUNT_MAX, TWO, MOLD_CUT, 0, false, 0},
        {1, 1, {.size = 0}, MOLD_CUT, 0, false, 0},
        {1, 1, SLICE("\0"), MOLD_CUT, 0, false, 0},
        {1, 1, SLICE("\0\1"), MOLD_CUT, 0, false, 0},
        {1, 2, SLICE("\0\1a\0"), MOLD_CUT, 0, false, 0},
        {1, 1, SLICE("\377\377abc"), MOLD_CUT, 0, false, 0},
        /* sequences begin with 1, and end */
        {0, 2, TWO, MOLD_SEQUENCE, 0, false, 0},
        {0, 0, {.size = 0}, MOLD_SEQUENCE, 0, false, 0},
        {0, MOLD_END_OF_SESSION, {.size = 0}, MOLD_SEQUENCE, 0, false, 0},
        {MOLD_SEQUENCE_END - 2, 2, TWO, MOLD_FINE, 2, false, 0},
        {MOLD_SEQUENCE_END - 1, 2, TWO, MOLD_SEQUENCE, 0, false, 0},
        {MOLD_SEQUENCE_END, 0, {.size = 0}, MOLD_FINE, 0, false, 0},
        {MOLD_SEQUENCE_END, 1, TWO, MOLD_SEQUENCE, 0, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t packet[64];
        const size_t size = packet_of(packet, rows[i].sequence, rows[i].wire_count, rows[i].rest);
        struct mold_packet got = {.sequence = 42}, untouched = got;
        const enum mold_fault fault = parse_exactly(packet, size, &got);
        if (fault != rows[i].fault)
            fail_msg("row %zu: %s", i, mold_fault_text(fault));
        if (fault != MOLD_FINE) {
            assert_memory_equal(&got, &untouched, sizeof got);
            continue;
        }
        assert_ptr_equal(got.session, packet);
        assert_int_equal(got.sequence, rows[i].sequence);
        assert_int_equal(got.count, rows[i].count);
        assert_int_equal(got.is_end, rows[i].is_end);
        assert_int_equal(got.padding, rows[i].padding);
        assert_ptr_equal(got.blocks.data, packet + MOLD_HEADER_SIZE);
        assert_int_equal(got.blocks.size, rows[i].rest.size - rows[i].padding);
    }
}

static void every_cut_is_refused(void **state)
{
    uint8_t packet[64];
    const size_t size = packet_of(packet, 5, 2, TWO);
    struct mold_packet got;
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(parse_exactly(packet, cut, &got),
                         cut < MOLD_HEADER_SIZE ? MOLD_SHORT : MOLD_CUT);
    assert_int_equal(parse_exactly(packet, size, &got), MOLD_FINE);
}

/* As many messages as a datagram of IPv4 can have: sizes that change, so that none is guessed. */
static void a_full_packet(void **state)
{
    static uint8_t packet[65507];
    size_t size = MOLD_HEADER_SIZE;
    uint16_t count = 0;
    for (; size + 2 + count % 7 <= sizeof packet; count++) {
        packet[size + 1] = count % 7;
        size += 2 + count % 7;
    }
    mold_write_header(packet, (const uint8_t *)SESSION, 1, count);
    struct mold_packet got;
    assert_int_equal(parse_exactly(packet, size, &got), MOLD_FINE);
    assert_int_equal(got.count, count);
    assert_int_equal(got.blocks.size, size - MOLD_HEADER_SIZE);
    assert_int_equal(mold_blocks_skip(got.blocks, count), got.blocks.size);

    size_t offset = 0;
    for (uint16_t skipped = 0; skipped < count; skipped++) {
        if (skipped % 997 == 0) {
            size_t checked;
            assert_int_equal(mold_blocks_skip(got.blocks, skipped), offset);
            assert_int_equal(mold_blocks_check(got.blocks, skipped, &checked), skipped);
            assert_int_equal(checked, offset);
        }
        offset += 2 + skipped % 7;
    }
    assert_int_equal(parse_exactly(packet, size - 1, &got), MOLD_CUT);
}

static void blocks(void **state)
{
    static const struct {
        struct leat_slice blocks;
        size_t count_max, count, size;
    } rows[] = {
        {{.size = 0}, SIZE_MAX, 0, 0},
        {TWO, SIZE_MAX, 2, 8},
        {TWO, 2, 2, 8},
        {TWO, 1, 1, 5},
        {TWO, 0, 0, 0},
        {SLICE("\0\3abc\0"), SIZE_MAX, 1, 5},
        {SLICE("\0\3abc\0\1"), SIZE_MAX, 1, 5},
        {SLICE("\0\3ab"), SIZE_MAX, 0, 0},
        {SLICE("\1\0ab"), SIZE_MAX, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t size = 42;
        assert_int_equal(mold_blocks_check(rows[i].blocks, rows[i].count_max, &size),
                         rows[i].count);
        assert_int_equal(size, rows[i].size);
        assert_int_equal(mold_blocks_skip(rows[i].blocks, rows[i].count), size);
    }
}

static void requests(void **state)
{
    static const struct {
        uint64_t sequence;
        uint16_t count;
        enum mold_fault fault;
    } rows[] = {
        {1, 1, MOLD_FINE},
        {9, 0, MOLD_FINE},
        {9, MOLD_COUNT_MAX, MOLD_FINE},
        {9, 0xffff, MOLD_FINE}, /* a request has no end of session: so many messages */
        {0, 1, MOLD_SEQUENCE},
        {MOLD_SEQUENCE_END, 1, MOLD_SEQUENCE},
        {MOLD_SEQUENCE_END - 0xffff, 0xffff, MOLD_FINE},
        {MOLD_SEQUENCE_END - 0xfffe, 0xffff, MOLD_SEQUENCE},
    };
    uint8_t packet[MOLD_HEADER_SIZE + 1] = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        mold_write_header(packet, (const uint8_t *)SESSION, rows[i].sequence, rows[i].count);
        struct mold_packet request = {.padding = 42};
        uint16_t count = 42;
        const enum mold_fault fault =
            mold_parse_request(slice_of(packet, MOLD_HEADER_SIZE), &request, &count);
        assert_int_equal(fault, rows[i].fault);
        if (fault != MOLD_FINE) {
            assert_int_equal(request.padding, 42);
            assert_int_equal(count, 42);
            continue;
        }
        assert_ptr_equal(request.session, packet);
        assert_int_equal(request.sequence, rows[i].sequence);
        assert_int_equal(count, rows[i].count);
        assert_int_equal(request.count, 0);
        assert_int_equal(request.blocks.size, 0);
        assert_false(request.is_end);
    }
    struct mold_packet request;
    uint16_t count;
    mold_write_header(packet, (const uint8_t *)SESSION, 1, 1);
    for (size_t size = 0; size < MOLD_HEADER_SIZE; size++)
        assert_int_equal(mold_parse_request(slice_of(packet, size), &request, &count), MOLD_SHORT);
    assert_int_equal(mold_parse_request(slice_of(packet, sizeof packet), &request, &count),
                     MOLD_LONG);
}

static void sessions(void **state)
{
    static const struct {
        const char *text, *session; /* NULL: refused */
    } rows[] = {
        {"S", "S         "},
        {"000010059B", "000010059B"},
        {"a b", "a b       "},
        {"~!", "~!        "},
        {"", NULL},
        {"12345678901", NULL},
        {"tab\t", NULL},
        {"\x7f", NULL},
        {"gr\xc3\xbcn", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t session[MOLD_SESSION_SIZE] = "untouched";
        const int result = mold_session_from_text(rows[i].text, session);
        assert_int_equal(result, rows[i].session ? 0 : -EINVAL);
        assert_memory_equal(session, rows[i].session ? rows[i].session : "untouched",
                            MOLD_SESSION_SIZE);
        if (result < 0)
            continue;
        char text[MOLD_SESSION_SIZE + 1];
        mold_session_to_text(session, text);
        assert_string_equal(text, rows[i].text);
    }
    char text[MOLD_SESSION_SIZE + 1];
    mold_session_to_text((const uint8_t[MOLD_SESSION_SIZE]){'a', 0, 0xff, '\n', ' ', 'b'}, text);
    assert_string_equal(text, "a??? b????");
    mold_session_to_text((const uint8_t *)"          ", text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_as_on_the_wire),
        cmocka_unit_test(packets),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(a_full_packet),
        cmocka_unit_test(blocks),
        cmocka_unit_test(requests),
        cmocka_unit_test(sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
