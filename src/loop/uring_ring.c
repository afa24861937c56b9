/* SPDX-License-Identifier: MIT */
/*
 * The ring and its receive buffers. A kernel is asked for all that helps, and for less when it
 * declines; below Linux 5.19 (no buffer rings) the backend declines itself, and epoll takes over.
 * Owner and thread: the backend's.
 */
#include "loop/uring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "mem/poison.h"

unsigned uring_refuse;

enum {
    BUFFER_GROUP = 0,
    COMPLETIONS_A_SUBMISSION = 4, /* many-kinds complete often; the kernel keeps what is beyond */
    BUFFERS_MAX = 32 * 1024,      /* the kernel's limit, and what fits a completion's flags */
};

/* ---- The ring -------------------------------------------------------------------------------- */

/* DEFER_TASKRUN: the kernel's half of a completion runs when we wait, in our thread and in batches,
 * never in the midst of our work. COOP_TASKRUN at least does not interrupt us for it. */
static int ring_setup(struct backend *backend, unsigned queue_entries)
{
    static const struct {
        unsigned flags, refusals;
    } ways[] = {
        {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
         URING_REFUSE_SINGLE_ISSUER | URING_REFUSE_DEFER_TASKRUN},
        {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, URING_REFUSE_SINGLE_ISSUER},
        {IORING_SETUP_COOP_TASKRUN, 0},
    };
    int error = -EINVAL;
    for (unsigned index = 0; error == -EINVAL && index < sizeof ways / sizeof ways[0]; index++) {
        if (ways[index].refusals & backend->refused)
            continue;
        struct io_uring_params params = {
            .flags = ways[index].flags | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                     IORING_SETUP_CLAMP,
            .cq_entries = queue_entries * COMPLETIONS_A_SUBMISSION,
        };
        error = io_uring_queue_init_params(queue_entries, &backend->ring, &params);
    }
    if (error)
        return error == -EINVAL ? -ENOSYS : error;
    backend->features.single_issuer = backend->ring.flags & IORING_SETUP_SINGLE_ISSUER;
    backend->features.defer_taskrun = backend->ring.flags & IORING_SETUP_DEFER_TASKRUN;
    return 0;
}

/* Flags of operations cannot be asked for, opcodes can: each stands for the release it came in. */
static int ring_probe(struct backend *backend)
{
    const unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;
    if ((backend->ring.features & needed) != needed)
        return -ENOSYS;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&backend->ring);
    if (!probe)
        return -ENOSYS;
    const bool is_5_19 = io_uring_opcode_supported(probe, IORING_OP_SOCKET);
    const bool is_6_0 = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);
    io_uring_free_probe(probe);
    const bool is_refused = backend->refused & URING_REFUSE_MULTISHOT;
    backend->features.multishot_accept = is_5_19 && !is_refused;
    backend->features.multishot_recv = is_6_0 && !is_refused;
    return 0;
}

int uring_ring_init(struct backend *backend, unsigned queue_entries)
{
    ASSERT(queue_entries > 0 && (queue_entries & (queue_entries - 1)) == 0);
    backend->refused = uring_refuse;
    int error = ring_setup(backend, queue_entries);
    if (error)
        return error;
    error = ring_probe(backend);
    if (error) {
        io_uring_queue_exit(&backend->ring);
        return error;
    }
    /* Spares each enter a look-up of the descriptor; without it all works. */
    (void)io_uring_register_ring_fd(&backend->ring);
    return 0;
}

void uring_ring_fini(struct backend *backend)
{
    io_uring_queue_exit(&backend->ring);
}

/* ---- Buffers --------------------------------------------------------------------------------- */

static size_t pages(size_t size)
{
    const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page_size - 1) & ~(page_size - 1);
}

static char *buffer_at(const struct uring_buffers *buffers, unsigned id)
{
    ASSERT(id < buffers->count);
    return buffers->data + (size_t)id * buffers->size;
}

int uring_buffers_init(struct uring_buffers *buffers, struct io_uring *ring, unsigned count,
                       unsigned size)
{
    ASSERT(count > 0 && count <= BUFFERS_MAX && (count & (count - 1)) == 0);
    ASSERT(size > 0);
    const size_t ring_size = pages(count * sizeof(struct io_uring_buf));
    const size_t mapped_size = ring_size + pages((size_t)count * size);
    /* Present from the start: a fault here would cost more than a whole small request. */
    char *memory = mmap(NULL, mapped_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)memory,
        .ring_entries = count,
        .bgid = BUFFER_GROUP,
    };
    int error = io_uring_register_buf_ring(ring, &registration, 0);
    if (error) {
        munmap(memory, mapped_size);
        return error == -EINVAL ? -ENOSYS : error;
    }
    *buffers = (struct uring_buffers){
        .ring = (struct io_uring_buf_ring *)(void *)memory,
        .data = memory + ring_size,
        .count = count,
        .size = size,
        .mapped_size = mapped_size,
    };
    io_uring_buf_ring_init(buffers->ring);
    for (unsigned id = 0; id < count; id++)
        uring_buffers_give(buffers, id);
    uring_buffers_publish(buffers);
    return 0;
}

void uring_buffers_fini(struct uring_buffers *buffers, struct io_uring *ring)
{
    if (!buffers->ring)
        return;
    io_uring_unregister_buf_ring(ring, BUFFER_GROUP);
    unpoison(buffers->data, (size_t)buffers->count * buffers->size);
    munmap(buffers->ring, buffers->mapped_size);
    buffers->ring = NULL;
}

struct leat_slice uring_buffers_borrow(struct uring_buffers *buffers, unsigned id, size_t size)
{
    ASSERT(size <= buffers->size);
    char *data = buffer_at(buffers, id);
    unpoison(data, size);
    return (struct leat_slice){.data = data, .size = size};
}

void uring_buffers_give(struct uring_buffers *buffers, unsigned id)
{
    char *data = buffer_at(buffers, id);
    ASSERT(buffers->unpublished < buffers->count);
    poison(data, buffers->size); /* the kernel's; the sanitizer does not see it write */
    io_uring_buf_ring_add(buffers->ring, data, buffers->size, (unsigned short)id,
                          io_uring_buf_ring_mask(buffers->count), (int)buffers->unpublished);
    buffers->unpublished++;
}

void uring_buffers_publish(struct uring_buffers *buffers)
{
    if (buffers->unpublished == 0)
        return;
    io_uring_buf_ring_advance(buffers->ring, (int)buffers->unpublished);
    buffers->unpublished = 0;
}
