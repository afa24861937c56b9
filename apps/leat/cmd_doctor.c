/* SPDX-License-Identifier: MIT */
/*
 * leat doctor: tries what leat would like to use, and says for each what the host grants and
 * what would change that. It tries rather than reads where it can, for a sysctl does not know of
 * the container around us. Nothing on the host is changed. Each check appends findings to one
 * list, which is printed at the end, for people or as JSON. An ok finding may carry advice too.
 */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/assert.h"
#include "leat/error.h"
#include "leat/loop.h"
#include "loop/loop.h"
#include "net/tuning.h"

enum {
    FINDINGS_MAX = 64,
    BACKLOG_WANTED = 4096, /* what leat_listen asks for */
    DESCRIPTORS_WANTED = 65536,
    MEMLOCK_WANTED = 8 << 20,
    BUFFER_WANTED = 4 << 20,
    MAPPINGS_DEFAULT = 65530, /* vm.max_map_count of a fresh kernel */
    RELAY_PIPE_SIZE = 1 << 20,
    SYSCALL_CACHESTAT = 451,    /* younger (6.5) than the headers of Debian 12 */
    ADVICE_GUARD_INSTALL = 102, /* MADV_GUARD_INSTALL, 6.13 */
    FAST_OPEN_CLIENT = 1,
    FAST_OPEN_SERVER = 2,
};

enum state { OK, LIMITED, MISSING };

struct finding {
    const char *group, *name;
    enum state state;
    char text[192];   /* what is the case */
    char remedy[256]; /* what would change it; empty: nothing need be done */
};

struct doctor {
    size_t count;
    struct finding findings[FINDINGS_MAX];
};

/* ---- Tools ----------------------------------------------------------------------------------- */

/* A new finding; its text is as printf makes it. */
__attribute__((format(printf, 5, 6))) static struct finding *find(struct doctor *doctor,
                                                                  const char *group,
                                                                  const char *name,
                                                                  enum state state,
                                                                  const char *format, ...)
{
    ASSERT(doctor->count < FINDINGS_MAX);
    struct finding *finding = &doctor->findings[doctor->count++];
    *finding = (struct finding){.group = group, .name = name, .state = state};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    return finding;
}

__attribute__((format(printf, 2, 3))) static void advise(struct finding *finding,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->remedy, sizeof finding->remedy, format, arguments);
    va_end(arguments);
}

/* The first line of a file of /proc, without its newline; false when it cannot be read. */
static bool read_line(const char *path, char *ret_text, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const bool is_good = fgets(ret_text, (int)size, file) != NULL;
    fclose(file);
    if (is_good)
        ret_text[strcspn(ret_text, "\n")] = '\0';
    return is_good;
}

static bool read_number(const char *path, int64_t *ret_number)
{
    char text[64], *end;
    if (!read_line(path, text, sizeof text))
        return false;
    const int64_t number = strtoll(text, &end, 0);
    if (end == text)
        return false;
    *ret_number = number;
    return true;
}

/* The value behind "Name:" in /proc/self/status, or -1. */
static int64_t read_status(const char *name)
{
    char line[256];
    int64_t value = -1;
    FILE *file = fopen("/proc/self/status", "re");
    if (!file)
        return -1;
    const size_t size = strlen(name);
    while (value < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, size) == 0 && line[size] == ':')
            value = strtoll(line + size + 1, NULL, 0);
    }
    fclose(file);
    return value;
}

/* "unlimited", "64m", "20000": the largest binary unit that divides it. */
static char *format_size(uint64_t size, char *text, size_t text_size)
{
    static const char *const units[] = {"", "k", "m", "g"};
    size_t unit = 0;
    while (unit < 3 && size != 0 && size % 1024 == 0) {
        size /= 1024;
        unit++;
    }
    snprintf(text, text_size, "%" PRIu64 "%s", size, units[unit]);
    return text;
}

static char *format_limit(rlim_t limit, bool is_size, char *text, size_t text_size)
{
    if (limit == RLIM_INFINITY)
        snprintf(text, text_size, "unlimited");
    else if (is_size)
        format_size(limit, text, text_size);
    else
        snprintf(text, text_size, "%llu", (unsigned long long)limit);
    return text;
}

/* ---- Kernel ---------------------------------------------------------------------------------- */

static void check_kernel(struct doctor *doctor)
{
    struct utsname name;
    int major = 0, minor = 0;
    if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) {
        find(doctor, "kernel", "version", LIMITED, "unknown");
        return;
    }
    const bool is_new = major > 6 || (major == 6 && minor >= 1);
    struct finding *finding = find(doctor, "kernel", "version", is_new ? OK : LIMITED, "%s %s",
                                   name.sysname, name.release);
    if (!is_new)
        advise(finding, "Linux 6.1 or later has all of io_uring that leat uses");
}

static void check_cores(struct doctor *doctor)
{
    cpu_set_t set;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const int usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
    if (usable < 0 || usable >= online) {
        find(doctor, "kernel", "cores", OK, "%ld", online);
        return;
    }
    struct finding *finding = find(doctor, "kernel", "cores", LIMITED,
                                   "%d of %ld may be used by this process", usable, online);
    advise(finding, "its affinity decides: taskset(1), or the container's set of cores");
}

/* Why io_uring_setup(2) failed. */
static void explain_io_uring(struct finding *finding, int error)
{
    int64_t disabled = 0;
    read_number("/proc/sys/kernel/io_uring_disabled", &disabled);
    if (disabled != 0)
        advise(finding, "sysctl -w kernel.io_uring_disabled=0");
    else if ((error == -EPERM || error == -ENOSYS || error == -EACCES) &&
             read_status("Seccomp") == 2)
        advise(finding, "a seccomp filter may refuse it, as Docker's default profile does:"
                        " --security-opt seccomp=PROFILE with one that allows io_uring_setup,"
                        " io_uring_enter and io_uring_register");
    else if (error == -ENOMEM)
        advise(finding, "raise the limit of locked memory: ulimit -l, LimitMEMLOCK=");
    else if (error == -ENOSYS)
        advise(finding, "it takes Linux 5.19 with CONFIG_IO_URING");
}

static void check_io_uring(struct doctor *doctor)
{
    static const struct leat_loop_options options = {.engine = LEAT_ENGINE_URING};
    struct leat_loop *loop;
    const int error = leat_loop_create(&options, &loop);
    if (error < 0) {
        struct finding *finding = find(doctor, "kernel", "io_uring", MISSING,
                                       "%s; --engine auto takes epoll", leat_error_text(error));
        explain_io_uring(finding, error);
        return;
    }
    struct backend_features has;
    loop->ops->features(loop->backend, &has);
    leat_loop_destroy(loop);
    const struct {
        const char *name;
        bool is_there;
    } features[] = {
        {"multishot accept", has.multishot_accept},
        {"multishot receive", has.multishot_recv},
        {"deferred task work", has.defer_taskrun},
        {"single issuer", has.single_issuer},
    };
    char there[128] = "", not_there[128] = "";
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        char *list = features[i].is_there ? there : not_there;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof there - used, "%s%s", used > 0 ? ", " : "", features[i].name);
    }
    struct finding *finding =
        find(doctor, "kernel", "io_uring", not_there[0] ? LIMITED : OK, "works%s%s%s%s",
             there[0] ? ": " : "", there, not_there[0] ? "; without " : "", not_there);
    if (not_there[0])
        advise(finding, "Linux 6.1 or later has them all");
}

static void check_engine(struct doctor *doctor)
{
    struct leat_loop *loop;
    const int error = leat_loop_create(NULL, &loop);
    if (error < 0) {
        find(doctor, "kernel", "engine", MISSING, "no loop can be made: %s",
             leat_error_text(error));
        return;
    }
    find(doctor, "kernel", "engine", OK, "--engine auto takes %s", leat_loop_engine(loop));
    leat_loop_destroy(loop);
}

static void check_openat2(struct doctor *doctor)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_DIRECTORY, .resolve = RESOLVE_BENEATH};
    const int root = open("/", O_PATH | O_CLOEXEC | O_DIRECTORY);
    const int fd = (int)syscall(SYS_openat2, root, ".", &how, sizeof how);
    const int error = errno;
    if (fd >= 0) {
        find(doctor, "kernel", "openat2", OK, "works: files outside the root cannot be reached");
        close(fd);
    } else {
        struct finding *finding = find(doctor, "kernel", "openat2", MISSING,
                                       "%s; folders cannot be served", strerrordesc_np(error));
        advise(finding, "it takes Linux 5.6, and a seccomp filter that allows openat2");
    }
    if (root >= 0)
        close(root);
}

static void check_cachestat(struct doctor *doctor)
{
    struct {
        uint64_t offset, size;
    } range = {0, 4096};
    uint64_t counts[5];
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && syscall(SYSCALL_CACHESTAT, fd, &range, counts, 0) == 0) {
        find(doctor, "kernel", "cachestat", OK, "works");
    } else {
        struct finding *finding = find(
            doctor, "kernel", "cachestat", LIMITED,
            "%s; what is in the page cache is found out by probing reads", strerrordesc_np(errno));
        advise(finding, "Linux 6.5 or later has it");
    }
    if (fd >= 0)
        close(fd);
}

/* Two connected TCP sockets; false when even that fails. */
static bool connect_pair(int ret_fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int accepted = -1;
    if (listener >= 0 && client >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
        listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
        connect(client, (struct sockaddr *)&address, size) == 0)
        accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (listener >= 0)
        close(listener);
    if (accepted < 0 && client >= 0)
        close(client);
    if (accepted < 0)
        return false;
    ret_fds[0] = client;
    ret_fds[1] = accepted;
    return true;
}

static void check_ktls(struct doctor *doctor)
{
    int fds[2];
    if (!connect_pair(fds)) {
        find(doctor, "kernel", "kTLS", LIMITED, "not known: no connection over loopback");
        return;
    }
    if (setsockopt(fds[0], IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0) {
        find(doctor, "kernel", "kTLS", OK, "works");
    } else {
        const int error = errno;
        struct finding *finding = find(doctor, "kernel", "kTLS", MISSING,
                                       "%s; TLS is done in user space", strerrordesc_np(error));
        advise(finding, error == ENOENT ? "modprobe tls, where the kernel has CONFIG_TLS"
                                        : "it takes a kernel with CONFIG_TLS");
    }
    close(fds[0]);
    close(fds[1]);
}

/* ---- Network --------------------------------------------------------------------------------- */

static void check_fast_open(struct doctor *doctor)
{
    int64_t bits;
    if (!read_number("/proc/sys/net/ipv4/tcp_fastopen", &bits)) {
        find(doctor, "network", "TCP Fast Open", MISSING, "net.ipv4.tcp_fastopen cannot be read");
        return;
    }
    const bool can_connect = bits & FAST_OPEN_CLIENT, can_listen = bits & FAST_OPEN_SERVER;
    struct finding *finding =
        find(doctor, "network", "TCP Fast Open",
             can_connect && can_listen   ? OK
             : can_connect || can_listen ? LIMITED
                                         : MISSING,
             "net.ipv4.tcp_fastopen is %" PRId64 ": connecting %s, listening %s", bits,
             can_connect ? "yes" : "no", can_listen ? "yes" : "no");
    if (!can_connect || !can_listen)
        advise(finding, "sysctl -w net.ipv4.tcp_fastopen=%" PRId64,
               bits | FAST_OPEN_CLIENT | FAST_OPEN_SERVER);
}

static void check_congestion(struct doctor *doctor)
{
    char now[32], available[128] = "?", allowed[128] = "?";
    if (!read_line("/proc/sys/net/ipv4/tcp_congestion_control", now, sizeof now)) {
        find(doctor, "network", "congestion control", LIMITED, "not known");
        return;
    }
    read_line("/proc/sys/net/ipv4/tcp_available_congestion_control", available, sizeof available);
    read_line("/proc/sys/net/ipv4/tcp_allowed_congestion_control", allowed, sizeof allowed);
    struct finding *finding =
        find(doctor, "network", "congestion control", OK,
             "%s; available: %s; allowed to anybody: %s", now, available, allowed);
    if (strcmp(now, "bbr") == 0)
        advise(finding, "bbr paces on loopback too: for benchmarks there, in a network namespace of"
                        " their own, sysctl -w net.ipv4.tcp_congestion_control=reno");
}

static void check_backlog(struct doctor *doctor)
{
    int64_t count;
    if (!read_number("/proc/sys/net/core/somaxconn", &count)) {
        find(doctor, "network", "backlog", LIMITED, "net.core.somaxconn cannot be read");
        return;
    }
    struct finding *finding =
        find(doctor, "network", "backlog", count >= BACKLOG_WANTED ? OK : LIMITED,
             "%" PRId64 " connections may wait to be accepted", count);
    if (count < BACKLOG_WANTED)
        advise(finding, "sysctl -w net.core.somaxconn=%d", BACKLOG_WANTED);
}

static void check_buffer(struct doctor *doctor, const char *name, const char *sysctl)
{
    char path[64], text[24];
    int64_t size;
    snprintf(path, sizeof path, "/proc/sys/net/core/%s", sysctl);
    if (!read_number(path, &size) || size < 0) {
        find(doctor, "network", name, LIMITED, "net.core.%s cannot be read", sysctl);
        return;
    }
    struct finding *finding =
        find(doctor, "network", name, size >= BUFFER_WANTED ? OK : LIMITED,
             "at most %s when set by hand", format_size((uint64_t)size, text, sizeof text));
    if (size < BUFFER_WANTED)
        advise(finding, "sysctl -w net.core.%s=%d", sysctl, BUFFER_WANTED);
}

static void check_buffers(struct doctor *doctor)
{
    check_buffer(doctor, "send buffers", "wmem_max");
    check_buffer(doctor, "receive buffers", "rmem_max");
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void check_descriptors(struct doctor *doctor)
{
    struct rlimit limit;
    char soft[24], hard[24];
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    const bool is_enough = limit.rlim_cur >= DESCRIPTORS_WANTED;
    struct finding *finding =
        find(doctor, "limits", "descriptors", is_enough ? OK : LIMITED, "soft %s, hard %s",
             format_limit(limit.rlim_cur, false, soft, sizeof soft),
             format_limit(limit.rlim_max, false, hard, sizeof hard));
    if (is_enough)
        return;
    if (limit.rlim_max >= DESCRIPTORS_WANTED)
        advise(finding, "ulimit -n %d; a connection takes one, a file that is sent another",
               DESCRIPTORS_WANTED);
    else
        advise(finding, "LimitNOFILE=%d in the unit, or nofile in /etc/security/limits.conf",
               DESCRIPTORS_WANTED);
}

static void check_locked_memory(struct doctor *doctor)
{
    struct rlimit limit;
    char soft[24];
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return;
    const bool is_enough = limit.rlim_cur >= MEMLOCK_WANTED;
    struct finding *finding = find(doctor, "limits", "locked memory", is_enough ? OK : LIMITED,
                                   "%s", format_limit(limit.rlim_cur, true, soft, sizeof soft));
    if (!is_enough)
        advise(finding, "ulimit -l %d, or LimitMEMLOCK=8M: io_uring may lock its rings",
               MEMLOCK_WANTED / 1024);
}

/* A guard page that splits a mapping costs two of them; since 6.13 it need not. */
static void check_mappings(struct doctor *doctor)
{
    int64_t count;
    if (!read_number("/proc/sys/vm/max_map_count", &count)) {
        find(doctor, "limits", "mappings", LIMITED, "vm.max_map_count cannot be read");
        return;
    }
    const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool is_mark = page != MAP_FAILED && madvise(page, page_size, ADVICE_GUARD_INSTALL) == 0;
    if (page != MAP_FAILED)
        munmap(page, page_size);
    const enum state state = count >= MAPPINGS_DEFAULT ? OK : LIMITED;
    struct finding *finding =
        is_mark ? find(doctor, "limits", "mappings", state,
                       "%" PRId64 "; the guard pages of fibers take none of them", count)
                : find(doctor, "limits", "mappings", state,
                       "%" PRId64 ": room for some %" PRId64 " stacks of fibers with guard pages",
                       count, count / 2);
    if (!is_mark || state != OK)
        advise(finding, "for more: sysctl -w vm.max_map_count=1048576");
}

static void check_pipes(struct doctor *doctor)
{
    int64_t pages;
    if (!read_number("/proc/sys/fs/pipe-user-pages-soft", &pages)) {
        find(doctor, "limits", "pipes", LIMITED, "fs.pipe-user-pages-soft cannot be read");
        return;
    }
    if (pages == 0) {
        find(doctor, "limits", "pipes", OK, "as many pages as a user wants");
        return;
    }
    const int64_t large = pages * sysconf(_SC_PAGESIZE) / RELAY_PIPE_SIZE;
    struct finding *finding =
        find(doctor, "limits", "pipes", OK,
             "%" PRId64 " pages a user: %" PRId64 " relays with pipes of 1m, then smaller ones",
             pages, large);
    advise(finding, "for more: sysctl -w fs.pipe-user-pages-soft=0; root has no limit");
}

/* ---- Socket options -------------------------------------------------------------------------- */

/* What an option is tried with: something that people ask for. */
static int64_t trial_value(const struct tuning_option *option)
{
    static const int64_t values[] = {
        [TUNING_BOOL] = 1,          [TUNING_COUNT] = 16,
        [TUNING_SIZE] = 64 * 1024,  [TUNING_RATE] = INT64_C(8) << 30, /* more than 32 bits hold */
        [TUNING_SECONDS] = 60,      [TUNING_MILLISECONDS] = 30000,
        [TUNING_MICROSECONDS] = 50,
    };
    const int64_t value = values[option->type];
    ASSERT(value >= option->min && value <= option->max);
    return value;
}

static void check_option(struct doctor *doctor, const struct tuning_option *option)
{
    struct leat_tuning tuning = LEAT_TUNING_DEFAULT;
    tuning.tcp_nodelay = LEAT_TUNING_UNSET;
    if (option->type == TUNING_NAME) {
        snprintf(tuning.tcp_congestion, sizeof tuning.tcp_congestion, "cubic");
    } else {
        const int64_t value = trial_value(option);
        memcpy((char *)&tuning + option->field, &value, sizeof value);
    }
    if (strncmp(option->option, "TCP_KEEP", 8) == 0)
        tuning.so_keepalive = 1; /* without it they have no effect */
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        find(doctor, "socket options", option->option, MISSING, "%s", strerrordesc_np(errno));
        return;
    }
    struct tuning_report report;
    const enum tuning_role role =
        option->roles & TUNING_LISTENER ? TUNING_LISTENER : TUNING_CONNECTING;
    (void)tuning_apply(&backend_sys_linux, fd, role, &tuning, &report);
    close(fd);
    char value[32];
    tuning_format_value(option, &tuning, value, sizeof value);
    if (report.count == 0) {
        find(doctor, "socket options", option->option, OK, "granted (tried with %s)", value);
        return;
    }
    const struct tuning_finding *refusal = &report.findings[0];
    const enum state state = refusal->outcome == TUNING_LIMITED ? LIMITED : MISSING;
    struct finding *finding =
        refusal->outcome == TUNING_REFUSED
            ? find(doctor, "socket options", option->option, state, "refused (tried with %s): %s",
                   value, leat_error_text(refusal->error))
        : refusal->outcome == TUNING_IGNORED
            ? find(doctor, "socket options", option->option, state, "accepted, and ignored")
            : find(doctor, "socket options", option->option, state,
                   "limited to %" PRId64 " (tried with %s)", refusal->granted, value);
    if (refusal->remedy)
        advise(finding, "%s", refusal->remedy);
}

static void check_options(struct doctor *doctor)
{
    for (size_t i = 0; i < TUNING_OPTIONS; i++)
        check_option(doctor, &tuning_options[i]);
}

/* ---- Printing -------------------------------------------------------------------------------- */

static const char *const state_words[] = {
    [OK] = "ok", [LIMITED] = "limited", [MISSING] = "missing"};

/* A string of JSON (RFC 8259, section 7). What is not UTF-8 cannot be in one: bytes above ASCII,
 * which only a host's odd texts could have, become '?'. */
static void print_json_string(const char *text)
{
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            printf("\\%c", *at);
        else if (*at < ' ' || *at == 0x7f)
            printf("\\u%04x", *at);
        else
            putchar(*at < 0x80 ? *at : '?');
    }
    putchar('"');
}

static void print_json(const struct doctor *doctor)
{
    printf("{\"findings\":[");
    for (size_t i = 0; i < doctor->count; i++) {
        const struct finding *finding = &doctor->findings[i];
        const char *const members[][2] = {
            {"group", finding->group},
            {"name", finding->name},
            {"state", state_words[finding->state]},
            {"text", finding->text},
            {"remedy", finding->remedy},
        };
        printf("%s\n  {", i > 0 ? "," : "");
        for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
            printf("%s\"%s\":", k > 0 ? "," : "", members[k][0]);
            print_json_string(members[k][1]);
        }
        putchar('}');
    }
    printf("\n]}\n");
}

static void print_text(const struct doctor *doctor)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    const bool is_coloured = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    const char *group = "";
    for (size_t i = 0; i < doctor->count; i++) {
        const struct finding *finding = &doctor->findings[i];
        if (strcmp(group, finding->group) != 0) {
            group = finding->group;
            printf("%s%s\n", i > 0 ? "\n" : "", group);
        }
        printf("  %s%-7s%s  %-20s  %s\n", is_coloured ? colours[finding->state] : "",
               state_words[finding->state], is_coloured ? "\033[0m" : "", finding->name,
               finding->text);
        if (finding->remedy[0])
            printf("  %-7s  %-20s  -> %s\n", "", "", finding->remedy);
    }
}

static void print_help(void)
{
    puts("usage: leat doctor [--json]\n"
         "\n"
         "Tries what leat would like to use, and prints for each what this host grants (ok, "
         "limited\n"
         "or missing) and what would change that. Nothing is changed.\n"
         "\n"
         "  --json   for machines: an object with a list of findings\n"
         "  --help   this text");
}

int cmd_doctor(int argc, char **argv)
{
    bool is_json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            is_json = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            print_help();
            return 0;
        } else {
            fprintf(stderr, "leat doctor: unknown argument '%s'; there are --json and --help\n",
                    argv[i]);
            return EXIT_WRONG_USE;
        }
    }
    static void (*const checks[])(struct doctor *) = {
        check_kernel,        check_cores,     check_io_uring, check_engine,
        check_openat2,       check_cachestat, check_ktls,     check_fast_open,
        check_congestion,    check_backlog,   check_buffers,  check_descriptors,
        check_locked_memory, check_mappings,  check_pipes,    check_options,
    };
    struct doctor doctor = {.count = 0};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](&doctor);
    if (is_json)
        print_json(&doctor);
    else
        print_text(&doctor);
    return 0;
}
