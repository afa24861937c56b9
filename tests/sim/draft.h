/* SPDX-License-Identifier: MIT */
/*
 * A draft: the bytes that a client of the simulator is going to send, written piece by piece.
 */
#ifndef TESTS_SIM_DRAFT_H
#define TESTS_SIM_DRAFT_H

#include "harness.h"

struct draft {
    struct sim_run *run;
    char *data;
    size_t size, room;
};

void draft_append(struct draft *draft, const void *data, size_t size);
void draft_say(struct draft *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Letters that mean nothing. */
void draft_fill(struct draft *draft, size_t size);
/* Bytes `offset` and on of content number `content`. */
void draft_content(struct draft *draft, uint64_t content, uint64_t offset, size_t size);
void draft_fini(struct draft *draft);

#endif
