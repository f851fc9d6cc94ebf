/* cmd_attest.c — `shardscale attest`: verifies attestation evidence offline and says which check fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "harness/cli.h"
#include "harness/file.h"
#include "variants/lib/attest.h"

static const char usage[] =
    "attest --evidence FILE --root PEM [--nonce HEX]\n\n"
    "Verifies the attestation evidence of NVIDIA Hopper GPUs offline. FILE is JSON: a list of objects (one a GPU) or one "
    "object, with\n"
    "evidence and certificate in base64 and nonce in hex. PEM is the device root certificate to trust. HEX are the 32 bytes "
    "that you\n"
    "asked the evidence for: without them the evidence can be of any age. Exit status: 0 if every check holds, else 1.";

enum { FILE_MAX = 4 << 20 };

/* Base64 of one line, strictly, into at most max bytes. */
static enum ss_err decode(void *out, size_t max, size_t *bytes, const json_t *object, const char *key, const char *path)
{
    const char *text = json_string_value(json_object_get(object, key));
    const char *end = NULL;
    if (!text)
        SS_FAIL(SS_USAGE, "%s: '%s' is missing or no text; evidence has evidence, certificate and nonce", path, key);
    if (sodium_base642bin(out, max, text, strlen(text), NULL, bytes, &end, sodium_base64_VARIANT_ORIGINAL) != 0 || *end)
        SS_FAIL(SS_USAGE, "%s: '%s' is not base64 of at most %zu bytes", path, key, max);
    return SS_OK;
}

static enum ss_err read_hex(uint8_t nonce[SS_ATTEST_NONCE], const char *hex, const char *where)
{
    size_t n = 0;
    const char *end = NULL;
    if (!hex || sodium_hex2bin(nonce, SS_ATTEST_NONCE, hex, strlen(hex), NULL, &n, &end) != 0 || *end || n != SS_ATTEST_NONCE)
        SS_FAIL(SS_USAGE, "%s: the nonce is not 32 bytes in hex (64 digits)", where);
    return SS_OK;
}

/* Text that nobody vouches for: without what could steer a terminal. */
static void print_said(const char *what, const char *text, size_t n, const char *by)
{
    char shown[33];
    size_t i = 0;
    for (; i < n && i + 1 < sizeof shown && text[i]; i++)
        shown[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
    shown[i] = '\0';
    printf("%-11s  %-18s  %s (as the %s says)\n", "", what, shown, by);
}

static void print_facts(const struct ss_evidence *e, const json_t *object)
{
    struct ss_report r;
    const char *arch = json_string_value(json_object_get(object, "arch"));
    if (arch)
        print_said("architecture", arch, strlen(arch), "file");
    if (!ss_report_parse(&r, e) && r.driver.p)
        print_said("driver", (const char *)r.driver.p, r.driver.n, "report");
}

/* asked: what the user gave by --nonce, or NULL. */
static enum ss_err verify(bool *held, const json_t *object, const char *path, const char *root, size_t root_bytes,
                          const uint8_t *asked)
{
    uint8_t nonce[SS_ATTEST_NONCE];
    struct ss_verdict v;
    enum ss_err err = SS_OK;
    struct ss_evidence *e = calloc(1, sizeof *e);
    if (!e)
        SS_FAIL(SS_ENV, "out of memory for a GPU's evidence");
    SS_TRY_OUT(decode(e->report, sizeof e->report, &e->report_bytes, object, "evidence", path));
    SS_TRY_OUT(decode(e->chain, sizeof e->chain, &e->chain_bytes, object, "certificate", path));
    SS_TRY_OUT(read_hex(nonce, json_string_value(json_object_get(object, "nonce")), path));
    ss_attest_verify(&v, e, root, root_bytes, asked ? asked : nonce);
    for (int i = 0; i < SS_N_CHECKS; i++)
        printf("%-11s  %-18s  %s\n", v.check[i].held ? "ok" : "FAIL", ss_check_names[i], v.check[i].detail);
    if (!asked)
        printf("%-11s  %-18s  %s\n", "not checked", "freshness", "the nonce is the file's own; give yours with --nonce");
    printf("%-11s  %-18s  %s\n", "not checked", "revocation", "needs the vendor's server");
    printf("%-11s  %-18s  %s\n", "not checked", "good firmware", "needs the vendor's reference values for the measurements");
    print_facts(e, object);
    *held = *held && v.all;
out:
    free(e);
    return err;
}

static enum ss_err verify_all(bool *held, const char *path, const char *root, size_t root_bytes, const uint8_t *asked)
{
    enum ss_err err = SS_OK;
    char *text = NULL;
    size_t n = 0;
    json_error_t why;
    SS_TRY(ss_file_read(&text, &n, path, FILE_MAX));
    json_t *all = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!all)
        SS_FAIL_OUT(SS_USAGE, "%s: not JSON, line %d: %.100s", path, why.line, why.text);
    const size_t gpus = json_is_array(all) ? json_array_size(all) : 1;
    if (gpus == 0)
        SS_FAIL_OUT(SS_USAGE, "%s: an empty list; nothing is attested", path);
    for (size_t i = 0; i < gpus; i++) {
        if (gpus > 1)
            printf("%sGPU %zu of %zu\n", i ? "\n" : "", i + 1, gpus);
        SS_TRY_OUT(verify(held, json_is_array(all) ? json_array_get(all, i) : all, path, root, root_bytes, asked));
    }
out:
    json_decref(all);
    free(text);
    return err;
}

enum ss_err ss_cmd_attest(int argc, char **argv)
{
    struct ss_cli cli = {0};
    const char *evidence = NULL, *root_path = NULL, *hex = NULL;
    bool done = false, held = true;
    const struct ss_flag flags[] = {{"--evidence", "FILE", SS_FLAG_TEXT, &evidence, "evidence as JSON"},
                                    {"--root", "PEM", SS_FLAG_TEXT, &root_path, "the device root certificate to trust"},
                                    {"--nonce", "HEX", SS_FLAG_TEXT, &hex, "the nonce that you asked for, 64 hex digits"},
                                    {0}};
    struct ss_text_list rest = {0};
    SS_TRY(ss_flags_parse(&cli, usage, flags, argc, argv, &rest, &done));
    if (done)
        return SS_OK;
    SS_TRY(ss_flags_refuse(&cli, argv[0], "--results -E -o"));
    if (rest.n)
        SS_FAIL(SS_USAGE, "attest takes no argument '%s'; see `shardscale attest --help`", rest.v[0]);
    if (!evidence || !root_path)
        SS_FAIL(SS_USAGE, "attest needs --evidence FILE and --root PEM; see `shardscale attest --help`");
    uint8_t asked[SS_ATTEST_NONCE];
    if (hex)
        SS_TRY(read_hex(asked, hex, "--nonce"));
    char *root = NULL;
    size_t root_bytes = 0;
    SS_TRY(ss_file_read(&root, &root_bytes, root_path, FILE_MAX));
    enum ss_err err = verify_all(&held, evidence, root, root_bytes, hex ? asked : NULL);
    free(root);
    SS_TRY(err);
    if (!held)
        SS_FAIL(SS_USAGE, "%s: not verified; the checks marked FAIL do not hold", evidence);
    return SS_OK;
}
