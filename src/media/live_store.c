/* SPDX-License-Identifier: MIT */
/*
 * See live_store.h and live_log.h: the folder of all channels, and what another process still has
 * of it.
 */
#include "media/live_store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "leat/file.h"
#include "media/live_log.h"
#include "media/live_recover.h"

enum { NEWS_SIZE = 512 };

void live_store_say(const struct live_store *store, const char *format, ...)
{
    char line[NEWS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (store->on_news)
        store->on_news(line, store->user);
}

/* ---- Its life -------------------------------------------------------------------------------- */

static int open_directory(const struct backend_sys *sys, const char *path, bool may_make)
{
    const int error = may_make ? sys->make_directory(sys, -1, path) : 0;
    if (error && error != -EEXIST)
        return error;
    return sys->open(sys, -1, path, BACKEND_OPEN_DIRECTORY);
}

int live_store_create(const struct live_store_options *options, struct live_store **ret_store)
{
    const struct backend_sys *sys = loop_current ? loop_current->sys : &backend_sys_linux;
    struct live_store *store = calloc(1, sizeof *store);
    if (!store)
        return -ENOMEM;
    pthread_mutex_init(&store->lock, NULL);
    store->sys = sys;
    store->fd = store->films_fd = -1;
    store->on_news = options->on_news;
    store->user = options->user;
    store->directory = strdup(options->directory);
    store->label = strdup(options->label);
    int error = store->directory && store->label ? 0 : -ENOMEM;
    if (!error) {
        store->fd = open_directory(sys, options->directory, true);
        error = store->fd < 0 ? store->fd : leat_root_open(options->directory, &store->root);
    }
    if (!error && options->films_directory) {
        store->films_fd = open_directory(sys, options->films_directory, false);
        error = store->films_fd < 0 ? store->films_fd : 0;
    }
    if (error) {
        live_store_destroy(store);
        return error;
    }
    *ret_store = store;
    return 0;
}

void live_store_destroy(struct live_store *store)
{
    if (!store)
        return;
    ASSERT(!store->is_looking);
    leat_root_close(store->root);
    if (store->fd >= 0)
        store->sys->close(store->sys, store->fd);
    if (store->films_fd >= 0)
        store->sys->close(store->sys, store->films_fd);
    pthread_mutex_destroy(&store->lock);
    free(store->directory);
    free(store->label);
    free(store);
}

/* ---- What is there --------------------------------------------------------------------------- */

static void note_busy(struct live_store *store, const char *name)
{
    pthread_mutex_lock(&store->lock);
    if (store->busy_count <= LIVE_CHANNELS_MAX)
        snprintf(store->busy[store->busy_count++], LIVE_NAME_SIZE, "%s", name);
    pthread_mutex_unlock(&store->lock);
}

static void recover_one(struct live_store *store, const char *name)
{
    struct live_channel *channel;
    char reason[LIVE_REASON_SIZE];
    const int error = live_recover(store, name, &channel, reason);
    if (error == -EAGAIN)
        note_busy(store, name);
    else if (error)
        live_store_say(store, "%s: the channel %s is not taken up: %s", store->label, name, reason);
    else if (channel)
        live_hub_adopt(store->hub, channel);
}

static bool note_folder(const char *name, bool is_directory, void *user)
{
    if (is_directory && live_is_name(name))
        text_add(user, slice_of(name, strlen(name) + 1));
    return true;
}

int live_store_attach(struct live_store *store, struct live_hub *hub)
{
    struct text names = {0};
    ASSERT(list_is_empty(&hub->channels));
    store->hub = hub;
    hub->store = store;
    int error = store->sys->list(store->sys, store->fd, note_folder, &names);
    if (!error && names.has_failed)
        error = -ENOMEM;
    for (size_t at = 0; !error && at < names.size; at += strlen(names.data + at) + 1)
        recover_one(store, names.data + at);
    text_fini(&names);
    return error;
}

/* ---- What another process has ---------------------------------------------------------------- */

bool live_store_is_busy(struct live_store *store, const char *name)
{
    bool is_busy = false;
    pthread_mutex_lock(&store->lock);
    for (unsigned index = 0; index < store->busy_count; index++)
        is_busy = is_busy || strcmp(store->busy[index], name) == 0;
    pthread_mutex_unlock(&store->lock);
    return is_busy;
}

/* They stay busy until what became of them is known. */
static void look_again(struct offload_job *job, const struct backend_sys *sys)
{
    struct live_store *store = CONTAINER_OF(job, struct live_store, job);
    for (unsigned left = store->busy_count; left > 0; left--) {
        char name[LIVE_NAME_SIZE];
        memcpy(name, store->busy[0], sizeof name);
        recover_one(store, name);
        pthread_mutex_lock(&store->lock);
        memmove(store->busy[0], store->busy[1], (--store->busy_count) * sizeof store->busy[0]);
        pthread_mutex_unlock(&store->lock);
    }
}

static void have_looked(struct offload_job *job)
{
    CONTAINER_OF(job, struct live_store, job)->is_looking = false;
}

void live_store_tick(struct live_store *store)
{
    if (store->is_looking || store->busy_count == 0)
        return;
    store->job.run = look_again;
    store->job.done = have_looked;
    store->is_looking = offload_submit(loop_current, &store->job) == 0;
}
