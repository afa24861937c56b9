/* SPDX-License-Identifier: MIT */
/*
 * Groups by RFC 3678, the interface by its number: one way for IPv4 and IPv6. A receiver is bound
 * to its group's own address and hears what it joined itself (…_MULTICAST_ALL off), so that neither
 * another group on the same port nor another program's membership brings it frames.
 */
#include "feed/transport_udp_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/assert.h"
#include "leat/error.h"

enum {
    BUFFER_BYTES = 8 << 20,
    TTL = 1,
    TTL_MAX = 255,
};

struct setup {
    const struct backend_sys *sys;
    int fd, family;
    const struct feed_transport_options *options;
    struct leat_address address; /* with the scope that a group of IPv6 needs */
    unsigned interface_index;
    bool is_group;
};

int udp_parse_host(const char *text, int family, struct leat_address *ret_address)
{
    ASSERT(family == AF_INET || family == AF_INET6);
    struct leat_address address;
    memset(&address, 0, sizeof address);
    address.base.sa_family = (sa_family_t)family;
    address.size = family == AF_INET ? sizeof address.v4 : sizeof address.v6;
    void *host = family == AF_INET ? (void *)&address.v4.sin_addr : &address.v6.sin6_addr;
    if (inet_pton(family, text, host) != 1)
        return -EINVAL;
    *ret_address = address;
    return 0;
}

/* ---- Options --------------------------------------------------------------------------------- */

static int set(const struct setup *setup, int level, int name, int value)
{
    return setup->sys->setsockopt(setup->sys, setup->fd, level, name, &value, sizeof value);
}

/* As large as wanted with privilege, else as large as the host allows. */
static void set_buffer(const struct setup *setup, int force_name, int name)
{
    const int wanted = setup->options->socket.buffer_bytes;
    const int bytes = wanted > 0 ? wanted : BUFFER_BYTES;
    if (set(setup, SOL_SOCKET, force_name, bytes))
        (void)set(setup, SOL_SOCKET, name, bytes);
}

int udp_socket_stamp_sent(const struct backend_sys *sys, int fd)
{
    const int wanted = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                       SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
    const int none = 0;
    int error = sys->setsockopt(sys, fd, SOL_SOCKET, SO_TIMESTAMPING, &none, sizeof none);
    if (!error)
        error = sys->setsockopt(sys, fd, SOL_SOCKET, SO_TIMESTAMPING, &wanted, sizeof wanted);
    return error;
}

/* What helps and can be done without. Requests are small and alone: no UDP_GRO for them, which
 * would want 64 KiB of room for each. */
static void help_receiver(const struct setup *setup, struct udp_socket *socket)
{
    const struct leat_feed_socket_options *wanted = &setup->options->socket;
    set_buffer(setup, SO_RCVBUFFORCE, SO_RCVBUF);
    (void)set(setup, SOL_SOCKET, SO_RXQ_OVFL, 1);
    if (wanted->busy_poll_us > 0)
        (void)set(setup, SOL_SOCKET, SO_BUSY_POLL, wanted->busy_poll_us);
    if (wanted->has_stamps)
        (void)set(setup, SOL_SOCKET, SO_TIMESTAMPING,
                  SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
    socket->has_gro =
        setup->options->role != FEED_ROLE_ANSWER && set(setup, IPPROTO_UDP, UDP_GRO, 1) == 0;
}

/* ---- Groups ---------------------------------------------------------------------------------- */

static bool is_group(const struct leat_address *address)
{
    if (address->base.sa_family == AF_INET)
        return IN_MULTICAST(ntohl(address->v4.sin_addr.s_addr));
    return IN6_IS_ADDR_MULTICAST(&address->v6.sin6_addr);
}

static int join(const struct setup *setup, const struct leat_address *source)
{
    const int level = setup->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    if (!source) {
        struct group_req request = {.gr_interface = setup->interface_index};
        request.gr_group = setup->address.storage;
        return setup->sys->setsockopt(setup->sys, setup->fd, level, MCAST_JOIN_GROUP, &request,
                                      sizeof request);
    }
    struct group_source_req request = {.gsr_interface = setup->interface_index};
    request.gsr_group = setup->address.storage;
    request.gsr_source = source->storage;
    return setup->sys->setsockopt(setup->sys, setup->fd, level, MCAST_JOIN_SOURCE_GROUP, &request,
                                  sizeof request);
}

/* Before connect: it chooses our own address by the interface. */
static int set_group_out(const struct setup *setup)
{
    const int wanted = setup->options->socket.ttl;
    const int ttl = wanted > 0 ? wanted : TTL;
    const int index = (int)setup->interface_index;
    int error;
    if (setup->family == AF_INET6) {
        error = set(setup, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
        if (!error)
            error = set(setup, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1);
        if (!error && index > 0)
            error = set(setup, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
        return error;
    }
    error = set(setup, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
    if (!error)
        error = set(setup, IPPROTO_IP, IP_MULTICAST_LOOP, 1);
    if (!error && index > 0) {
        const struct ip_mreqn request = {.imr_ifindex = index};
        error = setup->sys->setsockopt(setup->sys, setup->fd, IPPROTO_IP, IP_MULTICAST_IF, &request,
                                       sizeof request);
    }
    return error;
}

/* ---- Roles ----------------------------------------------------------------------------------- */

static int bind_receiver(const struct setup *setup, const struct leat_address *source)
{
    int error = 0;
    if (setup->is_group) {
        const int level = setup->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
        error = set(setup, SOL_SOCKET, SO_REUSEADDR, 1);
        /* From Linux 4.20 on for IPv6; before, the others' memberships have to be lived with. */
        (void)set(setup, level, setup->family == AF_INET ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL,
                  0);
    }
    if (!error)
        error = setup->sys->bind(setup->sys, setup->fd, &setup->address.base, setup->address.size);
    if (!error && setup->is_group)
        error = join(setup, source);
    return error;
}

static int connect_sender(const struct setup *setup, struct udp_socket *socket)
{
    set_buffer(setup, SO_SNDBUFFORCE, SO_SNDBUF);
    int error = setup->is_group ? set_group_out(setup) : 0;
    if (!error)
        error =
            setup->sys->connect(setup->sys, setup->fd, &setup->address.base, setup->address.size);
    if (!error && setup->options->role == FEED_ROLE_SEND && setup->options->socket.has_stamps)
        socket->has_sent_stamps = udp_socket_stamp_sent(setup->sys, setup->fd) == 0;
    return error;
}

static int set_up(const struct setup *setup, const struct leat_address *source,
                  struct udp_socket *socket)
{
    const enum feed_role role = setup->options->role;
    if (role != FEED_ROLE_SEND)
        help_receiver(setup, socket);
    if (role == FEED_ROLE_SEND || role == FEED_ROLE_ASK)
        return connect_sender(setup, socket);
    if (role == FEED_ROLE_ANSWER)
        set_buffer(setup, SO_SNDBUFFORCE, SO_SNDBUF);
    return bind_receiver(setup, source);
}

/* NULL, or what is wrong with what was asked for. */
static const char *check(struct setup *setup)
{
    const struct leat_feed_socket_options *wanted = &setup->options->socket;
    const enum feed_role role = setup->options->role;
    const bool is_out = role == FEED_ROLE_SEND || role == FEED_ROLE_ASK;
    if (setup->family != AF_INET && setup->family != AF_INET6)
        return "a line is an IP address and a port, or shm:/dev/shm/NAME";
    if (is_out && leat_address_port(&setup->address) == 0)
        return "port 0 cannot be sent to";
    if (setup->is_group && (role == FEED_ROLE_ASK || role == FEED_ROLE_ANSWER))
        return "requests go to the address of one host, not to a group";
    if (wanted->ttl < 0 || wanted->ttl > TTL_MAX)
        return "a TTL is a number from 0 to 255";
    if (setup->family == AF_INET ||
        (!setup->is_group && !IN6_IS_ADDR_LINKLOCAL(&setup->address.v6.sin6_addr)))
        return NULL;
    uint32_t *scope = &setup->address.v6.sin6_scope_id;
    if (*scope != 0 && wanted->interface_index != 0 && *scope != wanted->interface_index)
        return "the address names one interface, the options another";
    if (*scope == 0)
        *scope = wanted->interface_index;
    setup->interface_index = *scope;
    const struct in6_addr *host = &setup->address.v6.sin6_addr;
    if (*scope == 0 && (IN6_IS_ADDR_LINKLOCAL(host) || IN6_IS_ADDR_MC_LINKLOCAL(host) ||
                        IN6_IS_ADDR_MC_NODELOCAL(host)))
        return "an address of this scope needs an interface";
    return NULL;
}

/* What a person can do about it, where that is known. */
static const char *advice(const struct setup *setup, int error)
{
    if ((error == -ENETUNREACH || error == -ENODEV) && setup->is_group &&
        setup->interface_index == 0)
        return ": no route leads to this group: name an interface";
    return "";
}

int udp_socket_open(struct leat_loop *loop, const struct feed_transport_options *options,
                    const struct leat_address *address, struct udp_socket *ret_socket,
                    char *ret_reason, size_t reason_size)
{
    struct setup setup = {
        .sys = loop->sys,
        .family = leat_address_family(address),
        .options = options,
        .address = *address,
        .interface_index = options->socket.interface_index,
        .is_group = address->base.sa_family != AF_UNIX && is_group(address),
    };
    const char *wrong = check(&setup);
    if (wrong)
        return feed_refuse(-EINVAL, ret_reason, reason_size, "%s: %s", options->address, wrong);
    struct leat_address source;
    if (options->source && udp_parse_host(options->source, setup.family, &source))
        return feed_refuse(-EINVAL, ret_reason, reason_size,
                           "%s: a source is an IP address of the line's family, without a port",
                           options->source);
    struct udp_socket socket = {.fd = setup.sys->socket(setup.sys, setup.family, SOCK_DGRAM, 0)};
    if (socket.fd < 0)
        return feed_refuse(socket.fd, ret_reason, reason_size, "%s: %s", options->address,
                           leat_error_text(socket.fd));
    setup.fd = socket.fd;
    const int error = set_up(&setup, options->source ? &source : NULL, &socket);
    if (error) {
        loop->ops->close(loop->backend, socket.fd);
        return feed_refuse(error, ret_reason, reason_size, "%s: %s%s", options->address,
                           leat_error_text(error), advice(&setup, error));
    }
    *ret_socket = socket;
    return 0;
}
