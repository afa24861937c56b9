/* SPDX-License-Identifier: MIT */
/*
 * See pcap.h. Both formats are headers around packets. A step reads one of them, or passes over
 * some bytes of a block that nobody needs; what it needs and does not have yet it asks for, and
 * begins again when it is there.
 *
 *     step: 1 a datagram   0 more is wanted   STEP_ON (nothing to tell)   -: wrong
 */
#include "wire/pcap.h"

#include <errno.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "leat/error.h"
#include "wire/pcap_packet.h"

enum {
    STEP_MORE = 0,
    STEP_DATAGRAM = 1,
    STEP_ON = 2,

    NS_PER_S = 1000000000,
    NS_PER_US = 1000,
    RESOLUTION_US = 6, /* 10^-n of a second */
    RESOLUTION_NS = 9,
    RESOLUTION_BINARY = 0x80, /* 2^-n of a second */
};

/* ---- What both formats share ----------------------------------------------------------------- */

void pcap_reader_init(struct pcap_reader *reader)
{
    *reader = (struct pcap_reader){.format = PCAP_FORMAT_UNKNOWN};
}

bool pcap_may_end(const struct pcap_reader *reader)
{
    return reader->format != PCAP_FORMAT_UNKNOWN && reader->skip == 0 && reader->trailer == 0;
}

static int fail(struct pcap_reader *reader, int error, const char *reason)
{
    reader->reason = reason;
    return error;
}

static int malformed(struct pcap_reader *reader, const char *reason)
{
    return fail(reader, -LEAT_E_MALFORMED, reason);
}

static bool has(struct pcap_reader *reader, struct leat_slice bytes, size_t size)
{
    ASSERT(size <= PCAP_PIECE_MAX);
    reader->wanted = size;
    return bytes.size >= size;
}

static uint16_t take_u16(const struct pcap_reader *reader, struct cursor *cursor)
{
    return reader->is_big_endian ? cursor_u16be(cursor) : cursor_u16le(cursor);
}

static uint32_t take_u32(const struct pcap_reader *reader, struct cursor *cursor)
{
    return reader->is_big_endian ? cursor_u32be(cursor) : cursor_u32le(cursor);
}

static uint64_t take_u64(const struct pcap_reader *reader, struct cursor *cursor)
{
    return reader->is_big_endian ? cursor_u64be(cursor) : cursor_u64le(cursor);
}

static uint64_t power_of_ten(unsigned exponent)
{
    uint64_t power = 1;
    for (unsigned i = 0; i < exponent; i++)
        power *= 10;
    return power;
}

/* What int64_t cannot say becomes the last time that it can. */
static int64_t ticks_to_ns(const struct pcap_interface *interface, uint64_t ticks)
{
    enum { POWERS = 20 }; /* of ten in 64 bits */
    const unsigned exponent = interface->resolution & 0x7f;
    unsigned __int128 ns;
    if (interface->resolution & RESOLUTION_BINARY)
        ns = ((unsigned __int128)ticks * NS_PER_S) >> exponent;
    else if (exponent <= RESOLUTION_NS)
        ns = (unsigned __int128)ticks * power_of_ten(RESOLUTION_NS - exponent);
    else if (exponent - RESOLUTION_NS < POWERS)
        ns = ticks / power_of_ten(exponent - RESOLUTION_NS);
    else
        ns = 0;
    int64_t offset_ns, sum;
    if (ns > INT64_MAX || __builtin_mul_overflow(interface->offset_s, NS_PER_S, &offset_ns) ||
        __builtin_add_overflow((int64_t)ns, offset_ns, &sum))
        return INT64_MAX;
    return sum;
}

/* Counts what the packet is: true when it is a datagram. */
static bool take_packet(struct pcap_reader *reader, const struct pcap_interface *interface,
                        struct leat_slice packet, struct pcap_datagram *ret_datagram)
{
    struct pcap_counts *const counts = &reader->counts;
    counts->packets++;
    const enum pcap_kind kind = pcap_packet_read(interface->link_type, packet, ret_datagram);
    switch (kind) {
    case PCAP_KIND_DATAGRAM: counts->datagrams++; break;
    case PCAP_KIND_FRAGMENT: counts->fragments++; break;
    case PCAP_KIND_CUT: counts->cut++; break;
    case PCAP_KIND_MALFORMED: counts->malformed++; break;
    case PCAP_KIND_OTHER: counts->others++; break;
    }
    return kind == PCAP_KIND_DATAGRAM;
}

/* ---- Classic --------------------------------------------------------------------------------- */

static const uint32_t MAGIC_US = 0xa1b2c3d4, MAGIC_NS = 0xa1b23c4d;

enum {
    RECORD_HEADER_SIZE = 16,
    VERSION = 2,
    VERSION_MINOR = 4,
};

static int read_file_header(struct pcap_reader *reader, struct leat_slice bytes, bool is_ns,
                            size_t *ret_size)
{
    if (!has(reader, bytes, PCAP_FILE_HEADER_SIZE))
        return STEP_MORE;
    struct cursor cursor = cursor_over(slice_after(bytes, 4));
    if (take_u16(reader, &cursor) != VERSION)
        return fail(reader, -EOPNOTSUPP, "of a version of pcap that is not 2");
    cursor_skip(&cursor, 2 + 4 + 4 + 4); /* minor version, two reserved words, the longest packet */
    /* The upper half says whether there are checksums behind packets, of which IP knows nothing. */
    const uint16_t link_type = (uint16_t)take_u32(reader, &cursor);
    ASSERT(!cursor.failed);
    if (!pcap_link_is_known(link_type))
        return fail(reader, -EOPNOTSUPP, "of a link type in which no IP is looked for");
    reader->interfaces[0] = (struct pcap_interface){
        .link_type = link_type,
        .resolution = is_ns ? RESOLUTION_NS : RESOLUTION_US,
    };
    reader->interface_count = 1;
    reader->format = PCAP_FORMAT_CLASSIC;
    *ret_size = PCAP_FILE_HEADER_SIZE;
    return STEP_ON;
}

static int read_record(struct pcap_reader *reader, struct leat_slice bytes, size_t *ret_size,
                       struct pcap_datagram *ret_datagram)
{
    const struct pcap_interface *const interface = &reader->interfaces[0];
    if (!has(reader, bytes, RECORD_HEADER_SIZE))
        return STEP_MORE;
    struct cursor cursor = cursor_over(bytes);
    const uint32_t seconds = take_u32(reader, &cursor);
    const uint32_t ticks = take_u32(reader, &cursor);
    const uint32_t size = take_u32(reader, &cursor);
    if (size > PCAP_PACKET_MAX)
        return malformed(reader, "a packet is longer than 262144 bytes");
    if (!has(reader, bytes, RECORD_HEADER_SIZE + size))
        return STEP_MORE;
    *ret_size = RECORD_HEADER_SIZE + size;
    const struct leat_slice packet = slice_of(bytes.data + RECORD_HEADER_SIZE, size);
    if (!take_packet(reader, interface, packet, ret_datagram))
        return STEP_ON;
    const int64_t tick_ns = interface->resolution == RESOLUTION_NS ? 1 : NS_PER_US;
    ret_datagram->time_ns = (int64_t)seconds * NS_PER_S + ticks * tick_ns;
    return STEP_DATAGRAM;
}

/* ---- pcapng ---------------------------------------------------------------------------------- */

enum {
    BLOCK_SECTION = 0x0a0d0d0a, /* the same in either byte order */
    BLOCK_INTERFACE = 1,
    BLOCK_SIMPLE = 3,
    BLOCK_ENHANCED = 6,
    ORDER_MAGIC = 0x1a2b3c4d,

    BLOCK_HEADER_SIZE = 8,
    BLOCK_TRAILER_SIZE = 4, /* the block's size, again */
    SECTION_SIZE = 28,      /* with no options, as the others */
    INTERFACE_SIZE = 20,
    SIMPLE_SIZE = 16,
    ENHANCED_SIZE = 32,

    OPTION_RESOLUTION = 9,
    OPTION_OFFSET = 14,
};

/* The rest of a block is passed over, and its end looked at. */
static void leave_block(struct pcap_reader *reader, uint32_t block_size, size_t used)
{
    ASSERT(used + BLOCK_TRAILER_SIZE <= block_size);
    reader->skip = block_size - BLOCK_TRAILER_SIZE - used;
    reader->trailer = block_size;
}

static int read_section(struct pcap_reader *reader, struct leat_slice bytes, size_t *ret_size)
{
    enum { USED = BLOCK_HEADER_SIZE + 4 + 2 }; /* up to the major version */
    if (!has(reader, bytes, USED))
        return STEP_MORE;
    struct cursor cursor = cursor_over(slice_after(bytes, BLOCK_HEADER_SIZE));
    const uint32_t order = cursor_u32be(&cursor);
    if (order != ORDER_MAGIC && order != __builtin_bswap32(ORDER_MAGIC))
        return malformed(reader, "a section without a byte order");
    reader->is_big_endian = order == ORDER_MAGIC;
    if (take_u16(reader, &cursor) != 1)
        return fail(reader, -EOPNOTSUPP, "of a version of pcapng that is not 1");
    cursor = cursor_over(slice_after(bytes, 4));
    const uint32_t size = take_u32(reader, &cursor);
    if (size < SECTION_SIZE || size % 4 != 0)
        return malformed(reader, "a section's header of a size that cannot be");
    reader->format = PCAP_FORMAT_NG;
    reader->interface_count = 0; /* a section has its own */
    leave_block(reader, size, USED);
    *ret_size = USED;
    return STEP_ON;
}

static int read_options(struct pcap_reader *reader, struct cursor *cursor,
                        struct pcap_interface *interface)
{
    while (cursor_left(cursor) > 0) {
        const uint16_t code = take_u16(reader, cursor);
        const uint16_t size = take_u16(reader, cursor);
        struct cursor value = cursor_within(cursor, size);
        cursor_skip(cursor, (4 - size % 4U) % 4);
        if (code == 0 && !cursor->failed) /* there are no more */
            return 0;
        if (code == OPTION_RESOLUTION)
            interface->resolution = cursor_u8(&value);
        else if (code == OPTION_OFFSET)
            interface->offset_s = (int64_t)take_u64(reader, &value);
        if (cursor->failed || value.failed)
            return malformed(reader, "an interface's option reaches beyond its block");
    }
    return 0;
}

static int read_interface(struct pcap_reader *reader, struct leat_slice bytes, uint32_t block_size,
                          size_t *ret_size)
{
    if (block_size < INTERFACE_SIZE || block_size > PCAP_PIECE_MAX)
        return malformed(reader, "an interface's block of a size that cannot be");
    if (!has(reader, bytes, block_size))
        return STEP_MORE;
    if (reader->interface_count == PCAP_INTERFACES_MAX)
        return fail(reader, -LEAT_E_LIMIT, "more than 256 interfaces in a section");
    const size_t size = block_size - BLOCK_TRAILER_SIZE;
    struct cursor cursor = cursor_over(slice_of(bytes.data, size));
    cursor_skip(&cursor, BLOCK_HEADER_SIZE);
    struct pcap_interface interface = {.resolution = RESOLUTION_US};
    interface.link_type = take_u16(reader, &cursor);
    cursor_skip(&cursor, 2);
    interface.snap_size = take_u32(reader, &cursor);
    const int result = read_options(reader, &cursor, &interface);
    if (result < 0)
        return result;
    reader->interfaces[reader->interface_count++] = interface;
    leave_block(reader, block_size, size);
    *ret_size = size;
    return STEP_ON;
}

/* A packet of `size` bytes lies behind the `header_size` bytes that its block begins with. */
static int read_block_packet(struct pcap_reader *reader, struct leat_slice bytes,
                             uint32_t block_size, size_t header_size, uint32_t size,
                             const struct pcap_interface *interface, size_t *ret_size,
                             struct pcap_datagram *ret_datagram)
{
    if (size > PCAP_PACKET_MAX)
        return malformed(reader, "a packet is longer than 262144 bytes");
    if (size > block_size - header_size - BLOCK_TRAILER_SIZE)
        return malformed(reader, "a packet is longer than its block");
    if (!has(reader, bytes, header_size + size))
        return STEP_MORE;
    leave_block(reader, block_size, header_size + size);
    *ret_size = header_size + size;
    const struct leat_slice packet = slice_of(bytes.data + header_size, size);
    return take_packet(reader, interface, packet, ret_datagram) ? STEP_DATAGRAM : STEP_ON;
}

static int read_enhanced(struct pcap_reader *reader, struct leat_slice bytes, uint32_t block_size,
                         size_t *ret_size, struct pcap_datagram *ret_datagram)
{
    enum { HEADER_SIZE = ENHANCED_SIZE - BLOCK_TRAILER_SIZE };
    if (block_size < ENHANCED_SIZE)
        return malformed(reader, "a packet's block is too short");
    if (!has(reader, bytes, HEADER_SIZE))
        return STEP_MORE;
    struct cursor cursor = cursor_over(slice_after(bytes, BLOCK_HEADER_SIZE));
    const uint32_t index = take_u32(reader, &cursor);
    const uint64_t ticks_high = take_u32(reader, &cursor);
    const uint64_t ticks = ticks_high << 32 | take_u32(reader, &cursor);
    const uint32_t size = take_u32(reader, &cursor);
    if (index >= reader->interface_count)
        return malformed(reader, "a packet of an interface that there is not");
    const struct pcap_interface *const interface = &reader->interfaces[index];
    const int result = read_block_packet(reader, bytes, block_size, HEADER_SIZE, size, interface,
                                         ret_size, ret_datagram);
    if (result == STEP_DATAGRAM)
        ret_datagram->time_ns = ticks_to_ns(interface, ticks);
    return result;
}

static int read_simple(struct pcap_reader *reader, struct leat_slice bytes, uint32_t block_size,
                       size_t *ret_size, struct pcap_datagram *ret_datagram)
{
    enum { HEADER_SIZE = SIMPLE_SIZE - BLOCK_TRAILER_SIZE };
    if (block_size < SIMPLE_SIZE)
        return malformed(reader, "a packet's block is too short");
    if (!has(reader, bytes, HEADER_SIZE))
        return STEP_MORE;
    if (reader->interface_count == 0)
        return malformed(reader, "a packet of an interface that there is not");
    struct cursor cursor = cursor_over(slice_after(bytes, BLOCK_HEADER_SIZE));
    const struct pcap_interface *const interface = &reader->interfaces[0];
    uint32_t size = take_u32(reader, &cursor); /* what it had on the wire */
    if (interface->snap_size > 0 && size > interface->snap_size)
        size = interface->snap_size;
    return read_block_packet(reader, bytes, block_size, HEADER_SIZE, size, interface, ret_size,
                             ret_datagram);
}

static int read_block(struct pcap_reader *reader, struct leat_slice bytes, size_t *ret_size,
                      struct pcap_datagram *ret_datagram)
{
    if (!has(reader, bytes, BLOCK_HEADER_SIZE))
        return STEP_MORE;
    struct cursor cursor = cursor_over(bytes);
    const uint32_t type = take_u32(reader, &cursor);
    const uint32_t size = take_u32(reader, &cursor);
    if (type == BLOCK_SECTION) /* perhaps of the other byte order: its size was not read right */
        return read_section(reader, bytes, ret_size);
    if (size < BLOCK_HEADER_SIZE + BLOCK_TRAILER_SIZE || size % 4 != 0)
        return malformed(reader, "a block of a size that cannot be");
    switch (type) {
    case BLOCK_INTERFACE: return read_interface(reader, bytes, size, ret_size);
    case BLOCK_ENHANCED: return read_enhanced(reader, bytes, size, ret_size, ret_datagram);
    case BLOCK_SIMPLE: return read_simple(reader, bytes, size, ret_size, ret_datagram);
    default:
        leave_block(reader, size, BLOCK_HEADER_SIZE);
        *ret_size = BLOCK_HEADER_SIZE;
        return STEP_ON;
    }
}

static int read_trailer(struct pcap_reader *reader, struct leat_slice bytes, size_t *ret_size)
{
    if (!has(reader, bytes, BLOCK_TRAILER_SIZE))
        return STEP_MORE;
    struct cursor cursor = cursor_over(bytes);
    if (take_u32(reader, &cursor) != reader->trailer)
        return malformed(reader, "a block ends with another size than it begins with");
    reader->trailer = 0;
    *ret_size = BLOCK_TRAILER_SIZE;
    return STEP_ON;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int read_magic(struct pcap_reader *reader, struct leat_slice bytes, size_t *ret_size)
{
    if (!has(reader, bytes, 4))
        return STEP_MORE;
    struct cursor cursor = cursor_over(bytes);
    uint32_t magic = cursor_u32le(&cursor);
    if (magic == BLOCK_SECTION)
        return read_section(reader, bytes, ret_size);
    reader->is_big_endian = magic != MAGIC_US && magic != MAGIC_NS;
    if (reader->is_big_endian)
        magic = __builtin_bswap32(magic);
    if (magic != MAGIC_US && magic != MAGIC_NS)
        return fail(reader, -EOPNOTSUPP, "neither pcap nor pcapng");
    return read_file_header(reader, bytes, magic == MAGIC_NS, ret_size);
}

static int step(struct pcap_reader *reader, struct leat_slice bytes, size_t *ret_size,
                struct pcap_datagram *ret_datagram)
{
    if (reader->skip > 0) {
        if (!has(reader, bytes, 1))
            return STEP_MORE;
        *ret_size = reader->skip < bytes.size ? (size_t)reader->skip : bytes.size;
        reader->skip -= *ret_size;
        return STEP_ON;
    }
    if (reader->trailer > 0)
        return read_trailer(reader, bytes, ret_size);
    switch (reader->format) {
    case PCAP_FORMAT_CLASSIC: return read_record(reader, bytes, ret_size, ret_datagram);
    case PCAP_FORMAT_NG: return read_block(reader, bytes, ret_size, ret_datagram);
    case PCAP_FORMAT_UNKNOWN: break;
    }
    return read_magic(reader, bytes, ret_size);
}

int pcap_read(struct pcap_reader *reader, struct leat_slice bytes, size_t *ret_used,
              struct pcap_datagram *ret_datagram)
{
    size_t used = 0;
    for (;;) {
        size_t size = 0;
        const int result = step(reader, slice_after(bytes, used), &size, ret_datagram);
        if (result < 0)
            return result;
        ASSERT(size <= bytes.size - used && (size > 0) == (result != STEP_MORE));
        used += size;
        reader->position += size;
        if (result != STEP_ON) {
            *ret_used = used;
            return result;
        }
    }
}

/* ---- Writing --------------------------------------------------------------------------------- */

void pcap_write_file_header(uint8_t ret_header[PCAP_FILE_HEADER_SIZE])
{
    struct writer writer = writer_over(ret_header, PCAP_FILE_HEADER_SIZE);
    writer_u32le(&writer, MAGIC_NS);
    writer_u16le(&writer, VERSION);
    writer_u16le(&writer, VERSION_MINOR);
    writer_u64le(&writer, 0);
    writer_u32le(&writer, PCAP_PACKET_MAX);
    writer_u32le(&writer, PCAP_LINK_RAW);
    ASSERT(!writer.failed && writer.size == PCAP_FILE_HEADER_SIZE);
}

int pcap_write_record_header(const struct pcap_datagram *datagram,
                             uint8_t ret_header[PCAP_RECORD_HEADER_MAX])
{
    const int64_t seconds = datagram->time_ns / NS_PER_S;
    if (datagram->time_ns < 0 || seconds > UINT32_MAX)
        return -ERANGE;
    const int size = pcap_packet_write(datagram, ret_header + RECORD_HEADER_SIZE);
    if (size < 0)
        return size;
    const uint32_t packet_size = (uint32_t)((size_t)size + datagram->payload.size);
    struct writer writer = writer_over(ret_header, RECORD_HEADER_SIZE);
    writer_u32le(&writer, (uint32_t)seconds);
    writer_u32le(&writer, (uint32_t)(datagram->time_ns % NS_PER_S));
    writer_u32le(&writer, packet_size); /* what is kept, and what there was */
    writer_u32le(&writer, packet_size);
    ASSERT(!writer.failed && writer.size == RECORD_HEADER_SIZE);
    return RECORD_HEADER_SIZE + size;
}
