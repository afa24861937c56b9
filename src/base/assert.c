/* SPDX-License-Identifier: MIT */
/*
 * The one place where the library prints: an assertion of ours failed, and the process ends.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "leat: assertion failed: %s (%s:%d)\n", condition, file, line);
    abort();
}
