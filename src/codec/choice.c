/* SPDX-License-Identifier: MIT */
/*
 * See choice.h. What a setting takes is the larger of two times:
 *
 *     the core:  all blocks coded, one after another, and the last of them sent;
 *     the link:  the first block coded, and all of them sent.
 *
 * The core's time is CPU time, that of sending included, by as much as others slow it down; the
 * link's is longer by what it then waits for the core.
 */
#include "codec/choice.h"

#include "base/assert.h"

enum {
    MSS = 1448,
    TAIL_SIZE = 64 * 1024, /* plain bytes that are still to be sent when all is coded */
};

static const double RATE_UNKNOWN = 12.5e6; /* bytes/s: 100 Mb/s, where neither error is dear */
static const double SEND_NS_A_BYTE = 0.3;  /* CPU time, the packets' way through the kernel */
static const double WAIT_NS_A_BYTE = 2;    /* measured, by a unit of slowdown */
static const double GAIN_LEAST = 0.03;     /* of the plain time: less is not worth the trouble */
static const double RATIO_MOST = 0.97;     /* of a coded text: nor is more */
/* Noise: LZ4 finds nothing in it, and Huffman codes would save a twentieth at best. */
static const float NOISE_LZ4_RATIO = 0.99f, NOISE_ENTROPY = 7.6f;

const char *choice_reason_name(enum choice_reason reason)
{
    static const char *const names[CHOICE_REASONS] = {
        [CHOICE_CODED] = "coded", [CHOICE_SMALL] = "small",     [CHOICE_COMPRESSED] = "compressed",
        [CHOICE_NOISE] = "noise", [CHOICE_NO_GAIN] = "no-gain",
    };
    ASSERT((unsigned)reason < CHOICE_REASONS);
    return names[reason];
}

static double rate_of(const struct choice_link *link)
{
    return link->rate_bytes_per_s > 0 ? link->rate_bytes_per_s : RATE_UNKNOWN;
}

/* The window opens by as much as was sent in each round trip (RFC 5681, section 3.1), until it is
 * as large as the way is long; from then on the rate counts. */
double choice_send_ns(const struct choice_link *link, double size)
{
    const double rate = rate_of(link), on_way = rate * (double)link->rtt_ns / 1e9;
    double window = (double)link->window, ns = 0;
    ASSERT(size >= 0 && link->rtt_ns >= 0);
    while (window > 0 && window < on_way && size > window) {
        ns += (double)link->rtt_ns;
        size -= window;
        window *= 2;
    }
    return ns + size / rate * 1e9;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* On a busy core the link runs dry now and then: who would fill it waits for his turn, too. */
static double sent_ns(const struct choice_link *link, double slowdown, double size)
{
    return choice_send_ns(link, size) + size * WAIT_NS_A_BYTE * (slowdown - 1);
}

static double plain_ns(const struct choice_link *link, double slowdown, double size)
{
    return larger(sent_ns(link, slowdown, size), size * SEND_NS_A_BYTE * slowdown);
}

static double coded_ns(const struct choice_link *link, double slowdown, double size,
                       const struct model_forecast *forecast)
{
    const double coded = size * forecast->ratio;
    const double tail = (size < TAIL_SIZE ? size : TAIL_SIZE) * forecast->ratio;
    const double core_ns = (forecast->cpu_ns + coded * SEND_NS_A_BYTE) * slowdown;
    return larger(core_ns + tail / rate_of(link) * 1e9,
                  forecast->first_ns * slowdown + sent_ns(link, slowdown, coded));
}

double choice_deliver_ns(const struct model *model, const struct sample *sample,
                         const struct choice_link *link, double slowdown, unsigned setting)
{
    const double size = (double)sample->size;
    struct model_forecast forecast;
    if (setting == 0)
        return plain_ns(link, slowdown, size);
    model_forecast(model, setting, sample, &forecast);
    return coded_ns(link, slowdown, size, &forecast);
}

static double packets(const struct choice_link *link, double size)
{
    const unsigned mss = link->mss > 0 ? link->mss : MSS;
    return (double)(((uint64_t)size + mss - 1) / mss);
}

/* Why the best of what there is, in bytes, is not good enough. */
static enum choice_reason reason_against(const struct choice_link *link, double size,
                                         double ratio_least)
{
    if (ratio_least > RATIO_MOST)
        return CHOICE_NOISE;
    return packets(link, size * ratio_least) >= packets(link, size) ? CHOICE_SMALL : CHOICE_NO_GAIN;
}

/* Of the settings the one with the least time: false when it is not less than the plain one. */
static bool choose(const struct model *model, const struct sample *sample,
                   const struct choice_link *link, double slowdown, unsigned codecs,
                   struct choice *choice, double *ret_ratio_least)
{
    const double size = (double)sample->size;
    double least_ns = (double)choice->plain_ns * (1 - GAIN_LEAST);
    *ret_ratio_least = 1;
    for (unsigned index = 1; index < model_setting_count(); index++) {
        const struct codec_setting setting = model_setting(index);
        struct model_forecast forecast;
        if ((codecs & CODEC_BIT(setting.codec)) == 0)
            continue;
        model_forecast(model, index, sample, &forecast);
        if (forecast.ratio < *ret_ratio_least)
            *ret_ratio_least = forecast.ratio;
        const double time_ns = coded_ns(link, slowdown, size, &forecast);
        if (time_ns >= least_ns || forecast.ratio > RATIO_MOST)
            continue;
        least_ns = time_ns;
        choice->index = index;
        choice->setting = setting;
        choice->ratio = forecast.ratio;
        choice->time_ns = (int64_t)time_ns;
        choice->cpu_ns = (int64_t)forecast.cpu_ns;
    }
    return choice->index > 0;
}

void choice_make(struct model *model, const struct sample *sample, const struct choice_link *link,
                 double slowdown, unsigned codecs, struct choice *ret_choice)
{
    const double size = (double)sample->size;
    const int64_t as_it_is_ns = (int64_t)plain_ns(link, slowdown, size);
    double ratio_least;
    ASSERT(slowdown >= 1);
    *ret_choice = (struct choice){.ratio = 1, .time_ns = as_it_is_ns, .plain_ns = as_it_is_ns};
    if (sample->is_compressed)
        ret_choice->reason = CHOICE_COMPRESSED;
    else if (sample->lz4_ratio >= NOISE_LZ4_RATIO && sample->entropy >= NOISE_ENTROPY)
        ret_choice->reason = CHOICE_NOISE;
    else if (choose(model, sample, link, slowdown, codecs, ret_choice, &ratio_least))
        ret_choice->reason = CHOICE_CODED;
    else
        ret_choice->reason = reason_against(link, size, ratio_least);
    if (ret_choice->reason == CHOICE_NO_GAIN)
        model_pass(model, sample);
}
