/* SPDX-License-Identifier: MIT */
/*
 * The plain page: names, sizes and times in a table, for downloads and for programs that read it.
 * What a symbolic link leads to has neither here (leat_file_list_info).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/slice.h"
#include "leat/clock.h"
#include "site_listing.h"

static const char page_start[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<link rel=\"icon\" href=\"data:,\">\n"
    "<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{margin:1.5rem;font:15px/1.5 system-ui,sans-serif}\n"
    "th,td{padding:.1rem 1.5rem .1rem 0;text-align:left;vertical-align:top}\n"
    "td:first-child{overflow-wrap:anywhere}\n"
    "td:nth-child(2){text-align:right;white-space:nowrap}\n"
    "td:nth-child(3){white-space:nowrap}\n"
    "</style>\n";

static const char page_table[] = "<table>\n<thead><tr><th scope=\"col\">Name</th>"
                                 "<th scope=\"col\">Size</th><th scope=\"col\">Modified</th>"
                                 "</tr></thead>\n<tbody>\n";

/* <data value="1500000">1.4 MiB</data> */
static void add_size(struct text *page, uint64_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double shown = (double)size;
    unsigned unit = 0;
    while (shown >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        shown /= 1024;
        unit++;
    }
    char text[80];
    snprintf(text, sizeof text, "<data value=\"%" PRIu64 "\">%.*f %s</data>", size,
             unit > 0 && shown < 100, shown, units[unit]);
    text_add_literal(page, text);
}

/* In UTC, for the server's time zone is nothing to its clients. */
static void add_time(struct text *page, int64_t mtime_ns)
{
    const time_t seconds = (time_t)(mtime_ns / LEAT_NS_PER_S);
    struct tm parts;
    char text[80];
    if (gmtime_r(&seconds, &parts) &&
        strftime(text, sizeof text, "<time datetime=\"%Y-%m-%dT%H:%M:%SZ\">%Y-%m-%d %H:%M</time>",
                 &parts) > 0)
        text_add_literal(page, text);
}

static void add_row(struct text *page, const struct entry *entry)
{
    text_add_literal(page, "<tr><td>");
    listing_add_link(page, entry);
    text_add_literal(page, "</td><td>");
    if (entry->has_info && entry->kind != ENTRY_FOLDER)
        add_size(page, entry->size);
    text_add_literal(page, "</td><td>");
    if (entry->has_info)
        add_time(page, entry->mtime_ns);
    text_add_literal(page, "</td></tr>\n");
}

static void add_title(struct text *page, const char *path)
{
    const bool is_top = strcmp(path, ".") == 0;
    text_add_literal(page, "Index of /");
    text_add_html(page, slice_from_text(is_top ? "" : path));
    text_add_literal(page, is_top ? "" : "/");
}

void site_plain_page(struct text *page, const char *path, const struct listing *listing)
{
    text_add_literal(page, page_start);
    text_add_literal(page, "<title>");
    add_title(page, path);
    text_add_literal(page, "</title>\n</head>\n<body>\n<h1>");
    add_title(page, path);
    text_add_literal(page, "</h1>\n");
    text_add_literal(page, page_table);
    if (strcmp(path, ".") != 0)
        text_add_literal(page, "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    for (size_t index = 0; index < listing->count; index++)
        add_row(page, &listing->entries[index]);
    text_add_literal(page, "</tbody>\n</table>\n");
    if (listing->has_more)
        text_add_literal(page, "<p>There are more entries than a page shows.</p>\n");
    text_add_literal(page, "</body>\n</html>\n");
}
