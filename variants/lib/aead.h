/* aead.h — sealed frames: AES-256-GCM (SP 800-38D) by OpenSSL under keys of HKDF-SHA256 (RFC 5869). One stream has one
   direction: an end seals or opens, never both, so the two directions of a session need two secrets.

   Frame: type (4) | key number (4) | length (8) | sequence (8) | ciphertext (length) | tag (16), integers little-endian. The
   first 24 bytes are the associated data. The nonce is the sequence number, 96 bits big-endian; it only ever moves forward,
   also across keys, and lies inside the stream where no caller can set it: a nonce cannot occur twice under one key. */
#ifndef SS_AEAD_H
#define SS_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

enum { SS_AEAD_KEY = 32, SS_AEAD_HEADER = 24, SS_AEAD_TAG = 16, SS_AEAD_OVERHEAD = SS_AEAD_HEADER + SS_AEAD_TAG };
/* The next key is taken before a frame that would go beyond either limit. 2^34 bytes are n = 2^30 blocks: the distance of the
   block cipher from a random function, n^2 / 2^129, stays at 2^-69 a key (SP 800-38D allows 2^32 frames). */
enum { SS_AEAD_FRAMES_A_KEY = 1 << 20 };
#define SS_AEAD_BYTES_A_KEY ((uint64_t)1 << 34)

enum ss_aead_end { SS_AEAD_SEALS, SS_AEAD_OPENS };
struct ss_aead; /* opaque: holds a key and the counter; never copied */

/* frames_a_key: SS_AEAD_FRAMES_A_KEY; both ends must use the same (tests: a small one). The secret may be wiped afterwards. */
SS_CHECKED enum ss_err ss_aead_new(struct ss_aead **a, enum ss_aead_end end, const uint8_t secret[SS_AEAD_KEY],
                                   uint64_t frames_a_key);
void ss_aead_free(struct ss_aead *a); /* wipes; NULL is fine */
/* frame (n + SS_AEAD_OVERHEAD) = plain (n), n < 2^34, with a type of four characters. frame and plain do not overlap. */
SS_CHECKED enum ss_err ss_aead_seal(struct ss_aead *a, uint8_t *frame, const char *type, const void *plain, size_t n);
/* plain (n) from a frame of frame_bytes. Another type, length or place in the stream than is due, or any altered bit: SS_ENV,
   plain is zeroed, and the stream refuses everything from then on. */
SS_CHECKED enum ss_err ss_aead_unseal(struct ss_aead *a, void *plain, size_t n, const char *type, const uint8_t *frame,
                                      size_t frame_bytes);
uint32_t ss_aead_key_number(const struct ss_aead *a); /* keys used so far, less one */

/* RFC 5869 with SHA-256. salt and info may be empty. */
SS_CHECKED enum ss_err ss_hkdf_sha256(uint8_t *out, size_t n, const uint8_t *secret, size_t secret_bytes, const uint8_t *salt,
                                      size_t salt_bytes, const void *info, size_t info_bytes);
#endif
