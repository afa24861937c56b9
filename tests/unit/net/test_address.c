/* SPDX-License-Identifier: MIT */
/* Addresses: what is accepted, what is refused and why, there and back again, real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "net/address.h"

static struct leat_address parsed(const char *text)
{
    struct leat_address address;
    const char *reason = NULL;
    if (leat_address_parse(text, &address, &reason))
        fail_msg("%s: %s", text, reason);
    return address;
}

static void good_ones(void **state)
{
    static const struct {
        const char *text;
        int family;
        unsigned port;
        const char *formatted; /* NULL: as `text` */
    } rows[] = {
        {"127.0.0.1:8080", AF_INET, 8080, NULL},
        {"0.0.0.0:0", AF_INET, 0, NULL},
        {"255.255.255.255:65535", AF_INET, 65535, NULL},
        {"1.2.3.4:00080", AF_INET, 80, "1.2.3.4:80"},
        {"[::]:8080", AF_INET6, 8080, NULL},
        {"[::1]:1", AF_INET6, 1, NULL},
        {"[2001:DB8:0:0:0:0:0:1]:443", AF_INET6, 443, "[2001:db8::1]:443"},
        {"[::ffff:192.0.2.1]:80", AF_INET6, 80, NULL},
        {"[fe80::1%2]:80", AF_INET6, 80, NULL},
        {"[fe80::1%4294967295]:80", AF_INET6, 80, NULL},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535", AF_INET6, 65535, NULL},
        {"unix:/run/leat.sock", AF_UNIX, 0, NULL},
        {"unix:relative", AF_UNIX, 0, NULL},
        {"unix:@name", AF_UNIX, 0, NULL},
        {"unix:@@", AF_UNIX, 0, NULL},
        {"unix:./@x", AF_UNIX, 0, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[LEAT_ADDRESS_TEXT_SIZE];
        const struct leat_address address = parsed(rows[i].text);
        assert_int_equal(leat_address_family(&address), rows[i].family);
        assert_int_equal(leat_address_port(&address), rows[i].port);
        assert_ptr_equal(leat_address_format(&address, text), text);
        assert_string_equal(text, rows[i].formatted ? rows[i].formatted : rows[i].text);
        const struct leat_address again = parsed(text);
        assert_true(leat_address_equal(&address, &again));
        assert_int_equal(address.size, again.size);
        assert_memory_equal(&address.storage, &again.storage, sizeof address.storage);
    }
}

static void bad_ones(void **state)
{
    static const struct {
        const char *text, *reason; /* a part of the reason */
    } rows[] = {
        {"", "an address is written"},
        {"8080", "an address is written"},
        {"localhost", "an address is written"},
        {":8080", "before the port is missing: write 0.0.0.0:8080"},
        {":", "before the port is missing"},
        {"localhost:80", "in numbers, such as 127.0.0.1"},
        {"*:80", "in numbers"},
        {"1.2.3:80", "in numbers"},
        {"1.2.3.256:80", "in numbers"},
        {"01.2.3.4:80", "in numbers"},
        {" 1.2.3.4:80", "in numbers"},
        {"http://1.2.3.4:80", "in numbers"},
        {"1:2:3:4:5:6:7:8:80", "stands in brackets"},
        {"127.0.0.1", "the port is missing"},
        {"127.0.0.1:", "the port is missing"},
        {"127.0.0.1:65536", "from 0 to 65535"},
        {"127.0.0.1:999999", "from 0 to 65535"},
        {"127.0.0.1:18446744073709551696", "from 0 to 65535"},
        {"127.0.0.1:-1", "from 0 to 65535"},
        {"127.0.0.1:+1", "from 0 to 65535"},
        {"127.0.0.1:http", "from 0 to 65535"},
        {"127.0.0.1:80 ", "from 0 to 65535"},
        {"127.0.0.1:0x50", "from 0 to 65535"},
        {"::1", "stands in brackets"},
        {"::1:8080", "stands in brackets"},
        {"[::1", "']' after the IPv6 address is missing"},
        {"[::1]", "the port is missing: write [::1]"},
        {"[::1]:", "the port is missing"},
        {"[::1]8080", "after the ']'"},
        {"[::1]:70000", "from 0 to 65535"},
        {"[]:80", "between the brackets"},
        {"[1.2.3.4]:80", "between the brackets"},
        {"[::1::2]:80", "between the brackets"},
        {"[12345::]:80", "between the brackets"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80", "between the brackets"},
        {"[fe80::1%eth0]:80", "the number of an interface"},
        {"[fe80::1%]:80", "the number of an interface"},
        {"[fe80::1%0]:80", "the number of an interface"},
        {"[fe80::1%4294967296]:80", "the number of an interface"},
        {"[fe80::1%1%2]:80", "the number of an interface"},
        {"unix:", "name of the socket is missing"},
        {"unix:@", "name of the socket is missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct leat_address address, before;
        memset(&address, 0x5a, sizeof address);
        before = address;
        const char *reason = "";
        assert_int_equal(leat_address_parse(rows[i].text, &address, &reason), -EINVAL);
        if (!strstr(reason, rows[i].reason))
            fail_msg("'%s': %s", rows[i].text, reason);
        assert_memory_equal(&address, &before, sizeof address);
        assert_int_equal(leat_address_parse(rows[i].text, &address, NULL), -EINVAL);
    }
}

/* Names of every length around the limit: 107 bytes for a path and for an abstract name alike. */
static void unix_names_have_a_limit(void **state)
{
    for (int is_abstract = 0; is_abstract < 2; is_abstract++) {
        for (size_t size = 100; size < 115; size++) {
            char text[128] = "unix:/", formatted[LEAT_ADDRESS_TEXT_SIZE];
            text[5] = is_abstract ? '@' : '/';
            memset(text + 6, 'x', size - !is_abstract);
            struct leat_address address;
            const char *reason = NULL;
            const int result = leat_address_parse(text, &address, &reason);
            assert_int_equal(result, size <= 107 ? 0 : -EINVAL);
            if (result == 0)
                assert_string_equal(leat_address_format(&address, formatted), text);
            else
                assert_non_null(strstr(reason, "at most 107 bytes"));
        }
    }
}

static void equality(void **state)
{
    static const char *const texts[] = {
        "127.0.0.1:80", "127.0.0.1:81",   "127.0.0.2:80", "[::1]:80", "[::ffff:127.0.0.1]:80",
        "[::1%1]:80",   "[::1%2]:80",     "unix:/a",      "unix:/b",  "unix:/aa",
        "unix:@a",      "unix:@a/longer",
    };
    enum { COUNT = sizeof texts / sizeof *texts };
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            const struct leat_address a = parsed(texts[i]), b = parsed(texts[j]);
            assert_true(leat_address_equal(&a, &b) == (i == j));
        }
    }
    struct leat_address v4 = parsed("127.0.0.1:0"), v6 = parsed("[::1]:0");
    leat_address_set_port(&v4, 80);
    leat_address_set_port(&v6, 80);
    const struct leat_address expected_v4 = parsed(texts[0]), expected_v6 = parsed(texts[3]);
    assert_true(leat_address_equal(&v4, &expected_v4));
    assert_true(leat_address_equal(&v6, &expected_v6));
}

static void from_the_kernel(void **state)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET};
    const struct sockaddr *base = (const struct sockaddr *)&storage;
    struct leat_address address;
    assert_int_equal(leat_address_from_sockaddr(base, 1, &address), -EINVAL);
    assert_int_equal(leat_address_from_sockaddr(base, sizeof(struct sockaddr_in) - 1, &address),
                     -EINVAL);
    assert_int_equal(leat_address_from_sockaddr(base, sizeof(struct sockaddr_in), &address), 0);
    storage.ss_family = AF_INET6;
    assert_int_equal(leat_address_from_sockaddr(base, sizeof(struct sockaddr_in), &address),
                     -EINVAL);
    assert_int_equal(leat_address_from_sockaddr(base, sizeof(struct sockaddr_in6), &address), 0);
    storage.ss_family = AF_PACKET;
    assert_int_equal(leat_address_from_sockaddr(base, sizeof storage, &address), -EAFNOSUPPORT);
}

/* What peers may be called: nothing, a name full of zero bytes, a path without its zero byte, and
 * what would make a mess of a log. */
static void odd_names_of_unix_sockets(void **state)
{
    char text[LEAT_ADDRESS_TEXT_SIZE];
    struct leat_address address, other;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    const struct sockaddr *base = (const struct sockaddr *)&local;
    enum { NAME = offsetof(struct sockaddr_un, sun_path) };

    assert_int_equal(leat_address_from_sockaddr(base, NAME, &address), 0);
    assert_string_equal(leat_address_format(&address, text), "unix:");

    memcpy(local.sun_path, "\0a\0\nb", 5);
    assert_int_equal(leat_address_from_sockaddr(base, NAME + 5, &address), 0);
    assert_string_equal(leat_address_format(&address, text), "unix:@a??b");
    assert_int_equal(leat_address_from_sockaddr(base, NAME + 4, &other), 0);
    assert_false(leat_address_equal(&address, &other));

    memcpy(local.sun_path, "/a\033[1mb", 8);
    assert_int_equal(leat_address_from_sockaddr(base, NAME + 8, &address), 0);
    assert_string_equal(leat_address_format(&address, text), "unix:/a?[1mb");
    assert_int_equal(leat_address_from_sockaddr(base, NAME + 7, &other), 0); /* no zero byte */
    assert_true(leat_address_equal(&address, &other));

    struct sockaddr_storage storage = {.ss_family = AF_UNIX};
    memset((char *)&storage + NAME, 'x', 108);
    base = (const struct sockaddr *)&storage;
    assert_int_equal(leat_address_from_sockaddr(base, NAME + 109, &address), 0);
    assert_int_equal(strlen(leat_address_format(&address, text)), 5 + 108);
    assert_int_equal(leat_address_from_sockaddr(base, NAME + 110, &address), -EINVAL);
}

static void real_sockets(void **state)
{
    static const char *const texts[] = {"127.0.0.1:0", "unix:@leat-test-address"};
    const struct backend_sys *sys = &backend_sys_linux;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct leat_address wanted = parsed(texts[i]), bound, peer;
        const int fd = sys->socket(sys, leat_address_family(&wanted), SOCK_STREAM, 0);
        assert_true(fd >= 0);
        assert_int_equal(sys->bind(sys, fd, &wanted.base, wanted.size), 0);
        assert_int_equal(sys->listen(sys, fd, 1), 0);
        assert_int_equal(address_of_socket(sys, fd, &bound), 0);
        if (leat_address_family(&wanted) == AF_INET) {
            assert_int_not_equal(leat_address_port(&bound), 0);
            leat_address_set_port(&wanted, leat_address_port(&bound));
        }
        assert_true(leat_address_equal(&wanted, &bound));
        assert_int_equal(address_of_peer(sys, fd, &peer), -ENOTCONN);

        const int client = sys->socket(sys, leat_address_family(&wanted), SOCK_STREAM, 0);
        assert_int_equal(connect(client, &bound.base, bound.size), 0);
        assert_int_equal(address_of_peer(sys, client, &peer), 0);
        assert_true(leat_address_equal(&peer, &bound));
        close(client);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(bad_ones),
        cmocka_unit_test(unix_names_have_a_limit),
        cmocka_unit_test(equality),
        cmocka_unit_test(from_the_kernel),
        cmocka_unit_test(odd_names_of_unix_sockets),
        cmocka_unit_test(real_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
