/* SPDX-License-Identifier: MIT */
/*
 * frames [--block BYTES] [--quick] FILE...: what frames between nodes (leat/compress.h) cost and
 * save. Each file is cut into blocks, and each block compressed, checked and decompressed: by each
 * codec, and as leat decides for links of 0.1 to 100 Gbit/s. A stream is as fast as the slowest of
 * sender, link and receiver, each of which has a core or a link of its own; that is the last
 * column, beside the best of the fixed ones.
 */
#include <stdbool.h>
#include <string.h>

#include "common.h"
#include "leat/leat.h"

enum { BLOCK = 64 * 1024, FILE_MAX = 64 << 20, TIME_MS = 300, FIXED = 8, LINKS = 4 };

static const char *const policies[FIXED] = {"off",    "lz4-0",  "zstd-1", "zstd-3",
                                            "zstd-9", "gzip-1", "gzip-6", "br-4"};
static const double links_gbit_per_s[LINKS] = {0.1, 1, 10, 100};

static size_t block_size = BLOCK;
static bool is_quick;

struct cost {
    double encode_s, decode_s; /* of all blocks, once */
    double plain, framed;      /* bytes */
    char by[64];               /* the codec of most frames */
};

static double now_s(void)
{
    return (double)clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1e9;
}

static void note_codec(const struct leat_compressor *compressor, struct cost *cost)
{
    static const char *const names[LEAT_CODECS] = {"none", "zstd", "gzip", "br", "lz4"};
    struct leat_compressor_counters counters;
    unsigned most = 0;
    leat_compressor_counters(compressor, &counters);
    for (unsigned codec = 1; codec < LEAT_CODECS; codec++)
        if (counters.frames[codec] > counters.frames[most])
            most = codec;
    snprintf(cost->by, sizeof cost->by, "%s", names[most]);
}

/* All blocks, again and again until there is something to measure; the first round warms up. */
static void measure(struct leat_compressor *compressor, const char *data, size_t size,
                    struct cost *ret_cost)
{
    char *frame = malloc(LEAT_FRAME_HEAD_SIZE + block_size), *out = malloc(block_size);
    struct cost sum = {0};
    unsigned rounds = 0;
    if (!frame || !out)
        give_up("memory");
    for (double begin_s = now_s();; rounds++) {
        const bool is_warm = rounds > 0 || is_quick;
        for (size_t at = 0; at < size; at += block_size) {
            const size_t piece = size - at < block_size ? size - at : block_size;
            const double start_s = now_s();
            const ssize_t framed = leat_compress(compressor, data + at, piece, frame,
                                                 LEAT_FRAME_HEAD_SIZE + block_size);
            const double middle_s = now_s();
            const ssize_t plain = leat_decompress(frame, (size_t)framed, out, block_size);
            const double end_s = now_s();
            if (plain != (ssize_t)piece || memcmp(out, data + at, piece) != 0) {
                fprintf(stderr, "frames: what came out is not what was put in\n");
                exit(EXIT_FAILURE);
            }
            sum.encode_s += is_warm ? middle_s - start_s : 0;
            sum.decode_s += is_warm ? end_s - middle_s : 0;
            sum.plain += is_warm ? (double)piece : 0;
            sum.framed += is_warm ? (double)framed : 0;
        }
        if (is_quick || (rounds > 0 && now_s() - begin_s > TIME_MS / 1e3))
            break;
    }
    note_codec(compressor, &sum);
    *ret_cost = sum;
    free(frame);
    free(out);
}

/* MB/s of a stream over such a link. */
static double delivered(const struct cost *cost, double gbit_per_s)
{
    double slowest_s = cost->framed / (gbit_per_s * 1e9 / 8);
    slowest_s = cost->encode_s > slowest_s ? cost->encode_s : slowest_s;
    slowest_s = cost->decode_s > slowest_s ? cost->decode_s : slowest_s;
    return cost->plain / slowest_s / 1e6;
}

static void run(const char *policy_text, double gbit_per_s, const char *data, size_t size,
                struct cost *ret_cost)
{
    struct leat_compress_policy policy;
    struct leat_compressor *compressor;
    if (leat_compress_policy_parse(policy_text, &policy, NULL, 0) != 0 ||
        leat_compressor_create(&policy, &compressor) != 0)
        give_up(policy_text);
    leat_compressor_set_rate(compressor, (uint64_t)(gbit_per_s * 1e9 / 8));
    measure(compressor, data, size, ret_cost);
    leat_compressor_destroy(compressor);
}

static void compare(const char *name, const char *data, size_t size)
{
    struct cost fixed[FIXED], chosen;
    printf("%s, %zu bytes in blocks of %zu\n", name, size, block_size);
    printf("  %-8s %8s %12s %12s\n", "", "ratio", "to MB/s", "from MB/s");
    for (unsigned index = 0; index < FIXED; index++) {
        struct cost *cost = &fixed[index];
        run(policies[index], 0, data, size, cost);
        printf("  %-8s %8.2f %12.0f %12.0f\n", policies[index], cost->plain / cost->framed,
               cost->plain / cost->encode_s / 1e6, cost->plain / cost->decode_s / 1e6);
    }
    for (unsigned link = 0; link < LINKS; link++) {
        const double rate = links_gbit_per_s[link];
        unsigned best = 0;
        run("auto", rate, data, size, &chosen);
        for (unsigned index = 1; index < FIXED; index++)
            if (delivered(&fixed[index], rate) > delivered(&fixed[best], rate))
                best = index;
        printf("  auto, %5.1f Gbit/s: mostly %-4s ratio %5.2f, delivers %6.0f MB/s; best fixed "
               "%-6s %6.0f\n",
               rate, chosen.by, chosen.plain / chosen.framed, delivered(&chosen, rate),
               policies[best], delivered(&fixed[best], rate));
    }
}

static int compare_all(void *arg)
{
    static char data[FILE_MAX];
    for (char **path = arg; *path; path++) {
        FILE *file = fopen(*path, "rb");
        if (!file)
            give_up(*path);
        const size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        if (size > 0)
            compare(strrchr(*path, '/') ? strrchr(*path, '/') + 1 : *path, data, size);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int first = 1;
    for (; first < argc && argv[first][0] == '-'; first++)
        if (strcmp(argv[first], "--quick") == 0)
            is_quick = true;
        else if (strcmp(argv[first], "--block") == 0 && first + 1 < argc)
            block_size = strtoull(argv[++first], NULL, 10);
        else
            first = argc;
    if (first >= argc || block_size == 0 || block_size > LEAT_FRAME_SIZE_MAX) {
        fprintf(stderr, "frames: files are wanted: frames [--block BYTES] [--quick] FILE...\n");
        return 2;
    }
    return leat_run(compare_all, argv + first, NULL) != 0;
}
