/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses: what is asked, what is kept, who shares a question, and that whoever gives up
 * leaves nothing behind.
 */
#include "names.h"

static struct name_server server;
static bool has_server;

static int with_server(void **state)
{
    has_server = name_server_start(&server);
    return 0;
}

static int without_server(void **state)
{
    if (has_server)
        name_server_stop(&server);
    return 0;
}

#define NEEDS_SERVER()                                                                             \
    if (!has_server)                                                                               \
    skip()

static void expect(const char *host, int error, unsigned v6, unsigned v4)
{
    unsigned counts[RESOLVE_FAMILIES];
    const int result = look_up(host, soon(), counts);
    if (result != error)
        fail_msg("%s: %s", host, leat_error_text(result));
    if (!error && (counts[RESOLVE_V6] != v6 || counts[RESOLVE_V4] != v4))
        fail_msg("%s: %u of IPv6, %u of IPv4", host, counts[RESOLVE_V6], counts[RESOLVE_V4]);
    assert_int_equal(op_busy_count, 0);
}

/* ---- What DNS says --------------------------------------------------------------------------- */

static int answers_fiber(void *arg)
{
    expect("both.test", 0, 1, 1);
    expect("four.test", 0, 0, 1);
    expect("six.test", 0, 1, 0);
    expect("alias.test", 0, 1, 1);
    expect("BOTH.Test", 0, 1, 1);
    expect("both.test.", 0, 1, 1);
    expect("nobody.test", -LEAT_E_NO_HOST, 0, 0);
    expect("both.elsewhere", -LEAT_E_RESOLVER, 0, 0); /* it refuses to say */
    return 0;
}

static void answers_body(enum leat_engine engine)
{
    NEEDS_SERVER();
    run_main_fiber(engine, answers_fiber);
}
ENGINE_TEST(answers)

/* Answers of more than 512 bytes come by TCP (RFC 7766); no more are taken than there is room. */
static int long_answers_fiber(void *arg)
{
    expect("many.test", 0, 1, RESOLVE_HOSTS_MAX);
    return 0;
}

static void long_answers_body(enum leat_engine engine)
{
    NEEDS_SERVER();
    run_main_fiber(engine, long_answers_fiber);
}
ENGINE_TEST(long_answers)

/* Each who asks begins with another address. */
static int addresses_take_turns_fiber(void *arg)
{
    struct leat_address addresses[3];
    for (unsigned i = 0; i < 3; i++) {
        struct resolve_wait wait;
        expect("many.test", 0, 1, RESOLVE_HOSTS_MAX);
        assert_int_equal(resolve_begin(&wait, "many.test"), 0);
        assert_true(resolve_address(&wait, RESOLVE_V4, 0, 1234, &addresses[i]));
        assert_int_equal(leat_address_port(&addresses[i]), 1234);
        assert_false(resolve_address(&wait, RESOLVE_V4, RESOLVE_HOSTS_MAX, 1234, &addresses[i]));
        resolve_end(&wait);
    }
    assert_false(leat_address_equal(&addresses[0], &addresses[1]));
    assert_false(leat_address_equal(&addresses[1], &addresses[2]));
    return 0;
}

static void addresses_take_turns_body(enum leat_engine engine)
{
    NEEDS_SERVER();
    run_main_fiber(engine, addresses_take_turns_fiber);
}
ENGINE_TEST(addresses_take_turns)

/* ---- What is not asked ----------------------------------------------------------------------- */

static int never_asked_fiber(void *arg)
{
    static const char *const impossible[] = {
        "",
        ".",
        "..",
        "a..test",
        ".test",
        "a b.test",
        "a/b",
        "caf\xc3\xa9.test",
        "a.test:80",
        "1.2.3",
        "127.1",
        "1.2.3.4.5",
        "x.0",
        "4294967295",
        "hidden.onion",
        "a\nb.test",
        "[::1]",
        "0123456789012345678901234567890123456789012345678901234567890123.test",
    };
    char text[300];
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++)
        expect(impossible[i], -LEAT_E_NO_HOST, 0, 0);
    memset(text, 'a', sizeof text);
    for (size_t i = 63; i < sizeof text; i += 64)
        text[i] = '.';
    text[254] = '\0'; /* one more than a name may have */
    expect(text, -LEAT_E_NO_HOST, 0, 0);
    assert_int_equal(counters().asked, 0);
    /* RFC 6761: no server is asked for those either; /etc/hosts may know one family alone. */
    unsigned counts[RESOLVE_FAMILIES];
    assert_int_equal(look_up("localhost", soon(), counts), 0);
    expect("leat.localhost", 0, 1, 1);
    expect("leat.localhost.", 0, 1, 1);
    assert_int_equal(counters().queries, 0);
    return 0;
}
FIBER_ENGINE_TEST(never_asked)

/* ---- What is kept ---------------------------------------------------------------------------- */

static uint64_t queries_of(const char *host, int error)
{
    const uint64_t before = counters().queries;
    unsigned counts[RESOLVE_FAMILIES];
    assert_int_equal(look_up(host, soon(), counts), error);
    return counters().queries - before;
}

static int kept_fiber(void *arg)
{
    assert_int_equal(queries_of("both.test", 0), 2);
    assert_int_equal(queries_of("both.test", 0), 0);
    assert_int_equal(queries_of("Both.TEST", 0), 0);
    assert_int_equal(queries_of("nobody.test", -LEAT_E_NO_HOST), 2);
    assert_int_equal(queries_of("nobody.test", -LEAT_E_NO_HOST), 0);
    assert_int_equal(queries_of("fleeting.test", 0), 2); /* a TTL of 0 */
    assert_int_equal(queries_of("fleeting.test", 0), 2);
    assert_int_equal(queries_of("brief.test", 0), 2);
    assert_int_equal(queries_of("brief.test", 0), 0);
    leat_sleep_ms(1100);
    assert_int_equal(queries_of("brief.test", 0), 2);
    assert_int_equal(queries_of("nobody.test", -LEAT_E_NO_HOST), 2);
    assert_int_equal(queries_of("both.test", 0), 0);
    assert_int_equal(counters().kept, 5);
    return 0;
}

static void kept_body(enum leat_engine engine)
{
    NEEDS_SERVER();
    run_main_fiber(engine, kept_fiber);
}
ENGINE_TEST(kept)

/* The table is bounded: the one that has rested longest goes. */
static int forgotten_fiber(void *arg)
{
    char host[32];
    assert_int_equal(queries_of("both.test", 0), 2);
    for (unsigned i = 0; i < RESOLVE_NAMES_MAX + 10; i++) {
        snprintf(host, sizeof host, "x%u.localhost", i);
        assert_int_equal(queries_of(host, 0), 0);
    }
    assert_int_equal(counters().names, RESOLVE_NAMES_MAX);
    assert_int_equal(queries_of("both.test", 0), 2);
    return 0;
}

static void forgotten_body(enum leat_engine engine)
{
    NEEDS_SERVER();
    run_main_fiber(engine, forgotten_fiber);
}
ENGINE_TEST(forgotten)

/* ---- Search domains -------------------------------------------------------------------------- */

static int search_domains_fiber(void *arg)
{
    expect("both", 0, 1, 1); /* both.test */
    expect("host", 0, 0, 1); /* host.test is not there, host.sub.test is */
    expect("both.", -LEAT_E_RESOLVER, 0, 0);
    expect("both.test", 0, 1, 1);
    expect("host.sub", 0, 0, 1); /* fewer dots than two: the domains come first */
    return 0;
}

static void search_domains_body(enum leat_engine engine)
{
    NEEDS_SERVER();
    setenv("LOCALDOMAIN", "test sub.test", 1); /* resolver(5): as "search" in resolv.conf */
    setenv("RES_OPTIONS", "ndots:2", 1);
    run_main_fiber(engine, search_domains_fiber);
    unsetenv("LOCALDOMAIN");
    unsetenv("RES_OPTIONS");
}
ENGINE_TEST(search_domains)

/* ---- Many ------------------------------------------------------------------------------------ */

enum { MANY = 200 };

static int ask_both(void *arg)
{
    unsigned counts[RESOLVE_FAMILIES];
    return look_up(arg, soon(), counts);
}

static int shared_fiber(void *arg)
{
    struct leat_call calls[MANY];
    for (unsigned i = 0; i < MANY; i++)
        calls[i] =
            (struct leat_call){.fn = ask_both, .arg = (void *)(i % 2 ? "both.test" : "four.test")};
    assert_int_equal(leat_gather(calls, MANY, NULL), 0);
    assert_int_equal(counters().queries, 4);
    assert_int_equal(counters().shared, MANY - 2);
    assert_int_equal(op_busy_count, 0);
    return 0;
}

static void shared_body(enum leat_engine engine)
{
    NEEDS_SERVER();
    run_main_fiber(engine, shared_fiber);
}
ENGINE_TEST(shared)

/* At the limit the newcomer is told. */
static int limit_fiber(void *arg)
{
    static char hosts[RESOLVE_NAMES_MAX][32];
    static struct resolve_wait waits[RESOLVE_NAMES_MAX];
    struct resolve_wait wait;
    for (unsigned i = 0; i < RESOLVE_NAMES_MAX; i++) {
        snprintf(hosts[i], sizeof hosts[i], "silent%u.test", i);
        assert_int_equal(resolve_begin(&waits[i], hosts[i]), 0);
        if (i % 100 == 0)
            leat_sleep_ms(1);
    }
    assert_int_equal(resolve_begin(&wait, "one-more.test"), -LEAT_E_LIMIT);
    for (unsigned i = 0; i < RESOLVE_NAMES_MAX; i++)
        resolve_end(&waits[i]);
    assert_int_equal(op_busy_count, 0);
    assert_int_equal(counters().names, 0);
    return 0;
}

static void limit_body(enum leat_engine engine)
{
    struct scripted_server silent;
    scripted_server_start(&silent, NULL, NULL);
    run_main_fiber(engine, limit_fiber);
    scripted_server_stop(&silent);
}
ENGINE_TEST(limit)

/* ---- Giving up ------------------------------------------------------------------------------- */

static int silence_fiber(void *arg)
{
    unsigned counts[RESOLVE_FAMILIES];
    const unsigned before = open_descriptors();
    const int64_t begun_ns = leat_now_ns();
    assert_int_equal(look_up("both.test", leat_after_ms(100), counts), -ETIMEDOUT);
    assert_true(leat_now_ns() - begun_ns < 1000 * LEAT_NS_PER_MS);
    assert_int_equal(op_busy_count, 0);
    assert_int_equal(loop_current->jobs, 0);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(counters().names, 0); /* it was not said that there is none */
    return 0;
}

static void silence_body(enum leat_engine engine)
{
    struct scripted_server silent;
    scripted_server_start(&silent, NULL, NULL);
    run_main_fiber(engine, silence_fiber);
    assert_int_equal(silent.questions, 2);
    scripted_server_stop(&silent);
}
ENGINE_TEST(silence)

static void ask_and_be_cancelled(void *arg)
{
    unsigned counts[RESOLVE_FAMILIES];
    const int result = look_up("both.test", soon(), counts);
    if (result != 0 && result != -ECANCELED)
        fail_msg("%s", leat_error_text(result));
}

/* After any number of turns, alone and beside somebody who stays. */
static int cancelled_anywhere_fiber(void *arg)
{
    const unsigned before = open_descriptors();
    for (unsigned round = 0; round < 120; round++) {
        struct leat_scope leaving, staying;
        leat_scope_init(&leaving);
        leat_scope_init(&staying);
        leat_spawn(&leaving, ask_and_be_cancelled, NULL, NULL);
        if (round % 2)
            leat_spawn(&staying, ask_and_be_cancelled, NULL, NULL);
        for (unsigned turns = 0; turns < round / 2; turns++)
            leat_yield();
        if (round % 3 == 0)
            usleep(200); /* the world goes on by itself */
        leat_scope_fini(&leaving);
        leat_scope_join(&staying, soon());
        leat_scope_fini(&staying);
        assert_int_equal(op_busy_count, 0);
        assert_int_equal(loop_current->jobs, 0);
        assert_int_equal(open_descriptors(), before);
        leat_sleep_ms(round % 5 == 0 ? 2 : 0);
    }
    return 0;
}

static size_t answer_fleeting(unsigned char *data, size_t size, int type, void *user)
{
    return write_answer(data, size, type, type == TYPE_A ? "127.0.0.1" : "::1", 0);
}

static void cancelled_anywhere_body(enum leat_engine engine)
{
    struct scripted_server fleeting;
    scripted_server_start(&fleeting, answer_fleeting, NULL);
    run_main_fiber(engine, cancelled_anywhere_fiber);
    assert_true(fleeting.questions > 2);
    scripted_server_stop(&fleeting);
}
ENGINE_TEST(cancelled_anywhere)

/* ---- Answers that are none ------------------------------------------------------------------- */

/* Garbage, other names' answers, other questions' numbers, pointers in circles; then the truth. */
static size_t answer_with_lies(unsigned char *data, size_t size, int type, void *user)
{
    _Atomic unsigned *count = user;
    const size_t answer_size =
        write_answer(data, size, type, type == TYPE_A ? "127.0.0.1" : "::1", 60);
    switch ((*count)++ / 2) {
    case 0: memset(data + 2, 0xff, answer_size - 2); return answer_size;
    case 1: data[0] ^= 0x55; return answer_size; /* not what was asked */
    case 2: data[7] = 200; return answer_size;   /* records that are not there */
    case 3: return 5;
    case 4: data[12 + 5] = 0xc0, data[12 + 6] = 12; return answer_size;
    default: return answer_size;
    }
}

/* Lies are no answers: it goes on with the next try, or it is said that nobody knows. */
static int lies_fiber(void *arg)
{
    unsigned counts[RESOLVE_FAMILIES];
    for (unsigned i = 0; i < 8; i++) {
        const int result = look_up("honest.test", leat_after_ms(200), counts);
        if (result == 0)
            assert_int_equal(counts[RESOLVE_V6] + counts[RESOLVE_V4], 2);
        else
            assert_true(result == -ETIMEDOUT || result == -LEAT_E_RESOLVER);
        assert_int_equal(op_busy_count, 0);
        leat_sleep_ms(result == -LEAT_E_RESOLVER ? 1050 : 0); /* so long it is kept */
    }
    expect("honest.test", 0, 1, 1);
    return 0;
}

static void lies_body(enum leat_engine engine)
{
    struct scripted_server liar;
    _Atomic unsigned count = 0;
    scripted_server_start(&liar, answer_with_lies, (void *)&count);
    run_main_fiber(engine, lies_fiber);
    scripted_server_stop(&liar);
}
ENGINE_TEST(lies)

/* ---- Which servers --------------------------------------------------------------------------- */

static void test_servers_that_are_none(void **state)
{
    struct leat_address servers[RESOLVE_SERVERS_MAX + 1];
    for (unsigned i = 0; i <= RESOLVE_SERVERS_MAX; i++)
        servers[i] = address_of("127.0.0.1:53");
    assert_int_equal(leat_dial_use_servers(servers, RESOLVE_SERVERS_MAX + 1), -EINVAL);
    servers[1] = address_of("unix:@name");
    assert_int_equal(leat_dial_use_servers(servers, 2), -EINVAL);
}

/* While a loop runs: the next question goes to the new one, and to the second where the first does
 * not listen. */
static int other_servers_fiber(void *arg)
{
    struct scripted_server first, second;
    struct leat_address servers[2];
    unsigned counts[RESOLVE_FAMILIES];
    scripted_server_start(&first, answer_fleeting, NULL);
    assert_int_equal(look_up("both.test", soon(), counts), 0);
    scripted_server_start(&second, answer_fleeting, NULL);
    assert_int_equal(look_up("both.test", soon(), counts), 0);
    assert_int_equal(first.questions, 2);
    assert_int_equal(second.questions, 2);
    servers[0] = servers[1] = address_of("127.0.0.1:0");
    leat_address_set_port(&servers[0], port_of(first.fd));
    leat_address_set_port(&servers[1], port_of(second.fd));
    scripted_server_stop(&first);
    assert_int_equal(leat_dial_use_servers(servers, 2), 0);
    assert_int_equal(look_up("both.test", soon(), counts), 0);
    assert_true(second.questions > 2);
    scripted_server_stop(&second);
    return 0;
}
FIBER_ENGINE_TEST(other_servers)

/* Nobody listens there: that is told at once, and need not be waited for. */
static int refused_fiber(void *arg)
{
    const int fd = bind_at("127.0.0.1:0", 0, SOCK_DGRAM);
    use_server(port_of(fd));
    close(fd);
    for (unsigned i = 0; i < 3; i++) {
        char host[32];
        snprintf(host, sizeof host, "host%u.test", i);
        const int64_t begun_ns = leat_now_ns();
        expect(host, -LEAT_E_RESOLVER, 0, 0);
        leat_yield();
        assert_true(leat_now_ns() - begun_ns < 1000 * LEAT_NS_PER_MS);
    }
    assert_int_equal(leat_dial_use_servers(NULL, 0), 0);
    return 0;
}
FIBER_ENGINE_TEST(refused)

/* Loops of several threads ask while a further one changes whom. */
static void *run_asking(void *arg)
{
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    return (void *)(intptr_t)leat_run(arg, NULL, &options);
}

static int ask_often_fiber(void *arg)
{
    unsigned counts[RESOLVE_FAMILIES];
    for (unsigned i = 0; i < 100; i++) {
        const int result = look_up("fleeting.test", leat_after_ms(5000), counts);
        if (result)
            return result;
    }
    return 0;
}

static void test_threads(void **state)
{
    struct scripted_server fleeting;
    pthread_t threads[3];
    scripted_server_start(&fleeting, answer_fleeting, NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_asking, ask_often_fiber), 0);
    for (unsigned i = 0; i < 50; i++) {
        use_server(port_of(fleeting.fd));
        usleep(1000);
    }
    for (unsigned i = 0; i < 3; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_int_equal((intptr_t)result, 0);
    }
    assert_int_equal(fleeting.questions, 3 * 100 * 2);
    scripted_server_stop(&fleeting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_long_answers),
        cmocka_unit_test(test_addresses_take_turns),
        cmocka_unit_test(test_never_asked),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_search_domains),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_cancelled_anywhere),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_servers_that_are_none),
        cmocka_unit_test(test_other_servers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, with_server, without_server);
}
