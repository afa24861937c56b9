/* SPDX-License-Identifier: MIT */
/*
 * The simulated disk: a tree of files, a page cache, and one disk that serves requests in order,
 * each with its latency and at its bandwidth.
 *
 *     PAGE_COLD --load--> PAGE_LOADING --disk--> PAGE_WARM --pressure--> PAGE_EVICTED --load--> …
 *
 * A call that needs a page which never was read would stall the loop: a failure. One that was there
 * and went (the kernel may drop any page at any time) stalls it too, but is nobody's fault. Bytes
 * are a function of (content number, offset), so that files cost nothing and receivers can check
 * them.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "loop/sim_disk.h"

enum {
    CONTENT_BLOCK = 1 << 16,
    CONTENT_SPREAD = 1 << 18,
    EXTENT_PAGES = 64,         /* what is cold or warm together at first */
    EXTENT_PAGES_COARSE = 256, /* and where only probes can tell: they are sparse */
    READAHEAD_PAGES = 32,      /* what a failed read_now at a file's start begins to read */
    LINKS_MAX = 8,
};

/* ---- Content --------------------------------------------------------------------------------- */

static const char *content_at(uint64_t content, uint64_t offset, size_t *size)
{
    static _Thread_local char bytes[CONTENT_SPREAD + CONTENT_BLOCK];
    static _Thread_local bool is_filled;
    if (!is_filled) {
        struct random random;
        random_init(&random, 0x6c656174);
        for (size_t index = 0; index < sizeof bytes; index += sizeof(uint64_t)) {
            const uint64_t word = random_next(&random);
            memcpy(bytes + index, &word, sizeof word);
        }
        is_filled = true;
    }
    const uint64_t start = random_mix(content * 31 + offset / CONTENT_BLOCK) % CONTENT_SPREAD;
    const size_t inside = (size_t)(offset % CONTENT_BLOCK), left = CONTENT_BLOCK - inside;
    if (*size > left)
        *size = left;
    return bytes + start + inside;
}

void sim_content(uint64_t content, uint64_t offset, void *ret_data, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t part = size - done;
        const char *bytes = content_at(content, offset + done, &part);
        memcpy((char *)ret_data + done, bytes, part);
        done += part;
    }
}

bool sim_content_equal(uint64_t content, uint64_t offset, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t part = size - done;
        const char *bytes = content_at(content, offset + done, &part);
        if (memcmp((const char *)data + done, bytes, part) != 0)
            return false;
        done += part;
    }
    return true;
}

void sim_node_copy(const struct sim_node *node, uint64_t offset, void *data, size_t size)
{
    if (size == 0) /* at the end, or beyond it */
        return;
    ASSERT(offset + size <= node->size);
    if (node->bytes)
        memcpy(data, node->bytes + offset, size);
    else
        sim_content(node->content, offset, data, size);
}

/* ---- The tree -------------------------------------------------------------------------------- */

struct sim_node *sim_node_new(struct sim *sim, enum node_kind kind, struct sim_node *parent,
                              const char *name, size_t name_size)
{
    struct sim_node *node = calloc(1, sizeof *node);
    ASSERT(node != NULL);
    node->kind = kind;
    node->memory_fd = -1;
    node->name = strndup(name, name_size);
    ASSERT(node->name != NULL);
    node->parent = parent ? parent : node;
    node->inode = ++sim->next_inode;
    node->mtime_ns = INT64_C(1700000000) * LEAT_NS_PER_S;
    list_init(&node->children);
    list_init(&node->siblings);
    list_init(&node->opens);
    list_push_back(&sim->nodes, &node->node);
    if (parent)
        list_push_back(&parent->children, &node->siblings);
    return node;
}

struct sim_node *sim_node_child(struct sim_node *directory, const char *name, size_t size)
{
    LIST_FOR_EACH (link, &directory->children) {
        struct sim_node *child = CONTAINER_OF(link, struct sim_node, siblings);
        if (strlen(child->name) == size && memcmp(child->name, name, size) == 0)
            return child;
    }
    return NULL;
}

/* 0 and where the path leads to, or -errno as openat2(2) with RESOLVE_BENEATH. */
int sim_walk(struct sim_walk *walking, struct sim_node *from, const char *path,
             struct sim_node **ret_node)
{
    if (path[0] == '/' && walking->top)
        return -EXDEV;
    struct sim_node *node = path[0] == '/' ? walking->sim->root : from;
    while (*path) {
        const size_t size = strcspn(path, "/");
        const char *name = path;
        path += size + (path[size] == '/');
        if (size == 0 || (size == 1 && name[0] == '.'))
            continue;
        if (node->kind != NODE_DIRECTORY)
            return -ENOTDIR;
        if (size >= SIM_NAME_SIZE_MAX)
            return -ENAMETOOLONG;
        if (size == 2 && name[0] == '.' && name[1] == '.') {
            if (node == walking->top)
                return -EXDEV;
            node = node->parent;
            continue;
        }
        struct sim_node *child = sim_node_child(node, name, size);
        if (!child)
            return -ENOENT;
        if (child->kind == NODE_LINK) {
            if (++walking->links > LINKS_MAX)
                return -ELOOP;
            int error = sim_walk(walking, node, child->target, &child);
            if (error)
                return error;
        }
        node = child;
    }
    *ret_node = node;
    return 0;
}

/* The folder of a new entry, made where it is missing, and the entry's name. */
static struct sim_node *make_way(struct sim *sim, const char *path, const char **ret_name)
{
    struct sim_node *node = sim->root;
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
        const size_t size = (size_t)(slash - path);
        struct sim_node *child = sim_node_child(node, path, size);
        if (!child) {
            child = sim_node_new(sim, NODE_DIRECTORY, node, path, size);
            sim_node_keep_name(child);
        }
        node = child;
    }
    *ret_name = path;
    return node;
}

void sim_node_set_pages(struct sim *sim, struct sim_node *node, uint64_t size, bool may_be_cold)
{
    const size_t count = (size_t)((size + SIM_PAGE - 1) / SIM_PAGE);
    if (count > node->page_count || !node->pages) {
        uint8_t *pages = realloc(node->pages, count ? count : 1);
        ASSERT(pages != NULL);
        node->pages = pages;
    }
    const size_t extent = sim->has_cachestat ? EXTENT_PAGES : EXTENT_PAGES_COARSE;
    bool is_cold = false;
    for (size_t page = node->page_count; page < count; page++) {
        if (page % extent == 0)
            is_cold = may_be_cold && sim_chance(sim, sim->profile.cold);
        node->pages[page] = is_cold ? PAGE_COLD : PAGE_WARM;
    }
    node->page_count = count;
    node->size = size;
}

static struct sim_node *add_node(struct sim *sim, enum node_kind kind, const char *path)
{
    const char *name;
    struct sim_node *directory = make_way(sim, path, &name);
    if (sim_node_child(directory, name, strlen(name)))
        return NULL;
    struct sim_node *node = sim_node_new(sim, kind, directory, name, strlen(name));
    sim_node_keep_name(node);
    return node;
}

int sim_file_add(struct sim *sim, const char *path, uint64_t content, uint64_t size)
{
    struct sim_node *node = add_node(sim, NODE_FILE, path);
    if (!node)
        return -EEXIST;
    node->content = content;
    sim_node_set_pages(sim, node, size, true);
    return 0;
}

int sim_directory_add(struct sim *sim, const char *path)
{
    return add_node(sim, NODE_DIRECTORY, path) ? 0 : -EEXIST;
}

int sim_symlink_add(struct sim *sim, const char *path, const char *target)
{
    struct sim_node *node = add_node(sim, NODE_LINK, path);
    if (!node)
        return -EEXIST;
    node->target = strdup(target);
    ASSERT(node->target != NULL);
    return 0;
}

static int find_file(struct sim *sim, const char *path, struct sim_node **ret_node)
{
    struct sim_walk walking = {.sim = sim};
    struct sim_node *node;
    int error = sim_walk(&walking, sim->root, path, &node);
    if (!error && node->kind != NODE_FILE)
        error = -EISDIR;
    if (!error)
        *ret_node = node;
    return error;
}

int sim_file_resize(struct sim *sim, const char *path, uint64_t size)
{
    struct sim_node *node;
    int error = find_file(sim, path, &node);
    if (error)
        return error;
    if (node->bytes)
        sim_node_set_size(sim, node, size);
    else
        sim_node_set_pages(sim, node, size, false);
    node->mtime_ns += LEAT_NS_PER_S;
    return 0;
}

int sim_file_remove(struct sim *sim, const char *path)
{
    struct sim_node *node;
    int error = find_file(sim, path, &node);
    if (!error) {
        list_remove(&node->siblings); /* whoever has it open keeps it; it ends with the world */
        node->parent = node->kept.parent = NULL;
    }
    return error;
}

int sim_file_touch(struct sim *sim, const char *path, int64_t mtime_ns)
{
    struct sim_node *node;
    int error = find_file(sim, path, &node);
    if (!error)
        node->mtime_ns = mtime_ns;
    return error;
}

const char *sim_file_bytes(struct sim *sim, const char *path, size_t *ret_size)
{
    struct sim_node *node;
    if (find_file(sim, path, &node) != 0 || (!node->is_appended && !node->is_written))
        return NULL;
    *ret_size = (size_t)node->size;
    return node->bytes ? node->bytes : "";
}

void sim_disk_bound(struct sim *sim, size_t room)
{
    sim->is_disk_bounded = true;
    sim->disk_room = room;
}

int sim_file_cool(struct sim *sim, const char *path)
{
    struct sim_node *node;
    int error = find_file(sim, path, &node);
    for (size_t page = 0; !error && page < node->page_count; page++)
        if (node->pages[page] != PAGE_LOADING)
            node->pages[page] = PAGE_COLD;
    return error;
}

/* ---- The page cache and the disk ------------------------------------------------------------- */

static void load_ends(struct sim *sim, void *target, uint64_t range)
{
    struct sim_node *node = target;
    const size_t first = range >> 32, end = range & UINT32_MAX;
    for (size_t page = first; page < end && page < node->page_count; page++)
        if (node->pages[page] == PAGE_LOADING)
            node->pages[page] = PAGE_WARM;
    LIST_FOR_EACH (link, &node->opens)
        sim_kick(sim, CONTAINER_OF(link, struct sim_object, accept_node));
}

/* Asks the disk for what of pages [first, end) is neither there nor on its way. */
static void load(struct sim *sim, struct sim_node *node, size_t first, size_t end)
{
    size_t count = 0;
    if (end > node->page_count)
        end = node->page_count;
    for (size_t page = first; page < end; page++) {
        if (node->pages[page] != PAGE_COLD && node->pages[page] != PAGE_EVICTED)
            continue;
        node->pages[page] = PAGE_LOADING;
        count++;
    }
    if (count == 0)
        return;
    sim->report.loads++;
    const int64_t begin_ns = sim->disk_free_ns > sim->now_ns ? sim->disk_free_ns : sim->now_ns;
    const uint64_t latency_us = sim->profile.disk_latency_us;
    const uint64_t rate = sim->profile.disk_bytes_per_ms;
    sim->disk_free_ns = begin_ns + sim_draw_us(sim, latency_us / 2, latency_us + latency_us / 2) +
                        (int64_t)(count * SIM_PAGE * LEAT_NS_PER_MS / rate);
    sim_schedule(sim, sim->disk_free_ns, load_ends, node, (uint64_t)first << 32 | end);
}

static void pages_of(const struct sim_node *node, uint64_t offset, size_t size, size_t *ret_first,
                     size_t *ret_end)
{
    uint64_t end = offset + size;
    if (end > node->size)
        end = node->size;
    *ret_first = (size_t)(offset / SIM_PAGE);
    *ret_end = offset < end ? (size_t)((end + SIM_PAGE - 1) / SIM_PAGE) : *ret_first;
}

/* Pages from `first` on that are in the cache. */
static size_t warm_until(const struct sim_node *node, size_t first, size_t end)
{
    while (first < end && node->pages[first] == PAGE_WARM)
        first++;
    return first;
}

/* The kernel needs memory: a page of the range goes. */
static void maybe_evict(struct sim *sim, struct sim_node *node, size_t first, size_t end)
{
    if (first == end || node->is_memory || !sim_chance(sim, sim->profile.evicted))
        return;
    const size_t page = random_between(&sim->random, first, end - 1);
    if (node->pages[page] == PAGE_WARM)
        node->pages[page] = PAGE_EVICTED;
}

size_t sim_disk_left(const struct sim_object *object, uint64_t offset, size_t size)
{
    const uint64_t file_size = object->file->size;
    if (offset >= file_size)
        return 0;
    return size < file_size - offset ? size : (size_t)(file_size - offset);
}

ssize_t sim_disk_copy(struct sim *sim, struct sim_object *object, uint64_t offset, void *data,
                      size_t size)
{
    struct sim_node *node = object->file;
    const size_t count = sim_disk_left(object, offset, size);
    size_t first, end;
    pages_of(node, offset, count, &first, &end);
    maybe_evict(sim, node, first, end);
    for (size_t page = first; page < end; page++) {
        if (node->pages[page] == PAGE_COLD || node->pages[page] == PAGE_LOADING)
            sim_fail(sim,
                     "a call on descriptor %d stalls the loop: page %zu of %zu is not in memory",
                     object->fd - SIM_FD_BASE, page, node->page_count);
        if (node->pages[page] != PAGE_WARM) {
            sim->now_ns +=
                sim_draw_us(sim, sim->profile.disk_latency_us / 2, sim->profile.disk_latency_us);
            node->pages[page] = PAGE_WARM;
        }
    }
    sim_node_copy(node, offset, data, count);
    return (ssize_t)count;
}

static bool has_read_error(struct sim *sim)
{
    const bool has = sim_chance(sim, sim->profile.read_error);
    sim->report.read_errors += has;
    return has;
}

/* Side effect: what is missing is asked for, and the file's next kick looks again. */
bool sim_disk_is_ready(struct sim *sim, const struct sim_record *record)
{
    if (record->object->kind != SIM_FILE)
        return true;
    struct sim_node *node = record->object->file;
    size_t first, end;
    pages_of(node, record->offset, record->size, &first, &end);
    if (warm_until(node, first, end) == end)
        return true;
    load(sim, node, first, end);
    return false;
}

int32_t sim_disk_perform(struct sim *sim, struct sim_record *record)
{
    struct sim_object *object = record->object;
    if (object->kind != SIM_FILE)
        return object->kind == SIM_DIRECTORY ? -EISDIR : -EINVAL;
    if (has_read_error(sim))
        return -EIO;
    if (record->kind == OP_FILL)
        return 0;
    struct sim_node *node = object->file;
    size_t count = sim_disk_left(object, record->offset, record->size);
    if (count > 1 && sim_chance(sim, sim->profile.short_read))
        count = random_between(&sim->random, 1, count);
    sim_node_copy(node, record->offset, record->data, count);
    return (int32_t)count;
}

/* The range is read, which takes the job its time. */
void sim_node_load(struct sim *sim, struct sim_node *node, uint64_t offset, size_t size)
{
    size_t first, end;
    pages_of(node, offset, size, &first, &end);
    load(sim, node, first, end);
    if (warm_until(node, first, end) < end && sim->disk_free_ns > sim->now_ns)
        sim->job_cost_ns += sim->disk_free_ns - sim->now_ns;
}

/* ---- The plain calls ------------------------------------------------------------------------- */

struct sim_object *sim_file_object(const struct backend_sys *sys, int fd, const char *call)
{
    struct sim_object *object = sim_object(sim_of_sys(sys), fd, call);
    return object && object->kind == SIM_FILE ? object : NULL;
}

static ssize_t sys_read_now(const struct backend_sys *sys, int fd, void *data, size_t size,
                            uint64_t offset)
{
    struct sim *sim = sim_of_sys(sys);
    struct sim_object *object = sim_file_object(sys, fd, "read_now");
    if (!object)
        return -EBADF;
    struct sim_node *node = object->file;
    size_t first, end, count = sim_disk_left(object, offset, size);
    pages_of(node, offset, count, &first, &end);
    maybe_evict(sim, node, first, end);
    const size_t warm = warm_until(node, first, end);
    if (warm < end) /* a look at what is not there starts to read it, as Linux does */
        load(sim, node, warm, warm + (warm == 0 ? READAHEAD_PAGES : 1));
    ssize_t result = (ssize_t)count;
    if (count > 0 && warm == first)
        result = -EAGAIN;
    else if (warm < end)
        result = (ssize_t)(warm * SIM_PAGE - offset);
    if (result > 0)
        sim_node_copy(node, offset, data, (size_t)result);
    sim_trace(sim, "read-now", fd, result, NULL, 0);
    return result;
}

static ssize_t sys_resident(const struct backend_sys *sys, int fd, uint64_t offset, size_t size)
{
    struct sim *sim = sim_of_sys(sys);
    struct sim_object *object = sim_file_object(sys, fd, "resident");
    if (!object)
        return -EBADF;
    if (!sim->has_cachestat)
        return -ENOSYS;
    const struct sim_node *node = object->file;
    size_t first, end, resident = 0;
    pages_of(node, offset, size, &first, &end);
    const uint64_t range_end = offset + sim_disk_left(object, offset, size);
    for (size_t page = first; page < end; page++) {
        if (node->pages[page] != PAGE_WARM && node->pages[page] != PAGE_LOADING)
            continue;
        const uint64_t begin = (uint64_t)page * SIM_PAGE, stop = begin + SIM_PAGE;
        resident +=
            (size_t)((stop < range_end ? stop : range_end) - (begin > offset ? begin : offset));
    }
    sim_trace(sim, "resident", fd, (int64_t)resident, NULL, 0);
    return (ssize_t)resident;
}

int sim_node_open(struct sim *sim, struct sim_node *node, unsigned process)
{
    struct sim_object *object =
        sim_object_new(sim, node->kind == NODE_DIRECTORY ? SIM_DIRECTORY : SIM_FILE);
    object->file = node;
    object->process = process;
    list_push_back(&node->opens, &object->accept_node);
    const int fd = sim_fd_open(sim, object);
    if (fd < 0)
        list_remove(&object->accept_node);
    return fd;
}

static int sys_open(const struct backend_sys *sys, int directory_fd, const char *path,
                    enum backend_open flags)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "open");
    struct sim_node *from, *node;
    unsigned process;
    int result = sim_directory_of(sim, directory_fd, "open", &from, &process);
    if (result)
        return result;
    struct sim_walk walking = {.sim = sim, .top = flags & BACKEND_OPEN_BENEATH ? from : NULL};
    result = path[0] ? sim_walk(&walking, from, path, &node) : -ENOENT;
    if (result == -ENOENT && strcmp(path, SIM_BOOT_ID_PATH) == 0) {
        node = sim_boot_id(sim);
        result = 0;
    }
    if (result == 0 && (flags & BACKEND_OPEN_DIRECTORY) && node->kind != NODE_DIRECTORY)
        result = -ENOTDIR;
    if (result == 0 && sim_chance(sim, sim->profile.accept_error))
        result = -EMFILE;
    if (result == 0)
        result = sim_node_open(sim, node, process);
    sim_trace(sim, "open", -1, result, path, strlen(path));
    return result;
}

static struct backend_stat stat_of(const struct sim_node *node)
{
    return (struct backend_stat){
        .device = 1,
        .inode = node->inode,
        .size = node->size,
        .mtime_ns = node->mtime_ns,
        .is_directory = node->kind == NODE_DIRECTORY,
        .is_regular = node->kind == NODE_FILE,
    };
}

static int sys_stat(const struct backend_sys *sys, int fd, struct backend_stat *ret_stat)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "stat");
    const struct sim_object *object = sim_object(sim, fd, "stat");
    if (!object || !object->file)
        return -EBADF;
    *ret_stat = stat_of(object->file);
    return 0;
}

static int sys_stat_at(const struct backend_sys *sys, int directory_fd, const char *name,
                       struct backend_stat *ret_stat)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "stat");
    const struct sim_object *object = sim_object(sim, directory_fd, "stat");
    if (!object || object->kind != SIM_DIRECTORY)
        return object ? -ENOTDIR : -EBADF;
    const struct sim_node *child = sim_node_child(object->file, name, strlen(name));
    if (!child)
        return -ENOENT;
    *ret_stat = stat_of(child);
    return 0;
}

/* In a job: the time it takes is added to the job's, and the pages are there afterwards. */
static ssize_t sys_read(const struct backend_sys *sys, int fd, void *data, size_t size,
                        uint64_t offset)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "read");
    struct sim_object *object = sim_file_object(sys, fd, "read");
    if (!object)
        return -EBADF;
    if (has_read_error(sim))
        return -EIO;
    size_t count = sim_disk_left(object, offset, size);
    if (count > 1 && sim_chance(sim, sim->profile.short_read))
        count = random_between(&sim->random, 1, count);
    sim_node_load(sim, object->file, offset, count);
    sim_node_copy(object->file, offset, data, count);
    return (ssize_t)count;
}

static int sys_readahead(const struct backend_sys *sys, int fd, uint64_t offset, size_t size)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "readahead");
    struct sim_object *object = sim_file_object(sys, fd, "readahead");
    if (!object)
        return -EBADF;
    size_t first, end;
    pages_of(object->file, offset, size, &first, &end);
    load(sim, object->file, first, end);
    return 0;
}

static int sys_list(const struct backend_sys *sys, int fd, backend_entry_fn entry, void *user)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "list");
    struct sim_object *object = sim_object(sim, fd, "list");
    if (!object || object->kind != SIM_DIRECTORY)
        return object ? -ENOTDIR : -EBADF;
    LIST_FOR_EACH (link, &object->file->children) {
        const struct sim_node *child = CONTAINER_OF(link, struct sim_node, siblings);
        if (!entry(child->name, child->kind == NODE_DIRECTORY, user))
            break;
    }
    return 0;
}

static int sys_create(const struct backend_sys *sys, const char *name)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "create");
    struct sim_node *node = sim_node_new(sim, NODE_FILE, NULL, name, strlen(name));
    node->is_memory = true;
    sim_node_set_size(sim, node, 0);
    return sim_node_open(sim, node, sim->process);
}

static ssize_t sys_write(const struct backend_sys *sys, int fd, const void *data, size_t size,
                         uint64_t offset)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "write");
    struct sim_object *object = sim_file_object(sys, fd, "write");
    if (!object)
        return -EBADF;
    struct sim_node *node = object->file;
    if (!node->is_memory && !object->is_writable)
        return -EBADF; /* open() gives read only descriptors */
    if (node->is_sealed)
        return -EPERM;
    return sim_node_write(sim, node, data, size, offset);
}

static int sys_open_append(const struct backend_sys *sys, const char *path)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "open_append");
    struct sim_walk walking = {.sim = sim};
    struct sim_node *node;
    if (!path)
        path = "stdout";
    int result = sim_walk(&walking, sim->root, path, &node);
    if (result == -ENOENT && (node = add_node(sim, NODE_FILE, path))) {
        sim_node_set_size(sim, node, 0);
        node->is_appended = true;
        result = 0;
    }
    if (result == 0 && !node->is_appended) /* its bytes are a function, nobody can add to them */
        result = node->kind == NODE_DIRECTORY ? -EISDIR : -EACCES;
    if (result == 0)
        result = sim_node_open(sim, node, sim->process);
    sim_trace(sim, "open-append", -1, result, path, strlen(path));
    return result;
}

static ssize_t sys_append(const struct backend_sys *sys, int fd, const void *data, size_t size,
                          int wait_ms)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "append");
    struct sim_object *object = sim_file_object(sys, fd, "append");
    if (!object || !object->file->is_appended)
        return -EBADF;
    if (sim->is_disk_bounded && size > sim->disk_room)
        size = sim->disk_room;
    if (size == 0)
        return -ENOSPC;
    const ssize_t result = sim_node_write(sim, object->file, data, size, object->file->size);
    if (sim->is_disk_bounded && result > 0)
        sim->disk_room -= (size_t)result;
    return result;
}

static int64_t sys_wall_ns(const struct backend_sys *sys)
{
    return sim_wall_ns(sim_of_sys(sys));
}

static int64_t sys_thread_cpu_ns(const struct backend_sys *sys)
{
    return sim_now_ns(sim_of_sys(sys));
}

static int sys_seal(const struct backend_sys *sys, int fd)
{
    sim_may_block(sim_of_sys(sys), "seal");
    struct sim_object *object = sim_file_object(sys, fd, "seal");
    if (!object)
        return -EBADF;
    if (!object->file->is_memory)
        return -EINVAL;
    object->file->is_sealed = true;
    return 0;
}

static void sys_close(const struct backend_sys *sys, int fd)
{
    struct sim *sim = sim_of_sys(sys);
    struct sim_object *object = sim_object(sim, fd, "close");
    if (!object)
        return;
    if (!object->file) {
        sim_fail(sim, "descriptor %d is no file; backend_sys.close is for files", fd - SIM_FD_BASE);
        return;
    }
    if (sim_fd_close(sim, object, fd))
        sim_disk_close(object);
}

/* Its last descriptor is gone, and with it its lock. */
void sim_disk_close(struct sim_object *object)
{
    if (object->file->locker == object)
        object->file->locker = NULL;
    list_remove(&object->accept_node);
    object->kind = SIM_CLOSED;
}

void sim_disk_sys(struct backend_sys *sys)
{
    sys->read_now = sys_read_now;
    sys->resident = sys_resident;
    sys->open = sys_open;
    sys->stat = sys_stat;
    sys->stat_at = sys_stat_at;
    sys->read = sys_read;
    sys->readahead = sys_readahead;
    sys->list = sys_list;
    sys->create = sys_create;
    sys->write = sys_write;
    sys->open_append = sys_open_append;
    sys->append = sys_append;
    sys->wall_ns = sys_wall_ns;
    sys->thread_cpu_ns = sys_thread_cpu_ns;
    sys->seal = sys_seal;
    sys->close = sys_close;
}

void sim_disk_init(struct sim *sim)
{
    list_init(&sim->nodes);
    list_init(&sim->mappings);
    sim->root = sim_node_new(sim, NODE_DIRECTORY, NULL, "", 0);
}

void sim_disk_fini(struct sim *sim)
{
    sim_mappings_fini(sim);
    struct list_node *link;
    while ((link = list_take_front(&sim->nodes))) {
        struct sim_node *node = CONTAINER_OF(link, struct sim_node, node);
        sim_node_fini(node);
        free(node->name);
        free(node->target);
        free(node->pages);
        free(node);
    }
}
