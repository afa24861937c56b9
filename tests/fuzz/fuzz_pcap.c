/* SPDX-License-Identifier: MIT */
/*
 * A capture: whatever the bytes, a payload lies within those that were used for it, the counts add
 * up, and in pieces of any size the file has the same datagrams, end or error. What a datagram is
 * written as is read as the same datagram.
 */
#include <errno.h>

#include "fuzz.h"
#include "leat/error.h"
#include "wire/pcap.h"

struct told {
    uint64_t hash, position; /* of everything in the datagrams */
    struct pcap_counts counts;
    int result;
    bool may_end;
};

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *const at = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 0x100000001b3;
    return hash;
}

static bool is_alike(const struct pcap_datagram *a, const struct pcap_datagram *b)
{
    return a->time_ns == b->time_ns && a->is_ipv6 == b->is_ipv6 &&
           memcmp(&a->source, &b->source, sizeof a->source) == 0 &&
           memcmp(&a->destination, &b->destination, sizeof a->destination) == 0 &&
           slice_equal(a->payload, b->payload);
}

static void check_written(const struct pcap_datagram *datagram)
{
    uint8_t header[PCAP_RECORD_HEADER_MAX];
    const int size = pcap_write_record_header(datagram, header);
    if (size < 0) {
        ASSERT(size == -ERANGE || size == -EMSGSIZE);
        return;
    }
    const size_t all = PCAP_FILE_HEADER_SIZE + (size_t)size + datagram->payload.size;
    uint8_t *const written = malloc(all);
    ASSERT(written != NULL);
    pcap_write_file_header(written);
    memcpy(written + PCAP_FILE_HEADER_SIZE, header, (size_t)size);
    if (datagram->payload.size > 0)
        memcpy(written + PCAP_FILE_HEADER_SIZE + size, datagram->payload.data,
               datagram->payload.size);
    static struct pcap_reader reader;
    pcap_reader_init(&reader);
    struct pcap_datagram again;
    size_t used;
    ASSERT(pcap_read(&reader, slice_of(written, all), &used, &again) == 1);
    ASSERT(used == all && is_alike(&again, datagram));
    free(written);
}

/* The file, `piece` more bytes each time that more are wanted. */
static struct told tell(struct leat_slice file, size_t piece, bool is_checking)
{
    static struct pcap_reader reader;
    pcap_reader_init(&reader);
    struct told told = {.hash = 0xcbf29ce484222325};
    size_t have = 0;
    for (;;) {
        char *const exact = fuzz_copy(file.data + reader.position, have);
        struct pcap_datagram got;
        size_t used = 0;
        told.result = pcap_read(&reader, slice_of(exact, have), &used, &got);
        ASSERT(used <= have);
        if (told.result == 1) {
            ASSERT(got.payload.size == 0 || got.payload.data >= exact);
            ASSERT(got.payload.size == 0 ||
                   got.payload.data + got.payload.size <= (const char *)exact + used);
            told.hash = mix(told.hash, &got.time_ns, sizeof got.time_ns);
            told.hash = mix(told.hash, &got.source, sizeof got.source);
            told.hash = mix(told.hash, &got.destination, sizeof got.destination);
            told.hash = mix(told.hash, got.payload.data, got.payload.size);
            if (is_checking)
                check_written(&got);
        }
        free(exact);
        have -= used;
        if (told.result < 0)
            break;
        const size_t left = file.size - (size_t)reader.position - have;
        if (told.result == 1)
            continue;
        ASSERT(reader.wanted > have && reader.wanted <= PCAP_PIECE_MAX);
        if (left == 0)
            break;
        have += piece < left ? piece : left;
    }
    told.position = reader.position;
    told.counts = reader.counts;
    told.may_end = pcap_may_end(&reader);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct leat_slice file = slice_of(data, size);
    const struct told whole = tell(file, size, true);
    const struct pcap_counts *const counts = &whole.counts;
    ASSERT(counts->packets == counts->datagrams + counts->fragments + counts->cut +
                                  counts->malformed + counts->others);
    ASSERT(whole.result == 0 || whole.result == -LEAT_E_MALFORMED || whole.result == -EOPNOTSUPP ||
           whole.result == -LEAT_E_LIMIT);
    ASSERT(whole.position <= size);
    for (size_t piece = 1; piece <= size; piece += fuzz_stride(size)) {
        const struct told told = tell(file, piece, false);
        ASSERT(told.hash == whole.hash && told.position == whole.position);
        ASSERT(told.result == whole.result && told.may_end == whole.may_end);
        ASSERT(memcmp(&told.counts, counts, sizeof *counts) == 0);
    }
    return 0;
}
