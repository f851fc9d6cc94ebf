/* session_peers.c — see session_peers.h. All numbers travel as 64-bit words of this machine (little-endian, as every machine
   that the program is built for); they are public: shapes, settings and counts. */
#include "harness/session_peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/channel_tcp.h"
#include "harness/cli.h"
#include "harness/peers.h"
#include "harness/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words between processes are little-endian");

enum { TEXT_BYTES = 2048, N_LINES = 6 };
static const char *const line_names[N_LINES] = {
    "commit of the build", "shape of the model", "weights", "variant", "options", "dealer"};

static bool is_peer(const struct ss_ctx *c, int role)
{
    return role != c->role && (role != SS_DEALER || c->variant->dealer);
}

static enum ss_err weights_text(char *out, size_t size, const struct ss_session_config *g)
{
    if (g->model->source == SS_FROM_SEED) {
        snprintf(out, size, "synthetic, seed %llu", (unsigned long long)g->seed);
        return SS_OK;
    }
    uint8_t digest[32];
    struct ss_safetensors *st;
    SS_TRY(ss_safetensors_open_dir(&st, g->model->path));
    enum ss_err err = ss_safetensors_digest(digest, st);
    ss_safetensors_close(st);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, size - 2 * i, "%02x", digest[i]);
    return err;
}

/* What must be equal everywhere, a line each in the order of line_names. */
static enum ss_err describe(char out[TEXT_BYTES], const struct ss_session_config *g)
{
    const struct ss_shape *s = &g->model->shape;
    char weights[80], options[512];
    SS_TRY(weights_text(weights, sizeof weights, g));
    ss_options_print(g->variant, g->option, options, sizeof options);
    int n = snprintf(
        out, TEXT_BYTES,
        "%s\nd_model %zu, d_ff %zu, %zu layers, %zu heads, %zu kv, d_head %zu, vocab %zu, max_seq %zu, rope %.17g, eps "
        "%.17g, tied %d\n%s\n%s\n%s\n%s\n",
        ss_version_commit, s->d_model, s->d_ff, s->n_layers, s->n_heads, s->n_kv, s->d_head, s->vocab, s->max_seq,
        s->rope_theta, s->eps, s->tied, weights, g->variant->name, options, g->variant->dealer ? "yes" : "no");
    SS_REQUIRE(n > 0 && n < TEXT_BYTES);
    return SS_OK;
}

static enum ss_err compare(const struct ss_ctx *c, int role, const char *mine, const char *theirs)
{
    for (int i = 0; i < N_LINES; i++) {
        const int a = (int)strcspn(mine, "\n"), b = (int)strcspn(theirs, "\n");
        if (a != b || memcmp(mine, theirs, (size_t)a) != 0)
            SS_FAIL(SS_USAGE, "%s and %s differ in the %s: '%.*s' and '%.*s'; start both with the same", ss_role_name(c->role),
                    ss_role_name(role), line_names[i], a, mine, b, theirs);
        mine += a + (mine[a] != '\0');
        theirs += b + (theirs[b] != '\0');
    }
    return SS_OK;
}

static enum ss_err take_over(struct ss_session_config *g, const uint64_t said[2])
{
    if (said[0] == 0 || said[0] > g->model->shape.max_seq || said[1] > 1)
        SS_FAIL(SS_ENV, "party 0 asks for passes of %llu tokens; %s takes 1 to %zu", (unsigned long long)said[0],
                g->model->name, g->model->shape.max_seq);
    g->max_tokens = said[0];
    g->all_logits = said[1];
    return SS_OK;
}

enum ss_err ss_session_agree(struct ss_ctx *c, struct ss_session_config *g)
{
    char mine[TEXT_BYTES], theirs[TEXT_BYTES];
    size_t n;
    SS_TRY(describe(mine, g));
    for (int role = 0; role < SS_N_ROLES; role++)
        if (is_peer(c, role))
            SS_TRY(ss_tell(c, role, "~run", mine, strlen(mine)));
    for (int role = 0; role < SS_N_ROLES; role++)
        if (is_peer(c, role)) {
            SS_TRY(ss_hear(c, role, "~run", theirs, sizeof theirs - 1, &n));
            theirs[n] = '\0';
            for (size_t i = 0; i < n; i++)
                if (theirs[i] != '\n' && (theirs[i] < ' ' || theirs[i] > '~'))
                    theirs[i] = '?';
            SS_TRY(compare(c, role, mine, theirs));
        }
    uint64_t size[2] = {g->max_tokens, g->all_logits};
    if (c->role != SS_P0) {
        SS_TRY(ss_hear(c, SS_P0, "~siz", size, sizeof size, &n));
        if (n != sizeof size)
            SS_FAIL(SS_ENV, "party 0 sent a size of %zu bytes, not %zu", n, sizeof size);
        return take_over(g, size);
    }
    for (int role = 0; role < SS_N_ROLES; role++)
        if (is_peer(c, role))
            SS_TRY(ss_tell(c, role, "~siz", size, sizeof size));
    return SS_OK;
}

enum ss_err ss_session_announce(struct ss_ctx *c, size_t tokens, size_t past)
{
    const uint64_t said[2] = {tokens, past};
    for (int role = 0; role < SS_N_ROLES; role++)
        if (is_peer(c, role))
            SS_TRY(ss_tell(c, role, "~pas", said, sizeof said));
    return SS_OK;
}

enum ss_err ss_session_await(struct ss_ctx *c, size_t *tokens, size_t *past)
{
    uint64_t said[2] = {0};
    size_t bytes;
    SS_TRY(ss_hear(c, SS_P0, "~pas", said, sizeof said, &bytes));
    if (bytes != sizeof said || said[0] > c->max_tokens || said[1] > c->max_tokens - said[0])
        SS_FAIL(SS_ENV, "party 0 announced a pass of %llu tokens after %llu; it had said %zu positions at most",
                (unsigned long long)said[0], (unsigned long long)said[1], c->max_tokens);
    *tokens = said[0];
    *past = said[1];
    return SS_OK;
}

/* Counters, then bytes and rounds by layer and operation: one block. */
static size_t block_bytes(const struct ss_wire *w)
{
    return sizeof(struct ss_counters) + w->layers * SS_N_OPS * (SS_N_DIRS + 1) * sizeof(int64_t);
}

static void pack(uint8_t *block, const struct ss_ctx *c)
{
    const size_t bytes = c->wire.layers * SS_N_OPS * SS_N_DIRS * sizeof(int64_t);
    memcpy(block, &c->counters, sizeof c->counters);
    memcpy(block + sizeof c->counters, c->wire.bytes, bytes);
    memcpy(block + sizeof c->counters + bytes, c->wire.rounds, bytes / SS_N_DIRS);
}

static void unpack(struct ss_ctx *c, const uint8_t *block)
{
    const size_t bytes = c->wire.layers * SS_N_OPS * SS_N_DIRS * sizeof(int64_t);
    memcpy(&c->counters, block, sizeof c->counters);
    memcpy(c->wire.bytes, block + sizeof c->counters, bytes);
    memcpy(c->wire.rounds, block + sizeof c->counters + bytes, bytes / SS_N_DIRS);
}

enum ss_err ss_session_share_counts(struct ss_ctx *c, struct ss_ctx all[SS_N_ROLES])
{
    enum ss_err err = SS_OK;
    const size_t bytes = block_bytes(&c->wire);
    size_t got;
    uint8_t *block = malloc(bytes);
    if (!block)
        SS_FAIL(SS_ENV, "out of memory for %zu bytes of counters", bytes);
    pack(block, c);
    for (int role = 0; role < SS_N_ROLES; role++)
        if (is_peer(c, role))
            SS_TRY_OUT(ss_tell(c, role, "~cnt", block, bytes));
    for (int role = 0; role < SS_N_ROLES; role++)
        if (is_peer(c, role)) {
            SS_TRY_OUT(ss_hear(c, role, "~cnt", block, bytes, &got));
            if (got != bytes)
                SS_FAIL_OUT(SS_ENV, "%s sent %zu bytes of counters, not %zu", ss_role_name(role), got, bytes);
            if (all[role].wire.layers == 0 && ss_wire_alloc(&all[role].wire, c->wire.layers) != 0)
                SS_FAIL_OUT(SS_ENV, "out of memory for the byte table of %zu layers", c->wire.layers);
            unpack(&all[role], block);
        }
    for (int phase = 0; phase < SS_N_PHASES; phase++) {
        const long long a = *ss_counters_rounds(&all[SS_P0].counters, (enum ss_phase)phase);
        const long long b = *ss_counters_rounds(&all[SS_P1].counters, (enum ss_phase)phase);
        if (a != b)
            SS_FAIL_OUT(SS_COUNTS, "party 0 counted %lld rounds where party 1 counted %lld (phase %s)", a, b,
                        ss_phase_names[phase].name);
    }
out:
    free(block);
    return err;
}
