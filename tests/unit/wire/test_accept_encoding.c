/* SPDX-License-Identifier: MIT */
/*
 * Accept-Encoding: what is accepted, what is liked best, and that neither order, case, blanks nor
 * lines count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "leat/compress.h"
#include "wire/accept_encoding.h"

static_assert((int)ACCEPT_IDENTITY == LEAT_CODEC_NONE && (int)ACCEPT_ZSTD == LEAT_CODEC_ZSTD &&
                  (int)ACCEPT_GZIP == LEAT_CODEC_GZIP && (int)ACCEPT_BR == LEAT_CODEC_BROTLI,
              "sets of codings are sets of codecs");

enum {
    I = 1 << ACCEPT_IDENTITY,
    Z = 1 << ACCEPT_ZSTD,
    G = 1 << ACCEPT_GZIP,
    B = 1 << ACCEPT_BR,
};

/* In memory of exactly its size, so that a sanitizer sees a read beyond it. */
static void add_exactly(struct accept_encoding *accept, const char *text, size_t size)
{
    char *exact = malloc(size > 0 ? size : 1);
    assert_non_null(exact);
    memcpy(exact, text, size);
    accept_encoding_add(accept, slice_of(exact, size));
    free(exact);
}

static struct accept_encoding read_text(const char *text)
{
    struct accept_encoding accept;
    accept_encoding_init(&accept);
    add_exactly(&accept, text, strlen(text));
    return accept;
}

static void assert_sets(const char *text, unsigned all, unsigned best)
{
    const struct accept_encoding accept = read_text(text);
    if (accept_encoding_all(&accept) != all || accept_encoding_best(&accept) != best)
        fail_msg("\"%s\": all %#x, best %#x", text, accept_encoding_all(&accept),
                 accept_encoding_best(&accept));
}

static void what_clients_say(void **state)
{
    assert_sets("gzip, deflate, br, zstd", I | G | B | Z, I | G | B | Z); /* browsers */
    assert_sets("gzip, deflate, br", I | G | B, I | G | B);
    assert_sets("gzip, deflate", I | G, I | G);
    assert_sets("gzip", I | G, I | G);
    assert_sets("deflate, gzip, br, zstd", I | G | B | Z, I | G | B | Z); /* curl */
    assert_sets("identity;q=1, *;q=0", I, I);                             /* media elements */
    assert_sets("gzip;q=1.0,deflate;q=0.6,identity;q=0.3", I | G, I | G); /* Ruby */
    assert_sets("br;q=1.0, gzip;q=0.8, *;q=0.1", I | B | G | Z, I | B);
    assert_sets("gzip, x-gzip, deflate", I | G, I | G);
    assert_sets("deflate, compress, exi, dcb, dcz", I, I);
    assert_sets("*", I | B | G | Z, I | B | G | Z);
    assert_sets("", I, I);
}

static void examples_of_the_standard(void **state)
{
    assert_sets("compress, gzip", I | G, I | G);
    assert_sets("compress;q=0.5, gzip;q=1.0", I | G, I | G);
    assert_sets("gzip;q=1.0, identity; q=0.5, *;q=0", I | G, I | G);
}

static void without_a_field_it_is_identity(void **state)
{
    struct accept_encoding accept;
    accept_encoding_init(&accept);
    assert_int_equal(accept_encoding_all(&accept), I);
    assert_int_equal(accept_encoding_best(&accept), I);
    accept_encoding_add(&accept, slice_of(NULL, 0));
    assert_int_equal(accept_encoding_best(&accept), I);
}

static void weights_decide(void **state)
{
    assert_sets("gzip;q=0.5, br;q=0.501", I | G | B, I | B);
    assert_sets("gzip;q=0.9, br;q=0.900, zstd;q=0.8", I | G | B | Z, I | G | B);
    assert_sets("gzip;q=0.001", I | G, I | G);
    assert_sets("zstd;q=0, *", I | G | B, I | G | B);
    assert_sets("*;q=0.5, gzip", I | G | B | Z, I | G);
    assert_sets("gzip;q=0", I, I);
    assert_sets("gzip;q=0, br;q=0.0, zstd;q=0.000, x-gzip;q=0.", I, I);
}

static void the_plain_text_may_be_liked_better_or_refused(void **state)
{
    assert_sets("identity, gzip;q=0.5", I | G, I);
    assert_sets("identity;q=0.5, gzip;q=0.5", I | G, I | G);
    assert_sets("identity;q=0.5, gzip;q=0.6, br;q=0.4", I | G | B, I | G);
    assert_sets("*;q=0.8, gzip;q=0.5, br;q=0.5, zstd;q=0.8", I | G | B | Z, I | Z);
    assert_sets("*;q=0.8, gzip;q=0.5, br;q=0.5, zstd;q=0.5", I | G | B | Z, I);
    assert_sets("identity;q=0, gzip", G, G);
    assert_sets("gzip, *;q=0", G, G);
    assert_sets("gzip;q=0.5, br, *;q=0", G | B, B);
    assert_sets("*;q=0, identity;q=0.1", I, I);
    assert_sets("identity;q=0", 0, 0);
    assert_sets("*;q=0", 0, 0);
    assert_sets("compress, *;q=0", 0, 0);
    assert_sets("identity;q=0, *", G | B | Z, G | B | Z);
}

/* Of what there is: the best of all may not be among it. */
static void offers_are_chosen_from(void **state)
{
    const struct accept_encoding ranked = read_text("br, zstd;q=0.8, gzip;q=0.5");
    assert_int_equal(accept_encoding_best_of(&ranked, I | G | B | Z), I | B);
    assert_int_equal(accept_encoding_best_of(&ranked, G | Z), I | Z);
    assert_int_equal(accept_encoding_best_of(&ranked, G), I | G);
    assert_int_equal(accept_encoding_best_of(&ranked, 0), I);
    const struct accept_encoding plain = read_text("br, identity;q=0.7, gzip;q=0.5");
    assert_int_equal(accept_encoding_best_of(&plain, G | B), I | B);
    assert_int_equal(accept_encoding_best_of(&plain, G), I);
    const struct accept_encoding only = read_text("br, *;q=0");
    assert_int_equal(accept_encoding_best_of(&only, G | Z), 0);
}

static void what_was_said_twice_has_the_lower_weight(void **state)
{
    assert_sets("gzip;q=0, gzip", I, I);
    assert_sets("gzip, gzip;q=0", I, I);
    assert_sets("gzip, x-gzip;q=0.5, br;q=0.7", I | G | B, I | B);
    assert_sets("*;q=0, *", 0, 0);
    assert_sets("identity, identity;q=0, gzip", G, G);
}

static void all_of_the_grammar_is_read(void **state)
{
    assert_sets("GZip;Q=0.5, BR", I | G | B, I | B);
    assert_sets(" \t, ,gzip \t; \tq=0.5\t ,, br ;q=1.\t,", I | G | B, I | B);
    assert_sets("zstd;q=1, br;q=1.0, gzip;q=1.000", I | G | B | Z, I | G | B | Z);
    char text[32];
    for (int weight = 0; weight <= 1000; weight++) {
        assert_in_range(snprintf(text, sizeof text, "br;q=%d.%03d", weight / 1000, weight % 1000),
                        1, sizeof text - 1);
        struct accept_encoding accept = read_text(text);
        assert_int_equal(accept.weights[ACCEPT_BR], weight);
        text[strlen(text) - 1] = '\0';
        accept = read_text(text);
        assert_int_equal(accept.weights[ACCEPT_BR], weight / 10 * 10);
    }
}

static void what_is_no_element_counts_nothing(void **state)
{
    static const char *const none[] = {
        "br;",         "br;q",         "br;q=",        "br;q=2",     "br;q=1.001", "br;q=0.0000",
        "br;q=1.0000", "br;q=.5",      "br;q=-1",      "br;q=+1",    "br;q=0,5.1", "br;q=0x1",
        "br;q=0.5a",   "br;q=0.5;x=y", "br;x=y;q=0.5", "br;level=1", "br;q =1",    "br;q= 1",
        "br;q=\"1\"",  "br q=1",       "br/1",         "br,;q=0.5",  "b r",        "b",
        "brr",         "\"br\"",       "br=1",         "br;q=0.5 x", "b\xd2",      "br\x01",
        "br;q=01",     "br;q=00.5",    "br;q=1..",     "br;;q=1",    "br:q=1",     "b-r",
        "**",          "*br",          "x-br",         "brotli",     "br;q=0.5.",  "br;qq=1",
    };
    for (size_t row = 0; row < sizeof none / sizeof *none; row++) {
        const struct accept_encoding accept = read_text(none[row]);
        /* With a comma in it: "br;q=0" may be what stands before. */
        const bool is_first_good = strncmp(none[row], "br,", 3) == 0;
        const bool is_first_zero = strcmp(none[row], "br;q=0,5.1") == 0;
        assert_int_equal(accept.weights[ACCEPT_BR], is_first_good   ? ACCEPT_WEIGHT_MAX
                                                    : is_first_zero ? 0
                                                                    : ACCEPT_UNSAID);
        assert_int_equal(accept.any, ACCEPT_UNSAID);
        /* Nor does it do harm to others. */
        char text[64];
        assert_in_range(snprintf(text, sizeof text, "gzip, %s, zstd", none[row]), 1, 63);
        const struct accept_encoding others = read_text(text);
        assert_int_equal(accept_encoding_all(&others) & (G | Z), G | Z);
    }
}

/* Each text in one line, and cut at each comma into two, in either order. */
static void lines_are_one_list(void **state)
{
    static const char *const texts[] = {
        "gzip, deflate, br, zstd",
        "br;q=1.0, gzip;q=0.8, *;q=0.1",
        "gzip;q=1.0, identity; q=0.5, *;q=0",
        "gzip;q=0, x-gzip, br, br;q=0.3,, *",
    };
    for (size_t row = 0; row < sizeof texts / sizeof *texts; row++) {
        const struct accept_encoding whole = read_text(texts[row]);
        for (const char *comma = strchr(texts[row], ','); comma; comma = strchr(comma + 1, ',')) {
            for (int turned = 0; turned < 2; turned++) {
                struct accept_encoding cut;
                accept_encoding_init(&cut);
                if (turned)
                    add_exactly(&cut, comma + 1, strlen(comma + 1));
                add_exactly(&cut, texts[row], (size_t)(comma - texts[row]));
                if (!turned)
                    add_exactly(&cut, comma + 1, strlen(comma + 1));
                assert_memory_equal(&cut, &whole, sizeof cut);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_clients_say),
        cmocka_unit_test(examples_of_the_standard),
        cmocka_unit_test(without_a_field_it_is_identity),
        cmocka_unit_test(weights_decide),
        cmocka_unit_test(the_plain_text_may_be_liked_better_or_refused),
        cmocka_unit_test(offers_are_chosen_from),
        cmocka_unit_test(what_was_said_twice_has_the_lower_weight),
        cmocka_unit_test(all_of_the_grammar_is_read),
        cmocka_unit_test(what_is_no_element_counts_nothing),
        cmocka_unit_test(lines_are_one_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
