/* SPDX-License-Identifier: MIT */
/*
 * What films and ladders are, for players: HLS playlists and the DASH manifest. Their URLs are
 * relative: a film's own lie beside its playlist, a rung's below "../NAME/".
 *
 * HLS gets video and audio muxed, one request a segment, where all rungs have one audio track; with
 * several, audio is renditions, the best rung's. DASH has them apart, always.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "site_film.h"
#include "text.h"
#include "wire/language.h"
#include "wire/m3u8.h"
#include "wire/mpd.h"

enum {
    URI_SIZE = 3 * LADDER_NAME_SIZE + 64,
    NAME_SIZE = 64,
    ID_SIZE = 24,
    CODECS_SIZE = 2 * MP4_CODEC_SIZE + 2,
    SUBTITLE_URI_SIZE = FILM_LANGUAGE_SIZE + 16,
    FIRST_BITS_PER_S = 3 * 1000 * 1000,
};

static const char hls_type[] = "application/vnd.apple.mpegurl";
static const char dash_type[] = "application/dash+xml";

/* ---- Languages ------------------------------------------------------------------------------- */

/* Of a track, or of a file's name; "" when it is none. */
static void tag_of(const char *code, char tag[LANGUAGE_TAG_SIZE])
{
    if (!language_tag(slice_from_text(code), tag))
        tag[0] = '\0';
}

static void subtitle_uri(const char *language, const char *extension, char uri[SUBTITLE_URI_SIZE])
{
    static const char prefix[] = "subtitles-";
    ASSERT(sizeof prefix + strlen(language) + 1 + strlen(extension) <= SUBTITLE_URI_SIZE);
    stpcpy(stpcpy(stpcpy(stpcpy(uri, prefix), language), "."), extension);
}

/* For people; what has no name is called by its tag, or by what it is. */
static const char *name_of(const char *tag, const char *what)
{
    const char *name = tag[0] ? language_name(slice_from_text(tag)) : what;
    return name ? name : tag;
}

/* ---- Rungs ----------------------------------------------------------------------------------- */

/* "../NAME/" of a rung, percent-encoded; "" of a film alone. */
static void rung_prefix(const struct film_ladder *ladder, unsigned index, char prefix[URI_SIZE])
{
    struct text link = {0};
    prefix[0] = '\0';
    if (!ladder->is_ladder)
        return;
    text_add_link(&link, slice_from_text(ladder->rungs[index].name));
    if (!link.has_failed) /* else a link that leads nowhere, as seldom as that is */
        snprintf(prefix, URI_SIZE, "../%.*s/", (int)link.size, link.data);
    text_fini(&link);
}

/* Of the stream's tracks, between commas; "" when one is not known. */
static void codecs_of(const struct film *film, const struct film_stream *stream,
                      char codecs[CODECS_SIZE])
{
    size_t size = 0;
    codecs[0] = '\0';
    for (unsigned index = 0; index < stream->track_count; index++) {
        const char *text = film_track(film, stream->tracks[index])->codec.text;
        if (!text[0]) {
            codecs[0] = '\0';
            return;
        }
        size += (size_t)snprintf(codecs + size, CODECS_SIZE - size, "%s%s", index ? "," : "", text);
    }
}

/* A rendition, for people. */
struct label {
    char tag[LANGUAGE_TAG_SIZE], name[NAME_SIZE];
};

/* No two of a group may have one name (RFC 8216, section 4.3.4.1.1): those that would are
 * numbered. Two tags may well have one, such as "pt" and "pt-BR". */
static void name_labels(struct label *labels, unsigned count, const char *fallback)
{
    for (unsigned index = 0; index < count; index++) {
        const char *name = name_of(labels[index].tag, fallback);
        unsigned same = 0, before = 0;
        for (unsigned other = 0; other < count; other++) {
            const bool is_same = strcmp(name_of(labels[other].tag, fallback), name) == 0;
            same += is_same;
            before += is_same && other < index;
        }
        if (same > 1)
            snprintf(labels[index].name, NAME_SIZE, "%s %u", name, before + 1);
        else
            snprintf(labels[index].name, NAME_SIZE, "%s", name);
    }
}

/* Of the film's audio tracks; returns their number. */
static unsigned label_audios(const struct film *film, struct label labels[FILM_TRACKS_MAX])
{
    const unsigned count = film_audio_count(film);
    ASSERT(count <= FILM_TRACKS_MAX);
    for (unsigned index = 0; index < count; index++)
        tag_of(film_track(film, (unsigned)film_audio(film, index + 1))->language,
               labels[index].tag);
    name_labels(labels, count, "Audio");
    return count;
}

static void label_subtitles(const struct film_languages *languages,
                            struct label labels[FILM_SUBTITLES_MAX])
{
    for (unsigned index = 0; index < languages->count; index++)
        tag_of(languages->names[index], labels[index].tag);
    name_labels(labels, languages->count, "Subtitles");
}

/* ---- HLS: the multivariant playlist ---------------------------------------------------------- */

struct master {
    const struct film_ladder *ladder;
    struct film_languages languages;
    enum film_stream_kind kind; /* of the variants */
    bool has_audio_group;
    struct m3u8_variant variants[LADDER_RUNGS_MAX];
    struct m3u8_rendition renditions[FILM_TRACKS_MAX + FILM_SUBTITLES_MAX];
    unsigned rendition_count;
    char uris[LADDER_RUNGS_MAX][URI_SIZE], codecs[LADDER_RUNGS_MAX][CODECS_SIZE];
    char audio_uris[FILM_TRACKS_MAX][URI_SIZE];
    struct label audio_labels[FILM_TRACKS_MAX], subtitle_labels[FILM_SUBTITLES_MAX];
    char subtitle_uris[FILM_SUBTITLES_MAX][SUBTITLE_URI_SIZE];
};

static void choose_streams(struct master *master)
{
    const struct film_ladder *ladder = master->ladder;
    const struct film *top = ladder->rungs[0].film;
    bool all_have_one = true, any_has = false;
    for (unsigned index = 0; index < ladder->count; index++) {
        const unsigned count = film_audio_count(ladder->rungs[index].film);
        all_have_one &= count == 1;
        any_has |= count > 0;
    }
    master->kind = film_video(top) < 0 ? FILM_STREAM_AUDIO
                   : all_have_one      ? FILM_STREAM_MUXED
                                       : FILM_STREAM_VIDEO;
    master->has_audio_group = master->kind == FILM_STREAM_AUDIO
                                  ? film_audio_count(top) > 1
                                  : any_has && !all_have_one && film_audio_count(top) > 0;
}

static void add_audio(struct master *master)
{
    char prefix[URI_SIZE];
    const struct film *top = master->ladder->rungs[0].film;
    const unsigned count = label_audios(top, master->audio_labels);
    rung_prefix(master->ladder, 0, prefix);
    for (unsigned index = 0; index < count; index++) {
        const struct film_track *track = film_track(top, (unsigned)film_audio(top, index + 1));
        char *uri = master->audio_uris[index];
        if ((size_t)snprintf(uri, URI_SIZE, "%saudio-%u/index.m3u8", prefix, index + 1) >= URI_SIZE)
            continue;
        master->renditions[master->rendition_count++] =
            (struct m3u8_rendition){.type = M3U8_AUDIO,
                                    .group = "audio",
                                    .name = master->audio_labels[index].name,
                                    .language = master->audio_labels[index].tag,
                                    .uri = uri,
                                    .channels = track->codec.channels,
                                    .is_default = index == 0,
                                    .is_autoselect = true};
    }
}

static void add_subtitles(struct master *master)
{
    label_subtitles(&master->languages, master->subtitle_labels);
    for (unsigned index = 0; index < master->languages.count; index++) {
        char *uri = master->subtitle_uris[index];
        subtitle_uri(master->languages.names[index], "m3u8", uri);
        master->renditions[master->rendition_count++] =
            (struct m3u8_rendition){.type = M3U8_SUBTITLES,
                                    .group = "subtitles",
                                    .name = master->subtitle_labels[index].name,
                                    .language = master->subtitle_labels[index].tag,
                                    .uri = uri,
                                    .is_autoselect = true};
    }
}

/* The codecs of a variant are those of all it plays with. */
static void add_variant_codecs(struct master *master, unsigned index)
{
    const struct film *film = master->ladder->rungs[index].film;
    const struct film *top = master->ladder->rungs[0].film;
    struct film_stream stream;
    char *codecs = master->codecs[index], audio[CODECS_SIZE];
    if (!film_stream_of(film, master->kind, 1, &stream))
        return;
    codecs_of(film, &stream, codecs);
    if (!master->has_audio_group || master->kind == FILM_STREAM_AUDIO || !codecs[0] ||
        !film_stream_of(top, FILM_STREAM_AUDIO, 1, &stream))
        return;
    codecs_of(top, &stream, audio);
    const size_t size = strlen(codecs), audio_size = strlen(audio);
    ASSERT(size + 1 + audio_size < CODECS_SIZE); /* one codec each */
    if (audio_size == 0) {
        codecs[0] = '\0';
        return;
    }
    codecs[size] = ',';
    memcpy(codecs + size + 1, audio, audio_size + 1);
}

static void add_variant(struct master *master, unsigned index)
{
    static const char *const names[] = {[FILM_STREAM_MUXED] = "muxed",
                                        [FILM_STREAM_VIDEO] = "video",
                                        [FILM_STREAM_AUDIO] = "audio-1"};
    const struct film *film = master->ladder->rungs[index].film;
    const int video = film_video(film);
    const struct film_track *track = video >= 0 ? film_track(film, (unsigned)video) : NULL;
    char prefix[URI_SIZE], *uri = master->uris[index];
    rung_prefix(master->ladder, index, prefix);
    snprintf(uri, URI_SIZE, "%.*s%s/index.m3u8", URI_SIZE - 32, prefix, names[master->kind]);
    add_variant_codecs(master, index);
    master->variants[index] = (struct m3u8_variant){
        .uri = uri,
        .peak_bits_per_s = ladder_bits_per_s(film, true),
        .average_bits_per_s = ladder_bits_per_s(film, false),
        .codecs = master->codecs[index][0] ? master->codecs[index] : NULL,
        .width = track ? track->width : 0,
        .height = track ? track->height : 0,
        .frame_rate_milli = track ? track->frame_rate_milli : 0,
        .audio = master->has_audio_group ? "audio" : NULL,
        .subtitles = master->languages.count > 0 ? "subtitles" : NULL,
    };
}

static bool is_independent(const struct film_ladder *ladder)
{
    bool all = true;
    for (unsigned index = 0; index < ladder->count; index++)
        all &= film_is_independent(ladder->rungs[index].film);
    return all;
}

/* Players begin with the first variant, before they know what their line can do: the best that most
 * lines can, else the least. */
static void put_first(struct master *master)
{
    const unsigned count = master->ladder->count;
    unsigned index = 0;
    while (index + 1 < count && master->variants[index].peak_bits_per_s > FIRST_BITS_PER_S)
        index++;
    const struct m3u8_variant first = master->variants[index];
    memmove(master->variants + 1, master->variants, index * sizeof first);
    master->variants[0] = first;
}

void site_reply_master(struct film_request *wanted, const struct film_ladder *ladder)
{
    struct text text = {0};
    struct master *master = leat_http_alloc(wanted->request, sizeof *master);
    if (!master) {
        (void)leat_http_reply_error(wanted->response, 503);
        return;
    }
    ASSERT(ladder->count > 0 && ladder->count <= LADDER_RUNGS_MAX);
    memset(master, 0, sizeof *master);
    master->ladder = ladder;
    film_find_languages(wanted, &master->languages);
    choose_streams(master);
    if (master->has_audio_group)
        add_audio(master);
    add_subtitles(master);
    for (unsigned index = 0; index < ladder->count; index++)
        add_variant(master, index);
    put_first(master);
    m3u8_write_multivariant(&text,
                            &(struct m3u8_multivariant){.variants = master->variants,
                                                        .variant_count = ladder->count,
                                                        .renditions = master->renditions,
                                                        .rendition_count = master->rendition_count,
                                                        .is_independent = is_independent(ladder)});
    film_reply_text(wanted, hls_type, &text);
}

/* ---- HLS: a stream's playlist ---------------------------------------------------------------- */

/* A stream's cuts: a playlist knows durations alone, and counts from 0. */
struct stream_cuts {
    const struct film *film;
    const struct film_stream *stream;
};

static int64_t begin_of_stream(void *user, unsigned index)
{
    const struct stream_cuts *cuts = user;
    return film_stream_begin(cuts->film, cuts->stream, index);
}

void site_reply_index(struct film_request *wanted)
{
    const struct film *film = wanted->film;
    struct film_stream stream;
    struct text text = {0};
    if (!film_stream_of(film, wanted->url.stream, wanted->url.audio, &stream)) {
        (void)leat_http_reply_error(wanted->response, 404);
        return;
    }
    struct stream_cuts cuts = {film, &stream};
    m3u8_write_media(
        &text, &(struct m3u8_media){.map_uri = "init.mp4",
                                    .segment_uri = "$Number$.m4s",
                                    .segment_count = film_stream_segment_count(film, &stream),
                                    .timescale = film_track(film, stream.tracks[0])->timescale,
                                    .is_independent = film_is_independent(film),
                                    .begin = begin_of_stream,
                                    .user = &cuts});
    film_reply_text(wanted, hls_type, &text);
}

/* ---- DASH ------------------------------------------------------------------------------------ */

/* A track's cuts, for the writers. */
struct cuts {
    const struct film *film;
    unsigned track;
};

static int64_t begin_of(void *user, unsigned index)
{
    const struct cuts *cuts = user;
    return film_segment_begin(cuts->film, cuts->track, index);
}

enum { SETS_MAX = 1 + FILM_TRACKS_MAX + FILM_SUBTITLES_MAX };

/* A representation with what it points to. */
struct part {
    struct cuts cuts;
    struct mpd_segments segments;
    char id[ID_SIZE], base_url[URI_SIZE];
};

struct manifest {
    const struct film_ladder *ladder;
    struct film_languages languages;
    struct mpd_set sets[SETS_MAX];
    unsigned set_count;
    struct mpd_representation videos[LADDER_RUNGS_MAX], audios[FILM_TRACKS_MAX],
        texts[FILM_SUBTITLES_MAX];
    struct part video_parts[LADDER_RUNGS_MAX], audio_parts[FILM_TRACKS_MAX];
    struct label audio_labels[FILM_TRACKS_MAX], text_labels[FILM_SUBTITLES_MAX];
    char text_urls[FILM_SUBTITLES_MAX][SUBTITLE_URI_SIZE];
};

/* What video and audio have in common. */
static struct mpd_representation representation_of(const struct film *film, unsigned track,
                                                   struct part *part)
{
    const struct film_track *info = film_track(film, track);
    part->cuts = (struct cuts){film, track};
    part->segments = (struct mpd_segments){.timescale = info->timescale,
                                           .initialization = "init.mp4",
                                           .media = "$Number$.m4s",
                                           .count = film_segment_count(film),
                                           .begin = begin_of,
                                           .user = &part->cuts};
    return (struct mpd_representation){
        .id = part->id,
        .bits_per_s = ladder_track_bits_per_s(film, track, true),
        .codecs = info->codec.text[0] ? info->codec.text : NULL,
        .base_url = part->base_url,
        .segments = &part->segments,
    };
}

static void add_video_set(struct manifest *manifest)
{
    const struct film_ladder *ladder = manifest->ladder;
    char prefix[URI_SIZE];
    unsigned count = 0;
    for (unsigned index = 0; index < ladder->count; index++) {
        const struct film *film = ladder->rungs[index].film;
        const int video = film_video(film);
        if (video < 0)
            continue;
        struct part *part = &manifest->video_parts[count];
        rung_prefix(ladder, index, prefix);
        snprintf(part->id, sizeof part->id, "video-%u", count + 1);
        snprintf(part->base_url, URI_SIZE, "%.*svideo/", URI_SIZE - 16, prefix);
        struct mpd_representation *video_of = &manifest->videos[count++];
        *video_of = representation_of(film, (unsigned)video, part);
        const struct film_track *track = film_track(film, (unsigned)video);
        video_of->width = track->width;
        video_of->height = track->height;
        video_of->frame_rate_milli = track->frame_rate_milli;
    }
    if (count > 0)
        manifest->sets[manifest->set_count++] =
            (struct mpd_set){.content = MPD_VIDEO,
                             .mime_type = "video/mp4",
                             .start_with_sap = is_independent(ladder) ? 1 : 3,
                             .representations = manifest->videos,
                             .representation_count = count};
}

/* The best rung's audio. */
static void add_audio_sets(struct manifest *manifest)
{
    const struct film *top = manifest->ladder->rungs[0].film;
    char prefix[URI_SIZE];
    const unsigned count = label_audios(top, manifest->audio_labels);
    rung_prefix(manifest->ladder, 0, prefix);
    for (unsigned number = 1; number <= count; number++) {
        const unsigned track = (unsigned)film_audio(top, number);
        const struct film_track *info = film_track(top, track);
        struct part *part = &manifest->audio_parts[number - 1];
        const struct label *label = &manifest->audio_labels[number - 1];
        snprintf(part->id, sizeof part->id, "audio-%u", number);
        snprintf(part->base_url, URI_SIZE, "%.*saudio-%u/", URI_SIZE - 24, prefix, number);
        struct mpd_representation *audio = &manifest->audios[number - 1];
        *audio = representation_of(top, track, part);
        audio->sample_rate = info->codec.sample_rate;
        audio->channels = info->codec.channels;
        manifest->sets[manifest->set_count++] =
            (struct mpd_set){.content = MPD_AUDIO,
                             .mime_type = "audio/mp4",
                             .language = label->tag,
                             .label = label->name,
                             .role = count < 2     ? NULL
                                     : number == 1 ? "main"
                                                   : "alternate",
                             .start_with_sap = 1,
                             .representations = audio,
                             .representation_count = 1};
    }
}

static void add_text_sets(struct manifest *manifest)
{
    label_subtitles(&manifest->languages, manifest->text_labels);
    for (unsigned index = 0; index < manifest->languages.count; index++) {
        const struct label *label = &manifest->text_labels[index];
        char *url = manifest->text_urls[index];
        subtitle_uri(manifest->languages.names[index], "vtt", url);
        manifest->texts[index] =
            (struct mpd_representation){.id = url, .bits_per_s = 1000, .base_url = url};
        manifest->sets[manifest->set_count++] =
            (struct mpd_set){.content = MPD_TEXT,
                             .mime_type = "text/vtt",
                             .language = label->tag,
                             .label = label->name,
                             .role = "subtitle",
                             .representations = &manifest->texts[index],
                             .representation_count = 1};
    }
}

/* What is buffered of a film that comes at the rate of its largest segment: that segment. */
static double longest_segment_s(const struct film *film)
{
    const int video = film_video(film);
    const unsigned track = (unsigned)(video >= 0 ? video : film_audio(film, 1));
    int64_t longest = 0;
    for (unsigned index = 0; index < film_segment_count(film); index++) {
        const int64_t size =
            film_segment_begin(film, track, index + 1) - film_segment_begin(film, track, index);
        longest = size > longest ? size : longest;
    }
    return (double)longest / film_track(film, track)->timescale;
}

void site_reply_manifest(struct film_request *wanted, const struct film_ladder *ladder)
{
    const struct film *top = ladder->rungs[0].film;
    struct text text = {0};
    struct manifest *manifest = leat_http_alloc(wanted->request, sizeof *manifest);
    if (!manifest) {
        (void)leat_http_reply_error(wanted->response, 503);
        return;
    }
    ASSERT(ladder->count > 0 && ladder->count <= LADDER_RUNGS_MAX);
    memset(manifest, 0, sizeof *manifest);
    manifest->ladder = ladder;
    film_find_languages(wanted, &manifest->languages);
    add_video_set(manifest);
    add_audio_sets(manifest);
    add_text_sets(manifest);
    mpd_write(&text, &(struct mpd){.duration_s = film_duration_s(top),
                                   .min_buffer_s = longest_segment_s(top),
                                   .sets = manifest->sets,
                                   .set_count = manifest->set_count});
    film_reply_text(wanted, dash_type, &text);
}
