/* SPDX-License-Identifier: MIT */
/*
 * See admin.h. A probe is what is asked of a worker; it travels to the worker's loop and back, and
 * belongs to the loop it is on. Its inquiry is on the stack of the fiber that waits, who takes it
 * out of them when he waits no more: those that come home later are freed there.
 */
#include "admin.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "loop/offload.h"
#include "metrics.h"
#include "site_assets.h"
#include "text.h"

enum {
    HELD_MS = 1000,
    CONNECTIONS_MAX = 64,
    SUBSCRIBERS_MAX = 32,
    SNAPSHOT_SIZE_MAX = 1024 * 1024,
    FIBERS_MAX = 256, /* of a worker that are listed: each takes it some microseconds */
    CLOSE_GRACE_MS = 1000,
    SNAPSHOT_MS = 1000,
    SOON_MS = 50,
};

/* What is asked for beside what is always told. */
struct wishes {
    bool fibers, viewers;
};

struct inquiry {
    struct fiber *fiber;
    unsigned pending;
};

struct probe {
    struct task task;
    struct admin *admin;
    struct worker *worker;
    struct inquiry *inquiry; /* NULL: nobody waits any more */
    bool is_asked, is_answered;
    struct wishes wishes;
    struct worker_view view;
    struct text fibers;
    struct viewers_list viewers; /* with room for them, where they are wanted */
};

/* ---- Asking the workers ---------------------------------------------------------------------- */

static void free_probe(struct probe *probe)
{
    text_fini(&probe->fibers);
    viewers_list_fini(&probe->viewers);
    free(probe);
}

/* On the admin's loop. */
static void come_home(struct task *task)
{
    struct probe *probe = CONTAINER_OF(task, struct probe, task);
    struct inquiry *inquiry = probe->inquiry;
    if (!inquiry) {
        free_probe(probe);
        return;
    }
    probe->is_answered = true;
    ASSERT(inquiry->pending > 0);
    if (--inquiry->pending == 0)
        fiber_wake(inquiry->fiber);
}

struct listing {
    struct text *text;
    int64_t now_ns;
    unsigned count;
};

static bool list_fiber(const struct fiber_info *info, void *user)
{
    struct listing *listing = user;
    if (listing->count == FIBERS_MAX) {
        text_add_literal(listing->text, "  and more\n");
        return false;
    }
    listing->count++;
    text_add_format(listing->text, "  %-24s %-8s %8.3f s  stack %zu of %zu", info->name,
                    info->state, (double)(listing->now_ns - info->since_ns) / 1e9, info->stack_used,
                    info->stack_size);
    if (info->deadline_ns != LEAT_FOREVER)
        text_add_format(listing->text, "  until in %.3f s",
                        (double)(info->deadline_ns - listing->now_ns) / 1e9);
    text_add_literal(listing->text, info->is_cancelled ? "  cancelled\n" : "\n");
    return true;
}

/* On the worker's loop. */
static void look(struct task *task)
{
    struct probe *probe = CONTAINER_OF(task, struct probe, task);
    worker_view_read(probe->worker, &probe->view);
    if (probe->wishes.viewers)
        viewers_read(leat_now_ns(), &probe->viewers);
    if (probe->wishes.fibers) {
        struct listing listing = {.text = &probe->fibers, .now_ns = leat_now_ns()};
        fiber_each(probe->worker->loop, list_fiber, &listing);
    }
    task->run = come_home;
    loop_post(probe->admin->loop, task);
}

static void give_up(void *user)
{
    fiber_wake(user);
}

/* NULL: no memory. */
static struct probe *make_probe(struct admin *admin, unsigned index, struct wishes wishes)
{
    const struct viewers_counters *known = &admin->dashboard->workers[index].view.viewers;
    struct probe *probe = calloc(1, sizeof *probe);
    if (!probe)
        return NULL;
    probe->task.run = look;
    probe->admin = admin;
    probe->worker = &admin->workers[index];
    probe->wishes = wishes;
    if (wishes.viewers && viewers_list_init(&probe->viewers, known->films + known->lives) != 0) {
        free(probe);
        return NULL;
    }
    return probe;
}

/* Asks all workers that have a loop, and waits for their answers, but no longer than a loop may be
 * held. False: no memory. */
static bool ask_all(struct admin *admin, struct probe **probes, struct wishes wishes)
{
    struct inquiry inquiry = {.fiber = fiber_current()};
    const int64_t deadline_ns = leat_after_ms(HELD_MS);
    for (unsigned index = 0; index < admin->worker_count; index++) {
        struct probe *probe = probes[index] = make_probe(admin, index, wishes);
        if (!probe)
            break;
        probe->inquiry = &inquiry;
        probe->is_asked = worker_post(probe->worker, &probe->task);
        inquiry.pending += probe->is_asked;
    }
    int error = 0;
    while (inquiry.pending > 0 && !error)
        error = fiber_park(deadline_ns, give_up, inquiry.fiber);
    for (unsigned index = 0; index < admin->worker_count && probes[index]; index++)
        probes[index]->inquiry = NULL; /* nobody waits any more */
    return probes[admin->worker_count - 1] != NULL;
}

static bool is_held(const struct probe *probe)
{
    return probe->is_asked && !probe->is_answered;
}

/* Those still on their way are freed when they come home. */
static void let_go(struct admin *admin, struct probe **probes)
{
    for (unsigned index = 0; index < admin->worker_count && probes[index]; index++)
        if (!is_held(probes[index]))
            free_probe(probes[index]);
    free(probes);
}

/* All probes; NULL: no memory. */
static struct probe **inquire(struct admin *admin, struct wishes wishes)
{
    struct probe **probes = calloc(admin->worker_count, sizeof *probes);
    if (probes && ask_all(admin, probes, wishes))
        return probes;
    if (probes)
        let_go(admin, probes);
    return NULL;
}

static void reply_text(struct leat_http_response *response, int status, const char *media_type,
                       struct text *text)
{
    (void)leat_http_add_field(response, "Cache-Control", "no-store");
    if (text->has_failed)
        (void)leat_http_reply_error(response, 503);
    else
        (void)leat_http_reply(response, status, media_type, text->data, text->size);
    text_fini(text);
}

/* ---- What is seen ---------------------------------------------------------------------------- */

struct sight {
    struct metrics metrics;
    struct worker_view *views;
    struct leat_http_counters *counters;
    bool *held;
    struct leat_access_log_counters log;
    struct site_films_counters films;
    struct leat_http_compress_counters compress; /* of all workers */
    struct leat_http_coded_files_counters coded_files;
    struct live_info *channels;
    struct process_stats process;
    struct viewers_list viewers; /* of all, where they were wanted */
};

static void sight_fini(struct sight *sight)
{
    free(sight->views);
    free(sight->counters);
    free(sight->held);
    free(sight->channels);
    viewers_list_fini(&sight->viewers);
}

static int sight_init(struct sight *sight, unsigned count)
{
    *sight = (struct sight){
        .views = calloc(count, sizeof *sight->views),
        .counters = calloc(count, sizeof *sight->counters),
        .held = calloc(count, sizeof *sight->held),
        .channels = calloc(LIVE_CHANNELS_MAX, sizeof *sight->channels),
    };
    if (sight->views && sight->counters && sight->held && sight->channels)
        return 0;
    sight_fini(sight);
    return -ENOMEM;
}

static int join_viewers(const struct admin *admin, struct probe *const *probes, struct sight *sight)
{
    struct viewers_list *lists = calloc(admin->worker_count, sizeof *lists);
    if (!lists)
        return -ENOMEM;
    for (unsigned index = 0; index < admin->worker_count; index++)
        if (probes[index]->is_answered)
            lists[index] = probes[index]->viewers; /* still the probe's */
    const int error = viewers_merge(lists, admin->worker_count, &sight->viewers);
    free(lists);
    return error;
}

static bool codes_responses(const struct admin *admin)
{
    return admin->workers[0].settings->http.compress.mode > LEAT_COMPRESS_OFF;
}

/* All there is to see, and notes it for the dashboard's history. 0 or -ENOMEM. */
static int look_round(struct admin *admin, struct wishes wishes, struct sight *ret_sight)
{
    const unsigned count = admin->worker_count;
    int error = sight_init(ret_sight, count);
    if (error)
        return error;
    struct probe **probes = inquire(admin, wishes);
    error = probes ? 0 : -ENOMEM;
    for (unsigned index = 0; !error && index < count; index++) {
        ret_sight->held[index] = is_held(probes[index]);
        if (probes[index]->is_answered)
            ret_sight->views[index] = probes[index]->view;
        worker_counters(&admin->workers[index], &ret_sight->counters[index]);
        struct leat_http_compress_counters compress;
        worker_compress_counters(&admin->workers[index], &compress);
        metrics_add_compress(&ret_sight->compress, &compress);
    }
    if (!error && wishes.viewers)
        error = join_viewers(admin, probes, ret_sight);
    if (probes)
        let_go(admin, probes);
    if (error) {
        sight_fini(ret_sight);
        return error;
    }
    process_stats_read(&admin->files, &ret_sight->process);
    if (admin->log)
        leat_access_log_counters(admin->log, &ret_sight->log);
    if (admin->films)
        site_films_read_counters(admin->films, &ret_sight->films);
    if (admin->coded_files)
        leat_http_coded_files_counters(admin->coded_files, &ret_sight->coded_files);
    ret_sight->metrics = (struct metrics){
        .views = ret_sight->views,
        .counters = ret_sight->counters,
        .is_held = ret_sight->held,
        .count = count,
        .engine = admin->workers[0].engine,
        .offload_depth = offload_depth(),
        .log = admin->log ? &ret_sight->log : NULL,
        .films = admin->films ? &ret_sight->films : NULL,
        .channels = ret_sight->channels,
        .channel_count =
            admin->live ? live_list(admin->live, ret_sight->channels, LIVE_CHANNELS_MAX) : 0,
        .proxies = admin->proxies,
        .compress = codes_responses(admin) ? &ret_sight->compress : NULL,
        .coded_files = admin->coded_files ? &ret_sight->coded_files : NULL,
        .process = &ret_sight->process,
    };
    dashboard_note(admin->dashboard, &ret_sight->metrics, leat_now_ns());
    return 0;
}

/* ---- The dashboard --------------------------------------------------------------------------- */

static char *snapshot_of(struct admin *admin, bool is_for_people)
{
    struct sight sight;
    if (look_round(admin, (struct wishes){.viewers = true}, &sight) != 0)
        return NULL;
    const struct backend_sys *sys = admin->loop->sys;
    const struct dashboard_sight shown = {
        .metrics = &sight.metrics,
        .viewers = &sight.viewers,
        .is_draining = atomic_load(&admin->is_draining),
        .now_ns = leat_now_ns(),
        .wall_ms = sys->wall_ns(sys) / LEAT_NS_PER_MS,
    };
    char *snapshot = dashboard_snapshot(admin->dashboard, &shown, is_for_people);
    sight_fini(&sight);
    return snapshot;
}

static void watch_once(struct admin *admin)
{
    struct leat_events_counters counters;
    leat_events_counters(admin->events, &counters);
    if (counters.subscribers_now == 0) { /* viewers are not read for nobody */
        struct sight sight;
        if (look_round(admin, (struct wishes){0}, &sight) == 0)
            sight_fini(&sight);
        return;
    }
    char *snapshot = snapshot_of(admin, false);
    if (!snapshot)
        return; /* the next may find memory */
    const struct leat_event event = {.type = "snapshot", .data = slice_from_text(snapshot)};
    (void)leat_events_publish(admin->events, &event);
    free(snapshot);
}

/* The fiber that looks once a second, and at once when somebody has come who looks on. */
static void watch(void *arg)
{
    struct admin *admin = arg;
    int error = 0;
    while (error != -ECANCELED) {
        const int64_t next_ns = leat_after_ms(SNAPSHOT_MS);
        watch_once(admin);
        admin->watcher = fiber_current();
        error = fiber_park(next_ns, give_up, admin->watcher);
        admin->watcher = NULL;
        if (error == 0)
            error = leat_sleep_ms(SOON_MS); /* whoever reloads the page is no reason to hurry */
    }
}

static void show_events(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    static const struct leat_events_serve_options options = {
        .policy = LEAT_EVENTS_SKIP, .behind_max = 1, .retry_ms = SNAPSHOT_MS};
    struct admin *admin = user;
    if (admin->watcher)
        fiber_wake(admin->watcher);
    (void)leat_events_serve(admin->events, request, response, &options);
}

static void show_snapshot(struct leat_http_request *request, struct leat_http_response *response,
                          void *user)
{
    char *snapshot = snapshot_of(user, true);
    (void)leat_http_add_field(response, "Cache-Control", "no-store");
    (void)leat_http_add_field(response, "X-Content-Type-Options", "nosniff");
    if (snapshot)
        (void)leat_http_reply(response, 200, "application/json", snapshot, strlen(snapshot));
    else
        (void)leat_http_reply_error(response, 503);
    free(snapshot);
}

static void show_dashboard(struct leat_http_request *request, struct leat_http_response *response,
                           void *user)
{
    const bool is_plain = dashboard_is_plain();
    char *snapshot = is_plain ? snapshot_of(user, true) : NULL;
    if (snapshot || !is_plain)
        dashboard_reply_page(response, snapshot);
    else
        (void)leat_http_reply_error(response, 503);
    free(snapshot);
}

/* ---- The pages for machines ------------------------------------------------------------------ */

static void show_metrics(struct leat_http_request *request, struct leat_http_response *response,
                         void *user)
{
    struct sight sight;
    if (look_round(user, (struct wishes){0}, &sight) != 0) {
        (void)leat_http_reply_error(response, 503);
        return;
    }
    struct text text = {0};
    metrics_write(&text, &sight.metrics);
    reply_text(response, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
    sight_fini(&sight);
}

static void show_health(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    struct admin *admin = user;
    struct probe **probes = inquire(admin, (struct wishes){0});
    if (!probes) {
        (void)leat_http_reply_error(response, 503);
        return;
    }
    struct text text = {0};
    int status = 200;
    if (atomic_load(&admin->is_draining)) {
        status = 503;
        text_add_literal(&text, "draining\n");
    }
    for (unsigned index = 0; index < admin->worker_count; index++) {
        if (!is_held(probes[index]))
            continue;
        status = 503;
        text_add_format(&text, "worker %u is held\n", index);
    }
    let_go(admin, probes);
    if (status == 200)
        text_add_literal(&text, "ok\n");
    reply_text(response, status, "text/plain", &text);
}

static void show_fibers(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    struct admin *admin = user;
    struct probe **probes = inquire(admin, (struct wishes){.fibers = true});
    if (!probes) {
        (void)leat_http_reply_error(response, 503);
        return;
    }
    struct text text = {0};
    for (unsigned index = 0; index < admin->worker_count; index++) {
        const struct probe *probe = probes[index];
        if (!probe->is_asked) {
            text_add_format(&text, "worker %u has ended\n", index);
        } else if (!probe->is_answered) {
            /* A literal (leat/fiber.h), so that it may be read from here. */
            const char *name = worker_running(probe->worker);
            text_add_format(&text, "worker %u is held by %s\n", index, name ? name : "loop");
        } else {
            text_add_format(&text, "worker %u: %llu fibers\n", index,
                            (unsigned long long)probe->view.fibers);
            text_add(&text, (struct leat_slice){probe->fibers.data, probe->fibers.size});
        }
    }
    let_go(admin, probes);
    reply_text(response, 200, "text/plain", &text);
}

static int make_router(struct admin *admin)
{
    const char *pattern;
    admin->router = leat_http_router_create();
    if (!admin->router)
        return -ENOMEM;
    (void)leat_http_get(admin->router, "/", show_dashboard, admin);
    (void)leat_http_get(admin->router, "/events", show_events, admin);
    (void)leat_http_get(admin->router, "/snapshot.json", show_snapshot, admin);
    (void)leat_http_get(admin->router, "/.leat/{path...}", site_assets_handle, NULL);
    (void)leat_http_get(admin->router, "/metrics", show_metrics, admin);
    (void)leat_http_get(admin->router, "/healthz", show_health, admin);
    (void)leat_http_get(admin->router, "/debug/fibers", show_fibers, admin);
    return leat_http_router_error(admin->router, &pattern);
}

/* ---- The thread ------------------------------------------------------------------------------ */

static int start_serving(struct admin *admin)
{
    const struct leat_http_options options = {
        .handler = leat_http_router_handle,
        .user = admin->router,
        .connections_max = CONNECTIONS_MAX,
        .compress = admin->workers[0].settings->http.compress,
    };
    const struct leat_listen_options listen = {
        .backlog = ADMIN_BACKLOG,
        .inherited_fd = fcntl(admin->socket->fds[0], F_DUPFD_CLOEXEC, SOCKETS_FIRST_FD),
    };
    struct leat_listener *listener;
    if (listen.inherited_fd < 0)
        return -errno;
    int error = leat_listen(NULL, &listen, &listener);
    if (error)
        return error;
    error = leat_http_server_create(&options, &admin->server);
    if (!error)
        error = leat_http_server_add(admin->server, listener);
    if (error)
        leat_listener_close(listener);
    return error;
}

static void close_server(struct admin *admin)
{
    if (admin->server)
        leat_http_server_close(admin->server, 0, leat_after_ms(CLOSE_GRACE_MS));
    admin->server = NULL;
}

/* The fiber runs when the loop does. */
static int start_watching(struct admin *admin)
{
    static const struct leat_events_options events = {
        .kept_max = 2, .kept_size_max = SNAPSHOT_SIZE_MAX, .subscribers_max = SUBSCRIBERS_MAX};
    static const struct leat_fiber_options fiber = {.name = "dashboard"};
    int error = leat_events_create(&events, &admin->events);
    if (error)
        return error;
    leat_scope_init(&admin->scope);
    error = leat_spawn(&admin->scope, watch, admin, &fiber);
    if (!error)
        return 0;
    leat_scope_fini(&admin->scope);
    leat_events_destroy(admin->events);
    return error;
}

struct start {
    struct admin *admin;
    sem_t is_decided;
    int error;
};

static void *run(void *arg)
{
    struct start *start = arg;
    struct admin *admin = start->admin;
    (void)pthread_setname_np(pthread_self(), "admin");
    /* Seldom used: no ring for it. */
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    int error = leat_loop_create(&options, &admin->loop);
    if (error) {
        start->error = error;
        sem_post(&start->is_decided);
        return NULL;
    }
    error = start_serving(admin);
    if (!error)
        error = start_watching(admin);
    if (error)
        close_server(admin);
    else
        loop_timer_start(admin->loop, &admin->keep, LEAT_FOREVER - 1);
    start->error = error;
    sem_post(&start->is_decided); /* `start` is gone from here on */
    if (leat_loop_run(admin->loop) != 0)
        return NULL;
    if (!error) {
        leat_scope_fini(&admin->scope);
        leat_events_destroy(admin->events);
    }
    leat_loop_destroy(admin->loop);
    return NULL;
}

static void never(struct timer *timer)
{
    (void)timer;
}

int admin_start(struct admin *admin)
{
    struct start start = {.admin = admin};
    timer_init(&admin->keep, never);
    int error = dashboard_create(admin->worker_count, &admin->dashboard);
    if (error)
        return error;
    error = make_router(admin);
    if (error)
        goto destroy_router;
    sem_init(&start.is_decided, 0, 0);
    error = -pthread_create(&admin->thread, NULL, run, &start);
    if (!error) {
        while (sem_wait(&start.is_decided) != 0)
            ;
        error = start.error;
        if (error)
            pthread_join(admin->thread, NULL);
    }
    sem_destroy(&start.is_decided);
    if (!error)
        return 0;
destroy_router:
    leat_http_router_destroy(admin->router);
    dashboard_destroy(admin->dashboard);
    return error;
}

void admin_drain(struct admin *admin)
{
    atomic_store(&admin->is_draining, true);
}

static void release(struct task *task)
{
    close_server(CONTAINER_OF(task, struct admin, release_task));
}

void admin_release(struct admin *admin)
{
    admin->release_task.run = release;
    loop_post(admin->loop, &admin->release_task);
}

static void stop(struct task *task)
{
    struct admin *admin = CONTAINER_OF(task, struct admin, stop_task);
    leat_events_close(admin->events);
    close_server(admin);
    leat_scope_cancel(&admin->scope);
    loop_timer_stop(admin->loop, &admin->keep);
}

void admin_stop(struct admin *admin)
{
    admin->stop_task.run = stop;
    loop_post(admin->loop, &admin->stop_task);
    pthread_join(admin->thread, NULL);
    leat_http_router_destroy(admin->router);
    dashboard_destroy(admin->dashboard);
    process_files_close(&admin->files);
}
