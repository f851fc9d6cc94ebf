/* judged.c — see judged.h. */
#include "tests/judged.h"

#include <criterion/criterion.h>
#include <string.h>

struct ss_claims claims;

void open_claims(void)
{
    cr_assert_eq(ss_claims_read_standard(&claims), SS_OK);
}

void close_claims(void)
{
    ss_claims_free(&claims);
}

struct ss_judged judge(const char *id, const struct ss_result *cells, size_t n)
{
    struct ss_judged j = {0};
    for (size_t i = 0; i < claims.claims.rows; i++)
        if (strcmp(ss_csv_get(&claims.claims, i, SS_CF_ID), id) == 0) {
            cr_assert_eq(ss_claim_judge(&j, &claims, i, cells, n), SS_OK);
            return j;
        }
    cr_assert_fail("no claim %s", id);
    return j;
}

struct ss_value value(const struct ss_result *r, const char *column)
{
    struct ss_column c;
    struct ss_value v;
    cr_assert_eq(ss_column_find(&c, column), SS_OK);
    ss_column_value(&v, &c, r);
    return v;
}
