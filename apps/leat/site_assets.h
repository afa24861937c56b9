/* SPDX-License-Identifier: MIT */
/*
 * What the pages for browsers are made of: scripts and style sheets, built from web/ and embedded
 * in the program, at /.leat/NAME of every server. A build without Node has none of them (the table
 * is that of site_assets_none.c), and the pages are plain ones.
 */
#ifndef LEAT_SITE_ASSETS_H
#define LEAT_SITE_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

#include "leat/http.h"

struct site_asset {
    const char *name; /* "library.js", "chunks/hls-4fD2.js" */
    const char *media_type;
    const char *hash; /* of its bytes, in hexadecimal digits */
    const char *data;
    size_t size;
    /* The same, packed when leat was built; NULL: that is hardly smaller. */
    const char *gzip, *brotli;
    size_t gzip_size, brotli_size;
};

/* Made by site_assets.py. */
extern const struct site_asset site_assets[];
extern const unsigned site_asset_count;

/* NULL: there is none, and so no bundle. What is asked for as NAME?v=HASH may be kept for ever. */
const char *site_asset_hash(const char *name);

/* Is it a path of theirs, ".leat" or below? As leat_http_local_path makes it. */
bool site_assets_have(const char *path);
/* The handler of such paths; for routers, of "/.leat/{path...}". `user` is not used. */
void site_assets_handle(struct leat_http_request *request, struct leat_http_response *response,
                        void *user);

#endif
