/* model.c — shapes, and experiments/models/NAME.ini. */
#include "harness/model.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/config.h"
#include "harness/model_check.h"

size_t ss_shape_qkv_rows(const struct ss_shape *s)
{
    return (s->n_heads + 2 * s->n_kv) * s->d_head;
}

size_t ss_shape_layer_params(const struct ss_shape *s)
{
    size_t qkv = ss_shape_qkv_rows(s) * (s->d_model + 1); /* with biases */
    size_t out = s->d_model * s->n_heads * s->d_head;
    size_t ffn = 3 * s->d_ff * s->d_model;
    return qkv + out + ffn + 2 * s->d_model;
}

size_t ss_shape_params(const struct ss_shape *s)
{
    size_t tables = (s->tied ? 1 : 2) * s->vocab * s->d_model;
    return s->n_layers * ss_shape_layer_params(s) + s->d_model + tables;
}

enum ss_err ss_shape_check(const struct ss_shape *s, const char *where)
{
    if (s->d_model % 4 != 0)
        SS_FAIL(SS_USAGE, "%s: d_model (hidden_size) %zu is not a multiple of 4; correct it", where, s->d_model);
    if (s->d_ff % 4 != 0)
        SS_FAIL(SS_USAGE, "%s: d_ff (intermediate_size) %zu is not a multiple of 4; correct it", where, s->d_ff);
    if (s->d_head % 2 != 0)
        SS_FAIL(SS_USAGE, "%s: d_head (head_dim) %zu is odd, but RoPE rotates pairs; correct it", where, s->d_head);
    if (s->n_heads % s->n_kv != 0)
        SS_FAIL(SS_USAGE, "%s: n_heads %zu is not a multiple of n_kv %zu (num_key_value_heads); correct one of them", where,
                s->n_heads, s->n_kv);
    if (s->n_heads * s->d_head > SS_MAX_WIDTH)
        SS_FAIL(SS_USAGE, "%s: n_heads * d_head = %zu, at most %d; correct one of them", where, s->n_heads * s->d_head,
                SS_MAX_WIDTH);
    return SS_OK;
}

/* ---- where things are */
static char exe_home[1024];

/* The nearest ancestor of the executable that holds experiments/models, else ".". */
static void find_home(void)
{
    ssize_t n = readlink("/proc/self/exe", exe_home, sizeof exe_home - 1);
    exe_home[n > 0 ? n : 0] = '\0';
    for (char *slash; (slash = strrchr(exe_home, '/')) != NULL && slash != exe_home;) {
        char probe[sizeof exe_home + sizeof "/experiments/models"];
        struct stat st;
        *slash = '\0';
        snprintf(probe, sizeof probe, "%s/experiments/models", exe_home);
        if (stat(probe, &st) == 0 && S_ISDIR(st.st_mode))
            return;
    }
    strcpy(exe_home, ".");
}

const char *ss_home(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *given = getenv("SHARDSCALE_HOME");
    if (given != NULL && *given != '\0')
        return given;
    pthread_once(&once, find_home);
    return exe_home;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

enum ss_err ss_model_list(char ***names, size_t *n)
{
    char dir[1100];
    char **list = NULL;
    size_t count = 0;
    snprintf(dir, sizeof dir, "%s/experiments/models", ss_home());
    DIR *d = opendir(dir);
    if (d == NULL)
        SS_FAIL(SS_ENV, "%s: cannot be listed; set SHARDSCALE_HOME to the directory that holds experiments/", dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t length = strlen(e->d_name);
        if (length <= 4 || e->d_name[0] == '.' || strcmp(e->d_name + length - 4, ".ini") != 0)
            continue;
        char **more = realloc(list, (count + 1) * sizeof *list);
        if (more != NULL) {
            list = more;
            list[count] = strndup(e->d_name, length - 4);
        }
        if (more == NULL || list[count] == NULL) {
            closedir(d);
            free_names(list, count);
            SS_FAIL(SS_ENV, "%s: no memory for the list; free some", dir);
        }
        count++;
    }
    closedir(d);
    if (count > 0)
        qsort(list, count, sizeof *list, by_name);
    *names = list;
    *n = count;
    return SS_OK;
}

/* ---- ini */
static enum ss_err need(const struct ss_ini *ini, const char *key, const char **value, char *where, size_t size)
{
    for (size_t i = 0; i < ini->n; i++)
        if (strcmp(ini->v[i].key, key) == 0) {
            *value = ini->v[i].value;
            snprintf(where, size, "%s:%d: %s", ini->path, ini->v[i].line, key);
            return SS_OK;
        }
    SS_FAIL(SS_USAGE, "%s: [model] has no %s; add it", ini->path, key);
}

static enum ss_err seed_shape(struct ss_shape *s, const struct ss_ini *ini)
{
    const struct {
        const char *key;
        size_t *to, max;
    } counts[] = {{"d_model", &s->d_model, SS_MAX_WIDTH},    {"d_ff", &s->d_ff, SS_MAX_WIDTH},
                  {"n_layers", &s->n_layers, SS_MAX_LAYERS}, {"n_heads", &s->n_heads, SS_MAX_HEADS},
                  {"n_kv", &s->n_kv, SS_MAX_HEADS},          {"d_head", &s->d_head, SS_MAX_D_HEAD},
                  {"vocab", &s->vocab, SS_MAX_VOCAB},        {"max_seq", &s->max_seq, SS_MAX_SEQ}};
    const char *value = "";
    char where[1200];
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        uint64_t v;
        SS_TRY(need(ini, counts[i].key, &value, where, sizeof where));
        SS_TRY(ss_parse_u64(&v, value, 1, counts[i].max, where));
        *counts[i].to = (size_t)v;
    }
    SS_TRY(need(ini, "rope_theta", &value, where, sizeof where));
    SS_TRY(ss_parse_real(&s->rope_theta, value, SS_MIN_THETA, SS_MAX_THETA, where));
    SS_TRY(need(ini, "eps", &value, where, sizeof where));
    SS_TRY(ss_parse_real(&s->eps, value, SS_MIN_EPS, SS_MAX_EPS, where));
    SS_TRY(need(ini, "tied", &value, where, sizeof where));
    s->tied = strcmp(value, "true") == 0;
    if (!s->tied && strcmp(value, "false") != 0)
        SS_FAIL(SS_USAGE, "%s = '%.80s': give true or false", where, value);
    return ss_shape_check(s, ini->path);
}

/* A path in an ini file is relative to the project's root. */
static enum ss_err at_home(char *out, size_t size, const struct ss_ini *ini, const char *key, const char *value)
{
    bool absolute = value[0] == '/';
    int n = snprintf(out, size, "%s%s%s", absolute ? "" : ss_home(), absolute ? "" : "/", value);
    if (n < 0 || (size_t)n >= size)
        SS_FAIL(SS_USAGE, "%s: %s: path longer than %zu characters; use a shorter one", ini->path, key, size - 1);
    return SS_OK;
}

static enum ss_err from_ini(struct ss_model *m, const char *name, const char *path)
{
    static const char *const seed_keys[] = {"model.title", "model.d_model", "model.d_ff",  "model.n_layers", "model.n_heads",
                                            "model.n_kv",  "model.d_head",  "model.vocab", "model.max_seq",  "model.rope_theta",
                                            "model.eps",   "model.tied",    NULL};
    static const char *const checkpoint_keys[] = {"model.title", "model.checkpoint", "model.text", NULL};
    enum ss_err err = SS_OK;
    struct ss_ini ini = {0};
    const char *title = "";
    char where[1200], dir[sizeof m->path];
    SS_TRY(ss_ini_read(&ini, path));
    const char *checkpoint = ss_ini_get(&ini, "model", "checkpoint");
    SS_TRY_OUT(ss_ini_check(&ini, checkpoint != NULL ? checkpoint_keys : seed_keys));
    SS_TRY_OUT(need(&ini, "title", &title, where, sizeof where));
    if (*title == '\0' || strlen(title) >= sizeof m->title)
        SS_FAIL_OUT(SS_USAGE, "%s: give 1 to %zu characters", where, sizeof m->title - 1);
    if (checkpoint != NULL) {
        SS_TRY_OUT(at_home(dir, sizeof dir, &ini, "checkpoint", checkpoint));
        SS_TRY_OUT(ss_model_from_dir(m, dir));
        const char *text = ss_ini_get(&ini, "model", "text");
        if (text != NULL)
            SS_TRY_OUT(at_home(m->text, sizeof m->text, &ini, "text", text));
    } else {
        SS_TRY_OUT(seed_shape(&m->shape, &ini));
        m->source = SS_FROM_SEED;
    }
    snprintf(m->name, sizeof m->name, "%s", name);
    snprintf(m->title, sizeof m->title, "%s", title);
out:
    ss_ini_free(&ini);
    return err;
}

static enum ss_err unknown_model(const char *name)
{
    char **names = NULL;
    size_t n = 0;
    SS_TRY(ss_model_list(&names, &n));
    const char *near = ss_nearest(name, (const char *const *)names, n);
    enum ss_err err =
        near != NULL
            ? ss_fail(SS_USAGE, __FILE__, __LINE__, "model %.80s is unknown; did you mean %s?", name, near)
            : ss_fail(SS_USAGE, __FILE__, __LINE__,
                      "model %.80s is unknown; give a name of `shardscale list` or a directory with config.json", name);
    free_names(names, n);
    return err;
}

enum ss_err ss_model_find(struct ss_model *m, const char *name)
{
    char path[1200];
    struct stat st;
    memset(m, 0, sizeof *m);
    bool plain = *name != '\0' && *name != '.' && strchr(name, '/') == NULL && strlen(name) < sizeof m->name;
    snprintf(path, sizeof path, "%s/experiments/models/%s.ini", ss_home(), plain ? name : "");
    if (plain && stat(path, &st) == 0)
        return from_ini(m, name, path);
    if (stat(name, &st) == 0 && S_ISDIR(st.st_mode))
        return ss_model_from_dir(m, name);
    return unknown_model(name);
}
