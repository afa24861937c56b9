/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the client share: a server that does what it is told to, in fibers on the
 * test's own loop, over real sockets, and keeps every byte that it hears. The n-th request gets the
 * n-th answer, whatever the connection, and those beyond the last answer get that again.
 */
#ifndef TESTS_UNIT_HTTP_ORIGIN_H
#define TESTS_UNIT_HTTP_ORIGIN_H

#include "../engines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/slice.h"
#include "http/body.h"
#include "leat/address.h"
#include "leat/clock.h"
#include "leat/fiber.h"
#include "leat/listener.h"
#include "mem/arena.h"
#include "net/stream.h"

enum origin_end {
    ORIGIN_KEEPS,
    ORIGIN_CLOSES,
    ORIGIN_RESETS,
    ORIGIN_HANGS,
};

struct origin_answer {
    const char *interim; /* said behind the request's head; NULL: nothing is */
    const char *text;    /* said behind its body */
    size_t size;         /* of the text; 0: all of it */
    bool is_early;       /* said behind the head; the body is not read */
    bool is_trickled;    /* a byte at a time */
    enum origin_end end;
};

enum { ORIGIN_BUFFER_SIZE = 64 * 1024 };

struct origin {
    struct leat_scope scope;
    struct leat_listener *listener;
    uint16_t port;
    const struct origin_answer *answers;
    size_t answer_count;
    unsigned connections, requests;
    char heard[4 * ORIGIN_BUFFER_SIZE]; /* zero-terminated */
    size_t heard_size;
};

struct origin_visit {
    struct origin *origin;
    struct leat_stream *stream;
    char data[ORIGIN_BUFFER_SIZE];
    size_t size;
};

static inline void origin_hear(struct origin *origin, const char *data, size_t size)
{
    if (size > sizeof origin->heard - 1 - origin->heard_size)
        size = sizeof origin->heard - 1 - origin->heard_size;
    memcpy(origin->heard + origin->heard_size, data, size);
    origin->heard_size += size;
    origin->heard[origin->heard_size] = '\0';
}

/* More bytes behind those that are there; false at the end. */
static inline bool origin_receive(struct origin_visit *visit)
{
    if (visit->size == sizeof visit->data)
        return false;
    const ssize_t size = leat_stream_read(visit->stream, visit->data + visit->size,
                                          sizeof visit->data - visit->size, LEAT_FOREVER);
    if (size <= 0)
        return false;
    origin_hear(visit->origin, visit->data + visit->size, (size_t)size);
    visit->size += (size_t)size;
    return true;
}

static inline void origin_forget(struct origin_visit *visit, size_t size)
{
    memmove(visit->data, visit->data + size, visit->size - size);
    visit->size -= size;
}

/* The head of the next request; false: it does not come. */
static inline bool origin_read_head(struct origin_visit *visit, struct http1_request *head)
{
    int size;
    while ((size = http1_parse_request(slice_of(visit->data, visit->size), 0, NULL, head)) <= 0) {
        assert_int_equal(size, 0);
        if (!origin_receive(visit))
            return false;
    }
    origin_forget(visit, (size_t)size);
    return true;
}

static inline bool origin_read_body(struct origin_visit *visit, struct body *body)
{
    while (body_is_open(body)) {
        struct leat_slice input = slice_of(visit->data, visit->size), piece;
        while (body_next(body, &input, &piece) > 0)
            ;
        assert_int_not_equal(body->state, BODY_BROKEN);
        origin_forget(visit, visit->size - input.size);
        if (body_is_open(body) && !origin_receive(visit))
            return false;
    }
    return true;
}

static inline bool origin_say(struct origin_visit *visit, const struct origin_answer *answer)
{
    const size_t size = answer->size > 0 ? answer->size : strlen(answer->text);
    const size_t step = answer->is_trickled ? 1 : size;
    for (size_t at = 0; at < size; at += step) {
        if (leat_stream_write(visit->stream, answer->text + at, step, LEAT_FOREVER) != 0)
            return false;
        if (answer->is_trickled && leat_yield() != 0)
            return false;
    }
    return true;
}

/* Answers one request; false: the connection is over. */
static inline bool origin_answer(struct origin_visit *visit)
{
    struct origin *origin = visit->origin;
    static struct http1_request head; /* too large for a stack, and not looked at behind a wait */
    struct body body;
    struct arena arena;
    if (!origin_read_head(visit, &head))
        return false;
    arena_init(&arena, NULL);
    body_init(&body, &head, UINT64_MAX, &arena);
    const size_t index =
        origin->requests < origin->answer_count ? origin->requests : origin->answer_count - 1;
    /* A copy: who asked may be done with it before we are. */
    const struct origin_answer answer = origin->answers[index];
    origin->requests++;
    bool goes_on = !answer.interim || leat_stream_write(visit->stream, answer.interim,
                                                        strlen(answer.interim), LEAT_FOREVER) == 0;
    goes_on = goes_on && (answer.is_early || origin_read_body(visit, &body));
    goes_on = goes_on && (!answer.text || origin_say(visit, &answer));
    arena_fini(&arena);
    if (goes_on && answer.end == ORIGIN_HANGS)
        (void)leat_sleep_until(LEAT_FOREVER - 1);
    if (goes_on && answer.end == ORIGIN_RESETS) {
        const struct linger linger = {.l_onoff = 1};
        setsockopt(visit->stream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    return goes_on && answer.end == ORIGIN_KEEPS;
}

static inline void origin_visit(void *arg)
{
    struct origin_visit *visit = arg;
    while (origin_answer(visit))
        ;
    leat_stream_close(visit->stream);
    free(visit);
}

static inline void origin_accept(void *arg)
{
    struct origin *origin = arg;
    struct leat_stream *stream;
    while (leat_accept(origin->listener, LEAT_FOREVER, &stream) == 0) {
        struct origin_visit *visit = calloc(1, sizeof *visit);
        assert_non_null(visit);
        visit->origin = origin;
        visit->stream = stream;
        origin->connections++;
        assert_int_equal(leat_spawn(&origin->scope, origin_visit, visit, NULL), 0);
    }
}

static inline struct origin *origin_start(const struct origin_answer *answers, size_t count)
{
    struct leat_address address;
    struct origin *origin = calloc(1, sizeof *origin);
    assert_non_null(origin);
    origin->answers = answers;
    origin->answer_count = count;
    leat_scope_init(&origin->scope);
    assert_int_equal(leat_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(leat_listen(&address, NULL, &origin->listener), 0);
    origin->port = leat_address_port(leat_listener_address(origin->listener));
    assert_int_equal(leat_spawn(&origin->scope, origin_accept, origin, NULL), 0);
    return origin;
}

#define ORIGIN_START(answers) origin_start(answers, sizeof(answers) / sizeof((answers)[0]))

static inline void origin_stop(struct origin *origin)
{
    leat_scope_fini(&origin->scope);
    leat_listener_close(origin->listener);
    free(origin);
}

/* What it has heard so far is forgotten, its answers begin anew. */
static inline void origin_begin_again(struct origin *origin)
{
    origin->heard_size = 0;
    origin->heard[0] = '\0';
    origin->requests = origin->connections = 0;
}

#endif
