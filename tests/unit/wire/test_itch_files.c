/* SPDX-License-Identifier: MIT */
/*
 * ITCH as exchanges send it, in $LEAT_TEST_DATA/market: captures of Nasdaq's and BX's feeds, and a
 * file of messages. Every message is taken, and becomes the same bytes again; alone, and in blocks
 * as it came. Feeds of other exchanges that are called ITCH are not this one.
 */
#include "test_itch.h"

#include <dirent.h>
#include <limits.h>

#include "wire/moldudp64.h"
#include "wire/pcap.h"

enum {
    FILE_MAX = 1 << 20,
    MESSAGES_MAX = 256, /* in a packet, here */
    FILE_MESSAGES = 12012,
};

/* The file's bytes, in memory of exactly its size, which the caller frees. */
static struct leat_slice load(const char *path)
{
    static unsigned char bytes[FILE_MAX];
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    assert_true(size > 0 && size < sizeof bytes);
    fclose(file);
    unsigned char *const exact = malloc(size);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    return slice_of(exact, size);
}

static const char *market(void)
{
    static char path[PATH_MAX / 2];
    const char *const data = getenv("LEAT_TEST_DATA");
    snprintf(path, sizeof path, "%s/market", data ? data : "");
    DIR *const directory = data ? opendir(path) : NULL;
    if (!directory) {
        print_message("# no captures in $LEAT_TEST_DATA/market\n");
        skip();
    }
    closedir(directory);
    return path;
}

/* The message alone. Its struct is what blocks have made of it. */
static void check_message(struct leat_slice wire, const struct leat_itch_message *from_blocks)
{
    struct leat_itch_message message;
    uint8_t again[LEAT_ITCH_SIZE_MAX];
    char text[LEAT_ITCH_JSON_SIZE];
    assert_int_equal(leat_itch_decode(wire, &message), 0);
    assert_true(messages_equal(&message, from_blocks));
    assert_int_equal(leat_itch_encode(&message, again, sizeof again), wire.size);
    assert_memory_equal(again, wire.data, wire.size);
    assert_true(leat_itch_to_json(&message, text, sizeof text) > 0);
}

/* Whole blocks, and each message of them. How many there are. */
static size_t check_blocks(struct leat_slice blocks, struct leat_itch_message *messages,
                           size_t count_max)
{
    uint8_t *const again = malloc(blocks.size);
    struct leat_slice rest = blocks;
    size_t used = 0;
    assert_non_null(again);
    const ssize_t count = leat_itch_decode_blocks(&rest, messages, count_max);
    assert_true(count > 0);
    assert_int_equal(rest.size, 0);
    assert_int_equal(leat_itch_encode_blocks(messages, (size_t)count, again, blocks.size, &used),
                     count);
    assert_int_equal(used, blocks.size);
    assert_memory_equal(again, blocks.data, blocks.size);
    free(again);

    size_t at = 0;
    for (ssize_t i = 0; i < count; i++) {
        const size_t size = leat_itch_size(messages[i].type);
        check_message(slice_of(blocks.data + at + 2, size), &messages[i]);
        at += 2 + size;
    }
    assert_int_equal(at, blocks.size);
    return (size_t)count;
}

/* The file has a length of zero before each message: how long it is, its type says. */
static void test_a_file_of_messages(void **unused)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/RITCH__extdata_ex20101224.TEST_ITCH_50", market());
    const struct leat_slice file = load(path);
    struct leat_itch_message *const messages = calloc(FILE_MESSAGES, sizeof *messages);
    unsigned char *const blocks = malloc(file.size);
    size_t at = 0;
    assert_true(messages && blocks);
    memcpy(blocks, file.data, file.size);
    while (at < file.size) {
        const size_t size = leat_itch_size(file.data[at + 2]);
        assert_true(size > 0 && at + 2 + size <= file.size);
        assert_int_equal(file.data[at] | file.data[at + 1], 0);
        blocks[at + 1] = (unsigned char)size;
        at += 2 + size;
    }
    assert_int_equal(check_blocks(slice_of(blocks, file.size), messages, FILE_MESSAGES),
                     FILE_MESSAGES);
    assert_int_equal(messages[0].type, LEAT_ITCH_SYSTEM_EVENT);
    assert_int_equal(messages[0].system_event.event, 'O');
    assert_int_equal(messages[FILE_MESSAGES - 1].system_event.event, 'C');
    free(blocks);
    free(messages);
    free((void *)file.data);
}

/* How many messages a capture has. */
static size_t check_capture(const char *path, bool *is_seen)
{
    static struct pcap_reader reader;
    struct leat_itch_message messages[MESSAGES_MAX];
    struct pcap_datagram datagram;
    const struct leat_slice file = load(path);
    struct leat_slice rest = file;
    size_t used, found = 0;
    pcap_reader_init(&reader);
    while (pcap_read(&reader, rest, &used, &datagram) == 1) {
        struct mold_packet packet;
        /* Sequences of some were set to zero: which mold_parse refuses. */
        assert_true(datagram.payload.size > MOLD_HEADER_SIZE);
        const struct leat_slice blocks = slice_after(datagram.payload, MOLD_HEADER_SIZE);
        if (mold_parse(datagram.payload, &packet) == MOLD_FINE)
            assert_int_equal(packet.blocks.size, blocks.size);
        const size_t count = check_blocks(blocks, messages, MESSAGES_MAX);
        for (size_t i = 0; i < count; i++)
            is_seen[(uint8_t)messages[i].type] = true;
        found += count;
        rest = slice_after(rest, used);
    }
    assert_int_equal(reader.counts.datagrams, reader.counts.packets);
    free((void *)file.data);
    return found;
}

static void test_captures(void **unused)
{
    const char *const folder = market();
    DIR *const directory = opendir(folder);
    bool is_seen[256] = {false};
    size_t files = 0, messages = 0;
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (!strstr(entry->d_name, "TotalView.Itch.v5.0") || !strstr(entry->d_name, ".pcap"))
            continue;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        const size_t found = check_capture(path, is_seen);
        print_message("# %s: %zu messages\n", entry->d_name, found);
        assert_true(found > 0);
        files++;
        messages += found;
    }
    closedir(directory);
    assert_true(files >= 20 && messages >= 100);
    for (const char *type = "ADEFHIJLPQSUX"; *type != '\0'; type++)
        assert_true(is_seen[(uint8_t)*type]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_of_messages),
        cmocka_unit_test(test_captures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
