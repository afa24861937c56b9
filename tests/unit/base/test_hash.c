/* SPDX-License-Identifier: MIT */
/* SipHash against another implementation's results; the table against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/list.h"
#include "leat/error.h"

/* From CPython 3.11, whose hash(bytes) is SipHash-1-3: PYTHONHASHSEED=0 makes its key all zeros. */
static void sip_hash_agrees_with_cpython(void **state)
{
    const struct hash_seed zero = {{0, 0}};
    char counting[64];
    for (int i = 0; i < 64; i++)
        counting[i] = (char)i;
    assert_true(hash_bytes(&zero, SLICE("a")) == UINT64_C(0x407448d2b89b1813));
    assert_true(hash_bytes(&zero, SLICE("abcdefg")) == UINT64_C(0x6db12aae9070f506));
    assert_true(hash_bytes(&zero, SLICE("abcdefgh")) == UINT64_C(0x3f7b849c0b8e35ea));
    assert_true(hash_bytes(&zero, SLICE("abcdefghi")) == UINT64_C(0xf89b34a3d11eb6e5));
    assert_true(hash_bytes(&zero, SLICE("GET /film.mp4/master.m3u8")) ==
                UINT64_C(0x85a6bd4024d58b6f));
    assert_true(hash_bytes(&zero, slice_of(counting, 64)) == UINT64_C(0x75e05fd5bbc870c6));
}

static void each_part_of_the_input_counts(void **state)
{
    const struct hash_seed seed = {{1, 2}}, other = {{1, 3}}, another = {{2, 2}};
    char text[40] = {0};
    for (size_t size = 0; size < sizeof text; size++) {
        const uint64_t hash = hash_bytes(&seed, slice_of(text, size));
        assert_true(hash == hash_bytes(&seed, slice_of(text, size)));
        assert_true(hash != hash_bytes(&other, slice_of(text, size)));
        assert_true(hash != hash_bytes(&another, slice_of(text, size)));
        assert_true(hash != hash_bytes(&seed, slice_of(text, size + 1)));
        for (size_t at = 0; at < size; at++) {
            text[at] = 1;
            assert_true(hash != hash_bytes(&seed, slice_of(text, size)));
            text[at] = 0;
        }
    }
    assert_true(hash_bytes(&seed, slice_of(NULL, 0)) == hash_bytes(&seed, slice_of(text, 0)));
}

struct entry {
    struct hash_node node;
    uint64_t key;
    bool is_in, was_seen;
};

static struct entry *find(struct hash_table *table, uint64_t key, uint64_t hash)
{
    for (struct hash_node *node = hash_find(table, hash); node; node = hash_find_next(node)) {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);
        if (entry->key == key)
            return entry;
    }
    return NULL;
}

enum { ENTRIES = 500 };

static void check_walk(struct hash_table *table, struct entry *entries)
{
    size_t count = 0;
    for (struct hash_node *node = hash_walk(table, NULL); node; node = hash_walk(table, node)) {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);
        assert_false(entry->was_seen);
        entry->was_seen = true;
        count++;
    }
    assert_int_equal(count, table->count);
    for (size_t i = 0; i < ENTRIES; i++) {
        assert_true(entries[i].was_seen == entries[i].is_in);
        entries[i].was_seen = false;
    }
}

/* Random insertions and removals; `hash_mask` makes hashes, and low bits of them, collide. */
static void against_an_array(uint64_t hash_mask)
{
    struct hash_table table;
    assert_int_equal(hash_init(&table, 0), 0);
    struct entry *entries = calloc(ENTRIES, sizeof *entries);
    uint32_t random = 7;
    for (int step = 0; step < 20000; step++) {
        random = random * 1664525 + 1013904223;
        const size_t i = (random >> 8) % ENTRIES;
        const uint64_t hash = hash_number(i + 1) & hash_mask;
        assert_ptr_equal(find(&table, i, hash), entries[i].is_in ? &entries[i] : NULL);
        if (entries[i].is_in) {
            hash_remove(&table, &entries[i].node);
        } else {
            entries[i].key = i;
            assert_int_equal(hash_insert(&table, &entries[i].node, hash), 0);
        }
        entries[i].is_in = !entries[i].is_in;
        if (step % 1000 == 0)
            check_walk(&table, entries);
    }
    check_walk(&table, entries);
    hash_fini(&table);
    free(entries);
}

static void table_against_an_array(void **state)
{
    against_an_array(UINT64_MAX);
    against_an_array(0);
    against_an_array(0xff);
    against_an_array(UINT64_MAX << 32); /* all in one bucket, few with the same hash */
}

static void chains_stay_short(void **state)
{
    struct hash_table table;
    assert_int_equal(hash_init(&table, 0), 0);
    struct entry *entries = calloc(5000, sizeof *entries);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(hash_insert(&table, &entries[i].node, hash_number(i)), 0);
    assert_true(table.mask + 1 >= 5000);
    size_t longest = 0;
    for (size_t i = 0; i <= table.mask; i++) {
        size_t length = 0;
        for (const struct hash_node *node = table.buckets[i]; node; node = node->next)
            length++;
        longest = length > longest ? length : longest;
    }
    assert_true(longest <= 10);
    hash_fini(&table);
    free(entries);
}

/* Of equal hashes the youngest is found first, through any growth. */
static void the_youngest_is_found_first(void **state)
{
    struct hash_table table;
    assert_int_equal(hash_init(&table, 0), 0);
    struct entry same[100];
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(hash_insert(&table, &same[i].node, 42), 0);
    size_t expected = 100;
    for (struct hash_node *node = hash_find(&table, 42); node; node = hash_find_next(node))
        assert_ptr_equal(node, &same[--expected].node);
    assert_int_equal(expected, 0);
    hash_fini(&table);
}

static void the_limit_is_told_and_survived(void **state)
{
    struct hash_table table;
    assert_int_equal(hash_init(&table, 2), 0);
    struct entry entries[3];
    assert_int_equal(hash_insert(&table, &entries[0].node, 1), 0);
    assert_int_equal(hash_insert(&table, &entries[1].node, 2), 0);
    assert_int_equal(hash_insert(&table, &entries[2].node, 3), -LEAT_E_LIMIT);
    assert_null(hash_find(&table, 3));
    hash_remove(&table, &entries[0].node);
    assert_int_equal(hash_insert(&table, &entries[2].node, 3), 0);
    assert_ptr_equal(hash_find(&table, 3), &entries[2].node);
    hash_fini(&table);
}

static void removal_behind_the_walk(void **state)
{
    struct hash_table table;
    assert_int_equal(hash_init(&table, 0), 0);
    struct entry entries[50];
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(hash_insert(&table, &entries[i].node, hash_number(i)), 0);
    size_t count = 0;
    for (struct hash_node *node = hash_walk(&table, NULL), *next; node; node = next, count++) {
        next = hash_walk(&table, node);
        hash_remove(&table, node);
    }
    assert_int_equal(count, 50);
    assert_int_equal(table.count, 0);
    assert_null(hash_walk(&table, NULL));
    hash_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sip_hash_agrees_with_cpython),
        cmocka_unit_test(each_part_of_the_input_counts),
        cmocka_unit_test(table_against_an_array),
        cmocka_unit_test(chains_stay_short),
        cmocka_unit_test(the_youngest_is_found_first),
        cmocka_unit_test(the_limit_is_told_and_survived),
        cmocka_unit_test(removal_behind_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
