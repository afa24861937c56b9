/* SPDX-License-Identifier: MIT */
/*
 * An office: an HTTP server whose handlers read bodies and write their responses in every way there
 * is, and the callers who have errands there. An errand is one request together with what its
 * handler is to do about it; both sides know it, by its number in the path, so that each can check
 * what it sees of the other:
 *
 *     errand.c draws it and writes its bytes       clerk.c handles it in a fiber, checks the body,
 *     caller.c sends them, checks the answer               notes what it has replied
 *     office.c holds records and counters against both, and ends the server
 */
#ifndef TESTS_SIM_OFFICE_H
#define TESTS_SIM_OFFICE_H

#include "draft.h"
#include "harness.h"
#include "leat/address.h"
#include "leat/http.h"
#include "wire/http1_chunked.h"

enum {
    OFFICE_CALLERS_MAX = 8,
    OFFICE_HOSTS = 3, /* that callers come from */
    OFFICE_FILES = 3, /* that are replied with; nobody changes them */
    OFFICE_FILE_SIZE = 220 * 1000,
    OFFICE_CONTENT = 500, /* of the first file; bodies are other contents */
    OFFICE_SLACK_MS = 1500,
    ERRANDS_MAX = 5, /* of a caller */
};

enum framing { FRAMING_NONE, FRAMING_SIZED, FRAMING_CHUNKED };

enum flaw {
    FLAW_NONE,
    FLAW_CHUNKS, /* the chunked coding is malformed behind errand.sound bytes of data */
    FLAW_HEAD,   /* the head is too large: 431 */
};

enum reading {
    READ_NOTHING,
    READ_PART,
    READ_ALL,
    READ_AT_ONCE, /* leat_http_read_all */
    READ_IN_CHILD,
    READ_ECHO, /* writes what it reads */
    READINGS,
};

enum writing {
    WRITE_NOTHING, /* returns without a reply */
    WRITE_STATUS,  /* leat_http_reply_error */
    WRITE_REPLY,
    WRITE_VECTORS, /* leat_http_reply_vectors */
    WRITE_SIZED,   /* piece by piece */
    WRITE_CHUNKED,
    WRITE_LESS, /* fewer bytes than it has promised */
    WRITE_MORE,
    WRITE_ABORT,
    WRITINGS,
};

struct errand {
    struct caller *caller;
    unsigned number; /* in the office, from 1 on */
    /* The request. */
    bool is_old, is_head, is_last; /* HTTP/1.0; HEAD; asks for the connection's end */
    enum framing framing;
    enum flaw flaw;
    uint64_t content, size, sound; /* of the body */
    bool has_trailer;
    bool expects, waits;         /* for 100 Continue; sends no body before it has come */
    size_t begin, head_end, end; /* in the caller's draft */
    int64_t begun_ns, head_ns;   /* its first byte was sent, its head's last; 0: not yet */
    int64_t end_ns;
    /* The handler. */
    enum reading reading;
    enum writing writing;
    bool perseveres;  /* replies though the body could not be read */
    bool sleeps_long; /* until its deadline at least, if it has one */
    int status;
    uint64_t size_max, read_limit;
    size_t piece_max;
    unsigned pause_chance;
    int64_t before_ms, deadline_ms;
    unsigned file, trailers;
    uint64_t reply_offset, reply_size;
    /* What became of it: there, */
    unsigned handled;
    int64_t handled_ns, deadline_ns;
    uint64_t was_read, read_before_head;
    bool has_returned, saw_end, is_late;
    int read_error;
    int told;       /* the status it has replied with; 0: not yet */
    bool is_broken; /* what it has begun will not be whole */
    bool has_head_out;
    uint64_t written; /* of what is written piece by piece */
    /* in the log, */
    unsigned records;
    int record_status;
    bool record_is_broken;
    uint64_t record_sent;
    /* and here. */
    int seen;          /* status; 0: none */
    bool is_continued; /* 100 has come */
    bool is_whole;
    uint64_t taken; /* bytes of its answer */
};

enum place { AT_HEAD, AT_SIZED, AT_CHUNKED, AT_CLOSE };

struct caller {
    struct office *office;
    unsigned host;
    struct sim_peer *peer;
    struct draft draft;
    size_t sent;
    struct errand errands[ERRANDS_MAX];
    unsigned count, answered;
    unsigned first, attempts; /* errand of this connection; connections so far */
    /* habits */
    bool has_no_bodies;
    bool is_polite;  /* asks again only when it was answered */
    bool finishes;   /* shuts its side when all is sent */
    bool stays;      /* lets the server end the connection */
    bool stops_late; /* sends on what the answer has made needless */
    size_t chunk_max, read_max;
    unsigned dawdle_chance;
    size_t silent_at, deaf_at; /* sends, reads no more after so many bytes; SIZE_MAX: never */
    uint64_t vanish_at;        /* bytes either way; 0: never */
    size_t drip_at;            /* from there on a few bytes come very slowly */
    unsigned drips;            /* so many times */
    /* what has come */
    enum place place;
    char head[8192];
    size_t head_size;
    uint64_t body_offset, body_left;
    struct http1_chunked chunked;
    char trailer[1024];
    size_t trailer_size;
    uint64_t received;
    int64_t begun_ns, last_sent_ns, last_received_ns, last_answer_ns, ended_ns;
    bool is_pausing, is_deaf, was_deaf, is_silent, has_finished, is_gone, has_vanished, was_reset;
    bool is_refused, is_told_late, is_last_seen, has_dripped;
};

struct office {
    struct sim_run *run;
    bool is_gentle;              /* no errand and no caller is out of the way */
    bool has_successor;          /* a server that closes leaves its listener to another */
    struct leat_address address; /* of every host that callers come from */
    struct leat_root *root;
    struct leat_file *files[OFFICE_FILES];
    bool has_files;                   /* pieces of files may be sent */
    struct leat_http_options options; /* as the server was given them */
    unsigned caller_count, errand_count;
    struct caller callers[OFFICE_CALLERS_MAX];
    struct errand *errands[OFFICE_CALLERS_MAX * ERRANDS_MAX + 1]; /* by number */
    unsigned working[OFFICE_HOSTS];                               /* handlers */
    /* The end, of any server. */
    int64_t closed_ns, idle_until_ns,
        grace_ns; /* the earliest, but the latest grace; 0: it is open */
    /* What the log says. */
    uint64_t records, heads_refused, requests_refused, handled, sent, duration_ns;
    uint64_t statuses[6];
    struct leat_http_counters counted; /* by the servers that have gone */
    unsigned server_count;             /* of those that are there */
};

/* Draws the server's limits, and opens the files. */
void office_init(struct office *office, struct sim_run *run, bool is_gentle);
void office_fini(struct office *office);
/* A server for it, with options that take its records; it has no listener yet. */
struct leat_http_server *office_open(struct office *office);
/* Closes it gently, and notes that. */
void office_close(struct office *office, struct leat_http_server *server, int64_t idle_ms,
                  int64_t grace_ms);
/* Callers come, each at some time from now on. */
void office_invite(struct office *office, unsigned count, uint64_t most_ms);
/* Have all gone? */
bool office_is_empty(const struct office *office);
/* When all is over: what the servers have counted is what the log says, */
void office_check_counters(const struct office *office);
/* and records agree with what the handlers have replied and the callers have seen. */
void office_check_records(const struct office *office);

/* errand.c: draws the next of a caller's errands, and writes what asks for it. */
void errand_draw(struct caller *caller);
/* clerk.c: the handler; `user` is the office. */
void clerk_handle(struct leat_http_request *request, struct leat_http_response *response,
                  void *user);

/* caller.c: its errands and habits are drawn; it begins at an instant. */
void caller_init(struct caller *caller, struct office *office);
void caller_begin_at(struct caller *caller, int64_t at_ns);

/* Bytes of an errand's answer. */
static inline uint64_t errand_answer_size(const struct errand *errand)
{
    return errand->reading == READ_ECHO ? errand->size : errand->reply_size;
}

#endif
