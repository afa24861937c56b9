/* SPDX-License-Identifier: MIT */
/*
 * Languages: MP4 has three letters for one (ISO 639-2), HLS, DASH and HTML want the tags of BCP 47
 * (RFC 5646), which are as short as they can be; people want a name.
 */
#ifndef WIRE_LANGUAGE_H
#define WIRE_LANGUAGE_H

#include <stdbool.h>

#include "base/slice.h"

enum { LANGUAGE_TAG_SIZE = 36 }; /* of a tag with its zero: RFC 5646, section 4.4.1 */

/* The tag of a code: "en" of "eng", "de" of "ger" and of "deu", "pt-BR" of "por_BR". False: it is
 * "und", or no tag of a language by its form. */
bool language_tag(struct leat_slice code, char ret_tag[LANGUAGE_TAG_SIZE]);

/* In English, of the language alone: "Portuguese" of "pt-BR". NULL: not known. */
const char *language_name(struct leat_slice tag);

#endif
