/* SPDX-License-Identifier: MIT */
/*
 * Common Media Client Data (CTA-5004): what a player says of itself with each request, as keys in
 * the query argument CMCD or in four fields. Read for the few keys that change how fast we send, or
 * say whose they are; all others, and values that are no value of their key, are passed over.
 * Nothing is malformed.
 */
#ifndef WIRE_CMCD_H
#define WIRE_CMCD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    CMCD_QUERY_MAX = 2048, /* bytes of the argument, encoded; a longer one is not read */
    CMCD_NUMBER_MAX = 1000 * 1000 * 1000, /* what is larger is taken as this */
    CMCD_SID_MAX = 64,                    /* bytes (CTA-5004, section 3.1); a longer one is none */
};

/* The fields that carry keys (CTA-5004, section 3.1). Which key is in which does not matter here.
 * */
#define CMCD_FIELDS(X) X("CMCD-Request") X("CMCD-Object") X("CMCD-Status") X("CMCD-Session")

enum cmcd_object {
    CMCD_OBJECT_UNKNOWN,
    CMCD_OBJECT_MEDIA,    /* ot=a, v, av: a segment */
    CMCD_OBJECT_OVERHEAD, /* ot=m, i, c, tt, k: manifest, init segment, subtitles, keys */
};

struct cmcd {
    bool has_any; /* some key was there, be it one of these or not */
    bool has_br, has_bl, has_rtp, has_d;
    uint32_t br_kbit_per_s;  /* of the object */
    uint32_t bl_ms;          /* buffer length, of media of the object's type */
    uint32_t rtp_kbit_per_s; /* requested maximum throughput: more is of no use */
    uint32_t d_ms;           /* duration of the object */
    bool is_startup;         /* su: needed at once, for it starts, seeks, or has run empty */
    bool is_starved;         /* bs: it ran empty since the request before */
    enum cmcd_object object; /* ot */
    uint8_t sid_size;        /* 0: none */
    char sid[CMCD_SID_MAX];  /* which session of which player: any bytes, without its quotes */
};

/* Adds what the text says: a list of key, or key=value, between commas. A key that comes again
 * counts anew. */
void cmcd_parse(struct leat_slice text, struct cmcd *cmcd);

/* The same of the first argument CMCD of a query, if it has one. */
void cmcd_parse_query(struct leat_slice query, struct cmcd *cmcd);

#endif
