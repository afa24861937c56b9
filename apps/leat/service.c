/* SPDX-License-Identifier: MIT */
/*
 * See service.h. The main thread only waits for signals once the workers serve.
 */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "loop/process.h"
#include "notify.h"
#include "privileges.h"
#include "supervise.h"
#include "tuning_flags.h"

enum { WATCHDOG_MS = 1000 };

/* One line on standard error. */
__attribute__((format(printf, 2, 3))) static void say(const struct service *service,
                                                      const char *format, ...)
{
    char line[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof line, format, values);
    va_end(values);
    fprintf(stderr, "%s: %s\n", service->command, line);
}

const char *service_remedy(int error)
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

/* ---- Before there are threads ---------------------------------------------------------------- */

/* A socket that got the number of a closed standard stream would be written to. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            abort();
}

void service_init(struct service *service, const char *command)
{
    ASSERT(!service->command);
    service->command = command;
    service->settings.tuning = (struct leat_tuning)LEAT_TUNING_DEFAULT;
    service->limits = (struct client_limits)CLIENT_LIMITS_DEFAULT;
    service->backlog = 4096;
    service->engine = LEAT_ENGINE_AUTO;
    service->tuning_roles = TUNING_FLAGS_SERVER;
    service->log_path = "off";
    service->grace_ms = 10000;
    service->replace_grace_ms = 3600000;
    service->signal_fd = -1;
    service->settings.ended_fd = -1;
    hold_standard_streams();
    replace_inherit(&service->inheritance);
    sockets_take_inherited(&service->sockets);
}

int service_prepare(struct service *service, char **argv)
{
    const struct tuning_flags flags = {&service->settings.tuning, service->tuning_roles};
    /* main() has handed on its own array, less the program's name. */
    const int error = program_init(&service->program, argv - 1);
    if (error) {
        say(service, "its own path: %s", leat_error_text(error));
        return -1;
    }
    if (tuning_flags_check(&flags, service->command, stderr) != 0)
        return -1;
    (void)process_raise_descriptor_limit();
    service->signal_fd = supervise_prepare();
    if (service->signal_fd < 0) {
        say(service, "a signalfd: %s", leat_error_text(service->signal_fd));
        return -1;
    }
    if (service->has_admin)
        process_files_open(&service->admin.files);
    return 0;
}

/* Inherited sockets whose port nobody has named are told apart by their order alone, and are found
 * from the last to the first: so a successor asks the other way round. */
static int open_sockets_apart(struct service *service, const struct service_socket *more,
                              unsigned more_count, const struct leat_address **ret_wanted)
{
    const struct service_socket admin = {&service->admin.address, ADMIN_BACKLOG,
                                         &service->admin.socket};
    const bool is_successor = service->inheritance.is_successor;
    const unsigned first = service->has_admin ? 0 : 1, count = 1 + more_count;
    int error = 0;
    for (unsigned turn = first; turn < count && !error; turn++) {
        const unsigned index = is_successor ? count - 1 - (turn - first) : turn;
        const struct service_socket *socket = index ? &more[index - 1] : &admin;
        *ret_wanted = socket->address;
        error = sockets_open_apart(&service->sockets, socket->address, socket->backlog,
                                   is_successor, socket->ret_group);
    }
    return error;
}

int service_open_sockets(struct service *service, const struct service_socket *more,
                         unsigned more_count)
{
    const struct sockets_options options = {.tuning = &service->settings.tuning,
                                            .backlog = service->settings.backlog,
                                            .worker_count = service->settings.thread_count};
    const struct leat_address *wanted = NULL;
    unsigned index;
    if (service->address_count == 0 && service->sockets.count == 0)
        leat_address_parse("127.0.0.1:8080", &service->addresses[service->address_count++], NULL);
    int error = sockets_open(&service->sockets, service->addresses, service->address_count,
                             &options, &index);
    if (error)
        wanted = &service->addresses[index];
    else
        error = open_sockets_apart(service, more, more_count, &wanted);
    if (error) {
        char text[LEAT_ADDRESS_TEXT_SIZE];
        say(service, "%s: %s%s", leat_address_format(wanted, text), leat_error_text(error),
            service_remedy(error));
    }
    return error;
}

void service_abandon_sockets(struct service *service)
{
    sockets_abandon(&service->sockets);
}

int service_drop_privileges(struct service *service)
{
    char error[256];
    const bool is_successor = service->inheritance.is_successor;
    if (!service->user || (is_successor && geteuid() != 0) ||
        privileges_drop(service->user, error, sizeof error) == 0)
        return 0;
    say(service, "%s", error);
    return -1;
}

static bool has_log_file(const struct service *service)
{
    return strcmp(service->log_path, "off") != 0 && strcmp(service->log_path, "-") != 0;
}

int service_enter_sandbox(struct service *service, struct sandbox_options *options)
{
    if (service->inheritance.sandbox[0]) {
        snprintf(service->sandbox, sizeof service->sandbox, "%s", service->inheritance.sandbox);
        service->is_confined = true;
        return 0;
    }
    options->mode = (enum sandbox_mode)service->sandbox_mode;
    options->program = service->program.path;
    for (unsigned index = 0; index < service->sockets.count; index++) {
        const struct socket_group *group = &service->sockets.groups[index];
        if (group->is_asked_for && leat_address_family(&group->address) == AF_UNIX)
            options->removable[options->removable_count++] = group->address.local.sun_path;
    }
    if (has_log_file(service))
        options->writable[options->writable_count++] = service->log_path;
    const int result = sandbox_enter(options, service->sandbox);
    if (result < 0)
        say(service, "--sandbox on: this host has no %s", service->sandbox);
    service->is_confined = result > 0;
    return result < 0 ? -1 : 0;
}

/* In a thread of the pool. */
static void report_log_trouble(int error, uint64_t dropped, void *user)
{
    const struct service *service = user;
    if (error)
        say(service, "--access-log %s: %s; %llu lines were dropped so far", service->log_path,
            leat_error_text(error), (unsigned long long)dropped);
    else
        say(service, "--access-log %s: it is written; %llu lines were dropped", service->log_path,
            (unsigned long long)dropped);
}

int service_open_log(struct service *service)
{
    const struct leat_access_log_options options = {
        .path = has_log_file(service) ? service->log_path : NULL,
        .format = (enum leat_access_log_format)service->log_format,
        .on_trouble = report_log_trouble,
        .user = service,
    };
    if (strcmp(service->log_path, "off") == 0)
        return 0;
    const int error = leat_access_log_create(&options, &service->log);
    if (error) {
        say(service, "--access-log %s: %s", service->log_path, leat_error_text(error));
        return error;
    }
    service->settings.http.on_done = leat_access_log_write;
    service->settings.http.on_done_user = service->log;
    return 0;
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void abandon_workers(struct service *service, unsigned count)
{
    for (unsigned index = 0; index < count; index++) {
        worker_stop(&service->workers[index], 0, 0);
        worker_join(&service->workers[index]);
    }
}

void service_abandon_workers(struct service *service)
{
    abandon_workers(service, service->settings.thread_count);
}

int service_start_workers(struct service *service)
{
    struct worker_settings *settings = &service->settings;
    ASSERT(settings->http.handler && settings->thread_count <= SERVICE_THREADS_MAX);
    settings->sockets = &service->sockets;
    settings->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (settings->ended_fd < 0) {
        say(service, "an eventfd: %s", leat_error_text(-errno));
        return -1;
    }
    for (unsigned index = 0; index < settings->thread_count; index++) {
        struct worker *worker = &service->workers[index];
        int error = worker_start(worker, settings, index);
        if (error) {
            worker->error = error;
            snprintf(worker->what, sizeof worker->what, "a thread");
        } else if (worker->error) {
            worker_join(worker);
        }
        if (!worker->error)
            continue;
        say(service, "%s: %s%s", worker->what, leat_error_text(worker->error),
            service_remedy(worker->error));
        abandon_workers(service, index);
        return -1;
    }
    return 0;
}

int service_start_admin(struct service *service)
{
    struct admin *admin = &service->admin;
    char text[LEAT_ADDRESS_TEXT_SIZE];
    if (!service->has_admin)
        return 0;
    admin->workers = service->workers;
    admin->worker_count = service->settings.thread_count;
    admin->log = service->log;
    const int error = admin_start(admin);
    leat_address_format(&admin->socket->address, text);
    if (error)
        say(service, "--admin %s: %s", text, leat_error_text(error));
    else
        say(service, "admin on http://%s", text);
    return error;
}

/* ---- While it serves ------------------------------------------------------------------------- */

static void report_held_loop(const char *name, int64_t held_ms, void *user)
{
    say(user, "'%s' has held its loop for %lld ms", name, (long long)held_ms);
}

static void report_start(struct service *service, const char *what)
{
    const char *engine = service->workers[0].engine;
    const bool is_fallback =
        service->settings.engine == LEAT_ENGINE_AUTO && strcmp(engine, "epoll") == 0;
    say(service, "engine %s%s; sandbox: %s", engine,
        is_fallback ? " (this host refuses io_uring; leat doctor tells why)" : "",
        service->sandbox);
    for (unsigned index = 0; index < service->sockets.count; index++) {
        const struct leat_address *address = &service->sockets.groups[index].address;
        char text[LEAT_ADDRESS_TEXT_SIZE];
        if (service->sockets.groups[index].is_apart)
            continue;
        leat_address_format(address, text);
        const bool is_unix = leat_address_family(address) == AF_UNIX;
        printf("listening on %s%s\n", is_unix ? "" : "http://", text);
    }
    fflush(stdout);
    if (service->inheritance.is_successor)
        replace_report_ready(&service->inheritance); /* who tells the service manager of us */
    else
        notify_manager("READY=1\nSTATUS=%s, engine %s", what, engine);
}

static void on_hup(void *user)
{
    const struct service *service = user;
    const int error = service->log ? leat_access_log_reopen(service->log) : 0;
    if (error)
        say(service, "--access-log %s: %s; the old file is still in use", service->log_path,
            leat_error_text(error));
}

static void on_end(bool is_replaced, void *user)
{
    struct service *service = user;
    if (service->on_leave)
        service->on_leave(service->on_leave_user);
    if (service->has_admin && is_replaced)
        admin_release(&service->admin);
    else if (service->has_admin)
        admin_drain(&service->admin);
}

int service_run(struct service *service, const char *what)
{
    const struct supervision supervision = {
        .command = service->command,
        .signal_fd = service->signal_fd,
        .workers = service->workers,
        .settings = &service->settings,
        .sockets = &service->sockets,
        .program = &service->program,
        .sandbox = service->is_confined ? service->sandbox : "",
        .grace_ms = service->grace_ms,
        .replace_grace_ms = service->replace_grace_ms,
        .on_hup = on_hup,
        .on_end = on_end,
        .user = service,
    };
    leat_watchdog(WATCHDOG_MS, report_held_loop, service);
    report_start(service, what);
    const int status = supervise(&supervision);
    if (service->has_admin)
        admin_stop(&service->admin);
    if (status == EXIT_SUCCESS) /* else a loop that has failed may have lines of it */
        leat_access_log_destroy(service->log);
    leat_watchdog(0, NULL, NULL);
    return status;
}

void service_fini(struct service *service)
{
    program_fini(&service->program);
}
