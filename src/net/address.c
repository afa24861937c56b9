/* SPDX-License-Identifier: MIT */
/*
 * Addresses, as text and as the kernel has them. What is accepted is narrow, so that what is
 * refused can be explained: a person wrote it on a command line, and gets told what would have
 * been right. No state; any thread.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"

enum {
    UNIX_NAME_OFFSET = offsetof(struct sockaddr_un, sun_path),
    UNIX_NAME_SIZE_MAX = sizeof(struct sockaddr_un) - UNIX_NAME_OFFSET,
    PORT_DIGITS_MAX = 5,
    HOST_SIZE_MAX = INET6_ADDRSTRLEN - 1,
};

/* "unix:@" and a name without its leading zero byte; or brackets, scope and port. */
static_assert(6 + UNIX_NAME_SIZE_MAX <= LEAT_ADDRESS_TEXT_SIZE, "the text of a unix address fits");
static_assert(1 + HOST_SIZE_MAX + 1 + 10 + 2 + PORT_DIGITS_MAX + 1 <= LEAT_ADDRESS_TEXT_SIZE,
              "the text of an IPv6 address fits");

/* ---- Text to address: each returns NULL, or what is wrong ------------------------------------ */

/* Digits alone, at most `max`. */
static bool parse_number(struct leat_slice text, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (text.size == 0 || text.size > 10)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (number > max)
        return false;
    *ret_number = number;
    return true;
}

static const char *parse_port(struct leat_slice text, in_port_t *ret_port)
{
    uint64_t port;
    if (text.size == 0)
        return "the port is missing: write 127.0.0.1:8080";
    if (text.size > PORT_DIGITS_MAX || !parse_number(text, UINT16_MAX, &port))
        return "the port must be a number from 0 to 65535";
    *ret_port = htons((uint16_t)port);
    return NULL;
}

static const char *parse_unix(const char *name, struct leat_address *address)
{
    const bool is_abstract = name[0] == '@';
    const size_t size = strlen(name);
    if (size == (is_abstract ? 1 : 0))
        return "the name of the socket is missing: write unix:/run/leat.sock or unix:@name";
    /* A path is followed by a zero byte; the '@' of an abstract name becomes one. */
    if (size + !is_abstract > UNIX_NAME_SIZE_MAX)
        return "the name of a unix socket has at most 107 bytes";
    address->local.sun_family = AF_UNIX;
    memcpy(address->local.sun_path, name, size);
    if (is_abstract)
        address->local.sun_path[0] = '\0';
    address->size = (socklen_t)(UNIX_NAME_OFFSET + size + !is_abstract);
    return NULL;
}

/* inet_pton, for text that is not terminated. */
static bool parse_host(int family, struct leat_slice text, void *ret_host)
{
    char host[HOST_SIZE_MAX + 1];
    if (text.size == 0 || text.size > HOST_SIZE_MAX || memchr(text.data, '\0', text.size))
        return false;
    memcpy(host, text.data, text.size);
    host[text.size] = '\0';
    return inet_pton(family, host, ret_host) == 1;
}

/* "[host]:port" or "[host%scope]:port". */
static const char *parse_v6(const char *text, struct leat_address *address)
{
    ASSERT(text[0] == '[');
    const char *end = strchr(text, ']');
    if (!end)
        return "the ']' after the IPv6 address is missing: write [::1]:8080";
    struct leat_slice host = slice_of(text + 1, (size_t)(end - text - 1));
    uint64_t scope = 0;
    const char *percent = memchr(host.data, '%', host.size);
    if (percent) {
        const struct leat_slice number = slice_of(percent + 1, (size_t)(end - percent - 1));
        if (!parse_number(number, UINT32_MAX, &scope) || scope == 0)
            return "the scope after '%' must be the number of an interface (see ip link)";
        host.size = (size_t)(percent - host.data);
    }
    if (!parse_host(AF_INET6, host, &address->v6.sin6_addr))
        return "between the brackets must be an IPv6 address in numbers, such as [::1]:8080";
    if (end[1] != ':')
        return end[1] ? "after the ']' must be ':' and the port: write [::1]:8080"
                      : "the port is missing: write [::1]:8080";
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_scope_id = (uint32_t)scope;
    address->size = sizeof address->v6;
    return parse_port(slice_from_text(end + 2), &address->v6.sin6_port);
}

static const char *parse_v4(const char *text, struct leat_address *address)
{
    struct in6_addr v6;
    const char *colon = strrchr(text, ':');
    const struct leat_slice all = slice_from_text(text);
    const struct leat_slice host = colon ? slice_of(text, (size_t)(colon - text)) : all;
    if (parse_host(AF_INET6, all, &v6) || parse_host(AF_INET6, host, &v6))
        return "an IPv6 address stands in brackets: write [::1]:8080";
    const bool is_v4 = parse_host(AF_INET, host, &address->v4.sin_addr);
    if (!colon)
        return is_v4 ? "the port is missing: write 127.0.0.1:8080"
                     : "an address is written 127.0.0.1:8080, [::1]:8080 or unix:/path";
    if (host.size == 0)
        return "the address before the port is missing: write 0.0.0.0:8080 or [::]:8080 for all"
               " interfaces";
    if (!is_v4)
        return "the host must be an address in numbers, such as 127.0.0.1";
    address->v4.sin_family = AF_INET;
    address->size = sizeof address->v4;
    return parse_port(slice_from_text(colon + 1), &address->v4.sin_port);
}

int leat_address_parse(const char *text, struct leat_address *ret_address, const char **ret_reason)
{
    struct leat_address address;
    memset(&address, 0, sizeof address); /* padding too: it is handed to the kernel */
    const char *reason;
    if (slice_starts_with(slice_from_text(text), SLICE("unix:")))
        reason = parse_unix(text + strlen("unix:"), &address);
    else if (text[0] == '[')
        reason = parse_v6(text, &address);
    else
        reason = parse_v4(text, &address);
    if (reason) {
        if (ret_reason)
            *ret_reason = reason;
        return -EINVAL;
    }
    ASSERT(address.size > 0 && address.size <= sizeof address.storage);
    *ret_address = address;
    return 0;
}

/* ---- Address to text ------------------------------------------------------------------------- */

/* The name without the zero byte behind a path, but with the one before an abstract name; empty for
 * an unnamed socket. */
static struct leat_slice unix_name(const struct leat_address *address)
{
    ASSERT(address->size >= UNIX_NAME_OFFSET);
    const char *name = address->local.sun_path;
    const size_t size = address->size - UNIX_NAME_OFFSET;
    ASSERT(size <= UNIX_NAME_SIZE_MAX);
    return slice_of(name, size > 0 && name[0] != '\0' ? strnlen(name, size) : size);
}

static void format_unix(const struct leat_address *address, char *text)
{
    const struct leat_slice name = unix_name(address);
    memcpy(text, "unix:", 5);
    for (size_t i = 0; i < name.size; i++) {
        const unsigned char c = (unsigned char)name.data[i];
        text[5 + i] = i == 0 && c == '\0' ? '@' : c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    text[5 + name.size] = '\0';
}

char *leat_address_format(const struct leat_address *address, char *text)
{
    char host[INET6_ADDRSTRLEN], scope[12] = "";
    const int family = leat_address_family(address);
    if (family == AF_UNIX) {
        format_unix(address, text);
        return text;
    }
    const void *bytes =
        family == AF_INET ? (const void *)&address->v4.sin_addr : &address->v6.sin6_addr;
    const char *written = inet_ntop(family, bytes, host, sizeof host);
    ASSERT(written == host);
    if (family == AF_INET6 && address->v6.sin6_scope_id != 0)
        snprintf(scope, sizeof scope, "%%%u", address->v6.sin6_scope_id);
    snprintf(text, LEAT_ADDRESS_TEXT_SIZE, family == AF_INET ? "%s%s:%u" : "[%s%s]:%u", host, scope,
             leat_address_port(address));
    return text;
}

/* ---- The kernel's form ----------------------------------------------------------------------- */

int leat_address_from_sockaddr(const struct sockaddr *base, socklen_t size,
                               struct leat_address *ret_address)
{
    if (size < sizeof base->sa_family)
        return -EINVAL;
    size_t size_min, size_max;
    switch (base->sa_family) {
    case AF_INET: size_min = size_max = sizeof(struct sockaddr_in); break;
    case AF_INET6: size_min = size_max = sizeof(struct sockaddr_in6); break;
    case AF_UNIX:
        size_min = UNIX_NAME_OFFSET;
        size_max = sizeof(struct sockaddr_un);
        break;
    default: return -EAFNOSUPPORT;
    }
    /* For a path of 108 bytes the kernel counts the zero byte that it has no room for: unix(7). */
    if (base->sa_family == AF_UNIX && size == size_max + 1)
        size = (socklen_t)size_max;
    if (size < size_min || size > size_max)
        return -EINVAL;
    struct leat_address address;
    memset(&address, 0, sizeof address);
    memcpy(&address.storage, base, size);
    address.size = size;
    *ret_address = address;
    return 0;
}

int leat_address_family(const struct leat_address *address)
{
    const int family = address->base.sa_family;
    ASSERT(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
    return family;
}

uint16_t leat_address_port(const struct leat_address *address)
{
    switch (leat_address_family(address)) {
    case AF_INET: return ntohs(address->v4.sin_port);
    case AF_INET6: return ntohs(address->v6.sin6_port);
    default: return 0;
    }
}

void leat_address_set_port(struct leat_address *address, uint16_t port)
{
    const int family = leat_address_family(address);
    ASSERT(family != AF_UNIX);
    if (family == AF_INET)
        address->v4.sin_port = htons(port);
    else
        address->v6.sin6_port = htons(port);
}

bool leat_address_equal(const struct leat_address *a, const struct leat_address *b)
{
    const int family = leat_address_family(a);
    if (family != leat_address_family(b) || leat_address_port(a) != leat_address_port(b))
        return false;
    switch (family) {
    case AF_INET: return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    case AF_INET6:
        return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0 &&
               a->v6.sin6_scope_id == b->v6.sin6_scope_id;
    default: return slice_equal(unix_name(a), unix_name(b));
    }
}

/* ---- Sockets --------------------------------------------------------------------------------- */

/* The kernel may write one byte more than a sockaddr_un has; a sockaddr_storage has room for it. */
static int finish(int result, const struct sockaddr_storage *storage, socklen_t size,
                  struct leat_address *ret_address)
{
    if (result < 0)
        return result;
    return leat_address_from_sockaddr((const struct sockaddr *)storage, size, ret_address);
}

int address_of_socket(const struct backend_sys *sys, int fd, struct leat_address *ret_address)
{
    struct sockaddr_storage storage = {0};
    socklen_t size = sizeof storage;
    const int result = sys->getsockname(sys, fd, (struct sockaddr *)&storage, &size);
    return finish(result, &storage, size, ret_address);
}

int address_of_peer(const struct backend_sys *sys, int fd, struct leat_address *ret_address)
{
    struct sockaddr_storage storage = {0};
    socklen_t size = sizeof storage;
    const int result = sys->getpeername(sys, fd, (struct sockaddr *)&storage, &size);
    return finish(result, &storage, size, ret_address);
}

bool address_same_host(const struct leat_address *a, const struct leat_address *b)
{
    const int family = leat_address_family(a);
    if (family != leat_address_family(b))
        return false;
    if (family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    if (family == AF_INET6)
        return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
    return leat_address_equal(a, b);
}
