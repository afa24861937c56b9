/* SPDX-License-Identifier: MIT */
/*
 * What is in a folder, as its pages show it: read and sorted by site_listing.c, made HTML by
 * site_library.c and site_plain.c.
 */
#ifndef LEAT_SITE_LISTING_H
#define LEAT_SITE_LISTING_H

#include "site.h"
#include "text.h"

enum entry_kind { ENTRY_FOLDER, ENTRY_FILM, ENTRY_OTHER, ENTRY_KINDS };

struct entry {
    enum entry_kind kind;
    char *name;
    bool has_info; /* the two below are known */
    uint64_t size;
    int64_t mtime_ns;
};

/* Sorted: by kind, then by name, whatever the case of its letters. */
struct listing {
    const struct site_folder *folder;
    struct entry *entries;
    size_t count, capacity;
    bool has_more, has_failed;
};

/* `path` is the folder's, as in struct site_folder. */
void site_library_page(struct text *page, const char *path, const struct listing *listing);
void site_plain_page(struct text *page, const char *path, const struct listing *listing);

/* <a href="./name/"…>name/</a>; `attributes` begin with a space, or are "". */
void listing_add_link(struct text *page, const struct entry *entry, const char *attributes);

#endif
