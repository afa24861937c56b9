/* SPDX-License-Identifier: MIT */
/*
 * See service_flags.h.
 */
#include "service_flags.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "loop/process.h"

static int take_address(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct service *service = target;
    const char *reason;
    if (service->address_count == SOCKETS_ADDRESSES_MAX) {
        snprintf(ret_error, ret_error_size, "--listen can be given %d times at most",
                 SOCKETS_ADDRESSES_MAX);
        return -1;
    }
    if (leat_address_parse(text, &service->addresses[service->address_count], &reason)) {
        snprintf(ret_error, ret_error_size, "--listen '%s': %s", text, reason);
        return -1;
    }
    service->address_count++;
    return 0;
}

int service_take_host(const char *flag, const char *text, struct leat_address *ret_address,
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
    struct service *service = target;
    service->has_admin = true;
    return service_take_host("--admin", text, &service->admin.address, ret_error, ret_error_size);
}

static long core_count(void)
{
    const unsigned count = process_core_count();
    return count < SERVICE_THREADS_MAX ? (long)count : SERVICE_THREADS_MAX;
}

void service_flags(struct service *service, struct option ret_options[SERVICE_FLAGS_MAX])
{
    static const char *const engines[] = {"auto", "uring", "epoll", NULL};
    static const char *const log_formats[] = {"combined", "json", NULL};
    static const char *const sandboxes[] = {"auto", "on", "off", NULL};
    struct client_limits *limits = &service->limits;
    /* clang-format off */
    const struct option options[] = {
        {.name = "listen", .value = "ADDR:PORT", .kind = OPTION_CALL, .take = take_address,
         .target = service,
         .help = "also [::]:8080, unix:/path; may repeat (default: 127.0.0.1:8080)"},
        {.name = "threads", .value = "N", .kind = OPTION_COUNT, .target = &service->thread_count,
         .min = 1, .max = SERVICE_THREADS_MAX,
         .help = "workers, a loop each (default: the number of cores)"},
        {.name = "engine", .value = "auto|uring|epoll", .kind = OPTION_CHOICE,
         .target = &service->engine, .choices = engines,
         .help = "auto takes io_uring where it works (default: auto)"},
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
        {.name = "backlog", .value = "N", .kind = OPTION_COUNT, .target = &service->backlog,
         .min = 1, .max = 1000000, .help = "connections waiting to be accepted (default: 4096)"},
        {.name = "steer-by-cpu", .value = "on|off", .kind = OPTION_SWITCH,
         .target = &service->settings.steer_by_cpu,
         .help = "a connection goes to the thread of its core (default: off)"},
        {.name = "access-log", .value = "FILE|-|off", .kind = OPTION_TEXT,
         .target = &service->log_path,
         .help = "a line a request; -: standard output (default: off)"},
        {.name = "log-format", .value = "combined|json", .kind = OPTION_CHOICE,
         .target = &service->log_format, .choices = log_formats,
         .help = "of the access log (default: combined)"},
        {.name = "admin", .value = "ADDR:PORT", .kind = OPTION_CALL, .take = take_admin,
         .target = service,
         .help = "dashboard, /metrics, /healthz, /debug/fibers; keep it private"},
        {.name = "grace-ms", .value = "MS", .kind = OPTION_COUNT, .target = &service->grace_ms,
         .min = 0, .max = 86400000, .help = "for what is in work at SIGTERM (default: 10000)"},
        {.name = "replace-grace-ms", .value = "MS", .kind = OPTION_COUNT,
         .target = &service->replace_grace_ms, .min = 0, .max = 86400000,
         .help = "likewise at SIGUSR2, when replaced (default: 3600000)"},
        {.name = "user", .value = "NAME[:GROUP]", .kind = OPTION_TEXT, .target = &service->user,
         .help = "who to be once the addresses are open"},
        {.name = "sandbox", .value = "auto|on|off", .kind = OPTION_CHOICE,
         .target = &service->sandbox_mode, .choices = sandboxes,
         .help = "give up what serving does not need (default: auto)"},
        {0},
    };
    /* clang-format on */
    static_assert(sizeof options / sizeof *options <= SERVICE_FLAGS_MAX, "they fit");
    ASSERT(service->thread_count == 0);
    service->thread_count = core_count();
    memcpy(ret_options, options, sizeof options);
}

void service_flags_apply(struct service *service)
{
    struct worker_settings *settings = &service->settings;
    ASSERT(service->thread_count > 0 && service->thread_count <= SERVICE_THREADS_MAX);
    settings->thread_count = (unsigned)service->thread_count;
    settings->engine = (enum leat_engine)service->engine;
    settings->backlog = (int)service->backlog;
    client_limits_apply(&service->limits, &settings->http);
}
