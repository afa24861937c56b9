/* SPDX-License-Identifier: MIT */
/*
 * The table of socket options, their text, and how they are set. See net/tuning.h; the defaults are
 * argued in docs/decisions/0002-tuning-defaults.md. After a change of the table run the unit test
 * net/tuning with LEAT_UPDATE_DOCS=1, which rewrites the table in docs/tuning.md.
 */
#include "net/tuning.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/slice.h"
#include "leat/error.h"

enum {
    KI = 1024,
    MI = 1024 * KI,
    DAY_MS = 24 * 60 * 60 * 1000,
    INHERITED = TUNING_LISTENER | TUNING_CONNECTING,
    EACH_CONNECTION = TUNING_ACCEPTED | TUNING_CONNECTING,
    FAST_OPEN_SERVER_BIT = 2, /* of net.ipv4.tcp_fastopen */
};

#define GI (INT64_C(1024) * MI)
#define FIELD(name) .field = offsetof(struct leat_tuning, name)
#define SOCKET_OPTION(name_) .option = #name_, .level = SOL_SOCKET, .name = name_
#define TCP_OPTION(name_) .option = #name_, .level = IPPROTO_TCP, .name = name_, .is_tcp_only = true

/* A name takes the place of two numbers; nothing else is in the struct: no field without a row. */
static_assert(sizeof(struct leat_tuning) == (TUNING_OPTIONS + 1) * sizeof(int64_t),
              "each field has a row in the table");

/* In the order of the struct, of --help and of the docs. */
const struct tuning_option tuning_options[TUNING_OPTIONS] = {
    {
        .flag = "tcp-nodelay",
        TCP_OPTION(TCP_NODELAY),
        FIELD(tcp_nodelay),
        .type = TUNING_BOOL,
        .max = 1,
        .roles = INHERITED,
        .help = "send small segments at once",
    },
    {
        .flag = "so-sndbuf",
        SOCKET_OPTION(SO_SNDBUF),
        FIELD(so_sndbuf_size),
        .type = TUNING_SIZE,
        .readback = TUNING_DOUBLED,
        .min = 4 * KI,
        .max = 512 * MI,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "send buffer, fixed: the kernel no longer adapts it",
        .remedy = "raise net.core.wmem_max",
    },
    {
        .flag = "so-rcvbuf",
        SOCKET_OPTION(SO_RCVBUF),
        FIELD(so_rcvbuf_size),
        .type = TUNING_SIZE,
        .readback = TUNING_DOUBLED,
        .min = 4 * KI,
        .max = 512 * MI,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "receive buffer, fixed: the kernel no longer adapts it",
        .remedy = "raise net.core.rmem_max",
    },
    {
        .flag = "tcp-fastopen",
        TCP_OPTION(TCP_FASTOPEN),
        FIELD(tcp_fastopen_count),
        .type = TUNING_COUNT,
        .max = 65535,
        .roles = TUNING_LISTENER,
        .help = "accept data in the SYN; how many such connections may wait",
        .remedy = "raise net.core.somaxconn",
    },
    {
        .flag = "tcp-fastopen-connect",
        TCP_OPTION(TCP_FASTOPEN_CONNECT),
        FIELD(tcp_fastopen_connect),
        .type = TUNING_BOOL,
        .max = 1,
        .roles = TUNING_CONNECTING,
        .help = "send the first bytes in the SYN",
        .remedy = "net.ipv4.tcp_fastopen needs bit 1: sysctl -w net.ipv4.tcp_fastopen=3",
    },
    {
        .flag = "so-keepalive",
        SOCKET_OPTION(SO_KEEPALIVE),
        FIELD(so_keepalive),
        .is_tcp_only = true,
        .type = TUNING_BOOL,
        .max = 1,
        .roles = INHERITED,
        .help = "probe a silent peer",
    },
    {
        .flag = "tcp-keepidle",
        TCP_OPTION(TCP_KEEPIDLE),
        FIELD(tcp_keepidle_s),
        .type = TUNING_SECONDS,
        .min = 1,
        .max = 32767,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "silence before the first probe",
    },
    {
        .flag = "tcp-keepintvl",
        TCP_OPTION(TCP_KEEPINTVL),
        FIELD(tcp_keepintvl_s),
        .type = TUNING_SECONDS,
        .min = 1,
        .max = 32767,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "time between probes",
    },
    {
        .flag = "tcp-keepcnt",
        TCP_OPTION(TCP_KEEPCNT),
        FIELD(tcp_keepcnt),
        .type = TUNING_COUNT,
        .min = 1,
        .max = 127,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "unanswered probes until the connection is given up",
    },
    {
        .flag = "tcp-notsent-lowat",
        TCP_OPTION(TCP_NOTSENT_LOWAT),
        FIELD(tcp_notsent_lowat_size),
        .type = TUNING_SIZE,
        .min = 1,
        .max = GI,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "take more bytes while less than this waits unsent",
    },
    {
        .flag = "tcp-user-timeout",
        TCP_OPTION(TCP_USER_TIMEOUT),
        FIELD(tcp_user_timeout_ms),
        .type = TUNING_MILLISECONDS,
        .max = DAY_MS,
        .roles = INHERITED,
        .help = "give up when sent bytes stay unacknowledged for so long; 0: as the host",
    },
    {
        .flag = "tcp-defer-accept",
        TCP_OPTION(TCP_DEFER_ACCEPT),
        FIELD(tcp_defer_accept_s),
        .type = TUNING_SECONDS,
        .readback = TUNING_AT_LEAST,
        .max = 3600,
        .roles = TUNING_LISTENER,
        .help = "accept when the first bytes are there, waiting so long for them",
    },
    {
        .flag = "tcp-quickack",
        TCP_OPTION(TCP_QUICKACK),
        FIELD(tcp_quickack),
        .type = TUNING_BOOL,
        .max = 1,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = EACH_CONNECTION,
        .help = "acknowledge at once, or not, until the kernel decides otherwise",
    },
    {
        .flag = "tcp-congestion",
        TCP_OPTION(TCP_CONGESTION),
        FIELD(tcp_congestion),
        .type = TUNING_NAME,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "congestion control: bbr, cubic, reno, ...",
        .remedy = "see net.ipv4.tcp_available_congestion_control and"
                  " net.ipv4.tcp_allowed_congestion_control",
    },
    {
        .flag = "pacing-rate",
        .alias = "so-max-pacing-rate",
        SOCKET_OPTION(SO_MAX_PACING_RATE),
        FIELD(so_max_pacing_rate_bytes_per_s),
        .is_tcp_only = true,
        .type = TUNING_RATE,
        .min = KI,
        .max = 1024 * GI,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "bytes a second at most on each connection, sent evenly",
    },
    {
        .flag = "so-busy-poll",
        SOCKET_OPTION(SO_BUSY_POLL),
        FIELD(so_busy_poll_us),
        .is_tcp_only = true,
        .type = TUNING_MICROSECONDS,
        .max = 10000,
        .kernel_default = TUNING_KERNEL_VARIES,
        .roles = INHERITED,
        .help = "spin on the device's queue for so long before sleeping",
        .remedy = "takes CAP_NET_ADMIN, or net.core.busy_read as high",
    },
};

static const struct leat_tuning defaults = LEAT_TUNING_DEFAULT;

/* ---- Fields ---------------------------------------------------------------------------------- */

const struct tuning_option *tuning_find(const char *flag)
{
    for (size_t i = 0; i < TUNING_OPTIONS; i++) {
        const struct tuning_option *option = &tuning_options[i];
        if (strcmp(flag, option->flag) == 0 || (option->alias && strcmp(flag, option->alias) == 0))
            return option;
    }
    return NULL;
}

int64_t tuning_number(const struct tuning_option *option, const struct leat_tuning *tuning)
{
    ASSERT(option->type != TUNING_NAME);
    int64_t number;
    memcpy(&number, (const char *)tuning + option->field, sizeof number);
    return number;
}

static const char *name_of(const struct tuning_option *option, const struct leat_tuning *tuning)
{
    ASSERT(option->type == TUNING_NAME);
    return (const char *)tuning + option->field;
}

static bool is_unset(const struct tuning_option *option, const struct leat_tuning *tuning)
{
    if (option->type == TUNING_NAME)
        return name_of(option, tuning)[0] == '\0';
    return tuning_number(option, tuning) == LEAT_TUNING_UNSET;
}

/* ---- Text ------------------------------------------------------------------------------------ */

const char *tuning_value_word(const struct tuning_option *option)
{
    static const char *const words[] = {
        [TUNING_BOOL] = "on|off",
        [TUNING_COUNT] = "N",
        [TUNING_SIZE] = "SIZE",
        [TUNING_RATE] = "SIZE",
        [TUNING_SECONDS] = "SECONDS",
        [TUNING_MILLISECONDS] = "MS",
        [TUNING_MICROSECONDS] = "MICROSECONDS",
        [TUNING_NAME] = "NAME",
    };
    return words[option->type];
}

/* In the largest unit that divides it. */
static void format_number(enum tuning_type type, int64_t number, char *text, size_t size)
{
    static const char *const binary[] = {"k", "m", "g"};
    const char *unit = "";
    switch (type) {
    case TUNING_SIZE:
    case TUNING_RATE:
        for (size_t i = 0; i < 3 && number != 0 && number % KI == 0; i++) {
            number /= KI;
            unit = binary[i];
        }
        break;
    case TUNING_SECONDS: unit = "s"; break;
    case TUNING_MILLISECONDS:
        unit = "ms";
        if (number != 0 && number % 1000 == 0) {
            number /= 1000;
            unit = "s";
        }
        break;
    case TUNING_MICROSECONDS: unit = "us"; break;
    default: break;
    }
    snprintf(text, size, "%lld%s", (long long)number, unit);
}

char *tuning_format_value(const struct tuning_option *option, const struct leat_tuning *tuning,
                          char *text, size_t size)
{
    if (is_unset(option, tuning))
        snprintf(text, size, "unset");
    else if (option->type == TUNING_NAME)
        snprintf(text, size, "%.*s", LEAT_TUNING_NAME_SIZE, name_of(option, tuning));
    else if (option->type == TUNING_BOOL)
        snprintf(text, size, "%s", tuning_number(option, tuning) ? "on" : "off");
    else
        format_number(option->type, tuning_number(option, tuning), text, size);
    return text;
}

/* What would have been right; -EINVAL. */
static int explain(const struct tuning_option *option, const char *value, char *ret_error,
                   size_t ret_error_size)
{
    static const char *const kinds[] = {
        [TUNING_COUNT] = "a number",
        [TUNING_SIZE] = "a size",
        [TUNING_RATE] = "bytes a second",
        [TUNING_SECONDS] = "seconds, or a time such as 2min,",
        [TUNING_MILLISECONDS] = "milliseconds, or a time such as 30s,",
        [TUNING_MICROSECONDS] = "microseconds",
    };
    char wanted[128], min[24], max[24];
    if (option->type == TUNING_BOOL) {
        snprintf(wanted, sizeof wanted, "on or off");
    } else if (option->type == TUNING_NAME) {
        snprintf(wanted, sizeof wanted, "a name of 1 to %d characters", LEAT_TUNING_NAME_SIZE - 1);
    } else {
        format_number(option->type, option->min, min, sizeof min);
        format_number(option->type, option->max, max, sizeof max);
        snprintf(wanted, sizeof wanted, "%s from %s to %s", kinds[option->type], min, max);
    }
    if (value)
        snprintf(ret_error, ret_error_size, "--%s takes %s, not '%.40s'", option->flag, wanted,
                 value);
    else
        snprintf(ret_error, ret_error_size, "--%s takes %s", option->flag, wanted);
    return -EINVAL;
}

/* Digits and a suffix. `numerator` / `denominator` is what the suffix makes of a number. */
struct suffix {
    const char *text;
    int64_t numerator, denominator;
};

static const struct suffix *suffixes_of(enum tuning_type type)
{
    static const struct suffix none[] = {{"", 1, 1}, {NULL, 0, 0}};
    static const struct suffix size[] = {
        {"", 1, 1}, {"k", KI, 1}, {"m", MI, 1}, {"g", GI, 1}, {NULL, 0, 0}};
    static const struct suffix seconds[] = {
        {"", 1, 1}, {"ms", 1, 1000}, {"s", 1, 1}, {"min", 60, 1}, {NULL, 0, 0}};
    static const struct suffix milliseconds[] = {
        {"", 1, 1}, {"ms", 1, 1}, {"s", 1000, 1}, {"min", 60000, 1}, {NULL, 0, 0}};
    static const struct suffix microseconds[] = {
        {"", 1, 1}, {"us", 1, 1}, {"ms", 1000, 1}, {NULL, 0, 0}};
    switch (type) {
    case TUNING_SIZE:
    case TUNING_RATE: return size;
    case TUNING_SECONDS: return seconds;
    case TUNING_MILLISECONDS: return milliseconds;
    case TUNING_MICROSECONDS: return microseconds;
    default: return none;
    }
}

static bool parse_bool(const char *value, int64_t *ret_number)
{
    static const char *const words[][2] = {
        {"off", "on"}, {"0", "1"}, {"no", "yes"}, {"false", "true"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (int64_t number = 0; number < 2; number++) {
            if (strcmp(value, words[i][number]) == 0) {
                *ret_number = number;
                return true;
            }
        }
    }
    return false;
}

static bool parse_number(enum tuning_type type, const char *value, int64_t *ret_number)
{
    const size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 18)
        return false;
    const int64_t number = strtoll(value, NULL, 10);
    for (const struct suffix *suffix = suffixes_of(type); suffix->text; suffix++) {
        if (strcasecmp(value + digits, suffix->text) != 0)
            continue;
        if (number > INT64_MAX / suffix->numerator)
            return false;
        const int64_t product = number * suffix->numerator;
        /* Rounded up: half a second is not no time at all. */
        *ret_number = product / suffix->denominator + (product % suffix->denominator != 0);
        return true;
    }
    return false;
}

int leat_tuning_parse(struct leat_tuning *tuning, const char *flag, const char *value,
                      char *ret_error, size_t ret_error_size)
{
    const struct tuning_option *option = tuning_find(flag);
    if (!option) {
        snprintf(ret_error, ret_error_size, "there is no option --%.40s", flag);
        return -ENOENT;
    }
    char *field = (char *)tuning + option->field;
    if (option->type == TUNING_NAME) {
        const size_t size = value ? strlen(value) : 0;
        if (size == 0 || size >= LEAT_TUNING_NAME_SIZE)
            return explain(option, value, ret_error, ret_error_size);
        memset(field, 0, LEAT_TUNING_NAME_SIZE);
        memcpy(field, value, size);
        return 0;
    }
    int64_t number = 1;
    bool is_good;
    if (option->type == TUNING_BOOL)
        is_good = !value || parse_bool(value, &number);
    else
        is_good = value && parse_number(option->type, value, &number);
    if (!is_good || number < option->min || number > option->max)
        return explain(option, value, ret_error, ret_error_size);
    memcpy(field, &number, sizeof number);
    return 0;
}

char *tuning_finding_format(const struct tuning_finding *finding, char *text, size_t size)
{
    const struct tuning_option *option = finding->option;
    const char *colon = finding->remedy ? ": " : "",
               *remedy = finding->remedy ? finding->remedy : "";
    char granted[24];
    switch (finding->outcome) {
    case TUNING_REFUSED:
        snprintf(text, size, "--%s is refused here (%s)%s%s", option->flag,
                 leat_error_text(finding->error), colon, remedy);
        break;
    case TUNING_IGNORED:
        snprintf(text, size, "--%s is ignored here%s%s", option->flag, colon, remedy);
        break;
    case TUNING_LIMITED:
        format_number(option->type, finding->granted, granted, sizeof granted);
        snprintf(text, size, "--%s is limited to %s here%s%s", option->flag, granted, colon,
                 remedy);
        break;
    }
    return text;
}

/* ---- Applying -------------------------------------------------------------------------------- */

/* An option's value as setsockopt(2) takes it. */
union kernel_value {
    int number;
    unsigned long rate; /* 64 bits where the kernel's long has them (Linux 4.20) */
    char name[LEAT_TUNING_NAME_SIZE];
};

static socklen_t encode(const struct tuning_option *option, const struct leat_tuning *tuning,
                        union kernel_value *ret_value)
{
    memset(ret_value, 0, sizeof *ret_value);
    if (option->type == TUNING_NAME) {
        const char *name = name_of(option, tuning);
        const size_t size = strnlen(name, LEAT_TUNING_NAME_SIZE);
        memcpy(ret_value->name, name, size);
        return (socklen_t)size;
    }
    const int64_t number = tuning_number(option, tuning);
    if (option->type == TUNING_RATE) {
        /* All ones mean "no limit" to the kernel. */
        const uint64_t most = (uint64_t)~0UL - 1;
        ret_value->rate = (unsigned long)((uint64_t)number > most ? most : (uint64_t)number);
        return sizeof ret_value->rate;
    }
    ASSERT(number >= 0 && number <= INT32_MAX);
    ret_value->number = (int)number;
    return sizeof ret_value->number;
}

static void note(struct tuning_report *report, const struct tuning_option *option,
                 enum tuning_outcome outcome, int error, int64_t granted, const char *remedy)
{
    if (!report)
        return;
    ASSERT(report->count < TUNING_OPTIONS);
    report->findings[report->count++] = (struct tuning_finding){
        .option = option, .outcome = outcome, .error = error, .granted = granted, .remedy = remedy};
}

static bool is_unix(const struct backend_sys *sys, int fd)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    return sys->getsockopt(sys, fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
           domain == AF_UNIX;
}

/* Server-side Fast Open is set without complaint on a host that has it switched off, and then does
 * nothing (tcp(7)). The file is procfs's: reading it does not wait for a disk. */
static bool is_fast_open_off(const struct backend_sys *sys)
{
    char text[16] = "";
    const int fd = sys->open(sys, AT_FDCWD, "/proc/sys/net/ipv4/tcp_fastopen", BACKEND_OPEN_FILE);
    if (fd < 0)
        return false; /* not to be known here */
    const ssize_t size = sys->read(sys, fd, text, sizeof text - 1, 0);
    sys->close(sys, fd);
    return size > 0 && !(strtol(text, NULL, 0) & FAST_OPEN_SERVER_BIT);
}

/* A number that came out other than asked is written down. */
static void check_number(const struct tuning_option *option, int64_t asked, int64_t got,
                         struct tuning_report *report)
{
    if (option->readback == TUNING_DOUBLED)
        got /= 2;
    if (option->readback == TUNING_EXACT ? got == asked : got >= asked)
        return;
    const bool is_ignored = option->type == TUNING_BOOL || got <= 0;
    note(report, option, is_ignored ? TUNING_IGNORED : TUNING_LIMITED, 0, got, option->remedy);
}

/* Hosts exist that accept an option and do nothing: ask what has become of it. */
static void check(const struct backend_sys *sys, int fd, const struct tuning_option *option,
                  const struct leat_tuning *tuning, struct tuning_report *report)
{
    if (option->name == TCP_FASTOPEN && option->level == IPPROTO_TCP &&
        tuning->tcp_fastopen_count > 0 && is_fast_open_off(sys)) {
        note(report, option, TUNING_IGNORED, 0, 0,
             "net.ipv4.tcp_fastopen needs bit 2: sysctl -w net.ipv4.tcp_fastopen=3");
        return;
    }
    const bool is_probe = option->field == offsetof(struct leat_tuning, tcp_keepidle_s) ||
                          option->field == offsetof(struct leat_tuning, tcp_keepintvl_s) ||
                          option->field == offsetof(struct leat_tuning, tcp_keepcnt);
    if (is_probe && tuning->so_keepalive != 1) {
        note(report, option, TUNING_IGNORED, 0, 0, "it takes --so-keepalive on as well");
        return;
    }
    union kernel_value asked, got = {0};
    const socklen_t asked_size = encode(option, tuning, &asked);
    socklen_t size = option->type == TUNING_NAME ? sizeof got.name : asked_size;
    if (sys->getsockopt(sys, fd, option->level, option->name, &got, &size) < 0)
        return; /* what cannot be read cannot be compared */
    if (option->type == TUNING_NAME) {
        if (strncmp(asked.name, got.name, LEAT_TUNING_NAME_SIZE) != 0)
            note(report, option, TUNING_IGNORED, 0, 0, option->remedy);
        return;
    }
    const bool is_rate = option->type == TUNING_RATE;
    check_number(option, is_rate ? (int64_t)asked.rate : asked.number,
                 is_rate ? (int64_t)got.rate : got.number, report);
}

static bool is_default(const struct tuning_option *option, const struct leat_tuning *tuning)
{
    if (option->type == TUNING_NAME)
        return strncmp(name_of(option, tuning), name_of(option, &defaults),
                       LEAT_TUNING_NAME_SIZE) == 0;
    return tuning_number(option, tuning) == tuning_number(option, &defaults);
}

/* Is there something to set? A listener may come from elsewhere (systemd) with options of its own:
 * what was asked for is set even where a fresh socket has it. */
static bool is_wanted(const struct tuning_option *option, enum tuning_role role,
                      const struct leat_tuning *tuning)
{
    if (!(option->roles & role) || is_unset(option, tuning))
        return false;
    return role == TUNING_LISTENER || option->type == TUNING_NAME ||
           tuning_number(option, tuning) != option->kernel_default;
}

static bool is_in_range(const struct tuning_option *option, const struct leat_tuning *tuning)
{
    if (option->type == TUNING_NAME)
        return true;
    const int64_t number = tuning_number(option, tuning);
    return number >= option->min && number <= option->max;
}

static int apply_one(const struct backend_sys *sys, int fd, const struct tuning_option *option,
                     const struct leat_tuning *tuning, struct tuning_report *report)
{
    union kernel_value value;
    int result = -EINVAL;
    if (is_in_range(option, tuning)) {
        const socklen_t size = encode(option, tuning, &value);
        result = sys->setsockopt(sys, fd, option->level, option->name, &value, size);
    }
    if (result < 0) {
        note(report, option, TUNING_REFUSED, result, 0, option->remedy);
        return is_default(option, tuning) ? 0 : result;
    }
    if (report)
        check(sys, fd, option, tuning, report);
    return 0;
}

int tuning_apply(const struct backend_sys *sys, int fd, enum tuning_role role,
                 const struct leat_tuning *tuning, struct tuning_report *report)
{
    ASSERT(fd >= 0);
    ASSERT(role == TUNING_LISTENER || role == TUNING_ACCEPTED || role == TUNING_CONNECTING);
    enum { UNKNOWN, TCP, UNIX } family = UNKNOWN;
    int first_error = 0;
    if (report)
        report->count = 0;
    for (size_t i = 0; i < TUNING_OPTIONS; i++) {
        const struct tuning_option *option = &tuning_options[i];
        if (!is_wanted(option, role, tuning))
            continue;
        if (option->is_tcp_only) {
            if (family == UNKNOWN)
                family = is_unix(sys, fd) ? UNIX : TCP;
            if (family == UNIX)
                continue;
        }
        const int error = apply_one(sys, fd, option, tuning, report);
        if (error < 0 && first_error == 0)
            first_error = error;
    }
    return first_error;
}
