/* SPDX-License-Identifier: MIT */
/*
 * The boxes of a file from the first to the last: once to find the index and to see that the file
 * is whole, and once more for the fragments, if there are any. What follows the last box that can
 * be understood is ignored, as players do: files with a few stray bytes at their end are common.
 */
#include "wire/mp4.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/mp4_fragments.h"
#include "wire/mp4_header.h"
#include "wire/mp4_tables.h"

#define BOX MP4_FOURCC

/* All the memory a reading takes. Most of it is never touched. */
struct work {
    struct mp4_reader reader;
    struct mp4_tables tables;
    struct mp4_moov moov;
};

/* What stands where in the file. */
struct layout {
    struct mp4_box moov;             /* type 0: there is none */
    uint64_t first_moof, first_mdat; /* UINT64_MAX: there is none */
    uint64_t mdat_size, missing_size;
    bool has_brand;
};

static int check_beginning(struct mp4_reader *reader)
{
    const unsigned char *bytes = NULL;
    if (reader->source->size == 0)
        return mp4_damaged(reader, 0, "the file is empty");
    if (reader->source->size >= 8) {
        const int error = mp4_bytes(reader, 0, 8, &bytes);
        if (error)
            return error;
        if (mp4_is_known_box(mp4_be32(bytes + 4)))
            return 0;
    }
    return mp4_damaged(reader, 0, "it is no MP4: it begins with no box that is known");
}

/* ---- The first time -------------------------------------------------------------------------- */

static int read_brand(struct mp4_reader *reader, const struct mp4_box *box, struct layout *layout)
{
    struct cursor cursor;
    const int error = mp4_payload(reader, box, 4, &cursor);
    if (error)
        return error;
    if (!layout->has_brand)
        reader->is_quicktime = cursor_u32be(&cursor) == BOX('q', 't', ' ', ' ');
    layout->has_brand = true;
    return 0;
}

/* A box that goes on behind the end of the file. 0: it does not matter. */
static int check_cut(struct mp4_reader *reader, const struct mp4_box *box, struct layout *layout)
{
    switch (box->type) {
    case BOX('m', 'o', 'o', 'v'):
        if (layout->moov.type != 0)
            return 0;
        return mp4_damaged(reader, box->offset, "its index (moov) is cut off");
    case BOX('m', 'o', 'o', 'f'):
    case BOX('s', 'i', 'd', 'x'):
    case BOX('s', 't', 'y', 'p'):
    case BOX('e', 'm', 's', 'g'):
    case BOX('p', 'r', 'f', 't'):
        return mp4_damaged(reader, box->offset, "the file ends within a fragment, in its box '%s'",
                           mp4_name_of(box->type).text);
    default: layout->missing_size = box->end - reader->source->size; return 0;
    }
}

static int place_box(struct mp4_reader *reader, const struct mp4_box *box, struct layout *layout)
{
    switch (box->type) {
    case BOX('f', 't', 'y', 'p'): return read_brand(reader, box, layout);
    case BOX('m', 'o', 'o', 'v'):
        if (layout->moov.type == 0)
            layout->moov = *box;
        return 0;
    case BOX('m', 'o', 'o', 'f'):
        if (layout->first_moof == UINT64_MAX)
            layout->first_moof = box->offset;
        return 0;
    case BOX('m', 'd', 'a', 't'):
        if (layout->first_mdat == UINT64_MAX)
            layout->first_mdat = box->offset;
        layout->mdat_size += box->end - box->offset;
        return 0;
    default: return 0;
    }
}

static int no_moov(struct mp4_reader *reader, const struct layout *layout, uint64_t at)
{
    if (layout->missing_size > 0)
        return mp4_damaged(reader, reader->source->size,
                           "the file ends before its index (moov): %llu bytes and more are missing",
                           (unsigned long long)layout->missing_size);
    if (layout->first_moof != UINT64_MAX)
        return mp4_damaged(reader, at,
                           "it has fragments and no index (moov): its init segment is missing");
    return mp4_damaged(reader, at, "it has no index (moov): it was not written to its end");
}

static int find_boxes(struct mp4_reader *reader, struct layout *layout)
{
    const uint64_t file_size = reader->source->size;
    struct mp4_box box;
    uint64_t at = 0;
    int result;
    while ((result = mp4_box_at(reader, at, file_size, &box)) > 0) {
        if (box.end > file_size) {
            const int error = check_cut(reader, &box, layout);
            if (error)
                return error;
            box.end = file_size;
            if (box.type == BOX('m', 'o', 'o', 'v'))
                break;
        }
        if (box.payload > box.end)
            break;
        const int error = place_box(reader, &box, layout);
        if (error)
            return error;
        at = box.end;
    }
    if (result < 0 && result != -LEAT_E_MALFORMED)
        return result;
    return layout->moov.type == 0 ? no_moov(reader, layout, at) : 0;
}

/* ---- The second time ------------------------------------------------------------------------- */

static int read_fragments(struct mp4_reader *reader, const struct layout *layout, struct work *work)
{
    const uint64_t file_size = reader->source->size;
    struct mp4_box box;
    uint64_t at = layout->first_moof;
    int result;
    while ((result = mp4_box_at(reader, at, file_size, &box)) > 0 && box.end <= file_size) {
        if (box.type == BOX('m', 'o', 'o', 'f')) {
            const int error = mp4_read_fragment(reader, &box, &work->moov, &work->tables.durations);
            if (error)
                return error;
        }
        at = box.end;
    }
    return result < 0 && result != -LEAT_E_MALFORMED ? result : 0;
}

static int read_all(struct work *work, struct mp4_movie *ret_movie)
{
    struct mp4_reader *const reader = &work->reader;
    struct layout layout = {.first_moof = UINT64_MAX, .first_mdat = UINT64_MAX};
    reader->is_quicktime = true;
    int error = check_beginning(reader);
    if (error == 0)
        error = find_boxes(reader, &layout);
    if (error == 0)
        error = mp4_read_moov(reader, &layout.moov, &work->moov);
    if (error == 0)
        error = mp4_tell_tracks(reader, &work->moov);
    for (unsigned i = 0; i < work->moov.trak_count && error == 0; i++)
        if (work->moov.traks[i].is_wanted)
            error = mp4_read_tables(reader, &work->moov, &work->moov.traks[i], &work->tables);
    if (error == 0 && layout.first_moof != UINT64_MAX)
        error = read_fragments(reader, &layout, work);
    if (error)
        return error;
    *ret_movie = (struct mp4_movie){
        .timescale = work->moov.timescale,
        .track_count = work->moov.trak_count,
        .is_fragmented = layout.first_moof != UINT64_MAX,
        .is_quicktime = reader->is_quicktime,
        .moov_is_first = layout.moov.offset < layout.first_mdat,
        .moov_size = layout.moov.end - layout.moov.offset,
        .mdat_size = layout.mdat_size,
    };
    return 0;
}

int mp4_read(const struct mp4_source *source, const struct mp4_events *events,
             struct mp4_movie *ret_movie, struct mp4_problem *ret_problem)
{
    ASSERT(source && source->read && events && events->on_track && events->on_sample);
    struct work *const work = malloc(sizeof(*work));
    if (!work)
        return -ENOMEM;
    work->moov.trak_count = 0;
    mp4_reader_init(&work->reader, source, events);
    const int error = read_all(work, ret_movie);
    ASSERT(error != 0 || work->reader.problem.reason[0] == '\0');
    if (work->reader.problem.reason[0] != '\0')
        *ret_problem = work->reader.problem;
    free(work);
    return error;
}
