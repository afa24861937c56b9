/* SPDX-License-Identifier: MIT */
/*
 * leat serve: options, workers, signals. The main thread only waits for signals.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands.h"
#include "options.h"
#include "site.h"
#include "site_flags.h"
#include "worker.h"

enum { THREADS_MAX = 256, WATCHDOG_MS = 1000, SYSTEMD_FIRST_FD = 3 };

static int take_address(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct worker_settings *settings = target;
    const char *reason;
    if (settings->address_count == WORKER_ADDRESSES_MAX) {
        snprintf(ret_error, ret_error_size, "--listen can be given %d times at most",
                 WORKER_ADDRESSES_MAX);
        return -1;
    }
    if (leat_address_parse(text, &settings->addresses[settings->address_count], &reason)) {
        snprintf(ret_error, ret_error_size, "--listen '%s': %s", text, reason);
        return -1;
    }
    settings->address_count++;
    return 0;
}

/* sd_listen_fds(3): sockets that systemd has opened for us. */
static void take_systemd_sockets(struct worker_settings *settings)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (!pid || !count || atol(pid) != getpid())
        return;
    for (int index = 0; index < atoi(count) && settings->address_count < WORKER_ADDRESSES_MAX;
         index++) {
        struct leat_address *address = &settings->addresses[settings->address_count];
        struct sockaddr_storage storage;
        socklen_t size = sizeof storage;
        const int fd = SYSTEMD_FIRST_FD + index;
        if (getsockname(fd, (struct sockaddr *)&storage, &size) != 0 ||
            leat_address_from_sockaddr((struct sockaddr *)&storage, size, address) != 0)
            continue;
        settings->inherited_fds[settings->address_count++] = fd;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
}

/* Of the cores we may run on, which a container or taskset may have made fewer. */
static long core_count(void)
{
    cpu_set_t cores;
    const int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    return count < THREADS_MAX ? count : THREADS_MAX;
}

static enum options_result parse(int argc, char **argv, struct worker_settings *settings,
                                 struct site *site)
{
    static const char *const pages[] = {"library", "plain", "off", NULL};
    static const char *const engines[] = {"auto", "uring", "epoll", NULL};
    long threads = core_count(), connections = 16384, backlog = 4096;
    long idle_ms = 75000, head_ms = 10000, send_ms = 60000;
    int engine = LEAT_ENGINE_AUTO;
    /* clang-format off */
    const struct option options[] = {
        {.name = "listen", .value = "ADDR:PORT", .kind = OPTION_CALL, .take = take_address,
         .target = settings,
         .help = "also [::]:8080, unix:/path; may repeat (default: 127.0.0.1:8080)"},
        {.name = "root", .value = "NAME=DIR", .kind = OPTION_CALL, .take = site_take_root,
         .target = site, .help = "/NAME/ shows DIR; may repeat"},
        {.name = "index", .value = "FILE|off", .kind = OPTION_CALL, .take = site_take_index,
         .target = site, .help = "stands for a folder that has it (default: index.html)"},
        {.name = "listing", .value = "library|plain|off", .kind = OPTION_CHOICE,
         .target = &site->pages, .choices = pages,
         .help = "the page of other folders; off: 403 (default: library)"},
        {.name = "dotfiles", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &site->shows_dotfiles,
         .help = "names that begin with a dot are there (default: off)"},
        {.name = "follow-symlinks", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &site->follow_symlinks, .help = "out of the folders, too (default: off)"},
        {.name = "cors", .value = "ORIGIN|*", .kind = OPTION_CALL, .take = site_take_origin,
         .target = site, .help = "whose scripts may read answers; may repeat"},
        {.name = "timing-allow-origin", .value = "ORIGIN|*", .kind = OPTION_CALL,
         .take = site_take_timing_origin, .target = site,
         .help = "whose scripts may read how long answers took"},
        {.name = "threads", .value = "N", .kind = OPTION_COUNT, .target = &threads, .min = 1,
         .max = THREADS_MAX, .help = "workers, a loop each (default: the number of cores)"},
        {.name = "engine", .value = "auto|uring|epoll", .kind = OPTION_CHOICE, .target = &engine,
         .choices = engines, .help = "auto takes io_uring where it works (default: auto)"},
        {.name = "max-connections", .value = "N", .kind = OPTION_COUNT, .target = &connections,
         .min = 1, .max = 10000000, .help = "of a thread; beyond it: 503 (default: 16384)"},
        {.name = "idle-timeout-ms", .value = "MS", .kind = OPTION_COUNT, .target = &idle_ms,
         .min = 1, .max = 86400000, .help = "between two requests (default: 75000)"},
        {.name = "head-timeout-ms", .value = "MS", .kind = OPTION_COUNT, .target = &head_ms,
         .min = 1, .max = 86400000, .help = "for a request's head to arrive (default: 10000)"},
        {.name = "send-timeout-ms", .value = "MS", .kind = OPTION_COUNT, .target = &send_ms,
         .min = 1, .max = 86400000,
         .help = "without the client reading anything (default: 60000)"},
        {.name = "backlog", .value = "N", .kind = OPTION_COUNT, .target = &backlog, .min = 1,
         .max = 1000000, .help = "connections waiting to be accepted (default: 4096)"},
        {.name = "steer-by-cpu", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &settings->steer_by_cpu,
         .help = "a connection goes to the thread of its core (default: off)"},
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
        .positional = &site->main.directory,
        .positional_max = 1,
    };
    const enum options_result result = options_parse(&set, argc, argv);
    if (!site->main.directory && site->root_count == 0)
        site->main.directory = ".";
    settings->thread_count = (unsigned)threads;
    settings->engine = (enum leat_engine)engine;
    settings->backlog = (int)backlog;
    settings->http = (struct leat_http_options){.head_timeout_ms = head_ms,
                                                .idle_timeout_ms = idle_ms,
                                                .send_timeout_ms = send_ms,
                                                .connections_max = (unsigned)connections};
    return result;
}

static void report_held_loop(const char *name, int64_t held_ms, void *user)
{
    fprintf(stderr, "leat serve: '%s' has held its loop for %lld ms\n", name, (long long)held_ms);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static const char *remedy(const struct worker *worker)
{
    switch (-worker->error) {
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

/* Starts all, or stops and joins what was started. Returns how many run. */
static unsigned start_workers(struct worker *workers, struct worker_settings *settings)
{
    for (unsigned index = 0; index < settings->thread_count; index++) {
        struct worker *worker = &workers[index];
        int error = worker_start(worker, settings, index);
        if (error) {
            worker->error = error;
            snprintf(worker->what, sizeof worker->what, "a thread");
        } else if (worker->error) {
            worker_join(worker);
        }
        if (!worker->error)
            continue;
        fprintf(stderr, "leat serve: %s: %s%s\n", worker->what, leat_error_text(worker->error),
                remedy(worker));
        for (unsigned other = 0; other < index; other++) {
            worker_stop(&workers[other]);
            worker_join(&workers[other]);
        }
        return 0;
    }
    return settings->thread_count;
}

static void report_start(const struct worker *workers, const struct worker_settings *settings)
{
    const bool is_fallback =
        settings->engine == LEAT_ENGINE_AUTO && strcmp(workers[0].engine, "epoll") == 0;
    fprintf(stderr, "leat serve: engine %s%s\n", workers[0].engine,
            is_fallback ? " (this host refuses io_uring; leat doctor tells why)" : "");
    for (unsigned index = 0; index < settings->address_count; index++) {
        const struct leat_address *address = &settings->addresses[index];
        char text[LEAT_ADDRESS_TEXT_SIZE];
        leat_address_format(address, text);
        const bool is_unix = leat_address_family(address) == AF_UNIX;
        printf("listening on %s%s\n", is_unix ? "" : "http://", text);
    }
    fflush(stdout);
}

/* The unix sockets that we made; those of systemd stay. */
static void remove_sockets(const struct worker_settings *settings, unsigned inherited_count)
{
    for (unsigned index = inherited_count; index < settings->address_count; index++) {
        const struct leat_address *address = &settings->addresses[index];
        const bool is_ours = settings->inherited_fds[index] > 0;
        if (is_ours && leat_address_family(address) == AF_UNIX && address->local.sun_path[0])
            unlink(address->local.sun_path);
    }
}

int cmd_serve(int argc, char **argv)
{
    static struct worker workers[THREADS_MAX];
    static struct site site = {.index = "index.html"};
    struct worker_settings settings = {.site = &site, .tuning = LEAT_TUNING_DEFAULT};
    take_systemd_sockets(&settings);
    const unsigned inherited_count = settings.address_count;
    switch (parse(argc, argv, &settings, &site)) {
    case OPTIONS_HELPED: return 0;
    case OPTIONS_WRONG: return EXIT_WRONG_USE;
    case OPTIONS_GO: break;
    }
    if (settings.address_count == 0) {
        const char *reason;
        leat_address_parse("127.0.0.1:8080", &settings.addresses[settings.address_count++],
                           &reason);
    }
    const struct tuning_flags flags = {&settings.tuning, TUNING_FLAGS_SERVER};
    if (tuning_flags_check(&flags, "leat serve", stderr) != 0)
        return EXIT_WRONG_USE;
    raise_descriptor_limit();

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    const char *directory;
    const int error = site_open(&site, &directory);
    if (error) {
        fprintf(stderr, "leat serve: %s: %s; name a folder that exists\n", directory,
                leat_error_text(error));
        return EXIT_WRONG_USE;
    }
    if (start_workers(workers, &settings) == 0) {
        remove_sockets(&settings, inherited_count);
        return EXIT_WRONG_USE;
    }
    leat_watchdog(WATCHDOG_MS, report_held_loop, NULL);
    report_start(workers, &settings);

    int signal_number;
    while (sigwait(&signals, &signal_number) != 0)
        ;
    for (unsigned index = 0; index < settings.thread_count; index++)
        worker_stop(&workers[index]);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* a second signal ends it at once */
    int status = 0;
    for (unsigned index = 0; index < settings.thread_count; index++) {
        worker_join(&workers[index]);
        if (workers[index].error) {
            fprintf(stderr, "leat serve: %s: %s\n", workers[index].what,
                    leat_error_text(workers[index].error));
            status = 1;
        }
    }
    site_close(&site);
    leat_watchdog(0, NULL, NULL);
    remove_sockets(&settings, inherited_count);
    return status;
}
