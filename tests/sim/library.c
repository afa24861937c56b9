/* SPDX-License-Identifier: MIT */
/*
 * See library.h: what loans are made of, and what clients say of the codings that they take.
 */
#include "library.h"

#include <stdio.h>

#include "codec/codec.h"

enum { BLOCK_SIZE = 2048, WORD_SIZE = 8 };

enum {
    ZSTD = CODEC_BIT(LEAT_CODEC_ZSTD),
    GZIP = CODEC_BIT(LEAT_CODEC_GZIP),
    BR = CODEC_BIT(LEAT_CODEC_BROTLI),
};

const struct library_accept library_accepts[] = {
    {"gzip, br, zstd", GZIP | BR | ZSTD},
    {"gzip, deflate, br, zstd", GZIP | BR | ZSTD},
    {"gzip", GZIP},
    {"br", BR},
    {"zstd", ZSTD},
    {"*", GZIP | BR | ZSTD},
    {"gzip;q=0, *", BR | ZSTD},
    {"x-gzip", GZIP},
    {"br;q=0.001", BR},
    {"br;q=0.5, zstd;q=0.8", BR | ZSTD},
    {"gzip\r\nAccept-Encoding: br\r\nAccept-Encoding: zstd;q=0", GZIP | BR},
    {"gzip, identity;q=0", GZIP},
    {NULL, 0},
    {"", 0},
    {"identity", 0},
    {"*;q=0", 0},
    {"gzip;q=0", 0},
    {"gzip\r\nAccept-Encoding: gzip;q=0", 0},
    {"identity;q=1, gzip;q=0.5", GZIP},
    {"deflate, compress, lz4", 0},
    {"GZIP;Q=1.000", GZIP},
    {", ,,gzip;q=2;;, \t,br;q=nan", GZIP | BR},
};
const unsigned library_accept_count = sizeof library_accepts / sizeof *library_accepts;

/* Some words are much more frequent than others. (sim_content is no noise: it repeats itself.) */
static void put_word(uint64_t content, uint64_t index, bool is_noise, char *ret_word)
{
    static const char letters[] = "etaoinshrdlucmfw";
    const uint64_t drawn = random_mix(content * 1000003 + index);
    if (is_noise) {
        memcpy(ret_word, &drawn, WORD_SIZE);
        return;
    }
    const uint64_t word = random_mix((drawn & 3) ? drawn >> 32 & 31 : drawn >> 32 & 1023);
    for (unsigned at = 0; at < WORD_SIZE - 1; at++)
        ret_word[at] = letters[word >> (4 * at) & 15];
    ret_word[WORD_SIZE - 1] = index % 11 == 10 ? '\n' : ' ';
}

static bool is_noise(const struct loan *loan, uint64_t offset)
{
    return loan->text == LOAN_NOISE ||
           (loan->text == LOAN_MIXED && (random_mix(loan->content + offset / BLOCK_SIZE) & 1));
}

void loan_bytes(const struct loan *loan, uint64_t offset, char *ret_data, size_t size)
{
    while (size > 0) {
        char word[WORD_SIZE];
        const size_t at = offset % WORD_SIZE;
        const size_t part = size < WORD_SIZE - at ? size : WORD_SIZE - at;
        put_word(loan->content, offset / WORD_SIZE, is_noise(loan, offset), word);
        memcpy(ret_data, word + at, part);
        ret_data += part;
        offset += part;
        size -= part;
    }
}

bool loan_has_bytes(const struct loan *loan, uint64_t offset, const char *data, size_t size)
{
    char expected[1024];
    for (size_t part; size > 0; data += part, offset += part, size -= part) {
        part = size < sizeof expected ? size : sizeof expected;
        loan_bytes(loan, offset, expected, part);
        if (memcmp(data, expected, part) != 0)
            return false;
    }
    return true;
}

const struct leat_compress_policy *loan_policy(const struct library *library,
                                               const struct loan *loan)
{
    return loan->policy.mode == LEAT_COMPRESS_UNSET ? &library->policy : &loan->policy;
}

bool loan_may_be_coded(const struct library *library, const struct loan *loan)
{
    const enum leat_compress_mode mode = loan_policy(library, loan)->mode;
    return loan->is_compressible && !loan->is_coded_already && !loan->is_never_transformed &&
           (mode == LEAT_COMPRESS_AUTO || mode == LEAT_COMPRESS_FIXED);
}
