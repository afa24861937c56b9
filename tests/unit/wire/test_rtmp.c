/* SPDX-License-Identifier: MIT */
/*
 * Sessions, with a client that says what it is told to, by hand. Real clients are in
 * tests/e2e/test_rtmp.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "leat/error.h"
#include "wire/amf.h"
#include "wire/rtmp.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { SEED = 7, ROOM = 64 * 1024 };

/* ---- The owner ------------------------------------------------------------------------------- */

static struct owner {
    enum rtmp_answer to_connect, to_publish;
    int to_media;
    char app[256], name[256], query[256];
    unsigned media_count, unpublish_count;
    enum rtmp_type type;
    int64_t times[16];
    char body[64];
} owner;

static enum rtmp_answer on_connect(const char *app, char *ret_reason, void *user)
{
    struct owner *const into = user;
    snprintf(into->app, sizeof into->app, "%s", app);
    if (into->to_connect != RTMP_ACCEPT)
        snprintf(ret_reason, RTMP_REASON_SIZE, "no such application here");
    return into->to_connect;
}

static enum rtmp_answer on_publish(const struct rtmp_publish *publish, char *ret_reason, void *user)
{
    struct owner *const into = user;
    assert_string_equal(publish->app, into->app);
    snprintf(into->name, sizeof into->name, "%.*s", (int)publish->name.size, publish->name.data);
    snprintf(into->query, sizeof into->query, "%.*s", (int)publish->query.size,
             publish->query.data ? publish->query.data : "");
    if (into->to_publish != RTMP_ACCEPT)
        snprintf(ret_reason, RTMP_REASON_SIZE, "not you");
    return into->to_publish;
}

static int on_media(enum rtmp_type type, int64_t time_ms, struct leat_slice body, void *user)
{
    struct owner *const into = user;
    assert_true(into->media_count < COUNT_OF(into->times));
    into->times[into->media_count++] = time_ms;
    into->type = type;
    if (body.size > 0 && body.size < sizeof into->body)
        snprintf(into->body, sizeof into->body, "%.*s", (int)body.size, body.data);
    return into->to_media;
}

static void on_unpublish(void *user)
{
    ((struct owner *)user)->unpublish_count++;
}

static struct rtmp *make(void)
{
    const struct rtmp_events events = {.on_connect = on_connect,
                                       .on_publish = on_publish,
                                       .on_media = on_media,
                                       .on_unpublish = on_unpublish,
                                       .user = &owner};
    struct rtmp *rtmp;
    owner = (struct owner){0};
    assert_int_equal(rtmp_create(&events, SEED, &rtmp), 0);
    assert_string_equal(rtmp_reason(rtmp), "");
    return rtmp;
}

/* ---- The client ------------------------------------------------------------------------------ */

static unsigned char room[ROOM];

static struct writer begin_input(void)
{
    return writer_over(room, sizeof room);
}

static int feed(struct rtmp *rtmp, const struct writer *input)
{
    assert_false(input->failed);
    return rtmp_feed(rtmp, writer_slice(input));
}

/* A message in one chunk: it is no longer than 128 bytes, or the session knows of longer ones. */
static void write_message(struct writer *writer, unsigned chunks, uint8_t type, uint32_t time_ms,
                          struct leat_slice body)
{
    const bool is_late = time_ms >= 0xffffff;
    const uint32_t size = (uint32_t)body.size;
    writer_u8(writer, (uint8_t)chunks);
    writer_u32be(writer, (is_late ? 0xffffff : time_ms) << 8 | size >> 16);
    writer_u16be(writer, (uint16_t)size);
    writer_u8(writer, type);
    writer_u32le(writer, 1);
    if (is_late)
        writer_u32be(writer, time_ms);
    writer_bytes(writer, body);
}

/* A command without a command object: its name, its number, null, and a text or none. */
static void write_command(struct writer *writer, const char *name, double call, const char *text)
{
    unsigned char bytes[512];
    struct writer body = writer_over(bytes, sizeof bytes);
    amf_write_string(&body, slice_from_text(name));
    amf_write_number(&body, call);
    amf_write_null(&body);
    if (text)
        amf_write_string(&body, slice_from_text(text));
    write_message(writer, 3, RTMP_COMMAND, 0, writer_slice(&body));
}

static void write_connect(struct writer *writer, const char *app)
{
    unsigned char bytes[512];
    struct writer body = writer_over(bytes, sizeof bytes);
    amf_write_string(&body, SLICE("connect"));
    amf_write_number(&body, 1);
    amf_write_object_begin(&body);
    amf_write_name(&body, SLICE("app"));
    amf_write_string(&body, slice_from_text(app));
    amf_write_object_end(&body);
    write_message(writer, 3, RTMP_COMMAND, 0, writer_slice(&body));
}

static void write_handshake(struct writer *writer, uint8_t version)
{
    writer_u8(writer, version);
    for (unsigned index = 0; index < 2 * RTMP_HANDSHAKE_SIZE; index++)
        writer_u8(writer, (uint8_t)(index * 31 % 251));
}

/* ---- What comes back ------------------------------------------------------------------------- */

/* Takes a message off the output; its body. */
static struct leat_slice take_message(struct leat_slice *output, uint8_t type)
{
    struct cursor cursor = cursor_over(*output);
    cursor_skip(&cursor, 1);
    assert_int_equal(cursor_u16be(&cursor), 0);
    const uint32_t size = cursor_u32be(&cursor) & 0xffffff;
    assert_int_equal(cursor_u8(&cursor), type);
    cursor_skip(&cursor, 4);
    const struct leat_slice body = cursor_bytes(&cursor, size);
    assert_false(cursor.failed);
    *output = slice_after(*output, cursor.offset);
    return body;
}

static uint32_t take_control(struct leat_slice *output, uint8_t type)
{
    struct cursor body = cursor_over(take_message(output, type));
    return cursor_u32be(&body);
}

/* A command, of which the information object says this; "" for either: it has none. */
static void expect_command(struct leat_slice *output, const char *name, double call,
                           const char *code, const char *description)
{
    struct cursor body = cursor_over(take_message(output, RTMP_COMMAND));
    struct amf_value first, second;
    assert_true(slice_equal(amf_take_string(&body), slice_from_text(name)));
    assert_true(amf_take_number(&body) == call);
    amf_take(&body, &first);
    amf_take(&body, &second);
    assert_false(body.failed);
    assert_int_equal(cursor_left(&body), 0);
    const struct leat_slice said = amf_find_string(&second, SLICE("code"));
    const struct leat_slice text = amf_find_string(&second, SLICE("description"));
    assert_true(slice_equal(said, slice_from_text(code)));
    assert_true(slice_equal(text, slice_from_text(description)));
}

static struct leat_slice output_of(struct rtmp *rtmp)
{
    static char bytes[RTMP_OUTPUT_MAX];
    const struct leat_slice output = rtmp_output(rtmp);
    memcpy(bytes, output.data, output.size);
    rtmp_output_clear(rtmp);
    assert_int_equal(rtmp_output(rtmp).size, 0);
    return slice_of(bytes, output.size);
}

/* A session that has connected, or one that publishes; what it said is passed over. */
static struct rtmp *connected(void)
{
    struct rtmp *const rtmp = make();
    struct writer input = begin_input();
    write_handshake(&input, 3);
    write_connect(&input, "live");
    assert_int_equal(feed(rtmp, &input), 0);
    rtmp_output_clear(rtmp);
    return rtmp;
}

static struct rtmp *publishing(void)
{
    struct rtmp *const rtmp = connected();
    struct writer input = begin_input();
    write_command(&input, "publish", 5, "cam?key=secret");
    assert_int_equal(feed(rtmp, &input), 0);
    assert_true(rtmp_is_publishing(rtmp));
    rtmp_output_clear(rtmp);
    return rtmp;
}

/* ---- The handshake --------------------------------------------------------------------------- */

static void the_handshake_in_any_pieces(void **state)
{
    for (size_t piece = 1; piece <= 4000; piece = piece * 3 + 1) {
        struct rtmp *const rtmp = make();
        struct writer input = begin_input();
        write_handshake(&input, 3);
        write_connect(&input, "live");
        for (size_t at = 0; at < input.size; at += piece) {
            const size_t left = input.size - at;
            assert_int_equal(rtmp_feed(rtmp, slice_of(room + at, piece < left ? piece : left)), 0);
            if (at + piece < 1 + RTMP_HANDSHAKE_SIZE)
                assert_int_equal(rtmp_output(rtmp).size, 0);
        }
        const struct leat_slice output = output_of(rtmp);
        assert_true(output.size > 1 + 2 * RTMP_HANDSHAKE_SIZE);
        assert_int_equal(output.data[0], 3);
        assert_memory_equal(output.data + 1, "\0\0\0\0\0\0\0\0", 8);
        assert_memory_equal(output.data + 1 + RTMP_HANDSHAKE_SIZE, room + 1, RTMP_HANDSHAKE_SIZE);
        assert_string_equal(owner.app, "live");
        rtmp_destroy(rtmp);
    }
    rtmp_destroy(NULL);
}

static void versions(void **state)
{
    for (unsigned version = 0; version < 256; version++) {
        struct rtmp *const rtmp = make();
        struct writer input = begin_input();
        write_handshake(&input, (uint8_t)version);
        const int result = feed(rtmp, &input);
        const struct leat_slice output = output_of(rtmp);
        if (version < 32) {
            assert_int_equal(result, 0);
            assert_int_equal(output.data[0], 3);
        } else {
            assert_int_equal(result, -LEAT_E_MALFORMED);
            assert_string_equal(rtmp_reason(rtmp), "it does not begin as RTMP does");
            assert_int_equal(output.size, 0);
        }
        rtmp_destroy(rtmp);
    }
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void a_session_from_beginning_to_end(void **state)
{
    struct rtmp *const rtmp = make();
    struct writer input = begin_input();
    write_handshake(&input, 3);
    write_connect(&input, "live/");
    assert_int_equal(feed(rtmp, &input), 0);
    struct leat_slice output = output_of(rtmp);
    output = slice_after(output, 1 + 2 * RTMP_HANDSHAKE_SIZE);
    assert_string_equal(owner.app, "live");
    assert_int_equal(take_control(&output, RTMP_SET_CHUNK_SIZE), 4096);
    assert_int_equal(take_control(&output, RTMP_WINDOW_SIZE), RTMP_WINDOW);
    assert_int_equal(take_control(&output, RTMP_PEER_BANDWIDTH), RTMP_WINDOW);
    expect_command(&output, "_result", 1, "NetConnection.Connect.Success", "connected");
    assert_int_equal(output.size, 0);

    input = begin_input();
    write_command(&input, "releaseStream", 2, "cam");
    write_command(&input, "FCPublish", 3, "cam");
    write_command(&input, "_checkbw", 4, NULL);
    write_command(&input, "createStream", 5, NULL);
    write_command(&input, "publish", 0, "cam?key=K&x=?");
    assert_int_equal(feed(rtmp, &input), 0);
    output = output_of(rtmp);
    expect_command(&output, "_result", 2, "", "");
    expect_command(&output, "_result", 3, "", "");
    expect_command(&output, "_error", 4, "NetConnection.Call.Failed", "there is no such call");
    struct cursor created = cursor_over(take_message(&output, RTMP_COMMAND));
    struct amf_value nothing;
    assert_true(slice_equal(amf_take_string(&created), SLICE("_result")));
    assert_true(amf_take_number(&created) == 5);
    amf_take(&created, &nothing);
    assert_true(amf_take_number(&created) == 1);
    assert_memory_equal(take_message(&output, RTMP_USER_CONTROL).data, "\0\0\0\0\0\1", 6);
    expect_command(&output, "onStatus", 0, "NetStream.Publish.Start", "publishing");
    assert_int_equal(output.size, 0);
    assert_string_equal(owner.name, "cam");
    assert_string_equal(owner.query, "key=K&x=?");
    assert_true(rtmp_is_publishing(rtmp));

    input = begin_input();
    write_message(&input, 4, RTMP_VIDEO, 40, SLICE("picture"));
    write_command(&input, "FCUnpublish", 6, "cam");
    write_command(&input, "deleteStream", 0, NULL);
    assert_int_equal(feed(rtmp, &input), 0);
    output = output_of(rtmp);
    expect_command(&output, "onStatus", 0, "NetStream.Unpublish.Success", "no longer published");
    expect_command(&output, "_result", 6, "", "");
    assert_int_equal(output.size, 0);
    assert_int_equal(owner.media_count, 1);
    assert_int_equal(owner.type, RTMP_VIDEO);
    assert_string_equal(owner.body, "picture");
    assert_int_equal(owner.unpublish_count, 1);
    assert_false(rtmp_is_publishing(rtmp) || rtmp_is_over(rtmp));

    input = begin_input(); /* and once more */
    write_command(&input, "publish", 0, "other");
    assert_int_equal(feed(rtmp, &input), 0);
    assert_string_equal(owner.name, "other");
    assert_string_equal(owner.query, "");
    assert_true(rtmp_is_publishing(rtmp));
    rtmp_destroy(rtmp);
    assert_int_equal(owner.unpublish_count, 1);
}

static void refusals(void **state)
{
    struct rtmp *rtmp = make();
    struct writer input = begin_input();
    owner.to_connect = RTMP_DENIED;
    write_handshake(&input, 3);
    write_connect(&input, "other?a=b");
    write_command(&input, "publish", 0, "cam");
    assert_int_equal(feed(rtmp, &input), 0);
    struct leat_slice output = slice_after(output_of(rtmp), 1 + 2 * RTMP_HANDSHAKE_SIZE);
    assert_string_equal(owner.app, "other");
    (void)take_control(&output, RTMP_SET_CHUNK_SIZE);
    expect_command(&output, "_error", 1, "NetConnection.Connect.Rejected",
                   "no such application here");
    assert_int_equal(output.size, 0);
    assert_true(rtmp_is_over(rtmp));
    assert_string_equal(owner.name, ""); /* what comes behind is dropped */
    rtmp_destroy(rtmp);

    static const struct {
        enum rtmp_answer answer;
        const char *code;
    } rows[] = {{RTMP_BAD_NAME, "NetStream.Publish.BadName"},
                {RTMP_DENIED, "NetStream.Publish.Denied"}};
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        rtmp = connected();
        owner.to_publish = rows[i].answer;
        input = begin_input();
        write_command(&input, "publish", 0, "cam");
        write_message(&input, 4, RTMP_VIDEO, 40, SLICE("picture"));
        assert_int_equal(feed(rtmp, &input), 0);
        output = output_of(rtmp);
        expect_command(&output, "onStatus", 0, rows[i].code, "not you");
        assert_int_equal(output.size, 0);
        assert_true(rtmp_is_over(rtmp));
        assert_int_equal(owner.media_count, 0);
        rtmp_give_up(rtmp, "once is enough");
        assert_int_equal(rtmp_output(rtmp).size, 0);
        rtmp_destroy(rtmp);
    }
}

static void an_application_of_any_length(void **state)
{
    char app[300];
    for (size_t size = RTMP_APP_SIZE - 2; size <= RTMP_APP_SIZE; size++) {
        struct rtmp *const rtmp = make();
        struct writer input = begin_input();
        memset(app, 'a', size);
        app[size] = '\0';
        write_message(&input, 2, RTMP_SET_CHUNK_SIZE, 0, SLICE("\0\0\4\0"));
        struct writer all = writer_over(malloc(ROOM), ROOM);
        write_handshake(&all, 3);
        writer_bytes(&all, writer_slice(&input));
        write_connect(&all, app);
        assert_int_equal(feed(rtmp, &all), 0);
        assert_int_equal(rtmp_is_over(rtmp), size >= RTMP_APP_SIZE);
        assert_int_equal(strlen(owner.app), size < RTMP_APP_SIZE ? size : 0);
        free(all.data);
        rtmp_destroy(rtmp);
    }
}

static void playing_is_refused(void **state)
{
    struct rtmp *const rtmp = connected();
    struct writer input = begin_input();
    write_command(&input, "play", 0, "cam");
    assert_int_equal(feed(rtmp, &input), 0);
    struct leat_slice output = output_of(rtmp);
    expect_command(&output, "onStatus", 0, "NetStream.Play.Failed",
                   "publish only: watch it over HTTP, as HLS or DASH");
    assert_true(rtmp_is_over(rtmp));
    rtmp_destroy(rtmp);
}

static void commands_of_amf_3(void **state)
{
    struct rtmp *const rtmp = connected();
    struct writer input = begin_input();
    write_message(&input, 3, RTMP_COMMAND_AMF3, 0,
                  SLICE("\0\2\0\7publish\0\0\0\0\0\0\0\0\0\5\2\0\3cam\2\0\4live"));
    assert_int_equal(feed(rtmp, &input), 0);
    assert_true(rtmp_is_publishing(rtmp));
    input = begin_input();
    write_message(&input, 3, RTMP_COMMAND_AMF3, 0, SLICE("\x11\6\1"));
    assert_int_equal(feed(rtmp, &input), -LEAT_E_MALFORMED);
    assert_string_equal(rtmp_reason(rtmp), "a command is in AMF 3, not AMF 0");
    rtmp_give_up(rtmp, rtmp_reason(rtmp));
    struct leat_slice output = output_of(rtmp);
    (void)take_message(&output, RTMP_USER_CONTROL);
    expect_command(&output, "onStatus", 0, "NetStream.Publish.Start", "publishing");
    expect_command(&output, "onStatus", 0, "NetStream.Failed", "a command is in AMF 3, not AMF 0");
    assert_true(rtmp_is_over(rtmp));
    rtmp_destroy(rtmp);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        bool is_connected;
        uint8_t type;
        struct leat_slice body;
        const char *reason;
    } rows[] = {
        {true, RTMP_COMMAND, SLICE(""), "a command cannot be read"},
        {true, RTMP_COMMAND, SLICE("\5\5"), "a command cannot be read"},
        {true, RTMP_COMMAND, SLICE("\2\0\7publish\5"), "a command cannot be read"},
        {true, RTMP_COMMAND, SLICE("\2\0\7publish\0\0\0\0\0\0\0\0\0\5"),
         "its publish cannot be read"},
        {true, RTMP_COMMAND, SLICE("\2\0\7connect\0\0\0\0\0\0\0\0\0\5"), "it connects twice"},
        {false, RTMP_COMMAND, SLICE("\2\0\7publish\0\0\0\0\0\0\0\0\0\5\2\0\1a"),
         "it has not connected"},
        {false, RTMP_COMMAND, SLICE("\2\0\7connect\0\0\0\0\0\0\0\0\0"),
         "its connect cannot be read"},
        {true, RTMP_COMMAND_AMF3, SLICE(""), "a command is in AMF 3, not AMF 0"},
        {true, RTMP_VIDEO, SLICE("a"), "it sends media and does not publish"},
        {false, RTMP_AUDIO, SLICE("a"), "it sends media and does not publish"},
        {true, RTMP_WINDOW_SIZE, SLICE("\0\0\0"), "a window of acknowledgements is none"},
        {true, RTMP_WINDOW_SIZE, SLICE("\0\0\0\0"), "a window of acknowledgements is none"},
        {true, RTMP_SET_CHUNK_SIZE, SLICE("\0\0\0\0"), "a chunk size is none"},
        {true, RTMP_AGGREGATE, SLICE("\x09\0\0\1\0\0\0\0\0\0\0"),
         "an aggregate message is cut off"},
    };
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
        struct rtmp *const rtmp = rows[i].is_connected ? connected() : make();
        struct writer input = begin_input();
        if (!rows[i].is_connected)
            write_handshake(&input, 3);
        write_message(&input, 3, rows[i].type, 0, rows[i].body);
        assert_int_equal(feed(rtmp, &input), -LEAT_E_MALFORMED);
        assert_string_equal(rtmp_reason(rtmp), rows[i].reason);
        rtmp_output_clear(rtmp);
        rtmp_give_up(rtmp, "goodbye");
        assert_int_equal(rtmp_output(rtmp).size > 0, rows[i].is_connected);
        rtmp_destroy(rtmp);
    }
    struct rtmp *const rtmp = publishing();
    struct writer input = begin_input();
    write_command(&input, "publish", 0, "cam");
    assert_int_equal(feed(rtmp, &input), -LEAT_E_MALFORMED);
    assert_string_equal(rtmp_reason(rtmp), "it publishes already");
    rtmp_destroy(rtmp);
}

static void what_is_not_known_is_passed_over(void **state)
{
    struct rtmp *const rtmp = connected();
    struct writer input = begin_input();
    write_message(&input, 3, RTMP_DATA, 0, SLICE("\2\0\x0d@setDataFrame\xff"));
    write_message(&input, 3, 19, 0, SLICE("shared object"));
    write_message(&input, 3, 99, 0, SLICE(""));
    write_message(&input, 3, RTMP_ACKNOWLEDGEMENT, 0, SLICE("\0\0"));
    write_message(&input, 3, RTMP_PEER_BANDWIDTH, 0, SLICE(""));
    write_message(&input, 3, RTMP_USER_CONTROL, 0, SLICE("\0"));
    write_message(&input, 3, RTMP_USER_CONTROL, 0, SLICE("\0\3\0\0\0\1\0\0\3\xe8"));
    write_command(&input, "_result", 9, NULL);
    write_command(&input, "onBWDone", 0, NULL);
    assert_int_equal(feed(rtmp, &input), 0);
    assert_int_equal(rtmp_output(rtmp).size, 0);
    rtmp_destroy(rtmp);
}

/* ---- Media ----------------------------------------------------------------------------------- */

static void times_go_beyond_32_bits(void **state)
{
    struct rtmp *const rtmp = publishing();
    struct writer input = begin_input();
    write_message(&input, 4, RTMP_VIDEO, 0xfffffff0, SLICE("a"));
    write_message(&input, 5, RTMP_AUDIO, 0xffffffe8, SLICE("a")); /* a little before */
    write_message(&input, 4, RTMP_VIDEO, 0x18, SLICE("a"));
    write_message(&input, 5, RTMP_AUDIO, 0xffffffff, SLICE("a"));
    write_message(&input, 5, RTMP_AUDIO, 0x10, SLICE("a"));
    assert_int_equal(feed(rtmp, &input), 0);
    assert_int_equal(owner.media_count, 5);
    assert_true(owner.times[0] == 0xfffffff0);
    assert_true(owner.times[1] == 0xffffffe8);
    assert_true(owner.times[2] == 0x100000018);
    assert_true(owner.times[3] == 0xffffffff);
    assert_true(owner.times[4] == 0x100000010);
    rtmp_destroy(rtmp);
}

static void aggregates_are_taken_apart(void **state)
{
    struct rtmp *const rtmp = publishing();
    struct writer input = begin_input();
    write_message(&input, 4, RTMP_AGGREGATE, 1000,
                  SLICE("\x08\0\0\1\x00\x00\x14\1\0\0\0a\0\0\0\x0c"     /* of 0x01000014 ms */
                        "\x12\0\0\0\x00\x00\x15\1\0\0\0\0\0\0\x0b"      /* metadata */
                        "\x09\0\0\2\x00\x00\x1e\1\0\0\0bc\0\0\0\x0d")); /* 10 ms later */
    assert_int_equal(feed(rtmp, &input), 0);
    assert_int_equal(owner.media_count, 2);
    assert_true(owner.times[0] == 1000);
    assert_true(owner.times[1] == 1010);
    assert_int_equal(owner.type, RTMP_VIDEO);
    assert_string_equal(owner.body, "bc");
    rtmp_destroy(rtmp);
}

static void what_media_end_with_is_returned(void **state)
{
    struct rtmp *const rtmp = publishing();
    struct writer input = begin_input();
    owner.to_media = -ENOSPC;
    write_message(&input, 4, RTMP_VIDEO, 0, SLICE("a"));
    write_message(&input, 4, RTMP_VIDEO, 0, SLICE("b"));
    assert_int_equal(feed(rtmp, &input), -ENOSPC);
    assert_int_equal(owner.media_count, 1);
    assert_string_equal(rtmp_reason(rtmp), "");
    rtmp_give_up(rtmp, "the disk is full");
    struct leat_slice output = output_of(rtmp);
    expect_command(&output, "onStatus", 0, "NetStream.Failed", "the disk is full");
    rtmp_destroy(rtmp);
}

/* ---- Flow and limits ------------------------------------------------------------------------- */

static void bytes_are_acknowledged(void **state)
{
    struct rtmp *const rtmp = publishing();
    struct writer input = begin_input();
    write_message(&input, 2, RTMP_WINDOW_SIZE, 0, SLICE("\0\0\x20\0"));
    assert_int_equal(feed(rtmp, &input), 0);
    rtmp_output_clear(rtmp);
    uint32_t last = 0;
    unsigned count = 0;
    for (unsigned index = 0; index < 1000; index++) {
        input = begin_input();
        write_message(&input, 2, RTMP_ACKNOWLEDGEMENT, 0, SLICE("\0\0\0\0"));
        assert_int_equal(feed(rtmp, &input), 0);
        struct leat_slice output = output_of(rtmp);
        if (output.size > 0) {
            const uint32_t received = take_control(&output, RTMP_ACKNOWLEDGEMENT);
            assert_true(count == 0 || received - last == 0x2000);
            last = received;
            count++;
        }
    }
    assert_int_equal(count, (3073 + 1000 * 16) / 0x2000); /* the handshake counts, too */
    rtmp_destroy(rtmp);
}

static void pings_are_answered_but_not_without_end(void **state)
{
    struct rtmp *const rtmp = connected();
    struct writer input = begin_input();
    write_message(&input, 2, RTMP_USER_CONTROL, 0, SLICE("\0\6\1\2\3\4"));
    assert_int_equal(feed(rtmp, &input), 0);
    struct leat_slice output = output_of(rtmp);
    assert_memory_equal(take_message(&output, RTMP_USER_CONTROL).data, "\0\7\1\2\3\4", 6);
    int result = 0;
    for (unsigned index = 0; result == 0 && index < 2000; index++)
        result = feed(rtmp, &input);
    assert_int_equal(result, -LEAT_E_LIMIT);
    assert_string_equal(rtmp_reason(rtmp), "it asks for more answers than are kept");
    output = rtmp_output(rtmp);
    assert_int_equal(output.size % 18, 0); /* none by halves */
    assert_true(output.size > RTMP_OUTPUT_MAX - 18);
    rtmp_destroy(rtmp);
}

/* Whoever may not publish has no large messages; who may has. */
static void strangers_have_little_room(void **state)
{
    static const unsigned char header[] = "\4\0\0\0\x10\0\0\x09\1\0\0\0"; /* of a mebibyte */
    struct rtmp *rtmp = connected();
    assert_int_equal(rtmp_feed(rtmp, slice_of(header, 12)), -LEAT_E_LIMIT);
    assert_string_equal(rtmp_reason(rtmp), "a message is larger than is taken");
    rtmp_destroy(rtmp);
    rtmp = publishing();
    assert_int_equal(rtmp_feed(rtmp, slice_of(header, 12)), 0);
    rtmp_destroy(rtmp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handshake_in_any_pieces),
        cmocka_unit_test(versions),
        cmocka_unit_test(a_session_from_beginning_to_end),
        cmocka_unit_test(refusals),
        cmocka_unit_test(an_application_of_any_length),
        cmocka_unit_test(playing_is_refused),
        cmocka_unit_test(commands_of_amf_3),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(what_is_not_known_is_passed_over),
        cmocka_unit_test(times_go_beyond_32_bits),
        cmocka_unit_test(aggregates_are_taken_apart),
        cmocka_unit_test(what_media_end_with_is_returned),
        cmocka_unit_test(bytes_are_acknowledged),
        cmocka_unit_test(pings_are_answered_but_not_without_end),
        cmocka_unit_test(strangers_have_little_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
