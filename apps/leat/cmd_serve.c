/* SPDX-License-Identifier: MIT */
/*
 * leat serve: options, workers, signals. The main thread only waits for signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "admin.h"
#include "client_limits.h"
#include "commands.h"
#include "loop/process.h"
#include "notify.h"
#include "options.h"
#include "privileges.h"
#include "live_dvr.h"
#include "live_rtmp.h"
#include "replace.h"
#include "sandbox.h"
#include "site.h"
#include "site_film.h"
#include "site_flags.h"
#include "site_live.h"
#include "sockets.h"
#include "supervise.h"
#include "worker.h"

enum { THREADS_MAX = SOCKETS_AN_ADDRESS_MAX, WATCHDOG_MS = 1000 };

/* The process, from its flags to its end. */
struct serve {
    struct worker_settings settings;
    struct site site;
    struct pace_policy pace;
    bool has_live;
    const char *live_keys; /* NULL: none are asked for */
    struct live_dvr dvr;
    struct client_limits limits;
    struct leat_address addresses[SOCKETS_ADDRESSES_MAX]; /* of --listen */
    unsigned address_count;
    const char *user; /* NULL: stay who we are */
    int sandbox_mode;
    long grace_ms, replace_grace_ms;
    const char *log_path; /* "off", "-": standard output */
    int log_format;
    bool has_admin, has_rtmp;

    struct program program;
    struct inheritance inheritance; /* of the process that this one replaces */
    struct sockets sockets;
    struct worker workers[THREADS_MAX];
    struct leat_access_log *log; /* NULL: none */
    struct admin admin;
    struct live_rtmp rtmp;
    char sandbox[SANDBOX_TEXT_SIZE]; /* what is in force, for people */
    bool is_confined;
};

static int take_address(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct serve *serve = target;
    const char *reason;
    if (serve->address_count == SOCKETS_ADDRESSES_MAX) {
        snprintf(ret_error, ret_error_size, "--listen can be given %d times at most",
                 SOCKETS_ADDRESSES_MAX);
        return -1;
    }
    if (leat_address_parse(text, &serve->addresses[serve->address_count], &reason)) {
        snprintf(ret_error, ret_error_size, "--listen '%s': %s", text, reason);
        return -1;
    }
    serve->address_count++;
    return 0;
}

/* Of what is no unix socket. */
static int take_host(const char *flag, const char *text, struct leat_address *ret_address,
                     char *ret_error, size_t ret_error_size)
{
    const char *reason = "it takes ADDR:PORT";
    if (leat_address_parse(text, ret_address, &reason) == 0 &&
        leat_address_family(ret_address) != AF_UNIX)
        return 0;
    snprintf(ret_error, ret_error_size, "%s '%s': %s", flag, text, reason);
    return -1;
}

static int take_admin(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct serve *serve = target;
    serve->has_admin = true;
    return take_host("--admin", text, &serve->admin.address, ret_error, ret_error_size);
}

static int take_rtmp(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct serve *serve = target;
    serve->has_rtmp = true;
    return take_host("--rtmp", text, &serve->rtmp.address, ret_error, ret_error_size);
}

static long core_count(void)
{
    const unsigned count = process_core_count();
    return count < THREADS_MAX ? (long)count : THREADS_MAX;
}

static enum options_result parse(int argc, char **argv, struct serve *serve)
{
    static const char *const pages[] = {"library", "plain", "off", NULL};
    static const char *const engines[] = {"auto", "uring", "epoll", NULL};
    static const char *const log_formats[] = {"combined", "json", NULL};
    static const char *const sandboxes[] = {"auto", "on", "off", NULL};
    struct worker_settings *settings = &serve->settings;
    struct client_limits *limits = &serve->limits;
    long threads = core_count(), backlog = 4096;
    int engine = LEAT_ENGINE_AUTO;
    /* clang-format off */
    const struct option options[] = {
        {.name = "listen", .value = "ADDR:PORT", .kind = OPTION_CALL, .take = take_address,
         .target = serve,
         .help = "also [::]:8080, unix:/path; may repeat (default: 127.0.0.1:8080)"},
        {.name = "root", .value = "NAME=DIR", .kind = OPTION_CALL, .take = site_take_root,
         .target = &serve->site, .help = "/NAME/ shows DIR; may repeat"},
        {.name = "index", .value = "FILE|off", .kind = OPTION_CALL, .take = site_take_index,
         .target = &serve->site, .help = "stands for a folder that has it (default: index.html)"},
        {.name = "listing", .value = "library|plain|off", .kind = OPTION_CHOICE,
         .target = &serve->site.pages, .choices = pages,
         .help = "the page of other folders; off: 403 (default: library)"},
        {.name = "dotfiles", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &serve->site.shows_dotfiles,
         .help = "names that begin with a dot are there (default: off)"},
        {.name = "follow-symlinks", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &serve->site.follow_symlinks, .help = "out of the folders, too (default: off)"},
        {.name = "cors", .value = "ORIGIN|*", .kind = OPTION_CALL, .take = site_take_origin,
         .target = &serve->site, .help = "whose scripts may read answers; may repeat"},
        {.name = "timing-allow-origin", .value = "ORIGIN|*", .kind = OPTION_CALL,
         .take = site_take_timing_origin, .target = &serve->site,
         .help = "whose scripts may read how long answers took"},
        {.name = "pace", .value = "auto|off|RATE|FACTORx", .kind = OPTION_CALL, .take = pace_take,
         .target = &serve->pace,
         .help = "how fast films go: bytes a second, or x their own rate (default: auto)"},
        {.name = "live", .value = "on|off", .kind = OPTION_SWITCH, .target = &serve->has_live,
         .help = "channels below /live/, published from this host (default: off)"},
        {.name = "live-keys", .value = "FILE", .kind = OPTION_TEXT, .target = &serve->live_keys,
         .help = "the same from anywhere with a key: lines \"NAME KEY\""},
        {.name = "rtmp", .value = "ADDR:PORT", .kind = OPTION_CALL, .take = take_rtmp,
         .target = serve, .help = "the same over RTMP: rtmp://ADDR:PORT/live/NAME?key=KEY"},
        {.name = "dvr", .value = "DURATION", .kind = OPTION_CALL, .take = live_dvr_take_window,
         .target = &serve->dvr, .help = "how far back channels can be watched: 2h (default: 30s)"},
        {.name = "live-dir", .value = "DIR", .kind = OPTION_TEXT, .target = &serve->dvr.directory,
         .help = "where their segments are kept, and survive the process"},
        {.name = "keep", .value = "on|off", .kind = OPTION_SWITCH, .target = &serve->dvr.keep,
         .help = "a channel that has ended becomes a film in the folder (default: off)"},
        {.name = "threads", .value = "N", .kind = OPTION_COUNT, .target = &threads, .min = 1,
         .max = THREADS_MAX, .help = "workers, a loop each (default: the number of cores)"},
        {.name = "engine", .value = "auto|uring|epoll", .kind = OPTION_CHOICE, .target = &engine,
         .choices = engines, .help = "auto takes io_uring where it works (default: auto)"},
        {.name = "max-connections", .value = "N", .kind = OPTION_COUNT,
         .target = &limits->connections, .min = 1, .max = 10000000,
         .help = "of a thread; beyond it: 503 (default: 16384)"},
        {.name = "max-connections-per-address", .value = "N", .kind = OPTION_COUNT,
         .target = &limits->connections_per_address, .min = 0, .max = 10000000,
         .help = "of an IPv4 address or IPv6 /64, of a thread; 0: any (default: 0)"},
        {.name = "max-requests", .value = "N", .kind = OPTION_COUNT, .target = &limits->requests,
         .min = 0, .max = 1000000000, .help = "of a connection; 0: any (default: 0)"},
        {.name = "max-head-size", .value = "BYTES", .kind = OPTION_COUNT,
         .target = &limits->head_size, .min = 256, .max = 16384,
         .help = "of a request; beyond it: 431 (default: 16384)"},
        {.name = "idle-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &limits->idle_ms, .min = 1, .max = 86400000,
         .help = "between two requests (default: 75000)"},
        {.name = "head-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &limits->head_ms, .min = 1, .max = 86400000,
         .help = "for a request's head to arrive (default: 10000)"},
        {.name = "body-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &limits->body_ms, .min = 1, .max = 86400000,
         .help = "for a body at less than its rate (default: 20000)"},
        {.name = "send-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &limits->send_ms, .min = 1, .max = 86400000,
         .help = "for a client that takes less than its rate (default: 60000)"},
        {.name = "min-body-rate", .value = "BYTES", .kind = OPTION_COUNT,
         .target = &limits->body_rate, .min = 1, .max = 1000000000,
         .help = "a second, over a body timeout (default: 240)"},
        {.name = "min-send-rate", .value = "BYTES", .kind = OPTION_COUNT,
         .target = &limits->send_rate, .min = 1, .max = 1000000000,
         .help = "a second, over a send timeout (default: 240)"},
        {.name = "backlog", .value = "N", .kind = OPTION_COUNT, .target = &backlog, .min = 1,
         .max = 1000000, .help = "connections waiting to be accepted (default: 4096)"},
        {.name = "steer-by-cpu", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &settings->steer_by_cpu,
         .help = "a connection goes to the thread of its core (default: off)"},
        {.name = "access-log", .value = "FILE|-|off", .kind = OPTION_TEXT,
         .target = &serve->log_path, .help = "a line a request; -: standard output (default: off)"},
        {.name = "log-format", .value = "combined|json", .kind = OPTION_CHOICE,
         .target = &serve->log_format, .choices = log_formats,
         .help = "of the access log (default: combined)"},
        {.name = "admin", .value = "ADDR:PORT", .kind = OPTION_CALL, .take = take_admin,
         .target = serve, .help = "dashboard, /metrics, /healthz, /debug/fibers; keep it private"},
        {.name = "grace-ms", .value = "MS", .kind = OPTION_COUNT, .target = &serve->grace_ms,
         .min = 0, .max = 86400000, .help = "for what is in work at SIGTERM (default: 10000)"},
        {.name = "replace-grace-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &serve->replace_grace_ms, .min = 0, .max = 86400000,
         .help = "likewise at SIGUSR2, when replaced (default: 3600000)"},
        {.name = "user", .value = "NAME[:GROUP]", .kind = OPTION_TEXT,
         .target = &serve->user, .help = "who to be once the addresses are open"},
        {.name = "sandbox", .value = "auto|on|off", .kind = OPTION_CHOICE,
         .target = &serve->sandbox_mode, .choices = sandboxes,
         .help = "give up what serving does not need (default: auto)"},
        {0},
    };
    /* clang-format on */
    const struct tuning_flags tuning = {&settings->tuning, TUNING_FLAGS_SERVER};
    const struct option_set set = {
        .command = "leat serve",
        .arguments = "[DIR]",
        .summary = "Serves the files below DIR (default: the current folder) over HTTP.",
        .options = options,
        .tuning = &tuning,
        .positional = &serve->site.main.directory,
        .positional_max = 1,
    };
    const enum options_result result = options_parse(&set, argc, argv);
    if (!serve->site.main.directory && serve->site.root_count == 0)
        serve->site.main.directory = ".";
    settings->thread_count = (unsigned)threads;
    settings->engine = (enum leat_engine)engine;
    settings->backlog = (int)backlog;
    client_limits_apply(limits, &settings->http);
    return result;
}

static void report_held_loop(const char *name, int64_t held_ms, void *user)
{
    fprintf(stderr, "leat serve: '%s' has held its loop for %lld ms\n", name, (long long)held_ms);
}

static const char *remedy(int error)
{
    switch (-error) {
    case EADDRINUSE:
        return "; another server listens there: choose another with --listen ADDR:PORT";
    case EACCES: return "; ports below 1024 need privileges, folders permission";
    case EADDRNOTAVAIL: return "; this host has no such address";
    case ENOENT:
    case ENOTDIR: return "; name a folder that exists";
    case ENOSYS:
    case EPERM: return "; --engine epoll works everywhere, leat doctor tells more";
    default: return "";
    }
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* A socket that got the number of a closed standard stream would be written to. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            abort();
}

/* What workers do not listen on. Inherited sockets whose port nobody has named are told apart by
 * their order alone, and are found from the last to the first: so a successor asks the other way
 * round. */
static int open_sockets_apart(struct serve *serve, const struct leat_address **ret_wanted)
{
    const bool is_successor = serve->inheritance.is_successor;
    const struct {
        bool is_asked_for;
        const struct leat_address *address;
        int backlog;
        const struct socket_group **ret_group;
    } sockets[] = {
        {serve->has_admin, &serve->admin.address, ADMIN_BACKLOG, &serve->admin.socket},
        {serve->has_rtmp, &serve->rtmp.address, LIVE_RTMP_BACKLOG, &serve->rtmp.socket},
    };
    const unsigned count = sizeof sockets / sizeof *sockets;
    int error = 0;
    for (unsigned turn = 0; turn < count && !error; turn++) {
        const unsigned index = is_successor ? count - 1 - turn : turn;
        if (!sockets[index].is_asked_for)
            continue;
        *ret_wanted = sockets[index].address;
        error = sockets_open_apart(&serve->sockets, sockets[index].address, sockets[index].backlog,
                                   is_successor, sockets[index].ret_group);
    }
    return error;
}

static int open_sockets(struct serve *serve)
{
    const struct sockets_options options = {.tuning = &serve->settings.tuning,
                                            .backlog = serve->settings.backlog,
                                            .worker_count = serve->settings.thread_count};
    const struct leat_address *wanted = NULL;
    unsigned index;
    if (serve->address_count == 0 && serve->sockets.count == 0)
        leat_address_parse("127.0.0.1:8080", &serve->addresses[serve->address_count++], NULL);
    int error =
        sockets_open(&serve->sockets, serve->addresses, serve->address_count, &options, &index);
    if (error)
        wanted = &serve->addresses[index];
    else
        error = open_sockets_apart(serve, &wanted);
    if (error) {
        char text[LEAT_ADDRESS_TEXT_SIZE];
        fprintf(stderr, "leat serve: %s: %s%s\n", leat_address_format(wanted, text),
                leat_error_text(error), remedy(error));
    }
    return error;
}

static bool has_log_file(const struct serve *serve)
{
    return strcmp(serve->log_path, "off") != 0 && strcmp(serve->log_path, "-") != 0;
}

static int enter_sandbox(struct serve *serve)
{
    struct sandbox_options options = {.mode = (enum sandbox_mode)serve->sandbox_mode,
                                      .program = serve->program.path};
    options.reads_everywhere = serve->site.follow_symlinks;
    options.settings = serve->live_keys;
    if (serve->site.main.directory)
        options.readable[options.readable_count++] = serve->site.main.directory;
    for (unsigned index = 0; index < serve->site.root_count; index++)
        options.readable[options.readable_count++] = serve->site.roots[index].directory;
    for (unsigned index = 0; index < serve->sockets.count; index++) {
        const struct socket_group *group = &serve->sockets.groups[index];
        if (group->is_asked_for && leat_address_family(&group->address) == AF_UNIX)
            options.removable[options.removable_count++] = group->address.local.sun_path;
    }
    if (has_log_file(serve))
        options.writable[options.writable_count++] = serve->log_path;
    if (serve->dvr.directory)
        options.kept[options.kept_count++] = serve->dvr.directory;
    if (serve->dvr.keep)
        options.kept[options.kept_count++] = serve->site.main.directory;
    const int result = sandbox_enter(&options, serve->sandbox);
    if (result < 0)
        fprintf(stderr, "leat serve: --sandbox on: this host has no %s\n", serve->sandbox);
    serve->is_confined = result > 0;
    return result < 0 ? -1 : 0;
}

/* The process becomes as little as will do. Who replaces another was born so: a second sandbox
 * within the first would gain nothing, and the kernel allows only so many. */
static int give_up_privileges(struct serve *serve)
{
    char error[256];
    const bool is_successor = serve->inheritance.is_successor;
    if (serve->user && !(is_successor && geteuid() != 0) &&
        privileges_drop(serve->user, error, sizeof error) != 0) {
        fprintf(stderr, "leat serve: %s\n", error);
        return -1;
    }
    live_dvr_make_folder(&serve->dvr);
    if (!serve->inheritance.sandbox[0])
        return enter_sandbox(serve);
    snprintf(serve->sandbox, sizeof serve->sandbox, "%s", serve->inheritance.sandbox);
    serve->is_confined = true;
    return 0;
}

static void abandon_workers(struct serve *serve, unsigned count)
{
    live_rtmp_stop(&serve->rtmp);
    for (unsigned index = 0; index < count; index++) {
        worker_stop(&serve->workers[index], 0, 0);
        worker_join(&serve->workers[index]);
    }
}

/* Starts all, or stops and joins what was started. */
static int start_workers(struct serve *serve)
{
    for (unsigned index = 0; index < serve->settings.thread_count; index++) {
        struct worker *worker = &serve->workers[index];
        int error = worker_start(worker, &serve->settings, index);
        if (error) {
            worker->error = error;
            snprintf(worker->what, sizeof worker->what, "a thread");
        } else if (worker->error) {
            worker_join(worker);
        }
        if (!worker->error)
            continue;
        fprintf(stderr, "leat serve: %s: %s%s\n", worker->what, leat_error_text(worker->error),
                remedy(worker->error));
        abandon_workers(serve, index);
        return -1;
    }
    return 0;
}

/* In a thread of the pool. */
static void report_log_trouble(int error, uint64_t dropped, void *user)
{
    const struct serve *serve = user;
    if (error)
        fprintf(stderr, "leat serve: --access-log %s: %s; %llu lines were dropped so far\n",
                serve->log_path, leat_error_text(error), (unsigned long long)dropped);
    else
        fprintf(stderr, "leat serve: --access-log %s: it is written; %llu lines were dropped\n",
                serve->log_path, (unsigned long long)dropped);
}

/* As whom it will be opened again. */
static int open_log(struct serve *serve)
{
    const struct leat_access_log_options options = {
        .path = has_log_file(serve) ? serve->log_path : NULL,
        .format = (enum leat_access_log_format)serve->log_format,
        .on_trouble = report_log_trouble,
        .user = serve,
    };
    if (strcmp(serve->log_path, "off") == 0)
        return 0;
    const int error = leat_access_log_create(&options, &serve->log);
    if (error) {
        fprintf(stderr, "leat serve: --access-log %s: %s\n", serve->log_path,
                leat_error_text(error));
        return error;
    }
    serve->settings.http.on_done = leat_access_log_write;
    serve->settings.http.on_done_user = serve->log;
    return 0;
}

static int start_admin(struct serve *serve)
{
    struct admin *admin = &serve->admin;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    if (!serve->has_admin)
        return 0;
    admin->workers = serve->workers;
    admin->worker_count = serve->settings.thread_count;
    admin->log = serve->log;
    admin->films = serve->site.films;
    admin->live = serve->site.live ? serve->site.live->hub : NULL;
    const int error = admin_start(admin);
    leat_address_format(&admin->socket->address, text);
    if (error) {
        fprintf(stderr, "leat serve: --admin %s: %s\n", text, leat_error_text(error));
        abandon_workers(serve, serve->settings.thread_count);
        return error;
    }
    fprintf(stderr, "leat serve: admin on http://%s\n", text);
    return 0;
}

static int start_rtmp(struct serve *serve)
{
    char text[LEAT_ADDRESS_TEXT_SIZE];
    if (!serve->has_rtmp)
        return 0;
    serve->rtmp.live = serve->site.live;
    serve->rtmp.worker = &serve->workers[0];
    const int error = live_rtmp_start(&serve->rtmp);
    leat_address_format(&serve->rtmp.socket->address, text);
    if (error) {
        fprintf(stderr, "leat serve: --rtmp %s: %s\n", text, leat_error_text(error));
        abandon_workers(serve, serve->settings.thread_count);
        return error;
    }
    fprintf(stderr, "leat serve: publishers on rtmp://%s/live\n", text);
    return 0;
}

static void report_start(struct serve *serve)
{
    const char *engine = serve->workers[0].engine;
    const bool is_fallback =
        serve->settings.engine == LEAT_ENGINE_AUTO && strcmp(engine, "epoll") == 0;
    fprintf(stderr, "leat serve: engine %s%s; sandbox: %s\n", engine,
            is_fallback ? " (this host refuses io_uring; leat doctor tells why)" : "",
            serve->sandbox);
    for (unsigned index = 0; index < serve->sockets.count; index++) {
        const struct leat_address *address = &serve->sockets.groups[index].address;
        char text[LEAT_ADDRESS_TEXT_SIZE];
        if (serve->sockets.groups[index].is_apart)
            continue;
        leat_address_format(address, text);
        const bool is_unix = leat_address_family(address) == AF_UNIX;
        printf("listening on %s%s\n", is_unix ? "" : "http://", text);
    }
    fflush(stdout);
    if (serve->inheritance.is_successor)
        replace_report_ready(&serve->inheritance); /* who tells the service manager of us */
    else
        notify_manager("READY=1\nSTATUS=Serving %s, engine %s",
                       serve->site.main.directory ? serve->site.main.directory
                                                  : serve->site.roots[0].directory,
                       engine);
}

/* As whom they will be read. */
static int open_site(struct serve *serve)
{
    const char *directory;
    const int error = site_open(&serve->site, &directory);
    if (error)
        fprintf(stderr, "leat serve: %s: %s%s\n", directory, leat_error_text(error), remedy(error));
    return error;
}

/* Half of the cores may be busy with the indexes of films: the rest is for those who watch. */
static int open_films(struct serve *serve)
{
    const unsigned builds = (process_core_count() + 1) / 2;
    const int error = site_films_create(&serve->pace, builds, &serve->site.films);
    if (error)
        fprintf(stderr, "leat serve: the cache of films: %s\n", leat_error_text(error));
    return error;
}

/* Keys are nobody's to read but ours: before privileges go. */
static int open_live(struct serve *serve)
{
    char error[256];
    const struct live_options options = {.window_ms = serve->dvr.window_ms};
    const bool has_live = serve->has_live || serve->live_keys || serve->has_rtmp;
    if (live_dvr_check(&serve->dvr, has_live, serve->site.main.directory, error, sizeof error)) {
        fprintf(stderr, "leat serve: %s\n", error);
        return -1;
    }
    if (!has_live ||
        site_live_create(serve->live_keys, &options, &serve->site.live, error, sizeof error) == 0)
        return 0;
    fprintf(stderr, "leat serve: --live-keys %s\n", error);
    return -1;
}

/* As whom it will be written. */
static int open_dvr(struct serve *serve)
{
    char error[512];
    if (!serve->site.live || live_dvr_open(&serve->dvr, serve->site.live->hub,
                                           serve->site.main.directory, error, sizeof error) == 0)
        return 0;
    fprintf(stderr, "leat serve: %s\n", error);
    return -1;
}

static int start(struct serve *serve)
{
    if (serve->has_admin)
        process_files_open(&serve->admin.files);
    if (open_sockets(serve) != 0 || open_live(serve) != 0 || give_up_privileges(serve) != 0 ||
        open_site(serve) != 0 || open_films(serve) != 0 || open_dvr(serve) != 0 ||
        open_log(serve) != 0)
        return -1;
    serve->settings.site = &serve->site;
    serve->settings.sockets = &serve->sockets;
    serve->settings.ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (serve->settings.ended_fd < 0) {
        fprintf(stderr, "leat serve: an eventfd: %s\n", leat_error_text(-errno));
        return -1;
    }
    if (start_workers(serve) != 0 || start_rtmp(serve) != 0 || start_admin(serve) != 0)
        return -1;
    return 0;
}

static void on_hup(void *user)
{
    const struct serve *serve = user;
    const int error = serve->log ? leat_access_log_reopen(serve->log) : 0;
    if (error)
        fprintf(stderr, "leat serve: --access-log %s: %s; the old file is still in use\n",
                serve->log_path, leat_error_text(error));
}

static void on_end(bool is_replaced, void *user)
{
    struct serve *serve = user;
    live_rtmp_stop(&serve->rtmp);
    if (serve->site.live)
        live_hub_leave(serve->site.live->hub);
    if (serve->has_admin && is_replaced)
        admin_release(&serve->admin);
    else if (serve->has_admin)
        admin_drain(&serve->admin);
}

static int run(struct serve *serve)
{
    const struct tuning_flags flags = {&serve->settings.tuning, TUNING_FLAGS_SERVER};
    if (tuning_flags_check(&flags, "leat serve", stderr) != 0)
        return EXIT_WRONG_USE;
    (void)process_raise_descriptor_limit();
    const int signal_fd = supervise_prepare();
    if (signal_fd < 0) {
        fprintf(stderr, "leat serve: a signalfd: %s\n", leat_error_text(signal_fd));
        return EXIT_WRONG_USE;
    }
    if (start(serve) != 0) {
        sockets_abandon(&serve->sockets);
        return EXIT_WRONG_USE;
    }
    leat_watchdog(WATCHDOG_MS, report_held_loop, NULL);
    report_start(serve);
    const struct supervision supervision = {
        .signal_fd = signal_fd,
        .workers = serve->workers,
        .settings = &serve->settings,
        .sockets = &serve->sockets,
        .program = &serve->program,
        .sandbox = serve->is_confined ? serve->sandbox : "",
        .grace_ms = serve->grace_ms,
        .replace_grace_ms = serve->replace_grace_ms,
        .on_hup = on_hup,
        .on_end = on_end,
        .user = serve,
    };
    const int status = supervise(&supervision);
    if (serve->has_admin)
        admin_stop(&serve->admin);
    if (status == EXIT_SUCCESS) { /* else a loop that has failed may have lines and films of it */
        leat_access_log_destroy(serve->log);
        site_films_destroy(serve->site.films);
        site_live_destroy(serve->site.live);
        live_dvr_close(&serve->dvr);
    }
    site_close(&serve->site);
    leat_watchdog(0, NULL, NULL);
    return status;
}

int cmd_serve(int argc, char **argv)
{
    static struct serve serve = {
        .settings = {.tuning = LEAT_TUNING_DEFAULT},
        .site = {.index = "index.html"},
        .limits = CLIENT_LIMITS_DEFAULT,
        .log_path = "off",
        .grace_ms = 10 * 1000,
        .replace_grace_ms = 60 * 60 * 1000,
    };
    hold_standard_streams();
    replace_inherit(&serve.inheritance);
    sockets_take_inherited(&serve.sockets);
    switch (parse(argc, argv, &serve)) {
    case OPTIONS_HELPED: return 0;
    case OPTIONS_WRONG: return EXIT_WRONG_USE;
    case OPTIONS_GO: break;
    }
    /* main() has handed on its own array, less the program's name. */
    const int error = program_init(&serve.program, argv - 1);
    if (error) {
        fprintf(stderr, "leat serve: its own path: %s\n", leat_error_text(error));
        return EXIT_WRONG_USE;
    }
    const int status = run(&serve);
    program_fini(&serve.program);
    return status;
}
