/* SPDX-License-Identifier: MIT */
/*
 * Several ranges of a content in one response (RFC 9110, section 14.6).
 */
#ifndef HTTP_PARTS_H
#define HTTP_PARTS_H

#include "http/contents.h"

/* Replies with the parts, at least two, as multipart/byteranges; each says that it is of the
 * content's media type. Holds files by itself. 0, or -ENOMEM: then nothing has changed. */
int parts_reply(struct leat_http_response *response, const struct content *content,
                const struct range_set *set);

#endif
