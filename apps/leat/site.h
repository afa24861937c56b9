/* SPDX-License-Identifier: MIT */
/*
 * The site: which URL is answered with what. A folder's URL ends in '/' and is a library page
 * (site_library.c); everything else is a file below the root. Names that begin with a dot are not
 * there. One a worker thread.
 */
#ifndef LEAT_SITE_H
#define LEAT_SITE_H

#include "leat/http.h"

struct site {
    struct leat_root *root;
};

/* The handler; `user` is the site. */
void site_handle(struct leat_http_request *request, struct leat_http_response *response,
                 void *user);

/* The page of a folder, in the calling fiber; `path` is the local one ("." for the root). Takes
 * over nothing. */
void site_library(struct leat_file *folder, const char *path, struct leat_http_response *response);

#endif
