/* backend.h — where arrays live and who does arithmetic. One const struct ss_backend per file in kernels/.

   Every operation is ordered after the operations issued before it on the same device handle (a CUDA stream; immediate on
   the CPU) and may return before it has finished. Pointers are backend memory unless named h_ (host) or p_ (pinned host).
   Matrices are row-major. u64 arrays are elements of Z_2^64: shares, fixed point with `bits` fractional bits. Outputs must
   not overlap inputs unless a comment says "in place". No operation branches on, or addresses memory by, a ring value. */
#ifndef SS_BACKEND_H
#define SS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

enum ss_type {
    SS_F32,
    SS_BF16,
    SS_U64,  /* ring element */
    SS_I16,  /* ring weight, value = int * 2^-row_bits[row], |int| <= 32512 */
    SS_I8X2, /* the same weight as two int8 planes, w = hi * 256 + lo, lo in [-128,127]: plane lo (rows,cols), then hi */
};
size_t ss_type_bytes(enum ss_type t); /* of one element; I8X2 counts 2 */

/* A public weight matrix, (rows = output features, cols = input features). */
struct ss_matrix {
    enum ss_type type;
    size_t rows, cols;
    const void *data;
    const uint8_t *row_bits;   /* (rows) ring types only: fractional bits of each row, backend memory */
    const uint8_t *h_row_bits; /* the same on the host */
};

/* AES-128 key schedule, as 44 words in the byte order of FIPS-197 (w[i] bytes in memory order). */
struct ss_aes_key {
    uint8_t round_keys[176];
};

struct ss_dev; /* an opened backend for one party: stream, workspace, threads */

enum { SS_MAX_THREADS = 1024 };
struct ss_dev_options {
    int device;  /* CUDA ordinal; 0 on the CPU */
    int threads; /* CPU worker threads of this party, 1 to SS_MAX_THREADS; ignored by CUDA */
};

/* What attention needs to know. k and v of position j, head g lie at cache + (j * n_kv + g) * d_head. */
struct ss_attention {
    size_t tokens; /* query rows */
    size_t past;   /* positions already in the cache before these rows */
    size_t n_heads, n_kv, d_head;
};

/* Geometry of oblivious lookups (variants/lib/lookup.h): N = 2^n_bits table entries, an index of W = n_bits + fine_bits bits.
 */
struct ss_lookup_shape {
    unsigned n_bits;    /* 8..14 */
    unsigned fine_bits; /* s': bits below the step that interpolation uses; 0 with one column */
    unsigned columns;   /* 1: value; 2: intercept and slope per fine unit */
    bool fused;         /* times a second shared value */
};

/* A public table as the backend wants it. planes: the same entries as unsigned bytes of entry + 2^(8 n_planes - 1), least
   significant plane first, intercepts' planes before slopes'; they let a backend sum bytes exactly instead of words. */
struct ss_lookup_table {
    const uint64_t *entries; /* (columns, N) */
    const uint8_t *planes;   /* (n_planes[0] + n_planes[1], N) */
    unsigned n_planes[2];    /* 1..8; [1] = 0 with one column */
};

/* Rows of different lengths behind each other: cols values each, or, with tokens > 0, row i has past + i % tokens + 1 values
   (causal attention: rows = heads * tokens). */
struct ss_ragged {
    size_t rows, cols, tokens, past;
};
/* Length of a row; first value of a row (of row `rows`: number of all values). */
static inline size_t ss_ragged_length(const struct ss_ragged *r, size_t row)
{
    return r->tokens ? r->past + row % r->tokens + 1 : r->cols;
}
static inline size_t ss_ragged_start(const struct ss_ragged *r, size_t row)
{
    if (!r->tokens)
        return row * r->cols;
    const size_t t = r->tokens, i = row % t;
    return row / t * (t * r->past + t * (t + 1) / 2) + i * r->past + i * (i + 1) / 2;
}

enum { SS_MAX_THRESHOLDS = 32 };

struct ss_backend {
    const char *name; /* "cpu", "cuda" */
    const char *about;
    enum ss_type ring_matrix; /* layout in which gemm_ring wants weights: SS_I16 or SS_I8X2 */

    /* Why this backend cannot be used here, NULL if it can. */
    const char *(*unusable)(void);
    /* Devices of this machine: ss_dev_options.device is below it. 1 on the CPU. */
    int (*devices)(void);
    enum ss_err (*open)(struct ss_dev **dev, const struct ss_dev_options *o);
    void (*close)(struct ss_dev *dev);
    /* Free and total memory of the device in bytes (host RAM available to this process on the CPU). */
    void (*memory)(struct ss_dev *dev, size_t *free_bytes, size_t *total_bytes);
    enum ss_err (*alloc)(struct ss_dev *dev, void **p, size_t bytes); /* 64-byte aligned at least; contents undefined */
    void (*free)(struct ss_dev *dev, void *p, size_t bytes, bool wipe);
    enum ss_err (*upload)(struct ss_dev *dev, void *dst, const void *h_src, size_t bytes);   /* h_src may be reused on return */
    enum ss_err (*download)(struct ss_dev *dev, void *h_dst, const void *src, size_t bytes); /* finished on return */
    enum ss_err (*copy)(struct ss_dev *dev, void *dst, const void *src, size_t bytes);
    enum ss_err (*sync)(struct ss_dev *dev);

    /* Stream-ordered time: mark(slot) notes the moment at which all earlier work is done; span_ns after a sync. */
    enum ss_err (*mark)(struct ss_dev *dev, size_t slot);
    uint64_t (*span_ns)(struct ss_dev *dev, size_t from, size_t to);

    /* Names the work that follows for a profiler (NVTX range), until the next call; name NULL ends it. NULL: no profiler. */
    void (*range)(struct ss_dev *dev, const char *name, size_t layer);

    /* Order between two devices' streams: wait(b) makes b's later work wait for what a had issued at record(a). */
    enum ss_err (*fence_new)(struct ss_dev *dev, void **fence);
    void (*fence_free)(struct ss_dev *dev, void *fence);
    enum ss_err (*fence_record)(struct ss_dev *dev, void *fence);
    enum ss_err (*fence_wait)(struct ss_dev *dev, void *fence);

    /* ---- weights: rows [row0, row0 + rows) of a synthetic matrix with `cols` columns (philox.h), in the wanted type.
       scale_bits: value = int * 2^-scale_bits. dst has room for total_rows rows (needed to find the second I8X2 plane);
       its row dst_row0 receives row row0. Types: SS_BF16, SS_I16, SS_I8X2, SS_F32. */
    enum ss_err (*synth)(struct ss_dev *dev, void *dst, enum ss_type type, size_t total_rows, size_t dst_row0, uint64_t seed,
                         uint64_t stream, size_t row0, size_t rows, size_t cols, unsigned scale_bits);

    /* ---- cleartext. `act` is the type of what feeds a matrix product: SS_F32 or SS_BF16 (rounded to nearest even).
       rmsnorm, rope, attention and silu_mul give the same bits on every backend: each step below is one rounded fp32 operation
       (kernels/exact.h), no multiply-add is fused, and every sum has the order stated. sum4(a, b, c, d) = (a + b) + (c + d).
       "Halves" of 2^n values: v[i] += v[i + n/2] for i < n/2, and so on down to v[0]. gemm is not part of this. */
    /* out (m, w.rows) f32 = a (m, w.cols) of type act * w^T [+ bias (w.rows)] [+ out if accumulate]; w is SS_F32 or SS_BF16;
       fp32 accumulation. act SS_F32 must be computed in fp32 (or better) whatever w's type. */
    enum ss_err (*gemm)(struct ss_dev *dev, float *out, const void *a, enum ss_type act, size_t m, const struct ss_matrix *w,
                        const float *bias, bool accumulate);
    /* out (rows, d) of type act = (x * s) * gain, s = (float)(1 / sqrt(squares / d + eps)). squares, in double: element i is
       squared onto sum i % 2048 in rising i; four neighbours by sum4; 32 of those by halves; the 16 results by halves. */
    enum ss_err (*rmsnorm)(struct ss_dev *dev, void *out, enum ss_type act, const float *x, const float *gain, size_t rows,
                           size_t d, double eps);
    /* In place: rotates the first `heads` heads of each row of x (rows, stride) by position pos0 + row; halves layout of
       Hugging Face Qwen2: pair (i, i + d_head/2), angle pos * theta^(-2i/d_head), angles, cos and
       sin in double by the host's libm, rounded to float: lo = lo * cos - hi * sin, hi = hi * cos + lo * sin. */
    enum ss_err (*rope)(struct ss_dev *dev, float *x, size_t rows, size_t stride, size_t heads, size_t d_head, size_t pos0,
                        double theta);
    /* qkv (tokens, (n_heads + 2 n_kv) d_head), rotated. Appends k, v to the caches at `past`, then causal grouped-query
       attention with scale 1/sqrt(d_head): out (tokens, n_heads d_head) of type act. Row i sees positions <= past + i.
       score = sum over rising groups of four dimensions (d_head filled up with zeros) of sum4 of the products (q * scale) * k.
       The positions lie in blocks of ss_attend_block(tokens, past), a block in tiles of 32. Along a block's tiles: top =
       largest score so far, at first -1e30; keep = exp(old top - top), weight = exp(score - top), 0 where the row may not see;
       sum[lane] = sum[lane] * keep + weight, lane = position in the tile; acc = acc * keep, then acc += sum4(weight * v) for
       each four positions in turn. At the end the 32 sums by halves. The blocks are joined in rising order:
       f = exp(top of the block - largest top), total = sum of f * sum, y = sum of f * acc, the first terms not added to 0;
       out = y / total + 0 (so that a zero is +0). */
    enum ss_err (*attention)(struct ss_dev *dev, void *out, enum ss_type act, const float *qkv, float *k_cache, float *v_cache,
                             const struct ss_attention *p);
    /* out (rows, d_ff) of type act = (gate / (1 + exp(-gate))) * up, gate_up (rows, 2 d_ff) = [gate | up] */
    enum ss_err (*silu_mul)(struct ss_dev *dev, void *out, enum ss_type act, const float *gate_up, size_t rows, size_t d_ff);

    /* ---- ring Z_2^64 */
    /* out (m, w.rows) = a (m, w.cols) * w^T mod 2^64, w of type ring_matrix */
    enum ss_err (*gemm_ring)(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w);
    enum ss_err (*ring_add)(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b,
                            size_t n); /* out may be a or b */
    enum ss_err (*ring_sub)(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b,
                            size_t n); /* out may be a or b */
    enum ss_err (*ring_mul)(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b,
                            size_t n); /* out may be a or b */
    /* x (rows, cols) += round(bias[j] * 2^(bits + col_bits[j])); col_bits may be NULL (all 0). In place. Round half even. */
    enum ss_err (*ring_add_bias)(struct ss_dev *dev, uint64_t *x, const float *bias, size_t rows, size_t cols, unsigned bits,
                                 const uint8_t *col_bits);
    /* out = round(x * 2^bits) as two's complement, round half even; |x * 2^bits| < 2^62 is the caller's duty */
    enum ss_err (*ring_encode)(struct ss_dev *dev, uint64_t *out, const float *x, size_t n, unsigned bits);
    /* out (rows, cols) = signed(a + b) * 2^-(bits + col_bits[j]); b may be NULL (a is the value), col_bits may be NULL */
    enum ss_err (*ring_decode)(struct ss_dev *dev, float *out, const uint64_t *a, const uint64_t *b, size_t rows, size_t cols,
                               unsigned bits, const uint8_t *col_bits);
    /* Slack truncation (Escudero et al., CRYPTO'20, fig. 10), party's halves; m_j = m + (col_m ? col_m[j] : 0) in 1..61.
       trunc_open: c = x + r [+ 2^62 on party 0]. trunc_close: c0 + c1 is the opened value;
       out = [party 0](c' >> m_j) - rt + (cm + rm - 2 cm rm) 2^(63-m_j) - [party 0] 2^(62-m_j), public terms on party 0 only,
       with cm = c >> 63, c' = c mod 2^63. accumulate adds onto out. */
    enum ss_err (*trunc_open)(struct ss_dev *dev, uint64_t *c, const uint64_t *x, const uint64_t *r, size_t n, int party);
    enum ss_err (*trunc_close)(struct ss_dev *dev, uint64_t *out, const uint64_t *c0, const uint64_t *c1, const uint64_t *rt,
                               const uint64_t *rm, size_t rows, size_t cols, unsigned m, const uint8_t *col_m, int party,
                               bool accumulate);
    /* Dealer's side of it: r = r0 + r1; rt1 = ((r mod 2^63) >> m_j) - rt0; rm1 = (r >> 63) - rm0. */
    enum ss_err (*trunc_deal)(struct ss_dev *dev, uint64_t *rt1, uint64_t *rm1, const uint64_t *r0, const uint64_t *r1,
                              const uint64_t *rt0, const uint64_t *rm0, size_t rows, size_t cols, unsigned m,
                              const uint8_t *col_m);
    /* AES-128-CTR keystream: block i of out is AES(key, nonce || be64(first_block + i)); n words, each 8 keystream bytes
       little-endian; first word at the start of block first_block. nonce is 8 bytes, most significant first. */
    enum ss_err (*prg_fill)(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                            uint64_t first_block);
    /* out = AES(key, in) ^ in, block by block of 16 bytes, in the calling thread: several may call at once with one handle. For
       code that works in host memory; NULL where the backend's is another. */
    enum ss_err (*aes_mmo)(struct ss_dev *dev, void *out, const void *in, size_t blocks, const struct ss_aes_key *key);
    /* ---- oblivious lookups. (bits: (n, N / 64) words, bit i of word i / 64 at i % 64; no memory access depends on them.) */
    /* Dealer: DPF keys (Boyle, Gilboa, Ishai, CCS 2016, fig. 1; early termination at 128-bit leaves) for the points
       r = ((b0 + b1) >> fine_bits) mod N. Node: 128 bits, its low two bits cleared for the seed; H_t(s) = AES(key, s | t) ^ (s
       | t) with t = 0 left, 1 right, 2 leaf; bit 0 of a child is its control bit. root0, root1 (n, 2) words, low two bits
       ignored. cw (n, levels + 1, 2): per level the seed correction with control corrections in bit 0 (left) and 1 (right),
       then the leaf's; levels = n_bits - 7. sign (n): 1 if party 0's bit at r is 1, else -1. */
    enum ss_err (*dpf_gen)(struct ss_dev *dev, uint64_t *cw, uint64_t *sign, const uint64_t *root0, const uint64_t *root1,
                           const uint64_t *b0, const uint64_t *b1, size_t n, const struct ss_lookup_shape *s,
                           const struct ss_aes_key *key);
    /* Party: the N bits of each key. */
    enum ss_err (*dpf_eval)(struct ss_dev *dev, uint64_t *bits, const uint64_t *root, const uint64_t *cw, size_t n,
                            unsigned n_bits, const struct ss_aes_key *key, int party);
    /* Dealer: bits1 = bits0 ^ unit vector at r, sign as in dpf_gen. */
    enum ss_err (*onehot_deal)(struct ss_dev *dev, uint64_t *bits1, uint64_t *sign, const uint64_t *bits0, const uint64_t *b0,
                               const uint64_t *b1, size_t n, const struct ss_lookup_shape *s);
    /* Dealer: coef1 (coefs, n) = coefficients of lookup.h - coef0; mask0, mask1 (masks, n). */
    enum ss_err (*lookup_deal)(struct ss_dev *dev, uint64_t *coef1, const uint64_t *coef0, const uint64_t *sign,
                               const uint64_t *b0, const uint64_t *b1, const uint64_t *mask0, const uint64_t *mask1, size_t n,
                               const struct ss_lookup_shape *s);
    /* e (rows, cols) = ((x + [party 0] offset[j] mod 2^(m_j + W)) >> m_j) + [party 0, m_j > 0] 1 - b mod 2^W, m_j = m +
       (col_m ? col_m[j] : 0), offset[j] = lo << (col_m ? col_m[j] : 0); x has rows of x_stride words. */
    enum ss_err (*lookup_index)(struct ss_dev *dev, uint32_t *e, const uint64_t *x, size_t x_stride, const uint64_t *b,
                                size_t rows, size_t cols, unsigned m, const uint8_t *col_m, uint64_t lo,
                                const struct ss_lookup_shape *s, int party);
    /* e = e0 + e1 mod 2^W; V_c = +-sum_i T_c[(i + (e >> fine_bits)) mod N] bits_i (minus on party 1);
       w (n) = V_0 + (e mod 2^fine_bits) V_1 - mask[0], v (n) = V_1 - mask[1]; one column: w = V_0 - mask[0], v unused. */
    enum ss_err (*lookup_sum)(struct ss_dev *dev, uint64_t *w, uint64_t *v, const uint64_t *bits, const uint32_t *e0,
                              const uint32_t *e1, const uint64_t *mask, const struct ss_lookup_table *t, size_t n,
                              const struct ss_lookup_shape *s, int party);
    /* out (n) = share of the result from the opened (masks, n) words o0 + o1 = w, [v], [q]: w c0 + v c3 + c2, or fused
       w q c0 + w c1 + q c2 + v q c3 + v c4 + c5. */
    enum ss_err (*lookup_close)(struct ss_dev *dev, uint64_t *out, const uint64_t *o0, const uint64_t *o1, const uint64_t *coef,
                                size_t n, const struct ss_lookup_shape *s);

    /* ---- products of shares. out (rows, cols) = a - b, rows of a_stride words in a; out and b dense; b may be NULL (0). */
    enum ss_err (*ring_sub_rows)(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t a_stride, const uint64_t *b,
                                 size_t rows, size_t cols);
    /* out (rows, cols) = (d0 + d1) y + a (e0 + e1) + c, element-wise; d0, d1, a (cols) the same in all rows; e1 may be NULL
       (0); out may be y, e0, e1 or c, and with one row any operand. With y = share of the second factor, d = x - a and e = y -
       b opened, c = ab dealt: the share of x y (Beaver). */
    enum ss_err (*ring_beaver)(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *y,
                               const uint64_t *a, const uint64_t *e0, const uint64_t *e1, const uint64_t *c, size_t rows,
                               size_t cols);
    /* out (rows) = sum over the row of (d0 + d1)^2 [party 0] + 2 (d0 + d1) a, + c (rows): sum of x^2 if c shares sum of a^2. */
    enum ss_err (*ring_square_sum)(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *a,
                                   const uint64_t *c, size_t rows, size_t cols, int party);
    /* out[values of row i] = in[i]; out (rows) = sums of rows. */
    enum ss_err (*ring_spread)(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r);
    enum ss_err (*ring_row_sums)(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r);
    /* In place: x (rows, cols) *= g[j] */
    enum ss_err (*ring_scale_cols)(struct ss_dev *dev, uint64_t *x, const uint64_t *g, size_t rows, size_t cols);
    /* In place: rotates `heads` heads of each row of x (rows, stride) as rope does, by integers cs (rows, 2, d_head / 2):
       cosines, sines; column j is first multiplied by 2^up[j], up (heads d_head). */
    enum ss_err (*ring_rope)(struct ss_dev *dev, uint64_t *x, size_t rows, size_t stride, size_t heads, size_t d_head,
                             const int32_t *cs, const uint8_t *up);
    /* out (n_heads, causal rows) [+]= q k^T: q (tokens, q_stride), head h at h d_head; k (past + tokens, k_stride), head g. */
    enum ss_err (*gemm_u64_scores)(struct ss_dev *dev, uint64_t *out, const uint64_t *q, size_t q_stride, const uint64_t *k,
                                   size_t k_stride, const struct ss_attention *p, bool accumulate);
    /* out (tokens, n_heads d_head) [+]= p v: p (n_heads, causal rows), v (past + tokens, v_stride). */
    enum ss_err (*gemm_u64_values)(struct ss_dev *dev, uint64_t *out, const uint64_t *w, const uint64_t *v, size_t v_stride,
                                   const struct ss_attention *p, bool accumulate);
    /* One level of the tournament maximum over rows of x. Rows keep their values in front: pairs (2k, 2k + 1) of each row, in
       row order. tournament_split: diff = first - second of each pair. tournament_join: value k of the row = second + won;
       an odd last value moves along. in and out are packed by their level's lengths: row i has ceil(len_i / 2^level) values. */
    enum ss_err (*tournament_split)(struct ss_dev *dev, uint64_t *diff, const uint64_t *x, const struct ss_ragged *r,
                                    unsigned level);
    enum ss_err (*tournament_join)(struct ss_dev *dev, uint64_t *out, const uint64_t *x, const uint64_t *won,
                                   const struct ss_ragged *r, unsigned level);

    /* ---- comparisons. XOR shares of bits lie sliced: n values take G = ceil(n / 64) words a bit, bit i % 64 of word i / 64
       belongs to value i; values n and up count as 0 and are masked like the others. T: thresholds, 1..SS_MAX_THRESHOLDS. */
    /* out (bits, G) = bits 0 .. bits - 1 of a + b mod 2^64, xor with (bits, G); b and with may be NULL (0), out may be with. */
    enum ss_err (*bits_slice)(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, const uint64_t *with,
                              size_t n, unsigned bits);
    /* The carry into bit `bits` - 1 of C_k + m, C_k = c0 + c1 - (t[k] << (shift ? shift[i % cols] : 0)), n = rows x cols
       values, m (bits, G) a party's share of the mask's bits, words = T G. Of bits a .. b, g is the carry that they make and p
       whether they pass one on. Bits 0 .. bits - 2 in blocks of four (the last may be shorter) are the tree's positions: their
       g and p are public combinations, C being public, of m's bits and the dealt products of a block's mask bits. Bit `bits` -
       1 of C xor m enters the last one's g, so that the root's g is the top bit of C_k + m. What is public enters on party 0
       only. A level joins positions 4k .. 4k + 3 (the last: what is left) to k: g' = g_3 xor p_3 (g_2 xor p_2 (g_1 xor p_1
       g_0)), p' = p_3 p_2 p_1 p_0; one position moves along; position 0's p' is never used and not made.
       Rows (of `words` words) of a level, node behind node; n: positions of a node; kernels/carry.h counts them:
       masks: p_1 .. p_(n - 1), g_0 .. g_(n - 2), p_0 (node 0: not). message (the same) = value xor mask; with one position:
       masks and message hold its g. Masks lie level behind level, the root's last. kept: g_(n - 1) of every node; p of one that
       moves along. products: shares of the products of masks(v), v the subsets of p_1 .. p_(n - 1) as numbers, rising: of two
       members and more; then with g_j, j from 0, every v of p_(j + 1) .. and at least one member; with p_0 every such v.
       Products of a block of mask bits, (ss_block_products(bits - 1), G): of every subset of two bits and more, rising.
       carry_leaves: kept and message of the leaves; masks from their level on; h_t is on the host. carry_join: kept_out and
       message_out of the next level, from both messages of this one. out and in may not overlap. */
    enum ss_err (*carry_leaves)(struct ss_dev *dev, uint64_t *kept, uint64_t *message, const uint64_t *c0, const uint64_t *c1,
                                const uint64_t *m, const uint64_t *products, const uint64_t *masks, const uint64_t *h_t,
                                unsigned thresholds, const uint8_t *shift, size_t rows, size_t cols, unsigned bits, int party);
    enum ss_err (*carry_join)(struct ss_dev *dev, uint64_t *kept_out, uint64_t *message_out, const uint64_t *kept,
                              const uint64_t *mine, const uint64_t *theirs, const uint64_t *masks, const uint64_t *products,
                              size_t count, size_t words, int party);
    /* Dealer: products1 = products of masks0 xor masks1, xor products0; layouts as above: of a level of `count` positions, and
       of `bits` bits m0 xor m1 (bits, words) in blocks. */
    enum ss_err (*carry_deal)(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *masks0,
                              const uint64_t *masks1, size_t count, size_t words);
    enum ss_err (*block_deal)(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *m0,
                              const uint64_t *m1, size_t bits, size_t words);
    /* Opened e = e0 xor e1 (T, G) = s xor rho: s (T, n) = shares of the bits = [party 0] e + (1 - 2 e) rho; and, where sx is
       not NULL, sx (T, n) = shares of s x, x = c0 + c1 + a: (c0 + c1) s + e a + (1 - 2 e) rho_a. rho, rho_a (T, n), a (n):
       additive shares of rho, rho a, a. s may be NULL. */
    enum ss_err (*bits_close)(struct ss_dev *dev, uint64_t *s, uint64_t *sx, const uint64_t *e0, const uint64_t *e1,
                              const uint64_t *rho, const uint64_t *rho_a, const uint64_t *a, const uint64_t *c0,
                              const uint64_t *c1, size_t n, unsigned thresholds, int party);
    /* Dealer: rho = bit of bits0 xor bits1 (T, G): rho1 = rho - rho0, and, where rho_a1 is not NULL, rho_a1 = rho (a0 + a1) -
       rho_a0; rho0, rho_a0 and the results (T, n). */
    enum ss_err (*bits_deal)(struct ss_dev *dev, uint64_t *rho1, uint64_t *rho_a1, const uint64_t *rho0, const uint64_t *rho_a0,
                             const uint64_t *bits0, const uint64_t *bits1, const uint64_t *a0, const uint64_t *a1, size_t n,
                             unsigned thresholds);
    /* out (n) = constant + sum of h_coef[k] in[k], in (terms, n), terms <= SS_MAX_THRESHOLDS; out may be in. */
    enum ss_err (*ring_combine)(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const uint64_t *h_coef, unsigned terms,
                                uint64_t constant, size_t n);
};

/* Every kernels/NAME.c or .cu of this build, NULL-terminated; generated by the Makefile. */
extern const struct ss_backend *const ss_backends[];
const struct ss_backend *ss_backend_find(const char *name); /* NULL if unknown */
#endif
