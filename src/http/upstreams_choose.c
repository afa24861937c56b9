/* SPDX-License-Identifier: MIT */
/*
 * Who is asked, and what came of it: see upstreams.h, and the states in upstreams_parts.h. All of
 * it is atomics: a look at every upstream's word, a count that goes up and down again. Where two
 * cores race for a word the loser's observation is lost, which is as if it had come a moment
 * earlier or later.
 */
#include "http/upstreams_parts.h"

#include "http/upstreams.h"

enum {
    /* While nobody else is up a circuit is open for this part of its time alone: who has been
     * started again should not have to wait for that to be noticed. */
    EASED_PART = 20,
    /* How long a probe that is under way takes, as far as anybody can say. */
    PROBE_MS = 20,
    /* In upstreams_await: how often it looks, and until when. */
    AWAIT_STEP_MS = 10,
    AWAIT_MAX_MS = 1000,
    RETRY_PAUSE_MS = 20, /* doubles with each attempt */
};

/* ---- Who may be asked ------------------------------------------------------------------------ */

/* Sets of upstreams, by the bits of their indices. */
struct survey {
    uint64_t ready;  /* as any other */
    uint64_t held;   /* up, but this request is not in their share: if nobody else can */
    uint64_t due;    /* by one request that probes */
    uint64_t eased;  /* likewise, if nobody else can */
    int64_t next_ns; /* when somebody may be, if now nobody is */
};

static int64_t open_length_ns(const struct upstreams *upstreams, unsigned reopened)
{
    const struct upstreams_options *options = &upstreams->options;
    int64_t length_ms = options->open_ms;
    while (reopened-- > 0 && length_ms < options->open_max_ms)
        length_ms *= 2;
    return (length_ms < options->open_max_ms ? length_ms : options->open_max_ms) * LEAT_NS_PER_MS;
}

/* Is this request, or key, among those that this one, which is up, is offered? */
static bool is_in_share(const struct upstreams *upstreams, unsigned index, uint64_t word,
                        uint64_t chance, int64_t now_ns)
{
    const int64_t start_ns = upstreams->options.slow_start_ms * LEAT_NS_PER_MS;
    const int64_t elapsed_ns = now_ns - state_ns(word);
    if (state_ns(word) == 0 || elapsed_ns >= start_ns)
        return true;
    const uint64_t own = random_mix(chance ^ upstreams->members[index].hash);
    return (double)(own >> 11) * 0x1p-53 * (double)start_ns < (double)elapsed_ns;
}

/* When who is not up may be asked by one request that probes, should nobody be up. */
static int64_t eased_ns(const struct upstreams *upstreams, unsigned index, uint64_t word,
                        int64_t now_ns)
{
    const struct member *member = &upstreams->members[index];
    if (state_of(word) == UPSTREAM_DOWN)
        return now_ns + upstreams->options.health_interval_ms * LEAT_NS_PER_MS;
    if (state_of(word) == UPSTREAM_PROBING)
        return now_ns + PROBE_MS * LEAT_NS_PER_MS;
    const unsigned reopened = atomic_load_explicit(&member->reopened, memory_order_relaxed);
    const int64_t length_ns = open_length_ns(upstreams, reopened);
    return state_ns(word) - length_ns + length_ns / EASED_PART;
}

static struct survey look_around(const struct upstreams *upstreams, uint64_t chance, int64_t now_ns)
{
    struct survey survey = {.next_ns = LEAT_FOREVER};
    for (unsigned index = 0; index < upstreams->count; index++) {
        const uint64_t bit = UINT64_C(1) << index;
        const uint64_t word = atomic_load_explicit(&upstreams->states[index], memory_order_relaxed);
        const enum upstream_state state = state_of(word);
        if (state == UPSTREAM_UP) {
            if (is_in_share(upstreams, index, word, chance, now_ns))
                survey.ready |= bit;
            else
                survey.held |= bit;
        } else if (state != UPSTREAM_DOWN && state_ns(word) <= now_ns) {
            survey.due |= bit;
        } else {
            const int64_t next_ns = eased_ns(upstreams, index, word, now_ns);
            if (next_ns <= now_ns)
                survey.eased |= bit;
            else if (next_ns < survey.next_ns)
                survey.next_ns = next_ns;
        }
    }
    return survey;
}

/* The first choice has something in it; 0: nobody may be asked. A request that has failed already
 * does not probe as long as somebody is up. */
static uint64_t best_set(const struct upstreams *upstreams, const struct upstreams_attempt *attempt,
                         const struct survey *survey)
{
    const bool may_probe = attempt->is_repeatable && attempt->count == 0;
    const bool is_by_hash = upstreams->options.balance == UPSTREAMS_BY_HASH;
    const uint64_t fresh = ~attempt->tried;
    const uint64_t sets[] = {
        may_probe ? (is_by_hash ? survey->ready | survey->due : survey->due) : 0,
        survey->ready & fresh,
        survey->held & fresh,
        survey->due & fresh,
        survey->eased & fresh,
        survey->ready | survey->held,
        survey->due,
        survey->eased,
    };
    for (unsigned rank = 0; rank < sizeof sets / sizeof *sets; rank++)
        if (sets[rank])
            return sets[rank];
    return 0;
}

/* ---- One of a set ---------------------------------------------------------------------------- */

/* The index of the bit before which `rank` others are set. */
static unsigned bit_of_rank(uint64_t set, unsigned rank)
{
    ASSERT(rank < (unsigned)__builtin_popcountll(set));
    while (rank-- > 0)
        set &= set - 1;
    return (unsigned)__builtin_ctzll(set);
}

/* 0 .. limit-1 of 32 random bits. */
static unsigned below(uint64_t bits, unsigned limit)
{
    return (unsigned)((bits & UINT32_MAX) * limit >> 32);
}

/* Two different ones at random, and of these the one that has less to do (Mitzenmacher 2001): as
 * good as looking at all of them, and cores that decide at the same moment do not run for the same
 * one. */
static unsigned less_loaded(const struct upstreams *upstreams, uint64_t set, uint64_t draw)
{
    const unsigned count = (unsigned)__builtin_popcountll(set);
    const unsigned first = bit_of_rank(set, below(draw, count));
    if (count == 1)
        return first;
    const unsigned second =
        bit_of_rank(set & ~(UINT64_C(1) << first), below(draw >> 32, count - 1));
    const unsigned first_load =
        atomic_load_explicit(&upstreams->members[first].in_flight, memory_order_relaxed);
    const unsigned second_load =
        atomic_load_explicit(&upstreams->members[second].in_flight, memory_order_relaxed);
    return second_load < first_load ? second : first;
}

static unsigned highest_hash(const struct upstreams *upstreams, uint64_t set, uint64_t key)
{
    unsigned best = 0;
    uint64_t best_weight = 0;
    ASSERT(set != 0);
    for (bool is_first = true; set; set &= set - 1, is_first = false) {
        const unsigned index = (unsigned)__builtin_ctzll(set);
        const uint64_t weight = random_mix(key ^ upstreams->members[index].hash);
        if (is_first || weight > best_weight) {
            best = index;
            best_weight = weight;
        }
    }
    return best;
}

/* ---- Circuits -------------------------------------------------------------------------------- */

static bool change_state(struct member *member, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(member_state(member), &from, to,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* False: somebody else does, or it has changed. */
static bool begin_probe(struct member *member, struct upstreams_attempt *attempt, bool is_eased,
                        int64_t now_ns)
{
    const uint64_t word = atomic_load_explicit(member_state(member), memory_order_relaxed);
    const enum upstream_state state = state_of(word);
    const bool is_due = state_ns(word) <= now_ns && state != UPSTREAM_UP && state != UPSTREAM_DOWN;
    if (!is_due && !(is_eased && state == UPSTREAM_OPEN))
        return false;
    const unsigned reopened = atomic_load_explicit(&member->reopened, memory_order_relaxed);
    const uint64_t probe =
        state_word(UPSTREAM_PROBING, now_ns + open_length_ns(member->group, reopened));
    if (!change_state(member, word, probe))
        return false;
    attempt->probe = probe;
    return true;
}

static void end_probe_well(struct member *member, struct upstreams_attempt *attempt, int64_t now_ns)
{
    if (change_state(member, attempt->probe, state_come_back(member->group, now_ns)))
        atomic_store_explicit(&member->reopened, 0, memory_order_relaxed);
    attempt->probe = 0;
}

static void end_probe_badly(struct member *member, struct upstreams_attempt *attempt,
                            int64_t now_ns)
{
    const unsigned reopened = atomic_load_explicit(&member->reopened, memory_order_relaxed) + 1;
    const int64_t until_ns = now_ns + open_length_ns(member->group, reopened);
    if (change_state(member, attempt->probe, state_word(UPSTREAM_OPEN, until_ns)))
        atomic_store_explicit(&member->reopened, reopened, memory_order_relaxed);
    attempt->probe = 0;
}

static bool is_another_up(const struct member *member)
{
    const struct upstreams *upstreams = member->group;
    for (unsigned index = 0; index < upstreams->count; index++)
        if (index != member->shown.index &&
            state_of(atomic_load_explicit(&upstreams->states[index], memory_order_relaxed)) ==
                UPSTREAM_UP)
            return true;
    return false;
}

static void count_failure(struct member *member, const struct upstreams_attempt *attempt,
                          int64_t now_ns)
{
    const struct upstreams *upstreams = member->group;
    if (attempt->epoch != atomic_load_explicit(&member->opened, memory_order_relaxed))
        return; /* what has failed is older than the last time it came back */
    const unsigned failures =
        atomic_fetch_add_explicit(&member->failures_in_a_row, 1, memory_order_relaxed) + 1;
    const uint64_t word = atomic_load_explicit(member_state(member), memory_order_relaxed);
    if (failures < upstreams->options.failures_max || state_of(word) != UPSTREAM_UP)
        return;
    const uint64_t open = state_word(UPSTREAM_OPEN, now_ns + open_length_ns(upstreams, 0));
    if (change_state(member, word, open)) {
        atomic_fetch_add_explicit(&member->opened, 1, memory_order_relaxed);
        atomic_store_explicit(&member->failures_in_a_row, 0, memory_order_relaxed);
    }
}

/* ---- The calls ------------------------------------------------------------------------------- */

static struct member *choose_member(struct upstreams *upstreams, struct upstreams_attempt *attempt,
                                    struct survey *survey, uint64_t draw, int64_t now_ns)
{
    uint64_t set;
    while ((set = best_set(upstreams, attempt, survey))) {
        const unsigned index = upstreams->options.balance == UPSTREAMS_BY_HASH
                                   ? highest_hash(upstreams, set, attempt->key)
                                   : less_loaded(upstreams, set, draw);
        const uint64_t bit = UINT64_C(1) << index;
        struct member *member = &upstreams->members[index];
        const bool is_eased = (survey->eased & bit) != 0;
        if (!is_eased && !(survey->due & bit))
            return member;
        if (begin_probe(member, attempt, is_eased, now_ns))
            return member;
        survey->due &= ~bit;
        survey->eased &= ~bit;
    }
    return NULL;
}

static int64_t retry_after_ms(const struct survey *survey, int64_t now_ns)
{
    /* FOREVER: who was due is probed by somebody else since a moment ago. */
    if (survey->next_ns == LEAT_FOREVER)
        return PROBE_MS;
    ASSERT(survey->next_ns > now_ns);
    return (survey->next_ns - now_ns + LEAT_NS_PER_MS - 1) / LEAT_NS_PER_MS;
}

struct upstream *upstreams_choose(struct upstreams *upstreams, struct upstreams_attempt *attempt,
                                  int64_t now_ns, int64_t *ret_retry_after_ms)
{
    ASSERT(!attempt->upstream && attempt->probe == 0);
    const uint64_t number = atomic_fetch_add_explicit(&upstreams->draws, 1, memory_order_relaxed);
    const uint64_t draw = random_mix(upstreams->seed + number);
    const bool is_by_hash = upstreams->options.balance == UPSTREAMS_BY_HASH;
    /* A key stays with who has come back once it has been offered: its chance is its own. */
    const uint64_t chance = random_mix(is_by_hash ? attempt->key : draw);
    struct survey survey = look_around(upstreams, chance, now_ns);
    struct member *member = choose_member(upstreams, attempt, &survey, draw, now_ns);
    if (!member) {
        *ret_retry_after_ms = retry_after_ms(&survey, now_ns);
        return NULL;
    }
    atomic_fetch_add_explicit(&member->in_flight, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&member->requests, 1, memory_order_relaxed);
    attempt->upstream = &member->shown;
    attempt->tried |= UINT64_C(1) << member->shown.index;
    attempt->count++;
    attempt->has_answered = attempt->has_failed = false;
    attempt->begun_ns = now_ns;
    attempt->epoch = atomic_load_explicit(&member->opened, memory_order_relaxed);
    return attempt->upstream;
}

/* Who has not failed this request yet may be asked. */
static bool is_anybody_fresh(const struct upstreams *upstreams,
                             const struct upstreams_attempt *attempt, int64_t now_ns)
{
    const struct survey survey = look_around(upstreams, 0, now_ns);
    return ((survey.ready | survey.held | survey.due | survey.eased) & ~attempt->tried) != 0;
}

/* Looks now and then, for what it waits for is somebody else's probe, of whatever core. */
static struct upstream *await(struct upstreams *upstreams, struct upstreams_attempt *attempt,
                              int64_t limit_ns, int64_t *ret_retry_after_ms)
{
    for (;;) {
        const int64_t now_ns = loop_current->now_ns;
        struct upstream *upstream =
            upstreams_choose(upstreams, attempt, now_ns, ret_retry_after_ms);
        if (upstream || now_ns + *ret_retry_after_ms * LEAT_NS_PER_MS > limit_ns)
            return upstream;
        if (leat_sleep_ms(AWAIT_STEP_MS) != 0)
            return NULL;
    }
}

struct upstream *upstreams_await(struct upstreams *upstreams, struct upstreams_attempt *attempt,
                                 int64_t deadline_ns, int64_t *ret_retry_after_ms)
{
    const int64_t now_ns = loop_current->now_ns;
    int64_t limit_ns = now_ns + AWAIT_MAX_MS * LEAT_NS_PER_MS;
    if (deadline_ns < limit_ns)
        limit_ns = deadline_ns;
    if (attempt->count > 0 && !is_anybody_fresh(upstreams, attempt, now_ns)) {
        const unsigned doublings = attempt->count < 5 ? attempt->count - 1 : 4;
        const int64_t until_ns = now_ns + (RETRY_PAUSE_MS * LEAT_NS_PER_MS << doublings);
        (void)leat_sleep_until(until_ns < limit_ns ? until_ns : limit_ns);
    }
    struct upstream *upstream =
        upstreams_choose(upstreams, attempt, loop_current->now_ns, ret_retry_after_ms);
    if (upstream)
        return upstream;
    const unsigned waiting =
        atomic_fetch_add_explicit(&upstreams->waiting, 1, memory_order_relaxed);
    if (waiting < upstreams->options.waiting_max)
        upstream = await(upstreams, attempt, limit_ns, ret_retry_after_ms);
    atomic_fetch_sub_explicit(&upstreams->waiting, 1, memory_order_relaxed);
    return upstream;
}

/* An eighth of the difference a time; of two cores that are at it together one is not counted. */
static void count_latency(struct member *member, int64_t latency_ns)
{
    const int64_t mean_ns = atomic_load_explicit(&member->latency_ns, memory_order_relaxed);
    const int64_t next_ns = mean_ns ? mean_ns + (latency_ns - mean_ns) / 8 : latency_ns;
    atomic_store_explicit(&member->latency_ns, next_ns, memory_order_relaxed);
}

void upstreams_tell(struct upstreams *upstreams, struct upstreams_attempt *attempt,
                    enum upstream_outcome outcome, int64_t now_ns)
{
    ASSERT(attempt->upstream && member_of(attempt->upstream)->group == upstreams);
    struct member *member = member_of(attempt->upstream);
    if (outcome != UPSTREAM_FAILED && !attempt->has_answered) {
        attempt->has_answered = true;
        count_latency(member, now_ns - attempt->begun_ns);
    }
    if (outcome == UPSTREAM_ANSWERED) {
        if (attempt->probe)
            end_probe_well(member, attempt, now_ns);
        return;
    }
    attempt->has_failed = true;
    atomic_fetch_add_explicit(&member->failures, 1, memory_order_relaxed);
    /* A bad answer is better than none, and there may be a path that is always answered so: nobody
     * shall be able to shut everybody out by asking for that. */
    const bool is_spared = outcome == UPSTREAM_ERRED && !is_another_up(member);
    if (attempt->probe && is_spared)
        end_probe_well(member, attempt, now_ns);
    else if (attempt->probe)
        end_probe_badly(member, attempt, now_ns);
    else if (!is_spared)
        count_failure(member, attempt, now_ns);
}

/* Only a whole exchange ends a run of failures: who always dies within its answers is no good. */
void upstreams_end(struct upstreams *upstreams, struct upstreams_attempt *attempt)
{
    ASSERT(attempt->upstream && member_of(attempt->upstream)->group == upstreams);
    struct member *member = member_of(attempt->upstream);
    if (attempt->probe)
        change_state(member, attempt->probe, state_word(UPSTREAM_OPEN, 0));
    else if (attempt->has_answered && !attempt->has_failed &&
             atomic_load_explicit(&member->failures_in_a_row, memory_order_relaxed) > 0)
        atomic_store_explicit(&member->failures_in_a_row, 0, memory_order_relaxed);
    attempt->probe = 0;
    attempt->upstream = NULL;
    const unsigned before = atomic_fetch_sub_explicit(&member->in_flight, 1, memory_order_relaxed);
    ASSERT(before > 0);
}
