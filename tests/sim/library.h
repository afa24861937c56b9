/* SPDX-License-Identifier: MIT */
/*
 * A library lends texts over HTTP, coded or not; readers (reader.c) ask for them over links of all
 * speeds, and its desk (scenario_compress.c) hands them over. Both know each loan by its number,
 * which is in the URL: what is asked for, by whom, and how it is to be answered. What a reader gets
 * decodes to the text, to the last byte, in a coding that he takes; or it shows that it is cut off.
 */
#ifndef TESTS_SIM_LIBRARY_H
#define TESTS_SIM_LIBRARY_H

#include "harness.h"
#include "leat/address.h"
#include "leat/compress.h"
#include "leat/http.h"

enum { LOANS_MAX = 40, READERS_MAX = 8, LOAN_TAG_MAX = 80 };

/* What the bytes are like. */
enum loan_text {
    LOAN_WORDS, /* they repeat themselves */
    LOAN_NOISE, /* nothing is gained */
    LOAN_MIXED, /* blocks of either */
};

/* How the desk hands it over. */
enum loan_way {
    LOAN_REPLY,
    LOAN_VECTORS, /* memory, and ranges of a file */
    LOAN_CONTENT, /* with a tag: conditions and ranges */
    LOAN_SIZED,   /* piece by piece, its size told */
    LOAN_PIECES,  /* or not */
};

struct loan {
    /* Drawn. */
    unsigned number;
    enum loan_text text;
    uint64_t content, size;
    enum loan_way way;
    int status;
    const char *media_type;
    bool is_compressible; /* the type is */
    struct leat_compress_policy policy;
    bool is_coded_already;     /* its handler says so */
    bool is_never_transformed; /* Cache-Control says so */
    bool has_tag, has_vary;    /* fields of the handler's own */
    uint64_t breaks_at;        /* the desk stops there, and does not say how it goes on */
    bool aborts;               /* or says that it does not */
    unsigned flushes;          /* per cent of pieces */
    unsigned accept;           /* what is said of codings: library_accepts */
    bool is_head, is_old;      /* HTTP/1.0 */
    bool has_range;
    uint64_t first, last;
    const struct loan *again; /* that one once more, if it has changed */
    /* What has happened. */
    unsigned handled;
    bool has_tag_said; /* that of `again` */
    uint64_t decoded;  /* bytes that the reader knows */
    bool is_whole, is_left;
    enum leat_codec codec;
    char tag[LOAN_TAG_MAX];
};

/* An Accept-Encoding, which may be several lines; NULL: none. `codecs` may come of it, and
 * identity. */
struct library_accept {
    const char *lines;
    unsigned codecs;
};
extern const struct library_accept library_accepts[];
extern const unsigned library_accept_count;

struct library {
    struct sim_run *run;
    struct leat_address address;
    struct leat_compress_policy policy; /* of the server */
    bool is_full;                       /* its encoders have no memory, whatever comes */
    unsigned loan_count, readers_left;
    struct loan loans[LOANS_MAX];
    uint64_t coded_seen; /* whole coded answers that readers had */
};

/* Bytes `offset` and on of its text. */
void loan_bytes(const struct loan *loan, uint64_t offset, char *ret_data, size_t size);
bool loan_has_bytes(const struct loan *loan, uint64_t offset, const char *data, size_t size);
/* The policy that counts for it. */
const struct leat_compress_policy *loan_policy(const struct library *library,
                                               const struct loan *loan);
/* Nothing forbids that it is coded, whoever asks for it. */
bool loan_may_be_coded(const struct library *library, const struct loan *loan);
/* The desk breaks off before its end. */
static inline bool loan_is_cut(const struct loan *loan)
{
    return loan->breaks_at < loan->size;
}

static inline bool library_is_kind(const struct library *library)
{
    return !may_break(library->run) && !may_lack(library->run);
}

/* Asks for loans first..last, over as many connections as it takes. */
void reader_start(struct library *library, unsigned first, unsigned last);

#endif
