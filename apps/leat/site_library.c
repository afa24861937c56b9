/* SPDX-License-Identifier: MIT */
/*
 * The library page: the folders, films and other files of a folder as links; a browser that follows
 * one to a film plays it by itself. Where the bundle is embedded its script takes their place with
 * what it is told of the folder (site_list_json.c), so that only the first few are written.
 */
#include <string.h>

#include "base/slice.h"
#include "site_assets.h"
#include "site_listing.h"

enum { SHELL_ENTRIES_MAX = 200 }; /* links for those without script */

static const char page_start[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<link rel=\"icon\" href=\"data:,\">\n";

static const char page_style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--ink:#17212b;--dim:#5b6b7a;--paper:#f6f7f9;--card:#fff;"
    "--line:#dde2e8;--accent:#0b6bcb}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--dim:#93a3b3;--paper:#10161c;"
    "--card:#19222b;--line:#2a3642;--accent:#6cb6ff}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:64rem;padding:1.5rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.4rem;margin:0 0 1rem;overflow-wrap:anywhere}\n"
    "h2{font-size:1rem;color:var(--dim);margin:1.5rem 0 .5rem;font-weight:600}\n"
    "a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}\n"
    "ul{list-style:none;margin:0;padding:0;display:grid;gap:.6rem;"
    "grid-template-columns:repeat(auto-fill,minmax(15rem,1fr))}\n"
    "li a{display:block;padding:.8rem 1rem;background:var(--card);border:1px solid var(--line);"
    "border-radius:.5rem;overflow-wrap:anywhere}\n"
    "li a:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\n"
    "</style>\n";

bool site_library_has_script(void)
{
    return site_asset_hash("library.js") && site_asset_hash("library.css");
}

/* How far it is from a folder to "/": the pages also work below the prefix of a proxy. */
static void add_way_up(struct text *page, const char *path)
{
    text_add_literal(page, "./");
    if (strcmp(path, ".") == 0)
        return;
    text_add_literal(page, "../");
    for (; *path; path++)
        if (*path == '/')
            text_add_literal(page, "../");
}

static void add_asset(struct text *page, const char *path, const char *before, const char *name,
                      const char *behind)
{
    text_add_literal(page, before);
    add_way_up(page, path);
    text_add_literal(page, ".leat/");
    text_add_literal(page, name);
    text_add_literal(page, "?v=");
    text_add_literal(page, site_asset_hash(name));
    text_add_literal(page, behind);
}

static void add_head(struct text *page, const char *path)
{
    text_add_literal(page, page_start);
    if (site_library_has_script()) {
        add_asset(page, path, "<link rel=\"stylesheet\" href=\"", "library.css", "\">\n");
        add_asset(page, path, "<script type=\"module\" src=\"", "library.js", "\"></script>\n");
    } else {
        text_add_literal(page, page_style);
    }
    text_add_literal(page, "<title>");
    text_add_html(page, slice_from_text(strcmp(path, ".") == 0 ? "Library" : path));
    text_add_literal(page, "</title>\n</head>\n<body>\n<div id=\"app\">\n<h1>");
    if (strcmp(path, ".") == 0) {
        text_add_literal(page, "Library");
    } else {
        text_add_literal(page, "<a href=\"../\">..</a> / ");
        text_add_html(page, slice_from_text(path));
    }
    text_add_literal(page, "</h1>\n");
}

static void add_section(struct text *page, const char *title, const struct entry *entries,
                        size_t count)
{
    if (count == 0)
        return;
    text_add_literal(page, "<h2>");
    text_add_literal(page, title);
    text_add_literal(page, "</h2>\n<ul>\n");
    for (size_t index = 0; index < count; index++) {
        text_add_literal(page, "<li>");
        listing_add_link(page, &entries[index]);
        text_add_literal(page, "</li>\n");
    }
    text_add_literal(page, "</ul>\n");
}

void site_library_page(struct text *page, const char *path, const struct listing *listing)
{
    static const char *const titles[ENTRY_KINDS] = {"Folders", "Films", "Files"};
    const size_t count = site_library_has_script() && listing->count > SHELL_ENTRIES_MAX
                             ? SHELL_ENTRIES_MAX
                             : listing->count;
    add_head(page, path);
    size_t begin = 0;
    for (enum entry_kind kind = 0; kind < ENTRY_KINDS; kind++) {
        size_t end = begin;
        while (end < count && listing->entries[end].kind == kind)
            end++;
        add_section(page, titles[kind], listing->entries + begin, end - begin);
        begin = end;
    }
    if (listing->count == 0)
        text_add_literal(page, "<p>There is nothing in this folder yet.</p>\n");
    else if (count < listing->count)
        text_add_literal(page, "<p>There is more: <a href=\"?list=plain\">all entries</a>.</p>\n");
    else if (listing->has_more)
        text_add_literal(page, "<p>There are more entries than a page shows.</p>\n");
    text_add_literal(page, "</div>\n</body>\n</html>\n");
}
