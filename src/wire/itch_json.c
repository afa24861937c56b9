/* SPDX-License-Identifier: MIT */
/*
 * ITCH messages as JSON, by the table of leat/itch.h: a writer for each kind of field, which
 * returns where it stopped. There is always room: the longest text of each type is added up below,
 * as the compiler goes.
 */
#include "wire/itch.h"

#include <errno.h>

#include "base/assert.h"

/* The most that a value of a kind takes, quotes included; each character may need a backslash. */
enum {
    TEXT_U16 = sizeof "65535" - 1,
    TEXT_U32 = sizeof "4294967295" - 1,
    TEXT_U48 = sizeof "281474976710655" - 1,
    TEXT_U64 = sizeof "18446744073709551615" - 1,
    TEXT_PRICE4 = sizeof "429496.7295" - 1,
    TEXT_PRICE8 = sizeof "184467440737.09551615" - 1,
    TEXT_ALPHA2 = 2 + 2 * 2,
    TEXT_ALPHA4 = 2 + 2 * 4,
    TEXT_ALPHA8 = 2 + 2 * 8,
    TEXT_CODE = 2 + 2 * 1,
    TEXT_SIDE = 2 + 2 * 1,
};

#define FIELD_TEXT(of, offset, kind, name, what) +(sizeof ",\"" #name "\":" - 1) + TEXT_##kind
#define FITS(NAME, name, type, size, section, title)                                               \
    static_assert(sizeof "{}" + sizeof ",\"name\":\"" #name                                        \
                                       "\"" LEAT_ITCH_HEADER_FIELDS(FIELD_TEXT, name)              \
                                           LEAT_ITCH_##NAME##_FIELDS(FIELD_TEXT, name) <=          \
                      LEAT_ITCH_JSON_SIZE,                                                         \
                  #name);
LEAT_ITCH_MESSAGES(FITS)

/* ---- Kinds of fields ------------------------------------------------------------------------- */

/* At least `digits_min` digits, with zeros before them. */
static char *write_digits(char *to, uint64_t value, unsigned digits_min)
{
    char digits[TEXT_U64];
    unsigned count = 0;
    ASSERT(digits_min <= sizeof digits);
    for (; value > 0 || count < digits_min; value /= 10)
        digits[count++] = (char)('0' + value % 10);
    while (count > 0)
        *to++ = digits[--count];
    return to;
}

static char *write_integer(char *to, uint64_t value)
{
    return write_digits(to, value, 1);
}

static char *write_PRICE4(char *to, uint32_t price)
{
    to = write_digits(to, price / 10000, 1);
    *to++ = '.';
    return write_digits(to, price % 10000, 4);
}

static char *write_PRICE8(char *to, uint64_t price)
{
    to = write_digits(to, price / 100000000, 1);
    *to++ = '.';
    return write_digits(to, price % 100000000, 8);
}

/* Printable ASCII, as leat_itch_encode has found (RFC 8259, section 7). */
static char *write_string(char *to, const char *text, size_t size)
{
    *to++ = '"';
    for (size_t i = 0; i < size; i++) {
        DEBUG_ASSERT(text[i] >= ' ' && text[i] <= '~');
        if (text[i] == '"' || text[i] == '\\')
            *to++ = '\\';
        *to++ = text[i];
    }
    *to++ = '"';
    return to;
}

static char *write_CODE(char *to, char code)
{
    return write_string(to, &code, 1);
}

static char *write_text(char *to, const char *text)
{
    return write_string(to, text, strlen(text));
}

#define write_U16 write_integer
#define write_U32 write_integer
#define write_U48 write_integer
#define write_U64 write_integer
#define write_SIDE write_CODE
#define write_ALPHA2 write_text
#define write_ALPHA4 write_text
#define write_ALPHA8 write_text

/* ---- Messages -------------------------------------------------------------------------------- */

static char *write_plain(char *to, const char *text, size_t size)
{
    memcpy(to, text, size);
    return to + size;
}

#define PLAIN(to, literal) write_plain(to, literal, sizeof(literal) - 1)
#define WRITE_FIELD(of, offset, kind, name, what)                                                  \
    to = PLAIN(to, ",\"" #name "\":");                                                             \
    to = write_##kind(to, message->name);

/* The type is told first, and its name is no field. */
static char *write_type(char *to, char type)
{
    to = PLAIN(to, "{\"type\":");
    to = write_CODE(to, type);
    to = PLAIN(to, ",\"name\":");
    return write_text(to, leat_itch_name(type));
}

#define WRITE_HEAD_CODE(of, offset, kind, name, what)
#define WRITE_HEAD_U16 WRITE_FIELD
#define WRITE_HEAD_U48 WRITE_FIELD
#define WRITE_HEAD(of, offset, kind, name, what) WRITE_HEAD_##kind(of, offset, kind, name, what)

static char *write_header(char *to, const struct leat_itch_message *message)
{
    to = write_type(to, message->type);
    LEAT_ITCH_HEADER_FIELDS(WRITE_HEAD, message)
    return to;
}

#define WRITER(NAME, name, type, size, section, title)                                             \
    static char *write_##name(char *to, const struct leat_itch_##name *message)                    \
    {                                                                                              \
        LEAT_ITCH_##NAME##_FIELDS(WRITE_FIELD, name) return to;                                    \
    }
LEAT_ITCH_MESSAGES(WRITER)

int leat_itch_to_json(const struct leat_itch_message *message, char *text, size_t size)
{
    ASSERT(message != NULL && (text != NULL || size == 0));
    uint8_t wire[LEAT_ITCH_SIZE_MAX];
    if (size < LEAT_ITCH_JSON_SIZE)
        return -ENOBUFS;
    const int result = leat_itch_encode(message, wire, sizeof wire);
    if (result < 0)
        return result;
    char *to = write_header(text, message);
    switch (message->type) {
#define WRITE_CASE(NAME, name, type, size, section, title)                                         \
    case type: to = write_##name(to, &message->name); break;
        LEAT_ITCH_MESSAGES(WRITE_CASE)
    default: ASSERT(!"encode takes no other type");
    }
    to = PLAIN(to, "}");
    *to = '\0';
    ASSERT(to - text < LEAT_ITCH_JSON_SIZE);
    return (int)(to - text);
}
