/* SPDX-License-Identifier: MIT */
/*
 * See site_listing.h.
 */
#include "site_listing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/slice.h"
#include "leat/clock.h"

enum { ENTRIES_MAX = 10000, LIST_TIMEOUT_MS = 30 * 1000 };

static enum entry_kind kind_of(const char *name, bool is_directory)
{
    static const char *const films[] = {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".ogv"};
    if (is_directory)
        return ENTRY_FOLDER;
    const char *dot = strrchr(name, '.');
    for (size_t index = 0; dot && index < sizeof films / sizeof *films; index++)
        if (strcasecmp(dot, films[index]) == 0)
            return ENTRY_FILM;
    return ENTRY_OTHER;
}

/* One more; false: no further ones. */
static bool add_entry(struct listing *listing, const struct entry *entry)
{
    if (listing->count == ENTRIES_MAX) {
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

static int compare_entries(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    if (one->kind != other->kind)
        return one->kind < other->kind ? -1 : 1;
    const int order = strcasecmp(one->name, other->name);
    return order ? order : strcmp(one->name, other->name);
}

/* 0, or the status that tells why there is no listing. */
static int read_listing(struct listing *listing)
{
    const struct site_folder *folder = listing->folder;
    const int64_t deadline_ns = leat_after_ms(LIST_TIMEOUT_MS);
    int error = 0;
    add_roots(listing);
    if (folder->folder && folder->site->pages == SITE_PLAIN)
        error = leat_file_list_info(folder->folder, deadline_ns, take_entry_info, listing);
    else if (folder->folder)
        error = leat_file_list(folder->folder, deadline_ns, take_entry, listing);
    if (error)
        return leat_http_status_of_file(error);
    if (listing->has_failed)
        return 503;
    if (listing->count > 0)
        qsort(listing->entries, listing->count, sizeof *listing->entries, compare_entries);
    return 0;
}

void listing_add_link(struct text *page, const struct entry *entry, const char *attributes)
{
    const char *end = entry->kind == ENTRY_FOLDER ? "/" : "";
    /* "./" first: a name with a colon in it is not a scheme. */
    text_add_literal(page, "<a href=\"./");
    text_add_link(page, slice_from_text(entry->name));
    text_add_literal(page, end);
    text_add_literal(page, "\"");
    text_add_literal(page, attributes);
    text_add_literal(page, ">");
    text_add_html(page, slice_from_text(entry->name));
    text_add_literal(page, end);
    text_add_literal(page, "</a>");
}

void site_reply_listing(const struct site_folder *folder, struct leat_http_response *response)
{
    struct listing listing = {.folder = folder};
    struct text page = {0};
    int status = read_listing(&listing);
    if (status == 0) {
        if (folder->site->pages == SITE_PLAIN)
            site_plain_page(&page, folder->path, &listing);
        else
            site_library_page(&page, folder->path, &listing);
        status = page.has_failed ? 503 : 0;
    }
    if (status) {
        (void)leat_http_reply_error(response, status);
    } else {
        (void)leat_http_add_field(response, "Cache-Control", "no-cache");
        (void)leat_http_reply(response, 200, "text/html; charset=utf-8", page.data, page.size);
    }
    for (size_t index = 0; index < listing.count; index++)
        free(listing.entries[index].name);
    free(listing.entries);
    text_fini(&page);
}
