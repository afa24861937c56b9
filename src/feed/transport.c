/* SPDX-License-Identifier: MIT */
/*
 * From an address to what carries frames there.
 */
#include "feed/transport.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "feed/transport_shm.h"
#include "feed/transport_udp.h"

int feed_refuse(int error, char *ret_reason, size_t reason_size, const char *format, ...)
{
    ASSERT(error < 0);
    va_list arguments;
    va_start(arguments, format);
    if (reason_size > 0)
        vsnprintf(ret_reason, reason_size, format, arguments);
    va_end(arguments);
    return error;
}

int feed_transport_open(struct leat_loop *loop, const struct feed_transport_options *options,
                        struct feed_transport **ret_transport, char *ret_reason, size_t reason_size)
{
    ASSERT(loop && options->address);
    ASSERT(options->packet_size_max > 0 && options->packet_size_max <= LEAT_FEED_PACKET_SIZE_MAX);
    if (slice_starts_with(slice_from_text(options->address), SLICE("shm:")))
        return transport_shm_open(loop, options, options->address + strlen("shm:"), ret_transport,
                                  ret_reason, reason_size);
    struct leat_address address;
    const char *wrong;
    if (leat_address_parse(options->address, &address, &wrong))
        return feed_refuse(-EINVAL, ret_reason, reason_size, "%s: %s", options->address, wrong);
    return transport_udp_open(loop, options, &address, ret_transport, ret_reason, reason_size);
}

int feed_transport_address(const struct feed_transport *transport, struct leat_address *ret_address)
{
    return transport->ops->address ? transport->ops->address(transport, ret_address) : -ENOTSUP;
}
