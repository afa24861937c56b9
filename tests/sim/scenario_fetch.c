/* SPDX-License-Identifier: MIT */
/*
 * The HTTP client and servers that redirect, close what rests, break off, fall silent and talk
 * nonsense. Each errand is a request whose path is its number; both sides know what is to come of
 * it. What a fetch brings is the answer of its errand to the byte, or an error for which there was
 * a reason; what must not be asked twice is not; who may be asked again is, and then succeeds; no
 * deadline passes unnoticed, and nothing is left behind.
 */
#include <stdio.h>

#include "fiber/fiber.h"
#include "http/body.h"
#include "leat/error.h"
#include "leat/fetch.h"
#include "mem/arena.h"
#include "mem/text.h"
#include "talker.h"
#include "wire/http1.h"

enum {
    SITES_MAX = 2,
    ERRANDS_MAX = 40,
    ASKERS_MAX = 6,
    CALLS_MAX = 1024,
    PORT_FIRST = 9000,
    PATIENCE_MS = 60 * 1000,
    BODY_CONTENT = 1 << 20, /* content number of a request's body, less the errand's */
};

enum fate {
    WHOLE,
    BROKEN_OFF, /* closed somewhere in the answer */
    RESET,
    SILENT,
    NONSENSE,
};

enum framing { SIZED, CHUNKED, TO_THE_END };

struct errand {
    unsigned number;
    const char *method;
    bool may_repeat, expects, is_streamed, is_bodiless, says_close;
    uint64_t body_size, answer_size;
    unsigned hops; /* redirects before the answer */
    enum framing framing;
    enum fate fate;
    uint64_t breaks_at; /* in the answer's text */
    unsigned asked;     /* how often the origin has heard the whole of its last head */
};

struct street {
    struct sim_run *run;
    struct leat_client *client;
    unsigned site_count, errand_count, next, askers;
    bool is_cancelled;
    unsigned closes_idle; /* per cent of answers after which a connection is closed some time */
    struct errand errands[ERRANDS_MAX];
    struct call *calls[CALLS_MAX];
    unsigned call_count;
};

/* A connection as its server has it. */
struct call {
    struct street *street;
    struct sim_peer *peer; /* NULL: gone */
    struct text heard, said;
    size_t sent;
    bool has_head, is_answering, ends, ends_rudely, hangs;
    struct errand *errand;
    unsigned hops;
    struct body body;
    struct arena arena;
    uint64_t body_at;
};

/* ---- Servers --------------------------------------------------------------------------------- */

static void hang_up(struct call *call, bool is_rude)
{
    if (is_rude)
        sim_peer_reset(call->peer);
    else
        sim_peer_close(call->peer);
    call->peer = NULL;
}

static void close_idle(struct sim *sim, void *user)
{
    struct call *call = user;
    /* Not in the middle of an answer, and not by a reset, which might take with it what is still on
     * its way: those would be other fates. */
    if (call->peer && call->said.size == 0)
        hang_up(call, false);
}

static void end_answer(struct call *call)
{
    struct street *street = call->street;
    struct sim_run *run = street->run;
    call->is_answering = call->has_head = false;
    call->said.size = call->sent = 0;
    if (call->ends)
        hang_up(call, call->ends_rudely);
    else if (draw_chance(run, street->closes_idle))
        sim_at(run->sim, sim_now_ns(run->sim) + (int64_t)draw(run, 0, 40) * LEAT_NS_PER_MS,
               close_idle, call);
}

static void send_more(struct call *call)
{
    while (call->peer && call->sent < call->said.size) {
        const ssize_t sent =
            sim_peer_send(call->peer, call->said.data + call->sent, call->said.size - call->sent);
        if (sent == -EAGAIN)
            return;
        if (sent < 0)
            hang_up(call, false);
        else
            call->sent += (size_t)sent;
    }
    if (call->peer && call->is_answering && !call->hangs)
        end_answer(call);
}

static void add_content(struct text *text, uint64_t content, uint64_t offset, size_t size)
{
    char *room = text_reserve(text, size);
    sim_content(content, offset, room, size);
    text->size += size;
}

static void add_chunks(struct call *call, const struct errand *errand)
{
    for (uint64_t at = 0; at < errand->answer_size;) {
        uint64_t size = draw(call->street->run, 1, 20000);
        if (size > errand->answer_size - at)
            size = errand->answer_size - at;
        text_add_format(&call->said, "%llx\r\n", (unsigned long long)size);
        add_content(&call->said, errand->number, at, (size_t)size);
        text_add_literal(&call->said, "\r\n");
        at += size;
    }
    text_add_format(&call->said, "0\r\nX-Number: %u\r\n\r\n", errand->number);
}

static void say_where_else(struct call *call)
{
    struct sim_run *run = call->street->run;
    const unsigned port = PORT_FIRST + (unsigned)draw(run, 0, call->street->site_count - 1);
    const size_t size = draw_chance(run, 80) ? 10 : 30000;
    text_add_format(&call->said,
                    "HTTP/1.1 %d Elsewhere\r\nLocation: http://127.0.0.1:%u/%u/%u\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    draw_chance(run, 50) ? 307 : 308, port, call->errand->number, call->hops - 1,
                    call->errand->is_bodiless ? 0 : size);
    if (!call->errand->is_bodiless)
        add_content(&call->said, 0, 0, size);
}

/* The last answer, whole. */
static void say_answer(struct call *call)
{
    const struct errand *errand = call->errand;
    struct text *said = &call->said;
    for (uint64_t interims = draw(call->street->run, 0, 20); interims > 18; interims--)
        text_add_literal(said, "HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n");
    text_add_format(said, "HTTP/1.1 200 OK\r\nX-Number: %u\r\n", errand->number);
    if (errand->says_close)
        text_add_literal(said, "Connection: close\r\n");
    if (errand->framing == SIZED)
        text_add_format(said, "Content-Length: %llu\r\n", (unsigned long long)errand->answer_size);
    if (errand->framing == CHUNKED)
        text_add_literal(said, "Transfer-Encoding: chunked\r\n");
    text_add_literal(said, "\r\n");
    if (errand->is_bodiless)
        return;
    if (errand->framing == CHUNKED)
        add_chunks(call, errand);
    else
        add_content(said, errand->number, 0, (size_t)errand->answer_size);
}

static void answer(struct call *call)
{
    const struct errand *errand = call->errand;
    const size_t begin = call->said.size; /* behind what was said before the body came */
    call->is_answering = true;
    call->ends = call->ends_rudely = call->hangs = false;
    if (call->hops > 0) {
        say_where_else(call);
    } else {
        say_answer(call);
        call->ends = errand->says_close || errand->framing == TO_THE_END || errand->fate != WHOLE;
        call->ends_rudely = errand->fate == RESET;
        if (errand->fate != WHOLE && errand->breaks_at < call->said.size - begin) {
            call->said.size = begin + (size_t)errand->breaks_at;
            call->hangs = errand->fate == SILENT;
            if (errand->fate == NONSENSE)
                text_add_literal(&call->said, "\x01\n\n\xffHTTP/\r\n\r\n\r");
        }
    }
}

/* The head at the start of what was heard; false: more of it is needed. */
static bool take_head(struct call *call)
{
    static struct http1_request head;
    struct street *street = call->street;
    const int size =
        http1_parse_request(slice_of(call->heard.data, call->heard.size), 0, NULL, &head);
    CHECK(street->run, size >= 0);
    if (size == 0)
        return false;
    unsigned number, hops;
    CHECK(street->run, sscanf(head.path.data, "/%u/%u ", &number, &hops) == 2);
    CHECK(street->run, number < street->errand_count);
    call->errand = &street->errands[number];
    call->hops = hops;
    call->has_head = true;
    call->body_at = 0;
    const struct errand *errand = call->errand;
    CHECK(street->run, slice_equal(head.method_text, slice_from_text(errand->method)));
    if (hops == 0)
        call->errand->asked++;
    body_init(&call->body, &head, UINT64_MAX, &call->arena);
    if (head.expect_continue && draw_chance(street->run, 70))
        text_add_literal(&call->said, "HTTP/1.1 100 Continue\r\n\r\n");
    memmove(call->heard.data, call->heard.data + size, call->heard.size - (size_t)size);
    call->heard.size -= (size_t)size;
    return true;
}

/* What was heard of the body is what the errand has. */
static void take_body(struct call *call)
{
    struct sim_run *run = call->street->run;
    struct leat_slice input = slice_of(call->heard.data, call->heard.size), piece;
    while (body_next(&call->body, &input, &piece) > 0) {
        CHECK(run, sim_content_equal(BODY_CONTENT + call->errand->number, call->body_at, piece.data,
                                     piece.size));
        call->body_at += piece.size;
    }
    CHECK(run, call->body.state != BODY_BROKEN);
    memmove(call->heard.data, input.data, input.size);
    call->heard.size = input.size;
    if (body_is_open(&call->body))
        return;
    CHECK(run, call->body_at == call->errand->body_size);
    answer(call);
}

static void on_call(struct sim_peer *peer, void *user)
{
    struct call *call = user;
    ssize_t size = 1;
    send_more(call);
    while (call->peer && size > 0) {
        char *room = text_reserve(&call->heard, 8192);
        size = sim_peer_recv(call->peer, room, 8192);
        if (size == -EAGAIN)
            break;
        if (size <= 0) {
            hang_up(call, false);
            return;
        }
        call->heard.size += (size_t)size;
        CHECK(call->street->run, !call->is_answering); /* nobody asks before he has heard all */
        if (call->has_head || take_head(call))
            take_body(call);
        send_more(call);
    }
}

static void on_connection(struct sim_peer *peer, void *user)
{
    struct street *street = user;
    struct call *call = calloc(1, sizeof *call);
    CHECK(street->run, call != NULL && street->call_count < CALLS_MAX);
    call->street = street;
    call->peer = peer;
    arena_init(&call->arena, NULL);
    street->calls[street->call_count++] = call;
    sim_peer_set_event(peer, on_call, call);
}

/* ---- Askers ---------------------------------------------------------------------------------- */

static bool is_idempotent(const struct errand *errand)
{
    return strcmp(errand->method, "POST") != 0;
}

/* Does it come to a good end in a kind world, whatever servers do with connections at rest? */
static bool must_succeed(const struct street *street, const struct errand *errand)
{
    if (errand->fate != WHOLE || may_break(street->run) || may_lack(street->run))
        return false;
    return street->closes_idle == 0 ||
           (!errand->is_streamed && (errand->may_repeat || is_idempotent(errand)));
}

static void check_error(const struct street *street, const struct errand *errand, int error,
                        int64_t deadline_ns)
{
    struct sim_run *run = street->run;
    if (error == -ETIMEDOUT) {
        if (!may_break(run) && !may_lack(run))
            check_deadline(run, deadline_ns, leat_now_ns());
        return;
    }
    if (error == -ECANCELED && street->is_cancelled)
        return;
    CHECK(run, !must_succeed(street, errand));
    if (may_lack(run) || may_break(run))
        return;
    CHECK(run, error == -ECONNRESET || error == -LEAT_E_TRUNCATED ||
                   (error == -EPIPE && errand->is_streamed) ||
                   (error == -LEAT_E_MALFORMED && errand->fate == NONSENSE));
}

static int write_body(struct leat_fetch *fetch, const struct street *street,
                      const struct errand *errand, int64_t deadline_ns)
{
    char piece[4096];
    int error = 0;
    for (uint64_t at = 0; at < errand->body_size && !error;) {
        uint64_t size = draw(street->run, 1, sizeof piece);
        if (size > errand->body_size - at)
            size = errand->body_size - at;
        sim_content(BODY_CONTENT + errand->number, at, piece, (size_t)size);
        error = leat_fetch_write(fetch, piece, (size_t)size, deadline_ns);
        at += size;
    }
    if (!error)
        error = leat_fetch_finish(fetch, deadline_ns);
    /* There may be an answer all the same. */
    return error == -ETIMEDOUT ? error : leat_fetch_answer(fetch, deadline_ns);
}

/* 0: the answer was right, all of it. */
static int read_answer(struct leat_fetch *fetch, const struct street *street,
                       const struct errand *errand, int64_t deadline_ns)
{
    struct sim_run *run = street->run;
    char piece[8192], number[16];
    uint64_t at = 0;
    ssize_t size;
    snprintf(number, sizeof number, "%u", errand->number);
    CHECK(run, leat_fetch_status(fetch) == 200);
    CHECK(run, slice_equal(leat_fetch_field(fetch, "x-number"), slice_from_text(number)));
    while ((size = leat_fetch_read(fetch, piece, (size_t)draw(run, 1, sizeof piece), deadline_ns)) >
           0) {
        /* Nonsense in place of content is content. */
        CHECK(run, errand->fate == NONSENSE ||
                       sim_content_equal(errand->number, at, piece, (size_t)size));
        at += (uint64_t)size;
        const int64_t pause_end_ns = leat_after_ms((int64_t)draw(run, 0, 20));
        if (draw_chance(run, 5) && pause_end_ns < deadline_ns)
            leat_sleep_until(pause_end_ns);
    }
    if (size < 0)
        return (int)size;
    const uint64_t all = errand->is_bodiless ? 0 : errand->answer_size;
    CHECK(run, at == all || (errand->framing == TO_THE_END && errand->fate != WHOLE));
    if (errand->framing == CHUNKED && !errand->is_bodiless)
        CHECK(run, slice_equal(leat_fetch_trailer(fetch, "X-Number"), slice_from_text(number)));
    return 0;
}

static void run_errand(struct street *street, struct errand *errand)
{
    struct sim_run *run = street->run;
    const bool is_hasty = draw_chance(run, 10);
    const int64_t deadline_ns = leat_after_ms(is_hasty ? (int64_t)draw(run, 0, 100) : PATIENCE_MS);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/%u/%u",
             PORT_FIRST + (unsigned)draw(run, 0, street->site_count - 1), errand->number,
             errand->hops);
    char *body = NULL;
    struct leat_fetch_request request = {
        .method = errand->method,
        .url = url,
        .expects_continue = errand->expects,
        .may_repeat = errand->may_repeat,
        .redirects_max = errand->is_streamed ? 0 : errand->hops + (unsigned)draw(run, 0, 1),
    };
    if (errand->is_streamed) {
        request.streamed_size = draw_chance(run, 50) ? (int64_t)errand->body_size : -1;
    } else if (errand->body_size > 0) {
        request.body = body = malloc((size_t)errand->body_size);
        request.body_size = (size_t)errand->body_size;
        CHECK(run, body != NULL);
        sim_content(BODY_CONTENT + errand->number, 0, body, request.body_size);
    }
    struct leat_fetch *fetch = NULL;
    int error = leat_fetch_open(street->client, &request, deadline_ns, &fetch);
    if (!error && errand->is_streamed)
        error = write_body(fetch, street, errand, deadline_ns);
    if (!error && draw_chance(run, 90))
        error = read_answer(fetch, street, errand, deadline_ns);
    leat_fetch_close(fetch);
    if (error)
        check_error(street, errand, error, deadline_ns);
    free(body);
}

static void ask(void *arg)
{
    struct street *street = arg;
    while (street->next < street->errand_count) {
        run_errand(street, &street->errands[street->next++]);
        if (draw_chance(street->run, 40))
            leat_sleep_ms((int64_t)draw(street->run, 0, 50));
    }
}

/* ---- The street ------------------------------------------------------------------------------ */

static uint64_t draw_size(struct sim_run *run)
{
    return draw(run, 0, draw_chance(run, 60) ? 1000 : 50000);
}

static void draw_errand(struct sim_run *run, struct errand *errand, unsigned number)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    *errand = (struct errand){
        .number = number,
        .method = methods[draw(run, 0, 4)],
        .may_repeat = draw_chance(run, 20),
        .says_close = draw_chance(run, 10),
        .answer_size = draw_size(run),
        .framing = (enum framing)draw(run, SIZED, TO_THE_END),
        .fate = draw_chance(run, 80) ? WHOLE : (enum fate)draw(run, BROKEN_OFF, NONSENSE),
        .breaks_at = draw_chance(run, 30) ? 0 : draw(run, 0, 2000),
    };
    errand->is_bodiless = strcmp(errand->method, "HEAD") == 0;
    if (errand->method[0] == 'P') {
        errand->body_size = draw_size(run);
        errand->is_streamed = errand->body_size > 0 && draw_chance(run, 40);
        errand->expects = draw_chance(run, 20);
    }
    if (!errand->is_streamed && draw_chance(run, 20))
        errand->hops = (unsigned)draw(run, 1, 3);
}

static void street_main(void *arg)
{
    struct street *street = arg;
    struct sim_run *run = street->run;
    struct leat_scope askers;
    leat_scope_init(&askers);
    for (uint64_t left = draw(run, 1, ASKERS_MAX); left > 0; left--)
        CHECK(run, leat_spawn(&askers, ask, street, NULL) == 0);
    if (draw_chance(run, 10)) {
        leat_sleep_ms((int64_t)draw(run, 0, 200));
        street->next = street->errand_count;
        street->is_cancelled = true;
        leat_scope_cancel(&askers);
    }
    CHECK(run, leat_scope_join(&askers, LEAT_FOREVER) == 0);
    leat_scope_fini(&askers);
}

static void check_street(const struct street *street)
{
    struct sim_run *run = street->run;
    struct leat_client_counters counters;
    leat_client_counters(street->client, &counters);
    CHECK(run, counters.leased_now == 0 && counters.waiting_now == 0);
    CHECK(run, counters.fetches <= street->errand_count);
    for (unsigned i = 0; i < street->errand_count; i++) {
        const struct errand *errand = &street->errands[i];
        CHECK(run, errand->asked <= (errand->may_repeat || is_idempotent(errand) ? 2 : 1));
    }
}

static void close_calls(struct street *street)
{
    for (unsigned i = 0; i < street->call_count; i++) {
        struct call *call = street->calls[i];
        if (call->peer)
            hang_up(call, false);
        text_fini(&call->heard);
        text_fini(&call->said);
        arena_fini(&call->arena);
        free(call);
    }
}

static void run_fetch(struct sim_run *run)
{
    /* It outlives its loop, which the harness destroys. */
    static struct leat_client *last;
    struct street *street = calloc(1, sizeof *street);
    CHECK(run, street != NULL);
    leat_client_destroy(last);
    *street = (struct street){
        .run = run,
        .site_count = (unsigned)draw(run, 1, SITES_MAX),
        .errand_count = (unsigned)draw(run, 1, ERRANDS_MAX),
        .closes_idle = draw_chance(run, 50) ? 0 : (unsigned)draw(run, 1, 100),
    };
    for (unsigned i = 0; i < street->errand_count; i++)
        draw_errand(run, &street->errands[i], i);
    for (unsigned i = 0; i < street->site_count; i++) {
        const struct leat_address address = local_address((uint16_t)(PORT_FIRST + i));
        CHECK(run,
              sim_peer_listen(run->sim, &address.base, address.size, on_connection, street) == 0);
    }
    const struct leat_client_options options = {
        .connections_per_host_max = draw_chance(run, 30) ? (unsigned)draw(run, 1, 3) : 0,
        .idle_timeout_ms = draw_chance(run, 30) ? (int64_t)draw(run, 1, 100) : 0,
        .uses_max = draw_chance(run, 20) ? (unsigned)draw(run, 1, 3) : 0,
    };
    CHECK(run, leat_client_create(&options, &street->client) == 0);
    run_fiber(run, street_main, street);
    check_street(street);
    close_calls(street);
    last = street->client;
    free(street);
}

const struct scenario scenario_fetch = {
    "fetch", "the HTTP client and servers that close, break off and talk nonsense", run_fetch};
