/* SPDX-License-Identifier: MIT */
/*
 * See compress_flags.h.
 */
#include "compress_flags.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "leat/compress.h"
#include "quantity.h"
#include "wire/chars.h"

static const uint64_t cache_size_min = UINT64_C(1) << 20, cache_size_max = UINT64_C(1) << 40;

int compress_take_policy(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct leat_compress_policy policy;
    char why[128];
    ASSERT(text && target);
    if (leat_compress_policy_parse(text, &policy, why, sizeof why) != 0) {
        snprintf(ret_error, ret_error_size, "--compress '%s': %s", text, why);
        return -1;
    }
    if (policy.codec == LEAT_CODEC_LZ4) {
        snprintf(ret_error, ret_error_size,
                 "--compress '%s': no client of HTTP knows that: zstd, gzip or br is wanted", text);
        return -1;
    }
    *(struct leat_compress_policy *)target = policy;
    return 0;
}

/* type "/" subtype (RFC 9110, section 8.3.1), without parameters; stars as mime_list_has has
 * them. */
static bool is_media_type(struct leat_slice text)
{
    const char *end = text.data + text.size;
    const char *slash = chars_skip(text.data, end, CHARS_TOKEN);
    return slice_equal(text, SLICE("*")) ||
           (slash > text.data && slash < end && *slash == '/' && slash + 1 < end &&
            chars_skip(slash + 1, end, CHARS_TOKEN) == end);
}

int compress_take_types(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct leat_slice rest = slice_from_text(text), type;
    bool is_list = rest.size > 0;
    ASSERT(text && target);
    while (is_list && chars_next_element(&rest, &type))
        is_list = is_media_type(type);
    if (!is_list) {
        snprintf(ret_error, ret_error_size,
                 "--compress-types takes media types with commas between them, such as"
                 " application/x-ndjson,model/*, or * for all, not '%s'",
                 text);
        return -1;
    }
    *(const char **)target = text;
    return 0;
}

int compress_take_cache(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    uint64_t size;
    ASSERT(text && target);
    if (quantity_take_size(text, &size, ret_error, ret_error_size) != 0 || size < cache_size_min ||
        size > cache_size_max) {
        snprintf(ret_error, ret_error_size,
                 "--compress-cache takes a size from 1m to 1024g, such as 256m, not '%s'", text);
        return -1;
    }
    *(uint64_t *)target = size;
    return 0;
}
