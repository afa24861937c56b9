/* SPDX-License-Identifier: MIT */
/*
 * leat serve: a site of films, files and live channels (site.h) on a service (service.h).
 */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "compress_flags.h"
#include "leat/coded_files.h"
#include "live_dvr.h"
#include "live_rtmp.h"
#include "loop/process.h"
#include "service.h"
#include "service_flags.h"
#include "site.h"
#include "site_film.h"
#include "site_flags.h"
#include "site_live.h"

/* The process, from its flags to its end. */
struct serve {
    struct service service;
    struct site site;
    struct pace_policy pace;
    struct leat_http_coded_files_options coded_options;
    struct leat_http_coded_files *coded_files; /* NULL: nothing is coded */
    bool has_live;
    const char *live_keys; /* NULL: none are asked for */
    struct live_dvr dvr;
    bool has_rtmp;
    struct live_rtmp rtmp;
};

static int take_rtmp(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct serve *serve = target;
    serve->has_rtmp = true;
    return service_take_host("--rtmp", text, &serve->rtmp.address, ret_error, ret_error_size);
}

static enum options_result parse(int argc, char **argv, struct serve *serve)
{
    static const char *const pages[] = {"library", "plain", "off", NULL};
    struct service *service = &serve->service;
    struct option common[SERVICE_FLAGS_MAX];
    /* clang-format off */
    const struct option options[] = {
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
        {.name = "proxy", .value = "PREFIX=URL", .kind = OPTION_CALL, .take = proxies_take,
         .target = &serve->site.proxies,
         .help = "what is below PREFIX is asked of that server; may repeat"},
        {.name = "pace", .value = "auto|off|RATE|FACTORx", .kind = OPTION_CALL, .take = pace_take,
         .target = &serve->pace,
         .help = "how fast films go: bytes a second, or x their own rate (default: auto)"},
        {.name = "compress", .value = "auto|off|CODEC[-LEVEL]", .kind = OPTION_CALL,
         .take = compress_take_policy, .target = &service->settings.http.compress,
         .help = "what arrives sooner so, or always that: gzip-6, zstd-3, br-5 (default: auto)"},
        {.name = "compress-types", .value = "TYPE,...", .kind = OPTION_CALL,
         .take = compress_take_types, .target = &service->settings.http.compress_types,
         .help = "media types that may be worth it besides text and its like; *: all"},
        {.name = "compress-cache", .value = "SIZE", .kind = OPTION_CALL,
         .take = compress_take_cache, .target = &serve->coded_options.memory_size,
         .help = "memory of compressed copies of files, in all (default: 64m)"},
        {.name = "compress-beside", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &serve->coded_options.beside,
         .help = "keep them also as files: FILE.br, FILE.zst, FILE.gz (default: off)"},
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
        {0},
    };
    /* clang-format on */
    const struct tuning_flags tuning = {&service->settings.tuning, service->tuning_roles};
    const struct option_set set = {
        .command = "leat serve",
        .arguments = "[DIR]",
        .summary = "Serves the files below DIR (default: the current folder) over HTTP.",
        .options = options,
        .common = common,
        .tuning = &tuning,
        .positional = &serve->site.main.directory,
        .positional_max = 1,
    };
    service_flags(service, common);
    service->settings.http.compress.mode = LEAT_COMPRESS_AUTO;
    const enum options_result result = options_parse(&set, argc, argv);
    if (!serve->site.main.directory && serve->site.root_count == 0)
        serve->site.main.directory = ".";
    service_flags_apply(service);
    return result;
}

/* ---- Starting -------------------------------------------------------------------------------- */

static int open_sockets(struct serve *serve)
{
    const struct service_socket rtmp = {&serve->rtmp.address, LIVE_RTMP_BACKLOG,
                                        &serve->rtmp.socket};
    return service_open_sockets(&serve->service, &rtmp, serve->has_rtmp ? 1 : 0);
}

static int enter_sandbox(struct serve *serve)
{
    const struct site *site = &serve->site;
    struct sandbox_options options = {.reads_everywhere = site->follow_symlinks,
                                      .settings = serve->live_keys};
    if (site->main.directory)
        options.readable[options.readable_count++] = site->main.directory;
    for (unsigned index = 0; index < site->root_count; index++)
        options.readable[options.readable_count++] = site->roots[index].directory;
    for (size_t index = 0; serve->coded_options.beside && index < options.readable_count; index++)
        options.kept[options.kept_count++] = options.readable[index];
    if (serve->dvr.directory)
        options.kept[options.kept_count++] = serve->dvr.directory;
    if (serve->dvr.keep)
        options.kept[options.kept_count++] = site->main.directory;
    proxies_allow(&site->proxies, &options);
    return service_enter_sandbox(&serve->service, &options);
}

/* The process becomes as little as will do. */
static int give_up_privileges(struct serve *serve)
{
    if (service_drop_privileges(&serve->service) != 0)
        return -1;
    live_dvr_make_folder(&serve->dvr);
    return enter_sandbox(serve);
}

/* As whom they will be read. */
static int open_site(struct serve *serve)
{
    const char *directory;
    const int error = site_open(&serve->site, &directory);
    if (error)
        fprintf(stderr, "leat serve: %s: %s%s\n", directory, leat_error_text(error),
                service_remedy(error));
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

static int open_coded_files(struct serve *serve)
{
    if (serve->service.settings.http.compress.mode == LEAT_COMPRESS_OFF)
        return 0;
    const int error = leat_http_coded_files_create(&serve->coded_options, &serve->coded_files);
    if (error)
        fprintf(stderr, "leat serve: the cache of compressed files: %s\n", leat_error_text(error));
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

static int open_proxies(struct serve *serve)
{
    char error[PROXIES_ERROR_SIZE];
    const struct leat_proxy_options options = {.tuning = &serve->service.settings.tuning};
    if (proxies_open(&serve->site.proxies, &options, error, sizeof error) == 0)
        return 0;
    fprintf(stderr, "leat serve: --proxy %s\n", error);
    return -1;
}

static int start_rtmp(struct serve *serve)
{
    char text[LEAT_ADDRESS_TEXT_SIZE];
    if (!serve->has_rtmp)
        return 0;
    serve->rtmp.live = serve->site.live;
    serve->rtmp.worker = &serve->service.workers[0];
    const int error = live_rtmp_start(&serve->rtmp);
    leat_address_format(&serve->rtmp.socket->address, text);
    if (error) {
        fprintf(stderr, "leat serve: --rtmp %s: %s\n", text, leat_error_text(error));
        return error;
    }
    fprintf(stderr, "leat serve: publishers on rtmp://%s/live\n", text);
    return 0;
}

/* ---- While it serves ------------------------------------------------------------------------- */

static void on_worker_begin(struct worker *worker, void *user)
{
    const struct serve *serve = user;
    if (worker->index > 0) /* one does it for all */
        return;
    if (serve->site.live)
        site_live_start_ticking(serve->site.live, worker->loop);
    proxies_watch(&serve->site.proxies);
}

static void on_worker_end(struct worker *worker, void *user)
{
    const struct serve *serve = user;
    if (serve->site.live)
        site_live_leave(serve->site.live);
}

static void on_leave(void *user)
{
    struct serve *serve = user;
    live_rtmp_stop(&serve->rtmp);
    if (serve->site.live)
        live_hub_leave(serve->site.live->hub);
}

static int start_threads(struct serve *serve)
{
    struct service *service = &serve->service;
    struct worker_settings *settings = &service->settings;
    settings->http.handler = site_handle;
    settings->http.user = &serve->site;
    settings->http.coded_files = serve->coded_files;
    settings->on_begin = on_worker_begin;
    settings->on_end = on_worker_end;
    settings->user = serve;
    service->on_leave = on_leave;
    service->on_leave_user = serve;
    service->admin.films = serve->site.films;
    service->admin.coded_files = serve->coded_files;
    service->admin.proxies = &serve->site.proxies;
    service->admin.live = serve->site.live ? serve->site.live->hub : NULL;
    if (service_start_workers(service) != 0)
        return -1;
    if (start_rtmp(serve) == 0 && service_start_admin(service) == 0)
        return 0;
    live_rtmp_stop(&serve->rtmp);
    service_abandon_workers(service);
    return -1;
}

static int start(struct serve *serve)
{
    if (open_proxies(serve) != 0 || open_sockets(serve) != 0 || open_live(serve) != 0 ||
        give_up_privileges(serve) != 0 || open_site(serve) != 0 || open_films(serve) != 0 ||
        open_coded_files(serve) != 0 || open_dvr(serve) != 0 ||
        service_open_log(&serve->service) != 0)
        return -1;
    return start_threads(serve);
}

static int run(struct serve *serve)
{
    const char *directory = serve->site.main.directory;
    char what[256];
    if (start(serve) != 0) {
        service_abandon_sockets(&serve->service);
        return EXIT_WRONG_USE;
    }
    snprintf(what, sizeof what, "Serving %s",
             directory ? directory : serve->site.roots[0].directory);
    const int status = service_run(&serve->service, what);
    if (status == EXIT_SUCCESS) { /* else a loop that has failed may have films of it */
        site_films_destroy(serve->site.films);
        leat_http_coded_files_destroy(serve->coded_files);
        site_live_destroy(serve->site.live);
        live_dvr_close(&serve->dvr);
        proxies_close(&serve->site.proxies);
    }
    site_close(&serve->site);
    return status;
}

int cmd_serve(int argc, char **argv)
{
    static struct serve serve = {.site = {.index = "index.html"}};
    service_init(&serve.service, "leat serve");
    switch (parse(argc, argv, &serve)) {
    case OPTIONS_HELPED: return 0;
    case OPTIONS_WRONG: return EXIT_WRONG_USE;
    case OPTIONS_GO: break;
    }
    if (service_prepare(&serve.service, argv) != 0)
        return EXIT_WRONG_USE;
    const int status = run(&serve);
    service_fini(&serve.service);
    return status;
}
