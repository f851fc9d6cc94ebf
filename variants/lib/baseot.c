/* baseot.c — see baseot.h. */
#include "variants/lib/baseot.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { POINT = SS_OT_POINT, SCALAR = 32, WIDE = 64 };

struct message {
    uint8_t point[SS_BASE_OTS][2][POINT];
    uint8_t sender[POINT]; /* s G */
    uint8_t nonce[SS_OT_BYTES];
};
_Static_assert(sizeof(struct message) == SS_BASEOT_SENT_BYTES, "the message has no padding");

struct secrets {
    uint8_t s[SCALAR];              /* as sender */
    uint8_t a[SS_BASE_OTS][SCALAR]; /* as receiver */
};

/* out = BLAKE2b(domain | sender | instance | slot | point). `sender` is the role that sends in this OT: the two directions of a
   session are separate instances. */
static void hash(uint8_t *out, size_t bytes, const char domain[8], int sender, size_t instance, int slot, const uint8_t *point)
{
    const uint8_t place[4] = {(uint8_t)sender, (uint8_t)instance, (uint8_t)(instance >> 8), (uint8_t)slot};
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, bytes);
    crypto_generichash_update(&h, (const uint8_t *)domain, 8);
    crypto_generichash_update(&h, place, sizeof place);
    crypto_generichash_update(&h, point, POINT);
    crypto_generichash_final(&h, out, bytes);
    sodium_memzero(&h, sizeof h);
}

/* The group element that is added to the point of `slot`; `other` is the point of the other slot. */
static void hash_to_group(uint8_t out[POINT], int sender, size_t instance, int slot, const uint8_t *other)
{
    uint8_t wide[WIDE];
    hash(wide, sizeof wide, "ss-ot-pt", sender, instance, slot, other);
    crypto_core_ristretto255_from_hash(out, wide);
}

/* a = choose ? b : a, in constant time */
static void select_bytes(uint8_t *a, const uint8_t *b, size_t n, unsigned choose)
{
    const uint8_t mask = (uint8_t)-choose;
    for (size_t i = 0; i < n; i++)
        a[i] ^= (uint8_t)(mask & (a[i] ^ b[i]));
}

static enum ss_err ask(struct message *m, struct secrets *k, const uint8_t *choice, int sender)
{
    for (size_t i = 0; i < SS_BASE_OTS; i++) {
        const unsigned b = choice[i / 8] >> i % 8 & 1;
        uint8_t other[POINT], shift[2][POINT], mine[POINT];
        crypto_core_ristretto255_random(other);
        crypto_core_ristretto255_scalar_random(k->a[i]);
        for (int slot = 0; slot < 2; slot++)
            hash_to_group(shift[slot], sender, i, slot, other);
        select_bytes(shift[0], shift[1], POINT, b);
        if (crypto_scalarmult_ristretto255_base(mine, k->a[i]) != 0 || crypto_core_ristretto255_sub(mine, mine, shift[0]) != 0)
            SS_FAIL(SS_ENV, "base OT %zu met the identity; repeat the run", i);
        memcpy(m->point[i][0], mine, POINT);
        memcpy(m->point[i][1], other, POINT);
        select_bytes(m->point[i][0], other, POINT, b);
        select_bytes(m->point[i][1], mine, POINT, b);
        sodium_memzero(mine, sizeof mine);
    }
    return SS_OK;
}

static enum ss_err answer(struct ss_baseot *b, const struct message *theirs, const struct secrets *k, int role)
{
    for (size_t i = 0; i < SS_BASE_OTS; i++) {
        uint8_t shared[POINT], shift[POINT];
        for (int j = 0; j < 2; j++) {
            hash_to_group(shift, role, i, j, theirs->point[i][1 - j]);
            if (crypto_core_ristretto255_add(shared, theirs->point[i][j], shift) != 0 ||
                crypto_scalarmult_ristretto255(shared, k->s, shared) != 0)
                SS_FAIL(SS_ENV, "role %d got an invalid group element in base OT %zu", role, i);
            hash(b->sent[i][j], SS_OT_BYTES, "ss-ot-ky", role, i, 0, shared);
        }
        if (crypto_scalarmult_ristretto255(shared, k->a[i], theirs->sender) != 0)
            SS_FAIL(SS_ENV, "role %d got an invalid group element as sender's key", role);
        hash(b->received[i], SS_OT_BYTES, "ss-ot-ky", 1 - role, i, 0, shared);
        sodium_memzero(shared, sizeof shared);
    }
    return SS_OK;
}

enum ss_err ss_baseot_run(struct ss_ctx *c, struct ss_hostwire *wire, struct ss_baseot *b)
{
    enum ss_err err = SS_OK;
    struct message *m = malloc(2 * sizeof *m), *theirs = m + 1;
    struct secrets *k = malloc(sizeof *k);
    if (!m || !k)
        SS_FAIL_OUT(SS_ENV, "out of memory for base OTs");
    if (sodium_init() < 0)
        SS_FAIL_OUT(SS_ENV, "libsodium found no source of randomness; is /dev/urandom readable?");
    randombytes_buf(b->choice, sizeof b->choice);
    randombytes_buf(m->nonce, sizeof m->nonce);
    crypto_core_ristretto255_scalar_random(k->s);
    if (crypto_scalarmult_ristretto255_base(m->sender, k->s) != 0)
        SS_FAIL_OUT(SS_ENV, "base OT drew the zero scalar; repeat the run");
    SS_TRY_OUT(ask(m, k, b->choice, 1 - c->role));
    SS_TRY_OUT(ss_hostwire_swap(c, wire, "bsot", m, sizeof *m, theirs, sizeof *theirs));
    SS_TRY_OUT(answer(b, theirs, k, c->role));
    const struct message *p0 = c->role == SS_P0 ? m : theirs, *p1 = c->role == SS_P0 ? theirs : m;
    uint8_t nonces[2 * SS_OT_BYTES];
    memcpy(nonces, p0->nonce, SS_OT_BYTES);
    memcpy(nonces + SS_OT_BYTES, p1->nonce, SS_OT_BYTES);
    crypto_generichash(b->public_key, SS_OT_BYTES, nonces, sizeof nonces, (const uint8_t *)"ss-ot hash key 1", 16);
out:
    if (k)
        sodium_memzero(k, sizeof *k);
    free(k);
    free(m);
    return err;
}
