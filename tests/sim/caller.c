/* SPDX-License-Identifier: MIT */
/*
 * Callers: peers who send their errands, cut anywhere, and hold each answer against what the
 * handler says it has replied: status, framing, every byte, the trailer, whether the connection
 * goes on. Whatever becomes of a connection, there must be a reason for it, and what is not whole
 * must never look so.
 */
#include <stdio.h>

#include "http/conn.h"
#include "leat/error.h"
#include "office.h"
#include "wire/http1.h"

enum { PAUSE_MAX_US = 15000, ATTEMPTS_MAX = 20, LEAVING_MS = 500 };

static int64_t now_of(const struct caller *caller)
{
    return sim_now_ns(caller->office->run->sim);
}

/* The errand whose answer is awaited; NULL: all were answered. */
static struct errand *next_of(struct caller *caller)
{
    return caller->answered < caller->count ? &caller->errands[caller->answered] : NULL;
}

/* Is this world one in which all that is asked for must be answered? */
static bool is_kind(const struct caller *caller)
{
    const struct office *office = caller->office;
    return !may_break(office->run) && !may_lack(office->run) && !caller->is_refused &&
           !caller->was_deaf && sim_read_errors(office->run->sim) == 0 &&
           !(office->closed_ns > 0 && now_of(caller) >= office->grace_ns);
}

/* ---- Heads ----------------------------------------------------------------------------------- */

/* Has what the client sends behind the head become unreadable, or is it too much to read away? */
static bool must_end_after_body(const struct errand *errand)
{
    /* leat_http_read_all does not tell how far it came. */
    const bool is_known = errand->reading != READ_AT_ONCE || errand->saw_end;
    const bool is_unread = is_known && errand->size - errand->read_before_head > CONN_SKIP_MAX;
    const bool is_kept_back = errand->waits && !errand->is_continued;
    const bool is_broken = errand->read_error == -LEAT_E_MALFORMED;
    return (errand->framing == FRAMING_SIZED && is_unread) || is_kept_back ||
           (is_broken && !errand->has_head_out);
}

static bool may_end_after_body(const struct errand *errand)
{
    return errand->framing != FRAMING_NONE &&
           (must_end_after_body(errand) || errand->flaw != FLAW_NONE || errand->read_error != 0 ||
            errand->size > errand->size_max || errand->expects ||
            errand->size - errand->was_read > CONN_SKIP_MAX);
}

static void check_persistence(struct caller *caller, const struct errand *errand,
                              const struct http1_response *response)
{
    const struct office *office = caller->office;
    struct sim_run *run = office->run;
    const unsigned requests_max = office->options.requests_max;
    const unsigned before = caller->answered - caller->first;
    const bool is_at_limit = requests_max > 0 && before + 1 == requests_max;
    const bool closes = response->head.says_close;
    CHECK(run, requests_max == 0 || before < requests_max);
    /* Who drains says so, unless more has been asked for already. */
    const bool is_drained = office->closed_ns > 0 && !office->has_successor &&
                            errand->handled_ns > office->closed_ns && caller->sent <= errand->end;
    if (errand->is_last || is_at_limit || is_drained || must_end_after_body(errand))
        CHECK(run, closes);
    else if (closes)
        CHECK(run, office->closed_ns > 0 || caller->is_refused || caller->is_told_late ||
                       may_end_after_body(errand) || may_lack(run));
    caller->is_last_seen = closes;
}

/* Who has reached a limit is told so when it asks first. */
static bool is_refusal(const struct caller *caller, const struct errand *errand,
                       const struct http1_response *response)
{
    const struct office *office = caller->office;
    const struct leat_http_options *options = &office->options;
    unsigned others = 0;
    if (response->status != 503 || errand->handled > 0)
        return false;
    for (unsigned index = 0; index < office->caller_count; index++) {
        const struct caller *other = &office->callers[index];
        const bool has_left = other->is_gone && !may_break(office->run) &&
                              other->ended_ns + LEAVING_MS * LEAT_NS_PER_MS < caller->begun_ns;
        others += other != caller && other->begun_ns > 0 && !has_left &&
                  (options->connections_max < OFFICE_CALLERS_MAX || other->host == caller->host);
    }
    const bool is_crowded =
        others >= options->connections_max || (options->connections_per_address_max > 0 &&
                                               others >= options->connections_per_address_max);
    CHECK(office->run, caller->answered == 0 && response->head.says_close);
    CHECK(office->run, is_crowded || may_lack(office->run));
    return true;
}

/* Statuses. */
static void check_status(struct caller *caller, struct errand *errand,
                         const struct http1_response *response)
{
    struct sim_run *run = caller->office->run;
    const int64_t head_timeout_ns = caller->office->options.head_timeout_ms * LEAT_NS_PER_MS;
    if (is_refusal(caller, errand, response)) {
        caller->is_refused = true;
    } else if (errand->handled == 0 && response->status == 408) {
        /* It may be on its way by now; who sends drops does not listen meanwhile. */
        CHECK(run, errand->head_ns == 0 || may_break(run) || caller->has_dripped ||
                       errand->head_ns + OFFICE_SLACK_MS * LEAT_NS_PER_MS >= now_of(caller));
        CHECK(run, now_of(caller) >= errand->begun_ns + head_timeout_ns);
        caller->is_told_late = true;
    } else if (errand->flaw == FLAW_HEAD) {
        CHECK(run, response->status == 431);
    } else {
        CHECK(run, errand->handled == 1 && errand->head_ns > 0);
        CHECK(run, errand->told == response->status);
        CHECK(run, errand->has_returned || errand->has_head_out);
    }
}

/* How the body is told from what follows it. */
static void check_framing(struct caller *caller, const struct errand *errand,
                          const struct http1_response *response)
{
    struct sim_run *run = caller->office->run;
    const struct http1_head *head = &response->head;
    const bool is_streamed = errand->told == 200 && errand->writing == WRITE_CHUNKED;
    const bool is_broken = errand->writing == WRITE_ABORT;
    if (head->has_content_length) {
        CHECK(run, !head->is_chunked);
        CHECK(run, response->status != 200 || head->content_length == errand_answer_size(errand));
        CHECK(run, !is_streamed || errand->reading == READ_ECHO || head->content_length == 0);
        CHECK(run, !is_streamed || errand->trailers == 0 || errand->is_head);
        caller->place = AT_SIZED;
        caller->body_left = head->content_length;
    } else if (head->is_chunked) {
        CHECK(run, !errand->is_old && (is_streamed || is_broken || errand->reading == READ_ECHO));
        http1_chunked_init(&caller->chunked);
        caller->chunked.wants_trailer = true;
        caller->trailer_size = 0;
        caller->place = AT_CHUNKED;
    } else {
        CHECK(run, errand->is_old && (is_streamed || is_broken || errand->reading == READ_ECHO));
        caller->place = AT_CLOSE;
    }
    if (errand->is_head && !caller->is_told_late) {
        caller->place = AT_SIZED;
        caller->body_left = 0;
    }
}

static void check_continue(struct caller *caller, struct errand *errand)
{
    struct sim_run *run = caller->office->run;
    CHECK(run, errand->expects && !errand->is_continued && errand->handled == 1);
    CHECK(run, errand->reading != READ_NOTHING);
    errand->is_continued = true;
    caller->head_size = 0;
}

static void check_head(struct caller *caller, const struct http1_response *response)
{
    struct errand *errand = next_of(caller);
    struct sim_run *run = caller->office->run;
    CHECK(run, errand && errand->begun_ns > 0 && !caller->is_last_seen);
    CHECK(run, response->head.minor_version == 1);
    if (response->status == 100) {
        check_continue(caller, errand);
        return;
    }
    check_status(caller, errand, response);
    check_persistence(caller, errand, response);
    check_framing(caller, errand, response);
    CHECK(run, http1_value(&response->head, HTTP1_FIELD_DATE).data != NULL);
    errand->seen = response->status;
    caller->last_answer_ns = now_of(caller);
    caller->body_offset = 0;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void check_trailer(const struct caller *caller, const struct errand *errand)
{
    char expected[sizeof caller->trailer];
    size_t size = 0;
    for (unsigned index = 0; index < errand->trailers; index++)
        size += (size_t)snprintf(expected + size, sizeof expected - size, "X-%u: %u\r\n", index,
                                 errand->number);
    size += (size_t)snprintf(expected + size, sizeof expected - size, "\r\n");
    CHECK(caller->office->run,
          size == caller->trailer_size && memcmp(expected, caller->trailer, size) == 0);
}

static void answer_ends(struct caller *caller)
{
    struct errand *errand = next_of(caller);
    struct sim_run *run = caller->office->run;
    if (caller->place == AT_CHUNKED)
        check_trailer(caller, errand);
    if (errand->seen == 200 && !errand->is_head)
        CHECK(run, caller->body_offset == errand_answer_size(errand));
    errand->is_whole = true;
    caller->place = AT_HEAD;
    caller->head_size = 0;
    caller->answered++;
}

static void take_data(struct caller *caller, const char *data, size_t size)
{
    const struct errand *errand = next_of(caller);
    struct sim_run *run = caller->office->run;
    char text[8];
    if (errand->seen != 200) {
        snprintf(text, sizeof text, "%d", errand->seen);
        CHECK(run, caller->body_offset > 0 || memcmp(text, data, size < 3 ? size : 3) == 0);
    } else if (errand->reading == READ_ECHO) {
        CHECK(run, sim_content_equal(errand->content, caller->body_offset, data, size));
    } else {
        CHECK(run, sim_content_equal(OFFICE_CONTENT + errand->file,
                                     errand->reply_offset + caller->body_offset, data, size));
    }
    caller->body_offset += size;
}

/* Returns the bytes of it that are the body's. */
static size_t take_chunked(struct caller *caller, const char *data, size_t size)
{
    struct sim_run *run = caller->office->run;
    struct leat_slice input = slice_of(data, size), piece;
    for (;;) {
        const int event = http1_chunked_next(&caller->chunked, &input, &piece);
        CHECK(run, event >= 0);
        switch (event) {
        case HTTP1_CHUNKED_DATA: take_data(caller, piece.data, piece.size); break;
        case HTTP1_CHUNKED_TRAILER:
            CHECK(run, caller->trailer_size + piece.size <= sizeof caller->trailer);
            memcpy(caller->trailer + caller->trailer_size, piece.data, piece.size);
            caller->trailer_size += piece.size;
            break;
        case HTTP1_CHUNKED_END: answer_ends(caller); return size - input.size;
        default: return size;
        }
    }
}

static size_t take_sized(struct caller *caller, const char *data, size_t size)
{
    const size_t taken = caller->body_left < size ? (size_t)caller->body_left : size;
    take_data(caller, data, taken);
    caller->body_left -= taken;
    return taken;
}

/* One byte after the other until the head is whole; what follows is looked at anew. */
static size_t take_head(struct caller *caller, const char *data, size_t size)
{
    struct sim_run *run = caller->office->run;
    for (size_t index = 0; index < size; index++) {
        CHECK(run, caller->head_size < sizeof caller->head);
        caller->head[caller->head_size++] = data[index];
        if (data[index] != '\n' || caller->head_size < 4 ||
            memcmp(caller->head + caller->head_size - 4, "\r\n\r\n", 4) != 0)
            continue;
        struct http1_response response;
        const struct leat_slice head = slice_of(caller->head, caller->head_size);
        CHECK(run, http1_parse_response(head, 0, NULL, &response) == (int)head.size);
        check_head(caller, &response);
        return index + 1;
    }
    return size;
}

static void take(struct caller *caller, const char *data, size_t size)
{
    caller->received += size;
    caller->last_received_ns = now_of(caller);
    while (size > 0) {
        struct errand *errand = next_of(caller);
        CHECK(caller->office->run, errand != NULL); /* nobody has asked for this */
        size_t taken = size;
        switch (caller->place) {
        case AT_HEAD: taken = take_head(caller, data, size); break;
        case AT_SIZED: taken = take_sized(caller, data, size); break;
        case AT_CHUNKED: taken = take_chunked(caller, data, size); break;
        case AT_CLOSE: take_data(caller, data, size); break;
        }
        errand->taken += taken;
        data += taken;
        size -= taken;
        if (caller->place == AT_SIZED && caller->body_left == 0)
            answer_ends(caller);
    }
}

/* ---- The end --------------------------------------------------------------------------------- */

static void gone(struct caller *caller)
{
    if (caller->peer)
        sim_peer_close(caller->peer);
    caller->peer = NULL;
    caller->is_gone = true;
    caller->ended_ns = now_of(caller);
}

/* Errands whose heads the server has had. */
static unsigned count_asked(const struct caller *caller)
{
    unsigned count = 0;
    while (count < caller->count && caller->errands[count].head_ns > 0)
        count++;
    return count;
}

/* An answer that broke off takes those before it along when it ends in a reset. */
static bool has_broken_answer(const struct caller *caller)
{
    for (unsigned index = caller->answered; index < caller->count; index++)
        if (caller->errands[index].is_broken)
            return true;
    return false;
}

/* The server has ended the connection of who asked for nothing: when? */
static bool is_idle_end(const struct caller *caller)
{
    const struct office *office = caller->office;
    const int64_t idle_ns = office->options.idle_timeout_ms * LEAT_NS_PER_MS;
    const int64_t slack_ns =
        OFFICE_SLACK_MS * LEAT_NS_PER_MS + 3 * sim_lateness_ns(office->run->sim);
    const int64_t sent_ns = caller->last_sent_ns ? caller->last_sent_ns : caller->begun_ns;
    const int64_t last_ns = caller->last_received_ns > sent_ns ? caller->last_received_ns : sent_ns;
    const bool is_limited = office->options.connections_max < OFFICE_CALLERS_MAX ||
                            office->options.connections_per_address_max > 0;
    if (is_limited && caller->received == 0) /* who is beyond a limit has less time */
        return true;
    if (office->closed_ns > 0 && now_of(caller) >= office->idle_until_ns) {
        const int64_t until_ns = last_ns > office->idle_until_ns ? last_ns : office->idle_until_ns;
        CHECK(office->run, office->has_successor || now_of(caller) <= until_ns + slack_ns);
        return true;
    }
    CHECK(office->run, now_of(caller) <= last_ns + idle_ns + slack_ns);
    return now_of(caller) >= sent_ns + idle_ns;
}

/* What was left of its body was bad, or more than anybody reads away, or did not come in time. */
static bool is_body_too_much(const struct caller *caller, const struct errand *errand)
{
    const int64_t window_ns = caller->office->options.body_timeout_ms * LEAT_NS_PER_MS;
    return may_end_after_body(errand) || errand->end_ns == 0 ||
           (caller->has_dripped && errand->end_ns - errand->begun_ns >= window_ns);
}

/* Was the request there before its server began to drain, behind others that have no bodies? */
static bool must_have_been_heard(const struct caller *caller, const struct errand *errand)
{
    enum { FEW_BYTES = 4000, TRAVEL_MS = 100 };
    const struct office *office = caller->office;
    const unsigned requests_max = office->options.requests_max;
    for (unsigned index = caller->first; index < caller->answered; index++)
        if (caller->errands[index].framing != FRAMING_NONE || caller->errands[index].is_last)
            return false;
    return office->closed_ns > 0 && !office->has_successor && errand->head_ns > 0 &&
           errand->head_end < FEW_BYTES && (requests_max == 0 || caller->answered < requests_max) &&
           errand->head_ns + TRAVEL_MS * LEAT_NS_PER_MS < office->closed_ns;
}

/* Who asks on without having read what there is, of a server that thinks it idle, is reset. */
static bool is_overtaken(const struct caller *caller, const struct errand *errand)
{
    return errand->records == 1 && !errand->record_is_broken && caller->sent > errand->end;
}

/* In a kind world: why has the connection ended? */
static void check_end(struct caller *caller)
{
    const struct office *office = caller->office;
    struct sim_run *run = office->run;
    struct errand *next = next_of(caller);
    const struct errand *last =
        caller->answered > caller->first ? &caller->errands[caller->answered - 1] : NULL;
    const unsigned asked = count_asked(caller);
    if (has_broken_answer(caller))
        return;
    if (next && is_overtaken(caller, next))
        return;
    CHECK(run, caller->head_size == 0 && caller->place == AT_HEAD);
    if (caller->is_last_seen) {
        CHECK(run, !next || !must_have_been_heard(caller, next));
        return;
    }
    if (last && (last->is_broken || is_body_too_much(caller, last)))
        return;
    const bool was_never_there =
        office->closed_ns > 0 && !office->has_successor && caller->received == 0;
    if (was_never_there)
        return;
    const bool has_begun = next && next->begun_ns > 0;
    if (office->closed_ns > 0 && has_begun && now_of(caller) >= office->idle_until_ns) {
        /* It may not have known that its time was over; but whom the server has heard of it hears,
         * and who asks as soon as it is connected is heard. */
        CHECK(run, !office->has_successor || caller->received > 0);
        const int64_t travel_ns = OFFICE_SLACK_MS * LEAT_NS_PER_MS;
        const bool was_long = last && caller->last_received_ns >= office->idle_until_ns;
        CHECK(run, next->begun_ns + travel_ns >= office->idle_until_ns || caller->has_finished ||
                       was_long);
        return;
    }
    if (caller->has_finished) {
        CHECK(run, caller->answered == asked);
        return;
    }
    CHECK(run, caller->answered == asked && !(has_begun && next->head_ns == 0));
    CHECK(run, is_idle_end(caller));
}

static void begin(struct sim *sim, void *user);

/* What was not answered was not begun, and may be asked for again, over another connection. */
static void come_back(struct caller *caller)
{
    struct sim_run *run = caller->office->run;
    for (unsigned index = caller->answered; index < caller->count; index++) {
        struct errand *errand = &caller->errands[index];
        if (errand->handled > 0) /* overtaken, and not to be asked for twice */
            return;
        CHECK(run, errand->taken == 0);
        errand->begun_ns = errand->head_ns = errand->end_ns = 0;
    }
    CHECK(run, ++caller->attempts < ATTEMPTS_MAX);
    caller->first = caller->answered;
    caller->sent = caller->errands[caller->first].begin;
    caller->received = 0;
    caller->last_sent_ns = caller->last_received_ns = 0;
    caller->is_last_seen = caller->has_finished = caller->was_reset = false;
    caller->is_gone = false;
    sim_at(run->sim, now_of(caller) + (int64_t)draw(run, 0, PAUSE_MAX_US) * LEAT_NS_PER_US, begin,
           caller);
}

/* `result` of the last recv: 0 or an error. */
static void on_end(struct caller *caller, ssize_t result)
{
    const struct errand *next = next_of(caller);
    struct sim_run *run = caller->office->run;
    if (result == 0 && !caller->was_reset && next && caller->place == AT_CLOSE) {
        /* An end in good order says that this was all. */
        CHECK(run, !next->is_broken && next->has_returned);
        answer_ends(caller);
    }
    const bool is_fine = is_kind(caller);
    if (is_fine)
        check_end(caller);
    gone(caller);
    if (is_fine && caller->office->has_successor && caller->answered < caller->count)
        come_back(caller);
}

static void vanish(struct caller *caller)
{
    caller->has_vanished = true;
    if (draw_chance(caller->office->run, 50)) {
        sim_peer_reset(caller->peer);
        caller->peer = NULL;
    }
    gone(caller);
}

/* ---- Doing ----------------------------------------------------------------------------------- */

static void on_event(struct sim_peer *peer, void *user);

static void go_on(struct sim *sim, void *user)
{
    struct caller *caller = user;
    caller->is_pausing = false;
    if (!caller->is_gone)
        on_event(caller->peer, caller);
}

static void pause_for(struct caller *caller, int64_t pause_ns)
{
    caller->is_pausing = true;
    sim_at(caller->office->run->sim, now_of(caller) + pause_ns, go_on, caller);
}

static bool dawdles(struct caller *caller)
{
    struct sim_run *run = caller->office->run;
    if (!draw_chance(run, caller->dawdle_chance))
        return false;
    pause_for(caller, (int64_t)draw(run, 1, PAUSE_MAX_US) * LEAT_NS_PER_US);
    return true;
}

/* How far it sends for now. */
static size_t send_limit(const struct caller *caller)
{
    size_t limit = caller->draft.size;
    if (caller->is_polite && caller->answered + 1 < caller->count)
        limit = caller->errands[caller->answered + 1].begin;
    for (unsigned index = caller->first; index < caller->count; index++) {
        const struct errand *errand = &caller->errands[index];
        if (errand->waits && !errand->is_continued && errand->head_end < limit)
            limit = errand->head_end;
    }
    const bool is_answered = caller->is_last_seen && caller->place == AT_HEAD;
    if (is_answered && !caller->stops_late && caller->sent < limit)
        limit = caller->sent;
    return limit < caller->silent_at ? limit : caller->silent_at;
}

static void note_sent(struct caller *caller)
{
    caller->last_sent_ns = now_of(caller);
    for (unsigned index = 0; index < caller->count; index++) {
        struct errand *errand = &caller->errands[index];
        if (caller->sent > errand->begin && errand->begun_ns == 0)
            errand->begun_ns = caller->last_sent_ns;
        if (caller->sent >= errand->head_end && errand->head_ns == 0)
            errand->head_ns = caller->last_sent_ns;
        if (caller->sent >= errand->end && errand->end_ns == 0)
            errand->end_ns = caller->last_sent_ns;
    }
}

static bool is_dripping(const struct caller *caller)
{
    return caller->drips > 0 && caller->sent >= caller->drip_at;
}

/* False: it pauses now. */
static bool send_some(struct caller *caller)
{
    struct sim_run *run = caller->office->run;
    size_t limit;
    while (caller->sent < (limit = send_limit(caller))) {
        const size_t left = limit - caller->sent;
        const size_t most = is_dripping(caller) ? 3 : caller->chunk_max;
        const ssize_t count = sim_peer_send(caller->peer, caller->draft.data + caller->sent,
                                            draw(run, 1, left < most ? left : most));
        if (count < 0) {
            caller->was_reset |= count != -EAGAIN; /* an error is told once */
            return true; /* what is to be read is read, whatever became of this */
        }
        caller->sent += (size_t)count;
        note_sent(caller);
        if (is_dripping(caller)) {
            caller->drips--;
            caller->has_dripped = true;
            pause_for(caller, (int64_t)draw(run, 50, 400) * LEAT_NS_PER_MS);
            return false;
        }
        if (dawdles(caller))
            return false;
    }
    caller->is_silent |= caller->sent == caller->silent_at;
    const bool is_done = caller->sent == caller->draft.size || caller->is_silent;
    if (caller->finishes && is_done && !caller->has_finished) {
        caller->has_finished = true;
        sim_peer_shutdown(caller->peer);
    }
    return true;
}

/* Nobody can have kept it any longer: the connection has ended, or will when this is read. */
static void check_was_cut(struct sim *sim, void *user)
{
    const struct caller *caller = user;
    CHECK(caller->office->run, caller->is_gone || may_break(caller->office->run));
}

static void hear_again(struct sim *sim, void *user)
{
    struct caller *caller = user;
    caller->is_deaf = false;
    caller->deaf_at = SIZE_MAX;
    caller->silent_at = caller->sent;
    caller->dawdle_chance = 0;
    sim_at(sim, sim_now_ns(sim) + OFFICE_SLACK_MS * LEAT_NS_PER_MS, check_was_cut, caller);
    if (!caller->is_gone && !caller->is_pausing)
        on_event(caller->peer, caller);
}

/* It reads no more, until the server must have given it up. */
static void go_deaf(struct caller *caller)
{
    enum { HANDLERS_MS = 5000 };
    const struct leat_http_options *options = &caller->office->options;
    caller->is_deaf = caller->was_deaf = true;
    caller->silent_at = caller->sent;
    const int64_t bound_ms = options->head_timeout_ms + options->idle_timeout_ms +
                             2 * options->body_timeout_ms + 2 * options->send_timeout_ms +
                             CONN_LINGER_MAX_MS + HANDLERS_MS + 2 * OFFICE_SLACK_MS;
    sim_at(caller->office->run->sim, now_of(caller) + bound_ms * LEAT_NS_PER_MS, hear_again,
           caller);
}

static void on_event(struct sim_peer *peer, void *user)
{
    struct caller *caller = user;
    struct sim_run *run = caller->office->run;
    char bytes[16384];
    if (caller->is_pausing || caller->is_deaf)
        return;
    for (;;) {
        if (!send_some(caller))
            return;
        if (caller->received >= caller->deaf_at) {
            go_deaf(caller);
            return;
        }
        const ssize_t count = sim_peer_recv(peer, bytes, draw(run, 1, caller->read_max));
        if (count == -EAGAIN)
            break;
        if (count <= 0) {
            on_end(caller, count);
            return;
        }
        take(caller, bytes, (size_t)count);
        if (dawdles(caller))
            return;
    }
    if (caller->vanish_at > 0 && caller->sent + caller->received >= caller->vanish_at)
        vanish(caller);
    else if (caller->answered == caller->count && !caller->is_last_seen && !caller->finishes &&
             !caller->stays)
        gone(caller);
}

static void begin(struct sim *sim, void *user)
{
    struct caller *caller = user;
    struct leat_address address = caller->office->address;
    uint8_t *host = (uint8_t *)&address.v4.sin_addr;
    host[3] = (uint8_t)(1 + caller->host); /* 127.0.0.1 and its neighbours */
    caller->begun_ns = sim_now_ns(sim);
    caller->peer = sim_peer_connect(sim, &address.base, address.size, on_event, caller);
}

void caller_begin_at(struct caller *caller, int64_t at_ns)
{
    sim_at(caller->office->run->sim, at_ns, begin, caller);
}

/* ---- Habits ---------------------------------------------------------------------------------- */

static void draw_quirk(struct caller *caller)
{
    struct sim_run *run = caller->office->run;
    const uint64_t quirk = draw(run, 0, 99);
    if (quirk < 8) {
        caller->silent_at = draw(run, 0, caller->draft.size - 1);
    } else if (quirk < 15) {
        caller->deaf_at = draw(run, 0, draw_chance(run, 50) ? 300 : 50000);
    } else if (quirk < 22) {
        caller->vanish_at = draw(run, 1, draw_chance(run, 50) ? caller->draft.size * 2 : 100000);
    } else if (quirk < 37) {
        struct errand *errand = &caller->errands[draw(run, 0, caller->count - 1)];
        const bool is_late = errand->end > errand->head_end && draw_chance(run, 70);
        caller->drip_at = draw(run, is_late ? errand->head_end : errand->begin, errand->end - 1);
        caller->drips = (unsigned)draw(run, is_late ? 10 : 1, 30);
        if (is_late && draw_chance(run, 50)) { /* still being read when its time is over */
            errand->reply_size = draw(run, 20000, 100000);
            errand->reply_offset = 0;
        }
    }
}

void caller_init(struct caller *caller, struct office *office)
{
    struct sim_run *run = office->run;
    *caller = (struct caller){
        .office = office, .draft = {.run = run}, .silent_at = SIZE_MAX, .deaf_at = SIZE_MAX};
    caller->host = (unsigned)draw(run, 0, OFFICE_HOSTS - 1);
    const unsigned wanted = (unsigned)draw(run, 1, ERRANDS_MAX);
    caller->has_no_bodies = draw_chance(run, 25);
    do
        errand_draw(caller);
    while (caller->count < wanted && !caller->errands[caller->count - 1].is_last);
    caller->is_polite = draw_chance(run, 50);
    caller->finishes = draw_chance(run, 12);
    caller->stays = draw_chance(run, 25);
    caller->stops_late = draw_chance(run, 50);
    caller->chunk_max = caller->draft.size > 4000 || draw_chance(run, 60) ? 16384 : 40;
    caller->read_max = draw_chance(run, 20) ? 700 : 16384;
    caller->dawdle_chance = draw_chance(run, 25) ? 15 : 1;
    if (!office->is_gentle)
        draw_quirk(caller);
}
