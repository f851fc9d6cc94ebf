/* test_baseot.c — the group behind base OTs against RFC 9496, and endemic OT in both directions. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "tests/uniform.h"
#include "variants/lib/baseot.h"

static void from_hex(uint8_t *out, size_t n, const char *hex)
{
    size_t got;
    cr_assert_eq(sodium_hex2bin(out, n, hex, strlen(hex), NULL, &got, NULL), 0);
    cr_assert_eq(got, n);
}

/* RFC 9496 A.1: small multiples of the generator, 1 to 4. */
Test(baseot, multiples_of_the_generator_are_those_of_rfc_9496)
{
    static const char *const want[] = {"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
                                       "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
                                       "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
                                       "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57"};
    cr_assert_geq(sodium_init(), 0);
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t scalar[32] = {(uint8_t)(i + 1)}, point[32], expected[32];
        from_hex(expected, sizeof expected, want[i]);
        cr_assert_eq(crypto_scalarmult_ristretto255_base(point, scalar), 0);
        cr_assert_arr_eq(point, expected, 32);
    }
}

/* RFC 9496 A.2: encodings that must be refused. */
Test(baseot, bad_encodings_of_rfc_9496_are_refused)
{
    static const char *const bad[] = {"00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                                      "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                      "0100000000000000000000000000000000000000000000000000000000000000",
                                      "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
                                      "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t point[32];
        from_hex(point, sizeof point, bad[i]);
        cr_assert_eq(crypto_core_ristretto255_is_valid_point(point), 0, "%s", bad[i]);
    }
}

/* RFC 9496 A.3: SHA-512 of a label, mapped to an element. */
Test(baseot, hash_to_group_is_that_of_rfc_9496)
{
    static const char label[] = "Ristretto is traditionally a short shot of espresso coffee";
    uint8_t hash[64], point[32], expected[32];
    crypto_hash_sha512(hash, (const uint8_t *)label, sizeof label - 1);
    from_hex(expected, sizeof expected, "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46");
    crypto_core_ristretto255_from_hash(point, hash);
    cr_assert_arr_eq(point, expected, 32);
}

struct run {
    struct ss_baseot base[2];
};

static enum ss_err both(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    struct ss_hostwire wire = {0};
    if (c->role == SS_DEALER)
        return SS_OK;
    enum ss_err err = ss_baseot_run(c, &wire, &run->base[c->role]);
    ss_hostwire_close(c, &wire);
    return err;
}

Test(baseot, receiver_gets_the_chosen_message_and_not_the_other)
{
    struct roles r;
    struct run *run = calloc(2, sizeof *run);
    roles_open(&r, NULL, NULL);
    size_t ones = 0;
    for (int k = 0; k < 2; k++) {
        roles_run(&r, both, &run[k]);
        for (int receiver = 0; receiver < 2; receiver++) {
            const struct ss_baseot *in = &run[k].base[receiver], *out = &run[k].base[1 - receiver];
            for (size_t i = 0; i < SS_BASE_OTS; i++) {
                unsigned b = in->choice[i / 8] >> i % 8 & 1;
                ones += b;
                cr_assert_arr_eq(in->received[i], out->sent[i][b], SS_OT_BYTES);
                cr_assert_neq(memcmp(in->received[i], out->sent[i][1 - b], SS_OT_BYTES), 0);
                for (size_t j = 0; j < i; j++)
                    cr_assert_neq(memcmp(out->sent[i][0], out->sent[j][0], SS_OT_BYTES), 0);
            }
        }
        cr_assert_arr_eq(run[k].base[0].public_key, run[k].base[1].public_key, SS_OT_BYTES);
    }
    cr_assert(ones > 512 / 2 - 120 && ones < 512 / 2 + 120, "%zu of 512 choices are 1", ones); /* 10 sigma */
    cr_assert_neq(memcmp(run[0].base[0].public_key, run[1].base[0].public_key, SS_OT_BYTES), 0);
    cr_assert_neq(memcmp(run[0].base[0].sent, run[1].base[0].sent, sizeof run->base->sent), 0);
    cr_assert_eq(r.ctx[0].counters.bytes_offline_p0_p1, 2 * SS_BASEOT_SENT_BYTES);
    cr_assert_eq(r.ctx[1].counters.bytes_offline_p1_p0, 2 * SS_BASEOT_SENT_BYTES);
    cr_assert_eq(r.ctx[0].counters.rounds_offline, 2);
    free(run);
    roles_close(&r);
}

/* P0's points are garbage: P1 refuses them and both stop. */
static enum ss_err bad_points(struct ss_ctx *c, void *arg)
{
    if (c->role != SS_P0)
        return both(c, arg);
    uint8_t *m = malloc(2 * SS_BASEOT_SENT_BYTES);
    memset(m, 0xff, SS_BASEOT_SENT_BYTES);
    struct ss_hostwire wire = {0};
    enum ss_err err =
        ss_hostwire_swap(c, &wire, "bsot", m, SS_BASEOT_SENT_BYTES, m + SS_BASEOT_SENT_BYTES, SS_BASEOT_SENT_BYTES);
    free(m);
    return err;
}

Test(baseot, points_outside_the_group_are_an_error)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    roles_open(&r, NULL, NULL);
    ss_set_error_silent(1);
    cr_assert_eq(roles_run_expecting(&r, bad_points, run), SS_ENV);
    cr_assert(strstr(ss_last_error(), "invalid group element"));
    free(run);
    roles_close(&r);
}

struct seen {
    struct histogram slot[2]; /* of a low byte of the points that P0 sends for one fixed choice pattern */
};
static void look(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    (void)to;
    struct seen *s = arg;
    const uint8_t *m = h_data;
    if (from != SS_P0 || strcmp(what, "bsot") != 0 || bytes != SS_BASEOT_SENT_BYTES)
        return;
    for (int slot = 0; slot < 2; slot++)
        histogram_add(&s->slot[slot], m + slot * SS_OT_POINT, (size_t)2 * SS_OT_POINT, SS_BASE_OTS, 9);
}

/* What the sender sees in either slot is uniform: chi-square over one byte of the points. */
Test(baseot, both_points_look_the_same_to_the_sender)
{
    struct roles r;
    static struct seen seen;
    struct run *run = calloc(1, sizeof *run);
    roles_open(&r, look, &seen);
    enum { RUNS = 12 };
    for (int k = 0; k < RUNS; k++)
        roles_run(&r, both, run);
    for (int slot = 0; slot < 2; slot++) {
        cr_assert_eq(seen.slot[slot].n, (size_t)RUNS * SS_BASE_OTS);
        cr_assert_lt(uniform_z(&seen.slot[slot]), UNIFORM_MOST, "slot %d", slot);
    }
    free(run);
    roles_close(&r);
}
