/* SPDX-License-Identifier: MIT */
/*
 * A channel as one worker serves it: who waits there for its next part, and texts that many ask
 * for. Made by the first who waits, and gone with the channel.
 */
#ifndef LEAT_LIVE_DESK_H
#define LEAT_LIVE_DESK_H

#include "base/list.h"
#include "leat/http.h"
#include "media/live.h"
#include "mem/text.h"

struct fiber;

/* A playlist, for as long as nothing changes. */
struct live_desk_text {
    uint64_t version;
    struct text text;
};

struct live_desk {
    struct list_node node;
    unsigned references; /* the list's, and those of fibers that wait */
    struct live_channel *channel;
    struct live_watch *watch;
    /* Without a stack: those who wait for a part's bytes go before those who ask what there is. */
    struct leat_http_lot *parts, *playlists;
    struct list_node fibers;                      /* with one: in the middle of a segment */
    struct live_desk_text texts[LIVE_STREAMS][2]; /* whole, and delta updates */
};

/* The desk of the channel on this loop; NULL: no memory, or the channel has ended. Belongs to the
 * loop. */
struct live_desk *live_desk_of(struct live_channel *channel);
/* Who keeps it beyond a call that may wait, holds it. */
void live_desk_ref(struct live_desk *desk);
void live_desk_unref(struct live_desk *desk);
/* The calling fiber, which holds it, waits for the next change: 0, -ETIMEDOUT, -ECANCELED. */
int live_desk_wait(struct live_desk *desk, int64_t deadline_ns);

/* At the end of a worker, on its loop: all desks go. */
void live_desks_close(void);

#endif
