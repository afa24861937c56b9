/* SPDX-License-Identifier: MIT */
/*
 * Content codings of responses (RFC 9110, section 8.4): which may be used for this client, which
 * one makes the response arrive soonest, and the response made so. A whole response is coded when
 * its handler has returned, in the handler's fiber: at once what is small, the rest block by block,
 * the kernel sending one while the next is coded. One that is written piece by piece is coded as it
 * is written.
 */
#ifndef HTTP_CODING_H
#define HTTP_CODING_H

#include <stdbool.h>

#include "base/counters.h"
#include "codec/codec.h"
#include "leat/http.h"

struct exchange;

enum {
    /* What is no larger is left alone, and varies with nothing: it fits into a packet with its
     * head, or, where coding was ordered, would not become smaller. */
    CODING_PACKET_SIZE = 1100,
    CODING_ORDERED_SIZE = 256,
    CODING_AT_ONCE_MAX = 32 * 1024,    /* the first block; what is no more is coded in one go */
    CODING_GZIP_AT_ONCE_MAX = 1 << 20, /* libdeflate has no pieces, and half the price of zlib */
    CODING_LINES_MAX = sizeof "Content-Encoding: identity\r\nVary: Accept-Encoding\r\n" - 1,
};

/* A media type, and whether it is one of those that are coded. */
enum { CODING_TYPES = 16, CODING_TYPE_MAX = 46 };
struct coding_type {
    unsigned char size; /* 0: none yet */
    bool is_coded;
    char text[CODING_TYPE_MAX];
};

/* Of a server; written by its loop. */
struct coding_counters {
    _Atomic uint64_t responses[LEAT_CODECS], plain_bytes[LEAT_CODECS], coded_bytes[LEAT_CODECS];
    _Atomic uint64_t left[LEAT_HTTP_LEFT_REASONS];
    _Atomic uint64_t cpu_ns;
};

/* A server's policy can be a server's: 0 or -EINVAL. */
int coding_check(const struct leat_compress_policy *policy);
/* Do responses of this type and size depend on Accept-Encoding? */
bool coding_varies(const struct leat_http_response *response, struct leat_slice media_type,
                   uint64_t size);
/* The codecs that policy and client allow for them, LEAT_CODEC_NONE mostly among them. */
unsigned coding_codecs(const struct leat_http_response *response);
/* The same of what is stored coded, to be sent in place of a plain whole one; 0: nothing may be. */
unsigned coding_codecs_of_stored(struct leat_http_response *response, struct leat_slice media_type,
                                 uint64_t size);
/* A text has been coded, or was sent as it had been. */
void coding_count(struct exchange *exchange, enum leat_codec codec, uint64_t plain_size,
                  uint64_t coded_size, int64_t cpu_ns);
/* Puts the line Content-Encoding, unless it is none, and Vary; returns where they end. */
char *coding_put_lines(char *at, enum leat_codec codec);

/* The handler has returned, and this is its fiber: codes what it has replied with, or ends what it
 * has written. */
void coding_end(struct exchange *exchange);

/* ---- Piece by piece: for writing.c ----------------------------------------------------------- */

/* The first piece is there: decides. `size`: of the whole, -1: unknown. */
void coding_begin(struct leat_http_response *response, const struct leat_vector *vectors,
                  size_t count, int64_t size);
/* As leat_http_send, once coding_begin has made a coder. */
int coding_write(struct leat_http_response *response, const struct leat_vector *vectors,
                 size_t count, int64_t deadline_ns);
int coding_flush(struct leat_http_response *response, int64_t deadline_ns);
/* Lets go of a response's coder. */
void coding_drop(struct leat_http_response *response);

#endif
