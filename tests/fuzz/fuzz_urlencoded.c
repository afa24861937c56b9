/* SPDX-License-Identifier: MIT */
/*
 * Queries, simple forms and cookies: any bytes come through; what is decoded can be encoded and
 * comes out again; cutting where a pair ends changes nothing.
 */
#include "fuzz.h"
#include "wire/cookie.h"
#include "wire/urlencoded.h"

static void check_decoded(struct leat_slice text)
{
    char *decoded = fuzz_copy(NULL, 0);
    decoded = realloc(decoded, text.size + 1);
    ASSERT(decoded != NULL);
    const size_t size = urlencoded_decode(text, decoded);
    ASSERT(size <= text.size);
    ASSERT(urlencoded_equal(text, slice_of(decoded, size)));
    ASSERT(size == 0 || !urlencoded_equal(text, slice_of(decoded, size - 1)));
    char *in_place = fuzz_copy(text.data, text.size);
    ASSERT(urlencoded_decode(slice_of(in_place, text.size), in_place) == size);
    ASSERT(memcmp(in_place, decoded, size) == 0);
    free(in_place);
    free(decoded);
}

/* All of it percent-encoded decodes to what it was. */
static void check_round_trip(struct leat_slice data)
{
    char *text = malloc(3 * data.size + 1);
    ASSERT(text != NULL);
    for (size_t i = 0; i < data.size; i++) {
        text[3 * i] = '%';
        text[3 * i + 1] = "0123456789abcdef"[(unsigned char)data.data[i] >> 4];
        text[3 * i + 2] = "0123456789ABCDEF"[(unsigned char)data.data[i] & 15];
    }
    ASSERT(urlencoded_equal(slice_of(text, 3 * data.size), data));
    ASSERT(urlencoded_decode(slice_of(text, 3 * data.size), text) == data.size);
    ASSERT(memcmp(text, data.data, data.size) == 0);
    free(text);
}

static size_t count_pairs(struct leat_slice input, bool checks)
{
    struct leat_slice name, value;
    size_t count = 0;
    while (urlencoded_next(&input, &name, &value)) {
        ASSERT(name.size + value.size > 0 || name.data[0] == '=');
        ASSERT(name.size == 0 || memchr(name.data, '=', name.size) == NULL);
        if (checks) {
            check_decoded(name);
            check_decoded(value);
        }
        count++;
    }
    ASSERT(input.size == 0);
    return count;
}

static void check_cookies(struct leat_slice input)
{
    struct leat_slice name, value;
    const char *at = input.data;
    while (cookie_next(&input, &name, &value)) {
        ASSERT(name.data >= at && value.data > name.data + name.size - (name.size > 0));
        ASSERT(value.size == 0 || memchr(value.data, ';', value.size) == NULL);
        char line[256];
        const struct cookie cookie = {.name = name, .value = value, .path = value};
        const long size = cookie_format(&cookie, line, sizeof line);
        ASSERT(size < 0 || memchr(line, '\n', (size_t)size) == NULL);
        at = input.data;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct leat_slice input = slice_of(data, size);
    const size_t count = count_pairs(input, true);
    for (size_t cut = 0; cut < size; cut += fuzz_stride(size))
        if (data[cut] == '&')
            ASSERT(count_pairs(slice_of(data, cut), false) +
                       count_pairs(slice_after(input, cut), false) ==
                   count);
    check_round_trip(input);
    check_cookies(input);
    return 0;
}
