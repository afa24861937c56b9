/* SPDX-License-Identifier: MIT */
/*
 * ITCH, byte by byte. Messages are put on the wire here by the table, but without the codec's code;
 * that the table itself is the standard's, test_itch_json.c and test_itch_files.c show. Single
 * messages and blocks go different ways through the codec: whatever it is asked, both must say the
 * same.
 */
#include "test_itch.h"

enum {
    ROUNDS = 300,
    BEHIND = 4, /* messages behind the one that matters, so that it goes by shuffles */
    TRADE_SIZE = 44,
};

static uint64_t state;

static int reset(void **unused)
{
    state = 1;
    return 0;
}

/* In memory of exactly its size, so that a sanitizer sees the first byte beyond it. */
static int decode_exact(const uint8_t *wire, size_t size, struct leat_itch_message *ret_message)
{
    uint8_t *const exact = malloc(size + !size);
    assert_non_null(exact);
    memcpy(exact, wire, size);
    const int result = leat_itch_decode(slice_of(exact, size), ret_message);
    free(exact);
    return result;
}

static size_t put_block(uint8_t *to, const uint8_t *wire, size_t size)
{
    to[0] = (uint8_t)(size >> 8);
    to[1] = (uint8_t)size;
    memcpy(to + 2, wire, size);
    return 2 + size;
}

/* The same, as the first of several in blocks. Trades behind it are never refused. */
static int decode_in_blocks(const uint8_t *wire, size_t size, struct leat_itch_message *ret_message)
{
    struct leat_itch_message messages[1 + BEHIND];
    uint8_t bytes[2 + 64 + BEHIND * LEAT_ITCH_BLOCK_MAX], trade[TRADE_SIZE];
    uint64_t other = 7;
    put_message(trade, type_of('P'), ANYTHING, &other);
    size_t used = put_block(bytes, wire, size);
    for (int i = 0; i < BEHIND; i++)
        used += put_block(bytes + used, trade, TRADE_SIZE);
    struct leat_slice blocks = slice_of(bytes, used);
    const ssize_t count = leat_itch_decode_blocks(&blocks, messages, 1 + BEHIND);
    if (count < 0) {
        assert_ptr_equal(blocks.data, bytes);
        assert_int_equal(blocks.size, used);
        return (int)count;
    }
    assert_int_equal(count, 1 + BEHIND);
    assert_int_equal(blocks.size, 0);
    *ret_message = messages[0];
    return 0;
}

static int encode_in_blocks(const struct leat_itch_message *message, uint8_t *wire)
{
    struct leat_itch_message messages[1 + BEHIND];
    uint8_t bytes[(1 + BEHIND) * LEAT_ITCH_BLOCK_MAX], trade[TRADE_SIZE];
    uint64_t other = 7;
    size_t used = SIZE_MAX;
    put_message(trade, type_of('P'), ANYTHING, &other);
    messages[0] = *message;
    for (int i = 1; i <= BEHIND; i++)
        assert_int_equal(decode_exact(trade, TRADE_SIZE, &messages[i]), 0);
    const ssize_t count = leat_itch_encode_blocks(messages, 1 + BEHIND, bytes, sizeof bytes, &used);
    if (count < 0) {
        assert_int_equal(used, SIZE_MAX);
        return (int)count;
    }
    assert_int_equal(count, 1 + BEHIND);
    const size_t size = (size_t)bytes[0] << 8 | bytes[1];
    assert_int_equal(used, 2 + size + BEHIND * (2 + TRADE_SIZE));
    memcpy(wire, bytes + 2, size);
    for (size_t i = 0; i < BEHIND; i++)
        assert_memory_equal(bytes + 2 + size + i * (2 + TRADE_SIZE) + 2, trade, TRADE_SIZE);
    return (int)size;
}

/* Both ways take the message, or both refuse it; taken, it becomes the same bytes again. */
static bool check_wire(const uint8_t *wire, size_t size)
{
    struct leat_itch_message one, first, untouched;
    uint8_t again[LEAT_ITCH_SIZE_MAX];
    memset(&one, 0x5a, sizeof one);
    memset(&untouched, 0x5a, sizeof untouched);
    const int result = decode_exact(wire, size, &one);
    assert_int_equal(decode_in_blocks(wire, size, &first), result);
    if (result != 0) {
        assert_int_equal(result, -LEAT_E_MALFORMED);
        assert_memory_equal(&one, &untouched, sizeof one);
        return false;
    }
    assert_true(messages_equal(&one, &first));
    assert_int_equal(leat_itch_encode(&one, again, sizeof again), size);
    assert_memory_equal(again, wire, size);
    assert_int_equal(encode_in_blocks(&one, again), size);
    assert_memory_equal(again, wire, size);
    return true;
}

static void test_sizes_and_names(void **unused)
{
    const char *const types = "SRHYLVWKJhAFECXDUPQBINO";
    const uint8_t sizes[] = {12, 39, 25, 20, 26, 35, 12, 28, 35, 21, 36, 40,
                             31, 36, 23, 19, 35, 44, 40, 19, 50, 20, 48};
    assert_int_equal(strlen(types), COUNT_OF(sizes));
    assert_int_equal(COUNT_OF(message_types), COUNT_OF(sizes));
    for (int c = 0; c < 256; c++) {
        const char *const at = c != 0 ? strchr(types, c) : NULL;
        assert_int_equal(leat_itch_size((char)c), at ? sizes[at - types] : 0);
        assert_int_equal(leat_itch_name((char)c) != NULL, at != NULL);
    }
    assert_string_equal(leat_itch_name(LEAT_ITCH_TRADE), "trade");
    assert_string_equal(leat_itch_name('h'), "operational_halt");
}

/* One trade of 2023-08-22, from a capture. */
static void test_a_trade(void **unused)
{
    const uint8_t wire[] =
        "P\x11\x93\x00\x02\x1f\x1a\xce\xe4\x62\xa9\x00\x00\x00\x00\x00\x00\x00\x00"
        "B\x00\x00\x00"
        "dGOOGL   \x00\x13\x99\xf8\x00\x00\x00\x00\x00\x03\xe6\x42";
    struct leat_itch_message message;
    assert_int_equal(leat_itch_decode(slice_of(wire, TRADE_SIZE), &message), 0);
    assert_int_equal(message.type, LEAT_ITCH_TRADE);
    assert_int_equal(message.locate, 4499);
    assert_int_equal(message.tracking, 2);
    assert_int_equal(message.timestamp_ns, 34200000684713);
    assert_int_equal(message.trade.order, 0);
    assert_int_equal(message.trade.side, 'B');
    assert_int_equal(message.trade.shares, 100);
    assert_string_equal(message.trade.stock, "GOOGL");
    assert_int_equal(message.trade.price, 1284600);
    assert_int_equal(message.trade.match, 255554);
    assert_true(check_wire(wire, TRADE_SIZE));
}

static void test_every_type_at_its_extremes(void **unused)
{
    uint8_t wire[LEAT_ITCH_SIZE_MAX];
    for (size_t i = 0; i < COUNT_OF(message_types); i++)
        for (enum extreme extreme = LEAST; extreme <= ANYTHING; extreme++)
            for (int round = 0; round < (extreme == ANYTHING ? ROUNDS : 1); round++) {
                const size_t size = put_message(wire, &message_types[i], extreme, &state);
                assert_true(check_wire(wire, size));
            }
}

static void test_every_other_length_is_refused(void **unused)
{
    uint8_t wire[64];
    struct leat_itch_message message;
    for (int c = 0; c < 256; c++) {
        memset(wire, ' ', sizeof wire);
        if (leat_itch_size((char)c) != 0)
            put_message(wire, type_of((char)c), ANYTHING, &state);
        wire[0] = (uint8_t)c;
        for (size_t size = 0; size <= sizeof wire; size++)
            assert_int_equal(check_wire(wire, size), size > 0 && size == leat_itch_size((char)c));
    }
    assert_int_equal(leat_itch_decode(slice_of(NULL, 0), &message), -LEAT_E_MALFORMED);
}

/* Is this byte of a valid message still right when it is `value`? */
static bool is_right(const struct field *field, const uint8_t *wire, size_t at, uint8_t value)
{
    const bool is_printable = value >= ' ' && value <= '~';
    const uint8_t *const text = wire + field->offset;
    const unsigned size = kind_sizes[field->kind];
    switch (field->kind) {
    case CODE: return is_printable;
    case SIDE: return value == 'B' || value == 'S';
    case ALPHA2:
    case ALPHA4:
    case ALPHA8:
        if (at == field->offset && value == ' ')
            for (unsigned i = 1; i < size; i++)
                if (text[i] != ' ')
                    return false;
        if (at != field->offset && value != ' ' && text[0] == ' ')
            return false;
        return is_printable;
    default: return true;
    }
}

static void test_every_value_of_every_byte(void **unused)
{
    uint8_t wire[LEAT_ITCH_SIZE_MAX];
    for (size_t i = 0; i < COUNT_OF(message_types); i++)
        for (size_t j = 0; j < message_types[i].field_count; j++) {
            const struct field *const field = &message_types[i].fields[j];
            for (enum extreme extreme = LEAST; extreme <= ANYTHING; extreme++)
                for (size_t k = 0; k < kind_sizes[field->kind]; k++) {
                    const size_t size = put_message(wire, &message_types[i], extreme, &state);
                    const size_t at = field->offset + k;
                    const uint8_t before = wire[at];
                    for (int value = 0; value < 256; value++) {
                        wire[at] = before;
                        const bool expected = is_right(field, wire, at, (uint8_t)value);
                        wire[at] = (uint8_t)value;
                        assert_int_equal(check_wire(wire, size), expected);
                    }
                }
        }
}

/* What the encoder is given may be anything. Both ways agree, and what they take comes back. */
static bool check_struct(const struct leat_itch_message *message)
{
    uint8_t one[LEAT_ITCH_SIZE_MAX], first[LEAT_ITCH_SIZE_MAX];
    struct leat_itch_message again;
    const int result = leat_itch_encode(message, one, sizeof one);
    assert_int_equal(encode_in_blocks(message, first), result);
    if (result < 0) {
        assert_int_equal(result, -EINVAL);
        return false;
    }
    assert_int_equal(result, leat_itch_size(message->type));
    assert_memory_equal(one, first, (size_t)result);
    assert_int_equal(decode_exact(one, (size_t)result, &again), 0);
    assert_true(messages_equal(message, &again));
    return true;
}

static void test_every_value_of_every_byte_of_the_structs(void **unused)
{
    uint8_t wire[LEAT_ITCH_SIZE_MAX];
    struct leat_itch_message message;
    for (size_t i = 0; i < COUNT_OF(message_types); i++)
        for (enum extreme extreme = LEAST; extreme <= ANYTHING; extreme++)
            for (size_t at = 0; at < sizeof message; at++) {
                memset(&message, 0, sizeof message);
                const size_t size = put_message(wire, &message_types[i], extreme, &state);
                assert_int_equal(decode_exact(wire, size, &message), 0);
                for (int value = 0; value < 256; value++) {
                    ((uint8_t *)&message)[at] = (uint8_t)value;
                    check_struct(&message);
                }
            }
}

static void test_what_cannot_be_said(void **unused)
{
    const struct leat_itch_message good = {
        .type = 'F',
        .timestamp_ns = (UINT64_C(1) << 48) - 1,
        .add_order_mpid = {.side = 'S', .stock = "A B.C-D~", .attribution = "LEAT"}};
    struct leat_itch_message bad = good;
    assert_true(check_struct(&good));
    bad.timestamp_ns++;
    assert_false(check_struct(&bad));
    bad = good, bad.type = 'Z';
    assert_false(check_struct(&bad));
    bad = good, bad.add_order_mpid.side = 'b';
    assert_false(check_struct(&bad));
    const char *const stocks[] = {" A", "A ", "A\0B", "A\n", "\x7f", "\xc3\xa9", "ABCDEFGHI", "\t"};
    for (size_t i = 0; i < COUNT_OF(stocks); i++) {
        bad = good;
        memset(bad.add_order_mpid.stock, 0, sizeof bad.add_order_mpid.stock);
        memcpy(bad.add_order_mpid.stock, stocks[i], i == 2 ? 3 : strlen(stocks[i]));
        assert_false(check_struct(&bad));
        bad.type = 'P'; /* which goes by shuffles */
        assert_false(check_struct(&bad));
    }
    bad = good, memcpy(bad.add_order_mpid.attribution, "LEAT5", 5);
    assert_false(check_struct(&bad));
}

static void test_too_little_room(void **unused)
{
    uint8_t wire[LEAT_ITCH_SIZE_MAX];
    struct leat_itch_message message;
    for (size_t i = 0; i < COUNT_OF(message_types); i++) {
        const size_t size = put_message(wire, &message_types[i], ANYTHING, &state);
        assert_int_equal(decode_exact(wire, size, &message), 0);
        for (size_t room = 0; room < size; room++) {
            uint8_t *const exact = malloc(room + !room);
            assert_non_null(exact);
            assert_int_equal(leat_itch_encode(&message, exact, room), -ENOBUFS);
            free(exact);
        }
    }
    assert_int_equal(leat_itch_encode(&message, NULL, 0), -ENOBUFS);
}

/* Random types one behind the other; `ends[i]`: where the first i messages end. */
enum { MANY = 60 };

static size_t put_many(uint8_t *bytes, size_t *ends)
{
    uint8_t wire[LEAT_ITCH_SIZE_MAX];
    size_t used = 0;
    ends[0] = 0;
    for (size_t i = 0; i < MANY; i++) {
        const size_t any = next_random(&state) % COUNT_OF(message_types);
        used +=
            put_block(bytes + used, wire, put_message(wire, &message_types[any], ANYTHING, &state));
        ends[i + 1] = used;
    }
    return used;
}

/* Blocks that end anywhere, in memory that ends there: the whole messages come out. */
static void test_blocks_cut_at_every_place(void **unused)
{
    uint8_t bytes[MANY * LEAT_ITCH_BLOCK_MAX];
    size_t ends[MANY + 1], whole = 0;
    struct leat_itch_message all[MANY], messages[MANY];
    const size_t used = put_many(bytes, ends);
    struct leat_slice blocks = slice_of(bytes, used);
    assert_int_equal(leat_itch_decode_blocks(&blocks, all, MANY), MANY);
    assert_int_equal(leat_itch_decode_blocks(&blocks, all, MANY), 0);
    for (size_t size = 0; size <= used; size++) {
        uint8_t *const exact = malloc(size + !size);
        assert_non_null(exact);
        memcpy(exact, bytes, size);
        whole += whole < MANY && ends[whole + 1] == size;
        blocks = slice_of(exact, size);
        const ssize_t count = leat_itch_decode_blocks(&blocks, messages, MANY);
        assert_int_equal(count, whole == 0 && size > 0 ? -LEAT_E_MALFORMED : (ssize_t)whole);
        assert_int_equal(blocks.size, size - ends[whole]);
        for (size_t i = 0; i < whole; i++)
            assert_true(messages_equal(&messages[i], &all[i]));
        free(exact);
    }
}

static void test_room_for_blocks_ends_at_every_place(void **unused)
{
    uint8_t bytes[MANY * LEAT_ITCH_BLOCK_MAX];
    size_t ends[MANY + 1], whole = 0;
    struct leat_itch_message messages[MANY];
    const size_t used = put_many(bytes, ends);
    struct leat_slice blocks = slice_of(bytes, used);
    assert_int_equal(leat_itch_decode_blocks(&blocks, messages, MANY), MANY);
    for (size_t size = 0; size <= used; size++) {
        uint8_t *const exact = malloc(size + !size);
        size_t written = SIZE_MAX;
        assert_non_null(exact);
        whole += whole < MANY && ends[whole + 1] == size;
        const ssize_t count = leat_itch_encode_blocks(messages, MANY, exact, size, &written);
        assert_int_equal(count, whole == 0 ? -ENOBUFS : (ssize_t)whole);
        assert_int_equal(written, whole == 0 ? SIZE_MAX : ends[whole]);
        assert_memory_equal(exact, bytes, ends[whole]);
        free(exact);
    }
    size_t written = 1;
    assert_int_equal(leat_itch_encode_blocks(NULL, 0, NULL, 0, &written), 0);
    assert_int_equal(written, 0);
}

/* A message that is refused ends what is done before it, wherever it is. */
static void test_blocks_stop_before_a_fault(void **unused)
{
    uint8_t bytes[MANY * LEAT_ITCH_BLOCK_MAX], spoilt[MANY * LEAT_ITCH_BLOCK_MAX];
    size_t ends[MANY + 1];
    struct leat_itch_message messages[MANY], scratch[MANY];
    const size_t used = put_many(bytes, ends);
    for (size_t i = 0; i < MANY; i++) {
        memcpy(spoilt, bytes, used);
        spoilt[ends[i] + 2] = '?';
        struct leat_slice blocks = slice_of(spoilt, used);
        assert_int_equal(leat_itch_decode_blocks(&blocks, messages, MANY),
                         i == 0 ? -LEAT_E_MALFORMED : (int)i);
        assert_ptr_equal(blocks.data, spoilt + ends[i]);

        blocks = slice_of(bytes, used);
        assert_int_equal(leat_itch_decode_blocks(&blocks, messages, i), (int)i);
        assert_ptr_equal(blocks.data, bytes + ends[i]);
        blocks = slice_of(bytes, used);
        assert_int_equal(leat_itch_decode_blocks(&blocks, scratch, MANY), MANY);
        scratch[i].timestamp_ns = UINT64_MAX;
        size_t written = 0;
        assert_int_equal(leat_itch_encode_blocks(scratch, MANY, spoilt, sizeof spoilt, &written),
                         i == 0 ? -EINVAL : (int)i);
        assert_int_equal(written, ends[i]);
        assert_memory_equal(spoilt, bytes, ends[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_sizes_and_names, reset),
        cmocka_unit_test_setup(test_a_trade, reset),
        cmocka_unit_test_setup(test_every_type_at_its_extremes, reset),
        cmocka_unit_test_setup(test_every_other_length_is_refused, reset),
        cmocka_unit_test_setup(test_every_value_of_every_byte, reset),
        cmocka_unit_test_setup(test_every_value_of_every_byte_of_the_structs, reset),
        cmocka_unit_test_setup(test_what_cannot_be_said, reset),
        cmocka_unit_test_setup(test_too_little_room, reset),
        cmocka_unit_test_setup(test_blocks_cut_at_every_place, reset),
        cmocka_unit_test_setup(test_room_for_blocks_ends_at_every_place, reset),
        cmocka_unit_test_setup(test_blocks_stop_before_a_fault, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
