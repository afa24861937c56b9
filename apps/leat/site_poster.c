/* SPDX-License-Identifier: MIT */
/*
 * Posters: a picture beside the film that has its name, else the cover that the film carries, which
 * is sent from where it lies in the film's own file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"
#include "site_film.h"
#include "wire/mime.h"
#include "wire/mp4_cover.h"

/* ---- Where it is ----------------------------------------------------------------------------- */

/* A picture of this stem; -ENOENT. */
static int find_beside(const struct film_request *wanted, const char *stem,
                       struct film_poster *poster)
{
    static const char *const extensions[] = {FILM_POSTER_EXTENSIONS};
    for (size_t index = 0; index < sizeof extensions / sizeof *extensions; index++) {
        char path[SITE_PATH_SIZE];
        struct leat_file *file;
        if (snprintf(path, sizeof path, "%s.%s", stem, extensions[index]) >= (int)sizeof path)
            return -ENOENT;
        const int error = leat_file_open(wanted->root, path, wanted->deadline_ns, &file);
        if (error && leat_http_status_of_file(error) != 404)
            return error;
        if (error)
            continue;
        const struct leat_file_info *info = leat_file_info(file);
        if (!info->is_directory && info->size > 0) {
            const struct leat_slice type = mime_from_name(slice_from_text(path));
            *poster = (struct film_poster){.file = file, .size = info->size};
            ASSERT(type.size < sizeof poster->media_type);
            memcpy(poster->media_type, type.data, type.size);
            return 0;
        }
        leat_file_unref(file);
    }
    return -ENOENT;
}

struct reading {
    struct leat_file *file;
    int64_t deadline_ns;
};

static int read_piece(void *user, uint64_t offset, void *data, size_t size)
{
    const struct reading *reading = user;
    const int error = leat_file_read(reading->file, &(struct leat_file_range){offset, size}, 1,
                                     data, reading->deadline_ns);
    return error == -LEAT_E_TRUNCATED ? -ESTALE : error;
}

/* The cover in a film; -ENOENT. */
static int find_inside(const struct film_request *wanted, struct leat_file *file,
                       struct film_poster *poster)
{
    struct reading reading = {file, wanted->deadline_ns};
    const struct mp4_source source = {read_piece, &reading, leat_file_info(file)->size};
    struct mp4_cover cover;
    const int error = mp4_cover_find(&source, &cover);
    if (error)
        return error;
    leat_file_ref(file);
    *poster = (struct film_poster){.file = file, .offset = cover.offset, .size = cover.size};
    snprintf(poster->media_type, sizeof poster->media_type, "%s", cover.media_type);
    return 0;
}

/* The first rung that carries one. */
static int find_inside_rungs(const struct film_request *wanted, struct film_poster *poster)
{
    char path[SITE_PATH_SIZE], reason[FILM_REASON_SIZE];
    struct ladder_names names;
    int error = film_ladder_names(wanted, wanted->path, &names, reason);
    if (error)
        return -ENOENT;
    error = -ENOENT;
    for (unsigned index = 0; error == -ENOENT && index < names.count; index++) {
        struct leat_file *file;
        if (!film_path_beside(wanted->path, names.names[index], path) ||
            leat_file_open(wanted->root, path, wanted->deadline_ns, &file) != 0)
            continue;
        if (!leat_file_info(file)->is_directory)
            error = find_inside(wanted, file, poster);
        leat_file_unref(file);
    }
    return error;
}

int film_poster_find(const struct film_request *wanted, struct film_poster *ret_poster)
{
    char stem[SITE_PATH_SIZE], ladder_stem[SITE_PATH_SIZE];
    if (!wanted->file) { /* a ladder's path is its stem */
        const int error = find_beside(wanted, wanted->path, ret_poster);
        return error == -ENOENT ? find_inside_rungs(wanted, ret_poster) : error;
    }
    film_stem_path(wanted->path, false, stem);
    film_stem_path(wanted->path, true, ladder_stem);
    int error = find_beside(wanted, stem, ret_poster);
    if (error == -ENOENT && strcmp(stem, ladder_stem) != 0)
        error = find_beside(wanted, ladder_stem, ret_poster);
    if (error == -ENOENT && film_is_named(slice_from_text(wanted->path)))
        error = find_inside(wanted, wanted->file, ret_poster);
    return error;
}

/* ---- Sending it ------------------------------------------------------------------------------ */

bool site_reply_poster(struct film_request *wanted)
{
    char etag[LEAT_HTTP_ETAG_MAX + 1];
    struct film_poster poster;
    const int error = film_poster_find(wanted, &poster);
    if (error) {
        if (error != -ENOENT || wanted->file)
            film_reply_failure(wanted, error, "");
        return error != -ENOENT || wanted->file;
    }
    const struct leat_file_info *info = leat_file_info(poster.file);
    const int size =
        snprintf(etag, sizeof etag, "%llx-%llx-%llx", (unsigned long long)info->mtime_ns,
                 (unsigned long long)poster.size, (unsigned long long)poster.offset);
    ASSERT(size > 0 && size < (int)sizeof etag);
    const struct leat_vector vector = {
        .file = poster.file, .offset = poster.offset, .size = poster.size};
    const struct leat_http_content content = {.media_type = poster.media_type,
                                              .etag = etag,
                                              .mtime_ns = info->mtime_ns,
                                              .vectors = &vector,
                                              .count = 1};
    if (leat_http_reply_content(wanted->request, wanted->response, &content) != 0)
        (void)leat_http_reply_error(wanted->response, 503);
    /* A page shows the same ones again and again; a new one is seen within a minute. */
    if (leat_http_status(wanted->response) < 400)
        (void)leat_http_add_field(wanted->response, "Cache-Control", "max-age=60");
    leat_file_unref(poster.file);
    return true;
}
