/* SPDX-License-Identifier: MIT */
/*
 * See sandbox_seccomp.h. A list of refusals, of what no server needs and what breaks out of
 * containers and kernels have come by: an attacker finds less kernel to attack, and a new libc or
 * kernel breaks nothing. What a file or an address is about Landlock decides, which sees io_uring's
 * operations, too; a filter does not.
 */
#include "sandbox_seccomp.h"

#include <errno.h>

#ifndef LEAT_HAVE_SECCOMP

int seccomp_enter(void)
{
    return -ENOTSUP;
}

#else

#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* By name: what this architecture or libseccomp does not know is skipped. */
static const char *const refused[] = {
    /* other processes, and the kernel as seen from one */
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "kcmp",
    "perf_event_open",
    "bpf",
    "userfaultfd",
    "lookup_dcookie",
    /* the kernel itself */
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "syslog",
    "acct",
    "quotactl",
    "quotactl_fd",
    "swapon",
    "swapoff",
    "ioperm",
    "iopl",
    "modify_ldt",
    "vm86",
    "uselib",
    "_sysctl",
    "nfsservctl",
    /* mounts, namespaces, roots */
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    /* ways around the paths that Landlock knows */
    "open_by_handle_at",
    "name_to_handle_at",
    "fanotify_init",
    "mknod",
    "mknodat",
    /* keys, clocks, names, other identities */
    "add_key",
    "request_key",
    "keyctl",
    "settimeofday",
    "stime",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "personality",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "setfsuid",
    "setfsgid",
    "capset",
    /* pages of other nodes, and the older asynchronous I/O */
    "move_pages",
    "migrate_pages",
    "mbind",
    "io_setup",
    "io_submit",
    "vhangup",
};

static int refuse(scmp_filter_ctx filter, const char *name, int error)
{
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0;
    const int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)error), number, 0);
    return result == -EDOM || result == -EACCES ? 0 : result; /* not on this architecture */
}

/* Threads are made, namespaces are not. The flags of clone3 lie in memory, where no filter looks:
 * the libc takes clone when there is none. */
static int refuse_namespaces(scmp_filter_ctx filter)
{
    static const uint64_t kinds[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                     CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    int error = refuse(filter, "clone3", ENOSYS);
    for (size_t index = 0; !error && index < sizeof kinds / sizeof *kinds; index++)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, kinds[index], kinds[index]));
    return error;
}

int seccomp_enter(void)
{
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return -ENOMEM;
    int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* A balanced tree: a call costs a few comparisons and not one a name. */
    if (!error)
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t index = 0; !error && index < sizeof refused / sizeof *refused; index++)
        error = refuse(filter, refused[index], EPERM);
    if (!error)
        error = refuse_namespaces(filter);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

#endif
