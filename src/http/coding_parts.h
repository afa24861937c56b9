/* SPDX-License-Identifier: MIT */
/*
 * What coding.c, which decides, and coder.c, which codes piece by piece, have in common.
 */
#ifndef HTTP_CODING_PARTS_H
#define HTTP_CODING_PARTS_H

#include "codec/choice.h"
#include "codec/encoder.h"
#include "http/coding.h"
#include "http/exchange.h"

enum {
    CODER_OUT_SIZE = 16 * 1024,
    CODER_BLOCK_SIZE = 32 * 1024, /* of plain bytes, between two looks at the clock */
};

/* A response's body on its way through an encoder. */
struct coder {
    struct encoder *encoder;
    enum leat_codec codec;
    unsigned setting;     /* of the model's; 0: it learns nothing from this one */
    struct sample sample; /* when there is a setting */
    uint64_t plain_size, coded_size;
    int64_t cpu_ns;
    int64_t busy_ns;     /* CPU time since others had the loop */
    uint64_t flush_at;   /* the plain size behind which the next block is flushed */
    uint64_t flush_step; /* grows: early bytes soon, later ones well */
    bool is_sized;       /* its handler has promised `left` bytes more */
    uint64_t left;
    char *block; /* CODER_BLOCK_SIZE bytes for pieces of files; NULL: none yet */
    size_t out_size;
    char out[CODER_OUT_SIZE];
};

/* What is to be coded, and what is known of it. */
struct coding_text {
    const struct leat_vector *vectors;
    size_t count;
    uint64_t size;
};

/* `size` bytes from `offset` on: where they lie, or `buffer` with a copy of them; 0 or an error. */
int coding_read(const struct coding_text *text, uint64_t offset, size_t size, char *buffer,
                const char **ret_data);

/* Makes the response one that is written through a coder: -ENOMEM, -LEAT_E_LIMIT, and nothing has
 * changed. `size`: of the plain text, or -1. */
int coder_start(struct leat_http_response *response, struct codec_setting setting, int64_t size);
/* When it has ended the model is told what became of this sample. */
void coder_learns(struct coder *coder, unsigned setting, const struct sample *sample);
/* The text has ended: what is still to be sent is in `out`. 0, or an error and the response is
 * broken. */
int coder_finish(struct leat_http_response *response);

#endif
