/* SPDX-License-Identifier: MIT */
/*
 * What errands are, and the bytes that ask for them.
 */
#include "http/conn.h"
#include "office.h"

/* ---- Bodies ---------------------------------------------------------------------------------- */

static uint64_t draw_size(struct sim_run *run)
{
    const uint64_t kind = draw(run, 0, 99);
    if (kind < 4)
        return draw(run, CONN_SKIP_MAX - 2000, CONN_SKIP_MAX + 60000);
    return kind < 65 ? draw(run, 0, 3000) : draw(run, 0, kind < 92 ? 30000 : 150000);
}

static void say_chunk_head(struct draft *draft, size_t size)
{
    static const char *const extensions[] = {"",   "",     "",        "",        "",
                                             ";a", ";a=b", ";a=\"\"", "; a=b;c", ";a=\"\\\";\""};
    const char *extension =
        extensions[draw(draft->run, 0, sizeof extensions / sizeof *extensions - 1)];
    const char *const format = draw_chance(draft->run, 50) ? "%zx%s\r\n" : "%03zX%s\r\n";
    /* Framing must not be much more than what it frames. */
    if (format[1] == 'z')
        draft_say(draft, "%zx%s\r\n", size, size > 4 ? extension : "");
    else
        draft_say(draft, "%03zX%s\r\n", size, size > 4 ? extension : "");
}

/* `until` bytes of the body, in chunks; the last chunk is not among them. */
static void say_chunks(struct draft *draft, const struct errand *errand, uint64_t until)
{
    const uint64_t most = draw_chance(draft->run, 20) ? 3 : draw(draft->run, 4, 20000);
    uint64_t offset = 0;
    while (offset < until) {
        const uint64_t left = until - offset;
        /* Not too many of them: a seed is to be quick. */
        const uint64_t limit = offset < 600 ? most : most + 2000;
        const size_t size = (size_t)draw(draft->run, 1, left < limit ? left : limit);
        say_chunk_head(draft, size);
        draft_content(draft, errand->content, offset, size);
        draft_say(draft, "\r\n");
        offset += size;
    }
}

static void say_trailer(struct draft *draft, const struct errand *errand)
{
    draft_say(draft, "%s\r\n", draw_chance(draft->run, 50) ? "0" : "000;last");
    if (errand->has_trailer)
        draft_say(draft, "Content-Type: text/html\r\nX-Sum:  %u \r\n%s\r\n", errand->number,
                  draw_chance(draft->run, 30) ? "Content-Length: 3\r\n" : "");
    else
        draft_say(draft, "\r\n");
}

/* What ends no chunk and begins none. */
static void say_flaw(struct draft *draft)
{
    static const char *const flaws[] = {
        "g\r\n",
        "-5\r\nhello\r\n",
        "5\nhello\r\n",
        "\r\n",
        "fffffffffffffffff\r\n",
        ";a\r\n",
        "0\r\nBad Trailer: x\r\n\r\n",
        "0\r\n: x\r\n\r\n",
        "0x5\r\n",
        "0\r\n folded\r\n\r\n",
        "0\r\nA: b\n\r\n",
    };
    draft_say(draft, "%s", flaws[draw(draft->run, 0, sizeof flaws / sizeof *flaws - 1)]);
    if (draw_chance(draft->run, 60))
        draft_fill(draft, (size_t)draw(draft->run, 1, 9000));
}

static void say_body(struct draft *draft, const struct errand *errand)
{
    switch (errand->framing) {
    case FRAMING_NONE: break;
    case FRAMING_SIZED: draft_content(draft, errand->content, 0, (size_t)errand->size); break;
    case FRAMING_CHUNKED:
        say_chunks(draft, errand, errand->flaw == FLAW_CHUNKS ? errand->sound : errand->size);
        if (errand->flaw == FLAW_CHUNKS)
            say_flaw(draft);
        else
            say_trailer(draft, errand);
        break;
    }
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void draw_request(struct errand *errand, const struct office *office)
{
    struct sim_run *run = office->run;
    const uint64_t framing = errand->caller->has_no_bodies ? 0 : draw(run, 0, 99);
    errand->is_old = draw_chance(run, 8);
    errand->framing = framing < 40                     ? FRAMING_NONE
                      : framing < 70 || errand->is_old ? FRAMING_SIZED
                                                       : FRAMING_CHUNKED;
    errand->is_head = errand->framing == FRAMING_NONE && draw_chance(run, 12);
    errand->content = errand->number;
    if (errand->framing != FRAMING_NONE) {
        errand->size = draw_size(run);
        errand->expects = !errand->is_old && errand->size > 0 && draw_chance(run, 20);
        errand->waits = errand->expects && draw_chance(run, 50);
    }
    if (errand->framing == FRAMING_CHUNKED) {
        errand->has_trailer = draw_chance(run, 30);
        if (!office->is_gentle && draw_chance(run, 8))
            errand->flaw = FLAW_CHUNKS;
        errand->sound = draw(run, 0, errand->size);
    } else if (!office->is_gentle && draw_chance(run, 2)) {
        errand->flaw = FLAW_HEAD;
    }
    if (errand->flaw == FLAW_HEAD)
        errand->is_head = false; /* nobody will know */
    errand->is_last = errand->is_old || errand->flaw != FLAW_NONE || draw_chance(run, 4);
}

static void say_request(struct draft *draft, struct errand *errand, unsigned head_size_max)
{
    struct sim_run *run = draft->run;
    errand->begin = draft->size;
    draft_say(draft, "%s /e/%u HTTP/1.%d\r\nHost: example.org\r\n",
              errand->framing != FRAMING_NONE ? "POST"
              : errand->is_head               ? "HEAD"
                                              : "GET",
              errand->number, errand->is_old ? 0 : 1);
    if (errand->framing == FRAMING_SIZED)
        draft_say(draft, "Content-Length: %llu\r\n", (unsigned long long)errand->size);
    else if (errand->framing == FRAMING_CHUNKED)
        draft_say(draft, "Transfer-Encoding: Chunked\r\n");
    if (errand->expects)
        draft_say(draft, "Expect: 100-Continue\r\n");
    if (errand->is_last && !errand->is_old)
        draft_say(draft, "Connection: close\r\n");
    /* Up to the limit, or beyond it. */
    const size_t rest = head_size_max - (draft->size - errand->begin) - 4;
    draft_say(draft, "F: ");
    if (errand->flaw == FLAW_HEAD)
        draft_fill(draft, rest + (size_t)draw(run, 0, 3000));
    else
        draft_fill(draft, draw_chance(run, 5) ? rest - 3 : (size_t)draw(run, 0, 60));
    draft_say(draft, "\r\n\r\n");
    errand->head_end = draft->size;
    CHECK(run, (errand->head_end - errand->begin > head_size_max) == (errand->flaw == FLAW_HEAD));
    say_body(draft, errand);
    errand->end = draft->size;
}

/* ---- Handlers -------------------------------------------------------------------------------- */

static void draw_reply(struct errand *errand, const struct office *office)
{
    struct sim_run *run = office->run;
    static const int statuses[] = {400, 403, 404, 409, 422, 500, 501};
    const bool is_cruel = !office->is_gentle && draw_chance(run, 12);
    errand->writing = (enum writing)(is_cruel ? draw(run, WRITE_LESS, WRITE_ABORT)
                                              : draw(run, WRITE_NOTHING, WRITE_CHUNKED));
    if (errand->is_old && !is_cruel && draw_chance(run, 50))
        errand->writing = WRITE_CHUNKED; /* which ends with the connection */
    errand->status = errand->writing == WRITE_STATUS
                         ? statuses[draw(run, 0, sizeof statuses / sizeof *statuses - 1)]
                         : 200;
    errand->file = (unsigned)draw(run, 0, OFFICE_FILES - 1);
    errand->reply_size = draw(run, 0,
                              draw_chance(run, 20)   ? 90000
                              : draw_chance(run, 50) ? 400
                                                     : 9000);
    errand->reply_offset = draw(run, 0, OFFICE_FILE_SIZE - errand->reply_size);
    if (errand->writing == WRITE_LESS && errand->reply_size == 0)
        errand->reply_size = 1;
    errand->trailers = draw_chance(run, 30) ? (unsigned)draw(run, 1, 4) : 0;
}

static void draw_handler(struct errand *errand, const struct office *office)
{
    struct sim_run *run = office->run;
    draw_reply(errand, office);
    errand->reading = (enum reading)draw(run, READ_NOTHING, READINGS - 1);
    if (errand->reading == READ_ECHO)
        errand->writing = draw_chance(run, 50) ? WRITE_CHUNKED : WRITE_SIZED;
    errand->read_limit = draw(run, 0, errand->size + errand->size / 4);
    const bool is_small = errand->size < 4000 && errand->reply_size < 4000;
    errand->piece_max = is_small && draw_chance(run, 50) ? 100
                        : draw_chance(run, 60)           ? 5000
                                                         : 40000;
    errand->pause_chance = draw_chance(run, 30) ? 20 : 0;
    errand->before_ms = draw_chance(run, 25) ? (int64_t)draw(run, 0, 60) : 0;
    errand->size_max = office->options.body_size_max;
    errand->perseveres = draw_chance(run, 30);
    if (office->is_gentle)
        return;
    if (draw_chance(run, 8))
        errand->size_max = draw(run, 0, 2 * errand->size);
    if (draw_chance(run, 8))
        errand->deadline_ms = (int64_t)draw(run, 20, 300);
    errand->sleeps_long =
        (errand->deadline_ms > 0 || office->options.handler_timeout_ms > 0) && draw_chance(run, 40);
}

void errand_draw(struct caller *caller)
{
    struct office *office = caller->office;
    CHECK(office->run, caller->count < ERRANDS_MAX);
    struct errand *errand = &caller->errands[caller->count++];
    *errand = (struct errand){.caller = caller, .number = ++office->errand_count};
    office->errands[errand->number] = errand;
    draw_request(errand, office);
    draw_handler(errand, office);
    say_request(&caller->draft, errand, office->options.head_size_max);
}
