/* store.h — one HDF5 file per cell: written to .part, closed, fsynced, renamed, directory fsynced. The only module that
   includes hdf5.h. Layout: docs/measuring.md. */
#ifndef SS_STORE_H
#define SS_STORE_H

#include "harness/cell.h"

/* DIR/cells/<id>.h5 */
void ss_store_path(char *out, size_t size, const char *results_dir, const struct ss_cell *cell);
SS_CHECKED enum ss_err ss_store_write(const char *results_dir, const struct ss_result *r);
/* SS_RESULTS: unreadable, truncated, wrong layout; names the file. *r is to be freed by ss_result_free. */
SS_CHECKED enum ss_err ss_store_read(struct ss_result *r, const char *path);
/* The cells of one file, a cell's own or one of ss_store_write_many. *r is to be freed in every case; with an error, *n is 0.
 */
SS_CHECKED enum ss_err ss_store_read_file(struct ss_result **r, size_t *n, const char *path);
/* All cells of a campaign, or of one file, sorted by model size, variant order, tokens, id; none if there is no such directory
   yet. Unreadable files: SS_RESULTS, naming each, and *r still holds the others. Each entry and *r itself are to be freed in
   every case. */
SS_CHECKED enum ss_err ss_store_read_all(struct ss_result **r, size_t *n, const char *results);
/* Cells of different ids in one file, /<id>/env, /<id>/config and /<id>/cell; links to other files, which could be missing
   later without an error, are never made. */
SS_CHECKED enum ss_err ss_store_write_many(const char *path, const struct ss_result *r, size_t n);
/* Output of `forward -o`: dataset logits (sequences, tokens, vocab) f32 with dimension scales and attributes of the run. */
SS_CHECKED enum ss_err ss_store_logits(const char *path, const float *logits, size_t sequences, size_t tokens, size_t vocab,
                                       const struct ss_pairs *attributes);
/* Whether one of these could write to path, asked before hours of work: SS_ENV if the disk says no, SS_USAGE if another kind of
   file is there, which would be lost. */
SS_CHECKED enum ss_err ss_store_check(const char *path);
/* Version of the HDF5 library in use, "1.10.8". */
void ss_store_library(char *out, size_t size);
#endif
