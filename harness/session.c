/* session.c — contexts, and the passes they run. Each role works on its own context in its own thread (workers.h); what they
   share is the channel and the one public copy of the weights. */
#include "harness/session.h"

#include <omp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "harness/channel_tcp.h"
#include "harness/clock.h"
#include "harness/forward.h"
#include "harness/session_peers.h"
#include "harness/workers.h"

struct ss_session {
    struct ss_session_config config;
    struct ss_ctx ctx[SS_N_ROLES];
    struct ss_activations activations[2];
    struct ss_channel *channel;
    struct ss_weights *weights[2]; /* by device: [1] only when the parties are on two devices */
    float *h_x;                    /* P0: embedded tokens */
    const int32_t *ids;
    float *h_logits, *own_logits; /* where this pass writes; room for a caller that wants none */
    struct ss_counters counters;
    struct ss_function_fit fit[SS_N_FUNCTIONS];

    size_t cached; /* positions that the last pass left in the key/value cache */
    struct ss_workers *workers;
};

static int n_roles(const struct ss_session *s)
{
    return s->config.variant->parties + (s->config.variant->dealer ? 1 : 0);
}

/* The roles of this process: P0, P1 and the dealer, which exists only with two parties; or one of them. */
static unsigned all_roles(const struct ss_session *s)
{
    return s->config.peers ? 1u << s->config.peers->role : (1u << n_roles(s)) - 1;
}

/* The role that speaks for this process. */
static int home(const struct ss_session *s)
{
    return s->config.peers ? s->config.peers->role : SS_P0;
}

static int threads_of(const struct ss_session *s, int role)
{
    int all = s->config.threads > 0 ? s->config.threads : omp_get_num_procs();
    if (role == SS_DEALER || s->config.peers) /* the dealer works only while the parties wait */
        return all;
    int each = all / ss_variant_computing(s->config.variant);
    return each > 0 ? each : 1;
}

static bool is_split(const struct ss_session_config *g)
{
    return g->variant->parties == 2 && strcmp(g->placement, "split") == 0;
}

static enum ss_err open_role(struct ss_session *s, int role)
{
    struct ss_ctx *c = &s->ctx[role];
    const struct ss_session_config *g = &s->config;
    c->own_weights = g->peers || (is_split(g) && role != SS_DEALER) || (g->variant->p1_computes && role == SS_P1);
    struct ss_dev_options o = {.device = is_split(g) && role == SS_P1 ? 1 : 0, .threads = threads_of(s, role)};
    c->role = role;
    c->parties = g->variant->parties;
    c->variant = g->variant;
    c->shape = &g->model->shape;
    c->backend = ss_backend_find(g->backend);
    c->host = ss_backend_find("cpu");
    c->max_tokens = g->max_tokens;
    c->all_logits = g->all_logits;
    c->copy_only = g->copy_only;
    c->channel = s->channel;
    c->arguments = g->arguments;
    memcpy(c->option, g->option, sizeof c->option);
    if (ss_wire_alloc(&c->wire, c->shape->n_layers + 1) != 0)
        SS_FAIL(SS_ENV, "out of memory for the byte table of %zu layers", c->shape->n_layers);
    omp_set_num_threads(o.threads); /* of this role's thread, for what is parallel outside the backend */
    SS_TRY(c->backend->open(&c->dev, &o));
    struct ss_dev_options host = {.threads = o.threads}; /* there is one host, whatever the device */
    SS_TRY(c->host->open(&c->host_dev, &host));
    if (g->fixed_key)
        ss_prg_from_key(&c->prg, g->fixed_key, 0x7465737400000000u + (uint64_t)role);
    else
        SS_TRY(ss_prg_init(&c->prg, 0));
    return SS_OK;
}

/* Weights may stay resident in 70% of the free host memory (the rest is for everything else on the machine), or in all of a
   device's but what the activations, caches and messages of its roles need. */
static enum ss_err open_weights(struct ss_session *s, int role)
{
    const size_t reserve_bytes = (size_t)2 << 30;
    const struct ss_session_config *g = &s->config;
    struct ss_ctx *c = &s->ctx[role];
    size_t free_bytes, total_bytes, budget = g->weight_budget_bytes;
    c->backend->memory(c->dev, &free_bytes, &total_bytes);
    size_t most = c->backend == c->host ? free_bytes / 10 * 7 : free_bytes > reserve_bytes ? free_bytes - reserve_bytes : 0;
    if (budget > most)
        budget = most;
    return ss_weights_open(&s->weights[g->peers ? 0 : role], c, g->model, g->variant->weights, g->seed, budget);
}

static enum ss_err open_buffers(struct ss_session *s, int role)
{
    struct ss_ctx *c = &s->ctx[role];
    SS_TRY(c->variant->open(c));
    return role == SS_DEALER ? SS_OK : ss_activations_open(c, &s->activations[role]);
}

static enum ss_err agree(struct ss_session *s, int role)
{
    struct ss_ctx *c = &s->ctx[role];
    SS_TRY(ss_session_agree(c, &s->config));
    c->max_tokens = s->config.max_tokens;
    c->all_logits = s->config.all_logits;
    return SS_OK;
}

/* The copy of the weights that this role opened, NULL if another did. */
static struct ss_weights *opened_by(const struct ss_session *s, int role)
{
    return s->config.peers ? s->weights[0] : role < 2 ? s->weights[role] : NULL;
}

static enum ss_err close_role(struct ss_session *s, int role)
{
    struct ss_ctx *c = &s->ctx[role];
    if (c->dev) {
        if (role != SS_DEALER)
            ss_activations_close(c, &s->activations[role]);
        if (c->variant)
            c->variant->close(c);
        ss_weights_close(opened_by(s, role), c);
        for (int i = 0; i < 2; i++)
            ss_buf_free(c, &c->scratch[i]);
        ss_channel_release(c);
        c->backend->close(c->dev);
    }
    if (c->host_dev)
        c->host->close(c->host_dev);
    ss_prg_wipe(&c->prg);
    ss_wire_free(&c->wire);
    free(c->marks.op);
    return SS_OK;
}

static struct ss_weights *weights_of(struct ss_session *s, int role)
{
    return role == SS_P1 && s->weights[1] ? s->weights[1] : s->weights[0];
}

static enum ss_err pass_role(struct ss_session *s, int role)
{
    struct ss_ctx *c = &s->ctx[role];
    c->pass++;
    c->marks.n = 0;
    memset(&c->counters, 0, sizeof c->counters);
    ss_wire_clear(&c->wire);
    if (s->config.peers && role == SS_P0)
        SS_TRY(ss_session_announce(c, c->tokens, c->past));
    if (role == SS_DEALER)
        return ss_forward_dealer(c, weights_of(s, role));
    bool first = role == SS_P0;
    if (c->copy_only)
        return ss_forward_copy(c, &s->activations[role], s->h_x, s->h_logits);
    return ss_forward(c, weights_of(s, role), &s->activations[role], first ? s->ids : NULL, first ? s->h_x : NULL,
                      first ? s->h_logits : NULL);
}

static enum ss_err check_config(const struct ss_session_config *g)
{
    const struct ss_backend *b = ss_backend_find(g->backend);
    if (!b)
        SS_FAIL(SS_USAGE, "this build has no backend '%s'; `shardscale list` names those it has (make CUDA=1 adds cuda)",
                g->backend);
    const char *why = b->unusable();
    if (why)
        SS_FAIL(SS_SKIP, "backend %s cannot be used here: %s", g->backend, why);
    if (strcmp(g->placement, "one") != 0 && strcmp(g->placement, "split") != 0)
        SS_FAIL(SS_USAGE, "placement is 'one' (all roles on one device) or 'split' (a device for each party), not '%s'",
                g->placement);
    SS_REQUIRE(!g->arguments || (g->variant->parties == 1 && g->variant->value == SS_F32)); /* never a share */
    SS_REQUIRE(!g->peers || g->variant->parties == 2);
    if (g->peers && is_split(g))
        SS_FAIL(SS_USAGE, "a process of one role has one device: --placement is 'one'");
    if (is_split(g) && strcmp(b->name, "cpu") == 0)
        SS_FAIL(SS_SKIP, "placement split needs 2 GPUs, backend cpu has none");
    if (is_split(g) && b->devices() < 2)
        SS_FAIL(SS_SKIP, "placement split needs 2 GPUs (there is %d)", b->devices());
    if (g->peers && g->peers->role != SS_P0)
        return SS_OK;
    SS_REQUIRE(!g->copy_only ||
               (g->all_logits && g->model->shape.vocab == g->model->shape.d_model && g->variant->value == SS_F32));
    if (g->max_tokens == 0 || g->max_tokens > g->model->shape.max_seq)
        SS_FAIL(SS_USAGE, "%zu tokens asked of %s; it takes 1 to %zu", g->max_tokens, g->model->name, g->model->shape.max_seq);
    return SS_OK;
}

static enum ss_err open_channel(struct ss_session *s)
{
    const struct ss_peers *peers = s->config.peers;
    struct ss_stream stream[SS_N_ROLES];
    if (!peers)
        return ss_channel_new(&s->channel);
    SS_TRY(ss_peers_meet(peers, s->config.variant->dealer, stream));
    return ss_channel_tcp(&s->channel, peers->role, stream, peers->timeout_s);
}

static enum ss_err open_host_copies(struct ss_session *s)
{
    const struct ss_shape *shape = &s->config.model->shape;
    s->h_x = malloc(s->config.max_tokens * shape->d_model * sizeof *s->h_x);
    s->own_logits = malloc((s->config.all_logits ? s->config.max_tokens : 1) * shape->vocab * sizeof *s->own_logits);
    if (!s->h_x || !s->own_logits)
        SS_FAIL(SS_ENV, "out of memory for the host's copy of embeddings and logits");
    for (size_t i = 0; s->config.copy_only && i < s->config.max_tokens * shape->d_model; i++)
        s->h_x[i] = (float)(i % 65521);
    return SS_OK;
}

enum ss_err ss_session_open(struct ss_session **out, const struct ss_session_config *config)
{
    *out = NULL;
    SS_TRY(check_config(config));
    struct ss_session *s = calloc(1, sizeof *s);
    if (!s)
        SS_FAIL(SS_ENV, "out of memory for a session");
    enum ss_err err = SS_OK;
    s->config = *config;
    SS_TRY_OUT(open_channel(s));
    if (config->tap)
        ss_channel_tap(s->channel, config->tap, config->tap_arg);
    SS_TRY_OUT(ss_workers_start(&s->workers, s, s->channel, all_roles(s)));
    SS_TRY_OUT(ss_workers_run(s->workers, all_roles(s), open_role));
    if (config->peers)
        SS_TRY_OUT(ss_workers_run(s->workers, all_roles(s), agree));
    if (all_roles(s) & 1u << SS_P0)
        SS_TRY_OUT(open_host_copies(s));
    SS_TRY_OUT(ss_workers_run(s->workers, config->peers ? all_roles(s) : is_split(config) ? 3u : 1u, open_weights));
    SS_REQUIRE(!s->weights[1] || ss_weights_resident(s->weights[0]) == ss_weights_resident(s->weights[1]));
    SS_TRY_OUT(ss_workers_run(s->workers, all_roles(s), open_buffers));
out:
    if (err != SS_OK)
        ss_session_close(s);
    else
        *out = s;
    return err;
}

static void wipe(float *values, size_t n)
{
    if (values)
        sodium_memzero(values, n * sizeof *values);
    free(values);
}

void ss_session_close(struct ss_session *s)
{
    if (!s)
        return;
    if (s->workers && ss_workers_run(s->workers, all_roles(s), close_role) != SS_OK)
        ss_warn("a role did not close cleanly");
    ss_workers_stop(s->workers);
    ss_channel_free(s->channel);
    for (int role = 0; role < SS_N_ROLES; role++)
        ss_wire_free(&s->ctx[role].wire); /* over TCP: of the roles that are elsewhere */
    wipe(s->h_x, s->config.max_tokens * s->config.model->shape.d_model);
    wipe(s->own_logits, (s->config.all_logits ? s->config.max_tokens : 1) * s->config.model->shape.vocab);
    free(s);
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The party whose times and counters stand for the pass. */
static int speaker(const struct ss_session *s)
{
    return s->config.variant->p1_computes ? SS_P1 : SS_P0;
}

static void collect_times(struct ss_session *s, struct ss_pass *pass)
{
    const bool alone = s->config.variant->p1_computes;
    for (int role = 0; role < SS_N_ROLES; role++) {
        uint64_t op_ns[SS_N_OPS], online = 0;
        if (!(all_roles(s) >> role & 1) || (role == SS_DEALER && home(s) != SS_DEALER))
            continue;
        ss_ctx_times(&s->ctx[role], op_ns);
        for (int op = 0; op < SS_N_OPS; op++)
            if (op != SS_OP_weights && op != SS_OP_offline)
                online += op_ns[op];
        if (role != SS_DEALER)
            pass->party_ns[role] = online;
        if (alone && !s->config.peers && role != SS_P1) /* a client that waits */
            continue;
        pass->online_ns = max_u64(pass->online_ns, online);
        pass->offline_ns = max_u64(pass->offline_ns, op_ns[SS_OP_offline]);
        pass->weights_ns = max_u64(pass->weights_ns, op_ns[SS_OP_weights]);
        if (role == (s->config.peers ? home(s) : speaker(s)))
            memcpy(pass->op_ns, op_ns, sizeof op_ns);
    }
    pass->device_ns = strcmp(s->config.backend, "cpu") == 0 ? 0 : pass->party_ns[speaker(s)];
}

/* Bytes were counted by their senders; everything else by both parties alike, or by the one that computes. */
static enum ss_err collect_counters(struct ss_session *s)
{
    s->counters = s->ctx[speaker(s)].counters;
    for (int role = SS_P0; role < n_roles(s); role++) {
        if (role == speaker(s))
            continue;
        for (int phase = 0; phase < SS_N_PHASES; phase++)
            for (int dir = 0; dir < SS_N_DIRS; dir++) {
                int64_t *sum = ss_counters_bytes(&s->counters, (enum ss_phase)phase, (enum ss_dir)dir);
                if (sum)
                    *sum += *ss_counters_bytes(&s->ctx[role].counters, (enum ss_phase)phase, (enum ss_dir)dir);
            }
        struct ss_wire *to = &s->ctx[speaker(s)].wire;
        const struct ss_wire *from = &s->ctx[role].wire;
        for (size_t i = 0; i < to->layers * SS_N_OPS * SS_N_DIRS; i++)
            to->bytes[i] += from->bytes[i];
    }
    struct ss_counters expected;
    ss_session_expected(s, &expected);
    int differ = ss_counters_differ(&s->counters, &expected);
    if (differ >= 0)
        SS_FAIL(SS_COUNTS, "%s counted %lld for '%s' where its cost() says %lld", s->config.variant->name,
                (long long)ss_counters_values(&s->counters)[differ], ss_counter_names[differ].long_name,
                (long long)ss_counters_values(&expected)[differ]);
    return SS_OK;
}

static enum ss_err share_counts(struct ss_session *s, int role)
{
    return ss_session_share_counts(&s->ctx[role], s->ctx);
}

/* One pass of n tokens after `past` cached ones by the roles of this process. */
static enum ss_err run_pass(struct ss_session *s, size_t n, size_t past, struct ss_pass *pass)
{
    if (past > s->cached)
        SS_FAIL(SS_USAGE, "a pass after %zu cached positions, of which there are %zu; run them first", past, s->cached);
    for (int role = 0; role < n_roles(s); role++) {
        s->ctx[role].tokens = n;
        s->ctx[role].past = past;
    }
    s->cached = 0; /* until this pass has ended well */
    struct ss_pass unwanted, *p = pass ? pass : &unwanted;
    *p = (struct ss_pass){0};
    uint64_t start = ss_now_ns();
    SS_TRY(ss_workers_run(s->workers, all_roles(s), pass_role));
    p->wall_ns = ss_now_ns() - start;
    collect_times(s, p);
    if (s->config.copy_only && memcmp(s->h_x, s->h_logits, n * s->config.model->shape.vocab * sizeof *s->h_x) != 0)
        SS_FAIL(SS_CELLS, "%s: %zu rows came back altered from a copy", s->config.variant->name, n);
    if (s->config.peers)
        SS_TRY(ss_workers_run(s->workers, all_roles(s), share_counts));
    SS_TRY(collect_counters(s));
    s->cached = past + n;
    return SS_OK;
}

enum ss_err ss_session_pass_after(struct ss_session *s, size_t past, const int32_t *ids, size_t n, float *h_logits,
                                  struct ss_pass *pass)
{
    size_t vocab = s->config.model->shape.vocab;
    SS_REQUIRE(n > 0 && past + n <= s->config.max_tokens && home(s) == SS_P0);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocab)
            SS_FAIL(SS_USAGE, "token id %d at position %zu is outside the vocabulary of %s, 0 to %zu", (int)ids[i], i,
                    s->config.model->name, vocab - 1);
    s->ids = ids;
    s->h_logits = h_logits ? h_logits : s->own_logits;
    return run_pass(s, n, past, pass);
}

enum ss_err ss_session_pass(struct ss_session *s, const int32_t *ids, size_t n, float *h_logits, struct ss_pass *pass)
{
    return ss_session_pass_after(s, 0, ids, n, h_logits, pass);
}

static enum ss_err await(struct ss_session *s, int role)
{
    return ss_session_await(&s->ctx[role], &s->ctx[role].tokens, &s->ctx[role].past);
}

static enum ss_err part(struct ss_session *s, int role)
{
    if (role == SS_P0)
        SS_TRY(ss_session_announce(&s->ctx[role], 0, 0));
    return ss_part(&s->ctx[role]);
}

enum ss_err ss_session_serve(struct ss_session *s, bool *more, struct ss_pass *pass)
{
    SS_REQUIRE(s->config.peers && home(s) != SS_P0);
    SS_TRY(ss_workers_run(s->workers, all_roles(s), await));
    const size_t n = s->ctx[home(s)].tokens, past = s->ctx[home(s)].past;
    *more = n > 0;
    return *more ? run_pass(s, n, past, pass) : ss_workers_run(s->workers, all_roles(s), part);
}

enum ss_err ss_session_finish(struct ss_session *s)
{
    return s->config.peers ? ss_workers_run(s->workers, all_roles(s), part) : SS_OK;
}

const struct ss_counters *ss_session_counters(const struct ss_session *s)
{
    return &s->counters;
}

void ss_session_expected(const struct ss_session *s, struct ss_counters *expected)
{
    const struct ss_ctx *c = &s->ctx[home(s)];
    struct ss_job job = {.shape = c->shape,
                         .tokens = c->tokens,
                         .past = c->past,
                         .all_logits = c->all_logits,
                         .copy_only = c->copy_only,
                         .option = c->option};
    memset(expected, 0, sizeof *expected);
    c->variant->cost(&job, expected);
}

static enum ss_err functions_role(struct ss_session *s, int role)
{
    return s->config.variant->functions(&s->ctx[role], s->fit);
}

enum ss_err ss_session_functions(struct ss_session *s, bool *approximated, struct ss_function_fit fit[SS_N_FUNCTIONS])
{
    *approximated = s->config.variant->functions != NULL;
    if (!*approximated)
        return SS_OK;
    SS_TRY(ss_workers_run(s->workers, 1u << SS_P0, functions_role));
    memcpy(fit, s->fit, sizeof s->fit);
    return SS_OK;
}

const struct ss_wire *ss_session_wire(const struct ss_session *s)
{
    return &s->ctx[speaker(s)].wire;
}

void ss_session_peaks(const struct ss_session *s, int64_t peak[SS_N_TAGS])
{
    memset(peak, 0, SS_N_TAGS * sizeof *peak);
    for (int role = 0; role < SS_N_ROLES; role++)
        for (int tag = 0; tag < SS_N_TAGS; tag++)
            peak[tag] += s->ctx[role].memory.peak[tag];
}

bool ss_session_resident(const struct ss_session *s)
{
    return ss_weights_resident(s->weights[0]);
}

const char *ss_session_cc_mode(const struct ss_session *s)
{
    const char *mode = s->ctx[home(s)].cc_mode;
    return mode ? mode : "none";
}

const char *ss_session_attestation(const struct ss_session *s)
{
    const char *attestation = s->ctx[home(s)].attestation;
    return attestation ? attestation : "none";
}
