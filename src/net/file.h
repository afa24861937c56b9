/* SPDX-License-Identifier: MIT */
/*
 * Files that are sent, and the open-file cache of a loop. Public half: leat/file.h.
 */
#ifndef NET_FILE_H
#define NET_FILE_H

#include <stdint.h>

#include "base/list.h"
#include "leat/file.h"
#include "loop/loop.h"

enum {
    FILE_CACHE_MAX = 1024,          /* entries a loop, */
    FILE_FAILURES_MAX = 64,         /* of which so many are of what is not there */
    FILE_FRESH_MS = 1000,           /* how long what was found is believed */
    FILE_PATH_MAX = 1024,           /* bytes; longer paths are -ENAMETOOLONG */
    FILE_VERDICTS_MAX = 1024,       /* a power of two */
    FILE_WINDOW_SIZE = 1024 * 1024, /* the unit in which residency is asked */
};

/* "This window of the file was in the page cache": believed until `expires_ns`. */
struct file_verdict {
    uint64_t window; /* its index + 1; 0: none */
    int64_t expires_ns;
};

/* A range that an OP_FILL is reading. */
struct file_fill {
    struct list_node node;
    uint64_t begin, end;
};

/* What a layer above keeps with a file, and lets go of with it. */
struct file_attachment {
    void (*drop)(struct file_attachment *attachment);
};

struct leat_file {
    struct leat_loop *loop;
    int fd;
    unsigned references; /* the cache's own included */
    struct leat_file_info info;
    /* Memory that somebody else owns (file_of_memory), who is told when it is needed no more; NULL:
     * the descriptor is the file's own. */
    void (*release)(void *user);
    void *user;
    unsigned fills;           /* of this loop, in flight: */
    struct list_node flights; /* struct file_fill */
    /* What a layer above has derived from `info` once, such as HTTP's validators. */
    unsigned memo_size;
    char memo[120];
    struct file_attachment *attachment; /* NULL: none */
    /* By window, modulo their number, which is a power of two: see net/residency.h. */
    unsigned verdict_count;
    struct file_verdict verdicts[];
};

/* Reading ahead that is under way on a loop: file_read.c. */
enum { FILE_HINTS_MAX = 4 };
struct file_hint {
    struct leat_file *file; /* held; NULL: the slot is free */
    uint64_t end;
    struct op op; /* the fill under way, */
    struct file_fill fill;
};
struct file_hints {
    struct file_hint hints[FILE_HINTS_MAX];
    bool is_ending;
};
/* NULL: no memory. */
struct file_hints *file_hints_of(struct leat_loop *loop);
/* The loop goes: returns when none is under way any more. */
void file_hints_end(struct leat_loop *loop, struct file_hints *hints);

/* A file that no root has: memory (memfd_create(2)), of which all bytes up to `size` are there and
 * stay as they are. The descriptor stays its owner's, until `release` is called when nobody on this
 * loop sends of it any more. For sending alone. -ENOMEM: and `release` is not called. */
int file_of_memory(int fd, uint64_t size, void (*release)(void *user), void *user,
                   struct leat_file **ret_file);

/* A file that no cache has: the descriptor is its own from now on, in any case. -ENOMEM. */
int file_adopt(int fd, const struct leat_file_info *info, struct leat_file **ret_file);

/* A root that outlives its owner's interest in it; in any thread. Returns it. */
struct leat_root *file_root_ref(struct leat_root *root);
void file_root_unref(struct leat_root *root);

/* In an offload job: opens what is at a path below the root, for file_adopt or to be closed: the
 * descriptor; -errno as leat_file_open has it. Nobody is told of what leads out. */
int file_open_below(struct leat_root *root, const struct backend_sys *sys, const char *path,
                    struct leat_file_info *ret_info);

/* Whether two looks at a path saw the same content. */
static inline bool file_info_equal(const struct leat_file_info *a, const struct leat_file_info *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->is_directory == b->is_directory;
}

struct file_counters {
    uint64_t hits, misses, revalidations, evictions, entries;
    uint64_t fills, filled_bytes; /* what was not in the page cache, and had to be read first */
};
/* An OP_FILL begins. */
void file_count_fill(const struct leat_loop *loop, uint64_t size);
void file_counters_read(const struct leat_loop *loop, struct file_counters *ret_counters);

#endif
