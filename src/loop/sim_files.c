/* SPDX-License-Identifier: MIT */
/*
 * Files of a program's own making on the simulated disk: names, room, locks; and what becomes of
 * them when a process is killed or the power fails.
 *
 *     written, renamed … ──sync──> kept ──power cut──> what the next one finds
 *
 * A kill takes nothing that was written: the page cache has it. A power cut leaves what was synced
 * for certain; of all else, page by page and folder by folder, what chance has let the kernel
 * write. A killed process goes on running its own farewells (it is code of this program, after
 * all), but nothing of them gets out: its descriptors are -EBADF, its mappings its own.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "loop/sim_disk.h"

int sim_directory_of(struct sim *sim, int fd, const char *call, struct sim_node **ret_directory,
                     unsigned *ret_process)
{
    *ret_directory = sim->root;
    *ret_process = sim->process;
    if (fd < 0)
        return 0;
    const struct sim_object *object = sim_object(sim, fd, call);
    if (!object || object->kind != SIM_DIRECTORY)
        return object ? -ENOTDIR : -EBADF;
    *ret_directory = object->file;
    *ret_process = object->process;
    return 0;
}

/* Where a call's name leads: a folder, and what it has of this name. Paths may be longer than a
 * name where the folder is the root. */
struct place {
    struct sim_node *directory, *child; /* child NULL: there is none */
    const char *name;
    unsigned process;
};

static int find_place(const struct backend_sys *sys, int directory_fd, const char *path,
                      const char *call, struct place *ret_place)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, call);
    struct place place;
    int error = sim_directory_of(sim, directory_fd, call, &place.directory, &place.process);
    if (error)
        return error;
    const char *slash = strrchr(path, '/');
    place.name = slash ? slash + 1 : path;
    if (slash) {
        char way[SIM_NAME_SIZE_MAX];
        const size_t size = (size_t)(slash + 1 - path);
        if (size >= sizeof way)
            return -ENAMETOOLONG;
        memcpy(way, path, size);
        way[size] = '\0';
        struct sim_walk walking = {.sim = sim};
        error = sim_walk(&walking, place.directory, way, &place.directory);
        if (error)
            return error;
    }
    if (!place.name[0])
        return -ENOENT;
    if (place.directory->kind != NODE_DIRECTORY)
        return -ENOTDIR;
    place.child = sim_node_child(place.directory, place.name, strlen(place.name));
    *ret_place = place;
    return 0;
}

/* Of a file that is no more, or that is there again. */
static void move_room(struct sim *sim, const struct sim_node *node, bool is_gone)
{
    if (!sim->is_disk_bounded || !node->is_written)
        return;
    const size_t room = (size_t)(node->size > node->allocated ? node->size : node->allocated);
    if (is_gone)
        sim->disk_room += room;
    else
        sim->disk_room -= room < sim->disk_room ? room : sim->disk_room;
}

static void unlink_node(struct sim *sim, struct sim_node *node)
{
    list_remove(&node->siblings); /* whoever has it open keeps it; it ends with the world */
    node->parent = NULL;
    move_room(sim, node, true);
}

static void keep_bytes(struct sim_node *node)
{
    if (!node->bytes)
        return;
    char *bytes = realloc(node->kept.bytes, (size_t)node->size + 1);
    ASSERT(bytes != NULL);
    memcpy(bytes, node->bytes, (size_t)node->size);
    node->kept.bytes = bytes;
    node->kept.size = node->size;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int sys_make_directory(const struct backend_sys *sys, int directory_fd, const char *name)
{
    struct place place;
    const int error = find_place(sys, directory_fd, name, "make_directory", &place);
    if (error)
        return error;
    if (place.child)
        return -EEXIST;
    sim_node_new(sim_of_sys(sys), NODE_DIRECTORY, place.directory, place.name, strlen(place.name));
    return 0;
}

static int sys_open_write(const struct backend_sys *sys, int directory_fd, const char *name,
                          bool is_emptied)
{
    struct sim *sim = sim_of_sys(sys);
    struct place place;
    const int error = find_place(sys, directory_fd, name, "open_write", &place);
    if (error)
        return error;
    if (place.child && place.child->kind != NODE_FILE)
        return place.child->kind == NODE_DIRECTORY ? -EISDIR : -ELOOP;
    if (sim_chance(sim, sim->profile.accept_error))
        return -EMFILE;
    struct sim_node *node = place.child;
    if (!node) {
        node = sim_node_new(sim, NODE_FILE, place.directory, place.name, strlen(place.name));
    } else if (!node->is_written) { /* a test's: it is on the disk */
        sim_node_set_size(sim, node, node->size);
        keep_bytes(node);
    }
    node->is_written = true;
    if (is_emptied) {
        move_room(sim, node, true);
        node->allocated = 0;
    }
    sim_node_set_size(sim, node, is_emptied ? 0 : node->size);
    const int fd = sim_node_open(sim, node, place.process);
    if (fd >= 0)
        sim_object(sim, fd, "open_write")->is_writable = true;
    sim_trace(sim, "open-write", -1, fd, name, strlen(name));
    return fd;
}

static int sys_open_new(const struct backend_sys *sys, int directory_fd, const char *name)
{
    struct place place;
    const int error = find_place(sys, directory_fd, name, "open_new", &place);
    if (error)
        return error;
    return place.child ? -EEXIST : sys_open_write(sys, directory_fd, name, false);
}

static int sys_rename(const struct backend_sys *sys, int directory_fd, const char *from,
                      const char *to, bool may_replace)
{
    struct sim *sim = sim_of_sys(sys);
    struct place source, target;
    int error = find_place(sys, directory_fd, from, "rename", &source);
    if (!error)
        error = find_place(sys, directory_fd, to, "rename", &target);
    if (error)
        return error;
    if (!source.child)
        return -ENOENT;
    if (target.child && !may_replace)
        return -EEXIST;
    if (target.child == source.child)
        return 0;
    if (target.child)
        unlink_node(sim, target.child);
    free(source.child->name);
    source.child->name = strdup(target.name);
    ASSERT(source.child->name != NULL);
    source.child->parent = target.directory;
    list_remove(&source.child->siblings);
    list_push_back(&target.directory->children, &source.child->siblings);
    return 0;
}

static int sys_remove(const struct backend_sys *sys, int directory_fd, const char *name,
                      bool is_directory)
{
    struct place place;
    const int error = find_place(sys, directory_fd, name, "remove", &place);
    if (error)
        return error;
    if (!place.child)
        return -ENOENT;
    if (is_directory != (place.child->kind == NODE_DIRECTORY))
        return is_directory ? -ENOTDIR : -EISDIR;
    if (!list_is_empty(&place.child->children))
        return -ENOTEMPTY;
    unlink_node(sim_of_sys(sys), place.child);
    return 0;
}

/* ---- Bytes and room -------------------------------------------------------------------------- */

static struct sim_object *written_object(const struct backend_sys *sys, int fd, const char *call)
{
    sim_may_block(sim_of_sys(sys), call);
    struct sim_object *object = sim_file_object(sys, fd, call);
    return object && (object->is_writable || object->file->is_memory) ? object : NULL;
}

static ssize_t sys_copy(const struct backend_sys *sys, int in_fd, uint64_t in_offset, int out_fd,
                        uint64_t out_offset, size_t size)
{
    struct sim *sim = sim_of_sys(sys);
    const struct sim_object *in = sim_file_object(sys, in_fd, "copy");
    const struct sim_object *out = written_object(sys, out_fd, "copy");
    if (!in || !out)
        return -EBADF;
    const size_t count = sim_disk_left(in, in_offset, size);
    if (count == 0)
        return 0;
    char *bytes = malloc(count);
    ASSERT(bytes != NULL);
    sim_node_load(sim, in->file, in_offset, count);
    sim_node_copy(in->file, in_offset, bytes, count);
    const ssize_t written = sim_node_write(sim, out->file, bytes, count, out_offset);
    free(bytes);
    return written;
}

static int sys_resize(const struct backend_sys *sys, int fd, uint64_t size)
{
    const struct sim_object *object = written_object(sys, fd, "resize");
    if (!object)
        return -EBADF;
    if (size < object->file->allocated)
        object->file->allocated = size;
    sim_node_set_size(sim_of_sys(sys), object->file, size);
    return 0;
}

static int sys_resemble(const struct backend_sys *sys, int fd, int other_fd)
{
    const struct sim_object *object = written_object(sys, fd, "resemble");
    const struct sim_object *other = sim_file_object(sys, other_fd, "resemble");
    if (!object || !other)
        return -EBADF;
    object->file->mtime_ns = other->file->mtime_ns;
    return 0;
}

static int sys_allocate(const struct backend_sys *sys, int fd, uint64_t size)
{
    struct sim *sim = sim_of_sys(sys);
    const struct sim_object *object = written_object(sys, fd, "allocate");
    if (!object)
        return -EBADF;
    struct sim_node *node = object->file;
    const uint64_t has = node->size > node->allocated ? node->size : node->allocated;
    if (sim->is_disk_bounded && size > has) {
        if (size - has > sim->disk_room)
            return -ENOSPC;
        sim->disk_room -= (size_t)(size - has);
    }
    if (size > node->allocated)
        node->allocated = size;
    if (size > node->size)
        sim_node_set_size(sim, node, size);
    return 0;
}

static int sys_lock(const struct backend_sys *sys, int fd)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "lock");
    struct sim_object *object = sim_object(sim, fd, "lock");
    if (!object || !object->file)
        return -EBADF;
    if (object->file->locker && object->file->locker != object)
        return -EAGAIN;
    object->file->locker = object;
    return 0;
}

/* ---- What is on the disk --------------------------------------------------------------------- */

void sim_node_keep_name(struct sim_node *node)
{
    free(node->kept.name);
    node->kept.name = strdup(node->name);
    ASSERT(node->kept.name != NULL);
    node->kept.parent = node->parent;
}

/* Its own entries alone: what they contain is theirs. */
static void keep_entries(struct sim *sim, const struct sim_node *directory)
{
    LIST_FOR_EACH (link, &sim->nodes) {
        struct sim_node *node = CONTAINER_OF(link, struct sim_node, node);
        if (node->parent == directory && node != directory)
            sim_node_keep_name(node);
        else if (node->kept.parent == directory)
            node->kept.parent = NULL;
    }
}

static int sys_sync(const struct backend_sys *sys, int fd)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "sync");
    const struct sim_object *object = sim_object(sim, fd, "sync");
    if (!object || !object->file)
        return -EBADF;
    struct sim_node *node = object->file;
    sim->job_cost_ns += sim_draw_us(sim, sim->profile.disk_latency_us / 2,
                                    2 * (uint64_t)sim->profile.disk_latency_us);
    if (node->kind == NODE_DIRECTORY)
        keep_entries(sim, node);
    else
        keep_bytes(node);
    sim_trace(sim, "sync", fd, 0, NULL, 0);
    return 0;
}

/* Each page as it was written last or as it was synced last: the kernel writes when it likes. */
static void lose_bytes(struct sim *sim, struct sim_node *node)
{
    if (node->kept.size < node->size && random_below(&sim->random, 2) == 0)
        sim_node_set_size(sim, node, node->kept.size);
    for (uint64_t begin = 0; begin < node->size; begin += SIM_PAGE) {
        if (random_below(&sim->random, 2) == 0)
            continue;
        const uint64_t left = node->size - begin;
        const size_t size = left < SIM_PAGE ? (size_t)left : SIM_PAGE;
        const uint64_t kept = begin < node->kept.size ? node->kept.size - begin : 0;
        const size_t known = kept < size ? (size_t)kept : size;
        if (known > 0)
            memcpy(node->bytes + begin, node->kept.bytes + begin, known);
        memset(node->bytes + begin + known, 0, size - known);
    }
    keep_bytes(node);
}

/* All that was done to a folder since it was synced, or nothing of it: file systems keep the order
 * of such changes, and write them together. */
static void lose_entries(struct sim *sim, struct sim_node *directory)
{
    if (random_below(&sim->random, 2) == 0) {
        keep_entries(sim, directory);
        return;
    }
    LIST_FOR_EACH (link, &sim->nodes) {
        struct sim_node *node = CONTAINER_OF(link, struct sim_node, node);
        if (node == directory || (node->parent != directory && node->kept.parent != directory))
            continue;
        list_remove(&node->siblings);
        if (!node->parent != !node->kept.parent)
            move_room(sim, node, !node->kept.parent);
        node->parent = node->kept.parent;
        if (!node->parent)
            continue;
        free(node->name);
        node->name = strdup(node->kept.name);
        ASSERT(node->name != NULL);
        list_push_back(&node->parent->children, &node->siblings);
    }
}

void sim_power_cut(struct sim *sim)
{
    LIST_FOR_EACH (link, &sim->nodes) {
        struct sim_node *node = CONTAINER_OF(link, struct sim_node, node);
        if (node->kind == NODE_DIRECTORY)
            lose_entries(sim, node);
        else if (node->is_written)
            lose_bytes(sim, node);
        for (size_t page = 0; page < node->page_count && !node->is_memory; page++)
            node->pages[page] = PAGE_COLD;
    }
    sim->boots++;
    sim_trace(sim, "power-cut", -1, 0, NULL, 0);
}

struct sim_node *sim_boot_id(struct sim *sim)
{
    char text[64];
    const uint64_t number = random_mix(sim->boots + 1);
    const int size =
        snprintf(text, sizeof text, "%08x-%04x-4%03x-8%03x-%012llx\n", (unsigned)(number >> 32),
                 (unsigned)(number >> 16 & 0xffff), (unsigned)(number & 0xfff),
                 (unsigned)(number >> 4 & 0xfff), (unsigned long long)(random_mix(number) >> 16));
    struct sim_node *node = sim_node_new(sim, NODE_FILE, NULL, "boot_id", 7);
    sim_node_set_size(sim, node, (uint64_t)size);
    memcpy(node->bytes, text, (size_t)size);
    return node;
}

/* ---- Processes that die ---------------------------------------------------------------------- */

void sim_set_process(struct sim *sim, unsigned process)
{
    sim->process = process;
}

void sim_kill(struct sim *sim, unsigned process)
{
    ASSERT(process > 0);
    sim_mappings_detach(sim, process);
    for (unsigned slot = 0; slot < sim->fds_used; slot++) {
        struct sim_object *object = sim->fds[slot];
        if (!object || object->process != process)
            continue;
        if (!sim_fd_bury(sim, SIM_FD_BASE + (int)slot))
            continue;
        if (object->file)
            sim_disk_close(object);
        else
            sim_net_close(sim, object);
    }
    sim_trace(sim, "kill", -1, (int64_t)process, NULL, 0);
}

void sim_files_sys(struct backend_sys *sys)
{
    sys->make_directory = sys_make_directory;
    sys->open_write = sys_open_write;
    sys->open_private = sys_open_write;
    sys->open_new = sys_open_new;
    sys->copy = sys_copy;
    sys->resize = sys_resize;
    sys->resemble = sys_resemble;
    sys->rename = sys_rename;
    sys->remove = sys_remove;
    sys->lock = sys_lock;
    sys->allocate = sys_allocate;
    sys->sync = sys_sync;
}
