/* store_list.c — all results of a campaign. */
#include "harness/store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "0123456789abcdef.h5", nothing else: not a .part, not an editor's copy. */
static int is_cell_name(const struct dirent *entry)
{
    return strspn(entry->d_name, "0123456789abcdef") == 16 && strcmp(entry->d_name + 16, ".h5") == 0;
}

/* strcmp is the wanted order of variants: plain, v2, v3, v3-cc, v3-mpc, v3-ot. */
static int compare(const void *a, const void *b)
{
    const struct ss_result *x = a, *y = b;
    if (x->params != y->params)
        return x->params < y->params ? -1 : 1;
    int order = strcmp(x->cell.model, y->cell.model);
    if (order == 0)
        order = strcmp(x->cell.variant, y->cell.variant);
    if (order != 0)
        return order;
    if (x->cell.tokens != y->cell.tokens)
        return x->cell.tokens < y->cell.tokens ? -1 : 1;
    return strcmp(x->cell.id, y->cell.id);
}

/* The files DIR/cells/<id>.h5. */
static enum ss_err read_folder(struct ss_result **r, size_t *n, const char *results_dir)
{
    char dir[PATH_MAX], path[PATH_MAX + 256];
    struct dirent **entry = NULL;
    enum ss_err err = SS_OK;
    snprintf(dir, sizeof dir, "%s/cells", results_dir);
    int entries = scandir(dir, &entry, is_cell_name, alphasort);
    if (entries < 0 && errno == ENOENT)
        return SS_OK;
    if (entries < 0)
        SS_FAIL(SS_RESULTS, "cannot list %s: %s; check --results", dir, strerror(errno));
    *r = calloc((size_t)entries + 1, sizeof **r);
    if (!*r)
        SS_FAIL_OUT(SS_ENV, "no memory for %d results; close other programs", entries);
    for (int i = 0; i < entries; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, entry[i]->d_name);
        struct ss_result *result = &(*r)[*n];
        enum ss_err one = ss_store_read(result, path);
        if (one == SS_OK && strncmp(result->cell.id, entry[i]->d_name, 16) != 0) {
            one = ss_fail(SS_RESULTS, __FILE__, __LINE__, "%s: holds cell %s; delete it and run again", path, result->cell.id);
            ss_result_free(result);
        }
        *n += one == SS_OK;
        err = one == SS_OK ? err : one;
    }
out:
    for (int i = 0; i < entries; i++)
        free(entry[i]);
    free(entry);
    return err;
}

enum ss_err ss_store_read_all(struct ss_result **r, size_t *n, const char *results)
{
    struct stat s;
    *r = NULL;
    *n = 0;
    bool file = stat(results, &s) == 0 && S_ISREG(s.st_mode);
    enum ss_err err = file ? ss_store_read_file(r, n, results) : read_folder(r, n, results);
    if (*n > 0)
        qsort(*r, *n, sizeof **r, compare);
    return err;
}
