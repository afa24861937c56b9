/* SPDX-License-Identifier: MIT */
/*
 * For the tests of wire/itch*: the table of leat/itch.h as an array, and messages of random values
 * made by it.
 */
#ifndef TEST_ITCH_H
#define TEST_ITCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "leat/error.h"
#include "leat/itch.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum kind { U16, U32, U48, U64, PRICE4, PRICE8, ALPHA2, ALPHA4, ALPHA8, CODE, SIDE };

static const unsigned kind_sizes[] = {2, 4, 6, 8, 4, 8, 2, 4, 8, 1, 1};

struct field {
    size_t offset; /* on the wire */
    enum kind kind;
    const char *name, *what;
    size_t at; /* in struct leat_itch_message */
};

struct message_type {
    const char *name;
    char type;
    size_t size;
    const char *section, *title;
    const struct field *fields;
    size_t field_count;
};

#define FIELD_ENTRY(of, offset, kind, name, what)                                                  \
    {offset, kind, #name, what, offsetof(struct leat_itch_message, of.name)},
#define HEADER_ENTRY(of, offset, kind, name, what)                                                 \
    {offset, kind, #name, what, offsetof(struct leat_itch_message, name)},
#define FIELD_ENTRIES(NAME, name, type, size, section, title)                                      \
    static const struct field name##_fields[] = {LEAT_ITCH_##NAME##_FIELDS(FIELD_ENTRY, name)};
LEAT_ITCH_MESSAGES(FIELD_ENTRIES)
static const struct field header_fields[] = {LEAT_ITCH_HEADER_FIELDS(HEADER_ENTRY, )};

#define TYPE_ENTRY(NAME, name, type, size, section, title)                                         \
    {#name, type, size, section, title, name##_fields, COUNT_OF(name##_fields)},
static const struct message_type message_types[] = {LEAT_ITCH_MESSAGES(TYPE_ENTRY)};

static inline const struct message_type *type_of(char type)
{
    for (size_t i = 0; i < COUNT_OF(message_types); i++)
        if (message_types[i].type == type)
            return &message_types[i];
    fail_msg("no type '%c'", type);
    return NULL;
}

/* splitmix64 */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* What a field may be: the least, the greatest, or anything. */
enum extreme { LEAST, GREATEST, ANYTHING };

static inline char random_char(uint64_t *state, enum extreme extreme, char least)
{
    const uint64_t any = next_random(state) % (uint64_t)('~' - least + 1);
    return extreme == LEAST ? least : extreme == GREATEST ? '~' : (char)((uint64_t)least + any);
}

/* Puts a value of this kind on the wire: integers are as wide as they can be, texts of any length
 * and with spaces in their middle. */
static inline void put_field(uint8_t *wire, const struct field *field, enum extreme extreme,
                             uint64_t *state)
{
    const unsigned size = kind_sizes[field->kind];
    uint8_t *const at = wire + field->offset;
    switch (field->kind) {
    case CODE: at[0] = (uint8_t)random_char(state, extreme, ' '); break;
    case SIDE:
        at[0] = (uint8_t)(extreme == LEAST      ? 'B'
                          : extreme == GREATEST ? 'S'
                                                : "BS"[next_random(state) & 1]);
        break;
    case ALPHA2:
    case ALPHA4:
    case ALPHA8: {
        const uint64_t any = next_random(state) % (size + 1);
        const uint64_t length = extreme == LEAST ? 0 : extreme == GREATEST ? size : any;
        memset(at, ' ', size);
        for (uint64_t i = 0; i < length; i++)
            at[i] = (uint8_t)random_char(state, extreme, i == 0 ? '!' : ' ');
        break;
    }
    default:
        for (unsigned i = 0; i < size; i++)
            at[i] = extreme == LEAST ? 0 : extreme == GREATEST ? 0xff : (uint8_t)next_random(state);
    }
}

/* A whole message, on the wire: its size. */
static inline size_t put_message(uint8_t *wire, const struct message_type *type,
                                 enum extreme extreme, uint64_t *state)
{
    for (size_t i = 1; i < COUNT_OF(header_fields); i++)
        put_field(wire, &header_fields[i], extreme, state);
    for (size_t i = 0; i < type->field_count; i++)
        put_field(wire, &type->fields[i], extreme, state);
    wire[0] = (uint8_t)type->type;
    return type->size;
}

/* How many bytes of the struct a field has. */
static inline size_t struct_size(enum kind kind)
{
    switch (kind) {
    case U48: return sizeof(uint64_t);
    case ALPHA2:
    case ALPHA4:
    case ALPHA8: return kind_sizes[kind] + 1;
    default: return kind_sizes[kind];
    }
}

/* The same in all fields, for padding may be anything. */
static inline bool messages_equal(const struct leat_itch_message *a,
                                  const struct leat_itch_message *b)
{
    if (a->type != b->type || a->locate != b->locate || a->tracking != b->tracking ||
        a->timestamp_ns != b->timestamp_ns)
        return false;
    const struct message_type *const type = type_of(a->type);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct field *const field = &type->fields[i];
        if (memcmp((const char *)a + field->at, (const char *)b + field->at,
                   struct_size(field->kind)) != 0)
            return false;
    }
    return true;
}

#endif
