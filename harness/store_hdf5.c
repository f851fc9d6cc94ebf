/* store_hdf5.c — the tables of the layout and the helpers that write HDF5 objects. */
#include "harness/store_hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/disk.h"
#include "harness/seal.h"

const struct ss_field ss_store_times[SS_STORE_TIMES] = {
    {"time_wall", "ns", "wall clock of the pass", offsetof(struct ss_pass, wall_ns), false},
    {"time_online", "ns", "online time, slowest party", offsetof(struct ss_pass, online_ns), false},
    {"time_offline", "ns", "offline time, slowest party", offsetof(struct ss_pass, offline_ns), false},
    {"time_weights", "ns", "weight generation or loading, slowest party", offsetof(struct ss_pass, weights_ns), false},
    {"time_gpu", "ns", "online time by the backend's marks, P0's device", offsetof(struct ss_pass, device_ns), false},
    {"time_party0", "ns", "online time of P0, waiting included", offsetof(struct ss_pass, party_ns[0]), false},
    {"time_party1", "ns", "online time of P1, waiting included", offsetof(struct ss_pass, party_ns[1]), false},
    {"energy", "mJ", "GPU energy over the pass, -1 if unknown", offsetof(struct ss_pass, energy_mj), true},
    {"sm_clock", "MHz", "GPU SM clock at the end of the pass, -1 if unknown", offsetof(struct ss_pass, sm_clock_mhz), true},
};
const struct ss_name ss_store_process = {"process", "1", "fresh process that the repetition ran in"};
const struct ss_name ss_store_turn = {"turn", "1",
                                      "same number: the repetition of the other program that it took turns with; 0: alone"};
const struct ss_field ss_store_shape[SS_STORE_SHAPE] = {
    {"d_model", "1", "model width", offsetof(struct ss_shape, d_model), true},
    {"d_ff", "1", "FFN width", offsetof(struct ss_shape, d_ff), true},
    {"n_layers", "1", "layers", offsetof(struct ss_shape, n_layers), true},
    {"n_heads", "1", "query heads", offsetof(struct ss_shape, n_heads), true},
    {"n_kv", "1", "key/value heads", offsetof(struct ss_shape, n_kv), true},
    {"d_head", "1", "head width", offsetof(struct ss_shape, d_head), true},
    {"vocab", "1", "vocabulary", offsetof(struct ss_shape, vocab), true},
    {"max_seq", "1", "longest trained position", offsetof(struct ss_shape, max_seq), true},
};
const struct ss_field ss_store_errors[SS_STORE_ERRORS] = {
    {"max_abs", "1", "largest absolute difference of logits", offsetof(struct ss_distance, max_abs), true},
    {"rel_l2", "1", "relative L2 distance of logits", offsetof(struct ss_distance, rel_l2), true},
    {"kl", "nat", "KL(reference || this)", offsetof(struct ss_distance, kl), true},
    {"top1", "1", "agreement of the most likely token", offsetof(struct ss_distance, top1), true},
};
const struct ss_field ss_store_fits[SS_STORE_FITS] = {
    {"function_lo", "1", "least argument that the variant's approximation covers", offsetof(struct ss_function_fit, lo), true},
    {"function_hi", "1", "where the arguments that it covers end", offsetof(struct ss_function_fit, hi), true},
    {"function_error", "1", "largest error in between, over all entries: absolute, of recip and rsqrt relative",
     offsetof(struct ss_function_fit, error), true},
};
const struct ss_field ss_store_nats[SS_STORE_SCORES] = {
    {"xent", "nat", "mean cross-entropy of the next token over the window", offsetof(struct ss_window, nats), true},
    {"xent_plain", "nat", "the same of plain fp32, the reference cell", offsetof(struct ss_window, plain_nats), true},
};
const struct ss_field ss_store_hits[SS_STORE_SCORES] = {
    {"top1_next", "1", "positions whose most likely token is the next one", offsetof(struct ss_window, right), true},
    {"top1_plain", "1", "positions whose most likely token is that of plain fp32", offsetof(struct ss_window, agree), true},
};
const struct ss_name ss_store_window = {"window", "1", "window of the text that the repetition evaluated"};
const struct ss_name ss_store_predicted = {"predicted", "1", "most likely token after each position of a window"};
const struct ss_name ss_store_arguments_seen = {"arguments_seen", "1",
                                                "arguments in one pass of plain fp32, the reference cell (no party sees them)"};
const struct ss_name ss_store_outside = {"out_of_range", "1",
                                         "those of them outside function_lo to function_hi, to 1/16 of a power of two"};
const struct ss_name ss_store_arguments = {"arguments", "1", "arguments of functions in one pass, by bin"};
_Static_assert(sizeof(size_t) == 8 && sizeof(double) == 8, "fields of the layout are 64-bit");

void ss_store_first_name(char out[32], const char *name)
{
    snprintf(out, 32, "first_%s", strncmp(name, "time_", 5) == 0 ? name + 5 : name);
}

void ss_store_library(char *out, size_t size)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(out, size, "%u.%u.%u", major, minor, release);
}

/* Notes a failure; returns good. */
static bool check(struct ss_out *o, bool good)
{
    o->ok = o->ok && good;
    return good;
}

/* A creation property list that remembers the order of links and attributes. */
static hid_t ordered(hid_t class)
{
    hid_t plist = H5Pcreate(class);
    if (plist >= 0) {
        H5Pset_link_creation_order(plist, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
        H5Pset_attr_creation_order(plist, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    }
    return plist;
}

void ss_out_open(struct ss_out *o, size_t step)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* HDF5 never prints: we say what happened, once */
    *o = (struct ss_out){.file = H5I_INVALID_HID, .text = H5Tcopy(H5T_C_S1), .ok = true};
    check(o, H5Tset_size(o->text, H5T_VARIABLE) >= 0 && H5Tset_cset(o->text, H5T_CSET_UTF8) >= 0);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = ordered(H5P_FILE_CREATE);
    /* The oldest format that can hold each object (superblock 0), nothing newer than HDF5 1.10 reads. */
    check(o, H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V110) >= 0);
    check(o, H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0);
    check(o, H5Pset_fapl_core(access, step, false) >= 0); /* false: no file behind it */
    if (o->ok)
        o->file = H5Fcreate("memory", H5F_ACC_TRUNC, create, access);
    check(o, o->file >= 0);
    o->at = o->file;
    H5Pclose(access);
    H5Pclose(create);
}

/* The image and its seal, in one file. */
static enum ss_err save_sealed(const char *path, const void *image, size_t bytes)
{
    uint8_t *file = malloc(bytes + SS_SEAL_BYTES);
    if (!file)
        SS_FAIL(SS_ENV, "no memory for %s; close other programs, then repeat", path);
    memcpy(file, image, bytes);
    ss_seal(file + bytes, image, bytes);
    enum ss_err err = ss_disk_replace(path, file, bytes + SS_SEAL_BYTES);
    free(file);
    return err;
}

enum ss_err ss_out_save(struct ss_out *o, const char *path)
{
    /* Superblock 0: version at byte 8, "open for writing" in the consistency flags at bytes 20-23 (HDF5 File Format
       Specification, II.A), which H5Fclose would have cleared. */
    enum { VERSION = 8, FLAGS = 20 };
    void **image = NULL;
    ssize_t bytes = o->ok && H5Fflush(o->file, H5F_SCOPE_GLOBAL) >= 0 ? H5Fget_file_image(o->file, NULL, 0) : -1;
    o->ok = bytes > FLAGS + 4 && H5Fget_vfd_handle(o->file, H5P_DEFAULT, (void **)&image) >= 0;
    o->ok = o->ok && ((char *)*image)[VERSION] == 0;
    enum ss_err err = SS_OK;
    if (!o->ok)
        SS_FAIL_OUT(SS_ENV, "cannot lay out %s in memory; close other programs, then repeat", path);
    memset((char *)*image + FLAGS, 0, 4);
    SS_TRY_OUT(ss_disk_make_parent(path));
    SS_TRY_OUT(save_sealed(path, *image, (size_t)bytes));
out:
    H5Fclose(o->file);
    H5Tclose(o->text);
    return err;
}

hid_t ss_put_group(struct ss_out *o, const char *name)
{
    if (!o->ok)
        return H5I_INVALID_HID;
    hid_t create = ordered(H5P_GROUP_CREATE);
    hid_t group = H5Gcreate2(o->at, name, H5P_DEFAULT, create, H5P_DEFAULT);
    H5Pclose(create);
    check(o, group >= 0);
    return group;
}

void ss_put_attr(struct ss_out *o, hid_t object, const char *name, hid_t type, const void *value)
{
    if (!o->ok)
        return;
    hid_t space = H5Screate(H5S_SCALAR), memory = H5Tget_native_type(type, H5T_DIR_DEFAULT);
    hid_t attr = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (check(o, attr >= 0 && memory >= 0)) {
        check(o, H5Awrite(attr, memory, value) >= 0);
        H5Aclose(attr);
    }
    H5Tclose(memory);
    H5Sclose(space);
}

void ss_put_text(struct ss_out *o, hid_t object, const char *name, const char *text)
{
    ss_put_attr(o, object, name, o->text, &text);
}

void ss_put_i64(struct ss_out *o, hid_t object, const char *name, int64_t value)
{
    ss_put_attr(o, object, name, H5T_STD_I64LE, &value);
}

/* Length of a scale. */
static hsize_t scale_length(hid_t scale)
{
    hsize_t n = 0;
    hid_t space = H5Dget_space(scale);
    H5Sget_simple_extent_dims(space, &n, NULL);
    H5Sclose(space);
    return n;
}

/* A dataset with units and long_name; data NULL: without values. */
static hid_t put_dataset(struct ss_out *o, hid_t group, const struct ss_name *name, hid_t type, const void *data, int rank,
                         const hsize_t *dims)
{
    if (!o->ok)
        return H5I_INVALID_HID;
    hid_t space = rank > 0 ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t memory = H5Tget_native_type(type, H5T_DIR_DEFAULT);
    hid_t set = H5Dcreate2(group, name->name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (check(o, set >= 0)) {
        if (data && H5Sget_simple_extent_npoints(space) > 0)
            check(o, H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
        ss_put_text(o, set, "units", name->unit);
        ss_put_text(o, set, "long_name", name->long_name);
    }
    H5Tclose(memory);
    H5Sclose(space);
    return set;
}

hid_t ss_put_scale(struct ss_out *o, hid_t group, const struct ss_name *name, hid_t type, const void *values, size_t n)
{
    hsize_t dim = n;
    hid_t set = put_dataset(o, group, name, type, values, 1, &dim);
    char title[80]; /* the wording by which netCDF-4 knows a dimension that has no coordinate */
    snprintf(title, sizeof title, "This is a netCDF dimension but not a netCDF variable.%10zu", n);
    if (o->ok)
        check(o, H5DSset_scale(set, values ? name->name : title) >= 0);
    return set;
}

/* Makes scale the coordinate of dimension i, and its name the dimension's label. */
static void attach(struct ss_out *o, hid_t set, unsigned i, hid_t scale)
{
    char path[64] = "";
    check(o, H5Iget_name(scale, path, sizeof path) > 0 && H5DSattach_scale(set, scale, i) >= 0);
    check(o, H5DSset_label(set, i, strrchr(path, '/') ? strrchr(path, '/') + 1 : path) >= 0);
}

void ss_put_array(struct ss_out *o, hid_t group, const struct ss_name *name, hid_t type, const void *data, int rank,
                  const hid_t *scales)
{
    if (!o->ok)
        return;
    hsize_t dims[3] = {0};
    SS_REQUIRE(rank <= 3);
    for (int i = 0; i < rank; i++)
        dims[i] = scale_length(scales[i]);
    hid_t set = put_dataset(o, group, name, type, data, rank, dims);
    for (int i = 0; i < rank && o->ok; i++)
        attach(o, set, (unsigned)i, scales[i]);
    ss_out_done(set);
}

void ss_out_done(hid_t object)
{
    if (object >= 0)
        H5Oclose(object);
}
