/* SPDX-License-Identifier: MIT */
/*
 * The simulator's files, shared by sim_disk.c (the tree, the page cache, reading), sim_files.c
 * (files of a program's own making: names, room, what is on the disk) and sim_memory.c (their
 * bytes, mappings).
 */
#ifndef LOOP_SIM_DISK_H
#define LOOP_SIM_DISK_H

#include "loop/sim_world.h"

#define SIM_BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

enum { SIM_NAME_SIZE_MAX = 256 };

enum page_state { PAGE_WARM, PAGE_COLD, PAGE_LOADING, PAGE_EVICTED };

enum node_kind { NODE_FILE, NODE_DIRECTORY, NODE_LINK };

/* What a power cut leaves of a node. */
struct sim_kept {
    struct sim_node *parent; /* NULL: it is not there */
    char *name;
    char *bytes;
    uint64_t size;
};

struct sim_node {
    enum node_kind kind;
    char *name;
    struct list_node node; /* in sim->nodes */
    struct list_node siblings, children;
    struct sim_node *parent;
    char *target; /* of a link */
    uint64_t content;
    char *bytes; /* instead of a content number */
    size_t bytes_room;
    int memory_fd; /* what `bytes` is a mapping of, once somebody has mapped it; -1: of the heap */
    uint64_t size, inode;
    uint64_t allocated; /* room on the disk that it has, written or not */
    int64_t mtime_ns;
    uint8_t *pages;
    size_t page_count;
    struct list_node opens; /* objects, by accept_node */
    struct sim_object *locker;
    struct sim_kept kept;
    bool is_sealed, is_memory, is_appended, is_written;
};

/* ---- sim_disk.c ------------------------------------------------------------------------------ */

struct sim_walk {
    struct sim *sim;
    struct sim_node *top; /* what RESOLVE_BENEATH must not leave; NULL: anything goes */
    unsigned links;
};

/* 0 and where the path leads to, or -errno as openat2(2) with RESOLVE_BENEATH. */
int sim_walk(struct sim_walk *walking, struct sim_node *from, const char *path,
             struct sim_node **ret_node);
struct sim_node *sim_node_new(struct sim *sim, enum node_kind kind, struct sim_node *parent,
                              const char *name, size_t name_size);
struct sim_node *sim_node_child(struct sim_node *directory, const char *name, size_t size);
void sim_node_set_pages(struct sim *sim, struct sim_node *node, uint64_t size, bool may_be_cold);
void sim_node_copy(const struct sim_node *node, uint64_t offset, void *data, size_t size);
void sim_node_load(struct sim *sim, struct sim_node *node, uint64_t offset, size_t size);
/* A descriptor of it, for a process. */
int sim_node_open(struct sim *sim, struct sim_node *node, unsigned process);
/* The object of a file; NULL: it is none. */
struct sim_object *sim_file_object(const struct backend_sys *sys, int fd, const char *call);

/* ---- sim_files.c ----------------------------------------------------------------------------- */

/* The folder that a descriptor means (-1: the root), and whose it is. 0 or -errno. */
int sim_directory_of(struct sim *sim, int fd, const char *call, struct sim_node **ret_directory,
                     unsigned *ret_process);
/* Its name is on the disk. */
void sim_node_keep_name(struct sim_node *node);
/* The host's, another one after each power cut. */
struct sim_node *sim_boot_id(struct sim *sim);

/* ---- sim_memory.c ---------------------------------------------------------------------------- */

/* As long as that; new bytes are 0. It has bytes of its own afterwards. */
void sim_node_set_size(struct sim *sim, struct sim_node *node, uint64_t size);
ssize_t sim_node_write(struct sim *sim, struct sim_node *node, const void *data, size_t size,
                       uint64_t offset);
void sim_node_fini(struct sim_node *node);
/* What the process has mapped is its own from now on: nothing that it writes gets out. */
void sim_mappings_detach(struct sim *sim, unsigned process);
void sim_mappings_fini(struct sim *sim);

#endif
