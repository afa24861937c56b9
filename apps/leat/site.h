/* SPDX-License-Identifier: MIT */
/*
 * The site: which URL is answered with what. A folder's URL ends in '/' and shows its index file or
 * a page of what is in it (site_listing.c); what lies below a film's URL is the film as a stream
 * (site_film.h); everything else is a file below a root. One for all worker threads, which only
 * read it.
 *
 *     /            the main root; its page also lists the names of the others
 *     /NAME/       the root of that name, which hides what the main one has there
 *     /.leat/      what the pages are made of (site_assets.h), whatever lies there below the root
 *     PREFIX/      other servers, whatever lies there (proxies.h)
 */
#ifndef LEAT_SITE_H
#define LEAT_SITE_H

#include <stdbool.h>
#include <stddef.h>

#include "leat/http.h"
#include "proxies.h"
#include "site_pace.h"

enum {
    SITE_ROOTS_MAX = 32,
    SITE_ORIGINS_MAX = 16,
    SITE_NAME_SIZE = 256,
    SITE_PATH_SIZE = 1024, /* of a path; a longer one is not there */
};

enum site_pages { SITE_LIBRARY, SITE_PLAIN, SITE_NO_PAGES };

struct site_root {
    char name[SITE_NAME_SIZE]; /* "": the main one */
    const char *directory;
    struct leat_root *root;
};

struct site_films;
struct text;
struct site_live;

struct site {
    struct site_root main; /* without a directory: there is none */
    struct site_root roots[SITE_ROOTS_MAX];
    unsigned root_count;
    bool follow_symlinks, shows_dotfiles;
    const char *index; /* the file that stands for its folder; NULL: none does */
    int pages;         /* of folders: enum site_pages */
    const char *origins[SITE_ORIGINS_MAX]; /* whose scripts may read answers (CORS) */
    unsigned origin_count;
    const char *timing_origin; /* and their timing; NULL: no other's */
    struct site_films *films;  /* what is known of films; shared, and not the site's to free */
    struct site_live *live;    /* NULL: there are no live channels; likewise */
    struct proxies proxies;    /* likewise */
};

/* Opens the roots; may block. 0, or an error with the folder it was about. */
int site_open(struct site *site, const char **ret_directory);
/* Also when not all, or none, are open. */
void site_close(struct site *site);

/* The handler; `user` is the site. */
void site_handle(struct leat_http_request *request, struct leat_http_response *response,
                 void *user);

/* ---- For the site's own files ---------------------------------------------------------------- */

/* Where a request leads: what is asked for, and where that is below which root. */
struct site_place {
    const struct site_root *root; /* without a root: "/" has no folder */
    const char *local;            /* in `path`, or "." */
    bool is_folder;
    char path[SITE_PATH_SIZE];
};

/* What a connection's requests leave for each other (leat_http_connection_memory). */
struct site_connection {
    struct pace_state pace;
    uint64_t viewer; /* a number of its own, see viewers.h */
};

/* A folder, or "/" where there is no main root: then `root` and `folder` are NULL. `path` is the
 * URL's, decoded and without slashes around it, `local` the same below the root; "." for "/". */
struct site_folder {
    const struct site *site;
    struct leat_root *root;
    struct leat_file *folder;
    const char *path, *local;
};

/* What is in a folder, as the page or as what the query asks for; in the calling fiber. */
void site_reply_listing(const struct site_folder *folder, struct leat_http_request *request,
                        struct leat_http_response *response);

/* What was made for the request: with a tag of its content, never to be used unasked. Frees the
 * text; without memory for it the reply is a 503. */
void site_reply_text(struct leat_http_request *request, struct leat_http_response *response,
                     const char *media_type, struct text *text);

/* What says who else may look (CORS, Timing-Allow-Origin): for every response. */
void site_put_origins(const struct site *site, const struct leat_http_request *request,
                      struct leat_http_response *response);
/* OPTIONS, be it a browser's question beforehand (Fetch, section 3.2.2) or anybody's. */
void site_reply_options(const struct site *site, struct leat_http_request *request,
                        struct leat_http_response *response);
/* Content-Disposition: to be saved under this name (RFC 6266). */
void site_put_download(struct leat_http_response *response, const char *name);

#endif
