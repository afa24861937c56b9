/* SPDX-License-Identifier: MIT */
/*
 * See leat/itch.h. Each message's two functions are made of its table: a field a line, no loop, no
 * branch; what is wrong is gathered in one word and asked for once, at the end. Text is worked at
 * eight bytes at a time, whatever its length: shorter text is text with more spaces behind it.
 */
#include "wire/itch.h"

#include <errno.h>

#include "base/assert.h"
#include "base/slice.h"
#include "leat/error.h"

static_assert(sizeof(struct leat_itch_message) == 64, "a message is a cache line");

/* The tables say it twice, where a field is and how large: a slip in one shows in the other. */
#define WIRE_MEMBER(of, offset, kind, name, what) unsigned char name[ITCH_SIZE_##kind];
#define WIRE_STRUCT(NAME, name, type, size, section, title)                                        \
    struct wire_##name {                                                                           \
        unsigned char header[LEAT_ITCH_HEADER_SIZE];                                               \
        struct {                                                                                   \
            LEAT_ITCH_##NAME##_FIELDS(WIRE_MEMBER, name)                                           \
        };                                                                                         \
    };                                                                                             \
    static_assert(sizeof(struct wire_##name) == (size), #name);                                    \
    static_assert((size) >= LEAT_ITCH_SIZE_MIN && (size) <= LEAT_ITCH_SIZE_MAX, #name);
#define IS_IN_PLACE(of, offset, kind, name, what)                                                  \
    static_assert(offsetof(struct wire_##of, name) == (offset), #of "." #name);
#define ARE_IN_PLACE(NAME, name, type, size, section, title)                                       \
    LEAT_ITCH_##NAME##_FIELDS(IS_IN_PLACE, name)
struct wire_head {
    LEAT_ITCH_HEADER_FIELDS(WIRE_MEMBER, head)
};
static_assert(sizeof(struct wire_head) == LEAT_ITCH_HEADER_SIZE, "header");
LEAT_ITCH_MESSAGES(WIRE_STRUCT)
LEAT_ITCH_HEADER_FIELDS(IS_IN_PLACE, head)
LEAT_ITCH_MESSAGES(ARE_IN_PLACE)

/* ---- Kinds of fields ------------------------------------------------------------------------- */

/* An encoder of a kind takes a value to its place on the wire, a decoder the wire to a place for
 * the value. Both return 0, or any bits when the field is refused. */

static inline uint64_t encode_U16(uint16_t value, uint8_t *to)
{
    const uint16_t wire = htobe16(value);
    memcpy(to, &wire, sizeof wire);
    return 0;
}

static inline uint64_t decode_U16(const uint8_t *from, uint16_t *ret_value)
{
    uint16_t wire;
    memcpy(&wire, from, sizeof wire);
    *ret_value = be16toh(wire);
    return 0;
}

static inline uint64_t encode_U32(uint32_t value, uint8_t *to)
{
    const uint32_t wire = htobe32(value);
    memcpy(to, &wire, sizeof wire);
    return 0;
}

static inline uint64_t decode_U32(const uint8_t *from, uint32_t *ret_value)
{
    uint32_t wire;
    memcpy(&wire, from, sizeof wire);
    *ret_value = be32toh(wire);
    return 0;
}

static inline uint64_t encode_U64(uint64_t value, uint8_t *to)
{
    const uint64_t wire = htobe64(value);
    memcpy(to, &wire, sizeof wire);
    return 0;
}

static inline uint64_t decode_U64(const uint8_t *from, uint64_t *ret_value)
{
    uint64_t wire;
    memcpy(&wire, from, sizeof wire);
    *ret_value = be64toh(wire);
    return 0;
}

static inline uint64_t encode_U48(uint64_t value, uint8_t *to)
{
    encode_U16((uint16_t)(value >> 32), to);
    encode_U32((uint32_t)value, to + 2);
    return value >> 48;
}

static inline uint64_t decode_U48(const uint8_t *from, uint64_t *ret_value)
{
    uint16_t high;
    uint32_t low;
    decode_U16(from, &high);
    decode_U32(from + 2, &low);
    *ret_value = (uint64_t)high << 32 | low;
    return 0;
}

#define encode_PRICE4 encode_U32
#define decode_PRICE4 decode_U32
#define encode_PRICE8 encode_U64
#define decode_PRICE8 decode_U64

/* Printable ASCII, the space included. */
static inline uint64_t code_faults(char code)
{
    return (uint8_t)(code - ' ') > '~' - ' ';
}

static inline uint64_t encode_CODE(char code, uint8_t *to)
{
    *to = (uint8_t)code;
    return code_faults(code);
}

static inline uint64_t decode_CODE(const uint8_t *from, char *ret_code)
{
    *ret_code = (char)*from;
    return code_faults(*ret_code);
}

static inline uint64_t side_faults(char side)
{
    return (side != 'B') & (side != 'S');
}

static inline uint64_t encode_SIDE(char side, uint8_t *to)
{
    *to = (uint8_t)side;
    return side_faults(side);
}

static inline uint64_t decode_SIDE(const uint8_t *from, char *ret_side)
{
    *ret_side = (char)*from;
    return side_faults(*ret_side);
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* Text is left-justified: a space comes first only when all are spaces, and then there is none. */

static inline uint64_t encode_text(const char *text, uint8_t *to, size_t size)
{
    uint64_t unpadded = 0;
    memcpy(&unpadded, text, size);
    unpadded = le64toh(unpadded);
    const uint64_t padded = itch_text_pad(unpadded);
    const uint64_t trimmed = padded != ITCH_SPACES ? itch_text_trim(padded) : 0;
    itch_text_store(padded, to, size);
    return itch_text_faults(padded) | (trimmed ^ unpadded) | (text[0] == ' ') | (uint8_t)text[size];
}

/* `ret_text` has a byte more than the wire. */
static inline uint64_t decode_text(const uint8_t *from, char *ret_text, size_t size)
{
    const uint64_t text = itch_text_load(from, size);
    const uint64_t trimmed = text != ITCH_SPACES ? itch_text_trim(text) : 0;
    itch_text_store(trimmed, ret_text, size);
    ret_text[size] = '\0';
    return itch_text_faults(text) | (ret_text[0] == ' ');
}

#define encode_ALPHA2(text, to) encode_text(text, to, ITCH_SIZE_ALPHA2)
#define encode_ALPHA4(text, to) encode_text(text, to, ITCH_SIZE_ALPHA4)
#define encode_ALPHA8(text, to) encode_text(text, to, ITCH_SIZE_ALPHA8)
#define decode_ALPHA2(from, ret_text) decode_text(from, *(ret_text), ITCH_SIZE_ALPHA2)
#define decode_ALPHA4(from, ret_text) decode_text(from, *(ret_text), ITCH_SIZE_ALPHA4)
#define decode_ALPHA8(from, ret_text) decode_text(from, *(ret_text), ITCH_SIZE_ALPHA8)

/* ---- Messages -------------------------------------------------------------------------------- */

#define ENCODE_FIELD(of, offset, kind, name, what)                                                 \
    faults |= encode_##kind(message->name, to + (offset));
#define DECODE_FIELD(of, offset, kind, name, what)                                                 \
    faults |= decode_##kind(from + (offset), &ret_message->name);

static inline uint64_t encode_header(const struct leat_itch_message *message, uint8_t *to)
{
    uint64_t faults = 0;
    LEAT_ITCH_HEADER_FIELDS(ENCODE_FIELD, header)
    return faults;
}

static inline uint64_t decode_header(const uint8_t *from, struct leat_itch_message *ret_message)
{
    uint64_t faults = 0;
    LEAT_ITCH_HEADER_FIELDS(DECODE_FIELD, header)
    return faults;
}

#define FUNCTIONS(NAME, name, type, size, section, title)                                          \
    static inline uint64_t encode_##name(const struct leat_itch_##name *message, uint8_t *to)      \
    {                                                                                              \
        uint64_t faults = 0;                                                                       \
        LEAT_ITCH_##NAME##_FIELDS(ENCODE_FIELD, name) return faults;                               \
    }                                                                                              \
    static inline uint64_t decode_##name(const uint8_t *from,                                      \
                                         struct leat_itch_##name *ret_message)                     \
    {                                                                                              \
        uint64_t faults = 0;                                                                       \
        LEAT_ITCH_##NAME##_FIELDS(DECODE_FIELD, name) return faults;                               \
    }
LEAT_ITCH_MESSAGES(FUNCTIONS)

static const uint8_t sizes[256] = {
#define SIZE(NAME, name, type, size, section, title) [type] = (size),
    LEAT_ITCH_MESSAGES(SIZE)};

size_t leat_itch_size(char type)
{
    return sizes[(uint8_t)type];
}

const char *leat_itch_name(char type)
{
    switch (type) {
#define NAME_CASE(NAME, name, type, size, section, title)                                          \
    case type: return #name;
        LEAT_ITCH_MESSAGES(NAME_CASE)
    default: return NULL;
    }
}

/* As leat_itch_encode; inlined into the loop over blocks. */
static inline int encode_message(const struct leat_itch_message *message, uint8_t *to, size_t room)
{
    const size_t size = sizes[(uint8_t)message->type];
    if (size > room)
        return -ENOBUFS;
    uint64_t faults;
    switch (message->type) {
#define ENCODE_CASE(NAME, name, type, size, section, title)                                        \
    case type: faults = encode_##name(&message->name, to); break;
        LEAT_ITCH_MESSAGES(ENCODE_CASE)
    default: return -EINVAL;
    }
    faults |= encode_header(message, to);
    return faults == 0 ? (int)size : -EINVAL;
}

/* Is it one? Writes to ret_message in any case. */
static inline bool decode_message(const uint8_t *from, size_t size,
                                  struct leat_itch_message *ret_message)
{
    if (size < LEAT_ITCH_SIZE_MIN || size != sizes[from[0]])
        return false;
    uint64_t faults;
    switch (from[0]) {
#define DECODE_CASE(NAME, name, type, size, section, title)                                        \
    case type: faults = decode_##name(from, &ret_message->name); break;
        LEAT_ITCH_MESSAGES(DECODE_CASE)
    default: return false;
    }
    faults |= decode_header(from, ret_message);
    return faults == 0;
}

int leat_itch_encode(const struct leat_itch_message *message, void *data, size_t size)
{
    ASSERT(message != NULL && (data != NULL || size == 0));
    return encode_message(message, data, size);
}

int leat_itch_decode(struct leat_slice message, struct leat_itch_message *ret_message)
{
    ASSERT(ret_message != NULL && (message.data != NULL || message.size == 0));
    struct leat_itch_message decoded;
    if (!decode_message((const uint8_t *)message.data, message.size, &decoded))
        return -LEAT_E_MALFORMED;
    *ret_message = decoded;
    return 0;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* One message, with its length. 0, or as leat_itch_encode. */
static int encode_block(const struct leat_itch_message *message, struct itch_blocks *blocks)
{
    if (blocks->left < ITCH_LENGTH_SIZE)
        return -ENOBUFS;
    const int size =
        encode_message(message, blocks->at + ITCH_LENGTH_SIZE, blocks->left - ITCH_LENGTH_SIZE);
    if (size < 0)
        return size;
    encode_U16((uint16_t)size, blocks->at);
    blocks->at += ITCH_LENGTH_SIZE + size;
    blocks->left -= ITCH_LENGTH_SIZE + (size_t)size;
    return 0;
}

static bool decode_block(struct itch_blocks *blocks, struct leat_itch_message *ret_message)
{
    if (blocks->left < ITCH_LENGTH_SIZE)
        return false;
    uint16_t size;
    decode_U16(blocks->at, &size);
    if (size > blocks->left - ITCH_LENGTH_SIZE ||
        !decode_message(blocks->at + ITCH_LENGTH_SIZE, size, ret_message))
        return false;
    blocks->at += ITCH_LENGTH_SIZE + size;
    blocks->left -= ITCH_LENGTH_SIZE + size;
    return true;
}

ssize_t leat_itch_encode_blocks(const struct leat_itch_message *messages, size_t count, void *data,
                                size_t size, size_t *ret_size)
{
    ASSERT((messages != NULL || count == 0) && (data != NULL || size == 0));
    struct itch_blocks blocks = {data, size};
    size_t done = 0;
    for (;;) {
        done += itch_encode_run(messages + done, count - done, &blocks);
        if (done == count)
            break;
        const int error = encode_block(&messages[done], &blocks);
        if (error != 0 && done == 0)
            return error;
        if (error != 0)
            break;
        done++;
    }
    *ret_size = size - blocks.left;
    return (ssize_t)done;
}

ssize_t leat_itch_decode_blocks(struct leat_slice *blocks, struct leat_itch_message *ret_messages,
                                size_t count_max)
{
    ASSERT(ret_messages != NULL || count_max == 0);
    struct itch_blocks rest = {(uint8_t *)blocks->data, blocks->size};
    size_t done = 0;
    do
        done += itch_decode_run(&rest, ret_messages + done, count_max - done);
    while (done < count_max && decode_block(&rest, &ret_messages[done]) && ++done);
    if (done == 0 && count_max > 0 && rest.left > 0)
        return -LEAT_E_MALFORMED;
    *blocks = slice_of(rest.at, rest.left);
    return (ssize_t)done;
}
