/* SPDX-License-Identifier: MIT */
/*
 * The journal of a live channel's store: text, a line for each thing that has happened, in order. A
 * line is there when its newline is; what stands behind the last newline was being written when
 * somebody pulled the plug, and is as if it were not there. Sans I/O.
 *
 *     leat-live 1
 *     channel CREATED_MS TARGET_S PART_TARGET_US SEGMENT_US AVAILABLE_MS
 *     gone DISCONTINUITIES                    that were in lines which are here no more
 *     epoch FIRST_NUMBER INIT BEGIN_US SIZES  of the init segments in init-INIT.mp4: muxed, video,
 *                                             audio, one behind the other; 0: there is none
 *     segment NUMBER BEGIN_US DURATION_US PERIOD_FIRST PERIOD_BEGIN_US IS_DISCONTINUITY VIDEO_BPS
 *             AUDIO_BPS FRAME_RATE_MILLI [VIDEO_SIZE,AUDIO_SIZE,DURATION_US,IS_INDEPENDENT ...]
 *     begin NUMBER BEGIN_US PERIOD_FIRST PERIOD_BEGIN_US IS_DISCONTINUITY
 *     part VIDEO_SIZE,AUDIO_SIZE,DURATION_US,IS_INDEPENDENT
 *                                             of the segment in work; said again when it is whole
 *     left NEXT_NUMBER                        the publisher is gone, and numbers below are used
 *     end                                     the channel is over
 *     film NEXT_NUMBER                        films were made of segments below it
 */
#ifndef MEDIA_LIVE_JOURNAL_H
#define MEDIA_LIVE_JOURNAL_H

#include "media/live_parts.h"
#include "mem/text.h"

enum live_line_kind {
    LIVE_LINE_CHANNEL,
    LIVE_LINE_GONE,
    LIVE_LINE_EPOCH,
    LIVE_LINE_SEGMENT,
    LIVE_LINE_BEGIN,
    LIVE_LINE_PART,
    LIVE_LINE_LEFT,
    LIVE_LINE_END,
    LIVE_LINE_FILM,
};

struct live_line {
    enum live_line_kind kind;
    struct leat_slice text; /* of the journal, with its newline */
    int64_t created_ms, available_ms;
    uint32_t target_s, part_target_us, segment_us;
    uint64_t discontinuities;
    uint64_t number, init; /* of a segment; of an epoch: its first; left, film: the next */
    int64_t begin_us;
    size_t init_sizes[LIVE_STREAMS];
    uint32_t duration_us;
    uint64_t period_first;
    int64_t period_begin_us;
    bool is_discontinuity;
    uint64_t bits_per_s[2];
    uint32_t frame_rate_milli;
    uint64_t size;       /* the sum of its parts' */
    unsigned part_count; /* of `part`: 1 */
    struct live_part parts[LIVE_PARTS_MAX];
};

/* Tells of each whole line but the first; the line is borrowed. An error of on_line's ends it and
 * is returned. In ret_size the bytes of whole lines. -LEAT_E_MALFORMED: this is no journal that we
 * have written, from line `ret_line` on. */
int live_journal_read(struct leat_slice journal, int (*on_line)(struct live_line *line, void *user),
                      void *user, size_t *ret_size, unsigned *ret_line);

/* Lines, by the fields of what they are of. */
void live_journal_begin(struct text *text);
void live_journal_channel(struct text *text, const struct live_channel *channel);
void live_journal_gone(struct text *text, uint64_t discontinuities);
void live_journal_epoch(struct text *text, const struct live_epoch *epoch);
void live_journal_segment(struct text *text, const struct live_record *record);
/* Of its last part; with `begin` before the first. */
void live_journal_part(struct text *text, const struct live_record *record);
/* left, end, film */
void live_journal_mark(struct text *text, enum live_line_kind kind, uint64_t next_number);

#endif
