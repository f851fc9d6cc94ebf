/* test_aead.c — sealed frames: published vectors, a second implementation, and everything that a wire can do to them. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "harness/err.h"
#include "variants/lib/aead.h"
#include "variants/lib/border.h"

enum { N = 1000, FRAME = N + SS_AEAD_OVERHEAD };

struct pair {
    struct ss_aead *seals, *opens;
};

static struct pair pair_of(const uint8_t key[SS_AEAD_KEY], uint64_t frames_a_key)
{
    struct pair p;
    cr_assert_eq(ss_aead_new(&p.seals, SS_AEAD_SEALS, key, frames_a_key), SS_OK);
    cr_assert_eq(ss_aead_new(&p.opens, SS_AEAD_OPENS, key, frames_a_key), SS_OK);
    return p;
}

static void free_pair(struct pair *p)
{
    ss_aead_free(p->seals);
    ss_aead_free(p->opens);
}

static void from_hex(uint8_t *out, size_t n, const char *hex)
{
    size_t got;
    cr_assert_eq(sodium_hex2bin(out, n, hex, strlen(hex), " ", &got, NULL), 0);
    cr_assert_eq(got, n);
}

/* McGrew and Viega, The Galois/Counter Mode of Operation, test case 14: zero key, zero nonce, one zero block. The nonce of a
   stream's first frame is zero; the associated data changes the tag only. */
Test(aead, first_frame_of_the_zero_key_has_the_published_ciphertext)
{
    static const uint8_t key[SS_AEAD_KEY] = {0}, zeros[16] = {0};
    uint8_t frame[16 + SS_AEAD_OVERHEAD], want[16];
    struct pair p = pair_of(key, 10);
    from_hex(want, sizeof want, "cea7403d4d606b6e074ec5d3baf39d18");
    cr_assert_eq(ss_aead_seal(p.seals, frame, "test", zeros, sizeof zeros), SS_OK);
    cr_assert_arr_eq(frame + SS_AEAD_HEADER, want, sizeof want);
    free_pair(&p);
}

/* libsodium's AES-256-GCM: first against test case 16 of the same paper (60 bytes, 20 of associated data), then as the judge of
   our frames: header as associated data, sequence as nonce, key of this frame. */
Test(aead, frames_equal_those_of_a_second_implementation)
{
    cr_assert_geq(sodium_init(), 0);
    if (!crypto_aead_aes256gcm_is_available())
        cr_skip_test("this CPU has no AES instructions, so libsodium has no AES-256-GCM");
    uint8_t key[32], nonce[12], plain[60], aad[20], want[76], got[76];
    from_hex(key, 32, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    from_hex(nonce, 12, "cafebabefacedbaddecaf888");
    from_hex(plain, 60,
             "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
             "ba637b39");
    from_hex(aad, 20, "feedfacedeadbeeffeedfacedeadbeefabaddad2");
    from_hex(want, 76,
             "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
             "bcc9f662"
             "76fc6ece0f4e1768cddf8853bb2d551b");
    crypto_aead_aes256gcm_encrypt(got, NULL, plain, sizeof plain, aad, sizeof aad, NULL, nonce, key);
    cr_assert_arr_eq(got, want, sizeof want);

    static uint8_t data[N], frame[FRAME], theirs[N + SS_AEAD_TAG];
    struct pair p = pair_of(key, 2);
    uint8_t current[32];
    memcpy(current, key, sizeof current);
    randombytes_buf(data, sizeof data);
    for (uint64_t i = 0; i < 7; i++) {
        const size_t n = N - 100 * i;
        uint8_t next[32];
        if (i > 0 && i % 2 == 0) {
            cr_assert_eq(ss_hkdf_sha256(next, 32, current, 32, NULL, 0, "shardscale aead next key", 24), SS_OK);
            memcpy(current, next, sizeof next);
        }
        memset(nonce, 0, sizeof nonce);
        nonce[11] = (uint8_t)i;
        cr_assert_eq(ss_aead_seal(p.seals, frame, "data", data, n), SS_OK);
        crypto_aead_aes256gcm_encrypt(theirs, NULL, data, n, frame, SS_AEAD_HEADER, NULL, nonce, current);
        cr_assert_arr_eq(frame + SS_AEAD_HEADER, theirs, n + SS_AEAD_TAG, "frame %d", (int)i);
    }
    cr_assert_eq(ss_aead_key_number(p.seals), 3);
    free_pair(&p);
}

/* RFC 5869 appendix A, cases 1 to 3. */
Test(hkdf, gives_the_published_keys)
{
    uint8_t ikm[80], salt[80], info[80], want[82], got[82];
    memset(ikm, 0x0b, 22);
    for (int i = 0; i < 13; i++)
        salt[i] = (uint8_t)i;
    for (int i = 0; i < 10; i++)
        info[i] = (uint8_t)(0xf0 + i);
    from_hex(want, 42, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    cr_assert_eq(ss_hkdf_sha256(got, 42, ikm, 22, salt, 13, info, 10), SS_OK);
    cr_assert_arr_eq(got, want, 42);

    from_hex(want, 42, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    cr_assert_eq(ss_hkdf_sha256(got, 42, ikm, 22, NULL, 0, NULL, 0), SS_OK);
    cr_assert_arr_eq(got, want, 42);

    for (int i = 0; i < 80; i++) {
        ikm[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    from_hex(
        want, 82,
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b83677"
        "93a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
    cr_assert_eq(ss_hkdf_sha256(got, 82, ikm, 80, salt, 80, info, 80), SS_OK);
    cr_assert_arr_eq(got, want, 82);
}

/* RFC 7748, 5.2 and 6.1. */
Test(x25519, gives_the_published_values)
{
    uint8_t a[32], b[32], other[32], got[32], want[32];
    from_hex(a, 32, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    from_hex(other, 32, "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    from_hex(want, 32, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    cr_assert_eq(crypto_scalarmult(got, a, other), 0);
    cr_assert_arr_eq(got, want, 32);

    from_hex(a, 32, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    from_hex(b, 32, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    from_hex(want, 32, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    cr_assert_eq(crypto_scalarmult_base(got, a), 0);
    cr_assert_arr_eq(got, want, 32);
    from_hex(want, 32, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    cr_assert_eq(crypto_scalarmult_base(got, b), 0);
    cr_assert_arr_eq(got, want, 32);

    /* The session's keys are those of the published secret, for both ends. */
    struct ss_border_keys mine, theirs;
    struct ss_evidence *e = calloc(1, sizeof *e);
    uint8_t nonce[32], salt[32], shared[32], key[32];
    memset(nonce, 7, sizeof nonce);
    from_hex(shared, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    cr_assert_eq(ss_border_derive(&mine, a, want, nonce, e), SS_OK);
    cr_assert_eq(crypto_scalarmult_base(other, a), 0);
    cr_assert_eq(ss_border_derive(&theirs, b, other, nonce, e), SS_OK);
    cr_assert_arr_eq(&mine, &theirs, sizeof mine);
    crypto_hash_sha256(salt, nonce, sizeof nonce);
    cr_assert_eq(ss_hkdf_sha256(key, 32, shared, 32, salt, 32, "shardscale client to enclave", 28), SS_OK);
    cr_assert_arr_eq(mine.to_enclave, key, 32);
    cr_assert_neq(memcmp(mine.to_enclave, mine.to_client, 32), 0, "the two directions share a key");

    /* Other evidence, another nonce: other keys. A key of small order: no keys. */
    e->report_bytes = 1;
    cr_assert_eq(ss_border_derive(&theirs, b, other, nonce, e), SS_OK);
    cr_assert_neq(memcmp(mine.to_enclave, theirs.to_enclave, 32), 0);
    e->report_bytes = 0;
    nonce[0] ^= 1;
    cr_assert_eq(ss_border_derive(&theirs, b, other, nonce, e), SS_OK);
    cr_assert_neq(memcmp(mine.to_enclave, theirs.to_enclave, 32), 0);
    ss_set_error_silent(1);
    memset(other, 0, sizeof other);
    cr_assert_eq(ss_border_derive(&theirs, b, other, nonce, e), SS_ENV);
    free(e);
}

/* A stream and `n` frames of it. */
struct stream {
    struct pair p;
    uint8_t data[8][N], frame[8][FRAME], got[N];
};

static struct stream *stream_of(size_t n)
{
    struct stream *s = calloc(1, sizeof *s);
    uint8_t key[SS_AEAD_KEY];
    randombytes_buf(key, sizeof key);
    s->p = pair_of(key, 3);
    for (size_t i = 0; i < n; i++) {
        randombytes_buf(s->data[i], N);
        cr_assert_eq(ss_aead_seal(s->p.seals, s->frame[i], "data", s->data[i], N), SS_OK);
    }
    ss_set_error_silent(1);
    return s;
}

static void free_stream(struct stream *s)
{
    free_pair(&s->p);
    free(s);
}

static void refused(struct stream *s, const char *type, const uint8_t *frame, size_t bytes)
{
    static const uint8_t zeros[N] = {0};
    memset(s->got, 1, N);
    cr_assert_eq(ss_aead_unseal(s->p.opens, s->got, N, type, frame, bytes), SS_ENV);
    cr_assert_arr_eq(s->got, zeros, N, "a refused frame left something to read");
}

Test(aead, frames_come_back_across_keys)
{
    struct stream *s = stream_of(8);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(ss_aead_unseal(s->p.opens, s->got, N, "data", s->frame[i], FRAME), SS_OK, "%s", ss_last_error());
        cr_assert_arr_eq(s->got, s->data[i], N);
    }
    cr_assert_eq(ss_aead_key_number(s->p.opens), 2);
    free_stream(s);
}

Test(aead, an_empty_frame_is_a_frame)
{
    struct stream *s = stream_of(0);
    uint8_t frame[SS_AEAD_OVERHEAD], none[1];
    cr_assert_eq(ss_aead_seal(s->p.seals, frame, "none", none, 0), SS_OK);
    cr_assert_eq(ss_aead_unseal(s->p.opens, none, 0, "none", frame, sizeof frame), SS_OK);
    free_stream(s);
}

/* Every bit of header, ciphertext and tag. */
Test(aead, every_altered_bit_is_refused)
{
    uint8_t key[SS_AEAD_KEY], data[9] = "nine byte", frame[9 + SS_AEAD_OVERHEAD], got[9];
    randombytes_buf(key, sizeof key);
    ss_set_error_silent(1);
    for (size_t bit = 0; bit < 8 * sizeof frame; bit++) {
        struct pair p = pair_of(key, 10);
        cr_assert_eq(ss_aead_seal(p.seals, frame, "data", data, sizeof data), SS_OK);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(ss_aead_unseal(p.opens, got, sizeof got, "data", frame, sizeof frame), SS_ENV, "bit %zu", bit);
        free_pair(&p);
    }
}

Test(aead, a_replayed_frame_is_refused_and_ends_the_stream)
{
    struct stream *s = stream_of(3);
    cr_assert_eq(ss_aead_unseal(s->p.opens, s->got, N, "data", s->frame[0], FRAME), SS_OK);
    refused(s, "data", s->frame[0], FRAME);
    refused(s, "data", s->frame[1], FRAME);
    free_stream(s);
}

Test(aead, reordered_frames_are_refused)
{
    struct stream *s = stream_of(2);
    refused(s, "data", s->frame[1], FRAME);
    free_stream(s);
}

/* The header's numbers are public: writing those that are due over another frame does not help. */
Test(aead, a_frame_with_the_header_of_another_is_refused)
{
    struct stream *s = stream_of(2);
    memcpy(s->frame[1], s->frame[0], SS_AEAD_HEADER);
    refused(s, "data", s->frame[1], FRAME);
    cr_assert(strstr(ss_last_error(), "altered"));
    free_stream(s);
}

Test(aead, truncated_or_lengthened_frames_are_refused)
{
    for (size_t bytes = 0; bytes < FRAME; bytes += bytes < FRAME - 20 ? 97 : 1) {
        struct stream *s = stream_of(1);
        refused(s, "data", s->frame[0], bytes);
        free_stream(s);
    }
    struct stream *s = stream_of(1);
    refused(s, "data", s->frame[0], FRAME + 1);
    free_stream(s);
}

Test(aead, another_type_or_direction_is_refused)
{
    struct stream *s = stream_of(1);
    refused(s, "logi", s->frame[0], FRAME);
    free_stream(s);
    uint8_t keys[2][SS_AEAD_KEY] = {{1}, {2}}, frame[4 + SS_AEAD_OVERHEAD], got[4];
    struct pair to = pair_of(keys[0], 10), back = pair_of(keys[1], 10);
    cr_assert_eq(ss_aead_seal(to.seals, frame, "data", "four", 4), SS_OK);
    cr_assert_eq(ss_aead_unseal(back.opens, got, 4, "data", frame, sizeof frame), SS_ENV, "own frame came back and was taken");
    free_pair(&to);
    free_pair(&back);
}

/* (key, nonce) never occurs twice: equal plaintext gives a new sequence number each time, a new key keeps counting, and the
   number cannot be set from outside (the state is opaque, and neither call takes a nonce). */
Test(aead, no_nonce_occurs_twice)
{
    enum { FRAMES = 2000, EACH = 7 };
    static uint8_t frame[FRAMES][16 + SS_AEAD_OVERHEAD];
    uint8_t key[SS_AEAD_KEY] = {3}, data[16] = {0};
    struct pair p = pair_of(key, EACH);
    for (uint64_t i = 0; i < FRAMES; i++) {
        uint64_t sequence;
        cr_assert_eq(ss_aead_seal(p.seals, frame[i], "data", data, sizeof data), SS_OK);
        memcpy(&sequence, frame[i] + 16, sizeof sequence);
        cr_assert_eq(sequence, i);
        cr_assert_eq(ss_aead_key_number(p.seals), i / EACH);
        for (uint64_t k = 0; k < i; k++)
            cr_assert_neq(memcmp(frame[k] + SS_AEAD_HEADER, frame[i] + SS_AEAD_HEADER, 16), 0, "key stream %d came again",
                          (int)k);
    }
    free_pair(&p);
}

/* Sealing by an end that opens would use the numbers of the other end under its key. */
Test(aead, one_end_does_not_do_the_others_work, .signal = SIGABRT)
{
    uint8_t key[SS_AEAD_KEY] = {0}, frame[4 + SS_AEAD_OVERHEAD];
    struct pair p = pair_of(key, 10);
    (void)!ss_aead_seal(p.opens, frame, "data", "four", 4);
}
