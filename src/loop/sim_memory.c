/* SPDX-License-Identifier: MIT */
/*
 * The bytes of simulated files, and mappings of them. A file that nobody has mapped shared is a
 * piece of heap; from then on it is memory of the host's (memfd), so that each mapping is a real
 * one: it sees what others write, it ends for good, and beyond the file's end it is SIGBUS. A
 * mapping of backend_sys.map is a copy, so that ASan sees who uses it after its end.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "loop/sim_disk.h"

struct mapping {
    struct list_node node; /* in sim->mappings */
    char *data;
    size_t size;
    bool is_copy;
    struct sim_node *file; /* NULL: of none */
    unsigned process;
};

static size_t whole_pages(uint64_t size)
{
    return (size_t)((size + SIM_PAGE - 1) / SIM_PAGE * SIM_PAGE);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void *map_memory(int fd, size_t size, bool is_writable)
{
    const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    const int access = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *data = mmap(NULL, size, access, flags, fd, 0);
    ASSERT(data != MAP_FAILED); /* a test's memory */
    return data;
}

/* Room for `size` bytes; those beyond the file's size are 0. */
static void make_room(struct sim_node *node, uint64_t size)
{
    const size_t room = node->bytes_room;
    if (node->bytes && size <= room)
        return;
    const size_t wanted = whole_pages(size ? size + size / 2 : 1);
    if (node->memory_fd >= 0) {
        munmap(node->bytes, room);
        node->bytes = map_memory(node->memory_fd, wanted, true);
    } else {
        char *bytes = realloc(node->bytes, wanted);
        ASSERT(bytes != NULL);
        const size_t begin = node->bytes ? room : 0;
        memset(bytes + begin, 0, wanted - begin);
        node->bytes = bytes;
    }
    node->bytes_room = wanted;
}

/* From a content number to bytes of its own. */
static void make_bytes(struct sim_node *node)
{
    if (node->bytes || node->kind != NODE_FILE)
        return;
    char *bytes = calloc(1, whole_pages(node->size + 1));
    ASSERT(bytes != NULL);
    sim_node_copy(node, 0, bytes, (size_t)node->size);
    node->bytes = bytes;
    node->bytes_room = whole_pages(node->size + 1);
}

void sim_node_set_size(struct sim *sim, struct sim_node *node, uint64_t size)
{
    make_bytes(node);
    if (node->memory_fd >= 0)
        ASSERT(ftruncate(node->memory_fd, (off_t)size) == 0);
    else if (size < node->size)
        memset(node->bytes + size, 0, (size_t)(node->size - size));
    make_room(node, size);
    sim_node_set_pages(sim, node, size, false);
}

/* What of a write the disk has room for. */
static size_t take_room(struct sim *sim, struct sim_node *node, uint64_t offset, size_t size)
{
    const uint64_t has = node->size > node->allocated ? node->size : node->allocated;
    if (!sim->is_disk_bounded || !node->is_written || offset + size <= has)
        return size;
    const uint64_t needed = offset + size - has;
    const uint64_t granted = needed < sim->disk_room ? needed : sim->disk_room;
    sim->disk_room -= (size_t)granted;
    const uint64_t missing = needed - granted;
    return missing < size ? size - (size_t)missing : 0;
}

ssize_t sim_node_write(struct sim *sim, struct sim_node *node, const void *data, size_t size,
                       uint64_t offset)
{
    if (size > 1 && sim_chance(sim, sim->profile.short_send))
        size = random_between(&sim->random, 1, size);
    const size_t wanted = size;
    size = take_room(sim, node, offset, size);
    if (size == 0 && wanted > 0)
        return -ENOSPC;
    if (offset + size > node->size)
        sim_node_set_size(sim, node, offset + size);
    memcpy(node->bytes + offset, data, size);
    return (ssize_t)size;
}

void sim_node_fini(struct sim_node *node)
{
    if (node->memory_fd >= 0) {
        munmap(node->bytes, node->bytes_room);
        close(node->memory_fd);
    } else {
        free(node->bytes);
    }
    free(node->kept.name);
    free(node->kept.bytes);
}

/* The same bytes, in memory that can be mapped. */
static void make_shareable(struct sim_node *node)
{
    if (node->memory_fd >= 0)
        return;
    make_bytes(node);
    const int fd = memfd_create("sim", MFD_CLOEXEC);
    ASSERT(fd >= 0 && ftruncate(fd, (off_t)node->size) == 0);
    char *bytes = map_memory(fd, node->bytes_room, true);
    memcpy(bytes, node->bytes, (size_t)node->size);
    free(node->bytes);
    node->bytes = bytes;
    node->memory_fd = fd;
}

/* ---- Mappings -------------------------------------------------------------------------------- */

static void *mapping_new(struct sim *sim, const struct mapping *like)
{
    struct mapping *mapping = malloc(sizeof *mapping);
    ASSERT(mapping != NULL);
    *mapping = *like;
    list_push_back(&sim->mappings, &mapping->node);
    return mapping->data;
}

static void mapping_free(struct mapping *mapping)
{
    list_remove(&mapping->node);
    if (mapping->is_copy)
        free(mapping->data);
    else
        munmap(mapping->data, mapping->size);
    free(mapping);
}

static int sys_map(const struct backend_sys *sys, int fd, size_t size, const void **ret_data)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "map");
    struct sim_object *object = sim_file_object(sys, fd, "map");
    if (!object)
        return -EBADF;
    if (size == 0)
        return -EINVAL;
    struct mapping mapping = {
        .data = calloc(1, size),
        .size = size,
        .is_copy = true,
        .process = object->process,
    };
    if (!mapping.data)
        return -ENOMEM;
    sim_node_copy(object->file, 0, mapping.data, sim_disk_left(object, 0, size));
    *ret_data = mapping_new(sim, &mapping);
    return 0;
}

static int sys_map_shared(const struct backend_sys *sys, int fd, size_t size, bool is_writable,
                          void **ret_data)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "map_shared");
    ASSERT(size > 0);
    struct mapping mapping = {.size = size, .process = sim->process};
    int memory_fd = -1;
    if (fd >= 0) {
        struct sim_object *object = sim_file_object(sys, fd, "map_shared");
        if (!object)
            return -EBADF;
        if (is_writable && !object->is_writable && !object->file->is_memory)
            return -EACCES;
        make_shareable(object->file);
        mapping.file = object->file;
        mapping.process = object->process;
        memory_fd = object->file->memory_fd;
    }
    mapping.data = map_memory(memory_fd, size, is_writable);
    *ret_data = mapping_new(sim, &mapping);
    return 0;
}

static struct mapping *find_mapping(struct sim *sim, const void *data, size_t size)
{
    LIST_FOR_EACH (node, &sim->mappings) {
        struct mapping *mapping = CONTAINER_OF(node, struct mapping, node);
        const uintptr_t begin = (uintptr_t)mapping->data, at = (uintptr_t)data;
        if (at >= begin && at - begin <= mapping->size && size <= mapping->size - (at - begin))
            return mapping;
    }
    return NULL;
}

static void sys_unmap(const struct backend_sys *sys, const void *data, size_t size)
{
    struct sim *sim = sim_of_sys(sys);
    if (!data)
        return;
    struct mapping *mapping = find_mapping(sim, data, size);
    if (mapping && mapping->data == data && mapping->size == size)
        mapping_free(mapping);
    else
        sim_fail(sim, "unmap of %zu bytes that were never mapped, or not like this", size);
}

static int sys_prefault(const struct backend_sys *sys, void *data, size_t size, bool is_writable)
{
    struct sim *sim = sim_of_sys(sys);
    sim_may_block(sim, "prefault");
    ASSERT((uintptr_t)data % SIM_PAGE == 0);
    const struct mapping *mapping = find_mapping(sim, data, size);
    if (!mapping) {
        sim_fail(sim, "prefault of %zu bytes that are not mapped", size);
        return -ENOMEM;
    }
    if (!mapping->file)
        return 0;
    const uint64_t offset = (uint64_t)((const char *)data - mapping->data);
    if (offset + size > whole_pages(mapping->file->size))
        return -EFAULT;
    if (sim_chance(sim, sim->profile.read_error)) {
        sim->report.read_errors++;
        return -EFAULT;
    }
    sim_node_load(sim, mapping->file, offset, size);
    return 0;
}

/* The bytes stay what they were for who goes on reading them; they are just nobody else's. */
static void detach(struct mapping *mapping)
{
    const size_t there = whole_pages(mapping->file->size);
    const size_t size = there < mapping->size ? there : mapping->size;
    char *bytes = malloc(size + 1);
    ASSERT(bytes != NULL);
    memcpy(bytes, mapping->data, size);
    const void *data = mmap(mapping->data, mapping->size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    ASSERT(data == mapping->data);
    memcpy(mapping->data, bytes, size);
    free(bytes);
    mapping->file = NULL;
}

void sim_mappings_detach(struct sim *sim, unsigned process)
{
    LIST_FOR_EACH (node, &sim->mappings) {
        struct mapping *mapping = CONTAINER_OF(node, struct mapping, node);
        if (mapping->process == process && mapping->file)
            detach(mapping);
    }
}

void sim_mappings_fini(struct sim *sim)
{
    if (!list_is_empty(&sim->mappings))
        sim_fail(sim, "a mapping was never unmapped");
    while (!list_is_empty(&sim->mappings))
        mapping_free(CONTAINER_OF(sim->mappings.next, struct mapping, node));
}

void sim_memory_sys(struct backend_sys *sys)
{
    sys->map = sys_map;
    sys->map_shared = sys_map_shared;
    sys->unmap = sys_unmap;
    sys->prefault = sys_prefault;
}
