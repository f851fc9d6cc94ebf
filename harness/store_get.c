/* store_get.c — see store_get.h. */
#include "harness/store_get.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ss_complain(struct ss_in *in, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (!in->bad)
        vsnprintf(in->complaint, sizeof in->complaint, fmt, args);
    va_end(args);
    in->bad = true;
}

hid_t ss_get_object(struct ss_in *in, const char *path)
{
    hid_t object = in->bad ? H5I_INVALID_HID : H5Oopen(in->at, path, H5P_DEFAULT);
    if (object < 0)
        ss_complain(in, "%s is missing: results were written by another version, or the file is damaged", path);
    return object;
}

/* true: the type and the extent of an attribute or dataset are as expected. dims NULL: scalar. */
static bool is_like(hid_t type, hid_t space, H5T_class_t class, int rank, const hsize_t *dims)
{
    hsize_t found[4] = {0};
    bool same = type >= 0 && space >= 0 && H5Tget_class(type) == class && H5Sget_simple_extent_ndims(space) == rank;
    if (same && class == H5T_STRING)
        same = H5Tis_variable_str(type) > 0;
    if (same && rank > 0)
        same = H5Sget_simple_extent_dims(space, found, NULL) == rank && memcmp(found, dims, (size_t)rank * sizeof *dims) == 0;
    return same;
}

void ss_get_attr(struct ss_in *in, hid_t object, const char *name, H5T_class_t class, hid_t memory, void *value)
{
    if (in->bad)
        return;
    hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
    if (attr < 0 || !is_like(type, space, class, 0, NULL) || H5Aread(attr, memory, value) < 0)
        ss_complain(in, "attribute %s is missing or not as expected", name);
    H5Tclose(type);
    H5Sclose(space);
    H5Aclose(attr);
}

char *ss_get_text(struct ss_in *in, hid_t object, const char *name)
{
    char *stored = NULL;
    ss_get_attr(in, object, name, H5T_STRING, in->text, &stored);
    char *copy = in->bad ? NULL : strdup(stored ? stored : ""); /* HDF5 reads an empty text as NULL */
    H5free_memory(stored);
    if (!copy)
        ss_complain(in, "attribute %s: no memory", name);
    return copy;
}

void ss_get_string(struct ss_in *in, hid_t object, const char *name, char *out, size_t size)
{
    char *text = ss_get_text(in, object, name);
    if (text && (size_t)snprintf(out, size, "%s", text) >= size)
        ss_complain(in, "attribute %s is longer than %zu bytes", name, size - 1);
    free(text);
}

int64_t ss_get_i64(struct ss_in *in, hid_t object, const char *name, int64_t min, int64_t max)
{
    int64_t value = min;
    ss_get_attr(in, object, name, H5T_INTEGER, H5T_NATIVE_INT64, &value);
    if (!in->bad && (value < min || value > max))
        ss_complain(in, "attribute %s is out of range", name);
    return value;
}

void ss_get_array(struct ss_in *in, hid_t group, const char *name, H5T_class_t class, hid_t memory, int rank,
                  const hsize_t *dims, void *out)
{
    if (in->bad)
        return;
    hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    if (set < 0 || !is_like(type, space, class, rank, dims))
        ss_complain(in, "dataset %s is missing or not as expected", name);
    else if (H5Sget_simple_extent_npoints(space) > 0 && H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        ss_complain(in, "dataset %s cannot be read", name);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
}

size_t ss_get_length(struct ss_in *in, hid_t group, const char *name, size_t max)
{
    hsize_t n = 0;
    hid_t set = in->bad ? H5I_INVALID_HID : H5Dopen2(group, name, H5P_DEFAULT), space = H5Dget_space(set);
    if (set < 0 || H5Sget_simple_extent_ndims(space) != 1 || H5Sget_simple_extent_dims(space, &n, NULL) != 1 || n > max)
        ss_complain(in, "coordinate %s is missing or not as expected", name);
    H5Sclose(space);
    H5Dclose(set);
    return in->bad ? 0 : n;
}

void ss_get_names(struct ss_in *in, hid_t group, const char *name, const struct ss_name *expected, size_t n)
{
    char *found[SS_N_OPS] = {NULL};
    hsize_t dim = n;
    ss_get_array(in, group, name, H5T_STRING, in->text, 1, &dim, found);
    for (size_t i = 0; i < n; i++) {
        if (!in->bad && (!found[i] || strcmp(found[i], expected[i].name) != 0))
            ss_complain(in, "%s %zu is '%s', not '%s': results were written by another version", name, i,
                        found[i] ? found[i] : "", expected[i].name);
        H5free_memory(found[i]);
    }
}

struct pairs_in {
    struct ss_in *in;
    struct ss_pairs *pairs;
};

static herr_t add_pair(hid_t group, const char *name, const H5A_info_t *info, void *data)
{
    (void)info;
    const struct pairs_in *p = data;
    char *value = ss_get_text(p->in, group, name);
    if (value && ss_pairs_add(p->pairs, name, "%s", value) != SS_OK)
        ss_complain(p->in, "attribute %s: no memory", name);
    free(value);
    return p->in->bad ? -1 : 0;
}

void ss_get_pairs(struct ss_in *in, const char *path, struct ss_pairs *pairs)
{
    hid_t group = ss_get_object(in, path);
    struct pairs_in p = {.in = in, .pairs = pairs};
    if (!in->bad && H5Aiterate2(group, H5_INDEX_CRT_ORDER, H5_ITER_INC, NULL, add_pair, &p) < 0)
        ss_complain(in, "attributes of %s cannot be read", path);
    H5Oclose(group);
}

bool ss_get_has(const struct ss_in *in, hid_t group, const char *name)
{
    return !in->bad && H5Lexists(group, name, H5P_DEFAULT) > 0;
}

bool ss_get_has_with(struct ss_in *in, hid_t group, const char *name, const char *coordinate)
{
    const bool there = ss_get_has(in, group, name), other = ss_get_has(in, group, coordinate);
    if (there != other)
        ss_complain(in, "dataset %s is missing or not as expected", there ? coordinate : name);
    return there;
}
