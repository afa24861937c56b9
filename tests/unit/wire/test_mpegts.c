/* SPDX-License-Identifier: MIT */
/*
 * Transport streams made here packet by packet: what muxers do seldom, and each thing that can be
 * wrong. Those of real muxers are test_mpegts_ffmpeg.c's.
 */
#include "test_mpegts_stream.h"

/* ---- Access units ---------------------------------------------------------------------------- */

#define START "\0\0\0\1"
#define SPS                                                                                        \
    START "\x67\x42\xc0\x28\xda\x01\xe0\x08\x9f\x97\x01\x10\0\0\3\0\x10\0\0\3\1\x40\xf1\x83\x2a"
#define PPS START "\x68\xce\x0f\x19\x20"
#define OTHER_PPS START "\x68\xce\x0f\x19\x60"  /* of the same number */
#define SECOND_PPS START "\x68\x60\x0f\x19\x20" /* of another */
#define DELIMITER START "\x09\xf0"
#define IDR "\0\0\1\x65\x88\x84\x21"
#define PICTURE "\0\0\1\x41\x9a\x21\x31"
#define RECOVERY "\0\0\1\x06\x06\x01\xc4\x80"
#define FILLER "\0\0\1\x0c\xff\xff\x80"
#define SEQUENCE_END "\0\0\1\x0a"
#define KEY DELIMITER SPS PPS IDR

static const struct listed both[] = {{TYPE_AVC, VIDEO}, {TYPE_AAC, AUDIO}, {0}};
static const struct listed video_alone[] = {{TYPE_AVC, VIDEO}, {0}};
static const struct listed audio_alone[] = {{TYPE_AAC, AUDIO}, {0}};

/* How a track is told of. */
#define AVC_TRACK "T0:avc1.42c028:90000:und"
#define AAC_TRACK "T0:mp4a.40.2:48000:und"

static void begin(const struct listed *streams)
{
    made.size = 0;
    memset(made.counters, 0, sizeof(made.counters));
    put_pat(PMT);
    put_pmt(0, streams);
}

static void put_video_at(uint64_t pts, uint64_t dts, struct leat_slice body)
{
    put_pes(
        &(struct pes){.pid = VIDEO, .pts = pts, .dts = dts, .body = body.data, .size = body.size});
}

#define put_video(time, literal) put_video_at(time, 0, SLICE(literal))

/* An ADTS frame of LC stereo, with `size` bytes behind the header. */
static size_t frame(unsigned char *at, unsigned rate_index, size_t size)
{
    const size_t whole = size + 7;
    const unsigned char header[] = {0xff,
                                    0xf1,
                                    (unsigned char)(0x40 | rate_index << 2),
                                    (unsigned char)(0x80 | whole >> 11),
                                    (unsigned char)(whole >> 3 & 255),
                                    (unsigned char)((whole & 7) << 5 | 0x1f),
                                    0xfc};
    memcpy(at, header, sizeof(header));
    memset(at + sizeof(header), 0x21, size);
    return whole;
}

/* A PES packet of frames of 10, 11, 12, … bytes at 48 kHz. */
static void put_audio(uint64_t pts, unsigned count)
{
    unsigned char body[512];
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += frame(body + size, 3, 10 + i);
    put_pes(
        &(struct pes){.pid = AUDIO, .pts = pts, .is_bounded = true, .body = body, .size = size});
}

/* ---- Video ----------------------------------------------------------------------------------- */

static void parameter_sets_leave_the_samples(void **state)
{
    begin(video_alone);
    put_video(90000, KEY FILLER);
    put_video(93600, DELIMITER PICTURE PICTURE SEQUENCE_END);
    put_video(97200, KEY);
    expect_told(AVC_TRACK " 0@90000k:65 0@93600:41,41 0@97200k:65");
}

static void what_a_track_says(void **state)
{
    begin(video_alone);
    put_video(90000, KEY);
    struct told *const told = open_told(0, 0);
    feed_made(told, STREAM_ROOM);
    assert_int_equal(mpegts_flush(told->ts), 0);
    assert_int_equal(told->last.width, 1920 << 16);
    assert_int_equal(told->last.height, 1080 << 16);
    assert_int_equal(told->last.handler, MP4_FOURCC('v', 'i', 'd', 'e'));
    assert_true(told->last.is_enabled);
    close_told(told);
}

static void places_to_begin_at(void **state)
{
    begin(video_alone);
    put_video(0, KEY);
    put_video(1, DELIMITER RECOVERY PICTURE);
    put_video(2, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@0k:65 0@1k:06,41 0@2:41");
}

static void without_parameter_sets_there_is_nothing(void **state)
{
    begin(video_alone);
    put_video(0, DELIMITER PICTURE);
    put_video(1, DELIMITER IDR);
    put_video(2, DELIMITER PPS IDR);
    put_video(3, KEY);
    put_video(4, DELIMITER);
    put_video(5, DELIMITER SPS PPS RECOVERY);
    expect_told(AVC_TRACK " 0@3k:65");
}

static void new_parameter_sets_are_a_new_description(void **state)
{
    begin(video_alone);
    put_video(0, KEY);
    put_video(1, DELIMITER PICTURE);
    put_video(2, DELIMITER SPS OTHER_PPS IDR);
    put_video(3, DELIMITER SPS OTHER_PPS SECOND_PPS IDR);
    expect_told(AVC_TRACK " 0@0k:65 0@1:41 " AVC_TRACK " 0@2k:65 0@3k:68,65");
}

static void times_of_pictures_shown_later(void **state)
{
    begin(video_alone);
    put_video_at(97200, 90000, SLICE(KEY));
    put_video_at(108000, 93600, SLICE(PICTURE));
    put_video_at(97200, 97200, SLICE(PICTURE));
    put_video_at(97000, 97200, SLICE(PICTURE));
    expect_told(AVC_TRACK " 0@90000+7200k:65 0@93600+14400:41 0@97200:41 0@97200-200:41");
}

static void several_in_a_pes_packet(void **state)
{
    begin(video_alone);
    put_video(9000, KEY DELIMITER PICTURE DELIMITER PICTURE);
    put_video(9000 + 3 * 3600, DELIMITER PICTURE DELIMITER PICTURE);
    put_video(9000 + 5 * 3600, DELIMITER PICTURE DELIMITER PICTURE);
    put_video(900000, DELIMITER PICTURE DELIMITER PICTURE); /* time has jumped */
    expect_told(AVC_TRACK " 0@9000k:65 0@9750:41 0@10500:41 0@19800:41 0@23400:41 0@27000:41 "
                          "0@30600:41 0@900000:41 0@900750:41");
}

static void without_a_time_it_goes_on(void **state)
{
    begin(video_alone);
    put_video(NO_TIME, KEY);
    put_video(9000, KEY);
    put_video(NO_TIME, PICTURE);
    put_video(NO_TIME, DELIMITER PICTURE);
    put_video(12600, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@9000k:65,41 0@9750:41 0@12600:41");
}

static void bounded_and_not(void **state)
{
    begin(video_alone);
    for (unsigned i = 0; i < 4; i++) {
        struct pes pes = {.pid = VIDEO, .pts = i, .is_bounded = i % 2, .body = KEY};
        pes.size = sizeof(KEY) - 1;
        put_pes(&pes);
    }
    /* behind its end there is nothing of it */
    put_packet(VIDEO, (struct packet_options){.begins = false}, PICTURE, sizeof(PICTURE) - 1);
    expect_told(AVC_TRACK " 0@0k:65 0@1k:65 0@2k:65 0@3k:65");
}

static void a_bounded_one_that_ends_too_early(void **state)
{
    unsigned char bytes[256];
    begin(video_alone);
    put_video(1, KEY);
    const struct pes pes = {
        .pid = VIDEO, .pts = 2, .is_bounded = true, .body = KEY, .size = sizeof(KEY) - 1};
    put_payload(VIDEO, bytes, pes_of(&pes, bytes) - 1, 184);
    put_video(3, DELIMITER PICTURE);
    const size_t size = pes_of(&pes, bytes);
    put_payload(VIDEO, bytes, size - 1, 184);
    expect_told(AVC_TRACK " 0@1k:65 0@3:41");
}

static void heads_over_several_packets(void **state)
{
    begin(video_alone);
    for (size_t piece = 1; piece <= 40; piece++) {
        struct pes pes = {.pid = VIDEO, .pts = 2 * piece, .dts = piece, .piece = piece};
        pes.body = KEY;
        pes.size = sizeof(KEY) - 1;
        pes.extra = piece == 7 ? 245 : 3;
        if (piece > 3 && piece != 7 && piece != 11)
            continue;
        put_pes(&pes);
    }
    expect_told(AVC_TRACK " 0@1+1k:65 0@2+2k:65 0@3+3k:65 0@7+7k:65 0@11+11k:65");
}

#define HEVC_VPS START "\x40\1\x0c\1\xff\xff\4\x08\0\0\3\0\x9e\x08\0\0\3\0\0\x1e\x95\x94\x09"
#define HEVC_SPS                                                                                   \
    START "\x42\1\1\4\x08\0\0\3\0\x9e\x08\0\0\3\0\0\x1e\x90\4\x10\x62\xcb\x2b\x2a\x52\x61\x78"     \
          "\x0b\x70\x20\x20\0\x40\0\0\3\0\x40\0\0\3\2\x82"
#define HEVC_PPS START "\x44\1\xc0\x73\x18\x30\x08\x90"
#define HEVC_DELIMITER START "\x46\1\x50"
#define HEVC_CRA "\0\0\1\x2a\1\xaf\x13"
#define HEVC_PICTURE "\0\0\1\2\1\xd0\x23"
#define HEVC_SEI "\0\0\1\x4e\1\5\1\x80"
#define HEVC_TRACK "T0:hvc1.4.10.L30.9E.8:90000:und"

static void hevc(void **state)
{
    begin((struct listed[]){{TYPE_HEVC, VIDEO}, {0}});
    put_video(0, HEVC_DELIMITER HEVC_SPS HEVC_PPS HEVC_CRA); /* a set is missing */
    put_video(1, HEVC_DELIMITER HEVC_VPS HEVC_SPS HEVC_PPS HEVC_SEI HEVC_CRA);
    put_video(2, HEVC_DELIMITER HEVC_PICTURE HEVC_PICTURE HEVC_DELIMITER HEVC_PICTURE);
    expect_told(HEVC_TRACK " 0@1k:4e,2a 0@2:02,02 0@3:02");
}

static void times_go_round_their_clock(void **state)
{
    const uint64_t last = (UINT64_C(1) << 33) - 1;
    begin(both);
    put_video_at(last - 10, last - 20, SLICE(KEY));
    put_video_at(5, last - 5, SLICE(PICTURE));
    put_audio(2, 1); /* on the same line */
    put_video_at(10, 3, SLICE(PICTURE));
    put_video_at(last - 1, 8, SLICE(PICTURE));
    put_video_at(last - 3, last - 4, SLICE(PICTURE)); /* and back */
    expect_told(AVC_TRACK " 0@8589934571+10k:65 T1:mp4a.40.2:48000:und 1@4581298450:10 "
                          "0@8589934586+11:41 0@8589934595+7:41 0@8589934600-10:41 "
                          "0@8589934587+1:41");
}

static void times_that_jump_are_told(void **state)
{
    begin(video_alone);
    put_video(900000, KEY);
    put_video(100, DELIMITER PICTURE);
    put_video(90000000, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@900000k:65 0@100:41 0@90000000:41");
}

/* ---- Audio ----------------------------------------------------------------------------------- */

static void frames_are_counted(void **state)
{
    begin(audio_alone);
    put_audio(90000, 3);
    /* 3 frames are 5,760 ticks; muxers that round to milliseconds, or jitter, say otherwise. */
    put_audio(90000 + 5760 + 90, 1);
    put_audio(90000 + 4 * 1920 - 449, 1);
    put_audio(NO_TIME, 1);
    put_audio(90000 + 6 * 1920 + 449, 1);
    expect_told(AAC_TRACK " 0@48000:10 0@49024:11 0@50048:12 0@51072:10 0@52096:10 0@53120:10 "
                          "0@54144:10");
}

static void beyond_jitter_the_packet_is_right(void **state)
{
    begin(audio_alone);
    put_audio(90000, 1);
    put_audio(90000 + 1920 + 460, 1); /* 5.1 ms */
    put_audio(90000, 1);
    expect_told(AAC_TRACK " 0@48000:10 0@49269:10 0@48000:10");
}

static void frames_across_pes_packets(void **state)
{
    unsigned char body[512];
    size_t size = 0;
    begin(audio_alone);
    for (unsigned i = 0; i < 4; i++)
        size += frame(body + size, 3, 50 + i);
    /* cut in the second frame, the third one's header, and the fourth; times of what begins */
    struct pes pes = {.pid = AUDIO, .pts = 90000, .body = body, .size = 80, .is_bounded = true};
    put_pes(&pes);
    pes = (struct pes){.pid = AUDIO, .pts = 90000 + 2 * 1920, .body = body + 80, .size = 40};
    put_pes(&pes);
    pes = (struct pes){.pid = AUDIO, .pts = 90000 + 3 * 1920, .body = body + 120, .size = 60};
    put_pes(&pes);
    pes = (struct pes){.pid = AUDIO, .pts = NO_TIME, .body = body + 180, .size = size - 180};
    put_pes(&pes);
    expect_told(AAC_TRACK " 0@48000:50 0@49024:51 0@50048:52 0@51072:53");
}

static void sound_that_begins_in_a_frame(void **state)
{
    unsigned char body[512];
    size_t size = 0;
    begin(audio_alone);
    for (unsigned i = 0; i < 3; i++)
        size += frame(body + size, 3, 50 + i);
    memcpy(body + 20, "\xff\xf1\x4c\x80\x02\x3f\xfc", 7); /* looks like a header, and is none */
    put_pes(&(struct pes){.pid = AUDIO, .pts = 90000, .body = body + 10, .size = size - 10});
    put_audio(90000 + 2 * 1920, 1);
    expect_told(AAC_TRACK " 0@48000:51 0@49024:52 0@50048:10");
}

static void garbage_between_frames(void **state)
{
    unsigned char body[512];
    size_t size = 0;
    begin(audio_alone);
    size += frame(body + size, 3, 50);
    memset(body + size, 0xff, 30);
    size += 30;
    size += frame(body + size, 3, 51);
    size += frame(body + size, 3, 52);
    put_pes(&(struct pes){.pid = AUDIO, .pts = 90000, .body = body, .size = size});
    put_audio(90000 + 3 * 1920, 1);
    expect_told(AAC_TRACK " 0@48000:50 0@49024:51 0@50048:52 0@51072:10");
}

static void another_sample_rate(void **state)
{
    unsigned char body[512];
    begin(audio_alone);
    put_audio(90000, 1);
    size_t size = frame(body, 4, 30);
    size += frame(body + size, 4, 31);
    put_pes(&(struct pes){.pid = AUDIO, .pts = 180000, .body = body, .size = size});
    expect_told(AAC_TRACK " 0@48000:10 T0:mp4a.40.2:44100:und 0@88200:30 0@89224:31");
}

static void aac_that_is_not_ours(void **state)
{
    static const struct {
        unsigned at;
        unsigned char byte;
        const char *reason;
    } rows[] = {
        {3, 0x00, "its AAC describes its channels by a program config element"},
        {6, 0xfd, "its AAC has 2 blocks in an ADTS frame"},
        {2, 0x0c, "its AAC is of a profile that cannot be passed on"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char body[64];
        const size_t size = frame(body, 3, 30);
        body[rows[i].at] = rows[i].byte;
        begin(audio_alone);
        put_pes(&(struct pes){.pid = AUDIO, .pts = 1, .body = body, .size = size});
        expect_failure(-EOPNOTSUPP, rows[i].reason);
    }
}

/* ---- Packets --------------------------------------------------------------------------------- */

static void packets_of_no_interest(void **state)
{
    begin(video_alone);
    put_packet(0x1fff, (struct packet_options){.begins = true}, "\xff\xff", 2);
    put_video(1, KEY);
    put_packet(0x1fff, (struct packet_options){.is_scrambled = true}, "\xff\xff", 2);
    put_packet(0x999, (struct packet_options){.begins = true}, KEY, 20);
    put_packet(VIDEO, (struct packet_options){.begins = false}, NULL, 0); /* only adaptation */
    put_packet(VIDEO, (struct packet_options){.begins = false}, PICTURE, sizeof(PICTURE) - 1);
    expect_told(AVC_TRACK " 0@1k:65,41");
}

/* The last packet once more. */
static void put_again(void)
{
    memcpy(made.data + made.size, made.data + made.size - MPEGTS_PACKET_SIZE, MPEGTS_PACKET_SIZE);
    made.size += MPEGTS_PACKET_SIZE;
}

static void packets_sent_twice(void **state)
{
    begin(video_alone);
    put_again(); /* the PMT */
    put_video(1, KEY);
    put_again();
    put_video(2, DELIMITER PICTURE);
    put_again();
    put_video(3, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@1k:65 0@2:41 0@3:41");
    put_again();
    put_again(); /* three times: sixteen packets are missing in between */
    put_video(4, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@1k:65 0@2:41 0@3:41 0@4:41");
}

static void lose_packets(unsigned pid, unsigned count)
{
    made.counters[pid] = (uint8_t)((made.counters[pid] + count) & 15);
}

static void lost_packets_take_what_they_were_in(void **state)
{
    begin(both);
    put_video(1, KEY);
    put_audio(90000, 2);
    put_video(2, DELIMITER PICTURE); /* its end may be what is missing */
    lose_packets(VIDEO, 1);
    put_video(3, DELIMITER PICTURE);
    lose_packets(VIDEO, 14); /* one more, and it would look like a repetition */
    put_packet(VIDEO, (struct packet_options){.begins = false}, PICTURE, sizeof(PICTURE) - 1);
    put_audio(90000 + 2 * 1920, 1);
    put_video(4, DELIMITER PICTURE);
    lose_packets(AUDIO, 1);
    put_audio(90000 + 7 * 1920, 1);
    expect_told("T0:mp4a.40.2:48000:und 0@48000:10 0@49024:11 T1:avc1.42c028:90000:und 1@1k:65 "
                "0@50048:10 0@55168:10 1@4:41");
}

static void a_bounded_picture_is_whole_before_a_loss(void **state)
{
    begin(video_alone);
    put_pes(&(struct pes){
        .pid = VIDEO, .pts = 1, .is_bounded = true, .body = KEY, .size = sizeof(KEY) - 1});
    lose_packets(VIDEO, 3);
    put_video(NO_TIME, PICTURE); /* of what was lost */
    put_video(2, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@1k:65 0@2:41");
}

static void a_new_time_base_is_no_loss(void **state)
{
    begin(video_alone);
    put_video(900000, KEY);
    unsigned char bytes[64];
    lose_packets(VIDEO, 5);
    const struct pes pes = {.pid = VIDEO, .pts = 100, .body = PICTURE, .size = 7};
    const size_t size = pes_of(&pes, bytes);
    put_packet(VIDEO, (struct packet_options){.begins = true, .is_discontinuous = true}, bytes,
               size);
    lose_packets(VIDEO, 5); /* told of by a packet without payload */
    put_packet(VIDEO, (struct packet_options){.is_discontinuous = true}, NULL, 0);
    put_video(200, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@900000k:65 0@100:41 0@200:41");
}

static void damaged_packets_are_lost(void **state)
{
    begin(video_alone);
    put_video(1, KEY);
    put_video(2, DELIMITER PICTURE);
    put_packet(VIDEO, (struct packet_options){.is_damaged = true}, PICTURE, 7);
    put_video(3, DELIMITER PICTURE);
    put_video(4, DELIMITER PICTURE);
    made.data[made.size - MPEGTS_PACKET_SIZE + 4] = 184; /* adaptation behind the packet's end */
    put_video(5, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@1k:65 0@5:41");
}

static void heads_that_are_none(void **state)
{
    static const struct {
        unsigned at;
        unsigned char byte;
    } rows[] = {
        {2, 0},            /* no start code */
        {3, 0xbc},         /* a program stream's map */
        {3, 0xf0},         /* ECM */
        {6, 0x40},         /* MPEG-1 */
        {7, 0x40},         /* DTS alone */
        {8, 0},            /* no room for PTS */
        {9, 0x20},         /* a marker is missing */
        {13, 0},   {5, 2}, /* shorter than its head */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char bytes[64];
        const struct pes pes = {.pid = VIDEO, .pts = 2, .body = PICTURE, .size = 7};
        const size_t size = pes_of(&pes, bytes);
        bytes[rows[i].at] = rows[i].byte;
        begin(video_alone);
        put_video(1, KEY);
        put_payload(VIDEO, bytes, size, 184);
        put_video(NO_TIME, PICTURE);
        put_video(3, DELIMITER PICTURE);
        expect_told(AVC_TRACK " 0@1k:65 0@3:41");
    }
}

static void padding_is_passed_over(void **state)
{
    unsigned char bytes[64];
    const struct pes pes = {.pid = VIDEO, .pts = 2, .body = PICTURE, .size = 7};
    const size_t size = pes_of(&pes, bytes);
    begin(video_alone);
    put_video(1, KEY);
    bytes[3] = 0xbe;
    put_payload(VIDEO, bytes, size, 184);
    put_video(NO_TIME, PICTURE);
    expect_told(AVC_TRACK " 0@1k:65,41");
}

static void what_cannot_be_read(void **state)
{
    begin(video_alone);
    put_packet(VIDEO, (struct packet_options){.is_scrambled = true}, KEY, 20);
    expect_failure(-EOPNOTSUPP, "its stream 256 is scrambled");

    begin(video_alone);
    put_pes(&(struct pes){
        .pid = VIDEO, .pts = 1, .is_scrambled = true, .body = KEY, .size = sizeof(KEY) - 1});
    expect_failure(-EOPNOTSUPP, "its stream 256 is scrambled");

    begin(video_alone);
    made.data[MPEGTS_PACKET_SIZE] = 0x3c;
    expect_failure(-LEAT_E_MALFORMED, "byte 188 is 0x3c where a packet must begin (0x47)");

    begin(video_alone);
    put_video(1, DELIMITER START "\x67\x42\xc0" PPS IDR);
    expect_failure(-LEAT_E_MALFORMED, "its parameter sets cannot be read");

    unsigned char large[4100] = "\0\0\1\x67";
    memset(large + 4, 0x55, sizeof(large) - 4);
    begin(video_alone);
    unsigned char bytes[5000];
    const struct pes pes = {.pid = VIDEO, .pts = 1, .body = large, .size = sizeof(large)};
    put_payload(VIDEO, bytes, pes_of(&pes, bytes), 184);
    expect_failure(-LEAT_E_LIMIT, "a parameter set of 4097 bytes is more than 4096");
}

static void pictures_without_end(void **state)
{
    begin(video_alone);
    put_video(1, KEY);
    struct told *const told = open_told(0, 0);
    feed_made(told, STREAM_ROOM);
    made.size = 0;
    unsigned char bytes[184];
    memset(bytes, 0x55, sizeof(bytes));
    size_t count = 0;
    for (; told->result == 0 && count < 2 * MEDIA_SAMPLE_MAX / sizeof(bytes); count++) {
        made.size = 0;
        put_packet(VIDEO, (struct packet_options){.begins = false}, bytes, sizeof(bytes));
        feed_made(told, STREAM_ROOM);
    }
    assert_int_equal(told->result, -LEAT_E_LIMIT);
    assert_string_equal(mpegts_reason(told->ts), "an access unit has more than 8388608 bytes");
    assert_int_equal(count, (MEDIA_SAMPLE_MAX - (sizeof(KEY) - 1)) / sizeof(bytes) + 1);
    close_told(told);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static void streams_of_other_types(void **state)
{
    begin((struct listed[]){{0x11, 0x200}, /* LATM */
                            {0x02, 0x201}, /* MPEG-2 */
                            {TYPE_AAC, AUDIO, "deu"},
                            {0x06, 0x202},
                            {TYPE_AVC, VIDEO, "Xyz"},
                            {0}});
    put_video(1, KEY);
    put_pes(&(struct pes){.pid = 0x201, .pts = 5, .body = KEY, .size = sizeof(KEY) - 1});
    put_audio(90000, 1);
    expect_told("T0:mp4a.40.2:48000:deu 0@48000:10 T1:avc1.42c028:90000:und 1@1k:65");
}

static void tables_over_several_packets(void **state)
{
    unsigned char body[1000];
    for (size_t piece = 1; piece <= 184; piece += piece < 20 ? 1 : 41) {
        made.size = 0;
        put_pat(PMT);
        const size_t size = map_of(both, body);
        put_table(&(struct table){
            .pid = PMT, .id = 2, .number = 1, .piece = piece, .body = body, .size = size});
        put_video(1, KEY);
        expect_told(AVC_TRACK " 0@1k:65");
    }
    /* as large as can be, with many streams of no interest */
    struct listed many[190] = {{0}};
    for (unsigned i = 0; i < 150; i++)
        many[i] = (struct listed){.type = 6, .pid = 0x300 + i};
    many[150] = both[0];
    made.size = 0;
    put_pat(PMT);
    const size_t size = map_of(many, body);
    put_table(&(struct table){.pid = PMT, .id = 2, .number = 1, .body = body, .size = size});
    put_video(1, KEY);
    expect_told(AVC_TRACK " 0@1k:65");
}

static void tables_one_behind_the_other(void **state)
{
    unsigned char bytes[MPEGTS_PACKET_SIZE];
    begin(video_alone);
    /* Both sections of the program map's PID in one packet: another program's, and ours; the first
     * begins in the packet before. */
    const unsigned char *const ours = made.data + made.size - MPEGTS_PACKET_SIZE;
    const size_t at = 5u + ours[4] + 1; /* behind the stuffing, and the pointer */
    const size_t size = MPEGTS_PACKET_SIZE - at;
    unsigned char section[MPEGTS_PACKET_SIZE];
    memcpy(section, ours + at, size);
    made.size -= MPEGTS_PACKET_SIZE;
    made.counters[PMT] = 0;
    bytes[0] = 0;
    memcpy(bytes + 1, section, 10);
    bytes[1 + 4] = 77; /* of another program; its checksum does not matter */
    put_packet(PMT, (struct packet_options){.begins = true}, bytes, 11);
    bytes[0] = (unsigned char)(size - 10);
    memcpy(bytes + 1, section + 10, size - 10);
    memcpy(bytes + 1 + size - 10, section, size);
    put_packet(PMT, (struct packet_options){.begins = true}, bytes, 1 + size - 10 + size);
    put_video(1, KEY);
    expect_told(AVC_TRACK " 0@1k:65");
}

static void tables_that_do_not_count(void **state)
{
    static const struct table rows[] = {
        {.id = 2, .number = 1, .is_wrong = true},
        {.id = 2, .number = 1, .is_not_in_force = true},
        {.id = 2, .number = 2}, /* another program's */
        {.id = 3, .number = 1},
    };
    unsigned char body[64];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct table table = rows[i];
        table.pid = PMT;
        table.body = body;
        table.size = map_of(video_alone, body);
        made.size = 0;
        put_pat(PMT);
        put_table(&table);
        put_video(1, KEY);
        expect_told("");
    }
    /* too long, of no size, and a pointer behind the packet */
    static const char *const broken[] = {"\0\2\xbf\xff\0", "\0\2\xb0\0\0", "\xff\2\xb0\x10\0"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        made.size = 0;
        put_pat(PMT);
        put_packet(PMT, (struct packet_options){.begins = true}, broken[i], 5);
        put_packet(PMT, (struct packet_options){.begins = false}, broken[i], 5);
        put_pmt(0, video_alone);
        put_video(1, KEY);
        expect_told(AVC_TRACK " 0@1k:65");
    }
}

static void a_lost_packet_of_a_table(void **state)
{
    unsigned char body[64];
    made.size = 0;
    put_pat(PMT);
    put_table(&(struct table){.pid = PMT,
                              .id = 2,
                              .number = 1,
                              .piece = 10,
                              .body = body,
                              .size = map_of(video_alone, body)});
    /* the second packet of it is not there */
    memmove(made.data + 2 * MPEGTS_PACKET_SIZE, made.data + 3 * MPEGTS_PACKET_SIZE,
            made.size - 3 * MPEGTS_PACKET_SIZE);
    made.size -= MPEGTS_PACKET_SIZE;
    put_video(1, KEY);
    expect_told("");
    put_pmt(0, video_alone);
    put_video(2, KEY);
    expect_told(AVC_TRACK " 0@2k:65");
}

static void new_maps(void **state)
{
    begin(both);
    put_video(1, KEY);
    put_audio(90000, 1);
    put_pmt(0, both); /* the same again */
    put_video(2, DELIMITER PICTURE);
    put_pmt(1, (struct listed[]){{TYPE_AAC, AUDIO}, {TYPE_AVC, 0x200}, {0}});
    put_pes(&(struct pes){.pid = 0x200, .pts = 3, .body = KEY, .size = sizeof(KEY) - 1});
    put_video(3, KEY); /* of no interest any more */
    put_audio(90000 + 1920, 1);
    put_pat(0x1001); /* another program's map */
    put_pmt(2, both);
    put_video(4, KEY);
    expect_told("T0:mp4a.40.2:48000:und 0@48000:10 T1:avc1.42c028:90000:und 1@1k:65 1@2:41 "
                "0@49024:10 T1:avc1.42c028:90000:und 1@3k:65");
}

static void a_codec_that_changes(void **state)
{
    begin(video_alone);
    put_video(1, KEY);
    put_pmt(0, (struct listed[]){{TYPE_HEVC, VIDEO}, {0}}); /* by a new maker, of version 0 too */
    put_video(2, HEVC_VPS HEVC_SPS HEVC_PPS HEVC_CRA);
    put_pmt(1, audio_alone);
    put_audio(90000, 1);
    expect_told(AVC_TRACK " 0@1k:65 " HEVC_TRACK " 0@2k:2a T1:mp4a.40.2:48000:und 1@48000:10");
}

static void more_streams_than_are_read(void **state)
{
    struct listed streams[MPEGTS_STREAMS_MAX + 2] = {{0}};
    for (unsigned i = 0; i <= MPEGTS_STREAMS_MAX; i++)
        streams[i] = (struct listed){.type = TYPE_AVC, .pid = 0x200 + i};
    begin(streams);
    for (unsigned i = 0; i <= MPEGTS_STREAMS_MAX; i++)
        put_pes(
            &(struct pes){.pid = 0x200 + i, .pts = 1 + i, .body = KEY, .size = sizeof(KEY) - 1});
    expect_told("T0:avc1.42c028:90000:und 0@1k:65 T1:avc1.42c028:90000:und 1@2k:65 "
                "T2:avc1.42c028:90000:und 2@3k:65 T3:avc1.42c028:90000:und 3@4k:65");
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void segments(void **state)
{
    struct told *const told = open_told(0, 0);
    for (unsigned i = 0; i < 3; i++) {
        begin(both);
        put_video(1 + 10 * i, KEY);
        put_audio(90000 + i * 1920, 1);
        if (i == 1)
            made.size -= 10; /* cut off: what came before may be, too */
        feed_made(told, 100);
        assert_int_equal(told->result, 0);
        assert_int_equal(mpegts_flush(told->ts), 0);
        assert_int_equal(mpegts_flush(told->ts), 0);
    }
    assert_string_equal(told->text, "T0:mp4a.40.2:48000:und 0@48000:10 T1:avc1.42c028:90000:und "
                                    "1@1k:65 0@50048:10 1@21k:65");
    close_told(told);
}

static void errors_of_events(void **state)
{
    begin(both);
    put_audio(90000, 1);
    put_video(1, KEY);
    put_video(2, KEY);
    for (unsigned i = 1; i <= 4; i++) {
        struct told *const told = open_told(i > 2 ? i - 2 : 0, i > 2 ? 0 : i);
        feed_made(told, STREAM_ROOM);
        assert_int_equal(told->result, -ECANCELED);
        assert_string_equal(mpegts_reason(told->ts), "");
        const size_t size = told->size;
        assert_int_equal(mpegts_feed(told->ts, SLICE("G")), -ECANCELED);
        assert_int_equal(mpegts_flush(told->ts), -ECANCELED);
        assert_int_equal(told->size, size);
        close_told(told);
    }
}

static void nothing_at_all(void **state)
{
    made.size = 0;
    expect_told("");
    mpegts_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_sets_leave_the_samples),
        cmocka_unit_test(what_a_track_says),
        cmocka_unit_test(places_to_begin_at),
        cmocka_unit_test(without_parameter_sets_there_is_nothing),
        cmocka_unit_test(new_parameter_sets_are_a_new_description),
        cmocka_unit_test(times_of_pictures_shown_later),
        cmocka_unit_test(several_in_a_pes_packet),
        cmocka_unit_test(without_a_time_it_goes_on),
        cmocka_unit_test(bounded_and_not),
        cmocka_unit_test(a_bounded_one_that_ends_too_early),
        cmocka_unit_test(heads_over_several_packets),
        cmocka_unit_test(hevc),
        cmocka_unit_test(times_go_round_their_clock),
        cmocka_unit_test(times_that_jump_are_told),
        cmocka_unit_test(frames_are_counted),
        cmocka_unit_test(beyond_jitter_the_packet_is_right),
        cmocka_unit_test(frames_across_pes_packets),
        cmocka_unit_test(sound_that_begins_in_a_frame),
        cmocka_unit_test(garbage_between_frames),
        cmocka_unit_test(another_sample_rate),
        cmocka_unit_test(aac_that_is_not_ours),
        cmocka_unit_test(packets_of_no_interest),
        cmocka_unit_test(packets_sent_twice),
        cmocka_unit_test(lost_packets_take_what_they_were_in),
        cmocka_unit_test(a_bounded_picture_is_whole_before_a_loss),
        cmocka_unit_test(a_new_time_base_is_no_loss),
        cmocka_unit_test(damaged_packets_are_lost),
        cmocka_unit_test(heads_that_are_none),
        cmocka_unit_test(padding_is_passed_over),
        cmocka_unit_test(what_cannot_be_read),
        cmocka_unit_test(pictures_without_end),
        cmocka_unit_test(streams_of_other_types),
        cmocka_unit_test(tables_over_several_packets),
        cmocka_unit_test(tables_one_behind_the_other),
        cmocka_unit_test(tables_that_do_not_count),
        cmocka_unit_test(a_lost_packet_of_a_table),
        cmocka_unit_test(new_maps),
        cmocka_unit_test(a_codec_that_changes),
        cmocka_unit_test(more_streams_than_are_read),
        cmocka_unit_test(segments),
        cmocka_unit_test(errors_of_events),
        cmocka_unit_test(nothing_at_all),
    };
    return cmocka_run_group_tests_name("wire/mpegts", tests, NULL, NULL);
}
