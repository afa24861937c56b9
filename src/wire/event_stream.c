/* SPDX-License-Identifier: MIT */
/*
 * One function says what is written, into an output that may only count; so that the size is never
 * another than what is written.
 */
#include "wire/event_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/assert.h"

struct output {
    char *data; /* NULL: it counts */
    size_t size;
};

static void put(struct output *output, struct leat_slice text)
{
    if (output->data && text.size > 0)
        memcpy(output->data + output->size, text.data, text.size);
    output->size += text.size;
}

static void put_line(struct output *output, struct leat_slice name, struct leat_slice value)
{
    put(output, name);
    put(output, SLICE(": "));
    put(output, value);
    put(output, SLICE("\n"));
}

/* Takes a line off the start of the text: up to CR LF, CR or LF, which go with it. False when there
 * was none of these: then the line is all of the text. */
static bool take_line(struct leat_slice *text, struct leat_slice *ret_line)
{
    size_t size = 0;
    while (size < text->size && text->data[size] != '\r' && text->data[size] != '\n')
        size++;
    *ret_line = slice_of(text->data, size);
    if (size == text->size)
        return false;
    const struct leat_slice rest = slice_after(*text, size);
    *text = slice_after(rest, slice_starts_with(rest, SLICE("\r\n")) ? 2 : 1);
    return true;
}

static void put_event(struct output *output, const struct event_stream_event *event)
{
    if (event->id.data)
        put_line(output, SLICE("id"), event->id);
    if (event->type.data)
        put_line(output, SLICE("event"), event->type);
    if (event->retry_ms > 0) {
        char digits[24];
        const int size = snprintf(digits, sizeof digits, "%" PRId64, event->retry_ms);
        ASSERT(size > 0 && (size_t)size < sizeof digits);
        put_line(output, SLICE("retry"), slice_of(digits, (size_t)size));
    }
    struct leat_slice data = event->data, line;
    if (data.data) {
        while (take_line(&data, &line))
            put_line(output, SLICE("data"), line);
        put_line(output, SLICE("data"), line);
    }
    put(output, SLICE("\n"));
}

static bool has(struct leat_slice text, char c)
{
    return text.size > 0 && memchr(text.data, c, text.size);
}

long event_stream_size(const struct event_stream_event *event)
{
    if (has(event->id, '\0') || has(event->id, '\r') || has(event->id, '\n') ||
        has(event->type, '\r') || has(event->type, '\n'))
        return -EINVAL;
    struct output output = {NULL, 0};
    put_event(&output, event);
    ASSERT(output.size > event->data.size);
    return (long)output.size;
}

void event_stream_write(const struct event_stream_event *event, char *buffer)
{
    ASSERT(buffer);
    struct output output = {buffer, 0};
    put_event(&output, event);
}
