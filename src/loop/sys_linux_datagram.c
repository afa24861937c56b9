/* SPDX-License-Identifier: MIT */
/*
 * Datagrams on Linux: bursts out and in, each one system call, and the times at which they left.
 *
 * A hot path: nothing is allocated, nothing is cleared that the kernel or we write anyway, one
 * plain datagram goes by sendto(2). Room for control messages costs nothing where none come, so
 * that nobody has to say which a socket was asked for. A burst takes up to 11 KiB of the stack.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h> /* wants struct timespec to be known */

#include "base/assert.h"
#include "leat/clock.h"
#include "loop/sys_linux.h"

/* Before a datagram that the kernel is to take apart. */
union segment_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

/* After one that came: its segments' size, a stamp, drops. */
union receive_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct scm_timestamping)) +
               CMSG_SPACE(sizeof(uint32_t))];
};

/* After a stamp from the error queue: the time, and what it is of (with an address behind it). */
union stamp_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct scm_timestamping)) +
               CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
};

static int64_t ns_of(const struct timespec *time)
{
    return time->tv_sec * LEAT_NS_PER_S + time->tv_nsec;
}

/* ---- Out ------------------------------------------------------------------------------------- */

static void set_segment_size(struct msghdr *message, union segment_control *control, uint16_t size)
{
    message->msg_control = control->bytes;
    message->msg_controllen = sizeof control->bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(header), &size, sizeof size);
}

static void fill_out(struct msghdr *message, const struct backend_datagram *datagram,
                     union segment_control *control)
{
    *message = (struct msghdr){
        .msg_name = datagram->peer,
        .msg_namelen = datagram->peer ? datagram->peer_size : 0,
        .msg_iov = datagram->vectors,
        .msg_iovlen = datagram->vector_count,
    };
    if (datagram->segment_size > 0)
        set_segment_size(message, control, datagram->segment_size);
}

static int send_one(int fd, const struct backend_datagram *datagram)
{
    ssize_t sent;
    if (datagram->vector_count == 1 && datagram->segment_size == 0) {
        const struct sockaddr *peer = (const struct sockaddr *)datagram->peer;
        sent =
            TEMP_FAILURE_RETRY(sendto(fd, datagram->vectors->iov_base, datagram->vectors->iov_len,
                                      MSG_DONTWAIT, peer, peer ? datagram->peer_size : 0));
    } else {
        struct msghdr message;
        union segment_control control;
        fill_out(&message, datagram, &control);
        sent = TEMP_FAILURE_RETRY(sendmsg(fd, &message, MSG_DONTWAIT));
    }
    return sent < 0 ? -errno : 1;
}

int sys_linux_send_datagrams(const struct backend_sys *sys, int fd,
                             const struct backend_datagram *datagrams, unsigned count)
{
    ASSERT(count > 0 && count <= BACKEND_DATAGRAMS_MAX);
    if (count == 1)
        return send_one(fd, datagrams);
    struct mmsghdr messages[BACKEND_DATAGRAMS_MAX];
    union segment_control controls[BACKEND_DATAGRAMS_MAX];
    for (unsigned index = 0; index < count; index++)
        fill_out(&messages[index].msg_hdr, &datagrams[index], &controls[index]);
    const int sent = TEMP_FAILURE_RETRY(sendmmsg(fd, messages, count, MSG_DONTWAIT));
    ASSERT(sent != 0 && sent <= (int)count);
    return sent < 0 ? -errno : sent;
}

/* ---- In -------------------------------------------------------------------------------------- */

static void fill_in(struct msghdr *message, const struct backend_datagram *datagram,
                    union receive_control *control)
{
    *message = (struct msghdr){
        .msg_name = datagram->peer,
        .msg_namelen = datagram->peer ? sizeof *datagram->peer : 0,
        .msg_iov = datagram->vectors,
        .msg_iovlen = datagram->vector_count,
        .msg_control = control->bytes,
        .msg_controllen = sizeof control->bytes,
    };
}

/* The software stamp is the first of three, and 0 when it was not asked for. */
static int64_t stamp_of(const struct cmsghdr *header)
{
    struct scm_timestamping stamps;
    memcpy(&stamps, CMSG_DATA(header), sizeof stamps);
    return ns_of(&stamps.ts[0]);
}

static void take_control(struct backend_datagram *datagram, const struct cmsghdr *header)
{
    const void *data = CMSG_DATA(header);
    if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
        int size;
        memcpy(&size, data, sizeof size);
        datagram->segment_size = (uint16_t)size;
    } else if (header->cmsg_level != SOL_SOCKET) {
        return;
    } else if (header->cmsg_type == SCM_TIMESTAMPING) {
        datagram->stamp_ns = stamp_of(header);
    } else if (header->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec time;
        memcpy(&time, data, sizeof time);
        datagram->stamp_ns = ns_of(&time);
    } else if (header->cmsg_type == SO_RXQ_OVFL) {
        memcpy(&datagram->drops, data, sizeof datagram->drops);
    }
}

static void take_in(struct backend_datagram *datagram, struct msghdr *message, size_t size)
{
    datagram->segment_size = 0;
    datagram->is_truncated = message->msg_flags & MSG_TRUNC;
    datagram->size = size;
    datagram->stamp_ns = 0;
    datagram->drops = 0;
    if (datagram->peer)
        datagram->peer_size = message->msg_namelen;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header))
        take_control(datagram, header);
}

/* Who spins asks for one at a time, most often in vain. */
static int receive_one(int fd, struct backend_datagram *datagram)
{
    struct msghdr message;
    union receive_control control;
    fill_in(&message, datagram, &control);
    const ssize_t size = TEMP_FAILURE_RETRY(recvmsg(fd, &message, MSG_DONTWAIT));
    if (size < 0)
        return -errno;
    take_in(datagram, &message, (size_t)size);
    return 1;
}

int sys_linux_receive_datagrams(const struct backend_sys *sys, int fd,
                                struct backend_datagram *datagrams, unsigned count)
{
    ASSERT(count > 0 && count <= BACKEND_DATAGRAMS_MAX);
    if (count == 1)
        return receive_one(fd, datagrams);
    struct mmsghdr messages[BACKEND_DATAGRAMS_MAX];
    union receive_control controls[BACKEND_DATAGRAMS_MAX];
    for (unsigned index = 0; index < count; index++)
        fill_in(&messages[index].msg_hdr, &datagrams[index], &controls[index]);
    const int received = TEMP_FAILURE_RETRY(recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL));
    if (received < 0)
        return -errno;
    ASSERT(received > 0 && received <= (int)count);
    for (int index = 0; index < received; index++)
        take_in(&datagrams[index], &messages[index].msg_hdr, messages[index].msg_len);
    return received;
}

/* ---- When they left -------------------------------------------------------------------------- */

/* The queue has other errors, too, for sockets that asked for them (IP_RECVERR): they are no
 * stamps. */
static bool take_stamp(struct msghdr *message, struct backend_stamp *ret_stamp)
{
    bool has_time = false, has_key = false;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPING) {
            ret_stamp->ns = stamp_of(header);
            has_time = true;
        } else if ((header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR) ||
                   (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err error;
            memcpy(&error, CMSG_DATA(header), sizeof error);
            ret_stamp->key = error.ee_data;
            has_key = error.ee_origin == SO_EE_ORIGIN_TIMESTAMPING;
        }
    }
    return has_time && has_key;
}

int sys_linux_sent_stamps(const struct backend_sys *sys, int fd, struct backend_stamp *ret_stamps,
                          unsigned count)
{
    ASSERT(count > 0 && count <= BACKEND_DATAGRAMS_MAX);
    struct mmsghdr messages[BACKEND_DATAGRAMS_MAX];
    union stamp_control controls[BACKEND_DATAGRAMS_MAX];
    for (unsigned index = 0; index < count; index++)
        messages[index].msg_hdr = (struct msghdr){
            .msg_control = controls[index].bytes,
            .msg_controllen = sizeof controls[index].bytes,
        };
    const int flags = MSG_ERRQUEUE | MSG_DONTWAIT;
    const int received = TEMP_FAILURE_RETRY(recvmmsg(fd, messages, count, flags, NULL));
    if (received < 0)
        return -errno;
    int stamps = 0;
    for (int index = 0; index < received; index++)
        if (take_stamp(&messages[index].msg_hdr, &ret_stamps[stamps]))
            stamps++;
    return stamps > 0 ? stamps : -EAGAIN;
}
