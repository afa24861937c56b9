/* SPDX-License-Identifier: MIT */
/*
 * See probe.h: what would make a film stream better, or at all. Advice is given only where viewers
 * or the server would feel something, and names the options that change it.
 */
#include "probe.h"

#include <stdarg.h>
#include <string.h>

#include "base/assert.h"

/* From where on it is worth a word. */
#define KEYFRAMES_FAR_S 4.5
#define CHUNK_LONG_S 0.6
#define SLACK_MUCH_PERCENT 5.0
#define RANGES_MANY 3

__attribute__((format(printf, 2, 3))) static void advise(struct probe *probe, const char *format,
                                                         ...)
{
    ASSERT(probe->advice_count < PROBE_ADVICE_MAX);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(probe->advice[probe->advice_count++], PROBE_ADVICE_SIZE, format, arguments);
    va_end(arguments);
}

static const struct film_track *video_of(const struct probe *probe)
{
    const int video = film_video(probe->film);
    return video >= 0 ? film_track(probe->film, (unsigned)video) : NULL;
}

static void look_at_keyframes(struct probe *probe)
{
    const int video = film_video(probe->film);
    if (video < 0)
        return;
    const double most_s = probe->tracks[video].sync_s.most;
    if (most_s > KEYFRAMES_FAR_S)
        advise(probe,
               "keyframes are up to %.1f s apart, and segments as long: encode with one each 2 s "
               "(-force_key_frames 'expr:gte(t,n_forced*2)')",
               most_s);
    if (probe->tracks[video].until_sync_s > 0)
        advise(probe, "it begins without a keyframe: its first %.1f s cannot be decoded",
               probe->tracks[video].until_sync_s);
    if (!film_is_independent(probe->film))
        advise(probe, "open GOPs: after a seek the first pictures are skipped: encode with closed "
                      "ones (-x264-params open-gop=0, -x265-params no-open-gop=1)");
}

/* How video and audio lie in the file matters where they are sent as they lie there. Where their
 * chunks are short already a small bit rate is to blame, and nothing to be done. */
static void look_at_interleave(struct probe *probe)
{
    const struct probe_stream *stream = &probe->streams[0];
    double chunk_s = 0;
    for (unsigned index = 0; index < film_track_count(probe->film); index++)
        if (film_track(probe->film, index)->is_streamed &&
            probe->tracks[index].run_s.most > chunk_s)
            chunk_s = probe->tracks[index].run_s.most;
    const bool is_costly = stream->packed_count > 0 || stream->ranges.most > RANGES_MANY ||
                           stream->slack_percent.most > SLACK_MUCH_PERCENT;
    if (strcmp(stream->name, "muxed") == 0 && chunk_s > CHUNK_LONG_S && is_costly)
        advise(probe,
               "video and audio take turns of up to %.1f s in the file, which takes segments of up "
               "to %.0f ranges, with %.1f %% in vain: interleave it finer (ffmpeg -i IN -c copy "
               "OUT.mp4)",
               chunk_s, stream->ranges.most, stream->slack_percent.most);
}

/* That browsers of all makers play. */
static bool is_common(const char *codec)
{
    static const char *const common[] = {"mp4a.40.2", "mp4a.40.5", "mp4a.40.29", "mp4a.40.34",
                                         "mp4a.69",   "mp4a.6b",   "mp4a.6B",    "opus",
                                         "flac",      "Opus",      "fLaC"};
    for (size_t index = 0; index < sizeof common / sizeof *common; index++)
        if (strcmp(codec, common[index]) == 0)
            return true;
    return false;
}

static void look_at_sound(struct probe *probe)
{
    unsigned streamed = 0, others = 0;
    const char *rare = NULL;
    for (unsigned index = 0; index < film_track_count(probe->film); index++) {
        const struct film_track *track = film_track(probe->film, index);
        if (track->kind == FILM_AUDIO && track->is_streamed && !is_common(track->codec.text))
            rare = track->codec.text;
        streamed += track->kind == FILM_AUDIO && track->is_streamed;
        others += track->kind == FILM_AUDIO && !track->is_streamed;
    }
    if (rare)
        advise(probe, "audio in %s: some players alone know it; AAC is known to all (-c:a aac)",
               rare);
    if (streamed == 0 && others > 0)
        advise(probe, "it streams without its sound: make that AAC (ffmpeg -i IN -c:v copy -c:a "
                      "aac OUT.mp4)");
}

static void look_at_container(struct probe *probe)
{
    const struct film_track *video = video_of(probe);
    if (video && strncmp(video->codec.text, "hev1", 4) == 0)
        advise(probe, "hev1: players of Apple want hvc1 (ffmpeg -i IN -c copy -tag:v hvc1 "
                      "OUT.mp4)");
    if (probe->is_known && !probe->movie.moov_is_first && !probe->movie.is_fragmented)
        advise(probe,
               "its index (moov) is at the end: no matter for streams, but who plays the file "
               "itself waits for it (-movflags +faststart)");
}

/* Where encoding it anew would help; nothing helps what is encrypted or damaged. */
static void look_at_refusal(struct probe *probe)
{
    bool is_encrypted = false, is_unknown = false, is_sparse = false;
    for (unsigned index = 0; probe->is_known && index < probe->track_count; index++) {
        const struct probe_track *track = &probe->tracks[index];
        is_encrypted |= track->codec.is_encrypted;
        is_unknown |= track->sample_count > 0 && !track->codec.text[0];
        is_sparse |= track->handler == MP4_FOURCC('v', 'i', 'd', 'e') &&
                     track->sync_s.most * 1000 > FILM_SEGMENT_MAX_MS;
    }
    if (is_encrypted)
        return;
    if (is_unknown)
        advise(probe, "encode it in what browsers play: ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p "
                      "-c:a aac OUT.mp4");
    if (is_sparse)
        advise(probe, "encode it with a keyframe each 2 s (-force_key_frames "
                      "'expr:gte(t,n_forced*2)')");
}

void probe_advise(struct probe *probe)
{
    if (!probe->film) {
        look_at_refusal(probe);
        return;
    }
    look_at_keyframes(probe);
    look_at_interleave(probe);
    look_at_sound(probe);
    look_at_container(probe);
}
