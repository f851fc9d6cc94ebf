/* cmd_forward.c — one pass of a checkpoint on given token ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/disk.h"
#include "harness/ids.h"
#include "harness/store.h"
#include "harness/target.h"

static enum ss_err same_lengths(const struct ss_sequences *s, const char *path)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->start[i + 1] - s->start[i] != s->longest)
            SS_FAIL(SS_USAGE,
                    "'%s': sequence %zu has %zu ids, another has %zu; with --all-logits all sequences need the same length",
                    path, i + 1, s->start[i + 1] - s->start[i], s->longest);
    return SS_OK;
}

static enum ss_err attributes(struct ss_pairs *p, const struct ss_target *t, const struct ss_session *session)
{
    const struct ss_variant *v = t->config.variant;
    SS_TRY(ss_pairs_add(p, "model", "%s", t->model.name));
    SS_TRY(ss_pairs_add(p, "variant", "%s", v->name));
    SS_TRY(ss_pairs_add(p, "options", "%s", t->options));
    SS_TRY(ss_pairs_add(p, "claim", "%s", v->claim));
    SS_TRY(ss_pairs_add(p, "reveals", "%s", v->reveals));
    SS_TRY(ss_pairs_add(p, "cc_mode", "%s", ss_session_cc_mode(session)));
    SS_TRY(ss_pairs_add(p, "attestation", "%s", ss_session_attestation(session)));
    SS_TRY(ss_pairs_add(p, "backend", "%s", t->config.backend));
    SS_TRY(ss_pairs_add(p, "commit", "%s", ss_version_commit));
    const struct ss_counters *c = ss_session_counters(session);
    for (int i = 0; i < SS_N_COUNTERS; i++)
        SS_TRY(ss_pairs_add(p, ss_counter_names[i].name, "%lld", (long long)ss_counters_values(c)[i]));
    return SS_OK;
}

static size_t top_of(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static enum ss_err run_sequences(struct ss_session *session, const struct ss_sequences *s, float *logits, size_t rows,
                                 size_t vocab)
{
    printf("%-10s %7s %9s %12s %12s\n", "sequence", "tokens", "top id", "top logit", "online ms");
    for (size_t i = 0; i < s->n; i++) {
        size_t n = s->start[i + 1] - s->start[i];
        float *to = logits + i * rows * vocab;
        struct ss_pass pass;
        SS_TRY(ss_session_pass(session, s->ids + s->start[i], n, to, &pass));
        const float *last = to + (rows - 1) * vocab;
        size_t top = top_of(last, vocab);
        printf("%-10zu %7zu %9zu %12.5f %12.3f\n", i + 1, n, top, (double)last[top], (double)pass.online_ns / 1e6);
    }
    return SS_OK;
}

enum ss_err ss_cmd_forward(int argc, char **argv)
{
    struct ss_cli cli = {0};
    struct ss_target t = {.variant = "plain"};
    const char *ids = NULL;
    bool all_logits = false, done = false;
    const struct ss_flag flags[] = {
        SS_TARGET_FLAGS(t),
        {"--ids", "FILE", SS_FLAG_TEXT, &ids, "token ids as decimal text, a line a sequence"},
        {"--all-logits", NULL, SS_FLAG_BOOL, &all_logits, "keep the logits of all positions, not only the last"},
        {0}};
    struct ss_text_list rest = {0};
    SS_TRY(ss_flags_parse(&cli, "forward --weights DIR --ids FILE [--variant V] [--all-logits] [-o OUT.h5]", flags, argc, argv,
                          &rest, &done));
    if (done)
        return SS_OK;
    if (rest.n)
        SS_FAIL(SS_USAGE, "forward takes no argument '%s'; see `shardscale forward --help`", rest.v[0]);
    SS_TRY(ss_target_resolve(&t, &cli));
    if (!ids)
        SS_FAIL(SS_USAGE, "no token ids: give --ids FILE, decimal text, a line a sequence");

    enum ss_err err = SS_OK;
    struct ss_sequences s = {0};
    struct ss_session *session = NULL;
    struct ss_pairs about = {0};
    float *logits = NULL;
    const char *out_path = cli.format ? cli.format : "logits.h5";
    size_t vocab = t.model.shape.vocab;
    SS_TRY_OUT(ss_disk_check(out_path));
    SS_TRY_OUT(ss_sequences_read(&s, ids, vocab));
    if (all_logits)
        SS_TRY_OUT(same_lengths(&s, ids));
    size_t rows = all_logits ? s.longest : 1;
    logits = malloc(s.n * rows * vocab * sizeof *logits);
    if (!logits)
        SS_FAIL_OUT(SS_ENV, "out of memory for %zu x %zu x %zu logits", s.n, rows, vocab);
    t.config.max_tokens = s.longest;
    t.config.all_logits = all_logits;
    SS_TRY_OUT(ss_session_open(&session, &t.config));
    SS_TRY_OUT(run_sequences(session, &s, logits, rows, vocab));
    SS_TRY_OUT(attributes(&about, &t, session));
    SS_TRY_OUT(ss_store_logits(out_path, logits, s.n, rows, vocab, &about));
    printf("%s on %s (%s; enclave: %s, attestation: %s): %s\nlogits (%zu, %zu, %zu) in %s\n", t.config.variant->name,
           t.config.backend, t.options, ss_session_cc_mode(session), ss_session_attestation(session), t.config.variant->claim,
           s.n, rows, vocab, out_path);
out:
    ss_session_close(session);
    ss_sequences_free(&s);
    ss_pairs_free(&about);
    free(logits);
    return err;
}
