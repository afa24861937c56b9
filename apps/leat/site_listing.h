/* SPDX-License-Identifier: MIT */
/*
 * What is in a folder, as its pages show it: read by site_listing.c, made HTML by site_library.c
 * and site_plain.c, and JSON for the library's script by site_list_json.c.
 */
#ifndef LEAT_SITE_LISTING_H
#define LEAT_SITE_LISTING_H

#include "media/ladder.h"
#include "site.h"
#include "text.h"

enum {
    LISTING_ENTRIES_MAX = 32 * 1024, /* 10,000 films with a poster and subtitles each, and some */
    LISTING_LADDERS_MAX = 64,        /* lists of ladders that are read */
};

/* A film is what a browser may play. */
enum entry_kind { ENTRY_FOLDER, ENTRY_FILM, ENTRY_OTHER, ENTRY_KINDS };

struct entry {
    enum entry_kind kind;
    char *name;
    bool has_info; /* the two below are known */
    uint64_t size;
    int64_t mtime_ns;
};

/* STEM.ladder.json, and what it lists. */
struct listed_ladder {
    struct leat_slice stem; /* of the entry's name */
    struct ladder_names names;
};

/* Sorted: by kind, then by name, whatever the case of its letters. */
struct listing {
    const struct site_folder *folder;
    struct entry *entries;
    size_t count, capacity;
    struct listed_ladder *ladders[LISTING_LADDERS_MAX];
    unsigned ladder_count;
    bool has_more, has_failed;
};

/* Where a name stands among others, whatever the case of its letters. */
int listing_compare_names(const char *one, const char *other);
/* Of the kind, in what is sorted; NULL: there is none. */
const struct entry *listing_find(const struct listing *listing, enum entry_kind kind,
                                 const char *name);

/* `path` is the folder's, as in struct site_folder. */
void site_library_page(struct text *page, const char *path, const struct listing *listing);
/* Does it come with a script, which asks for what is in the folder? */
bool site_library_has_script(void);
void site_plain_page(struct text *page, const char *path, const struct listing *listing);
void site_list_json(struct text *json, const char *path, const struct listing *listing);

/* <a href="./name/">name/</a> */
void listing_add_link(struct text *page, const struct entry *entry);

#endif
