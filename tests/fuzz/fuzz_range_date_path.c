/* SPDX-License-Identifier: MIT */
/*
 * The small formats, each given the same text: ranges lie within what they are of, dates and paths
 * survive being written and read again, a path never climbs, and nothing of HTML gets through.
 */
#include <stdbool.h>
#include <stdio.h>

#include "fuzz.h"
#include "wire/date.h"
#include "wire/etag.h"
#include "wire/html.h"
#include "wire/mime.h"
#include "wire/path.h"
#include "wire/range.h"

/* What is asked for alone, or again, is what was found. */
static void check_part(const struct range *part, uint64_t size)
{
    struct range_set again;
    char wish[64], content[RANGE_TEXT_SIZE + 1], expected[96];
    const int wish_size = snprintf(wish, sizeof(wish), "bytes=%llu-%llu",
                                   (unsigned long long)part->first, (unsigned long long)part->last);
    ASSERT(range_parse(slice_of(wish, (size_t)wish_size), size, &again) == RANGE_PARTS);
    ASSERT(again.count == 1);
    ASSERT(again.parts[0].first == part->first && again.parts[0].last == part->last);
    content[range_format(part, size, content)] = '\0';
    snprintf(expected, sizeof(expected), "bytes %s/%llu", wish + 6, (unsigned long long)size);
    ASSERT(strcmp(content, expected) == 0);
}

/* Parts lie within the whole and apart from each other, and are the same when asked for as such. */
static void check_range(struct leat_slice text, uint64_t size)
{
    struct range_set set, again;
    if (range_parse(text, size, &set) != RANGE_PARTS)
        return;
    char wish[8 + RANGE_PARTS_MAX * 42];
    size_t wish_size = (size_t)snprintf(wish, sizeof(wish), "bytes=");
    ASSERT(set.count > 0 && set.count <= RANGE_PARTS_MAX);
    for (unsigned i = 0; i < set.count; i++) {
        const struct range *part = &set.parts[i];
        ASSERT(part->first <= part->last && part->last < size);
        for (unsigned other = 0; other < i; other++) {
            const struct range *low = &set.parts[other], *high = part;
            if (low->first > high->first)
                low = part, high = &set.parts[other];
            ASSERT(low->last < high->first && high->first - low->last > RANGE_GAP_MIN);
        }
        check_part(part, size);
        wish_size +=
            (size_t)snprintf(wish + wish_size, sizeof(wish) - wish_size, "%llu-%llu,",
                             (unsigned long long)part->first, (unsigned long long)part->last);
    }
    ASSERT(range_parse(slice_of(wish, wish_size), size, &again) == RANGE_PARTS);
    ASSERT(again.count == set.count);
    ASSERT(memcmp(again.parts, set.parts, set.count * sizeof(set.parts[0])) == 0);
}

static void check_instant(int64_t unix_s)
{
    char text[DATE_SIZE];
    int64_t again;
    date_format(unix_s, text);
    ASSERT(date_parse(slice_of(text, DATE_SIZE), 0, &again) == 0);
    if (unix_s >= DATE_MIN && unix_s <= DATE_MAX)
        ASSERT(again == unix_s);
    else
        ASSERT(again == (unix_s < 0 ? DATE_MIN : DATE_MAX));
}

static void check_date(struct leat_slice text)
{
    int64_t unix_s;
    if (date_parse(text, 1795348800, &unix_s) == 0) {
        ASSERT(unix_s >= DATE_MIN && unix_s <= DATE_MAX);
        check_instant(unix_s);
    }
    if (text.size >= sizeof(unix_s)) {
        memcpy(&unix_s, text.data, sizeof(unix_s));
        check_instant(unix_s);
        check_instant(unix_s % DATE_MAX);
    }
}

static void check_etag(struct leat_slice text)
{
    const bool valid = etag_is_valid(text);
    ASSERT(etag_equal(text, text, ETAG_WEAK) == valid);
    ASSERT(etag_equal(text, text, ETAG_STRONG) == (valid && text.data[0] == '"'));
    ASSERT(!valid || etag_list_has(text, text, ETAG_WEAK));
    (void)etag_list_has(text, SLICE("\"a\""), ETAG_STRONG);
}

/* Not empty, and none of its segments is empty, "." or "..". */
static void check_segments(struct leat_slice path)
{
    size_t start = 0;
    ASSERT(memchr(path.data, '\0', path.size) == NULL);
    for (size_t i = 0; i <= path.size; i++) {
        if (i < path.size && path.data[i] != '/')
            continue;
        const struct leat_slice segment = slice_of(path.data + start, i - start);
        ASSERT(segment.size > 0);
        ASSERT(!slice_equal(segment, SLICE(".")) && !slice_equal(segment, SLICE("..")));
        start = i + 1;
    }
}

static void check_path(struct leat_slice text)
{
    struct leat_slice raw, query;
    struct path path, again;
    path_split_query(text, &raw, &query);
    ASSERT(raw.size + query.size + (query.data != NULL) == text.size);
    char *buffer = fuzz_copy(raw.data, raw.size);
    if (path_normalise(raw, buffer, raw.size, &path) == 0) {
        ASSERT(path.text.size < raw.size && buffer[path.text.size] == '\0');
        if (path.text.size > 0)
            check_segments(path.text);
        char *link = malloc(3 * path.text.size + 2), *back = malloc(3 * path.text.size + 2);
        ASSERT(link != NULL && back != NULL);
        link[0] = '/';
        long size = path_encode(path.text, link + 1, 3 * path.text.size);
        ASSERT(size >= 0);
        if (path.has_slash_at_end && size > 0)
            link[++size] = '/';
        ASSERT(path_normalise(slice_of(link, (size_t)size + 1), back, (size_t)size + 1, &again) ==
               0);
        ASSERT(slice_equal(again.text, path.text));
        ASSERT(again.has_slash_at_end == path.has_slash_at_end);
        free(back);
        free(link);
    }
    free(buffer);
}

/* What a browser would make of it is the text again. */
static void check_html(struct leat_slice text)
{
    static const struct {
        struct leat_slice name;
        char c;
    } names[] = {{SLICE("&amp;"), '&'},
                 {SLICE("&lt;"), '<'},
                 {SLICE("&gt;"), '>'},
                 {SLICE("&quot;"), '"'},
                 {SLICE("&#39;"), '\''}};
    char *page = malloc(6 * text.size + 1);
    ASSERT(page != NULL);
    const long size = html_escape(text, page, 6 * text.size);
    ASSERT(size >= (long)text.size);
    struct leat_slice left = slice_of(page, (size_t)size);
    for (size_t i = 0; i < text.size; i++) {
        ASSERT(left.size > 0 && !memchr("<>\"'", left.data[0], 4));
        char c = left.data[0];
        size_t taken = 1;
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            if (slice_starts_with(left, names[k].name)) {
                c = names[k].c;
                taken = names[k].name.size;
            }
        }
        ASSERT(c == text.data[i] && (c != '&' || taken > 1));
        left = slice_after(left, taken);
    }
    ASSERT(left.size == 0);
    free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct leat_slice text = slice_of(data, size);
    static const uint64_t sizes[] = {0, 1, 10, 1234, UINT64_C(1) << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_range(text, sizes[i]);
    check_date(text);
    check_etag(text);
    check_path(text);
    check_html(text);
    ASSERT(mime_from_name(text).size > 0);
    return 0;
}
