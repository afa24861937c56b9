/* SPDX-License-Identifier: MIT */
/*
 * A reader: asks for loans one behind the other or several at a time, over a link that may be slow,
 * decodes what comes as it comes, and holds each byte against the text. Readers pause, stop
 * reading for a while, turn away at any byte, and do not always take what they said they would.
 */
#include <stdio.h>

#include "codec/decoder.h"
#include "draft.h"
#include "http/body.h"
#include "library.h"
#include "wire/http1.h"

enum { SLOW_RATE_MAX = 100 * 1000, CLEAR_SIZE_MIN = 24 * 1024, PLAIN_SIZE_MIN = 1101 };

struct reader {
    struct library *library;
    struct sim_peer *peer; /* NULL: not connected */
    unsigned calls_to_come;
    unsigned next, last; /* to be asked for */
    unsigned reading,
        asked;      /* asked for on this connection, and not answered yet: [reading, asked) */
    unsigned depth; /* of these at a time */
    uint64_t rate;
    struct draft in, out;
    size_t read, sent;
    size_t vanishes_at; /* bytes, either way; 0: never */
    uint64_t bytes;
    uint64_t answered; /* on this connection */
    bool has_head, keeps, is_part;
    int status;
    struct body body;
    struct arena arena;
    struct decoder *decoder; /* NULL: the answer is not coded */
    bool has_text_ended;
    int64_t pauses_until_ns;
};

static void go_on(struct reader *reader);

static void on_time(struct sim *sim, void *user)
{
    struct reader *reader = user;
    (void)sim;
    reader->calls_to_come--;
    go_on(reader);
}

static void call_later(struct reader *reader, int64_t delay_ms)
{
    struct sim *sim = reader->library->run->sim;
    reader->calls_to_come++;
    sim_at(sim, sim_now_ns(sim) + delay_ms * LEAT_NS_PER_MS, on_time, reader);
}

static struct loan *loan_of(struct reader *reader)
{
    return reader->reading < reader->asked ? &reader->library->loans[reader->reading] : NULL;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void ask(struct reader *reader)
{
    struct loan *loan = &reader->library->loans[reader->next++];
    const char *accept = library_accepts[loan->accept].lines;
    struct draft *out = &reader->out;
    if (reader->sent == out->size)
        reader->sent = out->size = 0;
    reader->asked = reader->next;
    draft_say(out, "%s /%u HTTP/1.%d\r\nHost: here\r\n", loan->is_head ? "HEAD" : "GET",
              loan->number, loan->is_old ? 0 : 1);
    if (accept)
        draft_say(out, "Accept-Encoding: %s\r\n", accept);
    if (loan->has_range)
        draft_say(out, "Range: bytes=%llu-%llu\r\n", (unsigned long long)loan->first,
                  (unsigned long long)loan->last);
    loan->has_tag_said = loan->again && loan->again->tag[0];
    if (loan->has_tag_said)
        draft_say(out, "If-None-Match: %s\r\n", loan->again->tag);
    draft_say(out, "\r\n");
}

/* ---- The head -------------------------------------------------------------------------------- */

static bool has_coding_in_vary(const struct http1_response *response)
{
    for (unsigned line = 0; line < response->head.line_count; line++)
        if (response->head.lines[line].field == HTTP1_FIELD_VARY &&
            slice_equal_nocase(response->head.lines[line].value, SLICE("Accept-Encoding")))
            return true;
    return false;
}

static enum leat_codec codec_of(const struct reader *reader, struct leat_slice value)
{
    for (enum leat_codec codec = LEAT_CODEC_ZSTD; codec < LEAT_CODEC_LZ4; codec++)
        if (slice_equal(value, codec_name(codec)))
            return codec;
    CHECK(reader->library->run, value.data == NULL);
    return LEAT_CODEC_NONE;
}

/* Is there a right answer to the question whether it is coded? Forced, or a clear case: a text on a
 * link that is known to be slow; and what gains nothing is left. */
static void check_choice(const struct reader *reader, const struct loan *loan)
{
    const struct library *library = reader->library;
    const struct leat_compress_policy *policy = loan_policy(library, loan);
    unsigned codecs = library_accepts[loan->accept].codecs;
    if (policy->codec != LEAT_CODEC_NONE)
        codecs &= CODEC_BIT(policy->codec);
    const bool is_coded = loan->codec != LEAT_CODEC_NONE;
    CHECK(library->run, !is_coded || (codecs & CODEC_BIT(loan->codec)) != 0);
    CHECK(library->run, !is_coded || loan_may_be_coded(library, loan));
    /* Where one says "gzip;q=2" nobody knows what he means; who likes identity best gets it. */
    const char *accept = library_accepts[loan->accept].lines;
    if (codecs == 0 || strstr(accept, "q=2") || strstr(accept, "identity;q=1") ||
        !loan_may_be_coded(library, loan) || library->is_full || !library_is_kind(library) ||
        loan->size < CLEAR_SIZE_MIN || loan->text != LOAN_WORDS)
        return;
    const bool is_slow = reader->rate > 0 && reader->rate <= SLOW_RATE_MAX &&
                         reader->answered > 0 && reader->depth == 1 &&
                         loan->way < LOAN_SIZED; /* a first piece may say little */
    if (policy->mode == LEAT_COMPRESS_FIXED || is_slow)
        CHECK(library->run, is_coded);
}

static void check_tag(struct reader *reader, struct loan *loan,
                      const struct http1_response *response)
{
    struct sim_run *run = reader->library->run;
    const struct leat_slice tag = http1_value(&response->head, HTTP1_FIELD_ETAG);
    const bool has_own = loan->way == LOAN_CONTENT || loan->has_tag;
    CHECK(run, has_own == (tag.data != NULL));
    if (!has_own)
        return;
    CHECK(run, tag.size < sizeof loan->tag && tag.size > 2);
    memcpy(loan->tag, tag.data, tag.size);
    loan->tag[tag.size] = '\0';
    const bool is_weak = slice_starts_with(tag, SLICE("W/"));
    char text[LOAN_TAG_MAX];
    snprintf(text, sizeof text, "\"t%llu", (unsigned long long)loan->content);
    CHECK(run, strstr(loan->tag, text) == loan->tag + (is_weak ? 2 : 0));
    if (loan->status != 304)
        CHECK(run, is_weak == (loan->codec != LEAT_CODEC_NONE));
}

static bool is_not_modified(const struct reader *reader, const struct loan *loan)
{
    const struct loan *again = loan->again;
    struct sim_run *run = reader->library->run;
    /* Who says the same again gets the same again: he has it. */
    if (loan->has_tag_said && again->is_whole && again->accept == loan->accept)
        CHECK(run, reader->status == 304);
    if (reader->status != 304)
        return false;
    CHECK(run, loan->way == LOAN_CONTENT && loan->has_tag_said);
    return true;
}

static void check_head(struct reader *reader, struct loan *loan,
                       const struct http1_response *response)
{
    const struct library *library = reader->library;
    struct sim_run *run = library->run;
    const struct http1_head *head = &response->head;
    const struct leat_slice coding = http1_value(head, HTTP1_FIELD_CONTENT_ENCODING);
    const bool is_known = is_not_modified(reader, loan);
    reader->is_part = response->status == 206;
    if (loan->is_coded_already)
        CHECK(run, loan->has_range || loan->again || slice_equal(coding, SLICE("x-own")));
    loan->codec = loan->is_coded_already ? LEAT_CODEC_NONE : codec_of(reader, coding);
    if (is_known) {
        CHECK(run, !loan->codec && !head->has_content_length && !head->is_chunked);
    } else if (reader->is_part) {
        CHECK(run, loan->has_range && loan->way == LOAN_CONTENT && !loan->codec);
    } else {
        CHECK(run, response->status == loan->status);
    }
    if (!is_known && !reader->is_part) {
        check_choice(reader, loan);
        check_tag(reader, loan, response);
    }
    if (loan->codec != LEAT_CODEC_NONE) {
        CHECK(run, has_coding_in_vary(response));
        CHECK(run, !http1_value(head, HTTP1_FIELD_ACCEPT_RANGES).data);
        CHECK(run, !library->is_full || !head->is_chunked || loan->is_head);
        CHECK(run, !loan->is_head || !head->has_content_length); /* nobody has coded it */
    } else if (!loan->is_coded_already && !reader->is_part && !is_known) {
        CHECK(run, !head->has_content_length || head->content_length == loan->size);
    }
    if (loan_may_be_coded(library, loan) && loan->size >= PLAIN_SIZE_MIN)
        CHECK(run, has_coding_in_vary(response));
}

static bool take_head(struct reader *reader)
{
    struct sim_run *run = reader->library->run;
    struct loan *loan = loan_of(reader);
    struct http1_response response;
    const struct leat_slice input =
        slice_of(reader->in.data + reader->read, reader->in.size - reader->read);
    const int size = input.size > 0 ? http1_parse_response(input, 0, NULL, &response) : 0;
    CHECK(run, size >= 0);
    if (size == 0)
        return false;
    CHECK(run, loan != NULL && loan->handled > 0);
    reader->read += (size_t)size;
    reader->has_head = true;
    reader->status = response.status;
    reader->keeps = response.head.keep_alive;
    /* What could not be had, because this world has no more of it, or as the desk broke off before
     * it had said anything. */
    if (response.status >= 500) {
        CHECK(run, !library_is_kind(reader->library));
        loan->codec = LEAT_CODEC_NONE;
    } else {
        check_head(reader, loan, &response);
    }
    body_init_of_response(&reader->body, &response, loan->is_head, &reader->arena);
    reader->has_text_ended = false;
    if (loan->codec != LEAT_CODEC_NONE && reader->body.state != BODY_DONE)
        CHECK(run, decoder_create(loan->codec, &reader->decoder) == 0);
    return true;
}

/* ---- The body -------------------------------------------------------------------------------- */

static void take_text(struct reader *reader, struct loan *loan, const char *data, size_t size)
{
    struct sim_run *run = reader->library->run;
    const uint64_t first = reader->is_part ? loan->first : 0;
    if (reader->status >= 500)
        return;
    CHECK(run, first + loan->decoded + size <= loan->size);
    CHECK(run, loan_has_bytes(loan, first + loan->decoded, data, size));
    loan->decoded += size;
}

static void decode(struct reader *reader, struct loan *loan, struct leat_slice piece)
{
    struct sim_run *run = reader->library->run;
    int result = 1;
    CHECK(run, !reader->has_text_ended); /* nothing follows a text */
    while (result == 1 || piece.size > 0) {
        char text[4096];
        size_t size = 0;
        result =
            decoder_run(reader->decoder, &piece, text, (size_t)draw(run, 1, sizeof text), &size);
        CHECK(run, result >= 0);
        take_text(reader, loan, text, size);
        reader->has_text_ended = result == 2;
        CHECK(run, result != 2 || piece.size == 0);
    }
}

static void take_body(struct reader *reader)
{
    struct sim_run *run = reader->library->run;
    struct loan *loan = loan_of(reader);
    struct leat_slice piece,
        input = slice_of(reader->in.data + reader->read, reader->in.size - reader->read);
    int result;
    while ((result = body_next(&reader->body, &input, &piece)) > 0) {
        if (reader->decoder)
            decode(reader, loan, piece);
        else
            take_text(reader, loan, piece.data, piece.size);
    }
    CHECK(run, result == 0);
    reader->read = reader->in.size - input.size;
}

/* The answer ends as an answer does. */
static void finish(struct reader *reader)
{
    struct library *library = reader->library;
    struct loan *loan = loan_of(reader);
    loan->is_whole = true;
    if (reader->decoder) {
        CHECK(library->run, reader->has_text_ended && loan->decoded == loan->size);
        library->coded_seen++;
    } else if (reader->is_part) {
        CHECK(library->run, loan->is_head || loan->decoded == loan->last - loan->first + 1);
    } else if (reader->status < 300 || reader->status == loan->status) {
        CHECK(library->run, loan->is_head || loan->decoded == loan->size);
    }
    CHECK(library->run, !loan_is_cut(loan) || loan->is_head || reader->status >= 300);
    decoder_destroy(reader->decoder);
    reader->decoder = NULL;
    reader->has_head = false;
    reader->reading++;
    reader->answered++;
}

/* ---- The connection -------------------------------------------------------------------------- */

static void hang_up(struct reader *reader, bool is_reset)
{
    if (is_reset)
        sim_peer_reset(reader->peer);
    else
        sim_peer_close(reader->peer);
    reader->peer = NULL;
    while (loan_of(reader))
        reader->library->loans[reader->reading++].is_left = true;
    decoder_destroy(reader->decoder);
    reader->decoder = NULL;
    reader->has_head = false;
    reader->in.size = reader->read = reader->out.size = reader->sent = 0;
    reader->answered = 0;
}

/* What is broken off takes with it what is on its way before it. */
static bool may_be_left(const struct reader *reader)
{
    for (unsigned number = reader->reading; number < reader->asked; number++)
        if (loan_is_cut(&reader->library->loans[number]))
            return true;
    return false;
}

/* The library has ended the connection: with its answer where that ends so, or because the desk
 * could not go on. */
static void was_left(struct reader *reader, bool is_gently)
{
    struct library *library = reader->library;
    struct loan *loan = loan_of(reader);
    if (loan && reader->has_head && is_gently && reader->body.state == BODY_TO_THE_END) {
        /* Of these an end may not be the end: who is not coded cannot tell. */
        if (reader->decoder ? reader->has_text_ended : loan->decoded == loan->size)
            finish(reader);
        loan = loan_of(reader);
    }
    const struct loan *previous = reader->reading > 0 ? &library->loans[reader->reading - 1] : NULL;
    /* What was asked for behind an answer that ends the connection is not answered. */
    const bool is_behind = previous && reader->answered > 0 && !reader->keeps && !reader->has_head;
    if (loan && !is_behind)
        CHECK(library->run, may_be_left(reader) || !library_is_kind(library));
    hang_up(reader, false);
}

static bool has_vanished(struct reader *reader, size_t size)
{
    reader->bytes += size;
    if (reader->vanishes_at == 0 || reader->bytes < reader->vanishes_at)
        return false;
    hang_up(reader, draw_chance(reader->library->run, 50));
    reader->vanishes_at = 0;
    return true;
}

static void take_answers(struct reader *reader)
{
    struct sim_run *run = reader->library->run;
    while (reader->has_head || take_head(reader)) {
        take_body(reader);
        if (reader->body.state != BODY_DONE)
            return;
        const bool is_cut = loan_is_cut(loan_of(reader));
        finish(reader);
        if (!reader->keeps || is_cut) { /* a head may be whole where its body would not be */
            CHECK(run, reader->read == reader->in.size);
            hang_up(reader, false);
            return;
        }
    }
}

static void receive(struct reader *reader)
{
    struct sim_run *run = reader->library->run;
    char bytes[8192];
    while (reader->peer && sim_now_ns(run->sim) >= reader->pauses_until_ns) {
        const ssize_t size = sim_peer_recv(reader->peer, bytes, (size_t)draw(run, 1, sizeof bytes));
        if (size == -EAGAIN)
            return;
        if (size <= 0) {
            was_left(reader, size == 0);
            return;
        }
        CHECK(run, loan_of(reader) != NULL); /* nobody asked for anything */
        if (reader->read == reader->in.size)
            reader->read = reader->in.size = 0;
        draft_append(&reader->in, bytes, (size_t)size);
        take_answers(reader);
        if (reader->peer && has_vanished(reader, (size_t)size))
            return;
        if (draw_chance(run, 3)) {
            const int64_t pause_ms = (int64_t)draw(run, 1, draw_chance(run, 10) ? 20000 : 300);
            reader->pauses_until_ns = sim_now_ns(run->sim) + pause_ms * LEAT_NS_PER_MS;
            call_later(reader, pause_ms);
            return;
        }
    }
}

static void deliver(struct reader *reader)
{
    struct sim_run *run = reader->library->run;
    while (reader->peer && reader->sent < reader->out.size) {
        const size_t left = reader->out.size - reader->sent;
        const size_t size = draw_chance(run, 60) ? left : (size_t)draw(run, 1, left);
        const ssize_t sent = sim_peer_send(reader->peer, reader->out.data + reader->sent, size);
        if (sent == -EAGAIN)
            return;
        if (sent < 0) {
            was_left(reader, false);
            return;
        }
        reader->sent += (size_t)sent;
        if (has_vanished(reader, (size_t)sent))
            return;
    }
}

static void on_event(struct sim_peer *peer, void *user)
{
    (void)peer;
    go_on(user);
}

static void connect_to_library(struct reader *reader)
{
    const struct leat_address *address = &reader->library->address;
    struct sim_run *run = reader->library->run;
    reader->peer = sim_peer_connect(run->sim, &address->base, address->size, on_event, reader);
    sim_peer_set_rate(reader->peer, reader->rate);
    reader->bytes = 0;
    reader->vanishes_at = draw_chance(run, 15) ? (size_t)draw(run, 1, 20000) : 0;
}

/* May one more be asked for? Not behind what ends the connection, nor before the tag that it names
 * has come. */
static bool may_ask(const struct reader *reader)
{
    const struct library *library = reader->library;
    if (reader->next > reader->last || reader->asked - reader->reading >= reader->depth)
        return false;
    const struct loan *previous = reader->next > 0 ? &library->loans[reader->next - 1] : NULL;
    const struct loan *next = &library->loans[reader->next];
    if (reader->asked == reader->reading)
        return true;
    return !previous->is_old && !loan_is_cut(previous) && !next->again;
}

static void go_on(struct reader *reader)
{
    if (reader->peer)
        receive(reader);
    if (reader->peer)
        deliver(reader);
    while (may_ask(reader)) {
        if (!reader->peer)
            connect_to_library(reader);
        ask(reader);
        deliver(reader);
    }
    if (loan_of(reader) || reader->next <= reader->last)
        return;
    if (reader->peer)
        hang_up(reader, false);
    if (reader->calls_to_come > 0)
        return;
    reader->library->readers_left--;
    arena_fini(&reader->arena);
    draft_fini(&reader->in);
    draft_fini(&reader->out);
    free(reader);
}

void reader_start(struct library *library, unsigned first, unsigned last)
{
    static const uint64_t rates[] = {0, 3000, 20000, 100000, 1000000, 10000000};
    struct reader *reader = calloc(1, sizeof *reader);
    CHECK(library->run, reader != NULL);
    reader->library = library;
    reader->next = reader->reading = reader->asked = first;
    reader->last = last;
    reader->depth = draw_chance(library->run, 30) ? (unsigned)draw(library->run, 2, 8) : 1;
    reader->rate = rates[draw(library->run, 0, sizeof rates / sizeof *rates - 1)];
    reader->in.run = reader->out.run = library->run;
    arena_init(&reader->arena, NULL);
    library->readers_left++;
    call_later(reader, (int64_t)draw(library->run, 0, 50));
}
