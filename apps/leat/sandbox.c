/* SPDX-License-Identifier: MIT */
/*
 * See sandbox.h. Both halves are best effort: what this kernel does not know is left out.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "sandbox_seccomp.h"

/* Sanitizers read and profiles are written where no server would. */
#ifdef LEAT_INSTRUMENTED
enum { IS_INSTRUMENTED = 1 };
#else
enum { IS_INSTRUMENTED = 0 };
#endif

/* ---- Landlock -------------------------------------------------------------------------------- */

/* landlock(7). The headers of Debian 12 end with ABI 1; these are of the ABI named. */
enum { LANDLOCK_VERSION_FLAG = 1, LANDLOCK_RULE_BENEATH = 1, LANDLOCK_RULE_PORT = 2 };

struct landlock_ruleset {
    uint64_t fs;
    uint64_t net;    /* 4 */
    uint64_t scoped; /* 6 */
};

struct landlock_beneath {
    uint64_t allowed;
    int32_t folder_fd;
} __attribute__((packed));

struct landlock_port { /* 4 */
    uint64_t allowed, port;
};

#define FS_EXECUTE (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_REMOVE_DIR (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR (UINT64_C(1) << 7)
#define FS_MAKE_REG (UINT64_C(1) << 8)
#define FS_ABI_1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13)     /* 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* 5 */
#define FS_TO_KEEP                                                                                 \
    (FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG | FS_MAKE_DIR |        \
     FS_REMOVE_FILE | FS_REMOVE_DIR)
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

struct landlock {
    int fd;
    uint64_t handled, handled_net;
    int error;
};

/* All that this kernel can take away. Abstract unix sockets stay: systemd may listen on one. */
static struct landlock_ruleset everything(long abi)
{
    struct landlock_ruleset rules = {.fs = FS_ABI_1};
    rules.fs |= abi >= 2 ? FS_REFER : 0;
    rules.fs |= abi >= 3 ? FS_TRUNCATE : 0;
    rules.fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
    rules.net = abi >= 4 ? NET_BIND_TCP | NET_CONNECT_TCP : 0;
    rules.scoped = abi >= 6 ? SCOPE_SIGNAL : 0;
    return rules;
}

static void allow(struct landlock *landlock, const char *path, uint64_t rights)
{
    struct stat status;
    const int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return; /* what is not there, or not for us, cannot be had anyway */
    if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode))
        rights &= FS_OF_FILES;
    const struct landlock_beneath rule = {rights & landlock->handled, fd};
    if (syscall(SYS_landlock_add_rule, landlock->fd, LANDLOCK_RULE_BENEATH, &rule, 0) != 0 &&
        landlock->error == 0)
        landlock->error = -errno;
    close(fd);
}

static void allow_folder_of(struct landlock *landlock, const char *path, uint64_t rights)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t size = slash ? (size_t)(slash - path) : 0;
    if (size >= sizeof folder)
        return;
    if (!slash)
        snprintf(folder, sizeof folder, ".");
    else
        snprintf(folder, sizeof folder, "%.*s", size > 0 ? (int)size : 1, path);
    allow(landlock, folder, rights);
}

/* The folder that the file itself is in, wherever links lead from. */
static void allow_start(struct landlock *landlock, const char *path)
{
    char real[PATH_MAX];
    if (realpath(path, real))
        allow_folder_of(landlock, real, FS_EXECUTE | FS_READ_FILE);
}

/* Where links lead to resolv.conf it is made anew whenever the network changes: the folder that it
 * is made in is opened. In /etc, where all the rest is, the file as it is now has to do. */
static void allow_names(struct landlock *landlock)
{
    static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
                                        "/etc/host.conf"};
    char real[PATH_MAX];
    for (size_t index = 0; index < sizeof files / sizeof *files; index++)
        allow(landlock, files[index], FS_READ_FILE);
    if (realpath(files[0], real) && strncmp(real, "/etc/", 5) != 0)
        allow_folder_of(landlock, real, FS_READ_FILE);
}

static void allow_port(struct landlock *landlock, uint16_t port)
{
    const struct landlock_port rule = {NET_CONNECT_TCP, port};
    if (landlock->handled_net & NET_CONNECT_TCP &&
        syscall(SYS_landlock_add_rule, landlock->fd, LANDLOCK_RULE_PORT, &rule, 0) != 0 &&
        landlock->error == 0)
        landlock->error = -errno;
}

static int allow_library(struct dl_phdr_info *library, size_t size, void *user)
{
    if (strchr(library->dlpi_name, '/'))
        allow_start(user, library->dlpi_name);
    return 0;
}

static void allow_all(struct landlock *landlock, const struct sandbox_options *options)
{
    const bool reads_everywhere = options->reads_everywhere && options->mode == SANDBOX_AUTO;
    if (reads_everywhere)
        allow(landlock, "/", FS_READ_FILE | FS_READ_DIR);
    for (size_t index = 0; index < options->readable_count; index++)
        allow(landlock, options->readable[index], FS_READ_FILE | FS_READ_DIR);
    if (options->settings)
        allow_folder_of(landlock, options->settings, FS_READ_FILE);
    for (size_t index = 0; index < options->writable_count; index++)
        allow_folder_of(landlock, options->writable[index], FS_WRITE_FILE | FS_MAKE_REG);
    for (size_t index = 0; index < options->kept_count; index++)
        allow(landlock, options->kept[index], FS_TO_KEEP);
    for (size_t index = 0; index < options->removable_count; index++)
        allow_folder_of(landlock, options->removable[index], FS_REMOVE_FILE);
    for (size_t index = 0; index < options->port_count; index++)
        allow_port(landlock, options->ports[index]);
    if (options->resolves_names)
        allow_names(landlock);
    allow_start(landlock, options->program);
    dl_iterate_phdr(allow_library, landlock);
    /* A successor opens its own for the metrics. Of processes outside the sandbox the kernel shows
     * what everybody may see. */
    allow(landlock, "/proc", FS_READ_FILE | FS_READ_DIR);
    allow(landlock, "/etc/ld.so.cache", FS_READ_FILE);
    allow(landlock, "/etc/localtime", FS_READ_FILE);
    allow(landlock, "/dev/null", FS_READ_FILE | FS_WRITE_FILE);
    allow(landlock, "/dev/urandom", FS_READ_FILE);
}

static int enter_landlock(const struct sandbox_options *options)
{
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);
    if (abi < 1)
        return abi < 0 ? -errno : -ENOSYS;
    const struct landlock_ruleset rules = everything(abi);
    const size_t size = abi >= 6   ? sizeof rules
                        : abi >= 4 ? offsetof(struct landlock_ruleset, scoped)
                                   : offsetof(struct landlock_ruleset, net);
    struct landlock landlock = {.handled = rules.fs, .handled_net = rules.net};
    landlock.fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (landlock.fd < 0)
        return -errno;
    fcntl(landlock.fd, F_SETFD, FD_CLOEXEC);
    allow_all(&landlock, options);
    if (!landlock.error && syscall(SYS_landlock_restrict_self, landlock.fd, 0) != 0)
        landlock.error = -errno;
    close(landlock.fd);
    return landlock.error;
}

/* ---- Both ------------------------------------------------------------------------------------ */

static void describe(const struct sandbox_options *options, bool has_landlock, bool has_seccomp,
                     char *ret_text)
{
    const bool reads_everywhere = options->reads_everywhere && options->mode == SANDBOX_AUTO;
    if (!has_landlock && !has_seccomp)
        snprintf(ret_text, SANDBOX_TEXT_SIZE, "none: this host has neither landlock nor seccomp");
    else
        snprintf(ret_text, SANDBOX_TEXT_SIZE, "%s%s%s%s", has_landlock ? "landlock" : "",
                 has_landlock && reads_everywhere ? " (but for reading)" : "",
                 has_landlock && has_seccomp ? ", " : "", has_seccomp ? "seccomp" : "");
}

int sandbox_enter(const struct sandbox_options *options, char ret_text[SANDBOX_TEXT_SIZE])
{
    ASSERT(options->readable_count <= SANDBOX_PATHS_MAX);
    ASSERT(options->writable_count <= SANDBOX_PATHS_MAX);
    ASSERT(options->kept_count <= SANDBOX_PATHS_MAX);
    ASSERT(options->removable_count <= SANDBOX_PATHS_MAX);
    ASSERT(options->port_count <= SANDBOX_PORTS_MAX);
    if (options->mode == SANDBOX_OFF || (IS_INSTRUMENTED && options->mode == SANDBOX_AUTO)) {
        snprintf(ret_text, SANDBOX_TEXT_SIZE, "off");
        return 0;
    }
    int landlock_error = -EPERM, seccomp_error = -EPERM;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        landlock_error = enter_landlock(options);
        seccomp_error = seccomp_enter();
    }
    if (options->mode == SANDBOX_ON && (landlock_error || seccomp_error)) {
        snprintf(ret_text, SANDBOX_TEXT_SIZE, "%s: %s", landlock_error ? "landlock" : "seccomp",
                 strerror(landlock_error ? -landlock_error : -seccomp_error));
        return -1;
    }
    describe(options, !landlock_error, !seccomp_error, ret_text);
    return !landlock_error || !seccomp_error;
}
