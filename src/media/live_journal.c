/* SPDX-License-Identifier: MIT */
/*
 * See live_journal.h. Nothing in a journal is believed that could hurt: it may be of a disk that
 * lost power, or of somebody with an editor.
 */
#include "media/live_journal.h"

#include <string.h>

#include "base/assert.h"
#include "leat/error.h"

enum { DIGITS_MAX = 18, FIELDS_MAX = 9 };

static const char head[] = "leat-live 1\n";

static const struct {
    const char *word;
    unsigned field_count;
} kinds[] = {
    [LIVE_LINE_CHANNEL] = {"channel", 5}, [LIVE_LINE_GONE] = {"gone", 1},
    [LIVE_LINE_EPOCH] = {"epoch", 6},     [LIVE_LINE_SEGMENT] = {"segment", 9},
    [LIVE_LINE_BEGIN] = {"begin", 5},     [LIVE_LINE_PART] = {"part", 0},
    [LIVE_LINE_LEFT] = {"left", 1},       [LIVE_LINE_END] = {"end", 0},
    [LIVE_LINE_FILM] = {"film", 1},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- Reading --------------------------------------------------------------------------------- */

/* What is left of a line. */
struct rest {
    const char *at, *end;
};

static bool take_word(struct rest *rest, const char *word)
{
    const size_t size = strlen(word);
    if ((size_t)(rest->end - rest->at) < size || memcmp(rest->at, word, size) != 0)
        return false;
    rest->at += size;
    return true;
}

/* No more digits than an int64_t has room for, and none below 0. */
static bool take_number(struct rest *rest, int64_t *ret_number)
{
    const char *begin = rest->at;
    int64_t number = 0;
    while (rest->at < rest->end && rest->at - begin < DIGITS_MAX && *rest->at >= '0' &&
           *rest->at <= '9')
        number = number * 10 + (*rest->at++ - '0');
    *ret_number = number;
    return rest->at > begin;
}

static bool take_fields(struct rest *rest, unsigned count, int64_t fields[FIELDS_MAX])
{
    for (unsigned index = 0; index < count; index++)
        if (!take_word(rest, " ") || !take_number(rest, &fields[index]))
            return false;
    return true;
}

static bool take_part(struct rest *rest, struct live_line *line)
{
    int64_t fields[4];
    if (line->part_count == LIVE_PARTS_MAX)
        return false;
    for (unsigned index = 0; index < 4; index++)
        if (!take_word(rest, index == 0 ? " " : ",") || !take_number(rest, &fields[index]) ||
            fields[index] > INT32_MAX)
            return false;
    line->parts[line->part_count++] = (struct live_part){
        .offset = line->size,
        .sizes = {(uint32_t)fields[0], (uint32_t)fields[1]},
        .duration_us = (uint32_t)fields[2],
        .is_independent = fields[3] == 1,
    };
    line->size += (uint64_t)(fields[0] + fields[1]);
    return true;
}

static bool are_small(const int64_t *fields, unsigned count)
{
    for (unsigned index = 0; index < count; index++)
        if (fields[index] > INT32_MAX)
            return false;
    return true;
}

static bool take_channel(struct live_line *line, const int64_t *fields)
{
    if (!are_small(&fields[1], 3) || fields[1] == 0 || fields[3] == 0 || fields[4] == 0)
        return false;
    line->created_ms = fields[0];
    line->target_s = (uint32_t)fields[1];
    line->part_target_us = (uint32_t)fields[2];
    line->segment_us = (uint32_t)fields[3];
    line->available_ms = fields[4];
    return true;
}

static bool take_epoch(struct live_line *line, const int64_t *fields)
{
    static_assert(LIVE_STREAMS == 3, "a field for each");
    if (!are_small(&fields[3], LIVE_STREAMS) || fields[3] == 0)
        return false;
    line->number = (uint64_t)fields[0];
    line->init = (uint64_t)fields[1];
    line->begin_us = fields[2];
    for (unsigned stream = 0; stream < LIVE_STREAMS; stream++)
        line->init_sizes[stream] = (size_t)fields[3 + stream];
    return true;
}

static bool take_segment(struct live_line *line, const int64_t *fields, struct rest *rest)
{
    if (!are_small(&fields[2], 1) || !are_small(&fields[8], 1) ||
        (uint64_t)fields[3] > (uint64_t)fields[0])
        return false;
    line->number = (uint64_t)fields[0];
    line->begin_us = fields[1];
    line->duration_us = (uint32_t)fields[2];
    line->period_first = (uint64_t)fields[3];
    line->period_begin_us = fields[4];
    line->is_discontinuity = fields[5] == 1;
    line->bits_per_s[0] = (uint64_t)fields[6];
    line->bits_per_s[1] = (uint64_t)fields[7];
    line->frame_rate_milli = (uint32_t)fields[8];
    line->size = 0;
    line->part_count = 0;
    while (rest->at < rest->end)
        if (!take_part(rest, line))
            return false;
    return line->part_count > 0;
}

static bool take_begin(struct live_line *line, const int64_t *fields)
{
    if (fields[2] > fields[0])
        return false;
    line->number = (uint64_t)fields[0];
    line->begin_us = fields[1];
    line->period_first = (uint64_t)fields[2];
    line->period_begin_us = fields[3];
    line->is_discontinuity = fields[4] == 1;
    return true;
}

static bool take_line(struct live_line *line)
{
    struct rest rest = {line->text.data, (const char *)line->text.data + line->text.size - 1};
    int64_t fields[FIELDS_MAX];
    unsigned kind = 0;
    while (kind < KINDS && !take_word(&rest, kinds[kind].word))
        kind++;
    if (kind == KINDS || !take_fields(&rest, kinds[kind].field_count, fields))
        return false;
    line->kind = (enum live_line_kind)kind;
    switch (line->kind) {
    case LIVE_LINE_CHANNEL: return rest.at == rest.end && take_channel(line, fields);
    case LIVE_LINE_EPOCH: return rest.at == rest.end && take_epoch(line, fields);
    case LIVE_LINE_SEGMENT: return take_segment(line, fields, &rest);
    case LIVE_LINE_BEGIN: return rest.at == rest.end && take_begin(line, fields);
    case LIVE_LINE_PART:
        line->size = 0;
        line->part_count = 0;
        return take_part(&rest, line) && rest.at == rest.end;
    case LIVE_LINE_GONE: line->discontinuities = (uint64_t)fields[0]; break;
    case LIVE_LINE_LEFT:
    case LIVE_LINE_FILM: line->number = (uint64_t)fields[0]; break;
    default: break;
    }
    return rest.at == rest.end;
}

int live_journal_read(struct leat_slice journal, int (*on_line)(struct live_line *line, void *user),
                      void *user, size_t *ret_size, unsigned *ret_line)
{
    const char *at = journal.data, *const end = at + journal.size;
    struct live_line line;
    *ret_line = 1;
    if (journal.size < sizeof head - 1 || memcmp(at, head, sizeof head - 1) != 0)
        return -LEAT_E_MALFORMED;
    at += sizeof head - 1;
    for (const char *newline; (newline = memchr(at, '\n', (size_t)(end - at)));) {
        line.text = slice_of(at, (size_t)(newline + 1 - at));
        (*ret_line)++;
        if (!take_line(&line))
            return -LEAT_E_MALFORMED;
        const int error = on_line(&line, user);
        if (error)
            return error;
        at = newline + 1;
    }
    *ret_size = (size_t)(at - (const char *)journal.data);
    return 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

void live_journal_begin(struct text *text)
{
    text_add_literal(text, head);
}

static void add_fields(struct text *text, enum live_line_kind kind, const uint64_t *fields)
{
    text_add_literal(text, kinds[kind].word);
    for (unsigned index = 0; index < kinds[kind].field_count; index++) {
        text_add_literal(text, " ");
        text_add_number(text, fields[index]);
    }
}

void live_journal_channel(struct text *text, const struct live_channel *channel)
{
    ASSERT(channel->available_ms > 0 && channel->target_s > 0);
    const uint64_t fields[] = {(uint64_t)channel->created_ms, channel->target_s,
                               channel->part_target_us, channel->segment_us,
                               (uint64_t)channel->available_ms};
    add_fields(text, LIVE_LINE_CHANNEL, fields);
    text_add_literal(text, "\n");
}

void live_journal_gone(struct text *text, uint64_t discontinuities)
{
    add_fields(text, LIVE_LINE_GONE, &discontinuities);
    text_add_literal(text, "\n");
}

void live_journal_epoch(struct text *text, const struct live_epoch *epoch)
{
    ASSERT(epoch->begin_us >= 0);
    const uint64_t fields[] = {epoch->first_number,           epoch->init,
                               (uint64_t)epoch->begin_us,     epoch->inits[LIVE_MUXED].size,
                               epoch->inits[LIVE_VIDEO].size, epoch->inits[LIVE_AUDIO].size};
    add_fields(text, LIVE_LINE_EPOCH, fields);
    text_add_literal(text, "\n");
}

static void add_part(struct text *text, const struct live_part *part)
{
    text_add_format(text, " %u,%u,%u,%d", part->sizes[0], part->sizes[1], part->duration_us,
                    part->is_independent);
}

void live_journal_segment(struct text *text, const struct live_record *record)
{
    const struct live_track_info *video = &record->epoch->tracks[0];
    ASSERT(record->begin_us >= 0 && record->period_begin_us >= 0 && record->part_count > 0);
    const uint64_t fields[] = {
        record->number,       (uint64_t)record->begin_us,          record->duration_us,
        record->period_first, (uint64_t)record->period_begin_us,   record->is_discontinuity,
        video->bits_per_s,    record->epoch->tracks[1].bits_per_s, video->frame_rate_milli};
    add_fields(text, LIVE_LINE_SEGMENT, fields);
    for (unsigned index = 0; index < record->part_count; index++)
        add_part(text, &record->parts[index]);
    text_add_literal(text, "\n");
}

void live_journal_part(struct text *text, const struct live_record *record)
{
    ASSERT(record->part_count > 0);
    const uint64_t fields[] = {record->number, (uint64_t)record->begin_us, record->period_first,
                               (uint64_t)record->period_begin_us, record->is_discontinuity};
    if (record->part_count == 1) {
        add_fields(text, LIVE_LINE_BEGIN, fields);
        text_add_literal(text, "\n");
    }
    text_add_literal(text, kinds[LIVE_LINE_PART].word);
    add_part(text, &record->parts[record->part_count - 1]);
    text_add_literal(text, "\n");
}

void live_journal_mark(struct text *text, enum live_line_kind kind, uint64_t next_number)
{
    ASSERT(kinds[kind].field_count <= 1);
    add_fields(text, kind, &next_number);
    text_add_literal(text, "\n");
}
