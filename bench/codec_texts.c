/* SPDX-License-Identifier: MIT */
/*
 * What codecs make of texts, for bench/fit_codecs.py. Each line of the standard input is a size and
 * a file, of which the first so many bytes are a text; the arguments are settings (zstd-3, gzip-6).
 * Each line of the standard output is a JSON object: the text's sample, the size and the least CPU
 * time of some goes by each setting, coded as the server codes it (http/coding.h: a small text at
 * once, a large one block by block), and what this build's model would choose (choice.h), by rate
 * and slowdown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/choice.h"
#include "codec/encoder.h"
#include "leat/error.h"
#include "leat/fiber.h"

enum { SETTINGS_MAX = 64, TEXT_MAX = 4 << 20, GOES_MAX = 40, GOES_LEAST = 3 };
static const int64_t GOES_NS = 2000000; /* enough of them */

static struct codec_setting settings[SETTINGS_MAX];
static unsigned setting_count;
static char text[TEXT_MAX], coded[TEXT_MAX + TEXT_MAX / 8];

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* As http/coder.c: the first flush after a block, then after twice as much each time. */
static ssize_t encode_blocks(struct codec_setting setting, size_t size)
{
    struct encoder *encoder;
    size_t total = 0, offset = 0, flush_at = MODEL_BLOCK_SIZE, step = MODEL_BLOCK_SIZE;
    int result = encoder_create(setting, (int64_t)size, &encoder);
    while (result >= 0 && offset < size) {
        const size_t left = size - offset;
        struct leat_slice input = {.data = text + offset,
                                   .size = left < MODEL_BLOCK_SIZE ? left : MODEL_BLOCK_SIZE};
        size_t out_size = 0;
        offset += input.size;
        enum encoder_goal goal = offset == size       ? ENCODER_END
                                 : offset >= flush_at ? ENCODER_FLUSH
                                                      : ENCODER_GO_ON;
        do {
            result = encoder_run(encoder, &input, goal, coded, 64 * 1024, &out_size);
            total += out_size;
        } while (result > 0);
        if (goal == ENCODER_FLUSH) {
            step *= 2;
            flush_at = offset + step;
        }
    }
    if (encoder)
        encoder_destroy(encoder);
    return result < 0 ? result : (ssize_t)total;
}

static ssize_t encode(struct codec_setting setting, size_t size)
{
    if (size <= MODEL_BLOCK_SIZE ||
        (setting.codec == LEAT_CODEC_GZIP && size <= MODEL_GZIP_WHOLE_SIZE))
        return codec_encode(setting, text, size, coded, sizeof coded);
    return encode_blocks(setting, size);
}

static int measure(struct codec_setting setting, size_t size)
{
    int64_t least_ns = INT64_MAX, all_ns = 0;
    ssize_t result = 0;
    for (unsigned go = 0; go < GOES_MAX && (go < GOES_LEAST || all_ns < GOES_NS); go++) {
        const int64_t begin_ns = cpu_ns();
        result = encode(setting, size);
        const int64_t its_ns = cpu_ns() - begin_ns;
        if (result < 0)
            return (int)result;
        least_ns = its_ns < least_ns ? its_ns : least_ns;
        all_ns += its_ns;
    }
    printf("[%zd, %lld]", result, (long long)least_ns);
    return 0;
}

static void choose(const struct sample *sample)
{
    static const double rates[] = {1.25e6, 12.5e6, 125e6}, slowdowns[] = {1, 2, 10};
    struct model model;
    const char *comma = "";
    model_init(&model);
    printf(", \"choices\": {");
    for (size_t rate = 0; rate < 3; rate++)
        for (size_t slowdown = 0; slowdown < 3; slowdown++) {
            const struct choice_link link = {.rate_bytes_per_s = rates[rate]};
            struct choice choice;
            choice_make(&model, sample, &link, slowdowns[slowdown],
                        CODEC_SET_ALL & ~CODEC_BIT(LEAT_CODEC_LZ4), &choice);
            printf("%s\"%.0f %.0f\": [\"%s-%d\", %.4f, %lld, \"%s\"]", comma, rates[rate] * 8 / 1e6,
                   slowdowns[slowdown], codec_name(choice.setting.codec).data, choice.setting.level,
                   choice.ratio, (long long)choice.cpu_ns, choice_reason_name(choice.reason));
            comma = ", ";
        }
    printf("}");
}

static int measure_text(size_t size)
{
    struct sample_range ranges[SAMPLE_PIECES_MAX];
    struct leat_slice pieces[SAMPLE_PIECES_MAX];
    struct sample sample;
    int error = 0;
    const unsigned count = sample_ranges(size, ranges);
    for (unsigned index = 0; index < count; index++)
        pieces[index] = slice_of(text + ranges[index].offset, ranges[index].size);
    sample_take(size, pieces, count, &sample);
    printf("{\"size\": %zu, \"is_compressed\": %s, \"core_set\": %.4f, \"entropy\": %.4f, "
           "\"lz4_ratio\": %.4f, \"lz4_later\": %.4f, \"coded\": [",
           size, sample.is_compressed ? "true" : "false", (double)sample.core_set,
           (double)sample.entropy, (double)sample.lz4_ratio, (double)sample.lz4_later);
    for (unsigned index = 0; index < setting_count && !error; index++) {
        printf("%s", index > 0 ? ", " : "");
        error = measure(settings[index], size);
    }
    printf("]");
    choose(&sample);
    printf("}\n");
    return error;
}

static int measure_all(void *unused)
{
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        char *path;
        const size_t wanted = strtoul(line, &path, 10);
        path += *path == ' ';
        path[strcspn(path, "\n")] = '\0';
        FILE *file = fopen(path, "rb");
        const size_t size = file && wanted <= sizeof text ? fread(text, 1, wanted, file) : 0;
        if (file)
            fclose(file);
        const int error = size > 0 && size == wanted ? measure_text(size) : -LEAT_E_TRUNCATED;
        if (error) {
            fprintf(stderr, "codec_texts: %s: %s\n", path, leat_error_text(error));
            return error;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct leat_loop_options options = {.engine = LEAT_ENGINE_EPOLL};
    for (int index = 1; index < argc; index++) {
        struct leat_compress_policy policy;
        char error[128] = "the codec's level is missing, or there are too many";
        if (leat_compress_policy_parse(argv[index], &policy, error, sizeof error) != 0 ||
            policy.mode != LEAT_COMPRESS_FIXED || setting_count == SETTINGS_MAX) {
            fprintf(stderr, "codec_texts: %s: %s\n", argv[index], error);
            return 2;
        }
        settings[setting_count++] =
            (struct codec_setting){.codec = policy.codec, .level = policy.level};
    }
    return leat_run(measure_all, NULL, &options) ? 1 : 0;
}
