/* SPDX-License-Identifier: MIT */
/*
 * What a loop knows of the coded forms of its files. A view lies at its struct leat_file, so that
 * a request finds it without a search, and goes when the file has changed or is no more in the
 * loop's cache. It holds the forms that can be sent: what lies beside the file, looked for once a
 * second, and copies in memory, as they were when it last looked at the table.
 *
 * A loop's views are in a list: when a copy was evicted all that hold it let go, also those that
 * nobody asks for any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "http/coded_parts.h"
#include "net/file.h"

enum { LOOK_TIMEOUT_MS = 5 * 1000 };

/* What the object has of a loop, as long as that has a view. */
struct coded_member {
    struct list_node node;               /* in coded->members, behind its lock */
    struct leat_http_coded_files *coded; /* held */
    const struct leat_loop *loop;
    struct list_node views;
    uint64_t evictions; /* as of the last sweep */
};

struct coded_view {
    struct file_attachment attachment;
    struct list_node node; /* in member->views */
    struct coded_member *member;
    struct leat_file *beside[LEAT_CODECS], *copies[LEAT_CODECS]; /* held; NULL: none */
    uint64_t generation;                                         /* of the table, as it was seen */
    unsigned settled; /* codecs for which there is nothing to begin */
    int64_t looked_ns;
    bool was_looked, is_looking;
};

/* ---- Members --------------------------------------------------------------------------------- */

static struct coded_member *member_of(struct leat_http_coded_files *coded,
                                      const struct leat_loop *loop)
{
    struct coded_member *found = NULL;
    pthread_mutex_lock(&coded->lock);
    LIST_FOR_EACH (node, &coded->members) {
        struct coded_member *member = CONTAINER_OF(node, struct coded_member, node);
        if (member->loop == loop)
            found = member;
    }
    if (!found && (found = calloc(1, sizeof *found))) {
        found->coded = coded_files_ref(coded);
        found->loop = loop;
        list_init(&found->views);
        list_push_back(&coded->members, &found->node);
    }
    pthread_mutex_unlock(&coded->lock);
    return found;
}

static void end_member(struct coded_member *member)
{
    struct leat_http_coded_files *coded = member->coded;
    pthread_mutex_lock(&coded->lock);
    list_remove(&member->node);
    pthread_mutex_unlock(&coded->lock);
    free(member);
    coded_files_unref(coded);
}

/* ---- Views ----------------------------------------------------------------------------------- */

static void let_go(struct leat_file **file)
{
    leat_file_unref(*file);
    *file = NULL;
}

static void drop_view(struct file_attachment *attachment)
{
    struct coded_view *view = CONTAINER_OF(attachment, struct coded_view, attachment);
    struct coded_member *member = view->member;
    ASSERT(!view->is_looking); /* who looks holds the file */
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
        let_go(&view->beside[codec]);
        let_go(&view->copies[codec]);
    }
    list_remove(&view->node);
    free(view);
    if (list_is_empty(&member->views))
        end_member(member);
}

/* NULL: no memory, or the file is another object's view at this moment. */
static struct coded_view *view_of(struct leat_http_coded_files *coded, struct leat_file *file)
{
    struct file_attachment *attachment = file->attachment;
    if (attachment) {
        struct coded_view *view = CONTAINER_OF(attachment, struct coded_view, attachment);
        ASSERT(attachment->drop == drop_view);
        if (view->member->coded == coded)
            return view;
        if (view->is_looking)
            return NULL;
        file->attachment = NULL;
        drop_view(attachment);
    }
    struct coded_view *view = calloc(1, sizeof *view);
    struct coded_member *member = view ? member_of(coded, file->loop) : NULL;
    if (!member) {
        free(view);
        return NULL;
    }
    view->attachment.drop = drop_view;
    view->member = member;
    list_push_back(&member->views, &view->node);
    file->attachment = &view->attachment;
    return view;
}

/* ---- Copies in memory ------------------------------------------------------------------------ */

static void release_copy(void *copy)
{
    coded_copy_unref(copy);
}

static bool is_evicted(const struct leat_file *file)
{
    const struct coded_copy *copy = file->user;
    return atomic_load_explicit(&copy->is_evicted, memory_order_relaxed);
}

/* All views of this loop let go of copies that the table has let go of. */
static void sweep(struct coded_member *member)
{
    const uint64_t evictions =
        atomic_load_explicit(&member->coded->evictions, memory_order_relaxed);
    if (member->evictions == evictions)
        return;
    member->evictions = evictions;
    LIST_FOR_EACH (node, &member->views) {
        struct coded_view *view = CONTAINER_OF(node, struct coded_view, node);
        for (unsigned codec = 0; codec < LEAT_CODECS; codec++)
            if (view->copies[codec] && is_evicted(view->copies[codec]))
                let_go(&view->copies[codec]);
    }
}

/* Sees what the table has by now. */
static void catch_up(struct coded_view *view, struct leat_file *file)
{
    struct coded_news news;
    coded_files_look(view->member->coded, &file->info, file->loop->now_ns, &news);
    view->generation = news.generation;
    view->settled = news.settled;
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
        struct coded_copy *copy = news.copies[codec];
        if (!copy)
            continue;
        const struct leat_file *known = view->copies[codec];
        if (known && known->user == copy) {
            coded_copy_unref(copy);
            continue;
        }
        let_go(&view->copies[codec]);
        if (file_of_memory(copy->fd, copy->size, release_copy, copy, &view->copies[codec]))
            coded_copy_unref(copy);
    }
    sweep(view->member);
}

/* ---- Beside the file ------------------------------------------------------------------------- */

struct look {
    struct leat_root *root;
    const char *path;
    const struct leat_file_info *original;
    bool is_exact; /* only what has the original's time counts */
    struct {
        int fd; /* -1: there is none, or none of use */
        struct leat_file_info info;
    } found[LEAT_CODECS];
};

/* What leat itself has written there may be of a file that was replaced by an older one since. */
static bool counts(const struct look *look, const struct leat_file_info *info)
{
    if (info->is_directory || info->size == 0 || info->size >= look->original->size)
        return false;
    return look->is_exact ? coded_is_of_same_time(look->original, info->mtime_ns)
                          : coded_is_current(look->original, info->mtime_ns);
}

/* In an offload job. */
static void look_beside(void *arg, const struct backend_sys *sys)
{
    struct look *look = arg;
    char path[FILE_PATH_MAX + CODED_SUFFIX_MAX + 1];
    const size_t size = strlen(look->path);
    ASSERT(size <= FILE_PATH_MAX);
    memcpy(path, look->path, size);
    for (enum leat_codec codec = LEAT_CODEC_NONE; codec < LEAT_CODECS; codec++) {
        const struct leat_slice suffix = coded_suffix(codec);
        struct leat_file_info *info = &look->found[codec].info;
        look->found[codec].fd = -1;
        if (suffix.size == 0)
            continue;
        memcpy(path + size, suffix.data, suffix.size + 1);
        const int fd = file_open_below(look->root, sys, path, info);
        if (fd < 0)
            continue;
        if (counts(look, info))
            look->found[codec].fd = fd;
        else
            sys->close(sys, fd);
    }
}

/* Looks what lies beside the file; the caller holds that. Who else asks for it meanwhile has what
 * was known before. */
static void look_again(struct coded_view *view, struct leat_file *file, struct leat_root *root,
                       const char *path)
{
    const struct backend_sys *sys = file->loop->sys;
    struct look look = {.root = root,
                        .path = path,
                        .original = &file->info,
                        .is_exact = view->member->coded->options.beside};
    view->is_looking = true;
    const int error = fiber_offload(look_beside, &look, leat_after_ms(LOOK_TIMEOUT_MS));
    view->is_looking = false;
    if (error) /* the next one looks */
        return;
    view->was_looked = true;
    view->looked_ns = file->loop->now_ns;
    view->generation = 0; /* what had failed may be tried again by now */
    for (unsigned codec = 0; codec < LEAT_CODECS; codec++) {
        const int fd = look.found[codec].fd;
        const struct leat_file_info *info = &look.found[codec].info;
        struct leat_file **known = &view->beside[codec];
        if (fd >= 0 && *known && file_info_equal(&(*known)->info, info)) {
            sys->close(sys, fd);
            continue;
        }
        let_go(known);
        if (fd >= 0)
            (void)file_adopt(fd, info, known);
    }
}

/* ---- For requests ---------------------------------------------------------------------------- */

/* The smallest of those that the client understands; LEAT_CODEC_NONE: none. */
static enum leat_codec smallest(struct leat_file *const *files, unsigned codecs)
{
    enum leat_codec best = LEAT_CODEC_NONE;
    for (enum leat_codec codec = LEAT_CODEC_NONE + 1; codec < LEAT_CODECS; codec++)
        if (codecs & CODEC_BIT(codec) && files[codec] &&
            (best == LEAT_CODEC_NONE || files[codec]->info.size < files[best]->info.size))
            best = codec;
    return best;
}

/* What codes best of what the client understands. */
static enum leat_codec best_of(unsigned codecs)
{
    return codecs & CODEC_BIT(LEAT_CODEC_BROTLI) ? LEAT_CODEC_BROTLI
           : codecs & CODEC_BIT(LEAT_CODEC_ZSTD) ? LEAT_CODEC_ZSTD
           : codecs & CODEC_BIT(LEAT_CODEC_GZIP) ? LEAT_CODEC_GZIP
                                                 : LEAT_CODEC_NONE;
}

/* Has it been as it is for a while? What has just changed may change again within a tick of the
 * file system's clock, to the same size, unseen. */
static bool has_settled(const struct leat_file *file)
{
    const struct backend_sys *sys = file->loop->sys;
    const int64_t age_ns = sys->wall_ns(sys) - file->info.mtime_ns;
    return age_ns >= CODED_FILES_SETTLED_MS * LEAT_NS_PER_MS || age_ns < -LEAT_NS_PER_S;
}

static void begin_if_wanted(struct coded_view *view, struct leat_file *file, struct leat_root *root,
                            const char *path, unsigned codecs)
{
    struct leat_http_coded_files *coded = view->member->coded;
    const enum leat_codec codec = best_of(codecs);
    if (codec == LEAT_CODEC_NONE || view->settled & CODEC_BIT(codec) ||
        file->info.size > coded->options.file_size_max ||
        atomic_load_explicit(&coded->jobs, memory_order_relaxed) >= CODED_FILES_JOBS_MAX ||
        !has_settled(file))
        return;
    if (coded_making_begin(coded, root, path, file, codec))
        view->settled |= CODEC_BIT(codec);
}

int coded_files_find(struct leat_http_coded_files *coded, struct leat_root *root, const char *path,
                     struct leat_file *file, unsigned codecs, struct leat_file **ret_file,
                     enum leat_codec *ret_codec)
{
    ASSERT(file->loop == loop_current && !file->info.is_directory);
    if (file->info.size < CODED_FILES_SIZE_MIN)
        return -ENOENT;
    struct coded_view *view = view_of(coded, file);
    if (!view)
        return -ENOENT;
    if (!view->is_looking && (!view->was_looked || file->loop->now_ns - view->looked_ns >=
                                                       CODED_FILES_FRESH_MS * LEAT_NS_PER_MS))
        look_again(view, file, root, path);
    if (view->generation != atomic_load_explicit(&coded->generation, memory_order_acquire))
        catch_up(view, file);
    struct leat_file *const *files = view->beside;
    enum leat_codec codec = smallest(files, codecs);
    if (codec == LEAT_CODEC_NONE) {
        begin_if_wanted(view, file, root, path, codecs);
        files = view->copies;
        codec = smallest(files, codecs);
        if (codec == LEAT_CODEC_NONE)
            return -ENOENT;
        struct coded_copy *copy = files[codec]->user;
        if (!atomic_load_explicit(&copy->is_used, memory_order_relaxed))
            atomic_store_explicit(&copy->is_used, true, memory_order_relaxed);
    }
    leat_file_ref(files[codec]);
    *ret_file = files[codec];
    *ret_codec = codec;
    return 0;
}
