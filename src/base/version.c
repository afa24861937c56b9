/* SPDX-License-Identifier: MIT */
/*
 * The library's own version, beside that of the header a program was compiled with.
 */
#include "leat/version.h"

const char *leat_version(void)
{
    return LEAT_VERSION;
}
