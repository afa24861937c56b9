/* SPDX-License-Identifier: MIT */
/*
 * The handler of an office: it does what the errand says, checks each byte of the body, and that
 * whatever goes wrong has a reason on the caller's side, or in this world.
 */
#include <stdio.h>

#include "fiber/fiber.h"
#include "leat/error.h"
#include "office.h"

struct work {
    struct errand *errand;
    struct office *office;
    struct sim_run *run;
    struct leat_http_request *request;
    struct leat_http_response *response;
    uint64_t limit; /* of what is to be read */
    bool is_over;   /* cancelled, or broken: returns soon */
};

static int64_t now_of(const struct work *work)
{
    return sim_now_ns(work->run->sim);
}

/* ---- Reasons --------------------------------------------------------------------------------- */

/* May the connection have been lost while its caller still wants something of it? */
static bool may_be_lost(const struct work *work)
{
    const struct caller *caller = work->errand->caller;
    const struct office *office = work->office;
    return may_break(work->run) || may_lack(work->run) || caller->is_gone || caller->was_deaf ||
           (office->closed_ns > 0 && now_of(work) >= office->grace_ns) ||
           sim_read_errors(work->run->sim) > 0;
}

/* Is it cancelled because its time is over? The server has counted from a little earlier. */
static void note_lateness(struct work *work)
{
    struct errand *errand = work->errand;
    const int64_t early_ns = 3 * LEAT_NS_PER_MS + sim_lateness_ns(work->run->sim);
    errand->is_late |= leat_is_cancelled() && errand->deadline_ns != LEAT_FOREVER &&
                       now_of(work) + early_ns >= errand->deadline_ns;
}

/* This fiber was cancelled. */
static void note_cancel(struct work *work)
{
    struct errand *errand = work->errand;
    note_lateness(work);
    CHECK(work->run, errand->is_late || may_be_lost(work));
    errand->is_broken |= errand->has_head_out && !errand->is_head;
    work->is_over = true;
}

/* Does the caller keep its body back, or send it too slowly? */
static bool is_slow(const struct work *work)
{
    const struct errand *errand = work->errand;
    const struct caller *caller = errand->caller;
    const bool holds_back = caller->is_silent || caller->was_deaf || caller->is_gone;
    return caller->has_dripped || may_break(work->run) || may_lack(work->run) ||
           (holds_back && caller->sent < errand->end);
}

static void note_read_error(struct work *work, int error)
{
    struct errand *errand = work->errand;
    const struct caller *caller = errand->caller;
    struct sim_run *run = work->run;
    switch (-error) {
    case ECANCELED: note_cancel(work); return;
    case LEAT_E_LIMIT: CHECK(run, errand->size > errand->size_max); break;
    case LEAT_E_MALFORMED: CHECK(run, errand->flaw == FLAW_CHUNKS); break;
    case ETIMEDOUT:
        CHECK(run, is_slow(work));
        CHECK(run, now_of(work) >=
                       errand->begun_ns + work->office->options.body_timeout_ms * LEAT_NS_PER_MS);
        break;
    case ECONNRESET:
        CHECK(run, may_be_lost(work) || (caller->has_finished && caller->sent < errand->end));
        break;
    default: CHECK(run, may_lack(run) || may_break(run)); break;
    }
    errand->read_error = error;
}

static void note_write_error(struct work *work, int error)
{
    work->errand->is_broken = true;
    work->is_over = true;
    if (error == -ECANCELED)
        note_cancel(work);
    else
        CHECK(work->run, may_be_lost(work));
}

/* ---- Pauses ---------------------------------------------------------------------------------- */

static void sleep_for(struct work *work, int64_t delay_ms)
{
    if (!work->is_over && leat_sleep_ms(delay_ms) != 0)
        note_cancel(work);
}

static void pause_perhaps(struct work *work)
{
    if (draw_chance(work->run, work->errand->pause_chance))
        sleep_for(work, (int64_t)draw(work->run, 0, 5));
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void check_trailer(struct work *work)
{
    struct sim_run *run = work->run;
    const struct errand *errand = work->errand;
    char text[16];
    snprintf(text, sizeof text, "%u", errand->number);
    const struct leat_slice sum = leat_http_trailer(work->request, "x-sum");
    CHECK(run, (sum.data != NULL) == errand->has_trailer);
    CHECK(run, !sum.data || slice_equal(sum, slice_from_text(text)));
    CHECK(run, !leat_http_trailer(work->request, "Content-Type").data);
    CHECK(run, !leat_http_trailer(work->request, "Content-Length").data);
}

static void check_piece(struct work *work, const void *data, size_t size)
{
    struct errand *errand = work->errand;
    CHECK(work->run, sim_content_equal(errand->content, errand->was_read, data, size));
    errand->was_read += size;
    CHECK(work->run, errand->was_read <= errand->size && errand->was_read <= errand->size_max);
    CHECK(work->run, errand->flaw != FLAW_CHUNKS || errand->was_read <= errand->sound);
}

static void check_end(struct work *work)
{
    struct errand *errand = work->errand;
    CHECK(work->run, errand->was_read == errand->size && errand->flaw == FLAW_NONE);
    errand->saw_end = true;
    check_trailer(work);
}

/* At most `size` bytes; the errors of the caller's are noted, our own deadline is tried again. 0:
 * there will be no more. */
static size_t read_piece(struct work *work, char *data, size_t size)
{
    struct sim_run *run = work->run;
    for (;;) {
        /* Not where 100 Continue may be cut in the middle: nothing can follow that. */
        const bool is_hasty = !work->errand->expects && draw_chance(run, 5);
        const int64_t deadline_ns =
            is_hasty ? leat_after_ms((int64_t)draw(run, 0, 3)) : LEAT_FOREVER;
        const ssize_t count = leat_http_read(work->request, data, size, deadline_ns);
        if (count == -ETIMEDOUT && is_hasty && now_of(work) >= deadline_ns) {
            if (leat_yield() == 0)
                continue;
            work->errand->read_error = (int)count; /* the last there was */
            note_cancel(work);
            return 0;
        }
        CHECK(run, count <= (ssize_t)size);
        if (count > 0)
            check_piece(work, data, (size_t)count);
        else if (count == 0)
            check_end(work);
        else
            note_read_error(work, (int)count);
        return count > 0 ? (size_t)count : 0;
    }
}

/* Memory of its own for each piece, as small as it may be, so that a sanitizer sees too much. */
static void read_pieces(void *arg)
{
    struct work *work = arg;
    struct errand *errand = work->errand;
    size_t count = 1;
    while (count > 0 && !work->is_over && errand->was_read < work->limit) {
        const size_t size = (size_t)draw(work->run, 1, errand->piece_max);
        char *data = malloc(size);
        CHECK(work->run, data != NULL);
        count = read_piece(work, data, size);
        free(data);
        pause_perhaps(work);
    }
}

static void read_in_child(struct work *work)
{
    struct leat_scope scope;
    leat_scope_init(&scope);
    const int error = leat_spawn(&scope, read_pieces, work, NULL);
    CHECK(work->run, error == 0);
    if (leat_scope_join(&scope, LEAT_FOREVER) != 0)
        note_cancel(work);
    leat_scope_fini(&scope);
}

static void read_at_once(struct work *work)
{
    struct errand *errand = work->errand;
    struct leat_slice body;
    const size_t most = draw_chance(work->run, 80) ? SIZE_MAX : (size_t)draw(work->run, 0, 3000);
    const int error = leat_http_read_all(work->request, most, LEAT_FOREVER, &body);
    if (error == 0) {
        CHECK(work->run, body.size <= most && body.data[body.size] == '\0');
        check_piece(work, body.data, body.size);
        check_end(work);
        return;
    }
    if (error == -LEAT_E_LIMIT && errand->size > most)
        errand->read_error = error;
    else
        note_read_error(work, error);
}

static void read_body(struct work *work)
{
    struct errand *errand = work->errand;
    const int64_t told = leat_http_body_size(work->request);
    CHECK(work->run, told == (errand->framing == FRAMING_CHUNKED ? -1 : (int64_t)errand->size));
    work->limit = UINT64_MAX;
    switch (errand->reading) {
    case READ_PART:
        work->limit = errand->read_limit;
        read_pieces(work);
        break;
    case READ_ALL: read_pieces(work); break;
    case READ_AT_ONCE: read_at_once(work); break;
    case READ_IN_CHILD: read_in_child(work); break;
    case READ_NOTHING:
    case READ_ECHO:
    case READINGS: break;
    }
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* What is written goes out with this: no more of the body is read before. */
static void note_head(struct work *work)
{
    struct errand *errand = work->errand;
    if (!errand->has_head_out)
        errand->read_before_head = errand->was_read;
    errand->has_head_out = true;
}

/* `size` bytes of the answer: memory, or a range of the file. `*ret_memory` is to be freed. */
static struct leat_vector draw_vector(struct work *work, uint64_t position, uint64_t size,
                                      void **ret_memory)
{
    const struct errand *errand = work->errand;
    const uint64_t offset = errand->reply_offset + position;
    *ret_memory = NULL;
    if (work->office->has_files && draw_chance(work->run, 40))
        return (struct leat_vector){
            .file = work->office->files[errand->file], .offset = offset, .size = size};
    char *memory = malloc(size + 1);
    CHECK(work->run, memory != NULL);
    sim_content(OFFICE_CONTENT + errand->file, offset, memory, size);
    *ret_memory = memory;
    return (struct leat_vector){.data = memory, .size = size};
}

/* Sends `size` bytes, as one piece of memory or as a list. */
static int send_some(struct work *work, uint64_t size)
{
    enum { LIST_MAX = 20 };
    struct leat_vector vectors[LIST_MAX];
    void *memory[LIST_MAX];
    const size_t count = (size_t)draw(work->run, 0, draw_chance(work->run, 10) ? LIST_MAX - 1 : 3);
    uint64_t position = work->errand->written;
    const uint64_t end = position + size;
    for (size_t index = 0; index <= count; index++) {
        const uint64_t left = end - position;
        const uint64_t part = index == count ? left : draw(work->run, 0, left);
        vectors[index] = draw_vector(work, position, part, &memory[index]);
        position += part;
    }
    const int error = count == 0 && memory[0]
                          ? leat_http_write(work->response, memory[0], size, LEAT_FOREVER)
                          : leat_http_send(work->response, vectors, count + 1, LEAT_FOREVER);
    for (size_t index = 0; index <= count; index++)
        free(memory[index]);
    return error;
}

static void write_pieces(struct work *work, uint64_t until)
{
    struct errand *errand = work->errand;
    while (!work->is_over && work->errand->written < until) {
        const uint64_t left = until - work->errand->written;
        const uint64_t size =
            draw(work->run, 1, left < errand->piece_max ? left : errand->piece_max);
        note_head(work);
        const int error = send_some(work, size);
        if (error) {
            note_write_error(work, error);
            return;
        }
        work->errand->written += size;
        CHECK(work->run,
              errand->is_head || leat_http_add_field(work->response, "X-Late", "x") == -EALREADY);
        pause_perhaps(work);
    }
}

static void begin(struct work *work, int64_t size)
{
    struct errand *errand = work->errand;
    const int error = leat_http_begin(work->response, 200, "text/plain", size);
    CHECK(work->run, error == 0);
    CHECK(work->run, leat_http_reply_text(work->response, 200, "x") == -EALREADY);
    errand->told = 200;
}

/* Fewer bytes than promised, more, or an end in the middle. */
static void write_broken(struct work *work)
{
    struct errand *errand = work->errand;
    const uint64_t until = draw(work->run, 0, errand->reply_size);
    if (errand->writing == WRITE_ABORT) {
        if (draw_chance(work->run, 70)) {
            begin(work, draw_chance(work->run, 50) ? (int64_t)errand->reply_size : -1);
            write_pieces(work, until);
        }
        leat_http_abort(work->response);
        errand->is_broken = true;
        return;
    }
    begin(work, (int64_t)errand->reply_size);
    write_pieces(work,
                 errand->writing == WRITE_LESS && until == errand->reply_size ? until - 1 : until);
    if (errand->writing == WRITE_MORE && !work->is_over)
        CHECK(work->run,
              leat_http_write(work->response, "more than that", errand->reply_size + 1 - until,
                              LEAT_FOREVER) == -EMSGSIZE);
    /* A head says how much there would be; nothing of it is sent. */
    errand->is_broken |= !errand->is_head || errand->writing == WRITE_MORE;
}

static void write_vectors(struct work *work)
{
    enum { LIST_MAX = 30 };
    struct leat_vector vectors[LIST_MAX];
    struct errand *errand = work->errand;
    const size_t count = (size_t)draw(work->run, 0, draw_chance(work->run, 10) ? LIST_MAX - 1 : 4);
    uint64_t position = 0;
    for (size_t index = 0; index <= count; index++) {
        const uint64_t left = errand->reply_size - position;
        const uint64_t part = index == count ? left : draw(work->run, 0, left);
        void *memory;
        vectors[index] = draw_vector(work, position, part, &memory);
        if (memory) {
            vectors[index].data = leat_http_alloc(work->request, part + 1);
            CHECK(work->run, vectors[index].data != NULL);
            memcpy((void *)(uintptr_t)vectors[index].data, memory, part);
            free(memory);
        }
        position += part;
    }
    CHECK(work->run,
          leat_http_reply_vectors(work->response, 200, "text/plain", vectors, count + 1) == 0);
    errand->told = 200;
}

static void write_reply(struct work *work)
{
    struct errand *errand = work->errand;
    char *memory = malloc(errand->reply_size + 1);
    CHECK(work->run, memory != NULL);
    sim_content(OFFICE_CONTENT + errand->file, errand->reply_offset, memory, errand->reply_size);
    CHECK(work->run,
          leat_http_reply(work->response, 200, "text/plain", memory, errand->reply_size) == 0);
    free(memory);
    errand->told = 200;
}

static void add_trailers(struct work *work)
{
    for (unsigned index = 0; index < work->errand->trailers; index++) {
        char name[16], value[16];
        snprintf(name, sizeof name, "X-%u", index);
        snprintf(value, sizeof value, "%u", work->errand->number);
        CHECK(work->run, leat_http_add_trailer(work->response, name, value) == 0);
    }
}

static void echo(struct work *work)
{
    struct errand *errand = work->errand;
    const bool is_sized = errand->writing == WRITE_SIZED && errand->framing != FRAMING_CHUNKED;
    size_t count = 1;
    begin(work, is_sized ? (int64_t)errand->size : -1);
    add_trailers(work);
    while (count > 0 && !work->is_over) {
        const size_t size = (size_t)draw(work->run, 1, errand->piece_max);
        char *data = malloc(size);
        CHECK(work->run, data != NULL);
        count = read_piece(work, data, size);
        if (count > 0)
            note_head(work);
        const int error =
            count > 0 ? leat_http_write(work->response, data, count, LEAT_FOREVER) : 0;
        free(data);
        if (error)
            note_write_error(work, error);
        pause_perhaps(work);
    }
    if (errand->saw_end || errand->is_broken)
        return;
    leat_http_abort(work->response); /* who reads it must not take it for all */
    errand->is_broken = true;
}

/* The status that a handler's silence means. */
static int status_of_silence(const struct errand *errand)
{
    switch (-errand->read_error) {
    case LEAT_E_LIMIT: return 413;
    case LEAT_E_MALFORMED: return 400;
    case ETIMEDOUT: return 408;
    default: return errand->is_late ? 503 : 500;
    }
}

static void write_answer(struct work *work)
{
    struct errand *errand = work->errand;
    switch (errand->writing) {
    case WRITE_NOTHING: break;
    case WRITE_STATUS:
        (void)leat_http_reply_error(work->response, errand->status);
        errand->told = errand->status;
        break;
    case WRITE_REPLY: write_reply(work); break;
    case WRITE_VECTORS: write_vectors(work); break;
    case WRITE_SIZED:
        begin(work, (int64_t)errand->reply_size);
        write_pieces(work, errand->reply_size);
        break;
    case WRITE_CHUNKED:
        begin(work, -1);
        add_trailers(work);
        write_pieces(work, errand->reply_size);
        break;
    case WRITE_LESS:
    case WRITE_MORE:
    case WRITE_ABORT: write_broken(work); break;
    case WRITINGS: break;
    }
}

/* ---- The handler ----------------------------------------------------------------------------- */

static void set_limits(struct work *work)
{
    struct errand *errand = work->errand;
    const struct leat_http_options *options = &work->office->options;
    errand->deadline_ns = LEAT_FOREVER;
    if (options->handler_timeout_ms > 0)
        errand->deadline_ns = leat_after_ms(options->handler_timeout_ms);
    if (errand->deadline_ms > 0) {
        errand->deadline_ns = leat_after_ms(errand->deadline_ms);
        leat_http_set_deadline(work->request, errand->deadline_ns);
    }
    if (errand->size_max != options->body_size_max)
        leat_http_set_body_size_max(work->request, errand->size_max);
}

/* It is time enough for a deadline to pass, if there is one. */
static void oversleep(struct work *work)
{
    const struct errand *errand = work->errand;
    if (!errand->sleeps_long || work->is_over || errand->deadline_ns == LEAT_FOREVER)
        return;
    const int error = leat_sleep_until(errand->deadline_ns + 10 * LEAT_NS_PER_S);
    CHECK(work->run, error == -ECANCELED);
    note_cancel(work);
}

/* Without 100 Continue, or with a part of it, nothing can be replied. */
static bool is_cut_in_continue(const struct work *work)
{
    const int error = work->errand->read_error;
    return work->errand->expects && error != 0 &&
           (error == -ECONNRESET || may_break(work->run) || may_lack(work->run));
}

static void do_errand(struct work *work)
{
    struct errand *errand = work->errand;
    set_limits(work);
    if (errand->before_ms > 0)
        sleep_for(work, errand->before_ms);
    if (!work->is_over && errand->reading == READ_ECHO) {
        echo(work);
        return;
    }
    if (!work->is_over)
        read_body(work);
    if (errand->deadline_ms % 2 == 0)
        oversleep(work);
    if (work->is_over || (errand->read_error && !errand->perseveres) || is_cut_in_continue(work))
        return;
    write_answer(work);
    if (errand->told && !errand->has_head_out && draw_chance(work->run, 10))
        oversleep(work);
}

void clerk_handle(struct leat_http_request *request, struct leat_http_response *response,
                  void *user)
{
    struct office *office = user;
    struct sim_run *run = office->run;
    const struct leat_slice path = leat_http_path(request);
    char text[16] = {0};
    unsigned number;
    CHECK(run, path.size < sizeof text);
    memcpy(text, path.data, path.size);
    CHECK(run, sscanf(text, "/e/%u", &number) == 1 && number > 0 && number <= office->errand_count);
    struct errand *errand = office->errands[number];
    struct caller *caller = errand->caller;
    struct work work = {
        .errand = errand, .office = office, .run = run, .request = request, .response = response};
    /* In the order they were asked for, each once, and not too many at a time. */
    CHECK(run, errand->handled++ == 0 && caller->sent >= errand->head_end);
    CHECK(run, errand == caller->errands || (errand - 1)->has_returned);
    office->handled++;
    const bool is_counted = !caller->is_gone; /* who has gone has no address any more */
    office->working[caller->host] += is_counted;
    CHECK(run, office->options.connections_per_address_max == 0 || may_break(run) ||
                   office->working[caller->host] <= office->options.connections_per_address_max);
    errand->handled_ns = now_of(&work);
    do_errand(&work);
    CHECK(run, memcmp(leat_http_path(request).data, text, path.size) == 0);
    office->working[caller->host] -= is_counted;
    if (!errand->has_head_out)
        errand->read_before_head = errand->was_read;
    note_lateness(&work);
    errand->is_broken |= errand->told == 0 && errand->read_error == -ECONNRESET;
    if (errand->told == 0 && !errand->is_broken)
        errand->told = status_of_silence(errand);
    errand->has_returned = true;
}
