/* attest.h — attestation evidence: a signed report with the certificate chain of the signing device, in the format of NVIDIA
   Hopper GPUs (NVIDIA nvtrust, guest_tools/gpu_verifiers/local_gpu_verifier is the public reference). A report is

     request (37)     SPDM 1.1 GET_MEASUREMENTS: 0x11, 0xe0, 0x01 (sign), 0xff (all blocks), nonce (32), slot

     response         0x11, 0x60, -, -, blocks (1), record length (3), record, responder's nonce (32), opaque length (2), opaque

     record           per block: index (1), 0x01 (DMTF), size (2), value type (1), value length (2), value

     opaque           fields of type (2), length (2), value; type 20 is the identity (FWID) of the firmware that signs

     signature (96)   ECDSA P-384, r | s big-endian, over SHA-384 of all that stands before it

   integers little-endian (DMTF DSP0274 1.1). The chain is PEM, the signing certificate first, the root last; the signing
   certificate has a DICE extension (2.23.133.5.4.1): version, the issuer's public key, SHA-384 FWID. */
#ifndef SS_ATTEST_H
#define SS_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

enum { SS_ATTEST_NONCE = 32, SS_ATTEST_HASH = 48, SS_REPORT_MAX = 8192, SS_CHAIN_MAX = 5120, SS_BLOCKS_MAX = 255 };

struct ss_evidence {
    size_t report_bytes, chain_bytes;
    uint8_t report[SS_REPORT_MAX];
    char chain[SS_CHAIN_MAX]; /* PEM, not terminated */
};

struct ss_bytes { /* a view */
    const uint8_t *p;
    size_t n;
};
struct ss_report {
    struct ss_bytes nonce, fwid, driver, body, signature; /* body: what is signed; driver: its version as text, may be empty */
    size_t blocks;
    struct ss_bytes measurement[SS_BLOCKS_MAX]; /* by index, from 1 */
};
/* Views into e. Bounds are checked everywhere; why not, or NULL. */
const char *ss_report_parse(struct ss_report *r, const struct ss_evidence *e);

/* X(check, what the user reads). In the order in which they are printed. */
#define SS_CHECKS(X)                                                                                                           \
    X(format, "report format")                                                                                                 \
    X(root, "pinned root")                                                                                                     \
    X(chain, "certificate chain")                                                                                              \
    X(signature, "report signature")                                                                                           \
    X(nonce, "nonce")                                                                                                          \
    X(fwid, "firmware identity")
enum ss_check {
#define X(check, name) SS_CHECK_##check,
    SS_CHECKS(X)
#undef X
        SS_N_CHECKS
};
extern const char *const ss_check_names[SS_N_CHECKS];

struct ss_verdict {
    bool all;
    struct {
        bool held;
        char detail[160]; /* what was found, or why it failed */
    } check[SS_N_CHECKS];
};
/* root_pem: the one certificate that is trusted. nonce: what the report must answer. Every check is made, whatever the others
   say; a measurement is covered by the signature. Not checked, because it needs a network: revocation, and whether the
   measurements are those of good firmware. */
void ss_attest_verify(struct ss_verdict *v, const struct ss_evidence *e, const char *root_pem, size_t root_bytes,
                      const uint8_t nonce[SS_ATTEST_NONCE]);
/* The first check that failed, as "name: detail". */
void ss_verdict_print(char *out, size_t size, const struct ss_verdict *v);

/* ---- who makes evidence */
#define SS_CC_HARDWARE "hardware"
#define SS_CC_EMULATED "emulated"
#define SS_CC_VERIFIED "verified"
#define SS_CC_SOFTWARE "software"
struct ss_attestor {
    const char *cc_mode, *attestation; /* the first and the third of these, or the second and the fourth */
    enum ss_err (*attest)(struct ss_attestor *a, struct ss_evidence *e, const uint8_t nonce[SS_ATTEST_NONCE]);
    void (*close)(struct ss_attestor *a);
    char root[SS_CHAIN_MAX]; /* software: PEM of the root that a client must pin */
    size_t root_bytes;       /* hardware: 0, a client has the vendor's root from elsewhere */
    void *state;
};
/* A P-384 chain of its own, made at random. Measures this program's file: block 1 and the FWID are its SHA-384, block 2 that of
   the commit. Proves nothing to anyone: the machine that it runs on has the key. */
SS_CHECKED enum ss_err ss_attestor_software(struct ss_attestor *a);
/* The GPU that CUDA calls 0, by NVML. Only where confidential computing is on. */
SS_CHECKED enum ss_err ss_attestor_gpu(struct ss_attestor *a);
/* NVML says that confidential computing is on, not in its debugging mode. false without NVML. */
bool ss_attest_gpu_has_cc(void);
void ss_attestor_close(struct ss_attestor *a);
#endif
