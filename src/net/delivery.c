/* SPDX-License-Identifier: MIT */
/*
 * See delivery.h.
 */
#include "net/delivery.h"

#include <linux/tcp.h> /* the C library's lacks tcpi_delivery_rate */
#include <netinet/in.h>
#include <stddef.h>

#include "net/stream.h"

int delivery_look(const struct backend_sys *sys, int fd, struct leat_delivery *ret_delivery)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    const int error = sys->getsockopt(sys, fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    if (error)
        return error;
    /* What the kernel does not know yet (delivery rates came with 4.9) is zero. */
    *ret_delivery = (struct leat_delivery){
        .rate_bytes_per_s = info.tcpi_delivery_rate,
        .is_limited = info.tcpi_delivery_rate_app_limited,
        .rtt_ns = (int64_t)info.tcpi_rtt * LEAT_NS_PER_US,
        .window = (uint64_t)info.tcpi_snd_cwnd * info.tcpi_snd_mss,
        .mss = info.tcpi_snd_mss,
    };
    return 0;
}

int leat_stream_delivery(const struct leat_stream *stream, struct leat_delivery *ret_delivery)
{
    return delivery_look(stream->loop->sys, stream->fd, ret_delivery);
}
