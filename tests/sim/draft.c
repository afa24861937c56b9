/* SPDX-License-Identifier: MIT */
/*
 * See draft.h.
 */
#include "draft.h"

#include <stdarg.h>
#include <stdio.h>

/* Room for so many bytes more, and where. */
static char *extend(struct draft *draft, size_t size)
{
    if (draft->size + size > draft->room) {
        draft->room = 2 * (draft->size + size) + 1024;
        draft->data = realloc(draft->data, draft->room);
        CHECK(draft->run, draft->data != NULL);
    }
    draft->size += size;
    return draft->data + draft->size - size;
}

void draft_append(struct draft *draft, const void *data, size_t size)
{
    if (size > 0)
        memcpy(extend(draft, size), data, size);
}

void draft_say(struct draft *draft, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CHECK(draft->run, size >= 0 && (size_t)size < sizeof text);
    draft_append(draft, text, (size_t)size);
}

void draft_fill(struct draft *draft, size_t size)
{
    if (size > 0)
        memset(extend(draft, size), 'a', size);
}

void draft_content(struct draft *draft, uint64_t content, uint64_t offset, size_t size)
{
    if (size > 0)
        sim_content(content, offset, extend(draft, size), size);
}

void draft_fini(struct draft *draft)
{
    free(draft->data);
    *draft = (struct draft){0};
}
