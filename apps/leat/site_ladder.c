/* SPDX-License-Identifier: MIT */
/*
 * Ladders below a root: which films are the rungs of a stem, by their names or by STEM.ladder.json,
 * and how much the best of them takes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "site_film.h"

bool film_path_beside(const char *stem, const char *name, char ret_path[SITE_PATH_SIZE])
{
    const char *slash = strrchr(stem, '/');
    const int folder_size = slash ? (int)(slash + 1 - stem) : 0;
    return snprintf(ret_path, SITE_PATH_SIZE, "%.*s%s", folder_size, stem, name) < SITE_PATH_SIZE;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int refuse(char *ret_reason, const char *name, const char *what)
{
    snprintf(ret_reason, FILM_REASON_SIZE, "%.64s: %.128s", name, what);
    return -LEAT_E_MALFORMED;
}

int film_ladder_list(struct leat_root *root, const char *path, int64_t deadline_ns,
                     struct ladder_names *names, char *ret_reason)
{
    struct leat_file *file;
    ret_reason[0] = '\0';
    int error = leat_file_open(root, path, deadline_ns, &file);
    if (error)
        return error;
    const struct leat_file_info *info = leat_file_info(file);
    char *data = NULL;
    if (info->is_directory)
        error = -ENOENT;
    else if (info->size > LADDER_FILE_MAX)
        error = refuse(ret_reason, path, "it is too large for a list of rungs");
    else if (!(data = malloc(info->size + 1)))
        error = -ENOMEM;
    if (!error)
        error = leat_file_read(file, &(struct leat_file_range){.size = info->size}, 1, data,
                               deadline_ns);
    if (!error)
        error = ladder_read(slice_of(data, info->size), names, ret_reason);
    else if (error == -LEAT_E_TRUNCATED)
        error = -ESTALE;
    free(data);
    leat_file_unref(file);
    return error;
}

/* Files that are named like rungs of the stem. */
static int group_names(const struct siblings *siblings, struct leat_slice stem,
                       struct ladder_names *names, char *ret_reason)
{
    for (const char *name = siblings_next(siblings, NULL); name;
         name = siblings_next(siblings, name)) {
        struct leat_slice its_stem;
        const struct leat_slice whole = slice_from_text(name);
        if (!film_is_named(whole) || !ladder_stem(whole, &its_stem) || !slice_equal(its_stem, stem))
            continue;
        if (ladder_add(names, whole) != 0)
            return refuse(ret_reason, name, "there are more rungs than 16");
    }
    return names->count > 0 ? 0 : -ENOENT;
}

int film_ladder_names(const struct film_request *wanted, const char *stem,
                      struct ladder_names *names, char *ret_reason)
{
    const char *slash = strrchr(stem, '/');
    const char *stem_name = slash ? slash + 1 : stem;
    char path[SITE_PATH_SIZE], list[LADDER_NAME_SIZE + 16];
    struct siblings *siblings;
    ret_reason[0] = '\0';
    names->count = 0;
    int error = stems_siblings(wanted->site->films->stems, wanted->root, stem, wanted->deadline_ns,
                               &siblings);
    if (error)
        return leat_http_status_of_file(error) == 404 ? -ENOENT : error;
    const int size = snprintf(list, sizeof list, "%s.ladder.json", stem_name);
    bool has_list = false;
    for (const char *name = siblings_next(siblings, NULL); name && size < (int)sizeof list;
         name = siblings_next(siblings, name))
        has_list |= strcmp(name, list) == 0;
    if (has_list && film_path_beside(stem, list, path))
        error = film_ladder_list(wanted->root, path, wanted->deadline_ns, names, ret_reason);
    else
        error = group_names(siblings, slice_from_text(stem_name), names, ret_reason);
    siblings_unref(siblings);
    return error;
}

/* ---- Films ----------------------------------------------------------------------------------- */

static int open_rung(const struct film_request *wanted, const char *stem, struct ladder_rung *rung,
                     char *ret_reason)
{
    char path[SITE_PATH_SIZE], reason[FILM_REASON_SIZE];
    struct leat_file *file = NULL;
    int error = film_path_beside(stem, rung->name, path) ? 0 : -ENAMETOOLONG;
    if (!error)
        error = leat_file_open(wanted->root, path, wanted->deadline_ns, &file);
    if (!error && leat_file_info(file)->is_directory)
        error = -ENOENT;
    if (error && leat_http_status_of_file(error) == 404)
        error = refuse(ret_reason, rung->name, "it is not there");
    if (!error) {
        error = film_cache_get(wanted->site->films->cache, file, wanted->deadline_ns, &rung->film,
                               reason);
        if (error && reason[0])
            (void)refuse(ret_reason, rung->name, reason);
    }
    leat_file_unref(file);
    return error;
}

/* For pacing: under the stem, and where a list has the names, under the rungs'. */
static void note_rate(const struct film_request *wanted, const char *stem,
                      const struct film_ladder *ladder)
{
    char path[SITE_PATH_SIZE];
    struct leat_slice unused;
    struct stems *stems = wanted->site->films->stems;
    const struct stem_rate rate = {true, ladder_bits_per_s(ladder->rungs[0].film, true)};
    stems_set_rate(stems, wanted->root, stem, rate);
    for (unsigned index = 0; index < ladder->count; index++)
        if (!ladder_stem(slice_from_text(ladder->rungs[index].name), &unused) &&
            film_path_beside(stem, ladder->rungs[index].name, path))
            stems_set_rate(stems, wanted->root, path, rate);
}

int film_ladder_open(const struct film_request *wanted, const char *stem,
                     struct film_ladder *ladder, char *ret_reason)
{
    ladder->count = 0;
    ladder->is_ladder = true;
    int error = film_ladder_names(wanted, stem, &ladder->names, ret_reason);
    for (unsigned index = 0; !error && index < ladder->names.count; index++) {
        struct ladder_rung *rung = &ladder->rungs[index];
        *rung = (struct ladder_rung){.name = ladder->names.names[index]};
        error = open_rung(wanted, stem, rung, ret_reason);
        ladder->count += error == 0;
    }
    if (error)
        return error;
    ASSERT(ladder->count > 0);
    ladder_sort(ladder->rungs, ladder->count);
    error = ladder_check(ladder->rungs, ladder->count, ret_reason);
    if (!error)
        note_rate(wanted, stem, ladder);
    return error;
}

void film_ladder_close(struct film_ladder *ladder)
{
    for (unsigned index = 0; index < ladder->count; index++)
        film_unref(ladder->rungs[index].film);
    ladder->count = 0;
}

/* ---- The rate of the best -------------------------------------------------------------------- */

/* Asks what is beside the film; once in a while, for all its viewers. What it cannot find out is
 * not known, until the next time. */
static struct stem_rate find_rate(const struct film_request *wanted, const char *stem)
{
    char reason[FILM_REASON_SIZE];
    struct stem_rate rate = {.is_known = false};
    struct film_ladder *ladder = leat_http_alloc(wanted->request, sizeof *ladder);
    if (ladder) {
        const int error = film_ladder_open(wanted, stem, ladder, reason);
        /* Rungs that do not fit together are no ladder, and nobody can change between them. */
        rate.is_known = !error || error == -ENOENT || reason[0];
        rate.bits_per_s = error ? 0 : ladder_bits_per_s(ladder->rungs[0].film, true);
        film_ladder_close(ladder);
    }
    stems_set_rate(wanted->site->films->stems, wanted->root, stem, rate);
    return rate;
}

struct stem_rate film_ladder_rate(const struct film_request *wanted)
{
    char stem[SITE_PATH_SIZE];
    struct leat_slice unused;
    struct stem_rate rate;
    struct stems *stems = wanted->site->films->stems;
    const char *slash = strrchr(wanted->path, '/');
    const char *name = slash ? slash + 1 : wanted->path;
    if (!ladder_stem(slice_from_text(name), &unused)) {
        stems_peek_rate(stems, wanted->root, wanted->path, &rate);
        rate.is_known = true; /* in no ladder that was asked for */
        return rate;
    }
    film_stem_path(wanted->path, true, stem);
    return stems_rate(stems, wanted->root, stem, &rate) ? find_rate(wanted, stem) : rate;
}
