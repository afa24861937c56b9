/* SPDX-License-Identifier: MIT */
/*
 * A small seeded generator: xoshiro256** (Blackman and Vigna, 2018), its state filled by
 * splitmix64. The same seed gives the same numbers on every machine; never use it for secrets. The
 * state is the caller's; one thread at a time.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"

struct random {
    uint64_t state[4];
};

/* Spreads a counter or a seed over all 64 bits (splitmix64's finaliser). */
static inline uint64_t random_mix(uint64_t word)
{
    word += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static inline void random_init(struct random *random, uint64_t seed)
{
    for (unsigned index = 0; index < 4; index++)
        random->state[index] = random_mix(seed + index * UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t random_next(struct random *random)
{
    uint64_t *state = random->state;
    const uint64_t scrambled = state[1] * 5;
    const uint64_t result = ((scrambled << 7) | (scrambled >> 57)) * 9;
    const uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = (state[3] << 45) | (state[3] >> 19);
    return result;
}

/* 0 .. limit-1. By multiplication (Lemire, 2019) without the rejection step: for the limits in use
 * its bias is below anything a test could notice. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    ASSERT(limit > 0);
    return (uint64_t)(((unsigned __int128)random_next(random) * limit) >> 64);
}

/* low .. high, both included. */
static inline uint64_t random_between(struct random *random, uint64_t low, uint64_t high)
{
    ASSERT(low <= high && high - low < UINT64_MAX);
    return low + random_below(random, high - low + 1);
}

/* True `millionths` times in a million. */
static inline bool random_chance(struct random *random, uint32_t millionths)
{
    return millionths > 0 && random_below(random, 1000000) < millionths;
}

#endif
