/* SPDX-License-Identifier: MIT */
/*
 * See site.h.
 */
#include "site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "leat/clock.h"
#include "site_assets.h"
#include "site_film.h"
#include "site_live.h"
#include "text.h"

enum { OPEN_TIMEOUT_MS = 30 * 1000 };

/* ---- Roots ----------------------------------------------------------------------------------- */

/* In a thread of the pool: standard error may block. */
static void report_refusal(const char *path, int error, void *user)
{
    const struct site_root *root = user;
    struct text text = {0};
    text_add_visible(&text, (struct leat_slice){path, strlen(path)});
    text_add(&text, (struct leat_slice){"", 1});
    if (!text.has_failed)
        fprintf(stderr, "leat serve: refused '%s' below %s: %s\n", text.data, root->directory,
                error == -ELOOP ? "its symbolic links lead round in circles"
                                : "it leads out (--follow-symlinks on would follow it)");
    text_fini(&text);
}

int site_open(struct site *site, const char **ret_directory)
{
    for (unsigned index = 0; index <= site->root_count; index++) {
        struct site_root *root = index ? &site->roots[index - 1] : &site->main;
        const struct leat_root_options options = {
            .follow_symlinks = site->follow_symlinks, .on_refused = report_refusal, .user = root};
        if (!root->directory)
            continue;
        const int error = leat_root_open_with(root->directory, &options, &root->root);
        if (error) {
            *ret_directory = root->directory;
            site_close(site);
            return error;
        }
    }
    return 0;
}

void site_close(struct site *site)
{
    for (unsigned index = 0; index <= site->root_count; index++) {
        struct site_root *root = index ? &site->roots[index - 1] : &site->main;
        leat_root_close(root->root);
        root->root = NULL;
    }
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* A segment that begins with a dot; "." alone is the root. */
static bool is_hidden(const char *path)
{
    return (path[0] == '.' && path[1]) || strstr(path, "/.");
}

static void choose_root(const struct site *site, struct site_place *place)
{
    const size_t size = strcspn(place->path, "/");
    place->root = &site->main;
    place->local = place->path;
    for (unsigned index = 0; index < site->root_count; index++) {
        const struct site_root *root = &site->roots[index];
        if (strlen(root->name) != size || memcmp(root->name, place->path, size) != 0)
            continue;
        place->root = root;
        place->local = place->path[size] ? place->path + size + 1 : ".";
        return;
    }
}

/* Of a place whose path is known: 0, or the status to reply with. */
static int find_root(const struct site *site, struct site_place *place)
{
    if (!site->shows_dotfiles && is_hidden(place->path))
        return 404;
    choose_root(site, place);
    return place->root->root || strcmp(place->path, ".") == 0 ? 0 : 404;
}

/* ---- Folders --------------------------------------------------------------------------------- */

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

static int open_below(const struct site_place *place, const char *path, struct leat_file **ret_file)
{
    return leat_file_open(place->root->root, path, leat_after_ms(OPEN_TIMEOUT_MS), ret_file);
}

/* The folder's index file, if it has one. Was it replied with? */
static bool reply_index(const struct site *site, struct leat_http_request *request,
                        const struct site_place *place, struct leat_http_response *response)
{
    char path[SITE_PATH_SIZE];
    struct leat_file *file;
    const bool is_top = strcmp(place->local, ".") == 0;
    const int size = snprintf(path, sizeof path, "%s%s%s", is_top ? "" : place->local,
                              is_top ? "" : "/", site->index);
    if (size >= (int)sizeof path || open_below(place, path, &file) != 0)
        return false; /* whatever is wrong with it: the folder itself tells what can be told */
    const bool is_there = !leat_file_info(file)->is_directory;
    leat_file_unref(file);
    return is_there && leat_http_reply_file(request, response, place->root->root, path) == 0;
}

static void handle_folder(const struct site *site, struct leat_http_request *request,
                          const struct site_place *place, struct leat_http_response *response)
{
    struct site_folder folder = {
        .site = site, .root = place->root->root, .path = place->path, .local = place->local};
    if (place->root->root) {
        if (site->index && reply_index(site, request, place, response))
            return;
        const int error = open_below(place, place->local, &folder.folder);
        if (error) {
            (void)leat_http_reply_error(response, leat_http_status_of_file(error));
            return;
        }
    }
    if (folder.folder && !leat_file_info(folder.folder)->is_directory)
        (void)leat_http_reply_error(response, 404);
    else if (site->pages == SITE_NO_PAGES)
        (void)leat_http_reply_error(response, 403);
    else
        site_reply_listing(&folder, request, response);
    leat_file_unref(folder.folder);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void handle_file(const struct site *site, struct leat_http_request *request,
                        const struct site_place *place, struct leat_http_response *response)
{
    const struct leat_slice query = leat_http_query(request);
    struct leat_slice unused;
    if (leat_http_reply_file(request, response, place->root->root, place->local) == -EISDIR) {
        redirect_to_folder(place->path, query, response);
        return;
    }
    const int status = leat_http_status(response);
    site_pace_other(site, response);
    const char *slash = strrchr(place->path, '/');
    if ((status == 200 || status == 206) && query_find(query, "download", &unused))
        site_put_download(response, slash ? slash + 1 : place->path);
}

/* What lies below "/live/" hides what a root has there. */
static bool handle_live(const struct site *site, struct leat_http_request *request,
                        struct leat_http_response *response)
{
    char path[SITE_PATH_SIZE];
    bool is_folder;
    const struct leat_slice raw = leat_http_path(request);
    if (!site->live || raw.size < 5 || memcmp(raw.data, "/live", 5) != 0)
        return false;
    return leat_http_local_path(request, path, sizeof path, &is_folder) == 0 &&
           site_reply_live(site, request, path, response);
}

void site_handle(struct leat_http_request *request, struct leat_http_response *response, void *user)
{
    const struct site *site = user;
    const struct leat_slice method = leat_http_method(request);
    struct site_place place;
    if (proxies_handle(&site->proxies, request, response))
        return; /* it says itself who may look */
    site_put_origins(site, request, response);
    if (method.size == 7 && memcmp(method.data, "OPTIONS", 7) == 0) {
        site_reply_options(site, request, response);
        return;
    }
    if (handle_live(site, request, response))
        return;
    if (!leat_http_is_get(request)) {
        (void)leat_http_reply_not_allowed(request, response, "GET, HEAD, OPTIONS");
        return;
    }
    int status = leat_http_local_path(request, place.path, sizeof place.path, &place.is_folder);
    if (status == 0 && site_assets_have(place.path)) {
        site_assets_handle(request, response, NULL);
        return;
    }
    if (status == 0)
        status = find_root(site, &place);
    if (status)
        (void)leat_http_reply_error(response, status);
    else if (place.is_folder)
        handle_folder(site, request, &place, response);
    else if (!site_reply_stream(site, request, &place, response))
        handle_file(site, request, &place, response);
}
