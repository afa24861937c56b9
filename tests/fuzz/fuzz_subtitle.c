/* SPDX-License-Identifier: MIT */
/*
 * Subtitles: whatever is read, what is written is WebVTT that nobody can object to, as a reader of
 * its own sees it: UTF-8, cues that end after they begin, tags that are closed where they should
 * be, no '&' and '<' but in escapes and tags. And how lines end changes nothing.
 */
#include "fuzz.h"
#include "wire/subtitle.h"
#include "wire/utf8.h"

static bool take(struct leat_slice *left, const char *start)
{
    if (!slice_starts_with(*left, slice_from_text(start)))
        return false;
    *left = slice_after(*left, strlen(start));
    return true;
}

/* Of exactly `digits`, or of more where `may_be_longer`. */
static unsigned long take_number(struct leat_slice *left, size_t digits, bool may_be_longer)
{
    unsigned long number = 0;
    size_t count = 0;
    while (left->size > 0 && left->data[0] >= '0' && left->data[0] <= '9' &&
           (count < digits || may_be_longer)) {
        number = number * 10 + (unsigned long)(left->data[0] - '0');
        *left = slice_after(*left, 1);
        count++;
    }
    ASSERT(count >= digits);
    return number;
}

/* HH:MM:SS.mmm, section 4.3 of WebVTT. */
static unsigned long take_time_ms(struct leat_slice *left)
{
    const unsigned long hours = take_number(left, 2, true);
    ASSERT(take(left, ":"));
    const unsigned long minutes = take_number(left, 2, false);
    ASSERT(take(left, ":"));
    const unsigned long seconds = take_number(left, 2, false);
    ASSERT(take(left, "."));
    const unsigned long ms = take_number(left, 3, false);
    ASSERT(minutes < 60 && seconds < 60);
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms;
}

/* The lines of a cue, each ended by LF; the empty one behind it is left. */
static void check_payload(struct leat_slice *left)
{
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&nbsp;", "&lrm;", "&rlm;"};
    char open[4];
    size_t open_count = 0;
    bool has_text = false;
    while (left->size > 0 && left->data[0] != '\n') {
        for (; ASSERT(left->size > 0), left->data[0] != '\n'; has_text = true) {
            bool is_known = false;
            for (size_t index = 0; index < sizeof escapes / sizeof *escapes && !is_known; index++)
                is_known = take(left, escapes[index]);
            if (is_known)
                continue;
            if (take(left, "</")) {
                ASSERT(open_count > 0 && left->data[0] == open[--open_count]);
                *left = slice_after(*left, 1);
                ASSERT(take(left, ">"));
            } else if (take(left, "<")) {
                ASSERT(open_count < 3 && strchr("ibu", left->data[0]));
                open[open_count++] = left->data[0];
                *left = slice_after(*left, 1);
                ASSERT(take(left, ">"));
            } else {
                ASSERT(!strchr("&>\r", left->data[0])); /* NUL is in there, too */
                const size_t size = utf8_size(*left);
                ASSERT(size > 0);
                *left = slice_after(*left, size);
            }
        }
        *left = slice_after(*left, 1);
    }
    ASSERT(has_text && open_count == 0);
}

static long check_vtt(struct leat_slice vtt)
{
    ASSERT(subtitle_is_vtt(vtt));
    ASSERT(take(&vtt, "WEBVTT\n"));
    long count = 0;
    for (; vtt.size > 0; count++) {
        ASSERT(take(&vtt, "\n"));
        const unsigned long begin = take_time_ms(&vtt);
        ASSERT(take(&vtt, " --> "));
        const unsigned long end = take_time_ms(&vtt);
        ASSERT(begin < end);
        ASSERT(take(&vtt, "\n"));
        check_payload(&vtt);
    }
    return count;
}

static struct text convert(struct leat_slice srt, long *ret_count)
{
    struct text text = {0};
    *ret_count = subtitle_from_srt(&text, srt);
    ASSERT(*ret_count >= 0 && !text.has_failed);
    return text;
}

/* The same with CR LF for each LF: where there is no CR, that changes nothing. */
static void check_line_ends(struct leat_slice srt, const struct text *wanted)
{
    if (memchr(srt.data, '\r', srt.size))
        return;
    struct text other = {0};
    for (size_t at = 0; at < srt.size; at++) {
        if (srt.data[at] == '\n')
            text_add_literal(&other, "\r");
        text_add(&other, slice_of(srt.data + at, 1));
    }
    long count;
    struct text text = convert(slice_of(other.data, other.size), &count);
    ASSERT(slice_equal(slice_of(text.data, text.size), slice_of(wanted->data, wanted->size)));
    text_fini(&text);
    text_fini(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct leat_slice srt = slice_of(data, size);
    (void)subtitle_is_vtt(srt);
    long count;
    struct text vtt = convert(srt, &count);
    ASSERT(check_vtt(slice_of(vtt.data, vtt.size)) == count);
    check_line_ends(srt, &vtt);
    text_fini(&vtt);
    for (size_t cut = 0; cut < size; cut += fuzz_stride(size)) {
        char *start = fuzz_copy(data, cut);
        vtt = convert(slice_of(start, cut), &count);
        ASSERT(check_vtt(slice_of(vtt.data, vtt.size)) == count);
        text_fini(&vtt);
        free(start);
    }
    return 0;
}
