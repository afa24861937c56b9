/* SPDX-License-Identifier: MIT */
/*
 * See rtmp.h. The handshake by bytes, everything behind it by messages (rtmp_chunks). A message is
 * answered where it is read: answers are short, and go out one behind the other.
 */
#include "wire/rtmp.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "base/random.h"
#include "leat/error.h"
#include "wire/amf.h"

enum rtmp_state {
    RTMP_C0,
    RTMP_C1,
    RTMP_C2,
    RTMP_INVITED, /* to send connect, and nothing else */
    RTMP_CONNECTED,
    RTMP_PUBLISHING,
    RTMP_OVER,
};

enum { OUR_CHUNK_SIZE = 4096, STREAM_ID = 1 };

struct rtmp {
    struct rtmp_events events;
    enum rtmp_state state;
    uint64_t seed;
    unsigned handshake_size;
    unsigned char handshake[RTMP_HANDSHAKE_SIZE]; /* C1, as much as has come */
    struct rtmp_chunks chunks;
    uint32_t received, acknowledged; /* bytes, modulo 2^32 as section 5.4.3 counts them */
    uint32_t window;                 /* the peer wants to hear of us after as many */
    bool has_time;
    int64_t time_ms; /* of the last message of media */
    char app[RTMP_APP_SIZE];
    char reason[RTMP_REASON_SIZE];
    struct writer output;
    unsigned char output_bytes[RTMP_OUTPUT_MAX];
};

int rtmp_create(const struct rtmp_events *events, uint64_t seed, struct rtmp **ret_rtmp)
{
    ASSERT(events->on_connect && events->on_publish && events->on_media && events->on_unpublish);
    struct rtmp *const rtmp = calloc(1, sizeof *rtmp);
    if (!rtmp)
        return -ENOMEM;
    rtmp->events = *events;
    rtmp->seed = seed;
    rtmp->window = RTMP_WINDOW;
    rtmp->output = writer_over(rtmp->output_bytes, sizeof rtmp->output_bytes);
    rtmp_chunks_init(&rtmp->chunks, RTMP_STRANGER_MESSAGE_MAX, RTMP_STRANGER_MAX);
    *ret_rtmp = rtmp;
    return 0;
}

void rtmp_destroy(struct rtmp *rtmp)
{
    if (!rtmp)
        return;
    rtmp_chunks_fini(&rtmp->chunks);
    free(rtmp);
}

struct leat_slice rtmp_output(const struct rtmp *rtmp)
{
    return writer_slice(&rtmp->output);
}

void rtmp_output_clear(struct rtmp *rtmp)
{
    rtmp->output.size = 0;
}

bool rtmp_is_publishing(const struct rtmp *rtmp)
{
    return rtmp->state == RTMP_PUBLISHING;
}

bool rtmp_is_over(const struct rtmp *rtmp)
{
    return rtmp->state == RTMP_OVER;
}

const char *rtmp_reason(const struct rtmp *rtmp)
{
    return rtmp->reason;
}

__attribute__((cold, format(printf, 3, 4))) static int fail(struct rtmp *rtmp, int error,
                                                            const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(rtmp->reason, sizeof rtmp->reason, format, args);
    va_end(args);
    return error;
}

static void move(struct rtmp *rtmp, enum rtmp_state state)
{
    ASSERT(rtmp->state != RTMP_OVER);
    ASSERT(state == RTMP_OVER || state == rtmp->state + 1 ||
           (rtmp->state == RTMP_PUBLISHING && state == RTMP_CONNECTED));
    const bool is_trusted = state == RTMP_PUBLISHING;
    rtmp->state = state;
    rtmp->chunks.message_max = is_trusted ? RTMP_MESSAGE_MAX : RTMP_STRANGER_MESSAGE_MAX;
    rtmp->chunks.buffered_max = is_trusted ? RTMP_BUFFERED_MAX : RTMP_STRANGER_MAX;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Our chunk streams: that of control messages is fixed (section 5.4). */
enum { CHUNKS_OF_CONTROL = 2, CHUNKS_OF_COMMANDS = 3 };

/* A message in one chunk, with a header of type 0 (section 5.3.1.2.1). Returns where it begins. */
static size_t begin_message(struct rtmp *rtmp, enum rtmp_type type, uint32_t stream_id)
{
    struct writer *const output = &rtmp->output;
    const bool is_command = type == RTMP_COMMAND;
    const size_t begin = output->size;
    writer_u8(output, is_command ? CHUNKS_OF_COMMANDS : CHUNKS_OF_CONTROL);
    writer_u32be(output, 0); /* its time, and of its size the highest byte */
    writer_u16be(output, 0); /* the rest: see end_message */
    writer_u8(output, (uint8_t)type);
    writer_u32le(output, stream_id);
    return begin;
}

static void end_message(struct rtmp *rtmp, size_t begin)
{
    enum { SIZE_AT = 5, HEADER_SIZE = 12 };
    struct writer *const output = &rtmp->output;
    if (output->failed) {
        output->size = begin; /* none is sent by halves */
        return;
    }
    const size_t size = output->size - begin - HEADER_SIZE;
    const uint16_t wire = htobe16((uint16_t)size);
    ASSERT(size <= OUR_CHUNK_SIZE);
    memcpy(output->data + begin + SIZE_AT, &wire, sizeof wire);
}

static void write_control(struct rtmp *rtmp, enum rtmp_type type, uint32_t value)
{
    const size_t begin = begin_message(rtmp, type, 0);
    writer_u32be(&rtmp->output, value);
    if (type == RTMP_PEER_BANDWIDTH)
        writer_u8(&rtmp->output, 2); /* a limit that is dynamic, section 5.4.5 */
    end_message(rtmp, begin);
}

/* Section 7.1.7. */
enum user_event { STREAM_BEGIN = 0, PING_REQUEST = 6, PING_RESPONSE = 7 };

static void write_user_control(struct rtmp *rtmp, enum user_event event, uint32_t value)
{
    const size_t begin = begin_message(rtmp, RTMP_USER_CONTROL, 0);
    writer_u16be(&rtmp->output, (uint16_t)event);
    writer_u32be(&rtmp->output, value);
    end_message(rtmp, begin);
}

static void write_property(struct rtmp *rtmp, const char *name, const char *text)
{
    amf_write_name(&rtmp->output, slice_from_text(name));
    amf_write_string(&rtmp->output, slice_from_text(text));
}

static void write_number_property(struct rtmp *rtmp, const char *name, double number)
{
    amf_write_name(&rtmp->output, slice_from_text(name));
    amf_write_number(&rtmp->output, number);
}

/* What a command begins with: its name, and the number of the call that it answers or 0. */
static size_t begin_command(struct rtmp *rtmp, uint32_t stream_id, const char *name, double call)
{
    const size_t begin = begin_message(rtmp, RTMP_COMMAND, stream_id);
    amf_write_string(&rtmp->output, slice_from_text(name));
    amf_write_number(&rtmp->output, call);
    return begin;
}

/* The information object of onStatus, _result and _error (section 7.2). */
static void write_status(struct rtmp *rtmp, const char *level, const char *code, const char *text)
{
    amf_write_object_begin(&rtmp->output);
    write_property(rtmp, "level", level);
    write_property(rtmp, "code", code);
    write_property(rtmp, "description", text);
    amf_write_object_end(&rtmp->output);
}

static void write_on_status(struct rtmp *rtmp, const char *level, const char *code,
                            const char *text)
{
    const size_t begin = begin_command(rtmp, STREAM_ID, "onStatus", 0);
    amf_write_null(&rtmp->output);
    write_status(rtmp, level, code, text);
    end_message(rtmp, begin);
}

static void write_error(struct rtmp *rtmp, double call, const char *code, const char *text)
{
    const size_t begin = begin_command(rtmp, 0, "_error", call);
    amf_write_null(&rtmp->output);
    write_status(rtmp, "error", code, text);
    end_message(rtmp, begin);
}

/* An answer that says no more than that it is one. */
static void write_result(struct rtmp *rtmp, double call)
{
    const size_t begin = begin_command(rtmp, 0, "_result", call);
    amf_write_null(&rtmp->output);
    amf_write_null(&rtmp->output);
    end_message(rtmp, begin);
}

/* What we take of Enhanced RTMP ("Enhancing NetConnection connect Command"). */
static void write_codecs(struct rtmp *rtmp)
{
    enum { CAN_FORWARD = 4 };
    struct writer *const output = &rtmp->output;
    amf_write_name(output, SLICE("fourCcList"));
    amf_write_array_begin(output, 3);
    amf_write_string(output, SLICE("avc1"));
    amf_write_string(output, SLICE("hvc1"));
    amf_write_string(output, SLICE("mp4a"));
    amf_write_name(output, SLICE("videoFourCcInfoMap"));
    amf_write_object_begin(output);
    write_number_property(rtmp, "avc1", CAN_FORWARD);
    write_number_property(rtmp, "hvc1", CAN_FORWARD);
    amf_write_object_end(output);
    amf_write_name(output, SLICE("audioFourCcInfoMap"));
    amf_write_object_begin(output);
    write_number_property(rtmp, "mp4a", CAN_FORWARD);
    amf_write_object_end(output);
}

/* ---- The handshake --------------------------------------------------------------------------- */

/* Section 5.2.2: who asks for a version that is not known is answered with 3, and may go on with
 * that. From 32 on it is no RTMP: that is where text begins. */
static int read_version(struct rtmp *rtmp, struct leat_slice *input)
{
    const unsigned char version = (unsigned char)input->data[0];
    *input = slice_after(*input, 1);
    if (version >= 32)
        return fail(rtmp, -LEAT_E_MALFORMED, "it does not begin as RTMP does");
    move(rtmp, RTMP_C1);
    return 0;
}

/* S0, S1 and S2 at once. Our clock begins with the session: S1 is of the time 0, and so C1 was read
 * at 0, too, and S2 its echo, byte for byte (sections 5.2.3 and 5.2.4). The zeros in S1 say that
 * it has no digest. */
static void write_handshake(struct rtmp *rtmp)
{
    enum { VERSION = 3 };
    struct random random;
    random_init(&random, rtmp->seed);
    writer_u8(&rtmp->output, VERSION);
    writer_u64be(&rtmp->output, 0);
    for (unsigned size = 8; size < RTMP_HANDSHAKE_SIZE; size += 8)
        writer_u64be(&rtmp->output, random_next(&random));
    writer_bytes(&rtmp->output, slice_of(rtmp->handshake, sizeof rtmp->handshake));
}

/* C1 is kept, for its echo. C2 is passed over: many send what they like for ours. */
static void read_handshake(struct rtmp *rtmp, struct leat_slice *input)
{
    const size_t wanted = RTMP_HANDSHAKE_SIZE - rtmp->handshake_size;
    const size_t size = input->size < wanted ? input->size : wanted;
    if (rtmp->state == RTMP_C1)
        memcpy(rtmp->handshake + rtmp->handshake_size, input->data, size);
    rtmp->handshake_size += (unsigned)size;
    *input = slice_after(*input, size);
    if (rtmp->handshake_size < RTMP_HANDSHAKE_SIZE)
        return;
    rtmp->handshake_size = 0;
    if (rtmp->state == RTMP_C1)
        write_handshake(rtmp);
    move(rtmp, rtmp->state + 1);
}

/* ---- Commands -------------------------------------------------------------------------------- */

struct command {
    struct leat_slice name;
    double call; /* the transaction's id; 0: no answer is wanted */
    struct cursor arguments;
};

/* The application, without slashes at its end and without parameters, which some put there. False:
 * it can be nobody's. */
static bool keep_app(struct rtmp *rtmp, struct leat_slice app)
{
    size_t size = 0;
    while (size < app.size && app.data[size] != '?')
        size++;
    while (size > 0 && app.data[size - 1] == '/')
        size--;
    if (size >= RTMP_APP_SIZE)
        return false;
    for (size_t index = 0; index < size; index++) {
        if (app.data[index] == '\0')
            return false;
        rtmp->app[index] = app.data[index];
    }
    return true;
}

static void accept_connect(struct rtmp *rtmp, const struct command *command)
{
    write_control(rtmp, RTMP_WINDOW_SIZE, RTMP_WINDOW);
    write_control(rtmp, RTMP_PEER_BANDWIDTH, RTMP_WINDOW);
    const size_t begin = begin_command(rtmp, 0, "_result", command->call);
    amf_write_object_begin(&rtmp->output);
    write_property(rtmp, "fmsVer", "FMS/3,0,1,123"); /* some look for a server that they know */
    write_number_property(rtmp, "capabilities", 31);
    write_codecs(rtmp);
    amf_write_object_end(&rtmp->output);
    write_status(rtmp, "status", "NetConnection.Connect.Success", "connected");
    end_message(rtmp, begin);
    move(rtmp, RTMP_CONNECTED);
}

/* Section 7.2.1.1. */
static int connect(struct rtmp *rtmp, struct command *command)
{
    struct amf_value object;
    char reason[RTMP_REASON_SIZE] = "there is no such application";
    amf_take(&command->arguments, &object);
    if (command->arguments.failed)
        return fail(rtmp, -LEAT_E_MALFORMED, "its connect cannot be read");
    write_control(rtmp, RTMP_SET_CHUNK_SIZE, OUR_CHUNK_SIZE);
    if (keep_app(rtmp, amf_find_string(&object, SLICE("app"))) &&
        rtmp->events.on_connect(rtmp->app, reason, rtmp->events.user) == RTMP_ACCEPT) {
        accept_connect(rtmp, command);
        return 0;
    }
    write_error(rtmp, command->call, "NetConnection.Connect.Rejected", reason);
    move(rtmp, RTMP_OVER);
    return 0;
}

/* Section 7.2.1.3. */
static int create_stream(struct rtmp *rtmp, struct command *command)
{
    const size_t begin = begin_command(rtmp, 0, "_result", command->call);
    amf_write_null(&rtmp->output);
    amf_write_number(&rtmp->output, STREAM_ID);
    end_message(rtmp, begin);
    return 0;
}

static int refuse_publish(struct rtmp *rtmp, enum rtmp_answer answer, const char *reason)
{
    write_on_status(
        rtmp, "error",
        answer == RTMP_BAD_NAME ? "NetStream.Publish.BadName" : "NetStream.Publish.Denied", reason);
    move(rtmp, RTMP_OVER);
    return 0;
}

/* Section 7.2.2.6. "live", "record" and "append" are the same to us. */
static int publish(struct rtmp *rtmp, struct command *command)
{
    struct amf_value nothing;
    char reason[RTMP_REASON_SIZE] = "";
    amf_take(&command->arguments, &nothing);
    const struct leat_slice path = amf_take_string(&command->arguments);
    if (command->arguments.failed)
        return fail(rtmp, -LEAT_E_MALFORMED, "its publish cannot be read");
    if (rtmp->state == RTMP_PUBLISHING)
        return fail(rtmp, -LEAT_E_MALFORMED, "it publishes already");
    const char *const mark = path.size > 0 ? memchr(path.data, '?', path.size) : NULL;
    struct rtmp_publish asked = {.app = rtmp->app, .name = path};
    if (mark) {
        asked.name.size = (size_t)(mark - path.data);
        asked.query = slice_after(path, asked.name.size + 1);
    }
    const enum rtmp_answer answer = rtmp->events.on_publish(&asked, reason, rtmp->events.user);
    if (answer != RTMP_ACCEPT)
        return refuse_publish(rtmp, answer, reason);
    rtmp->has_time = false;
    move(rtmp, RTMP_PUBLISHING);
    write_user_control(rtmp, STREAM_BEGIN, STREAM_ID);
    write_on_status(rtmp, "status", "NetStream.Publish.Start", "publishing");
    return 0;
}

/* deleteStream (section 7.2.2.3), closeStream, and FCUnpublish, which comes before it. */
static int unpublish(struct rtmp *rtmp, struct command *command)
{
    if (rtmp->state == RTMP_PUBLISHING) {
        move(rtmp, RTMP_CONNECTED);
        rtmp->events.on_unpublish(rtmp->events.user);
        write_on_status(rtmp, "status", "NetStream.Unpublish.Success", "no longer published");
    }
    if (command->call != 0)
        write_result(rtmp, command->call);
    return 0;
}

static int play(struct rtmp *rtmp, struct command *command)
{
    (void)command;
    write_on_status(rtmp, "error", "NetStream.Play.Failed",
                    "publish only: watch it over HTTP, as HLS or DASH");
    if (rtmp->state == RTMP_PUBLISHING)
        rtmp->events.on_unpublish(rtmp->events.user);
    move(rtmp, RTMP_OVER);
    return 0;
}

/* releaseStream and FCPublish, which no document describes and many send before they publish. */
static int agree(struct rtmp *rtmp, struct command *command)
{
    if (command->call != 0)
        write_result(rtmp, command->call);
    return 0;
}

/* Of section 7.2.1.2: who calls what is not there is told so. Answers to calls are none. */
static int refuse_call(struct rtmp *rtmp, struct command *command)
{
    const bool is_answer =
        slice_equal(command->name, SLICE("_result")) || slice_equal(command->name, SLICE("_error"));
    if (command->call != 0 && !is_answer)
        write_error(rtmp, command->call, "NetConnection.Call.Failed", "there is no such call");
    return 0;
}

static int obey(struct rtmp *rtmp, struct leat_slice body)
{
    static const struct {
        struct leat_slice name;
        int (*obey)(struct rtmp *rtmp, struct command *command);
    } commands[] = {
        {SLICE("createStream"), create_stream},
        {SLICE("publish"), publish},
        {SLICE("releaseStream"), agree},
        {SLICE("FCPublish"), agree},
        {SLICE("FCUnpublish"), unpublish},
        {SLICE("deleteStream"), unpublish},
        {SLICE("closeStream"), unpublish},
        {SLICE("play"), play},
        {SLICE("play2"), play},
    };
    struct command command = {.arguments = cursor_over(body)};
    command.name = amf_take_string(&command.arguments);
    command.call = amf_take_number(&command.arguments);
    if (command.arguments.failed)
        return fail(rtmp, -LEAT_E_MALFORMED, "a command cannot be read");
    const bool is_connect = slice_equal(command.name, SLICE("connect"));
    if (is_connect != (rtmp->state == RTMP_INVITED))
        return fail(rtmp, -LEAT_E_MALFORMED,
                    is_connect ? "it connects twice" : "it has not connected");
    if (is_connect)
        return connect(rtmp, &command);
    for (unsigned index = 0; index < sizeof commands / sizeof *commands; index++)
        if (slice_equal(command.name, commands[index].name))
            return commands[index].obey(rtmp, &command);
    return refuse_call(rtmp, &command);
}

/* ---- Media ----------------------------------------------------------------------------------- */

/* Times have 32 bits, and wrap after 49 days: the next is that which is nearest to the last
 * (section 4, with the arithmetic of RFC 1982). */
static int64_t unfold_time(struct rtmp *rtmp, uint32_t time_ms)
{
    if (rtmp->has_time)
        rtmp->time_ms += (int32_t)(time_ms - (uint32_t)rtmp->time_ms);
    else
        rtmp->time_ms = time_ms;
    rtmp->has_time = true;
    return rtmp->time_ms;
}

static int take_media(struct rtmp *rtmp, uint8_t type, uint32_t time_ms, struct leat_slice body)
{
    ASSERT(type == RTMP_AUDIO || type == RTMP_VIDEO);
    if (rtmp->state != RTMP_PUBLISHING)
        return fail(rtmp, -LEAT_E_MALFORMED, "it sends media and does not publish");
    return rtmp->events.on_media(type, unfold_time(rtmp, time_ms), body, rtmp->events.user);
}

/* Section 7.1.6: tags as in an FLV file. Their times are moved so that the first is of the
 * message's time. */
static int take_aggregate(struct rtmp *rtmp, const struct rtmp_message *message)
{
    enum { BACK_POINTER_SIZE = 4, STREAM_ID_SIZE = 3 };
    struct cursor cursor = cursor_over(message->body);
    uint32_t offset_ms = 0;
    int result = 0;
    for (bool is_first = true; result == 0 && cursor_left(&cursor) > 0; is_first = false) {
        const uint8_t type = cursor_u8(&cursor);
        const uint32_t size_high = cursor_u8(&cursor);
        const uint32_t size = size_high << 16 | cursor_u16be(&cursor);
        const uint32_t low = cursor_u32be(&cursor); /* 24 bits, and then the highest 8 */
        const uint32_t time_ms = low >> 8 | low << 24;
        cursor_skip(&cursor, STREAM_ID_SIZE);
        const struct leat_slice body = cursor_bytes(&cursor, size);
        cursor_skip(&cursor, BACK_POINTER_SIZE);
        if (cursor.failed)
            return fail(rtmp, -LEAT_E_MALFORMED, "an aggregate message is cut off");
        if (is_first)
            offset_ms = message->time_ms - time_ms;
        if (type == RTMP_AUDIO || type == RTMP_VIDEO)
            result = take_media(rtmp, type, time_ms + offset_ms, body);
    }
    return result;
}

/* ---- Messages -------------------------------------------------------------------------------- */

static int take_window(struct rtmp *rtmp, struct cursor body)
{
    const uint32_t window = cursor_u32be(&body);
    if (body.failed || window == 0)
        return fail(rtmp, -LEAT_E_MALFORMED, "a window of acknowledgements is none");
    rtmp->window = window;
    return 0;
}

static int take_user_control(struct rtmp *rtmp, struct cursor body)
{
    const uint16_t event = cursor_u16be(&body);
    const uint32_t value = cursor_u32be(&body);
    if (event == PING_REQUEST && !body.failed)
        write_user_control(rtmp, PING_RESPONSE, value);
    return 0;
}

/* What is not known, and what is of no use here (metadata, shared objects, acknowledgements: how
 * fast we may send is no question) is passed over. */
static int take_message(struct rtmp *rtmp, const struct rtmp_message *message)
{
    struct leat_slice body = message->body;
    switch (message->type) {
    case RTMP_USER_CONTROL: return take_user_control(rtmp, cursor_over(body));
    case RTMP_WINDOW_SIZE: return take_window(rtmp, cursor_over(body));
    case RTMP_COMMAND_AMF3:
        /* A zero says that AMF 0 follows, as it does with all that publish. */
        if (body.size == 0 || body.data[0] != 0)
            return fail(rtmp, -LEAT_E_MALFORMED, "a command is in AMF 3, not AMF 0");
        return obey(rtmp, slice_after(body, 1));
    case RTMP_COMMAND: return obey(rtmp, body);
    case RTMP_AUDIO:
    case RTMP_VIDEO: return take_media(rtmp, message->type, message->time_ms, body);
    case RTMP_AGGREGATE: return take_aggregate(rtmp, message);
    default: return 0;
    }
}

/* All that are whole. */
static int take_messages(struct rtmp *rtmp, struct leat_slice *input)
{
    int result = 1;
    while (result > 0 && rtmp->state != RTMP_OVER) {
        struct rtmp_message message;
        result = rtmp_chunks_next(&rtmp->chunks, input, &message);
        if (result < 0 && rtmp->chunks.reason)
            return fail(rtmp, result, "%s", rtmp->chunks.reason);
        if (result > 0) {
            const int error = take_message(rtmp, &message);
            if (error)
                return error;
        }
    }
    return result < 0 ? result : 0;
}

int rtmp_feed(struct rtmp *rtmp, struct leat_slice bytes)
{
    int result = 0;
    rtmp->received += (uint32_t)bytes.size;
    while (result == 0 && bytes.size > 0 && rtmp->state != RTMP_OVER) {
        switch (rtmp->state) {
        case RTMP_C0: result = read_version(rtmp, &bytes); break;
        case RTMP_C1:
        case RTMP_C2: read_handshake(rtmp, &bytes); break;
        default: result = take_messages(rtmp, &bytes); break;
        }
    }
    if (rtmp->state >= RTMP_CONNECTED && rtmp->received - rtmp->acknowledged >= rtmp->window) {
        write_control(rtmp, RTMP_ACKNOWLEDGEMENT, rtmp->received);
        rtmp->acknowledged = rtmp->received;
    }
    if (result == 0 && rtmp->output.failed)
        result = fail(rtmp, -LEAT_E_LIMIT, "it asks for more answers than are kept");
    return result;
}

void rtmp_give_up(struct rtmp *rtmp, const char *reason)
{
    if (rtmp->state >= RTMP_CONNECTED && rtmp->state != RTMP_OVER)
        write_on_status(rtmp, "error", "NetStream.Failed", reason);
    if (rtmp->state != RTMP_OVER)
        move(rtmp, RTMP_OVER);
}
