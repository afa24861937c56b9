/* SPDX-License-Identifier: MIT */
/*
 * See flv.h. A message is first brought to one form, whichever way it says it (struct packet): what
 * it is, of which codec, and its bytes. Then it is a configuration, a sample, or of no interest.
 */
#include "wire/flv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "leat/error.h"
#include "wire/bits.h"
#include "wire/mp4_entry.h"

enum {
    AVC = MP4_FOURCC('a', 'v', 'c', '1'),
    HEVC = MP4_FOURCC('h', 'v', 'c', '1'),
    AAC = MP4_FOURCC('m', 'p', '4', 'a'),
};

enum { VIDEO_TIMESCALE = 90000, TICKS_A_MS = VIDEO_TIMESCALE / 1000 };

static_assert((int)FLV_CONFIG_MAX <= (int)MP4_RECORD_MAX,
              "a configuration fits into a sample entry");

/* Times beyond this are nobody's; within it they can be had in ticks of any timescale. */
static const int64_t time_max_ms = INT64_C(1) << 40;

/* Frame types (annex E.4.3.1), and what legacy codecs are called. */
enum { FRAME_KEY = 1, FRAME_COMMAND = 5 };
enum { LEGACY_AVC = 7, LEGACY_EXTENDED = 9, LEGACY_AAC = 10 };

/* VideoPacketType and AudioPacketType of Enhanced RTMP, which agree in what matters. */
enum packet_type {
    PACKET_CONFIG = 0,
    PACKET_FRAME = 1,
    PACKET_END = 2,
    PACKET_FRAME_X = 3, /* without a composition time; video alone */
    PACKET_METADATA = 4,
    PACKET_AUDIO_MULTITRACK = 5,
    PACKET_VIDEO_MULTITRACK = 6,
    PACKET_MODIFIER = 7,
};

struct packet {
    uint8_t type; /* enum packet_type, or what is not known */
    uint32_t fourcc;
    bool is_key;
    int32_t cto_ms;
    struct leat_slice data;
};

struct flv_track {
    bool is_there; /* it was told of */
    unsigned index;
    uint32_t fourcc;
    uint32_t timescale;
    uint32_t frame_size; /* of audio: samples a frame */
    bool is_counting;    /* of audio: next_dts counts */
    int64_t next_dts;
    size_t config_size;
    unsigned char config[FLV_CONFIG_MAX]; /* as it was told last */
};

struct flv {
    struct media_events events;
    unsigned track_count;
    struct flv_track video, audio;
    unsigned char entry[MP4_STSD_MAX];
    char reason[MEDIA_REASON_SIZE];
};

int flv_create(const struct media_events *events, struct flv **ret_flv)
{
    ASSERT(events->on_track && events->on_sample);
    struct flv *const flv = calloc(1, sizeof *flv);
    if (!flv)
        return -ENOMEM;
    flv->events = *events;
    *ret_flv = flv;
    return 0;
}

void flv_destroy(struct flv *flv)
{
    free(flv);
}

const char *flv_reason(const struct flv *flv)
{
    return flv->reason;
}

__attribute__((cold, format(printf, 3, 4))) static int refuse(struct flv *flv, int error,
                                                              const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(flv->reason, sizeof flv->reason, format, args);
    va_end(args);
    return error;
}

static bool is_ours(uint32_t fourcc)
{
    return fourcc == AVC || fourcc == HEVC || fourcc == AAC;
}

/* ---- Packets --------------------------------------------------------------------------------- */

static uint32_t take_u24(struct cursor *cursor)
{
    const uint32_t high = cursor_u8(cursor);
    return high << 16 | cursor_u16be(cursor);
}

/* SI24. */
static int32_t take_s24(struct cursor *cursor)
{
    const int32_t value = (int32_t)take_u24(cursor);
    return value >= 1 << 23 ? value - (1 << 24) : value;
}

static struct leat_slice take_rest(struct cursor *cursor)
{
    return cursor_bytes(cursor, cursor_left(cursor));
}

/* ModEx: extensions that we know nothing of, each with the type of what comes next. */
static uint8_t take_modifiers(struct cursor *cursor)
{
    enum { TWO_BYTES = 256 };
    uint8_t type = PACKET_MODIFIER;
    while (type == PACKET_MODIFIER && !cursor->failed) {
        uint32_t size = 1U + cursor_u8(cursor);
        if (size == TWO_BYTES)
            size = 1U + cursor_u16be(cursor);
        cursor_skip(cursor, size);
        type = cursor_u8(cursor) & 15;
        if (cursor->offset > FLV_HEADER_MAX)
            cursor->failed = true;
    }
    return type;
}

/* The track with the id 0, of all that are in the message. False: it is not among them. */
static bool take_first_track(struct cursor *cursor, struct packet *packet)
{
    enum { ONE_TRACK = 0, MANY_CODECS = 2, TRACKS_MAX = 256 };
    const uint8_t byte = cursor_u8(cursor);
    const unsigned kind = byte >> 4;
    packet->type = byte & 15;
    if (kind > MANY_CODECS)
        cursor->failed = true;
    if (kind != MANY_CODECS)
        packet->fourcc = cursor_u32be(cursor);
    for (unsigned count = 0; count < TRACKS_MAX && cursor_left(cursor) > 0; count++) {
        if (kind == MANY_CODECS)
            packet->fourcc = cursor_u32be(cursor);
        const uint8_t id = cursor_u8(cursor);
        const size_t size = kind == ONE_TRACK ? cursor_left(cursor) : take_u24(cursor);
        const struct leat_slice data = cursor_bytes(cursor, size);
        if (id == 0 && !cursor->failed) {
            *cursor = cursor_over(data);
            return true;
        }
    }
    return false;
}

/* ExVideoTagHeader and ExAudioTagHeader behind their first byte. False: it is of no interest. */
static bool take_extended(struct cursor *cursor, bool is_video, struct packet *packet)
{
    const uint8_t multitrack = is_video ? PACKET_VIDEO_MULTITRACK : PACKET_AUDIO_MULTITRACK;
    if (packet->type == PACKET_MODIFIER)
        packet->type = take_modifiers(cursor);
    if (packet->type != multitrack) {
        packet->fourcc = cursor_u32be(cursor);
        return true;
    }
    return take_first_track(cursor, packet);
}

/* VIDEODATA (annex E.4.3.1). False: it is of no interest, or the cursor has failed. */
static bool take_video(struct cursor *cursor, struct packet *packet)
{
    enum { IS_EXTENDED = 0x80 };
    const uint8_t first = cursor_u8(cursor);
    const unsigned frame_type = first >> 4 & 7;
    packet->is_key = frame_type == FRAME_KEY;
    packet->type = first & 15;
    if (frame_type == FRAME_COMMAND)
        return false;
    if (first & IS_EXTENDED) {
        if (!take_extended(cursor, true, packet) || packet->type == PACKET_METADATA)
            return false;
        if (packet->type == PACKET_FRAME && is_ours(packet->fourcc))
            packet->cto_ms = take_s24(cursor);
    } else if (packet->type == LEGACY_AVC) {
        packet->fourcc = AVC;
        packet->type = cursor_u8(cursor);
        packet->cto_ms = take_s24(cursor);
        if (packet->type > PACKET_END)
            return false;
    } else {
        packet->fourcc = packet->type; /* so small that it is no FourCC of anybody's */
        packet->type = PACKET_FRAME;
    }
    packet->data = take_rest(cursor);
    return !cursor->failed;
}

/* AUDIODATA (annex E.4.2.1). */
static bool take_audio(struct cursor *cursor, struct packet *packet)
{
    const uint8_t first = cursor_u8(cursor);
    const unsigned format = first >> 4;
    packet->is_key = true;
    if (format == LEGACY_EXTENDED) {
        packet->type = first & 15;
        if (!take_extended(cursor, false, packet))
            return false;
    } else if (format == LEGACY_AAC) {
        packet->fourcc = AAC;
        packet->type = cursor_u8(cursor);
    } else {
        packet->fourcc = format;
        packet->type = PACKET_FRAME;
    }
    if (packet->type == PACKET_FRAME_X) /* reserved in sound */
        return false;
    packet->data = take_rest(cursor);
    return !cursor->failed;
}

/* ---- Configurations -------------------------------------------------------------------------- */

/* What a codec that is not ours is called, by its number in FLV or its FourCC. */
static const char *name_codec(bool is_video, uint32_t fourcc, char name[8])
{
    static const char *const videos[16] = {
        [2] = "Sorenson H.263", [3] = "Screen Video",          [4] = "VP6", [5] = "VP6",
        [6] = "Screen Video",   [12] = "HEVC without a FourCC"};
    static const char *const sounds[16] = {
        [0] = "PCM",        [1] = "ADPCM",      [2] = "MP3",   [3] = "PCM",
        [4] = "Nellymoser", [5] = "Nellymoser", [7] = "G.711", [6] = "Nellymoser",
        [8] = "G.711",      [11] = "Speex",     [14] = "MP3"};
    if (fourcc < 16) {
        const char *const known = is_video ? videos[fourcc] : sounds[fourcc];
        return known ? known : "of an unknown codec";
    }
    for (unsigned i = 0; i < 4; i++) {
        const char c = (char)(fourcc >> (24 - 8 * i));
        name[i] = '?';
        if (c >= ' ' && c < 0x7f)
            name[i] = c;
    }
    name[4] = '\0';
    return name;
}

static int refuse_codec(struct flv *flv, bool is_video, uint32_t fourcc)
{
    char name[8];
    return refuse(flv, -EOPNOTSUPP, "its %s %s, not %s", is_video ? "pictures are" : "sound is",
                  name_codec(is_video, fourcc, name),
                  is_video ? "H.264 (AVC) or H.265 (hvc1)" : "AAC");
}

/* How an AAC frame counts: the core coder's sample rate, and 1024 samples of it, or 960 (ISO/IEC
 * 14496-3, sections 1.6.2.1 and 4.4.1). What SBR makes of them is longer by as much as its rate is
 * higher. */
static bool read_frame_size(struct leat_slice asc, uint32_t *ret_rate, uint32_t *ret_frame_size)
{
    static const uint32_t rates[16] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                       22050, 16000, 12000, 11025, 8000,  7350};
    enum { SBR = 5, PS = 29, ESCAPE = 31, EXPLICIT = 15 };
    struct bits bits = {.bytes = asc};
    const uint32_t type = bits_take(&bits, 5);
    const uint32_t index = bits_take(&bits, 4);
    const uint32_t rate = index == EXPLICIT ? bits_take(&bits, 24) : rates[index];
    bits_skip(&bits, 4); /* channels */
    if (type == SBR || type == PS) {
        if (bits_take(&bits, 4) == EXPLICIT)
            bits_skip(&bits, 24);
        bits_skip(&bits, 5); /* the core's type */
    }
    const bool is_short = bits_take(&bits, 1);
    *ret_rate = rate;
    *ret_frame_size = is_short ? 960 : 1024;
    return type != ESCAPE && rate > 0 && !bits_overran(&bits);
}

static int write_entry(struct flv *flv, const struct packet *packet, struct mp4_track *track)
{
    struct writer writer = writer_over(flv->entry, sizeof flv->entry);
    switch (packet->fourcc) {
    case AVC: return mp4_entry_avc(&writer, packet->data, track);
    case HEVC: return mp4_entry_hevc(&writer, packet->data, track);
    default: ASSERT(packet->fourcc == AAC); return mp4_entry_aac(&writer, packet->data, track);
    }
}

static int tell_track(struct flv *flv, struct flv_track *own, const struct packet *packet)
{
    struct mp4_track track = {.language = "und", .is_enabled = true};
    const bool is_video = own == &flv->video;
    const char *const what = is_video ? "pictures" : "sound";
    own->timescale = VIDEO_TIMESCALE;
    own->is_counting = false;
    int error = write_entry(flv, packet, &track);
    if (!error && !is_video && !read_frame_size(packet->data, &own->timescale, &own->frame_size))
        error = -LEAT_E_MALFORMED;
    if (error == -EOPNOTSUPP)
        return refuse(flv, error, "its sound is a form of AAC that is not LC, HE or HEv2");
    if (error)
        return refuse(flv, error, "the configuration of its %s cannot be read", what);
    if (!own->is_there)
        own->index = flv->track_count++;
    own->is_there = true;
    track.id = own->index + 1;
    track.timescale = own->timescale;
    return flv->events.on_track(own->index, &track, flv->events.user);
}

/* Most publishers repeat it from time to time: that is no news. */
static int read_config(struct flv *flv, struct flv_track *own, const struct packet *packet)
{
    const struct leat_slice data = packet->data;
    const struct leat_slice known = slice_of(own->config, own->config_size);
    if (own->is_there && own->fourcc == packet->fourcc && slice_equal(data, known))
        return 0;
    if (data.size == 0 || data.size > FLV_CONFIG_MAX)
        return refuse(flv, data.size == 0 ? -LEAT_E_MALFORMED : -LEAT_E_LIMIT,
                      "a configuration of %zu bytes: at most %d are taken", data.size,
                      FLV_CONFIG_MAX);
    memcpy(own->config, data.data, data.size);
    own->config_size = data.size;
    own->fourcc = packet->fourcc;
    return tell_track(flv, own, packet);
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* Counted, or what the message says when that is too far away (see flv.h). */
static int64_t audio_dts(struct flv_track *own, int64_t time_ms)
{
    const int64_t rate = own->timescale;
    const int64_t said = time_ms / 1000 * rate + time_ms % 1000 * rate / 1000;
    const int64_t away = said - own->next_dts;
    const int64_t away_max = rate * FLV_AUDIO_DRIFT_MS / 1000;
    const int64_t dts =
        own->is_counting && away <= away_max && away >= -away_max ? own->next_dts : said;
    own->is_counting = true;
    own->next_dts = dts + own->frame_size;
    return dts;
}

static int tell_sample(struct flv *flv, struct flv_track *own, const struct packet *packet,
                       int64_t time_ms)
{
    const bool is_video = own == &flv->video;
    if (!own->is_there || own->fourcc != packet->fourcc)
        return refuse(flv, -LEAT_E_MALFORMED, "%s before their configuration (sequence header)",
                      is_video ? "pictures come" : "sounds come");
    if (packet->data.size > MEDIA_SAMPLE_MAX)
        return refuse(flv, -LEAT_E_LIMIT, "a sample of %zu bytes: at most %d are taken",
                      packet->data.size, MEDIA_SAMPLE_MAX);
    if (packet->data.size == 0)
        return 0;
    const struct media_sample sample = {
        .dts = is_video ? time_ms * TICKS_A_MS : audio_dts(own, time_ms),
        .cto = packet->cto_ms * TICKS_A_MS,
        .duration = is_video ? 0 : own->frame_size,
        .is_sync = packet->is_key,
        .data = packet->data,
    };
    return flv->events.on_sample(own->index, &sample, flv->events.user);
}

static int tell(struct flv *flv, struct flv_track *own, const struct packet *packet,
                int64_t time_ms)
{
    const bool is_video = own == &flv->video;
    if (!is_ours(packet->fourcc) || is_video == (packet->fourcc == AAC))
        return refuse_codec(flv, is_video, packet->fourcc);
    switch (packet->type) {
    case PACKET_CONFIG: return read_config(flv, own, packet);
    case PACKET_FRAME:
    case PACKET_FRAME_X: return tell_sample(flv, own, packet, time_ms);
    default: return 0;
    }
}

static int read_message(struct flv *flv, struct flv_track *own, int64_t time_ms,
                        struct leat_slice body)
{
    struct cursor cursor = cursor_over(body);
    struct packet packet = {0};
    if (body.size == 0)
        return 0;
    if (time_ms > time_max_ms || time_ms < -time_max_ms)
        return refuse(flv, -LEAT_E_LIMIT, "its time has run away, to %lld ms", (long long)time_ms);
    const bool is_wanted =
        own == &flv->video ? take_video(&cursor, &packet) : take_audio(&cursor, &packet);
    if (cursor.failed)
        return refuse(flv, -LEAT_E_MALFORMED, "a message of %zu bytes ends in its header",
                      body.size);
    return is_wanted ? tell(flv, own, &packet, time_ms) : 0;
}

int flv_video(struct flv *flv, int64_t time_ms, struct leat_slice body)
{
    return read_message(flv, &flv->video, time_ms, body);
}

int flv_audio(struct flv *flv, int64_t time_ms, struct leat_slice body)
{
    return read_message(flv, &flv->audio, time_ms, body);
}
