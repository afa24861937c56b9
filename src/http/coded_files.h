/* SPDX-License-Identifier: MIT */
/*
 * Coded copies of files: what a loop asks for. Public half: leat/coded_files.h.
 */
#ifndef HTTP_CODED_FILES_H
#define HTTP_CODED_FILES_H

#include "codec/codec.h"
#include "leat/coded_files.h"
#include "leat/file.h"

enum {
    CODED_FILES_MEMORY = 64 << 20,   /* of copies, by default */
    CODED_FILES_SIZE_MIN = 512,      /* of a file; smaller ones are coded each time */
    CODED_FILES_SIZE_MAX = 16 << 20, /* of a file */
    CODED_FILES_MAX = 4096,          /* that are known */
    CODED_FILES_JOBS_MAX = 2,        /* at a time; the next is begun when it is asked for again */
    CODED_FILES_FRESH_MS = 1000,     /* how long what lies beside a file is believed */
    CODED_FILES_SETTLED_MS = 2000,   /* a file that has just changed may change again unseen */
};

/* The coded form of `file` (which was opened at `path` below `root`, is regular and held by the
 * caller) that suits best a client who understands `codecs`: 0, and it is held for the caller, on
 * the calling fiber's loop. -ENOENT: there is none yet, though one may be in the making; or never
 * will. The first call for a file, and one a second, looks in an offload for what lies beside it;
 * the others cost next to nothing. */
int coded_files_find(struct leat_http_coded_files *coded, struct leat_root *root, const char *path,
                     struct leat_file *file, unsigned codecs, struct leat_file **ret_file,
                     enum leat_codec *ret_codec);

#endif
