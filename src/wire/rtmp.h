/* SPDX-License-Identifier: MIT */
/*
 * The server's half of an RTMP session in which somebody publishes (Adobe, "Real Time Messaging
 * Protocol (RTMP) specification 1.0"; "Enhanced RTMP" v2 for what it announces). Sans I/O: bytes
 * go in, events and bytes to be sent come out. A session publishes one stream at a time, and
 * playing is refused.
 *
 *   C0 -> C1 -> C2 --connect--> CONNECTED --publish--> PUBLISHING
 *                    (INVITED)      ^ '- - refused - -.    |
 *                                   '--- deleteStream -+---'
 *                                                      v
 *                        an error, a refusal:         OVER
 *
 * Nothing that comes is believed, and until the owner has accepted a publisher he holds little
 * memory (RTMP_STRANGER_MAX).
 */
#ifndef WIRE_RTMP_H
#define WIRE_RTMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/media_events.h"
#include "wire/rtmp_chunks.h"

enum {
    RTMP_HANDSHAKE_SIZE = 1536, /* of C1, S1, C2 and S2, section 5.2 */
    RTMP_APP_SIZE = 128,        /* with its zero */
    RTMP_REASON_SIZE = MEDIA_REASON_SIZE,
    RTMP_OUTPUT_MAX = 16 * 1024, /* bytes; a peer that has more of them coming is sent away */
    RTMP_MESSAGE_MAX = MEDIA_SAMPLE_MAX + 4096, /* a sample, and what is before it */
    RTMP_BUFFERED_MAX = 2 * RTMP_MESSAGE_MAX,   /* all messages that are begun */
    RTMP_STRANGER_MESSAGE_MAX = 64 * 1024,      /* the same, before it may publish */
    RTMP_STRANGER_MAX = 4 * RTMP_STRANGER_MESSAGE_MAX,
    RTMP_WINDOW = 2500 * 1000, /* bytes that each side may have sent without an answer */
};

enum rtmp_answer {
    RTMP_ACCEPT,
    RTMP_BAD_NAME, /* NetStream.Publish.BadName: taken, or no name */
    RTMP_DENIED,   /* NetStream.Publish.Denied; to connect: NetConnection.Connect.Rejected */
};

struct rtmp_publish {
    const char *app;               /* without slashes at its end */
    struct leat_slice name, query; /* as in "NAME?QUERY"; neither is decoded */
};

/* All is borrowed for the call. */
struct rtmp_events {
    /* May the client connect to this application? Otherwise a line for people goes into ret_reason
     * (RTMP_REASON_SIZE bytes). */
    enum rtmp_answer (*on_connect)(const char *app, char *ret_reason, void *user);
    enum rtmp_answer (*on_publish)(const struct rtmp_publish *publish, char *ret_reason,
                                   void *user);
    /* A message of type RTMP_VIDEO or RTMP_AUDIO for wire/flv: 0, or an error that ends the session
     * and is returned. The time is the publisher's, beyond its 32 bits. */
    int (*on_media)(enum rtmp_type type, int64_t time_ms, struct leat_slice body, void *user);
    /* The publisher has said that it is done: not when its connection breaks. */
    void (*on_unpublish)(void *user);
    void *user;
};

struct rtmp;

/* `events` is copied. `seed` varies the handshake. -ENOMEM. */
int rtmp_create(const struct rtmp_events *events, uint64_t seed, struct rtmp **ret_rtmp);
void rtmp_destroy(struct rtmp *rtmp); /* NULL is fine */

/* The next bytes, which may call events. 0; -LEAT_E_MALFORMED, -LEAT_E_LIMIT with the reason;
 * -ENOMEM; or what an event returned. After an error only rtmp_give_up, the output, and
 * rtmp_destroy are left. When the session is over what comes is dropped. */
int rtmp_feed(struct rtmp *rtmp, struct leat_slice bytes);

/* What is to be sent, as long as the session is not fed. */
struct leat_slice rtmp_output(const struct rtmp *rtmp);
/* It was sent, or will never be. */
void rtmp_output_clear(struct rtmp *rtmp);

bool rtmp_is_publishing(const struct rtmp *rtmp);
/* Nothing more will come of it: when its output has been sent the connection can be closed. */
bool rtmp_is_over(const struct rtmp *rtmp);

/* Ends the session with a word to the client, if it is far enough to understand it. */
void rtmp_give_up(struct rtmp *rtmp, const char *reason);

/* One line, such as "a chunk size is none". Empty as long as there was no error of ours. */
const char *rtmp_reason(const struct rtmp *rtmp);

#endif
