/* cell.c — identity of a cell, key/value pairs, and what a result owns. */
#include "harness/cell.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

const char *const ss_status_names[3] = {[SS_MEASURED] = "measured", [SS_FAILED] = "failed", [SS_SKIPPED] = "skipped"};

bool ss_cell_copies(const struct ss_cell *c)
{
    return strcmp(c->phase, "copy") == 0;
}

const char *ss_cell_placement(const struct ss_cell *c)
{
    return c->split ? "split" : "one";
}

bool ss_cell_evaluates(const struct ss_cell *c)
{
    return strcmp(c->phase, "eval") == 0;
}

size_t ss_cell_rows(const struct ss_cell *c)
{
    return ss_cell_evaluates(c) ? c->tokens : 1;
}

bool ss_cell_decodes(const struct ss_cell *c)
{
    return strcmp(c->phase, "decode") == 0;
}

struct ss_job ss_cell_job(const struct ss_cell *c, const struct ss_shape *shape, const int64_t *option)
{
    const bool decodes = ss_cell_decodes(c), copies = ss_cell_copies(c);
    return (struct ss_job){.shape = shape,
                           .tokens = decodes ? 1 : c->tokens,
                           .past = decodes ? c->tokens : 0,
                           .all_logits = copies || ss_cell_evaluates(c), /* every row comes back */
                           .copy_only = copies,
                           .option = option};
}

void ss_cell_identify(struct ss_cell *c)
{
    char text[sizeof *c + 256]; /* all fields, their names and two 20-digit numbers */
    int length =
        snprintf(text, sizeof text,
                 "model=%s\nvariant=%s\nbackend=%s\nphase=%s\noptions=%s\ntokens=%zu\nseed=%" PRIu64 "\nreference=%d\n%s",
                 c->model, c->variant, c->backend, c->phase, c->options, c->tokens, c->seed, c->reference,
                 c->split ? "placement=split\n" : ""); /* one: as before there was a choice */
    SS_REQUIRE(length > 0 && (size_t)length < sizeof text);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    SS_REQUIRE(EVP_Digest(text, (size_t)length, digest, &digest_bytes, EVP_sha256(), NULL) == 1 && digest_bytes == 32);
    for (size_t i = 0; i < 8; i++)
        snprintf(c->id + 2 * i, 3, "%02x", digest[i]);
}

/* The pair with this key, NULL if absent. */
static struct ss_pair *find(const struct ss_pairs *p, const char *key)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->v[i].key, key) == 0)
            return &p->v[i];
    return NULL;
}

enum ss_err ss_pairs_add(struct ss_pairs *p, const char *key, const char *fmt, ...)
{
    char *value = NULL, *name = NULL;
    va_list args;
    va_start(args, fmt);
    int length = vasprintf(&value, fmt, args);
    va_end(args);
    if (length < 0) {
        value = NULL;
        goto memory;
    }
    struct ss_pair *old = find(p, key); /* a key occurs once: the later value replaces the earlier */
    if (old) {
        free(old->value);
        old->value = value;
        return SS_OK;
    }
    name = strdup(key);
    struct ss_pair *v = name ? realloc(p->v, (p->n + 1) * sizeof *v) : NULL;
    if (!v)
        goto memory;
    p->v = v;
    p->v[p->n++] = (struct ss_pair){.key = name, .value = value};
    return SS_OK;
memory:
    free(name);
    free(value);
    SS_FAIL(SS_ENV, "no memory to note '%s'; close other programs", key);
}

const char *ss_pairs_get(const struct ss_pairs *p, const char *key)
{
    const struct ss_pair *pair = find(p, key);
    return pair ? pair->value : NULL;
}

void ss_pairs_free(struct ss_pairs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->v[i].key);
        free(p->v[i].value);
    }
    free(p->v);
    *p = (struct ss_pairs){0};
}

size_t ss_result_processes(const struct ss_result *r)
{
    return r->reps > 0 ? (size_t)r->pass[r->reps - 1].process + 1 : 0;
}

size_t ss_result_windows(const struct ss_result *r)
{
    size_t n = 0;
    while (r->window && n < r->reps && r->pass[n].process == 0)
        n++;
    return n;
}

/* References are never repeated, so predicted need not grow. */
static enum ss_err append_windows(struct ss_result *r, const struct ss_result *more)
{
    SS_REQUIRE(!r->window == !more->window && !r->predicted);
    if (!r->window)
        return SS_OK;
    struct ss_window *window = realloc(r->window, (r->reps + more->reps) * sizeof *window);
    if (!window)
        SS_FAIL(SS_ENV, "no memory for %zu windows; lower reps_max or --repeats", r->reps + more->reps);
    r->window = window;
    for (size_t i = 0; i < more->reps; i++)
        window[r->reps + i] = more->window[i];
    r->has_plain = r->has_plain && more->has_plain;
    return SS_OK;
}

enum ss_err ss_result_append(struct ss_result *r, const struct ss_result *more)
{
    int differ = ss_counters_differ(&r->counters, &more->counters);
    if (differ >= 0)
        SS_FAIL(SS_COUNTS, "%s: %s is %" PRId64 " in one process and %" PRId64 " in the next; counts must not depend on chance",
                r->cell.variant, ss_counter_names[differ].long_name, ss_counters_values(&r->counters)[differ],
                ss_counters_values(&more->counters)[differ]);
    size_t process = ss_result_processes(r);
    struct ss_pass *pass = realloc(r->pass, (r->reps + more->reps) * sizeof *pass);
    if (!pass)
        SS_FAIL(SS_ENV, "no memory for %zu repetitions; lower reps_max or --repeats", r->reps + more->reps);
    r->pass = pass;
    SS_TRY(append_windows(r, more));
    for (size_t i = 0; i < more->reps; i++) {
        r->pass[r->reps] = more->pass[i];
        r->pass[r->reps++].process = (int64_t)process;
    }
    const char *end = ss_pairs_get(&more->env, "end_utc");
    if (end)
        SS_TRY(ss_pairs_add(&r->env, "end_utc", "%s", end));
    if (ss_pairs_get(&more->config, "turns"))
        SS_TRY(ss_pairs_add(&r->config, "turns", "yes"));
    return ss_pairs_add(&r->config, "processes", "%zu", process + 1);
}

void ss_result_free(struct ss_result *r)
{
    ss_pairs_free(&r->env);
    ss_pairs_free(&r->config);
    ss_wire_free(&r->wire);
    free(r->pass);
    free(r->window);
    free(r->predicted);
    free(r->logits);
    free(r->arguments);
    *r = (struct ss_result){0};
}
