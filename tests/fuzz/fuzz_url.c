/* SPDX-License-Identifier: MIT */
/*
 * URLs and what they mean beside each other: the parts lie within the text and put together are the
 * text; what is resolved parses, holds no "." or ".." segment, and stays as it is when it is
 * resolved once more. The input is a base, a line feed, and a reference.
 */
#include "fuzz.h"
#include "leat/error.h"
#include "wire/url.h"

static size_t put(char *text, const char *before, struct leat_slice part)
{
    const size_t size = strlen(before);
    memcpy(text, before, size);
    if (part.size > 0)
        memcpy(text + size, part.data, part.size);
    return size + part.size;
}

static void check_parts(const struct url *url)
{
    char *text = malloc(url->text.size + 8);
    ASSERT(text != NULL);
    size_t size = put(text, "", url->scheme);
    if (url->scheme.size > 0)
        text[size++] = ':';
    if (url->authority.data)
        size += put(text + size, "//", url->authority);
    size += put(text + size, "", url->path);
    if (url->query.data)
        size += put(text + size, "?", url->query);
    if (url->fragment.data)
        size += put(text + size, "#", url->fragment);
    ASSERT(slice_equal(slice_of(text, size), url->text));
    ASSERT((url->host.data != NULL) == (url->authority.data != NULL));
    ASSERT(url->host.size <= url->authority.size && (url->authority.data || url->port == 0));
    for (size_t i = 0; i < url->text.size; i++)
        ASSERT(url->text.data[i] > ' ' && url->text.data[i] < 0x7f);
    ASSERT(url->host.size == 0 || !memchr(url->host.data, '@', url->host.size));
    free(text);
}

static void check_no_dots(struct leat_slice path)
{
    while (path.size > 0 && path.data[0] == '/') {
        path = slice_after(path, 1);
        const char *slash = memchr(path.data, '/', path.size);
        const size_t size = slash ? (size_t)(slash - path.data) : path.size;
        const struct leat_slice segment = slice_of(path.data, size);
        ASSERT(!slice_equal(segment, SLICE(".")) && !slice_equal(segment, SLICE("..")));
        path = slice_after(path, size);
    }
}

static void check_resolved(const struct url *base, const struct url *reference)
{
    const size_t room = url_resolve_size(base, reference);
    char *buffer = fuzz_copy(NULL, 0), *twice = fuzz_copy(NULL, 0);
    buffer = realloc(buffer, room);
    struct url url, again;
    if (url_resolve(base, reference, buffer, room, &url) == 0) {
        ASSERT(url.scheme.size > 0 && url.text.data == buffer && url.text.size <= room);
        check_parts(&url);
        if (url.path.size > 0 && url.path.data[0] == '/')
            check_no_dots(url.path);
        ASSERT(slice_equal(url.fragment, reference->fragment));
        twice = realloc(twice, url_resolve_size(NULL, &url));
        ASSERT(url_resolve(NULL, &url, twice, url_resolve_size(NULL, &url), &again) == 0);
        ASSERT(slice_equal(again.text, url.text));
    }
    free(buffer);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    const size_t base_size = line ? (size_t)(line - data) : 0;
    const size_t skipped = line ? base_size + 1 : 0;
    char *base_text = fuzz_copy(data, base_size);
    char *text = fuzz_copy(size > skipped ? data + skipped : NULL, size - skipped);
    struct url base, reference;
    const bool has_base =
        url_parse(slice_of(base_text, base_size), &base) == 0 && base.scheme.size > 0;
    if (url_parse(slice_of(text, size - skipped), &reference) == 0) {
        check_parts(&reference);
        check_resolved(NULL, &reference);
        if (has_base)
            check_resolved(&base, &reference);
    }
    free(base_text);
    free(text);
    return 0;
}
