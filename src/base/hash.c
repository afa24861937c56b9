/* SPDX-License-Identifier: MIT */
/*
 * SipHash-1-3 and the hash table; see base/hash.h.
 */
#include "base/hash.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "leat/error.h"

enum { BUCKETS_MIN = 16 };

/* ---- SipHash --------------------------------------------------------------------------------- */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline void sip_compress(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t hash_bytes(const struct hash_seed *seed, struct leat_slice bytes)
{
    ASSERT(bytes.data || bytes.size == 0);
    struct sip s = {
        .v0 = seed->words[0] ^ UINT64_C(0x736f6d6570736575),
        .v1 = seed->words[1] ^ UINT64_C(0x646f72616e646f6d),
        .v2 = seed->words[0] ^ UINT64_C(0x6c7967656e657261),
        .v3 = seed->words[1] ^ UINT64_C(0x7465646279746573),
    };
    const char *at = bytes.data;
    size_t left = bytes.size;
    uint64_t word;
    for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sip_compress(&s, le64toh(word));
    }
    /* The last word: up to seven bytes, and the length modulo 256 on top. */
    word = (uint64_t)(bytes.size & 0xff) << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)(unsigned char)at[i] << 8 * i;
    sip_compress(&s, word);
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* ---- The table ------------------------------------------------------------------------------- */

int hash_init(struct hash_table *table, size_t count_max)
{
    struct hash_node **buckets = calloc(BUCKETS_MIN, sizeof *buckets);
    if (!buckets)
        return -ENOMEM;
    *table = (struct hash_table){
        .buckets = buckets,
        .mask = BUCKETS_MIN - 1,
        .count_max = count_max ? count_max : SIZE_MAX,
    };
    return 0;
}

void hash_fini(struct hash_table *table)
{
    free(table->buckets);
    *table = (struct hash_table){0};
}

static void push(struct hash_table *table, struct hash_node *node)
{
    struct hash_node **bucket = &table->buckets[node->hash & table->mask];
    node->next = *bucket;
    *bucket = node;
}

/* Twice the buckets. A chain is moved from its end to its head, so that the youngest stays first.
 * Without memory everything stays as it is: the chains become longer, nothing else. */
static void grow(struct hash_table *table)
{
    const size_t old_count = table->mask + 1;
    if (old_count > SIZE_MAX / 2 / sizeof *table->buckets)
        return;
    struct hash_node **old = table->buckets;
    struct hash_node **buckets = calloc(old_count * 2, sizeof *buckets);
    if (!buckets)
        return;
    table->buckets = buckets;
    table->mask = old_count * 2 - 1;
    for (size_t i = 0; i < old_count; i++) {
        struct hash_node *reversed = NULL;
        for (struct hash_node *node = old[i], *next; node; node = next) {
            next = node->next;
            node->next = reversed;
            reversed = node;
        }
        for (struct hash_node *node = reversed, *next; node; node = next) {
            next = node->next;
            push(table, node);
        }
    }
    free(old);
}

int hash_insert(struct hash_table *table, struct hash_node *node, uint64_t hash)
{
    ASSERT(table->buckets);
    ASSERT(table->count <= table->count_max);
    if (table->count == table->count_max)
        return -LEAT_E_LIMIT;
    if (table->count > table->mask)
        grow(table);
    node->hash = hash;
    push(table, node);
    table->count++;
    return 0;
}

void hash_remove(struct hash_table *table, struct hash_node *node)
{
    ASSERT(table->count > 0);
    struct hash_node **link = &table->buckets[node->hash & table->mask];
    while (*link != node) {
        ASSERT(*link); /* else it was not in this table */
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    table->count--;
}

struct hash_node *hash_walk(const struct hash_table *table, const struct hash_node *node)
{
    if (node && node->next)
        return node->next;
    ASSERT(table->buckets);
    for (size_t i = node ? (node->hash & table->mask) + 1 : 0; i <= table->mask; i++) {
        if (table->buckets[i])
            return table->buckets[i];
    }
    return NULL;
}
