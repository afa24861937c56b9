/* SPDX-License-Identifier: MIT */
/*
 * Where live channels keep their segments beyond the seconds that are in memory: a folder for each
 * channel, with a file for each segment, which grows with its parts, and a journal that says what
 * they are. So a playlist can reach back for hours, and whatever becomes of the process, its
 * successor goes on with what was there. When a channel ends its segments may become films.
 *
 *     FOLDER/NAME/journal         media/live_journal.h
 *     FOLDER/NAME/init-INIT.mp4   init segments
 *     FOLDER/NAME/NUMBER.m4s      a segment
 *
 * Writing is done by offload jobs, one after the other for a channel. A folder is its process's
 * alone (it is locked) until that has let go of the channel.
 */
#ifndef MEDIA_LIVE_STORE_H
#define MEDIA_LIVE_STORE_H

#include "media/live.h"

struct live_store_options {
    const char *directory;       /* is made when it is not there */
    const char *label;           /* how lines for people name it */
    const char *films_directory; /* NULL: channels become no films */
    /* One line of news for the operator: from any thread. NULL is fine. */
    void (*on_news)(const char *line, void *user);
    void *user;
};

/* May block, as all below; before the hub has channels. Options are copied. */
int live_store_create(const struct live_store_options *options, struct live_store **ret_store);
/* When no hub and no loop uses it any more. NULL is fine. */
void live_store_destroy(struct live_store *store);
/* The hub's channels are kept there from now on; and those that a process before has left are taken
 * up. What cannot be read is told of and left alone. -errno of the folder alone. */
int live_store_attach(struct live_store *store, struct live_hub *hub);

#endif
