/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait in lots for things that come one after the other, as viewers of a live stream
 * do. Watchers ask for things by number, pipelined or one by one, dawdle, turn half away or vanish;
 * a fiber brings the things, wakes for nothing, or puts another lot in a lot's place; the server is
 * closed in the middle of it or after all have gone.
 *
 * A wish knows what became of it on both sides. Its handler runs again for a reason and in time, in
 * the order in which the lot was entered, and a bounded number of them a turn; each wish is
 * answered once, with what its handler has said, and is in the log once, with all the time it took.
 */
#include <stdio.h>

#include "draft.h"
#include "http/gauges.h"
#include "http/lot.h"
#include "leat/fiber.h"
#include "leat/http.h"
#include "talker.h"
#include "wire/http1.h"

enum {
    WATCHERS_MAX = 90,
    WISHES_MAX = 5,
    LOTS = 2,
    SLACK_MS = 5,
    WAKES_KEPT = 256,
    VANISH_SLACK_MS = 100
};

struct wish {
    struct watcher *watcher;
    unsigned number, lot, thing;
    int64_t patience_ms;
    bool is_head, is_last, has_body;
    bool stays;          /* its handler blocks after it has parked it */
    bool changes_mind;   /* or replies after all */
    size_t end;          /* in the watcher's draft */
    unsigned runs;       /* of its handler */
    int64_t received_ns; /* in the first of them */
    int64_t parked_ns;   /* the last time; */
    int64_t deadline_ns; /* of that, */
    unsigned wakes;      /* of its lot when it parked, */
    uint64_t ticket;     /* and its place in line */
    int told, seen;      /* status; 0: none */
    unsigned records;
};

struct watcher {
    struct play *play;
    struct sim_peer *peer;
    struct draft draft;
    size_t sent;
    struct wish wishes[WISHES_MAX];
    unsigned count, answered;
    bool is_polite, finishes, waits;
    unsigned dawdle_chance;
    char inbox[4096];
    size_t inbox_size;
    int64_t vanished_ns; /* 0: it has not */
    bool is_pausing, is_last_seen, is_gone;
};

struct place_of_things {
    struct leat_http_lot *lot;
    unsigned things;              /* that have come */
    unsigned wakes;               /* so far, */
    int64_t woken_ns[WAKES_KEPT]; /* and when, the last ones */
    unsigned served_wakes;        /* of the last that was served, */
    uint64_t served_ticket;       /* and its ticket */
};

struct play {
    struct sim_run *run;
    struct leat_address address;
    struct leat_http_server *server;
    struct place_of_things places[LOTS];
    struct wish *wishes[WATCHERS_MAX * WISHES_MAX + 1]; /* by number, from 1 on */
    unsigned wish_count, watcher_count;
    struct watcher watchers[WATCHERS_MAX];
    uint64_t tickets;
    uint64_t turn; /* of the loop, and handlers that ran again in it */
    unsigned runs_in_turn;
    uint64_t records, handled;
    bool is_closing, is_over;
    int64_t closed_ns, grace_ns;
};

static int64_t slack_ns(const struct play *play)
{
    return SLACK_MS * LEAT_NS_PER_MS + 3 * sim_lateness_ns(play->run->sim);
}

/* Must all that is asked for be answered, as long as the server is there? */
static bool is_kind(const struct play *play)
{
    return !may_break(play->run) && !may_lack(play->run);
}

/* ---- The handler ----------------------------------------------------------------------------- */

static void reply(struct wish *wish, struct leat_http_response *response, int status)
{
    CHECK(wish->watcher->play->run,
          leat_http_reply_text(response, status, "%u says %d", wish->number, status) == 0);
    wish->told = status;
}

/* Why it runs again, and when it should have. */
static void check_reason(struct play *play, struct wish *wish, bool is_overdue)
{
    struct sim_run *run = play->run;
    struct place_of_things *place = &play->places[wish->lot];
    const int64_t now_ns = leat_now_ns();
    CHECK(run, is_overdue == (now_ns >= wish->deadline_ns || play->is_closing));
    CHECK(run, is_overdue || place->wakes > wish->wakes);
    if (wish->stays) /* it could not run again before it had returned */
        return;
    if (place->wakes > wish->wakes)
        CHECK(run, now_ns <= place->woken_ns[wish->wakes % WAKES_KEPT] + slack_ns(play));
    /* Whatever it runs for may have come before it was parked: then it has not waited. */
    int64_t due_ns = wish->deadline_ns;
    if (play->is_closing && play->closed_ns < due_ns)
        due_ns = play->closed_ns;
    if (due_ns < wish->parked_ns)
        due_ns = wish->parked_ns;
    CHECK(run, now_ns <= due_ns + slack_ns(play));
    const int64_t vanished_ns = wish->watcher->vanished_ns;
    if (is_kind(play) && vanished_ns) /* who goes is not kept until something comes */
        CHECK(run, now_ns <= vanished_ns + VANISH_SLACK_MS * LEAT_NS_PER_MS + slack_ns(play));
    if (is_overdue)
        return;
    CHECK(run, wish->wakes > place->served_wakes ||
                   (wish->wakes == place->served_wakes && wish->ticket > place->served_ticket));
    place->served_wakes = wish->wakes;
    place->served_ticket = wish->ticket;
}

static void count_turn(struct play *play)
{
    const uint64_t turn = play->run->loop->counters.turns;
    if (turn != play->turn)
        play->runs_in_turn = 0;
    play->turn = turn;
    CHECK(play->run, ++play->runs_in_turn <= LOT_RESUMED_A_TURN);
}

/* False: it is to be replied to. */
static bool park(struct play *play, struct wish *wish, struct leat_http_request *request,
                 struct leat_http_response *response)
{
    struct sim_run *run = play->run;
    if (draw_chance(run, 5)) /* first in the other one */
        (void)leat_http_park(request, response, play->places[(wish->lot + 1) % LOTS].lot,
                             leat_after_ms(10));
    wish->deadline_ns = wish->received_ns + wish->patience_ms * LEAT_NS_PER_MS;
    wish->parked_ns = leat_now_ns();
    wish->wakes = play->places[wish->lot].wakes;
    wish->ticket = ++play->tickets;
    const int error =
        leat_http_park(request, response, play->places[wish->lot].lot, wish->deadline_ns);
    if (wish->has_body)
        CHECK(run, error == -EBUSY);
    else if (play->is_closing)
        CHECK(run, error == -ESHUTDOWN);
    else
        CHECK(run, error == 0);
    if (error)
        return false;
    if (wish->stays)
        (void)leat_sleep_ms((int64_t)draw(run, 0, 30));
    return !wish->changes_mind;
}

static void handle(struct leat_http_request *request, struct leat_http_response *response,
                   void *user)
{
    struct play *play = user;
    struct sim_run *run = play->run;
    const struct leat_slice path = leat_http_path(request), mark = leat_http_field(request, "mark");
    char text[32] = {0}, number[16];
    unsigned lot, thing, index;
    CHECK(run, path.size < sizeof text);
    memcpy(text, path.data, path.size);
    CHECK(run, sscanf(text, "/%u/%u/%u", &lot, &thing, &index) == 3 && index <= play->wish_count);
    struct wish *wish = play->wishes[index];
    snprintf(number, sizeof number, "%u", index);
    CHECK(run, wish->lot == lot && wish->thing == thing && wish->told == 0);
    CHECK(run, slice_equal(mark, slice_from_text(number)));
    CHECK(run, leat_http_status(response) == 0);
    CHECK(run, wish == wish->watcher->wishes || (wish - 1)->told != 0);
    CHECK(run, leat_http_was_parked(request) == (wish->runs++ > 0));
    const bool is_overdue = leat_http_is_overdue(request);
    if (wish->runs == 1) {
        play->handled++;
        wish->received_ns = leat_http_received_ns(request);
        CHECK(run, !is_overdue && wish->received_ns <= leat_now_ns());
        if (draw_chance(run, 10) && leat_sleep_ms((int64_t)draw(run, 0, 20)) != 0)
            return;
    } else {
        CHECK(run, leat_http_received_ns(request) == wish->received_ns);
        check_reason(play, wish, is_overdue);
        count_turn(play);
    }
    if (play->places[lot].things > thing)
        reply(wish, response, 200);
    else if (is_overdue || !park(play, wish, request, response))
        reply(wish, response, 503);
}

static void note_record(const struct leat_http_record *record, void *user)
{
    struct play *play = user;
    struct sim_run *run = play->run;
    char text[32] = {0};
    unsigned number;
    play->records++;
    CHECK(run, record->target.size > 0 && record->target.size < sizeof text);
    memcpy(text, record->target.data, record->target.size);
    CHECK(run, sscanf(text, "/%*u/%*u/%u", &number) == 1 && number <= play->wish_count);
    struct wish *wish = play->wishes[number];
    CHECK(run, wish->records++ == 0 && wish->runs > 0);
    CHECK(run, record->duration_ns == leat_now_ns() - wish->received_ns);
    CHECK(run, record->status == wish->told || (record->is_broken && record->status == 0));
    CHECK(run, record->is_broken || wish->told != 0);
}

/* ---- Watchers -------------------------------------------------------------------------------- */

static void on_event(struct sim_peer *peer, void *user);

static void gone(struct watcher *watcher)
{
    if (watcher->peer)
        sim_peer_close(watcher->peer);
    watcher->peer = NULL;
    watcher->is_gone = true;
}

static void vanish(struct sim *sim, void *user)
{
    struct watcher *watcher = user;
    if (watcher->is_gone || !watcher->peer)
        return;
    watcher->vanished_ns = sim_now_ns(sim);
    if (draw_chance(watcher->play->run, 50)) {
        sim_peer_reset(watcher->peer);
        watcher->peer = NULL;
    }
    gone(watcher);
}

/* The server has ended the connection. */
static void on_end(struct watcher *watcher)
{
    struct play *play = watcher->play;
    struct sim_run *run = play->run;
    const bool is_cut = play->is_closing && sim_now_ns(run->sim) >= play->grace_ns;
    if (is_kind(play) && !watcher->finishes && !is_cut) {
        CHECK(run, watcher->inbox_size == 0);
        CHECK(run, play->is_closing || watcher->answered == watcher->count);
        for (unsigned index = 0; index < watcher->count; index++)
            CHECK(run, watcher->wishes[index].runs == 0 || watcher->wishes[index].seen != 0);
    }
    gone(watcher);
}

/* An answer, if it is all there. */
static bool take_answer(struct watcher *watcher)
{
    struct play *play = watcher->play;
    struct sim_run *run = play->run;
    struct http1_response response;
    char text[32];
    const int head_size =
        http1_parse_response(slice_of(watcher->inbox, watcher->inbox_size), 0, NULL, &response);
    CHECK(run, head_size >= 0);
    if (head_size == 0)
        return false;
    CHECK(run, watcher->answered < watcher->count && !watcher->is_last_seen);
    struct wish *wish = &watcher->wishes[watcher->answered];
    const size_t size = wish->is_head ? 0 : response.head.content_length;
    if (watcher->inbox_size - (size_t)head_size < size)
        return false;
    CHECK(run, watcher->sent >= wish->end && wish->told != 0 && response.status == wish->told);
    const int text_size = snprintf(text, sizeof text, "%u says %d", wish->number, wish->told);
    CHECK(run, response.head.content_length == (size_t)text_size);
    CHECK(run, memcmp(text, watcher->inbox + head_size, size) == 0);
    CHECK(run, !wish->is_last || response.head.says_close);
    CHECK(run, wish->is_last || play->is_closing || !response.head.says_close);
    wish->seen = response.status;
    watcher->is_last_seen = response.head.says_close;
    watcher->answered++;
    watcher->inbox_size -= (size_t)head_size + size;
    memmove(watcher->inbox, watcher->inbox + head_size + size, watcher->inbox_size);
    return true;
}

static void go_on(struct sim *sim, void *user)
{
    struct watcher *watcher = user;
    watcher->is_pausing = false;
    if (!watcher->is_gone)
        on_event(watcher->peer, watcher);
}

static bool dawdles(struct watcher *watcher)
{
    struct sim_run *run = watcher->play->run;
    if (!draw_chance(run, watcher->dawdle_chance))
        return false;
    watcher->is_pausing = true;
    sim_at(run->sim, sim_now_ns(run->sim) + (int64_t)draw(run, 0, 20000) * LEAT_NS_PER_US, go_on,
           watcher);
    return true;
}

/* False: it pauses now. */
static bool send_some(struct watcher *watcher)
{
    struct sim_run *run = watcher->play->run;
    for (;;) {
        size_t limit = watcher->draft.size;
        if (watcher->is_polite && watcher->answered < watcher->count)
            limit = watcher->wishes[watcher->answered].end;
        if (watcher->sent >= limit)
            break;
        const size_t left = limit - watcher->sent;
        const size_t size = draw_chance(run, 50) ? left : (size_t)draw(run, 1, left);
        const ssize_t count =
            sim_peer_send(watcher->peer, watcher->draft.data + watcher->sent, size);
        if (count < 0)
            return true; /* what is to be read is read, whatever became of this */
        watcher->sent += (size_t)count;
        if (dawdles(watcher))
            return false;
    }
    if (watcher->finishes && watcher->sent == watcher->draft.size)
        sim_peer_shutdown(watcher->peer);
    return true;
}

static void on_event(struct sim_peer *peer, void *user)
{
    struct watcher *watcher = user;
    struct sim_run *run = watcher->play->run;
    while (!watcher->is_pausing && send_some(watcher)) {
        const size_t room = sizeof watcher->inbox - watcher->inbox_size;
        CHECK(run, room > 0);
        const ssize_t count = sim_peer_recv(peer, watcher->inbox + watcher->inbox_size, room);
        if (count == -EAGAIN)
            break;
        if (count <= 0) {
            on_end(watcher);
            return;
        }
        watcher->inbox_size += (size_t)count;
        while (take_answer(watcher))
            ;
    }
    if (watcher->answered == watcher->count && !watcher->is_last_seen && !watcher->waits)
        gone(watcher);
}

static void begin(struct sim *sim, void *user)
{
    struct watcher *watcher = user;
    watcher->peer = sim_peer_connect(sim, &watcher->play->address.base, watcher->play->address.size,
                                     on_event, watcher);
}

static void draw_wish(struct watcher *watcher, struct wish *wish, bool is_in_crowd)
{
    struct play *play = watcher->play;
    struct sim_run *run = play->run;
    const bool is_old = draw_chance(run, 3);
    *wish = (struct wish){
        .watcher = watcher,
        .number = ++play->wish_count,
        .lot = (unsigned)draw(run, 0, LOTS - 1),
        .thing = (unsigned)draw(run, 0, 8),
        .patience_ms = (int64_t)draw(run, 0, draw_chance(run, 50) ? 100 : 3000),
        .is_head = draw_chance(run, 5),
        .has_body = draw_chance(run, 4),
        .stays = draw_chance(run, 8),
        .changes_mind = draw_chance(run, 4),
        .is_last = is_old || draw_chance(run, 5),
    };
    if (is_in_crowd) { /* for the same, which nobody brings before all are there */
        wish->lot = 0;
        wish->patience_ms = 3000;
    }
    play->wishes[wish->number] = wish;
    draft_say(&watcher->draft, "%s /%u/%u/%u HTTP/1.%d\r\nHost: example.org\r\n",
              wish->is_head ? "HEAD" : "GET", wish->lot, wish->thing, wish->number, !is_old);
    if (wish->is_last)
        draft_say(&watcher->draft, "Connection: close\r\n");
    if (draw_chance(run, 20)) {
        draft_say(&watcher->draft, "Filler: ");
        draft_fill(&watcher->draft, draw(run, 0, 2000));
        draft_say(&watcher->draft, "\r\n");
    }
    if (wish->has_body)
        draft_say(&watcher->draft, "Content-Length: 3\r\n");
    draft_say(&watcher->draft, "Mark: %u\r\n\r\n%s", wish->number, wish->has_body ? "abc" : "");
    wish->end = watcher->draft.size;
}

static void watcher_init(struct watcher *watcher, struct play *play, bool is_in_crowd)
{
    struct sim_run *run = play->run;
    *watcher = (struct watcher){.play = play, .draft = {.run = run}};
    const unsigned most = is_in_crowd ? 1 : (unsigned)draw(run, 1, WISHES_MAX);
    do {
        draw_wish(watcher, &watcher->wishes[watcher->count++], is_in_crowd);
    } while (watcher->count < most && !watcher->wishes[watcher->count - 1].is_last);
    watcher->is_polite = draw_chance(run, 50);
    watcher->finishes = draw_chance(run, 10);
    watcher->waits = draw_chance(run, 20);
    watcher->dawdle_chance = draw_chance(run, 30) ? 20 : 1;
    const int64_t now_ns = leat_now_ns();
    const int64_t begin_ns = now_ns + (int64_t)draw(run, 0, 100) * LEAT_NS_PER_MS;
    sim_at(run->sim, begin_ns, begin, watcher);
    if (draw_chance(run, 15))
        sim_at(run->sim, begin_ns + (int64_t)draw(run, 0, 300) * LEAT_NS_PER_MS, vanish, watcher);
}

/* ---- The play -------------------------------------------------------------------------------- */

/* A thing comes to a lot, or none; who waits there is woken. */
static void wake(struct play *play)
{
    struct sim_run *run = play->run;
    struct place_of_things *place = &play->places[draw(run, 0, LOTS - 1)];
    struct leat_http_lot *const lot = place->lot;
    const unsigned count = leat_http_lot_count(lot);
    place->things += draw_chance(run, 70);
    place->woken_ns[place->wakes++ % WAKES_KEPT] = leat_now_ns();
    if (draw_chance(run, 10)) {
        CHECK(run, leat_http_lot_create(&place->lot) == 0);
        leat_http_lot_destroy(lot);
    } else {
        CHECK(run, leat_http_lot_wake(lot) == count);
        CHECK(run, leat_http_lot_count(lot) == 0);
    }
}

/* Who is parked holds no exchange. */
static void check_gauges(const struct play *play)
{
    struct gauges gauges;
    size_t waiting = 0;
    gauges_read(play->server, &gauges);
    CHECK(play->run, gauges.exchanges + gauges.connections[CONN_PARKED] <= gauges.conns);
    for (unsigned index = 0; index < LOTS; index++)
        waiting += leat_http_lot_count(play->places[index].lot);
    CHECK(play->run, waiting <= gauges.conns - gauges.connections[CONN_AWAITING]);
}

static bool have_all_gone(const struct play *play)
{
    for (unsigned index = 0; index < play->watcher_count; index++)
        if (!play->watchers[index].is_gone)
            return false;
    return true;
}

static void note_end(struct leat_http_server *server, void *user)
{
    struct play *play = user;
    struct leat_http_counters counters;
    uint64_t statuses = 0;
    leat_http_server_counters(server, &counters);
    for (unsigned index = 0; index < 6; index++)
        statuses += counters.statuses[index];
    CHECK(play->run, counters.requests == play->handled && counters.errors == 0);
    CHECK(play->run, play->records == play->handled && statuses == play->records);
    play->is_over = true;
}

static void start_server(struct play *play)
{
    struct sim_run *run = play->run;
    const struct leat_http_options options = {
        .handler = handle,
        .user = play,
        .head_timeout_ms = 60000,
        .idle_timeout_ms = (int64_t)draw(run, 1000, 3000),
        .on_done = note_record,
        .on_done_user = play,
        .on_closed = note_end,
        .on_closed_user = play,
    };
    struct leat_listener *listener = listen_at(run, 0, 128);
    play->address = *leat_listener_address(listener);
    CHECK(run, leat_http_server_create(&options, &play->server) == 0);
    CHECK(run, leat_http_server_add(play->server, listener) == 0);
}

static void lots_main(void *arg)
{
    struct play *play = arg;
    struct sim_run *run = play->run;
    const bool is_crowd = draw_chance(run, 3);
    for (unsigned index = 0; index < LOTS; index++)
        CHECK(run, leat_http_lot_create(&play->places[index].lot) == 0);
    play->watcher_count = (unsigned)(is_crowd ? draw(run, 80, WATCHERS_MAX) : draw(run, 1, 7));
    for (unsigned index = 0; index < play->watcher_count; index++)
        watcher_init(&play->watchers[index], play, is_crowd);
    if (is_crowd)
        CHECK(run, leat_sleep_ms(150) == 0);
    const int64_t close_ns =
        draw_chance(run, 30) ? leat_after_ms((int64_t)draw(run, 0, 400)) : LEAT_FOREVER;
    while (!have_all_gone(play) && leat_now_ns() < close_ns) {
        if (draw_chance(run, 50))
            wake(play);
        check_gauges(play);
        const uint64_t most_ms = draw_chance(run, 5) ? 1000 : 40; /* now and then it is quiet */
        CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, most_ms)) == 0);
    }
    play->is_closing = true;
    play->closed_ns = leat_now_ns();
    play->grace_ns = leat_after_ms((int64_t)draw(run, 0, 1000));
    leat_http_server_close(play->server, leat_after_ms((int64_t)draw(run, 0, 500)), play->grace_ns);
    while (!play->is_over) {
        if (draw_chance(run, 20))
            wake(play);
        CHECK(run, leat_sleep_ms(10) == 0);
        CHECK(run, leat_now_ns() <= play->grace_ns + 100 * LEAT_NS_PER_MS + 3 * slack_ns(play));
    }
    for (unsigned index = 0; index < LOTS; index++) {
        CHECK(run, leat_http_lot_count(play->places[index].lot) == 0);
        leat_http_lot_destroy(play->places[index].lot);
    }
}

static void run_lots(struct sim_run *run)
{
    struct play *play = calloc(1, sizeof *play);
    CHECK(run, play != NULL);
    play->run = run;
    start_server(play);
    run_fiber(run, lots_main, play);
    for (unsigned number = 1; number <= play->wish_count; number++) {
        const struct wish *wish = play->wishes[number];
        CHECK(run, wish->records == (wish->runs > 0) && (wish->seen == 0 || wish->runs > 0));
    }
    for (unsigned index = 0; index < play->watcher_count; index++)
        draft_fini(&play->watchers[index].draft);
    CHECK(run, sim_open_count(run->sim) == 0);
    free(play);
}

const struct scenario scenario_lots = {"lots", "requests that are parked until something comes",
                                       run_lots};
