/* SPDX-License-Identifier: MIT */
/*
 * See live_credentials.h.
 */
#include "live_credentials.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { PAIR_SIZE = 512 };

/* RFC 4648, section 4; -1: no character of it. */
static int value_of(char character)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = character ? strchr(alphabet, character) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

/* Its size; -1: it is no base64, or too much. */
static int decode(struct leat_slice text, char ret_data[PAIR_SIZE])
{
    uint32_t bits = 0;
    unsigned count = 0;
    int size = 0;
    while (text.size > 0 && text.data[text.size - 1] == '=')
        text.size--;
    for (size_t at = 0; at < text.size; at++) {
        const int value = value_of(text.data[at]);
        if (value < 0 || size == PAIR_SIZE)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        ret_data[size++] = (char)(bits >> count & 0xff);
    }
    return size;
}

static bool take_scheme(struct leat_slice *text, const char *scheme)
{
    const size_t size = strlen(scheme);
    if (text->size <= size || strncasecmp(text->data, scheme, size) != 0 || text->data[size] != ' ')
        return false;
    text->data += size;
    text->size -= size;
    while (text->size > 0 && text->data[0] == ' ') {
        text->data++;
        text->size--;
    }
    return true;
}

static bool copy(const char *data, size_t size, char *ret_key, size_t room)
{
    if (size == 0 || size >= room || memchr(data, '\0', size))
        return false;
    memcpy(ret_key, data, size);
    ret_key[size] = '\0';
    return true;
}

bool credentials_key(struct leat_slice authorization, char *ret_key, size_t size)
{
    char pair[PAIR_SIZE];
    if (!authorization.data)
        return false;
    if (take_scheme(&authorization, "Bearer"))
        return copy(authorization.data, authorization.size, ret_key, size);
    if (!take_scheme(&authorization, "Basic"))
        return false;
    const int pair_size = decode(authorization, pair);
    const char *colon = pair_size > 0 ? memchr(pair, ':', (size_t)pair_size) : NULL;
    const bool is_key =
        colon && copy(colon + 1, (size_t)(pair + pair_size - colon - 1), ret_key, size);
    explicit_bzero(pair, sizeof pair);
    return is_key;
}
