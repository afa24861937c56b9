/* SPDX-License-Identifier: MIT */
/*
 * The system calls that the process gives up; see sandbox.h. With libseccomp, where it was built
 * with that.
 */
#ifndef LEAT_SANDBOX_SECCOMP_H
#define LEAT_SANDBOX_SECCOMP_H

/* 0, -ENOTSUP: built without libseccomp, or -errno. */
int seccomp_enter(void);

#endif
