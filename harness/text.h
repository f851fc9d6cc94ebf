/* text.h — growing text, whole files, and numbers as people write them. */
#ifndef SS_TEXT_H
#define SS_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

/* {0} is the empty text; p is NUL-terminated as soon as it is not NULL. Running out of memory aborts. */
struct ss_text {
    char *p;
    size_t n, cap;
};
void ss_text_add(struct ss_text *t, const char *fmt, ...) SS_PRINTF(2, 3);
void ss_text_append(struct ss_text *t, const char *bytes, size_t n);
/* bytes in base64, as a data: URI wants it. */
void ss_text_base64(struct ss_text *t, const void *bytes, size_t n);
const char *ss_text_str(const struct ss_text *t); /* "" if empty */
void ss_text_free(struct ss_text *t);

/* Appends the whole file, any bytes. SS_RESULTS: cannot be opened or read. */
SS_CHECKED enum ss_err ss_text_read(struct ss_text *t, const char *path);
/* Written to PATH.part and renamed, so that no half a file is ever seen. SS_ENV. */
SS_CHECKED enum ss_err ss_text_write(const struct ss_text *t, const char *path);

/* 521,696 */
void ss_print_count(char *out, size_t size, int64_t value);
/* Four significant digits, thousands separated; 0.00021 as 2.1e-04. */
void ss_print_real(char *out, size_t size, double value);
/* SI: 12.29 kB, 3.087 GB; below 1,000 the exact number. */
void ss_print_bytes(char *out, size_t size, double bytes);
#endif
