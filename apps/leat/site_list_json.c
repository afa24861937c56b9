/* SPDX-License-Identifier: MIT */
/*
 * A folder for the library's script, described in docs/streaming.md. Films that are rungs of one
 * ladder are one entry; posters, subtitles and lists of rungs, which belong to a film, are none.
 *
 * In a thread of the pool: nothing here waits, and what grows with the folder is sorting alone.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "leat/clock.h"
#include "site_film.h"
#include "site_listing.h"

/* What is told of: an entry, or a ladder by the name of its stem. */
struct item {
    const struct entry *entry;  /* of a ladder: the largest of its rungs */
    const struct entry **rungs; /* the largest first; NULL: it is none */
    unsigned rung_count;
    char *stem; /* of a ladder; its own */
};

/* A film that is named like a rung. */
struct candidate {
    const struct entry *entry;
    struct leat_slice stem;
};

struct work {
    const struct listing *listing;
    struct item *items;
    size_t item_count;
    struct candidate *candidates;
    size_t candidate_count;
    const struct entry **rungs; /* of all ladders; each film is in one at most */
    size_t rung_count;
    bool *is_taken; /* entries that are in a ladder, or belong to a film */
    /* Of films and ladders, sorted: of all, and of those that are streamed. */
    struct leat_slice *stems, *streams;
    size_t stem_count, stream_count;
    bool has_failed;
};

static int compare_slices(struct leat_slice one, struct leat_slice other)
{
    const size_t size = one.size < other.size ? one.size : other.size;
    const int order = size > 0 ? memcmp(one.data, other.data, size) : 0;
    return order ? order : (one.size > other.size) - (one.size < other.size);
}

static size_t index_of(const struct work *work, const struct entry *entry)
{
    return (size_t)(entry - work->listing->entries);
}

/* ---- Ladders --------------------------------------------------------------------------------- */

static int compare_rungs(const void *a, const void *b)
{
    const struct entry *one = *(const struct entry *const *)a;
    const struct entry *other = *(const struct entry *const *)b;
    return one->size != other->size ? (one->size < other->size ? 1 : -1)
                                    : strcmp(one->name, other->name);
}

/* Of the last `count` of work->rungs. */
static void add_ladder(struct work *work, struct leat_slice stem, unsigned count)
{
    struct item *item = &work->items[work->item_count];
    *item = (struct item){.rungs = work->rungs + work->rung_count - count, .rung_count = count};
    item->stem = strndup(stem.data, stem.size);
    work->has_failed |= !item->stem;
    if (!item->stem)
        return;
    qsort(item->rungs, count, sizeof *item->rungs, compare_rungs);
    item->entry = item->rungs[0];
    for (unsigned index = 0; index < count; index++)
        work->is_taken[index_of(work, item->rungs[index])] = true;
    work->item_count++;
}

/* A list that names what is not there is no ladder (site_ladder.c refuses it, and says why); nor is
 * one for us that names what another has. */
static void add_listed(struct work *work, const struct listed_ladder *ladder)
{
    const size_t begin = work->rung_count;
    for (unsigned index = 0; index < ladder->names.count; index++) {
        const struct entry *entry =
            listing_find(work->listing, ENTRY_FILM, ladder->names.names[index]);
        if (!entry || work->is_taken[index_of(work, entry)]) {
            work->rung_count = begin;
            return;
        }
        work->rungs[work->rung_count++] = entry;
    }
    add_ladder(work, ladder->stem, ladder->names.count);
}

static bool is_listed(const struct listing *listing, struct leat_slice stem)
{
    for (unsigned index = 0; index < listing->ladder_count; index++)
        if (slice_equal(listing->ladders[index]->stem, stem))
            return true;
    return false;
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *one = a, *other = b;
    const int order = compare_slices(one->stem, other->stem);
    return order ? order : strcmp(one->entry->name, other->entry->name);
}

/* "trip-2018.mp4" and "trip-2019.mp4" are two films: no picture is as high as a year. */
static bool is_year(const struct candidate *candidate)
{
    const char *number = candidate->entry->name + candidate->stem.size + 1;
    return (strncmp(number, "19", 2) == 0 || strncmp(number, "20", 2) == 0) &&
           strcspn(number, ".") == 4;
}

static void add_named(struct work *work, const struct candidate *first, size_t count)
{
    size_t year_count = 0;
    for (size_t index = 0; index < count; index++)
        year_count += is_year(&first[index]);
    if (count < 2 || count > LADDER_RUNGS_MAX || year_count == count ||
        is_listed(work->listing, first->stem))
        return;
    for (size_t index = 0; index < count; index++)
        work->rungs[work->rung_count++] = first[index].entry;
    add_ladder(work, first->stem, (unsigned)count);
}

static void find_ladders(struct work *work)
{
    const struct listing *listing = work->listing;
    for (unsigned index = 0; index < listing->ladder_count; index++)
        add_listed(work, listing->ladders[index]);
    for (size_t index = 0; index < listing->count; index++) {
        const struct entry *entry = &listing->entries[index];
        const struct leat_slice name = slice_from_text(entry->name);
        struct candidate *candidate = &work->candidates[work->candidate_count];
        if (entry->kind == ENTRY_FILM && !work->is_taken[index] && film_is_named(name) &&
            ladder_stem(name, &candidate->stem)) {
            candidate->entry = entry;
            work->candidate_count++;
        }
    }
    qsort(work->candidates, work->candidate_count, sizeof *work->candidates, compare_candidates);
    size_t end;
    for (size_t begin = 0; begin < work->candidate_count; begin = end) {
        const struct candidate *first = &work->candidates[begin];
        end = begin + 1;
        while (end < work->candidate_count && slice_equal(work->candidates[end].stem, first->stem))
            end++;
        add_named(work, first, end - begin);
    }
}

/* ---- What belongs to a film ------------------------------------------------------------------ */

/* The name without its last extension; false: it has none of these. */
static bool cut_extension(struct leat_slice name, const char *const *extensions,
                          struct leat_slice *ret_rest)
{
    const char *dot = name.size > 0 ? memrchr(name.data, '.', name.size) : NULL;
    if (!dot)
        return false;
    const struct leat_slice extension = slice_after(name, (size_t)(dot + 1 - name.data));
    *ret_rest = slice_of(name.data, (size_t)(dot - name.data));
    for (; *extensions; extensions++)
        if (slice_equal(extension, slice_from_text(*extensions)))
            return true;
    return false;
}

static int compare_stems(const void *a, const void *b)
{
    return compare_slices(*(const struct leat_slice *)a, *(const struct leat_slice *)b);
}

static bool is_among(const struct leat_slice *stems, size_t count, struct leat_slice stem)
{
    return count > 0 && bsearch(&stem, stems, count, sizeof *stems, compare_stems) != NULL;
}

static void add_stem(struct work *work, struct leat_slice stem, bool is_streamed)
{
    work->stems[work->stem_count++] = stem;
    if (is_streamed)
        work->streams[work->stream_count++] = stem;
}

static void find_stems(struct work *work)
{
    for (size_t index = 0; index < work->listing->count; index++) {
        const struct entry *entry = &work->listing->entries[index];
        const struct leat_slice name = slice_from_text(entry->name);
        const char *dot = strrchr(entry->name, '.');
        if (entry->kind == ENTRY_FILM)
            add_stem(work, slice_of(name.data, dot ? (size_t)(dot - name.data) : name.size),
                     film_is_named(name));
    }
    for (size_t index = 0; index < work->item_count; index++)
        add_stem(work, slice_from_text(work->items[index].stem), true);
    qsort(work->stems, work->stem_count, sizeof *work->stems, compare_stems);
    qsort(work->streams, work->stream_count, sizeof *work->streams, compare_stems);
}

/* STEM.jpg, STEM.ladder.json, STEM.LANG.vtt: subtitles that are in the stream; those of a film that
 * is not streamed are files, of which the script makes use. */
static bool belongs_to_film(const struct work *work, struct leat_slice name)
{
    static const char *const pictures[] = {FILM_POSTER_EXTENSIONS, NULL};
    static const char *const subtitles[] = {"vtt", "srt", NULL};
    static const char *const lists[] = {"json", NULL};
    struct leat_slice rest, stem;
    if (cut_extension(name, pictures, &stem))
        return is_among(work->stems, work->stem_count, stem);
    if (!cut_extension(name, subtitles, &rest) &&
        !(cut_extension(name, lists, &rest) && slice_ends_with(rest, SLICE(".ladder"))))
        return false;
    const char *dot = rest.size > 0 ? memrchr(rest.data, '.', rest.size) : NULL;
    return dot && is_among(work->streams, work->stream_count,
                           slice_of(rest.data, (size_t)(dot - rest.data)));
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Relative to the folder; a ':', which would make it a scheme, is encoded like all else. */
static void add_href(struct text *json, const char *name, const char *end)
{
    text_add_literal(json, "\"");
    text_add_link(json, slice_from_text(name));
    text_add_literal(json, end);
    text_add_literal(json, "\"");
}

static void add_rungs(struct text *json, const struct item *item)
{
    for (unsigned index = 0; index < item->rung_count; index++) {
        text_add_literal(json, index ? "," : ",\"rungs\":[");
        add_href(json, item->rungs[index]->name, "");
    }
    text_add_literal(json, "]");
}

static void add_item(struct text *json, const struct item *item)
{
    static const char *const kinds[ENTRY_KINDS] = {"folder", "film", "file"};
    const struct entry *entry = item->entry;
    const char *name = item->stem ? item->stem : entry->name;
    const bool is_folder = entry->kind == ENTRY_FOLDER;
    text_add_literal(json, "{\"name\":");
    text_add_json(json, slice_from_text(name));
    text_add_literal(json, ",\"kind\":\"");
    text_add_literal(json, kinds[entry->kind]);
    text_add_literal(json, "\"");
    if (entry->has_info && !is_folder) {
        text_add_literal(json, ",\"size\":");
        text_add_number(json, entry->size);
        text_add_literal(json, ",\"mtime_ms\":");
        text_add_format(json, "%" PRId64, entry->mtime_ns / LEAT_NS_PER_MS);
    }
    text_add_literal(json, ",\"href\":");
    add_href(json, entry->name, is_folder ? "/" : "");
    if (entry->kind == ENTRY_FILM && film_is_named(slice_from_text(entry->name))) {
        text_add_literal(json, ",\"stream\":");
        add_href(json, name, "/master.m3u8");
    }
    if (item->rungs)
        add_rungs(json, item);
    text_add_literal(json, "}");
}

static int compare_items(const void *a, const void *b)
{
    const struct item *one = a, *other = b;
    if (one->entry->kind != other->entry->kind)
        return one->entry->kind < other->entry->kind ? -1 : 1;
    return listing_compare_names(one->stem ? one->stem : one->entry->name,
                                 other->stem ? other->stem : other->entry->name);
}

static void write_list(struct text *json, const char *path, const struct work *work)
{
    const bool is_top = strcmp(path, ".") == 0;
    struct text whole = {0};
    text_add_literal(&whole, "/");
    text_add(&whole, is_top ? SLICE("") : slice_from_text(path));
    text_add_literal(&whole, is_top ? "" : "/");
    json->has_failed |= whole.has_failed;
    text_add_literal(json, "{\"path\":");
    text_add_json(json, slice_of(whole.data, whole.size));
    text_add_literal(json, ",\"live\":");
    text_add_literal(json, work->listing->folder->site->live ? "true" : "false");
    text_add_literal(json, ",\"truncated\":");
    text_add_literal(json, work->listing->has_more ? "true" : "false");
    text_add_literal(json, ",\"entries\":[");
    for (size_t index = 0; index < work->item_count; index++) {
        text_add_literal(json, index ? ",\n" : "\n");
        add_item(json, &work->items[index]);
    }
    text_add_literal(json, "\n]}\n");
    text_fini(&whole);
}

/* The entries that stand for themselves join the ladders. */
static void add_others(struct work *work)
{
    for (size_t index = 0; index < work->listing->count; index++) {
        const struct entry *entry = &work->listing->entries[index];
        const bool is_others =
            entry->kind == ENTRY_OTHER && belongs_to_film(work, slice_from_text(entry->name));
        if (!work->is_taken[index] && !is_others)
            work->items[work->item_count++] = (struct item){.entry = entry};
    }
    if (work->item_count > 0)
        qsort(work->items, work->item_count, sizeof *work->items, compare_items);
}

void site_list_json(struct text *json, const char *path, const struct listing *listing)
{
    const size_t room = listing->count + 1; /* so that none is empty */
    struct work work = {.listing = listing};
    work.items = malloc(room * sizeof *work.items);
    work.candidates = malloc(room * sizeof *work.candidates);
    work.rungs = malloc(room * sizeof *work.rungs);
    work.is_taken = calloc(room, sizeof *work.is_taken);
    work.stems = malloc(2 * room * sizeof *work.stems);
    work.streams = malloc(2 * room * sizeof *work.streams);
    work.has_failed = !work.items || !work.candidates || !work.rungs || !work.is_taken ||
                      !work.stems || !work.streams;
    if (!work.has_failed) {
        find_ladders(&work);
        find_stems(&work);
        add_others(&work);
        write_list(json, path, &work);
    }
    json->has_failed |= work.has_failed;
    for (size_t index = 0; index < work.item_count; index++)
        free(work.items[index].stem);
    free(work.items);
    free(work.candidates);
    free(work.rungs);
    free(work.is_taken);
    free(work.stems);
    free(work.streams);
}
