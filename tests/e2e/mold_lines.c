/* SPDX-License-Identifier: MIT */
/*
 * For test_feed_captures.py: tells what wire/pcap and wire/moldudp64 find in a capture, a line of
 * JSON a datagram and one of counts at the end; with a second file, writes the datagrams there.
 *
 * Usage: mold_lines PIECE FILE [WRITTEN]     PIECE: bytes more, each time that more are wanted
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "leat/error.h"
#include "wire/moldudp64.h"
#include "wire/pcap.h"

static void print_hex(const char *name, struct leat_slice bytes)
{
    printf(", \"%s\": \"", name);
    for (size_t i = 0; i < bytes.size; i++)
        printf("%02x", (unsigned char)bytes.data[i]);
    printf("\"");
}

static void print_endpoint(const char *name, const struct pcap_endpoint *endpoint, bool is_ipv6)
{
    char text[INET6_ADDRSTRLEN];
    inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, endpoint->address, text, sizeof text);
    printf(", \"%s\": [\"%s\", %u]", name, text, endpoint->port);
}

/* The packet, made again of what was read of it. */
static void print_rebuilt(const struct mold_packet *packet)
{
    const size_t size = MOLD_HEADER_SIZE + packet->blocks.size;
    uint8_t *const again = malloc(size);
    ASSERT(again != NULL);
    mold_write_header(again, packet->session, packet->sequence,
                      packet->is_end ? MOLD_END_OF_SESSION : packet->count);
    memcpy(again + MOLD_HEADER_SIZE, packet->blocks.data, packet->blocks.size);
    print_hex("rebuilt", slice_of(again, size));
    free(again);
}

static void print_packet(struct leat_slice payload)
{
    struct mold_packet packet;
    const enum mold_fault fault = mold_parse(payload, &packet);
    if (fault != MOLD_FINE) {
        printf(", \"fault\": \"%s\"", mold_fault_text(fault));
        return;
    }
    char session[MOLD_SESSION_SIZE + 1];
    mold_session_to_text(packet.session, session);
    printf(", \"session\": \"%s\", \"sequence\": %" PRIu64 ", \"count\": %u, \"is_end\": %s",
           session, packet.sequence, packet.count, packet.is_end ? "true" : "false");
    printf(", \"padding\": %zu, \"lengths\": [", packet.padding);
    const char *const blocks = packet.blocks.data;
    for (size_t i = 0; i < packet.count; i++) {
        const size_t at = mold_blocks_skip(packet.blocks, i);
        const size_t end = mold_blocks_skip(packet.blocks, i + 1);
        printf("%s%zu", i ? ", " : "", end - at - 2);
        ASSERT((size_t)(unsigned char)blocks[at] * 256 + (unsigned char)blocks[at + 1] ==
               end - at - 2);
    }
    printf("]");
    print_rebuilt(&packet);
}

static void print_datagram(const struct pcap_datagram *datagram)
{
    printf("{\"time_ns\": %" PRId64, datagram->time_ns);
    print_endpoint("source", &datagram->source, datagram->is_ipv6);
    print_endpoint("destination", &datagram->destination, datagram->is_ipv6);
    print_hex("payload", datagram->payload);
    print_packet(datagram->payload);
    printf("}\n");
}

static void write_datagram(const struct pcap_datagram *datagram, FILE *written)
{
    uint8_t header[PCAP_RECORD_HEADER_MAX];
    const int size = pcap_write_record_header(datagram, header);
    ASSERT(size > 0);
    fwrite(header, 1, (size_t)size, written);
    fwrite(datagram->payload.data, 1, datagram->payload.size, written);
}

/* All of it; the result of the last reading. */
static int read_all(struct pcap_reader *reader, size_t piece, FILE *file, FILE *written)
{
    static char buffer[PCAP_PIECE_MAX];
    size_t have = 0;
    for (;;) {
        struct pcap_datagram datagram;
        size_t used = 0;
        const int result = pcap_read(reader, slice_of(buffer, have), &used, &datagram);
        if (result < 0)
            return result;
        if (result == 1) {
            print_datagram(&datagram);
            if (written)
                write_datagram(&datagram, written);
        }
        have -= used;
        memmove(buffer, buffer + used, have);
        if (result == 1)
            continue;
        const size_t room = sizeof buffer - have;
        const size_t got = fread(buffer + have, 1, piece < room ? piece : room, file);
        if (got == 0)
            return have == 0 && pcap_may_end(reader) ? 0 : -LEAT_E_TRUNCATED;
        have += got;
    }
}

int main(int argc, char **argv)
{
    ASSERT(argc == 3 || argc == 4);
    FILE *const file = fopen(argv[2], "rb");
    FILE *const written = argc == 4 ? fopen(argv[3], "wb") : NULL;
    ASSERT(file != NULL && (argc == 3 || written != NULL));
    if (written) {
        uint8_t header[PCAP_FILE_HEADER_SIZE];
        pcap_write_file_header(header);
        fwrite(header, 1, sizeof header, written);
    }
    static struct pcap_reader reader;
    pcap_reader_init(&reader);
    const int result = read_all(&reader, strtoul(argv[1], NULL, 10), file, written);
    const struct pcap_counts *const counts = &reader.counts;
    printf("{\"packets\": %" PRIu64 ", \"datagrams\": %" PRIu64 ", \"fragments\": %" PRIu64
           ", \"cut\": %" PRIu64 ", \"malformed\": %" PRIu64 ", \"others\": %" PRIu64,
           counts->packets, counts->datagrams, counts->fragments, counts->cut, counts->malformed,
           counts->others);
    if (result < 0)
        printf(", \"error\": \"%s\", \"position\": %" PRIu64,
               reader.reason ? reader.reason : leat_error_text(result), reader.position);
    printf("}\n");
    fclose(file);
    return written && fclose(written) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
