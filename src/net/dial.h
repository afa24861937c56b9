/* SPDX-License-Identifier: MIT */
/*
 * Connecting to a host by its name: its addresses by c-ares (net/resolve.h), and then happy
 * eyeballs (RFC 8305): IPv6 and IPv4 in turn, each begun when the one before has failed or has not
 * answered for a while, and the first that connects is taken.
 */
#ifndef LEAT_DIAL_H
#define LEAT_DIAL_H

#include <stdint.h>

#include "leat/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `host`: a name, or a number of IPv4 or IPv6, without brackets. `tuning` may be NULL: the
 * defaults. -LEAT_E_NO_HOST: there is no such name; -LEAT_E_RESOLVER: nobody answered for it; else
 * what leat_connect would return, of the last attempt. */
int leat_dial(const char *host, uint16_t port, const struct leat_tuning *tuning,
              int64_t deadline_ns, struct leat_stream **ret_stream);

#ifdef __cplusplus
}
#endif
#endif
