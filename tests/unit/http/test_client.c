/* SPDX-License-Identifier: MIT */
/*
 * The hosts that a client knows: one entry a host and port, a limit, and places that are given on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "http/client.h"
#include "leat/error.h"

/* The host of a URL, or the error that there is. */
static int take(struct leat_client *client, const char *text, struct client_host **ret_host)
{
    struct url url;
    assert_int_equal(url_parse(slice_from_text(text), &url), 0);
    return client_take_host(client, &url, ret_host);
}

static void one_entry_a_host_and_port(void **state)
{
    static const struct {
        const char *url;
        unsigned which;
    } rows[] = {
        {"http://a/", 0}, {"http://a:80/x", 0}, {"http://a:/", 0},      {"http://a:81/", 1},
        {"http://b/", 2}, {"http://[::1]/", 3}, {"http://[::1]:8/", 4}, {"http://a.b/", 5},
    };
    struct client_host *hosts[6] = {0}, *host;
    struct leat_client *client;
    assert_int_equal(leat_client_create(NULL, &client), 0);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            assert_int_equal(take(client, rows[i].url, &host), 0);
            if (!hosts[rows[i].which])
                hosts[rows[i].which] = host;
            assert_ptr_equal(host, hosts[rows[i].which]);
        }
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            client_let_host_go(hosts[rows[i].which]);
    }
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(hosts[i], hosts[k]);
    assert_string_equal(hosts[3]->name, "::1");
    assert_int_equal(hosts[1]->port, 81);
    leat_client_destroy(client);
}

/* At the limit the one that has had no user for longest gives its place; while all have users the
 * newcomer is told. */
static void a_place_is_given_on(void **state)
{
    static struct client_host *hosts[CLIENT_HOSTS_MAX];
    struct client_host *host = NULL;
    struct leat_client *client;
    char text[64];
    assert_int_equal(leat_client_create(NULL, &client), 0);
    for (size_t i = 0; i < CLIENT_HOSTS_MAX; i++) {
        snprintf(text, sizeof text, "http://host%zu/", i);
        assert_int_equal(take(client, text, &hosts[i]), 0);
    }
    assert_int_equal(take(client, "http://newcomer/", &host), -LEAT_E_LIMIT);
    assert_null(host);
    client_let_host_go(hosts[7]);
    client_let_host_go(hosts[3]);
    assert_int_equal(take(client, "http://host7/", &host), 0); /* it is still known */
    assert_ptr_equal(host, hosts[7]);
    client_let_host_go(host); /* now it is the one that was used last */
    assert_int_equal(take(client, "http://newcomer:8/", &host), 0);
    assert_ptr_equal(host, hosts[3]);
    assert_string_equal(host->name, "newcomer");
    assert_int_equal(host->port, 8);
    assert_int_equal(take(client, "http://host3/", &hosts[3]), 0);
    assert_ptr_equal(hosts[3], hosts[7]);
    assert_int_equal(take(client, "http://host7/", &hosts[7]), -LEAT_E_LIMIT);
    client_let_host_go(host);
    for (size_t i = 0; i < CLIENT_HOSTS_MAX; i++)
        if (i != 7)
            client_let_host_go(hosts[i]);
    leat_client_destroy(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_entry_a_host_and_port),
        cmocka_unit_test(a_place_is_given_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
