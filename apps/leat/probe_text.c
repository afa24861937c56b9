/* SPDX-License-Identifier: MIT */
/*
 * See probe.h: what people read. The verdict comes first and on one line with the file's name, so
 * that grep finds it among many; the rest is indented. Whatever stands in a file or in its name,
 * nothing but printable text gets to the terminal.
 */
#include "probe.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "text.h"

static void add_row(struct text *text, const char *name)
{
    text_add_format(text, "  %-10s  ", name);
}

static void add_visible(struct text *text, const char *piece)
{
    text_add_visible(text, slice_from_text(piece));
}

/* "0 bytes", "3.2 MiB": three digits at most. */
static void add_size(struct text *text, uint64_t size)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double amount = (double)size / 1024;
    size_t unit = 0;
    if (size < 1024) {
        text_add_format(text, "%" PRIu64 " byte%s", size, size == 1 ? "" : "s");
        return;
    }
    for (; amount >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        amount /= 1024;
    text_add_format(text, "%.*f %s", amount < 9.95 ? 1 : 0, amount, units[unit]);
}

static void add_rate(struct text *text, uint64_t bits_per_s)
{
    if (bits_per_s < 1000000)
        text_add_format(text, "%.0f kbit/s", (double)bits_per_s / 1e3);
    else
        text_add_format(text, "%.1f Mbit/s", (double)bits_per_s / 1e6);
}

/* "2.00 s (0.48 to 2.04)" */
static void add_seconds(struct text *text, const struct probe_spread *spread)
{
    text_add_format(text, "%.2f s", probe_spread_average(spread));
    if (spread->most - spread->least >= 0.005)
        text_add_format(text, " (%.2f to %.2f)", spread->least, spread->most);
}

static void add_container(struct text *text, const struct probe *probe)
{
    const struct mp4_movie *movie = &probe->movie;
    add_row(text, "container");
    text_add_literal(text, movie->is_quicktime ? "QuickTime, " : "MP4, ");
    add_size(text, probe->size);
    if (probe->film)
        text_add_format(text, ", %.2f s", film_duration_s(probe->film));
    text_add_literal(text, movie->is_fragmented ? ", fragmented" : "");
    text_add_literal(text, "; index (moov) ");
    add_size(text, movie->moov_size);
    text_add_literal(text, movie->moov_is_first ? ", first\n" : ", at the end\n");
}

static void add_codec(struct text *text, const struct mp4_codec *codec)
{
    char fourcc[5] = {0};
    for (unsigned index = 0; index < 4; index++)
        fourcc[index] = (char)(codec->fourcc >> (24 - 8 * index));
    if (codec->is_encrypted)
        text_add_literal(text, "encrypted ");
    if (codec->text[0])
        add_visible(text, codec->text);
    else if (codec->fourcc)
        text_add_visible(text, (struct leat_slice){fourcc, 4});
    else
        text_add_literal(text, "no codec");
}

static void add_picture(struct text *text, const struct probe_track *track,
                        const struct film_track *streamed)
{
    text_add_format(text, ", %" PRIu32 "x%" PRIu32, track->width, track->height);
    if (streamed && streamed->rotation)
        text_add_format(text, ", turned by %d", streamed->rotation);
    if (streamed && streamed->frame_rate_milli)
        text_add_format(text, ", %.4g pictures/s", streamed->frame_rate_milli / 1e3);
}

static void add_track(struct text *text, const struct probe *probe, unsigned index)
{
    const struct probe_track *track = &probe->tracks[index];
    const struct film_track *facts = probe->film ? film_track(probe->film, index) : NULL;
    const bool is_video = track->handler == MP4_FOURCC('v', 'i', 'd', 'e');
    const bool is_audio = track->handler == MP4_FOURCC('s', 'o', 'u', 'n');
    char name[16];
    snprintf(name, sizeof name, "track %" PRIu32, track->id);
    add_row(text, name);
    text_add_literal(text, is_video ? "video, " : is_audio ? "audio, " : "other, ");
    add_codec(text, &track->codec);
    if (is_video)
        add_picture(text, track, facts);
    if (is_audio && track->codec.channels)
        text_add_format(text, ", %u channel%s, %" PRIu32 " Hz", track->codec.channels,
                        track->codec.channels == 1 ? "" : "s", track->codec.sample_rate);
    if (strcmp(track->language, "und") != 0) {
        text_add_literal(text, ", ");
        add_visible(text, track->language);
    }
    if (facts && facts->is_streamed) {
        text_add_literal(text, ", ");
        add_rate(text, facts->average_bits_per_s);
        text_add_literal(text, " (at most ");
        add_rate(text, facts->peak_bits_per_s);
        text_add_literal(text, ")");
    }
    if (facts && !facts->is_streamed)
        text_add_format(text, "; not streamed: %s", facts->why_not);
    text_add_literal(text, "\n");
}

/* Of the video that is streamed, or, where nothing is, of the first there is. */
static void add_keyframes(struct text *text, const struct probe *probe)
{
    for (unsigned index = 0; index < probe->track_count; index++) {
        const struct probe_track *track = &probe->tracks[index];
        if (track->handler != MP4_FOURCC('v', 'i', 'd', 'e') || track->sample_count == 0 ||
            (probe->film && (int)index != film_video(probe->film)))
            continue;
        add_row(text, "keyframes");
        text_add_format(text, "%" PRIu64 " of %" PRIu64 " pictures", track->sync_s.count,
                        track->sample_count);
        if (track->sync_s.count > 0) {
            text_add_literal(text, ", each ");
            add_seconds(text, &track->sync_s);
        }
        text_add_literal(text,
                         probe->film && !film_is_independent(probe->film) ? "; open GOPs\n" : "\n");
        return;
    }
}

/* How the streamed tracks take turns in the file. */
static void add_interleave(struct text *text, const struct probe *probe)
{
    struct probe_spread all = {0};
    unsigned count = 0;
    for (unsigned index = 0; index < probe->track_count; index++) {
        const struct probe_spread *runs = &probe->tracks[index].run_s;
        if (!film_track(probe->film, index)->is_streamed)
            continue;
        count++;
        all.sum += runs->sum;
        all.count += runs->count;
        all.most = runs->most > all.most ? runs->most : all.most;
    }
    if (count < 2)
        return;
    add_row(text, "interleave");
    text_add_format(text, "%" PRIu64 " chunks of %.2f s (at most %.2f)\n", all.count,
                    probe_spread_average(&all), all.most);
}

static void add_segments(struct text *text, const struct probe *probe)
{
    const struct probe_spread *segments = &probe->streams[0].segment_s;
    add_row(text, "segments");
    text_add_format(text, "%u of ", film_segment_count(probe->film));
    add_seconds(text, segments);
    text_add_literal(text, "; the index takes ");
    add_size(text, film_memory(probe->film));
    text_add_literal(text, " of memory\n");
}

static void add_stream(struct text *text, const struct probe_stream *stream)
{
    add_row(text, stream->name);
    if (stream->ranges.count > 0) {
        text_add_format(text, "%.1f range%s of the file a segment",
                        probe_spread_average(&stream->ranges),
                        stream->ranges.sum == (double)stream->ranges.count ? "" : "s");
        if (stream->ranges.most > stream->ranges.least)
            text_add_format(text, " (at most %.0f)", stream->ranges.most);
        text_add_format(text, ", %.1f %% sent in vain (at most %.1f)",
                        probe_spread_average(&stream->slack_percent), stream->slack_percent.most);
    }
    if (stream->packed_count > 0)
        text_add_format(text, "%s%.0f %% of its segments packed (copied)",
                        stream->ranges.count > 0 ? "; " : "",
                        100.0 * stream->packed_count / (double)stream->segment_s.count);
    text_add_literal(text, "\n");
}

static void add_details(struct text *text, const struct probe *probe)
{
    add_container(text, probe);
    for (unsigned index = 0; index < probe->track_count; index++)
        add_track(text, probe, index);
    add_keyframes(text, probe);
    if (!probe->film)
        return;
    add_interleave(text, probe);
    add_segments(text, probe);
    for (unsigned index = 0; index < probe->stream_count; index++)
        add_stream(text, &probe->streams[index]);
}

int probe_print_text(const struct probe *probe, FILE *out)
{
    struct text text = {0};
    add_visible(&text, probe->path);
    text_add_literal(&text, probe->film ? ": streams as HLS and DASH" : ": cannot be streamed: ");
    add_visible(&text, probe->film ? "" : probe->reason);
    text_add_literal(&text, "\n");
    if (probe->is_known)
        add_details(&text, probe);
    for (unsigned index = 0; index < probe->advice_count; index++)
        text_add_format(&text, "  -> %s\n", probe->advice[index]);
    const int error = text.has_failed ? -ENOMEM : 0;
    if (!error)
        fwrite(text.data, 1, text.size, out);
    text_fini(&text);
    return error;
}
