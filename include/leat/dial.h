/* SPDX-License-Identifier: MIT */
/*
 * Connecting to a host by its name: its addresses as /etc/hosts and DNS have them, without a stall
 * of the loop, and then happy eyeballs (RFC 8305): IPv6 and IPv4 in turn, each begun when the one
 * before has failed or has not answered for 250 ms, and the first that connects is taken.
 *
 * Each loop keeps what it was told of a name for as long as DNS allows. Search domains and servers
 * are those of resolv.conf, which is looked at again when it has changed.
 */
#ifndef LEAT_DIAL_H
#define LEAT_DIAL_H

#include <stddef.h>
#include <stdint.h>

#include "leat/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `host`: a name, or an address of IPv4 or IPv6 in numbers, without brackets. `tuning` may be NULL:
 * the defaults. -LEAT_E_NO_HOST: there is no such name; -LEAT_E_RESOLVER: nobody answered for it;
 * else what leat_connect would return, of the last attempt. */
int leat_dial(const char *host, uint16_t port, const struct leat_tuning *tuning,
              int64_t deadline_ns, struct leat_stream **ret_stream);

/* The name servers to ask, of IPv4 or IPv6, in place of resolv.conf's; 8 at most, and none at all
 * for resolv.conf's again. For the whole process and from any thread; what is known of names stays.
 * 0 or -EINVAL. */
int leat_dial_use_servers(const struct leat_address *servers, size_t count);

#ifdef __cplusplus
}
#endif
#endif
