/* cmd_eval.c — cross-entropy, perplexity and top-1 of a checkpoint under a variant, beside plain on the same windows. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/config.h"
#include "harness/ids.h"
#include "harness/target.h"
#include "harness/windows.h"

struct score {                /* sums over windows of per-window means */
    double nats, nats_square; /* natural-log cross-entropy of the next token */
    double top1;              /* fraction of next tokens that are the most likely one */
    double kl, agreement;     /* against plain: KL(plain || variant), same most likely token */
    double max_rel_l2;        /* of a window's logits */
};

static void score_window(struct score *sum, const float *logits, const int32_t *next, size_t rows, size_t vocab)
{
    double nats;
    int64_t right;
    ss_windows_score(&nats, &right, NULL, logits, next, rows, vocab);
    sum->nats += nats;
    sum->nats_square += nats * nats;
    sum->top1 += (double)right / (double)rows;
}

/* 95% half-width of the mean over windows, 1.96 standard errors; NAN for fewer than 6 windows (never a made-up interval). */
static double half_width(const struct score *s, size_t n)
{
    if (n < 6)
        return NAN;
    double mean = s->nats / (double)n, variance = (s->nats_square - (double)n * mean * mean) / (double)(n - 1);
    return 1.96 * sqrt(fmax(variance, 0) / (double)n);
}

static enum ss_err run_windows(struct ss_session *session, struct ss_session *plain, const struct ss_windows *w, size_t vocab,
                               struct score *of_variant, struct score *of_plain)
{
    enum ss_err err = SS_OK;
    size_t values = w->window * vocab;
    float *logits = malloc(values * sizeof *logits), *reference = malloc(values * sizeof *reference);
    if (!logits || !reference)
        SS_FAIL_OUT(SS_ENV, "out of memory for the logits of a window of %zu tokens", w->window);
    for (size_t i = 0; i < w->n; i++) {
        const int32_t *ids = ss_windows_at(w, i);
        SS_TRY_OUT(ss_session_pass(session, ids, w->window, logits, NULL));
        score_window(of_variant, logits, ids + 1, w->window, vocab);
        if (plain) {
            SS_TRY_OUT(ss_session_pass(plain, ids, w->window, reference, NULL));
            score_window(of_plain, reference, ids + 1, w->window, vocab);
        }
        struct ss_distance d;
        ss_distance(&d, logits, plain ? reference : logits, w->window, vocab);
        of_variant->kl += d.kl;
        of_variant->agreement += d.top1;
        of_variant->max_rel_l2 = fmax(of_variant->max_rel_l2, d.rel_l2);
    }
out:
    free(logits);
    free(reference);
    return err;
}

static void print_row(const char *name, const struct score *s, size_t n)
{
    double mean = s->nats / (double)n;
    char interval[32] = "n too small";
    if (n >= 6)
        snprintf(interval, sizeof interval, "+- %.5f", half_width(s, n));
    printf("| %-6s | %.5f | %-12s | %.4f | %.2f %% | %.3e | %.2f %% | %.2e |\n", name, mean, interval, exp(mean),
           100 * s->top1 / (double)n, s->kl / (double)n, 100 * s->agreement / (double)n, s->max_rel_l2);
}

static json_t *json_of(const struct score *s, size_t n)
{
    double mean = s->nats / (double)n;
    json_t *o = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "nats_per_token", mean, "perplexity", exp(mean), "top1",
                          s->top1 / (double)n, "kl_from_plain", s->kl / (double)n, "top1_agreement_with_plain",
                          s->agreement / (double)n, "max_rel_l2", s->max_rel_l2);
    if (n >= 6)
        json_object_set_new(o, "nats_half_width_95", json_real(half_width(s, n)));
    return o;
}

static void print_scores(const struct ss_target *t, const struct ss_windows *w, const struct score *variant,
                         const struct score *plain, bool as_json)
{
    const struct ss_variant *v = t->config.variant;
    if (as_json) {
        json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "model", t->model.name, "variant", v->name,
                              "options", t->options, "backend", t->config.backend, "claim", v->claim, "reveals", v->reveals,
                              "windows", (json_int_t)w->n, "window", (json_int_t)w->window, "stride", (json_int_t)w->stride);
        json_object_set_new(o, "result", json_of(variant, w->n));
        json_object_set_new(o, "plain", json_of(plain ? plain : variant, w->n));
        json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("%s, %zu windows of %zu tokens, stride %zu, backend %s\n\n", t->model.name, w->n, w->window, w->stride,
           t->config.backend);
    printf(
        "| variant | nats/token | 95%% interval | perplexity | top-1 | KL from plain | same top-1 as plain | worst rel. L2 |\n"
        "|---|---|---|---|---|---|---|---|\n");
    print_row(v->name, variant, w->n);
    if (plain)
        print_row("plain", plain, w->n);
    printf("\n%s (%s): %s. Reveals: %s.\n", v->name, t->options, v->claim, v->reveals);
}

static enum ss_err read_tokens(struct ss_windows *w, const struct ss_target *t, const char *text, const char *ids)
{
    if (!text == !ids)
        SS_FAIL(SS_USAGE, "give either --text FILE or --ids FILE");
    if (text)
        return ss_windows_read(w, &t->model, text);
    struct ss_sequences s;
    SS_TRY(ss_sequences_read(&s, ids, t->model.shape.vocab));
    w->n_ids = s.start[s.n];
    w->ids = s.ids;
    s.ids = NULL;
    ss_sequences_free(&s);
    return SS_OK;
}

static enum ss_err evaluate(struct ss_target *t, const struct ss_windows *w, bool as_json)
{
    enum ss_err err = SS_OK;
    struct ss_session *session = NULL, *plain = NULL;
    struct ss_session_config plain_config;
    struct score of_variant = {0}, of_plain = {0};
    bool beside = strcmp(t->config.variant->name, "plain") != 0 || t->config.option[0] != 0;
    t->config.max_tokens = w->window;
    t->config.all_logits = true;
    SS_TRY_OUT(ss_session_open(&session, &t->config));
    if (beside) {
        SS_TRY_OUT(ss_target_with(&plain_config, t, "plain"));
        SS_TRY_OUT(ss_session_open(&plain, &plain_config));
    }
    SS_TRY_OUT(run_windows(session, plain, w, t->model.shape.vocab, &of_variant, &of_plain));
    of_plain.agreement = (double)w->n; /* plain is its own yardstick */
    print_scores(t, w, &of_variant, beside ? &of_plain : NULL, as_json);
out:
    ss_session_close(session);
    ss_session_close(plain);
    return err;
}

enum ss_err ss_cmd_eval(int argc, char **argv)
{
    struct ss_cli cli = {0};
    struct ss_target t = {.variant = "plain"};
    const char *text = NULL, *ids = NULL;
    const char *stride_text = NULL;
    uint64_t window = 256, stride, most = UINT64_MAX;
    bool done = false;
    const struct ss_flag flags[] = {
        SS_TARGET_FLAGS(t),
        {"--text", "FILE", SS_FLAG_TEXT, &text, "text whose bytes are the tokens (vocabulary of 256)"},
        {"--ids", "FILE", SS_FLAG_TEXT, &ids, "token ids as decimal text, read as one stream"},
        {"--window", "N", SS_FLAG_U64, &window, "tokens of a window (standard 256)"},
        {"--stride", "S", SS_FLAG_TEXT, &stride_text, "from one window's start to the next (standard: the window)"},
        {"--max-windows", "K", SS_FLAG_U64, &most, "stop after K windows (standard: all)"},
        {0}};
    struct ss_text_list rest = {0};
    SS_TRY(ss_flags_parse(&cli,
                          "eval --weights DIR --text FILE|--ids FILE [--variant V] [--window N] [--stride S] [-o md|json]",
                          flags, argc, argv, &rest, &done));
    if (done)
        return SS_OK;
    if (rest.n)
        SS_FAIL(SS_USAGE, "eval takes no argument '%s'; see `shardscale eval --help`", rest.v[0]);
    SS_TRY(ss_flags_refuse(&cli, argv[0], "--results -E"));
    bool as_json = cli.format && strcmp(cli.format, "json") == 0;
    if (cli.format && !as_json && strcmp(cli.format, "md") != 0)
        SS_FAIL(SS_USAGE, "eval prints md or json, not '%s'", cli.format);
    SS_TRY(ss_target_resolve(&t, &cli));
    if (window == 0 || window > t.model.shape.max_seq)
        SS_FAIL(SS_USAGE, "--window %llu: %s takes 1 to %zu tokens", (unsigned long long)window, t.model.name,
                t.model.shape.max_seq);
    if (most == 0)
        SS_FAIL(SS_USAGE, "--max-windows 0 leaves nothing to evaluate; give 1 or more");
    stride = window;
    if (stride_text)
        SS_TRY(ss_parse_u64(&stride, stride_text, 1, UINT64_MAX, "--stride"));
    struct ss_windows w = {0};
    SS_TRY(read_tokens(&w, &t, text, ids));
    enum ss_err err = ss_windows_cut(&w, (size_t)window, (size_t)stride, most, text ? text : ids);
    if (err == SS_OK)
        err = evaluate(&t, &w, as_json);
    ss_windows_free(&w);
    return err;
}
