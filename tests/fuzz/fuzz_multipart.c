/* SPDX-License-Identifier: MIT */
/*
 * multipart/form-data. Cutting the bytes changes neither heads nor data nor how it ends, and a
 * buffer of the promised size is never full; and any bytes, put into parts, come out again. The
 * input's first line names the boundary.
 */
#include "fuzz.h"
#include "wire/multipart.h"

enum { HEAD_SIZE_MAX = 200 };

/* All that was said, as one run of bytes: an event's letter, and what came with it. */
struct outcome {
    struct multipart reader;
    int result;
    char *rest, *said;
    size_t rest_size, said_size, size_max;
};

static void outcome_init(struct outcome *outcome, struct leat_slice boundary, size_t body_size)
{
    *outcome = (struct outcome){.result = MULTIPART_MORE, .rest = fuzz_copy(NULL, 0)};
    outcome->size_max = 2 * body_size + 2; /* an event takes a byte at least */
    outcome->said = malloc(outcome->size_max);
    ASSERT(outcome->said != NULL);
    multipart_init(&outcome->reader, boundary, HEAD_SIZE_MAX);
}

static void outcome_fini(struct outcome *outcome)
{
    free(outcome->rest);
    free(outcome->said);
}

static void say(struct outcome *outcome, const void *data, size_t size)
{
    ASSERT(size <= outcome->size_max - outcome->said_size);
    memcpy(outcome->said + outcome->said_size, data, size);
    outcome->said_size += size;
}

static void note(struct outcome *outcome, struct leat_slice data)
{
    if (outcome->result == MULTIPART_HEAD) {
        say(outcome, "h", 1);
        struct multipart_part part;
        char *buffer = malloc(data.size + 1);
        ASSERT(buffer != NULL);
        buffer = realloc(buffer, data.size > 0 ? data.size : 1);
        if (multipart_parse_head(data, buffer, &part) == 0)
            ASSERT(part.name >= buffer && part.name < buffer + data.size);
        free(buffer);
    }
    if (outcome->result == MULTIPART_PART_END)
        say(outcome, ";", 1);
    if (outcome->result == MULTIPART_HEAD || outcome->result == MULTIPART_DATA) {
        ASSERT(data.size > 0 || outcome->result == MULTIPART_HEAD);
        say(outcome, data.data, data.size);
    }
}

static void feed(struct outcome *outcome, struct leat_slice piece)
{
    if (outcome->result != MULTIPART_MORE)
        return;
    const size_t size = outcome->rest_size + piece.size;
    char *exact = malloc(size > 0 ? size : 1);
    ASSERT(exact != NULL);
    memcpy(exact, outcome->rest, outcome->rest_size);
    memcpy(exact + outcome->rest_size, piece.data, piece.size);
    free(outcome->rest);
    struct leat_slice left = slice_of(exact, size), data = slice_of(exact, 0);
    do {
        outcome->result = multipart_next(&outcome->reader, &left, &data);
        ASSERT(left.data + left.size == exact + size);
        note(outcome, data);
    } while (outcome->result > 0 && outcome->result != MULTIPART_END);
    if (outcome->result == MULTIPART_MORE)
        ASSERT(left.size < multipart_room(&outcome->reader));
    outcome->rest = fuzz_copy(left.data, left.size);
    outcome->rest_size = left.size;
    free(exact);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    ASSERT(a->result == b->result && a->said_size == b->said_size);
    ASSERT(memcmp(a->said, b->said, a->said_size) == 0);
}

static void check_cuts(struct leat_slice boundary, struct leat_slice body)
{
    struct outcome whole, parts;
    outcome_init(&whole, boundary, body.size);
    feed(&whole, body);
    for (size_t cut = 0; cut <= body.size; cut += fuzz_stride(body.size)) {
        outcome_init(&parts, boundary, body.size);
        feed(&parts, slice_of(body.data, cut));
        feed(&parts, slice_after(body, cut));
        check_same(&parts, &whole);
        outcome_fini(&parts);
    }
    outcome_init(&parts, boundary, body.size);
    for (size_t at = 0; at < body.size; at++)
        feed(&parts, slice_of(body.data + at, 1));
    check_same(&parts, &whole);
    outcome_fini(&parts);
    outcome_fini(&whole);
}

/* The data as one part, unless the boundary stands in it. */
static void check_round_trip(struct leat_slice data)
{
    static const char before[] = "--QqQ\r\nA: b\r\n\r\n", after[] = "\r\n--QqQ--\r\n";
    if (memmem(data.data, data.size, "QqQ", 3))
        return;
    const size_t size = data.size + sizeof before + sizeof after - 2;
    char *body = malloc(size);
    ASSERT(body != NULL);
    memcpy(body, before, sizeof before - 1);
    memcpy(body + sizeof before - 1, data.data, data.size);
    memcpy(body + size - (sizeof after - 1), after, sizeof after - 1);
    struct outcome outcome;
    outcome_init(&outcome, SLICE("QqQ"), size);
    feed(&outcome, slice_of(body, size));
    ASSERT(outcome.result == MULTIPART_END && outcome.said_size == data.size + 8);
    ASSERT(memcmp(outcome.said, "hA: b\r\n", 7) == 0);
    ASSERT(memcmp(outcome.said + 7, data.data, data.size) == 0);
    outcome_fini(&outcome);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct leat_slice input = slice_of(data, size);
    const char *const end = memchr(data, '\n', size);
    if (end) {
        const size_t line_size = (size_t)(end - (const char *)data);
        const struct leat_slice boundary = multipart_boundary(slice_of(data, line_size));
        if (boundary.data)
            check_cuts(boundary, slice_after(input, line_size + 1));
    }
    check_round_trip(input);
    return 0;
}
