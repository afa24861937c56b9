/* SPDX-License-Identifier: MIT */
/*
 * See site_pace.h.
 */
#include "site_pace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "quantity.h"

/* A player's connection gets so many times what it plays, so that its buffer grows; and, so that it
 * sees that it could, so many times the top rung: players go up at 0.7 to 0.95 of what they
 * measure. */
static const double media_factor = 1.5, ladder_factor = 2;

enum { FACTOR_MAX = 1000 };

/* Tracks are cut at samples of their own, and segments differ in length. */
#define PACE_ROUNDING_S 1.0

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- What was sent --------------------------------------------------------------------------- */

/* Is it what a player that goes on would ask for: the next segment? Several connections share a
 * film, so it may be the one after the next, or the same once more. A step back is a seek, or a
 * better rung for what was sent. */
static bool goes_on(const struct pace_run *run, const struct pace_segment *segment)
{
    return segment->begin_s >= run->end_s - segment->duration_s - PACE_ROUNDING_S &&
           segment->begin_s <= run->end_s + PACE_SEEK_S;
}

/* Notes the segment; true: it is one of the first seconds since the beginning or a seek. */
static bool note_segment(struct pace_state *state, const struct pace_segment *segment)
{
    const struct pace_run new_run = {segment->begin_s, segment->begin_s};
    const double end_s = segment->begin_s + segment->duration_s;
    struct pace_run *run = &state->runs[segment->is_audio];
    ASSERT(segment->title != 0 && segment->duration_s >= 0);
    if (state->title != segment->title)
        *state = (struct pace_state){segment->title, {new_run, new_run}};
    else if (!goes_on(run, segment))
        *run = new_run;
    if (end_s > run->end_s)
        run->end_s = end_s;
    return run->end_s - run->begin_s <= PACE_FILL_S;
}

/* ---- Decisions ------------------------------------------------------------------------------- */

/* What the player itself says of its buffer comes first. */
static bool is_filling(const struct cmcd *cmcd, bool is_first)
{
    if (cmcd->is_startup || cmcd->is_starved)
        return true;
    if (cmcd->has_bl)
        return cmcd->bl_ms < PACE_LOW_BUFFER_MS || (is_first && cmcd->bl_ms < PACE_FILL_S * 1000);
    return is_first;
}

/* Bits a second. */
static uint64_t rate_of(const struct pace_policy *policy, const struct pace_segment *segment,
                        const struct cmcd *cmcd)
{
    /* Audio and video may come one after the other on a connection: each at a rate for both. */
    uint64_t media = larger(segment->bits_per_s, segment->film_bits_per_s);
    if (cmcd->has_br)
        media = larger(media, (uint64_t)cmcd->br_kbit_per_s * 1000);
    if (cmcd->has_rtp)
        return larger((uint64_t)cmcd->rtp_kbit_per_s * 1000, segment->bits_per_s);
    const double factor = policy->kind == PACE_FACTOR ? policy->factor : media_factor;
    return larger((uint64_t)((double)media * factor),
                  (uint64_t)((double)segment->ladder_bits_per_s * ladder_factor));
}

uint64_t pace_segment(const struct pace_policy *policy, struct pace_state *state,
                      const struct pace_segment *segment, const struct cmcd *cmcd)
{
    const bool is_first = note_segment(state, segment);
    if (policy->kind == PACE_OFF || policy->kind == PACE_RATE)
        return pace_other(policy);
    if (is_filling(cmcd, is_first) || (segment->is_ladder_unknown && !cmcd->has_rtp))
        return 0;
    const uint64_t bytes_per_s = rate_of(policy, segment, cmcd) / 8;
    return bytes_per_s ? bytes_per_s : 1;
}

uint64_t pace_other(const struct pace_policy *policy)
{
    ASSERT(policy->kind != PACE_RATE || policy->bytes_per_s > 0);
    return policy->kind == PACE_RATE ? policy->bytes_per_s : 0;
}

/* ---- The flag -------------------------------------------------------------------------------- */

static bool take_rate(double number, const char *suffix, struct pace_policy *policy)
{
    if (!quantity_scale(suffix, 1024, &number) || number < 1 || number > 1e15)
        return false;
    *policy = (struct pace_policy){.kind = PACE_RATE, .bytes_per_s = (uint64_t)number};
    return true;
}

int pace_take(const char *text, void *target, char *ret_error, size_t ret_error_size)
{
    struct pace_policy *policy = target;
    double number;
    const char *rest;
    if (strcmp(text, "auto") == 0) {
        *policy = (struct pace_policy){.kind = PACE_AUTO};
        return 0;
    }
    if (strcmp(text, "off") == 0) {
        *policy = (struct pace_policy){.kind = PACE_OFF};
        return 0;
    }
    if (quantity_number(text, &number, &rest)) {
        if (strcmp(rest, "x") == 0 && number >= 1 && number <= FACTOR_MAX) {
            *policy = (struct pace_policy){.kind = PACE_FACTOR, .factor = number};
            return 0;
        }
        if (take_rate(number, rest, policy))
            return 0;
    }
    snprintf(ret_error, ret_error_size,
             "--pace '%s': it takes auto, off, bytes a second such as 500k or 4m, or 1x to %dx",
             text, FACTOR_MAX);
    return -1;
}
