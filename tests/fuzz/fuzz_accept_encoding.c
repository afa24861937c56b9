/* SPDX-License-Identifier: MIT */
/*
 * Accept-Encoding, and lists of media types: whatever the bytes are, weights are within their
 * bounds, lines cut at any comma and turned are the same list, what is chosen may be used, and more
 * words for a coding never make it liked better.
 */
#include "fuzz.h"
#include "wire/accept_encoding.h"
#include "wire/mime.h"

static const unsigned all_codings = (1u << ACCEPT_CODINGS) - 1;

static void check_sets(const struct accept_encoding *accept)
{
    const unsigned all = accept_encoding_all(accept), identity = 1u << ACCEPT_IDENTITY;
    ASSERT(all <= all_codings);
    ASSERT(accept_encoding_best(accept) == accept_encoding_best_of(accept, all_codings));
    for (unsigned offered = 0; offered <= all_codings; offered++) {
        const unsigned best = accept_encoding_best_of(accept, offered);
        ASSERT((best & ~(all & (offered | identity))) == 0);
        ASSERT((best & identity) == (all & identity));
        /* What is offered beside and is not chosen changes nothing. */
        ASSERT(accept_encoding_best_of(accept, best) == best);
    }
    ASSERT(accept->any >= ACCEPT_UNSAID && accept->any <= ACCEPT_WEIGHT_MAX);
    for (unsigned coding = 0; coding < ACCEPT_CODINGS; coding++)
        ASSERT(accept->weights[coding] >= ACCEPT_UNSAID &&
               accept->weights[coding] <= ACCEPT_WEIGHT_MAX);
}

/* Every line is added in memory of its own size. */
static void add_line(struct accept_encoding *accept, const char *data, size_t size)
{
    char *line = fuzz_copy(data, size);
    accept_encoding_add(accept, slice_of(line, size));
    free(line);
}

static void check_lines(struct leat_slice text, const struct accept_encoding *whole)
{
    for (size_t cut = 0; cut < text.size; cut++) {
        struct accept_encoding lines;
        if (text.data[cut] != ',')
            continue;
        accept_encoding_init(&lines);
        add_line(&lines, text.data + cut + 1, text.size - cut - 1);
        add_line(&lines, text.data, cut);
        ASSERT(memcmp(&lines, whole, sizeof lines) == 0);
        cut += fuzz_stride(text.size) - 1;
    }
}

/* Said again and refused, a coding is refused; said again at its best, nothing changes. */
static void check_again(const struct accept_encoding *whole)
{
    struct accept_encoding again = *whole;
    add_line(&again, "br;q=0", 6);
    ASSERT((accept_encoding_all(&again) & 1u << ACCEPT_BR) == 0);
    again = *whole;
    if (again.weights[ACCEPT_GZIP] != ACCEPT_UNSAID)
        add_line(&again, "x-gzip", 6);
    ASSERT(memcmp(&again, whole, sizeof again) == 0);
}

/* A type is in a list that it stands in alone, whatever its parameters are. */
static void check_types(struct leat_slice text)
{
    (void)mime_is_compressible(text);
    (void)mime_list_has(text, SLICE("text/html"));
    ASSERT(!mime_is_compressible(text) || text.size >= sizeof "+xml" - 1);
    char *type = malloc(text.size + 4);
    ASSERT(type != NULL);
    memcpy(type, text.data, text.size);
    memcpy(type + text.size, ";a=b", 4);
    ASSERT(mime_is_compressible(text) == mime_is_compressible(slice_of(type, text.size + 4)));
    ASSERT(mime_list_has(SLICE("*/*"), text) ==
           mime_list_has(SLICE("*/*"), slice_of(type, text.size + 4)));
    free(type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct accept_encoding accept;
    if (size == 0)
        return 0;
    accept_encoding_init(&accept);
    add_line(&accept, (const char *)data, size);
    check_sets(&accept);
    check_lines(slice_of(data, size), &accept);
    check_again(&accept);
    check_types(slice_of(data, size));
    return 0;
}
