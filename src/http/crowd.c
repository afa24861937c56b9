/* SPDX-License-Identifier: MIT */
/*
 * See crowd.h.
 */
#include "http/crowd.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "leat/error.h"

int crowd_init(struct crowd *crowd, struct hash_seed seed)
{
    crowd->seed = seed;
    return hash_init(&crowd->table, 0);
}

void crowd_fini(struct crowd *crowd)
{
    ASSERT(crowd->table.count == 0);
    hash_fini(&crowd->table);
}

/* False: it has none. */
static bool key_of(const struct leat_address *address, uint64_t key[2])
{
    key[0] = (uint64_t)leat_address_family(address);
    key[1] = 0;
    switch (leat_address_family(address)) {
    case AF_INET: memcpy(&key[1], &address->v4.sin_addr, 4); return true;
    case AF_INET6:
        if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
            key[0] = AF_INET;
            memcpy(&key[1], address->v6.sin6_addr.s6_addr + 12, 4);
        } else {
            memcpy(&key[1], &address->v6.sin6_addr, 8);
        }
        return true;
    default: return false;
    }
}

static struct crowd_entry *find(const struct crowd *crowd, const uint64_t key[2], uint64_t hash)
{
    for (struct hash_node *node = hash_find(&crowd->table, hash); node;
         node = hash_find_next(node)) {
        struct crowd_entry *entry = CONTAINER_OF(node, struct crowd_entry, node);
        if (memcmp(entry->key, key, sizeof entry->key) == 0)
            return entry;
    }
    return NULL;
}

int crowd_enter(struct crowd *crowd, const struct leat_address *address, unsigned count_max,
                struct crowd_entry **ret_entry)
{
    uint64_t key[2];
    if (!key_of(address, key)) {
        *ret_entry = NULL;
        return 0;
    }
    const uint64_t hash = hash_bytes(&crowd->seed, slice_of(key, sizeof key));
    struct crowd_entry *entry = find(crowd, key, hash);
    if (!entry) {
        entry = malloc(sizeof *entry);
        if (!entry)
            return -ENOMEM;
        *entry = (struct crowd_entry){.key = {key[0], key[1]}};
        if (hash_insert(&crowd->table, &entry->node, hash) != 0) {
            free(entry);
            return -ENOMEM;
        }
    }
    if (entry->count >= count_max)
        return -LEAT_E_LIMIT;
    entry->count++;
    *ret_entry = entry;
    return 0;
}

void crowd_leave(struct crowd *crowd, struct crowd_entry *entry)
{
    if (!entry)
        return;
    ASSERT(entry->count > 0);
    if (--entry->count > 0)
        return;
    hash_remove(&crowd->table, &entry->node);
    free(entry);
}
