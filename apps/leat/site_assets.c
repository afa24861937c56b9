/* SPDX-License-Identifier: MIT */
/*
 * See site_assets.h. The bytes are the program's own, so that nothing is copied, and the gzipped
 * ones were packed when it was built.
 */
#include "site_assets.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "site_url.h"

static const char prefix[] = ".leat/";
enum { PREFIX_SIZE = sizeof prefix - 1, PATH_SIZE = 128 };

static const struct site_asset *find_asset(const char *name)
{
    for (unsigned index = 0; index < site_asset_count; index++)
        if (strcmp(site_assets[index].name, name) == 0)
            return &site_assets[index];
    return NULL;
}

const char *site_asset_hash(const char *name)
{
    const struct site_asset *asset = find_asset(name);
    return asset ? asset->hash : NULL;
}

/* ---- Accept-Encoding (RFC 9110, section 12.5.3) ---------------------------------------------- */

static struct leat_slice trim(struct leat_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = slice_after(text, 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Takes what stands before the mark, or all, and the mark. */
static struct leat_slice take_until(struct leat_slice *text, char mark)
{
    const char *end = text->size > 0 ? memchr(text->data, mark, text->size) : NULL;
    const size_t size = end ? (size_t)(end - text->data) : text->size;
    const struct leat_slice taken = slice_of(text->data, size);
    *text = slice_after(*text, size + (end != NULL));
    return trim(taken);
}

/* "q=0", "q=0.", "q=0.000": not acceptable (section 12.4.2). */
static bool is_refusal(struct leat_slice weight)
{
    if (weight.size < 3 || (weight.data[0] | 0x20) != 'q' || weight.data[1] != '=')
        return false;
    for (size_t index = 2; index < weight.size; index++)
        if (weight.data[index] != '0' && !(index == 3 && weight.data[index] == '.'))
            return false;
    return true;
}

static bool accepts_gzip(const struct leat_http_request *request)
{
    struct leat_slice rest = leat_http_field(request, "Accept-Encoding");
    bool accepts_any = false;
    while (rest.size > 0) {
        struct leat_slice weight = take_until(&rest, ',');
        const struct leat_slice coding = take_until(&weight, ';');
        const bool is_accepted = !is_refusal(trim(weight));
        if (slice_equal_nocase(coding, SLICE("gzip")) ||
            slice_equal_nocase(coding, SLICE("x-gzip")))
            return is_accepted;
        if (slice_equal(coding, SLICE("*")))
            accepts_any = is_accepted;
    }
    return accepts_any;
}

/* ---- Replies --------------------------------------------------------------------------------- */

/* The names of chunks change with their content; the others' do not, and so are asked for with the
 * hash. */
static bool is_for_ever(const struct site_asset *asset, const struct leat_http_request *request)
{
    struct leat_slice version;
    return strncmp(asset->name, "chunks/", 7) == 0 ||
           (query_find(leat_http_query(request), "v", &version) &&
            slice_equal(version, slice_from_text(asset->hash)));
}

static void reply_asset(const struct site_asset *asset, struct leat_http_request *request,
                        struct leat_http_response *response)
{
    char etag[LEAT_HTTP_ETAG_MAX + 1];
    const bool is_packed = asset->packed && accepts_gzip(request);
    const struct leat_vector vector = {.data = is_packed ? asset->packed : asset->data,
                                       .size = is_packed ? asset->packed_size : asset->size};
    const int size = snprintf(etag, sizeof etag, "%s%s", asset->hash, is_packed ? "-gz" : "");
    ASSERT(size > 0 && size < (int)sizeof etag);
    const struct leat_http_content content = {
        .media_type = asset->media_type, .etag = etag, .vectors = &vector, .count = 1};
    if (leat_http_reply_content(request, response, &content) != 0) {
        (void)leat_http_reply_error(response, 503);
        return;
    }
    const int status = leat_http_status(response);
    if (status >= 400) /* a text that says so: in no coding, and for no cache */
        return;
    (void)leat_http_add_field(response, "Cache-Control",
                              is_for_ever(asset, request) ? "public, max-age=31536000, immutable"
                                                          : "no-cache");
    if (asset->packed)
        (void)leat_http_add_field(response, "Vary", "Accept-Encoding");
    if (is_packed && status != 304)
        (void)leat_http_add_field(response, "Content-Encoding", "gzip");
}

bool site_assets_have(const char *path)
{
    return strncmp(path, prefix, PREFIX_SIZE) == 0 || strcmp(path, ".leat") == 0;
}

void site_assets_handle(struct leat_http_request *request, struct leat_http_response *response,
                        void *user)
{
    char path[PATH_SIZE];
    bool is_folder;
    const struct site_asset *asset = NULL;
    (void)user;
    const int status = leat_http_local_path(request, path, sizeof path, &is_folder);
    if (status == 0 && !is_folder && strncmp(path, prefix, PREFIX_SIZE) == 0)
        asset = find_asset(path + PREFIX_SIZE);
    if (asset)
        reply_asset(asset, request, response);
    else
        (void)leat_http_reply_error(response, status ? status : 404);
}
