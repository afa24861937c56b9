/* SPDX-License-Identifier: MIT */
/*
 * From a captured packet to the UDP datagram in it, and from a datagram to a packet: link layers
 * (the numbers are those of tcpdump.org/linktypes.html), IPv4 (RFC 791), IPv6 (RFC 8200), UDP
 * (RFC 768). For pcap.c alone.
 */
#ifndef WIRE_PCAP_PACKET_H
#define WIRE_PCAP_PACKET_H

#include "wire/pcap.h"

enum pcap_link {
    PCAP_LINK_NULL = 0, /* BSD's loopback: a family, in the byte order of who captured */
    PCAP_LINK_ETHERNET = 1,
    PCAP_LINK_RAW_BSD = 12,     /* raw IP, as files of some systems call it */
    PCAP_LINK_RAW_OPENBSD = 14, /* the same */
    PCAP_LINK_RAW = 101,
    PCAP_LINK_LOOP = 108, /* OpenBSD's loopback: a family, big-endian */
    PCAP_LINK_COOKED = 113,
    PCAP_LINK_IPV4 = 228,
    PCAP_LINK_IPV6 = 229,
    PCAP_LINK_COOKED_V2 = 276,
};

enum pcap_kind {
    PCAP_KIND_DATAGRAM,
    PCAP_KIND_FRAGMENT,
    PCAP_KIND_CUT,
    PCAP_KIND_MALFORMED,
    PCAP_KIND_OTHER,
};

bool pcap_link_is_known(uint16_t link_type);

/* `packet` is what the capture kept of it. Fills in all but the time, when it is a datagram. */
enum pcap_kind pcap_packet_read(uint16_t link_type, struct leat_slice packet,
                                struct pcap_datagram *ret_datagram);

/* The headers of IP and UDP: their size, or -EMSGSIZE. */
int pcap_packet_write(const struct pcap_datagram *datagram, uint8_t *ret_headers);

#endif
