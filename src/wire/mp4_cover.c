/* SPDX-License-Identifier: MIT */
/*
 * See mp4_cover.h. From box to box along one path, each time among the children of the last one;
 * where a file is damaged it has no cover, and what is wrong with it others say (mp4.c).
 */
#include "wire/mp4_cover.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/mp4_reader.h"

#define BOX MP4_FOURCC

enum { DATA_HEADER_SIZE = 8 }; /* type and locale */

struct search {
    struct mp4_reader reader;
    unsigned boxes_left;
    struct mp4_cover cover;
};

typedef int (*found_fn)(struct search *search, const struct mp4_box *box);

/* Calls `found` for each box of this type from `at` to `end`, until one returns not 0. What can be
 * no box, or too many of them, ends it like the end. */
static int each_box(struct search *search, uint64_t at, uint64_t end, uint32_t type, found_fn found)
{
    struct mp4_box box;
    while (search->boxes_left > 0) {
        search->boxes_left--;
        int result = mp4_box_at(&search->reader, at, end, &box);
        if (result <= 0)
            return result == -LEAT_E_MALFORMED ? 0 : result;
        if (box.end > end || box.payload > end)
            return 0;
        if (box.type == type) {
            result = found(search, &box);
            if (result)
                return result;
        }
        ASSERT(box.end > at);
        at = box.end;
    }
    return 0;
}

/* What the bytes begin as; NULL: no picture that browsers show. */
static const char *picture_type(const unsigned char *bytes)
{
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const unsigned char jpeg[3] = {0xff, 0xd8, 0xff};
    if (memcmp(bytes, png, sizeof png) == 0)
        return "image/png";
    return memcmp(bytes, jpeg, sizeof jpeg) == 0 ? "image/jpeg" : NULL;
}

/* 1: it is a cover. */
static int look_at_data(struct search *search, const struct mp4_box *box)
{
    enum { MAGIC_SIZE = 8 };
    const unsigned char *bytes = NULL;
    const uint64_t size = box->end - box->payload;
    if (size < DATA_HEADER_SIZE + MAGIC_SIZE || size - DATA_HEADER_SIZE > MP4_COVER_SIZE_MAX)
        return 0;
    const uint64_t offset = box->payload + DATA_HEADER_SIZE;
    const int error = mp4_bytes(&search->reader, offset, MAGIC_SIZE, &bytes);
    if (error)
        return error;
    search->cover = (struct mp4_cover){offset, size - DATA_HEADER_SIZE, picture_type(bytes)};
    return search->cover.media_type != NULL;
}

static int look_into_covr(struct search *search, const struct mp4_box *box)
{
    return each_box(search, box->payload, box->end, BOX('d', 'a', 't', 'a'), look_at_data);
}

static int look_into_ilst(struct search *search, const struct mp4_box *box)
{
    return each_box(search, box->payload, box->end, BOX('c', 'o', 'v', 'r'), look_into_covr);
}

/* A full box in MP4 (ISO/IEC 14496-12, section 8.11.1), a plain one in QuickTime: there hdlr, which
 * is its first child in both, stands where the version and half a header would be. */
static int look_into_meta(struct search *search, const struct mp4_box *box)
{
    const unsigned char *bytes = NULL;
    if (box->end - box->payload < 8)
        return 0;
    const int error = mp4_bytes(&search->reader, box->payload, 8, &bytes);
    if (error)
        return error;
    const bool is_plain = mp4_be32(bytes + 4) == BOX('h', 'd', 'l', 'r');
    return each_box(search, box->payload + (is_plain ? 0 : 4), box->end, BOX('i', 'l', 's', 't'),
                    look_into_ilst);
}

static int look_into_udta(struct search *search, const struct mp4_box *box)
{
    return each_box(search, box->payload, box->end, BOX('m', 'e', 't', 'a'), look_into_meta);
}

/* The first moov is the one. */
static int look_into_moov(struct search *search, const struct mp4_box *box)
{
    int result = each_box(search, box->payload, box->end, BOX('u', 'd', 't', 'a'), look_into_udta);
    if (result == 0)
        result = look_into_udta(search, box); /* meta, right in it */
    return result == 0 ? -ENOENT : result;
}

int mp4_cover_find(const struct mp4_source *source, struct mp4_cover *ret_cover)
{
    struct search *search = malloc(sizeof *search);
    if (!search)
        return -ENOMEM;
    search->reader.source = source;
    search->reader.window_offset = 0;
    search->reader.window_size = 0;
    search->boxes_left = MP4_COVER_BOXES_MAX;
    const int result = each_box(search, 0, source->size, BOX('m', 'o', 'o', 'v'), look_into_moov);
    if (result == 1) {
        ASSERT(search->cover.offset + search->cover.size <= source->size);
        *ret_cover = search->cover;
    }
    free(search);
    return result == 1 ? 0 : result == 0 ? -ENOENT : result;
}
