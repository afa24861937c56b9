/* SPDX-License-Identifier: MIT */
/*
 * Which upstream is asked: how URLs are read, that choices are fair and stay with their keys, and
 * that cores agree.
 */
#include "upstreams_group.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "base/random.h"

/* ---- URLs ------------------------------------------------------------------------------------ */

static void urls_are_read(void **state)
{
    static const struct {
        const char *url, *authority, *base;
    } rows[] = {
        {"http://127.0.0.1:9000", "127.0.0.1:9000", ""},
        {"http://127.0.0.1:9000/", "127.0.0.1:9000", ""},
        {"HTTP://127.0.0.1", "127.0.0.1", ""},
        {"http://127.0.0.1:/a", "127.0.0.1", "/a"},
        {"http://[::1]:9000/base/", "[::1]:9000", "/base"},
        {"http://example.org:81/a/b%20c//", "example.org:81", "/a/b%20c"},
        {"http://unix:/run/app.sock", "localhost", ""},
        {"http://unix:@app", "localhost", ""},
        {"http://unix:8080/x", "unix:8080", "/x"}, /* a host of that name */
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct conn_pool *pool;
        struct upstreams *upstreams;
        struct upstreams_view view;
        const char *reason = NULL;
        assert_int_equal(conn_pool_create(NULL, &pool), 0);
        assert_int_equal(upstreams_create(pool, &rows[row].url, 1, NULL, &upstreams, &reason), 0);
        upstreams_view(upstreams, 0, &view);
        assert_string_equal(view.upstream->url, rows[row].url);
        assert_string_equal(view.upstream->authority, rows[row].authority);
        assert_string_equal(view.upstream->base, rows[row].base);
        assert_string_equal(conn_pool_destination_name(view.upstream->destination), rows[row].url);
        assert_int_equal(view.state, UPSTREAM_UP);
        upstreams_destroy(upstreams);
        conn_pool_destroy(pool);
    }
}

static void expect_refusal(const char *const *urls, unsigned count,
                           const struct upstreams_options *options, const char *part)
{
    struct conn_pool *pool;
    struct upstreams *upstreams = NULL;
    const char *reason = NULL;
    assert_int_equal(conn_pool_create(NULL, &pool), 0);
    assert_int_equal(upstreams_create(pool, urls, count, options, &upstreams, &reason), -EINVAL);
    assert_null(upstreams);
    if (!reason || !strstr(reason, part))
        fail_msg("%s: \"%s\" instead of \"%s\"", urls[0], reason ? reason : "(nothing)", part);
    assert_int_equal(upstreams_create(pool, urls, count, options, &upstreams, NULL), -EINVAL);
    conn_pool_destroy(pool);
}

static void what_cannot_be_an_upstream_is_explained(void **state)
{
    static const struct {
        const char *url, *part;
    } rows[] = {
        {"127.0.0.1:9000", "http://HOST:PORT"},
        {"", "http://HOST:PORT"},
        {"http://unix:", "http://unix:/path"},
        {"http://", "http://HOST:PORT"},
        {"http:///a", "http://HOST:PORT"},
        {"/a", "http://HOST:PORT"},
        {"ftp://127.0.0.1", "http://HOST:PORT"},
        {"http://127.0.0.1:99999", "http://HOST:PORT"},
        {"http://user@127.0.0.1", "http://HOST:PORT"},
        {"http://127.0.0.1/a b", "http://HOST:PORT"},
        {"https://127.0.0.1", "https is not there yet"},
        {"http://127.0.0.1/a?b", "no '?'"},
        {"http://127.0.0.1/#b", "no '?'"},
        {"http://unix:@", "the name of the socket is missing"},
    };
    const char *many[UPSTREAMS_MAX + 1];
    static const char *const twice[] = {"http://a", "http://b", "http://a"};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        expect_refusal(&rows[row].url, 1, NULL, rows[row].part);
    for (unsigned index = 0; index <= UPSTREAMS_MAX; index++)
        many[index] = "http://a";
    expect_refusal(many, UPSTREAMS_MAX + 1, NULL, "at most 64");
    expect_refusal(many, 0, NULL, "no upstream is named");
    expect_refusal(twice, 3, NULL, "named twice");
    expect_refusal(twice, 2, &(struct upstreams_options){.health_path = "up"}, "starts with '/'");
    expect_refusal(twice, 2, &(struct upstreams_options){.health_path = "/a b"}, "no blanks");
    expect_refusal(twice, 2, &(struct upstreams_options){.health_path = "/a\r\nb"}, "no blanks");
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* None is ended: with one random choice the fullest of 64 would have 100 + 2.4 standard deviations,
 * about 124 or more; of two it has hardly more than the mean. */
static void loads_are_even(void **state)
{
    struct group group;
    unsigned least = UINT_MAX, most = 0;
    group_open(&group, 64, (struct upstreams_options){0});
    static struct upstreams_attempt attempts[6400];
    for (unsigned index = 0; index < 6400; index++) {
        attempts[index] = repeatable;
        assert_true(choose(&group, &attempts[index]) >= 0);
    }
    for (unsigned index = 0; index < 64; index++) {
        const unsigned in_flight = view_of(&group, index).in_flight;
        least = in_flight < least ? in_flight : least;
        most = in_flight > most ? in_flight : most;
    }
    assert_true(most <= 104 && least >= 94);
    for (unsigned index = 0; index < 6400; index++)
        finish(&group, &attempts[index], UPSTREAM_ANSWERED);
    for (unsigned index = 0; index < 64; index++)
        assert_int_equal(view_of(&group, index).in_flight, 0);
    group_close(&group);
}

static void idle_ones_share_alike(void **state)
{
    struct group group;
    group_open(&group, 5, (struct upstreams_options){0});
    for (unsigned count = 0; count < 50000; count++)
        request(&group, UPSTREAM_ANSWERED);
    for (unsigned index = 0; index < 5; index++)
        assert_in_range(view_of(&group, index).requests, 9500, 10500);
    group_close(&group);
}

/* One answers ten times as slowly as the two others: with sixteen requests under way it must not
 * end up with most of them waiting for it. */
static void slow_ones_get_less(void **state)
{
    enum { CLIENTS = 16, TICKS = 20000 };
    struct group group;
    struct upstreams_attempt attempts[CLIENTS];
    unsigned left[CLIENTS] = {0};
    struct random random;
    random_init(&random, 1);
    group_open(&group, 3, (struct upstreams_options){0});
    for (unsigned client = 0; client < CLIENTS; client++)
        attempts[client] = repeatable;
    for (unsigned tick = 0; tick < TICKS; tick++) {
        for (unsigned client = 0; client < CLIENTS; client++) {
            if (left[client] > 0 && --left[client] > 0)
                continue;
            if (attempts[client].upstream)
                finish(&group, &attempts[client], UPSTREAM_ANSWERED);
            attempts[client] = repeatable;
            left[client] = (unsigned)random_between(&random, 1, 9);
            if (choose(&group, &attempts[client]) == 0)
                left[client] *= 10;
        }
    }
    const uint64_t slow = view_of(&group, 0).requests, fast = view_of(&group, 1).requests;
    assert_true(slow * 5 < fast); /* blind choice: the same number */
    assert_in_range(view_of(&group, 2).requests, fast * 95 / 100, fast * 105 / 100);
    for (unsigned client = 0; client < CLIENTS; client++)
        end(&group, &attempts[client]);
    group_close(&group);
}

static void a_retry_goes_elsewhere(void **state)
{
    struct group group;
    group_open(&group, 3, (struct upstreams_options){.failures_max = 1000000});
    for (unsigned count = 0; count < 200; count++) {
        struct upstreams_attempt attempt = repeatable;
        uint64_t seen = 0;
        for (unsigned round = 0; round < 3; round++) {
            const int index = choose(&group, &attempt);
            assert_true(index >= 0 && (seen >> index & 1) == 0);
            seen |= UINT64_C(1) << index;
            finish(&group, &attempt, UPSTREAM_FAILED);
        }
        assert_true(choose(&group, &attempt) >= 0); /* all were tried: one of them again */
        end(&group, &attempt);
        assert_int_equal(attempt.count, 4);
    }
    group_close(&group);
}

/* ---- By keys --------------------------------------------------------------------------------- */

enum { KEYS = 10000 };

static void keys_stay_where_they_are(void **state)
{
    static int before[KEYS];
    unsigned counts[8] = {0}, moved[8] = {0};
    struct group group;
    group_open(&group, 8,
               (struct upstreams_options){.balance = UPSTREAMS_BY_HASH,
                                          .open_ms = 3600 * 1000,
                                          .open_max_ms = 3600 * 1000});
    for (unsigned key = 0; key < KEYS; key++)
        counts[before[key] = request_by_key(&group, key)]++;
    for (unsigned index = 0; index < 8; index++)
        assert_in_range(counts[index], KEYS / 8 * 9 / 10, KEYS / 8 * 11 / 10);
    /* One leaves: its keys are dealt out to all others, and no other moves. */
    for (unsigned key = 0; state_at(&group, 3) == UPSTREAM_UP; key++) {
        struct upstreams_attempt attempt = {.key = random_mix(key)};
        const int index = choose(&group, &attempt);
        finish(&group, &attempt, index == 3 ? UPSTREAM_FAILED : UPSTREAM_ANSWERED);
    }
    for (unsigned key = 0; key < KEYS; key++) {
        const int index = request_by_key(&group, key);
        assert_int_not_equal(index, 3);
        if (before[key] != 3)
            assert_int_equal(index, before[key]);
        else
            moved[index]++;
    }
    for (unsigned index = 0; index < 8; index++)
        if (index != 3)
            assert_in_range(moved[index], counts[3] / 7 * 7 / 10, counts[3] / 7 * 13 / 10);
    /* It comes back, and all is as it was. */
    pass_ms(&group, 3600 * 1000);
    for (unsigned key = 0; key < KEYS; key++)
        assert_int_equal(request_by_key(&group, key), before[key]);
    group_close(&group);
}

/* Another process, whatever its seed, and whatever the order of its URLs. */
static void keys_are_the_same_elsewhere(void **state)
{
    static const char *const urls[] = {"http://a:1", "http://b:2", "http://c:3"};
    static const char *const turned[] = {"http://c:3", "http://a:1", "http://b:2"};
    struct conn_pool *pool;
    struct upstreams *here, *there;
    assert_int_equal(conn_pool_create(NULL, &pool), 0);
    const struct upstreams_options options = {.balance = UPSTREAMS_BY_HASH, .seed = 1};
    const struct upstreams_options other = {.balance = UPSTREAMS_BY_HASH, .seed = 2};
    assert_int_equal(upstreams_create(pool, urls, 3, &options, &here, NULL), 0);
    assert_int_equal(upstreams_create(pool, turned, 3, &other, &there, NULL), 0);
    for (unsigned key = 0; key < 1000; key++) {
        struct upstreams_attempt a = {.key = random_mix(key)}, b = a;
        int64_t retry_after_ms;
        const struct upstream *one = upstreams_choose(here, &a, LEAT_NS_PER_S, &retry_after_ms);
        const struct upstream *two = upstreams_choose(there, &b, LEAT_NS_PER_S, &retry_after_ms);
        assert_string_equal(one->url, two->url);
        upstreams_end(here, &a);
        upstreams_end(there, &b);
    }
    upstreams_destroy(here);
    upstreams_destroy(there);
    conn_pool_destroy(pool);
}

/* ---- Figures --------------------------------------------------------------------------------- */

static void latency_is_a_moving_mean(void **state)
{
    struct group group;
    struct upstreams_attempt attempt = repeatable;
    group_open(&group, 1, (struct upstreams_options){.failures_max = 1000});
    assert_int_equal(choose(&group, &attempt), 0);
    pass_ms(&group, 8);
    tell(&group, &attempt, UPSTREAM_ANSWERED);
    pass_ms(&group, 1000); /* of the body */
    end(&group, &attempt);
    assert_int_equal(view_of(&group, 0).latency_ns, 8 * LEAT_NS_PER_MS);
    attempt = repeatable;
    assert_int_equal(choose(&group, &attempt), 0);
    pass_ms(&group, 100);
    attempt.begun_ns = group.now_ns; /* it has waited for a connection so long */
    pass_ms(&group, 16);
    finish(&group, &attempt, UPSTREAM_ERRED);
    assert_int_equal(view_of(&group, 0).latency_ns, 9 * LEAT_NS_PER_MS);
    for (unsigned count = 0; count < 100; count++)
        request(&group, UPSTREAM_FAILED); /* says nothing */
    assert_int_equal(view_of(&group, 0).latency_ns, 9 * LEAT_NS_PER_MS);
    group_close(&group);
}

/* ---- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, REQUESTS = 40000 };

struct hammer {
    struct upstreams *upstreams;
    unsigned number;
    uint64_t asked[4], refused, retries;
};

static enum upstream_outcome draw_outcome(struct random *random, unsigned index)
{
    /* Number 3 is broken half of the time, in long stretches. */
    const uint64_t chance = random_below(random, 100);
    if (index == 3 && chance < 70)
        return UPSTREAM_FAILED;
    return chance < 97 ? UPSTREAM_ANSWERED : chance < 99 ? UPSTREAM_ERRED : UPSTREAM_FAILED;
}

static void *hammer_away(void *arg)
{
    struct hammer *hammer = arg;
    struct random random;
    random_init(&random, hammer->number);
    for (unsigned count = 0; count < REQUESTS; count++) {
        struct upstreams_attempt attempt = {.is_repeatable = count % 4 != 0};
        int64_t retry_after_ms;
        /* 20 us a request: circuits open and close many times. */
        const int64_t now_ns = BEGIN_S * LEAT_NS_PER_S + count * 20 * LEAT_NS_PER_US;
        struct upstream *upstream;
        enum upstream_outcome outcome = UPSTREAM_FAILED;
        upstreams_note_request(hammer->upstreams, now_ns);
        while (
            attempt.count < 3 && outcome != UPSTREAM_ANSWERED &&
            (upstream = upstreams_choose(hammer->upstreams, &attempt, now_ns, &retry_after_ms))) {
            hammer->asked[upstream->index]++;
            outcome = draw_outcome(&random, upstream->index);
            if (random_below(&random, 10) > 0)
                upstreams_tell(hammer->upstreams, &attempt, outcome, now_ns);
            upstreams_end(hammer->upstreams, &attempt);
            if (outcome != UPSTREAM_ANSWERED && !upstreams_may_retry(hammer->upstreams, now_ns))
                break;
            hammer->retries += outcome != UPSTREAM_ANSWERED;
        }
        hammer->refused += attempt.count == 0;
    }
    return NULL;
}

static void threads_agree(void **state)
{
    struct group group;
    pthread_t threads[THREADS];
    struct hammer hammers[THREADS];
    group_open(&group, 4,
               (struct upstreams_options){.open_ms = 1, .open_max_ms = 4, .slow_start_ms = 2});
    for (unsigned index = 0; index < THREADS; index++) {
        hammers[index] = (struct hammer){.upstreams = group.upstreams, .number = index};
        assert_int_equal(pthread_create(&threads[index], NULL, hammer_away, &hammers[index]), 0);
    }
    for (unsigned index = 0; index < THREADS; index++)
        assert_int_equal(pthread_join(threads[index], NULL), 0);
    uint64_t retries = 0;
    for (unsigned index = 0; index < 4; index++) {
        const struct upstreams_view view = view_of(&group, index);
        uint64_t asked = 0;
        for (unsigned thread = 0; thread < THREADS; thread++)
            asked += hammers[thread].asked[index];
        assert_int_equal(view.requests, asked);
        assert_int_equal(view.in_flight, 0);
        assert_int_not_equal(view.state, UPSTREAM_PROBING); /* none was forgotten */
    }
    for (unsigned thread = 0; thread < THREADS; thread++) {
        assert_int_equal(hammers[thread].refused, 0);
        retries += hammers[thread].retries;
    }
    assert_true(retries <= THREADS * REQUESTS / 5 + 10 * 8 + THREADS);
    const struct upstreams_view bad = view_of(&group, 3), good = view_of(&group, 0);
    assert_true(bad.opened_circuits > 3 && bad.requests < good.requests);
    group_close(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(what_cannot_be_an_upstream_is_explained),
        cmocka_unit_test(loads_are_even),
        cmocka_unit_test(idle_ones_share_alike),
        cmocka_unit_test(slow_ones_get_less),
        cmocka_unit_test(a_retry_goes_elsewhere),
        cmocka_unit_test(keys_stay_where_they_are),
        cmocka_unit_test(keys_are_the_same_elsewhere),
        cmocka_unit_test(latency_is_a_moving_mean),
        cmocka_unit_test(threads_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
