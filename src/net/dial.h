/* SPDX-License-Identifier: MIT */
/*
 * Connecting to a host by its name, for who keeps streams inside its own things. Public half:
 * leat/dial.h.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "leat/dial.h"

/* RFC 8305, section 5: Connection Attempt Delay, and Resolution Delay (section 3). */
enum { DIAL_ATTEMPT_DELAY_MS = 250, DIAL_RESOLUTION_DELAY_MS = 50 };

/* As leat_dial, in the calling fiber: a connected descriptor, or -errno. */
int dial_host(const char *host, uint16_t port, const struct leat_tuning *tuning,
              int64_t deadline_ns);

#endif
