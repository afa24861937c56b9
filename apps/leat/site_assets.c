/* SPDX-License-Identifier: MIT */
/*
 * See site_assets.h. The bytes are the program's own, so that nothing is copied, and their packed
 * forms were made when it was built.
 */
#include "site_assets.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "site_url.h"
#include "wire/accept_encoding.h"

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

/* ---- Codings --------------------------------------------------------------------------------- */

/* One form of an asset; a validator or a range is of the one that is asked for. */
struct form {
    const char *data;
    size_t size;
    const char *coding, *tag_end; /* NULL and "" of the plain one */
};

static bool is_packed(const struct site_asset *asset)
{
    return asset->gzip || asset->brotli;
}

/* What the client likes best of what there is, and of that the smallest. Who takes none of it gets
 * the plain one (RFC 9110, section 12.5.3). */
static struct form choose_form(const struct site_asset *asset,
                               const struct leat_http_request *request)
{
    const unsigned gzip = 1u << ACCEPT_GZIP, brotli = 1u << ACCEPT_BR;
    struct accept_encoding accept;
    unsigned codings = 0;
    if (is_packed(asset)) {
        accept_encoding_init(&accept);
        accept_encoding_add(&accept, leat_http_field(request, "Accept-Encoding"));
        codings = accept_encoding_best_of(&accept,
                                          (asset->gzip ? gzip : 0) | (asset->brotli ? brotli : 0));
    }
    if (codings & brotli)
        return (struct form){asset->brotli, asset->brotli_size, "br", "-br"};
    if (codings & gzip)
        return (struct form){asset->gzip, asset->gzip_size, "gzip", "-gz"};
    return (struct form){asset->data, asset->size, NULL, ""};
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
    static const struct leat_compress_policy as_it_is = {.mode = LEAT_COMPRESS_OFF};
    char etag[LEAT_HTTP_ETAG_MAX + 1];
    const struct form form = choose_form(asset, request);
    const struct leat_vector vector = {.data = form.data, .size = form.size};
    const int size = snprintf(etag, sizeof etag, "%s%s", asset->hash, form.tag_end);
    ASSERT(size > 0 && size < (int)sizeof etag);
    const struct leat_http_content content = {
        .media_type = asset->media_type, .etag = etag, .vectors = &vector, .count = 1};
    (void)leat_http_set_compress(response, &as_it_is); /* it is packed as well as can be */
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
    if (is_packed(asset))
        (void)leat_http_add_field(response, "Vary", "Accept-Encoding");
    if (form.coding && status != 304)
        (void)leat_http_add_field(response, "Content-Encoding", form.coding);
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
