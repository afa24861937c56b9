/* SPDX-License-Identifier: MIT */
/*
 * The log in the simulator's worlds, under many seeds: it is appended to, synced, rolled, recycled,
 * killed, and the host loses its power. After a kill all that was committed is there; after a power
 * cut a durable log has what was synced, and nothing that was not appended; another one is refused.
 * Nothing of it blocks the loop's thread: the world would complain. LEAT_SEEDS=N: so many worlds.
 */
#include "logged.h"

#include "base/random.h"
#include "loop/sim.h"

enum { SEEDS = 150, LIVES = 8, OPEN_TRIES = 100 };

struct trial {
    struct logged logged;
    struct random random;
    struct sim *sim;
    uint64_t seed;
    unsigned process;
    uint64_t synced;  /* all before it was reported to be on the disk */
    uint64_t syncing; /* all before it will be */
    bool is_syncing;
    int sync_error;
};

static void on_synced(int error, void *user)
{
    struct trial *trial = user;
    trial->is_syncing = false;
    trial->sync_error = error;
    if (!error)
        trial->synced = trial->syncing;
}

static void maybe_sync(struct trial *trial)
{
    if (trial->is_syncing || trial->sync_error || !random_chance(&trial->random, 100000))
        return;
    trial->syncing = trial->logged.log->closed_sequence;
    trial->is_syncing = true;
    assert_int_equal(feed_log_sync(trial->logged.log, on_synced, trial), 0);
}

/* A disk that cannot be read now may be readable later; descriptors come back. */
static bool may_pass(int error)
{
    return error == -EIO || error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static int open_in_world(struct trial *trial)
{
    int error;
    sim_set_process(trial->sim, ++trial->process);
    sim_allow_blocking(trial->sim, true);
    for (unsigned i = 0; may_pass(error = try_open(&trial->logged)) && i < OPEN_TRIES; i++)
        ;
    sim_allow_blocking(trial->sim, false);
    return error;
}

static void close_in_world(struct trial *trial)
{
    struct leat_loop *loop = trial->logged.loop;
    while (trial->is_syncing)
        turn(loop);
    sim_allow_blocking(trial->sim, true);
    close_log(&trial->logged);
    sim_allow_blocking(trial->sim, false);
}

/* A durable log does not go on for long without. */
static void must_sync(struct trial *trial)
{
    const struct feed_log *log = trial->logged.log;
    if (!trial->is_syncing && !trial->sync_error && log->is_durable &&
        log->count > log->segments_kept + FEED_LOG_HELD_MAX / 2 && log->segments_kept > 0) {
        trial->syncing = log->closed_sequence;
        trial->is_syncing = true;
        assert_int_equal(feed_log_sync(trial->logged.log, on_synced, trial), 0);
    }
}

static void append_for_a_while(struct trial *trial)
{
    struct logged *logged = &trial->logged;
    for (uint64_t left = random_below(&trial->random, 400); left > 0; left--) {
        append_until(logged, logged->tail->next_sequence + random_between(&trial->random, 1, 100));
        if (random_chance(&trial->random, 300000))
            feed_log_finish_record(logged->log);
        maybe_sync(trial);
        must_sync(trial);
        if (random_chance(&trial->random, 100000))
            turn(logged->loop);
    }
}

/* One life: what it finds was left by the one before. `is_cut`: by a power cut. */
static void live(struct trial *trial, bool is_cut, uint64_t committed)
{
    struct logged *logged = &trial->logged;
    uint64_t first, last;
    const int error = open_in_world(trial);
    if (error && is_cut && !logged->options.is_durable) {
        assert_true(error == -ESTALE || error == -EBADMSG);
        return;
    }
    if (error)
        fail_msg("seed %lu, %s, %s: %s", (unsigned long)trial->seed,
                 logged->options.is_durable ? "durable" : "not durable",
                 is_cut ? "after a power cut" : "after a kill or a close", logged->reason);
    feed_log_range(logged->log, &first, &last);
    if (is_cut ? last + 1 < trial->synced || last + 1 > committed : last + 1 != committed)
        fail_msg("seed %lu, %s: up to %lu; synced %lu, committed %lu", (unsigned long)trial->seed,
                 is_cut ? "after a power cut" : "after a kill or a close", (unsigned long)last,
                 (unsigned long)trial->synced, (unsigned long)committed);
    sim_allow_blocking(trial->sim, true); /* old pages may be cold, which the test does not mind */
    check_from(logged, first, last + 1);
    sim_allow_blocking(trial->sim, false);
    trial->synced = logged->options.is_durable ? last + 1 : 1;
    append_for_a_while(trial);
}

static void try_seed(uint64_t seed)
{
    struct trial trial = {.seed = seed};
    struct logged *logged = &trial.logged;
    const struct sim_options options = {.seed = seed,
                                        .profile = &sim_profiles[seed % sim_profile_count]};
    random_init(&trial.random, seed);
    logged->is_patient = true;
    logged->options = (struct feed_log_options){.path = "log",
                                                .segment_size = SMALL_SEGMENT,
                                                .packet_size = PACKET_SIZE,
                                                .is_durable = seed / 3 % 2,
                                                .segments_kept = seed / 2 % 3 ? 3 : 0};
    memcpy(logged->options.session, "SESSION   ", MOLD_SESSION_SIZE);
    assert_int_equal(sim_loop_create(&options, &logged->loop), 0);
    trial.sim = sim_of(logged->loop);
    trial.synced = 1;
    uint64_t committed = 1;
    bool is_cut = false;
    for (unsigned round = 0; round < LIVES; round++) {
        live(&trial, is_cut, committed);
        if (!logged->log)
            break; /* a new session would have to begin */
        committed = logged->tail->next_sequence;
        is_cut = random_chance(&trial.random, 400000);
        const bool is_killed = is_cut || random_chance(&trial.random, 600000);
        if (is_killed)
            sim_kill(trial.sim, trial.process);
        if (is_cut)
            sim_power_cut(trial.sim);
        close_in_world(&trial);
        trial.sync_error = 0;
    }
    sim_allow_blocking(trial.sim, true);
    leat_loop_destroy(logged->loop);
}

static void nothing_is_lost_in_any_world(void **state)
{
    const char *text = getenv("LEAT_SEEDS");
    const uint64_t seeds = text ? strtoull(text, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        try_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_in_any_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
