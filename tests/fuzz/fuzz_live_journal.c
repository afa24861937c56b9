/* SPDX-License-Identifier: MIT */
/*
 * Journals of live channels. Whatever the bytes: what is read of a journal that is cut off are the
 * lines of the whole one that came before; each lies within it, and what a line says is within the
 * bounds that those rely on who use it; written anew it says the same.
 */
#include "fuzz.h"
#include "leat/error.h"
#include "media/live_journal.h"

enum { LINES_MAX = 64 };

struct seen {
    struct leat_slice whole;
    unsigned count;
    size_t ends[LINES_MAX];
};

static void check_parts(const struct live_line *line)
{
    uint64_t offset = 0;
    ASSERT(line->part_count > 0 && line->part_count <= LIVE_PARTS_MAX);
    for (unsigned index = 0; index < line->part_count; index++) {
        ASSERT(line->parts[index].offset == offset);
        offset += (uint64_t)line->parts[index].sizes[0] + line->parts[index].sizes[1];
    }
    ASSERT(offset == line->size);
}

static int keep(struct live_line *line, void *user)
{
    *(struct live_line *)user = *line;
    return 0;
}

/* Numbers may have had zeros before them: so it is what the line says that is compared. */
static void check_anew(struct live_line *line)
{
    static struct live_line again;
    struct live_epoch epoch = {
        .tracks = {{.bits_per_s = line->bits_per_s[0], .frame_rate_milli = line->frame_rate_milli},
                   {.bits_per_s = line->bits_per_s[1]}}};
    const struct live_record record = {.epoch = &epoch,
                                       .number = line->number,
                                       .begin_us = line->begin_us,
                                       .duration_us = line->duration_us,
                                       .period_first = line->period_first,
                                       .period_begin_us = line->period_begin_us,
                                       .is_discontinuity = line->is_discontinuity,
                                       .part_count = line->part_count,
                                       .parts = line->parts};
    struct text text = {0};
    size_t size;
    unsigned number;
    live_journal_begin(&text);
    live_journal_segment(&text, &record);
    ASSERT(live_journal_read(slice_of(text.data, text.size), keep, &again, &size, &number) == 0);
    ASSERT(size == text.size && number == 2 && again.kind == LIVE_LINE_SEGMENT);
    ASSERT(again.number == line->number && again.begin_us == line->begin_us);
    ASSERT(again.size == line->size && again.part_count == line->part_count);
    ASSERT(again.is_discontinuity == line->is_discontinuity);
    text_fini(&text);
}

static int see(struct live_line *line, void *user)
{
    struct seen *seen = user;
    const char *const end = line->text.data + line->text.size;
    ASSERT(line->text.data > seen->whole.data && end <= seen->whole.data + seen->whole.size);
    ASSERT(end[-1] == '\n');
    ASSERT(line->number <= INT64_MAX && line->begin_us >= 0);
    if (line->kind == LIVE_LINE_CHANNEL)
        ASSERT(line->target_s > 0 && line->segment_us > 0 && line->available_ms > 0);
    if (line->kind == LIVE_LINE_SEGMENT) {
        check_parts(line);
        check_anew(line);
    }
    if (seen->count < LINES_MAX)
        seen->ends[seen->count] = (size_t)(end - seen->whole.data);
    seen->count++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.whole = slice_of(data, size)};
    size_t used = 0;
    unsigned line;
    const int error = live_journal_read(seen.whole, see, &seen, &used, &line);
    ASSERT(error == 0 || error == -LEAT_E_MALFORMED);
    if (error == 0)
        ASSERT(used <= size && memchr(data + used, '\n', size - used) == NULL);
    for (size_t cut = 0; cut < size; cut += fuzz_stride(size)) {
        char *const exact = fuzz_copy((const char *)data, cut);
        struct seen less = {.whole = slice_of(exact, cut)};
        (void)live_journal_read(less.whole, see, &less, &used, &line);
        ASSERT(less.count <= seen.count);
        for (unsigned index = 0; index < less.count && index < LINES_MAX; index++)
            ASSERT(less.ends[index] == seen.ends[index]);
        free(exact);
    }
    return 0;
}
