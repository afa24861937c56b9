/* SPDX-License-Identifier: MIT */
/*
 * Whose a datagram is: groups and their members (RFC 3376's source filters, as far as sockets use
 * them: all, or some sources), sockets that share a port, connected ones; and the options of
 * datagram sockets that have an effect. All interfaces are one.
 */
#include <stdlib.h>

#include <linux/net_tstamp.h>
#include <netinet/in.h>

#include "base/assert.h"
#include "loop/sim_datagram.h"

enum {
    ROOM_DEFAULT = 212992, /* Linux's, both ways */
    ROOM_MIN = 2304,
    ROOM_UNBOUNDED = 64 << 20,
    PRIVILEGED_QUEUE = 1 << 20, /* where the host allows less, nobody is privileged either */
};

struct membership {
    struct list_node node;
    struct sockaddr_storage group, source;
    bool has_source;
};

/* ---- Groups ---------------------------------------------------------------------------------- */

bool sim_is_group(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return IN_MULTICAST(
            ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    return IN6_IS_ADDR_MULTICAST(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* `source` NULL: any membership of the group. */
static struct membership *find_membership(const struct sim_mailbox *mailbox,
                                          const struct sockaddr_storage *group,
                                          const struct sockaddr_storage *source)
{
    LIST_FOR_EACH (node, &mailbox->memberships) {
        struct membership *membership = CONTAINER_OF(node, struct membership, node);
        if (sim_is_same_host(&membership->group, group) &&
            (!source || !membership->has_source || sim_is_same_host(&membership->source, source)))
            return membership;
    }
    return NULL;
}

static bool is_hosts_group(struct sim *sim, const struct sockaddr_storage *group)
{
    LIST_FOR_EACH (node, &sim->bound) {
        const struct sim_object *object = CONTAINER_OF(node, struct sim_object, accept_node);
        if (object->kind == SIM_DATAGRAM && find_membership(object->mailbox, group, NULL))
            return true;
    }
    return false;
}

/* Who is no member of the group hears it nevertheless when anybody on the host is, unless it has
 * *_MULTICAST_ALL off: ip(7). */
bool sim_group_hears(struct sim *sim, const struct sim_object *object,
                     const struct sockaddr_storage *to, const struct sockaddr_storage *from)
{
    if (object->kind != SIM_DATAGRAM || object->local.ss_family != to->ss_family ||
        sim_port_of(&object->local) != sim_port_of(to))
        return false;
    if (!sim_is_any(&object->local) && !sim_is_same_host(&object->local, to))
        return false;
    if (object->mailbox->is_connected && !sim_is_same_address(&object->peer, from))
        return false;
    if (find_membership(object->mailbox, to, NULL))
        return find_membership(object->mailbox, to, from) != NULL;
    const bool hears_all = to->ss_family == AF_INET
                               ? sim_option_int(object, IPPROTO_IP, IP_MULTICAST_ALL, 1)
                               : sim_option_int(object, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 1);
    return hears_all && is_hosts_group(sim, to);
}

bool sim_group_loops(const struct sim_object *sender)
{
    return sender->local.ss_family == AF_INET
               ? sim_option_int(sender, IPPROTO_IP, IP_MULTICAST_LOOP, 1)
               : sim_option_int(sender, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1);
}

static int join(struct sim_mailbox *mailbox, const struct membership *wanted)
{
    struct membership *other = find_membership(mailbox, &wanted->group, NULL);
    if (other && other->has_source != wanted->has_source)
        return -EINVAL;
    if (other && !wanted->has_source)
        return -EADDRINUSE;
    if (other && find_membership(mailbox, &wanted->group, &wanted->source))
        return -EADDRNOTAVAIL;
    struct membership *membership = malloc(sizeof *membership);
    ASSERT(membership != NULL);
    *membership = *wanted;
    list_push_back(&mailbox->memberships, &membership->node);
    return 0;
}

static int leave(struct sim_mailbox *mailbox, const struct membership *wanted)
{
    struct membership *membership =
        find_membership(mailbox, &wanted->group, wanted->has_source ? &wanted->source : NULL);
    if (!membership)
        return -EADDRNOTAVAIL;
    list_remove(&membership->node);
    free(membership);
    return 0;
}

void sim_group_leave_all(struct sim_mailbox *mailbox)
{
    struct list_node *node;
    while ((node = list_take_front(&mailbox->memberships)))
        free(CONTAINER_OF(node, struct membership, node));
}

static void set_host(struct sockaddr_storage *address, struct in_addr host)
{
    const struct sockaddr_in narrow = {.sin_family = AF_INET, .sin_addr = host};
    memcpy(address, &narrow, sizeof narrow);
}

/* The oldest of the ways to say it (IPv4's, without and with a source, and IPv6's). */
static bool read_old_request(int level, int name, const void *value, socklen_t size,
                             struct membership *ret_wanted)
{
    struct ip_mreq plain;
    struct ip_mreq_source sourced;
    struct ipv6_mreq wide;
    if (level == IPPROTO_IPV6) {
        if ((name != IPV6_JOIN_GROUP && name != IPV6_LEAVE_GROUP) || size < sizeof wide)
            return false;
        memcpy(&wide, value, sizeof wide);
        const struct sockaddr_in6 group = {.sin6_family = AF_INET6,
                                           .sin6_addr = wide.ipv6mr_multiaddr};
        memcpy(&ret_wanted->group, &group, sizeof group);
        return true;
    }
    if (name == IP_ADD_SOURCE_MEMBERSHIP || name == IP_DROP_SOURCE_MEMBERSHIP) {
        if (size < sizeof sourced)
            return false;
        memcpy(&sourced, value, sizeof sourced);
        set_host(&ret_wanted->group, sourced.imr_multiaddr);
        set_host(&ret_wanted->source, sourced.imr_sourceaddr);
        ret_wanted->has_source = true;
        return true;
    }
    if ((name != IP_ADD_MEMBERSHIP && name != IP_DROP_MEMBERSHIP) || size < sizeof plain)
        return false;
    memcpy(&plain, value, sizeof plain);
    set_host(&ret_wanted->group, plain.imr_multiaddr);
    return true;
}

/* RFC 3678's, for both families. */
static bool read_request(int level, int name, const void *value, socklen_t size,
                         struct membership *ret_wanted)
{
    struct group_req plain;
    struct group_source_req sourced;
    if ((name == MCAST_JOIN_GROUP || name == MCAST_LEAVE_GROUP) && size >= sizeof plain) {
        memcpy(&plain, value, sizeof plain);
        ret_wanted->group = plain.gr_group;
        return true;
    }
    if ((name == MCAST_JOIN_SOURCE_GROUP || name == MCAST_LEAVE_SOURCE_GROUP) &&
        size >= sizeof sourced) {
        memcpy(&sourced, value, sizeof sourced);
        ret_wanted->group = sourced.gsr_group;
        ret_wanted->source = sourced.gsr_source;
        ret_wanted->has_source = true;
        return true;
    }
    return read_old_request(level, name, value, size, ret_wanted);
}

static bool is_leaving(int level, int name)
{
    if (name == MCAST_LEAVE_GROUP || name == MCAST_LEAVE_SOURCE_GROUP)
        return true;
    return level == IPPROTO_IPV6 ? name == IPV6_LEAVE_GROUP
                                 : name == IP_DROP_MEMBERSHIP || name == IP_DROP_SOURCE_MEMBERSHIP;
}

/* ---- Options --------------------------------------------------------------------------------- */

static size_t room_of(const struct sim *sim, int wanted, bool is_forced)
{
    const size_t most = is_forced ? ROOM_UNBOUNDED : sim->datagram_queue;
    size_t room = wanted > 0 ? (size_t)wanted : 0;
    if (room > most)
        room = most;
    return room * 2 > ROOM_MIN ? room * 2 : ROOM_MIN; /* half of it for the kernel's own needs */
}

void sim_datagram_set_rooms(struct sim *sim, struct sim_object *object)
{
    object->mailbox->receive_room = object->mailbox->send_room =
        room_of(sim, ROOM_DEFAULT / 2, false);
}

static int set_room(struct sim *sim, struct sim_object *object, int name, int value)
{
    const bool is_forced = name == SO_RCVBUFFORCE || name == SO_SNDBUFFORCE;
    if (is_forced && sim->datagram_queue < PRIVILEGED_QUEUE)
        return -EPERM;
    if (name == SO_RCVBUF || name == SO_RCVBUFFORCE)
        object->mailbox->receive_room = room_of(sim, value, is_forced);
    else
        object->mailbox->send_room = room_of(sim, value, is_forced);
    return 0;
}

int sim_datagram_set_option(struct sim *sim, struct sim_object *object, int level, int name,
                            const void *value, socklen_t size)
{
    int number = 0;
    memcpy(&number, value, size < sizeof number ? size : sizeof number);
    if (level == SOL_SOCKET) {
        if (name == SO_TIMESTAMPING && number & SOF_TIMESTAMPING_OPT_ID)
            object->mailbox->next_key = 0;
        if (name == SO_RCVBUF || name == SO_SNDBUF || name == SO_RCVBUFFORCE ||
            name == SO_SNDBUFFORCE)
            return set_room(sim, object, name, number);
        return 1;
    }
    struct membership wanted = {0};
    if ((level != IPPROTO_IP && level != IPPROTO_IPV6) ||
        !read_request(level, name, value, size, &wanted))
        return 1;
    if (wanted.group.ss_family != object->local.ss_family || !sim_is_group(&wanted.group))
        return -EINVAL;
    return is_leaving(level, name) ? leave(object->mailbox, &wanted)
                                   : join(object->mailbox, &wanted);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

/* A connected socket is its peer's alone; one with the very address comes before one with any. Of
 * several that share both, SO_REUSEPORT leaves it to chance, SO_REUSEADDR to the last. */
struct sim_object *sim_datagram_receiver(struct sim *sim, const struct sockaddr_storage *to,
                                         const struct sockaddr_storage *from)
{
    struct sim_object *best = NULL;
    int best_score = -1;
    unsigned ties = 0;
    LIST_FOR_EACH (node, &sim->bound) {
        struct sim_object *object = CONTAINER_OF(node, struct sim_object, accept_node);
        if (object->kind != SIM_DATAGRAM || object->local.ss_family != to->ss_family ||
            !sim_reaches(to, &object->local))
            continue;
        const bool is_connected = object->mailbox->is_connected;
        if (is_connected && !sim_is_same_address(&object->peer, from))
            continue;
        const int score = 2 * is_connected + !sim_is_any(&object->local);
        if (score < best_score)
            continue;
        ties = score == best_score ? ties + 1 : 1;
        best_score = score;
        if (!sim_option_int(object, SOL_SOCKET, SO_REUSEPORT, 0) ||
            random_below(&sim->random, ties) == 0)
            best = object;
    }
    return best;
}

void sim_datagram_autobind(struct sim *sim, struct sim_object *object)
{
    if (object->local_size > 0)
        return;
    object->local_size = object->local.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                            : sizeof(struct sockaddr_in6);
    sim_set_free_port(sim, &object->local);
    list_push_back(&sim->bound, &object->accept_node);
}

void sim_datagram_source(const struct sim_object *object, struct sockaddr_storage *ret_from)
{
    *ret_from = object->local;
    if (!sim_is_any(&object->local) && !sim_is_group(&object->local))
        return;
    if (object->local.ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)ret_from)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)(void *)ret_from)->sin6_addr = in6addr_loopback;
}

int sim_datagram_connect(struct sim *sim, struct sim_object *object, const struct sockaddr *address,
                         socklen_t size)
{
    if (size >= sizeof address->sa_family && address->sa_family == AF_UNSPEC) {
        object->mailbox->is_connected = false;
        return 0;
    }
    if (!sim_is_known_address(address, size) || address->sa_family != object->local.ss_family)
        return -EAFNOSUPPORT;
    memset(&object->peer, 0, sizeof object->peer);
    memcpy(&object->peer, address, size);
    object->peer_size = size;
    object->mailbox->is_connected = true;
    sim_datagram_autobind(sim, object);
    if (sim_is_any(&object->local)) /* the address that it will send from is its own from now on */
        sim_datagram_source(object, &object->local);
    return 0;
}
