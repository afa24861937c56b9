/* SPDX-License-Identifier: MIT */
/*
 * Transport streams. Whatever the bytes: tracks come before their samples, samples are what an MP4
 * can hold, an error has its reason and lasts, an event's error ends the reading; and all that is
 * told is the same however the bytes are cut.
 *
 * The first byte says where a segment ends (after so many packets; 0: nowhere), and by its highest
 * bit whether the checksums of tables are put right first: what is behind them would otherwise
 * never be reached.
 */
#include <errno.h>
#include <stdio.h>

#include "fuzz.h"
#include "leat/error.h"
#include "wire/mpegts.h"

enum { SIZE_MAX_FUZZED = 64 * 1024, CUTS_MAX = 12 };

struct told {
    bool is_video[MP4_TRACKS_MAX];
    uint32_t timescales[MP4_TRACKS_MAX];
    unsigned track_count, event_count, fail_event;
    uint64_t hash;
    size_t bytes;
    int result;
    char reason[MEDIA_REASON_SIZE];
};

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15;
    *hash ^= *hash >> 29;
}

static void mix_bytes(uint64_t *hash, struct leat_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        mix(hash, (unsigned char)bytes.data[i]);
}

static int count_event(struct told *told)
{
    ASSERT(told->fail_event == 0 || told->event_count < told->fail_event);
    return ++told->event_count == told->fail_event ? -ECANCELED : 0;
}

static int on_track(unsigned index, const struct mp4_track *track, void *user)
{
    struct told *const told = user;
    ASSERT(index <= told->track_count && index < MP4_TRACKS_MAX && track->id == index + 1);
    const bool is_video = track->handler == MP4_FOURCC('v', 'i', 'd', 'e');
    ASSERT(is_video || track->handler == MP4_FOURCC('s', 'o', 'u', 'n'));
    ASSERT(index == told->track_count || told->is_video[index] == is_video);
    ASSERT(is_video ? track->timescale == 90000 : track->timescale == track->codec.sample_rate);
    ASSERT(track->entry_count == 1 && track->stsd.size > 16 && track->stsd.size <= MP4_STSD_MAX);
    ASSERT(strlen(track->language) == 3 && track->edit_count == 0 && track->codec.text[0] != '\0');
    ASSERT(!is_video || (track->codec.width > 0 && track->codec.height > 0));
    told->is_video[index] = is_video;
    told->timescales[index] = track->timescale;
    told->track_count += index == told->track_count;
    mix(&told->hash, index);
    mix_bytes(&told->hash, track->stsd);
    mix_bytes(&told->hash, slice_of(track->language, 3));
    return count_event(told);
}

/* NAL units behind their lengths, and nothing else. */
static void check_units(struct leat_slice data)
{
    while (data.size > 0) {
        uint32_t size;
        ASSERT(data.size > 4);
        memcpy(&size, data.data, sizeof(size));
        size = __builtin_bswap32(size);
        ASSERT(size > 0 && size <= data.size - 4);
        ASSERT(data.data[4 + size - 1] != 0);
        data = slice_after(data, 4 + (size_t)size);
    }
}

static int on_sample(unsigned index, const struct media_sample *sample, void *user)
{
    struct told *const told = user;
    ASSERT(index < told->track_count && sample->data.size > 0);
    ASSERT(sample->data.size <= MEDIA_SAMPLE_MAX);
    if (told->is_video[index]) {
        ASSERT(sample->duration == 0);
        check_units(sample->data);
    } else {
        ASSERT(sample->duration == 1024 && sample->cto == 0 && sample->is_sync);
    }
    told->bytes += sample->data.size;
    mix(&told->hash, index);
    mix(&told->hash, (uint64_t)sample->dts);
    mix(&told->hash, (uint64_t)sample->cto << 1 | sample->is_sync);
    mix_bytes(&told->hash, sample->data);
    return count_event(told);
}

/* Reads it all in pieces of at most `piece` bytes, the first one of at most `first`; after `flush`
 * bytes a segment ends. The event `fail_event` fails; 0: none. */
static void tell(struct told *told, struct leat_slice bytes, size_t first, size_t piece,
                 size_t flush, unsigned fail_event)
{
    struct mpegts *ts;
    *told = (struct told){.fail_event = fail_event};
    const struct media_events events = {.on_track = on_track, .on_sample = on_sample, .user = told};
    ASSERT(mpegts_create(&events, &ts) == 0);
    size_t at = 0, limit = first;
    while (at < bytes.size && told->result == 0) {
        size_t size = bytes.size - at < limit ? bytes.size - at : limit;
        if (at < flush && size > flush - at)
            size = flush - at;
        char *const copy = fuzz_copy(bytes.data + at, size);
        told->result = mpegts_feed(ts, slice_of(copy, size));
        free(copy);
        at += size;
        limit = piece;
        if (at == flush && told->result == 0)
            told->result = mpegts_flush(ts);
    }
    if (told->result == 0)
        told->result = mpegts_flush(ts);
    snprintf(told->reason, sizeof(told->reason), "%s", mpegts_reason(ts));
    const unsigned count = told->event_count;
    ASSERT(mpegts_feed(ts, SLICE("G")) == told->result && mpegts_flush(ts) == told->result);
    ASSERT(count == told->event_count);
    mpegts_destroy(ts);
}

static void check_result(const struct told *told, size_t size)
{
    const bool has_reason = told->result == -LEAT_E_MALFORMED || told->result == -LEAT_E_LIMIT ||
                            told->result == -EOPNOTSUPP;
    ASSERT(told->result == 0 || has_reason);
    ASSERT(has_reason == (told->reason[0] != '\0'));
    /* Start codes of three bytes become lengths of four: no more than a third is added. */
    ASSERT(told->bytes <= size + size / 3);
}

static void repair_tables(char *bytes, size_t size)
{
    for (size_t at = 0; at + MPEGTS_PACKET_SIZE <= size; at += MPEGTS_PACKET_SIZE) {
        unsigned char *const packet = (unsigned char *)bytes + at;
        const unsigned adaptation = packet[3] & 0x20 ? packet[4] + 1u : 0;
        if (!(packet[1] & 0x40) || adaptation > 170)
            continue;
        unsigned char *const section = packet + 4 + adaptation + 1 + packet[4 + adaptation];
        if (section + 12 > packet + MPEGTS_PACKET_SIZE || section[0] > 2)
            continue;
        const size_t length = 3u + ((section[1] & 15u) << 8) + section[2];
        if (length < 12 || length > (size_t)(packet + MPEGTS_PACKET_SIZE - section))
            continue;
        uint32_t crc = UINT32_MAX;
        for (size_t bit = 0; bit < (length - 4) * 8; bit++)
            crc = crc << 1 ^
                  ((crc >> 31 ^ (section[bit / 8] >> (7 - bit % 8) & 1u)) ? 0x04c11db7 : 0);
        for (unsigned i = 0; i < 4; i++)
            section[length - 4 + i] = (unsigned char)(crc >> (24 - 8 * i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > SIZE_MAX_FUZZED)
        return 0;
    static struct told whole, cut;
    const size_t flush = (size_t)(data[0] & 127) * MPEGTS_PACKET_SIZE, left = size - 1;
    char *const bytes = fuzz_copy(data + 1, left);
    if (data[0] & 128)
        repair_tables(bytes, left);
    const struct leat_slice stream = slice_of(bytes, left);
    tell(&whole, stream, SIZE_MAX, SIZE_MAX, flush, 0);
    check_result(&whole, left);

    static const size_t pieces[] = {1, 187, 189, 1000};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]) + CUTS_MAX; i++) {
        const bool is_piece = i < sizeof(pieces) / sizeof(pieces[0]);
        const size_t first = is_piece ? pieces[i] : (i - 3) * (left / CUTS_MAX + 1);
        tell(&cut, stream, first, is_piece ? pieces[i] : SIZE_MAX, flush, 0);
        ASSERT(cut.result == whole.result && cut.hash == whole.hash);
        ASSERT(cut.event_count == whole.event_count && strcmp(cut.reason, whole.reason) == 0);
    }
    for (unsigned i = 1; i <= whole.event_count; i += whole.event_count / 4 + 1) {
        tell(&cut, stream, SIZE_MAX, SIZE_MAX, flush, i);
        ASSERT(cut.result == -ECANCELED && cut.event_count == i && cut.reason[0] == '\0');
    }
    free(bytes);
    return 0;
}
