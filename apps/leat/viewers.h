/* SPDX-License-Identifier: MIT */
/*
 * Who watches what. A worker notes each segment that it replies with, in a registry of its own
 * thread; the administrator's thread has all registries read, each on its worker's loop, and adds
 * them up.
 *
 * A viewer is a session where the player says which (CMCD, sid), else a connection; of one film,
 * ladder or channel. Players that say nothing and use several connections count as several. Who has
 * asked for nothing for half a minute has gone. Noting costs no system call, but for a newcomer.
 */
#ifndef LEAT_VIEWERS_H
#define LEAT_VIEWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "leat/http.h"
#include "wire/cmcd.h"

enum {
    VIEWERS_MAX = 16 * 1024,   /* of a worker; beyond it who was silent longest is forgotten */
    VIEWERS_SILENCE_S = 30,    /* then a viewer has gone */
    VIEWERS_WINDOW_S = 15,     /* over which rates are taken */
    VIEWERS_SESSION_SIZE = 40, /* of what is kept for people to see, a zero included: */
    VIEWERS_PEER_SIZE = 64,
    VIEWERS_RUNG_SIZE = 16,
    VIEWERS_AGENT_SIZE = 128,
    VIEWERS_NAME_SIZE = 192,
};

/* What of a title: bits, for a viewer may be sent several. */
enum viewer_stream { VIEWER_MUXED = 1, VIEWER_VIDEO = 2, VIEWER_AUDIO = 4 };

/* A segment, or a part of one, that has been replied with. */
struct viewer_note {
    struct leat_http_request *request; /* of whom; NULL: nobody knows */
    uint64_t *connection;              /* memory of the connection's own, 0 to begin with */
    const struct cmcd *cmcd;
    uint64_t title;           /* a number that the rungs of a ladder share; not 0 */
    const char *folder;       /* the name is below that; "": it is not */
    struct leat_slice name;   /* of the film, ladder or channel; any bytes */
    struct leat_slice detail; /* which rung; may be empty */
    enum viewer_stream stream;
    bool is_live;
    uint64_t bytes;
    uint64_t pace_bytes_per_s; /* 0: unpaced */
    int64_t now_ns;
};

/* The registry of the calling thread. Without one nothing is noted. 0 or -ENOMEM. */
int viewers_open(void);
/* Also where there is none. */
void viewers_close(void);

void viewers_note(const struct viewer_note *note);

/* What the client says, in its query or its fields; *cmcd is all zero to begin with. */
void viewers_read_cmcd(const struct leat_http_request *request, struct cmcd *cmcd);
/* The number of a title: of a name in a place, such as below a root. */
uint64_t viewers_title(const void *place, struct leat_slice name);

/* ---- Looking --------------------------------------------------------------------------------- */

/* Texts are any bytes, and end with a zero. */
struct viewer_info {
    uint64_t key, title;
    int64_t since_ns, seen_ns;
    uint64_t bytes, bits_per_s;
    uint64_t pace_bytes_per_s;
    uint32_t buffer_ms, media_kbit_per_s; /* as the player says, where it does */
    uint32_t stalls;                      /* likewise */
    bool has_buffer, has_media_rate, is_live;
    uint8_t streams;              /* enum viewer_stream, of the whole session */
    char peer[VIEWERS_PEER_SIZE]; /* "": not known */
    char session[VIEWERS_SESSION_SIZE], rung[VIEWERS_RUNG_SIZE], agent[VIEWERS_AGENT_SIZE];
};

struct viewer_title {
    uint64_t title;
    bool is_live;
    unsigned viewers;
    uint64_t bytes; /* since somebody watches it without a gap */
    uint64_t bits_per_s, stalls;
    char name[VIEWERS_NAME_SIZE];
};

struct viewers_counters {
    uint64_t films, lives;           /* viewers now, of the calling thread */
    uint64_t film_bytes, live_bytes; /* noted since the beginning */
    uint64_t segments, stalls;
    uint64_t displaced; /* forgotten before their time */
};
/* Of the calling thread, as of now. */
void viewers_read_counters(int64_t now_ns, struct viewers_counters *ret_counters);

/* All zero to begin with. */
struct viewers_list {
    struct viewer_info *viewers;
    struct viewer_title *titles;
    unsigned count, title_count, capacity; /* as many titles at most as viewers */
};
/* Room for so many, and some more that may come meanwhile. Its pages are there: who fills it waits
 * for no memory. 0 or -ENOMEM. */
int viewers_list_init(struct viewers_list *list, uint64_t count);
void viewers_list_fini(struct viewers_list *list);
/* A copy of what the calling thread has; where there is not room for all, of those seen last.
 * Titles' viewers, rates and stalls are 0. */
void viewers_read(int64_t now_ns, struct viewers_list *list);
/* Joins what several workers know of one viewer or title, and adds titles up; the busiest come
 * first. 0 or -ENOMEM. */
int viewers_merge(const struct viewers_list *lists, unsigned count, struct viewers_list *ret_list);

#endif
