/* SPDX-License-Identifier: MIT */
/*
 * See site.h.
 */
#include "site.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "leat/clock.h"
#include "text.h"

enum { PATH_SIZE = 1024, OPEN_TIMEOUT_MS = 30 * 1000 };

/* A segment that begins with a dot; "." alone is the root. */
static bool is_hidden(const char *path)
{
    return (path[0] == '.' && path[1]) || strstr(path, "/.");
}

/* To the folder's own URL. Made of the local path, not of what was asked for: "//host" would lead
 * the browser elsewhere. */
static void redirect_to_folder(const char *path, struct leat_slice query,
                               struct leat_http_response *response)
{
    struct text link = {0};
    text_add_literal(&link, "/");
    text_add_link(&link, (struct leat_slice){path, strlen(path)});
    text_add_literal(&link, "/");
    if (query.data) {
        text_add_literal(&link, "?");
        text_add(&link, query);
    }
    text_add(&link, (struct leat_slice){"", 1});
    if (link.has_failed)
        (void)leat_http_reply_error(response, 503);
    else if (leat_http_add_field(response, "Location", link.data) != 0)
        (void)leat_http_reply_error(response, 414); /* a query that fits no head of ours */
    else
        (void)leat_http_reply_error(response, 301);
    text_fini(&link);
}

static void handle_folder(const struct site *site, struct leat_http_request *request,
                          const char *path, struct leat_http_response *response)
{
    if (!leat_http_is_get(request)) {
        (void)leat_http_add_field(response, "Allow", "GET, HEAD");
        (void)leat_http_reply_error(response, 405);
        return;
    }
    struct leat_file *folder;
    const int error = leat_file_open(site->root, path, leat_after_ms(OPEN_TIMEOUT_MS), &folder);
    if (error) {
        (void)leat_http_reply_error(response, leat_http_status_of_file(error));
        return;
    }
    if (leat_file_info(folder)->is_directory)
        site_library(folder, path, response);
    else
        (void)leat_http_reply_error(response, 404);
    leat_file_unref(folder);
}

void site_handle(struct leat_http_request *request, struct leat_http_response *response,
                 void *user)
{
    const struct site *site = user;
    char path[PATH_SIZE];
    bool is_folder;
    const int status = leat_http_local_path(request, path, sizeof path, &is_folder);
    if (status || is_hidden(path))
        (void)leat_http_reply_error(response, status ? status : 404);
    else if (is_folder)
        handle_folder(site, request, path, response);
    else if (leat_http_reply_file(request, response, site->root, path) == -EISDIR)
        redirect_to_folder(path, leat_http_query(request), response);
}
