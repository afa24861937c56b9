/* SPDX-License-Identifier: MIT */
/*
 * What compression would do with a file.
 */
#ifndef LEAT_PROBE_COMPRESS_H
#define LEAT_PROBE_COMPRESS_H

#include <stdio.h>

/* 0 or -errno: -EISDIR, -EINVAL: no regular file, -ESTALE: it changes while it is read. */
int probe_compress(const char *path, FILE *out);

#endif
