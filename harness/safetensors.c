/* safetensors.c — read-only, memory-mapped checkpoints. The format: 8 bytes little-endian length of the header, the header (a
   JSON object from tensor name to dtype, shape and data_offsets), then the data, which the tensors cover without holes. */
#include "harness/safetensors.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/file.h"

#define FETCH "fetch the file again"
enum { INDEX_BYTES_MAX = 64 << 20, HEADER_BYTES_MAX = 100 << 20 /* of the reference implementation */, SHARDS_MAX = 4096 };

struct mapping {
    char *path;
    void *base;
    size_t bytes;
};
struct ss_safetensors {
    char path[1200];
    size_t n_maps, n;
    struct mapping *maps;
    struct ss_tensor *tensors; /* sorted by name */
};

/* ---- one header */
struct dtype {
    const char *name;
    enum ss_dtype type;
    size_t bytes;
};
static const struct dtype dtypes[] = {
    {"BF16", SS_DT_BF16, 2},  {"F16", SS_DT_F16, 2},       {"F32", SS_DT_F32, 4},       {"I64", SS_DT_I64, 8},
    {"F64", SS_DT_OTHER, 8},  {"U64", SS_DT_OTHER, 8},     {"I32", SS_DT_OTHER, 4},     {"U32", SS_DT_OTHER, 4},
    {"I16", SS_DT_OTHER, 2},  {"U16", SS_DT_OTHER, 2},     {"I8", SS_DT_OTHER, 1},      {"U8", SS_DT_OTHER, 1},
    {"BOOL", SS_DT_OTHER, 1}, {"F8_E4M3", SS_DT_OTHER, 1}, {"F8_E5M2", SS_DT_OTHER, 1}, {"F8_E8M0", SS_DT_OTHER, 1},
};

/* Element i of array a, a whole number not below 0; false otherwise. */
static bool whole(size_t *out, const json_t *a, size_t i)
{
    const json_t *v = json_array_get(a, i);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (size_t)json_integer_value(v);
    return true;
}

/* Fills t from its header entry; data_bytes is what follows the header at data. What is wrong, NULL if nothing. */
static const char *read_entry(struct ss_tensor *t, const char *name, const json_t *entry, const uint8_t *data,
                              size_t data_bytes)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    size_t from, to, bytes = 0;
    if (strlen(name) >= sizeof t->name)
        return "its name is too long";
    strcpy(t->name, name);
    for (size_t i = 0; dtype != NULL && i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtype, dtypes[i].name) == 0) {
            t->dtype = dtypes[i].type;
            bytes = dtypes[i].bytes;
        }
    if (bytes == 0)
        return "its dtype is missing or unknown";
    t->rank = json_array_size(shape);
    if (!json_is_array(shape) || t->rank > 4)
        return "its shape is missing or has more than 4 dimensions";
    for (size_t i = 0; i < t->rank; i++)
        if (!whole(&t->shape[i], shape, i) || __builtin_mul_overflow(bytes, t->shape[i], &bytes))
            return "its shape holds an impossible size";
    if (json_array_size(offsets) != 2 || !whole(&from, offsets, 0) || !whole(&to, offsets, 1) || from > to)
        return "its data_offsets are missing or run backwards";
    if (to > data_bytes)
        return "its data ends behind the end of the file";
    if (to - from != bytes)
        return "its data_offsets disagree with dtype and shape";
    t->data = data + from;
    t->bytes = bytes;
    return NULL;
}

static int by_address(const void *a, const void *b)
{
    const struct ss_tensor *x = a, *y = b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ss_tensor *)a)->name, ((const struct ss_tensor *)b)->name);
}

/* Appends the tensors of one mapped file to st. */
static enum ss_err read_header(struct ss_safetensors *st, const struct mapping *m)
{
    enum ss_err err = SS_OK;
    uint64_t header = 0;
    json_error_t bad;
    const char *name;
    json_t *entry, *o = NULL;
    for (int i = 0; i < 8; i++)
        header |= (uint64_t)((const uint8_t *)m->base)[i] << 8 * i;
    if (header > m->bytes - 8 || header > HEADER_BYTES_MAX)
        SS_FAIL(SS_USAGE, "%s: header of %llu bytes in a file of %zu: cut short or not safetensors; " FETCH, m->path,
                (unsigned long long)header, m->bytes);
    const char *text = (const char *)m->base + 8;
    const uint8_t *data = (const uint8_t *)text + header;
    size_t data_bytes = m->bytes - 8 - (size_t)header, had = st->n;
    o = json_loadb(text, (size_t)header, JSON_REJECT_DUPLICATES, &bad);
    if (!json_is_object(o))
        SS_FAIL_OUT(SS_USAGE, "%s: header is not a JSON object (%.80s); " FETCH, m->path,
                    o == NULL ? bad.text : "another value");
    struct ss_tensor *grown = realloc(st->tensors, (had + json_object_size(o) + 1) * sizeof *grown);
    if (grown == NULL)
        SS_FAIL_OUT(SS_ENV, "%s: no memory for its table of tensors; free some", m->path);
    st->tensors = grown;
    json_object_foreach(o, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        struct ss_tensor *t = &st->tensors[st->n];
        memset(t, 0, sizeof *t);
        const char *why = read_entry(t, name, entry, data, data_bytes);
        if (why != NULL)
            SS_FAIL_OUT(SS_USAGE, "%s: tensor %.120s: %s; " FETCH, m->path, name, why);
        st->n++;
    }
    /* Tensors follow each other without holes or overlaps from the first to the last byte. */
    qsort(st->tensors + had, st->n - had, sizeof *st->tensors, by_address);
    const uint8_t *at = data;
    for (size_t i = had; i < st->n; at += st->tensors[i].bytes, i++)
        if (st->tensors[i].data != at)
            SS_FAIL_OUT(SS_USAGE, "%s: tensor %.120s overlaps another or leaves a hole before it; " FETCH, m->path,
                        st->tensors[i].name);
    if (at != data + data_bytes)
        SS_FAIL_OUT(SS_USAGE, "%s: %zu bytes after the last tensor; " FETCH, m->path, (size_t)(data + data_bytes - at));
out:
    json_decref(o);
    return err;
}

static enum ss_err map(struct ss_safetensors *st, const char *path)
{
    int fd;
    size_t bytes = 0;
    const char *why = ss_file_open(&fd, &bytes, path);
    if (why != NULL)
        SS_FAIL(SS_USAGE, "%s: cannot be read (%s); give a directory with the model's safetensors", path, why);
    if (bytes < 8 + 2) { /* length and "{}" */
        close(fd);
        SS_FAIL(SS_USAGE, "%s: %zu bytes are no safetensors file; " FETCH, path, bytes);
    }
    void *base = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (base == MAP_FAILED)
        SS_FAIL(SS_ENV, "%s: %zu bytes cannot be mapped; raise the limit of address space (ulimit -v)", path, bytes);
    struct mapping *grown = realloc(st->maps, (st->n_maps + 1) * sizeof *grown);
    char *copy = strdup(path);
    if (grown != NULL)
        st->maps = grown;
    if (grown == NULL || copy == NULL) {
        munmap(base, bytes);
        free(copy);
        SS_FAIL(SS_ENV, "%s: no memory for its name; free some", path);
    }
    st->maps[st->n_maps++] = (struct mapping){copy, base, bytes};
    return read_header(st, &st->maps[st->n_maps - 1]);
}

static struct ss_safetensors *new (const char *path)
{
    struct ss_safetensors *st = calloc(1, sizeof *st);
    if (st != NULL)
        snprintf(st->path, sizeof st->path, "%s", path);
    return st;
}

enum ss_err ss_safetensors_open_file(struct ss_safetensors **out, const char *path)
{
    *out = NULL;
    struct ss_safetensors *st = new (path);
    if (st == NULL)
        SS_FAIL(SS_ENV, "%s: no memory; free some", path);
    enum ss_err err = map(st, path);
    if (err != SS_OK) {
        ss_safetensors_close(st);
        return err;
    }
    if (st->n > 0)
        qsort(st->tensors, st->n, sizeof *st->tensors, by_name);
    *out = st;
    return SS_OK;
}

/* ---- shards: the index says which file holds which tensor */
struct wanted {
    const char *tensor, *file;
};

static int by_file(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;
    int files = strcmp(x->file, y->file);
    return files != 0 ? files : strcmp(x->tensor, y->tensor);
}

/* Keeps, of the tensors from had on (one shard's), those that the index places in that shard. */
static enum ss_err keep_wanted(struct ss_safetensors *st, size_t had, const struct wanted *w, size_t n)
{
    size_t kept = had, k = 0;
    qsort(st->tensors + had, st->n - had, sizeof *st->tensors, by_name);
    for (size_t i = had; i < st->n && k < n; i++)
        if (strcmp(st->tensors[i].name, w[k].tensor) == 0) {
            struct ss_tensor t = st->tensors[i];
            st->tensors[kept++] = t;
            k++;
        }
    if (k < n)
        SS_FAIL(SS_USAGE, "%s: tensor %.120s is not in %.120s, where the index places it; " FETCH, st->path, w[k].tensor,
                w[k].file);
    st->n = kept;
    return SS_OK;
}

static enum ss_err read_shards(struct ss_safetensors *st, const char *dir, struct wanted *w, size_t n)
{
    qsort(w, n, sizeof *w, by_file);
    for (size_t i = 0, next; i < n; i = next) {
        char path[1400];
        size_t had = st->n;
        for (next = i; next < n && strcmp(w[next].file, w[i].file) == 0; next++)
            ;
        if (st->n_maps == SHARDS_MAX)
            SS_FAIL(SS_USAGE, "%s: more than %d shards; join some", st->path, SHARDS_MAX);
        snprintf(path, sizeof path, "%s/%s", dir, w[i].file);
        SS_TRY(map(st, path));
        SS_TRY(keep_wanted(st, had, w + i, next - i));
    }
    return SS_OK;
}

static enum ss_err open_index(struct ss_safetensors *st, const char *dir)
{
    enum ss_err err = SS_OK;
    char *text = NULL;
    size_t bytes = 0, n = 0;
    json_error_t bad;
    json_t *o = NULL, *file;
    const char *tensor;
    struct wanted *w = NULL;
    SS_TRY(ss_file_read(&text, &bytes, st->path, INDEX_BYTES_MAX));
    o = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &bad);
    json_t *weight_map = json_object_get(o, "weight_map");
    if (!json_is_object(weight_map))
        SS_FAIL_OUT(SS_USAGE, "%s: no JSON object with a weight_map (%.80s); " FETCH, st->path,
                    o == NULL ? bad.text : "missing");
    w = calloc(json_object_size(weight_map) + 1, sizeof *w);
    if (w == NULL)
        SS_FAIL_OUT(SS_ENV, "%s: no memory for its index; free some", st->path);
    json_object_foreach(weight_map, tensor, file)
    {
        const char *f = json_string_value(file);
        if (f == NULL || *f == '\0' || strchr(f, '/') != NULL || strstr(f, "..") != NULL || strlen(f) > 150)
            SS_FAIL_OUT(SS_USAGE, "%s: weight_map names '%.60s' for %.120s; only plain file names in its directory are allowed",
                        st->path, f != NULL ? f : "(not text)", tensor);
        w[n++] = (struct wanted){tensor, f};
    }
    SS_TRY_OUT(read_shards(st, dir, w, n));
out:
    free(w);
    json_decref(o);
    free(text);
    return err;
}

enum ss_err ss_safetensors_open_dir(struct ss_safetensors **out, const char *dir)
{
    char path[1200];
    *out = NULL;
    if (strlen(dir) > 1024)
        SS_FAIL(SS_USAGE, "%.60s...: path longer than 1024 characters; use a shorter one", dir);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    if (access(path, F_OK) == 0)
        return ss_safetensors_open_file(out, path);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir);
    if (access(path, F_OK) != 0)
        SS_FAIL(SS_USAGE, "%s: neither model.safetensors nor model.safetensors.index.json; give a checkpoint's directory", dir);
    struct ss_safetensors *st = new (path);
    if (st == NULL)
        SS_FAIL(SS_ENV, "%s: no memory; free some", path);
    enum ss_err err = open_index(st, dir);
    if (err != SS_OK) {
        ss_safetensors_close(st);
        return err;
    }
    if (st->n > 0)
        qsort(st->tensors, st->n, sizeof *st->tensors, by_name);
    *out = st;
    return SS_OK;
}

void ss_safetensors_close(struct ss_safetensors *st)
{
    if (st == NULL)
        return;
    for (size_t i = 0; i < st->n_maps; i++) {
        munmap(st->maps[i].base, st->maps[i].bytes);
        free(st->maps[i].path);
    }
    free(st->maps);
    free(st->tensors);
    free(st);
}

const struct ss_tensor *ss_safetensors_find(const struct ss_safetensors *st, const char *name)
{
    struct ss_tensor key;
    if (strlen(name) >= sizeof key.name || st->n == 0)
        return NULL;
    strcpy(key.name, name);
    return bsearch(&key, st->tensors, st->n, sizeof *st->tensors, by_name);
}

const char *ss_safetensors_path(const struct ss_safetensors *st)
{
    return st->path;
}

enum ss_err ss_safetensors_digest(uint8_t digest[32], const struct ss_safetensors *st)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < st->n; i++) {
        const struct ss_tensor *t = &st->tensors[i];
        char head[400];
        int n = snprintf(head, sizeof head, "%s %d %zu %zu %zu %zu %zu %zu\n", t->name, (int)t->dtype, t->rank, t->shape[0],
                         t->shape[1], t->shape[2], t->shape[3], t->bytes);
        ok = EVP_DigestUpdate(md, head, (size_t)n) == 1 && EVP_DigestUpdate(md, t->data, t->bytes) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    if (!ok)
        SS_FAIL(SS_ENV, "OpenSSL cannot compute the SHA-256 of %s", st->path);
    return SS_OK;
}
