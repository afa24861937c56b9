/* SPDX-License-Identifier: MIT */
/*
 * Runs of messages, a message without a branch on its type: types follow each other as they like,
 * and a processor that guesses wrong at every third one loses more by it than the message costs.
 *
 * A struct of 64 bytes has four quarters of 16. A quarter's fields lie end to end on the wire, in
 * the same order, and take no more room there: so each is one load and one shuffle that turns round
 * the integers and leaves room between the fields. The way back is the same with another shuffle;
 * what a quarter writes behind its fields, the next one writes over, and so does the next message.
 *
 *     wire    |P|lo|tr| time |   order    |B|share|  stock   |price|   match   |
 *              \_ quarter 0 _/\_____ quarter 1 ___/\___ quarter 2 __/\_ quarter 3 _/
 *
 * Here are the types that have no more text than one field of eight characters. Its spaces become
 * zeros in a register of its own, and zeros spaces between two shuffles. What must hold: whatever
 * is taken here, itch.c would take and make the same of; whatever is not, is its to judge.
 */
#include "wire/itch.h"

#include <stddef.h>

#include "base/assert.h"

#if defined(__x86_64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <immintrin.h>

#define WITH_SHUFFLES __attribute__((target("avx2,bmi2")))

enum {
    QUARTER = 16,
    HEADER = LEAT_ITCH_HEADER_SIZE,
    TEXT = ITCH_SIZE_ALPHA8,
    TEXT_SPARE = 48, /* in the struct: where messages without text have nothing */
    /* What may be read or written, from a message's length on: a quarter may begin at its end. */
    ROOM = ITCH_LENGTH_SIZE + LEAT_ITCH_SIZE_MAX + QUARTER,
};

/* A character is right when with its bias, modulo 256, it is not above its limit: both signed. */
enum {
    BIAS_CODE = 0x80 - ' ',
    LIMIT_CODE = -0x80 + '~' - ' ',
    BIAS_FIRST = 0x80 - '!', /* of a text: left-justified, and not empty */
    LIMIT_FIRST = -0x80 + '~' - '!',
    BIAS_SIDE = 0x80 - 'B',
    LIMIT_SIDE = -0x80 + 'S' - 'B',
    BIAS_ZERO = 0x80,
    LIMIT_ZERO = -0x80,
    LIMIT_NONE = INT8_MAX,
};
/* From 'B' to 'S', those that are no side. */
#define NO_SIDES (~(UINT32_C(1) << ('B' - 'B') | UINT32_C(1) << ('S' - 'B')))

struct row {
    _Alignas(64) uint8_t to_struct[4 * QUARTER]; /* in its quarter of the wire; 0x80: zero */
    uint8_t to_wire[4 * QUARTER];                /* in its quarter of the struct */
    uint8_t bias[4 * QUARTER];                   /* of the struct's characters, and */
    int8_t limits[4 * QUARTER];
    uint8_t padding[2 * QUARTER]; /* in the two quarters in the middle: a space where text is */
    uint32_t has_side;            /* 1 or 0 */
    uint8_t size;
    uint8_t begin2, begin3;         /* of the last two quarters, on the wire */
    uint8_t text_wire, text_struct; /* of the text; or where it does no harm */
};

/* ---- The rows, made of the table of fields --------------------------------------------------- */

/* Where a field is in the struct. */
#define AT(of, name) offsetof(struct leat_itch_message, of.name)
#define AT_HEADER(of, name) offsetof(struct leat_itch_message, name)

/* What lies before struct byte `limit`, on the wire. */
#define BEFORE(of, kind, name, limit) +(AT(of, name) < (limit) ? ITCH_SIZE_##kind : 0)
#define BEFORE2(of, offset, kind, name, what) BEFORE(of, kind, name, 2 * QUARTER)
#define BEFORE3(of, offset, kind, name, what) BEFORE(of, kind, name, 3 * QUARTER)

/* What is done with a field depends on its class. */
#define CLASS_U16 NUMBER
#define CLASS_U32 NUMBER
#define CLASS_U64 NUMBER
#define CLASS_PRICE4 NUMBER
#define CLASS_PRICE8 NUMBER
#define CLASS_CODE CODE
#define CLASS_SIDE SIDE
#define CLASS_ALPHA2 SHORT
#define CLASS_ALPHA4 SHORT
#define CLASS_ALPHA8 TEXT
#define JOIN(a, b) JOIN_EXPANDED(a, b)
#define JOIN_EXPANDED(a, b) a##b
#define BY_CLASS(what, kind) JOIN(what, CLASS_##kind)

/* Counts: of sides, texts, and short texts, which are not for us. */
#define COUNT_NUMBER 0
#define COUNT_CODE 0
#define COUNT_SIDE 1
#define COUNT_TEXT 0x100
#define COUNT_SHORT 0x10000
#define COUNT(of, offset, kind, name, what) +BY_CLASS(COUNT_, kind)

/* Where the text is. */
#define IS_TEXT_NUMBER 0
#define IS_TEXT_CODE 0
#define IS_TEXT_SIDE 0
#define IS_TEXT_TEXT 1
#define IS_TEXT_SHORT 0
#define TEXT_WIRE(of, offset, kind, name, what) +BY_CLASS(IS_TEXT_, kind) * (offset)
#define TEXT_STRUCT(of, offset, kind, name, what) +BY_CLASS(IS_TEXT_, kind) * AT(of, name)

/* A field that is in two quarters: then the tables would be wrong. */
#define SPLIT(of, offset, kind, name, what)                                                        \
    +(AT(of, name) / QUARTER != (AT(of, name) + ITCH_SIZE_##kind - 1) / QUARTER)

/* A side that is elsewhere. */
#define MOVED(of, offset, kind, name, what)                                                        \
    +(BY_CLASS(COUNT_, kind) == COUNT_SIDE &&                                                      \
      ((offset) != ITCH_SIDE_OFFSET ||                                                             \
       AT(of, name) != offsetof(struct leat_itch_message, trade.side)))

#define MEASURES(NAME, name, type, size, section, title)                                           \
    enum {                                                                                         \
        name##_begin_0 = 0,                                                                        \
        name##_begin_1 = HEADER,                                                                   \
        name##_begin_2 = HEADER LEAT_ITCH_##NAME##_FIELDS(BEFORE2, name),                          \
        name##_begin_3 = HEADER LEAT_ITCH_##NAME##_FIELDS(BEFORE3, name),                          \
        name##_counts = 0 LEAT_ITCH_##NAME##_FIELDS(COUNT, name),                                  \
        name##_has_side = name##_counts & 1,                                                       \
        name##_has_text = name##_counts >> 8 & 1,                                                  \
        name##_is_plain = name##_counts <= 0x101,                                                  \
        name##_text_wire = name##_has_text ? 0 LEAT_ITCH_##NAME##_FIELDS(TEXT_WIRE, name) : size,  \
        name##_text_struct =                                                                       \
            name##_has_text ? 0 LEAT_ITCH_##NAME##_FIELDS(TEXT_STRUCT, name) : TEXT_SPARE,         \
    };                                                                                             \
    static_assert(!name##_is_plain || 0 LEAT_ITCH_##NAME##_FIELDS(SPLIT, name) == 0,               \
                  "a field is in one quarter");                                                    \
    static_assert(0 LEAT_ITCH_##NAME##_FIELDS(MOVED, name) == 0, "sides are in one place");        \
    static_assert(                                                                                 \
        !name##_is_plain || !name##_has_text ||                                                    \
            ((int)name##_text_struct >= (int)QUARTER && name##_text_struct + TEXT <= 3 * QUARTER), \
        "text is in the middle");                                                                  \
    static_assert(!name##_is_plain || name##_has_text ||                                           \
                      QUARTER + sizeof(struct leat_itch_##name) <= TEXT_SPARE,                     \
                  "the spare text is nobody's");
LEAT_ITCH_MESSAGES(MEASURES)

#define BEGIN(of, at)                                                                              \
    ((at) < QUARTER       ? of##_begin_0                                                           \
     : (at) < 2 * QUARTER ? of##_begin_1                                                           \
     : (at) < 3 * QUARTER ? of##_begin_2                                                           \
                          : of##_begin_3)

/* Byte `wire` of the wire is byte `at` of the struct. */
#define TO_STRUCT(of, wire, at) [(at)] = (uint8_t)((wire)-BEGIN(of, at)),
#define TO_WIRE(of, wire, at)                                                                      \
    [(at) / QUARTER * QUARTER + (wire)-BEGIN(of, at)] = (uint8_t)((at) % QUARTER),
#define BYTES1(BYTE, of, wire, at) BYTE(of, wire, at)
#define BYTES2(BYTE, of, wire, at) BYTE(of, wire, (at) + 1) BYTE(of, (wire) + 1, at)
#define BYTES4(BYTE, of, wire, at) BYTES2(BYTE, of, wire, (at) + 2) BYTES2(BYTE, of, (wire) + 2, at)
#define BYTES6(BYTE, of, wire, at) BYTES2(BYTE, of, wire, (at) + 4) BYTES4(BYTE, of, (wire) + 2, at)
#define BYTES8(BYTE, of, wire, at) BYTES4(BYTE, of, wire, (at) + 4) BYTES4(BYTE, of, (wire) + 4, at)
#define BYTES_U16 BYTES2
#define BYTES_U32 BYTES4
#define BYTES_U48 BYTES6
#define BYTES_U64 BYTES8
#define BYTES_PRICE4 BYTES4
#define BYTES_PRICE8 BYTES8
#define BYTES_CODE BYTES1
#define BYTES_SIDE BYTES1
#define BYTES_ALPHA2(BYTE, of, wire, at)
#define BYTES_ALPHA4(BYTE, of, wire, at)
/* Text is not turned round. */
#define BYTES_ALPHA8(BYTE, of, wire, at)                                                           \
    BYTE(of, wire, at)                                                                             \
    BYTE(of, (wire) + 1, (at) + 1)                                                                 \
    BYTE(of, (wire) + 2, (at) + 2)                                                                 \
    BYTE(of, (wire) + 3, (at) + 3)                                                                 \
    BYTE(of, (wire) + 4, (at) + 4)                                                                 \
    BYTE(of, (wire) + 5, (at) + 5)                                                                 \
    BYTE(of, (wire) + 6, (at) + 6)                                                                 \
    BYTE(of, (wire) + 7, (at) + 7)
#define FIELD_TO_STRUCT(of, offset, kind, name, what)                                              \
    BYTES_##kind(TO_STRUCT, of, offset, AT(of, name))
#define FIELD_TO_WIRE(of, offset, kind, name, what) BYTES_##kind(TO_WIRE, of, offset, AT(of, name))
#define HEAD_TO_STRUCT(of, offset, kind, name, what)                                               \
    BYTES_##kind(TO_STRUCT, of, offset, AT_HEADER(of, name))
#define HEAD_TO_WIRE(of, offset, kind, name, what)                                                 \
    BYTES_##kind(TO_WIRE, of, offset, AT_HEADER(of, name))

/* [at] = code, side, or what text begins with, goes on with, and ends with. */
#define JUDGE_NUMBER(at, code, side, first, others, end)
#define JUDGE_SHORT(at, code, side, first, others, end)
#define JUDGE_CODE(at, code, side, first, others, end) [at] = (code),
#define JUDGE_SIDE(at, code, side, first, others, end) [at] = (side),
#define JUDGE_TEXT(at, code, side, first, others, end)                                             \
    [at] = (first), [(at) + 1 ...(at) + TEXT - 1] = (others), [(at) + TEXT] = (end),
#define FIELD_BIAS(of, offset, kind, name, what)                                                   \
    BY_CLASS(JUDGE_, kind)                                                                         \
    (AT(of, name), BIAS_CODE, BIAS_SIDE, BIAS_FIRST, BIAS_CODE, BIAS_ZERO)
#define FIELD_LIMIT(of, offset, kind, name, what)                                                  \
    BY_CLASS(JUDGE_, kind)                                                                         \
    (AT(of, name), LIMIT_CODE, LIMIT_SIDE, LIMIT_FIRST, LIMIT_CODE, LIMIT_ZERO)
#define PAD_NUMBER(at)
#define PAD_SHORT(at)
#define PAD_CODE(at)
#define PAD_SIDE(at)
#define PAD_TEXT(at) [(at)-QUARTER...(at) - QUARTER + TEXT - 1] = ' ',
#define FIELD_PADDING(of, offset, kind, name, what) BY_CLASS(PAD_, kind)(AT(of, name))

#define ROW_OF(NAME, name, type, wire_size, section, title)                                        \
    [ROW_##name] = {                                                                               \
        .to_struct = {[0 ... 63] = 0x80,                                                           \
                      LEAT_ITCH_HEADER_FIELDS(HEAD_TO_STRUCT, name)                                \
                          LEAT_ITCH_##NAME##_FIELDS(FIELD_TO_STRUCT, name)},                       \
        .to_wire = {[0 ... 63] = 0x80,                                                             \
                    LEAT_ITCH_HEADER_FIELDS(HEAD_TO_WIRE, name)                                    \
                        LEAT_ITCH_##NAME##_FIELDS(FIELD_TO_WIRE, name)},                           \
        .bias = {LEAT_ITCH_##NAME##_FIELDS(FIELD_BIAS, name)},                                     \
        .limits = {[0 ... 63] = LIMIT_NONE, LEAT_ITCH_##NAME##_FIELDS(FIELD_LIMIT, name)},         \
        .padding = {LEAT_ITCH_##NAME##_FIELDS(FIELD_PADDING, name)},                               \
        .has_side = name##_has_side,                                                               \
        .size = wire_size,                                                                         \
        .begin2 = name##_begin_2,                                                                  \
        .begin3 = name##_begin_3,                                                                  \
        .text_wire = name##_text_wire,                                                             \
        .text_struct = name##_text_struct,                                                         \
    },

enum {
    ROW_none,
#define ROW_NUMBER(NAME, name, type, size, section, title) ROW_##name,
    LEAT_ITCH_MESSAGES(ROW_NUMBER)
};

static const struct row rows[] = {LEAT_ITCH_MESSAGES(ROW_OF)};
static_assert(sizeof rows <= UINT16_MAX, "offsets of rows have 16 bits");

/* By type, a row's offset: ROW_none, whose size is 0, for those that are none or are not plain. */
static const uint16_t row_offsets[256] = {
#define ROW_OFFSET(NAME, name, type, size, section, title)                                         \
    [type] = (name##_is_plain ? ROW_##name : ROW_none) * sizeof(struct row),
    LEAT_ITCH_MESSAGES(ROW_OFFSET)};

static inline const struct row *row_of(uint8_t type)
{
    return (const struct row *)((const char *)rows + row_offsets[type]);
}

/* ---- The runs -------------------------------------------------------------------------------- */

WITH_SHUFFLES static inline __m256i load_pair(const uint8_t *low, const uint8_t *high)
{
    const __m128i first = _mm_loadu_si128((const __m128i *)low);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(first),
                                   _mm_loadu_si128((const __m128i *)high), 1);
}

/* All bits of the characters that are not right. */
WITH_SHUFFLES static inline __m256i char_faults(__m256i half, const uint8_t *bias,
                                                const int8_t *limits)
{
    return _mm256_cmpgt_epi8(_mm256_add_epi8(half, _mm256_loadu_si256((const __m256i *)bias)),
                             _mm256_loadu_si256((const __m256i *)limits));
}

WITH_SHUFFLES static inline uint32_t side_faults(const struct row *row, uint8_t side)
{
    return NO_SIDES >> ((side - 'B') & 31) & row->has_side;
}

/* 0, or any bits when it is not for us. */
WITH_SHUFFLES static inline uint32_t decode_one(const struct row *row, const uint8_t *from,
                                                struct leat_itch_message *ret_message)
{
    const __m256i *const shuffles = (const __m256i *)row->to_struct;
    const __m256i low =
        _mm256_shuffle_epi8(load_pair(from, from + HEADER), _mm256_load_si256(shuffles));
    const __m256i high = _mm256_shuffle_epi8(load_pair(from + row->begin2, from + row->begin3),
                                             _mm256_load_si256(shuffles + 1));
    const uint64_t trimmed = itch_text_trim(itch_text_load(from + row->text_wire, TEXT));
    uint8_t *const to = (uint8_t *)ret_message;
    _mm256_storeu_si256((__m256i *)to, low);
    _mm256_storeu_si256((__m256i *)(to + 2 * QUARTER), high);
    itch_text_store(trimmed, to + row->text_struct, TEXT);

    const __m256i faults =
        _mm256_or_si256(char_faults(low, row->bias, row->limits),
                        char_faults(high, row->bias + 2 * QUARTER, row->limits + 2 * QUARTER));
    return (uint32_t)_mm256_movemask_epi8(faults) | side_faults(row, from[ITCH_SIDE_OFFSET]);
}

WITH_SHUFFLES static size_t decode_run(struct itch_blocks *blocks,
                                       struct leat_itch_message *ret_messages, size_t count)
{
    DEBUG_ASSERT(blocks->left >= ROOM);
    const uint8_t *const data = blocks->at;
    const size_t last = blocks->left - ROOM;
    size_t done = 0, at = 0;
    for (; done < count && at <= last; done++) {
        uint16_t size;
        memcpy(&size, data + at, sizeof size);
        size = be16toh(size);
        /* From the length: the same size in the row would be known much later. */
        const size_t message = at + ITCH_LENGTH_SIZE, next = message + size;
        const struct row *const row = row_of(data[message]);
        if (size != row->size || size == 0 ||
            decode_one(row, data + message, &ret_messages[done]) != 0)
            break;
        at = next;
    }
    blocks->at += at;
    blocks->left -= at;
    return done;
}

/*
 * Pads the text in the two quarters in the middle, which begin at `middle`. A character that is a
 * space then either was a zero, and the next one is a zero too, or was a space, and the next one is
 * no zero: what else there is are zeros within the text, or spaces at its end.
 */
WITH_SHUFFLES static inline __m256i pad(const struct row *row, const uint8_t *middle,
                                        __m256i *ret_faults)
{
    const __m256i padding = _mm256_load_si256((const __m256i *)row->padding);
    const __m256i plain = _mm256_loadu_si256((const __m256i *)middle);
    const __m256i next = _mm256_loadu_si256((const __m256i *)(middle + 1));
    const __m256i is_zero = _mm256_cmpeq_epi8(plain, _mm256_setzero_si256());
    const __m256i is_zero_next = _mm256_cmpeq_epi8(next, _mm256_setzero_si256());
    const __m256i padded = _mm256_or_si256(plain, _mm256_and_si256(is_zero, padding));
    /* Where there is no text, nothing is equal to both. */
    const __m256i is_space = _mm256_cmpeq_epi8(padded, _mm256_set1_epi8(' '));
    *ret_faults = _mm256_and_si256(_mm256_and_si256(is_space, padding),
                                   _mm256_xor_si256(is_zero, is_zero_next));
    return padded;
}

/* 0, or any bits when it is not for us. */
WITH_SHUFFLES static inline uint32_t encode_one(const struct row *row,
                                                const struct leat_itch_message *message,
                                                uint8_t *to)
{
    const uint8_t *const from = (const uint8_t *)message;
    const __m128i *const shuffles = (const __m128i *)row->to_wire;
    __m256i text_faults;
    const __m128i first = _mm_loadu_si128((const __m128i *)from);
    const __m256i middle = pad(row, from + QUARTER, &text_faults);
    const __m128i last = _mm_loadu_si128((const __m128i *)(from + 3 * QUARTER));
    const __m256i wire =
        _mm256_shuffle_epi8(middle, _mm256_loadu_si256((const __m256i *)(shuffles + 1)));
    _mm_storeu_si128((__m128i *)to, _mm_shuffle_epi8(first, shuffles[0]));
    _mm_storeu_si128((__m128i *)(to + HEADER), _mm256_castsi256_si128(wire));
    _mm_storeu_si128((__m128i *)(to + row->begin2), _mm256_extracti128_si256(wire, 1));
    _mm_storeu_si128((__m128i *)(to + row->begin3), _mm_shuffle_epi8(last, shuffles[3]));

    const __m256i middle_faults = char_faults(middle, row->bias + QUARTER, row->limits + QUARTER);
    const __m128i last_faults =
        _mm_cmpgt_epi8(_mm_add_epi8(last, *(const __m128i *)(row->bias + 3 * QUARTER)),
                       *(const __m128i *)(row->limits + 3 * QUARTER));
    const __m256i faults = _mm256_or_si256(_mm256_or_si256(middle_faults, text_faults),
                                           _mm256_zextsi128_si256(last_faults));
    return (uint32_t)!_mm256_testz_si256(faults, faults) | (uint32_t)(message->timestamp_ns >> 48) |
           side_faults(row, (uint8_t)message->trade.side);
}

WITH_SHUFFLES static size_t encode_run(const struct leat_itch_message *messages, size_t count,
                                       struct itch_blocks *blocks)
{
    DEBUG_ASSERT(blocks->left >= ROOM);
    uint8_t *const data = blocks->at;
    const size_t last = blocks->left - ROOM;
    size_t done = 0, at = 0;
    for (; done < count && at <= last; done++) {
        const struct row *const row = row_of((uint8_t)messages[done].type);
        const uint8_t size = row->size;
        if (size == 0 || encode_one(row, &messages[done], data + at + ITCH_LENGTH_SIZE) != 0)
            break;
        data[at] = 0;
        data[at + 1] = size;
        at += ITCH_LENGTH_SIZE + size;
    }
    blocks->at += at;
    blocks->left -= at;
    return done;
}

static bool has_shuffles(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

size_t itch_decode_run(struct itch_blocks *blocks, struct leat_itch_message *ret_messages,
                       size_t count)
{
    return blocks->left >= ROOM && has_shuffles() ? decode_run(blocks, ret_messages, count) : 0;
}

size_t itch_encode_run(const struct leat_itch_message *messages, size_t count,
                       struct itch_blocks *blocks)
{
    return blocks->left >= ROOM && has_shuffles() ? encode_run(messages, count, blocks) : 0;
}

#else

size_t itch_decode_run(struct itch_blocks *blocks, struct leat_itch_message *ret_messages,
                       size_t count)
{
    return 0;
}

size_t itch_encode_run(const struct leat_itch_message *messages, size_t count,
                       struct itch_blocks *blocks)
{
    return 0;
}

#endif
