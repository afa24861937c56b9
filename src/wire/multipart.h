/* SPDX-License-Identifier: MIT */
/*
 * multipart/form-data (RFC 7578) in its framing of RFC 2046, section 5.1, strictly: what two
 * readers could take for different parts is refused. The preamble and what follows the last
 * delimiter are passed over, and parts do not nest.
 *
 *   PREAMBLE --delimiter--> BEHIND --line end--> HEAD --empty line--> BODY
 *                             | ^                                      |
 *                           "--" '------------- delimiter -------------'
 *                             v
 *                            DONE
 *
 * The reader keeps no bytes: it works on the caller's buffer, and what it could not decide about
 * (the beginning of what may be a delimiter, half of a head) stays there, to be offered again with
 * more behind it. Data is handed on in place. The outcome depends on the bytes alone, never on how
 * they were cut; pieces of data aside.
 */
#ifndef WIRE_MULTIPART_H
#define WIRE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046, section 5.1.1 */
    MULTIPART_DELIMITER_MAX = 4 + MULTIPART_BOUNDARY_MAX,
    MULTIPART_PADDING_MAX = 64, /* blanks behind a delimiter */
};

enum multipart_event {
    MULTIPART_MORE,     /* what is left of the input is too little, or nothing */
    MULTIPART_HEAD,     /* a part begins: its field lines, line ends included */
    MULTIPART_DATA,     /* a piece of the part's data, at least one byte */
    MULTIPART_PART_END, /* the part is whole */
    MULTIPART_END,      /* behind the last delimiter; all input is used up */
};

struct multipart {
    enum {
        MULTIPART_IN_PREAMBLE,
        MULTIPART_BEHIND,
        MULTIPART_IN_HEAD,
        MULTIPART_IN_BODY,
        MULTIPART_DONE,
        MULTIPART_BROKEN,
    } state;
    bool is_line_start; /* a delimiter may stand right here, without a line end before it */
    unsigned padding;
    size_t head_size_max;
    size_t delimiter_size;
    char delimiter[MULTIPART_DELIMITER_MAX]; /* CR LF "--" boundary */
};

/* The boundary in a Content-Type of multipart/form-data; data is NULL when it is another type, or
 * its boundary is not what RFC 2046 allows. */
struct leat_slice multipart_boundary(struct leat_slice content_type);

/* A head beyond `head_size_max` is -LEAT_E_LIMIT. */
void multipart_init(struct multipart *reader, struct leat_slice boundary, size_t head_size_max);

/* The least that a buffer must hold so that it is never full of what cannot be decided. */
static inline size_t multipart_room(const struct multipart *reader)
{
    return reader->head_size_max > MULTIPART_DELIMITER_MAX ? reader->head_size_max + 4
                                                           : MULTIPART_DELIMITER_MAX + 4;
}

/* The next event, taken off the start of `*input`; `*ret_data` (set by HEAD and DATA alone) is part
 * of it. Or -LEAT_E_MALFORMED, -LEAT_E_LIMIT, and the reader stays broken. */
int multipart_next(struct multipart *reader, struct leat_slice *input, struct leat_slice *ret_data);

/* ---- Heads of parts -------------------------------------------------------------------------- */

struct multipart_part {
    const char *name;
    const char *filename;   /* NULL: none */
    const char *media_type; /* NULL: it says none */
};

/* What the head of a part says, decoded, zero-terminated, in `buffer`, which takes head.size
 * bytes. Names as browsers send them (WHATWG HTML standard, "multipart form data": %22, %0D and %0A
 * for the quote, CR and LF; backslashes before quotes and backslashes, of older ones, and of curl);
 * `filename*` (RFC 8187) in UTF-8 goes before filename. -LEAT_E_MALFORMED: no form-data, no name, a
 * name twice, a zero byte, a transfer encoding. */
int multipart_parse_head(struct leat_slice head, char *buffer, struct multipart_part *ret_part);

#endif
