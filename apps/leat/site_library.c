/* SPDX-License-Identifier: MIT */
/*
 * The library page: the films of a folder, played in place; its folders, and its other files.
 * Without script each film is a link that the browser plays by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "leat/clock.h"
#include "site.h"
#include "text.h"

enum { ENTRIES_MAX = 10000, LIST_TIMEOUT_MS = 30 * 1000 };

enum entry_kind { ENTRY_FOLDER, ENTRY_FILM, ENTRY_OTHER, ENTRY_KINDS };

struct entry {
    enum entry_kind kind;
    char *name;
};

struct listing {
    struct entry *entries;
    size_t count, capacity;
    bool has_more, has_failed;
};

/* ---- What is there --------------------------------------------------------------------------- */

static enum entry_kind kind_of(const char *name, bool is_directory)
{
    static const char *const films[] = {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".ogv"};
    if (is_directory)
        return ENTRY_FOLDER;
    const char *dot = strrchr(name, '.');
    for (size_t index = 0; dot && index < sizeof films / sizeof *films; index++)
        if (strcasecmp(dot, films[index]) == 0)
            return ENTRY_FILM;
    return ENTRY_OTHER;
}

/* In a thread of the pool. */
static bool add_entry(const char *name, bool is_directory, void *user)
{
    struct listing *listing = user;
    if (name[0] == '.')
        return true;
    if (listing->count == ENTRIES_MAX) {
        listing->has_more = true;
        return false;
    }
    if (listing->count == listing->capacity) {
        const size_t capacity = listing->capacity ? listing->capacity * 2 : 64;
        struct entry *grown = realloc(listing->entries, capacity * sizeof *grown);
        if (!grown) {
            listing->has_failed = true;
            return false;
        }
        listing->entries = grown;
        listing->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy) {
        listing->has_failed = true;
        return false;
    }
    listing->entries[listing->count++] = (struct entry){kind_of(name, is_directory), copy};
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    if (one->kind != other->kind)
        return one->kind < other->kind ? -1 : 1;
    const int order = strcasecmp(one->name, other->name);
    return order ? order : strcmp(one->name, other->name);
}

/* ---- The page -------------------------------------------------------------------------------- */

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

static struct leat_slice slice(const char *text)
{
    return (struct leat_slice){text, strlen(text)};
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
        const struct entry *entry = &entries[index];
        /* "./" first: a name with a colon in it is not a scheme. */
        text_add_literal(page, "<li><a href=\"./");
        text_add_link(page, slice(entry->name));
        text_add_literal(page, entry->kind == ENTRY_FOLDER ? "/\"" : "\"");
        text_add_literal(page, entry->kind == ENTRY_FILM ? " data-film>" : ">");
        text_add_html(page, slice(entry->name));
        text_add_literal(page, entry->kind == ENTRY_FOLDER ? "/</a></li>\n" : "</a></li>\n");
    }
    text_add_literal(page, "</ul>\n");
}

static void make_page(struct text *page, const char *path, const struct listing *listing)
{
    static const char *const titles[ENTRY_KINDS] = {"Folders", "Films", "Files"};
    const bool is_root = strcmp(path, ".") == 0;
    text_add_literal(page, page_start);
    text_add_literal(page, "<title>");
    text_add_html(page, slice(is_root ? "Library" : path));
    text_add_literal(page, "</title>\n</head>\n<body>\n<h1>");
    if (is_root) {
        text_add_literal(page, "Library");
    } else {
        text_add_literal(page, "<a href=\"../\">..</a> / ");
        text_add_html(page, slice(path));
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

void site_library(struct leat_file *folder, const char *path, struct leat_http_response *response)
{
    struct listing listing = {0};
    struct text page = {0};
    const int error = leat_file_list(folder, leat_after_ms(LIST_TIMEOUT_MS), add_entry, &listing);
    if (!error && !listing.has_failed) {
        if (listing.count > 0)
            qsort(listing.entries, listing.count, sizeof *listing.entries, compare_entries);
        make_page(&page, path, &listing);
    }
    if (error || listing.has_failed || page.has_failed) {
        (void)leat_http_reply_error(response, error ? leat_http_status_of_file(error) : 503);
    } else {
        (void)leat_http_add_field(response, "Cache-Control", "no-cache");
        (void)leat_http_reply(response, 200, "text/html; charset=utf-8", page.data, page.size);
    }
    for (size_t index = 0; index < listing.count; index++)
        free(listing.entries[index].name);
    free(listing.entries);
    text_fini(&page);
}
