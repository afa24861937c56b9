/* SPDX-License-Identifier: MIT */
/*
 * Replying with a content: a representation that has validators and is there as send vectors, so
 * that any part of it can be sent as well as the whole. A file is one of a single vector.
 */
#ifndef HTTP_CONTENTS_H
#define HTTP_CONTENTS_H

#include "http/conditions.h"

struct content {
    struct leat_slice media_type;      /* lives as long as the request */
    struct validators validators;      /* `lines` as of the plain form, whatever the codec */
    const struct leat_vector *vectors; /* as leat_http_reply_vectors takes them; copied */
    size_t count;
};

/* As GET and HEAD ask for it; files are held by themselves. 0, or -ENOMEM: then nothing has
 * changed. A single vector takes no memory. */
int contents_reply(const struct leat_http_request *request, struct leat_http_response *response,
                   const struct content *content);

/* The pieces that make up `size` bytes of vectors from `first` on, at most `count` of them; returns
 * how many. */
size_t contents_slice(const struct leat_vector *vectors, size_t count, uint64_t first,
                      uint64_t size, struct leat_vector *ret_list);

#endif
