/* SPDX-License-Identifier: MIT */
/*
 * See allowance.h.
 */
#include "feed/allowance.h"

#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "leat/clock.h"

static void fill(struct feed_bucket *bucket, uint64_t bytes_per_s, int64_t now_ns)
{
    const int64_t passed_ns = now_ns - bucket->filled_ns;
    DEBUG_ASSERT(passed_ns >= 0);
    if (passed_ns >= LEAT_NS_PER_S) {
        /* More than a second's worth cannot be missing, but for an answer that overdrew it. */
        bucket->bytes = (int64_t)bytes_per_s;
        bucket->filled_ns = now_ns;
        return;
    }
    const int64_t more = (int64_t)((double)bytes_per_s * (double)passed_ns / 1e9);
    const int64_t bytes = bucket->bytes + more;
    bucket->bytes = bytes < (int64_t)bytes_per_s ? bytes : (int64_t)bytes_per_s;
    /* Not to now_ns: of who asks all the time nothing would ever be a whole byte. */
    bucket->filled_ns += (int64_t)((double)more * 1e9 / (double)bytes_per_s);
}

static void host_of(const struct leat_address *address, uint8_t ret_host[16])
{
    memset(ret_host, 0, 16);
    if (leat_address_family(address) == AF_INET6) {
        memcpy(ret_host, &address->v6.sin6_addr, 16);
    } else if (leat_address_family(address) == AF_INET) {
        ret_host[10] = ret_host[11] = 0xff;
        memcpy(ret_host + 12, &address->v4.sin_addr, 4);
    }
}

/* Its bucket, which may just have been somebody else's. */
static struct feed_bucket *find(struct feed_allowance *allowance,
                                const struct leat_address *address, int64_t now_ns)
{
    uint8_t host[16];
    host_of(address, host);
    uint64_t words[2];
    memcpy(words, host, sizeof words);
    struct feed_bucket *set =
        allowance->buckets[random_mix(words[0] ^ random_mix(words[1])) % FEED_ALLOWANCE_SETS];
    struct feed_bucket *oldest = &set[0];
    for (unsigned way = 0; way < FEED_ALLOWANCE_WAYS; way++) {
        if (set[way].is_used && memcmp(set[way].host, host, sizeof host) == 0)
            return &set[way];
        if (!set[way].is_used || (oldest->is_used && set[way].filled_ns < oldest->filled_ns))
            oldest = &set[way];
    }
    *oldest = (struct feed_bucket){
        .bytes = (int64_t)allowance->bytes_per_s, .filled_ns = now_ns, .is_used = true};
    memcpy(oldest->host, host, sizeof host);
    return oldest;
}

void feed_allowance_init(struct feed_allowance *allowance, uint64_t bytes_per_s,
                         uint64_t all_bytes_per_s, int64_t now_ns)
{
    ASSERT(bytes_per_s > 0 && all_bytes_per_s > 0);
    memset(allowance, 0, sizeof *allowance);
    allowance->bytes_per_s = bytes_per_s;
    allowance->all_bytes_per_s = all_bytes_per_s;
    allowance->all.bytes = (int64_t)all_bytes_per_s;
    allowance->all.filled_ns = now_ns;
}

bool feed_allowance_ask(struct feed_allowance *allowance, const struct leat_address *address,
                        int64_t now_ns)
{
    fill(&allowance->all, allowance->all_bytes_per_s, now_ns);
    if (allowance->all.bytes <= 0)
        return false;
    struct feed_bucket *bucket = find(allowance, address, now_ns);
    fill(bucket, allowance->bytes_per_s, now_ns);
    return bucket->bytes > 0;
}

void feed_allowance_take(struct feed_allowance *allowance, const struct leat_address *address,
                         uint64_t bytes, int64_t now_ns)
{
    ASSERT(bytes <= INT32_MAX);
    allowance->all.bytes -= (int64_t)bytes;
    find(allowance, address, now_ns)->bytes -= (int64_t)bytes;
}
