/* SPDX-License-Identifier: MIT */
/*
 * Packets, PES heads and tables of transport streams made here: what goes missing, comes twice, is
 * damaged, changes, or is not ours.
 */
#include "test_mpegts_stream.h"

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
    put_pes(&(struct pes){.pid = VIDEO,
                          .pts = 4,
                          .piece = 16,
                          .body = DELIMITER PICTURE,
                          .size = sizeof(DELIMITER PICTURE) - 1});
    put_again();
    put_again(); /* three times: sixteen packets are missing in between */
    put_video(5, DELIMITER PICTURE);
    expect_told(AVC_TRACK " 0@1k:65 0@2:41 0@3:41 0@5:41");
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

/* Places of tracks that are gone are used again, but their numbers are not, for another kind. */
static void streams_that_come_and_go(void **state)
{
    enum { TURNS = MP4_TRACKS_MAX / MPEGTS_STREAMS_MAX };
    begin(video_alone);
    for (unsigned i = 0; i <= TURNS; i++) {
        struct listed streams[MPEGTS_STREAMS_MAX + 1] = {{0}};
        unsigned char body[64];
        const size_t size = frame(body, 3, 30);
        for (unsigned k = 0; k < MPEGTS_STREAMS_MAX; k++)
            streams[k] = (struct listed){i % 2 ? TYPE_AAC : TYPE_AVC, 0x200 + 8 * i + k};
        put_pmt(i & 31, streams);
        for (unsigned k = 0; k < MPEGTS_STREAMS_MAX; k++)
            put_pes(&(struct pes){.pid = streams[k].pid,
                                  .pts = i,
                                  .body = i % 2 ? (const void *)body : KEY,
                                  .size = i % 2 ? size : sizeof(KEY) - 1});
    }
    expect_failure(-LEAT_E_LIMIT, "it has had more than 32 tracks");
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
        cmocka_unit_test(streams_that_come_and_go),
        cmocka_unit_test(segments),
        cmocka_unit_test(errors_of_events),
        cmocka_unit_test(nothing_at_all),
    };
    return cmocka_run_group_tests_name("wire/mpegts_packets", tests, NULL, NULL);
}
