/* SPDX-License-Identifier: MIT */
/*
 * Field lines of the site's answers: who else's pages may read them (the Fetch standard's CORS
 * protocol, Resource Timing's Timing-Allow-Origin), and under which name they are saved.
 */
#include <string.h>

#include "base/slice.h"
#include "site.h"
#include "text.h"

/* What players look at beyond what any script may see: ranges, and the server's clock (DASH). */
#define EXPOSED "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, Date, ETag"
#define METHODS "GET, HEAD, OPTIONS"
/* How long a browser need not ask again, in seconds; Chromium makes two hours of it. */
#define MAX_AGE "86400"

static bool is_for_all(const struct site *site)
{
    return site->origin_count == 1;
}

/* The origin that may read the answer; NULL: none that asks. One alone is always told, so that the
 * answer does not depend on who asks, and caches may keep it. */
static const char *allowed_origin(const struct site *site, const struct leat_http_request *request)
{
    if (is_for_all(site))
        return site->origins[0];
    const struct leat_slice origin = leat_http_field(request, "Origin");
    for (unsigned index = 0; index < site->origin_count; index++)
        if (slice_equal(origin, slice_from_text(site->origins[index])))
            return site->origins[index];
    return NULL;
}

void site_put_origins(const struct site *site, const struct leat_http_request *request,
                      struct leat_http_response *response)
{
    if (site->timing_origin)
        (void)leat_http_add_field(response, "Timing-Allow-Origin", site->timing_origin);
    if (site->origin_count == 0)
        return;
    const char *origin = allowed_origin(site, request);
    if (!is_for_all(site))
        (void)leat_http_add_field(response, "Vary", "Origin");
    if (!origin)
        return;
    (void)leat_http_add_field(response, "Access-Control-Allow-Origin", origin);
    (void)leat_http_add_field(response, "Access-Control-Expose-Headers", EXPOSED);
}

void site_reply_options(const struct site *site, struct leat_http_request *request,
                        struct leat_http_response *response)
{
    (void)leat_http_add_field(response, "Allow", METHODS);
    if (site->origin_count > 0 && allowed_origin(site, request) &&
        leat_http_field(request, "Access-Control-Request-Method").data) {
        /* Any field may be sent along: none of them changes anything here. */
        const char *fields =
            leat_http_copy(request, leat_http_field(request, "Access-Control-Request-Headers"));
        (void)leat_http_add_field(response, "Access-Control-Allow-Methods", METHODS);
        if (fields)
            (void)leat_http_add_field(response, "Access-Control-Allow-Headers", fields);
        (void)leat_http_add_field(response, "Access-Control-Max-Age", MAX_AGE);
    }
    (void)leat_http_reply(response, 204, NULL, NULL, 0);
}

/* The name twice: in ASCII for who knows no better, and in UTF-8 (RFC 8187), which the others
 * prefer (RFC 6266, section 4.3). '%' and '\' are read in several ways (appendix D). */
void site_put_download(struct leat_http_response *response, const char *name)
{
    const struct leat_slice slice = slice_from_text(name);
    struct text value = {0};
    text_add_literal(&value, "attachment; filename=\"");
    for (size_t index = 0; index < slice.size; index++) {
        const char c = slice.data[index];
        const bool is_plain = c >= ' ' && c <= '~' && !strchr("\"\\%", c);
        text_add(&value, is_plain ? slice_of(&c, 1) : SLICE("_"));
    }
    text_add_literal(&value, "\"; filename*=UTF-8''");
    text_add_link_utf8(&value, slice);
    text_add(&value, slice_of("", 1));
    /* A name that fits no head, or no memory: the browser takes the URL's. */
    if (value.has_failed || leat_http_add_field(response, "Content-Disposition", value.data) != 0)
        (void)leat_http_add_field(response, "Content-Disposition", "attachment");
    text_fini(&value);
}
