/* SPDX-License-Identifier: MIT */
/*
 * See site_listing.h. A folder is read in a thread of the pool, and what was read is sorted and
 * written there, too: with many thousands of entries it takes milliseconds that the other requests
 * of the loop would wait for.
 */
#include "site_listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/slice.h"
#include "leat/clock.h"
#include "leat/fiber.h"
#include "site_film.h"

enum { LIST_TIMEOUT_MS = 30 * 1000 };

static enum entry_kind kind_of(const char *name, bool is_directory)
{
    const struct leat_slice text = slice_from_text(name);
    if (is_directory)
        return ENTRY_FOLDER;
    return film_is_named(text) || film_is_played(text) ? ENTRY_FILM : ENTRY_OTHER;
}

/* One more; false: no further ones. */
static bool add_entry(struct listing *listing, const struct entry *entry)
{
    if (listing->count == LISTING_ENTRIES_MAX) {
        listing->has_more = true;
        return false;
    }
    if (listing->count == listing->capacity) {
        const size_t capacity = listing->capacity ? listing->capacity * 2 : 64;
        struct entry *grown = realloc(listing->entries, capacity * sizeof *grown);
        if (!grown) {
            listing->has_failed = true;
            return false;
        }
        listing->entries = grown;
        listing->capacity = capacity;
    }
    struct entry *place = &listing->entries[listing->count];
    *place = *entry;
    place->name = strdup(entry->name);
    listing->has_failed |= !place->name;
    listing->count += place->name != NULL;
    return place->name != NULL;
}

/* A name at "/" that stands for another root. */
static bool is_hidden_by_root(const struct site_folder *folder, const char *name)
{
    if (strcmp(folder->path, ".") != 0)
        return false;
    for (unsigned index = 0; index < folder->site->root_count; index++)
        if (strcmp(folder->site->roots[index].name, name) == 0)
            return true;
    return false;
}

/* In a thread of the pool. */
static bool take_entry_info(const char *name, bool is_directory, const struct leat_file_info *info,
                            void *user)
{
    struct listing *listing = user;
    if ((name[0] == '.' && !listing->folder->site->shows_dotfiles) ||
        is_hidden_by_root(listing->folder, name))
        return true;
    struct entry entry = {.kind = kind_of(name, is_directory), .name = (char *)name};
    if (info) {
        entry.has_info = true;
        entry.size = info->size;
        entry.mtime_ns = info->mtime_ns;
    }
    return add_entry(listing, &entry);
}

static bool take_entry(const char *name, bool is_directory, void *user)
{
    return take_entry_info(name, is_directory, NULL, user);
}

static void add_roots(struct listing *listing)
{
    const struct site *site = listing->folder->site;
    if (strcmp(listing->folder->path, ".") != 0)
        return;
    for (unsigned index = 0; index < site->root_count; index++)
        add_entry(listing,
                  &(struct entry){.kind = ENTRY_FOLDER, .name = (char *)site->roots[index].name});
}

int listing_compare_names(const char *one, const char *other)
{
    const int order = strcasecmp(one, other);
    return order ? order : strcmp(one, other);
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    if (one->kind != other->kind)
        return one->kind < other->kind ? -1 : 1;
    return listing_compare_names(one->name, other->name);
}

const struct entry *listing_find(const struct listing *listing, enum entry_kind kind,
                                 const char *name)
{
    const struct entry wanted = {.kind = kind, .name = (char *)name};
    return listing->count == 0 ? NULL
                               : bsearch(&wanted, listing->entries, listing->count,
                                         sizeof *listing->entries, compare_entries);
}

/* 0, or the status that tells why there is no listing. */
static int read_listing(struct listing *listing, bool with_info)
{
    const struct site_folder *folder = listing->folder;
    const int64_t deadline_ns = leat_after_ms(LIST_TIMEOUT_MS);
    int error = 0;
    add_roots(listing);
    if (folder->folder && with_info)
        error = leat_file_list_info(folder->folder, deadline_ns, take_entry_info, listing);
    else if (folder->folder)
        error = leat_file_list(folder->folder, deadline_ns, take_entry, listing);
    if (error)
        return leat_http_status_of_file(error);
    return listing->has_failed ? 503 : 0;
}

/* ---- Lists of ladders ------------------------------------------------------------------------ */

/* What cannot be read as one is a file like others. */
static void read_ladder(struct listing *listing, const char *name, struct leat_slice stem)
{
    char path[SITE_PATH_SIZE], reason[FILM_REASON_SIZE];
    const struct site_folder *folder = listing->folder;
    const bool is_top = strcmp(folder->local, ".") == 0;
    struct listed_ladder *ladder = calloc(1, sizeof *ladder);
    listing->has_failed |= !ladder;
    if (!ladder)
        return;
    const int size =
        snprintf(path, sizeof path, "%s%s%s", is_top ? "" : folder->local, is_top ? "" : "/", name);
    if (size >= (int)sizeof path ||
        film_ladder_list(folder->root, path, leat_after_ms(LIST_TIMEOUT_MS), &ladder->names,
                         reason) != 0) {
        free(ladder);
        return;
    }
    ladder->stem = stem;
    listing->ladders[listing->ladder_count++] = ladder;
}

static void read_ladders(struct listing *listing)
{
    const struct leat_slice end = SLICE(".ladder.json");
    for (size_t index = 0; index < listing->count; index++) {
        const struct entry *entry = &listing->entries[index];
        const struct leat_slice name = slice_from_text(entry->name);
        if (entry->kind == ENTRY_OTHER && name.size > end.size && slice_ends_with(name, end) &&
            listing->ladder_count < LISTING_LADDERS_MAX)
            read_ladder(listing, entry->name, slice_of(name.data, name.size - end.size));
    }
}

static void free_listing(struct listing *listing)
{
    for (size_t index = 0; index < listing->count; index++)
        free(listing->entries[index].name);
    for (unsigned index = 0; index < listing->ladder_count; index++)
        free(listing->ladders[index]);
    free(listing->entries);
}

/* ---- Replies --------------------------------------------------------------------------------- */

void listing_add_link(struct text *page, const struct entry *entry)
{
    const char *end = entry->kind == ENTRY_FOLDER ? "/" : "";
    /* "./" first: a name with a colon in it is not a scheme. */
    text_add_literal(page, "<a href=\"./");
    text_add_link(page, slice_from_text(entry->name));
    text_add_literal(page, end);
    text_add_literal(page, "\">");
    text_add_html(page, slice_from_text(entry->name));
    text_add_literal(page, end);
    text_add_literal(page, "</a>");
}

/* What the library page may do (Content Security Policy Level 3): with its script, which makes
 * addresses of what it plays and captures, and hls.js a worker of its own text; and without. */
static const char script_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " media-src 'self' blob: data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none';"
    " form-action 'none'";
static const char plain_policy[] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
                                   " base-uri 'none'; form-action 'none'";

typedef void (*view_fn)(struct text *text, const char *path, const struct listing *listing);

struct view {
    struct listing *listing;
    view_fn write;
    struct text text;
};

static int make_view(void *arg)
{
    struct view *view = arg;
    struct listing *listing = view->listing;
    if (listing->count > 0)
        qsort(listing->entries, listing->count, sizeof *listing->entries, compare_entries);
    view->write(&view->text, listing->folder->path, listing);
    return view->text.has_failed ? -ENOMEM : 0;
}

static bool query_is(struct leat_slice query, const char *name, const char *value)
{
    struct leat_slice found;
    return query_find(query, name, &found) && slice_equal(found, slice_from_text(value));
}

void site_reply_listing(const struct site_folder *folder, struct leat_http_request *request,
                        struct leat_http_response *response)
{
    struct listing listing = {.folder = folder};
    struct view view = {.listing = &listing, .write = site_library_page};
    const struct leat_slice query = leat_http_query(request);
    const bool is_json = query_is(query, "list", "json");
    if (is_json)
        view.write = site_list_json;
    else if (folder->site->pages == SITE_PLAIN || query_is(query, "list", "plain"))
        view.write = site_plain_page;
    int status = read_listing(&listing, view.write != site_library_page);
    if (status == 0 && is_json)
        read_ladders(&listing);
    if (status == 0) {
        int result = 0;
        const int error = leat_offload(make_view, &view, leat_after_ms(LIST_TIMEOUT_MS), &result);
        status = error || result ? 503 : 0;
    }
    if (status) {
        (void)leat_http_reply_error(response, status);
        text_fini(&view.text);
    } else {
        if (view.write == site_library_page)
            (void)leat_http_add_field(response, "Content-Security-Policy",
                                      site_library_has_script() ? script_policy : plain_policy);
        site_reply_text(request, response,
                        is_json ? "application/json" : "text/html; charset=utf-8", &view.text);
    }
    free_listing(&listing);
}
