/* SPDX-License-Identifier: MIT */
/*
 * leat probe --compress: what the server would do with a file, and why, as the same library tells
 * it; then it is done, for the forecasts to be judged. What is measured is the machine's: other
 * work beside it makes it slower, which the server would see and this does not.
 */
#include "probe_compress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "codec/choice.h"
#include "leat/clock.h"
#include "text.h"
#include "wire/mime.h"

enum {
    SIZE_MAX_CODED = 64 << 20, /* of what is really coded */
    DECIDE_GOES = 31,
    LINKS = 3,
    HTTP_CODECS = CODEC_SET_ALL & ~CODEC_BIT(LEAT_CODEC_LZ4),
};

static const int link_megabits[LINKS] = {10, 100, 1000};

struct examined {
    const char *path;
    uint64_t size;
    char bytes[SAMPLE_SIZE_MAX];
    struct leat_slice pieces[SAMPLE_PIECES_MAX];
    unsigned piece_count;
    struct sample sample;
    struct model model;
    struct choice choices[LINKS];
    int64_t sample_ns, choose_ns;
};

static struct choice_link link_of(unsigned index)
{
    return (struct choice_link){.rate_bytes_per_s = link_megabits[index] * 1e6 / 8};
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * LEAT_NS_PER_S + now.tv_nsec;
}

static int read_exactly(int fd, uint64_t offset, char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t count = pread(fd, data + done, size - done, (off_t)(offset + done));
        if (count == 0)
            return -ESTALE;
        if (count < 0 && errno != EINTR)
            return -errno;
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

static int read_pieces(struct examined *examined, int fd)
{
    struct sample_range ranges[SAMPLE_PIECES_MAX];
    char *at = examined->bytes;
    examined->piece_count = sample_ranges(examined->size, ranges);
    for (unsigned index = 0; index < examined->piece_count; index++) {
        const int error = read_exactly(fd, ranges[index].offset, at, ranges[index].size);
        if (error)
            return error;
        examined->pieces[index] = slice_of(at, ranges[index].size);
        at += ranges[index].size;
    }
    return 0;
}

/* Some goes, the quickest of which counts: the first ones are those that fill the caches. */
static void decide(struct examined *examined)
{
    examined->sample_ns = examined->choose_ns = INT64_MAX;
    model_init(&examined->model);
    for (unsigned go = 0; go < DECIDE_GOES; go++) {
        const int64_t begin_ns = cpu_ns();
        sample_take(examined->size, examined->pieces, examined->piece_count, &examined->sample);
        const int64_t sampled_ns = cpu_ns();
        for (unsigned index = 0; index < LINKS; index++) {
            const struct choice_link link = link_of(index);
            choice_make(&examined->model, &examined->sample, &link, 1, HTTP_CODECS,
                        &examined->choices[index]);
        }
        const int64_t chosen_ns = (cpu_ns() - sampled_ns) / LINKS;
        if (sampled_ns - begin_ns < examined->sample_ns)
            examined->sample_ns = sampled_ns - begin_ns;
        if (chosen_ns < examined->choose_ns)
            examined->choose_ns = chosen_ns;
    }
}

static void add_setting(struct text *text, struct codec_setting setting)
{
    if (setting.codec == LEAT_CODEC_NONE)
        text_add_format(text, "%-8s", "none");
    else
        text_add_format(text, "%s-%-*d", codec_name(setting.codec).data,
                        (int)(7 - codec_name(setting.codec).size), setting.level);
}

static void add_findings(struct text *text, const struct examined *examined)
{
    const struct sample *sample = &examined->sample;
    const struct leat_slice type = mime_from_name(slice_from_text(examined->path));
    size_t sampled = 0;
    for (unsigned index = 0; index < examined->piece_count; index++)
        sampled += examined->pieces[index].size;
    text_add_format(text, "  type        %s: %s\n", type.data,
                    mime_is_compressible(type) ? "may be coded"
                                               : "is not coded, unless --compress-types says so");
    text_add_format(text, "  magic       %s\n",
                    sample->is_compressed ? "of what is compressed already" : "none that says no");
    text_add_format(text,
                    "  sample      %zu of %" PRIu64 " bytes: entropy %.2f bits a byte, core set "
                    "%.0f %% of all values, LZ4 leaves %.0f %%\n",
                    sampled, examined->size, (double)sample->entropy,
                    (double)sample->core_set * 100, (double)sample->lz4_ratio * 100);
    text_add_format(text, "  deciding    %.1f us for the sample, %.1f us for the choice\n",
                    (double)examined->sample_ns / 1e3, (double)examined->choose_ns / 1e3);
}

/* What each setting is expected to make of it. */
static void add_forecasts(struct text *text, const struct examined *examined)
{
    text_add_literal(text, "  forecast     size, %   CPU, ms   arrives, ms, at");
    for (unsigned index = 0; index < LINKS; index++)
        text_add_format(text, " %8d", link_megabits[index]);
    text_add_literal(text, " Mbit/s\n");
    for (unsigned setting = 0; setting < model_setting_count(); setting++) {
        struct model_forecast forecast;
        if ((HTTP_CODECS & CODEC_BIT(model_setting(setting).codec)) == 0)
            continue;
        model_forecast(&examined->model, setting, &examined->sample, &forecast);
        text_add_literal(text, "    ");
        add_setting(text, model_setting(setting));
        text_add_format(text, "  %7.1f  %8.3f                   ", forecast.ratio * 100,
                        forecast.cpu_ns / 1e6);
        for (unsigned index = 0; index < LINKS; index++) {
            const struct choice_link link = link_of(index);
            text_add_format(
                text, " %8.3f",
                choice_deliver_ns(&examined->model, &examined->sample, &link, 1, setting) / 1e6);
        }
        text_add_literal(text, "\n");
    }
}

/* Codes it as was chosen: what came out, and what it took. */
static int add_result(struct text *text, const struct examined *examined, const char *data,
                      struct codec_setting setting)
{
    const size_t bound = codec_bound(setting.codec, examined->size);
    char *const out = malloc(bound);
    if (!out)
        return -ENOMEM;
    (void)codec_encode(setting, data, examined->size, out, bound); /* tables and pages are there */
    const int64_t begin_ns = cpu_ns();
    const ssize_t size = codec_encode(setting, data, examined->size, out, bound);
    const int64_t took_ns = cpu_ns() - begin_ns;
    free(out);
    if (size < 0)
        return (int)size;
    text_add_format(text, "; got %.1f %% in %.3f ms", (double)size * 100 / (double)examined->size,
                    (double)took_ns / 1e6);
    return 0;
}

static int add_choices(struct text *text, const struct examined *examined, const char *data)
{
    for (unsigned index = 0; index < LINKS; index++) {
        const struct choice *const choice = &examined->choices[index];
        text_add_format(text, "  %4d Mbit/s ", link_megabits[index]);
        if (choice->reason != CHOICE_CODED) {
            text_add_format(text, "as it is (%s): %.3f ms\n", choice_reason_name(choice->reason),
                            (double)choice->plain_ns / 1e6);
            continue;
        }
        add_setting(text, choice->setting);
        text_add_format(text, " arrives in %.3f ms in place of %.3f; told %.1f %% in %.3f ms",
                        (double)choice->time_ns / 1e6, (double)choice->plain_ns / 1e6,
                        choice->ratio * 100, (double)choice->cpu_ns / 1e6);
        const int error = data ? add_result(text, examined, data, choice->setting) : 0;
        if (error)
            return error;
        text_add_literal(text, "\n");
    }
    return 0;
}

static int tell(struct examined *examined, int fd, FILE *out)
{
    struct text text = {0};
    char *data = NULL;
    int error = read_pieces(examined, fd);
    if (!error && examined->size <= SIZE_MAX_CODED) {
        data = malloc(examined->size + 1);
        error = data ? read_exactly(fd, 0, data, examined->size) : -ENOMEM;
    }
    if (!error) {
        decide(examined);
        text_add_visible(&text, slice_from_text(examined->path));
        text_add_literal(&text, ":\n");
        add_findings(&text, examined);
        add_forecasts(&text, examined);
        error = add_choices(&text, examined, data);
    }
    if (!error && text.has_failed)
        error = -ENOMEM;
    if (!error)
        fwrite(text.data, 1, text.size, out);
    text_fini(&text);
    free(data);
    return error;
}

int probe_compress(const char *path, FILE *out)
{
    struct stat status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    if (!error && !S_ISREG(status.st_mode))
        error = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    if (!error) {
        struct examined examined = {.path = path, .size = (uint64_t)status.st_size};
        error = tell(&examined, fd, out);
    }
    close(fd);
    return error;
}
