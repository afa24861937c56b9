/* SPDX-License-Identifier: MIT */
/*
 * A loop's workshop. The encoder that waited least is taken first: its tables are in the caches.
 * Where there is too little room those that waited longest go.
 */
#include "codec/workshop.h"

#include <stdlib.h>

#include "base/assert.h"
#include "codec/encoder_parts.h"

static void workshop_close(struct workshop *workshop, struct encoder **link)
{
    struct encoder *encoder = *link;
    ASSERT(workshop->idle_count > 0 && workshop->memory >= encoder->memory);
    *link = encoder->next;
    workshop->idle_count--;
    workshop->memory -= encoder->memory;
    encoder_close(encoder);
}

static void workshop_close_oldest(struct workshop *workshop)
{
    struct encoder **link = &workshop->idle;
    ASSERT(*link);
    while ((*link)->next)
        link = &(*link)->next;
    workshop_close(workshop, link);
}

static void workshop_fini(struct loop_extension *extension)
{
    struct workshop *workshop = CONTAINER_OF(extension, struct workshop, extension);
    ASSERT(workshop->active == 0);
    while (workshop->idle)
        workshop_close(workshop, &workshop->idle);
    ASSERT(workshop->memory == 0);
    free(workshop);
}

struct workshop *workshop_of(struct leat_loop *loop)
{
    struct loop_extension *extension = loop->extensions[LOOP_SLOT_CODECS];
    if (extension)
        return CONTAINER_OF(extension, struct workshop, extension);
    struct workshop *workshop = calloc(1, sizeof(*workshop));
    if (!workshop)
        return NULL;
    workshop->extension.fini = workshop_fini;
    model_init(&workshop->model);
    headroom_init(&workshop->headroom);
    loop->extensions[LOOP_SLOT_CODECS] = &workshop->extension;
    return workshop;
}

struct encoder *workshop_take(struct workshop *workshop, enum leat_codec codec, size_t memory)
{
    for (struct encoder **link = &workshop->idle; *link; link = &(*link)->next) {
        struct encoder *encoder = *link;
        if (encoder->codec != codec || encoder->memory < memory || encoder->memory / 2 > memory)
            continue;
        *link = encoder->next;
        encoder->next = NULL;
        workshop->idle_count--;
        return encoder;
    }
    return NULL;
}

bool workshop_make_room(struct workshop *workshop, size_t memory)
{
    if (memory > WORKSHOP_MEMORY_MAX)
        return false;
    while (workshop->idle && workshop->memory + memory > WORKSHOP_MEMORY_MAX)
        workshop_close_oldest(workshop);
    return workshop->memory + memory <= WORKSHOP_MEMORY_MAX;
}

void workshop_give(struct workshop *workshop, struct encoder *encoder)
{
    ASSERT(!encoder->next);
    encoder->next = workshop->idle;
    workshop->idle = encoder;
    workshop->idle_count++;
    if (!encoder->is_sound)
        workshop_close(workshop, &workshop->idle);
    else if (workshop->idle_count > WORKSHOP_IDLE_MAX)
        workshop_close_oldest(workshop);
}
