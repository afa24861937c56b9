/* SPDX-License-Identifier: MIT */
/*
 * See visitor.h.
 */
#include "visitor.h"

#include <inttypes.h>
#include <stdio.h>

#include "wire/date.h"
#include "wire/http1.h"
#include "wire/range.h"

enum { LINGER_MS = 30 * 1000, SLACK_MS = 1500, PAUSE_MAX_US = 20000 };

static const int64_t wall_start_s = 1000000000; /* where the worlds' wall clock begins */

static int64_t now_of(const struct visitor *visitor)
{
    return sim_now_ns(visitor->site->run->sim);
}

/* Is this world one in which all that is asked for must be answered? */
static bool is_kind(const struct visitor *visitor)
{
    const struct sim_run *run = visitor->site->run;
    return !may_break(run) && !may_lack(run) && !visitor->site->is_closing &&
           !visitor->is_refused && !visitor->may_be_cut && sim_read_errors(run->sim) == 0;
}

/* ---- Heads ----------------------------------------------------------------------------------- */

static bool has_value(const struct http1_response *response, enum http1_field field,
                      const char *text)
{
    const struct leat_slice value = http1_value(&response->head, field);
    return value.data && slice_equal(value, slice_from_text(text));
}

static void check_date(struct visitor *visitor, const struct wish *wish,
                       const struct http1_response *response)
{
    struct sim_run *run = visitor->site->run;
    const struct leat_slice text = http1_value(&response->head, HTTP1_FIELD_DATE);
    const int64_t now_s = run->sys->wall_ns(run->sys) / LEAT_NS_PER_S;
    const int64_t since_ns = wish->begun_ns ? wish->begun_ns : visitor->begun_ns;
    int64_t date_s;
    CHECK(run, text.data && date_parse(text, now_s, &date_s) == 0);
    CHECK(run, date_s <= now_s && date_s >= wall_start_s + since_ns / LEAT_NS_PER_S - 1);
}

/* The file's version that the validators name; it was there lately. */
static const struct shelf_version *find_version(struct visitor *visitor, const struct wish *wish,
                                                const struct http1_response *response)
{
    struct sim_run *run = visitor->site->run;
    const struct leat_slice tag = http1_value(&response->head, HTTP1_FIELD_ETAG);
    char text[64];
    uint64_t mtime, size;
    CHECK(run, tag.data && tag.size < sizeof text);
    memcpy(text, tag.data, tag.size);
    text[tag.size] = '\0';
    CHECK(run, sscanf(text, "\"%" SCNx64 "-%" SCNx64 "\"", &mtime, &size) == 2);
    const struct shelf_version *version =
        shelf_find(&visitor->site->shelf, wish->file, size, (int64_t)mtime,
                   wish->begun_ns - SHELF_STALE_MS * LEAT_NS_PER_MS);
    CHECK(run, version != NULL);
    char date[DATE_SIZE + 1] = {0};
    date_format(version->mtime_ns / LEAT_NS_PER_S, date);
    CHECK(run, has_value(response, HTTP1_FIELD_LAST_MODIFIED, date));
    return version;
}

/* Which part of `size` bytes is wished for: false when it cannot be had. */
static bool find_part(const struct wish *wish, uint64_t size, uint64_t *ret_first,
                      uint64_t *ret_last)
{
    *ret_first =
        wish->range == WISH_SUFFIX ? (wish->first < size ? size - wish->first : 0) : wish->first;
    *ret_last = wish->range == WISH_FROM_TO && wish->last < size ? wish->last : size - 1;
    return size > 0 && *ret_first < size && (wish->range != WISH_SUFFIX || wish->first > 0);
}

/* Which parts are wished for; none: they can not be had. What a set of ranges comes to has a test
 * of its own (wire/range). */
static void find_parts(const struct wish *wish, uint64_t size, struct range_set *ret_set)
{
    char text[160];
    *ret_set = (struct range_set){0};
    if (wish->range != WISH_SEVERAL) {
        struct range *part = &ret_set->parts[0];
        ret_set->count = find_part(wish, size, &part->first, &part->last);
        return;
    }
    const int text_size = snprintf(
        text, sizeof text,
        "bytes=%" PRIu64 "-%" PRIu64 ",%" PRIu64 "-%" PRIu64 ",%" PRIu64 "-%" PRIu64, wish->first,
        wish->last, wish->others[0][0], wish->others[0][1], wish->others[1][0], wish->others[1][1]);
    (void)range_parse(slice_of(text, (size_t)text_size), size, ret_set);
}

/* The pieces of a multipart/byteranges of these parts; returns their size. */
static uint64_t expect_parts(struct visitor *visitor, const struct http1_response *response,
                             const struct range_set *set, uint64_t size)
{
    static const char type[] = "multipart/byteranges; boundary=";
    struct sim_run *run = visitor->site->run;
    const struct leat_slice value = http1_value(&response->head, HTTP1_FIELD_CONTENT_TYPE);
    CHECK(run, slice_starts_with(value, slice_from_text(type)));
    CHECK(run, set->count <= 3 && !http1_value(&response->head, HTTP1_FIELD_CONTENT_RANGE).data);
    const struct leat_slice boundary = slice_after(value, sizeof type - 1);
    uint64_t whole = 0;
    visitor->piece = visitor->piece_count = 0;
    for (unsigned index = 0; index <= set->count; index++) {
        const struct range *part = &set->parts[index];
        struct piece *text = &visitor->pieces[visitor->piece_count++];
        *text = (struct piece){.is_text = true};
        text->size = (uint64_t)snprintf(text->text, sizeof text->text, "%s--%.*s%s",
                                        index ? "\r\n" : "", (int)boundary.size, boundary.data,
                                        index < set->count ? "\r\nContent-Type: " : "--\r\n");
        if (index < set->count) {
            text->size +=
                (uint64_t)snprintf(text->text + text->size, sizeof text->text - text->size,
                                   "application/octet-stream\r\nContent-Range: bytes %" PRIu64
                                   "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
                                   part->first, part->last, size);
            visitor->pieces[visitor->piece_count++] =
                (struct piece){.offset = part->first, .size = part->last - part->first + 1};
            whole += part->last - part->first + 1;
        }
        CHECK(run, text->size < sizeof text->text);
        whole += text->size;
    }
    return whole;
}

static void check_file(struct visitor *visitor, const struct wish *wish,
                       const struct http1_response *response, uint64_t *ret_size)
{
    struct sim_run *run = visitor->site->run;
    if (response->status == 404) {
        CHECK(run, shelf_was_absent(&visitor->site->shelf, wish->file,
                                    wish->begun_ns - SHELF_STALE_MS * LEAT_NS_PER_MS));
        visitor->body_status = 404;
        return;
    }
    const struct shelf_version *version = find_version(visitor, wish, response);
    const bool is_known =
        wish->has_tag && wish->tag_size == version->size && wish->tag_mtime_ns == version->mtime_ns;
    CHECK(run, (response->status == 304) == is_known);
    if (is_known)
        return;
    visitor->body_content = version->content;
    visitor->body_offset = 0;
    *ret_size = version->size;
    char text[RANGE_TEXT_SIZE + 1];
    struct range_set set;
    find_parts(wish, version->size, &set);
    if (wish->range == WISH_ALL || wish->is_head) {
        CHECK(run, response->status == 200);
    } else if (set.count > 1) {
        CHECK(run, response->status == 206);
        *ret_size = expect_parts(visitor, response, &set, version->size);
    } else if (set.count == 1) {
        const uint64_t first = set.parts[0].first, last = set.parts[0].last;
        CHECK(run, response->status == 206);
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last,
                 version->size);
        CHECK(run, has_value(response, HTTP1_FIELD_CONTENT_RANGE, text));
        visitor->body_offset = first;
        *ret_size = last - first + 1;
    } else if (response->status != 200) { /* an empty file may be sent as a whole */
        CHECK(run, response->status == 416);
        snprintf(text, sizeof text, "bytes */%" PRIu64, version->size);
        CHECK(run, has_value(response, HTTP1_FIELD_CONTENT_RANGE, text));
        visitor->body_status = 416;
    } else {
        CHECK(run, version->size == 0);
    }
}

/* An answer that the server gives of its own accord; true: this is one. */
static bool is_servers_own(struct visitor *visitor, const struct wish *wish,
                           const struct http1_response *response)
{
    struct sim_run *run = visitor->site->run;
    if (response->status == 408) {
        CHECK(run, visitor->sent < wish->head_end || may_break(run) || run->profile->delayed > 0);
        CHECK(run, wish->begun_ns > 0 &&
                       now_of(visitor) >=
                           wish->begun_ns + visitor->site->head_timeout_ms * LEAT_NS_PER_MS);
        visitor->is_told_late = true;
        return true;
    }
    if (response->status == 503 && response->head.says_close && !wish->is_last &&
        visitor->site->connections_max > 0) {
        visitor->is_refused = true;
        return true;
    }
    return false;
}

static void check_head(struct visitor *visitor, const struct http1_response *response)
{
    struct site *site = visitor->site;
    struct sim_run *run = site->run;
    CHECK(run, visitor->answered < visitor->wish_count && !visitor->is_last_seen);
    const struct wish *wish = &visitor->wishes[visitor->answered];
    const struct leat_slice length = http1_value(&response->head, HTTP1_FIELD_CONTENT_LENGTH);
    uint64_t size = UINT64_MAX; /* anything */
    visitor->body_status = 0;
    visitor->piece_count = 0;
    visitor->body_content = wish->content;
    visitor->body_offset = 0;
    CHECK(run, wish->begun_ns > 0 && response->head.minor_version == 1);
    check_date(visitor, wish, response);
    const bool may_refuse = site->connections_max > 0 || run->profile->offload_full > 0 ||
                            run->profile->accept_error > 0;
    if (is_servers_own(visitor, wish, response)) {
        visitor->body_status = response->status;
        CHECK(run, response->head.says_close);
    } else if (response->status == 503) {
        CHECK(run, may_refuse);
        visitor->is_refused |= site->connections_max > 0 && response->head.says_close;
        visitor->body_status = 503;
    } else if (wish->kind == WISH_FILE) {
        check_file(visitor, wish, response, &size);
    } else {
        CHECK(run, response->status == wish->status);
        if (wish->kind == WISH_STATUS || wish->kind == WISH_BAD)
            visitor->body_status = response->status;
        else
            size = wish->size;
    }
    if (wish->kind != WISH_BAD && !visitor->is_told_late)
        CHECK(run, visitor->sent >= wish->head_end);
    const bool is_empty = response->status == 304 || response->status == 204;
    CHECK(run, is_empty ? !length.data : length.data != NULL);
    if (visitor->body_status == 0 && !is_empty)
        CHECK(run, response->head.content_length == size);
    visitor->is_last_seen = response->head.says_close;
    if (wish->is_last)
        CHECK(run, response->head.says_close);
    else if (!site->is_closing && !visitor->is_refused && !visitor->is_told_late)
        CHECK(run, !response->head.says_close);
    /* Who is told that he is late may have wished for a head alone: nobody knows. */
    const bool is_head = wish->is_head && !visitor->is_told_late;
    visitor->body_left = is_head || is_empty ? 0 : response->head.content_length;
    visitor->is_in_body = true;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void answer_ends(struct visitor *visitor)
{
    visitor->is_in_body = false;
    visitor->answered++;
    visitor->head_size = 0;
}

/* The pieces of a body of several parts, as far as they are in these bytes. */
static void take_pieces(struct visitor *visitor, const char *data, size_t size)
{
    struct sim_run *run = visitor->site->run;
    while (size > 0) {
        CHECK(run, visitor->piece < visitor->piece_count);
        struct piece *piece = &visitor->pieces[visitor->piece];
        const size_t taken = size < piece->size ? size : (size_t)piece->size;
        CHECK(run, piece->is_text
                       ? memcmp(piece->text + piece->offset, data, taken) == 0
                       : sim_content_equal(visitor->body_content, piece->offset, data, taken));
        piece->offset += taken;
        piece->size -= taken;
        visitor->piece += piece->size == 0;
        data += taken;
        size -= taken;
    }
}

static void take_body(struct visitor *visitor, const char *data, size_t size)
{
    struct sim_run *run = visitor->site->run;
    if (visitor->piece_count > 0) {
        take_pieces(visitor, data, size);
    } else if (visitor->body_status == 0) {
        CHECK(run, sim_content_equal(visitor->body_content, visitor->body_offset, data, size));
    } else if (visitor->body_offset == 0 && size >= 3) {
        char text[8];
        snprintf(text, sizeof text, "%d", visitor->body_status);
        CHECK(run, memcmp(text, data, 3) == 0);
    }
    visitor->body_offset += size;
    visitor->body_left -= size;
}

/* One byte after the other until the head is whole; what follows is looked at anew. */
static size_t take_head(struct visitor *visitor, const char *data, size_t size)
{
    struct sim_run *run = visitor->site->run;
    for (size_t index = 0; index < size; index++) {
        CHECK(run, visitor->head_size < sizeof visitor->head);
        visitor->head[visitor->head_size++] = data[index];
        if (data[index] != '\n' || visitor->head_size < 4 ||
            memcmp(visitor->head + visitor->head_size - 4, "\r\n\r\n", 4) != 0)
            continue;
        struct http1_response response;
        const struct leat_slice head = slice_of(visitor->head, visitor->head_size);
        CHECK(run, http1_parse_response(head, 0, NULL, &response) == (int)head.size);
        check_head(visitor, &response);
        return index + 1;
    }
    return size;
}

static void take(struct visitor *visitor, const char *data, size_t size)
{
    visitor->received += size;
    visitor->last_received_ns = now_of(visitor);
    while (size > 0) {
        size_t taken;
        if (visitor->is_in_body) {
            taken = visitor->body_left < size ? (size_t)visitor->body_left : size;
            take_body(visitor, data, taken);
        } else {
            taken = take_head(visitor, data, size);
        }
        data += taken;
        size -= taken;
        if (visitor->is_in_body && visitor->body_left == 0)
            answer_ends(visitor);
    }
}

/* ---- The end --------------------------------------------------------------------------------- */

static void gone(struct visitor *visitor)
{
    if (visitor->peer)
        sim_peer_close(visitor->peer);
    visitor->peer = NULL;
    visitor->is_gone = true;
}

/* Requests that the server has seen whole. */
static unsigned count_asked(const struct visitor *visitor)
{
    unsigned count = 0;
    while (count < visitor->wish_count && visitor->sent >= visitor->wishes[count].head_end)
        count++;
    return count;
}

/* The server has ended the connection of somebody who had all he asked for, or who said no more:
 * not before its time, and not long after. */
static void check_idle_end(const struct visitor *visitor)
{
    const struct site *site = visitor->site;
    const int64_t idle_ns = site->idle_timeout_ms * LEAT_NS_PER_MS;
    const int64_t slack_ns = SLACK_MS * LEAT_NS_PER_MS + 3 * sim_lateness_ns(site->run->sim);
    const int64_t from_ns = visitor->last_sent_ns ? visitor->last_sent_ns : visitor->begun_ns;
    const int64_t last_ns =
        visitor->last_received_ns > from_ns ? visitor->last_received_ns : from_ns;
    if (site->connections_max == 0) /* who is beyond the limit has less time */
        CHECK(site->run, now_of(visitor) >= from_ns + idle_ns);
    CHECK(site->run, now_of(visitor) <= last_ns + idle_ns + slack_ns);
}

/* A file that shrinks while it is sent cuts the connection, and with it, as unread requests make
 * the end abrupt, what was on its way of the answers before. So does turning half away from a lot.
 */
static bool has_reason_to_be_cut(const struct visitor *visitor)
{
    for (unsigned index = visitor->answered; index < visitor->wish_count; index++) {
        const struct wish *wish = &visitor->wishes[index];
        const int64_t since_ns = wish->begun_ns - SHELF_STALE_MS * LEAT_NS_PER_MS;
        if (wish->may_park && visitor->finishes)
            return true;
        if (wish->kind == WISH_FILE && wish->begun_ns > 0 &&
            shelf_shrank_since(&visitor->site->shelf, wish->file, since_ns))
            return true;
    }
    return false;
}

static void on_end(struct visitor *visitor)
{
    struct sim_run *run = visitor->site->run;
    visitor->may_be_cut |= has_reason_to_be_cut(visitor);
    if (is_kind(visitor) && !visitor->was_deaf) {
        const unsigned asked = count_asked(visitor);
        const struct wish *next =
            visitor->answered < visitor->wish_count ? &visitor->wishes[visitor->answered] : NULL;
        CHECK(run, visitor->head_size == 0 && !visitor->is_in_body);
        CHECK(run, visitor->answered == asked + visitor->is_told_late ||
                       (next && next->kind == WISH_BAD) || visitor->is_last_seen);
        if (!visitor->is_silent)
            CHECK(run, visitor->answered == visitor->wish_count);
        const bool is_in_head = next && visitor->sent > next->begin;
        if (!visitor->is_last_seen && !visitor->finishes && !is_in_head)
            check_idle_end(visitor);
        else if (visitor->is_silent && is_in_head && next->kind != WISH_BAD)
            CHECK(run, visitor->is_told_late);
    }
    gone(visitor);
}

static void vanish(struct visitor *visitor)
{
    visitor->has_vanished = true;
    if (draw_chance(visitor->site->run, 50)) {
        sim_peer_reset(visitor->peer);
        visitor->peer = NULL;
    }
    gone(visitor);
}

/* ---- Doing ----------------------------------------------------------------------------------- */

static void on_event(struct sim_peer *peer, void *user);

static void go_on(struct sim *sim, void *user)
{
    struct visitor *visitor = user;
    visitor->is_pausing = false;
    if (!visitor->is_gone)
        on_event(visitor->peer, visitor);
}

static void pause_for(struct visitor *visitor, int64_t pause_ns)
{
    visitor->is_pausing = true;
    sim_at(visitor->site->run->sim, now_of(visitor) + pause_ns, go_on, visitor);
}

static bool dawdles(struct visitor *visitor)
{
    struct sim_run *run = visitor->site->run;
    if (!draw_chance(run, visitor->dawdle_chance))
        return false;
    pause_for(visitor, (int64_t)draw(run, 1, PAUSE_MAX_US) * LEAT_NS_PER_US);
    return true;
}

/* How far it sends for now. */
static size_t send_limit(const struct visitor *visitor)
{
    size_t limit = visitor->draft.size;
    if (visitor->is_polite && visitor->answered + 1 < visitor->wish_count)
        limit = visitor->wishes[visitor->answered + 1].begin;
    return limit < visitor->silent_at ? limit : visitor->silent_at;
}

static void note_sent(struct visitor *visitor, size_t from)
{
    visitor->last_sent_ns = now_of(visitor);
    for (unsigned index = visitor->answered; index < visitor->wish_count; index++) {
        struct wish *wish = &visitor->wishes[index];
        if (wish->begin >= visitor->sent)
            break;
        if (wish->begin >= from && wish->begun_ns == 0)
            wish->begun_ns = visitor->last_sent_ns;
    }
}

/* False: it pauses now. */
static bool send_some(struct visitor *visitor)
{
    struct sim_run *run = visitor->site->run;
    size_t limit;
    while (visitor->sent < (limit = send_limit(visitor))) {
        const size_t left = limit - visitor->sent;
        const size_t most = left < visitor->chunk_max ? left : visitor->chunk_max;
        const ssize_t count =
            sim_peer_send(visitor->peer, visitor->draft.data + visitor->sent, draw(run, 1, most));
        if (count < 0)
            return true; /* what is to be read is read, whatever became of this */
        visitor->sent += (size_t)count;
        note_sent(visitor, visitor->sent - (size_t)count);
        if (dawdles(visitor))
            return false;
    }
    visitor->is_silent |= visitor->sent == visitor->silent_at;
    if (visitor->finishes && visitor->sent == visitor->draft.size)
        sim_peer_shutdown(visitor->peer);
    return true;
}

/* Nobody can have kept it any longer: the connection has ended, or will when this is read. */
static void check_was_cut(struct sim *sim, void *user)
{
    const struct visitor *visitor = user;
    CHECK(visitor->site->run, visitor->is_gone || may_break(visitor->site->run));
}

static void hear_again(struct sim *sim, void *user)
{
    struct visitor *visitor = user;
    visitor->is_deaf = false;
    visitor->deaf_at = SIZE_MAX;
    visitor->silent_at = visitor->sent;
    visitor->dawdle_chance = 0;
    sim_at(sim, sim_now_ns(sim) + SLACK_MS * LEAT_NS_PER_MS, check_was_cut, visitor);
    if (!visitor->is_gone && !visitor->is_pausing)
        on_event(visitor->peer, visitor);
}

static void go_deaf(struct visitor *visitor)
{
    const struct site *site = visitor->site;
    visitor->is_deaf = visitor->was_deaf = true;
    visitor->silent_at = visitor->sent;
    const int64_t bound_ms = site->head_timeout_ms + site->idle_timeout_ms +
                             2 * site->send_timeout_ms + LINGER_MS + 2 * SLACK_MS;
    sim_at(site->run->sim, now_of(visitor) + bound_ms * LEAT_NS_PER_MS, hear_again, visitor);
}

static void on_event(struct sim_peer *peer, void *user)
{
    struct visitor *visitor = user;
    struct sim_run *run = visitor->site->run;
    char bytes[16384];
    if (visitor->is_pausing || visitor->is_deaf)
        return;
    for (;;) {
        if (!send_some(visitor))
            return;
        if (visitor->received >= visitor->deaf_at) {
            go_deaf(visitor);
            return;
        }
        const ssize_t count = sim_peer_recv(peer, bytes, draw(run, 1, visitor->read_max));
        if (count == -EAGAIN)
            break;
        if (count <= 0) {
            on_end(visitor);
            return;
        }
        take(visitor, bytes, (size_t)count);
        if (dawdles(visitor))
            return;
    }
    if (visitor->vanish_at > 0 && visitor->sent + visitor->received >= visitor->vanish_at)
        vanish(visitor);
    else if (visitor->answered == visitor->wish_count && !visitor->is_last_seen &&
             !visitor->finishes && !visitor->waits)
        gone(visitor);
}

static void begin(struct sim *sim, void *user)
{
    struct visitor *visitor = user;
    visitor->begun_ns = sim_now_ns(sim);
    visitor->peer = sim_peer_connect(sim, &visitor->site->address.base, visitor->site->address.size,
                                     on_event, visitor);
}

void visitor_begin_at(struct visitor *visitor, int64_t at_ns)
{
    sim_at(visitor->site->run->sim, at_ns, begin, visitor);
}
