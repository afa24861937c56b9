/* SPDX-License-Identifier: MIT */
/*
 * See accept_encoding.h. One pass, nothing allocated. Elements are read strictly: whoever writes
 * "gzip;q=yes" may mean anything, and the answer that everybody can read is the plain one.
 */
#include "wire/accept_encoding.h"

#include "base/assert.h"
#include "wire/chars.h"

static const struct {
    struct leat_slice name;
    enum accept_coding coding;
} codings[] = {
    {SLICE("gzip"), ACCEPT_GZIP},   {SLICE("br"), ACCEPT_BR},
    {SLICE("zstd"), ACCEPT_ZSTD},   {SLICE("identity"), ACCEPT_IDENTITY},
    {SLICE("x-gzip"), ACCEPT_GZIP}, /* section 8.4.1.3 */
};

enum { CODING_NAMES = sizeof codings / sizeof *codings };

/* Where the weight of this name is kept; NULL: it is none that we know. */
static int16_t *weight_of_name(struct accept_encoding *accept, struct leat_slice name)
{
    for (unsigned index = 0; index < CODING_NAMES; index++)
        if (chars_equal_lower(name, codings[index].name))
            return &accept->weights[codings[index].coding];
    return slice_equal(name, SLICE("*")) ? &accept->any : NULL;
}

/* qvalue (section 12.4.2): from 0 to 1, with up to three digits behind the point. In thousandths,
 * or ACCEPT_UNSAID when it is none. */
static int read_qvalue(struct leat_slice text)
{
    if (text.size == 0 || text.size > sizeof "0.000" - 1 ||
        (text.data[0] != '0' && text.data[0] != '1'))
        return ACCEPT_UNSAID;
    if (text.size > 1 && text.data[1] != '.')
        return ACCEPT_UNSAID;
    int value = (text.data[0] - '0') * ACCEPT_WEIGHT_MAX;
    int place = ACCEPT_WEIGHT_MAX / 10;
    for (size_t index = 2; index < text.size; index++, place /= 10) {
        if (!chars_is(text.data[index], CHARS_DIGIT))
            return ACCEPT_UNSAID;
        value += (text.data[index] - '0') * place;
    }
    return value <= ACCEPT_WEIGHT_MAX ? value : ACCEPT_UNSAID;
}

/* What follows the coding: nothing, or ";q=" and its value; with blanks about the semicolon. */
static int read_weight(struct leat_slice text)
{
    if (text.size == 0)
        return ACCEPT_WEIGHT_MAX;
    if (text.data[0] != ';')
        return ACCEPT_UNSAID;
    text = chars_trim(slice_after(text, 1));
    if (text.size < 2 || chars_lower(text.data[0]) != 'q' || text.data[1] != '=')
        return ACCEPT_UNSAID;
    return read_qvalue(slice_after(text, 2));
}

/* A coding's name and all that follows it, both without blanks around. */
static void add_element(struct accept_encoding *accept, struct leat_slice name,
                        struct leat_slice rest)
{
    int16_t *weight = weight_of_name(accept, name);
    if (!weight)
        return;
    const int said = read_weight(rest);
    ASSERT(said >= ACCEPT_UNSAID && said <= ACCEPT_WEIGHT_MAX);
    if (said != ACCEPT_UNSAID && (*weight == ACCEPT_UNSAID || said < *weight))
        *weight = (int16_t)said;
}

void accept_encoding_init(struct accept_encoding *accept)
{
    for (unsigned coding = 0; coding < ACCEPT_CODINGS; coding++)
        accept->weights[coding] = ACCEPT_UNSAID;
    accept->any = ACCEPT_UNSAID;
}

static bool is_gap(char c)
{
    return c == ',' || chars_is_space(c);
}

void accept_encoding_add(struct accept_encoding *accept, struct leat_slice value)
{
    if (value.size == 0)
        return;
    const char *at = value.data;
    const char *const end = at + value.size;
    for (;;) {
        while (at < end && is_gap(*at))
            at++;
        if (at == end)
            return;
        const char *name_end = chars_skip(at, end, CHARS_TOKEN), *comma = name_end;
        while (comma < end && *comma != ',') /* mostly none: whole elements are names */
            comma++;
        add_element(accept, slice_of(at, (size_t)(name_end - at)),
                    chars_trim(slice_of(name_end, (size_t)(comma - name_end))));
        at = comma;
    }
}

static int weight_of(const struct accept_encoding *accept, enum accept_coding coding)
{
    const int weight = accept->weights[coding];
    return weight != ACCEPT_UNSAID ? weight : accept->any;
}

unsigned accept_encoding_all(const struct accept_encoding *accept)
{
    /* Identity needs no word of the client, but can be refused by one. */
    unsigned set = weight_of(accept, ACCEPT_IDENTITY) != 0 ? 1u << ACCEPT_IDENTITY : 0;
    for (unsigned coding = ACCEPT_IDENTITY + 1; coding < ACCEPT_CODINGS; coding++)
        if (weight_of(accept, coding) > 0)
            set |= 1u << coding;
    ASSERT(set < 1u << ACCEPT_CODINGS);
    return set;
}

unsigned accept_encoding_best_of(const struct accept_encoding *accept, unsigned offered)
{
    const int identity = weight_of(accept, ACCEPT_IDENTITY);
    unsigned set = 0;
    int best = identity > 1 ? identity : 1; /* what is liked less than the plain text is not used */
    for (unsigned coding = ACCEPT_IDENTITY + 1; coding < ACCEPT_CODINGS; coding++) {
        const int weight = weight_of(accept, coding);
        if (weight < best || (offered & 1u << coding) == 0)
            continue;
        if (weight > best)
            set = 0;
        best = weight;
        set |= 1u << coding;
    }
    if (identity != 0)
        set |= 1u << ACCEPT_IDENTITY;
    ASSERT((set & ~offered & ~(1u << ACCEPT_IDENTITY)) == 0);
    return set;
}

unsigned accept_encoding_best(const struct accept_encoding *accept)
{
    return accept_encoding_best_of(accept, (1u << ACCEPT_CODINGS) - 1);
}
