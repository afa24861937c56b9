/* SPDX-License-Identifier: MIT */
/*
 * leat proxy: a reverse proxy (http/proxy.h) on a service (service.h).
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "commands.h"
#include "leat/clock.h"
#include "leat/dial.h"
#include "proxies.h"
#include "quantity.h"
#include "service.h"
#include "service_flags.h"

enum { BALANCE_FIELD_PREFIX = 6 /* "field:" */, NAME_SERVERS_MAX = 4 };

struct proxy_process {
    struct service service;
    struct proxies proxies;
    const char *urls[UPSTREAMS_MAX];
    struct leat_proxy_options options;
    const char *prefix; /* NULL: all */
    long connections, queue, retries, retry_percent, failures;
    long connect_ms, answer_ms, read_ms, tunnel_idle_ms, idle_ms, queue_ms, slow_start_ms,
        health_ms;
    uint64_t body_size_max;                             /* 0: any */
    struct leat_address name_servers[NAME_SERVERS_MAX]; /* in place of resolv.conf's */
    unsigned name_server_count;
};

/* ---- Flags ----------------------------------------------------------------------------------- */

/* RFC 9110, section 5.6.2: such as a field's name. */
static bool is_token(const char *text)
{
    return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789!#$%&'*+-.^_`|~")];
}

static int take_balance(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct leat_proxy_options *options = target;
    static const struct {
        const char *name;
        enum leat_proxy_balance balance;
    } ways[] = {
        {"least", LEAT_PROXY_LEAST_LOADED},
        {"path", LEAT_PROXY_BY_PATH},
        {"client", LEAT_PROXY_BY_CLIENT},
    };
    for (size_t index = 0; index < sizeof ways / sizeof *ways; index++) {
        if (strcmp(text, ways[index].name) != 0)
            continue;
        options->balance = ways[index].balance;
        return 0;
    }
    if (strncmp(text, "field:", BALANCE_FIELD_PREFIX) == 0 &&
        is_token(text + BALANCE_FIELD_PREFIX)) {
        options->balance = LEAT_PROXY_BY_FIELD;
        options->balance_field = text + BALANCE_FIELD_PREFIX;
        return 0;
    }
    snprintf(ret_error, ret_error_size,
             "--balance takes least, path, client, field:NAME such as field:X-User, not '%s'",
             text);
    return -1;
}

static int take_prefix(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    if (!proxies_is_prefix(text, strlen(text))) {
        snprintf(ret_error, ret_error_size,
                 "--prefix takes the beginning of a URL's path, such as /api, not '%s'", text);
        return -1;
    }
    *(const char **)target = text;
    return 0;
}

static int take_health_path(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    if (!proxies_is_path(text, strlen(text))) {
        snprintf(ret_error, ret_error_size, "--health-path takes a path such as /healthz, not '%s'",
                 text);
        return -1;
    }
    *(const char **)target = text;
    return 0;
}

/* For people who try things out, and networks whose resolv.conf is not theirs. */
static int take_name_server(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct proxy_process *proxy = target;
    if (proxy->name_server_count == NAME_SERVERS_MAX) {
        snprintf(ret_error, ret_error_size, "--name-server can be given %d times at most",
                 NAME_SERVERS_MAX);
        return -1;
    }
    return service_take_host("--name-server", text,
                             &proxy->name_servers[proxy->name_server_count++], ret_error,
                             ret_error_size);
}

static int take_via(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    if (!is_token(text)) {
        snprintf(ret_error, ret_error_size, "--via takes a name without blanks, not '%s'", text);
        return -1;
    }
    *(const char **)target = text;
    return 0;
}

static enum options_result parse(int argc, char **argv, struct proxy_process *proxy)
{
    struct service *service = &proxy->service;
    struct leat_proxy_options *flags = &proxy->options;
    struct option common[SERVICE_FLAGS_MAX];
    /* clang-format off */
    const struct option options[] = {
        {.name = "prefix", .value = "PATH", .kind = OPTION_CALL, .take = take_prefix,
         .target = &proxy->prefix,
         .help = "what is below it is proxied, without it; the rest is 404 (default: /)"},
        {.name = "balance", .value = "WAY", .kind = OPTION_CALL,
         .take = take_balance, .target = flags,
         .help = "least, path, client or field:NAME: who gets a request (default: least)"},
        {.name = "keep-host", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &flags->keeps_host,
         .help = "Host as the client said it, else the upstream's (default: off)"},
        {.name = "trust-forwarded", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &flags->trusts_forwarded,
         .help = "clients' Forwarded and X-Forwarded-* are added to, else dropped (default: off)"},
        {.name = "connect-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &proxy->connect_ms, .min = 1, .max = 86400000,
         .help = "for a connection to an upstream (default: 3000)"},
        {.name = "answer-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &proxy->answer_ms, .min = 1, .max = 86400000,
         .help = "for the head of its answer; then 504 (default: 60000)"},
        {.name = "read-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &proxy->read_ms, .min = 1, .max = 86400000,
         .help = "between two pieces of its answer's body (default: 60000)"},
        {.name = "tunnel-idle-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &proxy->tunnel_idle_ms, .min = 1, .max = 86400000,
         .help = "of what was upgraded, such as a WebSocket (default: 3600000)"},
        {.name = "upstream-idle-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &proxy->idle_ms, .min = 1, .max = 86400000,
         .help = "of a connection to an upstream that nobody uses (default: 30000)"},
        {.name = "max-upstream-connections", .value = "N", .kind = OPTION_COUNT,
         .target = &proxy->connections, .min = 1, .max = 16384,
         .help = "to an upstream, of all threads (default: 1024)"},
        {.name = "max-queue", .value = "N", .kind = OPTION_COUNT, .target = &proxy->queue, .min = 1,
         .max = 1000000,
         .help = "requests that wait for one of these; beyond it: 503 (default: 1024)"},
        {.name = "queue-timeout-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &proxy->queue_ms, .min = 1, .max = 86400000,
         .help = "and how long; then 503 (default: 5000)"},
        {.name = "max-retries", .value = "N", .kind = OPTION_COUNT, .target = &proxy->retries,
         .min = 0, .max = 16,
         .help = "of a request that may be repeated, over other upstreams (default: 2)"},
        {.name = "retry-percent", .value = "N", .kind = OPTION_COUNT,
         .target = &proxy->retry_percent, .min = 1, .max = 100,
         .help = "of all requests, for all retries (default: 20)"},
        {.name = "max-failures", .value = "N", .kind = OPTION_COUNT, .target = &proxy->failures,
         .min = 1, .max = 1000000,
         .help = "in a row, that have an upstream left alone for a while (default: 5)"},
        {.name = "slow-start-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &proxy->slow_start_ms, .min = 0, .max = 86400000,
         .help = "until an upstream that has come back has its whole share (default: 0)"},
        {.name = "health-path", .value = "PATH", .kind = OPTION_CALL, .take = take_health_path,
         .target = &flags->health_path,
         .help = "upstreams are asked for it every now and then (default: they are not)"},
        {.name = "health-interval-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &proxy->health_ms, .min = 10, .max = 86400000,
         .help = "how often (default: 5000)"},
        {.name = "max-body-size", .value = "SIZE", .kind = OPTION_CALL,
         .take = quantity_take_size, .target = &flags->body_size_max,
         .help = "of a request; beyond it: 413; 0: any (default: 0)"},
        {.name = "pace", .value = "SIZE", .kind = OPTION_CALL, .take = quantity_take_size,
         .target = &flags->pace_bytes_per_s,
         .help = "bytes a second of an answer to a client; 0: as fast as may be (default: 0)"},
        {.name = "name-server", .value = "ADDR:PORT", .kind = OPTION_CALL,
         .take = take_name_server, .target = proxy,
         .help = "who is asked for names of upstreams; may repeat (default: those of resolv.conf)"},
        {.name = "via", .value = "NAME", .kind = OPTION_CALL, .take = take_via,
         .target = &flags->via,
         .help = "our name in the field Via (default: leat)"},
        {0},
    };
    /* clang-format on */
    const struct tuning_flags tuning = {&service->settings.tuning, service->tuning_roles};
    const struct option_set set = {
        .command = "leat proxy",
        .arguments = "URL...",
        .summary = "Passes requests on to the upstreams at URL, such as http://127.0.0.1:9000 or\n"
                   "http://unix:/run/app.sock, and their answers back.",
        .options = options,
        .common = common,
        .tuning = &tuning,
        .positional = proxy->urls,
        .positional_max = UPSTREAMS_MAX,
    };
    service_flags(service, common);
    const enum options_result result = options_parse(&set, argc, argv);
    service_flags_apply(service);
    return result;
}

static int apply_flags(struct proxy_process *proxy)
{
    struct leat_proxy_options *options = &proxy->options;
    const char *prefix = proxy->prefix ? proxy->prefix : "/";
    char error[PROXIES_ERROR_SIZE];
    options->connect_timeout_ms = proxy->connect_ms;
    options->answer_timeout_ms = proxy->answer_ms;
    options->read_timeout_ms = proxy->read_ms;
    options->tunnel_idle_timeout_ms = proxy->tunnel_idle_ms;
    options->idle_timeout_ms = proxy->idle_ms;
    options->queue_timeout_ms = proxy->queue_ms;
    options->slow_start_ms = proxy->slow_start_ms;
    options->health_interval_ms = proxy->health_ms;
    options->connections_max = (unsigned)proxy->connections;
    options->queue_max = (unsigned)proxy->queue;
    options->retries_max = proxy->retries ? (unsigned)proxy->retries : UINT_MAX;
    options->retry_percent = (unsigned)proxy->retry_percent;
    options->failures_max = (unsigned)proxy->failures;
    options->tuning = &proxy->service.settings.tuning;
    if (leat_dial_use_servers(proxy->name_servers, proxy->name_server_count) != 0) {
        fprintf(stderr, "leat proxy: --name-server takes no such address\n");
        return -1;
    }
    if (!proxy->urls[0]) {
        fprintf(stderr, "leat proxy: which upstream? Such as leat proxy http://127.0.0.1:9000\n");
        return -1;
    }
    for (unsigned index = 0; index < UPSTREAMS_MAX && proxy->urls[index]; index++)
        if (proxies_add(&proxy->proxies, (struct leat_slice){prefix, strlen(prefix)},
                        proxy->urls[index], error, sizeof error) != 0) {
            fprintf(stderr, "leat proxy: %s\n", error);
            return -1;
        }
    if (proxies_open(&proxy->proxies, options, error, sizeof error) == 0)
        return 0;
    fprintf(stderr, "leat proxy: %s\n", error);
    return -1;
}

/* ---- From the start to the end --------------------------------------------------------------- */

static void handle(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    if (!proxies_handle(user, request, response))
        (void)leat_http_reply_error(response, 404);
}

static void on_worker_begin(struct worker *worker, void *user)
{
    const struct proxy_process *proxy = user;
    if (worker->index == 0) /* one does it for all */
        proxies_watch(&proxy->proxies);
}

static int start(struct proxy_process *proxy)
{
    struct service *service = &proxy->service;
    struct worker_settings *settings = &service->settings;
    struct sandbox_options sandbox = {0};
    settings->http.handler = handle;
    settings->http.user = &proxy->proxies;
    settings->on_begin = on_worker_begin;
    settings->user = proxy;
    service->admin.proxies = &proxy->proxies;
    proxies_allow(&proxy->proxies, &sandbox);
    for (unsigned index = 0; index < proxy->name_server_count; index++)
        sandbox.ports[sandbox.port_count++] = leat_address_port(&proxy->name_servers[index]);
    if (service_open_sockets(service, NULL, 0) != 0 || service_drop_privileges(service) != 0 ||
        service_enter_sandbox(service, &sandbox) != 0 || service_open_log(service) != 0 ||
        service_start_workers(service) != 0)
        return -1;
    if (service_start_admin(service) == 0)
        return 0;
    service_abandon_workers(service);
    return -1;
}

static int run(struct proxy_process *proxy)
{
    char what[PROXIES_URL_SIZE + 32];
    if (start(proxy) != 0) {
        service_abandon_sockets(&proxy->service);
        return EXIT_WRONG_USE;
    }
    snprintf(what, sizeof what, "Proxying %s%s", proxy->urls[0], proxy->urls[1] ? ", …" : "");
    const int status = service_run(&proxy->service, what);
    if (status == EXIT_SUCCESS) /* else a loop that has failed may have requests of it */
        proxies_close(&proxy->proxies);
    return status;
}

int cmd_proxy(int argc, char **argv)
{
    static struct proxy_process proxy = {
        .connections = 1024,
        .queue = 1024,
        .retries = 2,
        .retry_percent = 20,
        .failures = 5,
        .connect_ms = 3000,
        .answer_ms = 60000,
        .read_ms = 60000,
        .tunnel_idle_ms = 3600000,
        .idle_ms = 30000,
        .queue_ms = 5000,
        .health_ms = 5000,
    };
    service_init(&proxy.service, "leat proxy");
    proxy.service.tuning_roles |= TUNING_CONNECTING;
    switch (parse(argc, argv, &proxy)) {
    case OPTIONS_HELPED: return 0;
    case OPTIONS_WRONG: return EXIT_WRONG_USE;
    case OPTIONS_GO: break;
    }
    if (apply_flags(&proxy) != 0 || service_prepare(&proxy.service, argv) != 0)
        return EXIT_WRONG_USE;
    const int status = run(&proxy);
    service_fini(&proxy.service);
    return status;
}
