/* store_get.h — private to store_read.c: reading pieces of a cell file that have to be as expected. The counterpart of
   store_hdf5.h's ss_put_. */
#ifndef SS_STORE_GET_H
#define SS_STORE_GET_H

#include "harness/store_hdf5.h"

/* A file being read. The first complaint stays, and every later ss_get_ is a no-op. */
struct ss_in {
    hid_t file, text;
    hid_t at; /* file, or the group of one of many cells */
    bool bad;
    char complaint[200];
};

SS_PRINTF(2, 3) void ss_complain(struct ss_in *in, const char *fmt, ...);

/* Group or dataset of `at`; to be closed by H5Oclose. */
hid_t ss_get_object(struct ss_in *in, const char *path);
void ss_get_attr(struct ss_in *in, hid_t object, const char *name, H5T_class_t class, hid_t memory, void *value);
/* Text of an attribute, malloc'ed; NULL after a complaint. */
char *ss_get_text(struct ss_in *in, hid_t object, const char *name);
void ss_get_string(struct ss_in *in, hid_t object, const char *name, char *out, size_t size);
int64_t ss_get_i64(struct ss_in *in, hid_t object, const char *name, int64_t min, int64_t max);
/* All attributes of a group. */
void ss_get_pairs(struct ss_in *in, const char *path, struct ss_pairs *pairs);
/* A whole dataset of the expected class and extent. rank 0: scalar. */
void ss_get_array(struct ss_in *in, hid_t group, const char *name, H5T_class_t class, hid_t memory, int rank,
                  const hsize_t *dims, void *out);
/* Length of the coordinate `name`, at most max. */
size_t ss_get_length(struct ss_in *in, hid_t group, const char *name, size_t max);
/* A coordinate of names must be the list of this version. */
void ss_get_names(struct ss_in *in, hid_t group, const char *name, const struct ss_name *expected, size_t n);
/* What may be absent: of variants that approximate nothing, and of files older than these datasets. */
bool ss_get_has(const struct ss_in *in, hid_t group, const char *name);
/* A dataset and its coordinate come together: one without the other was removed. */
bool ss_get_has_with(struct ss_in *in, hid_t group, const char *name, const char *coordinate);
#endif
