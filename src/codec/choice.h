/* SPDX-License-Identifier: MIT */
/*
 * The decision: which setting makes the bytes arrive soonest? Coding and sending go on at the same
 * time, block by block, so a text takes about as long as the slower of the two, and the first block
 * before it. What does not arrive sooner coded is left as it is.
 */
#ifndef CODEC_CHOICE_H
#define CODEC_CHOICE_H

#include "codec/model.h"

/* What is known of the way to the receiver. */
struct choice_link {
    double rate_bytes_per_s; /* 0: unknown */
    int64_t rtt_ns;          /* 0: unknown */
    uint64_t window;         /* bytes that may be on their way at first; 0: unknown */
    unsigned mss;            /* 0: 1448 */
};

enum choice_reason {
    CHOICE_CODED,      /* it arrives sooner */
    CHOICE_SMALL,      /* it fits where it is: coding saves no packet */
    CHOICE_COMPRESSED, /* it is compressed already */
    CHOICE_NOISE,      /* the sample finds nothing to gain */
    CHOICE_NO_GAIN,    /* coding would take longer than it saves */
    CHOICE_REASONS,
};
/* "coded", "small", … for metrics and people. Static. */
const char *choice_reason_name(enum choice_reason reason);

struct choice {
    unsigned index; /* of the model's settings; 0: none */
    struct codec_setting setting;
    enum choice_reason reason;
    double ratio;     /* expected */
    int64_t time_ns;  /* to deliver it so, */
    int64_t plain_ns; /* and as it is */
    int64_t cpu_ns;   /* of coding it */
};

/* `codecs` are those that the receiver understands; `slowdown` is headroom_slowdown's. */
void choice_make(struct model *model, const struct sample *sample, const struct choice_link *link,
                 double slowdown, unsigned codecs, struct choice *ret_choice);
/* What choice_make compares: the time to deliver it by this setting, 0: as it is. */
double choice_deliver_ns(const struct model *model, const struct sample *sample,
                         const struct choice_link *link, double slowdown, unsigned setting);
/* Time to send so many bytes over the link, from the first to the last. */
double choice_send_ns(const struct choice_link *link, double size);

#endif
