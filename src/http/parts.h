/* SPDX-License-Identifier: MIT */
/*
 * Several ranges of a file in one response (RFC 9110, section 14.6).
 */
#ifndef HTTP_PARTS_H
#define HTTP_PARTS_H

#include "leat/http.h"
#include "wire/range.h"

/* Replies with the parts, at least two, as multipart/byteranges; each says that it is of this media
 * type. Holds the file by itself. 0, or -ENOMEM: then nothing has changed. */
int parts_reply(struct leat_http_response *response, struct leat_file *file,
                struct leat_slice media_type, const struct range_set *set);

#endif
