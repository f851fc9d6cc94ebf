/* attest.c — the report's parser. Every length comes from outside: nothing is read before it was compared with what is left. */
#include "variants/lib/attest.h"

#include <stdio.h>
#include <string.h>

enum { REQUEST = 37, RESPONSE_HEAD = 8, SIGNATURE = 96, FIELD_DRIVER = 3, FIELD_FWID = 20 };

const char *const ss_check_names[SS_N_CHECKS] = {
#define X(check, name) name,
    SS_CHECKS(X)
#undef X
};

/* The next n bytes of what is left, taken off it; {NULL} if there are fewer. */
static struct ss_bytes take(struct ss_bytes *left, size_t n)
{
    if (!left->p || n > left->n)
        return (struct ss_bytes){NULL, 0};
    struct ss_bytes taken = {left->p, n};
    left->p += n;
    left->n -= n;
    return taken;
}

static size_t le(const uint8_t *p, size_t n)
{
    size_t x = 0;
    while (n-- > 0)
        x = x << 8 | p[n];
    return x;
}

static const char *parse_request(struct ss_report *r, struct ss_bytes request)
{
    if (!request.p)
        return "too short for an SPDM request";
    if (request.p[0] != 0x11 || request.p[1] != 0xe0)
        return "does not begin with an SPDM 1.1 GET_MEASUREMENTS request";
    if (request.p[2] != 0x01 || request.p[3] != 0xff)
        return "the request does not ask for all measurements, signed";
    r->nonce = (struct ss_bytes){request.p + 4, SS_ATTEST_NONCE};
    return NULL;
}

static const char *parse_record(struct ss_report *r, struct ss_bytes record, size_t blocks)
{
    for (size_t i = 0; i < blocks; i++) {
        struct ss_bytes head = take(&record, 7);
        if (!head.p)
            return "the measurement record ends within a block";
        const size_t index = head.p[0], value = le(head.p + 5, 2);
        if (index != i + 1 || head.p[1] != 0x01)
            return "a measurement block is out of order or not of DMTF's kind";
        if (le(head.p + 2, 2) != value + 3)
            return "a measurement block's two lengths differ";
        r->measurement[i] = take(&record, value);
        if (!r->measurement[i].p)
            return "the measurement record ends within a block";
    }
    r->blocks = blocks;
    return record.n ? "bytes follow the last measurement block" : NULL;
}

static const char *parse_opaque(struct ss_report *r, struct ss_bytes opaque)
{
    while (opaque.n) {
        struct ss_bytes head = take(&opaque, 4);
        struct ss_bytes value = head.p ? take(&opaque, le(head.p + 2, 2)) : head;
        if (!value.p)
            return "the opaque data end within a field";
        const size_t type = le(head.p, 2);
        struct ss_bytes *to = type == FIELD_FWID ? &r->fwid : type == FIELD_DRIVER ? &r->driver : NULL;
        if (to && to->p)
            return "a field of the opaque data occurs twice";
        if (to)
            *to = value;
    }
    return r->fwid.n == SS_ATTEST_HASH ? NULL : "the opaque data hold no FWID of 48 bytes";
}

const char *ss_report_parse(struct ss_report *r, const struct ss_evidence *e)
{
    *r = (struct ss_report){0};
    if (e->report_bytes > SS_REPORT_MAX)
        return "longer than any report";
    struct ss_bytes left = {e->report, e->report_bytes};
    const char *why = parse_request(r, take(&left, REQUEST));
    if (why)
        return why;
    struct ss_bytes head = take(&left, RESPONSE_HEAD);
    if (!head.p)
        return "too short for an SPDM response";
    if (head.p[0] != 0x11 || head.p[1] != 0x60)
        return "the request is not followed by an SPDM 1.1 MEASUREMENTS response";
    struct ss_bytes record = take(&left, le(head.p + 5, 3));
    if (!record.p)
        return "the measurement record is longer than the report";
    why = parse_record(r, record, head.p[4]);
    if (why)
        return why;
    struct ss_bytes tail = take(&left, SS_ATTEST_NONCE + 2);
    if (!tail.p)
        return "ends before the opaque data";
    struct ss_bytes opaque = take(&left, le(tail.p + SS_ATTEST_NONCE, 2));
    if (!opaque.p)
        return "the opaque data are longer than the report";
    why = parse_opaque(r, opaque);
    if (why)
        return why;
    if (left.n != SIGNATURE)
        return "does not end with a signature of 96 bytes";
    r->body = (struct ss_bytes){e->report, e->report_bytes - SIGNATURE};
    r->signature = left;
    return NULL;
}

void ss_verdict_print(char *out, size_t size, const struct ss_verdict *v)
{
    snprintf(out, size, "every check holds");
    for (int i = SS_N_CHECKS - 1; i >= 0; i--)
        if (!v->check[i].held)
            snprintf(out, size, "%s: %s", ss_check_names[i], v->check[i].detail);
}

void ss_attestor_close(struct ss_attestor *a)
{
    if (a->close)
        a->close(a);
    memset(a, 0, sizeof *a);
}
