/* SPDX-License-Identifier: MIT */
/*
 * Captures: the UDP datagrams in a file of pcap (IETF, draft-ietf-opsawg-pcap; either byte order,
 * microseconds or nanoseconds) or pcapng (draft-ietf-opsawg-pcapng), and such files written. Sans
 * I/O, in pieces: a capture of a day has more bytes than the host has memory.
 *
 *     caller                                  reader
 *     [done with | bytes ....... | room]  ->  1: a datagram, in those bytes   (call again)
 *                                             0: more has to follow           (read on)
 *                                            -: what is wrong, and where
 *
 * Read are Ethernet (with tags of VLANs, stacked), raw IP, BSD's loopback and Linux's "cooked"
 * packets, both kinds. What is no whole UDP datagram is counted and passed over.
 */
#ifndef WIRE_PCAP_H
#define WIRE_PCAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    PCAP_PACKET_MAX = 262144, /* bytes of a packet in a file: libpcap's own limit */
    /* The most a reader asks to see in one piece: a packet, and what is around it. */
    PCAP_PIECE_MAX = PCAP_PACKET_MAX + 64,
    PCAP_INTERFACES_MAX = 256, /* in a section of pcapng */
    PCAP_ADDRESS_SIZE = 16,
};

/* One end of a datagram. IPv4 has the first four bytes of the address, and zeros. */
struct pcap_endpoint {
    uint8_t address[PCAP_ADDRESS_SIZE];
    uint16_t port;
};

struct pcap_datagram {
    int64_t time_ns; /* since 1970; 0: the file does not say */
    bool is_ipv6;
    struct pcap_endpoint source, destination;
    struct leat_slice payload;
};

/* ---- Reading --------------------------------------------------------------------------------- */

struct pcap_counts {
    uint64_t packets;   /* in the file; those below and the datagrams are all of them */
    uint64_t datagrams; /* given out */
    uint64_t fragments; /* of IP */
    uint64_t cut;       /* the capture kept too few of its bytes */
    uint64_t malformed; /* lengths that contradict each other */
    uint64_t others;    /* no UDP, or of a link type that is not known */
};

struct pcap_interface {
    uint32_t snap_size; /* 0: no limit */
    uint16_t link_type;
    uint8_t resolution; /* if_tsresol: 10^-n of a second; with the top bit set, 2^-n */
    int64_t offset_s;   /* if_tsoffset */
};

/* Plain memory; nothing to give back. */
struct pcap_reader {
    uint64_t position;  /* of the first byte that was not used yet, in the file */
    size_t wanted;      /* after 0: bytes from there on to call with, at least */
    const char *reason; /* after an error: one line */
    struct pcap_counts counts;

    enum { PCAP_FORMAT_UNKNOWN, PCAP_FORMAT_CLASSIC, PCAP_FORMAT_NG } format;
    bool is_big_endian;
    uint64_t skip;    /* bytes of a block that nobody needs, still to come, */
    uint32_t trailer; /* and the size that stands behind them; 0: none does */
    unsigned interface_count;
    struct pcap_interface interfaces[PCAP_INTERFACES_MAX]; /* classic: the first alone */
};

void pcap_reader_init(struct pcap_reader *reader);

/* `bytes` are the file's from `position` on, as many as the caller has; *ret_used of them are done
 * with when the datagram is, whose payload lies there. 1; 0: call again with `wanted` bytes or
 * more; -LEAT_E_MALFORMED, -LEAT_E_LIMIT, -EOPNOTSUPP (no capture, or of a link type that is not
 * known): after these the reader is of no more use. *ret_used is set with 1 and 0. */
int pcap_read(struct pcap_reader *reader, struct leat_slice bytes, size_t *ret_used,
              struct pcap_datagram *ret_datagram);

/* Whether the file may end at `position`, between two packets. One that was being written when its
 * writer died often does not. */
bool pcap_may_end(const struct pcap_reader *reader);

/* ---- Writing --------------------------------------------------------------------------------- */

enum {
    PCAP_FILE_HEADER_SIZE = 24,
    PCAP_RECORD_HEADER_MAX = 16 + 40 + 8, /* the record's, IPv6's, UDP's */
};

/* A classic file of raw IP, in nanoseconds, little-endian, begins with this. */
void pcap_write_file_header(uint8_t ret_header[PCAP_FILE_HEADER_SIZE]);

/* What goes before the payload, with headers of IP and UDP made up for it and their checksums
 * right. Its size, or -EMSGSIZE (no datagram has so much), -ERANGE (a time before 1970 or after
 * 2106). */
int pcap_write_record_header(const struct pcap_datagram *datagram,
                             uint8_t ret_header[PCAP_RECORD_HEADER_MAX]);

#endif
