/* SPDX-License-Identifier: MIT */
/*
 * What players say of themselves: the examples of CTA-5004, what players send in fact, and what
 * must not disturb.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "wire/cmcd.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What was understood, as a text; absent keys are absent. */
static const char *describe(const struct cmcd *cmcd, char text[128])
{
    int size = 0;
    text[0] = '\0';
    if (cmcd->has_br)
        size += sprintf(text + size, "br=%u ", cmcd->br_kbit_per_s);
    if (cmcd->has_bl)
        size += sprintf(text + size, "bl=%u ", cmcd->bl_ms);
    if (cmcd->has_rtp)
        size += sprintf(text + size, "rtp=%u ", cmcd->rtp_kbit_per_s);
    if (cmcd->has_d)
        size += sprintf(text + size, "d=%u ", cmcd->d_ms);
    size +=
        sprintf(text + size, "%s%s", cmcd->is_startup ? "su " : "", cmcd->is_starved ? "bs " : "");
    sprintf(text + size, "%s",
            cmcd->object == CMCD_OBJECT_MEDIA      ? "media"
            : cmcd->object == CMCD_OBJECT_OVERHEAD ? "overhead"
                                                   : "");
    return text;
}

static void lists(void **state)
{
    static const struct {
        const char *text, *meaning;
    } rows[] = {
        {"", ""},
        {"bl=21300", "bl=21300 "},
        {"br=3200,bs,d=4004,mtp=25400", "br=3200 d=4004 bs "},
        {"br=3200,d=4004,ot=v,tb=6000", "br=3200 d=4004 media"},
        {"bl=0,dl=18500,mtp=48100,nor=\"..%2F300kbps%2Ftrack.m4v\",su", "bl=0 su "},
        {"rtp=12000,cid=\"f\",ot=i", "rtp=12000 overhead"},
        {"ot=av", "media"},
        {"ot=a", "media"},
        {"ot=m", "overhead"},
        {"ot=tt", "overhead"},
        {"ot=o", ""},
        {"ot=\"v\"", ""},
        /* blanks, as RFC 8941 allows them in fields */
        {"bl=1, br=2 ,\trtp=3", "br=2 bl=1 rtp=3 "},
        /* commas and equals signs that are within something */
        {"sid=\"a,bl=5\",br=1", "br=1 "},
        {"cid=\"\\\",bl=5\",br=1", "br=1 "},
        {"cid=\"\\\\\",bl=5", "bl=5 "},
        {"cid=\"open,bl=5", ""},
        {"br=(3200;v 128;a),bl=7", "bl=7 "},
        {"nor=(\"a,b\" \"c)\"),bl=7", "bl=7 "},
        {"),bl=7", "bl=7 "},
        {"(((bl=7", ""},
        /* values that are none */
        {"bl=", ""},
        {"bl", ""},
        {"bl=-5", ""},
        {"bl=1.5", ""},
        {"bl=1e3", ""},
        {"bl=\"5\"", ""},
        {"=5,bl=5", "bl=5 "},
        {"BL=5", ""},
        {"bl==5", ""},
        {"su=false,bs=false", ""},
        {"su=true,bs=?1", "su bs "},
        {"su=?0", ""},
        {"su,su=false", ""},
        {"bl=5,bl=6", "bl=6 "},
        {"bl=5,bl=x", "bl=5 "},
        {",,,bl=5,,", "bl=5 "},
        {"rtp=1000000001", "rtp=1000000000 "},
        {"rtp=99999999999999999999999999999999", "rtp=1000000000 "},
        {"bl=00012", "bl=12 "},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct cmcd cmcd = {0};
        char text[128];
        cmcd_parse(slice_from_text(rows[row].text), &cmcd);
        assert_string_equal(describe(&cmcd, text), rows[row].meaning);
    }
}

static void queries(void **state)
{
    static const struct {
        const char *query, *meaning;
    } rows[] = {
        {"", ""},
        {"CMCD=bl%3D21300", "bl=21300 "},
        {"CMCD=bl%3D21300%2Cbr%3D2%2Csu%2Ccid%3D%22a%2Cbl%3D5%22", "br=2 bl=21300 su "},
        {"CMCD=bl=21300,br=2", "br=2 bl=21300 "},
        {"a=1&CMCD=bl%3D3&b=2", "bl=3 "},
        {"CMCD=bl%3D3&CMCD=bl%3D4", "bl=3 "},
        {"%43MCD=bl%3D3", "bl=3 "},
        {"cmcd=bl%3D3", ""},
        {"XCMCD=bl%3D3", ""},
        {"CMCD", ""},
        {"CMCD=", ""},
        {"CMCD=%", ""},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct cmcd cmcd = {0};
        char text[128];
        cmcd_parse_query(slice_from_text(rows[row].query), &cmcd);
        assert_string_equal(describe(&cmcd, text), rows[row].meaning);
    }
}

/* One that fills the buffer is read, one that would not fit is not. */
static void long_queries(void **state)
{
    for (size_t more = 0; more < 2; more++) {
        char query[5 + CMCD_QUERY_MAX + 1] = "CMCD=bl=5,cid=";
        const size_t head = strlen(query), size = 5 + CMCD_QUERY_MAX + more;
        memset(query + head, 'x', size - head);
        struct cmcd cmcd = {0};
        cmcd_parse_query(slice_of(query, size), &cmcd);
        assert_int_equal(cmcd.has_bl, more == 0);
        assert_int_equal(cmcd.has_any, more == 0);
    }
}

static void sessions(void **state)
{
    static const char longest[] =
        "sid=\"0123456789012345678901234567890123456789012345678901234567890123\"";
    static const struct {
        const char *text, *sid;
    } rows[] = {
        {"sid=\"6e2fb550-c457-11e9-bb97-0800200c9a66\",bl=5",
         "6e2fb550-c457-11e9-bb97-0800200c9a66"},
        {"bl=5,sid=\"a,b\"", "a,b"},
        {"sid=\"a\\\"b\\\\\"", "a\"b\\"},
        {"sid=\"a\",sid=\"b\"", "b"},
        {"sid=\"a\",sid=b", "a"},
        /* what is none */
        {"sid", ""},
        {"sid=", ""},
        {"sid=a", ""},
        {"sid=\"", ""},
        {"sid=\"\"", ""},
        {"sid=\"a", ""},
        {"sid=\"a\\\"", ""},
        {"sid=\"a\\", ""},
        {"sid=\"a\"b", ""},
        {"sid=\"a\"b\"", ""},
        {"SID=\"a\"", ""},
        {longest, "0123456789012345678901234567890123456789012345678901234567890123"},
        {"sid=\"01234567890123456789012345678901234567890123456789012345678901234\"", ""},
    };
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        struct cmcd cmcd = {0};
        cmcd_parse(slice_from_text(rows[row].text), &cmcd);
        assert_true(slice_equal(slice_of(cmcd.sid, cmcd.sid_size), slice_from_text(rows[row].sid)));
    }
}

/* Several fields add up. */
static void fields(void **state)
{
    struct cmcd cmcd = {0};
    char text[128];
    assert_false(cmcd.has_any);
    cmcd_parse(slice_from_text("br=3200,ot=v"), &cmcd);
    cmcd_parse(slice_from_text("sid=\"x\""), &cmcd);
    cmcd_parse(slice_from_text("rtp=9000"), &cmcd);
    assert_true(cmcd.has_any);
    assert_string_equal(describe(&cmcd, text), "br=3200 rtp=9000 media");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),    cmocka_unit_test(queries), cmocka_unit_test(long_queries),
        cmocka_unit_test(sessions), cmocka_unit_test(fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
