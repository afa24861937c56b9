/* SPDX-License-Identifier: MIT */
/*
 * A visitor: a client of the HTTP server, played by a peer. It wishes for a few things, sends what
 * asks for them cut at any byte, and holds each answer against what it should be: status, fields
 * and every byte of the body, in order. Visitors dawdle, pipeline, fall silent, stop reading, turn
 * half away or vanish; whatever they do, what they get is right, or cut.
 */
#ifndef TESTS_SIM_VISITOR_H
#define TESTS_SIM_VISITOR_H

#include "draft.h"
#include "harness.h"
#include "leat/address.h"
#include "shelf.h"

/* What visitors and the server's handler know of each other. */
struct site {
    struct sim_run *run;
    struct leat_address address;
    struct shelf shelf;
    int64_t head_timeout_ms, idle_timeout_ms, send_timeout_ms;
    unsigned connections_max; /* 0: more than there will be */
    bool has_favourite;       /* a file that most want */
    unsigned favourite;
    bool has_ranges; /* parts of files are asked for */
    bool is_closing;
};

enum { SITE_STATIC_CONTENT = 7, SITE_STATIC_SIZE = 300 * 1024 };

enum wish_kind {
    WISH_MEMORY, /* content and size are in the path */
    WISH_STATIC,
    WISH_FILE,
    WISH_STATUS, /* an error, of a path, a method, or a handler that does not reply */
    WISH_BAD,    /* is no request */
};

enum wish_range { WISH_ALL, WISH_FROM_TO, WISH_FROM, WISH_SUFFIX, WISH_SEVERAL };

struct wish {
    enum wish_kind kind;
    int status; /* expected; files: depends */
    bool is_head, is_last;
    uint64_t content, size;
    unsigned file;
    enum wish_range range;
    uint64_t first, last;
    uint64_t others[2][2]; /* WISH_SEVERAL: first and last of two more */
    bool has_tag;
    uint64_t tag_size;
    int64_t tag_mtime_ns;
    size_t begin, head_end; /* in what is sent */
    bool may_park;          /* it may wait in a lot, where who turns half away has gone */
    int64_t begun_ns;       /* its first byte was sent; 0: not yet */
};

/* Of a body: content from `offset` on or, between two parts, text. */
struct piece {
    bool is_text;
    uint64_t offset, size; /* what is left of it */
    char text[200];
};

struct visitor {
    struct site *site;
    struct sim_peer *peer;
    struct draft draft;
    size_t sent;
    struct wish *wishes;
    unsigned wish_count, wish_room, answered;
    /* habits */
    bool is_polite; /* asks again only when it was answered */
    bool finishes;  /* shuts its side when all is sent */
    bool waits;     /* lets the server end the connection */
    size_t chunk_max, read_max;
    unsigned dawdle_chance;
    size_t silent_at, deaf_at; /* sends, reads no more after so many bytes; SIZE_MAX: never */
    uint64_t vanish_at;        /* bytes either way; 0: never */
    /* what has come */
    char head[8192];
    size_t head_size;
    bool is_in_body;
    uint64_t body_content, body_offset, body_left;
    int body_status;                /* the body names this status; 0: it is content */
    struct piece pieces[2 * 3 + 1]; /* of a body of several parts, in order */
    unsigned piece_count, piece;    /* 0: it is content alone */
    uint64_t received;
    int64_t begun_ns, last_sent_ns, last_received_ns;
    bool is_pausing, is_deaf, was_deaf, is_silent, is_gone;
    bool has_vanished, is_refused, is_told_late, is_last_seen, may_be_cut;
};

/* Wishes and habits are drawn; it begins at an instant. */
void visitor_init(struct visitor *visitor, struct site *site);
void visitor_begin_at(struct visitor *visitor, int64_t at_ns);
void visitor_fini(struct visitor *visitor);

#endif
