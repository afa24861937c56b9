/* SPDX-License-Identifier: MIT */
/*
 * What players say of themselves: whatever the bytes are, what is understood is within its bounds,
 * saying it twice changes nothing, and it is the same in a query as in a field.
 */
#include "fuzz.h"
#include "wire/cmcd.h"

static void check_bounds(const struct cmcd *cmcd)
{
    ASSERT(cmcd->br_kbit_per_s <= CMCD_NUMBER_MAX && cmcd->bl_ms <= CMCD_NUMBER_MAX);
    ASSERT(cmcd->rtp_kbit_per_s <= CMCD_NUMBER_MAX && cmcd->d_ms <= CMCD_NUMBER_MAX);
    ASSERT(cmcd->has_br || cmcd->br_kbit_per_s == 0);
    ASSERT(cmcd->has_bl || cmcd->bl_ms == 0);
    ASSERT(cmcd->has_rtp || cmcd->rtp_kbit_per_s == 0);
    ASSERT(cmcd->has_d || cmcd->d_ms == 0);
    ASSERT(cmcd->sid_size <= CMCD_SID_MAX && (cmcd->has_any || cmcd->sid_size == 0));
    ASSERT(cmcd->has_any || !(cmcd->has_br || cmcd->has_bl || cmcd->is_startup));
}

static bool is_equal(const struct cmcd *a, const struct cmcd *b)
{
    return a->has_any == b->has_any && a->has_br == b->has_br && a->has_bl == b->has_bl &&
           a->has_rtp == b->has_rtp && a->has_d == b->has_d &&
           a->br_kbit_per_s == b->br_kbit_per_s && a->bl_ms == b->bl_ms &&
           a->rtp_kbit_per_s == b->rtp_kbit_per_s && a->d_ms == b->d_ms &&
           a->is_startup == b->is_startup && a->is_starved == b->is_starved &&
           a->object == b->object && a->sid_size == b->sid_size &&
           memcmp(a->sid, b->sid, a->sid_size) == 0;
}

/* Percent-encoded, in a query of its own. */
static struct cmcd parse_as_query(struct leat_slice text)
{
    struct cmcd cmcd = {0};
    char *query = malloc(5 + 3 * text.size);
    ASSERT(query != NULL);
    memcpy(query, "CMCD=", 5);
    for (size_t i = 0; i < text.size; i++) {
        query[5 + 3 * i] = '%';
        query[5 + 3 * i + 1] = "0123456789abcdef"[(unsigned char)text.data[i] >> 4];
        query[5 + 3 * i + 2] = "0123456789abcdef"[(unsigned char)text.data[i] & 15];
    }
    cmcd_parse_query(slice_of(query, 5 + 3 * text.size), &cmcd);
    free(query);
    return cmcd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *copy = fuzz_copy(data, size);
    const struct leat_slice text = slice_of(copy, size);
    struct cmcd cmcd = {0};
    cmcd_parse(text, &cmcd);
    check_bounds(&cmcd);
    struct cmcd again = cmcd;
    cmcd_parse(text, &again);
    ASSERT(is_equal(&cmcd, &again));
    struct cmcd query = {0};
    cmcd_parse_query(text, &query);
    check_bounds(&query);
    if (3 * size <= CMCD_QUERY_MAX) {
        query = parse_as_query(text);
        ASSERT(is_equal(&cmcd, &query));
    }
    free(copy);
    return 0;
}
