/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is built with libFuzzer by scripts/fuzz, and with
 * replay.c, which runs the corpus alone, as an ordinary test.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Memory of exactly this size, so that a sanitizer sees the first byte read beyond it. */
static inline char *fuzz_copy(const void *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    ASSERT(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* The step from one cut to the next: every place of small inputs, about a hundred of large ones. */
static inline size_t fuzz_stride(size_t size)
{
    return size / 97 + 1;
}

#endif
