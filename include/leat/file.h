/* SPDX-License-Identifier: MIT */
/*
 * Files that are sent. A root is a directory out of which nothing leads (openat2 with
 * RESOLVE_BENEATH); files are opened below it through a cache a loop: an open descriptor, its size
 * and times, or that there is none, looked at again at most once a second. Opening, listing and
 * what is cold never stall the loop.
 *
 * Threads: a root may be used by all loops of the process at a time, each of which has a cache of
 * its own. A file belongs to the loop it was opened on.
 */
#ifndef LEAT_FILE_H
#define LEAT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct leat_root;
struct leat_file;

struct leat_file_info {
    uint64_t size;
    int64_t mtime_ns; /* of the wall clock, since 1970 */
    uint64_t device, inode;
    bool is_directory;
};

struct leat_root_options {
    /* Symbolic links may lead anywhere. Without it they are followed below the root alone: one that
     * leads out is as if it were not there (-EXDEV). ".." and absolute paths never lead out. */
    bool follow_symlinks;
    /* Told of what leads out of the root (-EXDEV), or round in circles (-ELOOP), so that an
     * operator learns why it is not there: once a second at most. In a thread of the pool. */
    void (*on_refused)(const char *path, int error, void *user);
    void *user;
};

/* May block; call it before a loop runs or in an offload, in any thread. -ENOENT, -ENOTDIR,
 * -EACCES … */
int leat_root_open(const char *path, struct leat_root **ret_root);
/* Options are copied. */
int leat_root_open_with(const char *path, const struct leat_root_options *options,
                        struct leat_root **ret_root);
/* In any thread, when no more files are opened below it; those that were may live on. What caches
 * of other loops than the calling thread's hold of it, its descriptor included, goes when they drop
 * it or end. NULL is fine. */
void leat_root_close(struct leat_root *root);

/* Opens a regular file or a directory below the root. `path` is relative ("." is the root itself).
 * Hold the file while it is sent; give it back with leat_file_unref. -ENOENT, -EXDEV (it leads out
 * of the root), -EACCES, -EMFILE, -EAGAIN (too many openings wait already), -ETIMEDOUT … What is
 * neither file nor directory is -ENOENT. That something is not there is believed for a second, too:
 * a file that has just been made may be seen a little later. */
int leat_file_open(struct leat_root *root, const char *path, int64_t deadline_ns,
                   struct leat_file **ret_file);
void leat_file_ref(struct leat_file *file);
void leat_file_unref(struct leat_file *file);
/* Valid while the file is held; what was true when it was last looked at. */
const struct leat_file_info *leat_file_info(const struct leat_file *file);

/* The entries of a directory below the root, in the order of the file system, without "." and "..".
 * `entry` is called in a thread of the pool; `name` is borrowed for the call; false ends it. */
typedef bool (*leat_entry_fn)(const char *name, bool is_directory, void *user);
int leat_file_list(struct leat_file *directory, int64_t deadline_ns, leat_entry_fn entry,
                   void *user);
/* The same with what is known of each, for another call into the kernel an entry. `info` is NULL
 * for what is neither a file nor a directory itself, such as a symbolic link, for that may lead out
 * of the root; and for what has gone meanwhile. */
typedef bool (*leat_entry_info_fn)(const char *name, bool is_directory,
                                   const struct leat_file_info *info, void *user);
int leat_file_list_info(struct leat_file *directory, int64_t deadline_ns, leat_entry_info_fn entry,
                        void *user);

/* A hint: this range will be sent soon. What of it is not in the page cache is read in the
 * background, while the file is held; at most 8 MiB of it, and when the loop has enough of that to
 * do already it is forgotten. Costs next to nothing when all is there. */
void leat_file_read_ahead(struct leat_file *file, uint64_t offset, uint64_t size);

/* ---- Bytes in memory ------------------------------------------------------------------------ */

/* Reads ranges of a file into `data`, one behind the other. What is little and in the page cache is
 * there at once; the rest is read in a thread of the pool, in one go. 0; -LEAT_E_TRUNCATED when the
 * file ends before, -EIO, -EAGAIN (too much waits for the pool), -ETIMEDOUT, -ECANCELED … A reading
 * that has begun is waited for, whatever the deadline. After an error `data` is of no use. */
struct leat_file_range {
    uint64_t offset, size;
};
int leat_file_read(struct leat_file *file, const struct leat_file_range *ranges, size_t count,
                   void *data, int64_t deadline_ns);

/* A range of a file for code that must see its bytes. It is a sealed copy in memory, because a
 * plain mapping of a file that somebody truncates kills its reader (SIGBUS). Sending needs none of
 * this: sendfile costs half (docs/architecture.md has the figures). */
struct leat_mapped;

enum { LEAT_MAPPED_SIZE_MAX = 1 << 30 };

/* -LEAT_E_LIMIT when it is larger than LEAT_MAPPED_SIZE_MAX, -LEAT_E_TRUNCATED when the file ends
 * before. */
int leat_mapped_create(struct leat_file *file, uint64_t offset, uint64_t size, int64_t deadline_ns,
                       struct leat_mapped **ret_mapped);
void leat_mapped_destroy(struct leat_mapped *mapped);
const void *leat_mapped_data(const struct leat_mapped *mapped);
uint64_t leat_mapped_size(const struct leat_mapped *mapped);

#ifdef __cplusplus
}
#endif
#endif
