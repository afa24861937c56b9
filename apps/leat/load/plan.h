/* SPDX-License-Identifier: MIT */
/*
 * What a load asks for, and how: made from the command line before the first connection, and then
 * read by all clients. Every request is ready-made text, so that asking costs a send.
 */
#ifndef LOAD_PLAN_H
#define LOAD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leat/address.h"
#include "leat/loop.h"
#include "leat/stream.h"

enum {
    LOAD_HEADERS_MAX = 64,
    LOAD_TARGETS_MAX = 1000000,
    LOAD_BODY_MAX = 1 << 30,
    LOAD_ADDRESSES_MAX = 16, /* of the host's, those that are tried */
};

/* A request. What is sent is its head and then the body, if there is one. */
struct load_target {
    char *head;
    struct leat_vector vectors[2];
    size_t vector_count;
    bool is_head; /* its response has no body, whatever it says */
};

struct load_plan {
    /* From the flags. */
    const char *method;
    const char *headers[LOAD_HEADERS_MAX]; /* "Name: value" */
    size_t header_count;
    const char *connect; /* where to connect instead of the URL's host; NULL: there */
    bool keep_alive;
    unsigned connections, threads; /* connections of all threads together */
    uint64_t requests;             /* so many in all; 0: by time */
    double rate;                   /* a second, of all threads together; 0: closed loop */
    int64_t duration_ns;           /* LEAT_FOREVER: by number */
    int64_t warm_up_ns, timeout_ns;
    enum leat_engine engine;

    /* Made by the functions below. */
    char *url;    /* the first */
    char *origin; /* "host:port" as in the URL: all targets have it */
    struct leat_address addresses[LOAD_ADDRESSES_MAX]; /* what the host's name stands for */
    unsigned address_count;
    struct leat_address address; /* the one of them that all go to */
    struct load_target *targets;
    size_t target_count;
    char *body;
    size_t body_size;
};

/* All return 0, or -1 with one line in ret_error that says what would be right. */

/* A body: the text, or the contents of a file for "@FILE". */
int load_plan_take_body(struct load_plan *plan, const char *text, char *ret_error,
                        size_t ret_error_size);
/* The URL of the first target, and with it the origin and its addresses, which may ask the system's
 * resolver. Headers and body have been taken. */
int load_plan_add_url(struct load_plan *plan, const char *url, char *ret_error,
                      size_t ret_error_size);
/* Targets from a file, a line each: [METHOD ]URL or [METHOD ]/path. Empty lines and those that
 * begin with '#' are skipped. The first URL may be there, too, instead of on the command line. */
int load_plan_add_list(struct load_plan *plan, const char *path, char *ret_error,
                       size_t ret_error_size);
/* The first of the addresses where somebody accepts a connection within the timeout. */
int load_plan_choose_address(struct load_plan *plan, char *ret_error, size_t ret_error_size);
void load_plan_fini(struct load_plan *plan);

#endif
