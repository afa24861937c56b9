/* SPDX-License-Identifier: MIT */
/*
 * Files below a prefix: what leat_http_files adds to a router. The path below the prefix is
 * normalised by itself, so that ".." leads out of the root (404), never out of the prefix and into
 * another's. Names that begin with a dot are not there.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "http/exchange.h"
#include "http/router.h"
#include "leat/error.h"
#include "net/file.h"
#include "wire/path.h"

static const char index_name[] = "index.html";

/* The path from the '/' on that stands before the rest, as it was sent. */
static struct leat_slice path_below(const struct leat_http_request *request)
{
    const struct route *route = request->match->route;
    ASSERT(route->takes_rest && route->parameter_count > 0);
    struct leat_slice path = request->head.path;
    for (unsigned left = route->parameters[route->parameter_count - 1].segment; left > 0; left--) {
        const char *slash = memchr(path.data + 1, '/', path.size - 1);
        ASSERT(slash != NULL);
        path = slice_after(path, (size_t)(slash - path.data));
    }
    return path;
}

static bool is_hidden(struct leat_slice path)
{
    for (size_t index = 0; index < path.size; index++)
        if (path.data[index] == '.' && (index == 0 || path.data[index - 1] == '/'))
            return true;
    return false;
}

/* To the directory's own URL. Behind the prefix it is made of the local path, not of what was
 * asked for: "//host" would lead the browser elsewhere. So would a backslash, which browsers take
 * for a slash, in a parameter that the prefix has. */
static void redirect(struct leat_http_request *request, struct leat_http_response *response,
                     struct leat_slice prefix, struct leat_slice path)
{
    const struct leat_slice query = request->head.query;
    if (memchr(prefix.data, '\\', prefix.size)) {
        (void)leat_http_reply_error(response, 404);
        return;
    }
    const size_t room = prefix.size + 3 * path.size + query.size + 3;
    char *const text = leat_http_alloc(request, room);
    if (!text) {
        (void)leat_http_reply_error(response, 503);
        return;
    }
    memcpy(text, prefix.data, prefix.size);
    char *at = text + prefix.size;
    const long encoded = path_encode(path, at, 3 * path.size);
    ASSERT(encoded > 0);
    at = stpcpy(at + encoded, "/");
    if (query.data) {
        *at++ = '?';
        memcpy(at, query.data, query.size);
        at += query.size;
    }
    *at = '\0';
    if (leat_http_redirect(response, 301, text) != 0)
        (void)leat_http_reply_error(response, 414); /* a query that fits no head of ours */
}

void router_serve_files(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    struct leat_root *root = user;
    const struct leat_slice below = path_below(request);
    char buffer[FILE_PATH_MAX + sizeof index_name + 1];
    struct path path;
    const int error = path_normalise(below, buffer, FILE_PATH_MAX, &path);
    if (error || is_hidden(path.text)) {
        (void)leat_http_reply_error(response, error == -LEAT_E_MALFORMED ? 400 : 404);
        return;
    }
    const bool is_directory = path.has_slash_at_end || path.text.size == 0;
    if (is_directory)
        stpcpy(stpcpy(buffer + path.text.size, path.text.size > 0 ? "/" : ""), index_name);
    if (leat_http_reply_file(request, response, root, buffer) != -EISDIR)
        return;
    const struct leat_slice whole = request->head.path;
    if (is_directory)
        (void)leat_http_reply_error(response, 404);
    else
        redirect(request, response, slice_of(whole.data, whole.size - below.size + 1), path.text);
}
