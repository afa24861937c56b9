/* SPDX-License-Identifier: MIT */
/*
 * The crew of a load: a thread a client, begun at one instant, and looked at each second by the
 * thread that called. A signal to end (SIGINT, SIGTERM) ends the load, and what was seen so far is
 * its result.
 */
#ifndef LOAD_CREW_H
#define LOAD_CREW_H

#include <sched.h>

#include "plan.h"
#include "result.h"

enum { LOAD_THREADS_MAX = 256 };

struct load_crew {
    const struct load_plan *plan;
    const cpu_set_t *cores; /* a thread each, in turn; NULL: wherever the system puts them */
    /* Called each second of the measurement, and with NULL each second before it; NULL: nobody
     * looks. `elapsed_s` since the begin. */
    void (*on_second)(const struct load_sample *sample, double elapsed_s, void *user);
    void *user;
};

/* Fills in what came of it; tally and samples are the caller's to free. 0, or -1 with one line in
 * ret_error. */
int load_crew_run(const struct load_crew *crew, struct load_result *ret_result, char *ret_error,
                  size_t ret_error_size);

#endif
