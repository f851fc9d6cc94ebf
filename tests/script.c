/* script.c — see script.h. Streams are told apart by their keys: the dealer's own gives the two seeds, which name theirs. */
#include "tests/script.h"

#include <criterion/criterion.h>
#include <string.h>

enum { KEY_BYTES = 16, DEALER_KEY = 'D', PARTY_KEY = 'A' /* 'A' of P0, 'B' of P1 */ };

static const struct script *script;
static script_rule rule;

static void own_words(uint64_t *out, size_t n, uint64_t first)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t block = (first + i / 2) % 3; /* P0's seed, P1's seed, a key of the source */
        memset(&out[i], PARTY_KEY + (int)block, sizeof *out);
    }
}

static enum ss_err scripted_fill(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                                 uint64_t first_block)
{
    (void)dev;
    (void)nonce;
    if (key->round_keys[0] == DEALER_KEY) {
        own_words(out, n, first_block);
        return SS_OK;
    }
    const int party = key->round_keys[0] - PARTY_KEY;
    cr_assert(party == 0 || party == 1, "randomness outside the script");
    if (rule) {
        for (size_t i = 0; i < n; i++)
            out[i] = rule(party, 2 * first_block + i);
        return SS_OK;
    }
    cr_assert_leq(2 * first_block + n, script->n[party], "the script of P%d is too short", party);
    memcpy(out, script->word[party] + 2 * first_block, n * sizeof *out);
    return SS_OK;
}

static void install(struct roles *r)
{
    static struct ss_backend scripted;
    uint8_t key[KEY_BYTES];
    scripted = *ss_backend_find("cpu");
    scripted.prg_fill = scripted_fill;
    memset(key, DEALER_KEY, sizeof key);
    for (int role = 0; role < SS_N_ROLES; role++)
        r->ctx[role].backend = &scripted;
    ss_prg_from_key(&r->ctx[SS_DEALER].prg, key, 0);
}

void script_set(struct roles *r, const struct script *s)
{
    script = s;
    rule = NULL;
    install(r);
}

void script_set_rule(struct roles *r, script_rule f)
{
    script = NULL;
    rule = f;
    install(r);
}
