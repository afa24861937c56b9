/* SPDX-License-Identifier: MIT */
/*
 * From the path of a request to the path of a file, and back. The result is relative, holds no
 * empty, "." or ".." segment and no NUL, and so cannot name anything above where it is resolved.
 * Percent-encoding is undone exactly once and before segments are looked at: %2e%2e is "..", and
 * %2F separates. What symbolic links do is not known here; RESOLVE_BENEATH sees to that.
 */
#ifndef WIRE_PATH_H
#define WIRE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* Cuts a target at its first '?'. Without one the query's data is NULL. */
void path_split_query(struct leat_slice target, struct leat_slice *ret_path,
                      struct leat_slice *ret_query);

struct path {
    struct leat_slice text; /* in the caller's buffer, zero-terminated; empty: the root itself */
    bool has_slash_at_end;  /* it was asked for as a directory */
};

/* Decodes and normalises an absolute path without its query (http1_request.path). 0, or
 *   -LEAT_E_MALFORMED  no '/' at its start, or '%' without two hexadecimal digits, or a NUL: 400
 *   -EACCES            ".." climbs above the root: 404
 *   -ENAMETOOLONG      it does not fit into the buffer with its zero: 404
 * A buffer of raw.size bytes always suffices. */
int path_normalise(struct leat_slice raw, char *buffer, size_t buffer_size, struct path *ret_path);

/* Percent-encodes all but unreserved characters and '/', so that it can stand in a link. Returns
 * the size written, or -ENOBUFS; 3 * path.size bytes always suffice. Not zero-terminated. */
long path_encode(struct leat_slice path, char *buffer, size_t buffer_size);

#endif
