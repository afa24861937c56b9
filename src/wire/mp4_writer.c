/* SPDX-License-Identifier: MIT */
/*
 * See mp4_writer.h. Boxes are written front to back (mp4_boxes.h).
 */
#include "wire/mp4_writer.h"

#include "base/assert.h"
#include "wire/mp4_boxes.h"

/* ---- Sample entries -------------------------------------------------------------------------- */

enum {
    ENTRY_HEADER = 8 + 8,             /* of any: box, reserved, data_reference_index */
    VIDEO_HEADER = ENTRY_HEADER + 70, /* section 12.1.3 */
    AUDIO_HEADER = ENTRY_HEADER + 20, /* section 12.2.3 */
    AUDIO_VERSION_AT = ENTRY_HEADER,  /* QuickTime's, reserved here */
    AUDIO_COMPRESSION_AT = ENTRY_HEADER + 12,
    QT_AUDIO_1 = 16, /* bytes that its versions put behind that header */
    QT_AUDIO_2 = 36,
};

/* Copies the boxes of a sample entry that a decoder needs, and only whole ones: QuickTime ends a
 * list of them with four zeros, and hides an audio decoder's within 'wave'. */
static void write_children(struct writer *writer, struct cursor boxes, unsigned depth)
{
    while (cursor_left(&boxes) >= 8) {
        struct cursor peek = boxes;
        const uint32_t size = cursor_u32be(&peek), type = cursor_u32be(&peek);
        if (size < 8 || size > cursor_left(&boxes))
            return;
        const struct leat_slice box = cursor_bytes(&boxes, size);
        if (type == MP4_FOURCC('w', 'a', 'v', 'e') && depth == 0)
            write_children(writer, cursor_over(slice_after(box, 8)), depth + 1);
        else if (depth == 0 || type == MP4_FOURCC('e', 's', 'd', 's') ||
                 type == MP4_FOURCC('a', 'l', 'a', 'c'))
            writer_bytes(writer, box);
    }
}

/* As it stands, but for what QuickTime does otherwise. */
static void write_entry(struct writer *writer, struct leat_slice entry, uint32_t handler)
{
    const bool is_video = handler == MP4_FOURCC('v', 'i', 'd', 'e');
    const size_t header = is_video ? VIDEO_HEADER : AUDIO_HEADER;
    const size_t begin = writer->size;
    if (entry.size < header) {
        writer->failed = true; /* mp4_read has seen to it that there is none */
        return;
    }
    size_t skipped = 0;
    writer_bytes(writer, slice_of(entry.data, header));
    if (!is_video) {
        const unsigned version = (unsigned char)entry.data[AUDIO_VERSION_AT + 1];
        skipped = version == 1 ? QT_AUDIO_1 : version == 2 ? QT_AUDIO_2 : 0;
        if (skipped > entry.size - header)
            skipped = 0;
        if (!writer->failed && skipped > 0) { /* what it calls version, vendor, compression … */
            memset(writer->data + begin + AUDIO_VERSION_AT, 0, 8);
            memset(writer->data + begin + AUDIO_COMPRESSION_AT, 0, 4);
        }
    }
    write_children(writer, cursor_over(slice_after(entry, header + skipped)), 0);
    mp4_end_box(writer, begin);
}

static void write_stsd(struct writer *writer, const struct mp4_track *track)
{
    const size_t stsd = mp4_begin_full_box(writer, "stsd", 0, 0);
    struct cursor entries = cursor_over(track->stsd);
    writer_u32be(writer, track->entry_count);
    for (unsigned index = 0; index < track->entry_count; index++) {
        struct cursor peek = entries;
        write_entry(writer, cursor_bytes(&entries, cursor_u32be(&peek)), track->handler);
    }
    mp4_end_box(writer, stsd);
}

/* ---- The init segment ------------------------------------------------------------------------ */

enum { MOVIE_TIMESCALE = 1000 };

static const unsigned char identity[36] = {
    [1] = 1, [17] = 1, [32] = 0x40, /* 1.0 in 16.16 twice, and in 2.30 */
};

static bool is_video(const struct mp4_track *track)
{
    return track->handler == MP4_FOURCC('v', 'i', 'd', 'e');
}

static void write_mvhd(struct writer *writer)
{
    const size_t mvhd = mp4_begin_full_box(writer, "mvhd", 0, 0);
    mp4_write_zeros(writer, 8); /* when it was made, and changed */
    writer_u32be(writer, MOVIE_TIMESCALE);
    writer_u32be(writer, 0);       /* duration: fragments tell */
    writer_u32be(writer, 0x10000); /* rate, */
    writer_u16be(writer, 0x100);   /* volume: 1.0 */
    mp4_write_zeros(writer, 10);
    writer_bytes(writer, slice_of(identity, sizeof identity));
    mp4_write_zeros(writer, 24);
    writer_u32be(writer, UINT32_MAX); /* the next track's number: search for one */
    mp4_end_box(writer, mvhd);
}

static void write_tkhd(struct writer *writer, const struct mp4_track *track)
{
    enum { ENABLED_IN_MOVIE_AND_PREVIEW = 7 };
    const size_t tkhd = mp4_begin_full_box(writer, "tkhd", 0, ENABLED_IN_MOVIE_AND_PREVIEW);
    mp4_write_zeros(writer, 8);
    writer_u32be(writer, track->id);
    mp4_write_zeros(writer, 4 + 4 + 8 + 2 + 2); /* reserved, duration, reserved, layer, group */
    writer_u16be(writer, is_video(track) ? 0 : 0x100);
    mp4_write_zeros(writer, 2);
    writer_bytes(writer, slice_of(is_video(track) ? track->matrix : identity, sizeof identity));
    writer_u32be(writer, track->width);
    writer_u32be(writer, track->height);
    mp4_end_box(writer, tkhd);
}

/* One edit, without an end: what comes before media_time is decoded, not shown. */
static void write_edits(struct writer *writer, int64_t media_time)
{
    if (media_time == 0)
        return;
    const size_t edts = mp4_begin_box(writer, "edts");
    const bool is_long = media_time > INT32_MAX;
    const size_t elst = mp4_begin_full_box(writer, "elst", is_long, 0);
    ASSERT(media_time > 0);
    writer_u32be(writer, 1);
    if (is_long) {
        writer_u64be(writer, 0);
        writer_u64be(writer, (uint64_t)media_time);
    } else {
        writer_u32be(writer, 0);
        writer_u32be(writer, (uint32_t)media_time);
    }
    writer_u32be(writer, 0x10000); /* at its own speed */
    mp4_end_box(writer, elst);
    mp4_end_box(writer, edts);
}

/* Three letters of five bits each (section 8.4.2.3). */
static uint16_t packed_language(const char *language)
{
    uint16_t packed = 0;
    for (unsigned index = 0; index < 3; index++) {
        if (language[index] < 'a' || language[index] > 'z')
            return packed_language("und");
        packed = (uint16_t)(packed << 5 | (language[index] - 0x60));
    }
    return packed;
}

static void write_mdhd_hdlr(struct writer *writer, const struct mp4_track *track)
{
    const size_t mdhd = mp4_begin_full_box(writer, "mdhd", 0, 0);
    mp4_write_zeros(writer, 8);
    writer_u32be(writer, track->timescale);
    writer_u32be(writer, 0);
    writer_u16be(writer, packed_language(track->language));
    writer_u16be(writer, 0);
    mp4_end_box(writer, mdhd);
    const size_t hdlr = mp4_begin_full_box(writer, "hdlr", 0, 0);
    writer_u32be(writer, 0);
    writer_u32be(writer, track->handler);
    mp4_write_zeros(writer, 12);
    writer_u8(writer, 0); /* an empty name */
    mp4_end_box(writer, hdlr);
}

static void write_empty_table(struct writer *writer, const char *type, size_t zeros)
{
    const size_t table = mp4_begin_full_box(writer, type, 0, 0);
    mp4_write_zeros(writer, zeros);
    mp4_end_box(writer, table);
}

static void write_minf(struct writer *writer, const struct mp4_track *track)
{
    const size_t minf = mp4_begin_box(writer, "minf");
    const size_t header = is_video(track) ? mp4_begin_full_box(writer, "vmhd", 0, 1)
                                          : mp4_begin_full_box(writer, "smhd", 0, 0);
    mp4_write_zeros(writer, is_video(track) ? 8 : 4);
    mp4_end_box(writer, header);
    const size_t dinf = mp4_begin_box(writer, "dinf");
    const size_t dref = mp4_begin_full_box(writer, "dref", 0, 0);
    writer_u32be(writer, 1);
    mp4_end_box(writer, mp4_begin_full_box(writer, "url ", 0, 1)); /* in this very file */
    mp4_end_box(writer, dref);
    mp4_end_box(writer, dinf);
    const size_t stbl = mp4_begin_box(writer, "stbl");
    write_stsd(writer, track);
    write_empty_table(writer, "stts", 4);
    write_empty_table(writer, "stsc", 4);
    write_empty_table(writer, "stsz", 8);
    write_empty_table(writer, "stco", 4);
    mp4_end_box(writer, stbl);
    mp4_end_box(writer, minf);
}

static void write_trak(struct writer *writer, const struct mp4_init_track *init)
{
    const size_t trak = mp4_begin_box(writer, "trak");
    write_tkhd(writer, init->track);
    write_edits(writer, init->media_time);
    const size_t mdia = mp4_begin_box(writer, "mdia");
    write_mdhd_hdlr(writer, init->track);
    write_minf(writer, init->track);
    mp4_end_box(writer, mdia);
    mp4_end_box(writer, trak);
}

void mp4_write_init(struct writer *writer, const struct mp4_init_track *tracks, unsigned count)
{
    const size_t ftyp = mp4_begin_box(writer, "ftyp");
    writer_bytes(writer, SLICE("iso6"));
    writer_u32be(writer, 1);
    writer_bytes(writer, SLICE("iso6mp41"));
    mp4_end_box(writer, ftyp);
    const size_t moov = mp4_begin_box(writer, "moov");
    write_mvhd(writer);
    for (unsigned index = 0; index < count; index++)
        write_trak(writer, &tracks[index]);
    const size_t mvex = mp4_begin_box(writer, "mvex");
    for (unsigned index = 0; index < count; index++) {
        const size_t trex = mp4_begin_full_box(writer, "trex", 0, 0);
        writer_u32be(writer, tracks[index].track->id);
        writer_u32be(writer, 1); /* the sample entry; fragments tell all else */
        mp4_write_zeros(writer, 12);
        mp4_end_box(writer, trex);
    }
    mp4_end_box(writer, mvex);
    mp4_end_box(writer, moov);
}

/* ---- Fragments ------------------------------------------------------------------------------- */

/* Section 8.8.3.1: what depends on what, and whether decoding can begin here. */
enum { FLAGS_SYNC = 0x02000000, FLAGS_OTHER = 0x01010000 };
/* Sections 8.8.7 and 8.8.8. */
enum {
    TFHD_DURATION = 0x8,
    TFHD_FLAGS = 0x20,
    TFHD_IS_EMPTY = 0x10000,
    TFHD_BASE_IS_MOOF = 0x20000,
    TRUN_DATA_OFFSET = 0x1,
    TRUN_FIRST_FLAGS = 0x4,
    TRUN_DURATION = 0x100,
    TRUN_SIZE = 0x200,
    TRUN_CTO = 0x800,
};
enum { MOOF_MFHD_SIZE = 8 + 16, TFDT_SIZE = 20, TRUN_HEAD_SIZE = 20, MDAT_HEAD_SIZE = 8 };

static bool begins_run(const struct mp4_fragment_track *track, uint32_t index)
{
    const struct mp4_fragment_sample *sample = &track->samples[index];
    return index == 0 || sample->position != sample[-1].position + sample[-1].size ||
           (!track->is_all_sync && sample->is_sync);
}

static struct mp4_fragment_shape shape_of(const struct mp4_fragment_track *track)
{
    struct mp4_fragment_shape shape = {0};
    for (uint32_t index = 0; index < track->count; index++) {
        const struct mp4_fragment_sample *sample = &track->samples[index];
        shape.has_durations |= sample->duration != track->samples[0].duration;
        shape.has_ctos |= sample->cto != 0;
        if (begins_run(track, index)) {
            shape.runs++;
            shape.sync_runs += !track->is_all_sync && sample->is_sync;
        }
    }
    return shape;
}

static size_t sample_size(const struct mp4_fragment_shape *shape)
{
    return 4 + (shape->has_durations ? 4 : 0) + (shape->has_ctos ? 4 : 0);
}

static size_t tfhd_size(const struct mp4_fragment_track *track)
{
    return 16 + (track->count > 0 ? 4 : 0) +
           (track->count > 0 && !track->shape.has_durations ? 4 : 0);
}

void mp4_fragment_measure(struct mp4_fragment *fragment)
{
    size_t size = MOOF_MFHD_SIZE + MDAT_HEAD_SIZE;
    for (unsigned index = 0; index < fragment->track_count; index++) {
        struct mp4_fragment_track *track = &fragment->tracks[index];
        track->shape = shape_of(track);
        size += 8 + tfhd_size(track) + TFDT_SIZE;
        size += track->shape.runs * (size_t)TRUN_HEAD_SIZE + track->shape.sync_runs * (size_t)4;
        size += track->count * sample_size(&track->shape);
    }
    fragment->head_size = size;
}

static void write_tfhd_tfdt(struct writer *writer, const struct mp4_fragment_track *track)
{
    const bool is_empty = track->count == 0;
    const bool has_default = !is_empty && !track->shape.has_durations;
    const uint32_t flags = TFHD_BASE_IS_MOOF | (uint32_t)(is_empty ? TFHD_IS_EMPTY : TFHD_FLAGS) |
                           (has_default ? TFHD_DURATION : 0);
    const size_t tfhd = mp4_begin_full_box(writer, "tfhd", 0, flags);
    writer_u32be(writer, track->id);
    if (has_default)
        writer_u32be(writer, track->samples[0].duration);
    if (!is_empty)
        writer_u32be(writer, track->is_all_sync ? FLAGS_SYNC : FLAGS_OTHER);
    mp4_end_box(writer, tfhd);
    const size_t tfdt = mp4_begin_full_box(writer, "tfdt", 1, 0);
    writer_u64be(writer, track->dts);
    mp4_end_box(writer, tfdt);
}

static void write_samples(struct writer *writer, const struct mp4_fragment_shape *shape,
                          const struct mp4_fragment_sample *samples, uint32_t count)
{
    const size_t each = sample_size(shape);
    unsigned char *at = writer_take(writer, count * each);
    for (uint32_t index = 0; at && index < count; index++) {
        const struct mp4_fragment_sample *sample = &samples[index];
        uint32_t fields[3];
        unsigned field = 0;
        if (shape->has_durations)
            fields[field++] = htobe32(sample->duration);
        fields[field++] = htobe32(sample->size);
        if (shape->has_ctos)
            fields[field++] = htobe32((uint32_t)sample->cto);
        memcpy(at, fields, each);
        at += each;
    }
}

/* Its runs; the body begins `body_at` bytes behind the moof's begin. */
static void write_runs(struct writer *writer, const struct mp4_fragment_track *track,
                       size_t body_at)
{
    const struct mp4_fragment_shape *shape = &track->shape;
    for (uint32_t first = 0, end; first < track->count; first = end) {
        for (end = first + 1; end < track->count && !begins_run(track, end);)
            end++;
        const struct mp4_fragment_sample *samples = &track->samples[first];
        const bool is_sync = !track->is_all_sync && samples->is_sync;
        const uint32_t flags = TRUN_DATA_OFFSET | TRUN_SIZE | (is_sync ? TRUN_FIRST_FLAGS : 0u) |
                               (shape->has_durations ? TRUN_DURATION : 0u) |
                               (shape->has_ctos ? TRUN_CTO : 0u);
        ASSERT(body_at + samples->position <= INT32_MAX);
        const size_t trun = mp4_begin_full_box(writer, "trun", 1, flags);
        writer_u32be(writer, end - first);
        writer_u32be(writer, (uint32_t)(body_at + samples->position));
        if (is_sync)
            writer_u32be(writer, FLAGS_SYNC);
        write_samples(writer, shape, samples, end - first);
        mp4_end_box(writer, trun);
    }
}

void mp4_write_fragment(struct writer *writer, const struct mp4_fragment *fragment)
{
    const size_t begin = writer->size;
    ASSERT(fragment->head_size > 0 && fragment->body_size <= INT32_MAX - fragment->head_size);
    const size_t moof = mp4_begin_box(writer, "moof");
    const size_t mfhd = mp4_begin_full_box(writer, "mfhd", 0, 0);
    writer_u32be(writer, fragment->sequence_number);
    mp4_end_box(writer, mfhd);
    for (unsigned index = 0; index < fragment->track_count; index++) {
        const struct mp4_fragment_track *track = &fragment->tracks[index];
        const size_t traf = mp4_begin_box(writer, "traf");
        write_tfhd_tfdt(writer, track);
        write_runs(writer, track, fragment->head_size);
        mp4_end_box(writer, traf);
    }
    mp4_end_box(writer, moof);
    writer_u32be(writer, (uint32_t)(fragment->body_size + MDAT_HEAD_SIZE));
    writer_bytes(writer, SLICE("mdat"));
    ASSERT(writer->failed || writer->size - begin == fragment->head_size);
}
