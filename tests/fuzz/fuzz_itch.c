/* SPDX-License-Identifier: MIT */
/*
 * Blocks of ITCH messages. Whatever the bytes: what is decoded is encoded into the same bytes
 * again; single messages and blocks, which go different ways, agree; a batch of any size and blocks
 * cut at any place give the same messages; and what the struct says, any bytes at all, is refused
 * or comes back.
 */
#include <errno.h>

#include "fuzz.h"
#include "leat/error.h"
#include "leat/itch.h"

enum { MESSAGES_MAX = 512 };

static struct leat_itch_message messages[MESSAGES_MAX], others[MESSAGES_MAX];

/* The message alone becomes the bytes that it has in the blocks. Its size. */
static size_t check_message(const struct leat_itch_message *message, struct leat_slice blocks)
{
    uint8_t wire[LEAT_ITCH_SIZE_MAX];
    char text[LEAT_ITCH_JSON_SIZE];
    struct leat_itch_message again;
    const size_t size = leat_itch_size(message->type);
    ASSERT(size > 0 && size + 2 <= blocks.size);
    ASSERT(leat_itch_encode(message, wire, size) == (int)size);
    ASSERT(memcmp(wire, blocks.data + 2, size) == 0);
    ASSERT(leat_itch_decode(slice_of(blocks.data + 2, size), &again) == 0);
    ASSERT(leat_itch_encode(&again, wire, size) == (int)size);
    ASSERT(memcmp(wire, blocks.data + 2, size) == 0);
    const int length = leat_itch_to_json(message, text, sizeof text);
    ASSERT(length > 0 && strlen(text) == (size_t)length && text[length - 1] == '}');
    return size;
}

/* How many messages there are, one by one. */
static size_t count_singly(struct leat_slice blocks)
{
    size_t count = 0;
    while (count < MESSAGES_MAX && blocks.size >= 2) {
        const unsigned char *const at = (const unsigned char *)blocks.data;
        const size_t size = (size_t)at[0] << 8 | at[1];
        if (size > blocks.size - 2 ||
            leat_itch_decode(slice_of(blocks.data + 2, size), &others[0]) != 0)
            break;
        blocks = slice_after(blocks, 2 + size);
        count++;
    }
    return count;
}

/* All that is there, `batch_max` at a time, is the same. */
static void check_batches(struct leat_slice input, size_t count, size_t used, size_t batch_max)
{
    struct leat_slice rest = input;
    size_t done = 0;
    while (done < count) {
        const size_t wanted = batch_max < count - done ? batch_max : count - done;
        ASSERT(leat_itch_decode_blocks(&rest, others + done, wanted) == (ssize_t)wanted);
        done += wanted;
    }
    ASSERT((size_t)(rest.data - input.data) == used);
    char *const again = malloc(used + !used); /* exact, for a sanitizer */
    ASSERT(again != NULL);
    size_t written = 0;
    const ssize_t encoded = leat_itch_encode_blocks(others, count, again, used, &written);
    ASSERT(encoded == (ssize_t)count && written == used);
    ASSERT(memcmp(again, input.data, used) == 0);
    if (used > 0) /* a byte less has no room for the last one */
        ASSERT(leat_itch_encode_blocks(others, count, again, used - 1, &written) ==
               (count > 1 ? (ssize_t)count - 1 : -ENOBUFS));
    free(again);
}

static void check_blocks(struct leat_slice input)
{
    struct leat_slice rest = input;
    const ssize_t result = leat_itch_decode_blocks(&rest, messages, MESSAGES_MAX);
    const size_t count = result < 0 ? 0 : (size_t)result;
    ASSERT(result >= 0 || result == -LEAT_E_MALFORMED);
    ASSERT((result == 0) == (input.size == 0));
    ASSERT(count == count_singly(input));
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        at += 2 + check_message(&messages[i], slice_after(input, at));
    ASSERT(rest.data == input.data + at && rest.size == input.size - at);
    check_batches(input, count, at, 1);
    check_batches(input, count, at, 7);
    for (size_t size = 0; size < input.size; size += fuzz_stride(input.size)) {
        char *const cut = fuzz_copy(input.data, size);
        rest = slice_of(cut, size);
        const ssize_t fewer = leat_itch_decode_blocks(&rest, others, MESSAGES_MAX);
        ASSERT(fewer <= (ssize_t)count);
        free(cut);
    }
}

/* Structs of any bytes: refused by both ways, or taken by both, and then they come back. */
static void check_structs(struct leat_slice input)
{
    const size_t size = input.size < sizeof messages ? input.size : sizeof messages;
    const size_t count = size / sizeof messages[0];
    if (count > 0)
        memcpy(messages, input.data, count * sizeof messages[0]);
    for (size_t i = 0; i < count; i++) {
        uint8_t wire[LEAT_ITCH_SIZE_MAX], blocks[4 * LEAT_ITCH_BLOCK_MAX];
        const int single = leat_itch_encode(&messages[i], wire, sizeof wire);
        size_t written;
        ASSERT(single > 0 || single == -EINVAL);
        const ssize_t first =
            leat_itch_encode_blocks(&messages[i], 1, blocks, sizeof blocks, &written);
        ASSERT(first == (single > 0 ? 1 : -EINVAL));
        if (single > 0) {
            ASSERT(written == 2 + (size_t)single);
            ASSERT(memcmp(blocks + 2, wire, (size_t)single) == 0);
            check_message(&messages[i], slice_of(blocks, written));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct leat_slice input = slice_of(data, size);
    check_blocks(input);
    check_structs(input);
    return 0;
}
