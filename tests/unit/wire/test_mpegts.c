/* SPDX-License-Identifier: MIT */
/*
 * Access units in transport streams made here packet by packet: pictures and frames as muxers pack
 * them seldom, their times, and parameter sets. Streams of real muxers are test_mpegts_ffmpeg.c's.
 */
#include "test_mpegts_stream.h"

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

static void behind_the_end_of_a_bounded_one(void **state)
{
    unsigned char bytes[184];
    const struct pes pes = {
        .pid = VIDEO, .pts = 1, .is_bounded = true, .body = KEY, .size = sizeof(KEY) - 1};
    const size_t size = pes_of(&pes, bytes);
    begin(video_alone);
    memcpy(bytes + size, PICTURE, sizeof(PICTURE) - 1);
    put_payload(VIDEO, bytes, size + sizeof(PICTURE) - 1, 184);
    put_payload(VIDEO, bytes, size + sizeof(PICTURE) - 1, size - 3);
    expect_told(AVC_TRACK " 0@1k:65 0@1k:65");
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

/* The packet's time is that of a frame which is not whole yet when the one before it is. */
static void frames_across_pes_packets_in_pieces(void **state)
{
    unsigned char body[512];
    size_t size = 0;
    begin(audio_alone);
    for (unsigned i = 0; i < 3; i++)
        size += frame(body + size, 3, 50);
    put_pes(&(struct pes){.pid = AUDIO, .pts = 90000, .body = body, .size = 90});
    put_pes(&(struct pes){
        .pid = AUDIO, .pts = 900000, .piece = 40, .body = body + 90, .size = size - 90});
    expect_told(AAC_TRACK " 0@48000:50 0@49024:50 0@480000:50");
}

static void sound_after_a_loss(void **state)
{
    unsigned char body[512];
    begin(audio_alone);
    put_audio(90000, 1);
    lose_packets(AUDIO, 1);
    put_audio(NO_TIME, 1); /* nobody knows how many there were */
    put_audio(900000, 1);
    lose_packets(AUDIO, 1);
    /* the rest of a frame, in which something looks like the header of another kind of frame */
    size_t size = frame(body, 4, 20);
    memset(body + 7, 0x21, 40);
    size += 20;
    size += frame(body + size, 3, 30);
    size += frame(body + size, 3, 31);
    put_pes(&(struct pes){.pid = AUDIO, .pts = 1800000, .body = body, .size = size});
    expect_told(AAC_TRACK " 0@48000:10 0@480000:10 0@960000:30 0@961024:31");
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
    put_pes(&(struct pes){.pid = AUDIO, .pts = NO_TIME, .body = body, .size = size});
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
        cmocka_unit_test(behind_the_end_of_a_bounded_one),
        cmocka_unit_test(a_bounded_one_that_ends_too_early),
        cmocka_unit_test(heads_over_several_packets),
        cmocka_unit_test(hevc),
        cmocka_unit_test(times_go_round_their_clock),
        cmocka_unit_test(times_that_jump_are_told),
        cmocka_unit_test(frames_are_counted),
        cmocka_unit_test(beyond_jitter_the_packet_is_right),
        cmocka_unit_test(frames_across_pes_packets),
        cmocka_unit_test(frames_across_pes_packets_in_pieces),
        cmocka_unit_test(sound_after_a_loss),
        cmocka_unit_test(sound_that_begins_in_a_frame),
        cmocka_unit_test(garbage_between_frames),
        cmocka_unit_test(another_sample_rate),
        cmocka_unit_test(aac_that_is_not_ours),
    };
    return cmocka_run_group_tests_name("wire/mpegts", tests, NULL, NULL);
}
