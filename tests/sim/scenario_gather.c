/* SPDX-License-Identifier: MIT */
/*
 * Batches of calls that really wait: for a timer, for an answer from the network, for a file, for a
 * job, for a batch of their own. Answers come in order, under both policies, whatever fails, is
 * late or is cancelled; and a batch ends as soon as it may.
 */
#include <stdio.h>

#include "fiber/fiber.h"
#include "leat/error.h"
#include "leat/stream.h"
#include "talker.h"

enum { CALLS_MAX = 10, DEPTH_MAX = 2, ANSWER_PORT = 7, NOTE_SIZE = 5000, NOTE_CONTENT = 3 };

struct party {
    struct sim_run *run;
    struct leat_root *root;
    unsigned running; /* calls, all batches together */
};

enum chore_kind { CHORE_SLEEP, CHORE_FAIL, CHORE_ASK, CHORE_READ, CHORE_JOB, CHORE_BATCH, CHORES };

struct chore {
    struct party *party;
    enum chore_kind kind;
    unsigned depth, runs;
    int answer; /* what it returns when nothing goes wrong */
};

/* ---- The other side: answers each byte with the next one ------------------------------------- */

static void peer_answers(struct sim_peer *peer, void *user)
{
    unsigned char bytes[64];
    ssize_t count;
    while ((count = sim_peer_recv(peer, bytes, sizeof bytes)) > 0) {
        for (ssize_t index = 0; index < count; index++)
            bytes[index]++;
        for (ssize_t done = 0, sent; done < count; done += sent)
            if ((sent = sim_peer_send(peer, bytes + done, (size_t)(count - done))) <= 0)
                break; /* broken: there is room for so few */
    }
    if (count == 0)
        sim_peer_shutdown(peer);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static int ask(struct chore *chore)
{
    struct sim_run *run = chore->party->run;
    const struct leat_address address = local_address(ANSWER_PORT);
    struct leat_stream *stream;
    int error = leat_connect(&address, NULL, LEAT_FOREVER, &stream);
    if (error)
        return error;
    unsigned char question[20], answer[20];
    memset(question, chore->answer, sizeof question);
    error = leat_stream_write(stream, question, sizeof question, LEAT_FOREVER);
    if (!error)
        error = leat_stream_read_exactly(stream, answer, sizeof answer, LEAT_FOREVER);
    for (unsigned index = 0; !error && index < sizeof answer; index++)
        CHECK(run, answer[index] == question[index] + 1);
    leat_stream_close(stream);
    return error ? error : chore->answer;
}

static int read_note(struct chore *chore)
{
    struct sim_run *run = chore->party->run;
    struct leat_file *file;
    struct leat_mapped *mapped;
    int error = leat_file_open(chore->party->root, "note", LEAT_FOREVER, &file);
    if (error)
        return error;
    error = leat_mapped_create(file, 0, NOTE_SIZE, LEAT_FOREVER, &mapped);
    leat_file_unref(file);
    if (error)
        return error;
    CHECK(run, sim_content_equal(NOTE_CONTENT, 0, leat_mapped_data(mapped), NOTE_SIZE));
    leat_mapped_destroy(mapped);
    return chore->answer;
}

static int job(void *arg)
{
    const struct chore *chore = arg;
    return chore->answer;
}

static int run_batch(struct party *party, unsigned depth);

static int do_kind(struct chore *chore)
{
    struct sim_run *run = chore->party->run;
    int result, answer = -EIO;
    switch (chore->kind) {
    case CHORE_SLEEP:
    case CHORE_FAIL:
        result = leat_sleep_ms((int64_t)draw(run, 0, 300));
        return result ? result : chore->kind == CHORE_FAIL ? -EREMOTEIO : chore->answer;
    case CHORE_ASK: return ask(chore);
    case CHORE_READ: return read_note(chore);
    case CHORE_JOB:
        result = leat_offload(job, chore, LEAT_FOREVER, &answer);
        return result ? result : answer;
    default:
        result = run_batch(chore->party, chore->depth + 1);
        return result ? result : chore->answer;
    }
}

static int do_chore(void *arg)
{
    struct chore *chore = arg;
    struct party *party = chore->party;
    CHECK(party->run, chore->runs++ == 0);
    party->running++;
    const int result = do_kind(chore);
    party->running--;
    return result;
}

/* ---- Batches --------------------------------------------------------------------------------- */

struct batch {
    struct chore chores[CALLS_MAX];
    struct leat_call calls[CALLS_MAX];
    size_t count;
    struct leat_gather_options options;
};

static void draw_batch(struct party *party, struct batch *batch, unsigned depth)
{
    struct sim_run *run = party->run;
    batch->count = draw(run, 0, depth ? 3 : CALLS_MAX);
    const bool may_fail = draw_chance(run, 50);
    for (size_t index = 0; index < batch->count; index++) {
        enum chore_kind kind = (enum chore_kind)draw(run, 0, CHORES - 1);
        if ((kind == CHORE_FAIL && !may_fail) || (kind == CHORE_BATCH && depth == DEPTH_MAX))
            kind = CHORE_SLEEP;
        batch->chores[index] =
            (struct chore){.party = party, .kind = kind, .depth = depth, .answer = 1 + (int)index};
        batch->calls[index] = (struct leat_call){.fn = do_chore, .arg = &batch->chores[index]};
    }
    batch->options = (struct leat_gather_options){
        .on_error = draw_chance(run, 50) ? LEAT_GATHER_WAIT : LEAT_GATHER_CANCEL,
        .parallel_max = draw_chance(run, 50) ? draw(run, 1, 4) : 0,
        .deadline_ns = draw_chance(run, 25) ? leat_after_ms((int64_t)draw(run, 0, 200)) : 0,
    };
}

static void check_batch(struct party *party, const struct batch *batch, int result)
{
    struct sim_run *run = party->run;
    const int64_t deadline_ns = batch->options.deadline_ns;
    const bool is_late = deadline_ns > 0 && leat_now_ns() >= deadline_ns;
    const bool is_kind = !may_break(run) && !may_lack(run) && run->profile->offload_full == 0 &&
                         run->profile->read_error == 0 && !leat_is_cancelled();
    bool has_failed = false;
    for (size_t index = 0; index < batch->count; index++) {
        const struct chore *chore = &batch->chores[index];
        const int answer = batch->calls[index].result;
        has_failed |= answer < 0;
        CHECK(run, answer < 0 || (chore->runs == 1 && answer == chore->answer));
        CHECK(run, chore->runs == 1 || answer == -ECANCELED || may_lack(run));
        if (batch->options.on_error == LEAT_GATHER_WAIT && is_kind && !is_late &&
            chore->kind != CHORE_BATCH)
            CHECK(run, answer == (chore->kind == CHORE_FAIL ? -EREMOTEIO : chore->answer));
    }
    CHECK(run, (result < 0) == has_failed || result == -ETIMEDOUT || leat_is_cancelled());
    /* Late is who is still at it: a job that runs, an answer of the world that takes its time. */
    if (deadline_ns > 0 && run->profile->stall == 0)
        CHECK(run, leat_now_ns() <= deadline_ns + deadline_slack_ns(run) + 100 * LEAT_NS_PER_MS);
}

static int run_batch(struct party *party, unsigned depth)
{
    struct batch batch;
    draw_batch(party, &batch, depth);
    const int result = leat_gather(batch.calls, batch.count, &batch.options);
    check_batch(party, &batch, result);
    return result;
}

static void host(void *arg)
{
    struct party *party = arg;
    for (uint64_t count = draw(party->run, 1, 3); count > 0; count--)
        (void)run_batch(party, 0);
}

static void gather_main(void *arg)
{
    struct party *party = arg;
    struct sim_run *run = party->run;
    struct leat_scope scope;
    leat_scope_init(&scope);
    for (uint64_t count = draw(run, 1, 3); count > 0; count--)
        CHECK(run, leat_spawn(&scope, host, party, NULL) == 0);
    if (draw_chance(run, 30)) {
        CHECK(run, leat_sleep_ms((int64_t)draw(run, 0, 300)) == 0);
        leat_scope_cancel(&scope);
    }
    CHECK(run, leat_scope_join(&scope, LEAT_FOREVER) == 0);
    leat_scope_fini(&scope);
    CHECK(run, party->running == 0);
}

static void run_gather(struct sim_run *run)
{
    struct party party = {.run = run};
    const struct leat_address address = local_address(ANSWER_PORT);
    CHECK(run, sim_peer_listen(run->sim, &address.base, address.size, peer_answers, NULL) == 0);
    CHECK(run, sim_file_add(run->sim, "note", NOTE_CONTENT, NOTE_SIZE) == 0);
    int error;
    while ((error = leat_root_open(".", &party.root)) == -EMFILE)
        CHECK(run, may_lack(run));
    CHECK(run, error == 0);
    run_fiber(run, gather_main, &party);
    sim_allow_blocking(run->sim, true);
    leat_root_close(party.root);
    CHECK(run, sim_open_count(run->sim) == 0);
}

const struct scenario scenario_gather = {"gather", "batches that wait for timers, peers, files",
                                         run_gather};
