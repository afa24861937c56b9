/* SPDX-License-Identifier: MIT */
/*
 * The library page: the films of a folder, played in place; its folders, and its other files.
 * Without script each film is a link that the browser plays by itself.
 */
#include <string.h>

#include "base/slice.h"
#include "site_listing.h"

static const char page_start[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<link rel=\"icon\" href=\"data:,\">\n"
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
    "li a[aria-current]{border-color:var(--accent);box-shadow:inset 3px 0 var(--accent)}\n"
    "li a:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\n"
    "video{display:block;width:100%;max-height:70vh;background:#000;border-radius:.5rem}\n"
    "video[hidden]{display:none}\n"
    "footer{margin-top:2rem;color:var(--dim);font-size:.85rem}\n"
    "</style>\n";

static const char page_player[] =
    "<video id=\"player\" controls playsinline preload=\"metadata\" hidden></video>\n";

static const char page_end[] =
    "<footer>leat</footer>\n"
    "<script>\n"
    "const player = document.getElementById('player');\n"
    "const films = document.querySelectorAll('a[data-film]');\n"
    "for (const film of films) film.addEventListener('click', event => {\n"
    "  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;\n"
    "  event.preventDefault();\n"
    "  for (const other of films) other.removeAttribute('aria-current');\n"
    "  film.setAttribute('aria-current', 'true');\n"
    "  player.hidden = false;\n"
    "  player.src = film.href;\n"
    "  player.setAttribute('aria-label', film.textContent);\n"
    "  player.scrollIntoView({block: 'nearest'});\n"
    "  player.play().catch(() => {});\n"
    "});\n"
    "</script>\n"
    "</body>\n"
    "</html>\n";

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
        listing_add_link(page, &entries[index],
                         entries[index].kind == ENTRY_FILM ? " data-film" : "");
        text_add_literal(page, "</li>\n");
    }
    text_add_literal(page, "</ul>\n");
}

void site_library_page(struct text *page, const char *path, const struct listing *listing)
{
    static const char *const titles[ENTRY_KINDS] = {"Folders", "Films", "Files"};
    const bool is_root = strcmp(path, ".") == 0;
    text_add_literal(page, page_start);
    text_add_literal(page, "<title>");
    text_add_html(page, slice_from_text(is_root ? "Library" : path));
    text_add_literal(page, "</title>\n</head>\n<body>\n<h1>");
    if (is_root) {
        text_add_literal(page, "Library");
    } else {
        text_add_literal(page, "<a href=\"../\">..</a> / ");
        text_add_html(page, slice_from_text(path));
    }
    text_add_literal(page, "</h1>\n");
    text_add_literal(page, page_player);
    size_t begin = 0;
    for (enum entry_kind kind = 0; kind < ENTRY_KINDS; kind++) {
        size_t end = begin;
        while (end < listing->count && listing->entries[end].kind == kind)
            end++;
        add_section(page, titles[kind], listing->entries + begin, end - begin);
        begin = end;
    }
    if (listing->count == 0)
        text_add_literal(page, "<p>There is nothing in this folder yet.</p>\n");
    if (listing->has_more)
        text_add_literal(page, "<p>There are more entries than a page shows.</p>\n");
    text_add_literal(page, page_end);
}
