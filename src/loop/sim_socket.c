/* SPDX-License-Identifier: MIT */
/*
 * Addresses, the plain calls on simulated sockets and pipes, and peers: connections' other ends,
 * played by a test. Options are remembered and told back; none has an effect, save SO_REUSEPORT,
 * SO_LINGER, and what sim_group.c has for datagram sockets. TCP_INFO tells what the other side's
 * kernel has acknowledged, and what of the link a sender's kernel knows.
 */
#include <linux/tcp.h> /* the C library's lacks tcpi_bytes_acked */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/assert.h"
#include "loop/sim_datagram.h"

/* ---- Addresses ------------------------------------------------------------------------------- */

uint16_t sim_port_of(const struct sockaddr_storage *address)
{
    /* The port lies at the same place in both families. */
    static_assert(offsetof(struct sockaddr_in, sin_port) ==
                      offsetof(struct sockaddr_in6, sin6_port),
                  "one place for the port");
    return ((const struct sockaddr_in *)(const void *)address)->sin_port;
}

void sim_set_free_port(struct sim *sim, struct sockaddr_storage *address)
{
    ((struct sockaddr_in *)(void *)address)->sin_port = htons(sim->next_port++);
}

bool sim_is_any(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr == 0;
    const struct sockaddr_in6 *wide = (const void *)address;
    return IN6_IS_ADDR_UNSPECIFIED(&wide->sin6_addr);
}

bool sim_is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

bool sim_reaches(const struct sockaddr_storage *to, const struct sockaddr_storage *at)
{
    if (sim_port_of(to) != sim_port_of(at))
        return false;
    if (sim_is_any(at))
        return at->ss_family == to->ss_family || at->ss_family == AF_INET6;
    return sim_is_same_host(to, at);
}

bool sim_is_same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return sim_port_of(a) == sim_port_of(b) && sim_is_same_host(a, b);
}

bool sim_is_known_address(const struct sockaddr *address, socklen_t size)
{
    if (size > sizeof(struct sockaddr_storage))
        return false;
    return (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) ||
           (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6));
}

int sim_option_int(const struct sim_object *object, int level, int name, int otherwise)
{
    for (unsigned index = 0; index < object->option_count; index++) {
        const struct sim_option *option = &object->options[index];
        if (option->level == level && option->name == name) {
            int value = 0;
            memcpy(&value, option->value, sizeof value);
            return value;
        }
    }
    return otherwise;
}

static bool has_both(const struct sim_object *a, const struct sim_object *b, int name)
{
    return sim_option_int(a, SOL_SOCKET, name, 0) && sim_option_int(b, SOL_SOCKET, name, 0);
}

/* Streams and datagrams have ports of their own. Two datagram sockets share one if both agree. */
static bool may_share(const struct sim_object *a, const struct sim_object *b)
{
    const bool is_datagram = a->kind == SIM_DATAGRAM;
    return is_datagram != (b->kind == SIM_DATAGRAM) || has_both(a, b, SO_REUSEPORT) ||
           (is_datagram && has_both(a, b, SO_REUSEADDR));
}

int sim_net_bind(struct sim *sim, struct sim_object *object, const struct sockaddr *address,
                 socklen_t size)
{
    if (!sim_is_known_address(address, size))
        return -EAFNOSUPPORT;
    struct sockaddr_storage wanted = {0};
    memcpy(&wanted, address, size);
    if (sim_port_of(&wanted) == 0)
        sim_set_free_port(sim, &wanted);
    LIST_FOR_EACH (node, &sim->bound) {
        const struct sim_object *other = CONTAINER_OF(node, struct sim_object, accept_node);
        const bool clashes =
            sim_reaches(&wanted, &other->local) || sim_reaches(&other->local, &wanted);
        if (clashes && !may_share(object, other))
            return -EADDRINUSE;
    }
    object->local = wanted;
    object->local_size = size;
    list_push_back(&sim->bound, &object->accept_node);
    return 0;
}

struct sim_object *sim_find_listener(struct sim *sim, const struct sockaddr_storage *to)
{
    struct sim_object *found = NULL;
    unsigned count = 0;
    LIST_FOR_EACH (node, &sim->bound) {
        struct sim_object *object = CONTAINER_OF(node, struct sim_object, accept_node);
        if (object->kind == SIM_LISTENER && sim_reaches(to, &object->local) &&
            random_below(&sim->random, ++count) == 0)
            found = object;
    }
    return found;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static int sys_socket(const struct backend_sys *sys, int domain, int type, int protocol)
{
    struct sim *sim = sim_of_sys(sys);
    if (domain != AF_INET && domain != AF_INET6)
        return -EAFNOSUPPORT;
    if ((type & 0xf) != SOCK_STREAM && (type & 0xf) != SOCK_DGRAM)
        return -EPROTONOSUPPORT;
    if (sim_chance(sim, sim->profile.accept_error))
        return -EMFILE;
    const bool is_datagram = (type & 0xf) == SOCK_DGRAM;
    struct sim_object *object = sim_object_new(sim, is_datagram ? SIM_DATAGRAM : SIM_SOCKET);
    object->local.ss_family = (sa_family_t)domain;
    if (is_datagram)
        sim_datagram_open(sim, object);
    return sim_fd_open(sim, object);
}

static int sys_bind(const struct backend_sys *sys, int fd, const struct sockaddr *address,
                    socklen_t size)
{
    struct sim_object *object = sim_object(sim_of_sys(sys), fd, "bind");
    if (!object)
        return -EBADF;
    if ((object->kind != SIM_SOCKET && object->kind != SIM_DATAGRAM) || object->local_size > 0)
        return -EINVAL;
    return sim_net_bind(sim_of_sys(sys), object, address, size);
}

static int sys_connect(const struct backend_sys *sys, int fd, const struct sockaddr *address,
                       socklen_t size)
{
    struct sim *sim = sim_of_sys(sys);
    struct sim_object *object = sim_object(sim, fd, "connect");
    if (!object)
        return -EBADF;
    if (object->kind == SIM_DATAGRAM)
        return sim_datagram_connect(sim, object, address, size);
    sim_fail(sim, "descriptor %d is no datagram socket: OP_CONNECT is for it", fd - SIM_FD_BASE);
    return -EINVAL;
}

static int sys_listen(const struct backend_sys *sys, int fd, int backlog)
{
    struct sim_object *object = sim_object(sim_of_sys(sys), fd, "listen");
    if (!object)
        return -EBADF;
    if ((object->kind != SIM_SOCKET && object->kind != SIM_LISTENER) || object->local_size == 0)
        return -EINVAL;
    object->kind = SIM_LISTENER;
    object->backlog = backlog > 0 ? (unsigned)backlog : 0;
    return 0;
}

static bool is_socket(const struct sim_object *object)
{
    return object->kind == SIM_SOCKET || object->kind == SIM_LISTENER ||
           object->kind == SIM_STREAM || object->kind == SIM_DATAGRAM;
}

static struct sim_option *find_option(struct sim_object *object, int level, int name)
{
    for (unsigned index = 0; index < object->option_count; index++)
        if (object->options[index].level == level && object->options[index].name == name)
            return &object->options[index];
    return NULL;
}

static int sys_setsockopt(const struct backend_sys *sys, int fd, int level, int name,
                          const void *value, socklen_t size)
{
    struct sim_object *object = sim_object(sim_of_sys(sys), fd, "setsockopt");
    if (!object)
        return -EBADF;
    if (!is_socket(object))
        return -ENOTSOCK;
    if (object->kind == SIM_DATAGRAM) {
        const int answer =
            sim_datagram_set_option(sim_of_sys(sys), object, level, name, value, size);
        if (answer <= 0)
            return answer;
    }
    struct sim_option *option = find_option(object, level, name);
    if (!option) {
        if (object->option_count == SIM_OPTIONS_MAX)
            return -ENOBUFS;
        option = &object->options[object->option_count++];
    }
    if (size > sizeof option->value)
        return -EINVAL;
    *option = (struct sim_option){.level = level, .name = name, .size = size};
    memcpy(option->value, value, size);
    return 0;
}

static void look_at_flow(const struct sim *sim, const struct sim_flow *out,
                         struct tcp_info *ret_info)
{
    const uint32_t rtt_us = 2 * sim->latency_us;
    const size_t window = out->send_room / SIM_SEGMENT_SIZE;
    *ret_info = (struct tcp_info){
        .tcpi_snd_mss = SIM_SEGMENT_SIZE,
        .tcpi_rcv_mss = SIM_SEGMENT_SIZE,
        .tcpi_rtt = rtt_us > 0 ? rtt_us : 1,
        .tcpi_min_rtt = rtt_us > 0 ? rtt_us : 1,
        .tcpi_snd_cwnd = window > 0 ? (uint32_t)window : 1,
        .tcpi_delivery_rate = out->delivery_bytes_per_s,
        .tcpi_delivery_rate_app_limited = out->is_delivery_limited,
        .tcpi_bytes_acked = out->arrived,
        .tcpi_bytes_sent = out->written,
    };
}

static int sys_getsockopt(const struct backend_sys *sys, int fd, int level, int name, void *value,
                          socklen_t *size)
{
    struct sim_object *object = sim_object(sim_of_sys(sys), fd, "getsockopt");
    if (!object)
        return -EBADF;
    if (!is_socket(object))
        return -ENOTSOCK;
    const struct sim_option *option = find_option(object, level, name);
    int number = 0;
    struct tcp_info info = {0};
    const void *answer = &number;
    socklen_t length = sizeof number;
    if (level == IPPROTO_TCP && name == TCP_INFO && object->kind == SIM_STREAM) {
        look_at_flow(sim_of_sys(sys), object->out, &info);
        answer = &info;
        length = sizeof info;
    } else if (level == SOL_SOCKET && name == SO_ERROR) {
        number = object->error;
        object->error = 0;
    } else if (level == SOL_SOCKET && name == SO_TYPE) {
        number = object->kind == SIM_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;
    } else if (object->kind == SIM_DATAGRAM && level == SOL_SOCKET &&
               (name == SO_RCVBUF || name == SO_SNDBUF)) {
        number =
            (int)(name == SO_RCVBUF ? object->mailbox->receive_room : object->mailbox->send_room);
    } else if (option) {
        answer = option->value;
        length = option->size;
    }
    if (*size > length) {
        memset(value, 0, *size);
        *size = length;
    }
    memcpy(value, answer, *size);
    return 0;
}

static int copy_address(const struct sockaddr_storage *from, socklen_t from_size,
                        struct sockaddr *ret_address, socklen_t *ret_size)
{
    memcpy(ret_address, from, from_size < *ret_size ? from_size : *ret_size);
    *ret_size = from_size;
    return 0;
}

static int sys_getsockname(const struct backend_sys *sys, int fd, struct sockaddr *address,
                           socklen_t *size)
{
    struct sim_object *object = sim_object(sim_of_sys(sys), fd, "getsockname");
    if (!object)
        return -EBADF;
    return is_socket(object) ? copy_address(&object->local, object->local_size, address, size)
                             : -ENOTSOCK;
}

static int sys_getpeername(const struct backend_sys *sys, int fd, struct sockaddr *address,
                           socklen_t *size)
{
    struct sim_object *object = sim_object(sim_of_sys(sys), fd, "getpeername");
    if (!object)
        return -EBADF;
    if (!is_socket(object))
        return -ENOTSOCK;
    const bool is_connected = object->kind == SIM_DATAGRAM
                                  ? object->mailbox->is_connected
                                  : object->kind == SIM_STREAM && !object->is_reset;
    if (!is_connected)
        return -ENOTCONN;
    return copy_address(&object->peer, object->peer_size, address, size);
}

static int sys_shutdown(const struct backend_sys *sys, int fd, int how)
{
    struct sim *sim = sim_of_sys(sys);
    struct sim_object *object = sim_object(sim, fd, "shutdown");
    if (!object)
        return -EBADF;
    if (object->kind != SIM_STREAM || object->is_reset)
        return is_socket(object) ? -ENOTCONN : -ENOTSOCK;
    if (how == SHUT_RD || how == SHUT_RDWR) {
        object->is_read_shut = true;
        sim_kick(sim, object);
    }
    if (how == SHUT_WR || how == SHUT_RDWR)
        sim_net_end(sim, object);
    sim_trace(sim, "shutdown", fd, how, NULL, 0);
    return 0;
}

static ssize_t sys_recv(const struct backend_sys *sys, int fd, void *data, size_t size, bool peek)
{
    struct sim *sim = sim_of_sys(sys);
    struct sim_object *object = sim_object(sim, fd, "recv");
    if (!object)
        return -EBADF;
    if (!is_socket(object))
        return -ENOTSOCK;
    const ssize_t result = sim_net_recv(sim, object, data, size, peek);
    sim_trace(sim, peek ? "peek-now" : "recv-now", fd, result, data,
              result > 0 ? (size_t)result : 0);
    return result;
}

static ssize_t sys_send(const struct backend_sys *sys, int fd, const struct iovec *vectors,
                        int count, bool more)
{
    struct sim *sim = sim_of_sys(sys);
    struct sim_object *object = sim_object(sim, fd, "send");
    if (!object)
        return -EBADF;
    if (!is_socket(object))
        return -ENOTSOCK;
    const ssize_t result = sim_net_send(sim, object, vectors, count, more);
    sim_trace(sim, "send-now", fd, result, NULL, 0);
    return result;
}

static ssize_t sys_pipe(const struct backend_sys *sys, int ret_fds[2], size_t size)
{
    struct sim *sim = sim_of_sys(sys);
    if (sim_chance(sim, sim->profile.no_pipe))
        return -EMFILE;
    size_t capacity = SIM_PAGE;
    while (capacity < size && !sim_chance(sim, sim->profile.small_pipe))
        capacity *= 2;
    struct sim_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return -ENOMEM;
    list_push_back(&sim->connections, &connection->node);
    struct sim_flow *flow = &connection->flows[0];
    sim_flow_init(flow, capacity, 0);
    flow->is_instant = true;
    flow->reader = sim_object_new(sim, SIM_PIPE_IN);
    flow->writer = sim_object_new(sim, SIM_PIPE_OUT);
    flow->reader->in = flow;
    flow->writer->out = flow;
    const int in_fd = sim_fd_open(sim, flow->reader), out_fd = sim_fd_open(sim, flow->writer);
    ASSERT(in_fd >= 0 && out_fd >= 0); /* a scenario that opens thousands has lost its way */
    ret_fds[0] = in_fd;
    ret_fds[1] = out_fd;
    return (ssize_t)capacity;
}

void sim_socket_sys(struct backend_sys *sys)
{
    sys->socket = sys_socket;
    sys->bind = sys_bind;
    sys->connect = sys_connect;
    sys->listen = sys_listen;
    sys->setsockopt = sys_setsockopt;
    sys->getsockopt = sys_getsockopt;
    sys->getsockname = sys_getsockname;
    sys->getpeername = sys_getpeername;
    sys->shutdown = sys_shutdown;
    sys->recv = sys_recv;
    sys->send = sys_send;
    sys->pipe = sys_pipe;
}

/* ---- Peers: objects without a descriptor ----------------------------------------------------- */

static struct sim_object *object_of(struct sim_peer *peer)
{
    struct sim_object *object = (struct sim_object *)(void *)peer;
    ASSERT(object->is_peer && object->kind != SIM_CLOSED);
    return object;
}

struct sim_peer *sim_peer_connect(struct sim *sim, const struct sockaddr *address, socklen_t size,
                                  sim_peer_fn event, void *user)
{
    ASSERT(sim_is_known_address(address, size));
    struct sim_object *object = sim_object_new(sim, SIM_SOCKET);
    object->is_peer = true;
    object->event = event;
    object->user = user;
    sim_net_begin_connect(sim, object, address, size, 0);
    return (struct sim_peer *)(void *)object;
}

int sim_peer_listen(struct sim *sim, const struct sockaddr *address, socklen_t size,
                    sim_peer_fn event, void *user)
{
    struct sim_object *object = sim_object_new(sim, SIM_SOCKET);
    int error = sim_net_bind(sim, object, address, size);
    if (error) {
        object->kind = SIM_CLOSED;
        return error;
    }
    object->kind = SIM_LISTENER;
    object->backlog = UINT16_MAX;
    object->is_peer = true;
    object->event = event;
    object->user = user;
    return 0;
}

void sim_peer_set_rate(struct sim_peer *peer, uint64_t bytes_per_s)
{
    struct sim_object *object = object_of(peer);
    ASSERT(object->kind == SIM_SOCKET); /* nothing has come yet */
    object->rate_bytes_per_s = bytes_per_s;
}

void sim_peer_set_event(struct sim_peer *peer, sim_peer_fn event, void *user)
{
    struct sim_object *object = object_of(peer);
    object->event = event;
    object->user = user;
    sim_kick(object->sim, object);
}

/* A peer that is not connected yet has to wait; one that was refused hears why. */
static ssize_t not_connected(const struct sim_object *object)
{
    return object->error ? -object->error : -EAGAIN;
}

ssize_t sim_peer_send(struct sim_peer *peer, const void *data, size_t size)
{
    struct sim_object *object = object_of(peer);
    if (object->kind == SIM_SOCKET)
        return not_connected(object);
    const struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return sim_net_send(object->sim, object, &vector, 1, false);
}

ssize_t sim_peer_recv(struct sim_peer *peer, void *data, size_t size)
{
    struct sim_object *object = object_of(peer);
    if (object->kind == SIM_SOCKET)
        return not_connected(object);
    return sim_net_recv(object->sim, object, data, size, false);
}

void sim_peer_shutdown(struct sim_peer *peer)
{
    struct sim_object *object = object_of(peer);
    sim_net_end(object->sim, object);
}

void sim_peer_close(struct sim_peer *peer)
{
    struct sim_object *object = object_of(peer);
    sim_net_close(object->sim, object);
}

void sim_peer_reset(struct sim_peer *peer)
{
    struct sim_object *object = object_of(peer);
    sim_net_abort(object->sim, object);
}
