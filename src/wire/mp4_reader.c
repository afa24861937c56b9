/* SPDX-License-Identifier: MIT */
/*
 * Every offset that is asked of the source here was checked against the end of something that lies
 * within the file: of the file itself, or of the box around it.
 */
#include "wire/mp4_reader.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "leat/error.h"

void mp4_reader_init(struct mp4_reader *reader, const struct mp4_source *source,
                     const struct mp4_events *events)
{
    reader->source = source;
    reader->events = events;
    reader->problem.reason[0] = '\0';
    reader->is_quicktime = false;
    reader->is_stream = false;
    reader->samples_left = source->size;
    reader->window_offset = 0;
    reader->window_size = 0;
}

/* ---- What is wrong --------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void set_problem(struct mp4_reader *reader,
                                                              uint64_t offset, const char *format,
                                                              va_list arguments)
{
    const int size =
        vsnprintf(reader->problem.reason, sizeof(reader->problem.reason), format, arguments);
    ASSERT(size > 0);
    reader->problem.offset = offset;
}

int mp4_damaged(struct mp4_reader *reader, uint64_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_problem(reader, offset, format, arguments);
    va_end(arguments);
    return -LEAT_E_MALFORMED;
}

int mp4_too_large(struct mp4_reader *reader, uint64_t offset, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_problem(reader, offset, format, arguments);
    va_end(arguments);
    return -LEAT_E_LIMIT;
}

bool mp4_is_damage(int error)
{
    return error == -LEAT_E_MALFORMED || error == -LEAT_E_LIMIT;
}

int mp4_claim_samples(struct mp4_reader *reader, uint64_t offset, uint32_t count)
{
    if (count > reader->samples_left)
        return reader->is_stream
                   ? mp4_too_large(reader, offset, "a fragment has more samples than are taken")
                   : mp4_damaged(reader, offset, "it claims more samples than the file has bytes");
    reader->samples_left -= count;
    return 0;
}

struct mp4_name mp4_name_of(uint32_t type)
{
    struct mp4_name name = {{0}};
    for (unsigned i = 0; i < 4; i++) {
        const char letter = (char)(type >> (24 - 8 * i));
        name.text[i] = letter >= 0x20 && letter < 0x7f ? letter : '?';
    }
    return name;
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

bool mp4_is_known_box(uint32_t type)
{
    static const uint32_t types[] = {
        MP4_FOURCC('f', 't', 'y', 'p'), MP4_FOURCC('m', 'o', 'o', 'v'),
        MP4_FOURCC('m', 'd', 'a', 't'), MP4_FOURCC('f', 'r', 'e', 'e'),
        MP4_FOURCC('s', 'k', 'i', 'p'), MP4_FOURCC('w', 'i', 'd', 'e'),
        MP4_FOURCC('p', 'n', 'o', 't'), MP4_FOURCC('P', 'I', 'C', 'T'),
        MP4_FOURCC('u', 'u', 'i', 'd'), MP4_FOURCC('s', 't', 'y', 'p'),
        MP4_FOURCC('s', 'i', 'd', 'x'), MP4_FOURCC('m', 'o', 'o', 'f'),
        MP4_FOURCC('p', 'd', 'i', 'n'), MP4_FOURCC('m', 'e', 't', 'a'),
        MP4_FOURCC('e', 'm', 's', 'g'), MP4_FOURCC('p', 'r', 'f', 't'),
        MP4_FOURCC('u', 'd', 't', 'a'), MP4_FOURCC('j', 'u', 'n', 'k'),
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i] == type)
            return true;
    return false;
}

static bool window_has(const struct mp4_reader *reader, uint64_t offset, size_t size)
{
    const uint64_t into = offset - reader->window_offset; /* huge where it lies before */
    return into <= reader->window_size && size <= reader->window_size - into;
}

int mp4_bytes(struct mp4_reader *reader, uint64_t offset, size_t size,
              const unsigned char **ret_bytes)
{
    const struct mp4_source *const source = reader->source;
    ASSERT(size <= MP4_WINDOW_SIZE);
    ASSERT(offset <= source->size && size <= source->size - offset);
    if (!window_has(reader, offset, size)) {
        const uint64_t left = source->size - offset;
        const size_t wanted = left < MP4_WINDOW_SIZE ? (size_t)left : MP4_WINDOW_SIZE;
        reader->window_size = 0;
        const int error = source->read(source->user, offset, reader->window, wanted);
        if (error)
            return error;
        reader->window_offset = offset;
        reader->window_size = wanted;
    }
    *ret_bytes = reader->window + (offset - reader->window_offset);
    return 0;
}

int mp4_payload(struct mp4_reader *reader, const struct mp4_box *box, size_t size,
                struct cursor *ret_cursor)
{
    ASSERT(box->payload <= box->end);
    const unsigned char *bytes = NULL;
    const uint64_t has = box->end - box->payload;
    const size_t taken = has < size ? (size_t)has : size;
    const int error = mp4_bytes(reader, box->payload, taken, &bytes);
    if (error)
        return error;
    *ret_cursor = cursor_over(slice_of(bytes, taken));
    return 0;
}

int mp4_box_at(struct mp4_reader *reader, uint64_t at, uint64_t end, struct mp4_box *ret_box)
{
    ASSERT(at <= end && end <= reader->source->size);
    const uint64_t left = end - at;
    /* Fewer than a header: QuickTime ends lists of atoms with 32 bits of zeros. */
    if (left < 8)
        return 0;
    const unsigned char *bytes = NULL;
    const size_t header_size = left < 16 ? 8 : 16;
    const int error = mp4_bytes(reader, at, header_size, &bytes);
    if (error)
        return error;
    struct mp4_box box = {.type = mp4_be32(bytes + 4), .offset = at, .payload = at + 8};
    uint64_t size = mp4_be32(bytes);
    if (size == 1) {
        if (header_size < 16)
            return -LEAT_E_MALFORMED;
        size = mp4_be64(bytes + 8);
        box.payload = at + 16;
    } else if (size == 0) {
        size = left; /* it goes on to the end */
    }
    if (size < box.payload - at)
        return -LEAT_E_MALFORMED;
    box.end = size > UINT64_MAX - at ? UINT64_MAX : at + size;
    *ret_box = box;
    return 1;
}

int mp4_walk(struct mp4_reader *reader, const struct mp4_box *parent, uint64_t at,
             mp4_visit_fn visit, void *user)
{
    struct mp4_box box;
    int result;
    ASSERT(parent->end <= reader->source->size);
    if (at > parent->end)
        return mp4_damaged(reader, parent->offset, "its box '%s' is too short",
                           mp4_name_of(parent->type).text);
    while ((result = mp4_box_at(reader, at, parent->end, &box)) > 0) {
        if (box.end > parent->end)
            return mp4_damaged(reader, box.offset,
                               "its box '%s' is larger than '%s', which it is in",
                               mp4_name_of(box.type).text, mp4_name_of(parent->type).text);
        result = visit(reader, &box, user);
        if (result)
            return result;
        at = box.end;
    }
    if (result == -LEAT_E_MALFORMED)
        return mp4_damaged(reader, at, "a box in its '%s' has an impossible size",
                           mp4_name_of(parent->type).text);
    return result;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

void mp4_table_init(struct mp4_table *table, struct mp4_reader *reader, uint64_t offset,
                    uint64_t count, unsigned entry_size)
{
    ASSERT(entry_size > 0 && entry_size <= 16);
    ASSERT(offset <= reader->source->size);
    ASSERT(count <= (reader->source->size - offset) / entry_size);
    table->reader = reader;
    table->offset = offset;
    table->left = count * entry_size;
    table->at = table->end = table->window;
    table->entry_size = entry_size;
    table->error = 0;
}

int mp4_table_open(struct mp4_table *table, struct mp4_reader *reader, const struct mp4_box *box,
                   unsigned entry_size, uint32_t *ret_count)
{
    struct cursor cursor;
    const int error = mp4_payload(reader, box, 8, &cursor);
    if (error)
        return error;
    cursor_skip(&cursor, 4);
    const uint32_t count = cursor_u32be(&cursor);
    const struct mp4_name name = mp4_name_of(box->type);
    if (cursor.failed)
        return mp4_damaged(reader, box->offset, "its table '%s' is too short", name.text);
    const uint64_t room = (box->end - box->payload - 8) / entry_size;
    if (count > room)
        return mp4_damaged(reader, box->offset,
                           "its table '%s' claims %u entries, and has room for %llu", name.text,
                           count, (unsigned long long)room);
    mp4_table_init(table, reader, box->payload + 8, count, entry_size);
    *ret_count = count;
    return 0;
}

bool mp4_table_refill(struct mp4_table *table)
{
    ASSERT(table->at == table->end);
    const size_t most = sizeof(table->window) / table->entry_size * table->entry_size;
    const size_t size = table->left < most ? (size_t)table->left : most;
    if (size == 0 || table->error)
        return false;
    const struct mp4_reader *const reader = table->reader;
    const struct mp4_source *const source = reader->source;
    if (window_has(reader, table->offset, size)) /* short runs of fragments, mostly */
        memcpy(table->window, reader->window + (table->offset - reader->window_offset), size);
    else
        table->error = source->read(source->user, table->offset, table->window, size);
    if (table->error)
        return false;
    table->offset += size;
    table->left -= size;
    table->at = table->window;
    table->end = table->window + size;
    return true;
}
