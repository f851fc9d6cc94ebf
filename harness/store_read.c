/* store_read.c — reads cell files back, strictly: what this version would not have written is refused, with the file's name. */
#include "harness/seal.h"
#include "harness/store_get.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void get_identity(struct ss_in *in, hid_t group, struct ss_result *r)
{
    struct ss_cell *c = &r->cell;
    char status[16] = "";
    ss_get_string(in, group, "id", c->id, sizeof c->id);
    ss_get_string(in, group, "model", c->model, sizeof c->model);
    ss_get_string(in, group, "variant", c->variant, sizeof c->variant);
    ss_get_string(in, group, "backend", c->backend, sizeof c->backend);
    ss_get_string(in, group, "phase", c->phase, sizeof c->phase);
    ss_get_string(in, group, "options", c->options, sizeof c->options);
    ss_get_string(in, group, "status", status, sizeof status);
    ss_get_string(in, group, "reason", r->reason, sizeof r->reason);
    c->tokens = (size_t)ss_get_i64(in, group, "tokens", 0, INT64_MAX);
    ss_get_attr(in, group, "seed", H5T_INTEGER, H5T_NATIVE_UINT64, &c->seed);
    c->reference = ss_get_i64(in, group, "reference", 0, 1) != 0;
    if (!in->bad && H5Aexists(group, "split") > 0) /* absent in files from before there was a choice: one device */
        c->split = ss_get_i64(in, group, "split", 0, 1) != 0;
    r->has_first = ss_get_i64(in, group, "has_first", 0, 1) != 0;
    r->params = (size_t)ss_get_i64(in, group, "params", 0, INT64_MAX);
    for (int i = 0; i < SS_STORE_SHAPE; i++) {
        size_t value = (size_t)ss_get_i64(in, group, ss_store_shape[i].name, 0, INT64_MAX);
        memcpy((char *)&r->shape + ss_store_shape[i].offset, &value, sizeof value);
    }
    ss_get_attr(in, group, "rope_theta", H5T_FLOAT, H5T_NATIVE_DOUBLE, &r->shape.rope_theta);
    ss_get_attr(in, group, "eps", H5T_FLOAT, H5T_NATIVE_DOUBLE, &r->shape.eps);
    r->shape.tied = ss_get_i64(in, group, "tied", 0, 1) != 0;

    int s = 0;
    while (s < 3 && strcmp(status, ss_status_names[s]) != 0)
        s++;
    if (s == 3)
        ss_complain(in, "status '%s' is unknown: results were written by another version", status);
    r->status = (enum ss_status)s;
    struct ss_cell again = *c;
    ss_cell_identify(&again);
    if (strcmp(again.id, c->id) != 0)
        ss_complain(in, "its id is not that of its cell: results were written by another version");
}

/* An int64 of struct ss_pass for each repetition. */
static void get_numbers(struct ss_in *in, hid_t group, struct ss_result *r, const char *name, size_t offset)
{
    hsize_t dim = r->reps;
    int64_t *number = calloc(r->reps + 1, sizeof *number);
    if (!number) {
        ss_complain(in, "no memory for %zu repetitions", r->reps);
        return;
    }
    ss_get_array(in, group, name, H5T_INTEGER, H5T_NATIVE_INT64, 1, &dim, number);
    for (size_t k = 0; k < r->reps && !in->bad; k++)
        memcpy((char *)&r->pass[k] + offset, &number[k], sizeof *number);
    free(number);
}

/* Absent in files from before cells were repeated, whose /config does not say how often: one process. */
static void get_process(struct ss_in *in, hid_t group, struct ss_result *r)
{
    if (in->bad || (H5Lexists(group, ss_store_process.name, H5P_DEFAULT) <= 0 && !ss_pairs_get(&r->config, "processes")))
        return;
    get_numbers(in, group, r, ss_store_process.name, offsetof(struct ss_pass, process));
    for (size_t k = 0; k < r->reps && !in->bad; k++) {
        const int64_t now = r->pass[k].process, before = k > 0 ? r->pass[k - 1].process : 0;
        if (now < before || now > before + 1 || (k == 0 && now != 0))
            ss_complain(in, "dataset %s does not count up", ss_store_process.name);
    }
}

static void get_times(struct ss_in *in, hid_t group, struct ss_result *r)
{
    hsize_t dims[] = {r->reps, SS_N_OPS}, ops = SS_N_OPS;
    uint64_t *column = calloc(r->reps + 1, sizeof(uint64_t[SS_N_OPS]));
    r->pass = calloc(r->reps + 1, sizeof *r->pass);
    if (!column || !r->pass) {
        ss_complain(in, "no memory for %zu repetitions", r->reps);
        free(column);
        return;
    }
    for (int i = 0; i < SS_STORE_TIMES && !in->bad; i++) {
        const struct ss_field *f = &ss_store_times[i];
        hid_t memory = f->is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
        ss_get_array(in, group, f->name, H5T_INTEGER, memory, 1, dims, column);
        for (size_t k = 0; k < r->reps; k++)
            memcpy((char *)&r->pass[k] + f->offset, &column[k], sizeof *column);
        char first[32];
        ss_store_first_name(first, f->name);
        if (r->has_first)
            ss_get_array(in, group, first, H5T_INTEGER, memory, 0, NULL, (char *)&r->first + f->offset);
    }
    get_process(in, group, r);
    if (!in->bad && ss_pairs_get(&r->config, "turns"))
        get_numbers(in, group, r, ss_store_turn.name, offsetof(struct ss_pass, turn));
    ss_get_array(in, group, "time_op", H5T_INTEGER, H5T_NATIVE_UINT64, 2, dims, column);
    for (size_t k = 0; k < r->reps && !in->bad; k++)
        memcpy(r->pass[k].op_ns, &column[k * SS_N_OPS], sizeof r->pass[k].op_ns);
    if (r->has_first)
        ss_get_array(in, group, "first_op", H5T_INTEGER, H5T_NATIVE_UINT64, 1, &ops, r->first.op_ns);
    free(column);
}

static void get_counters(struct ss_in *in, const char *path, struct ss_counters *c, int64_t *peak)
{
    hid_t group = ss_get_object(in, path);
    H5G_info_t info = {0};
    hsize_t expected = SS_N_COUNTERS + (peak ? SS_N_TAGS : 0);
    if (!in->bad && (H5Gget_info(group, &info) < 0 || info.nlinks != expected))
        ss_complain(in, "%s has %d counters, this program %d: results were written by another version", path, (int)info.nlinks,
                    (int)expected);
    for (int i = 0; i < SS_N_COUNTERS; i++)
        ss_get_array(in, group, ss_counter_names[i].name, H5T_INTEGER, H5T_NATIVE_INT64, 0, NULL, ss_counters_array(c) + i);
    for (int i = 0; peak && i < SS_N_TAGS; i++) {
        char name[64];
        snprintf(name, sizeof name, "peak_%s", ss_tag_names[i].name);
        ss_get_array(in, group, name, H5T_INTEGER, H5T_NATIVE_INT64, 0, NULL, peak + i);
    }
    H5Oclose(group);
}

static void get_error(struct ss_in *in, struct ss_result *r)
{
    hid_t group = ss_get_object(in, "cell/error");
    r->has_error = ss_get_i64(in, group, "compared", 0, 1) != 0;
    for (int i = 0; i < SS_STORE_ERRORS && r->has_error; i++)
        ss_get_array(in, group, ss_store_errors[i].name, H5T_FLOAT, H5T_NATIVE_DOUBLE, 0, NULL,
                     (char *)&r->error + ss_store_errors[i].offset);
    H5Oclose(group);
}

static void check_function_names(struct ss_in *in, hid_t group)
{
    struct ss_name names[SS_N_FUNCTIONS];
    for (int f = 0; f < SS_N_FUNCTIONS; f++)
        names[f] = (struct ss_name){.name = ss_function_names[f]};
    ss_get_names(in, group, "function", names, SS_N_FUNCTIONS);
}

static void get_functions(struct ss_in *in, hid_t group, struct ss_result *r)
{
    hsize_t dims[] = {SS_N_FUNCTIONS, SS_ARGUMENT_BINS};
    double column[SS_N_FUNCTIONS];
    r->has_functions = false;
    for (int i = 0; i < SS_STORE_FITS; i++) /* all or none */
        r->has_functions = r->has_functions || ss_get_has(in, group, ss_store_fits[i].name);
    r->has_outside = ss_get_has_with(in, group, ss_store_outside.name, ss_store_arguments_seen.name);
    const bool arguments = ss_get_has_with(in, group, ss_store_arguments.name, "argument");
    if (r->has_functions || arguments)
        check_function_names(in, group);
    for (int i = 0; i < SS_STORE_FITS && r->has_functions; i++) {
        ss_get_array(in, group, ss_store_fits[i].name, H5T_FLOAT, H5T_NATIVE_DOUBLE, 1, dims, column);
        for (int f = 0; f < SS_N_FUNCTIONS && !in->bad; f++)
            memcpy((char *)&r->fit[f] + ss_store_fits[i].offset, &column[f], sizeof column[f]);
    }
    if (r->has_outside) {
        ss_get_array(in, group, ss_store_arguments_seen.name, H5T_INTEGER, H5T_NATIVE_INT64, 1, dims, r->arguments_seen);
        ss_get_array(in, group, ss_store_outside.name, H5T_INTEGER, H5T_NATIVE_INT64, 1, dims, r->outside);
    }
    if (!arguments)
        return;
    r->arguments = calloc(1, sizeof *r->arguments);
    if (!r->arguments)
        ss_complain(in, "no memory for its arguments of functions");
    ss_get_array(in, group, ss_store_arguments.name, H5T_INTEGER, H5T_NATIVE_INT64, 2, dims,
                 r->arguments ? r->arguments->count : NULL);
}

/* Of phase eval: all or none. */
static void get_windows(struct ss_in *in, hid_t group, struct ss_result *r)
{
    const bool measured = ss_cell_evaluates(&r->cell) && r->reps > 0;
    if (in->bad || !measured)
        return;
    hsize_t dims[] = {r->reps, r->cell.tokens};
    double *nats = calloc(r->reps, sizeof *nats);
    int64_t *hits = calloc(r->reps, sizeof *hits);
    r->window = calloc(r->reps, sizeof *r->window);
    if (!nats || !hits || !r->window) {
        ss_complain(in, "no memory for %zu windows", r->reps);
        free(nats);
        free(hits);
        return;
    }
    r->has_plain = ss_get_has(in, group, ss_store_nats[1].name);
    for (int i = 0; i < (r->has_plain ? SS_STORE_SCORES : 1); i++) {
        ss_get_array(in, group, ss_store_nats[i].name, H5T_FLOAT, H5T_NATIVE_DOUBLE, 1, dims, nats);
        ss_get_array(in, group, ss_store_hits[i].name, H5T_INTEGER, H5T_NATIVE_INT64, 1, dims, hits);
        for (size_t k = 0; k < r->reps && !in->bad; k++) {
            memcpy((char *)&r->window[k] + ss_store_nats[i].offset, &nats[k], sizeof *nats);
            memcpy((char *)&r->window[k] + ss_store_hits[i].offset, &hits[k], sizeof *hits);
        }
    }
    free(nats);
    free(hits);
    if (!r->cell.reference || ss_get_length(in, group, "position", 1 << 20) != r->cell.tokens)
        return;
    r->predicted = calloc(r->reps * r->cell.tokens, sizeof *r->predicted);
    if (!r->predicted)
        ss_complain(in, "no memory for the tokens of its windows");
    ss_get_array(in, group, ss_store_predicted.name, H5T_INTEGER, H5T_NATIVE_INT32, 2, dims, r->predicted);
}

static void get_logits(struct ss_in *in, hid_t group, struct ss_result *r)
{
    if (!ss_get_has_with(in, group, "logits", "vocab"))
        return;
    hsize_t vocab = r->shape.vocab;
    r->logits = calloc(vocab > 0 ? vocab : 1, sizeof *r->logits);
    if (!r->logits)
        ss_complain(in, "no memory for %zu logits", r->shape.vocab);
    ss_get_array(in, group, "logits", H5T_FLOAT, H5T_NATIVE_FLOAT, 1, &vocab, r->logits);
}

static void get_cell(struct ss_in *in, struct ss_result *r)
{
    hid_t group = ss_get_object(in, "cell");
    get_identity(in, group, r);
    r->reps = ss_get_length(in, group, "rep", 1 << 24);
    get_times(in, group, r);
    ss_get_names(in, group, "op", ss_op_names, SS_N_OPS);
    ss_get_names(in, group, "dir", ss_dir_names, SS_N_DIRS);
    if (ss_wire_alloc(&r->wire, ss_get_length(in, group, "layer", 1 << 20)) != 0)
        ss_complain(in, "no memory for its layers");
    hsize_t dims[] = {r->wire.layers, SS_N_OPS, SS_N_DIRS};
    ss_get_array(in, group, "wire_bytes", H5T_INTEGER, H5T_NATIVE_INT64, 3, dims, r->wire.bytes);
    ss_get_array(in, group, "wire_rounds", H5T_INTEGER, H5T_NATIVE_INT64, 2, dims, r->wire.rounds);
    get_counters(in, "cell/counters", &r->counters, r->peak);
    get_counters(in, "cell/expected", &r->expected, NULL);
    get_error(in, r);
    get_functions(in, group, r);
    get_windows(in, group, r);
    get_logits(in, group, r);
    H5Oclose(group);
}

static bool get_format(struct ss_in *in)
{
    char format[32] = "";
    hid_t root = ss_get_object(in, "/");
    if (!in->bad && H5Aexists(root, "format") <= 0)
        ss_complain(in, "HDF5, but not a result of shardscale");
    ss_get_string(in, root, "format", format, sizeof format);
    int64_t version = ss_get_i64(in, root, "format_version", 0, INT64_MAX);
    bool many = strcmp(format, SS_STORE_MANY) == 0;
    if (!in->bad && ((!many && strcmp(format, SS_STORE_FORMAT) != 0) || version != SS_STORE_VERSION))
        ss_complain(in, "results were written by another version (%s %d, this program reads %s %d)", format, (int)version,
                    SS_STORE_FORMAT, SS_STORE_VERSION);
    H5Oclose(root);
    return many;
}

static void get_result(struct ss_in *in, struct ss_result *r)
{
    *r = (struct ss_result){0};
    ss_get_pairs(in, "env", &r->env);
    ss_get_pairs(in, "config", &r->config);
    get_cell(in, r);
}

/* The cells of a merged file, each in a group of its id. */
static void get_many(struct ss_in *in, struct ss_result **r, size_t *n)
{
    H5G_info_t info = {0};
    if (!in->bad && (H5Gget_info(in->file, &info) < 0 || info.nlinks > 1 << 20))
        ss_complain(in, "its cells cannot be listed");
    *r = calloc(info.nlinks + 1, sizeof **r);
    SS_REQUIRE(*r);
    for (hsize_t i = 0; i < info.nlinks && !in->bad; i++) {
        char name[24] = "";
        struct ss_result *one = &(*r)[*n];
        if (H5Lget_name_by_idx(in->file, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) < 0)
            ss_complain(in, "its cells cannot be listed");
        in->at = ss_get_object(in, name);
        get_result(in, one);
        if (!in->bad && strcmp(one->cell.id, name) != 0)
            ss_complain(in, "group %s holds cell %s", name, one->cell.id);
        ++*n; /* freed by the caller, whole or not */
        H5Oclose(in->at);
        in->at = in->file;
    }
}

/* many NULL: the file must be that of one cell, which becomes *r. Else *many becomes an array of n. */
static enum ss_err read_file(struct ss_result *r, struct ss_result **many, size_t *n, const char *path)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (access(path, R_OK) != 0)
        SS_FAIL(SS_RESULTS, "%s: %s; delete it and run again", path, strerror(errno));
    enum ss_sealed sealed;
    SS_TRY(ss_seal_check(&sealed, path));
    if (sealed == SS_SEAL_BROKEN)
        SS_FAIL(SS_RESULTS, "%s: damaged, its checksum differs; delete it and run again", path);
    struct ss_in in = {.text = H5Tcopy(H5T_C_S1)};
    H5Tset_size(in.text, H5T_VARIABLE);
    H5Tset_cset(in.text, H5T_CSET_UTF8);
    hid_t plist = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(plist, H5F_CLOSE_STRONG);
    in.at = in.file = H5Fopen(path, H5F_ACC_RDONLY, plist);
    if (in.file < 0)
        ss_complain(&in, "truncated, or not an HDF5 file");
    bool holds_many = get_format(&in);
    if (holds_many && !many)
        ss_complain(&in, "holds many cells, where one is wanted");
    else if (holds_many)
        get_many(&in, many, n);
    else
        get_result(&in, r);
    H5Pclose(plist);
    H5Tclose(in.text);
    H5Fclose(in.file);
    if (!in.bad)
        return SS_OK;
    SS_FAIL(SS_RESULTS, "%s: %s; %s", path, in.complaint,
            many ? "name a results folder, a merged file or a cell's .h5, or make this one again" : "delete it and run again");
}

enum ss_err ss_store_read(struct ss_result *r, const char *path)
{
    *r = (struct ss_result){0};
    enum ss_err err = read_file(r, NULL, NULL, path);
    if (err != SS_OK)
        ss_result_free(r);
    return err;
}

enum ss_err ss_store_read_file(struct ss_result **r, size_t *n, const char *path)
{
    struct ss_result one = {0};
    *r = NULL;
    *n = 0;
    enum ss_err err = read_file(&one, r, n, path);
    for (size_t i = 0; err != SS_OK && i < *n; i++)
        ss_result_free(&(*r)[i]);
    if (err != SS_OK) {
        ss_result_free(&one);
        *n = 0;
    } else if (!*r) {
        *r = malloc(sizeof **r);
        SS_REQUIRE(*r);
        **r = one;
        *n = 1;
    }
    return err;
}
