/* SPDX-License-Identifier: MIT */
/*
 * URLs: the parts, what is refused, and the examples of RFC 3986, section 5.4, all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "leat/error.h"
#include "wire/url.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A part as text; "-" when it is missing. */
static int put_part(char *text, struct leat_slice part, const char *end)
{
    return sprintf(text, "%.*s%s", part.data ? (int)part.size : 1, part.data ? part.data : "-",
                   end);
}

static void parts(void **state)
{
    static const struct {
        const char *url, *parts; /* scheme authority host port path query fragment */
    } rows[] = {
        {"http://example.org/", "http|example.org|example.org|0|/|-|-"},
        {"http://example.org", "http|example.org|example.org|0||-|-"},
        {"HTTP://Example.ORG:8080/A", "HTTP|Example.ORG:8080|Example.ORG|8080|/A|-|-"},
        {"http://h:/a", "http|h:|h|0|/a|-|-"},
        {"http://h:65535?a=b", "http|h:65535|h|65535||a=b|-"},
        {"http://h?", "http|h|h|0|||-"},
        {"http://h#", "http|h|h|0||-|"},
        {"http://h/a?b?c#d?e", "http|h|h|0|/a|b?c|d?e"},
        {"http://h/a#b", "http|h|h|0|/a|-|b"},
        {"http://127.0.0.1:1/", "http|127.0.0.1:1|127.0.0.1|1|/|-|-"},
        {"http://[::1]/", "http|[::1]|::1|0|/|-|-"},
        {"http://[2001:db8::1]:80/", "http|[2001:db8::1]:80|2001:db8::1|80|/|-|-"},
        {"http://[::ffff:1.2.3.4]", "http|[::ffff:1.2.3.4]|::ffff:1.2.3.4|0||-|-"},
        {"http://a_b-c.~d.e./", "http|a_b-c.~d.e.|a_b-c.~d.e.|0|/|-|-"},
        {"http://1.2.3.4a/", "http|1.2.3.4a|1.2.3.4a|0|/|-|-"},
        {"http://h/a%2Fb;c=d,e@f:g!$&'()*+", "http|h|h|0|/a%2Fb;c=d,e@f:g!$&'()*+|-|-"},
        {"http://h/?a[]=1&b[x]=2", "http|h|h|0|/|a[]=1&b[x]=2|-"},
        {"http://h//a//", "http|h|h|0|//a//|-|-"},
        {"file:///etc", "file|||0|/etc|-|-"},
        {"mailto:a@b", "mailto|-|-|0|a@b|-|-"},
        {"x+y-z.1:", "x+y-z.1|-|-|0||-|-"},
        /* relative references; a missing scheme is empty */
        {"", "|-|-|0||-|-"},
        {"a/b:c", "|-|-|0|a/b:c|-|-"},
        {"./a:b", "|-|-|0|./a:b|-|-"},
        {"//h/a", "|h|h|0|/a|-|-"},
        {"/a?b", "|-|-|0|/a|b|-"},
        {"?b", "|-|-|0||b|-"},
        {"#b", "|-|-|0||-|b"},
        {"?a:b", "|-|-|0||a:b|-"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[256];
        struct url url;
        assert_int_equal(url_parse(slice_from_text(rows[i].url), &url), 0);
        int size = sprintf(text, "%.*s|", (int)url.scheme.size, url.scheme.data);
        size += put_part(text + size, url.authority, "|");
        size += put_part(text + size, url.host, "|");
        size += sprintf(text + size, "%u|%.*s|", url.port, (int)url.path.size, url.path.data);
        size += put_part(text + size, url.query, "|");
        put_part(text + size, url.fragment, "");
        assert_string_equal(text, rows[i].parts);
        assert_int_equal(url.is_ipv6, strchr(rows[i].url, '[') && !strchr(rows[i].url, '?'));
        assert_string_equal(url.text.data, rows[i].url);
    }
}

static void what_is_no_url(void **state)
{
    static const char *const texts[] = {
        /* hosts that two readers could take for different ones */
        "http://user@h/",
        "http://user:secret@h/",
        "http://good.org\\@evil.org/",
        "http://good.org\\.evil.org/",
        "http://h%2eorg/",
        "http://a,b/",
        "http://h\t/",
        "http://\xc3\xa4/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://127.0.0.0x1/",
        "http://127.0.0.01/",
        "http://127.0.0.256/",
        "http://127.0.0.1./",
        "http://1.2.3.4.5/",
        "http://h.0x/",
        /* addresses and ports */
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[::1]80/",
        "http://[]/",
        "http://[1.2.3.4]/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.x]/",
        "http://[::1]]/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:-1/",
        "http://h:80a/",
        "http://h:80:80/",
        "http://h: 80/",
        /* characters */
        "http://h/a b",
        "http://h/a\"b",
        "http://h/<a>",
        "http://h/a\\b",
        "http://h/a^b",
        "http://h/a`b",
        "http://h/{a}",
        "http://h/a|b",
        "http://h/[a]",
        "http://h/\xc3\xa4",
        "http://h/a\r\nb",
        "http://h/\x7f",
        "http://h/%",
        "http://h/%4",
        "http://h/%4g",
        "http://h/?%",
        "http://h/?a b",
        "http://h/#a#b",
        "http://h/#%x1",
        " http://h/",
        "http://h/ ",
        /* schemes */
        ":a",
        "1a:b",
        "a b:c",
        "\xc3\xa4:b",
        "a_b:c",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct url url;
        if (url_parse(slice_from_text(texts[i]), &url) != -LEAT_E_MALFORMED)
            fail_msg("taken for a URL: %s", texts[i]);
    }
    struct url url;
    assert_int_equal(url_parse(SLICE("http://h/\0a"), &url), -LEAT_E_MALFORMED);
    assert_int_equal(url_parse(SLICE("http://[::1\0]/"), &url), -LEAT_E_MALFORMED);
    char name[300] = "http://";
    memset(name + 7, 'a', URL_HOST_SIZE_MAX + 1);
    assert_int_equal(url_parse(slice_of(name, 7 + URL_HOST_SIZE_MAX), &url), 0);
    assert_int_equal(url_parse(slice_of(name, 8 + URL_HOST_SIZE_MAX), &url), -LEAT_E_MALFORMED);
}

/* The outcome as text, or NULL. */
static const char *resolve(const char *base, const char *reference)
{
    static char text[256];
    char buffer[256];
    struct url base_url, reference_url, url;
    assert_true(!base || url_parse(slice_from_text(base), &base_url) == 0);
    assert_int_equal(url_parse(slice_from_text(reference), &reference_url), 0);
    const size_t size = url_resolve_size(base ? &base_url : NULL, &reference_url);
    assert_int_equal(
        url_resolve(base ? &base_url : NULL, &reference_url, buffer, size - 1, &url) != 0, 1);
    const int error = url_resolve(base ? &base_url : NULL, &reference_url, buffer, size, &url);
    if (error) {
        assert_int_equal(error, -LEAT_E_MALFORMED);
        return NULL;
    }
    sprintf(text, "%.*s", (int)url.text.size, url.text.data);
    return text;
}

static void examples_of_the_standard(void **state)
{
    static const struct {
        const char *reference, *url;
    } rows[] = {
        /* 5.4.1 */
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"}, /* with the path that it has when it is asked for */
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        /* 5.4.2 */
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g#s/./x"},
        {"g#s/../x", "http://a/b/c/g#s/../x"},
        {"http:g", "http:g"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(resolve("http://a/b/c/d;p?q", rows[i].reference), rows[i].url);
}

static void more_examples(void **state)
{
    assert_string_equal(resolve("http://a", "g"), "http://a/g");
    assert_string_equal(resolve("http://a?q", ""), "http://a/?q");
    assert_string_equal(resolve("http://a/b#f", "c"), "http://a/c");
    assert_string_equal(resolve("HTTP://A:81/B", "C"), "http://a:81/C");
    assert_string_equal(resolve("http://a/b", "//[::A]:1/c/.."), "http://[::a]:1/");
    assert_string_equal(resolve("http://a/b//c", ".."), "http://a/b/");
    assert_string_equal(resolve("http://a/b//c", "../.."), "http://a/");
    assert_string_equal(resolve("http://a/b", "/%2e%2e/c"), "http://a/%2e%2e/c");
    assert_string_equal(resolve("x:a/b", "c"), "x:a/c");
    assert_string_equal(resolve("x:", "c"), "x:c");
    assert_string_equal(resolve(NULL, "HTTP://A/b/../c?D#E"), "http://a/c?D#E");
    assert_string_equal(resolve(NULL, "http://a"), "http://a/");
    assert_null(resolve(NULL, "//a/b"));
    /* what would be taken for a host */
    assert_null(resolve("x:/a", "/.//b"));
    assert_null(resolve(NULL, "x:/..//b"));
    assert_null(resolve(NULL, "x:/.//b:c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),
        cmocka_unit_test(what_is_no_url),
        cmocka_unit_test(examples_of_the_standard),
        cmocka_unit_test(more_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
