/* SPDX-License-Identifier: MIT */
/*
 * Happy eyeballs, in the fiber that wants the connection: it begins attempts, as operations on its
 * stack, and sleeps until one has ended, more is known of the name, or it is time for another. The
 * first to connect wins; the others are cancelled and waited for, and what connects too late is
 * closed.
 */
#include "net/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fiber/fiber.h"
#include "leat/error.h"
#include "net/resolve.h"
#include "net/stream.h"

enum { ATTEMPTS_MAX = RESOLVE_FAMILIES * RESOLVE_HOSTS_MAX };

struct attempt {
    struct op op;
    struct dial *dial;
    struct leat_address address;
    int fd;
};

struct dial {
    struct leat_loop *loop;
    struct fiber *fiber;
    const struct leat_tuning *tuning;
    uint16_t port;
    struct resolve_wait names;
    unsigned begun[RESOLVE_FAMILIES]; /* attempts, of each family */
    enum resolve_family next;         /* whose turn it is */
    int64_t next_ns;                  /* not before, while an attempt is under way */
    struct attempt attempts[ATTEMPTS_MAX];
    unsigned attempt_count, open_count;
    int fd;    /* of the winner, or -1 */
    int error; /* of the last attempt that failed */
};

/* ---- Attempts -------------------------------------------------------------------------------- */

static void attempt_failed(struct dial *dial, int error)
{
    ASSERT(error < 0);
    dial->error = error;
    dial->next_ns = 0; /* the next one need not wait */
}

static void on_connected(struct op *op, const struct completion *completion)
{
    struct attempt *attempt = CONTAINER_OF(op, struct attempt, op);
    struct dial *dial = attempt->dial;
    ASSERT(dial->open_count > 0);
    dial->open_count--;
    if (completion->result == 0 && dial->fd < 0) {
        dial->fd = attempt->fd;
        resolve_prefer(&dial->names, leat_address_family(&attempt->address) == AF_INET6
                                         ? RESOLVE_V6
                                         : RESOLVE_V4);
    } else {
        dial->loop->ops->close(dial->loop->backend, attempt->fd);
        if (completion->result < 0)
            attempt_failed(dial, completion->result);
    }
    fiber_wake(dial->fiber);
}

static void begin_attempt(struct dial *dial, const struct leat_address *address)
{
    ASSERT(dial->attempt_count < ATTEMPTS_MAX);
    struct attempt *attempt = &dial->attempts[dial->attempt_count++];
    const int fd = stream_socket(address, dial->tuning);
    if (fd < 0) {
        attempt->fd = -1;
        op_init(&attempt->op, OP_CONNECT, -1, on_connected);
        attempt_failed(dial, fd);
        return;
    }
    attempt->dial = dial;
    attempt->address = *address;
    attempt->fd = fd;
    op_init(&attempt->op, OP_CONNECT, fd, on_connected);
    attempt->op.connect.address = &attempt->address.base;
    attempt->op.connect.size = attempt->address.size;
    dial->open_count++;
    dial->next_ns = dial->loop->now_ns + DIAL_ATTEMPT_DELAY_MS * LEAT_NS_PER_MS;
    loop_submit(dial->loop, &attempt->op);
}

/* ---- Which, and when ------------------------------------------------------------------------- */

static enum resolve_family other(enum resolve_family family)
{
    return family == RESOLVE_V6 ? RESOLVE_V4 : RESOLVE_V6;
}

/* The next address, of the family whose turn it is if that has one; false: there is none now. */
static bool find_address(const struct dial *dial, struct leat_address *ret_address,
                         enum resolve_family *ret_family)
{
    enum resolve_family family = dial->next;
    for (unsigned i = 0; i < RESOLVE_FAMILIES; i++, family = other(family)) {
        if (resolve_address(&dial->names, family, dial->begun[family], dial->port, ret_address)) {
            *ret_family = family;
            return true;
        }
    }
    return false;
}

/* Begins the next attempt if it is time for it. Else false, and *ret_when_ns says when it will be,
 * if nothing happens before. */
static bool begin_next(struct dial *dial, int64_t *ret_when_ns)
{
    const int64_t now_ns = dial->loop->now_ns;
    struct leat_address address;
    enum resolve_family family;
    *ret_when_ns = LEAT_FOREVER;
    if (!find_address(dial, &address, &family))
        return false;
    int64_t when_ns = dial->open_count > 0 ? dial->next_ns : 0;
    /* The family to begin with has no answer yet: it gets a moment more than the other one. */
    if (dial->attempt_count == 0 && family != dial->next &&
        !resolve_is_over(&dial->names, dial->next))
        when_ns = resolve_since_ns(&dial->names) + DIAL_RESOLUTION_DELAY_MS * LEAT_NS_PER_MS;
    if (now_ns < when_ns) {
        *ret_when_ns = when_ns;
        return false;
    }
    dial->begun[family]++;
    dial->next = other(family);
    begin_attempt(dial, &address);
    return true;
}

static bool is_everything_known(const struct dial *dial)
{
    return resolve_is_over(&dial->names, RESOLVE_V6) && resolve_is_over(&dial->names, RESOLVE_V4);
}

static void wake(void *user)
{
    fiber_wake(user);
}

/* 0: there is a winner. */
static int run(struct dial *dial, int64_t deadline_ns)
{
    while (dial->fd < 0) {
        int64_t when_ns;
        const int reason = fiber_interruption(deadline_ns);
        if (reason)
            return reason;
        if (begin_next(dial, &when_ns))
            continue;
        if (dial->open_count == 0 && when_ns == LEAT_FOREVER && is_everything_known(dial))
            return dial->attempt_count > 0 ? dial->error : resolve_error(&dial->names);
        fiber_park(when_ns < deadline_ns ? when_ns : deadline_ns, wake, dial->fiber);
    }
    return 0;
}

static int dial_name(const char *host, uint16_t port, const struct leat_tuning *tuning,
                     int64_t deadline_ns)
{
    struct dial dial;
    memset(&dial, 0, offsetof(struct dial, attempts));
    dial.loop = loop_current;
    dial.fiber = fiber_current();
    dial.tuning = tuning;
    dial.port = port;
    dial.attempt_count = dial.open_count = 0;
    dial.fd = -1;
    dial.error = 0;
    int error = fiber_interruption(deadline_ns);
    if (!error)
        error = resolve_begin(&dial.names, host);
    if (error)
        return error;
    dial.next = resolve_preferred(&dial.names);
    error = run(&dial, deadline_ns);
    for (unsigned i = 0; i < dial.attempt_count; i++)
        loop_cancel(dial.loop, &dial.attempts[i].op);
    while (dial.open_count > 0)
        fiber_park_sealed();
    resolve_end(&dial.names);
    /* It may have connected when it was no longer wanted. */
    ASSERT(error || dial.fd >= 0);
    return dial.fd >= 0 ? dial.fd : error;
}

/* ---- The calls ------------------------------------------------------------------------------- */

/* An address in numbers? */
static bool parse_host(const char *host, uint16_t port, struct leat_address *ret_address)
{
    char text[LEAT_ADDRESS_TEXT_SIZE];
    const bool is_v6 = strchr(host, ':') != NULL;
    const int size = snprintf(text, sizeof text, is_v6 ? "[%s]:%u" : "%s:%u", host, port);
    return size < (int)sizeof text && leat_address_parse(text, ret_address, NULL) == 0;
}

int dial_host(const char *host, uint16_t port, const struct leat_tuning *tuning,
              int64_t deadline_ns)
{
    struct leat_address address;
    ASSERT(loop_current && fiber_current());
    if (parse_host(host, port, &address))
        return stream_connect(&address, tuning, deadline_ns);
    return dial_name(host, port, tuning, deadline_ns);
}

int leat_dial(const char *host, uint16_t port, const struct leat_tuning *tuning,
              int64_t deadline_ns, struct leat_stream **ret_stream)
{
    struct leat_stream *stream = malloc(sizeof *stream);
    if (!stream)
        return -ENOMEM;
    const int fd = dial_host(host, port, tuning, deadline_ns);
    if (fd < 0) {
        free(stream);
        return fd;
    }
    stream_init(stream, loop_current, fd);
    *ret_stream = stream;
    return 0;
}
