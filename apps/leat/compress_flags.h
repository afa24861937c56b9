/* SPDX-License-Identifier: MIT */
/*
 * The flags of `leat serve` that say what is compressed and how: functions for option.take
 * (options.h). Texts are kept as they are: argv's.
 */
#ifndef LEAT_COMPRESS_FLAGS_H
#define LEAT_COMPRESS_FLAGS_H

#include <stddef.h>

/* --compress auto|off|CODEC[-LEVEL]; to a struct leat_compress_policy. */
int compress_take_policy(const char *text, void *policy, char *ret_error, size_t ret_error_size);
/* --compress-types TYPE,...; to a const char *. */
int compress_take_types(const char *text, void *types, char *ret_error, size_t ret_error_size);
/* --compress-cache SIZE; to a uint64_t, in bytes. */
int compress_take_cache(const char *text, void *size, char *ret_error, size_t ret_error_size);

#endif
