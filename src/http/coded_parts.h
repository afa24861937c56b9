/* SPDX-License-Identifier: MIT */
/*
 * What the three parts of coded files share.
 *
 *     coded_views.c   a loop's: what it knows of each of its files, and holds to send
 *     coded_files.c   the process's: which files have which copies, and how much they take
 *     coded_making.c  an offload job's: a file read, coded, put into memory and beside the file
 *
 * A loop has for each file that was asked for a view, which lies at its struct leat_file and goes
 * with it. As long as nothing has changed for anybody (`generation`) a view is all that a request
 * looks at. The table is behind a lock, and is looked at by a view that is behind.
 */
#ifndef HTTP_CODED_PARTS_H
#define HTTP_CODED_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/list.h"
#include "http/coded_files.h"
#include "loop/backend.h"

enum { CODED_RETRY_MS = 10 * 1000 }; /* until what has failed is tried again */

/* A coded form in memory: sealed, shared by all loops; it ends with the last who holds it. */
struct coded_copy {
    struct leat_http_coded_files *coded; /* held */
    const struct backend_sys *sys;
    int fd;
    uint64_t size;
    _Atomic unsigned references; /* the table's included */
    atomic_bool is_used;         /* since it was last passed over */
    atomic_bool is_evicted;      /* the table has let go of it: so should who holds it */
};

enum coded_state {
    CODED_NONE,
    CODED_MAKING,
    CODED_READY,
    CODED_USELESS, /* it is no smaller: for good */
};

struct coded_form {
    enum coded_state state;
    struct coded_copy *copy; /* READY, held */
    int64_t retry_ns;        /* NONE: not before */
};

/* A file in one of its states, as the whole process knows it. */
struct coded_original {
    struct hash_node hash_node;
    struct list_node age_node;
    struct leat_file_info info;
    struct coded_form forms[LEAT_CODECS];
};

struct leat_http_coded_files {
    struct leat_http_coded_files_options options; /* with the defaults put in */
    _Atomic unsigned references;                  /* its owner's, copies', jobs' and loops' */
    _Atomic uint64_t generation;                  /* counts all changes that views may care for */
    _Atomic unsigned jobs;
    _Atomic uint64_t bytes, copies; /* until their last holder lets go */
    _Atomic uint64_t made, beside, useless, failures, evictions, cpu_ns;
    pthread_mutex_t lock;
    /* Behind the lock: */
    struct hash_table originals;
    struct hash_seed seed;
    struct list_node ages; /* of originals; those passed over go to the end */
    uint64_t listed_bytes; /* of the copies in the table */
    unsigned listed_copies;
    bool is_over;             /* its owner has let go of it */
    struct list_node members; /* struct coded_member, one a loop */
};

struct leat_http_coded_files *coded_files_ref(struct leat_http_coded_files *coded);
void coded_files_unref(struct leat_http_coded_files *coded);

/* What a copy takes of the memory: whole pages. */
static inline uint64_t coded_room(uint64_t size)
{
    return (size + 4095) / 4096 * 4096;
}

void coded_copy_unref(struct coded_copy *copy);

/* ---- The table, for views -------------------------------------------------------------------- */

/* What there is for a view: copies that are READY, held for the caller, in ret_copies; and the
 * codecs for which none is to be begun now. */
struct coded_news {
    struct coded_copy *copies[LEAT_CODECS];
    unsigned settled;
    uint64_t generation;
};
void coded_files_look(struct leat_http_coded_files *coded, const struct leat_file_info *info,
                      int64_t now_ns, struct coded_news *ret_news);

/* Begins to make a copy, unless there are jobs enough, or it is there or being made. Says whether
 * it did. */
bool coded_making_begin(struct leat_http_coded_files *coded, struct leat_root *root,
                        const char *path, struct leat_file *file, enum leat_codec codec);

/* ---- The table, for jobs --------------------------------------------------------------------- */

/* True: the form is the caller's to make, and is MAKING until coded_files_settle. */
bool coded_files_claim(struct leat_http_coded_files *coded, const struct leat_file_info *info,
                       enum leat_codec codec, int64_t now_ns);
/* READY takes `copy` over, others have none. */
void coded_files_settle(struct leat_http_coded_files *coded, const struct leat_file_info *info,
                        enum leat_codec codec, enum coded_state state, struct coded_copy *copy,
                        int64_t now_ns);
/* Room for one of `size` bytes, and the struct, which has one reference; NULL: not now. */
struct coded_copy *coded_copy_create(struct leat_http_coded_files *coded,
                                     const struct backend_sys *sys, uint64_t size);

/* ---- Beside a file --------------------------------------------------------------------------- */

enum { CODED_SUFFIX_MAX = 4 };
/* ".br", ".zst", ".gz". */
struct leat_slice coded_suffix(enum leat_codec codec);
/* Is what lies beside the file not older than it? */
bool coded_is_current(const struct leat_file_info *info, int64_t beside_mtime_ns);
/* Has it the very time of the file? Tools that keep whole seconds alone cut. */
bool coded_is_of_same_time(const struct leat_file_info *info, int64_t beside_mtime_ns);
/* In an offload job: writes the coded bytes of the file `fd`, which is that of `info` at `path`
 * below the root. 0, 1: there is one already; -errno. */
int coded_beside_write(struct leat_root *root, const struct backend_sys *sys, const char *path,
                       int fd, const struct leat_file_info *info, enum leat_codec codec,
                       const void *data, size_t size);

#endif
