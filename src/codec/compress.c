/* SPDX-License-Identifier: MIT */
/*
 * Policies as people write them.
 */
#include "leat/compress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"

static int refuse(char *ret_error, size_t ret_error_size)
{
    snprintf(ret_error, ret_error_size,
             "auto, off, a codec (zstd, gzip, br, lz4) or one with its level (gzip-6) is wanted");
    return -EINVAL;
}

static int refuse_level(enum leat_codec codec, char *ret_error, size_t ret_error_size)
{
    snprintf(ret_error, ret_error_size, "the levels of %s are %d to %d", codec_name(codec).data,
             codec_level_min(codec), codec_level_max(codec));
    return -EINVAL;
}

static enum leat_codec codec_from_name(struct leat_slice name)
{
    for (unsigned codec = LEAT_CODEC_NONE + 1; codec < LEAT_CODECS; codec++)
        if (slice_equal(name, codec_name((enum leat_codec)codec)))
            return (enum leat_codec)codec;
    return LEAT_CODEC_NONE;
}

/* One digit or two, and nothing else: -1 when it is not that. */
static int level_from(const char *text)
{
    int level = 0;
    size_t size = 0;
    for (; text[size] >= '0' && text[size] <= '9' && size < 2; size++)
        level = level * 10 + (text[size] - '0');
    return size > 0 && text[size] == '\0' ? level : -1;
}

int leat_compress_policy_parse(const char *text, struct leat_compress_policy *ret_policy,
                               char *ret_error, size_t ret_error_size)
{
    if (strcmp(text, "auto") == 0 || strcmp(text, "off") == 0) {
        *ret_policy = (struct leat_compress_policy){.mode = text[0] == 'a' ? LEAT_COMPRESS_AUTO
                                                                           : LEAT_COMPRESS_OFF};
        return 0;
    }
    const char *dash = strchr(text, '-');
    const size_t name_size = dash ? (size_t)(dash - text) : strlen(text);
    const enum leat_codec codec = codec_from_name(slice_of(text, name_size));
    if (codec == LEAT_CODEC_NONE)
        return refuse(ret_error, ret_error_size);
    if (!dash) {
        *ret_policy = (struct leat_compress_policy){.mode = LEAT_COMPRESS_AUTO, .codec = codec};
        return 0;
    }
    const struct codec_setting setting = {.codec = codec, .level = level_from(dash + 1)};
    if (!codec_setting_is_valid(setting))
        return refuse_level(codec, ret_error, ret_error_size);
    *ret_policy = (struct leat_compress_policy){
        .mode = LEAT_COMPRESS_FIXED, .codec = codec, .level = setting.level};
    return 0;
}
