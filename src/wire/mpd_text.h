/* SPDX-License-Identifier: MIT */
/*
 * What the writers of manifests, mpd.c and mpd_live.c, both need. All text is escaped for XML.
 */
#ifndef WIRE_MPD_TEXT_H
#define WIRE_MPD_TEXT_H

#include <stdbool.h>

#include "wire/mpd.h"

/* ` name="value"`; nothing without a value. */
void mpd_add_attribute(struct text *text, const char *name, const char *value);
void mpd_add_number(struct text *text, const char *name, uint64_t value);
/* xs:duration. */
void mpd_add_duration(struct text *text, const char *name, uint64_t duration_us);

/* The tag that begins an AdaptationSet. */
void mpd_begin_set(struct text *text, const struct mpd_set *set, size_t id, bool has_segments);
void mpd_add_representation(struct text *text, const struct mpd_representation *representation);

#endif
