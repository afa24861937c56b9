/* SPDX-License-Identifier: MIT */
/*
 * Films. Whatever the bytes: what is told is consistent, its samples lie within the file, and there
 * are not more of them than the file has bytes; reading costs no more than the file's size allows;
 * a read that fails ends it with that error, behind a part of the same events; and tracks that are
 * not wanted change nothing for the others. Its cover, if it has one, lies within it, too.
 *
 * The first byte of the input says whether nothing comes behind it, or zeros in which samples may
 * lie: so that the index of a real film is a good seed without its media.
 */
#include <errno.h>
#include <stdint.h>

#include "fuzz.h"
#include "leat/error.h"
#include "wire/mp4.h"
#include "wire/mp4_cover.h"

enum { TAIL_SIZE = 512 * 1024, READ_SIZE_MAX = MP4_STSD_MAX };

struct told {
    const unsigned char *data;
    size_t size;
    uint64_t file_size;
    uint64_t wanted; /* a bit a track */
    unsigned read_count, fail_read;
    uint64_t read_bytes;
    unsigned track_count;
    struct {
        uint32_t id;
        unsigned entry_count;
        uint64_t sample_count, last_dts;
        uint64_t hash; /* of its samples */
    } tracks[MP4_TRACKS_MAX];
    uint64_t sample_count;
    struct mp4_movie movie;
    struct mp4_problem problem;
    int result;
};

static int read_bytes(void *user, uint64_t offset, void *data, size_t size)
{
    struct told *const told = user;
    ASSERT(size > 0 && size <= READ_SIZE_MAX);
    ASSERT(offset <= told->file_size && size <= told->file_size - offset);
    told->read_bytes += size;
    if (++told->read_count == told->fail_read)
        return -EIO;
    memset(data, 0, size);
    if (offset < told->size) {
        const size_t left = told->size - (size_t)offset;
        memcpy(data, told->data + offset, size < left ? size : left);
    }
    return 0;
}

static void check_codec(const struct mp4_codec *codec)
{
    const size_t size = strnlen(codec->text, sizeof(codec->text));
    ASSERT(size < sizeof(codec->text));
    for (size_t i = 0; i < size; i++)
        ASSERT(codec->text[i] > ' ' && codec->text[i] < 0x7f);
}

static void check_entries(const struct mp4_track *track)
{
    size_t at = 0;
    unsigned count = 0;
    while (at < track->stsd.size) {
        uint32_t size;
        ASSERT(track->stsd.size - at >= 16);
        memcpy(&size, track->stsd.data + at, sizeof(size));
        size = __builtin_bswap32(size);
        ASSERT(size >= 16 && size <= track->stsd.size - at);
        at += size;
        count++;
    }
    ASSERT(count == track->entry_count && count > 0);
}

static bool on_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct told *const told = user;
    ASSERT(index == told->track_count && index < MP4_TRACKS_MAX);
    ASSERT(track->id != 0 && track->handler != 0);
    for (unsigned i = 0; i < index; i++)
        ASSERT(told->tracks[i].id != track->id);
    ASSERT(track->timescale > 0 && track->timescale <= INT32_MAX);
    ASSERT(strlen(track->language) == 3 && track->edit_count <= MP4_EDITS_MAX);
    for (unsigned i = 0; i < track->edit_count; i++)
        ASSERT(track->edits[i].media_time >= -1);
    check_entries(track);
    check_codec(&track->codec);
    told->tracks[index].id = track->id;
    told->tracks[index].entry_count = track->entry_count;
    told->track_count++;
    return told->wanted >> index & 1;
}

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15;
    *hash ^= *hash >> 29;
}

static int on_sample(unsigned index, const struct mp4_sample *sample, void *user)
{
    struct told *const told = user;
    ASSERT(index < told->track_count && (told->wanted >> index & 1));
    ASSERT(sample->size <= told->file_size && sample->offset <= told->file_size - sample->size);
    ASSERT(sample->entry < told->tracks[index].entry_count);
    ASSERT(sample->dts >= told->tracks[index].last_dts && sample->dts <= INT64_MAX / 2);
    ASSERT(sample->duration <= INT32_MAX);
    ASSERT(sample->cto >= INT32_MIN && sample->cto <= INT32_MAX);
    told->tracks[index].last_dts = sample->dts;
    told->tracks[index].sample_count++;
    uint64_t *const hash = &told->tracks[index].hash;
    mix(hash, sample->offset);
    mix(hash, sample->dts);
    mix(hash, (uint64_t)sample->cto);
    mix(hash, (uint64_t)sample->size << 32 | sample->duration);
    mix(hash, (uint64_t)sample->entry << 1 | sample->is_sync);
    ASSERT(++told->sample_count <= told->file_size);
    return 0;
}

static void check_problem(const struct told *told)
{
    const size_t size = strnlen(told->problem.reason, MP4_REASON_SIZE);
    const bool is_damage = told->result == -LEAT_E_MALFORMED || told->result == -LEAT_E_LIMIT;
    ASSERT(size < MP4_REASON_SIZE && is_damage == (size > 0));
    for (size_t i = 0; i < size; i++)
        ASSERT(told->problem.reason[i] >= ' ' && told->problem.reason[i] < 0x7f);
}

/* Reads it all, with the read `fail_read` failing; 0: none. */
static void tell(struct told *told, const struct told *like, uint64_t wanted, unsigned fail_read)
{
    *told = (struct told){.data = like->data,
                          .size = like->size,
                          .file_size = like->file_size,
                          .wanted = wanted,
                          .fail_read = fail_read};
    const struct mp4_source source = {.read = read_bytes, .user = told, .size = told->file_size};
    const struct mp4_events events = {.on_track = on_track, .on_sample = on_sample, .user = told};
    told->result = mp4_read(&source, &events, &told->movie, &told->problem);
    ASSERT(told->result <= 0);
    check_problem(told);
    /* A box has 8 bytes, a run 16, and each asks for little more than itself, a few times. */
    ASSERT(told->read_count <= 1000 + told->file_size);
}

static void check_failing_reads(const struct told *whole)
{
    static struct told part;
    for (unsigned i = 1; i <= whole->read_count; i += whole->read_count / 8 + 1) {
        tell(&part, whole, whole->wanted, i);
        ASSERT(part.result == -EIO && part.read_count == i);
        ASSERT(part.track_count <= whole->track_count);
        ASSERT(part.sample_count <= whole->sample_count);
        for (unsigned k = 0; k < part.track_count; k++)
            if (part.tracks[k].sample_count == whole->tracks[k].sample_count)
                ASSERT(part.tracks[k].hash == whole->tracks[k].hash);
    }
}

static void check_unwanted_tracks(const struct told *whole)
{
    static struct told part;
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t wanted = i == 0 ? 0x5555555555555555 : 0xaaaaaaaaaaaaaaaa;
        tell(&part, whole, wanted, 0);
        ASSERT(whole->result != 0 || part.result == 0);
        if (whole->result != 0)
            continue;
        ASSERT(part.track_count == whole->track_count);
        for (unsigned k = 0; k < part.track_count; k++) {
            if (wanted >> k & 1)
                ASSERT(part.tracks[k].hash == whole->tracks[k].hash);
            else
                ASSERT(part.tracks[k].sample_count == 0);
        }
    }
}

/* The cover lies within the file, begins as it is said to, and is looked for within bounds. */
static void check_cover(const struct told *like)
{
    struct told told = *like;
    const struct mp4_source source = {.read = read_bytes, .user = &told, .size = told.file_size};
    struct mp4_cover cover;
    const int error = mp4_cover_find(&source, &cover);
    ASSERT(error == 0 || error == -ENOENT);
    ASSERT(told.read_count <= 2 * MP4_COVER_BOXES_MAX);
    if (error)
        return;
    unsigned char first;
    ASSERT(cover.size > 0 && cover.size <= MP4_COVER_SIZE_MAX);
    ASSERT(cover.offset <= told.file_size && cover.size <= told.file_size - cover.offset);
    ASSERT(read_bytes(&told, cover.offset, &first, 1) == 0);
    ASSERT(first == (strcmp(cover.media_type, "image/png") == 0 ? 0x89 : 0xff));
    const unsigned reads = told.read_count - 1;
    for (told.fail_read = 1; told.fail_read <= reads; told.fail_read++) {
        told.read_count = 0;
        ASSERT(mp4_cover_find(&source, &cover) == -EIO);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    static struct told whole;
    const uint64_t tail = data[0] & 1 ? TAIL_SIZE : 0;
    const struct told like = {.data = data + 1, .size = size - 1, .file_size = size - 1 + tail};
    tell(&whole, &like, UINT64_MAX, 0);
    if (whole.result == 0) {
        ASSERT(whole.movie.track_count == whole.track_count && whole.movie.timescale > 0);
        ASSERT(whole.movie.moov_size <= like.file_size && whole.movie.mdat_size <= like.file_size);
    }
    check_failing_reads(&whole);
    check_unwanted_tracks(&whole);
    check_cover(&like);
    return 0;
}
