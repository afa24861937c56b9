/* SPDX-License-Identifier: MIT */
/*
 * Subtitles: from SubRip (.srt), which nobody ever specified, to WebVTT (W3C), which browsers play;
 * and a look at what calls itself WebVTT. Sans I/O; memory is the text's, whose `has_failed` says
 * in the end whether there was enough.
 */
#ifndef WIRE_SUBTITLE_H
#define WIRE_SUBTITLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "mem/text.h"

enum {
    SUBTITLE_SIZE_MAX = 16 * 1024 * 1024, /* of a file */
};

/* Writes `srt` as WebVTT. Taken: a byte order mark, any ends of lines, missing counters, hours of
 * any length, '.' for ','. <i>, <b> and <u> are kept where they are closed within their cue, all
 * other tags of SubRip and {\...} are dropped, other '<', '>' and '&' are escaped. A text that is
 * no UTF-8 is read as Windows-1252, as a whole. A cue that does not end after it begins, or says
 * nothing, is dropped. Returns how many cues were written; 0: it is no SubRip, and nothing but the
 * head of WebVTT was written; -LEAT_E_LIMIT: it is larger than SUBTITLE_SIZE_MAX. */
long subtitle_from_srt(struct text *text, struct leat_slice srt);

/* Begins with "WEBVTT" as section 4.1 has it, after a byte order mark or not. */
bool subtitle_is_vtt(struct leat_slice file);

#endif
