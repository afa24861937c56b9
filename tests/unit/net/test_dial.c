/* SPDX-License-Identifier: MIT */
/*
 * Connecting by name: which address is taken, how soon, and what is left of the others. An address
 * that does not answer is a listener of this host whose queue is full.
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

static struct door door;

/* Runs the main fiber with a door and a name server, where both are to be had. */
#define DOOR_TEST(name)                                                                            \
    static void name##_body(enum leat_engine engine)                                               \
    {                                                                                              \
        if (!has_server || !door_make(&door))                                                      \
            skip();                                                                                \
        run_main_fiber(engine, name##_fiber);                                                      \
        door_close(&door);                                                                         \
    }                                                                                              \
    ENGINE_TEST(name)

/* Dials the door: AF_INET or AF_INET6, whichever was taken, or an error; and how long it took. Of
 * what was begun nothing is left. */
static int dial_door(const char *host, int64_t *ret_ms)
{
    struct leat_stream *stream;
    struct leat_address peer;
    const unsigned before = open_descriptors();
    const int64_t begun_ns = leat_now_ns();
    int result = leat_dial(host, door.port, NULL, soon(), &stream);
    leat_yield(); /* so that the clock is read */
    *ret_ms = (leat_now_ns() - begun_ns) / LEAT_NS_PER_MS;
    if (!result) {
        assert_int_equal(leat_stream_peer(stream, &peer), 0);
        assert_int_equal(leat_address_port(&peer), door.port);
        result = leat_address_family(&peer);
        leat_stream_close(stream);
    }
    assert_int_equal(op_busy_count, 0);
    assert_int_equal(open_descriptors(), before);
    return result;
}

static void expect(const char *host, int result, int64_t min_ms, int64_t max_ms)
{
    int64_t took_ms;
    const int taken = dial_door(host, &took_ms);
    if (taken != result)
        fail_msg("%s: %d (%s)", host, taken, taken < 0 ? leat_error_text(taken) : "family");
    if (took_ms < min_ms || took_ms > max_ms)
        fail_msg("%s: %lld ms", host, (long long)took_ms);
}

/* What takes no time at all takes less than this, on a busy host too. */
enum { SOON_MS = 200, LATE_MS = 2000 };

/* ---- Numbers --------------------------------------------------------------------------------- */

static int numbers_fiber(void *arg)
{
    assert_int_equal(listen(door.v6, 8), 0);
    expect("127.0.0.1", -ECONNREFUSED, 0, SOON_MS);
    assert_int_equal(listen(door.v4, 8), 0);
    expect("127.0.0.1", AF_INET, 0, SOON_MS);
    expect("::1", AF_INET6, 0, SOON_MS);
    expect("0:0:0:0:0:0:0:1", AF_INET6, 0, SOON_MS);
    expect("unix:/tmp/x", -LEAT_E_NO_HOST, 0, SOON_MS);
    expect("[::1]", -LEAT_E_NO_HOST, 0, SOON_MS);
    assert_int_equal(counters().asked, 0);
    return 0;
}
DOOR_TEST(numbers)

/* ---- Names ----------------------------------------------------------------------------------- */

static int names_fiber(void *arg)
{
    assert_int_equal(listen(door.v6, 8), 0);
    assert_int_equal(listen(door.v4, 8), 0);
    expect("both.test", AF_INET6, 0, SOON_MS);
    expect("four.test", AF_INET, 0, SOON_MS);
    expect("six.test", AF_INET6, 0, SOON_MS);
    expect("nobody.test", -LEAT_E_NO_HOST, 0, SOON_MS);
    expect("not a name", -LEAT_E_NO_HOST, 0, SOON_MS);
    return 0;
}
DOOR_TEST(names)

/* ---- Happy eyeballs -------------------------------------------------------------------------- */

/* A refusal need not be waited out. */
static int refused_fiber(void *arg)
{
    assert_int_equal(listen(door.v4, 8), 0);
    expect("both.test", AF_INET, 0, SOON_MS);
    expect("six.test", -ECONNREFUSED, 0, SOON_MS);
    return 0;
}
DOOR_TEST(refused)

static int all_refused_fiber(void *arg)
{
    expect("both.test", -ECONNREFUSED, 0, SOON_MS);
    expect("many.test", -ECONNREFUSED, 0, SOON_MS);
    return 0;
}
DOOR_TEST(all_refused)

static size_t answer_for_a_second(unsigned char *data, size_t size, int type, void *user)
{
    return write_answer(data, size, type, type == TYPE_A ? "127.0.0.1" : "::1", 1);
}

/* RFC 8305, section 5: the next one after 250 ms; and who dials again begins with what was good. */
static int silent_fiber(void *arg)
{
    door_jam(&door, door.v6);
    assert_int_equal(listen(door.v4, 8), 0);
    expect("both.test", AF_INET, DIAL_ATTEMPT_DELAY_MS, LATE_MS);
    expect("both.test", AF_INET, 0, SOON_MS);
    return 0;
}
DOOR_TEST(silent)

/* What was better is better still when the name has to be asked for again. */
static int silent_again_fiber(void *arg)
{
    struct scripted_server fleeting;
    scripted_server_start(&fleeting, answer_for_a_second, NULL);
    door_jam(&door, door.v6);
    assert_int_equal(listen(door.v4, 8), 0);
    expect("fleeting.test", AF_INET, DIAL_ATTEMPT_DELAY_MS, LATE_MS);
    leat_sleep_ms(1100);
    expect("fleeting.test", AF_INET, 0, SOON_MS);
    assert_int_equal(fleeting.questions, 4);
    scripted_server_stop(&fleeting);
    use_server(server.port);
    return 0;
}
DOOR_TEST(silent_again)

static int preference_changes_fiber(void *arg)
{
    door_jam(&door, door.v4);
    assert_int_equal(listen(door.v6, 8), 0);
    expect("both.test", AF_INET6, 0, SOON_MS);
    expect("alias.test", AF_INET6, 0, SOON_MS);
    expect("both.test", AF_INET6, 0, SOON_MS);
    return 0;
}
DOOR_TEST(preference_changes)

static int nobody_answers_fiber(void *arg)
{
    struct leat_stream *stream;
    door_jam(&door, door.v6);
    door_jam(&door, door.v4);
    const unsigned before = open_descriptors();
    assert_int_equal(leat_dial("both.test", door.port, NULL, leat_after_ms(400), &stream),
                     -ETIMEDOUT);
    assert_int_equal(op_busy_count, 0);
    assert_int_equal(open_descriptors(), before);
    return 0;
}
DOOR_TEST(nobody_answers)

/* Each dial begins with another address; those that refuse cost no time, and none is left out. */
static int several_addresses_fiber(void *arg)
{
    door_jam(&door, door.v6);
    assert_int_equal(listen(door.v4, 8), 0);
    expect("several.test", AF_INET, DIAL_ATTEMPT_DELAY_MS, LATE_MS);
    for (unsigned i = 0; i < 8; i++)
        expect("several.test", AF_INET, 0, LATE_MS);
    return 0;
}
DOOR_TEST(several_addresses)

/* Lets in who waits at a listener. */
static void drain(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (poll(&wait, 1, 0) == 1)
        close(accept(fd, NULL, NULL));
}

/* Both attempts come through while the loop is kept from seeing it: a SYN that was not answered is
 * sent again after a second (RFC 6298). */
static void keep_the_loop(void *arg)
{
    leat_sleep_ms(800);
    drain(door.v6);
    drain(door.v4);
    usleep(700 * 1000);
}

static int both_connect_fiber(void *arg)
{
    struct leat_scope scope;
    leat_scope_init(&scope);
    door_jam(&door, door.v6);
    door_jam(&door, door.v4);
    leat_spawn(&scope, keep_the_loop, NULL, NULL);
    int64_t took_ms;
    const int taken = dial_door("both.test", &took_ms);
    if (taken < 0)
        fail_msg("%s", leat_error_text(taken));
    assert_true(took_ms >= 1000);
    leat_scope_fini(&scope);
    return 0;
}
DOOR_TEST(both_connect)

/* ---- While the name is still asked for ------------------------------------------------------- */

static size_t answer_v4_alone(unsigned char *data, size_t size, int type, void *user)
{
    return type == TYPE_A ? write_answer(data, size, type, "127.0.0.1", 60) : 0;
}

static size_t answer_v6_alone(unsigned char *data, size_t size, int type, void *user)
{
    return type == TYPE_AAAA ? write_answer(data, size, type, "::1", 60) : 0;
}

/* RFC 8305, section 3: an answer for IPv6 is waited for 50 ms, one for IPv4 not at all. What has
 * come is kept, and its neighbour not waited for again. */
static int half_answers_fiber(void *arg)
{
    struct scripted_server half;
    assert_int_equal(listen(door.v6, 8), 0);
    assert_int_equal(listen(door.v4, 8), 0);
    scripted_server_start(&half, answer_v4_alone, NULL);
    expect("half.test", AF_INET, DIAL_RESOLUTION_DELAY_MS, LATE_MS);
    int64_t took_ms = DIAL_RESOLUTION_DELAY_MS;
    for (int tries = 0; tries < 5 && took_ms >= DIAL_RESOLUTION_DELAY_MS; tries++)
        assert_int_equal(dial_door("half.test", &took_ms), AF_INET); /* the host may be busy */
    assert_true(took_ms < DIAL_RESOLUTION_DELAY_MS);
    assert_int_equal(half.questions, 2);
    scripted_server_stop(&half);
    scripted_server_start(&half, answer_v6_alone, NULL);
    expect("other-half.test", AF_INET6, 0, SOON_MS);
    scripted_server_stop(&half);
    use_server(server.port);
    return 0;
}
DOOR_TEST(half_answers)

/* The half that came led nowhere: the other one decides. */
static size_t answer_v6_late(unsigned char *data, size_t size, int type, void *user)
{
    if (type == TYPE_AAAA)
        usleep(150 * 1000);
    return write_answer(data, size, type, type == TYPE_A ? "127.0.0.1" : "::1", 60);
}

static int second_half_saves_fiber(void *arg)
{
    struct scripted_server late;
    assert_int_equal(listen(door.v6, 8), 0);
    scripted_server_start(&late, answer_v6_late, NULL);
    expect("late.test", AF_INET6, 150, LATE_MS);
    scripted_server_stop(&late);
    use_server(server.port);
    return 0;
}
DOOR_TEST(second_half_saves)

/* ---- Giving up ------------------------------------------------------------------------------- */

static void dial_and_be_cancelled(void *arg)
{
    struct leat_stream *stream;
    const int result = leat_dial("both.test", door.port, NULL, soon(), &stream);
    if (result == 0)
        leat_stream_close(stream);
    else if (result != -ECANCELED)
        fail_msg("%s", leat_error_text(result));
}

/* At each point: while files are read, while servers are asked, while one or two attempts are under
 * way, when one has won. */
static int cancelled_anywhere_fiber(void *arg)
{
    static const int64_t waits_us[] = {0, 0, 100, 300, 1000, 3000, 260000, 300000};
    door_jam(&door, door.v6);
    assert_int_equal(listen(door.v4, 8), 0);
    const unsigned before = open_descriptors();
    for (unsigned round = 0; round < 40; round++) {
        struct leat_scope scope;
        leat_scope_init(&scope);
        leat_spawn(&scope, dial_and_be_cancelled, NULL, NULL);
        for (unsigned turns = 0; turns < round / 4; turns++)
            leat_yield();
        leat_sleep_until(leat_now_ns() + waits_us[round % 8] * LEAT_NS_PER_US);
        leat_scope_fini(&scope);
        assert_int_equal(op_busy_count, 0);
        assert_int_equal(loop_current->jobs, 0);
        assert_int_equal(open_descriptors(), before);
    }
    return 0;
}
DOOR_TEST(cancelled_anywhere)

static int too_late_fiber(void *arg)
{
    int64_t took_ms;
    struct leat_stream *stream;
    assert_int_equal(leat_dial("both.test", door.port, NULL, leat_now_ns(), &stream), -ETIMEDOUT);
    assert_int_equal(leat_dial("127.0.0.1", door.port, NULL, leat_now_ns(), &stream), -ETIMEDOUT);
    assert_int_equal(counters().asked, 0);
    assert_int_equal(dial_door("both.test", &took_ms), -ECONNREFUSED);
    return 0;
}
DOOR_TEST(too_late)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_all_refused),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_silent_again),
        cmocka_unit_test(test_preference_changes),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_several_addresses),
        cmocka_unit_test(test_both_connect),
        cmocka_unit_test(test_half_answers),
        cmocka_unit_test(test_second_half_saves),
        cmocka_unit_test(test_cancelled_anywhere),
        cmocka_unit_test(test_too_late),
    };
    return cmocka_run_group_tests(tests, with_server, without_server);
}
