/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets: IPv4, IPv6 and unix, as values of the caller's, copied freely.
 * Their text is
 *
 *     127.0.0.1:8080    [::1]:8080    [fe80::1%2]:8080    unix:/run/leat.sock    unix:@abstract
 *
 * Numbers only: a host's name has to be resolved first, an interface's turned into its number, for
 * both ask the system and may wait.
 */
#ifndef LEAT_ADDRESS_H
#define LEAT_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifdef __cplusplus
extern "C" {
#endif

struct leat_address {
    union {
        struct sockaddr base; /* what the system's calls want, with `size` */
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    };
    socklen_t size;
};

/* Enough for the text of any address, its terminating zero byte included. */
enum { LEAT_ADDRESS_TEXT_SIZE = 128 };

/* 0, or -EINVAL: then *ret_reason (which may be NULL) is a static text that says what is wrong,
 * such as "the port is missing: write 127.0.0.1:8080". */
int leat_address_parse(const char *text, struct leat_address *ret_address, const char **ret_reason);

/* Writes the text of the address to `text`, which has LEAT_ADDRESS_TEXT_SIZE bytes, and returns it.
 * leat_address_parse understands it; but control characters in the path of a unix socket, which a
 * peer may have chosen, become '?', and an unnamed unix socket is "unix:". */
char *leat_address_format(const struct leat_address *address, char *text);

/* From what accept(2), getsockname(2) and their like gave: 0, or -EAFNOSUPPORT for other families,
 * -EINVAL when the size does not go with the family. */
int leat_address_from_sockaddr(const struct sockaddr *base, socklen_t size,
                               struct leat_address *ret_address);

/* AF_INET, AF_INET6 or AF_UNIX. */
int leat_address_family(const struct leat_address *address);

/* 0 for unix sockets. */
uint16_t leat_address_port(const struct leat_address *address);

/* Not for unix sockets. */
void leat_address_set_port(struct leat_address *address, uint16_t port);

/* The same family, host, scope and port, or the same name of a unix socket. An IPv4 address and its
 * IPv6-mapped form are different. */
bool leat_address_equal(const struct leat_address *a, const struct leat_address *b);

#ifdef __cplusplus
}
#endif
#endif
