/* SPDX-License-Identifier: MIT */
/*
 * What the plain calls of this kernel can do; shared by the backends that stand on it.
 */
#ifndef LOOP_SYS_LINUX_H
#define LOOP_SYS_LINUX_H

struct backend_features;

/* Fills in `cachestat` and `open_beneath`, and leaves the rest as it is. */
void sys_linux_probe(struct backend_features *features);

#endif
