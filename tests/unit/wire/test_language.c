/* SPDX-License-Identifier: MIT */
/*
 * Languages: codes of all kinds become the one tag; what is no code becomes none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/language.h"

static void assert_tag(const char *code, const char *wanted)
{
    char tag[LANGUAGE_TAG_SIZE] = "untouched";
    assert_int_equal(language_tag(slice_from_text(code), tag), wanted != NULL);
    assert_string_equal(tag, wanted ? wanted : "untouched");
}

static void makes_tags_as_short_as_they_can_be(void **state)
{
    assert_tag("eng", "en");
    assert_tag("deu", "de");
    assert_tag("ger", "de"); /* bibliographic */
    assert_tag("aar", "aa"); /* the first and the last of the table */
    assert_tag("zul", "zu");
    assert_tag("en", "en");
    assert_tag("GER", "de");
    assert_tag("fil", "fil"); /* has no shorter one */
    assert_tag("yue", "yue"); /* not in the table */
    assert_tag("qaa", "qaa");
}

static void keeps_what_follows_the_language(void **state)
{
    assert_tag("por-BR", "pt-BR");
    assert_tag("pt_BR", "pt-BR");
    assert_tag("zho-Hant-TW", "zh-Hant-TW");
    assert_tag("es-419", "es-419");
    assert_tag("en-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaaaa", "en-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaaaa");
    assert_tag("en-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaaaaa", NULL); /* with its zero one too long */
}

static void refuses_what_is_no_tag(void **state)
{
    static const char *const none[] = {
        "",       "e",   "und", "UND",          "und-US", "engl",      "e1",          "en-",
        "en--US", "-en", "```", "en-aaaaaaaaa", "en/US",  "\xc3\xa9n", "en-\xc3\xa9", "en US"};
    for (size_t row = 0; row < sizeof none / sizeof *none; row++)
        assert_tag(none[row], NULL);
}

static void names_languages(void **state)
{
    assert_string_equal(language_name(SLICE("en")), "English");
    assert_string_equal(language_name(SLICE("eng")), "English");
    assert_string_equal(language_name(SLICE("fre")), "French");
    assert_string_equal(language_name(SLICE("pt-BR")), "Portuguese");
    assert_string_equal(language_name(SLICE("fil")), "Filipino");
    assert_null(language_name(SLICE("yue")));
    assert_null(language_name(SLICE("")));
    assert_null(language_name(SLICE("-BR")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_tags_as_short_as_they_can_be),
        cmocka_unit_test(keeps_what_follows_the_language),
        cmocka_unit_test(refuses_what_is_no_tag),
        cmocka_unit_test(names_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
