/* SPDX-License-Identifier: MIT */
/*
 * The chunked coding. Cutting the bytes changes neither the data nor the end nor the error; and any
 * bytes, put into chunks of any sizes, come out again.
 */
#include "fuzz.h"
#include "wire/http1_chunked.h"

struct outcome {
    struct http1_chunked decoder;
    int result;
    size_t consumed, size;
    char *data;
};

static void outcome_init(struct outcome *outcome, size_t size_max)
{
    *outcome = (struct outcome){.result = HTTP1_CHUNKED_MORE, .data = fuzz_copy(NULL, 0)};
    outcome->data = realloc(outcome->data, size_max + 1);
    ASSERT(outcome->data != NULL);
    http1_chunked_init(&outcome->decoder);
}

static void feed(struct outcome *outcome, struct leat_slice piece)
{
    if (outcome->result != HTTP1_CHUNKED_MORE)
        return;
    char *copy = fuzz_copy(piece.data, piece.size);
    struct leat_slice left = slice_of(copy, piece.size), data;
    while ((outcome->result = http1_chunked_next(&outcome->decoder, &left, &data)) ==
           HTTP1_CHUNKED_DATA) {
        ASSERT(data.size > 0 && data.data >= copy && data.data + data.size == left.data);
        memcpy(outcome->data + outcome->size, data.data, data.size);
        outcome->size += data.size;
    }
    ASSERT(outcome->result != HTTP1_CHUNKED_MORE || left.size == 0);
    outcome->consumed += piece.size - left.size;
    free(copy);
}

static void check_cut(struct leat_slice body, size_t cut, const struct outcome *whole)
{
    struct outcome parts;
    outcome_init(&parts, body.size);
    feed(&parts, slice_of(body.data, cut));
    feed(&parts, slice_after(body, cut));
    ASSERT(parts.result == whole->result && parts.consumed == whole->consumed);
    ASSERT(parts.size == whole->size && memcmp(parts.data, whole->data, whole->size) == 0);
    free(parts.data);
}

/* Each byte of the data says how long the chunk is that it begins. */
static void check_round_trip(struct leat_slice data)
{
    char *text = malloc(data.size * (1 + HTTP1_CHUNK_HEAD_SIZE + 2) + 5), *at = text;
    ASSERT(text != NULL);
    for (size_t i = 0, size; i < data.size; i += size) {
        size = (unsigned char)data.data[i] % 40u + 1;
        if (size > data.size - i)
            size = data.size - i;
        at += http1_chunk_head(size, at);
        memcpy(at, data.data + i, size);
        memcpy(at + size, "\r\n", 2);
        at += size + 2;
    }
    memcpy(at, "0\r\n\r\n", 5);
    at += 5;
    struct outcome outcome;
    outcome_init(&outcome, data.size);
    feed(&outcome, slice_of(text, (size_t)(at - text)));
    ASSERT(outcome.result == HTTP1_CHUNKED_END && outcome.consumed == (size_t)(at - text));
    ASSERT(outcome.size == data.size && memcmp(outcome.data, data.data, data.size) == 0);
    free(outcome.data);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct leat_slice body = slice_of(data, size);
    struct outcome whole;
    outcome_init(&whole, size);
    feed(&whole, body);
    ASSERT(whole.consumed <= size && whole.size <= whole.consumed);
    for (size_t cut = 0; cut <= size; cut += fuzz_stride(size))
        check_cut(body, cut, &whole);
    free(whole.data);
    check_round_trip(body);
    return 0;
}
