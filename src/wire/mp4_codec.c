/* SPDX-License-Identifier: MIT */
/*
 * Sample entries: what is in them, and the name that browsers know it by (RFC 6381, and each
 * codec's own document). An entry that cannot be understood has no name; that is no error here, for
 * the file may well have other tracks.
 */
#include "wire/mp4.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "wire/bits.h"

#define BOX MP4_FOURCC

enum {
    VIDEO_ENTRY_SIZE = 86, /* of the fields before its boxes, with the box's own header */
    SOUND_ENTRY_SIZE = 36,
};

/* ---- Boxes in an entry ----------------------------------------------------------------------- */

/* Takes the next box off a list: its payload. False at the end, and where the list is damaged. */
static bool next_box(struct cursor *list, uint32_t *ret_type, struct leat_slice *ret_payload)
{
    const uint32_t size = cursor_u32be(list), type = cursor_u32be(list);
    if (list->failed || size < 8 || size - 8 > cursor_left(list))
        return false;
    *ret_type = type;
    *ret_payload = cursor_bytes(list, size - 8);
    return true;
}

/* The payload of the first box of a type; empty when there is none. */
static struct leat_slice find_box(struct leat_slice boxes, uint32_t wanted)
{
    struct cursor list = cursor_over(boxes);
    struct leat_slice payload;
    uint32_t type;
    while (next_box(&list, &type, &payload))
        if (type == wanted)
            return payload;
    return slice_of(NULL, 0);
}

/* ---- Video ----------------------------------------------------------------------------------- */

/* ISO/IEC 14496-15, section 5.3.3.1; RFC 6381, section 3.3: profile, constraints, level. */
static void name_avc(struct leat_slice boxes, const char *fourcc, char *ret_text)
{
    struct cursor avcc = cursor_over(find_box(boxes, BOX('a', 'v', 'c', 'C')));
    cursor_skip(&avcc, 1); /* its version */
    const unsigned char *const bytes = cursor_take(&avcc, 3);
    if (bytes)
        snprintf(ret_text, MP4_CODEC_SIZE, "%s.%02x%02x%02x", fourcc, bytes[0], bytes[1], bytes[2]);
}

static uint32_t reversed(uint32_t bits)
{
    uint32_t result = 0;
    for (unsigned i = 0; i < 32; i++)
        result |= (bits >> i & 1) << (31 - i);
    return result;
}

/* ISO/IEC 14496-15, annex E.3: profile, compatibility with its bits turned round, tier and level,
 * and the bytes of constraints up to the last that is not 0. */
static void name_hevc(struct leat_slice boxes, const char *fourcc, char *ret_text)
{
    static const char *const spaces[] = {"", "A", "B", "C"};
    enum { CONSTRAINTS_SIZE = 6 };
    struct cursor hvcc = cursor_over(find_box(boxes, BOX('h', 'v', 'c', 'C')));
    cursor_skip(&hvcc, 1);
    const uint8_t profile = cursor_u8(&hvcc);
    const uint32_t compatibility = reversed(cursor_u32be(&hvcc));
    const unsigned char *const constraints = cursor_take(&hvcc, CONSTRAINTS_SIZE);
    const uint8_t level = cursor_u8(&hvcc);
    if (hvcc.failed)
        return;
    int size = snprintf(ret_text, MP4_CODEC_SIZE, "%s.%s%u.%X.%c%u", fourcc, spaces[profile >> 6],
                        profile & 31, compatibility, profile & 32 ? 'H' : 'L', level);
    unsigned count = CONSTRAINTS_SIZE;
    while (count > 0 && constraints[count - 1] == 0)
        count--;
    for (unsigned i = 0; i < count; i++)
        size += snprintf(ret_text + size, MP4_CODEC_SIZE - (size_t)size, ".%X", constraints[i]);
    ASSERT(size > 0 && size < MP4_CODEC_SIZE);
}

/* AV1 in ISOBMFF, sections 2.3.3 and 5: profile, level and tier, bits a sample. */
static void name_av1(struct leat_slice boxes, char *ret_text)
{
    enum { MARKER_AND_VERSION = 0x81 };
    struct cursor av1c = cursor_over(find_box(boxes, BOX('a', 'v', '1', 'C')));
    const uint8_t marker = cursor_u8(&av1c), level = cursor_u8(&av1c), flags = cursor_u8(&av1c);
    if (av1c.failed || marker != MARKER_AND_VERSION)
        return;
    const bool is_high = flags & 0x40, is_twelve = flags & 0x20;
    snprintf(ret_text, MP4_CODEC_SIZE, "av01.%u.%02u%c.%02u", level >> 5, level & 31,
             flags & 0x80 ? 'H' : 'M',
             !is_high    ? 8
             : is_twelve ? 12
                         : 10);
}

/* VP codec ISO media file format binding, "Codecs Parameter String": profile, level, bits. */
static void name_vp(struct leat_slice boxes, const char *fourcc, char *ret_text)
{
    struct cursor vpcc = cursor_over(find_box(boxes, BOX('v', 'p', 'c', 'C')));
    cursor_skip(&vpcc, 4); /* version and flags */
    const uint8_t profile = cursor_u8(&vpcc), level = cursor_u8(&vpcc), depth = cursor_u8(&vpcc);
    if (!vpcc.failed)
        snprintf(ret_text, MP4_CODEC_SIZE, "%s.%02u.%02u.%02u", fourcc, profile, level, depth >> 4);
}

static void name_video(uint32_t fourcc, struct leat_slice boxes, char *ret_text)
{
    switch (fourcc) {
    case BOX('a', 'v', 'c', '1'): name_avc(boxes, "avc1", ret_text); break;
    case BOX('a', 'v', 'c', '3'): name_avc(boxes, "avc3", ret_text); break;
    case BOX('h', 'v', 'c', '1'): name_hevc(boxes, "hvc1", ret_text); break;
    case BOX('h', 'e', 'v', '1'): name_hevc(boxes, "hev1", ret_text); break;
    case BOX('a', 'v', '0', '1'): name_av1(boxes, ret_text); break;
    case BOX('v', 'p', '0', '9'): name_vp(boxes, "vp09", ret_text); break;
    case BOX('v', 'p', '0', '8'): name_vp(boxes, "vp08", ret_text); break;
    default: break;
    }
}

/* ---- MPEG-4 audio ---------------------------------------------------------------------------- */

/* ISO/IEC 14496-3, section 1.6.2.1: GetAudioObjectType. */
static unsigned take_object_type(struct bits *bits)
{
    enum { ESCAPE = 31 };
    const unsigned type = bits_take(bits, 5);
    return type == ESCAPE ? 32 + bits_take(bits, 6) : type;
}

static uint32_t take_sample_rate(struct bits *bits)
{
    static const uint32_t rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050,
                                     16000, 12000, 11025, 8000,  7350,  0,     0};
    enum { EXPLICIT = 15 };
    const unsigned index = bits_take(bits, 4);
    return index == EXPLICIT ? bits_take(bits, 24) : rates[index];
}

enum { AOT_AAC_LC = 2, AOT_SBR = 5, AOT_PS = 29, AOT_USAC = 42 };

/* SBR that is told of behind what old decoders read (section 1.6.5.3). */
static uint32_t extension_rate(struct bits *bits, unsigned type)
{
    enum { SYNC_EXTENSION = 0x2b7, NEEDED_BITS = 11 + 5 + 1 + 4 };
    bits_take(bits, 1); /* frame length; GASpecificConfig, section 4.4.1 */
    if (bits_take(bits, 1))
        bits_take(bits, 14); /* delay of a core coder */
    const bool is_extended = bits_take(bits, 1);
    if (type != AOT_AAC_LC || is_extended || bits_left(bits) < NEEDED_BITS)
        return 0;
    if (bits_take(bits, 11) != SYNC_EXTENSION || take_object_type(bits) != AOT_SBR)
        return 0;
    return bits_take(bits, 1) ? take_sample_rate(bits) : 0;
}

/* AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1). */
static void read_audio_config(struct leat_slice config, struct mp4_codec *codec)
{
    static const uint8_t channels[16] = {0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0};
    struct bits bits = {.bytes = config};
    const unsigned type = take_object_type(&bits);
    uint32_t rate = take_sample_rate(&bits);
    const unsigned count = channels[bits_take(&bits, 4)];
    if (type == 0 || bits_overran(&bits))
        return;
    uint32_t extended = 0;
    if (type == AOT_SBR || type == AOT_PS)
        extended = take_sample_rate(&bits);
    else if (count > 0)
        extended = extension_rate(&bits, type);
    if (extended > 0)
        rate = extended;
    snprintf(codec->text, sizeof(codec->text), "mp4a.40.%u", type);
    if (rate > 0 && type != AOT_USAC)
        codec->sample_rate = rate;
    if (count > 0)
        codec->channels = type == AOT_PS && count == 1 ? 2 : (uint16_t)count;
}

/* A descriptor's tag and size of up to four bytes (ISO/IEC 14496-1, section 8.3.3). It may say that
 * it goes on behind what it is in; it does not. */
static struct cursor take_descriptor(struct cursor *list, unsigned *ret_tag)
{
    uint32_t size = 0;
    *ret_tag = cursor_u8(list);
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t byte = cursor_u8(list);
        size = size << 7 | (byte & 0x7f);
        if (!(byte & 0x80))
            break;
    }
    return cursor_within(list, size < cursor_left(list) ? size : cursor_left(list));
}

/* ISO/IEC 14496-14, section 5.6, and 14496-1, section 7.2.6. */
static void read_esds(struct leat_slice esds, struct mp4_codec *codec)
{
    enum { ES = 3, DECODER_CONFIG = 4, DECODER_SPECIFIC = 5, MPEG4_AUDIO = 0x40 };
    struct cursor list = cursor_over(esds);
    unsigned tag;
    cursor_skip(&list, 4); /* version and flags */
    struct cursor es = take_descriptor(&list, &tag);
    cursor_skip(&es, 2); /* its number */
    const uint8_t flags = cursor_u8(&es);
    cursor_skip(&es, flags & 0x80 ? 2 : 0);
    if (flags & 0x40)
        cursor_skip(&es, cursor_u8(&es));
    cursor_skip(&es, flags & 0x20 ? 2 : 0);
    if (list.failed || tag != ES)
        return;
    struct cursor decoder = take_descriptor(&es, &tag);
    const uint8_t object_type = cursor_u8(&decoder);
    cursor_skip(&decoder, 12); /* its stream, buffer and rates */
    if (decoder.failed || tag != DECODER_CONFIG)
        return;
    if (object_type != MPEG4_AUDIO) {
        snprintf(codec->text, sizeof(codec->text), "mp4a.%02x", object_type);
        return;
    }
    const struct cursor specific = take_descriptor(&decoder, &tag);
    if (!specific.failed && tag == DECODER_SPECIFIC)
        read_audio_config(slice_of(specific.data, specific.size), codec);
}

/* ---- Other sound ----------------------------------------------------------------------------- */

/* Channels of an AC-3 stream by acmod (ETSI TS 102 366, section 4.4.2.3). */
static uint16_t ac3_channels(unsigned mode, bool has_lfe)
{
    static const uint8_t counts[8] = {2, 1, 2, 3, 3, 4, 4, 5};
    return (uint16_t)(counts[mode & 7] + has_lfe);
}

static const uint32_t ac3_rates[4] = {48000, 44100, 32000, 0};

/* ETSI TS 102 366, sections F.4 (dac3) and F.6 (dec3). */
static void read_ac3(struct leat_slice config, bool is_enhanced, struct mp4_codec *codec)
{
    struct bits bits = {.bytes = config};
    snprintf(codec->text, sizeof(codec->text), "%s", is_enhanced ? "ec-3" : "ac-3");
    bits_take(&bits, is_enhanced ? 16 : 0); /* rate, and number of substreams */
    const uint32_t rate = ac3_rates[bits_take(&bits, 2)];
    bits_take(&bits, is_enhanced ? 5 + 1 + 1 + 3 : 5 + 3);
    const unsigned mode = bits_take(&bits, 3);
    const bool has_lfe = bits_take(&bits, 1);
    if (bits_overran(&bits))
        return;
    codec->channels = ac3_channels(mode, has_lfe);
    if (rate > 0)
        codec->sample_rate = rate;
}

/* Encapsulation of FLAC in ISOBMFF, section 3.3.2; RFC 9639, section 8.2. */
static void read_flac(struct leat_slice config, struct mp4_codec *codec)
{
    enum { BEFORE_RATE = 4 + 4 + 10 }; /* FullBox, block header, sizes of blocks and frames */
    if (config.size < BEFORE_RATE + 4)
        return;
    struct bits bits = {.bytes = slice_after(config, BEFORE_RATE)};
    snprintf(codec->text, sizeof(codec->text), "flac");
    codec->sample_rate = bits_take(&bits, 20);
    codec->channels = (uint16_t)(bits_take(&bits, 3) + 1);
}

/* Encapsulation of Opus in ISOBMFF, section 4.3.2. It is always decoded at 48 kHz. */
static void read_opus(struct leat_slice config, struct mp4_codec *codec)
{
    if (config.size < 11)
        return;
    snprintf(codec->text, sizeof(codec->text), "opus");
    codec->channels = (unsigned char)config.data[1];
    codec->sample_rate = 48000;
}

/* Apple Lossless "magic cookie": ALACSpecificConfig in a FullBox. */
static void read_alac(struct leat_slice config, struct mp4_codec *codec)
{
    struct cursor cursor = cursor_over(config);
    cursor_skip(&cursor, 4 + 9);
    const uint8_t channels = cursor_u8(&cursor);
    cursor_skip(&cursor, 10);
    const uint32_t rate = cursor_u32be(&cursor);
    if (cursor.failed)
        return;
    snprintf(codec->text, sizeof(codec->text), "alac");
    codec->channels = channels;
    codec->sample_rate = rate;
}

static void name_sound(uint32_t fourcc, struct leat_slice boxes, struct mp4_codec *codec)
{
    struct leat_slice config;
    switch (fourcc) {
    case BOX('m', 'p', '4', 'a'):
        config = find_box(boxes, BOX('e', 's', 'd', 's'));
        if (config.size == 0) /* QuickTime hides it (QTFF, "siDecompressionParam") */
            config = find_box(find_box(boxes, BOX('w', 'a', 'v', 'e')), BOX('e', 's', 'd', 's'));
        read_esds(config, codec);
        break;
    case BOX('a', 'c', '-', '3'):
        read_ac3(find_box(boxes, BOX('d', 'a', 'c', '3')), false, codec);
        break;
    case BOX('e', 'c', '-', '3'):
        read_ac3(find_box(boxes, BOX('d', 'e', 'c', '3')), true, codec);
        break;
    case BOX('O', 'p', 'u', 's'): read_opus(find_box(boxes, BOX('d', 'O', 'p', 's')), codec); break;
    case BOX('f', 'L', 'a', 'C'): read_flac(find_box(boxes, BOX('d', 'f', 'L', 'a')), codec); break;
    case BOX('a', 'l', 'a', 'c'): read_alac(find_box(boxes, BOX('a', 'l', 'a', 'c')), codec); break;
    default: break;
    }
}

/* ---- The entry ------------------------------------------------------------------------------- */

/* Reads the fields of a sound entry up to its boxes: ISO's, and the three of QuickTime (QTFF,
 * "Sound Sample Descriptions"). */
static void read_sound_fields(struct cursor *entry, struct mp4_codec *codec)
{
    enum { V1_SIZE = 16, V2_SIZE = 36 };
    cursor_skip(entry, 16);
    const uint16_t version = cursor_u16be(entry);
    cursor_skip(entry, 6);
    codec->channels = cursor_u16be(entry);
    cursor_skip(entry, 6); /* bits a sample, and what is reserved */
    codec->sample_rate = cursor_u32be(entry) >> 16;
    ASSERT(entry->failed || entry->offset == SOUND_ENTRY_SIZE);
    if (version == 2) {
        double rate = 0;
        cursor_skip(entry, 4); /* the size of all this */
        const uint64_t bits = cursor_u64be(entry);
        memcpy(&rate, &bits, sizeof(rate));
        const uint32_t channels = cursor_u32be(entry);
        codec->sample_rate = rate > 0 && rate < UINT32_MAX ? (uint32_t)rate : 0;
        codec->channels = channels <= UINT16_MAX ? (uint16_t)channels : 0;
        cursor_skip(entry, V2_SIZE - 16);
    } else if (version == 1) {
        /* ISO has a version 1 too, and nothing behind its fields: there the boxes begin. */
        struct cursor ahead = *entry;
        struct leat_slice payload;
        uint32_t type = 0;
        if (!next_box(&ahead, &type, &payload) || type >> 24 < ' ')
            cursor_skip(entry, V1_SIZE);
    }
}

static void read_video_fields(struct cursor *entry, struct mp4_codec *codec)
{
    cursor_skip(entry, 32);
    codec->width = cursor_u16be(entry);
    codec->height = cursor_u16be(entry);
    cursor_skip(entry, VIDEO_ENTRY_SIZE - 36);
}

void mp4_codec_of(struct leat_slice entry, uint32_t handler, struct mp4_codec *ret_codec)
{
    struct mp4_codec codec = {0};
    struct cursor cursor = cursor_over(entry);
    const bool is_video = handler == BOX('v', 'i', 'd', 'e');
    const bool is_sound = handler == BOX('s', 'o', 'u', 'n');
    if (entry.size >= 8) {
        struct cursor header = cursor;
        cursor_skip(&header, 4);
        codec.fourcc = cursor_u32be(&header);
    }
    if (is_video)
        read_video_fields(&cursor, &codec);
    if (is_sound)
        read_sound_fields(&cursor, &codec);
    if ((is_video || is_sound) && !cursor.failed) {
        const struct leat_slice boxes = slice_after(entry, cursor.offset);
        const struct leat_slice sinf = find_box(boxes, BOX('s', 'i', 'n', 'f'));
        struct cursor original = cursor_over(find_box(sinf, BOX('f', 'r', 'm', 'a')));
        codec.is_encrypted = sinf.size > 0 || codec.fourcc == BOX('e', 'n', 'c', 'v') ||
                             codec.fourcc == BOX('e', 'n', 'c', 'a');
        const uint32_t fourcc = cursor_u32be(&original);
        if (!original.failed)
            codec.fourcc = fourcc;
        if (is_video)
            name_video(codec.fourcc, boxes, codec.text);
        else
            name_sound(codec.fourcc, boxes, &codec);
    }
    *ret_codec = codec;
}
