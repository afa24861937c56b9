/* SPDX-License-Identifier: MIT */
/*
 * Token buckets: an address gets its share a second and no more, all together theirs, and a flood
 * of made-up addresses cannot get more than that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/allowance.h"
#include "leat/clock.h"

enum { EACH = 1000, ALL = 10000 };

static struct leat_address host(uint32_t number, uint16_t port)
{
    struct leat_address address = {.size = sizeof address.v4};
    address.v4.sin_family = AF_INET;
    address.v4.sin_addr.s_addr = htonl(number);
    address.v4.sin_port = htons(port);
    return address;
}

/* Bytes that the address gets at one instant, in pieces of 100. */
static unsigned drain(struct feed_allowance *allowance, const struct leat_address *address,
                      int64_t now_ns)
{
    unsigned bytes = 0;
    while (feed_allowance_ask(allowance, address, now_ns)) {
        feed_allowance_take(allowance, address, 100, now_ns);
        bytes += 100;
    }
    return bytes;
}

static void an_address_gets_its_share(void **state)
{
    static struct feed_allowance allowance;
    const struct leat_address a = host(1, 1), same_host = host(1, 2), b = host(2, 1);
    int64_t now_ns = 5 * LEAT_NS_PER_S;
    feed_allowance_init(&allowance, EACH, ALL, now_ns);
    assert_int_equal(drain(&allowance, &a, now_ns), EACH);
    assert_int_equal(drain(&allowance, &same_host, now_ns), 0); /* a host, not a port */
    assert_int_equal(drain(&allowance, &b, now_ns), EACH);
    now_ns += LEAT_NS_PER_S / 2;
    assert_int_equal(drain(&allowance, &a, now_ns), EACH / 2);
    now_ns += 3600 * LEAT_NS_PER_S; /* nobody saves up */
    assert_int_equal(drain(&allowance, &a, now_ns), EACH);
}

static void what_was_overdrawn_is_owed(void **state)
{
    static struct feed_allowance allowance;
    const struct leat_address a = host(1, 1);
    feed_allowance_init(&allowance, EACH, ALL, 0);
    assert_true(feed_allowance_ask(&allowance, &a, 0));
    feed_allowance_take(&allowance, &a, EACH + EACH / 2, 0);
    assert_false(feed_allowance_ask(&allowance, &a, LEAT_NS_PER_S / 4));
    assert_true(feed_allowance_ask(&allowance, &a, LEAT_NS_PER_S * 3 / 4));
}

static void asking_all_the_time_costs_nothing(void **state)
{
    static struct feed_allowance allowance;
    const struct leat_address a = host(1, 1);
    feed_allowance_init(&allowance, EACH, ALL, 0);
    assert_int_equal(drain(&allowance, &a, 0), EACH);
    unsigned bytes = 0;
    for (int64_t now_ns = 0; now_ns < LEAT_NS_PER_S; now_ns += LEAT_NS_PER_US)
        bytes += drain(&allowance, &a, now_ns);
    assert_in_range(bytes, EACH - 100, EACH + 100);
}

static void many_names_share_what_all_get(void **state)
{
    static struct feed_allowance allowance;
    feed_allowance_init(&allowance, EACH, ALL, 0);
    unsigned bytes = 0;
    for (uint32_t number = 0; number < 100000; number++) {
        const struct leat_address made_up = host(number * 2654435761u, 1);
        bytes += drain(&allowance, &made_up, number);
    }
    assert_in_range(bytes, ALL, ALL + 200);
}

static void families_are_told_apart(void **state)
{
    static struct feed_allowance allowance;
    struct leat_address v6;
    const struct leat_address v4 = host(0x7f000001, 1);
    assert_int_equal(leat_address_parse("[::1]:1", &v6, NULL), 0);
    feed_allowance_init(&allowance, EACH, ALL, 0);
    assert_int_equal(drain(&allowance, &v6, 0), EACH);
    assert_int_equal(drain(&allowance, &v4, 0), EACH);
    assert_int_equal(drain(&allowance, &v6, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_gets_its_share),
        cmocka_unit_test(what_was_overdrawn_is_owed),
        cmocka_unit_test(asking_all_the_time_costs_nothing),
        cmocka_unit_test(many_names_share_what_all_get),
        cmocka_unit_test(families_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
