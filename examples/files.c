/* SPDX-License-Identifier: MIT */
/*
 * files DIR [ADDR:PORT]: the files of a folder below a prefix, with validators and ranges, and as
 * attachments under another. All threads share the root; nothing leads out of it.
 *
 *     curl -i localhost:8080/files/film.mp4
 *     curl -i -r 0-99,5000-5099 localhost:8080/files/film.mp4        two parts of it
 *     curl -OJ localhost:8080/save/film.mp4
 */
#include <stdio.h>

#include "leat/leat.h"

/* Whatever is below the prefix may be kept for a minute, and is asked about again after that. */
static void let_keep(struct leat_http_request *request, struct leat_http_response *response,
                     struct leat_http_next *next, void *user)
{
    leat_http_next(next);
    if (leat_http_status(response) < 400)
        leat_http_add_field(response, "Cache-Control", "max-age=60");
}

/* A handler may reply with a file, too. What can not be opened it replies to with 404 or the like;
 * "../" in a name is no way out, and a directory is none of its files. */
static void save(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    struct leat_root *root = user;
    if (leat_http_reply_file(request, response, root, leat_http_param(request, "name")) != 0)
        leat_http_reply_error(response, 404);
    else if (leat_http_status(response) < 300)
        leat_http_add_field(response, "Content-Disposition", "attachment");
}

int main(int argc, char **argv)
{
    struct leat_root *root = NULL;
    struct leat_http_router *router = leat_http_router_create();
    int error = leat_root_open(argc > 1 ? argv[1] : ".", &root);
    if (!error) {
        struct leat_http_router *files = leat_http_group(router, "/files");
        leat_http_use(files, let_keep, NULL);
        leat_http_files(files, "/", root);
        leat_http_get(router, "/save/{name}", save, root);
        const struct leat_http_run_options options = {.on_listening = leat_http_announce};
        error = leat_http_run(router, argc > 2 ? argv[2] : NULL, &options);
    }
    leat_http_router_destroy(router);
    leat_root_close(root);
    return error && fprintf(stderr, "files: %s\n", leat_error_text(error));
}
