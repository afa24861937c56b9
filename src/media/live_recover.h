/* SPDX-License-Identifier: MIT */
/*
 * Channels as a process before has left them. Private to media/live*.c.
 */
#ifndef MEDIA_LIVE_RECOVER_H
#define MEDIA_LIVE_RECOVER_H

#include "media/live_log.h"

/* The channel whose folder this is; NULL: there is nothing in it, and it is removed. -EAGAIN:
 * another process has it; else an error, with one line for people in `ret_reason`
 * (LIVE_REASON_SIZE). */
int live_recover(struct live_store *store, const char *name, struct live_channel **ret_channel,
                 char *ret_reason);

#endif
