/* SPDX-License-Identifier: MIT */
/*
 * See pcap_packet.h. A length in a header is believed only as far as the headers around it allow;
 * bytes behind the datagram (Ethernet's padding, a switch's time stamps) are nobody's business.
 * Checksums are not looked at: where the card computes them, captures of what was sent have none.
 */
#include "wire/pcap_packet.h"

#include <errno.h>

#include "base/assert.h"
#include "base/cursor.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_VLAN = 0x8100,   /* IEEE 802.1Q */
    ETHERTYPE_QINQ = 0x88a8,   /* IEEE 802.1ad, and */
    ETHERTYPE_QINQ_1 = 0x9100, /* what was used before it */
    ETHERTYPE_QINQ_2 = 0x9200,
    VLAN_TAGS_MAX = 4,

    IPV4_HEADER_SIZE = 20,
    IPV6_HEADER_SIZE = 40,
    IPV6_EXTENSIONS_MAX = 8,
    UDP_HEADER_SIZE = 8,
    IP_UDP = 17,
    HOPS = 64, /* of packets that are made up */
};

/* ---- Reading --------------------------------------------------------------------------------- */

/* A header ended before it should have: of what the capture kept, or within its own packet. */
static enum pcap_kind read_udp(struct leat_slice bytes, bool is_cut, struct pcap_datagram *datagram)
{
    struct cursor cursor = cursor_over(bytes);
    datagram->source.port = cursor_u16be(&cursor);
    datagram->destination.port = cursor_u16be(&cursor);
    const uint16_t size = cursor_u16be(&cursor);
    cursor_skip(&cursor, 2); /* the checksum */
    if (cursor.failed)
        return is_cut ? PCAP_KIND_CUT : PCAP_KIND_MALFORMED;
    if (size < UDP_HEADER_SIZE)
        return PCAP_KIND_MALFORMED;
    datagram->payload = cursor_bytes(&cursor, size - UDP_HEADER_SIZE);
    if (cursor.failed)
        return is_cut ? PCAP_KIND_CUT : PCAP_KIND_MALFORMED;
    return PCAP_KIND_DATAGRAM;
}

/* What of the packet's `size` bytes the capture has. */
static struct leat_slice limit(struct leat_slice bytes, size_t size, bool *ret_is_cut)
{
    *ret_is_cut = size > bytes.size;
    return *ret_is_cut ? bytes : slice_of(bytes.data, size);
}

static enum pcap_kind read_ipv4(struct leat_slice bytes, struct pcap_datagram *datagram)
{
    struct cursor cursor = cursor_over(bytes);
    const uint8_t version_and_words = cursor_u8(&cursor);
    cursor_skip(&cursor, 1); /* the type of service */
    const uint16_t size = cursor_u16be(&cursor);
    cursor_skip(&cursor, 2); /* the identification */
    const uint16_t fragment = cursor_u16be(&cursor);
    cursor_skip(&cursor, 1); /* time to live */
    const uint8_t protocol = cursor_u8(&cursor);
    cursor_skip(&cursor, 2); /* the checksum */
    const unsigned char *const source = cursor_take(&cursor, 4);
    const unsigned char *const destination = cursor_take(&cursor, 4);
    if (cursor.failed)
        return PCAP_KIND_CUT;
    const size_t header_size = (size_t)(version_and_words & 15) * 4;
    if (version_and_words >> 4 != 4 || header_size < IPV4_HEADER_SIZE || size < header_size)
        return PCAP_KIND_MALFORMED;
    if (protocol != IP_UDP)
        return PCAP_KIND_OTHER;
    if ((fragment & 0x3fff) != 0) /* more fragments follow, or it is not the first */
        return PCAP_KIND_FRAGMENT;

    memcpy(datagram->source.address, source, 4);
    memcpy(datagram->destination.address, destination, 4);
    bool is_cut;
    const struct leat_slice packet = limit(bytes, size, &is_cut);
    if (packet.size < header_size)
        return PCAP_KIND_CUT;
    return read_udp(slice_after(packet, header_size), is_cut, datagram);
}

/* RFC 8200, section 4: past the extension headers that end-to-end datagrams may have. */
static enum pcap_kind read_ipv6_rest(struct leat_slice rest, uint8_t next, bool is_cut,
                                     struct pcap_datagram *datagram)
{
    enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60 };
    struct cursor cursor = cursor_over(rest);
    for (unsigned count = 0; next != IP_UDP; count++) {
        if (count == IPV6_EXTENSIONS_MAX)
            return PCAP_KIND_MALFORMED;
        if (next != HOP_BY_HOP && next != ROUTING && next != FRAGMENT && next != DESTINATION)
            return PCAP_KIND_OTHER;
        const bool is_fragment = next == FRAGMENT;
        next = cursor_u8(&cursor);
        const uint8_t units = cursor_u8(&cursor);
        const uint16_t offset = cursor_u16be(&cursor);
        cursor_skip(&cursor, 4 + (is_fragment ? 0 : (size_t)units * 8));
        if (cursor.failed)
            return is_cut ? PCAP_KIND_CUT : PCAP_KIND_MALFORMED;
        /* One fragment that is all of it is none (RFC 6946). */
        if (is_fragment && (offset & 0xfff9) != 0)
            return next == IP_UDP ? PCAP_KIND_FRAGMENT : PCAP_KIND_OTHER;
    }
    return read_udp(slice_after(rest, cursor.offset), is_cut, datagram);
}

static enum pcap_kind read_ipv6(struct leat_slice bytes, struct pcap_datagram *datagram)
{
    struct cursor cursor = cursor_over(bytes);
    const uint32_t version = cursor_u32be(&cursor) >> 28;
    const uint16_t size = cursor_u16be(&cursor);
    const uint8_t next = cursor_u8(&cursor);
    cursor_skip(&cursor, 1); /* the hop limit */
    const unsigned char *const source = cursor_take(&cursor, PCAP_ADDRESS_SIZE);
    const unsigned char *const destination = cursor_take(&cursor, PCAP_ADDRESS_SIZE);
    if (cursor.failed)
        return PCAP_KIND_CUT;
    if (version != 6)
        return PCAP_KIND_MALFORMED;
    datagram->is_ipv6 = true;
    memcpy(datagram->source.address, source, PCAP_ADDRESS_SIZE);
    memcpy(datagram->destination.address, destination, PCAP_ADDRESS_SIZE);
    bool is_cut;
    const struct leat_slice rest = limit(slice_after(bytes, IPV6_HEADER_SIZE), size, &is_cut);
    return read_ipv6_rest(rest, next, is_cut, datagram);
}

static enum pcap_kind read_ip(struct leat_slice bytes, struct pcap_datagram *datagram)
{
    if (bytes.size == 0)
        return PCAP_KIND_CUT;
    switch ((unsigned char)bytes.data[0] >> 4) {
    case 4: return read_ipv4(bytes, datagram);
    case 6: return read_ipv6(bytes, datagram);
    default: return PCAP_KIND_OTHER;
    }
}

/* The cursor is behind an ethertype. */
static enum pcap_kind read_ethertype(struct cursor *cursor, uint16_t type,
                                     struct pcap_datagram *datagram)
{
    for (unsigned tags = 0; type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ ||
                            type == ETHERTYPE_QINQ_1 || type == ETHERTYPE_QINQ_2;
         tags++) {
        if (tags == VLAN_TAGS_MAX)
            return PCAP_KIND_OTHER;
        cursor_skip(cursor, 2); /* the tag */
        type = cursor_u16be(cursor);
    }
    if (cursor->failed)
        return PCAP_KIND_CUT;
    const struct leat_slice rest = cursor_bytes(cursor, cursor_left(cursor));
    if (type == ETHERTYPE_IPV4)
        return read_ipv4(rest, datagram);
    return type == ETHERTYPE_IPV6 ? read_ipv6(rest, datagram) : PCAP_KIND_OTHER;
}

/* The number of IPv6's family depends on the system that captured. */
static enum pcap_kind read_family(struct leat_slice packet, bool is_big_endian,
                                  struct pcap_datagram *datagram)
{
    enum { IPV4 = 2, IPV6_LINUX = 10, IPV6_NETBSD = 24, IPV6_FREEBSD = 28, IPV6_DARWIN = 30 };
    struct cursor cursor = cursor_over(packet);
    uint32_t family = cursor_u32be(&cursor);
    if (cursor.failed)
        return PCAP_KIND_CUT;
    if (!is_big_endian && family > 0xffff) /* families are small: the other order it is */
        family = __builtin_bswap32(family);
    const struct leat_slice rest = slice_after(packet, cursor.offset);
    switch (family) {
    case IPV4: return read_ipv4(rest, datagram);
    case IPV6_LINUX:
    case IPV6_NETBSD:
    case IPV6_FREEBSD:
    case IPV6_DARWIN: return read_ipv6(rest, datagram);
    default: return PCAP_KIND_OTHER;
    }
}

bool pcap_link_is_known(uint16_t link_type)
{
    switch (link_type) {
    case PCAP_LINK_NULL:
    case PCAP_LINK_ETHERNET:
    case PCAP_LINK_RAW_BSD:
    case PCAP_LINK_RAW_OPENBSD:
    case PCAP_LINK_RAW:
    case PCAP_LINK_LOOP:
    case PCAP_LINK_COOKED:
    case PCAP_LINK_IPV4:
    case PCAP_LINK_IPV6:
    case PCAP_LINK_COOKED_V2: return true;
    default: return false;
    }
}

static enum pcap_kind read_link(uint16_t link_type, struct leat_slice packet,
                                struct pcap_datagram *datagram)
{
    struct cursor cursor = cursor_over(packet);
    uint16_t type;
    switch (link_type) {
    case PCAP_LINK_NULL:
    case PCAP_LINK_LOOP: return read_family(packet, link_type == PCAP_LINK_LOOP, datagram);
    case PCAP_LINK_ETHERNET:
        cursor_skip(&cursor, 12); /* two addresses */
        type = cursor_u16be(&cursor);
        return read_ethertype(&cursor, type, datagram);
    case PCAP_LINK_COOKED:
        cursor_skip(&cursor, 14); /* kind, address and its size */
        type = cursor_u16be(&cursor);
        return read_ethertype(&cursor, type, datagram);
    case PCAP_LINK_COOKED_V2:
        type = cursor_u16be(&cursor);
        cursor_skip(&cursor, 18); /* the interface, and as above */
        return read_ethertype(&cursor, type, datagram);
    case PCAP_LINK_RAW_BSD:
    case PCAP_LINK_RAW_OPENBSD:
    case PCAP_LINK_RAW:
    case PCAP_LINK_IPV4:
    case PCAP_LINK_IPV6: return read_ip(packet, datagram);
    default: return PCAP_KIND_OTHER;
    }
}

enum pcap_kind pcap_packet_read(uint16_t link_type, struct leat_slice packet,
                                struct pcap_datagram *ret_datagram)
{
    struct pcap_datagram datagram = {.time_ns = 0};
    const enum pcap_kind kind = read_link(link_type, packet, &datagram);
    if (kind != PCAP_KIND_DATAGRAM)
        return kind;
    ASSERT(datagram.payload.size <= packet.size);
    *ret_datagram = datagram;
    return PCAP_KIND_DATAGRAM;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* The Internet checksum (RFC 1071), still to be folded; an odd end counts as followed by zero. */
static uint64_t sum_words(uint64_t sum, const void *data, size_t size)
{
    struct cursor cursor = cursor_over(slice_of(data, size));
    while (cursor_left(&cursor) >= 2)
        sum += cursor_u16be(&cursor);
    if (cursor_left(&cursor) > 0)
        sum += (uint64_t)cursor_u8(&cursor) << 8;
    return sum;
}

static uint16_t fold(uint64_t sum)
{
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint16_t udp_checksum(const struct pcap_datagram *datagram, uint16_t size)
{
    const size_t address_size = datagram->is_ipv6 ? PCAP_ADDRESS_SIZE : 4;
    uint64_t sum = IP_UDP + size; /* of the pseudo header, which has it too, and of the header */
    sum = sum_words(sum, datagram->source.address, address_size);
    sum = sum_words(sum, datagram->destination.address, address_size);
    sum += (uint64_t)datagram->source.port + datagram->destination.port + size;
    const uint16_t checksum = fold(sum_words(sum, datagram->payload.data, datagram->payload.size));
    return checksum != 0 ? checksum : 0xffff; /* 0 means that there is none */
}

static void write_ipv4(struct writer *writer, const struct pcap_datagram *datagram, uint16_t size)
{
    enum { CHECKSUM_OFFSET = 10, DO_NOT_FRAGMENT = 0x4000 };
    const size_t start = writer->size;
    writer_u16be(writer, 0x4500); /* version, words of the header, no service asked for */
    writer_u16be(writer, size);
    writer_u16be(writer, 0);
    writer_u16be(writer, DO_NOT_FRAGMENT);
    writer_u8(writer, HOPS);
    writer_u8(writer, IP_UDP);
    writer_u16be(writer, 0);
    writer_bytes(writer, slice_of(datagram->source.address, 4));
    writer_bytes(writer, slice_of(datagram->destination.address, 4));
    ASSERT(!writer->failed && writer->size - start == IPV4_HEADER_SIZE);
    uint8_t *const header = writer->data + start;
    const uint16_t checksum = htobe16(fold(sum_words(0, header, IPV4_HEADER_SIZE)));
    memcpy(header + CHECKSUM_OFFSET, &checksum, sizeof checksum);
}

static void write_ipv6(struct writer *writer, const struct pcap_datagram *datagram, uint16_t size)
{
    writer_u32be(writer, 6U << 28);
    writer_u16be(writer, size);
    writer_u8(writer, IP_UDP);
    writer_u8(writer, HOPS);
    writer_bytes(writer, slice_of(datagram->source.address, PCAP_ADDRESS_SIZE));
    writer_bytes(writer, slice_of(datagram->destination.address, PCAP_ADDRESS_SIZE));
}

int pcap_packet_write(const struct pcap_datagram *datagram, uint8_t *ret_headers)
{
    const size_t ip_size = datagram->is_ipv6 ? 0 : IPV4_HEADER_SIZE; /* what its length counts in */
    if (datagram->payload.size > UINT16_MAX - UDP_HEADER_SIZE - ip_size)
        return -EMSGSIZE;
    const uint16_t size = (uint16_t)(UDP_HEADER_SIZE + datagram->payload.size);
    struct writer writer = writer_over(ret_headers, IPV6_HEADER_SIZE + UDP_HEADER_SIZE);
    if (datagram->is_ipv6)
        write_ipv6(&writer, datagram, size);
    else
        write_ipv4(&writer, datagram, (uint16_t)(IPV4_HEADER_SIZE + size));
    writer_u16be(&writer, datagram->source.port);
    writer_u16be(&writer, datagram->destination.port);
    writer_u16be(&writer, size);
    writer_u16be(&writer, udp_checksum(datagram, size));
    ASSERT(!writer.failed);
    return (int)writer.size;
}
