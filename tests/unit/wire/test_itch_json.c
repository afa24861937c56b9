/* SPDX-License-Identifier: MIT */
/*
 * ITCH as text. The rows below were made from the tables of Nasdaq's specification by a program
 * that shares nothing with leat (Python's struct): each says all fields of a message, in their
 * order, and so the table of leat/itch.h is checked, too. jansson reads what is written.
 */
#include "test_itch.h"

#include <jansson.h>

static const struct {
    const char *wire, *json;
} rows[] = {
    {"53000700001f1aced9f0004f",
     "{\"type\":\"S\",\"name\":\"system_event\",\"locate\":7,\"tracking\":0,"
     "\"timestamp_ns\":34200000000000,\"event\":\"O\"}"},
    {"52000800011f1aced9f0014141504c20202020514e000000644e435a20504e4e314e00000000"
     "4e",
     "{\"type\":\"R\",\"name\":\"stock_directory\",\"locate\":8,\"tracking\":1,"
     "\"timestamp_ns\":34200000000001,\"stock\":\"AAPL\",\"market_category\":\"Q\","
     "\"financial_status\":\"N\",\"round_lot_size\":100,\"round_lots_only\":\"N\","
     "\"issue_classification\":\"C\",\"issue_sub_type\":\"Z\","
     "\"authenticity\":\"P\",\"short_sale_threshold\":\"N\",\"ipo_flag\":\"N\","
     "\"luld_tier\":\"1\",\"etp_flag\":\"N\",\"etp_leverage_factor\":0,"
     "\"inverse\":\"N\"}"},
    {"48000900021f1aced9f0025a585a5a5420202050204c554450",
     "{\"type\":\"H\",\"name\":\"trading_action\",\"locate\":9,\"tracking\":2,"
     "\"timestamp_ns\":34200000000002,\"stock\":\"ZXZZT\",\"trading_state\":\"P\","
     "\"reserved\":\" \",\"reason\":\"LUDP\"}"},
    {"59000a00001f1aced9f00354534c412020202031",
     "{\"type\":\"Y\",\"name\":\"reg_sho\",\"locate\":10,\"tracking\":0,"
     "\"timestamp_ns\":34200000000003,\"stock\":\"TSLA\",\"action\":\"1\"}"},
    {"4c000b00011f1aced9f0044d41584d46444c5320202020594e41",
     "{\"type\":\"L\",\"name\":\"participant\",\"locate\":11,\"tracking\":1,"
     "\"timestamp_ns\":34200000000004,\"mpid\":\"MAXM\",\"stock\":\"FDLS\","
     "\"primary_market_maker\":\"Y\",\"market_maker_mode\":\"N\",\"state\":\"A\"}"},
    {"56000c00021f1aced9f005000000569fe878800000005102d71100000123077b047d4e",
     "{\"type\":\"V\",\"name\":\"mwcb_levels\",\"locate\":12,\"tracking\":2,"
     "\"timestamp_ns\":34200000000005,\"level1\":3720.50000000,"
     "\"level2\":3479.40000000,\"level3\":3199900.12345678}"},
    {"57000d00001f1aced9f00632",
     "{\"type\":\"W\",\"name\":\"mwcb_status\",\"locate\":13,\"tracking\":0,"
     "\"timestamp_ns\":34200000000006,\"breached_level\":\"2\"}"},
    {"4b000e00011f1aced9f0074e4557434f202020000090244100029810",
     "{\"type\":\"K\",\"name\":\"quoting_period\",\"locate\":14,\"tracking\":1,"
     "\"timestamp_ns\":34200000000007,\"stock\":\"NEWCO\",\"release_time_s\":36900,"
     "\"release_qualifier\":\"A\",\"price\":17.0000}"},
    {"4a000f00021f1aced9f0084c545259202020200000953800009ca4000079e000000001",
     "{\"type\":\"J\",\"name\":\"auction_collar\",\"locate\":15,\"tracking\":2,"
     "\"timestamp_ns\":34200000000008,\"stock\":\"LTRY\",\"reference_price\":3.8200,"
     "\"upper_price\":4.0100,\"lower_price\":3.1200,\"extension\":1}"},
    {"68001000001f1aced9f00953505920202020205148",
     "{\"type\":\"h\",\"name\":\"operational_halt\",\"locate\":16,\"tracking\":0,"
     "\"timestamp_ns\":34200000000009,\"stock\":\"SPY\",\"market\":\"Q\","
     "\"action\":\"H\"}"},
    {"41001100011f1aced9f00a000000000166a9a5420000064049564f4f20202020000d55ac",
     "{\"type\":\"A\",\"name\":\"add_order\",\"locate\":17,\"tracking\":1,"
     "\"timestamp_ns\":34200000000010,\"order\":23505317,\"side\":\"B\","
     "\"shares\":1600,\"stock\":\"IVOO\",\"price\":87.3900}"},
    {"46001200021f1aced9f00b000000000094d0a753000000054d45544120202020000c394c5542"
     "5353",
     "{\"type\":\"F\",\"name\":\"add_order_mpid\",\"locate\":18,\"tracking\":2,"
     "\"timestamp_ns\":34200000000011,\"order\":9752743,\"side\":\"S\",\"shares\":5,"
     "\"stock\":\"META\",\"price\":80.1100,\"attribution\":\"UBSS\"}"},
    {"45001300001f1aced9f00c000000000166929a00000019000000000003e63b",
     "{\"type\":\"E\",\"name\":\"executed\",\"locate\":19,\"tracking\":0,"
     "\"timestamp_ns\":34200000000012,\"order\":23499418,\"shares\":25,"
     "\"match\":255547}"},
    {"43001400011f1aced9f00d000000000166929b000000c8000000000003e63c590012d687",
     "{\"type\":\"C\",\"name\":\"executed_price\",\"locate\":20,\"tracking\":1,"
     "\"timestamp_ns\":34200000000013,\"order\":23499419,\"shares\":200,"
     "\"match\":255548,\"printable\":\"Y\",\"price\":123.4567}"},
    {"58001500021f1aced9f00e0000000002041a0000000064",
     "{\"type\":\"X\",\"name\":\"order_cancel\",\"locate\":21,\"tracking\":2,"
     "\"timestamp_ns\":34200000000014,\"order\":33823232,\"shares\":100}"},
    {"44001600001f1aced9f00f0000000001665d6a",
     "{\"type\":\"D\",\"name\":\"order_delete\",\"locate\":22,\"tracking\":0,"
     "\"timestamp_ns\":34200000000015,\"order\":23485802}"},
    {"55001700011f1aced9f0100000000000e6897f000000000145f2c700000064001036c8",
     "{\"type\":\"U\",\"name\":\"order_replace\",\"locate\":23,\"tracking\":1,"
     "\"timestamp_ns\":34200000000016,\"order\":15108479,\"new_order\":21361351,"
     "\"shares\":100,\"price\":106.2600}"},
    {"50001800021f1aced9f01100000000000000004200000064474f4f474c202020001399f80000"
     "00000003e642",
     "{\"type\":\"P\",\"name\":\"trade\",\"locate\":24,\"tracking\":2,"
     "\"timestamp_ns\":34200000000017,\"order\":0,\"side\":\"B\",\"shares\":100,"
     "\"stock\":\"GOOGL\",\"price\":128.4600,\"match\":255554}"},
    {"51001900001f1aced9f01200000000000015c950544758202020200002fc10000000000003e6"
     "494f",
     "{\"type\":\"Q\",\"name\":\"cross_trade\",\"locate\":25,\"tracking\":0,"
     "\"timestamp_ns\":34200000000018,\"shares\":5577,\"stock\":\"PTGX\","
     "\"price\":19.5600,\"match\":255561,\"cross_type\":\"O\"}"},
    {"42001a00011f1aced9f013000000000003e64a",
     "{\"type\":\"B\",\"name\":\"broken_trade\",\"locate\":26,\"tracking\":1,"
     "\"timestamp_ns\":34200000000019,\"match\":255562}"},
    {"49001b00021f1aced9f014000000000000000100000000000000004e4d444320202020200007"
     "161000071610000716114f4c",
     "{\"type\":\"I\",\"name\":\"imbalance\",\"locate\":27,\"tracking\":2,"
     "\"timestamp_ns\":34200000000020,\"paired_shares\":1,\"imbalance_shares\":0,"
     "\"direction\":\"N\",\"stock\":\"MDC\",\"far_price\":46.4400,"
     "\"near_price\":46.4400,\"reference_price\":46.4401,\"cross_type\":\"O\","
     "\"price_variation\":\"L\"}"},
    {"4e001c00001f1aced9f015515151202020202041",
     "{\"type\":\"N\",\"name\":\"retail_interest\",\"locate\":28,\"tracking\":0,"
     "\"timestamp_ns\":34200000000021,\"stock\":\"QQQ\",\"interest\":\"A\"}"},
    {"4f001d00011f1aced9f016444c49535420202059000138800002bf210001d4c0000020bde736"
     "40000001a5e0000203a0",
     "{\"type\":\"O\",\"name\":\"direct_listing\",\"locate\":29,\"tracking\":1,"
     "\"timestamp_ns\":34200000000022,\"stock\":\"DLIST\","
     "\"open_eligibility\":\"Y\",\"min_price\":8.0000,\"max_price\":18.0001,"
     "\"near_price\":12.0000,\"near_time\":36000000000000,\"lower_price\":10.8000,"
     "\"upper_price\":13.2000}"},
    {"50ffffffffffffffffffffffffffffffffffff53ffffffff4122425c202f7e20ffffffffffff"
     "ffffffffffff",
     "{\"type\":\"P\",\"name\":\"trade\",\"locate\":65535,\"tracking\":65535,"
     "\"timestamp_ns\":281474976710655,\"order\":18446744073709551615,"
     "\"side\":\"S\",\"shares\":4294967295,\"stock\":\"A\\\"B\\\\ /~\","
     "\"price\":429496.7295,\"match\":18446744073709551615}"},
    {"560000000000000000000000000000000000000000000000000001ffffffffffffffff",
     "{\"type\":\"V\",\"name\":\"mwcb_levels\",\"locate\":0,\"tracking\":0,"
     "\"timestamp_ns\":0,\"level1\":0.00000000,\"level2\":0.00000001,"
     "\"level3\":184467440737.09551615}"},
    {"5200000000000000000000202020202020202020200000000020202020202020202000000000"
     "22",
     "{\"type\":\"R\",\"name\":\"stock_directory\",\"locate\":0,\"tracking\":0,"
     "\"timestamp_ns\":0,\"stock\":\"\",\"market_category\":\" \","
     "\"financial_status\":\" \",\"round_lot_size\":0,\"round_lots_only\":\" \","
     "\"issue_classification\":\" \",\"issue_sub_type\":\"\",\"authenticity\":\" \","
     "\"short_sale_threshold\":\" \",\"ipo_flag\":\" \",\"luld_tier\":\" \","
     "\"etp_flag\":\" \",\"etp_leverage_factor\":0,\"inverse\":\"\\\"\"}"},
};

static size_t from_hex(const char *hex, uint8_t *wire)
{
    const size_t size = strlen(hex) / 2;
    assert_true(size <= LEAT_ITCH_SIZE_MAX);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &wire[i]), 1);
    return size;
}

static void test_rows(void **unused)
{
    bool is_seen[256] = {false};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t wire[LEAT_ITCH_SIZE_MAX], again[LEAT_ITCH_SIZE_MAX];
        char text[LEAT_ITCH_JSON_SIZE];
        struct leat_itch_message message;
        const size_t size = from_hex(rows[i].wire, wire);
        assert_int_equal(leat_itch_decode(slice_of(wire, size), &message), 0);
        const int length = leat_itch_to_json(&message, text, sizeof text);
        assert_string_equal(text, rows[i].json);
        assert_int_equal(length, strlen(text));
        assert_int_equal(leat_itch_encode(&message, again, sizeof again), size);
        assert_memory_equal(again, wire, size);
        is_seen[wire[0]] = true;
    }
    for (size_t i = 0; i < COUNT_OF(message_types); i++)
        assert_true(is_seen[(uint8_t)message_types[i].type]);
}

/* What a reader of JSON makes of a field. */
static void check_field(const json_t *object, const struct field *field,
                        const struct leat_itch_message *message)
{
    const json_t *const value = json_object_get(object, field->name);
    const char *const at = (const char *)message + field->at;
    uint64_t number = 0;
    assert_non_null(value);
    switch (field->kind) {
    case CODE:
    case SIDE:
        assert_int_equal(json_string_length(value), 1);
        assert_int_equal(json_string_value(value)[0], at[0]);
        return;
    case ALPHA2:
    case ALPHA4:
    case ALPHA8: assert_string_equal(json_string_value(value), at); return;
    case PRICE4:
    case PRICE8:
        memcpy(&number, at, struct_size(field->kind));
        assert_true(json_is_real(value));
        assert_true(json_real_value(value) ==
                    (double)number / (field->kind == PRICE4 ? 10000 : 100000000));
        return;
    default:
        memcpy(&number, at, struct_size(field->kind));
        assert_true(json_is_integer(value));
        assert_int_equal((uint64_t)json_integer_value(value), number);
    }
}

/* Numbers stay below 2^63 here, which is where jansson's integers end, and prices where doubles are
 * exact. */
static void test_a_reader_finds_every_field(void **unused)
{
    uint64_t state = 5;
    for (size_t i = 0; i < COUNT_OF(message_types); i++)
        for (int round = 0; round < 200; round++) {
            const struct message_type *const type = &message_types[i];
            uint8_t wire[LEAT_ITCH_SIZE_MAX];
            char text[LEAT_ITCH_JSON_SIZE];
            struct leat_itch_message message;
            const size_t size = put_message(wire, type, round == 0 ? LEAST : ANYTHING, &state);
            for (size_t j = 0; j < type->field_count; j++) {
                const enum kind kind = type->fields[j].kind;
                if (kind == U64)
                    wire[type->fields[j].offset] &= 0x7f;
                else if (kind == PRICE8)
                    memset(wire + type->fields[j].offset, 0, 2);
            }
            assert_int_equal(leat_itch_decode(slice_of(wire, size), &message), 0);
            assert_true(leat_itch_to_json(&message, text, sizeof text) > 0);
            assert_null(strchr(text, '\n'));
            json_t *const object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(object);
            assert_string_equal(json_string_value(json_object_get(object, "name")), type->name);
            assert_int_equal(json_object_size(object),
                             1 + COUNT_OF(header_fields) + type->field_count);
            for (size_t j = 0; j < COUNT_OF(header_fields); j++)
                check_field(object, &header_fields[j], &message);
            for (size_t j = 0; j < type->field_count; j++)
                check_field(object, &type->fields[j], &message);
            json_decref(object);
        }
}

/* The longest text of each type: every character needs a backslash, every number all its digits. */
static void test_the_longest_fits(void **unused)
{
    size_t longest = 0;
    for (size_t i = 0; i < COUNT_OF(message_types); i++) {
        uint64_t state = 5;
        uint8_t wire[LEAT_ITCH_SIZE_MAX];
        struct leat_itch_message message;
        const size_t size = put_message(wire, &message_types[i], GREATEST, &state);
        for (size_t j = 0; j < size; j++)
            wire[j] = wire[j] == '~' ? '\\' : wire[j];
        assert_int_equal(leat_itch_decode(slice_of(wire, size), &message), 0);
        char *const text = malloc(LEAT_ITCH_JSON_SIZE);
        assert_non_null(text);
        const int length = leat_itch_to_json(&message, text, LEAT_ITCH_JSON_SIZE);
        assert_true(length > 0 && length < LEAT_ITCH_JSON_SIZE);
        assert_int_equal(strlen(text), length);
        longest = (size_t)length > longest ? (size_t)length : longest;
        free(text);
    }
    assert_true(longest > LEAT_ITCH_JSON_SIZE / 2);
}

static void test_what_is_refused(void **unused)
{
    char text[LEAT_ITCH_JSON_SIZE] = "untouched";
    struct leat_itch_message message = {.type = 'D'};
    assert_int_equal(leat_itch_to_json(&message, text, sizeof text - 1), -ENOBUFS);
    message.type = 'Z';
    assert_int_equal(leat_itch_to_json(&message, text, sizeof text), -EINVAL);
    message = (struct leat_itch_message){.type = 'A', .add_order = {.side = '?'}};
    assert_int_equal(leat_itch_to_json(&message, text, sizeof text), -EINVAL);
    assert_string_equal(text, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_a_reader_finds_every_field),
        cmocka_unit_test(test_the_longest_fits),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
