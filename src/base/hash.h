/* SPDX-License-Identifier: MIT */
/*
 * Hashes, and an intrusive hash table keyed by them.
 *
 * hash_bytes is SipHash-1-3 (Aumasson and Bernstein, 2012; the rounds that Rust and CPython use):
 * without the seed nobody can choose keys that collide. Keys from outside are hashed with a random
 * seed; with a given one everything is the same in each run, as the simulator needs it.
 *
 * The table chains nodes that live in what they index, so it allocates nothing for an entry. The
 * caller hashes, and compares the keys of the few nodes with an equal hash:
 *
 *     for (node = hash_find(&table, hash); node; node = hash_find_next(node))
 *         if (slice_equal(CONTAINER_OF(node, struct entry, node)->key, key))
 *             ...
 *
 * It doubles when there are as many nodes as buckets, and goes on with longer chains when there is
 * no memory for that. At its limit the newcomer is refused. One thread: its owner's.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/random.h"
#include "base/slice.h"

/* ---- Hashes ---------------------------------------------------------------------------------- */

struct hash_seed {
    uint64_t words[2];
};

uint64_t hash_bytes(const struct hash_seed *seed, struct leat_slice bytes);

/* For numbers that are our own (a descriptor, an inode): each bit moves every bit of the result. */
static inline uint64_t hash_number(uint64_t number)
{
    return random_mix(number);
}

/* ---- The table ------------------------------------------------------------------------------- */

struct hash_node {
    struct hash_node *next;
    uint64_t hash;
};

struct hash_table {
    struct hash_node **buckets;
    size_t mask; /* buckets - 1, a power of two - 1 */
    size_t count;
    size_t count_max;
};

/* A table of at most `count_max` nodes (0: no limit). 0 or -ENOMEM. */
int hash_init(struct hash_table *table, size_t count_max);
/* The nodes still in it are forgotten; their memory is their owners'. */
void hash_fini(struct hash_table *table);

/* Nodes with equal hashes, and with equal keys if the caller wishes, may be in it together; the one
 * inserted last is found first. The node must be in no table. 0 or -LEAT_E_LIMIT. */
int hash_insert(struct hash_table *table, struct hash_node *node, uint64_t hash);

/* The node must be in the table. */
void hash_remove(struct hash_table *table, struct hash_node *node);

/* The next node of its chain, itself included, that has this hash; NULL when there is none. */
static inline struct hash_node *hash_skip_to(struct hash_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

static inline struct hash_node *hash_find(const struct hash_table *table, uint64_t hash)
{
    return hash_skip_to(table->buckets[hash & table->mask], hash);
}

static inline struct hash_node *hash_find_next(const struct hash_node *node)
{
    return hash_skip_to(node->next, node->hash);
}

/* Walks through all nodes, in an order that depends on the hashes and on what was inserted when:
 * the node after `node`, or the first one for NULL; NULL at the end. Between two calls nothing may
 * be inserted, and only nodes already passed may be removed, the current one not. */
struct hash_node *hash_walk(const struct hash_table *table, const struct hash_node *node);

#endif
