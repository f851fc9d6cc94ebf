/* target.h — what forward and eval have in common: a model, a variant with its --set options, a backend. */
#ifndef SS_TARGET_H
#define SS_TARGET_H

#include "harness/cli.h"
#include "harness/session.h"

struct ss_target {
    const char *weights, *variant, *backend, *placement; /* flags as given; backend NULL: cuda where it is usable, else cpu */
    struct ss_text_list set;                             /* --set KEY=VALUE, repeated */
    uint64_t threads;
    struct ss_model model;
    struct ss_session_config config;
    char options[256]; /* resolved */
};
/* The flags of a target, to be put in a command's table. */
#define SS_TARGET_FLAGS(t)                                                                                                     \
    {"--weights", "DIR", SS_FLAG_TEXT, &(t).weights, "checkpoint directory (config.json, safetensors), or a model of `list`"}, \
        {"--variant", "V", SS_FLAG_TEXT, &(t).variant, "variant (see `list`)"},                                                \
        {"--backend", "B", SS_FLAG_TEXT, &(t).backend, "cpu or cuda (standard: cuda where it works)"},                         \
        {"--placement", "P", SS_FLAG_TEXT, &(t).placement, "one: all roles on one device (standard); split: a device each"},   \
        {"--set", "KEY=VALUE", SS_FLAG_LIST, &(t).set, "an option of the variant; may be repeated"},                           \
    {                                                                                                                          \
        "--threads", "N", SS_FLAG_U64, &(t).threads, "CPU threads (standard: all)"                                             \
    }

/* Finds model and variant, parses the options; config is complete but for max_tokens and all_logits. */
SS_CHECKED enum ss_err ss_target_resolve(struct ss_target *t, const struct ss_cli *cli);
/* Another variant with its standard options on the same model and backend (the plain yardstick of eval). */
SS_CHECKED enum ss_err ss_target_with(struct ss_session_config *config, const struct ss_target *t, const char *variant);
#endif
