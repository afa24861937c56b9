/* SPDX-License-Identifier: MIT */
/*
 * See tally.h.
 */
#include "tally.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"

void load_tally_add(struct load_tally *tally, const struct load_tally *other)
{
    tally->answered += other->answered;
    tally->unfinished += other->unfinished;
    tally->connects += other->connects;
    tally->closes += other->closes;
    tally->bytes_received += other->bytes_received;
    tally->body_bytes += other->body_bytes;
    tally->bytes_sent += other->bytes_sent;
    for (unsigned error = 0; error < LOAD_ERRORS; error++)
        tally->errors[error] += other->errors[error];
    for (unsigned status = 0; status < LOAD_STATUSES; status++)
        tally->statuses[status] += other->statuses[status];
    histogram_add(&tally->latency, &other->latency);
}

void load_tally_clear(struct load_tally *tally)
{
    memset(tally, 0, offsetof(struct load_tally, latency));
    histogram_clear(&tally->latency);
}

uint64_t load_tally_errors(const struct load_tally *tally)
{
    uint64_t count = 0;
    for (unsigned error = 0; error < LOAD_ERRORS; error++)
        count += tally->errors[error];
    return count;
}

uint64_t load_tally_failures(const struct load_tally *tally)
{
    uint64_t count = 0;
    for (unsigned status = 400; status < LOAD_STATUSES; status++)
        count += tally->statuses[status];
    return count;
}

const char *load_error_name(enum load_error error)
{
    static const char *const names[LOAD_ERRORS] = {"refused", "cut", "malformed", "timeout"};
    ASSERT(error < LOAD_ERRORS);
    return names[error];
}
