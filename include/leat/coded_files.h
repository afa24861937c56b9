/* SPDX-License-Identifier: MIT */
/*
 * Coded copies of files. A file that is asked for again and again need not be coded each time: the
 * first answers are coded as they are sent, meanwhile a thread of the pool codes the file as well
 * as can be, and the copy is then sent like any file, by sendfile. Copies are kept in memory, the
 * least used go first; and if it is wished beside the file, as FILE.br, FILE.zst and FILE.gz, where
 * those that others have made are used, too.
 *
 * One object serves all servers and loops of a process (leat_http_options.coded_files).
 */
#ifndef LEAT_CODED_FILES_H
#define LEAT_CODED_FILES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct leat_http_coded_files;

struct leat_http_coded_files_options {
    uint64_t memory_size;   /* bytes of copies in memory, at most. 0: 64 MiB */
    uint64_t file_size_max; /* larger files have no copies. 0: 16 MiB, which is also the most */
    /* Copies are also written beside their files, where the process may write: under a name of
     * their own until they are whole, with the file's mode and time. What is there is replaced only
     * when it is older than the file, and used only with exactly its time: a file that an older one
     * has taken the place of must not be sent as it was. */
    bool beside;
};

/* `options` are copied; NULL: the defaults. -EINVAL: larger than the most, -ENOMEM. */
int leat_http_coded_files_create(const struct leat_http_coded_files_options *options,
                                 struct leat_http_coded_files **ret_coded);
/* When no server has it any more, in any thread; what a loop still has of it goes with the loop.
 * NULL is fine. */
void leat_http_coded_files_destroy(struct leat_http_coded_files *coded);

/* The first four are what is there now; the others grow for ever. */
struct leat_http_coded_files_counters {
    uint64_t files;    /* that are known */
    uint64_t copies;   /* in memory, */
    uint64_t bytes;    /* and what they take, those included that are still being sent */
    uint64_t jobs;     /* at work */
    uint64_t made;     /* copies, and */
    uint64_t beside;   /* how many of them were written beside their file */
    uint64_t useless;  /* files that do not become smaller */
    uint64_t failures; /* no memory, no room on the disk, not allowed to write, the file changed */
    uint64_t evictions;
    uint64_t cpu_ns; /* of coding */
};
/* From any thread. */
void leat_http_coded_files_counters(const struct leat_http_coded_files *coded,
                                    struct leat_http_coded_files_counters *ret_counters);

#ifdef __cplusplus
}
#endif
#endif
