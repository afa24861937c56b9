/* SPDX-License-Identifier: MIT */
/*
 * See mp4_entry.h. A record goes into its entry byte for byte: what it says is looked at, and only
 * where what we write would be a lie otherwise (hvc1) is a bit of it set.
 */
#include "wire/mp4_entry.h"

#include <errno.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/h26x.h"
#include "wire/mp4_boxes.h"

enum { VIDE = MP4_FOURCC('v', 'i', 'd', 'e'), SOUN = MP4_FOURCC('s', 'o', 'u', 'n') };

/* Tells in `track` of the entry that was written from `begin` on. */
static void describe(const struct writer *writer, size_t begin, uint32_t handler,
                     struct mp4_track *track)
{
    const struct leat_slice entry = slice_after(writer_slice(writer), begin);
    ASSERT(!writer->failed && entry.size > 8 && entry.size <= MP4_STSD_MAX);
    static const unsigned char identity[sizeof(track->matrix)] = {
        [1] = 1, [17] = 1, [32] = 0x40, /* 1.0 in 16.16 twice, and in 2.30 */
    };
    track->handler = handler;
    track->stsd = entry;
    track->entry_count = 1;
    track->width = track->height = 0;
    memcpy(track->matrix, identity, sizeof(identity));
    mp4_codec_of(entry, handler, &track->codec);
}

/* ---- Video ----------------------------------------------------------------------------------- */

/* VisualSampleEntry (ISO/IEC 14496-12, section 12.1.3) around one box. */
static int write_video(struct writer *writer, const char *fourcc, const char *config_type,
                       struct leat_slice config, const struct h26x_sps *sps,
                       struct mp4_track *track)
{
    enum { RESOLUTION = 72 << 16, DEPTH = 0x18, NAME_SIZE = 32 };
    const size_t entry = mp4_begin_box(writer, fourcc);
    mp4_write_zeros(writer, 6);
    writer_u16be(writer, 1); /* data_reference_index */
    mp4_write_zeros(writer, 16);
    writer_u16be(writer, (uint16_t)sps->width);
    writer_u16be(writer, (uint16_t)sps->height);
    writer_u32be(writer, RESOLUTION);
    writer_u32be(writer, RESOLUTION);
    mp4_write_zeros(writer, 4);
    writer_u16be(writer, 1); /* frames a sample */
    mp4_write_zeros(writer, NAME_SIZE);
    writer_u16be(writer, DEPTH);
    writer_u16be(writer, UINT16_MAX);
    const size_t box = mp4_begin_box(writer, config_type);
    writer_bytes(writer, config);
    mp4_end_box(writer, box);
    mp4_end_box(writer, entry);
    if (writer->failed)
        return -ENOBUFS;
    describe(writer, entry, VIDE, track);
    track->width = sps->width << 16;
    track->height = sps->height << 16;
    return 0;
}

/* The samples' lengths of NAL units: 1, 2 or 4 bytes. */
static bool is_length_size(unsigned minus_one)
{
    return minus_one != 2;
}

/* Takes `count` NAL units of 16 bits' length each; the first of them. False when they are not
 * there, or there is none. */
static bool take_nals(struct cursor *record, unsigned count, struct leat_slice *ret_first)
{
    *ret_first = slice_of(NULL, 0);
    for (unsigned i = 0; i < count; i++) {
        const struct leat_slice nal = cursor_bytes(record, cursor_u16be(record));
        if (i == 0)
            *ret_first = nal;
    }
    return !record->failed && ret_first->size > 0;
}

/* ISO/IEC 14496-15, section 5.3.3.1. */
int mp4_entry_avc(struct writer *writer, struct leat_slice avcc, struct mp4_track *track)
{
    struct cursor record = cursor_over(avcc);
    struct leat_slice sps_nal, pps_nal;
    struct h26x_sps sps;
    if (avcc.size > MP4_RECORD_MAX)
        return -LEAT_E_LIMIT;
    const unsigned version = cursor_u8(&record);
    cursor_skip(&record, 3); /* profile, constraints, level */
    const unsigned length_size = cursor_u8(&record) & 3;
    if (record.failed || version != 1 || !is_length_size(length_size) ||
        !take_nals(&record, cursor_u8(&record) & 31, &sps_nal) ||
        !take_nals(&record, cursor_u8(&record), &pps_nal))
        return -LEAT_E_MALFORMED;
    if (h264_nal_type(pps_nal) != H264_NAL_PPS || h264_sps_read(sps_nal, &sps) != 0)
        return -LEAT_E_MALFORMED;
    return write_video(writer, "avc1", "avcC", avcc, &sps, track);
}

/* The arrays of an HEVC record (section 8.3.3.1.2): where they stand, by what is in them. */
struct hevc_arrays {
    size_t vps_at, sps_at, pps_at; /* 0: there is none */
    struct leat_slice sps;         /* the first */
};

static bool take_arrays(struct cursor *record, struct hevc_arrays *ret_arrays)
{
    struct hevc_arrays arrays = {0};
    const unsigned count = cursor_u8(record);
    for (unsigned i = 0; i < count && !record->failed; i++) {
        const size_t at = record->offset;
        const unsigned type = cursor_u8(record) & 63;
        struct leat_slice first;
        if (!take_nals(record, cursor_u16be(record), &first))
            continue; /* an empty one; or the record has failed */
        switch (type) {
        case H265_NAL_VPS: arrays.vps_at = at; break;
        case H265_NAL_PPS: arrays.pps_at = at; break;
        case H265_NAL_SPS:
            arrays.sps_at = at;
            arrays.sps = first;
            break;
        default: break;
        }
    }
    *ret_arrays = arrays;
    return !record->failed && arrays.vps_at > 0 && arrays.sps_at > 0 && arrays.pps_at > 0;
}

/* Section 8.3.3.1. In hvc1 the arrays of parameter sets are complete (section 8.4.3), whatever the
 * record says: many write 0 there. */
int mp4_entry_hevc(struct writer *writer, struct leat_slice hvcc, struct mp4_track *track)
{
    enum { BEFORE_LENGTH_SIZE = 20, IS_COMPLETE = 0x80 };
    struct cursor record = cursor_over(hvcc);
    struct hevc_arrays arrays;
    struct h26x_sps sps;
    if (hvcc.size > MP4_RECORD_MAX)
        return -LEAT_E_LIMIT;
    const unsigned version = cursor_u8(&record);
    cursor_skip(&record, BEFORE_LENGTH_SIZE);
    const unsigned length_size = cursor_u8(&record) & 3;
    if (record.failed || version != 1 || !is_length_size(length_size) ||
        !take_arrays(&record, &arrays) || h265_sps_read(arrays.sps, &sps) != 0)
        return -LEAT_E_MALFORMED;
    const int error = write_video(writer, "hvc1", "hvcC", hvcc, &sps, track);
    if (error)
        return error;
    unsigned char *const written = writer->data + writer->size - hvcc.size;
    written[arrays.vps_at] |= IS_COMPLETE;
    written[arrays.sps_at] |= IS_COMPLETE;
    written[arrays.pps_at] |= IS_COMPLETE;
    return 0;
}

/* ---- Sound ----------------------------------------------------------------------------------- */

/* A descriptor's tag, and its size in four bytes, as most write it (ISO/IEC 14496-1, section
 * 8.3.3). */
static void write_descriptor(struct writer *writer, uint8_t tag, size_t size)
{
    ASSERT(size < 1 << 21);
    writer_u8(writer, tag);
    for (int shift = 21; shift > 0; shift -= 7)
        writer_u8(writer, (uint8_t)(0x80 | (size >> shift & 0x7f)));
    writer_u8(writer, size & 0x7f);
}

/* ISO/IEC 14496-1, section 7.2.6; 14496-14, section 3.1. */
static void write_esds(struct writer *writer, struct leat_slice asc)
{
    enum { ES = 3, DECODER_CONFIG = 4, DECODER_SPECIFIC = 5, SL_CONFIG = 6 };
    enum { HEAD = 5, CONFIG_FIELDS = 13, ES_FIELDS = 3, MPEG4_AUDIO = 0x40, AUDIO_STREAM = 0x15 };
    const size_t config_size = CONFIG_FIELDS + HEAD + asc.size;
    const size_t esds = mp4_begin_full_box(writer, "esds", 0, 0);
    write_descriptor(writer, ES, ES_FIELDS + HEAD + config_size + HEAD + 1);
    mp4_write_zeros(writer, ES_FIELDS);
    write_descriptor(writer, DECODER_CONFIG, config_size);
    writer_u8(writer, MPEG4_AUDIO);
    writer_u8(writer, AUDIO_STREAM);
    mp4_write_zeros(writer, 3 + 4 + 4); /* buffer and bit rates: not known */
    write_descriptor(writer, DECODER_SPECIFIC, asc.size);
    writer_bytes(writer, asc);
    write_descriptor(writer, SL_CONFIG, 1);
    writer_u8(writer, 2); /* predefined: as in MP4 */
    mp4_end_box(writer, esds);
}

/* AudioSampleEntry (ISO/IEC 14496-12, section 12.2.3). */
static size_t write_sound(struct writer *writer, struct leat_slice asc,
                          const struct mp4_codec *codec)
{
    const size_t entry = mp4_begin_box(writer, "mp4a");
    mp4_write_zeros(writer, 6);
    writer_u16be(writer, 1); /* data_reference_index */
    mp4_write_zeros(writer, 8);
    writer_u16be(writer, codec->channels);
    writer_u16be(writer, 16); /* bits a sample */
    mp4_write_zeros(writer, 4);
    writer_u32be(writer, codec->sample_rate <= UINT16_MAX ? codec->sample_rate << 16 : 0);
    write_esds(writer, asc);
    mp4_end_box(writer, entry);
    return entry;
}

/* What the decoder's configuration says is read as it is in any file: out of an entry around it, of
 * which nothing is known yet. */
int mp4_entry_aac(struct writer *writer, struct leat_slice asc, struct mp4_track *track)
{
    struct mp4_codec codec = {0};
    const size_t begin = writer->size;
    if (asc.size > MP4_RECORD_MAX)
        return -LEAT_E_LIMIT;
    const size_t draft = write_sound(writer, asc, &codec);
    if (writer->failed)
        return -ENOBUFS;
    mp4_codec_of(slice_after(writer_slice(writer), draft), SOUN, &codec);
    writer->size = begin;
    const bool is_ours = strcmp(codec.text, "mp4a.40.2") == 0 ||
                         strcmp(codec.text, "mp4a.40.5") == 0 ||
                         strcmp(codec.text, "mp4a.40.29") == 0;
    if (codec.text[0] == '\0' || (is_ours && codec.sample_rate == 0))
        return -LEAT_E_MALFORMED;
    if (!is_ours || codec.channels == 0)
        return -EOPNOTSUPP;
    describe(writer, write_sound(writer, asc, &codec), SOUN, track);
    return 0;
}

/* ---- Records --------------------------------------------------------------------------------- */

static void write_nal(struct writer *writer, struct leat_slice nal)
{
    ASSERT(nal.size <= UINT16_MAX);
    writer_u16be(writer, (uint16_t)nal.size);
    writer_bytes(writer, nal);
}

/* ISO/IEC 14496-15, section 5.3.3.1. */
int mp4_avcc_write(struct writer *writer, struct leat_slice sps, struct leat_slice pps)
{
    enum { BASELINE = 66, MAIN = 77, EXTENDED = 88 };
    struct h26x_sps read;
    if (sps.size > UINT16_MAX || pps.size > UINT16_MAX || h264_sps_read(sps, &read) != 0 ||
        h264_nal_type(pps) != H264_NAL_PPS)
        return -LEAT_E_MALFORMED;
    ASSERT(sps.size >= 4);
    const unsigned profile = (unsigned char)sps.data[1];
    writer_u8(writer, 1);
    writer_bytes(writer, slice_of(sps.data + 1, 3)); /* profile, constraints, level */
    writer_u8(writer, 0xfc | 3);                     /* lengths of 4 bytes */
    writer_u8(writer, 0xe0 | 1);
    write_nal(writer, sps);
    writer_u8(writer, 1);
    write_nal(writer, pps);
    if (profile != BASELINE && profile != MAIN && profile != EXTENDED) {
        writer_u8(writer, 0xfc | read.chroma_format);
        writer_u8(writer, 0xf8 | (read.luma_depth - 8));
        writer_u8(writer, 0xf8 | (read.chroma_depth - 8));
        writer_u8(writer, 0); /* sets of extensions */
    }
    return writer->failed ? -ENOBUFS : 0;
}

/* One array of one NAL unit, and there are no others in the samples. */
static void write_array(struct writer *writer, uint8_t type, struct leat_slice nal)
{
    writer_u8(writer, 0x80 | type);
    writer_u16be(writer, 1);
    write_nal(writer, nal);
}

/* ISO/IEC 14496-15, section 8.3.3.1. */
int mp4_hvcc_write(struct writer *writer, struct leat_slice vps, struct leat_slice sps,
                   struct leat_slice pps)
{
    struct h26x_sps read;
    if (vps.size > UINT16_MAX || sps.size > UINT16_MAX || pps.size > UINT16_MAX ||
        h265_nal_type(vps) != H265_NAL_VPS || h265_nal_type(pps) != H265_NAL_PPS ||
        h265_sps_read(sps, &read) != 0)
        return -LEAT_E_MALFORMED;
    writer_u8(writer, 1);
    writer_bytes(writer, slice_of(read.profile, sizeof(read.profile)));
    writer_u16be(writer, 0xf000); /* min_spatial_segmentation_idc: not known */
    writer_u8(writer, 0xfc);      /* parallelismType: likewise */
    writer_u8(writer, 0xfc | read.chroma_format);
    writer_u8(writer, 0xf8 | (read.luma_depth - 8));
    writer_u8(writer, 0xf8 | (read.chroma_depth - 8));
    writer_u16be(writer, 0); /* pictures a second: not known */
    writer_u8(writer, (uint8_t)(read.layer_count << 3 | read.is_layer_nested << 2 | 3));
    writer_u8(writer, 3);
    write_array(writer, H265_NAL_VPS, vps);
    write_array(writer, H265_NAL_SPS, sps);
    write_array(writer, H265_NAL_PPS, pps);
    return writer->failed ? -ENOBUFS : 0;
}
