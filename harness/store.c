/* store.c — writes one cell, or the logits of `forward`, as HDF5. */
#include "harness/store_hdf5.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ss_store_path(char *out, size_t size, const char *results_dir, const struct ss_cell *cell)
{
    snprintf(out, size, "%s/cells/%s.h5", results_dir, cell->id);
}

static void put_pairs(struct ss_out *o, const char *name, const struct ss_pairs *pairs)
{
    hid_t group = ss_put_group(o, name);
    for (size_t i = 0; i < pairs->n; i++)
        ss_put_text(o, group, pairs->v[i].key, pairs->v[i].value);
    ss_out_done(group);
}

static void put_identity(struct ss_out *o, hid_t group, const struct ss_result *r)
{
    const struct ss_cell *c = &r->cell;
    ss_put_text(o, group, "id", c->id);
    ss_put_text(o, group, "model", c->model);
    ss_put_text(o, group, "variant", c->variant);
    ss_put_text(o, group, "backend", c->backend);
    ss_put_text(o, group, "phase", c->phase);
    ss_put_text(o, group, "options", c->options);
    ss_put_i64(o, group, "tokens", (int64_t)c->tokens);
    ss_put_attr(o, group, "seed", H5T_STD_U64LE, &c->seed);
    ss_put_i64(o, group, "reference", c->reference);
    ss_put_i64(o, group, "split", c->split);
    ss_put_text(o, group, "status", ss_status_names[r->status]);
    ss_put_text(o, group, "reason", r->reason);
    ss_put_i64(o, group, "has_first", r->has_first);
    ss_put_i64(o, group, "params", (int64_t)r->params);
    for (int i = 0; i < SS_STORE_SHAPE; i++)
        ss_put_attr(o, group, ss_store_shape[i].name, H5T_STD_I64LE, (const char *)&r->shape + ss_store_shape[i].offset);
    ss_put_attr(o, group, "rope_theta", H5T_IEEE_F64LE, &r->shape.rope_theta);
    ss_put_attr(o, group, "eps", H5T_IEEE_F64LE, &r->shape.eps);
    ss_put_i64(o, group, "tied", r->shape.tied);
}

/* Coordinate 0 .. n-1. */
static hid_t put_count(struct ss_out *o, hid_t group, const struct ss_name *name, size_t n)
{
    int64_t *values = malloc((n > 0 ? n : 1) * sizeof *values);
    o->ok = o->ok && values;
    for (size_t i = 0; values && i < n; i++)
        values[i] = (int64_t)i;
    hid_t scale = values ? ss_put_scale(o, group, name, H5T_STD_I64LE, values, n) : H5I_INVALID_HID;
    free(values);
    return scale;
}

/* Coordinate of names; n <= SS_N_OPS. */
static hid_t put_names(struct ss_out *o, hid_t group, const struct ss_name *name, const struct ss_name *of, size_t n)
{
    const char *values[SS_N_OPS];
    for (size_t i = 0; i < n; i++)
        values[i] = of[i].name;
    return ss_put_scale(o, group, name, o->text, values, n);
}

/* Per repetition and, as scalars, of the first pass. */
static void put_times(struct ss_out *o, hid_t group, const struct ss_result *r, hid_t rep, hid_t op)
{
    int64_t *column = malloc((r->reps + 1) * sizeof(int64_t[SS_N_OPS]));
    o->ok = o->ok && column;
    if (!column)
        return;
    for (int i = 0; i < SS_STORE_TIMES && o->ok; i++) {
        const struct ss_field *f = &ss_store_times[i];
        hid_t type = f->is_signed ? H5T_STD_I64LE : H5T_STD_U64LE;
        for (size_t k = 0; k < r->reps; k++)
            memcpy(&column[k], (const char *)&r->pass[k] + f->offset, sizeof *column);
        struct ss_name name = {f->name, f->unit, f->long_name};
        ss_put_array(o, group, &name, type, column, 1, &rep);
        char first[32];
        ss_store_first_name(first, f->name);
        name.name = first;
        if (r->has_first)
            ss_put_array(o, group, &name, type, (const char *)&r->first + f->offset, 0, NULL);
    }
    for (size_t k = 0; k < r->reps && o->ok; k++)
        column[k] = r->pass[k].process;
    ss_put_array(o, group, &ss_store_process, H5T_STD_I64LE, column, 1, &rep);
    for (size_t k = 0; k < r->reps && o->ok; k++)
        column[k] = r->pass[k].turn;
    if (ss_pairs_get(&r->config, "turns"))
        ss_put_array(o, group, &ss_store_turn, H5T_STD_I64LE, column, 1, &rep);
    for (size_t k = 0; k < r->reps && o->ok; k++)
        memcpy(&column[k * SS_N_OPS], r->pass[k].op_ns, sizeof r->pass[k].op_ns);
    ss_put_array(o, group, &(struct ss_name){"time_op", "ns", "time by operation, P0's view"}, H5T_STD_U64LE, column, 2,
                 (hid_t[]){rep, op});
    if (r->has_first)
        ss_put_array(o, group, &(struct ss_name){"first_op", "ns", "time by operation of the first pass"}, H5T_STD_U64LE,
                     r->first.op_ns, 1, &op);
    free(column);
}

/* Of phase eval. */
static void put_windows(struct ss_out *o, hid_t group, const struct ss_result *r, hid_t rep)
{
    int64_t *index = malloc((r->reps + 1) * sizeof *index);
    double *nats = malloc((r->reps + 1) * sizeof *nats);
    if (!index || !nats) {
        o->ok = false;
        free(index);
        free(nats);
        return;
    }
    const int scores = r->has_plain ? SS_STORE_SCORES : 1;
    for (size_t k = 0, in_process = 0; k < r->reps; k++) {
        in_process = k > 0 && r->pass[k].process == r->pass[k - 1].process ? in_process + 1 : 0;
        index[k] = (int64_t)in_process;
    }
    ss_put_array(o, group, &ss_store_window, H5T_STD_I64LE, index, 1, &rep);
    for (int i = 0; i < scores; i++) {
        const struct ss_field *x = &ss_store_nats[i], *hits = &ss_store_hits[i];
        for (size_t k = 0; k < r->reps; k++) {
            memcpy(&nats[k], (const char *)&r->window[k] + x->offset, sizeof *nats);
            memcpy(&index[k], (const char *)&r->window[k] + hits->offset, sizeof *index);
        }
        ss_put_array(o, group, &(struct ss_name){x->name, x->unit, x->long_name}, H5T_IEEE_F64LE, nats, 1, &rep);
        ss_put_array(o, group, &(struct ss_name){hits->name, hits->unit, hits->long_name}, H5T_STD_I64LE, index, 1, &rep);
    }
    free(index);
    free(nats);
    if (!r->predicted)
        return;
    hid_t scale[] = {rep, put_count(o, group, &(struct ss_name){"position", "1", "position in the window"}, r->cell.tokens)};
    ss_put_array(o, group, &ss_store_predicted, H5T_STD_I32LE, r->predicted, 2, scale);
    ss_out_done(scale[1]);
}

/* One scalar dataset per counter, and per tag where peaks are given. */
static void put_counters(struct ss_out *o, const char *path, const struct ss_counters *c, const int64_t *peak)
{
    hid_t group = ss_put_group(o, path);
    for (int i = 0; i < SS_N_COUNTERS; i++)
        ss_put_array(o, group, &ss_counter_names[i], H5T_STD_I64LE, ss_counters_values(c) + i, 0, NULL);
    for (int i = 0; peak && i < SS_N_TAGS; i++) {
        char name[64], title[128];
        snprintf(name, sizeof name, "peak_%s", ss_tag_names[i].name);
        snprintf(title, sizeof title, "peak of %s, all roles", ss_tag_names[i].long_name);
        ss_put_array(o, group, &(struct ss_name){name, "B", title}, H5T_STD_I64LE, peak + i, 0, NULL);
    }
    ss_out_done(group);
}

static void put_error(struct ss_out *o, const struct ss_result *r)
{
    hid_t group = ss_put_group(o, "cell/error");
    ss_put_text(o, group, "reference", "plain fp32");
    ss_put_i64(o, group, "compared", r->has_error);
    for (int i = 0; i < SS_STORE_ERRORS && r->has_error; i++) {
        const struct ss_field *f = &ss_store_errors[i];
        ss_put_array(o, group, &(struct ss_name){f->name, f->unit, f->long_name}, H5T_IEEE_F64LE,
                     (const char *)&r->error + f->offset, 0, NULL);
    }
    ss_out_done(group);
}

static hid_t put_function_names(struct ss_out *o, hid_t group)
{
    return ss_put_scale(o, group, &(struct ss_name){"function", "1", "nonlinear function"}, o->text, ss_function_names,
                        SS_N_FUNCTIONS);
}

/* Of a variant that approximates functions. */
static void put_fits(struct ss_out *o, hid_t group, const struct ss_result *r, hid_t function)
{
    double column[SS_STORE_FITS][SS_N_FUNCTIONS];
    for (int i = 0; i < SS_STORE_FITS && r->has_functions; i++) {
        const struct ss_field *f = &ss_store_fits[i];
        for (int k = 0; k < SS_N_FUNCTIONS; k++)
            memcpy(&column[i][k], (const char *)&r->fit[k] + f->offset, sizeof column[i][k]);
        ss_put_array(o, group, &(struct ss_name){f->name, f->unit, f->long_name}, H5T_IEEE_F64LE, column[i], 1, &function);
    }
    if (!r->has_outside)
        return;
    ss_put_array(o, group, &ss_store_arguments_seen, H5T_STD_I64LE, r->arguments_seen, 1, &function);
    ss_put_array(o, group, &ss_store_outside, H5T_STD_I64LE, r->outside, 1, &function);
}

/* Of a reference. */
static void put_arguments(struct ss_out *o, hid_t group, const struct ss_arguments *a, hid_t function)
{
    double edges[SS_ARGUMENT_BINS];
    for (int i = 0; i < SS_ARGUMENT_BINS; i++)
        edges[i] = ss_arguments_edge(i);
    hid_t scale[] = {function,
                     ss_put_scale(o, group, &(struct ss_name){"argument", "1", "where a bin begins, from zero outwards"},
                                  H5T_IEEE_F64LE, edges, SS_ARGUMENT_BINS)};
    ss_put_array(o, group, &ss_store_arguments, H5T_STD_I64LE, a->count, 2, scale);
    ss_out_done(scale[1]);
}

static void put_cell(struct ss_out *o, const struct ss_result *r)
{
    hid_t group = ss_put_group(o, "cell");
    put_identity(o, group, r);
    hid_t rep = put_count(o, group, &(struct ss_name){"rep", "1", "timed repetition"}, r->reps);
    hid_t layer = put_count(o, group, &(struct ss_name){"layer", "1", "layer; the last entry is what belongs to no layer"},
                            r->wire.layers);
    hid_t op = put_names(o, group, &(struct ss_name){"op", "1", "operation"}, ss_op_names, SS_N_OPS);
    hid_t dir = put_names(o, group, &(struct ss_name){"dir", "1", "sender and receiver"}, ss_dir_names, SS_N_DIRS);
    put_times(o, group, r, rep, op);
    if (r->window)
        put_windows(o, group, r, rep);
    hid_t wire[] = {layer, op, dir};
    ss_put_array(o, group, &(struct ss_name){"wire_bytes", "B", "bytes sent in one pass"}, H5T_STD_I64LE, r->wire.bytes, 3,
                 wire);
    ss_put_array(o, group, &(struct ss_name){"wire_rounds", "rounds", "rounds of one pass"}, H5T_STD_I64LE, r->wire.rounds, 2,
                 wire);
    if (r->logits) {
        hid_t vocab = ss_put_scale(o, group, &(struct ss_name){"vocab", "1", "token id"}, H5T_IEEE_F32LE, NULL, r->shape.vocab);
        ss_put_array(o, group, &(struct ss_name){"logits", "1", "logits of the last position"}, H5T_IEEE_F32LE, r->logits, 1,
                     &vocab);
        ss_out_done(vocab);
    }
    put_counters(o, "cell/counters", &r->counters, r->peak);
    put_counters(o, "cell/expected", &r->expected, NULL);
    put_error(o, r);
    if (r->has_functions || r->arguments) {
        hid_t function = put_function_names(o, group);
        put_fits(o, group, r, function);
        if (r->arguments)
            put_arguments(o, group, r->arguments, function);
        ss_out_done(function);
    }
    ss_out_done(rep);
    ss_out_done(layer);
    ss_out_done(op);
    ss_out_done(dir);
    ss_out_done(group);
}

static void put_format(struct ss_out *o, const char *format)
{
    if (!o->ok)
        return;
    hid_t root = H5Gopen2(o->file, "/", H5P_DEFAULT);
    ss_put_text(o, root, "format", format);
    ss_put_i64(o, root, "format_version", SS_STORE_VERSION);
    ss_out_done(root);
}

static void put_result(struct ss_out *o, const struct ss_result *r)
{
    put_pairs(o, "env", &r->env);
    put_pairs(o, "config", &r->config);
    put_cell(o, r);
}

enum ss_err ss_store_write(const char *results_dir, const struct ss_result *r)
{
    char path[PATH_MAX];
    ss_store_path(path, sizeof path, results_dir, &r->cell);
    SS_REQUIRE(strlen(r->cell.id) == 16);
    struct ss_out o;
    ss_out_open(&o, 256 << 10);
    put_format(&o, SS_STORE_FORMAT);
    put_result(&o, r);
    return ss_out_save(&o, path);
}

enum ss_err ss_store_write_many(const char *path, const struct ss_result *r, size_t n)
{
    struct ss_out o;
    ss_out_open(&o, 4 << 20);
    put_format(&o, SS_STORE_MANY);
    for (size_t i = 0; i < n; i++) {
        SS_REQUIRE(strlen(r[i].cell.id) == 16);
        hid_t group = ss_put_group(&o, r[i].cell.id);
        o.at = group;
        put_result(&o, &r[i]);
        o.at = o.file;
        ss_out_done(group);
    }
    return ss_out_save(&o, path);
}

enum ss_err ss_store_logits(const char *path, const float *logits, size_t sequences, size_t tokens, size_t vocab,
                            const struct ss_pairs *attributes)
{
    struct ss_out o;
    SS_REQUIRE(sequences > 0 && tokens > 0 && vocab > 0);
    ss_out_open(&o, sequences * tokens * vocab * sizeof *logits + (1 << 20)); /* one step: the data and what describes it */
    if (o.ok) {
        hid_t root = H5Gopen2(o.file, "/", H5P_DEFAULT);
        for (size_t i = 0; i < attributes->n; i++)
            ss_put_text(&o, root, attributes->v[i].key, attributes->v[i].value);
        hid_t scale[] = {put_count(&o, root, &(struct ss_name){"sequence", "1", "input sequence"}, sequences),
                         put_count(&o, root, &(struct ss_name){"token", "1", "position"}, tokens),
                         ss_put_scale(&o, root, &(struct ss_name){"vocab", "1", "token id"}, H5T_IEEE_F32LE, NULL, vocab)};
        ss_put_array(&o, root, &(struct ss_name){"logits", "1", "logits"}, H5T_IEEE_F32LE, logits, 3, scale);
        for (int i = 0; i < 3; i++)
            ss_out_done(scale[i]);
        ss_out_done(root);
    }
    return ss_out_save(&o, path);
}
