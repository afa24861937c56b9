/* SPDX-License-Identifier: MIT */
/*
 * The flags of `leat serve` that say what the site is: functions for option.take (options.h), whose
 * target is the site. Texts are kept as they are: argv's.
 */
#ifndef LEAT_SITE_FLAGS_H
#define LEAT_SITE_FLAGS_H

#include <stddef.h>

/* --root NAME=DIR */
int site_take_root(const char *text, void *site, char *ret_error, size_t ret_error_size);
/* --index FILE|off */
int site_take_index(const char *text, void *site, char *ret_error, size_t ret_error_size);
/* --cors ORIGIN|* */
int site_take_origin(const char *text, void *site, char *ret_error, size_t ret_error_size);
/* --timing-allow-origin ORIGIN|* */
int site_take_timing_origin(const char *text, void *site, char *ret_error, size_t ret_error_size);

#endif
