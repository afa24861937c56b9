/* SPDX-License-Identifier: MIT */
/*
 * One pass: bytes are decoded and appended to the output, and each time a segment ends it is judged
 * and, for "", "." and "..", taken back. The output never grows beyond what was read.
 */
#include "wire/path.h"

#include <errno.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/chars.h"

void path_split_query(struct leat_slice target, struct leat_slice *ret_path,
                      struct leat_slice *ret_query)
{
    const char *mark = target.size > 0 ? memchr(target.data, '?', target.size) : NULL;
    const size_t size = mark ? (size_t)(mark - target.data) : target.size;
    *ret_path = slice_of(target.data, size);
    *ret_query = mark ? slice_after(target, size + 1) : slice_of(NULL, 0);
}

/* The next byte of the path, decoded, and past it; -LEAT_E_MALFORMED. */
static int take_byte(struct leat_slice *raw)
{
    ASSERT(raw->size > 0);
    if (raw->data[0] != '%') {
        const int byte = (unsigned char)raw->data[0];
        *raw = slice_after(*raw, 1);
        return byte != 0 ? byte : -LEAT_E_MALFORMED;
    }
    const int high = raw->size >= 3 ? chars_hex(raw->data[1]) : -1;
    const int low = raw->size >= 3 ? chars_hex(raw->data[2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0))
        return -LEAT_E_MALFORMED;
    *raw = slice_after(*raw, 3);
    return high << 4 | low;
}

/* What is written so far: whole segments, each with '/' behind it, and the one in the making. */
struct output {
    char *data;
    size_t size, segment; /* where the last segment starts */
};

/* A segment is complete. 0, or -EACCES when it climbs out. */
static int end_segment(struct output *output)
{
    const struct leat_slice segment =
        slice_of(output->data + output->segment, output->size - output->segment);
    ASSERT(output->segment == 0 || output->data[output->segment - 1] == '/');
    if (slice_equal(segment, SLICE("..")) && output->segment == 0)
        return -EACCES;
    if (slice_equal(segment, SLICE(".."))) {
        /* Back over the '/' of the segment before, and over that segment. */
        size_t start = output->segment - 1;
        while (start > 0 && output->data[start - 1] != '/')
            start--;
        output->segment = start;
        output->size = start;
    } else if (segment.size == 0 || slice_equal(segment, SLICE("."))) {
        output->size = output->segment;
    } else {
        output->data[output->size++] = '/';
        output->segment = output->size;
    }
    return 0;
}

int path_normalise(struct leat_slice raw, char *buffer, size_t buffer_size, struct path *ret_path)
{
    if (raw.size == 0 || raw.data[0] != '/')
        return -LEAT_E_MALFORMED;
    raw = slice_after(raw, 1);
    struct output output = {.data = buffer};
    while (raw.size > 0) {
        const int byte = take_byte(&raw);
        if (byte < 0)
            return byte;
        if (byte == '/') {
            const int result = end_segment(&output);
            if (result < 0)
                return result;
            continue;
        }
        /* One byte stays free for the '/' or the zero behind the segment. */
        if (buffer_size < 2 || output.size >= buffer_size - 1)
            return -ENAMETOOLONG;
        buffer[output.size++] = (char)byte;
    }
    if (buffer_size == 0)
        return -ENAMETOOLONG;
    /* "/a", with a last segment of its own, asks for a file; "/a/", "/a/." and "/a/.." do not. */
    const struct leat_slice segment =
        slice_of(buffer + output.segment, output.size - output.segment);
    const bool ends_as_directory =
        segment.size == 0 || slice_equal(segment, SLICE(".")) || slice_equal(segment, SLICE(".."));
    const int result = end_segment(&output);
    if (result < 0)
        return result;
    if (output.size > 0)
        output.size--; /* the '/' behind the last segment */
    ASSERT(output.size < buffer_size);
    buffer[output.size] = '\0';
    *ret_path =
        (struct path){.text = slice_of(buffer, output.size), .has_slash_at_end = ends_as_directory};
    return 0;
}

long path_encode(struct leat_slice path, char *buffer, size_t buffer_size)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t size = 0;
    for (size_t i = 0; i < path.size; i++) {
        const char c = path.data[i];
        const bool is_plain = c == '/' || chars_is(c, CHARS_UNRESERVED);
        const size_t needed = is_plain ? 1 : 3;
        if (needed > buffer_size - size)
            return -ENOBUFS;
        if (is_plain) {
            buffer[size] = c;
        } else {
            buffer[size] = '%';
            buffer[size + 1] = hex[(unsigned char)c >> 4];
            buffer[size + 2] = hex[(unsigned char)c & 15];
        }
        size += needed;
    }
    ASSERT(size <= buffer_size);
    return (long)size;
}
