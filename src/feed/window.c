/* SPDX-License-Identifier: MIT */
/*
 * See window.h.
 */
#include "feed/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

int window_init(struct window *window, const struct window_options *options)
{
    ASSERT(options->places >= 4 && options->places < UINT32_MAX / 2);
    ASSERT(options->place_size > 0);
    *window = (struct window){.place_size = options->place_size};
    window->heap = calloc(options->places, sizeof *window->heap);
    window->packets = calloc(options->places, sizeof *window->packets);
    window->memory = calloc(options->places, options->place_size);
    if (!window->heap || !window->packets || !window->memory) {
        window_fini(window);
        return -ENOMEM;
    }
    if (options->is_prefaulted) {
        /* Zeros upon zeros, which the compiler must not see through: that is what calloc is. */
        memset(window->memory, 1, options->places * options->place_size);
        memset(window->packets, 0, options->places * sizeof *window->packets);
    }
    for (uint32_t place = 0; place < options->places; place++)
        window->heap[place].place = place;
    window->places = options->places;
    return 0;
}

void window_fini(struct window *window)
{
    free(window->heap);
    free(window->packets);
    free(window->memory);
    *window = (struct window){0};
}

static void move_up(struct window *window, uint32_t index)
{
    struct window_entry *heap = window->heap;
    const struct window_entry entry = heap[index];
    while (index > 0) {
        const uint32_t parent = (index - 1) / 2;
        if (heap[parent].sequence <= entry.sequence)
            break;
        heap[index] = heap[parent];
        index = parent;
    }
    heap[index] = entry;
}

static void move_down(struct window *window, uint32_t index)
{
    struct window_entry *heap = window->heap;
    const struct window_entry entry = heap[index];
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= window->count)
            break;
        if (child + 1 < window->count && heap[child + 1].sequence < heap[child].sequence)
            child++;
        if (entry.sequence <= heap[child].sequence)
            break;
        heap[index] = heap[child];
        index = child;
    }
    heap[index] = entry;
}

bool window_add(struct window *window, const struct window_packet *packet)
{
    ASSERT(packet->count > 0);
    const uint32_t kept = packet->is_recovered ? 0 : window->places / 4;
    if (window->count >= window->places - kept || packet->blocks.size > window->place_size)
        return false;
    struct window_entry *entry = &window->heap[window->count];
    ASSERT(entry->place < window->places);
    char *const bytes = window->memory + entry->place * window->place_size;
    memcpy(bytes, packet->blocks.data, packet->blocks.size);
    window->packets[entry->place] = *packet;
    window->packets[entry->place].blocks = slice_of(bytes, packet->blocks.size);
    entry->sequence = packet->sequence;
    move_up(window, window->count++);
    return true;
}

const struct window_packet *window_first(const struct window *window)
{
    return window->count > 0 ? &window->packets[window->heap[0].place] : NULL;
}

void window_drop(struct window *window)
{
    ASSERT(window->count > 0);
    const struct window_entry first = window->heap[0];
    window->heap[0] = window->heap[--window->count];
    window->heap[window->count] = first; /* free, and the next to be used: it is warm */
    if (window->count > 0)
        move_down(window, 0);
}
