/* model_json.c — config.json of a Hugging Face Qwen2 checkpoint. Whatever would change the function that is computed is either
   understood or refused. */
#include "harness/model.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/model_check.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

static enum ss_err whole(size_t *out, const json_t *o, const char *key, size_t max, const char *path)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v))
        SS_FAIL(SS_USAGE, "%s: %s is %s; set it to a whole number", path, key, v == NULL ? "missing" : "not a whole number");
    json_int_t i = json_integer_value(v);
    if (i < 1 || (uint64_t)i > max)
        SS_FAIL(SS_USAGE, "%s: %s is %" JSON_INTEGER_FORMAT "; set it to 1 .. %zu", path, key, i, max);
    *out = (size_t)i;
    return SS_OK;
}

static enum ss_err real(double *out, const json_t *v, const char *key, double min, double max, const char *path)
{
    double d = json_number_value(v);
    if (!json_is_number(v) || !(d >= min && d <= max))
        SS_FAIL(SS_USAGE, "%s: %s is %s; set it to a number from %g to %g", path, key,
                v == NULL ? "missing" : "out of range or not a number", min, max);
    *out = d;
    return SS_OK;
}

/* Text that must be exactly `only`. */
static enum ss_err exactly(const json_t *o, const char *key, const char *only, const char *path)
{
    const char *text = json_string_value(json_object_get(o, key));
    if (text == NULL || strcmp(text, only) != 0)
        SS_FAIL(SS_USAGE, "%s: %s is '%.60s', only '%s' is supported; use a Qwen2 checkpoint", path, key,
                text != NULL ? text : "(missing)", only);
    return SS_OK;
}

/* A switch that may be absent (= false) and must not be on. */
static enum ss_err must_be_off(const json_t *o, const char *key, const char *path)
{
    const json_t *v = json_object_get(o, key);
    if (v != NULL && !json_is_false(v) && !json_is_null(v))
        SS_FAIL(SS_USAGE, "%s: %s is set, which is not supported; use a checkpoint without it", path, key);
    return SS_OK;
}

/* Scaling of positions: absent, null or the kind "default" (the key was "type" before it was "rope_type"). */
static enum ss_err unscaled(const json_t *rope, const char *key, const char *path)
{
    if (rope == NULL || json_is_null(rope))
        return SS_OK;
    if (!json_is_object(rope))
        SS_FAIL(SS_USAGE, "%s: %s is not an object; correct it", path, key);
    static const char *const kinds[] = {"rope_type", "type"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *kind = json_object_get(rope, kinds[i]);
        const char *text = json_string_value(kind);
        if (kind != NULL && (text == NULL || strcmp(text, "default") != 0))
            SS_FAIL(SS_USAGE, "%s: %s.%s is '%.60s', only 'default' is supported; use a checkpoint without RoPE scaling", path,
                    key, kinds[i], text != NULL ? text : "(not text)");
    }
    return SS_OK;
}

static enum ss_err rope(double *theta, const json_t *o, const char *path)
{
    const json_t *parameters = json_object_get(o, "rope_parameters");
    const json_t *old = json_object_get(o, "rope_theta"), *inner = json_object_get(parameters, "rope_theta");
    SS_TRY(unscaled(json_object_get(o, "rope_scaling"), "rope_scaling", path));
    SS_TRY(unscaled(parameters, "rope_parameters", path));
    SS_TRY(real(theta, inner != NULL ? inner : old, inner != NULL ? "rope_parameters.rope_theta" : "rope_theta", SS_MIN_THETA,
                SS_MAX_THETA, path));
    if (inner != NULL && old != NULL && json_number_value(old) != *theta)
        SS_FAIL(SS_USAGE, "%s: rope_theta and rope_parameters.rope_theta differ; remove one of them", path);
    return SS_OK;
}

static enum ss_err full_attention(const json_t *o, const char *path)
{
    const json_t *types = json_object_get(o, "layer_types"), *type;
    size_t i;
    json_array_foreach(types, i, type)
    {
        const char *text = json_string_value(type);
        if (text == NULL || strcmp(text, "full_attention") != 0)
            SS_FAIL(SS_USAGE, "%s: layer_types[%zu] is '%.60s', only full_attention is supported; use a Qwen2 checkpoint", path,
                    i, text != NULL ? text : "(not text)");
    }
    return must_be_off(o, "use_sliding_window", path);
}

static enum ss_err shape_from(struct ss_shape *s, const json_t *o, const char *path)
{
    SS_TRY(exactly(o, "model_type", "qwen2", path));
    SS_TRY(exactly(o, "hidden_act", "silu", path));
    SS_TRY(full_attention(o, path));
    SS_TRY(must_be_off(o, "quantization_config", path));
    SS_TRY(whole(&s->d_model, o, "hidden_size", SS_MAX_WIDTH, path));
    SS_TRY(whole(&s->d_ff, o, "intermediate_size", SS_MAX_WIDTH, path));
    SS_TRY(whole(&s->n_layers, o, "num_hidden_layers", SS_MAX_LAYERS, path));
    SS_TRY(whole(&s->n_heads, o, "num_attention_heads", SS_MAX_HEADS, path));
    SS_TRY(whole(&s->n_kv, o, "num_key_value_heads", SS_MAX_HEADS, path));
    SS_TRY(whole(&s->vocab, o, "vocab_size", SS_MAX_VOCAB, path));
    SS_TRY(whole(&s->max_seq, o, "max_position_embeddings", SS_MAX_SEQ, path));
    SS_TRY(real(&s->eps, json_object_get(o, "rms_norm_eps"), "rms_norm_eps", SS_MIN_EPS, SS_MAX_EPS, path));
    SS_TRY(rope(&s->rope_theta, o, path));
    const json_t *head = json_object_get(o, "head_dim"), *tied = json_object_get(o, "tie_word_embeddings");
    if (head != NULL && !json_is_null(head)) {
        SS_TRY(whole(&s->d_head, o, "head_dim", SS_MAX_D_HEAD, path));
    } else {
        if (s->d_model % s->n_heads != 0 || s->d_model / s->n_heads > SS_MAX_D_HEAD)
            SS_FAIL(SS_USAGE,
                    "%s: hidden_size %zu / num_attention_heads %zu is no size of a head; correct one or give head_dim", path,
                    s->d_model, s->n_heads);
        s->d_head = s->d_model / s->n_heads;
    }
    if (!json_is_boolean(tied))
        SS_FAIL(SS_USAGE, "%s: tie_word_embeddings is %s; set it to true or false", path,
                tied == NULL ? "missing" : "not true or false");
    s->tied = json_is_true(tied);
    return ss_shape_check(s, path);
}

/* Last component of the resolved directory, cut to fit. */
static void name_of(char *name, size_t size, const char *dir)
{
    char *full = realpath(dir, NULL);
    const char *from = full != NULL ? full : dir, *slash = strrchr(from, '/');
    snprintf(name, size, "%.*s", (int)size - 1, slash != NULL && slash[1] != '\0' ? slash + 1 : from);
    free(full);
}

enum ss_err ss_model_from_dir(struct ss_model *m, const char *dir)
{
    enum ss_err err = SS_OK;
    char path[sizeof m->path + sizeof "/config.json"];
    char *text = NULL;
    size_t n = 0;
    json_t *o = NULL;
    json_error_t bad;
    memset(m, 0, sizeof *m);
    if (strlen(dir) >= sizeof m->path)
        SS_FAIL(SS_USAGE, "%.60s...: path longer than %zu characters; use a shorter one", dir, sizeof m->path - 1);
    snprintf(path, sizeof path, "%s/config.json", dir);
    SS_TRY(ss_file_read(&text, &n, path, CONFIG_BYTES_MAX));
    o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &bad);
    if (!json_is_object(o))
        SS_FAIL_OUT(SS_USAGE, "%s:%d: not a JSON object (%.80s); fetch the file again", path, o == NULL ? bad.line : 1,
                    o == NULL ? bad.text : "another kind of value");
    SS_TRY_OUT(shape_from(&m->shape, o, path));
    m->source = SS_FROM_CHECKPOINT;
    strcpy(m->path, dir);
    name_of(m->name, sizeof m->name, dir);
    strcpy(m->title, m->name);
out:
    json_decref(o);
    free(text);
    return err;
}
