/* SPDX-License-Identifier: MIT */
/*
 * See subtitle.h. In SubRip a cue is a counter, a line of times and lines of text, and an empty
 * line ends it: but counters and empty lines are often missing, and texts have empty lines in them.
 * The one thing to go by is the line of times: a cue's text is all between its own and the next
 * one, but for the counter.
 */
#include "wire/subtitle.h"

#include "base/assert.h"
#include "leat/error.h"
#include "wire/utf8.h"

static const struct leat_slice byte_order_mark = {"\xef\xbb\xbf", 3};
static const struct leat_slice replacement = {"\xef\xbf\xbd", 3};

/* ---- Lines and times ------------------------------------------------------------------------- */

/* Takes a line off, which LF, CR LF or CR ends. False: nothing is left. */
static bool take_line(struct leat_slice *left, struct leat_slice *ret_line)
{
    if (left->size == 0)
        return false;
    size_t size = 0;
    while (size < left->size && left->data[size] != '\n' && left->data[size] != '\r')
        size++;
    *ret_line = slice_of(left->data, size);
    if (size < left->size)
        size += slice_starts_with(slice_after(*left, size), SLICE("\r\n")) ? 2 : 1;
    *left = slice_after(*left, size);
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct leat_slice trimmed(struct leat_slice line)
{
    while (line.size > 0 && is_space(line.data[0]))
        line = slice_after(line, 1);
    while (line.size > 0 && is_space(line.data[line.size - 1]))
        line.size--;
    return line;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_counter(struct leat_slice line)
{
    const struct leat_slice digits = trimmed(line);
    for (size_t at = 0; at < digits.size; at++)
        if (!is_digit(digits.data[at]))
            return false;
    return digits.size > 0;
}

/* Takes a number of 1 to 6 digits off. */
static bool take_number(struct leat_slice *left, uint64_t *ret_number)
{
    enum { DIGITS_MAX = 6 };
    uint64_t number = 0;
    size_t size = 0;
    for (; size < left->size && is_digit(left->data[size]); size++) {
        if (size == DIGITS_MAX)
            return false;
        number = number * 10 + (uint64_t)(left->data[size] - '0');
    }
    *left = slice_after(*left, size);
    *ret_number = number;
    return size > 0;
}

static bool take(struct leat_slice *left, struct leat_slice start)
{
    if (!slice_starts_with(*left, start))
        return false;
    *left = slice_after(*left, start.size);
    return true;
}

/* Takes [H…:]M:S[,mmm] off. */
static bool take_time(struct leat_slice *left, uint64_t *ret_ms)
{
    uint64_t fields[3], seconds = 0;
    unsigned count = 0;
    do {
        if (count == 3 || !take_number(left, &fields[count++]))
            return false;
    } while (take(left, SLICE(":")));
    if (count < 2)
        return false;
    for (unsigned index = 0; index < count; index++)
        seconds = seconds * 60 + fields[index];
    uint64_t ms = 0;
    if (take(left, SLICE(",")) || take(left, SLICE("."))) {
        unsigned weight = 100; /* of the next digit; those beyond thousandths have none */
        for (; left->size > 0 && is_digit(left->data[0]); *left = slice_after(*left, 1)) {
            ms += weight * (uint64_t)(left->data[0] - '0');
            weight /= 10;
        }
    }
    ASSERT(ms < 1000);
    *ret_ms = seconds * 1000 + ms;
    return true;
}

struct times {
    uint64_t begin_ms, end_ms;
};

/* "00:00:01,000 --> 00:00:02,500"; coordinates may follow. */
static bool parse_times(struct leat_slice line, struct times *ret_times)
{
    struct leat_slice left = trimmed(line);
    struct times times;
    if (!take_time(&left, &times.begin_ms))
        return false;
    left = trimmed(left);
    if (!take(&left, SLICE("-->")))
        return false;
    left = trimmed(left);
    if (!take_time(&left, &times.end_ms) || (left.size > 0 && !is_space(left.data[0])))
        return false;
    *ret_times = times;
    return true;
}

/* ---- Characters ------------------------------------------------------------------------------ */

/* Does it rather look like Windows-1252? In UTF-8 that was damaged here and there, sequences of
 * several bytes outnumber the bytes that are part of none. */
static bool is_windows_1252(struct leat_slice text)
{
    size_t sequences = 0, strays = 0;
    while (text.size > 0) {
        const size_t size = utf8_size(text);
        sequences += size > 1;
        strays += size == 0;
        text = slice_after(text, size > 0 ? size : 1);
    }
    return strays > sequences;
}

/* A byte of Windows-1252 that is none of ASCII; five of them stand for nothing. */
static void add_windows_1252(struct text *text, unsigned char byte)
{
    static const char *const specials[32] = {
        "€",  NULL, "‚", "ƒ", "„", "…", "†", "‡", "ˆ", "‰", "Š", "‹", "Œ", NULL, "Ž", NULL,
        NULL, "‘",  "’", "“", "”", "•", "–", "—", "˜", "™", "š", "›", "œ", NULL, "ž", "Ÿ"};
    ASSERT(byte >= 0x80);
    if (byte >= 0xa0) {
        const char pair[] = {(char)(0xc0 | byte >> 6), (char)(0x80 | (byte & 0x3f))};
        text_add(text, slice_of(pair, sizeof pair));
    } else if (specials[byte - 0x80]) {
        text_add_literal(text, specials[byte - 0x80]);
    } else {
        text_add(text, replacement);
    }
}

/* ---- A cue ----------------------------------------------------------------------------------- */

enum { STYLES = 3 };

struct payload {
    struct text *text;
    bool is_windows_1252;
    char open[STYLES]; /* tags that are open, the outermost first; each once */
    unsigned open_count;
    bool is_visible; /* there is something to see */
};

static void add_character(struct payload *payload, struct leat_slice *left)
{
    struct text *text = payload->text;
    const unsigned char first = (unsigned char)left->data[0];
    payload->is_visible = payload->is_visible || !is_space((char)first);
    if (payload->is_windows_1252 && first >= 0x80) {
        add_windows_1252(text, first);
        *left = slice_after(*left, 1);
        return;
    }
    const struct leat_slice character = utf8_take(left);
    switch (character.data[0]) {
    case '&': text_add_literal(text, "&amp;"); break;
    case '<': text_add_literal(text, "&lt;"); break;
    case '>': text_add_literal(text, "&gt;"); break;
    case '\0': text_add(text, replacement); break; /* WebVTT, section 4.1: never in a file */
    default: text_add(text, character);
    }
}

static void close_last(struct payload *payload)
{
    ASSERT(payload->open_count > 0);
    text_add_format(payload->text, "</%c>", payload->open[--payload->open_count]);
}

/* A tag of <i>, <b> or <u>: what is written is nested well, whatever was read. */
static void add_tag(struct payload *payload, char name, bool is_end)
{
    const char *found = memchr(payload->open, name, payload->open_count);
    if (!is_end && !found) {
        ASSERT(payload->open_count < STYLES);
        payload->open[payload->open_count++] = name;
        text_add_format(payload->text, "<%c>", name);
    } else if (is_end && found) {
        while (payload->open + payload->open_count > found)
            close_last(payload);
    }
}

/* Where a tag ends; NULL: nowhere near. Without the bound a text of nothing but '<' would take for
 * ever. */
static const char *find_end(struct leat_slice tag, char end)
{
    enum { TAG_SIZE_MAX = 256 };
    return memchr(tag.data, end, tag.size < TAG_SIZE_MAX ? tag.size : TAG_SIZE_MAX);
}

/* Takes a tag that is known off: one that is kept, or one that is dropped. */
static bool take_tag(struct payload *payload, struct leat_slice *left)
{
    static const char *const dropped[] = {"font", "s", "strike", "span"};
    const char *end = left->data[0] == '<' ? find_end(*left, '>') : NULL;
    if (!end)
        return false;
    struct leat_slice inner = slice_of(left->data + 1, (size_t)(end - left->data) - 1);
    const bool is_end = take(&inner, SLICE("/"));
    struct leat_slice name = slice_of(inner.data, 0);
    while (name.size < inner.size && !is_space(inner.data[name.size]))
        name.size++;
    bool is_known = false;
    for (unsigned index = 0; index < sizeof dropped / sizeof *dropped; index++)
        is_known = is_known || slice_equal_nocase(name, slice_from_text(dropped[index]));
    const char letter = name.size == 1 ? (char)(name.data[0] | 0x20) : '\0';
    if (letter == 'i' || letter == 'b' || letter == 'u') {
        add_tag(payload, letter, is_end);
        is_known = true;
    }
    if (is_known)
        *left = slice_after(*left, (size_t)(end + 1 - left->data));
    return is_known;
}

/* Takes {\an8} and its like off, which place and draw. */
static bool take_override(struct leat_slice *left)
{
    const char *end = slice_starts_with(*left, SLICE("{\\")) ? find_end(*left, '}') : NULL;
    if (!end)
        return false;
    *left = slice_after(*left, (size_t)(end + 1 - left->data));
    return true;
}

/* Takes an escape of WebVTT off (section 4.2.2): what holds one has been WebVTT or HTML before, and
 * nobody says "&amp;" in a film. */
static bool take_escape(struct payload *payload, struct leat_slice *left)
{
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&nbsp;", "&lrm;", "&rlm;"};
    for (unsigned index = 0; index < sizeof escapes / sizeof *escapes; index++)
        if (take(left, slice_from_text(escapes[index]))) {
            text_add_literal(payload->text, escapes[index]);
            payload->is_visible = payload->is_visible || index < 3;
            return true;
        }
    return false;
}

static void add_line(struct payload *payload, struct leat_slice line)
{
    while (line.size > 0)
        if (!take_tag(payload, &line) && !take_override(&line) && !take_escape(payload, &line))
            add_character(payload, &line);
}

/* The text of a cue without the counter of the next one, if that is what it ends with: a number
 * that is all of a line, and not the first. At the end of the file, where no line of times shows
 * that it is a counter, an empty line before it must. */
static struct leat_slice without_counter(struct leat_slice cue, bool is_last)
{
    struct leat_slice left = cue, line, last = slice_of(NULL, 0);
    bool was_empty = false, is_candidate = false;
    size_t count = 0;
    for (; take_line(&left, &line); count++) {
        is_candidate = count > 0 && (!is_last || was_empty) && is_counter(line);
        last = line;
        was_empty = trimmed(line).size == 0;
    }
    return is_candidate ? slice_of(cue.data, (size_t)(last.data - cue.data)) : cue;
}

static void add_time(struct text *text, uint64_t ms)
{
    const unsigned long long s = ms / 1000;
    text_add_format(text, "%02llu:%02llu:%02llu.%03u", s / 3600, s / 60 % 60, s % 60,
                    (unsigned)(ms % 1000));
}

/* Writes a cue. False: it was dropped, and nothing was written. */
static bool add_cue(struct text *text, const struct times *times, struct leat_slice cue,
                    bool is_windows_1252)
{
    if (times->begin_ms >= times->end_ms)
        return false;
    const size_t before = text->size;
    text_add_literal(text, "\n");
    add_time(text, times->begin_ms);
    text_add_literal(text, " --> ");
    add_time(text, times->end_ms);
    struct payload payload = {.text = text, .is_windows_1252 = is_windows_1252};
    struct leat_slice line;
    while (take_line(&cue, &line)) {
        /* An empty line would end the cue. */
        if (trimmed(line).size == 0)
            continue;
        text_add_literal(text, "\n");
        const size_t line_begin = text->size;
        add_line(&payload, line);
        if (text->size == line_begin && !text->has_failed)
            text->size--;
    }
    while (payload.open_count > 0)
        close_last(&payload);
    text_add_literal(text, "\n");
    if (!payload.is_visible && !text->has_failed)
        text->size = before;
    return payload.is_visible;
}

/* ---- Files ----------------------------------------------------------------------------------- */

long subtitle_from_srt(struct text *text, struct leat_slice srt)
{
    if (srt.size > SUBTITLE_SIZE_MAX)
        return -LEAT_E_LIMIT;
    (void)take(&srt, byte_order_mark);
    const bool is_1252 = is_windows_1252(srt);
    text_add_literal(text, "WEBVTT\n");
    struct leat_slice left = srt, line;
    struct times times = {0}, next;
    const char *begin = NULL; /* of the text of the cue that is being read */
    long count = 0;
    while (take_line(&left, &line)) {
        if (!parse_times(line, &next))
            continue;
        if (begin) {
            const struct leat_slice cue = slice_of(begin, (size_t)(line.data - begin));
            count += add_cue(text, &times, without_counter(cue, false), is_1252);
        }
        times = next;
        begin = left.data;
    }
    if (begin) {
        const struct leat_slice cue = slice_of(begin, (size_t)(srt.data + srt.size - begin));
        count += add_cue(text, &times, without_counter(cue, true), is_1252);
    }
    ASSERT(count >= 0);
    return count;
}

bool subtitle_is_vtt(struct leat_slice file)
{
    (void)take(&file, byte_order_mark);
    if (!take(&file, SLICE("WEBVTT")))
        return false;
    return file.size == 0 || is_space(file.data[0]) || file.data[0] == '\n' || file.data[0] == '\r';
}
