/* SPDX-License-Identifier: MIT */
/*
 * text/event-stream, as written for browsers (WHATWG HTML standard, section 9.2): an event is a few
 * lines "field: value", and an empty line sends it off. What was a line end in the data is a line
 * end again for who reads it.
 */
#ifndef WIRE_EVENT_STREAM_H
#define WIRE_EVENT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct event_stream_event {
    struct leat_slice id;   /* data NULL: it has none; empty: the client forgets the last one */
    struct leat_slice type; /* data NULL: "message" */
    struct leat_slice data; /* UTF-8. data NULL: none, and no event: the client is told id and retry
                               alone; empty: an event with empty data */
    int64_t retry_ms;       /* 0: as before */
};

/* The size it takes, or -EINVAL: CR, LF or NUL in the id, CR or LF in the type. */
long event_stream_size(const struct event_stream_event *event);
/* Writes it, which takes event_stream_size bytes. Not zero-terminated. */
void event_stream_write(const struct event_stream_event *event, char *buffer);

#endif
