/* SPDX-License-Identifier: MIT */
/*
 * The key that a publisher shows over HTTP, in Authorization: "Bearer KEY" (RFC 6750, section 2.1),
 * or "Basic …" (RFC 7617), of which the password is the key and the name anything.
 */
#ifndef LEAT_LIVE_CREDENTIALS_H
#define LEAT_LIVE_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "leat/slice.h"

/* False: there is none, or none that could be read or fits. */
bool credentials_key(struct leat_slice authorization, char *ret_key, size_t size);

#endif
