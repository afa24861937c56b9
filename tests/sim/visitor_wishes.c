/* SPDX-License-Identifier: MIT */
/*
 * What visitors wish for, and the bytes that ask for it.
 */
#include "visitor.h"

enum { WISHES_MAX = 6, FLOOD_MAX = 300 };

/* ---- What is no request ---------------------------------------------------------------------- */

static void say_bad(struct visitor *visitor, struct wish *wish)
{
    static const struct {
        const char *text;
        int status;
    } heads[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: x\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"\x16\x03\x01\x02\x01\x01\xfc\x03\x03 is no request", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
    };
    struct sim_run *run = visitor->site->run;
    const size_t count = sizeof heads / sizeof *heads, which = draw(run, 0, count + 1);
    wish->kind = WISH_BAD;
    wish->is_last = true;
    if (which < count) {
        draft_say(&visitor->draft, "%s", heads[which].text);
        wish->status = heads[which].status;
    } else if (which == count) {
        draft_say(&visitor->draft, "GET /");
        draft_fill(&visitor->draft, 9000);
        wish->status = 414;
    } else {
        draft_say(&visitor->draft, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
        draft_fill(&visitor->draft, 17000);
        wish->status = 431;
    }
    if (draw_chance(run, 50)) /* the answer must be readable all the same */
        draft_fill(&visitor->draft, draw(run, 1, 30000));
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void say_range(struct visitor *visitor, struct wish *wish, uint64_t size)
{
    struct sim_run *run = visitor->site->run;
    wish->range = (enum wish_range)draw(run, WISH_FROM_TO, WISH_SEVERAL);
    wish->first = draw(run, 0, size + size / 8 + 1);
    wish->last = wish->first + draw(run, 0, wish->range == WISH_SEVERAL ? size / 4 : size);
    if (wish->range == WISH_SUFFIX)
        draft_say(&visitor->draft, "Range: bytes=-%llu\r\n", (unsigned long long)wish->first);
    else if (wish->range == WISH_FROM)
        draft_say(&visitor->draft, "Range: bytes=%llu-\r\n", (unsigned long long)wish->first);
    else
        draft_say(&visitor->draft, "Range: bytes=%llu-%llu", (unsigned long long)wish->first,
                  (unsigned long long)wish->last);
    for (unsigned index = 0; wish->range == WISH_SEVERAL && index < 2; index++) {
        uint64_t *other = wish->others[index];
        other[0] = draw(run, 0, size + size / 8 + 1);
        other[1] = other[0] + draw(run, 0, size / 4);
        draft_say(&visitor->draft, ",%llu-%llu", (unsigned long long)other[0],
                  (unsigned long long)other[1]);
    }
    if (wish->range == WISH_FROM_TO || wish->range == WISH_SEVERAL)
        draft_say(&visitor->draft, "\r\n");
}

/* Of a version that is or once was, or of none. */
static void say_tag(struct visitor *visitor, struct wish *wish, const struct shelf_file *file)
{
    struct sim_run *run = visitor->site->run;
    const struct shelf_version *version = &file->versions[draw(run, 0, file->count - 1)];
    wish->has_tag = true;
    wish->tag_size = version->size + draw_chance(run, 20);
    wish->tag_mtime_ns = version->mtime_ns;
    draft_say(&visitor->draft, "If-None-Match: \"x\", \"%llx-%llx\"\r\n",
              (unsigned long long)wish->tag_mtime_ns, (unsigned long long)wish->tag_size);
}

/* The target, and what it should be answered with. */
static void say_target(struct visitor *visitor, struct wish *wish)
{
    struct sim_run *run = visitor->site->run;
    const uint64_t what = draw(run, 0, 99);
    wish->status = 200;
    if (what < 50) {
        wish->kind = WISH_FILE;
        wish->file = (unsigned)draw(run, 0, SHELF_FILES - 1);
        if (visitor->site->has_favourite && draw_chance(run, 80))
            wish->file = visitor->site->favourite;
        draft_say(&visitor->draft, "/%s", visitor->site->shelf.files[wish->file].path);
    } else if (what < 75) {
        wish->kind = WISH_MEMORY;
        wish->content = draw(run, 0, 50);
        wish->size = draw(run, 0, draw_chance(run, 20) ? 60000 : 3000);
        draft_say(&visitor->draft, "/m/%u/%u", (unsigned)wish->content, (unsigned)wish->size);
    } else if (what < 90) {
        wish->kind = WISH_STATIC;
        wish->content = SITE_STATIC_CONTENT;
        wish->size = draw(run, 0, draw_chance(run, 15) ? SITE_STATIC_SIZE : 12000);
        draft_say(&visitor->draft, "/s/%u", (unsigned)wish->size);
    } else {
        static const struct {
            const char *target;
            int status;
        } cases[] = {{"/none", 404},  {"/d", 403},         {"/", 403},    {"/n", 500},
                     {"/e/429", 429}, {"/d/../none", 404}, {"/%00", 400}, {"/e/204", 204}};
        const size_t index = draw(run, 0, sizeof cases / sizeof *cases - 1);
        wish->kind = WISH_STATUS;
        wish->status = cases[index].status;
        draft_say(&visitor->draft, "%s", cases[index].target);
    }
}

static void say_query(struct visitor *visitor, struct wish *wish)
{
    struct sim_run *run = visitor->site->run;
    draft_say(&visitor->draft, "?");
    if (draw_chance(run, 20))
        draft_say(&visitor->draft, "w=%u&", (unsigned)draw(run, 0, 100));
    if (draw_chance(run, 10))
        draft_say(&visitor->draft, "o&");
    if (draw_chance(run, 10))
        draft_say(&visitor->draft, "t&");
    wish->may_park = run->profile->cold == 0 && draw_chance(run, 20); /* disks make wait enough */
    if (wish->may_park)
        draft_say(&visitor->draft, "k&");
    if (draw_chance(run, 30))
        draft_say(&visitor->draft, "c&");
    if (draw_chance(run, 20))
        draft_say(&visitor->draft, "p=%u&", (unsigned)draw(run, 0, 2) * 1000000);
    if (draw_chance(run, 20))
        draft_say(&visitor->draft, "x=%u&", (unsigned)draw(run, 0, 40));
}

/* A body that nobody reads, in a connection that ends with the answer: the answer gets through. */
static void say_body(struct visitor *visitor, struct wish *wish)
{
    struct sim_run *run = visitor->site->run;
    const size_t size = draw(run, 1, draw_chance(run, 30) ? 150000 : 3000);
    draft_say(&visitor->draft, "Connection: close\r\nContent-Length: %zu\r\n\r\n", size);
    wish->is_last = true;
    wish->head_end = visitor->draft.size;
    draft_fill(&visitor->draft, size);
}

static void say_request(struct visitor *visitor, struct wish *wish)
{
    struct sim_run *run = visitor->site->run;
    const bool is_old = draw_chance(run, 3), has_body = draw_chance(run, 3);
    wish->is_head = !has_body && draw_chance(run, 10);
    draft_say(&visitor->draft, "%s ", has_body ? "POST" : wish->is_head ? "HEAD" : "GET");
    say_target(visitor, wish);
    if (draw_chance(run, 40))
        say_query(visitor, wish);
    draft_say(&visitor->draft, " HTTP/1.%d\r\nHost: example.org\r\n", is_old ? 0 : 1);
    if (wish->kind == WISH_FILE && has_body) {
        wish->kind = WISH_STATUS;
        wish->status = 405;
    } else if (wish->kind == WISH_FILE) {
        const struct shelf_file *file = &visitor->site->shelf.files[wish->file];
        if (visitor->site->has_ranges && draw_chance(run, 40))
            say_range(visitor, wish, file->versions[file->count - 1].size);
        if (draw_chance(run, 15))
            say_tag(visitor, wish, file);
    }
    if (draw_chance(run, 5)) {
        draft_say(&visitor->draft, "Connection: close\r\n");
        wish->is_last = true;
    }
    if (draw_chance(run, 10)) {
        draft_say(&visitor->draft, "X-Filler: ");
        draft_fill(&visitor->draft, draw(run, 0, 3000));
        draft_say(&visitor->draft, "\r\n");
    }
    wish->is_last |= is_old;
    if (has_body && wish->kind == WISH_STATUS && wish->status != 405 && wish->status != 500 &&
        wish->status != 429 && wish->status != 204)
        wish->status = wish->status == 400 ? 400 : 405; /* of paths that would be files */
    if (has_body) {
        say_body(visitor, wish);
    } else {
        draft_say(&visitor->draft, "\r\n");
        wish->head_end = visitor->draft.size;
    }
}

/* Many small ones at once, more than an exchange has room for. */
static void say_flood(struct visitor *visitor, struct wish *wish, bool is_first)
{
    wish->kind = WISH_MEMORY;
    wish->status = 200;
    wish->content = visitor->wish_count;
    wish->size = draw(visitor->site->run, 0, 40);
    draft_say(&visitor->draft,
              "GET /m/%u/%u%s HTTP/1.1\r\nHost: example.org\r\nX-Filler: ", (unsigned)wish->content,
              (unsigned)wish->size, is_first ? "?w=80" : "");
    draft_fill(&visitor->draft, draw(visitor->site->run, 0, 500));
    draft_say(&visitor->draft, "\r\n\r\n");
    wish->head_end = visitor->draft.size;
}

static void make_wishes(struct visitor *visitor)
{
    struct sim_run *run = visitor->site->run;
    const bool is_flood = draw_chance(run, 2);
    visitor->wish_room =
        is_flood ? (unsigned)draw(run, 100, FLOOD_MAX) : (unsigned)draw(run, 1, WISHES_MAX);
    visitor->wishes = calloc(visitor->wish_room, sizeof *visitor->wishes);
    CHECK(run, visitor->wishes != NULL);
    while (visitor->wish_count < visitor->wish_room) {
        struct wish *wish = &visitor->wishes[visitor->wish_count];
        wish->begin = visitor->draft.size;
        if (is_flood) {
            say_flood(visitor, wish, visitor->wish_count == 0);
        } else if (draw_chance(run, 4)) {
            say_bad(visitor, wish);
            wish->head_end = visitor->draft.size;
        } else {
            say_request(visitor, wish);
        }
        visitor->wish_count++;
        if (wish->is_last)
            break;
    }
}

void visitor_init(struct visitor *visitor, struct site *site)
{
    struct sim_run *run = site->run;
    *visitor = (struct visitor){
        .site = site, .draft = {.run = run}, .silent_at = SIZE_MAX, .deaf_at = SIZE_MAX};
    make_wishes(visitor);
    visitor->is_polite = draw_chance(run, 50);
    visitor->finishes = draw_chance(run, 15);
    visitor->waits = draw_chance(run, 20);
    visitor->chunk_max = visitor->draft.size > 4000 || draw_chance(run, 60) ? 4096 : 40;
    visitor->read_max = draw_chance(run, 20) ? 700 : 16384;
    visitor->dawdle_chance = draw_chance(run, 30) ? 20 : 1;
    const uint64_t quirk = draw(run, 0, 99);
    if (quirk < 8)
        visitor->silent_at = draw(run, 0, visitor->draft.size - 1);
    else if (quirk < 14)
        visitor->deaf_at = draw(run, 0, draw_chance(run, 50) ? 300 : 50000);
    else if (quirk < 22)
        visitor->vanish_at = draw(run, 1, draw_chance(run, 50) ? visitor->draft.size * 2 : 300000);
}

void visitor_fini(struct visitor *visitor)
{
    draft_fini(&visitor->draft);
    free(visitor->wishes);
}
