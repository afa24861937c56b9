/* SPDX-License-Identifier: MIT */
/*
 * Results of loads that the tests of what is made of them share.
 */
#ifndef LOAD_SAMPLE_H
#define LOAD_SAMPLE_H

#include "load/result.h"

struct load_example {
    struct load_tally tally;
    struct load_sample samples[3];
    struct load_result result;
};

/* Nothing has been answered in ten seconds of a closed loop. On the heap. */
static inline struct load_example *load_example_create(void)
{
    struct load_example *example = calloc(1, sizeof *example);
    assert_non_null(example);
    example->result = (struct load_result){
        .url = "http://127.0.0.1:8080/1k",
        .url_count = 1,
        .method = "GET",
        .connections = 64,
        .threads = 2,
        .keep_alive = true,
        .warm_up_s = 1,
        .engine = "uring",
        .begin_wall_ns = INT64_C(1795027503250000000),
        .elapsed_s = 10,
        .tally = &example->tally,
        .samples = example->samples,
    };
    return example;
}

/* Answered with a status after so long; `count` times. */
static inline void load_example_answer(struct load_example *example, unsigned status,
                                       uint64_t latency_ns, unsigned count)
{
    for (unsigned index = 0; index < count; index++)
        histogram_record(&example->tally.latency, latency_ns);
    example->tally.answered += count;
    example->tally.statuses[status] += count;
    example->tally.bytes_received += 1200 * (uint64_t)count;
    example->tally.body_bytes += 1024 * (uint64_t)count;
    example->tally.bytes_sent += 60 * (uint64_t)count;
}

/* 10,000 requests with everything that can happen to one. */
static inline struct load_example *load_example_create_full(void)
{
    struct load_example *example = load_example_create();
    load_example_answer(example, 200, 100000, 5000);
    load_example_answer(example, 200, 200000, 4000);
    load_example_answer(example, 404, 1500000, 890);
    load_example_answer(example, 503, 20000000, 10);
    struct load_tally *tally = &example->tally;
    tally->errors[LOAD_REFUSED] = 40;
    tally->errors[LOAD_CUT] = 30;
    tally->errors[LOAD_MALFORMED] = 20;
    tally->errors[LOAD_TIMEOUT] = 8;
    tally->unfinished = 2;
    tally->connects = 164;
    tally->closes = 3;
    example->result.cpu_user_s = 0.5;
    example->result.cpu_system_s = 1.5;
    for (unsigned index = 0; index < 3; index++)
        example->samples[index] = (struct load_sample){.end_s = index + 1,
                                                       .length_s = 1,
                                                       .answered = 3300,
                                                       .bytes_received = 3300 * 1200,
                                                       .p50_ns = 100000,
                                                       .p99_ns = 1500000,
                                                       .greatest_ns = 20000000};
    example->samples[1].errors = 98;
    example->result.sample_count = 3;
    return example;
}

#endif
