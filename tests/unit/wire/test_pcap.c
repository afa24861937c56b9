/* SPDX-License-Identifier: MIT */
/*
 * Captures: every byte order, resolution and link type gives the same datagram; what is no whole
 * datagram is counted as what it is; what is damaged is told with its place; and however a file is
 * cut into pieces, it has the same datagrams. What is written is read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "leat/error.h"
#include "wire/pcap.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* 10.0.0.1:1000 to 239.1.1.1:5000, "hello". */
#define UDP "\x03\xe8\x13\x88\0\x0d\0\0hello"
#define IPV4 "\x45\0\0\x21\0\0\x40\0\x40\x11\0\0\x0a\0\0\1\xef\1\1\1" UDP
#define V6_SOURCE "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define V6_GROUP "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\5"
#define IPV6 "\x60\0\0\0\0\x0d\x11\x40" V6_SOURCE V6_GROUP UDP
#define MACS "\1\0\x5e\1\1\1\2\0\0\0\0\1"

enum {
    NULL_LINK = 0,
    ETHERNET = 1,
    RAW = 101,
    LOOP = 108,
    COOKED = 113,
    WIFI = 105,
    COOKED_V2 = 276,
};

/* ---- Files, in memory ------------------------------------------------------------------------ */

struct file {
    struct writer writer;
    bool is_big;
    unsigned char bytes[1 << 12];
};

static struct file *begin(struct file *file, bool is_big)
{
    file->writer = writer_over(file->bytes, sizeof file->bytes);
    file->is_big = is_big;
    return file;
}

static void u16(struct file *file, uint16_t value)
{
    (file->is_big ? writer_u16be : writer_u16le)(&file->writer, value);
}

static void u32(struct file *file, uint32_t value)
{
    (file->is_big ? writer_u32be : writer_u32le)(&file->writer, value);
}

static void bytes(struct file *file, struct leat_slice data)
{
    writer_bytes(&file->writer, data);
}

static void classic(struct file *file, uint32_t magic, uint32_t link)
{
    u32(file, magic);
    u16(file, 2);
    u16(file, 4);
    u32(file, 0);
    u32(file, 0);
    u32(file, 65535);
    u32(file, link);
}

static void record(struct file *file, uint32_t seconds, uint32_t ticks, struct leat_slice packet)
{
    u32(file, seconds);
    u32(file, ticks);
    u32(file, (uint32_t)packet.size);
    u32(file, (uint32_t)packet.size);
    bytes(file, packet);
}

static void block(struct file *file, uint32_t type, struct leat_slice body)
{
    const uint32_t padding = (4 - body.size % 4) % 4;
    const uint32_t size = (uint32_t)body.size + padding + 12;
    u32(file, type);
    u32(file, size);
    bytes(file, body);
    bytes(file, slice_of("\0\0\0", padding));
    u32(file, size);
}

static void section(struct file *file)
{
    u32(file, 0x0a0d0d0a);
    u32(file, 28);
    u32(file, 0x1a2b3c4d);
    u16(file, 1);
    u16(file, 0);
    bytes(file, SLICE("\xff\xff\xff\xff\xff\xff\xff\xff"));
    u32(file, 28);
}

/* `option` in the file's order, with its code and size: a resolution is one byte. */
static void interface(struct file *file, uint16_t link, uint32_t snap_size, int resolution,
                      int64_t offset_s)
{
    struct file body;
    begin(&body, file->is_big);
    u16(&body, link);
    u16(&body, 0);
    u32(&body, snap_size);
    u16(&body, 2); /* its name */
    u16(&body, 3);
    bytes(&body, SLICE("lo0\0"));
    if (resolution >= 0) {
        u16(&body, 9);
        u16(&body, 1);
        bytes(&body, slice_of((const char[]){(char)resolution, 0, 0, 0}, 4));
    }
    if (offset_s != 0) {
        u16(&body, 14);
        u16(&body, 8);
        (file->is_big ? writer_u64be : writer_u64le)(&body.writer, (uint64_t)offset_s);
    }
    u32(&body, 0); /* the end of the options */
    block(file, 1, writer_slice(&body.writer));
}

static void enhanced(struct file *file, uint32_t index, uint64_t ticks, struct leat_slice packet)
{
    struct file body;
    begin(&body, file->is_big);
    u32(&body, index);
    u32(&body, (uint32_t)(ticks >> 32));
    u32(&body, (uint32_t)ticks);
    u32(&body, (uint32_t)packet.size);
    u32(&body, (uint32_t)packet.size);
    bytes(&body, packet);
    bytes(&body, slice_of("\0\0\0", (4 - packet.size % 4) % 4));
    u16(&body, 1); /* a comment */
    u16(&body, 2);
    bytes(&body, SLICE("hm\0\0"));
    u32(&body, 0);
    block(file, 6, writer_slice(&body.writer));
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct told {
    unsigned count;
    int64_t times[16];
    struct pcap_datagram last;
    char payload[64]; /* of the last */
    struct pcap_counts counts;
    int result; /* 0, or of the reader */
    uint64_t position;
    bool may_end;
};

/* Reads with `piece` bytes more each time; the bytes that the reader sees are nobody else's. */
static struct told tell(struct leat_slice file, size_t piece)
{
    struct pcap_reader *const reader = malloc(sizeof *reader);
    assert_non_null(reader);
    pcap_reader_init(reader);
    struct told told = {.count = 0};
    size_t have = 0;
    for (;;) {
        assert_true(have <= file.size - reader->position);
        char *const exact = malloc(have > 0 ? have : 1);
        assert_non_null(exact);
        memcpy(exact, file.data + reader->position, have);
        size_t used = SIZE_MAX;
        const uint64_t before = reader->position;
        struct pcap_datagram got;
        told.result = pcap_read(reader, slice_of(exact, have), &used, &got);
        if (told.result == 1) {
            assert_true(told.count < COUNT_OF(told.times));
            told.times[told.count++] = got.time_ns;
            told.last = got;
            assert_true(got.payload.size < sizeof told.payload);
            memset(told.payload, 0, sizeof told.payload);
            memcpy(told.payload, got.payload.data, got.payload.size);
        }
        free(exact);
        if (told.result < 0) {
            assert_int_equal(used, SIZE_MAX);
            assert_non_null(reader->reason);
            break;
        }
        assert_int_equal(reader->position, before + used);
        have -= used;
        const size_t left = file.size - reader->position - have;
        if (told.result == 0) {
            assert_true(reader->wanted > have && reader->wanted <= PCAP_PIECE_MAX);
            if (left == 0)
                break;
            have += piece < left ? piece : left;
        }
    }
    told.counts = reader->counts;
    told.position = reader->position;
    told.may_end = pcap_may_end(reader);
    const struct pcap_counts *const counts = &told.counts;
    assert_int_equal(counts->datagrams, told.count);
    assert_int_equal(counts->packets, counts->datagrams + counts->fragments + counts->cut +
                                          counts->malformed + counts->others);
    free(reader);
    return told;
}

static struct told tell_file(const struct file *file)
{
    assert_false(file->writer.failed);
    const struct leat_slice whole = writer_slice(&file->writer);
    const struct told told = tell(whole, whole.size);
    for (size_t piece = 1; piece < 40; piece += piece < 9 ? 1 : 10) {
        const struct told again = tell(whole, piece);
        assert_int_equal(again.result, told.result);
        assert_int_equal(again.position, told.position);
        assert_memory_equal(&again.counts, &told.counts, sizeof told.counts);
        assert_memory_equal(again.times, told.times, sizeof told.times);
        assert_memory_equal(again.payload, told.payload, sizeof told.payload);
    }
    return told;
}

static void assert_hello(const struct pcap_datagram *got, const char *payload, bool is_ipv6)
{
    assert_string_equal(payload, "hello");
    assert_int_equal(got->payload.size, 5);
    assert_int_equal(got->is_ipv6, is_ipv6);
    assert_int_equal(got->source.port, 1000);
    assert_int_equal(got->destination.port, 5000);
    const void *const source = is_ipv6 ? V6_SOURCE : "\x0a\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0";
    const void *const group = is_ipv6 ? V6_GROUP : "\xef\1\1\1\0\0\0\0\0\0\0\0\0\0\0\0";
    assert_memory_equal(got->source.address, source, PCAP_ADDRESS_SIZE);
    assert_memory_equal(got->destination.address, group, PCAP_ADDRESS_SIZE);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void classic_orders_and_units(void **state)
{
    static const struct {
        bool is_big;
        uint32_t magic;
        int64_t tick_ns;
    } rows[] = {
        {false, 0xa1b2c3d4, 1000},
        {true, 0xa1b2c3d4, 1000},
        {false, 0xa1b23c4d, 1},
        {true, 0xa1b23c4d, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct file file;
        begin(&file, rows[i].is_big);
        classic(&file, rows[i].magic, RAW);
        record(&file, 1600000000, 999999, SLICE(IPV4));
        record(&file, UINT32_MAX, 7, SLICE(IPV6));
        const struct told told = tell_file(&file);
        assert_int_equal(told.result, 0);
        assert_int_equal(told.count, 2);
        assert_true(told.may_end);
        assert_int_equal(told.position, file.writer.size);
        assert_int_equal(told.times[0], 1600000000000000000 + 999999 * rows[i].tick_ns);
        assert_int_equal(told.times[1], 4294967295000000000 + 7 * rows[i].tick_ns);
        assert_hello(&told.last, told.payload, true);
    }
}

static void link_types(void **state)
{
    static const struct {
        uint16_t link;
        struct leat_slice packet;
        int version; /* 0: counted among others; -1: cut */
    } rows[] = {
        {ETHERNET, SLICE(MACS "\x08\0" IPV4), 4},
        {ETHERNET, SLICE(MACS "\x86\xdd" IPV6), 6},
        {ETHERNET, SLICE(MACS "\x08\0" IPV4 "padding and a switch's time"), 4},
        {ETHERNET, SLICE(MACS "\x81\0\0\x07\x08\0" IPV4), 4},
        {ETHERNET, SLICE(MACS "\x88\xa8\0\x07\x81\0\0\x08\x86\xdd" IPV6), 6},
        {ETHERNET, SLICE(MACS "\x91\0\0\1\x92\0\0\2\x81\0\0\3\x81\0\0\4\x08\0" IPV4), 4},
        {ETHERNET, SLICE(MACS "\x81\0\0\1\x81\0\0\2\x81\0\0\3\x81\0\0\4\x81\0\0\5\x08\0" IPV4), 0},
        {ETHERNET, SLICE(MACS "\x08\x06" IPV4), 0}, /* ARP */
        {ETHERNET, SLICE(MACS "\x08"), -1},
        {ETHERNET, SLICE(MACS "\x81\0\0\1\x08"), -1},
        {RAW, SLICE(IPV4), 4},
        {12, SLICE(IPV4), 4},
        {14, SLICE(IPV6), 6},
        {228, SLICE(IPV4), 4},
        {229, SLICE(IPV6), 6},
        {RAW, {.size = 0}, -1},
        {RAW, SLICE("\x50"), 0},
        {NULL_LINK, SLICE("\2\0\0\0" IPV4), 4},
        {NULL_LINK, SLICE("\0\0\0\2" IPV4), 4},
        {NULL_LINK, SLICE("\x1e\0\0\0" IPV6), 6},
        {NULL_LINK, SLICE("\x1c\0\0\0" IPV6), 6},
        {NULL_LINK, SLICE("\0\0\0\x18" IPV6), 6},
        {NULL_LINK, SLICE("\x0a\0\0\0" IPV6), 6},
        {NULL_LINK, SLICE("\3\0\0\0" IPV4), 0},
        {NULL_LINK, SLICE("\2\0\0"), -1},
        {LOOP, SLICE("\0\0\0\2" IPV4), 4},
        {LOOP, SLICE("\2\0\0\0" IPV4), 0},
        {COOKED, SLICE("\0\4\0\1\0\6" MACS "\x08\0" IPV4), 0}, /* two bytes too many */
        {COOKED, SLICE("\0\4\0\1\0\6\2\0\0\0\0\1\0\0\x08\0" IPV4), 4},
        {COOKED, SLICE("\0\4\0\1\0\6\2\0\0\0\0\1\0\0\x81\0\0\7\x86\xdd" IPV6), 6},
        {COOKED, SLICE("\0\4\0\1\0\6\2\0\0\0\0\1\0\0\x08"), -1},
        {COOKED_V2, SLICE("\x08\0\0\0\0\0\0\1\0\1\0\6\2\0\0\0\0\1\0\0" IPV4), 4},
        {COOKED_V2, SLICE("\x86\xdd\0\0\0\0\0\1\0\1\0\6\2\0\0\0\0\1\0\0" IPV6), 6},
        {COOKED_V2, SLICE("\x08\0\0\0\0\0\0\1\0\1\0\6\2\0\0\0\0\1\0"), -1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct file file;
        begin(&file, false);
        classic(&file, 0xa1b2c3d4, rows[i].link);
        record(&file, 1, 0, rows[i].packet);
        const struct told told = tell_file(&file);
        assert_int_equal(told.result, 0);
        if (told.count != (rows[i].version > 0) || told.counts.others != (rows[i].version == 0) ||
            told.counts.cut != (rows[i].version < 0))
            fail_msg("row %zu: %u datagrams", i, told.count);
        if (told.count > 0)
            assert_hello(&told.last, told.payload, rows[i].version == 6);
    }
}

#define V4_HEADER(size, fragment, protocol)                                                        \
    "\x45\0\0" size "\0\0" fragment "\x40" protocol "\0\0\x0a\0\0\1\xef\1\1\1"
#define V6_HEADER(size, next) "\x60\0\0\0\0" size next "\x40" V6_SOURCE V6_GROUP

static void what_is_no_datagram(void **state)
{
    enum { FINE, FRAGMENT, CUT, MALFORMED, OTHER };
    static const struct {
        struct leat_slice packet;
        int kind;
    } rows[] = {
        {SLICE(V4_HEADER("\x21", "\0\0", "\x11") UDP), FINE},
        {SLICE("\x46\0\0\x25\0\0\0\0\x40\x11\0\0\x0a\0\0\1\xef\1\1\1\1\1\1\1" UDP), FINE},
        /* what IP says goes before what UDP is short of; and the other way about */
        {SLICE(V4_HEADER("\x25", "\0\0", "\x11") UDP "more"), FINE},
        {SLICE(V4_HEADER("\x20", "\0\0", "\x11") UDP), MALFORMED},
        {SLICE(V4_HEADER("\x1b", "\0\0", "\x11") UDP), MALFORMED},
        {SLICE(V4_HEADER("\x13", "\0\0", "\x11") UDP), MALFORMED},
        {SLICE(V4_HEADER("\x22", "\0\0", "\x11") "\x03\xe8\x13\x88\0\x0f\0\0hello!"), MALFORMED},
        {SLICE(V4_HEADER("\x21", "\0\0", "\x11") "\x03\xe8\x13\x88\0\x07\0\0hello"), MALFORMED},
        {SLICE(V4_HEADER("\x21", "\0\0", "\x11") "\x03\xe8\x13\x88\0\0\0\0hello"), MALFORMED},
        {SLICE("\x44\0\0\x21\0\0\0\0\x40\x11\0\0\x0a\0\0\1\xef\1\1\1" UDP), MALFORMED},
        {SLICE(V4_HEADER("\x21", "\x20\0", "\x11") UDP), FRAGMENT},
        {SLICE(V4_HEADER("\x21", "\0\1", "\x11") UDP), FRAGMENT},
        {SLICE(V4_HEADER("\x21", "\x40\0", "\x11") UDP), FINE}, /* "do not fragment" */
        {SLICE(V4_HEADER("\x21", "\x20\0", "\x06") UDP), OTHER},
        {SLICE(V4_HEADER("\x21", "\0\0", "\x06") UDP), OTHER},
        {SLICE(V4_HEADER("\x22", "\0\0", "\x11") "\x03\xe8\x13\x88\0\x0e\0\0hello"), CUT},
        {SLICE(V4_HEADER("\x21", "\0\0", "\x11") "\x03\xe8\x13\x88\0\x0d\0"), CUT},
        {SLICE(V4_HEADER("\x21", "\0\0", "\x11")), CUT},
        {SLICE("\x46\0\0\x25\0\0\0\0\x40\x11\0\0\x0a\0\0\1\xef\1\1\1\1\1"), CUT},
        {SLICE("\x45\0\0\x21"), CUT},
        /* cut behind the datagram, within what is nobody's business */
        {SLICE(V4_HEADER("\x2f", "\0\0", "\x11") UDP), FINE},

        {SLICE(V6_HEADER("\x0d", "\x11") UDP), FINE},
        {SLICE(V6_HEADER("\x0c", "\x11") UDP), MALFORMED},
        {SLICE(V6_HEADER("\x0e", "\x11") "\x03\xe8\x13\x88\0\x0e\0\0hello"), CUT},
        {SLICE(V6_HEADER("\0", "\x11") UDP), MALFORMED}, /* a jumbogram's */
        {SLICE(V6_HEADER("\x0d", "\x06") UDP), OTHER},
        {SLICE(V6_HEADER("\x15", "\0") "\x11\0\1\4\0\0\0\0" UDP), FINE},
        {SLICE(V6_HEADER("\x2d", "\0") "\x2b\0\1\4\0\0\0\0"
                                       "\x3c\0\0\0\0\0\0\0"
                                       "\x11\1\1\x0c\0\0\0\0\0\0\0\0\0\0\0\0" UDP),
         FINE},
        {SLICE(V6_HEADER("\x15", "\x2c") "\x11\0\0\0\0\0\0\1" UDP), FINE}, /* an atomic one */
        {SLICE(V6_HEADER("\x15", "\x2c") "\x11\0\0\1\0\0\0\1" UDP), FRAGMENT},
        {SLICE(V6_HEADER("\x15", "\x2c") "\x11\0\0\x08\0\0\0\1" UDP), FRAGMENT},
        {SLICE(V6_HEADER("\x15", "\x2c") "\x06\0\0\1\0\0\0\1" UDP), OTHER},
        {SLICE(V6_HEADER("\x15", "\0") "\x11\2\1\4\0\0\0\0" UDP), MALFORMED},
        {SLICE(V6_HEADER("\x30", "\0") "\x11\2\1\4\0\0\0\0" UDP), CUT},
        {SLICE(V6_HEADER("\x48", "\0") "\0\0\1\4\0\0\0\0\0\0\1\4\0\0\0\0\0\0\1\4\0\0\0\0"
                                       "\0\0\1\4\0\0\0\0\0\0\1\4\0\0\0\0\0\0\1\4\0\0\0\0"
                                       "\0\0\1\4\0\0\0\0\0\0\1\4\0\0\0\0\0\0\1\4\0\0\0\0"),
         MALFORMED},
        {SLICE("\x60\0\0\0"), CUT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct file file;
        begin(&file, true);
        classic(&file, 0xa1b23c4d, RAW);
        record(&file, 1, 0, rows[i].packet);
        const struct told told = tell_file(&file);
        const uint64_t counts[] = {told.counts.datagrams, told.counts.fragments, told.counts.cut,
                                   told.counts.malformed, told.counts.others};
        if (told.result != 0 || counts[rows[i].kind] != 1)
            fail_msg("row %zu: %d", i, told.result);
        if (told.count > 0)
            assert_hello(&told.last, told.payload, rows[i].packet.data[0] == 0x60);
    }
    /* The version of the link's own word, against IP's. */
    struct file file;
    begin(&file, true);
    classic(&file, 0xa1b23c4d, ETHERNET);
    record(&file, 1, 0, SLICE(MACS "\x08\0" IPV6));
    record(&file, 1, 0, SLICE(MACS "\x86\xdd" IPV4 "padding"));
    assert_int_equal(tell_file(&file).counts.malformed, 2);
}

static void pcapng(void **state)
{
    for (unsigned is_big = 0; is_big < 2; is_big++) {
        struct file file;
        begin(&file, is_big);
        section(&file);
        block(&file, 5, SLICE("statistics of nothing"));
        interface(&file, ETHERNET, 0, -1, 0);
        interface(&file, RAW, 33, 9, 0);
        interface(&file, WIFI, 0, 9, 0);
        block(&file, 4, SLICE("names"));
        enhanced(&file, 0, 1600000000000001, SLICE(MACS "\x08\0" IPV4));
        enhanced(&file, 1, 1600000000000000002, SLICE(IPV4));
        enhanced(&file, 2, 3, SLICE("to whom it may concern"));
        /* another host's, of the other order, appended with cat(1) */
        file.is_big = !is_big;
        section(&file);
        interface(&file, RAW, 0, 6, 0);
        enhanced(&file, 0, 1600000000000003, SLICE(IPV6));
        const struct told told = tell_file(&file);
        assert_int_equal(told.result, 0);
        assert_true(told.may_end);
        assert_int_equal(told.count, 3);
        assert_int_equal(told.counts.others, 1);
        assert_int_equal(told.times[0], 1600000000000001000);
        assert_int_equal(told.times[1], 1600000000000000002);
        assert_int_equal(told.times[2], 1600000000000003000);
        assert_hello(&told.last, told.payload, true);
    }
}

static void simple_packets(void **state)
{
    struct file file;
    begin(&file, true);
    section(&file);
    interface(&file, RAW, 33, 9, 0);
    block(&file, 3, SLICE("\0\0\0\x21" IPV4));
    block(&file, 3, SLICE("\0\0\1\0" IPV4)); /* had more, and was cut to the interface's size */
    const struct told told = tell_file(&file);
    assert_int_equal(told.result, 0);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.times[0], 0);
    assert_hello(&told.last, told.payload, false);
}

static void resolutions(void **state)
{
    static const struct {
        int resolution; /* -1: none is said */
        int64_t offset_s;
        uint64_t ticks;
        int64_t time_ns;
    } rows[] = {
        {-1, 0, 5, 5000},
        {0, 0, 5, 5000000000},
        {3, 0, 5, 5000000},
        {6, 100, 5, 100000005000},
        {9, -1, 5, -999999995},
        {12, 0, 5999, 5},
        {28, 0, UINT64_MAX, 1},
        {29, 0, UINT64_MAX, 0},
        {127, 0, UINT64_MAX, 0},
        {0x80, 0, 5, 5000000000},
        {0x80 | 1, 0, 5, 2500000000},
        {0x80 | 20, 0, 3 << 19, 1500000000},
        {0x80 | 64, 0, UINT64_MAX / 2 + 1, 500000000},
        {0x80 | 127, 0, UINT64_MAX, 0},
        {9, 0, INT64_MAX, INT64_MAX},
        /* what cannot be said */
        {9, 0, UINT64_MAX, INT64_MAX},
        {0, 0, UINT64_MAX, INT64_MAX},
        {9, 1, INT64_MAX, INT64_MAX},
        {9, INT64_MAX, 0, INT64_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct file file;
        begin(&file, i % 2);
        section(&file);
        interface(&file, RAW, 0, rows[i].resolution, rows[i].offset_s);
        enhanced(&file, 0, rows[i].ticks, SLICE(IPV4));
        const struct told told = tell_file(&file);
        assert_int_equal(told.count, 1);
        if (told.times[0] != rows[i].time_ns)
            fail_msg("row %zu: %lld", i, (long long)told.times[0]);
    }
}

#define SECTION                                                                                    \
    "\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\1\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x1c"
#define INTERFACE "\0\0\0\1\0\0\0\x14\0\x65\0\0\0\0\0\0\0\0\0\x14"
#define CLASSIC "\xa1\xb2\xc3\xd4\0\2\0\4\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\x65"

static void damage(void **state)
{
    static const struct {
        struct leat_slice file;
        int error;
        uint64_t position;
    } rows[] = {
        {SLICE("GET / HTTP/1.1\r\n\r\n"), -EOPNOTSUPP, 0},
        {SLICE("\xa1\xb2\xcd\x34\0\2\0\4"), -EOPNOTSUPP, 0}, /* a dialect with longer records */
        {SLICE("\xa1\xb2\xc3\xd4\0\3\0\4\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\x65"), -EOPNOTSUPP, 0},
        {SLICE("\xa1\xb2\xc3\xd4\0\2\0\4\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\x69"), -EOPNOTSUPP, 0},
        {SLICE(CLASSIC "\0\0\0\0\0\0\0\0\0\4\0\1\0\4\0\1"), -LEAT_E_MALFORMED, 24},
        {SLICE("\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4e\0\1\0\0"), -LEAT_E_MALFORMED, 0},
        {SLICE("\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\2\0\0"), -EOPNOTSUPP, 0},
        {SLICE("\x0a\x0d\x0d\x0a\0\0\0\x18\x1a\x2b\x3c\x4d\0\1\0\0"), -LEAT_E_MALFORMED, 0},
        {SLICE("\x0a\x0d\x0d\x0a\0\0\0\x1d\x1a\x2b\x3c\x4d\0\1\0\0"), -LEAT_E_MALFORMED, 0},
        {SLICE("\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\1\0\0\xff\xff\xff\xff\xff\xff\xff\xff"
               "\0\0\0\x1d"),
         -LEAT_E_MALFORMED, 24},
        {SLICE(SECTION "\0\0\0\x77\0\0\0\x08"), -LEAT_E_MALFORMED, 28},
        {SLICE(SECTION "\0\0\0\x77\0\0\0\x0e"), -LEAT_E_MALFORMED, 28},
        {SLICE(SECTION "\0\0\0\x77\0\0\0\x10"
                       "1234\0\0\0\x0c"),
         -LEAT_E_MALFORMED, 40},
        {SLICE(SECTION "\0\0\0\1\0\0\0\x10"), -LEAT_E_MALFORMED, 28},
        {SLICE(SECTION "\0\0\0\1\0\x10\0\0"), -LEAT_E_MALFORMED, 28},
        {SLICE(SECTION "\0\0\0\1\0\0\0\x1c\0\x65\0\0\0\0\0\0\0\x09\0\5xxxx\0\0\0\x1c"),
         -LEAT_E_MALFORMED, 28},
        {SLICE(SECTION "\0\0\0\1\0\0\0\x18\0\x65\0\0\0\0\0\0\0\x09\0\0\0\0\0\x18"),
         -LEAT_E_MALFORMED, 28},
        {SLICE(SECTION "\0\0\0\x06\0\0\0\x1c"), -LEAT_E_MALFORMED, 28},
        {SLICE(SECTION INTERFACE "\0\0\0\x06\0\0\0\x20\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
         -LEAT_E_MALFORMED, 48},
        {SLICE(SECTION INTERFACE "\0\0\0\x06\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1"),
         -LEAT_E_MALFORMED, 48},
        {SLICE(SECTION INTERFACE "\0\0\0\x06\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4\0\1\0\4\0\1"),
         -LEAT_E_MALFORMED, 48},
        {SLICE(SECTION "\0\0\0\3\0\0\0\x10\0\0\0\0"), -LEAT_E_MALFORMED, 28},
        {SLICE(SECTION INTERFACE "\0\0\0\3\0\0\0\x0c"), -LEAT_E_MALFORMED, 48},
        {SLICE(SECTION INTERFACE "\0\0\0\3\0\0\0\x10\0\0\0\1"), -LEAT_E_MALFORMED, 48},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct file file;
        begin(&file, true);
        bytes(&file, rows[i].file);
        const struct told told = tell_file(&file);
        if (told.result != rows[i].error || told.position != rows[i].position)
            fail_msg("row %zu: %d at %llu", i, told.result, (unsigned long long)told.position);
    }
}

static void too_many_interfaces(void **state)
{
    static struct file file;
    struct leat_slice whole;
    struct pcap_reader *const reader = malloc(sizeof *reader);
    assert_non_null(reader);
    pcap_reader_init(reader);
    size_t used;
    struct pcap_datagram got;
    assert_int_equal(pcap_read(reader, SLICE(SECTION), &used, &got), 0);
    for (unsigned i = 0; i < PCAP_INTERFACES_MAX; i++)
        assert_int_equal(pcap_read(reader, SLICE(INTERFACE), &used, &got), 0);
    begin(&file, true);
    enhanced(&file, PCAP_INTERFACES_MAX - 1, 1, SLICE(IPV4));
    whole = writer_slice(&file.writer);
    assert_int_equal(pcap_read(reader, whole, &used, &got), 1);
    assert_int_equal(pcap_read(reader, slice_after(whole, used), &used, &got), 0);
    assert_int_equal(pcap_read(reader, SLICE(INTERFACE), &used, &got), -LEAT_E_LIMIT);
    free(reader);
}

/* A file that was cut off ends nowhere but between two packets or blocks. */
static void ends(void **state)
{
    for (unsigned is_ng = 0; is_ng < 2; is_ng++) {
        struct file file;
        begin(&file, false);
        size_t ends[8], end_count = 0;
        if (is_ng)
            section(&file);
        else
            classic(&file, 0xa1b2c3d4, RAW);
        ends[end_count++] = file.writer.size;
        if (is_ng) {
            interface(&file, RAW, 0, 6, 0);
            ends[end_count++] = file.writer.size;
        }
        for (unsigned i = 0; i < 2; i++) {
            if (is_ng)
                enhanced(&file, 0, 1, SLICE(IPV4));
            else
                record(&file, 1, 0, SLICE(IPV4));
            ends[end_count++] = file.writer.size;
        }
        for (size_t size = 0, next = 0; size <= file.writer.size; size++) {
            const struct told told = tell(slice_of(file.bytes, size), 7);
            assert_int_equal(told.result, 0);
            const bool is_end = told.may_end && told.position == size;
            assert_int_equal(is_end, ends[next] == size);
            next += ends[next] == size;
        }
    }
}

/* The checksum of all words, its own included, is zero where it is right (RFC 1071). */
static uint16_t sum_of(uint32_t sum, const unsigned char *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void check_written(const struct pcap_datagram *datagram)
{
    static unsigned char file[PCAP_FILE_HEADER_SIZE + PCAP_RECORD_HEADER_MAX + 65536];
    pcap_write_file_header(file);
    unsigned char *const packet = file + PCAP_FILE_HEADER_SIZE + 16;
    const int header = pcap_write_record_header(datagram, file + PCAP_FILE_HEADER_SIZE);
    const int ip_size = datagram->is_ipv6 ? 40 : 20;
    assert_int_equal(header, 16 + ip_size + 8);
    const size_t payload_size = datagram->payload.size;
    memcpy(packet + ip_size + 8, datagram->payload.data, payload_size);
    const size_t size = PCAP_FILE_HEADER_SIZE + (size_t)header + payload_size;

    const size_t udp_size = 8 + payload_size;
    const unsigned char *const addresses = packet + (datagram->is_ipv6 ? 8 : 12);
    const uint16_t pseudo = (uint16_t)~sum_of(0, addresses, datagram->is_ipv6 ? 32 : 8);
    assert_int_equal(sum_of(pseudo + 17 + (uint32_t)udp_size, packet + ip_size, udp_size), 0);
    assert_true(packet[ip_size + 6] != 0 || packet[ip_size + 7] != 0);
    if (!datagram->is_ipv6)
        assert_int_equal(sum_of(0, packet, 20), 0);

    static struct pcap_reader reader;
    pcap_reader_init(&reader);
    struct pcap_datagram got;
    size_t used;
    assert_int_equal(pcap_read(&reader, slice_of(file, size), &used, &got), 1);
    assert_int_equal(used, size);
    assert_int_equal(got.time_ns, datagram->time_ns);
    assert_int_equal(got.is_ipv6, datagram->is_ipv6);
    assert_memory_equal(&got.source, &datagram->source, sizeof got.source);
    assert_memory_equal(&got.destination, &datagram->destination, sizeof got.destination);
    assert_true(slice_equal(got.payload, datagram->payload));
}

static void written(void **state)
{
    static char payload[65536];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (char)(i * 7 ^ i >> 8);
    static const struct {
        size_t size;
        bool is_ipv6;
        int64_t time_ns;
        int error;
    } rows[] = {
        {5, false, 1600000000123456789, 0},
        {6, true, 1600000000123456789, 0},
        {0, false, 0, 0},
        {0, true, 999999999, 0},
        {65507, false, 4294967295999999999, 0},
        {65508, false, 1, -EMSGSIZE},
        {65527, true, 1, 0},
        {65528, true, 1, -EMSGSIZE},
        {1, false, -1, -ERANGE},
        {1, false, INT64_MIN, -ERANGE},
        {1, true, 4294967296000000000, -ERANGE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct pcap_datagram datagram = {
            .time_ns = rows[i].time_ns,
            .is_ipv6 = rows[i].is_ipv6,
            .source.port = 65535,
            .destination.port = 5000,
            .payload = slice_of(payload, rows[i].size),
        };
        const size_t address_size = rows[i].is_ipv6 ? 16 : 4;
        memcpy(datagram.source.address, V6_SOURCE, address_size);
        memcpy(datagram.destination.address, V6_GROUP, address_size);
        if (rows[i].error == 0) {
            check_written(&datagram);
        } else {
            uint8_t header[PCAP_RECORD_HEADER_MAX];
            assert_int_equal(pcap_write_record_header(&datagram, header), rows[i].error);
        }
    }
    /* A sum that would be zero is written as all ones: zero says that there is none. */
    struct pcap_datagram zero = {.destination.port = 0xffff - 17 - 10 - 10,
                                 .payload = SLICE("\0\0")};
    check_written(&zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic_orders_and_units),
        cmocka_unit_test(link_types),
        cmocka_unit_test(what_is_no_datagram),
        cmocka_unit_test(pcapng),
        cmocka_unit_test(simple_packets),
        cmocka_unit_test(resolutions),
        cmocka_unit_test(damage),
        cmocka_unit_test(too_many_interfaces),
        cmocka_unit_test(ends),
        cmocka_unit_test(written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
