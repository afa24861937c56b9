/* SPDX-License-Identifier: MIT */
/*
 * The picture that a film carries of itself: the cover, as iTunes and ffmpeg write it, in
 * moov/udta/meta/ilst/covr/data (or moov/meta, where some put it). Where it lies in the file is
 * told, not what it is of: it can be sent from there. What it claims to be is not believed, its
 * first bytes are.
 */
#ifndef WIRE_MP4_COVER_H
#define WIRE_MP4_COVER_H

#include <stdint.h>

#include "wire/mp4.h"

enum {
    MP4_COVER_SIZE_MAX = 8 * 1024 * 1024, /* bytes: a larger one is none */
    MP4_COVER_BOXES_MAX = 4096,           /* that are looked at on the way; then there is none */
};

struct mp4_cover {
    uint64_t offset, size; /* within the file */
    const char *media_type;
};

/* The first JPEG or PNG among its covers; blocks as the source does, and reads a few KiB. 0;
 * -ENOENT: it has none, or is no such file; -ENOMEM for the window; an error of the source's. */
int mp4_cover_find(const struct mp4_source *source, struct mp4_cover *ret_cover);

#endif
