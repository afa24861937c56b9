/* SPDX-License-Identifier: MIT */
/*
 * What a loop has for coding: encoders that wait for their next text, how much memory they have in
 * all, what it has learned of each setting's price (model.h), and how much of its core it gets
 * (headroom.h).
 */
#ifndef CODEC_WORKSHOP_H
#define CODEC_WORKSHOP_H

#include "codec/headroom.h"
#include "codec/model.h"
#include "loop/loop.h"

enum {
    WORKSHOP_MEMORY_MAX = 64 << 20, /* of a loop's encoders, those that wait included */
    WORKSHOP_IDLE_MAX = 8,          /* that wait */
};

struct workshop {
    struct loop_extension extension;
    struct model model;
    struct headroom headroom;
    size_t memory;   /* of its encoders, as encoder_memory has it */
    unsigned active; /* encoders at work */
    struct encoder *idle;
    unsigned idle_count;
};

/* The loop's, made with the first call; NULL: no memory. */
struct workshop *workshop_of(struct leat_loop *loop);

#endif
