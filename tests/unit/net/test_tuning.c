/* SPDX-License-Identifier: MIT */
/*
 * Tuning: the table is whole and docs/tuning.md shows it; text becomes values; values arrive on
 * real sockets and are read back there, inherited or not as the table says; and on hosts played
 * by a counterfeit door, what is refused, ignored or limited is reported.
 *
 * LEAT_UPDATE_DOCS=1 in the environment rewrites the table in docs/tuning.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "net/tuning.h"

static const struct leat_tuning defaults = LEAT_TUNING_DEFAULT;

static struct leat_tuning unset(void)
{
    struct leat_tuning tuning = defaults;
    tuning.tcp_nodelay = LEAT_TUNING_UNSET;
    return tuning;
}

static void set(struct leat_tuning *tuning, const char *flag, const char *value)
{
    char error[256] = "";
    if (leat_tuning_parse(tuning, flag, value, error, sizeof error))
        fail_msg("%s", error);
}

/* ---- The table ------------------------------------------------------------------------------- */

/* TCP_NOTSENT_LOWAT is --tcp-notsent-lowat; a flag with a shorter name has that as its alias. */
static void flags_are_named_after_their_options(void **state)
{
    for (size_t i = 0; i < TUNING_OPTIONS; i++) {
        const struct tuning_option *option = &tuning_options[i];
        char expected[40] = "";
        for (size_t at = 0; option->option[at]; at++)
            expected[at] = option->option[at] == '_' ? '-' : (char)tolower(option->option[at]);
        assert_string_equal(option->alias ? option->alias : option->flag, expected);
        assert_ptr_equal(tuning_find(option->flag), option);
        assert_ptr_equal(tuning_find(expected), option);
        assert_true(strlen(option->help) > 0 && strlen(option->help) <= 72);
        assert_int_not_equal(option->roles, 0);
        assert_true(option->level == SOL_SOCKET || option->is_tcp_only);
    }
    assert_null(tuning_find("tcp-nodela"));
    assert_null(tuning_find(""));
}

/* With the static assertion on the struct's size: each field has exactly one row. */
static void each_field_has_a_row_and_a_sound_default(void **state)
{
    for (size_t i = 0; i < TUNING_OPTIONS; i++) {
        const struct tuning_option *option = &tuning_options[i];
        assert_int_equal(option->field % sizeof(int64_t), 0);
        assert_true(option->field < sizeof(struct leat_tuning));
        for (size_t other = 0; other < i; other++)
            assert_int_not_equal(tuning_options[other].field, option->field);
        if (option->type == TUNING_NAME)
            continue;
        assert_true(option->min >= 0 && option->min < option->max);
        const int64_t number = tuning_number(option, &defaults);
        assert_true(number == LEAT_TUNING_UNSET ||
                    (number >= option->min && number <= option->max));
    }
}

static const char *set_on(const struct tuning_option *option)
{
    switch (option->roles) {
    case TUNING_LISTENER: return "listener";
    case TUNING_CONNECTING: return "connecting";
    case TUNING_LISTENER | TUNING_CONNECTING: return "listener (inherited), connecting";
    case TUNING_ACCEPTED | TUNING_CONNECTING: return "accepted, connecting";
    default: fail_msg("%s: no words for its roles", option->flag); return "";
    }
}

static void render_row(FILE *out, const struct tuning_option *option)
{
    char default_text[32], min[32] = "", max[32] = "", word[32] = "";
    tuning_format_value(option, &defaults, default_text, sizeof default_text);
    if (option->type != TUNING_BOOL && option->type != TUNING_NAME) {
        struct leat_tuning tuning = defaults;
        int64_t *field = (int64_t *)((char *)&tuning + option->field);
        *field = option->min;
        tuning_format_value(option, &tuning, min, sizeof min);
        *field = option->max;
        tuning_format_value(option, &tuning, max, sizeof max);
    }
    /* A table of Markdown needs its bars for itself. */
    for (size_t from = 0, to = 0; tuning_value_word(option)[from]; from++) {
        if (tuning_value_word(option)[from] == '|')
            word[to++] = '\\';
        word[to++] = tuning_value_word(option)[from];
    }
    fprintf(out, "| `--%s` %s | %s | %s%s%s | %s | %s | %s |\n", option->flag, word, option->option,
            min, min[0] ? " to " : "", max, set_on(option), default_text, option->help);
}

static char *render_table(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    fputs("| flag | option | range | set on | default | what it does |\n"
          "|---|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < TUNING_OPTIONS; i++)
        render_row(out, &tuning_options[i]);
    assert_int_equal(fclose(out), 0);
    return text;
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    char *text = calloc(1, 65536);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static void the_docs_show_the_table(void **state)
{
    const char *root = getenv("LEAT_SOURCE_ROOT");
    if (!root)
        fail_msg("LEAT_SOURCE_ROOT is not set; meson test does that");
    char path[4096];
    snprintf(path, sizeof path, "%s/docs/tuning.md", root);
    char *page = read_whole(path), *table = render_table();
    static const char begin_mark[] = "<!-- table: begin -->\n", end_mark[] = "<!-- table: end -->";
    char *begin = strstr(page, begin_mark);
    char *end = begin ? strstr(begin, end_mark) : NULL;
    assert_non_null(end);
    begin += strlen(begin_mark);
    if (getenv("LEAT_UPDATE_DOCS")) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fprintf(file, "%.*s%s%s", (int)(begin - page), page, table, end);
        assert_int_equal(fclose(file), 0);
    } else if ((size_t)(end - begin) != strlen(table) || memcmp(begin, table, strlen(table)) != 0) {
        fail_msg("the table in docs/tuning.md is not that of src/net/tuning.c; it should be\n%s"
                 "(run this test with LEAT_UPDATE_DOCS=1)",
                 table);
    }
    free(table);
    free(page);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void good_values(void **state)
{
    static const struct {
        const char *flag, *value;
        int64_t number;
        const char *formatted;
    } rows[] = {
        {"tcp-nodelay", "on", 1, "on"},
        {"tcp-nodelay", NULL, 1, "on"},
        {"tcp-nodelay", "off", 0, "off"},
        {"so-keepalive", "yes", 1, "on"},
        {"so-keepalive", "false", 0, "off"},
        {"tcp-quickack", "0", 0, "off"},
        {"tcp-notsent-lowat", "32k", 32768, "32k"},
        {"tcp-notsent-lowat", "32K", 32768, "32k"},
        {"tcp-notsent-lowat", "1000", 1000, "1000"},
        {"tcp-notsent-lowat", "1", 1, "1"},
        {"tcp-notsent-lowat", "1g", INT64_C(1) << 30, "1g"},
        {"so-sndbuf", "1m", 1 << 20, "1m"},
        {"so-sndbuf", "1536k", 1536 << 10, "1536k"},
        {"so-rcvbuf", "4096", 4096, "4k"},
        {"tcp-fastopen", "0", 0, "0"},
        {"tcp-fastopen", "65535", 65535, "65535"},
        {"tcp-keepidle", "60", 60, "60s"},
        {"tcp-keepidle", "60s", 60, "60s"},
        {"tcp-keepidle", "2min", 120, "120s"},
        {"tcp-keepidle", "1500ms", 2, "2s"},
        {"tcp-keepidle", "1ms", 1, "1s"},
        {"tcp-keepintvl", "32767", 32767, "32767s"},
        {"tcp-keepcnt", "127", 127, "127"},
        {"tcp-user-timeout", "30000", 30000, "30s"},
        {"tcp-user-timeout", "30s", 30000, "30s"},
        {"tcp-user-timeout", "1500ms", 1500, "1500ms"},
        {"tcp-user-timeout", "1min", 60000, "60s"},
        {"tcp-defer-accept", "3", 3, "3s"},
        {"pacing-rate", "5m", 5 << 20, "5m"},
        {"so-max-pacing-rate", "1024g", INT64_C(1) << 40, "1024g"},
        {"so-busy-poll", "50", 50, "50us"},
        {"so-busy-poll", "1ms", 1000, "1000us"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct leat_tuning tuning = defaults;
        set(&tuning, rows[i].flag, rows[i].value);
        const struct tuning_option *option = tuning_find(rows[i].flag);
        assert_true(tuning_number(option, &tuning) == rows[i].number);
        char text[32], error[256];
        assert_string_equal(tuning_format_value(option, &tuning, text, sizeof text),
                            rows[i].formatted);
        /* What is shown is understood. */
        struct leat_tuning again = defaults;
        assert_int_equal(leat_tuning_parse(&again, rows[i].flag, text, error, sizeof error), 0);
        assert_memory_equal(&tuning, &again, sizeof tuning);
    }
}

static void names(void **state)
{
    struct leat_tuning tuning = defaults;
    const struct tuning_option *option = tuning_find("tcp-congestion");
    char text[32];
    assert_string_equal(tuning_format_value(option, &tuning, text, sizeof text), "unset");
    set(&tuning, "tcp-congestion", "fifteen-letters");
    assert_string_equal(tuning.tcp_congestion, "fifteen-letters");
    set(&tuning, "tcp-congestion", "reno");
    assert_string_equal(tuning_format_value(option, &tuning, text, sizeof text), "reno");
    assert_string_equal(tuning.tcp_congestion + 5, "");
}

static void bad_values(void **state)
{
    static const struct {
        const char *flag, *value, *error;
    } rows[] = {
        {"tcp-nodelay", "maybe", "--tcp-nodelay takes on or off, not 'maybe'"},
        {"tcp-nodelay", "", "--tcp-nodelay takes on or off, not ''"},
        {"tcp-nodelay", "ON ", "--tcp-nodelay takes on or off, not 'ON '"},
        {"tcp-nodelay", "2", "--tcp-nodelay takes on or off, not '2'"},
        {"tcp-keepcnt", "0", "--tcp-keepcnt takes a number from 1 to 127, not '0'"},
        {"tcp-keepcnt", "128", "--tcp-keepcnt takes a number from 1 to 127, not '128'"},
        {"tcp-keepcnt", "1k", "--tcp-keepcnt takes a number from 1 to 127, not '1k'"},
        {"tcp-keepcnt", NULL, "--tcp-keepcnt takes a number from 1 to 127"},
        {"so-sndbuf", "1", "--so-sndbuf takes a size from 4k to 512m, not '1'"},
        {"so-sndbuf", "1g", "--so-sndbuf takes a size from 4k to 512m, not '1g'"},
        {"so-sndbuf", "-1", "--so-sndbuf takes a size from 4k to 512m, not '-1'"},
        {"so-sndbuf", "k", "--so-sndbuf takes a size from 4k to 512m, not 'k'"},
        {"so-sndbuf", "64kb", "--so-sndbuf takes a size from 4k to 512m, not '64kb'"},
        {"so-sndbuf", "64 k", "--so-sndbuf takes a size from 4k to 512m, not '64 k'"},
        {"so-sndbuf", "0x10000", "--so-sndbuf takes a size from 4k to 512m, not '0x10000'"},
        {"so-sndbuf", "999999999999999999g",
         "--so-sndbuf takes a size from 4k to 512m, not '999999999999999999g'"},
        {"so-sndbuf", "18446744073709617152",
         "--so-sndbuf takes a size from 4k to 512m, not '18446744073709617152'"},
        {"tcp-user-timeout", "2days",
         "--tcp-user-timeout takes milliseconds, or a time such as 30s, from 0ms to 86400s,"
         " not '2days'"},
        {"tcp-keepidle", "0",
         "--tcp-keepidle takes seconds, or a time such as 2min, from 1s to 32767s, not '0'"},
        {"tcp-congestion", "sixteen-letters-",
         "--tcp-congestion takes a name of 1 to 15 characters, not 'sixteen-letters-'"},
        {"tcp-congestion", "", "--tcp-congestion takes a name of 1 to 15 characters, not ''"},
        {"pacing-rate", "1023", "--pacing-rate takes bytes a second from 1k to 1024g, not '1023'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct leat_tuning tuning = defaults;
        char error[256] = "", brief[8];
        assert_int_equal(
            leat_tuning_parse(&tuning, rows[i].flag, rows[i].value, error, sizeof error), -EINVAL);
        assert_string_equal(error, rows[i].error);
        assert_int_equal(
            leat_tuning_parse(&tuning, rows[i].flag, rows[i].value, brief, sizeof brief), -EINVAL);
        assert_int_equal(strlen(brief), sizeof brief - 1);
        assert_memory_equal(&tuning, &defaults, sizeof tuning);
    }
    struct leat_tuning tuning = defaults;
    char error[256] = "";
    assert_int_equal(leat_tuning_parse(&tuning, "tcp-cork", "on", error, sizeof error), -ENOENT);
    assert_string_equal(error, "there is no option --tcp-cork");
}

/* ---- Real sockets ---------------------------------------------------------------------------- */

static const struct backend_sys *const real = &backend_sys_linux;

struct pair {
    int listener, client, accepted;
};

/* A listener with the tuning, and a connection to it; each end tuned as its role says. */
static struct pair connect_with(const struct leat_tuning *tuning, struct tuning_report *report)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    struct pair pair = {.listener = socket(AF_INET, SOCK_STREAM, 0)};
    assert_true(pair.listener >= 0);
    assert_int_equal(bind(pair.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(tuning_apply(real, pair.listener, TUNING_LISTENER, tuning, report), 0);
    assert_int_equal(listen(pair.listener, 4), 0);
    assert_int_equal(getsockname(pair.listener, (struct sockaddr *)&address, &size), 0);
    pair.client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(pair.client, (struct sockaddr *)&address, size), 0);
    assert_int_equal(write(pair.client, "x", 1), 1); /* else a deferred accept waits */
    pair.accepted = accept(pair.listener, NULL, NULL);
    assert_true(pair.accepted >= 0);
    assert_int_equal(tuning_apply(real, pair.accepted, TUNING_ACCEPTED, tuning, NULL), 0);
    return pair;
}

static void close_pair(struct pair pair)
{
    close(pair.client);
    close(pair.accepted);
    close(pair.listener);
}

static int64_t read_number(int fd, const struct tuning_option *option)
{
    int number = -1;
    unsigned long rate = 0;
    socklen_t size = option->type == TUNING_RATE ? sizeof rate : sizeof number;
    void *value = option->type == TUNING_RATE ? (void *)&rate : &number;
    assert_int_equal(getsockopt(fd, option->level, option->name, value, &size), 0);
    return option->type == TUNING_RATE ? (int64_t)rate : number;
}

/* What each option is tried with, and what the kernel then says. */
static const struct {
    const char *flag, *value;
    int64_t expected;
} trials[] = {
    {"tcp-nodelay", "on", 1},
    {"so-sndbuf", "48k", 96 << 10},
    {"so-rcvbuf", "40k", 80 << 10},
    {"tcp-fastopen", "7", 7},
    {"tcp-fastopen-connect", "on", 1},
    {"so-keepalive", "on", 1},
    {"tcp-keepidle", "33s", 33},
    {"tcp-keepintvl", "7", 7},
    {"tcp-keepcnt", "4", 4},
    {"tcp-notsent-lowat", "16k", 16384},
    {"tcp-user-timeout", "30s", 30000},
    {"tcp-defer-accept", "3", 3},
    {"tcp-quickack", "off", 0},
    {"pacing-rate", "6g", INT64_C(6) << 30}, /* more than 32 bits hold */
};

/* Each option arrives where the table says, and accepted sockets inherit what it says they do. */
static void options_arrive(void **state)
{
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        const struct tuning_option *option = tuning_find(trials[i].flag);
        assert_non_null(option);
        struct leat_tuning tuning = unset();
        set(&tuning, trials[i].flag, trials[i].value);
        struct tuning_report report;
        struct pair pair = connect_with(&tuning, &report);
        if (option->roles & TUNING_LISTENER)
            assert_true(read_number(pair.listener, option) == trials[i].expected);
        const bool is_inherited =
            (option->roles & TUNING_LISTENER) && (option->roles & TUNING_CONNECTING);
        if (is_inherited || option->roles & TUNING_ACCEPTED)
            assert_true(read_number(pair.accepted, option) == trials[i].expected);
        else
            assert_true(read_number(pair.accepted, option) == 0);
        close_pair(pair);

        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        const int result = tuning_apply(real, fd, TUNING_CONNECTING, &tuning, NULL);
        if (result == -EOPNOTSUPP && option->name == TCP_FASTOPEN_CONNECT)
            print_message("client-side Fast Open is off on this host\n");
        else if (option->roles & TUNING_CONNECTING)
            assert_true(result == 0 && read_number(fd, option) == trials[i].expected);
        close(fd);
    }
}

/* Those two need a host that grants them: the trial skips what it refuses, but it must say so. */
static void options_that_hosts_refuse(void **state)
{
    static const char *const values[][2] = {{"tcp-congestion", "reno"}, {"so-busy-poll", "25"}};
    for (size_t i = 0; i < 2; i++) {
        struct leat_tuning tuning = unset();
        set(&tuning, values[i][0], values[i][1]);
        struct tuning_report report;
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        const int result = tuning_apply(real, fd, TUNING_CONNECTING, &tuning, &report);
        if (result < 0) {
            assert_int_equal(report.count, 1);
            assert_int_equal(report.findings[0].error, result);
        } else if (i == 0) {
            char name[16] = "";
            socklen_t size = sizeof name;
            assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
            assert_string_equal(name, "reno");
        } else {
            assert_int_equal(read_number(fd, tuning_find("so-busy-poll")), 25);
        }
        close(fd);
    }
    struct leat_tuning tuning = unset();
    set(&tuning, "tcp-congestion", "no-such-thing");
    struct tuning_report report;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(tuning_apply(real, fd, TUNING_CONNECTING, &tuning, &report) < 0);
    assert_int_equal(report.count, 1);
    assert_int_equal(report.findings[0].outcome, TUNING_REFUSED);
    char text[256];
    tuning_finding_format(&report.findings[0], text, sizeof text);
    assert_non_null(strstr(text, "--tcp-congestion is refused here ("));
    assert_non_null(strstr(text, "net.ipv4.tcp_allowed_congestion_control"));
    close(fd);
}

static void fast_open_is_checked_against_the_host(void **state)
{
    int bits = -1;
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_fastopen", "r");
    const bool is_known = file && fscanf(file, "%i", &bits) == 1;
    if (file)
        fclose(file);
    if (!is_known) {
        print_message("net.ipv4.tcp_fastopen cannot be read on this host\n");
        return;
    }
    struct leat_tuning tuning = unset();
    set(&tuning, "tcp-fastopen", "5");
    struct tuning_report report;
    close_pair(connect_with(&tuning, &report));
    assert_int_equal(report.count, bits & 2 ? 0 : 1);
    if (report.count > 0)
        assert_int_equal(report.findings[0].outcome, TUNING_IGNORED);
}

/* Everything at once on a unix socket: what is TCP's is skipped without a word. */
static void unix_sockets_skip_what_is_tcp(void **state)
{
    static const enum tuning_role roles[] = {TUNING_LISTENER, TUNING_ACCEPTED, TUNING_CONNECTING};
    struct leat_tuning tuning = defaults;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        set(&tuning, trials[i].flag, trials[i].value);
    set(&tuning, "tcp-congestion", "no-such-thing");
    set(&tuning, "so-busy-poll", "10ms");
    for (size_t i = 0; i < 3; i++) {
        struct tuning_report report;
        const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(tuning_apply(real, fd, roles[i], &tuning, &report), 0);
        assert_int_equal(report.count, 0);
        if (roles[i] != TUNING_ACCEPTED)
            assert_int_equal(read_number(fd, tuning_find("so-sndbuf")), 96 << 10);
        close(fd);
    }
}

/* ---- A counterfeit door: hosts that refuse, ignore and limit --------------------------------- */

struct fake {
    struct backend_sys sys;
    int set_count, get_count;
    int last_name;
    int refuse_name, refuse_error; /* setsockopt of this name fails */
    long get_result;               /* what getsockopt reads, whatever was set; -1: EPERM */
    const char *fast_open;         /* the sysctl's text; NULL: there is none */
};

static int fake_setsockopt(const struct backend_sys *sys, int fd, int level, int name,
                           const void *value, socklen_t size)
{
    struct fake *fake = (struct fake *)sys;
    fake->set_count++;
    fake->last_name = name;
    return name == fake->refuse_name ? fake->refuse_error : 0;
}

static int fake_getsockopt(const struct backend_sys *sys, int fd, int level, int name, void *value,
                           socklen_t *size)
{
    struct fake *fake = (struct fake *)sys;
    if (level == SOL_SOCKET && name == SO_DOMAIN) {
        *(int *)value = AF_INET;
        return 0;
    }
    fake->get_count++;
    if (fake->get_result < 0)
        return -EPERM;
    memset(value, 0, *size);
    memcpy(value, &fake->get_result, *size < sizeof(long) ? *size : sizeof(long));
    return 0;
}

static int fake_open(const struct backend_sys *sys, int directory_fd, const char *path,
                     enum backend_open flags)
{
    return ((const struct fake *)sys)->fast_open ? 9 : -ENOENT;
}

static ssize_t fake_read(const struct backend_sys *sys, int fd, void *data, size_t size,
                         uint64_t offset)
{
    const char *text = ((const struct fake *)sys)->fast_open;
    memcpy(data, text, strlen(text));
    return (ssize_t)strlen(text);
}

static void fake_close(const struct backend_sys *sys, int fd)
{
    assert_int_equal(fd, 9);
}

static struct fake make_fake(void)
{
    return (struct fake){
        .sys = {.setsockopt = fake_setsockopt,
                .getsockopt = fake_getsockopt,
                .open = fake_open,
                .read = fake_read,
                .close = fake_close},
        .refuse_name = -1,
        .get_result = -1,
    };
}

/* The defaults cost an accepted connection nothing and a connecting one a single call. */
static void defaults_are_cheap(void **state)
{
    struct fake fake = make_fake();
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_ACCEPTED, &defaults, NULL), 0);
    assert_int_equal(fake.set_count, 0);
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_CONNECTING, &defaults, NULL), 0);
    assert_int_equal(fake.set_count, 1);
    assert_int_equal(fake.last_name, TCP_NODELAY);
    assert_int_equal(fake.get_count, 0);
    const struct leat_tuning nothing = unset();
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_LISTENER, &nothing, NULL), 0);
    assert_int_equal(fake.set_count, 1);
}

/* What a fresh socket has anyway is set on a listener only, which may not be fresh. */
static void kernel_defaults_are_not_set_again(void **state)
{
    struct fake fake = make_fake();
    struct leat_tuning tuning = unset();
    set(&tuning, "tcp-nodelay", "off");
    set(&tuning, "so-keepalive", "off");
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_CONNECTING, &tuning, NULL), 0);
    assert_int_equal(fake.set_count, 0);
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_LISTENER, &tuning, NULL), 0);
    assert_int_equal(fake.set_count, 2);
}

static void refusals(void **state)
{
    struct fake fake = make_fake();
    fake.refuse_name = TCP_NODELAY;
    fake.refuse_error = -EPERM;
    struct tuning_report report;
    char text[256];
    /* Nobody asked for the default: it is reported, and no error. */
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_LISTENER, &defaults, &report), 0);
    assert_int_equal(report.count, 1);
    assert_string_equal(tuning_finding_format(&report.findings[0], text, sizeof text),
                        "--tcp-nodelay is refused here (Operation not permitted)");

    struct leat_tuning tuning = defaults;
    set(&tuning, "tcp-user-timeout", "5s");
    set(&tuning, "tcp-notsent-lowat", "8k");
    fake.refuse_name = TCP_NOTSENT_LOWAT;
    fake.refuse_error = -ENOPROTOOPT;
    fake.set_count = 0;
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_LISTENER, &tuning, &report), -ENOPROTOOPT);
    assert_int_equal(fake.set_count, 3); /* the others were tried all the same */
    assert_int_equal(report.count, 1);
    assert_int_equal(report.findings[0].outcome, TUNING_REFUSED);
    assert_int_equal(report.findings[0].error, -ENOPROTOOPT);
}

/* A struct that was cleared instead of initialised does not reach the kernel. */
static void values_out_of_range(void **state)
{
    struct fake fake = make_fake();
    struct leat_tuning tuning = {0};
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_LISTENER, &tuning, NULL), -EINVAL);
    tuning = defaults;
    tuning.tcp_keepcnt = 128;
    fake.set_count = 0;
    assert_int_equal(tuning_apply(&fake.sys, 3, TUNING_CONNECTING, &tuning, NULL), -EINVAL);
    assert_int_equal(fake.set_count, 1); /* TCP_NODELAY alone */
}

static void assert_one_finding(struct fake *fake, const struct leat_tuning *tuning,
                               const char *expected)
{
    struct tuning_report report;
    char text[256];
    assert_int_equal(tuning_apply(&fake->sys, 3, TUNING_LISTENER, tuning, &report), 0);
    assert_int_equal(report.count, expected ? 1 : 0);
    if (expected)
        assert_string_equal(tuning_finding_format(&report.findings[0], text, sizeof text),
                            expected);
}

static void ignored_and_limited(void **state)
{
    struct fake fake = make_fake();
    struct leat_tuning tuning = unset();
    set(&tuning, "so-sndbuf", "8m");
    fake.get_result = 4 << 20;
    assert_one_finding(&fake, &tuning,
                       "--so-sndbuf is limited to 2m here: raise net.core.wmem_max");
    fake.get_result = 16 << 20;
    assert_one_finding(&fake, &tuning, NULL);

    tuning = unset();
    set(&tuning, "tcp-defer-accept", "5");
    fake.get_result = 7;
    assert_one_finding(&fake, &tuning, NULL);
    fake.get_result = 0;
    assert_one_finding(&fake, &tuning, "--tcp-defer-accept is ignored here");

    tuning = unset();
    set(&tuning, "tcp-nodelay", "off");
    fake.get_result = 1;
    assert_one_finding(&fake, &tuning, "--tcp-nodelay is ignored here");

    tuning = unset();
    set(&tuning, "tcp-congestion", "cubic");
    memcpy(&fake.get_result, "reno\0\0\0", 8);
    assert_one_finding(&fake, &tuning,
                       "--tcp-congestion is ignored here: see"
                       " net.ipv4.tcp_available_congestion_control and"
                       " net.ipv4.tcp_allowed_congestion_control");
    memcpy(&fake.get_result, "cubic\0\0", 8);
    assert_one_finding(&fake, &tuning, NULL);
    fake.get_result = -1; /* what cannot be read is believed */
    assert_one_finding(&fake, &tuning, NULL);
}

static void fast_open(void **state)
{
    struct fake fake = make_fake();
    struct leat_tuning tuning = unset();
    set(&tuning, "tcp-fastopen", "16");
    fake.get_result = 16;
    static const char ignored[] =
        "--tcp-fastopen is ignored here: net.ipv4.tcp_fastopen needs bit 2:"
        " sysctl -w net.ipv4.tcp_fastopen=3";
    static const struct {
        const char *sysctl, *finding;
    } rows[] = {{NULL, NULL},  {"0\n", ignored}, {"1\n", ignored},   {"2\n", NULL},
                {"3\n", NULL}, {"1027\n", NULL}, {"1025\n", ignored}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fake.fast_open = rows[i].sysctl;
        assert_one_finding(&fake, &tuning, rows[i].finding);
    }
    fake.fast_open = "3\n";
    fake.get_result = 8;
    assert_one_finding(&fake, &tuning,
                       "--tcp-fastopen is limited to 8 here: raise net.core.somaxconn");
}

static void probes_need_keepalive(void **state)
{
    struct fake fake = make_fake();
    fake.get_result = 60;
    struct leat_tuning tuning = unset();
    set(&tuning, "tcp-keepidle", "60");
    assert_one_finding(&fake, &tuning,
                       "--tcp-keepidle is ignored here: it takes --so-keepalive on as well");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_named_after_their_options),
        cmocka_unit_test(each_field_has_a_row_and_a_sound_default),
        cmocka_unit_test(the_docs_show_the_table),
        cmocka_unit_test(good_values),
        cmocka_unit_test(names),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(options_arrive),
        cmocka_unit_test(options_that_hosts_refuse),
        cmocka_unit_test(fast_open_is_checked_against_the_host),
        cmocka_unit_test(unix_sockets_skip_what_is_tcp),
        cmocka_unit_test(defaults_are_cheap),
        cmocka_unit_test(kernel_defaults_are_not_set_again),
        cmocka_unit_test(refusals),
        cmocka_unit_test(values_out_of_range),
        cmocka_unit_test(ignored_and_limited),
        cmocka_unit_test(fast_open),
        cmocka_unit_test(probes_need_keepalive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
