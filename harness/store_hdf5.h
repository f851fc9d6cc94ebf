/* store_hdf5.h — private to store*.c: the layout of a cell file as tables, and writing without a word from HDF5. */
#ifndef SS_STORE_HDF5_H
#define SS_STORE_HDF5_H

#include <hdf5.h>
#include <hdf5_hl.h>

#include "harness/store.h"

/* Root attributes by which a file is recognised: one cell in /env, /config and /cell, or many, each in /<id>/env, ... The
   version rises with every change of layout, but not with datasets that may be absent: fits and arguments of functions,
   windows of phase eval, and /cell/process (since cells are repeated; without it, all repetitions ran in one process). */
#define SS_STORE_FORMAT "shardscale cell"
#define SS_STORE_MANY "shardscale cells"
enum { SS_STORE_VERSION = 1 };

enum { SS_STORE_TIMES = 9, SS_STORE_SHAPE = 8, SS_STORE_ERRORS = 4, SS_STORE_FITS = 3, SS_STORE_SCORES = 2 };
/* One 64-bit number of a struct, and the dataset or attribute that holds it. */
struct ss_field {
    const char *name, *unit, *long_name;
    size_t offset;
    bool is_signed;
};
/* Of struct ss_pass, one value per repetition: time_* (uint64, ns), energy and sm_clock (int64, -1: unknown). */
extern const struct ss_field ss_store_times[SS_STORE_TIMES];
extern const struct ss_field ss_store_shape[SS_STORE_SHAPE];   /* size_t of struct ss_shape */
extern const struct ss_field ss_store_errors[SS_STORE_ERRORS]; /* double of struct ss_distance */
extern const struct ss_field ss_store_fits[SS_STORE_FITS];     /* double of struct ss_function_fit */
/* Of struct ss_window, one value per repetition, [0] of the cell, [1] beside its reference: double, int64. */
extern const struct ss_field ss_store_nats[SS_STORE_SCORES], ss_store_hits[SS_STORE_SCORES];
extern const struct ss_name ss_store_window, ss_store_predicted; /* index of the window; ss_result.predicted */
/* By function, both over all and outside its fit; by function and bin. */
extern const struct ss_name ss_store_arguments_seen, ss_store_outside, ss_store_arguments;
extern const struct ss_name ss_store_process; /* ss_pass.process */
extern const struct ss_name ss_store_turn;    /* ss_pass.turn; there if /config has "turns" */
/* "time_wall" -> "first_wall": the same of the first pass. */
void ss_store_first_name(char out[32], const char *name);

/* A file being laid out in memory: HDF5 never touches the disk, because it crashes at exit after a write that failed. `ok`
   falls once and stays down; every put_ is then a no-op, so that a layout is written without a check per line and judged once
   at its end. */
struct ss_out {
    hid_t file, text; /* text: variable-length UTF-8 */
    hid_t at;         /* file, or the group of one of many cells: names begin there */
    bool ok;
};
/* Memory grows in steps of `step` bytes. */
void ss_out_open(struct ss_out *o, size_t step);
/* Closes o and, if all went well, puts the file at path (ss_disk_replace, directories made). */
SS_CHECKED enum ss_err ss_out_save(struct ss_out *o, const char *path);

/* Groups and datasets returned are to be given to ss_out_done. */
hid_t ss_put_group(struct ss_out *o, const char *name);
void ss_put_attr(struct ss_out *o, hid_t object, const char *name, hid_t type, const void *value);
void ss_put_text(struct ss_out *o, hid_t object, const char *name, const char *text);
void ss_put_i64(struct ss_out *o, hid_t object, const char *name, int64_t value);
/* A coordinate `name` of n values; values NULL: a dimension without coordinate, as netCDF marks it. */
hid_t ss_put_scale(struct ss_out *o, hid_t group, const struct ss_name *name, hid_t type, const void *values, size_t n);
/* A dataset over `rank` <= 3 scales (0: scalar). type is the type in the file; data is in the machine's own. */
void ss_put_array(struct ss_out *o, hid_t group, const struct ss_name *name, hid_t type, const void *data, int rank,
                  const hid_t *scales);
void ss_out_done(hid_t object);
#endif
