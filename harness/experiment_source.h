/* experiment_source.h — what an experiment's file, and the one it is like, say. Part of experiment.c, not for others. */
#ifndef SS_EXPERIMENT_SOURCE_H
#define SS_EXPERIMENT_SOURCE_H

#include "harness/experiment.h"

struct ss_source { /* an experiment being read for one profile */
    const struct ss_ini *ini;
    const struct ss_ini *base; /* of the experiment it is like; without entries: none */
    char profile[32];          /* section name, "profile.cpu" */
    const char *backend;
    uint64_t seed;
};
/* The value that holds for the profile: of the file before that of the base; in each, [profile.NAME] before the section.
   SS_USAGE if there is none. */
SS_CHECKED enum ss_err ss_source_value(const char **value, const struct ss_source *s, const char *section, const char *key);
const char *ss_source_optional(const struct ss_source *s, const char *section, const char *key, const char *otherwise);
/* The variant of this name; SS_USAGE with the nearest one. ini: that names it. */
SS_CHECKED enum ss_err ss_source_variant(const struct ss_variant **v, const struct ss_ini *ini, const char *name);
/* All options of a variant as [options] of both files have them, resolved. */
SS_CHECKED enum ss_err ss_source_options(char *out, size_t size, const struct ss_source *s, const struct ss_variant *v);
/* Every VARIANT.KEY of [options] names a variant of this build, with options that it has. */
SS_CHECKED enum ss_err ss_source_check_options(const struct ss_source *s);

/* The product of the axes as cells of e (experiment_axes.c). */
SS_CHECKED enum ss_err ss_experiment_cells(struct ss_experiment *e, const struct ss_source *s);
#endif
