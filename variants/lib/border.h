/* border.h — the border between the client (P0) and the enclave (P1): an attested key exchange, then sealed frames only.

     P0 -> P1  hello      challenge (32), X25519 public key of this session (32)

     P1 -> P0  evidence   X25519 public key (32), evidence for nonce = SHA-256(label | challenge | P0's key | P1's key)

   P0 verifies the evidence against its pinned root and that nonce before it sends anything: the report is fresh (the challenge
   is P0's) and stands for this enclave's key. Keys: HKDF-SHA256(X25519, salt = SHA-256(nonce | report | chain), info =
   direction); a changed evidence gives other keys. Each direction has its own key (aead.h). All of it is new for every pass. */
#ifndef SS_BORDER_H
#define SS_BORDER_H

#include "harness/ctx.h"
#include "variants/lib/aead.h"
#include "variants/lib/attest.h"
#include "variants/lib/hostwire.h"

enum { SS_X25519 = 32, SS_HELLO_BYTES = SS_ATTEST_NONCE + SS_X25519 };
/* The evidence has a fixed place in its message, so that its length says nothing and can be stated in cost(). */
enum { SS_EVIDENCE_BYTES = SS_X25519 + 8 + SS_REPORT_MAX + SS_CHAIN_MAX };

struct ss_hello {
    uint8_t challenge[SS_ATTEST_NONCE], key[SS_X25519];
};
struct ss_border_keys {
    uint8_t to_enclave[SS_AEAD_KEY], to_client[SS_AEAD_KEY];
};
/* Parts of the exchange, for both ends and for tests. */
SS_CHECKED enum ss_err ss_border_nonce(uint8_t nonce[SS_ATTEST_NONCE], const struct ss_hello *hello,
                                       const uint8_t enclave_key[SS_X25519]);
/* SS_ENV if the other's key is of small order. */
SS_CHECKED enum ss_err ss_border_derive(struct ss_border_keys *k, const uint8_t secret[SS_X25519],
                                        const uint8_t their_key[SS_X25519], const uint8_t nonce[SS_ATTEST_NONCE],
                                        const struct ss_evidence *e);

struct ss_border {
    struct ss_buf evidence;     /* host, keys: struct ss_evidence */
    struct ss_buf message;      /* host, keys: SS_EVIDENCE_BYTES */
    struct ss_buf frame, plain; /* host, buffers: what crosses; P1 on a device: the cleartext on its way to or from it */
    struct ss_aead *out, *in;
    struct ss_attestor attestor; /* P1 */
    char root[SS_CHAIN_MAX];     /* P0: pinned; never what a hardware enclave sent */
    size_t root_bytes;
    struct ss_hostwire wire;
};
/* Both roles, when the session is opened; values: the most floats that cross at once. P1 makes its attestor: the GPU's where
   confidential computing is on, else the software's, whose root it hands to P0 now: that stands for a root which a client has
   from elsewhere, and the enclave is emulated. P0 pins the root in the file that SHARDSCALE_ATTEST_ROOT names wherever P0 runs,
   whatever it is handed; without the file what it is handed; with neither SS_USAGE. Sets cc_mode and attestation of c. */
SS_CHECKED enum ss_err ss_border_open(struct ss_ctx *c, struct ss_border *b, size_t values);
void ss_border_close(struct ss_ctx *c, struct ss_border *b);
/* The exchange, 2 rounds. Evidence that does not hold: SS_ENV at P0 with the check's name. */
SS_CHECKED enum ss_err ss_border_connect(struct ss_ctx *c, struct ss_border *b);
/* One sealed frame of n floats, one round. p is backend memory at P1, host memory at P0. type: four characters. */
SS_CHECKED enum ss_err ss_border_send(struct ss_ctx *c, struct ss_border *b, const char *type, const float *p, size_t n);
SS_CHECKED enum ss_err ss_border_recv(struct ss_ctx *c, struct ss_border *b, const char *type, float *p, size_t n);
#endif
