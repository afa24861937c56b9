/* SPDX-License-Identifier: MIT */
/*
 * See site_flags.h.
 */
#include "site_flags.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "site.h"

static_assert(SITE_ROOTS_MAX == 32, "as site_take_root says");

int site_take_root(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct site *site = target;
    const char *equals = strchr(text, '=');
    const size_t size = equals ? (size_t)(equals - text) : 0;
    const char *wrong = NULL;
    struct site_root root = {0};
    if (size == 0 || !equals[1])
        wrong = "takes NAME=DIR, such as films=/srv/films";
    else if (text[0] == '.' || memchr(text, '/', size) || size >= sizeof root.name)
        wrong = "takes as NAME a segment of a path, of 255 bytes at most, with no dot in front";
    else if (site->root_count == SITE_ROOTS_MAX)
        wrong = "can be given 32 times at most";
    else
        memcpy(root.name, text, size);
    for (unsigned index = 0; !wrong && index < site->root_count; index++)
        if (strcmp(site->roots[index].name, root.name) == 0)
            wrong = "has taken this name already";
    if (wrong) {
        snprintf(ret_error, ret_error_size, "--root %s: '%s'", wrong, text);
        return -1;
    }
    root.directory = equals + 1;
    site->roots[site->root_count++] = root;
    return 0;
}

int site_take_index(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct site *site = target;
    if (!text[0] || strchr(text, '/') || strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
        snprintf(ret_error, ret_error_size,
                 "--index takes the name of a file without its folder, or off, not '%s'", text);
        return -1;
    }
    site->index = strcmp(text, "off") == 0 ? NULL : text;
    return 0;
}

/* An origin as browsers send it (RFC 6454, section 6.2): scheme://host[:port], in small letters and
 * without a path; or "*". */
static bool is_origin(const char *text)
{
    if (strcmp(text, "*") == 0)
        return true;
    const char *host = strstr(text, "://");
    if (!host || host == text)
        return false;
    host += 3;
    return host[0] &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.") + 3 == (size_t)(host - text) &&
           !host[strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-._:[]")];
}

static int refuse_origin(const char *flag, const char *text, char *ret_error, size_t ret_error_size)
{
    snprintf(ret_error, ret_error_size,
             "%s takes an origin such as https://player.example (no path, small letters), or *,"
             " not '%s'",
             flag, text);
    return -1;
}

int site_take_origin(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct site *site = target;
    if (!is_origin(text))
        return refuse_origin("--cors", text, ret_error, ret_error_size);
    const bool is_any = strcmp(text, "*") == 0;
    if (site->origin_count == SITE_ORIGINS_MAX ||
        (site->origin_count > 0 && (is_any || strcmp(site->origins[0], "*") == 0))) {
        snprintf(ret_error, ret_error_size,
                 "--cors takes %d origins at most, or * alone: '%s' is one too many",
                 SITE_ORIGINS_MAX, text);
        return -1;
    }
    site->origins[site->origin_count++] = text;
    return 0;
}

int site_take_timing_origin(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct site *site = target;
    if (!is_origin(text))
        return refuse_origin("--timing-allow-origin", text, ret_error, ret_error_size);
    site->timing_origin = text;
    return 0;
}
