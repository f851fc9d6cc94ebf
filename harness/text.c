/* text.c — growing text, whole files, and numbers as people write them. */
#include "harness/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

static void reserve(struct ss_text *t, size_t more)
{
    if (t->n + more + 1 <= t->cap)
        return;
    size_t cap = t->cap ? t->cap : 256;
    while (cap < t->n + more + 1)
        cap *= 2;
    t->p = realloc(t->p, cap);
    SS_REQUIRE(t->p);
    t->cap = cap;
}

void ss_text_add(struct ss_text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    SS_REQUIRE(need >= 0);
    reserve(t, (size_t)need);
    va_start(args, fmt);
    vsnprintf(t->p + t->n, (size_t)need + 1, fmt, args);
    va_end(args);
    t->n += (size_t)need;
}

void ss_text_append(struct ss_text *t, const char *bytes, size_t n)
{
    reserve(t, n);
    if (n)
        memcpy(t->p + t->n, bytes, n);
    t->n += n;
    t->p[t->n] = '\0';
}

void ss_text_base64(struct ss_text *t, const void *bytes, size_t n)
{
    SS_REQUIRE(n < (size_t)1 << 30);
    reserve(t, (n + 2) / 3 * 4);
    t->n += (size_t)EVP_EncodeBlock((unsigned char *)t->p + t->n, bytes, (int)n);
    t->p[t->n] = '\0';
}

const char *ss_text_str(const struct ss_text *t)
{
    return t->p ? t->p : "";
}

void ss_text_free(struct ss_text *t)
{
    free(t->p);
    *t = (struct ss_text){0};
}

enum ss_err ss_text_read(struct ss_text *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        SS_FAIL(SS_RESULTS, "%s: %s", path, strerror(errno));
    char block[16384];
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        ss_text_append(t, block, n);
    bool bad = ferror(f);
    fclose(f);
    if (bad)
        SS_FAIL(SS_RESULTS, "%s: cannot be read: %s", path, strerror(errno));
    ss_text_append(t, "", 0);
    return SS_OK;
}

enum ss_err ss_text_write(const struct ss_text *t, const char *path)
{
    char part[4096];
    int n = snprintf(part, sizeof part, "%s.part", path);
    SS_REQUIRE(n > 0 && (size_t)n < sizeof part);
    FILE *f = fopen(part, "wb");
    if (!f)
        SS_FAIL(SS_ENV, "%s: cannot be written: %s; choose a folder that you may write to", path, strerror(errno));
    bool ok = fwrite(ss_text_str(t), 1, t->n, f) == t->n;
    int why = errno;
    if (fclose(f) != 0) {
        why = errno;
        ok = false;
    }
    if (ok && rename(part, path) != 0) {
        why = errno;
        ok = false;
    }
    if (!ok) {
        remove(part);
        SS_FAIL(SS_ENV, "%s: cannot be written: %s; free disk space, then repeat", path, strerror(why));
    }
    return SS_OK;
}

void ss_print_count(char *out, size_t size, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    size_t n = strlen(digits), first = digits[0] == '-', used = 0;
    for (size_t i = 0; i < n && used + 2 < size; i++) {
        if (i > first && (n - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}

void ss_print_real(char *out, size_t size, double value)
{
    double a = fabs(value);
    if (!isfinite(value))
        snprintf(out, size, "-");
    else if (a >= 1000 && a < 1e15)
        ss_print_count(out, size, llround(value));
    else if (a != 0 && (a < 1e-3 || a >= 1e15))
        snprintf(out, size, "%.2e", value);
    else
        snprintf(out, size, "%.4g", value);
}

void ss_print_bytes(char *out, size_t size, double bytes)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t u = 0;
    double value = bytes;
    while (fabs(value) >= 999.95 && u + 1 < sizeof unit / sizeof unit[0]) {
        value /= 1000;
        u++;
    }
    snprintf(out, size, "%.4g %s", value, unit[u]);
}
