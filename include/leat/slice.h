/* SPDX-License-Identifier: MIT */
/*
 * A slice: a view of bytes that somebody else owns, passed by value. It is not terminated by a zero
 * byte. `data` may be NULL only when `size` is 0.
 */
#ifndef LEAT_SLICE_H
#define LEAT_SLICE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct leat_slice {
    const char *data;
    size_t size;
};

#ifdef __cplusplus
}
#endif
#endif
