/* target.c — see target.h. */
#include "harness/target.h"

#include <stdio.h>
#include <string.h>

#include "harness/config.h"

static enum ss_err find_variant(const struct ss_variant **v, const char *name)
{
    *v = ss_variant_find(name);
    if (*v)
        return SS_OK;
    const char *names[32];
    size_t n = 0;
    for (; ss_variants[n] && n < 32; n++)
        names[n] = ss_variants[n]->name;
    const char *near = ss_nearest(name, names, n);
    SS_FAIL(SS_USAGE, "no variant '%s'%s%s%s; `shardscale list` names them all", name, near ? "; did you mean '" : "",
            near ? near : "", near ? "'" : "");
}

static const char *usable_backend(void)
{
    const struct ss_backend *cuda = ss_backend_find("cuda");
    return cuda && !cuda->unusable() ? "cuda" : "cpu";
}

enum ss_err ss_target_resolve(struct ss_target *t, const struct ss_cli *cli)
{
    if (!t->weights)
        SS_FAIL(SS_USAGE, "no model named: give --weights DIR (a checkpoint directory, or a model of `shardscale list`)");
    SS_TRY(ss_model_find(&t->model, t->weights));
    const struct ss_variant *v;
    SS_TRY(find_variant(&v, t->variant));
    if (t->threads > SS_MAX_THREADS)
        SS_FAIL(SS_USAGE, "--threads %llu: at most %d", (unsigned long long)t->threads, SS_MAX_THREADS);
    SS_TRY(ss_flags_once(&t->set, "--set"));
    char joined[512] = "";
    for (size_t i = 0; i < t->set.n; i++) {
        size_t used = strlen(joined);
        int n = snprintf(joined + used, sizeof joined - used, "%s%s", i ? "," : "", t->set.v[i]);
        if (n < 0 || (size_t)n >= sizeof joined - used)
            SS_FAIL(SS_USAGE, "the --set options are longer than %zu characters together", sizeof joined - 1);
    }
    t->config = (struct ss_session_config){.model = &t->model,
                                           .variant = v,
                                           .backend = t->backend ? t->backend : usable_backend(),
                                           .placement = t->placement ? t->placement : "one",
                                           .seed = cli->seed,
                                           .threads = (int)t->threads,
                                           .weight_budget_bytes = SIZE_MAX};
    SS_TRY(ss_options_parse(v, joined, t->config.option));
    ss_options_print(v, t->config.option, t->options, sizeof t->options);
    return SS_OK;
}

enum ss_err ss_target_with(struct ss_session_config *config, const struct ss_target *t, const char *variant)
{
    *config = t->config;
    SS_TRY(find_variant(&config->variant, variant));
    return ss_options_parse(config->variant, "", config->option);
}
