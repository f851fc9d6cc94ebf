/* floors.c — formulas of the floors, and experiments/machines/ceilings.ini. */
#include "harness/floors.h"

#include <stdio.h>
#include <string.h>

#include "harness/config.h"
#include "variants/lib/clear.h"

enum { SHARE = 8, F32 = 4, BF16 = 2, WEIGHT = 2, DIGIT_PRODUCTS = 15 };

const enum ss_op ss_floor_ops[SS_N_FLOOR_OPS] = {SS_OP_qkv,      SS_OP_attn_out,  SS_OP_gate_up,   SS_OP_down,
                                                 SS_OP_lm_head,  SS_OP_attn_norm, SS_OP_rope,      SS_OP_attention,
                                                 SS_OP_ffn_norm, SS_OP_swiglu,    SS_OP_final_norm};

/* ---- formulas. T tokens, d = d_model, q = (n_heads + 2 n_kv) d_head, a = n_heads d_head, L layers, s = 2 for bf16 products
   and 4 for fp32, P parties. A cell is a prefill on one device from an empty cache that keeps the logits of the last row. */

struct product { /* out (m, n) = in (m, k) w^T, `times` times a pass */
    size_t m, n, k, times;
    bool residual; /* added onto x, which is read and written */
};

static bool product_of(struct product *p, const struct ss_result *r, enum ss_op op)
{
    const struct ss_shape *s = &r->shape;
    const size_t t = r->cell.tokens, d = s->d_model, layers = s->n_layers;
    switch (op) {
    case SS_OP_qkv:
        *p = (struct product){.m = t, .n = ss_shape_qkv_rows(s), .k = d, .times = layers};
        return true;
    case SS_OP_attn_out:
        *p = (struct product){.m = t, .n = d, .k = s->n_heads * s->d_head, .times = layers, .residual = true};
        return true;
    case SS_OP_gate_up:
        *p = (struct product){.m = t, .n = 2 * s->d_ff, .k = d, .times = layers};
        return true;
    case SS_OP_down:
        *p = (struct product){.m = t, .n = d, .k = s->d_ff, .times = layers, .residual = true};
        return true;
    case SS_OP_lm_head: /* one row, the last */
        *p = (struct product){.m = 1, .n = s->vocab, .k = d, .times = 1};
        return true;
    default:
        return false;
    }
}

/* bf16 products are an option of the variant ("compute=bf16"). */
static bool is_bf16(const struct ss_result *r)
{
    return strstr(r->cell.options, "compute=bf16") != NULL;
}

/* Weights: 2 n k, read once for all parties (2 B a parameter: bf16, int16 or two int8 planes; biases are not counted).
   Cleartext: s m k + 4 m n, ring: P (8 m k + 8 m n); a residual product also reads the m n values that it adds to.
   The words that a truncation opens and consumes are not in it. */
static void product_work(struct ss_work *w, const struct product *p, const struct ss_result *r, const struct ss_variant *v)
{
    const double m = (double)p->m, n = (double)p->n, k = (double)p->k, times = (double)p->times;
    const double parties = v->parties, outs = p->residual ? 2 : 1;
    if (v->weights == SS_WEIGHTS_RING) {
        bool digits = strcmp(r->cell.backend, "cuda") == 0;
        w->arithmetic = digits ? SS_ARITH_INT8 : SS_ARITH_RING_MACS;
        w->ops = times * parties * (digits ? DIGIT_PRODUCTS * 2 : 1) * m * n * k;
        w->bytes = times * (WEIGHT * n * k + parties * SHARE * (m * k + outs * m * n));
        return;
    }
    w->arithmetic = is_bf16(r) ? SS_ARITH_BF16 : SS_ARITH_FP32;
    w->ops = times * 2 * m * n * k;
    w->bytes = times * (WEIGHT * n * k + (is_bf16(r) ? BF16 : F32) * m * k + outs * F32 * m * n);
}

/* Bytes of a nonlinear step in cleartext, fp32 in and s out:
   norms      T d (4 + s), the final norm one row
   rope       in place: 8 T (n_heads + n_kv) d_head
   attention  4 T q in, 8 T n_kv d_head into the cache, s T a out
   swiglu     8 T d_ff in, s T d_ff out */
static double clear_bytes(const struct ss_result *r, enum ss_op op)
{
    const struct ss_shape *s = &r->shape;
    const double t = (double)r->cell.tokens, layers = (double)s->n_layers, d = (double)s->d_model, d_ff = (double)s->d_ff;
    const double kv = (double)(s->n_kv * s->d_head), a = (double)(s->n_heads * s->d_head), act = is_bf16(r) ? BF16 : F32;
    switch (op) {
    case SS_OP_attn_norm:
    case SS_OP_ffn_norm:
        return layers * t * d * (F32 + act);
    case SS_OP_final_norm:
        return d * (F32 + act);
    case SS_OP_rope:
        return layers * t * 2 * F32 * (a + kv);
    case SS_OP_attention:
        return layers * t * (F32 * (a + 2 * kv) + 2 * F32 * kv + act * a);
    default: /* swiglu */
        return layers * t * d_ff * (2 * F32 + act);
    }
}

/* The same in v2 and v3, where P1 computes on what both parties' shares (16 B a value) add up to:
   norms      16 T d in, 16 T d out, the final norm one row
   rope       16 T q in, the opened values out, 4 T q
   attention  4 T q in (opened before), 8 T n_kv d_head into the cache, 16 T a out
   swiglu     32 T d_ff in, 16 T d_ff out
   v2's trips to the host are not in it. */
static double opened_bytes(const struct ss_result *r, enum ss_op op)
{
    const struct ss_shape *s = &r->shape;
    const double t = (double)r->cell.tokens, layers = (double)s->n_layers, d = (double)s->d_model, d_ff = (double)s->d_ff;
    const double kv = (double)(s->n_kv * s->d_head), a = (double)(s->n_heads * s->d_head), q = a + 2 * kv;
    const double both = 2 * SHARE;
    switch (op) {
    case SS_OP_attn_norm:
    case SS_OP_ffn_norm:
        return layers * t * d * 2 * both;
    case SS_OP_final_norm:
        return d * 2 * both;
    case SS_OP_rope:
        return layers * t * q * (both + F32);
    case SS_OP_attention:
        return layers * t * (F32 * q + 2 * F32 * kv + both * a);
    default: /* swiglu */
        return layers * t * d_ff * 3 * both;
    }
}

static bool is_nonlinear(enum ss_op op)
{
    for (size_t i = SS_N_FLOOR_LINEAR; i < SS_N_FLOOR_OPS; i++)
        if (ss_floor_ops[i] == op)
            return true;
    return false;
}

bool ss_work_of(struct ss_work *w, const struct ss_result *r, enum ss_op op)
{
    const struct ss_variant *v = ss_variant_find(r->cell.variant);
    struct product p;
    *w = (struct ss_work){0};
    if (!v || r->cell.split || r->shape.n_layers == 0 || strcmp(r->cell.phase, "prefill") != 0)
        return false;
    if (product_of(&p, r, op)) {
        product_work(w, &p, r, v);
        return true;
    }
    const bool opened = v->rmsnorm == ss_clear_rmsnorm; /* nonlinear steps of lib/clear.c */
    const bool clear = v->value == SS_F32 && ss_variant_computing(v) == 1;
    if (!is_nonlinear(op) || (!opened && !clear))
        return false;
    w->bytes = opened ? opened_bytes(r, op) : clear_bytes(r, op);
    return true;
}

/* A product needs the rate of its arithmetic; the copy speed, where it is known, can only raise its floor. */
bool ss_floor_ms(double *ms, const struct ss_ceiling *machine, const struct ss_result *r, enum ss_op op)
{
    struct ss_work w;
    if (!machine || !ss_work_of(&w, r, op))
        return false;
    const double rates[] = {[SS_ARITH_FP32] = 0,
                            [SS_ARITH_BF16] = machine->bf16_op_s,
                            [SS_ARITH_INT8] = machine->int8_op_s,
                            [SS_ARITH_RING_MACS] = machine->ring_op_s};
    const double rate = rates[w.arithmetic], copy = machine->copy_bytes_s;
    if (w.ops > 0 ? rate <= 0 : copy <= 0)
        return false;
    const double moved = copy > 0 ? w.bytes / copy : 0, computed = w.ops > 0 ? w.ops / rate : 0;
    *ms = 1e3 * (moved > computed ? moved : computed);
    return true;
}

/* ---- ceilings */
static const char *const gpu_keys[] = {"gpu", "copy_tb_s", "bf16_tflop_s", "int8_top_s", NULL};
static const char *const cpu_keys[] = {"cpu", "cpu_isa", "cpu_cores", "copy_gb_s", "bf16_gmac_s", "ring_gmac_s", NULL};
enum { MAX_KEYS = 8 };

static enum ss_err check_section(const struct ss_ini *ini, const char *section, int line)
{
    bool gpu = ss_ini_get(ini, section, "gpu") != NULL, cpu = ss_ini_get(ini, section, "cpu") != NULL;
    if (gpu == cpu)
        SS_FAIL(SS_USAGE, "%s:%d: [%.80s] names %s; give gpu = NAME or cpu = NAME, as /env of a cell has it", ini->path, line,
                section, gpu ? "both gpu and cpu" : "neither gpu nor cpu");
    for (size_t i = 1; cpu && i < 3; i++) /* the name of a virtual machine's CPU alone says little */
        if (!ss_ini_get(ini, section, cpu_keys[i]))
            SS_FAIL(SS_USAGE, "%s:%d: [%.80s] has no %s; give it as /env of a cell has it", ini->path, line, section,
                    cpu_keys[i]);
    return SS_OK;
}

/* Every key of a section must be one of its kind. */
static enum ss_err check_keys(const struct ss_ini *ini)
{
    char text[SS_MAX_MACHINES * MAX_KEYS][128];
    const char *known[SS_MAX_MACHINES * MAX_KEYS + 1];
    const char *last = "";
    size_t n = 0;
    for (size_t i = 0; i < ini->n; i++) {
        const char *section = ini->v[i].section;
        if (strcmp(section, last) == 0)
            continue;
        last = section;
        const char *const *keys = ss_ini_get(ini, section, "cpu") ? cpu_keys : gpu_keys;
        for (; *keys; keys++, n++) {
            if (n == SS_MAX_MACHINES * MAX_KEYS)
                SS_FAIL(SS_USAGE, "%s:%d: more than %d machines; remove some", ini->path, ini->v[i].line, SS_MAX_MACHINES);
            snprintf(text[n], sizeof text[n], "%.80s.%s", section, *keys);
            known[n] = text[n];
        }
    }
    known[n] = NULL;
    return ss_ini_check(ini, known);
}

static enum ss_err read_entry(struct ss_ceiling *m, const struct ss_ini *ini, const struct ss_ini_entry *e)
{
    const struct {
        const char *key;
        char *text;
        size_t size;
        double *rate, unit;
    } fields[] = {{"gpu", m->gpu, sizeof m->gpu, NULL, 0},
                  {"cpu", m->cpu, sizeof m->cpu, NULL, 0},
                  {"cpu_isa", m->cpu_isa, sizeof m->cpu_isa, NULL, 0},
                  {"cpu_cores", m->cpu_cores, sizeof m->cpu_cores, NULL, 0},
                  {"copy_tb_s", NULL, 0, &m->copy_bytes_s, 1e12},
                  {"copy_gb_s", NULL, 0, &m->copy_bytes_s, 1e9},
                  {"bf16_tflop_s", NULL, 0, &m->bf16_op_s, 1e12},
                  {"bf16_gmac_s", NULL, 0, &m->bf16_op_s, 2e9},
                  {"int8_top_s", NULL, 0, &m->int8_op_s, 1e12},
                  {"ring_gmac_s", NULL, 0, &m->ring_op_s, 1e9}};
    char where[sizeof ini->path + 128];
    snprintf(where, sizeof where, "%s:%d: %.80s", ini->path, e->line, e->key);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].key, e->key) != 0)
            continue;
        if (fields[i].text) {
            if (!*e->value || strlen(e->value) >= fields[i].size)
                SS_FAIL(SS_USAGE, "%s: give 1 to %zu characters", where, fields[i].size - 1);
            snprintf(fields[i].text, fields[i].size, "%s", e->value);
            return SS_OK;
        }
        SS_TRY(ss_parse_real(fields[i].rate, e->value, 1e-3, 1e9, where));
        *fields[i].rate *= fields[i].unit;
    }
    return SS_OK;
}

enum ss_err ss_ceilings_read(struct ss_ceilings *c, const char *path)
{
    enum ss_err err = SS_OK;
    struct ss_ini ini = {0};
    *c = (struct ss_ceilings){0};
    SS_TRY(ss_ini_read(&ini, path));
    SS_TRY_OUT(check_keys(&ini));
    for (size_t i = 0; i < ini.n; i++) {
        const struct ss_ini_entry *e = &ini.v[i];
        size_t at = 0;
        while (at < c->n && strcmp(c->v[at].name, e->section) != 0)
            at++;
        if (at == SS_MAX_MACHINES)
            SS_FAIL_OUT(SS_USAGE, "%s:%d: more than %d machines; remove some", path, e->line, SS_MAX_MACHINES);
        if (at == c->n) {
            SS_TRY_OUT(check_section(&ini, e->section, e->line));
            snprintf(c->v[c->n++].name, sizeof c->v[0].name, "%s", e->section);
        }
        SS_TRY_OUT(read_entry(&c->v[at], &ini, e));
    }
out:
    ss_ini_free(&ini);
    if (err != SS_OK)
        *c = (struct ss_ceilings){0};
    return err;
}

static bool env_is(const struct ss_result *r, const char *key, const char *wanted)
{
    const char *value = ss_pairs_get(&r->env, key);
    return value && *wanted && strcmp(value, wanted) == 0;
}

const struct ss_ceiling *ss_ceiling_of(const struct ss_ceilings *c, const struct ss_result *r)
{
    const bool cuda = strcmp(r->cell.backend, "cuda") == 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct ss_ceiling *m = &c->v[i];
        bool same =
            cuda ? env_is(r, "gpu", m->gpu)
                 : env_is(r, "cpu", m->cpu) && env_is(r, "cpu_isa", m->cpu_isa) && env_is(r, "cpu_cores_allowed", m->cpu_cores);
        if (same)
            return m;
    }
    return NULL;
}
