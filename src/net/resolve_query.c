/* SPDX-License-Identifier: MIT */
/*
 * Questions to name servers: a channel of c-ares whose sockets are the loop's. c-ares makes, uses
 * and closes them through the door; an OP_POLL each tells it when, and a timer when to ask again.
 *
 *     resolve_query ──> c-ares ──socket, connect, send──> door
 *     OP_POLL, timer ──> ares_process_fd ──recv──> door
 *                            └──> on_answer ──> resolve_half_over
 *
 * A socket that c-ares has closed stays ours until its poll has ended, as the rule of operations
 * wants it; its descriptor is closed then, and cannot be mistaken for another meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "leat/error.h"
#include "net/resolve_parts.h"

enum {
    /* c-ares waits so long for a server's answer at first, twice as long when all have been asked
     * in vain, and four times as long at the last try. */
    TRY_MS = 2000,
    TRIES = 3,
};

struct resolve_socket {
    struct list_node node;
    struct resolver *resolver;
    struct op op;
    int fd;
    short events; /* that c-ares waits for */
    bool is_closing;
    bool is_refused; /* an earlier datagram was, and c-ares does not know it yet */
    struct sockaddr_storage peer;
    ares_socklen_t peer_size;
};

/* ---- Sockets, as the loop has them ----------------------------------------------------------- */

static struct resolve_socket *find_socket(struct resolver *resolver, int fd)
{
    LIST_FOR_EACH (node, &resolver->sockets) {
        struct resolve_socket *socket = CONTAINER_OF(node, struct resolve_socket, node);
        if (socket->fd == fd && !socket->is_closing)
            return socket;
    }
    return NULL;
}

static void release(struct resolve_socket *socket)
{
    struct resolver *resolver = socket->resolver;
    ASSERT(socket->is_closing && !op_is_busy(&socket->op));
    resolver->loop->ops->close(resolver->loop->backend, socket->fd);
    list_remove(&socket->node);
    free(socket);
    resolve_released(resolver);
}

static void on_ready(struct op *op, const struct completion *completion)
{
    struct resolve_socket *socket = CONTAINER_OF(op, struct resolve_socket, op);
    struct resolver *resolver = socket->resolver;
    if (socket->is_closing) {
        release(socket);
        return;
    }
    /* -ECANCELED: what it waits for has changed. Another error is for c-ares to find. */
    int events = completion->result;
    if (events < 0)
        events = events == -ECANCELED ? 0 : POLLERR;
    const ares_socket_t fd = socket->fd;
    const bool is_wrong = events & (POLLERR | POLLHUP);
    const bool reads = socket->events & POLLIN && (events & POLLIN || is_wrong);
    const bool writes = socket->events & POLLOUT && (events & POLLOUT || is_wrong);
    if (reads || writes)
        ares_process_fd(resolver->config.channel, reads ? fd : ARES_SOCKET_BAD,
                        writes ? fd : ARES_SOCKET_BAD);
    resolve_settle(resolver); /* the socket may be no more */
}

static void arm(struct resolve_socket *socket)
{
    if (socket->is_closing || op_is_busy(&socket->op) || socket->events == 0)
        return;
    op_init(&socket->op, OP_POLL, socket->fd, on_ready);
    socket->op.poll.events = socket->events;
    loop_submit(socket->resolver->loop, &socket->op);
}

static void on_timer(struct timer *timer)
{
    struct resolver *resolver = CONTAINER_OF(timer, struct resolver, timer);
    ares_process_fd(resolver->config.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    resolve_settle(resolver);
}

void resolve_timer_init(struct resolver *resolver)
{
    timer_init(&resolver->timer, on_timer);
}

void resolve_settle(struct resolver *resolver)
{
    struct timeval left;
    struct leat_loop *loop = resolver->loop;
    LIST_FOR_EACH (node, &resolver->sockets)
        arm(CONTAINER_OF(node, struct resolve_socket, node));
    if (resolver->pending > 0 && ares_timeout(resolver->config.channel, NULL, &left)) {
        /* The loop's clock is that of its turn's begin, c-ares's is not; a little late is well. */
        const int64_t left_ns = left.tv_sec * LEAT_NS_PER_S + left.tv_usec * LEAT_NS_PER_US;
        loop_timer_start(loop, &resolver->timer,
                         loop->ops->now_ns(loop->backend) + left_ns + LEAT_NS_PER_MS);
    } else {
        loop_timer_stop(loop, &resolver->timer);
    }
}

/* ---- Sockets, as c-ares has them: as the system's calls -------------------------------------- */

static ares_ssize_t outcome(ssize_t result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

static ares_socket_t make_socket(int domain, int type, int protocol, void *user)
{
    struct resolver *resolver = user;
    const struct backend_sys *sys = resolver->loop->sys;
    struct resolve_socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return (ares_socket_t)outcome(-ENOMEM);
    socket->fd = sys->socket(sys, domain, type | SOCK_NONBLOCK, protocol);
    if (socket->fd < 0) {
        const int error = socket->fd;
        free(socket);
        return (ares_socket_t)outcome(error);
    }
    socket->resolver = resolver;
    op_init(&socket->op, OP_POLL, socket->fd, on_ready);
    list_push_back(&resolver->sockets, &socket->node);
    return socket->fd;
}

static int close_socket(ares_socket_t fd, void *user)
{
    struct resolver *resolver = user;
    struct resolve_socket *socket = find_socket(resolver, fd);
    ASSERT(socket);
    socket->is_closing = true;
    if (op_is_busy(&socket->op))
        loop_cancel(resolver->loop, &socket->op);
    else
        release(socket);
    return 0;
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t size,
                          void *user)
{
    struct resolver *resolver = user;
    struct resolve_socket *socket = find_socket(resolver, fd);
    const struct backend_sys *sys = resolver->loop->sys;
    ASSERT(socket && size <= sizeof socket->peer);
    memcpy(&socket->peer, address, size);
    socket->peer_size = size;
    return (int)outcome(sys->connect(sys, fd, address, size));
}

/* c-ares compares who a datagram is from with the server it asked: the socket is connected, so the
 * kernel has seen to that. */
static ares_ssize_t receive(ares_socket_t fd, void *data, size_t size, int flags,
                            struct sockaddr *from, ares_socklen_t *from_size, void *user)
{
    struct resolver *resolver = user;
    struct resolve_socket *socket = find_socket(resolver, fd);
    const struct backend_sys *sys = resolver->loop->sys;
    ASSERT(socket && flags == 0);
    if (socket->is_refused) {
        socket->is_refused = false;
        return outcome(-ECONNREFUSED);
    }
    if (from) {
        if (*from_size > socket->peer_size)
            *from_size = socket->peer_size;
        memcpy(from, &socket->peer, *from_size);
    }
    return outcome(sys->recv(sys, fd, data, size, false));
}

/* A send may be told of a datagram before it that was refused. c-ares would take it for the refusal
 * of this one, and wait for the other's answer: so it hears of it where it waits. */
static ares_ssize_t send_vectors(ares_socket_t fd, const struct iovec *vectors, int count,
                                 void *user)
{
    struct resolver *resolver = user;
    struct resolve_socket *socket = find_socket(resolver, fd);
    const struct backend_sys *sys = resolver->loop->sys;
    ASSERT(socket);
    ssize_t result = sys->send(sys, fd, vectors, count, false);
    if (result == -ECONNREFUSED) {
        socket->is_refused = true;
        result = sys->send(sys, fd, vectors, count, false);
    }
    return outcome(result);
}

/* 0, 0: it is about to be closed. */
static void on_socket_state(void *user, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = user;
    struct resolve_socket *socket = find_socket(resolver, fd);
    ASSERT(socket);
    const short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    if (events != socket->events && op_is_busy(&socket->op))
        loop_cancel(resolver->loop, &socket->op); /* resolve_settle arms it anew */
    socket->events = events;
}

int resolve_channel_options(struct ares_options *options, struct resolver *resolver)
{
    static char lookups[] = "b"; /* DNS alone: we read /etc/hosts ourselves */
    *options = (struct ares_options){
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = TRY_MS,
        .tries = TRIES,
        .lookups = lookups,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
    };
    return ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
           ARES_OPT_SOCK_STATE_CB;
}

void resolve_channel_attach(ares_channel channel, struct resolver *resolver)
{
    static const struct ares_socket_functions functions = {
        .asocket = make_socket,
        .aclose = close_socket,
        .aconnect = connect_socket,
        .arecvfrom = receive,
        .asendv = send_vectors,
    };
    ares_set_socket_functions(channel, &functions, resolver);
}

/* ---- Questions and answers ------------------------------------------------------------------- */

static int error_of(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME: return -LEAT_E_NO_HOST;
    case ARES_ECANCELLED: return -ECANCELED;
    case ARES_ENOMEM: return -ENOMEM;
    default: return -LEAT_E_RESOLVER;
    }
}

static void take_host(struct resolve_half *half, const void *host, size_t size, int ttl)
{
    const int64_t ttl_ns = (ttl > 0 ? ttl : 0) * LEAT_NS_PER_S;
    if (half->count == 0 || ttl_ns < half->ttl_ns)
        half->ttl_ns = ttl_ns;
    memcpy(&half->hosts[half->count++], host, size);
}

static int parse_answer(struct resolve_half *half, bool is_v6, const unsigned char *data, int size)
{
    struct ares_addrttl v4[RESOLVE_HOSTS_MAX];
    struct ares_addr6ttl v6[RESOLVE_HOSTS_MAX];
    int count = RESOLVE_HOSTS_MAX;
    const int status = is_v6 ? ares_parse_aaaa_reply(data, size, NULL, v6, &count)
                             : ares_parse_a_reply(data, size, NULL, v4, &count);
    if (status != ARES_SUCCESS)
        return error_of(status);
    for (int i = 0; i < count; i++) {
        if (is_v6)
            take_host(half, &v6[i].ip6addr, sizeof v6[i].ip6addr, v6[i].ttl);
        else
            take_host(half, &v4[i].ipaddr, sizeof v4[i].ipaddr, v4[i].ttl);
    }
    return count > 0 ? 0 : -LEAT_E_NO_HOST;
}

static void on_answer(void *user, int status, int timeouts, unsigned char *data, int size)
{
    struct resolve_half *half = user;
    struct resolver *resolver = half->name->resolver;
    ASSERT(resolver->pending > 0 && !half->is_over);
    resolver->pending--;
    const bool is_v6 = half == &half->name->halves[RESOLVE_V6];
    half->error = status == ARES_SUCCESS ? parse_answer(half, is_v6, data, size) : error_of(status);
    half->is_over = true;
    resolve_half_over(half);
}

void resolve_query(struct resolve_half *half, const char *text)
{
    enum { CLASS_IN = 1, TYPE_A = 1, TYPE_AAAA = 28 }; /* RFC 1035, RFC 3596 */
    struct resolver *resolver = half->name->resolver;
    ASSERT(resolver->config.channel && !half->is_over);
    const bool is_v6 = half == &half->name->halves[RESOLVE_V6];
    resolver->pending++;
    resolver->counters.queries++;
    ares_query(resolver->config.channel, text, CLASS_IN, is_v6 ? TYPE_AAAA : TYPE_A, on_answer,
               half);
}
