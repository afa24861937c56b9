/* SPDX-License-Identifier: MIT */
/*
 * Action Message Format 0 (Adobe, "Action Message Format -- AMF 0"), in which RTMP writes its
 * commands. Reading is by views: a value is measured, not built, so that whatever a peer sends
 * costs its own bytes and no memory; an object's properties are looked up in place. Counts are not
 * believed but met by values, and nothing nests deeper than AMF_DEPTH_MAX.
 *
 * As with any cursor, what cannot be read makes it fail, once and for all.
 */
#ifndef WIRE_AMF_H
#define WIRE_AMF_H

#include <stdbool.h>

#include "base/cursor.h"

enum { AMF_DEPTH_MAX = 16 };

/* The markers of section 2.1, of what can be read. */
enum amf_type {
    AMF_NUMBER = 0x00,
    AMF_BOOLEAN = 0x01,
    AMF_STRING = 0x02, /* a long string (0x0c), too */
    AMF_OBJECT = 0x03, /* an ECMA array (0x08) and a typed object (0x10), too */
    AMF_NULL = 0x05,   /* undefined (0x06) and unsupported (0x0d), too */
    AMF_REFERENCE = 0x07,
    AMF_STRICT_ARRAY = 0x0a,
    AMF_DATE = 0x0b,
    AMF_XML_DOCUMENT = 0x0f,
};

struct amf_value {
    enum amf_type type;
    double number; /* of a boolean: 0 or 1; of a date: milliseconds since 1970 */
    /* Of a string: its text, UTF-8 if it is to be believed. Of an object: its properties, without
     * the end marker. Of a strict array: its values, without their count. */
    struct leat_slice bytes;
};

/* Takes the next value, all of it. When the cursor fails: *ret_value is null. */
void amf_take(struct cursor *cursor, struct amf_value *ret_value);

/* The same, when it must be of this type: otherwise the cursor fails, and what is returned is 0 or
 * empty. */
double amf_take_number(struct cursor *cursor);
struct leat_slice amf_take_string(struct cursor *cursor);

/* The first property of this name. False when there is none, or `object` is no object. */
bool amf_find(const struct amf_value *object, struct leat_slice name, struct amf_value *ret_value);
/* The text of that property, when it is a string; otherwise empty. */
struct leat_slice amf_find_string(const struct amf_value *object, struct leat_slice name);

/* ---- Writing --------------------------------------------------------------------------------- */

void amf_write_number(struct writer *writer, double number);
void amf_write_boolean(struct writer *writer, bool is_true);
/* At most 65,535 bytes. */
void amf_write_string(struct writer *writer, struct leat_slice text);
void amf_write_null(struct writer *writer);
/* Behind it come properties, each a name and then a value, and the end. */
void amf_write_object_begin(struct writer *writer);
void amf_write_name(struct writer *writer, struct leat_slice name);
void amf_write_object_end(struct writer *writer);
/* Behind it come `count` values. */
void amf_write_array_begin(struct writer *writer, uint32_t count);

#endif
