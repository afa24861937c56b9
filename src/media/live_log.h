/* SPDX-License-Identifier: MIT */
/*
 * What the files of the store share, and what channels tell it. Private to media/live*.c.
 *
 *     live_store.c    the folder of all channels
 *     live_log.c      what waits to be written of a channel, and the job that does it
 *     live_write.c    how it is written
 *     live_recover.c  channels out of their journals
 *     live_film.c     films out of segments
 *
 * A log belongs to its channel. All of it but what is the job's own is guarded by the channel's
 * lock, and the functions that channels call are called with it held.
 */
#ifndef MEDIA_LIVE_LOG_H
#define MEDIA_LIVE_LOG_H

#include <stdio.h>

#include "loop/offload.h"
#include "media/live_journal.h"
#include "media/live_store.h"

struct leat_root;

enum {
    LIVE_WAITING_MAX = 64,       /* entries of a channel; further segments stay in memory alone, */
    LIVE_PARTS_WAITING_MAX = 32, /* and further parts wait for their segment */
    LIVE_LOST_MAX = 1, /* numbers that a process that died may have used and not written */
    LIVE_PATH_SIZE = 64,
};

struct live_store {
    const struct backend_sys *sys;
    char *directory, *label;
    int fd;
    struct leat_root *root; /* the same, to serve from */
    int films_fd;           /* -1: none are made */
    void (*on_news)(const char *line, void *user);
    void *user;
    pthread_mutex_t lock;                             /* for: */
    char busy[LIVE_CHANNELS_MAX + 1][LIVE_NAME_SIZE]; /* another process still has these */
    unsigned busy_count;
    bool is_looking; /* whether it has them still */
    struct live_hub *hub;
    struct offload_job job;
};

enum live_entry_kind {
    LIVE_ENTRY_PART,
    LIVE_ENTRY_SEGMENT,
    LIVE_ENTRY_LINE,
    LIVE_ENTRY_FILMS,
    LIVE_ENTRY_REMOVE, /* all there is */
};

struct live_entry {
    struct list_node node;
    enum live_entry_kind kind;
    struct text lines; /* for the journal */
    uint64_t number;
    struct live_range range;      /* of its bytes, */
    struct live_segment *segment; /* a reference; NULL: they are written */
    uint64_t init;                /* a new one, and its bytes; NULL: none */
    unsigned char *init_data;
    size_t init_size;
};

struct live_log {
    struct live_store *store;
    struct live_channel *channel;
    struct list_node entries;
    unsigned waiting, refused; /* for there was no room */
    bool is_running;           /* the job is under way, and holds the channel */
    bool is_ended;             /* `end` is written, or waits */
    bool wants_removal, is_removed;
    _Atomic bool wants_release; /* another process may have the folder, once all is written */
    bool is_released;
    bool has_told_channel;
    uint64_t told_epoch, told_init; /* what the journal knows already, */
    uint64_t parts_of;              /* with so many parts of this segment: */
    unsigned parts_told;
    uint64_t drop_below; /* segments that nobody needs any more */
    int error;           /* of the last writing, since its publisher began */
    struct offload_job job;

    /* The job's own. */
    int fd, journal_fd; /* -1: not open yet */
    uint64_t journal_size;
    uint64_t first_kept;    /* segments below are removed */
    uint64_t filmed_below;  /* films were made of those below */
    unsigned dropped_lines; /* of the journal, that say something of segments which are gone */
    bool has_film_failed;
};

__attribute__((format(printf, 2, 3))) void live_store_say(const struct live_store *store,
                                                          const char *format, ...);

/* ---- For channels ---------------------------------------------------------------------------- */

/* NULL: no memory. */
struct live_log *live_log_create(struct live_store *store, struct live_channel *channel);
/* The channel goes: nothing is under way. NULL is fine, as below. */
void live_log_destroy(struct live_log *log);
/* A publisher begins. -EBUSY: what there is is being removed. */
int live_log_reopen(struct live_log *log);
/* It has another part. */
void live_log_part(struct live_log *log, const struct live_record *record);
/* The record is whole. */
void live_log_segment(struct live_log *log, struct live_record *record);
/* Its publisher has gone. */
void live_log_left(struct live_log *log);
/* It is over. */
void live_log_end(struct live_log *log);
/* Nobody needs segments below `number` any more. */
void live_log_drop(struct live_log *log, uint64_t number);
/* True: all is removed, or what there is has to stay. */
bool live_log_remove(struct live_log *log);
/* Once all is written another process may have it. Also from a thread without a loop. */
void live_log_release(struct live_log *log);

/* About once a second, on a loop: what was another process's may be so no more. */
void live_store_tick(struct live_store *store);
/* Has another process still the channel of this name? */
bool live_store_is_busy(struct live_store *store, const char *name);

/* ---- For the job ----------------------------------------------------------------------------- */

/* Opens the folder of a channel, which is then ours. -EAGAIN: it is another process's. */
int live_folder_open(const struct live_store *store, const char *name, bool may_make);
int live_write_all(const struct backend_sys *sys, int fd, const void *data, size_t size,
                   uint64_t offset);
int live_copy_all(const struct backend_sys *sys, int in_fd, struct live_range range, int out_fd,
                  uint64_t out_offset);
/* The whole of a file; free() it. -LEAT_E_LIMIT. */
int live_read_whole(const struct backend_sys *sys, int directory_fd, const char *name,
                    char **ret_data, size_t *ret_size);
/* Opens the journal, new or as it is. */
int live_log_open(struct live_log *log);
void live_log_close(struct live_log *log);
int live_log_write(struct live_log *log, const struct live_entry *entry);
void live_log_remove_files(struct live_log *log);
/* Removes segments below `number`, but those that films are still to be made of. */
void live_log_drop_files(struct live_log *log, uint64_t number);
/* Films of what is in the journal and in none yet. */
int live_films_make(struct live_log *log);

static inline void live_segment_path(uint64_t number, char ret_path[LIVE_PATH_SIZE])
{
    snprintf(ret_path, LIVE_PATH_SIZE, "%llu.m4s", (unsigned long long)number);
}

static inline void live_init_path(uint64_t init, char ret_path[LIVE_PATH_SIZE])
{
    snprintf(ret_path, LIVE_PATH_SIZE, "init-%llu.mp4", (unsigned long long)init);
}

/* What tracks an init segment has. */
struct live_described {
    struct live_track_info tracks[2];
};
int live_describe_init(struct leat_slice init, struct live_described *ret_described);

#endif
