/* SPDX-License-Identifier: MIT */
/*
 * The window: lowest sequence first, its own bytes, full when it is full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "feed/window.h"

enum { PLACES = 16, PLACE_SIZE = 64 };

static void open_window(struct window *window)
{
    const struct window_options options = {.places = PLACES, .place_size = PLACE_SIZE};
    assert_int_equal(window_init(window, &options), 0);
}

static bool add(struct window *window, uint64_t sequence, bool is_recovered)
{
    char bytes[PLACE_SIZE];
    memset(bytes, (int)sequence, sizeof bytes);
    const struct window_packet packet = {
        .sequence = sequence,
        .blocks = slice_of(bytes, 1 + sequence % PLACE_SIZE),
        .count = 1 + sequence % 7,
        .received_ns = (int64_t)sequence * 3,
        .is_recovered = is_recovered,
    };
    const bool is_in = window_add(window, &packet);
    memset(bytes, 0xee, sizeof bytes); /* what the window has is a copy */
    return is_in;
}

static void check_first(const struct window *window, uint64_t sequence)
{
    const struct window_packet *packet = window_first(window);
    assert_non_null(packet);
    assert_int_equal(packet->sequence, sequence);
    assert_int_equal(packet->count, 1 + sequence % 7);
    assert_int_equal(packet->received_ns, sequence * 3);
    assert_int_equal(packet->blocks.size, 1 + sequence % PLACE_SIZE);
    for (size_t at = 0; at < packet->blocks.size; at++)
        assert_int_equal((unsigned char)packet->blocks.data[at], (unsigned char)sequence);
}

static void the_lowest_comes_first(void **state)
{
    struct window window;
    struct random random;
    uint64_t held[PLACES];
    unsigned count = 0;
    random_init(&random, 1);
    open_window(&window);
    for (unsigned step = 0; step < 100000; step++) {
        if (count < PLACES && random_chance(&random, 500000)) {
            const uint64_t sequence = random_below(&random, 200); /* some of them twice */
            assert_true(add(&window, sequence, true));
            held[count++] = sequence;
        } else if (count > 0) {
            unsigned lowest = 0;
            for (unsigned index = 1; index < count; index++)
                lowest = held[index] < held[lowest] ? index : lowest;
            check_first(&window, held[lowest]);
            window_drop(&window);
            held[lowest] = held[--count];
        } else {
            assert_null(window_first(&window));
        }
    }
    window_fini(&window);
}

static void a_quarter_is_kept_for_answers(void **state)
{
    struct window window;
    open_window(&window);
    for (unsigned index = 0; index < PLACES * 3 / 4; index++)
        assert_true(add(&window, 1000 + index, false));
    assert_false(add(&window, 2000, false));
    for (unsigned index = 0; index < PLACES / 4; index++)
        assert_true(add(&window, 500 + index, true));
    assert_false(add(&window, 3000, true));
    check_first(&window, 500);
    window_drop(&window);
    assert_false(add(&window, 2000, false));
    assert_true(add(&window, 499, true));
    check_first(&window, 499);
    window_fini(&window);
}

static void what_is_too_long_has_no_place(void **state)
{
    static const char bytes[PLACE_SIZE + 1];
    struct window window;
    const struct window_options options = {
        .places = PLACES, .place_size = PLACE_SIZE, .is_prefaulted = true};
    assert_int_equal(window_init(&window, &options), 0);
    struct window_packet packet = {
        .sequence = 1, .count = 1, .blocks = slice_of(bytes, sizeof bytes)};
    assert_false(window_add(&window, &packet));
    assert_null(window_first(&window));
    packet.blocks.size--;
    assert_true(window_add(&window, &packet));
    window_fini(&window);
    window_fini(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_comes_first),
        cmocka_unit_test(a_quarter_is_kept_for_answers),
        cmocka_unit_test(what_is_too_long_has_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
