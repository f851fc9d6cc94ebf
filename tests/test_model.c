/* Model shapes: published parameter counts, the shipped ini files, config.json good and bad. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/model.h"
#include "harness/philox.h"
#include "tests/scratch.h"

static char dir[SCRATCH_PATH];

static void begin(void)
{
    ss_set_error_silent(1);
    scratch_dir(dir);
}

TestSuite(model, .init = begin);

/* config.json with this text in a directory of its own, then ss_model_from_dir. */
static enum ss_err from_text(struct ss_model *m, const char *text, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/config.json", dir);
    FILE *f = fopen(path, "wb");
    cr_assert(f != NULL);
    fwrite(text, 1, n, f);
    fclose(f);
    return ss_model_from_dir(m, dir);
}

static json_t *tiny_config(void)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/tests/data/tiny-lm/config.json", ss_home());
    json_t *o = json_load_file(path, 0, NULL);
    cr_assert(json_is_object(o), "%s", path);
    return o;
}

static enum ss_err from_json(struct ss_model *m, json_t *o)
{
    char *text = json_dumps(o, 0);
    enum ss_err err = from_text(m, text, strlen(text));
    free(text);
    json_decref(o);
    return err;
}

Test(model, published_parameter_counts)
{
    static const struct {
        const char *name;
        size_t params;
    } known[] = {
        {"qwen2.5-1.5b", 1543714304}, {"qwen2.5-7b", 7615616512}, {"qwen2.5-14b", 14770033664}, {"qwen2.5-72b", 72706203648}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct ss_model m;
        cr_assert_eq(ss_model_find(&m, known[i].name), SS_OK);
        cr_expect_eq(ss_shape_params(&m.shape), known[i].params, "%s: %zu", known[i].name, ss_shape_params(&m.shape));
    }
}

/* Table 1.1 of the scaling analysis. */
Test(model, shapes_of_the_document)
{
    static const struct {
        const char *name;
        struct ss_shape s;
    } known[] = {
        {"doc-1.5b", {1536, 8960, 28, 12, 2, 128, 151936, 32768, 1e6, 1e-6, true}},
        {"doc-7b", {3584, 18944, 28, 28, 4, 128, 151936, 32768, 1e6, 1e-6, false}},
        {"doc-14b", {5120, 13824, 40, 40, 8, 128, 151936, 32768, 1e6, 1e-6, false}},
        {"doc-72b", {8192, 24576, 80, 64, 8, 128, 151936, 32768, 1e6, 1e-6, false}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct ss_model m;
        const struct ss_shape *a = &m.shape, *b = &known[i].s;
        cr_assert_eq(ss_model_find(&m, known[i].name), SS_OK);
        cr_expect(a->d_model == b->d_model && a->d_ff == b->d_ff && a->n_layers == b->n_layers && a->n_heads == b->n_heads &&
                      a->n_kv == b->n_kv && a->d_head == b->d_head && a->vocab == b->vocab && a->max_seq == b->max_seq &&
                      a->rope_theta == b->rope_theta && a->eps == b->eps && a->tied == b->tied,
                  "%s", known[i].name);
        cr_expect_eq(m.source, SS_FROM_SEED);
        cr_expect_str_eq(m.name, known[i].name);
    }
}

Test(model, every_shipped_ini_loads_and_widths_keep_their_ratios)
{
    char **names;
    size_t n, widths = 0;
    cr_assert_eq(ss_model_list(&names, &n), SS_OK);
    cr_expect(n >= 14);
    for (size_t i = 0; i < n; i++) {
        struct ss_model m;
        cr_expect(i == 0 || strcmp(names[i - 1], names[i]) < 0);
        cr_assert_eq(ss_model_find(&m, names[i]), SS_OK, "%s: %s", names[i], ss_last_error());
        cr_expect_str_eq(m.name, names[i]);
        cr_expect(m.title[0] != '\0');
        if (strncmp(names[i], "width-", 6) == 0) {
            widths++;
            cr_expect_eq(m.shape.d_model, strtoul(names[i] + 6, NULL, 10));
            cr_expect_eq(m.shape.d_ff, 4 * m.shape.d_model);
            cr_expect_eq(m.shape.n_heads * m.shape.d_head, m.shape.d_model);
            cr_expect_eq(m.shape.n_heads, 4 * m.shape.n_kv);
        }
    }
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    cr_expect_eq(widths, 5);
}

Test(model, config_json_of_the_test_checkpoints)
{
    struct ss_model m;
    char path[1200];
    cr_assert_eq(ss_model_find(&m, "tiny-lm"), SS_OK);
    cr_expect_eq(m.source, SS_FROM_CHECKPOINT);
    cr_expect(m.shape.d_model == 256 && m.shape.d_ff == 704 && m.shape.n_layers == 6 && m.shape.n_heads == 4 &&
              m.shape.n_kv == 2 && m.shape.d_head == 64 && m.shape.vocab == 256 && m.shape.max_seq == 512 && m.shape.tied);
    cr_expect_eq(m.shape.rope_theta, 1e4);
    cr_expect_eq(m.shape.eps, 1e-6);
    snprintf(path, sizeof path, "%s/tests/data/qwen2-tiny-a/", ss_home());
    cr_assert_eq(ss_model_find(&m, path), SS_OK);
    cr_expect_str_eq(m.name, "qwen2-tiny-a");
    cr_expect_eq(m.shape.d_head, 32);
    cr_expect_eq(m.shape.rope_theta, 1e6);
    cr_expect_eq(ss_shape_qkv_rows(&m.shape), 256);
}

/* One key of a good config.json set to a JSON value (NULL: removed): accepted or refused with a line that names file and key.
 */
Test(model, config_json_key_by_key)
{
    static const struct {
        const char *key, *value;
        bool good;
        const char *says;
    } cases[] = {
        {"model_type", "\"llama\"", false, "'llama'"},
        {"model_type", NULL, false, "model_type"},
        {"hidden_act", "\"gelu\"", false, "'gelu'"},
        {"hidden_size", "0", false, "hidden_size is 0"},
        {"hidden_size", "-256", false, "hidden_size is -256"},
        {"hidden_size", "256.0", false, "not a whole number"},
        {"hidden_size", "\"256\"", false, "not a whole number"},
        {"hidden_size", "9223372036854775807", false, "hidden_size"},
        {"hidden_size", "254", false, "hidden_size"},
        {"hidden_size", NULL, false, "hidden_size is missing"},
        {"intermediate_size", "702", false, "intermediate_size"},
        {"num_hidden_layers", "1000000", false, "num_hidden_layers"},
        {"num_attention_heads", "3", false, "num_attention_heads"},
        {"num_key_value_heads", "3", false, "num_key_value_heads"},
        {"num_key_value_heads", "8", false, "num_key_value_heads"},
        {"head_dim", "64", true, NULL},
        {"head_dim", "null", true, NULL},
        {"head_dim", "63", false, "odd"},
        {"head_dim", "100000", false, "head_dim"},
        {"vocab_size", "0", false, "vocab_size"},
        {"vocab_size", "true", false, "vocab_size"},
        {"max_position_embeddings", "-1", false, "max_position_embeddings"},
        {"rms_norm_eps", "0", false, "rms_norm_eps"},
        {"rms_norm_eps", "1e300", false, "rms_norm_eps"},
        {"rope_parameters", "{\"rope_theta\": 5000}", true, NULL},
        {"rope_parameters", "{\"rope_theta\": 0.5}", false, "rope_theta"},
        {"rope_parameters", "{\"rope_theta\": 5000, \"rope_type\": \"yarn\"}", false, "'yarn'"},
        {"rope_parameters", "[1]", false, "rope_parameters"},
        {"rope_parameters", NULL, false, "rope_theta is missing"},
        {"rope_theta", "10000", true, NULL},
        {"rope_theta", "5", false, "differ"},
        {"rope_scaling", "null", true, NULL},
        {"rope_scaling", "{\"type\": \"default\"}", true, NULL},
        {"rope_scaling", "{\"type\": \"linear\", \"factor\": 2}", false, "'linear'"},
        {"tie_word_embeddings", "1", false, "tie_word_embeddings"},
        {"tie_word_embeddings", "false", true, NULL},
        {"tie_word_embeddings", NULL, false, "tie_word_embeddings"},
        {"use_sliding_window", "true", false, "use_sliding_window"},
        {"use_sliding_window", NULL, true, NULL},
        {"layer_types", "[\"sliding_attention\"]", false, "layer_types[0]"},
        {"layer_types", NULL, true, NULL},
        {"quantization_config", "{\"bits\": 4}", false, "quantization_config"},
        {"anything_else", "[1, 2]", true, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ss_model m;
        json_t *o = tiny_config();
        if (cases[i].value != NULL)
            json_object_set_new(o, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(o, cases[i].key);
        enum ss_err err = from_json(&m, o);
        cr_expect_eq(err, cases[i].good ? SS_OK : SS_USAGE, "%s = %s: %s", cases[i].key, cases[i].value, ss_last_error());
        if (!cases[i].good) {
            cr_expect(strstr(ss_last_error(), cases[i].says) != NULL, "'%s' lacks '%s'", ss_last_error(), cases[i].says);
            cr_expect(strstr(ss_last_error(), "config.json") != NULL, "'%s'", ss_last_error());
        }
    }
}

Test(model, broken_config_json_never_crashes)
{
    json_t *o = tiny_config();
    char *text = json_dumps(o, JSON_INDENT(1)), bent[4096];
    size_t n = strlen(text);
    struct ss_model m;
    json_decref(o);
    cr_assert(n < sizeof bent);
    for (size_t cut = 0; cut < n - 1; cut += 7)
        cr_expect_eq(from_text(&m, text, cut), SS_USAGE, "cut at %zu", cut);
    for (uint64_t i = 0; i < 2000; i++) {
        memcpy(bent, text, n);
        for (uint64_t k = 0; k <= i % 3; k++)
            bent[ss_philox_word(1, i, 2 * k) % n] = (char)ss_philox_word(1, i, 2 * k + 1);
        enum ss_err err = from_text(&m, bent, n);
        cr_assert(err == SS_OK || err == SS_USAGE);
        if (err == SS_OK)
            cr_assert(m.shape.n_kv > 0 && m.shape.n_heads % m.shape.n_kv == 0 && ss_shape_params(&m.shape) < (size_t)1 << 50);
    }
    free(text);
}

Test(model, unknown_models_get_the_nearest_match)
{
    struct ss_model m;
    cr_expect_eq(ss_model_find(&m, "dok-7b"), SS_USAGE);
    cr_expect(strstr(ss_last_error(), "did you mean doc-7b?") != NULL, "%s", ss_last_error());
    static const char *const bad[] = {"", "..", "../x", "/nowhere", "a/b", "completely-different-name", "doc-7b.ini"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(ss_model_find(&m, bad[i]), SS_USAGE, "'%s'", bad[i]);
}

/* A project directory with one model ini of this text. */
static enum ss_err from_ini(struct ss_model *m, const char *text)
{
    char home[SCRATCH_PATH], path[128];
    scratch_dir(home);
    snprintf(path, sizeof path, "%s/experiments", home);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/experiments/models", home);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/experiments/models/m.ini", home);
    FILE *f = fopen(path, "w");
    cr_assert(f != NULL);
    fputs(text, f);
    fclose(f);
    setenv("SHARDSCALE_HOME", home, 1);
    return ss_model_find(m, "m");
}

Test(model, ini_line_by_line)
{
    static const char *const good[] = {"[model]",          "title = t",  "d_model = 64", "d_ff = 128", "n_layers = 2",
                                       "n_heads = 4",      "n_kv = 2",   "d_head = 16",  "vocab = 10", "max_seq = 100",
                                       "rope_theta = 1e4", "eps = 1e-6", "tied = true"};
    static const struct {
        size_t line; /* replaced by ... */
        const char *text, *says;
    } cases[] = {
        {1, "title = other", NULL},
        {1, "", "title"},
        {1, "title =", "title"},
        {2, "d_model = 66", "d_model"},
        {2, "d_model = 0", ":3: d_model"},
        {2, "", "has no d_model"},
        {3, "d_f = 128", "did you mean model.d_ff?"},
        {3, "d_ff = 99999999999999999999", ":4: d_ff"},
        {6, "n_kv = 3", "n_kv"},
        {7, "d_head = 15", "odd"},
        {10, "rope_theta = nan", ":11: rope_theta"},
        {11, "eps = 0", ":12: eps"},
        {12, "tied = yes", ":13: tied"},
        {12, "tied = true\ncheckpoint = x", "unknown key"},
        {0, "[models]", "unknown key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024] = "";
        struct ss_model m;
        for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
            strcat(text, k == cases[i].line ? cases[i].text : good[k]);
            strcat(text, "\n");
        }
        enum ss_err err = from_ini(&m, text);
        cr_expect_eq(err, cases[i].says == NULL ? SS_OK : SS_USAGE, "%s: %s", cases[i].text, ss_last_error());
        if (cases[i].says != NULL)
            cr_expect(strstr(ss_last_error(), cases[i].says) != NULL, "'%s' lacks '%s'", ss_last_error(), cases[i].says);
    }
}

Test(model, parameters_of_a_shape_counted_by_hand)
{
    struct ss_shape s = {.d_model = 4, .d_ff = 8, .n_layers = 3, .n_heads = 2, .n_kv = 1, .d_head = 6, .vocab = 10};
    /* q 12x4, k 6x4, v 6x4 with biases 24; o 4x12; gate, up, down 8x4; norms 2x4 */
    cr_expect_eq(ss_shape_layer_params(&s), 96 + 24 + 48 + 96 + 8);
    cr_expect_eq(ss_shape_params(&s), 3 * 272 + 4 + 2 * 40);
    s.tied = true;
    cr_expect_eq(ss_shape_params(&s), 3 * 272 + 4 + 40);
}
