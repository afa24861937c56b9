/* SPDX-License-Identifier: MIT */
/*
 * See office.h.
 */
#include "office.h"

#include <stdio.h>

#include "base/clock.h"
#include "net/file.h"

/* ---- Records --------------------------------------------------------------------------------- */

static struct errand *find_errand(const struct office *office, struct leat_slice target)
{
    char text[16] = {0};
    unsigned number;
    CHECK(office->run, target.size < sizeof text);
    memcpy(text, target.data, target.size);
    CHECK(office->run,
          sscanf(text, "/e/%u", &number) == 1 && number > 0 && number <= office->errand_count);
    return office->errands[number];
}

static void on_done(const struct leat_http_record *record, void *user)
{
    struct office *office = user;
    struct sim_run *run = office->run;
    office->records++;
    office->sent += record->sent;
    office->duration_ns += (uint64_t)record->duration_ns;
    office->statuses[record->status / 100]++;
    CHECK(run, record->duration_ns >= 0 && leat_address_family(record->peer) != AF_UNSPEC);
    CHECK(run, record->status > 0 || record->is_broken);
    if (!record->target.data) {
        CHECK(run, record->status == 408 || record->status == 431 || record->is_broken);
        office->heads_refused++;
        return;
    }
    struct errand *errand = find_errand(office, record->target);
    CHECK(run, errand->records++ == 0);
    if (errand->handled == 0) {
        CHECK(run, record->status == 503 || record->is_broken);
        office->requests_refused++;
    } else {
        CHECK(run, errand->has_returned && record->minor_version == !errand->is_old);
        CHECK(run, errand->reading == READ_AT_ONCE || record->body_received == errand->was_read);
        CHECK(run, record->status == 0 || record->status == errand->told);
    }
    errand->record_status = record->status;
    errand->record_is_broken = record->is_broken;
    errand->record_sent = record->sent;
}

static void check_record(const struct errand *errand)
{
    struct sim_run *run = errand->caller->office->run;
    /* Who asked and was heard is in the log, and nobody else. */
    CHECK(run, errand->records >= errand->handled);
    const bool had_no_head = errand->flaw == FLAW_HEAD || errand->caller->is_told_late;
    if (!errand->is_whole || (had_no_head && errand->handled == 0))
        return;
    CHECK(run, errand->records == 1 && errand->record_status == errand->seen);
    CHECK(run, errand->record_sent >= errand->taken);
    if (!errand->record_is_broken)
        CHECK(run, errand->record_sent == errand->taken);
    /* What broke off may look whole in one case: the promised bytes were all there. */
    const bool is_echo = errand->reading == READ_ECHO;
    const bool is_sized =
        errand->writing != WRITE_CHUNKED && (!is_echo || errand->framing != FRAMING_CHUNKED);
    const bool has_all = is_sized && (is_echo ? errand->saw_end || errand->was_read == errand->size
                                              : errand->written == errand->reply_size);
    CHECK(run, !errand->is_broken || errand->is_head || has_all);
}

void office_check_records(const struct office *office)
{
    for (unsigned number = 1; number <= office->errand_count; number++)
        check_record(office->errands[number]);
    for (unsigned host = 0; host < OFFICE_HOSTS; host++)
        CHECK(office->run, office->working[host] == 0);
}

/* The server is about to go. */
static void on_closed(struct leat_http_server *server, void *user)
{
    struct office *office = user;
    struct leat_http_counters *sum = &office->counted, counters;
    leat_http_server_counters(server, &counters);
    CHECK(office->run, counters.connections_now == 0);
    sum->connections += counters.connections;
    sum->requests += counters.requests;
    sum->errors += counters.errors;
    sum->bytes_sent += counters.bytes_sent;
    sum->durations_ns += counters.durations_ns;
    for (unsigned index = 0; index < 6; index++)
        sum->statuses[index] += counters.statuses[index];
    for (unsigned index = 0; index < LEAT_HTTP_DURATION_BUCKETS; index++)
        sum->durations[index] += counters.durations[index];
    office->server_count--;
}

void office_check_counters(const struct office *office)
{
    struct sim_run *run = office->run;
    const struct leat_http_counters *counted = &office->counted;
    uint64_t lasted = 0;
    CHECK(run, office->server_count == 0);
    for (unsigned index = 0; index < LEAT_HTTP_DURATION_BUCKETS; index++)
        lasted += counted->durations[index];
    for (unsigned index = 0; index < 6; index++)
        CHECK(run, counted->statuses[index] == office->statuses[index]);
    CHECK(run, lasted == office->records && counted->bytes_sent == office->sent);
    CHECK(run, counted->durations_ns == office->duration_ns);
    CHECK(run, counted->requests == office->handled + office->requests_refused);
    CHECK(run, counted->requests + office->heads_refused == office->records);
    CHECK(run, counted->errors == office->requests_refused + office->heads_refused);
    uint64_t connected = 0;
    for (unsigned index = 0; index < office->caller_count; index++)
        connected += office->callers[index].attempts + 1;
    CHECK(run, counted->connections <= connected);
}

/* ---- The server ------------------------------------------------------------------------------ */

/* Tells that it was asked; the text is the plain one. */
static void on_error(struct leat_http_request *request, struct leat_http_response *response,
                     int status, void *user)
{
    const struct office *office = user;
    const struct leat_slice path = leat_http_path(request);
    CHECK(office->run, path.size > 0 && status >= 400);
    CHECK(office->run, leat_http_add_field(response, "X-Error", "yes") == 0);
    (void)leat_http_reply_error(response, status);
}

static void draw_options(struct office *office)
{
    struct sim_run *run = office->run;
    static const uint64_t rates[] = {1, 1, 240, 1000};
    office->options = (struct leat_http_options){
        .handler = clerk_handle,
        .user = office,
        .head_timeout_ms = (int64_t)draw(run, 4000, 8000),
        .body_timeout_ms = (int64_t)draw(run, 1500, 4000),
        .idle_timeout_ms = (int64_t)draw(run, 3000, 8000),
        .send_timeout_ms = (int64_t)draw(run, 4000, 8000),
        .body_rate_min = rates[draw(run, 0, sizeof rates / sizeof *rates - 1)],
        .send_rate_min = 1,
        .body_size_max = UINT64_MAX,
        .head_size_max = (unsigned)draw(run, 600, 16384),
        .connections_max = 1000,
        .on_error = draw_chance(run, 50) ? on_error : NULL,
        .on_error_user = office,
        .on_done = on_done,
        .on_done_user = office,
        .on_closed = on_closed,
        .on_closed_user = office,
    };
    if (draw_chance(run, 20))
        office->options.requests_max = (unsigned)draw(run, 1, 4);
    if (office->is_gentle)
        return;
    if (draw_chance(run, 20))
        office->options.handler_timeout_ms = (int64_t)draw(run, 50, 400);
    if (draw_chance(run, 30))
        office->options.body_size_max = draw(run, 1000, 60000);
    if (draw_chance(run, 12))
        office->options.connections_max = (unsigned)draw(run, 1, 3);
    if (draw_chance(run, 15))
        office->options.connections_per_address_max = (unsigned)draw(run, 1, 2);
}

static void open_files(struct office *office)
{
    struct sim_run *run = office->run;
    int error;
    while ((error = leat_root_open(".", &office->root)) == -EMFILE)
        CHECK(run, may_lack(run));
    CHECK(run, error == 0);
    for (unsigned index = 0; index < OFFICE_FILES; index++) {
        char name[8];
        snprintf(name, sizeof name, "f%u", index);
        CHECK(run, sim_file_add(run->sim, name, OFFICE_CONTENT + index, OFFICE_FILE_SIZE) == 0);
    }
}

void office_init(struct office *office, struct sim_run *run, bool is_gentle)
{
    *office = (struct office){.run = run, .is_gentle = is_gentle};
    draw_options(office);
    open_files(office);
}

struct leat_http_server *office_open(struct office *office)
{
    struct sim_run *run = office->run;
    struct leat_http_server *server;
    for (unsigned index = 0; index < OFFICE_FILES; index++) {
        char name[8];
        int error;
        if (office->files[index])
            continue;
        snprintf(name, sizeof name, "f%u", index);
        while ((error = leat_file_open(office->root, name, LEAT_FOREVER, &office->files[index])))
            CHECK(run, may_lack(run) || (error == -EAGAIN && run->profile->offload_full > 0));
    }
    /* Without cachestat a range counts as being in memory when its ends are: of one cold file many
     * handlers send any pieces, and those ends may have been read for others. */
    office->has_files = run->sys->resident(run->sys, office->files[0]->fd, 0, 1) >= 0;
    CHECK(run, leat_http_server_create(&office->options, &server) == 0);
    office->server_count++;
    return server;
}

void office_close(struct office *office, struct leat_http_server *server, int64_t idle_ms,
                  int64_t grace_ms)
{
    const int64_t idle_until_ns = leat_after_ms(idle_ms);
    if (office->closed_ns == 0)
        office->closed_ns = leat_now_ns();
    if (office->idle_until_ns == 0 || office->idle_until_ns > idle_until_ns)
        office->idle_until_ns = idle_until_ns;
    office->grace_ns = leat_after_ms(grace_ms);
    leat_http_server_close(server, idle_until_ns, office->grace_ns);
}

bool office_is_empty(const struct office *office)
{
    for (unsigned index = 0; index < office->caller_count; index++)
        if (!office->callers[index].is_gone)
            return false;
    return true;
}

void office_invite(struct office *office, unsigned count, uint64_t most_ms)
{
    struct sim_run *run = office->run;
    const int64_t now_ns = leat_now_ns();
    CHECK(run, count <= OFFICE_CALLERS_MAX && office->caller_count == 0);
    office->caller_count = count;
    for (unsigned index = 0; index < count; index++) {
        caller_init(&office->callers[index], office);
        caller_begin_at(&office->callers[index],
                        now_ns + (int64_t)draw(run, 0, most_ms) * LEAT_NS_PER_MS);
    }
}

void office_fini(struct office *office)
{
    for (unsigned index = 0; index < OFFICE_FILES; index++)
        leat_file_unref(office->files[index]);
    leat_root_close(office->root);
    for (unsigned index = 0; index < office->caller_count; index++)
        draft_fini(&office->callers[index].draft);
}
