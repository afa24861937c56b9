/* SPDX-License-Identifier: MIT */
/*
 * What the plain calls of this kernel can do; shared by the backends that stand on it. And those of
 * them that have a file of their own, for the table in sys_linux.c.
 */
#ifndef LOOP_SYS_LINUX_H
#define LOOP_SYS_LINUX_H

#include "loop/backend.h"

/* Fills in `cachestat` and `open_beneath`, and leaves the rest as it is. */
void sys_linux_probe(struct backend_features *features);

/* sys_linux_datagram.c */
int sys_linux_send_datagrams(const struct backend_sys *sys, int fd,
                             const struct backend_datagram *datagrams, unsigned count);
int sys_linux_receive_datagrams(const struct backend_sys *sys, int fd,
                                struct backend_datagram *datagrams, unsigned count);
int sys_linux_sent_stamps(const struct backend_sys *sys, int fd, struct backend_stamp *ret_stamps,
                          unsigned count);

#endif
